"""Colours keep the labels of brute force however centroids move, though few cells are looked at."""

from __future__ import annotations

import numpy as np
import pytest

from kmeans_fast.colors import assignment, points
from kmeans_fast.colors.counting import CountedPixels
from kmeans_fast.colors.keys import PixelChunks
from kmeans_fast.colors.points import ColorPoints
from kmeans_fast.kernels import filtering
from kmeans_fast.threads import Threads


@pytest.fixture(autouse=True)
def check(monkeypatch):
    """Check each label of each step by brute force; use threads for few colours too."""
    monkeypatch.setattr(points, "CHECK", True)
    monkeypatch.setattr(points, "WORTH_THREADS", 0)


def colors_of(image, threads):
    chunks = PixelChunks(image)
    counted = CountedPixels(chunks, threads)
    return ColorPoints(counted.keys, counted.counts[None], chunks.format, threads)


def picture(rng, n, n_channels, dtype, top):
    """Return pixels about some places, (n, 1, c)."""
    places = rng.uniform(0, top, (12, n_channels))
    pixels = places[rng.integers(12, size=n)] + rng.normal(0, top / 9, (n, n_channels))
    return np.clip(pixels, 0, top).astype(dtype)[:, None]


def moves(rng, held, centroids, top):
    """Yield centroids that iterate, jump, change places, rest, meet (nearly) and go far away."""
    k, d = centroids.shape
    for step in range(12):
        yield centroids
        kind = step % 6
        if kind < 3:
            centroids = held.means(held.step(centroids), centroids)
        elif kind == 3:  # some creep
            centroids = centroids + rng.normal(0, top / 500, (k, d)) * (rng.random((k, 1)) < 0.3)
        elif kind == 4:  # one jumps, and two meet
            centroids = centroids.copy()
            centroids[rng.integers(k)] = rng.uniform(0, top, d)
            centroids[rng.integers(k)] = centroids[rng.integers(k)]
            one = np.nextafter(centroids[0], np.inf)
            centroids[: k // 2] = [one, centroids[0]][step % 2]
        else:
            centroids = centroids[rng.permutation(k)]
            centroids[rng.integers(k)] *= 1e30


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("k", [1, 2, 9, 60, 300])
@pytest.mark.parametrize(
    ("n_channels", "dtype", "top"),
    [(1, np.uint16, 65535), (2, np.uint8, 255), (3, np.uint8, 255), (3, np.uint16, 60_000)]
    + [(4, np.uint8, 255)],
)
def test_labels_and_sums_are_those_of_brute_force(n_channels, dtype, top, k, n_threads):
    rng = np.random.default_rng(k)
    image = picture(rng, 4000, n_channels, dtype, top)
    with Threads(n_threads) as threads:
        held = colors_of(image, threads)
        assert n_threads == 1 or len(held._runs) >= assignment.SHARES * n_threads
        start = image[rng.integers(len(image), size=k), 0].astype(np.float64)
        colors = held._colors[:, : held._keys.size].T
        for centroids in moves(rng, held, start, top):
            step = held.step(centroids)
            labels = held._assignment.labels[: len(colors)]
            whole = np.concatenate([held._weights[:, None], held._weights[:, None] * colors], 1)
            sums = np.zeros((k, 1 + n_channels), np.int64)
            np.add.at(sums, labels, whole)
            assert np.array_equal(step.sums[:, 0], sums)


@pytest.mark.parametrize("seen", [1, 3, filtering.SEEN])
def test_whom_siblings_forget_is_let_go_of(seen, monkeypatch):
    """One goes while its neighbours rest, so that nothing that is seen has moved."""
    monkeypatch.setattr(filtering, "SEEN", seen)
    rng = np.random.default_rng(0)
    image = picture(rng, 9000, 3, np.uint8, 255)
    with Threads(1) as threads:
        held = colors_of(image, threads)
        centroids = image[rng.integers(len(image), size=80), 0].astype(np.float64)
        for _ in range(40):
            centroids = centroids.copy()
            centroids[rng.integers(80)] += rng.normal(0, 60, 3)
            held.step(centroids)


def test_a_cell_that_was_owned_knows_nothing_any_more():
    """A border leaves the cells on one side, and comes back to them a little later.

    A third one far away jumps as it leaves, so that all cells are filtered then.
    """
    with Threads(1) as threads:
        held = colors_of(np.arange(10_000, dtype=np.uint16).reshape(-1, 1, 1), threads)
        for border, far in ((9740, 2e5), (10_010, 4e5), (9965, 4e5), (9700, 2e5), (-100, 4e5)):
            held.step(np.array([[border - 30_000.0], [border + 30_000.0], [far]]))


def test_what_rests_is_left_alone(monkeypatch):
    """Labels that are spoiled stay so, where centroids move too little to look at them."""
    monkeypatch.setattr(points, "CHECK", False)
    rng = np.random.default_rng(0)
    image = picture(rng, 3000, 3, np.uint8, 255)
    with Threads(1) as threads:
        held = colors_of(image, threads)
        centroids = image[rng.integers(len(image), size=20), 0].astype(np.float64)
        held.step(centroids)
        labels = held._assignment.labels[: held._keys.size]
        for distance, least, most in ((1e-9, 0.9, 1.0), (20.0, 0.0, 0.2)):
            spoiled = labels[:] = (labels + 1) % 20
            held.step(centroids + rng.choice([-distance, distance], centroids.shape))
            assert least <= (labels == spoiled).mean() <= most


def test_the_debug_switch_finds_a_wrong_label(monkeypatch):
    def spoil(*arguments, true=filtering.assign_cells):
        true(*arguments)
        labels = arguments[13]
        labels[7] = (labels[7] + 1) % 9

    image = picture(np.random.default_rng(0), 900, 3, np.uint8, 255)
    with Threads(1) as threads:
        held = colors_of(image, threads)
        monkeypatch.setattr(filtering, "assign_cells", spoil)
        with pytest.raises(AssertionError, match="1 labels are wrong: colour 7 has"):
            held.step(image[:9, 0].astype(np.float64))

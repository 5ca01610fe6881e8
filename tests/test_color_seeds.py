"""Seeds of colours, and the tree of these, against brute force, on any number of threads."""

import numpy as np
import pytest

from kmeans_fast.colors import points as module
from kmeans_fast.colors import search
from kmeans_fast.colors.keys import color_format
from kmeans_fast.colors.points import ColorPoints
from kmeans_fast.colors.tree import build_tree
from kmeans_fast.kernels import seeds as kernel
from kmeans_fast.kernels._jit import JIT_OFF
from kmeans_fast.threads import Threads

MANY = 20_000 if JIT_OFF else 120_000  # colours: 3 regions or 15


@pytest.fixture(autouse=True)
def always_worth_threads(monkeypatch):
    """Use threads for few colours too."""
    monkeypatch.setattr(module, "WORTH_THREADS", 1)


def colors_of(n, channels, dtype, close=False):
    """Return the format, and sorted keys of so many colours, close together or anywhere."""
    form = color_format(channels, 8 * np.dtype(dtype).itemsize)
    rng = np.random.default_rng(n)
    top = 1 << form.key_bits
    if top < 1 << 20:
        keys = rng.choice(top, n, replace=False).astype(np.uint64)
    else:
        keys = rng.integers(0, top, n, np.uint64)
    if close:  # most of them in a corner
        keys[n // 10 :] >>= np.uint64(form.key_bits // 3)
    return form, np.unique(keys).astype(form.key_dtype)


def slow_seeds(colors, weights, k, n_trials, seed):
    """Seed by every distance, with the numbers that the search draws."""
    rng = np.random.default_rng(seed)
    largest = colors.shape[1] * (255 if colors.dtype == np.uint8 else 65535) ** 2
    excess = max(0, (int(weights.sum()) * largest).bit_length() - 62)
    values, ends = colors.astype(np.int64), np.cumsum(weights)
    if excess:
        weights = np.maximum(weights >> excess, weights > 0)
    closest = np.full(len(values), np.iinfo(np.int64).max)
    chosen = [int(np.searchsorted(ends, rng.integers(ends[-1]), side="right"))]
    while len(chosen) < k:
        closest = np.minimum(closest, np.square(values - values[chosen[-1]]).sum(axis=1))
        totals = np.cumsum(weights * closest)
        if totals[-1] == 0:
            tickets = [rng.integers(ends[-1]) for _ in range(n_trials)]
            chosen.append(int(np.searchsorted(ends, tickets, side="right")[0]))
            continue
        tickets = rng.integers(totals[-1], size=n_trials)
        drawn = np.searchsorted(totals, tickets, side="right")
        after = [np.square(values - values[i]).sum(axis=1) for i in drawn]
        left = [(weights * np.minimum(closest, each)).sum() for each in after]
        chosen.append(int(drawn[np.argmin(left)]))
    return colors[chosen].astype(np.float64)


def seeds_of(points, k, n_trials, seed):
    rng = np.random.default_rng(seed)
    centroids = np.empty((k, points.n_features))
    centroids[0] = points.draw(rng)
    points.spread(centroids, n_trials, rng)
    return centroids


def check(form, keys, weights, k=12, n_trials=4, threads=(1, 2, 5), seed=3):
    for n in threads:
        with Threads(n) as pool:
            points = ColorPoints(keys, weights[None], form, pool)
            colors = points._colors[:, : keys.size].T
            found = seeds_of(points, k, n_trials, seed)
        np.testing.assert_array_equal(found, slow_seeds(colors, weights, k, n_trials, seed))


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize(
    ("dtype", "channels"),
    [(np.uint8, 3), (np.uint8, 4), (np.uint16, 1), (np.uint16, 3)],
)
def test_seeds_of_many_regions(dtype, channels, close):
    form, keys = colors_of(MANY // (1 if channels > 1 else 4), channels, dtype, close)
    assert keys.size > 2 * kernel.REGION or channels == 1
    weights = np.random.default_rng(0).integers(1, 90, keys.size)
    weights[:: keys.size // 7] = 0  # masked out
    check(form, keys, weights)


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 512, 513, 8192, 8193])
def test_seeds_of_colors_that_fill_blocks_and_regions_or_not(n):
    form, keys = colors_of(n, 3, np.uint8)
    check(form, keys, np.ones(keys.size, np.int64), k=6, n_trials=2, threads=(1, 3))


@pytest.mark.parametrize(
    "heavy", [2**20, 2**33, 2**44], ids=lambda heavy: f"2**{heavy.bit_length()}"
)
def test_seeds_of_colors_that_weigh_more_than_32_bits_hold(heavy):
    form, keys = colors_of(3000, 3, np.uint8)
    weights = np.random.default_rng(0).integers(0, 9, keys.size)
    weights[::97] += heavy
    check(form, keys, weights)


@pytest.mark.parametrize("channels", [1, 2])
def test_seeds_when_all_colors_are_centres(channels):
    form, keys = colors_of(9, channels, np.uint8)
    check(form, keys, np.arange(keys.size), k=14)


@pytest.mark.parametrize("seed", range(8))
def test_of_candidates_that_are_equally_good_the_first_is_chosen(seed):
    form = color_format(1, 8)
    keys = np.arange(0, 250, 10, dtype=form.key_dtype)
    check(form, keys, np.ones(keys.size, np.int64), k=9, threads=[1], seed=seed)


def test_gains_above_and_below_what_32_bits_hold_are_equal():
    form, keys = colors_of(5000, 3, np.uint8)
    weights = np.full(keys.size, 300)  # a block: 32 * 300 * 195,075 at most, and less later
    check(form, keys, weights, k=40, n_trials=3, threads=(1, 2))


@pytest.mark.parametrize("patience", [1, 100])
def test_threads_that_lose_patience_find_the_same(patience, monkeypatch):
    monkeypatch.setattr(search, "PATIENCE", patience)
    form, keys = colors_of(MANY, 3, np.uint8)
    check(form, keys, np.ones(keys.size, np.int64), threads=(2, 4))


def test_an_error_amid_the_draws_ends_the_helpers():
    class Generator:
        n_draws = 0

        def integers(self, high, size=None):
            self.n_draws += 1
            if self.n_draws == 4:
                raise KeyboardInterrupt
            return np.zeros(size, np.int64)

    form, keys = colors_of(MANY, 3, np.uint8)
    with Threads(3) as pool:
        points = ColorPoints(keys, np.ones((1, keys.size), np.int64), form, pool)
        with pytest.raises(KeyboardInterrupt):
            points.spread(np.zeros((9, 3)), 4, Generator())
        assert pool.map(str, range(9)) == [str(i) for i in range(9)]


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("threads", [2, 5])
def test_the_tree_is_the_same_on_any_number_of_threads(threads, close):
    form, keys = colors_of(MANY, 3, np.uint8, close)
    trees = []
    for n in (1, threads):
        with Threads(n) as pool:
            points = ColorPoints(keys, np.ones((1, keys.size), np.int64), form, pool)
        start, stop, child, n_children = links = build_tree(keys, form, Threads(n))
        np.testing.assert_array_equal(points._links, links)
        split = np.flatnonzero(n_children)
        assert (child[split] > split).all()
        below = np.concatenate([np.arange(child[i], child[i] + n_children[i]) for i in split])
        assert sorted(below) == list(range(1, len(start)))  # each has one parent, but the root
        for i in split:
            mine = slice(child[i], child[i] + n_children[i])
            np.testing.assert_array_equal([start[i], *stop[mine]], [*start[mine], stop[i]])
        order = np.lexsort((n_children, -stop, start))
        trees.append(
            [start[order], stop[order], n_children[order], points._moments[order]]
            + list(points._boxes[:, :, order])
        )
        trees[-1] += [[points._square, points.variance]]
    for one, other in zip(*trees, strict=True):
        np.testing.assert_array_equal(one, other)

"""The search that seeds dense points, held against one that skips nothing."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from kmeans_fast.points import dense, dense_search, quanta
from kmeans_fast.points.dense import DensePoints
from kmeans_fast.threads import Threads


@pytest.fixture(autouse=True)
def sorted_from_the_start(monkeypatch):
    """Sort small data too."""
    monkeypatch.setattr(dense_search, "FEW_POINTS", 1)
    monkeypatch.setattr(dense, "CHUNK", 500)


class SlowSearch:
    """Every distance, feature by feature, and sums in Python's integers."""

    def __init__(self, point_set, weights=None):
        self.point_set = point_set
        points = self.points = point_set._points.astype(np.float64)
        whole = weights is None or weights.dtype.kind == "i"
        self.factors = np.ones(len(points)) if whole else weights
        times = np.ones(len(points), int) if weights is None or not whole else weights
        self.times = times.astype(object)
        self.held = (self.factors > 0) & (times > 0)
        self.n = int(self.times.sum())
        self.closest = np.full(len(points), np.inf)

    def sq_dists(self, center):
        total = np.zeros(len(self.points))
        for j in range(self.points.shape[1]):
            difference = self.points[:, j] - center[j]
            total += difference * difference
        return total

    def add(self, center):
        self.closest = np.minimum(self.closest, self.sq_dists(center))

    def whole_numbers(self, sq_dists, units):
        """Values by weight, in whole numbers of the last unit, rounded level by level."""
        left = np.where(self.held, self.factors * sq_dists, 0.0)
        total = np.zeros(len(left), object)
        for unit in units:
            whole = np.rint(left / unit)
            left = left - whole * unit
            total += np.array([int(w) for w in whole], object) * int(unit / units[-1])
        return total * self.times

    def units(self, below):
        largest = float((self.factors * self.closest)[self.held].max())
        return quanta.choose_quanta(largest, self.n, below)

    def draw(self, n, rng):
        units = self.units(62 - quanta.log2(self.n))
        ends = np.cumsum(self.whole_numbers(self.closest, units)).astype(np.int64)
        if ends[-1] == 0:  # what is left is under the least quantum
            return np.stack([self.point_set.draw(rng) for _ in range(n)])
        tickets = rng.integers(ends[-1], size=n)
        return self.points[np.searchsorted(ends, tickets, side="right")]

    def potentials(self, candidates):
        units = self.units(quanta.bits_below(self.n))
        sums = [
            self.whole_numbers(np.minimum(self.closest, self.sq_dists(c)), units).sum()
            for c in candidates
        ]
        return np.array([float(s * Fraction(units[-1])) for s in sums])


def blobs(n, d, n_blobs=20, seed=0, spread=0.1):
    rng = np.random.default_rng(seed)
    middles = rng.uniform(-10, 10, (n_blobs, d))
    return middles[rng.integers(n_blobs, size=n)] + spread * rng.normal(size=(n, d))


def assert_seeds_are_brute_force(points, weights=None, n_centers=24, n_trials=6, threads=1):
    """Run greedy k-means++ with both searches, bit for bit; return the share of work done."""
    rng, slow_rng = np.random.default_rng(3), np.random.default_rng(3)
    with Threads(threads) as pool:
        point_set = DensePoints(points, weights, pool)
        search, slow = point_set.nearest_search(), SlowSearch(point_set, weights)
        center = point_set.draw(np.random.default_rng(0))
        for _ in range(n_centers):
            search.add(center)
            slow.add(center)
            drawn = search.draw(n_trials, rng)
            assert np.array_equal(drawn, slow.draw(n_trials, slow_rng))
            potentials = search.potentials(drawn)
            assert np.array_equal(potentials, slow.potentials(drawn))
            center = drawn[potentials.argmin()]
        closest = search._closest[search._inverse]
        assert np.array_equal(closest[slow.held], slow.closest[slow.held])
    return search.n_tried / (len(points) * n_trials * n_centers)


@pytest.mark.parametrize("copied", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3, 7, 16, 33, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_and_potentials_are_those_of_brute_force(dtype, d, copied, monkeypatch):
    if not copied:
        monkeypatch.setattr(dense_search, "MOST_COPIED", 0)
    assert assert_seeds_are_brute_force(blobs(1500, d).astype(dtype)) < 0.5


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("offset", [1e3, 1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_data_far_from_the_origin(dtype, offset, d):
    assert assert_seeds_are_brute_force((blobs(1200, d) + offset).astype(dtype)) < 0.7


@pytest.mark.parametrize("scale", [1e-155, 1e-25, 1e17, 1e140])
@pytest.mark.parametrize("d", [2, 40])
def test_squares_that_nearly_underflow_or_overflow(scale, d):
    points = blobs(800, d) * scale
    assert_seeds_are_brute_force(points)
    if 1e-30 < scale < 1e20:
        assert_seeds_are_brute_force(points.astype(np.float32))


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("step", [1.0, 0.1, 1 / 3])
def test_points_on_a_line_where_the_triangle_inequality_is_tight(step, d):
    rng = np.random.default_rng(0)
    points = (rng.integers(0, 3000, (2000, 1)) * step).repeat(d, axis=1)
    assert_seeds_are_brute_force(points, n_centers=60)


@pytest.mark.parametrize("d", [3, 40])
def test_copies_of_few_points(d):
    points = blobs(30, d, 30)[np.random.default_rng(0).integers(30, size=2000)]
    assert_seeds_are_brute_force(points.astype(np.float32), n_centers=20)


@pytest.mark.parametrize("d", [2, 50])
@pytest.mark.parametrize("whole", [True, False])
def test_weights(whole, d):
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 50, 1500)
    if not whole:
        weights = weights * 0.37
        with Threads(1) as pool:
            weights = DensePoints(np.zeros((1500, 1)), weights, pool)._weights  # as it rounds them
    assert assert_seeds_are_brute_force(blobs(1500, d), weights) < 0.6


@pytest.mark.parametrize("n", [1, 2, 127, 128, 129, 1000])
@pytest.mark.parametrize("n_trials", [2, 6])
def test_sizes_about_a_cell_sorted_or_not(n, n_trials):
    assert_seeds_are_brute_force(blobs(n, 3, 5), n_centers=5, n_trials=n_trials)


@pytest.mark.parametrize("d", [3, 33])
def test_threads_and_chunks_change_no_bit(d, monkeypatch):
    points = blobs(3000, d).astype(np.float32)
    monkeypatch.setattr(dense_search, "WORTH_THREADS", 0)
    for threads, chunk in [(1, 500), (2, 500), (3, 77), (2, 8192)]:
        monkeypatch.setattr(dense, "CHUNK", chunk)
        assert_seeds_are_brute_force(points, threads=threads, n_centers=6)


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centers_that_are_no_points_and_more_candidates_than_bits(dtype, d):
    points = blobs(1000, d).astype(dtype)
    rng = np.random.default_rng(5)
    with Threads(1) as pool:
        point_set = DensePoints(points, None, pool)
        search, slow = point_set.nearest_search(), SlowSearch(point_set)
        for _ in range(4):
            for center in rng.uniform(-10, 10, (2, d)):
                search.add(center)
                slow.add(center)
            candidates = np.concatenate([rng.uniform(-10, 10, (50, d)), point_set.take(range(90))])
            potentials = search.potentials(candidates)
            assert np.array_equal(potentials, slow.potentials(candidates))
        assert np.array_equal(search._closest[search._inverse], slow.closest)


def test_a_center_need_not_be_the_best_candidate():
    points = blobs(2000, 3)
    with Threads(1) as pool:
        point_set = DensePoints(points, None, pool)
        search, slow = point_set.nearest_search(), SlowSearch(point_set)
        for at in (5, 70, 300, 1200):
            search.add(points[at])
            slow.add(points[at])
            search.potentials(points[[at, at + 1, at + 2, 8, 9, 300, 1200]])
        search.add(points[1201])
        slow.add(points[1201])
        assert search.potentials(points[:1]) == slow.potentials(points[:1])
        assert np.array_equal(search._closest[search._inverse], slow.closest)


def test_infinite_estimates_decide_nothing():
    points = np.concatenate([blobs(500, 40) * 1e18, blobs(500, 40) * 1e30]).astype(np.float32)
    assert_seeds_are_brute_force(points, n_centers=10)


def test_every_cell_is_within_its_radius_and_every_point_in_one_cell():
    points = blobs(3000, 5).astype(np.float32)
    with Threads(2) as pool:
        search = DensePoints(points, None, pool).nearest_search()
        search.add(points[0])
        search.draw(7, np.random.default_rng(0))
    assert np.array_equal(search._order[search._inverse], np.arange(3000))
    for cell, (start, stop) in enumerate(zip(search._starts, search._starts[1:], strict=False)):
        gaps = points[search._order[start:stop]].astype(float) - search._middles[:, cell]
        farthest = math.sqrt((gaps**2).sum(axis=1).max())
        assert search._radii[cell] == pytest.approx(farthest, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 33, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_center_nearer_by_a_rounding_is_seen(dtype, d):
    rng = np.random.default_rng(0)
    points = np.zeros((512, d), dtype)
    points[256:] = 100
    with Threads(1) as pool:
        point_set = DensePoints(points, None, pool)
        for _ in range(40):
            center = rng.uniform(0.5, 1, d).astype(dtype)
            candidates = np.repeat(-center[None], 6, axis=0)
            for row in range(6):  # nearer by so many steps of one number
                for _ in range(row):
                    candidates[row, 0] = np.nextafter(candidates[row, 0], dtype(0))
            candidates = rng.permuted(candidates, axis=1).astype(np.float64)
            search, slow = point_set.nearest_search(), SlowSearch(point_set)
            search.add(center)
            slow.add(center)
            assert np.array_equal(search.potentials(candidates), slow.potentials(candidates))
            search.add(candidates[-1])
            slow.add(candidates[-1])
            assert np.array_equal(search.potentials(candidates), slow.potentials(candidates))
            search.potentials(candidates[:1])
            assert np.array_equal(search._closest[search._inverse], slow.closest)

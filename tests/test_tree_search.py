"""The search that seeds points in a tree, held against one that skips nothing."""

import math

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast.dense import tree as trees
from kmeans_fast.dense import tree_search
from kmeans_fast.dense.points import DensePoints
from kmeans_fast.threads import Threads
from tests.naive import KINDS, clusters, part_of
from tests.test_dense_search import assert_same_draws


@pytest.fixture(autouse=True)
def from_the_first_point(monkeypatch):
    monkeypatch.setattr(trees, "LEAST_POINTS", 1)


class SlowSearch:
    """Every distance, rounded as is written down, and sums in Python's integers."""

    def __init__(self, search, point_set):
        self.tree = tree = part_of(point_set).tree()
        self.points = tree.points[:, : tree.n]
        self.scale = tree_search.scale_of(point_set.facts)
        self.closest = np.full(tree.n, tree_search.INFINITE, np.uint16)
        self.search, self.point_set = search, point_set

    def codes(self, center):
        total = np.zeros(self.points.shape[1], np.float32)
        for x, c in zip(self.points, center.astype(self.points.dtype), strict=True):
            t = ((x - c) * self.scale).astype(np.float32)
            total = total + t * t
        return ((total.view(np.uint32) + np.uint32(1 << 14)) >> 15).astype(np.uint16)

    def add(self, center):
        self.closest = np.minimum(self.closest, self.codes(center))

    def whole_numbers(self, codes):
        numbers = (codes.astype(np.uint32) << 15).view(np.float32).astype(np.float64)
        return np.rint(np.ldexp(numbers, self.search._exponent)).astype(np.int64)

    def draw(self, n, rng):
        whole = self.whole_numbers(self.closest)
        cells, grids = self.tree.cells, self.tree.grids
        places = []
        for top in range(1, 1 + len(self.tree.children)):
            grid = cells.inner[top]
            first, n_cells = (top, 1) if grid < 0 else (grids.child[grid], grids.n_children[grid])
            places += [slice(cells.start[c], cells.stop[c]) for c in range(first, first + n_cells)]
        ends = np.cumsum([whole[some].sum() for some in places])
        if ends[-1] == 0:
            return np.stack([self.point_set.draw(rng) for _ in range(n)])
        drawn = []
        for ticket in rng.integers(ends[-1], size=n):
            at = np.searchsorted(ends, ticket, side="right")
            left = ticket - (ends[at - 1] if at else 0)
            points = self.points[:, places[at]].T.astype(np.float64)
            drawn.append(tree_search.find_in_cell(points, whole[places[at]], left))
        return np.array(drawn)

    def potentials(self, candidates):
        sums = [
            int(self.whole_numbers(np.minimum(self.closest, self.codes(c))).sum())
            for c in candidates
        ]
        unit = math.ldexp(1.0, -self.search._exponent) / float(self.scale) / float(self.scale)
        return np.array(sums) * unit


def assert_seeds_are_brute_force(points, n_centers=30, n_trials=5, threads=2):
    with Threads(threads) as pool:
        point_set = DensePoints(points, None, pool)
        search = point_set.nearest_search()
        assert isinstance(search, tree_search.TreeSearch)
        assert_same_draws(point_set, search, SlowSearch(search, point_set), n_centers, n_trials)


@pytest.mark.parametrize("d, dtype", KINDS)
@pytest.mark.parametrize("n", [300, 5000])
def test_draws_and_potentials_are_those_of_brute_force(n, d, dtype):
    assert_seeds_are_brute_force(clusters(n, d, 12, dtype))


@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_far_from_the_origin(offset):
    assert_seeds_are_brute_force((clusters(2000, 3, 12, np.float64) + offset).astype(np.float32))


@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e30])
def test_very_small_and_very_large_values(size):
    assert_seeds_are_brute_force(size * clusters(2000, 2, 12, np.float64))


def test_values_whose_differences_overflow_in_float32_are_left_to_another_search():
    with Threads(1) as pool:
        point_set = DensePoints(np.array([[-3e38], [3e38]], np.float32), None, pool)
        assert not isinstance(point_set.nearest_search(), tree_search.TreeSearch)


def test_an_outlier_takes_no_digits_from_the_rest():
    points = np.concatenate([clusters(2000, 2, 12, np.float64), np.full((1, 2), 1e9)])
    assert_seeds_are_brute_force(points)
    rows = kf.kmeans_plusplus(points, 12)
    assert len(np.unique(rows, axis=0)) == 12


def test_copies_of_few_points():
    points = np.repeat(clusters(7, 3, 7, np.float32), 400, axis=0)
    assert_seeds_are_brute_force(points, n_centers=10)


def test_draws_go_by_squared_distance():
    # 900 points at distance 1 of the center, 100 at distance 3: as much in all.
    points = np.repeat(np.array([[0.0], [1.0], [3.0]], np.float32), [1000, 900, 100], axis=0)
    with Threads(1) as pool:
        search = DensePoints(points, None, pool).nearest_search()
        search.add(np.array([0.0]))
        drawn = search.draw(20_000, np.random.default_rng(0))[:, 0]
    assert set(drawn) == {1.0, 3.0}
    assert abs((drawn == 1.0).mean() - 0.5) < 0.015


def test_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(trees, "ROOM", 500)  # some cells are sorted in place
    monkeypatch.setattr(tree_search, "WORTH_THREADS", 1)
    points = clusters(20_000, 3, 30, np.float32)
    one, *others = (kf.kmeans_plusplus(points, 60, n_threads=n) for n in (1, 2, 5))
    for other in others:
        np.testing.assert_array_equal(other, one)

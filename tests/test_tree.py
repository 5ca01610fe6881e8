"""The tree of cells over dense points: every assignment against brute force."""

import numpy as np
import pytest

from kmeans_fast.dense import tree as trees
from kmeans_fast.dense.points import DensePoints
from kmeans_fast.dense.tree_assignment import TreeAssignment
from kmeans_fast.kernels import tree as kernels
from kmeans_fast.kernels import tree_filter
from kmeans_fast.threads import Threads
from tests.naive import assign, clusters, part_of

# Each of these compiles the kernels: some 10 s.
KINDS = [(2, np.float64), (3, np.float32), (4, np.float32)]
DTYPES = [np.float32, np.float64]
FEATURES = {np.float32: 3, np.float64: 2}  # a kernel is compiled for each kind: not for all six
LEAF = kernels.LEAF


def nearest(points, centroids):
    with np.errstate(over="ignore"):
        return assign(points, centroids)


def assert_tree_holds_all(tree):
    """Each point is in one leaf, inside its box, and every cell has the sums of its points."""
    cells, grids, n = tree.cells, tree.grids, tree.n
    leaves = np.flatnonzero(cells.inner < 0)
    leaves = leaves[np.argsort(cells.start[leaves])]
    assert cells.start[leaves[0]] == 0 and cells.stop[leaves[-1]] == n
    np.testing.assert_array_equal(cells.stop[leaves[:-1]], cells.start[leaves[1:]])
    assert (cells.stop[leaves] > cells.start[leaves]).all()
    inside = tree.points[:, :n]
    for cell in range(1, cells.start.size):
        some = inside[:, cells.start[cell] : cells.stop[cell]]
        np.testing.assert_array_equal(cells.low[cell], some.min(axis=1))
        np.testing.assert_array_equal(cells.high[cell], some.max(axis=1))
    for g, cell in enumerate(grids.cell):
        children = np.arange(grids.n_children[g]) + grids.child[g]
        assert cells.inner[cell] == g
        assert cells.start[cell] == cells.start[children[0]]
        assert cells.stop[cell] == cells.stop[children[-1]]
        np.testing.assert_array_equal(cells.stop[children[:-1]], cells.start[children[1:]])
        np.testing.assert_array_equal(cells.sums[cell], cells.sums[children].sum(axis=0))
    np.testing.assert_array_equal(np.sort(inside, axis=1), np.sort(tree.values.T, axis=1))
    runs = np.concatenate(tree.tasks)
    held = sorted((cells.start[a], cells.stop[a + m - 1]) for a, m, _ in runs)
    assert held[0][0] == 0 and held[-1][1] == n
    assert all(a[1] == b[0] for a, b in zip(held, held[1:], strict=False))


class Walk:
    """Assignments of one tree, each compared with brute force."""

    def __init__(self, points, k, threads=2):
        self._pool = Threads(threads)
        self.dense = DensePoints(points, None, self._pool)
        self.points, self.k = points, k
        self.now = TreeAssignment(part_of(self.dense).tree(), k, self._pool)
        assert_tree_holds_all(self.now.tree)

    def assert_step_is_brute_force(self, centroids, labelled=True):
        """Assign and compare; return the means."""
        self.now.update(centroids)
        expected = nearest(self.points, centroids)
        sums = self.dense.add_up(expected, self.k).sums
        np.testing.assert_array_equal(self.now.totals, sums.totals)
        np.testing.assert_array_equal(self.now.values, sums.values)
        if labelled:
            np.testing.assert_array_equal(self.now.labels, expected)
        return self.dense.means(self.dense.add_up(expected, self.k), centroids)

    def assert_all_are_brute_force(self, centroids, iterations=4):
        """Iterate, jump somewhere else and back, then move hardly at all."""
        for i in range(iterations):
            centroids = self.assert_step_is_brute_force(centroids, labelled=i % 2 == 0)
        rng = np.random.default_rng(0)
        there = self.points[rng.choice(len(self.points), self.k)].astype(np.float64)
        for jump in (there, centroids, centroids * (1 + 1e-9) + 1e-7, centroids[::-1].copy()):
            self.assert_step_is_brute_force(jump)

    def close(self):
        self._pool.__exit__(None, None, None)


def assert_walk_is_brute_force(points, centroids, iterations=4, threads=2):
    it = Walk(points, len(centroids), threads)
    try:
        it.assert_all_are_brute_force(centroids, iterations)
    finally:
        it.close()
    return it


def assert_steps_are_brute_force(points, k, *places):
    it = Walk(points, k)
    try:
        for there in places:
            it.assert_step_is_brute_force(there)
    finally:
        it.close()


def start_of(points, k, seed=0):
    rows = np.random.default_rng(seed).choice(len(points), k, replace=k > len(points))
    return points[rows].astype(np.float64)


@pytest.mark.parametrize("d, dtype", KINDS)
@pytest.mark.parametrize("k", [1, 2, 9, 40, 200])
def test_every_iteration_is_brute_force(dtype, d, k):
    points = clusters(5000, d, max(2, k // 2), dtype, seed=d)
    assert_walk_is_brute_force(points, start_of(points, k))


@pytest.mark.parametrize("n", [1, 2, LEAF - 1, LEAF, LEAF + 1, 2 * LEAF + 1, 8191, 8193])
@pytest.mark.parametrize("k", [1, 5, 40])
def test_sizes_around_a_leaf(n, k):
    points = clusters(n, 3, 9, np.float32)
    assert_walk_is_brute_force(points, start_of(points, k), iterations=2)


@pytest.mark.parametrize("d", [1, 3, 4])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_ties_and_equal_centroids(d, shift):
    points = np.random.default_rng(d).integers(0, 12, (4000, d)).astype(np.float32)
    some = start_of(points, 25) + shift
    assert_walk_is_brute_force(points, np.concatenate([some, some[:10], some[5:] + 0.5]))


@pytest.mark.parametrize("k", [3, 40])
def test_ties_of_whole_cells_go_to_the_first(k):
    # Mirror images: in the plane between two centroids all points are as near to both.
    rng = np.random.default_rng(0)
    points = rng.random((3000, 3)).astype(np.float32)
    points[:, 0] = 0.5
    half = rng.random((k, 3))
    other = half * [-1, 1, 1] + [1, 0, 0]
    assert_walk_is_brute_force(points, np.concatenate([half, other]), iterations=1)
    assert_walk_is_brute_force(points, np.concatenate([other, half]), iterations=1)


@pytest.mark.parametrize("k", [2, 9])
def test_cells_of_one_cluster_are_divided_and_joined_again(k):
    points = clusters(20_000, 3, 9, np.float32)
    near, far = start_of(points, k), start_of(points, k)
    far[1:] += 1000.0
    places = far, near, far[::-1].copy(), near, near[::-1].copy(), far
    assert_steps_are_brute_force(points, k, *places)


def test_where_a_tree_pays():
    assert trees.pays(400_000, 3, 64) and trees.pays(20_000, 3, 512)
    assert not trees.pays(400_000, 3, 4) and not trees.pays(2000, 3, 512)
    assert not trees.pays(400_000, 5, 512)


@pytest.mark.parametrize("distinct", [1, 3, 50])
@pytest.mark.parametrize("k", [1, 4, 70])
def test_duplicates_only(distinct, k):
    rng = np.random.default_rng(1)
    points = rng.standard_normal((distinct, 3)).astype(np.float32)[
        rng.integers(distinct, size=3000)
    ]
    assert_walk_is_brute_force(points, start_of(points, k))


@pytest.mark.parametrize("dtype", DTYPES)
def test_constant_features_and_negative_zeros(dtype):
    points = clusters(3000, FEATURES[dtype], 9, dtype)
    points[:, 1] = 7.5
    points[::2, 0] = np.where(points[::2, 0] > 0, 0.0, -0.0)
    assert_walk_is_brute_force(points, start_of(points, 20))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n_far", [1, 40])
def test_outliers(dtype, n_far):
    points = clusters(5000, FEATURES[dtype], 9, dtype)
    points[:n_far] *= 1e12
    centroids = start_of(points[n_far:], 20)
    assert_walk_is_brute_force(points, centroids)
    centroids[0] = points[0]
    it = assert_walk_is_brute_force(points, centroids)
    leaves = it.now.tree.cells.inner < 0
    assert (it.now.tree.cells.stop - it.now.tree.cells.start)[leaves].max() <= LEAF


@pytest.mark.parametrize(
    "dtype, offset", [(np.float32, 1e4), (np.float32, 1e6), (np.float64, 1e8), (np.float64, -1e13)]
)
def test_far_from_the_origin(dtype, offset):
    points = (clusters(4000, FEATURES[dtype], 5, np.float64) + offset).astype(dtype)
    assert_walk_is_brute_force(points, start_of(points, 30))


@pytest.mark.parametrize("dtype", DTYPES)
def test_points_of_very_different_scales(dtype):
    rng = np.random.default_rng(1)
    scales = 10.0 ** rng.integers(-12, 13, size=4000)
    points = (scales[:, None] * (1 + 1e-3 * rng.standard_normal((4000, FEATURES[dtype])))).astype(
        dtype
    )
    assert_walk_is_brute_force(points, start_of(points, 40))


@pytest.mark.parametrize(
    "size, dtype",
    [(s, np.float64) for s in (1e-310, 1e-300, 1e-160, 1e-40, 1e140)]
    + [(s, np.float32) for s in (1e-44, 1e-38, 1e30, 2e37)],
)
def test_tiny_and_huge_values(size, dtype):
    d = 2 if size > 1e36 else FEATURES[dtype]  # float32 becomes float64 there
    points = (clusters(2000, d, 9, np.float64) * size).astype(dtype)
    start = start_of(points, 20)
    assert_steps_are_brute_force(points, 20, start, start * 1.01, start * 1.02)


def test_centroids_far_outside_the_data():
    points = clusters(3000, 3, 5, np.float32)
    near = start_of(points, 20)
    far = near.copy()
    far[3:] *= 1e30
    farther = near.copy()
    farther[7:] *= 1e200  # their squares overflow
    places = near, far, near, far + 1.0, farther, near * 1e200, near
    assert_steps_are_brute_force(points, 20, *places)


@pytest.mark.parametrize("ulp", [0.0, 2.0**-56])
def test_hardly_any_difference_is_left_to_rounding(ulp):
    # Points within a few ulp of the plane between two centroids.
    rng = np.random.default_rng(3)
    points = rng.random((4000, 2))
    points[:, 0] = 0.1 + np.arange(-2000, 2000) * ulp
    there = rng.random((30, 2))
    there[15:, 1:] = there[:15, 1:]
    there[15:, 0] = 0.2 - there[:15, 0]
    assert_walk_is_brute_force(points, there, iterations=1)


@pytest.mark.parametrize("d, k", [(1, 200), (3, 300)])
def test_the_same_bits_however_the_work_is_cut(d, k, monkeypatch):
    points = clusters(20_000, d, k, np.float32, spread=2.0)
    results = []
    for threads, chunk in [(1, 8192), (2, 700), (3, 64), (7, 1000)]:
        monkeypatch.setattr(trees, "CHUNK", chunk)
        with Threads(threads) as pool:
            dense = DensePoints(points, None, pool)
            now = TreeAssignment(part_of(dense).tree(), k, pool)
            centroids = start_of(points, k)
            for _ in range(5):
                now.update(centroids)
                centroids = dense.means(dense.add_up(now.labels, k), centroids)
            results.append((centroids, now.values.copy(), now.totals.copy(), now.labels))
    for result in results[1:]:
        for one, other in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("k, dtype", [(256, np.uint8), (257, np.uint16)])
def test_the_type_of_the_labels(k, dtype):
    points = clusters(3000, 3, 30, np.float32)
    it = assert_walk_is_brute_force(points, start_of(points, k), iterations=1)
    assert it.now.labels.dtype == dtype
    assert it.now.labels is it.now.labels


def test_a_tree_serves_several_numbers_of_clusters():
    points = clusters(6000, 3, 12, np.float32)
    with Threads(2) as pool:
        dense = DensePoints(points, None, pool)
        tree = trees.Tree(points, pool, dense.facts.quanta)
        both = [TreeAssignment(tree, k, pool) for k in (7, 90)]
        for seed in range(3):
            for now in both:
                centroids = start_of(points, now.k, seed)
                now.update(centroids)
                np.testing.assert_array_equal(now.labels, nearest(points, centroids))


def test_an_update_that_is_interrupted_leaves_no_trace(monkeypatch):
    points = clusters(20_000, 3, 9, np.float32)
    centroids = start_of(points, 9)
    it = Walk(points, 9, threads=2)
    centroids = it.assert_step_is_brute_force(centroids)
    calls = []

    def break_off(*arguments, true=tree_filter.filter_cells):
        calls.append(0)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return true(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(tree_filter, "filter_cells", break_off)
        with pytest.raises(KeyboardInterrupt):
            it.now.update(centroids)
    for _ in range(2):
        centroids = it.assert_step_is_brute_force(centroids)
    it.close()

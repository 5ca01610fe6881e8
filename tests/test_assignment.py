"""Dense points from one assignment to the next, in a tree or not: each against brute force."""

import math
from fractions import Fraction

import numba
import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast.dense import assignment
from kmeans_fast.dense import part as dense_part
from kmeans_fast.dense import tree as trees
from kmeans_fast.dense.points import DensePoints
from kmeans_fast.dense.tree_assignment import TreeAssignment
from kmeans_fast.kernels import (
    _compiled,  # noqa: F401  # it tells Numba of the intrinsics
    _lanes,
    _tiles,
    tree_filter,
)
from kmeans_fast.kernels.tree import LEAF
from kmeans_fast.threads import Threads
from tests.naive import KINDS, assign, clusters, labels_of, part_of, sq_dists, start_of

DTYPES = [np.float32, np.float64]
FEATURES = {np.float32: 3, np.float64: 2}  # of a tree: its kernels are compiled for each kind
both = pytest.mark.parametrize("engine", ["dense", "tree"])
of_each_type = pytest.mark.parametrize("dtype", DTYPES)


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
    """Assignments of one point set, each compared with brute force."""

    def __init__(self, points, k, engine, pool):
        self.points, self.k, self.pool = points, k, pool
        self.dense = DensePoints(points, None, pool)
        self.part = part_of(self.dense)
        if engine == "tree":
            self.part._assignment = TreeAssignment(self.part.tree(), k, pool)
            assert_tree_holds_all(self.part.tree())

    def assign(self, centroids, labelled=True):
        """Return the step of brute force, its labels, and its means, after all are compared."""
        now = self.part._assign(centroids)
        with np.errstate(over="ignore"):
            labels = assign(self.points, centroids)
        step = self.dense.add_up(labels, self.k)
        np.testing.assert_array_equal(now.totals, step.sums.totals)
        np.testing.assert_array_equal(now.values, step.sums.values)
        if labelled:
            np.testing.assert_array_equal(now.labels, labels)
        return step, labels, self.dense.means(step, centroids)

    def step(self, centroids, labelled=True):
        """Compare the inertia too, also with a point set that never saw another; return means."""
        step = self.dense.step(centroids)
        expected, labels, means = self.assign(centroids, labelled)
        np.testing.assert_array_equal(step.counts, expected.counts)
        exact = math.fsum(np.square(self.points - centroids[labels]).ravel())
        assert step.inertia == pytest.approx(exact, rel=1e-12, abs=0)
        fresh = DensePoints(self.points, None, self.pool).step(centroids)
        assert step.inertia == fresh.inertia
        np.testing.assert_array_equal(step.sums.values, fresh.sums.values)
        np.testing.assert_array_equal(step.sums.totals, fresh.sums.totals)
        return means


def walk(points, centroids, engine, iterations=4):
    """Iterate, jump somewhere else and back, move hardly at all, and change places."""
    with Threads(2) as pool:
        it = Walk(points, len(centroids), engine, pool)
        for i in range(iterations):
            centroids = it.step(centroids, labelled=i % 2 == 0 or engine == "dense")
        jumps = [start_of(points, len(centroids), seed=1), centroids]
        moves = [centroids * (1 + 1e-9 * i) + 1e-7 * i for i in range(1, 4)]
        for there in [*jumps, *moves, centroids[::-1].copy()]:
            it.step(there)
    return it.part


def assign_each(points, engine, *places):
    with Threads(2) as pool:
        it = Walk(points, len(places[0]), engine, pool)
        for there in places:
            it.assign(there)


# ------------------------------------------------------------------------ points of every kind


@pytest.mark.parametrize(
    "engine, n, d, dtype",
    [("dense", 900, d, dtype) for d in (1, 2, 3, 7, 8, 16, 33, 100) for dtype in DTYPES]
    + [("tree", 5000, *kind) for kind in KINDS],
)
@pytest.mark.parametrize("k", [1, 2, 9, 40, 200])
def test_every_iteration_is_brute_force(engine, n, d, dtype, k):
    points = clusters(n, d, max(2, k // 2), dtype, seed=d)
    walk(points, start_of(points, k), engine)


@pytest.mark.parametrize(
    "engine, n",
    [("dense", n) for n in (31, 32, 33, 511, 512, 513, 1025)]
    + [("tree", n) for n in (1, 2, LEAF - 1, LEAF, LEAF + 1, 2 * LEAF + 1, 8191, 8193)],
)
@pytest.mark.parametrize("k", [1, 5, 9, 40, 300])
def test_sizes_around_a_block_or_a_leaf(engine, n, k):
    points = clusters(n, 3, 9, np.float32)
    k = min(k, n) if engine == "dense" else k
    walk(points, start_of(points, k), engine, iterations=2)


@pytest.mark.parametrize(
    "dtype, offset", [(np.float32, 1e4), (np.float32, 1e6), (np.float64, 1e8), (np.float64, -1e13)]
)
@pytest.mark.parametrize(
    "engine, n, d", [("dense", 700, 2), ("dense", 700, 16), ("dense", 700, 200), ("tree", 4000, 0)]
)
@pytest.mark.parametrize("k", [9, 40])
def test_far_from_the_origin(engine, n, d, dtype, offset, k):
    points = (clusters(n, d or FEATURES[dtype], 5, np.float64) + offset).astype(dtype)
    walk(points, start_of(points, k), engine)


@pytest.mark.parametrize("k", [9, 40])
@of_each_type
@both
def test_points_of_very_different_scales(engine, dtype, k):
    n, d = (4000, FEATURES[dtype]) if engine == "tree" else (800, 5)
    rng = np.random.default_rng(1)
    scales = 10.0 ** rng.integers(-12, 13, size=n)
    points = (scales[:, None] * (1 + 1e-3 * rng.standard_normal((n, d)))).astype(dtype)
    walk(points, start_of(points, k), engine)


@pytest.mark.parametrize(
    "engine, d", [*(("dense", d) for d in (1, 2, 3, 20)), *(("tree", d) for d in (1, 3, 4))]
)
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_ties_and_equal_centroids(engine, d, shift):
    n, levels = (4000, 12) if engine == "tree" else (800, 3)
    points = np.random.default_rng(d).integers(0, levels, (n, d)).astype(np.float32)
    some = start_of(points, 25) + shift
    walk(points, np.concatenate([some, some[:10], some[5:] + 0.5]), engine)


@pytest.mark.parametrize(
    "size, dtype",
    [(s, np.float64) for s in (1e-310, 1e-300, 1e-160, 1e-40, 1e-30, 1e30, 1e140)]
    + [(s, np.float32) for s in (1e-44, 1e-38, 1e30, 2e37)],
)
@both
def test_tiny_and_huge_values(engine, size, dtype):
    d = 3 if engine == "dense" else 2 if size > 1e36 else FEATURES[dtype]  # float64 beyond
    points = (clusters(2000, d, 9, np.float64) * size).astype(dtype)
    start = start_of(points, 20)
    assign_each(points, engine, start, start * 1.01, start * 1.02)


@both
def test_centroids_far_outside_the_data(engine):
    points = clusters(3000, 4 if engine == "dense" else 3, 5, np.float32)
    near = start_of(points, 20)
    far, farther = near.copy(), near.copy()
    far[3:] *= 1e30
    farther[7:] *= 1e200  # their squares overflow, and no caller of the dense engine gives them
    farthest = [farther, near * 1e200, near] if engine == "tree" else []
    assign_each(points, engine, near, far, near, far + 1.0, *farthest)


@pytest.mark.parametrize("distinct", [1, 3, 50])
@pytest.mark.parametrize("k", [1, 4, 70])
@both
def test_duplicates_only(engine, distinct, k):
    rng = np.random.default_rng(1)
    values = rng.standard_normal((distinct, 3)).astype(np.float32)
    points = values[rng.integers(distinct, size=3000)]
    walk(points, start_of(points, k), engine)


@of_each_type
@both
def test_constant_features_and_negative_zeros(engine, dtype):
    points = clusters(3000, FEATURES[dtype], 9, dtype)
    points[:, 1] = 7.5
    points[::2, 0] = np.where(points[::2, 0] > 0, 0.0, -0.0)
    walk(points, start_of(points, 20), engine)


@of_each_type
@pytest.mark.parametrize("n_far", [1, 40])
@both
def test_outliers(engine, n_far, dtype):
    points = clusters(5000, FEATURES[dtype], 9, dtype)
    points[:n_far] *= 1e12
    centroids = start_of(points[n_far:], 20)
    walk(points, centroids, engine)
    centroids[0] = points[0]
    part = walk(points, centroids, engine)
    if engine == "tree":
        cells = part.tree().cells
        assert (cells.stop - cells.start)[cells.inner < 0].max() <= LEAF


@pytest.mark.parametrize("k", [3, 40])
@both
def test_ties_of_whole_cells_go_to_the_first(engine, k):
    # Mirror images: in the plane between two centroids all points are as near to both.
    rng = np.random.default_rng(0)
    points = rng.random((3000, 3)).astype(np.float32)
    points[:, 0] = 0.5
    half = rng.random((k, 3))
    other = half * [-1, 1, 1] + [1, 0, 0]
    walk(points, np.concatenate([half, other]), engine, iterations=1)
    walk(points, np.concatenate([other, half]), engine, iterations=1)


@pytest.mark.parametrize("ulp", [0.0, 2.0**-56])
@both
def test_hardly_any_difference_is_left_to_rounding(engine, ulp):
    # Points within a few ulp of the plane between two centroids.
    rng = np.random.default_rng(3)
    points = rng.random((4000, 2))
    points[:, 0] = 0.1 + np.arange(-2000, 2000) * ulp
    there = rng.random((30, 2))
    there[15:, 1:] = there[:15, 1:]
    there[15:, 0] = 0.2 - there[:15, 0]
    walk(points, there, engine, iterations=1)


# ------------------------------------------------------------------------------ work and faults


@pytest.mark.parametrize(
    "engine, n, d, k",
    [("dense", 5000, 3, 40), ("dense", 5000, 40, 12), ("tree", 20_000, 1, 200),
     ("tree", 20_000, 3, 300)],
)  # fmt: skip
def test_the_same_bits_however_the_work_is_cut(engine, n, d, k, monkeypatch):
    assert trees.pays(n, d, k) == (engine == "tree")
    points = clusters(n, d, k, np.float32, spread=2.0)
    results = []
    monkeypatch.setattr(assignment, "CHUNK_PER_CLUSTER", 1)
    for threads, chunk in [(1, 16384), (2, 700), (3, 64), (7, 1000)]:
        monkeypatch.setattr(assignment, "CHUNK", chunk)
        monkeypatch.setattr(assignment, "MEDIUM_CHUNK", chunk)
        monkeypatch.setattr(trees, "CHUNK", chunk)
        results.append(kf.fit(points, k, n_threads=threads, tol=0, max_iter=15))
    for result in results[1:]:
        np.testing.assert_array_equal(result.centroids, results[0].centroids)
        np.testing.assert_array_equal(result.labels, results[0].labels)
        assert [i[:2] for i in result.history] == [i[:2] for i in results[0].history]


@pytest.mark.parametrize("engine, k", [("dense", 9), ("dense", 40), ("tree", 9), ("tree", 40)])
def test_an_update_that_is_interrupted_leaves_no_trace(engine, k, monkeypatch):
    monkeypatch.setattr(assignment, "MEDIUM_CHUNK", 500)
    monkeypatch.setattr(assignment, "CHUNK_PER_CLUSTER", 1)
    kernels, name, n, last = {
        "dense": (assignment.kernels, "reassign_points", 3000, 3),
        "tree": (tree_filter, "filter_cells", 20_000, 7),
    }[engine]
    calls, true = [], getattr(kernels, name)

    def break_off(*arguments):
        calls.append(0)
        if len(calls) == last:
            raise KeyboardInterrupt
        return true(*arguments)

    points = clusters(n, 3, k, np.float32)
    with Threads(2 if engine == "tree" else 1) as pool:
        it = Walk(points, k, engine, pool)
        before = start_of(points, k)
        centroids = it.step(before)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(kernels, name, break_off)
            it.dense.step(centroids)
        it.step(before)
        for _ in range(3):
            centroids = it.step(centroids)


def share_of(points, k):
    """Return the share of all distances that each iteration looked at."""
    shares = []
    with Threads(2) as pool:
        dense = DensePoints(points, None, pool)
        centroids = points[:k].astype(np.float64)
        for _ in range(8):
            step = dense.step(centroids)
            labels = sq_dists(points, centroids).argmin(axis=1)
            np.testing.assert_array_equal(labels_of(dense), labels)
            shares.append(part_of(dense)._assignment._share)
            centroids = dense.means(step, centroids)
    return shares


FEW_POINTS = [(50, 2, 8), (150, 4, 3), (500, 10, 8), (2500, 3, 8), (2500, 3, 32)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, d, k", FEW_POINTS)
def test_few_points_end_as_with_bounds_and_helpers(n, d, k, weighted, few, monkeypatch):
    points = clusters(n, d, k, np.float32, spread=2.0)
    weights = np.random.default_rng(0).integers(1, 4, n) / 2 if weighted else None

    def fit(n_threads):
        with monkeypatch.context() as patch:
            if n_threads > 1:
                patch.setattr("kmeans_fast.threads.WORTH_HELP", 0)
                patch.setattr(assignment, "WORTH_BOUNDS", 0)
            return kf.fit(points, k, sample_weight=weights, tol=0, n_threads=n_threads)

    alone, helped = fit(1), fit(3)
    for name in ("centroids", "labels", "counts"):
        np.testing.assert_array_equal(getattr(alone, name), getattr(helped, name))
    assert alone.inertia == helped.inertia
    assert [each[:2] for each in alone.history] == [each[:2] for each in helped.history]


@pytest.mark.parametrize("n, d, k", FEW_POINTS)
def test_few_points_wake_no_helper_and_keep_no_bounds(n, d, k, few, monkeypatch):
    def fail(*arguments):
        raise AssertionError("that is slower")

    monkeypatch.setattr(Threads, "_call", fail)
    monkeypatch.setattr(assignment.kernels, "reassign_points", fail)
    points = clusters(n, d, k, np.float32, spread=2.0)
    assert kf.fit(points, k, n_threads=4).n_iter > 1


def test_what_is_kept_of_centroids_far_out_is_gone_with_them():
    points = clusters(1000, 3, 9, np.float32)
    near = start_of(points, 9)
    far = near.copy()
    far[4] = 1e25  # no score tells anything
    assign_each(points, "dense", near, far, near, near + 0.1, far + 0.1, far)


@pytest.mark.parametrize("d, k", [(2, 60), (3, 200), (16, 40), (40, 8)])
def test_few_distances_are_looked_at(d, k, use):
    use("dense")
    shares = share_of(clusters(20_000, d, k, np.float32, spread=10.0), k)
    assert shares[0] == 1.0
    assert shares[-1] < 0.25


def test_where_nothing_can_be_left_out_all_distances_are_looked_at(monkeypatch):
    monkeypatch.setattr(assignment, "TRIAL", 512)
    monkeypatch.setattr(assignment, "LEAST_TRIAL", 512)
    points = np.random.default_rng(0).random((4000, 50)).astype(np.float32)
    assert share_of(points, 40)[1] > 0.9


def test_the_debug_switch_finds_a_wrong_label(monkeypatch):
    monkeypatch.setattr(dense_part, "CHECK", True)
    points = clusters(1000, 3, 9, np.float32)
    expected = kf.fit(points, 9, tol=0)

    def spoil(*arguments, true=assignment.kernels.reassign_points):
        answer = true(*arguments)
        labels = arguments[-2].labels
        labels[7] = (labels[7] + 1) % 9
        return answer

    monkeypatch.setattr(assignment.kernels, "reassign_points", spoil)
    with pytest.raises(AssertionError, match="1 labels are wrong: point 7 has"):
        kf.fit(points, 9, tol=0)
    assert expected.converged


# ------------------------------------------------------------------------------ trees alone


@pytest.mark.parametrize("k", [2, 9])
def test_cells_of_one_cluster_are_divided_and_joined_again(k):
    points = clusters(20_000, 3, 9, np.float32)
    near, far = start_of(points, k), start_of(points, k)
    far[1:] += 1000.0
    places = far, near, far[::-1].copy(), near, near[::-1].copy(), far
    assign_each(points, "tree", *places)


def test_where_a_tree_pays():
    assert trees.pays(400_000, 3, 64) and trees.pays(20_000, 3, 512)
    assert not trees.pays(400_000, 3, 4) and not trees.pays(2000, 3, 512)
    assert not trees.pays(400_000, 5, 512)


@pytest.mark.parametrize("k, dtype", [(256, np.uint8), (257, np.uint16)])
def test_the_type_of_the_labels(k, dtype, use):
    use("tree")
    points = clusters(3000, 3, 30, np.float32)
    assert kf.fit(points, k, init=start_of(points, k), max_iter=1).labels.dtype == dtype


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
                np.testing.assert_array_equal(now.labels, assign(points, centroids))


# ------------------------------------------------------- weights, bounds, kernels, the inertia


@pytest.mark.parametrize("k", [9, 40])
@of_each_type
def test_whole_weights_are_repetition(dtype, k):
    points = clusters(1000, 4, 20, dtype)
    weights = np.random.default_rng(2).integers(0, 4, 1000)
    start = points[np.flatnonzero(weights)[:k]].astype(np.float64)
    weighted = kf.fit(points, k, init=start, sample_weight=weights, tol=0, max_iter=12)
    repeated = kf.fit(points.repeat(weights, axis=0), k, init=start, tol=0, max_iter=12)
    np.testing.assert_array_equal(weighted.centroids, repeated.centroids)
    np.testing.assert_array_equal(weighted.counts, repeated.counts)
    np.testing.assert_array_equal(weighted.labels.repeat(weights), repeated.labels)
    assert [i[:2] for i in weighted.history] == [i[:2] for i in repeated.history]


@pytest.mark.parametrize("weights", [np.int64, np.float64])
def test_outliers_without_weight_do_not_disturb(weights):
    points = clusters(1000, 4, 20, np.float64)
    few = np.arange(1000) % 3 + weights(0.0 if weights is np.int64 else 0.25)
    far = np.concatenate([points, np.full((5, 4), 1e140)])
    none = np.concatenate([few, np.zeros(5)])
    start = points[:30]
    plain = kf.fit(points, 30, init=start, sample_weight=few, tol=0, max_iter=8)
    among = kf.fit(far, 30, init=start, sample_weight=none, tol=0, max_iter=8)
    if weights is np.int64:  # the quanta of fractional weights go by how many there are
        np.testing.assert_array_equal(among.centroids, plain.centroids)
    np.testing.assert_allclose(among.centroids, plain.centroids, rtol=1e-13)
    np.testing.assert_array_equal(among.labels[:1000], plain.labels)
    assert among.inertia == pytest.approx(plain.inertia, rel=1e-12)


@of_each_type
@pytest.mark.parametrize("d", [16, 17, 31, 32, 100])
def test_a_sum_of_squares_in_vectors_has_the_bits_written_down(dtype, d):
    values = clusters(20, d, 3, dtype)
    centroids = clusters(5, d, 3, np.float64)

    @numba.njit
    def add_up(values, i, centroids, k):
        return _lanes.add_squares(values, i, centroids, k)

    for i in range(20):
        expected = _lanes.add_squares(values, i, centroids, i % 5)
        assert add_up(values, i, centroids, i % 5) == expected


@of_each_type
@pytest.mark.parametrize("d, k", [(1, 5), (3, 9), (3, 40), (70, 40)])
@pytest.mark.parametrize("spread", [1.0, 1000.0])
def test_distances_are_within_their_bounds(dtype, d, k, spread):
    # Points about the middle and centroids far out, or both alike: each term of the error counts.
    points = clusters(2000, d, 20, dtype)
    centroids = spread * clusters(k, d, 5, np.float64, seed=1)

    def assert_bounds_hold(points, step, there):
        distances = np.sqrt(sq_dists(points, there)) * float(part_of(dense).framed.scale)
        own = distances[np.arange(len(points)), labels_of(dense)]
        assert (part_of(dense)._assignment._bounds.upper >= own * (1 - 1e-12)).all()
        distances[np.arange(len(points)), labels_of(dense)] = np.inf
        others = distances.min(axis=1)
        assert (part_of(dense)._assignment._bounds.lower <= others * (1 + 1e-12)).all()

    with Threads(1) as pool:
        dense = DensePoints(points, None, pool)
        for i in range(4):
            step = dense.step(centroids)
            assert_bounds_hold(points, step, centroids)
            centroids = dense.means(step, centroids) * (1 + 1e-3 * i)


@pytest.mark.parametrize("d", [1, 3, 8, 64, 65, 130])
def test_tiles_are_scored_as_written_down(d):
    rng = np.random.default_rng(d)
    width, row = _tiles.WIDTH, _tiles.ROW
    k = 10
    block, rows = assignment.aligned(2 * d * width), assignment.aligned(4 * row)
    block[:] = rng.standard_normal(block.size)
    centers = np.zeros((k + _tiles.ROWS, d), np.float32)
    centers[:k] = rng.standard_normal((k, d))
    half_norms = np.full(len(centers), np.inf, np.float32)
    half_norms[:k] = (centers[:k] ** 2).sum(axis=1) / 2
    candidates = np.append(rng.permutation(k), [k, k]).astype(np.int32)

    @numba.njit
    def scan(block, d, centers, half_norms, candidates, rows, out):
        for first in (0, 8):
            last = min(first + 8, candidates.size)
            _tiles.scan_tile(
                block, d * width, d, centers, half_norms, candidates, first, last, rows, width
            )
        _tiles.score_tile(block, d * width, d, centers, half_norms, 8, out, width)

    rows[: 2 * row] = np.inf
    plain, out = rows.copy(), assignment.aligned(8 * width)
    scan(block, d, centers, half_norms, candidates, rows, out)
    tile = d * width
    _tiles.scan_tile(
        block, tile, d, centers, half_norms, candidates, 0, candidates.size, plain, width
    )
    np.testing.assert_allclose(rows[: 2 * row], plain[: 2 * row], rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(rows[2 * row :], plain[2 * row :])
    expected = np.zeros_like(out)
    _tiles.score_tile(block, tile, d, centers, half_norms, 8, expected, width)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)


def exact_inertia(points, centroids, labels, repeats=None):
    """In fractions: nothing is rounded but the result."""
    total = Fraction(0)
    times = np.ones(len(points), int) if repeats is None else repeats
    for x, label, w in zip(points.tolist(), labels, times.tolist(), strict=True):
        for a, b in zip(x, centroids[label].tolist(), strict=True):
            total += w * (Fraction(a) - Fraction(b)) ** 2
    return float(total)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16])
@pytest.mark.parametrize("d", [1, 3, 40])
@pytest.mark.parametrize("offset", [0, 1000, -30000])
@pytest.mark.parametrize("weighted", [False, True])
def test_inertia_from_moments_is_the_exact_sum_rounded(dtype, d, offset, weighted, monkeypatch):
    monkeypatch.setattr(DensePoints, "_inertia_of_points", None)  # moments must do
    rng = np.random.default_rng(d)
    points = (100 * clusters(90, d, 5, np.float64) + offset).astype(dtype)
    weights = rng.integers(0, 4, 90) if weighted else None
    centroids = points[:7] + rng.uniform(-1, 1, (7, d))
    with Threads(2) as pool:
        dense = DensePoints(points, weights, pool)
        step = dense.step(centroids)
        expected = exact_inertia(points, centroids, labels_of(dense), weights)
        assert step.inertia == pytest.approx(expected, rel=1e-15)
        mean = dense.means(dense.add_up(np.zeros(90, np.uint8), 1), centroids[:1])
        one = exact_inertia(points, mean, np.zeros(90, int), weights)
        assert dense.variance == pytest.approx(one / dense.total_weight / d, rel=1e-14)


def far_out(dtype, far):
    """One point far out, in a cluster of its own: in its quanta the others are nothing."""
    points = np.concatenate([clusters(500, 3, 4, dtype), [[far, far, far]]]).astype(dtype)
    return points, np.concatenate([points[:4], points[-1:]]).astype(np.float64)


def about_0():
    """Of what lies about 0 the quanta leave out more than lies between points about 1."""
    rng = np.random.default_rng(0)
    about_0, about_1 = 1e-9 * rng.standard_normal((100, 3)), 1 + 1e-6 * rng.random((401, 3))
    return np.concatenate([about_0, about_1]).astype(np.float32), np.array([[0.0] * 3, [1.0] * 3])


@pytest.mark.parametrize(
    "points, centroids", [*(far_out(t, far) for t in DTYPES for far in (1e6, 1e12)), about_0()]
)
def test_inertia_comes_from_the_points_where_moments_lose_it(points, centroids):
    with Threads(2) as pool:
        dense = DensePoints(points, None, pool)
        inertia = dense.step(centroids).inertia
    expected = exact_inertia(points, centroids, labels_of(dense))
    assert inertia == pytest.approx(expected, rel=1e-12, abs=0)


def test_the_inertia_of_points_on_their_centroids_is_zero():
    points = clusters(50, 3, 4, np.float32)
    assert kf.fit(points, 50, init=points, max_iter=1).inertia == 0.0

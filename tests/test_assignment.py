"""The dense engine from one assignment to the next: bounds, rounding, sums kept up to date."""

import math
from fractions import Fraction

import numba
import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast.dense import assignment, tree
from kmeans_fast.dense import part as dense_part
from kmeans_fast.dense.points import DensePoints
from kmeans_fast.kernels import _lanes, _tiles
from kmeans_fast.threads import Threads
from tests.naive import clusters, labels_of, part_of

DTYPES = [np.float32, np.float64]


@pytest.fixture(autouse=True)
def without_a_tree(monkeypatch):
    monkeypatch.setattr(tree, "LEAST_POINTS", 10**9)


def sq_dists(points, centroids):
    """In the reference's order: feature after feature."""
    total = np.zeros((len(points), len(centroids)))
    for j in range(points.shape[1]):
        t = points[:, j, None].astype(np.float64) - centroids[None, :, j]
        total += t * t
    return total


def assert_step_is_brute_force(points, dense, centroids):
    """Compare a step with brute force and with a point set that never saw another."""
    step = dense.step(centroids)
    distances = sq_dists(points, centroids)
    labels = distances.argmin(axis=1)
    np.testing.assert_array_equal(labels_of(dense), labels)
    np.testing.assert_array_equal(step.counts, np.bincount(labels, minlength=len(centroids)))
    exact = math.fsum(distances[np.arange(len(points)), labels])
    assert step.inertia == pytest.approx(exact, rel=1e-12, abs=0)
    with Threads(1) as pool:
        fresh = DensePoints(points, None, pool).step(centroids)
    assert step.inertia == fresh.inertia
    np.testing.assert_array_equal(step.sums.values, fresh.sums.values)
    np.testing.assert_array_equal(step.sums.totals, fresh.sums.totals)


def assert_walk_is_brute_force(points, centroids, iterations=4, threads=2):
    """Iterate, jump somewhere else and back, then move hardly at all; compare each step."""
    rng = np.random.default_rng(0)
    with Threads(threads) as pool:
        dense = DensePoints(points, None, pool)
        for _ in range(iterations):
            assert_step_is_brute_force(points, dense, centroids)
            centroids = dense.means(dense.step(centroids), centroids)
        jumps = [points[rng.choice(len(points), len(centroids))].astype(np.float64), centroids]
        for there in [*jumps, *(centroids * (1 + 1e-9 * i) + 1e-7 * i for i in range(1, 4))]:
            assert_step_is_brute_force(points, dense, there)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d", [1, 2, 3, 7, 8, 16, 33, 100])
@pytest.mark.parametrize("k", [1, 2, 9, 40])
def test_every_iteration_is_brute_force(dtype, d, k):
    points = clusters(900, d, max(2, k // 2), dtype, seed=d)
    assert_walk_is_brute_force(points, points[:k].astype(np.float64))


@pytest.mark.parametrize("n", [31, 32, 33, 511, 512, 513, 1025])
@pytest.mark.parametrize("k", [9, 40, None])
def test_sizes_around_a_block(n, k):
    k = min(k or n, n, 300)
    points = clusters(n, 3, 9, np.float32)
    assert_walk_is_brute_force(points, points[:k].astype(np.float64), iterations=2)


@pytest.mark.parametrize("k", [9, 40])
@pytest.mark.parametrize("d", [2, 16, 200])
@pytest.mark.parametrize(
    "dtype, offset", [(np.float32, 1e4), (np.float32, 1e6), (np.float64, 1e8), (np.float64, -1e13)]
)
def test_far_from_the_origin(dtype, offset, d, k):
    points = (clusters(700, d, 5, np.float64) + offset).astype(dtype)
    assert_walk_is_brute_force(points, points[:k].astype(np.float64))


@pytest.mark.parametrize("k", [9, 40])
@pytest.mark.parametrize("dtype", DTYPES)
def test_clusters_of_very_different_scales(dtype, k):
    rng = np.random.default_rng(1)
    scales = 10.0 ** rng.integers(-6, 7, size=800)
    points = (scales[:, None] * (1 + 1e-3 * rng.standard_normal((800, 5)))).astype(dtype)
    assert_walk_is_brute_force(points, points[:k].astype(np.float64))


@pytest.mark.parametrize("d", [1, 2, 3, 20])
def test_ties_and_equal_centroids(d):
    points = np.random.default_rng(d).integers(0, 3, (800, d)).astype(np.float32)
    centroids = np.concatenate([points[:30], points[:10], points[5:20] + 0.5]).astype(np.float64)
    assert_walk_is_brute_force(points, centroids)


def assert_labels_are_brute_force(points, *places):
    with Threads(1) as pool:
        dense = DensePoints(points, None, pool)
        for there in places:
            dense.step(there)
            labels = sq_dists(points, there).argmin(axis=1)
            np.testing.assert_array_equal(labels_of(dense), labels)


@pytest.mark.parametrize("size", [1e-300, 1e-160, 1e-40, 1e-30, 1e30, 1e140])
def test_tiny_and_huge_values(size):
    points = clusters(400, 3, 9, np.float64) * size
    start = points[:20].copy()
    assert_labels_are_brute_force(points, start, start * 1.01, start * 1.02)


def test_centroids_far_outside_the_data():
    points = clusters(500, 4, 5, np.float32)
    near = points[:20].astype(np.float64)
    far = near.copy()
    far[3:] *= 1e30
    assert_labels_are_brute_force(points, near, far, near, far + 1.0)


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


@pytest.mark.parametrize("d, k", [(2, 60), (3, 200), (16, 40), (40, 8)])
def test_few_distances_are_looked_at(d, k):
    shares = share_of(clusters(20_000, d, k, np.float32, spread=10.0), k)
    assert shares[0] == 1.0
    assert shares[-1] < 0.25


def test_where_nothing_can_be_left_out_all_distances_are_looked_at(monkeypatch):
    monkeypatch.setattr(assignment, "TRIAL", 512)
    monkeypatch.setattr(assignment, "LEAST_TRIAL", 512)
    points = np.random.default_rng(0).random((4000, 50)).astype(np.float32)
    assert share_of(points, 40)[1] > 0.9


@pytest.mark.parametrize("k", [9, 40])
def test_an_update_that_is_interrupted_leaves_no_trace(k, monkeypatch):
    points = clusters(3000, 3, k, np.float32)
    monkeypatch.setattr(assignment, "MEDIUM_CHUNK", 500)
    monkeypatch.setattr(assignment, "CHUNK_PER_CLUSTER", 1)
    centroids = points[:k].astype(np.float64)
    calls = []

    def break_off(*arguments, true=assignment.kernels.reassign_points):
        calls.append(0)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return true(*arguments)

    with Threads(1) as pool:
        dense = DensePoints(points, None, pool)
        centroids = dense.means(dense.step(centroids), centroids)
        monkeypatch.setattr(assignment.kernels, "reassign_points", break_off)
        with pytest.raises(KeyboardInterrupt):
            dense.step(centroids)
        for _ in range(3):
            step = dense.step(centroids)
            assert_step_is_brute_force(points, dense, centroids)
            centroids = dense.means(step, centroids)


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


@pytest.mark.parametrize("k", [9, 40])
@pytest.mark.parametrize("dtype", DTYPES)
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


@pytest.mark.parametrize("dtype", DTYPES)
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


@pytest.mark.parametrize("d, k", [(3, 40), (40, 12)])
def test_the_same_bits_however_the_work_is_cut(d, k, monkeypatch):
    points = clusters(5000, d, k, np.float32, spread=2.0)
    results = []
    for threads, chunk in [(1, 16384), (2, 700), (3, 64), (7, 1000)]:
        monkeypatch.setattr(assignment, "CHUNK", chunk)
        monkeypatch.setattr(assignment, "MEDIUM_CHUNK", chunk)
        monkeypatch.setattr(assignment, "CHUNK_PER_CLUSTER", 1)
        results.append(kf.fit(points, k, n_threads=threads, tol=0, max_iter=15))
    for result in results[1:]:
        np.testing.assert_array_equal(result.centroids, results[0].centroids)
        np.testing.assert_array_equal(result.labels, results[0].labels)
        assert [i[:2] for i in result.history] == [i[:2] for i in results[0].history]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("d, k", [(1, 5), (3, 9), (3, 40), (70, 40)])
@pytest.mark.parametrize("spread", [1.0, 1000.0])
def test_distances_are_within_their_bounds(dtype, d, k, spread):
    # Points about the middle and centroids far out, or both alike: each term of the error counts.
    points = clusters(2000, d, 20, dtype)
    centroids = spread * clusters(k, d, 5, np.float64, seed=1)

    def assert_bounds_hold(points, step, there):
        distances = np.sqrt(sq_dists(points, there)) * float(part_of(dense)._data.scale)
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
    block, rows = assignment._aligned(2 * d * width), assignment._aligned(4 * row)
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
    plain, out = rows.copy(), assignment._aligned(8 * width)
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

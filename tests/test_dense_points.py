"""The point set of any numbers, held against the reference."""

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

from kmeans_fast import ColorHistogram, fit
from kmeans_fast import reference as ref
from kmeans_fast.dense import facts as dense_facts
from kmeans_fast.dense import part as dense_part
from kmeans_fast.dense.points import DensePoints
from kmeans_fast.exact import quanta
from kmeans_fast.kernels import dense_sums
from kmeans_fast.threads import Threads
from tests.naive import assign, labels_of, part_of

DTYPES = [np.float32, np.float64, np.float16, np.int16, np.int64, np.bool_]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    """Make many chunks of small data."""
    monkeypatch.setattr(dense_part, "CHUNK", 32)


def random_points(n, d, dtype=np.float64, seed=0):
    points = np.random.default_rng(seed).normal(size=(n, d))
    if np.dtype(dtype).kind in "biu":
        return (100 * points if np.dtype(dtype) != np.bool_ else points > 0.5).astype(dtype)
    return points.astype(dtype)


def check_step(points, centroids, weights=None, threads=1):
    """Hold one assignment and its means against the reference; return the point set's means."""
    with Threads(threads) as pool:
        point_set = DensePoints(points, weights, pool)
        labels, counts, inertia = point_set.label(centroids)
        means = point_set.means(point_set.step(centroids), np.full(centroids.shape, np.nan))
    k = len(centroids)
    assert labels.dtype == ref.label_dtype(k)
    assert np.array_equal(labels, assign(points, centroids))
    expected = ref.means(points, labels, k, weights)
    assert np.array_equal(means, expected, equal_nan=True)
    if weights is None or np.array_equal(weights, np.rint(weights)):
        assert counts.dtype == np.int64
    np.testing.assert_allclose(
        counts, np.bincount(labels, weights, minlength=k), rtol=1e-14, atol=1e-300
    )
    exact = ref.inertia(points, labels, centroids, weights)
    assert inertia == pytest.approx(exact, rel=1e-12, abs=0)
    return means


# ------------------------------------------------------------------------ assign and means


@pytest.mark.parametrize("d", [1, 2, 3, 7, 8, 16, 33])
@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_means_counts_and_inertia_are_the_references(dtype, d):
    points = random_points(100, d, dtype, seed=d)
    check_step(points, random_points(5, d, seed=9) * np.abs(points.astype(float)).max())


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 64, 255, 256, 257, 600])
@pytest.mark.parametrize("d", [3, 40])
def test_sizes_around_a_chunk_and_a_block(n, d, monkeypatch):
    points = random_points(n, d, np.float32)
    centroids = random_points(4, d, seed=1)
    few = check_step(points, centroids)
    monkeypatch.setattr(dense_part, "CHUNK", 8192)
    assert np.array_equal(check_step(points, centroids), few, equal_nan=True)


def test_floats_in_c_order_are_not_copied():
    points = random_points(50, 3, np.float32)
    with Threads(1) as pool:
        kept = part_of(DensePoints(points, None, pool)).points
        assert np.shares_memory(kept, points)
        assert not kept.flags.writeable
    assert points.flags.writeable


@pytest.mark.parametrize("d", [3, 4, 5, 9, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squares_are_added_in_the_order_of_the_features(d, dtype):
    # Every centroid has the same coordinates in another order: only rounding tells them apart.
    rng = np.random.default_rng(d)
    coordinates = rng.normal(size=d)
    centroids = np.array([rng.permutation(coordinates) for _ in range(30)])
    points = np.repeat(rng.normal(size=(50, 1)), d, axis=1).astype(dtype)
    check_step(points, centroids)
    with Threads(1) as pool:
        labels = DensePoints(points, None, pool).label(centroids)[0]
    assert np.array_equal(labels, ref.assign(points, centroids))


def test_integers_at_the_limit_are_exact():
    points = np.array([[2**53], [2**53 - 1], [-(2**53)], [2**53 - 1]] * 40, np.int64)
    check_step(points, np.array([[2.0**53], [0.0]]))
    check_step(points, np.array([[2.0**53], [0.0]]), np.full(160, 2**40))
    check_step(np.array([[2**31 - 1], [2**24 + 1], [-(2**31)]], np.int32), np.array([[0.5]]))
    check_step(points.clip(0).astype(np.uint64), np.array([[2.0**53], [0.0]]))


def test_relocation_keeps_the_inertia_of_the_assignment():
    centroids, values = np.array([[1.0], [99.0]]), np.array([[1.0], [4.0]])
    with Threads(1) as pool:
        colors = ColorHistogram(values.astype(np.uint8)).as_points(pool)
        for points in (DensePoints(values, None, pool), colors):
            step = points.relocate(points.step(centroids), centroids)
            assert step.inertia == 9.0
            assert step.counts.reshape(-1).tolist() == [1, 1]


@pytest.mark.parametrize("n_distinct, k", [(1, 3), (7, 9)])
@pytest.mark.parametrize("d", [3, 9])
def test_few_distinct_points_are_moved_and_drawn_in_little_memory(n_distinct, d, k, monkeypatch):
    monkeypatch.setattr(dense_part, "CHUNK", 16384)
    values = random_points(n_distinct, d, np.float32)
    n, per_chunk = 400_000, 2 * 16384 * 8 * 16  # of both threads: sixteen numbers a point
    points = values[np.random.default_rng(0).integers(0, n_distinct, n)]
    start = np.concatenate([values[:1], np.full((k - 1, d), 50.0)]).astype(np.float64)
    for _ in range(2):  # what is compiled takes memory too
        with Threads(2) as pool:
            point_set = DensePoints(points, None, pool)
            step = point_set.step(start)
            part_of(point_set).labels(start)  # which are the assignment's
            tracemalloc.start()
            moved = point_set.relocate(step, start)
            sample = point_set.sample_distinct(k, np.random.default_rng(0))
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    assert np.count_nonzero(moved.counts) == len(np.unique(sample, axis=0)) == n_distinct
    assert peak < per_chunk + 2 * n


# ----------------------------------------------------------------------------- weights


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int64, np.uint8, bool])
@pytest.mark.parametrize("kind", ["whole", "fractions", "huge", "tiny", "mixed"])
def test_weights(dtype, kind):
    rng = np.random.default_rng(4)
    points = random_points(90, 5, dtype)
    weights = {
        "whole": rng.integers(0, 6, 90),
        "fractions": rng.random(90) * (rng.random(90) > 0.2),
        "huge": rng.integers(1, 9, 90) * 2**52,
        "tiny": rng.random(90) * 1e-100,
        "mixed": 10.0 ** rng.integers(-10, 10, 90),
    }[kind]
    with Threads(2) as pool:
        point_set = DensePoints(points, weights, pool)
        assert point_set.total_weight == pytest.approx(weights.sum(dtype=float), rel=1e-11)
        step = point_set.step(points[:4].astype(float))
        means = point_set.means(step, np.full((4, 5), np.nan))
    expected = ref.means(points, labels_of(point_set), 4, weights)
    assert np.array_equal(means, expected, equal_nan=True)
    exact = ref.inertia(points, labels_of(point_set), points[:4], weights)
    # Beside 8-bit integers a weight keeps 47 bits here, so that all sums fit one int64.
    rel = 1e-11 if np.dtype(dtype).itemsize == 1 else 1e-12
    assert step.inertia == pytest.approx(exact, rel=rel, abs=0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8])
def test_whole_weights_give_the_bits_of_repeating_the_points(dtype):
    rng = np.random.default_rng(5)
    points = random_points(80, 5, dtype)
    points[7] = 120  # largest of all, and of no weight
    weights = rng.integers(0, 7, 80)
    weights[7] = 0
    centroids = points[:5].astype(float)
    with Threads(2) as pool:
        weighted = DensePoints(points, weights.astype(float), pool)
        repeated = DensePoints(points.repeat(weights, axis=0), None, pool)
        a, b = weighted.step(centroids), repeated.step(centroids)
        assert np.array_equal(a.counts, b.counts)
        assert a.inertia == b.inertia
        assert np.array_equal(weighted.means(a, centroids), repeated.means(b, centroids))
        assert weighted.variance == repeated.variance
        assert weighted.total_weight == repeated.total_weight == weights.sum()
        for seed in range(20):
            searches = []
            for point_set in (weighted, repeated):
                rng = np.random.default_rng(seed)
                search = point_set.nearest_search()
                search.add(point_set.draw(rng))
                found = search.draw(9, rng)
                searches.append((found, search.potentials(found)))
            assert np.array_equal(searches[0][0], searches[1][0])
            assert np.array_equal(searches[0][1], searches[1][1])


# ----------------------------------------------------------------------------- threads


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_same_bits_on_any_number_of_threads_and_in_any_chunks(dtype, weighted, monkeypatch):
    points = random_points(3000, 7, dtype) * np.logspace(-3, 3, 7).astype(dtype)
    weights = np.random.default_rng(1).random(3000) if weighted else None
    answers = []
    for threads, chunk in [(1, 32), (2, 32), (3, 32), (1, 8192), (2, 777)]:
        monkeypatch.setattr(dense_part, "CHUNK", chunk)
        with Threads(threads) as pool:
            point_set = DensePoints(points, weights, pool)
            rng = np.random.default_rng(0)
            search = point_set.nearest_search()
            centroids = [point_set.draw(rng)]
            for _ in range(8):
                search.add(centroids[-1])
                candidates = search.draw(4, rng)
                potentials = search.potentials(candidates)
                centroids.append(candidates[potentials.argmin()])
            step = point_set.step(np.array(centroids))
            answer = [
                labels_of(point_set), step.counts, step.inertia, potentials, point_set.variance,
                point_set.means(step, np.array(centroids)), point_set.sample_distinct(5, rng),
            ]  # fmt: skip
        answers.append(answer)
    for answer in answers[1:]:
        for mine, first in zip(answer, answers[0], strict=True):
            assert np.array_equal(mine, first)


def test_centroids_out_of_reach_are_refused():
    with Threads(1) as pool:
        points = DensePoints(np.array([[1.0], [2.0]]), None, pool)
        with pytest.raises(ValueError, match=r"centroids hold values up to 1e\+200"):
            points.step(np.array([[1e200]]))


# ----------------------------------------------------------------------------- kernels


@pytest.mark.parametrize("weights", [np.array([2**53 - 1, 1]), np.array([2.0**53, 0.0])])
def test_whole_weights_are_copies_below_2_to_the_53(weights):
    for less, whole in [(0, False), (1, True)]:
        weights[0] -= less
        with Threads(1) as pool:
            rule = DensePoints(np.ones((2, 1)), weights, pool).facts.rule
        assert (rule.are_repeats, not rule.are_factors) == (whole, whole)


@pytest.mark.parametrize("least", [1.0, 2.0**-30, 2.0**-70, 2.0**-300])
def test_limbs_hold_a_value_and_have_room_for_all(least):
    rng = np.random.default_rng(0)
    for n, largest in [(1, 1.0), (3, 0.3), (1000, 5e10), (2**35, 1e-200), (2**50, 7.0)]:
        finest = quanta.spacing(largest * least)
        units = quanta.choose_quanta(largest, n, quanta.depth(largest, finest), quanta.NARROW)
        assert units[-1] == finest
        values = np.array([*(largest * rng.uniform(-1, 1, 50)), largest, -largest, 0.0])
        values = np.concatenate([values, values * least])
        values = values[(np.abs(values) >= largest * least) | (values == 0.0)]
        for value in values:
            sums = np.zeros((1, len(units), 1), np.int64)
            dense_sums.add_row(np.array([[value]]), 0, 1, quanta.as_anchors(units), sums, 0)
            limbs = sums[0, :, 0]
            assert np.abs(limbs).max() * n <= 2**62
            assert int(quanta.join(limbs, units)) * Fraction(units[-1]) == Fraction(value)


@pytest.mark.parametrize("weights", [None, [1, 0, 3] * 100, [0.25, 0.0, 1.5] * 100])
def test_the_variance_is_the_same_before_and_after_a_step(weights):
    points = np.random.default_rng(0).normal(5, 2, (300, 3))
    sample_weight = None if weights is None else np.array(weights)
    with Threads(1) as pool:
        before = DensePoints(points, sample_weight, pool)
        after = DensePoints(points, sample_weight, pool)
        after.step(points[:4])
        assert after.variance == before.variance
    assert before.variance == pytest.approx(
        np.mean(np.average((points - np.average(points, 0, weights)) ** 2, 0, weights)), rel=1e-14
    )


# --------------------------------------------------------------------------- whole numbers


@pytest.mark.parametrize("weighting", [None, "whole", "fractions"])
@pytest.mark.parametrize("d", [5, 8, 17])  # fewer of uint8 are colours
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint8, np.int8])
def test_whole_numbers_give_the_bits_of_floats(dtype, d, weighting, monkeypatch):
    rng = np.random.default_rng(d)
    info = np.iinfo(dtype)
    places = rng.integers(info.min, info.max, (30, d))
    spread = places[rng.integers(30, size=700)] + rng.normal(0, 20, (700, d))
    points = spread.clip(info.min, info.max).astype(dtype)
    points[:2] = [[info.min], [info.max]]
    weights = {None: None, "whole": rng.integers(0, 5, 700), "fractions": rng.random(700)}
    options = {"sample_weight": weights[weighting], "max_iter": 8, "n_threads": 2}
    for k, init in ((3, "k-means++"), (60, "k-means++"), (40, "random"), (5, points[:5] // 2)):
        found = fit(points, k, init=init, **options)
        expected = fit(points.astype(np.float32), k, init=init, **options)
        assert np.array_equal(found.centroids, expected.centroids)
        assert np.array_equal(found.labels, expected.labels)
        assert np.array_equal(found.counts, expected.counts)
        assert found.inertia == expected.inertia


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_whole_numbers_are_not_copied(dtype):
    points = np.arange(600, dtype=dtype).reshape(100, 6)
    with Threads(1) as pool:
        assert np.shares_memory(part_of(DensePoints(points, None, pool)).points, points)
        assert part_of(DensePoints(points.astype(np.uint8), None, pool)).points.itemsize == 2


def test_many_whole_numbers_of_four_features_go_in_no_tree(monkeypatch):
    points = random_points(30_000, 4, np.int16)
    with Threads(1) as pool:
        few = DensePoints(points, None, pool)
        monkeypatch.setattr(dense_facts, "MOST_IN_TREE", 1000)
        many = DensePoints(points, None, pool)
        kinds = [part_of(each).points.dtype for each in (few, many)]
        assert kinds == [np.float32, np.int16]
        centroids = points[:40].astype(float)
        assert np.array_equal(few.label(centroids)[0], many.label(centroids)[0])
        assert few.label(centroids)[2] == many.label(centroids)[2]

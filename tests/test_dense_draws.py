"""Draws from dense points: by weight, by weight times squared distance, and distinct."""

import numpy as np
import pytest

from kmeans_fast.dense.points import DensePoints
from kmeans_fast.threads import Threads
from tests.test_dense_points import random_points, small_chunks  # noqa: F401


def drawn_shares(draw, n_values, n=4000):
    values = np.concatenate([draw() for _ in range(n // 4)])[:, 0].astype(int)
    return np.bincount(values, minlength=n_values) / len(values)


@pytest.mark.parametrize("scale", [1, 0.3, 2.0**50])
def test_draw_goes_by_weight(scale):
    weights = np.array([0, 1, 2, 0, 5, 0]) * scale
    rng = np.random.default_rng(0)
    with Threads(1) as pool:
        points = DensePoints(np.arange(6.0)[:, None], weights, pool)
        shares = drawn_shares(lambda: np.stack([points.draw(rng) for _ in range(4)]), 6)
    np.testing.assert_allclose(shares, weights / weights.sum(), atol=0.03)
    assert (shares[weights == 0] == 0).all()


@pytest.mark.parametrize("scale", [1, 0.3, 2.0**33])
def test_search_draws_by_weight_times_squared_distance(scale):
    weights = np.array([3, 1, 2, 0, 1, 1]) * scale
    values = np.arange(6.0)
    rng = np.random.default_rng(0)
    with Threads(2) as pool:
        points = DensePoints(values[:, None], weights, pool)
        search = points.nearest_search()
        search.add(np.array([1.0]))
        search.add(np.array([5.0]))
        shares = drawn_shares(lambda: search.draw(4, rng), 6)
        potentials = search.potentials(np.array([[0.0], [4.0], [9.0]]))
    closest = np.minimum((values - 1) ** 2, (values - 5) ** 2)
    expected = weights * closest
    np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.03)
    assert (shares[expected == 0] == 0).all()
    for center, potential in zip([0.0, 4.0, 9.0], potentials, strict=True):
        exact = (weights * np.minimum(closest, (values - center) ** 2)).sum()
        assert potential == pytest.approx(exact, rel=1e-14)


def test_search_sees_small_distances_beside_large_data():
    points = np.concatenate([np.full((50, 1), 1e12), random_points(50, 1)])
    with Threads(1) as pool:
        search = DensePoints(points, None, pool).nearest_search()
        search.add(points[0])
        search.add(points[60])
        found = search.draw(40, np.random.default_rng(0))
        assert (np.abs(found) < 10).all()
        assert len(np.unique(found)) > 5


def test_where_every_point_is_a_center_any_is_drawn_by_weight():
    with Threads(1) as pool:
        points = DensePoints(np.array([[1.0], [2.0]]), np.array([0, 3]), pool)
        search = points.nearest_search()
        search.add(np.array([2.0]))
        assert search.draw(3, np.random.default_rng(0)).tolist() == [[2.0]] * 3
        assert search.potentials(np.array([[1.0]])).tolist() == [0.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sample_distinct(dtype):
    rng = np.random.default_rng(0)
    points = rng.integers(0, 20, (3000, 1)).astype(dtype)
    points[points == 0] *= rng.choice([-1, 1], np.count_nonzero(points == 0)).astype(dtype)
    points[:2900] = 1  # one value with nearly all the copies
    with Threads(1) as pool:
        point_set = DensePoints(points, None, pool)
        for n in (1, 2, 5, 20):
            sample = point_set.sample_distinct(n, rng)
            assert sample.dtype == np.float64
            assert sample.shape == (n, 1)
            assert len(np.unique(sample)) == n
        more = point_set.sample_distinct(50, rng)
        assert len(np.unique(more)) == len(np.unique(more[:20])) == 20


def test_sample_distinct_goes_by_weight():
    weights = np.array([0.0, 1.0, 2.0, 0.0, 5.0])
    rng = np.random.default_rng(0)
    with Threads(1) as pool:
        points = DensePoints(np.arange(5.0)[:, None], weights, pool)
        pairs = np.stack([points.sample_distinct(2, rng)[:, 0] for _ in range(3000)])
        assert set(points.sample_distinct(5, rng)[:, 0]) == {1.0, 2.0, 4.0}
    first = np.bincount(pairs[:, 0].astype(int), minlength=5) / 3000
    np.testing.assert_allclose(first, weights / 8, atol=0.03)
    second = pairs[pairs[:, 0] == 4.0][:, 1]  # of 1 and 2, what is left
    assert np.mean(second == 2.0) == pytest.approx(2 / 3, abs=0.04)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_n_distinct(dtype):
    points = np.random.default_rng(0).integers(0, 9, (500, 2)).astype(dtype)
    weights = (points[:, 0] > 3).astype(int)
    if np.dtype(dtype).kind == "f":
        points[::2][points[::2] == 0] = -0.0
    n = len(np.unique(points, axis=0))
    with Threads(1) as pool:
        all_points, some = DensePoints(points, None, pool), DensePoints(points, weights, pool)
        assert [all_points.n_distinct(limit) for limit in (1, 7, n, n + 1, 999)] == [1, 7, n, n, n]
        assert some.n_distinct(999) == len(np.unique(points[weights > 0], axis=0))

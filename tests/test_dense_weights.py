"""Weights of dense points: copies, fractions, and what is too large or too small."""

import numpy as np
import pytest

from kmeans_fast import reference as ref
from kmeans_fast.dense.points import DensePoints
from kmeans_fast.threads import Threads
from tests.naive import labels_of
from tests.test_dense_points import random_points, small_chunks  # noqa: F401


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

"""Sums are exact, whatever values and weights lie beside each other."""

import math
from fractions import Fraction

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast import reference as ref
from kmeans_fast.dense.points import DensePoints
from kmeans_fast.threads import Threads
from tests.naive import part_of


def two_groups(n, far, dtype):
    """Return a half of `n` points in 0 to 0.01, half in 1 to 1.01, and ten far out."""
    rng = np.random.default_rng(0)
    near = rng.random(n) * 0.01
    near[n // 2 :] += 1.0
    return np.append(near, np.full(10, far)).astype(dtype)[:, None]


@pytest.mark.parametrize(
    ("n", "far", "dtype"),
    [
        (1000, 1e20, np.float32),
        (1000, 9.97e36, np.float32),
        (1000, -3.4e38, np.float32),
        (1000, 1e25, np.float64),
        (1000, -1e149, np.float64),
        (100_000, 1e12, np.float32),  # in a tree
        (100_000, 1e25, np.float64),
    ],
)
def test_values_far_out_take_no_digit_of_the_others(n, far, dtype):
    points = two_groups(n, far, dtype)
    groups = np.repeat([0, 1, 2], [n // 2, n // 2, 10])
    start = points[[0, n // 2, n]]
    expected = np.array([math.fsum(points[groups == j, 0]) for j in range(3)])
    expected = expected[:, None] / [[n // 2], [n // 2], [10]]
    result = kf.fit(points, 3, init=start, tol=0)
    assert np.array_equal(result.labels, groups)
    assert np.array_equal(result.centroids, ref.means(points, groups, 3))
    assert np.array_equal(kf.means(points, groups, 3), result.centroids)
    np.testing.assert_allclose(result.centroids, expected, rtol=3e-16)
    inertia = ref.inertia(points, groups, result.centroids)
    assert result.inertia == pytest.approx(inertia, rel=1e-12)
    seeded = kf.fit(points, 3)  # as people call it
    if abs(far) < 1e40:  # k-means++ tells apart what is a part in 2**125 of all
        assert seeded.inertia == pytest.approx(inertia, rel=1e-3)
        assert np.array_equal(seeded.centroids, ref.means(points, seeded.labels, 3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_variance_beside_values_far_out(dtype):
    points = two_groups(1000, 1e20, dtype)
    with Threads(1) as threads:
        found = DensePoints(points, None, threads).variance
    mean = float(ref.means(points, [0] * len(points), 1)[0, 0])
    assert found == pytest.approx(ref.inertia(points, [0] * len(points), [[mean]]) / 1010)


def test_fractional_weights_of_pixels_are_as_exact_as_those_of_floats():
    pixels, weights = np.uint8([1, 1, 5, 5, 100, 100])[:, None], [1e8] * 4 + [1e-8] * 2
    result = kf.fit(pixels, 3, sample_weight=weights)
    assert sorted(result.centroids[:, 0]) == [1.0, 5.0, 100.0]
    assert sorted(result.counts) == [2e-8, 2e8, 2e8]
    assert result.inertia == 0.0


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_small_weights_are_not_lost_beside_many_of_one(dtype):
    values = np.append(np.zeros(2**12), [200, 200, 100, 100]).astype(dtype)[:, None]
    weights = np.append(np.ones(2**12), [1.6e-17, 1.6e-17, 1.8e-17, 1.8e-17])
    labels = (weights < 1).astype(int)
    means = kf.means(values, labels, 2, sample_weight=weights)
    assert means[1, 0] == pytest.approx(2500 / 17, rel=1e-15)
    assert np.array_equal(means, ref.means(values, labels, 2, weights))


def test_gaussian_weights_leave_no_color_out():
    y, x = np.mgrid[:128, :128] - 64
    weights = np.exp(-(x**2 + y**2) / (2 * 7.5**2))
    picture = np.zeros((128, 128, 3), np.uint8)
    picture[:64, :64], picture[64:, :64], picture[:5] = (10, 20, 30), 200, (255, 0, 0)
    result = kf.fit(picture, 4, sample_weight=weights)
    expected = [(0, 0, 0), (10, 20, 30), (200, 200, 200), (255, 0, 0)]
    assert sorted(map(tuple, result.centroids.tolist())) == expected
    shares = [math.fsum(weights[result.labels == j]) for j in range(4)]
    assert np.array_equal(result.counts, shares)


@pytest.mark.parametrize(
    ("dtype", "channels"), [(np.uint8, 1), (np.uint8, 3), (np.uint16, 3), (np.uint16, 4)]
)
def test_weighted_pixels_have_the_bits_of_the_reference_after_every_iteration(dtype, channels):
    rng = np.random.default_rng(channels)
    pixels = rng.integers(0, np.iinfo(dtype).max, (300, channels)).astype(dtype)
    weights = np.exp(-745 * rng.random(300))  # down to denormals
    centroids = pixels[:5].astype(np.float64)
    for n_iter in range(1, 5):
        labels = ref.assign(pixels, centroids)
        centroids = ref.means(pixels, labels, 5, weights)
        result = kf.fit(pixels, 5, init=pixels[:5], sample_weight=weights, max_iter=n_iter, tol=0)
        assert np.array_equal(result.centroids, centroids)
    labels = ref.assign(pixels, centroids)
    counts = [float(sum(map(Fraction, weights[labels == j]))) for j in range(5)]
    assert np.array_equal(result.counts, counts)
    inertia = ref.inertia(pixels, labels, centroids, weights)
    assert result.inertia == pytest.approx(inertia, rel=1e-12)


def test_products_of_weights_and_values_do_not_underflow():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 2))
    weights = np.exp(-745 * rng.random(60))
    labels = np.arange(60) % 3
    means = kf.means(points, labels, 3, sample_weight=weights)
    assert np.array_equal(means, ref.means(points, labels, 3, weights))
    shown = r"sample_weight goes from 1 down to .*, and its products with the data underflow"
    with pytest.raises(ValueError, match=shown):
        kf.means([[1e140], [1e-300]], [0, 0], 1, sample_weight=[1.0, 1e-300])


@pytest.mark.parametrize("span", [1, 2.0**40, 2.0**70])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16])
def test_moments_lose_nothing_beside_their_quanta(dtype, span):
    rng = np.random.default_rng(0)
    points = 1000 * rng.random((300, 5))
    if dtype != np.uint16:
        points[:150] /= span  # what is small is no float64 beside the middle
    points = points.astype(dtype)
    with Threads(2) as pool:
        dense = DensePoints(points, None, pool)
        facts, limbs = dense.facts, part_of(dense).add_moments()
    middle = [Fraction(float(m)) for m in facts.middle]
    scale = Fraction(float(facts.scale))
    offsets = [
        (Fraction(float(x)) - m) * scale for row in points for x, m in zip(row, middle, strict=True)
    ]
    exact = sum(offset**2 for offset in offsets)
    found = sum(
        int(limb) * Fraction(unit) for limb, unit in zip(limbs, facts.square_quanta, strict=True)
    )
    assert abs(found - exact) <= len(offsets) * Fraction(2.0**-98)
    are_exact = all(Fraction(float(offset)) == offset for offset in offsets)
    assert are_exact or not facts.exact_offsets
    if dtype == np.uint16 or (dtype == np.float32 and span == 1):
        assert facts.exact_offsets

"""Centroids, labels and counts have the bits of the reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kmeans_fast as kf
from kmeans_fast.colors import counting, keys
from kmeans_fast.dense import part as dense_part

from . import naive
from .pictures import few_colors, noise, photograph, some_points

FORMATS = [
    (np.uint8, 1),
    (np.uint8, 2),
    (np.uint8, 3),
    (np.uint8, 4),
    (np.uint16, 1),  # two channels would be one kind more to compile, of eight kernels
    (np.uint16, 3),
]


def check_against_naive(picture, start, iterations, **options):
    result = kf.fit(picture, len(start), init=start, max_iter=iterations, tol=0, **options)
    points = picture.reshape(-1, picture.shape[-1])
    centroids, labels = naive.k_means(start, points, iterations)
    assert np.array_equal(result.centroids, centroids)
    assert np.array_equal(result.labels.reshape(-1), labels)
    assert np.array_equal(result.counts, np.bincount(labels, minlength=len(start)))
    differences = points - centroids[labels]
    assert result.inertia == pytest.approx(np.square(differences).sum(), rel=1e-12)
    return result


def test_naive_is_the_reference():
    picture = few_colors((12, 10, 3))
    start = some_points(picture, 4)
    centroids, labels = kf.reference.k_means(start, picture, 3)
    expected = naive.k_means(start, picture.reshape(-1, 3), 3)
    assert np.array_equal(centroids, expected[0])
    assert np.array_equal(labels.reshape(-1), expected[1])


@pytest.mark.parametrize(
    ("dtype", "channels", "k"),
    [
        (dtype, channels, k)
        for dtype, channels in FORMATS
        for k in (1, 2, 16, 100, 256, 257, 300)
        if k < 100 or (dtype, channels) != (np.uint8, 1)  # which has 200 greys here
    ],
)
def test_fit_of_a_photograph_equals_brute_force(dtype, channels, k):
    picture = photograph(100, 120, channels, dtype)
    check_against_naive(picture, some_points(picture, k), 3)


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 3), (np.uint8, 4), (np.uint16, 3)])
def test_fit_of_many_pixels_equals_brute_force(dtype, channels, monkeypatch):
    """More pixels than are sorted at once: through the table, or in chunks."""
    monkeypatch.setattr(keys, "CHUNK", 100_000)
    picture = photograph(500, 530, channels, dtype)
    assert picture[..., 0].size > counting.SMALL
    check_against_naive(picture, some_points(picture, 12), 2)


def test_fit_of_a_million_colors_equals_brute_force():
    picture = noise(1100, 1000)
    result = check_against_naive(picture, some_points(picture, 9), 2)
    assert kf.ColorHistogram(picture).n_colors > 1_000_000
    assert result.labels.shape == (1100, 1000)


def test_near_ties_are_decided_by_the_reference():
    """Centroids that differ in the last bits, at equal distances from whole planes of colours."""
    picture = noise(60, 60)
    middle = np.array([[127.5, 127.5, 127.5]])
    step = np.array([[30.0, 0.0, 0.0]])
    nudges = [np.nextafter(middle + step, np.inf), np.nextafter(middle + step, -np.inf)]
    centroids = np.concatenate([middle + step, middle - step, *nudges, middle[:, ::-1]])
    expected = kf.reference.assign(picture, centroids)
    assert np.array_equal(kf.assign(picture, centroids), expected)


@pytest.mark.parametrize("far", [1e3, 1e9, 1e100])
def test_centroids_far_from_the_colors(far):
    picture = few_colors((10, 12, 3))
    centroids = np.array([[far, 0, 0], [far, 1, 0], [-far, -far, far], [60, 60, far]])
    expected = kf.reference.assign(picture, centroids)
    assert np.array_equal(kf.assign(picture, centroids), expected)


pictures = st.tuples(
    st.sampled_from(FORMATS), st.integers(1, 12), st.integers(1, 9), st.integers(0, 2**32 - 1)
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    pictures,
    st.integers(1, 40),
    st.sampled_from([1, 2, 3, 10]),
    st.sampled_from([1, 2, 6, 40, 256]),
)
def test_no_counter_example_is_found(picture, k, iterations, levels):
    (dtype, channels), height, width, seed = picture
    rng = np.random.default_rng(seed)
    step = np.iinfo(dtype).max // max(levels - 1, 1) if levels < 256 else 1
    data = (rng.integers(0, levels, (height, width, channels)) * step).astype(dtype)
    k = min(k, height * width)
    rows = data.reshape(-1, channels)
    start = rows[rng.integers(0, len(rows), k)] + rng.choice([0, 0.5, 0.25], (k, channels))
    expected = kf.reference.k_means(start, data, iterations)
    found = kf.k_means(start, data, iterations)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])
    assert found[1].dtype == expected[1].dtype and found[1].shape == data.shape[:2]


@pytest.mark.parametrize("threads", [2, 3, 8])
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_the_same_bits_on_any_number_of_threads(init, threads):
    for picture in (photograph(500, 700, 3), photograph(300, 500, 3, np.uint16), noise(500, 400)):
        one = kf.fit(picture, 20, init=init, n_threads=1, max_iter=10)
        many = kf.fit(picture, 20, init=init, n_threads=threads, max_iter=10)
        assert np.array_equal(one.centroids, many.centroids)
        assert np.array_equal(one.labels, many.labels)
        assert one.inertia == many.inertia
        assert [i[:2] for i in one.history] == [i[:2] for i in many.history]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.int32])
@pytest.mark.parametrize("size", [(9, 8), (400, 500)])
def test_fractional_weights_have_the_bits_of_the_reference(dtype, size):
    picture = photograph(*size, 3, np.uint8).astype(dtype)
    rng = np.random.default_rng(1)
    weights = rng.random(size) * rng.integers(0, 2, size)
    labels = rng.integers(0, 5, size)
    small = (slice(0, 30), slice(0, 30))
    found = kf.means(picture[small], labels[small], 6, sample_weight=weights[small])
    expected = kf.reference.means(picture[small], labels[small], 6, weights[small])
    assert np.array_equal(found, expected, equal_nan=True)
    result = kf.fit(picture, 5, sample_weight=weights, max_iter=4, tol=0)
    total = np.array([weights[result.labels == j].sum() for j in range(5)])
    assert np.allclose(result.counts, total, rtol=1e-6)
    expected = (weights * np.square(picture - result.centroids[result.labels]).sum(-1)).sum()
    assert result.inertia == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("weighted", ["not", "whole", "fractions"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16, np.float32, np.float64])
@pytest.mark.parametrize(("k", "n_far"), [(1, 0), (3, 0), (12, 0), (6, 8)])
def test_weights_and_empty_clusters_have_the_bits_of_the_reference(
    dtype, weighted, k, n_far, monkeypatch
):
    monkeypatch.setattr(dense_part, "CHUNK", 32)  # two chunks
    rng = np.random.default_rng(k)
    least = 0 if np.dtype(dtype).kind == "u" else -1
    points = rng.integers(least, least + 3, (60, 3)).astype(dtype)  # copies and ties
    if np.dtype(dtype).kind == "f":
        points[points == 0] *= rng.choice([1, -1], np.count_nonzero(points == 0)).astype(dtype)
    weights = {
        "not": None,
        "whole": rng.integers(0, 4, 60),
        "fractions": rng.random(60) * rng.integers(0, 2, 60),
    }[weighted]
    for _ in range(3):
        start = points[rng.integers(0, 60, k)].astype(np.float64)  # some twice
        start = np.concatenate([start, (50 * rng.normal(size=(n_far, 3))).round()])
        for n_iter in (1, 2, 4):
            options = {"max_iter": n_iter, "tol": 0, "sample_weight": weights, "n_threads": 2}
            result = kf.fit(points, len(start), init=start, **options)
            centroids, labels = naive.reference_loop(points, start, n_iter, weights)
            assert np.array_equal(result.centroids, centroids)
            assert np.array_equal(result.labels, labels)
            expected = kf.reference.inertia(points, labels, centroids, weights)
            assert result.inertia == pytest.approx(expected, rel=1e-12)
            # That of an assignment, before empty clusters are filled.
            labels = kf.reference.assign(points, start)
            expected = kf.reference.inertia(points, labels, start, weights)
            assert result.history[0].inertia == pytest.approx(expected, rel=1e-12)

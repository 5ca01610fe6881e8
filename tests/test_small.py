"""Small cases that go through every kernel, against the reference and brute force.

What other tests do with more of everything. These run with the JIT off as well (`conftest.py`).
"""

import dask
import dask.array as da
import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast.colors import counting, keys
from kmeans_fast.colors import points as colors
from kmeans_fast.data import labelling as labels
from kmeans_fast.dense import assignment
from kmeans_fast.dense import part as dense_part
from kmeans_fast.dense import search as dense_search
from kmeans_fast.dense import tree as trees
from kmeans_fast.dense.points import DensePoints
from kmeans_fast.threads import Threads

from . import test_assignment, test_dense_search, test_dithering, test_exact, test_parts
from .naive import KINDS, clusters, part_of, start_of
from .pictures import noise, photograph, some_points
from .test_dask import assert_same
from .test_dense_search import blobs
from .test_numbers import assert_inertia

# ---------------------------------------------------------------------------- colours


@pytest.fixture
def as_if_large(monkeypatch):
    """Do with few pixels what is done with many."""
    monkeypatch.setattr(counting, "SMALL", 0)
    monkeypatch.setattr(keys, "CHUNK", 100)
    monkeypatch.setattr(colors, "WORTH_THREADS", 1)


@pytest.mark.parametrize(("dtype", "channels"), [(np.uint8, 1), (np.uint8, 4), (np.uint16, 3)])
def test_pixels_by_tables_and_in_chunks(dtype, channels, as_if_large):
    picture = photograph(20, 25, channels, dtype)
    picture[:14, :20] = picture[0, 0]  # more pixels than a byte counts
    test_exact.check_against_naive(picture, some_points(picture, 5), 3, n_threads=2)
    weights = np.random.default_rng(0).integers(0, 3, picture.shape[:2])
    repeated = picture.reshape(-1, channels).repeat(weights.reshape(-1), axis=0)
    ours, expected = kf.fit(picture, 3, sample_weight=weights), kf.fit(repeated, 3)
    assert np.array_equal(ours.centroids, expected.centroids)


def test_cells_of_many_colors(monkeypatch):
    monkeypatch.setattr(colors, "WORTH_THREADS", 1)
    picture = noise(30, 45)
    test_exact.check_against_naive(picture, some_points(picture, 6), 2, n_threads=2)


def test_tiles_are_counted_in_a_table(as_if_large, monkeypatch):
    tiles = [np.full((13, 50, 1), shade, np.uint8) for shade in (3, 3, 9, 3, 200)]
    for chunk in (100, 8):
        monkeypatch.setattr(keys, "CHUNK", chunk)
        seen = []
        histogram = kf.ColorHistogram.from_tiles(tiles, callback=seen.append, n_threads=1)
        assert histogram.colors[:, 0].tolist() == [3, 9, 200]
        assert histogram.counts.tolist() == [1950, 650, 650]
        assert [progress.n_colors for progress in seen] == [1, 1, 2, 2, 3]


def test_labels_by_a_table_of_all_colors(monkeypatch):
    monkeypatch.setattr(labels, "TABLE_PIXELS", 0)
    monkeypatch.setattr(labels, "CUBE", 128)
    centroids = np.array([[250.0], [3.0], [100.0]])
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    find = labels.Labeller(centroids)
    out = np.empty((16, 16), np.uint8)
    expected = kf.reference.assign(grey, centroids)
    for _ in range(2):
        assert np.array_equal(find(grey), expected)
        assert np.array_equal(find(grey, out=out), expected)
    strided = np.empty((16, 32), np.uint8)[:, ::2]
    assert np.array_equal(find(grey, out=strided), expected)


@pytest.mark.parametrize("method", ["sierra", "bayer"])
def test_dithering_is_that_of_a_pixel_at_a_time(method):
    test_dithering.test_small_pictures((5, 7, 3), method)


# ----------------------------------------------------------------------------- floats


@pytest.mark.parametrize("k", [5, 20])
@pytest.mark.parametrize(("d", "dtype"), [(2, np.float64), (9, np.float32), (40, np.float32)])
def test_labels_are_kept_up_to_date(d, dtype, k, monkeypatch):
    monkeypatch.setattr(assignment, "LEAST_TRIAL", 16)
    monkeypatch.setattr(assignment, "TRIAL", 32)
    points = clusters(200, d, 12, dtype)
    start = points[:k].astype(np.float64)
    expected = kf.reference.k_means(start, points, 6)
    ours = kf.k_means(start, points, 6)
    assert np.array_equal(ours[0], expected[0])
    assert np.array_equal(ours[1], expected[1])


@pytest.mark.parametrize("weights", test_parts.WEIGHTS)
@pytest.mark.parametrize(("d", "dtype"), [(3, np.float32), (9, np.float32), (2, np.float64)])
def test_seeds_are_those_of_brute_force(d, dtype, weights, monkeypatch):
    monkeypatch.setattr(dense_search, "FEW_POINTS", 1)
    monkeypatch.setattr(dense_search, "WORTH_CELLS", 1)
    points = blobs(130, d).astype(dtype)
    with Threads(1) as pool:
        given = test_parts.WEIGHTS[weights](130)
        held = DensePoints(np.zeros((130, 1)), given, pool)
        if given is not None and weights == "fractions":
            given = part_of(held).factors  # as they are rounded
    test_dense_search.assert_seeds_are_brute_force(points, given, n_centers=4, n_trials=3)


@pytest.mark.parametrize("kind", ["colors", "floats", "tree"])
def test_empty_clusters_get_the_farthest_points(kind, use, monkeypatch):
    monkeypatch.setattr(dense_part, "CHECK", True)
    use("tree" if kind == "tree" else "dense")
    data = photograph(9, 8) if kind == "colors" else clusters(72, 3, 5, np.float32)
    points = data.reshape(-1, 3)
    start = points[[0, 0, 9, 0, 20, 30]].astype(np.float64)
    expected = kf.reference.k_means(start, points, 2)
    result = kf.fit(data, 6, init=start, max_iter=2, tol=0)
    assert np.array_equal(result.centroids, expected[0])
    assert np.array_equal(result.labels.reshape(-1), expected[1])
    means = kf.means(data, result.labels, 6)
    assert np.array_equal(means, kf.reference.means(points, expected[1], 6))


@pytest.mark.parametrize("whole", [True, False])
def test_weights(whole):
    rng = np.random.default_rng(0)
    points = clusters(60, 9, 3, np.float32)
    weights = rng.integers(0, 4, 60) if whole else rng.random(60)
    result = kf.fit(points, 3, sample_weight=weights, max_iter=2)
    labels = kf.reference.assign(points, result.centroids)
    assert np.array_equal(result.labels, labels)
    assert_inertia(result.inertia, points, labels, result.centroids, weights)
    means = kf.means(points, labels, 3, sample_weight=weights)
    assert np.array_equal(means, kf.reference.means(points, labels, 3, weights))


@pytest.mark.parametrize("dtype", [np.int16, np.uint16])
def test_whole_numbers(dtype):
    points = (100 * clusters(60, 9, 3, np.float32) + 2000).astype(dtype)
    found, expected = (kf.fit(x, 4, max_iter=3) for x in (points, points.astype(np.float32)))
    assert np.array_equal(found.centroids, expected.centroids)
    assert np.array_equal(found.labels, expected.labels)
    assert found.inertia == expected.inertia
    weights = np.arange(60) % 3
    found, expected = (
        kf.fit(x, 4, init=points[:4], sample_weight=w, max_iter=3)
        for x, w in ((points, weights), (points.repeat(weights, axis=0), None))
    )
    assert np.array_equal(found.centroids, expected.centroids)
    assert found.inertia == expected.inertia


def test_sums_of_several_limbs():
    rng = np.random.default_rng(0)
    points = clusters(60, 9, 3, np.float32) * np.float32(10.0) ** rng.integers(-9, 1, (60, 1))
    labels = rng.integers(0, 3, 60)
    assert np.array_equal(kf.means(points, labels, 3), kf.reference.means(points, labels, 3))
    pixels, weights = noise(6, 9, 3).reshape(-1, 3), 10.0 ** rng.integers(-20, 20, 54)
    result = kf.fit(pixels, 3, sample_weight=weights, max_iter=3)
    assert np.array_equal(result.labels, kf.reference.assign(pixels, result.centroids))
    assert_inertia(result.inertia, pixels, result.labels, result.centroids, weights)


# ------------------------------------------------------------------------------- trees


@pytest.mark.parametrize("room", [0, 700])
@pytest.mark.parametrize(("d", "dtype"), [(1, np.float32), *KINDS])
def test_cells_are_assigned_as_their_points(d, dtype, room, monkeypatch):
    monkeypatch.setattr(trees, "ROOT_BITS", 1)
    monkeypatch.setattr(trees, "ROOM", room)  # to sort cells in place, and with scratch
    monkeypatch.setattr(trees, "CELLS_PER_LEAF", 0)  # begin again with room for more
    points = clusters(1500, d, 9, dtype)
    start = start_of(points, 5)
    test_assignment.assign_each(points, "tree", start, start + 0.1, start + 20)


@pytest.mark.parametrize(("d", "dtype"), KINDS)
def test_seeds_in_trees_are_those_of_brute_force(d, dtype, use):
    use("tree")
    points = clusters(700, d, 12, dtype)
    test_dense_search.assert_seeds_are_brute_force(points, n_centers=3, n_trials=2)


def test_seeds_in_trees_that_share_a_root(use, monkeypatch):
    use("tree")
    monkeypatch.setattr(trees, "SAMPLE", 100)
    points = clusters(900, 2, 2, np.float64)
    points[:200] = np.round(points[:200], 1)  # copies, and ties along axes
    one = test_parts.fit(points, None, "k-means++", 4)
    parts = test_parts.fit(points, None, "k-means++", 4, edges=[1, 400], forgets=True)
    for ours, expected in zip(parts, one, strict=True):
        np.testing.assert_array_equal(ours, expected)


# -------------------------------------------------------------------------------- Dask


@pytest.mark.parametrize("weighted", [False, True])
def test_arrays_in_chunks(weighted):
    rng = np.random.default_rng(0)
    with dask.config.set(scheduler="threads", num_workers=2):
        for data in (photograph(9, 8), clusters(72, 9, 3, np.float32).reshape(9, 8, 9)):
            weights = rng.integers(0, 4, (9, 8)) if weighted else None
            chunked = da.from_array(data, chunks=(4, 5, data.shape[-1]))
            ours = kf.fit(chunked, 3, sample_weight=weights)
            expected = kf.fit(data, 3, sample_weight=weights)
            assert_same(ours, expected)
            assert np.array_equal(ours.recolor().compute(), expected.recolor())

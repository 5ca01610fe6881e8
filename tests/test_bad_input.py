"""Errors are raised at the door: the argument, the value found, the remedy."""

import io
from pathlib import Path

import numpy as np
import pytest

import kmeans_fast as kf

from .pictures import photograph
from .test_numbers import calls_on, masked

PICTURE = photograph(12, 16)
POINTS = PICTURE.reshape(-1, 3).astype(np.float64)


class Sparse:
    """What a SciPy sparse matrix looks like from here."""

    nnz = 3
    shape = (3, 3)

    def toarray(self):
        """Would make it dense."""


def broken(value):
    """Return points with one bad value."""
    points = POINTS.copy()
    points[17, 1] = value
    return points


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        (None, TypeError, "data has dtype object"),
        ("photo.jpg", TypeError, r"data is str; open a picture with open_image\(path\)"),
        (Path("photo.jpg"), TypeError, r"Path; open a picture with open_image\(path\)"),
        (io.BytesIO(b"photo"), TypeError, r"data is BytesIO; open a picture with open_image\(path"),
        (PICTURE[..., 0, 0], ValueError, r"data has shape \(12,\); give points"),
        (7, ValueError, r"data has shape \(\); give points"),
        (PICTURE[None], ValueError, r"data has shape \(1, 12, 16, 3\)"),
        (PICTURE[:0], ValueError, r"data has shape \(0, 16, 3\): nothing to cluster"),
        (PICTURE[..., :0], ValueError, r"data has shape \(12, 16, 0\): nothing"),
        (np.zeros((0, 3)), ValueError, "nothing to cluster"),
        ([[1, 2], [3]], ValueError, "data is not a regular array"),
        (POINTS.astype(complex), TypeError, "data has dtype complex128; give real numbers"),
        (POINTS.astype(object), TypeError, "data has dtype object"),
        (np.array([["a", "b"]]), TypeError, "data has dtype <U1"),
        (np.array([["2020-01-01"]], "datetime64[D]"), TypeError, "data has dtype datetime64"),
        (Sparse(), TypeError, r"data is sparse; make it dense with data.toarray\(\)"),
        (broken(np.nan), ValueError, "data holds NaN or infinity at row 17"),
        (broken(1e200), ValueError, r"up to 1e\+200, whose squared distances overflow; divide the"),
        (broken(-3e153), ValueError, r"data holds values up to 3e\+153, whose squared"),
        (np.zeros((3, 2), "f8,f8"), TypeError, r"data has dtype \[\('f0', '<f8'\)"),
        (np.zeros(3, "f8,f8").view(np.recarray), TypeError, "data has dtype .*; give real numbers"),
        (np.zeros((3, 2), "V4"), TypeError, r"data has dtype \|V4"),
        ([[2**64, 1]], TypeError, "data has dtype object; give real numbers"),
        ([[1.0, None]], TypeError, "data has dtype object; give real numbers"),
        (np.array([[2**60, 1], [3, 4]]), ValueError, r"2\*\*53"),
        (kf.ColorHistogram(), ValueError, "data is an empty ColorHistogram"),
        (iter([PICTURE]), TypeError, r"data comes in tiles .*ColorHistogram.from_tiles\(tiles\)"),
    ],
)
def test_data(data, error, message):
    with pytest.raises(error, match=message):
        kf.fit(data, 1)
    if message.startswith("data has"):
        with pytest.raises(error, match=message.replace("data", "points", 1)):
            kf.assign(data, np.zeros((1, 1)))


@pytest.mark.parametrize("data", [PICTURE, POINTS, kf.ColorHistogram(PICTURE)])
@pytest.mark.parametrize(
    ("n_clusters", "error", "message"),
    [
        (0, ValueError, "n_clusters=0 is less than 1; give 1 or more"),
        (-3, ValueError, "n_clusters=-3 is less than 1"),
        (2.0, TypeError, "n_clusters=2.0 is not an integer"),
        ("4", TypeError, "n_clusters='4' is not an integer"),
        (True, TypeError, "n_clusters=True is not an integer"),
        (None, TypeError, "n_clusters=None is not an integer"),
        (193, ValueError, "n_clusters=193 is more than the 192 points; ask for 192 or fewer"),
    ],
)
def test_n_clusters(data, n_clusters, error, message):
    with pytest.raises(error, match=message):
        kf.fit(data, n_clusters)
    with pytest.raises(error, match=message):
        kf.kmeans_plusplus(data, n_clusters)


@pytest.mark.parametrize("data", [PICTURE, POINTS])
@pytest.mark.parametrize(
    ("option", "error", "message"),
    [
        ({"init": "best"}, ValueError, "init='best' is unknown; give one of k-means\\+\\+, random"),
        ({"init": np.zeros((3, 3))}, ValueError, r"init has shape \(3, 3\); give \(2, 3\)"),
        ({"init": np.zeros((2, 4))}, ValueError, r"init has shape \(2, 4\); give \(2, 3\)"),
        ({"init": lambda *_: np.zeros((9, 3))}, ValueError, r"init has shape \(9, 3\)"),
        ({"n_init": 0}, ValueError, "n_init=0 is less than 1"),
        ({"n_init": "auto"}, TypeError, "n_init='auto' is not an integer"),
        ({"max_iter": 0}, ValueError, "max_iter=0 is less than 1"),
        ({"tol": -1e-4}, ValueError, "tol=-0.0001 must be finite and not negative"),
        ({"tol": np.nan}, ValueError, "tol=nan must be finite"),
        ({"tol": "small"}, TypeError, "tol='small' is not a number"),
        ({"random_state": "x"}, TypeError, "random_state='x' is not a seed"),
        ({"random_state": -1}, ValueError, "random_state=-1 is not a seed"),
        ({"n_threads": 0}, ValueError, "n_threads=0 is less than 1"),
        ({"n_threads": 1.5}, TypeError, "n_threads=1.5 is not an integer"),
        ({"callback": 3}, TypeError, "callback=3 is not callable"),
        ({"algorithm": "elkan"}, TypeError, "algorithm"),
    ],
)
def test_options(data, option, error, message):
    with pytest.raises(error, match=message):
        kf.fit(data, 2, **option)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_looks_like_a_grey_picture_is_taken_for_points_with_a_word(dtype):
    grey = photograph(40, 100, 1, dtype)[..., 0]
    message = r"data of shape \(40, 100\) .* points, one a row; give a grey picture as data\[...,"
    for call in (kf.fit, kf.kmeans_plusplus, lambda data, k: kf.sweep(data, [k])):
        with pytest.warns(UserWarning, match=message) as caught:
            call(grey, 2)
        assert caught[0].filename == __file__
    for points in (grey.astype(np.float32), grey[:31], grey[:, :31], np.repeat(grey, 11, axis=0)):
        kf.kmeans_plusplus(points, 2)  # without


@pytest.mark.parametrize("data", [POINTS, POINTS.astype(np.float32), PICTURE.reshape(-1, 3)])
@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(5), ValueError, r"has shape \(5,\); give one for each point, \(192,\)"),
        (np.ones((192, 1)), ValueError, r"has shape \(192, 1\); give one for each point"),
        (1.0, ValueError, r"has shape \(\); give one"),
        (["a"] * 192, TypeError, r"is not an array of numbers \(dtype <U1\)"),
        ([[1], [2, 3]], TypeError, r"is not an array of numbers \("),
        (np.ones(192, complex), TypeError, "is not an array of numbers"),
        (np.full(192, np.nan), ValueError, "holds NaN or infinity; give finite numbers"),
        (-np.ones(192), ValueError, "goes down to -1.0; give 0 or more"),
        (np.full(192, -(2**63)), ValueError, "goes down to -9223372036854775808; give 0 or more"),
        (np.zeros(192), ValueError, "is all zero; give some point a weight"),
        (np.full(192, 2**64 - 1, np.uint64), ValueError, "reaches 18446744073709551615; sums"),
        (np.full(192, 2**53 + 1), ValueError, r"reaches \d+, and float64 holds integers"),
        (np.full(192, 5e-324), ValueError, "holds values up to 4.94e-324, too small .*; multiply"),
        (np.full(192, 1e-307), ValueError, "holds values up to 1e-307, too small to add up"),
        (np.full(192, 1e307), ValueError, r"up to 1e\+307, with which the inertia overflows; div"),
        (np.append(np.zeros(191), 1.7e308), ValueError, r"1.7e\+308, with which the inertia over"),
        (masked(np.ones(192)), ValueError, "has 1 masked values; fill them in, with 0"),
    ],
)
def test_weights(data, weights, error, message):
    for call in calls_on(data, weights=weights):
        with pytest.raises(error, match=f"sample_weight .*{message}"):
            call()


def test_a_histogram_brings_its_own_weights():
    with pytest.raises(ValueError, match="sample_weight is given with a ColorHistogram"):
        kf.fit(kf.ColorHistogram(PICTURE), 2, sample_weight=[1])


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (POINTS, ValueError, "image has 3 channels of float64; give uint8"),
        (np.zeros((4, 4, 5), np.uint8), ValueError, "image has 5 channels of uint8"),
        (np.zeros((4, 4, 4), np.uint16), ValueError, "image has 4 channels of uint16"),
        (PICTURE[:0], ValueError, "image has shape"),
        (PICTURE.astype(np.uint16), ValueError, "holds 3 channels of 8 bits, the new pixels have"),
        (PICTURE[..., :1], ValueError, "the new pixels have 1 of 8"),
    ],
)
def test_histograms(image, error, message):
    histogram = kf.ColorHistogram(PICTURE)
    with pytest.raises(error, match=message):
        histogram.update(image)
    assert histogram.n_pixels == 192


def test_merging_what_is_no_histogram():
    with pytest.raises(TypeError, match="other must be a ColorHistogram, not ndarray"):
        kf.ColorHistogram().merge(PICTURE)


@pytest.mark.parametrize(
    ("ks", "error", "message"),
    [
        ([], ValueError, "ks is empty"),
        ([2, 0], ValueError, "ks=0 is less than 1"),
        ([1, 500], ValueError, "ks=500 is more than the 192 points"),
        (3, TypeError, "ks=3 is not a sequence"),
    ],
)
def test_sweeps(ks, error, message):
    with pytest.raises(error, match=message):
        kf.sweep(PICTURE, ks)
    with pytest.raises(TypeError, match="init is an array"):
        kf.sweep(PICTURE, [1], init=np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (np.zeros(7, int), ValueError, r"labels has shape \(7,\)"),
        (np.zeros((12, 16)), TypeError, "labels has dtype float64; give integers from 0 to 1"),
        (np.full((12, 16), 2), ValueError, "labels run from 2 to 2; with n_clusters=2 give 0 to 1"),
        (np.full((12, 16), -1), ValueError, "labels run from -1 to -1"),
        (np.full(192, 2**64 - 1, np.uint64), ValueError, "labels run from 18446744073709551615"),
        (np.zeros(192, bool), TypeError, "labels has dtype bool; give integers from 0 to 1"),
        (masked(np.zeros(192, int)), ValueError, "labels has 1 masked values; fill them in"),
        (0, ValueError, r"labels has shape \(\); give one for each point"),
    ],
)
@pytest.mark.parametrize("data", [PICTURE, PICTURE.astype(float)])
def test_labels_of_means(data, labels, error, message):
    with pytest.raises(error, match=message):
        kf.means(data, labels, 2)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.full((2, 3), 1 + 2j), r"is not an array of numbers \(dtype complex128\)"),
        ([["a", 1, 2], [1, 2, 3]], r"is not an array of numbers \(dtype <U"),
        (np.zeros((2, 3), "f8,f8"), "is not an array of numbers"),
        ([[1, 2], [3]], "is not an array of numbers"),
        ([[1.0, None, 2]] * 2, "holds NaN or infinity"),
        ([[10**400, 1, 1]], r"is not an array of numbers \(int too large"),
        (None, r"has shape \(\); give \(k, 3\)"),
        ([1, 2], r"has shape \(2,\); give \(k, 3\)"),
        (np.zeros((2, 2)), r"has shape \(2, 2\); give \(k, 3\)"),
        (np.zeros((0, 3)), r"has shape \(0, 3\); give \(k, 3\)"),
        (masked(np.ones((2, 3))), "has 1 masked values; fill them in"),
        (np.full((2, 3), 2e150), r"reaches 2e\+150, whose square overflows; scale the data"),
    ],
)
@pytest.mark.parametrize("data", [PICTURE, PICTURE.astype(float)])
def test_centroids(data, bad, message):
    with pytest.raises(ValueError, match=f"centroids {message}"):
        kf.assign(data, bad)
    with pytest.raises(ValueError, match=f"centroids {message}"):
        kf.k_means(bad, data)
    with pytest.raises(ValueError, match="init " + message.replace("(k,", "(2,")):
        kf.fit(data, 2, init=bad)
    with pytest.raises(ValueError, match="max_iterations=0 is less than 1"):
        kf.k_means(np.zeros((1, 3)), data, 0)

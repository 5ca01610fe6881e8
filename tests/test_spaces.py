"""Fits in OKLab: the conversions, and the same exactness as in RGB."""

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast.spaces import from_oklab, to_oklab

from .pictures import photograph

RNG = np.random.default_rng(5)
ANY = RNG.integers(0, 256, (30, 40, 3)).astype(np.uint8)
UNKNOWN = "space='lab' is unknown; give one of rgb, oklab"


def test_known_colors():
    """Values that the author of OKLab gives, to the three digits that he gives them with."""
    xyz_to_rgb = {"white": (255, 255, 255), "black": (0, 0, 0), "blue": (0, 0, 255)}
    lab = to_oklab(list(xyz_to_rgb.values()))
    assert lab[0] == pytest.approx([1.0, 0.0, 0.0], abs=1e-4)
    assert lab[1] == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)
    assert lab[2] == pytest.approx([0.452, -0.032, -0.312], abs=1e-3)
    grey = to_oklab(np.arange(256)[:, None].repeat(3, axis=1))
    assert np.abs(grey[:, 1:]).max() < 1e-4
    assert (np.diff(grey[:, 0]) > 0).all()


@pytest.mark.parametrize("largest", [255.0, 65535.0])
def test_there_and_back(largest):
    colors = RNG.uniform(0, largest, (1000, 3))
    back = from_oklab(to_oklab(colors, largest), largest)
    assert back == pytest.approx(colors, abs=1e-8 * largest)
    some = slice(17, 91)  # a colour has the same bits wherever it stands
    assert np.array_equal(to_oklab(colors, largest)[some], to_oklab(colors[some], largest))
    clipped = from_oklab([[0.5, 0.4, 0.4], [1.2, 0.0, 0.0], [-0.2, 0.0, 0.0]], largest)
    assert clipped.max() <= largest and clipped.min() >= 0.0  # what no screen shows


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("k", [1, 7, 40])
def test_labels_are_nearest_in_oklab_and_predict_finds_them_again(dtype, k):
    white = float(np.iinfo(dtype).max)
    image = ANY.astype(dtype) * (257 if dtype == np.uint16 else 1)
    result = kf.fit(image, k, space="oklab", max_iter=5)
    expected = kf.reference.assign(
        to_oklab(image.reshape(-1, 3), white), to_oklab(result.centroids, white)
    )
    assert np.array_equal(result.labels.reshape(-1), expected)
    assert np.array_equal(result.predict(image), result.labels)
    assert np.array_equal(kf.assign(image, result.centroids, space="oklab"), result.labels)
    assert np.array_equal(np.bincount(expected, minlength=k), result.counts)
    assert result.palette.dtype == np.uint8
    assert result.space == "oklab"


def test_it_is_a_fit_of_the_converted_pixels():
    """Colours stand for their pixels: as if each pixel were converted and clustered by itself."""
    start = ANY.reshape(-1, 3)[:6].astype(np.float64)
    result = kf.fit(ANY, 6, space="oklab", init=start, max_iter=4, tol=0)
    pixels = to_oklab(ANY.reshape(-1, 3))
    plain = kf.fit(pixels, 6, init=to_oklab(start), max_iter=4, tol=0)
    assert to_oklab(result.centroids) == pytest.approx(plain.centroids, abs=1e-9)
    assert result.inertia == pytest.approx(plain.inertia, rel=1e-9)
    assert np.array_equal(result.labels.reshape(-1), plain.labels)


def test_threads_tiles_and_weights_change_nothing():
    result = kf.fit(ANY, 9, space="oklab")
    one = kf.fit(ANY, 9, space="oklab", n_threads=1)
    histogram = kf.ColorHistogram()
    histogram.update(ANY[:11])
    histogram.update(ANY[11:])
    tiled = kf.fit(histogram, 9, space="oklab")
    twice = kf.fit(ANY, 9, space="oklab", sample_weight=np.full(ANY.shape[:2], 1))
    for other in (one, tiled, twice, kf.sweep(ANY, [4, 9], space="oklab")[1]):
        assert np.array_equal(other.centroids, result.centroids)
        assert other.inertia == result.inertia
    assert np.array_equal(tiled.predict(ANY), result.labels)


def test_it_is_another_palette_than_in_rgb():
    image = photograph()
    rgb, oklab = (kf.fit(image, 8, space=space) for space in ("rgb", "oklab"))
    lab = to_oklab(image.reshape(-1, 3))

    def error(result):
        nearest = to_oklab(result.centroids)[result.labels.reshape(-1)]
        return float(((lab - nearest) ** 2).sum())

    assert error(oklab) < error(rgb)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kf.fit(ANY[..., :1], 2, space="oklab"), "is for pixels of 3 channels .* data has"),
        (lambda: kf.fit(ANY / 255.0, 2, space="oklab"), "data has 3 of float64"),
        (lambda: kf.fit(kf.ColorHistogram(ANY[..., :2]), 2, space="oklab"), "has 2 of uint8"),
        (lambda: kf.fit(ANY, 2, space="lab"), UNKNOWN),
        (lambda: kf.sweep(ANY, [2], space="lab"), UNKNOWN),
        (lambda: kf.assign(ANY, [[0, 0, 0]], space="lab"), UNKNOWN),
        (lambda: kf.quantize(ANY, 2, space="lab"), UNKNOWN),
    ],
)
def test_what_is_no_rgb_and_unknown_spaces_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()

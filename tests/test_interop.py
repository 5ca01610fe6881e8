"""Arrays of other libraries, which NumPy's own protocol lets in, and of other byte orders."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kmeans_fast as kf
from kmeans_fast.data import labelling as labels_
from kmeans_fast.exploring import visible_rgb
from kmeans_fast.sklearn import KMeans

from .pictures import photograph


class Tensor:
    """What PyTorch's tensors are to us: something that NumPy can ask for an array."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self._values, dtype=dtype, copy=True if copy is None else copy)


def points():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 3)) + 9 * rng.integers(0, 2, (300, 1))


def assert_same(ours, expected, kind=np.ndarray):
    assert type(ours.labels) is kind
    np.testing.assert_array_equal(ours.labels, expected.labels)
    np.testing.assert_array_equal(ours.centroids, expected.centroids)
    assert ours.inertia == expected.inertia


def test_a_data_frame_with_a_series_of_weights():
    values = points()
    weights = np.arange(300) % 4
    frame = pd.DataFrame(values, columns=["x", "y", "z"], index=range(1000, 1300))
    series = pd.Series(weights, index=frame.index)
    ours = kf.fit(frame, 2, sample_weight=series)
    assert_same(ours, kf.fit(values, 2, sample_weight=weights))
    np.testing.assert_array_equal(ours.predict(frame), ours.labels)
    np.testing.assert_array_equal(kf.assign(frame, pd.DataFrame(ours.centroids)), ours.labels)
    start = frame.iloc[:2]
    assert_same(kf.fit(frame, 2, init=start), kf.fit(values, 2, init=values[:2]))
    np.testing.assert_array_equal(
        kf.means(frame, pd.Series(ours.labels), 2), kf.means(values, ours.labels, 2)
    )


def test_a_data_frame_of_words_is_refused():
    with pytest.raises(TypeError, match="data has dtype object; give real numbers"):
        kf.fit(pd.DataFrame({"x": [1.0, 2.0], "name": ["a", "b"]}), 1)


@pytest.mark.parametrize(
    "kind", ["Float64", "Float32", "Int64", "UInt8", "float64[pyarrow]", "int16[pyarrow]"]
)
def test_a_data_frame_of_columns_that_may_lack_values(kind):
    if "pyarrow" in kind:
        pytest.importorskip("pyarrow")
    plain = (10 * points() + 50).clip(0, 255).astype(kind.split("[")[0].lower())
    frame = pd.DataFrame(plain).astype(kind)
    weights = pd.Series(np.arange(300) % 4)
    expected = kf.fit(plain, 2, sample_weight=weights)
    assert_same(kf.fit(frame, 2, sample_weight=weights.astype("Int64")), expected)
    assert_same(kf.fit(frame, 2, sample_weight=weights.astype("Float64")), expected)
    assert_same(kf.fit(frame, 2, init=frame.iloc[:2]), kf.fit(plain, 2, init=plain[:2]))
    labels = pd.Series(expected.labels).astype("Int64")
    np.testing.assert_array_equal(kf.means(frame, labels, 2), kf.means(plain, labels, 2))
    np.testing.assert_array_equal(expected.predict(frame), expected.labels)
    np.testing.assert_array_equal(kf.assign(frame, expected.centroids), expected.labels)
    assert np.unique(KMeans(2).fit(frame).labels_).tolist() == [0, 1]


@pytest.mark.parametrize("kind", ["Int64", "Float64", "boolean"])
def test_a_value_that_lacks_is_nan_and_so_refused(kind):
    frame = pd.DataFrame({"x": [1, 0, 1], "y": pd.array([1, None, 0], dtype=kind)})
    for fitted in (lambda: kf.fit(frame, 1), lambda: KMeans(1).fit(frame)):
        with pytest.raises(ValueError, match="NaN"):
            fitted()
    with pytest.raises(ValueError, match="sample_weight holds NaN or infinity"):
        kf.fit(frame[["x"]], 1, sample_weight=frame["y"])
    with pytest.raises(ValueError, match="centroids holds NaN or infinity"):
        kf.assign(frame[["x", "x"]].to_numpy(), frame)


def test_a_data_frame_of_numbers_beside_bool():
    frame = pd.DataFrame({"x": [3, 1, 2], "y": [True, False, True]})
    for mixed in (frame, frame.astype({"x": "Int64"}), frame.astype({"x": float})):
        assert_same(kf.fit(mixed, 2), kf.fit([[3, 1], [1, 0], [2, 1]], 2))
        assert len(KMeans(2).fit(mixed).labels_) == 3
    large = pd.DataFrame({"x": [2**60, 1], "y": [True, False]})
    with pytest.raises(ValueError, match=r"2\*\*53"):  # and not rounded to float64 in silence
        kf.fit(large, 1)


@pytest.mark.parametrize("column", [["a", "b"], ["1", "2"], pd.to_datetime(["2020", "2021"])])
def test_what_is_no_number_stays_so_beside_columns_that_may_lack_values(column):
    frame = pd.DataFrame({"x": pd.array([1, 2], dtype="Int64"), "y": column})
    for other in (frame, frame.astype({"y": "category"})):
        with pytest.raises(TypeError, match="data has dtype object; give real numbers"):
            kf.fit(other, 1)


def test_a_picture_in_xarray():
    image = np.random.default_rng(0).integers(0, 9, (20, 30, 3)).astype(np.uint8)
    scene = xr.DataArray(image, dims=("y", "x", "band"), coords={"y": np.arange(20.0)})
    ours = kf.fit(scene, 4)
    for other in (image, Tensor(image), np.ma.masked_array(image)):
        assert_same(ours, kf.fit(other, 4), xr.DataArray)
    assert ours.labels.shape == (20, 30)
    assert kf.ColorHistogram(scene).n_pixels == 600
    bands_first = scene.transpose("band", "y", "x")
    assert_same(kf.fit(bands_first, 4), kf.fit(image, 4), xr.DataArray)


def test_no_mask_is_overlooked():
    image = np.ma.masked_equal(photograph(12, 16) // 50, 2)
    n = int(image.mask.sum())
    message = f"has {n} masked values; leave those points out, or fill them in"
    plain = image.filled(0)
    for refused in (
        lambda: kf.quantize(image, 2),
        lambda: kf.quantize(da.from_array(image, chunks=(5, 16, 3)), 2),
        lambda: kf.explore(image, [2]),
        lambda: kf.fit(list(image), 2),
        lambda: kf.k_means([[0, 0, 0]], image),
        lambda: kf.means(image, plain[..., 0], 6),
        lambda: kf.palette(image, 2),
        lambda: kf.assign(list(image), [[0, 0, 0]]),
        lambda: kf.fit(plain, 2).predict(list(image)),
        lambda: kf.ColorHistogram.from_tiles([plain, list(image)]),
    ):
        with pytest.raises(ValueError, match=message):
            refused()
    histogram = kf.ColorHistogram()
    for option in ({"weight": image[..., 0]}, {"mask": image[..., 0].astype(bool)}):
        with pytest.raises(ValueError, match="has .* masked values; fill them in"):
            histogram.update(plain, **option)
    assert histogram.n_pixels == 0
    labels = da.from_array(np.ma.masked_equal(plain[..., 0], 1), chunks=(5, 16))
    with pytest.raises(ValueError, match="labels has .* masked values; fill them in"):
        kf.means(plain, labels, 6)


def test_the_remedies_for_a_mask_that_messages_name():
    image = np.ma.masked_equal(photograph(12, 16) // 50, 2)
    hidden = image.mask.any(axis=2)
    expected = kf.fit(image.data[~hidden], 3)
    with pytest.raises(ValueError, match=r"\.filled\(value\)\) and give them a sample_weight of 0"):
        kf.fit(list(image), 3, sample_weight=~hidden)
    weighed = kf.fit(image.filled(0), 3, sample_weight=~hidden)
    np.testing.assert_array_equal(weighed.centroids, expected.centroids)
    histogram = kf.ColorHistogram()
    with pytest.raises(ValueError, match=r"leave them out by ColorHistogram.update\(mask=\)"):
        histogram.update(list(image))
    histogram.update(image.filled(0), mask=~hidden)
    np.testing.assert_array_equal(kf.fit(histogram, 3).centroids, expected.centroids)


# ------------------------------------------------------------------------------- byte order


def swapped(array):
    """Return the same values in the other byte order."""
    return array.astype(array.dtype.newbyteorder())


def answers(image, path):
    """Yield what everything that takes a picture of uint16 or of floats makes of it."""
    weights = np.linspace(0, 4, image[..., 0].size).reshape(image.shape[:-1])
    weights, start = weights.astype(image.dtype), image.reshape(-1, 3)[:3]
    chunks, weight_chunks = da.from_array(image, (5, 16, 3)), da.from_array(weights, (7, 9))
    yield kf.fit(image, 3, max_iter=3).recolor()
    for result in (
        kf.fit(image, 3, init=start, sample_weight=weights, max_iter=2),
        kf.fit(chunks, 3, init=start, sample_weight=weight_chunks, max_iter=2),
        kf.fit(chunks, 3, init=start, sample_weight=weights, max_iter=2),
    ):
        yield result.centroids
        yield np.asarray(result.labels)
    blocks = chunks.map_blocks(np.asarray, meta=np.empty((0, 0, 0), image.dtype.newbyteorder("=")))
    yield kf.assign(blocks, start).compute()
    model = KMeans(3, random_state=0, max_iter=3).fit(image.reshape(-1, 3))
    yield model.cluster_centers_
    yield model.predict(image.reshape(-1, 3))
    if image.dtype.kind == "f":
        return
    for histogram in (kf.ColorHistogram(image), kf.ColorHistogram.from_tiles([image, image])):
        yield histogram.colors
        yield histogram.counts
    histogram.update(image, weight=np.arange(weights.size, dtype=image.dtype).reshape(12, 16))
    yield histogram.counts
    for options in (
        {"n_colors": 5},
        {"n_colors": 5, "dither": True, "medoids": True},
        {"palette": ["black", "white", "red"], "sort": "share"},
    ):
        painted = kf.quantize(image, **options)
        yield np.array(painted.getpalette())
        yield np.asarray(painted)
    yield np.asarray(kf.quantize(image[..., 0], 2))
    yield visible_rgb(image)
    np.save(path, image)
    tiles = kf.open_tiles(path, tile_pixels=50)
    yield np.concatenate(list(tiles))
    yield kf.ColorHistogram.from_tiles(tiles).counts


@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_bytes_in_the_other_order_have_the_bits_of_the_native_array(dtype, tmp_path):
    image = photograph(12, 16, dtype=np.uint16).astype(dtype)
    each = [list(answers(given, tmp_path / "a.npy")) for given in (image, swapped(image))]
    for found, expected in zip(*each, strict=True):
        assert found.dtype == expected.dtype and found.dtype.isnative
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("table", [False, True])
def test_labels_are_written_in_the_byte_order_of_what_they_are_written_to(table, monkeypatch):
    if table:
        monkeypatch.setattr(labels_, "TABLE_PIXELS", 0)
        monkeypatch.setattr(labels_, "PIXELS_A_CLUSTER", 0)
    image = np.arange(600, dtype=np.uint16).reshape(20, 30, 1)
    result = kf.fit(image, 300, init=np.arange(300.0)[:, None], max_iter=1)
    out = swapped(np.zeros((20, 30), np.uint16))
    assert result.predict(image, out=out) is out
    np.testing.assert_array_equal(out, result.labels)
    with pytest.raises(ValueError, match="out has shape .* and dtype .*; the labels take"):
        result.predict(image, out=np.zeros((20, 30), np.int16))

"""Pixels that take no part: the bits of a fit of the others, and labels in their places."""

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kmeans_fast as kf
from kmeans_fast.gathering import CHUNK, LEAST_CHUNK
from kmeans_fast.sklearn import KMeans

from .pictures import photograph


def picture(dtype=np.uint8, c=3):
    """Return pixels of which a corner and some more are 0 in every channel, or in one."""
    image = photograph(60, 80, c).astype(dtype)
    image = np.maximum(image, 1)
    image[:20, :30] = 0
    image[40, ::7, 0] = 0
    return image


def holes(image):
    return (image == 0).any(axis=-1)


SCENES = {
    "uint8": picture(),
    "uint8, 4 bands": picture(c=4),
    "uint16": (picture(np.uint16) * 250).astype(np.uint16),
    "uint16, 4 bands": (picture(np.uint16, 4) * 250).astype(np.uint16),
    "float32": picture(np.float32),
}


@pytest.fixture(params=SCENES, ids=SCENES)
def scene(request):
    return SCENES[request.param]


@pytest.fixture(autouse=True)
def threads():
    with dask.config.set(scheduler="threads", num_workers=2):
        yield


def assert_fits(ours, expected, keep, fill=-1, kind=np.int8):
    """Compare a fit with that of the pixels that take part."""
    labels = np.asarray(ours.labels)
    assert labels.shape == keep.shape and labels.dtype == kind
    np.testing.assert_array_equal(labels[keep], expected.labels)
    assert (labels[~keep] == fill).all()
    np.testing.assert_array_equal(ours.centroids, expected.centroids)
    np.testing.assert_array_equal(ours.counts, expected.counts)
    assert (ours.inertia, ours.n_iter) == (expected.inertia, expected.n_iter)


# ------------------------------------------------------------------------------------ bits


def test_a_masked_fit_has_the_bits_of_a_fit_of_the_pixels_that_take_part(scene):
    keep = ~holes(scene)
    expected = kf.fit(scene[keep], 5)
    each = [0] * scene.shape[-1]
    for nodata in (0, 0.0, np.array(0), each, np.array(each, float)):
        assert_fits(kf.fit(scene, 5, nodata=nodata), expected, keep)
    for options in ({"mask": keep}, {"mask": keep.tolist()}):
        assert_fits(kf.fit(scene, 5, **options), expected, keep)
    assert_fits(kf.fit(scene, 5, nodata=0, fill=255), expected, keep, 255, np.uint8)
    before = scene.copy()
    rows = kf.fit(scene.reshape(-1, scene.shape[-1]).copy(), 5, mask=keep.ravel(), n_threads=1)
    assert_fits(rows, expected, keep.ravel())
    np.testing.assert_array_equal(scene, before)


def test_mask_and_nodata_together_both_have_to_allow_a_pixel(scene):
    mask = np.random.default_rng(0).random(scene.shape[:2]) < 0.7
    keep = mask & ~holes(scene)
    ours = kf.fit(scene, 4, mask=mask, nodata=0)
    assert_fits(ours, kf.fit(scene[keep], 4), keep)


def test_nodata_of_one_band_alone(scene):
    keep = scene[..., 0] != 0
    nodata = [0] + [None] * (scene.shape[-1] - 1)
    assert_fits(kf.fit(scene, 4, nodata=nodata), kf.fit(scene[keep], 4), keep)


@pytest.mark.parametrize("kind", ["whole", "fractions"])
def test_weights_of_pixels_that_take_no_part_may_be_anything(scene, kind):
    rng = np.random.default_rng(1)
    weights = rng.integers(1, 9, scene.shape[:2]).astype(float)
    weights = weights if kind == "whole" else weights + rng.random(weights.shape)
    keep = ~holes(scene)
    expected = kf.fit(scene[keep], 4, sample_weight=weights[keep])
    weights[~keep] = np.nan
    data = da.from_array(scene, chunks=(25, 30, scene.shape[-1]))
    lazy = da.from_array(weights, chunks=(60, 11))
    for ours in (
        kf.fit(scene, 4, sample_weight=weights, nodata=0),
        kf.fit(scene, 4, sample_weight=weights.ravel(), mask=keep),
        kf.fit(data, 4, sample_weight=weights, mask=keep),
        kf.fit(data, 4, sample_weight=lazy, nodata=0),
    ):
        assert_fits(ours, expected, keep)


def test_nan_is_an_error_and_nodata_leaves_it_out():
    image = picture(np.float64)
    image[image == 0] = np.nan
    keep = ~np.isnan(image).any(axis=-1)
    with pytest.raises(ValueError, match=r"NaN or infinity at row 0; .* by nodata=np\.nan or mask"):
        kf.fit(image, 3)
    ours = kf.fit(image, 3, nodata=np.nan)
    assert_fits(ours, kf.fit(image[keep], 3), keep)
    np.testing.assert_array_equal(np.isnan(ours.recolor()).any(axis=-1), ~keep)
    np.testing.assert_array_equal(ours.predict(image, nodata=np.nan), ours.labels)
    np.testing.assert_array_equal(kf.assign(image, ours.centroids, nodata=np.nan), ours.labels)


def test_sweep_and_starts(scene):
    keep = ~holes(scene)
    for ours, expected in zip(
        kf.sweep(scene, [2, 5], nodata=0), kf.sweep(scene[keep], [2, 5]), strict=True
    ):
        assert_fits(ours, expected, keep)
    np.testing.assert_array_equal(
        kf.kmeans_plusplus(scene, 5, nodata=0), kf.kmeans_plusplus(scene[keep], 5)
    )
    for options in ({"init": "random", "n_init": 2}, {"init": lambda data, k, _: data[:k]}):
        assert_fits(kf.fit(scene, 3, mask=keep, **options), kf.fit(scene[keep], 3, **options), keep)


def test_spaces_and_refined_fits():
    image = SCENES["uint8"]
    keep = ~holes(image)
    for options in ({"space": "oklab"}, {"refine": 1}):
        assert_fits(kf.fit(image, 4, nodata=0, **options), kf.fit(image[keep], 4, **options), keep)
    lazy = kf.fit(da.from_array(image, chunks=(30, 40, 3)), 4, nodata=0, space="oklab")
    assert_fits(lazy, kf.fit(image[keep], 4, space="oklab"), keep)


def test_pixels_of_many_chunks_in_any_layout():
    chunk = max(LEAST_CHUNK, CHUNK // 4)
    n = 2 * chunk + 12_345
    rng = np.random.default_rng(0)
    points = rng.integers(0, 4, (n, 4)).astype(np.uint16)
    points[chunk : 2 * chunk] = 0  # a chunk of which nothing takes part
    points[:9] = 3
    keep = (points != 0).all(axis=1)
    expected = kf.fit(points[keep], 3, max_iter=2)
    wide = points[: n - n % 5].reshape(5, -1, 4)
    rows = kf.fit(wide, 3, mask=keep[: n - n % 5].reshape(5, -1), max_iter=2)
    assert_fits(rows, kf.fit(points[: n - n % 5][keep[: n - n % 5]], 3, max_iter=2),
                keep[: n - n % 5].reshape(5, -1))  # fmt: skip
    for threads in (1, 2):
        for data in (points, np.asfortranarray(points)):
            assert_fits(kf.fit(data, 3, nodata=0, max_iter=2, n_threads=threads), expected, keep)


# ------------------------------------------------------------------------------------ labels


def test_labels_are_of_a_signed_type_whatever_the_pixels_hold():
    image = photograph(40, 60) // 2 + 1  # no 0
    plain = kf.fit(image, 3)
    for options in ({"nodata": 0}, {"mask": np.ones((40, 60), bool)}):
        ours = kf.fit(image, 3, **options)
        assert ours.labels.dtype == np.int8 and plain.labels.dtype == np.uint8
        np.testing.assert_array_equal(ours.labels, plain.labels)
        assert kf.assign(image, plain.centroids, **options).dtype == np.int8
        assert plain.predict(image, **options).dtype == np.int8
    assert kf.fit(np.ma.masked_array(image), 3).labels.dtype == np.int8


@pytest.mark.parametrize(
    ("k", "fill", "kind"),
    [(128, None, "i1"), (129, None, "i2"), (2, 255, "u1"), (2, 256, "u2"), (200, -9999, "i2"),
     (300, 65535, "u2"), (2, 2**31 - 1, "i4"), (2, -(2**31), "i4")],
)  # fmt: skip
def test_labels_have_the_smallest_type_that_holds_all(k, fill, kind):
    image = np.arange(1200, dtype=np.uint16).reshape(30, 40, 1)
    centroids = np.linspace(0, 1200, k)[:, None]
    labels = kf.assign(image, centroids, nodata=7, fill=fill)
    assert labels.dtype == kind and labels[0, 7] == (-1 if fill is None else fill)
    expected = kf.assign(image, centroids)
    np.testing.assert_array_equal(np.delete(labels.ravel(), 7), np.delete(expected.ravel(), 7))
    out = np.zeros((60, 40), kind)
    result = kf.fit(image, k, init=centroids, max_iter=1)
    assert result.predict(image, nodata=7, fill=fill, out=out[::2]) is not None
    np.testing.assert_array_equal(out[::2], result.predict(image, nodata=7, fill=fill))
    assert not out[1::2].any()


def test_predict_labels_tiles_and_those_without_a_pixel(scene):
    keep = ~holes(scene)
    result = kf.fit(scene, 4, nodata=0)
    labels = np.zeros(keep.shape, np.int8)
    for rows in (slice(0, 20), slice(20, 60)):
        for columns in (slice(0, 30), slice(30, 80)):  # the first has none
            out = labels[rows, columns]
            assert result.predict(scene[rows, columns], nodata=0, out=out) is out
    np.testing.assert_array_equal(labels, result.labels)
    assert (kf.assign(scene, result.centroids, mask=~keep & keep) == -1).all()
    with pytest.raises(ValueError, match="out has .* uint8; the labels take .* of int8"):
        result.predict(scene, nodata=0, out=labels.astype(np.uint8))


def test_what_a_result_does_with_pixels_that_take_no_part(scene):
    keep = ~holes(scene)
    ours, expected = kf.fit(scene, 4, mask=keep), kf.fit(scene[keep], 4)
    painted = kf.fit(scene, 4, nodata=0, fill=99).recolor()
    assert painted.shape == scene.shape and painted.dtype == scene.dtype
    np.testing.assert_array_equal(painted[keep], expected.recolor())
    assert (painted[~keep] == 0).all()
    masked = ours.recolor()[~keep]
    assert np.isnan(masked).all() if scene.dtype.kind == "f" else (masked == 0).all()
    np.testing.assert_array_equal(ours.members(2), np.flatnonzero(ours.labels == 2))
    assert (ours.palette is None) == (scene.dtype.kind == "f")


# ------------------------------------------------------------------------- whole, tiled, Dask


@pytest.mark.parametrize("name", ["uint8", "uint8, 4 bands", "uint16"])
def test_whole_tiled_and_dask_have_the_same_bits(name, tmp_path):
    image = SCENES[name]
    keep = ~holes(image)
    whole = kf.fit(image, 5, nodata=0)
    np.save(tmp_path / "a.npy", image)
    tiles = kf.open_tiles(tmp_path / "a.npy", tile_pixels=80 * 7, nodata=0)
    folder = kf.open_tiles([tmp_path / "a.npy"] * 2, nodata=0)
    assert tiles.nodata == 0 and kf.open_tiles(tmp_path / "a.npy").nodata is None
    histogram = kf.ColorHistogram()
    for rows in range(0, 60, 7):
        histogram.update(image[rows : rows + 7], nodata=0)
    assert histogram == kf.ColorHistogram.from_tiles(tiles)
    assert histogram == kf.ColorHistogram.from_tiles(image, nodata=0)
    assert histogram == kf.ColorHistogram.from_tiles([np.ma.masked_equal(image, 0)])
    assert kf.ColorHistogram.from_tiles(folder) == histogram + histogram
    planes = np.ascontiguousarray(np.moveaxis(image, -1, 0))
    assert histogram == kf.ColorHistogram.from_tiles(planes, nodata=0, channel_axis=0)
    assert histogram == kf.ColorHistogram.from_tiles([planes], nodata=0, channel_axis=0)
    assert histogram.n_pixels == keep.sum()
    fitted = kf.fit(histogram, 5)
    np.testing.assert_array_equal(fitted.centroids, whole.centroids)
    assert fitted.inertia == whole.inertia
    labels = np.zeros(keep.shape, np.int8)
    for place, tile in tiles.items():
        fitted.predict(tile, nodata=tiles.nodata, out=labels[place])
    np.testing.assert_array_equal(labels, whole.labels)
    assert_fits(kf.fit(da.from_array(image, chunks=(19, 33, -1)), 5, nodata=0),
                kf.fit(image[keep], 5), keep)  # fmt: skip


def test_a_histogram_with_weights_and_a_mask():
    image = SCENES["uint8"]
    keep = ~holes(image)
    weights = np.arange(keep.size).reshape(keep.shape) % 5
    ours, expected = kf.ColorHistogram(), kf.ColorHistogram()
    ours.update(np.ma.masked_equal(image, 0), weight=weights, mask=weights != 3)
    expected.update(image[keep], weight=weights[keep] * (weights[keep] != 3))
    assert ours == expected
    ours.update(image, mask=np.zeros(keep.shape, bool))  # as a tile beyond the swath
    assert ours == expected


@pytest.mark.parametrize("chunks", [(60, 80), (19, 33), (7, 80)])
def test_a_dask_array_with_masks(scene, chunks):
    keep = ~holes(scene)
    data = da.from_array(scene, chunks=(*chunks, -1))
    expected = kf.fit(scene[keep], 5)
    results = [
        kf.fit(data, 5, nodata=0),
        kf.fit(data, 5, mask=keep),
        kf.fit(data, 5, mask=da.from_array(keep, chunks=(60, 17))),
        kf.fit(da.ma.masked_equal(data, 0), 5),
    ]
    for ours in results:
        assert isinstance(ours.labels, da.Array) and ours.labels.chunks == data.chunks[:2]
        assert_fits(ours, expected, keep)
    lazy = results[0].predict(data, nodata=0, fill=200)
    assert isinstance(lazy, da.Array) and lazy.dtype == np.uint8
    np.testing.assert_array_equal(
        lazy.compute(), np.where(keep, results[0].labels, np.uint8(200)).astype(np.uint8)
    )
    painted = results[0].recolor()
    assert painted.chunks == data.chunks and painted.dtype == scene.dtype
    np.testing.assert_array_equal(painted.compute(), kf.fit(scene, 5, nodata=0).recolor())
    labels = kf.assign(data, expected.centroids, mask=keep)
    np.testing.assert_array_equal(labels, results[0].labels)
    first = data.transpose(2, 0, 1)
    assert_fits(kf.fit(first, 5, nodata=0, channel_axis=0), expected, keep)
    apart = kf.fit(first.rechunk({0: 1}), 5, nodata=0, channel_axis=0)  # as files have them
    assert_fits(apart, expected, keep)
    assert apart.labels.chunks == data.chunks[:2]


# ------------------------------------------------------------------------------- bands first


@pytest.mark.parametrize("nodata", [None, 0])
def test_bands_first_have_the_bits_of_bands_last(scene, nodata):
    planes = np.ascontiguousarray(np.moveaxis(scene, -1, 0))
    expected = kf.fit(scene, 4, nodata=nodata)
    for axis in (0, -3):
        ours = kf.fit(planes, 4, nodata=nodata, channel_axis=axis)
        np.testing.assert_array_equal(ours.centroids, expected.centroids)
        np.testing.assert_array_equal(ours.labels, expected.labels)
        assert ours.labels.dtype == expected.labels.dtype and ours.inertia == expected.inertia
        options = {"nodata": nodata, "channel_axis": axis}
        np.testing.assert_array_equal(ours.predict(planes, **options), ours.labels)
        np.testing.assert_array_equal(kf.assign(planes, ours.centroids, **options), ours.labels)
        assert (ours.palette is None) == (expected.palette is None)
        painted = ours.recolor()
        np.testing.assert_array_equal(painted, np.moveaxis(expected.recolor(), -1, 0))
    points = scene.reshape(-1, scene.shape[-1]).T
    ours = kf.fit(points, 4, nodata=nodata, channel_axis=0)
    np.testing.assert_array_equal(ours.labels, expected.labels.ravel())


def test_no_channel_axis_is_a_grey_image():
    grey = picture()[..., 0]
    expected = kf.fit(grey[..., None], 3, nodata=0)
    for data in (grey, xr.DataArray(grey, dims=("y", "x"))):
        ours = kf.fit(data, 3, nodata=0, channel_axis=None)
        np.testing.assert_array_equal(ours.labels, expected.labels)
        assert ours.recolor().shape == grey.shape
    lazy = kf.fit(da.from_array(grey, chunks=(20, 80)), 3, nodata=0, channel_axis=None)
    np.testing.assert_array_equal(lazy.labels, expected.labels)
    row = kf.fit(grey[30].tolist(), 2, channel_axis=None)
    assert row.labels.shape == (80,)


# ------------------------------------------------------------------------- numpy.ma and xarray


def test_masked_arrays_are_understood(scene):
    keep = ~holes(scene)
    expected = kf.fit(scene[keep], 4)
    image = np.ma.masked_equal(scene, 0)
    assert_fits(kf.fit(image, 4), expected, keep)
    assert_fits(kf.fit(image.transpose(2, 0, 1), 4, channel_axis=0), expected, keep)
    labels = kf.fit(scene, 4, nodata=0).labels
    np.testing.assert_array_equal(kf.assign(image, expected.centroids), labels)
    np.testing.assert_array_equal(expected.predict(image), labels)
    mask = np.random.default_rng(0).random(keep.shape) < 0.5
    assert_fits(kf.fit(image, 4, mask=mask), kf.fit(scene[keep & mask], 4), keep & mask)


def as_frame(image, lazily=False, **options):
    values = np.moveaxis(image, -1, 0)
    values = da.from_array(values, chunks=(-1, 25, 30)) if lazily else values
    h, w = image.shape[:2]
    coords = {
        "band": np.arange(image.shape[-1]) + 1,
        "y": np.linspace(50, 51, h),
        "x": np.linspace(7, 8, w),
        "height": (("y", "x"), np.zeros((h, w))),
        "spatial_ref": ((), 0, {"crs_wkt": "somewhere"}),
    }
    return xr.DataArray(values, dims=("band", "y", "x"), coords=coords, **options)


@pytest.mark.parametrize("lazily", [False, True])
def test_xarray_in_and_out(scene, lazily):
    keep = ~holes(scene)
    expected = kf.fit(scene[keep], 4)
    data = as_frame(scene, lazily, name="radiance", attrs={"_FillValue": 0, "units": "W"})
    ours = kf.fit(data, 4)
    assert_fits(ours, expected, keep)
    labels = ours.labels
    assert isinstance(labels, xr.DataArray) and labels.dims == ("y", "x")
    assert isinstance(labels.data, da.Array) == lazily
    assert set(labels.coords) == {"y", "x", "height", "spatial_ref"}
    assert labels.coords["spatial_ref"].attrs == {"crs_wkt": "somewhere"}
    assert labels.attrs == {"_FillValue": -1} and labels.name == "labels"
    for other in (ours.predict(data), kf.assign(data, ours.centroids)):
        xr.testing.assert_identical(other.compute(), labels.compute())
    painted = ours.recolor()
    assert painted.dims == data.dims and painted.attrs == data.attrs
    np.testing.assert_array_equal(painted, np.moveaxis(kf.fit(scene, 4, nodata=0).recolor(), -1, 0))
    np.testing.assert_array_equal(ours.members(1), np.flatnonzero(labels.values == 1))
    filled = kf.fit(data, 4, fill=255).labels
    assert filled.attrs == {"_FillValue": 255} and filled.dtype == np.uint8
    last = data.transpose("y", "x", "band")
    xr.testing.assert_identical(kf.fit(last, 4).labels.compute(), labels.compute())
    named = data.rename(band="time")
    assert_fits(kf.fit(named, 4, channel_axis="time"), expected, keep)
    assert_fits(kf.fit(named, 4, channel_axis=0), expected, keep)
    mask = xr.DataArray(keep, dims=("y", "x"))
    for given in (mask, mask.T, keep):
        assert_fits(kf.fit(data, 4, mask=given), expected, keep)
    out = np.zeros(keep.shape, np.int8)
    if lazily:
        with pytest.raises(TypeError, match="out is given with a Dask array"):
            ours.predict(data, out=out)
    else:
        assert ours.predict(data, out=out) is out
        np.testing.assert_array_equal(out, labels)


def test_what_a_data_array_says_of_no_data():
    image = SCENES["uint16, 4 bands"]
    keep = ~holes(image)
    expected = kf.fit(image[keep], 3)
    whole = kf.fit(image, 3)
    told = as_frame(image)
    np.testing.assert_array_equal(kf.fit(told, 3).labels, whole.labels)
    assert kf.fit(told, 3).labels.attrs == {}
    for value in (0, 0.0, np.uint16(0), np.array([0])):
        told.attrs["_FillValue"] = value
        assert_fits(kf.fit(told, 3), expected, keep)
    read = told.where(told != 0)  # as xarray reads a file
    read.attrs.clear()
    read.encoding["_FillValue"] = 0
    assert_fits(kf.fit(read, 3), kf.fit(image[keep].astype(float), 3), keep)
    for value in (-9999, np.nan):  # which uint16 does not hold: there is none
        told.attrs["_FillValue"] = value
        ours = kf.fit(told, 3).labels
        assert ours.dtype == np.int8
        np.testing.assert_array_equal(ours, whole.labels)
    told.attrs["_FillValue"] = 9  # an argument wins
    assert_fits(kf.fit(told, 3, nodata=0), expected, keep)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of affine
def test_rioxarray_keeps_the_crs_and_says_what_is_no_data():
    pytest.importorskip("rioxarray")
    image = SCENES["uint16, 4 bands"]
    keep = ~holes(image)
    expected = kf.fit(image[keep], 3)
    data = as_frame(image).drop_vars("spatial_ref").rio.write_crs("EPSG:32632")
    data = data.rio.write_nodata(0)
    for scene in (data, data.rio.write_crs("EPSG:32632", grid_mapping_name="crs")):
        ours = kf.fit(scene, 3)
        assert_fits(ours, expected, keep)
        assert ours.labels.rio.crs == scene.rio.crs and ours.labels.rio.nodata == -1
        assert ours.labels.rio.transform() == scene.rio.transform()
        assert ours.recolor().rio.crs == scene.rio.crs
    told = data.drop_vars("spatial_ref").assign_attrs(crs="EPSG:32632")  # as it once was
    assert kf.fit(told, 3).labels.rio.crs == told.rio.crs == data.rio.crs
    encoded = data.astype(float).where(data != 0).rio.write_nodata(0, encoded=True)
    assert_fits(kf.fit(encoded, 3), kf.fit(image[keep].astype(float), 3), keep)


def test_a_data_array_without_a_dimension_of_channels():
    image = SCENES["uint8"]
    data = xr.DataArray(np.moveaxis(image, -1, 0), dims=("time", "y", "x"))
    with pytest.raises(ValueError, match="none of them named band, .* as channel_axis='time'"):
        kf.fit(data, 3)
    with pytest.raises(ValueError, match="channel_axis='band' is no dimension of data"):
        kf.fit(data, 3, channel_axis="band")
    with pytest.raises(ValueError, match="channel_axis=3 is no axis of data, which has dimen"):
        kf.fit(data, 3, channel_axis=3)
    one = kf.fit(data[0], 3)  # (y, x): one band
    np.testing.assert_array_equal(one.labels, kf.fit(image[..., :1], 3).labels)
    points = xr.DataArray(image.reshape(-1, 3), dims=("sample", "feature"))
    assert kf.fit(points, 3).labels.dims == ("sample",)


# ------------------------------------------------------------------------------- scikit-learn


def test_the_estimator_leaves_rows_out(scene):
    X, keep = scene.reshape(-1, scene.shape[-1]), ~holes(scene).ravel()
    weights = np.arange(len(X)) % 3 + 1.0
    expected = KMeans(4, random_state=0).fit(X[keep], sample_weight=weights[keep])
    weights[~keep] = np.nan
    frame = pd.DataFrame(X, columns=[f"b{band}" for band in range(X.shape[1])])
    for data, options in (
        (X, {"mask": keep}), (X, {"nodata": 0}), (np.ma.masked_equal(X, 0), {}),
        (frame, {"nodata": 0}),
    ):  # fmt: skip
        model = KMeans(4, random_state=0).fit(data, sample_weight=weights, **options)
        np.testing.assert_array_equal(model.cluster_centers_, expected.cluster_centers_)
        assert model.labels_.dtype == np.int32 and model.inertia_ == expected.inertia_
        np.testing.assert_array_equal(model.labels_[keep], expected.labels_)
        assert (model.labels_[~keep] == -1).all()
        np.testing.assert_array_equal(model.predict(data, **options), model.labels_)
        assert model.score(data, sample_weight=weights, **options) == -model.inertia_
        assert hasattr(model, "feature_names_in_") == (data is frame)
    assert (model.predict(frame, mask=keep & ~keep) == -1).all()
    with pytest.raises(ValueError, match="mask or nodata leaves no pixel"):
        model.fit(X, mask=keep & ~keep)


# -------------------------------------------------------------------------------- bad input

IMAGE = picture()
WIDE = SCENES["uint16, 4 bands"]


@pytest.mark.parametrize("lazily", [False, True])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"mask": np.ones((60, 79), bool)}, ValueError, r"mask has shape \(60, 79\); give one for"),
        ({"mask": np.ones(4800, bool)}, ValueError, r"mask has shape \(4800,\); .*, \(60, 80\)"),
        ({"mask": np.ones((60, 80))}, TypeError, "mask has dtype float64; give bool, such as mask"),
        ({"mask": np.zeros((60, 80), bool)}, ValueError, "mask or nodata leaves no pixel"),
        ({"mask": WIDE[..., 0] == 0, "nodata": 0}, ValueError, "mask or nodata leaves no pixel"),
        ({"nodata": -1}, ValueError, r"nodata=-1 is no value of uint16 \(whole numbers from 0 to"),
        ({"nodata": 70_000}, ValueError, "nodata=70000 is no value of uint16"),
        ({"nodata": 0.5}, ValueError, "nodata=0.5 is no value of uint16"),
        ({"nodata": np.nan}, ValueError, "nodata=nan is no value of uint16"),
        ({"nodata": [0, 0, 0, -1]}, ValueError, "nodata=-1 is no value of uint16"),
        ({"nodata": [0, 0]}, ValueError, "nodata has 2 values, and the data 4 bands; give one"),
        ({"nodata": "none"}, TypeError, "nodata='none' is no number; give a value of the data"),
        ({"nodata": 0, "fill": 2}, ValueError, "fill=2 is the number of a cluster, of 0 to 2; giv"),
        ({"fill": 2**31}, ValueError, "fill=2147483648 is more than labels hold"),
        ({"fill": 1.5}, TypeError, "fill=1.5 is not an integer"),
        ({"channel_axis": 3}, ValueError, "channel_axis=3 is no axis of .*, which has 3; give -1"),
        ({"channel_axis": "band"}, TypeError, "channel_axis='band' names a dimension, which a Da"),
        ({"channel_axis": 1.0}, TypeError, "channel_axis=1.0 is no number of an axis; give -1"),
        ({"channel_axis": None}, ValueError, r"channel_axis=None is for .* \(h, w\) or \(n,\)"),
    ],
)
def test_what_cannot_be(options, error, message, lazily):
    data = da.from_array(WIDE, chunks=(30, 40, 4)) if lazily else WIDE
    calls = [lambda: kf.fit(data, 3, **options), lambda: kf.sweep(data, [2, 3], **options)]
    if "leaves no pixel" not in message:
        result = kf.fit(WIDE, 3, max_iter=1)
        calls += [
            lambda: kf.assign(data, result.centroids, **options),
            lambda: result.predict(data, **options),
        ]
    for call in calls:
        with pytest.raises(error, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_nodata_that_floats_cannot_hold():
    image = picture(np.float32)
    with pytest.raises(ValueError, match=r"nodata=1e\+40 is no value of float32"):
        kf.fit(image, 2, nodata=1e40)
    kf.fit(image, 2, nodata=-3.4028234663852886e38)
    kf.fit(image, 2, nodata=np.inf)


def test_more_clusters_than_pixels_that_take_part():
    mask = np.zeros((60, 80), bool)
    mask[0, :2] = True
    lazy = [da.from_array(data, chunks=(30, 40, -1)) for data in (IMAGE, WIDE)]
    for data in (IMAGE, WIDE, WIDE.astype(float), *lazy):
        with pytest.raises(ValueError, match="n_clusters=3 is more than the 2 points"):
            kf.fit(data, 3, mask=mask)


def test_a_histogram_takes_no_mask_once_it_has_counted():
    for options in ({"nodata": 0}, {"mask": [True]}, {"fill": 9}, {"channel_axis": 0}):
        with pytest.raises(ValueError, match="is given with a ColorHistogram, which has counted"):
            kf.fit(kf.ColorHistogram(IMAGE), 2, **options)
    histogram = kf.ColorHistogram()
    with pytest.raises(ValueError, match="nodata=256 is no value of uint8"):
        histogram.update(IMAGE, nodata=256)
    with pytest.raises(ValueError, match="tile 1: nodata=300 is no value of uint8"):
        kf.ColorHistogram.from_tiles([IMAGE.astype(np.uint16), IMAGE], nodata=300)

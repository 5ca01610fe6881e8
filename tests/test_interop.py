"""Arrays of other libraries, which NumPy's own protocol lets in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import kmeans_fast as kf


class Tensor:
    """What PyTorch's tensors are to us: something that NumPy can ask for an array."""

    def __init__(self, values):
        self._values = values

    def __array__(self, dtype=None, copy=None):
        return np.array(self._values, dtype=dtype, copy=True if copy is None else copy)


def points():
    rng = np.random.default_rng(0)
    return rng.normal(size=(300, 3)) + 9 * rng.integers(0, 2, (300, 1))


def assert_same(ours, expected):
    assert type(ours.labels) is np.ndarray
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


def test_a_picture_in_xarray():
    image = np.random.default_rng(0).integers(0, 9, (20, 30, 3)).astype(np.uint8)
    scene = xr.DataArray(image, dims=("y", "x", "band"), coords={"y": np.arange(20.0)})
    ours = kf.fit(scene, 4)
    assert_same(ours, kf.fit(image, 4))
    assert ours.labels.shape == (20, 30)
    assert kf.ColorHistogram(scene).n_pixels == 600
    bands_first = scene.transpose("band", "y", "x")
    assert_same(kf.fit(bands_first.transpose("y", "x", "band"), 4), kf.fit(image, 4))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_anything_with_the_array_protocol(dtype):
    values = (10 * points() + 50).clip(0, 255).astype(dtype)
    assert_same(kf.fit(Tensor(values), 2), kf.fit(values, 2))


def test_a_masked_array_is_taken_only_if_nothing_is_masked():
    values = points()
    assert_same(kf.fit(np.ma.masked_array(values), 2), kf.fit(values, 2))
    with pytest.raises(ValueError, match="data has 300 masked values; leave those points out"):
        kf.fit(np.ma.masked_array(values, mask=[[True, False, False]] * 300), 2)

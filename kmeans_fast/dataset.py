"""The caller's data as a point set, and how to give answers in the data's own shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import validate
from .histogram import ColorHistogram
from .pixels import ColorFormat, CountedPixels, PixelChunks, split_keys
from .points import Points
from .points.colors import ColorPoints
from .points.dense import DensePoints
from .spaces import from_oklab, to_oklab
from .threads import Threads

Array = NDArray[Any]


def _same(centroids: Array) -> Array:
    return centroids


@dataclass(frozen=True)
class Dataset:
    """The caller's data as a point set, and how to give answers in the data's own shape."""

    points: Points
    source: Any  # what a callable init is given
    dtype: np.dtype[Any]
    shape: tuple[int, ...]  # of the labels
    is_image: bool
    spread: Callable[[Array], Array]  # labels of the point set -> labels of the data, flat
    space: str = "rgb"
    into: Callable[[Array], Array] = _same  # centroids of the data -> of the point set
    back: Callable[[Array], Array] = _same  # and back


def open_data(data: Any) -> Array | ColorHistogram:
    """Return checked data."""
    if not isinstance(data, ColorHistogram):
        return validate.as_array(data)
    if data.n_colors == 0:
        raise ValueError("data is an empty ColorHistogram; update it with a picture first")
    return data


def size_of(data: Array | ColorHistogram) -> tuple[int, int]:
    """Return the number of points and of features."""
    if isinstance(data, ColorHistogram):
        return data.n_pixels, data.n_channels
    return data.size // data.shape[-1], data.shape[-1]


def as_dataset(
    data: Array | ColorHistogram,
    sample_weight: ArrayLike | None,
    threads: Threads,
    space: str = "rgb",
) -> Dataset:
    """Return checked data as a point set: colours where they are that, else floats."""
    if isinstance(data, ColorHistogram) and sample_weight is not None:
        raise ValueError("sample_weight is given with a ColorHistogram, which has its counts")
    if space == "oklab":
        return _in_oklab(data, sample_weight, threads)
    if isinstance(data, ColorHistogram):
        points: Points = data.as_points(threads)
        return Dataset(points, data, data.dtype, (data.n_colors,), True, lambda labels: labels)
    shape = data.shape[:-1]
    weights = None
    if sample_weight is not None:
        weights = validate.as_weights(sample_weight, shape)
    is_image = data.ndim == 3 and data.dtype in (np.uint8, np.uint16)
    if not validate.are_colors(data):
        points = DensePoints(data.reshape(-1, data.shape[-1]), weights, threads)
        return Dataset(points, data, data.dtype, shape, is_image, lambda labels: labels)
    quantum = 1.0
    if weights is not None:
        weights, quantum = validate.weight_quanta(weights, int(np.iinfo(data.dtype).max))
    pixels = CountedPixels(PixelChunks(data), threads)
    totals = pixels.counts if weights is None else pixels.weigh(weights)
    points = ColorPoints(pixels.keys, totals, pixels.chunks.format, threads, quantum)
    return Dataset(points, data, data.dtype, shape, is_image, pixels.paint)


def _in_oklab(
    data: Array | ColorHistogram, sample_weight: ArrayLike | None, threads: Threads
) -> Dataset:
    """Return the distinct colours of a picture, in OKLab, weighted by their pixels."""
    if isinstance(data, ColorHistogram):
        colors, weights, shape = data.colors, data.counts, (data.n_colors,)
        spread: Callable[[Array], Array] = _same
    else:
        shape = data.shape[:-1]
        pixels = CountedPixels(PixelChunks(data), threads)
        form: ColorFormat = pixels.chunks.format
        colors, weights = split_keys(pixels.keys, form, threads).T, pixels.counts
        if sample_weight is not None:
            given, _ = validate.weight_quanta(
                validate.as_weights(sample_weight, shape), form.largest
            )
            weights = pixels.weigh(given)
        spread = pixels.paint
    white = float(np.iinfo(data.dtype).max)
    points = DensePoints(to_oklab(colors, white), weights, threads)
    return Dataset(
        points, data, data.dtype, shape, True, spread, "oklab",
        into=lambda centroids: to_oklab(centroids, white),
        back=lambda centroids: from_oklab(centroids, white),
    )  # fmt: skip

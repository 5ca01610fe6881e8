"""The caller's data as a point set, and how to give answers in the data's own shape."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import memory
from ..arrays import as_array, as_weights
from ..checks import are_colors, is_dask
from ..colors.counting import TABLE_BITS, ColorFormat, CountedPixels, PixelChunks, split_keys
from ..colors.histogram import ColorHistogram
from ..colors.points import ColorPoints
from ..dense.facts import find_facts
from ..dense.points import DensePoints, PointsInParts
from ..dense.tree import seeds as tree_seeds
from ..exact.weights import UNWEIGHTED, Units, from_limbs, summarize, units_of_pixels
from ..point_set import Points
from ..spaces import Space, from_oklab, to_oklab
from ..threads import Threads

Array = NDArray[Any]

# An array (n, d) of uint8 or uint16 looks like a grey picture from so many rows and columns on, and
# with the longer side up to so many times the shorter.
LEAST_SIDE, MOST_LONG = 32, 4


def _same(centroids: Array) -> Array:
    return centroids


def _as_they_are(labels: Any, _: Array) -> Any:
    return labels


@dataclass(frozen=True)
class Dataset:
    """The caller's data as a point set, and how to give answers in the data's own shape."""

    points: Points
    source: Any  # what a callable init is given: the checked data
    dtype: np.dtype[Any]
    shape: tuple[int, ...]  # of the labels
    is_image: bool
    # Labels of the point set and centroids of the data -> labels of the data, flat.
    spread: Callable[[Array, Array], Any]
    space: Space = "rgb"
    into: Callable[[Array], Array] = _same  # centroids of the data -> of the point set
    back: Callable[[Array], Array] = _same  # and back
    close: Callable[[], object] = tuple

    def __enter__(self) -> Dataset:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing where the data are."""
        self.close()


def open_data(data: Any) -> Any:
    """Return checked data: an array, a `ColorHistogram` or a Dask array."""
    if is_dask(data):
        from .dask import check_array

        return warn_of_grey(check_array(data))
    if not isinstance(data, ColorHistogram):
        return warn_of_grey(as_array(data, remedy=" and give them a sample_weight of 0"))
    if data.n_colors == 0:
        raise ValueError("data is an empty ColorHistogram; update it with a picture first")
    return data.copy()  # of one moment: other threads may update it


def warn_of_grey(data: Any) -> Any:
    """Return checked data; say what is assumed of an array that looks like a grey picture."""
    if data.ndim == 2 and data.dtype in (np.uint8, np.uint16):
        least, most = sorted(data.shape)
        if LEAST_SIDE <= least and most <= MOST_LONG * least:
            warnings.warn(
                f"data of shape {data.shape} and dtype {data.dtype} are taken for points, one a "
                "row; give a grey picture as data[..., None], and such points as floats",
                UserWarning,
                stacklevel=4,
            )
    return data


def size_of(data: Any) -> tuple[int, int]:
    """Return the number of points and of features of checked data."""
    if isinstance(data, ColorHistogram):
        return data.n_pixels, data.n_channels
    return int(np.prod(data.shape[:-1])), data.shape[-1]


def as_dataset(
    data: Any,
    sample_weight: ArrayLike | None,
    threads: Threads,
    space: Space = "rgb",
    task_threads: int | None = None,
) -> Dataset:
    """Return checked data as a point set: colours where they are that, else floats.

    `task_threads` are those of each of Dask's tasks, 1 by default: its workers are many already.
    """
    if isinstance(data, ColorHistogram):
        if sample_weight is not None:
            raise ValueError("sample_weight is given with a ColorHistogram, which has its counts")
        return _of_histogram(data, threads, space)
    if is_dask(data):
        return _of_chunks(data, sample_weight, threads, space, task_threads or 1)
    shape = data.shape[:-1]
    weights = None
    if sample_weight is not None:
        weights = as_weights(sample_weight, shape)
    _check_memory(data, weights is not None)
    if not are_colors(data):
        points = DensePoints(data.reshape(-1, data.shape[-1]), weights, threads)
        return Dataset(points, data, data.dtype, shape, _is_image(data), _as_they_are)
    units = UNWEIGHTED
    if weights is not None:
        units = units_of_pixels(summarize(weights), int(np.iinfo(data.dtype).max))
    pixels = CountedPixels(PixelChunks(data), threads)
    limbs = pixels.counts[None]
    if weights is not None:
        limbs = pixels.weigh(weights, units)
    counted = pixels.chunks.format, pixels.keys, limbs, units
    return _of_colors(data, *counted, threads, space, lambda labels, _: pixels.paint(labels))


def _check_memory(data: Array, weighted: bool) -> None:
    """Raise where what a fit holds beside the data does not fit in memory.

    Labels of pixels take a byte each, and sorted colours 12 more, as many as there are pixels at
    the most; of other points bounds, labels and sums take 16 bytes, and copies what they take. A
    tree takes the place of the bounds: its own copy, and 6 bytes.
    """
    n = data.size // data.shape[-1]
    if are_colors(data):
        wide = 8 * data.itemsize * data.shape[-1] > TABLE_BITS
        remedy = (
            "count it in tiles (ColorHistogram.from_tiles), fit the histogram, and label tile by "
            "tile (KMeansResult.predict)"
        )
        memory.check(n * (1 + 12 * wide), remedy)
        return
    kept = data.flags.c_contiguous and data.dtype in (np.float32, np.float64)
    small = data.itemsize <= (4 if data.dtype.kind == "f" else 2)
    floats = data.size * (4 if small else 8)
    tree = 0 if weighted or not tree_seeds(n, data.shape[-1]) else floats + 6 * n
    remedy = "fit fewer points, or a Dask array in chunks (kmeans_fast[dask])"
    memory.check(max(16 * n, tree) + (0 if kept else floats), remedy)


def _of_histogram(data: ColorHistogram, threads: Threads, space: Space) -> Dataset:
    shape = (data.n_colors,)
    if space == "oklab":
        return _in_oklab(data, data.colors, data.counts, shape, threads, _as_they_are)
    return Dataset(data.as_points(threads), data, data.dtype, shape, True, _as_they_are)


def _of_chunks(
    data: Any, sample_weight: Any, threads: Threads, space: Space, task_threads: int
) -> Dataset:
    """Return a Dask array as a point set."""
    from . import dask as on_dask

    weights = None if sample_weight is None else on_dask.check_weights(sample_weight, data)
    if are_colors(data):
        counted = on_dask.count_colors(data, weights, task_threads)
        return _of_colors(
            data, *counted, threads, space,
            lambda _, centroids: on_dask.lazy_labels(data, centroids, space, task_threads),
        )  # fmt: skip
    from .dask_parts import DaskParts

    parts = DaskParts(data, weights, task_threads)
    try:
        facts = find_facts(parts)
        points = PointsInParts(parts.settle(facts), facts, threads)
    except BaseException:
        parts.close()
        raise
    is_image = _is_image(data)
    return Dataset(
        points, data, data.dtype, data.shape[:-1], is_image, _as_they_are, close=parts.close
    )


def _is_image(data: Any) -> bool:
    return data.ndim == 3 and data.dtype in (np.uint8, np.uint16)


def _of_colors(
    data: Any,
    form: ColorFormat,
    keys: Array,
    limbs: Array,
    units: Units,
    threads: Threads,
    space: Space,
    spread: Callable[[Array, Array], Any],
) -> Dataset:
    """Return counted pixels as a point set."""
    shape = data.shape[:-1]
    if space == "oklab":
        colors = split_keys(keys, form, threads).T
        return _in_oklab(data, colors, from_limbs(limbs, units), shape, threads, spread)
    points = ColorPoints(keys, limbs, form, threads, units)
    return Dataset(points, data, data.dtype, shape, _is_image(data), spread)


def _in_oklab(
    data: Any,
    colors: Array,
    weights: Array,
    shape: tuple[int, ...],
    threads: Threads,
    spread: Callable[[Array, Array], Any],
) -> Dataset:
    """Return distinct colours in OKLab, weighted by their pixels."""
    white = float(np.iinfo(data.dtype).max)
    points = DensePoints(to_oklab(colors, white), weights, threads)
    return Dataset(
        points, data, data.dtype, shape, True, spread, "oklab",
        into=lambda centroids: to_oklab(centroids, white),
        back=lambda centroids: from_oklab(centroids, white),
    )  # fmt: skip

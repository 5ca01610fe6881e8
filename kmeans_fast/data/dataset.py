"""The caller's data as a point set, and how to give answers in the data's own shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import memory
from ..arrays import as_weights
from ..checks import are_colors
from ..colors.counting import CountedPixels
from ..colors.histogram import ColorHistogram
from ..colors.keys import TABLE_BITS, ColorFormat, PixelChunks, split_keys
from ..colors.points import ColorPoints
from ..dense.facts import stay_whole
from ..dense.points import DensePoints
from ..dense.raw import type_of_numbers
from ..dense.tree import seeds as tree_seeds
from ..exact.weights import UNWEIGHTED, Units, from_limbs, summarize, units_of_pixels
from ..gathering import as_rows
from ..masking import Setting
from ..point_set import Floats, Labels, PointSet
from ..spaces import Space, from_oklab, to_oklab
from ..threads import Threads

Array = NDArray[Any]

# Labels of the point set and centroids of the data -> labels of the data, flat.
Spread = Callable[[Labels, Floats], Labels]


def _same(centroids: Floats) -> Floats:
    return centroids


def _as_they_are(labels: Labels, _: Floats) -> Labels:
    return labels


@dataclass(frozen=True)
class Dataset:
    """The caller's data as a point set, and how to give answers in the data's own shape."""

    points: PointSet
    source: Any  # what a callable init is given: the checked data
    dtype: np.dtype[Any]
    shape: tuple[int, ...]  # of the labels
    is_image: bool  # are centroids colours, of which a palette can be made?
    spread: Spread = _as_they_are
    space: Space = "rgb"
    into: Callable[[Floats], Floats] = _same  # centroids of the data -> of the point set
    back: Callable[[Floats], Floats] = _same  # and back
    close: Callable[[], object] = tuple  # leaves nothing where the data are
    n: int | None = None  # points, where they are not known before
    setting: Setting = Setting()  # how the data lie, and what of them takes no part

    def label(self, centroids: Floats) -> tuple[Labels, Array, float]:
        """Return labels in the data's own shape, counts and inertia for centroids of the data."""
        labels, counts, inertia = self.points.label(self.into(centroids))
        return self.carry(labels, centroids), counts, inertia

    def carry(self, labels: Labels, centroids: Floats) -> Labels:
        """Return labels of the point set as labels of the data, as these came."""
        return self.setting.labels(self.spread(labels, centroids).reshape(self.shape))


def of_array(
    data: Array, sample_weight: ArrayLike | None, threads: Threads, space: Space = "rgb"
) -> Dataset:
    """Return a checked array as a point set: its colours where it has such, else floats."""
    shape = data.shape[:-1]
    weights = None if sample_weight is None else as_weights(sample_weight, shape)
    _check_memory(data, weights is not None)
    if not are_colors(data):
        points = DensePoints(as_rows(data, threads), weights, threads)
        return Dataset(points, data, data.dtype, shape, is_image(data))
    units = UNWEIGHTED
    if weights is not None:
        units = units_of_pixels(summarize(weights), int(np.iinfo(data.dtype).max))
    pixels = CountedPixels(PixelChunks(data), threads)
    limbs = pixels.counts[None] if weights is None else pixels.weigh(weights, units)
    counted = pixels.chunks.format, pixels.keys, limbs, units
    return of_colors(data, *counted, threads, space, lambda labels, _: pixels.paint(labels))


def _check_memory(data: Array, weighted: bool) -> None:
    """Raise where what a fit holds beside the data does not fit in memory.

    Labels of pixels take a byte each, and sorted colours 12 more, as many as there are pixels at
    the most, and their order 8; of other points bounds, labels and sums take 16 bytes, and copies
    what they take. A tree takes the place of the bounds: its own copy, and 6 bytes.
    """
    n = data.size // data.shape[-1]
    if are_colors(data):
        wide = 8 * data.itemsize * data.shape[-1] > TABLE_BITS
        remedy = (
            "count it in tiles (ColorHistogram.from_tiles), fit the histogram, and label tile by "
            "tile (KMeansResult.predict)"
        )
        memory.check(n * (1 + 20 * wide), remedy)
        return
    dtype = type_of_numbers(data)
    kept = data.flags.c_contiguous and data.dtype == dtype
    copy = 0 if kept else data.size * dtype.itemsize
    whole = stay_whole(dtype, n, data.shape[-1])
    floats = data.size * max(4, dtype.itemsize)
    if dtype.kind != "f" and not whole:
        copy += floats
    seeded_by_tree = not (weighted or whole) and tree_seeds(n, data.shape[-1])
    tree = floats + 6 * n if seeded_by_tree else 0
    remedy = "fit fewer points, or a Dask array in chunks (kmeans_fast[dask])"
    memory.check(max(16 * n, tree) + copy, remedy)


def of_histogram(data: ColorHistogram, threads: Threads, space: Space) -> Dataset:
    """Return the colours of a histogram, which has some, as a point set."""
    shape = (data.n_colors,)
    if space == "oklab":
        return _in_oklab(data, data.colors, data.counts, shape, threads, _as_they_are)
    return Dataset(data.as_points(threads), data, data.dtype, shape, is_image=True)


def is_image(data: Any) -> bool:
    """Tell whether centroids of an array are colours, of which a palette can be made."""
    return data.ndim == 3 and data.dtype in (np.uint8, np.uint16)


def of_colors(
    data: Any,
    form: ColorFormat,
    keys: Array,
    limbs: Array,
    units: Units,
    threads: Threads,
    space: Space,
    spread: Spread,
) -> Dataset:
    """Return counted pixels as a point set."""
    shape = data.shape[:-1]
    if space == "oklab":
        colors = split_keys(keys, form, threads).T
        return _in_oklab(data, colors, from_limbs(limbs, units), shape, threads, spread)
    points = ColorPoints(keys, limbs, form, threads, units)
    return Dataset(points, data, data.dtype, shape, is_image(data), spread)


def _in_oklab(
    data: Any,
    colors: Array,
    weights: Array,
    shape: tuple[int, ...],
    threads: Threads,
    spread: Spread,
) -> Dataset:
    """Return distinct colours in OKLab, weighted by their pixels."""
    white = float(np.iinfo(data.dtype).max)
    points = DensePoints(to_oklab(colors, white), weights, threads)
    return Dataset(
        points, data, data.dtype, shape, True, spread, "oklab",
        into=lambda centroids: to_oklab(centroids, white),
        back=lambda centroids: from_oklab(centroids, white),
    )  # fmt: skip

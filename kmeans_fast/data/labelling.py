"""Labels of arrays for given centroids: once, or for more and more points by a table of colours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import as_array, as_centroids
from ..checks import are_colors, check_space, check_threads
from ..colors.counting import label_by_table
from ..colors.keys import TABLE_BITS, ColorFormat, PixelChunks, split_keys
from ..colors.points import ColorPoints
from ..point_set import Floats, Labels, label_dtype
from ..spaces import Space
from ..threads import Threads, shared_lock
from .dataset import of_array

Array = NDArray[Any]

# When the table is made. It takes 40 to 70 ms for up to 256 clusters, 30 us more for each after
# that; `assign` takes 11 ms for a tile of a megapixel, 30 ms for a picture of 6, and 2 ms at least,
# as much as 2^18 pixels (two threads, photographs). So the table is made when `assign` has had
# about as long: after 6 megapixels of tiles at K = 16.
TABLE_PIXELS = 1 << 23
PIXELS_A_CLUSTER = 1 << 12
PIXELS_A_CALL = 1 << 18
# Colours labelled at once where all colours are: a cube of 64 x 64 x 64. Measured for 2^24 colours,
# K = 16 / 64 / 256, two threads: 2^15 120 / 80 / 120 ms, 2^18 50 / 55 / 70, 2^20 110 / 100 / 117.
CUBE = 1 << 18
# In OKLab it takes 4 s, and assign 22 ms a megapixel.
OKLAB_PIXELS = 1 << 28


def label_array(points: Array, centroids: ArrayLike, space: Space, threads: Threads) -> Labels:
    """Label every point of a checked array with its nearest centroid, the lowest on ties."""
    checked = as_centroids(centroids, points.shape[-1], "centroids")
    check_space(space, points)
    return of_array(points, None, threads, space).label(checked)[0]


class Labeller:
    """Give points the label of their nearest centroid, as `assign` does.

    Pixels of up to three channels of uint8, or one of uint16, that come in large numbers are
    labelled by a table of the labels of all colours. Threads may share a labeller; pickles and
    copies leave the table behind.

    Parameters
    ----------
    centroids : ndarray of float64, shape (k, d)
    space : {"rgb", "oklab"}
    """

    def __init__(self, centroids: Floats, space: Space = "rgb") -> None:
        self._centroids = centroids
        self._space = space
        self._lock = shared_lock()
        self._seen = 0  # pixels labelled without the table
        self._table: Array = np.empty(0, label_dtype(len(centroids)))
        self._form: ColorFormat | None = None  # of its colours
        self._of = centroids[:0]  # a copy of the centroids that it was made for

    def __reduce__(self) -> tuple[type[Labeller], tuple[Array, str]]:
        """Pickle what it is made from."""
        return Labeller, (self._centroids, self._space)

    def __call__(
        self, points: Any, n_threads: int | None = None, out: Array | None = None
    ) -> Array:
        """Label points (h, w, d) or (n, d), into `out` if that is given."""
        array = as_array(points, "points")
        if out is not None:
            check_out(out, array.shape[:-1], self._table.dtype)
        with Threads(check_threads(n_threads)) as threads:
            return self.label(array, threads, out)

    def label(self, array: Array, threads: Threads, out: Array | None = None) -> Array:
        """Label a checked array, into an array that is checked too."""
        table = None
        if are_colors(array) and array.shape[-1] == self._centroids.shape[-1]:
            chunks = PixelChunks(array)
            if chunks.format.key_bits <= TABLE_BITS:
                table = self._find_table(chunks, threads)
        if table is None:
            labels = label_array(array, self._centroids, self._space, threads)
        elif out is not None and _is_plain(out) and not np.may_share_memory(array, out):
            label_by_table(chunks, table, np.asarray(out).reshape(-1), threads)
            return out
        else:
            labels = np.empty(array.shape[:-1], table.dtype)
            label_by_table(chunks, table, labels.reshape(-1), threads)
        if out is None:
            return labels
        out[...] = labels
        return out

    def _find_table(self, chunks: PixelChunks, threads: Threads) -> Array | None:
        """Return the table for such pixels, or None where `assign` is faster so far."""
        with self._lock:
            if self._form == chunks.format and np.array_equal(self._of, self._centroids):
                return self._table
            self._seen += chunks.n_pixels + PIXELS_A_CALL
            worth = TABLE_PIXELS + PIXELS_A_CLUSTER * len(self._centroids)
            if self._seen < (OKLAB_PIXELS if self._space == "oklab" else worth):
                return None
            make = _label_all_in_oklab if self._space == "oklab" else _label_all
            centroids = self._centroids.copy()
            self._table = make(centroids, chunks.format, threads)
            self._form, self._of, self._seen = chunks.format, centroids, 0
            return self._table


def _label_all(centroids: Array, form: ColorFormat, threads: Threads) -> Array:
    """Return a table with the label of every colour there is, in the order of the keys.

    All cubes of as many colours are one tree of cells: only its boxes and colours move.
    """
    n_colors, k = 1 << form.key_bits, len(centroids)
    n = min(n_colors, CUBE)
    table = np.empty(n_colors, label_dtype(k))
    keys = np.arange(n, dtype=form.key_dtype)
    cube = ColorPoints(keys, np.ones((1, n), np.int64), form, Threads(1))

    def label(first: int) -> None:
        corner = split_keys(np.array([first], form.key_dtype), form, Threads(1))
        table[first : first + n] = cube.moved(corner).label(centroids)[0]

    threads.map(label, range(0, n_colors, n))
    return table


def _label_all_in_oklab(centroids: Floats, form: ColorFormat, threads: Threads) -> Array:
    """Return what `_label_all` does, by distances in OKLab."""
    table = np.empty(1 << form.key_bits, label_dtype(len(centroids)))
    for first in range(0, table.size, CUBE):
        keys = np.arange(first, min(first + CUBE, table.size), dtype=form.key_dtype)
        colors = split_keys(keys, form, threads).T
        table[keys] = label_array(colors, centroids, "oklab", threads)
    return table


def _is_plain(out: Array) -> bool:
    return bool(out.flags.carray and out.dtype.isnative)


def check_out(out: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise unless labels of this shape and type can be written there."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is {type(out).__name__}; give an array for the labels")
    if out.shape != shape or out.dtype.newbyteorder("=") != dtype:
        raise ValueError(
            f"out has shape {out.shape} and dtype {out.dtype}; the labels take {shape} of {dtype}"
        )
    if not out.flags.writeable:
        raise ValueError("out is read-only; open a memory-map with mode 'r+' or 'w+'")

"""The pixels of a scene that are there, in the order of its rows, and where they were."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import memory
from ..pictures.identify import naming
from ..pictures.rasters import Raster
from ..pictures.tiff import Box

Array = NDArray[Any]
Keep = Callable[[int, Array], object]  # which pixel the first is, and pixels (m, d)
Watch = Callable[[str, float], object]  # what is done, and the share of it that is

# Pixels read at once, in numbers of all bands: of 16 bits 16 MB, twice over.
WINDOW = 1 << 23


class Mask:
    """Which pixels of a scene are there, a bit each."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape: tuple[int, int] = shape
        self.n: int = 0
        self._bits = np.zeros((shape[0], -(-shape[1] // 8)), np.uint8)

    def put(self, box: Box, valid: NDArray[np.bool_]) -> None:
        """Take note of a window, which begins at a column that is a multiple of 8."""
        top, bottom, left, right = box
        self._bits[top:bottom, left // 8 : -(-right // 8)] = np.packbits(valid, axis=1)
        self.n += int(np.count_nonzero(valid))

    def within(self, box: Box) -> NDArray[np.bool_]:
        """Return which pixels of such a window are there."""
        top, bottom, left, right = box
        bits = self._bits[top:bottom, left // 8 : -(-right // 8)]
        return np.unpackbits(bits, axis=1, count=right - left).view(bool)


class InMemory:
    """Pixels in one array, of which only so much is memory as is written."""

    def __init__(self, most: int, d: int, dtype: np.dtype[Any]) -> None:
        memory.check(most * d * dtype.itemsize, "classify it in tiles (--tiled)")
        self._rows = np.empty((most, d), dtype)

    def keep(self, at: int, pixels: Array) -> None:
        """Put pixels to their place."""
        self._rows[at : at + len(pixels)] = pixels

    def read(self, start: int, stop: int) -> Array:
        """Return some of the pixels, as they are there."""
        return self._rows[start:stop]

    def close(self) -> None:
        """Let go of them."""
        self._rows = self._rows[:0].copy()


class OnDisk:
    """Pixels in a file without a name."""

    def __init__(self, d: int, dtype: np.dtype[Any], folder: str) -> None:
        self._d, self._dtype, self._folder = d, dtype, folder
        self._file = tempfile.TemporaryFile(dir=folder, prefix=".kmeans-fast-", buffering=0)

    def keep(self, at: int, pixels: Array) -> None:
        """Put pixels to their place."""
        if pixels.size == 0:
            return
        self._file.seek(at * self._d * self._dtype.itemsize)
        rest = np.ascontiguousarray(pixels).data.cast("B")
        with naming(self._folder):
            while rest:
                rest = rest[self._file.write(rest) :]

    def read(self, start: int, stop: int) -> Array:
        """Return some of the pixels."""
        pixels = np.empty((stop - start, self._d), self._dtype)
        self._file.seek(start * self._d * self._dtype.itemsize)
        rest = pixels.data.cast("B")
        while rest:
            n = self._file.readinto(rest)
            if not n:
                raise OSError("the temporary file of the pixels ends before they do")
            rest = rest[n:]
        return pixels

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def gather(raster: Raster, keep: Keep, watch: Watch) -> Mask:
    """Have all pixels that are there kept, numbered by rows; return where they are.

    A row of blocks that is more than a few windows long is read twice: first to see how many pixels
    each row of each window has.
    """
    mask = Mask(raster.shape[:2])
    for stripe in _stripes(raster):
        at = mask.n
        if len(stripe) == 1:
            pixels = raster.read(stripe[0])
            valid = raster.find_valid(pixels, stripe[0])
            keep(at, _chosen(pixels, valid))
            mask.put(stripe[0], valid)
        else:
            _gather_long(raster, stripe, keep, mask)
        watch("read", stripe[-1][1] / raster.shape[0])
    return mask


def _gather_long(raster: Raster, stripe: list[Box], keep: Keep, mask: Mask) -> None:
    at, by_row = mask.n, []
    for box in stripe:
        valid = raster.find_valid(raster.read(box), box)
        mask.put(box, valid)
        by_row.append(np.count_nonzero(valid, axis=1))
    counts = np.stack(by_row, axis=1)  # of each row in each window
    starts = at + counts.cumsum().reshape(counts.shape) - counts
    for number, box in enumerate(stripe):
        chosen, done = _chosen(raster.read(box), mask.within(box)), 0
        for start, n in zip(starts[:, number].tolist(), counts[:, number].tolist(), strict=True):
            if n:
                keep(start, chosen[done : done + n])
            done += n


def _stripes(raster: Raster) -> Iterator[list[Box]]:
    """Yield the windows of one row of windows after the other."""
    for _, stripe in groupby(
        raster.boxes(max(1, WINDOW // raster.shape[2]), 8), key=lambda box: box[0]
    ):
        yield list(stripe)


def _chosen(pixels: Array, valid: NDArray[np.bool_]) -> Array:
    """Return the pixels (m, d) of bands (d, h, w) that are there."""
    n = int(np.count_nonzero(valid))
    chosen = np.empty((n, len(pixels)), pixels.dtype)
    if n == valid.size:
        chosen.T[:] = pixels.reshape(len(pixels), -1)
    elif n:
        for at, band in enumerate(pixels):
            chosen[:, at] = band[valid]
    return chosen

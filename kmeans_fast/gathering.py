"""The pixels that take part, put together; and labels that go back among the others."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import memory
from .arrays import NO_WEIGHT, as_weights, check_weights, to_numpy, unmasked
from .checks import are_colors
from .masking import NOTHING_LEFT, Nowhere, Rule, labels_type
from .point_set import Labels, label_dtype
from .threads import Threads

Array = NDArray[Any]

# Numbers that a thread looks at, or moves, at once: what it takes to find them stays in its cache.
CHUNK = 1 << 18
LEAST_CHUNK = 1 << 12  # pixels


def keep_of(
    block: Array, mask: Array | None, hidden: Array | None, nodata: Nowhere | None
) -> Array:
    """Return which pixels of an array take part: bool, in their shape."""
    keep = np.ones(block.shape[:-1], bool) if mask is None else mask.copy()
    if hidden is not None:
        _leave_out(keep, hidden)
    if nodata is None:
        return keep
    first = nodata[0]
    is_one = first is not None and all(value == first for value in nodata)  # and it is not NaN
    if is_one and block.flags.c_contiguous:
        _leave_out(keep, block == first)
        return keep
    for channel, value in enumerate(nodata):
        if value is not None:
            band = block[..., channel]
            keep &= (band == band) if value != value else (band != value)
    return keep


def _leave_out(keep: Array, flags: Array) -> None:
    """Leave out the pixels of which any channel has a flag."""
    n_channels = flags.shape[-1]
    if n_channels in (1, 2, 4, 8) and flags.flags.c_contiguous:  # all of them are one number
        keep &= flags.view(f"u{n_channels}")[..., 0] == 0
        return
    for channel in range(n_channels):
        keep &= ~flags[..., channel]


def _copy_rows(block: Array, out: Array | None = None) -> Array:
    """Return pixels one a row; of bands that lie apart a band at a time, in a third of the time."""
    n_channels = block.shape[-1]
    if out is None:
        out = np.empty((block.size // n_channels, n_channels), block.dtype)
    if block.strides[-1] == block.itemsize:
        out[...] = block.reshape(out.shape)
    else:
        for channel in range(n_channels):
            out[:, channel] = block[..., channel].reshape(-1)
    return out


class Part:
    """The pixels of an array that take part.

    Parameters
    ----------
    pixels : ndarray, shape (h, w, d) or (n, d)
        In any layout.
    rule : Rule
    threads : Threads

    Attributes
    ----------
    n : int
        How many take part.
    """

    def __init__(self, pixels: Array, rule: Rule, threads: Threads) -> None:
        self.shape: tuple[int, ...] = pixels.shape[:-1]
        self.fill: int = rule.fill
        self.n_pixels: int = math.prod(self.shape)
        flat = pixels.flags.c_contiguous and (rule.hidden is None or rule.hidden.flags.c_contiguous)
        # Rows are cut where pixels do not follow each other in memory.
        self._per_row = 1 if flat else self.n_pixels // self.shape[0]
        chunk = max(LEAST_CHUNK, CHUNK // pixels.shape[-1])
        step = max(1, chunk // self._per_row) * self._per_row
        self._spans = [
            (start, min(start + step, self.n_pixels)) for start in range(0, self.n_pixels, step)
        ]
        self.n: int = self.n_pixels
        self._keep: Array | None = None  # flat; None: all
        if rule.takes_all:
            return
        if rule.mask is not None and rule.hidden is None and rule.nodata is None:
            keep = np.ascontiguousarray(rule.mask).reshape(-1)
        else:
            keep = self._find(pixels, rule, threads)
        counts = threads.map(lambda span: int(np.count_nonzero(keep[slice(*span)])), self._spans)
        self.n = sum(counts)
        self._ends = np.cumsum(counts).tolist()
        self._keep = None if self.n == self.n_pixels else keep

    def _find(self, pixels: Array, rule: Rule, threads: Threads) -> Array:
        keep = np.empty(self.n_pixels, bool)
        mask = None if rule.mask is None else rule.mask[..., None]

        def find(span: tuple[int, int]) -> None:
            block = self._cut(pixels, span)
            masked = None if mask is None else self._cut(mask, span)[..., 0]
            hidden = None if rule.hidden is None else self._cut(rule.hidden, span)
            keep[slice(*span)] = keep_of(block, masked, hidden, rule.nodata).reshape(-1)

        threads.map(find, self._spans)
        return keep

    def _cut(self, pixels: Array, span: tuple[int, int]) -> Array:
        """Return the pixels of a span; a view, where they lie as this was made for."""
        if self._per_row == 1:
            return pixels.reshape(-1, pixels.shape[-1])[slice(*span)]
        return pixels[span[0] // self._per_row : span[1] // self._per_row]

    def check(self) -> None:
        """Raise where no pixel takes part."""
        if self.n == 0:
            raise ValueError(NOTHING_LEFT)

    def positions(self) -> NDArray[np.int64]:
        """Return which pixels take part, in a flat array: 8 bytes each."""
        return np.arange(self.n) if self._keep is None else np.flatnonzero(self._keep)

    def gather(self, pixels: Array, threads: Threads) -> Array:
        """Return the pixels that take part, (n, d), in C order.

        A chunk at a time, in their own type: nothing of the size of the data is made beside them.
        Where all take part it is the array itself: in C order, or colours, counted from any layout.
        """
        if self._keep is None and (pixels.flags.c_contiguous or are_colors(pixels)):
            return pixels
        n_channels = pixels.shape[-1]
        memory.check(
            self.n * n_channels * pixels.itemsize,
            "fit it in tiles (ColorHistogram), or as a Dask array in chunks",
        )
        out = np.empty((self.n, n_channels), pixels.dtype)

        def copy(number: int) -> None:
            start, stop = self._spans[number]
            block = self._cut(pixels, (start, stop))
            if self._keep is None:
                _copy_rows(block, out[start:stop])
                return
            into = out[self._ends[number - 1] if number else 0 : self._ends[number]]
            if len(into) == stop - start:
                _copy_rows(block, into)
            elif len(into):
                # Boolean indexing takes 23 ns a pixel of three bytes, this 2.
                chosen = np.flatnonzero(self._keep[start:stop])
                rows = block.reshape(-1, n_channels) if self._per_row == 1 else _copy_rows(block)
                rows.take(chosen, axis=0, out=into, mode="clip")

        threads.map(copy, range(len(self._spans)))
        return out

    def gather_weights(self, sample_weight: Any, threads: Threads) -> Array:
        """Return the weights of the pixels that take part; those of others may be anything."""
        weights = to_numpy(unmasked("sample_weight", sample_weight, NO_WEIGHT))
        check_weights(weights, self.shape, flat=True)
        if self._keep is not None:
            weights = self.gather(weights.reshape(*self.shape, 1), threads)
        return as_weights(weights.reshape(-1), (self.n,))

    def spread(self, labels: Labels, k: int, threads: Threads, out: Array | None = None) -> Labels:
        """Return labels of all pixels, in their shape, from those that take part."""
        dtype = labels_type(k, self.fill)
        flat = labels.reshape(-1)
        if self._keep is None:
            if out is None:
                return as_type(flat, dtype).reshape(self.shape)
            out[...] = flat.reshape(self.shape)
            return out
        own = out is not None and out.flags.c_contiguous
        spread = out.reshape(-1) if own and out is not None else np.empty(self.n_pixels, dtype)
        keep = self._keep

        def copy(number: int) -> None:
            part = slice(*self._spans[number])
            first = self._ends[number - 1] if number else 0
            spread[part] = self.fill
            spread[part][keep[part]] = flat[first : self._ends[number]]

        threads.map(copy, range(len(self._spans)))
        if out is None:
            return spread.reshape(self.shape)
        if not own:
            out[...] = spread.reshape(self.shape)
        return out

    def label(
        self,
        pixels: Array,
        find: Callable[[Array], Labels],
        k: int,
        threads: Threads,
        out: Array | None = None,
    ) -> Labels:
        """Return labels of all pixels, by a function that labels those that take part."""
        none = np.empty(0, label_dtype(k))
        labels = find(self.gather(pixels, threads)) if self.n else none
        return self.spread(labels, k, threads, out)


def as_rows(array: Array, threads: Threads) -> Array:
    """Return pixels one a row, in C order: a view, where they are; else copied chunk by chunk."""
    if not array.flags.c_contiguous:
        array = Part(array, Rule(), threads).gather(array, threads)
    return array.reshape(-1, array.shape[-1])


def as_type(labels: Labels, dtype: np.dtype[Any]) -> Labels:
    """Return labels in a type that holds them; the same memory where that is as wide."""
    if labels.dtype == dtype:
        return labels
    if labels.dtype.itemsize == dtype.itemsize and labels.dtype.kind in "iu":
        return labels.view(dtype)
    return labels.astype(dtype)

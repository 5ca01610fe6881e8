"""Integer pixels counted into their distinct colours, and labels carried back to them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exact.weights import UNWEIGHTED, Units, in_limbs
from ..kernels import cells
from ..kernels import pixels as kernel
from ..threads import Threads
from .keys import TABLE_BITS, ColorFormat, PixelChunks, Span

Array = NDArray[Any]
Counted = tuple[Array, Array]  # distinct keys, sorted, and their counts: int64

# Up to this many pixels sorting is faster than clearing and scanning the table (measured on two
# threads: they meet between 180,000 and 400,000, by the picture).
SMALL = 1 << 18
# The most tables of one byte a colour (16 MB each for RGB) that threads fill side by side.
MAX_TABLES = 8
MOST_PASSED = 1 << 18  # keys that are kept for bytes that were full, before they are counted


class CountedPixels:
    """Pixels counted into distinct colours.

    Few pixels are sorted. Many are counted in a table of all colours, or, where keys are too wide
    for that, sorted a chunk at a time; or all together, where most have a colour of their own. Then
    their order is known, by which labels find their pixels (10 megapixels of 16 bits: 13 ms, where
    to look each colour up takes 1,000).

    Parameters
    ----------
    chunks : PixelChunks
    threads : Threads

    Attributes
    ----------
    keys : ndarray, shape (m,)
        The distinct keys, sorted.
    counts : ndarray of int64, shape (m,)
        How many pixels have each.
    """

    def __init__(self, chunks: PixelChunks, threads: Threads) -> None:
        self.chunks = chunks
        self._threads = threads
        self._order: Array | None = None
        self.keys: Array
        self.counts: Array
        bits = chunks.format.key_bits
        n = chunks.n_pixels
        together = bits > TABLE_BITS and n < 2**31 and _are_mostly_distinct(chunks)
        if together or (n <= SMALL and bits > 16):
            self.keys, self.counts = self._sort_all()
        elif bits <= TABLE_BITS:
            table = CountTable(chunks.format, min(threads.n, len(chunks.spans)))
            table.add(chunks, threads)
            self.keys, self.counts = table.gather(threads)
        else:
            self.keys, self.counts = _count_by_sorting(chunks, threads)

    def _sort_all(self) -> Counted:
        n = self.chunks.n_pixels
        form = self.chunks.format
        sorted_keys = np.empty(n, form.key_dtype)

        def fill(span: Span) -> None:
            sorted_keys[span[2] : span[3]] = self.chunks.keys(span)

        self._threads.map(fill, self.chunks.spans)
        keys = np.empty(n, form.key_dtype)
        counts = np.empty(n, np.int64)
        self._order = np.empty(n, np.int32)
        self._ranks = np.empty(n, np.int32)
        kernel.sort_keys(sorted_keys, form.key_bits, self._order)
        m = kernel.find_runs(sorted_keys, keys, counts, self._ranks)
        return keys[:m], counts[:m]

    def paint(self, color_labels: Array) -> Array:
        """Return the label of each pixel, shape (n,), from the labels of the colours."""
        chunks, form = self.chunks, self.chunks.format
        out = np.empty(chunks.n_pixels, color_labels.dtype)
        if self._order is not None:
            kernel.scatter_labels(self._order, self._ranks, color_labels, out)
        elif form.key_bits <= TABLE_BITS:
            table = np.empty(1 << form.key_bits, color_labels.dtype)
            kernel.scatter_table(self.keys, color_labels, table)
            label_by_table(chunks, table, out, self._threads)
        else:
            find = _finder(self.keys, chunks)
            self._threads.map(
                # No position is clipped, but other modes write to a copy.
                lambda span: color_labels.take(find(span), None, out[span[2] : span[3]], "clip"),
                chunks.spans,
            )
        return out

    def weigh(self, weights: Array, units: Units = UNWEIGHTED) -> Array:
        """Return the total weight of the pixels of each colour, in limbs: int64, (limbs, m)."""
        if self._order is not None:
            starts = np.cumsum(self.counts) - self.counts
            limbs = in_limbs(weights[self._order], units)
            return np.stack([np.add.reduceat(limb, starts) for limb in limbs])
        find = _finder(self.keys, self.chunks)
        totals = np.zeros((len(units), self.keys.size), np.int64)
        lock = Lock()

        def add(span: Span) -> None:
            positions = find(span)
            limbs = in_limbs(weights[span[2] : span[3]], units)
            with lock:
                for limb, total in zip(limbs, totals, strict=True):
                    np.add.at(total, positions, limb)

        self._threads.map(add, self.chunks.spans)
        return totals


class CountTable:
    """Tables of one byte a colour, which pixels are counted in, tile after tile.

    They are cleared and scanned once for all tiles: one of a megapixel takes 1.7 ms so, and 12 ms
    in tables of its own (two threads).

    Parameters
    ----------
    form : ColorFormat
        With keys of `TABLE_BITS` at most.
    n_threads : int
        One table each.
    """

    def __init__(self, form: ColorFormat, n_threads: int) -> None:
        self._tables = np.zeros((min(n_threads, MAX_TABLES), 1 << form.key_bits), np.uint8)
        none = np.empty(0, np.uint32)
        self._passed = [none]  # keys, each worth 128 pixels that a byte could not hold
        self._passed_counts: Counted = none, np.empty(0, np.int64)  # the same, counted by key

    @property
    def nbytes(self) -> int:
        """The memory of the tables."""
        return self._tables.nbytes + sum(part.nbytes for part in self._passed_counts)

    def add(self, chunks: PixelChunks, threads: Threads) -> None:
        """Count the pixels."""
        todo = chunks.spans[::-1]
        # In a table that is not empty any colour's next pixel may be one too many for its byte.
        # Memory that no key is written to is never fetched.
        room = chunks.n_pixels // 128 + min(chunks.n_pixels, self._tables.shape[1])

        def fill(table: Array) -> Array:
            passed = np.empty(room, np.uint32)
            n = 0
            while True:
                try:
                    span = todo.pop()
                except IndexError:
                    return passed[:n].copy()
                n = kernel.count_pixels(chunks.bytes(span), chunks.format.luts, table, passed, n)

        self._passed += threads.map(fill, self._tables[: min(threads.n, len(todo))])
        if sum(part.size for part in self._passed) > MOST_PASSED:
            self._count_passed()

    def _count_passed(self) -> None:
        keys, counts = np.unique(np.concatenate(self._passed), return_counts=True)
        self._passed_counts = merge_counts(*self._passed_counts, keys, counts)
        self._passed = [keys[:0]]

    def _find(self, threads: Threads) -> list[tuple[Array, int]]:
        """Return, part by part, the blocks of 64 keys of which some occur, and how many do."""
        n_blocks = self._tables.shape[1] // 64
        edges = np.linspace(0, n_blocks, min(4 * threads.n, n_blocks) + 1).astype(np.int64)
        words = self._tables.view(np.uint64)

        def find(part: int) -> tuple[Array, int]:
            blocks = np.empty(edges[part + 1] - edges[part] + 1, np.int64)
            n, n_keys = kernel.find_blocks(
                self._tables, words, edges[part], edges[part + 1], blocks
            )
            return blocks[:n], n_keys

        return threads.map(find, range(len(edges) - 1))

    def n_colors(self, threads: Threads) -> int:
        """Return the number of distinct colours so far (3 to 6 ms)."""
        return sum(n for _, n in self._find(threads))

    def gather(self, threads: Threads) -> Counted:
        """Return the keys that occur, sorted, and how often each does."""
        found = self._find(threads)
        ends = np.cumsum([n for _, n in found])
        keys = np.empty(ends[-1], np.uint32)
        counts = np.empty(ends[-1], np.int64)

        def gather(part: int) -> None:
            blocks, n = found[part]
            here = slice(ends[part] - n, ends[part])
            kernel.gather_colors(self._tables, blocks, keys[here], counts[here])

        threads.map(gather, range(len(found)))
        self._count_passed()
        passed, times = self._passed_counts
        counts[np.searchsorted(keys, passed)] += 128 * times
        return keys, counts


def merge_counts(keys_a: Array, counts_a: Array, keys_b: Array, counts_b: Array) -> Counted:
    """Merge two sorted lists of colours, adding the counts of those in both."""
    keys = np.empty(keys_a.size + keys_b.size, keys_a.dtype)
    counts = np.zeros(keys.size, np.int64)
    n = kernel.merge_counts(keys_a, counts_a, keys_b, counts_b, keys, counts)
    return keys[:n].copy(), counts[:n].copy()


def _are_mostly_distinct(chunks: PixelChunks) -> bool:
    """Return whether more than half of the pixels seem to have a colour of their own."""
    first, last = chunks.spans[0][2:]
    return 2 * np.unique(chunks.keys(chunks.spans[0])).size > last - first


def _count_by_sorting(chunks: PixelChunks, threads: Threads) -> Counted:
    def count(span: Span) -> Counted:
        return np.unique(chunks.keys(span), return_counts=True)

    parts = threads.map(count, chunks.spans)
    while len(parts) > 1:
        pairs = list(zip(parts[::2], parts[1::2], strict=False))
        merged = threads.map(lambda pair: merge_counts(*pair[0], *pair[1]), pairs)
        parts = merged + parts[2 * len(pairs) :]
    return parts[0]


def label_by_table(chunks: PixelChunks, table: Array, out: Array, threads: Threads) -> None:
    """Write the label of each pixel to `out` (n,), from a table of the labels of all keys."""
    threads.map(
        lambda span: kernel.label_pixels(
            chunks.bytes(span), chunks.format.luts, table, out[span[2] : span[3]]
        ),
        chunks.spans,
    )


def sum_members(
    chunks: PixelChunks, labels: Array, weights: Array | None, k: int, threads: Threads
) -> Array:
    """Return the weight and the channel sums of the pixels of each label: int64, (k, 1 + c)."""
    form = chunks.format
    if weights is None:
        weights = np.broadcast_to(np.int64(1), labels.shape)

    def add(span: Span) -> Array:
        sums = np.zeros((k, 1 + form.n_channels), np.int64)
        pixels = chunks.bytes(span).view(form.dtype).reshape(-1, form.n_channels)
        part = slice(span[2], span[3])
        cells.add_members(form.axes, pixels.T, weights[part], labels[part], sums)
        return sums

    total: Array = np.sum(threads.map(add, chunks.spans), axis=0)
    return total


def _finder(keys: Array, chunks: PixelChunks) -> Callable[[Span], Array]:
    """Return what finds the positions of the colours of a span in their sorted keys."""
    form = chunks.format
    bits = min(form.key_bits, max(8, int(keys.size).bit_length()))
    shift = keys.dtype.type(form.key_bits - bits)
    tops = np.arange(1 << bits, dtype=keys.dtype) << shift
    starts = np.append(np.searchsorted(keys, tops), keys.size)

    def find(span: Span) -> Array:
        positions = np.empty(span[3] - span[2], np.int64)
        kernel.find_colors(chunks.bytes(span), form.luts, starts, shift, keys, positions)
        return positions

    return find

"""Integer pixels: their distinct colours counted, and labels carried back to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exact.weights import UNWEIGHTED, Units, in_limbs
from ..kernels import pixels as kernel
from ..threads import Threads

Array = NDArray[Any]
Span = tuple[int, int, int, int]  # first row, last row, first pixel, last pixel

# Up to this many bits a key indexes a table of all colours; wider keys are sorted.
TABLE_BITS = 24
# Up to this many pixels sorting is faster than clearing and scanning the table (measured on two
# threads: they meet between 180,000 and 400,000, by the picture).
SMALL = 1 << 18
# The most tables of one byte a colour (16 MB each for RGB) that threads fill side by side.
MAX_TABLES = 8
CHUNK = 1 << 19  # pixels handed to a thread at once


@dataclass(frozen=True)
class ColorFormat:
    """How pixels of so many channels and bits become Morton keys, and keys colours.

    Attributes
    ----------
    n_channels, depth : int
        Channels, and bits of each (8 or 16).
    luts : tuple of ndarray
        For each byte of a pixel, its share of the key.
    tables : ndarray of uint64, shape (bytes of a key, 256)
        For each byte of a key, its share of the channels, in 16-bit fields.
    """

    n_channels: int
    depth: int
    luts: tuple[Array, ...] = field(repr=False, compare=False)
    tables: Array = field(repr=False, compare=False)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a channel."""
        return np.dtype(np.uint8 if self.depth == 8 else np.uint16)

    @property
    def largest(self) -> int:
        """The greatest value of a channel."""
        return (1 << self.depth) - 1

    @property
    def key_bits(self) -> int:
        """The bits of a key."""
        return self.n_channels * self.depth

    @property
    def key_dtype(self) -> np.dtype[Any]:
        """The type of a key."""
        return np.dtype(np.uint32 if self.key_bits <= 32 else np.uint64)

    @property
    def axes(self) -> tuple[int, ...]:
        """The channel numbers; kernels unroll over them."""
        return tuple(range(self.n_channels))


@lru_cache(maxsize=16)
def color_format(n_channels: int, depth: int) -> ColorFormat:
    """Return the format of pixels with `n_channels` of `depth` bits."""
    key_dtype = np.uint32 if n_channels * depth <= 32 else np.uint64
    values = np.arange(256, dtype=np.uint64)
    luts = []
    for channel in range(n_channels):
        for byte in range(depth // 8):
            lut = np.zeros(256, np.uint64)
            for bit in range(8):
                place = (8 * byte + bit) * n_channels + (n_channels - 1 - channel)
                lut |= ((values >> np.uint64(bit)) & np.uint64(1)) << np.uint64(place)
            luts.append(lut.astype(key_dtype))
    tables = np.zeros((-(-n_channels * depth // 8), 256), np.uint64)
    for place in range(n_channels * depth):
        byte, bit = divmod(place, 8)
        channel = n_channels - 1 - place % n_channels
        share = ((values >> np.uint64(bit)) & np.uint64(1)) << np.uint64(
            16 * channel + place // n_channels
        )
        tables[byte] |= share
    return ColorFormat(n_channels, depth, tuple(luts), tables)


class PixelChunks:
    """Integer pixels, handed out as flat, contiguous, read-only bytes.

    Contiguous data are never copied; others are copied a chunk at a time.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (..., c)
    """

    def __init__(self, pixels: Array) -> None:
        if pixels.flags.c_contiguous:
            pixels = pixels.reshape(-1, pixels.shape[-1])
        self.pixels = pixels
        self.n_pixels = pixels.size // pixels.shape[-1]
        self.format = color_format(pixels.shape[-1], 8 * pixels.itemsize)
        rows = len(pixels)
        per_row = self.n_pixels // rows
        step = max(1, CHUNK // per_row)
        self.spans = [
            (row, min(row + step, rows), row * per_row, min(row + step, rows) * per_row)
            for row in range(0, rows, step)
        ]

    def bytes(self, span: Span) -> Array:
        """Return the bytes of the pixels of a span."""
        flat = np.ascontiguousarray(self.pixels[span[0] : span[1]]).reshape(-1).view(np.uint8)
        flat.flags.writeable = False  # one type for the kernels, whatever the caller's array was
        return flat

    def keys(self, span: Span) -> Array:
        """Return the keys of the pixels of a span."""
        keys = np.empty(span[3] - span[2], self.format.key_dtype)
        kernel.fill_keys(self.bytes(span), self.format.luts, keys)
        return keys


class CountedPixels:
    """Pixels counted into distinct colours.

    Few pixels are sorted, with their numbers in the low bits of the keys. Many are counted in a
    table of all colours, or, where keys are too wide for that, sorted a chunk at a time.

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
        bits = chunks.format.key_bits
        n = chunks.n_pixels
        if n <= SMALL and bits > 16 and bits + n.bit_length() <= 64:
            self._sort_all()
        elif bits <= TABLE_BITS:
            self.keys, self.counts = gather_tables(*fill_tables(chunks, threads), threads)
        else:
            self.keys, self.counts = _count_by_sorting(chunks, threads)

    def _sort_all(self) -> None:
        n = self.chunks.n_pixels
        index_bits = np.uint64(n.bit_length())
        packed = np.empty(n, np.uint64)
        for span in self.chunks.spans:
            packed[span[2] : span[3]] = self.chunks.keys(span)
        packed <<= index_bits
        packed |= np.arange(n, dtype=np.uint64)
        packed.sort()
        keys = np.empty(n, self.chunks.format.key_dtype)
        counts = np.empty(n, np.int64)
        self._order = np.empty(n, np.int32)
        self._ranks = np.empty(n, np.int32)
        m = kernel.split_packed(packed, index_bits, keys, counts, self._order, self._ranks)
        self.keys, self.counts = keys[:m], counts[:m]

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
            directory = _Directory(self.keys, form)
            self._threads.map(
                lambda span: kernel.gather_labels(
                    directory.find(chunks, span), color_labels, out[span[2] : span[3]]
                ),
                chunks.spans,
            )
        return out

    def weigh(self, weights: Array, units: Units = UNWEIGHTED) -> Array:
        """Return the total weight of the pixels of each colour, in limbs: int64, (limbs, m)."""
        if self._order is not None:
            starts = np.cumsum(self.counts) - self.counts
            limbs = in_limbs(weights[self._order], units)
            return np.stack([np.add.reduceat(limb, starts) for limb in limbs])
        directory = _Directory(self.keys, self.chunks.format)
        totals = np.zeros((len(units), self.keys.size), np.int64)
        lock = Lock()

        def add(span: Span) -> None:
            positions = directory.find(self.chunks, span)
            limbs = in_limbs(weights[span[2] : span[3]], units)
            with lock:
                for limb, total in zip(limbs, totals, strict=True):
                    kernel.add_weights(positions, limb, total)

        self._threads.map(add, self.chunks.spans)
        return totals


def label_by_table(chunks: PixelChunks, table: Array, out: Array, threads: Threads) -> None:
    """Write the label of each pixel to `out` (n,), from a table of the labels of all keys."""
    threads.map(
        lambda span: kernel.label_pixels(
            chunks.bytes(span), chunks.format.luts, table, out[span[2] : span[3]]
        ),
        chunks.spans,
    )


def fill_tables(chunks: PixelChunks, threads: Threads) -> tuple[Array, Array]:
    """Count pixels in tables of one byte a colour, one a thread.

    Returns the tables (t, colours), and, sorted, a key for each 128 pixels that a byte could not
    hold.
    """
    tables = new_tables(chunks.format, min(threads.n, len(chunks.spans)))
    return tables, np.sort(np.concatenate(count_into(tables, chunks, threads)))


def new_tables(form: ColorFormat, n: int) -> Array:
    """Return up to `n` tables of one byte a colour, all zero."""
    return np.zeros((min(n, MAX_TABLES), 1 << form.key_bits), np.uint8)


def count_into(tables: Array, chunks: PixelChunks, threads: Threads) -> list[Array]:
    """Add pixels to tables, one a thread; return keys, each worth 128 pixels more."""
    todo = chunks.spans[::-1]
    # In a table that is not empty any colour's next pixel may be one too many for its byte. Memory
    # that no key is written to is never fetched.
    room = chunks.n_pixels // 128 + min(chunks.n_pixels, tables.shape[1])

    def fill(t: int) -> Array:
        overflow = np.empty(room, np.uint32)
        n = 0
        while True:
            try:
                span = todo.pop()
            except IndexError:
                return overflow[:n].copy()
            n = kernel.count_pixels(chunks.bytes(span), chunks.format.luts, tables[t], overflow, n)

    return threads.map(fill, range(min(len(tables), threads.n, len(chunks.spans))))


def find_occupied(tables: Array, threads: Threads) -> tuple[Array, list[tuple[Array, int]]]:
    """Return the edges of parts of the tables, and for each its blocks and keys that occur.

    The blocks are listed, the keys only counted.
    """
    n_keys = tables.shape[1]
    words = tables.view(np.uint64)
    edges = np.linspace(0, n_keys, min(4 * threads.n, n_keys // 64) + 1).astype(np.int64) // 64 * 64

    def find(part: int) -> tuple[Array, int]:
        first, last = edges[part], edges[part + 1]
        blocks = np.empty((last - first) // 64 + 1, np.int64)
        blocks = blocks[: kernel.find_blocks(words, first, last, blocks)]
        return blocks, kernel.count_occupied(tables, blocks)

    return edges, threads.map(find, range(len(edges) - 1))


def gather_tables(tables: Array, overflow: Array, threads: Threads) -> tuple[Array, Array]:
    """Return the keys that occur in the tables, sorted, and how often each does."""
    edges, found = find_occupied(tables, threads)
    places = np.searchsorted(overflow, edges)
    ends = np.cumsum([n for _, n in found])
    keys = np.empty(ends[-1], np.uint32)
    counts = np.empty(ends[-1], np.int64)

    def gather(part: int) -> None:
        blocks, n = found[part]
        here = slice(ends[part] - n, ends[part])
        passed = overflow[places[part] : places[part + 1]]
        kernel.gather_colors(tables, blocks, passed, keys[here], counts[here])

    threads.map(gather, range(len(found)))
    return keys, counts


class CountTable:
    """Tables that pixels are counted in tile after tile, cleared and scanned once for all of them.

    A tile of a megapixel takes 1.7 ms so, and 12 ms in tables of its own (two threads).

    Parameters
    ----------
    form : ColorFormat
        With keys of `TABLE_BITS` at most.
    n_threads : int
        One table each.
    """

    def __init__(self, form: ColorFormat, n_threads: int) -> None:
        self._tables = new_tables(form, n_threads)
        none = np.empty(0, np.uint32)
        self._passed = [none]  # keys, each worth 128 pixels that a byte could not hold
        self._passed_counts = (none, np.empty(0, np.int64))  # the same, counted by key

    @property
    def nbytes(self) -> int:
        """The memory of the tables."""
        return self._tables.nbytes + sum(part.nbytes for part in self._passed_counts)

    def add(self, chunks: PixelChunks, threads: Threads) -> None:
        """Count the pixels."""
        self._passed += count_into(self._tables, chunks, threads)
        if sum(part.size for part in self._passed) > CHUNK // 2:
            self._count_passed()

    def _count_passed(self) -> None:
        keys, counts = np.unique(np.concatenate(self._passed), return_counts=True)
        self._passed_counts = merge_counts(*self._passed_counts, keys, counts)
        self._passed = [keys[:0]]

    def n_colors(self, threads: Threads) -> int:
        """Return the number of distinct colours so far (3 to 6 ms)."""
        return sum(n for _, n in find_occupied(self._tables, threads)[1])

    def gather(self, threads: Threads) -> tuple[Array, Array]:
        """Return the keys that occur, sorted, and how often each does."""
        self._count_passed()
        passed, times = self._passed_counts
        keys, counts = gather_tables(self._tables, passed[:0], threads)
        counts[np.searchsorted(keys, passed)] += 128 * times
        return keys, counts


def _count_by_sorting(chunks: PixelChunks, threads: Threads) -> tuple[Array, Array]:
    def count(span: Span) -> tuple[Array, Array]:
        keys = chunks.keys(span)
        keys.sort()
        counts = np.empty(keys.size, np.int64)
        n = kernel.count_runs(keys, counts)
        return keys[:n].copy(), counts[:n].copy()

    parts = threads.map(count, chunks.spans)
    while len(parts) > 1:
        pairs = list(zip(parts[::2], parts[1::2], strict=False))
        merged = threads.map(lambda pair: merge_counts(*pair[0], *pair[1]), pairs)
        parts = merged + parts[2 * len(pairs) :]
    return parts[0]


def sum_members(
    chunks: PixelChunks, labels: Array, weights: Array | None, k: int, threads: Threads
) -> Array:
    """Return the weight and the channel sums of the pixels of each label: int64, (k, 1 + c)."""

    def add(span: Span) -> Array:
        sums = np.zeros((k, 1 + chunks.format.n_channels), np.int64)
        pixels = chunks.bytes(span).view(chunks.format.dtype).reshape(-1, chunks.format.n_channels)
        part = slice(span[2], span[3])
        kernel.sum_members(pixels, labels[part], none if weights is None else weights[part], sums)
        return sums

    none = np.empty(0, np.int64)
    total: Array = np.sum(threads.map(add, chunks.spans), axis=0)
    return total


def merge_counts(
    keys_a: Array, counts_a: Array, keys_b: Array, counts_b: Array
) -> tuple[Array, Array]:
    """Merge two sorted lists of colours, adding the counts of those in both."""
    keys = np.empty(keys_a.size + keys_b.size, keys_a.dtype)
    counts = np.empty(keys.size, np.int64)
    n = kernel.merge_counts(keys_a, counts_a, keys_b, counts_b, keys, counts)
    return keys[:n].copy(), counts[:n].copy()


def split_keys(keys: Array, form: ColorFormat, threads: Threads, pad: int = 0) -> Array:
    """Return the colours of keys, one row a channel, with `pad` empty columns at the end."""
    colors = np.zeros((form.n_channels, keys.size + pad), form.dtype)

    def split(start: int) -> None:
        part = slice(start, min(start + CHUNK // 4, keys.size))
        kernel.split_keys(keys[part], form.tables, colors[:, part])

    threads.map(split, range(0, keys.size, CHUNK // 4))
    return colors


class _Directory:
    """Find where colours stand in a sorted list of keys.

    Parameters
    ----------
    keys : ndarray, shape (m,)
        Distinct, sorted.
    form : ColorFormat
    """

    def __init__(self, keys: Array, form: ColorFormat) -> None:
        bits = min(form.key_bits, max(8, int(keys.size).bit_length()))
        self.keys = keys
        self.shift = keys.dtype.type(form.key_bits - bits)
        tops = np.arange((1 << bits) + 1, dtype=np.uint64) << np.uint64(self.shift)
        self.starts = np.searchsorted(keys, tops[:-1].astype(keys.dtype))
        self.starts = np.append(self.starts, keys.size)

    def find(self, chunks: PixelChunks, span: Span) -> Array:
        """Return the position of each pixel's colour."""
        positions = np.empty(span[3] - span[2], np.int64)
        kernel.find_colors(
            chunks.bytes(span), chunks.format.luts, self.starts, self.shift, self.keys, positions
        )
        return positions

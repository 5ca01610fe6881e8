"""Colours that are counted tile after tile, each of which is counted whole or not at all."""

from __future__ import annotations

from _thread import start_new_thread
from collections.abc import Callable
from threading import Lock
from time import sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import SUM_BITS
from ..threads import Threads, shared_lock
from .counting import SMALL, Counted, CountedPixels, CountTable, merge_counts
from .keys import TABLE_BITS, ColorFormat, PixelChunks

Array = NDArray[Any]

# Tiles up to this many pixels share a table. A larger one has its own, which costs it a tenth, so
# that Ctrl-C can end its counting and leave nothing of it behind.
LARGE = 1 << 24


class Tally:
    """The colours of one format so far, and their counts; threads may share it.

    Attributes
    ----------
    format : ColorFormat or None
        None before the first pixel.
    total : int
        Pixels so far.
    unread : int
        Pixels of small tiles since somebody asked for the colours.
    """

    def __init__(self) -> None:
        self._lock = shared_lock()  # of what follows
        self.format: ColorFormat | None = None
        self.total: int = 0
        self.unread: int = 0
        # Sorted lists of colours, each less than half as long as the one before, and a table in
        # which tiles are counted until somebody asks: a small tile costs what it holds, not what
        # was there before.
        self._parts: list[Counted] = []
        self._table: CountTable | None = None

    def check(self, form: ColorFormat, more: int) -> None:
        """Raise unless so many more pixels of a format can be counted."""
        if self.format is not None and self.format != form:
            mine, new = self.format, form
            raise ValueError(
                f"this histogram holds {mine.n_channels} channels of {mine.depth} bits, the new "
                f"pixels have {new.n_channels} of {new.depth}; convert them, or start another"
            )
        if self.total + more > 2**SUM_BITS:
            raise ValueError(
                f"{self.total} pixels and {more} more pass 2**{SUM_BITS}, to which counts are "
                "exact; give smaller weights"
            )

    def count(self, chunks: PixelChunks, weights: Array | int, threads: Threads) -> None:
        """Count pixels, each so many times: `weights` are one number, or one a pixel (n,)."""
        n = chunks.n_pixels
        if isinstance(weights, int) and weights == 1 and n <= LARGE and self._by_table(chunks):
            if _finish(lambda: self._add_to_table(chunks, threads)):
                return
        counted = CountedPixels(chunks, threads)
        keys, counts = counted.keys, counted.counts
        if isinstance(weights, int):
            counts = counts * weights
        else:
            (counts,) = counted.weigh(weights)
            keys, counts = keys[counts > 0], counts[counts > 0]
        self.add(chunks.format, keys, counts)

    def _by_table(self, chunks: PixelChunks) -> bool:
        """Tell whether these pixels go to the table: those after the first few do."""
        if chunks.format.key_bits > TABLE_BITS:
            return False
        with self._lock:
            self.unread += chunks.n_pixels
            return self._table is not None or self.unread > SMALL

    def _add_to_table(self, chunks: PixelChunks, threads: Threads) -> None:
        with self._lock:
            self.check(chunks.format, chunks.n_pixels)
            if self._table is None:
                self._table = CountTable(chunks.format, threads.n)
            self._table.add(chunks, threads)
            self.format = chunks.format
            self.total += chunks.n_pixels

    def add(self, form: ColorFormat, keys: Array, counts: Array) -> None:
        """Add distinct colours, sorted, and their counts.

        The last lists are merged until each is less than half the one before: a colour is copied
        as often as the whole doubles, not once a tile.
        """
        more = int(counts.sum())
        with self._lock:
            self.check(form, more)
            parts = [*self._parts, (keys, counts)]
            while len(parts) > 1 and 2 * parts[-1][0].size >= parts[-2][0].size:
                parts[-2:] = [merge_counts(*parts[-2], *parts[-1])]
            self.format, self._parts, self.total = form, parts, self.total + more

    def settled(self, threads: Threads | None = None) -> Counted:
        """Return all the colours as one sorted list; the table is given back."""
        with self._lock:
            parts = self._parts.copy()
            if self._table is not None:
                with Threads() as own:
                    parts.append(self._table.gather(threads or own))
            while len(parts) > 1:
                parts[-2:] = [merge_counts(*parts[-2], *parts[-1])]
            if not parts:
                return np.empty(0, np.uint32), np.empty(0, np.int64)
            self._parts, self._table, self.unread = parts, None, 0
            return parts[0]

    def n_colors(self, threads: Threads) -> int:
        """Return the number of colours; the table stays where all of them are in it."""
        if self._table is not None and not self._parts:
            return self._table.n_colors(threads)
        return int(self.settled(threads)[0].size)

    @property
    def nbytes(self) -> int:
        """The memory held now."""
        table, parts = self._table, self._parts  # another thread may give the table back
        held = 0 if table is None else table.nbytes
        return held + sum(keys.nbytes + counts.nbytes for keys, counts in parts)


def _finish(work: Callable[[], None]) -> bool:
    """Do what must not be left half done in a thread, which Ctrl-C does not reach.

    Ctrl-C is raised once it is done, or before it has begun. False, and nothing is done, where
    there are no more threads. Only locks that are a single step are used here: what `threading`
    and futures build on them can be interrupted while held.
    """
    todo = [work]  # taken in one step: by the thread, to do it, or here, so that nobody does
    outcome: list[BaseException | None] = []
    over = Lock()
    over.acquire()

    def run() -> None:
        try:
            todo.pop()()
            outcome.append(None)
        except BaseException as error:
            outcome.append(error)
        over.release()

    try:
        try:
            start_new_thread(run, ())
        except RuntimeError:
            return False
        over.acquire()
    except BaseException:
        try:
            todo.pop()
        except IndexError:
            while not outcome:
                sleep(0.001)
        raise
    if outcome[0] is not None:
        raise outcome[0]
    return True


def exact_total(counts: Array) -> int:
    """Return the sum of numbers that are not negative, exact where an int64 would overflow."""
    return (int((counts >> 31).sum()) << 31) + int((counts & (2**31 - 1)).sum())

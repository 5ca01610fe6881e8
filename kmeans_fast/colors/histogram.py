"""The histogram of the colours of many pictures, or of one that is larger than memory."""

from __future__ import annotations

import math
import os
import zipfile
from _thread import start_new_thread
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from threading import Lock
from time import perf_counter, sleep
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import as_pixels, to_numpy, unmasked
from ..checks import SUM_BITS, are_colors, check_threads
from ..pictures.identify import one_line
from ..threads import Threads, as_caller, shared_lock
from .counting import (
    SMALL,
    TABLE_BITS,
    ColorFormat,
    CountedPixels,
    CountTable,
    PixelChunks,
    color_format,
    merge_counts,
    split_keys,
)
from .points import ColorPoints

Array = NDArray[Any]
Part = tuple[Array, Array]  # distinct keys, sorted, and their counts

# Tiles up to this many pixels share a table. A larger one has its own, which costs it a tenth, so
# that Ctrl-C can end its counting and leave nothing of it behind.
LARGE = 1 << 24
BAND = 1 << 22  # pixels counted at once of a single array
FILE_VERSION = 1


class TileProgress(NamedTuple):
    """How far `ColorHistogram.from_tiles` is."""

    n_tiles: int
    n_pixels: int
    n_colors: int
    seconds: float


class ColorHistogram:
    """The distinct colours of pictures, and how many pixels have each.

    It grows with the colours, not with the pixels: one palette for many pictures, or for a
    picture read a tile at a time. ``fit(histogram, k)`` has the bits of a fit of all the pixels.
    Histograms add up (``a + b``, ``a += b``), compare equal where their colours and counts are,
    and can be pickled, or saved to a file. Threads may share one: it counts one picture after the
    other. One for each thread, merged in the end, spares them the wait.

    Parameters
    ----------
    image : array_like of uint8 or uint16, optional
        A first picture for `update`.

    Examples
    --------
    >>> import numpy as np
    >>> import kmeans_fast as kf
    >>> picture = np.zeros((4, 6, 3), np.uint8)
    >>> picture[:, :2] = 200
    >>> histogram = kf.ColorHistogram()
    >>> histogram.update(picture[:2])
    >>> histogram.update(picture[2:])
    >>> histogram.colors.tolist(), histogram.counts.tolist()
    ([[0, 0, 0], [200, 200, 200]], [16, 8])
    >>> histogram == kf.ColorHistogram(picture)
    True
    """

    def __init__(self, image: ArrayLike | None = None) -> None:
        self._lock = shared_lock()  # of what follows
        self._format: ColorFormat | None = None
        self._total = 0  # pixels
        # Sorted lists of colours, each less than half as long as the one before, and a table in
        # which tiles are counted until somebody asks: a small tile costs what it holds, not what
        # was there before.
        self._parts: list[Part] = []
        self._table: CountTable | None = None
        self._unread = 0  # pixels of small tiles since somebody asked
        if image is not None:
            self.update(image)

    @classmethod
    def from_tiles(
        cls,
        tiles: Iterable[Any],
        *,
        callback: Callable[[TileProgress], object] | None = None,
        n_threads: int | None = None,
    ) -> ColorHistogram:
        """Count the pixels of many tiles, or of an array that need not fit in memory.

        Parameters
        ----------
        tiles : iterable of array_like, or array_like of shape (h, w, c) or (n, c)
            Pictures or parts of one, such as ``open_tiles(path)`` or a generator; one is held at
            a time. An array, such as a memory-map, is counted some rows at a time.
        callback : callable, optional
            Called with a `TileProgress` (`n_tiles`, `n_pixels`, `n_colors`, `seconds`) after each
            tile; counting ends where it returns true, with the tiles so far, as in `fit`. To know
            the number of colours takes 3 to 6 ms a tile.
        n_threads : int, optional
            Threads to use; all by default.

        Returns
        -------
        ColorHistogram

        Raises
        ------
        TypeError, ValueError
            A tile is no picture, or of other channels or another type than those before; the
            message gives its number, from 0.

        Examples
        --------
        >>> import numpy as np
        >>> import kmeans_fast as kf
        >>> tiles = (np.full((100, 100, 3), shade, np.uint8) for shade in range(50))
        >>> kf.ColorHistogram.from_tiles(tiles)
        ColorHistogram(n_colors=50, n_pixels=500,000)
        """
        if callback is not None:
            if not callable(callback):
                raise TypeError(
                    f"callback={callback!r} is not callable; give a function of a progress"
                )
            callback = as_caller(callback)
        histogram, start = cls(), perf_counter()
        each = map(as_caller(next), repeat(_each_tile(tiles)))
        histogram._unread = SMALL  # more are to come: the first tile goes to the table too
        with Threads(check_threads(n_threads)) as threads:
            for at, tile in enumerate(each):
                try:
                    histogram._count(as_pixels(tile), None, None, threads)
                except (TypeError, ValueError) as error:
                    kind = TypeError if isinstance(error, TypeError) else ValueError
                    raise kind(f"tile {at}: {error}") from error
                if callback is not None:
                    n_colors = histogram._count_colors(threads)
                    seconds = perf_counter() - start
                    if callback(TileProgress(at + 1, histogram._total, n_colors, seconds)):
                        break
        return histogram

    def update(
        self,
        image: ArrayLike,
        *,
        weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        n_threads: int | None = None,
    ) -> None:
        """Add the pixels of a picture, or of a tile of one.

        Parameters
        ----------
        image : array_like, shape (h, w, c) or (n, c)
            uint8 with 1 to 4 channels or uint16 with 1 to 3: the same in every call.
        weight : int or array_like of whole numbers, shape (h, w) or (n,), optional
            How many times each pixel counts, not negative.
        mask : array_like of bool, shape (h, w) or (n,), optional
            Only pixels where it is true are counted.
        n_threads : int, optional
            Threads to use; all by default.

        Raises
        ------
        TypeError, ValueError
            An argument does not fit, or counts would pass 2**62; nothing is added then.

        Examples
        --------
        >>> import numpy as np
        >>> import kmeans_fast as kf
        >>> picture = np.zeros((4, 6, 3), np.uint8)
        >>> histogram = kf.ColorHistogram()
        >>> histogram.update(picture, weight=10, mask=np.eye(4, 6, dtype=bool))
        >>> histogram.n_pixels
        40
        """
        pixels = as_pixels(image)
        weights = None if weight is None else _as_weight(weight, pixels.shape[:-1])
        chosen = None if mask is None else _as_mask(mask, pixels.shape[:-1])
        with Threads(check_threads(n_threads)) as threads:
            self._count(pixels, weights, chosen, threads)

    def merge(self, other: ColorHistogram) -> None:
        """Add the colours of another histogram to this one."""
        if not isinstance(other, ColorHistogram):
            raise TypeError(f"other must be a ColorHistogram, not {type(other).__name__}")
        if other._format is not None:
            self._check_format(other._format)
            self._add(other._format, *other._settled())  # one lock after the other: no deadlock

    def copy(self) -> ColorHistogram:
        """Return a histogram of what this one holds now, that can be added to by itself."""
        new = ColorHistogram()
        new.merge(self)
        return new

    def __add__(self, other: ColorHistogram) -> ColorHistogram:
        """Return the histogram of the pixels of both."""
        if not isinstance(other, ColorHistogram):
            return NotImplemented
        total = self.copy()
        total.merge(other)
        return total

    def __iadd__(self, other: ColorHistogram) -> ColorHistogram:
        """Add another histogram to this one."""
        if not isinstance(other, ColorHistogram):
            return NotImplemented
        self.merge(other)
        return self

    def __eq__(self, other: object) -> bool:
        """Return whether both are of one kind of pixels and count the same colours as often."""
        if not isinstance(other, ColorHistogram):
            return NotImplemented
        if (self._format, self._total) != (other._format, other._total):
            return False
        return all(map(np.array_equal, self._settled(), other._settled()))

    # What is counted, and where

    def _count(
        self, pixels: Array, weights: Array | int | None, mask: Array | None, threads: Threads
    ) -> None:
        form = PixelChunks(pixels).format
        self._check_format(form)  # before any work, and again when it is added
        if mask is not None:
            # Boolean indexing takes 23 ns a pixel of three bytes, this 2.
            chosen = np.flatnonzero(mask)
            pixels = pixels.reshape(-1, pixels.shape[-1]).take(chosen, axis=0)
            weights = weights[chosen] if isinstance(weights, np.ndarray) else weights
        n = pixels.size // pixels.shape[-1]
        total = n if weights is None else _total_of(weights, n)
        self._check_total(total)
        if total == 0:
            return
        chunks = PixelChunks(pixels)
        # No tile is ever half counted.
        by_table = weights is None and n <= LARGE and self._takes_table(form, n)
        if by_table and _finish(lambda: self._add_to_table(chunks, threads)):
            return
        counted = CountedPixels(chunks, threads)
        keys, counts = counted.keys, counted.counts
        if isinstance(weights, np.ndarray):
            (counts,) = counted.weigh(weights)
            keys, counts = keys[counts > 0], counts[counts > 0]
        elif weights is not None:
            counts = counts * weights
        self._add(form, keys, counts)

    def _takes_table(self, form: ColorFormat, n: int) -> bool:
        """Tell whether these pixels go to the table: those after the first few do."""
        if form.key_bits > TABLE_BITS:
            return False
        with self._lock:
            self._unread += n
            return self._table is not None or self._unread > SMALL

    def _add_to_table(self, chunks: PixelChunks, threads: Threads) -> None:
        with self._lock:
            self._check_format(chunks.format)
            self._check_total(chunks.n_pixels)
            if self._table is None:
                self._table = CountTable(chunks.format, threads.n)
            self._table.add(chunks, threads)
            self._format = chunks.format
            self._total += chunks.n_pixels

    def _add(self, form: ColorFormat, keys: Array, counts: Array) -> None:
        total = int(counts.sum())
        with self._lock:
            self._check_format(form)
            self._check_total(total)
            parts = _with_part(self._parts, (keys, counts))
            self._format, self._parts, self._total = form, parts, self._total + total

    def _settled(self, threads: Threads | None = None) -> Part:
        """Return all the colours as one sorted list; the table is given back."""
        with self._lock:
            parts = self._parts
            if self._table is not None:
                with Threads() as own:
                    parts = [*parts, self._table.gather(threads or own)]
            while len(parts) > 1:
                parts = [*parts[:-2], merge_counts(*parts[-2], *parts[-1])]
            if not parts:
                parts = [(np.empty(0, np.uint32), np.empty(0, np.int64))]
            self._parts, self._table, self._unread = parts, None, 0
            return parts[0]

    def _count_colors(self, threads: Threads) -> int:
        """Return the number of colours; the table stays where all of them are in it."""
        if self._table is not None and not self._parts:
            return self._table.n_colors(threads)
        return int(self._settled(threads)[0].size)

    def _check_format(self, form: ColorFormat) -> None:
        if self._format is not None and self._format != form:
            mine, new = self._format, form
            raise ValueError(
                f"this histogram holds {mine.n_channels} channels of {mine.depth} bits, the new "
                f"pixels have {new.n_channels} of {new.depth}; convert them, or start another"
            )

    def _check_total(self, more: int) -> None:
        if self._total + more > 2**SUM_BITS:
            raise ValueError(
                f"{self._total} pixels and {more} more pass 2**{SUM_BITS}, to which counts are "
                "exact; give smaller weights"
            )

    # What is in it

    @property
    def n_pixels(self) -> int:
        """The number of pixels counted."""
        return self._total

    @property
    def n_colors(self) -> int:
        """The number of distinct colours."""
        return int(self._settled()[0].size)

    @property
    def colors(self) -> Array:
        """The distinct colours, shape (n_colors, c), in Morton order."""
        if self._format is None:
            return np.empty((0, 0), np.uint8)
        return np.ascontiguousarray(split_keys(self._settled()[0], self._format, Threads(1)).T)

    @property
    def counts(self) -> Array:
        """How many pixels have each colour: int64, shape (n_colors,)."""
        return self._settled()[1].copy()

    @property
    def n_channels(self) -> int:
        """The channels of a pixel; 0 before the first."""
        return 0 if self._format is None else self._format.n_channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels."""
        return np.dtype(np.uint8) if self._format is None else self._format.dtype

    @property
    def nbytes(self) -> int:
        """The memory held now: 12 or 16 bytes a colour, and a table while tiles are counted."""
        table, parts = self._table, self._parts  # another thread may give the table back
        held = 0 if table is None else table.nbytes
        return held + sum(keys.nbytes + counts.nbytes for keys, counts in parts)

    def as_points(self, threads: Threads) -> ColorPoints:
        """Return the colours as a point set; there must be one or more."""
        assert self._format is not None
        keys, counts = self._settled(threads)
        return ColorPoints(keys, counts[None], self._format, threads)

    def __len__(self) -> int:
        """Return the number of distinct colours."""
        return self.n_colors

    def __repr__(self) -> str:
        """Return a short description."""
        return f"ColorHistogram(n_colors={self.n_colors:,}, n_pixels={self.n_pixels:,})"

    # Kept and sent

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle channels, bits, keys and counts: no tables."""
        return _restored, (self.n_channels, 8 * self.dtype.itemsize, *self._settled())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the histogram to a file, whole or not at all.

        Parameters
        ----------
        path : str or path
            The file, of any name; one that is there is replaced. It is a NumPy archive (``.npz``)
            of `version`, `colors` and `counts`.

        Examples
        --------
        >>> import numpy as np
        >>> import kmeans_fast as kf
        >>> path = getfixture("tmp_path") / "colors.npz"
        >>> histogram = kf.ColorHistogram(np.zeros((4, 6, 3), np.uint8))
        >>> histogram.save(path)
        >>> kf.ColorHistogram.load(path) == histogram
        True
        """
        from ..pictures.saving import check_target, write_whole

        check_target(path)
        whole = self.copy()  # of one moment
        version, colors, counts = np.array(FILE_VERSION), whole.colors, whole._settled()[1]
        write_whole(
            path, lambda file: np.savez(file, version=version, colors=colors, counts=counts)
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ColorHistogram:
        """Read a file that `save` has written; nothing in it is trusted, nothing is run.

        Parameters
        ----------
        path : str or path

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            It is truncated, changed, of another version, or no histogram.
        """
        histogram = cls()
        with open(path, "rb") as file:
            try:
                form, keys, counts = _read(file)
                if form is not None:
                    histogram._add(form, keys, counts)
            except ValueError as error:
                raise ValueError(
                    f"{os.fsdecode(path)}: {error}; write it again with ColorHistogram.save"
                ) from error
        return histogram


def _restored(n_channels: int, depth: int, keys: Array, counts: Array) -> ColorHistogram:
    """Return the histogram of a pickle."""
    histogram = ColorHistogram()
    if n_channels > 0:
        histogram._add(color_format(n_channels, depth), keys, counts)
    return histogram


def _finish(work: Callable[[], None]) -> bool:
    """Do what must not be left half done in a thread that Ctrl-C does not reach.

    Ctrl-C is raised once it is done, or before it has begun. False where there are no more threads:
    then nothing is done. Only locks that are a single step are used here: what `threading` and
    futures build on them can be interrupted while held.
    """
    todo = [work]
    outcome: list[BaseException | None] = []
    over = Lock()
    over.acquire()

    def run() -> None:
        try:
            begun = todo.pop()  # one step: the caller cannot take it back any more
        except IndexError:
            return
        try:
            begun()
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


def _with_part(parts: list[Part], new: Part) -> list[Part]:
    """Append a list of colours; merge the last ones until each is less than half the one before.

    So a colour is copied as often as the whole doubles, not once a tile.
    """
    parts = [*parts, new]
    while len(parts) > 1 and 2 * parts[-1][0].size >= parts[-2][0].size:
        parts = [*parts[:-2], merge_counts(*parts[-2], *parts[-1])]
    return parts


def _each_tile(tiles: Any) -> Iterator[Any]:
    """Yield the tiles; of a single array, bands of its rows."""
    if isinstance(tiles, np.ndarray) and tiles.ndim in (2, 3) and tiles.size > 0:
        step = max(1, BAND * tiles.shape[-1] * len(tiles) // tiles.size)
        yield from (tiles[row : row + step] for row in range(0, len(tiles), step))
        return
    if isinstance(tiles, str | bytes | os.PathLike) or not isinstance(tiles, Iterable):
        raise TypeError(
            f"tiles is {type(tiles).__name__}; give an iterable of arrays, or open_tiles(path)"
        )
    yield from tiles


def _as_mask(mask: ArrayLike, shape: tuple[int, ...]) -> Array:
    array = to_numpy(unmasked("mask", mask, "fill them in"))
    if array.dtype != bool:
        raise TypeError(f"mask has dtype {array.dtype}; give bool, such as mask != 0")
    if array.shape != shape:
        raise ValueError(f"mask has shape {array.shape}; give one for each pixel, {shape}")
    return array


def _as_weight(weight: ArrayLike, shape: tuple[int, ...]) -> Array | int:
    """Return a whole number, or one for each pixel: int64, flat."""
    array = to_numpy(unmasked("weight", weight, "fill them in, with 0 for what does not count"))
    if array.dtype.kind not in "iuf":
        raise TypeError(f"weight has dtype {array.dtype}; give whole numbers")
    if array.shape not in ((), shape):
        raise ValueError(
            f"weight has shape {array.shape}; give a number, or one for each pixel, {shape}"
        )
    if array.dtype.kind == "f" and not (np.isfinite(array) & (np.rint(array) == array)).all():
        raise ValueError(
            "weight holds fractions, NaN or infinity, and pixels are counted in whole numbers; "
            "round it, or give fractions to fit as sample_weight"
        )
    if array.min() < 0:
        raise ValueError(f"weight goes down to {array.min()}; give 0 or more")
    if array.max() > 2**SUM_BITS:
        raise ValueError(f"weight reaches {array.max()}; counts are exact to 2**62: scale it down")
    return int(array) if array.ndim == 0 else array.reshape(-1).astype(np.int64)


def _total_of(weights: Array | int, n: int) -> int:
    """Return the weight of all pixels, exact where an int64 would overflow."""
    if isinstance(weights, int):
        return n * weights
    return (int((weights >> 31).sum()) << 31) + int((weights & (2**31 - 1)).sum())


def _read(file: IO[bytes]) -> tuple[ColorFormat | None, Array, Array]:
    """Return what an archive holds; None: no colours. Nothing larger than the file is allocated."""
    file_size = file.seek(0, os.SEEK_END)
    try:
        with zipfile.ZipFile(file) as archive:
            version, colors, counts = (
                _read_member(archive, name, file_size) for name in ("version", "colors", "counts")
            )
    except MemoryError:
        raise
    except Exception as error:  # on broken files zipfile and NumPy raise almost anything
        raise ValueError(f"is truncated or no histogram ({one_line(error)})") from error
    if version.shape != () or version.dtype.kind != "i" or version != FILE_VERSION:
        raise ValueError(f"is of version {version}, where {FILE_VERSION} can be read")
    if colors.ndim != 2 or counts.shape != colors.shape[:1] or counts.dtype != np.int64:
        raise ValueError(
            f"holds colors of shape {colors.shape} and counts of shape {counts.shape} and dtype "
            f"{counts.dtype}, not (n, c) and (n,) of int64"
        )
    if counts.size == 0:
        return None, colors, counts
    if colors.dtype not in (np.uint8, np.uint16) or not are_colors(colors):
        raise ValueError(f"holds colors of {colors.shape[1]} channels of {colors.dtype}")
    if counts.min() < 1 or _total_of(counts, 0) > 2**SUM_BITS:
        raise ValueError("holds counts that are not positive, or add up to more than 2**62")
    chunks = PixelChunks(colors)
    keys = np.concatenate([chunks.keys(span) for span in chunks.spans])
    if not (keys[1:] > keys[:-1]).all():
        raise ValueError("holds colors that are not sorted, or not distinct")
    return chunks.format, keys, counts


def _read_member(archive: zipfile.ZipFile, name: str, file_size: int) -> Array:
    """Read an array, after a look at whether its header is true."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise ValueError(f"{name} is compressed, which save does not do")
    if member.file_size > file_size:
        raise ValueError(f"{name} is larger than the file")
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is of a format that save does not write")
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or by_column or size != member.file_size - file.tell():
            raise ValueError(f"the header of {name} does not agree with its size")
        data = file.read(size)
    array = np.frombuffer(data, dtype).reshape(shape)  # which raises if the file has ended
    return array.astype(dtype.newbyteorder("="))

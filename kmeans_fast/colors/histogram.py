"""The histogram of the colours of many pictures, or of one that is larger than memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import check_colors, to_numpy, unmasked
from ..checks import SUM_BITS, check_threads
from ..gathering import Part
from ..layouts import Axis, move_axis
from ..masking import Asked, Nodata, Opened, open_pixels
from ..threads import Threads, as_caller
from .counting import SMALL
from .keys import PixelChunks, color_format, split_keys
from .points import ColorPoints
from .tally import Tally, exact_total

Array = NDArray[Any]

BAND = 1 << 22  # pixels counted at once of a single array


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
        self._tally = Tally()
        if image is not None:
            self.update(image)

    @classmethod
    def from_tiles(
        cls,
        tiles: Iterable[Any],
        *,
        nodata: Nodata = None,
        channel_axis: Axis = -1,
        callback: Callable[[TileProgress], object] | None = None,
        n_threads: int | None = None,
    ) -> ColorHistogram:
        """Count the pixels of many tiles, or of an array that need not fit in memory.

        Parameters
        ----------
        tiles : iterable of array_like, or array_like of shape (h, w, c) or (n, c)
            Pictures or parts of one, such as ``open_tiles(path)`` or a generator; one is held at
            a time. An array, such as a memory-map, is counted some rows at a time.
        nodata, channel_axis
            As in `update`, of every tile; by default the `nodata` of ``open_tiles``.
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
        if isinstance(tiles, np.ndarray) and tiles.ndim == 3 and isinstance(channel_axis, int):
            tiles, channel_axis = move_axis(tiles, channel_axis, -1), -1  # rows are cut
        each = map(as_caller(next), repeat(_each_tile(tiles)))
        histogram._tally.unread = SMALL  # more are to come: the first tile goes to the table too
        with Threads(check_threads(n_threads)) as threads:
            for at, (tile, told) in enumerate(each):
                asked = Asked(None, told if nodata is None else nodata, None, channel_axis)
                try:
                    histogram._count(_open(tile, asked), 1, threads)
                except (TypeError, ValueError) as error:
                    kind = TypeError if isinstance(error, TypeError) else ValueError
                    raise kind(f"tile {at}: {error}") from error
                if callback is not None:
                    n_colors = histogram._tally.n_colors(threads)
                    seconds = perf_counter() - start
                    if callback(TileProgress(at + 1, histogram.n_pixels, n_colors, seconds)):
                        break
        return histogram

    def update(
        self,
        image: ArrayLike,
        *,
        weight: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        nodata: Nodata = None,
        channel_axis: Axis = -1,
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
            Only pixels where it is true are counted; of ``numpy.ma``'s arrays those that have no
            channel masked.
        nodata : float, or sequence of float, optional
            A value, or one for each channel: pixels with any channel at it are not counted.
        channel_axis : int, str or None, default -1
            As in `fit`.
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
        opened = _open(image, Asked(mask, nodata, None, channel_axis))
        weights = 1 if weight is None else _as_weight(weight, opened.array.shape[:-1])
        with Threads(check_threads(n_threads)) as threads:
            self._count(opened, weights, threads)

    def merge(self, other: ColorHistogram) -> None:
        """Add the colours of another histogram to this one."""
        if not isinstance(other, ColorHistogram):
            raise TypeError(f"other must be a ColorHistogram, not {type(other).__name__}")
        theirs = other._tally
        if theirs.format is not None:
            self._tally.add(theirs.format, *theirs.settled())  # one lock after the other

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
        mine, theirs = self._tally, other._tally
        if (mine.format, mine.total) != (theirs.format, theirs.total):
            return False
        return all(map(np.array_equal, mine.settled(), theirs.settled()))

    def _count(self, opened: Opened, weights: Array | int, threads: Threads) -> None:
        pixels = opened.array
        form = PixelChunks(pixels).format
        if opened.rule is not None:
            part = Part(pixels, opened.rule, threads)
            if not isinstance(weights, int):
                weights = part.gather(weights.reshape(*part.shape, 1), threads).reshape(-1)
            pixels = part.gather(pixels, threads)
        n = pixels.size // form.n_channels
        total = n * weights if isinstance(weights, int) else exact_total(weights)
        self._tally.check(form, total)  # before any work, and again when it is added
        if total > 0:
            self._tally.count(PixelChunks(pixels), weights, threads)

    # What is in it

    @property
    def n_pixels(self) -> int:
        """The number of pixels counted."""
        return self._tally.total

    @property
    def n_colors(self) -> int:
        """The number of distinct colours."""
        return int(self._tally.settled()[0].size)

    @property
    def colors(self) -> Array:
        """The distinct colours, shape (n_colors, c), in Morton order."""
        keys, form = self._tally.settled()[0], self._tally.format
        if form is None:
            return np.empty((0, 0), np.uint8)
        return np.ascontiguousarray(split_keys(keys, form, Threads(1)).T)

    @property
    def counts(self) -> Array:
        """How many pixels have each colour: int64, shape (n_colors,)."""
        return self._tally.settled()[1].copy()

    @property
    def n_channels(self) -> int:
        """The channels of a pixel; 0 before the first."""
        return 0 if self._tally.format is None else self._tally.format.n_channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels."""
        return np.dtype(np.uint8) if self._tally.format is None else self._tally.format.dtype

    @property
    def nbytes(self) -> int:
        """The memory held now: 12 or 16 bytes a colour, and a table while tiles are counted."""
        return self._tally.nbytes

    def as_points(self, threads: Threads) -> ColorPoints:
        """Return the colours as a point set; there must be one or more."""
        keys, counts = self._tally.settled(threads)
        assert self._tally.format is not None
        return ColorPoints(keys, counts[None], self._tally.format, threads)

    def __len__(self) -> int:
        """Return the number of distinct colours."""
        return self.n_colors

    def __repr__(self) -> str:
        """Return a short description."""
        return f"ColorHistogram(n_colors={self.n_colors:,}, n_pixels={self.n_pixels:,})"

    # Kept and sent

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle channels, bits, keys and counts: no tables."""
        return self._restored, (self.n_channels, 8 * self.dtype.itemsize, *self._tally.settled())

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
        from . import archive

        whole = self.copy()  # of one moment
        archive.write(path, whole.colors, whole.counts)

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
        from . import archive

        return cls._restored(*archive.read(path))

    @classmethod
    def _restored(cls, n_channels: int, depth: int, keys: Array, counts: Array) -> ColorHistogram:
        """Return the histogram of a file or of a pickle."""
        histogram = cls()
        if n_channels > 0:
            histogram._tally.add(color_format(n_channels, depth), keys, counts)
        return histogram


def _each_tile(tiles: Any) -> Iterator[tuple[Any, Nodata]]:
    """Yield the tiles, and what is said there of no data; of a single array, bands of its rows."""
    if isinstance(tiles, np.ndarray) and tiles.ndim in (2, 3) and tiles.size > 0:
        step = max(1, BAND * tiles.shape[-1] * len(tiles) // tiles.size)
        yield from ((tiles[row : row + step], None) for row in range(0, len(tiles), step))
        return
    if isinstance(tiles, str | bytes | os.PathLike) or not isinstance(tiles, Iterable):
        raise TypeError(
            f"tiles is {type(tiles).__name__}; give an iterable of arrays, or open_tiles(path)"
        )
    for picture in tiles.pictures if hasattr(tiles, "pictures") else [tiles]:
        yield from ((tile, getattr(picture, "nodata", None)) for tile in picture)


def _open(image: Any, asked: Asked) -> Opened:
    """Return checked pixels, of a type whose colours are counted."""
    remedy = " and leave them out by ColorHistogram.update(mask=)"
    opened = open_pixels(image, asked, "image", remedy, lazily=False)
    check_colors(opened.array)
    return opened


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

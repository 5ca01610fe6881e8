"""The histogram of the colours of many pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .pixels import ColorFormat, CountedPixels, PixelChunks, merge_counts, split_keys
from .points.colors import ColorPoints
from .threads import Threads
from .validate import as_pixels, check_threads

Array = NDArray[Any]


class ColorHistogram:
    """The distinct colours of pictures, and how many pixels have each.

    It grows with the colours, not with the pixels: one palette for many pictures, or for a
    picture read a tile at a time. ``fit(histogram, k)`` has the bits of a fit of all the pixels.

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
    """

    def __init__(self, image: ArrayLike | None = None) -> None:
        self._format: ColorFormat | None = None
        self._keys: Array = np.empty(0, np.uint32)
        self._counts: Array = np.empty(0, np.int64)
        if image is not None:
            self.update(image)

    def update(self, image: ArrayLike, *, n_threads: int | None = None) -> None:
        """Add the pixels of a picture, or of a tile of one.

        Parameters
        ----------
        image : array_like, shape (h, w, c) or (n, c)
            uint8 with 1 to 4 channels or uint16 with 1 to 3: the same in every call.
        n_threads : int, optional
            Threads to use; all by default.
        """
        chunks = PixelChunks(as_pixels(image))
        self._check_format(chunks.format)
        with Threads(check_threads(n_threads)) as threads:
            pixels = CountedPixels(chunks, threads)
        self._add(chunks.format, pixels.keys, pixels.counts)

    def merge(self, other: ColorHistogram) -> None:
        """Add the colours of another histogram to this one."""
        if not isinstance(other, ColorHistogram):
            raise TypeError(f"other must be a ColorHistogram, not {type(other).__name__}")
        if other._format is not None:
            self._check_format(other._format)
            self._add(other._format, other._keys, other._counts)

    def _check_format(self, form: ColorFormat) -> None:
        if self._format is not None and self._format != form:
            mine, new = self._format, form
            raise ValueError(
                f"this histogram holds {mine.n_channels} channels of {mine.depth} bits, the new "
                f"pixels have {new.n_channels} of {new.depth}; convert them, or start another"
            )

    def _add(self, form: ColorFormat, keys: Array, counts: Array) -> None:
        if self._format is None:
            self._format, self._keys, self._counts = form, keys, counts
        else:
            self._keys, self._counts = merge_counts(self._keys, self._counts, keys, counts)

    @property
    def n_pixels(self) -> int:
        """The number of pixels counted."""
        return int(self._counts.sum())

    @property
    def n_colors(self) -> int:
        """The number of distinct colours."""
        return int(self._keys.size)

    @property
    def colors(self) -> Array:
        """The distinct colours, shape (n_colors, c), in Morton order."""
        if self._format is None:
            return np.empty((0, 0), np.uint8)
        return np.ascontiguousarray(split_keys(self._keys, self._format, Threads(1)).T)

    @property
    def counts(self) -> Array:
        """How many pixels have each colour: int64, shape (n_colors,)."""
        return self._counts.copy()

    @property
    def n_channels(self) -> int:
        """The channels of a pixel; 0 before the first."""
        return 0 if self._format is None else self._format.n_channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels."""
        return np.dtype(np.uint8) if self._format is None else self._format.dtype

    def as_points(self, threads: Threads) -> ColorPoints:
        """Return the colours as a point set; there must be one or more."""
        assert self._format is not None
        return ColorPoints(self._keys, self._counts, self._format, threads)

    def __len__(self) -> int:
        """Return the number of distinct colours."""
        return self.n_colors

    def __repr__(self) -> str:
        """Return a short description."""
        return f"ColorHistogram(n_colors={self.n_colors:,}, n_pixels={self.n_pixels:,})"

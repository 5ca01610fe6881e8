"""The colours of pixels that can be seen, and fits of them.

Where some are translucent, all are *premultiplied*: red, green and blue times alpha. So a colour
counts by how much of it is seen, and two pixels are as far apart as they look, over black or white.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .api import assign
from .colors.histogram import ColorHistogram
from .data.opening import open_data, size_of
from .fitting import Options, check_options, fit_each
from .pictures.saving import INDEXED
from .result import KMeansResult, as_palette
from .spaces import Space, to_oklab
from .threads import quiet

TOL = 1e-4  # as in `fit`
PART = 1 << 18  # colours that are looked at at once


class VisibleColors:
    """The colours of all pixels that can be seen, of one picture or of many that share a palette.

    Pictures are of one number of channels, or some of 3 and some of 4.
    """

    def __init__(self) -> None:
        self.histograms: dict[int, ColorHistogram] = {}
        self.transparent: bool = False  # are there any pixels that cannot be seen?
        self.n_pixels: int = 0  # with those
        self._weighted: tuple[NDArray[Any], NDArray[Any]] | None = None  # pixels, and how much

    def add(
        self,
        pixels: NDArray[Any],
        *,
        weight: NDArray[Any] | None = None,
        n_threads: int | None = None,
    ) -> None:
        """Count the pixels of a picture, opaque ones by three channels, as is faster than four.

        `weight` (h, w) says how much each one counts; it is given with the only picture.
        """
        self.n_pixels += pixels.shape[0] * pixels.shape[1]
        if pixels.shape[2] == 4:
            seen = pixels[..., 3] > 0
            if not seen.all():
                self.transparent = True
                # Four bytes as one number: picked out of 20 megapixels in 13 ms, not 240.
                whole = np.ascontiguousarray(pixels).view(np.uint32)[..., 0]
                pixels = whole[seen].view(np.uint8).reshape(1, -1, 4)
                weight = None if weight is None else weight[seen]
            if pixels.size == 0:
                return
            if (pixels[..., 3] == 255).all():
                pixels = pixels[..., :3]
        if weight is not None:
            if not weight.any():
                raise ValueError("weight is 0 for every pixel that is seen; give some of them more")
            self._weighted = pixels.reshape(-1, pixels.shape[2]), weight.reshape(-1)
        histogram = self.histograms.setdefault(pixels.shape[2], ColorHistogram())
        histogram.update(pixels, n_threads=n_threads)

    def fit(
        self, n_colors: int, fixed: NDArray[np.uint8] | None = None, **options: Any
    ) -> KMeansResult | None:
        """Fit no more colours than there are, and leave room for a transparent entry.

        The first ones are `fixed` (n, 3). None: there is nothing to be seen.
        """
        if self.transparent and n_colors == INDEXED:
            n_colors -= 1
        if not self.histograms:
            return None
        n_fixed = 0 if fixed is None else len(fixed)
        data, weights = self._data()
        most = n_fixed + _n_distinct(data, weights)
        # Few colours are kept as they are, also those that are hardly seen.
        mixed = weights is not None and data.shape[1] == 4 and n_colors < most
        if mixed:
            data = premultiplied(data)
            most = n_fixed + _n_distinct(data, weights)
        k = min(n_colors, most)
        result = _fit(data, k, fixed=fixed, sample_weight=weights, **options)
        if self._weighted is not None:  # what is told are pixels
            counts = np.bincount(result.labels, minlength=len(result.centroids))
            result = replace(result, counts=counts)
        if mixed:
            result = Premultiplied(
                **{one.name: getattr(result, one.name) for one in fields(result)}
            )
        return with_palette(result, result.centroids)

    def _data(self) -> tuple[Any, NDArray[Any] | None]:
        """Return what a fit takes, and its weights."""
        if self._weighted is not None:
            return self._weighted
        if len(self.histograms) == 1 and 4 not in self.histograms:
            (histogram,) = self.histograms.values()
            return histogram, None
        both = self.histograms.values()
        colors = np.concatenate([with_channels(part.colors[np.newaxis], 4)[0] for part in both])
        return colors, np.concatenate([part.counts for part in both])

    def as_medoids(self, result: KMeansResult | None, n_threads: int | None) -> KMeansResult | None:
        """Replace each centroid by the nearest colour that occurs."""
        if result is None:
            return None
        there = [with_channels(h.colors[np.newaxis], result.centroids.shape[1])[0]
                 for h in self.histograms.values()]  # fmt: skip
        colors = np.unique(np.concatenate(there), axis=0)
        chosen = colors.astype(np.float64)
        if isinstance(result, Premultiplied):
            chosen[:, :3] *= chosen[:, 3:] / 255.0
        points, centers = result.centroids, chosen
        if result.space == "oklab":
            white = float(np.iinfo(result.dtype).max)
            with quiet():
                points, centers = to_oklab(points, white), to_oklab(centers, white)
        nearest = assign(points, centers, n_threads=n_threads)
        return with_palette(result, chosen[nearest])

    def given(
        self, colors: NDArray[np.uint8], pixels: NDArray[Any], space: Space, n_threads: int | None
    ) -> KMeansResult:
        """Return what a fit would, of colours that are given; with counts, if any were added."""
        centroids = colors.astype(np.float64) * (257.0 if pixels.dtype == np.uint16 else 1.0)
        counts = np.zeros(len(colors))
        for histogram in self.histograms.values():
            some = with_channels(histogram.colors[np.newaxis], 3)[0]
            labels = assign(some, centroids, space=space, n_threads=n_threads)
            counts += np.bincount(labels, histogram.counts, len(colors))
        return KMeansResult(
            centroids=centroids, labels=np.empty(0, np.uint8), counts=counts, inertia=np.nan,
            n_iter=0, converged=False, history=(), palette=colors, dtype=pixels.dtype, space=space,
        )  # fmt: skip

    def error(
        self,
        result: KMeansResult,
        n_threads: int | None = None,
        labels: NDArray[Any] | None = None,
    ) -> float:
        """Return the mean squared error of pixels painted in the rounded colours, as by `paint`.

        Of 8-bit values, over the pixels that can be seen and their channels. The `labels` of all
        colours, those of `fit`, need not be found where they are known.
        """
        if labels is not None and len(labels) != sum(h.n_colors for h in self.histograms.values()):
            labels = None  # they are those of pixels
        channels = result.centroids.shape[1]
        shown = palette_rgba(result, result.dtype)
        mixed = isinstance(result, Premultiplied)
        if mixed:
            shown = premultiplied(shown)
        total, n_pixels, n_before = 0.0, 0, 0
        for histogram in self.histograms.values():
            every, counts = histogram.colors, histogram.counts
            scale = 257 if every.dtype == np.uint16 else 1
            painted = scale * shown[:, :channels].astype(np.float64)
            for at in range(0, len(every), PART):
                own = with_channels(every[np.newaxis, at : at + PART], channels)[0]
                if labels is None:
                    nearest = match(result, own, n_threads)
                else:
                    nearest = labels[n_before + at :][: len(own)]
                apart = (premultiplied(own) if mixed else own) - np.take(painted, nearest, axis=0)
                # Whole numbers below 2**53, for pictures of 8 bits: the same in any order.
                total += float(((apart**2).sum(axis=1) * counts[at : at + PART]).sum()) / scale**2
            n_pixels += histogram.n_pixels
            n_before += len(every)
        return total / float(channels * n_pixels)


def _n_distinct(data: Any, weights: NDArray[Any] | None) -> int:
    """Return how many colours a fit is of, which are a histogram's or have weights."""
    if weights is None:
        return int(data.n_colors)
    return ColorHistogram(data[weights > 0]).n_colors


def fit_pixels(pixels: NDArray[Any], n_colors: int, **options: Any) -> KMeansResult:
    """Fit the opaque pixels of one picture, and label them: they are counted once for both."""
    return _fit(pixels, n_colors, at_most=True, **options)


def _fit(
    data: Any,
    k: int,
    *,
    fixed: NDArray[np.uint8] | None = None,
    at_most: bool = False,
    sample_weight: NDArray[Any] | None = None,
    space: Space = "rgb",
    init: Any = "k-means++",
    n_init: int = 1,
    refine: int = 0,
    max_iter: int = 300,
    random_state: Any = 0,
    n_threads: int | None = None,
) -> KMeansResult:
    """Return what `fit` does, of centroids of which the first may stay, or of fewer."""
    opened = open_data(data)
    n_channels = size_of(opened)[1]
    stay = None
    if fixed is not None:
        stay = with_channels(fixed[np.newaxis], n_channels)[0].astype(np.float64)
        stay *= 257.0 if opened.dtype == np.uint16 else 1.0
    given = Options(init, n_init, max_iter, TOL, random_state, None, refine, stay, at_most)
    options = check_options(given, (k, n_channels))
    return fit_each(opened, [k], options, space, sample_weight, n_threads)[0]


class Premultiplied(KMeansResult):
    """A result of RGBA pixels whose centroids are premultiplied; its palette is not."""


def match(result: KMeansResult, pixels: NDArray[Any], n_threads: int | None = None) -> NDArray[Any]:
    """Return the colour of a result that each pixel, of its channels, is painted in."""
    if isinstance(result, Premultiplied):
        pixels = premultiplied(pixels)
    return result.predict(pixels, n_threads=n_threads)


def with_palette(result: KMeansResult, centroids: NDArray[np.float64]) -> KMeansResult:
    """Return a result with these centroids, and the palette that follows from them."""
    channels = centroids.shape[1]
    result = replace(result, centroids=centroids)
    colors = with_channels(palette_rgba(result, result.dtype)[np.newaxis], channels)[0]
    return replace(result, palette=colors)


def premultiplied(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGBA of 8 bits with red, green and blue times alpha."""
    product = pixels[..., :3] * pixels[..., 3:].astype(np.uint16)
    product += 128  # and then by 255, rounded
    product += product >> 8
    return np.concatenate([(product >> 8).astype(np.uint8), pixels[..., 3:]], axis=-1)


def palette_rgba(result: KMeansResult | None, dtype: np.dtype[Any]) -> NDArray[np.uint8]:
    """Return the colours of a result of pixels of `dtype`, (k, 4) RGBA of 8 bits."""
    if result is None:
        return np.zeros((0, 4), np.uint8)
    centroids = result.centroids
    if isinstance(result, Premultiplied):
        alpha = np.maximum(centroids[:, 3:], 0.5)
        centroids = np.concatenate([255.0 * centroids[:, :3] / alpha, centroids[:, 3:]], axis=1)
    colors: NDArray[np.uint8] = with_channels(as_palette(dtype, centroids)[np.newaxis], 4)[0]
    return colors


def with_channels(pixels: NDArray[Any], channels: int) -> NDArray[Any]:
    """Bring pixels to the channels of a palette: grey to RGB, opaque to RGBA, or without alpha."""
    if pixels.shape[2] == 1 and channels > 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 3 and channels == 4:
        pixels = np.insert(pixels, 3, 255, axis=2)
    return pixels[..., :channels]

"""Pictures painted in the colours of a fit."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from .api import assign, fit
from .arrays import LEAVE_OUT, as_native, to_numpy, unmasked
from .checks import check_integer, check_threads, is_file
from .colors.histogram import ColorHistogram
from .dithering import STRENGTH, Dither, check_dither, check_strength, dither_labels
from .pictures.identify import Source
from .pictures.reading import carried_info, read_picture, to_array, to_uint8
from .pictures.saving import INDEXED
from .result import KMeansResult, as_palette
from .seeding import Init
from .spaces import Space, to_oklab
from .threads import Threads, quiet

Sort = Literal["luminance", "share"]
SORTS = get_args(Sort)


def quantize(
    image: NDArray[Any] | Image.Image | Source,
    n_colors: int | None = None,
    *,
    palette: Iterable[Any] | None = None,
    dither: bool | Dither = False,
    dither_strength: float = STRENGTH,
    sort: Sort | None = None,
    medoids: bool = False,
    space: Space = "rgb",
    init: Init = "k-means++",
    n_init: int = 1,
    refine: int = 1,
    max_iter: int = 300,
    random_state: Any = 0,
    n_threads: int | None = None,
) -> Image.Image:
    """
    Reduce a picture to its best `n_colors` colours, or to those of a palette.

    Parameters
    ----------
    image : (h, w, c) or (h, w) array, PIL.Image.Image, path or file
        uint8 with 1, 3 or 4 channels, or uint16 with 1 or 3; or a picture's file, or its path,
        read as by `open_image`.
    n_colors : int
        How many colours to find; a picture with fewer colours keeps those it has. Fully transparent
        pixels take no part in the fit and stay so. They take one entry of an indexed picture for
        themselves, so that 256 colours are then 255 visible ones.
    palette : Palette or sequence of colours, optional
        The colours to use instead, without a fit: each three numbers up to 255, or a name that
        Pillow knows ("#ffd700", "gold").
    dither : bool or str, default False
        Mix colours by dots, of at most 256: by error diffusion, "floyd-steinberg" (True is the
        same), "sierra" or "atkinson"; or by a pattern, "blue-noise" or "bayer", which is steady
        where a picture changes elsewhere. Translucent pixels are not dithered, nor are those whose
        colour is in the palette.
    dither_strength : float, default 0.8
        How much of each error is made good, 0 to 1. More makes areas nearer to their colour from
        afar, and lets dots of far colours into smooth ones.
    sort : {"luminance", "share"}, optional
        Put the palette in order: darkest first, by the lightness of OKLab, or the colour of most
        pixels first.
    medoids : bool, default False
        Replace each colour found by the nearest that occurs in the picture.
    refine : int, default 1
        As in `fit`, where it is 0. 4 is as good as it gets for the time: about twice as long.
    space, init, n_init, max_iter, random_state, n_threads
        As in `fit`. ("oklab" takes the numbers as those of sRGB.)

    Returns
    -------
    PIL.Image.Image
        Up to 256 entries: a "P" image whose palette is exactly the fitted colours, rounded to
        8 bits, then the transparent entry if there is one. More: "RGB", "RGBA", or "I;16" for
        16-bit grey. The resolution of a file or Pillow image is kept in its `info`, and so is the
        colour profile of an RGB image, in whose space the colours then are; with a `palette`,
        which is sRGB, and for grey and CMYK the picture is converted to sRGB instead. (Pillow's
        `save` writes that profile to PNG and TIFF; to JPEG and WebP it does so if it is given as
        ``icc_profile``, and to others not at all.)

    Raises
    ------
    TypeError, ValueError
        `image` is not a picture, or an option is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((4, 4, 3), np.uint8)
    >>> image[2:] = 255, 128, 0
    >>> sorted(color for count, color in quantize(image, 2).convert("RGB").getcolors())
    [(0, 0, 0), (255, 128, 0)]
    """
    if (n_colors is None) == (palette is None):
        raise TypeError("quantize takes n_colors, or a palette: give one of them")
    if sort not in (None, *SORTS):
        raise ValueError(f"sort={sort!r} is unknown; give one of {', '.join(SORTS)}")
    if palette is not None and medoids:
        raise ValueError("medoids replace colours that are found; a palette is used as it is")
    method, strength = check_dither(dither), check_strength(dither_strength)
    fixed = None if palette is None else as_colors(palette)
    n_colors = check_integer("n_colors", n_colors, 1) if fixed is None else len(fixed)
    if method and n_colors > INDEXED:
        raise ValueError(f"n_colors={n_colors} is too many to dither; ask for {INDEXED} or fewer")
    keep_profile = fixed is None
    pixels, info = as_picture(image, keep_profile)
    colors = VisibleColors()
    if fixed is None or sort == "share":
        colors.add(pixels, n_threads=n_threads)
    if fixed is not None:
        result: KMeansResult | None = colors.given(fixed, pixels, space, n_threads)
    else:
        result = colors.fit(
            n_colors,
            space=space,
            init=init,
            n_init=n_init,
            refine=refine,
            max_iter=max_iter,
            random_state=random_state,
            n_threads=n_threads,
        )
        if medoids:
            result = colors.as_medoids(result, n_threads)
    if sort is not None:
        result = in_order(result, sort)
    painted = paint(pixels, result, dither=method, strength=strength, n_threads=n_threads)
    painted.info.update(info)
    return painted


def as_picture(
    image: NDArray[Any] | Image.Image | Source, keep_profile: bool = False
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return what `quantize` is given as an array, and what is kept of its description."""
    if is_file(image):
        return read_picture(image, keep_profile=keep_profile)
    if isinstance(image, Image.Image):
        return to_array(image, keep_profile=keep_profile), carried_info(image, keep_profile)
    pixels: NDArray[Any] = as_native(to_numpy(unmasked("image", image, LEAVE_OUT)))
    shape = pixels.shape
    if len(shape) == 2 and shape[1] not in (3, 4):  # grey; so narrow, it is a list of colours
        pixels = pixels[..., np.newaxis]
    channels = {"uint8": (1, 3, 4), "uint16": (1, 3)}.get(pixels.dtype.name, ())
    if pixels.ndim != 3 or pixels.shape[2] not in channels or pixels.size == 0:
        raise ValueError(
            f"image has shape {shape} and dtype {pixels.dtype}; give (h, w, c) pixels, "
            "uint8 with 1, 3 or 4 channels or uint16 with 1 or 3, or a PIL image, or a file"
        )
    return pixels, {}


def as_colors(palette: Iterable[Any]) -> NDArray[np.uint8]:
    """Return the colours of a palette, (k, 3), whether numbers or names."""
    colors = []
    for color in palette:
        try:
            rgb = ImageColor.getrgb(color) if isinstance(color, str) else tuple(color)
            if len(rgb) != 3 or not all(0 <= c <= 255 and c == int(c) for c in rgb):
                raise ValueError
        except (TypeError, ValueError):
            raise ValueError(
                f"palette holds {color!r}, which is no colour; give (red, green, blue) from 0 "
                'to 255, or a name such as "#ffd700"'
            ) from None
        colors.append(rgb)
    if not colors:
        raise ValueError("palette is empty; give at least one colour")
    return np.array(colors, dtype=np.uint8)


def in_order(result: KMeansResult | None, sort: Sort) -> KMeansResult | None:
    """Put the clusters of pixels in order: "luminance" (OKLab's lightness), or "share" first."""
    if result is None:
        return None
    with quiet():
        lightness = to_oklab(palette_rgba(result, result.dtype)[:, :3])[:, 0]
    first = -result.counts if sort == "share" else lightness
    order = np.lexsort((lightness, first))  # by the last of them first
    rank = np.argsort(order).astype(result.labels.dtype)
    return replace(
        result,
        centroids=result.centroids[order],
        counts=result.counts[order],
        labels=rank[result.labels],
        palette=None if result.palette is None else result.palette[order],
    )


class VisibleColors:
    """The colours of all pixels that can be seen, of one picture or of many that share a palette.

    Pictures are of one number of channels, or some of 3 and some of 4.
    """

    def __init__(self) -> None:
        self.histograms: dict[int, ColorHistogram] = {}
        self.transparent: bool = False  # are there any pixels that cannot be seen?
        self.n_pixels: int = 0  # with those

    def add(self, pixels: NDArray[Any], *, n_threads: int | None = None) -> None:
        """Count the pixels of a picture, opaque ones by three channels, as is faster than four."""
        self.n_pixels += pixels.shape[0] * pixels.shape[1]
        if pixels.shape[2] == 4:
            seen = pixels[..., 3] > 0
            if not seen.all():
                self.transparent = True
                # Four bytes as one number: picked out of 20 megapixels in 13 ms, not 240.
                whole = np.ascontiguousarray(pixels).view(np.uint32)[..., 0]
                pixels = whole[seen].view(np.uint8).reshape(1, -1, 4)
            if pixels.size == 0:
                return
            if (pixels[..., 3] == 255).all():
                pixels = pixels[..., :3]
        histogram = self.histograms.setdefault(pixels.shape[2], ColorHistogram())
        histogram.update(pixels, n_threads=n_threads)

    def fit(self, n_colors: int, **options: Any) -> KMeansResult | None:
        """Fit no more colours than there are, and leave room for a transparent entry.

        None: there is nothing to be seen.
        """
        if self.transparent and n_colors == INDEXED:
            n_colors -= 1
        if not self.histograms:
            return None
        if len(self.histograms) == 1:
            (histogram,) = self.histograms.values()
            return fit(histogram, min(n_colors, histogram.n_colors), **options)
        both = self.histograms.values()
        colors = np.concatenate([with_channels(part.colors[np.newaxis], 4)[0] for part in both])
        counts = np.concatenate([part.counts for part in both])
        n_colors = min(n_colors, ColorHistogram(colors).n_colors)
        return fit(colors, n_colors, sample_weight=counts, **options)

    def as_medoids(self, result: KMeansResult | None, n_threads: int | None) -> KMeansResult | None:
        """Replace each centroid by the nearest colour that occurs."""
        if result is None:
            return None
        there = [with_channels(h.colors[np.newaxis], result.centroids.shape[1])[0]
                 for h in self.histograms.values()]  # fmt: skip
        colors = np.unique(np.concatenate(there), axis=0)
        points, centers = result.centroids, colors.astype(np.float64)
        if result.space == "oklab":
            white = float(np.iinfo(result.dtype).max)
            with quiet():
                points, centers = to_oklab(points, white), to_oklab(centers, white)
        nearest = assign(points, centers, n_threads=n_threads)
        centroids = colors[nearest].astype(np.float64)
        return replace(
            result, centroids=centroids, palette=as_palette(result.dtype, centroids)
        )  # fmt: skip

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


def palette_rgba(result: KMeansResult | None, dtype: np.dtype[Any]) -> NDArray[np.uint8]:
    """Round the centroids of pixels of `dtype` to (k, 4) RGBA colours of 8 bits."""
    if result is None:
        return np.zeros((0, 4), np.uint8)
    colors: NDArray[np.uint8] = with_channels(as_palette(dtype, result.centroids)[np.newaxis], 4)[0]
    return colors


def paint(
    pixels: NDArray[Any],
    result: KMeansResult | None,
    *,
    dither: Dither | None = None,
    strength: float = STRENGTH,
    n_threads: int | None = None,
) -> Image.Image:
    """Paint every visible pixel with its colour of `result` (None: there is no such pixel).

    The modes are those of `quantize`.
    """
    colors = palette_rgba(result, pixels.dtype)
    transparent = np.zeros((1, 4), np.uint8)
    if result is None:
        return _indexed(np.zeros(pixels.shape[:2], np.uint8), transparent)
    matching = with_channels(pixels, result.centroids.shape[1])
    labels = result.predict(matching, n_threads=n_threads)
    if dither is not None and strength > 0:
        labels = _dithered(pixels, labels, colors, dither, strength, n_threads)
    if pixels.shape[2] == 4 and (hidden := pixels[..., 3] == 0).any():
        labels = np.where(hidden, np.array(len(colors), np.min_scalar_type(len(colors))), labels)
        colors = np.concatenate([colors, transparent])
    if len(colors) <= INDEXED:
        return _indexed(labels.astype(np.uint8, copy=False), colors)
    if pixels.dtype == np.uint16 and pixels.shape[2] == 1:
        colors = np.rint(result.centroids[:, 0]).astype(np.uint16)
    elif (colors[:, 3] == 255).all():
        colors = colors[:, :3]
    return Image.fromarray(np.take(colors, labels, axis=0))


def _indexed(labels: NDArray[np.uint8], colors: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(labels)
    image.putpalette(colors[:, :3].tobytes())
    alpha = colors[:, 3]
    if (alpha[:-1] == 255).all() and alpha[-1] == 0:
        image.info["transparency"] = len(alpha) - 1  # the one form that GIF knows too
    elif (alpha < 255).any():
        image.info["transparency"] = alpha.tobytes()
    return image


def with_channels(pixels: NDArray[Any], channels: int) -> NDArray[Any]:
    """Bring pixels to the channels of a palette: grey to RGB, opaque to RGBA, or without alpha."""
    if pixels.shape[2] == 1 and channels > 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 3 and channels == 4:
        pixels = np.insert(pixels, 3, 255, axis=2)
    return pixels[..., :channels]


def _dithered(
    pixels: NDArray[Any],
    labels: NDArray[Any],
    colors: NDArray[np.uint8],
    dither: Dither,
    strength: float,
    n_threads: int | None,
) -> NDArray[Any]:
    """Label the opaque pixels anew, over opaque colours and those that they had before."""
    rgb = with_channels(to_uint8(pixels), 3)
    usable = np.ones(len(colors), bool)
    if pixels.shape[2] == 4 and not (opaque := pixels[..., 3] == 255).all():
        usable = colors[:, 3] == 255
        usable[labels[opaque]] = True
        if not usable.any():
            return labels
        # The others are given their label's colour: they keep it, and have no error to hand on.
        rgb = np.where(opaque[..., np.newaxis], rgb, colors[labels, :3])
    with Threads(check_threads(n_threads)) as threads:
        return dither_labels(
            np.ascontiguousarray(rgb), labels.astype(np.uint8, copy=False), colors[:, :3].copy(),
            np.flatnonzero(usable).astype(np.uint8), dither, strength, threads,
        )  # fmt: skip

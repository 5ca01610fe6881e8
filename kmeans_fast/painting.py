"""Pictures painted in the colours of a fit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .arrays import LEAVE_OUT, as_native, to_numpy, unmasked
from .checks import check_integer, check_threads, is_file
from .choosing import (
    Sort,
    as_colors,
    as_weight,
    check_fixed,
    check_max_error,
    check_posterize,
    check_sort,
    find_colors,
    in_order,
)
from .dithering import STRENGTH, Dither, check_dither, check_strength, dither_labels
from .pictures.identify import Source
from .pictures.reading import carried_info, read_picture, to_array, to_uint8
from .pictures.saving import INDEXED
from .result import KMeansResult
from .seeding import Init
from .spaces import Space
from .threads import Threads
from .visible import VisibleColors, fit_pixels, match, palette_rgba, with_channels


def quantize(
    image: NDArray[Any] | Image.Image | Source,
    n_colors: int | None = None,
    *,
    palette: Iterable[Any] | None = None,
    max_error: float | str | None = None,
    fixed: Iterable[Any] | None = None,
    weight: NDArray[Any] | Image.Image | Source | None = None,
    posterize: int = 0,
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
        How many colours to find; with `max_error` the most, 256 by default. A picture with fewer
        colours keeps those it has. Translucent ones count by how much of them is seen. Fully
        transparent pixels take no part in the fit and stay so. They take one entry of an indexed
        picture for themselves, so that 256 colours are then 255 visible ones.
    palette : Palette or sequence of colours, optional
        The colours to use instead, without a fit: each three numbers up to 255, or a name that
        Pillow knows ("#ffd700", "gold").
    max_error : float or str, optional
        Find the smallest palette, within about 5 %, that holds a mean squared error of the 8-bit
        values in the mean of pixels and channels, or a PSNR such as "38 dB"; without dithering.
    fixed : sequence of colours, optional
        Colours that are part of the palette, as in `palette`, and come first; the others are the
        best beside them, by the search of ``refine=1`` at most.
    weight : (h, w) array, or a picture as `image`, of the same size, optional
        How much each pixel counts as colours are found: numbers of 0 or more, or how light a
        picture is.
    posterize : int, default 0
        Bits that each channel of the palette does without, for displays of few: up to 7.
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
    if (n_colors is None and max_error is None) == (palette is None):
        raise TypeError("quantize takes n_colors, or max_error, or a palette: give one of them")
    if sort is not None:
        check_sort(sort)
    if palette is not None and (medoids or fixed is not None or weight is not None or posterize):
        raise ValueError(
            "medoids, fixed, weight and posterize are about colours that are found; a palette is "
            "used as it is"
        )
    method, strength = check_dither(dither), check_strength(dither_strength)
    given = None if palette is None else as_colors(palette)
    n_colors = INDEXED if n_colors is None else check_integer("n_colors", n_colors, 1)
    n_colors = n_colors if given is None else len(given)
    if method and n_colors > INDEXED:
        raise ValueError(f"n_colors={n_colors} is too many to dither; ask for {INDEXED} or fewer")
    limit = None if max_error is None else check_max_error(max_error)
    beside, bits = check_fixed(fixed, n_colors), check_posterize(posterize)
    pixels, info = as_picture(image, keep_profile=given is None)
    importance = None if weight is None else as_weight(weight, pixels.shape[:2])
    colors = VisibleColors()
    options: dict[str, Any] = {
        "space": space,
        "init": init,
        "n_init": n_init,
        "refine": refine,
        "max_iter": max_iter,
        "random_state": random_state,
        "n_threads": n_threads,
    }
    # Where nothing else is asked, opaque pixels are counted once, for their colours and labels.
    wishes = given, limit, beside, importance
    plain = not (medoids or bits) and all(each is None for each in wishes) and pixels.shape[2] < 4
    result: KMeansResult | None
    if plain:
        result = fit_pixels(pixels, n_colors, **options)
        result = in_order(result, sort) if sort is not None else result
    elif given is not None:
        if sort == "share":
            colors.add(pixels, n_threads=n_threads)
        result = colors.given(given, pixels, space, n_threads)
        result = in_order(result, sort) if sort is not None else result
    else:
        colors.add(pixels, weight=importance, n_threads=n_threads)
        result = find_colors(
            colors,
            n_colors,
            max_error=limit,
            fixed=beside,
            posterize=bits,
            medoids=medoids,
            sort=sort,
            **options,
        )
    labels = result.labels if plain and result is not None else None
    painted = paint(
        pixels, result, labels=labels, dither=method, strength=strength, n_threads=n_threads
    )
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


def paint(
    pixels: NDArray[Any],
    result: KMeansResult | None,
    *,
    labels: NDArray[Any] | None = None,
    dither: Dither | None = None,
    strength: float = STRENGTH,
    n_threads: int | None = None,
) -> Image.Image:
    """Paint every visible pixel with its colour of `result` (None: there is no such pixel).

    The `labels` need not be found where they are known. The modes are those of `quantize`.
    """
    colors = palette_rgba(result, pixels.dtype)
    transparent = np.zeros((1, 4), np.uint8)
    if result is None:
        return _indexed(np.zeros(pixels.shape[:2], np.uint8), transparent)
    if labels is None:
        matching = with_channels(pixels, result.centroids.shape[1])
        labels = match(result, matching, n_threads)
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

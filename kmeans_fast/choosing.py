"""What is asked of a palette, beyond the number of its colours."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from .arrays import to_numpy
from .checks import check_integer, is_file
from .pictures.identify import Source
from .pictures.reading import read_picture, to_array
from .result import KMeansResult
from .spaces import to_oklab
from .threads import quiet
from .visible import Premultiplied, VisibleColors, palette_rgba, with_palette

Sort = Literal["luminance", "share"]
SORTS = get_args(Sort)
MOST_POSTERIZED = 7  # bits

# How errors fall with the number of colours: as a power of it, where nothing is known yet. For
# photographs from 0.75 to 0.95.
SLOPE = 0.85
PROBE, PROBE_ITERATIONS = 16, 4  # colours, and iterations, of a look at how large errors are
PROBED = 0.93  # of the error after these is left after all
SURE = 1.015  # times the colours that errors seem to ask for
NEAR = 0.05  # a palette may be larger than the smallest by that
# Grey as Pillow has it.
LUMA = 0.299, 0.587, 0.114


def check_sort(sort: Sort) -> None:
    """Raise where an order is not known."""
    if sort not in SORTS:
        raise ValueError(f"sort={sort!r} is unknown; give one of {', '.join(SORTS)}")


def check_max_error(max_error: float | str) -> float:
    """Return a mean squared error, of a number, or of a ratio such as "38 dB"."""
    text = str(max_error).strip()
    decibels = re.fullmatch(r"(.*?)\s*dB", text, re.IGNORECASE)
    try:
        number = float(decibels[1] if decibels else text)
        error = 255.0**2 / 10.0 ** (number / 10.0) if decibels else number
        if isinstance(max_error, bool) or not 0 <= error < math.inf:
            raise ValueError
    except (ValueError, OverflowError):
        raise ValueError(
            f"max_error={max_error!r} is no error; give a mean squared error of 0 or more, or a "
            'PSNR such as "38 dB"'
        ) from None
    return error


def check_fixed(fixed: Iterable[Any] | None, n_colors: int) -> NDArray[np.uint8] | None:
    """Return colours that are part of a palette of so many, (n, 3)."""
    if fixed is None:
        return None
    colors = as_colors(fixed, "fixed")
    if len(colors) > n_colors:
        raise ValueError(
            f"fixed holds {len(colors)} colours, more than n_colors={n_colors}; give fewer, or "
            "ask for more colours"
        )
    return colors


def check_posterize(posterize: int) -> int:
    """Return how many bits each channel of a palette does without."""
    bits = check_integer("posterize", posterize, 0)
    if bits > MOST_POSTERIZED:
        raise ValueError(f"posterize={bits} leaves no bits; give {MOST_POSTERIZED} or fewer")
    return bits


def as_weight(
    weight: NDArray[Any] | Image.Image | Source, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Return an importance map (h, w): that of an array, or how light a picture is."""
    if is_file(weight):
        given = _as_grey(read_picture(weight)[0])
    elif isinstance(weight, Image.Image):
        given = _as_grey(to_array(weight))
    else:
        given = to_numpy(weight)
    if given.shape != shape:
        raise ValueError(f"weight has shape {given.shape}, and the picture {shape}; give the same")
    if given.dtype.kind not in "biuf":
        raise TypeError(f"weight has dtype {given.dtype}; give real numbers")
    numbers = given.astype(np.float64)
    if not (np.isfinite(numbers).all() and (numbers >= 0).all()):
        raise ValueError("weight holds numbers that are negative or not finite; give 0 or more")
    return numbers


def _as_grey(pixels: NDArray[Any]) -> NDArray[Any]:
    if pixels.shape[2] == 1:
        return pixels[..., 0]
    grey: NDArray[Any] = np.rint(pixels[..., :3] @ LUMA)
    return grey


def as_colors(palette: Iterable[Any], name: str = "palette") -> NDArray[np.uint8]:
    """Return the colours of a palette, (k, 3), whether numbers or names."""
    colors = []
    for color in palette:
        try:
            rgb = ImageColor.getrgb(color) if isinstance(color, str) else tuple(color)
            if len(rgb) != 3 or not all(0 <= c <= 255 and c == int(c) for c in rgb):
                raise ValueError
        except (TypeError, ValueError):
            raise ValueError(
                f"{name} holds {color!r}, which is no colour; give (red, green, blue) from 0 "
                'to 255, or a name such as "#ffd700"'
            ) from None
        colors.append(rgb)
    if not colors:
        raise ValueError(f"{name} is empty; give at least one colour")
    return np.array(colors, dtype=np.uint8)


def find_colors(
    colors: VisibleColors,
    n_colors: int,
    *,
    max_error: float | None = None,
    medoids: bool = False,
    posterize: int = 0,
    sort: Sort | None = None,
    n_threads: int | None = None,
    **options: Any,
) -> KMeansResult | None:
    """Return the colours that all pictures that were counted are painted in.

    `n_colors` of them, or no more than `max_error` takes; `options` are those of
    `VisibleColors.fit`.
    """

    def find(k: int, **other: Any) -> tuple[KMeansResult | None, float]:
        found = colors.fit(k, n_threads=n_threads, **{**options, **other})
        result = colors.as_medoids(found, n_threads) if medoids else found
        result = posterized(result, posterize)
        if result is None or max_error is None:
            return result, 0.0
        labels = result.labels if result is found else None
        return result, colors.error(result, n_threads, labels)

    if max_error is None:
        result, _ = find(n_colors)
    else:
        fixed = options.get("fixed")
        result = _find_smallest(find, 1 if fixed is None else len(fixed), n_colors, max_error)
    return in_order(result, sort) if sort else result


def _find_smallest(
    find: Callable[..., tuple[KMeansResult | None, float]], least: int, most: int, max_error: float
) -> KMeansResult | None:
    """Return the smallest palette found, of `least` to `most` colours, that holds an error.

    Errors fall about as a power of the number of colours. Two quick looks say which, and from where
    on palettes are found in full.
    """
    k, slope = max(least, min(PROBE, most)), SLOPE
    looked: tuple[int, float] | None = None
    for _ in range(2):
        look, error = find(k, refine=0, max_iter=PROBE_ITERATIONS)
        if look is None:
            return None
        error *= PROBED
        if looked is not None and 0 < error < looked[1]:
            slope = math.log(looked[1] / error) / math.log(k / looked[0])
            slope = min(max(slope, 0.5), 1.5)
        looked = k, error
        k = max(least, min(_power(k, error, max_error, slope), most))
        if k <= looked[0]:
            break
    best: KMeansResult | None = None
    low, high = (least - 1, math.inf), (most + 1, 0.0)  # too few, and enough, with their errors
    while True:
        found, error = find(k)
        assert found is not None
        if error <= max_error:
            k = min(k, len(found.centroids))  # a picture may have no more
            best, high = found, (k, error)
            # Would fewer do, by what is told apart?
            fewer = max(1, int(NEAR * k))
            if k - fewer < least or error * (k / (k - fewer)) ** slope > max_error:
                return best
        elif k == most:
            reached = f"{error:.4g}, or {10 * math.log10(255**2 / error):.2f} dB"
            raise ValueError(
                f"max_error={max_error:.4g}: the best {most} colours leave an error of {reached}; "
                "allow as much, or more colours"
            )
        else:
            low = k, error
        if best is not None and high[0] - low[0] <= 1 + int(NEAR * low[0]):
            return best
        if best is None or (low[0] < least and error > 0):
            k = _power(k, error, max_error, slope)
        else:  # halve what is between, but by the logarithm of the error where that says more
            part = 0.5
            if low[0] >= least and high[1] > 0:
                part = math.log(low[1] / max_error) / math.log(low[1] / high[1])
            k = math.ceil(low[0] + min(max(part, 0.25), 0.75) * (high[0] - low[0]))
        k = max(low[0] + 1, min(k, high[0] - 1, most))


def _power(k: int, error: float, max_error: float, slope: float) -> int:
    """Return how many colours have an error, where so many have another; a few more, to be sure."""
    if max_error <= 0 or error <= 0:
        return 2**30 if error > 0 else k
    return math.ceil(min(SURE * k * math.pow(error / max_error, 1 / slope), 2.0**30))


def posterized(result: KMeansResult | None, bits: int) -> KMeansResult | None:
    """Round the colours to levels of so many bits fewer, evenly from black to white.

    Those that are then the same become one, in the place of the first.
    """
    if result is None or bits == 0:
        return result
    steps = 2 ** (8 - bits) - 1
    levels = np.rint(palette_rgba(result, result.dtype) * (steps / 255.0))
    levels[:, 3] = np.maximum(levels[:, 3], 1)  # what is seen stays so
    _, first, same = np.unique(levels, axis=0, return_index=True, return_inverse=True)
    place = np.argsort(np.argsort(first))[same.reshape(-1)]
    counts = np.bincount(place, result.counts, len(first)).astype(result.counts.dtype)
    shown = 255.0 / steps * levels[np.sort(first)]
    channels = result.centroids.shape[1]
    if isinstance(result, Premultiplied):
        shown[:, :3] *= shown[:, 3:] / 255.0
    scale = 257.0 if result.dtype == np.uint16 else 1.0
    labels = place[result.labels].astype(result.labels.dtype)
    result = replace(result, counts=counts, labels=labels)
    return with_palette(result, scale * shown[:, :channels])


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

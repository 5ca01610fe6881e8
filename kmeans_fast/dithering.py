"""Dithering over the colours of a palette: errors handed on to neighbours, or a pattern."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from .kernels import dither as kernel
from .kernels._candidates import GREEN, LANES, RED
from .threads import Threads

Dither = Literal["floyd-steinberg", "sierra", "atkinson", "blue-noise", "bayer"]
DITHERS = get_args(Dither)
STRENGTH = 0.8

# What of an error goes to this row and the next two, from two pixels back to two ahead, and of how
# many parts: R. W. Floyd and L. Steinberg 1976, F. Sierra 1989, B. Atkinson (a quarter is dropped).
SHARES = {
    "floyd-steinberg": (16, [[0, 0, 0, 7, 0], [0, 3, 5, 1, 0], [0, 0, 0, 0, 0]]),
    "sierra": (32, [[0, 0, 0, 5, 3], [2, 4, 5, 4, 2], [0, 2, 3, 2, 0]]),
    "atkinson": (8, [[0, 0, 0, 1, 1], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]]),
}
# Rows that one thread dithers at a time, after so many rows above them whose errors it needs. Both
# are part of the result: whatever the threads, it is the same.
BAND = 64
WARM_UP = 8
BAYER = 8  # pixels along a side of the pattern


def check_dither(dither: bool | str) -> Dither | None:
    """Return the name of a way to dither, None for none."""
    if isinstance(dither, bool | np.bool_):
        return DITHERS[0] if dither else None
    if not isinstance(dither, str) or dither not in DITHERS:
        names = ", ".join(DITHERS)
        raise ValueError(f"dither={dither!r} is unknown; give True, False or one of {names}")
    return cast(Dither, dither)


def check_strength(strength: float) -> float:
    """Return a strength of dithering."""
    try:
        number = float(strength)
    except (TypeError, ValueError):
        raise TypeError(f"dither_strength={strength!r} is not a number; give 0 to 1") from None
    if not 0 <= number <= 1:
        raise ValueError(f"dither_strength={number} is not in its range; give 0 to 1")
    return number


def dither_labels(
    rgb: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    colors: NDArray[np.uint8],
    usable: NDArray[np.uint8],
    method: Dither,
    strength: float,
    threads: Threads,
) -> NDArray[np.uint8]:
    """Label pixels so that the colours of neighbours together are theirs.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (h, w, 3)
    labels : ndarray of uint8, shape (h, w)
        The nearest colour of each pixel, which is kept where it is the pixel's own.
    colors : ndarray of uint8, shape (k, 3)
    usable : ndarray of uint8, shape (n,)
        The colours that others may get, sorted.
    method : str
    strength : float
        What of each error is handed on, 0 to 1.
    threads : Threads
    """
    height = len(rgb)
    palette = colors.astype(np.int32) << kernel.UNIT_BITS
    spans = np.empty((kernel.SIDES**3, 2), np.int32)
    room = kernel.SIDES**3 * -(-len(usable) // LANES)
    lists = np.empty((room, 4, LANES), np.int16)
    out = np.empty_like(labels)
    given = rgb, labels, palette, spans, lists

    def find(slab: int) -> None:
        kernel.list_candidates(slab, palette, usable, spans, lists)

    def diffuse(start: int) -> None:
        first, stop = max(0, start - WARM_UP), min(start + BAND, height)
        kernel.diffuse_rows(first, start, stop, *given, weights, out)

    def order(start: int) -> None:
        kernel.order_rows(start, min(start + BAND, height), *given, factors, reaches, out)

    threads.map(find, range(kernel.SLABS))
    if method in SHARES:
        parts, shares = SHARES[method]
        scale = strength * (1 << kernel.WEIGHT_BITS) / parts
        weights = np.rint(np.array(shares) * scale).astype(np.int32)
        threads.map(diffuse, range(0, height, BAND))
    else:
        factors = np.maximum(1.0, strength / (2 * _thresholds(method)))
        reaches = _reaches(palette, usable)
        threads.map(order, range(0, height, BAND))
    return out


@cache
def _thresholds(method: Dither) -> NDArray[np.float64]:
    """Return the square that is repeated over a picture: numbers between 0 and 1, evenly spread.

    A pixel between two colours takes the farther one where its part of the way there is more.
    """
    if method == "blue-noise":
        with files(__package__).joinpath("blue_noise.npy").open("rb") as file:
            mask: NDArray[Any] = np.load(file)
        return (mask + 0.5) / 256
    ranks = np.zeros((1, 1), np.int64)
    while len(ranks) < BAYER:
        ranks = np.block([[4 * ranks, 4 * ranks + 2], [4 * ranks + 3, 4 * ranks + 1]])
    return (ranks + 0.5) / ranks.size


def _reaches(palette: NDArray[np.int32], usable: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return how far a pixel of each colour may be led: to the second nearest of the others.

    Farther ones are dots that are seen: with all of them the grain is 1.2 to 1.8 times as much.
    """
    gaps = palette[:, None].astype(np.int64) - palette[usable]
    sq_dists = np.sort(np.square(gaps) @ np.array([RED, GREEN, 1]), axis=1)
    n_same = (sq_dists == 0).sum(axis=1, keepdims=True)
    second = np.minimum(n_same + 1, len(usable) - 1)
    reaches: NDArray[np.float64] = np.sqrt(np.take_along_axis(sq_dists, second, axis=1)[:, 0])
    return reaches

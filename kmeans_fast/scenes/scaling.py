"""Bands brought to a mean of 0 and a standard deviation of 1, by exact sums of all pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Numbers added up at once, so that what they need beside them is small.
CHUNK = 1 << 18
HALF = 27  # bits of a float64's 53
SPLIT = 2.0**HALF + 1.0


@dataclass(frozen=True)
class Scale:
    """What is subtracted from each band, and what it is divided by then."""

    mean: Floats
    std: Floats

    def apply(self, pixels: Array) -> Array:
        """Return pixels (m, d) in `scaled_type`: worked out in float64, and rounded once."""
        scaled = np.empty(pixels.shape, scaled_type(pixels.dtype))
        for at in range(0, len(pixels), CHUNK):
            some = pixels[at : at + CHUNK].astype(np.float64)
            some -= self.mean
            some /= self.std
            scaled[at : at + CHUNK] = some
        return scaled

    def undo(self, centroids: Floats) -> Floats:
        """Return centroids in the units of the bands."""
        return centroids * self.std + self.mean


def scaled_type(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the type of scaled pixels: float32 for 16 bits and for float32, else float64."""
    small = dtype.itemsize <= (4 if dtype.kind == "f" else 2)
    return np.dtype(np.float32 if small else np.float64)


class Sums:
    """The sums of values and of their squares, exact, so that no order of pixels matters."""

    def __init__(self, d: int) -> None:
        self._n = 0
        self._sums = [Fraction(0)] * d
        self._squares = [Fraction(0)] * d

    def add(self, pixels: Array) -> None:
        """Add pixels (m, d)."""
        self._n += len(pixels)
        find = _sums_of_integers
        if pixels.dtype.kind == "f" or pixels.dtype.itemsize > 2:
            find = _sums_of_floats
        for start in range(0, len(pixels), CHUNK):
            for at, band in enumerate(pixels[start : start + CHUNK].T):
                total, squares = find(band)
                self._sums[at] += total
                self._squares[at] += squares

    def scale(self) -> Scale:
        """Return the means, and the deviations of all pixels; 1 where all values are the same."""
        means = [total / self._n for total in self._sums]
        variances = [
            squares / self._n - mean * mean
            for squares, mean in zip(self._squares, means, strict=True)
        ]
        deviations = [math.sqrt(variance) or 1.0 for variance in variances]
        return Scale(np.array([float(mean) for mean in means]), np.array(deviations))


def _sums_of_integers(band: Array) -> tuple[Fraction, Fraction]:
    """Return the sum and that of the squares, of integers of 16 bits: below 2**50."""
    values = band.astype(np.int64)
    return Fraction(int(values.sum())), Fraction(int((values * values).sum()))


def _sums_of_floats(band: Array) -> tuple[Fraction, Fraction]:
    """Return the sum and that of the squares, each of which is two floats (Dekker)."""
    values = band.astype(np.float64)
    if not np.abs(values).max(initial=0.0) < 1e150:
        raise ValueError("bands hold infinity, or values beyond 1e150; say which are nodata")
    squares = values * values
    high = values * SPLIT
    high -= high - values
    low = values - high
    rest = ((high * high - squares) + 2.0 * high * low) + low * low
    return _exact_sum(values), _exact_sum(squares) + _exact_sum(rest)


def _exact_sum(values: Floats) -> Fraction:
    """Return the sum: halves of the digits are added up apart, for each exponent, as integers."""
    digits, exponents = np.frexp(values)
    lowest = int(exponents.min(initial=0))
    digits *= 2.0**53
    high = np.floor(digits * 2.0**-HALF)
    total = Fraction(0)
    for half, shift in ((high, HALF), (digits - high * 2.0**HALF, 0)):
        sums = np.bincount(exponents - lowest, weights=half)
        for at in np.flatnonzero(sums).tolist():
            total += int(sums[at]) * Fraction(2) ** (at + lowest - 53 + shift)
    return total

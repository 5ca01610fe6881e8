"""The one rule for weights: whole ones count copies, others are as exact as values."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..checks import SUM_BITS
from ..threads import quiet
from .quanta import NARROW, Integers, choose_quanta, depth, join, log2, spacing

Array = NDArray[Any]
Units = tuple[float, ...]

UNWEIGHTED: Units = (1.0,)  # and so are whole weights, which count copies
# Whole weights count copies of their points where they add up to less.
MOST_COPIES = 2**53
# The largest weight is at least so much: what adds up to it keeps its digits above 2**-1022.
LEAST_WEIGHT = 2.0**-900


class Summary(NamedTuple):
    """What the rule goes by."""

    n: int
    all_whole: bool
    total: float | int  # exact where all are whole
    largest: float
    least: float  # that is not zero; infinity: all are

    @property
    def are_copies(self) -> bool:
        """Whether weights count copies."""
        return self.all_whole and self.total < MOST_COPIES

    @property
    def units(self) -> Units:
        """The quanta in which the weights of points add up."""
        if self.are_copies:
            return UNWEIGHTED
        below = depth(self.largest, spacing(self.least))
        return choose_quanta(self.largest, self.n, below, NARROW)


def summarize(weights: Array) -> Summary:
    """Return what the rule for some weights goes by: finite, not negative, of any real type."""
    all_whole = weights.dtype.kind != "f" or bool(np.array_equal(weights, np.rint(weights)))
    with quiet():
        total: float | int = float(weights.sum(dtype=np.float64))
    if all_whole and total < 2**60:
        total = int(weights.sum(dtype=np.int64))
    largest = weights.max()
    least = float(np.min(weights, where=weights > 0, initial=largest))
    return Summary(weights.size, all_whole, total, float(largest), least or math.inf)


def merge(answers: list[Summary]) -> Summary:
    """Return the summary of all weights."""
    n, whole, totals, largest, least = zip(*answers, strict=True)
    return Summary(sum(n), all(whole), sum(totals), max(largest), min(least))


def check_sizes(largest: float, inertia: float) -> None:
    """Raise where weights up to `largest` lose digits, or where such an inertia overflows."""
    if largest < LEAST_WEIGHT:
        raise ValueError(
            f"sample_weight holds values up to {largest:.3g}, too small to add up; multiply the "
            "weights by a constant"
        )
    if not math.isfinite(inertia):
        raise ValueError(
            f"sample_weight holds values up to {largest:.3g}, with which the inertia overflows; "
            "divide the weights by a constant"
        )


def units_of_pixels(weights: Summary, largest_value: int) -> Units:
    """Return the quanta in which the weights of pixels, times values of up to so much, add up."""
    bits = SUM_BITS - int(largest_value).bit_length()
    if weights.are_copies and weights.total < 2**bits:
        return UNWEIGHTED
    # Of up to four channels, each twice as far as any two colours are apart.
    check_sizes(weights.largest, 16.0 * largest_value**2 * weights.largest * weights.n)
    below = depth(weights.largest, spacing(weights.least))
    return choose_quanta(weights.largest, weights.n, below, bits - log2(weights.n))


def in_limbs(weights: Array, units: Units) -> list[Integers]:
    """Return weights in whole numbers of each of their quanta, which loses nothing."""
    if units == UNWEIGHTED:
        return [weights.astype(np.int64, copy=False)]
    limbs, left = [], weights.astype(np.float64, copy=False)
    for unit in units:
        whole = np.rint(left / unit)
        left = left - whole * unit
        limbs.append(whole.astype(np.int64))
    return limbs


def from_limbs(limbs: Integers, units: Units) -> Array:
    """Return weights that are given in limbs (limbs, m): int64, or float64 rounded once."""
    if units == UNWEIGHTED:
        whole: Integers = limbs[0]
        return whole
    unit = Fraction(units[-1])
    return np.array([float(n * unit) for n in join(limbs.T, units)])

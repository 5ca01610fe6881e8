"""Numbers as whole numbers of quanta, in limbs of int64: so finely that nothing is lost."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels.dense_sums import MOST_UNROLLED

Integers = NDArray[np.int64]

WIDE, NARROW = 62, 51  # bits of a limb; `kernels._quanta.count_quanta` takes no more than 51


def choose_quanta(largest: float, n: int, below: int, widest: int = WIDE) -> tuple[float, ...]:
    """Return the quanta, each for one int64, of `n` values up to `largest`.

    The last is `below` bits under the power of two above `largest`; n times the largest number
    of each fits in 62 bits, and one in `widest`.
    """
    bits, exponent = min(62 - log2(n), widest), math.frexp(largest)[1]
    return tuple(
        math.ldexp(1.0, max(exponent - min(top + bits, below), -1074))
        for top in range(0, max(below, 1), bits)
    )


def depth(largest: float, finest: float) -> int:
    """Return how many bits the power of two `finest` is under the one above `largest`."""
    return math.frexp(largest)[1] - math.frexp(finest)[1] + 1 if largest > 0.0 else 1


def spacing(least: Any, single: bool = False) -> float:
    """Return the power of two of which all floats are whole numbers whose size is at least so."""
    if not 0.0 < least < math.inf:
        return 1.0
    return float(np.spacing(np.float32(least) if single else np.float64(least)))


def bits_below(n: int) -> int:
    """Return how finely `n` squared distances are added: bits below the largest."""
    return min(max(2 * (62 - log2(n)), 64), 2 * NARROW)


def log2(n: int) -> int:
    """Return the logarithm of `n` to base 2, rounded up."""
    return (n - 1).bit_length()


def join(limbs: Integers, units: tuple[float, ...]) -> NDArray[Any]:
    """Return Python integers: the limbs (..., limbs) in numbers of the last unit."""
    parts = limbs.astype(object)
    joined = parts[..., 0]
    for level in range(1, len(units)):
        joined = joined * int(units[level - 1] / units[level]) + parts[..., level]
    return joined


def as_anchors(units: tuple[float, ...]) -> tuple[float, ...] | NDArray[np.float64]:
    """Return what `kernels._quanta.count_quanta` adds to a value to count its quanta."""
    return in_row(tuple(1.5 * 2.0**52 * unit for unit in units))


def in_row(numbers: tuple[float, ...]) -> tuple[float, ...] | NDArray[np.float64]:
    """Return numbers of limbs for a kernel: many as an array, one machine code for all."""
    return numbers if len(numbers) <= MOST_UNROLLED else np.array(numbers)

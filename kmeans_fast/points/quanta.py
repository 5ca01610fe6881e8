"""Numbers as whole numbers of quanta, in limbs of int64: `kmeans_fast.reference` has the rules."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

WIDE, NARROW = 62, 51  # bits of a limb; `kernels._lanes.count_quanta` takes no more than 51


def choose_quanta(largest: float, n: int, below: int, widest: int = WIDE) -> tuple[float, ...]:
    """Return the quanta, each for one int64, of `n` values up to `largest`.

    The last is `below` bits under the power of two above `largest`; n times the largest number
    of each fits in 62 bits, and one in `widest`.
    """
    bits, exponent = min(62 - log2(n), widest), math.frexp(largest)[1]
    return tuple(
        math.ldexp(1.0, max(exponent - min(top + bits, below), -1022))
        for top in range(0, max(below, 1), bits)
    )


def bits_below(n: int, single: bool = False) -> int:
    """Return how finely `n` values are added: bits below the largest (`reference.sum_bits`)."""
    bits = 62 - log2(n)
    return min(max(bits, 32), NARROW) if single else min(max(2 * bits, 64), 2 * NARROW)


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


def as_anchors(units: tuple[float, ...]) -> tuple[float, ...]:
    """Return what `kernels._lanes.count_quanta` adds to a value to count its quanta."""
    return tuple(1.5 * 2.0**52 * unit for unit in units)

"""Quotients of long integers, rounded once: means of sums that are kept in limbs.

A sum is ``limbs @ units``, where the limbs are int64 and the units powers of two; so is a weight.
Their quotient is made with error-free transformations: each sum and product of two float64 also
yields what its rounding lost (Knuth's, which fastmath would undo). A sum becomes
three float64 that add up to it exactly, and the quotient a float64 and a correction, together
within 2**-101 of the truth. Almost always that decides how the truth rounds; where it does not,
the kernel says so, and the caller divides integers.

All loops over a row vectorise: 1.2 ns a quotient at d = 512, 2.2 ns with two limbs (AVX-512).
"""

from __future__ import annotations

import numpy as np

from ._jit import jit
from ._pairs import two_product, two_sum

# How far the quotient with its correction may be off, relative to it. What is dropped, or lost in
# rounding, is of the second order. With u = 2**-53, and at most: c of the sum and c of the weight
# 4 uu each; of what is left after q1, q1 * rest 1 uu, adding b 2 uu, subtracting q1 * rest 3 uu;
# q2 and q2 * rest 3 uu each. That is 20 uu, less than 2**-101; this is 32 times as much.
ERROR = 2.0**-96

LEAST_NORMAL = 2.0**-1022


@jit
def two_floats(limb):
    """Return an int64 as a float64 and what its rounding lost."""
    high = np.float64(limb >> 32) * 4294967296.0
    low = np.float64(limb & 0xFFFFFFFF)
    total = high + low
    return total, low - (total - high)


@jit
def add(a, b, c, x):
    """Add x to the sum ``a + b + c``."""
    a, x = two_sum(a, x)
    b, x = two_sum(b, x)
    return a, b, c + x


@jit
def tidy(a, b, c):
    """Return the same sum with b at most half an ulp of a, and c less than 4 * 2**-106 of a.

    Digits may cancel: where a + b is inexact it is half of b at least, and so far above c; where
    it is exact, it leaves b the place of c.
    """
    b, c = two_sum(b, c)
    a, b = two_sum(a, b)
    b, c = two_sum(b, c)
    a, b = two_sum(a, b)
    return a, b, c


@jit
def join_row(limbs, units, parts):
    """Write the sums ``units @ limbs`` of a row (limbs, d) int64 as three float64 each."""
    a, b, c = parts
    for j in range(limbs.shape[1]):
        a[j], b[j] = two_floats(limbs[0, j])
        c[j] = 0.0
    for level in range(1, units.size):
        ratio = units[level] / units[0]
        for j in range(limbs.shape[1]):
            high, low = two_floats(limbs[level, j])
            x, y, z = add(a[j], b[j], c[j], high * ratio)
            a[j], b[j], c[j] = tidy(*add(x, y, z, low * ratio))


@jit
def join_weight(limbs, units):
    """Return ``limbs @ units`` of (limbs,) int64 as three float64."""
    a, b = two_floats(limbs[0])
    c = 0.0
    for level in range(1, units.size):
        ratio = units[level] / units[0]
        high, low = two_floats(limbs[level])
        a, b, c = add(a, b, c, high * ratio)
        a, b, c = add(a, b, c, low * ratio)
    return tidy(a, b, c)


@jit
def divide(sums, units, weights, weight_units, start, stop, out, doubtful):
    """Divide the rows ``start:stop`` of the sums by their weights; note where to divide again.

    Parameters
    ----------
    sums : ndarray of int64, shape (k, limbs, d)
    units : ndarray of float64, shape (limbs,)
        Powers of two, the first the largest and at most 2**80 times the last; at most 8.
    weights : ndarray of int64, shape (k, weight_limbs)
        Rows whose weight is not positive are left alone.
    weight_units : ndarray of float64, shape (weight_limbs,)
        As `units`; ``units[0] / weight_units[0]`` must be finite.
    start, stop : int
    out : ndarray of float64, shape (k, d)
    doubtful : ndarray of bool, shape (k, d)
        True is written where the quotient may be rounded the wrong way, overflows, or is no
        normal number. What is exact, or half way between two float64, is no doubt unless the
        weight needs more than a float64.
    """
    d = sums.shape[2]
    scale = units[0] / weight_units[0]
    parts = np.empty((3, d))
    for i in range(start, stop):
        weight, weight_rest, last = join_weight(weights[i], weight_units)
        if not weight > 0.0:
            continue
        plain = weight_rest == 0.0 and last == 0.0
        join_row(sums[i], units, (parts[0], parts[1], parts[2]))
        for j in range(d):
            a, b, c = parts[0, j], parts[1, j], parts[2, j]
            q1 = np.divide(a, weight)
            product, lost = two_product(q1, weight)
            left, left_rest = two_sum((a - product) - lost, b)  # of a + b, by the weight alone
            left -= q1 * weight_rest
            q2 = np.divide(left, weight)
            product, lost = two_product(q2, weight)
            left = (left - product) - lost
            exact = plain & (c == 0.0) & (left == 0.0) & (left_rest == 0.0)

            quotient = q1 + q2
            correction = q2 - (quotient - q1)
            error = ERROR * abs(quotient)
            same = (quotient + (correction - error) == quotient) & (
                quotient + (correction + error) == quotient
            )
            scaled = quotient * scale
            normal = (LEAST_NORMAL < abs(scaled)) & (abs(scaled) < np.inf)
            out[i, j] = scaled
            doubtful[i, j] = not ((exact | same) & (normal | (quotient == 0.0)))

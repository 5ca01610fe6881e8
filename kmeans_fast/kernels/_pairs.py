"""Sums and products that lose nothing, as pairs of floats."""

from __future__ import annotations

from fractions import Fraction

from ._jit import intrinsic, jit, jit_inline


@intrinsic
def fused(a, b, c):
    """Return ``a * b + c``, rounded once; all float64."""
    return float(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)))


@jit
def two_sum(x, y):
    """Return x + y rounded, and what that lost; float64."""
    total = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)


@jit_inline
def two_product(x, y):
    """Return x * y rounded, and what that lost; float64."""
    product = x * y
    return product, fused(x, y, -product)

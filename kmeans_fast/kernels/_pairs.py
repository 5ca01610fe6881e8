"""Sums and products that lose nothing, as pairs of floats."""

from __future__ import annotations

from fractions import Fraction

from numba.core import types
from numba.core.extending import intrinsic

from ._jit import JIT_OFF, jit, jit_inline


@intrinsic
def fused(typing_context, a, b, c):
    """Return ``a * b + c``, rounded once; all float64."""

    def codegen(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), codegen


def fused_plainly(a, b, c):
    """Do the same in Python."""
    return float(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)))


if JIT_OFF:
    # Intrinsics cannot be called from Python; to a type checker they are no functions either.
    fused = fused_plainly  # type: ignore[assignment]


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

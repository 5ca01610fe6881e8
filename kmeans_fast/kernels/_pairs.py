"""Sums that lose nothing, as pairs of floats."""

from __future__ import annotations

from ._jit import jit


@jit
def two_sum(x, y):
    """Return x + y rounded, and what that lost."""
    total = x + y
    back = total - x
    return total, (x - (total - back)) + (y - back)

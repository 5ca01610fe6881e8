"""Weights of points: `repeats` (int64) or `weights` (float64), None where all are one."""

from __future__ import annotations

from ._jit import jit_inline


@jit_inline
def has_weight(i, repeats, weights):
    """Say whether point `i` counts: if not, it may lie so far out that no quanta hold it."""
    if weights is not None:
        return weights[i] > 0.0
    return repeats is None or repeats[i] > 0

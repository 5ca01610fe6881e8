"""Numbers as whole numbers of quanta, and the weights that they count with.

Points may have `repeats` (n,) int64, or `weights` (n,) float64; None where all are one.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit_inline


@jit_inline
def has_weight(i, repeats, weights):
    """Say whether point `i` counts: if not, it may lie so far out that no quanta hold it."""
    if weights is not None:
        return weights[i] > 0.0
    return repeats is None or repeats[i] > 0


@jit_inline
def count_quanta(value, anchor):
    """Return a float64, rounded to quanta, as a whole number (int64) of them: at most 2**51.

    The anchor is ``1.5 * 2**52`` quanta (`exact.quanta.as_anchors`). What is added to it is
    rounded to quanta, and the last bits of the sum are their number. In vectors: machines without
    AVX-512 convert float64 to int64 one by one, at half the speed.
    """
    return np.float64(value + anchor).view(np.int64) - np.float64(anchor).view(np.int64)


@jit_inline
def without_quanta(value, anchor):
    """Return what rounding to quanta leaves of a value."""
    return value - ((value + anchor) - anchor)

"""Squared distances of one row to several, in float32 vectors: the same bits on every machine.

LLVM adds floats up in vectors only where it may choose the order, and it chooses by the machine.
Here the order is written down: eight sums side by side, folded in halves. Several rows at once
hide the time that an addition takes, and share the loads and the folding.

A square is added with one rounding, not two (`fma`). IEEE 754 says what that gives, so it is the
same where a machine has to work it out in software; where it has the instruction (all with AVX2
or 64-bit ARM), it makes these loops up to twice as fast.
"""

from __future__ import annotations

import numpy as np

from ._jit import intrinsic, jit_inline

LANES = 8


@intrinsic
def add_square(total, gap):
    """Return ``total + gap * gap``, rounded once; all float32.

    The square is exact in float64. The sum is rounded to odd there, and then once to float32.
    """
    total, square = np.float64(total), np.square(np.float64(gap))
    near = total + square
    high = near - total
    error = (total - (near - high)) + (square - high)
    even = (near.view(np.int64) & 1) == 0
    odd = np.nextafter(near, np.copysign(np.inf, error))
    return np.where(even & (error != 0.0), odd, near).astype(np.float32)[()]


def find_sq_dists(values, center, scale):
    """Return the squared distances of rows to a center, as `fill_row` has them."""
    gaps = values - center if scale is None else (values - center) * scale
    gaps = np.pad(gaps.astype(np.float32), ((0, 0), (0, -values.shape[1] % LANES)))
    total = np.zeros((len(values), LANES), np.float32)
    for first in range(0, gaps.shape[1], LANES):
        total = add_square(total, gaps[:, first : first + LANES])
    while total.shape[1] > 1:
        half = total.shape[1] // 2
        total = total[:, :half] + total[:, half:]
    return total[:, 0]


@intrinsic
def sqrt(x):
    """Return the square root of a float, by the processor: `numpy.sqrt` is a call of the system."""
    return np.sqrt(x)


@intrinsic
def prefetch(values, i, j):
    """Bring the cache line of ``values[i, j]``, or of ``values[i]``, nearer."""


@intrinsic
def fill_row(values, i, table, t, n_rows, scale, out, at):
    """Write to ``out[t + r, at]`` the sums of squares of ``values[i, j] - table[t + r, j]``.

    For r below `n_rows`, which is a literal 4 or 8. A difference is taken in the type of both
    arrays (float32 or float64, in C order), multiplied by `scale` unless that is None, and
    becomes a float32. The table is filled up with zeros to a multiple of LANES features.
    """
    rows = table[t : t + n_rows, : values.shape[1]]
    out[t : t + n_rows, at] = find_sq_dists(rows, values[i], scale)


@jit_inline
def scaled(gap, scale):
    """Return a difference as it is squared. Only of arguments does Numba see that one is None."""
    if scale is not None:
        gap = gap * scale
    return np.float32(gap)

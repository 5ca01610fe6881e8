"""Squared distances of points to several centers, in float32: the same bits on every machine.

Feature after feature, for sixteen points side by side, which lie in columns: LLVM adds floats up in
vectors only where it may choose the order, and it chooses by the machine. Several centers at once
hide the time that an addition takes, and share the loads.

A square is added with one rounding, not two (`fma`). IEEE 754 says what that gives, so it is the
same where a machine has to work it out in software; where it has the instruction (all with AVX2
or 64-bit ARM), it makes these loops up to twice as fast.
"""

from __future__ import annotations

import numpy as np

from ._jit import intrinsic, jit_inline

LANES = 16
TURNED = 8  # points, and features, that are turned at a time in registers


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


def add_sq_dists(total, values, center, scale):
    """Return sums to which the squared distances of points (n, d) to a center are added."""
    gaps = values - center if scale is None else (values - center) * scale
    for gap in gaps.T.astype(np.float32):
        total = add_square(total, gap)
    return total


@intrinsic
def sqrt(x):
    """Return the square root of a float, by the processor: `numpy.sqrt` is a call of the system."""
    return np.sqrt(x)


@intrinsic
def prefetch(values, i, j):
    """Bring the cache line of ``values[i, j]``, or of ``values[i]``, nearer."""


@intrinsic
def turn_points(
    values, chosen, first, last, begin, end, middle, scale, block, at, width, norms, to
):  # fmt: skip
    """Write features ``begin:end`` (eight at least) of eight points, feature by feature.

    Feature j of point ``chosen[first + r]`` (of ``chosen[last]`` beyond that), less `middle` and
    times `scale` unless that is None, goes to ``block[at + (j - begin) * width + r]``; the squared
    norms of what is written to ``norms[to:to + 8]``, unless `middle` is None.

    `values` (n, d), `middle` (d,) and `scale` in one type; `block` of that type or float32.
    """
    some = values[chosen[np.minimum(np.arange(first, first + TURNED), last)], begin:end]
    if middle is not None:
        some = (some - middle[begin:end]) * scale
    for j, column in enumerate(some.T.astype(block.dtype)):
        block[at + j * width :][:TURNED] = column
    if middle is not None:
        norms[to : to + TURNED] = np.square(some.astype(block.dtype)).sum(axis=1)


@intrinsic
def add_tile(columns, first, last, table, t, n_rows, scale, out, at):
    """Add to ``out[t + r, at + i]`` the squared distances of `LANES` points to some centers.

    Over features ``first:last``; from the first feature on, what was there is forgotten. Feature j
    of point i is ``columns[(j - first) * LANES + i]``, of center r ``table[t + r, j]``, for r below
    `n_rows`, which is a literal. A difference is taken in the type of both arrays, multiplied by
    `scale` unless that is None, and becomes a float32; its square is added with one rounding,
    feature after feature.
    """
    points = columns.reshape(-1, LANES)[: last - first].T
    for row in range(t, t + n_rows):
        found = out[row, at : at + LANES]
        before = found if first > 0 else np.zeros_like(found)
        found[:] = add_sq_dists(before, points, table[row, first:last], scale)


@jit_inline
def scaled(gap, scale):
    """Return a difference as it is squared. Only of arguments does Numba see that one is None."""
    if scale is not None:
        gap = gap * scale
    return np.float32(gap)

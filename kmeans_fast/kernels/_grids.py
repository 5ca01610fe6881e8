"""The grids that cells of a tree are cut by: which slot a point falls into.

Every kernel of a tree takes `axes`, a tuple of the feature numbers. Its length is known when
Numba compiles, so that loops over the features unroll; where vectors are made they are written
out, and points are tuples of four numbers of which the first so many count.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit, jit_inline

BLOCK = 512  # points of the data worked on at once


@jit_inline
def place(x, low, factor, last):
    """Return the place of a value along one axis of a grid; the ends hold what lies beyond.

    In the points' own type: any rounding does, as long as it is the same each time. A float too:
    Numba makes 64 bits of integers of 32.
    """
    zero = last - last
    at = (x - low) * factor
    at = at if at < last else last
    return np.floor(at if at > zero else zero)


@jit_inline
def read_frame(axes, frame):
    """Return the rows of a frame (`tree.Grids`) as tuples of four."""
    one, two, three = 1 % len(axes), 2 % len(axes), 3 % len(axes)
    low, factor, last, step = frame[0], frame[1], frame[2], frame[3]
    return (
        (low[0], low[one], low[two], low[three]),
        (factor[0], factor[one], factor[two], factor[three]),
        (last[0], last[one], last[two], last[three]),
        (step[0], step[one], step[two], step[three]),
    )


@jit_inline
def find_slot(axes, x, low, factor, last, step):
    """Return the slot (int32) of a point."""
    slot = place(x[0], low[0], factor[0], last[0])
    if len(axes) > 1:
        slot += place(x[1], low[1], factor[1], last[1]) * step[1]
    if len(axes) > 2:
        slot += place(x[2], low[2], factor[2], last[2]) * step[2]
    if len(axes) > 3:
        slot += place(x[3], low[3], factor[3], last[3]) * step[3]
    return np.int32(slot)


@jit
def code_rows(axes, flat, start, size, frame, out):
    """Write the slots of `size` points of the data.

    `flat` (n * d,) float32 or float64 has row after row, `frame` (4, d) is of its type, and `out`
    int32.
    """
    d = np.uint64(len(axes))
    one, two, three = np.uint64(1) % d, np.uint64(2) % d, np.uint64(3) % d
    low, factor, last, step = read_frame(axes, frame)
    base = np.uint64(start) * d
    for h in range(np.uint64(size)):
        at = base + h * d
        x = flat[at], flat[at + one], flat[at + two], flat[at + three]
        out[h] = find_slot(axes, x, low, factor, last, step)

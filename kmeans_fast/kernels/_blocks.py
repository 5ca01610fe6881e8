"""Blocks of colours and the parts they make, in vectors; and numbers that threads share.

What these do is written in NumPy here, and in LLVM's code in `_llvm_blocks`: of loops over as few
lanes as these LLVM makes vectors in one place, and single steps in another: seeding as a whole was
1.5 times slower (708,000 colours, K = 256). All is in integers, so there is no order to keep. The
arguments are those of `seeds`; ``centers[row]`` is the centre that is meant.
"""

from __future__ import annotations

from _thread import allocate_lock

import numpy as np

from ._jit import intrinsic

BLOCK = 32  # colours
FAN = 16  # parts that make one of the next size

_lock = allocate_lock()


def _sq_dists(colors, first, centers, row):
    some = colors[:, first : first + BLOCK].astype(centers.dtype)
    return np.square(some - centers[row, :, None]).sum(axis=0, dtype=centers.dtype)


@intrinsic
def find_near(axes, boxes, far, first, centers, row):
    """Return which of the sixteen parts from `first` on a centre comes near, as bits."""
    some = boxes[:, first : first + FAN].astype(far.dtype)
    center = centers[row, :, None]
    gaps = np.maximum(np.maximum(some[::2] - center, center - some[1::2]), 0)
    near = np.square(gaps).sum(axis=0) < far[first : first + FAN]
    return int((near << np.arange(FAN)).sum())


@intrinsic
def find_gain(axes, colors, weights, closest, first, centers, row):
    """Return by how much a centre would lower the potential of the block that begins at `first`."""
    here = slice(first, first + BLOCK)
    less = np.maximum(closest[here] - _sq_dists(colors, first, centers, row), 0)
    return int((weights[here] * less.astype(np.int64)).sum())


@intrinsic
def find_small_gain(axes, colors, weights, closest, first, centers, row):
    """Return the same where the potential is below 2**31, in numbers of 32 bits.

    Where a distance shrinks at all, the colour's weight is below the potential.
    """
    return find_gain(axes, colors, weights, closest, first, centers, row)


@intrinsic
def lower_block(axes, colors, weights, closest, first, centers, row):
    """Lower `closest` to a centre; return the greatest, and the sum by weight."""
    here = slice(first, first + BLOCK)
    closest[here] = np.minimum(closest[here], _sq_dists(colors, first, centers, row))
    return int(closest[here].max()), int((weights[here] * closest[here].astype(np.int64)).sum())


@intrinsic
def find_box(axes, colors, first, boxes, part):
    """Write the box of the block that begins at `first`."""
    some = colors[:, first : first + BLOCK]
    boxes[::2, part] = some.min(axis=1)
    boxes[1::2, part] = some.max(axis=1)


@intrinsic
def add_parts(far, potential, first):
    """Return the greatest `far` of sixteen parts, and the sum of their `potential`."""
    here = slice(first, first + FAN)
    return int(far[here].max()), int(potential[here].sum())


@intrinsic
def lowest_bit(mask):
    """Return the number of the lowest bit that is set in an int64, which is not zero."""
    return (int(mask) & -int(mask)).bit_length() - 1


# What a thread wrote before it stored or swapped, another one sees after it loaded or swapped.


@intrinsic
def load_shared(numbers, i):
    """Return ``numbers[i]``, int64, as the last thread left it."""
    return numbers[i]


@intrinsic
def store_shared(numbers, i, value):
    """Set ``numbers[i]``."""
    with _lock:
        numbers[i] = value


@intrinsic
def swap_shared(numbers, i, before, after):
    """Set ``numbers[i]`` if it is as before, in one step, and tell whether it was."""
    with _lock:
        same = bool(numbers[i] == before)
        if same:
            numbers[i] = after
    return same

"""Which of many numbers are not zero, as the bits of one: LLVM finds no such loop by itself."""

from __future__ import annotations

import numpy as np

from ._jit import intrinsic

BITS = 64


@intrinsic
def find_flags(flags):
    """Return which of the first BITS int32 are not zero, the first in the lowest bit: uint64."""
    return np.uint64(sum(1 << i for i in np.flatnonzero(flags[:BITS]).tolist()))


@intrinsic
def lowest_bit(bits):
    """Return the place of the lowest bit of a uint64 that is set; one is."""
    return (int(bits) & -int(bits)).bit_length() - 1

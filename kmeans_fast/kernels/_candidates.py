"""The nearest of some colours, eight compared at once.

LLVM makes no vectors of a loop over eight. With these ordered dithering takes 0.45 of the time, and
error diffusion, which waits for each pixel before the next, 0.6 to 0.9.
"""

from __future__ import annotations

import numpy as np

from ._jit import intrinsic

LANES = 8
RED, GREEN = 2, 4  # what squares count, blue once
NUMBER_BITS = 8  # of a colour


@intrinsic
def find_nearest(lists, first, last, red, green, blue):
    """Return the number of the colour that is nearest to a value; of several, the least.

    Of those in ``lists[first:last]``, int16 (m, 4, LANES): red, green, blue and number of each.
    Distances must be below 2^23.
    """
    some = lists[int(first) : int(last)].astype(np.int64)
    r, g, b = (value - some[:, channel] for channel, value in enumerate((red, green, blue)))
    sq_dists = RED * r * r + GREEN * g * g + b * b
    return np.min((sq_dists << NUMBER_BITS) | some[:, 3]) & ((1 << NUMBER_BITS) - 1)

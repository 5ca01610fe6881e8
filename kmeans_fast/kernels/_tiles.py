"""The scores of a tile of points, in registers.

A tile is `WIDTH` points, feature by feature: ``block[at + j * WIDTH + i]`` is feature j of point
i, and ``at`` is 64 bytes aligned. A score is half the squared norm of a centroid less its product
with the point. `ROWS` centroids at a time keep eight sums in registers, all that a processor with
two multipliers needs to be busy: 93 GFLOP/s a core at 3.2 GHz (AVX2), where OpenBLAS makes 78 and
plain loops, whose sums go through memory, make 40 to 60. LLVM is told to use vectors, for it makes
none of a loop over centroids within one over features.

Products and sums are fused and rounded as the machine likes: scores only say who may be nearest.
"""

from __future__ import annotations

import numpy as np

from ._jit import intrinsic
from ._target import has_wide_vectors

WIDTH = 32 if has_wide_vectors() else 16
ROWS = 4
# Between what is kept of a block of points, a number each: 64 bytes aligned, but no multiple of
# 4 kB, where loads wait for stores that they do not depend on.
ROW = 528
# The features added up at a time: a score then errs by that and the number of such sums times
# the rounding of one, not by the number of features.
TERMS = 64


def _scores(block, at, d, centers, half_norms, indices):
    tile = block[at : at + d * WIDTH].reshape(d, WIDTH)
    return half_norms[indices, None] - centers[indices] @ tile


@intrinsic
def scan_tile(block, at, d, centers, half_norms, candidates, first, last, rows, to):
    """Bring the least score of each point, the next, and the centroid of the least up to date.

    Looks at ``candidates[first:last]``, in fours. What was found so far is in ``rows[to:]``, from
    `ROW` on, and from ``2 * ROW`` on (the centroid, as a float).
    """
    least, others, nearest = (rows[row * ROW + to :][:WIDTH] for row in range(3))
    some = candidates[first:last]
    for k, score in zip(some, _scores(block, at, d, centers, half_norms, some), strict=True):
        lower = score < least
        others[:] = np.minimum(others, np.maximum(score, least))
        nearest[:] = np.where(lower, k, nearest)
        least[:] = np.where(lower, score, least)


@intrinsic
def score_tile(block, at, d, centers, half_norms, k, out, to):
    """Write the scores of centroids ``k:k + 4``, each a tile: ``out[to + row * WIDTH + i]``.

    `out` may have rows: of them as one.
    """
    scores = _scores(block, at, d, centers, half_norms, np.arange(k, k + ROWS))
    out.reshape(-1)[to : to + ROWS * WIDTH] = scores.reshape(-1)

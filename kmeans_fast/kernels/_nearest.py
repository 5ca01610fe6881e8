"""The nearest centroids of a block of points, and how far they and the others are.

A float32 pass, as fast as the machine multiplies, finds the nearest centroid and how much nearer
it is than the next (`scan_block`). Where that is less than rounding could have made it, the point
is decided again in the reference's own arithmetic (`find_exactly`, `fill_exactly`), so every
label is the reference's.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit
from ._rows import TURNED, sqrt, turn_points
from ._tiles import ROW, ROWS, WIDTH, scan_tile

# So many centroids at a time are compared with all tiles of a block that their features stay in
# the first-level cache.
PANEL = 4096
# What is kept of a block, each `ROW` numbers; in one array, so that LLVM knows them apart.
LEAST, OTHERS = np.uint64(0), np.uint64(ROW)
NEAREST, SQ_NORM = np.uint64(2 * ROW), np.uint64(3 * ROW)
HALF_NORM, SURE = np.uint64(4 * ROW), np.uint64(5 * ROW)
LOWER, UPPER = np.uint64(6 * ROW), np.uint64(7 * ROW)
N_ROWS = 8
LOOSE, TIGHT = np.float32(1.0 + 1e-6), np.float32(1.0 - 1e-6)  # for rounding


@jit
def fill_block(points, chosen, block, rows):
    """Write the chosen points into the tiles of a block, shifted and scaled; and their norms.

    `chosen` int64; `block` and `rows` as in `dense.Scratch`.
    """
    values, middle, scale = points.values, points.middle, points.scale
    d = np.int64(values.shape[1])
    n = chosen.size
    if d >= TURNED:
        for first in range(0, n, TURNED):
            at = (first - first % WIDTH) * d + first % WIDTH
            turn_points(
                values, chosen, first, n - 1, 0, d, middle, scale, block, at, WIDTH,
                rows, np.int64(SQ_NORM) + first,
            )  # fmt: skip
        return
    for i in range(np.uint64(n)):
        at = (i - i % np.uint64(WIDTH)) * np.uint64(d) + i % np.uint64(WIDTH)
        norm = np.float32(0.0)
        for j in range(np.uint64(d)):
            x = np.float32((values[chosen[i], j] - middle[j]) * scale)
            norm += x * x
            block[at + j * np.uint64(WIDTH)] = x
        rows[SQ_NORM + i] = norm


@jit
def scan_block(n, centers, half_norms, candidates, block, rows):
    """Write the least score of each of the first `n` points of the block, the next, and whose.

    A score is half the squared distance, less what all centroids share. `candidates` are
    centroids, in fours.

    `centers` and `half_norms` as in `dense.Centroids`, `block` and `rows` as in `dense.Scratch`;
    `candidates` (m,) int32, m a multiple of ROWS.
    """
    d = centers.shape[1]
    size = np.uint64((n + WIDTH - 1) // WIDTH * WIDTH)
    rows[LEAST : LEAST + size] = np.inf
    rows[OTHERS : OTHERS + size] = np.inf
    rows[NEAREST : NEAREST + size] = 0.0  # a centroid even where all scores are NaN
    panel = max(ROWS, PANEL // d // ROWS * ROWS)
    for first in range(0, candidates.size, panel):
        last = min(first + panel, candidates.size)
        for at in range(0, n, WIDTH):
            scan_tile(
                block, at * d, d, centers, half_norms, candidates, first, last, rows, at
            )  # fmt: skip


@jit
def fill_exactly(values, i, by_feature, sq_dists):
    """Write the squared distances of point `i` to all centroids, as the reference finds them.

    Feature after feature in float64, vectorised across the centroids.

    `values` (n, d) float32 or float64, `by_feature` (d, k) and `sq_dists` (k,) float64.
    """
    sq_dists[:] = 0.0
    for j in range(np.uint64(by_feature.shape[0])):
        value = np.float64(values[i, j])
        for k in range(np.uint64(sq_dists.size)):
            t = value - by_feature[j, k]
            sq_dists[k] += t * t


@jit
def find_exactly(values, i, exact, candidates):
    """Return the first nearest of the candidates, as the reference finds it.

    `values` (n, d) float32 or float64, `exact` (k, d) float64, `candidates` int32.
    """
    nearest, least = 0, np.inf
    for k in candidates:
        if k < exact.shape[0]:  # not the dummy
            total = 0.0
            for j in range(np.uint64(values.shape[1])):
                t = np.float64(values[i, j]) - exact[k, j]
                total += t * t
            if total < least:
                nearest, least = k, total
    return nearest


@jit
def find_first_least(sq_dists):
    """Return the index of the least of `sq_dists` (k,) float64, the first on a tie."""
    nearest = 0
    for k in range(1, sq_dists.size):
        if sq_dists[k] < sq_dists[nearest]:
            nearest = k
    return nearest


@jit
def label_block(points, chosen, candidates, centroids, bounds, scratch):
    """Find the nearest of the candidates to each chosen point, and bounds of the distances.

    The candidates come in fours and hold the true nearest. `scratch.found` gets the nearest,
    `bounds` how far it and the others are. A point in doubt is decided by the reference's
    arithmetic.

    `points` is `dense.Framed`; `chosen` (m,) int64, `candidates` int32.
    """
    found, half_norms, rows = scratch.found, centroids.half_norms, scratch.rows
    upper, lower = bounds.upper, bounds.lower
    margin, tiny, kept, grown = centroids.margin, centroids.tiny, centroids.kept, centroids.grown
    zero, one, two, three = np.float32(0), np.float32(1), np.float32(2), np.float32(3)
    n = np.uint64(chosen.size)
    fill_block(points, chosen, scratch.block, rows)
    scan_block(chosen.size, centroids.shifted, half_norms, candidates, scratch.block, rows)
    for at in range(n):
        rows[HALF_NORM + at] = half_norms[np.int64(rows[NEAREST + at])]
    for at in range(n):
        score, other, sq_norm = rows[LEAST + at], rows[OTHERS + at], rows[SQ_NORM + at]
        error = margin * (two * sq_norm + three * rows[HALF_NORM + at]) + tiny
        sure = other - score > error
        # In doubt the other may be the nearest, and is about as far.
        beyond = sq_norm * kept + two * ((other if sure else score) - tiny)
        within = sq_norm * grown + two * (score + error)
        rows[SURE + at] = one if sure else zero
        rows[LOWER + at] = sqrt(beyond if beyond > zero else zero)
        rows[UPPER + at] = sqrt(within if within > zero else zero) * LOOSE
    n_sure = zero
    for at in range(n):
        i, sure = chosen[at], rows[SURE + at]
        lower[i] = rows[LOWER + at]
        upper[i] = rows[UPPER + at]
        found[at] = np.int32(rows[NEAREST + at]) if sure > zero else -1
        n_sure += sure
    if n_sure < np.float32(chosen.size):
        for at in range(n):
            if found[at] < 0 and 8 * candidates.size < centroids.exact.shape[0]:
                found[at] = find_exactly(points.values, chosen[at], centroids.exact, candidates)
            elif found[at] < 0:
                fill_exactly(points.values, chosen[at], centroids.by_feature, scratch.sq_dists)
                found[at] = find_first_least(scratch.sq_dists)

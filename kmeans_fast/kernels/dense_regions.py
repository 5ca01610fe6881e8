"""Regions of dense points, each about one of them: what says where a new center is too far.

A center that is farther from the middle of a region than the radius of a point there and the
distance to the nearest center so far does not lower the latter. That is the triangle inequality,
loosened for rounding, so that it decides nothing but how much work is done (`dense_seeds`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit, jit_inline
from ._nearest import NEAREST, fill_block, scan_block
from ._rows import add_square, scaled, sqrt
from ._tiles import ROWS


class Regions(NamedTuple):
    """Where the points lie. Without any regions, nothing is skipped."""

    labels: Any  # (n,) uint16
    radii: Any  # (n,) float32
    middles: Any  # (d, regions) in the points' type


class Pivots(NamedTuple):
    """Points that stand for others, as `_nearest.scan_block` wants them; the last are dummies."""

    shifted: Any  # (m + ROWS, d) float32
    half_norms: Any  # (m + ROWS,) float32


@jit
def label_regions(points, start, stop, heads, pivots, firsts, block, rows, labels):
    """Label points with the nearest of the pivots that have the same nearest head, or nearly so.

    The pivots of a head lie side by side, and the points that have it are looked at together.

    `points` is `dense.Framed`, `heads` and `pivots` are `Pivots`; `firsts` (heads + 1,) int64,
    `block` and `rows` as in `dense.Scratch`, `labels` (n,) uint16, whose owners it holds meanwhile.
    """
    d = points.values.shape[1]
    n_heads = firsts.size - 1
    size = np.int64(block.size // d)
    chosen = np.empty(max(size, stop - start), np.int64)
    candidates = np.empty(heads.half_norms.size + pivots.half_norms.size, np.int32)
    ends = np.zeros(n_heads + 1, np.int64)
    for first in range(start, stop, size):
        n = min(size, stop - first)
        for at in range(n):
            chosen[at] = first + at
        fill_block(points, chosen[:n], block, rows)
        m = list_pivots(0, n_heads, n_heads, candidates)
        scan_block(n, heads.shifted, heads.half_norms, candidates[:m], block, rows)
        for at in range(n):
            owner = np.uint16(rows[NEAREST + np.uint64(at)])
            labels[first + at] = owner
            ends[owner + 1] += 1
    for head in range(n_heads):
        ends[head + 1] += ends[head]
    for i in range(start, stop):
        owner = labels[i]
        chosen[ends[owner]] = i
        ends[owner] += 1
    for head in range(n_heads):
        m = list_pivots(firsts[head], firsts[head + 1], firsts[n_heads], candidates)
        last = ends[head]
        for first in range(ends[head - 1] if head > 0 else 0, last, size):
            some = chosen[first : min(first + size, last)]
            fill_block(points, some, block, rows)
            scan_block(some.size, pivots.shifted, pivots.half_norms, candidates[:m], block, rows)
            for at in range(some.size):
                labels[some[at]] = np.uint16(rows[NEAREST + np.uint64(at)])


@jit_inline
def list_pivots(first, last, dummy, candidates):
    """List some pivots, filled up with dummies to a multiple of `ROWS`; return how many."""
    m = 0
    for pivot in range(first, last):
        candidates[m] = pivot
        m += 1
    while m % ROWS > 0:
        candidates[m] = dummy
        m += 1
    return m


@jit
def find_middles(values, step, labels, middles):
    """Write the means of the regions (d, regions), or nearly so; those of no points stay.

    Of every so many-th point.
    """
    d, n_regions = middles.shape
    sums, counts = np.zeros((n_regions, d)), np.zeros(n_regions)
    for p in range(0, labels.size, step):
        counts[labels[p]] += 1.0
        for j in range(d):
            sums[labels[p], j] += values[p, j]
    for region in range(n_regions):
        if counts[region] > 0:
            for j in range(d):
                middles[j, region] = sums[region, j] / counts[region]


@jit
def measure_radii(values, scale, start, stop, middles, labels, radii):
    """Write the distance of each point to the middle of its region.

    `values` (n, d), `middles` (d, regions), `labels` (n,) uint16, `radii` (n,) float32.
    """
    rows = np.ascontiguousarray(middles.T)
    for p in range(start, stop):
        total = np.float32(0)
        for j in range(values.shape[1]):
            total = add_square(total, scaled(values[p, j] - rows[labels[p], j], scale))
        radii[p] = sqrt(total)


@jit
def measure_reach(middles, scale, centers, tight, distances):
    """Write how far each of the centers (n, d) is from the middles at the least: (n, regions).

    In the last row of `distances`, the least of all.

    `middles` (d, regions) in the type of the centers; `distances` (n + 1, regions) float32.
    """
    n, d = centers.shape
    for t in range(np.uint64(n)):
        distances[t] = np.float32(0)
    for j in range(np.uint64(d)):
        for t in range(np.uint64(n)):
            c = centers[t, j]
            for i in range(np.uint64(middles.shape[1])):
                distances[t, i] = add_square(distances[t, i], scaled(middles[j, i] - c, scale))
    distances[n] = np.float32(np.inf)
    for t in range(np.uint64(n)):
        for i in range(np.uint64(middles.shape[1])):
            distances[t, i] = sqrt(distances[t, i]) * tight
            distances[n, i] = min(distances[n, i], distances[t, i])

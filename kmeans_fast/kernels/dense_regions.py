"""Regions of dense points, each about one of them: what says where a new center is too far.

A center that is farther from the middle of a region than the radius of a point there and the
distance to the nearest center so far does not lower the latter. That is the triangle inequality,
loosened for rounding, so that it decides nothing but how much work is done (`dense_seeds`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit, jit_contracted
from ._rows import add_square, scaled, sqrt


class Regions(NamedTuple):
    """Where the points lie. Without any regions, nothing is skipped."""

    labels: Any  # (n,) uint16
    radii: Any  # (n,) float32
    middles: Any  # (d, regions) in the points' type


@jit_contracted
def find_column(values, p, columns, first, last, sq_dists):
    """Return which of `columns` (d, m) is nearest to point `p` of `values` (n, d), or nearly so."""
    n = np.uint64(last - first)
    for t in range(n):
        sq_dists[t] = 0
    for j in range(np.uint64(values.shape[1])):
        x = values[p, j]
        for t in range(n):
            gap = x - columns[j, np.uint64(first) + t]
            sq_dists[t] += gap * gap
    least = sq_dists[0]
    for t in range(n):
        least = min(least, sq_dists[t])
    for t in range(n):
        if sq_dists[t] == least:
            return first + np.int64(t)
    return first


@jit
def label_regions(values, start, stop, heads, pivots, firsts, labels):
    """Label points with the nearest of the pivots that have the same nearest head.

    Heads and pivots are columns, and the pivots of a head lie side by side.

    `values` (n, d), `heads` (d, heads), `pivots` (d, regions) in one type; `firsts` (heads + 1,)
    int64; `labels` (n,) uint16.
    """
    scratch = np.empty(max(heads.shape[1], pivots.shape[1]), values.dtype)
    for p in range(start, stop):
        head = find_column(values, p, heads, np.int64(0), heads.shape[1], scratch)
        labels[p] = find_column(values, p, pivots, firsts[head], firsts[head + 1], scratch)


@jit
def find_middles(values, labels, middles):
    """Write the means of the regions (d, regions), or nearly so; those of no points stay."""
    d, n_regions = middles.shape
    sums, counts = np.zeros((n_regions, d)), np.zeros(n_regions)
    for p in range(labels.size):
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

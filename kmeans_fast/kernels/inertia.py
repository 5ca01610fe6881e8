"""Sums of squared distances that lose nothing: from exact moments, or from differences.

The squared distances of the points x of a cluster to a centroid c sum up to

    sum (x - m)**2 - 2 (c - m) sum (x - m) + n (c - m)**2

for any m. The first sum does not depend on the clusters, and the second is known exactly where
sums are whole numbers of quanta. So an iteration need not look at the points to know its inertia.
What cancels is worked out in pairs of float64 (Dekker, "A floating-point technique for extending
the available precision", Numer. Math. 18, 1971), with twice the digits.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit
from ._lanes import find_sq_dist
from ._pairs import two_product, two_sum
from ._quanta import count_quanta, has_weight, without_quanta

FLAT = 512  # values worked on at a time, so that vectors are made for few features as well
# Squares up to 1 are whole numbers of two quanta, so many of which fit an int64 together. The limbs
# are the halves of their sums.
QUANTA = 2.0**-50, 2.0**-99
MOST_ADDED = 1 << 12
HALVES = (2.0**-18, 2.0**-50, 2.0**-67, 2.0**-99)
COARSE, FINE = (1.5 * 2.0**52 * unit for unit in QUANTA)


@jit
def add_moments(flat, start, stop, middle, scale, exact, squares):
    """Add up the squares of the points' scaled distances to the middle, in limbs of `HALVES`.

    Whole numbers of two quanta, a block at a time: then each sum is cut in two halves. `exact` is 1
    where no difference loses anything in float64, else 0.

    `flat` (n * d,) are the points, of any numbers; `middle` (d,) float64, `squares` (4,) int64.
    """
    d = np.uint64(middle.size)
    n_block = max(FLAT // np.int64(d), 1)
    size = np.uint64(n_block) * d
    middles = np.empty(size)
    for f in range(size):
        middles[f] = middle[f % d] * scale
    for block in range(start, stop, n_block):
        n = np.uint64(min(block + n_block, stop) - block) * d
        first = np.uint64(block) * d
        for begin in range(np.uint64(0), n, np.uint64(MOST_ADDED)):
            end = min(begin + np.uint64(MOST_ADDED), n)
            coarse = fine = np.int64(0)
            if exact > 0:
                for f in range(begin, end):
                    offset = np.float64(flat[first + f]) * scale - middles[f]
                    square, lost = two_product(offset, offset)
                    coarse += count_quanta(square, COARSE)
                    fine += count_quanta(without_quanta(square, COARSE) + lost, FINE)
            else:
                for f in range(begin, end):
                    offset, missing = two_sum(np.float64(flat[first + f]) * scale, -middles[f])
                    square, lost = two_product(offset, offset)
                    lost += 2.0 * offset * missing
                    coarse += count_quanta(square, COARSE)
                    fine += count_quanta(without_quanta(square, COARSE) + lost, FINE)
            squares[0] += coarse >> 32
            squares[1] += coarse & 0xFFFFFFFF
            squares[2] += fine >> 32
            squares[3] += fine & 0xFFFFFFFF


@jit
def add_repeated_moments(flat, start, stop, repeats, middle, scale, anchors, squares):
    """Do the same for points that count as repeated (n,) int64, in limbs of any quanta.

    `squares`, int64, has as many limbs as there are `anchors`.
    """
    d = np.uint64(middle.size)
    n_block = max(FLAT // np.int64(d), 1)
    size = np.uint64(n_block) * d
    middles = np.empty(size)
    times = np.empty(size, np.int64)
    rest = np.empty(size)
    error = np.empty(size)
    for f in range(size):
        middles[f] = middle[f % d] * scale
    for first in range(start, stop, n_block):
        n = np.uint64(min(first + n_block, stop) - first) * d
        at = np.uint64(first) * d
        for f in range(n):
            times[f] = repeats[np.uint64(first) + f // d]
            value = np.float64(flat[at + f])
            offset, missing = two_sum(value * scale, -middles[f])
            rest[f], lost = two_product(offset, offset)
            error[f] = lost + 2.0 * offset * missing
        for level in range(len(anchors)):
            anchor = anchors[level]
            total = np.int64(0)
            for f in range(n):
                square = rest[f]
                if level == 1:
                    square += error[f]
                total += times[f] * count_quanta(square, anchor)
                rest[f] = without_quanta(square, anchor)
            squares[level] += total


@jit
def add_cross_terms(centroids, middle, scale, counts, sums, units, high, low):
    """Add ``n (c - m)**2 - 2 (c - m) sum (x - m)`` of each cluster and feature, scaled.

    `sums` (k, limbs, d) are in numbers of the `units`. `high` and `low` (d,) get the totals of
    each feature, in two parts.

    `centroids` (k, d), `middle` (d,) float64; `counts` (k,) int64.
    """
    k, d = centroids.shape
    for cluster in range(k):
        if counts[cluster] == 0:
            continue
        n = np.float64(counts[cluster])
        for j in range(np.uint64(d)):
            gap, gap_low = two_sum(centroids[cluster, j], -middle[j])
            total, total_low = two_product(n, -middle[j])
            for level in range(len(units)):
                whole = sums[cluster, level, j]
                upper = (whole >> 32) << 32
                part = np.float64(upper) * units[level]
                total, lost = two_sum(total, part)
                total_low += lost
                part = np.float64(whole - upper) * units[level]
                total, lost = two_sum(total, part)
                total_low += lost
            total, total_low = two_sum(total, total_low)
            # n gap - 2 total, then times the gap
            twice, lost = two_product(n, gap)
            value, value_low = two_sum(twice, -2.0 * total)
            value_low += lost + n * gap_low - 2.0 * total_low
            value *= scale
            value_low *= scale
            gap *= scale
            gap_low *= scale
            product, lost = two_product(value, gap)
            product_low = lost + value * gap_low + value_low * gap
            high[j], lost = two_sum(high[j], product)
            low[j] += lost + product_low


@jit
def find_largest(values, start, stop, centroids, labels, repeats, weights):
    """Return the largest squared distance of a point to the centroid of its label, by weight.

    `values` (n, d) float32 or float64, `centroids` (k, d) float64, `labels` (n,) integers.
    """
    largest = 0.0
    for i in range(start, stop):
        if has_weight(i, repeats, weights):
            sq_dist = find_sq_dist(values, i, centroids, labels[i])
            largest = max(largest, sq_dist if weights is None else weights[i] * sq_dist)
    return largest


@jit
def add_sq_dists(values, start, stop, centroids, labels, repeats, weights, anchors, limbs):
    """Add the squared distances of points to the centroids of their labels, in limbs.

    Arrays as in `find_largest`; `anchors` (limbs,) float64, `limbs` (limbs,) int64.
    """
    for i in range(start, stop):
        if not has_weight(i, repeats, weights):
            continue
        value = find_sq_dist(values, i, centroids, labels[i])
        times = np.int64(1)
        if weights is not None:
            value *= weights[i]
        elif repeats is not None:
            times = repeats[i]
        for level in range(len(anchors)):
            limbs[level] += times * count_quanta(value, anchors[level])
            value = without_quanta(value, anchors[level])

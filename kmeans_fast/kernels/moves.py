"""What tells where a centroid is missed and where one can go: for `refining`.

Moments are rows of 15 for any number of channels, four at the most, those that there are not being
zero: the weight, the weighted sums of the channels, and those of their products, 00, 01, 02, 03,
11, 12, 13, 22, 23, 33. `colors` (c, m) are those of `cells`, `weights` int64 (m,) so small that the
sums fit, `labels` int32 (m,), `centroids` float64 (k, c), and `counts` float64 (k,) the weights of
clusters.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit, jit_inline
from ._rows import sqrt

MOMENTS = 15
REGION = 1 << 13  # colours whose distances are added up together
SQUARINGS = 8  # of a scatter matrix: what its other axes have is then to the power of 256


@jit_inline
def whole_channels(axes, values, i):
    """Return the channels of a colour, and zeros for those that there are not."""
    n = len(axes)
    x1 = np.int64(values[1, i]) if n > 1 else np.int64(0)
    x2 = np.int64(values[2, i]) if n > 2 else np.int64(0)
    x3 = np.int64(values[3, i]) if n > 3 else np.int64(0)
    return np.int64(values[0, i]), x1, x2, x3


@jit
def move_products(axes, colors, weights, start, stop, labels, before, change):
    """Bring moments up to date with the colours ``start:stop`` that had other labels `before`.

    `before` int32 (m,) becomes `labels`; `change`, int64 (k + 1, MOMENTS), is added to. Neighbours
    often move alike: they are added up before they go to memory.
    """
    at = np.uint64(start)
    end = np.uint64(stop)
    while at < end:
        old, new = before[at], labels[at]
        if old == new:
            at += np.uint64(1)
            continue
        w = s0 = s1 = s2 = s3 = np.int64(0)
        p00 = p01 = p02 = p03 = p11 = p12 = p13 = p22 = p23 = p33 = np.int64(0)
        while at < end and labels[at] == new and before[at] == old:
            weight = weights[at]
            x0, x1, x2, x3 = whole_channels(axes, colors, at)
            w0, w1, w2, w3 = weight * x0, weight * x1, weight * x2, weight * x3
            w += weight
            s0 += w0
            s1 += w1
            s2 += w2
            s3 += w3
            p00 += w0 * x0
            p01 += w0 * x1
            p02 += w0 * x2
            p03 += w0 * x3
            p11 += w1 * x1
            p12 += w1 * x2
            p13 += w1 * x3
            p22 += w2 * x2
            p23 += w2 * x3
            p33 += w3 * x3
            before[at] = new
            at += np.uint64(1)
        row = (w, s0, s1, s2, s3, p00, p01, p02, p03, p11, p12, p13, p22, p23, p33)
        for j in range(MOMENTS):
            change[old, j] -= row[j]
            change[new, j] += row[j]


@jit
def find_splits(moments, gains, offsets):
    """Write what a split of each cluster gains, and where its halves are.

    `moments` are float64 (k, MOMENTS). Halves are at the mean plus and minus `offsets` (k, 4),
    along the axis of most variance, and `gains` (k,) are what a normal distribution gains: 2 / pi
    of the weighted variance there. The axis is a column of a high power of the scatter matrix.
    """
    a = np.empty((4, 4))
    b = np.empty((4, 4))
    scatter = np.empty((4, 4))
    for k in range(moments.shape[0]):
        gains[k] = 0.0
        for p in range(4):
            offsets[k, p] = 0.0
        weight = moments[k, 0]
        if weight == 0.0:
            continue
        j = 5
        for p in range(4):
            for q in range(p, 4):
                shared = moments[k, 1 + p] * (moments[k, 1 + q] / weight)
                scatter[p, q] = moments[k, j] - shared
                scatter[q, p] = scatter[p, q]
                a[p, q] = scatter[p, q]
                a[q, p] = scatter[p, q]
                j += 1
        for _ in range(SQUARINGS):
            trace = a[0, 0] + a[1, 1] + a[2, 2] + a[3, 3]
            if not trace > 0.0:
                break
            for p in range(4):
                for q in range(4):
                    b[p, q] = a[p, q] / trace
            for p in range(4):
                for q in range(p, 4):
                    total = 0.0
                    for r in range(4):
                        total += b[p, r] * b[r, q]
                    a[p, q] = total
                    a[q, p] = total
        longest = 0
        for p in range(1, 4):
            if a[p, p] > a[longest, longest]:
                longest = p
        norm = 0.0
        for p in range(4):
            norm += a[longest, p] ** 2
        value = 0.0
        for p in range(4):
            for q in range(4):
                value += a[longest, p] * scatter[p, q] * a[longest, q]
        if norm > 0.0 and value > 0.0:
            gains[k] = 2.0 / np.pi * (value / norm)
            far = sqrt(gains[k] / weight / norm)
            for p in range(4):
                offsets[k, p] = a[longest, p] * far


@jit
def find_cost(centroids, counts, i, j):
    """Return what it costs to make one cluster of two (Ward)."""
    total = 0.0
    for q in range(centroids.shape[1]):
        total += (centroids[i, q] - centroids[j, q]) ** 2
    both = counts[i] + counts[j]
    return total * (counts[i] * counts[j] / both) if both > 0.0 else 0.0


@jit
def find_mates(centroids, counts, costs, mates):
    """Write which other cluster each is best made one with, int64 (k,), and what that costs."""
    k = counts.size
    costs[:] = np.inf
    mates[:] = -1
    for i in range(k):
        for j in range(i + 1, k):
            cost = find_cost(centroids, counts, i, j)
            if cost < costs[i]:
                costs[i] = cost
                mates[i] = j
            if cost < costs[j]:
                costs[j] = cost
                mates[j] = i


@jit
def merge_nearest(centroids, counts, costs, mates, n_left):
    """Make one of the two clusters that this costs least, until `n_left` are left.

    Pairwise nearest neighbours: Equitz, "A new vector quantization clustering algorithm", IEEE
    Trans. ASSP 37(10), 1989. `costs` and `mates` are those of `find_mates`; a cluster that is gone
    has a mate below zero. Changes all of its arrays.
    """
    k = counts.size
    for _ in range(k - n_left):
        one = 0
        for i in range(1, k):
            if costs[i] < costs[one]:
                one = i
        other = mates[one]
        both = counts[one] + counts[other]
        share = counts[other] / both if both > 0.0 else 0.0
        for q in range(centroids.shape[1]):
            centroids[one, q] += share * (centroids[other, q] - centroids[one, q])
        counts[one] = both
        costs[other] = np.inf
        mates[other] = -1
        costs[one] = np.inf
        for i in range(k):
            if i == one or mates[i] < 0:
                continue
            if mates[i] == one or mates[i] == other:
                costs[i] = np.inf
                for j in range(k):
                    if j != i and mates[j] >= 0:
                        cost = find_cost(centroids, counts, i, j)
                        if cost < costs[i]:
                            costs[i] = cost
                            mates[i] = j
            cost = find_cost(centroids, counts, i, one)
            if cost < costs[i]:
                costs[i] = cost
                mates[i] = one
            if cost < costs[one]:
                costs[one] = cost
                mates[one] = i


@jit
def find_distance(axes, colors, weights, labels, near, i):
    """Return the weighted squared distance of a colour to the whole numbers by its centroid."""
    total = np.int64(0)
    for j in range(len(axes)):
        total += (np.int64(colors[j, i]) - near[labels[i], j]) ** 2
    return total * weights[i]


@jit
def weigh_regions(axes, colors, weights, labels, near, first, last, left):
    """Write the weighted squared distances in the regions ``first:last``, added up: int64."""
    for region in range(first, last):
        total = np.int64(0)
        for i in range(region * REGION, min((region + 1) * REGION, weights.size)):
            total += find_distance(axes, colors, weights, labels, near, i)
        left[region] = total


@jit
def find_drawn(axes, colors, weights, labels, near, start, ticket):
    """Return the colour from `start` on at which the running total passes a ticket."""
    i = start
    ticket -= find_distance(axes, colors, weights, labels, near, i)
    while ticket >= 0:
        i += 1
        ticket -= find_distance(axes, colors, weights, labels, near, i)
    return i

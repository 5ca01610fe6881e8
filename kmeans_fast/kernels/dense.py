"""Points of any numbers: nearest centroids, and sums that have no order.

An assignment looks at the points twice. A float32 pass, as fast as the machine multiplies, finds
the nearest centroid and how much nearer it is than the next (`find_nearest`). Where that is less
than rounding could have made it, the point is decided again in the reference's own arithmetic
(`find_exactly`, `fill_sq_dists`), so every label is the reference's.

Sums are kept in *limbs*: a value becomes a whole number of the first of some `quanta` (powers of
two), what is left a whole number of the second, and so on, each added to an int64 of its own.
That is the value rounded once, to the last quantum, and whole numbers may be added in any order.
It also means that they may be taken away again: after the first assignment only the points that
change their cluster are added up.

Weights come as `repeats` (int64: the point counts so many times) or as `weights` (float64: the
value is multiplied), `None` where all are one. Numba drops the branch of what is `None`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit, jit_contracted, jit_inline
from ._lanes import LANES as MANY_FEATURES
from ._lanes import add_squares

# The float32 pass: points in a block, and the distance between the rows of its scratch. Rows are
# 64 bytes aligned (vectors that straddle cache lines take twice as long) but no multiple of 4 kB
# apart (where loads wait for stores that they do not depend on).
BLOCK = 512
PAD = 16
ROW = np.uint64(BLOCK + PAD)
ROW2, ROW3 = np.uint64(2) * ROW, np.uint64(3) * ROW
LEAST, NEXT, NEAREST = np.uint64(4) * ROW, np.uint64(5) * ROW, np.uint64(6) * ROW
SQ_NORM = np.uint64(7) * ROW
N_ROWS = 8  # and four more for the scores that are parked
# The features added up at a time: a score then errs by that and the number of such sums times
# the rounding of one, not by the number of features.
TERMS = np.uint64(64)
# Blocks are cut to this multiple, so that no loop ends in single steps.
LANES = 32
# Points of a cluster are compared with others by their distance, each ring from one distance to
# twice that with its own candidates.
N_RINGS, RING, RING2 = 3, np.float32(4.0), np.float32(16.0)
# Rounding, and what underflows in a distance.
LOOSE, TIGHT, SMALLEST = np.float32(1.0 + 1e-6), np.float32(1.0 - 1e-6), 1e-144
# With so few clusters, points that may change are compared with all.
FEW = 16
# Candidates are taken from so much (squared) farther than need be: then the others are known to
# be farther away than the nearest, and the point need not be looked at again so soon.
WIDER = np.float32(1.21)


class Points(NamedTuple):
    """The data."""

    values: Any  # (n, d) float32 or float64
    repeats: Any  # (n,) int64 or None
    weights: Any  # (n,) float64 or None
    middle: Any  # (d,) in the points' type: taken off for the float32 pass
    scale: Any  # a power of two, in the points' type: makes what is left at most 1


class Centroids(NamedTuple):
    """The centroids, as each pass wants them; row k of `shifted` is a dummy, never nearest."""

    exact: Any  # (k, d) float64
    by_feature: Any  # (d, k) float64
    shifted: Any  # (k + 1, d filled up to fours) float32: less the middle, times the scale
    columns: Any  # (d filled up to fours, k filled up and padded) float32: `shifted`, transposed
    half_norms: Any  # (k + 1,) float32: half the squared norms of `shifted`, less their error
    margin: Any  # the error of a score, as a share of the squared norms
    kept: Any  # the share of a squared norm that its error leaves
    least: Any  # a squared distance, scaled, below which squares underflow
    tiny: Any  # the least difference of two scores that says anything


class Motion(NamedTuple):
    """Where the centroids lie since the labels were found."""

    spacing: Any  # (k,) float32: the squared distance, scaled, to the nearest other, or less
    drift: Any  # (k,) float32: the farthest that any other has moved, scaled, or more


class Sums(NamedTuple):
    """What an assignment adds up, in limbs."""

    values: Any  # (k, limbs, d) int64
    weights: Any  # (k, limbs) int64
    inertia: Any  # (limbs,) int64


class Steps(NamedTuple):
    """The steps (`add_quanta`) of each of the sums."""

    values: Any
    weights: Any
    inertia: Any


class Scratch(NamedTuple):
    """What one thread works in; the floats are 64 bytes aligned."""

    block: Any  # (d filled up to fours, points of a block) float32
    rows: Any  # ((N_ROWS + 4) * ROW,) float32: scores of four centroids, least, next, nearest, ...
    sq_dists: Any  # (k,) float64
    chosen: Any  # (points of a block,) int32 or int64
    found: Any  # (points of a block,) int32
    others: Any  # (points of a block,) float32
    own: Any  # (points of a block,) float64
    rest: Any  # (points of a block,) float64
    reach: Any  # (points of a block,) float32
    distance: Any  # (points of a block,) float32
    is_open: Any  # (points of a block,) uint8
    between: Any  # (4, k) float32
    candidates: Any  # (k filled up to fours,) int32
    ends: Any  # (N_RINGS * k + 1,) int32
    farthest: Any  # (N_RINGS * k,) float32
    open: Any  # (points of a chunk,) int32 or int64
    keys: Any  # (points of a chunk,) int32
    reaches: Any  # (points of a chunk,) float32
    order: Any  # (points of a chunk,) int32 or int64


# ---------------------------------------------------------------- sums that have no order


@jit_inline
def add_quanta(value, times, steps, limbs):
    """Add ``times * value`` to `limbs`.

    `steps` lead from the value to whole numbers of the first quantum, from what is left to whole
    numbers of the second, and so on (`points.quanta.as_steps`): a tuple, so that the loop over
    it is unrolled, which in `add_row` makes five times the speed.
    """
    for level in range(len(steps)):
        value *= steps[level]
        whole = np.rint(value)
        value -= whole
        limbs[level] += times * np.int64(whole)


@jit_inline
def has_weight(i, repeats, weights):
    """Say whether point `i` counts at all."""
    if repeats is not None:
        return repeats[i] > 0
    if weights is not None:
        return weights[i] > 0.0
    return True


@jit_inline
def weigh(i, sq_dist, repeats, weights):
    """Return what the squared distance of point `i` adds to the inertia each time it counts.

    Points without weight may lie so far out that theirs is no number that an int64 holds.
    """
    if weights is not None:
        return weights[i] * sq_dist if weights[i] > 0.0 else 0.0
    if repeats is not None:
        return sq_dist if repeats[i] > 0 else 0.0
    return sq_dist


@jit_inline
def count(i, repeats, weights):
    """Return how many times the squared distance of point `i` counts."""
    return repeats[i] if weights is None and repeats is not None else 1


@jit_inline
def add_sq_dist(i, sq_dist, sign, repeats, weights, steps, limbs):
    """Add the squared distance of point `i`, by its weight; with `sign` -1 take it away."""
    value = weigh(i, sq_dist, repeats, weights)
    add_quanta(value, sign * count(i, repeats, weights), steps, limbs)


@jit_inline
def add_row(values, i, factor, times, steps, sums, label):
    """Add ``times * (factor * values[i])`` to the sums (k, limbs, d) of a cluster.

    Indices instead of rows: a view of an array counts references, and threads would wait for
    each other to count theirs.
    """
    for j in range(np.uint64(values.shape[1])):
        value = factor * np.float64(values[i, j])
        for level in range(len(steps)):
            value *= steps[level]
            whole = np.rint(value)
            value -= whole
            sums[label, level, j] += times * np.int64(whole)


@jit_inline
def add_weight(i, times, weights, steps, totals, label):
    """Add ``times`` the weight of point `i` to the totals (k, limbs) of a cluster."""
    if weights is None:
        totals[label, 0] += times
    else:
        value = weights[i]
        for level in range(len(steps)):
            value *= steps[level]
            whole = np.rint(value)
            value -= whole
            totals[label, level] += times * np.int64(whole)


@jit_inline
def add_point(i, label, sign, values, repeats, weights, steps, weight_steps, sums, totals):
    """Add point `i` to the sums of its cluster; with `sign` -1 take it away."""
    times = sign if repeats is None else sign * repeats[i]
    if repeats is None and weights is not None:
        add_row(values, i, weights[i], times, steps, sums, label)
        add_weight(i, times, weights, weight_steps, totals, label)
    else:
        add_row(values, i, 1.0, times, steps, sums, label)
        add_weight(i, times, None, weight_steps, totals, label)


@jit
def add_points(points, start, stop, labels, steps, sums):
    """Add points to the sums of the clusters that `labels` says."""
    values, repeats, weights = points.values, points.repeats, points.weights
    cluster_sums, totals = sums.values, sums.weights
    value_steps, weight_steps = steps.values, steps.weights
    for i in range(start, stop):
        if has_weight(i, repeats, weights):
            add_point(
                i, labels[i], 1, values, repeats, weights, value_steps, weight_steps,
                cluster_sums, totals,
            )  # fmt: skip


# ------------------------------------------------------------------ the float32 pass


@jit
def fill_block(points, chosen, block, rows):
    """Write the chosen points as columns of the block, shifted and scaled; and their norms.

    Four points at a time: with many features that is three times as fast as feature by feature,
    whose loads fall on a few sets of the cache.
    """
    values, middle, scale = points.values, points.middle, points.scale
    d = np.uint64(values.shape[1])
    last = chosen.size - 1
    for at in range(0, chosen.size, 4):
        i0 = chosen[at]
        i1, i2, i3 = chosen[min(at + 1, last)], chosen[min(at + 2, last)], chosen[min(at + 3, last)]
        column = np.uint64(at)
        norm0 = norm1 = norm2 = norm3 = np.float32(0.0)
        for j in range(d):
            center = middle[j]
            x0 = np.float32((values[i0, j] - center) * scale)
            x1 = np.float32((values[i1, j] - center) * scale)
            x2 = np.float32((values[i2, j] - center) * scale)
            x3 = np.float32((values[i3, j] - center) * scale)
            norm0 += x0 * x0
            norm1 += x1 * x1
            norm2 += x2 * x2
            norm3 += x3 * x3
            block[j, column] = x0
            block[j, column + np.uint64(1)] = x1
            block[j, column + np.uint64(2)] = x2
            block[j, column + np.uint64(3)] = x3
        at_norm = SQ_NORM + column
        rows[at_norm] = norm0
        rows[at_norm + np.uint64(1)] = norm1
        rows[at_norm + np.uint64(2)] = norm2
        rows[at_norm + np.uint64(3)] = norm3


@jit_contracted
def add_products(block, start, centers, k0, k1, k2, k3, j, rows, n):
    """Take the products of four features off the scores of four centroids.

    Sixteen multipliers stay in registers, and all is loaded before the first store: 90 % of
    what the machine can multiply, twice what OpenBLAS makes of it (AVX-512).
    """
    a0, a1, a2, a3 = centers[k0, j], centers[k0, j + 1], centers[k0, j + 2], centers[k0, j + 3]
    b0, b1, b2, b3 = centers[k1, j], centers[k1, j + 1], centers[k1, j + 2], centers[k1, j + 3]
    c0, c1, c2, c3 = centers[k2, j], centers[k2, j + 1], centers[k2, j + 2], centers[k2, j + 3]
    d0, d1, d2, d3 = centers[k3, j], centers[k3, j + 1], centers[k3, j + 2], centers[k3, j + 3]
    row0, row1 = block[j, start:], block[j + np.uint64(1), start:]
    row2, row3 = block[j + np.uint64(2), start:], block[j + np.uint64(3), start:]
    for i in range(n):
        x0, x1, x2, x3 = row0[i], row1[i], row2[i], row3[i]
        a = rows[i] - a0 * x0 - a1 * x1 - a2 * x2 - a3 * x3
        b = rows[ROW + i] - b0 * x0 - b1 * x1 - b2 * x2 - b3 * x3
        c = rows[ROW2 + i] - c0 * x0 - c1 * x1 - c2 * x2 - c3 * x3
        d = rows[ROW3 + i] - d0 * x0 - d1 * x1 - d2 * x2 - d3 * x3
        rows[i] = a
        rows[ROW + i] = b
        rows[ROW2 + i] = c
        rows[ROW3 + i] = d


@jit_contracted
def keep_nearest(block, centers, k0, k1, k2, k3, j, rows, n):
    """Do the same with the last features, and keep the least score, its centroid, and the next.

    LLVM does not vectorise the search for a minimum, but it does across points.
    """
    a0, a1, a2, a3 = centers[k0, j], centers[k0, j + 1], centers[k0, j + 2], centers[k0, j + 3]
    b0, b1, b2, b3 = centers[k1, j], centers[k1, j + 1], centers[k1, j + 2], centers[k1, j + 3]
    c0, c1, c2, c3 = centers[k2, j], centers[k2, j + 1], centers[k2, j + 2], centers[k2, j + 3]
    d0, d1, d2, d3 = centers[k3, j], centers[k3, j + 1], centers[k3, j + 2], centers[k3, j + 3]
    row0, row1, row2, row3 = block[j], block[j + 1], block[j + 2], block[j + 3]
    for i in range(n):
        x0, x1, x2, x3 = row0[i], row1[i], row2[i], row3[i]
        least, second, nearest = rows[LEAST + i], rows[NEXT + i], rows[NEAREST + i]
        a = rows[i] - a0 * x0 - a1 * x1 - a2 * x2 - a3 * x3
        b = rows[ROW + i] - b0 * x0 - b1 * x1 - b2 * x2 - b3 * x3
        c = rows[ROW2 + i] - c0 * x0 - c1 * x1 - c2 * x2 - c3 * x3
        d = rows[ROW3 + i] - d0 * x0 - d1 * x1 - d2 * x2 - d3 * x3
        for score, k in ((a, k0), (b, k1), (c, k2), (d, k3)):
            other = least if least > score else score
            second = other if other < second else second
            nearest = np.float32(k) if score < least else nearest
            least = score if score < least else least
        rows[LEAST + i] = least
        rows[NEXT + i] = second
        rows[NEAREST + i] = nearest


@jit
def find_nearest(block, centroids, candidates, rows, n):
    """Write the least score of each column, the next, and the centroid of the least.

    A score is half the squared distance, less what all centroids share. `candidates` are
    centroids, in fours; `n` columns are looked at, a multiple of LANES.
    """
    centers, half_norms = centroids.shifted, centroids.half_norms
    last = np.uint64(block.shape[0] - 4)
    rows[LEAST:NEAREST] = np.inf
    rows[NEAREST:SQ_NORM] = 0.0  # a centroid even where all scores are NaN
    for at in range(0, candidates.size, 4):
        k0, k1, k2, k3 = candidates[at], candidates[at + 1], candidates[at + 2], candidates[at + 3]
        rows[:n] = half_norms[k0]
        rows[ROW : ROW + n] = half_norms[k1]
        rows[ROW2 : ROW2 + n] = half_norms[k2]
        rows[ROW3 : ROW3 + n] = half_norms[k3]
        for first in range(np.uint64(0), last, TERMS):
            if first > 0:
                park_scores(rows, n, first == TERMS)
            for j in range(first, min(first + TERMS, last), np.uint64(4)):
                add_products(block, 0, centers, k0, k1, k2, k3, j, rows, n)
        if last > TERMS:
            fetch_scores(rows, n)
        keep_nearest(block, centers, k0, k1, k2, k3, last, rows, n)


@jit
def park_scores(rows, n, first):
    """Move the scores so far to a sum of their own, and begin again from zero."""
    for row in range(4):
        here, there = row * ROW, (row + N_ROWS) * ROW
        for i in range(n):
            rows[there + i] = rows[here + i] if first else rows[there + i] + rows[here + i]
        for i in range(n):
            rows[here + i] = 0.0


@jit
def fetch_scores(rows, n):
    """Add what is parked."""
    for row in range(4):
        here, there = row * ROW, (row + N_ROWS) * ROW
        for i in range(n):
            rows[here + i] += rows[there + i]


@jit
def fill_between(centroids, first, rows, out):
    """Write squared distances, scaled, between centroids: not above the true ones.

    A row for each of four from `first` on; the distance of a centroid to itself is infinite.
    """
    centers, half_norms, columns = centroids.shifted, centroids.half_norms, centroids.columns
    k = half_norms.size - 1
    k0, k1, k2, k3 = first, min(first + 1, k), min(first + 2, k), min(first + 3, k)
    for start in range(0, k, BLOCK):
        n = np.uint64(min(BLOCK, columns.shape[1] - PAD - start))
        stop = min(start + BLOCK, k)
        for row in range(4):
            rows[row * ROW : row * ROW + np.uint64(stop - start)] = half_norms[start:stop]
        for j in range(np.uint64(0), np.uint64(columns.shape[0]), np.uint64(4)):
            add_products(columns, start, centers, k0, k1, k2, k3, j, rows, n)
        for row in range(4):
            own = np.float32(2.0) * half_norms[min(first + row, k)]
            own -= own * centroids.margin
            for i in range(np.uint64(stop - start)):
                out[row, start + i] = own + np.float32(2.0) * rows[row * ROW + i]
    for row in range(min(4, k - first)):
        out[row, first + row] = np.inf


@jit
def find_spacing(centroids, start, stop, scratch, spacing):
    """Write for each centroid the squared distance, scaled, to the nearest other, or less."""
    k = np.uint64(centroids.half_norms.size - 1)
    for first in range(start, stop, 4):
        fill_between(centroids, first, scratch.rows, scratch.between)
        for row in range(min(4, stop - first)):
            least = np.float32(np.inf)
            for other in range(k):
                least = min(least, scratch.between[row, other])
            spacing[first + row] = least


# ------------------------------------------------------------- the reference's arithmetic


@jit
def fill_sq_dists(x, by_feature, sq_dists):
    """Write the squared distances of a point to all centroids, as the reference finds them.

    Feature after feature in float64, vectorised across the centroids.
    """
    sq_dists[:] = 0.0
    for j in range(np.uint64(by_feature.shape[0])):
        value = np.float64(x[j])
        row = by_feature[j]
        for k in range(np.uint64(sq_dists.size)):
            t = value - row[k]
            sq_dists[k] += t * t


@jit
def find_exactly(values, i, exact, candidates):
    """Return the first nearest of the candidates, as the reference finds it."""
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
    """Return the index of the least, the first of them on a tie."""
    nearest = 0
    for k in range(1, sq_dists.size):
        if sq_dists[k] < sq_dists[nearest]:
            nearest = k
    return nearest


@jit_inline
def find_sq_dist(values, i, centroids, k):
    """Return the squared distance of point `i` to centroid `k`, in float64."""
    d = np.uint64(values.shape[1])
    whole = d - d % np.uint64(MANY_FEATURES)
    total = add_squares(values, i, centroids, k) if whole > 0 else 0.0
    for j in range(whole, d):
        t = np.float64(values[i, j]) - centroids[k, j]
        total += t * t
    return total


# ------------------------------------------------------------------------- assignments


@jit
def label_points(points, chosen, candidates, centroids, scratch):
    """Find the nearest of the candidates to each chosen point, and how far the others are.

    The candidates come in fours and hold the true nearest. `scratch.found` gets the nearest,
    `scratch.others` a lower bound of the distances, scaled, to the others. A point in doubt is
    decided by the reference's arithmetic.
    """
    block, rows, found, others = scratch.block, scratch.rows, scratch.found, scratch.others
    half_norms, margin, tiny = centroids.half_norms, centroids.margin, centroids.tiny
    n_doubtful = 0
    fill_block(points, chosen, block, rows)
    n = np.uint64((chosen.size + LANES - 1) // LANES * LANES)
    find_nearest(block, centroids, candidates, rows, n)
    for at in range(np.uint64(chosen.size)):
        k = np.int32(rows[NEAREST + at])
        next_score, sq_norm = rows[NEXT + at], rows[SQ_NORM + at]
        norms = np.float32(2.0) * sq_norm + np.float32(3.0) * half_norms[k]
        sure = next_score - rows[LEAST + at] > margin * norms + tiny
        found[at] = k if sure else -1
        n_doubtful += not sure
        sq_dist = sq_norm * centroids.kept + np.float32(2.0) * (next_score - tiny)
        others[at] = np.sqrt(sq_dist) if sure and sq_dist > 0.0 else np.float32(0.0)
    if n_doubtful > 0:
        for at in range(chosen.size):
            if found[at] < 0 and 8 * candidates.size < half_norms.size:
                found[at] = find_exactly(points.values, chosen[at], centroids.exact, candidates)
            elif found[at] < 0:
                fill_sq_dists(points.values[chosen[at]], centroids.by_feature, scratch.sq_dists)
                found[at] = find_first_least(scratch.sq_dists)


@jit
def label_exactly(values, start, stop, by_feature, labels):
    """Label points by brute force."""
    sq_dists = np.empty(by_feature.shape[1])
    for i in range(start, stop):
        fill_sq_dists(values[i], by_feature, sq_dists)
        labels[i] = find_first_least(sq_dists)


@jit
def move_points(points, chosen, found, centroids, labels, fresh, counted, steps, sums):
    """Give the chosen points the labels found, and bring the sums up to date.

    `fresh` says that they had no labels, so the sums hold none of them; `counted` that the
    inertia holds them, by the labels that they had.
    """
    values, repeats, weights = points.values, points.repeats, points.weights
    exact, inertia, inertia_steps = centroids.exact, sums.inertia, steps.inertia
    cluster_sums, totals = sums.values, sums.weights
    value_steps, weight_steps = steps.values, steps.weights
    for at in range(chosen.size):
        i, new = chosen[at], found[at]
        old = labels[i]
        if fresh or new != old:
            labels[i] = new
            if has_weight(i, repeats, weights):
                add_point(
                    i, new, 1, values, repeats, weights, value_steps, weight_steps,
                    cluster_sums, totals,
                )  # fmt: skip
                if not fresh:
                    add_point(
                        i, old, -1, values, repeats, weights, value_steps, weight_steps,
                        cluster_sums, totals,
                    )  # fmt: skip
                if counted:
                    before = find_sq_dist(values, i, exact, old)
                    now = find_sq_dist(values, i, exact, new)
                    add_sq_dist(i, before, -1, repeats, weights, inertia_steps, inertia)
                    add_sq_dist(i, now, 1, repeats, weights, inertia_steps, inertia)


@jit
def add_inertia(points, chosen, centroids, labels, steps, sums, scratch):
    """Add the squared distances of points to the centroids of their labels; keep them, too."""
    values, repeats, weights = points.values, points.repeats, points.weights
    exact, inertia, inertia_steps = centroids.exact, sums.inertia, steps.inertia
    own, rest = scratch.own, scratch.rest
    n = np.uint64(chosen.size)
    for at in range(n):
        i = chosen[at]
        own[at] = find_sq_dist(values, i, exact, labels[i])
    for at in range(n):
        rest[at] = weigh(chosen[at], own[at], repeats, weights)
    for level in range(len(inertia_steps)):  # limb by limb, as LLVM vectorises it
        step = inertia_steps[level]
        total = 0
        for at in range(n):
            value = rest[at] * step
            whole = np.rint(value)
            rest[at] = value - whole
            total += count(chosen[at], repeats, weights) * np.int64(whole)
        inertia[level] += total


@jit
def assign_points(
    points, start, stop, candidates, centroids, labels, others, fresh, steps, sums, scratch
):
    """Label the points ``start:stop``, comparing each with all centroids, and add them up.

    `others` gets a lower bound of the distances, scaled, to all centroids but the nearest.
    """
    size = scratch.chosen.size
    for first in range(start, stop, size):  # while they are in the cache
        n = min(size, stop - first)
        chosen, found = scratch.chosen[:n], scratch.found[:n]
        for at in range(n):
            chosen[at] = first + at
        label_points(points, chosen, candidates, centroids, scratch)
        others[first : first + n] = scratch.others[:n]
        move_points(points, chosen, found, centroids, labels, fresh, False, steps, sums)
        add_inertia(points, chosen, centroids, labels, steps, sums, scratch)


@jit
def open_points(points, start, stop, centroids, motion, labels, others, steps, sums, scratch):
    """List the points that may have a nearer centroid than their own; return how many.

    None has, with twice the distance to its own less than from there to the next centroid, or
    with the distance less than the bound of the others, which have come no nearer than they
    moved (Hamerly, "Making k-means even faster", SDM 2010). Each goes with its reach, the square
    of twice the distance.
    """
    scale, spacing, drift = np.float64(points.scale), motion.spacing, motion.drift
    least = centroids.least
    indices, reaches = scratch.open, scratch.reaches
    own, reach, distances, is_open = scratch.own, scratch.reach, scratch.distance, scratch.is_open
    size = scratch.chosen.size
    n_open = 0
    for first in range(start, stop, size):
        n = min(size, stop - first)
        chosen = scratch.chosen[:n]
        for at in range(n):
            chosen[at] = first + at
        add_inertia(points, chosen, centroids, labels, steps, sums, scratch)
        for at in range(np.uint64(n)):
            sq_dist = np.float32(own[at] * scale * scale) * LOOSE + least
            reach[at] = np.float32(4.0) * sq_dist
            distances[at] = np.sqrt(sq_dist) * LOOSE
        here, there = labels[first : first + n], others[first : first + n]
        for at in range(np.uint64(n)):
            other = (there[at] - drift[here[at]]) * TIGHT
            there[at] = other
            is_open[at] = (reach[at] >= spacing[here[at]]) & (distances[at] >= other)
        for at in range(np.uint64(n)):
            indices[n_open] = first + at
            reaches[n_open] = reach[at]
            n_open += is_open[at]
    return n_open


@jit
def settle_points(points, chosen, m, beyond, centroids, labels, others, steps, sums, scratch):
    """Label points with the nearest of the first `m` candidates; `beyond` are all the rest."""
    candidates, size = scratch.candidates, scratch.chosen.size
    while m % 4 > 0:
        candidates[m] = centroids.half_norms.size - 1  # the dummy
        m += 1
    for first in range(0, chosen.size, size):
        some = chosen[first : first + size]
        label_points(points, some, candidates[:m], centroids, scratch)
        for at in range(some.size):
            others[some[at]] = min(scratch.others[at], beyond)
        found = scratch.found[: some.size]
        move_points(points, some, found, centroids, labels, False, True, steps, sums)


@jit
def reassign_points(points, start, stop, centroids, motion, labels, others, steps, sums, scratch):
    """Do what `assign_points` does for points that have labels, comparing few centroids.

    A point at the distance u of its centroid a can only change to a centroid within 2 u of a:
    the ball of Newling and Fleuret's Exponion ("Fast k-means with accurate bounds", ICML 2016).
    Returns how many pairs were compared.
    """
    indices, reaches, keys, ends = scratch.open, scratch.reaches, scratch.keys, scratch.ends
    order, between, candidates = scratch.order, scratch.between, scratch.candidates
    k = motion.spacing.size
    n_open = open_points(
        points, start, stop, centroids, motion, labels, others, steps, sums, scratch
    )
    if k <= FEW:
        for other in range(k):
            candidates[other] = other
        settle_points(
            points, indices[:n_open], k, np.float32(np.inf), centroids, labels, others, steps,
            sums, scratch,
        )  # fmt: skip
        return n_open * k
    farthest = scratch.farthest
    ends[:] = 0
    farthest[:] = 0.0
    spacing = motion.spacing
    for at in range(n_open):
        label, reach = np.int32(labels[indices[at]]), reaches[at]
        inner = spacing[label]
        key = N_RINGS * label + (reach >= RING * inner) + (reach >= RING2 * inner)
        keys[at] = key
        ends[key + 1] += 1
        farthest[key] = max(farthest[key], reach)
    for key in range(1, ends.size):
        ends[key] += ends[key - 1]
    for at in range(n_open):
        order[ends[keys[at]]] = indices[at]
        ends[keys[at]] += 1
    n_compared = 0
    begin = 0
    known = -1  # the four labels that `between` is about
    for key in range(N_RINGS * k):
        end = ends[key]
        if end == begin:
            continue
        label = key // N_RINGS
        if label // 4 != known:
            known = label // 4
            fill_between(centroids, 4 * known, scratch.rows, between)
        row = label % 4
        between[row, label] = 0.0
        limit = WIDER * farthest[key]
        m = 0
        for other in range(k):
            candidates[m] = other
            m += between[row, other] <= limit
        between[row, label] = np.inf
        beyond = np.float32(np.inf)
        if m < k:  # the distance to any that is no candidate
            beyond = (np.sqrt(limit) - np.float32(0.5) * np.sqrt(farthest[key])) * TIGHT
        settle_points(
            points, order[begin:end], m, beyond, centroids, labels, others, steps, sums, scratch
        )
        n_compared += (end - begin) * m
        begin = end
    return n_compared


# ----------------------------------------------------------------------------- the rest


@jit
def measure_points(points, start, stop, repeats, weights, low, high):
    """Widen `low` and `high`, a value each feature, to hold all points that have weight.

    Returns the first point that holds NaN or infinity (-1: none), the largest magnitude, and
    the largest weight times magnitude.
    """
    largest = 0.0
    largest_product = 0.0
    for i in range(start, stop):
        counts = has_weight(i, repeats, weights)
        for j in range(points.shape[1]):
            value = np.float64(points[i, j])
            if not np.isfinite(value):
                return i, largest, largest_product
            largest = max(largest, abs(value))
            if counts:
                low[j] = min(low[j], value)
                high[j] = max(high[j], value)
                if weights is not None:
                    largest_product = max(largest_product, abs(weights[i] * value))
    return -1, largest, largest_product


@jit
def fill_own_sq_dists(points, start, stop, centroids, labels, out):
    """Write the squared distance of each point to the centroid of its cluster."""
    for i in range(start, stop):
        centroid = centroids[labels[i]]
        total = 0.0
        for j in range(points.shape[1]):
            t = points[i, j] - centroid[j]
            total += t * t
        out[i] = total


@jit
def find_distinct(bits, zero, order, table, out, n):
    """Append to the `n` points in `out` those that differ from all before, in the order given.

    `bits` are the points seen as unsigned integers and `zero` is the negative zero among them,
    which is equal to zero. `table` is a hash table of positions in `out`, filled with -1; its
    size is a power of two and more than that of `out`. Returns the new `n`.
    """
    mask = table.size - 1
    for i in order:
        if n == out.size:
            break
        hashed = np.uint64(0)
        for j in range(bits.shape[1]):
            value = np.uint64(0) if bits[i, j] == zero else np.uint64(bits[i, j])
            hashed = (hashed ^ value) * np.uint64(0x9E3779B97F4A7C15)
            hashed ^= hashed >> np.uint64(29)
        place = np.int64(hashed & np.uint64(mask))
        while table[place] >= 0:
            other = out[table[place]]
            same = True
            for j in range(bits.shape[1]):
                a, b = bits[i, j], bits[other, j]
                same &= a == b or ((a == zero or a == 0) and (b == zero or b == 0))
            if same:
                break
            place = (place + 1) & mask
        if table[place] < 0:
            table[place] = n
            out[n] = i
            n += 1
    return n

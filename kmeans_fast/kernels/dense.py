"""Points of any numbers: nearest centroids, and sums that have no order.

An assignment looks at the points twice. A float32 pass, as fast as the machine multiplies, finds
the nearest centroid and how much nearer it is than the next (`find_nearest`). Where that is less
than rounding could have made it, the point is decided again in the reference's own arithmetic
(`find_exactly`, `fill_sq_dists`), so every label is the reference's.

Sums are kept in *limbs*: a value becomes a whole number of the first of some `quanta` (powers of
two), what is left a whole number of the second, and so on, each added to an int64 of its own.
The last quantum is so fine that nothing is left, and whole numbers may be added in any order.
It also means that they may be taken away again: after the first assignment only the points that
change their cluster are added up.

Weights come as `repeats` (int64: the point counts so many times) or as `weights` (float64: the
value is multiplied), `None` where all are one. Numba drops the branch of what is `None`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit, jit_inline
from ._lanes import find_sq_dist
from ._pairs import two_product
from ._quanta import count_quanta, has_weight, without_quanta
from ._tiles import ROW, ROWS, WIDTH, scan_tile, score_tile

# Points are looked at in blocks: tiles that stay in the second-level cache. So many centroids at
# a time are compared with all tiles of a block that their features stay in the first-level cache.
BLOCK = 512
PANEL = 4096
# What is kept of a block, each `ROW` numbers; in one array, so that LLVM knows them apart.
LEAST, OTHERS = np.uint64(0), np.uint64(ROW)
NEAREST, SQ_NORM = np.uint64(2 * ROW), np.uint64(3 * ROW)
HALF_NORM, SURE = np.uint64(4 * ROW), np.uint64(5 * ROW)
LOWER, UPPER = np.uint64(6 * ROW), np.uint64(7 * ROW)
N_ROWS = 8
# Points of a cluster are compared with others by their distance, each ring from one distance to
# twice that with its own candidates.
N_RINGS, RING, RING2 = 3, np.float32(4.0), np.float32(16.0)
# Rounding, and what underflows in a distance.
LOOSE, TIGHT, SMALLEST = np.float32(1.0 + 1e-6), np.float32(1.0 - 1e-6), 1e-144
# With so few clusters, points that may change are compared with all; with fewer features, at once.
FEW, WIDE = 16, 32
# Up to so many limbs loops over them are unrolled: their anchors are tuples. More are arrays, one
# machine code for any number, which goes on only until nothing is left of a value.
MOST_UNROLLED = 4
# Candidates are taken from so much (squared) farther than need be: then the others are known to
# be farther away than the nearest, and the point need not be looked at again so soon.
WIDER = np.float32(1.21)


class Points(NamedTuple):
    """The data."""

    values: Any  # (n, d) float32 or float64
    middle: Any  # (d,) in the points' type: taken off for the float32 pass
    scale: Any  # a power of two, in the points' type: makes what is left at most 1


class Centroids(NamedTuple):
    """The centroids, as each pass wants them; from row k on, dummies that are never nearest."""

    exact: Any  # (k, d) float64
    by_feature: Any  # (d, k) float64
    shifted: Any  # (k + ROWS, d) float32: less the middle, times the scale
    half_norms: Any  # (k + ROWS,) float32: half the squared norms of `shifted`, less their error
    margin: Any  # the error of a score, as a share of the squared norms
    kept: Any  # the share of a squared norm that its error leaves
    grown: Any  # the share that it may make of it
    least: Any  # a squared distance, scaled, below which squares underflow
    tiny: Any  # the least difference of two scores that says anything


class Motion(NamedTuple):
    """Where the centroids lie since the labels were found."""

    spacing: Any  # (k,) float32: the squared distance, scaled, to the nearest other, or less
    apart: Any  # (k,) float32: half the distance to the nearest other, or less
    moved: Any  # (k,) float32: how far it has moved, or more
    drift: Any  # (k,) float32: the farthest that any other has moved, or more


class Bounds(NamedTuple):
    """What is kept of each point from one assignment to the next; distances are scaled."""

    labels: Any  # (n,) uint16 or int32
    upper: Any  # (n,) float32: the distance to the centroid of its label, or more
    lower: Any  # (n,) float32: the distance to the nearest of the other centroids, or less


class Sums(NamedTuple):
    """What an assignment adds up, in limbs."""

    values: Any  # (k, limbs, d) int64
    weights: Any  # (k, limbs) int64


class Anchors(NamedTuple):
    """The anchors (`_quanta.count_quanta`) of each of the sums: tuples, or arrays of many."""

    values: Any
    weights: Any
    lift: Any  # what weights that are no repeats are multiplied by


class Scratch(NamedTuple):
    """What one thread works in; the floats are 64 bytes aligned."""

    block: Any  # (points of a block * d,) float32, in tiles
    rows: Any  # (N_ROWS * ROW,) float32: the least score, the next, whose it is, ...
    sq_dists: Any  # (k,) float64
    chosen: Any  # (points of a block,) int64
    found: Any  # (points of a block,) int32
    between: Any  # (k filled up, WIDTH) float32
    candidates: Any  # (k filled up,) int32
    ends: Any  # (N_RINGS * k + 1,) int32
    farthest: Any  # (N_RINGS * k,) float32
    open: Any  # (points of a chunk,) int64: in the end those that changed their label
    keys: Any  # (points of a chunk,) int32: in the end the labels that these had
    order: Any  # (points of a chunk,) int64


# ---------------------------------------------------------------- sums that have no order


@jit_inline
def add_value(value, times, anchors, sums, label, j):
    """Add ``times * value`` to the sums (k, limbs, d) of a cluster."""
    for level in range(len(anchors)):
        sums[label, level, j] += times * count_quanta(value, anchors[level])
        value = without_quanta(value, anchors[level])
        if len(anchors) > MOST_UNROLLED and value == 0.0:
            break


@jit_inline
def add_row(values, i, times, anchors, sums, label):
    """Add ``times * values[i]`` to the sums (k, limbs, d) of a cluster.

    Indices instead of rows: a view of an array counts references, and threads would wait for
    each other to count theirs.
    """
    for j in range(np.uint64(values.shape[1])):
        add_value(np.float64(values[i, j]), times, anchors, sums, label, j)


@jit_inline
def add_product(values, i, factor, times, anchors, sums, label):
    """Add ``times * factor * values[i]`` to the sums: the products, and what rounding them lost."""
    for j in range(np.uint64(values.shape[1])):
        product, lost = two_product(factor, np.float64(values[i, j]))
        add_value(product, times, anchors, sums, label, j)
        add_value(lost, times, anchors, sums, label, j)


@jit_inline
def add_weight(value, times, anchors, totals, label):
    """Add ``times`` a weight to the totals (k, limbs) of a cluster."""
    for level in range(len(anchors)):
        totals[label, level] += times * count_quanta(value, anchors[level])
        value = without_quanta(value, anchors[level])


@jit_inline
def add_point(i, label, sign, values, repeats, weights, anchors, sums, totals):
    """Add point `i` to the sums of its cluster; with `sign` -1 take it away."""
    if weights is None:
        times = sign if repeats is None else sign * repeats[i]
        add_row(values, i, times, anchors.values, sums, label)
        totals[label, 0] += times
    else:
        weight = weights[i] * anchors.lift
        add_product(values, i, weight, sign, anchors.values, sums, label)
        add_weight(weight, sign, anchors.weights, totals, label)


@jit
def add_points(values, repeats, weights, start, stop, labels, anchors, sums):
    """Add points to the sums of the clusters that `labels` says."""
    cluster_sums, totals = sums.values, sums.weights
    for i in range(start, stop):
        if has_weight(i, repeats, weights):
            add_point(
                i, labels[i], np.int64(1), values, repeats, weights, anchors, cluster_sums, totals
            )


@jit
def move_points(values, repeats, weights, moved, before, labels, anchors, sums):
    """Bring the sums up to date with points that had other labels `before`."""
    cluster_sums, totals = sums.values, sums.weights
    for at in range(moved.size):
        i = moved[at]
        if has_weight(i, repeats, weights):
            for label, sign in ((np.int32(labels[i]), np.int64(1)), (before[at], np.int64(-1))):
                add_point(i, label, sign, values, repeats, weights, anchors, cluster_sums, totals)


# ------------------------------------------------------------------ the float32 pass


@jit
def fill_block(points, chosen, block, rows):
    """Write the chosen points into the tiles of a block, shifted and scaled; and their norms.

    Four points at a time: with many features that is three times as fast as feature by feature,
    whose loads fall on a few sets of the cache.
    """
    values, middle, scale = points.values, points.middle, points.scale
    d = np.uint64(values.shape[1])
    last = chosen.size - 1
    for first in range(0, chosen.size, 4):
        i0 = chosen[first]
        i1, i2 = chosen[min(first + 1, last)], chosen[min(first + 2, last)]
        i3 = chosen[min(first + 3, last)]
        at = np.uint64(first - first % WIDTH) * d + np.uint64(first % WIDTH)
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
            block[at] = x0
            block[at + np.uint64(1)] = x1
            block[at + np.uint64(2)] = x2
            block[at + np.uint64(3)] = x3
            at += np.uint64(WIDTH)
        at = SQ_NORM + np.uint64(first)
        rows[at] = norm0
        rows[at + np.uint64(1)] = norm1
        rows[at + np.uint64(2)] = norm2
        rows[at + np.uint64(3)] = norm3


@jit
def find_nearest(n, centroids, candidates, scratch):
    """Write the least score of each of the first `n` points of the block, the next, and whose.

    A score is half the squared distance, less what all centroids share. `candidates` are
    centroids, in fours.
    """
    block, rows = scratch.block, scratch.rows
    centers, half_norms = centroids.shifted, centroids.half_norms
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
def fill_between(centroids, first, block, out):
    """Write the squared distances, scaled, of some centroids to all: not above the true ones.

    ``out[other, i]`` is that of centroid ``first + i`` to another.
    """
    centers, half_norms = centroids.shifted, centroids.half_norms
    k, d = centroids.exact.shape
    flat = out.reshape(-1)
    for i in range(WIDTH):
        for j in range(d):
            block[j * WIDTH + i] = centers[min(first + i, k), j]
    for other in range(0, k, ROWS):
        score_tile(block, 0, d, centers, half_norms, other, flat, other * WIDTH)
    for i in range(min(WIDTH, k - first)):
        own = np.float32(2.0) * half_norms[first + i]
        own -= own * centroids.margin
        for other in range(k):
            out[other, i] = own + np.float32(2.0) * out[other, i]


@jit
def find_spacing(centroids, everything, start, stop, scratch, spacing):
    """Write for each centroid the squared distance, scaled, to the nearest other, or less.

    The least score of a centroid is its own; the next says how far the nearest other is.
    """
    centers, half_norms, block = centroids.shifted, centroids.half_norms, scratch.block
    d = np.int64(centers.shape[1])
    for first in range(start, stop, WIDTH):
        n = min(WIDTH, stop - first)
        for i in range(n):
            for j in range(d):
                block[j * WIDTH + i] = centers[first + i, j]
        find_nearest(n, centroids, everything, scratch)
        for i in range(n):
            own = np.float32(2.0) * half_norms[first + i]
            own -= own * centroids.margin
            spacing[first + i] = own + np.float32(2.0) * scratch.rows[OTHERS + np.uint64(i)]


# ------------------------------------------------------------- the reference's arithmetic


@jit
def fill_sq_dists(values, i, by_feature, sq_dists):
    """Write the squared distances of point `i` to all centroids, as the reference finds them.

    Feature after feature in float64, vectorised across the centroids.
    """
    sq_dists[:] = 0.0
    for j in range(np.uint64(by_feature.shape[0])):
        value = np.float64(values[i, j])
        for k in range(np.uint64(sq_dists.size)):
            t = value - by_feature[j, k]
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


# ------------------------------------------------------------------------- assignments


@jit
def label_points(points, chosen, candidates, centroids, bounds, scratch):
    """Find the nearest of the candidates to each chosen point, and bounds of the distances.

    The candidates come in fours and hold the true nearest. `scratch.found` gets the nearest,
    `bounds` how far it and the others are. A point in doubt is decided by the reference's
    arithmetic.
    """
    found, half_norms, rows = scratch.found, centroids.half_norms, scratch.rows
    upper, lower = bounds.upper, bounds.lower
    margin, tiny, kept, grown = centroids.margin, centroids.tiny, centroids.kept, centroids.grown
    zero, one, two, three = np.float32(0), np.float32(1), np.float32(2), np.float32(3)
    n = np.uint64(chosen.size)
    fill_block(points, chosen, scratch.block, rows)
    find_nearest(chosen.size, centroids, candidates, scratch)
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
        rows[LOWER + at] = np.sqrt(beyond if beyond > zero else zero)
        rows[UPPER + at] = np.sqrt(within if within > zero else zero) * LOOSE
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
                fill_sq_dists(points.values, chosen[at], centroids.by_feature, scratch.sq_dists)
                found[at] = find_first_least(scratch.sq_dists)


@jit
def label_exactly(values, start, stop, by_feature, labels):
    """Label points by brute force."""
    sq_dists = np.empty(by_feature.shape[1])
    for i in range(start, stop):
        fill_sq_dists(values, i, by_feature, sq_dists)
        labels[i] = find_first_least(sq_dists)


@jit
def relabel(chosen, found, labels, moved, before, n_moved):
    """Give points the labels found; append to those that had others. Return how many these are."""
    for at in range(chosen.size):
        i, new = chosen[at], found[at]
        old = np.int32(labels[i])
        labels[i] = new
        moved[n_moved] = i
        before[n_moved] = old
        n_moved += new != old
    return n_moved


@jit
def assign_points(points, start, stop, candidates, centroids, bounds, scratch):
    """Label the points ``start:stop``, comparing each with all centroids.

    Returns how many have other labels than before: these are in `scratch`.
    """
    chosen, found, labels = scratch.chosen, scratch.found, bounds.labels
    size = chosen.size
    n_moved = np.int64(0)
    for first in range(start, stop, size):  # while they are in the cache
        n = min(size, stop - first)
        for at in range(n):
            chosen[at] = first + at
        label_points(points, chosen[:n], candidates, centroids, bounds, scratch)
        n_moved = relabel(chosen[:n], found, labels, scratch.open, scratch.keys, n_moved)
    return n_moved


@jit
def list_points(start, stop, motion, bounds, indices):
    """List the points that may have a nearer centroid than their own; return how many.

    None has, with twice the distance to its own less than from there to the next centroid, or
    with the distance less than the bound of the others, which have come no nearer than they
    moved (Hamerly, "Making k-means even faster", SDM 2010). Nothing but bounds is looked at.
    """
    labels, upper, lower = bounds.labels, bounds.upper, bounds.lower
    apart, moved, drift = motion.apart, motion.moved, motion.drift
    n = 0
    for i in range(np.uint64(start), np.uint64(stop)):
        label = labels[i]
        above = (upper[i] + moved[label]) * LOOSE
        below = (lower[i] - drift[label]) * TIGHT
        upper[i] = above
        lower[i] = below
        enough = apart[label]
        enough = below if below > enough else enough
        indices[n] = i  # without a branch: where many stay, half the time
        n += above >= enough
    return n


@jit
def drop_points(points, n, centroids, motion, bounds, indices):
    """Leave out what is settled by the true distance to the own centroid; return how many stay."""
    scale, values = np.float64(points.scale), points.values
    exact, least = centroids.exact, centroids.least
    labels, upper, lower = bounds.labels, bounds.upper, bounds.lower
    n_open = 0
    for at in range(n):
        i = indices[at]
        label = labels[i]
        sq_dist = find_sq_dist(values, i, exact, label) * scale * scale
        above = np.sqrt(np.float32(sq_dist) * LOOSE + least) * LOOSE
        upper[i] = above
        indices[n_open] = i
        n_open += (above >= motion.apart[label]) & (above >= lower[i])
    return n_open


@jit
def settle_points(points, chosen, m, beyond, centroids, bounds, scratch, n_moved):
    """Label points with the nearest of the first `m` candidates; `beyond` are all the rest."""
    candidates, size = scratch.candidates, scratch.chosen.size
    lower = bounds.lower
    while m % ROWS > 0:
        candidates[m] = centroids.exact.shape[0]  # the dummy
        m += 1
    for first in range(0, chosen.size, size):
        some = chosen[first : first + size]
        label_points(points, some, candidates[:m], centroids, bounds, scratch)
        for at in range(some.size):
            lower[some[at]] = min(lower[some[at]], beyond)
        n_moved = relabel(some, scratch.found, bounds.labels, scratch.open, scratch.keys, n_moved)
    return n_moved


@jit
def reassign_points(points, start, stop, centroids, motion, bounds, scratch):
    """Do what `assign_points` does for points that have labels, comparing few centroids.

    A point at the distance u of its centroid a can only change to a centroid within 2 u of a:
    the ball of Newling and Fleuret's Exponion ("Fast k-means with accurate bounds", ICML 2016).
    Returns how many points have other labels than before, and how many pairs were compared.
    """
    indices, keys, ends, order = scratch.open, scratch.keys, scratch.ends, scratch.order
    between, candidates, farthest = scratch.between, scratch.candidates, scratch.farthest
    labels, upper = bounds.labels, bounds.upper
    k = motion.spacing.size
    n_open = list_points(start, stop, motion, bounds, indices)
    # With few features, to compare few clusters is about as fast as to find the distance to one.
    if k > FEW or points.values.shape[1] >= WIDE:
        n_open = drop_points(points, n_open, centroids, motion, bounds, indices)
    if k <= FEW:
        for other in range(k):
            candidates[other] = other
        # What has moved goes where what was open stood before.
        n_moved = settle_points(
            points, indices[:n_open], k, np.float32(np.inf), centroids, bounds, scratch, np.int64(0)
        )
        return n_moved, n_open * k
    ends[:] = 0
    farthest[:] = 0.0
    spacing = motion.spacing
    for at in range(n_open):
        i = indices[at]
        label = np.int32(labels[i])
        reach = np.float32(4.0) * upper[i] * upper[i] * LOOSE
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
    n_moved = n_compared = np.int64(0)
    known = -1  # the tile of labels that `between` is about
    for label in range(k):
        m = np.int64(0)
        for ring in range(N_RINGS - 1, -1, -1):  # from the widest, whose candidates hold the rest
            key = N_RINGS * label + ring
            begin, end = ends[key - 1] if key > 0 else 0, ends[key]
            if end == begin:
                continue
            row = label % WIDTH
            limit = WIDER * farthest[key]
            if m == 0:
                if label // WIDTH != known:
                    known = label // WIDTH
                    fill_between(centroids, WIDTH * known, scratch.block, between)
                between[label, row] = 0.0
                for other in range(k):
                    candidates[m] = other
                    m += between[other, row] <= limit
            else:
                n_before, m = m, np.int64(0)
                for at in range(n_before):
                    other = candidates[at]
                    candidates[m] = other
                    m += between[other, row] <= limit
            beyond = np.float32(np.inf)
            if m < k:  # the distance to any that is no candidate
                beyond = (np.sqrt(limit) - np.float32(0.5) * np.sqrt(farthest[key])) * TIGHT
            n_moved = settle_points(
                points, order[begin:end], m, beyond, centroids, bounds, scratch, n_moved
            )
            n_compared += (end - begin) * m
    return n_moved, n_compared

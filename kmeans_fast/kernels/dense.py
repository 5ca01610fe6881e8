"""Points of any numbers: the nearest centroid of each, from one assignment to the next.

The first compares every point with every centroid. Later ones keep bounds of the distances, and
look only at the points and centroids that these leave open.

Throughout, `points` is a `Framed`, `centroids` a `Centroids`, `motion` a `Motion`, `bounds` a
`Bounds` and `scratch` a `Scratch`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit
from ._lanes import find_sq_dist
from ._nearest import LOOSE as LOOSE
from ._nearest import N_ROWS as N_ROWS
from ._nearest import OTHERS, fill_exactly, find_first_least, label_block, scan_block
from ._nearest import TIGHT as TIGHT
from ._rows import sqrt
from ._tiles import ROWS, WIDTH, score_tile

# Points are looked at in blocks: tiles that stay in the second-level cache.
BLOCK = 512
# Points of a cluster are compared with others by their distance, each ring from one distance to
# twice that with its own candidates.
N_RINGS, RING, RING2 = 3, np.float32(4.0), np.float32(16.0)
SMALLEST = 1e-144  # what underflows in a distance
# With so few clusters, points that may change are compared with all; with fewer features, at once.
FEW, WIDE = 16, 32
# Candidates are taken from so much (squared) farther than need be: then the others are known to
# be farther away than the nearest, and the point need not be looked at again so soon.
WIDER = np.float32(1.21)


class Framed(NamedTuple):
    """The data, and the frame that the float32 pass sees them in."""

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


@jit
def fill_between(centroids, first, block, out):
    """Write the squared distances, scaled, of some centroids to all: not above the true ones.

    ``out[other, i]`` is that of centroid ``first + i`` to another.

    `block` (WIDTH * d,) and `out` (k filled up, WIDTH) float32.
    """
    centers, half_norms = centroids.shifted, centroids.half_norms
    k, d = centroids.exact.shape
    for i in range(WIDTH):
        for j in range(d):
            block[j * WIDTH + i] = centers[min(first + i, k), j]
    for other in range(0, k, ROWS):
        score_tile(block, 0, d, centers, half_norms, other, out, other * WIDTH)
    for i in range(min(WIDTH, k - first)):
        own = np.float32(2.0) * half_norms[first + i]
        own -= own * centroids.margin
        for other in range(k):
            out[other, i] = own + np.float32(2.0) * out[other, i]


@jit
def find_spacing(centroids, everything, start, stop, scratch, spacing):
    """Write for each centroid the squared distance, scaled, to the nearest other, or less.

    The least score of a centroid is its own; the next says how far the nearest other is.

    `everything` (k filled up,) int32: all centroids; `spacing` (k,) float32.
    """
    centers, half_norms, block = centroids.shifted, centroids.half_norms, scratch.block
    d = np.int64(centers.shape[1])
    for first in range(start, stop, WIDTH):
        n = min(WIDTH, stop - first)
        for i in range(n):
            for j in range(d):
                block[j * WIDTH + i] = centers[first + i, j]
        scan_block(n, centers, half_norms, everything, block, scratch.rows)
        for i in range(n):
            own = np.float32(2.0) * half_norms[first + i]
            own -= own * centroids.margin
            spacing[first + i] = own + np.float32(2.0) * scratch.rows[OTHERS + np.uint64(i)]


@jit
def label_exactly(values, start, stop, by_feature, labels):
    """Label `values` (n, d) by brute force: float32 or 64, as `fill_exactly` takes them."""
    sq_dists = np.empty(by_feature.shape[1])
    for i in range(start, stop):
        fill_exactly(values, i, by_feature, sq_dists)
        labels[i] = find_first_least(sq_dists)


@jit
def relabel(chosen, found, labels, moved, before, n_moved):
    """Give points the labels found; append to those that had others. Return how many these are.

    `chosen`, `moved` int64; `found`, `before` int32; `labels` (n,).
    """
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

    `candidates` (k filled up,) int32.
    """
    chosen, found, labels = scratch.chosen, scratch.found, bounds.labels
    size = chosen.size
    n_moved = np.int64(0)
    for first in range(start, stop, size):  # while they are in the cache
        n = min(size, stop - first)
        for at in range(n):
            chosen[at] = first + at
        label_block(points, chosen[:n], candidates, centroids, bounds, scratch)
        n_moved = relabel(chosen[:n], found, labels, scratch.open, scratch.keys, n_moved)
    return n_moved


@jit
def list_open(start, stop, motion, bounds, indices):
    """List the points that may have a nearer centroid than their own; return how many.

    None has, with twice the distance to its own less than from there to the next centroid, or
    with the distance less than the bound of the others, which have come no nearer than they
    moved (Hamerly, "Making k-means even faster", SDM 2010). Nothing but bounds is looked at.

    `indices` (points of a chunk,) int64.
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
    """Leave out what is settled by the true distance to the own centroid; return how many stay.

    `indices` int64, of which the first `n` count.
    """
    scale, values = np.float64(points.scale), points.values
    exact, least = centroids.exact, centroids.least
    labels, upper, lower = bounds.labels, bounds.upper, bounds.lower
    n_open = 0
    for at in range(n):
        i = indices[at]
        label = labels[i]
        sq_dist = find_sq_dist(values, i, exact, label) * scale * scale
        above = sqrt(np.float32(sq_dist) * LOOSE + least) * LOOSE
        upper[i] = above
        indices[n_open] = i
        n_open += (above >= motion.apart[label]) & (above >= lower[i])
    return n_open


@jit
def settle_points(points, chosen, m, beyond, centroids, bounds, scratch, n_moved):
    """Label points with the nearest of `m` candidates; `beyond` (float32) are all the rest."""
    candidates, size = scratch.candidates, scratch.chosen.size
    lower = bounds.lower
    while m % ROWS > 0:
        candidates[m] = centroids.exact.shape[0]  # the dummy
        m += 1
    for first in range(0, chosen.size, size):
        some = chosen[first : first + size]
        label_block(points, some, candidates[:m], centroids, bounds, scratch)
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
    n_open = list_open(start, stop, motion, bounds, indices)
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
                beyond = (sqrt(limit) - np.float32(0.5) * sqrt(farthest[key])) * TIGHT
            n_moved = settle_points(
                points, order[begin:end], m, beyond, centroids, bounds, scratch, n_moved
            )
            n_compared += (end - begin) * m
    return n_moved, n_compared

"""The filter that assigns whole cells of a tree to their nearest centroids.

That of Kanungo et al. as in `filtering`, with candidates compared by differences only, so that
it is as sharp far from the origin. With z the candidate nearest to the middle of a box, and x the
corner of the box farthest towards another candidate c,

    |x - c|**2 - |x - z|**2 = (z - c) . ((z - c) + 2 (x - z))

is at most ``20 * 2**-53 * (|x - c|**2 + |x - z|**2)`` away from what is computed here, and from
the difference of what the reference computes, which is thus positive in the whole box if the left
side exceeds MARGIN times the largest ``|x - z|**2`` in it. NaN and infinity, of squares that
overflow, drop none.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit, jit_inline
from ._quanta import count_quanta, without_quanta

SIBLINGS = 16  # cells filtered at once
LANES = 16  # points compared at once
MIXED, NOBODY = -1, -2  # the owner of a cell of several clusters, and before the first assignment
MARGIN, TINY = 1e-12, 1e-300  # far above rounding, and above what underflows in a square


@jit_inline
def sq_dist_of_four(axes, x, c):
    """Return the squared distance of two points, each a tuple of four."""
    total = (x[0] - c[0]) ** 2
    if len(axes) > 1:
        total += (x[1] - c[1]) ** 2
    if len(axes) > 2:
        total += (x[2] - c[2]) ** 2
    if len(axes) > 3:
        total += (x[3] - c[3]) ** 2
    return total


@jit_inline
def add_lead(lead, z, c, way2, ext):
    """Add by how much, along one axis, z is nearer to the corner farthest towards c."""
    way = z - c
    return lead + way * (way + way2) - abs(way) * ext


@jit_inline
def move_point(axes, points, i, old, new, anchors, sums, counts):
    """Take point `i` of the copy (d, n) from the sums and counts of one cluster to another's."""
    counts[old] -= 1
    counts[new] += 1
    for j in range(len(axes)):
        value = np.float64(points[j, i])
        for level in range(len(anchors)):
            share = count_quanta(value, anchors[level])
            value = without_quanta(value, anchors[level])
            sums[old, level, j] -= share
            sums[new, level, j] += share


@jit
def filter_cells(
    axes, runs, points, cells, grids, centroids, most_waiting, owner, labels, anchors, sums, counts
):  # fmt: skip
    """Assign the points under `runs` of cells to their nearest centroids; keep the sums.

    Parameters
    ----------
    axes : tuple of int
    runs : ndarray of int64, shape (runs, 3)
        From `tree.cut_runs`.
    points : ndarray of float32 or float64, shape (d, n + LANES)
    cells, grids : tree.Cells, tree.Grids
    centroids : ndarray of float64, shape (k, d)
    most_waiting : int
        So many cells wait in the tree at once, at most.
    owner : ndarray of int32, shape (cells,)
        The cluster of a cell's points, MIXED, or NOBODY; not kept up below a cell that is not
        MIXED. It and the labels hold the assignment before and after.
    labels : ndarray of uint8, uint16 or int32, shape (n + LANES,)
    anchors : tuple or ndarray of float64, shape (limbs,)
    sums : ndarray of int64, shape (k, limbs, d)
    counts : ndarray of int64, shape (k,)
        Only changes are added to these and to the sums.
    """
    n_axes = len(axes)
    one, two, three = 1 % n_axes, 2 % n_axes, 3 % n_axes
    n_limbs = len(anchors)
    n_clusters = centroids.shape[0]
    start, stop, inner, low, high = cells.start, cells.stop, cells.inner, cells.low, cells.high
    # Vectors in one array at fixed distances: LLVM then knows that they do not overlap.
    lanes = np.zeros(20 * SIBLINGS, np.float64)
    mid = 0
    ext = 4 * SIBLINGS  # the sides of each box, and a hair more
    z_at = 8 * SIBLINGS
    way2 = 12 * SIBLINGS  # twice the way from z to the middle
    score = 16 * SIBLINGS
    z = 17 * SIBLINGS
    kept = 18 * SIBLINGS
    limit = 19 * SIBLINGS
    keep = np.empty(n_clusters * SIBLINGS, np.float64)
    point = np.zeros(6 * LANES, np.float64)
    p_best = np.uint64(4 * LANES)
    p_near = np.uint64(5 * LANES)

    # A stack of runs of siblings still to do, each with its parent's candidates, which lie in
    # `who` in the order of the stack.
    todo = np.empty((most_waiting + runs.shape[0], 4), np.int64)
    who = np.empty(n_clusters * (2 + most_waiting), np.int32)
    for q in range(n_clusters):
        who[q] = q
    n_todo = 0
    for r in range(runs.shape[0]):
        todo[n_todo, 0] = runs[r, 0]
        todo[n_todo, 1] = runs[r, 1]
        todo[n_todo, 2] = 0
        todo[n_todo, 3] = n_clusters
        n_todo += 1

    while n_todo > 0:
        n_todo -= 1
        first = todo[n_todo, 0]
        n_cells = min(todo[n_todo, 1], SIBLINGS)
        old = todo[n_todo, 2]
        n_old = todo[n_todo, 3]
        top = old + n_old
        if todo[n_todo, 1] > SIBLINGS:
            todo[n_todo, 0] += SIBLINGS
            todo[n_todo, 1] -= SIBLINGS
            n_todo += 1
        for j in range(n_axes):
            for i in range(n_cells):
                lo, hi = np.float64(low[first + i, j]), np.float64(high[first + i, j])
                middle = 0.5 * lo + 0.5 * hi
                lanes[mid + j * SIBLINGS + i] = middle
                lanes[ext + j * SIBLINGS + i] = max(hi - middle, middle - lo) * (2.0 + 1e-15)
        # z: the candidate nearest to the middle of each box.
        for i in range(SIBLINGS):
            lanes[score + i] = np.inf
            lanes[z + i] = who[old]
            lanes[kept + i] = 0.0
        for p in range(old, top):
            q = who[p]
            c = centroids[q, 0], centroids[q, one], centroids[q, two], centroids[q, three]
            name = np.float64(q)
            for i in range(SIBLINGS):
                x = (
                    lanes[mid + i],
                    lanes[mid + SIBLINGS + i],
                    lanes[mid + 2 * SIBLINGS + i],
                    lanes[mid + 3 * SIBLINGS + i],
                )
                dist = sq_dist_of_four(axes, x, c)
                least = lanes[score + i]
                nearest = lanes[z + i]
                nearer = dist < least
                lanes[score + i] = dist if nearer else least
                lanes[z + i] = name if nearer else nearest
        for i in range(n_cells):
            farthest = 0.0
            for j in range(n_axes):
                own = centroids[np.int64(lanes[z + i]), j]
                way = lanes[mid + j * SIBLINGS + i] - own
                lanes[z_at + j * SIBLINGS + i] = own
                lanes[way2 + j * SIBLINGS + i] = 2.0 * way
                farthest += (abs(way) + lanes[ext + j * SIBLINGS + i]) ** 2
            lanes[limit + i] = MARGIN * farthest + TINY
        # Drop a candidate c that z beats at the corner farthest towards it.
        for p in range(old, top):
            q = who[p]
            c = centroids[q, 0], centroids[q, one], centroids[q, two], centroids[q, three]
            at = (p - old) * SIBLINGS
            for i in range(SIBLINGS):
                lead = add_lead(0.0, lanes[z_at + i], c[0], lanes[way2 + i], lanes[ext + i])
                if n_axes > 1:
                    m = SIBLINGS + i
                    lead = add_lead(lead, lanes[z_at + m], c[1], lanes[way2 + m], lanes[ext + m])
                if n_axes > 2:
                    m = 2 * SIBLINGS + i
                    lead = add_lead(lead, lanes[z_at + m], c[2], lanes[way2 + m], lanes[ext + m])
                if n_axes > 3:
                    m = 3 * SIBLINGS + i
                    lead = add_lead(lead, lanes[z_at + m], c[3], lanes[way2 + m], lanes[ext + m])
                stays = 0.0 if lead > lanes[limit + i] else 1.0
                keep[at + i] = stays
                lanes[kept + i] += stays
        for i in range(n_cells):
            cell = first + i
            a = start[cell]
            b = stop[cell]
            was = owner[cell]
            nearest_z = np.int64(lanes[z + i])
            if was == NOBODY and (inner[cell] < 0 or lanes[kept + i] == 1.0):
                counts[nearest_z] += b - a
                for level in range(n_limbs):
                    for j in range(n_axes):
                        sums[nearest_z, level, j] += cells.sums[cell, level, j]
                was = nearest_z
                labels[a:b] = was
            if lanes[kept + i] == 1.0:
                to = nearest_z
                if was == MIXED:
                    for p in range(a, b):
                        if labels[p] != to:
                            move_point(axes, points, p, labels[p], to, anchors, sums, counts)
                    labels[a:b] = to
                elif was != to:
                    counts[was] -= b - a
                    counts[to] += b - a
                    for level in range(n_limbs):
                        for j in range(n_axes):
                            sums[was, level, j] -= cells.sums[cell, level, j]
                            sums[to, level, j] += cells.sums[cell, level, j]
                    labels[a:b] = to
                owner[cell] = to
                continue
            owner[cell] = MIXED
            n = 0
            for p in range(n_old):
                who[top + n] = who[old + p]
                n += np.int64(keep[p * SIBLINGS + i])
            if inner[cell] >= 0:
                child = grids.child[inner[cell]]
                n_children = grids.n_children[inner[cell]]
                if was != MIXED:
                    for below in range(child, child + n_children):
                        owner[below] = was
                todo[n_todo, 0] = child
                todo[n_todo, 1] = n_children
                todo[n_todo, 2] = top
                todo[n_todo, 3] = n
                n_todo += 1
                top += n
                continue
            for g in range(np.uint64(a), np.uint64(b), np.uint64(LANES)):
                for j in range(n_axes):
                    row = np.uint64(j * LANES)
                    for h in range(np.uint64(LANES)):
                        point[row + h] = points[j, g + h]
                for h in range(np.uint64(LANES)):
                    point[p_best + h] = np.inf
                    point[p_near + h] = who[top]
                # Two at a time, the last twice if need be: half the loads and stores.
                for p in range(top, top + n, 2):
                    q, r = who[p], who[min(p + 1, top + n - 1)]
                    c = centroids[q, 0], centroids[q, one], centroids[q, two], centroids[q, three]
                    e = centroids[r, 0], centroids[r, one], centroids[r, two], centroids[r, three]
                    name, other = np.float64(q), np.float64(r)
                    for h in range(np.uint64(LANES)):
                        x = (
                            point[h],
                            point[np.uint64(LANES) + h],
                            point[np.uint64(2 * LANES) + h],
                            point[np.uint64(3 * LANES) + h],
                        )
                        dist, more = sq_dist_of_four(axes, x, c), sq_dist_of_four(axes, x, e)
                        best = point[p_best + h]
                        nearest = point[p_near + h]
                        nearest = name if dist < best else nearest
                        best = dist if dist < best else best
                        point[p_near + h] = other if more < best else nearest
                        point[p_best + h] = more if more < best else best
                n_moved = 0
                for h in range(np.uint64(LANES)):
                    n_moved += np.int32(point[p_near + h]) != np.int32(labels[g + h])
                if n_moved == 0:
                    continue
                for p in range(g, min(g + np.uint64(LANES), np.uint64(b))):
                    to = np.int64(point[p_near + (p - g)])
                    if labels[p] != to:
                        move_point(axes, points, p, labels[p], to, anchors, sums, counts)
                        labels[p] = to

"""The filter that assigns whole cells of colours (`cells`) to centroids.

The arguments are those of `cells`; `colors` have `LANES` columns more. Where vectors are made, the
channels are written out, since LLVM makes none of a loop over channels inside a loop over lanes;
the tests of `n_axes` are settled when Numba compiles.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit, jit_inline

# Measured on 137,000, 708,000 and 3.8 million colours, K = 16 and 256: CELLS 64 is slower by up
# to 10 %, LANES 16 by up to 10 %.
CELLS = 32  # sibling cells filtered at once
LANES = 32  # colours compared at once
MIXED = -1  # the owner of a cell whose colours belong to more than one cluster


@jit_inline
def four_channels(axes, centroids, k):
    """Return the channels of a centroid, and zeros for those that there are not."""
    c = centroids[k]
    n = len(axes)
    return c[0], c[1] if n > 1 else 0.0, c[2] if n > 2 else 0.0, c[3] if n > 3 else 0.0


@jit
def move_color(axes, i, to, colors, weights, labels, sums):
    """Give one colour to cluster `to`."""
    weight = weights[i]
    sums[labels[i], 0] -= weight
    sums[to, 0] += weight
    for j in range(len(axes)):
        share = weight * np.int64(colors[j, i])
        sums[labels[i], 1 + j] -= share
        sums[to, 1 + j] += share
    labels[i] = to


@jit
def assign_cells(
    axes, runs, links, boxes, moments, colors, weights, centroids, margin, most_waiting, owner,
    labels, sums,
):  # fmt: skip
    """Assign the colours under `runs` of cells to their nearest centroids; keep the sums.

    The filtering algorithm of Kanungo et al., "An efficient k-means clustering algorithm:
    analysis and implementation", IEEE TPAMI 24(7), 2002: candidates are carried from a cell to
    its children, and dropped where another is nearer to the whole box. Only a difference above
    `margin`, which is far above rounding, drops one; so where it is close, the colours are
    compared one by one, by the reference's own arithmetic.

    Siblings are filtered side by side, a cell a lane: 1.4 times the speed of candidates side by
    side, which takes a minimum across the lanes for each cell.

    `centroids` are (k, c) float64, and `runs` rows of `cut_cells`. `labels`, int32 (m + LANES,),
    and `owner`, int32 (cells,), the cluster of a cell's colours, or MIXED, not kept up below a cell
    that is not MIXED, hold the assignment before and after. Only changes are added to `sums`:
    integers, so a running total is exact. At most `most_waiting` cells wait in the tree at once.
    """
    start, stop, child, n_children = links[0], links[1], links[2], links[3]
    n_axes = len(axes)
    n_clusters = centroids.shape[0]
    # Vectors in one array at fixed distances: LLVM then knows that they do not overlap.
    lanes = np.zeros(16 * CELLS, np.float64)
    lo2 = 0  # twice the low corner of each box, an axis after the other
    hi2 = 4 * CELLS
    z_at = 8 * CELLS
    score = 12 * CELLS
    z = 13 * CELLS
    kept = 14 * CELLS
    norm = 15 * CELLS
    keep = np.empty(n_clusters * CELLS, np.float64)
    point = np.zeros(6 * LANES, np.float64)
    p_best = np.uint64(4 * LANES)
    p_near = np.uint64(5 * LANES)

    # A stack of runs of siblings still to do, each with its parent's candidates, which lie in
    # `who` in the order of the stack.
    todo = np.empty((most_waiting + runs.shape[0], 4), np.int64)
    who = np.empty(n_clusters * (2 + most_waiting), np.int32)
    for q in range(n_clusters):
        who[q] = q
    n_todo = runs.shape[0]
    for r in range(runs.shape[0]):
        todo[r, 0] = runs[r, 0]
        todo[r, 1] = runs[r, 1]
        todo[r, 2] = 0
        todo[r, 3] = n_clusters

    while n_todo > 0:
        n_todo -= 1
        first = todo[n_todo, 0]
        n_cells = min(todo[n_todo, 1], CELLS)
        old = todo[n_todo, 2]
        n_old = todo[n_todo, 3]
        top = old + n_old
        if todo[n_todo, 1] > CELLS:
            todo[n_todo, 0] += CELLS
            todo[n_todo, 1] -= CELLS
            n_todo += 1
        for j in range(n_axes):
            for i in range(n_cells):
                lanes[lo2 + j * CELLS + i] = 2.0 * boxes[0, j, first + i]
                lanes[hi2 + j * CELLS + i] = 2.0 * boxes[1, j, first + i]
        # z: the candidate nearest to the middle of each box, by |c|^2 - 2 c . middle.
        for i in range(CELLS):
            lanes[score + i] = np.inf
            lanes[kept + i] = 0.0
        for p in range(old, top):
            q = np.float64(who[p])
            c0, c1, c2, c3 = four_channels(axes, centroids, who[p])
            cc = c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3
            for i in range(CELLS):
                dist = cc - 0.5 * c0 * (lanes[lo2 + i] + lanes[hi2 + i])
                if n_axes > 1:
                    dist -= 0.5 * c1 * (lanes[lo2 + CELLS + i] + lanes[hi2 + CELLS + i])
                if n_axes > 2:
                    dist -= 0.5 * c2 * (lanes[lo2 + 2 * CELLS + i] + lanes[hi2 + 2 * CELLS + i])
                if n_axes > 3:
                    dist -= 0.5 * c3 * (lanes[lo2 + 3 * CELLS + i] + lanes[hi2 + 3 * CELLS + i])
                least = lanes[score + i]
                nearest = lanes[z + i]
                nearer = dist < least
                lanes[score + i] = dist if nearer else least
                lanes[z + i] = q if nearer else nearest
        for i in range(n_cells):
            total = 0.0
            for j in range(n_axes):
                c = centroids[np.int64(lanes[z + i]), j]
                lanes[z_at + j * CELLS + i] = c
                total += c * c
            lanes[norm + i] = total
        # Keep a candidate c that z does not beat at the corner x farthest towards it, where
        # |x - c|^2 - |x - z|^2 = |c|^2 - |z|^2 + 2 x . (z - c) is least.
        for p in range(old, top):
            c0, c1, c2, c3 = four_channels(axes, centroids, who[p])
            cc = c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3 - margin
            at = (p - old) * CELLS
            for i in range(CELLS):
                way = lanes[z_at + i] - c0
                lead = cc - lanes[norm + i] + min(way * lanes[lo2 + i], way * lanes[hi2 + i])
                if n_axes > 1:
                    way = lanes[z_at + CELLS + i] - c1
                    lead += min(way * lanes[lo2 + CELLS + i], way * lanes[hi2 + CELLS + i])
                if n_axes > 2:
                    way = lanes[z_at + 2 * CELLS + i] - c2
                    lead += min(way * lanes[lo2 + 2 * CELLS + i], way * lanes[hi2 + 2 * CELLS + i])
                if n_axes > 3:
                    way = lanes[z_at + 3 * CELLS + i] - c3
                    lead += min(way * lanes[lo2 + 3 * CELLS + i], way * lanes[hi2 + 3 * CELLS + i])
                stays = 1.0 if lead <= 0.0 else 0.0
                keep[at + i] = stays
                lanes[kept + i] += stays
        for i in range(n_cells):
            cell = first + i
            a = start[cell]
            b = stop[cell]
            was = owner[cell]
            if lanes[kept + i] == 1.0:
                to = np.int32(lanes[z + i])
                if was == MIXED:
                    for p in range(a, b):
                        if labels[p] != to:
                            move_color(axes, p, to, colors, weights, labels, sums)
                elif was != to:
                    for j in range(n_axes + 1):
                        sums[was, j] -= moments[cell, j]
                        sums[to, j] += moments[cell, j]
                    labels[a:b] = to
                owner[cell] = to
                continue
            owner[cell] = MIXED
            n = 0
            for p in range(n_old):
                who[top + n] = who[old + p]
                n += np.int64(keep[p * CELLS + i])
            if n_children[cell] > 0:
                if was != MIXED:
                    owner[child[cell] : child[cell] + n_children[cell]] = was
                todo[n_todo, 0] = child[cell]
                todo[n_todo, 1] = n_children[cell]
                todo[n_todo, 2] = top
                todo[n_todo, 3] = n
                n_todo += 1
                top += n
                continue
            for g in range(np.uint64(a), np.uint64(b), np.uint64(LANES)):
                for j in range(n_axes):
                    row = np.uint64(j * LANES)
                    for h in range(np.uint64(LANES)):
                        point[row + h] = colors[j, g + h]
                for h in range(np.uint64(LANES)):
                    point[p_best + h] = np.inf
                for p in range(top, top + n):
                    q = np.float64(who[p])
                    c0, c1, c2, c3 = four_channels(axes, centroids, who[p])
                    for h in range(np.uint64(LANES)):
                        d = (point[h] - c0) ** 2
                        if n_axes > 1:
                            d += (point[np.uint64(LANES) + h] - c1) ** 2
                        if n_axes > 2:
                            d += (point[np.uint64(2 * LANES) + h] - c2) ** 2
                        if n_axes > 3:
                            d += (point[np.uint64(3 * LANES) + h] - c3) ** 2
                        best = point[p_best + h]
                        nearest = point[p_near + h]
                        nearer = d < best
                        point[p_best + h] = d if nearer else best
                        point[p_near + h] = q if nearer else nearest
                for i in range(g, min(g + np.uint64(LANES), np.uint64(b))):
                    to = np.int32(point[p_near + (i - g)])
                    if labels[i] != to:
                        move_color(axes, i, to, colors, weights, labels, sums)

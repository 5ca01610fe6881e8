"""Colours in a tree of cells, and the filter that assigns whole cells to centroids.

Colours sorted by Morton key make a tree with no pointers to store: each cube of colour space is
one run of colours. A *cell* is such a cube with its run ``start:stop``, its tight box
``low..high``, and its moments (weight, then the weighted sum of each channel). It splits into
cubes of half its side, or of a quarter where it holds many colours; these are its children,
``child : child + n_children``. Cells stand level by level, siblings together.

Every kernel takes `axes`, a tuple of the channel numbers. Its length is known when Numba
compiles, so that loops over the channels unroll.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit

# Measured on 137,000, 708,000 and 3.8 million colours, K = 16 and 256: LEAF 48 is slower by 15
# to 60 %, 256 and 512 are as fast; CELLS 64 is slower by up to 10 %, LANES 16 by up to 10 %.
LEAF = 128  # a cell of at most so many colours is not split
CELLS = 32  # sibling cells filtered at once
LANES = 32  # colours compared at once
MIXED = -1  # the owner of a cell whose colours belong to more than one cluster


@jit
def build_cells(axes, keys, start, stop, child, n_children):
    """Split the sorted colours into cells. Return how many there are, or -1 where they do not fit.

    Levels that split nothing are left out.
    """
    n_axes = len(axes)
    bits = np.uint64(n_axes)
    start[0] = 0
    stop[0] = keys.size
    n = 1
    cell = 0
    while cell < n:
        at = start[cell]
        end = stop[cell]
        child[cell] = n
        # The highest level at which the first and the last key differ.
        differ = np.uint64(keys[at]) ^ np.uint64(keys[end - 1])
        shift = np.uint64(0)
        while (differ >> shift) >> bits != 0:
            shift += bits
        if end - at > (LEAF << n_axes) and shift != 0:
            shift -= bits
        if end - at > LEAF:
            while at < end:
                if n == start.size:
                    return -1
                start[n] = at
                value = np.uint64(keys[at]) >> shift
                # Gallop, then bisect, to the last key of this child.
                step = 1
                while at + step < end and np.uint64(keys[at + step]) >> shift == value:
                    at += step
                    step *= 2
                high = min(at + step, end)
                while high - at > 1:
                    middle = (at + high) >> 1
                    if np.uint64(keys[middle]) >> shift == value:
                        at = middle
                    else:
                        high = middle
                at += 1
                stop[n] = at
                n += 1
        n_children[cell] = n - child[cell]
        cell += 1
    return n


@jit
def measure_leaves(axes, first, last, start, stop, n_children, colors, weights, low, high, moments):
    """Write the boxes and moments of the leaves among the cells ``first:last``."""
    n_axes = len(axes)
    for cell in range(first, last):
        if n_children[cell] > 0:
            continue
        weight = np.int64(0)
        for i in range(np.uint64(start[cell]), np.uint64(stop[cell])):
            weight += weights[i]
        moments[cell, 0] = weight
        for j in range(n_axes):
            lo = colors[j, start[cell]]
            hi = lo
            total = np.int64(0)
            for i in range(np.uint64(start[cell]), np.uint64(stop[cell])):
                x = colors[j, i]
                lo = min(lo, x)
                hi = max(hi, x)
                total += np.int64(x) * weights[i]
            low[j, cell] = lo
            high[j, cell] = hi
            moments[cell, 1 + j] = total


@jit
def measure_parents(axes, child, n_children, low, high, moments):
    """Write the boxes and moments of the cells with children, from the last to the first."""
    n_axes = len(axes)
    for cell in range(child.size - 1, -1, -1):
        if n_children[cell] == 0:
            continue
        first = child[cell]
        last = first + n_children[cell]
        for j in range(n_axes):
            lo = low[j, first]
            hi = high[j, first]
            for i in range(first, last):
                lo = min(lo, low[j, i])
                hi = max(hi, high[j, i])
            low[j, cell] = lo
            high[j, cell] = hi
        for j in range(n_axes + 1):
            total = np.int64(0)
            for i in range(first, last):
                total += moments[i, j]
            moments[cell, j] = total


@jit
def cut_cells(limit, start, stop, child, n_children, runs):
    """Cover the colours with runs of siblings, each cell of at most `limit` colours or a leaf.

    Writes (first cell, number of cells, number of colours) rows; returns how many.
    """
    if stop[0] - start[0] <= limit or n_children[0] == 0:
        runs[0, 0] = 0
        runs[0, 1] = 1
        runs[0, 2] = stop[0]
        return 1
    n = 0
    for cell in range(child.size):
        if stop[cell] - start[cell] <= limit:
            continue
        last = child[cell] + n_children[cell]
        first = child[cell]
        for i in range(first, last + 1):
            if i == last or (stop[i] - start[i] > limit and n_children[i] > 0):
                if i > first:
                    runs[n, 0] = first
                    runs[n, 1] = i - first
                    runs[n, 2] = stop[i - 1] - start[first]
                    n += 1
                first = i + 1
    return n


@jit
def weigh_levels(channel, weights, out):
    """Add up the weight of the colours at each level of a channel."""
    for i in range(weights.size):
        out[channel[i]] += weights[i]


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
    axes, runs, start, stop, child, n_children, low, high, moments, colors, weights, centroids,
    margin, most_waiting, owner, labels, sums,
):  # fmt: skip
    """Assign the colours under `runs` of cells to their nearest centroids; keep the sums.

    The filtering algorithm of Kanungo et al., "An efficient k-means clustering algorithm:
    analysis and implementation", IEEE TPAMI 24(7), 2002: candidates are carried from a cell to
    its children, and dropped where another is nearer to the whole box. Only a difference above
    `margin`, which is far above rounding, drops one; so where it is close, the colours are
    compared one by one, by the reference's own arithmetic.

    Siblings are filtered side by side, a cell a lane: 1.4 times the speed of candidates side by
    side, which takes a minimum across the lanes for each cell.

    `labels` (of the colours) and `owner` (the cluster of a cell's colours, or MIXED; not kept up
    below a cell that is not MIXED) hold the assignment before and after. Only changes are added
    to `sums`, (weight, channel sums) of each cluster: integers, so a running total is exact.
    At most `most_waiting` cells wait in the tree at once.
    """
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
                lanes[lo2 + j * CELLS + i] = 2.0 * low[j, first + i]
                lanes[hi2 + j * CELLS + i] = 2.0 * high[j, first + i]
        # z: the candidate nearest to the middle of each box, by |c|^2 - 2 c . middle.
        for i in range(CELLS):
            lanes[score + i] = np.inf
            lanes[kept + i] = 0.0
        for p in range(old, top):
            q = np.float64(who[p])
            c0 = centroids[who[p], 0]
            c1 = centroids[who[p], 1] if n_axes > 1 else 0.0
            c2 = centroids[who[p], 2] if n_axes > 2 else 0.0
            c3 = centroids[who[p], 3] if n_axes > 3 else 0.0
            cc = c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3
            h0 = 0.5 * c0
            h1 = 0.5 * c1
            h2 = 0.5 * c2
            h3 = 0.5 * c3
            for i in range(CELLS):
                dist = cc - h0 * (lanes[lo2 + i] + lanes[hi2 + i])
                if n_axes > 1:
                    dist -= h1 * (lanes[lo2 + CELLS + i] + lanes[hi2 + CELLS + i])
                if n_axes > 2:
                    dist -= h2 * (lanes[lo2 + 2 * CELLS + i] + lanes[hi2 + 2 * CELLS + i])
                if n_axes > 3:
                    dist -= h3 * (lanes[lo2 + 3 * CELLS + i] + lanes[hi2 + 3 * CELLS + i])
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
            c0 = centroids[who[p], 0]
            c1 = centroids[who[p], 1] if n_axes > 1 else 0.0
            c2 = centroids[who[p], 2] if n_axes > 2 else 0.0
            c3 = centroids[who[p], 3] if n_axes > 3 else 0.0
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
                    for below in range(child[cell], child[cell] + n_children[cell]):
                        owner[below] = was
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
                    c0 = centroids[who[p], 0]
                    c1 = centroids[who[p], 1] if n_axes > 1 else 0.0
                    c2 = centroids[who[p], 2] if n_axes > 2 else 0.0
                    c3 = centroids[who[p], 3] if n_axes > 3 else 0.0
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

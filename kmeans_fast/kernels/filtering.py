"""The filter that assigns whole cells of colours (`cells`) to centroids.

The arguments are those of `cells`; `colors` have `LANES` columns more. Where vectors are made, the
channels are written out, since LLVM makes none of a loop over channels inside a loop over lanes;
the tests of `n_axes` are settled when Numba compiles.
"""

from __future__ import annotations

import numpy as np

from ._bits import BITS, find_flags, lowest_bit
from ._jit import jit, jit_inline
from ._rows import sqrt
from .cells import take_run
from .leaves import NEAR, four_channels, move_color, settle_leaves

# Measured on 137,000, 708,000 and 3.8 million colours, K = 16 and 256: 64 is slower by up to 10 %.
CELLS = 32  # sibling cells filtered at once
MIXED = -1  # the owner of a cell whose colours belong to more than one cluster
SEEN = 256  # candidates that siblings remember, at the most
MANY = 256  # leaves that are settled one after the other
# Where the candidates of siblings come from.
FILTERED, ALL_THERE_ARE, SEEN_BEFORE = 0, 1, 2


@jit_inline
def bound_gap(radius2, lead):
    """Return how much farther than `z` a centroid is, at least, from all of a box.

    ``|x - c| - |x - z|`` where ``|x - c|^2 - |x - z|^2 >= lead`` and ``|x - z|^2 <= radius2``.
    """
    return sqrt(radius2 + lead) - sqrt(radius2)


@jit
def find_gap(axes, cell, boxes, centroids, c, z, margin):
    """Return how much farther than `z` centroid `c` is, at least, from all of a box, or -1."""
    lead = -margin
    radius2 = 0.0
    for j in range(len(axes)):
        low, high = np.float64(boxes[0, j, cell]), np.float64(boxes[1, j, cell])
        way = centroids[z, j] - centroids[c, j]
        lead += centroids[c, j] ** 2 - centroids[z, j] ** 2 + 2.0 * min(way * low, way * high)
        radius2 += max((centroids[z, j] - low) ** 2, (high - centroids[z, j]) ** 2)
    return bound_gap(radius2, lead) if lead > 0.0 else -1.0


@jit
def assign_cells(
    axes, runs, taken, me, links, boxes, moments, colors, weights, centroids, before, margin,
    most_waiting, labels, rows, seen, middles, owners, left, near, rooms, sums,
):  # fmt: skip
    """Assign the colours under `runs` of cells to their nearest centroids; keep the sums.

    As thread `me` of those that take runs (`take_run`).

    The filtering algorithm of Kanungo et al., "An efficient k-means clustering algorithm:
    analysis and implementation", IEEE TPAMI 24(7), 2002: candidates are carried from a cell to
    its children, and dropped where another is nearer to the whole box. Only a difference above
    `margin`, which is far above rounding, drops one; so where it is close, the colours are
    compared one by one (`leaves`).

    Siblings are filtered side by side, a cell a lane: 1.4 times the speed of candidates side by
    side, which takes a minimum across the lanes for each cell.

    A cell is left alone for as long as what was known when it was last filtered holds, by how far
    centroids have moved since: the bounds of Hamerly ("Making k-means even faster", SDM 2010), of
    boxes. What it knows is in `leaves`. A candidate that was dropped is held against the one
    nearest to the middle (`left`), and the candidates of a leaf against each other (`rooms`). These
    bounds are about whom the parent has `seen`, int32 (runs of siblings, 1 + SEEN): a number, and
    as many candidates; in the row `rows` (cells,) of the parent. Whom it sees for the first time is
    held against its children one by one.

    `centroids` are (k, c) float64, and those of the last call `before`; `runs` are rows of
    `cut_cells`. `labels`, int32 (m + LANES,), and `owners`, a cluster or MIXED, not kept up below a
    cell that is not MIXED, hold the assignment before and after. Only changes are added to `sums`:
    integers, so a running total is exact. At most `most_waiting` cells wait in the tree at once.
    """
    start, stop, child, n_children = links[0], links[1], links[2], links[3]
    n_axes = len(axes)
    n_clusters = centroids.shape[0]
    n_known = seen.shape[1] - 1
    tiny = 1e-6 * sqrt(margin)  # far above what rounding does to a distance
    # Vectors in one array at fixed distances: LLVM then knows that they do not overlap.
    lanes = np.zeros(18 * CELLS, np.float64)
    lo2 = 0  # twice the low corner of each box, an axis after the other
    hi2 = 4 * CELLS
    z_at = 8 * CELLS
    score = 12 * CELLS
    z = 13 * CELLS
    kept = 14 * CELLS
    norm = 15 * CELLS
    dropped = 16 * CELLS
    radius2 = 17 * CELLS
    keep = np.empty(n_clusters * CELLS, np.float64)
    cells = np.empty(CELLS, np.int64)
    new = np.empty(n_known, np.int32)
    both = np.empty(2 * n_known, np.int32)
    flags = np.zeros(BITS, np.int32)
    stamp = np.zeros(n_clusters, np.int64)
    stamped = 0
    drift = np.empty(n_clusters, np.float64)
    for q in range(n_clusters):
        total = 0.0
        for j in range(n_axes):
            total += (centroids[q, j] - before[q, j]) ** 2
        drift[q] = sqrt(total)

    # A stack of runs of siblings still to do: first, number, where its parent's candidates are in
    # `who`, in the order of the stack, how many, where these come from, and the row in `seen`.
    todo = np.empty((most_waiting + 1, 6), np.int64)
    who = np.empty((n_clusters + n_known) * (2 + most_waiting), np.int32)
    for q in range(n_clusters):
        who[q] = q
    # Leaves that are to be looked into, and their candidates.
    leaves = np.empty((MANY + CELLS, 3), np.int64)
    pool = np.empty((MANY + n_clusters + NEAR) * CELLS, np.int32)
    n_leaves = 0
    n_pool = 0
    n_todo = 0
    while True:
        if n_todo == 0:
            run = take_run(runs.shape[0], taken, me)
            if run < 0:
                break
            todo[0, 0] = runs[run, 0]
            todo[0, 1] = runs[run, 1]
            todo[0, 2] = 0
            todo[0, 3] = n_clusters
            todo[0, 4] = ALL_THERE_ARE
            todo[0, 5] = 0
            n_todo = 1
        if n_leaves > MANY or n_pool > MANY * CELLS:
            settle_leaves(
                axes, leaves, n_leaves, pool, links, boxes, colors, weights, centroids, margin,
                labels, middles, rooms, sums,
            )  # fmt: skip
            n_leaves = 0
            n_pool = 0
        n_todo -= 1
        first = todo[n_todo, 0]
        n_cells = min(todo[n_todo, 1], CELLS)
        old = todo[n_todo, 2]
        n_old = todo[n_todo, 3]
        source = todo[n_todo, 4]
        row = todo[n_todo, 5]
        end = old + n_old  # of what stays in `who` for the other runs of a split
        if todo[n_todo, 1] > CELLS:
            todo[n_todo, 0] += CELLS
            todo[n_todo, 1] -= CELLS
            todo[n_todo, 5] += 1
            n_todo += 1
        # Whom these siblings know.
        forgot = False
        changed = False
        n_new = 0
        top = end
        if source == SEEN_BEFORE:
            n_old = np.int64(seen[row, 0])
            old = end
            top = old + n_old
            for p in range(n_old):
                who[old + p] = seen[row, 1 + p]
        elif source == FILTERED:
            n_seen = seen[row, 0]
            forgot = n_seen < 0 or n_old > n_known
            if not forgot:
                stamped += 1
                for p in range(1, 1 + n_seen):
                    stamp[seen[row, p]] = stamped
                for p in range(old, end):
                    if stamp[who[p]] != stamped:
                        new[n_new] = who[p]
                        n_new += 1
                if n_seen + n_new > min(n_known, n_old + n_old // 2 + 4):
                    n_seen = n_old  # those that went are forgotten
                    changed = True
                    for p in range(n_old):
                        seen[row, 1 + p] = who[old + p]
                elif n_new > 0:  # merged, in order
                    a = 0
                    for p in range(n_seen):
                        while a < n_new and new[a] < seen[row, 1 + p]:
                            both[p + a] = new[a]
                            a += 1
                        both[p + a] = seen[row, 1 + p]
                    while a < n_new:
                        both[n_seen + a] = new[a]
                        a += 1
                    n_seen += n_new
                    for p in range(n_seen):
                        seen[row, 1 + p] = both[p]
                seen[row, 0] = n_seen
                n_old = np.int64(n_seen)
                old = end
                top = old + n_old
                for p in range(n_old):
                    who[old + p] = seen[row, 1 + p]
            elif n_old <= n_known:
                seen[row, 0] = n_old
                for p in range(n_old):
                    seen[row, 1 + p] = who[old + p]
            else:
                seen[row, 0] = -1
        longest = 0.0
        for p in range(old, top):
            longest = max(longest, drift[who[p]])
        if longest == 0.0 and n_new == 0 and not (forgot or changed):
            continue
        # Which cells may have changed: not leaves that one cluster owns, while bounds hold.
        if forgot:
            for i in range(CELLS):
                flags[i] = i < n_cells
        else:
            for i in range(CELLS):
                flags[i] = 0
            for i in range(np.uint64(n_cells)):
                cell = np.uint64(first) + i
                gap = left[cell] - (drift[np.uint64(middles[cell])] + longest)
                left[cell] = gap
                rests = (gap > 0.0) & (owners[cell] != MIXED) & (n_children[cell] == 0)
                flags[i] = 0 if rests and n_new == 0 else 1
        bits = find_flags(flags)
        n_lanes = 0
        while bits != np.uint64(0):
            cell = np.uint64(first + lowest_bit(bits))
            bits &= bits - np.uint64(1)
            if not forgot:
                gap = left[cell]
                for p in range(n_new):
                    new_gap = find_gap(axes, cell, boxes, centroids, new[p], middles[cell], margin)
                    gap = min(gap, new_gap - tiny)
                left[cell] = gap
                is_mixed = owners[cell] == MIXED
                if not gap > 0.0:  # or not a number, where distances overflow
                    pass
                elif n_children[cell] > 0:
                    if is_mixed and seen[rows[cell], 0] >= 0:
                        todo[n_todo, 0] = child[cell]
                        todo[n_todo, 1] = n_children[cell]
                        todo[n_todo, 2] = top
                        todo[n_todo, 3] = 0
                        todo[n_todo, 4] = SEEN_BEFORE
                        todo[n_todo, 5] = rows[cell]
                        n_todo += 1
                        continue
                elif not is_mixed:
                    continue
                elif near[cell, 0] > 0:
                    n = np.int64(near[cell, 0])
                    # How much |x - c|^2 changes is linear in x: from the middle of the box on.
                    least = np.inf
                    most = -np.inf
                    moves = 0.0
                    for p in range(np.uint64(1), np.uint64(1 + n)):
                        q = np.uint64(near[cell, p])
                        middle = 0.0
                        side = 0.0
                        for j in range(n_axes):
                            low, high = np.float64(boxes[0, j, cell]), np.float64(boxes[1, j, cell])
                            way = centroids[q, j] - before[q, j]
                            middle += way * (centroids[q, j] + before[q, j] - (low + high))
                            side += abs(way) * (high - low)
                        moves += drift[q]
                        least = min(least, middle - side)
                        most = max(most, middle + side)
                    if moves > 0.0:
                        rooms[cell] -= most - least + margin
                    if moves > 0.0 and not rooms[cell] > 0.0:
                        leaves[n_leaves, 0] = cell
                        leaves[n_leaves, 1] = n_pool
                        leaves[n_leaves, 2] = n
                        n_leaves += 1
                        for p in range(n):
                            pool[n_pool + p] = near[cell, 1 + p]
                        n_pool += n
                    continue
            cells[n_lanes] = cell
            n_lanes += 1
        if n_lanes == 0:
            continue
        n_pad = np.uint64((n_lanes + 7) & -8)
        for j in range(n_axes):
            for i in range(n_lanes):
                lanes[lo2 + j * CELLS + i] = 2.0 * boxes[0, j, cells[i]]
                lanes[hi2 + j * CELLS + i] = 2.0 * boxes[1, j, cells[i]]
        # z: the candidate nearest to the middle of each box, by |c|^2 - 2 c . middle.
        for i in range(CELLS):
            lanes[score + i] = np.inf
            lanes[kept + i] = 0.0
            lanes[dropped + i] = np.inf
        for p in range(old, top):
            q = np.float64(who[p])
            c0, c1, c2, c3 = four_channels(axes, centroids, who[p])
            cc = c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3
            for i in range(n_pad):
                dist = cc - 0.5 * c0 * (lanes[lo2 + i] + lanes[hi2 + i])
                if n_axes > 1:
                    dist -= 0.5 * c1 * (lanes[lo2 + CELLS + i] + lanes[hi2 + CELLS + i])
                if n_axes > 2:
                    dist -= 0.5 * c2 * (lanes[lo2 + 2 * CELLS + i] + lanes[hi2 + 2 * CELLS + i])
                if n_axes > 3:
                    dist -= 0.5 * c3 * (lanes[lo2 + 3 * CELLS + i] + lanes[hi2 + 3 * CELLS + i])
                lowest = lanes[score + i]
                nearest = lanes[z + i]
                nearer = dist < lowest
                lanes[score + i] = dist if nearer else lowest
                lanes[z + i] = q if nearer else nearest
        for i in range(n_lanes):
            total = 0.0
            r2 = 0.0
            for j in range(n_axes):
                c = centroids[np.int64(lanes[z + i]), j]
                lanes[z_at + j * CELLS + i] = c
                total += c * c
                below = c - 0.5 * lanes[lo2 + j * CELLS + i]
                above = 0.5 * lanes[hi2 + j * CELLS + i] - c
                r2 += max(below * below, above * above)
            lanes[norm + i] = total
            lanes[radius2 + i] = r2
        # Keep a candidate c that z does not beat at the corner x farthest towards it, where
        # |x - c|^2 - |x - z|^2 = |c|^2 - |z|^2 + 2 x . (z - c) is least.
        for p in range(old, top):
            c0, c1, c2, c3 = four_channels(axes, centroids, who[p])
            cc = c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3 - margin
            at = (p - old) * CELLS
            for i in range(n_pad):
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
                goes = lead > 0.0
                keep[at + i] = 0.0 if goes else 1.0
                lanes[kept + i] += 0.0 if goes else 1.0
                lanes[dropped + i] = min(lanes[dropped + i], lead if goes else np.inf)
        for i in range(n_lanes):
            cell = cells[i]
            a = start[cell]
            b = stop[cell]
            was = owners[cell]
            to = np.int32(lanes[z + i])
            middles[cell] = to
            left[cell] = bound_gap(lanes[radius2 + i], lanes[dropped + i]) - tiny
            if lanes[kept + i] == 1.0:
                if was == MIXED:
                    for p in range(a, b):
                        if labels[p] != to:
                            move_color(axes, p, to, colors, weights, labels, sums)
                elif was != to:
                    for j in range(n_axes + 1):
                        sums[was, j] -= moments[cell, j]
                        sums[to, j] += moments[cell, j]
                    labels[a:b] = to
                owners[cell] = to
                continue
            owners[cell] = MIXED
            n = 0
            for p in range(n_old):
                who[top + n] = who[old + p]
                n += np.int64(keep[p * CELLS + i])
            if n_children[cell] > 0:
                if was != MIXED:
                    last = child[cell] + n_children[cell]
                    owners[child[cell] : last] = was
                    for p in range(-(-n_children[cell] // CELLS)):
                        seen[rows[cell] + p, 0] = -1
                todo[n_todo, 0] = child[cell]
                todo[n_todo, 1] = n_children[cell]
                todo[n_todo, 2] = top
                todo[n_todo, 3] = n
                todo[n_todo, 4] = FILTERED
                todo[n_todo, 5] = rows[cell]
                n_todo += 1
                top += n
                continue
            near[cell, 0] = n if n <= NEAR else 0
            leaves[n_leaves, 0] = cell
            leaves[n_leaves, 1] = n_pool
            leaves[n_leaves, 2] = n
            n_leaves += 1
            for p in range(n):
                pool[n_pool + p] = who[top + p]
                if n <= NEAR:
                    near[cell, 1 + p] = who[top + p]
            n_pool += n
    settle_leaves(
        axes, leaves, n_leaves, pool, links, boxes, colors, weights, centroids, margin, labels,
        middles, rooms, sums,
    )  # fmt: skip

"""Greedy k-means++ over a tree of cells (`tree`), which skips what a new center cannot change.

``closest[i]`` is the squared distance of point `i` of the tree's copy to the nearest center so
far, in float32, scaled, differences first, and rounded to 8 bits after the point: two bytes, so
that a fit stays within its memory. Probabilities are a part in 500 off, and any order of work
gives the same. For each cell, `far` is the largest of them and `potential` their sum in whole
quanta. A center changes nothing in a cell whose box is at least `far` away from it.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit, jit_inline
from ._quanta import count_quanta

SIZE = 512  # points worked on at a time
SLOTS = 256  # that the points of a cell are spread over, to find one
# A center is taken to be nearer to a box than it is by so much, for rounding.
NEARER = 1.0 - 1e-5


@jit_inline
def expand(code):
    """Return the number that a code stands for: the bits of a float32 but for the last."""
    return np.uint32(np.uint32(code) << np.uint32(15)).view(np.float32)


@jit
def fill_codes(axes, points, start, n, center, scale, sq_dists, codes):
    """Write the codes of the squared distances of `n` points to a center.

    `points` (d, n) float32 or float64, `center` (d,) in that type, `sq_dists` (SIZE,) float32,
    `codes` (SIZE,) uint16.
    """
    n_axes = len(axes)
    c0, c1 = center[0], center[1 % n_axes]
    c2, c3 = center[2 % n_axes], center[3 % n_axes]
    first = np.uint64(start)
    for i in range(np.uint64(n)):
        t = np.float32((points[0, first + i] - c0) * scale)
        total = t * t
        if n_axes > 1:
            t = np.float32((points[1 % n_axes, first + i] - c1) * scale)
            total += t * t
        if n_axes > 2:
            t = np.float32((points[2 % n_axes, first + i] - c2) * scale)
            total += t * t
        if n_axes > 3:
            t = np.float32((points[3 % n_axes, first + i] - c3) * scale)
            total += t * t
        sq_dists[i] = total
    bits = sq_dists.view(np.uint32)
    for i in range(np.uint64(n)):
        codes[i] = np.uint16((bits[i] + np.uint32(1 << 14)) >> np.uint32(15))


@jit
def add_codes(codes, start, n, anchor):
    """Return the sum of what `codes` (n,) uint16 stand for, in quanta."""
    total = np.int64(0)
    first = np.uint64(start)
    for i in range(np.uint64(n)):
        total += count_quanta(np.float64(expand(codes[first + i])), anchor)
    return total


@jit_inline
def make_scratch(cells, grids):
    """Return room for cells to do, leaves and grids reached, and distances with their codes."""
    todo = np.empty(grids.cell.size, np.int32)
    leaves = np.empty(cells.start.size, np.int32)
    parents = np.empty(grids.cell.size, np.int32)
    return todo, leaves, parents, np.empty(SIZE, np.float32), np.empty(SIZE, np.uint16)


@jit
def reach_leaves(axes, cells, grids, center, scale, far, todo, leaves, parents):
    """Write the leaves in which a center may be nearest to a point, and the grids above them.

    Returns how many there are of both; `todo` is scratch.

    `center` (d,) in the points' type; `far` (cells,) uint16; `leaves` (cells,), `todo` and
    `parents` (grids,) int32.
    """
    low, high, inner = cells.low, cells.high, cells.inner
    n_leaves = 0
    n_parents = 1
    parents[0] = 0
    todo[0] = 0
    n_todo = 1
    while n_todo > 0:
        n_todo -= 1
        g = todo[n_todo]
        for cell in range(grids.child[g], grids.child[g] + grids.n_children[g]):
            total = 0.0
            for j in range(len(axes)):
                gap = max(
                    np.float64(low[cell, j]) - np.float64(center[j]),
                    np.float64(center[j]) - np.float64(high[cell, j]),
                )
                gap = max(gap, 0.0) * scale
                total += gap * gap
            if total * NEARER >= np.float64(expand(far[cell])):
                continue
            if inner[cell] >= 0:
                parents[n_parents] = inner[cell]
                n_parents += 1
                todo[n_todo] = inner[cell]
                n_todo += 1
            else:
                leaves[n_leaves] = cell
                n_leaves += 1
    return n_leaves, n_parents


@jit
def find_gains(
    axes, points, cells, grids, centers, first, last, scale, closest, far, anchor, out
):  # fmt: skip
    """Write by how much each of some centers, alone, would lower the potential.

    Returns how many distances were worked out.

    `points` (d, n) and `centers` (m, d) in one type; `closest` (n,), `far` (cells,) uint16; `out`
    (m,) int64.
    """
    start, stop = cells.start, cells.stop
    todo, leaves, parents, sq_dists, codes = make_scratch(cells, grids)
    n_tried = 0
    for c in range(first, last):
        center = centers[c]
        n_leaves, _ = reach_leaves(axes, cells, grids, center, scale, far, todo, leaves, parents)
        gain = np.int64(0)
        for at in range(n_leaves):
            cell = leaves[at]
            n_tried += stop[cell] - start[cell]
            for begin in range(start[cell], stop[cell], SIZE):
                n = min(SIZE, stop[cell] - begin)
                fill_codes(axes, points, begin, n, center, scale, sq_dists, codes)
                for i in range(np.uint64(n)):
                    now = closest[np.uint64(begin) + i]
                    lower = codes[i] if codes[i] < now else now
                    before = count_quanta(np.float64(expand(now)), anchor)
                    after = count_quanta(np.float64(expand(lower)), anchor)
                    gain += before - after
        out[c] = gain
    return n_tried


@jit
def add_center(
    axes, points, cells, grids, center, scale, closest, far, potential, anchor
):  # fmt: skip
    """Lower `closest` to a new center, and bring `far` and `potential` up to date.

    `points` (d, n) and `center` (d,) in one type; `closest` (n,), `far` (cells,) uint16;
    `potential` (cells,) int64.
    """
    start, stop = cells.start, cells.stop
    todo, leaves, parents, sq_dists, codes = make_scratch(cells, grids)
    n_leaves, n_parents = reach_leaves(
        axes, cells, grids, center, scale, far, todo, leaves, parents
    )
    for at in range(n_leaves):
        cell = leaves[at]
        most = np.uint16(0)
        total = np.int64(0)
        for begin in range(start[cell], stop[cell], SIZE):
            n = min(SIZE, stop[cell] - begin)
            fill_codes(axes, points, begin, n, center, scale, sq_dists, codes)
            for i in range(np.uint64(n)):
                now = closest[np.uint64(begin) + i]
                lower = codes[i] if codes[i] < now else now
                closest[np.uint64(begin) + i] = lower
                most = lower if lower > most else most
            total += add_codes(closest, begin, n, anchor)
        far[cell] = most
        potential[cell] = total
    add_grids(grids, parents[:n_parents], far, potential)


@jit
def add_grids(grids, parents, far, potential):
    """Bring cells with children up to date; parents stand before their children.

    `parents` int32, `far` (cells,) uint16, `potential` (cells,) int64.
    """
    for p in range(parents.size - 1, -1, -1):
        g = parents[p]
        most = np.uint16(0)
        total = np.int64(0)
        for cell in range(grids.child[g], grids.child[g] + grids.n_children[g]):
            most = far[cell] if far[cell] > most else most
            total += potential[cell]
        far[grids.cell[g]] = most
        potential[grids.cell[g]] = total


@jit
def add_up_leaves(cells, closest, potential, anchor):
    """Write the `potential` (cells,) int64 of the leaves anew, for other quanta."""
    for cell in range(cells.start.size):
        if cells.inner[cell] < 0:
            a, b = cells.start[cell], cells.stop[cell]
            potential[cell] = add_codes(closest, a, b - a, anchor)


@jit
def draw_below(
    axes, points, cells, grids, closest, potential, anchor, tops, left, out
):  # fmt: skip
    """Write, for each ticket, the point below a cell at which the running total passes `left`.

    First comes the cell's child, in order. The points of that one stand in an order that follows
    from their values alone: by slots of its box along the first axis on which it has a width, then
    by slots of the box of those in the slot, until all that is left is one value.

    `points` (d, n) float32 or float64; `closest` (n,) uint16; `potential` (cells,), `tops` and
    `left` (tickets,) int64; `out` (tickets, d) float64.
    """
    n_axes = len(axes)
    totals = np.empty(SLOTS, np.int64)
    high = np.empty(n_axes)
    room = 0
    for t in range(tops.size):
        cell = tops[t]
        if cells.inner[cell] >= 0:
            cell = np.int64(grids.child[cells.inner[cell]])
            while left[t] >= potential[cell]:
                left[t] -= potential[cell]
                cell += 1
            tops[t] = cell
        room = max(room, cells.stop[cell] - cells.start[cell])
    kept = np.empty(room, np.int64)
    whole = np.empty(room, np.int64)
    slots = np.empty(room, np.int32)
    for t in range(tops.size):
        cell = tops[t]
        low = out[t]
        for j in range(n_axes):
            low[j] = np.float64(cells.low[cell, j]) + 0.0  # no negative zero
            high[j] = np.float64(cells.high[cell, j]) + 0.0
        n = 0
        for i in range(np.uint64(cells.start[cell]), np.uint64(cells.stop[cell])):
            kept[n] = i
            whole[n] = count_quanta(np.float64(expand(closest[i])), anchor)
            n += 1 if whole[n] > 0 else 0
        axis = 0
        while axis < n_axes:
            if low[axis] == high[axis]:
                axis += 1
                continue
            totals[:] = 0
            bottom = low[axis]
            factor = SLOTS / (high[axis] - bottom)
            for h in range(np.uint64(n)):
                offset = np.float64(points[axis, np.uint64(kept[h])]) - bottom
                at = offset * factor if offset > 0.0 else 0.0  # where the factor is infinite too
                slots[h] = np.int32(at if at < SLOTS - 1 else SLOTS - 1)
                totals[slots[h]] += whole[h]
            slot = 0
            while left[t] >= totals[slot]:
                left[t] -= totals[slot]
                slot += 1
            low[:] = np.inf
            high[:] = -np.inf
            m = 0
            for h in range(n):
                if slots[h] == slot:
                    kept[m], whole[m] = kept[h], whole[h]
                    m += 1
                    for j in range(n_axes):
                        value = np.float64(points[j, np.uint64(kept[h])]) + 0.0
                        low[j] = min(low[j], value)
                        high[j] = max(high[j], value)
            n = m

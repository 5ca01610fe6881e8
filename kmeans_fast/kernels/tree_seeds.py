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
from ._lanes import count_quanta

SIZE = 512  # points worked on at a time
SLOTS = 256  # that the points of a child of the root are spread over, to find one
# A center is taken to be nearer to a box than it is by so much, for rounding.
NEARER = 1.0 - 1e-5


@jit_inline
def expand(code):
    """Return the number that a code stands for: the bits of a float32 but for the last."""
    return np.uint32(np.uint32(code) << np.uint32(15)).view(np.float32)


@jit
def fill_codes(axes, points, start, n, center, scale, sq_dists, codes):
    """Write the codes of the squared distances of `n` points to a center."""
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
    """Return the sum of what codes stand for, in quanta."""
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
    """Lower `closest` to a new center, and bring `far` and `potential` up to date."""
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
    """Bring cells with children up to date; parents stand before their children."""
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
    """Write the `potential` of the leaves anew, for other quanta."""
    for cell in range(cells.start.size):
        if cells.inner[cell] < 0:
            a, b = cells.start[cell], cells.stop[cell]
            potential[cell] = add_codes(closest, a, b - a, anchor)


@jit
def spread_points(
    axes, points, cells, grids, closest, potential, anchor, top, low, high, axis, totals, least,
    most,
):  # fmt: skip
    """Spread the points below a cell that lie in a box over slots along an axis.

    Adds their quanta to `totals` (slots,), and widens the box of each slot, `least` and `most`
    (slots, d), to hold its points. Points without a quantum take no part. Which slot a point is
    in follows from its value and the box: `low` is in the first and `high` in another.
    """
    n_axes = len(axes)
    start, stop, inner = cells.start, cells.stop, cells.inner
    todo = np.empty(grids.cell.size + 1, np.int32)
    todo[0] = top
    n_todo = 1
    last = np.float64(totals.size - 1)
    bottom = low[axis]
    factor = totals.size / (high[axis] - bottom)
    while n_todo > 0:
        n_todo -= 1
        cell = todo[n_todo]
        outside = potential[cell] == 0
        for j in range(n_axes):
            outside |= np.float64(cells.high[cell, j]) < low[j]
            outside |= np.float64(cells.low[cell, j]) > high[j]
        if outside:
            continue
        if inner[cell] >= 0:
            g = inner[cell]
            if n_todo + grids.n_children[g] > todo.size:
                more = np.empty(2 * todo.size + grids.n_children[g], np.int32)
                more[:n_todo] = todo[:n_todo]
                todo = more
            for child in range(grids.child[g], grids.child[g] + grids.n_children[g]):
                todo[n_todo] = child
                n_todo += 1
            continue
        for i in range(np.uint64(start[cell]), np.uint64(stop[cell])):
            inside = True
            for j in range(n_axes):
                value = np.float64(points[j, i])
                inside &= (value >= low[j]) & (value <= high[j])
            if not inside:
                continue
            whole = count_quanta(np.float64(expand(closest[i])), anchor)
            if whole == 0:
                continue
            offset = np.float64(points[axis, i]) - bottom
            at = offset * factor if offset > 0.0 else 0.0  # where the factor is infinite too
            at = at if at < last else last
            slot = np.int64(at)
            totals[slot] += whole
            for j in range(n_axes):
                value = np.float64(points[j, i]) + 0.0  # no negative zero
                least[slot, j] = min(least[slot, j], value)
                most[slot, j] = max(most[slot, j], value)


@jit
def find_points(
    axes, points, cells, grids, closest, potential, anchor, tops, left, out
):  # fmt: skip
    """Write, for each ticket, the point below a cell at which the running total passes `left`.

    The points of the cell stand in an order that follows from their values alone: by slots of
    the cell's box along the first axis on which it has a width, then by slots of the slot's own
    box, until all that is left is one value.
    """
    n_axes = len(axes)
    totals = np.empty(SLOTS, np.int64)
    least = np.empty((SLOTS, n_axes))
    most = np.empty((SLOTS, n_axes))
    for t in range(tops.size):
        low, high = out[t], np.empty(n_axes)
        for j in range(n_axes):
            low[j] = np.float64(cells.low[tops[t], j]) + 0.0
            high[j] = np.float64(cells.high[tops[t], j]) + 0.0
        axis = 0
        while axis < n_axes:
            if low[axis] == high[axis]:
                axis += 1
                continue
            totals[:] = 0
            least[:] = np.inf
            most[:] = -np.inf
            spread_points(
                axes, points, cells, grids, closest, potential, anchor, tops[t], low, high, axis,
                totals, least, most,
            )  # fmt: skip
            slot = 0
            while left[t] >= totals[slot]:
                left[t] -= totals[slot]
                slot += 1
            for j in range(n_axes):
                low[j], high[j] = least[slot, j], most[slot, j]

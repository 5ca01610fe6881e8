"""A tree of cells over dense points in few dimensions, and the filter that assigns whole cells.

The points are copied, feature by feature, in the order of the cells: a cell is one run of them.
A cell is cut by a grid over its own box, along the longest sides, and neighbouring slots of the
grid that hold few points together are one child. Boxes are tight, so that outliers cost a level
of the few cells that hold them.

Which leaf a point belongs to follows from its values alone (`find_slot`). So no order is kept,
which would take a third of the memory of the points: labels in the order of the data are made
by finding the leaf of each point again.

Every kernel takes `axes`, a tuple of the feature numbers. Its length is known when Numba
compiles, so that loops over the features unroll; where vectors are made they are written out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit, jit_inline
from ._quanta import count_quanta, without_quanta

LEAF = 400  # a cell of at most so many points is not cut
SPARE_BITS = 1  # a grid has so many more bits than make leaves of evenly spread points
MOST_BITS = 8  # slots of a grid: 2**8 write positions stay in the cache
MOST_LEVELS = 12  # then a cell is a leaf whatever it holds: values from 1e-300 to 1e150, say
# No grid is finer: its factors stay finite, in float32 and in float64.
SMALLEST_STEPS = 1e-37, 1e-300
CELLS = 16  # sibling cells filtered at once
LANES = 16  # points compared at once
BLOCK = 512  # points of the data labelled at once
GROUP = 4  # candidates that they are compared with at once
GROUPED = (0, 1, 2, 3)
MIXED, NOBODY = -1, -2  # the owner of a cell of several clusters, and before the first assignment
MARGIN, TINY = 1e-12, 1e-300  # far above rounding, and above what underflows in a square


class Cells(NamedTuple):
    """The cells; siblings stand together. The first is the root, its children come next."""

    start: Any  # (cells,) int64: its points are start : stop of the copy
    stop: Any  # (cells,) int64
    inner: Any  # (cells,) int32: its place among the cells with children, or -1
    low: Any  # (cells, d) in the points' type: its box
    high: Any  # (cells, d)
    sums: Any  # (cells, limbs, d) int64


class Grids(NamedTuple):
    """The grids of the cells with children, parents first."""

    cell: Any  # (grids,) int32: whose it is
    child: Any  # (grids,) int32: the first child
    n_children: Any  # (grids,) int32
    first: Any  # (grids,) int32: the first of its slots
    frame: Any  # (grids, 4, d) in the points' type: of each axis the low end, places per unit,
    #             the last place, and slots from one place to the next
    slots: Any  # (slots,) int32: the child of each slot


# ------------------------------------------------------------------------------- the build


@jit_inline
def place(x, low, factor, last):
    """Return the place of a value along one axis of a grid; the ends hold what lies beyond.

    In the points' own type: any rounding does, as long as it is the same each time. A float too:
    Numba makes 64 bits of integers of 32.
    """
    zero = last - last
    at = (x - low) * factor
    at = at if at < last else last
    return np.floor(at if at > zero else zero)


@jit
def choose_grid(axes, n_bits, low, high, frame, codes):
    """Cut the longest sides in halves; write the grid. Return how many bits its slots have.

    `codes` gets the slots in an order in which every aligned run of 2, 4, 8, ... is a box.
    """
    n_axes = len(axes)
    side = np.empty(n_axes)
    bits = np.zeros(n_axes, np.int64)
    axis = np.empty(n_bits, np.int64)
    for j in range(n_axes):
        side[j] = high[j] - low[j]
    smallest = SMALLEST_STEPS[0] if frame.itemsize == 4 else SMALLEST_STEPS[1]
    n = 0
    while n < n_bits:
        longest = 0
        for j in range(1, n_axes):
            if side[j] > side[longest]:
                longest = j
        if not side[longest] > smallest:
            break
        axis[n] = longest
        side[longest] *= 0.5
        bits[longest] += 1
        n += 1
    shift = np.empty(n_axes, np.int64)
    below = 0
    for j in range(n_axes):
        shift[j] = below
        frame[0, j] = low[j]
        frame[1, j] = 1.0 / side[j] if bits[j] > 0 else 0.0
        frame[2, j] = (1 << bits[j]) - 1
        frame[3, j] = 1 << below
        below += bits[j]
    size = 1
    codes[0] = 0
    bits[:] = 0
    for t in range(n - 1, -1, -1):
        step = np.int32(1 << (shift[axis[t]] + bits[axis[t]]))
        bits[axis[t]] += 1
        for i in range(size):
            codes[size + i] = codes[i] + step
        size *= 2
    return n


@jit
def join_slots(codes, n_bits, counts, slots, ends):
    """Make children of the slots: aligned runs of at most LEAF points, or single ones.

    Writes the child of each slot, and where the points of each child end; returns how many.
    """
    size = 1 << n_bits
    n = 0
    total = 0
    r = 0
    while r < size:
        held = counts[codes[r]]
        width = 1
        while r & width == 0 and r + 2 * width <= size:
            more = held
            for i in range(r + width, r + 2 * width):
                more += counts[codes[i]]
            if more > LEAF:
                break
            held = more
            width *= 2
        for i in range(r, r + width):
            slots[codes[i]] = n
        r += width
        if held > 0:
            total += held
            ends[n] = total
            n += 1
    return n


@jit
def code_rows(axes, flat, start, size, frame, out):
    """Write the slots of `size` points of the data, given row after row."""
    n_axes = len(axes)
    d = np.uint64(n_axes)
    low, factor, last, step = frame[0], frame[1], frame[2], frame[3]
    a0, b0, e0 = low[0], factor[0], last[0]
    a1, b1, e1, s1 = low[1 % n_axes], factor[1 % n_axes], last[1 % n_axes], step[1 % n_axes]
    a2, b2, e2, s2 = low[2 % n_axes], factor[2 % n_axes], last[2 % n_axes], step[2 % n_axes]
    a3, b3, e3, s3 = low[3 % n_axes], factor[3 % n_axes], last[3 % n_axes], step[3 % n_axes]
    base = np.uint64(start) * d
    for h in range(np.uint64(size)):
        at = base + h * d
        slot = place(flat[at], a0, b0, e0)
        if n_axes > 1:
            slot += place(flat[at + np.uint64(1)], a1, b1, e1) * s1
        if n_axes > 2:
            slot += place(flat[at + np.uint64(2)], a2, b2, e2) * s2
        if n_axes > 3:
            slot += place(flat[at + np.uint64(3)], a3, b3, e3) * s3
        out[h] = np.int32(slot)


@jit
def code_points(axes, points, start, size, frame, out):
    """Do the same with points of the copy."""
    n_axes = len(axes)
    low, factor, last, step = frame[0], frame[1], frame[2], frame[3]
    a0, b0, e0 = low[0], factor[0], last[0]
    a1, b1, e1, s1 = low[1 % n_axes], factor[1 % n_axes], last[1 % n_axes], step[1 % n_axes]
    a2, b2, e2, s2 = low[2 % n_axes], factor[2 % n_axes], last[2 % n_axes], step[2 % n_axes]
    a3, b3, e3, s3 = low[3 % n_axes], factor[3 % n_axes], last[3 % n_axes], step[3 % n_axes]
    base = np.uint64(start)
    for h in range(np.uint64(size)):
        slot = place(points[0, base + h], a0, b0, e0)
        if n_axes > 1:
            slot += place(points[1 % n_axes, base + h], a1, b1, e1) * s1
        if n_axes > 2:
            slot += place(points[2 % n_axes, base + h], a2, b2, e2) * s2
        if n_axes > 3:
            slot += place(points[3 % n_axes, base + h], a3, b3, e3) * s3
        out[h] = np.int32(slot)


@jit
def count_rows(axes, flat, start, stop, frame, slot_of, counts):
    """Write the slots of some points of the data, and count them."""
    block = np.empty(BLOCK, np.int32)
    for base in range(start, stop, BLOCK):
        n = min(BLOCK, stop - base)
        code_rows(axes, flat, base, n, frame, block)
        for h in range(np.uint64(n)):
            slot_of[np.uint64(base) + h] = block[h]
            counts[np.uint64(block[h])] += 1


@jit
def share_out(counts, slots, ends, places):
    """Write where the points of each chunk go, from their counts by slots: (chunks, children)."""
    places[:] = 0
    for chunk in range(counts.shape[0]):
        for slot in range(counts.shape[1]):
            if counts[chunk, slot] > 0:
                places[chunk, slots[slot]] += counts[chunk, slot]
    for child in range(ends.size):
        at = ends[child - 1] if child > 0 else 0
        for chunk in range(counts.shape[0]):
            here = places[chunk, child]
            places[chunk, child] = at
            at += here


@jit
def copy_rows(axes, flat, start, stop, slot_of, slots, places, points):
    """Copy some points of the data to where their children begin, and move these on."""
    n_axes = len(axes)
    for i in range(np.uint64(start), np.uint64(stop)):
        child = np.uint64(slots[np.uint64(slot_of[i])])
        to = np.uint64(places[child])
        places[child] += 1
        for j in range(n_axes):
            points[j, to] = flat[i * np.uint64(n_axes) + np.uint64(j)]


def _find_ends(points, j, start, stop):
    low = high = points[j, start]
    for i in range(np.uint64(start), np.uint64(stop)):
        x = points[j, i]
        low = x if x < low else low
        high = x if x > high else high
    return low, high


# Nothing is rounded here; without leave to take -0.0 for 0.0, LLVM makes no vectors.
find_ends = jit(_find_ends, fastmath={"nnan", "nsz"})


@jit
def sort_points(axes, points, start, stop, frame, slots, ends, places, to, spare):
    """Sort the points of a cell by their children; `to` holds their slots if it has the room."""
    n_axes = len(axes)
    size = np.uint64(stop - start)
    base = np.uint64(start)
    if stop - start <= to.size:
        for i in range(size):
            child = np.uint64(slots[np.uint64(to[i])])
            to[i] = places[child]
            places[child] += 1
        for j in range(n_axes):
            for i in range(size):
                spare[np.uint64(to[i])] = points[j, base + i]
            for i in range(size):
                points[j, base + i] = spare[i]
        return
    one = np.empty(1, np.int32)
    # In place, each point swapped to where it belongs: three times slower, but no memory.
    for child in range(ends.size):
        while places[child] < ends[child]:
            at = start + places[child]
            code_points(axes, points, at, np.int64(1), frame, one)
            other = slots[one[0]]
            if other != child:
                there = start + places[other]
                for j in range(n_axes):
                    points[j, at], points[j, there] = points[j, there], points[j, at]
            places[other] += 1


@jit
def grow_cells(axes, points, cells, grids, n, to, spare, anchors):
    """Cut the first `n` cells, and what comes of them; measure them all.

    Returns how many cells, grids and slots there are, with -1 cells where they do not fit.
    """
    n_axes = len(axes)
    start, stop, inner, lows, highs = cells.start, cells.stop, cells.inner, cells.low, cells.high
    codes = np.empty(1 << MOST_BITS, np.int32)
    counts = np.empty(1 << MOST_BITS, np.int64)
    ends = np.empty(1 << MOST_BITS, np.int64)
    places = np.empty(1 << MOST_BITS, np.int64)
    low = np.empty(n_axes)
    high = np.empty(n_axes)
    block = np.empty(BLOCK, np.int32)
    n_grids = 0
    n_slots = 0
    level = 0
    next_level = n
    cell = np.int64(0)
    while cell < n:
        if cell == next_level:
            level += 1
            next_level = n
        a, b = start[cell], stop[cell]
        for j in range(n_axes):
            lows[cell, j], highs[cell, j] = find_ends(points, j, a, b)
            low[j] = lows[cell, j]
            high[j] = highs[cell, j]
        inner[cell] = -1
        n_bits = 0
        if b - a > LEAF and level < MOST_LEVELS:
            n_bits = SPARE_BITS
            while n_bits < MOST_BITS and (LEAF << (n_bits - SPARE_BITS)) < b - a:
                n_bits += 1
            if n_grids == grids.cell.size or n_slots + (1 << n_bits) > grids.slots.size:
                return -1, n_grids, n_slots
            frame = grids.frame[n_grids]
            n_bits = choose_grid(axes, n_bits, low, high, frame, codes)
        if n_bits == 0:
            add_cell(axes, points, a, b, anchors, cells.sums, cell)
            cell += 1
            continue
        n_all = 1 << n_bits
        slots = grids.slots[n_slots : n_slots + n_all]
        counts[:n_all] = 0
        size = np.uint64(b - a)
        if b - a <= to.size:
            code_points(axes, points, a, b - a, frame, to)
            for i in range(size):
                counts[np.uint64(to[i])] += 1
        else:
            for i in range(a, b, BLOCK):
                code_points(axes, points, i, min(BLOCK, b - i), frame, block)
                for h in range(min(BLOCK, b - i)):
                    counts[block[h]] += 1
        n_children = join_slots(codes, n_bits, counts, slots, ends)
        if n + n_children > start.size:
            return -1, n_grids, n_slots
        at = np.int64(0)
        for child in range(n_children):
            places[child] = at
            start[n + child] = a + at
            at = ends[child]
            stop[n + child] = a + at
        sort_points(
            axes, points, a, b, frame, slots, ends[:n_children], places, to, spare
        )  # fmt: skip
        for i in range(n_all):
            slots[i] += n
        inner[cell] = n_grids
        grids.cell[n_grids] = cell
        grids.child[n_grids] = n
        grids.n_children[n_grids] = n_children
        grids.first[n_grids] = n_slots
        n_grids += 1
        n_slots += n_all
        n += n_children
        cell += 1
    return n, n_grids, n_slots


@jit_inline
def add_cell(axes, points, start, stop, anchors, sums, cell):
    """Write the sums of the points of a leaf."""
    for j in range(len(axes)):
        for level in range(len(anchors)):
            sums[cell, level, j] = 0
        for i in range(np.uint64(start), np.uint64(stop)):
            value = np.float64(points[j, i])
            for level in range(len(anchors)):
                sums[cell, level, j] += count_quanta(value, anchors[level])
                value = without_quanta(value, anchors[level])


@jit
def add_children(cells, grids):
    """Write the sums of the cells with children, from the last to the first."""
    sums = cells.sums
    for g in range(grids.cell.size - 1, -1, -1):
        cell, first = grids.cell[g], grids.child[g]
        for level in range(sums.shape[1]):
            for j in range(sums.shape[2]):
                total = np.int64(0)
                for child in range(first, first + grids.n_children[g]):
                    total += sums[child, level, j]
                sums[cell, level, j] = total


@jit
def cut_cells(limit, cells, grids, runs):
    """Cover the points with runs of siblings, each of at most `limit` points or one leaf.

    Writes (first cell, number of cells, number of points) rows; returns how many.
    """
    start, stop, inner = cells.start, cells.stop, cells.inner
    n = 0
    for g in range(grids.cell.size):
        if g > 0 and stop[grids.cell[g]] - start[grids.cell[g]] <= limit:
            continue
        last = grids.child[g] + grids.n_children[g]
        first = grids.child[g]
        for i in range(first, last + 1):
            whole = i < last and (stop[i] - start[i] <= limit or inner[i] < 0)
            if i > first and (not whole or stop[i] - start[first] > limit):
                runs[n, 0] = first
                runs[n, 1] = i - first
                runs[n, 2] = stop[i - 1] - start[first]
                n += 1
                first = i
            if not whole:
                first = i + 1
    return n


# ------------------------------------------------------------------------------ the filter


@jit_inline
def move_point(axes, points, i, old, new, anchors, sums, counts):
    """Take a point from the sums of one cluster to those of another."""
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
def assign_cells(
    axes, runs, points, cells, grids, centroids, most_waiting, owner, labels, anchors, sums, counts
):  # fmt: skip
    """Assign the points under `runs` of cells to their nearest centroids; keep the sums.

    The filter of Kanungo et al. as in `filtering.assign_cells`, with candidates compared by
    differences only, so that it is as sharp far from the origin. With z the candidate nearest to
    the middle of a box, and x the corner of the box farthest towards another candidate c,

        |x - c|**2 - |x - z|**2 = (z - c) . ((z - c) + 2 (x - z))

    is at most ``20 * 2**-53 * (|x - c|**2 + |x - z|**2)`` away from what is computed here, and
    from the difference of what the reference computes, which is thus positive in the whole box
    if the left side exceeds MARGIN times the largest ``|x - z|**2`` in it. NaN and infinity, of
    squares that overflow, drop none.

    `labels` (of the points) and `owner` (the cluster of a cell's points, MIXED, or NOBODY; not
    kept up below a cell that is not MIXED) hold the assignment before and after. Only changes
    are added to `sums` and `counts`. At most `most_waiting` cells wait in the tree at once.
    """
    n_axes = len(axes)
    n_limbs = len(anchors)
    n_clusters = centroids.shape[0]
    start, stop, inner, low, high = cells.start, cells.stop, cells.inner, cells.low, cells.high
    # Vectors in one array at fixed distances: LLVM then knows that they do not overlap.
    lanes = np.zeros(20 * CELLS, np.float64)
    mid = 0
    ext = 4 * CELLS  # the sides of each box, and a hair more
    z_at = 8 * CELLS
    way2 = 12 * CELLS  # twice the way from z to the middle
    score = 16 * CELLS
    z = 17 * CELLS
    kept = 18 * CELLS
    limit = 19 * CELLS
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
                lo, hi = np.float64(low[first + i, j]), np.float64(high[first + i, j])
                middle = 0.5 * lo + 0.5 * hi
                lanes[mid + j * CELLS + i] = middle
                lanes[ext + j * CELLS + i] = max(hi - middle, middle - lo) * (2.0 + 1e-15)
        # z: the candidate nearest to the middle of each box.
        for i in range(CELLS):
            lanes[score + i] = np.inf
            lanes[z + i] = who[old]
            lanes[kept + i] = 0.0
        for p in range(old, top):
            q = np.float64(who[p])
            c0 = centroids[who[p], 0]
            c1 = centroids[who[p], 1] if n_axes > 1 else 0.0
            c2 = centroids[who[p], 2] if n_axes > 2 else 0.0
            c3 = centroids[who[p], 3] if n_axes > 3 else 0.0
            for i in range(CELLS):
                dist = (lanes[mid + i] - c0) ** 2
                if n_axes > 1:
                    dist += (lanes[mid + CELLS + i] - c1) ** 2
                if n_axes > 2:
                    dist += (lanes[mid + 2 * CELLS + i] - c2) ** 2
                if n_axes > 3:
                    dist += (lanes[mid + 3 * CELLS + i] - c3) ** 2
                least = lanes[score + i]
                nearest = lanes[z + i]
                nearer = dist < least
                lanes[score + i] = dist if nearer else least
                lanes[z + i] = q if nearer else nearest
        for i in range(n_cells):
            farthest = 0.0
            for j in range(n_axes):
                c = centroids[np.int64(lanes[z + i]), j]
                way = lanes[mid + j * CELLS + i] - c
                lanes[z_at + j * CELLS + i] = c
                lanes[way2 + j * CELLS + i] = 2.0 * way
                farthest += (abs(way) + lanes[ext + j * CELLS + i]) ** 2
            lanes[limit + i] = MARGIN * farthest + TINY
        # Drop a candidate c that z beats at the corner farthest towards it.
        for p in range(old, top):
            c0 = centroids[who[p], 0]
            c1 = centroids[who[p], 1] if n_axes > 1 else 0.0
            c2 = centroids[who[p], 2] if n_axes > 2 else 0.0
            c3 = centroids[who[p], 3] if n_axes > 3 else 0.0
            at = (p - old) * CELLS
            for i in range(CELLS):
                way = lanes[z_at + i] - c0
                lead = way * (way + lanes[way2 + i]) - abs(way) * lanes[ext + i]
                if n_axes > 1:
                    way = lanes[z_at + CELLS + i] - c1
                    lead += way * (way + lanes[way2 + CELLS + i])
                    lead -= abs(way) * lanes[ext + CELLS + i]
                if n_axes > 2:
                    way = lanes[z_at + 2 * CELLS + i] - c2
                    lead += way * (way + lanes[way2 + 2 * CELLS + i])
                    lead -= abs(way) * lanes[ext + 2 * CELLS + i]
                if n_axes > 3:
                    way = lanes[z_at + 3 * CELLS + i] - c3
                    lead += way * (way + lanes[way2 + 3 * CELLS + i])
                    lead -= abs(way) * lanes[ext + 3 * CELLS + i]
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
                n += np.int64(keep[p * CELLS + i])
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
                    first_c, second_c = who[p], who[min(p + 1, top + n - 1)]
                    q, r = np.float64(first_c), np.float64(second_c)
                    c0, b0 = centroids[first_c, 0], centroids[second_c, 0]
                    c1, b1 = centroids[first_c, 1 % n_axes], centroids[second_c, 1 % n_axes]
                    c2, b2 = centroids[first_c, 2 % n_axes], centroids[second_c, 2 % n_axes]
                    c3, b3 = centroids[first_c, 3 % n_axes], centroids[second_c, 3 % n_axes]
                    for h in range(np.uint64(LANES)):
                        x = point[h]
                        d = (x - c0) ** 2
                        e = (x - b0) ** 2
                        if n_axes > 1:
                            x = point[np.uint64(LANES) + h]
                            d += (x - c1) ** 2
                            e += (x - b1) ** 2
                        if n_axes > 2:
                            x = point[np.uint64(2 * LANES) + h]
                            d += (x - c2) ** 2
                            e += (x - b2) ** 2
                        if n_axes > 3:
                            x = point[np.uint64(3 * LANES) + h]
                            d += (x - c3) ** 2
                            e += (x - b3) ** 2
                        best = point[p_best + h]
                        nearest = point[p_near + h]
                        nearest = q if d < best else nearest
                        best = d if d < best else best
                        point[p_near + h] = r if e < best else nearest
                        point[p_best + h] = e if e < best else best
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


# ------------------------------------------------------------ labels in the order of the data


@jit
def list_labels(cells, labels, first, last, seen, ends, out):
    """List the distinct labels of each leaf, in order; with `out` None only count them.

    The last is repeated to fill a group.

    A point's nearest centroid is the nearest of these, being one of them. `seen` has -1 for
    each cluster; `ends[cell]` gets the number of labels, or says where they go.
    """
    for cell in range(first, last):
        n = 0
        if cells.inner[cell] < 0:
            for i in range(cells.start[cell], cells.stop[cell]):
                label = labels[i]
                if seen[label] != cell:
                    seen[label] = cell
                    if out is not None:
                        at = ends[cell] + n
                        while at > ends[cell] and out[at - 1] > label:
                            out[at] = out[at - 1]
                            at -= 1
                        out[at] = label
                    n += 1
            while n % GROUP > 0:
                if out is not None:
                    out[ends[cell] + n] = out[ends[cell] + n - 1]
                n += 1
        if out is None:
            ends[cell + 1] = n


@jit
def label_rows(axes, flat, start, stop, grids, state, ends, lists, centroids, out):
    """Write the labels of some points of the data, whose leaves have the labels listed.

    `state` is the label of a cell of one cluster, -1 of another leaf, and -2 less its grid of
    another cell with children.

    Block by block, in rounds: each goes one level down, or one candidate on, with the points
    that have not arrived. Point by point the wrong guesses of branches made it three times slower.
    """
    frames, slots, firsts = grids.frame, grids.slots, grids.first
    n_axes = len(axes)
    block = np.empty((n_axes, BLOCK), flat.dtype)
    zero = frames[0, 0, 0] - frames[0, 0, 0]
    cell_of = np.empty(BLOCK, np.int32)
    at_of = np.empty(BLOCK, np.int32)
    label_of = np.empty(BLOCK, np.int32)
    open_ = np.empty(BLOCK + 1, np.int32)
    best = np.empty(BLOCK, np.float64)
    for base in range(start, stop, BLOCK):
        n = min(BLOCK, stop - base)
        code_rows(axes, flat, base, n, frames[0], cell_of)
        for h in range(np.uint64(n)):
            for j in range(n_axes):
                block[j, h] = flat[(np.uint64(base) + h) * np.uint64(n_axes) + np.uint64(j)]
        n_open = np.uint64(0)
        for h in range(np.uint64(n)):
            cell = slots[np.uint64(cell_of[h])]
            cell_of[h] = cell
            open_[n_open] = h
            n_open += np.uint64(state[np.uint64(cell)] < -1)
        while n_open > 0:
            n_before, n_open = n_open, np.uint64(0)
            for p in range(n_before):
                h = np.uint64(open_[p])
                g = np.uint64(-2 - state[np.uint64(cell_of[h])])
                slot = zero
                for j in range(n_axes):
                    slot += (
                        place(block[j, h], frames[g, 0, j], frames[g, 1, j], frames[g, 2, j])
                        * frames[g, 3, j]
                    )
                cell = slots[np.uint64(firsts[g] + np.int32(slot))]
                cell_of[h] = cell
                open_[n_open] = h
                n_open += np.uint64(state[np.uint64(cell)] < -1)
        for h in range(np.uint64(n)):
            cell = np.uint64(cell_of[h])
            at = np.uint64(ends[cell])
            at_of[h] = at
            label_of[h] = state[cell] if state[cell] >= 0 else np.int32(lists[at])
            best[h] = np.inf  # which no squared distance may be less than, if all overflow
            open_[n_open] = h
            n_open += np.uint64(state[cell] < 0)
        while n_open > 0:
            n_before, n_open = n_open, np.uint64(0)
            for p in range(n_before):
                h = np.uint64(open_[p])
                at = at_of[h]
                at_of[h] = at + GROUP
                least, label = best[h], label_of[h]
                for e in GROUPED:
                    q = np.int32(lists[np.uint64(at + e)])
                    d = 0.0
                    for j in range(n_axes):
                        d += (np.float64(block[j, h]) - centroids[np.uint64(q), j]) ** 2
                    label = q if d < least else label
                    least = d if d < least else least
                best[h] = least
                label_of[h] = label
                open_[n_open] = h
                n_open += np.uint64(at + GROUP < ends[np.uint64(cell_of[h]) + np.uint64(1)])
        for h in range(np.uint64(n)):
            out[np.uint64(base) + h] = label_of[h]

"""A tree of cells over dense points in few dimensions: the build.

The points are copied, feature by feature, in the order of the cells: a cell is one run of them.
A cell is cut by a grid over its own box, along the longest sides, and neighbouring slots of the
grid that hold few points together are one child. Boxes are tight, so that outliers cost a level
of the few cells that hold them.

Which leaf a point belongs to follows from its values alone (`find_slot`). So no order is kept,
which would take a third of the memory of the points: labels in the order of the data are made
by finding the leaf of each point again.

`tree_filter` assigns the cells, `tree_labels` labels the data. All take `axes` (`_grids`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._grids import BLOCK, code_rows, find_slot, read_frame
from ._jit import jit, jit_inline
from ._quanta import count_quanta, without_quanta

LEAF = 400  # a cell of at most so many points is not cut
SPARE_BITS = 1  # a grid has so many more bits than make leaves of evenly spread points
MOST_BITS = 8  # slots of a grid: 2**8 write positions stay in the cache
MOST_LEVELS = 12  # then a cell is a leaf whatever it holds: values from 1e-300 to 1e150, say
# No grid is finer: its factors stay finite, in float32 and in float64.
SMALLEST_STEPS = 1e-37, 1e-300


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


@jit
def choose_grid(axes, n_bits, low, high, frame, codes):
    """Cut the longest sides in halves; write the grid. Return how many bits its slots have.

    `codes` gets the slots in an order in which every aligned run of 2, 4, 8, ... is a box.

    `low` and `high` (d,) float64 are the box, `frame` (4, d) float32 or float64, `codes` int32 has
    room for ``2**n_bits``.
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

    `codes`, `slots` (slots,) int32; `counts`, `ends` (slots,) int64.
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
def code_points(axes, points, start, size, frame, out):
    """Do what `code_rows` does with points of the copy (d, n)."""
    one, two, three = 1 % len(axes), 2 % len(axes), 3 % len(axes)
    low, factor, last, step = read_frame(axes, frame)
    base = np.uint64(start)
    for h in range(np.uint64(size)):
        i = base + h
        x = points[0, i], points[one, i], points[two, i], points[three, i]
        out[h] = find_slot(axes, x, low, factor, last, step)


@jit
def count_rows(axes, flat, start, stop, frame, slot_of, counts):
    """Write the slots of some points of the data, and count them.

    `flat` (n * d,) float32 or float64, `frame` (4, d); `slot_of` (n,) uint16, `counts` (slots,)
    int64.
    """
    block = np.empty(BLOCK, np.int32)
    for base in range(start, stop, BLOCK):
        n = min(BLOCK, stop - base)
        code_rows(axes, flat, base, n, frame, block)
        for h in range(np.uint64(n)):
            slot_of[np.uint64(base) + h] = block[h]
            counts[np.uint64(block[h])] += 1


@jit
def share_out(counts, slots, ends, places):
    """Write where the points of each chunk go, from their counts by slots: (chunks, children).

    `slots` (slots,) int32, `ends` (children,) int64, `places` (chunks, children) int64.
    """
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
    """Copy some points of the data to where their children begin, and move these on.

    `flat` (n * d,), `slot_of` (n,) uint16, `slots` (slots,) int32, `places` (children,) int64,
    `points` (d, n) in the type of `flat`.
    """
    n_axes = len(axes)
    for i in range(np.uint64(start), np.uint64(stop)):
        child = np.uint64(slots[np.uint64(slot_of[i])])
        to = np.uint64(places[child])
        places[child] += 1
        for j in range(n_axes):
            points[j, to] = flat[i * np.uint64(n_axes) + np.uint64(j)]


def _find_ends(points, j, start, stop):
    """Return the least and the largest value of a feature of `points` (d, n), of either type."""
    low = high = points[j, start]
    for i in range(np.uint64(start), np.uint64(stop)):
        x = points[j, i]
        low = x if x < low else low
        high = x if x > high else high
    return low, high


# Nothing is rounded here; without leave to take -0.0 for 0.0, LLVM makes no vectors.
find_ends: Any = jit(_find_ends, fastmath={"nnan", "nsz"})


@jit
def sort_points(axes, points, start, stop, frame, slots, ends, places, to, spare):
    """Sort the points of a cell by their children; `to` holds their slots if it has the room.

    `points` (d, n), `frame` (4, d), `spare` (room,) in one type; `slots` (slots,), `to` (room,)
    int32; `ends`, `places` (children,) int64.
    """
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

    `points` (d, n), `spare` (room,) float32 or float64, `to` (room,) int32, `anchors` (limbs,)
    float64. The cells have their `start` and `stop`.
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
    """Write the `sums` (cells, limbs, d) int64 of a leaf from `points` (d, n)."""
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
def cut_runs(limit, cells, grids, runs):
    """Cover the points with runs of siblings, each of at most `limit` points or one leaf.

    Writes (first cell, number of cells, number of points) rows; returns how many.

    `runs` (cells, 3) int64.
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

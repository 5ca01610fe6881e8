"""Colours in a tree of cells.

Colours sorted by Morton key make a tree with no pointers to store: each cube of colour space is
one run of colours. A *cell* is such a cube with its run ``start:stop``, its tight box
``low..high``, and its moments (weight, then the weighted sum of each channel). It splits into
cubes of half its side, or of a quarter where it holds many colours; these are its children,
``child : child + n_children``. Siblings stand together, and after their parent.

Every kernel takes `axes`, a tuple of the channel numbers. Its length is known when Numba
compiles, so that loops over the channels unroll. `links`, int64 (4, cells), are start, stop, child
and n_children of each cell, the root first; `boxes` (2, c, cells) their low and high corners, in
the colours' type; `moments` are int64 (cells, 1 + c). These are few arrays, for each costs a call
some 100 ns; in a named tuple more, which made a fit of 200 x 200 pixels 8 % slower. `keys` are
(m,), uint32 or uint64, `weights` int64 (m,), `sums` int64 (k, 1 + c), and `colors` (c, m), uint8 or
uint16.
"""

from __future__ import annotations

import numpy as np

from ._blocks import load_shared, swap_shared
from ._jit import jit, jit_inline

LINE = 16  # int64 from what one thread changes to what another does: two cache lines
LEAF = 128  # a cell of at most so many colours is not split; 48 is 15 to 60 % slower


@jit
def build_cells(axes, keys, links, cell, n, most):
    """Split the cells from `cell` on, of `n` that there are, and those that this adds, in order.

    Until all are split, or there are `most`. Returns which is next, and how many there are; or -1
    and how many, where they do not fit into `links`. Levels that split nothing are left out.
    """
    start, stop, child, n_children = links[0], links[1], links[2], links[3]
    bits = np.uint64(len(axes))
    while cell < n and n < most:
        at = start[cell]
        end = stop[cell]
        child[cell] = n
        # The highest level at which the first and the last key differ.
        differ = np.uint64(keys[at]) ^ np.uint64(keys[end - 1])
        shift = np.uint64(0)
        while (differ >> shift) >> bits != 0:
            shift += bits
        if end - at > (LEAF << len(axes)) and shift != 0:
            shift -= bits
        if end - at > LEAF:
            while at < end:
                if n == start.size:
                    return -1, n
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
    return cell, n


@jit
def measure_leaves(axes, first, last, links, boxes, moments, colors, weights):
    """Write the boxes and moments of the leaves among the cells ``first:last``."""
    for cell in range(first, last):
        start, stop, n_children = links[0, cell], links[1, cell], links[3, cell]
        if n_children > 0:
            continue
        weight = np.int64(0)
        for i in range(np.uint64(start), np.uint64(stop)):
            weight += weights[i]
        moments[cell, 0] = weight
        for j in range(len(axes)):
            low = colors[j, start]
            high = low
            total = np.int64(0)
            for i in range(np.uint64(start), np.uint64(stop)):
                x = colors[j, i]
                low = min(low, x)
                high = max(high, x)
                total += np.int64(x) * weights[i]
            boxes[0, j, cell] = low
            boxes[1, j, cell] = high
            moments[cell, 1 + j] = total


@jit
def measure_parents(axes, links, boxes, moments):
    """Write the boxes and moments of the cells with children, from the last to the first."""
    for cell in range(links.shape[1] - 1, -1, -1):
        first = links[2, cell]
        last = first + links[3, cell]
        if last == first:
            continue
        for j in range(len(axes)):
            low, high = boxes[0, j, first], boxes[1, j, first]
            for child in range(first + 1, last):
                low, high = min(low, boxes[0, j, child]), max(high, boxes[1, j, child])
            boxes[0, j, cell], boxes[1, j, cell] = low, high
        for j in range(len(axes) + 1):
            total = np.int64(0)
            for child in range(first, last):
                total += moments[child, j]
            moments[cell, j] = total


@jit
def cut_cells(limit, links, runs):
    """Cover the colours with runs of siblings, each cell of at most `limit` colours or a leaf.

    Writes rows (first cell, number of cells, number of colours) of int64, at most one for each
    cell; returns how many.
    """
    start, stop, child, n_children = links[0], links[1], links[2], links[3]
    if stop[0] <= limit or n_children[0] == 0:
        runs[0, 0] = 0
        runs[0, 1] = 1
        runs[0, 2] = stop[0]
        return 1
    n = 0
    for cell in range(start.size):
        if stop[cell] - start[cell] <= limit:
            continue
        first = child[cell]
        last = first + n_children[cell]
        for i in range(first, last + 1):
            if i == last or (stop[i] - start[i] > limit and n_children[i] > 0):
                if i > first:
                    runs[n, 0] = first
                    runs[n, 1] = i - first
                    runs[n, 2] = stop[i - 1] - start[first]
                    n += 1
                first = i + 1
    return n


@jit_inline
def take_run(n_runs, taken, me):
    """Return the number of a run that nobody has taken, or -1.

    Each of the threads that take has as many of its own, which are in its core's cache since the
    last iteration, and `taken`, int64 (threads * LINE,), says how many of these; then it takes what
    others have left.
    """
    n_threads = taken.size // LINE
    for other in range(n_threads):
        t = (me + other) % n_threads
        first = n_runs * t // n_threads
        n_own = n_runs * (t + 1) // n_threads - first
        while True:
            n_taken = load_shared(taken, t * LINE)
            if n_taken >= n_own:
                break
            if swap_shared(taken, t * LINE, n_taken, n_taken + 1):
                return first + n_taken
    return np.int64(-1)


@jit
def add_members(axes, colors, weights, labels, sums):
    """Add the colours to the sums of their labels (m,): weights, then weighted channels."""
    for i in range(weights.size):
        weight = weights[i]
        label = np.int64(labels[i])
        sums[label, 0] += weight
        for j in range(len(axes)):
            sums[label, 1 + j] += weight * np.int64(colors[j, i])


@jit
def move_members(axes, colors, limbs, start, stop, labels, before, change):
    """Bring sums up to date with the colours ``start:stop`` that had other labels `before`.

    `colors` (c, m); `limbs` (limbs, m) int64, their weights; `labels` and `before` (m,) int32, of
    which the latter become the former; `change` (k + 1, limbs, 1 + c) int64 is added to.
    """
    for i in range(start, stop):
        old, new = before[i], labels[i]
        if old == new:
            continue
        before[i] = new
        for level in range(limbs.shape[0]):
            weight = limbs[level, i]
            change[old, level, 0] -= weight
            change[new, level, 0] += weight
            for j in range(len(axes)):
                share = weight * np.int64(colors[j, i])
                change[old, level, 1 + j] -= share
                change[new, level, 1 + j] += share


@jit
def add_squares(axes, colors, weights, start, stop, squares):
    """Add up the squares of the colours ``start:stop`` by weight, a channel each: int64 (c,)."""
    for j in range(len(axes)):
        total = np.int64(0)
        for i in range(np.uint64(start), np.uint64(stop)):
            x = np.int64(colors[j, i])
            total += x * x * weights[i]
        squares[j] = total


@jit
def weigh_levels(channel, weights, out):
    """Add up the weight of the colours at each level of a channel (m,): int64, (levels,)."""
    for i in range(weights.size):
        out[channel[i]] += weights[i]

"""Greedy k-means++ over the tree of cells, in integers.

A new centre changes nothing in a cell whose box is at least `Seeds.far` away from it. Every kernel
takes `axes`, `cells` and `colors` as in `cells`, and `weights` (m,), int64 or int32. A `center` is
(c,) and `centers` (n, c), in the type of `Seeds.closest`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit, jit_inline

# Cells of at most so many colours are not looked into: a long loop runs as vectors, and 12 short
# ones do not.
GRAIN = 512


class Seeds(NamedTuple):
    """How far the colours are from the centres so far, exactly.

    In int32 for 8-bit channels, which are multiplied at twice the speed (107 to 58 ms for 355,000
    colours, K = 256, on AVX2).
    """

    closest: Any  # (m,) int32 or int64: the squared distance to the nearest centre
    far: Any  # (cells,) int64: the greatest of them in a cell
    potential: Any  # (cells,) int64: their sum, each times its weight


@jit
def box_distance(axes, cell, center, cells):
    """Return the squared distance from a centre to the nearest corner, edge or face of a box."""
    total = np.int64(0)
    for j in range(len(axes)):
        below = np.int64(cells.low[j, cell]) - center[j]
        gap = max(below, center[j] - np.int64(cells.high[j, cell]), 0)
        total += gap * gap
    return total


@jit_inline
def color_sq_dist(axes, colors, i, center):
    """Return the squared distance of colour `i` to a centre, in the type of the centre."""
    number = center.dtype.type
    total = number(0)
    for j in range(len(axes)):
        gap = number(number(colors[j, i]) - center[j])
        total = number(total + number(gap * gap))
    return total


@jit
def reach_cells(axes, cells, center, far, todo, leaves, parents):
    """Write the small cells in which a centre may be nearest to a colour, and those above them.

    Returns how many there are of both; `todo` is scratch: all three are int64 (cells,).
    """
    n_leaves = 0
    n_parents = 0
    todo[0] = 0
    n_todo = 1
    while n_todo > 0:
        n_todo -= 1
        cell = todo[n_todo]
        if box_distance(axes, cell, center, cells) >= far[cell]:
            continue
        if cells.n_children[cell] > 0 and cells.stop[cell] - cells.start[cell] > GRAIN:
            parents[n_parents] = cell
            n_parents += 1
            for below in range(cells.child[cell], cells.child[cell] + cells.n_children[cell]):
                todo[n_todo] = below
                n_todo += 1
        else:
            leaves[n_leaves] = cell
            n_leaves += 1
    return n_leaves, n_parents


@jit
def seed_gains(axes, cells, colors, weights, centers, seeds, gains):
    """Write by how much each centre, alone, would lower the potential: int64 (n,)."""
    todo = np.empty(cells.child.size, np.int64)
    leaves = np.empty(cells.child.size, np.int64)
    parents = np.empty(cells.child.size, np.int64)
    closest = seeds.closest
    for c in range(len(centers)):
        center = centers[c]
        n_leaves, _ = reach_cells(axes, cells, center, seeds.far, todo, leaves, parents)
        gain = np.int64(0)
        for cell in leaves[:n_leaves]:
            for i in range(np.uint64(cells.start[cell]), np.uint64(cells.stop[cell])):
                less = centers.dtype.type(closest[i] - color_sq_dist(axes, colors, i, center))
                gain += weights[i] * max(less, 0)
        gains[c] = gain


@jit
def add_seed(axes, cells, colors, weights, center, seeds):
    """Bring the seeds up to date with a new centre."""
    todo = np.empty(cells.child.size, np.int64)
    leaves = np.empty(cells.child.size, np.int64)
    parents = np.empty(cells.child.size, np.int64)
    closest = seeds.closest
    n_leaves, n_parents = reach_cells(axes, cells, center, seeds.far, todo, leaves, parents)
    for cell in leaves[:n_leaves]:
        start = np.uint64(cells.start[cell])
        stop = np.uint64(cells.stop[cell])
        for i in range(start, stop):
            closest[i] = min(closest[i], color_sq_dist(axes, colors, i, center))
        most = np.int64(0)
        total = np.int64(0)
        for i in range(start, stop):
            most = max(most, closest[i])
            total += weights[i] * closest[i]
        seeds.far[cell] = most
        seeds.potential[cell] = total
    for p in range(n_parents - 1, -1, -1):  # children before their parents
        first = cells.child[parents[p]]
        last = first + cells.n_children[parents[p]]
        seeds.far[parents[p]] = seeds.far[first:last].max()
        seeds.potential[parents[p]] = seeds.potential[first:last].sum()


@jit
def find_seeds(targets, cells, weights, seeds, found):
    """Write the colour at which the running total of the potential passes each target.

    `targets` and `found` are int64 (n,).
    """
    for t in range(targets.size):
        target = targets[t]
        cell = 0
        while cells.n_children[cell] > 0 and cells.stop[cell] - cells.start[cell] > GRAIN:
            cell = cells.child[cell]
            while target >= seeds.potential[cell]:
                target -= seeds.potential[cell]
                cell += 1
        i = cells.start[cell]
        while target >= weights[i] * seeds.closest[i]:
            target -= weights[i] * seeds.closest[i]
            i += 1
        found[t] = i

"""Greedy k-means++ over the tree of cells, in integers.

``closest[i]`` is the squared distance of colour `i` to the nearest centre so far, exact: (m,) in
int32 for 8-bit channels, which are multiplied at twice the speed (107 to 58 ms for 355,000 colours,
K = 256, on AVX2), else int64. For each cell, `far` is the greatest of them and `potential` their
sum, each times its weight: int64 (cells,). A new centre changes nothing in a cell whose box is at
least `far` away from it.

Every kernel takes `axes`, `links`, `boxes` and `colors` as in `cells`, and `weights` (m,), int64 or
int32. A `center` is (c,), and `centers` (n, c), in the type of `closest`.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit, jit_inline

# Cells of at most so many colours are not looked into: a long loop runs as vectors, and 12 short
# ones do not.
GRAIN = 512


@jit
def box_distance(axes, cell, center, boxes):
    """Return the squared distance from a centre to the nearest corner, edge or face of a box."""
    total = np.int64(0)
    for j in range(len(axes)):
        below = np.int64(boxes[0, j, cell]) - center[j]
        gap = max(below, center[j] - np.int64(boxes[1, j, cell]), 0)
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
def reach_cells(axes, links, boxes, center, far, todo, leaves, parents):
    """Write the small cells in which a centre may be nearest to a colour, and those above them.

    Returns how many there are of both; `todo` is scratch: all three are int64 (cells,).
    """
    start, stop, child, n_children = links[0], links[1], links[2], links[3]
    n_leaves = 0
    n_parents = 0
    todo[0] = 0
    n_todo = 1
    while n_todo > 0:
        n_todo -= 1
        cell = todo[n_todo]
        if box_distance(axes, cell, center, boxes) >= far[cell]:
            continue
        if n_children[cell] > 0 and stop[cell] - start[cell] > GRAIN:
            parents[n_parents] = cell
            n_parents += 1
            for below in range(child[cell], child[cell] + n_children[cell]):
                todo[n_todo] = below
                n_todo += 1
        else:
            leaves[n_leaves] = cell
            n_leaves += 1
    return n_leaves, n_parents


@jit
def seed_gains(axes, links, boxes, colors, weights, centers, closest, far, gains):
    """Write by how much each centre, alone, would lower the potential: int64 (n,)."""
    todo = np.empty(links.shape[1], np.int64)
    leaves = np.empty(links.shape[1], np.int64)
    parents = np.empty(links.shape[1], np.int64)
    for c in range(len(centers)):
        center = centers[c]
        n_leaves, _ = reach_cells(axes, links, boxes, center, far, todo, leaves, parents)
        gain = np.int64(0)
        for cell in leaves[:n_leaves]:
            for i in range(np.uint64(links[0, cell]), np.uint64(links[1, cell])):
                less = centers.dtype.type(closest[i] - color_sq_dist(axes, colors, i, center))
                gain += weights[i] * max(less, 0)
        gains[c] = gain


@jit
def add_seed(axes, links, boxes, colors, weights, center, closest, far, potential):
    """Lower `closest`, `far` and `potential` to a new centre; the first finds greater numbers."""
    todo = np.empty(links.shape[1], np.int64)
    leaves = np.empty(links.shape[1], np.int64)
    parents = np.empty(links.shape[1], np.int64)
    n_leaves, n_parents = reach_cells(axes, links, boxes, center, far, todo, leaves, parents)
    for cell in leaves[:n_leaves]:
        start = np.uint64(links[0, cell])
        stop = np.uint64(links[1, cell])
        for i in range(start, stop):
            closest[i] = min(closest[i], color_sq_dist(axes, colors, i, center))
        most = np.int64(0)
        total = np.int64(0)
        for i in range(start, stop):
            most = max(most, closest[i])
            total += weights[i] * closest[i]
        far[cell] = most
        potential[cell] = total
    for p in range(n_parents - 1, -1, -1):  # children before their parents
        first = links[2, parents[p]]
        last = first + links[3, parents[p]]
        most = np.int64(0)
        total = np.int64(0)
        for cell in range(first, last):
            most = max(most, far[cell])
            total += potential[cell]
        far[parents[p]] = most
        potential[parents[p]] = total


@jit
def find_seeds(targets, links, weights, closest, potential, found):
    """Write the colour at which the running total of the potential passes each target.

    `targets` and `found` are int64 (n,).
    """
    start, stop, child, n_children = links[0], links[1], links[2], links[3]
    for t in range(targets.size):
        target = targets[t]
        cell = 0
        while n_children[cell] > 0 and stop[cell] - start[cell] > GRAIN:
            cell = child[cell]
            while target >= potential[cell]:
                target -= potential[cell]
                cell += 1
        i = start[cell]
        while target >= weights[i] * closest[i]:
            target -= weights[i] * closest[i]
            i += 1
        found[t] = i

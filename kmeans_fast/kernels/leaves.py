"""The colours of leaves, each given to the nearest of a few candidates.

The arguments are those of `cells` and `filtering`. Where vectors are made, the channels are written
out, since LLVM makes none of a loop over channels inside a loop over lanes; the tests of `n_axes`
are settled when Numba compiles.
"""

from __future__ import annotations

import numpy as np

from ._bits import BITS, find_flags, lowest_bit
from ._jit import jit, jit_inline
from ._rows import prefetch

AHEAD = 4  # leaves whose colours are asked for before they are compared
MOVES = 64  # colours that move at once: their weights are asked for first
LANES = BITS  # colours compared at once
ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
# What a cell remembers, in arrays of their own, as most cells need the first three alone:
# `middles` and `owners`, int32 (cells,), are the candidate nearest to the middle of its box and the
# cluster of its colours; `left`, float64 (cells,), is how far centroids may still move until one
# that was dropped may be nearest somewhere.
# For leaves whose colours were compared, `near`, int32 (cells, 1 + NEAR), is how many candidates
# they have (0: more than NEAR), and these; `rooms`, float64 (cells,), is how much differences of
# squared distances may still change until a colour may belong to another of these.
NEAR = 15
LARGEST = 1e30  # numbers in float32 whose sums do not overflow


@jit_inline
def four_channels(axes, centroids, k):
    """Return the channels of a centroid, and zeros for those that there are not."""
    n = len(axes)
    c1 = centroids[k, 1] if n > 1 else 0.0
    c2 = centroids[k, 2] if n > 2 else 0.0
    c3 = centroids[k, 3] if n > 3 else 0.0
    return centroids[k, 0], c1, c2, c3


@jit_inline
def four_sides(axes, boxes, side, cell):
    """Return the low (0) or high (1) corner of a box, as `four_channels` does."""
    n = len(axes)
    x1 = np.float64(boxes[side, 1, cell]) if n > 1 else 0.0
    x2 = np.float64(boxes[side, 2, cell]) if n > 2 else 0.0
    x3 = np.float64(boxes[side, 3, cell]) if n > 3 else 0.0
    return np.float64(boxes[side, 0, cell]), x1, x2, x3


@jit
def move_color(axes, i, to, colors, weights, labels, sums):
    """Give one colour to cluster `to`."""
    weight = np.int64(weights[i])
    sums[labels[i], 0] -= weight
    sums[to, 0] += weight
    for j in range(len(axes)):
        share = weight * np.int64(colors[j, i])
        sums[labels[i], 1 + j] -= share
        sums[to, 1 + j] += share
    labels[i] = to


@jit
def settle_leaves(
    axes, leaves, n_leaves, pool, links, boxes, colors, weights, centroids, margin, labels, middles,
    rooms, sums,
):  # fmt: skip
    """Give the colours of leaves to the nearest of their candidates, and remember the room.

    `leaves`, int64 (n, 3), are rows of a cell, where its candidates stand in `pool`, and how many.

    How much nearer a colour is to one candidate than to another, in squares, is linear in the
    colour: three products in float32, from the low corner of the box on, where numbers are small.
    Where the nearest is not nearer than the next by far more than rounding, the reference's own
    arithmetic decides, in the order of the clusters. In all a third of the time that float64 took
    (708,000 colours, K = 256), and 0.84 of that since memory is asked ahead.
    """
    n_axes = len(axes)
    # Vectors in one array at fixed distances: LLVM then knows that they do not overlap.
    point = np.zeros(6 * LANES, np.float32)
    p_best = np.uint64(4 * LANES)
    p_second = np.uint64(5 * LANES)
    owners = np.zeros(LANES, np.int32)
    flags = np.zeros(LANES, np.int32)
    gaps = np.zeros(LANES, np.float32)
    room = np.zeros(1, np.float32)
    # Floats that are not negative stand in the order of their bits, and LLVM makes vectors of a
    # minimum of integers only.
    gap_bits = gaps.view(np.int32)
    room_bits = room.view(np.int32)
    moves = np.empty((MOVES + LANES, 2), np.int64)
    n_moves = 0
    for leaf in range(n_leaves):
        later = leaf + AHEAD
        if later < n_leaves:
            cell = leaves[later, 0]
            a2 = links[0, cell]
            b2 = links[1, cell]
            for j in range(n_axes):
                prefetch(colors, j, a2)
                prefetch(colors, j, b2)
            for h in range(a2, b2 + 16, 16):
                prefetch(labels, h, 0)
        cell = leaves[leaf, 0]
        first = np.uint64(leaves[leaf, 1])
        last = first + np.uint64(leaves[leaf, 2])
        a = np.uint64(links[0, cell])
        b = np.uint64(links[1, cell])
        z = middles[cell]
        z0, z1, z2, z3 = four_channels(axes, centroids, np.uint64(z))
        z_norm = z0 * z0 + z1 * z1 + z2 * z2 + z3 * z3
        low0, low1, low2, low3 = four_sides(axes, boxes, 0, cell)
        high0, high1, high2, high3 = four_sides(axes, boxes, 1, cell)
        wide0, wide1, wide2, wide3 = high0 - low0, high1 - low1, high2 - low2, high3 - low3
        size = 0.0
        room[0] = np.float32(LARGEST)
        rest = room_bits[0]
        for g in range(a, b, np.uint64(LANES)):
            n_here = min(np.uint64(LANES), b - g)
            n_pad = (n_here + np.uint64(15)) & (ALL - np.uint64(15))
            for j in range(n_axes):
                line = np.uint64(j * LANES)
                low = np.float32(boxes[0, j, cell])
                for h in range(n_pad):
                    point[line + h] = np.float32(colors[j, g + h]) - low
            for h in range(n_pad):
                point[p_best + h] = np.float32(0.0)
                point[p_second + h] = np.float32(np.inf)
                owners[h] = z
            for p in range(first, last):
                q = pool[p]
                if q == z:
                    continue
                c0, c1, c2, c3 = four_channels(axes, centroids, np.uint64(q))
                w0, w1, w2, w3 = 2.0 * (z0 - c0), 2.0 * (z1 - c1), 2.0 * (z2 - c2), 2.0 * (z3 - c3)
                lead = c0 * c0 + c1 * c1 + c2 * c2 + c3 * c3 - z_norm
                lead += low0 * w0 + low1 * w1 + low2 * w2 + low3 * w3
                far = abs(w0) * wide0 + abs(w1) * wide1 + abs(w2) * wide2 + abs(w3) * wide3
                size = max(size, far + abs(lead))
                base = np.float32(lead)
                f0, f1, f2, f3 = np.float32(w0), np.float32(w1), np.float32(w2), np.float32(w3)
                for h in range(n_pad):
                    d = base + f0 * point[h]
                    if n_axes > 1:
                        d += f1 * point[np.uint64(LANES) + h]
                    if n_axes > 2:
                        d += f2 * point[np.uint64(2 * LANES) + h]
                    if n_axes > 3:
                        d += f3 * point[np.uint64(3 * LANES) + h]
                    best = point[p_best + h]
                    owner = owners[h]
                    nearer = d < best
                    point[p_best + h] = d if nearer else best
                    owners[h] = q if nearer else owner
                    other = best if nearer else d
                    point[p_second + h] = min(point[p_second + h], other)
            # In float32 rounding is below 6e-7 of the terms, and in float64 far below the margin.
            slack = np.float32(4e-6 * size + margin)
            for h in range(np.uint64(LANES)):
                gaps[h] = point[p_second + h] - point[p_best + h] - slack
                flags[h] = 0 if gaps[h] > np.float32(0.0) else 2
            for h in range(n_here):
                rest = min(rest, gap_bits[h])
            for h in range(np.uint64(LANES)):
                flags[h] |= labels[g + h] != owners[h]
            bits = find_flags(flags) & (ALL >> (np.uint64(LANES) - n_here))
            while bits != np.uint64(0):
                h = np.uint64(lowest_bit(bits))
                bits &= bits - np.uint64(1)
                i = g + h
                to = owners[h]
                if flags[h] > 1:
                    least = np.inf
                    for p in range(first, last):
                        c = np.uint64(pool[p])
                        d = 0.0
                        for j in range(n_axes):
                            gap = np.float64(colors[j, i]) - centroids[c, j]
                            d += gap * gap
                        if d < least:
                            least = d
                            to = pool[p]
                if labels[i] != to:
                    prefetch(weights, i, 0)
                    moves[n_moves, 0] = i
                    moves[n_moves, 1] = to
                    n_moves += 1
            if n_moves > MOVES:
                for h in range(n_moves):
                    move_color(axes, moves[h, 0], moves[h, 1], colors, weights, labels, sums)
                n_moves = 0
        room_bits[0] = rest
        rooms[cell] = np.float64(room[0]) if size < LARGEST else -1.0
    for h in range(n_moves):
        move_color(axes, moves[h, 0], moves[h, 1], colors, weights, labels, sums)

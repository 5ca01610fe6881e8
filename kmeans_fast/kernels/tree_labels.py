"""The labels of a tree's points, in the order of the data."""

from __future__ import annotations

import numpy as np

from ._grids import BLOCK, code_rows, place
from ._jit import jit

GROUP = 4  # candidates that a point is compared with at once
GROUPED = (0, 1, 2, 3)


@jit
def list_labels(cells, labels, first, last, seen, ends, out):
    """List the distinct labels of each leaf, in order; with `out` None only count them.

    The last is repeated to fill a group.

    A point's nearest centroid is the nearest of these, being one of them. `seen` has -1 for
    each cluster; `ends[cell]` gets the number of labels, or says where they go.

    `labels` (n,) uint8, uint16 or int32, `seen` (k,) int32, `ends` (cells + 1,) int64, `out` in the
    labels' type.
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

    `flat` (n * d,) float32 or float64; `state` (cells,) int32; `ends` (cells + 1,) int64; `lists`
    and `out` (n,) in one type; `centroids` (k, d) float64.
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

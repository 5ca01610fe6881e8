"""Greedy k-means++ over points of any numbers, which skips what a new center cannot change.

The squared distance that seeds are drawn by is float32, scaled by a power of two: the difference
in the data's own type first, then rounded, squared and added up in an order that is written down,
so that every machine and every pruning finds the same bits (`fill_sq_dists`). Where points have
fewer than `WIDE` features they are turned into rows of one feature, and LLVM vectorises across the
points; else the features of a point lie side by side already (`_rows`).

The points stay where they are and as they are: sorted, without a copy, they took four times as
long to read at d = 16. Which of them a center may lower follows from where they lie
(`dense_regions`).

Sums are of whole numbers of a quantum, a power of two (`_quanta.count_quanta`).

Points without weight are kept at distance zero: they add nothing, and are never drawn.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit, jit_inline
from ._quanta import count_quanta
from ._rows import LANES, add_square, fill_row, prefetch, scaled, sqrt

# Points that are worked on at a time: what is kept of them stays in the first-level cache.
SIZE = 128
WIDE = 8
# Loops over scratch take so many points at a time: no fewer than LLVM unrolls to.
STEP = 32
# How many bytes ahead the rows of points are asked for.
AHEAD = 4096
# What underflows in a distance.
SMALLEST = np.float32(2.0**-65)
# Centers that the distances of one point are worked out to at a time.
ROWS = 8


class Data(NamedTuple):
    """The points."""

    values: Any  # (n, d) float32 or float64
    scale: Any  # a power of two, in the points' type, or None
    repeats: Any  # (n,) int64 or None: the point counts so many times
    weights: Any  # (n,) float64 or None: the squared distance is multiplied


# ------------------------------------------------------------------------------- distances


@jit_inline
def make_table(centers):
    """Return the centers (m, d), filled up with zeros to whole vectors."""
    n, d = centers.shape
    n_rows = (n + ROWS - 1) // ROWS * ROWS
    table = np.zeros((n_rows, (d + LANES - 1) // LANES * LANES), centers.dtype)
    for t in range(n):
        for j in range(d):
            table[t, j] = centers[t, j]
    return table


@jit_inline
def make_columns(values):
    """Return room for the points of a region, a row a feature, filled up to an even number."""
    d = values.shape[1]
    return np.zeros((0 if d >= WIDE else (d + 1) // 2 * 2, SIZE), values.dtype)


@jit_inline
def fill_up(size):
    """Return the size of a region, filled up: no loop over scratch ends in single steps."""
    return np.uint64((size + STEP - 1) // STEP * STEP)


@jit_inline
def ask_for(values, p):
    """Bring a point nearer, line by line of the cache."""
    j = np.intp(0)
    while j < values.shape[1]:  # a range of any step divides
        prefetch(values, p, j)
        j += np.intp(64 // values.itemsize)


@jit
def fill_sq_dists(values, scale, rows, size, table, n, columns, out):
    """Write the squared distances of some points to the first `n` rows of a table, a row each.

    Rows that are not next to each other are waited for one at a time, unless asked for ahead.

    `values` (n, d), `table` (centers filled up, d filled up), `columns` (`make_columns`) in one
    type; `rows` (size,) int64; `out` (centers filled up, SIZE) float32.
    """
    d = np.uint64(values.shape[1])
    if d >= np.uint64(WIDE):
        ahead = np.intp(1 + AHEAD // (values.itemsize * values.shape[1]))
        n_eights = (n + 3) // 8
        a_four_left = n > 8 * n_eights
        for i in range(size):
            if i + ahead < size:
                ask_for(values, np.intp(rows[i + ahead]))
            p = np.intp(rows[i])
            for eight in range(n_eights):
                fill_row(values, p, table, 8 * eight, 8, scale, out, i)
            if a_four_left:
                fill_row(values, p, table, 8 * n_eights, 4, scale, out, i)
        return
    for i in range(np.uint64(size)):
        p = np.uint64(rows[i])
        for j in range(d):
            columns[j, i] = values[p, j]
    # Two features a pass save half of the loads and stores between passes.
    m = fill_up(size)
    for u in range(np.uint64(n)):
        for j in range(np.uint64(0), d, np.uint64(2)):
            j1 = j + np.uint64(1)
            c0, c1 = table[u, j], table[u, j1]
            if j == np.uint64(0):
                for i in range(m):
                    t0 = scaled(columns[j, i] - c0, scale)
                    t1 = scaled(columns[j1, i] - c1, scale)
                    out[u, i] = add_square(t0 * t0, t1)
            else:
                for i in range(m):
                    t0 = scaled(columns[j, i] - c0, scale)
                    t1 = scaled(columns[j1, i] - c1, scale)
                    out[u, i] = add_square(add_square(out[u, i], t0), t1)


# ------------------------------------------------------------------------------------- sums


@jit_inline
def in_quanta(sq_dist, p, repeats, weights, anchor):
    """Return the squared distance of point `p` by weight, in whole numbers of the quantum."""
    value = np.float64(sq_dist)
    if weights is not None:
        value *= weights[p]
    whole = count_quanta(value, anchor)
    if repeats is not None:
        whole *= repeats[p]
    return whole


@jit_inline
def add_quanta(sq_dists, size, rows, repeats, weights, anchor):
    """Return the sum of the first values in whole numbers of the quantum.

    `sq_dists` float32 and `rows` int64, of which the first `size` count.
    """
    total = np.int64(0)
    for i in range(size):
        total += in_quanta(sq_dists[i], rows[i], repeats, weights, anchor)
    return total


@jit
def add_chunks(data, closest, shift, first, last, anchor, out):
    """Add up chunks of ``2**shift`` points: `closest` (n,) float32, `out` (chunks,) int64."""
    for chunk in range(first, last):
        total = np.int64(0)
        for p in range(chunk << shift, min((chunk + 1) << shift, closest.size)):
            total += in_quanta(closest[p], p, data.repeats, data.weights, anchor)
        out[chunk] = total


@jit
def draw_points(data, closest, shift, tickets, ends, anchor, out):
    """Write, for each ticket, the point at which the running sum passes it.

    `closest` (n,) float32; `tickets` and `out` (tickets,), `ends` (chunks,) int64.
    """
    for t in range(tickets.size):
        chunk = np.searchsorted(ends, tickets[t], side="right")
        left = tickets[t] - (ends[chunk - 1] if chunk > 0 else 0)
        p = np.int64(chunk) << shift
        while True:
            left -= in_quanta(closest[p], p, data.repeats, data.weights, anchor)
            if left < 0:
                break
            p += 1
        out[t] = p


# ----------------------------------------------------------------------------------- search


@jit_inline
def list_reached(values, regions, distances, loose, closest, start, size, gaps, rows, n_rows):
    """List which points of a block a center may be nearer to, and ask for the first of them.

    `distances` are those of the nearest of the centers to the middles; of no length, all points
    are listed. They follow the `n_rows` that are; returns how many there are then.

    `distances` (regions,), `closest` (n,), `gaps` (SIZE,) float32; `rows` (2 * SIZE + 1,) int64.
    """
    first = np.uint64(start)
    n = np.uint64(n_rows)
    if distances.size == 0:
        for i in range(np.uint64(size)):
            rows[n + i] = np.int64(first + i)
        return n_rows + size
    for i in range(np.uint64(size)):
        gaps[i] = (regions.radii[first + i] + sqrt(closest[first + i])) * loose + SMALLEST
    for i in range(np.uint64(size)):
        gaps[i] -= distances[np.uint64(regions.labels[first + i])]
    for i in range(np.uint64(size)):
        rows[n] = np.int64(first + i)
        n += np.uint64(1) if gaps[i] > np.float32(0) else np.uint64(0)
    ahead = np.int64(1 + AHEAD // (values.itemsize * values.shape[1]))
    for i in range(n_rows, min(np.int64(n), n_rows + ahead)):
        ask_for(values, rows[i])
    return np.int64(n)


@jit
def try_centers(
    data, regions, distances, loose, start, stop, centers, closest, anchor, masks, gains
):  # fmt: skip
    """Add up how each of the centers, alone, would lower the sum of `closest`.

    `masks` has a bit for each center that lowers a point (the same for every eighth). Returns how
    many points were looked at: those are collected from several blocks of `SIZE`, as what is done
    with them at a time costs a third of a microsecond at the least.

    `distances` (regions,), `closest` (n,) float32; `centers` (m, d) in the points' type; `masks`
    (n,) uint8; `gains` (m,) int64.
    """
    values = data.values
    n = len(centers)
    table = make_table(centers)
    columns = make_columns(values)
    sq_dists = np.zeros((len(table), SIZE), np.float32)
    rows = np.zeros(2 * SIZE + 1, np.int64)
    gaps = np.empty(SIZE, np.float32)
    now = np.empty(SIZE, np.float32)
    low = np.empty(SIZE, np.float32)
    mask = np.empty(SIZE, np.int32)
    n_seen = 0
    n_rows = np.int64(0)
    first = start
    masks[start:stop] = 0
    while first < stop or n_rows > 0:
        while first < stop and n_rows < SIZE:
            size = min(first + SIZE, stop) - first
            n_rows = list_reached(
                values, regions, distances, loose, closest, first, size, gaps, rows, n_rows
            )
            first += size
        size = min(n_rows, SIZE)
        n_seen += size
        m = fill_up(size)
        for i in range(np.uint64(size)):
            now[i] = closest[np.uint64(rows[i])]
        for i in range(np.uint64(size), m):  # whatever is worked out there, it adds nothing
            now[i] = np.float32(0)
        mask[:] = 0
        fill_sq_dists(values, data.scale, rows, size, table, n, columns, sq_dists)
        total = add_quanta(now, m, rows, data.repeats, data.weights, anchor)
        for t in range(np.uint64(n)):
            bit = np.int32(1 << (np.int64(t) & 7))
            any_lower = np.int32(0)
            for i in range(m):
                dist, old = sq_dists[t, i], now[i]
                any_lower |= bit if dist < old else np.int32(0)
                low[i] = dist if dist < old else old
            if any_lower:
                for i in range(m):
                    mask[i] |= bit if low[i] < now[i] else np.int32(0)
                gains[t] += total - add_quanta(low, m, rows, data.repeats, data.weights, anchor)
        for i in range(np.uint64(size)):
            masks[np.uint64(rows[i])] = mask[i]
        n_rows -= size
        for i in range(n_rows):
            rows[i] = rows[size + i]
    return n_seen


@jit
def lower_to_center(
    data, start, stop, center, bit, closest, anchor, masks, shift, chunk_totals
):  # fmt: skip
    """Lower `closest` to a center at the points that have its bit.

    `chunk_totals` are those of chunks of ``2**shift`` points; with a `anchor` of zero there was no
    center before, and they are left alone.

    `center` (1, d) in the points' type, `closest` (n,) float32, `masks` (n,) and `bit` uint8.
    """
    values = data.values
    table = make_table(center)
    columns = make_columns(values)
    sq_dists = np.zeros((len(table), SIZE), np.float32)
    rows = np.zeros(2 * SIZE + 1, np.int64)
    n_rows = np.int64(0)
    first = start
    while first < stop or n_rows > 0:
        while first < stop and n_rows < SIZE:
            last = min(first + STEP, stop)  # most have none: few are looked at one by one
            some = np.uint8(0)
            for p in range(np.uint64(first), np.uint64(last)):
                some |= masks[p] & bit
            if some:
                n = np.uint64(n_rows)
                for p in range(np.uint64(first), np.uint64(last)):
                    rows[n] = np.int64(p)
                    n += np.uint64(1) if masks[p] & bit else np.uint64(0)
                n_rows = np.int64(n)
            first = last
        size = min(n_rows, SIZE)
        fill_sq_dists(values, data.scale, rows, size, table, np.int64(1), columns, sq_dists)
        for i in range(size):
            p = rows[i]
            dist, old = sq_dists[0, i], closest[p]
            if dist < old:
                closest[p] = dist
                if anchor != 0.0:
                    before = in_quanta(old, p, data.repeats, data.weights, anchor)
                    after = in_quanta(dist, p, data.repeats, data.weights, anchor)
                    chunk_totals[p >> shift] += after - before
        n_rows -= size
        for i in range(n_rows):
            rows[i] = rows[size + i]

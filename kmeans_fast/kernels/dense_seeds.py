"""Greedy k-means++ over points of any numbers, which skips what a new center cannot change.

The squared distance that seeds are drawn by is float32, scaled by a power of two: the difference
in the data's own type first, then rounded, squared and added up in an order that is written down,
so that every machine and every pruning finds the same bits (`_rows.add_tile`). Points are turned
into columns for that, sixteen at a time.

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
from ._rows import LANES, TURNED, add_tile, prefetch, sqrt, turn_points

# Points that are worked on at a time: what is kept of them stays in the first-level cache.
SIZE = 128
# Loops over scratch take so many points at a time: no fewer than LLVM unrolls to.
STEP = 32
# How many bytes ahead the rows of points are asked for.
AHEAD = 4096
# What underflows in a distance.
SMALLEST = np.float32(2.0**-65)
# Features that are turned at a time, up to twice as many in the end: they stay in the first-level
# cache.
PANEL = 128
# Centers that the distances of a tile are worked out to at a time: so many sums hide the time that
# an addition takes.
ROWS = 4


class Data(NamedTuple):
    """The points."""

    values: Any  # (n, d) float32 or float64, or whole numbers, whose differences are float32
    scale: Any  # a power of two, in the type of differences, or None
    repeats: Any  # (n,) int64 or None: the point counts so many times
    weights: Any  # (n,) float64 or None: the squared distance is multiplied


# ------------------------------------------------------------------------------- distances


@jit_inline
def make_table(centers):
    """Return the centers (m, d), filled up with zeros to a multiple of `ROWS`."""
    n, d = centers.shape
    table = np.zeros(((n + ROWS - 1) // ROWS * ROWS, d), centers.dtype)
    for t in range(n):
        for j in range(d):
            table[t, j] = centers[t, j]
    return table


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
def fill_sq_dists(values, scale, rows, size, table, columns, out):
    """Write the squared distances of some points to the centers of a table, a row each.

    Rows that are not next to each other are waited for one at a time, unless asked for ahead.

    `values` (n, d); `table` (centers filled up, d) and `columns`, of two panels, in the type of
    differences; `rows` (size,) int64; `out` (centers filled up, SIZE) float32.
    """
    d = np.int64(values.shape[1])
    ahead = np.intp(1 + AHEAD // (values.itemsize * values.shape[1]))
    last = np.int64(size) - 1
    for first in range(0, size, LANES):
        for i in range(first + ahead, min(first + ahead + LANES, size)):
            ask_for(values, np.intp(rows[i]))
        if d < TURNED:
            for i in range(LANES):
                p = rows[min(first + i, last)]
                for j in range(np.uint64(d)):
                    columns[j * np.uint64(LANES) + np.uint64(i)] = values[p, j]
            for t in range(0, len(table), ROWS):
                add_tile(columns, 0, d, table, t, ROWS, scale, out, first)
            continue
        begin = np.int64(0)
        while begin < d:
            end = begin + PANEL if begin + 2 * PANEL <= d else d
            for part in range(0, LANES, TURNED):
                turn_points(
                    values, rows, first + part, last, begin, end, None, None, columns, part, LANES,
                    None, 0,
                )  # fmt: skip
            for t in range(0, len(table), ROWS):
                add_tile(columns, begin, end, table, t, ROWS, scale, out, first)
            begin = end


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


@jit
def add_chunks(repeats, weights, closest, shift, first, last, anchor, out):
    """Add up chunks of ``2**shift`` points: `closest` (n,) float32, `out` (chunks,) int64."""
    for chunk in range(first, last):
        total = np.int64(0)
        for p in range(chunk << shift, min((chunk + 1) << shift, closest.size)):
            total += in_quanta(closest[p], p, repeats, weights, anchor)
        out[chunk] = total


@jit
def draw_points(repeats, weights, closest, shift, tickets, ends, anchor, out):
    """Write, for each ticket, the point at which the running sum passes it.

    `closest` (n,) float32; `tickets` and `out` (tickets,), `ends` (chunks,) int64.
    """
    for t in range(tickets.size):
        chunk = np.searchsorted(ends, tickets[t], side="right")
        left = tickets[t] - (ends[chunk - 1] if chunk > 0 else 0)
        p = np.int64(chunk) << shift
        while True:
            left -= in_quanta(closest[p], p, repeats, weights, anchor)
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


@jit_inline
def add_gains(data, sq_dists, now, size, rows, anchor, n, low, mask, gains):
    """Add up by how much each of `n` centers lowers the points, and set its bit where it does.

    `sq_dists` (centers filled up, SIZE), `now` and `low` (SIZE,) float32; `rows` int64, `mask`
    (SIZE,) int32.
    """
    m = fill_up(size)
    total = np.int64(0)
    for i in range(m):
        mask[i] = np.int32(0)
        total += in_quanta(now[i], rows[i], data.repeats, data.weights, anchor)
    for t in range(np.uint64(n)):
        bit = np.int32(1 << (np.int64(t) & 7))
        for i in range(m):
            dist, old = sq_dists[t, i], now[i]
            mask[i] |= bit if dist < old else np.int32(0)
            low[i] = dist if dist < old else old
        left = np.int64(0)
        for i in range(m):
            left += in_quanta(low[i], rows[i], data.repeats, data.weights, anchor)
        gains[t] += total - left


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
    table = make_table(centers)
    columns = np.empty(min(values.shape[1], 2 * PANEL) * LANES, table.dtype)
    sq_dists = np.zeros((len(table), SIZE), np.float32)
    rows = np.zeros(2 * SIZE + 1, np.int64)
    gaps = np.empty(SIZE, np.float32)
    now = np.zeros(SIZE, np.float32)
    low = np.empty(SIZE, np.float32)
    mask = np.empty(SIZE, np.int32)
    n_seen = 0
    n_rows = np.int64(0)
    first = start
    all_seen = distances.size == 0
    if not all_seen:
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
        at = np.uint64(rows[0])
        if all_seen:
            for i in range(np.uint64(size)):
                now[i] = closest[at + i]
        else:
            for i in range(np.uint64(size)):
                now[i] = closest[np.uint64(rows[i])]
        for i in range(np.uint64(size), fill_up(size)):  # whatever comes there, it adds nothing
            now[i] = np.float32(0)
        fill_sq_dists(values, data.scale, rows, size, table, columns, sq_dists)
        add_gains(data, sq_dists, now, size, rows, anchor, len(centers), low, mask, gains)
        if all_seen:
            for i in range(np.uint64(size)):
                masks[at + i] = mask[i]
        else:
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
    columns = np.empty(min(values.shape[1], 2 * PANEL) * LANES, table.dtype)
    sq_dists = np.zeros((len(table), SIZE), np.float32)
    now = np.empty(SIZE, np.float32)
    low = np.empty(SIZE, np.float32)
    change = np.empty(SIZE, np.int64)
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
        fill_sq_dists(values, data.scale, rows, size, table, columns, sq_dists)
        m = fill_up(size)
        for i in range(np.uint64(size)):
            now[i] = closest[np.uint64(rows[i])]
        for i in range(np.uint64(size), m):
            now[i] = np.float32(0)
        for i in range(m):
            low[i] = sq_dists[0, i] if sq_dists[0, i] < now[i] else now[i]
        for i in range(np.uint64(size)):
            closest[np.uint64(rows[i])] = low[i]
        if anchor != 0.0:
            for i in range(m):
                before = in_quanta(now[i], rows[i], data.repeats, data.weights, anchor)
                after = in_quanta(low[i], rows[i], data.repeats, data.weights, anchor)
                change[i] = after - before
            if rows[0] >> shift == rows[size - 1] >> shift:
                total = np.int64(0)
                for i in range(m):
                    total += change[i]
                chunk_totals[rows[0] >> shift] += total
            else:
                for i in range(np.uint64(size)):
                    chunk_totals[rows[i] >> shift] += change[i]
        n_rows -= size
        for i in range(n_rows):
            rows[i] = rows[size + i]

"""Greedy k-means++ over points of any numbers, which skips what a new center cannot change.

The points are seen in an `order` that keeps near ones together, cut into *cells*: points
``order[starts[c]:starts[c + 1]]`` lie within a radius of the middle of cell `c`. `closest` holds,
in that order, the squared distance of each point to the nearest center so far: the reference's
float64 arithmetic, feature by feature. A center that is farther from the middle than the radius
plus the largest distance in the cell lowers nothing there. That is the triangle inequality, and
`far` has it loosened for rounding, so that it decides nothing but how much work is done.

Where points have few features, a cell is worked on a row a feature, so that LLVM vectorises
across the points. Where they have `WIDE` or more, distances are first estimated point by point,
in the data's own type and in any order of addition, within a known relative error; those which
may be lower are then worked out as the reference does.

Weights come as `repeats` (int64) or `weights` (float64), `None` where all are one. Points without
weight are kept at distance zero: they add nothing, and are never drawn. `quanta` and limbs are
those of `kernels.dense`.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit, jit_inline

# Most points in a cell: 128 doubles are 1 KB, so that a cell and its scratch stay in the
# first-level cache.
SIZE = 128
WIDE = 32
# From here on, points much farther than most of a cell are kept apart.
WORTH_PARTING = 8
# Where there are fewer features, cells are filled up to so many points: whole vectors.
LANES = 32
# Points drawn at a time to sort others by.
PIVOTS = 8
# Cells whose distances to the candidates are worked out together.
BATCH = 64


def estimate(function):
    """Compile with sums in any order: for estimates only."""
    return jit(function, fastmath={"reassoc", "contract", "nsz"})


@jit_inline
def gather_columns(points, order, start, stop, out, at):
    """Write points into ``out[at:]``, a row a feature."""
    size = np.uint64(stop - start)
    for i in range(size):
        p = order[np.uint64(start) + i]
        for j in range(np.uint64(points.shape[1])):
            out[np.uint64(at) + j * size + i] = points[p, j]


@jit_inline
def fill_sq_dists(columns, at, size, centers, t, out):
    """Write the squared distances to a center of the points in ``columns[at:]``, a row a feature.

    Four features a pass over `out` save three of four loads and stores. Indices, not slices: at
    128 points an array made in the loop costs Numba as much as the loop.
    """
    d = centers.shape[1]
    n = np.uint64(size)
    zero = np.uint64(0)
    x0 = np.uint64(at)
    for i in range(n):
        out[i] = 0.0
    for j in range(zero, np.uint64(d // 4 * 4), np.uint64(4)):
        c0, c1 = centers[t, j], centers[t, j + np.uint64(1)]
        c2, c3 = centers[t, j + np.uint64(2)], centers[t, j + np.uint64(3)]
        x1 = x0 + n
        x2 = x1 + n
        x3 = x2 + n
        for i in range(n):
            t0 = columns[x0 + i] - c0
            t1 = columns[x1 + i] - c1
            t2 = columns[x2 + i] - c2
            t3 = columns[x3 + i] - c3
            out[i] = (((out[i] + t0 * t0) + t1 * t1) + t2 * t2) + t3 * t3
        x0 = x3 + n
    left = d % 4
    if left == 3:
        c0, c1, c2 = centers[t, d - 3], centers[t, d - 2], centers[t, d - 1]
        x1 = x0 + n
        x2 = x1 + n
        for i in range(n):
            t0 = columns[x0 + i] - c0
            t1 = columns[x1 + i] - c1
            t2 = columns[x2 + i] - c2
            out[i] = ((out[i] + t0 * t0) + t1 * t1) + t2 * t2
    elif left == 2:
        c0, c1 = centers[t, d - 2], centers[t, d - 1]
        x1 = x0 + n
        for i in range(n):
            t0 = columns[x0 + i] - c0
            t1 = columns[x1 + i] - c1
            out[i] = (out[i] + t0 * t0) + t1 * t1
    elif left == 1:
        c0 = centers[t, d - 1]
        for i in range(n):
            t0 = columns[x0 + i] - c0
            out[i] = out[i] + t0 * t0


@jit_inline
def fill_exact_sq_dists(points, rows, n, centers, t, out):
    """Write the squared distance of each of `n` points: eight sums side by side.

    `rows` has room for seven more, and `out` as well.
    """
    for i in range(n, (n + 7) // 8 * 8):
        rows[i] = rows[n - 1]
    for i in range(0, n, 8):
        i0, i1, i2, i3 = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        i4, i5, i6, i7 = rows[i + 4], rows[i + 5], rows[i + 6], rows[i + 7]
        s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
        for j in range(np.uint64(points.shape[1])):
            c = centers[t, j]
            t0, t1, t2, t3 = (
                points[i0, j] - c,
                points[i1, j] - c,
                points[i2, j] - c,
                points[i3, j] - c,
            )
            t4, t5, t6, t7 = (
                points[i4, j] - c,
                points[i5, j] - c,
                points[i6, j] - c,
                points[i7, j] - c,
            )
            s0 += t0 * t0
            s1 += t1 * t1
            s2 += t2 * t2
            s3 += t3 * t3
            s4 += t4 * t4
            s5 += t5 * t5
            s6 += t6 * t6
            s7 += t7 * t7
        out[i], out[i + 1], out[i + 2], out[i + 3] = s0, s1, s2, s3
        out[i + 4], out[i + 5], out[i + 6], out[i + 7] = s4, s5, s6, s7


@jit_inline
def fetch(points, order, start, stop):
    """Bring points into the cache: return a sum of one number from each 64 bytes.

    Rows in no order of memory are waited for one at a time while they are worked with; loads
    with nothing in between overlap: d = 128 and eight candidates went from 28 to 14 ns each.
    """
    step = np.uint64(64 // points.itemsize)
    total = np.float64(0)
    for i in range(start, stop):
        p = np.uint64(order[i])
        for j in range(np.uint64(0), np.uint64(points.shape[1]), step):
            total += points[p, j]
    return total


@estimate
def estimate_sq_dists(points, order, start, stop, table, n, out):
    """Write about the squared distances of points to the first `n` rows of a table, a row each.

    Indices, not slices: an array made in a loop costs Numba more than the 64 features in it.
    """
    zero = points.dtype.type(0)
    d = np.uint64(points.shape[1])
    for i in range(start, stop):
        p = np.uint64(order[i])
        at = np.uint64(i - start)
        for u in range(0, n - 3, 4):
            t = np.uint64(u)
            s0 = s1 = s2 = s3 = zero
            for j in range(d):
                x = points[p, j]
                t0 = x - table[t, j]
                t1 = x - table[t + np.uint64(1), j]
                t2 = x - table[t + np.uint64(2), j]
                t3 = x - table[t + np.uint64(3), j]
                s0 += t0 * t0
                s1 += t1 * t1
                s2 += t2 * t2
                s3 += t3 * t3
            out[t, at] = s0
            out[t + np.uint64(1), at] = s1
            out[t + np.uint64(2), at] = s2
            out[t + np.uint64(3), at] = s3
        for u in range(n // 4 * 4, n):
            t = np.uint64(u)
            s0 = zero
            for j in range(d):
                t0 = points[p, j] - table[t, j]
                s0 += t0 * t0
            out[t, at] = s0


# ----------------------------------------------------------------------------------- cells


@jit
def lower_estimates(points, order, start, stop, columns, pivots, first_pivot, labels, least):
    """Lower `least` to about the distances to more pivots, and label what they lower.

    `columns`, if not empty, are the points in blocks of `SIZE`, a row a feature.
    """
    n_pivots, d = pivots.shape
    wide = d >= WIDE
    gathered = np.empty(0 if wide or columns.size > 0 else d * SIZE, points.dtype)
    estimates = np.empty((n_pivots if wide else 0, SIZE), points.dtype)
    sq_dists = np.empty(SIZE, points.dtype)
    for first in range(start, stop, SIZE):
        last = min(first + SIZE, stop)
        n = np.uint64(last - first)
        begin = np.uint64(first)
        if wide:
            estimate_sq_dists(points, order, first, last, pivots, n_pivots, estimates)
        elif columns.size == 0:
            gather_columns(points, order, first, last, gathered, 0)
        for p in range(np.uint64(n_pivots)):
            if wide:
                for i in range(n):
                    sq_dists[i] = estimates[p, i]
            elif columns.size == 0:
                fill_sq_dists(gathered, 0, last - first, pivots, p, sq_dists)
            else:
                fill_sq_dists(columns, d * (first - start), last - first, pivots, p, sq_dists)
            label = np.int32(first_pivot + p)
            for i in range(n):
                about, now, old = sq_dists[i], least[begin + i], labels[begin + i]
                labels[begin + i] = label if about < now else old
                least[begin + i] = about if about < now else now


@jit
def sort_by_label(labels, order, start, stop, counts, scratch):
    """Sort part of the order by its labels; write how often each label is there."""
    counts[:] = 0
    for i in range(start, stop):
        counts[labels[i]] += 1
        scratch[i] = order[i]
    places = np.empty(counts.size, np.int64)
    place = start
    for label in range(counts.size):
        places[label] = place
        place += counts[label]
    for i in range(start, stop):
        label = labels[i]
        order[places[label]] = scratch[i]
        places[label] += 1


@jit
def split_group(points, order, start, stop, labels, least, scratch, counts):
    """Sort part of the order by the nearest of some of its points.

    Those are drawn by squared distance to the nearest so far, a few at a time: small knots of
    points far from the rest find one of their own. Of each, points much farther than most are
    kept apart, as the farthest in a cell decides what can be skipped. `counts` has two entries
    for each of them.
    """
    n_pivots = counts.size // 2
    d = points.shape[1]
    columns = np.empty(0 if d >= WIDE else (stop - start) * d, points.dtype)
    if columns.size > 0:
        for i in range(start, stop, SIZE):
            gather_columns(points, order, i, min(i + SIZE, stop), columns, d * (i - start))
    for i in range(start, stop):
        labels[i] = 0
        least[i] = np.inf
    for first in range(0, n_pivots, PIVOTS):
        n = min(PIVOTS, n_pivots - first)
        pivots = np.empty((n, d), points.dtype)
        total = 0.0
        if first > 0:
            for i in range(start, stop):
                total += least[i]
        if 0.0 < total < np.inf:
            ticket = total / n * 0.5
            running = 0.0
            p = 0
            for i in range(start, stop):
                running += least[i]
                while p < n and running > ticket:
                    pivots[p] = points[order[i]]
                    p += 1
                    ticket += total / n
            n = p
        else:
            for p in range(n):
                pivots[p] = points[order[start + p * (stop - start) // n]]
        lower_estimates(points, order, start, stop, columns, pivots[:n], first, labels, least)
    far_off = d >= WORTH_PARTING
    sums = np.zeros(n_pivots)
    sizes = np.zeros(n_pivots, np.int64)
    for i in range(start, stop):
        sums[labels[i]] += least[i]
        sizes[labels[i]] += 1
    for i in range(start, stop):
        label = labels[i]
        labels[i] = 2 * label + (far_off and least[i] * sizes[label] > 2.25 * sums[label])
    sort_by_label(labels, order, start, stop, counts, scratch)


@jit
def measure_cells(points, order, starts, first, last, middles, radii):
    """Write the cells' middles, as columns, and the largest distance of a point to each."""
    d = points.shape[1]
    middle = np.empty(d)
    for cell in range(first, last):
        start, stop = starts[cell], starts[cell + 1]
        middle[:] = 0.0
        for i in range(start, stop):
            x = points[order[i]]
            for j in range(d):
                middle[j] += x[j]
        for j in range(d):
            middles[j, cell] = middle[j] / (stop - start)
            middle[j] = middles[j, cell]
        largest = 0.0
        for i in range(start, stop):
            largest = max(largest, estimate_exactly(points[order[i]], middle))
        radii[cell] = np.sqrt(largest)


@estimate
def estimate_exactly(x, center):
    """Return the squared distance in float64, in any order of addition."""
    s = 0.0
    for j in range(x.size):
        t = x[j] - center[j]
        s += t * t
    return s


@jit
def lay_out(
    points, in_order, firsts, starts, first, last, repeats, weights, order, inverse, columns,
    closest,
):  # fmt: skip
    """Move the points ``in_order[firsts[c]:firsts[c + 1]]`` of each cell where it starts.

    What is left of the cell is filled with its first point, at distance zero.
    """
    for cell in range(first, last):
        begin, size = firsts[cell], firsts[cell + 1] - firsts[cell]
        start, stop = starts[cell], starts[cell + 1]
        for i in range(start, stop):
            p = in_order[begin + i - start] if i - start < size else in_order[begin]
            order[i] = p
            closest[i] = 0.0
            if i - start < size:
                inverse[p] = i
                if has_weight(p, repeats, weights):
                    closest[i] = np.inf
        if columns.size > 0:
            gather_columns(points, order, start, stop, columns, points.shape[1] * start)


@jit_inline
def has_weight(p, repeats, weights):
    """Say whether a point counts at all."""
    if repeats is not None:
        return repeats[p] > 0
    if weights is not None:
        return weights[p] > 0.0
    return True


# ----------------------------------------------------------------------------------- search


@jit_inline
def reach_cells(middles, far, first, last, centers, touched):
    """Set a bit of `touched` for each center that may lower something in a cell.

    Without middles, all bits.
    """
    n, d = centers.shape
    if middles.shape[1] == 0:
        touched[first:last] = (np.int64(1) << n) - 1
        return
    sq_dists = np.empty((n, BATCH))
    for begin in range(first, last, BATCH):
        end = min(begin + BATCH, last)
        sq_dists[:] = 0.0
        for j in range(d):
            x = middles[j, begin:end]
            for t in range(n):
                c, out = centers[t, j], sq_dists[t]
                for i in range(x.size):
                    gap = x[i] - c
                    out[i] += gap * gap
        bits, limits = touched[begin:end], far[begin:end]
        bits[:] = 0
        for t in range(n):
            bit, out = np.int64(1) << t, sq_dists[t]
            for i in range(bits.size):
                bits[i] |= bit if out[i] < limits[i] else 0


@jit_inline
def weigh(values, size, start, order, repeats, weights, quanta, limbs):
    """Write the sum of the first values, by weight, in limbs; the values are used up."""
    n = np.uint64(size)
    first = np.uint64(start)
    if weights is not None:
        for i in range(n):
            values[i] *= weights[order[first + i]]
    for level in range(len(quanta)):
        quantum = quanta[level]
        inverse = 1.0 / quantum
        total = np.int64(0)
        for i in range(n):
            value = values[i]
            whole = np.rint(value * inverse)
            values[i] = value - whole * quantum
            if repeats is not None:
                total += repeats[order[first + i]] * np.int64(whole)
            else:
                total += np.int64(whole)
        limbs[level] = total


@jit_inline
def in_quanta(value, point, repeats, weights, quantum):
    """Return the first limb of a value."""
    if weights is not None:
        value *= weights[point]
    whole = np.int64(np.rint(value * (1.0 / quantum)))
    return whole * repeats[point] if repeats is not None else whole


@jit
def try_cells(
    points, places, order, starts, columns, first, last, middles, far, centers, natives, slack,
    touched, closest, repeats, weights, quanta, totals, out,
):  # fmt: skip
    """Add up how each of the centers, alone, would change the sum of `closest`, in limbs.

    ``points[places[i]]`` is the point ``order[i]``: where the points are copied, `places` differ.

    `natives` are the centers in the type of the points, and `slack` is the relative error of an
    estimate (infinite: estimates are not to be trusted). Leaves in `touched` the centers that do
    change a cell. Returns how many distances were worked out.
    """
    d = points.shape[1]
    n = centers.shape[0]
    reach_cells(middles, far, first, last, centers, touched)
    wide = d >= WIDE
    scratch = np.empty(0 if wide else d * SIZE, points.dtype)
    estimates = np.empty((n if wide else 0, SIZE), points.dtype)
    table = np.empty((n if wide else 0, d), points.dtype)
    which = np.empty(n, np.int64)
    rows = np.empty(SIZE + 8, np.int64)
    lowered = np.empty(SIZE + 8, np.int64)
    sq_dists = np.empty(SIZE + 8)
    values = np.empty(SIZE)
    limbs = np.empty(len(quanta), np.int64)
    in_table = np.int64(0)
    n_table = 0
    n_tried = 0
    fetched = 0.0
    for cell in range(first, last):
        bits = touched[cell]
        if bits == 0:
            continue
        start, stop = starts[cell], starts[cell + 1]
        size = stop - start
        if wide:
            if bits != in_table:
                in_table, n_table = bits, 0
                for t in range(n):
                    if bits >> t & 1:
                        which[n_table] = t
                        table[n_table] = natives[t]
                        n_table += 1
            fetched += fetch(points, places, start, stop)
            estimate_sq_dists(points, places, start, stop, table, n_table, estimates)
            n_tried += n_table * size
            for u in range(n_table):
                t = which[u]
                n_rows = find_lower(
                    estimates, u, closest, slack, places, start, size, values, lowered, rows
                )
                if n_rows == 0:
                    touched[cell] &= ~(np.int64(1) << t)
                    continue
                fill_exact_sq_dists(points, rows, n_rows, centers, t, sq_dists)
                for r in range(n_rows):
                    at = lowered[r]
                    values[at] = min(values[at], sq_dists[r])
                weigh(values, size, start, order, repeats, weights, quanta, limbs)
                for level in range(len(quanta)):
                    out[t, level] += limbs[level] - totals[cell, level]
            continue
        if columns.size == 0:
            gather_columns(points, places, start, stop, scratch, 0)
        for t in range(n):
            if not bits >> t & 1:
                continue
            n_tried += size
            if columns.size == 0:
                fill_sq_dists(scratch, 0, size, centers, t, sq_dists)
            else:
                fill_sq_dists(columns, d * start, size, centers, t, sq_dists)
            if not take_lower(sq_dists, closest, start, size, values):
                touched[cell] &= ~(np.int64(1) << t)
                continue
            weigh(values, size, start, order, repeats, weights, quanta, limbs)
            for level in range(len(quanta)):
                out[t, level] += limbs[level] - totals[cell, level]
    return n_tried if fetched == fetched else 0


@jit_inline
def take_lower(sq_dists, closest, start, size, out):
    """Write the lower of both distances; return how many are lowered."""
    n_lower = np.int64(0)
    first = np.uint64(start)
    for i in range(np.uint64(size)):
        dist, now = sq_dists[i], closest[first + i]
        n_lower += np.int64(1) if dist < now else np.int64(0)
        out[i] = dist if dist < now else now
    return n_lower


@jit_inline
def find_lower(estimates, u, closest, slack, places, start, size, values, lowered, rows):
    """Write where a center may be nearer than `closest`, and the points there; return how many.

    An estimate that overflowed says nothing; the smallest number is for those that underflowed.
    `values` becomes `closest`.
    """
    first = np.uint64(start)
    row = np.uint64(u)
    n_lower = np.int64(0)
    for i in range(np.uint64(size)):
        about, now = np.float64(estimates[row, i]), closest[first + i]
        values[i] = now
        n_lower += decide(about, now, slack)
    if n_lower == 0:
        return n_lower
    n_lower = np.int64(0)
    for i in range(np.uint64(size)):
        lowered[n_lower] = i
        rows[n_lower] = places[first + i]
        n_lower += decide(np.float64(estimates[row, i]), values[i], slack)
    return n_lower


@jit_inline
def decide(about, now, slack):
    """Return 1 where the squared distance may be lower, 0 where it cannot be."""
    low = (about < now * (1.0 + slack) + 1e-37) | (about == np.inf)
    return np.int64(1) if low else np.int64(0)


@jit
def lower_cells(
    points, places, order, starts, columns, first, last, centers, touched, bit, radii, margin,
    shift, scattered, fresh, closest, repeats, weights, quanta, far, heaviest, totals, change,
    chunk_change,
):  # fmt: skip
    """Lower `closest` to the one center in the cells that have its bit, and what is kept of them.

    `far`, `heaviest` (the largest distance by weight) and `totals` are the cells'; `change` is
    added to in limbs, and `chunk_change` in first limbs, by chunks of ``2**shift`` points in
    their own order; unless `scattered`, a cell lies in one of them. `fresh`: there was no center
    before, and the sums are left alone.
    """
    d = points.shape[1]
    wide = d >= WIDE
    scratch = np.empty(0 if wide else d * SIZE, points.dtype)
    rows = np.empty(SIZE + 8, np.int64)
    sq_dists = np.empty(SIZE + 8)
    values = np.empty(SIZE)
    bits = values.view(np.int64)
    largest_bits = np.empty(1, np.int64)
    largest_value = largest_bits.view(np.float64)
    limbs = np.empty(len(quanta), np.int64)
    for cell in range(first, last):
        if not touched[cell] & bit:
            continue
        start, stop = starts[cell], starts[cell + 1]
        size = stop - start
        if wide:
            for i in range(size):
                rows[i] = places[start + i]
            fill_exact_sq_dists(points, rows, size, centers, 0, sq_dists)
        elif columns.size == 0:
            gather_columns(points, places, start, stop, scratch, 0)
            fill_sq_dists(scratch, 0, size, centers, 0, sq_dists)
        else:
            fill_sq_dists(columns, d * start, size, centers, 0, sq_dists)
        n_lower = take_lower(sq_dists, closest, start, size, values)
        if scattered and not fresh and n_lower > 0:
            for i in range(start, stop):
                if values[i - start] < closest[i]:
                    p = order[i]
                    chunk_change[p >> shift] += in_quanta(
                        values[i - start], p, repeats, weights, quanta[0]
                    ) - in_quanta(closest[i], p, repeats, weights, quanta[0])
        most = np.int64(0)  # of the bits: numbers that are not negative compare as integers do
        for i in range(np.uint64(size)):
            most = max(most, bits[i])
            closest[np.uint64(start) + i] = values[i]
        largest_bits[0] = most
        largest = largest_value[0]
        heaviest[cell] = largest
        if weights is not None:
            heaviest[cell] = 0.0
            for i in range(size):
                heaviest[cell] = max(heaviest[cell], weights[order[start + i]] * values[i])
        reach = (radii[cell] + np.sqrt(largest)) * margin + 1e-150
        far[cell] = reach * reach
        if not fresh:
            weigh(values, size, start, order, repeats, weights, quanta, limbs)
            for level in range(len(quanta)):
                gain = limbs[level] - totals[cell, level]
                totals[cell, level] = limbs[level]
                change[level] += gain
                if level == 0 and not scattered:
                    chunk_change[order[start] >> shift] += gain


@jit
def total_cells(
    order, starts, first, last, shift, scattered, closest, repeats, weights, quanta, totals, change,
    chunk_change,
):  # fmt: skip
    """Add up the cells and the chunks anew, for other quanta."""
    values = np.empty(SIZE)
    limbs = np.empty(len(quanta), np.int64)
    for cell in range(first, last):
        start, stop = starts[cell], starts[cell + 1]
        for i in range(start, stop):
            values[i - start] = closest[i]
            if scattered:
                p = order[i]
                chunk_change[p >> shift] += in_quanta(closest[i], p, repeats, weights, quanta[0])
        weigh(values, stop - start, start, order, repeats, weights, quanta, limbs)
        for level in range(len(quanta)):
            totals[cell, level] = limbs[level]
            change[level] += limbs[level]
        if not scattered:
            chunk_change[order[start] >> shift] += limbs[0]


@jit
def find_points(tickets, ends, shift, inverse, closest, repeats, weights, quantum, out):
    """Write, for each ticket, the point at which the running sum of first limbs passes it."""
    for t in range(tickets.size):
        chunk = np.searchsorted(ends, tickets[t], side="right")
        left = tickets[t] - (ends[chunk - 1] if chunk > 0 else 0)
        p = np.int64(chunk) << shift
        while True:
            left -= in_quanta(closest[inverse[p]], p, repeats, weights, quantum)
            if left < 0:
                break
            p += 1
        out[t] = p

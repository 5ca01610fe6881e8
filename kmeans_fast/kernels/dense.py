"""Points of any numbers: nearest centroids, and sums that have no order.

A kernel works on the points ``start:stop`` of an array ``(n, d)`` of float32 or float64. Squared
distances are float64, added feature by feature as in the reference, and made for a block of
points at a time, laid out a row a feature, so that LLVM vectorises across the points.

Sums are kept in *limbs*: a value becomes a whole number of the first of some `quanta` (powers of
two), what is left a whole number of the second, and so on, each added to an int64 of its own.
That is the value rounded once, to the last quantum, and whole numbers may be added in any order.

Weights come as `repeats` (int64: the point counts so many times) or as `weights` (float64: the
value is multiplied), `None` where all are one. Numba drops the branch of what is `None`.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit

# Points in a block: enough to fill the vectors many times over, few enough for the first-level
# cache where there are few features.
BLOCK = 256
WIDE_BLOCK = 64
WIDE = 32


@jit
def add_quanta(value, times, quanta, limbs):
    """Add ``times * value`` to `limbs`, one for each of the quanta."""
    for level in range(len(quanta)):
        whole = np.rint(value * (1.0 / quanta[level]))
        value -= whole * quanta[level]
        limbs[level] += times * np.int64(whole)


@jit
def has_weight(i, repeats, weights):
    """Say whether point `i` counts at all."""
    if repeats is not None:
        return repeats[i] > 0
    if weights is not None:
        return weights[i] > 0.0
    return True


@jit
def add_sq_dist(i, value, repeats, weights, quanta, limbs):
    """Add the squared distance of point `i`, by its weight."""
    if weights is not None:
        add_quanta(weights[i] * value, 1, quanta, limbs)
    elif repeats is not None:
        add_quanta(value, repeats[i], quanta, limbs)
    else:
        add_quanta(value, 1, quanta, limbs)


@jit
def make_block(d):
    """Return a block for points of `d` features, which are filled up with zeros to fours."""
    return np.zeros(((d + 3) // 4 * 4, WIDE_BLOCK if d > WIDE else BLOCK))


@jit
def fill_block(points, start, stop, block):
    """Write the points as the columns of the block."""
    for i in range(start, stop):
        for j in range(points.shape[1]):
            block[j, i - start] = points[i, j]


@jit
def fill_sq_dists(block, centroid, out):
    """Write the squared distance of each column of the block to the centroid.

    Four features a pass over `out` save three of four loads and stores; those that fill up to
    four are zero in both, and adding zero to a square changes no bit.
    """
    d = centroid.size
    out[:] = 0.0
    for j in range(0, block.shape[0], 4):
        c0 = centroid[j]
        c1 = centroid[j + 1] if j + 1 < d else 0.0
        c2 = centroid[j + 2] if j + 2 < d else 0.0
        c3 = centroid[j + 3] if j + 3 < d else 0.0
        x0, x1, x2, x3 = block[j], block[j + 1], block[j + 2], block[j + 3]
        for i in range(out.size):
            t0 = x0[i] - c0
            t1 = x1[i] - c1
            t2 = x2[i] - c2
            t3 = x3[i] - c3
            out[i] = (((out[i] + t0 * t0) + t1 * t1) + t2 * t2) + t3 * t3


@jit
def find_nearest(block, centroids, sq_dists, least, nearest):
    """Write the least squared distance of each column, and the first centroid that has it."""
    least[:] = np.inf
    nearest[:] = 0
    for k in range(centroids.shape[0]):
        fill_sq_dists(block, centroids[k], sq_dists)
        for i in range(least.size):
            nearer = sq_dists[i] < least[i]
            least[i] = sq_dists[i] if nearer else least[i]
            nearest[i] = k if nearer else nearest[i]


@jit
def add_points(points, start, stop, labels, repeats, weights, quanta, weight_quanta, sums, totals):
    """Add each point to the sums of its cluster, and its weight to the totals."""
    for i in range(start, stop):
        if not has_weight(i, repeats, weights):
            continue
        label = labels[i]
        for j in range(points.shape[1]):
            value = np.float64(points[i, j])
            if repeats is not None:
                add_quanta(value, repeats[i], quanta, sums[label, j])
            elif weights is not None:
                add_quanta(weights[i] * value, 1, quanta, sums[label, j])
            else:
                add_quanta(value, 1, quanta, sums[label, j])
        if repeats is not None:
            totals[label, 0] += repeats[i]
        elif weights is not None:
            add_quanta(weights[i], 1, weight_quanta, totals[label])
        else:
            totals[label, 0] += 1


@jit
def assign_points(points, start, stop, centroids, labels, repeats, weights, quanta, inertia):
    """Label each point with its nearest centroid and add up the inertia."""
    block = make_block(points.shape[1])
    size = block.shape[1]
    sq_dists = np.empty(size)
    least = np.empty(size)
    nearest = np.empty(size, np.int64)
    for first in range(start, stop, size):
        last = min(first + size, stop)
        fill_block(points, first, last, block)
        find_nearest(block, centroids, sq_dists, least, nearest)
        for i in range(first, last):
            labels[i] = nearest[i - first]
            if has_weight(i, repeats, weights):
                add_sq_dist(i, least[i - first], repeats, weights, quanta, inertia)


@jit
def measure_points(points, start, stop, repeats, weights, low, high):
    """Widen `low` and `high`, a value each feature, to hold all points that have weight.

    Returns the first point that holds NaN or infinity (-1: none), the largest magnitude, and
    the largest weight times magnitude.
    """
    largest = 0.0
    largest_product = 0.0
    for i in range(start, stop):
        counts = has_weight(i, repeats, weights)
        for j in range(points.shape[1]):
            value = np.float64(points[i, j])
            if not np.isfinite(value):
                return i, largest, largest_product
            largest = max(largest, abs(value))
            if counts:
                low[j] = min(low[j], value)
                high[j] = max(high[j], value)
                if weights is not None:
                    largest_product = max(largest_product, abs(weights[i] * value))
    return -1, largest, largest_product


@jit
def fill_own_sq_dists(points, start, stop, centroids, labels, out):
    """Write the squared distance of each point to the centroid of its cluster."""
    for i in range(start, stop):
        centroid = centroids[labels[i]]
        total = 0.0
        for j in range(points.shape[1]):
            t = points[i, j] - centroid[j]
            total += t * t
        out[i] = total


@jit
def find_distinct(bits, zero, order, table, out, n):
    """Append to the `n` points in `out` those that differ from all before, in the order given.

    `bits` are the points seen as unsigned integers and `zero` is the negative zero among them,
    which is equal to zero. `table` is a hash table of positions in `out`, filled with -1; its
    size is a power of two and more than that of `out`. Returns the new `n`.
    """
    mask = table.size - 1
    for i in order:
        if n == out.size:
            break
        hashed = np.uint64(0)
        for j in range(bits.shape[1]):
            value = np.uint64(0) if bits[i, j] == zero else np.uint64(bits[i, j])
            hashed = (hashed ^ value) * np.uint64(0x9E3779B97F4A7C15)
            hashed ^= hashed >> np.uint64(29)
        place = np.int64(hashed & np.uint64(mask))
        while table[place] >= 0:
            other = out[table[place]]
            same = True
            for j in range(bits.shape[1]):
                a, b = bits[i, j], bits[other, j]
                same &= a == b or ((a == zero or a == 0) and (b == zero or b == 0))
            if same:
                break
            place = (place + 1) & mask
        if table[place] < 0:
            table[place] = n
            out[n] = i
            n += 1
    return n


# --------------------------------------------------------------------------------- seeding


@jit
def lower_sq_dists(points, start, stop, center, repeats, weights, closest):
    """Lower `closest` to the squared distance to `center`; return the largest, by weight.

    The largest value of what `weigh_points` draws by: repeats do not enlarge it, weights do.
    """
    block = make_block(points.shape[1])
    size = block.shape[1]
    sq_dists = np.empty(size)
    largest = 0.0
    for first in range(start, stop, size):
        last = min(first + size, stop)
        fill_block(points, first, last, block)
        fill_sq_dists(block, center, sq_dists)
        for i in range(first, last):
            closest[i] = min(closest[i], sq_dists[i - first])
            if has_weight(i, repeats, weights):
                value = closest[i] if weights is None else weights[i] * closest[i]
                largest = max(largest, value)
    return largest


@jit
def weigh_points(start, stop, closest, repeats, weights, quanta, target):
    """Add up the points' weight times `closest` until the sum is above `target`.

    Returns the point where it happens and the sum; `target` -1 asks for the sum of all.
    """
    limbs = np.zeros(1, np.int64)
    for i in range(start, stop):
        if has_weight(i, repeats, weights):
            add_sq_dist(i, closest[i], repeats, weights, quanta, limbs)
            if 0 <= target < limbs[0]:
                return i, limbs[0]
    return -1, limbs[0]


@jit
def add_potentials(points, start, stop, candidates, closest, repeats, weights, quanta, out):
    """Add up what `closest` would be with each of the candidates."""
    block = make_block(points.shape[1])
    size = block.shape[1]
    sq_dists = np.empty(size)
    for first in range(start, stop, size):
        last = min(first + size, stop)
        fill_block(points, first, last, block)
        for t in range(candidates.shape[0]):
            fill_sq_dists(block, candidates[t], sq_dists)
            for i in range(first, last):
                if has_weight(i, repeats, weights):
                    value = min(closest[i], sq_dists[i - first])
                    add_sq_dist(i, value, repeats, weights, quanta, out[t])

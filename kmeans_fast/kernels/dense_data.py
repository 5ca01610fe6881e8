"""Points of any numbers: what is asked of them as a whole."""

from __future__ import annotations

import numpy as np

from ._jit import jit
from ._quanta import has_weight

FLAT = 1024  # values worked on at a time: they stay in the first-level cache


@jit
def measure_all(flat, start, stop, low, high):
    """Widen `low` and `high` (d,) to hold all points; return the ends of their magnitudes.

    The least that is not zero (infinity: there is none), and the largest; NaN where any value is
    NaN or infinity. A block of points at a time, in loops that vectorise for few features as well.

    `flat` (n * d,) are the points, float32 or float64; `low` and `high` are float64.
    """
    d = low.size
    n_block = max(FLAT // d, 1)
    size = np.uint64(n_block * d)
    lows, highs = np.full(size, np.inf, flat.dtype), np.full(size, -np.inf, flat.dtype)
    leasts, taint = np.full(size, np.inf, flat.dtype), np.zeros(size, flat.dtype)
    zero = taint[0]
    for first in range(start, stop, n_block):
        n = np.uint64((min(first + n_block, stop) - first) * d)
        at = np.uint64(first * d)
        for f in range(n):
            value = flat[at + f]
            lows[f] = value if value < lows[f] else lows[f]
            highs[f] = value if value > highs[f] else highs[f]
        for f in range(n):
            value = flat[at + f]
            size_of = abs(value)
            leasts[f] = size_of if (size_of > zero) & (size_of < leasts[f]) else leasts[f]
            taint[f] += value * zero  # NaN for ever, of NaN and of infinity
    for f in range(size):
        j = f % np.uint64(d)
        low[j] = min(low[j], np.float64(lows[f]))
        high[j] = max(high[j], np.float64(highs[f]))
    least, largest, tainted = np.inf, 0.0, 0.0
    for f in range(size):
        least = min(least, np.float64(leasts[f]))
        tainted += np.float64(taint[f])
    for j in range(d):
        largest = max(largest, -low[j], high[j])
    return least, largest + tainted


@jit
def measure_whole(flat, start, stop, low, high):
    """Do what `measure_all` does for whole numbers, `flat` (n * d,) int16 or uint16.

    The least magnitude that is not zero is not looked for: one will do.
    """
    d = low.size
    n_block = max(FLAT // d, 1)
    size = np.uint64(n_block * d)
    lows, highs = np.empty(size, flat.dtype), np.empty(size, flat.dtype)
    for f in range(size):
        lows[f] = highs[f] = flat[np.uint64(start * d) + f % np.uint64(d)]
    for first in range(start, stop, n_block):
        n = np.uint64((min(first + n_block, stop) - first) * d)
        at = np.uint64(first * d)
        for f in range(n):
            value = flat[at + f]
            lows[f] = value if value < lows[f] else lows[f]
            highs[f] = value if value > highs[f] else highs[f]
    largest = 0.0
    for f in range(size):
        j = f % np.uint64(d)
        low[j] = min(low[j], np.float64(lows[f]))
        high[j] = max(high[j], np.float64(highs[f]))
    for j in range(d):
        largest = max(largest, -low[j], high[j])
    return 1.0, largest


@jit
def measure_points(points, start, stop, repeats, weights, low, high):
    """Widen `low` and `high`, a value each feature, to hold all points that have weight.

    Returns the first point that holds NaN or infinity (-1: none), the largest magnitude, the least
    that is not zero and has weight, and the largest weight times magnitude.

    `points` (n, d) float32 or float64; `low` and `high` are float64.
    """
    largest = 0.0
    least = np.inf
    largest_product = 0.0
    for i in range(start, stop):
        counts = has_weight(i, repeats, weights)
        for j in range(points.shape[1]):
            value = np.float64(points[i, j])
            if not np.isfinite(value):
                return i, largest, least, largest_product
            largest = max(largest, abs(value))
            if counts:
                low[j] = min(low[j], value)
                high[j] = max(high[j], value)
                least = min(least, abs(value)) if value != 0.0 else least
                if weights is not None:
                    largest_product = max(largest_product, abs(weights[i] * value))
    return -1, largest, least, largest_product


@jit
def fill_own_sq_dists(points, start, stop, centroids, labels, out):
    """Write the squared distance of each point to the centroid of its cluster.

    Four points at a time, as each sum waits for its last addition: a third of the time.

    `points` (n, d) float32 or float64, `centroids` (k, d) and `out` (n,) float64, `labels` (n,)
    integers.
    """
    d = np.uint64(points.shape[1])
    last = stop - 1
    for first in range(start, stop, 4):
        i0, i1, i2, i3 = first, min(first + 1, last), min(first + 2, last), min(first + 3, last)
        k0, k1, k2, k3 = labels[i0], labels[i1], labels[i2], labels[i3]
        sum0 = sum1 = sum2 = sum3 = 0.0
        for j in range(d):
            t0 = points[i0, j] - centroids[k0, j]
            t1 = points[i1, j] - centroids[k1, j]
            t2 = points[i2, j] - centroids[k2, j]
            t3 = points[i3, j] - centroids[k3, j]
            sum0 += t0 * t0
            sum1 += t1 * t1
            sum2 += t2 * t2
            sum3 += t3 * t3
        out[i0] = sum0
        out[i1] = sum1
        out[i2] = sum2
        out[i3] = sum3


@jit
def find_distinct(bits, zero, order, table, out, n, numbers):
    """Append to the `n` points in `out` those that differ from all before, in the order given.

    `bits` are the points seen as unsigned integers and `zero` is the negative zero among them,
    which is equal to zero. `table` is a hash table of positions in `out`, filled with -1; its
    size is a power of two and more than that of `out`. Returns the new `n`.

    With `numbers` nothing is appended: it is told for each of the order which of those in `out` is
    equal, or `n` where none is. (One kernel, as a helper for both takes 20 ns to count references.)

    `bits` (n, d); `order` (m,), `table`, `out` int64; `numbers` (m,) any integers.
    """
    mask = table.size - 1
    for at in range(order.size):
        if numbers is None and n == out.size:
            break
        i = order[at]
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
        if numbers is not None:
            numbers[at] = table[place] if table[place] >= 0 else n
        elif table[place] < 0:
            table[place] = n
            out[n] = i
            n += 1
    return n

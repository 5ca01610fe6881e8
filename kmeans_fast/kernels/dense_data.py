"""Points of any numbers: what is asked of them as a whole."""

from __future__ import annotations

import numpy as np

from ._jit import jit

FLAT = 512  # values looked at together, so that vectors are made for few features as well


def _widen(flat, at, n, least, most):
    for f in range(n):
        x = flat[at + f]
        least[f] = x if x < least[f] else least[f]
        most[f] = x if x > most[f] else most[f]


# Nothing is rounded here; without leave to take -0.0 for 0.0, LLVM makes no vectors.
widen = jit(_widen, fastmath={"nnan", "nsz"})


@jit
def find_box(values, start, stop, low, high):
    """Write the least and the greatest value of each feature; say whether all are finite."""
    d = values.shape[1]
    n_block = max(FLAT // d, 1)
    size = np.uint64(n_block * d)
    flat = values.reshape(-1)
    least = np.empty(size, values.dtype)
    most = np.empty(size, values.dtype)
    wrong = np.zeros(size, values.dtype)  # NaN where a value is not finite
    for f in range(size):
        least[f] = flat[np.uint64(start * d) + f % np.uint64(d)]
        most[f] = least[f]
    for first in range(start, stop, n_block):
        at = np.uint64(first * d)
        n = np.uint64((min(first + n_block, stop) - first) * d)
        for f in range(n):
            wrong[f] += flat[at + f] * np.float32(0.0)
        widen(flat, at, n, least, most)
    total = 0.0
    low[:] = np.inf
    high[:] = -np.inf
    for f in range(size):
        j = f % np.uint64(d)
        low[j] = min(low[j], least[f])
        high[j] = max(high[j], most[f])
        total += wrong[f]
    return total == 0.0


@jit
def measure_points(points, start, stop, repeats, weights, low, high):
    """Widen `low` and `high`, a value each feature, to hold all points that have weight.

    Returns the first point that holds NaN or infinity (-1: none), the largest magnitude, and
    the largest weight times magnitude.
    """
    largest = 0.0
    largest_product = 0.0
    for i in range(start, stop):
        counts = True
        if repeats is not None:
            counts = repeats[i] > 0
        elif weights is not None:
            counts = weights[i] > 0.0
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
        label = labels[i]
        total = 0.0
        for j in range(points.shape[1]):
            t = points[i, j] - centroids[label, j]
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

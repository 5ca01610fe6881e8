"""What "correct" means: k-means as the textbook has it, to be read and to be tested against.

Every engine of this library gives the labels and, to the last bit, the centroids of this file,
which knows no trick: a loop over points, a loop over centroids, Python's own numbers. It takes
minutes where they take milliseconds.

Three rules make the answer one answer, however the work is cut up:

- A point belongs to the centroid at the least `sq_dist`, the first of them on a tie.
- Sums have no order. Values are added as whole numbers of quanta: integers as they are, floats
  rounded to a power of two so fine (`sum_bits`) that the sum is better than one in float64. A
  centroid is the exact sum over the exact weight, rounded once.
- An empty cluster takes the point that is farthest from its own centroid (`fill_empty`).

Points are ``(n, d)``, or an image ``(h, w, c)``, whose labels are then ``(h, w)``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# ---------------------------------------------------------------- the textbook


def k_means(
    centroids: ArrayLike, dataset: ArrayLike, max_iterations: int = 10
) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Move the centroids to the means of their clusters, until none moves.

    Parameters
    ----------
    centroids : array_like, shape (k, d)
        Where to start, usually k points of the data.
    dataset : array_like, shape (n, d) or (h, w, d)
        The points.
    max_iterations : int
        Stop after so many iterations, even where centroids still move.

    Returns
    -------
    centroids : ndarray of float64, shape (k, d)
    indexes : ndarray, shape (n,) or (h, w)
        The cluster of each point, with the centroids that are returned.

    Examples
    --------
    >>> centroids, indexes = k_means([(1, 2), (9, 8)], [(1, 2), (3, 4), (9, 8)])
    >>> indexes.tolist()
    [0, 0, 1]
    >>> centroids.tolist()
    [[2.0, 3.0], [9.0, 8.0]]
    """
    now = np.array(centroids, dtype=np.float64)
    indexes = assign(dataset, now)
    for _ in range(max_iterations):
        filled = fill_empty(dataset, indexes, now)
        new = means(dataset, filled, len(now))
        new = np.where(np.isnan(new), now, new)  # nothing to move there: the centroid stays
        fixed = np.array_equal(new, now)
        now = new  # a mean of 0.0 also where the start was -0.0
        if fixed:
            break
        indexes = assign(dataset, now)
    return now, indexes


def sq_dist(x: Sequence[float], c: Sequence[float]) -> float:
    """Return the squared distance of two points: the squares added feature by feature.

    The square is a product, not ``** 2``: the C library's `pow` may err in the last bit.

    Examples
    --------
    >>> sq_dist((1, 2), (4, 6))  # 9 + 16
    25.0
    """
    total = 0.0
    for a, b in zip(x, c, strict=True):
        difference = a - b
        total += difference * difference
    return total


def assign(points: ArrayLike, centroids: ArrayLike) -> NDArray[Any]:
    """Label each point with its nearest centroid, the first of them on a tie.

    Parameters
    ----------
    points : array_like, shape (n, d) or (h, w, d)
    centroids : array_like, shape (k, d)

    Returns
    -------
    ndarray of the smallest of uint8, uint16 and int32 that holds k, shape (n,) or (h, w)

    Examples
    --------
    >>> assign([(0, 0), (2, 0), (5, 0)], [(1, 0), (3, 0)]).tolist()  # 2 is as near to 1 as to 3
    [0, 0, 1]
    """
    rows, shape = _rows(points)
    centers = np.array(centroids, dtype=np.float64).tolist()
    labels = []
    for x in rows:
        label, least = 0, sq_dist(x, centers[0])
        for j, c in enumerate(centers):
            distance = sq_dist(x, c)
            if distance < least:
                label, least = j, distance
        labels.append(label)
    return np.array(labels, dtype=label_dtype(len(centers))).reshape(shape)


def means(
    points: ArrayLike,
    labels: ArrayLike,
    n_clusters: int,
    sample_weight: ArrayLike | None = None,
) -> NDArray[np.float64]:
    """Return the mean of each cluster: the exact sum over the exact weight, rounded once.

    Parameters
    ----------
    points : array_like, shape (n, d) or (h, w, d)
    labels : array_like of int, shape (n,) or (h, w)
    n_clusters : int
    sample_weight : array_like, shape (n,) or (h, w), optional
        Whole numbers count copies: a point of weight 3 gives the bits of the point three times.

    Returns
    -------
    ndarray of float64, shape (n_clusters, d)
        A row of NaN for a cluster without weight.

    Examples
    --------
    >>> means([(0, 1), (1, 1), (8, 3)], [0, 0, 2], 3).tolist()
    [[0.5, 1.0], [nan, nan], [8.0, 3.0]]
    >>> means([(0,), (4,)], [0, 0], 1, sample_weight=[3, 1]).tolist()  # (0 + 0 + 0 + 4) / 4
    [[1.0]]
    """
    weights, values, scale = in_quanta(points, sample_weight)
    total_weights = [0] * n_clusters
    sums = [[0] * len(values[0]) for _ in range(n_clusters)]
    for label, weight, value in zip(_flat(labels), weights, values, strict=True):
        total_weights[label] += weight
        for j, v in enumerate(value):
            sums[label][j] += v
    result = np.full((n_clusters, len(values[0])), np.nan)
    for k, weight in enumerate(total_weights):
        if weight > 0:
            result[k] = [float(scale * total / weight) for total in sums[k]]
    return result


def inertia(
    points: ArrayLike,
    labels: ArrayLike,
    centroids: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the sum of ``weight * sq_dist(point, its centroid)``, rounded once.

    `math.fsum` loses nothing on the way. The engines add quanta, as they do for the means, and
    agree with this to a part in 10**12 or better; with weights that are fractions, where these
    are what `in_quanta` makes of them.

    Examples
    --------
    >>> inertia([(0, 0), (3, 4), (1, 1)], [0, 0, 1], [(0, 0), (1, 2)])  # 0 + 25 + 1
    26.0
    """
    rows, _ = _rows(points)
    centers = np.array(centroids, dtype=np.float64).tolist()
    weights = [1.0] * len(rows) if sample_weight is None else _flat(sample_weight)
    return math.fsum(
        w * sq_dist(x, centers[label])
        for x, label, w in zip(rows, _flat(labels), weights, strict=True)
    )


def fill_empty(
    points: ArrayLike,
    labels: ArrayLike,
    centroids: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> NDArray[Any]:
    """Give each empty cluster, in turn, the point that is farthest from its own centroid.

    All copies of the point move together. A cluster never loses its last distinct point; of
    points equally far, the lexicographically smallest moves; points without weight do not
    count. Where no point may move, clusters stay empty.

    Returns
    -------
    ndarray
        The labels to take the means by: a copy, the same shape.

    Examples
    --------
    >>> fill_empty([(0,), (1,), (5,), (5,)], [0, 0, 0, 0], [(1,), (9,)]).tolist()
    [0, 0, 1, 1]
    """
    rows, _ = _rows(points)
    centers = np.array(centroids, dtype=np.float64).tolist()
    filled = np.array(labels)
    flat = filled.reshape(-1)
    copies: dict[tuple[float, ...], list[int]] = {}
    for i, (x, weight) in enumerate(zip(rows, _weights(points, sample_weight)[0], strict=True)):
        if weight > 0:
            copies.setdefault(tuple(x), []).append(i)
    cluster = {x: int(flat[where[0]]) for x, where in copies.items()}

    for empty in range(len(centers)):
        n_distinct = Counter(cluster.values())
        if n_distinct[empty] > 0:
            continue
        candidates = [x for x in cluster if n_distinct[cluster[x]] > 1]
        if not candidates:
            break
        farthest = min(candidates, key=lambda x: (-sq_dist(x, centers[cluster[x]]), x))
        cluster[farthest] = empty
        flat[copies[farthest]] = empty
    return filled


def label_dtype(n_clusters: int) -> np.dtype[Any]:
    """Return the smallest of uint8, uint16 and int32 that holds the labels of so many clusters.

    Examples
    --------
    >>> label_dtype(256), label_dtype(257)
    (dtype('uint8'), dtype('uint16'))
    """
    return np.dtype("uint8" if n_clusters <= 2**8 else "uint16" if n_clusters <= 2**16 else "int32")


# ------------------------------------------------------- sums that have no order


def quantum(largest: float, n: int, bits: int) -> float:
    """Return the power of two in which `n` values up to `largest` sum to at most ``2**bits``.

    It is never below the least normal number: where all values are below 1e-289 or so, their
    mean has fewer digits than they have. (Their squares are zero in float64 long before.)

    Examples
    --------
    >>> quantum(5.0, 4, 62) == 2.0**-57  # 4 * 8 quanta of 2**-57 are 2**62 of them
    True
    """
    exponent = math.frexp(largest)[1]  # largest < 2**exponent
    return math.ldexp(1.0, max(exponent + _log2(n) - bits, -1022))


def sum_bits(n: int, single: bool = False) -> int:
    """Return how many bits the sum of `n` floats is given.

    In float32 (`single`) one int64 holds it, with a bit to spare. In float64, two: the high one
    62 bits of the sum, the low one the rest of each value, with room for n of them. Beyond
    2**30 values each keeps 32 bits (float32) or 64 below the largest value, in more integers;
    of few values none keeps more than 51 or 102.

    Examples
    --------
    >>> sum_bits(4096, single=True), sum_bits(4096), sum_bits(2, single=True)
    (62, 112, 52)
    """
    if single:
        return min(max(62, 32 + _log2(n)), 51 + _log2(n))
    return min(max(124 - _log2(n), 64 + _log2(n)), 102 + _log2(n))


def weight_quanta(weights: ArrayLike, n: int, bits: int) -> tuple[list[int], float]:
    """Return the weights as whole numbers of a quantum, and the quantum.

    Whole weights with a sum below 2**53 are what they are, in quanta of 1; others are rounded
    to the quantum of ``2**bits`` in all.

    Examples
    --------
    >>> weight_quanta([3.0, 0.0, 1.0], 3, 62)
    ([3, 0, 1], 1.0)
    >>> weight_quanta([0.75, 0.5], 2, 3)  # the quantum is 1/4
    ([3, 2], 0.25)
    """
    given = _flat(weights)
    if all(w == round(w) for w in given) and sum(map(round, given)) < 2**53:
        return [round(w) for w in given], 1.0
    q = quantum(max(given), n, bits)
    return [round(w / q) for w in given], q


def in_quanta(
    points: ArrayLike, sample_weight: ArrayLike | None = None
) -> tuple[list[int], list[list[int]], Fraction]:
    """Return what the means are made of, in whole numbers: ``(weights, values, scale)``.

    A cluster's mean is ``scale * sum(values) / sum(weights)``. A value is the point times its
    weight: of integers exactly; of floats the point in quanta, times a whole weight; where the
    weights are fractions, the product in float64, in quanta.

    Examples
    --------
    >>> in_quanta([(1,), (7,)], [1, 2])
    ([1, 2], [[1], [14]], Fraction(1, 1))
    """
    rows, _ = _rows(points)
    dtype, n, single = np.asarray(points).dtype, len(rows), False
    weights, unit = _weights(points, sample_weight)
    whole = unit == 1 and sum(weights) < 2**53
    if dtype.kind in "biu" and (whole or _is_color(dtype)):
        return weights, _times(weights, rows), Fraction(1)
    if whole:  # as if the points were repeated
        copies, n = weights, sum(weights)
        single = dtype.kind == "f" and dtype.itemsize <= 4
    else:
        copies, rows = [1] * n, _times([w * unit for w in weights], rows)
    largest = max(abs(v) for w, x in zip(copies, rows, strict=True) if w > 0 for v in x)
    q = quantum(largest, n, sum_bits(n, single))
    values = _times(copies, [[round(v / q) for v in x] for x in rows])
    return weights, values, Fraction(q) / Fraction(unit)


def _weights(points: ArrayLike, sample_weight: ArrayLike | None) -> tuple[list[int], float]:
    """Return the weight of each point in whole quanta, and the quantum."""
    n, dtype = len(_rows(points)[0]), np.asarray(points).dtype
    if sample_weight is None:
        return [1] * n, 1.0
    # A colour times its weight, summed, must fit in 62 bits.
    bits = 62 - 8 * dtype.itemsize if _is_color(dtype) else sum_bits(n)
    return weight_quanta(sample_weight, n, bits)


def _times(weights: Sequence[float], rows: list[list[Any]]) -> list[list[Any]]:
    """Return each row times its weight."""
    return [[w * v for v in x] for w, x in zip(weights, rows, strict=True)]


def _is_color(dtype: np.dtype[Any]) -> bool:
    """Say whether the values are channels of 16 bits or fewer."""
    return dtype.kind in "bu" and dtype.itemsize <= 2


def _log2(n: int) -> int:
    """Return the logarithm of `n` to base 2, rounded up."""
    return (n - 1).bit_length()


def _rows(points: ArrayLike) -> tuple[list[list[Any]], tuple[int, ...]]:
    """Return the points as lists of Python numbers, and the shape of their labels."""
    array = np.asarray(points)
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    return array.reshape(-1, array.shape[-1]).tolist(), array.shape[:-1]


def _flat(numbers: ArrayLike) -> list[Any]:
    """Return labels or weights as one list of Python numbers."""
    flat: list[Any] = np.asarray(numbers).reshape(-1).tolist()
    return flat

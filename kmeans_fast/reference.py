"""What "correct" means: k-means as the textbook has it, to be read and to be tested against.

Every engine of this library gives the labels and, to the last bit, the centroids of this file,
which knows no trick: a loop over points, a loop over centroids, Python's own numbers. It takes
minutes where they take milliseconds.

Three rules make the answer one answer, however the work is cut up:

- A point belongs to the centroid at the least `sq_dist`, the first of them on a tie.
- Sums have no order, for they are exact: every float is a whole number of some power of two, and
  whole numbers may be added in any order. A centroid is the exact sum over the exact weight,
  rounded once, whatever else is in the data.
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
    rows, _ = _rows(points)
    n_features = len(rows[0])
    values, unit = in_quanta([x for row in rows for x in row])
    weights, _ = in_quanta(_weights(rows, sample_weight))
    totals = [0] * n_clusters
    sums = [[0] * n_features for _ in range(n_clusters)]
    for i, (label, weight) in enumerate(zip(_flat(labels), weights, strict=True)):
        totals[label] += weight
        for j in range(n_features):
            sums[label][j] += weight * values[i * n_features + j]
    result = np.full((n_clusters, n_features), np.nan)
    for k, total in enumerate(totals):
        if total > 0:
            result[k] = [float(unit * each / total) for each in sums[k]]
    return result


def inertia(
    points: ArrayLike,
    labels: ArrayLike,
    centroids: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Return the sum of ``weight * sq_dist(point, its centroid)``, rounded once.

    `math.fsum` loses nothing on the way. The engines agree with this to a part in 10**12 or better.

    Examples
    --------
    >>> inertia([(0, 0), (3, 4), (1, 1)], [0, 0, 1], [(0, 0), (1, 2)])  # 0 + 25 + 1
    26.0
    """
    rows, _ = _rows(points)
    centers = np.array(centroids, dtype=np.float64).tolist()
    weights = _weights(rows, sample_weight)
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
    for i, (x, weight) in enumerate(zip(rows, _weights(rows, sample_weight), strict=True)):
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


def in_quanta(numbers: Sequence[float]) -> tuple[list[int], Fraction]:
    """Return numbers as whole numbers of a quantum, a power of two, and the quantum: exactly.

    Examples
    --------
    >>> in_quanta([0.75, -2, 0.5])
    ([3, -8, 2], Fraction(1, 4))
    """
    ratios = [number.as_integer_ratio() for number in numbers]
    finest = max(denominator for _, denominator in ratios)
    return [top * (finest // denominator) for top, denominator in ratios], Fraction(1, finest)


def _weights(rows: list[list[Any]], sample_weight: ArrayLike | None) -> list[Any]:
    """Return the weight of each point."""
    return [1] * len(rows) if sample_weight is None else _flat(sample_weight)


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

"""Sums of dense points by cluster, which have no order.

Sums are kept in *limbs*: a value becomes a whole number of the first of some `quanta` (powers of
two), what is left a whole number of the second, and so on, each added to an int64 of its own.
The last quantum is so fine that nothing is left, and whole numbers may be added in any order.
It also means that they may be taken away again: after the first assignment only the points that
change their cluster are added up.

Numba drops the branch of weights that are `None` (`_quanta`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._jit import jit, jit_inline
from ._pairs import two_product
from ._quanta import count_quanta, has_weight, without_quanta

# Up to so many limbs loops over them are unrolled: their anchors are tuples. More are arrays, one
# machine code for any number, which goes on only until nothing is left of a value.
MOST_UNROLLED = 4


class Limbs(NamedTuple):
    """What an assignment adds up, in limbs."""

    values: Any  # (k, limbs, d) int64
    weights: Any  # (k, limbs) int64


class Anchors(NamedTuple):
    """The anchors (`_quanta.count_quanta`) of each of the sums: tuples, or arrays of many."""

    values: Any
    weights: Any
    lift: Any  # what weights that are no repeats are multiplied by


@jit_inline
def add_value(value, times, anchors, sums, label, j):
    """Add ``times * value``, a float64, to the sums (k, limbs, d) int64 of a cluster."""
    for level in range(len(anchors)):
        sums[label, level, j] += times * count_quanta(value, anchors[level])
        value = without_quanta(value, anchors[level])
        if len(anchors) > MOST_UNROLLED and value == 0.0:
            break


@jit_inline
def add_row(values, i, times, anchors, sums, label):
    """Add ``times * values[i]`` to the sums (k, limbs, d) of a cluster.

    Indices instead of rows: a view of an array counts references, and threads would wait for
    each other to count theirs.

    Of nearly every row the first limb holds all of each float32, the first two of each float64: the
    next is looked at only where something is left. With two limbs for float32 that spares a tenth
    of an iteration at K = 512.

    `values` (n, d) float32 or float64.
    """
    if values.itemsize == 2 and len(anchors) == 1:  # whole numbers, of which the quantum is one
        for j in range(np.uint64(values.shape[1])):
            sums[label, 0, j] += times * np.int64(values[i, j])
        return
    n_first = 1 if values.itemsize <= 4 else 2
    if len(anchors) <= n_first or len(anchors) > MOST_UNROLLED:
        for j in range(np.uint64(values.shape[1])):
            add_value(np.float64(values[i, j]), times, anchors, sums, label, j)
        return
    left = np.int64(0)
    for j in range(np.uint64(values.shape[1])):
        value = np.float64(values[i, j])
        for level in range(n_first):
            sums[label, level, j] += times * count_quanta(value, anchors[level])
            value = without_quanta(value, anchors[level])
        left |= np.float64(value).view(np.int64)
    if left == 0:
        return
    for j in range(np.uint64(values.shape[1])):
        value = np.float64(values[i, j])
        for level in range(len(anchors)):
            if level >= n_first:
                sums[label, level, j] += times * count_quanta(value, anchors[level])
            value = without_quanta(value, anchors[level])


@jit_inline
def add_product(values, i, factor, times, anchors, sums, label):
    """Add ``times * factor * values[i]`` to the sums: float64 products, and what these lost."""
    for j in range(np.uint64(values.shape[1])):
        product, lost = two_product(factor, np.float64(values[i, j]))
        add_value(product, times, anchors, sums, label, j)
        add_value(lost, times, anchors, sums, label, j)


@jit_inline
def add_weight(value, times, anchors, totals, label):
    """Add ``times`` a weight (float64) to the totals (k, limbs) int64 of a cluster."""
    for level in range(len(anchors)):
        totals[label, level] += times * count_quanta(value, anchors[level])
        value = without_quanta(value, anchors[level])


@jit_inline
def add_point(i, label, sign, values, repeats, weights, anchors, sums, totals):
    """Add point `i` to the `sums` and `totals` (`Limbs`); with `sign` -1 take it away."""
    if weights is None:
        times = sign if repeats is None else sign * repeats[i]
        add_row(values, i, times, anchors.values, sums, label)
        totals[label, 0] += times
    else:
        weight = weights[i] * anchors.lift
        add_product(values, i, weight, sign, anchors.values, sums, label)
        add_weight(weight, sign, anchors.weights, totals, label)


@jit
def add_points(values, repeats, weights, start, stop, labels, anchors, sums):
    """Add points to the sums of the clusters that `labels` (n,), any integers, says."""
    cluster_sums, totals = sums.values, sums.weights
    for i in range(start, stop):
        if has_weight(i, repeats, weights):
            add_point(
                i, labels[i], np.int64(1), values, repeats, weights, anchors, cluster_sums, totals
            )


@jit
def move_points(values, repeats, weights, moved, before, labels, anchors, sums):
    """Bring the sums up to date with points that had other labels `before`.

    `moved` (m,) int64 says which, `before` (m,) int32; `labels` (n,).
    """
    cluster_sums, totals = sums.values, sums.weights
    for at in range(moved.size):
        i = moved[at]
        if has_weight(i, repeats, weights):
            for label, sign in ((np.int32(labels[i]), np.int64(1)), (before[at], np.int64(-1))):
                add_point(i, label, sign, values, repeats, weights, anchors, cluster_sums, totals)

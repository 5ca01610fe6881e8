"""Distinct points: told apart where they are by a hash table, and merged."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from ..exact.quanta import Integers
from ..kernels import dense_data
from .assignment import fewest_types
from .questions import Array, Floats


class Distinct:
    """What tells apart those points of a part that have weight.

    Parameters
    ----------
    points : ndarray of float32 or float64, shape (n, d)
    weights : ndarray, shape (n,), or None
    """

    def __init__(self, points: Array, weights: Array | None) -> None:
        # As unsigned integers, and the negative zero among these.
        self._bits = points.view(f"u{points.itemsize}")
        self._zero = self._bits.dtype.type(1 << (8 * points.itemsize - 1))
        self._weights = weights

    def first(self, orders: Iterable[Integers], limit: int) -> Integers:
        """Return the first points in the orders given that have weight and differ."""
        table, out = _new_table(limit), np.empty(limit, np.int64)
        n = 0
        for order in orders:
            if self._weights is not None:
                order = order[self._weights[order] > 0]
            n = self._find(order, table, out, n)
            if n == limit:
                break
        return out[:n]

    def first_of(self, some: Integers, values: Floats, limit: int) -> tuple[Integers, Floats]:
        """Return the first of some points that have weight and differ, and the value of each."""
        distinct, order = self.first([some], limit), np.argsort(some, kind="stable")
        return distinct, values[order[np.searchsorted(some, distinct, sorter=order)]]

    def copy_finder(self, rows: Integers) -> Callable[[tuple[int, int]], Array]:
        """Return what tells of the points of a chunk which of some distinct ones they are equal to.

        Others are numbered one more than these, and those without weight two.
        """
        table, m = _new_table(rows.size), rows.size
        self._find(rows, table, np.empty(m, np.int64), 0)

        def find(chunk: tuple[int, int]) -> Array:
            numbers = np.zeros(chunk[1] - chunk[0], fewest_types(m + 2))
            if m:
                self._find(np.arange(*chunk), table, rows, m, numbers)
            if self._weights is not None:
                numbers[self._weights[slice(*chunk)] <= 0] = m + 1
            return numbers

        return find

    def _find(
        self, order: Integers, table: Integers, out: Integers, n: int, numbers: Any = None
    ) -> int:
        found: int = dense_data.find_distinct(
            self._bits, self._zero, order, table, out, n, numbers
        )  # fmt: skip
        return found


def _new_table(n: int) -> Integers:
    """Return a hash table for `n` points (`kernels.dense_data.find_place`)."""
    return np.full(max(1024, 2 << (n + 1).bit_length()), -1)  # with few collisions


def same_rows(rows: Array) -> Array:
    """Return the rows as they compare: without negative zeros."""
    same: Array = rows + rows.dtype.type(0)
    return same


def first_distinct(rows: Array) -> Array:
    """Return the positions of the rows that differ from all before them."""
    _, first = np.unique(same_rows(rows), axis=0, return_index=True)
    return np.sort(first)

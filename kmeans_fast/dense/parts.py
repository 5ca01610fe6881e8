"""The data of a dense point set in parts: one in this process, or many on a cluster.

A part (`dense_part.DensePart`) knows its own points; what is asked of all is merged in the order
of the parts. Sums are integers, so the merging changes no bit. A merge function takes a list of
answers and returns one of the same kind.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .part import DensePart

Array = NDArray[Any]
Merge = Callable[[list[Any]], Any]

numbers = itertools.count()  # of searches, so that a part knows when a new one begins


class Parts(Protocol):
    """All parts."""

    def ask(self, merge: Merge, verb: str, *arguments: Any) -> Any:
        """Return the merged answers of the parts' method `verb`."""

    def settle(self, facts: Any) -> None:
        """Tell the parts what is known of all of them together (`dense_part.Facts`)."""

    def labels(self, centroids: Array) -> Any:
        """Return the labels (n,) of an assignment."""


class LocalPart:
    """One part, in this process."""

    def __init__(self, part: DensePart) -> None:
        self.part = part

    def ask(self, merge: Merge, verb: str, *arguments: Any) -> Any:
        """Return the part's answer: there is nothing to merge it with."""
        return getattr(self.part, verb)(*arguments)

    def settle(self, facts: Any) -> None:
        """Tell the part what is known of all points."""
        self.part.settle(facts)

    def labels(self, centroids: Array) -> Array:
        """Return the labels of an assignment, which are the caller's now."""
        return self.part.give_labels(centroids)


def add(answers: list[Any]) -> Any:
    """Add up arrays, or tuples of arrays element by element."""
    if isinstance(answers[0], tuple):
        return tuple(add(list(each)) for each in zip(*answers, strict=True))
    total = answers[0]
    for answer in answers[1:]:
        total = total + answer
    return total


def concatenate(answers: list[Any]) -> Any:
    """Put arrays, or tuples of arrays element by element, one after the other."""
    if isinstance(answers[0], tuple):
        return tuple(concatenate(list(each)) for each in zip(*answers, strict=True))
    return np.concatenate(answers)


def widen(boxes: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the least of the low ends and the greatest of the high ends."""
    low, high = zip(*boxes, strict=True)
    return np.minimum.reduce(low), np.maximum.reduce(high)


def same_rows(rows: Array) -> Array:
    """Return the rows as they compare: without negative zeros."""
    same: Array = rows + rows.dtype.type(0)
    return same


def first_distinct(rows: Array) -> Array:
    """Return the positions of the rows that differ from all before them."""
    _, first = np.unique(same_rows(rows), axis=0, return_index=True)
    return np.sort(first)

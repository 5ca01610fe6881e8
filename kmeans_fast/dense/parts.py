"""The points of a dense point set in parts: one in this process, or many on a cluster."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from .facts import Facts
from .part import DensePart
from .questions import Answer, Array, Asked, Floats, Question
from .raw import RawPart


class Parts(Protocol):
    """All parts."""

    is_whole: bool  # one part has all of the points

    def ask(
        self,
        question: Question[DensePart, Asked, Answer],
        *asked: Asked.args,
        **named: Asked.kwargs,
    ) -> Answer:
        """Return the merged answers of all parts."""

    def labels(self, centroids: Floats) -> Any:
        """Return the labels (n,) of an assignment, which are the caller's now."""


class RawParts(Protocol):
    """All parts, as they were given."""

    shape: tuple[int, int]  # (n, d) of all points
    dtype: np.dtype[Any]  # that they were given in
    is_weighted: bool

    def ask(
        self, question: Question[RawPart, Asked, Answer], *asked: Asked.args, **named: Asked.kwargs
    ) -> Answer:
        """Return the merged answers of all parts."""

    def settle(self, facts: Facts) -> Parts:
        """Return the parts that know what is known of all."""


class LocalPart:
    """One part, in this process."""

    is_whole = True

    def __init__(self, part: DensePart) -> None:
        self.part = part

    def ask(
        self,
        question: Question[DensePart, Asked, Answer],
        *asked: Asked.args,
        **named: Asked.kwargs,
    ) -> Answer:
        """Return the part's answer: there is nothing to merge it with."""
        return question(self.part, *asked, **named)

    def labels(self, centroids: Floats) -> Array:
        """Return the labels of an assignment."""
        return self.part.give_labels(centroids)


class LocalRawPart:
    """One part as it was given, in this process."""

    def __init__(self, part: RawPart, dtype: np.dtype[Any]) -> None:
        n, d = part.points.shape
        self.shape, self.dtype = (n, d), dtype
        self.is_weighted = part.weights is not None
        self._part = part

    def ask(
        self, question: Question[RawPart, Asked, Answer], *asked: Asked.args, **named: Asked.kwargs
    ) -> Answer:
        """Return the part's answer."""
        return question(self._part, *asked, **named)

    def settle(self, facts: Facts) -> LocalPart:
        """Return the part that knows what is known of all points."""
        return LocalPart(DensePart(self._part, facts))

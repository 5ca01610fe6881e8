"""What a search for starting points keeps at each part, and how it goes on there."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from .facts import Facts
from .part import DensePart, Parts
from .questions import Answer, Asked, Floats, Merge, Question

_numbers = itertools.count()  # of searches, so that a part knows when a new one begins


@dataclass(frozen=True)
class State:
    """What a search has come to, which each part catches up with."""

    number: int  # of the search
    centers: Floats  # (m, d) float64: those so far


StateT = TypeVar("StateT", bound=State)
KeptT = TypeVar("KeptT")


class SearchPart(ABC, Generic[StateT]):
    """What a search knows of the points of one part, besides the part itself.

    It refers to no part, which refers to it: without a circle memory goes at once.
    """

    def __init__(self, part: DensePart, state: StateT) -> None:
        self.number: int = state.number
        self.n_centers = 0

    @abstractmethod
    def catch_up(self, state: StateT) -> None:
        """Take the centers into account that are new."""


class Resumed(Question[DensePart, Asked, Answer]):
    """A question to a search's part, asked of the part that keeps it: begun there or brought up.

    A search that is over leaves its place to the next.
    """

    def __init__(
        self,
        kind: type[SearchPart[Any]],
        state: State,
        question: Question[Any, Asked, Answer],
    ) -> None:
        self._kind, self._state, self._question = kind, state, question
        self.merge: Merge[Answer] = question.merge

    def __call__(self, part: DensePart, *asked: Asked.args, **named: Asked.kwargs) -> Answer:
        """Return the answer of what the search keeps at a part."""
        state, kept = self._state, part.search
        if (
            not isinstance(kept, self._kind)
            or kept.number != state.number
            or kept.n_centers > len(state.centers)
        ):
            part.search = kept = None  # before memory for the next is needed
            part.search = kept = self._kind(part, state)
        kept.catch_up(state)
        return self._question(kept, *asked, **named)

    def __reduce__(self) -> Any:
        """Return what it is made from."""
        return Resumed, (self._kind, self._state, self._question)


class SeedSearch(ABC, Generic[KeptT]):
    """A `point_set.Search` over parts.

    Parameters
    ----------
    facts : Facts
    parts : Parts
    draw_any : callable
        Draws one point by its weight.
    """

    def __init__(
        self, facts: Facts, parts: Parts, draw_any: Callable[[np.random.Generator], Floats]
    ) -> None:
        self._facts, self._parts, self._draw_any = facts, parts, draw_any
        self._number = next(_numbers)
        self._centers = np.empty((0, facts.middle.size))

    @abstractmethod
    def _state(self) -> tuple[type[SearchPart[Any]], State]:
        """Return what is kept at each part, and what that has to catch up with."""

    def _ask(
        self, question: Question[KeptT, Asked, Answer], *asked: Asked.args, **named: Asked.kwargs
    ) -> Answer:
        return self._parts.ask(Resumed(*self._state(), question), *asked, **named)

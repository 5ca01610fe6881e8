"""What is asked of all parts of a point set, and how their answers become one.

A question is a method of a part that says how answers to it are merged (`merged_by`). It is handed
on as it is written, ``parts.ask(DensePart.step, centroids)``, and travels by its name. Sums are
integers, so the merging changes no bit. A merge function takes a list of answers, in the order of
the parts, and returns one of the same kind.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MethodType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from ..exact.quanta import Integers

Array = NDArray[Any]
Floats = NDArray[np.float64]

Part = TypeVar("Part", contravariant=True)
Asked = ParamSpec("Asked")
Answer = TypeVar("Answer")
Own = TypeVar("Own")
Merge = Callable[[list[Answer]], Answer]


class Question(Generic[Part, Asked, Answer]):
    """A method of a part that many parts can be asked at once."""

    def __init__(
        self, answer: Callable[Concatenate[Part, Asked], Answer], merge: Merge[Answer]
    ) -> None:
        self.answer: Callable[Concatenate[Part, Asked], Answer] = answer
        self.merge: Merge[Answer] = merge
        self.__doc__, self.__module__ = answer.__doc__, answer.__module__

    def __call__(self, part: Part, *asked: Asked.args, **named: Asked.kwargs) -> Answer:
        """Return the answer of one part."""
        return self.answer(part, *asked, **named)

    @overload
    def __get__(self, part: None, kind: Any) -> Question[Part, Asked, Answer]: ...

    @overload
    def __get__(self, part: object, kind: Any) -> Callable[Asked, Answer]: ...

    def __get__(self, part: object, kind: Any) -> Any:
        """Return the question of a class, and the method of a part."""
        return self if part is None else MethodType(self.answer, part)

    def __reduce__(self) -> Any:
        """Return the name by which another process finds it."""
        return self.answer.__qualname__


def merged_by(
    merge: Merge[Answer],
) -> Callable[[Callable[Concatenate[Part, Asked], Answer]], Question[Part, Asked, Answer]]:
    """Return a decorator that makes questions of methods, whose answers are merged so."""
    return lambda answer: Question(answer, merge)


class Alone:
    """A part that may be all there are."""

    def ask(
        self: Own, question: Question[Own, Asked, Answer], *asked: Asked.args, **named: Asked.kwargs
    ) -> Answer:
        """Return its own answer: there is nothing to merge it with."""
        return question(self, *asked, **named)


def add(answers: list[Integers]) -> Integers:
    """Add up arrays."""
    total: Integers = np.sum(answers, axis=0)
    return total


def add_each(answers: list[tuple[Integers, ...]]) -> tuple[Integers, ...]:
    """Add up tuples of arrays, element by element."""
    return tuple(add(list(each)) for each in zip(*answers, strict=True))


def concatenate(answers: list[Array]) -> Array:
    """Put arrays one after the other."""
    return np.concatenate(answers)


def concatenate_both(answers: list[tuple[Integers, Floats]]) -> tuple[Integers, Floats]:
    """Put pairs of arrays one after the other."""
    ones, others = zip(*answers, strict=True)
    return np.concatenate(ones), np.concatenate(others)


def take_largest(answers: list[float]) -> float:
    """Return the largest number."""
    return max(answers)


def widen(boxes: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """Return the least of the low ends and the greatest of the high ends."""
    low, high = zip(*boxes, strict=True)
    return np.minimum.reduce(low), np.maximum.reduce(high)

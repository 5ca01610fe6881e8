"""What is known of all points of a dense point set together, whatever parts they are in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..exact.quanta import Integers, as_anchors
from ..kernels import dense as kernels
from ..kernels.dense import MOST_UNROLLED
from ..threads import cached_property
from .questions import Array, Floats, widen


class WeightRule(NamedTuple):
    """What weights are: repeats, which count copies, or factors of the values."""

    are_repeats: bool
    are_factors: bool
    quanta: tuple[float, ...]  # of their totals
    lift: float = 1.0  # what factors are multiplied by, so that no product underflows

    @property
    def unweighted(self) -> bool:
        """Whether every point counts once."""
        return not (self.are_repeats or self.are_factors)

    def split(self, weights: Array | None) -> tuple[Integers | None, Floats | None]:
        """Return the weights as repeats or as factors."""
        if weights is None:
            return None, None
        if self.are_repeats:
            return np.ascontiguousarray(weights, dtype=np.int64), None
        return None, np.ascontiguousarray(weights, dtype=np.float64)


class Measured(NamedTuple):
    """What is found in one look at all points."""

    bad_row: int  # the first that holds NaN or infinity, or -1
    low: Floats  # the box of the points that have weight
    high: Floats
    largest: float  # magnitude
    least: float  # magnitude that is not zero, of the points that have weight
    largest_product: float  # of a factor and a magnitude
    n_copies: int  # points, each counted by its repeats
    most_repeats: int
    heaviest: float  # the largest factor


def merge_measured(answers: list[Measured]) -> Measured:
    """Return what is found at all parts."""
    bad, low, high, largest, least, products, n_copies, repeats, heaviest = zip(
        *answers, strict=True
    )
    return Measured(
        min((row for row in bad if row >= 0), default=-1),
        *widen(list(zip(low, high, strict=True))),
        max(largest), min(least), max(products), sum(n_copies), max(repeats), max(heaviest),
    )  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """What all parts must know."""

    n: int
    rule: WeightRule
    quanta: tuple[float, ...]  # of the values
    low: Floats
    high: Floats
    n_copies: int
    most_repeats: int
    heaviest: float
    middle: Array  # a point amid the data, in the points' type
    scale: Any  # a power of two, in the points' type, that brings the rest to 1 or less

    @property
    def takes_tree(self) -> bool:
        """Whether points may be sorted into a tree, whose cells hold all limbs of their sums."""
        return self.rule.unweighted and len(self.quanta) <= MOST_UNROLLED

    @property
    def largest(self) -> float:
        """The largest magnitude of the points that have weight."""
        return max(-float(self.low.min()), float(self.high.max()))

    @cached_property
    def anchors(self) -> kernels.Anchors:
        """What counts the quanta of values and of weights."""
        rule = self.rule
        return kernels.Anchors(as_anchors(self.quanta), as_anchors(rule.quanta), rule.lift)

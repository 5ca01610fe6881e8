"""What is known of all points of a dense point set together, whatever parts they are in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from ..exact.quanta import NARROW, as_anchors, choose_quanta, depth, spacing
from ..exact.weights import check_sizes
from ..kernels import dense_sums
from ..kernels.dense_sums import MOST_UNROLLED
from ..kernels.inertia import HALVES
from ..threads import cached_property
from .questions import Answer, Array, Asked, Floats, Question
from .raw import Measured, RawPart, WeightRule
from .tree import MOST_FEATURES

# Points whose median stands for the middle of all.
N_SAMPLED = 128
# The sum of a value and its anchor (`quanta.as_anchors`) is less than so many times the value.
ANCHORED = 8.0
# Beyond this float32 points become float64: no scale of float32 would bring them to 1.
MOST_SINGLE = 2.0**119
# The largest weight times value is at least so much, or the digits of others are lost.
LEAST_PRODUCT = 2.0**-960
# Factors are multiplied by a power of two that brings the largest product up to this, where some
# product would be less than all float64.
LIFTED, MOST_LIFTED = 900, 1000
# Whole numbers of so few features that they may go into a tree become floats for it, which takes 40
# bytes a point, up to so many points: twice as fast at K = 32.
MOST_IN_TREE = 1 << 24
# The squares of the scaled distances to the middle, 1 at most, are added in such quanta.
SQUARE_BITS = 100


@dataclass(frozen=True)
class Facts:
    """What all parts must know."""

    n: int
    rule: WeightRule
    quanta: tuple[float, ...]  # of the values
    found: Measured
    middle: Array  # a point amid the data, in the points' type
    scale: Any  # a power of two, in the points' type, that brings the rest to 1 or less
    exact_offsets: bool  # distances to the middle, by feature, are float64
    are_whole: bool  # points stay whole numbers of 16 bits; the two above are float32

    @property
    def takes_tree(self) -> bool:
        """Whether points may be sorted into a tree, whose cells hold all limbs of their sums."""
        is_held = len(self.quanta) <= MOST_UNROLLED
        return self.rule.unweighted and is_held and not self.are_whole

    @cached_property
    def n_squares(self) -> int:
        """How many squares the moments add up."""
        return self.found.n_copies * self.middle.size

    @cached_property
    def square_quanta(self) -> tuple[float, ...]:
        """The quanta of the moments: of squared distances to the middle, scaled."""
        if self.rule.unweighted:
            return HALVES
        return choose_quanta(1.0, self.n_squares, SQUARE_BITS, NARROW)

    @cached_property
    def anchors(self) -> dense_sums.Anchors:
        """What counts the quanta of values and of weights."""
        rule = self.rule
        return dense_sums.Anchors(as_anchors(self.quanta), as_anchors(rule.quanta), rule.lift)


class RawParts(Protocol):
    """All parts, as they were given."""

    shape: tuple[int, int]  # of all points
    dtype: np.dtype[Any]  # that they were given in
    is_weighted: bool

    def ask(
        self, question: Question[RawPart, Asked, Answer], *asked: Asked.args, **named: Asked.kwargs
    ) -> Answer:
        """Return the merged answers of all parts."""


def stay_whole(dtype: np.dtype[Any], n: int, n_features: int) -> bool:
    """Tell whether so many points of a type (`raw.type_of_numbers`) are used as whole numbers."""
    return dtype.kind != "f" and (n_features > MOST_FEATURES or n > MOST_IN_TREE)


def find_facts(parts: RawParts) -> Facts:
    """Check the points and their weights, and find what all parts must know."""
    n, n_features = parts.shape
    rule = WeightRule(False, False, (1.0,))
    least_weight = 1.0
    if parts.is_weighted:
        weights = parts.ask(RawPart.summarize_weights)
        rule = WeightRule(weights.are_copies, not weights.are_copies, weights.units)
        least_weight = spacing(weights.least)
        if rule.are_factors:
            check_sizes(weights.largest, 0.0)
    found = parts.ask(RawPart.measure, rule)
    if found.bad_row >= 0:
        raise ValueError(
            f"data holds NaN or infinity at row {found.bad_row}; drop such rows, fill "
            "them in, or leave them out by nodata=np.nan or mask="
        )
    reach = 2.0 * found.largest
    most = n_features * reach * reach * found.n_copies  # of any inertia
    if not math.isfinite(ANCHORED * most):
        raise ValueError(
            f"data holds values up to {found.largest:.3g}, whose squared distances overflow; "
            "divide the data by a constant"
        )
    check_sizes(found.heaviest, ANCHORED * found.heaviest * max(most, n))
    if rule.are_factors and found.reach > 0.0 and found.largest_product < LEAST_PRODUCT:
        raise ValueError(
            f"sample_weight holds values up to {found.heaviest:.3g}, whose products with the "
            "data underflow; multiply the weights by a constant"
        )
    some = parts.ask(RawPart.every, -(-n // N_SAMPLED))
    are_whole = stay_whole(some.dtype, n, n_features)
    some = some if some.dtype.kind == "f" else some.astype(np.float32)
    single = some.dtype == np.float32
    if found.largest > MOST_SINGLE:
        some = some.astype(np.float64)
    middle, scale = _frame(some, found.low, found.high)
    finest = 1.0 if parts.dtype.kind in "biu" else spacing(found.least, single)
    if rule.are_factors:
        rule, quanta = _lift(rule, found, finest, least_weight)
    else:
        quanta = choose_quanta(found.reach, found.n_copies, depth(found.reach, finest), NARROW)
    # The middle is a multiple of half of what all values are multiples of.
    exact_offsets = finest * float(scale) >= 2.0**-52
    return Facts(n, rule, quanta, found, middle, scale, exact_offsets, are_whole)


def _frame(some: Array, low: Floats, high: Floats) -> tuple[Array, Any]:
    """Return a point amid the data, and a power of two that scales the rest to 1 or less.

    What is left is small where the data lie far from the origin, and outliers hardly move the
    median of some points: the float32 pass then tells most centroids apart. Any other would do.
    """
    dtype = some.dtype
    ordered = np.sort(some, axis=0)  # a fifth of the time of np.median
    middle = (ordered[(len(some) - 1) // 2] + ordered[len(some) // 2]) / dtype.type(2)
    reach = float(np.maximum(high - middle, middle - low).max())
    limit = 120 if dtype == np.float32 else 1000
    exponent = max(-limit, min(limit, -math.frexp(reach)[1]))
    return middle, dtype.type(math.ldexp(1.0, exponent))


def _lift(
    rule: WeightRule, found: Measured, finest: float, least_weight: float
) -> tuple[WeightRule, tuple[float, ...]]:
    """Return the rule, and the quanta of values times factors, so that no product underflows.

    `finest` and `least_weight` are the powers of two of which values and factors are multiples.
    """
    exponent = 0
    if Fraction(finest) * Fraction(least_weight) < Fraction(5e-324):
        exponent = min(
            LIFTED - math.frexp(found.largest_product)[1],
            MOST_LIFTED - math.frexp(found.heaviest)[1],
        )
    lift = math.ldexp(1.0, exponent)
    least = math.ldexp(finest, exponent) * least_weight
    if Fraction(least) != Fraction(finest) * Fraction(least_weight) * Fraction(lift):
        raise ValueError(
            f"sample_weight goes from {found.heaviest:.3g} down to {least_weight:.3g}, and its "
            "products with the data underflow; leave out, or weigh with 0, what is so small"
        )
    below = depth(found.largest_product * lift, least)
    quanta = choose_quanta(found.largest_product * lift, found.n_copies, below, NARROW)
    return rule._replace(lift=lift, quanta=tuple(unit * lift for unit in rule.quanta)), quanta

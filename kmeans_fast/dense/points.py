"""Points of any numbers, as they come: one row, one point.

The point set knows what all points have in common, and asks the parts that hold them
(`dense_part`): one in this process, or many on a cluster.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..exact.means import divide_limbs
from ..exact.quanta import (
    NARROW,
    Integers,
    bits_below,
    choose_quanta,
    depth,
    in_row,
    join,
    spacing,
)
from ..exact.weights import check_sizes, from_limbs
from ..exact.weights import merge as merge_weights
from ..kernels import inertia
from ..point_set import Step, label_dtype
from ..threads import Threads, cached_property
from . import part
from .part import DensePart, Facts, WeightRule
from .parts import LocalPart, Parts, add, concatenate
from .search import NearestSearch
from .tree import seeds as tree_seeds
from .tree_search import TreeSearch

# Points whose median stands for the middle of all.
N_SAMPLED = 128
# An inertia from moments is used where its error is surely below a part in 2**SURE.
SURE = 42
# The squares of the scaled distances to the middle, 1 at most, are added in such quanta.
SQUARE_BITS = 100
SQUARE_QUANTUM = 2.0 ** (1 - SQUARE_BITS)

# The sum of a value and its anchor (`quanta.as_anchors`) is less than so many times the value.
ANCHORED = 8.0

# Beyond this differences may overflow in float32.
MOST_SEEDED = 2.0**120
# Beyond this float32 points become float64: no scale of float32 would bring them to 1.
MOST_SINGLE = 2.0**119
# The largest weight times value is at least so much, or the digits of others are lost.
LEAST_PRODUCT = 2.0**-960
# Factors are multiplied by a power of two that brings the largest product up to this, where some
# product would be less than all float64.
LIFTED, MOST_LIFTED = 900, 1000
# Centroids farther out than this, scaled, leave nothing of moments.
FARTHEST = 2.0**200

Floats = NDArray[np.float64]


class Sums(NamedTuple):
    """What a `Step` of dense points carries: the clusters' sums in limbs."""

    values: Integers  # (k, limbs, d)
    weights: Integers  # (k, limbs)


class Moments(NamedTuple):
    """What is known of all points together, for the inertia (`kernels.inertia`)."""

    squares: list[float]  # parts that add up to the squared distances to the middle, scaled
    n_squares: int  # how many squares were added


class DensePoints:
    """A point set for `lloyd`: floats, and integers that are no colours.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        As `DensePart` takes them.
    weights : ndarray of float64 or int64, shape (n,), or None
        Not negative, not all zero. Whole weights that sum to less than 2**53 count copies.
    threads : Threads

    Raises
    ------
    ValueError
        If the data hold NaN, infinity, integers beyond 2**53, or values so large that squared
        distances overflow.
    """

    def __init__(
        self, points: NDArray[Any], weights: NDArray[Any] | None, threads: Threads
    ) -> None:
        parts = LocalPart(DensePart(points, weights, threads))
        self._begin(parts, parts.part.points.shape, points.dtype, weights is not None, threads)

    @classmethod
    def of_parts(
        cls,
        parts: Parts,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        weighted: bool,
        threads: Threads,
    ) -> DensePoints:
        """Return the point set of all points of some parts: `shape` (n, d), given as `dtype`."""
        points = cls.__new__(cls)
        points._begin(parts, shape, dtype, weighted, threads)
        return points

    def _begin(
        self,
        parts: Parts,
        shape: tuple[int, int],
        dtype: np.dtype[Any],
        weighted: bool,
        threads: Threads,
    ) -> None:
        self._parts = parts
        self._threads = threads
        self._n, self.n_features = shape
        self._last: tuple[Floats, Step] | None = None
        rule = WeightRule(False, False, (1.0,))
        least = 1.0
        if weighted:
            found = self.ask(merge_weights, "summarize_weights")
            rule = WeightRule(found.are_copies, not found.are_copies, found.units)
            least = spacing(found.least)
            if rule.factors:
                check_sizes(found.largest, 0.0)
        self.facts = self._find_facts(rule, dtype, least)
        parts.settle(self.facts)

    def ask(self, merge: Any, verb: str, *arguments: Any) -> Any:
        """Return the merged answers of all parts (`DensePart`)."""
        return self._parts.ask(merge, verb, *arguments)

    @cached_property
    def total_weight(self) -> float | int:
        """The weight of all points."""
        if not self.facts.rule.factors:
            return self.facts.n_copies
        return float(self._counts(self._everything.weights)[0])

    @cached_property
    def variance(self) -> float:
        """The mean over the features of their variance."""
        everything = self._everything
        step = Step(self._counts(everything.weights), everything, math.nan)
        mean = self.means(step, np.full((1, self.n_features), np.nan))
        inertia_of_all = self._inertia(mean, everything)
        return float(inertia_of_all / float(self.total_weight) / self.n_features)

    @cached_property
    def _everything(self) -> Sums:
        """The sums of all points as one cluster."""
        if self._last is None:
            return Sums(*self.ask(add, "add_up", None, 1))
        return Sums(*(sums.sum(axis=0, keepdims=True) for sums in self._last[1].sums))

    # ------------------------------------------------------------------- Lloyd's iteration

    def step(self, centroids: Floats) -> Step:
        """Assign the points to their nearest centroids, and add up the clusters.

        The sums of a step hold until the next one.
        """
        centroids = np.ascontiguousarray(centroids, dtype=np.float64)
        if self._last is not None and np.array_equal(self._last[0], centroids):
            return self._last[1]
        self._check_reach(centroids)
        self._last = None
        sums = Sums(*self.ask(add, "step", centroids))
        step = Step(self._counts(sums.weights), sums, self._inertia(centroids, sums))
        self._last = (centroids.copy(), step)
        return step

    def add_up(self, labels: NDArray[Any], n_clusters: int) -> Step:
        """Add up clusters that are given by labels; the inertia is not known (NaN)."""
        sums = Sums(*self.ask(add, "add_up", labels, n_clusters))
        return Step(self._counts(sums.weights), sums, math.nan)

    def relocate(self, step: Step, centroids: Floats) -> Step:
        """Give each empty cluster the point farthest from its own centroid, with its copies."""
        centroids = np.ascontiguousarray(centroids, dtype=np.float64)
        values, totals = (sums.copy() for sums in step.sums)
        # A point that is all that its cluster has stays: one for each cluster, at the most.
        k = len(centroids)
        far, n_members = self.ask(part.MergeFarthest(k), "find_farthest", centroids, k)
        at = 0
        for empty in np.flatnonzero(step.counts == 0):
            while at < far.clusters.size:
                cluster, n_copies, one = far.clusters[at], far.n_copies[at], at
                at += 1
                if n_members[cluster] > n_copies:  # it keeps another point
                    n_members[cluster] -= n_copies
                    for all_sums, moved in ((values, far.values), (totals, far.weights)):
                        all_sums[cluster] -= moved[one]
                        all_sums[empty] += moved[one]
                    break
        return Step(self._counts(totals), Sums(values, totals), step.inertia)

    def means(self, step: Step, previous: Floats) -> Floats:
        """Return the means of the clusters; one without weight keeps its previous centroid."""
        return divide_limbs(
            step.sums.values, self.facts.quanta, step.sums.weights, self.facts.rule.quanta,
            previous, self._threads,
        )  # fmt: skip

    def label(self, centroids: Floats) -> tuple[Any, NDArray[Any], float]:
        """Return the labels, the counts and the inertia of an assignment."""
        step = self.step(centroids)
        labels = self._parts.labels(np.ascontiguousarray(centroids, dtype=np.float64))
        self._last = None  # the labels are the caller's now
        return labels.astype(label_dtype(len(centroids)), copy=False), step.counts, step.inertia

    # ----------------------------------------------------------------------------- seeding

    def draw(self, rng: np.random.Generator) -> Floats:
        """Return one point, drawn with probability proportional to its weight."""
        if self.facts.rule.unweighted:
            one: Floats = self.take(np.array([rng.integers(self._n)]))[0]
            return one
        ends = np.cumsum(self.ask(concatenate, "count_tickets"))
        ticket = np.array([rng.integers(ends[-1])])
        point: Floats = self.ask(concatenate, "draw", ends, ticket)[1][0]
        return point

    def sample_distinct(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n distinct points (n, d), drawn by weight without replacement.

        Each point has an exponential key over its weight, and the least keys win. Fewer distinct
        points than `n` are repeated to fill the rows.
        """
        seed = int(rng.integers(2**63))
        _, rows = self.ask(part.MergeSample(n), "sample_distinct", n, seed)
        sample: Floats = rows[np.resize(np.arange(len(rows)), n)].astype(np.float64)
        return sample

    def n_distinct(self, limit: int) -> int:
        """Return how many distinct points have weight, or `limit` if that is less."""
        return len(self.ask(part.MergeDistinct(limit), "find_distinct", limit))

    def nearest_search(self) -> NearestSearch | TreeSearch:
        """Return a search for the points that lie far from the centers chosen so far."""
        largest = max(-float(self.facts.low.min()), float(self.facts.high.max()))
        by_tree = tree_seeds(self._n, self.n_features) and largest < MOST_SEEDED
        if by_tree and self.facts.takes_tree:
            return TreeSearch(self)
        return NearestSearch(self)

    def take(self, indices: Integers) -> Floats:
        """Return some of the points in float64, in the order of the data."""
        points: Floats = self.ask(concatenate, "take", indices)
        return points

    # ------------------------------------------------------------------------------ within

    def _find_facts(self, rule: WeightRule, dtype: np.dtype[Any], least_weight: float) -> Facts:
        """Check the data, and find what all parts must know."""
        found = self.ask(part.merge_measured, "measure", rule)
        if found.bad_row >= 0:
            raise ValueError(
                f"data holds NaN or infinity at row {found.bad_row}; drop such rows or fill them in"
            )
        reach = 2.0 * found.largest
        most = self.n_features * reach * reach * found.n_copies  # of any inertia
        if not math.isfinite(ANCHORED * most):
            raise ValueError(
                f"data holds values up to {found.largest:.3g}, whose squared distances overflow; "
                "divide the data by a constant"
            )
        check_sizes(found.heaviest, ANCHORED * found.heaviest * max(most, self._n))
        largest = max(-float(found.low.min()), float(found.high.max()))
        if rule.factors and largest > 0.0 and found.largest_product < LEAST_PRODUCT:
            raise ValueError(
                f"sample_weight holds values up to {found.heaviest:.3g}, whose products with the "
                "data underflow; multiply the weights by a constant"
            )
        some = self.ask(concatenate, "every", -(-self._n // N_SAMPLED))
        kept = some.dtype
        if found.largest > MOST_SINGLE:
            some = some.astype(np.float64)
        middle, scale = _frame(some, found.low, found.high)
        finest = 1.0 if dtype.kind in "biu" else spacing(found.least, kept == np.float32)
        if rule.factors:
            rule, quanta = _lift(rule, found, finest, least_weight)
        else:
            below = depth(largest, finest)
            quanta = choose_quanta(largest, found.n_copies, below, NARROW)
        return Facts(
            n=self._n,
            rule=rule,
            quanta=quanta,
            low=found.low,
            high=found.high,
            n_copies=found.n_copies,
            most_repeats=found.most_repeats,
            heaviest=found.heaviest,
            middle=middle,
            scale=scale,
        )

    def _inertia(self, centroids: Floats, sums: Sums) -> float:
        """Return the inertia of an assignment.

        From moments, unless weights are fractions, whose products with the values are rounded,
        or points lie so much nearer to their centroids than to each other that nothing is left.
        """
        reach = float(np.abs(centroids - self.facts.middle).max()) * float(self.facts.scale)
        if not self.facts.rule.factors and reach < FARTHEST:
            moments, frame = self._moments, (self.facts.middle, float(self.facts.scale))
            high, low = np.zeros((2, self.n_features))
            middle = frame[0].astype(np.float64)
            inertia.add_cross_terms(
                centroids, middle, frame[1], sums.weights[:, 0], sums.values,
                in_row(self.facts.quanta),
                high, low,
            )  # fmt: skip
            total = math.fsum((*moments.squares, *high.tolist(), *low.tolist()))
            error = moments.n_squares * (SQUARE_QUANTUM + 2.0**-95 * (1.0 + reach) ** 2)
            if total > math.ldexp(error, SURE):
                return total / frame[1] / frame[1]
        return self._inertia_of_points(centroids)

    @cached_property
    def _moments(self) -> Moments:
        """The moments of all points, about the middle."""
        n_squares = self.facts.n_copies * self.n_features
        quanta = choose_quanta(1.0, n_squares, SQUARE_BITS, NARROW)
        limbs = self.ask(add, "add_moments", quanta)
        squares = [
            half * unit
            for whole, unit in zip(limbs.tolist(), quanta, strict=True)
            for half in (float(whole >> 32 << 32), float(whole & 0xFFFFFFFF))
        ]
        return Moments(squares, n_squares)

    def _inertia_of_points(self, centroids: Floats) -> float:
        """Return the inertia from the squared distance of each point to its centroid."""
        n = self._n_sq_dists
        largest = self.ask(max, "find_largest_sq_dist", centroids)
        quanta = choose_quanta(largest, n, bits_below(n), NARROW)
        limbs = self.ask(add, "add_sq_dists", centroids, quanta)
        return float(join(limbs, quanta) * Fraction(quanta[-1]))

    def _check_reach(self, centroids: Floats) -> None:
        """Raise where squared distances to the centroids overflow.

        No point is farther from its centroid than the farthest corner of the data's box is from
        any one of them.
        """
        low, high = self.facts.low, self.facts.high
        corners = np.maximum(np.abs(centroids - low), np.abs(centroids - high))
        nearest = float(np.square(corners).sum(axis=1).min())
        if not math.isfinite(ANCHORED * nearest * self.facts.heaviest * self._n_sq_dists):
            raise ValueError(
                f"centroids hold values up to {np.abs(centroids).max():.3g}, whose squared "
                "distances to the data overflow; divide both by a constant"
            )

    @property
    def _n_sq_dists(self) -> int:
        """How many squared distances an inertia adds up."""
        return self._n if self.facts.rule.factors else self.facts.n_copies

    def _counts(self, totals: Integers) -> NDArray[Any]:
        rule = self.facts.rule
        return from_limbs(totals.T, rule.quanta) / rule.lift if rule.factors else totals[:, 0]


def _frame(some: NDArray[Any], low: Floats, high: Floats) -> tuple[NDArray[Any], Any]:
    """Return a point amid the data, and a power of two that scales the rest to 1 or less.

    What is left is small where the data lie far from the origin, and outliers hardly move the
    median of some points: the float32 pass then tells most centroids apart. Any other would do.
    """
    dtype = some.dtype
    middle = np.median(some, axis=0).astype(dtype)
    reach = float(np.maximum(high - middle, middle - low).max())
    limit = 120 if dtype == np.float32 else 1000
    exponent = max(-limit, min(limit, -math.frexp(reach)[1]))
    return middle, dtype.type(math.ldexp(1.0, exponent))


def _lift(
    rule: WeightRule, found: part.Measured, finest: float, least_weight: float
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

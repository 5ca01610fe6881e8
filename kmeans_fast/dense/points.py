"""Points of any numbers, as they come: one row, one point.

The point set knows what all points have in common, and asks the parts that hold them
(`part.DensePart`): one in this process, or many on a cluster.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from ..exact.means import divide_limbs
from ..exact.quanta import NARROW, Integers, bits_below, choose_quanta, in_row, join
from ..exact.weights import from_limbs
from ..kernels import inertia
from ..point_set import Step, label_dtype
from ..seeding import spread
from ..threads import Threads, cached_property
from .facts import ANCHORED, SQUARE_BITS, Facts, find_facts
from .part import ClusterSums, DensePart, Parts
from .questions import Array, Floats
from .raw import RawPart
from .sampling import find_distinct, find_farthest, sample_distinct
from .scatter import DenseScatter
from .search import NearestSearch
from .tree import seeds as tree_seeds
from .tree_search import TreeSearch

# An inertia from moments is used where its error is surely below a part in 2**SURE.
SURE = 42
SQUARE_QUANTUM = 2.0 ** (1 - SQUARE_BITS)
# Beyond this differences may overflow in float32.
MOST_SEEDED = 2.0**120
# Centroids farther out than this, scaled, leave nothing of moments.
FARTHEST = 2.0**200


class Moments(NamedTuple):
    """What is known of all points together, for the inertia (`kernels.inertia`)."""

    squares: list[float]  # parts that add up to the squared distances to the middle, scaled
    n_squares: int  # how many squares were added


class PointsInParts:
    """A point set for `lloyd`, of all points of some parts: floats, or integers but no colours.

    Parameters
    ----------
    parts : Parts
    facts : Facts
    threads : Threads
        For what is not done at the parts.
    """

    def __init__(self, parts: Parts, facts: Facts, threads: Threads) -> None:
        self.parts = parts
        self.facts = facts
        self.n: int = facts.n
        self.n_features: int = facts.middle.size
        self._threads = threads
        self._last: tuple[bytes, Step] | None = None  # the last step, and of which centroids

    @cached_property
    def total_weight(self) -> float | int:
        """The weight of all points."""
        if not self.facts.rule.are_factors:
            return self.facts.found.n_copies
        return float(self._counts(self._everything.totals)[0])

    @cached_property
    def variance(self) -> float:
        """The mean over the features of their variance."""
        everything = self._everything
        step = Step(self._counts(everything.totals), everything, math.nan)
        mean = self.means(step, np.full((1, self.n_features), np.nan))
        reach = float(np.abs(mean - self._middle).max())
        inertia_of_all = self._inertia(mean, reach, everything)
        return float(inertia_of_all / float(self.total_weight) / self.n_features)

    @cached_property
    def _everything(self) -> ClusterSums:
        """The sums of all points as one cluster."""
        if self._last is None:
            return self.parts.ask(DensePart.add_up, None, 1)
        return ClusterSums(*(sums.sum(axis=0, keepdims=True) for sums in self._last[1].sums))

    # ------------------------------------------------------------------- Lloyd's iteration

    def step(self, centroids: Floats) -> Step:
        """Assign the points to their nearest centroids, and add up the clusters.

        The sums of a step hold until the next one.
        """
        centroids = np.ascontiguousarray(centroids, dtype=np.float64)
        wanted = centroids.tobytes()
        if self._last is not None and self._last[0] == wanted:
            return self._last[1]
        reach = float(np.abs(centroids - self._middle).max())
        self._check_reach(centroids, reach)
        self._last = None
        sums = self.parts.ask(DensePart.step, centroids)
        step = Step(self._counts(sums.totals), sums, self._inertia(centroids, reach, sums))
        self._last = (wanted, step)
        return step

    def add_up(self, labels: Array, n_clusters: int) -> Step:
        """Add up clusters that are given by labels; the inertia is not known (NaN)."""
        sums = self.parts.ask(DensePart.add_up, labels, n_clusters)
        return Step(self._counts(sums.totals), sums, math.nan)

    def relocate(self, step: Step, centroids: Floats) -> Step:
        """Give each empty cluster the point farthest from its own centroid, with its copies."""
        centroids = np.ascontiguousarray(centroids, dtype=np.float64)
        values, totals = (sums.copy() for sums in step.sums)
        # A point that is all that its cluster has stays: one for each cluster, at the most.
        far = self.parts.ask(find_farthest, centroids)
        n_members = far.n_members.copy()
        at = 0
        for empty in np.flatnonzero(step.counts == 0):
            while at < far.clusters.size:
                cluster, n_copies, one = far.clusters[at], far.n_copies[at], at
                at += 1
                if n_members[cluster] > n_copies:  # it keeps another point
                    n_members[cluster] -= n_copies
                    for all_sums, moved in ((values, far.sums.values), (totals, far.sums.totals)):
                        all_sums[cluster] -= moved[one]
                        all_sums[empty] += moved[one]
                    break
        return Step(self._counts(totals), ClusterSums(values, totals), step.inertia)

    def means(self, step: Step, previous: Floats) -> Floats:
        """Return the means of the clusters; one without weight keeps its previous centroid."""
        return divide_limbs(
            step.sums.values, self.facts.quanta, step.sums.totals, self.facts.rule.quanta,
            previous, self._threads,
        )  # fmt: skip

    def label(self, centroids: Floats) -> tuple[Any, Array, float]:
        """Return the labels, the counts and the inertia of an assignment."""
        step = self.step(centroids)
        labels = self.parts.give_labels(np.ascontiguousarray(centroids, dtype=np.float64))
        self._last = None  # the labels are the caller's now
        return labels.astype(label_dtype(len(centroids)), copy=False), step.counts, step.inertia

    # ---------------------------------------------------------------------------- refining

    def make_room(self, n: int) -> None:
        """Do nothing: each number of clusters is begun anew."""

    def scattered(self, centroids: Floats) -> DenseScatter:
        """Return how the points, which are in one part here, are scattered about centroids."""
        part = self.parts
        assert isinstance(part, DensePart)
        self.step(centroids)
        return DenseScatter(part.points, part.weights, part.labels(centroids))

    # ----------------------------------------------------------------------------- seeding

    def draw(self, rng: np.random.Generator) -> Floats:
        """Return one point, drawn with probability proportional to its weight."""
        if self.facts.rule.unweighted:
            one: Floats = self.take(np.array([rng.integers(self.n)]))[0]
            return one
        ends = np.cumsum(self.parts.ask(DensePart.count_tickets))
        ticket = np.array([rng.integers(ends[-1])])
        point: Floats = self.parts.ask(DensePart.draw, ends, ticket)[1][0]
        return point

    def sample_distinct(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n distinct points (n, d), drawn by weight without replacement.

        Each point has an exponential key over its weight, and the least keys win. Fewer distinct
        points than `n` are repeated to fill the rows.
        """
        seed = int(rng.integers(2**63))
        rows = self.parts.ask(sample_distinct, n, seed).rows
        sample: Floats = rows[np.resize(np.arange(len(rows)), n)].astype(np.float64)
        return sample

    def n_distinct(self, limit: int) -> int:
        """Return how many distinct points have weight, or `limit` if that is less."""
        return len(self.parts.ask(find_distinct, limit).rows)

    def nearest_search(self) -> NearestSearch | TreeSearch:
        """Return a search for the points that lie far from the centers chosen so far."""
        facts = self.facts
        by_tree = tree_seeds(self.n, self.n_features) and facts.takes_tree
        kind = TreeSearch if by_tree and facts.found.reach < MOST_SEEDED else NearestSearch
        return kind(facts, self.parts, self.draw)

    def spread(self, centroids: Floats, n_trials: int, rng: np.random.Generator) -> None:
        """Write the centroids (k, d) after the first one: greedy k-means++."""
        spread(self.nearest_search(), centroids, n_trials, rng)

    def siblings(self, n: int, ks: Sequence[int]) -> Sequence[PointsInParts]:
        """Return itself alone: a run fills the cores, or is on workers."""
        return [self]

    def take(self, indices: Integers) -> Floats:
        """Return some of the points in float64, in the order of the data."""
        return self.parts.ask(DensePart.take, indices)

    # ------------------------------------------------------------------------------ within

    @cached_property
    def _middle(self) -> Floats:
        """The point amid the data."""
        middle: Floats = self.facts.middle.astype(np.float64)
        return middle

    def _inertia(self, centroids: Floats, reach: float, sums: ClusterSums) -> float:
        """Return the inertia of an assignment; of the centroids `reach` is `_check_reach`'s.

        From moments, unless weights are fractions, whose products with the values are rounded,
        or points lie so much nearer to their centroids than to each other that nothing is left.
        """
        scale = float(self.facts.scale)
        reach *= scale
        if not self.facts.rule.are_factors and reach < FARTHEST:
            moments = self._moments
            high, low = np.zeros((2, self.n_features))
            inertia.add_cross_terms(
                centroids, self._middle, scale, sums.totals[:, 0], sums.values,
                in_row(self.facts.quanta), high, low,
            )  # fmt: skip
            total = math.fsum((*moments.squares, *high.tolist(), *low.tolist()))
            error = moments.n_squares * (SQUARE_QUANTUM + 2.0**-95 * (1.0 + reach) ** 2)
            if total > math.ldexp(error, SURE):
                return total / scale / scale
        return self._inertia_of_points(centroids)

    @cached_property
    def _moments(self) -> Moments:
        """The moments of all points, about the middle."""
        limbs = self.parts.ask(DensePart.add_moments)
        squares = [
            half * unit
            for whole, unit in zip(limbs.tolist(), self.facts.square_quanta, strict=True)
            for half in (float(whole >> 32 << 32), float(whole & 0xFFFFFFFF))
        ]
        return Moments(squares, self.facts.n_squares)

    def _inertia_of_points(self, centroids: Floats) -> float:
        """Return the inertia from the squared distance of each point to its centroid."""
        n = self._n_sq_dists
        largest = self.parts.ask(DensePart.find_largest_sq_dist, centroids)
        quanta = choose_quanta(largest, n, bits_below(n), NARROW)
        limbs = self.parts.ask(DensePart.add_sq_dists, centroids, quanta)
        return float(join(limbs, quanta) * Fraction(quanta[-1]))

    def _check_reach(self, centroids: Floats, reach: float) -> None:
        """Raise where squared distances to the centroids overflow.

        No point is farther from its centroid than the farthest corner of the data's box is from
        any one of them. No coordinate of a centroid is farther than `reach` from the middle.
        """
        low, high = self.facts.found.low, self.facts.found.high
        far = reach + self._span
        most = self.n_features * far * far
        if math.isfinite(ANCHORED * most * self.facts.found.heaviest * self._n_sq_dists):
            return
        corners = np.maximum(np.abs(centroids - low), np.abs(centroids - high))
        nearest = float(np.square(corners).sum(axis=1).min())
        if not math.isfinite(ANCHORED * nearest * self.facts.found.heaviest * self._n_sq_dists):
            raise ValueError(
                f"centroids hold values up to {np.abs(centroids).max():.3g}, whose squared "
                "distances to the data overflow; divide both by a constant"
            )

    @cached_property
    def _span(self) -> float:
        """How far a coordinate of the data is from the middle at the most."""
        found = self.facts.found
        return float(np.maximum(found.high - self._middle, self._middle - found.low).max())

    @property
    def _n_sq_dists(self) -> int:
        """How many squared distances an inertia adds up."""
        return self.n if self.facts.rule.are_factors else self.facts.found.n_copies

    def _counts(self, totals: Integers) -> Array:
        rule = self.facts.rule
        return from_limbs(totals.T, rule.quanta) / rule.lift if rule.are_factors else totals[:, 0]


class DensePoints(PointsInParts):
    """A point set of points in this process, in one part.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        As `RawPart` takes them.
    weights : ndarray, shape (n,), or None
    threads : Threads
    facts : Facts, optional
        Those of the same points in another order.
    """

    def __init__(
        self, points: Array, weights: Array | None, threads: Threads, facts: Facts | None = None
    ) -> None:
        raw = RawPart(points, weights, threads)
        facts = facts or find_facts(raw)
        super().__init__(DensePart(raw, facts), facts, threads)

"""A part of a dense point set: points of any numbers, and what is done with them in place.

What a method answers follows from the points, from its arguments and from `Facts` alone. What a
part keeps between calls (bounds, a tree, the distances of a search) only makes the next answer
cheaper: a part that is lost and made anew on another machine gives the same answers.

The sums follow the rules of `kmeans_fast.reference`: values in whole numbers of quanta, added in
int64 limbs (`kernels.dense_sums`), so that parts, chunks and threads may come in any order.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..exact.quanta import Integers, as_anchors, choose_quanta, log2
from ..exact.weights import Summary, summarize
from ..kernels import dense as kernels
from ..kernels import dense_data, dense_sums, inertia
from ..kernels.dense_sums import MOST_UNROLLED
from ..threads import Threads, cached_property
from .assignment import Assignment, fewest_types
from .parts import first_distinct
from .search import NearestPart
from .tree import Cut, Tree, TreeAssignment, count_slots
from .tree import pays as tree_pays
from .tree_search import TreePart

# Points in a unit of work: some 50 us at the least, ten times what it costs to hand it out.
CHUNK = 16384
# Numbers in a unit of work that NumPy does, of several calls that wait for the GIL.
MEASURED = 2**20
# A debug switch: check every label of every assignment by brute force.
CHECK = os.environ.get("KMEANS_FAST_CHECK", "0") not in ("", "0")

Array = NDArray[Any]
Floats = NDArray[np.float64]


class WeightRule(NamedTuple):
    """What weights are: counts of copies, or factors of the values."""

    repeats: bool
    factors: bool
    quanta: tuple[float, ...]  # of their totals
    lift: float = 1.0  # what factors are multiplied by, so that no product underflows

    @property
    def unweighted(self) -> bool:
        """Whether every point counts once."""
        return not (self.repeats or self.factors)


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


class Candidates(NamedTuple):
    """Distinct points far from their own centroids, the farthest first."""

    sq_dists: Floats  # (m,)
    rows: Array  # (m, d)
    clusters: Integers  # (m,)
    n_copies: Integers  # (m,) rows that are equal
    values: Integers  # (m, limbs, d): their sums
    weights: Integers  # (m, limbs)


@dataclass(frozen=True)
class Facts:
    """What is known of all points of all parts together."""

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

    @cached_property
    def anchors(self) -> dense_sums.Anchors:
        """What counts the quanta of values and of weights."""
        rule = self.rule
        return dense_sums.Anchors(as_anchors(self.quanta), as_anchors(rule.quanta), rule.lift)


class DensePart:
    """Some of the points of a `DensePoints`.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        Real numbers, in any layout, with n and d at least 1. float32 and float64 in C order are
        used where they are; others are copied: 16 bits or fewer to float32, the rest to float64.
    weights : ndarray of float64 or int64, shape (n,), or None
        Not negative.
    threads : Threads
    start : int
        The number of its first point among those of all parts.
    number : int
        Its own number among the parts.
    """

    def __init__(
        self,
        points: Array,
        weights: Array | None,
        threads: Threads,
        start: int = 0,
        number: int = 0,
    ) -> None:
        self.points = as_floats(points)
        self.threads = threads
        self.start = start
        self.number = number
        self.n, self.n_features = self.points.shape
        self.chunks = [(at, min(at + CHUNK, self.n)) for at in range(0, self.n, CHUNK)]
        self.lock = Lock()  # of a worker's threads: what is kept is for one call at a time
        self._given_weights = weights
        self.repeats: Integers | None = None
        self.weights: Floats | None = None
        self._assignment: Assignment | TreeAssignment | None = None
        self._assigned: Floats | None = None
        self._trees: dict[bool, Tree] = {}
        self._search: NearestPart | TreePart | None = None

    # ---------------------------------------------------------------- what they have in common

    def summarize_weights(self) -> Summary:
        """Return what the rule for all weights goes by."""
        assert self._given_weights is not None
        return summarize(self._given_weights)

    def measure(self, rule: WeightRule) -> Measured:
        """Check the points, and return their box, magnitudes and weights."""
        self.repeats, self.weights = split_weights(self._given_weights, rule)

        def measure(
            chunk: tuple[int, int],
        ) -> tuple[Floats, Floats, tuple[int, float, float, float]]:
            low, high = np.full((2, self.n_features), [[np.inf], [-np.inf]])
            if rule.unweighted:
                least, largest = dense_data.measure_all(self.points, *chunk, low, high)
                if math.isfinite(largest):
                    return low, high, (-1, largest, least, 0.0)
            found = dense_data.measure_points(
                self.points, *chunk, self.repeats, self.weights, low, high
            )
            return low, high, found

        size = max(CHUNK, MEASURED // self.n_features)
        parts = [(at, min(at + size, self.n)) for at in range(0, self.n, size)]
        lows, highs, found = zip(*self.threads.map(measure, parts), strict=True)
        rows, largest, least, products = zip(*found, strict=True)
        bad = [row + self.start for row in rows if row >= 0]
        return Measured(
            bad_row=min(bad, default=-1),
            low=np.min(lows, axis=0),
            high=np.max(highs, axis=0),
            largest=max(largest),
            least=min(least),
            largest_product=max(products),
            n_copies=self.n if self.repeats is None else int(self.repeats.sum()),
            most_repeats=1 if self.repeats is None else int(self.repeats.max()),
            heaviest=1.0 if self.weights is None else float(self.weights.max()),
        )

    def every(self, step: int) -> Array:
        """Return every so many-th point of all."""
        return self.points[-self.start % step :: step]

    def settle(self, facts: Facts) -> None:
        """Take note of what is known of all points."""
        self.facts = facts
        if facts.middle.dtype != self.points.dtype:  # values too large for differences in float32
            self.points = self.points.astype(np.float64)
            self.points.flags.writeable = False
        self._data = kernels.Framed(self.points, facts.middle, facts.scale)
        if facts.rule.unweighted or self.repeats is not None or self.weights is not None:
            return
        self.repeats, self.weights = split_weights(self._given_weights, facts.rule)

    def settled(self, facts: Facts) -> DensePart:
        """Return a part of the same points that knows `facts`."""
        part = DensePart(self.points, self._given_weights, self.threads, self.start, self.number)
        part.settle(facts)
        return part

    def __sizeof__(self) -> int:
        """Return the memory of the data, by which Dask decides where to keep what."""
        weights = 0 if self._given_weights is None else self._given_weights.nbytes
        return self.points.nbytes + weights

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a copy on another machine is made from: not what can be made again."""
        facts = getattr(self, "facts", None)
        made_from = self.points, self._given_weights, self.threads.n, self.start, self.number
        return _copied, (*made_from, facts)

    # -------------------------------------------------------------------- Lloyd's iteration

    def step(self, centroids: Floats) -> tuple[Integers, Integers]:
        """Label the points with their nearest centroids; return the clusters' sums, in limbs."""
        now = self._assign(centroids)
        return now.values, now.weights

    def _assign(self, centroids: Floats) -> Assignment | TreeAssignment:
        k = len(centroids)
        self._search = None
        if self._assignment is None or self._assignment.k != k:
            self._assignment, self._assigned = self._assign_to(k), None
        now = self._assignment
        if self._assigned is None or not np.array_equal(self._assigned, centroids):
            self._assigned = None
            now.update(centroids)
            self._assigned = centroids.copy()
            if CHECK:
                self._check(centroids, now.labels)
        return now

    def _assign_to(self, n_clusters: int) -> Assignment | TreeAssignment:
        """Return what will assign the points to so many clusters."""
        facts = self.facts
        if facts.takes_tree and tree_pays(self.n, self.n_features, n_clusters):
            quanta = facts.quanta, facts.rule.quanta
            return TreeAssignment(self._data, n_clusters, quanta, self.threads, self.tree())
        self._trees.clear()  # one that was for the start takes as much memory as the points
        weights = self.repeats, self.weights
        return Assignment(self._data, weights, n_clusters, facts.anchors, self.threads)

    def tree(self, root: Cut | None = None) -> Tree:
        """Return the tree over the points, below a root if it is given."""
        given = root is not None
        tree = self._trees.get(given) or (None if given else self._trees.get(True))
        if tree is None or (root is not None and not root.is_same(tree.root)):
            self._trees.clear()
            tree = Tree(self.points, self.threads, self.facts.quanta, root)
            self._trees[given] = tree
        return tree

    def give_labels(self, centroids: Floats) -> Array:
        """Return the labels of an assignment, and keep nothing of it."""
        labels = self._labels(centroids)
        self._assignment = self._assigned = None
        return labels

    def _labels(self, centroids: Floats) -> Array:
        if len(centroids) == 1:  # of all points together, amid an assignment to more
            return np.zeros(self.n, fewest_types(1))
        return self._assign(centroids).labels

    def add_up(self, labels: Array | None, n_clusters: int) -> tuple[Integers, Integers]:
        """Return the sums of clusters that are given by labels; None: of all points as one."""
        if labels is None:
            labels = np.zeros(self.n, fewest_types(n_clusters))
        labels = labels.astype(fewest_types(n_clusters), copy=False)
        facts = self.facts

        def add(start: int, stop: int, values: Integers, weights: Integers) -> None:
            sums = dense_sums.Limbs(values, weights)
            dense_sums.add_points(
                self.points, self.repeats, self.weights, start, stop, labels, facts.anchors, sums
            )

        sums, totals = self._gather(
            add,
            (n_clusters, len(facts.quanta), self.n_features),
            (n_clusters, len(facts.rule.quanta)),
        )
        return sums, totals

    def find_farthest(self, centroids: Floats, n: int) -> tuple[Candidates, Integers]:
        """Return the `n` distinct points farthest from their own centroids.

        Also how many points with weight each cluster has.
        """
        labels, k = self._labels(centroids), len(centroids)
        weights = self.weights if self.weights is not None else self.repeats
        least = 0.0  # of `n` distinct points: what is nearer is not looked at any more

        def find(chunk: tuple[int, int]) -> tuple[Integers, Floats, Integers]:
            nonlocal least
            here = slice(*chunk)
            own, sq_dists = labels[here], np.empty(chunk[1] - chunk[0])
            dense_data.fill_own_sq_dists(
                self.points[here], 0, sq_dists.size, centroids, own, sq_dists
            )
            if weights is not None:
                held = weights[here] > 0
                sq_dists[~held] = -1.0  # out of the running
                own = own[held]
            some = np.flatnonzero(sq_dists >= least)
            far = self._choose_farthest(some + chunk[0], sq_dists[some], n)
            if far[0].size == n:
                least = max(least, far[1][-1])  # threads may lower it again, which is no less true
            return *far, np.bincount(own, minlength=k)

        some, far_off, n_members = zip(*self.threads.map(find, self.chunks), strict=True)
        far, sq_dists = self._choose_farthest(np.concatenate(some), np.concatenate(far_off), n)
        clusters = labels[far].astype(np.int64)
        candidates = Candidates(sq_dists, self.points[far], clusters, *self._add_copies(far))
        return candidates, np.sum(n_members, axis=0)

    def _choose_farthest(self, some: Integers, sq_dists: Floats, n: int) -> tuple[Integers, Floats]:
        """Return the `n` farthest distinct points of some, the farthest first.

        Of points equally far the lexicographically smallest.
        """
        distinct, sq_dists = self._first_distinct(some, sq_dists, some.size)
        if distinct.size > n:
            near = np.partition(sq_dists, -n)[-n]
            distinct, sq_dists = distinct[sq_dists >= near], sq_dists[sq_dists >= near]
        order = np.lexsort((*self.points[distinct].T[::-1], -sq_dists))[:n]
        return distinct[order], sq_dists[order]

    def _add_copies(self, rows: Integers) -> list[Integers]:
        """Return how many points with weight are equal to each of some, and their sums."""
        m, facts, number = rows.size, self.facts, self._copy_finder(rows)

        def add(
            start: int, stop: int, n_copies: Integers, values: Integers, totals: Integers
        ) -> None:
            numbers, here = number((start, stop)), slice(start, stop)
            n_copies += np.bincount(numbers, minlength=m + 2)
            dense_sums.add_points(
                self.points[here],
                None if self.repeats is None else self.repeats[here],
                None if self.weights is None else self.weights[here],
                0, numbers.size, numbers, facts.anchors, dense_sums.Limbs(values, totals),
            )  # fmt: skip

        limbs, weight_limbs = len(facts.quanta), len(facts.rule.quanta)
        shapes = (m + 2,), (m + 2, limbs, self.n_features), (m + 2, weight_limbs)
        return [sums[:m] for sums in self._gather(add, *shapes)]

    # ------------------------------------------------------------------------------ inertia

    def add_moments(self, quanta: tuple[float, ...]) -> Integers:
        """Return the squares of the scaled distances to the middle, in limbs."""
        anchors = as_anchors(quanta)
        middle, scale = self.facts.middle.astype(np.float64), float(self.facts.scale)
        (limbs,) = self._gather(
            lambda start, stop, squares: inertia.add_moments(
                self.points, start, stop, self.repeats, middle, scale, anchors, squares
            ),
            (len(quanta),),
        )
        return limbs

    def find_largest_sq_dist(self, centroids: Floats) -> float:
        """Return the largest squared distance of a point to its centroid, by weight."""
        data = centroids, self._labels(centroids), self.repeats, self.weights
        return float(
            max(
                self.threads.map(
                    lambda chunk: inertia.find_largest(self.points, *chunk, *data), self.chunks
                )
            )
        )

    def add_sq_dists(self, centroids: Floats, quanta: tuple[float, ...]) -> Integers:
        """Return the sum of the squared distances of the points to their centroids, in limbs."""
        data = centroids, self._labels(centroids), self.repeats, self.weights
        anchors = as_anchors(quanta)
        (limbs,) = self._gather(
            lambda start, stop, limbs: inertia.add_sq_dists(
                self.points, start, stop, *data, anchors, limbs
            ),
            (len(quanta),),
        )
        return limbs

    # ----------------------------------------------------------------------------- drawing

    def take(self, indices: Integers) -> Floats:
        """Return those of some points, by their numbers among all, that are in this part."""
        here = indices[(indices >= self.start) & (indices < self.start + self.n)] - self.start
        points: Floats = self.points[here].astype(np.float64)
        return points

    def count_tickets(self) -> Integers:
        """Return the weight of this part, in whole numbers: (1,)."""
        return self._tickets[-1:]

    def draw(self, ends: Integers, tickets: Integers) -> tuple[Integers, Floats]:
        """Return which of the tickets are this part's, and the points that they are for.

        A ticket is for the point at which the running total of the weights passes it; `ends` are
        the totals at the ends of all parts.
        """
        mine, left = self.find_mine(ends, tickets)
        at = np.searchsorted(self._tickets, left, side="right")
        return mine, self.points[at].astype(np.float64)

    def find_mine(self, ends: Integers, tickets: Integers) -> tuple[Integers, Integers]:
        """Return which of the tickets are this part's, and how far each is from its first."""
        mine = np.flatnonzero(np.searchsorted(ends, tickets, side="right") == self.number)
        return mine, tickets[mine] - (ends[self.number - 1] if self.number else 0)

    @cached_property
    def _tickets(self) -> Integers:
        """The cumulative weights in whole numbers."""
        if self.weights is not None:
            n = self.facts.n
            (unit,) = choose_quanta(self.facts.heaviest, n, 62 - log2(n))
            return np.cumsum(np.rint(self.weights / unit).astype(np.int64))
        assert self.repeats is not None
        return np.cumsum(self.repeats)

    def sample_distinct(self, n: int, seed: int) -> tuple[Floats, Array]:
        """Return the keys of up to `n` distinct points, the least of all, and the points.

        Each point has an exponential key over its weight: the same whatever part it is in.
        """
        few = 4 * n + 64
        keys, distinct = np.empty(0), np.empty(0, np.int64)
        while distinct.size < n:  # once, unless nearly all points are copies of a few
            find = self._key_finder(seed, few, distinct)
            new_keys, new = zip(*self.threads.map(find, self.chunks), strict=True)
            least_keys, least = _take_least(np.concatenate(new_keys), np.concatenate(new), few)
            if least.size == 0:
                break
            order = np.argsort(least_keys, kind="stable")
            some, keys = np.append(distinct, least[order]), np.append(keys, least_keys[order])
            distinct, keys = self._first_distinct(some, keys, n)
        return keys, self.points[distinct]

    def _key_finder(
        self, seed: int, few: int, known: Integers
    ) -> Callable[[tuple[int, int]], tuple[Floats, Integers]]:
        """Return what finds the least keys of a chunk, and their points, but for copies of some."""
        weights = self.weights if self.weights is not None else self.repeats
        copies = self._copy_finder(known)

        def find(chunk: tuple[int, int]) -> tuple[Floats, Integers]:
            rows = np.arange(*chunk)[copies(chunk) == known.size]
            if rows.size == 0:
                return np.empty(0), rows
            rng = np.random.Generator(np.random.PCG64(seed).advance(self.start + chunk[0]))
            keys: Floats = -np.log1p(-rng.random(chunk[1] - chunk[0]))
            keys = keys[rows - chunk[0]]
            if weights is not None:
                keys /= weights[rows]
            return _take_least(keys, rows, few)

        return find

    def find_distinct(self, limit: int) -> Array:
        """Return the first distinct points that have weight, at most `limit` of them."""
        return self.points[self._distinct((np.arange(*chunk) for chunk in self.chunks), limit)]

    def _distinct(self, orders: Iterable[Integers], limit: int) -> Integers:
        """Return the first points in the orders given that have weight and differ."""
        weights = self.weights if self.weights is not None else self.repeats
        table, out = _new_table(limit), np.empty(limit, np.int64)
        n = 0
        for order in orders:
            if weights is not None:
                order = order[weights[order] > 0]
            n = dense_data.find_distinct(*self._bits, order, table, out, n, None)
            if n == limit:
                break
        return out[:n]

    def _first_distinct(
        self, some: Integers, values: Floats, limit: int
    ) -> tuple[Integers, Floats]:
        """Return the first of some points that have weight and differ, and the value of each."""
        distinct, order = self._distinct([some], limit), np.argsort(some, kind="stable")
        return distinct, values[order[np.searchsorted(some, distinct, sorter=order)]]

    def _copy_finder(self, rows: Integers) -> Callable[[tuple[int, int]], Array]:
        """Return what tells of the points of a chunk which of some distinct ones they are equal to.

        Others are numbered one more than these, and those without weight two.
        """
        weights = self.weights if self.weights is not None else self.repeats
        table, m = _new_table(rows.size), rows.size
        dense_data.find_distinct(*self._bits, rows, table, np.empty(m, np.int64), 0, None)

        def find(chunk: tuple[int, int]) -> Array:
            numbers = np.zeros(chunk[1] - chunk[0], fewest_types(m + 2))
            if m:
                order = np.arange(*chunk)
                dense_data.find_distinct(*self._bits, order, table, rows, m, numbers)
            if weights is not None:
                numbers[weights[slice(*chunk)] <= 0] = m + 1
            return numbers

        return find

    @property
    def _bits(self) -> tuple[Array, Any]:
        """The points seen as unsigned integers, and the negative zero among these."""
        bits = self.points.view(f"u{self.points.itemsize}")
        return bits, bits.dtype.type(1 << (8 * bits.itemsize - 1))

    # ----------------------------------------------------------------------------- seeding

    def count_slots(self, frame: Array, n_slots: int) -> Integers:
        """Return how many points each slot of a root's grid holds."""
        counts: Integers = count_slots(self.points, frame, n_slots, self.threads)[1].sum(axis=0)
        return counts

    def search(self, kind: type[Any], token: int, verb: str, centers: Floats, *args: Any) -> Any:
        """Return what a search answers (`NearestPart` or `TreePart`) that has these centers.

        `token` is the number of the search; one that is over leaves its place to the next.
        """
        search = self._search
        if search is None or search.token != token or search.n_centers > len(centers):
            self._search = search = kind(self, token)
        return getattr(search, verb)(centers, *args)

    # ------------------------------------------------------------------------------ within

    def _gather(self, add: Callable[..., None], *shapes: tuple[int, ...]) -> list[Integers]:
        """Return what ``add(start, stop, *arrays)`` adds to int64 arrays over all chunks.

        There are as many sets of arrays as chunks at work at once: integers do not mind which.
        """
        idle: list[list[Integers]] = []

        def work(chunk: tuple[int, int]) -> None:
            try:
                arrays = idle.pop()
            except IndexError:
                arrays = [np.zeros(shape, np.int64) for shape in shapes]
            add(*chunk, *arrays)
            idle.append(arrays)

        self.threads.map(work, self.chunks)
        return [np.sum(arrays, axis=0) for arrays in zip(*idle, strict=True)]

    def _check(self, centroids: Floats, labels: Array) -> None:
        """Raise unless every label is that of brute force in the reference's arithmetic."""
        expected = np.empty_like(labels)
        by_feature = np.ascontiguousarray(centroids.T)
        self.threads.map(
            lambda chunk: kernels.label_exactly(self.points, *chunk, by_feature, expected),
            self.chunks,
        )
        wrong = np.flatnonzero(expected != labels)
        if wrong.size:
            i = wrong[0]
            raise AssertionError(
                f"{wrong.size} labels are wrong: point {i} has {labels[i]}, nearest is "
                f"{expected[i]}"
            )


def _copied(
    points: Array,
    weights: Array | None,
    n_threads: int,
    start: int,
    number: int,
    facts: Facts | None,
) -> DensePart:
    """Return the copy of a part."""
    part = DensePart(points, weights, Threads(n_threads), start, number)
    if facts is not None:
        part.settle(facts)
    return part


def _new_table(n: int) -> Integers:
    """Return a hash table for `n` points (`dense_data.find_distinct`)."""
    return np.full(max(1024, 2 << (n + 1).bit_length()), -1)  # with few collisions


def _take_least(keys: Floats, rows: Integers, n: int) -> tuple[Floats, Integers]:
    """Return the `n` least keys, in any order, and what they are of."""
    if keys.size <= n:
        return keys, rows
    least = np.argpartition(keys, n - 1)[:n]
    return keys[least], rows[least]


# ------------------------------------------------------------------------------------- merging


def merge_measured(answers: list[Measured]) -> Measured:
    """Return what is known of all points."""
    return Measured(
        bad_row=min((a.bad_row for a in answers if a.bad_row >= 0), default=-1),
        low=np.minimum.reduce([a.low for a in answers]),
        high=np.maximum.reduce([a.high for a in answers]),
        largest=max(a.largest for a in answers),
        least=min(a.least for a in answers),
        largest_product=max(a.largest_product for a in answers),
        n_copies=sum(a.n_copies for a in answers),
        most_repeats=max(a.most_repeats for a in answers),
        heaviest=max(a.heaviest for a in answers),
    )


class MergeDistinct(NamedTuple):
    """Merge the first distinct points."""

    limit: int

    def __call__(self, answers: list[Array]) -> Array:
        """Return the first of all."""
        rows = np.concatenate(answers)
        return rows[first_distinct(rows)[: self.limit]]


class MergeSample(NamedTuple):
    """Merge the distinct points of least keys."""

    n: int

    def __call__(self, answers: list[tuple[Floats, Array]]) -> tuple[Floats, Array]:
        """Return those of the least keys of all."""
        keys, rows = (np.concatenate(each) for each in zip(*answers, strict=True))
        order = np.argsort(keys, kind="stable")
        order = order[first_distinct(rows[order])[: self.n]]
        return keys[order], rows[order]


class MergeFarthest(NamedTuple):
    """Merge the distinct points farthest from their centroids."""

    n: int

    def __call__(self, answers: list[tuple[Candidates, Integers]]) -> tuple[Candidates, Integers]:
        """Return the farthest of all, and the sums of the clusters' points."""
        far, n_members = zip(*answers, strict=True)
        sq_dists, rows, clusters, *sums = (np.concatenate(each) for each in zip(*far, strict=True))
        order = np.lexsort((*rows.T[::-1], -sq_dists))
        is_new = np.ones(order.size, np.bool_)
        is_new[1:] = (rows[order][1:] != rows[order][:-1]).any(axis=1)
        starts = np.flatnonzero(is_new)
        first = order[starts][: self.n]
        totals = [np.add.reduceat(each[order], starts, axis=0)[: self.n] for each in sums]
        merged = Candidates(sq_dists[first], rows[first], clusters[first], *totals)
        return merged, np.sum(n_members, axis=0)


# ------------------------------------------------------------------------------------- the door


def as_floats(points: Array) -> Array:
    """Return the points as a read-only array in C order, of float32 or float64, exactly."""
    small = points.dtype.itemsize <= (4 if points.dtype.kind == "f" else 2)
    if points.dtype.kind in "iu" and points.dtype.itemsize == 8:
        largest = max(int(points.max()), -int(points.min()))
        if largest > 2**53:
            raise ValueError(
                f"data holds integers up to {largest}, more than float64 holds exactly (2**53); "
                "subtract or divide by a constant, or convert the data to float64"
            )
    floats = np.ascontiguousarray(points, dtype=np.float32 if small else np.float64).view()
    floats.flags.writeable = False
    return floats


def split_weights(weights: Array | None, rule: WeightRule) -> tuple[Integers | None, Floats | None]:
    """Return the weights as repeats or as factors."""
    if weights is None:
        return None, None
    if rule.repeats:
        return np.ascontiguousarray(weights, dtype=np.int64), None
    return None, np.ascontiguousarray(weights, dtype=np.float64)

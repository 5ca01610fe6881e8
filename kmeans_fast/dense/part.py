"""A part of a dense point set: points of any numbers, and what is done with them in place.

What a method answers follows from the points, from its arguments and from `Facts` alone. What a
part keeps between calls (bounds, a tree, the distances of a search) only makes the next answer
cheaper: a part that is lost and made anew on another machine gives the same answers.

The sums follow the rules of `kmeans_fast.reference`: values in whole numbers of quanta, added in
int64 limbs (`kernels.dense_sums`), so that parts, chunks and threads may come in any order.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..checks import CHECK
from ..exact.quanta import Integers, as_anchors, choose_quanta, log2
from ..kernels import dense as kernels
from ..kernels import dense_sums, inertia
from ..threads import Threads, cached_property
from .assignment import Assignment, fewest_types
from .facts import Facts
from .questions import (
    Alone,
    Answer,
    Array,
    Asked,
    Floats,
    Question,
    add,
    concatenate,
    concatenate_both,
    merged_by,
    take_largest,
)
from .raw import RawPart, frozen
from .tree import Cut, Tree, count_slots
from .tree import pays as tree_pays
from .tree_assignment import TreeAssignment

# Points in a unit of work: some 50 us at the least, ten times what it costs to hand it out.
CHUNK = 16384


class ClusterSums(NamedTuple):
    """What the members of clusters add up to, in limbs."""

    values: Integers  # (k, limbs, d)
    totals: Integers  # (k, limbs): of their weights


def add_sums(answers: list[ClusterSums]) -> ClusterSums:
    """Add up sums of the same clusters."""
    values, totals = zip(*answers, strict=True)
    return ClusterSums(add(list(values)), add(list(totals)))


class Gathered:
    """What ``add(start, stop, *arrays)`` adds to int64 arrays of some shapes, chunk by chunk.

    There are as many sets of arrays as chunks at work at once: integers do not mind which.
    """

    def __init__(self, add: Callable[..., None], *shapes: tuple[int, ...]) -> None:
        self._add, self._shapes = add, shapes
        self._idle: list[list[Integers]] = []

    def add(self, start: int, stop: int) -> None:
        """Add a chunk."""
        try:
            arrays = self._idle.pop()
        except IndexError:
            arrays = [np.zeros(shape, np.int64) for shape in self._shapes]
        self._add(start, stop, *arrays)
        self._idle.append(arrays)

    def total(self) -> list[Integers]:
        """Return the sums."""
        return [np.sum(arrays, axis=0) for arrays in zip(*self._idle, strict=True)]


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

    def give_labels(self, centroids: Floats) -> Any:
        """Return the labels (n,) of an assignment, which are the caller's now."""


class DensePart(Alone):
    """Some of the points of a dense point set, and what is known of all.

    Attributes
    ----------
    points : ndarray of float32, float64, int16 or uint16, shape (n, d)
        In C order, read-only.
    repeats : ndarray of int64, shape (n,), or None
    factors : ndarray of float64, shape (n,), or None
    weights : ndarray or None
        Either of them.
    search : object
        What a search keeps here from one question to the next (`searching.Resumed`).
    """

    def __init__(self, raw: RawPart, facts: Facts) -> None:
        self.raw = raw
        self.facts = facts
        # Of values too large for differences in float32 there is a copy in float64.
        dtype = raw.points.dtype if facts.are_whole else facts.middle.dtype
        self.points: Array = frozen(raw.points.astype(dtype, copy=False))
        self.repeats: Integers | None
        self.factors: Floats | None
        self.repeats, self.factors = facts.rule.split(raw.weights)
        self.weights: Integers | Floats | None = (
            self.repeats if self.factors is None else self.factors
        )
        self.threads: Threads = raw.threads
        self.start: int = raw.start
        self.number: int = raw.number
        self.n: int = raw.shape[0]
        self.n_features: int = raw.shape[1]
        self.is_whole: bool = self.n == facts.n
        self.chunks: list[tuple[int, int]] = [
            (at, min(at + CHUNK, self.n)) for at in range(0, self.n, CHUNK)
        ]
        self.lock: Lock = Lock()  # of a worker's threads: what is kept is for one call at a time
        self.search: object = None
        self.framed: kernels.Framed = kernels.Framed(self.points, facts.middle, facts.scale)
        self._assignment: Assignment | TreeAssignment | None = None
        self._assigned: bytes | None = None  # the centroids that the points are assigned to
        self._tree: Tree | None = None
        self._squares: Integers | None = None  # the moments

    def __sizeof__(self) -> int:
        """Return the memory of the data, by which Dask decides where to keep what."""
        return self.raw.__sizeof__()

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a copy on another machine is made from: not what can be made again."""
        return DensePart, (self.raw, self.facts)

    # -------------------------------------------------------------------- Lloyd's iteration

    @merged_by(add_sums)
    def step(self, centroids: Floats) -> ClusterSums:
        """Label the points with their nearest centroids; return the clusters' sums."""
        now = self._assign(centroids)
        return ClusterSums(now.values, now.totals)

    def _assign(self, centroids: Floats) -> Assignment | TreeAssignment:
        k = len(centroids)
        self.search = None
        if self._assignment is None or self._assignment.k != k:
            self._assignment, self._assigned = self._assign_to(k), None
        now = self._assignment
        wanted = centroids.tobytes()
        if self._assigned != wanted:
            self._assigned = None
            self._update(now, centroids)
            self._assigned = wanted
            if CHECK:
                self._check(centroids, now.labels)
        return now

    def _update(self, now: Assignment | TreeAssignment, centroids: Floats) -> None:
        """Assign the points; and where it looks at all of them, find their moments with it."""
        known = self._squares is not None or self.factors is not None
        if known or isinstance(now, TreeAssignment) or not now.is_new:
            now.update(centroids)
        else:
            squares = self._gather_squares()
            now.update(centroids, squares.add)
            (self._squares,) = squares.total()

    def _assign_to(self, n_clusters: int) -> Assignment | TreeAssignment:
        """Return what will assign the points to so many clusters."""
        facts = self.facts
        if facts.takes_tree and tree_pays(self.n, self.n_features, n_clusters):
            return TreeAssignment(self.tree(), n_clusters, self.threads)
        self._tree = None  # one that was for the start takes as much memory as the points
        weights = self.repeats, self.factors
        return Assignment(self.framed, weights, n_clusters, facts.anchors, self.threads)

    def tree(self, root: Cut | None = None) -> Tree:
        """Return the tree over the points, below a root if it is given."""
        if self._tree is None or (root is not None and not root.is_same(self._tree.root)):
            self._tree = None  # before memory for the next is needed
            self._tree = Tree(self.points, self.threads, self.facts.quanta, root)
        return self._tree

    @merged_by(concatenate)
    def give_labels(self, centroids: Floats) -> Array:
        """Return the labels of an assignment, and keep nothing of it."""
        labels = self.labels(centroids)
        self._assignment = self._assigned = None
        return labels

    def labels(self, centroids: Floats) -> Array:
        """Return the labels of an assignment, which are the part's own."""
        if len(centroids) == 1:  # of all points together, amid an assignment to more
            return np.zeros(self.n, fewest_types(1))
        return self._assign(centroids).labels

    @merged_by(add_sums)
    def add_up(self, labels: Array | None, n_clusters: int) -> ClusterSums:
        """Return the sums of clusters that are given by labels; None: of all points as one."""
        if labels is None:
            labels = np.zeros(self.n, fewest_types(n_clusters))
        labels = labels.astype(fewest_types(n_clusters), copy=False)
        facts = self.facts

        def add_chunk(start: int, stop: int, *sums: Integers) -> None:
            dense_sums.add_points(
                self.points, self.repeats, self.factors, start, stop, labels, facts.anchors,
                dense_sums.Limbs(*sums),
            )  # fmt: skip

        return ClusterSums(*self.gather(add_chunk, *self.shapes_of_sums(n_clusters)))

    def shapes_of_sums(self, k: int) -> tuple[tuple[int, int, int], tuple[int, int]]:
        """Return the shapes of the sums and totals of so many clusters."""
        facts = self.facts
        return (k, len(facts.quanta), self.n_features), (k, len(facts.rule.quanta))

    # ------------------------------------------------------------------------------ inertia

    @merged_by(add)
    def add_moments(self) -> Integers:
        """Return the squares of the scaled distances to the middle, in limbs.

        They are known from the first assignment, which looks at every point; with a tree it does
        not.
        """
        if self._squares is None:
            squares = self._gather_squares()
            self.threads.map(lambda chunk: squares.add(*chunk), self.chunks)
            (self._squares,) = squares.total()
        return self._squares

    def _gather_squares(self) -> Gathered:
        facts, flat = self.facts, self.points.reshape(-1)
        anchors = as_anchors(facts.square_quanta)
        frame = facts.middle.astype(np.float64), float(facts.scale)

        def add_chunk(start: int, stop: int, squares: Integers) -> None:
            if self.repeats is None:
                inertia.add_moments(flat, start, stop, *frame, int(facts.exact_offsets), squares)
            else:
                inertia.add_repeated_moments(
                    flat, start, stop, self.repeats, *frame, anchors, squares
                )

        return Gathered(add_chunk, (len(facts.square_quanta),))

    @merged_by(take_largest)
    def find_largest_sq_dist(self, centroids: Floats) -> float:
        """Return the largest squared distance of a point to its centroid, by weight."""
        data = centroids, self.labels(centroids), self.repeats, self.factors
        return float(
            max(
                self.threads.map(
                    lambda chunk: inertia.find_largest(self.points, *chunk, *data), self.chunks
                )
            )
        )

    @merged_by(add)
    def add_sq_dists(self, centroids: Floats, quanta: tuple[float, ...]) -> Integers:
        """Return the sum of the squared distances of the points to their centroids, in limbs."""
        data = centroids, self.labels(centroids), self.repeats, self.factors
        anchors = as_anchors(quanta)
        (limbs,) = self.gather(
            lambda start, stop, limbs: inertia.add_sq_dists(
                self.points, start, stop, *data, anchors, limbs
            ),
            (len(quanta),),
        )
        return limbs

    # ------------------------------------------------------------------- drawing and seeding

    @merged_by(concatenate)
    def take(self, indices: Integers) -> Floats:
        """Return those of some points, by their numbers among all, that are in this part."""
        here = indices[(indices >= self.start) & (indices < self.start + self.n)] - self.start
        points: Floats = self.points[here].astype(np.float64)
        return points

    @merged_by(concatenate)
    def every(self, step: int) -> Array:
        """Return every so many-th point of all."""
        return self.points[-self.start % step :: step]

    @merged_by(concatenate)
    def count_tickets(self) -> Integers:
        """Return the weight of this part, in whole numbers: (1,)."""
        return self._tickets[-1:]

    @merged_by(concatenate_both)
    def draw(self, ends: Integers, tickets: Integers) -> tuple[Integers, Floats]:
        """Return which of the tickets are this part's, and the points that they are for.

        A ticket is for the point at which the running total of the weights passes it; `ends` are
        the totals at the ends of all parts.
        """
        mine, left = find_mine(self.number, ends, tickets)
        at = np.searchsorted(self._tickets, left, side="right")
        return mine, self.points[at].astype(np.float64)

    @cached_property
    def _tickets(self) -> Integers:
        """The cumulative weights in whole numbers."""
        if self.factors is not None:
            n = self.facts.n
            (unit,) = choose_quanta(self.facts.found.heaviest, n, 62 - log2(n))
            return np.cumsum(np.rint(self.factors / unit).astype(np.int64))
        assert self.repeats is not None
        return np.cumsum(self.repeats)

    @merged_by(add)
    def count_slots(self, frame: Array, n_slots: int) -> Integers:
        """Return how many points each slot of a root's grid holds."""
        return add(list(count_slots(self.points, frame, n_slots, self.threads)[1]))

    # ------------------------------------------------------------------------------ within

    def gather(self, add: Callable[..., None], *shapes: tuple[int, ...]) -> list[Integers]:
        """Return what ``add(start, stop, *arrays)`` adds to int64 arrays over all chunks."""
        gathered = Gathered(add, *shapes)
        self.threads.map(lambda chunk: gathered.add(*chunk), self.chunks)
        return gathered.total()

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


def find_mine(number: int, ends: Integers, tickets: Integers) -> tuple[Integers, Integers]:
    """Return which of the tickets are a part's, and how far each is from its first."""
    if len(ends) == 1:  # all of them
        return np.arange(len(tickets)), tickets
    mine = np.flatnonzero(np.searchsorted(ends, tickets, side="right") == number)
    return mine, tickets[mine] - (ends[number - 1] if number else 0)

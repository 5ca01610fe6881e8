"""Points of any numbers, as they come: one row, one point.

The sums follow the rules of `kmeans_fast.reference`: values in whole numbers of quanta, added in
int64 limbs (`kernels.dense`), so that chunks and threads may come in any order.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..kernels import dense as kernels
from ..kernels import dense_data, inertia
from ..threads import Threads
from . import Step, label_dtype
from .assignment import Assignment, fewest_types
from .dense_search import NearestSearch
from .quanta import NARROW, Integers, as_anchors, bits_below, choose_quanta, join, log2
from .quotients import divide_limbs
from .tree import Tree, TreeAssignment
from .tree import pays as tree_pays
from .tree import seeds as tree_seeds
from .tree_search import TreeSearch

# Points in a unit of work: some 50 us at the least, ten times what it costs to hand it out.
CHUNK = 16384
# Numbers in a unit of work that NumPy does, of several calls that wait for the GIL.
MEASURED = 2**20
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
# A debug switch: check every label of every assignment by brute force.
CHECK = os.environ.get("KMEANS_FAST_CHECK", "0") not in ("", "0")

Floats = NDArray[np.float64]


class Labels(Protocol):
    """What has labels: an assignment (`Assignment`, `TreeAssignment`), or `GivenLabels`."""

    @property
    def labels(self) -> NDArray[Any]:
        """The cluster of each point (n,)."""


class GivenLabels(NamedTuple):
    """Labels from elsewhere."""

    labels: NDArray[Any]


class Sums(NamedTuple):
    """What a `Step` of dense points carries: the labels, and the clusters' sums in limbs."""

    source: Labels
    values: Integers  # (k, limbs, d)
    weights: Integers  # (k, limbs)

    @property
    def labels(self) -> NDArray[Any]:
        """The cluster of each point (n,)."""
        return self.source.labels


class Moments(NamedTuple):
    """What is known of all points together, for the inertia (`kernels.inertia`)."""

    squares: list[float]  # parts that add up to the squared distances to the middle, scaled
    lost: float  # the magnitude of all that quanta of the values leave out, scaled
    n_squares: int  # how many squares were added


class DensePoints:
    """A point set for `lloyd`: floats, and integers that are no colours.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        Real numbers, in any layout, with n and d at least 1. float32 and float64 in C order are
        used where they are; others are copied: 16 bits or fewer to float32, the rest to float64.
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
        self._threads = threads
        self._last: tuple[Floats, Step] | None = None
        self._points = _as_floats(points)
        self._n, self.n_features = self._points.shape
        self._chunks = [(start, min(start + CHUNK, self._n)) for start in range(0, self._n, CHUNK)]
        self._repeats, self._weights, self._weight_quanta = _split_weights(weights, points.dtype)
        self._n_copies = self._n if self._repeats is None else int(self._repeats.sum())
        self._heaviest = 1.0 if self._weights is None else float(self._weights.max())
        self._low, self._high, largest_product = self._measure()
        self._quanta = self._value_quanta(points.dtype, largest_product)
        self._anchors = kernels.Anchors(as_anchors(self._quanta), as_anchors(self._weight_quanta))
        self._data = kernels.Points(self._points, *self._frame())
        self._assignment: Assignment | TreeAssignment | None = None

    @cached_property
    def total_weight(self) -> float | int:
        """The weight of all points."""
        return self._n_copies if self._weights is None else math.fsum(self._weights.tolist())

    @cached_property
    def variance(self) -> float:
        """The mean over the features of their variance."""
        everywhere = np.zeros(self._n, np.uint16)
        if self._last is None:
            all_of_them = self.add_up(everywhere, 1)
        else:
            values, weights = (x.sum(axis=0, keepdims=True) for x in self._last[1].sums[1:])
            sums = Sums(GivenLabels(everywhere), values, weights)
            all_of_them = Step(self._counts(weights), sums, math.nan)
        mean = self.means(all_of_them, np.full((1, self.n_features), np.nan))
        inertia_of_all = self._inertia(mean, all_of_them.sums)
        return float(inertia_of_all / float(self.total_weight) / self.n_features)

    # ------------------------------------------------------------------- Lloyd's iteration

    def step(self, centroids: Floats) -> Step:
        """Label the points with their nearest centroids, and add up the clusters.

        The labels and sums of a step hold until the next one.
        """
        centroids = np.ascontiguousarray(centroids, dtype=np.float64)
        if self._last is not None and np.array_equal(self._last[0], centroids):
            return self._last[1]
        self._check_reach(centroids)
        k = len(centroids)
        if self._assignment is None or self._assignment.k != k:
            self._assignment = self._assign_to(k)
        self._last, now = None, self._assignment
        now.update(centroids)
        if CHECK:
            self._check(centroids, now.labels)
        sums = Sums(now, now.values, now.weights)
        step = Step(self._counts(now.weights), sums, self._inertia(centroids, sums))
        self._last = (centroids.copy(), step)
        return step

    def _assign_to(self, n_clusters: int) -> Assignment | TreeAssignment:
        """Return what will assign the points to so many clusters."""
        quanta = self._quanta, self._weight_quanta
        unweighted = self._repeats is None and self._weights is None
        if unweighted and tree_pays(self._n, self.n_features, n_clusters):
            return TreeAssignment(self._data, n_clusters, quanta, self._threads, self._tree)
        weights = self._repeats, self._weights
        return Assignment(self._data, weights, n_clusters, quanta, self._threads)

    @cached_property
    def _tree(self) -> Tree:
        return Tree(self._points, self._threads, self._quanta)

    def add_up(self, labels: NDArray[Any], n_clusters: int) -> Step:
        """Add up clusters that are given by labels; the inertia is not known (NaN)."""
        labels = labels.astype(fewest_types(n_clusters), copy=False)

        def add(start: int, stop: int, values: Integers, weights: Integers) -> None:
            sums = kernels.Sums(values, weights)
            kernels.add_points(
                self._points, self._repeats, self._weights, start, stop, labels, self._anchors, sums
            )

        sums, totals = self._gather(
            add,
            (n_clusters, len(self._quanta), self.n_features),
            (n_clusters, len(self._weight_quanta)),
        )
        return Step(self._counts(totals), Sums(GivenLabels(labels), sums, totals), math.nan)

    def relocate(self, step: Step, centroids: Floats) -> Step:
        """Give each empty cluster the point farthest from its own centroid, with its copies."""
        centroids = np.ascontiguousarray(centroids, dtype=np.float64)
        values, totals = (sums.copy() for sums in step.sums[1:])
        labels = step.sums.labels.astype(fewest_types(len(centroids)))
        sq_dists = np.empty(self._n)
        self._threads.map(
            lambda chunk: dense_data.fill_own_sq_dists(
                self._points, *chunk, centroids, labels, sq_dists
            ),
            self._chunks,
        )
        candidates = self._have_weight()
        sq_dists[~candidates] = -1.0  # out of the running
        n_members = np.bincount(labels[candidates], minlength=len(centroids))
        moved = [np.empty(0, np.intp)]
        for empty in np.flatnonzero(step.counts == 0):
            while (farthest := sq_dists.max()) >= 0:
                copies = np.flatnonzero(sq_dists == farthest)
                for j in range(self.n_features if copies.size > 1 else 0):
                    column = self._points[copies, j]  # the lexicographically smallest
                    copies = copies[column == column.min()]
                sq_dists[copies] = -1.0
                cluster = labels[copies[0]]
                if n_members[cluster] > len(copies):  # it keeps another point
                    n_members[cluster] -= len(copies)
                    labels[copies] = empty
                    moved.append(copies)
                    break
        points = np.concatenate(moved)
        kernels.move_points(
            self._points, self._repeats, self._weights, points,
            step.sums.labels[points].astype(np.int32), labels, self._anchors,
            kernels.Sums(values, totals),
        )  # fmt: skip
        return Step(self._counts(totals), Sums(GivenLabels(labels), values, totals), step.inertia)

    def means(self, step: Step, previous: Floats) -> Floats:
        """Return the means of the clusters; one without weight keeps its previous centroid."""
        units = self._quanta
        if self._repeats is not None:  # in whole numbers of the weights' quantum
            units = tuple(unit * self._weight_quanta[-1] for unit in units)
        return divide_limbs(
            step.sums.values, units, step.sums.weights, self._weight_quanta, previous,
            self._threads,
        )  # fmt: skip

    def label(self, centroids: Floats) -> tuple[NDArray[Any], NDArray[Any], float]:
        """Return the labels, the counts and the inertia of an assignment."""
        step = self.step(centroids)
        labels = step.sums.labels.astype(label_dtype(len(centroids)), copy=False)
        self._assignment = self._last = None  # the labels are the caller's now
        return labels, step.counts, step.inertia

    # ----------------------------------------------------------------------------- seeding

    def draw(self, rng: np.random.Generator) -> Floats:
        """Return one point, drawn with probability proportional to its weight."""
        if self._tickets is None:
            at = int(rng.integers(self._n))
        else:
            ticket = rng.integers(self._tickets[-1])
            at = int(np.searchsorted(self._tickets, ticket, side="right"))
        point: Floats = self._points[at].astype(np.float64)
        return point

    def sample_distinct(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n distinct points (n, d), drawn by weight without replacement.

        Each point has an exponential key over its weight, and the least keys win. Fewer distinct
        points than `n` are repeated to fill the rows.
        """
        weights = self._weights if self._weights is not None else self._repeats
        indices = np.arange(self._n) if weights is None else np.flatnonzero(weights)
        keys = rng.exponential(size=indices.size)
        if weights is not None:
            keys /= weights[indices]
        few = min(4 * n + 64, keys.size)
        first = np.argpartition(keys, few - 1)[:few]
        distinct = self._distinct([indices[first[np.argsort(keys[first])]]], n)
        if len(distinct) < n and few < keys.size:
            distinct = self._distinct([indices[np.argsort(keys)]], n)
        return self.take(np.resize(distinct, n))

    def n_distinct(self, limit: int) -> int:
        """Return how many distinct points have weight, or `limit` if that is less."""
        return len(self._distinct((np.arange(*chunk) for chunk in self._chunks), limit))

    def nearest_search(self) -> NearestSearch | TreeSearch:
        """Return a search for the points that lie far from the centers chosen so far."""
        unweighted = self._repeats is None and self._weights is None
        largest = max(-float(self._low.min()), float(self._high.max()))
        if unweighted and tree_seeds(self._n, self.n_features) and largest < MOST_SEEDED:
            return TreeSearch(self)
        return NearestSearch(self)

    def take(self, indices: Integers) -> Floats:
        """Return some of the points in float64."""
        points: Floats = self._points[indices].astype(np.float64)
        return points

    # ------------------------------------------------------------------------------ within

    def _measure(self) -> tuple[Floats, Floats, float]:
        """Check the data; return the box of the points that have weight, and max(weight * |x|)."""

        def measure(chunk: tuple[int, int]) -> tuple[Floats, Floats, tuple[int, float, float]]:
            if self._repeats is None and self._weights is None:
                low, high = _find_box(self._points[slice(*chunk)])
                largest = float(max(-low.min(), high.max()))
                if math.isfinite(largest):
                    return low, high, (-1, largest, 0.0)
            low, high = np.full((2, self.n_features), [[np.inf], [-np.inf]])
            found = dense_data.measure_points(
                self._points, *chunk, self._repeats, self._weights, low, high
            )
            return low, high, found

        size = max(CHUNK, MEASURED // self.n_features)
        parts = [(start, min(start + size, self._n)) for start in range(0, self._n, size)]
        lows, highs, found = zip(*self._threads.map(measure, parts), strict=True)
        rows, largest, products = zip(*found, strict=True)
        for row in rows:
            if row >= 0:
                raise ValueError(
                    f"data holds NaN or infinity at row {row}; drop such rows or fill them in"
                )
        reach = 2.0 * max(largest)
        most = self.n_features * reach * reach * self._n_copies  # of any inertia
        if not math.isfinite(most):
            raise ValueError(
                f"data holds values up to {max(largest):.3g}, whose squared distances overflow; "
                "divide the data by a constant"
            )
        if not math.isfinite(ANCHORED * self._heaviest * max(most, self._n)):
            raise ValueError(
                f"sample_weight holds values up to {self._heaviest:.3g}, with which the inertia "
                "overflows; divide the weights by a constant"
            )
        return np.min(lows, axis=0), np.max(highs, axis=0), max(products)

    def _frame(self) -> tuple[NDArray[Any], Any]:
        """Return a point amid the data, and a power of two that scales the rest to 1 or less.

        What is left is small where the data lie far from the origin, and outliers hardly move a
        median: the float32 pass then tells most centroids apart. Any other would do as well.
        """
        dtype = self._points.dtype
        some = self._points[:: -(-self._n // N_SAMPLED)]
        middle = np.median(some, axis=0).astype(dtype)
        reach = float(np.maximum(self._high - middle, middle - self._low).max())
        limit = 120 if dtype == np.float32 else 1000
        exponent = max(-limit, min(limit, -math.frexp(reach)[1]))
        return middle, dtype.type(math.ldexp(1.0, exponent))

    def _value_quanta(self, dtype: np.dtype[Any], largest_product: float) -> tuple[float, ...]:
        """Return the quanta of the values that are added, as `reference.in_quanta` says."""
        n = self._n_copies
        if self._repeats is None and self._weights is not None:
            return choose_quanta(largest_product, n, bits_below(n), NARROW)
        largest = max(-float(self._low.min()), float(self._high.max()))
        if dtype.kind in "biu":
            return choose_quanta(largest, n, math.frexp(largest)[1], NARROW)  # down to 1: exact
        below = bits_below(n, single=self._points.dtype == np.float32)
        return choose_quanta(largest, n, below, NARROW)

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

        self._threads.map(work, self._chunks)
        return [np.sum(arrays, axis=0) for arrays in zip(*idle, strict=True)]

    def _inertia(self, centroids: Floats, sums: Sums) -> float:
        """Return the inertia of an assignment.

        From moments, unless weights are fractions, whose products with the values are rounded,
        or points lie so much nearer to their centroids than to each other that nothing is left.
        """
        if self._weights is None:
            moments, frame = self._moments, (self._data.middle, float(self._data.scale))
            high, low = np.zeros((2, self.n_features))
            middle = frame[0].astype(np.float64)
            inertia.add_cross_terms(
                centroids, middle, frame[1], sums.weights[:, 0], sums.values, self._quanta, high,
                low,
            )  # fmt: skip
            total = math.fsum((*moments.squares, *high.tolist(), *low.tolist()))
            reach = float(np.abs(centroids - middle).max()) * frame[1]
            error = 2.0 * reach * moments.lost + moments.n_squares * (
                SQUARE_QUANTUM + 2.0**-95 * (1.0 + reach) ** 2
            )
            if total > math.ldexp(error, SURE):
                return total / frame[1] / frame[1]
        return self._inertia_of_points(centroids, sums.labels)

    @cached_property
    def _moments(self) -> Moments:
        """The moments of all points, about the middle."""
        n_squares = self._n_copies * self.n_features
        square_quanta = choose_quanta(1.0, n_squares, SQUARE_BITS, NARROW)
        anchors = as_anchors(self._quanta), as_anchors(square_quanta)
        middle, scale = self._data.middle.astype(np.float64), float(self._data.scale)
        lost: dict[int, float] = {}

        def add(start: int, stop: int, squares: Integers) -> None:
            lost[start] = inertia.add_moments(
                self._points, start, stop, self._repeats, middle, scale, *anchors, squares
            )

        (limbs,) = self._gather(add, (len(square_quanta),))
        squares = [
            part * unit
            for whole, unit in zip(limbs.tolist(), square_quanta, strict=True)
            for part in (float(whole >> 32 << 32), float(whole & 0xFFFFFFFF))
        ]
        return Moments(squares, math.fsum(lost.values()) * scale, n_squares)

    def _inertia_of_points(self, centroids: Floats, labels: NDArray[Any]) -> float:
        """Return the inertia from the squared distance of each point to its centroid."""
        n, data = self._n_sq_dists, (centroids, labels, self._repeats, self._weights)
        largest = self._threads.map(
            lambda chunk: inertia.find_largest(self._points, *chunk, *data), self._chunks
        )
        quanta = choose_quanta(max(largest), n, bits_below(n), NARROW)
        anchors = as_anchors(quanta)
        (limbs,) = self._gather(
            lambda start, stop, limbs: inertia.add_sq_dists(
                self._points, start, stop, *data, anchors, limbs
            ),
            (len(quanta),),
        )
        return float(join(limbs, quanta) * Fraction(quanta[-1]))

    def _check(self, centroids: Floats, labels: NDArray[Any]) -> None:
        """Raise unless every label is that of brute force in the reference's arithmetic."""
        expected = np.empty_like(labels)
        by_feature = np.ascontiguousarray(centroids.T)
        self._threads.map(
            lambda chunk: kernels.label_exactly(self._points, *chunk, by_feature, expected),
            self._chunks,
        )
        wrong = np.flatnonzero(expected != labels)
        if wrong.size:
            i = wrong[0]
            raise AssertionError(
                f"{wrong.size} labels are wrong: point {i} has {labels[i]}, nearest is "
                f"{expected[i]}"
            )

    def _check_reach(self, centroids: Floats) -> None:
        """Raise where squared distances to the centroids overflow.

        No point is farther from its centroid than the farthest corner of the data's box is from
        any one of them.
        """
        with np.errstate(over="ignore"):
            corners = np.maximum(np.abs(centroids - self._low), np.abs(centroids - self._high))
            nearest = float(np.square(corners).sum(axis=1).min())
        if not math.isfinite(ANCHORED * nearest * self._heaviest * self._n_sq_dists):
            raise ValueError(
                f"centroids hold values up to {np.abs(centroids).max():.3g}, whose squared "
                "distances to the data overflow; divide both by a constant"
            )

    @property
    def _n_sq_dists(self) -> int:
        """How many squared distances an inertia adds up."""
        return self._n_copies if self._weights is None else self._n

    def _counts(self, totals: Integers) -> NDArray[Any]:
        if self._weights is None:
            return totals[:, 0]
        unit = Fraction(self._weight_quanta[-1])
        return np.array([float(n * unit) for n in join(totals, self._weight_quanta)])

    def _have_weight(self) -> NDArray[np.bool_]:
        weights = self._repeats if self._repeats is not None else self._weights
        return np.ones(self._n, np.bool_) if weights is None else weights > 0

    @cached_property
    def _tickets(self) -> Integers | None:
        """The cumulative weights in whole numbers."""
        if self._weights is not None:
            (unit,) = choose_quanta(self._heaviest, self._n, 62 - log2(self._n))
            return np.cumsum(np.rint(self._weights / unit).astype(np.int64))
        return None if self._repeats is None else np.cumsum(self._repeats)

    def _distinct(self, orders: Iterable[Integers], limit: int) -> Integers:
        """Return the first points in the orders given that have weight and differ."""
        bits = self._points.view(f"u{self._points.itemsize}")
        zero = bits.dtype.type(1 << (8 * bits.itemsize - 1))
        table = np.full(2 << (limit + 1).bit_length(), -1)
        out = np.empty(limit, np.int64)
        weights = self._weights if self._weights is not None else self._repeats
        have_weight = None if weights is None else weights > 0
        n = 0
        for order in orders:
            if have_weight is not None:
                order = order[have_weight[order]]
            n = dense_data.find_distinct(bits, zero, order, table, out, n)
            if n == limit:
                break
        return out[:n]


def _find_box(points: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return the least and the greatest value of each feature; NaN where one is NaN.

    Several points side by side, as NumPy is slow on short rows.
    """
    n, d = points.shape
    side_by_side = max(1, 1024 // d)
    whole = n // side_by_side * side_by_side
    ends = []
    with np.errstate(invalid="ignore"):
        for find in (np.min, np.max):
            parts = [points[whole:]]
            if whole > 0:
                rows = points[:whole].reshape(-1, side_by_side * d)
                parts.append(find(rows, axis=0).reshape(side_by_side, d))
            ends.append(find(np.concatenate(parts), axis=0).astype(np.float64))
    return ends[0], ends[1]


def _as_floats(points: NDArray[Any]) -> NDArray[Any]:
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


def _split_weights(
    weights: NDArray[Any] | None, dtype: np.dtype[Any]
) -> tuple[Integers | None, Floats | None, tuple[float, ...]]:
    """Return the weights as repeats, as factors, and the quanta of their totals.

    Whole weights are repeats. Fractions are factors, rounded to the quanta. The fractional
    weights of colours are both: repeats, in quanta, for the sums; factors for the inertia.
    """
    if weights is None:
        return None, None, (1.0,)
    with np.errstate(over="ignore"):
        total = weights.sum(dtype=np.float64)
    if total < 2**53 and np.array_equal(weights, np.rint(weights)):
        return np.ascontiguousarray(weights, dtype=np.int64), None, (1.0,)
    n, largest = len(weights), float(weights.max())
    color = dtype.kind in "bu" and dtype.itemsize <= 2
    below = 62 - 8 * dtype.itemsize - log2(n) if color else bits_below(n)
    quanta = choose_quanta(largest, n, below, NARROW)
    factors = np.rint(np.asarray(weights, dtype=np.float64) / quanta[-1]) * quanta[-1]
    if not factors.any():
        raise ValueError(
            f"sample_weight holds values up to {largest:.3g}, too small to add up; "
            "multiply the weights by a constant"
        )
    return (factors / quanta[-1]).astype(np.int64) if color else None, factors, quanta

"""The colours of integer pixels, counted: a point set that costs what its colours cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import CHECK, SUM_BITS
from ..exact.means import divide_limbs
from ..exact.quanta import join
from ..exact.weights import UNWEIGHTED, Units, from_limbs
from ..kernels import cells, leaves, seeds
from ..point_set import Step, label_dtype
from ..threads import Threads
from .assignment import Assignment, CellTree, cut_runs
from .keys import ColorFormat, split_keys
from .scatter import Scatter
from .search import ColorSearch, draw_color
from .tree import build_tree, parts_of

Array = NDArray[Any]

CHUNK = 1 << 18  # colours whose distances are worked out at once
PAD = max(leaves.LANES, seeds.BLOCK)  # columns after the colours, copies of the last one
# A weight of so many bits, times squares of values, fits a float64.
MOST_BITS = 900
# With fewer colours an assignment is over before a second thread has started (30 us). With 70,000 /
# 98,000 / 146,000 seeding is 0.95 / 1.0 / 1.1 times as fast on two threads as on one.
WORTH_THREADS = 100_000
# Runs go side by side on lanes, each of which has so much of colours times sqrt(K); with more
# colours a run is left to fill the cores by itself. On two cores, for ten starts with K = 4 / ten
# with 16 / four with 64 / a sweep of 1 to 20, as medians in turn against one by one: 8,500 colours
# 0.6 / 0.7 / 1.1 / 0.7 times as fast, for the GIL; 22,000 0.7 / 0.9 / 1.0 / 0.8; 51,000 1.0 / 1.5 /
# 1.6 / 1.2; 103,000 1.5 / 1.2 / 1.3 / 1.5; 212,000 1.5 / 1.4 / 1.2 / 1.5. A lane of 300,000 colours
# holds 6 MB.
WORTH_LANE = 60_000
MOST_SIDE_BY_SIDE = 300_000


class ColorPoints:
    """Distinct colours with weights, in a tree of cells.

    Parameters
    ----------
    keys : ndarray, shape (m,)
        Distinct Morton keys, sorted.
    limbs : ndarray of int64, shape (limbs, m)
        Weight of each colour in whole numbers of the `units`. A colour of no weight takes no part,
        but has a label.
    form : ColorFormat
    threads : Threads
    units : tuple of float
        Powers of two, the largest first: (1.0,) unless the caller's weights have fractions.

    Notes
    -----
    The tree knows weights of one limb alone. Fractions are rounded for it, none to zero, which is
    enough to say what is empty and to draw by; what they really add up to follows from the labels.
    """

    def __init__(
        self,
        keys: Array,
        limbs: Array,
        form: ColorFormat,
        threads: Threads,
        units: Units = UNWEIGHTED,
    ) -> None:
        self.form = form
        self.n_features: int = form.n_channels
        self._threads = threads = threads if keys.size >= WORTH_THREADS else Threads(1)
        self._units = units
        self._keys = keys
        self._limbs = limbs
        self._parts = parts_of(keys.size, threads)
        sums = threads.map(lambda part: limbs[:, part].sum(axis=1), self._parts)
        # In numbers of what the sum of all weights fits a float64 in, with room for their squares.
        whole = int(join(np.sum(sums, axis=0), units))
        self._excess = max(0, whole.bit_length() - MOST_BITS)
        self._quantum = float(Fraction(units[-1]) * 2**self._excess)
        self._weight = float(whole * Fraction(units[-1]))
        self._weights = (
            limbs[0] if units == UNWEIGHTED else _rounded(limbs, units, form, self._weight)
        )
        self._colors = split_keys(keys, form, threads, pad=PAD)
        self._colors[:, keys.size :] = self._colors[:, keys.size - 1 : keys.size]
        self._build_tree()
        self._total = int(self._moments[0, 0])
        if self._total >= 1 << (SUM_BITS - form.depth):
            raise ValueError(
                f"data holds {self._total} pixels; sums of {form.depth} bits are exact below "
                f"2**{SUM_BITS - form.depth}: count them with smaller weights"
            )
        # Whether sums of weighted squares fit an int64; where not, Python's integers do them.
        fits = 4 * self.n_features * self._total * form.largest**2 < 2**63
        self._fits = fits and units == UNWEIGHTED
        self.variance: float
        self._square, self.variance = self._measure()
        self._assignment: Assignment | None = None
        self._added = np.empty(0, np.int32)
        self._sums = np.empty((0, 0, 0), np.int64)
        self._last: tuple[Array, Step] | None = None
        self._room = 0
        self._scatter: Scatter | None = None

    def _build_tree(self) -> None:
        form = self.form
        self._links = build_tree(self._keys, form, self._threads)
        n = self._links.shape[1]
        self._boxes = np.empty((2, form.n_channels, n), form.dtype)
        self._moments = np.empty((n, 1 + form.n_channels), np.int64)
        tree = self._links, self._boxes, self._moments
        self._threads.map(
            lambda part: cells.measure_leaves(
                form.axes, part.start, part.stop, *tree, self._colors, self._weights
            ),
            parts_of(n, self._threads),
        )
        cells.measure_parents(form.axes, *tree)
        self._runs = cut_runs(self._links, self._threads.n)

    def _measure(self) -> tuple[int, float]:
        """Return the weighted sum of ``|x|**2`` and the mean variance of the channels."""
        if self._fits:
            total, *sums = self._moments[0].tolist()
            squares = np.sum(self._threads.map(self._add_squares, self._parts), axis=0).tolist()
        else:
            total, sums, squares = self._measure_levels()
        spread = sum(total * q - s**2 for q, s in zip(squares, sums, strict=True))
        return sum(squares) >> self._excess, spread / total**2 / self.n_features

    def _add_squares(self, part: slice) -> Array:
        squares = np.empty(self.n_features, np.int64)
        cells.add_squares(
            self.form.axes, self._colors, self._weights, part.start, part.stop, squares
        )
        return squares

    def _measure_levels(self) -> tuple[int, list[int], list[int]]:
        """Return the sums of 1, x and x**2 in Python's integers, by the weight at each level."""
        weights = np.zeros((len(self._limbs), self.n_features, self.form.largest + 1), np.int64)
        self._threads.map(
            lambda j: [
                cells.weigh_levels(self._colors[j], limb, out[j])
                for limb, out in zip(self._limbs, weights, strict=True)
            ],
            self.form.axes,
        )
        by_level = join(np.moveaxis(weights, 0, -1), self._units)
        levels = np.arange(self.form.largest + 1).astype(by_level.dtype)
        total = int(by_level[0].sum())
        sums = (by_level * levels).sum(axis=1).tolist()
        return total, sums, (by_level * levels * levels).sum(axis=1).tolist()

    # The loop's verbs

    def step(self, centroids: Array) -> Step:
        """Assign every colour; add up the clusters."""
        if self._last is not None and np.array_equal(self._last[0], centroids):
            return self._last[1]
        self._check_reach(centroids)
        k = len(centroids)
        amid = (centroids >= 0) & (centroids <= self.form.largest)
        if amid.all(axis=1).any():  # so that what is parked has no colours
            k = max(k, self._room)
        now = self._assignment
        if now is None or len(now.sums) != k:
            tree = CellTree(
                self.form, self._colors, self._narrow_weights(), self._links, self._boxes,
                self._moments, self._runs,
            )  # fmt: skip
            now = self._assignment = Assignment(tree, k, self._threads)
            if self._units != UNWEIGHTED:
                self._added = now.labels.copy()  # the labels that the sums below belong to
                self._sums = np.zeros((k + 1, len(self._limbs), 1 + self.n_features), np.int64)
            self._scatter = None
        # Clusters that there is room for are where no colour is, farther than any is from another.
        parked = np.full((k - len(centroids), self.n_features), -2.0 * self.form.largest)
        now.update(np.concatenate([centroids, parked]))
        if CHECK:
            now.check(centroids)
        step = self._as_step(now, centroids)
        self._last = (centroids.copy(), step)
        return step

    def _narrow_weights(self) -> Array:
        """Return the weights, half as wide where that pays: a colour that moves is waited for.

        Photographs at K = 256 are fitted in 0.9 of the time. Others are not worth the code.
        """
        weights, form = self._weights, self.form
        if form.n_channels != 3 or form.dtype != np.uint8 or weights.max() >= 2**31:
            return weights
        narrow = np.empty(weights.size, np.int32)
        self._threads.map(lambda part: narrow.__setitem__(part, weights[part]), self._parts)
        return narrow

    def _check_reach(self, centroids: Array) -> None:
        """Raise where squared distances to the centroids overflow.

        None is farther from the nearest than from the centroid with the nearest farthest corner.
        """
        weight = 8.0 * self._weight
        reach = self.form.largest + float(np.abs(centroids).max())
        if math.isfinite(weight * self.n_features * reach * reach):
            return
        corners = np.maximum(np.abs(centroids), np.abs(centroids - self.form.largest))
        if not math.isfinite(weight * float(np.square(corners).sum(axis=1).min())):
            raise ValueError(
                f"centroids hold values up to {np.abs(centroids).max():.3g}, whose squared "
                "distances to the data overflow; give centroids amid the data"
            )

    def _as_step(self, now: Assignment, centroids: Array) -> Step:
        sums = self._add_up(now)[: len(centroids)]
        moments = sums[:, 0] if self._fits else self._joined(sums)
        # Around whole numbers near the centroids the large terms are exact integers, and the
        # rest is small: no digits cancel.
        near = np.rint(centroids).clip(0, self.form.largest)
        whole = near.astype(np.int64).astype(np.int64 if self._fits else object, copy=False)
        totals = moments[:, 1:].astype(whole.dtype, copy=False)
        offsets = totals - moments[:, :1] * whole  # weighted sum of x - near
        around = self._square - int(((totals + offsets) * whole).sum())
        rest = centroids - near
        terms = rest * (rest * moments[:, :1] - 2.0 * offsets.astype(np.float64, copy=False))
        inertia = (around + float(terms.sum())) * self._quantum
        return Step(now.sums[: len(sums), 0].copy(), sums, max(inertia, 0.0))

    def _add_up(self, now: Assignment) -> Array:
        """Return the weights and channel sums of the clusters, in limbs: (k, limbs, 1 + c)."""
        if self._units == UNWEIGHTED:
            return now.sums[:, None].copy()
        edges = np.linspace(0, self._keys.size, 1 + self._threads.n).astype(int)

        def move(i: int) -> Array:
            change = np.zeros_like(self._sums)
            cells.move_members(
                self.form.axes, self._colors, self._limbs, edges[i], edges[i + 1], now.labels,
                self._added, change,
            )  # fmt: skip
            return change

        for change in self._threads.map(move, range(self._threads.n)):
            self._sums += change
        return self._sums[:-1].copy()

    def _joined(self, sums: Array) -> Array:
        """Return sums in limbs as Python integers, without what a float64 could not hold."""
        joined = join(np.moveaxis(sums, 1, -1), self._units)
        return joined >> self._excess if self._excess else joined

    def relocate(self, step: Step, centroids: Array) -> Step:
        """Give each empty cluster the distinct colour farthest from its own centroid."""
        assert self._assignment is not None  # which the step came from
        labels, k = self._assignment.labels, len(centroids)
        present = np.flatnonzero(self._weights)
        sizes = np.bincount(labels[present], minlength=k)
        counts, sums = step.counts.copy(), step.sums.copy()
        # A colour that is all that its cluster has stays: one for each cluster, at the most.
        far = iter(self._find_farthest(centroids, labels, present, k))
        for empty in np.flatnonzero(counts == 0):
            move = next((one for one in far if sizes[labels[one]] > 1), None)
            if move is None:
                break  # every distinct colour has a cluster of its own
            share = np.outer(self._limbs[:, move], [1, *self._colors[:, move].tolist()])
            counts[labels[move]] -= self._weights[move]
            sums[labels[move]] -= share
            sizes[labels[move]] -= 1
            counts[empty], sums[empty] = self._weights[move], share
        return Step(counts, sums, step.inertia)

    def _find_farthest(self, centroids: Array, labels: Array, present: Array, n: int) -> Array:
        """Return the `n` colours farthest from their own centroids, the farthest first."""

        def measure(start: int) -> Array:
            some = present[start : start + CHUNK]
            gaps = self._colors[:, some] - centroids[labels[some]].T
            dist: Array = np.square(gaps).sum(axis=0)
            return dist

        dist = np.concatenate(self._threads.map(measure, range(0, present.size, CHUNK)))
        if n < dist.size:
            near = np.flatnonzero(dist >= np.partition(dist, -n)[-n])
            present, dist = present[near], dist[near]
        order = np.lexsort((*self._colors[::-1, present], -dist))[:n]
        return present[order]

    def means(self, step: Step, previous: Array) -> Array:
        """Return the mean of each cluster: exact sums, one correctly rounded division."""
        return exact_means(step.sums, previous, self._units)

    def label(self, centroids: Array) -> tuple[Array, Array, float]:
        """Return labels (of the colours), counts and inertia."""
        step = self.step(centroids)
        assert self._assignment is not None
        labels = self._assignment.labels[: self._keys.size].astype(label_dtype(len(centroids)))
        counts = step.counts
        if self._units != UNWEIGHTED:
            counts = from_limbs(step.sums[:, :, 0].T, self._units)
        return labels, counts, step.inertia

    def n_distinct(self, limit: int) -> int:
        """Return the number of colours with weight, or `limit` if that is less."""
        return min(limit, int(np.count_nonzero(self._weights)))

    def moved(self, by: Array) -> ColorPoints:
        """Return the colours moved by (c, 1) levels, in the same cells, to have labels only.

        What is added up belongs to where they were.
        """
        moved = self._sibling()
        moved._colors = self._colors + by
        moved._boxes = self._boxes + by
        return moved

    def siblings(self, n: int, ks: Sequence[int]) -> Sequence[ColorPoints]:
        """Return point sets of the same colours for runs side by side, or itself alone."""
        work = self._keys.size * sum(map(math.sqrt, ks)) / len(ks)
        n = min(n, int(work / WORTH_LANE))
        if n < max(2, self._threads.n) or self._keys.size > MOST_SIDE_BY_SIDE:
            return [self]
        return [self._sibling() for _ in range(n)]

    def _sibling(self) -> ColorPoints:
        """Return the same colours for one thread, with what an assignment keeps of its own."""
        sibling = copy(self)
        sibling._assignment = sibling._last = sibling._scatter = None
        if self._threads.n > 1:
            sibling._threads = Threads(1)
            sibling._runs = cut_runs(self._links, 1)
        return sibling

    # The search's verbs

    def make_room(self, n: int) -> None:
        """Take up to `n` clusters from now on without beginning anew; 0: as many as there are."""
        self._room = n

    def scattered(self, centroids: Array) -> Scatter:
        """Return how the colours are scattered about their nearest centroids."""
        self.step(centroids)
        assert self._assignment is not None
        if self._scatter is None:
            weights, now = (self._weights, self._total), self._assignment
            self._scatter = Scatter(
                self.form, self._colors, *weights, now.labels, len(now.sums), self._threads
            )
        return self._scatter

    # The seeding's verbs

    def draw(self, rng: np.random.Generator) -> Array:
        """Draw one colour by weight."""
        return draw_color(self._colors, self._weights, rng)

    def sample_distinct(self, n: int, rng: np.random.Generator) -> Array:
        """Draw distinct colours by weight: one exponential key each, the least win."""
        keys = np.full(self._keys.size, np.inf)
        present = self._weights > 0
        keys[present] = rng.exponential(size=np.count_nonzero(present)) / self._weights[present]
        count = min(n, int(np.count_nonzero(present)))
        chosen = np.argpartition(keys, count - 1)[:count]
        chosen = chosen[np.argsort(keys[chosen], kind="stable")]
        return self._colors[:, np.resize(chosen, n)].T.astype(np.float64)

    def spread(self, centroids: Array, n_trials: int, rng: np.random.Generator) -> None:
        """Write the centroids (k, c) after the first one: greedy k-means++."""
        search = ColorSearch(self._colors, self._weights, self._total, self._threads)
        search.spread(centroids, n_trials, rng)


def _rounded(limbs: Array, units: Units, form: ColorFormat, total: float) -> Array:
    """Return weights as whole numbers of a quantum, whose sums fit an int64; none becomes zero."""
    weights = np.zeros(limbs.shape[1])
    for limb, unit in zip(limbs, units, strict=True):
        weights += limb * unit
    exponent = SUM_BITS - form.depth - 2 - math.frexp(total)[1]
    whole: Array = np.rint(np.ldexp(weights, exponent)).astype(np.int64)
    return whole.clip(weights > 0)


def exact_means(moments: Array, previous: Array, units: Units = UNWEIGHTED) -> Array:
    """Divide sums by weights, rounded once; keep `previous` where there is no weight.

    `moments` are int64 (k, limbs, 1 + c): the weights of clusters, and their sums.
    """
    if len(units) > 1 or moments.max() >= 2**53:  # which float64 would round before it divides
        return divide_limbs(moments[:, :, 1:], units, moments[:, :, 0], units, previous)
    counts, sums = moments[:, 0, 0], moments[:, 0, 1:]
    means: Array = sums / np.maximum(counts, 1)[:, None]
    return means if counts.all() else np.where(counts[:, None] > 0, means, previous)

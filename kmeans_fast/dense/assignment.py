"""The nearest centroid of each dense point, kept up to date from one iteration to the next."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..exact.quanta import Integers
from ..kernels import _tiles, dense_sums
from ..kernels import dense as kernels
from ..threads import Threads
from .questions import Array, Floats

# Points in a unit of work that compares all centroids, and in one that compares few of them:
# there the points of a cluster are looked at together, so a unit should hold many of each.
CHUNK = 16384
MEDIUM_CHUNK, LARGE_CHUNK, CHUNK_PER_CLUSTER = 2**15, 2**17, 256
MIN_CLUSTERS = 2
# The first assignment adds up the points of a unit after it has labelled them all. With many
# features units are smaller: of so many numbers, which are then still in a cache.
LEAST_CHUNK, CACHED = 512, 2**18
# float32 numbers in a block of points, at most: it stays in the second-level cache.
BLOCK_SIZE = 2**16
# Where few distances can be left out, it is faster to leave out none. After an assignment that
# looked at more than the second share, some points tell whether the next will at the first: as
# many as all threads together are done with in the time of so many products.
WORTHWHILE, DOUBTED = 0.55, 0.4
LEAST_TRIAL, TRIAL, TRIED = 2048, 8192, 2**29
# Beyond these the float32 pass tells nothing, and every point is decided in float64.
MAX_FEATURES, MAX_CLUSTERS, MAX_SQ_REACH = 2**20, 2**24, 2.0**60
# Fewer products than this are worked out afresh before bounds have told which can be left out. A
# point costs as much as some itself.
WORTH_BOUNDS, PER_POINT = 400_000, 32


def fewest_types(n_clusters: int) -> type[np.unsignedinteger | np.signedinteger]:
    """Return one of two types that hold labels: kernels are compiled for each."""
    return np.uint16 if n_clusters <= 2**16 else np.int32


def size_of_block(n_features: int) -> int:
    """Return how many points are looked at at a time, in whole tiles."""
    width = _tiles.WIDTH
    return max(4 * width, min(kernels.BLOCK, BLOCK_SIZE // n_features // width * width))


class Assignment:
    """Labels and sums of dense points for `k` clusters; each update is one assignment.

    The first compares every point with every centroid. Later ones leave out what cannot have
    changed, and add up only what has.

    Parameters
    ----------
    points : kernels.Framed
    weights : tuple
        The points' repeats and factors, either or both None.
    n_clusters : int
    anchors : dense_sums.Anchors
    threads : Threads
    """

    def __init__(
        self,
        points: kernels.Framed,
        weights: tuple[Integers | None, Floats | None],
        n_clusters: int,
        anchors: dense_sums.Anchors,
        threads: Threads,
    ) -> None:
        self.k = n_clusters
        self._points = points
        self._values = (points.values, *weights)
        self._n: int = points.values.shape[0]
        self._d: int = points.values.shape[1]
        self._anchors = anchors
        self._threads = threads
        self._valid = False
        self._share = 1.0  # of all distances that the last assignment looked at
        self._centroids = np.empty((n_clusters, self._d))
        terms = _tiles.TERMS
        self._error = 1.1 * (min(self._d, terms) + self._d // terms + 12) * 2.0**-24
        self._scale = float(points.scale)
        self._frame = self._make_frame()
        self.labels: Array = np.empty(self._n, fewest_types(n_clusters))
        self._bounds = kernels.Bounds(
            self.labels, np.empty(self._n, np.float32), np.empty(self._n, np.float32)
        )
        self.values: Integers = np.zeros((n_clusters, len(anchors.values), self._d), np.int64)
        self.totals: Integers = np.zeros((n_clusters, len(anchors.weights)), np.int64)
        self._everything = np.full(-(-n_clusters // _tiles.ROWS) * _tiles.ROWS, n_clusters)
        self._everything = self._everything.astype(np.int32)
        self._everything[:n_clusters] = np.arange(n_clusters)
        self._scratch: list[kernels.Scratch] = []

    @property
    def is_new(self) -> bool:
        """Whether the next update looks at every point."""
        return not self._valid

    def update(self, centroids: Floats, also: Callable[[int, int], None] | None = None) -> None:
        """Assign every point to its nearest centroid, and bring the sums up to date.

        `also` is called with the bounds of each unit of work of a new assignment, whose points are
        in a cache then.
        """
        fresh, self._valid = not self._valid, False  # until all is done: Ctrl-C may come
        if fresh:
            self.values[:] = 0
            self.totals[:] = 0
        each = self._lay_out(centroids)
        before, self._centroids = self._centroids, centroids
        n_products = self._n * self.k * self._d
        few = not fresh and self.k >= MIN_CLUSTERS
        few = few and n_products + PER_POINT * self._n >= WORTH_BOUNDS
        motion = self._find_motion(each, before) if few else None
        threads = self._threads.for_work(self._share * n_products)
        own = dense_sums.Limbs(self.values, self.totals)
        done = [own]

        def work(part: tuple[int, int, bool]) -> int:
            start, stop, few = part
            sums = self._take_sums(done)
            scratch = self._take_scratch(stop - start)
            if few:
                n_moved, n = kernels.reassign_points(
                    self._points, start, stop, each, motion, self._bounds, scratch
                )
            else:
                n_moved = kernels.assign_points(
                    self._points, start, stop, self._everything, each, self._bounds, scratch
                )
                n = (stop - start) * self.k
            if fresh:
                dense_sums.add_points(*self._values, start, stop, self.labels, self._anchors, sums)
                if also is not None:
                    also(start, stop)
            elif n_moved:
                moved, before = scratch.open[:n_moved], scratch.keys[:n_moved]
                dense_sums.move_points(
                    *self._values, moved, before, self.labels, self._anchors, sums
                )
            self._scratch.append(scratch)
            done.append(sums)
            return int(n)

        first = n_compared = 0
        if few and self._share > DOUBTED and self._n >= 4 * TRIAL and self.k > kernels.FEW:
            first = max(LEAST_TRIAL, min(TRIAL, TRIED // (self.k * self._d)))
            edges = [first * i // threads.n for i in range(threads.n + 1)]
            trial = [(start, stop, True) for start, stop in itertools.pairwise(edges)]
            n_compared = sum(threads.map(work, trial))
            few = n_compared <= WORTHWHILE * first * self.k
        n_compared += sum(threads.map(work, self._parts(first, few, threads.n)))
        self._share = n_compared / (self._n * self.k)
        for sums in done:
            if sums is not own:
                self.values += sums.values
                self.totals += sums.weights
        self._valid = True

    def _find_motion(self, each: kernels.Centroids, before: Floats) -> kernels.Motion:
        """Return how far the centroids are apart, and how far they came from where they were."""
        spacing = np.empty(self.k, np.float32)
        threads = self._threads.for_work(self.k * self.k * self._d)
        edges = range(0, self.k, max(_tiles.WIDTH, -(-self.k // threads.n)))

        def find(start: int) -> None:
            scratch = self._take_scratch(0)
            stop = min(start + edges.step, self.k)
            kernels.find_spacing(each, self._everything, start, stop, scratch, spacing)
            self._scratch.append(scratch)

        threads.map(find, edges)
        moved = np.sqrt(np.square(each.exact - before).sum(axis=1)) + kernels.SMALLEST
        moved *= float(self._points.scale) * float(kernels.LOOSE)
        moved = np.minimum(moved, 1e38)
        drift = np.full(self.k, moved.max())
        if self.k > 1:
            drift[moved.argmax()] = np.partition(moved, -2)[-2]
        apart = np.float32(0.5) * np.sqrt(np.maximum(spacing, 0)) * kernels.TIGHT
        up = kernels.LOOSE  # as rounding to float32 may go down
        return kernels.Motion(
            spacing, apart, moved.astype(np.float32) * up, drift.astype(np.float32) * up
        )

    def _parts(self, first: int, few: bool, n_threads: int) -> list[tuple[int, int, bool]]:
        """Return the units of work, from one point on to the end."""
        size, n = min(CHUNK, max(LEAST_CHUNK, CACHED // self._d)), self._n - first
        if few:
            size = max(MEDIUM_CHUNK, min(CHUNK_PER_CLUSTER * self.k, LARGE_CHUNK))
            n_parts = -(-n // size // n_threads) * n_threads  # none waits for the last
            size = -(-n // n_parts)
        return [(at, min(at + size, self._n), few) for at in range(first, self._n, size)]

    def _take_sums(self, done: list[dense_sums.Limbs]) -> dense_sums.Limbs:
        """Return sums to add to, which no other thread has now."""
        try:
            return done.pop()
        except IndexError:
            return dense_sums.Limbs(np.zeros_like(self.values), np.zeros_like(self.totals))

    def _take_scratch(self, size: int) -> kernels.Scratch:
        """Return scratch for chunks of `size` points, which no other thread has now."""
        try:
            scratch = self._scratch.pop()
        except IndexError:
            return self._make_scratch(size)
        return scratch if scratch.order.size >= size else self._make_scratch(size)

    def _make_scratch(self, size: int) -> kernels.Scratch:
        width, n = _tiles.WIDTH, size_of_block(self._d)
        filled = self._everything.size
        return kernels.Scratch(
            block=aligned(n * self._d),
            rows=aligned(kernels.N_ROWS * _tiles.ROW),
            sq_dists=np.empty(self.k),
            chosen=np.empty(n, np.int64),
            found=np.empty(n, np.int32),
            between=aligned(filled * width).reshape(filled, width),
            candidates=np.empty(filled + _tiles.ROWS, np.int32),
            ends=np.empty(kernels.N_RINGS * self.k + 1, np.int32),
            farthest=np.empty(kernels.N_RINGS * self.k, np.float32),
            open=np.empty(size + 1, np.int64),
            keys=np.empty(size + 1, np.int32),
            order=np.empty(size, np.int64),
        )

    def _lay_out(self, centroids: Floats) -> kernels.Centroids:
        """Return the centroids as the kernels want them."""
        each = kernels.Centroids(centroids, *self._frame)
        each.by_feature[:] = centroids.T
        own = each.shifted[: self.k]
        own[:] = (centroids - self._points.middle) * self._scale  # infinite, far out of tiny data
        norms = np.einsum("kd,kd->k", own, own, dtype=np.float64)
        if self._d <= MAX_FEATURES and self.k <= MAX_CLUSTERS and norms.max() <= MAX_SQ_REACH:
            each.half_norms[: self.k] = norms * (0.5 - 0.75 * self._error)
            return each
        # No score tells anything: all points are in doubt, and no bound is known.
        own[:] = 0.0
        each.half_norms[: self.k] = 0.0
        return each._replace(tiny=np.float32(np.inf))

    def _make_frame(self) -> tuple[Any, ...]:
        """Return what `_lay_out` fills, and what stays: all of `kernels.Centroids` but the first.

        A score, half the squared norm of a centroid less its product with the point, errs by
        at most ``_error * (0.75 * |centroid|**2 + |point|**2)``: 2**-24 for each rounding of the
        numbers and of the sums that a term goes through, by the bounds of Higham, "Accuracy and
        Stability of Numerical Algorithms", ch. 3, and |x||c| <= |x|**2 + |c|**2 / 4. The first
        term is taken off by `_lay_out`. The tenth on top covers terms of higher order and the
        rounding of float64; `tiny` what underflows, in float32 or in the reference's squares.
        """
        k, d, error, scale = self.k, self._d, self._error, self._scale
        smallest = kernels.SMALLEST * scale
        tiny = min(max(1e-30, d * (scale * 2.0**-535) ** 2), 1e38)
        laid_out = kernels.Centroids(
            exact=None,
            by_feature=np.empty((d, k)),
            shifted=np.zeros((k + _tiles.ROWS, d), np.float32),
            half_norms=np.full(k + _tiles.ROWS, np.inf, np.float32),
            margin=np.float32(1.1 * error),
            kept=np.float32(1.0 - 3.0 * error - 1.1 * d * 2.0**-24),
            grown=np.float32(1.0 + 3.0 * error + 1.1 * d * 2.0**-24),
            least=np.float32(min(max(1e-36, smallest * smallest), 1e38)),
            tiny=np.float32(tiny),
        )
        return laid_out[1:]


def aligned(size: int) -> NDArray[np.float32]:
    """Return zeros that begin at a multiple of 64 bytes, as each tile then does."""
    memory = np.zeros(size * 4 + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size * 4].view(np.float32)

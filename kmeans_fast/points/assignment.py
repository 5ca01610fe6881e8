"""The nearest centroid of each dense point, kept up to date from one iteration to the next."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import dense as kernels
from ..threads import Threads
from .quanta import Integers, as_steps

Array = NDArray[Any]
Floats = NDArray[np.float64]

# Points in a unit of work that compares all centroids, and in one that compares few of them:
# there the points of a cluster are looked at together, so a unit should hold many of each.
CHUNK = 16384
MEDIUM_CHUNK, LARGE_CHUNK, CHUNK_PER_CLUSTER = 2**16, 2**18, 512
MIN_CLUSTERS = 2
# float32 numbers in a block of points: it stays in the second-level cache.
BLOCK_SIZE = 2**16
# Where few distances can be left out, it is faster to leave out none. After an assignment that
# looked at more than the second share, some points tell whether the next will at the first.
WORTHWHILE, DOUBTED, TRIAL = 0.55, 0.4, 8192
# Beyond these the float32 pass tells nothing, and every point is decided in float64.
MAX_FEATURES, MAX_CLUSTERS, MAX_REACH = 2**20, 2**24, 2.0**30


# Positions of so many points fit in int32, which the kernels then use.
MOST_INT32 = 2**31 - 1
# A debug switch: check every label of every assignment by brute force.
CHECK = os.environ.get("KMEANS_FAST_CHECK", "0") not in ("", "0")


class Assignment:
    """Labels and sums of dense points for `k` clusters; each update is one assignment.

    The first compares every point with every centroid. Later ones leave out what cannot have
    changed, and add up only what has.

    Parameters
    ----------
    points : kernels.Points
    n_clusters : int
    quanta : tuple
        The quanta of the values and of the weights.
    threads : Threads
    """

    def __init__(
        self,
        points: kernels.Points,
        n_clusters: int,
        quanta: tuple[tuple[float, ...], tuple[float, ...]],
        threads: Threads,
    ) -> None:
        self.k = n_clusters
        self._points = points
        self._n: int = points.values.shape[0]
        self._d: int = points.values.shape[1]
        self._steps = as_steps(quanta[0]), as_steps(quanta[1])
        self._threads = threads
        self._valid = False
        self._share = 1.0  # of all distances that the last assignment looked at
        self._centroids = np.empty((n_clusters, self._d))
        self._others = np.empty(self._n, np.float32)
        self.labels = np.empty(self._n, np.uint16 if n_clusters <= 2**16 else np.int32)
        self.values = np.zeros((n_clusters, len(quanta[0]), self._d), np.int64)
        self.weights = np.zeros((n_clusters, len(quanta[1])), np.int64)
        self._scratch: list[kernels.Scratch] = []

    def update(self, centroids: Floats, inertia_quanta: tuple[float, ...]) -> Integers:
        """Assign every point to its nearest centroid; return the inertia in limbs."""
        fresh, self._valid = not self._valid, False  # until all is done: Ctrl-C may come
        if fresh:
            self.values[:] = 0
            self.weights[:] = 0
        each = self._lay_out(centroids)
        steps = kernels.Steps(*self._steps, as_steps(inertia_quanta))
        before, self._centroids = self._centroids, centroids
        few = not fresh and self.k >= MIN_CLUSTERS
        everything = np.full(-(-self.k // 4) * 4, self.k, np.int32)
        everything[: self.k] = np.arange(self.k)
        motion = self._find_motion(each, before) if few else None
        done: list[kernels.Sums] = []

        def work(part: tuple[int, int, bool]) -> int:
            start, stop, few = part
            sums = self._take_sums(done, len(inertia_quanta))
            scratch = self._take_scratch(stop - start if few else 0)
            if few:
                n = kernels.reassign_points(
                    self._points, start, stop, each, motion, self.labels, self._others, steps,
                    sums, scratch,
                )  # fmt: skip
            else:
                kernels.assign_points(
                    self._points, start, stop, everything, each, self.labels, self._others,
                    fresh, steps, sums, scratch,
                )  # fmt: skip
                n = (stop - start) * self.k
            self._scratch.append(scratch)
            done.append(sums)
            return int(n)

        first = n_compared = 0
        if few and self._share > DOUBTED and self._n >= 4 * TRIAL and self.k > kernels.FEW:
            first, n_compared = TRIAL, work((0, TRIAL, True))
            few = n_compared <= WORTHWHILE * TRIAL * self.k
        n_compared += sum(self._threads.map(work, self._parts(first, few)))
        self._share = n_compared / (self._n * self.k)
        inertia = np.zeros(len(inertia_quanta), np.int64)
        for sums in done:
            self.values += sums.values
            self.weights += sums.weights
            inertia += sums.inertia
        self._valid = True
        if CHECK:
            self._check(each)
        return inertia

    def _check(self, each: kernels.Centroids) -> None:
        """Raise unless every label is that of brute force in the reference's arithmetic."""
        expected = np.empty_like(self.labels)
        self._threads.map(
            lambda start: kernels.label_exactly(
                self._points.values, start, min(start + CHUNK, self._n), each.by_feature, expected
            ),
            range(0, self._n, CHUNK),
        )
        wrong = np.flatnonzero(expected != self.labels)
        if wrong.size:
            i = wrong[0]
            raise AssertionError(
                f"{wrong.size} labels are wrong: point {i} has {self.labels[i]}, nearest is "
                f"{expected[i]}"
            )

    def _find_motion(self, each: kernels.Centroids, before: Floats) -> kernels.Motion:
        """Return how far the centroids are apart, and how far they came from where they were."""
        spacing = np.empty(self.k, np.float32)
        edges = range(0, self.k, max(4, -(-self.k // self._threads.n) // 4 * 4))

        def find(start: int) -> None:
            scratch = self._take_scratch(0)
            stop = min(start + edges.step, self.k)
            kernels.find_spacing(each, start, stop, scratch, spacing)
            self._scratch.append(scratch)

        self._threads.map(find, edges)
        moved = np.sqrt(np.square(each.exact - before).sum(axis=1)) + kernels.SMALLEST
        moved *= float(self._points.scale) * float(kernels.LOOSE)
        drift = np.full(self.k, moved.max())
        if self.k > 1:
            drift[moved.argmax()] = np.partition(moved, -2)[-2]
        return kernels.Motion(spacing, np.minimum(drift, 1e38).astype(np.float32))

    def _parts(self, first: int, few: bool) -> list[tuple[int, int, bool]]:
        """Return the units of work, from one point on to the end."""
        size, n = CHUNK, self._n - first
        if few:
            size = max(MEDIUM_CHUNK, min(CHUNK_PER_CLUSTER * self.k, LARGE_CHUNK))
            n_parts = -(-n // size // self._threads.n) * self._threads.n  # none waits for the last
            size = -(-n // n_parts)
        return [(at, min(at + size, self._n), few) for at in range(first, self._n, size)]

    def _take_sums(self, done: list[kernels.Sums], n_inertia: int) -> kernels.Sums:
        """Return sums to add to, which no other thread has now."""
        try:
            return done.pop()
        except IndexError:
            return kernels.Sums(
                np.zeros_like(self.values),
                np.zeros_like(self.weights),
                np.zeros(n_inertia, np.int64),
            )

    def _take_scratch(self, size: int) -> kernels.Scratch:
        """Return scratch for chunks of `size` points, which no other thread has now."""
        try:
            scratch = self._scratch.pop()
        except IndexError:
            return self._make_scratch(size)
        return scratch if scratch.order.size >= size else self._make_scratch(size)

    def _make_scratch(self, size: int) -> kernels.Scratch:
        rows = -(-self._d // 4) * 4
        columns = max(128, min(kernels.BLOCK, BLOCK_SIZE // rows // 32 * 32)) + kernels.PAD
        index = np.int32 if self._n <= MOST_INT32 else np.int64
        return kernels.Scratch(
            block=_aligned(rows, columns),
            rows=_aligned(kernels.N_ROWS + 4, int(kernels.ROW)).reshape(-1),
            sq_dists=np.empty(self.k),
            chosen=np.empty(columns - kernels.PAD, index),
            found=np.empty(columns - kernels.PAD, np.int32),
            rest=np.empty(columns - kernels.PAD),
            reach=np.empty(columns - kernels.PAD, np.float32),
            distance=np.empty(columns - kernels.PAD, np.float32),
            is_open=np.empty(columns - kernels.PAD, np.uint8),
            others=np.empty(columns - kernels.PAD, np.float32),
            own=np.empty(columns - kernels.PAD),
            between=np.empty((4, self.k), np.float32),
            candidates=np.empty(self.k + 4, np.int32),
            ends=np.empty(kernels.N_RINGS * self.k + 1, np.int32),
            farthest=np.empty(kernels.N_RINGS * self.k, np.float32),
            open=np.empty(size + 1, index),
            keys=np.empty(size + 1, np.int32),
            reaches=np.empty(size + 1, np.float32),
            order=np.empty(size, index),
        )

    def _lay_out(self, centroids: Floats) -> kernels.Centroids:
        """Return the centroids as the kernels want them.

        A score, half the squared norm of a centroid less its product with the point, errs by
        at most ``error * (0.75 * |centroid|**2 + |point|**2)``: 2**-24 for each rounding of the
        numbers and of the sums that a term goes through, by the bounds of Higham, "Accuracy and
        Stability of Numerical Algorithms", ch. 3, and |x||c| <= |x|**2 + |c|**2 / 4. The first
        term is taken off here. The tenth on top covers terms of higher order and the rounding of
        float64; `tiny` what underflows, in float32 or in the reference's squares.
        """
        k, d = centroids.shape
        terms = int(kernels.TERMS)
        error = 1.1 * (min(d, terms) + d // terms + 12) * 2.0**-24
        shifted = np.zeros((k + 1, -(-d // 4) * 4), np.float32)
        half_norms = np.full(k + 1, np.inf, np.float32)
        scale = float(self._points.scale)
        smallest = kernels.SMALLEST * scale
        offsets = (centroids - self._points.middle) * scale
        if d <= MAX_FEATURES and k <= MAX_CLUSTERS and np.abs(offsets).max() <= MAX_REACH:
            shifted[:k, :d] = offsets
            norms = np.einsum("kd,kd->k", shifted[:k], shifted[:k], dtype=np.float64)
            half_norms[:k] = norms * (0.5 - 0.75 * error)
        else:
            half_norms[:k] = 0.0  # all scores are equal, so all points are in doubt
        columns = _aligned(shifted.shape[1], -(-k // 32) * 32 + kernels.PAD)
        columns[:, :k] = shifted[:k].T
        return kernels.Centroids(
            exact=centroids,
            by_feature=np.ascontiguousarray(centroids.T),
            shifted=shifted,
            columns=columns,
            half_norms=half_norms,
            margin=np.float32(1.1 * error),
            kept=np.float32(1.0 - 3.0 * error - 1.1 * d * 2.0**-24),
            least=np.float32(min(max(1e-36, smallest * smallest), 1e38)),
            tiny=np.float32(min(max(1e-30, d * (scale * 2.0**-535) ** 2), 1e38)),
        )


def _aligned(rows: int, columns: int) -> NDArray[np.float32]:
    """Return zeros that begin at a multiple of 64 bytes, as each row of 16 columns then does."""
    memory = np.zeros(rows * columns * 4 + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + rows * columns * 4].view(np.float32).reshape(rows, columns)

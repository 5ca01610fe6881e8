"""The squared distance of each point to the nearest centre so far, over a tree of cells."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import tree_seeds as kernels
from .quanta import NARROW, as_anchors, log2

if TYPE_CHECKING:
    from .dense import DensePoints

Floats = NDArray[np.float64]

# The sum of all squared distances is below 2**TOP quanta. Finer ones are chosen where the largest
# distance has fallen by so many bits.
TOP, FALLEN = 61, 16
INFINITE = 0xFF00  # the code of infinity
# With fewer distances than this to work out, a second thread starts too late.
WORTH_THREADS = 100_000


class TreeSearch:
    """A `Search` over points in a tree: for k-means++ in few dimensions.

    Whole cells are skipped, so a draw costs about what it changes: 512 centers of 400,000
    points in three dimensions take 210 ms, the tree included, where `NearestSearch` takes 860.
    Nothing that is returned depends on threads.
    """

    def __init__(self, points: DensePoints) -> None:
        self._of = points
        self._tree = tree = points._tree
        self._threads = points._threads
        self._scale = points._data.scale
        self._closest = np.full(tree.n, INFINITE, np.uint16)
        self._far = np.full(tree.cells.start.size, INFINITE, np.uint16)
        self._potential = np.zeros(tree.cells.start.size, np.int64)
        self._exponent = 0  # of the quanta in one
        self._is_fresh = True
        self._n_tried = tree.n

    def add(self, center: Floats) -> None:
        """Take one more center into account."""
        tree = self._tree
        kernels.add_center(
            tree.axes, tree.points, tree.cells, tree.grids, self._in_type(center), self._scale,
            self._closest, self._far, self._potential, self._anchor,
        )  # fmt: skip
        finest = min(TOP - log2(tree.n), NARROW - 1) - math.frexp(self._largest)[1]
        if self._is_fresh or finest >= self._exponent + FALLEN:
            self._exponent, self._is_fresh = finest, False
            self._add_up()

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n points (n, d), drawn by squared distance; any where all lie on centers."""
        if self._total == 0:
            return np.stack([self._of.draw(rng) for _ in range(n)])
        found = np.empty(n, np.int64)
        kernels.find_points(
            rng.integers(self._total, size=n), self._tree.cells, self._tree.grids, self._closest,
            self._potential, self._anchor, found,
        )  # fmt: skip
        points: Floats = self._tree.points[:, found].T.astype(np.float64)
        return points

    def potentials(self, candidates: Floats) -> Floats:
        """Return, for each candidate, the sum of squared distances with it added."""
        tree, centers = self._tree, self._in_type(candidates)
        gains = np.empty(len(centers), np.int64)

        def work(part: tuple[int, int]) -> int:
            n: int = kernels.find_gains(
                tree.axes, tree.points, tree.cells, tree.grids, centers, *part, self._scale,
                self._closest, self._far, self._anchor, gains,
            )  # fmt: skip
            return n

        parts = [(0, len(centers))]
        if self._n_tried > WORTH_THREADS:  # the next draw's work is much the same
            parts = [(i, i + 1) for i in range(len(centers))]
        self._n_tried = sum(self._threads.map(work, parts))
        unit = math.ldexp(1.0, -self._exponent) / float(self._scale) / float(self._scale)
        return np.asarray((self._total - gains) * unit, np.float64)

    @property
    def _total(self) -> int:
        return int(self._potential[0])

    @property
    def _largest(self) -> float:
        """The largest squared distance, scaled."""
        return float((self._far[:1].astype(np.uint32) << 15).view(np.float32)[0])

    @property
    def _anchor(self) -> float:
        return as_anchors((math.ldexp(1.0, -self._exponent),))[0]

    def _in_type(self, centers: Floats) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(centers, self._tree.points.dtype)

    def _add_up(self) -> None:
        """Add everything up, in other quanta."""
        tree = self._tree
        kernels.add_up_leaves(tree.cells, self._closest, self._potential, self._anchor)
        n = tree.grids.cell.size
        kernels.add_grids(tree.grids, np.arange(n, dtype=np.int32), self._far, self._potential)

"""The squared distance of each point to the nearest centre so far, over a tree of cells."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import tree_seeds as kernels
from .parts import LocalPart, add, concatenate, numbers, widen
from .quanta import NARROW, Integers, as_anchors, log2
from .tree import Root, choose_root, sample_step

if TYPE_CHECKING:
    from .dense import DensePoints
    from .dense_part import DensePart

Floats = NDArray[np.float64]

# The sum of all squared distances is below 2**TOP quanta. Finer ones are chosen where the largest
# distance has fallen by so many bits.
TOP, FALLEN = 61, 16
INFINITE = 0xFF00  # the code of infinity
# With fewer distances than this to work out, a second thread starts too late.
WORTH_THREADS = 100_000


class TreeSearch:
    """A `Search` over points in trees: for k-means++ in few dimensions.

    Whole cells are skipped, so a draw costs about what it changes: 512 centers of 400,000
    points in three dimensions take 210 ms, the tree included, where `NearestSearch` takes 860.

    A draw goes by the children of the root, which all parts share, and within a child by the
    values of its points (`kernels.find_point`). So nothing that is returned depends on threads,
    on the trees below their root, or on the parts.
    """

    def __init__(self, points: DensePoints) -> None:
        self._of = points
        self._scale = points.facts.scale
        self._token = next(numbers)
        self._centers = np.empty((0, points.n_features))
        self._exponent = 0  # of the quanta in one
        self._totals = np.empty(0, np.int64)  # of the root's children

    def add(self, center: Floats) -> None:
        """Take one more center into account."""
        is_first = len(self._centers) == 0
        self._centers = np.concatenate([self._centers, np.array(center, np.float64)[None]])
        totals, (largest,) = self._ask(_add_and_most, "lower")
        finest = min(TOP - log2(self._of._n), NARROW - 1) - math.frexp(float(largest))[1]
        if is_first or finest >= self._exponent + FALLEN:
            self._exponent = finest
            totals, _ = self._ask(_add_and_most, "lower")
        self._totals = totals

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n points (n, d), drawn by squared distance; any where all lie on centers."""
        total = int(self._totals.sum())
        if total == 0:
            return np.stack([self._of.draw(rng) for _ in range(n)])
        tickets = rng.integers(total, size=n)
        ends = np.cumsum(self._totals)
        children = np.searchsorted(ends, tickets, side="right")
        left = tickets - np.where(children > 0, ends[children - 1], 0)
        if isinstance(self._of._parts, LocalPart):  # one call finds them all
            points: Floats = self._ask(concatenate, "find", children, left)
            return points
        low, high = (np.array(ends[children]) for ends in self._boxes)
        while (open_ := np.flatnonzero((low < high).any(axis=1))).size:
            axes = (low[open_] < high[open_]).argmax(axis=1)
            totals, boxes = self._ask(
                _add_and_widen, "spread", children[open_], low[open_], high[open_], axes
            )
            for i, some, least, most in zip(open_, totals, *boxes, strict=True):
                passed = np.cumsum(some)
                slot = int(np.searchsorted(passed, left[i], side="right"))
                left[i] -= passed[slot - 1] if slot else 0
                low[i], high[i] = least[slot], most[slot]
        return low

    def potentials(self, candidates: Floats) -> Floats:
        """Return, for each candidate, the sum of squared distances with it added."""
        gains = self._ask(add, "find_gains", np.ascontiguousarray(candidates, np.float64))
        unit = math.ldexp(1.0, -self._exponent) / float(self._scale) / float(self._scale)
        return np.asarray((int(self._totals.sum()) - gains) * unit, np.float64)

    # ------------------------------------------------------------------------------ within

    def _ask(self, merge: Any, verb: str, *arguments: Any) -> Any:
        kept = self._root, self._exponent
        return self._of.ask(
            merge, "search", TreePart, self._token, verb, self._centers, *kept, *arguments
        )

    @cached_property
    def _root(self) -> Root | None:
        """The root that the parts share; one alone has its own."""
        if isinstance(self._of._parts, LocalPart):
            return None
        n = self._of._n
        grid = choose_root(self._of.ask(concatenate, "every", sample_step(n)), n)
        return grid.join(self._of.ask(add, "count_slots", grid.frame, grid.n_slots))

    @cached_property
    def _boxes(self) -> tuple[Floats, Floats]:
        """The boxes of the root's children."""
        boxes: tuple[Floats, Floats] = self._ask(widen, "boxes")
        return boxes


class TreePart:
    """What a `TreeSearch` knows of the points of one part.

    Every method takes the centers so far, the root and the exponent of the quanta, and catches up
    with them.
    """

    def __init__(self, part: DensePart, token: int) -> None:
        self.token = token
        self.n_centers = 0
        self._of = part
        self._scale = part.facts.scale
        self._n_tried = part.n
        self._is_ready = False

    def lower(
        self, centers: Floats, root: Root | None, exponent: int
    ) -> tuple[Integers, NDArray[np.float32]]:
        """Return the sums by children of the root, and the largest squared distance, scaled."""
        self._catch_up(centers, root, exponent)
        largest = (self._far[:1].astype(np.uint32) << 15).view(np.float32)
        return self._by_child(self._potential, 0), largest

    def boxes(self, centers: Floats, root: Root | None, exponent: int) -> tuple[Floats, Floats]:
        """Return the boxes of the children of the root."""
        self._catch_up(centers, root, exponent)
        cells = self._tree.cells
        return self._by_child(cells.low, np.inf), self._by_child(cells.high, -np.inf)

    def find(
        self, centers: Floats, root: Root | None, exponent: int, children: Integers, left: Integers
    ) -> Floats:
        """Return the points at which running totals within children of the root pass `left`."""
        self._catch_up(centers, root, exponent)
        tree = self._tree
        points = np.empty((left.size, tree.d))
        kernels.find_points(
            tree.axes, tree.points, tree.cells, tree.grids, self._closest, self._potential,
            self._anchor, 1 + children, left.copy(), points,
        )  # fmt: skip
        return points

    def spread(
        self,
        centers: Floats,
        root: Root | None,
        exponent: int,
        children: Integers,
        low: Floats,
        high: Floats,
        axes: Integers,
    ) -> tuple[Integers, tuple[Floats, Floats]]:
        """Return sums and boxes of slots of boxes within children of the root (`spread_points`).

        One row a ticket: shapes (t, slots) and (t, slots, d).
        """
        self._catch_up(centers, root, exponent)
        tree = self._tree
        shape = len(children), kernels.SLOTS
        totals = np.zeros(shape, np.int64)
        least, most = np.empty((*shape, tree.d)), np.empty((*shape, tree.d))
        least[:], most[:] = np.inf, -np.inf
        places = np.searchsorted(tree.children, children)
        for i, place in enumerate(places):
            if place < tree.children.size and tree.children[place] == children[i]:
                kernels.spread_points(
                    tree.axes, tree.points, tree.cells, tree.grids, self._closest,
                    self._potential, self._anchor, 1 + place, low[i], high[i], axes[i],
                    totals[i], least[i], most[i],
                )  # fmt: skip
        return totals, (least, most)

    def find_gains(
        self, centers: Floats, root: Root | None, exponent: int, candidates: Floats
    ) -> Integers:
        """Return by how much each candidate alone would lower the sum."""
        self._catch_up(centers, root, exponent)
        tree, candidates = self._tree, self._in_type(candidates)
        gains = np.empty(len(candidates), np.int64)

        def work(part: tuple[int, int]) -> int:
            n: int = kernels.find_gains(
                tree.axes, tree.points, tree.cells, tree.grids, candidates, *part, self._scale,
                self._closest, self._far, self._anchor, gains,
            )  # fmt: skip
            return n

        parts = [(0, len(candidates))]
        if self._n_tried > WORTH_THREADS:  # the next draw's work is much the same
            parts = [(i, i + 1) for i in range(len(candidates))]
        self._n_tried = sum(self._of.threads.map(work, parts))
        return gains

    # ------------------------------------------------------------------------------ within

    def _catch_up(self, centers: Floats, root: Root | None, exponent: int) -> None:
        if not self._is_ready:
            self._tree = tree = self._of.tree(root)
            self._closest = np.full(tree.n, INFINITE, np.uint16)
            self._far = np.full(tree.cells.start.size, INFINITE, np.uint16)
            self._potential = np.zeros(tree.cells.start.size, np.int64)
            self._exponent = exponent
            self._is_ready = True
        tree = self._tree
        if exponent != self._exponent:
            self._exponent = exponent
            kernels.add_up_leaves(tree.cells, self._closest, self._potential, self._anchor)
            n = tree.grids.cell.size
            every = np.arange(n, dtype=np.int32)
            kernels.add_grids(tree.grids, every, self._far, self._potential)
        while self.n_centers < len(centers):
            kernels.add_center(
                tree.axes, tree.points, tree.cells, tree.grids,
                self._in_type(centers[self.n_centers]), self._scale, self._closest, self._far,
                self._potential, self._anchor,
            )  # fmt: skip
            self.n_centers += 1

    @property
    def _anchor(self) -> float:
        return as_anchors((math.ldexp(1.0, -self._exponent),))[0]

    def _in_type(self, centers: Floats) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(centers, self._tree.points.dtype)

    def _by_child(self, of_cells: NDArray[Any], empty: float) -> NDArray[Any]:
        """Return something of the cells, for each child of the root."""
        children, shape = self._tree.children, (self._tree.root.n_children, *of_cells.shape[1:])
        kind = np.dtype(np.float64 if of_cells.dtype.kind == "f" else of_cells.dtype)
        of_children = np.full(shape, empty, kind)
        of_children[children] = of_cells[1 : 1 + children.size]
        of_children += kind.type(0)  # no negative zeros
        return of_children


def _add_and_most(answers: list[tuple[Integers, Any]]) -> tuple[Integers, Any]:
    """Add the first, and take the largest of the second."""
    totals, most = zip(*answers, strict=True)
    return np.sum(totals, axis=0), np.max(most, axis=0)


def _add_and_widen(
    answers: list[tuple[Integers, tuple[Floats, Floats]]],
) -> tuple[Integers, tuple[Floats, Floats]]:
    """Add the first, and join the boxes."""
    totals, boxes = zip(*answers, strict=True)
    return np.sum(totals, axis=0), widen(list(boxes))

"""The squared distance of each point to the nearest centre so far, over a tree of cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..exact.quanta import NARROW, Integers, as_anchors, log2
from ..kernels import tree_seeds as kernels
from ..threads import cached_property
from .facts import Facts
from .part import DensePart
from .questions import Array, Floats, add, add_each, concatenate, merged_by, widen
from .searching import SearchPart, SeedSearch, State
from .tree import Cut, find_slots, grid_of_child, grid_of_root, sample_step

Counted = tuple[Floats, Integers]  # distinct points (m, d), and a sum for each (m,)
Boxes = tuple[Floats, Floats]

# The sum of all squared distances is below 2**TOP quanta. Finer ones are chosen where the largest
# distance has fallen by so many bits.
TOP, FALLEN = 61, 16
INFINITE = 0xFF00  # the code of infinity
# With fewer distances than this to work out, a second thread starts too late.
WORTH_THREADS = 100_000


def scale_of(facts: Facts) -> Any:
    """Return what coordinates are multiplied by, a power of two in their type.

    The largest squares are below 2**124, so that those of a part in 2**125 do not underflow.
    """
    room = 120 - math.frexp(float(facts.scale))[1]
    return facts.scale * facts.scale.dtype.type(math.ldexp(1.0, max(0, min(60, room))))


@dataclass(frozen=True)
class TreeState(State):
    """What a `TreeSearch` has come to."""

    root: Cut | None  # that all parts share; None: the part's own
    exponent: int  # of the quanta in one


class TreeSearch(SeedSearch["TreePart"]):
    """A `Search` over points in trees: for k-means++ in few dimensions.

    Whole cells are skipped, so a draw costs about what it changes: 512 centers of 400,000 points
    in three dimensions take 180 to 270 ms, the tree included, where `NearestSearch` takes 860.

    A draw goes by the children of the root and by theirs, whose cuts follow from all points, and
    then by the values of the points (`kernels.draw_below`). So nothing that is returned depends
    on threads, on the trees below that, or on the parts.
    """

    _exponent = 0  # of the quanta in one
    _totals: Integers  # of the root's children

    def add(self, center: Floats) -> None:
        """Take one more center into account."""
        is_first = len(self._centers) == 0
        self._centers = np.concatenate([self._centers, np.array(center, np.float64)[None]])
        totals, largest = self._ask(TreePart.lower)
        finest = min(TOP - log2(self._facts.n), NARROW - 1) - math.frexp(largest)[1]
        if is_first or finest >= self._exponent + FALLEN:
            self._exponent = finest
            totals, _ = self._ask(TreePart.lower)
        self._totals = totals

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n points (n, d), drawn by squared distance; any where all lie on centers."""
        ends = np.cumsum(self._totals)
        if ends[-1] == 0:
            return np.stack([self._draw_any(rng) for _ in range(n)])
        tickets = rng.integers(ends[-1], size=n)
        children = np.searchsorted(ends, tickets, side="right")
        left = tickets - np.where(children > 0, ends[children - 1], 0)
        if self._parts.is_whole:  # one call finds them all
            return self._ask(TreePart.find, children, left)
        return self._find(children.tolist(), left.tolist())

    def potentials(self, candidates: Floats) -> Floats:
        """Return, for each candidate, the sum of squared distances with it added."""
        gains = self._ask(TreePart.find_gains, np.ascontiguousarray(candidates, np.float64))
        scale = float(scale_of(self._facts))
        unit = math.ldexp(1.0, -self._exponent) / scale / scale
        return np.asarray((int(self._totals.sum()) - gains) * unit, np.float64)

    # ------------------------------------------------------------------------------ within

    def _state(self) -> tuple[type[TreePart], TreeState]:
        return TreePart, TreeState(self._number, self._centers, self._root, self._exponent)

    @cached_property
    def _root(self) -> Cut | None:
        """The cut of the root, which the parts share; one alone has its own."""
        if self._parts.is_whole:
            return None
        n = self._facts.n
        grid = grid_of_root(self._parts.ask(DensePart.every, sample_step(n)), n)
        return grid.join(self._parts.ask(DensePart.count_slots, grid.frame, grid.n_slots))

    def _find(self, children: list[int], left: list[int]) -> Floats:
        """Return the points at which running totals within children of the root pass `left`.

        What `kernels.draw_below` does, where no part holds all of the points.
        """
        cells, rest = self._find_cells(children, left)
        counted = self._ask(TreePart.count_cells, cells)
        found = zip(counted, rest, strict=True)
        return np.stack([find_in_cell(points, sums, n) for (points, sums), n in found])

    def _find_cells(
        self, children: list[int], left: list[int]
    ) -> tuple[list[tuple[int, Cut, int]], list[int]]:
        """Return the cells below children of the root that totals pass `left` in, and the rest."""
        (low, high), counts = self._boxes
        dtype = self._facts.middle.dtype
        grids = [grid_of_child(low[i], high[i], int(counts[i]), dtype) for i in children]
        slots = [(i, grid.frame, grid.n_slots) for i, grid in zip(children, grids, strict=True)]
        weighed = self._ask(TreePart.weigh_slots, slots)
        cells, rest = [], []
        for i, grid, (n_points, sums), passed in zip(children, grids, weighed, left, strict=True):
            cut = grid.join(n_points)
            totals = np.zeros(cut.n_children, np.int64)
            np.add.at(totals, np.minimum(cut.slots, cut.n_children - 1), sums)
            ends = np.cumsum(totals)
            cell = int(np.searchsorted(ends, passed, side="right"))
            cells.append((i, cut, cell))
            rest.append(passed - (int(ends[cell - 1]) if cell else 0))
        return cells, rest

    @cached_property
    def _boxes(self) -> tuple[Boxes, Integers]:
        """The boxes of the root's children, and how many points they hold."""
        return self._ask(TreePart.children)


def find_in_cell(points: Floats, whole: Integers, left: int) -> Floats:
    """Return the point (m, d) at which the running total of `whole` passes `left`.

    The order is that of `kernels.draw_below`.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    points, whole = points[whole > 0], whole[whole > 0]
    while (low < high).any():
        axis = int((low < high).argmax())
        factor = kernels.SLOTS / (high[axis] - low[axis])
        offsets = points[:, axis] - low[axis]
        places = np.where(offsets > 0.0, offsets * factor, 0.0)
        slots = np.minimum(places, kernels.SLOTS - 1).astype(np.int64)
        totals = np.zeros(kernels.SLOTS, np.int64)
        np.add.at(totals, slots, whole)
        ends = np.cumsum(totals)
        slot = int(np.searchsorted(ends, left, side="right"))
        left -= ends[slot - 1] if slot else 0
        points, whole = points[slots == slot], whole[slots == slot]
        low, high = points.min(axis=0), points.max(axis=0)
    point: Floats = low
    return point


def merge_lowered(answers: list[tuple[Integers, float]]) -> tuple[Integers, float]:
    """Add the sums, and take the largest squared distance."""
    totals, largest = zip(*answers, strict=True)
    return add(list(totals)), max(largest)


def merge_boxes(answers: list[tuple[Boxes, Integers]]) -> tuple[Boxes, Integers]:
    """Join the boxes, and add the counts."""
    boxes, counts = zip(*answers, strict=True)
    return widen(list(boxes)), add(list(counts))


def merge_counted(answers: list[list[Counted]]) -> list[Counted]:
    """Merge the points of each cell."""
    return [
        count_copies(*(np.concatenate(each) for each in zip(*cell, strict=True)))
        for cell in zip(*answers, strict=True)
    ]


def count_copies(points: Floats, whole: Integers) -> Counted:
    """Return the distinct ones of some points, and the sums of their copies."""
    distinct, which = np.unique(points, axis=0, return_inverse=True)
    totals = np.zeros(len(distinct), np.int64)
    np.add.at(totals, which.reshape(-1), whole)
    return distinct, totals


class TreePart(SearchPart[TreeState]):
    """What a `TreeSearch` knows of the points of one part."""

    def __init__(self, part: DensePart, state: TreeState) -> None:
        super().__init__(part, state)
        self._scale = scale_of(part.facts)
        self._threads = part.threads
        self._n_tried = part.n
        self._tree = tree = part.tree(state.root)
        self._closest = np.full(tree.n, INFINITE, np.uint16)
        self._far = np.full(tree.cells.start.size, INFINITE, np.uint16)
        self._potential = np.zeros(tree.cells.start.size, np.int64)
        self._exponent = state.exponent

    @merged_by(merge_lowered)
    def lower(self) -> tuple[Integers, float]:
        """Return the sums by children of the root, and the largest squared distance, scaled."""
        (largest,) = (self._far[:1].astype(np.uint32) << 15).view(np.float32)
        return self._by_child(self._potential, 0), float(largest)

    @merged_by(merge_boxes)
    def children(self) -> tuple[Boxes, Integers]:
        """Return the boxes of the children of the root, and how many points they hold."""
        cells = self._tree.cells
        boxes = self._by_child(cells.low, np.inf), self._by_child(cells.high, -np.inf)
        return boxes, self._by_child(cells.stop - cells.start, 0)

    @merged_by(concatenate)
    def find(self, children: Integers, left: Integers) -> Floats:
        """Return the points at which running totals within children of the root pass `left`."""
        tree = self._tree
        points = np.empty((left.size, tree.d))
        kernels.draw_below(
            tree.axes, tree.points, tree.cells, tree.grids, self._closest, self._potential,
            self._anchor, 1 + children, left.copy(), points,
        )  # fmt: skip
        return points

    @merged_by(add_each)
    def weigh_slots(self, asked: list[tuple[int, Array, int]]) -> tuple[Integers, ...]:
        """Return how many points each slot of grids over children of the root holds, and their sum.

        An array (2, n_slots) for each child, the frame of its grid and `n_slots`.
        """
        answers = []
        for child, frame, n_slots in asked:
            points, whole = self._of_child(child)
            slots, sums = find_slots(frame, points), np.zeros(n_slots, np.int64)
            np.add.at(sums, slots, whole)
            answers.append(np.stack([np.bincount(slots, minlength=n_slots), sums]))
        return tuple(answers)

    @merged_by(merge_counted)
    def count_cells(self, asked: list[tuple[int, Cut, int]]) -> list[Counted]:
        """Return the distinct points of cells of children of the root, and the sums of copies."""
        answers = []
        for child, cut, cell in asked:
            points, whole = self._of_child(child)
            inside = cut.slots[find_slots(cut.frame, points)] == cell
            answers.append(count_copies(points.T[inside].astype(np.float64) + 0.0, whole[inside]))
        return answers

    @merged_by(add)
    def find_gains(self, candidates: Floats) -> Integers:
        """Return by how much each candidate alone would lower the sum."""
        tree, centers = self._tree, self._in_type(candidates)
        gains = np.empty(len(centers), np.int64)

        def work(some: tuple[int, int]) -> int:
            n: int = kernels.find_gains(
                tree.axes, tree.points, tree.cells, tree.grids, centers, *some, self._scale,
                self._closest, self._far, self._anchor, gains,
            )  # fmt: skip
            return n

        units = [(0, len(centers))]
        if self._n_tried > WORTH_THREADS:  # the next draw's work is much the same
            units = [(i, i + 1) for i in range(len(centers))]
        self._n_tried = sum(self._threads.map(work, units))
        return gains

    # ------------------------------------------------------------------------------ within

    def catch_up(self, state: TreeState) -> None:
        """Take on the quanta, and the centers that are new."""
        tree = self._tree
        if state.exponent != self._exponent:
            self._exponent = state.exponent
            kernels.add_up_leaves(tree.cells, self._closest, self._potential, self._anchor)
            n = tree.grids.cell.size
            every = np.arange(n, dtype=np.int32)
            kernels.add_grids(tree.grids, every, self._far, self._potential)
        while self.n_centers < len(state.centers):
            kernels.add_center(
                tree.axes, tree.points, tree.cells, tree.grids,
                self._in_type(state.centers[self.n_centers]), self._scale, self._closest, self._far,
                self._potential, self._anchor,
            )  # fmt: skip
            self.n_centers += 1

    @property
    def _anchor(self) -> float:
        return as_anchors((math.ldexp(1.0, -self._exponent),))[0]

    def _in_type(self, centers: Floats) -> Array:
        return np.ascontiguousarray(centers, self._tree.points.dtype)

    def _of_child(self, child: int) -> tuple[Array, Integers]:
        """Return the points of a child of the root (d, m), and their sums in quanta."""
        tree = self._tree
        place = int(np.searchsorted(tree.children, child))
        some = slice(0)
        if place < tree.children.size and tree.children[place] == child:
            some = slice(tree.cells.start[1 + place], tree.cells.stop[1 + place])
        numbers = (self._closest[some].astype(np.uint32) << 15).view(np.float32)
        whole = np.rint(np.ldexp(numbers.astype(np.float64), self._exponent)).astype(np.int64)
        return tree.points[:, some], whole

    def _by_child(self, of_cells: Array, empty: float) -> Array:
        """Return something of the cells, for each child of the root."""
        children, shape = self._tree.children, (self._tree.root.n_children, *of_cells.shape[1:])
        if children.size == shape[0] and of_cells.ndim == 1:  # all of them are here
            return of_cells[1 : 1 + children.size].copy()
        kind = np.dtype(np.float64 if of_cells.dtype.kind == "f" else of_cells.dtype)
        of_children = np.full(shape, empty, kind)
        of_children[children] = of_cells[1 : 1 + children.size]
        of_children += kind.type(0)  # no negative zeros
        return of_children

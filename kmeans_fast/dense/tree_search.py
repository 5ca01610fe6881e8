"""The squared distance of each point to the nearest centre so far, over a tree of cells."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..exact.quanta import NARROW, Integers, as_anchors, log2
from ..kernels import tree_seeds as kernels
from ..threads import cached_property
from .parts import LocalPart, add, concatenate, numbers, widen
from .tree import Cut, find_slots, grid_of_child, grid_of_root, sample_step

if TYPE_CHECKING:
    from .part import DensePart, Facts
    from .points import DensePoints

Floats = NDArray[np.float64]
Counted = tuple[Floats, Integers]  # distinct points (m, d), and a sum for each (m,)

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


class TreeSearch:
    """A `Search` over points in trees: for k-means++ in few dimensions.

    Whole cells are skipped, so a draw costs about what it changes: 512 centers of 400,000 points
    in three dimensions take 180 to 270 ms, the tree included, where `NearestSearch` takes 860.

    A draw goes by the children of the root and by theirs, whose cuts follow from all points, and
    then by the values of the points (`kernels.draw_below`). So nothing that is returned depends
    on threads, on the trees below that, or on the parts.
    """

    def __init__(self, points: DensePoints) -> None:
        self._of = points
        self._scale = scale_of(points.facts)
        self._token = next(numbers)
        self._centers = np.empty((0, points.n_features))
        self._exponent = 0  # of the quanta in one
        self._totals = np.empty(0, np.int64)  # of the root's children
        self._cuts: dict[int, Cut | None] = {}  # of those that were drawn from

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
        ends = np.cumsum(self._totals)
        if ends[-1] == 0:
            return np.stack([self._of.draw(rng) for _ in range(n)])
        tickets = rng.integers(ends[-1], size=n)
        children = np.searchsorted(ends, tickets, side="right")
        left = tickets - np.where(children > 0, ends[children - 1], 0)
        if isinstance(self._of._parts, LocalPart):  # one call finds them all
            points: Floats = self._ask(concatenate, "find", children, left)
            return points
        return self._find(children, left)

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
    def _root(self) -> Cut | None:
        """The cut of the root, which the parts share; one alone has its own."""
        if isinstance(self._of._parts, LocalPart):
            return None
        n = self._of._n
        grid = grid_of_root(self._of.ask(concatenate, "every", sample_step(n)), n)
        return grid.join(self._of.ask(add, "count_slots", grid.frame, grid.n_slots))

    def _find(self, children: Integers, left: Integers) -> Floats:
        """Return the points at which running totals within children of the root pass `left`.

        What `kernels.draw_below` does, where no part holds all of the points.
        """
        self._cut_children(set(children.tolist()) - set(self._cuts))
        whole = [(child, self._cuts[child]) for child in children.tolist()]
        some, rest = [], []
        for (child, cut), totals, passed in zip(
            whole, self._ask(add, "add_up_cells", whole), left.tolist(), strict=True
        ):
            ends = np.cumsum(totals)
            cell = int(np.searchsorted(ends, passed, side="right"))
            some.append((child, cut, cell))
            rest.append(passed - (int(ends[cell - 1]) if cell else 0))
        counted = self._ask(_merge_counted, "count_cells", some)
        found = zip(counted, rest, strict=True)
        return np.stack([find_in_cell(points, sums, n) for (points, sums), n in found])

    def _cut_children(self, new: set[int]) -> None:
        """Find how some children of the root are cut; leaves are not."""
        (low, high), counts = self._children
        dtype = self._of.facts.middle.dtype
        grids = {}
        for child in sorted(new):
            grid = grid_of_child(low[child], high[child], int(counts[child]), dtype)
            self._cuts[child] = None
            if grid is not None:
                grids[child] = grid
        if grids:
            asked = [(child, grid.frame, grid.n_slots) for child, grid in grids.items()]
            held = self._ask(add, "count_slots", asked)
            for (child, grid), counts in zip(grids.items(), held, strict=True):
                self._cuts[child] = grid.join(counts)

    @cached_property
    def _children(self) -> tuple[tuple[Floats, Floats], Integers]:
        """The boxes of the root's children, and how many points they hold."""
        found: tuple[tuple[Floats, Floats], Integers] = self._ask(_widen_and_add, "children")
        return found


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


class TreePart:
    """What a `TreeSearch` knows of the points of one part.

    Every method takes the centers so far, the root and the exponent of the quanta, and catches up
    with them.
    """

    def __init__(self, part: DensePart, token: int) -> None:
        self.token = token
        self.n_centers = 0
        self._of = weakref.proxy(part)  # who keeps this search: no circle, so memory goes at once
        self._scale = scale_of(part.facts)
        self._n_tried = part.n
        self._is_ready = False

    def lower(
        self, centers: Floats, root: Cut | None, exponent: int
    ) -> tuple[Integers, NDArray[np.float32]]:
        """Return the sums by children of the root, and the largest squared distance, scaled."""
        self._catch_up(centers, root, exponent)
        largest = (self._far[:1].astype(np.uint32) << 15).view(np.float32)
        return self._by_child(self._potential, 0), largest

    def children(
        self, centers: Floats, root: Cut | None, exponent: int
    ) -> tuple[tuple[Floats, Floats], Integers]:
        """Return the boxes of the children of the root, and how many points they hold."""
        self._catch_up(centers, root, exponent)
        cells = self._tree.cells
        boxes = self._by_child(cells.low, np.inf), self._by_child(cells.high, -np.inf)
        return boxes, self._by_child(cells.stop - cells.start, 0)

    def find(
        self, centers: Floats, root: Cut | None, exponent: int, children: Integers, left: Integers
    ) -> Floats:
        """Return the points at which running totals within children of the root pass `left`."""
        self._catch_up(centers, root, exponent)
        tree = self._tree
        points = np.empty((left.size, tree.d))
        kernels.draw_below(
            tree.axes, tree.points, tree.cells, tree.grids, self._closest, self._potential,
            self._anchor, 1 + children, left.copy(), points,
        )  # fmt: skip
        return points

    def count_slots(
        self,
        centers: Floats,
        root: Cut | None,
        exponent: int,
        asked: list[tuple[int, NDArray[Any], int]],
    ) -> tuple[Integers, ...]:
        """Return how many points each slot of grids over children of the root holds."""
        self._catch_up(centers, root, exponent)
        return tuple(
            np.bincount(find_slots(frame, self._of_child(child)[0]), minlength=n_slots)
            for child, frame, n_slots in asked
        )

    def add_up_cells(
        self,
        centers: Floats,
        root: Cut | None,
        exponent: int,
        asked: list[tuple[int, Cut | None]],
    ) -> tuple[Integers, ...]:
        """Return the sums of the cells that children of the root are cut into."""
        self._catch_up(centers, root, exponent)
        answers = []
        for child, cut in asked:
            points, whole = self._of_child(child)
            if cut is None:
                answers.append(whole.sum(keepdims=True))
                continue
            totals = np.zeros(cut.n_children, np.int64)
            np.add.at(totals, cut.slots[find_slots(cut.frame, points)], whole)
            answers.append(totals)
        return tuple(answers)

    def count_cells(
        self,
        centers: Floats,
        root: Cut | None,
        exponent: int,
        asked: list[tuple[int, Cut | None, int]],
    ) -> list[Counted]:
        """Return the distinct points of such cells, and the sums of their copies."""
        self._catch_up(centers, root, exponent)
        answers = []
        for child, cut, cell in asked:
            points, whole = self._of_child(child)
            if cut is not None:
                inside = cut.slots[find_slots(cut.frame, points)] == cell
                points, whole = points[:, inside], whole[inside]
            answers.append(count_copies(points.T.astype(np.float64) + 0.0, whole))
        return answers

    def find_gains(
        self, centers: Floats, root: Cut | None, exponent: int, candidates: Floats
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

    def _catch_up(self, centers: Floats, root: Cut | None, exponent: int) -> None:
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
        return np.ascontiguousarray(centers, self._tree.points.dtype)

    def _of_child(self, child: int) -> tuple[NDArray[Any], Integers]:
        """Return the points of a child of the root (d, m), and their sums in quanta."""
        tree = self._tree
        place = int(np.searchsorted(tree.children, child))
        some = slice(0)
        if place < tree.children.size and tree.children[place] == child:
            some = slice(tree.cells.start[1 + place], tree.cells.stop[1 + place])
        numbers = (self._closest[some].astype(np.uint32) << 15).view(np.float32)
        whole = np.rint(np.ldexp(numbers.astype(np.float64), self._exponent)).astype(np.int64)
        return tree.points[:, some], whole

    def _by_child(self, of_cells: NDArray[Any], empty: float) -> NDArray[Any]:
        """Return something of the cells, for each child of the root."""
        children, shape = self._tree.children, (self._tree.root.n_children, *of_cells.shape[1:])
        if children.size == shape[0] and of_cells.ndim == 1:  # all of them are here
            return of_cells[1 : 1 + children.size].copy()
        kind = np.dtype(np.float64 if of_cells.dtype.kind == "f" else of_cells.dtype)
        of_children = np.full(shape, empty, kind)
        of_children[children] = of_cells[1 : 1 + children.size]
        of_children += kind.type(0)  # no negative zeros
        return of_children


def _add_and_most(answers: list[tuple[Integers, Any]]) -> tuple[Integers, Any]:
    """Add the first, and take the largest of the second."""
    totals, most = zip(*answers, strict=True)
    return np.sum(totals, axis=0), np.max(most, axis=0)


def _widen_and_add(
    answers: list[tuple[tuple[Floats, Floats], Integers]],
) -> tuple[tuple[Floats, Floats], Integers]:
    """Join the boxes, and add the counts."""
    boxes, counts = zip(*answers, strict=True)
    return widen(list(boxes)), np.sum(counts, axis=0)


def _merge_counted(answers: list[list[Counted]]) -> list[Counted]:
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

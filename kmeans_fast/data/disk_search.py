"""The tree's search for starting points, where a draw must not bring many of them together.

`TreeSearch` fetches all points of the cell that a draw has come to: of a hundred million points
they can be millions. Here the parts keep them, and say what they add up to, until few are left.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..dense.points import PointsInParts
from ..dense.questions import Array, Floats, add_each, merged_by
from ..dense.search import NearestSearch
from ..dense.tree import Cut, find_slots
from ..dense.tree_search import (
    Counted,
    TreePart,
    TreeSearch,
    TreeState,
    count_copies,
    find_in_cell,
    merge_counted,
)
from ..exact.quanta import Integers
from ..kernels import tree_seeds as kernels

FEW = 1 << 15  # points that are fetched


class Boxed(NamedTuple):
    """How many points there are, and where."""

    n: int
    low: Floats
    high: Floats


class Sliced(NamedTuple):
    """Where slots of one coordinate lie (`kernels.draw_below`), and which of them is meant."""

    axis: int
    low: float
    factor: float
    slot: int = -1

    def slots_of(self, points: Array) -> Integers:
        """Return the slot of each point (m, d)."""
        offsets = points[:, self.axis].astype(np.float64) - self.low
        places = np.where(offsets > 0.0, offsets * self.factor, 0.0)
        slots: Integers = np.minimum(places, kernels.SLOTS - 1).astype(np.int64)
        return slots


def merge_boxed(answers: list[list[Boxed]]) -> list[Boxed]:
    """Join the boxes of each cell."""
    return [
        Boxed(
            sum(each.n for each in cell),
            np.minimum.reduce([each.low for each in cell]),
            np.maximum.reduce([each.high for each in cell]),
        )
        for cell in zip(*answers, strict=True)
    ]


class HoldingTreePart(TreePart):
    """A `TreePart` that holds the points of some cells from one question to the next."""

    _held: list[tuple[Array, Integers]]  # of each cell points (m, d) and their sums in quanta

    @merged_by(merge_boxed)
    def hold(self, asked: list[tuple[int, Cut, int]]) -> list[Boxed]:
        """Hold the points of cells of children of the root; return how many they are, and where."""
        self._held = []
        for child, cut, cell in asked:
            points, whole = self._of_child(child)
            inside = np.flatnonzero(cut.slots[find_slots(cut.frame, points)] == cell)
            self._held.append((points.T[inside], whole[inside]))
        return self._boxes()

    @merged_by(add_each)
    def weigh_held(self, asked: list[Sliced | None]) -> tuple[Integers, ...]:
        """Return the sums by slots, for each cell that is asked about."""
        answers = []
        for sliced, (points, whole) in zip(asked, self._held, strict=True):
            totals = np.zeros(kernels.SLOTS, np.int64)
            if sliced is not None:
                np.add.at(totals, sliced.slots_of(points), whole)
            answers.append(totals)
        return tuple(answers)

    @merged_by(merge_boxed)
    def narrow(self, asked: list[Sliced | None]) -> list[Boxed]:
        """Let go of all points but those of a slot that have a sum."""
        for at, sliced in enumerate(asked):
            if sliced is not None:
                points, whole = self._held[at]
                kept = (sliced.slots_of(points) == sliced.slot) & (whole > 0)
                self._held[at] = points[kept], whole[kept]
        return self._boxes()

    @merged_by(merge_counted)
    def fetch(self, asked: list[bool]) -> list[Counted]:
        """Return the distinct points of the cells asked for, and hold none any more."""
        held, self._held = self._held, []
        return [
            count_copies(*((points.astype(np.float64) + 0.0, whole) if asks else self._none()))
            for asks, (points, whole) in zip(asked, held, strict=True)
        ]

    def _boxes(self) -> list[Boxed]:
        infinite = np.full(self._tree.d, np.inf)
        return [
            Boxed(
                len(points),
                points.min(axis=0, initial=np.inf).astype(np.float64) + 0.0,
                points.max(axis=0, initial=-np.inf).astype(np.float64) + 0.0,
            )
            if len(points)
            else Boxed(0, infinite, -infinite)
            for points, _ in self._held
        ]

    def _none(self) -> Counted:
        return np.empty((0, self._tree.d)), np.empty(0, np.int64)


class HoldingTreeSearch(TreeSearch):
    """A `TreeSearch` that draws the same points, and fetches few."""

    def _state(self) -> tuple[type[TreePart], TreeState]:
        return HoldingTreePart, super()._state()[1]

    def _find(self, children: list[int], left: list[int]) -> Floats:
        ask: Any = self._ask  # of a part that is more than a `TreePart`
        cells, left = self._find_cells(children, left)
        boxes: list[Boxed] = ask(HoldingTreePart.hold, cells)
        while True:
            asked = [self._slice(box) for box in boxes]
            if not any(asked):
                break
            weighed = ask(HoldingTreePart.weigh_held, asked)
            for at, (sliced, totals) in enumerate(zip(asked, weighed, strict=True)):
                if sliced is not None:
                    ends = np.cumsum(totals)
                    slot = int(np.searchsorted(ends, left[at], side="right"))
                    left[at] -= int(ends[slot - 1]) if slot else 0
                    asked[at] = sliced._replace(slot=slot)
            boxes = ask(HoldingTreePart.narrow, asked)
        differ = [bool((box.low < box.high).any()) for box in boxes]
        fetched = ask(HoldingTreePart.fetch, differ)
        found = zip(differ, boxes, fetched, left, strict=True)
        return np.stack(
            [
                find_in_cell(points, sums, rest) if several else box.low
                for several, box, (points, sums), rest in found
            ]
        )

    def _slice(self, box: Boxed) -> Sliced | None:
        """Return slots along the first axis that differs; None where few are left, or one point."""
        differ = box.low < box.high
        if box.n <= FEW or not differ.any():
            return None
        axis = int(differ.argmax())
        low, high = float(box.low[axis]), float(box.high[axis])
        return Sliced(axis, low, kernels.SLOTS / (high - low))


class PointsInPartsOnDisk(PointsInParts):
    """The point set of parts on disk."""

    def nearest_search(self) -> NearestSearch | TreeSearch:
        """Return a search for the points that lie far from the centers chosen so far."""
        search = super().nearest_search()
        if isinstance(search, TreeSearch):
            return HoldingTreeSearch(self.facts, self.parts, self.draw)
        return search

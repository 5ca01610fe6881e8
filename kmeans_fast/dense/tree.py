"""Dense points in few dimensions, in a tree of cells that are assigned whole (`kernels.tree`)."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..exact.quanta import Integers, as_anchors
from ..kernels import tree as kernels
from ..kernels import tree_filter
from ..threads import Threads
from .questions import Array, Floats

MOST_FEATURES = 4
# The first cut: slots of its grid, so many that half a leaf fits one, and points sampled for it.
ROOT_BITS, SAMPLE = 9, 4096
# Points in a unit of work on the data, of which there are no more than so many: each counts
# its points by slots.
CHUNK, MOST_CHUNKS = 8192, 64
# Scratch to sort a cell in, 8 bytes a point, is for so many. Larger cells are sorted in place,
# which changes the order: so this must not go by the number of threads.
ROOM = 2**16
# Cells that the points of a leaf come to at most; where they do not, the build starts again.
CELLS_PER_LEAF = 4
# Units of work for each thread, of unequal cost.
TASKS = 4

# Where a tree pays. Ten iterations and labels of 400,000 float32 points in ms, two cores at 3.2
# GHz (AVX2): with a tree and with `Assignment`.
#
#                        K = 8       K = 64      K = 512
#   d = 2, clusters      28 / 46
#   d = 3, clusters      30 / 44     46 / 103    69 / 173
#   d = 3, uniform       34 / 53
#   d = 3, photograph    37 / 48
#
# The build and the labels take two thirds of it at K = 8. 20,000 points break even at K = 128 or
# so: 4.0 against 1.9 ms at K = 64, 10 against 15 at 512.
LEAST_CLUSTERS = (4, 4, 6, 32)  # by d
LEAST_POINTS, LEAST_DISTANCES = 20_000, 2_500_000


def pays(n: int, d: int, k: int) -> bool:
    """Return whether ten iterations are faster with a tree than by brute force."""
    return (
        d <= MOST_FEATURES
        and k >= LEAST_CLUSTERS[d - 1]
        and n >= LEAST_POINTS
        and n * k >= LEAST_DISTANCES
    )


def seeds(n: int, d: int) -> bool:
    """Return whether k-means++ is faster with a tree, which its iterations can then use."""
    return d <= MOST_FEATURES and n >= LEAST_POINTS


class Cut(NamedTuple):
    """How a cell is cut: into the same children for all parts that share its points."""

    frame: Array  # (4, d): its grid (`kernels.Grids`)
    slots: Array  # (slots,) int32: the child of each slot
    n_children: int

    def is_same(self, other: Cut) -> bool:
        """Tell whether it cuts the points alike."""
        return np.array_equal(self.frame, other.frame) and np.array_equal(self.slots, other.slots)


class Grid(NamedTuple):
    """The grid of a cell, before it is known how many points its slots hold."""

    frame: Array
    codes: Array  # the slots in an order in which neighbours can be joined
    n_bits: int

    @property
    def n_slots(self) -> int:
        """The number of slots."""
        return 1 << self.n_bits

    def join(self, counts: Integers) -> Cut:
        """Return the cut of points of which each slot holds so many."""
        slots, ends = np.empty(self.n_slots, np.int32), np.empty(self.n_slots, np.int64)
        n = kernels.join_slots(self.codes, self.n_bits, counts, slots, ends)
        return Cut(self.frame, slots, n)


def sample_step(n: int) -> int:
    """Return that every so many-th of `n` points is in the sample for the root."""
    return -(-n // SAMPLE)


def grid_of_root(sample: Array, n: int) -> Grid:
    """Lay a grid over the middle of a sample, so that no outliers leave the rest in one slot."""
    ordered = np.sort(sample.astype(np.float64), axis=0)
    edge = len(sample) // 64
    most = max(n // (kernels.LEAF // 2), 1).bit_length() - 1
    return _lay(ordered[edge], ordered[-1 - edge], min(ROOT_BITS, most), sample.dtype)


def grid_of_child(low: Floats, high: Floats, n: int, dtype: np.dtype[Any]) -> Grid:
    """Return the grid of a child of the root, as `kernels.grow_cells` lays it."""
    n_bits = 0  # one slot, of a leaf
    if n > kernels.LEAF:
        n_bits = kernels.SPARE_BITS
        while n_bits < kernels.MOST_BITS and (kernels.LEAF << (n_bits - kernels.SPARE_BITS)) < n:
            n_bits += 1
    return _lay(low, high, n_bits, dtype)


def _lay(low: Floats, high: Floats, n_bits: int, dtype: np.dtype[Any]) -> Grid:
    axes = tuple(range(low.size))
    codes, frame = np.empty(1 << n_bits, np.int32), np.empty((4, low.size), dtype)
    n_bits = kernels.choose_grid(axes, n_bits, low, high, frame, codes)
    return Grid(frame, codes, n_bits)


def find_slots(frame: Array, points: Array) -> Array:
    """Return the slots of points of a tree's copy (d, n), as `kernels.code_points` finds them."""
    low, factor, last, step = (row[:, None] for row in frame)
    places = np.floor(np.maximum(np.minimum((points - low) * factor, last), 0))
    slots: Array = (places * step).sum(axis=0).astype(np.int32)
    return slots


def cut(n: int) -> list[tuple[int, int]]:
    """Return units of work on the data."""
    size = max(CHUNK, -(-n // MOST_CHUNKS))
    return [(at, min(at + size, n)) for at in range(0, n, size)]


def count_slots(
    values: Array, frame: Array, n_slots: int, threads: Threads
) -> tuple[Array, Integers]:
    """Return the slot of each point (n,), and the counts of each unit of work: (units, slots)."""
    slot_of = np.empty(len(values), np.uint16)
    axes, flat = tuple(range(values.shape[1])), values.reshape(-1)

    def count(chunk: tuple[int, int]) -> Array:
        counts = np.zeros(n_slots, np.int64)
        kernels.count_rows(axes, flat, *chunk, frame, slot_of, counts)
        return counts

    return slot_of, np.array(threads.map(count, cut(len(values))))


class Tree:
    """Cells over the points, of any number of clusters.

    Parameters
    ----------
    values : ndarray of float32 or float64, shape (n, d)
        Finite, in C order, with d at most `MOST_FEATURES`.
    threads : Threads
    quanta : tuple of float
        The quanta of the values.
    root : Cut, optional
        That of more points than these.

    Attributes
    ----------
    root : Cut
    children : ndarray, shape (n_children,)
        Which of the root's children have points here.
    """

    def __init__(
        self,
        values: Array,
        threads: Threads,
        quanta: tuple[float, ...],
        root: Cut | None = None,
    ) -> None:
        self.values = values
        self.n: int = values.shape[0]
        self.d: int = values.shape[1]
        self.flat: Array = values.reshape(-1)
        self.axes: tuple[int, ...] = tuple(range(self.d))
        self.anchors: tuple[float, ...] | Floats = as_anchors(quanta)
        self._threads = threads
        self.chunks: list[tuple[int, int]] = cut(self.n)
        self.points: Array = np.empty((self.d, self.n + tree_filter.LANES), values.dtype)
        self.points[:, self.n :] = 0.0
        self.root: Cut
        self.children: Integers
        self.cells: kernels.Cells
        self.grids: kernels.Grids
        self.root, self.children, ends, slots = self._cut_root(root)
        self.cells, self.grids = self._grow(ends, (self.root.frame, slots))
        kernels.add_children(self.cells, self.grids)
        n_children = self.grids.n_children
        self.most_waiting: int = (kernels.MOST_LEVELS + 1) * int(n_children.max())
        self.tasks: list[Array] = self._cut_tasks()

    def _cut_root(self, root: Cut | None) -> tuple[Cut, Integers, Integers, Array]:
        """Copy the points in the order of the root's children.

        Returns the root, which of its children have points, where each of these ends, and which
        of these each slot belongs to.
        """
        if root is None:
            grid = grid_of_root(self.values[:: sample_step(self.n)], self.n)
            slot_of, counts = count_slots(self.values, grid.frame, grid.n_slots, self._threads)
            root = grid.join(counts.sum(axis=0))
        else:
            slot_of, counts = count_slots(self.values, root.frame, root.slots.size, self._threads)
        held = counts.sum(axis=0)
        child_of = np.minimum(root.slots, root.n_children - 1)  # the last may hold nothing
        totals = np.zeros(root.n_children, np.int64)
        np.add.at(totals, child_of, held)
        children = np.flatnonzero(totals)
        slots = np.maximum(np.cumsum(totals > 0) - 1, 0).astype(np.int32)[child_of]
        ends = np.cumsum(totals[children])
        places = np.empty((len(self.chunks), ends.size), np.int64)
        kernels.share_out(counts, slots, ends, places)
        self._threads.map(
            lambda i: kernels.copy_rows(
                self.axes, self.flat, *self.chunks[i], slot_of, slots, places[i], self.points
            ),
            range(len(self.chunks)),
        )
        return root, children, ends, slots

    def _grow(
        self, ends: Integers, root: tuple[Array, Array]
    ) -> tuple[kernels.Cells, kernels.Grids]:
        """Cut the root's children; return all cells."""
        pieces = 2 * TASKS * self._threads.n
        cuts = np.searchsorted(ends, np.arange(1, pieces + 1) * (self.n / pieces))
        edges = np.unique(np.concatenate([[0], cuts, [ends.size]]))
        starts = np.concatenate([[0], ends[:-1]])
        spare: list[tuple[Array, Array]] = []
        branches = [slice(a, b) for a, b in zip(edges[:-1], edges[1:], strict=True)]
        n_tops = np.diff(edges)
        n_points = np.array([ends[one.stop - 1] - starts[one.start] for one in branches])

        def grow(i: int) -> tuple[int, int, int]:
            children, n = branches[i], int(n_tops[i])
            size = min(int((ends[children] - starts[children]).max()), ROOM)
            try:
                to, other = spare.pop()
            except IndexError:
                to, other = np.empty(0, np.int32), self.points[0, :0]
            if to.size < size:
                to, other = np.empty(size, np.int32), np.empty(size, self.points.dtype)
            some = _some_cells(cells, slice(at_cell[i], at_cell[i + 1]))
            some.start[:n], some.stop[:n] = starts[children], ends[children]
            grown: tuple[int, int, int] = kernels.grow_cells(
                self.axes, self.points, some,
                _some_grids(grids, slice(at_grid[i], at_grid[i + 1]),
                            slice(at_slot[i], at_slot[i + 1])),
                n, to, other, self.anchors,
            )  # fmt: skip
            spare.append((to, other))
            return grown

        share = CELLS_PER_LEAF
        while True:  # what is never written to is no memory: there may be plenty of room
            room = n_tops + share * n_points // kernels.LEAF + 64
            at_cell = np.cumsum([1, *room])
            at_grid = np.cumsum([1, *(room // 2)])
            at_slot = np.cumsum([root[1].size, *(4 * room + (1 << kernels.MOST_BITS))])
            cells, grids = self._make(at_cell[-1], at_grid[-1], at_slot[-1])
            grown = self._threads.map(grow, range(len(branches)))
            if min(n for n, _, _ in grown) >= 0:
                break
            share *= 4
        # Put the branches together, and number their cells, grids and slots anew.
        tops, rest, inner = [], [], []
        top, n_cells, n_grids, n_slots = 1, 1 + ends.size, 1, root[1].size
        for i, (n, m, o) in enumerate(grown):
            k = int(n_tops[i])
            some = _some_cells(cells, slice(at_cell[i], at_cell[i] + n))
            few = _some_grids(
                grids, slice(at_grid[i], at_grid[i] + m), slice(at_slot[i], at_slot[i] + o)
            )
            below = n_cells - k
            some.inner[some.inner >= 0] += n_grids
            few.cell[:] += np.where(few.cell < k, top, below).astype(np.int32)
            few.child[:] += below
            few.first[:] += n_slots
            few.slots[:] += below
            tops.append(_some_cells(some, slice(k)))
            rest.append(_some_cells(some, slice(k, None)))
            inner.append(few)
            top, n_cells, n_grids, n_slots = top + k, n_cells + n - k, n_grids + m, n_slots + o
        spare.clear()
        # The root, whose box and sums are never looked at.
        whole = _some_cells(cells, slice(1))
        first = _some_grids(grids, slice(1), slice(root[1].size))
        whole.start[0], whole.stop[0], whole.inner[0] = 0, self.n, 0
        whole.low[0] = whole.high[0] = 0
        first.cell[0], first.child[0], first.n_children[0] = 0, 1, ends.size
        first.first[0], first.frame[0] = 0, root[0]
        first.slots[:] = root[1] + 1
        # Copies, for what a branch wrote to beyond these is memory.
        all_cells = zip(whole, *tops, *rest, strict=True)
        all_grids = zip(first, *inner, strict=True)
        return kernels.Cells(*map(np.concatenate, all_cells)), kernels.Grids(
            *map(np.concatenate, all_grids)
        )

    def _make(self, n: int, n_grids: int, n_slots: int) -> tuple[kernels.Cells, kernels.Grids]:
        """Return room for cells."""
        d, dtype = self.d, self.points.dtype
        return kernels.Cells(
            start=np.empty(n, np.int64),
            stop=np.empty(n, np.int64),
            inner=np.empty(n, np.int32),
            low=np.empty((n, d), dtype),
            high=np.empty((n, d), dtype),
            sums=np.empty((n, len(self.anchors), d), np.int64),
        ), kernels.Grids(
            cell=np.empty(n_grids, np.int32),
            child=np.empty(n_grids, np.int32),
            n_children=np.empty(n_grids, np.int32),
            first=np.empty(n_grids, np.int32),
            frame=np.empty((n_grids, 4, d), dtype),
            slots=np.empty(n_slots, np.int32),
        )

    def _cut_tasks(self) -> list[Array]:
        """Return runs of sibling cells, in about as many units of work as pay."""
        pieces = TASKS * self._threads.n if self._threads.n > 1 else 1
        runs = np.empty((self.cells.start.size, 3), np.int64)
        limit = self.n if pieces == 1 else self.n // (2 * pieces)
        runs = runs[: kernels.cut_runs(limit, self.cells, self.grids, runs)]
        ends = np.cumsum(runs[:, 2])
        cuts = np.searchsorted(ends, np.arange(1, pieces) * (self.n / pieces))
        return [part for part in np.split(runs, np.unique(cuts)) if len(part)]


def _some_cells(cells: kernels.Cells, some: slice) -> kernels.Cells:
    return kernels.Cells(*(each[some] for each in cells))


def _some_grids(grids: kernels.Grids, some: slice, slots: slice) -> kernels.Grids:
    *rest, all_slots = grids
    cell, child, n_children, first, frame = (each[some] for each in rest)
    return kernels.Grids(cell, child, n_children, first, frame, all_slots[slots])

"""The nearest centroid of each dense point in few dimensions, whole cells of a tree at a time."""

from __future__ import annotations

import numpy as np

from ..exact.quanta import Integers
from ..kernels import tree_filter, tree_labels
from ..threads import Threads
from .assignment import fewest_types
from .questions import Array, Floats
from .tree import Tree


class TreeAssignment:
    """Labels and sums of dense points for `k` clusters; each update is one assignment.

    Parameters
    ----------
    tree : Tree
        The tree over these points, which have no weights.
    n_clusters : int
    threads : Threads
    """

    def __init__(self, tree: Tree, n_clusters: int, threads: Threads) -> None:
        self.k = n_clusters
        self.tree = tree
        self._threads = threads
        self._centroids = np.empty((n_clusters, tree.d))
        self._sorted = np.empty(tree.n + tree_filter.LANES, fewest_types(n_clusters))
        self._labels: Array | None = None
        self._owner = np.empty(tree.cells.start.size, np.int32)
        self._valid = False
        self.values: Integers = np.zeros((n_clusters, len(tree.anchors), tree.d), np.int64)
        self.totals: Integers = np.zeros((n_clusters, 1), np.int64)

    def update(self, centroids: Floats) -> None:
        """Assign every point to its nearest centroid."""
        if not self._valid:
            self._owner[:] = tree_filter.NOBODY
            self.values[:] = 0
            self.totals[:] = 0
        self._valid = False  # until all is done: Ctrl-C may come
        self._labels = None
        self._centroids = np.ascontiguousarray(centroids, dtype=np.float64)
        tree = self.tree

        def assign(runs: Array) -> tuple[Integers, Integers]:
            sums, counts = np.zeros_like(self.values), np.zeros(self.k, np.int64)
            tree_filter.filter_cells(
                tree.axes, runs, tree.points, tree.cells, tree.grids, self._centroids,
                tree.most_waiting, self._owner, self._sorted, tree.anchors, sums, counts,
            )  # fmt: skip
            return sums, counts

        for sums, counts in self._threads.map(assign, tree.tasks):
            self.values += sums
            self.totals[:, 0] += counts
        self._valid = True

    @property
    def labels(self) -> Array:
        """The labels in the order of the data."""
        if self._labels is None:
            self._labels = self._find_labels()
        return self._labels

    def _find_labels(self) -> Array:
        tree = self.tree
        n_cells = tree.cells.start.size
        edges = np.linspace(0, n_cells, 2 * self._threads.n + 1).astype(int)
        ends = np.zeros(n_cells + 1, np.int64)

        def collect(out: Array | None) -> None:
            self._threads.map(
                lambda i: tree_labels.list_labels(
                    tree.cells, self._sorted, edges[i], edges[i + 1],
                    np.full(self.k, -1, np.int32), ends, out,
                ),
                range(len(edges) - 1),
            )  # fmt: skip

        collect(None)
        np.cumsum(ends, out=ends)
        lists = np.zeros(ends[-1] + 1, self._sorted.dtype)
        collect(lists)
        mixed = np.where(tree.cells.inner >= 0, -2 - tree.cells.inner, -1)
        state = np.where(self._owner >= 0, self._owner, mixed).astype(np.int32)
        out = np.empty(tree.n, self._sorted.dtype)
        self._threads.map(
            lambda chunk: tree_labels.label_rows(
                tree.axes, tree.flat, *chunk, tree.grids, state, ends, lists,
                self._centroids, out,
            ),
            tree.chunks,
        )  # fmt: skip
        return out

"""An assignment of colours to centroids, brought up to date from one iteration to the next."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..kernels import cells, filtering, leaves
from ..threads import Threads
from .keys import ColorFormat

Array = NDArray[Any]

# Shares of the colours for each thread, for they are uneven in what they cost. A run has no more
# than a share. With half and a quarter of that, more cells are held against all centroids: 5 and
# 15 % slower (two threads, K = 256).
SHARES = 4


class CellTree(NamedTuple):
    """The colours in a tree of cells; the arrays are those of `kernels.cells`."""

    form: ColorFormat
    colors: Array
    weights: Array
    links: Array
    boxes: Array
    moments: Array
    runs: Array  # of siblings that have all colours, each for one thread at a time

    @property
    def n_colors(self) -> int:
        """The number of colours."""
        return int(self.links[1, 0])


def cut_runs(links: Array, n_threads: int) -> Array:
    """Return runs of siblings for threads to share out: rows of the first one and the number."""
    start, stop = links[:2]
    n, m = start.size, int(stop[0])
    n_shares = SHARES * n_threads if n_threads > 1 else 1
    runs = np.empty((n, 3), np.int64)
    runs = runs[: cells.cut_cells(m // n_shares, links, runs)]
    if n_shares == 1:
        return runs
    top = np.concatenate([np.arange(first, first + size) for first, size, _ in runs])
    run = np.repeat(np.arange(len(runs)), runs[:, 1])
    ends = np.cumsum(stop[top] - start[top])
    share = np.searchsorted(np.arange(1, n_shares) * (m / n_shares), ends - 1, side="right")
    # A row for each run, or part of one that is in one share.
    cuts = np.flatnonzero((np.diff(run) != 0) | (np.diff(share) != 0)) + 1
    firsts = np.concatenate([[0], cuts])
    sizes = np.diff(np.concatenate([firsts, [top.size]]))
    return np.stack([top[firsts], sizes], axis=1)


class Assignment:
    """The nearest centroid of each colour, and what is known of cells until centroids move.

    Parameters
    ----------
    tree : CellTree
    n_clusters : int
    threads : Threads

    Attributes
    ----------
    labels : ndarray of int32, shape (m + LANES,)
    sums : ndarray of int64, shape (k, 1 + c)
        The weight and the weighted sum of each channel, for each cluster.
    """

    def __init__(self, tree: CellTree, n_clusters: int, threads: Threads) -> None:
        k, n = n_clusters, len(tree.moments)
        self._tree = tree
        self._threads = threads
        # At first all colours belong to a cluster of their own, number k.
        self.labels: Array = np.full(tree.n_colors + leaves.LANES, k, np.int32)
        self._running = np.zeros((k + 1, tree.moments.shape[1]), np.int64)
        self._running[k] = tree.moments[0]
        self._middles = np.zeros(n, np.int32)
        self._owners = np.full(n, k, np.int32)
        self._left = np.full(n, -np.inf)
        self._near = np.empty((n, 1 + leaves.NEAR), np.int32)
        self._rooms = np.empty(n)
        n_runs = -(-tree.links[3] // filtering.CELLS)
        self._rows = np.cumsum(n_runs) - n_runs
        self._seen = np.empty((int(n_runs.sum()) + 1, 1 + min(k, filtering.SEEN)), np.int32)
        self._seen[:, 0] = -1
        self._before = np.full((k, tree.form.n_channels), np.inf)
        self._most_waiting = (tree.form.depth + 1) * int(tree.links[3].max())

    @property
    def sums(self) -> Array:
        """See the class."""
        return self._running[:-1]

    def update(self, centroids: Array) -> None:
        """Bring labels and sums up to date."""
        tree = self._tree
        reach = tree.form.largest + float(np.abs(centroids).max())
        margin = 1e-12 * tree.form.n_channels * reach**2

        n_threads = min(self._threads.n, len(tree.runs))
        taken = np.zeros(n_threads * cells.LINE, np.int64)

        def assign(me: int) -> Array:
            change = np.zeros_like(self._running)
            filtering.assign_cells(
                tree.form.axes, tree.runs, taken, me, tree.links, tree.boxes, tree.moments,
                tree.colors, tree.weights, centroids, self._before, margin, self._most_waiting,
                self.labels, self._rows, self._seen, self._middles, self._owners, self._left,
                self._near, self._rooms, change,
            )  # fmt: skip
            return change

        for change in self._threads.map(assign, range(n_threads)):
            self._running += change
        self._before = centroids.copy()

    def check(self, centroids: Array) -> None:
        """Raise unless every label is that of brute force in the reference's arithmetic."""
        m = self._tree.n_colors
        nearest, least = np.zeros(m, np.int32), np.full(m, np.inf)
        for k, centroid in enumerate(centroids):
            sq_dist = np.zeros(m)
            for channel, x in zip(self._tree.colors, centroid, strict=True):
                sq_dist += np.square(channel[:m] - x)
            nearest[sq_dist < least] = k
            least = np.minimum(least, sq_dist)
        wrong = np.flatnonzero(nearest != self.labels[:m])
        if wrong.size:
            i = wrong[0]
            raise AssertionError(
                f"{wrong.size} labels are wrong: colour {i} has {self.labels[i]}, nearest is "
                f"{nearest[i]}"
            )

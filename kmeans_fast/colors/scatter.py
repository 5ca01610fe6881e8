"""How colours are scattered about their centroids: moments, and draws by squared distance."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import moves
from ..threads import Threads
from .keys import ColorFormat
from .tree import parts_of

Array = NDArray[Any]

MOST_BITS = 62  # of the sum of all weights times squared distances


class Scatter:
    """The second moments of clusters, kept up to date with an assignment.

    Parameters
    ----------
    form : ColorFormat
    colors : ndarray of uint8 or uint16, shape (c, m or more)
    weights : ndarray of int64, shape (m,)
        Made smaller where sums of their products would not fit: none becomes zero.
    total : int
        The sum of the weights.
    labels : ndarray of int32, shape (m or more,)
        The assignment's own, which it changes.
    n_clusters : int
    threads : Threads
    """

    def __init__(
        self,
        form: ColorFormat,
        colors: Array,
        weights: Array,
        total: int,
        labels: Array,
        n_clusters: int,
        threads: Threads,
    ) -> None:
        excess = (total * form.n_channels * form.largest**2).bit_length() - MOST_BITS
        if excess > 0:
            weights = np.maximum(weights >> excess, (weights > 0).astype(np.int64))
        self._of = form.axes, colors, weights
        self._largest = form.largest
        self._labels = labels
        self._threads = threads
        # At first all colours belong to a cluster of their own, which nobody asks about.
        self._before = np.full(weights.size, n_clusters, np.int32)
        self._moments = np.zeros((n_clusters + 1, moves.MOMENTS), np.int64)

    def moments(self, centroids: Array) -> Array:
        """Return the moments of the clusters, float64 (k, MOMENTS): sums of integers, rounded."""

        def move(part: slice) -> Array:
            change = np.zeros_like(self._moments)
            moves.move_products(
                *self._of, part.start, part.stop, self._labels, self._before, change
            )
            return change

        for change in self._threads.map(move, parts_of(self._before.size, self._threads)):
            self._moments += change
        return self._moments[: len(centroids)].astype(np.float64)

    def draw(self, centroids: Array, n: int, rng: np.random.Generator) -> Array:
        """Draw colours (n, c) by weight times squared distance to their centroids.

        These are distances to the whole numbers next to the centroids: all sums are exact.
        """
        near = np.rint(centroids).clip(0, self._largest).astype(np.int64)
        of = *self._of, self._labels, near
        left = np.empty(-(-self._before.size // moves.REGION), np.int64)
        self._threads.map(
            lambda part: moves.weigh_regions(*of, part.start, part.stop, left),
            parts_of(left.size, self._threads),
        )
        ends = np.cumsum(left)
        tickets = rng.integers(max(1, ends[-1]), size=n)
        if ends[-1] == 0:  # each colour is a centroid
            return np.resize(centroids, (n, centroids.shape[1]))
        regions = np.searchsorted(ends, tickets, side="right")
        tickets -= ends[regions] - left[regions]
        drawn = [
            moves.find_drawn(*of, region * moves.REGION, ticket)
            for region, ticket in zip(regions.tolist(), tickets.tolist(), strict=True)
        ]
        colors: Array = self._of[1][:, drawn].T.astype(np.float64)
        return colors

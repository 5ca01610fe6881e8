"""Centroids that stay where they are, beside others that move."""

from __future__ import annotations

from typing import Any

import numpy as np

from .point_set import Floats, PointSet, Step


class Pinned:
    """A point set whose first centroids stay in place; all else is that of the points.

    Parameters
    ----------
    points : PointSet
    n_fixed : int
        How many stay.
    """

    def __init__(self, points: PointSet, n_fixed: int) -> None:
        self._points = points
        self._n = n_fixed

    def __getattr__(self, name: str) -> Any:
        """Return what the points have."""
        return getattr(self._points, name)

    def means(self, step: Step, previous: Floats) -> Floats:
        """Return the mean of each cluster, but for those that stay."""
        means = self._points.means(step, previous).copy()
        means[: self._n] = previous[: self._n]
        return means

    def relocate(self, step: Step, centroids: Floats) -> Step:
        """Give each empty cluster a point, but for those that stay."""
        counts = step.counts.copy()
        counts[: self._n] = np.maximum(counts[: self._n], 1)
        if counts.all():
            return step
        return self._points.relocate(Step(counts, step.sums, step.inertia), centroids)


def pin(start: Floats, fixed: Floats) -> Floats:
    """Return a start (k, d) whose first centroids are `fixed`, each in the place of the nearest."""
    free = start.copy()
    for color in fixed:
        nearest = np.square(free - color).sum(axis=1).argmin()
        free = np.delete(free, nearest, axis=0)
    return np.concatenate([fixed, free])

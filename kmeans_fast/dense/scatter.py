"""How points of few features are scattered about their centroids: for colours in OKLab."""

from __future__ import annotations

import numpy as np

from ..kernels.moves import MOMENTS
from .questions import Array, Floats

CHANNELS = 4  # that moments are of


class DenseScatter:
    """The points (n, d), their weights (n,) or None, and their labels (n,) in one assignment.

    Sums are of floats, one point after the other in the order of the data: no thread changes it.
    """

    def __init__(self, points: Array, weights: Array | None, labels: Array) -> None:
        self._points = points
        self._weights = np.ones(len(points)) if weights is None else weights
        self._labels = labels

    def moments(self, centroids: Floats) -> Floats:
        """Return the moments of the clusters (k, MOMENTS) about their centroids."""
        k, d = centroids.shape
        moments = np.zeros((k, MOMENTS))
        gaps = self._points.T - centroids.T[:, self._labels]
        shares = gaps * self._weights
        moments[:, 0] = np.bincount(self._labels, self._weights, k)
        at = 1 + CHANNELS
        for p in range(d):
            moments[:, 1 + p] = np.bincount(self._labels, shares[p], k)
            for q in range(p, d):
                moments[:, at + q - p] = np.bincount(self._labels, shares[p] * gaps[q], k)
            at += CHANNELS - p
        return moments

    def draw(self, centroids: Floats, n: int, rng: np.random.Generator) -> Floats:
        """Draw points (n, d) by weight times squared distance to their centroids."""
        gaps = self._points.T - centroids.T[:, self._labels]
        ends = np.cumsum(self._weights * (gaps * gaps).sum(axis=0))
        drawn = np.searchsorted(ends, rng.random(n) * ends[-1], side="right")
        points: Floats = self._points[drawn.clip(0, ends.size - 1)].astype(np.float64)
        return points

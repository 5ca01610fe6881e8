"""Points to measure on: clusters and noise made in code, and the pixels of a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import kmeans_fast as kf

from . import pictures
from .pictures import Picture

Points = NDArray[np.float32]


@dataclass
class Case:
    """The points of a cell, and where everybody starts."""

    kind: str
    d: int
    k: int
    points: Points
    start: NDArray[np.float64]

    def fit(self, max_iter: int, tol: float = 0.0, n_threads: int | None = None) -> kf.KMeansResult:
        """Fit ours."""
        limits = {"max_iter": max_iter, "tol": tol, "n_threads": n_threads}
        return kf.fit(self.points, self.k, init=self.start, **limits)


def gauss(n: int, d: int, k: int, seed: int = 0) -> Points:
    """Return points around `k` centres uniform in [-10, 10]^d, with normal noise of variance 1."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(-10, 10, (k, d)).astype(np.float32)
    points = rng.standard_normal((n, d), dtype=np.float32)
    points += centers[rng.integers(k, size=n)]
    return points


def uniform(n: int, d: int, seed: int = 0) -> Points:
    """Return points that have no clusters, uniform in [0, 1)^d: the worst case for bounds."""
    return np.random.default_rng(seed).random((n, d), dtype=np.float32)


def photo(n: int, image: Picture | None = None) -> Points:
    """Return `n` pixels of a photograph (made in code unless given), evenly spaced, as floats."""
    if image is None:
        image = pictures.photograph(4 * n / 1e6)
    pixels = image.reshape(-1, image.shape[-1])
    spaced = np.linspace(0, len(pixels) - 1, n).astype(np.intp)
    return pixels[spaced].astype(np.float32)


def start_of(points: NDArray[Any], k: int, seed: int = 0) -> NDArray[np.float64]:
    """Return `k` distinct points drawn at random: where everybody starts."""
    rng = np.random.default_rng(seed)
    drawn = points[rng.choice(len(points), min(len(points), 16 * k), replace=False)]
    _, first = np.unique(drawn, axis=0, return_index=True)
    if len(first) < k:
        raise ValueError(f"{len(drawn)} points hold {len(first)} distinct ones, fewer than k={k}")
    return drawn[np.sort(first)[:k]].astype(np.float64)


def size_of(d: int, scale: float, k: int) -> int:
    """Return how many points a cell has, so that all take about as long."""
    n = 400_000 if d <= 16 else 200_000 if d <= 64 else 100_000 if d <= 128 else 50_000
    return max(4 * k, round(n * scale))


def case_of(kind: str, d: int, k: int, scale: float = 1.0, image: Picture | None = None) -> Case:
    """Return the points of a kind (gauss, photo where d = 3, or uniform) and a start."""
    n = size_of(d, scale, k)
    if kind == "gauss":
        points = gauss(n, d, k)
    else:
        points = photo(n, image) if kind == "photo" else uniform(n, d)
    return Case(kind, d, k, points, start_of(points, k))

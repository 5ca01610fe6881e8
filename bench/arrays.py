"""Points to measure on: clusters and noise made in code, the pixels of a photograph; and checks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import kmeans_fast as kf

from . import pictures
from .measure import expect
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
        return kf.fit(
            self.points,
            self.k,
            init=self.start,
            max_iter=max_iter,
            tol=tol,
            n_threads=n_threads,
        )


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


# ---------------------------------------------------------------- answers come first


def nearest(points: NDArray[Any], centroids: NDArray[Any]) -> NDArray[np.intp]:
    """Return the labels of `reference.assign`: the same float64 sums in the same order."""
    sq_dist = np.zeros((len(points), len(centroids)))
    for x, c in zip(points.T.astype(np.float64), centroids.T, strict=True):
        difference = x[:, None] - c
        sq_dist += difference * difference
    return sq_dist.argmin(axis=1)


def float64_means(points: NDArray[Any], labels: NDArray[Any], k: int) -> NDArray[np.float64]:
    """Return means from running float64 sums."""
    sums = [np.bincount(labels, column, k) for column in points.T]
    return np.stack(sums, axis=1) / np.bincount(labels, minlength=k)[:, None]


def check_ours(case: Case, max_iter: int, tol: float) -> kf.KMeansResult:
    """Fit, and raise unless labels, counts, centroids and inertia are those of brute force."""
    result = case.fit(max_iter, tol)
    labels, points = result.labels, case.points
    some = np.random.default_rng(0).integers(0, len(points), 1000)
    expect(np.array_equal(nearest(points[some], result.centroids), labels[some]), "wrong labels")
    expect(np.array_equal(np.bincount(labels, minlength=case.k), result.counts), "wrong counts")
    inertia = 0.0
    for first in range(0, len(points), 8192):
        block = slice(first, first + 8192)
        inertia += float(((points[block] - result.centroids[labels[block]]) ** 2).sum())
    expect(math.isclose(inertia, result.inertia, rel_tol=1e-9), "wrong inertia")
    if result.n_iter > 1:
        before = case.fit(result.n_iter - 1, 0.0)
        if before.counts.all():  # an empty cluster would take a point that changes two means
            plain = float64_means(points, before.labels, case.k)
            expect(np.allclose(plain, result.centroids, rtol=1e-9, atol=1e-9), "wrong means")
    return result


def running_means(points: NDArray[Any], labels: NDArray[Any], k: int) -> NDArray[Any]:
    """Return means from sums that run in the type of the points."""
    sums = np.zeros((k, points.shape[1]), points.dtype)
    np.add.at(sums, labels, points)
    return sums / np.bincount(labels, minlength=k)[:, None].astype(points.dtype)

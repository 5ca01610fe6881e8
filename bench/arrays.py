"""Points to measure on: clusters, noise and scenes made in code, and pixels of a photograph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

import kmeans_fast as kf

from . import pictures
from .pictures import Picture

Points = NDArray[np.float32]
SCENES = {"bands": 2_000_000, "scene": 4_000_000}  # kinds of many bands, uint16: their pixels


@dataclass
class Case:
    """The points of a cell, and where everybody starts."""

    kind: str
    d: int
    k: int
    points: Points | NDArray[np.uint16]
    start: NDArray[np.float64]

    @cached_property
    def floats(self) -> Points:
        """The points as the peers take them."""
        return self.points.astype(np.float32, copy=False)

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


def bands(n: int, d: int, seed: int = 0) -> NDArray[np.uint16]:
    """Return `n` pixels of a scene of `d` bands: reflectances from 0 to 10,000.

    Each is a mixture of eight spectra, smooth over the bands, in shares that vary smoothly over
    the scene, in a light that does too, and the noise of the sensor: most have a colour of their
    own.
    """
    rng = np.random.default_rng(seed)
    rows = isqrt(n) + 1
    shape = rows, n // rows + 1
    values = np.zeros((rows * shape[1], d), dtype=np.float32)
    total = np.zeros((len(values), 1), dtype=np.float32)
    for _ in range(8):
        share = np.exp(2.5 * pictures.clouds(shape, 6, rng)).reshape(-1, 1)
        spectrum = np.interp(np.linspace(0, 3, d), range(4), rng.uniform(200, 5000, 4))
        values += share * spectrum.astype(np.float32)
        total += share
    values *= (1 + 0.1 * pictures.clouds(shape, 5, rng).reshape(-1, 1)) / total
    values += rng.standard_normal(values.shape, dtype=np.float32) * (20 + 0.01 * values)
    return np.clip(np.rint(values[:n]), 0, 10_000).astype(np.uint16)


def start_of(points: NDArray[Any], k: int, seed: int = 0) -> NDArray[np.float64]:
    """Return `k` distinct points drawn at random: where everybody starts."""
    rng = np.random.default_rng(seed)
    drawn = points[rng.choice(len(points), min(len(points), 16 * k), replace=False)]
    _, first = np.unique(drawn, axis=0, return_index=True)
    if len(first) < k:
        raise ValueError(f"{len(drawn)} points hold {len(first)} distinct ones, fewer than k={k}")
    return drawn[np.sort(first)[:k]].astype(np.float64)


def size_of(kind: str, d: int, scale: float, k: int) -> int:
    """Return how many points a cell has: all but scenes take about as long."""
    n = 400_000 if d <= 16 else 200_000 if d <= 64 else 100_000 if d <= 128 else 50_000
    n = SCENES.get(kind, n)
    return max(4 * k, round(n * scale))


def case_of(kind: str, d: int, k: int, scale: float = 1.0, image: Picture | None = None) -> Case:
    """Return the points of a kind (gauss, photo where d = 3, uniform, or a scene) and a start."""
    n = size_of(kind, d, scale, k)
    if kind == "gauss":
        points = gauss(n, d, k)
    elif kind in SCENES:
        points = bands(n, d)
    else:
        points = photo(n, image) if kind == "photo" else uniform(n, d)
    return Case(kind, d, k, points, start_of(points, k))

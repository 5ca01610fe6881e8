"""The short benchmarks: ``pytest --benchmark-only``.

A group for each thing that the library does, and in each the plain loop, on a sample that it can
finish: the name of its row says of how many pixels or points it has one. (The loop's time on all of
them is that many times longer.) Answers are checked against the loop's before anything is timed,
and kernels are compiled or loaded.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

import kmeans_fast as kf

from . import arrays
from .pictures import photograph, thumbnail

MEGAPIXELS, N_FLOATS, SIDE, K, MANY = 4, 400_000, 40, 16, 256
PIXELS, POINTS = f"{MEGAPIXELS}-megapixels", f"{N_FLOATS:,}x8-floats"
LOOP_PIXELS = f"plain-loop-on-1-pixel-of-{MEGAPIXELS * 1_000_000 // SIDE**2:,}"
LOOP_POINTS = f"plain-loop-on-1-point-of-{N_FLOATS // SIDE**2:,}"


@cache
def data_of(name):
    """Return the data of a row: a picture, points around centres, or what the loop can finish."""
    if name == PIXELS:
        return photograph(MEGAPIXELS)
    if name == POINTS:
        return arrays.gauss(N_FLOATS, 8, K)
    if name == LOOP_PIXELS:
        return thumbnail(data_of(PIXELS), SIDE)
    return data_of(POINTS)[:: N_FLOATS // SIDE**2][: SIDE**2]


@cache
def start_of(name, k):
    """Return `k` centroids to start from, distinct points of the sample or of the picture."""
    if k == MANY:
        return kf.kmeans_plusplus(data_of(PIXELS), k)
    sample = data_of(LOOP_PIXELS if name in (PIXELS, LOOP_PIXELS) else LOOP_POINTS)
    return arrays.start_of(sample.reshape(-1, sample.shape[-1]), k)


ROWS = [(LOOP_PIXELS, K), (PIXELS, K), (PIXELS, MANY), (LOOP_POINTS, K), (POINTS, K)]
rows = pytest.mark.parametrize(("name", "k"), ROWS, ids=[f"{name}-K{k}" for name, k in ROWS])


def case_of(name, k):
    """Return who works, on what, from which start, and the sample to check answers on."""
    data = data_of(name)
    sample = data_of(LOOP_PIXELS if data.ndim == 3 else LOOP_POINTS)
    return (kf.reference if data is sample else kf), data, start_of(name, k), sample


@pytest.mark.benchmark(group="assignment")
@rows
def test_assignment(benchmark, name, k):
    library, data, start, sample = case_of(name, k)
    assert np.array_equal(kf.assign(sample, start), kf.reference.assign(sample, start))
    kf.assign(data, start)
    labels = benchmark(library.assign, data, start)
    assert labels.shape == data.shape[:-1]


@pytest.mark.benchmark(group="means")
@rows
def test_means(benchmark, name, k):
    library, data, start, sample = case_of(name, k)
    labels = kf.assign(sample, start)
    plain = kf.reference.means(sample, labels, k)
    assert np.array_equal(kf.means(sample, labels, k), plain, equal_nan=True)
    labels = kf.assign(data, start)
    library.means(data, labels, k)
    centroids = benchmark(library.means, data, labels, k)
    assert centroids.shape == start.shape


def plain_seeding(points, n_clusters, rng):
    """Choose centroids by greedy k-means++, as plainly as `reference` does all else."""
    pixels = points.reshape(-1, points.shape[-1]).tolist()
    centers = [pixels[rng.integers(len(pixels))]]
    closest = [kf.reference.sq_dist(x, centers[0]) for x in pixels]
    while len(centers) < n_clusters:
        drawn = rng.choice(
            len(pixels), 2 + int(np.log(n_clusters)), p=np.divide(closest, sum(closest))
        )
        tried = [
            [
                min(d, kf.reference.sq_dist(x, pixels[i]))
                for x, d in zip(pixels, closest, strict=True)
            ]
            for i in drawn
        ]
        best = min(range(len(drawn)), key=lambda i: sum(tried[i]))
        centers.append(pixels[drawn[best]])
        closest = tried[best]
    return np.array(centers, dtype=np.float64)


@pytest.mark.benchmark(group="seeding")
@rows
def test_seeding(benchmark, name, k):
    library, data, _, _ = case_of(name, k)
    if library is kf.reference:
        arguments = (data, k, np.random.default_rng(0))
        centroids = benchmark.pedantic(plain_seeding, arguments, rounds=3)
    else:
        kf.kmeans_plusplus(data, k)
        centroids = benchmark(kf.kmeans_plusplus, data, k)
        assert np.array_equal(centroids, kf.kmeans_plusplus(data, k, n_threads=1))
    points = np.unique(data.reshape(-1, data.shape[-1]), axis=0)
    assert all((points == c).all(axis=1).any() for c in centroids[:10])
    assert len(np.unique(centroids, axis=0)) == k
    drawn = points[np.random.default_rng(0).choice(len(points), k, replace=False)]
    seeded, at_random = (kf.fit(data, k, init=c, max_iter=1, tol=0) for c in (centroids, drawn))
    assert seeded.history[0].inertia < 1.2 * at_random.history[0].inertia


@pytest.mark.benchmark(group="fit: ten iterations, labels")
@rows
def test_fit(benchmark, name, k):
    library, data, start, sample = case_of(name, k)
    plain = kf.reference.k_means(start, sample)
    for ours, theirs in zip(kf.k_means(start, sample), plain, strict=True):
        assert np.array_equal(ours, theirs)
    kf.k_means(start, data)
    if library is kf.reference:
        centroids, labels = benchmark.pedantic(library.k_means, (start, data), rounds=3)
    else:
        centroids, labels = benchmark(library.k_means, start, data)
    assert centroids.shape == start.shape
    assert labels.shape == data.shape[:-1]


@pytest.mark.benchmark(group="label: what a fit has found, again")
@rows
def test_label(benchmark, name, k):
    library, data, start, sample = case_of(name, k)
    result = kf.fit(data, k, init=start, max_iter=3, tol=0)
    plain = kf.reference.assign(sample, result.centroids)
    assert np.array_equal(result.predict(sample), plain)
    if library is kf.reference:
        labels = benchmark(library.assign, data, result.centroids)
    else:
        labels = benchmark(result.predict, data)
    assert np.array_equal(labels, result.labels)

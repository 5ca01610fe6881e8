"""The short benchmarks: ``pytest --benchmark-only``.

A group for each thing that the library does, and in each the plain loop, on a sample that it can
finish: the name of its row says how many times larger what the fast rows work on is. (For the
loop's time multiply by that.) Answers are checked against the loop's before anything is timed, and
kernels are compiled or loaded.
"""

from __future__ import annotations

import numpy as np
import pytest

import kmeans_fast as kf

from . import arrays
from .pictures import photograph, thumbnail

MEGAPIXELS, SIDE, K, MANY = 4, 40, 16, 256
PICTURE = photograph(MEGAPIXELS)
SAMPLE = thumbnail(PICTURE, SIDE)
FLOATS = arrays.gauss(400_000, 8, K)  # clusters
FEW_FLOATS = FLOATS[:: len(FLOATS) // SIDE**2][: SIDE**2]
START = np.unique(SAMPLE.reshape(-1, 3), axis=0)[:: SIDE**2 // (2 * K)][:K].astype(np.float64)
MANY_START = kf.kmeans_plusplus(PICTURE, MANY)
FLOAT_START = arrays.start_of(FLOATS, K)

LOOP = f"plain-loop-on-1-pixel-of-{PICTURE.size // SAMPLE.size:,}-K{K}"
FLOAT_LOOP = f"plain-loop-on-1-point-of-{len(FLOATS) // len(FEW_FLOATS)}-K{K}"
PIXELS = f"{MEGAPIXELS}-megapixels-K{K}"
MORE = f"{MEGAPIXELS}-megapixels-K{MANY}"
POINTS = f"{len(FLOATS):,}x8-floats-K{K}"

cases = pytest.mark.parametrize(
    ("library", "data", "start"),
    [
        pytest.param(kf.reference, SAMPLE, START, id=LOOP),
        pytest.param(kf, PICTURE, START, id=PIXELS),
        pytest.param(kf, PICTURE, MANY_START, id=MORE),
        pytest.param(kf.reference, FEW_FLOATS, FLOAT_START, id=FLOAT_LOOP),
        pytest.param(kf, FLOATS, FLOAT_START, id=POINTS),
    ],
)


def sample_of(data):
    """Return what the loop can finish of the data."""
    return SAMPLE if data.ndim == 3 else FEW_FLOATS


@pytest.mark.benchmark(group="assignment")
@cases
def test_assignment(benchmark, library, data, start):
    few = sample_of(data)
    assert np.array_equal(kf.assign(few, start), kf.reference.assign(few, start))
    kf.assign(data, start)
    labels = benchmark(library.assign, data, start)
    assert labels.shape == data.shape[:-1]


@pytest.mark.benchmark(group="means")
@cases
def test_means(benchmark, library, data, start):
    few, k = sample_of(data), len(start)
    labels = kf.assign(few, start)
    assert np.array_equal(
        kf.means(few, labels, k), kf.reference.means(few, labels, k), equal_nan=True
    )
    labels = kf.assign(data, start)
    library.means(data, labels, k)
    centroids = benchmark(library.means, data, labels, k)
    assert centroids.shape == start.shape


def plain_seeding(points, n_clusters, n_trials, rng):
    """Choose centroids by greedy k-means++, as plainly as `reference` does all else."""
    rows = points.reshape(-1, points.shape[-1]).tolist()
    centers = [rows[rng.integers(len(rows))]]
    closest = [kf.reference.sq_dist(x, centers[0]) for x in rows]
    while len(centers) < n_clusters:
        drawn = rng.choice(len(rows), n_trials, p=np.array(closest) / sum(closest))
        tried = [
            [min(d, kf.reference.sq_dist(x, rows[i])) for x, d in zip(rows, closest, strict=True)]
            for i in drawn
        ]
        best = min(range(n_trials), key=lambda i: sum(tried[i]))
        centers.append(rows[drawn[best]])
        closest = tried[best]
    return np.array(centers, dtype=np.float64)


@pytest.mark.benchmark(group="seeding")
@pytest.mark.parametrize(
    ("data", "k"),
    [
        pytest.param(SAMPLE, K, id=LOOP),
        pytest.param(PICTURE, K, id=PIXELS),
        pytest.param(PICTURE, MANY, id=MORE),
        pytest.param(FLOATS, K, id=POINTS),
    ],
)
def test_seeding(benchmark, data, k):
    if data is SAMPLE:
        centroids = benchmark.pedantic(
            plain_seeding, (data, k, 2 + int(np.log(k)), np.random.default_rng(0)), rounds=3
        )
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
@cases
def test_fit(benchmark, library, data, start):
    few = sample_of(data)
    expected = kf.reference.k_means(start, few)
    for ours, plain in zip(kf.k_means(start, few), expected, strict=True):
        assert np.array_equal(ours, plain)
    kf.k_means(start, data)
    if library is kf:
        centroids, labels = benchmark(library.k_means, start, data)
    else:
        centroids, labels = benchmark.pedantic(library.k_means, (start, data), rounds=3)
    assert centroids.shape == start.shape
    assert labels.shape == data.shape[:-1]


@pytest.mark.benchmark(group="label: another picture by the centroids of a fit")
@pytest.mark.parametrize(
    ("data", "k"),
    [
        pytest.param(SAMPLE, K, id=LOOP),
        pytest.param(PICTURE, K, id=PIXELS),
        pytest.param(PICTURE, MANY, id=MORE),
        pytest.param(FLOATS, K, id=POINTS),
    ],
)
def test_label(benchmark, data, k):
    result = kf.fit(data, k, max_iter=3, tol=0)
    few = sample_of(data)
    plain = kf.reference.assign(few, result.centroids)
    assert np.array_equal(result.predict(few), plain)
    if data is SAMPLE:
        labels = benchmark(kf.reference.assign, data, result.centroids)
    else:
        labels = benchmark(result.predict, data)
    assert np.array_equal(labels, result.labels)

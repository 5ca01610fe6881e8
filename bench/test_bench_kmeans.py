"""Assignment, means and whole fits beside the plain loops: ``pytest bench --benchmark-only``.

On a picture so small that the plain loop finishes, which flatters the loop: the fixed cost of a
call is most of our time there. ``python -m bench.table`` measures pictures of real size.
"""

from __future__ import annotations

import numpy as np
import pytest

import kmeans_fast as kf

from .pictures import photograph, thumbnail

K = 16
SMALL, LARGE = thumbnail(photograph(0.25), 40), thumbnail(photograph(0.25), 400)
START = np.unique(SMALL.reshape(-1, 3), axis=0)[:: 1600 // (2 * K)][:K].astype(np.float64)

loops_and_fast = pytest.mark.parametrize(
    ("library", "image"),
    [
        pytest.param(kf.reference, SMALL, id="reference-40x40"),
        pytest.param(kf, SMALL, id="kmeans_fast-40x40"),
        pytest.param(kf, LARGE, id="kmeans_fast-400x400-100-times-the-pixels"),
    ],
)


@pytest.mark.benchmark(group=f"assign K={K}")
@loops_and_fast
def test_assign(benchmark, library, image):
    assert np.array_equal(kf.assign(SMALL, START), kf.reference.assign(SMALL, START))
    library.assign(image, START)  # compiled, or loaded from the cache
    labels = benchmark(library.assign, image, START)
    assert labels.shape == image.shape[:2]


@pytest.mark.benchmark(group=f"means K={K}")
@loops_and_fast
def test_means(benchmark, library, image):
    few = kf.assign(SMALL, START)
    assert np.array_equal(kf.means(SMALL, few, K), kf.reference.means(SMALL, few, K))
    labels = kf.assign(image, START)
    library.means(image, labels, K)
    centroids = benchmark(library.means, image, labels, K)
    assert centroids.shape == (K, 3)


@pytest.mark.benchmark(group=f"fit K={K}, 10 iterations")
@loops_and_fast
def test_fit(benchmark, library, image):
    expected = kf.reference.k_means(START, SMALL)
    for ours, plain in zip(kf.k_means(START, SMALL), expected, strict=True):
        assert np.array_equal(ours, plain)
    library.k_means(START, image)
    centroids, labels = benchmark(library.k_means, START, image)
    assert np.array_equal(np.unique(labels), np.arange(K))

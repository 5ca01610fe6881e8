"""The reference's arithmetic on whole arrays, for data too large for its loops."""

import numpy as np

from kmeans_fast import reference as ref

# Few dimensions, and a type: what trees are tested with. Each compiles the kernels: some 10 s.
KINDS = [(2, np.float64), (3, np.float32), (4, np.float32)]


def sq_dists(points, centroids):
    """Return squared distances (n, k) in float64, feature after feature."""
    total = np.zeros((len(points), len(centroids)))
    for j in range(points.shape[1]):
        total += (points[:, j, None].astype(np.float64) - centroids[None, :, j]) ** 2
    return total


def assign(points, centroids):
    """Label the points (n, d) by brute force."""
    labels = np.empty(len(points), np.int64)
    block = max(1, 2_000_000 // len(centroids))
    for start in range(0, len(points), block):
        part = slice(start, start + block)
        labels[part] = sq_dists(points[part], centroids).argmin(axis=1)
    return labels


def clusters(n, d, k, dtype, seed=0, spread=5.0):
    """Return `n` points (n, d) about `k` centers."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(-spread, spread, (k, d))
    return (centers[rng.integers(k, size=n)] + rng.standard_normal((n, d))).astype(dtype)


def start_of(points, k, seed=0):
    """Return `k` of the points, float64, to start from."""
    rows = np.random.default_rng(seed).choice(len(points), k, replace=k > len(points))
    return points[rows].astype(np.float64)


def means(points, labels, previous):
    """Return the exact means of integer points; an empty cluster keeps its centroid."""
    counts = np.bincount(labels, minlength=len(previous))
    new = previous.copy()
    for j in range(points.shape[1]):
        # float64 sums of these integers are exact: they stay below 2**53
        sums = np.bincount(labels, weights=points[:, j], minlength=len(previous))
        new[counts > 0, j] = sums[counts > 0] / counts[counts > 0]
    return new


def k_means(centroids, points, max_iterations):
    """Run the loop; no cluster may run empty."""
    centroids = np.asarray(centroids, np.float64)
    for _ in range(max_iterations):
        labels = assign(points, centroids)
        assert np.bincount(labels, minlength=len(centroids)).all(), "a cluster is empty"
        new = means(points, labels, centroids)
        if np.array_equal(new, centroids):
            break
        centroids = new
    return centroids, assign(points, centroids)


def reference_loop(points, centroids, iterations, weights):
    """Run `reference.k_means` with weights."""
    for _ in range(iterations):
        labels = ref.fill_empty(points, ref.assign(points, centroids), centroids, weights)
        means = ref.means(points, labels, len(centroids), weights)
        centroids = np.where(np.isnan(means), centroids, means)
    return centroids, ref.assign(points, centroids)


def part_of(point_set):
    """Return the one part of dense points in this process."""
    return point_set.parts


def labels_of(point_set):
    """Return the labels of the last assignment of dense points."""
    return part_of(point_set)._assignment.labels

"""Where the centroids start."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .point_set import Floats, PointSet, Search


class HasArray(Protocol):
    """What NumPy can make an array of."""

    def __array__(self) -> NDArray[Any]:
        """Return it."""


Method = Literal["k-means++", "random"]
Starter = Callable[[Any, int, np.random.Generator], ArrayLike]
# Not `ArrayLike`, which any string is.
Init = Method | Starter | HasArray | Sequence[HasArray | Sequence[float]]


def kmeans_plusplus(points: PointSet, n_clusters: int, rng: np.random.Generator) -> Floats:
    """Choose starting centroids by greedy k-means++.

    Each next centroid is a point drawn with probability proportional to its weight times its
    squared distance to the nearest one so far: the best of ``2 + log(k)`` such draws, the one
    that leaves the least potential, as in scikit-learn.

    Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """
    n_trials = 2 + int(log(n_clusters))
    centroids = np.empty((n_clusters, points.n_features))
    centroids[0] = points.draw(rng)
    points.spread(centroids, n_trials, rng)
    return centroids


def spread(search: Search, centroids: Floats, n_trials: int, rng: np.random.Generator) -> None:
    """Write the centroids (k, d) after the first one, by an empty search."""
    for j in range(1, len(centroids)):
        search.add(centroids[j - 1])
        candidates = search.draw(n_trials, rng)
        centroids[j] = candidates[search.potentials(candidates).argmin()]


def random_points(points: PointSet, n_clusters: int, rng: np.random.Generator) -> Floats:
    """Choose distinct points, by weight."""
    return points.sample_distinct(n_clusters, rng)


METHODS = {"k-means++": kmeans_plusplus, "random": random_points}

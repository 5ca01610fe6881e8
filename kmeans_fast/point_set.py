"""Point sets: what can be clustered, behind the few verbs that the loop and the seeding use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .reference import label_dtype

__all__ = ["Floats", "Labels", "PointSet", "Refinable", "Scatter", "Search", "Step", "label_dtype"]

Array = NDArray[Any]
Floats = NDArray[np.float64]
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Step:
    """What an assignment adds up to.

    Attributes
    ----------
    counts : ndarray, shape (k,)
        The weight of each cluster, in the point set's own whole units: zero where it is empty.
    sums : object
        The sums of each cluster's members, as the point set keeps them.
    inertia : float
        The weighted sum of squared distances to the centroids that were assigned to.
    """

    counts: Array
    sums: Any
    inertia: float


class Search(Protocol):
    """The squared distance of each point to the nearest of the centres added so far."""

    def add(self, center: Floats) -> None:
        """Add a centre."""

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw points, each with probability proportional to weight times squared distance."""

    def potentials(self, candidates: Floats) -> Floats:
        """Return the weighted sum of squared distances after adding each candidate alone."""


class PointSet(Protocol):
    """A weighted set of points. A new kind of data is a new class like this, never a new loop."""

    n_features: int

    @property
    def variance(self) -> float:
        """The mean over the features of their weighted variance."""

    def step(self, centroids: Floats) -> Step:
        """Assign every point to its nearest centroid and add up the clusters."""

    def relocate(self, step: Step, centroids: Floats) -> Step:
        """Give each empty cluster the distinct point farthest from its own centroid."""

    def means(self, step: Step, previous: Floats) -> Floats:
        """Return the mean of each cluster; an empty one keeps its previous centroid."""

    def label(self, centroids: Floats) -> tuple[Labels, Array, float]:
        """Return labels (n,), counts (k,) and inertia for these centroids."""

    def n_distinct(self, limit: int) -> int:
        """Return the number of distinct points with weight, or `limit` if that is less."""

    def draw(self, rng: np.random.Generator) -> Floats:
        """Draw one point with probability proportional to its weight."""

    def sample_distinct(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw `n` distinct points by weight; where there are fewer, some repeat."""

    def spread(self, centroids: Floats, n_trials: int, rng: np.random.Generator) -> None:
        """Write the centroids (k, d) after the first one: greedy k-means++.

        Each is the best of so many points, drawn with probability proportional to weight times
        squared distance to the nearest one so far: the first that leaves the least potential.
        """

    def siblings(self, n: int, ks: Sequence[int]) -> Sequence[PointSet]:
        """Return up to `n` point sets of the same data, for runs side by side with `ks` clusters.

        Each is for one thread, and has a state of its own. The point set itself, alone, where that
        gains nothing.
        """


class Scatter(Protocol):
    """How points are scattered about the centroids that they are assigned to."""

    def moments(self, centroids: Floats) -> Floats:
        """Return the second moments of the clusters (k, 15), as `kernels.moves` has them."""

    def draw(self, centroids: Floats, n: int, rng: np.random.Generator) -> Floats:
        """Draw points (n, d) by weight times squared distance to their centroids."""


class Refinable(PointSet, Protocol):
    """A point set, of four features at the most, that `refining` can search."""

    def make_room(self, n: int) -> None:
        """Take up to `n` clusters from now on without beginning anew; 0: as many as there are."""

    def scattered(self, centroids: Floats) -> Scatter:
        """Assign every point to its nearest centroid; it holds until the next assignment."""

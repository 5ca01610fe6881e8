"""The one loop: assign, then means, until nothing moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from .point_set import Floats, PointSet


class Iteration(NamedTuple):
    """One iteration of a fit.

    Attributes
    ----------
    inertia : float
        Weighted sum of squared distances to the centroids before the iteration.
    shift : float
        Sum of the squared distances that the centroids moved.
    seconds : float
        Time that it took.
    """

    inertia: float
    shift: float
    seconds: float


class Progress(NamedTuple):
    """What a callback is told after each iteration.

    Attributes
    ----------
    run : int
        Number of the run, from 0 to ``n_init - 1``.
    iteration : int
        Number of the iteration, from 1.
    centroids : ndarray of float64, shape (k, d)
        The centroids after the iteration, read-only.
    inertia, shift, seconds : float
        As in `Iteration`.
    """

    run: int
    iteration: int
    centroids: Floats
    inertia: float
    shift: float
    seconds: float


Callback = Callable[[Progress], Any]


@dataclass(frozen=True)
class Run:
    """Where the loop ended."""

    centroids: Floats
    inertia: float
    converged: bool
    stopped: bool
    history: tuple[Iteration, ...]


def lloyd(
    points: PointSet,
    centroids: Floats,
    max_iter: int,
    tol: float,
    callback: Callback | None = None,
    run: int = 0,
) -> Run:
    """Run Lloyd's algorithm from the given centroids.

    It stops at a fixed point, when the centroids' total squared shift is at most `tol` times the
    mean variance of the features, after `max_iter` iterations, or when the callback returns true.
    """
    history: list[Iteration] = []
    fixed = converged = stopped = False
    while len(history) < max_iter and not (converged or stopped):
        start = perf_counter()
        step = points.step(centroids)
        moved = step
        if not step.counts.all():
            moved = points.relocate(step, centroids)
        new = points.means(moved, centroids)
        shift = float(np.square(new - centroids).sum())
        fixed = shift == 0.0 and np.array_equal(new, centroids)
        converged = fixed or (tol > 0 and shift <= tol * points.variance)
        centroids = new
        history.append(Iteration(step.inertia, shift, perf_counter() - start))
        if callback is not None:
            view = centroids.view()
            view.flags.writeable = False
            stopped = bool(callback(Progress(run, len(history), view, *history[-1])))
    inertia = step.inertia if fixed else points.step(centroids).inertia
    return Run(centroids, inertia, converged and not stopped, stopped, tuple(history))

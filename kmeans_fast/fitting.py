"""A fit: its options, its starts, and the best of its runs."""

from __future__ import annotations

import warnings
from contextlib import closing
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from .arrays import as_centroids
from .checks import (
    Seed,
    check_integer,
    check_refine,
    check_rng,
    check_seed,
    check_space,
    check_threads,
    check_tol,
)
from .data.dataset import Dataset
from .data.opening import as_dataset
from .lloyd import Callback, Run, lloyd
from .point_set import Floats, PointSet, Refinable
from .refining import MOST_CLUSTERS, refined
from .result import KMeansResult, as_palette
from .seeding import METHODS, Init
from .spaces import Space
from .threads import Threads, as_caller


@dataclass(frozen=True)
class Options:
    """The options of a fit."""

    init: Init
    n_init: int
    max_iter: int
    tol: float
    random_state: Seed
    callback: Callback | None
    refine: int = 0


def check_options(given: Options, shape: tuple[int, int] | None = None) -> Options:
    """Return the options of a fit, checked; `shape` is that of the centroids."""
    init, callback = given.init, given.callback
    n_init = check_integer("n_init", given.n_init, 1)
    if isinstance(init, str):
        if init not in METHODS:
            raise ValueError(
                f"init={init!r} is unknown; give one of {', '.join(METHODS)} or an array"
            )
    elif callable(init):
        init = as_caller(init)
    else:
        if shape is None:
            raise TypeError(
                "init is an array, which fits one k; give a method's name or a callable"
            )
        init = as_centroids(init, shape[1], "init", shape[0])
        if n_init > 1:
            warnings.warn(
                f"init is an array, so one run is made and n_init={n_init} is ignored",
                RuntimeWarning,
                stacklevel=3,
            )
            n_init = 1
    if callback is not None:
        if not callable(callback):
            raise TypeError(
                f"callback={callback!r} is not callable; give a function of one argument"
            )
        callback = as_caller(callback)
    max_iter = check_integer("max_iter", given.max_iter, 1)
    check_seed(given.random_state)
    refine = check_integer("refine", given.refine, 0)
    tol = check_tol(given.tol)
    return Options(init, n_init, max_iter, tol, given.random_state, callback, refine)


def _start(init: Init, data: Dataset, k: int, rng: np.random.Generator) -> Floats:
    """Return the centroids that a run starts from."""
    if isinstance(init, str):
        return METHODS[init](data.points, k, rng)
    given = init(data.source, k, rng) if callable(init) else init
    return data.into(as_centroids(given, data.points.n_features, "init", k))


def _run(
    points: PointSet, start: Floats, options: Options, rng: np.random.Generator, run: int
) -> Run:
    """Run the loop from a start, or the search that goes on from there."""
    limits = options.max_iter, options.tol
    if options.refine == 0 or len(start) > MOST_CLUSTERS:
        return lloyd(points, start, *limits, options.callback, run)
    return refined(
        cast(Refinable, points), start, options.refine, *limits, rng, options.callback, run
    )


def fit_each(
    opened: Any,
    ks: list[int],
    options: Options,
    space: Space,
    sample_weight: ArrayLike | None,
    n_threads: int | None,
) -> list[KMeansResult]:
    """Fit opened data for each number of clusters."""
    check_space(space, opened)
    check_refine(options.refine, opened)
    n_threads = check_threads(n_threads)
    with (
        Threads(n_threads) as threads,
        closing(as_dataset(opened, sample_weight, threads, space, n_threads)) as data,
    ):
        results = []
        for k in ks:
            n_distinct = data.points.n_distinct(k)
            if n_distinct < k:
                warnings.warn(
                    f"the data hold {n_distinct} distinct points, fewer than n_clusters={k}; "
                    f"{k - n_distinct} of the clusters are empty",
                    RuntimeWarning,
                    stacklevel=3,  # the caller of `fit`
                )
            results.append(fit_dataset(data, k, options))
        return results


def fit_dataset(data: Dataset, k: int, options: Options) -> KMeansResult:
    """Run the loop from each of the starts, and return the result of least inertia."""
    rng = check_rng(options.random_state)
    best: Run | None = None
    for run in range(options.n_init):
        start = _start(options.init, data, k, rng)
        ended = _run(data.points, start, options, rng, run)
        if best is None or ended.inertia < best.inertia:
            best = ended
        if ended.stopped:
            break
    assert best is not None
    # Centroids that have been elsewhere are rounded: their labels are those that `predict` finds.
    centroids = data.back(best.centroids)
    labels, counts, inertia = data.label(centroids)
    return KMeansResult(
        centroids=centroids,
        labels=labels,
        counts=counts,
        inertia=inertia,
        n_iter=len(best.history),
        converged=best.converged,
        history=best.history,
        palette=as_palette(data.dtype, centroids) if data.is_image else None,
        dtype=data.dtype,
        space=data.space,
    )

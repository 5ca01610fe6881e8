"""A fit: its options, its starts, and the best of its runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike

from .arrays import as_centroids
from .checks import (
    Seed,
    check_integer,
    check_n_clusters,
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
from .pinned import Pinned, pin
from .point_set import Floats, Labels, PointSet, Refinable
from .refining import MOST_CLUSTERS, refined
from .result import KMeansResult, as_palette
from .runs import SideBySide, Turns
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
    fixed: Floats | None = None  # centroids (n, d) that stay, the first of the result
    at_most: bool = False  # as many clusters, and no more than distinct points


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
    return replace(
        given,
        init=init,
        n_init=n_init,
        max_iter=max_iter,
        tol=tol,
        callback=callback,
        refine=refine,
    )


def _start(init: Init, data: Dataset, k: int, rng: np.random.Generator) -> Floats:
    """Return the centroids that a run starts from."""
    if isinstance(init, str):
        return METHODS[init](data.points, k, rng)
    given = init(data.source, k, rng) if callable(init) else init
    return data.into(as_centroids(given, data.points.n_features, "init", k))


def _run(
    points: PointSet,
    start: Floats,
    callback: Callback | None,
    options: Options,
    rng: np.random.Generator | None = None,
    run: int = 0,
) -> Run:
    """Run the loop from a start, or the search that goes on from there.

    With centroids that stay the search is that of `refine` 1: others are merged away.
    """
    limits, refine, n_fixed = (options.max_iter, options.tol), options.refine, 0
    if options.fixed is not None:
        refine, n_fixed = min(refine, 1), len(options.fixed)
        points, start = cast(PointSet, Pinned(points, n_fixed)), pin(start, options.fixed)
    if refine == 0 or len(start) > MOST_CLUSTERS:
        return lloyd(points, start, *limits, callback, run)
    points = cast(Refinable, points)
    return refined(points, start, refine, *limits, rng, callback, run, n_fixed)


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
        if data.n is not None and not options.at_most:
            check_n_clusters(max(ks), data.n)
        if options.fixed is not None:
            options = replace(options, fixed=data.into(options.fixed))
        if options.at_most:
            ks = [data.points.n_distinct(k) for k in ks]
        for k in ks if options.fixed is None else ():
            n_distinct = data.points.n_distinct(k)
            if n_distinct < k:
                warnings.warn(
                    f"the data hold {n_distinct} distinct points, fewer than n_clusters={k}; "
                    f"{k - n_distinct} of the clusters are empty",
                    RuntimeWarning,
                    stacklevel=3,  # the caller of `fit`
                )
        lanes = _lanes(data, ks, options, threads)
        if len(lanes) == 1:
            return [fit_dataset(data, k, options) for k in ks]
        return _fit_side_by_side(data, ks, options, lanes, threads)


def fit_dataset(data: Dataset, k: int, options: Options) -> KMeansResult:
    """Run the loop from each of the starts, and return the result of least inertia."""
    rng = check_rng(options.random_state)
    best: Run | None = None
    for run in range(options.n_init):
        start = _start(options.init, data, k, rng)
        ended = _run(data.points, start, options.callback, options, rng, run)
        if best is None or ended.inertia < best.inertia:
            best = ended
        if ended.stopped:
            break
    assert best is not None
    # Centroids that have been elsewhere are rounded: their labels are those that `predict` finds.
    centroids = data.back(best.centroids)
    return _result(data, best, centroids, data.points.label(data.into(centroids)))


def _lanes(data: Dataset, ks: list[int], options: Options, threads: Threads) -> Sequence[PointSet]:
    """Return the point sets that runs go side by side on; one, where they go one by one.

    So they do for functions of the caller's, which are called in order, and by the caller's thread.
    """
    n = min(threads.n, len(ks) * options.n_init)
    draws_on = options.refine > 1  # from the generator, as it runs
    if n == 1 or draws_on or options.callback is not None or not isinstance(options.init, str):
        return [data.points]
    return data.points.siblings(n, ks)


def _fit_side_by_side(
    data: Dataset, ks: list[int], options: Options, lanes: Sequence[PointSet], threads: Threads
) -> list[KMeansResult]:
    """Return what `fit_dataset` does for each number of clusters."""
    assert isinstance(options.init, str)
    fits = [[(at, k)] * options.n_init for at, k in enumerate(ks)]
    seed = options.random_state
    if seed is None or isinstance(seed, int):  # a generator for each; the longest fits begin
        fits.sort(key=lambda runs: -runs[0][1])
    else:  # one that goes on from fit to fit
        fits = [sum(fits, [])]
    turns = [Turns(runs, METHODS[options.init], check_rng(seed)) for runs in fits]
    ended = SideBySide(lanes, partial(_run, options=options)).run(turns, threads)
    return [_result(data, best.run, best.run.centroids, best.labels) for best in ended]


def _result(
    data: Dataset, run: Run, centroids: Floats, labelled: tuple[Labels, Any, float]
) -> KMeansResult:
    """Return the result of a run; what is labelled are the points."""
    labels, counts, inertia = labelled
    return KMeansResult(
        centroids=centroids,
        labels=data.carry(labels, centroids),
        counts=counts,
        inertia=inertia,
        n_iter=len(run.history),
        converged=run.converged,
        history=run.history,
        palette=as_palette(data.dtype, centroids) if data.is_image else None,
        dtype=data.dtype,
        space=data.space,
        setting=data.setting,
    )

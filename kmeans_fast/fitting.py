"""A fit: its options, its starts, and the best of its runs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_centroids
from .checks import check_integer, check_rng, check_tol
from .data.dataset import Dataset
from .lloyd import Callback, Run, lloyd
from .point_set import Points
from .result import KMeansResult, as_palette
from .seeding import METHODS, Init
from .threads import as_caller

Array = NDArray[Any]


@dataclass(frozen=True)
class Options:
    """The checked options of a fit."""

    init: Init
    n_init: int
    max_iter: int
    tol: float
    random_state: Any
    callback: Callback | None


def check_options(
    init: Init,
    n_init: int,
    max_iter: int,
    tol: float,
    random_state: Any,
    callback: Callback | None,
    shape: tuple[int, int] | None = None,
) -> Options:
    """Check the options of a fit; `shape` is that of the centroids."""
    n_init = check_integer("n_init", n_init, 1)
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
    max_iter = check_integer("max_iter", max_iter, 1)
    check_rng(random_state)
    return Options(init, n_init, max_iter, check_tol(tol), random_state, callback)


def _start(init: Init, data: Dataset, k: int, rng: np.random.Generator) -> Array:
    """Return the centroids that a run starts from."""
    if isinstance(init, str):
        return METHODS[init](data.points, k, rng)
    given = init(data.source, k, rng) if callable(init) else init
    return data.into(as_centroids(given, data.points.n_features, "init", k))


def warn_of_few(points: Points, k: int) -> None:
    """Warn the caller of the caller where there are fewer distinct points than clusters."""
    n_distinct = points.n_distinct(k)
    if n_distinct < k:
        warnings.warn(
            f"the data hold {n_distinct} distinct points, fewer than n_clusters={k}; "
            f"{k - n_distinct} of the clusters are empty",
            RuntimeWarning,
            stacklevel=3,
        )


def fit_dataset(data: Dataset, k: int, options: Options) -> KMeansResult:
    """Run the loop from each of the starts, and return the result of least inertia."""
    points = data.points
    rng = check_rng(options.random_state)
    best: Run | None = None
    for run in range(options.n_init):
        start = _start(options.init, data, k, rng)
        ended = lloyd(points, start, options.max_iter, options.tol, options.callback, run)
        if best is None or ended.inertia < best.inertia:
            best = ended
        if ended.stopped:
            break
    assert best is not None
    # Centroids that have been elsewhere are rounded: their labels are those that `predict` finds.
    centroids = data.back(best.centroids)
    labels, counts, inertia = points.label(data.into(centroids))
    return KMeansResult(
        centroids=centroids,
        labels=data.spread(labels, centroids).reshape(data.shape),
        counts=counts,
        inertia=inertia,
        n_iter=len(best.history),
        converged=best.converged,
        history=best.history,
        palette=as_palette(data.dtype, centroids) if data.is_image else None,
        dtype=data.dtype,
        space=data.space,
    )

"""The caller's data, whatever they are: opened once, then a point set, or labelled."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..arrays import as_array, as_centroids, as_chunks
from ..checks import are_colors, check_space, check_threads, is_dask
from ..colors.histogram import ColorHistogram
from ..dense.facts import find_facts
from ..dense.points import PointsInParts
from ..point_set import Labels
from ..spaces import Space
from ..threads import Threads
from .dataset import Dataset, is_image, of_array, of_colors, of_histogram
from .labelling import label_array

# An array (n, d) of uint8 or uint16 looks like a grey picture from so many rows and columns on, and
# with the longer side up to so many times the shorter.
LEAST_SIDE, MOST_LONG = 32, 4


def open_data(data: Any) -> Any:
    """Return checked data: an array, a `ColorHistogram` or a Dask array."""
    if is_dask(data):
        return _warn_of_grey(as_chunks(data))
    if not isinstance(data, ColorHistogram):
        return _warn_of_grey(as_array(data, remedy=" and give them a sample_weight of 0"))
    if data.n_colors == 0:
        raise ValueError("data is an empty ColorHistogram; update it with a picture first")
    return data.copy()  # of one moment: other threads may update it


def _warn_of_grey(data: Any) -> Any:
    """Return checked data; say what is assumed of an array that looks like a grey picture."""
    if data.ndim == 2 and data.dtype in (np.uint8, np.uint16):
        least, most = sorted(data.shape)
        if LEAST_SIDE <= least and most <= MOST_LONG * least:
            warnings.warn(
                f"data of shape {data.shape} and dtype {data.dtype} are taken for points, one a "
                "row; give a grey picture as data[..., None], and such points as floats",
                UserWarning,
                stacklevel=4,
            )
    return data


def size_of(data: Any) -> tuple[int, int]:
    """Return the number of points and of features of checked data."""
    if isinstance(data, ColorHistogram):
        return data.n_pixels, data.n_channels
    return math.prod(data.shape[:-1]), data.shape[-1]


def as_dataset(
    data: Any,
    sample_weight: ArrayLike | None,
    threads: Threads,
    space: Space = "rgb",
    task_threads: int | None = None,
) -> Dataset:
    """Return checked data as a point set: colours where they are that, else floats.

    `task_threads` are those of each of Dask's tasks, 1 by default: its workers are many already.
    """
    if isinstance(data, ColorHistogram):
        if sample_weight is not None:
            raise ValueError("sample_weight is given with a ColorHistogram, which has its counts")
        return of_histogram(data, threads, space)
    if is_dask(data):
        return _of_chunks(data, sample_weight, threads, space, task_threads or 1)
    return of_array(data, sample_weight, threads, space)


def _of_chunks(
    data: Any, sample_weight: Any, threads: Threads, space: Space, task_threads: int
) -> Dataset:
    """Return a Dask array as a point set."""
    from . import dask as on_dask

    weights = None if sample_weight is None else on_dask.open_weights(sample_weight, data)
    if are_colors(data):
        counted = on_dask.count_colors(data, weights, task_threads)
        return of_colors(
            data, *counted, threads, space,
            lambda _, centroids: on_dask.lazy_labels(data, centroids, space, task_threads),
        )  # fmt: skip
    from .dask_parts import DaskParts

    parts = DaskParts(data, weights, task_threads)
    try:
        facts = find_facts(parts)
        points = PointsInParts(parts.settle(facts), facts, threads)
    except BaseException:
        parts.close()
        raise
    shape = data.shape[:-1]
    return Dataset(points, data, data.dtype, shape, is_image(data), close=parts.close)


def find_labels(points: Any, centroids: ArrayLike, space: Space, n_threads: int | None) -> Labels:
    """Label every point with its nearest centroid; of a Dask array, when it is asked for."""
    n_threads = check_threads(n_threads)
    if not is_dask(points):
        with Threads(n_threads) as threads:
            return label_array(as_array(points, "points"), centroids, space, threads)
    from .dask import lazy_labels

    chunks = as_chunks(points, "points")
    checked = as_centroids(centroids, chunks.shape[-1], "centroids")
    check_space(space, chunks)
    return lazy_labels(chunks, checked, space, n_threads or 1)

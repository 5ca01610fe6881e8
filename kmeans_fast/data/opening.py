"""The caller's data, whatever they are: opened once, then a point set, or labelled."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import as_array, as_centroids, as_chunks
from ..checks import are_colors, check_space, check_threads, is_dask
from ..colors.histogram import ColorHistogram
from ..dense.facts import find_facts
from ..dense.points import PointsInParts
from ..gathering import Part
from ..layouts import PLAIN
from ..masking import AS_EVER, Asked, Rule, labels_type, open_pixels, setting_of
from ..point_set import Floats, Labels
from ..spaces import Space
from ..threads import Threads
from .dataset import Dataset, is_image, of_array, of_colors, of_histogram
from .labelling import Labeller, check_out, label_array
from .scene import Scene, of_scene, open_scene

Array = NDArray[Any]

# An array (n, d) of uint8 or uint16 looks like a grey picture from so many rows and columns on, and
# with the longer side up to so many times the shorter.
LEAST_SIDE, MOST_LONG = 32, 4
REMEDY = " and give them a sample_weight of 0"


def open_data(data: Any, asked: Asked | None = None, n_threads: int | None = None) -> Any:
    """Return checked data: an array, a `ColorHistogram`, a Dask array or a `Scene`.

    With what is `asked` of its pixels; None: what is masked is refused, and channels come last.
    """
    if asked is not None and not isinstance(data, ColorHistogram):
        opened = open_pixels(data, asked, remedy=REMEDY)
        _warn_of_grey(opened.array)
        if opened.rule is None and opened.layout is PLAIN:
            return opened.array
        return open_scene(opened, n_threads)
    if asked is not None and asked != AS_EVER:
        raise ValueError(
            "mask, nodata, fill or channel_axis is given with a ColorHistogram, which has counted "
            "its pixels; give them to its update"
        )
    if is_dask(data):
        return _warn_of_grey(as_chunks(data))
    if not isinstance(data, ColorHistogram):
        return _warn_of_grey(as_array(data, remedy=REMEDY))
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
    if isinstance(data, Scene) and data.part is not None:
        return data.part.n, data.shape[-1]
    return math.prod(data.shape[:-1]), data.shape[-1]


def check_labels(data: Any, k: int) -> None:
    """Raise where what takes no part would have the label of a cluster."""
    if isinstance(data, Scene):
        labels_type(k, data.setting.fill)


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
    if isinstance(data, Scene):
        if is_dask(data.array):
            return _of_scene_in_chunks(data, sample_weight, threads, space, task_threads or 1)
        return of_scene(data, sample_weight, threads, space)
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
        colors = of_colors(
            data, *counted, threads, space,
            lambda _, centroids: on_dask.lazy_labels(data, centroids, space, task_threads),
        )  # fmt: skip
        n = int(counted[2].sum()) if weights is None else math.prod(data.shape[:-1])
        return replace(colors, n=n)
    from .dask_parts import DaskParts

    parts = DaskParts(data, weights, task_threads)
    try:
        facts = find_facts(parts)
        points = PointsInParts(parts.settle(facts), facts, threads)
    except BaseException:
        parts.close()
        raise
    shape = data.shape[:-1]
    n = math.prod(shape)
    return Dataset(points, data, data.dtype, shape, is_image(data), close=parts.close, n=n)


def _of_scene_in_chunks(
    scene: Scene, sample_weight: Any, threads: Threads, space: Space, task_threads: int
) -> Dataset:
    """Return the pixels of a Dask array that take part as a point set, which labels all of them."""
    from . import dask_masks

    array, rule = scene.array, scene.rule
    if rule is None:
        data = _of_chunks(array, sample_weight, threads, space, task_threads)
        return replace(data, setting=scene.setting)
    kept, weights = dask_masks.take_part(array, rule, sample_weight)
    data = _of_chunks(kept, weights, threads, space, task_threads)
    return replace(
        data,
        shape=array.shape[:-1],
        is_image=is_image(array),
        spread=lambda _, centroids: dask_masks.lazy_labels_among(
            array, rule, centroids, space, task_threads
        ),
        setting=scene.setting,
    )


def find_labels(
    points: Any,
    centroids: ArrayLike,
    space: Space,
    n_threads: int | None,
    asked: Asked = AS_EVER,
    out: Labels | None = None,
    labeller: Callable[[], Labeller] | None = None,
) -> Labels:
    """Label every point with its nearest centroid; of a Dask array, when it is asked for.

    The `labeller` of these centroids, where there is one, keeps what it learns.
    """
    n_threads = check_threads(n_threads)
    opened = open_pixels(points, asked, "points")
    array, rule, setting = opened.array, opened.rule, setting_of(opened)
    checked = as_centroids(centroids, array.shape[-1], "centroids")
    check_space(space, array)
    dtype = labels_type(len(checked), setting.fill)
    if is_dask(array):
        if out is not None:
            raise TypeError("out is given with a Dask array; store its labels instead")
        return setting.labels(_find_lazily(array, rule, checked, space, n_threads or 1))
    if out is not None:
        check_out(out, array.shape[:-1], dtype)
    with Threads(n_threads) as threads:

        def find(some: Array, out: Labels | None = None) -> Labels:
            if labeller is None:
                return label_array(some, checked, space, threads)
            return labeller().label(some, threads, out)

        if rule is None:
            labels = find(array, out)
        else:
            labels = Part(array, rule, threads).label(array, find, len(checked), threads, out)
    return labels if out is not None else setting.labels(labels)


def _find_lazily(
    array: Any, rule: Rule | None, centroids: Floats, space: Space, n_threads: int
) -> Labels:
    from .dask import lazy_labels
    from .dask_masks import lazy_labels_among

    if rule is None:
        return lazy_labels(array, centroids, space, n_threads)
    return lazy_labels_among(array, rule, centroids, space, n_threads)

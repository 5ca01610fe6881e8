"""Arrays in chunks on a Dask cluster, or with any other of Dask's schedulers.

Integer pixels become histograms where the chunks are, which are merged there, a few at a time; the
rest of a fit is local. Other points stay where they are, as the parts of a `DensePoints`: each
iteration is one pass over them, and what travels is the centroids out and integer sums back.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

import dask
import dask.array as da
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import (
    LEAVE_OUT,
    NO_WEIGHT,
    as_native,
    as_weight_values,
    as_weights,
    check_some_weight,
    check_weights,
    unmasked,
)
from ..colors.counting import CountedPixels, merge_counts
from ..colors.keys import ColorFormat, PixelChunks, color_format
from ..dense.questions import Merge
from ..exact.weights import UNWEIGHTED, Summary, Units, merge, summarize, units_of_pixels
from ..masking import NOTHING_LEFT
from ..point_set import Labels, label_dtype
from ..spaces import Space
from ..threads import Threads
from .labelling import Labeller

Array = NDArray[Any]
Shape = tuple[int, ...]

FAN_IN = 8  # answers merged by one task


class Weights(NamedTuple):
    """The weights of the points of a Dask array, checked."""

    array: Any  # in the chunks of the data
    summary: Summary


class Counted(NamedTuple):
    """The colours of some pixels."""

    keys: Array  # (m,) sorted
    limbs: Array  # (limbs, m) int64: their pixels, or the weights of these


# ------------------------------------------------------------------------------------ weights


def open_weights(sample_weight: Any, data: Any) -> Weights:
    """Return weights, one for each point, in the chunks of the data; this looks at them all."""
    shape = data.shape[:-1]
    weights = sample_weight
    if not isinstance(weights, da.Array):
        array = as_weights(weights, shape).reshape(shape)
        weights = da.from_array(array, chunks=data.chunks[:-1])
    check_weights(weights, shape)
    weights = as_native(weights.rechunk(data.chunks[:-1]))
    summaries = [dask.delayed(_summarize)(block) for block, _ in _blocks(weights)]
    with scheduler_stays():
        summary = dask.compute(_merged(summaries, merge))[0]
    check_some_weight(summary.largest)
    return Weights(weights, summary)


def _summarize(weights: Array) -> Summary:
    return summarize(as_weight_values(unmasked("a chunk of sample_weight", weights, NO_WEIGHT)))


# --------------------------------------------------------------------------------- the schedulers


@contextmanager
def scheduler_stays(client: Any = None) -> Iterator[None]:
    """Say so where the scheduler does not, which Dask reports as a key that was cancelled."""
    gone = (
        "the Dask scheduler went away, or the work was cancelled there; start it again (or "
        "another Client) and call again"
    )
    if client is not None and client.status != "running":
        raise ConnectionError(gone)
    try:
        yield
    except CancelledError as error:
        raise ConnectionError(gone) from error


def _blocks(array: Any) -> list[tuple[Any, Shape]]:
    """Return the chunks of an array as delayed objects, in order, and their shapes.

    Without those that hold nothing, which a selection leaves behind.
    """
    shapes = itertools.product(*array.chunks)
    return [(b, s) for b, s in zip(array.to_delayed().ravel(), shapes, strict=True) if all(s)]


def _merged(answers: list[Any], merge: Merge[Any]) -> Any:
    """Return the answers merged in order, a few at a time, where they are."""
    while len(answers) > 1:
        answers = [
            dask.delayed(merge)(answers[at : at + FAN_IN]) for at in range(0, len(answers), FAN_IN)
        ]
    return answers[0]


class _Shared:
    """Arguments of many tasks, which Dask then neither looks into nor sends more than once."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments


def _share(*arguments: Any) -> Any:
    return dask.delayed(_Shared(*arguments), traverse=False, pure=False)


# ------------------------------------------------------------------------------------------ colours


def count_colors(
    data: Any, weights: Weights | None, n_threads: int
) -> tuple[ColorFormat, Array, Array, Units]:
    """Count the colours of an array of integer pixels, chunk by chunk, where they are.

    Returns their format, the sorted keys, and the weights in limbs and units (`ColorPoints`).
    """
    form = color_format(data.shape[-1], 8 * data.dtype.itemsize)
    units = UNWEIGHTED
    if weights is not None:
        units = units_of_pixels(weights.summary, form.largest)
    parts = [
        dask.delayed(_count)(block, data.dtype, shape, some, units, n_threads)
        for (block, shape), some in _with_weights(data, None if weights is None else weights.array)
    ]
    with scheduler_stays():
        counted = dask.compute(_merged(parts, _merge_counted))[0]
    if counted.keys.size == 0:
        raise ValueError(NOTHING_LEFT)
    return form, counted.keys, counted.limbs, units


def _with_weights(data: Any, weights: Any) -> list[tuple[tuple[Any, Shape], Any]]:
    """Return the chunks of the data, each with that of the weights, or None."""
    blocks = _blocks(data)
    pieces = [None] * len(blocks) if weights is None else [block for block, _ in _blocks(weights)]
    return list(zip(blocks, pieces, strict=True))


def _count(
    block: Any,
    dtype: np.dtype[Any],
    shape: Shape,
    weights: Array | None,
    units: Units,
    n_threads: int,
) -> Counted:
    pixels = _as_block(block, dtype, None if np.isnan(shape[0]) else shape)
    if pixels.size == 0:  # none that take part
        form = color_format(pixels.shape[-1], 8 * dtype.itemsize)
        return Counted(np.empty(0, form.key_dtype), np.empty((1, 0), np.int64))
    with Threads(n_threads) as threads:
        counted = CountedPixels(PixelChunks(pixels), threads)
        if weights is None:
            return Counted(counted.keys, counted.counts[None])
        return Counted(counted.keys, counted.weigh(weights.reshape(-1), units))


def _merge_counted(parts: list[Counted]) -> Counted:
    merged = parts[0]
    for part in parts[1:]:
        both = [
            merge_counts(merged.keys, one, part.keys, other)
            for one, other in zip(merged.limbs, part.limbs, strict=True)
        ]
        merged = Counted(both[0][0], np.stack([limb for _, limb in both]))
    return merged


def _as_block(block: Any, dtype: np.dtype[Any], shape: Shape | None = None) -> Array:
    """Return a chunk, which must be what the array says."""
    array: Array = as_native(np.asarray(unmasked("a chunk of data", block, LEAVE_OUT)))
    if shape is not None and array.shape != shape:
        raise ValueError(
            f"a chunk of data has shape {array.shape}, where the array says {shape}; give "
            "map_blocks the chunks that it makes, or call data.compute_chunk_sizes()"
        )
    if array.dtype != dtype:
        raise TypeError(
            f"a chunk of data has dtype {array.dtype}, where the array says {dtype}; convert it "
            f"with data.map_blocks(lambda chunk: chunk.astype({str(dtype)!r}))"
        )
    return array


# ------------------------------------------------------------------------------------------- labels


def lazy_labels(data: Any, centroids: ArrayLike, space: Space, n_threads: int) -> Labels:
    """Return the labels of an array, in its chunks, each worked out when it is asked for."""
    centroids = np.asarray(centroids)
    dtype = label_dtype(len(centroids))
    shared = _Shared(centroids.tobytes(), centroids.shape, space, n_threads)
    meta = np.empty((0,) * (data.ndim - 1), dtype)
    labels: Labels = data.map_blocks(
        _label, data.dtype, shared, drop_axis=data.ndim - 1, dtype=dtype, meta=meta
    )
    return labels


def _label(block: Any, dtype: np.dtype[Any], shared: _Shared) -> Array:
    numbers, shape, space, n_threads = shared.arguments
    points = _as_block(block, dtype)
    if points.size == 0:
        return np.empty(points.shape[:-1], label_dtype(shape[0]))
    return _labeller(numbers, shape, space)(points, n_threads)


@lru_cache(maxsize=4)
def _labeller(numbers: bytes, shape: tuple[int, int], space: Space) -> Labeller:
    """Return what labels arrays, and keeps its table of all colours from one to the next."""
    return Labeller(np.frombuffer(numbers).reshape(shape), space)

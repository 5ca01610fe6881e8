"""Pixels of a Dask array that take no part: left out, chunk by chunk, where the chunks are."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import dask
import dask.array as da
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..arrays import NO_WEIGHT, check_weights, to_numpy, unmasked
from ..checks import are_colors
from ..gathering import Part, keep_of
from ..masking import NOTHING_LEFT, Rule, labels_type
from ..point_set import Labels
from ..spaces import Space
from ..threads import Threads
from .dask import Shape, _as_block, _blocks, _labeller, _share, _Shared, scheduler_stays
from .dask_parts import by_rows

Array = NDArray[Any]


def take_part(data: Any, rule: Rule, sample_weight: Any) -> tuple[Any, Any]:
    """Return the pixels that take part, a Dask array (m, d), and their weights, or None.

    Nothing of them is kept. How many there are is counted first, in a pass of its own, but for
    colours, which have no order: that count comes of their own pass.
    """
    weights = None if sample_weight is None else _as_weights(sample_weight, data)
    mask = rule.mask
    if mask is not None and not isinstance(mask, da.Array):
        mask = da.from_array(mask, chunks=data.chunks[:-1])
    if not are_colors(data) and data.ndim == 3:
        data = by_rows(data)
    places = data.chunks[:-1]
    blocks = _blocks(data)
    masks: list[Any] = [None] * len(blocks)
    if mask is not None:
        masks = [block for block, _ in _blocks(mask.rechunk(places))]
    shared = _share(replace(rule, mask=None), data.dtype)
    each = list(zip(blocks, masks, strict=True))
    counts: list[float] = [np.nan] * len(blocks)
    if weights is not None or not are_colors(data):
        found = [dask.delayed(_count_taken)(block, some, shared, at) for (block, at), some in each]
        with scheduler_stays():
            counts = list(dask.compute(*found))
        if sum(counts) == 0:
            raise ValueError(NOTHING_LEFT)
    kept = [
        da.from_delayed(dask.delayed(_gather)(block, some, shared, at), (n, at[-1]), data.dtype)
        for ((block, at), some), n in zip(each, counts, strict=True)
        if n != 0
    ]
    if weights is None:
        return da.concatenate(kept), None
    pieces = [block for block, _ in _blocks(weights.rechunk(places))]
    taken = [
        da.from_delayed(
            dask.delayed(_gather_weights)(block, some, shared, at, piece), (n,), weights.dtype
        )
        for ((block, at), some), piece, n in zip(each, pieces, counts, strict=True)
        if n != 0
    ]
    return da.concatenate(kept), da.concatenate(taken)


def _as_weights(sample_weight: Any, data: Any) -> Any:
    """Return weights as a Dask array, one for each pixel; their values are looked at later."""
    shape = data.shape[:-1]
    if isinstance(sample_weight, da.Array):
        check_weights(sample_weight, shape)
        return sample_weight
    array = to_numpy(unmasked("sample_weight", sample_weight, NO_WEIGHT))
    check_weights(array, shape, flat=True)
    return da.from_array(array.reshape(shape), chunks=data.chunks[:-1])


def _part_of(block: Any, mask: Any, shared: _Shared, shape: Shape | None) -> tuple[Array, Rule]:
    """Return the pixels of a chunk, and the rule for them."""
    rule, dtype = shared.arguments
    hidden = None
    if rule.masked_chunks and isinstance(block, np.ma.MaskedArray):
        hidden = np.ma.getmaskarray(block)
        block = np.ma.getdata(block)
    pixels = _as_block(block, dtype, shape)
    mask = None if mask is None else np.asarray(mask).reshape(pixels.shape[:-1])
    return pixels, replace(rule, mask=mask, hidden=hidden, masked_chunks=False)


def _keep_of(block: Any, mask: Any, shared: _Shared, shape: Shape) -> tuple[Array, Array]:
    pixels, rule = _part_of(block, mask, shared, shape)
    return pixels, keep_of(pixels, rule.mask, rule.hidden, rule.nodata)


def _count_taken(block: Any, mask: Any, shared: _Shared, shape: Shape) -> int:
    return int(np.count_nonzero(_keep_of(block, mask, shared, shape)[1]))


def _gather(block: Any, mask: Any, shared: _Shared, shape: Shape) -> Array:
    pixels, rule = _part_of(block, mask, shared, shape)
    with Threads(1) as threads:
        kept = Part(pixels, rule, threads).gather(pixels, threads)
    return kept.reshape(-1, pixels.shape[-1])


def _gather_weights(block: Any, mask: Any, shared: _Shared, shape: Shape, weights: Any) -> Any:
    weights = np.ma.asanyarray(weights) if np.ma.isMaskedArray(weights) else np.asarray(weights)
    return weights[_keep_of(block, mask, shared, shape)[1]]


def lazy_labels_among(
    data: Any, rule: Rule, centroids: ArrayLike, space: Space, n_threads: int
) -> Labels:
    """Return the labels of all pixels, in the chunks of the data, worked out when asked for."""
    centroids = np.asarray(centroids)
    dtype = labels_type(len(centroids), rule.fill)
    shared = _Shared(replace(rule, mask=None), data.dtype)
    finder = _Shared(centroids.tobytes(), centroids.shape, space, n_threads)
    masks = []
    if rule.mask is not None:
        places = (*data.chunks[:-1], (1,))
        masks = [da.asarray(rule.mask)[..., None].rechunk(places)]
    labels: Labels = da.map_blocks(
        _label, data, *masks, shared=shared, finder=finder, drop_axis=data.ndim - 1, dtype=dtype,
        meta=np.empty((0,) * (data.ndim - 1), dtype),
    )  # fmt: skip
    return labels


def _label(block: Any, mask: Any = None, *, shared: _Shared, finder: _Shared) -> Labels:
    pixels, rule = _part_of(block, mask, shared, None)
    numbers, shape, space, n_threads = finder.arguments
    if pixels.size == 0:
        return np.empty(pixels.shape[:-1], labels_type(shape[0], rule.fill))
    labeller = _labeller(numbers, shape, space)
    with Threads(n_threads) as threads:
        part = Part(pixels, rule, threads)
        return part.label(pixels, lambda some: labeller.label(some, threads), shape[0], threads)

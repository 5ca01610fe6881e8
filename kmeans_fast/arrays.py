"""The door for arrays: what comes in is checked here, once, before any work."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import MOST_EXACT, SUM_BITS, are_colors, is_dask, is_file
from .threads import quiet

Array = NDArray[Any]

# What becomes of masked values, and of masked weights.
LEAVE_OUT = "leave those points out, or fill them in (with .filled(value))"
NO_WEIGHT = "fill them in, with 0 for what does not count"


def as_array(data: Any, name: str = "data", remedy: str = "") -> Array:
    """Return real, numeric points (n, d) or an image (h, w, c), as it is wherever possible.

    `remedy` is what else than to leave out or to fill in the caller has for masked values.
    """
    if hasattr(data, "getbands") and hasattr(data, "getexif"):
        from .pictures.reading import to_array

        return to_array(data)
    if hasattr(data, "toarray") and hasattr(data, "nnz"):
        raise TypeError(f"{name} is sparse; make it dense with {name}.toarray()")
    if is_dask(data):
        raise TypeError(f"{name} is a Dask array, which this does not take; use {name}.compute()")
    if is_file(data) or isinstance(data, bytes):
        raise TypeError(f"{name} is {type(data).__name__}; open a picture with open_image(path)")
    if hasattr(data, "__next__") or type(data).__module__ == "kmeans_fast.pictures.tiles":
        raise TypeError(
            f"{name} comes in tiles ({type(data).__name__}); count them first with "
            "ColorHistogram.from_tiles(tiles), and give that"
        )
    data = unmasked(name, data, f"{LEAVE_OUT}{remedy}")
    try:
        array = to_numpy(data)
    except ValueError as error:
        raise ValueError(
            f"{name} is not a regular array ({error}); give rows of one length"
        ) from None
    _check_points(name, array)
    _check_range(name, array)
    numbers: Array = _as_numbers(array)
    return numbers


def as_chunks(data: Any, name: str = "data", merge: bool = False) -> Any:
    """Return a Dask array that can be clustered: known chunks, whole along the last axis.

    With `merge` they become so: bands that were stored apart, say.
    """
    _check_points(name, data)
    if np.isnan(np.array(data.shape, float)).any():
        raise ValueError(
            f"{name} has chunks of unknown length, shape {_show(data.shape)}; call "
            f"{name}.compute_chunk_sizes() first"
        )
    if len(data.chunks[-1]) > 1:
        if not merge:
            raise ValueError(
                f"{name} has chunks {data.chunks[-1]} along its last axis, so that no chunk holds "
                f"a whole point; use {name}.rechunk({{{data.ndim - 1}: -1}})"
            )
        data = data.rechunk({data.ndim - 1: -1})
    return _as_numbers(data)


def _check_points(name: str, array: Any) -> None:
    """Raise unless this is an array, of NumPy or of Dask, of points or of pixels."""
    if array.dtype.kind not in "buif":
        raise TypeError(
            f"{name} has dtype {array.dtype}; give real numbers (uint8, uint16, other integers, "
            "float32 or float64)"
        )
    if array.ndim not in (2, 3):
        raise ValueError(
            f"{name} has shape {_show(array.shape)}; give points (n, d) or an image (h, w, c), a "
            "grey image as image[..., None]"
        )
    if 0 in array.shape:
        raise ValueError(
            f"{name} has shape {_show(array.shape)}: nothing to cluster; give one point or more"
        )


def _show(shape: tuple[float, ...]) -> str:
    """Return a shape as NumPy writes it, with ? for what Dask does not know."""
    return str(shape).replace("nan", "?")


def _as_numbers(array: Any) -> Any:
    """Return an array as kernels take it: bool as uint8, in the byte order of this machine."""
    return array.astype(np.uint8) if array.dtype == bool else as_native(array)


def as_native(array: Any) -> Any:
    """Return an array, of NumPy or of Dask, in the byte order of this machine."""
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def unmasked(name: str, values: Any, remedy: str) -> Any:
    """Return values as they are, unless some are masked, which NumPy forgets about.

    Those of a Dask array, of which nothing is known before, are worked out.
    """
    if is_dask(values):
        values = values.compute()
    parts = values if isinstance(values, list | tuple) else [values]
    masks = [np.ma.getmask(part) for part in parts if isinstance(part, np.ma.MaskedArray)]
    if n_masked := sum(int(mask.sum()) for mask in masks):
        raise ValueError(f"{name} has {n_masked} masked values; {remedy}")
    return values


def to_numpy(values: Any) -> Array:
    """Return what NumPy makes of values; of a data frame, the numbers of its columns.

    NumPy makes objects of columns that may lack values, or of numbers beside bool.
    """
    array = np.asarray(values)
    if array.dtype != object or not hasattr(values, "to_numpy"):
        return array
    kinds = [values.dtype] if array.ndim == 1 else values.dtypes
    try:
        common = np.result_type(*(getattr(kind, "numpy_dtype", kind) for kind in kinds))
    except TypeError:  # of words, dates or categories
        return array
    if common.kind not in "buif":
        return array
    try:
        numbers: Array = values.to_numpy(common)
    except (TypeError, ValueError):  # some lack
        numbers = values.to_numpy(np.float64, na_value=np.nan)
    return numbers


def _check_range(name: str, array: Array) -> None:
    """Raise where floats of more than 64 bits are finite, and infinite in float64."""
    if array.dtype.kind == "f" and array.dtype.itemsize > 8:
        sizes = np.abs(array[np.isfinite(array)])
        if sizes.size and sizes.max() > np.finfo(np.float64).max:
            raise ValueError(
                f"{name} holds values up to {sizes.max()!s}, more than float64 does; divide them "
                "by a constant"
            )


def check_colors(array: Array) -> None:
    """Raise unless these are integer pixels (h, w, c) or (n, c) that the colour engine takes."""
    if not are_colors(array):
        raise ValueError(
            f"image has {array.shape[-1]} channels of {array.dtype}; give uint8 with 1 to 4 or "
            "uint16 with 1 to 3"
        )


def as_centroids(
    centroids: Any, n_features: int, name: str, k: int | None = None
) -> NDArray[np.float64]:
    """Return starting or given centroids, float64 (k, d)."""
    centroids = unmasked(name, centroids, "fill them in")
    try:
        given = to_numpy(centroids)
        if given.dtype.kind not in "buifO":
            raise ValueError(f"dtype {given.dtype}")
        with quiet():
            array = given.astype(np.float64, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} is not an array of numbers ({error}); give shape (k, d)"
        ) from None
    rows = "k" if k is None else k
    if array.ndim != 2 or array.shape[1] != n_features or len(array) != (k or max(len(array), 1)):
        raise ValueError(f"{name} has shape {array.shape}; give ({rows}, {n_features})")
    _check_range(name, given)
    if given.dtype.kind in "iu" and max(int(given.max()), -int(given.min())) > MOST_EXACT:
        raise ValueError(
            f"{name} holds integers up to {np.abs(array).max():.17g}, more than float64 holds "
            "exactly (2**53); give float64"
        )
    if not np.isfinite(array).all():
        raise ValueError(f"{name} holds NaN or infinity; give finite numbers")
    largest = float(np.abs(array).max())
    if largest > 1e150:
        raise ValueError(f"{name} reaches {largest:.3g}, whose square overflows; scale the data")
    return array


def as_labels(labels: ArrayLike, shape: tuple[int, ...], k: int) -> Array:
    """Return labels, flat, one for each point."""
    array = to_numpy(unmasked("labels", labels, "fill them in"))
    if array.dtype.kind not in "iu":
        raise TypeError(f"labels has dtype {array.dtype}; give integers from 0 to {k - 1}")
    check_one_each("labels", array.shape, shape, flat=True)
    if array.min() < 0 or array.max() >= k:
        raise ValueError(
            f"labels run from {array.min()} to {array.max()}; with n_clusters={k} give 0 to {k - 1}"
        )
    flat = array.reshape(-1)
    as_is = flat.dtype.itemsize <= 4 and flat.dtype.kind == "u" and flat.dtype.isnative
    # One layout, for which kernels are compiled: others cost seconds, once.
    return np.require(flat, flat.dtype if as_is else np.int32, ["C", "A", "W"])


def check_one_each(
    name: str, found: tuple[int, ...], shape: tuple[int, ...], flat: bool = False
) -> None:
    """Raise unless labels or weights have the shape of the points; `flat`: or one axis for all."""
    if found != shape and not (flat and found == (math.prod(shape),)):
        raise ValueError(f"{name} has shape {found}; give one for each point, {shape}")


def as_weights(sample_weight: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return weights, flat: int64 where all are whole numbers, else float64."""
    sample_weight = unmasked("sample_weight", sample_weight, NO_WEIGHT)
    try:
        weights = to_numpy(sample_weight)
    except (TypeError, ValueError) as error:
        raise TypeError(f"sample_weight is not an array of numbers ({error})") from None
    check_weights(weights, shape, flat=True)
    weights = as_weight_values(weights)
    check_some_weight(weights.max())
    return weights


def check_weights(weights: Any, shape: tuple[int, ...], flat: bool = False) -> None:
    """Raise unless an array, of NumPy or of Dask, can be weights of points of this shape."""
    if weights.dtype.kind not in "buif":
        raise TypeError(f"sample_weight is not an array of numbers (dtype {weights.dtype})")
    check_one_each("sample_weight", weights.shape, shape, flat)


def as_weight_values(weights: Array) -> Array:
    """Return weights, all or some of them, flat: int64 where these are whole, else float64."""
    _check_range("sample_weight", weights)
    weights = weights.reshape(-1)
    if weights.dtype.kind == "f":
        with quiet():
            weights = weights.astype(np.float64, copy=False)
        if not np.isfinite(weights).all():
            raise ValueError("sample_weight holds NaN or infinity; give finite numbers")
    least, largest = weights.min(), weights.max()
    if least < 0:
        raise ValueError(f"sample_weight goes down to {least}; give 0 or more")
    if weights.dtype.kind == "f":
        whole = largest < MOST_EXACT and (np.rint(weights) == weights).all()
        return weights.astype(np.int64) if whole else weights
    if largest >= 2**SUM_BITS:
        raise ValueError(f"sample_weight reaches {largest}; sums are exact to 2**62: scale it down")
    if largest > MOST_EXACT and (weights.astype(np.float64).astype(weights.dtype) != weights).any():
        raise ValueError(
            f"sample_weight reaches {largest}, and float64 holds integers beyond 2**53 only in "
            "part; scale it down"
        )
    return weights.astype(np.int64)


def check_some_weight(largest: float) -> None:
    """Raise where no weight is more than this, and this is none."""
    if largest == 0:
        raise ValueError("sample_weight is all zero; give some point a weight")

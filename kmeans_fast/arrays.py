"""The door for arrays: what comes in is checked here, once, before any work."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import MOST_EXACT, SUM_BITS, are_colors, is_dask, is_file
from .threads import quiet

Array = NDArray[Any]

# What becomes of masked values.
LEAVE_OUT = "leave those points out, or fill them in (with .filled(value))"


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
    if array.dtype.kind not in "buif":
        raise TypeError(
            f"{name} has dtype {array.dtype}; give real numbers (uint8, uint16, other integers, "
            "float32 or float64)"
        )
    if array.ndim not in (2, 3):
        raise ValueError(
            f"{name} has shape {array.shape}; give points (n, d) or an image (h, w, c), a grey "
            "image as image[..., None]"
        )
    if array.size == 0:
        raise ValueError(
            f"{name} has shape {array.shape}: nothing to cluster; give one point or more"
        )
    _check_range(name, array)
    if array.dtype == bool:
        return array.view(np.uint8) if array.flags.c_contiguous else array.astype(np.uint8)
    native: Array = as_native(array)
    return native


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


def as_pixels(image: ArrayLike) -> Array:
    """Return integer pixels (h, w, c) or (n, c) that the colour engine takes."""
    array = as_array(image, "image", " and leave them out by ColorHistogram.update(mask=)")
    if not are_colors(array):
        raise ValueError(
            f"image has {array.shape[-1]} channels of {array.dtype}; give uint8 with 1 to 4 or "
            "uint16 with 1 to 3"
        )
    return array


def as_centroids(centroids: Any, n_features: int, name: str, k: int | None = None) -> Array:
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
    if array.shape != shape and array.shape != (int(np.prod(shape)),):
        raise ValueError(f"labels has shape {array.shape}; give one for each point, {shape}")
    if array.min() < 0 or array.max() >= k:
        raise ValueError(
            f"labels run from {array.min()} to {array.max()}; with n_clusters={k} give 0 to {k - 1}"
        )
    flat = array.reshape(-1)
    as_is = flat.dtype.itemsize <= 4 and flat.dtype.kind == "u" and flat.dtype.isnative
    # One layout, for which kernels are compiled: others cost seconds, once.
    return np.require(flat, flat.dtype if as_is else np.int32, ["C", "A", "W"])


def as_weights(sample_weight: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return weights, flat: int64 where all are whole numbers, else float64."""
    remedy = "fill them in, with 0 for what does not count"
    sample_weight = unmasked("sample_weight", sample_weight, remedy)
    try:
        weights = to_numpy(sample_weight)
        if weights.dtype.kind not in "buif":
            raise TypeError(f"dtype {weights.dtype}")
    except (TypeError, ValueError) as error:
        raise TypeError(f"sample_weight is not an array of numbers ({error})") from None
    if weights.shape != shape and weights.shape != (int(np.prod(shape)),):
        raise ValueError(
            f"sample_weight has shape {weights.shape}; give one for each point, {shape}"
        )
    _check_range("sample_weight", weights)
    weights = weights.reshape(-1)
    if weights.dtype.kind == "f":
        with quiet():
            weights = weights.astype(np.float64, copy=False)
    finite = weights.dtype.kind != "f" or bool(np.isfinite(weights).all())
    check_weight_values(finite, weights.min(), weights.max(), are_exact(weights))
    if weights.dtype.kind == "f":
        if weights.max() < MOST_EXACT and (np.rint(weights) == weights).all():
            return weights.astype(np.int64)
        return weights
    return weights.astype(np.int64)


def are_exact(weights: Array) -> bool:
    """Tell whether float64 holds all weights as they are."""
    if weights.dtype.kind not in "iu" or not MOST_EXACT < weights.max() < 2**SUM_BITS:
        return True  # or refused for another reason
    return bool((weights.astype(np.float64).astype(weights.dtype) == weights).all())


def check_weight_values(finite: bool, least: Any, largest: Any, exact: bool) -> None:
    """Raise unless weights of these ends can be used."""
    if not finite:
        raise ValueError("sample_weight holds NaN or infinity; give finite numbers")
    if least < 0:
        raise ValueError(f"sample_weight goes down to {least}; give 0 or more")
    if largest == 0:
        raise ValueError("sample_weight is all zero; give some point a weight")
    if isinstance(largest, np.integer) and largest >= 2**SUM_BITS:
        raise ValueError(f"sample_weight reaches {largest}; sums are exact to 2**62: scale it down")
    if not exact:
        raise ValueError(
            f"sample_weight reaches {largest}, and float64 holds integers beyond 2**53 only in "
            "part; scale it down"
        )

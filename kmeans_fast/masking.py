"""Which pixels take part: what the caller says, or the data do, checked once, at the door."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import as_array, as_chunks, to_numpy, unmasked
from .checks import check_integer, is_dask
from .layouts import PLAIN, Axis, Layout, is_xarray, transposed_mask, unwrap
from .point_set import Labels, label_dtype

Array = NDArray[Any]
Nodata = float | Sequence[float | None] | NDArray[Any] | None  # as a caller gives it
Nowhere = tuple[Any, ...]  # a value for each band, in the type of the data; None: none

FILL = -1
NOTHING_LEFT = (
    "mask or nodata leaves no pixel, so there is nothing to cluster; give others, or none"
)


@dataclass(frozen=True)
class Asked:
    """What a caller asks of the pixels: which take part, and where their channels lie."""

    mask: Any = None
    nodata: Nodata = None
    fill: int | None = None
    channel_axis: Axis = -1


AS_EVER = Asked()


@dataclass(frozen=True)
class Rule:
    """By what pixels take part, checked.

    Attributes
    ----------
    mask : array of bool, of NumPy or of Dask, in the shape of the pixels, or None
        True: takes part.
    hidden : ndarray of bool, in the shape of the data with the channels last, or None
        The mask of one of NumPy's masked arrays: where any channel is hidden takes no part.
    nodata : tuple or None
        For each channel the value that takes no part; None where there is none.
    fill : int
        The label of what takes no part.
    masked_chunks : bool
        Whether the chunks of a Dask array are masked arrays.
    """

    mask: Any = None
    hidden: Array | None = None
    nodata: Nowhere | None = None
    fill: int = FILL
    masked_chunks: bool = False

    @property
    def takes_all(self) -> bool:
        """Whether this leaves out no pixel, whatever it holds."""
        by_value = self.nodata is not None and any(value is not None for value in self.nodata)
        return not (self.masked_chunks or by_value) and self.mask is None and self.hidden is None


@dataclass(frozen=True)
class Opened:
    """The caller's pixels, checked: channels last, their layout, and which of them take part."""

    array: Any  # of NumPy or of Dask
    layout: Layout
    rule: Rule | None  # None: all, with labels of the types as ever


def open_pixels(
    data: Any, asked: Asked, name: str = "data", remedy: str = "", lazily: bool = True
) -> Opened:
    """Check the caller's pixels, and what is asked of them; `lazily`: they may be Dask's."""
    said = _nodata_of(data)
    values, layout = unwrap(data, asked.channel_axis, name)
    hidden: Array | None = None
    is_masked = isinstance(values, np.ma.MaskedArray)
    if is_masked:
        hidden = None if np.ma.getmask(values) is np.ma.nomask else np.ma.getmask(values)
        values = np.ma.getdata(values)
    if lazily and is_dask(values):
        values = layout.lay(values)
        array = as_chunks(values, name, merge=layout is not PLAIN)
        masked_chunks = isinstance(array._meta, np.ma.MaskedArray)
    else:
        if layout.axis is None:
            values = values[..., None]
        array = as_array(values, name, remedy)
        if layout.axis is not None:
            array = layout.lay(array)
        masked_chunks = False
    if hidden is not None:
        hidden = layout.lay(hidden)
    fill = FILL if asked.fill is None else check_fill(asked.fill)
    shape = array.shape[:-1]
    mask = None
    if asked.mask is not None:
        mask = as_mask(transposed_mask(asked.mask, layout), shape, is_dask(array))
    nodata = as_nodata(asked.nodata, array.dtype, array.shape[-1])
    if asked.nodata is None and said:
        nodata = as_nodata(said[0], array.dtype, array.shape[-1], strict=False)
    plain = asked.mask is None and asked.nodata is None and asked.fill is None
    if plain and not (said or is_masked or masked_chunks):
        return Opened(array, layout, None)
    return Opened(array, layout, Rule(mask, hidden, nodata, fill, masked_chunks))


def _nodata_of(data: Any) -> tuple[Any, ...]:
    """Return the value that a DataArray says is none, in a tuple, or an empty one."""
    if not is_xarray(data):
        return ()
    # Values that were read with their gaps as NaN keep the file's value in the encoding.
    read = [data.encoding[key] for key in ("_FillValue", "missing_value") if key in data.encoding]
    if read and read[0] is not None:
        return (math.nan,) if data.dtype.kind == "f" else (_one(read[0]),)
    if "rioxarray" in sys.modules and data.rio.nodata is not None:
        return (_one(data.rio.nodata),)
    told = data.attrs.get("_FillValue")
    return () if told is None else (_one(told),)


def _one(value: Any) -> Any:
    """Return the number that an attribute holds, which may be an array of one."""
    return value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size == 1 else value


def as_mask(mask: Any, shape: tuple[int, ...], lazily: bool = False) -> Any:
    """Return a mask in the shape of the pixels; one of Dask stays so where the data are."""
    if not (lazily and is_dask(mask)):
        mask = to_numpy(unmasked("mask", mask, "fill them in"))
    if mask.dtype != bool:
        raise TypeError(f"mask has dtype {mask.dtype}; give bool, such as mask != 0")
    if mask.shape != shape:
        raise ValueError(f"mask has shape {mask.shape}; give one for each pixel, {shape}")
    return mask


def as_nodata(
    nodata: Any, dtype: np.dtype[Any], n_channels: int, strict: bool = True
) -> Nowhere | None:
    """Return the value of each channel that takes no part, in the type of the data.

    What the type cannot hold is refused; or, where the data themselves say it, occurs nowhere.
    """
    if nodata is None:
        return None
    if isinstance(nodata, str | bytes) or not isinstance(nodata, Sequence | np.ndarray):
        each = [nodata] * n_channels
    else:
        each = nodata.tolist() if isinstance(nodata, np.ndarray) else list(nodata)
        if not isinstance(each, list):  # of an array of no dimension
            each = [each] * n_channels
        if len(each) != n_channels:
            raise ValueError(
                f"nodata has {len(each)} values, and the data {n_channels} bands; give one value, "
                "or one for each band"
            )
    return tuple(_in_type(value, dtype, strict) for value in each)


def _in_type(value: Any, dtype: np.dtype[Any], strict: bool) -> Any:
    if value is None:
        return None
    if not isinstance(value, Real):
        raise TypeError(f"nodata={value!r} is no number; give a value of the data, or one a band")
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            held = dtype.type(value)
        if np.isfinite(held) or not math.isfinite(value):
            return held
        limits = f"{np.finfo(dtype).min} to {np.finfo(dtype).max}"
    else:
        info = np.iinfo(dtype)
        number = int(value) if isinstance(value, Integral) else as_whole(float(value))
        if number is not None and info.min <= number <= info.max:
            return dtype.type(number)
        limits = f"whole numbers from {info.min} to {info.max}"
    if strict:
        raise ValueError(
            f"nodata={value!r} is no value of {dtype} ({limits}); give one that occurs, or a mask="
        )
    return None


def as_whole(value: float) -> int | None:
    """Return a float that is a whole number as that."""
    return int(value) if value.is_integer() else None


def check_fill(fill: Any) -> int:
    """Return the label of what takes no part: an int32."""
    number = check_integer("fill", fill, -(2**31))
    if number >= 2**31:
        raise ValueError(f"fill={number} is more than labels hold; give 2**31 - 1 or less")
    return number


def labels_type(k: int, fill: int | None) -> np.dtype[Any]:
    """Return the smallest type that holds the labels of so many clusters, and `fill`.

    Examples
    --------
    >>> labels_type(128, -1), labels_type(129, -1), labels_type(12, 255), labels_type(12, None)
    (dtype('int8'), dtype('int16'), dtype('uint8'), dtype('uint8'))
    """
    if fill is None:
        return label_dtype(k)
    if 0 <= fill < k:
        raise ValueError(
            f"fill={fill} is the number of a cluster, of 0 to {k - 1}; give -1, or {k} or more"
        )
    if fill >= 0:
        return label_dtype(fill + 1)
    kinds = [np.dtype(kind) for kind in ("int8", "int16", "int32")]
    return next(
        kind for kind in kinds if np.iinfo(kind).min <= fill and k - 1 <= np.iinfo(kind).max
    )


@dataclass(frozen=True)
class Setting:
    """How the caller's data lie, and what becomes of those that take no part.

    Attributes
    ----------
    layout : Layout
    fill : int or None
        Their label; None, where all take part.
    nodata : tuple or None
        What they hold, for each channel.
    """

    layout: Layout = PLAIN
    fill: int | None = None
    nodata: Nowhere | None = None

    def labels(self, labels: Labels) -> Labels:
        """Return labels as the data came."""
        wrapped: Labels = self.layout.labels(labels, self.fill)
        return wrapped

    def paint(self, colors: Array, labels: Array) -> Array:
        """Return the colour (k, d) of each label; pixels that take no part hold no data."""
        if self.fill is None:
            return np.take(colors, labels, axis=0)
        nothing = np.nan if colors.dtype.kind == "f" else 0
        known = self.nodata or (None,) * colors.shape[1]
        last = [nothing if value is None else value for value in known]
        colors = np.vstack([colors, np.array(last, colors.dtype)])
        if self.fill != -1:
            labels = np.where(labels == self.fill, -1, labels.astype(np.int32))
        return np.take(colors, labels, axis=0)


def setting_of(opened: Opened) -> Setting:
    """Return how opened pixels lie, and what becomes of those that take no part."""
    rule = opened.rule
    return (
        Setting(opened.layout) if rule is None else Setting(opened.layout, rule.fill, rule.nodata)
    )

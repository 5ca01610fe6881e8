"""Where the channels of an array lie, and how labels go back to it: bands first, xarray."""

from __future__ import annotations

import operator
import sys
from dataclasses import dataclass, field
from typing import Any

from .arrays import to_numpy
from .checks import is_dask

# What the channels of an `xarray.DataArray` are called, and the places of its pixels.
CHANNELS = ("band", "bands", "channel", "channels", "wavelength", "wavelengths")
PLACES = {"x", "y", "lat", "lon", "latitude", "longitude", "easting", "northing", "row", "col"}
Axis = int | str | None


@dataclass(frozen=True)
class Frame:
    """What an `xarray.DataArray` knows beside its values."""

    dims: tuple[Any, ...]
    coords: dict[Any, Any] = field(repr=False)
    channel: Any = None  # the dimension of the channels, None where there is none
    name: Any = None
    attrs: dict[Any, Any] = field(default_factory=dict)
    encoding: dict[Any, Any] = field(default_factory=dict)
    crs: Any = None

    def wrap(self, values: Any, name: Any, attrs: dict[Any, Any], whole: bool = False) -> Any:
        """Return values as a DataArray of these places; `whole`: channels included."""
        import xarray as xr

        gone = () if whole else (self.channel,)
        dims = [dim for dim in self.dims if dim not in gone]
        coords = {key: at for key, at in self.coords.items() if not set(at.dims) & set(gone)}
        array = xr.DataArray(values, dims=dims, coords=coords, name=name, attrs=attrs)
        array.encoding.update(self.encoding)
        # Most often a coordinate holds it, and is there already.
        if self.crs is not None and "rioxarray" in sys.modules and array.rio.crs != self.crs:
            array.rio.write_crs(self.crs, inplace=True)
        return array


@dataclass(frozen=True)
class Layout:
    """Where the channels of the caller's array lie, and what it is.

    Attributes
    ----------
    axis : int or None
        The axis of the channels; None where the array has none.
    frame : Frame or None
        Of a DataArray.
    """

    axis: int | None = -1
    frame: Frame | None = None

    def lay(self, array: Any) -> Any:
        """Return an array of pixels, of NumPy or of Dask, with its channels last: a view."""
        if self.axis is None:
            return array[..., None]
        return move_axis(array, self.axis, -1)

    def labels(self, labels: Any, fill: int | None) -> Any:
        """Return labels as the data came: of a DataArray one, where `fill` says no data."""
        if self.frame is None:
            return labels
        attrs = {} if fill is None else {"_FillValue": labels.dtype.type(fill)}
        return self.frame.wrap(labels, "labels", attrs)

    def pixels(self, painted: Any) -> Any:
        """Return pixels that have their channels last as the data came."""
        if self.axis is None:
            painted = painted[..., 0]
        else:
            painted = move_axis(painted, -1, self.axis)
        if self.frame is None:
            return painted
        return self.frame.wrap(painted, self.frame.name, self.frame.attrs, whole=True)


PLAIN = Layout()


def move_axis(array: Any, source: int, to: int) -> Any:
    """Return a view of an array, of NumPy or of Dask, with one axis elsewhere."""
    source, to = source % array.ndim, to % array.ndim
    if source == to:
        return array
    axes = [axis for axis in range(array.ndim) if axis != source]
    axes.insert(to, source)
    return array.transpose(axes)


def is_xarray(data: Any) -> bool:
    """Tell whether this is an `xarray.DataArray`, without importing xarray."""
    xarray = sys.modules.get("xarray")
    return xarray is not None and isinstance(data, xarray.DataArray)


def unwrap(data: Any, channel_axis: Axis, name: str) -> tuple[Any, Layout]:
    """Return what the caller's data hold, their channels where they are, and their layout."""
    if is_xarray(data):
        return _unwrap_frame(data, channel_axis, name)
    if isinstance(channel_axis, str):
        raise TypeError(
            f"channel_axis={channel_axis!r} names a dimension, which a DataArray alone has; give "
            "the number of an axis"
        )
    axis = -1 if channel_axis is None else _as_axis(channel_axis)
    if hasattr(data, "getbands") or (axis == -1 and channel_axis is not None):
        return data, PLAIN
    if not hasattr(data, "ndim"):
        data = to_numpy(data)
    if channel_axis is not None:
        ndim = data.ndim
        if not -ndim <= axis < ndim:
            raise ValueError(
                f"channel_axis={axis} is no axis of {name}, which has {ndim}; give -1 for the "
                "last, or 0 for (bands, rows, columns)"
            )
        return data, Layout(axis - ndim if axis >= 0 else axis)
    if data.ndim not in (1, 2):
        raise ValueError(
            f"channel_axis=None is for {name} without channels, (h, w) or (n,); it has shape "
            f"{data.shape}"
        )
    return data, Layout(None)


def _as_axis(channel_axis: Any) -> int:
    try:
        return operator.index(channel_axis)
    except TypeError:
        raise TypeError(
            f"channel_axis={channel_axis!r} is no number of an axis; give -1 for the last, or 0 "
            "for (bands, rows, columns)"
        ) from None


def _unwrap_frame(data: Any, channel_axis: Axis, name: str) -> tuple[Any, Layout]:
    dims = tuple(data.dims)
    axis = _find_axis(dims, channel_axis, name)
    crs = data.rio.crs if "rioxarray" in sys.modules and data.ndim >= 2 else None
    kept = {"grid_mapping"}
    frame = Frame(
        dims,
        dict(data.coords),
        None if axis is None else dims[axis],
        data.name,
        dict(data.attrs),
        {key: value for key, value in data.encoding.items() if key in kept},
        crs,
    )
    return data.data, Layout(axis, frame)


def _find_axis(dims: tuple[Any, ...], channel_axis: Axis, name: str) -> int | None:
    """Return the axis of the channels of a DataArray, from the end."""
    if channel_axis is None:
        return None
    if isinstance(channel_axis, str):
        if channel_axis not in dims:
            raise ValueError(
                f"channel_axis={channel_axis!r} is no dimension of {name}, which has {dims}"
            )
        return dims.index(channel_axis) - len(dims)
    axis = _as_axis(channel_axis)
    if not -len(dims) <= axis < len(dims):
        raise ValueError(f"channel_axis={axis} is no axis of {name}, which has dimensions {dims}")
    if axis != -1:
        return axis - len(dims) if axis >= 0 else axis
    named = [dim for dim in dims if str(dim).lower() in CHANNELS]
    if named:
        return dims.index(named[0]) - len(dims)
    if {str(dim).lower() for dim in dims[-2:]} <= PLACES:
        if len(dims) == 2:  # one band
            return None
        raise ValueError(
            f"{name} has dimensions {dims}, none of them named {', '.join(CHANNELS[::2])}; name "
            f"that of the channels, as channel_axis={dims[0]!r}"
        )
    return -1


def transposed_mask(mask: Any, layout: Layout) -> Any:
    """Return the mask of a DataArray in the order of the pixels' dimensions."""
    if not is_xarray(mask):
        return mask
    if layout.frame is not None:
        dims = [dim for dim in layout.frame.dims if dim != layout.frame.channel]
        if set(dims) == set(mask.dims):
            mask = mask.transpose(*dims)
    return mask.data if is_dask(mask.data) else mask.to_numpy()

"""Rasters that GDAL reads, of any number of bands, with their place on the earth: by windows."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .identify import one_line
from .tiff import MAGIC, Box, cut, tags_of

Array = NDArray[Any]
Path = str | os.PathLike[str]

# Tags of a TIFF that say where it lies: scale, tie points, matrix, keys; or what GDAL has to say of
# its bands, and which value is none.
GEO_TAGS = {33550, 33922, 34264, 34735, 42112, 42113}
PHOTOMETRIC, PLAIN = 262, (0, 1, 2)  # samples that are what they are: white or black is 0, RGB
# GDAL decodes whole blocks, and keeps so many bytes of them; by default a 20th of the memory.
CACHE = 2**26


OLDEST = (1, 4)  # of rasterio: with GDAL before, what is missing of a file is zeros


def load_rasterio() -> ModuleType:
    """Return rasterio, whose wheels carry GDAL."""
    try:
        rasterio = import_module("rasterio")
        import_module("rasterio.windows")  # not always with it
    except ImportError:
        raise ImportError(
            "a scene is read and written with rasterio: pip install 'kmeans_fast[geo]'"
        ) from None
    if tuple(map(int, rasterio.__version__.split(".")[:2])) < OLDEST:
        raise ImportError(
            f"rasterio {rasterio.__version__} says nothing of files that are cut short: "
            "pip install 'kmeans_fast[geo]' brings 1.4 or later"
        )
    return rasterio


def is_scene(path: Path) -> bool:
    """Tell whether a file is a GeoTIFF whose samples mean nothing but themselves."""
    with open(path, "rb") as file:
        if file.read(4) not in MAGIC:
            return False
        tags = tags_of(file)
    return bool(GEO_TAGS & tags.keys()) and tags.get(PHOTOMETRIC, 1) in PLAIN


class Raster:
    """Some bands of a raster; a context manager, which closes it.

    Parameters
    ----------
    path : str or path
        A file.
    bands : sequence of int, "all" or "colors"
        Which, counted from 1, in what order; by default all but those that are alpha.
    nodata : float, optional
        The value of a pixel that is none; by default what the file says of each band.

    Attributes
    ----------
    path : str
    shape : tuple of int
        (h, w, d), of d bands.
    dtype : dtype
    bands : tuple of int
    names : list of str
        The description of each band, or "band 1".
    block : tuple of int
        The rows and columns that are decoded at once.
    nodata : list
        Of each band the value of a pixel that is none, in the bands' type, or None.
    crs, transform, gcps
        As rasterio has them; None where the file does not say.
    has_place : bool
        Whether it says anything of where it lies.
    """

    def __init__(
        self,
        path: Path,
        bands: Sequence[int] | Literal["all", "colors"] = "colors",
        nodata: float | None = None,
    ) -> None:
        rasterio = load_rasterio()
        self.path: str = os.fsdecode(path)
        with open(self.path, "rb"):  # a plain message where there is none, and nothing from afar
            pass
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
                self._source = source = rasterio.open(self.path)
        except rasterio.errors.RasterioError as error:
            raise OSError(
                f"{self.path}: GDAL cannot open it: {_cause_of(error, self.path)}"
            ) from error
        try:
            self._window = rasterio.windows.Window.from_slices
            self._read_errors = rasterio.errors.RasterioError
            flags = rasterio.enums.MaskFlags
            alpha = rasterio.enums.ColorInterp.alpha
            alphas = {i for i in source.indexes if source.colorinterp[i - 1] == alpha}
            self.bands: tuple[int, ...] = source.indexes
            if bands == "colors":
                self.bands = tuple(i for i in source.indexes if i not in alphas)
            elif bands != "all":
                self.bands = tuple(map(int, bands))
            self._check_bands(source.count)
            self.dtype: np.dtype[Any] = self._find_dtype()
            self.shape: tuple[int, int, int] = (source.height, source.width, len(self.bands))
            self.block: tuple[int, int] = source.block_shapes[self.bands[0] - 1]
            self.names: list[str] = [source.descriptions[i - 1] or f"band {i}" for i in self.bands]
            # GDAL gives the matrix that changes nothing to what has none.
            none = rasterio.Affine.identity()
            self.transform: Any = None if source.transform == none else source.transform
            self.crs: Any = source.crs
            points, crs = source.gcps
            self.gcps: Any = (points, crs) if points and self.transform is None else None
            self.has_place: bool = not (
                self.crs is self.transform is self.gcps is None and source.rpcs is None
            )
            self._masked = [
                i
                for i in self.bands
                if flags.per_dataset in source.mask_flag_enums[i - 1]
                and not alphas & set(self.bands)
            ][:1]  # it is one for all bands; of alpha that is chosen, none
            own = [source.nodatavals[i - 1] for i in self.bands]
            self.nodata: list[Any] = (
                [in_type(value, self.dtype) for value in own]
                if nodata is None
                else [self._check_nodata(nodata)] * len(own)
            )
        except BaseException:
            source.close()
            raise

    def __enter__(self) -> Raster:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self._source.close()

    def boxes(self, n_pixels: int, align: int = 1) -> list[Box]:
        """Return windows of about so many pixels each that cover the raster.

        They are of whole blocks, unless one is much larger: then of some of its rows. All begin at
        a column that is a multiple of `align`.
        """
        height, width = self.block
        if height * width > 4 * n_pixels:
            height = max(1, n_pixels // width)
        return cut(self.shape[:2], (height, math.lcm(width, align)), n_pixels)

    def read(self, box: Box) -> Array:
        """Return the bands of a window, one after the other: (d, h, w)."""
        pixels: Array = self._asked(self._source.read, list(self.bands), box)
        return pixels

    def find_valid(self, pixels: Array, box: Box) -> NDArray[np.bool_]:
        """Return which pixels (h, w) of a window that was read are there in every band."""
        valid = np.ones(pixels.shape[1:], bool)
        for band, nodata in zip(pixels, self.nodata, strict=True):
            if nodata is not None and nodata == nodata:
                valid &= band != nodata
            if pixels.dtype.kind == "f":
                valid &= band == band
        for i in self._masked:
            valid &= self._asked(self._source.read_masks, i, box) != 0
        return valid

    # ------------------------------------------------------------------------------ within

    def _asked(self, read: Any, bands: Any, box: Box) -> Any:
        top, bottom, left, right = box
        try:
            return read(bands, window=self._window((top, bottom), (left, right)))
        except self._read_errors as error:
            raise OSError(
                f"{self.path}: rows {top} to {bottom - 1}, columns {left} to {right - 1} cannot "
                f"be read: {_cause_of(error)}"
            ) from error

    def _check_bands(self, n: int) -> None:
        if not self.bands:
            raise ValueError(f"{self.path}: has no band but alpha; choose one by bands")
        for band in self.bands:
            if not 1 <= band <= n:
                raise ValueError(f"{self.path}: has no band {band}; its bands are 1 to {n}")
            if self.bands.count(band) > 1:
                raise ValueError(f"{self.path}: band {band} is chosen twice; choose it once")

    def _find_dtype(self) -> np.dtype[Any]:
        kinds = [self._source.dtypes[i - 1] for i in self.bands]
        if len(set(kinds)) > 1:
            each = ", ".join(f"{i} is {kind}" for i, kind in zip(self.bands, kinds, strict=True))
            raise ValueError(f"{self.path}: bands differ in type ({each}); choose some of one type")
        if kinds[0].startswith("complex"):
            raise ValueError(f"{self.path}: bands hold {kinds[0]}; give real numbers")
        dtype: np.dtype[Any] = np.dtype(kinds[0])
        return dtype

    def _check_nodata(self, nodata: float) -> Any:
        value = in_type(nodata, self.dtype)
        if value is None:
            raise ValueError(f"nodata={nodata:.17g} is no value of {self.path}, of {self.dtype}")
        return value


def in_type(value: float | None, dtype: np.dtype[Any]) -> Any:
    """Return a value in a type; None where the type cannot hold it, or there is none."""
    if value is None:
        return None
    if dtype.kind == "f":
        with np.errstate(over="ignore"):
            return dtype.type(value)
    limits = np.iinfo(dtype)
    if value != value or value != round(value) or not limits.min <= value <= limits.max:
        return None
    return dtype.type(int(value))


def _cause_of(error: BaseException, name: str = "") -> str:
    """Return what GDAL said, which rasterio has as the cause of its own error."""
    while error.__cause__ is not None:
        error = error.__cause__
    return one_line(error).removeprefix(f"{name}: ").removeprefix(f"'{name}' ")

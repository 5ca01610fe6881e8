"""The classes of a scene as a GeoTIFF, and what is said of them as JSON."""

from __future__ import annotations

import contextlib
import json
import math
import os
import warnings
from collections.abc import Callable
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from ..pictures.rasters import Raster, load_rasterio
from ..spaces import from_oklab
from .gathering import Mask, Watch

Array = NDArray[Any]
Labels = Callable[[int, int], Array]  # of the pixels from one number to another

BLOCK, SMALL_BLOCK, LEAST_BLOCK = 512, 256, 16
WRITTEN = 1 << 22  # pixels written at once, in whole rows of blocks
GOLDEN_ANGLE = math.pi * (3.0 - math.sqrt(5.0))
# Of each class in turn: lightness and chroma, in OKLab.
TONES = ((0.70, 0.14), (0.50, 0.13), (0.86, 0.10))


def type_of(k: int) -> np.dtype[Any]:
    """Return the type of an output; its largest value is for pixels that are none."""
    return np.dtype(np.uint8 if k <= 255 else np.uint16)


def check_k(k: int) -> None:
    """Raise where no output has room for so many classes."""
    if k > 65535:
        raise ValueError(f"n_clusters={k} is more than the 65535 classes that an output holds")


def class_colors(k: int) -> NDArray[np.uint8]:
    """Return a colour for each class: hues a golden angle apart, in three tones.

    Examples
    --------
    >>> class_colors(2).tolist()
    [[227, 118, 155], [59, 115, 32]]
    """
    at = np.arange(k)
    lightness, chroma = np.array(TONES)[at % len(TONES)].T
    angle = at * GOLDEN_ANGLE
    lab = np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=1)
    colors: NDArray[np.uint8] = np.rint(from_oklab(lab)).astype(np.uint8)
    return colors


def write_classes(
    file: IO[bytes],
    raster: Raster,
    mask: Mask,
    labels: Labels,
    k: int,
    tags: dict[str, str],
    n_threads: int | None,
    watch: Watch,
) -> None:
    """Write a GeoTIFF into a file that is open for it, tiled and deflated.

    It has the scene's place, a colour for each class, and `tags`.
    """
    rasterio = load_rasterio()
    height, width = mask.shape
    block = BLOCK if min(height, width) >= BLOCK else SMALL_BLOCK
    down = block
    while down > LEAST_BLOCK and down * width > 16 * WRITTEN:  # very long rows
        down //= 2
    step = down * max(1, WRITTEN // (down * width))
    dtype = type_of(k)
    nodata = np.iinfo(dtype).max
    profile = {
        "driver": "GTiff", "count": 1, "height": height, "width": width, "dtype": dtype.name,
        "crs": raster.crs, "transform": raster.transform, "nodata": int(nodata),
        "tiled": True, "blockxsize": block, "blockysize": down, "compress": "deflate",
        "bigtiff": "if_safer", "num_threads": str(n_threads or "all_cpus"),
    }  # fmt: skip
    try:
        with warnings.catch_warnings(), rasterio.Env(GDAL_PAM_ENABLED=False):
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(file.name, "w", **profile) as out:
                out.write_colormap(1, dict(enumerate(map(tuple, class_colors(k).tolist()))))
                if raster.gcps is not None:
                    out.gcps = raster.gcps
                out.update_tags(**tags)
                out.set_band_description(1, "class")
                at = 0
                for top in range(0, height, step):
                    bottom = min(top + step, height)
                    valid = mask.within((top, bottom, 0, width))
                    n = int(np.count_nonzero(valid))
                    classes = np.full(valid.shape, nodata, dtype)
                    classes[valid] = labels(at, at + n)
                    at += n
                    window = rasterio.windows.Window(0, top, width, bottom - top)
                    out.write(classes, 1, window=window)
                    watch("written", bottom / height)
            _check_written(rasterio, file.name, block)
    except rasterio.errors.RasterioError as error:
        raise OSError(f"GDAL: {error.__cause__ or error}") from error


def _check_written(rasterio: Any, name: str, block: int) -> None:
    """Read the file to its end: of what a full disk cut off GDAL says nothing when it closes it."""
    try:
        with rasterio.open(name) as written:
            for top in range(0, written.height, block):
                rows = min(block, written.height - top)
                written.read(1, window=rasterio.windows.Window(0, top, written.width, rows))
    except rasterio.errors.RasterioError as error:
        raise OSError("what was written is not there when it is read; is the disk full?") from error


def as_json(report: dict[str, Any]) -> bytes:
    """Return a report as text; numbers have all of their digits."""
    return (json.dumps(report, indent=2, ensure_ascii=False) + "\n").encode()


def unique_names(names: list[str], bands: tuple[int, ...]) -> list[str]:
    """Return names that differ, by the numbers of the bands where they do not."""
    return [
        name if names.count(name) == 1 else f"{name} (band {band})"
        for name, band in zip(names, bands, strict=True)
    ]


def folder_of(path: str) -> str | None:
    """Return the folder of an output, for what is needed meanwhile; None: that of the system."""
    folder = os.path.dirname(os.path.realpath(path))
    with contextlib.suppress(OSError):
        if os.access(folder, os.W_OK) and not folder.startswith("/dev"):
            return folder
    return None

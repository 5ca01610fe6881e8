"""A scene classified: every pixel that is there, from a file to a file."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Sequence
from contextlib import closing
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._version import __version__
from ..api import fit
from ..checks import are_colors, check_integer, check_n_clusters, check_threads
from ..colors.histogram import ColorHistogram
from ..data.dataset import Dataset
from ..data.disk_search import PointsInPartsOnDisk
from ..data.on_disk import PointsOnDisk
from ..dense.facts import find_facts
from ..fitting import Options, check_options, fit_dataset
from ..pictures.rasters import CACHE, Raster, load_rasterio
from ..pictures.reading import LeftOutWarning
from ..pictures.saving import check_suffix, check_target, write_whole
from ..result import KMeansResult
from ..swatches import hex_of
from ..threads import Threads
from .gathering import InMemory, Mask, OnDisk, Watch, gather
from .output import (
    Labels,
    as_json,
    check_k,
    class_colors,
    folder_of,
    type_of,
    unique_names,
    write_classes,
)
from .scaling import Scale, Sums, scaled_type

SUFFIXES = (".tif", ".tiff")
PREDICTED = 1 << 21  # pixels of a few channels, labelled at once
Path = str | os.PathLike[str]


class _Fitted(NamedTuple):
    result: KMeansResult
    labels: Labels


def _no_one(_: str, __: float) -> None:
    """Watch nothing."""


def classify(
    scene: Path,
    n_clusters: int,
    output: Path,
    *,
    report: Path | None = None,
    bands: Sequence[int] | None = None,
    nodata: float | None = None,
    scale: bool = False,
    tiled: bool = False,
    max_iter: int = 300,
    tol: float = 1e-4,
    random_state: int = 0,
    n_threads: int | None = None,
    watch: Watch = _no_one,
) -> dict[str, Any]:
    """Classify all pixels of a scene that are there, and write their classes to a GeoTIFF.

    The centroids and classes are those of `kmeans_fast.fit` of these pixels, in the order of rows.
    The output has the scene's CRS and transform, classes 0 to k - 1, and 255 (more than 255
    classes: 65535) for pixels that are none, which is its nodata.

    Parameters
    ----------
    scene : str or path
        A file that GDAL reads.
    n_clusters : int
    output : str or path
        A .tif file; one that is there is replaced.
    report : str or path, optional
        A file for what is returned, as JSON.
    bands : sequence of int, optional
        Which, from 1; all but alpha by default.
    nodata : float, optional
        The value of a pixel that is none; by default what the file says. A pixel is out where any
        of the bands has it, or NaN, or where the file's mask or alpha says so.
    scale : bool
        Whether each band is brought to a mean of 0 and a deviation of 1 for the fit. Centroids are
        in the units of the bands all the same; the inertia is not.
    tiled : bool
        Whether pixels stay on disk, beside the output: up to 40 bytes of each. The result is the
        same.
    max_iter, tol, random_state, n_threads
        As in `kmeans_fast.fit`.
    watch : callable, optional
        Called with what is done, "read" or "written", and the share of it.

    Returns
    -------
    dict
        What was done, and of each class its count, share, colour and centroid.
    """
    load_rasterio()  # before anything else is looked at
    k = check_integer("n_clusters", n_clusters, 1)
    check_k(k)
    n_threads = check_threads(n_threads)
    target = os.fsdecode(output)
    check_suffix(target, SUFFIXES)
    for path in (target,) if report is None else (target, report):
        there = check_target(path)
        if there is not None and os.path.samestat(there, os.stat(scene)):
            raise ValueError(f"{os.fsdecode(path)}: is the scene itself; give another name")
    if report is not None and os.path.realpath(report) == os.path.realpath(target):
        raise ValueError(f"{target}: is the output, and cannot be the report too")
    given = Options("k-means++", 1, max_iter, tol, random_state, None)
    options = check_options(given)
    times = [perf_counter()]
    with (
        load_rasterio().Env(GDAL_NUM_THREADS=str(n_threads or "ALL_CPUS")),
        Raster(scene, "colors" if bands is None else bands, nodata) as raster,
    ):
        if not raster.has_place:
            warnings.warn(
                f"{raster.path}: says nothing of where it lies, and nor does the output",
                LeftOutWarning,
                stacklevel=2,
            )
        folder = folder_of(target) or tempfile.gettempdir()
        d = raster.shape[2]
        on_disk = OnDisk(d, raster.dtype, folder) if tiled else None
        with _few_blocks_kept(raster):
            store, mask, scaling = _gather(raster, on_disk, scale, watch)
    with closing(store):
        times.append(perf_counter())
        check_n_clusters(k, mask.n)
        try:
            dtype = raster.dtype if scaling is None else scaled_type(raster.dtype)
            fitted = _fit(store, scaling, mask.n, d, dtype, k, options, n_threads, folder)
        except MemoryError as error:
            if tiled:
                raise
            raise MemoryError(
                f"{raster.path}: {mask.n} pixels of {d} bands are too many for the memory "
                "there is; classify it in tiles (--tiled)"
            ) from error
        if not tiled:
            store.close()
        times.append(perf_counter())
        tags = {
            "KMEANS_FAST": __version__,
            "N_CLUSTERS": str(k),
            "BANDS": ",".join(map(str, raster.bands)),
            "SCALED": "NO" if scaling is None else "YES",
            "INERTIA": repr(float(fitted.result.inertia)),
        }
        write_whole(
            target,
            lambda file: write_classes(
                file, raster, mask, fitted.labels, k, tags, n_threads, watch
            ),
        )
    times.append(perf_counter())
    found = _report(raster, mask, scaling, fitted.result, options, tiled, times)
    if report is not None:
        text = as_json(found)
        write_whole(report, lambda file: file.write(text))
    return found


def _few_blocks_kept(raster: Raster) -> Any:
    """Return what has GDAL keep few blocks in memory meanwhile."""
    height, width = raster.block
    block = height * width * raster.shape[2] * raster.dtype.itemsize
    return load_rasterio().Env(GDAL_CACHEMAX=max(CACHE, 2 * block))


def _gather(
    raster: Raster, on_disk: OnDisk | None, scale: bool, watch: Watch
) -> tuple[InMemory | OnDisk, Mask, Scale | None]:
    """Return the pixels that are there, where they were, and how they are scaled.

    In memory they are scaled as they are read, the second time; on disk they stay as they are.
    """
    height, width, d = raster.shape
    store: InMemory | OnDisk
    scaling, sums = None, Sums(d)

    def keep(at: int, pixels: NDArray[Any]) -> None:
        if on_disk is not None:
            on_disk.keep(at, pixels)
        if scale:
            sums.add(pixels)

    try:
        if scale or on_disk is not None:
            mask = gather(raster, keep, watch)
            _check_some(raster, mask)
        if scale:
            scaling = sums.scale()
        if on_disk is not None:
            store = on_disk
        elif scaling is not None:
            store = InMemory(mask.n, d, scaled_type(raster.dtype))
            of_scale, put = scaling, store.keep
            gather(raster, lambda at, pixels: put(at, of_scale.apply(pixels)), watch)
        else:
            store = InMemory(height * width, d, raster.dtype)
            mask = gather(raster, store.keep, watch)
            _check_some(raster, mask)
    except BaseException:
        if on_disk is not None:
            on_disk.close()
        raise
    return store, mask, scaling


def _check_some(raster: Raster, mask: Mask) -> None:
    if mask.n == 0:
        raise ValueError(f"{raster.path}: all pixels are nodata; give another value by nodata")


def _fit(
    store: InMemory | OnDisk,
    scaling: Scale | None,
    n: int,
    d: int,
    dtype: np.dtype[Any],
    k: int,
    options: Options,
    n_threads: int | None,
    folder: str,
) -> _Fitted:
    """Fit the pixels, in memory or where they are on disk."""
    limits: dict[str, Any] = {
        "max_iter": options.max_iter, "tol": options.tol, "n_threads": n_threads,
        "random_state": options.random_state,
    }  # fmt: skip
    if isinstance(store, InMemory):  # as an image, which is no grey one
        result = fit(store.read(0, n)[:, np.newaxis], k, **limits)
        flat = result.labels.reshape(-1)
        return _Fitted(result, lambda start, stop: flat[start:stop])

    def read(start: int, stop: int) -> NDArray[Any]:
        pixels = store.read(start, stop)
        return pixels if scaling is None else scaling.apply(pixels)

    if are_colors(np.empty((1, d), dtype)):
        counted = ColorHistogram()
        for start in range(0, n, PREDICTED):
            pixels = read(start, min(start + PREDICTED, n))
            counted.update(pixels[:, np.newaxis], n_threads=n_threads)
        result = fit(counted, k, **limits)

        def labels(start: int, stop: int) -> NDArray[Any]:
            found = [np.empty(0, type_of(k))]
            for at in range(start, stop, PREDICTED):
                pixels = read(at, min(at + PREDICTED, stop))
                found.append(result.predict(pixels[:, np.newaxis], n_threads=n_threads).ravel())
            return np.concatenate(found)

        return _Fitted(result, labels)
    with Threads(n_threads) as threads:
        raw = PointsOnDisk(read, (n, d), dtype, threads, folder)
        facts = find_facts(raw)
        parts = raw.settle(facts)
        with closing(parts):
            points = PointsInPartsOnDisk(parts, facts, threads)
            result = fit_dataset(Dataset(points, None, dtype, (n,), False), k, options)
    return _Fitted(result, lambda start, stop: result.labels[start:stop])


def _report(
    raster: Raster,
    mask: Mask,
    scaling: Scale | None,
    result: KMeansResult,
    options: Options,
    tiled: bool,
    times: list[float],
) -> dict[str, Any]:
    height, width, _ = raster.shape
    names = unique_names(raster.names, raster.bands)
    centroids = result.centroids if scaling is None else scaling.undo(result.centroids)
    k = len(centroids)
    counts = [int(count) for count in result.counts]
    numbers = [None if each is None else each.item() for each in raster.nodata]
    seconds = [round(stop - start, 3) for start, stop in zip(times, times[1:], strict=False)]
    return {
        "scene": raster.path,
        "kmeans_fast": __version__,
        "height": height,
        "width": width,
        "bands": dict(zip(names, raster.bands, strict=True)),
        "dtype": raster.dtype.name,
        "crs": None if raster.crs is None else raster.crs.to_string(),
        "nodata": ["NaN" if each != each else each for each in numbers],
        "n_pixels": height * width,
        "n_valid": mask.n,
        "n_clusters": k,
        "class_nodata": int(np.iinfo(type_of(k)).max),
        "scaled": None
        if scaling is None
        else {
            "mean": dict(zip(names, scaling.mean.tolist(), strict=True)),
            "std": dict(zip(names, scaling.std.tolist(), strict=True)),
        },
        "seed": options.random_state,
        "max_iter": options.max_iter,
        "tol": options.tol,
        "tiled": tiled,
        "inertia": float(result.inertia),
        "n_iter": result.n_iter,
        "converged": bool(result.converged),
        "seconds": dict(zip(("read", "fit", "write"), seconds, strict=True)),
        "classes": [
            {
                "class": at,
                "count": count,
                "share": count / mask.n,
                "color": color,
                "centroid": dict(zip(names, centroid, strict=True)),
            }
            for at, (count, color, centroid) in enumerate(
                zip(counts, hex_of(class_colors(k)), centroids.tolist(), strict=True)
            )
        ],
    }

"""What the commands do, once their options are known."""

from __future__ import annotations

import argparse
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .. import painting
from ..choosing import (
    as_colors,
    check_fixed,
    check_max_error,
    check_posterize,
    find_colors,
    in_order,
)
from ..info import show_info
from ..painting import paint
from ..palettes import WRITERS, check_palette_output, find_palette, read_colors
from ..pictures import reading
from ..pictures.animations import check_frames, write_animation
from ..pictures.saving import INDEXED, Unwanted, check_suffix, check_target, encoder
from ..visible import VisibleColors, palette_rgba, with_channels
from . import files
from .messages import FAILED, PROG, SKIPPED, complain, say, saying_that_it_compiles

if TYPE_CHECKING:
    from ..pictures.animations import Animation
    from ..pictures.tiles import Tiles
    from ..result import KMeansResult

# From so many pixels on a TIFF is written a tile at a time: 700 MB as Pillow would hold it.
TILED = 2**26
BYTES = np.dtype(np.uint8)


def _each_tile(tiles: Tiles, doing: str) -> Iterator[tuple[tuple[slice, slice], NDArray[Any]]]:
    """Yield places and tiles, and say how far it is, a tenth at a time, where somebody watches."""
    n, progress = len(tiles), len(tiles) > 1 and sys.stderr.isatty()
    for at, item in enumerate(tiles.items()):
        yield item
        if progress and 10 * (at + 1) // n > 10 * at // n:
            say(f"{tiles.path}: {doing} {100 * (at + 1) // n} %")


def _fit_options(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "max_iter": options.max_iter,
        "refine": options.refine,
        "space": options.space,
        "random_state": options.seed,
        "n_threads": options.threads,
    }


def _wishes(options: argparse.Namespace) -> dict[str, Any]:
    """Return what is asked of the colours that are found, checked."""
    fixed = None if options.fixed is None else read_colors(options.fixed)
    return {
        "max_error": None if options.max_error is None else check_max_error(options.max_error),
        "fixed": check_fixed(fixed, options.colors),
        "posterize": check_posterize(options.posterize),
        "medoids": options.medoids,
        "sort": options.sort,
    }


def quantize(options: argparse.Namespace) -> int:
    """Write pictures with K colours, or in those that are given."""
    options.given, options.wishes = None, _wishes(options)
    if options.palette is not None:
        options.given = as_colors(read_colors(options.palette))
        options.colors = len(options.given)
        if options.dither and options.colors > INDEXED:
            raise ValueError(f"--palette of {options.colors} colours is too many for --dither")
    pictures = files.files_of(options.pictures)
    targets = files.targets_of(options, pictures, options.colors)
    for target in targets:
        files.check_picture_output(target, options.colors)
    files.check_files(options, pictures, targets)
    with saying_that_it_compiles():
        if options.shared:
            return _quantize_shared(options, pictures, targets)
        return _each(pictures, lambda at: _quantize_one(options, pictures[at], targets[at]))


def _each(pictures: Sequence[str], work: Callable[[int], None]) -> int:
    """Do `work` for each picture; one that fails does not stop the others."""
    status = 0
    progress = len(pictures) > 1 and sys.stderr.isatty()
    for at, picture in enumerate(pictures):
        if progress:
            say(f"[{at + 1}/{len(pictures)}] {picture}")
        try:
            work(at)
        except BrokenPipeError:  # the reader of stdout has gone
            raise
        except Unwanted as reason:
            say(f"{PROG}: {reason}")
            status = status or SKIPPED
        except (OSError, ValueError, MemoryError) as error:
            complain(error)
            status = FAILED
    return status


def _in_tiles(options: argparse.Namespace, tiles: Tiles, target: str) -> bool:
    """Tell whether a picture is written a tile at a time: a large TIFF to a TIFF."""
    if len(tiles) < 2 or tiles.n_pixels < TILED:
        return False
    if files.format_of(target) == "TIFF" and not options.dither:
        return True
    limit = files.max_pixels(options)
    if limit is not None and tiles.n_pixels > limit:
        raise ValueError(
            f"{tiles.path}: {tiles.n_pixels} pixels, more than max_pixels={limit}, are written to "
            ".tif only, without --dither; or allow more"
        )
    return False


def _count(
    options: argparse.Namespace,
    tiles: Tiles,
    colors: VisibleColors,
    as_counted: Callable[[NDArray[Any]], NDArray[Any]],
) -> None:
    for _, tile in _each_tile(tiles, "counted"):
        colors.add(as_counted(tile), n_threads=options.threads)


def _count_frames(options: argparse.Namespace, frames: Animation, colors: VisibleColors) -> None:
    for pixels in frames:
        colors.add(_in_color(pixels), n_threads=options.threads)


def _find(
    options: argparse.Namespace, colors: VisibleColors, dtype: np.dtype[Any] = BYTES
) -> KMeansResult | None:
    """Return the colours that all that was counted is painted in."""
    if options.given is None:
        return find_colors(colors, options.colors, **options.wishes, **_fit_options(options))
    nothing = np.empty(0, dtype)
    result = colors.given(options.given, nothing, options.space, options.threads)
    return in_order(result, options.sort) if options.sort else result


def _as_it_is(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels


def _quantize_one(options: argparse.Namespace, picture: str, target: str) -> None:
    colors = VisibleColors()
    frames = files.open_frames(options, picture, target)
    if frames is not None:
        _count_frames(options, frames, colors)
        _put_frames(options, frames, _find(options, colors), picture, target)
        return
    keep_profile = options.given is None
    tiles = files.open_tiles(options, picture, keep_profile)
    if _in_tiles(options, tiles, target):
        _count(options, tiles, colors, _as_it_is)
        result = _find(options, colors, tiles.dtype)
        _put_tiles(options, tiles, colors, result, picture, target, _as_it_is)
        return
    pixels, info = files.read_whole(options, picture, tiles, keep_profile)
    painted = painting.quantize(
        pixels,
        options.colors if options.given is None else None,
        palette=options.given,
        dither=options.dither,
        dither_strength=options.dither_strength,
        **options.wishes,
        **_fit_options(options),
    )
    painted.info.update(info)
    _put_image(options, painted, picture, target)


def _paint(
    options: argparse.Namespace, pixels: NDArray[Any], result: KMeansResult | None
) -> Image.Image:
    """Paint one of the pictures, or frames, that share a palette."""
    return paint(
        _in_color(pixels),
        result,
        dither=options.dither or None,
        strength=options.dither_strength,
        n_threads=options.threads,
    )


def _put_image(
    options: argparse.Namespace, painted: Image.Image, picture: str, target: str
) -> None:
    write = encoder(painted, target, files.format_of(target))
    files.put(options, picture, target, write)


def _put_frames(
    options: argparse.Namespace,
    frames: Animation,
    result: KMeansResult | None,
    picture: str,
    target: str,
) -> None:
    """Paint an animation, each frame in the same colours, and write it."""
    format_name = files.format_of(target)
    painted = [_paint(options, pixels, result) for pixels in frames]
    alike = check_frames(painted, target, format_name)
    files.put(
        options,
        picture,
        target,
        lambda file: write_animation(file, format_name, alike, frames.durations, frames.plays),
    )


def _put_tiles(
    options: argparse.Namespace,
    tiles: Tiles,
    colors: VisibleColors,
    result: KMeansResult | None,
    picture: str,
    target: str,
    as_counted: Callable[[NDArray[Any]], NDArray[Any]],
) -> None:
    """Paint a picture and write it to an uncompressed TIFF, both a tile at a time."""
    from ..pictures.tiff import write_tiff

    def painted() -> Iterator[tuple[tuple[slice, slice], Image.Image]]:
        for place, tile in _each_tile(tiles, "written"):
            pixels = as_counted(tile)
            image = paint(pixels, result, n_threads=options.threads)
            # Where some tile has transparent pixels, all are written with them.
            if colors.transparent or (palette_rgba(result, pixels.dtype)[:, 3] < 255).any():
                image = image.convert("RGBA")
            yield place, image

    files.put(
        options,
        picture,
        target,
        lambda file: write_tiff(file, tiles.shape[:2], painted(), tiles.info),
    )


def _in_color(pixels: NDArray[Any]) -> NDArray[Any]:
    """Bring pixels of any kind to what all pictures of a palette share: 8 bits, RGB or RGBA."""
    return with_channels(reading.to_uint8(pixels), max(3, pixels.shape[2]))


def _quantize_shared(
    options: argparse.Namespace, pictures: Sequence[str], targets: Sequence[str]
) -> int:
    """Count the colours of all pictures, fit once, then read each again and paint it."""

    def count(at: int) -> None:
        frames = files.open_frames(options, pictures[at], targets[at])
        if frames is not None:
            _count_frames(options, frames, colors)
        else:
            tiles = files.open_tiles(options, pictures[at])
            _in_tiles(options, tiles, targets[at])
            _count(options, tiles, colors, _in_color)
        counted.append(at)

    def write(at: int) -> None:
        picture, target = pictures[counted[at]], targets[counted[at]]
        frames = files.open_frames(options, picture, target)
        if frames is not None:
            _put_frames(options, frames, result, picture, target)
            return
        tiles = files.open_tiles(options, picture)
        if _in_tiles(options, tiles, target):
            _put_tiles(options, tiles, colors, result, picture, target, _in_color)
            return
        pixels, info = files.read_whole(options, picture, tiles)
        painted = _paint(options, pixels, result)
        painted.info.update(info)
        _put_image(options, painted, picture, target)

    colors = VisibleColors()
    counted: list[int] = []
    status = _each(pictures, count)
    result = _find(options, colors)
    written = _each([pictures[at] for at in counted], write)
    return status or written


def explore(options: argparse.Namespace) -> int:
    """Write a page that shows a picture and its colours in space."""
    from ..exploring import explore
    from ..page import write_page

    there = check_target(options.output)
    if there is None or stat.S_ISREG(there.st_mode):  # a device or a pipe has any name
        check_suffix(options.output, (".html", ".htm"))
    files.check_files(options, [options.picture], [options.output])
    source = files.source_of(options, options.picture)
    with saying_that_it_compiles():
        pixels = reading.open_image(source, max_pixels=files.max_pixels(options))
        figure = explore(pixels, options.k, **_fit_options(options))
    write_page(figure, options.output, title=files.name_of(options.picture))
    return 0


def palette(options: argparse.Namespace) -> int:
    """Print the best K colours, and draw them, or write them to a file."""
    pictures, is_folder = files.files_of([options.picture]), os.path.isdir(options.picture)
    if options.output:
        check_palette_output(options.output)
        files.check_files(options, pictures, [options.output])
    options.wishes = _wishes(options)
    if options.format in ("ase", "aco") and sys.stdout.isatty():
        raise ValueError(f"--format {options.format} is no text for a terminal; redirect it")
    colors = VisibleColors()
    with saying_that_it_compiles():
        for picture in pictures:
            frames = files.open_frames(options, picture)
            if frames is not None:
                _count_frames(options, frames, colors)
                continue
            tiles = files.open_tiles(options, picture)
            _count(options, tiles, colors, _in_color if is_folder else _as_it_is)
        found = find_palette(
            colors,
            options.colors,
            **options.wishes,
            **_fit_options(options),
        )
    if options.output:
        found.save(options.output)
    if options.format == "json":
        print(found.to_json(picture=options.picture), end="")
    elif options.format:
        written = WRITERS[options.format](found)
        files.pour(written if isinstance(written, bytes) else written.encode())
    else:
        print(found)
    return 0


def classify(options: argparse.Namespace) -> int:
    """Write the classes of a scene, and what is to be said of them."""
    from ..scenes.classifying import classify
    from ..scenes.output import as_json

    report = None if options.report == files.STREAM else options.report
    outputs = [options.output] if report is None else [options.output, report]
    files.check_files(options, [options.scene], outputs)
    tenths = {"read": 0, "written": 0}

    def watch(doing: str, share: float) -> None:
        now, before = int(10 * share), tenths[doing]
        tenths[doing] = now
        if now > before and sys.stderr.isatty():
            say(f"{options.scene}: {doing} {10 * now} %")

    taken = ("bands", "nodata", "scale", "tiled", "max_iter", "tol")
    given = {name: getattr(options, name) for name in taken}
    given |= {"random_state": options.seed, "n_threads": options.threads}
    with saying_that_it_compiles():
        found = classify(
            options.scene, options.classes, options.output, report=report, watch=watch, **given
        )
    if options.report == files.STREAM:
        files.pour(as_json(found))
    return 0


def info(options: argparse.Namespace) -> int:
    """Show what runs here."""
    show_info()
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "quantize": quantize,
    "palette": palette,
    "explore": explore,
    "classify": classify,
    "info": info,
}

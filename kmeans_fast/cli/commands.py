"""What the commands do, once their options are known."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .. import painting
from ..info import show_info
from ..painting import VisibleColors, in_order, paint, palette_rgba, with_channels
from ..pictures import reading
from ..pictures import tiles as tiling
from ..pictures.saving import check_output, check_suffix, check_target, save_image
from .messages import FAILED, complain, say, saying_that_it_compiles

if TYPE_CHECKING:
    from ..pictures.tiles import Tiles
    from ..result import KMeansResult

# From so many pixels on a TIFF is written a tile at a time: 700 MB as Pillow would hold it.
TILED = 2**26
SWATCH, SWATCHES = 64, 16  # pixels of a side; how many in a row


def _max_pixels(options: argparse.Namespace) -> int | None:
    return reading.MAX_PIXELS if options.max_pixels is None else options.max_pixels or None


def _open_tiles(options: argparse.Namespace, picture: str, keep_profile: bool = False) -> Tiles:
    """Open one picture; the limit of `--max-pixels`, if it is given, is one for the whole."""
    limit = _max_pixels(options)
    tiles = tiling.open_picture(picture, tiling.TILE_PIXELS, limit, keep_profile)
    if options.max_pixels and tiles.n_pixels > options.max_pixels:
        raise ValueError(
            f"{picture}: {tiles.n_pixels} pixels are more than max_pixels={options.max_pixels}"
        )
    return tiles


def _read_whole(
    options: argparse.Namespace, tiles: Tiles, keep_profile: bool = False
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return all pixels, and what of the file's description is kept."""
    if os.path.splitext(tiles.path)[1].lower() == ".npy":
        return np.concatenate(list(tiles)), {}
    limit = _max_pixels(options)
    return reading.read_picture(tiles.path, max_pixels=limit, keep_profile=keep_profile)


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


def quantize(options: argparse.Namespace) -> int:
    """Write pictures with K colours."""
    pictures = _files(options.pictures)
    targets = _targets(pictures, options.output)
    for target in targets:
        check_output(target, options.colors)
    _check_files(options, pictures, targets)
    with saying_that_it_compiles():
        if options.shared:
            return _quantize_shared(options, pictures, targets)
        return _each(pictures, lambda at: _quantize_one(options, pictures[at], targets[at]))


def _files(pictures: Sequence[str]) -> list[str]:
    """Put the pictures of a folder in its place."""
    files: list[str] = []
    for picture in pictures:
        files += tiling.pictures_in(picture) if os.path.isdir(picture) else [picture]
    return files


def _targets(pictures: Sequence[str], output: str) -> list[str]:
    """Return the file that each picture is written to."""
    if not os.path.isdir(output):
        if len(pictures) > 1:
            raise ValueError(
                f"--output {output}: is not a folder; "
                f"make it first, since {len(pictures)} pictures are written to it"
            )
        return [output]
    targets: dict[str, str] = {}
    for picture in pictures:
        stem = os.path.splitext(os.path.basename(picture))[0]
        target = os.path.join(output, f"{stem}.png")
        if target in targets:
            raise ValueError(
                f"{targets[target]} and {picture} would both be written to {target}; "
                "rename one, or run them apart"
            )
        targets[target] = picture
    return list(targets)


def _check_files(
    options: argparse.Namespace, pictures: Sequence[str], targets: Sequence[str]
) -> None:
    """Refuse what would cost somebody a file, whatever the names that it goes by."""
    read, written = set(), set()
    for picture in pictures:
        with contextlib.suppress(OSError):  # told when it is read
            found = os.stat(picture)
            read.add((found.st_dev, found.st_ino))
    for target in targets:
        there = check_target(target)
        if there is None:
            continue
        file = there.st_dev, there.st_ino
        if file in read:
            raise ValueError(f"{target} is one of the pictures to read; give another name")
        if stat.S_ISREG(there.st_mode) and not options.force:
            raise FileExistsError(f"{target} is there already; give another name, or --force")
        if file in written:
            raise ValueError(f"{target} is one file with another output; remove one of the two")
        written.add(file)


def _each(pictures: Sequence[str], work: Callable[[int], None]) -> int:
    """Do `work` for each picture; one that fails does not stop the others."""
    status = 0
    progress = len(pictures) > 1 and sys.stderr.isatty()
    for at, picture in enumerate(pictures):
        if progress:
            say(f"[{at + 1}/{len(pictures)}] {picture}")
        try:
            work(at)
        except (OSError, ValueError, MemoryError) as error:
            complain(error)
            status = FAILED
    return status


def _in_tiles(options: argparse.Namespace, tiles: Tiles, target: str) -> bool:
    """Tell whether a picture is written a tile at a time: a large TIFF to a TIFF."""
    is_tiff = os.path.splitext(target)[1].lower() in (".tif", ".tiff")
    if len(tiles) < 2 or tiles.n_pixels < TILED:
        return False
    if is_tiff and not options.dither:
        return True
    limit = _max_pixels(options)
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


def _as_it_is(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels


def _quantize_one(options: argparse.Namespace, picture: str, target: str) -> None:
    tiles = _open_tiles(options, picture, keep_profile=True)
    if _in_tiles(options, tiles, target):
        colors = VisibleColors()
        _count(options, tiles, colors, _as_it_is)
        result = colors.fit(options.colors, **_fit_options(options))
        _write_tiles(options, tiles, colors, result, target, _as_it_is)
        return
    pixels, info = _read_whole(options, tiles, keep_profile=True)
    dither = {"dither": options.dither, "dither_strength": options.dither_strength}
    painted = painting.quantize(pixels, options.colors, **dither, **_fit_options(options))
    painted.info.update(info)
    save_image(painted, target)


def _write_tiles(
    options: argparse.Namespace,
    tiles: Tiles,
    colors: VisibleColors,
    result: KMeansResult | None,
    target: str,
    as_counted: Callable[[NDArray[Any]], NDArray[Any]],
) -> None:
    """Paint a picture and write it to an uncompressed TIFF, both a tile at a time."""
    from ..pictures.saving import write_whole
    from ..pictures.tiff import write_tiff

    def painted() -> Iterator[tuple[tuple[slice, slice], Image.Image]]:
        for place, tile in _each_tile(tiles, "written"):
            pixels = as_counted(tile)
            image = paint(pixels, result, n_threads=options.threads)
            # Where some tile has transparent pixels, all are written with them.
            if colors.transparent or (palette_rgba(result, pixels.dtype)[:, 3] < 255).any():
                image = image.convert("RGBA")
            yield place, image

    write_whole(target, lambda file: write_tiff(file, tiles.shape[:2], painted(), tiles.info))


def _in_color(pixels: NDArray[Any]) -> NDArray[Any]:
    """Bring pixels of any kind to what all pictures of a palette share: 8 bits, RGB or RGBA."""
    return with_channels(reading.to_uint8(pixels), max(3, pixels.shape[2]))


def _quantize_shared(
    options: argparse.Namespace, pictures: Sequence[str], targets: Sequence[str]
) -> int:
    """Count the colours of all pictures, fit once, then read each again and paint it."""

    def count(at: int) -> None:
        tiles = _open_tiles(options, pictures[at])
        _in_tiles(options, tiles, targets[at])
        _count(options, tiles, colors, _in_color)
        counted.append(at)

    def write(at: int) -> None:
        target = targets[counted[at]]
        tiles = _open_tiles(options, pictures[counted[at]])
        if _in_tiles(options, tiles, target):
            _write_tiles(options, tiles, colors, result, target, _in_color)
            return
        pixels, info = _read_whole(options, tiles)
        painted = paint(
            _in_color(pixels),
            result,
            dither=options.dither or None,
            strength=options.dither_strength,
            n_threads=options.threads,
        )
        painted.info.update(info)
        save_image(painted, target)

    colors = VisibleColors()
    counted: list[int] = []
    status = _each(pictures, count)
    result = colors.fit(options.colors, **_fit_options(options))
    return max(status, _each([pictures[at] for at in counted], write))


def explore(options: argparse.Namespace) -> int:
    """Write a page that shows a picture and its colours in space."""
    from ..exploring import explore
    from ..page import write_page

    there = check_target(options.output)
    if there is None or stat.S_ISREG(there.st_mode):  # a device or a pipe has any name
        check_suffix(options.output, (".html", ".htm"))
    _check_files(options, [options.picture], [options.output])
    with saying_that_it_compiles():
        pixels = reading.open_image(options.picture, max_pixels=_max_pixels(options))
        figure = explore(pixels, options.k, **_fit_options(options))
    write_page(figure, options.output, title=os.path.basename(options.picture))
    return 0


def palette(options: argparse.Namespace) -> int:
    """Print the best K colours, and draw them."""
    pictures, is_folder = _files([options.picture]), os.path.isdir(options.picture)
    if options.output:
        check_output(options.output)
        _check_files(options, pictures, [options.output])
    colors, n_pixels = VisibleColors(), 0
    with saying_that_it_compiles():
        for picture in pictures:
            tiles = _open_tiles(options, picture)
            _count(options, tiles, colors, _in_color if is_folder else _as_it_is)
            n_pixels += tiles.n_pixels
        result = colors.fit(options.colors, **_fit_options(options))
    result = in_order(in_order(result, "luminance"), options.sort)
    rgba = palette_rgba(result, np.dtype(np.uint8) if is_folder else tiles.dtype)
    rows = [] if result is None else _rows(rgba, result.counts)
    if options.output:
        if not rows:
            raise ValueError(f"{options.picture}: every pixel is transparent, so no swatch")
        save_image(_swatch(rgba), options.output)
    if options.json:
        n_visible = sum(row["pixels"] for row in rows)
        n_transparent = n_pixels - n_visible
        about = {"picture": options.picture, "pixels": n_visible, "transparent": n_transparent}
        print(json.dumps(about | {"colors": rows}, indent=2))
        return 0
    print("index  hex          R    G    B   share %")
    for index, row in enumerate(rows):
        r, g, b = row["rgb"]
        print(f"{index:5}  {row['hex']:9}  {r:3}  {g:3}  {b:3}  {row['share']:8.3f}")
    return 0


def _rows(colors: NDArray[np.uint8], counts: NDArray[Any]) -> list[dict[str, Any]]:
    """Describe each colour."""
    rows = []
    for color, count in zip(colors.tolist(), counts.tolist(), strict=True):
        *rgb, alpha = color
        hex_digits = bytes(color if alpha < 255 else rgb).hex()
        share = 100.0 * count / int(counts.sum())
        row = {"hex": f"#{hex_digits}", "rgb": rgb, "alpha": alpha}
        rows.append(row | {"pixels": int(count), "share": share})
    return rows


def _swatch(colors: NDArray[np.uint8]) -> Image.Image:
    """Draw squares of the colours, in rows."""
    columns = min(SWATCHES, len(colors))
    opaque = bool((colors[:, 3] == 255).all())
    squares = np.full((-(-len(colors) // columns) * columns, 4), 255 if opaque else 0, np.uint8)
    squares[: len(colors)] = colors
    small = Image.fromarray(squares.reshape(-1, columns, 4)[..., : 3 if opaque else 4])
    return small.resize((SWATCH * small.width, SWATCH * small.height), Image.Resampling.NEAREST)


def info(options: argparse.Namespace) -> int:
    """Show what runs here."""
    show_info()
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "quantize": quantize,
    "palette": palette,
    "explore": explore,
    "info": info,
}

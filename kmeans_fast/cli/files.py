"""The files that commands read and write; `-` is stdin, or stdout."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import stat
import sys
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..pictures import reading
from ..pictures import tiles as tiling
from ..pictures.animations import TIMES, Animation, open_animation
from ..pictures.saving import SUFFIXES, Unwanted, check_output, check_target, write_whole

if TYPE_CHECKING:
    from ..pictures.tiles import Tiles

STREAM = "-"


class Stdin(io.BytesIO):
    """What came through stdin, to be read as often as it takes."""

    name = "stdin"


def max_pixels(options: argparse.Namespace) -> int | None:
    """Return the most pixels to decode at once; None: no limit."""
    return reading.MAX_PIXELS if options.max_pixels is None else options.max_pixels or None


def source_of(options: argparse.Namespace, picture: str) -> str | Stdin:
    """Return what to open: a path, or what stdin has."""
    if picture != STREAM:
        return picture
    if getattr(options, "stdin", None) is None:
        if sys.stdin is None or sys.stdin.isatty():
            raise ValueError(
                "-: stdin is no file and no pipe; give a picture's name, or pipe one in"
            )
        options.stdin = Stdin(sys.stdin.buffer.read())
    source: Stdin = options.stdin
    return source


def name_of(picture: str) -> str:
    """Return what a picture is called, without its folder."""
    return Stdin.name if picture == STREAM else os.path.basename(picture)


def open_tiles(options: argparse.Namespace, picture: str, keep_profile: bool = False) -> Tiles:
    """Open one picture; the limit of `--max-pixels`, if it is given, is one for the whole."""
    source, limit = source_of(options, picture), max_pixels(options)
    tiles = tiling.open_picture(source, tiling.TILE_PIXELS, limit, keep_profile)
    if options.max_pixels and tiles.n_pixels > options.max_pixels:
        raise ValueError(
            f"{picture}: {tiles.n_pixels} pixels are more than max_pixels={options.max_pixels}"
        )
    return tiles


def open_frames(
    options: argparse.Namespace, picture: str, target: str | None = None
) -> Animation | None:
    """Open an animation, if it is one and the target can be one."""
    if target is not None and format_of(target) not in TIMES:
        return None
    return open_animation(source_of(options, picture), max_pixels(options))


def read_whole(
    options: argparse.Namespace, picture: str, tiles: Tiles, keep_profile: bool = False
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Return all pixels, and what of the file's description is kept."""
    if os.path.splitext(tiles.path)[1].lower() == ".npy":
        return np.concatenate(list(tiles)), {}
    source, limit = source_of(options, picture), max_pixels(options)
    return reading.read_picture(source, max_pixels=limit, keep_profile=keep_profile)


def files_of(pictures: Sequence[str]) -> list[str]:
    """Put the pictures of a folder in its place."""
    files: list[str] = []
    for picture in pictures:
        files += reading.pictures_in(picture) if os.path.isdir(picture) else [picture]
    if files.count(STREAM) > 1:
        raise ValueError("- is given twice, but stdin can be read once")
    return files


def format_of(target: str) -> str:
    """Return the format of an output whose name has been checked."""
    return "PNG" if target == STREAM else SUFFIXES[os.path.splitext(target)[1].lower()]


def targets_of(options: argparse.Namespace, pictures: Sequence[str], n_colors: int) -> list[str]:
    """Return the file that each picture is written to, by --output and --suffix."""
    output, suffix = options.output, options.suffix
    if suffix is not None and any(separator in suffix for separator in "/\\\0"):
        raise ValueError(f"--suffix {suffix!r} holds a path; give a folder as --output")
    if output is None and suffix is None and list(pictures) == [STREAM]:
        output = STREAM
    is_folder = output is not None and os.path.isdir(output)
    if output is not None and not is_folder:
        if suffix is not None:
            raise ValueError(
                f"--suffix {suffix!r} and --output {output} both name the file; give one"
            )
        if len(pictures) > 1:
            if output == STREAM:
                raise ValueError(f"--output -: stdout takes one picture, not {len(pictures)}")
            raise ValueError(
                f"--output {output}: is not a folder; "
                f"make it first, since {len(pictures)} pictures are written to it"
            )
        return [output]
    if not is_folder and STREAM in pictures:
        raise ValueError("-: stdin has no name to write beside; give --output")
    targets: dict[str, str] = {}
    for picture in pictures:
        added = ("" if is_folder else f"-{n_colors}") if suffix is None else suffix
        name = os.path.splitext(name_of(picture))[0] + added
        if not added.startswith(".") and not added.lower().endswith(tuple(SUFFIXES)):
            name += ".png"
        target = os.path.join(output if is_folder else os.path.dirname(picture), name)
        if target in targets:
            raise ValueError(
                f"{targets[target]} and {picture} would both be written to {target}; "
                "rename one, or run them apart"
            )
        targets[target] = picture
    return list(targets)


def check_files(
    options: argparse.Namespace, pictures: Sequence[str], targets: Sequence[str]
) -> None:
    """Refuse what would cost somebody a file, whatever the names that it goes by."""
    read, written = set(), set()
    for picture in pictures:
        with contextlib.suppress(OSError):  # told when it is read
            found = os.stat(picture)
            read.add((found.st_dev, found.st_ino))
    for target in targets:
        there = None if target == STREAM else check_target(target)
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


def check_picture_output(target: str, n_colors: int) -> None:
    """Raise what `put` would, as far as it can be known now."""
    if target != STREAM:
        check_output(target, n_colors)
    elif sys.stdout.isatty():
        raise ValueError("--output -: stdout is a terminal, and shows no picture; redirect it")


def put(
    options: argparse.Namespace, picture: str, target: str, write: Callable[[IO[bytes]], object]
) -> None:
    """Write an output whole or not at all; with --skip-if-larger only if it is worth it.

    Where it is not, stdout has the picture as it came.
    """
    source = source_of(options, picture)
    limit = None
    if options.skip_if_larger:
        limit = os.stat(source).st_size if isinstance(source, str) else len(source.getbuffer())

    def write_if_smaller(file: IO[bytes]) -> None:
        write(file)
        size = file.seek(0, os.SEEK_END)
        if limit is not None and size >= limit:
            raise Unwanted(
                f"{picture}: not written, since {size} bytes are no less than its {limit}"
            )

    if target != STREAM:
        write_whole(target, write_if_smaller)
        return
    file = io.BytesIO()
    try:
        write_if_smaller(file)
    except Unwanted:
        if isinstance(source, str):
            with open(source, "rb") as original:
                pour(original.read())
        else:
            pour(source.getvalue())
        raise
    pour(file.getvalue())


def pour(data: bytes) -> None:
    """Write bytes to stdout, after what was printed there."""
    sys.stdout.flush()
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()

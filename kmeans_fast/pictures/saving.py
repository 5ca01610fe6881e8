"""Pictures out: whole files, or none."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Collection
from typing import IO, Any

from PIL import Image

from .identify import one_line
from .profiles import palette_to_srgb, to_srgb

INDEXED = 256  # colours that an indexed ("P") picture can hold
# What each format writes for each kind of picture; None: it cannot, or only with other colours.
# "P+" is an indexed picture with one transparent entry, "P*" one with translucent entries.
_FORMATS: dict[str, dict[str, str | None]] = {
    name: dict(zip(("P", "P+", "P*", "RGB", "RGBA", "I;16"), modes, strict=True))
    for name, modes in {
        "PNG": ("P", "P", "P", "RGB", "RGBA", "I;16"),
        "GIF": ("P", "P", None, None, None, None),
        "TIFF": ("P", "RGBA", "RGBA", "RGB", "RGBA", "I;16"),
        "BMP": ("P", None, None, "RGB", None, None),
        "WEBP": ("RGB", "RGBA", "RGBA", "RGB", "RGBA", None),
        "JPEG": ("RGB", None, None, "RGB", None, None),
    }.items()
}
SUFFIXES = {f".{name.lower()}": name for name in _FORMATS} | {".jpg": "JPEG", ".tif": "TIFF"}
# The largest profile that a format carries; Pillow reads back no larger one from a PNG.
_PROFILES = {"PNG": 2**20 - 1, "TIFF": 2**30, "WEBP": 2**30, "JPEG": 255 * 65519}
_OPTIONS: dict[str, dict[str, Any]] = {
    # Of 9 to 11 megapixels in 256 colours: 0.18 s where Pillow's 6 takes 0.38, and 2 % larger in
    # the mean of four photographs (3 % smaller to 8 % larger). Level 1: 0.13 s and 7 % larger.
    "PNG": {"compress_level": 3},
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 95, "subsampling": 0},  # Pillow's 75 would blur the edges of flat colours
}


class Unwanted(Exception):
    """What is written turns out not to be wanted: `write_whole` leaves all as it was."""


def check_output(path: str | os.PathLike[str], n_colors: int = 1) -> str:
    """Raise what `save_image` would, as far as it can be known now; return the format."""
    format_name = SUFFIXES[check_suffix(path, SUFFIXES)]
    if n_colors > INDEXED and format_name == "GIF":
        name = os.fsdecode(path)
        raise ValueError(f"{name}: .gif holds {INDEXED} colours at most; write .png instead")
    check_target(path)
    return format_name


def check_suffix(path: str | os.PathLike[str], known: Collection[str]) -> str:
    """Return the suffix of an output, one of those that are known."""
    name = os.fsdecode(path)
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in known:
        raise ValueError(f"{name}: unknown suffix {suffix!r}; use one of {', '.join(known)}")
    return suffix


def check_target(path: str | os.PathLike[str]) -> os.stat_result | None:
    """Raise what `write_whole` would, as far as it can be known now; return what is there."""
    name = os.fsdecode(path)
    try:
        there = os.stat(name)
    except (FileNotFoundError, NotADirectoryError):
        folder = os.path.dirname(os.path.realpath(name))
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"{name}: there is no folder {folder}; make it first") from None
        if not _takes_files(folder):
            raise PermissionError(
                f"{name}: the folder {folder} is not writable; choose another"
            ) from None
        return None
    kind = stat.S_IFMT(there.st_mode)
    if kind == stat.S_IFDIR:
        raise IsADirectoryError(f"{name}: is a folder; give the name of a file")
    if kind not in (stat.S_IFREG, stat.S_IFCHR, stat.S_IFIFO):
        raise OSError(f"{name}: is a disk or a socket, not a file; choose another")
    # Root may write anywhere; what nobody may write is meant to stay even so.
    if not there.st_mode & 0o222 or not os.access(name, os.W_OK):
        raise PermissionError(f"{name}: is not writable; make it so, or choose another")
    return there


def _takes_files(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def write_whole(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """
    Write a file whole, or not at all.

    It goes to a temporary file beside the target, which then takes the target's name, and the mode
    and owner of a file that is there. What no file can take the place of is written to once all is
    complete: a device, a pipe, a file of several names or in a folder that is not writable.
    """
    name = os.fsdecode(path)
    there = check_target(name)
    target = os.path.realpath(name)  # through a link, as an ordinary open would write
    folder = os.path.dirname(target)
    beside = there is None or (stat.S_ISREG(there.st_mode) and _takes_files(folder))
    temporary = os.path.join(
        folder if beside else tempfile.gettempdir(), f".kmeans-fast-{secrets.token_hex(8)}.tmp"
    )
    # Not by tempfile, so that the umask gives a new file's permissions; but what replaces a file
    # is nobody else's to read, not even meanwhile.
    opener = functools.partial(os.open, mode=0o666 if there is None else 0o600)
    try:
        with open(temporary, "xb", opener=opener) as file:
            write(file)
        if not (beside and _take_place(temporary, target, there)):
            with open(temporary, "rb") as complete:
                _pour(complete, name)
            os.remove(temporary)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        if isinstance(error, MemoryError | Unwanted) or not isinstance(error, Exception):
            raise
        raise OSError(f"{name}: cannot be written: {one_line(error)}") from error


def _take_place(temporary: str, target: str, there: os.stat_result | None) -> bool:
    """Give a file the name of another, its mode and its owner; tell whether that could be done."""
    if there is None:
        os.replace(temporary, target)
        return True
    if there.st_nlink > 1:
        return False
    try:
        made = os.stat(temporary)
        if (made.st_uid, made.st_gid) != (there.st_uid, there.st_gid):
            os.chown(temporary, there.st_uid, there.st_gid)
        shutil.copystat(target, temporary)  # extended attributes and access lists, too
        os.utime(temporary)
        os.replace(temporary, target)
    except OSError as error:
        # Another's file, one that a file system is mounted on, or one in a folder such as /tmp.
        if error.errno in (errno.EPERM, errno.EACCES, errno.EBUSY, errno.EXDEV):
            return False
        raise
    return True


def _pour(complete: IO[bytes], name: str) -> None:
    """Write what is complete into what is there."""

    def as_it_is(path: str, _: int) -> int:
        # Neither made nor emptied, and a pipe that nobody reads is no reason to wait.
        flags = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        return os.open(path, flags)

    def copy() -> None:
        while rest := complete.read(2**20):
            while rest:
                rest = rest[file.write(rest) :]

    try:
        file = open(name, "wb", buffering=0, opener=as_it_is)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise OSError("nobody reads from it; start its reader first") from error
        raise
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            os.set_blocking(file.fileno(), True)
            copy()
            return
        # First what the file grows by: where the disk is full, nothing is lost yet.
        size = file.seek(0, os.SEEK_END)
        complete.seek(size)
        try:
            copy()
        except BaseException:
            file.truncate(size)
            raise
        complete.seek(0)
        file.seek(0)
        copy()
        file.truncate()


def save_image(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """
    Write what `quantize` returns to a file, whole or not at all.

    A file that is there is replaced; it keeps its mode, and its owner where that can be. A device
    or a pipe is written to.

    A format without palettes is given the same colours in full; WebP is lossless. The colour
    profile and resolution in `image.info` are kept where the format can; for GIF and BMP, which
    know no profiles, the colours are converted to sRGB by it.

    Parameters
    ----------
    image : PIL.Image.Image
        Of mode "P", "RGB", "RGBA" or "I;16".
    path : str or path
        Its suffix gives the format: .png, .gif, .tif, .tiff, .bmp, .webp, .jpg or .jpeg.

    Raises
    ------
    ValueError
        Another suffix, or a format that cannot hold the picture (JPEG: transparent pixels).
    OSError
        The folder is missing, it or the file is not writable, or the disk is full.
    """
    write_whole(path, encoder(image, os.fsdecode(path), check_output(path)))


def encoder(image: Image.Image, name: str, format_name: str) -> Callable[[IO[bytes]], None]:
    """Return what writes such a picture to a file; raise if the format cannot hold it."""
    kind = image.mode
    if kind == "P" and "transparency" in image.info:
        kind = "P*" if isinstance(image.info["transparency"], bytes) else "P+"
    mode = _FORMATS[format_name].get(kind)
    if mode is None:
        what = {"P+": "transparent pixels", "P*": "translucent pixels", "RGBA": "such transparency"}
        raise ValueError(
            f"{name}: {format_name} cannot hold {what.get(kind, f'pixels of mode {kind}')}; "
            "write .png instead"
        )
    info = {key: image.info[key] for key in ("icc_profile", "dpi") if key in image.info}
    if len(info.get("icc_profile", b"")) > _PROFILES.get(format_name, 0):
        convert = palette_to_srgb if image.mode == "P" else to_srgb
        image, info["icc_profile"] = convert(image, info["icc_profile"], f"{name}: "), b""
    if mode != image.mode:
        image = image.convert(mode)
    options = _OPTIONS.get(format_name, {}) | info
    return lambda file: image.save(file, format_name, **options)

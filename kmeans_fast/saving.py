"""Pictures out: whole files, or none."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from typing import IO, Any

from PIL import Image

from .identify import one_line
from .painting import INDEXED
from .profiles import palette_to_srgb, to_srgb

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
_SUFFIXES = {f".{name.lower()}": name for name in _FORMATS} | {".jpg": "JPEG", ".tif": "TIFF"}
# The largest profile that a format carries; Pillow reads back no larger one from a PNG.
_PROFILES = {"PNG": 2**20 - 1, "TIFF": 2**30, "WEBP": 2**30, "JPEG": 255 * 65519}
_OPTIONS: dict[str, dict[str, Any]] = {
    "WEBP": {"lossless": True},
    "JPEG": {"quality": 95, "subsampling": 0},  # Pillow's 75 would blur the edges of flat colours
}


def check_output(path: str | os.PathLike[str], n_colors: int = 1) -> str:
    """Raise what `save_image` would, as far as it can be known now; return the format."""
    name = os.fsdecode(path)
    suffix = os.path.splitext(name)[1].lower()
    if suffix not in _SUFFIXES:
        raise ValueError(f"{name}: unknown suffix {suffix!r}; use one of {', '.join(_SUFFIXES)}")
    if n_colors > INDEXED and _SUFFIXES[suffix] == "GIF":
        raise ValueError(f"{name}: {suffix} holds {INDEXED} colours at most; write .png instead")
    check_folder(name)
    return _SUFFIXES[suffix]


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raise what `write_whole` would, as far as it can be known now."""
    name = os.fsdecode(path)
    folder = os.path.dirname(os.path.realpath(name))
    if os.path.isdir(name):
        raise IsADirectoryError(f"{name}: is a folder; give the name of a file")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{name}: the folder {folder} is not writable; choose another")


def write_whole(path: str | os.PathLike[str], write: Callable[[IO[bytes]], object]) -> None:
    """
    Write a file whole, or not at all.

    It goes to a temporary file beside the target, which then takes the target's name.
    """
    name = os.fsdecode(path)
    target = os.path.realpath(name)  # through a link, as an ordinary open would write
    temporary = os.path.join(os.path.dirname(target), f".kmeans-fast-{secrets.token_hex(8)}.tmp")
    try:
        # An ordinary open, not tempfile, so that the umask gives the permissions.
        with open(temporary, "xb") as file:
            write(file)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        if isinstance(error, MemoryError) or not isinstance(error, Exception):
            raise
        raise OSError(f"{name}: cannot be written: {one_line(error)}") from error


def save_image(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """
    Write what `quantize` returns to a file, whole or not at all.

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
        The folder is missing or not writable, or the disk is full.
    """
    format_name = check_output(path)
    name = os.fsdecode(path)
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
    write_whole(path, lambda file: image.save(file, format_name, **options))

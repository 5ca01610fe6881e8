"""Colour profiles: an array has none, so what becomes one is brought to sRGB first."""

from __future__ import annotations

import functools
import io
import struct
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GREY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
# A profile whose colours are those of sRGB to within so many levels of 255 is taken for sRGB.
SAME = 2
Array = NDArray[Any]


class ProfileWarning(UserWarning):
    """A colour profile that cannot be used."""


def profile_of(image: Image.Image) -> bytes | None:
    """Return the profile that says what the numbers of an image mean; None: sRGB is taken.

    A grey image may have one of RGB too, for three equal numbers.
    """
    profile = image.info.get("icc_profile")
    if not isinstance(profile, bytes) or image.mode == "LAB":
        return None
    spaces = {"CMYK": (b"CMYK",)}.get(image.mode, (b"RGB ", b"GRAY"))
    return profile if profile[16:20] in spaces[: 1 + (image.mode in GREY)] else None


def carried_profile(image: Image.Image) -> bytes | None:
    """Return the profile that is true of an image's colours in RGB too."""
    return profile_of(image) if image.mode not in (*GREY, "CMYK") else None


def to_srgb(image: Image.Image, profile: bytes, where: str, own: bool = False) -> Image.Image:
    """Return an image of mode "RGB", "RGBA" or "CMYK" in sRGB: "RGB", "RGBA" or "RGB".

    Parameters
    ----------
    where : str
        What a warning starts with, the name of the file and a colon, or nothing.
    own : bool
        The image may be changed.
    """
    try:
        transform = _transform(profile, image.mode)
        if transform is None:
            return image
        converted: Image.Image = transform.apply(
            image, image if own and image.mode != "CMYK" else None
        )
    except Exception:  # a broken profile, or Pillow without LittleCMS
        _warn(where)
        return image
    return converted


def grey_to_srgb(pixels: Array, profile: bytes, where: str) -> Array:
    """Return grey pixels, with or without alpha, in the greys of sRGB."""
    try:
        table = _grey_table(profile, np.iinfo(pixels.dtype).max + 1)
    except Exception:
        _warn(where)
        return pixels
    if table is None:
        return pixels
    return np.concatenate([table[pixels[..., :3]], pixels[..., 3:]], axis=2)


def palette_to_srgb(image: Image.Image, profile: bytes, where: str) -> Image.Image:
    """Return an image of mode "P" with the colours of its palette in sRGB."""
    palette = bytes(image.getpalette() or ())
    colors = to_srgb(Image.frombytes("RGB", (len(palette) // 3, 1), palette), profile, where, True)
    image = image.copy()
    image.putpalette(colors.tobytes())
    return image


def _warn(where: str) -> None:
    warnings.warn(
        f"{where}the colour profile cannot be used; the numbers are taken as sRGB",
        ProfileWarning,
        stacklevel=2,
    )


@functools.lru_cache(maxsize=8)
def _transform(profile: bytes, mode: str) -> Any:
    """Return LittleCMS's way to sRGB; None: the profile is sRGB."""
    from PIL import ImageCms

    source, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
    target = ImageCms.ImageCmsProfile(srgb)
    transform = ImageCms.ImageCmsTransform(
        source, target, mode, "RGBA" if mode == "RGBA" else "RGB"
    )
    if mode != "CMYK":
        steps = np.arange(0, 256, 15, dtype=np.uint8)
        lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)
        seen = np.asarray(transform.apply(Image.fromarray(lattice).convert(mode)).convert("RGB"))
        if np.abs(seen.astype(int) - lattice).max() <= SAME:
            return None
    return transform


@functools.lru_cache(maxsize=8)
def _grey_table(profile: bytes, n: int) -> Array | None:
    """Return what each of `n` greys is in sRGB; None: itself. LittleCMS has 16 bits for greys only.

    So of a profile of RGB the curve of green makes one of grey.
    """
    from PIL import ImageCms

    if profile[16:20] != b"GRAY":
        profile = _grey_profile(_tag(profile, b"gTRC"))
    source, target = (
        ImageCms.ImageCmsProfile(io.BytesIO(data)) for data in (profile, _grey_profile(_SRGB_CURVE))
    )
    transform = ImageCms.ImageCmsTransform(
        source, target, "I;16", "I;16", ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.NOOPTIMIZE,
    )  # fmt: skip
    greys = np.linspace(0, 65535, n).astype("<u2")
    seen = np.asarray(transform.apply(Image.fromarray(greys[np.newaxis])))[0].astype(np.int64)
    if not seen[0] < seen[-1]:
        raise ValueError("a curve that leads nowhere")
    if np.abs(seen - greys).max() <= 257 * SAME:
        return None
    table: Array = seen.astype(np.uint16) if n > 256 else np.rint(seen / 257).astype(np.uint8)
    return table


def _tag(profile: bytes, name: bytes) -> bytes:
    (n_tags,) = struct.unpack_from(">L", profile, 128)
    table = struct.iter_unpack(">4sLL", profile[132 : 132 + 12 * n_tags])
    return next(profile[at : at + size] for tag, at, size in table if tag == name)


def _grey_profile(curve: bytes) -> bytes:
    """Return the profile of greys by such a curve."""
    white = struct.pack(">4s4x3l", b"XYZ ", 63190, 65536, 54061)  # D50, in 65536ths
    head = struct.pack(
        ">L4xL4s4s4s12x4s28x", 176 + len(curve), 2**25, b"mntr", b"GRAY", b"XYZ ", b"acsp"
    )
    table = struct.pack(">L4sLL4sLL", 2, b"wtpt", 156, 20, b"kTRC", 176, len(curve))
    return (head + white[8:]).ljust(128, b"\0") + table + white + curve


# The numbers of its formula, in 65536ths.
_SRGB_CURVE = struct.pack(">4s4xHH5l", b"para", 3, 0, 157286, 62119, 3417, 5072, 2651)

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

from ..threads import quiet

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
        with quiet():
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
    """Return what each of `n` greys is in sRGB; None: itself. LittleCMS knows 8 bits only."""
    if profile[20:24] != b"XYZ ":
        raise ValueError("a connection space that has no curves")
    x = np.linspace(0, 1, n)
    y = np.clip(_curve(profile, b"kTRC" if profile[16:20] == b"GRAY" else b"gTRC", x), 0, 1)
    seen = np.where(y <= 0.0031308, 12.92 * y, 1.055 * y ** (1 / 2.4) - 0.055)
    if not (np.isfinite(seen).all() and seen[0] < seen[-1]):
        raise ValueError("a curve that leads nowhere")
    if np.abs(seen - x).max() * 255 <= SAME:
        return None
    table: Array = np.rint(seen * (n - 1)).astype(np.uint8 if n == 256 else np.uint16)
    return table


def _curve(profile: bytes, tag: bytes, x: Array) -> Array:
    """Return the light of numbers from 0 to 1, by a curve of a profile."""
    (n_tags,) = struct.unpack_from(">L", profile, 128)
    table = struct.iter_unpack(">4sLL", profile[132 : 132 + 12 * n_tags])
    data = next(profile[at : at + size] for name, at, size in table if name == tag)
    y: Array
    if data[:4] == b"curv":
        (n,) = struct.unpack_from(">L", data, 8)
        values = np.frombuffer(data, ">u2", n, 12)
        if n > 1:
            y = np.interp(x, np.linspace(0, 1, n), values / 65535)
        else:
            y = x ** (values[0] / 256 if n else 1.0)
        return y
    name, kind = struct.unpack_from(">4s4xH", data)
    if name != b"para":
        raise ValueError(f"a curve of type {name}")
    n = (1, 3, 4, 5, 7)[kind]
    numbers = np.frombuffer(data, ">i4", n, 12) / 65536
    g, a, b, c, d, e, f = np.append(numbers, np.array([1, 0, 0, 0, 0, 0, 0])[n - 1 : 6])
    if kind in (1, 2):  # the constant below is where the power begins
        c, d, e, f = 0.0, -b / a, c, c
    y = np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)
    return y

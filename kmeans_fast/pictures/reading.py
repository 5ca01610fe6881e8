"""Pictures in: files and Pillow images to arrays."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, SAMPLESPERPIXEL

from ..checks import check_integer
from .identify import (
    Source,
    identify,
    identify_within,
    lift_limit_of_tiff,
    naming,
    one_line,
    open_file,
)
from .profiles import GREY, carried_profile, grey_to_srgb, profile_of, to_srgb
from .tiff import WHITE_IS_ZERO, count_pages

# At the limit, decoding and clustering hold about 10 bytes a pixel: 5 GB. No camera makes half as
# many pixels, and a bomb (a file of 44 bytes can declare 4,000 million) is refused at its header.
MAX_PIXELS = 2**29

# The command line sets it: libtiff prints of broken files to descriptor 2, of its own accord.
quiet: ContextVar[bool] = ContextVar("quiet", default=False)


class LeftOutWarning(UserWarning):
    """A file holds more than is read of it: frames, pages or bands."""


def open_image(path: Source, *, max_pixels: int | None = MAX_PIXELS) -> NDArray[Any]:
    """
    Read a picture file as an array, upright.

    The EXIF orientation is applied, and an animation or a file of many pages gives its first, with
    a warning that says how many are left out.
    Numbers are those of sRGB: a picture with the profile of another space, such as Display P3,
    Adobe RGB, CMYK or a grey of its own, is converted by it. (`quantize` of a Pillow image keeps
    the space, and the profile.) Profiles apart nothing is asked: neither PNG's gAMA nor EXIF's
    colour space.

    Parameters
    ----------
    path : str, path or binary file
        The file, in any format that Pillow reads by itself and whose header can be relied on: not
        EPS, WMF, BLP, FITS, FPX, IPTC or MIC. An open one is read from its beginning to its end,
        and stays open.
    max_pixels : int or None, default 2**29
        The most pixels (width times height) to accept. The size is read from the file's header,
        before anything is decoded; Pillow's own limit plays no part. None: no limit.

    Returns
    -------
    (h, w, c) array
        uint8 with 1 channel (grey), 3 (RGB) or 4 (RGBA, for any kind of transparency), or uint16
        with 1 channel (16-bit grey).

    Raises
    ------
    OSError
        The file is missing, unreadable, no picture, truncated or broken.
    ValueError
        The picture has more than `max_pixels` pixels, or is of a kind that has no colours to count
        (floating-point values), or a TIFF that Pillow does not read (of 12 channels, say).

    Warns
    -----
    ProfileWarning
        The colour profile is broken, or of a kind that is not known here.
    LeftOutWarning
        The file has more frames or pages than the first, or a TIFF more bands than are read, such
        as RGB and one without a name.

    Examples
    --------
    >>> from PIL import Image
    >>> path = getfixture("tmp_path") / "red.png"
    >>> Image.new("RGB", (3, 2), "red").save(path)
    >>> open_image(path).shape
    (2, 3, 3)
    """
    # A copy, since what Pillow hands out is read-only, and callers like to paint on their arrays.
    return np.array(read_picture(path, max_pixels=max_pixels)[0])


def read_picture(
    path: Source,
    *,
    max_pixels: int | None = MAX_PIXELS,
    keep_profile: bool = False,
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Read a file as `open_image` does; also what `save_image` can carry over, as a Pillow info.

    With `keep_profile` RGB is left in its own space, and the profile is carried over.
    """
    if max_pixels is not None:
        max_pixels = check_integer("max_pixels", max_pixels, 1)
    opened, name = open_file(path)
    with opened as file:
        image = identify_within(file, name, max_pixels)
        image = _load(image, name)
        # A broken EXIF block is no reason to refuse a sound picture.
        with contextlib.suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
        info = carried_info(image, keep_profile)
        pixels = named_array(image, name, keep_profile)
        tell_of_frames(file, name, image)  # last, since some formats go through all to count
    return pixels, info


def tell_of_frames(file: IO[bytes], name: str, image: Image.Image) -> None:
    """Warn if a file holds more than the one picture that is read."""
    n = 1
    with contextlib.suppress(Exception):  # what is broken behind the first picture is no frame
        if image.format == "TIFF":
            n = count_pages(file)
        elif image.format not in ("MPO", "PSD"):  # previews and layers of the same picture
            n = int(getattr(image, "n_frames", 1))
    if n > 1:
        message = f"{name}: only the first of its {n} frames is read, and {n - 1} left out"
        warnings.warn(message, LeftOutWarning, stacklevel=2)


def kind_of(image: Image.Image, where: str) -> tuple[int, np.dtype[Any]]:
    """Return the channels and type of what a TIFF becomes, by its header, and tell what is lost."""
    _warn_of_bands(image, where)
    if image.mode.startswith("I"):
        return 1, np.dtype(np.uint16)
    return len(_mode_of_array(image)), np.dtype(np.uint8)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    kept = os.dup(2)  # which the command line has seen to that there is
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(null)


def _load(image: Image.Image, name: str) -> Image.Image:
    with naming(name), _silence() if quiet.get() else contextlib.nullcontext():
        lift_limit_of_tiff(image)
        return _loaded(image)


def _loaded(image: Image.Image) -> Image.Image:
    """Decode an image, and of a PNG with a transparent colour (tRNS) that colour too.

    Pillow compares it, as it stands in the file, with pixels that it has brought to 8 bits.
    """
    file: Any = image
    is_png = image.format == "PNG" and "transparency" in image.info and getattr(file, "tile", None)
    rawmode, low = file.tile[0][3] if is_png else "", None
    if rawmode == "RGB;16B":
        again: Any = identify(file.fp, "")
        again.tile = [(*again.tile[0][:3], "RGB;16L")]  # the other bytes
        again.load()
        low = np.asarray(again)
    image.load()  # an older Pillow turns a TIFF upright only now, and the size with it
    most = {"1": 1, "L;2": 3, "L;4": 15}.get(rawmode, 0)
    if most and image.info["transparency"] <= most:  # Pillow minds it itself for 1 bit, lately
        image = image.copy()
        image.info["transparency"] *= 255 // most
    return image if low is None else _with_alpha(image, low)


def _with_alpha(image: Image.Image, low: NDArray[Any] | None) -> Image.Image:
    """Return an RGB image with alpha, by a transparent colour of 16 bits a channel.

    `low` are the low bytes of the pixels. Where they are lost, the high ones decide.
    """
    color = np.array(image.info["transparency"])
    hidden = (np.asarray(image) == color >> 8).all(axis=2)
    if low is not None:
        hidden &= (low == color & 255).all(axis=2)
    image = image.copy()
    del image.info["transparency"]
    image.putalpha(Image.fromarray(np.where(hidden, 0, 255).astype(np.uint8)))
    return image


def named_array(image: Image.Image, name: str, keep_profile: bool) -> NDArray[Any]:
    """Return the pixels of an image of one's own; what is wrong is told with the file's name."""
    try:
        return _to_array(image, f"{name}: ", keep_profile, own=True)
    except ValueError as error:
        raise ValueError(f"{name}: {one_line(error)}") from error


def to_array(image: Image.Image, *, keep_profile: bool = False) -> NDArray[Any]:
    """
    Convert a Pillow image to an array, as `open_image` does.

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode but "F". An EXIF orientation is left alone, so that shapes agree with `image`.
    keep_profile : bool, default False
        Leave RGB in its own space: that of the profile in ``image.info``.

    Returns
    -------
    (h, w, c) array
        uint8 with 1, 3 or 4 channels, or uint16 with 1; it may be read-only.

    Raises
    ------
    ValueError
        The image is empty, of mode "F", or of mode "I" with values outside 0 to 65535.

    Examples
    --------
    >>> from PIL import Image
    >>> to_array(Image.new("LA", (3, 2))).shape
    (2, 3, 4)
    """
    return _to_array(_loaded(image), "", keep_profile, own=False)


def _to_array(image: Image.Image, where: str, keep_profile: bool, own: bool) -> NDArray[Any]:
    """Do so; warnings start with `where`, and an image of one's own may be changed."""
    width, height = image.size
    if width == 0 or height == 0:
        raise ValueError(f"image has {width} x {height} pixels; give a picture with at least one")
    if image.mode == "F":
        raise ValueError(
            "image of mode 'F' holds floating-point values, not colours; "
            "convert it to 'L', or cluster numpy.asarray(image).reshape(-1, 1)"
        )
    _warn_of_bands(image, where)
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple) and max(transparent) > 255:
        image = _with_alpha(image, None)  # it was decoded before it came here
    profile = profile_of(image)
    if image.mode.startswith("I"):
        return _to_uint16(image, profile, where)
    is_grey, mode = image.mode in GREY, _mode_of_array(image)
    if image.mode == "La":  # Pillow knows no direct way
        image = image.convert("LA")
    if image.mode not in (mode, "CMYK"):
        image, own = image.convert(mode), True
    if profile and not is_grey and not (keep_profile and image.mode != "CMYK"):
        image = to_srgb(image, profile, where, own and not image.readonly)
    if image.mode != mode:
        image = image.convert(mode)
    pixels = np.asarray(image).reshape(height, width, -1)
    return grey_to_srgb(pixels, profile, where) if profile and is_grey else pixels


def _warn_of_bands(image: Image.Image, where: str) -> None:
    """Say so where Pillow leaves out bands of a TIFF that have no meaning to it."""
    n_bands = getattr(image, "tag_v2", {}).get(SAMPLESPERPIXEL, 1)
    read = "".join(band for band in image.getbands() if band != "X")
    if n_bands > len(image.getbands()) - ("X" in image.getbands()):
        warnings.warn(
            f"{where}only {read} of its {n_bands} bands are read; for all, read it with tifffile "
            "or rasterio, and give fit the array",
            LeftOutWarning,
            stacklevel=2,
        )


def _mode_of_array(image: Image.Image) -> str:
    """Return the mode that a picture of 8 bits becomes an array of."""
    if image.has_transparency_data:
        return "RGBA"
    return "L" if image.mode in ("1", "L") else "RGB"


def _to_uint16(image: Image.Image, profile: bytes | None, where: str) -> NDArray[Any]:
    values = np.asarray(image)[..., np.newaxis]
    if (
        image.mode == "I;16"
        and getattr(image, "tag_v2", {}).get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO
    ):
        values = 65535 - values  # Pillow does that for 8 bits
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(
            f"image of mode 'I' holds values from {values.min()} to {values.max()}; bring them "
            "into 0 to 65535, or cluster numpy.asarray(image).reshape(-1, 1)"
        )
    values = values.astype(np.uint16, copy=False)  # also the machine's own byte order
    hidden = values == image.info.get("transparency", -1)
    if profile:
        values = grey_to_srgb(values, profile, where)
    if not hidden.any():
        return values
    grey = to_uint8(values)
    return np.concatenate([grey, grey, grey, np.where(hidden, 0, 255).astype(np.uint8)], axis=2)


def to_uint8(pixels: NDArray[Any]) -> NDArray[Any]:
    """Scale uint16 pixels to 8 bits (value / 257, rounded); uint8 ones stay as they are."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels


def carried_info(image: Image.Image, keep_profile: bool = True) -> dict[str, Any]:
    """Return what of the source's description is true of the result too."""
    kept: dict[str, Any] = {}
    profile = carried_profile(image) if keep_profile else None
    if profile:
        kept["icc_profile"] = profile
    with contextlib.suppress(TypeError, ValueError, KeyError, ZeroDivisionError):
        dpi = tuple(float(value) for value in image.info["dpi"])
        if len(dpi) == 2 and all(0 < value < 2**16 for value in dpi):
            kept["dpi"] = dpi
    return kept


def pictures_in(folder: str | os.PathLike[str]) -> list[str]:
    """Return the pictures in a folder, by name: files with the suffix of one, but hidden ones."""
    suffixes = {".npy", *Image.registered_extensions()}
    name = os.fsdecode(folder)
    paths = [
        os.path.join(name, entry)
        for entry in sorted(os.listdir(name))
        if os.path.splitext(entry)[1].lower() in suffixes and not entry.startswith(".")
    ]
    paths = [path for path in paths if os.path.isfile(path)]
    if not paths:
        raise ValueError(f"{name}: is a folder without pictures; give another, or files")
    return paths

"""Pictures in: files and Pillow images to arrays."""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .validate import check_integer

# At the limit, decoding and clustering hold about 10 bytes a pixel: 5 GB. No camera makes half as
# many pixels, and a bomb (a file of 44 bytes can declare 4,000 million) is refused at its header.
MAX_PIXELS = 2**29


def open_image(
    path: str | os.PathLike[str], *, max_pixels: int | None = MAX_PIXELS
) -> NDArray[Any]:
    """
    Read a picture file as an array, upright.

    The EXIF orientation is applied, and an animation gives its first frame. A CMYK picture with a
    colour profile is converted to sRGB by it.

    Parameters
    ----------
    path : str or path
        The file, in any format that Pillow reads.
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
        (floating-point values).

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
    path: str | os.PathLike[str], *, max_pixels: int | None = MAX_PIXELS
) -> tuple[NDArray[Any], dict[str, Any]]:
    """Read a file as `open_image` does; also what `save_image` can carry over, as a Pillow info."""
    name = os.fsdecode(path)
    if max_pixels is not None:
        max_pixels = check_integer("max_pixels", max_pixels, 1)
    with open(path, "rb") as file:
        image = _identify_within(file, name, max_pixels)
        _load(image, name)
        # A broken EXIF block is no reason to refuse a sound picture.
        with contextlib.suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
    return _named_array(image, name), carried_info(image)


def measure_picture(name: str, max_pixels: int | None) -> tuple[int, int]:
    """Return the size of a picture as its header says, (width, height), before it is turned."""
    with open(name, "rb") as file:
        return _identify_within(file, name, max_pixels).size


def read_part(data: bytes, name: str) -> NDArray[Any]:
    """Return the pixels of a picture in memory that is a part of the file `name`."""
    image = _identify_part(data, name)
    _load(image, name)
    return _named_array(image, name)


def kind_of_part(data: bytes, name: str) -> tuple[int, np.dtype[Any]]:
    """Return the channels and the type that `read_part` will give, by the header alone."""
    image = _identify_part(data, name)
    _refuse_floats(image, f"{name}: ")
    if image.mode.startswith("I"):
        return 1, np.dtype(np.uint16)
    return len(_mode_of_array(image)), np.dtype(np.uint8)


def _identify_part(data: bytes, name: str) -> Image.Image:
    with _naming(name):
        return _identify(io.BytesIO(data), "")  # with a name, Pillow would map that file


@contextlib.contextmanager
def _naming(name: str) -> Iterator[None]:
    """Make an OSError of what Pillow raises, with the name of the file."""
    try:
        yield
    except MemoryError:
        raise
    except Image.DecompressionBombError as error:  # WebP and GIF look for themselves
        raise ValueError(
            f"{name}: {one_line(error)} Pillow's own PIL.Image.MAX_IMAGE_PIXELS raises that."
        ) from error
    except Exception as error:  # on broken files Pillow's plugins raise almost anything
        raise OSError(f"{name}: {one_line(error)}") from error


def _identify_within(file: IO[bytes], name: str, max_pixels: int | None) -> Image.Image:
    """Return a picture of which only the header has been read, of at most so many pixels."""
    with _naming(name):
        image = _identify(file, name)
    width, height = image.size
    if max_pixels is not None and width * height > max_pixels:
        raise ValueError(
            f"{name}: {width} x {height} pixels are more than max_pixels={max_pixels}; "
            "allow more, or None for no limit"
        )
    return image


def _load(image: Image.Image, name: str) -> None:
    with _naming(name):
        _lift_limit_of_tiff(image)
        image.load()


def _named_array(image: Image.Image, name: str) -> NDArray[Any]:
    try:
        return to_array(image)
    except ValueError as error:
        raise ValueError(f"{name}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _identify(file: IO[bytes], name: str) -> Image.Image:
    """`Image.open` without its pixel limit.

    That limit is one for the whole process and cannot be raised for one call, nor can its warning
    be held back in a thread; so Pillow's plugins are asked here, in its order and by its rules.
    """
    prefix = file.read(16)
    reason = "not a picture in a format that Pillow reads"
    asked: set[str] = set()
    for load_plugins in (Image.preinit, Image.init):  # the five common formats, then all
        load_plugins()
        for key in [key for key in Image.ID if key not in asked]:
            asked.add(key)
            factory, accept = Image.OPEN[key]
            try:
                accepted = accept(prefix) if accept else True
                if isinstance(accepted, str):  # what Pillow would need to read this format
                    reason = accepted
                elif accepted:
                    reason = f"a broken or empty {key} picture" if accept else reason
                    file.seek(0)
                    return factory(file, name)
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
    raise OSError(reason)


def _lift_limit_of_tiff(image: Image.Image) -> None:
    """Give a TIFF its memory here: Pillow checks its own limit once more where it would do so."""
    size = getattr(image, "_tile_size", image.size)
    if image.format == "TIFF" and size[0] * size[1] > (Image.MAX_IMAGE_PIXELS or np.inf):
        image.im = Image.new(image.mode, size).im


def to_array(image: Image.Image) -> NDArray[Any]:
    """
    Convert a Pillow image to an array, as `open_image` does, pixel for pixel as it stands.

    Parameters
    ----------
    image : PIL.Image.Image
        Any mode but "F". An EXIF orientation is left alone, so that shapes agree with `image`.

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
    image.load()  # an older Pillow turns a TIFF upright only now, and the size with it
    width, height = image.size
    if width == 0 or height == 0:
        raise ValueError(f"image has {width} x {height} pixels; give a picture with at least one")
    _refuse_floats(image)
    if image.mode.startswith("I"):
        return _to_uint16(image)
    mode = _mode_of_array(image)
    if image.mode == "La":  # Pillow knows no direct way
        image = image.convert("LA")
    if image.mode == "CMYK" and "icc_profile" in image.info:
        image = _to_srgb(image)
    if image.mode != mode:
        image = image.convert(mode)
    return np.asarray(image).reshape(height, width, -1)


def _refuse_floats(image: Image.Image, where: str = "") -> None:
    if image.mode == "F":
        raise ValueError(
            f"{where}image of mode 'F' holds floating-point values, not colours; "
            "convert it to 'L', or cluster numpy.asarray(image).reshape(-1, 1)"
        )


def _mode_of_array(image: Image.Image) -> str:
    """Return the mode that a picture of 8 bits becomes an array of."""
    if image.has_transparency_data:
        return "RGBA"
    return "L" if image.mode in ("1", "L") else "RGB"


def _to_uint16(image: Image.Image) -> NDArray[Any]:
    values = np.asarray(image)[..., np.newaxis]
    if values.min() < 0 or values.max() > 65535:
        raise ValueError(
            f"image of mode 'I' holds values from {values.min()} to {values.max()}; bring them "
            "into 0 to 65535, or cluster numpy.asarray(image).reshape(-1, 1)"
        )
    values = values.astype(np.uint16, copy=False)  # also the machine's own byte order
    hidden = values == image.info.get("transparency", -1)
    if not hidden.any():
        return values
    grey = to_uint8(values)
    return np.concatenate([grey, grey, grey, np.where(hidden, 0, 255).astype(np.uint8)], axis=2)


def to_uint8(pixels: NDArray[Any]) -> NDArray[Any]:
    """Scale uint16 pixels to 8 bits (value / 257, rounded); uint8 ones stay as they are."""
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return pixels


def _to_srgb(image: Image.Image) -> Image.Image:
    try:
        from PIL import ImageCms

        profile = io.BytesIO(image.info["icc_profile"])
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, profile, srgb, outputMode="RGB")
        return converted or image
    except Exception:  # Pillow without LittleCMS, or a broken profile: the plain conversion then
        return image


def carried_info(image: Image.Image) -> dict[str, Any]:
    """Return what of the source's description is true of the result too."""
    kept: dict[str, Any] = {}
    profile = image.info.get("icc_profile")
    if isinstance(profile, bytes) and profile[16:20] == b"RGB ":  # the space that it describes
        kept["icc_profile"] = profile
    with contextlib.suppress(TypeError, ValueError, KeyError, ZeroDivisionError):
        dpi = tuple(float(value) for value in image.info["dpi"])
        if len(dpi) == 2 and all(0 < value < 2**16 for value in dpi):
            kept["dpi"] = dpi
    return kept

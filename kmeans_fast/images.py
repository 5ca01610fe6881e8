"""Pictures in and out: files and Pillow images to arrays, fitted colours to pictures and files."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import struct
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from .validate import check_integer

if TYPE_CHECKING:
    from . import ColorHistogram, KMeansResult

# At the limit, decoding and clustering hold about 10 bytes a pixel: 5 GB. No camera makes half as
# many pixels, and a bomb (a file of 44 bytes can declare 4,000 million) is refused at its header.
MAX_PIXELS = 2**29

_INDEXED = 256  # colours that an indexed ("P") picture can hold


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
        try:
            image = _identify(file, name)
            width, height = image.size
            small = max_pixels is None or width * height <= max_pixels
            if small:
                _lift_limit_of_tiff(image)
                image.load()
        except MemoryError:
            raise
        except Image.DecompressionBombError as error:  # WebP and GIF look for themselves
            raise ValueError(
                f"{name}: {one_line(error)} Pillow's own PIL.Image.MAX_IMAGE_PIXELS raises that."
            ) from error
        except Exception as error:  # on broken files Pillow's plugins raise almost anything
            raise OSError(f"{name}: {one_line(error)}") from error
        if not small:
            raise ValueError(
                f"{name}: {width} x {height} pixels are more than max_pixels={max_pixels}; "
                "allow more, or None for no limit"
            )
        # A broken EXIF block is no reason to refuse a sound picture.
        with contextlib.suppress(Exception):
            ImageOps.exif_transpose(image, in_place=True)
    try:
        return to_array(image), _carried(image)
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
    if image.mode == "F":
        raise ValueError(
            "image of mode 'F' holds floating-point values, not colours; "
            "convert it to 'L', or cluster numpy.asarray(image).reshape(-1, 1)"
        )
    if image.mode.startswith("I"):
        return _to_uint16(image)
    if image.has_transparency_data:
        mode = "RGBA"
    else:
        mode = "L" if image.mode in ("1", "L") else "RGB"
    if image.mode == "La":  # Pillow knows no direct way
        image = image.convert("LA")
    if image.mode == "CMYK" and "icc_profile" in image.info:
        image = _to_srgb(image)
    if image.mode != mode:
        image = image.convert(mode)
    return np.asarray(image).reshape(height, width, -1)


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


def quantize(
    image: NDArray[Any] | Image.Image,
    n_colors: int,
    *,
    dither: bool = False,
    init: Any = "k-means++",
    max_iter: int = 300,
    random_state: Any = 0,
    n_threads: int | None = None,
) -> Image.Image:
    """
    Reduce a picture to its best `n_colors` colours.

    Parameters
    ----------
    image : (h, w, c) array or PIL.Image.Image
        uint8 with 1, 3 or 4 channels, or uint16 with 1 or 3.
    n_colors : int
        How many colours to use; a picture with fewer colours keeps those it has. Fully transparent
        pixels take no part in the fit and stay so. They take one entry of an indexed picture for
        themselves, so that 256 colours are then 255 visible ones.
    dither : bool, default False
        Floyd-Steinberg dithering, for at most 256 colours. Translucent pixels are not dithered.
    init, max_iter, random_state, n_threads
        As in `fit`.

    Returns
    -------
    PIL.Image.Image
        Up to 256 entries: a "P" image whose palette is exactly the fitted colours, rounded to
        8 bits, then the transparent entry if there is one. More: "RGB", "RGBA", or "I;16" for
        16-bit grey. The colour profile and resolution of a Pillow image are kept in its `info`.

    Raises
    ------
    TypeError, ValueError
        `image` is not a picture, or an option is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((4, 4, 3), np.uint8)
    >>> image[2:] = 255, 128, 0
    >>> sorted(color for count, color in quantize(image, 2).convert("RGB").getcolors())
    [(0, 0, 0), (255, 128, 0)]
    """
    n_colors = check_integer("n_colors", n_colors, 1)
    if dither and n_colors > _INDEXED:
        raise ValueError(f"n_colors={n_colors} is too many to dither; ask for {_INDEXED} or fewer")
    pixels = _as_picture(image)
    colors = VisibleColors()
    colors.add(pixels, n_threads=n_threads)
    result = colors.fit(
        n_colors, init=init, max_iter=max_iter, random_state=random_state, n_threads=n_threads
    )
    painted = paint(pixels, result, dither=dither, n_threads=n_threads)
    if isinstance(image, Image.Image):
        painted.info.update(_carried(image))
    return painted


def _carried(image: Image.Image) -> dict[str, Any]:
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


def _as_picture(image: NDArray[Any] | Image.Image) -> NDArray[Any]:
    """Check what `quantize` is given, and convert it to an array."""
    if isinstance(image, Image.Image):
        return to_array(image)
    pixels = np.asarray(image)
    channels = {"uint8": (1, 3, 4), "uint16": (1, 3)}.get(pixels.dtype.name, ())
    if pixels.ndim != 3 or pixels.shape[2] not in channels or pixels.size == 0:
        raise ValueError(
            f"image has shape {pixels.shape} and dtype {pixels.dtype}; give (h, w, c) pixels, "
            "uint8 with 1, 3 or 4 channels or uint16 with 1 or 3, or a PIL image"
        )
    return pixels


class VisibleColors:
    """The colours of all pixels that can be seen, of one picture or of many that share a palette.

    Pictures are of one number of channels, or some of 3 and some of 4.
    """

    def __init__(self) -> None:
        self.histograms: dict[int, ColorHistogram] = {}
        self.transparent = False  # are there any pixels that cannot be seen?

    def add(self, pixels: NDArray[Any], *, n_threads: int | None = None) -> None:
        """Count the pixels of a picture, opaque ones by three channels, as is faster than four."""
        from . import ColorHistogram

        if pixels.shape[2] == 4:
            seen = pixels[..., 3] > 0
            if not seen.all():
                self.transparent = True
                # Four bytes as one number: picked out of 20 megapixels in 13 ms, not 240.
                whole = np.ascontiguousarray(pixels).view(np.uint32)[..., 0]
                pixels = whole[seen].view(np.uint8).reshape(1, -1, 4)
            if pixels.size == 0:
                return
            if (pixels[..., 3] == 255).all():
                pixels = pixels[..., :3]
        histogram = self.histograms.setdefault(pixels.shape[2], ColorHistogram())
        histogram.update(pixels, n_threads=n_threads)

    def fit(self, n_colors: int, **options: Any) -> KMeansResult | None:
        """Fit no more colours than there are, and leave room for a transparent entry.

        None: there is nothing to be seen.
        """
        from . import ColorHistogram, fit

        if self.transparent and n_colors == _INDEXED:
            n_colors -= 1
        if not self.histograms:
            return None
        if len(self.histograms) == 1:
            (histogram,) = self.histograms.values()
            return fit(histogram, min(n_colors, histogram.n_colors), **options)
        both = self.histograms.values()
        colors = np.concatenate([with_channels(part.colors[np.newaxis], 4)[0] for part in both])
        counts = np.concatenate([part.counts for part in both])
        n_colors = min(n_colors, ColorHistogram(colors).n_colors)
        return fit(colors, n_colors, sample_weight=counts, **options)


def palette_rgba(result: KMeansResult | None, dtype: np.dtype[Any]) -> NDArray[np.uint8]:
    """Round the centroids of pixels of `dtype` to (k, 4) RGBA colours of 8 bits."""
    from .result import as_palette

    if result is None:
        return np.zeros((0, 4), np.uint8)
    colors: NDArray[np.uint8] = with_channels(as_palette(dtype, result.centroids)[np.newaxis], 4)[0]
    return colors


def paint(
    pixels: NDArray[Any],
    result: KMeansResult | None,
    *,
    dither: bool = False,
    n_threads: int | None = None,
) -> Image.Image:
    """Paint every visible pixel with its colour of `result` (None: there is no such pixel).

    The modes are those of `quantize`.
    """
    colors = palette_rgba(result, pixels.dtype)
    transparent = np.zeros((1, 4), np.uint8)
    if result is None:
        return _indexed(np.zeros(pixels.shape[:2], np.uint8), transparent)
    matching = with_channels(pixels, result.centroids.shape[1])
    labels = result.predict(matching, n_threads=n_threads)
    if dither:
        labels = _dithered(pixels, labels, colors)
    if pixels.shape[2] == 4 and (hidden := pixels[..., 3] == 0).any():
        labels = np.where(hidden, np.array(len(colors), np.min_scalar_type(len(colors))), labels)
        colors = np.concatenate([colors, transparent])
    if len(colors) <= _INDEXED:
        return _indexed(labels.astype(np.uint8, copy=False), colors)
    if pixels.dtype == np.uint16 and pixels.shape[2] == 1:
        colors = np.rint(result.centroids[:, 0]).astype(np.uint16)
    elif (colors[:, 3] == 255).all():
        colors = colors[:, :3]
    return Image.fromarray(np.take(colors, labels, axis=0))


def _indexed(labels: NDArray[np.uint8], colors: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(labels)
    image.putpalette(colors[:, :3].tobytes())
    alpha = colors[:, 3]
    if (alpha[:-1] == 255).all() and alpha[-1] == 0:
        image.info["transparency"] = len(alpha) - 1  # the one form that GIF knows too
    elif (alpha < 255).any():
        image.info["transparency"] = alpha.tobytes()
    return image


def with_channels(pixels: NDArray[Any], channels: int) -> NDArray[Any]:
    """Bring pixels to the channels of a palette: grey to RGB, opaque to RGBA, or without alpha."""
    if pixels.shape[2] == 1 and channels > 1:
        pixels = np.repeat(pixels, 3, axis=2)
    if pixels.shape[2] == 3 and channels == 4:
        pixels = np.insert(pixels, 3, 255, axis=2)
    return pixels[..., :channels]


def _dithered(
    pixels: NDArray[Any], labels: NDArray[Any], colors: NDArray[np.uint8]
) -> NDArray[Any]:
    """Label the opaque pixels anew by Pillow's dithering, over the colours that they had before."""
    rgb = with_channels(to_uint8(pixels), 3)
    opaque = pixels[..., 3] == 255 if pixels.shape[2] == 4 else np.ones(labels.shape, bool)
    used = np.unique(labels[opaque])
    if len(used) == 0:
        return labels
    if not opaque.all():  # the others are given a colour that adds no error to pass on
        rgb = np.where(opaque[..., np.newaxis], rgb, colors[used[0], :3])
    palette = Image.new("P", (1, 1))
    palette.putpalette(colors[used, :3].tobytes())
    floyd_steinberg = Image.Dither.FLOYDSTEINBERG
    dithered = Image.fromarray(rgb).quantize(palette=palette, dither=floyd_steinberg)
    return np.where(opaque, used[np.asarray(dithered)], labels)


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
    if n_colors > _INDEXED and _SUFFIXES[suffix] == "GIF":
        raise ValueError(f"{name}: {suffix} holds {_INDEXED} colours at most; write .png instead")
    folder = os.path.dirname(os.path.realpath(name))
    if os.path.isdir(name):
        raise IsADirectoryError(f"{name}: is a folder; give the name of a file")
    if not os.path.isdir(folder):
        raise FileNotFoundError(f"{name}: there is no folder {folder}; make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{name}: the folder {folder} is not writable; choose another")
    return _SUFFIXES[suffix]


def save_image(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """
    Write what `quantize` returns to a file, whole or not at all.

    The picture goes to a temporary file beside the target, which then takes the target's name. A
    format without palettes is given the same colours in full; WebP is lossless. The colour profile
    and resolution in `image.info` are kept where the format can.

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
    if mode != image.mode:
        image = image.convert(mode)
    options = _OPTIONS.get(format_name, {}) | {
        key: image.info[key] for key in ("icc_profile", "dpi") if key in image.info
    }
    target = os.path.realpath(name)  # through a link, as an ordinary open would write
    temporary = os.path.join(os.path.dirname(target), f".kmeans-fast-{secrets.token_hex(8)}.tmp")
    try:
        # An ordinary open, not tempfile, so that the umask gives the permissions.
        with open(temporary, "xb") as file:
            image.save(file, format_name, **options)
        os.replace(temporary, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.remove(temporary)
        if isinstance(error, MemoryError) or not isinstance(error, Exception):
            raise
        raise OSError(f"{name}: cannot be written: {one_line(error)}") from error

"""Which picture a file holds, and how large it is, before anything of it is decoded."""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from PIL import IcnsImagePlugin, Image

from . import tiff

Source = str | os.PathLike[str] | IO[bytes]

# To draw an EPS Pillow starts Ghostscript, and a WMF Windows; the others hold data of any size,
# whatever their header says.
REFUSED = ("EPS", "WMF", "BLP", "FITS", "FPX", "IPTC", "MIC")
MOST_ICONS = 256
# What Pillow says of a TIFF whose samples it does not know.
_UNREAD = ("unknown pixel mode", "Invalid value for samples per pixel")
PNG = b"\x89PNG\r\n\x1a\n"


class UnreadKind(ValueError):
    """A sound picture of a kind that Pillow does not read."""


def one_line(error: BaseException) -> str:
    """Return the message of an error in one line."""
    return " ".join(str(error).split()) or type(error).__name__


@contextlib.contextmanager
def naming(name: str) -> Iterator[None]:
    """Make an OSError of what Pillow raises, with the name of the file."""
    try:
        yield
    except MemoryError:
        raise
    except UnreadKind as error:
        raise ValueError(f"{name}: {error}") from error
    except Image.DecompressionBombError as error:  # some formats look for themselves
        raise ValueError(
            f"{name}: {one_line(error)} Pillow's own PIL.Image.MAX_IMAGE_PIXELS raises that."
        ) from error
    except Exception as error:  # on broken files Pillow's plugins raise almost anything
        raise OSError(f"{name}: {one_line(error)}") from error


class PictureFile(io.BufferedReader):
    """A file that sets no memory aside for more bytes than it has, as a header may ask for."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(io.FileIO(path))
        self._size = os.fstat(self.fileno()).st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """Read so many bytes, or all that are left."""
        return super().read(-1 if size is None or size > self._size else size)


def open_file(source: Any) -> tuple[IO[bytes], str]:
    """Return a file to read from, and what to call it; one that is given is read, and stays open.

    From its beginning, if it has one, as Pillow would.
    """
    if not hasattr(source, "read"):
        name = os.fsdecode(source)
        return PictureFile(source), name
    with contextlib.suppress(AttributeError, OSError):  # of a stream
        source.seek(0)
    data = source.read()
    if isinstance(data, str):
        raise TypeError("path is a file of text; open it with mode 'rb'")
    given = getattr(source, "name", None)
    return io.BytesIO(data), given if isinstance(given, str) else type(source).__name__


def identify_within(file: IO[bytes], name: str, max_pixels: int | None) -> Image.Image:
    """Return a picture of which only the header has been read, of at most so many pixels."""

    def hold_to_limit(*sizes: tuple[int, int]) -> None:
        for width, height in sizes:
            if max_pixels is not None and width * height > max_pixels:
                raise ValueError(
                    f"{name}: {width} x {height} pixels are more than max_pixels={max_pixels}; "
                    "allow more, or None for no limit"
                )

    with naming(name):
        within = _sizes_in_icon(file)
    hold_to_limit(*within)
    with naming(name):
        # With a name, Pillow would map that file.
        image = identify(file, name if isinstance(file, PictureFile) else "")
        tags = getattr(image, "tag_v2", {})  # of a TIFF: a tile of it is decoded whole
        tile = int(tags.get(322, 1)), int(tags.get(323, 1))
    hold_to_limit(image.size, tile)
    return image


def identify(file: IO[bytes], name: str) -> Image.Image:
    """`Image.open` without its pixel limit.

    That limit is one for the whole process and cannot be raised for one call, nor can its warning
    be held back in a thread; so Pillow's plugins are asked here, in its order and by its rules.
    """
    file.seek(0)
    prefix = file.read(16)
    if prefix[:4] in tiff.MAGIC:
        tiff.hold_to_size(file)
    reason = "not a picture in a format that Pillow reads"
    asked: set[str] = set(REFUSED)
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
            except (SyntaxError, IndexError, TypeError, struct.error) as error:
                if accept:
                    reason = f"{reason} ({one_line(error)})"
    if any(said in reason for said in _UNREAD):
        raise UnreadKind(
            f"a TIFF of a kind that Pillow does not read{reason[reason.index(' (') :]}; read it "
            "with tifffile or rasterio, and give fit the array"
        )
    for key in REFUSED:
        accept = Image.OPEN[key][1] if key in Image.OPEN else None
        if accept and accept(prefix):
            reason = f"{key} is not read, since its header does not say what will be done; use PNG"
    raise OSError(reason)


def lift_limit_of_tiff(image: Image.Image) -> None:
    """Give a TIFF its memory here: Pillow checks its own limit once more where it would do so."""
    size = getattr(image, "_tile_size", image.size)
    if image.format == "TIFF" and size[0] * size[1] > (Image.MAX_IMAGE_PIXELS or np.inf):
        image.im = Image.new(image.mode, size).im


def _sizes_in_icon(file: IO[bytes]) -> list[tuple[int, int]]:
    """Return the sizes of the pictures within a .ico or .icns file.

    Pillow decodes one of them, and that of a .ico file as it opens it; what the directory says of
    its size is not asked.
    """
    file.seek(0)
    head = file.read(6)
    if head[:4] == b"\0\0\1\0":
        kinds = ("PNG", "DIB")
        entries = file.read(16 * int.from_bytes(head[4:6], "little"))
        places = [place for (place,) in struct.iter_unpack("<12xL", entries)]
    elif head[:4] == b"icns":
        kinds = ("PNG", "JPEG2000")
        file.seek(0)
        places = [place for place, _ in IcnsImagePlugin.IcnsFile(file).dct.values()]
    else:
        return []
    if len(places) > MOST_ICONS:
        raise OSError(f"an icon of {len(places)} pictures")
    Image.init()
    sizes = []
    for place in places:
        file.seek(place)
        is_png = file.read(8) == PNG
        file.seek(place)
        with contextlib.suppress(Exception):  # Pillow will find the same
            width, height = Image.OPEN[kinds[not is_png]][0](file, "").size
            sizes.append((width, height if is_png else height // (1 + (kinds[1] == "DIB"))))
    return sizes

"""TIFF files larger than memory: read some strips or tiles at a time, written in place.

tifffile says where the strips and tiles (the blocks) are, and decodes them; Pillow says from the
header what their samples mean, and makes pixels of them.
"""

from __future__ import annotations

import contextlib
import io
import logging
import struct
from collections.abc import Iterable, Iterator
from importlib import import_module
from types import ModuleType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, JpegImagePlugin

Array = NDArray[Any]
Box = tuple[int, int, int, int]  # first row, last row, first column, last column

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
WHITE_IS_ZERO, YCBCR = 0, 6  # what samples mean
# By these no block becomes larger than it should be: none, LZW, two of deflate, PackBits, LZMA,
# Zstandard; and JPEG, whose header is looked at first.
JPEG = 7
_COMPRESSIONS = (1, 5, 8, 32946, 32773, 34925, 50000, JPEG)
_MODES = ("L", "LA", "P", "PA", "RGB", "RGBX", "RGBA", "CMYK", "LAB", "I;16", "I;16B")
# How the number of a directory's entries, an entry, and the place of the next directory are laid
# out, and the bytes of each type of value.
_FORMS, _BIG_FORMS = ("H", "HHL4s", "L"), ("Q", "HHQ8s", "Q")
_BYTES = dict(enumerate((0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)))
_SUBFILE, _SMALLER_OR_MASK = 254, 0b101  # a tag, and what is no page of its own
MOST_PAGES = 2**20  # more, of six bytes each, would take minutes to count
CLASSIC_BYTES = 2**32 - 2**25  # offsets of a classic TIFF have 32 bits
_UNHEARD = logging.NullHandler()


def load_tifffile() -> ModuleType:
    """Return tifffile; what it logs is told by an error, if it matters."""
    try:
        import_module("imagecodecs")  # by which it decodes
        import tifffile
    except ImportError:
        raise ImportError(
            "a large TIFF is written with tifffile: pip install 'kmeans_fast[tiff]'"
        ) from None
    logging.getLogger("tifffile").addHandler(_UNHEARD)
    return tifffile


class Tiff:
    """The first picture of a TIFF, whose blocks lie within the file.

    Attributes
    ----------
    height, width : int
        Before it is turned.
    block : tuple of int
        The rows and columns that are decoded at once at least.
    header : Image
        What Pillow found in the header.
    orientation : int
        How the picture is to be turned, 1 to 8.
    """

    def __init__(self, page: Any, image: Image.Image) -> None:
        self._page = page
        self.header: Image.Image = image
        self.orientation: int = page.tags.valueof(274)
        self._options = {}
        if page.compression == JPEG:
            self._options = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
        self.height: int = page.imagelength
        self.width: int = page.imagewidth
        self.block: tuple[int, int]
        if page.is_final:  # rows lie one behind the other, whatever the blocks
            self.block = 1, self.width
        elif page.is_tiled:
            self.block = page.tilelength, page.tilewidth
        else:
            self.block = page.rowsperstrip, self.width

    def boxes(self, n_pixels: int) -> list[Box]:
        """Return boxes of whole blocks, about so many pixels each, that cover the picture."""
        return cut((self.height, self.width), self.block, n_pixels)

    def read(self, file: IO[bytes], box: Box) -> Image.Image:
        """Return a box as a picture of its own."""
        page, (top, bottom, left, right) = self._page, box
        shape = bottom - top, right - left, page.samplesperpixel
        if page.is_final:
            dtype = page.dtype.newbyteorder(page.parent.byteorder)
            row_bytes = self.width * shape[2] * dtype.itemsize
            data = _read(file, page.dataoffsets[0] + top * row_bytes, shape[0] * row_bytes)
            return self._as_image(np.frombuffer(data, dtype).reshape(shape))
        pixels, (height, width) = np.empty(shape, page.dtype), self.block
        n_across = -(-self.width // width)
        for row in range(top, bottom, height):
            for column in range(left, right, width):
                at = row // height * n_across + column // width
                data = _read(file, page.dataoffsets[at], page.databytecounts[at])
                if page.compression == JPEG:
                    with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as jpeg:
                        if jpeg.size[0] > width or jpeg.size[1] > height:
                            raise OSError(f"a JPEG of {jpeg.size} in a block of {width, height}")
                room = pixels[row - top :, column - left :][:height, :width]
                block = page.decode(data, at, **self._options)[0][0]
                room[...] = block[: room.shape[0], : room.shape[1]]
        return self._as_image(pixels)

    def _as_image(self, pixels: Array) -> Image.Image:
        header: Any = self.header
        rawmode = mode = header.mode
        if mode.startswith("I;16"):
            mode = rawmode = "I;16"
            pixels = pixels.astype("<u2", copy=False)
        elif pixels.dtype.itemsize == 2:  # which Pillow, too, brings to 8 bits
            pixels = (pixels >> 8).astype(np.uint8)
        if "RGBa" in str(header.tile):  # colours times alpha
            rawmode = "RGBa"
        if self._page.photometric == WHITE_IS_ZERO:
            pixels = ~pixels
        data = np.ascontiguousarray(pixels[..., : len(header.getbands())])
        image = Image.frombytes(mode, data.shape[1::-1], data.tobytes(), "raw", rawmode)
        image.info = dict(header.info)
        if header.palette:
            image.palette = header.palette.copy()  # Pillow changes it as it loads it
        return image


def read_tiff(file: IO[bytes], image: Image.Image) -> Tiff | None:
    """Return a TIFF, whose blocks lie within the file; None: such a kind is only read whole.

    `image` is what Pillow found in its header. Of a broken file tifffile raises almost anything.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    with load_tifffile().TiffFile(file) as opened:
        page = opened.pages.first
        height, width = page.imagelength, page.imagewidth
        known = (
            image.mode in _MODES
            and image.size in ((width, height), (height, width))  # else it is said twice
            and page.planarconfig == 1
            and page.imagedepth == page.tiledepth == 1
            and page.dtype in (np.uint8, np.uint16)
            and page.samplesperpixel >= len(image.getbands())
            and page.compression in _COMPRESSIONS
            and (page.photometric != YCBCR or page.compression == JPEG)
            and (
                page.compression != JPEG or (page.dtype == np.uint8 and image.mode in ("L", "RGB"))
            )
        )
        if not known:
            return None
        offsets, sizes = (
            np.array(numbers, np.int64) for numbers in (page.dataoffsets, page.databytecounts)
        )
        n_blocks = int(np.prod(page.chunked))
        what = "tiles" if page.is_tiled else "strips"
        if not offsets.size == sizes.size == n_blocks:
            raise OSError(
                f"lists {offsets.size} offsets and {sizes.size} sizes of {what}; "
                f"there are {n_blocks}"
            )
        if offsets.min() < 8 or sizes.min() < 1 or (offsets + sizes).max() > size:
            raise OSError(f"is truncated: some {what} lie outside its {size} bytes")
        if int(sizes.sum()) > size:
            raise OSError(f"has {what} that lie over each other")
        if page.is_final and int(sizes.sum()) < page.nbytes:
            raise OSError(f"is truncated: some {what} are shorter than their rows")
        page.decode  # noqa: B018  # made once, and not by several threads
        return Tiff(page, image)


def cut(shape: tuple[int, int], block: tuple[int, int], n_pixels: int) -> list[Box]:
    """Return boxes of whole blocks, about so many pixels each, that cover a picture."""
    height, width = block
    across = max(1, n_pixels // (height * width))
    down = max(1, n_pixels // (height * min(shape[1], across * width)))
    height, width = down * height, across * width
    return [
        (row, min(row + height, shape[0]), column, min(column + width, shape[1]))
        for row in range(0, shape[0], height)
        for column in range(0, shape[1], width)
    ]


def count_pages(file: IO[bytes]) -> int:
    """Return how many pictures a TIFF holds; smaller copies and masks of another are none.

    Not by tifffile, which follows a circle of more than 100 pages until memory is out, nor by
    Pillow, which reads all that each of them lists.
    """
    pages = 0
    with contextlib.suppress(
        OSError, ArithmeticError, LookupError, struct.error
    ):  # a broken one is none
        for form, _, at in _directories(file):
            # Entries are in order, and no tag is lower. The first is what is read, whatever it is.
            tag, kind, _, value = struct.unpack(form, _read(file, at, struct.calcsize(form)))
            low = 0 if form[0] == "<" else _BYTES.get(kind, 1) - 1
            pages += not (pages and tag == _SUBFILE and value[low] & _SMALLER_OR_MASK)
    return pages


def hold_to_size(file: IO[bytes]) -> None:
    """Refuse a TIFF whose first directory lists values that lie over each other.

    Pillow and tifffile read most of them at once: of a file of 4 MB some took 500.
    """
    size, claimed = file.seek(0, io.SEEK_END), 0
    with contextlib.suppress(OSError, OverflowError, struct.error):  # they will find the same
        form, n, at = next(_directories(file))
        table = _read(file, at, min(n * struct.calcsize(form), size))
        listed = (
            count * _BYTES.get(kind, 0) for _, kind, count, _ in struct.iter_unpack(form, table)
        )
        claimed = sum(values for values in listed if values <= size)
    if claimed > size:
        raise OSError("is broken: values that lie over each other")


def tags_of(file: IO[bytes]) -> dict[int, int]:
    """Return the tags of the first directory of a TIFF; the value of those of one short number."""
    tags: dict[int, int] = {}
    with contextlib.suppress(OSError, OverflowError, struct.error):  # a broken one has fewer
        form, n, at = next(_directories(file))
        size = struct.calcsize(form)
        for entry in range(min(n, MOST_PAGES)):
            tag, kind, count, value = struct.unpack(form, _read(file, at + entry * size, size))
            is_short = kind == 3 and count == 1
            tags[tag] = struct.unpack(form[0] + "H", value[:2])[0] if is_short else 0
    return tags


def _directories(file: IO[bytes]) -> Iterator[tuple[str, int, int]]:
    """Yield of each directory the form of its entries, how many they are, and where."""
    head = _read(file, 0, 8)
    order, big = "<" if head[:2] == b"II" else ">", b"+" in head[2:4]
    count, form, link = (order + code for code in (_BIG_FORMS if big else _FORMS))
    seen: set[int] = set()
    (at,) = struct.unpack(link, _read(file, 8, 8) if big else head[4:])
    while at and at not in seen and len(seen) < MOST_PAGES:
        seen.add(at)
        (n,) = struct.unpack(count, _read(file, at, struct.calcsize(count)))
        start = at + struct.calcsize(count)
        end = start + n * struct.calcsize(form)
        (at,) = struct.unpack(link, _read(file, end, struct.calcsize(link)))
        yield form, n, start


def _read(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise OSError("is truncated")
    return data


def write_tiff(
    file: IO[bytes],
    shape: tuple[int, int],
    parts: Iterable[tuple[tuple[slice, slice], Image.Image]],
    info: dict[str, Any],
) -> None:
    """Write the parts of a picture as they come, each to its place, into an uncompressed TIFF.

    Parameters
    ----------
    file : binary file
        Can be sought in.
    shape : tuple of int
        (h, w) of the whole.
    parts : iterable of (rows, columns) and Image
        All of one mode, "P", "RGB", "RGBA" or "I;16", and of one palette.
    info : dict
        The profile and resolution, as `carried_info` has them.
    """
    start = 0
    for (rows, columns), part in parts:
        pixels = np.asarray(part)
        start = start or _begin(file, (*shape, *pixels.shape[2:]), part, info)
        for row, data in zip(range(rows.start, rows.stop), pixels, strict=True):
            file.seek(start + (row * shape[1] + columns.start) * data[0].nbytes)
            file.write(data.tobytes())


def _begin(file: IO[bytes], shape: tuple[int, ...], part: Image.Image, info: dict[str, Any]) -> int:
    """Write all but the pixels, and return where they begin. Beyond 4 GB it is a BigTIFF."""
    dtype = np.dtype("<u2" if part.mode == "I;16" else np.uint8)
    row_bytes = int(np.prod(shape[1:])) * dtype.itemsize
    more: dict[str, Any] = {}
    if part.mode == "P":
        palette = np.reshape(part.getpalette() or [], (-1, 3))
        more["colormap"] = colors = np.zeros((3, 256), np.uint16)
        colors[:, : len(palette)] = 257 * palette.T
    if part.mode == "RGBA":
        more["extrasamples"] = ["unassalpha"]
    if "dpi" in info:
        more |= {"resolution": info["dpi"], "resolutionunit": "INCH"}
    big = shape[0] * row_bytes > CLASSIC_BYTES
    with load_tifffile().TiffWriter(file, bigtiff=big, byteorder="<") as writer:
        start, _ = writer.write(
            shape=shape,
            dtype=dtype,
            photometric={"P": "palette", "I;16": "minisblack"}.get(part.mode, "rgb"),
            rowsperstrip=max(1, 2**20 // row_bytes),  # a megabyte, for those who read
            iccprofile=info.get("icc_profile"),
            metadata=None,
            software=False,
            returnoffset=True,
            **more,
        )
    return int(start)

"""TIFF files larger than memory: read some strips or tiles at a time, written in place.

tifffile says where the strips and tiles (the blocks) are. A few of them are wrapped in a small TIFF
of the same kind in memory, which Pillow then decodes: every compression that it knows.
"""

from __future__ import annotations

import contextlib
import io
import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import ImageFileDirectory_v2

Array = NDArray[Any]
Entry = tuple[int, int, bytes]  # type, number of values, and they as they stand in the file
Box = tuple[int, int, int, int]  # first row, last row, first column, last column

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, CHANNELS, STRIP_ROWS, STRIP_BYTES = 273, 274, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT = 282, 283, 284, 296
COLOR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 320, 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT, PROFILE = 338, 339, 34675
_RESOLUTION = (X_RESOLUTION, Y_RESOLUTION)
# What a block is decoded by: besides the above fill order, predictor, fax options, JPEG tables, and
# how YCbCr, inks and all colours are meant.
_DECODING = {
    BITS, COMPRESSION, PHOTOMETRIC, CHANNELS, PLANAR, COLOR_MAP, EXTRA_SAMPLES, SAMPLE_FORMAT,
    266, 292, 293, 317, 332, 347, 529, 530, 532, PROFILE,
}  # fmt: skip
# How the number of a directory's entries, an entry, and the place of the next directory are laid
# out, and the bytes of each type of value.
_FORMS, _BIG_FORMS = ("H", "HHL4s", "L"), ("Q", "HHQ8s", "Q")
_BYTES = dict(enumerate((0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4, 0, 0, 8, 8, 8)))
_LONG, _RATIONAL = 4, 5
_INTEGERS = {3: "u2", _LONG: "u4", 16: "u8"}
RAW, OLD_JPEG, WHITE_IS_ZERO, YCBCR, SEPARATE = 1, 6, 0, 6, 2
SUBFILE, SMALLER_OR_MASK = 254, 0b101  # a tag, and what is no page of its own
MOST_PAGES = 2**20  # more, of six bytes each, would take minutes to count
CLASSIC_BYTES = 2**32 - 2**25  # offsets of a classic TIFF have 32 bits
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UNHEARD = logging.NullHandler()


def load_tifffile() -> ModuleType:
    """Return tifffile; what it logs is told by an error, if it matters."""
    try:
        import tifffile
    except ImportError:
        raise ImportError(
            "a large TIFF is written with tifffile: pip install 'kmeans_fast[tiff]'"
        ) from None
    logging.getLogger("tifffile").addHandler(_UNHEARD)
    return tifffile


@dataclass(frozen=True)
class Tiff:
    """The first picture of a TIFF: where its blocks are, and what they are decoded by.

    Attributes
    ----------
    order : str
        "<" or ">": the byte order.
    entries : dict
        Those of the directory that blocks are decoded by.
    height, width, block_height, block_width : int
    tiled : bool
        The blocks are tiles, and not strips.
    offsets, sizes : ndarray of int64
        Of the blocks, row by row.
    orientation : int
        How the picture is to be turned, 1 to 8.
    resolution : tuple of int, or None
        Across and down, each a fraction, and the unit.
    """

    order: str
    entries: dict[int, Entry]
    height: int
    width: int
    block_height: int
    block_width: int
    tiled: bool
    offsets: Array
    sizes: Array
    orientation: int = 1
    resolution: tuple[tuple[int, int], tuple[int, int], int] | None = None

    @property
    def block_pixels(self) -> int:
        """The pixels that are decoded at once at least."""
        return self.block_height * self.block_width

    def boxes(self, n_pixels: int) -> list[Box]:
        """Return boxes of whole blocks, about so many pixels each, that cover the picture."""
        height, width = self.block_height, self.block_width
        across = max(1, n_pixels // (height * width))
        down = max(1, n_pixels // (height * min(self.width, across * width)))
        height, width = down * height, across * width
        return [
            (row, min(row + height, self.height), column, min(column + width, self.width))
            for row in range(0, self.height, height)
            for column in range(0, self.width, width)
        ]

    def cut_out(self, file: IO[bytes], box: Box) -> bytes:
        """Return a box as a TIFF of its own."""
        top, bottom, left, right = box
        n_across = -(-self.width // self.block_width)
        blocks = [
            _read(file, self.offsets[at], self.sizes[at])
            for row in range(top // self.block_height, -(-bottom // self.block_height))
            for at in range(
                row * n_across + left // self.block_width,
                row * n_across + -(-right // self.block_width),
            )
        ]
        sizes = [len(block) for block in blocks]
        *places, end = 8 + np.cumsum([0, *sizes])
        numbers = {HEIGHT: [bottom - top], WIDTH: [right - left]}
        if self.tiled:
            numbers |= {TILE_HEIGHT: [self.block_height], TILE_WIDTH: [self.block_width]}
            numbers |= {TILE_OFFSETS: places, TILE_BYTES: sizes}
        else:
            numbers[STRIP_ROWS] = [self.block_height]
            numbers |= {STRIP_OFFSETS: places, STRIP_BYTES: sizes}
        entries = {
            tag: (_LONG, len(found), np.array(found, f"{self.order}u4").tobytes())
            for tag, found in numbers.items()
        }
        entries |= self.entries
        table, values = struct.pack(f"{self.order}H", len(entries)), b""
        for tag, (kind, count, data) in sorted(entries.items()):
            if len(data) > 4:
                behind = int(end) + 6 + 12 * len(entries) + len(values)
                data, values = struct.pack(f"{self.order}L", behind), values + data
            table += struct.pack(f"{self.order}HHL4s", tag, kind, count, data)
        mark = b"II" if self.order == "<" else b"MM"
        head = struct.pack(f"{self.order}2sHL", mark, 42, end)
        return b"".join([head, *blocks, table, bytes(4), values])


def read_tiff(file: IO[bytes], n_pixels: int, tifffile: ModuleType) -> Tiff | None:
    """Return where the blocks of a TIFF are, checked against the size of the file.

    One strip that is not compressed is cut into strips of about so many pixels.

    Returns
    -------
    Tiff or None
        None: it is sound, as far as can be seen, but can only be read whole.

    Raises
    ------
    OSError
        The file is truncated, or lies about its blocks; of a broken one tifffile raises others.
    """
    size = _hold_to_size(file)
    file.seek(0)
    try:
        with tifffile.TiffFile(file) as opened:
            return _checked(opened.byteorder, list(opened.pages.first.tags), size, n_pixels)
    except OSError:
        raise
    except Exception as error:  # of a broken file tifffile raises almost anything
        raise OSError(f"a broken TIFF picture ({error})") from error


def _checked(order: str, found: list[Any], size: int, n_pixels: int) -> Tiff | None:
    """Do so, of the tags that tifffile has found in a file of so many bytes."""
    tags = {tag.code: tag for tag in found}
    tiled = TILE_WIDTH in tags
    blocks = _tags_of_blocks(tiled)

    def one(tag: int, default: int = 0) -> int:
        return int(np.ravel(tags[tag].value)[0]) if tag in tags else default

    if len(tags) < len(found) or not {WIDTH, HEIGHT, *blocks} <= tags.keys():
        return None  # said twice, in two ways perhaps, or not at all
    height, width = one(HEIGHT), one(WIDTH)
    block_height = one(TILE_HEIGHT) if tiled else min(one(STRIP_ROWS, height), height)
    block_width = one(TILE_WIDTH) if tiled else width
    if min(height, width, block_height, block_width) < 1:
        raise OSError(f"{height} x {width} pixels in blocks of {block_height} x {block_width}")
    if one(PLANAR, 1) == SEPARATE or one(COMPRESSION, RAW) == OLD_JPEG:
        return None
    offsets, sizes = (np.array(tags[tag].value, np.int64, ndmin=1) for tag in blocks)
    n_blocks = -(-height // block_height) * -(-width // block_width)
    what = "tiles" if tiled else "strips"
    if not offsets.size == sizes.size == n_blocks:
        raise OSError(
            f"lists {offsets.size} offsets and {sizes.size} sizes of {what}; there are {n_blocks}"
        )
    if offsets.min() < 8 or sizes.min() < 1 or sizes.max() > size or (offsets + sizes).max() > size:
        raise OSError(f"is truncated: some {what} lie outside its {size} bytes")
    if int(sizes.sum()) > size:
        raise OSError(f"has {what} that lie over each other")
    if one(COMPRESSION, RAW) == RAW and one(PHOTOMETRIC, 1) != YCBCR and not tiled:
        bits = np.ravel(tags[BITS].value if BITS in tags else 1)
        of_pixel = int(bits[0]) * one(CHANNELS, 1) if bits.size == 1 else int(bits.sum())
        row_bytes = (width * of_pixel + 7) // 8
        last = height - (n_blocks - 1) * block_height
        if block_height * row_bytes > sizes[:-1].min(initial=size) or last * row_bytes > sizes[-1]:
            raise OSError(f"is truncated: some {what} are shorter than their rows")
        if n_blocks == 1:
            block_height = min(max(1, n_pixels // width), height)
            firsts = np.arange(0, height, block_height)
            offsets = offsets[0] + firsts * row_bytes
            sizes = np.minimum(block_height, height - firsts) * row_bytes
    entries = {
        tag: (int(tags[tag].dtype), tags[tag].count, tags[tag].astuple()[3])
        for tag in _DECODING & tags.keys()
    }
    found = [tags[tag].value for tag in _RESOLUTION if tag in tags and tags[tag].dtype == _RATIONAL]
    sound = (
        list(map(len, found)) == [2, 2]
        and min(map(min, found)) > 0
        and one(RESOLUTION_UNIT, 2) in (1, 2, 3)
    )
    resolution = (*found, one(RESOLUTION_UNIT, 2)) if sound else None
    return Tiff(
        order, entries, height, width, block_height, block_width, tiled, offsets, sizes,
        one(ORIENTATION, 1), resolution,
    )  # fmt: skip


def describe_samples(file: IO[bytes]) -> str | None:
    """Return in words what the samples of a TIFF are; None: it is broken.

    By Pillow's reader of directories, which reads those of pictures that it does not decode, too.
    """
    size = file.seek(0, io.SEEK_END)
    file.seek(0)
    head = file.read(16)
    with contextlib.suppress(Exception):
        directory = ImageFileDirectory_v2(head if b"+" in head[2:4] else head[:8])
        file.seek(directory.next)
        directory.load(file)
        offsets, sizes = (directory[tag] for tag in _tags_of_blocks(TILE_WIDTH in directory))
        if max(map(sum, zip(offsets, sizes, strict=True))) > size or not directory[WIDTH]:
            return None
        n, bits, form = (
            int(np.ravel(directory.get(tag, 1))[0]) for tag in (CHANNELS, BITS, SAMPLE_FORMAT)
        )
        kind = {3: "floats", 5: "complex integers", 6: "complex floats"}.get(form, "integers")
        return f"{n} channel{'s' * (n != 1)} of {bits}-bit {kind}"
    return None


def count_pages(file: IO[bytes]) -> int:
    """Return how many pictures a TIFF holds; smaller copies and masks of another are none."""
    pages = 0
    with contextlib.suppress(OSError, OverflowError):  # what is broken behind the first is no page
        for form, _, at in _directories(file):
            # Entries are in order, and no tag is lower. The first is what is read, whatever it is.
            tag, kind, _, value = struct.unpack(form, _read(file, at, struct.calcsize(form)))
            of_copy = tag == SUBFILE and kind in _INTEGERS
            flags = np.frombuffer(value, f"{form[0]}{_INTEGERS[kind]}", 1)[0] if of_copy else 0
            pages += not (pages and flags & SMALLER_OR_MASK)
    return pages


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


def _hold_to_size(file: IO[bytes]) -> int:
    """Return the size of a TIFF, if all that its first directory lists has room in it.

    tifffile reads most of that at once.
    """
    size = file.seek(0, io.SEEK_END)
    form, n, at = next(_directories(file), ("", 0, 0))
    if n * struct.calcsize(form) > size:
        raise OSError(f"is broken: a directory of {n} entries")
    table = struct.iter_unpack(form, _read(file, at, n * struct.calcsize(form))) if n else ()
    if sum(count * _BYTES.get(kind, 0) for _, kind, count, _ in table) > size:
        raise OSError("is broken: values that lie over each other, or outside")
    return size


def _tags_of_blocks(tiled: bool) -> tuple[int, int]:
    return (TILE_OFFSETS, TILE_BYTES) if tiled else (STRIP_OFFSETS, STRIP_BYTES)


def _read(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise OSError("is truncated")
    return data


# ---------------------------------------------------------------------------- writing


class TiffWriter:
    """An uncompressed TIFF, written a part at a time into a file that can be sought in.

    Beyond 4 GB it is a BigTIFF.

    Parameters
    ----------
    file : binary file
    shape : tuple of int
        (h, w).
    mode : {"P", "RGB", "RGBA", "I;16"}
    palette : ndarray of uint8, shape (k, 3)
        Of mode "P".
    source : Tiff, optional
        A picture whose resolution is kept.
    profile : bytes, optional
        The colour profile.
    """

    def __init__(
        self,
        file: IO[bytes],
        shape: tuple[int, int],
        mode: str,
        palette: Array,
        source: Tiff | None = None,
        profile: bytes | None = None,
    ) -> None:
        tifffile = load_tifffile()
        n_channels = {"RGB": 3, "RGBA": 4}.get(mode, 1)
        self._dtype = np.dtype("<u2" if mode == "I;16" else np.uint8)
        self._pixel_bytes = n_channels * self._dtype.itemsize
        self._row_bytes = shape[1] * self._pixel_bytes
        more: dict[str, Any] = {}
        if mode == "P":
            more["colormap"] = colors = np.zeros((3, 256), np.uint16)
            colors[:, : len(palette)] = 257 * palette.T.astype(np.uint16)
        if mode == "RGBA":
            more["extrasamples"] = ["unassalpha"]
        if source and source.resolution:
            more |= {"resolution": source.resolution[:2], "resolutionunit": source.resolution[2]}
        big = shape[0] * self._row_bytes > CLASSIC_BYTES
        with tifffile.TiffWriter(file, bigtiff=big, byteorder="<") as writer:
            self._start, _ = writer.write(
                shape=(*shape, n_channels) if n_channels > 1 else shape,
                dtype=self._dtype,
                photometric={"P": "palette", "I;16": "minisblack"}.get(mode, "rgb"),
                rowsperstrip=max(1, 2**20 // self._row_bytes),  # a megabyte, for those who read
                extratags=[(PROFILE, 7, len(profile), profile, True)] if profile else (),
                metadata=None,
                software=False,
                returnoffset=True,
                **more,
            )
        self._file = file

    def write(self, place: tuple[slice, slice], pixels: Array) -> None:
        """Write the pixels of a place: (h, w) or (h, w, c)."""
        rows, columns = place
        data = np.ascontiguousarray(pixels, self._dtype)
        at = self._start + rows.start * self._row_bytes + columns.start * self._pixel_bytes
        parts = [data] if data[0].nbytes == self._row_bytes else list(data)
        for part in parts:
            self._file.seek(at)
            self._file.write(part.data)
            at += self._row_bytes

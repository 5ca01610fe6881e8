"""TIFF files larger than memory: read some strips or tiles at a time, written in place.

Pillow decodes a compressed TIFF whole. So a few of its blocks (strips or tiles) are wrapped in a
small TIFF of the same kind in memory, which Pillow then decodes: every compression that it knows.
"""

from __future__ import annotations

import contextlib
import io
import struct
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Entry = tuple[int, bytes]  # type, and the values as they stand in the file
Box = tuple[int, int, int, int]  # first row, last row, first column, last column

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIP_OFFSETS, ORIENTATION, CHANNELS, STRIP_ROWS, STRIP_BYTES = 273, 274, 277, 278, 279
X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT = 282, 283, 284, 296
COLOR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES = 320, 322, 323, 324, 325
EXTRA_SAMPLES, SAMPLE_FORMAT, PROFILE = 338, 339, 34675
_GEOMETRY = (
    WIDTH, HEIGHT, STRIP_OFFSETS, STRIP_ROWS, STRIP_BYTES, ORIENTATION,
    TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_BYTES,
)  # fmt: skip
# What a block is decoded by: besides the above fill order, predictor, fax options, JPEG tables, and
# how YCbCr, inks and all colours are meant.
_DECODING = (
    BITS, COMPRESSION, PHOTOMETRIC, CHANNELS, PLANAR, COLOR_MAP, EXTRA_SAMPLES, SAMPLE_FORMAT,
    266, 292, 293, 317, 332, 347, 529, 530, 532, PROFILE,
)  # fmt: skip
_CARRIED = (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
_SHORT, _LONG, _UNDEFINED, _LONG8 = 3, 4, 7, 16
_NUMBERS = {1: "u1", _SHORT: "u2", _LONG: "u4", _LONG8: "u8"}
RAW, OLD_JPEG, WHITE_IS_ZERO, YCBCR, SEPARATE = 1, 6, 0, 6, 2
SUBFILE, SMALLER_OR_MASK = 254, 0b101  # a tag, and what is no page of its own
MOST_PAGES = 2**20  # more, of six bytes each, would take minutes to count
CLASSIC_BYTES = 2**32 - 2**20  # offsets of a classic TIFF have 32 bits
MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


class UnsupportedLayout(Exception):
    """A TIFF that is not read a part at a time."""


@dataclass(frozen=True)
class Tiff:
    """The first picture of a TIFF: where its blocks are, and what they are decoded by.

    Attributes
    ----------
    order : str
        "<" or ">": the byte order.
    entries : dict
        The tags that are needed.
    height, width, block_height, block_width : int
    offsets, sizes : ndarray of int64
        Of the blocks, row by row.
    row_bytes : int
        Of uncompressed strips, which are cut at any row; else 0.
    """

    order: str
    entries: dict[int, Entry]
    height: int
    width: int
    block_height: int
    block_width: int
    offsets: Array
    sizes: Array
    row_bytes: int

    @property
    def block_pixels(self) -> int:
        """The pixels that are decoded at once at least."""
        return self.width if self.row_bytes else self.block_height * self.block_width

    @property
    def orientation(self) -> int:
        """How the picture is to be turned, 1 to 8."""
        found = int(_values(self.order, self.entries, ORIENTATION, 1)[0])
        return found if 1 <= found <= 8 else 1

    def boxes(self, n_pixels: int) -> list[Box]:
        """Return boxes of whole blocks, about so many pixels each, that cover the picture."""
        height, width = self.block_height, self.block_width
        if self.row_bytes:
            height, width = max(1, n_pixels // self.width), self.width
        else:
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
        entries = {tag: entry for tag, entry in self.entries.items() if tag in _DECODING}
        blocks = []
        if self.row_bytes:
            block_height, block_width = bottom - top, self.width
            parts = []
            for strip in range(top // self.block_height, -(-bottom // self.block_height)):
                first = max(top, strip * self.block_height)
                last = min(bottom, (strip + 1) * self.block_height)
                skip = (first - strip * self.block_height) * self.row_bytes
                size = (last - first) * self.row_bytes
                parts.append(_read(file, int(self.offsets[strip]) + skip, size))
            blocks.append(b"".join(parts))
        else:
            block_height, block_width = self.block_height, self.block_width
            n_across = -(-self.width // block_width)
            for row in range(top // block_height, -(-bottom // block_height)):
                for column in range(left // block_width, -(-right // block_width)):
                    at = row * n_across + column
                    blocks.append(_read(file, int(self.offsets[at]), int(self.sizes[at])))
        return _wrapped(
            self.order, entries, (bottom - top, right - left), (block_height, block_width),
            TILE_WIDTH in self.entries, blocks,
        )  # fmt: skip


def read_tiff(file: IO[bytes]) -> Tiff:
    """Return where the blocks of a TIFF are, checked against the size of the file.

    Raises
    ------
    OSError
        The file is truncated, or lies about its blocks.
    UnsupportedLayout
        It is sound, as far as can be seen, but can only be read whole.
    """
    order, entries, file_size = _read_directory(file)

    def one(tag: int, default: int | None = None) -> int:
        return int(_values(order, entries, tag, default)[0])

    height, width = one(HEIGHT), one(WIDTH)
    tiled = TILE_WIDTH in entries
    block_height = one(TILE_HEIGHT) if tiled else min(one(STRIP_ROWS, height), height)
    block_width = one(TILE_WIDTH) if tiled else width
    if min(height, width, block_height, block_width) < 1:
        raise OSError(f"{height} x {width} pixels in blocks of {block_height} x {block_width}")
    if one(PLANAR, 1) == SEPARATE or one(COMPRESSION, RAW) == OLD_JPEG:
        raise UnsupportedLayout
    offsets = _values(order, entries, TILE_OFFSETS if tiled else STRIP_OFFSETS).astype(np.int64)
    sizes = _values(order, entries, TILE_BYTES if tiled else STRIP_BYTES).astype(np.int64)
    n_blocks = -(-height // block_height) * -(-width // block_width)
    what = "tiles" if tiled else "strips"
    if not offsets.size == sizes.size == n_blocks:
        raise OSError(
            f"lists {offsets.size} offsets and {sizes.size} sizes of {what}; there are {n_blocks}"
        )
    ends = offsets + sizes
    if offsets.min() < 8 or sizes.min() < 1 or sizes.max() > file_size or ends.max() > file_size:
        raise OSError(f"is truncated: some {what} lie outside its {file_size} bytes")
    if int(sizes.sum()) > file_size:
        raise OSError(f"has {what} that lie over each other")
    row_bytes = 0
    if one(COMPRESSION, RAW) == RAW and one(PHOTOMETRIC, 1) != YCBCR and not tiled:
        bits = _values(order, entries, BITS, 1)
        of_pixel = int(bits[0]) * one(CHANNELS, 1) if bits.size == 1 else int(bits.sum())
        row_bytes = (width * of_pixel + 7) // 8
        rows = np.full(n_blocks, block_height)
        rows[-1] = height - (n_blocks - 1) * block_height
        if (rows.astype(object) * row_bytes > sizes).any():
            raise OSError(f"is truncated: some {what} are shorter than their rows")
    return Tiff(
        order, entries, height, width, block_height, block_width, offsets, sizes, row_bytes
    )  # fmt: skip


def describe_samples(file: IO[bytes]) -> str:
    """Return in words what the samples of a TIFF are, if it is sound as far as can be seen.

    Raises
    ------
    OSError, UnsupportedLayout
        It is not.
    """
    order, entries, _ = _read_directory(file)
    with contextlib.suppress(UnsupportedLayout):
        read_tiff(file)
    n, bits, form = (
        int(_values(order, entries, tag, 1)[0]) for tag in (CHANNELS, BITS, SAMPLE_FORMAT)
    )
    kind = {3: "floats", 5: "complex integers", 6: "complex floats"}.get(form, "integers")
    return f"{n} channel{'s' * (n != 1)} of {bits}-bit {kind}"


def _read(file: IO[bytes], offset: int, size: int) -> bytes:
    file.seek(offset)
    data = file.read(size)
    if len(data) < size:
        raise OSError("is truncated")
    return data


def count_pages(file: IO[bytes]) -> int:
    """Return how many pictures a TIFF holds; smaller copies and masks of another are none."""
    seen: set[int] = set()
    pages = 0
    with contextlib.suppress(OSError, OverflowError):  # what is broken behind the first is no page
        order, big, at = _read_header(file)
        count, form = _forms(order, big)
        start, size = struct.calcsize(count), struct.calcsize(form)
        while at and at not in seen and len(seen) < MOST_PAGES:
            seen.add(at)
            (n,) = struct.unpack(count, _read(file, at, start))
            (after,) = struct.unpack(
                f"{order}{'Q' if big else 'L'}",
                _read(file, at + start + n * size, 8 if big else 4),
            )
            # Entries are in order, and no tag is lower. The first is what is read, whatever it is.
            tag, kind, _, value = struct.unpack(form, _read(file, at + start, size))
            of_copy = tag == SUBFILE and kind in _NUMBERS
            flags = np.frombuffer(value, f"{order}{_NUMBERS[kind]}", 1)[0] if of_copy else 0
            pages += not (pages and flags & SMALLER_OR_MASK)
            at = after
    return pages


def _read_header(file: IO[bytes]) -> tuple[str, bool, int]:
    """Return the byte order, whether it is a BigTIFF, and where the first directory is."""
    head = _read(file, 0, 8)
    order, big = "<" if head[:2] == b"II" else ">", head[2:4] in (b"+\0", b"\0+")
    at = struct.unpack(f"{order}Q", _read(file, 8, 8))[0] if big else 0
    return order, big, at or struct.unpack(f"{order}L", head[4:])[0]


def _forms(order: str, big: bool) -> tuple[str, str]:
    """Return how the number of entries and an entry of a directory are laid out."""
    return (f"{order}Q", f"{order}HHQ8s") if big else (f"{order}H", f"{order}HHL4s")


def _read_directory(file: IO[bytes]) -> tuple[str, dict[int, Entry], int]:
    """Return the byte order, what is needed of the first directory, and the size of the file."""
    file_size = file.seek(0, io.SEEK_END)
    order, big, at = _read_header(file)
    count, form = _forms(order, big)
    if at >= file_size:
        raise OSError("is truncated: its directory lies outside")
    (n,) = struct.unpack(count, _read(file, at, struct.calcsize(count)))
    if n * struct.calcsize(form) > file_size:
        raise OSError(f"is broken: a directory of {n} entries")
    table = _read(file, at + struct.calcsize(count), n * struct.calcsize(form))
    entries: dict[int, Entry] = {}
    total = 0
    for tag, kind, length, value in struct.iter_unpack(form, table):
        if tag not in (*_GEOMETRY, *_DECODING, *_CARRIED):
            continue
        if kind not in _SIZES or tag in entries:  # said twice, in two ways perhaps
            raise UnsupportedLayout
        size = length * _SIZES[kind]
        if size <= len(value):
            entries[tag] = kind, value[:size]
            continue
        (where,) = struct.unpack(f"{order}{'Q' if big else 'L'}", value)
        if where + size > file_size:
            raise OSError(f"is truncated: the {length} values of tag {tag} lie outside")
        total += size
        if total > file_size:
            raise OSError("is broken: values that lie over each other")
        entries[tag] = kind, _read(file, where, size)
    return order, entries, file_size


def _values(
    order: str, entries: dict[int, Entry], tag: int, default: int | None = None
) -> NDArray[Any]:
    """Return the whole numbers of a tag."""
    kind, data = entries.get(tag, (0, b""))
    if kind in _NUMBERS and data:
        return np.frombuffer(data, f"{order}{_NUMBERS[kind]}")
    if default is None:
        raise UnsupportedLayout
    return np.array([default])


# ---------------------------------------------------------------------------- writing


def _packed(order: str, kind: int, *values: int) -> Entry:
    return kind, np.array(values, f"{order}{_NUMBERS[kind]}").tobytes()


def _header(order: str, directory: int, big: bool) -> bytes:
    mark = b"II" if order == "<" else b"MM"
    if big:
        return mark + struct.pack(f"{order}HHHQ", 43, 8, 0, directory)
    return mark + struct.pack(f"{order}HL", 42, directory)


def _directory(order: str, entries: dict[int, Entry], offset: int, big: bool) -> bytes:
    """Return a directory that stands at `offset`, with all its values behind it."""
    count, form, room = ("Q", "HHQ8s", 8) if big else ("H", "HHL4s", 4)
    number = "Q" if big else "L"
    behind = offset + struct.calcsize(f"={count}{number}")
    behind += len(entries) * struct.calcsize(f"={form}")
    table, values = [struct.pack(f"{order}{count}", len(entries))], b""
    for tag, (kind, data) in sorted(entries.items()):
        value = data.ljust(room, b"\0")
        if len(data) > room:
            value = struct.pack(f"{order}{number}", behind + len(values))
            values += data + bytes(len(data) % 2)
        table.append(struct.pack(f"{order}{form}", tag, kind, len(data) // _SIZES[kind], value))
    return b"".join([*table, struct.pack(f"{order}{number}", 0), values])


def _wrapped(
    order: str, entries: dict[int, Entry], shape: tuple[int, int], block: tuple[int, int],
    tiled: bool, blocks: list[bytes],
) -> bytes:  # fmt: skip
    """Return a TIFF of these blocks."""
    sizes = [len(data) for data in blocks]
    offsets = 8 + np.cumsum([0, *sizes[:-1]])
    entries = entries | {
        HEIGHT: _packed(order, _LONG, shape[0]),
        WIDTH: _packed(order, _LONG, shape[1]),
        TILE_OFFSETS if tiled else STRIP_OFFSETS: _packed(order, _LONG, *offsets),
        TILE_BYTES if tiled else STRIP_BYTES: _packed(order, _LONG, *sizes),
    }
    if tiled:
        entries[TILE_HEIGHT] = _packed(order, _LONG, block[0])
        entries[TILE_WIDTH] = _packed(order, _LONG, block[1])
    else:
        entries[STRIP_ROWS] = _packed(order, _LONG, block[0])
    end = 8 + sum(sizes)
    start = end + end % 2
    directory = _directory(order, entries, start, big=False)
    return b"".join([_header(order, start, False), *blocks, bytes(start - end), directory])


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
        order = source.order if source else "<"
        n_channels = {"RGB": 3, "RGBA": 4}.get(mode, 1)
        self._dtype = np.dtype(f"{order}u2" if mode == "I;16" else np.uint8)
        self._file, self._start = file, 16
        self._row_bytes = shape[1] * n_channels * self._dtype.itemsize
        self._pixel_bytes = n_channels * self._dtype.itemsize
        height, total = shape[0], shape[0] * self._row_bytes
        big = total > CLASSIC_BYTES
        strip_rows = max(1, 2**20 // self._row_bytes)  # a megabyte each, for those who read
        firsts = np.arange(0, height, strip_rows)
        rows = np.minimum(strip_rows, height - firsts)
        number = _LONG8 if big else _LONG
        entries = {
            WIDTH: _packed(order, _LONG, shape[1]),
            HEIGHT: _packed(order, _LONG, height),
            BITS: _packed(order, _SHORT, *[8 * self._dtype.itemsize] * n_channels),
            COMPRESSION: _packed(order, _SHORT, RAW),
            PHOTOMETRIC: _packed(order, _SHORT, {"P": 3, "I;16": 1}.get(mode, 2)),
            STRIP_OFFSETS: _packed(order, number, *(self._start + firsts * self._row_bytes)),
            CHANNELS: _packed(order, _SHORT, n_channels),
            STRIP_ROWS: _packed(order, _LONG, strip_rows),
            STRIP_BYTES: _packed(order, number, *(rows * self._row_bytes)),
        }
        if mode == "P":
            colors = np.zeros((256, 3), np.int64)
            colors[: len(palette)] = palette
            entries[COLOR_MAP] = _packed(order, _SHORT, *(257 * colors.T.ravel()))
        if mode == "RGBA":
            entries[EXTRA_SAMPLES] = _packed(order, _SHORT, 2)
        if source:
            entries |= {tag: source.entries[tag] for tag in _CARRIED if tag in source.entries}
        if profile:
            entries[PROFILE] = _UNDEFINED, profile
        at = self._start + total + total % 2
        file.write(_header(order, at, big))
        file.seek(at)
        file.write(_directory(order, entries, at, big))

    def write(self, place: tuple[slice, slice], pixels: Array) -> None:
        """Write the pixels of a place: (h, w) or (h, w, c)."""
        rows, columns = place
        data = np.ascontiguousarray(pixels, self._dtype)
        at = self._start + rows.start * self._row_bytes + columns.start * self._pixel_bytes
        if data[0].nbytes == self._row_bytes:
            self._file.seek(at)
            self._file.write(data.data)
            return
        for row in data:
            self._file.seek(at)
            self._file.write(row.data)
            at += self._row_bytes

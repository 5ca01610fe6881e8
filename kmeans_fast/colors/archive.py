"""A histogram in a file: a NumPy archive, of which nothing is trusted, and nothing is run."""

from __future__ import annotations

import math
import os
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import SUM_BITS, are_colors
from ..pictures.identify import one_line
from ..pictures.saving import check_target, write_whole
from .keys import PixelChunks
from .tally import exact_total

Array = NDArray[Any]
Path = str | os.PathLike[str]

FILE_VERSION = 1


def write(path: Path, colors: Array, counts: Array) -> None:
    """Write distinct colours (n, c), in the order of their keys, and their counts (n,)."""
    check_target(path)
    version = np.array(FILE_VERSION)
    write_whole(path, lambda file: np.savez(file, version=version, colors=colors, counts=counts))


def read(path: Path) -> tuple[int, int, Array, Array]:
    """Return channels (0: no colours), bits of each, sorted keys and counts."""
    with open(path, "rb") as file:
        try:
            return _checked(*_read_members(file))
        except ValueError as error:
            raise ValueError(
                f"{os.fsdecode(path)}: {error}; write it again with ColorHistogram.save"
            ) from error


def _read_members(file: Any) -> list[Array]:
    file_size = file.seek(0, os.SEEK_END)
    try:
        with zipfile.ZipFile(file) as archive:
            names = "version", "colors", "counts"
            return [_read_member(archive, name, file_size) for name in names]
    except MemoryError:
        raise
    except Exception as error:  # on broken files zipfile and NumPy raise almost anything
        raise ValueError(f"is truncated or no histogram ({one_line(error)})") from error


def _read_member(archive: zipfile.ZipFile, name: str, file_size: int) -> Array:
    """Read an array, after a look at whether its header is true: none is larger than the file."""
    member = archive.getinfo(f"{name}.npy")
    if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
        raise ValueError(f"{name} is compressed, which save does not do")
    if member.file_size > file_size:
        raise ValueError(f"{name} is larger than the file")
    with archive.open(member) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} is of a format that save does not write")
        shape, by_column, dtype = np.lib.format.read_array_header_1_0(file)
        size = math.prod(shape) * dtype.itemsize
        if dtype.hasobject or by_column or size != member.file_size - file.tell():
            raise ValueError(f"the header of {name} does not agree with its size")
        array = np.frombuffer(file.read(size), dtype).reshape(shape)  # raises if the file has ended
    return array.astype(dtype.newbyteorder("="))


def _checked(version: Array, colors: Array, counts: Array) -> tuple[int, int, Array, Array]:
    if version.shape != () or version.dtype.kind != "i" or version != FILE_VERSION:
        raise ValueError(f"is of version {version}, where {FILE_VERSION} can be read")
    if colors.ndim != 2 or counts.shape != colors.shape[:1] or counts.dtype != np.int64:
        raise ValueError(
            f"holds colors of shape {colors.shape} and counts of shape {counts.shape} and dtype "
            f"{counts.dtype}, not (n, c) and (n,) of int64"
        )
    if counts.size == 0:
        return 0, 8, colors, counts
    if colors.dtype not in (np.uint8, np.uint16) or not are_colors(colors):
        raise ValueError(f"holds colors of {colors.shape[1]} channels of {colors.dtype}")
    if counts.min() < 1 or exact_total(counts) > 2**SUM_BITS:
        raise ValueError("holds counts that are not positive, or add up to more than 2**62")
    chunks = PixelChunks(colors)
    keys = np.concatenate([chunks.keys(span) for span in chunks.spans])
    if not (keys[1:] > keys[:-1]).all():
        raise ValueError("holds colors that are not sorted, or not distinct")
    return chunks.format.n_channels, chunks.format.depth, keys, counts

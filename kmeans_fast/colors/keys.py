"""The formats of integer pixels, and the Morton keys of their colours."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import pixels as kernel
from ..threads import Threads

Array = NDArray[Any]
Span = tuple[int, int, int, int]  # first row, last row, first pixel, last pixel

# Up to this many bits a key indexes a table of all colours; wider keys are sorted.
TABLE_BITS = 24
CHUNK = 1 << 19  # pixels handed to a thread at once


@dataclass(frozen=True)
class ColorFormat:
    """How pixels of so many channels and bits become Morton keys, and keys colours.

    Attributes
    ----------
    n_channels, depth : int
        Channels, and bits of each (8 or 16).
    luts : tuple of ndarray
        For each byte of a pixel, its share of the key.
    """

    n_channels: int
    depth: int
    luts: tuple[Array, ...] = field(repr=False, compare=False)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of a channel."""
        return np.dtype(f"u{self.depth // 8}")

    @property
    def largest(self) -> int:
        """The greatest value of a channel."""
        return (1 << self.depth) - 1

    @property
    def key_bits(self) -> int:
        """The bits of a key."""
        return self.n_channels * self.depth

    @property
    def key_dtype(self) -> np.dtype[Any]:
        """The type of a key."""
        return self.luts[0].dtype

    @property
    def axes(self) -> tuple[int, ...]:
        """The channel numbers; kernels unroll over them."""
        return tuple(range(self.n_channels))


@lru_cache(maxsize=16)
def color_format(n_channels: int, depth: int) -> ColorFormat:
    """Return the format of pixels with `n_channels` of `depth` bits."""
    bits = np.arange(8, dtype=np.uint64)
    values = (np.arange(256, dtype=np.uint64)[:, None] >> bits) & np.uint64(1)  # bit by bit
    luts = []
    for channel in range(n_channels):
        for byte in range(depth // 8):
            places = (bits + np.uint64(8 * byte)) * np.uint64(n_channels)
            lut = (values << (places + np.uint64(n_channels - 1 - channel))).sum(axis=1)
            luts.append(lut.astype(np.uint32 if n_channels * depth <= 32 else np.uint64))
    return ColorFormat(n_channels, depth, tuple(luts))


class PixelChunks:
    """Integer pixels, handed out as flat, contiguous, read-only bytes.

    Contiguous data are never copied; others are copied a chunk at a time.

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (..., c)
    """

    def __init__(self, pixels: Array) -> None:
        if pixels.flags.c_contiguous:
            pixels = pixels.reshape(-1, pixels.shape[-1])
        self.pixels = pixels
        self.n_pixels: int = pixels.size // pixels.shape[-1]
        self.format: ColorFormat = color_format(pixels.shape[-1], 8 * pixels.itemsize)
        rows = len(pixels)
        per_row = self.n_pixels // rows
        step = max(1, CHUNK // per_row)
        self.spans: list[Span] = [
            (row, min(row + step, rows), row * per_row, min(row + step, rows) * per_row)
            for row in range(0, rows, step)
        ]

    def bytes(self, span: Span) -> Array:
        """Return the bytes of the pixels of a span."""
        flat = np.ascontiguousarray(self.pixels[span[0] : span[1]]).reshape(-1).view(np.uint8)
        flat.flags.writeable = False  # one type for the kernels, whatever the caller's array was
        return flat

    def keys(self, span: Span) -> Array:
        """Return the keys of the pixels of a span."""
        keys = np.empty(span[3] - span[2], self.format.key_dtype)
        kernel.fill_keys(self.bytes(span), self.format.luts, keys)
        return keys


def split_keys(keys: Array, form: ColorFormat, threads: Threads, pad: int = 0) -> Array:
    """Return the colours of keys, one row a channel, with `pad` empty columns at the end."""
    colors = np.zeros((form.n_channels, keys.size + pad), form.dtype)

    def split(start: int) -> None:
        part = slice(start, min(start + CHUNK // 4, keys.size))
        kernel.split_keys(keys[part], form.depth, colors[:, part])

    threads.map(split, range(0, keys.size, CHUNK // 4))
    return colors

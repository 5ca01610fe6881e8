"""Animations in and out: GIF, APNG and WebP, whole frames with their times."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import GifImagePlugin, Image, ImageOps

from .identify import PNG, Source, identify_within, naming, open_file
from .reading import named_array

# The formats that hold frames: to how many ms each rounds their times, and the most it holds.
TIMES = {"GIF": (10, 655350), "PNG": (1, 65535), "WEBP": (1, 2**24 - 1)}
_CLEARED = 2  # the disposal of a GIF's frame that is taken away before the next is drawn


class Animation:
    """The frames of a file, each as it is seen, read when they are asked for, as often as it is.

    Attributes
    ----------
    path : str
        The file.
    n_frames : int
        How many frames it has, at least two.
    durations : list of float
        The time of each in ms, once all have been read.
    plays : int
        How often it is shown, 0 for ever.
    """

    def __init__(self, source: Source, image: Image.Image, name: str, first: int) -> None:
        self.path: str = name
        self.source: Source = source
        self._first = first
        self.n_frames: int = int(getattr(image, "n_frames", 1)) - first
        self.n_pixels: int = self.n_frames * image.size[0] * image.size[1]
        self.durations: list[float] = []
        loop = image.info.get("loop")
        if image.format == "GIF":  # which counts how often it is shown again
            self.plays: int = 1 if loop is None else loop + (loop > 0)
        else:
            self.plays = 1 if loop is None else loop

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield the frames as `open_image` has a picture: upright arrays (h, w, c), in sRGB."""
        self.durations = []
        opened, _ = open_file(self.source)
        with opened as file:
            image = identify_within(file, self.path, None)
            for at in range(self.n_frames):
                with naming(self.path):
                    image.seek(self._first + at)
                    image.load()
                    frame = image.copy()
                self.durations.append(float(image.info.get("duration") or 0))
                with contextlib.suppress(Exception):  # as of a single picture
                    ImageOps.exif_transpose(frame, in_place=True)
                yield named_array(frame, self.path, keep_profile=False)


def open_animation(source: Source, max_pixels: int | None) -> Animation | None:
    """Open a file that has several frames; None if it has one, or cannot be read at all.

    The limit holds for the pixels of all frames together.
    """
    try:
        opened, name = open_file(source)
        with opened as file:
            image = identify_within(file, name, max_pixels)
            if image.format not in TIMES:
                return None
            # What a viewer without animation would show may stand before the frames of an APNG.
            animation = Animation(source, image, name, int(getattr(image, "default_image", False)))
    except Exception:  # is told when it is read as a picture
        return None
    if animation.n_frames < 2:
        return None
    if max_pixels is not None and animation.n_pixels > max_pixels:
        raise ValueError(
            f"{name}: {animation.n_pixels} pixels in {animation.n_frames} frames are more than "
            f"max_pixels={max_pixels}; allow more"
        )
    return animation


def check_frames(images: Iterable[Image.Image], name: str, format_name: str) -> list[Image.Image]:
    """Bring painted frames to one mode and one palette; raise where the format cannot hold them."""
    frames = list(images)
    indexed = all(frame.mode == "P" for frame in frames)
    transparent = [f for f in frames if "transparency" in f.info or f.mode == "RGBA"]
    if indexed and transparent:  # where pixels are transparent, the palette has one entry more
        model = max(transparent, key=lambda frame: len(frame.getpalette("RGB") or []))
        hidden = model.info["transparency"]
        if format_name == "GIF" and isinstance(hidden, bytes):
            raise ValueError(f"{name}: GIF cannot hold translucent pixels; write .png instead")
        for frame in frames:
            frame.putpalette(model.getpalette("RGB") or [])
            frame.info["transparency"] = hidden
    if not indexed or format_name == "WEBP":
        mode = "RGBA" if transparent else "RGB"
        frames = [frame if frame.mode == mode else frame.convert(mode) for frame in frames]
    return frames


def write_animation(
    file: IO[bytes],
    format_name: str,
    frames: list[Image.Image],
    durations: list[float],
    plays: int,
) -> None:
    """Write frames of `check_frames`, with their times in ms, shown so often (0: for ever)."""
    step, most = TIMES[format_name]
    # Rounded where they end, so that no error adds up.
    ends = np.rint(np.cumsum([0.0, *durations]) / step) * step
    times = np.minimum(np.diff(ends), most).astype(int).tolist()
    plays = min(plays, 65535)  # the most that GIF and WebP can say
    if format_name != "WEBP":
        write = _write_gif if format_name == "GIF" else _write_apng
        write(file, frames, times, plays)
        return
    first, *others = frames
    options: dict[str, Any] = {"duration": times, "loop": plays, "lossless": True}
    first.save(file, format_name, save_all=True, append_images=others, **options)


# Pillow's GIF has a palette in each frame, its APNG fails for few colours before 11.0, and both
# drop a frame that shows nothing new.
def _write_gif(file: IO[bytes], frames: list[Image.Image], times: list[int], plays: int) -> None:
    """Write a GIF of one palette."""
    first = frames[0]
    hidden = first.info.get("transparency")
    palette = bytes(first.getpalette("RGB") or [])
    bits = max(1, (len(palette) // 3 - 1).bit_length())
    file.write(struct.pack("<6s2H3B", b"GIF89a", *first.size, 0xF0 | bits - 1, hidden or 0, 0))
    file.write(palette.ljust(3 << bits, b"\0"))
    if plays != 1:
        again = max(0, plays - 1)
        file.write(struct.pack("<3s11s2BHB", b"!\xff\x0b", b"NETSCAPE2.0", 3, 1, again, 0))
    before = None
    for frame, time in zip(frames, times, strict=True):
        pixels = np.asarray(frame)
        if hidden is not None:  # each is drawn on nothing
            box, disposal = _box(pixels != hidden), _CLEARED
        else:  # or over the one before, which stays
            box, disposal = _changed(pixels, before), 1
        left, top, right, bottom = box
        flags = disposal << 2 | (hidden is not None)
        file.write(struct.pack("<2s2BHBB", b"!\xf9", 4, flags, time // 10, hidden or 0, 0))
        part = Image.fromarray(np.ascontiguousarray(pixels[top:bottom, left:right]))
        file.writelines(GifImagePlugin.getdata(part, (left, top)))
        before = pixels
    file.write(b";")


def _write_apng(file: IO[bytes], frames: list[Image.Image], times: list[int], plays: int) -> None:
    """Write an APNG, each frame over the one before, where it differs."""
    sequence, before = 0, None
    for frame, time in zip(frames, times, strict=True):
        pixels = np.asarray(frame)
        left, top, right, bottom = _changed(pixels, before)
        alone = io.BytesIO()
        frame.crop((left, top, right, bottom)).save(alone, "PNG", compress_level=3)
        control = right - left, bottom - top, left, top, time, 1000, 0, 0
        shown = False
        for name, data in _chunks(alone.getvalue()):
            if name != b"IDAT":
                if before is None and name != b"IEND":
                    file.write(PNG if name == b"IHDR" else b"")
                    _write_chunk(file, name, data)
                    if name == b"IHDR":
                        _write_chunk(file, b"acTL", struct.pack(">2L", len(frames), plays))
                continue
            if not shown:
                _write_chunk(file, b"fcTL", struct.pack(">5L2H2B", sequence, *control))
                sequence, shown = sequence + 1, True
            if before is None:
                _write_chunk(file, name, data)
            else:
                _write_chunk(file, b"fdAT", struct.pack(">L", sequence) + data)
                sequence += 1
        before = pixels
    _write_chunk(file, b"IEND", b"")


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(PNG)
    while at < len(png):
        size, name = struct.unpack_from(">L4s", png, at)
        yield name, png[at + 8 : at + 8 + size]
        at += 12 + size


def _write_chunk(file: IO[bytes], name: bytes, data: bytes) -> None:
    file.write(struct.pack(">L", len(data)) + name + data)
    file.write(struct.pack(">L", zlib.crc32(name + data)))


def _changed(pixels: NDArray[Any], before: NDArray[Any] | None) -> tuple[int, int, int, int]:
    """Return the box of what differs from the frame before, of all if there is none."""
    if before is None:
        return 0, 0, pixels.shape[1], pixels.shape[0]
    apart = pixels != before
    return _box(apart if apart.ndim == 2 else apart.any(axis=2))


def _box(seen: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return the least box that holds all that is true, and one pixel at least."""
    ranges = []
    for axis in (0, 1):
        there = np.flatnonzero(seen.any(axis=axis))
        ranges.append((int(there[0]), int(there[-1]) + 1) if there.size else (0, 1))
    (left, right), (top, bottom) = ranges
    return left, top, right, bottom

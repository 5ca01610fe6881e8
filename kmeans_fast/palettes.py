"""The palette of a picture: its colours, what they are called, and the files that hold them."""

from __future__ import annotations

import functools
import json
import math
import os
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from .checks import check_integer
from .choosing import (
    Sort,
    as_weight,
    check_fixed,
    check_max_error,
    check_posterize,
    check_sort,
    find_colors,
)
from .painting import as_picture
from .pictures.identify import Source
from .pictures.saving import INDEXED, SUFFIXES, check_suffix, check_target, save_image, write_whole
from .seeding import Init
from .spaces import Space, to_oklab
from .swatches import as_html, as_table, draw, hex_of, shows_colors
from .visible import VisibleColors, palette_rgba

K = 16  # colours, where it is not said how many
# Of two names of one colour, those that are not used.
_DOUBLES = re.compile("aqua|fuchsia|.*grey.*")


@dataclass(frozen=True, eq=False)
class Palette:
    """Colours of a picture, as `palette` finds them.

    It iterates over them, as (r, g, b) or (r, g, b, a), and `quantize` takes it as its `palette`.
    Printed it is a table, with blocks of the colours in a
    terminal, and a notebook draws it.

    Attributes
    ----------
    colors : ndarray of uint8, shape (k, 3) or (k, 4)
        The colours, sRGB; with alpha where some are translucent.
    counts : ndarray of int64, shape (k,)
        How many pixels each one paints.
    n_transparent : int
        Pixels that are fully transparent, which have no colour here.
    mse : float
        The error of the picture painted in these colours: the squared difference of 8-bit values,
        in the mean of its visible pixels and their channels.
    """

    colors: NDArray[np.uint8]
    counts: NDArray[Any] = field(repr=False)
    n_transparent: int
    mse: float

    def __len__(self) -> int:
        """Return the number of colours."""
        return len(self.colors)

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """Yield the colours."""
        return iter([tuple(color) for color in self.colors.tolist()])

    @property
    def shares(self) -> NDArray[np.float64]:
        """The part of the visible pixels that each colour paints, (k,); they add up to 1."""
        shares: NDArray[np.float64] = self.counts / max(1, self.counts.sum())
        return shares

    @property
    def hex(self) -> list[str]:
        """The colours as "#rrggbb", translucent ones as "#rrggbbaa"."""
        return hex_of(self.colors)

    @property
    def names(self) -> list[str]:
        """The CSS colour nearest to each, by OKLab and without alpha; two may have one name.

        The opponents count twice, or dark browns would be midnight blue: dark names are few.
        """
        names, places = _css_colors()
        apart = (to_oklab(self.colors[:, :3])[:, np.newaxis] - places) * [1.0, 2.0, 2.0]
        return [names[at] for at in (apart**2).sum(axis=2).argmin(axis=1)]

    @property
    def psnr(self) -> float:
        """The same error as a ratio of signal to noise, in dB; infinite where there is none."""
        return 10.0 * math.log10(255.0**2 / self.mse) if self.mse else math.inf

    def __repr__(self) -> str:
        """Return the colours in one line."""
        return f"Palette({', '.join(self.hex)})"

    def __str__(self) -> str:
        """Return a table; with blocks of the colours, if stdout is a terminal."""
        return as_table(self.colors, self.shares, self.names, blocks=shows_colors())

    def _repr_html_(self) -> str:
        titles = [
            f"{name}, {count:,} pixels"
            for name, count in zip(self.names, self.counts.tolist(), strict=True)
        ]
        return as_html(self.colors, self.shares, titles)

    def swatch(self) -> Image.Image:
        """Draw the colours, labelled with hex and share.

        Returns
        -------
        PIL.Image.Image
            Of mode "RGB", or "RGBA" if some are translucent: rows of up to 8 squares.
        """
        if not len(self):
            raise ValueError("every pixel is transparent, so there is no colour to draw")
        return draw(self.colors, self.shares)

    def to_hex(self) -> str:
        """Return a line of hex digits for each colour, as `hex` has them."""
        return "".join(f"{digits}\n" for digits in self.hex)

    def to_css(self, prefix: str = "color") -> str:
        """Return CSS with a variable for each colour, ``--color-1`` and so on.

        Raises
        ------
        ValueError
            `prefix` has other characters than letters, digits, "-" and "_".
        """
        if not re.fullmatch(r"[\w-]+", prefix):
            raise ValueError(f"prefix={prefix!r} is no name in CSS; give such as 'color'")
        rows = zip(self.hex, self.names, self.shares.tolist(), strict=True)
        lines = [
            f"  --{prefix}-{at}: {digits}; /* {name}, {share:.1%} */\n"
            for at, (digits, name, share) in enumerate(rows, 1)
        ]
        return f":root {{\n{''.join(lines)}}}\n"

    def to_gpl(self, name: str = "kmeans_fast") -> str:
        """Return a palette of GIMP, Inkscape, Krita; it knows no alpha."""
        rows = zip(self.colors[:, :3].tolist(), self.names, strict=True)
        lines = [f"{r:3} {g:3} {b:3}\t{called}\n" for (r, g, b), called in rows]
        return f"GIMP Palette\nName: {_one_line(name)}\nColumns: 8\n#\n{''.join(lines)}"

    def to_ase(self, name: str = "kmeans_fast") -> bytes:
        """Return a file of Adobe's Swatch Exchange: a group of such a name; it knows no alpha."""
        blocks = [(0xC001, _utf16(name, ">H"))]
        for (r, g, b, *_), called in zip(self.colors.tolist(), self._labels(), strict=True):
            values = struct.pack(">4s3fH", b"RGB ", r / 255, g / 255, b / 255, 2)  # 2: no spot
            blocks.append((0x0001, _utf16(called, ">H") + values))
        blocks.append((0xC002, b""))
        body = b"".join(struct.pack(">HL", kind, len(block)) + block for kind, block in blocks)
        return struct.pack(">4sHHL", b"ASEF", 1, 0, len(blocks)) + body

    def to_aco(self) -> bytes:
        """Return a file of Photoshop's swatches, without names and with; it knows no alpha."""
        values = [
            struct.pack(">5H", 0, 257 * r, 257 * g, 257 * b, 0)
            for r, g, b, *_ in self.colors.tolist()
        ]
        named = [
            color + _utf16(called, ">L")
            for color, called in zip(values, self._labels(), strict=True)
        ]
        sections = ((1, values), (2, named))
        return b"".join(struct.pack(">HH", v, len(self)) + b"".join(rows) for v, rows in sections)

    def to_json(self, **about: Any) -> str:
        """Return all that is known, as JSON, after what is told `about` it by name."""
        rows = zip(
            self.hex, self.names, self.colors.tolist(), self.counts.tolist(), self.shares.tolist(),
            strict=True,
        )  # fmt: skip
        about |= {
            "pixels": int(self.counts.sum()),
            "transparent": self.n_transparent,
            "mse": self.mse,
            "psnr": self.psnr if self.mse else None,  # JSON has no infinity
        }
        colors = [
            {"hex": digits, "name": name, "rgb": color[:3], "alpha": [*color, 255][3],
             "pixels": int(count), "share": 100.0 * share}
            for digits, name, color, count, share in rows
        ]  # fmt: skip
        return json.dumps(about | {"colors": colors}, indent=2) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the palette to a file, whole or not at all.

        Parameters
        ----------
        path : str or path
            Its suffix says as what: .css, .gpl, .ase, .aco, .hex, .json, or that of a picture, for
            the swatch.

        Raises
        ------
        ValueError
            Another suffix, or a swatch of no colours, or of translucent ones for JPEG or BMP.
        OSError
            The folder is missing, it or the file is not writable, or the disk is full.
        """
        if (kind := check_palette_output(path)) is None:
            save_image(self.swatch(), path)
            return
        data = WRITERS[kind](self)
        write_whole(
            path, lambda file: file.write(data if isinstance(data, bytes) else data.encode())
        )

    def _labels(self) -> list[str]:
        return [f"{name} {digits}" for name, digits in zip(self.names, self.hex, strict=True)]


# What writes each format, whose name is the suffix of its files.
WRITERS: dict[str, Callable[[Palette], str | bytes]] = {
    "css": Palette.to_css,
    "gpl": Palette.to_gpl,
    "ase": Palette.to_ase,
    "aco": Palette.to_aco,
    "hex": Palette.to_hex,
    "json": Palette.to_json,
}


def palette(
    image: NDArray[Any] | Image.Image | Source,
    n_colors: int | None = None,
    *,
    max_error: float | str | None = None,
    fixed: Iterable[Any] | None = None,
    weight: NDArray[Any] | Image.Image | Source | None = None,
    posterize: int = 0,
    sort: Sort = "luminance",
    medoids: bool = False,
    space: Space = "rgb",
    init: Init = "k-means++",
    n_init: int = 1,
    refine: int = 1,
    max_iter: int = 300,
    random_state: Any = 0,
    n_threads: int | None = None,
) -> Palette:
    """
    Find the best colours of a picture: those that `quantize` paints it in.

    Parameters
    ----------
    image : (h, w, c) or (h, w) array, PIL.Image.Image, path or file
        As in `quantize`; colours are sRGB, whatever its profile.
    n_colors : int, default 16
        How many colours to find; with `max_error` the most, 256 by default. A picture with fewer
        has those that it has.
    max_error, fixed, weight, posterize
        As in `quantize`.
    sort : {"luminance", "share"}, default "luminance"
        Darkest first, by the lightness of OKLab, or the colour of most pixels first.
    medoids : bool, default False
        Replace each colour found by the nearest that occurs in the picture.
    space, init, n_init, refine, max_iter, random_state, n_threads
        As in `quantize`.

    Returns
    -------
    Palette
        Colours, counts, names and error; it is printed, drawn, and written as CSS, GPL, ASE, ACO
        and JSON.

    Raises
    ------
    TypeError, ValueError
        `image` is not a picture, or an option is out of its range.

    Examples
    --------
    >>> import numpy as np
    >>> import kmeans_fast as kf
    >>> image = np.zeros((4, 4, 3), np.uint8)
    >>> image[3:] = 255, 128, 0
    >>> print(kf.palette(image, 2))
    index  hex          R    G    B   share %  name
        0  #000000      0    0    0    75.000  black
        1  #ff8000    255  128    0    25.000  darkorange
    """
    check_sort(sort)
    if n_colors is None:
        n_colors = K if max_error is None else INDEXED
    n_colors = check_integer("n_colors", n_colors, 1)
    limit = None if max_error is None else check_max_error(max_error)
    beside, bits = check_fixed(fixed, n_colors), check_posterize(posterize)
    pixels, _ = as_picture(image)
    importance = None if weight is None else as_weight(weight, pixels.shape[:2])
    colors = VisibleColors()
    colors.add(pixels, weight=importance, n_threads=n_threads)
    return find_palette(
        colors, n_colors, max_error=limit, fixed=beside, posterize=bits, sort=sort, medoids=medoids,
        space=space, init=init, n_init=n_init, refine=refine, max_iter=max_iter,
        random_state=random_state, n_threads=n_threads,
    )  # fmt: skip


def find_palette(
    colors: VisibleColors, n_colors: int, *, n_threads: int | None = None, **options: Any
) -> Palette:
    """Find the palette of all pictures that were counted; `options` are those of `find_colors`."""
    result = find_colors(colors, n_colors, n_threads=n_threads, **options)
    counts = np.zeros(0, np.int64) if result is None else result.counts
    rgba = palette_rgba(result, np.dtype(np.uint8) if result is None else result.dtype)
    return Palette(
        colors=rgba[:, :3] if (rgba[:, 3] == 255).all() else rgba,
        counts=counts,
        n_transparent=colors.n_pixels - sum(h.n_pixels for h in colors.histograms.values()),
        mse=0.0 if result is None else colors.error(result, n_threads),
    )


@functools.cache
def _css_colors() -> tuple[list[str], NDArray[np.float64]]:
    """Return the names that CSS has, and where they are in OKLab."""
    names = [name for name in ImageColor.colormap if not _DOUBLES.fullmatch(name)]
    return names, to_oklab([ImageColor.getrgb(name) for name in names])


def _one_line(name: str) -> str:
    return " ".join(name.split())


def _utf16(text: str, length: str) -> bytes:
    """Return a text as Adobe's files hold it: its length, UTF-16, and a zero."""
    data = _one_line(text).encode("utf-16-be", errors="replace") + b"\0\0"
    return struct.pack(length, len(data) // 2) + data


def check_palette_output(path: str | os.PathLike[str]) -> str | None:
    """Raise what `Palette.save` would, as far as it can be known now; return the format.

    None: a picture.
    """
    suffix = check_suffix(path, [*(f".{kind}" for kind in WRITERS), *SUFFIXES])
    check_target(path)
    return None if suffix in SUFFIXES else suffix[1:]


def read_colors(text: str) -> list[Any]:
    """Return the colours that somebody gave in a line: by commas, or as the name of a file.

    The file has a colour in each line: hex digits, with # or without, or three numbers as in GPL.
    """
    if not os.path.isfile(text):
        return [color.strip() for color in text.split(",") if color.strip()]
    colors: list[Any] = []
    with open(text, encoding="utf-8", errors="replace") as file:
        for line in file:
            if numbers := re.match(r"\s*(\d+)\s+(\d+)\s+(\d+)(?!\S)", line):
                colors.append(tuple(map(int, numbers.groups())))
            elif digits := re.fullmatch(r"#?([0-9a-fA-F]{6})", line.strip()):
                colors.append(f"#{digits[1]}")
    if not colors:
        raise ValueError(f"{text}: no line is a colour; write such as #ffd700, or 255 215 0")
    return colors

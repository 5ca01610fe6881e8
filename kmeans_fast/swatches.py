"""Colours drawn: in a notebook, in a terminal, as a picture."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .spaces import to_oklab

if TYPE_CHECKING:
    from PIL import Image

SIDE, COLUMNS = 96, 8  # pixels of a square; how many in a row
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
# Inline, since a notebook keeps no style sheet; the text has the colour of the page.
_ROW = "display:flex;flex-wrap:wrap;gap:8px;font:12px/1.4 ui-monospace,monospace"
_SQUARE = "width:88px;height:56px;border-radius:6px;background:linear-gradient({0},{0})"
_CHECKS = ",repeating-conic-gradient(#bbb 0 25%,#fff 0 50%) 0/16px 16px"  # behind translucent ones


def hex_of(colors: NDArray[np.uint8]) -> list[str]:
    """Return each colour, (k, 3) or (k, 4), as "#rrggbb", or "#rrggbbaa" if it is translucent."""
    return [
        f"#{bytes(color[:3] if color[3:] == [255] else color).hex()}" for color in colors.tolist()
    ]


def as_html(colors: NDArray[np.uint8], shares: NDArray[Any], titles: Sequence[str]) -> str:
    """Return squares with the hex digits and the share of each colour; `titles` show on hover."""
    squares = []
    for digits, share, title in zip(hex_of(colors), shares.tolist(), titles, strict=True):
        style = _SQUARE.format(digits) + _CHECKS * (len(digits) > 7)
        squares.append(
            f'<div title="{title}"><div style="{style}"></div>{digits}<br>{share:.1%}</div>'
        )
    return f'<div style="{_ROW}">{"".join(squares)}</div>'


def as_table(
    colors: NDArray[np.uint8], shares: NDArray[Any], names: Sequence[str], *, blocks: bool
) -> str:
    """Return a line of text for each colour; with `blocks` each begins with the colour itself."""
    lines = [f"{'':6}  " * blocks + "index  hex          R    G    B   share %  name"]
    rows = zip(colors.tolist(), hex_of(colors), shares.tolist(), names, strict=True)
    for index, ((r, g, b, *_), digits, share, name) in enumerate(rows):
        block = f"\x1b[48;2;{r};{g};{b}m{'':6}\x1b[0m  " * blocks
        numbers = f"{index:5}  {digits:9}  {r:3}  {g:3}  {b:3}  {100 * share:8.3f}"
        lines.append(f"{block}{numbers}  {name}")
    return "\n".join(lines)


def shows_colors() -> bool:
    """Tell whether stdout is a terminal where colours are wanted (https://no-color.org)."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def draw(colors: NDArray[np.uint8], shares: NDArray[Any]) -> Image.Image:
    """Draw labelled squares of the colours, in rows; in mode "RGBA" where some are translucent."""
    from PIL import Image, ImageDraw, ImageFont  # which a fit does without

    columns = min(COLUMNS, len(colors))
    rows = -(-len(colors) // columns)
    mode = "RGB" if colors.shape[1] == 3 else "RGBA"
    blank = (*_WHITE, 0) if mode == "RGBA" else _WHITE
    image = Image.new(mode, (SIDE * columns, SIDE * rows), blank)
    pen = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(15), ImageFont.load_default(12)
    light = to_oklab(colors[:, :3])[:, 0] > 0.6
    for at, (color, digits, share) in enumerate(
        zip(colors.tolist(), hex_of(colors), shares.tolist(), strict=True)
    ):
        x, y = SIDE * (at % columns), SIDE * (at // columns)
        pen.rectangle((x, y, x + SIDE - 1, y + SIDE - 1), tuple(color))
        ink = _BLACK if light[at] or color[3:] and color[3] < 128 else _WHITE
        pen.text((x + SIDE // 2, y + SIDE - 24), digits, ink, large, "ms")
        pen.text((x + SIDE // 2, y + SIDE - 8), f"{share:.1%}", ink, small, "ms")
    return image

"""A still of the page of `explore`, for readers that show pictures alone."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor, ImageDraw, ImageFont

from .page import CLUSTERS, IMAGE, OWN, SWATCHES, as_array
from .painting import quantize

if TYPE_CHECKING:
    import plotly.graph_objects as go

WIDTH, HEIGHT, STRIP = 1500, 740, 56  # twice what a column has, for fine screens
GAP = 30
CARD, INK, SOFT, LINE = "#fffefb", "#1d1e20", "#65666a", "#b9b8b4"
FIRST = 8  # the K that a page opens with, or the next below
YAW, PITCH, DISTANCE, FOCUS = 0.45, 0.32, 3.2, 3.05  # those of `web/cloud.js`
CORNERS = {
    "black": (0, 0, 0),
    "red": (1, 0, 0),
    "green": (0, 1, 0),
    "blue": (0, 0, 1),
    "white": (1, 1, 1),
}
EDGES = [
    (a, b)
    for a in np.ndindex(2, 2, 2)
    for b in np.ndindex(2, 2, 2)
    if a < b and sum(abs(p - q) for p, q in zip(a, b, strict=True)) == 1
]


def draw_still(figure: go.Figure) -> Image.Image:
    """Return the picture beside its colours, and in as many colours as the page opens with."""
    views = [dict(zip(f.traces, f.data, strict=True)) for f in figure.frames[1:]]
    ks = [len(view[SWATCHES].x) for view in views]
    view = views[max((at for at, k in enumerate(ks) if k <= FIRST), default=0)] if views else None
    own = figure.data[OWN]
    colors = np.stack([as_array(own[axis]) for axis in "xyz"], axis=1).astype(np.uint8)
    marks, shares = np.zeros((0, 3), np.uint8), np.zeros(0)
    if view is not None:
        marks = np.array([ImageColor.getrgb(c) for c in view[SWATCHES].marker.color], np.uint8)
        shares = as_array(view[SWATCHES].y) / 100.0
    tints = colors if view is None else marks[as_array(view[CLUSTERS].marker.color)]
    still = Image.new("RGB", (WIDTH, HEIGHT + STRIP * (view is not None)), CARD)
    draw = ImageDraw.Draw(still)
    _put_picture(still, draw, figure.data[IMAGE].source, view, figure.layout.meta["about"])
    _put_cloud(draw, colors, tints, as_array(own.marker.size), marks, shares)
    ends = GAP + np.rint((WIDTH - 2 * GAP) * np.cumsum([0.0, *shares])).astype(int)
    for at, color in enumerate(marks.tolist()):
        start, end = ends[at : at + 2].tolist()
        draw.rectangle((start, HEIGHT - 2, max(start, end - 1), HEIGHT + 26), tuple(color))
    return quantize(still, 256, max_iter=5)


def _open(source: str) -> Image.Image:
    picture = Image.open(io.BytesIO(base64.b64decode(source.split(",", 1)[1]))).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, CARD), picture).convert("RGB")


def _put_picture(
    still: Image.Image,
    draw: ImageDraw.ImageDraw,
    original: str,
    view: dict[int, Any] | None,
    about: str,
) -> None:
    """Put the picture on the left: the original, and from the middle on what became of it."""
    picture = _open(original)
    room = WIDTH // 2 - 2 * GAP, HEIGHT - 3 * GAP - 24
    scale = min(side / own for side, own in zip(room, picture.size, strict=True))
    size = max(1, round(scale * picture.width)), max(1, round(scale * picture.height))
    how = Image.Resampling.NEAREST if scale > 2 else Image.Resampling.LANCZOS
    left, top = GAP + (room[0] - size[0]) // 2, GAP + (room[1] - size[1]) // 2
    still.paste(picture.resize(size, how), (left, top))
    middle, below = left + size[0] // 2, top + size[1] + 10
    if view is None:
        _write(draw, (middle, below), about, "ma")
        return
    painted = _open(view[IMAGE].source).resize(size, how)
    still.paste(painted.crop((size[0] // 2, 0, size[0], size[1])), (middle, top))
    draw.line((middle, top, middle, top + size[1]), "white", 4)
    k = len(view[SWATCHES].x)
    _write(draw, (left, below), "original", "la")
    _write(draw, (left + size[0], below), f"{k} colour{'s' * (k > 1)}", "ra")


def _put_cloud(
    draw: ImageDraw.ImageDraw,
    colors: NDArray[np.uint8],
    tints: NDArray[np.uint8],
    sizes: NDArray[np.float64],
    marks: NDArray[np.uint8],
    shares: NDArray[np.float64],
) -> None:
    """Put the colours on the right, seen as the page shows them first, the nearest last."""
    for edge in EDGES:
        (x, y, _), (u, v, _) = _seen(np.array(edge, float))
        draw.line((x, y, u, v), LINE, 2)
    places = _seen(colors / 255.0)
    fits = min(1.0, np.sqrt(2e5 / (sizes**2).sum()))  # as on the page
    for at in np.argsort(-places[:, 2], kind="stable").tolist():
        x, y, away = places[at]
        half = max(0.5, 0.6 * fits * sizes[at] * FOCUS / away)
        draw.rectangle((x - half, y - half, x + half, y + half), tuple(tints[at].tolist()))
    for at, (x, y, _) in enumerate(_seen(marks / 255.0).tolist()):
        half = (5 if len(marks) > 32 else 9) + 34 * float(shares[at]) ** 0.5
        draw.ellipse((x - half, y - half, x + half, y + half), INK)
        for part in np.linspace(0.0, 1.0, 12).tolist():  # a sphere, lit from above
            size, aside = (half - 3) * (1 - part), 0.36 * (half - 3) * part
            lit = np.minimum(255, (0.72 + 0.6 * part) * marks[at] + 24 * part)
            color = tuple(lit.astype(int).tolist())
            box = (x - aside - size, y - aside - size, x - aside + size, y - aside + size)
            draw.ellipse(box, color)
    corners = 0.5 + 1.16 * (np.array(list(CORNERS.values())) - 0.5)
    for name, (x, y, _) in zip(CORNERS, _seen(corners).tolist(), strict=True):
        _write(draw, (x, y), name, "mm")


def _seen(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return where places in the unit cube are seen, and how far away: as `web/cloud.js` does."""
    x, y, z = (places - 0.5).T
    a, up, b = (x - y) / 2**0.5, (x + y + z) / 3**0.5, (x + y - 2 * z) / 6**0.5
    across = np.cos(YAW) * a + np.sin(YAW) * b
    near = np.cos(YAW) * b - np.sin(YAW) * a
    away = DISTANCE - np.sin(PITCH) * up - np.cos(PITCH) * near
    high = np.cos(PITCH) * up - np.sin(PITCH) * near
    lens = 0.5 * min(WIDTH // 2, HEIGHT) * FOCUS / away * 0.92
    return np.stack([0.75 * WIDTH + lens * across, 0.49 * HEIGHT - lens * high, away], axis=1)


def _write(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, anchor: str) -> None:
    draw.text(at, text, SOFT, ImageFont.load_default(24), anchor)

"""A page of one file, without a network, of a figure of `explore`."""

from __future__ import annotations

import base64
import html
import json
import os
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .pictures.saving import check_target, write_whole

if TYPE_CHECKING:
    import plotly.graph_objects as go

UNNAMED = "A picture and its colours"
# The traces of a figure of `explore`: picture, colours as they are, swatches, curve, place on the
# curve, colours by cluster.
IMAGE, OWN, SWATCHES, CURVE, PLACE, CLUSTERS = range(6)


def import_plotly() -> Any:
    """Return Plotly, or say what brings it."""
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise ImportError("explore needs plotly: pip install 'kmeans_fast[viz]'") from None
    return go


def write_page(
    figure: go.Figure, path: str | os.PathLike[str], *, title: str | None = None
) -> None:
    """Write a figure of `explore` as one HTML file that needs no network, whole or not at all.

    The page draws by itself, without Plotly.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
        As `explore` returns it; what was changed in its layout since is not seen on the page.
    path : str or path
        The page, for screens of any width, in light and in dark.
    title : str, optional
        What stands above it, as plain text; by default the name of the file that was explored.

    Raises
    ------
    ImportError
        Plotly is not installed: ``pip install 'kmeans_fast[viz]'``.
    ValueError
        `figure` is none of `explore`.
    OSError
        The folder is missing, it or the file is not writable, or the disk is full.
    """
    import_plotly()
    check_target(path)
    page = make_page(figure, title=title)
    # A name that is no text, as some systems allow, has question marks.
    write_whole(path, lambda file: file.write(page.encode(errors="replace")))


def is_explored(figure: go.Figure) -> bool:
    """Return whether a figure has what a page of it needs."""
    about = figure.layout.meta
    return isinstance(about, dict) and "variance" in about and len(figure.frames) > 0


def make_page(figure: go.Figure, *, title: str | None = None, embedded: bool = False) -> str:
    """Return the page; embedded, for a frame within another page, without what stands around it."""
    if not is_explored(figure):
        raise ValueError("figure is none of `explore`, of which alone there is a page")
    about = figure.layout.meta
    name = about["name"] if title is None else title
    parts = {
        "kind": "embedded" if embedded else "page",
        "title": html.escape(f"{name}: its colours" if name else UNNAMED),
        "heading": html.escape(name or UNNAMED),
        "about": html.escape(about["about"]),
        "drawn": html.escape(figure.layout.annotations[0].text),
        "style": _read("page.css"),
        "script": _read("cloud.js") + _read("page.js"),
        # No data can end its script.
        "data": json.dumps(_data(figure), separators=(",", ":")).replace("<", "\\u003c"),
    }
    return Template(_read("page.html")).substitute(parts)


def _read(name: str) -> str:
    return (resources.files("kmeans_fast") / "web" / name).read_text(encoding="utf-8")


def as_array(values: Any) -> NDArray[Any]:
    """Return the numbers of a trace, which are text in a figure that was copied or pickled."""
    if isinstance(values, dict):
        return np.frombuffer(base64.b64decode(values["bdata"]), values["dtype"])
    return np.asarray(values)


def _as_text(values: Any, dtype: str) -> str:
    return base64.b64encode(np.ascontiguousarray(values).astype(dtype).tobytes()).decode()


def _data(figure: go.Figure) -> dict[str, Any]:
    """Return what the script reads: numbers as base64 of bytes, which is short and quick."""
    own, about = figure.data[OWN], figure.layout.meta
    width, height = (round(abs(end - start)) for start, end in _ranges(figure))
    views = []
    for frame in figure.frames[1:]:
        by_place = dict(zip(frame.traces, frame.data, strict=True))
        bars, dots = by_place[SWATCHES], by_place[CLUSTERS].marker
        palette = list(bars.marker.color)
        inertia, variance = float(by_place[PLACE].y[0]), about["variance"]
        views.append(
            {
                "k": len(palette),
                "source": by_place[IMAGE].source,
                "error": inertia / variance if variance else 0.0,
                "palette": palette,
                "shares": [round(share / 100.0, 7) for share in bars.y],
                "labels": _as_text(as_array(dots.color), "u1" if len(palette) <= 256 else "<u2"),
            }
        )
    return {
        "original": figure.data[IMAGE].source,
        "width": width,
        "height": height,
        "flat": not about["variance"],
        "places": _as_text(np.stack([as_array(own[axis]) for axis in "xyz"], axis=1), "u1"),
        "sizes": _as_text(16.0 * as_array(own.marker.size), "u1"),
        "views": views,
    }


def _ranges(figure: go.Figure) -> list[tuple[float, float]]:
    return [figure.layout.xaxis.range, figure.layout.yaxis.range]

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

from .exploring import CLUSTERS, IMAGE, OWN, PLACE, SWATCHES, import_plotly
from .pictures.saving import check_target, write_whole

if TYPE_CHECKING:
    import plotly.graph_objects as go

UNNAMED = "A picture and its colours"


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
    about = figure.layout.meta
    if not (isinstance(about, dict) and "variance" in about and len(figure.frames) > 1):
        raise ValueError("figure is none of `explore`, of which alone there is a page")
    name = about["name"] if title is None else title
    parts = {
        "title": html.escape(f"{name}: its colours" if name else UNNAMED),
        "heading": html.escape(name or UNNAMED),
        "about": html.escape(about["about"]),
        "drawn": html.escape(figure.layout.annotations[0].text),
        "style": _read("page.css"),
        "script": _read("cloud.js") + _read("page.js"),
        # No data can end its script.
        "data": json.dumps(_data(figure), separators=(",", ":")).replace("<", "\\u003c"),
    }
    page = Template(_read("page.html")).substitute(parts)
    # A name that is no text, as some systems allow, has question marks.
    write_whole(path, lambda file: file.write(page.encode(errors="replace")))


def _read(name: str) -> str:
    return (resources.files("kmeans_fast") / "web" / name).read_text(encoding="utf-8")


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
                "labels": _as_text(dots.color, "u1" if len(palette) <= 256 else "<u2"),
            }
        )
    return {
        "original": figure.data[IMAGE].source,
        "width": width,
        "height": height,
        "flat": not about["variance"],
        "places": _as_text(np.stack([own.x, own.y, own.z], axis=1), "u1"),
        "sizes": _as_text(16.0 * np.asarray(own.marker.size), "u1"),
        "views": views,
    }


def _ranges(figure: go.Figure) -> list[tuple[float, float]]:
    return [figure.layout.xaxis.range, figure.layout.yaxis.range]

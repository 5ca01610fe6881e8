"""A picture, its colours in space, and what k-means makes of both, with a slider over K."""

from __future__ import annotations

import base64
import io
import os
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .api import sweep
from .checks import check_integer
from .choosing import in_order
from .page import CLUSTERS, CURVE, IMAGE, OWN, PLACE, SWATCHES, import_plotly
from .painting import as_picture, paint
from .pictures.identify import Source
from .pictures.reading import to_uint8
from .result import KMeansResult
from .spaces import Space
from .visible import VisibleColors, with_channels

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_POINTS = 20_000  # drawn in the scatter plot, of the colours that the picture has
PREVIEW = 640  # pixels of the longer side of the picture as it is shown
BACKGROUND = "#f4f4f2"
FRAME_MS = 900
Domains = tuple[list[float], list[float]]  # from and to, in x and in y, as parts of the figure

# Where things stand in the figure.
WIDE_DOMAINS: dict[str, Domains] = {
    "picture": ([0.0, 0.48], [0.34, 1.0]),
    "scene": ([0.52, 1.0], [0.34, 1.0]),
    "palette": ([0.04, 0.48], [0.09, 0.26]),
    "curve": ([0.58, 1.0], [0.09, 0.26]),
}
WIDE_HEIGHT = 820
PLAIN_HEIGHT = 560  # where there is no K: the picture beside its colours


def explore(
    image: NDArray[Any] | Image.Image | Source,
    ks: Sequence[int] = range(1, 21),
    *,
    max_points: int = MOST_POINTS,
    space: Space = "rgb",
    refine: int = 1,
    max_iter: int = 300,
    random_state: int = 0,
    n_threads: int | None = None,
) -> go.Figure:
    """Show a picture beside its colours in space, and both in K colours, for each K of a slider.

    Parameters
    ----------
    image : (h, w, c) or (h, w) array, PIL.Image.Image, path or file
        As in `quantize`. Fully transparent pixels take no part.
    ks : sequence of int
        The numbers of clusters, increasing; those above the number of distinct colours are left
        out, with a warning. Where there are none, the picture stands beside its colours alone.
    max_points : int
        How many colours to draw at most; where there are more they are drawn by lot, each with a
        chance that grows with its pixels. The fits see all of them.
    space, refine, max_iter
        As in `fit`, where `refine` is 0.
    random_state : int
        The seed of the fits and of the lot.
    n_threads : int, optional
        Threads to use; all by default.

    Returns
    -------
    plotly.graph_objects.Figure
        In a notebook it is a page of its own, which needs neither Plotly nor a network and stays
        in what ``nbconvert`` makes of it; `kmeans_fast.page.write_page` makes a file of that page.
        ``figure.show()`` opens Plotly's view.

    Raises
    ------
    ImportError
        Plotly is not installed: ``pip install 'kmeans_fast[viz]'``.
    TypeError, ValueError
        `image` is no picture or has nothing to see, or `ks` does not increase.

    Examples
    --------
    >>> import numpy as np
    >>> import kmeans_fast as kf
    >>> ramp = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    >>> figure = kf.explore(ramp, ks=[1, 2, 4])
    >>> [step.label for step in figure.layout.sliders[0].steps]
    ['original', '1', '2', '4']
    """
    import_plotly()
    max_points = check_integer("max_points", max_points, 1)
    ks = check_increasing(ks)
    pixels = visible_rgb(image)
    colors = VisibleColors()
    colors.add(pixels, n_threads=n_threads)
    if not colors.histograms:
        raise ValueError("image has no pixel to be seen: all are fully transparent")
    histogram = colors.histograms[3]
    shown = [k for k in ks if k <= histogram.n_colors] or [histogram.n_colors][: len(ks)]
    if len(shown) < len(ks):
        warnings.warn(
            f"ks goes to {ks[-1]}, and the picture has {histogram.n_colors} distinct colours: "
            f"the slider ends at {shown[-1]}",
            RuntimeWarning,
            stacklevel=2,
        )
    one, *results = sweep(
        histogram,
        [1, *(k for k in shown if k > 1)],
        space=space,
        refine=refine,
        max_iter=max_iter,
        random_state=random_state,
        n_threads=n_threads,
    )
    results = [one, *results] if 1 in shown else results
    some = choose_colors(histogram.counts, max_points, random_state)
    all_of_them = f"{histogram.n_colors:,} colour{'s' * (histogram.n_colors > 1)}"
    drawn = f"all {all_of_them}"
    if len(some) < histogram.n_colors:
        drawn = f"{len(some):,} of {all_of_them}, drawn by lot, weighted by their pixels"
    height, width = pixels.shape[:2]
    about = f"{width:,} x {height:,} pixels, {all_of_them}"
    meta = {"name": _name_of(image), "about": about, "variance": one.inertia}
    small = preview(pixels)
    original = _as_uri(Image.fromarray(small), "JPEG" if small.shape[2] == 3 else "PNG")
    views = [_view(original, f"original: {about}", some, None)]
    for result in results:
        ordered = in_order(result, "share")
        source = _as_uri(paint(small, ordered, n_threads=n_threads), "PNG")
        views.append(_view(source, f"K = {len(result.counts)}, of {about}", some, ordered))
    from ._explored import ExploredFigure  # which needs Plotly

    # Dicts, not Plotly's classes, each of which would check all the colours once more.
    figure = ExploredFigure(
        data=_traces(original, histogram.colors[some], histogram.counts[some], results),
        layout=_layout(views, drawn, small.shape) | {"meta": meta},
        frames=views,
    )
    if not results:
        halves = {name: (domain[0], [0.0, 1.0]) for name, domain in WIDE_DOMAINS.items()}
        bare = {f"{axis}{at}.visible": False for axis in ("xaxis", "yaxis") for at in (2, 3)}
        figure.layout.sliders = figure.layout.updatemenus = ()
        return figure.update_layout(bare | places(halves, PLAIN_HEIGHT))
    highest = max([1.0, *(result.inertia for result in results)])
    changes = {"yaxis3.range": [0, 1.05 * highest], **places(WIDE_DOMAINS, WIDE_HEIGHT)}
    return figure.update_layout(changes)


def _name_of(image: Any) -> str:
    return os.path.basename(os.fspath(image)) if isinstance(image, str | os.PathLike) else ""


def check_increasing(ks: Sequence[int]) -> list[int]:
    """Return the numbers of clusters as ints."""
    numbers = [check_integer("ks", k, 1) for k in ks]
    if any(b <= a for a, b in zip(numbers, numbers[1:], strict=False)):
        raise ValueError(f"ks={numbers} does not increase; give sorted(set(ks))")
    return numbers


def visible_rgb(image: NDArray[Any] | Image.Image | Source) -> NDArray[np.uint8]:
    """Return 8-bit RGB pixels; RGBA, of 0 and 255, where some are fully transparent."""
    pixels, _ = as_picture(image)
    rgb = np.ascontiguousarray(with_channels(to_uint8(pixels), 3))
    if pixels.shape[2] == 4 and not (seen := pixels[..., 3] > 0).all():
        return np.dstack([rgb, np.where(seen, 255, 0).astype(np.uint8)])
    return rgb


def choose_colors(counts: NDArray[np.int64], n: int, seed: int) -> NDArray[np.intp]:
    """Return the positions of at most `n` colours, by lot, in order; the more pixels the likelier.

    An exponential key over the count each, the least win: that is a draw without replacement.
    """
    if counts.size <= n:
        return np.arange(counts.size)
    keys = np.random.default_rng(seed).exponential(size=counts.size) / counts
    return np.sort(np.argpartition(keys, n - 1)[:n])


def preview(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture of no more pixels than a page shows, each of them seen or not."""
    height, width = pixels.shape[:2]
    scale = min(1.0, PREVIEW / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    image = Image.fromarray(pixels).resize(size, Image.Resampling.BOX, reducing_gap=3.0)
    if image.mode == "RGBA":
        image.putalpha(image.getchannel("A").point(lambda alpha: 255 * (alpha >= 128)))
    return np.asarray(image)


def _as_uri(image: Image.Image, form: str) -> str:
    file = io.BytesIO()
    image.save(file, form, quality=88)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


def _hex(colors: NDArray[np.uint8]) -> list[str]:
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colors.tolist()]


def _traces(
    original: str,
    colors: NDArray[np.uint8],
    counts: NDArray[np.int64],
    results: list[KMeansResult],
) -> list[dict[str, Any]]:
    """Return the traces of the first view."""
    cloud = {
        "type": "scatter3d",
        **dict(zip("xyz", colors.T, strict=True)),
        "mode": "markers",
        "hovertemplate": "red %{x}, green %{y}, blue %{z}<extra></extra>",
        "scene": "scene",
    }
    size = 2.0 + 8.0 * np.sqrt(counts / counts.max())
    dots = {"size": size.round(2), "line": {"width": 0}, "opacity": 0.9}
    on_curve = {"type": "scatter", "xaxis": "x3", "yaxis": "y3"}
    nothing: dict[str, Any] = {"x": [], "y": []}
    by_place = {
        IMAGE: {"type": "image", "source": original, "hoverinfo": "skip"},
        OWN: cloud | {"visible": True, "marker": dots | {"color": _hex(colors)}},
        SWATCHES: {
            "type": "bar",
            "textposition": "outside",
            "cliponaxis": False,
            "hovertemplate": "%{customdata}: %{y:.2f} %<extra></extra>",
            "xaxis": "x2",
            "yaxis": "y2",
            **nothing,
        },
        CURVE: {
            "x": [len(result.counts) for result in results],
            "y": [result.inertia for result in results],
            "mode": "lines+markers",
            "line": {"color": "#888"},
            "hovertemplate": "K = %{x}: %{y:.4s}<extra></extra>",
            **on_curve,
        },
        PLACE: {
            "mode": "markers",
            "marker": {"size": 13, "color": "#d1495b"},
            "hoverinfo": "skip",
            **on_curve,
            **nothing,
        },
        CLUSTERS: cloud | {"visible": False, "marker": dots},
    }
    return [by_place[at] for at in sorted(by_place)]


def _view(
    source: str, title: str, some: NDArray[np.intp], result: KMeansResult | None
) -> dict[str, Any]:
    """Return the frame of a fit, or (None) of the picture, whose colours only come and go."""
    name, names, shares, on_curve, clusters = "original", [], [], [], {}
    if result is not None and result.palette is not None:
        name, names = str(len(result.counts)), _hex(result.palette)
        on_curve = [result.inertia]
        shares = (100.0 * result.counts / result.counts.sum()).tolist()
        edges = np.repeat(np.arange(len(names) + 1) / len(names), 2)[1:-1].tolist()
        clusters["marker"] = {
            "color": result.labels[some],
            "colorscale": [[x, names[i // 2]] for i, x in enumerate(edges)],
            "cmin": -0.5,
            "cmax": len(names) - 0.5,
        }
    k = len(names)
    ticks = list(range(1, k + 1))
    changes = {
        IMAGE: {"type": "image", "source": source},
        OWN: {"type": "scatter3d", "visible": result is None},
        SWATCHES: {
            "type": "bar",
            "x": ticks,
            "y": shares,
            "marker": {"color": names, "line": {"color": "#888", "width": 0.5}},
            "text": [f"{share:.3g}" for share in shares],
            "customdata": names,
        },
        PLACE: {"type": "scatter", "x": ticks[-1:], "y": on_curve},
        CLUSTERS: {"type": "scatter3d", "visible": result is not None, **clusters},
    }
    layout = {
        "title": {"text": title},
        "xaxis2": {  # the colours, below the swatches
            "anchor": "y2",
            "range": [0.4, k + 0.6],
            "tickvals": ticks,
            "ticktext": names,
            "tickangle": 0 if k <= 8 else 90,
            "tickfont": {"size": 11},
            "showgrid": False,
        },
        "yaxis2": {  # their shares, in per cent
            "anchor": "x2",
            "range": [0, 1.2 * max(shares, default=1.0)],
            "ticksuffix": " %",
            "nticks": 4,
            "visible": k > 0,
        },
    }
    data = list(changes.values())
    return {"name": name, "data": data, "traces": list(changes), "layout": layout}


def _layout(views: list[dict[str, Any]], drawn: str, shape: tuple[int, ...]) -> dict[str, Any]:
    """Return what surrounds the first view, and moves to the others."""
    first = views[0]["layout"]
    hidden = {"visible": False, "constrain": "domain"}
    axis = {"range": [0, 255], "backgroundcolor": BACKGROUND, "gridcolor": "#d8d8d4"}
    return {
        **first,
        "title": {"x": 0.02, "font": {"size": 16}, **first["title"]},
        "showlegend": False,
        "modebar": {"orientation": "v"},
        "paper_bgcolor": BACKGROUND,
        "plot_bgcolor": "white",
        "margin": {"l": 16, "r": 16, "t": 56, "b": 96},
        "xaxis": hidden | {"range": [-0.5, shape[1] - 0.5]},
        "yaxis": hidden | {"range": [shape[0] - 0.5, -0.5], "scaleanchor": "x"},
        "xaxis3": {"title": {"text": "K"}, "anchor": "y3", "nticks": 8},
        "yaxis3": {
            "title": {"text": "inertia"},
            "anchor": "x3",
            "nticks": 4,
            "exponentformat": "SI",
        },
        "scene": {
            "xaxis": {"title": {"text": "red"}, **axis},
            "yaxis": {"title": {"text": "green"}, **axis},
            "zaxis": {"title": {"text": "blue"}, **axis},
            "aspectmode": "cube",
            "camera": {"eye": {"x": 1.3, "y": -1.3, "z": 0.8}, "center": {"z": -0.1}},
            "uirevision": "kept",  # the view that the reader turned to stays
        },
        "annotations": [
            {
                "text": drawn,
                "xref": "paper",
                "yref": "paper",
                "x": 1.0,
                "xanchor": "right",
                "yanchor": "top",
                "showarrow": False,
                "font": {"size": 11, "color": "#666"},
            }
        ],
        "sliders": [
            {
                "x": 0.09,
                "len": 0.91,
                "y": 0.0,
                "pad": {"t": 32},
                "currentvalue": {"prefix": "colours: ", "font": {"size": 14}},
                "steps": [_button(view["name"], [view["name"]]) for view in views],
            }
        ],
        "updatemenus": [
            {
                "type": "buttons",
                "direction": "left",
                "showactive": False,
                "x": 0.0,
                "y": 0.0,
                "pad": {"t": 44},
                "buttons": [
                    _button("\u25b6", None, FRAME_MS, fromcurrent=True),  # play
                    _button("\u25a0", [None]),  # stop
                ],
            }
        ],
    }


def _button(label: str, frames: list[Any] | None, ms: int = 0, **options: Any) -> dict[str, Any]:
    """Return what shows frames (None: all), each so long."""
    options |= {"frame": {"duration": ms, "redraw": True}, "transition": {"duration": 0}}
    return {"label": label, "method": "animate", "args": [frames, {"mode": "immediate"} | options]}


def places(domains: dict[str, Domains], height: int) -> dict[str, Any]:
    """Return what puts everything in its place, as ``Plotly.relayout`` takes it."""
    changes: dict[str, Any] = {"height": height, "annotations[0].y": domains["scene"][1][0]}
    for at, name in (("", "picture"), ("2", "palette"), ("3", "curve")):
        changes[f"xaxis{at}.domain"], changes[f"yaxis{at}.domain"] = domains[name]
    changes["scene.domain.x"], changes["scene.domain.y"] = domains["scene"]
    return changes

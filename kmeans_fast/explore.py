"""A picture, its colours in space, and what k-means makes of both, with a slider over K."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .api import assign, sweep
from .checks import check_integer
from .colors.histogram import ColorHistogram
from .painting import as_picture, in_order, with_channels
from .pictures.identify import Source
from .pictures.reading import to_uint8
from .result import KMeansResult
from .spaces import Space

if TYPE_CHECKING:
    import plotly.graph_objects as go

MOST_POINTS = 20_000  # drawn in the scatter plot, of the colours that the picture has
PREVIEW = 640  # pixels of the longer side of the picture as it is shown
BACKGROUND = "#f4f4f2"
FRAME_MS = 900

# Where things stand in the figure, (x, y) domains.
WIDE_DOMAINS = {
    "picture": ([0.0, 0.48], [0.34, 1.0]),
    "scene": ([0.52, 1.0], [0.34, 1.0]),
    "palette": ([0.04, 0.48], [0.09, 0.26]),
    "curve": ([0.58, 1.0], [0.09, 0.26]),
}
WIDE_HEIGHT = 820


def explore(
    image: NDArray[Any] | Image.Image | Source,
    ks: Sequence[int] = range(1, 21),
    *,
    max_points: int = MOST_POINTS,
    space: Space = "rgb",
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
        out, with a warning.
    max_points : int
        How many colours to draw at most; where there are more they are drawn by lot, each with a
        chance that grows with its pixels. The fits see all of them.
    space, max_iter
        As in `fit`.
    random_state : int
        The seed of the fits and of the lot.
    n_threads : int, optional
        Threads to use; all by default.

    Returns
    -------
    plotly.graph_objects.Figure
        ``figure.show()`` opens it; `kmeans_fast.page.write_page` makes a file that opens without
        a network.

    Raises
    ------
    ImportError
        Plotly is not installed: ``pip install 'kmeans_fast[viz]'``.
    TypeError, ValueError
        `image` is no picture or has nothing to see, or `ks` is empty or does not increase.

    Examples
    --------
    >>> import numpy as np
    >>> import kmeans_fast as kf
    >>> ramp = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    >>> figure = kf.explore(ramp, ks=[1, 2, 4])
    >>> [step.label for step in figure.layout.sliders[0].steps]
    ['original', '1', '2', '4']
    """
    go = import_plotly()
    max_points = check_integer("max_points", max_points, 1)
    ks = check_increasing(ks)
    pixels, visible = visible_rgb(image)
    histogram = ColorHistogram()
    histogram.update(pixels[visible][np.newaxis] if visible is not None else pixels)
    shown = [k for k in ks if k <= histogram.n_colors] or [histogram.n_colors]
    if len(shown) < len(ks):
        warnings.warn(
            f"ks goes to {ks[-1]}, and the picture has {histogram.n_colors} distinct colours: "
            f"the slider ends at {shown[-1]}",
            RuntimeWarning,
            stacklevel=2,
        )
    results = [
        _by_share(result)
        for result in sweep(
            histogram,
            shown,
            space=space,
            max_iter=max_iter,
            random_state=random_state,
            n_threads=n_threads,
        )
    ]
    some = choose_colors(histogram.counts, max_points, random_state)
    return _figure(go, Picture(pixels, visible), histogram, some, results, n_threads)


# ------------------------------------------------------------------------ what is shown


def check_increasing(ks: Sequence[int]) -> list[int]:
    """Return the numbers of clusters as ints."""
    numbers = [check_integer("ks", k, 1) for k in ks]
    if not numbers:
        raise ValueError("ks is empty; give at least one number of clusters")
    if any(b <= a for a, b in zip(numbers, numbers[1:], strict=False)):
        raise ValueError(f"ks={numbers} does not increase; give sorted(set(ks))")
    return numbers


def visible_rgb(
    image: NDArray[Any] | Image.Image | Source,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_] | None]:
    """Return 8-bit RGB pixels, and which of them can be seen (None: all)."""
    pixels, _ = as_picture(image)
    visible = None
    if pixels.shape[2] == 4 and (pixels[..., 3] == 0).any():
        visible = pixels[..., 3] > 0
        if not visible.any():
            raise ValueError("image has no pixel to be seen: all are fully transparent")
    return np.ascontiguousarray(with_channels(to_uint8(pixels), 3)), visible


def choose_colors(counts: NDArray[np.int64], n: int, seed: int) -> NDArray[np.intp]:
    """Return the positions of at most `n` colours, by lot, in order; the more pixels the likelier.

    An exponential key over the count each, the least win: that is a draw without replacement.
    """
    if counts.size <= n:
        return np.arange(counts.size)
    keys = np.random.default_rng(seed).exponential(size=counts.size) / counts
    return np.sort(np.argpartition(keys, n - 1)[:n])


def _by_share(result: KMeansResult) -> KMeansResult:
    ordered = in_order(result, "share")
    assert ordered is not None
    return ordered


class Picture:
    """The picture, reduced to what a page needs."""

    def __init__(self, pixels: NDArray[np.uint8], visible: NDArray[np.bool_] | None) -> None:
        height, width = pixels.shape[:2]
        self.size = (width, height)
        scale = min(1.0, PREVIEW / max(height, width))
        small = max(1, round(width * scale)), max(1, round(height * scale))
        self._rgb = np.asarray(
            Image.fromarray(pixels).resize(small, Image.Resampling.BOX, reducing_gap=3.0)
        )
        self._hidden = None
        if visible is not None:
            mask = Image.fromarray(visible.astype(np.uint8) * 255)
            self._hidden = np.asarray(mask.resize(small, Image.Resampling.BOX)) < 128
        self.shape = self._rgb.shape[:2]

    def original(self) -> str:
        """Return the picture itself."""
        image = Image.fromarray(self._rgb)
        if self._hidden is None:
            return _as_uri(image, "JPEG", quality=88)
        return self._as_png(image)

    def _as_png(self, image: Image.Image) -> str:
        if self._hidden is not None:
            image.putalpha(Image.fromarray(np.where(self._hidden, 0, 255).astype(np.uint8)))
        return _as_uri(image, "PNG")

    def recolored(self, result: KMeansResult, n_threads: int | None) -> str:
        """Return the picture in the colours of a fit."""
        labels = assign(self._rgb, result.centroids, space=result.space, n_threads=n_threads)
        assert result.palette is not None
        k = len(result.palette)
        if k >= 256:  # no room for a transparent entry
            return self._as_png(Image.fromarray(result.palette[labels]))
        if self._hidden is not None:
            labels = np.where(self._hidden, k, labels).astype(np.uint8)
        image = Image.fromarray(labels.astype(np.uint8, copy=False))
        image.putpalette(result.palette.tobytes() + b"\xff\xff\xff")
        return _as_uri(image, "PNG", **({} if self._hidden is None else {"transparency": k}))


def _as_uri(image: Image.Image, form: str, **options: Any) -> str:
    file = io.BytesIO()
    image.save(file, form, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"


# ---------------------------------------------------------------------------- the figure


def import_plotly() -> Any:
    """Return Plotly, or say what brings it."""
    try:
        import plotly.graph_objects as go
    except ImportError:
        raise ImportError("explore needs plotly: pip install 'kmeans_fast[viz]'") from None
    return go


def _hex(colors: NDArray[np.uint8]) -> list[str]:
    return [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in colors.tolist()]


def _figure(
    go: Any,
    picture: Picture,
    histogram: ColorHistogram,
    some: NDArray[np.intp],
    results: list[KMeansResult],
    n_threads: int | None,
) -> go.Figure:
    """Return the first view, in the original colours, and a frame for each K."""
    n_colors, n_drawn = histogram.n_colors, len(some)
    drawn = f"all {n_colors:,} colours"
    if n_drawn < n_colors:
        drawn = f"{n_drawn:,} of {n_colors:,} colours, drawn by lot, weighted by their pixels"
    width, height = picture.size
    about = f"{width:,} x {height:,} pixels, {n_colors:,} colours"
    title = f"original: {about}"
    ks = [len(result.centroids) for result in results]
    inertia = [result.inertia for result in results]
    # Dicts, not Plotly's classes, each of which would check all the colours once more.
    traces = _traces(picture, histogram.colors[some], histogram.counts[some], ks, inertia)
    frames = [_frame("original", traces, title, [], [])]
    for k, result in zip(ks, results, strict=True):
        shares = (100.0 * result.counts / result.counts.sum()).tolist()
        assert result.palette is not None
        names = _hex(result.palette)
        changed = _view(names, shares, result.labels[some], result.inertia)
        changed[IMAGE] = {"type": "image", "source": picture.recolored(result, n_threads)}
        frames.append(_frame(str(k), changed, f"K = {k}, of {about}", names, shares))
    layout = _layout(title, drawn, ks, inertia, picture.shape)
    return go.Figure(data=traces, layout=layout, frames=frames)


# The traces: picture, colours as they are, swatches, curve, place on the curve, colours by cluster.
IMAGE, OWN, SWATCHES, CURVE, PLACE, CLUSTERS = range(6)
CHANGING = [IMAGE, OWN, SWATCHES, PLACE, CLUSTERS]


def _traces(
    picture: Picture,
    colors: NDArray[np.uint8],
    counts: NDArray[np.int64],
    ks: list[int],
    inertia: list[float],
) -> list[dict[str, Any]]:
    """Return the traces of the first view."""
    cloud = {
        "type": "scatter3d",
        "x": colors[:, 0],
        "y": colors[:, 1],
        "z": colors[:, 2],
        "mode": "markers",
        "hovertemplate": "red %{x}, green %{y}, blue %{z}<extra></extra>",
        "scene": "scene",
    }
    size = 2.0 + 8.0 * np.sqrt(counts / counts.max())
    dots = {"size": size.round(2), "line": {"width": 0}, "opacity": 0.9}
    traces: list[dict[str, Any]] = [{}] * 6
    traces[IMAGE] = {"type": "image", "source": picture.original(), "hoverinfo": "skip"}
    traces[OWN] = cloud | {"visible": True, "marker": dots | {"color": _hex(colors)}}
    traces[CLUSTERS] = cloud | {"visible": False, "marker": dots}
    traces[SWATCHES] = {
        "type": "bar",
        "x": [],
        "y": [],
        "textposition": "outside",
        "cliponaxis": False,
        "hovertemplate": "%{customdata}: %{y:.2f} %<extra></extra>",
        "xaxis": "x2",
        "yaxis": "y2",
    }
    on_curve = {"type": "scatter", "xaxis": "x3", "yaxis": "y3"}
    traces[CURVE] = on_curve | {
        "x": ks,
        "y": inertia,
        "mode": "lines+markers",
        "line": {"color": "#888"},
        "hovertemplate": "K = %{x}: %{y:.4s}<extra></extra>",
    }
    traces[PLACE] = on_curve | {
        "x": [],
        "y": [],
        "mode": "markers",
        "marker": {"size": 13, "color": "#d1495b"},
        "hoverinfo": "skip",
    }
    return traces


def _view(
    names: list[str], shares: list[float], labels: NDArray[Any], inertia: float
) -> list[dict[str, Any]]:
    """Return what a fit changes in each trace, but for the picture."""
    k = len(names)
    edges = np.repeat(np.arange(k + 1) / k, 2)[1:-1].tolist()
    traces: list[dict[str, Any]] = [{}] * 6
    traces[OWN] = {"type": "scatter3d", "visible": False}
    traces[CLUSTERS] = {
        "type": "scatter3d",
        "visible": True,
        "marker": {
            "color": labels,
            "colorscale": [[x, names[i // 2]] for i, x in enumerate(edges)],
            "cmin": -0.5,
            "cmax": k - 0.5,
        },
    }
    traces[SWATCHES] = {
        "type": "bar",
        "x": list(range(1, k + 1)),
        "y": shares,
        "marker": {"color": names, "line": {"color": "#888", "width": 0.5}},
        "text": [f"{share:.3g}" for share in shares],
        "customdata": names,
    }
    traces[PLACE] = {"type": "scatter", "x": [k], "y": [inertia]}
    return traces


def _frame(
    name: str, traces: list[dict[str, Any]], title: str, names: list[str], shares: list[float]
) -> dict[str, Any]:
    """Return a frame; the colours as they are, once drawn, only come and go."""
    data = [traces[at] for at in CHANGING]
    if not names:
        clouds = ({"type": "scatter3d", "visible": at == OWN} for at in (OWN, CLUSTERS))
        data[CHANGING.index(OWN)], data[CHANGING.index(CLUSTERS)] = clouds
    layout = {"title": {"text": title}, **_palette_axes(names, shares)}
    return {"name": name, "data": data, "traces": CHANGING, "layout": layout}


def _palette_axes(names: list[str], shares: list[float]) -> dict[str, Any]:
    """Return the axes of the swatches: their colours below them, their shares in per cent."""
    k = len(names)
    return {
        "xaxis2": {
            "anchor": "y2",
            "range": [0.4, k + 0.6],
            "tickvals": list(range(1, k + 1)),
            "ticktext": names,
            "tickangle": 0 if k <= 8 else 90,
            "tickfont": {"size": 11},
            "showgrid": False,
        },
        "yaxis2": {
            "anchor": "x2",
            "range": [0, 1.2 * max(shares, default=1.0)],
            "ticksuffix": " %",
            "nticks": 4,
            "visible": k > 0,
        },
    }


def _layout(
    title: str, drawn: str, ks: list[int], inertia: list[float], shape: tuple[int, int]
) -> dict[str, Any]:
    move = {"frame": {"duration": FRAME_MS, "redraw": True}, "transition": {"duration": 0}}
    jump = {"frame": {"duration": 0, "redraw": True}, "transition": {"duration": 0}}
    names = ["original", *map(str, ks)]
    axis = {"range": [0, 255], "backgroundcolor": BACKGROUND, "gridcolor": "#d8d8d4"}
    layout: dict[str, Any] = {
        "title": {"text": title, "x": 0.02, "font": {"size": 16}},
        "height": WIDE_HEIGHT,
        "showlegend": False,
        "modebar": {"orientation": "v"},
        "paper_bgcolor": BACKGROUND,
        "plot_bgcolor": "white",
        "margin": {"l": 16, "r": 16, "t": 56, "b": 96},
        "xaxis": {"visible": False, "range": [-0.5, shape[1] - 0.5], "constrain": "domain"},
        "yaxis": {
            "visible": False,
            "range": [shape[0] - 0.5, -0.5],
            "scaleanchor": "x",
            "constrain": "domain",
        },
        **_palette_axes([], []),
        "xaxis3": {"title": {"text": "K"}, "anchor": "y3", "nticks": 8},
        "yaxis3": {
            "title": {"text": "inertia"},
            "anchor": "x3",
            "nticks": 4,
            "exponentformat": "SI",
            "range": [0, 1.05 * max(max(inertia), 1.0)],
        },
        "scene": {
            "xaxis": {"title": {"text": "red"}, **axis},
            "yaxis": {"title": {"text": "green"}, **axis},
            "zaxis": {"title": {"text": "blue"}, **axis},
            "aspectmode": "cube",
            "camera": {
                "eye": {"x": 1.3, "y": -1.3, "z": 0.8},
                "center": {"x": 0, "y": 0, "z": -0.1},
            },
            "uirevision": "kept",  # the view that the reader turned to stays
        },
        "annotations": [
            {
                "text": drawn,
                "xref": "paper",
                "yref": "paper",
                "x": 1.0,
                "y": 0.33,
                "xanchor": "right",
                "yanchor": "top",
                "showarrow": False,
                "font": {"size": 11, "color": "#666"},
            }
        ],
        "sliders": [
            {
                "active": 0,
                "x": 0.09,
                "len": 0.91,
                "y": 0.0,
                "pad": {"t": 32},
                "currentvalue": {"prefix": "colours: ", "font": {"size": 14}},
                "steps": [
                    {
                        "label": name,
                        "method": "animate",
                        "args": [[name], {"mode": "immediate", **jump}],
                    }
                    for name in names
                ],
            }
        ],
        "updatemenus": [
            {
                "type": "buttons",
                "direction": "left",
                "showactive": False,
                "x": 0.0,
                "y": 0.0,
                "xanchor": "left",
                "yanchor": "top",
                "pad": {"t": 44},
                "buttons": [
                    {
                        "label": "\u25b6",
                        "method": "animate",
                        "args": [None, {"fromcurrent": True, "mode": "immediate", **move}],
                    },
                    {
                        "label": "\u25a0",
                        "method": "animate",
                        "args": [[None], {"mode": "immediate", **jump}],
                    },
                ],
            }
        ],
    }
    return _placed(layout, WIDE_DOMAINS)


def _placed(
    layout: dict[str, Any], domains: dict[str, tuple[list[float], list[float]]]
) -> dict[str, Any]:
    for at, name in (("", "picture"), ("2", "palette"), ("3", "curve")):
        layout[f"xaxis{at}"]["domain"], layout[f"yaxis{at}"]["domain"] = domains[name]
    layout["scene"]["domain"] = dict(zip("xy", domains["scene"], strict=True))
    return layout

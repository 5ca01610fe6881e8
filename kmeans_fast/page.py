"""A page of one file, without a network, around a figure of `explore`."""

from __future__ import annotations

import json
import os
from string import Template
from typing import TYPE_CHECKING

from .exploring import (
    BACKGROUND,
    WIDE_DOMAINS,
    WIDE_HEIGHT,
    Domains,
    import_plotly,
    places,
)
from .pictures.saving import check_target, write_whole

if TYPE_CHECKING:
    import plotly.graph_objects as go

NARROW = 760  # CSS pixels of width below which everything stands in one column
NARROW_DOMAINS: dict[str, Domains] = {
    "picture": ([0.0, 1.0], [0.74, 1.0]),
    "scene": ([0.0, 1.0], [0.36, 0.72]),
    "palette": ([0.1, 1.0], [0.22, 0.32]),
    "curve": ([0.14, 1.0], [0.05, 0.15]),
}
NARROW_HEIGHT = 1240

# The picture and the slider are drawn before the scatter plot and before the frames are read: where
# WebGL runs in software, as in a headless browser, that is after 2.3 s instead of 4.5.
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A picture and its colours</title>
<style>body { margin: 0; background: $background; overflow-x: hidden; }</style>
<script>$plotly</script>
</head>
<body>
<div id="plot"></div>
<script type="application/json" id="first">$first</script>
<script type="application/json" id="frames">$frames</script>
<script>
const parsed = (id) => JSON.parse(document.getElementById(id).textContent);
const plot = document.getElementById('plot');
const wide = $wide, narrow = $narrow;
let column = false;
function place() {
  const next = window.innerWidth < $limit;
  if (next !== column) { column = next; Plotly.relayout(plot, next ? narrow : wide); }
}
const first = parsed('first');
if (window.innerWidth < $limit) {
  column = true;
  for (const [key, value] of Object.entries(narrow)) {
    const path = key.replace('[', '.').replace(']', '').split('.');
    path.slice(0, -1).reduce((part, name) => part[name], first.layout)[path.at(-1)] = value;
  }
}
const {scene, ...flat} = first.layout;
const clouds = [], others = [];
first.data.forEach((trace) => (trace.type === 'scatter3d' ? clouds : others).push(trace));
const places = clouds.map((trace) => first.data.indexOf(trace));
Plotly.newPlot(plot, others, flat, {responsive: true, displaylogo: false})
  .then(() => setTimeout(() => {
    plot.layout.scene = scene;
    Plotly.addTraces(plot, clouds, places)
      .then(() => Plotly.addFrames(plot, parsed('frames').frames));
  }, 0));
window.addEventListener('resize', place);
</script>
</body>
</html>
"""


def write_page(figure: go.Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure of `explore` as one HTML file that needs no network, whole or not at all.

    Parameters
    ----------
    figure : plotly.graph_objects.Figure
    path : str or path
        The page; narrow screens get everything in one column.

    Raises
    ------
    OSError
        The folder is missing, it or the file is not writable, or the disk is full.
    """
    from plotly.offline import get_plotlyjs

    check_target(path)
    go = import_plotly()
    parts = {
        "background": BACKGROUND,
        "plotly": get_plotlyjs(),
        "first": go.Figure(data=figure.data, layout=figure.layout).to_json(),
        "frames": go.Figure(frames=figure.frames, layout={"template": "none"}).to_json(),
        "limit": NARROW,
        "wide": json.dumps(places(WIDE_DOMAINS, WIDE_HEIGHT)),
        "narrow": json.dumps(places(NARROW_DOMAINS, NARROW_HEIGHT)),
    }
    for name in ("first", "frames"):
        parts[name] = parts[name].replace("</", "<\\/")  # no data can end its script
    write_whole(path, lambda file: file.write(Template(PAGE).substitute(parts).encode()))

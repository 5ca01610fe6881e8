"""The plots of a profile, as PNG files and as one HTML page that needs no network."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from statistics import median
from typing import Any

from . import peers
from .measure import progress
from .model import ALL_STAGES, points_of, stage_ms

PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Profile of a k-means fit</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; }}
figure {{ margin: 1.5rem 0; }}
svg {{ width: 100%; height: auto; }}
.wide {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: 0.25rem 0.6rem; border-bottom: 1px solid #ddd; text-align: right; }}
th:first-child, td:first-child {{ text-align: left; }}
code {{ background: #f3f3f3; padding: 0 0.2em; }}
</style>
{body}
</html>
"""
COLORS = {
    "count": "#1b6ca8",
    "gather": "#62a87c",
    "seed": "#e0a458",
    "iterate": "#c8553d",
    "label": "#6d5a9e",
    "rest": "#9a9a9a",
}


def write(profile: dict[str, Any], text: str, folder: Path) -> None:
    """Write a PNG for each plot, and ``profile.html``; without Matplotlib, the page alone."""
    figures: dict[str, str] = {}
    try:
        figures = draw(profile, folder)
    except ImportError as error:
        progress(f"no plots ({error}): pip install 'kmeans_fast[bench]' brings Matplotlib")
    page = folder / "profile.html"
    page.write_text(PAGE.format(body=as_html(text, figures)))
    progress(f"wrote {page}")


def draw(profile: dict[str, Any], folder: Path) -> dict[str, str]:
    """Write the plots as PNG; return them as SVG, by the heading that they go under."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.fonttype": "none", "axes.grid": True, "grid.alpha": 0.3})
    from matplotlib import pyplot

    found = {}
    for heading, name, plot in (
        ("Time against size", "size", _size),
        ("Time against K", "k", _k),
        ("Time against cores", "cores", _cores),
        ("Beside the peers", "peers", _peers),
    ):
        figure, axes = pyplot.subplots(figsize=(8, 4.8), layout="constrained")
        if plot(profile, axes):
            figure.savefig(folder / f"profile-{name}.png", dpi=110)
            svg = io.StringIO()
            figure.savefig(svg, format="svg", metadata={"Date": None})
            found[heading] = re.sub(r"^.*?(?=<svg)", "", svg.getvalue(), flags=re.DOTALL)
        pyplot.close(figure)
    return found


def _size(profile: dict[str, Any], axes: Any) -> bool:
    points = points_of(profile, "sizes")
    if not points:
        return False
    x = [p["megapixels"] for p in points]
    axes.plot(x, [1e3 * median(p["seconds"]) for p in points], "o-", color="black", label="fit")
    for stage in ALL_STAGES[:-1]:
        y = [stage_ms(p)[stage] for p in points]
        axes.plot(x, y, "-", lw=1, color=COLORS[stage], label=stage)
    for name, style, label in (
        ("copy", "--", "image.copy()"),
        ("floor", ":", "the memory's floor: read pixels, write labels"),
    ):
        axes.plot(x, [1e3 * median(p[name]) for p in points], style, color="#555", label=label)
    axes.set(xscale="log", yscale="log", xlabel="megapixels", ylabel="milliseconds")
    axes.set_title(f"K = {points[0]['k']}, {points[0]['threads']} threads")
    axes.legend(fontsize="small")
    return True


def _k(profile: dict[str, Any], axes: Any) -> bool:
    points = points_of(profile, "ks")
    if not points:
        return False
    at = range(len(points))
    below = [0.0] * len(points)
    for stage in ALL_STAGES:
        y = [stage_ms(p)[stage] for p in points]
        axes.bar(at, y, bottom=below, color=COLORS[stage], label=stage)
        below = [a + b for a, b in zip(below, y, strict=True)]
    axes.set_xticks(at, [f"{p['k']:,}" for p in points])
    axes.set(xlabel="K", ylabel="milliseconds")
    axes.set_title(f"{points[0]['megapixels']:.3g} megapixels, {points[0]['threads']} threads")
    axes.legend(fontsize="small")
    return True


def _cores(profile: dict[str, Any], axes: Any) -> bool:
    points = points_of(profile, "cores")
    if not points:
        return False
    x = [p["threads"] for p in points]
    axes.plot(x, x, "--", color="#555", label="ideal")
    one = points[0]
    y = [median(one["seconds"]) / median(p["seconds"]) for p in points]
    axes.plot(x, y, "o-", color="black", label="fit")
    for stage in ALL_STAGES[:-1]:
        if stage_ms(one)[stage] > 0.5:
            y = [stage_ms(one)[stage] / max(stage_ms(p)[stage], 1e-9) for p in points]
            axes.plot(x, y, "-", lw=1, color=COLORS[stage], label=stage)
    if len(x) > 1:
        axes.set_xscale("log", base=2)
        axes.set_yscale("log", base=2)
    axes.set_xticks(x, [str(n) for n in x])
    axes.set_yticks(x, [str(n) for n in x])
    axes.minorticks_off()
    axes.set(xlabel="threads", ylabel="times the speed on one")
    axes.set_title(f"{one['megapixels']:.3g} megapixels, K = {one['k']}")
    axes.legend(fontsize="small")
    return True


def _peers(profile: dict[str, Any], axes: Any) -> bool:
    curves = profile.get("peers", [])
    if not curves:
        return False
    for name in dict.fromkeys(name for curve in curves for name in curve["seconds"]):
        known = [curve for curve in curves if name in curve["seconds"]]
        x = [curve["k"] for curve in known]
        y = [1e3 * median(curve["seconds"][name]) for curve in known]
        ours = {"color": "black", "lw": 2} if name == "kmeans_fast" else {}
        axes.plot(x, y, "o-", label=peers.NAMES.get(name, name), **ours)
    axes.set(xscale="log", yscale="log", xlabel="K", ylabel="milliseconds")
    axes.set_title(f"{curves[0]['megapixels']:.3g} megapixels, ten iterations from the same start")
    axes.legend(fontsize="small")
    return True


def as_html(text: str, figures: dict[str, str]) -> str:
    """Return the Markdown that `model` writes as HTML, each figure under its heading."""
    parts = []
    for block in text.strip().split("\n\n"):
        if block.startswith("#"):
            marks, title = block.split(" ", 1)
            parts.append(f"<h{len(marks)}>{html.escape(title)}</h{len(marks)}>")
            if title in figures:
                parts.append(f"<figure>{figures[title]}</figure>")
        elif block.startswith("|"):
            head, _, *rows = (
                [_inline(c) for c in r.strip("| ").split(" | ")] for r in block.splitlines()
            )
            lines = ["<tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"]
            lines += [
                "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows
            ]
            parts.append('<div class="wide"><table>' + "\n".join(lines) + "</table></div>")
        elif block.startswith("- "):
            items = [f"<li>{_inline(line[2:])}</li>" for line in block.splitlines()]
            parts.append("<ul>" + "\n".join(items) + "</ul>")
        else:
            parts.append(f"<p>{_inline(block)}</p>")
    return "\n".join(parts)


def _inline(text: str) -> str:
    text = html.escape(text, quote=False)
    text = re.sub(r"`(.+?)`", r"<code>\1</code>", text)
    text = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", text)
    return re.sub(r"\*(\S.*?)\*", r"<i>\1</i>", text)

"""The README's figures: a picture cut down to a palette as people do it: ``python -m bench front``.

Everybody's defaults, without dithering, on one picture; how it is measured is as for ``peers``.
``--image photo.jpg --megapixels 0`` takes all pixels of a photograph instead of those made in code.
The table and the chart are of the larger number of colours.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from . import lab
from .contestants import ALL
from .lab import Record
from .peers import megabytes, ratio, take

OURS = ("kmeans_fast-defaults", "kmeans_fast-command")
# As people call it.
CALLS = {
    "kmeans_fast-defaults": "**kmeans_fast**: `kf.quantize(picture, K)`",
    "sklearn-defaults": "scikit-learn: `KMeans(K).fit(pixels)`",
    "imagequant": "imagequant",
    "pngquant": "pngquant, PNG to PNG",
    "pillow": "Pillow: `quantize(K)`, median cut",
}
BARS = {
    "kmeans_fast-defaults": "kmeans_fast",
    "kmeans_fast-command": "kmeans_fast, PNG to PNG",
    "sklearn-defaults": "scikit-learn",
    "imagequant": "imagequant",
    "pngquant": "pngquant, PNG to PNG",
    "pillow": "Pillow, median cut",
}
FONTS = ["Inter", "Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"]
# Text, what is faint, bars, the bar of ours; on a page that is light, and on one that is dark.
COLORS = {
    "light": ("#1f2328", "#59636e", "#c4ccd4", "#0969da"),
    "dark": ("#f0f6fc", "#9198a1", "#4a535d", "#4493f8"),
}


def case_of(record: Record) -> Record:
    """Return what was measured with the most colours."""
    return max(record["cases"], key=lambda case: case["k"])


def shown(record: Record, names: Iterable[str]) -> list[Record]:
    """Return the rows of the table or of the chart, the fastest first."""
    rows = [row for row in case_of(record)["rows"] if row["name"] in names]
    return sorted(rows, key=lambda row: median(row["seconds"]))


def title_of(record: Record) -> str:
    """Return what is measured."""
    return f"{case_of(record)['k']} colours of a {record['megapixels']:.0f}-megapixel picture"


def as_markdown(record: Record) -> str:
    """Return the README's table, and what it was measured on."""
    case = case_of(record)
    rows = [
        [CALLS[row["name"]].replace("(K)", f"({case['k']})").replace(", K)", f", {case['k']})")]
        + [lab.number(median(row["seconds"])), lab.number(ratio(row, case["rows"]))]
        + [f"{row['error']:.1f}", megabytes(row)]
        for row in shown(record, CALLS)
    ]
    command = next(row for row in case["rows"] if row["name"] == "kmeans_fast-command")
    head = [title_of(record), "seconds", "times ours", "error", "peak memory, MB"]
    return lab.in_columns(head, rows) + (
        "\n\n*Error*: mean squared distance of the pixels to the palette, no dithering; *memory*: "
        "of the whole process, Python and the picture included. pngquant is a program that reads "
        "and writes PNG: it stands beside `kmeans-fast quantize`, which takes "
        f"{lab.number(median(command['seconds']))} s and {megabytes(command)} MB for that. "
        f"Picture: {record['picture']}, {record['colors']:,} colours. "
        f"{lab.measured('front', record)}"
    )


# ------------------------------------------------------------------------------ chart


def digest(record: Record) -> str:
    """Return what tells records apart; a chart carries that of the record it was drawn from."""
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def paths(folder: Path) -> dict[str, Path]:
    """Return the chart's files: for light pages, and for dark ones."""
    return {theme: folder / f"speed-{theme}.png" for theme in COLORS}


def bar(length: float, end: float, at: int) -> list[list[tuple[float, float]]]:
    """Return the outlines of a bar; one that is longer than the axis is cut aslant near its end."""
    top, low, lean, gap = at - 0.31, at + 0.31, 0.008 * end, 0.012 * end
    if length <= end:
        return [[(0, top), (length, top), (length, low), (0, low)]]
    x = 0.93 * end
    return [
        [(0, top), (x + lean, top), (x - lean, low), (0, low)],
        [(x + gap + lean, top), (end, top), (end, low), (x + gap - lean, low)],
    ]


def draw(record: Record, folder: Path) -> None:
    """Write the chart as PNG, on nothing, for light pages and for dark ones.

    Bars are of seconds, on an axis that begins at 0 and ends beyond the second longest.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = shown(record, BARS)
    times = [median(row["seconds"]) for row in rows]
    end = min(times[-1], 1.3 * times[-2])
    says = f"seconds{' (the last bar is cut)' * (times[-1] > end)}, and mean squared error"
    high = 0.74 + 0.42 * len(rows)
    for theme, path in paths(folder).items():
        text, faint, others, own = COLORS[theme]
        with pyplot.rc_context({"font.family": "sans-serif", "font.sans-serif": FONTS}):
            figure = pyplot.figure(figsize=(7.6, high))
            axes = figure.add_axes((0.335, 0.01, 0.665, 0.42 * len(rows) / high))
            for at, (row, taken) in enumerate(zip(rows, times, strict=True)):
                ours = row["name"] in OURS
                for outline in bar(taken, end, at):
                    axes.fill(*zip(*outline, strict=True), color=own if ours else others, lw=0)
                weight = "bold" if ours else "normal"
                style = {"va": "center_baseline", "fontsize": 13.5, "weight": weight}
                axes.text(-0.02 * end, at, BARS[row["name"]], ha="right", color=text, **style)
                beside = axes.annotate(
                    f"{taken:#.2g} s" if taken < 10 else f"{taken:,.0f} s",
                    (min(taken, end), at),
                    (6, 0),
                    textcoords="offset points",
                    color=text,
                    **style,
                )
                axes.annotate(
                    f"error {row['error']:.0f}",
                    (1, 0.5),
                    (8, 0),
                    xycoords=beside,
                    textcoords="offset points",
                    color=faint,
                    **style | {"weight": "normal", "fontsize": 11.5, "va": "center"},
                )
            axes.set(xlim=(0, 1.42 * end), ylim=(len(rows) - 0.5, -0.5))
            axes.axis("off")
            top = {"va": "top", "x": 0.012}
            figure.text(
                y=0.985, s=title_of(record), fontsize=15.5, weight="bold", color=text, **top
            )
            figure.text(y=0.895, s=says, fontsize=12, color=faint, **top)
            figure.savefig(path, dpi=200, transparent=True, metadata={"Record": digest(record)})
            pyplot.close(figure)


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print."""
    known = {name: ALL[name] for name in CALLS if name in ALL}
    print(as_markdown(take("front", __doc__, known, OURS, 3, arguments)))
    return 0

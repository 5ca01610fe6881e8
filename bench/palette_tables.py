"""The tables and the chart of `palettes`, from what it measured, and what we are held to."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean, median

import numpy as np

from . import lab, perceived
from .contestants import ALL, DITHERERS, SEARCHERS
from .front import COLORS, FONTS, digest
from .lab import Record

ENOUGH = 1.0  # seconds: what takes longer runs once
LONG_SEARCH = 24  # `refine` of --best
BEST, MEASURES = "two long searches", ("blurred error", "grain", "DSSIM")
KNOWN = DITHERERS | SEARCHERS | ALL
# The chart leaves out what is the same but for painting, and has short names.
UNDRAWN = ("fit, refine=1",)
DRAWN_AS = {"pillow": "Pillow", "sklearn-defaults": "scikit-learn", "fit, refine=4": "refine=4"}

# What we hold ourselves to: the mean and the worst above the least in percent, times a whole fit.
AIMS = {"fit, refine=1": (0.8, 2.1, 1.6), "fit, refine=4": (0.5, None, 3.0)}
RIVAL, RIVAL_KS, RIVAL_TIME = "imagequant", range(16, 257), 0.5
GRAIN = {16: 1.05, 64: 1.1, 256: 1.15}  # times the rival's


def values(record: Record, name: str, k: int, what: str) -> list[float]:
    """Return one's errors or seconds at a K, by picture; [] unless it ran on all."""
    cases = [case for case in record["cases"] if case["k"] == k]
    found = [case[what][name] for case in cases if name in case[what]]
    return found if len(found) == len(cases) else []


def above(record: Record, name: str, k: int) -> list[float]:
    """Return by how many percent one's errors exceed the least, by picture."""
    if not (found := values(record, name, k, "errors")):
        return []
    least = [min(case["errors"].values()) for case in record["cases"] if case["k"] == k]
    return [100 * (error / low - 1) for error, low in zip(found, least, strict=True)]


def times(record: Record, name: str, k: int, other: str = "fit") -> float:
    """Return the median over pictures of one's time over another's."""
    if not (found := values(record, name, k, "seconds")):
        return float("nan")
    others = values(record, other, k, "seconds")
    return median(one / two for one, two in zip(found, others, strict=True))


def ks_of(record: Record, part: str = "cases") -> list[int]:
    """Return the numbers of colours that were measured."""
    return list(dict.fromkeys(case["k"] for case in record[part]))


def names_of(record: Record) -> list[str]:
    """Return who was measured, the long searches apart."""
    return list(dict.fromkeys(name for case in record["cases"] for name in case["seconds"]))


def title_of(name: str) -> str:
    """Return a contestant's title."""
    return KNOWN[name].title if name in KNOWN else f"**{name}**"


def seen(record: Record, name: str, k: int) -> list[float]:
    """Return the means over pictures of `MEASURES`."""
    cases = [case["seen"] for case in record["dithered"] if case["k"] == k]
    found = [case[name] for case in cases if name in case]
    return [mean(column) for column in zip(*found, strict=True)]


def aims(record: Record) -> list[str]:
    """Return a line for each figure that palettes are held to, and whether it is reached."""
    ks, lines = ks_of(record), []

    def held(says: str, most: float | None, found: Iterable[float], unit: str = "") -> None:
        if most is not None and (numbers := list(found)):
            met = "reached" if max(numbers) <= most else "MISSED"
            lines.append(f"{says}: {max(numbers):.3g}{unit} (at most {most:g}{unit}: {met}).")

    here = names_of(record)
    for name, (middle, worst, taken) in ((n, aim) for n, aim in AIMS.items() if n in here):
        excess = [above(record, name, k) for k in ks]
        held(f"`{name}`, mean above the least, worst K", middle, map(mean, excess), " %")
        held(f"`{name}`, worst picture above the least", worst, map(max, excess), " %")
        held(f"`{name}`, times `fit`, worst K", taken, (times(record, name, k) for k in ks))
    some = [k for k in ks if k in RIVAL_KS and values(record, RIVAL, k, "errors")]
    held(
        f"Pictures and K of {min(RIVAL_KS)} or more where {RIVAL} has the lower error",
        0,
        [sum(n - n_lower for n_lower, n in (lower(record, k) for k in some))] if some else [],
    )
    found = (times(record, "quantize", k, RIVAL) for k in some)
    held(f"`quantize`, times {RIVAL}, worst K of these", RIVAL_TIME, found)
    for k in ks_of(record, "dithered"):
        own, other = seen(record, "quantize, dither=True", k), seen(record, RIVAL, k)
        if other:
            start = f"Dithered at K = {k}, times {RIVAL}'s"
            held(f"{start} blurred error", 1, [own[0] / other[0]])
            held(f"{start} grain", GRAIN[k], [own[1] / other[1]])
    return lines


def missed(record: Record) -> list[str]:
    """Return the lines of what is missed."""
    return [line for line in aims(record) if "MISSED" in line]


def lower(record: Record, k: int) -> tuple[int, int]:
    """Return on how many pictures the error of `quantize` is below the rival's, and of how many."""
    own, other = (values(record, name, k, "errors") for name in ("quantize", RIVAL))
    return sum(one < two for one, two in zip(own, other, strict=True)), len(own)


def as_markdown(record: Record) -> str:
    """Return tables of error, of time and of what the eye sees, and what we are held to."""
    ks, names = ks_of(record), names_of(record)
    errors = [[title_of(n), *(_excess(above(record, n, k)) for k in ks)] for n in names]
    if any(BEST in case["errors"] for case in record["cases"]):
        errors.append([BEST, *(_excess(above(record, BEST, k)) for k in ks)])
    taken = [
        ["**fit**, ms"]
        + [lab.number(1e3 * median(values(record, "fit", k, "seconds"))) for k in ks]
    ]
    taken += [
        [title_of(n), *(_or_dash(times(record, n, k)) for k in ks)] for n in names if n != "fit"
    ]
    parts = [
        lab.in_columns(["% above the least error: mean (worst)", *_heads(ks)], errors),
        lab.in_columns(["times the time of `fit`", *_heads(ks)], taken),
    ]
    if rivals := [k for k in ks if values(record, RIVAL, k, "errors")]:
        rows = [["pictures where its error is lower"], ["its error"], ["its time"]]
        for k in rivals:
            rows[0].append("{} of {}".format(*lower(record, k)))
            pairs = [values(record, n, k, "errors") for n in ("quantize", RIVAL)]
            ratio = mean(one / two for one, two in zip(*pairs, strict=True))
            rows[1].append(f"{ratio:.3f} x")
            rows[2].append(f"{lab.number(times(record, 'quantize', k, RIVAL))} x")
        parts.append(lab.in_columns([f"**quantize** beside {RIVAL}", *_heads(rivals)], rows))
    if some := ks_of(record, "dithered"):
        who = dict.fromkeys(name for case in record["dithered"] for name in case["seen"])
        rows = [
            [title_of(n)] + [" / ".join(f"{x:.3g}" for x in seen(record, n, k)) for k in some]
            for n in who
        ]
        says = f"dithered: {' / '.join(MEASURES)}"
        parts.append(lab.in_columns([says, *_heads(some)], rows))
    parts += ["\n".join(f"- {line}" for line in aims(record)), _notes(record)]
    return "\n\n".join(parts)


def _heads(ks: list[int]) -> list[str]:
    return [f"K = {k}" for k in ks]


def _excess(found: list[float]) -> str:
    return f"{mean(found):.2f} ({max(found):.2f})" if found else "-"


def _or_dash(ratio: float) -> str:
    return "-" if np.isnan(ratio) else lab.number(ratio)


def _notes(record: Record) -> str:
    notes = f"Pictures: {', '.join(record['pictures'])}. *Least*: of all that ran"
    if any(BEST in case["errors"] for case in record["cases"]):
        notes += f", with {BEST} of ours (`refine={LONG_SEARCH}`)"
    notes += (
        f". Times: medians of {record['rounds']} rounds in turn (one of what takes longer than "
        f"{ENOUGH:g} s), and of the pictures. A dash: it took more than {record['patience']:g} s "
        "at a smaller K, or failed. Dithered: means of the pictures; *blurred error*: 100 times "
        f"the difference in OKLab after a blur of {perceived.SIGMA} pixels in linear light; "
        "*grain*: without it; *DSSIM*: 50 times 1 - SSIM."
    )
    if left_out := record["peers left out"]:
        notes += " Left out: " + "; ".join(f"{n}, {why}" for n, why in left_out.items()) + "."
    return f"{notes} {lab.measured('palettes', record)}"


def paths(folder: Path) -> dict[str, Path]:
    """Return the chart's files: for light pages, and for dark ones."""
    return {theme: folder / f"palettes-{theme}.png" for theme in COLORS}


def apart(heights: list[float], gap: float = 0.055) -> list[float]:
    """Return heights moved as little as it takes for names not to cover each other."""
    moved = np.array(heights)
    order = np.argsort(moved)
    for _ in range(200):
        for low, high in itertools.pairwise(order):
            short = gap - (moved[high] - moved[low])
            if short > 0:
                moved[low] -= short / 2
                moved[high] += short / 2
    return moved.tolist()


def draw(record: Record, folder: Path) -> None:
    """Write the chart: against K, what is above the least error, and the time of a picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    ks = ks_of(record)
    panels: dict[str, Callable[[str, int], float]] = {
        "% above the least error": lambda n, k: max(mean(above(record, n, k)), 0.01),
        "milliseconds for a picture": lambda n, k: 1e3 * median(values(record, n, k, "seconds")),
    }
    for theme, path in paths(folder).items():
        text, faint, others, own = COLORS[theme]
        style = {"font.family": "sans-serif", "font.sans-serif": FONTS, "axes.edgecolor": faint}
        with pyplot.rc_context(style):
            figure, both = pyplot.subplots(1, 2, figsize=(10.4, 4.4), layout="constrained")
            for axes, (says, of) in zip(both, panels.items(), strict=True):
                ends: list[tuple[float, int, str]] = []
                for name in names_of(record):
                    if name in UNDRAWN:
                        continue
                    there = [k for k in ks if values(record, name, k, "errors")]
                    y = [of(name, k) for k in there]
                    color = others if name in KNOWN else own
                    axes.plot(there, y, "o-", color=color, lw=1.8, ms=4)
                    ends.append((y[-1], there[-1], name))
                axes.set(xscale="log", yscale="log")
                axes.set_title(says, loc="left", color=text, fontsize=12)
                axes.set_xlabel("colours", color=faint)
                axes.set_xticks(ks, map(str, ks))
                axes.yaxis.set_major_formatter("{x:,g}")
                axes.minorticks_off()
                axes.tick_params(colors=faint)
                axes.spines[["top", "right"]].set_visible(False)
                low, high = axes.get_ylim()
                heights = [math.log(y / low) / math.log(high / low) for y, _, _ in ends]
                for (_, x, name), height in zip(ends, apart(heights), strict=True):
                    axes.annotate(
                        DRAWN_AS.get(name, name),
                        (x, low * (high / low) ** height),
                        (6, 0),
                        textcoords="offset points",
                        color=text if name in KNOWN else own,
                        va="center",
                    )
            figure.savefig(path, dpi=160, transparent=True, metadata={"Record": digest(record)})
            pyplot.close(figure)

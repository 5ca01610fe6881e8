"""What a profile says: how time grows, where it goes, what another size or machine takes."""

from __future__ import annotations

from statistics import median
from typing import Any

import numpy as np

from . import peers, records
from .records import number
from .stages import STAGES

Profile = dict[str, Any]
ALL_STAGES = (*STAGES, "rest")
LARGE = 24  # megapixels: from here on time has to grow as the pixels do
SHOWN_SIZES, SHOWN_CORES = (1, 12, 24, 50, 100), (1, 2, 4, 8, 16, 32, 64)


def points_of(profile: Profile, part: str) -> list[dict[str, Any]]:
    """Return the measured fits of a part."""
    return [point for point in profile.get("points", []) if point["part"] == part]


def stage_ms(point: dict[str, Any]) -> dict[str, float]:
    """Return the median milliseconds of each stage, and of the rest."""
    found = {stage: 1e3 * median(taken) for stage, taken in point["stages"].items()}
    return found | {"rest": max(0.0, 1e3 * median(point["seconds"]) - sum(found.values()))}


def exponent(points: list[dict[str, Any]], least: float = LARGE) -> float | None:
    """Return e where time grows as the pixels to the e-th, from `least` megapixels on."""
    large = [p for p in points if p["megapixels"] >= 0.99 * least]
    if len(large) < 2:
        return None
    x = np.log([p["megapixels"] for p in large])
    y = np.log([median(p["seconds"]) for p in large])
    return float(np.polyfit(x, y, 1)[0])


def ratio_of_ks(points: list[dict[str, Any]], seeded: bool) -> float | None:
    """Return the time at K = 256 over that at K = 16, with the seeding or without."""
    times = {}
    for point in points:
        of_rounds = np.array(point["seconds"])
        times[point["k"]] = median(of_rounds if seeded else of_rounds - point["stages"]["seed"])
    return times[256] / times[16] if {16, 256} <= set(times) else None


# --------------------------------------------------------------------------- prediction


def line(x: list[float], y: list[float]) -> tuple[float, float]:
    """Return a and b, not negative, of ``y = a + b x`` with the least relative errors."""
    xs, ys = np.array(x), np.array(y)
    weights = 1 / np.maximum(ys, 1e-9)
    slope, start = np.polyfit(xs, ys, 1, w=weights) if len(xs) > 1 else (ys[0] / xs[0], 0.0)
    if start < 0 or slope < 0:
        through = float((weights**2 * xs * ys).sum() / (weights**2 * xs * xs).sum())
        start, slope = (
            (0.0, through) if start < 0 else (float(np.average(ys, weights=weights)), 0.0)
        )
    return float(start), float(slope)


def predict(profile: Profile, megapixels: float, n_cores: int) -> dict[str, float] | None:
    """Return the milliseconds of each stage of a fit at K = 16; None if not enough was measured.

    A stage's time grows linearly with the pixels (from 1 megapixel on), and falls with the cores
    as Amdahl's law says: ``serial + parallel / cores``, from what was measured.
    """
    by_size = [p for p in points_of(profile, "sizes") if p["megapixels"] > 1]
    by_cores = points_of(profile, "cores")
    if not by_size or not by_cores:
        return None
    n_measured = by_size[0]["threads"]
    found = {}
    for stage in ALL_STAGES:
        start, slope = line(
            [p["megapixels"] for p in by_size], [stage_ms(p)[stage] for p in by_size]
        )
        serial, parallel = line(
            [1 / p["threads"] for p in by_cores], [stage_ms(p)[stage] for p in by_cores]
        )
        share = (serial + parallel / n_cores) / max(serial + parallel / n_measured, 1e-12)
        found[stage] = (start + slope * megapixels) * (share if serial + parallel > 0 else 1.0)
    return found


# --------------------------------------------------------------------------------- aims


def aims(profile: Profile) -> str:
    """Return a line for each figure that a fit is held to."""
    lines = []
    if (found := exponent(points_of(profile, "sizes"))) is not None:
        lines.append(
            f"From {LARGE} megapixels on, time grows as the pixels to the power {found:.2f} "
            f"(1.0 within 0.1: {_met(abs(found - 1) <= 0.1)})."
        )
    of_ks = points_of(profile, "ks")
    whole, unseeded = (ratio_of_ks(of_ks, seeded) for seeded in (True, False))
    if whole is not None and unseeded is not None:
        lines.append(
            f"K = 256 takes {whole:.2f} times the time of K = 16, and {unseeded:.2f} times without "
            f"the seeding (at most 1.5: {_met(whole <= 1.5)}, {_met(unseeded <= 1.5)})."
        )
    of_cores = {p["threads"]: median(p["seconds"]) for p in points_of(profile, "cores")}
    if {1, 2} <= set(of_cores):
        found = of_cores[1] / of_cores[2]
        lines.append(
            f"Two threads are {found:.2f} times as fast as one (at least 1.6: "
            f"{_met(found >= 1.6)})."
        )
    large = [p for p in points_of(profile, "sizes") if p["megapixels"] >= 0.99 * LARGE]
    for point in large[:1]:
        found = median(point["seconds"]) / median(point["copy"])
        lines.append(
            f"A fit of {point['megapixels']:.3g} megapixels takes {found:.2f} times "
            f"`image.copy()` (at most 3: {_met(found <= 3)})."
        )
    if of_jpeg := profile.get("jpeg"):
        found = median(of_jpeg["seconds"]["fit"]) / median(of_jpeg["seconds"]["decode"])
        lines.append(
            f"A fit takes {found:.2f} of the time of decoding the JPEG it came from (at most a "
            f"third: {_met(found <= 1 / 3)})."
        )
    return "\n".join(f"- {line}" for line in lines)


def summary(profile: Profile) -> str:
    """Return the README's part: the times by size, the aims, and a new process's first steps."""
    rows = [
        [f"{p['megapixels']:.3g}", f"{p['colors']:,}", ms(p["seconds"])]
        + [number(stage_ms(p)[stage]) for stage in ALL_STAGES]
        + [number(median(p["seconds"]) / median(p["copy"]))]
        for p in points_of(profile, "sizes")
    ]
    head = ["megapixels", "colours", "fit, ms", *ALL_STAGES, "x image.copy()"]
    runs = {records.about(run): run for run in profile["runs"].values()}
    return "\n\n".join(
        [table(head, rows), aims(profile), starts(profile)]
        + ["Measured by `python -m bench profile` (" + "); (".join(runs) + ")."]
    )


# ------------------------------------------------------------------------------ as text


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def ms(seconds: list[float]) -> str:
    """Return the median in milliseconds, and the spread."""
    low, middle, high = (number(1e3 * x) for x in (min(seconds), median(seconds), max(seconds)))
    return f"{middle} ({low} to {high})"


def as_markdown(profile: Profile) -> str:
    """Return all that was measured, to read."""
    sections = [
        title + "\n\n" + text
        for title, text in (
            ("# Profile of a fit", introduction(profile)),
            ("## What a fit is held to", aims(profile)),
            ("## How long will it take?", prediction(profile)),
            ("## Time against size", sizes(profile)),
            ("## Time against K", ks(profile)),
            ("## Time against cores", cores(profile)),
            ("## Beside the peers", beside(profile)),
            ("## Beside decoding a JPEG", jpeg(profile)),
            ("## Import, compiling, first call", starts(profile)),
        )
        if text
    ]
    return "\n\n".join(sections) + "\n"


def introduction(profile: Profile) -> str:
    """Return what a fit is, what its stages are, and what it was measured on."""
    stages = "; ".join(f"*{stage}*: {what}" for stage, (what, _) in STAGES.items())
    lines = [
        "A fit is k-means++, ten iterations and labels of an RGB picture. Times are milliseconds: "
        "the median over the rounds, and the least and the greatest. The stages: "
        f"{stages}; *rest*: what is left of the whole.",
    ]
    runs: dict[str, list[str]] = {}
    for part, run in profile["runs"].items():
        runs.setdefault(f"{records.about(run)}; picture {run['picture']}", []).append(part)
    lines += [f"Measured ({', '.join(parts)}): {run}." for run, parts in runs.items()]
    return "\n\n".join(lines)


def prediction(profile: Profile) -> str:
    """Return predicted times over sizes and cores, and where the time goes."""
    if predict(profile, 1, 1) is None:
        return ""
    measured = max(p["threads"] for p in points_of(profile, "cores"))
    largest = max(p["megapixels"] for p in points_of(profile, "sizes"))
    rows = []
    for size in SHOWN_SIZES:
        row = [number(size)]
        for n in SHOWN_CORES:
            total = sum((predict(profile, size, n) or {}).values())
            row.append(number(total) if n <= measured and size <= largest else f"*{number(total)}*")
        rows.append(row)
    head = ["megapixels", *(f"{n} core{'s'[: n > 1]}" for n in SHOWN_CORES)]
    errors = [
        sum((predict(profile, p["megapixels"], p["threads"]) or {}).values())
        / (1e3 * median(p["seconds"]))
        for p in points_of(profile, "sizes")
        if p["megapixels"] > 1
    ]
    where = [
        [f"{stage}", *(number(found[stage]) for found in of)]
        for of in [[predict(profile, 100, n) or {} for n in SHOWN_CORES]]
        for stage in ALL_STAGES
    ]
    return "\n\n".join(
        [
            "Milliseconds of a fit at K = 16, from the times below: each stage grows linearly with "
            "the pixels, and falls with the cores as *serial + parallel / cores*. In italics where "
            f"that goes beyond what was measured ({measured} threads, {number(largest)} "
            "megapixels); the memory's speed, which cores share, is not in it. Over the sizes "
            f"measured the model is {number(min(errors))} to {number(max(errors))} times the "
            "measurement. For others: "
            "`python -m bench report --megapixels 100 --cores 16`.",
            table(head, rows),
            "Where the time goes, at 100 megapixels:",
            table(["stage", *head[1:]], where),
        ]
    )


def sizes(profile: Profile) -> str:
    """Return the part's table and the exponent."""
    points = points_of(profile, "sizes")
    if not points:
        return ""
    rows = []
    for p in points:
        fit, stages = median(p["seconds"]), stage_ms(p)
        rows.append(
            [f"{p['megapixels']:.3g}", f"{p['colors']:,}", ms(p["seconds"])]
            + [number(stages[stage]) for stage in ALL_STAGES]
            + [number(fit / median(p["copy"])), number(fit / median(p["floor"]))]
        )
    head = ["megapixels", "colours", "fit", *ALL_STAGES, "x copy", "x floor"]
    text = (
        f"K = {points[0]['k']}, {points[0]['threads']} threads. *x copy*: times `image.copy()`; "
        "*x floor*: times reading the pixels once and writing the labels once.\n\n"
        + table(head, rows)
    )
    return text


def ks(profile: Profile) -> str:
    """Return the part's table and the ratio of K = 256 to K = 16."""
    points = points_of(profile, "ks")
    if not points:
        return ""
    rows = [
        [f"{p['k']:,}", ms(p["seconds"]), *(number(stage_ms(p)[stage]) for stage in ALL_STAGES)]
        for p in points
    ]
    text = f"{points[0]['megapixels']:.3g} megapixels, {points[0]['threads']} threads.\n\n"
    text += table(["K", "fit", *ALL_STAGES], rows)
    return text


def cores(profile: Profile) -> str:
    """Return the part's table of speed-ups."""
    points = points_of(profile, "cores")
    if not points:
        return ""
    one = points[0]
    rows = [
        [f"{p['threads']}", ms(p["seconds"]), speed_up(one, p)]
        + [_over(stage_ms(one)[stage], stage_ms(p)[stage]) for stage in ALL_STAGES]
        for p in points
    ]
    return (
        f"{one['megapixels']:.3g} megapixels, K = {one['k']}; the stages as times the speed on one "
        "thread.\n\n" + table(["threads", "fit", "speed-up", *ALL_STAGES], rows)
    )


def speed_up(one: dict[str, Any], other: dict[str, Any]) -> str:
    """Return the median of the rounds' ratios and the spread."""
    found = [a / b for a, b in zip(one["seconds"], other["seconds"], strict=True)]
    return f"{median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def beside(profile: Profile) -> str:
    """Return the table of the peers' times against K."""
    curves = profile.get("peers", [])
    if not curves:
        return ""
    names = list(dict.fromkeys(name for curve in curves for name in curve["seconds"]))
    rows = []
    for curve in curves:
        ours = median(curve["seconds"]["kmeans_fast"])
        row = [f"{curve['k']:,}"]
        for name in names:
            times = curve["seconds"].get(name)
            if times is None:
                row.append("not run: took too long before")
            elif name == "kmeans_fast":
                row.append(ms(times))
            else:
                row.append(f"{ms(times)}, {number(median(times) / ours)} times")
        rows.append(row)
    left_out = profile["runs"]["peers"]["peers left out"]
    text = (
        f"Ten iterations from the same start, and labels, of {curves[0]['megapixels']:.3g} "
        "megapixels.\n\n" + table(["K", *(peers.NAMES.get(n, n) for n in names)], rows)
    )
    if left_out:
        text += "\n\nLeft out: " + "; ".join(f"{n}, {why}" for n, why in left_out.items()) + "."
    return text


def jpeg(profile: Profile) -> str:
    """Return how a fit compares with decoding."""
    found = profile.get("jpeg")
    if not found:
        return ""
    decode = median(found["seconds"]["decode"])
    rows = [
        [name, ms(times), number(median(times) / decode)]
        for name, times in found["seconds"].items()
    ]
    return (
        f"A JPEG of {found['megapixels']:.3g} megapixels, {found['bytes'] / 1e6:.1f} MB, "
        f"K = {found['k']}.\n\n" + table(["work", "ms", "of decoding"], rows)
    )


def starts(profile: Profile) -> str:
    """Return the table of what a new process waits for."""
    rows = [[name, ms(times)] for name, times in profile.get("starts", {}).items()]
    return table(["what", "ms"], rows) if rows else ""


def _met(aim: bool) -> str:
    return "reached" if aim else "MISSED"


def _over(one: float, other: float) -> str:
    return f"{one / other:.2f}" if other > 0.05 else "-"

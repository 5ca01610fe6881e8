"""What more pixels and more cores give, by Amdahl's law: lines fitted to what was measured."""

from __future__ import annotations

from statistics import median

import numpy as np

from . import lab
from .lab import Record
from .stages import ALL_STAGES, points_of, stage_ms

CORES = (4, 16, 64)  # that the table says something of
NONE = "–"


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


def predict(profile: Record, megapixels: float, n_cores: int) -> dict[str, float] | None:
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


# ------------------------------------------------------------------- what more cores give

ByThreads = dict[int, float]  # milliseconds


def serial_share(times: ByThreads) -> float | None:
    """Return s of ``1 / speed-up = s + (1 - s) / threads``, 0 to 1; None if nothing says it."""
    if len(times) < 2 or not all(times.values()):
        return None
    serial, parallel = line([1 / n for n in times], [taken / times[1] for taken in times.values()])
    return serial / (serial + parallel)


def speed_up(times: ByThreads, n: int) -> str:
    """Return how many times as fast it is on so many threads."""
    return f"{times[1] / times[n]:.2f}" if times[1] and times[n] else NONE


def law(times: ByThreads) -> list[str]:
    """Return the serial share, and the speed-up that follows for each number of cores."""
    s = serial_share(times)
    if s is None:
        return [NONE] * (1 + len(CORES))
    return [f"{100 * s:.0f} %", *(lab.number(1 / (s + (1 - s) / n)) for n in CORES)]


def all_ms(point: Record) -> dict[str, float]:
    """Return the median milliseconds of each stage, of the rest, and of the whole."""
    return stage_ms(point) | {"whole": 1e3 * median(point["seconds"])}


def as_markdown(profile: Record) -> str:
    """Return the speed-up of each stage with the threads, and what it says for more cores."""
    points = points_of(profile, "cores")
    if not points:
        return "Not measured: `python -m bench profile --parts cores`."
    numbers = [point["threads"] for point in points]
    rows = []
    for what in dict.fromkeys(row["what"] for row in profile.get("calibration", [])):
        found = [row for row in profile["calibration"] if row["what"] == what]
        times = {row["threads"]: 1e3 * median(row["seconds"]) for row in found}
        rows.append((what, times, [NONE] * (1 + len(CORES))))
    for stage in (*ALL_STAGES, "whole"):
        times = {point["threads"]: all_ms(point)[stage] for point in points}
        rows.append((stage, times, law(times)))
    head = ["", "ms on 1 thread", *(f"x on {n}" for n in numbers[1:])]
    head += ["serial", *(f"x on {n} cores" for n in CORES)]
    table = [
        [what, lab.number(times[1]), *(speed_up(times, n) for n in numbers[1:]), *predicted]
        for what, times, predicted in rows
    ]
    says = (
        f"{points[0]['megapixels']:.3g} megapixels, K = {points[0]['k']}, "
        f"{points[0]['iterations']} iterations, picture: "
        f"{profile['runs']['cores']['picture']}; medians of "
        f"{len(points[0]['seconds'])} rounds. *x on*: times as fast as on one thread. *Serial*: "
        "the share s that more cores do not shorten, fitted to 1 / speed-up = s + (1 - s) / "
        f"threads on {', '.join(map(str, numbers))}; the last columns are what it says of more."
    )
    says += (
        " The loop and the memcpy are what the machine gives: read the stages against them."
        if profile.get("calibration")
        else " The loop and the memcpy that tell what the machine gives were not measured then."
    )
    return "\n\n".join([lab.in_columns(head, table), says, *photographs(profile)])


def photographs(profile: Record) -> list[str]:
    """Return the table of photographs, and what it is of; nothing if there are none."""
    groups: list[list[Record]] = []  # of a photograph and a K, from one thread to all
    for point in profile.get("photographs", []):
        if point["threads"] == 1:
            groups.append([])
        groups[-1].append(point)
    rows = []
    for group in groups:
        one, most = group[0], group[-1]
        times = [all_ms(point) for point in group]
        whole = {point["threads"]: of["whole"] for point, of in zip(group, times, strict=True)}
        rows.append(
            [one["name"].replace("|", "\\|"), f"{one['megapixels']:.3g}", f"{one['colors']:,}"]
            + [f"{one['k']}", f"{one['iterations']}"]
            + [" / ".join(lab.number(of[s]) for of in times) for s in ("whole", *ALL_STAGES)]
            + [speed_up(whole, most["threads"]), law(whole)[0]]
        )
    if not rows:
        return []
    head = ["photograph", "megapixels", "colours", "K", "iterations", "whole", *ALL_STAGES]
    threads = " / on ".join(str(point["threads"]) for point in groups[0])
    says = (
        "Photographs, by `kmeans_fast.fit` as it is called: k-means++, to convergence. Times are "
        f"ms, medians of {len(groups[0][0]['seconds'])} rounds, on {threads} threads."
    )
    return [lab.in_columns([*head, "speed-up", "serial"], rows), says]

"""Write the pages' tables and the charts from what was measured: ``python -m bench report``.

Each table stands between two markers, ``<!-- name -->`` and ``<!-- /name -->``, and comes from
files in ``bench/results``. A file that cannot be used is named, and its table stays as it is.
With ``--megapixels`` or ``--cores`` it answers instead how long a fit of that size will take.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from kmeans_fast.threads import default_threads

from . import amdahl, cluster, front, grid, lab, palette_tables, peers, table, tiles
from .lab import RESULTS, ROOT, Record, RecordError
from .stages import ALL_STAGES, points_of, stage_ms

LARGE = 24  # megapixels: from here on time has to grow as the pixels do


# ------------------------------------------------------------------ what a profile says


def exponent(points: list[Record], least: float = LARGE) -> float | None:
    """Return e where time grows as the pixels to the e-th, from `least` megapixels on."""
    large = [p for p in points if p["megapixels"] >= 0.99 * least]
    if len(large) < 2:
        return None
    x = np.log([p["megapixels"] for p in large])
    y = np.log([median(p["seconds"]) for p in large])
    return float(np.polyfit(x, y, 1)[0])


def ratio_of_ks(points: list[Record], seeded: bool) -> float | None:
    """Return the time at K = 256 over that at K = 16, with the seeding or without."""
    times = {}
    for point in points:
        of_rounds = np.array(point["seconds"])
        times[point["k"]] = median(of_rounds if seeded else of_rounds - point["stages"]["seed"])
    return times[256] / times[16] if {16, 256} <= set(times) else None


# --------------------------------------------------------------------------------- aims


def aims(profile: Record) -> str:
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


def summary(profile: Record) -> str:
    """Return the times by size, the aims, and a new process's first steps."""
    return "\n\n".join([against(profile, "sizes"), aims(profile), starts(profile)])


def missed(profile: Record) -> list[str]:
    """Return a line for each figure that a fit is held to and misses."""
    lines = aims(profile).splitlines()
    return [line.removeprefix("- ") for line in lines if "MISSED" in line]


def against(profile: Record, part: str) -> str:
    """Return a part's table: the stages of a fit against sizes, K or threads."""
    shown: dict[str, Callable[[Record], str]] = {
        "sizes": lambda p: f"{p['megapixels']:.3g}",
        "ks": lambda p: f"{p['k']:,}",
        "cores": lambda p: f"{p['threads']}",
    }
    rows = [
        [shown[part](p), f"{p['colors']:,}", lab.ms(p["seconds"])]
        + [lab.number(stage_ms(p)[stage]) for stage in ALL_STAGES]
        + [lab.number(median(p["seconds"]) / median(p["copy"]))]
        for p in points_of(profile, part)
    ]
    first = {"sizes": "megapixels", "ks": "K", "cores": "threads"}[part]
    return lab.in_columns([first, "colours", "fit, ms", *ALL_STAGES, "x image.copy()"], rows)


def starts(profile: Record) -> str:
    """Return the table of what a new process waits for."""
    return lab.in_columns(
        ["what", "ms"], [[n, lab.ms(t)] for n, t in profile.get("starts", {}).items()]
    )


def _met(aim: bool) -> str:
    return "reached" if aim else "MISSED"


# ---------------------------------------------------------------- what many files say

# Of the page of benchmarks, and the commands that measure them.
FILES = {f"{each}.json": each for each in ("front", "peers", "table", "profile", "grid", "tiles")}


def short(*records: Record) -> str:
    """Return all that is missed of what we hold ourselves to, and where others are better."""
    of_front, of_peers, of_table, of_profile, of_grid, of_tiles, of_cluster, of_palettes = records
    parts = {
        "**Pictures**": table.missed(of_table) + missed(of_profile) + tiles.missed(of_tiles),
        "**Palettes**": palette_tables.missed(of_palettes),
        "**Any other array**, times the speed of the fastest peer": grid.missed(of_grid),
        "**On a cluster**": cluster.missed(of_cluster),
        "**Others are better** than ours on the same terms": (
            peers.better(of_front) + peers.better(of_peers)
        ),
    }
    return "\n\n".join(
        "\n".join([f"{title}:", "", *(f"- {line}" for line in lines)])
        for title, lines in parts.items()
        if lines
    )


def runs(*records: Record) -> str:
    """Return what was measured when, and with what: that of all runs once."""
    found = [list(record.get("runs", {"": record}).values()) for record in records]
    values: dict[str, set[str]] = {}
    for run in (run for of_command in found for run in of_command):
        for name, value in _facts(run).items():
            values.setdefault(name, set()).add(value)
    rows = []
    for command, of_command in zip(FILES.values(), found, strict=True):
        dates: dict[str, list[str]] = {}
        for run in of_command:
            own = [f"{n} {value}" for n, value in _facts(run).items() if len(values[n]) > 1]
            dates.setdefault("; ".join(own), []).append(run["machine"]["date"])
        for own, at in dates.items():
            when = " to ".join(dict.fromkeys([min(at), max(at)]))
            rows.append([f"`python -m bench {command}`", when, own])
    common = "; ".join(f"{n} {value}" for n, (value, *more) in values.items() if not more)
    n_shown = 3 if any(own for _, _, own in rows) else 2
    head = ["measured by", "when", "with"][:n_shown]
    return f"All of them: {common}.\n\n" + lab.in_columns(head, [row[:n_shown] for row in rows])


def _facts(run: Record) -> dict[str, str]:
    found = run["machine"] | run["versions"]
    return {name: str(value) for name, value in found.items() if name != "date"}


# ------------------------------------------------------------------------- the pages

# Marker: the files, and what makes its table.
Tables = dict[str, tuple[tuple[str, ...], Callable[..., str]]]
BENCHMARKS: Tables = {
    "table": (("table.json",), table.as_markdown),
    "profile": (("profile.json",), summary),
    "cores": (("profile.json",), amdahl.as_markdown),
    "defaults": (("front.json",), peers.as_markdown),
    "peers": (("peers.json",), peers.as_markdown),
    "palettes": (("palettes.json",), palette_tables.as_markdown),
    "dense": (("grid.json",), grid.as_markdown),
    "tiles": (("tiles.json",), tiles.as_markdown),
    "short": ((*FILES, "cluster.json", "palettes.json"), short),
    "runs": (tuple(FILES), runs),
}
PAGES: dict[str, Tables] = {
    "README.md": {
        "front": (("front.json",), front.as_markdown),
        "floats": (("grid.json",), grid.front_page),
    },
    "docs/benchmarks.md": BENCHMARKS,
    "docs/planning.md": {"plan": (("cluster.json",), cluster.as_markdown)},
}
CHART = ROOT / "docs"  # where they are
CHARTS = {"front.json": front.draw, "palettes.json": palette_tables.draw}


def between(marker: str, text: str) -> tuple[str, str, str]:
    """Return what stands before, between and behind the markers."""
    opening, closing = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
    head, found, rest = text.partition(opening)
    inside, closed, tail = rest.partition(closing)
    if not found or not closed:
        raise RecordError(f"the page has no {opening.strip()} and {closing} to write between")
    return head + opening, inside, closing + tail


def outdated(page: str, folder: Path, tables: Tables) -> tuple[str, list[str]]:
    """Return a page with its tables brought up to date, and what could not be."""
    problems = []
    for marker, (names, as_markdown) in tables.items():
        try:
            head, _, tail = between(marker, page)
            records = [lab.load(folder / name) for name in names]
            page = f"{head}{as_markdown(*records)}\n{tail}"
        except RecordError as error:
            problems.append(str(error))
    return page, list(dict.fromkeys(problems))


def answer(profile: Record, megapixels: float, n_cores: int) -> str:
    """Return how long a fit takes, and where the time goes."""
    found = amdahl.predict(profile, megapixels, n_cores)
    if found is None:
        raise RecordError("too little was measured: run `python -m bench profile`")
    total = sum(found.values())
    lines = [
        f"{lab.number(megapixels)} megapixels, K = 16, k-means++, ten iterations and labels, on "
        f"{n_cores} cores: {lab.number(total)} ms"
    ]
    lines += [
        f"  {stage:8} {lab.number(taken):>6} ms  {taken / total:4.0%}"
        for stage, taken in found.items()
    ]
    measured = max(point["threads"] for point in points_of(profile, "cores"))
    if n_cores > measured:
        lines.append(
            f"beyond the {measured} threads measured: the memory's speed, which cores share, is "
            "not in it"
        )
    lines.append(f"from what was measured on: {lab.about(profile['runs']['sizes'])}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Write, or answer; return 1 if something could not be used."""
    parser = argparse.ArgumentParser(
        prog="python -m bench report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="a folder of figures")
    parser.add_argument(
        "--megapixels", type=float, help="how long will a picture of this size take"
    )
    parser.add_argument("--cores", type=int, help="on so many cores (default: all here)")
    options = parser.parse_args(arguments)
    if options.megapixels is not None or options.cores is not None:
        size, cores = options.megapixels or 24.0, options.cores or default_threads()
        if size <= 0 or cores < 1:
            parser.error("give --megapixels above 0, and --cores of 1 or more")
        try:
            print(answer(lab.load(options.results / "profile.json"), size, cores))
        except RecordError as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    problems: list[str] = []
    for name, tables in PAGES.items():
        page = ROOT / name
        text, left = outdated(page.read_text(), options.results, tables)
        page.write_text(text)
        problems += left
        for marker, (files, _) in tables.items():
            lab.progress(f"{name}, {marker}: {', '.join(files)}")
    for name, draw in CHARTS.items():
        try:
            draw(lab.load(options.results / name), CHART)
        except (ImportError, RecordError) as error:
            problems.append(f"the chart of {name}: {error}")
    for problem in dict.fromkeys(problems):
        lab.progress(f"left as it is: {problem}")
    try:
        print(aims(lab.load(options.results / "profile.json")))
    except RecordError:
        pass  # said above
    return 1 if problems else 0

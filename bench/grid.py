"""Measure the dense engine over dimensions and clusters: ``python -m bench grid``.

Each cell is one kind of points, d and K, float32, everybody from the same start and side by side.
Answers are checked before anything is timed. Figures go to a JSON file, into which a run of a few
cells (``--cells 3x512 --parts ten``) is merged.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import kmeans_fast as kf
from kmeans_fast.threads import default_threads

from . import arrays, peers, records
from .arrays import Case, check_ours, float64_means, running_means
from .measure import (
    IDLE,
    LONG,
    Setting,
    Times,
    all_ms,
    child,
    expect,
    in_ms,
    inertia_of,
    peers_of,
    picture_of,
    progress,
    race,
    ratios,
    timed,
)
from .records import Record, number

Cell = dict[str, Any]  # as it stands in the JSON file

CELLS = [(d, k) for d in (2, 3, 8, 16, 64, 128, 512) for k in (8, 64, 512)]
KINDS = {"gauss": "clusters", "photo": "photograph", "uniform": "uniform"}
PEERS = ("sklearn", "sklearnex", "faiss")
LIMITS = {"ten": (10, 0.0), "converge": (300, 1e-4)}  # max_iter, tol
TITLES = {
    "ten": "ten iterations from the same start, and labels",
    "converge": "to convergence (tol = 1e-4, at most 300 iterations)",
}
MOST = 2.0  # what most cells above d = 16 have to reach in ten iterations
WORTH = 0.1  # seconds on one thread: below, a second thread has too little to do


def floor_of(part: str, kind: str, d: int) -> float:
    """Return how many times as fast as the fastest peer ours has to be."""
    if part == "converge":
        return 2.0 if d <= 16 else 1.0
    if kind == "uniform":
        return 1.0
    return 4.0 if d <= 8 else 2.0 if d <= 16 else 1.5


def cell(
    part: str,
    kind: str,
    shape: tuple[int, int, int],
    unit: str,
    values: list[float],
    floor: float | None,
    at_most: bool = False,
    **notes: Any,
) -> Cell:
    """Return a figure with its spread, its floor and all that was noted; `shape` is n, d, k."""
    value = median(values) if values else None
    reached = None
    if value is not None and floor is not None:
        reached = value <= floor if at_most else value >= floor
    shown = {"part": part, "kind": kind, **dict(zip("ndk", shape, strict=True)), "unit": unit}
    figures = {"value": value, "values": values, "floor": floor, "at_most": at_most}
    return shown | figures | {"reached": reached} | notes


def check_peers(setting: Setting, case: Case) -> None:
    """Raise if a peer's inertia is not near ours after two iterations; this warms them too."""
    some = np.ascontiguousarray(case.points[:: max(1, len(case.points) // 100_000)])
    ours = inertia_of(some, kf.fit(some, case.k, init=case.start, max_iter=2, tol=0).centroids)
    for name, peer in setting.peers.items():
        ratio = inertia_of(some, peer(some, case.start, 2)[0]) / ours
        # float32, and empty clusters are filled each in its own way
        expect(0.5 < ratio < 2.0, f"{name}'s inertia is {ratio} times ours")
    time.sleep(IDLE)


# ------------------------------------------------------------------ parts of a cell


def against_peers(setting: Setting, case: Case, part: str) -> Cell:
    """Time a fit beside the peers'.

    All stop at a fixed point, and within the tolerance, but for those that cannot (FAISS): they
    are told to make as many iterations as ours made.
    """
    max_iter, tol = LIMITS[part]
    result = check_ours(case, max_iter, tol)
    check_peers(setting, case)
    told = {name: result.n_iter if name in peers.NO_TOLERANCE else max_iter for name in peers.PEERS}
    times, kept = race(
        setting,
        {"kmeans_fast": lambda _: case.fit(max_iter, tol)},
        {
            name: lambda _, name=name, peer=peer: peer(case.points, case.start, told[name], tol)
            for name, peer in setting.peers.items()
        },
        setting.rounds,
        keep=lambda answer: (answer[0], int(answer[2])),
    )
    inertia = {
        name: round(inertia_of(case.points, found[-1][0]) / result.inertia, 6)
        for name, found in kept.items()
    }
    n_iter = {"kmeans_fast": result.n_iter} | {name: found[-1][1] for name, found in kept.items()}
    progress(f"  iterations {n_iter}, inertia over ours {inertia}")
    unit, values = "no peer", []
    if setting.peers:
        fastest = min(setting.peers, key=lambda name: median(times[name]))
        unit = f"x as fast as {peers.NAMES[fastest]}"
        values = ratios(times[fastest], times["kmeans_fast"])
    shape, floor = (len(case.points), case.d, case.k), floor_of(part, case.kind, case.d)
    noted = {"times": all_ms(times), "n_iter": n_iter, "inertia over ours": inertia}
    return cell(part, case.kind, shape, unit, values, floor, **noted)


def two_threads(setting: Setting, case: Case, part: str) -> Cell | None:
    """Time ten iterations on one thread and on all, where one takes long enough."""
    result = case.fit(10)
    seconds, alone = timed(case.fit, 10, 0.0, 1)
    if default_threads() == 1 or seconds < WORTH:
        progress(f"  left out: {default_threads()} threads, {1e3 * seconds:,.1f} ms on one")
        return None
    expect(np.array_equal(alone.centroids, result.centroids), "threads change the centroids")
    expect(np.array_equal(alone.labels, result.labels), "threads change the labels")
    works = {"1 thread": lambda _: case.fit(10, n_threads=1), "all": lambda _: case.fit(10)}
    times, _ = race(setting, works, {}, setting.rounds, keep=lambda _: None)
    shape, faster = (len(case.points), case.d, case.k), ratios(times["1 thread"], times["all"])
    unit = f"x as fast on {default_threads()} threads"
    return cell(part, case.kind, shape, unit, faster, 1.7, times=all_ms(times))


def seeding(setting: Setting, case: Case, part: str) -> Cell:
    """Time k-means++ beside the first iteration of a fit, which no bounds make shorter."""
    kf.kmeans_plusplus(case.points[: 4 * case.k], case.k)  # compiled, or loaded from the cache
    times: Times = {"seeding": [], "one iteration": []}
    for _ in range(setting.rounds):
        if not (setting.quick and sum(times["seeding"]) > setting.long):
            times["seeding"].append(timed(kf.kmeans_plusplus, case.points, case.k)[0])
        first = [case.fit(1).history[0].seconds for _ in range(3)]
        times["one iteration"].append(median(first))
    progress("  " + in_ms(times))
    shape, over = (
        (len(case.points), case.d, case.k),
        ratios(times["seeding"], times["one iteration"]),
    )
    unit = "first iterations' time to seed"
    return cell(part, case.kind, shape, unit, over, 5.0, at_most=True, times=all_ms(times))


# ---------------------------------------------------------- parts that have no cells

MEMORY = """
import sys
import numpy as np
import kmeans_fast as kf
from bench.measure import peak_bytes

points, k = np.load(sys.argv[1]), int(sys.argv[2])
kf.fit(points[: max(4 * k, 50000)], k, max_iter=3)  # the same kernels are loaded
print(peak_bytes(lambda: kf.fit(points, k, max_iter=10, tol=0)))
"""


def memory(setting: Setting) -> list[Cell]:
    """Measure the greatest resident size of a fit, seeding and labels included, over the array."""
    if not Path("/proc/self/status").exists():
        progress("  left out: measured on Linux only")
        return []
    cells = []
    for full, d, k in ((4_000_000, 3, 64), (1_000_000, 16, 512)):
        n = max(4 * k, round(full * setting.scale))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "points.npy")
            np.save(path, arrays.gauss(n, d, k))
            taken = [
                float(child("-c", MEMORY, str(path), str(k))[1]) for _ in range(setting.rounds)
            ]
        floor = 16 + 64 * k * d / n  # a few copies of the centroids besides
        values, unit = [b / n for b in taken], "bytes a point over the array"
        cells.append(cell("memory", "gauss", (n, d, k), unit, values, floor, at_most=True))
        progress(f"  {n:,} x {d}, K = {k}: {median(values):.2f} bytes a point")
    return cells


def sums(setting: Setting) -> list[Cell]:
    """Measure what order-free sums cost beside plain ones, and how near to exact each comes."""
    cells, d, k = [], 3, 64
    for dtype in (np.float32, np.float64):
        n = max(200 * k, round(1_000_000 * setting.scale))
        rng = np.random.default_rng(0)
        points = (rng.standard_normal((n, d)) + 1000).astype(dtype)
        labels = rng.integers(k, size=n)
        few, of = points[: n // 10], labels[: n // 10]
        exact = np.array([[math.fsum(column) for column in few[of == j].T] for j in range(k)])
        exact /= np.bincount(of, minlength=k)[:, None]
        apart = {
            name: float(np.max(np.abs(found / exact - 1)))
            for name, found in {
                "kf.means": kf.means(few, of, k),
                "float64 sums": float64_means(few, of, k),
                "float32 sums": running_means(few.astype(np.float32), of, k),
            }.items()
        }
        works: dict[str, Callable[[int], Any]] = {
            "kf.means": lambda _, x=points, y=labels: kf.means(x, y, k),
            "kf.means, 1 thread": lambda _, x=points, y=labels: kf.means(x, y, k, n_threads=1),
            "bincount": lambda _, x=points, y=labels: float64_means(x, y, k),
            "np.add.at": lambda _, x=points, y=labels: running_means(x.astype(np.float64), y, k),
        }
        times, _ = race(setting, works, {}, setting.rounds, keep=lambda _: None)
        progress(f"  {np.dtype(dtype)}: error over math.fsum {apart}")
        unit, over = (
            "x the time of bincount in float64",
            ratios(times["kf.means"], times["bincount"]),
        )
        noted = {"times": all_ms(times), "greatest relative error": apart}
        cells.append(cell("sums", np.dtype(dtype).name, (n, d, k), unit, over, None, True, **noted))
    return cells


OF_A_CELL: dict[str, Callable[[Setting, Case, str], Cell | None]] = {
    "ten": against_peers,
    "converge": against_peers,
    "threads": two_threads,
    "seeding": seeding,
}
ALONE = {"memory": memory, "sums": sums}
PARTS = (*OF_A_CELL, *ALONE)

# ------------------------------------------------------------------- tables and file


def merge(path: Path | None, book: Record, run: Record, new: list[Cell]) -> None:
    """Put cells in the place of older ones, each with the date of its run, and write the file."""
    date = run["machine"]["date"]
    for one in new:
        book["cells"]["{part} {kind} {d}x{k}".format(**one)] = one | {"date": date}
    dates = {one["date"] for one in book["cells"].values()}
    book["runs"] = {at: of for at, of in (book["runs"] | {date: run}).items() if at in dates}
    if path is not None:
        records.save(path, book)


def grid_table(cells: list[Cell]) -> str:
    """Return the table of ratios: a row for d and kind, a column for K, what is missed marked."""
    ks = sorted({one["k"] for one in cells if one["part"] in LIMITS})
    lines = [
        "| points | " + " | ".join(f"K = {k}" for k in ks) + " |",
        "|---" * (len(ks) + 1) + "|",
    ]
    for part, title in TITLES.items():
        rows: dict[tuple[int, int], dict[int, str]] = {}
        for one in cells:
            if one["part"] == part:
                row = one["d"], list(KINDS).index(one["kind"])
                rows.setdefault(row, {})[one["k"]] = _figure(one)
        if rows:
            lines.append(f"| **{title}** |" + " |" * len(ks))
        for (d, kind), found in sorted(rows.items()):
            shown = " | ".join(found.get(k, "") for k in ks)
            lines.append(f"| d = {d}, {list(KINDS.values())[kind]} | {shown} |")
    return "\n".join(lines)


def as_markdown(book: Record) -> str:
    """Return the README's table, and what it was measured on."""
    return f"{grid_table(list(book['cells'].values()))}\n\n{caption(book)}"


def _figure(one: Cell) -> str:
    ours = f"({number(median(one['times']['kmeans_fast, ms']))} ms)"
    if one["value"] is None:
        return ours
    missed = "" if one["reached"] else f" **below {one['floor']:g}**"
    return f"{number(one['value'])} {ours}{missed}"


def most(cells: list[Cell]) -> tuple[int, int]:
    """Return how many of the ten-iteration cells above d = 16 reach `MOST`, and of how many."""
    found = [c["value"] for c in cells if c["part"] == "ten" and c["d"] > 16 and c["value"]]
    return sum(value >= MOST for value in found), len(found)


def other_table(cells: list[Cell]) -> str:
    """Return the table of the other parts, a line a cell."""
    lines = ["| part | cell | measured | spread | floor | reached |", "|---|---|---|---|---|---|"]
    for one in cells:
        if one["part"] in LIMITS:
            continue
        floor, reached = "", ""
        if one["floor"] is not None:
            floor = ("at most " if one["at_most"] else "at least ") + number(one["floor"])
            reached = "yes" if one["reached"] else "NO"
        spread = f"{number(min(one['values']))} to {number(max(one['values']))}"
        shown = f"{one['kind']}, n = {one['n']:,}, d = {one['d']}, K = {one['k']}"
        measured = f"{number(one['value'])} {one['unit']}"
        lines.append(f"| {one['part']} | {shown} | {measured} | {spread} | {floor} | {reached} |")
    return "\n".join(lines)


def caption(book: Record) -> str:
    """Return what the figures are, and where and when they were measured."""
    dates = [one["date"] for one in book["cells"].values() if one["part"] in LIMITS]
    dates = sorted({min(dates), max(dates)} if dates else book["runs"])
    run = book["runs"][dates[-1]]
    reach, of = most(list(book["cells"].values()))
    return (
        f"Times the speed of the fastest of {', '.join(peers.NAMES[name] for name in PEERS)} "
        f"(our time), float32; FAISS, which has no tolerance, makes as many iterations as ours "
        f"made. In ten iterations {reach} of {of} cells above d = 16 reach {MOST:g}. "
        f"Measured by `python -m bench grid` (from {dates[0]}; {records.about(run)})."
    )


# ------------------------------------------------------------------- command line


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """Return the checked options."""
    parser = argparse.ArgumentParser(prog="python -m bench grid", description=__doc__)
    shapes = ",".join(f"{d}x{k}" for d, k in CELLS)
    parser.add_argument("--cells", default=shapes, help="d x K (default: all of the grid)")
    for name, known in (("kinds", KINDS), ("parts", PARTS), ("peers", PEERS)):
        parser.add_argument(f"--{name}", default=",".join(known), help="default: %(default)s")
    parser.add_argument("--image", help="a photograph to use instead of one made in code")
    parser.add_argument(
        "--out", type=Path, help="default: bench/results/grid.json, none with --scale"
    )
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument(
        "--quick",
        type=float,
        nargs="?",
        const=LONG,
        metavar="SECONDS",
        help=f"run a peer once if it takes longer (default: {LONG:g})",
    )
    parser.add_argument("--scale", type=float, default=1.0, help="of n: 0.1 to try the script")
    options = parser.parse_args(arguments)
    for name, known in (("kinds", KINDS), ("parts", PARTS)):
        given = [one for one in getattr(options, name).split(",") if one]
        if unknown := set(given) - set(known):
            parser.error(f"--{name}: {', '.join(unknown)} is none of {', '.join(known)}")
        setattr(options, name, given)
    try:
        options.cells = [tuple(map(int, c.split("x"))) for c in options.cells.split(",") if c]
        _ = [(d, k) for d, k in options.cells]
    except ValueError:
        parser.error(f"--cells {options.cells}: give d x K, as in 3x512,16x64")
    if options.out is None and options.scale == 1:
        options.out = records.RESULTS / "grid.json"
    return options


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print; return 1 if a floor is not reached."""
    options = options_of(arguments)
    image = picture_of(options.image)
    here, absent = peers_of(options.peers)
    quick, long = options.quick is not None, options.quick or LONG
    setting = Setting(here, image, options.rounds, quick, options.scale, long)
    run = records.describe(setting, absent, None if image is None else options.image)
    book: Record = {"runs": {}, "cells": {}}
    if options.out and options.out.exists():
        try:
            book |= records.load(options.out)
        except records.RecordError as error:
            progress(f"{error}: it is written anew")
    merge(options.out, book, run, [])  # if it cannot be written, say so now

    for d, k in options.cells:
        for kind in options.kinds:
            parts = [part for part in options.parts if wanted(part, kind, d)]
            if not parts:
                continue
            case = arrays.case_of(kind, d, k, options.scale, image)
            for part in parts:  # written one by one: a run that is stopped leaves what it has
                progress(f"{part}: {kind}, n = {len(case.points):,}, d = {d}, K = {k}")
                if (found := OF_A_CELL[part](setting, case, part)) is not None:
                    merge(options.out, book, run, [found])
    for part in options.parts:
        if part in ALONE:
            progress(f"{part}:")
            merge(options.out, book, run, ALONE[part](setting))

    cells = list(book["cells"].values())
    if not cells:
        return 0
    print(f"{as_markdown(book)}\n\n{other_table(cells)}")
    reach, of = most(cells)
    return 0 if all(one["reached"] is not False for one in cells) and 2 * reach >= of else 1


def wanted(part: str, kind: str, d: int) -> bool:
    """Return whether a part is measured on points of a kind and of so many dimensions."""
    if kind == "photo":
        return d == 3 and part in ("ten", "converge", "threads")
    if kind == "uniform":
        return d <= 16 and part in ("ten", "threads")
    return part in OF_A_CELL

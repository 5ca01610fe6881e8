"""Measure the dense engine over dimensions and clusters: ``python -m bench grid``.

Each cell is one kind of points, d and K, float32, everybody from the same start and side by side.
Answers are checked before anything is timed. Figures go to a JSON file, into which a run of a few
cells (``--cells 3x512 --parts ten``) is merged.
"""

from __future__ import annotations

from pathlib import Path
from statistics import median
from typing import Any

from . import arrays, contestants, lab
from .arrays import Case
from .lab import RESULTS, Record, Setting

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


def floor_of(part: str, kind: str, d: int) -> float:
    """Return how many times as fast as the fastest peer ours has to be."""
    if part == "converge":
        return 2.0 if d <= 16 else 1.0
    if kind == "uniform":
        return 1.0
    return 4.0 if d <= 8 else 2.0 if d <= 16 else 1.5


def cell(part: str, case: Case, values: list[float], **notes: Any) -> Cell:
    """Return the ratios of a cell with their floor and all that was noted."""
    floor = floor_of(part, case.kind, case.d)
    value = median(values) if values else None
    shape = {"n": len(case.points), "d": case.d, "k": case.k}
    figures = {"value": value, "values": values, "floor": floor}
    reached = None if value is None else value >= floor
    return {"part": part, "kind": case.kind} | shape | figures | {"reached": reached} | notes


# ------------------------------------------------------------------ parts of a cell


def against_peers(setting: Setting, case: Case, part: str) -> Cell:
    """Time a fit beside the peers'.

    All stop at a fixed point, and within the tolerance, but for those that cannot (FAISS): they
    are told to make as many iterations as ours made.
    """
    max_iter, tol = LIMITS[part]
    result = lab.check_answer(case.fit, case.points, max_iter, tol)
    lab.check_peers(setting, case.points, case.start, most=2.0)

    def run(peer: contestants.Contestant) -> contestants.Answer:
        told = max_iter if peer.has_tol else result.n_iter
        return peer.call(case.points, case.start, told, tol)

    times, kept = lab.race(
        setting,
        {"kmeans_fast": lambda _: case.fit(max_iter, tol)},
        {name: lambda _, peer=peer: run(peer) for name, peer in setting.peers.items()},
        keep=lambda answer: (answer[0], int(answer[2])),
    )
    inertia = {
        name: round(lab.inertia_of(case.points, found[-1][0]) / result.inertia, 6)
        for name, found in kept.items()
    }
    n_iter = {"kmeans_fast": result.n_iter} | {name: found[-1][1] for name, found in kept.items()}
    lab.progress(f"  iterations {n_iter}, inertia over ours {inertia}")
    unit, values = "no peer", []
    if setting.peers:
        fastest = min(setting.peers, key=lambda name: median(times[name]))
        unit = f"x as fast as {contestants.title_of(fastest)}"
        values = lab.ratios(times[fastest], times["kmeans_fast"])
    noted = {"unit": unit, "times": lab.all_ms(times), "n_iter": n_iter}
    return cell(part, case, values, **noted, **{"inertia over ours": inertia})


def wanted(part: str, kind: str, d: int) -> bool:
    """Return whether a part is measured on points of a kind and of so many dimensions."""
    if kind == "photo":
        return d == 3
    return kind == "gauss" or (d <= 16 and part == "ten")


# ------------------------------------------------------------------- tables and file


def merge(path: Path | None, book: Record, run: Record, one: Cell) -> None:
    """Put a cell in the place of an older one, with the date of its run, and write the file."""
    date = run["machine"]["date"]
    book["cells"]["{part} {kind} {d}x{k}".format(**one)] = one | {"date": date}
    dates = {one["date"] for one in book["cells"].values()}
    book["runs"] = {at: of for at, of in (book["runs"] | {date: run}).items() if at in dates}
    lab.save(path, book)


def grid_table(cells: list[Cell]) -> str:
    """Return the table of ratios: a row for d and kind, a column for K, what is missed marked."""
    ks = sorted({one["k"] for one in cells})
    rows: list[list[str]] = []
    for part, title in TITLES.items():
        found: dict[tuple[int, int], dict[int, str]] = {}
        for one in cells:
            if one["part"] == part:
                row = one["d"], list(KINDS).index(one["kind"])
                found.setdefault(row, {})[one["k"]] = _figure(one)
        if found:
            rows.append([f"**{title}**", *("" for _ in ks)])
        for (d, kind), of in sorted(found.items()):
            rows.append([f"d = {d}, {list(KINDS.values())[kind]}", *(of.get(k, "") for k in ks)])
    return lab.in_columns(["points", *(f"K = {k}" for k in ks)], rows).replace("|  ", "| ")


def _figure(one: Cell) -> str:
    ours = f"({lab.number(median(one['times']['kmeans_fast, ms']))} ms)"
    if one["value"] is None:
        return ours
    missed = "" if one["reached"] else f" **below {one['floor']:g}**"
    return f"{lab.number(one['value'])} {ours}{missed}"


def most(cells: list[Cell]) -> tuple[int, int]:
    """Return how many of the ten-iteration cells above d = 16 reach `MOST`, and of how many."""
    found = [c["value"] for c in cells if c["part"] == "ten" and c["d"] > 16 and c["value"]]
    return sum(value >= MOST for value in found), len(found)


def as_markdown(book: Record) -> str:
    """Return the table, and what the figures are."""
    cells = list(book["cells"].values())
    reach, of = most(cells)
    return (
        f"{grid_table(cells)}\n\nTimes the speed of the fastest of "
        f"{', '.join(map(contestants.title_of, PEERS))} "
        f"(our time), float32; FAISS, which has no tolerance, makes as many iterations as ours "
        f"made. In ten iterations {reach} of {of} cells above d = 16 reach {MOST:g}."
    )


def missed(book: Record) -> list[str]:
    """Return a line for each row of the table with a floor that is not reached."""
    found: dict[str, list[str]] = {}
    for one in book["cells"].values():
        if one["reached"] is False:
            part = TITLES[one["part"]].split(" (")[0].split(" from")[0]
            row = f"d = {one['d']}, {KINDS[one['kind']]}, {part} (held to {one['floor']:g} times)"
            found.setdefault(row, []).append(f"{lab.number(one['value'])} at K = {one['k']}")
    return [f"{row}: {', '.join(values)}." for row, values in found.items()]


# ------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print; return 1 if a floor is not reached."""
    parser = lab.parser_of("grid", __doc__, rounds=3, peers=PEERS)
    shapes = ",".join(f"{d}x{k}" for d, k in CELLS)
    parser.add_argument("--cells", default=shapes, help="d x K (default: all of the grid)")
    for name, known in (("kinds", KINDS), ("parts", TITLES)):
        parser.add_argument(f"--{name}", default=",".join(known), help="default: %(default)s")
    options = parser.parse_args(arguments)
    kinds = lab.words_of(parser, "kinds", options.kinds, KINDS)
    parts = lab.words_of(parser, "parts", options.parts, TITLES)
    try:
        cells = [(int(d), int(k)) for d, k in (c.split("x") for c in options.cells.split(",") if c)]
    except ValueError:
        parser.error(f"--cells {options.cells}: give d x K, as in 3x512,16x64")
    setting, run = lab.setting_of(parser, options)
    path = options.out or (RESULTS / "grid.json" if options.scale == 1 else None)
    book = lab.begin(path, {"runs": {}, "cells": {}})
    for d, k in cells:
        for kind in kinds:
            if not (here := [part for part in parts if wanted(part, kind, d)]):
                continue
            case = arrays.case_of(kind, d, k, options.scale, setting.image)
            for part in here:  # written one by one: a run that is stopped leaves what it has
                lab.progress(f"{part}: {kind}, n = {len(case.points):,}, d = {d}, K = {k}")
                merge(path, book, run, against_peers(setting, case, part))
    found = list(book["cells"].values())
    if not found:
        return 0
    print(as_markdown(book), lab.measured("grid", *book["runs"].values()), sep="\n\n")
    reach, of = most(found)
    return 0 if all(one["reached"] is not False for one in found) and 2 * reach >= of else 1

"""Measure the dense engine over dimensions and clusters: ``python -m bench grid``.

Each cell is one kind of points, d and K, float32 (scenes of many bands uint16), everybody side by
side: from the same start, or each as people call it, seed by seed. Answers are checked before
anything is timed. Figures go to a JSON file, into which a run of a few cells (``--cells 3x512
--parts ten``) is merged.
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import kmeans_fast as kf

from . import arrays, contestants, lab
from .arrays import SCENES, Case
from .contestants import Contestant
from .lab import RESULTS, Record, Setting

Cell = dict[str, Any]  # as it stands in the JSON file

CELLS = [(d, k) for d in (2, 3, 8, 16, 64, 128, 512) for k in (8, 64, 512)]
SCENE_CELLS = {"bands": [(d, 32) for d in (4, 6, 10)], "scene": [(10, 32)]}
KINDS = {"gauss": "clusters", "photo": "photograph", "uniform": "uniform"}
KINDS |= {name: f"{n:,} pixels" for name, n in SCENES.items()}
KNOWN = contestants.PEERS | contestants.OWN_STARTS
PEERS = ("sklearn", "sklearnex", "faiss", "mlpack", "superkmeans")
LIMITS = {"ten": (10, 0.0), "converge": (300, 1e-4)}  # max_iter, tol
TITLES = {
    "ten": "ten iterations from the same start, and labels",
    "converge": "to convergence (tol = 1e-4, at most 300 iterations)",
    "defaults": "as people call it: `fit(X, K)`, k-means++ to convergence",
}
SEEDS = 5  # at least, of the defaults: a round each
WAIT = 60.0  # seconds: who would take longer is not waited for where another is faster
APART = 0.02  # of the error: defaults that end farther apart say so
MOST = 2.0  # what most cells above d = 16 have to reach in ten iterations


def floor_of(part: str, kind: str, d: int) -> float:
    """Return how many times as fast as the fastest peer ours has to be."""
    if kind == "scene":
        return 3.0
    if part != "ten":
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
    lab.check_peers(setting, case.floats, case.start, most=2.0)

    def run(peer: contestants.Contestant) -> contestants.Answer:
        told = max_iter if peer.has_tol else result.n_iter
        return peer.call(case.floats, case.start, told, tol)

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
    over = {name: lab.ratios(times[name], times["kmeans_fast"]) for name in setting.peers}
    exact = [name for name, peer in setting.peers.items() if case.d < peer.exact_below]
    if exact:
        fastest = min(exact, key=lambda name: median(times[name]))
        unit, values = f"x as fast as {contestants.title_of(fastest)}", over[fastest]
    noted = {"unit": unit, "times": lab.all_ms(times), "n_iter": n_iter}
    noted["inexact"] = {name: median(of) for name, of in over.items() if name not in exact}
    return cell(part, case, values, **noted, **{"inertia over ours": inertia})


def waited_for(setting: Setting, case: Case) -> tuple[dict[str, Contestant], dict[str, float]]:
    """Return whose defaults are waited for, warm; and the seconds that others would take.

    These are told from a fit of 20,000 points, or a twentieth.
    """
    here = {n: peer for n, peer in contestants.DEFAULTS.items() if n in setting.peers}
    some = np.ascontiguousarray(case.floats[:: max(1, min(20, len(case.points) // 20_000))])
    expected = {}
    for name, peer in here.items():
        peer.call(some[: 4 * case.k], case.k, 0)  # all is loaded
        taken = lab.timed(peer.call, some, case.k, 0)[0]
        expected[name] = taken * len(case.points) / len(some)
    time.sleep(lab.IDLE)
    most = max(WAIT, min(expected.values(), default=0.0))
    slow = {name: round(seconds) for name, seconds in expected.items() if seconds > most}
    return {name: peer for name, peer in here.items() if name not in slow}, slow


def as_called(setting: Setting, case: Case) -> Cell:
    """Time everybody's defaults, seed by seed: each may end in another optimum.

    A figure is the ratio of medians over the seeds.
    """

    def fit(seed: int = 0, **limits: Any) -> kf.KMeansResult:
        return kf.fit(case.points, case.k, random_state=seed, **limits)

    def ours(seed: int) -> None:
        result = fit(seed)
        own[seed] = result.inertia, result.n_iter

    own: dict[int, tuple[float, int]] = {}
    limits = LIMITS["converge"]
    lab.check_answer(lambda most, tol: fit(max_iter=most, tol=tol), case.points, *limits)
    here, slow = waited_for(setting, case)
    for name, seconds in slow.items():
        lab.progress(f"  not waited for: {name}, some {seconds} s a fit")
    times, kept = lab.race(
        replace(setting, quick=setting.quick or lab.LONG),
        {"kmeans_fast": ours},
        {n: lambda at, peer=peer: peer.call(case.floats, case.k, at) for n, peer in here.items()},
        max(SEEDS, setting.rounds),
        keep=lambda answer: (lab.inertia_of(case.points, answer[0]), int(answer[2])),
    )
    inertia, n_iter = {}, {}
    for name, found in {"kmeans_fast": list(own.values()), **kept}.items():
        inertia[name] = median(of for of, _ in found)
        n_iter[name] = [n for _, n in found]
    over = {name: round(inertia[name] / inertia["kmeans_fast"], 6) for name in here}
    lab.progress(f"  iterations {n_iter}, inertia over ours {over}")
    taken = {name: median(seconds) for name, seconds in times.items()}
    fastest = min(here, key=lambda name: taken[name], default=None)
    values = [taken[fastest] / taken["kmeans_fast"]] if fastest else []
    unit = f"x as fast as {contestants.title_of(fastest)}" if fastest else "no peer"
    noted = {"unit": unit, "fastest": fastest, "times": lab.all_ms(times), "n_iter": n_iter}
    noted |= {"inertia over ours": over, "not waited for, s": slow}
    if case.kind == "scene" and Path("/proc/self/status").exists():
        noted["memory"] = memory_of(case)
    return cell("defaults", case, values, **noted)


MEMORY = """
import sys
import numpy as np
import kmeans_fast as kf
from bench.lab import peak_bytes

points, k = np.load(sys.argv[1]), int(sys.argv[2])
kf.fit(points[:100_000], k, max_iter=2)  # kernels are loaded
print(peak_bytes(lambda: kf.fit(points, k).labels))
"""


def memory_of(case: Case) -> float:
    """Return the most bytes a point over the points themselves, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "points.npy")
        np.save(path, case.points)
        return float(lab.child("-c", MEMORY, str(path), str(case.k))[1]) / len(case.points)


def wanted(part: str, kind: str, d: int, k: int) -> bool:
    """Return whether a part is measured on points of a kind and shape."""
    if kind in SCENES:
        return (d, k) in SCENE_CELLS[kind] and part in ("ten", "defaults")[kind == "scene" :]
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
    """Return the table of ratios: a row for d and kind, a column for K, what is missed marked.

    Who is inexact has a row of its own, with the error that it reached.
    """
    cells = [one for one in cells if one["kind"] not in SCENES]
    ks = sorted({one["k"] for one in cells})
    rows: list[list[str]] = []
    for part, title in TITLES.items():
        found: dict[tuple[int, int, str], dict[int, str]] = {}
        for one in cells:
            if one["part"] == part:
                row = one["d"], list(KINDS).index(one["kind"])
                found.setdefault((*row, ""), {})[one["k"]] = _figure(one)
                for name, value in one.get("inexact", {}).items():
                    error = lab.number(one["inertia over ours"][name])
                    said = f"{lab.number(value)} (its error {error} times ours)"
                    found.setdefault((*row, name), {})[one["k"]] = said
        if found:
            rows.append([f"**{title}**", *("" for _ in ks)])
        for (d, kind, name), of in sorted(found.items()):
            beside = f"; beside {contestants.title_of(name)}, inexact" if name else ""
            shown = [f"d = {d}, {list(KINDS.values())[kind]}{beside}"]
            rows.append(shown + [of.get(k, "") for k in ks])
    return lab.in_columns(["points", *(f"K = {k}" for k in ks)], rows).replace("|  ", "| ")


def scenes_table(cells: list[Cell]) -> str:
    """Return the table of scenes of many bands, if any were measured."""
    found: dict[tuple[int, int, int], dict[str, Cell]] = {}
    for one in cells:
        if one["kind"] in SCENES:
            found.setdefault((one["n"], one["d"], one["k"]), {})[one["part"]] = one
    rows = []
    for (n, d, k), of in sorted(found.items()):
        figures = [_figure(of[part]) if part in of else "" for part in ("ten", "defaults")]
        taken = of.get("defaults", {}).get("memory")
        memory = "" if taken is None else f"{taken:.1f}"
        rows.append([f"{n:,} pixels of {d} bands, uint16, K = {k}", *figures, memory])
    head = ["scene", "ten iterations", "`fit(X, K)`", "bytes a pixel over the data"]
    return lab.in_columns(head, rows) if rows else ""


def _figure(one: Cell) -> str:
    ours = f"({lab.number(median(one['times']['kmeans_fast, ms']))} ms{_apart(one)})"
    if one["value"] is None:
        return ours
    missed = "" if one["reached"] else f" **below {one['floor']:g}**"
    return f"{lab.number(one['value'])} {ours}{missed}"


def _apart(one: Cell) -> str:
    """Return what tells defaults that end in other optima apart from ours."""
    over = one["inertia over ours"].get(one.get("fastest"), 1.0)
    if abs(over - 1) <= APART:
        return ""
    n_iter = [lab.number(median(one["n_iter"][name])) for name in (one["fastest"], "kmeans_fast")]
    return f"; its error {over:.3g} times ours, iterations {n_iter[0]}, ours {n_iter[1]}"


def most(cells: list[Cell]) -> tuple[int, int]:
    """Return how many of the ten-iteration cells above d = 16 reach `MOST`, and of how many."""
    found = [c["value"] for c in cells if c["part"] == "ten" and c["d"] > 16 and c["value"]]
    return sum(value >= MOST for value in found), len(found)


def as_markdown(book: Record) -> str:
    """Return the tables, and what the figures are."""
    cells = list(book["cells"].values())
    reach, of = most(cells)
    here = [name for name in PEERS if any(f"{name}, ms" in one["times"] for one in cells)]
    own = "SuperKMeans starts where it likes; from d = 128 on it prunes inexactly, and has rows of "
    own += "its own, with the error that it reached. "
    parts = [
        grid_table(cells),
        scenes_table(cells),
        f"Times the speed of the fastest of {', '.join(map(contestants.title_of, here))} "
        "(our time), float32, scenes uint16; who has no tolerance makes as many iterations as ours "
        f"made. {own if 'superkmeans' in here else ''}"
        f"In ten iterations {reach} of {of} cells above d = 16 reach {MOST:g}.",
        _of_defaults(cells),
    ]
    return "\n\n".join(part for part in parts if part)


def _of_defaults(cells: list[Cell]) -> str:
    """Return what the figures of defaults are, and who was not waited for."""
    cells = [one for one in cells if one["part"] == "defaults"]
    if not cells:
        return ""
    slow = [
        f"{contestants.title_of(name)} at d = {one['d']}, K = {one['k']} ({seconds:,} s)"
        for one in cells
        for name, seconds in one["not waited for, s"].items()
    ]
    return (
        "As people call it: beside `KMeans(K).fit(X)` of "
        f"{' and '.join(peer.title for peer in contestants.DEFAULTS.values())}, medians over "
        f"{SEEDS} seeds (fewer of what takes long); each may end in another optimum, which is said "
        f"where errors differ by more than {100 * APART:g} %."
        + (f" Not waited for: {'; '.join(slow)}." if slow else "")
    )


def front_page(book: Record) -> str:
    """Return the README's table: what people type, over dimensions and clusters."""
    of = {(c["kind"], c["d"], c["k"]): c for c in book["cells"].values() if c["part"] == "defaults"}
    ks = sorted({k for _, k in CELLS})

    def shown(d: int, k: int) -> str:
        one = of.get(("gauss", d, k), {"value": None})
        if one["value"] is None:
            return "–"
        figure = lab.number(one["value"])
        over = 1 / one["inertia over ours"][one["fastest"]]
        worse = f" (error x {over:.2f})" if over > 1 + APART else ""
        return (figure if one["value"] >= 1 else f"**{figure}**") + worse

    rows = [[f"d = {d}", *(shown(d, k) for k in ks)] for d in dict.fromkeys(d for d, _ in CELLS)]
    scene = of.get(("scene", *SCENE_CELLS["scene"][0]), {"value": None})
    says = ""
    if scene["value"] is not None:
        says = (
            f" A scene of {scene['n']:,} pixels of {scene['d']} bands, uint16, K = {scene['k']}: "
        )
        says += f"{lab.number(scene['value'])} times."
    return lab.in_columns(["`fit(X, K)`: times as fast", *(f"K = {k}" for k in ks)], rows) + (
        "\n\nAs the faster of scikit-learn's and scikit-learn-intelex's `KMeans(K).fit(X)`, all "
        "defaults: 50,000 to 400,000 points of float32 around K centres, medians over "
        f"{SEEDS} seeds, fewer of what takes long. **Bold**: theirs is faster; *error*: ours over "
        f"theirs, where it is {100 * APART:g} % greater and more.{says} "
        "Measured by `python -m bench grid`."
    )


def missed(book: Record) -> list[str]:
    """Return a line for each row of the table with a floor that is not reached."""
    found: dict[str, list[str]] = {}
    for one in book["cells"].values():
        if one["reached"] is False:
            part = TITLES[one["part"]].split(" (")[0].split(" from")[0].split(":")[0]
            row = f"d = {one['d']}, {KINDS[one['kind']]}, {part} (held to {one['floor']:g} times)"
            found.setdefault(row, []).append(f"{lab.number(one['value'])} at K = {one['k']}")
    return [f"{row}: {', '.join(values)}." for row, values in found.items()]


# ------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print; return 1 if a floor is not reached."""
    parser = lab.parser_of("grid", __doc__, rounds=3, peers=PEERS)
    parser.add_argument("--cells", default="", help="d x K, as in 3x512 (default: all of a kind)")
    for name, known in (("kinds", KINDS), ("parts", TITLES)):
        parser.add_argument(f"--{name}", default=",".join(known), help="default: %(default)s")
    options = parser.parse_args(arguments)
    kinds = lab.words_of(parser, "kinds", options.kinds, KINDS)
    parts = lab.words_of(parser, "parts", options.parts, TITLES)
    try:
        asked = [(int(d), int(k)) for d, k in (c.split("x") for c in options.cells.split(",") if c)]
    except ValueError:
        parser.error(f"--cells {options.cells}: give d x K, as in 3x512,16x64")
    setting, run = lab.setting_of(parser, options, KNOWN)
    path = options.out or (RESULTS / "grid.json" if options.scale == 1 else None)
    book = lab.begin(path, {"runs": {}, "cells": {}})
    for kind in kinds:
        for d, k in asked or SCENE_CELLS.get(kind, CELLS):
            if not (here := [part for part in parts if wanted(part, kind, d, k)]):
                continue
            case = arrays.case_of(kind, d, k, options.scale, setting.image)
            for part in here:  # written one by one: a run that is stopped leaves what it has
                lab.progress(f"{part}: {kind}, n = {len(case.points):,}, d = {d}, K = {k}")
                called = part == "defaults"
                one = as_called(setting, case) if called else against_peers(setting, case, part)
                merge(path, book, run, one)
    found = list(book["cells"].values())
    if not found:
        return 0
    print(as_markdown(book), lab.measured("grid", *book["runs"].values()), sep="\n\n")
    reach, of = most(found)
    return 0 if all(one["reached"] is not False for one in found) and 2 * reach >= of else 1

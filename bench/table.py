"""Measure every figure that a fit of a picture has to reach: ``python -m bench table``.

Everything is timed side by side in one run: same pixels, same start, same iterations, labels
included; answers are checked before anything is timed. Prints a Markdown table and writes all the
figures as JSON, into which a run of a few rows (``--rows first_fit``) is merged. A full run, with
peers that take a minute a fit, takes half an hour.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import kmeans_fast as kf

from . import contestants, lab, pictures
from .lab import IDLE, RESULTS, Record, Setting, Times
from .pictures import Picture
from .stages import timing_checks

PEERS = ("sklearn", "sklearnex", "faiss", "opencv")


@dataclass
class Row:
    """One figure: its median over the rounds, the least and the greatest, and the floor."""

    work: str
    unit: str
    values: list[float]
    floor: float
    at_most: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def as_record(self) -> Record:
        """Return the row as it stands in the file."""
        value = median(self.values)
        reached = value <= self.floor if self.at_most else value >= self.floor
        return vars(self) | {"value": value, "reached": reached}


def ten_iterations(
    setting: Setting, image: Picture, k: int, work: str, copies: float | None, floor: float
) -> list[Row]:
    """Measure ten iterations from one start against `image.copy()` and the fastest peer."""
    pixels = image.reshape(-1, 3)
    start = pictures.start_of(pixels[:: max(1, len(pixels) // 200_000)], k)

    def ours(max_iter: int = 10, tol: float = 0.0) -> kf.KMeansResult:
        return kf.fit(image, k, init=start, max_iter=max_iter, tol=tol)

    result = lab.check_answer(ours, image, 10, 0.0)
    apart = lab.check_peers(setting, pixels, start, most=1.05)
    times, kept = lab.race(
        setting,
        {"kmeans_fast": lambda _: ours(), "image.copy()": lambda _: image.copy()},
        {n: lambda _, peer=peer: peer.call(pixels, start, 10) for n, peer in setting.peers.items()},
        keep=lambda answer: answer[0],
    )
    notes = lab.all_ms(times) | {
        "pixels": len(pixels),
        "colors": pictures.n_colors(image),
        "iterations": result.n_iter,
        "peers' inertia after 2 iterations over ours": apart,
        "peers' inertia over ours": {
            name: lab.inertia_of(image, found[-1]) / result.inertia for name, found in kept.items()
        },
    }
    rows = []
    if copies is not None:
        over = lab.ratios(times["kmeans_fast"], times["image.copy()"])
        rows.append(Row(work, "x image.copy()", over, copies, at_most=True, notes=notes))
    if setting.peers:
        fastest = min(setting.peers, key=lambda name: median(times[name]))
        unit = f"x as fast as {contestants.title_of(fastest)}, the fastest peer"
        speed = lab.ratios(times[fastest], times["kmeans_fast"])
        rows.append(Row(work, unit, speed, floor, notes={} if rows else notes))
    return rows


def photo16(setting: Setting) -> list[Row]:
    """24 megapixels, 10 iterations, K = 16."""
    work = "24-megapixel photograph, 10 iterations, K = 16"
    return ten_iterations(setting, setting.photograph(24), 16, work, 4, 60)


def photo256(setting: Setting) -> list[Row]:
    """24 megapixels, 10 iterations, K = 256."""
    work = "24-megapixel photograph, 10 iterations, K = 256"
    return ten_iterations(setting, setting.photograph(24), 256, work, 5, 200)


def noise(setting: Setting) -> list[Row]:
    """More than a million distinct colours."""
    image = pictures.sensor_noise(12 * setting.scale)
    work = f"12 megapixels of sensor noise ({pictures.n_colors(image):,} colours), 10 iterations, "
    return ten_iterations(setting, image, 256, work + "K = 256", None, 40)


def _defaults(setting: Setting, image: Picture, k: int, rounds: int) -> tuple[Times, list[float]]:
    """Time both libraries' defaults, seed by seed; return the times and our inertia over theirs."""
    from sklearn.cluster import KMeans

    pixels = image.reshape(-1, 3)  # uint8: scikit-learn makes them float64 by itself

    def theirs(seed: int) -> Any:
        with contestants.quiet():
            return KMeans(k, random_state=seed).fit(pixels)  # n_init="auto": one k-means++ start

    kf.fit(image, k)
    KMeans(k).fit(pixels[:10_000])
    time.sleep(IDLE)
    times, kept = lab.race(
        setting,
        {"kmeans_fast": lambda seed: kf.fit(image, k, random_state=seed)},
        {"scikit-learn": theirs},
        rounds,
        keep=lambda model: model.cluster_centers_,
    )
    inertia = [
        kf.fit(image, k, random_state=seed).inertia / lab.inertia_of(image, centroids)
        for seed, centroids in enumerate(kept["scikit-learn"])
    ]
    return times, inertia


def defaults12(setting: Setting) -> list[Row]:
    """12 megapixels, defaults, K = 16, against KMeans(16)."""
    times, inertia = _defaults(setting, setting.photograph(12), 16, setting.rounds)
    work = "12-megapixel photograph, defaults (seeding, convergence), K = 16"
    speed = lab.ratios(times["scikit-learn"], times["kmeans_fast"])
    return [
        Row(work, "x as fast as KMeans(16)", speed, 200, notes=lab.all_ms(times)),
        Row(work, "x the inertia of KMeans(16)", inertia, 1.03, at_most=True),
    ]


def small(setting: Setting) -> list[Row]:
    """200 x 200, defaults, K = 10, against KMeans(10)."""
    image = pictures.thumbnail(setting.photograph(12))
    times, inertia = _defaults(setting, image, 10, max(9, setting.rounds))
    speed = lab.ratios(times["scikit-learn"], times["kmeans_fast"])
    notes = lab.all_ms(times) | {"inertia over theirs": inertia}
    return [
        Row("200 x 200 image, defaults, K = 10", "x as fast as KMeans(10)", speed, 20, False, notes)
    ]


def checks(setting: Setting) -> list[Row]:
    """200 x 200, defaults, K = 10: what the checks at the door take of it."""
    image = pictures.thumbnail(setting.photograph(12))
    kf.fit(image, 10)
    times: Times = {"fit": [], "checks": []}
    shares = []
    for _ in range(max(9, setting.rounds)):  # a median of many: each takes some microseconds
        pairs = []
        for _ in range(20):
            with timing_checks() as seconds:
                whole, _ = lab.timed(kf.fit, image, 10)
            lab.expect(len(seconds) > 5, "the checks are not where they were")
            pairs.append((whole, sum(seconds)))
        for name, taken in zip(times, zip(*pairs, strict=True), strict=True):
            times[name].append(median(taken))
        shares.append(100 * median(checked / whole for whole, checked in pairs))
    lab.progress("  " + lab.in_ms(times))
    work = "200 x 200 image, defaults, K = 10: the checks at the door"
    return [Row(work, "% of the fit", shares, 5, at_most=True, notes=lab.all_ms(times))]


def seeding(setting: Setting) -> list[Row]:
    """12 megapixels, K = 256: k-means++ against the iterations to convergence."""
    histogram = kf.ColorHistogram(setting.photograph(12))  # counted once: what is left is seeding
    times: Times = {"seeding": [], "iterations": []}
    for _ in range(max(5, setting.rounds)):
        times["seeding"].append(lab.timed(kf.kmeans_plusplus, histogram, 256)[0])
        result = kf.fit(histogram, 256)
        times["iterations"].append(sum(iteration.seconds for iteration in result.history))
    lab.expect(result.converged, "the fit did not converge")
    lab.progress("  " + lab.in_ms(times))
    notes = lab.all_ms(times) | {"iterations": result.n_iter, "colors": histogram.n_colors}
    over = lab.ratios(times["seeding"], times["iterations"])
    work = "12-megapixel photograph, K = 256: seeding"
    return [Row(work, "x the iterations to convergence", over, 1.0, at_most=True, notes=notes)]


def tutorial(setting: Setting) -> list[Row]:
    """Against the plain loop of the tutorial: 200 x 200, K = 10, ten iterations."""
    side = max(20, round(200 * setting.scale**0.5))
    image = pictures.thumbnail(setting.photograph(12), side)
    start = pictures.start_of(image, 10)
    plain = kf.reference.k_means(start, image)
    for ours, theirs in zip(kf.k_means(start, image), plain, strict=True):
        lab.expect(np.array_equal(ours, theirs))
    times, _ = lab.race(
        setting,
        {"kmeans_fast": lambda _: kf.k_means(start, image)},
        {"reference": lambda _: kf.reference.k_means(start, image)},
    )
    speed = lab.ratios(times["reference"], times["kmeans_fast"])
    n_iter = kf.fit(image, 10, init=start, max_iter=10, tol=0).n_iter
    work = f"the tutorial's loop, {side} x {side}, K = 10, {n_iter} iterations"
    return [Row(work, "x as fast as kmeans_fast.reference", speed, 5000, notes=lab.all_ms(times))]


# ------------------------------------------------------- rows measured in new processes

MEMORY = """
import sys
import numpy as np
import kmeans_fast as kf
from bench.lab import peak_bytes

image, k = np.load(sys.argv[1]), int(sys.argv[2])
kf.fit(np.ascontiguousarray(image[:400, :400]), k, max_iter=2)  # kernels are loaded
print(peak_bytes(lambda: kf.fit(image, k).labels))
"""
FIRST_FIT = """
import sys
import numpy as np
import kmeans_fast as kf
kf.fit(np.load(sys.argv[1]), 10)
"""


def memory(setting: Setting) -> list[Row]:
    """58 megapixels: the memory that a fit takes over the image, labels included."""
    if not Path("/proc/self/status").exists():
        lab.progress("  left out: measured on Linux only")
        return []
    image = setting.photograph(58)
    n_pixels = image.size // 3
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "image.npy")
        np.save(path, image)
        del image
        taken: dict[int, list[float]] = {16: [], 256: []}
        for _ in range(setting.rounds):
            for k, found in taken.items():
                found.append(float(lab.child("-c", MEMORY, str(path), str(k))[1]))
    worst = max(taken.values(), key=median)
    notes = {f"K = {k}, bytes": found for k, found in taken.items()} | {"pixels": n_pixels}
    work = "memory over the image itself, 58 megapixels, the worse of K = 16 and 256"
    return [
        Row(work, "bytes a pixel", [b / n_pixels for b in worst], 3, at_most=True, notes=notes),
        Row(work, "MB", [b / 1e6 for b in worst], 200, at_most=True),
    ]


def first_fit(setting: Setting) -> list[Row]:
    """Start a new process on a machine that never compiled: import and first fit."""
    times: Times = {"import numpy": [], "import and fit": [], "without the pack": []}
    with tempfile.TemporaryDirectory() as folder:
        array = Path(folder, "small.npy")
        np.save(array, pictures.thumbnail(pictures.photograph(1)))
        for at in range(max(7, setting.rounds)):
            cold = Path(folder, f"cold{at}")
            times["import numpy"].append(lab.child("-c", "import numpy")[0])
            times["import and fit"].append(lab.child("-c", FIRST_FIT, str(array), cache=cold)[0])
        for at in range(1 if setting.quick else setting.rounds):
            cold = Path(folder, f"bare{at}")
            seconds = lab.child("-c", FIRST_FIT, str(array), cache=cold, pack=False)[0]
            times["without the pack"].append(seconds)
    lab.progress("  " + lab.in_ms(times))
    work = "new process that never compiled: import and first fit of a 200 x 200 image"
    whole, bare = times["import and fit"], times["without the pack"]
    return [
        Row(work, "s in all", whole, 0.35, at_most=True, notes=lab.all_ms(times)),
        Row("the same without the pack of ready kernels", "s in all", bare, 20, at_most=True),
    ]


ROWS: dict[str, Callable[[Setting], list[Row]]] = {
    row.__name__: row
    for row in (
        photo16, photo256, defaults12, small, checks, noise, memory, seeding, tutorial, first_fit,
    )
}  # fmt: skip


def figure(row: Record) -> tuple[str, str]:
    """Return what a row measured, and what it is held to."""
    floor = ("at most " if row["at_most"] else "at least ") + lab.number(row["floor"])
    return f"{lab.number(row['value'])} {row['unit']}", floor


def as_markdown(book: Record) -> str:
    """Return the table, and what the figures are."""
    rows = []
    for row in book["rows"]:
        measured, floor = figure(row)
        spread = f"{lab.number(min(row['values']))} to {lab.number(max(row['values']))}"
        rows.append([row["work"], measured, spread, floor, "yes" if row["reached"] else "NO"])
    of = ", ".join(dict.fromkeys(run["picture"] for run in book["runs"].values()))
    return (
        lab.in_columns(["work", "measured", "spread", "floor", "reached"], rows)
        + f"\n\nWhat a row compares is measured side by side in one run; picture: {of}. *Floor* is "
        "what we hold ourselves to; the rows that we miss stay in."
    )


def missed(book: Record) -> list[str]:
    """Return a line for each floor that is not reached."""
    rows = [row for row in book["rows"] if not row["reached"]]
    return [f"{row['work']}: {' (held to '.join(figure(row))})." for row in rows]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; return 1 if a floor is not reached."""
    parser = lab.parser_of("table", __doc__, rounds=3, peers=PEERS)
    parser.add_argument("--rows", default=",".join(ROWS), help="which rows (default: %(default)s)")
    options = parser.parse_args(arguments)
    wanted = lab.words_of(parser, "rows", options.rows, ROWS)
    setting, run = lab.setting_of(parser, options)
    path = options.out or (RESULTS / "table.json" if options.scale == 1 else None)
    # Rows that are measured now take the place of older ones; the others keep their own run.
    book = lab.begin(path, {"runs": {}, "rows": []})
    order = list(ROWS)
    for name in wanted:
        lab.progress(f"{name}: {(ROWS[name].__doc__ or '').splitlines()[0]}")
        rows = [row for row in book["rows"] if row["row"] != name]
        rows += [row.as_record() | {"row": name} for row in ROWS[name](setting)]
        book["rows"] = sorted(rows, key=lambda row: order.index(row["row"]))
        book["runs"][name] = run
        lab.save(path, book)  # a run that is stopped leaves what it has
    if options.scale != 1:
        print(f"All sizes times {options.scale:g}: this is a trial of the script, not the table.")
    print(as_markdown(book), lab.measured("table", *book["runs"].values()), sep="\n\n")
    for title, why in run["peers left out"].items():
        print(f"Left out: {title}, {why}.")
    return 0 if all(row["reached"] for row in book["rows"]) else 1

"""Speed, memory and palettes beside what people use today: ``python -m bench peers``.

One picture, each contestant in turn, round by round. Those that can are given our start and ten
iterations; for the others the row says how their terms differ, and they stand beside our defaults
(k-means++, to convergence). Labels or an indexed picture are part of everybody's work.

The peak memory is that of a process that does nothing else, over what it holds before; the error
is the mean squared distance of the pixels to the nearest colour of the palette.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

import kmeans_fast as kf

from . import peers, pictures, records
from .measure import IDLE, LONG, Setting, child, inertia_of, picture_of, progress, start_of, timed
from .model import ms, table
from .pictures import Picture
from .quantizers import MOST_COLORS, QUANTIZERS
from .records import Record, number

ITERATIONS, KS = 10, (16, 256)
OURS, OUR_DEFAULTS = "kmeans_fast", "kmeans_fast-defaults"
STEADY = 0.10  # runs agree if ratios above 2 are within this
Contestant = Callable[[Picture, int, np.ndarray], np.ndarray]  # picture, K, start: the palette


def same_start(peer: peers.Peer) -> Contestant:
    """Return a peer that is given our start."""
    return lambda picture, k, start: peer(picture.reshape(-1, 3), start, ITERATIONS)[0]


def ours(picture: Picture, k: int, start: np.ndarray) -> np.ndarray:
    """Fit from a start."""
    return kf.fit(picture, k, init=start, max_iter=ITERATIONS, tol=0).centroids


def our_defaults(picture: Picture, k: int, start: np.ndarray) -> np.ndarray:
    """Make an indexed picture, as `quantize` does by default."""
    indexed = kf.quantize(picture, k)
    return np.array(indexed.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)


SAME = "our start, ten iterations"
CONTESTANTS: dict[str, tuple[str, str, Contestant]] = {
    OURS: ("kmeans_fast", SAME, ours),
    OUR_DEFAULTS: ("kmeans_fast.quantize", "k-means++, to convergence", our_defaults),
}
CONTESTANTS |= {
    name: (peers.NAMES[name], SAME, same_start(peer)) for name, peer in peers.PEERS.items()
}
CONTESTANTS["opencv"] = (peers.NAMES["opencv"], f"{SAME}, of which it labels eight", same_start(
    peers.PEERS["opencv"]
))  # fmt: skip
CONTESTANTS |= {
    name: (q.title, q.terms, lambda picture, k, _, q=q: q.palette(picture, k))
    for name, q in QUANTIZERS.items()
}


def present(wanted: str) -> tuple[list[str], dict[str, str]]:
    """Return who can run of a list with commas, and why the others cannot."""
    here, absent = [], {}
    for name in dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()):
        if name in QUANTIZERS:
            why = QUANTIZERS[name].missing()
        elif name in peers.PEERS:
            why = peers.present(name)[1].get(name)
        else:
            why = f"unknown: none of {', '.join([*peers.PEERS, *QUANTIZERS])}"
        if why is None:
            here.append(name)
        else:
            absent[name] = why
            progress(f"left out: {name}, {why}")
    return here, absent


# ---------------------------------------------------------------------------- memory

ALONE = """
import sys
import numpy as np
from bench import compare
from bench.measure import peak_bytes

name, path, k = sys.argv[1], sys.argv[2], int(sys.argv[3])
picture, start = np.load(path), np.load(path.replace("picture", f"start{k}"))
run = compare.CONTESTANTS[name][2]
run(np.ascontiguousarray(picture[:100, :100]), k, start)  # all is loaded
print(peak_bytes(lambda: run(picture, k, start)))
"""
# From a process that is itself small: a child's greatest size starts at its parent's.
COMMAND = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def peak_bytes(name: str, folder: Path, k: int) -> float | None:
    """Return the greatest memory of a contestant by itself; None where the system cannot tell."""
    if not Path("/proc/self/status").exists():
        return None
    try:
        if name in QUANTIZERS and QUANTIZERS[name].command:
            words = QUANTIZERS[name].filled(k, folder / "picture.png", folder / "out.png")
            return float(child("-c", COMMAND, *words)[1])
        return float(child("-c", ALONE, name, str(folder / "picture.npy"), str(k))[1])
    except Exception as error:  # a peer that dies alone must not take the others' figures along
        progress(f"  no memory of {name}: {error}")
        return None


# ------------------------------------------------------------------------------ a case


def measure(setting: Setting, picture: Picture, k: int, names: list[str], folder: Path) -> Record:
    """Return the rows of one number of colours."""
    start = start_of(picture.reshape(-1, 3), k)
    np.save(folder / f"start{k}.npy", start)
    names = [OURS, OUR_DEFAULTS, *names]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    palettes: dict[str, np.ndarray] = {}
    some = np.ascontiguousarray(picture[: max(1, 40_000 // picture.shape[1])])
    for name in list(names):
        try:
            CONTESTANTS[name][2](some, k, start)  # loaded, and compiled
        except Exception as error:
            names.remove(name)
            progress(f"  left out: {name} fails ({error})")
    for turn in range(setting.rounds):
        for name in names:
            if sum(seconds[name]) > setting.long:
                continue  # it had its rounds
            run = CONTESTANTS[name][2]
            taken, palettes[name] = timed(run, picture, k, start)
            if name in (OURS, OUR_DEFAULTS):
                taken = median([taken, *(timed(run, picture, k, start)[0] for _ in range(4))])
            seconds[name].append(taken)
            time.sleep(0 if name in (OURS, OUR_DEFAULTS) else IDLE)
        shown = ", ".join(f"{name} {1e3 * seconds[name][-1]:,.0f}" for name in names)
        progress(f"  K = {k}, round {turn + 1}/{setting.rounds}: {shown} ms")
    rows = []
    for name in names:
        title, terms, _ = CONTESTANTS[name]
        rows.append(
            {
                "name": name,
                "title": title,
                "terms": terms,
                "against": OURS if terms.startswith(SAME) else OUR_DEFAULTS,
                "seconds": seconds[name],
                "error": inertia_of(picture, palettes[name].astype(float)) * 3 / picture.size,
                "bytes": peak_bytes(name, folder, k),
            }
        )
    return {"k": k, "rows": rows}


def ratio(row: Record, rows: list[Record], part: slice = slice(None)) -> float:
    """Return how many times the time of ours a row takes, over some of the rounds."""
    own = next(other for other in rows if other["name"] == row["against"])["seconds"]
    taken = row["seconds"]
    return median(taken[part] or taken) / median(own[part] or own)


def unsteady(case: Record) -> list[str]:
    """Return whose ratio, above 2, differs by more than a tenth between halves of the rounds."""
    found = []
    for row in case["rows"]:
        half = len(row["seconds"]) // 2
        if half and ratio(row, case["rows"]) > 2:
            first, second = (
                ratio(row, case["rows"], part) for part in (slice(half), slice(half, None))
            )
            if abs(first / second - 1) > STEADY:
                found.append(f"{row['title']} at K = {case['k']}: {first:.3g}, then {second:.3g}")
    return found


def against(before: Record, now: Record) -> list[str]:
    """Return the ratios above 2 that an earlier run of the same picture found otherwise."""
    found = []
    for case in now["cases"]:
        old = next((other for other in before["cases"] if other["k"] == case["k"]), None)
        for row in case["rows"] if old else []:
            was = next((r for r in old["rows"] if r["name"] == row["name"]), None)
            if was is None or ratio(row, case["rows"]) <= 2:
                continue
            a, b = ratio(was, old["rows"]), ratio(row, case["rows"])
            if abs(a / b - 1) > STEADY:
                found.append(f"{row['title']} at K = {case['k']}: {a:.3g}, now {b:.3g}")
    return found


# ------------------------------------------------------------------------------ as text


def as_markdown(record: Record) -> str:
    """Return a table for each number of colours, and what was measured on what."""
    head = ["", "terms", "ms", "times ours", "peak memory, MB", "error", "times ours"]
    parts = []
    for case in record["cases"]:
        rows = []
        for row in case["rows"]:
            own = next(r for r in case["rows"] if r["name"] == row["against"])
            taken = "-" if row["bytes"] is None else number(row["bytes"] / 1e6)
            rows.append(
                [row["title"], row["terms"], ms(row["seconds"])]
                + [number(ratio(row, case["rows"])), taken]
                + [number(row["error"]), f"{row['error'] / own['error']:.3f}"]
            )
        parts.append(f"**{case['k']} colours**\n\n" + table(head, rows))
    noisy = [line for case in record["cases"] for line in unsteady(case)]
    notes = [
        f"{record['megapixels']:.3g} megapixels, {record['colors']:,} colours "
        f"({record['picture']}), in turn, {record['rounds']} rounds: medians, least to greatest. "
        "*Times ours*: of the row of ours on the same terms. *Error*: mean squared distance to "
        f"the palette. Measured by `python -m bench peers` ({records.about(record)})."
    ]
    if noisy:
        notes.append(
            "The machine was noisy: between halves of the rounds these ratios differ by more than "
            f"a tenth: {'; '.join(noisy)}."
        )
    if left_out := record["peers left out"]:
        notes.append("Left out: " + "; ".join(f"{n}, {why}" for n, why in left_out.items()) + ".")
    return "\n\n".join(parts + notes)


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    everybody = ",".join([*peers.PEERS, *QUANTIZERS])
    parser.add_argument("--image", help="a photograph to use instead of one made in code")
    parser.add_argument("--megapixels", type=float, default=2.0, help="default: 2")
    parser.add_argument("-k", default=",".join(map(str, KS)), help="default: %(default)s")
    parser.add_argument("--peers", default=everybody, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=4, help="default: 4")
    parser.add_argument("--out", type=Path, help="default: bench/results/peers.json")
    options = parser.parse_args(arguments)
    try:
        ks = [int(k) for k in options.k.split(",") if k]
    except ValueError:
        parser.error(f"-k {options.k}: give whole numbers with commas between")
    if not ks or min(ks) < 2 or max(ks) > MOST_COLORS:
        parser.error(f"-k {options.k}: give 2 to {MOST_COLORS} colours, as palettes hold")
    if options.megapixels <= 0 or options.rounds < 1:
        parser.error("give --megapixels above 0, and --rounds of 1 or more")
    path = options.out or records.RESULTS / "peers.json"

    names, absent = present(options.peers)
    image = picture_of(options.image)
    here = {name: peers.PEERS[name] for name in names if name in peers.PEERS}
    setting = Setting(here, image, options.rounds, True, 1.0, LONG)
    picture = setting.photograph(options.megapixels)
    before = None
    if path.exists():
        try:
            before = records.load(path)
        except records.RecordError as error:
            progress(f"{error}: it is written anew")
    record = records.describe(setting, absent, None if image is None else options.image)
    for name in names:
        if name in QUANTIZERS:
            record["versions"][QUANTIZERS[name].title.split(",")[0]] = QUANTIZERS[name].version()
    record |= {
        "megapixels": picture.size / 3e6,
        "colors": pictures.n_colors(picture),
        "cases": [],
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "picture.npy", picture)
        Image.fromarray(picture).save(folder / "picture.png", compress_level=1)
        for k in ks:
            record["cases"].append(measure(setting, picture, k, names, folder))
            records.save(path, record)
    print(as_markdown(record))
    same = ("picture", "megapixels")
    if before is not None and all(before.get(key) == record[key] for key in same):
        changed = against(before, record)
        print(
            f"\nBeside the run of {before['machine']['date']}: "
            + ("ratios above 2 within a tenth" if not changed else "; ".join(changed))
        )
    return 0

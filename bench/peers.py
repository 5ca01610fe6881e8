"""Speed, memory and palettes beside what people use today: ``python -m bench peers``.

One picture, each contestant in turn, round by round. Those that can are given our start and ten
iterations; for the others the row says how their terms differ, and they stand beside our defaults
(k-means++, to convergence). Labels or an indexed picture are part of everybody's work.

The peak memory is that of a process that does nothing else, over what it holds before; the error
is the mean squared distance of the pixels to the nearest colour of the palette.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np

import kmeans_fast as kf

from . import lab, pictures
from .contestants import ALL, MOST_COLORS, PEERS, SAME, title_of
from .lab import IDLE, LONG, RESULTS, Record, Setting
from .pictures import Picture

MEGAPIXELS, ITERATIONS, KS = 2, 10, (16, 256)
OURS, OUR_DEFAULTS = "kmeans_fast", "kmeans_fast-defaults"
STEADY = 0.10  # halves of the rounds agree if ratios above 2 are within this


def palette_of(name: str, picture: Picture, k: int, start: np.ndarray) -> np.ndarray:
    """Run a contestant, ours among them; return the colours that it finds."""
    if name == OURS:
        return kf.fit(picture, k, init=start, max_iter=ITERATIONS, tol=0).centroids
    if name == OUR_DEFAULTS:  # an indexed picture
        colors = kf.quantize(picture, k).getpalette("RGB")
        return np.array(colors, dtype=np.uint8).reshape(-1, 3)
    if name in PEERS:
        return PEERS[name].call(picture.reshape(-1, 3), start, ITERATIONS)[0]
    return ALL[name].call(picture, k)


def described(name: str) -> tuple[str, str]:
    """Return the title of a contestant, and its terms."""
    if name in (OURS, OUR_DEFAULTS):
        return ("kmeans_fast", SAME) if name == OURS else (
            "kmeans_fast.quantize", "k-means++, to convergence"
        )  # fmt: skip
    return title_of(name), ALL[name].terms


ALONE = """
import sys
import numpy as np
from bench.lab import peak_bytes
from bench.peers import palette_of

name, path, k = sys.argv[1], sys.argv[2], int(sys.argv[3])
picture, start = np.load(path), np.load(path.replace("picture", f"start{k}"))
palette_of(name, np.ascontiguousarray(picture[:100, :100]), k, start)  # all is loaded
print(peak_bytes(lambda: palette_of(name, picture, k, start)))
"""


def memory_of(name: str, folder: Path, k: int) -> float | None:
    """Return the greatest memory of a contestant by itself; None where the system cannot tell."""
    if not Path("/proc/self/status").exists():
        return None
    try:
        return float(lab.child("-c", ALONE, name, str(folder / "picture.npy"), str(k))[1])
    except Exception as error:  # a peer that dies alone must not take the others' figures along
        lab.progress(f"  no memory of {name}: {error}")
        return None


def measure(setting: Setting, picture: Picture, k: int, folder: Path) -> Record:
    """Return the rows of one number of colours."""
    start = pictures.start_of(picture, k)
    np.save(folder / f"start{k}.npy", start)
    names = [OURS, OUR_DEFAULTS, *setting.peers]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    palettes: dict[str, np.ndarray] = {}
    some = np.ascontiguousarray(picture[: max(1, 40_000 // picture.shape[1])])
    for name in list(names):
        try:
            palette_of(name, some, k, start)  # loaded, and compiled
        except Exception as error:
            names.remove(name)
            lab.progress(f"  left out: {name} fails ({error})")
    for turn in range(setting.rounds):
        for name in names:
            if sum(seconds[name]) > (setting.quick or LONG):
                continue  # it had its rounds
            once = []
            for _ in range(5 if name in (OURS, OUR_DEFAULTS) else 1):
                taken, palettes[name] = lab.timed(palette_of, name, picture, k, start)
                once.append(taken)
            seconds[name].append(median(once))
            time.sleep(0 if name in (OURS, OUR_DEFAULTS) else IDLE)
        shown = ", ".join(f"{name} {1e3 * seconds[name][-1]:,.0f}" for name in names)
        lab.progress(f"  K = {k}, round {turn + 1}/{setting.rounds}: {shown} ms")
    rows = []
    for name in names:
        title, terms = described(name)
        rows.append(
            {
                "name": name,
                "title": title,
                "terms": terms,
                "against": OURS if terms.startswith(SAME) else OUR_DEFAULTS,
                "seconds": seconds[name],
                "error": lab.inertia_of(picture, palettes[name].astype(float)) * 3 / picture.size,
                "bytes": memory_of(name, folder, k),
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


def as_markdown(record: Record) -> str:
    """Return a table for each number of colours, and what was measured on what."""
    head = ["", "terms", "ms", "times ours", "peak memory, MB", "error", "times ours"]
    parts = []
    for case in record["cases"]:
        rows = []
        for row in case["rows"]:
            own = next(r for r in case["rows"] if r["name"] == row["against"])
            taken = "-" if row["bytes"] is None else lab.number(row["bytes"] / 1e6)
            rows.append(
                [row["title"], row["terms"], lab.ms(row["seconds"])]
                + [lab.number(ratio(row, case["rows"])), taken]
                + [lab.number(row["error"]), f"{row['error'] / own['error']:.3f}"]
            )
        parts.append(f"**{case['k']} colours**\n\n" + lab.in_columns(head, rows))
    noisy = [line for case in record["cases"] for line in unsteady(case)]
    notes = [
        f"{record['megapixels']:.3g} megapixels, {record['colors']:,} colours "
        f"({record['picture']}), in turn, {record['rounds']} rounds: medians, least to greatest. "
        "*Times ours*: of the row of ours on the same terms. *Error*: mean squared distance to "
        f"the palette. Measured by `python -m bench peers` ({lab.about(record)})."
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
    parser = lab.parser_of("peers", __doc__, rounds=4, peers=ALL)
    parser.add_argument("-k", default=",".join(map(str, KS)), help="default: %(default)s")
    options = parser.parse_args(arguments)
    try:
        ks = [int(k) for k in options.k.split(",") if k]
    except ValueError:
        parser.error(f"-k {options.k}: give whole numbers with commas between")
    if not ks or min(ks) < 2 or max(ks) > MOST_COLORS:
        parser.error(f"-k {options.k}: give 2 to {MOST_COLORS} colours, as palettes hold")
    setting, record = lab.setting_of(parser, options, known=ALL)
    path = options.out or (RESULTS / "peers.json" if options.scale == 1 else None)
    picture = setting.photograph(MEGAPIXELS)
    record |= {"megapixels": picture.size / 3e6, "colors": pictures.n_colors(picture), "cases": []}
    with tempfile.TemporaryDirectory() as name:
        np.save(Path(name, "picture.npy"), picture)
        for k in ks:
            record["cases"].append(measure(setting, picture, k, Path(name)))
            lab.save(path, record)
    print(as_markdown(record))
    return 0

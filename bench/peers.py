"""Speed, memory and palettes beside what people use today: ``python -m bench peers``.

One picture, each contestant in turn, round by round, in a process of its own that does nothing
else. Those that can are given our start and ten iterations; for the others the row says how their
terms differ, and they stand beside ours on the same: `quantize` (k-means++, to convergence), or the
command line for what is a program. Labels or an indexed picture are part of everybody's work;
programs read a PNG and write one as well.

A process warms up on a few rows of the picture, then runs again and again until a second is over;
the median stands for the round. The peak memory is of the whole process: Python, what it imports
and the picture are in it. The error is the mean squared distance of the pixels to the nearest
colour of the palette.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from . import lab, pictures
from .contestants import ALL, MOST_COLORS, OURS, SAME, Command, Contestant, colors_of
from .lab import LONG, RESULTS, Record, Setting

MEGAPIXELS, ITERATIONS, KS = {"peers": 2.0, "front": 12.0}, 10, (16, 256)
KNOWN = OURS | ALL
STEADY = 0.10  # halves of the rounds agree if ratios above 2 are within this
ENOUGH = 1.0  # seconds: after that a process runs no more

ALONE = """
import json, sys
from pathlib import Path
from bench.peers import alone

print(json.dumps(alone(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
"""
# A small process starts programs: what it holds itself would count as theirs (Linux).
STARTER = """
import json, resource, subprocess, sys, time
seconds = []
while sum(seconds) < float(sys.argv[1]):
    start = time.perf_counter()
    subprocess.run(sys.argv[2:], check=True)
    seconds.append(time.perf_counter() - start)
peak = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"seconds": seconds, "bytes": peak}))
"""


def alone(name: str, folder: Path, k: int) -> Record:
    """Measure one that is called, in this process: seconds, the most memory held, the error."""
    who = KNOWN[name]
    picture, start = np.load(folder / "picture.npy"), np.load(folder / f"start{k}.npy")

    def run(picture: pictures.Picture) -> object:
        if who.terms.startswith(SAME):
            return who.call(picture.reshape(-1, 3), start, ITERATIONS)
        return who.call(picture, k)

    run(np.ascontiguousarray(picture[: max(1, 40_000 // picture.shape[1])]))  # all is loaded
    seconds: list[float] = []
    while sum(seconds) < ENOUGH:
        taken, answer = lab.timed(run, picture)
        seconds.append(taken)
    peak = lab.in_status("VmHWM") if Path("/proc/self/status").exists() else None
    return {"seconds": median(seconds), "bytes": peak, "error": error_of(picture, answer)}


def apart(name: str, folder: Path, k: int) -> Record:
    """Measure one, a program too, in a process of its own."""
    if not isinstance(who := KNOWN[name], Command):
        return json.loads(lab.child("-c", ALONE, name, str(folder), str(k))[1])
    out = folder / "out.png"
    words = who.call(folder / "picture.png", out, k)
    found = json.loads(lab.child("-c", STARTER, str(ENOUGH), *words)[1])
    error = error_of(np.load(folder / "picture.npy"), out)
    return found | {"seconds": median(found["seconds"]), "error": error}


def error_of(picture: pictures.Picture, answer: object) -> float:
    """Return the mean squared distance of the pixels to the nearest colour of an answer."""
    return lab.inertia_of(picture, colors_of(answer).astype(float)) * 3 / picture.size


def against(name: str) -> str:
    """Return the name of ours on the same terms."""
    if isinstance(KNOWN[name], Command):
        return "kmeans_fast-command"
    same = KNOWN[name].terms.startswith(SAME)
    return "kmeans_fast" if same else "kmeans_fast-defaults"


def measure(setting: Setting, names: Iterable[str], k: int, folder: Path) -> Record:
    """Return the rows of one number of colours."""
    found: dict[str, list[Record]] = {name: [] for name in names}
    for turn in range(setting.rounds):
        for name, rounds in list(found.items()):
            if sum(each["seconds"] for each in rounds) > (setting.quick or LONG):
                continue  # it had its rounds
            try:
                rounds.append(apart(name, folder, k))
            except Exception as error:  # a peer that fails must not take the others along
                if name in OURS:
                    raise
                said = getattr(error, "stderr", "").strip() or str(error)
                lab.progress(f"  left out: {name} fails ({said.splitlines()[-1]})")
                del found[name]
        shown = ", ".join(f"{name} {1e3 * of[-1]['seconds']:,.0f}" for name, of in found.items())
        lab.progress(f"  K = {k}, round {turn + 1}/{setting.rounds}: {shown} ms")
    return {"k": k, "rows": [row_of(name, rounds) for name, rounds in found.items()]}


def row_of(name: str, rounds: list[Record]) -> Record:
    """Return a contestant's row as it stands in the file."""
    peaks = [each["bytes"] for each in rounds if each["bytes"] is not None]
    return {
        "name": name,
        "title": KNOWN[name].title,
        "terms": KNOWN[name].terms,
        "against": against(name),
        "seconds": [each["seconds"] for each in rounds],
        "error": median(each["error"] for each in rounds),
        "bytes": median(peaks) if peaks else None,
    }


def own_of(row: Record, rows: list[Record]) -> Record:
    """Return the row of ours on the terms of a row."""
    return next(other for other in rows if other["name"] == row["against"])


def ratio(row: Record, rows: list[Record], part: slice = slice(None)) -> float:
    """Return how many times the time of ours a row takes, over some of the rounds."""
    own, taken = own_of(row, rows)["seconds"], row["seconds"]
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


def megabytes(row: Record) -> str:
    """Return the peak memory to read."""
    return "-" if row["bytes"] is None else lab.number(row["bytes"] / 1e6)


def as_markdown(record: Record) -> str:
    """Return a table for each number of colours, and what was measured on what."""
    head = ["", "terms", "ms", "times ours", "peak memory, MB", "error", "times ours"]
    parts = []
    for case in record["cases"]:
        rows = []
        for row in case["rows"]:
            own = own_of(row, case["rows"])
            rows.append(
                [row["title"], row["terms"], lab.ms(row["seconds"])]
                + [lab.number(ratio(row, case["rows"])), megabytes(row)]
                + [lab.number(row["error"]), f"{row['error'] / own['error']:.3f}"]
            )
        parts.append(f"**{case['k']} colours**\n\n" + lab.in_columns(head, rows))
    noisy = [line for case in record["cases"] for line in unsteady(case)]
    notes = [
        f"{record['megapixels']:.3g} megapixels, {record['colors']:,} colours "
        f"({record['picture']}), in turn, {record['rounds']} rounds (one of what takes longer than "
        f"{record['quick'] or LONG:g} s): medians, least to greatest. *Times ours*: of the row of "
        "ours on the same terms. *Peak memory*: of the whole process, Python and the picture "
        "included. *Error*: mean squared distance to the palette."
    ]
    if noisy:
        notes.append(
            "The machine was noisy: between halves of the rounds these ratios differ by more than "
            f"a tenth: {'; '.join(noisy)}."
        )
    if left_out := record["peers left out"]:
        notes.append("Left out: " + "; ".join(f"{n}, {why}" for n, why in left_out.items()) + ".")
    return "\n\n".join(parts + notes)


def better(record: Record) -> list[str]:
    """Return a line for each row that beats that of ours on the same terms, and in what."""
    lines = []
    for case in record["cases"]:
        for row in case["rows"]:
            own = own_of(row, case["rows"])
            found = []
            if ratio(row, case["rows"]) < 1:
                found.append(f"{lab.ms(row['seconds'])} ms, ours {lab.ms(own['seconds'])}")
            if round(row["error"] / own["error"], 3) < 1:  # as the table has it
                found.append(f"an error of {row['error']:.5g}, ours {own['error']:.5g}")
            if row["bytes"] is not None and round(row["bytes"] / own["bytes"], 2) < 1:
                found.append(f"{megabytes(row)} MB, ours {megabytes(own)}")
            if found:
                lines.append(
                    f"{row['title']} ({row['terms']}), {case['k']} colours of "
                    f"{record['megapixels']:.3g} megapixels: {'; '.join(found)}."
                )
    return lines


def take(
    command: str,
    says: str | None,
    known: dict[str, Contestant],
    ours: Iterable[str],
    rounds: int,
    arguments: list[str] | None,
) -> Record:
    """Measure what a command line asks for, write it, and return it."""
    parser = lab.parser_of(command, says, rounds=rounds, peers=known)
    parser.add_argument("-k", default=",".join(map(str, KS)), help="default: %(default)s")
    help = "of the picture; 0: all that a photograph has (default: %(default)s)"
    parser.add_argument("--megapixels", type=float, default=MEGAPIXELS[command], help=help)
    options = parser.parse_args(arguments)
    try:
        ks = [int(k) for k in options.k.split(",") if k]
    except ValueError:
        parser.error(f"-k {options.k}: give whole numbers with commas between")
    if not ks or min(ks) < 2 or max(ks) > MOST_COLORS:
        parser.error(f"-k {options.k}: give 2 to {MOST_COLORS} colours, as palettes hold")
    setting, record = lab.setting_of(parser, options, known=known)
    path = options.out or (RESULTS / f"{command}.json" if options.scale == 1 else None)
    whole = setting.image is not None and not options.megapixels
    picture = setting.image if whole else setting.photograph(options.megapixels or 12)
    record |= {"megapixels": picture.size / 3e6, "colors": pictures.n_colors(picture), "cases": []}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "picture.npy", picture)
        Image.fromarray(picture).save(folder / "picture.png")
        for k in ks:
            np.save(folder / f"start{k}.npy", pictures.start_of(picture, k))
            record["cases"].append(measure(setting, [*ours, *setting.peers], k, folder))
            lab.save(path, record)
    return record


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print."""
    record = take("peers", __doc__, ALL, OURS, 4, arguments)
    print(as_markdown(record), lab.measured("peers", record), sep="\n\n")
    return 0

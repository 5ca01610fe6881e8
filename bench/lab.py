"""How things are measured, side by side, answers checked first; and the files of figures."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

import kmeans_fast as kf
from kmeans_fast.threads import default_threads

from . import contestants, pictures
from .contestants import Contestant
from .pictures import Picture

ROOT = Path(__file__).resolve().parent.parent
# The record: what the README's tables are made from (`python -m bench report`).
RESULTS = ROOT / "bench" / "results"
FORMAT = 1  # of all files; another one is not read
# The peers' threads spin for a while after a call, and would take the cores from the next one.
IDLE = 0.3
LONG = 20.0  # seconds, of --quick without a number

Record = dict[str, Any]
Work = Callable[[int], Any]  # given the number of the round
Times = dict[str, list[float]]


@dataclass
class Setting:
    """What is measured with what."""

    peers: dict[str, Contestant]
    image: Picture | None = None  # a real photograph, the largest of those named; or made in code
    rounds: int = 3
    scale: float = 1.0  # of the number of pixels: less than 1 to try the script
    quick: float | None = None  # seconds: what takes longer runs once
    files: tuple[Path, ...] = ()  # of all photographs that are named, the largest first

    def tired(self, seconds: list[float]) -> bool:
        """Return whether what has run so far is enough of it."""
        return self.quick is not None and sum(seconds) > self.quick

    def photograph(self, megapixels: float) -> Picture:
        """Return the photograph at a size."""
        if self.image is None:
            return pictures.photograph(megapixels * self.scale)
        return pictures.scaled(self.image, megapixels * self.scale)


# ----------------------------------------------------------------------- command line


def parser_of(command: str, says: str | None, rounds: int, peers: Iterable[str] = ()) -> Any:
    """Return the parser of a command, with the options that all have; `peers` are its own."""
    parser = argparse.ArgumentParser(
        prog=f"python -m bench {command}",
        description=says,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    where = "a folder" if command == "profile" else f"{command}.json"
    parser.add_argument("--out", type=Path, help=f"{where} (default: in bench/results)")
    parser.add_argument("--rounds", type=int, default=rounds, help="default: %(default)s")
    if peers := ",".join(peers):
        parser.add_argument("--peers", default=peers, help="default: %(default)s")
    says = "a photograph, or a folder of them, instead of one made in code; may be given again: "
    says += "`profile` and `palettes` measure each, and all else is of the largest"
    parser.add_argument("--image", action="append", default=[], metavar="PATH", help=says)
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes: 0.01 to try it")
    says = f"once what takes longer (default: {LONG:g}), and compiling"
    parser.add_argument("--quick", type=float, nargs="?", const=LONG, metavar="SECONDS", help=says)
    return parser


def words_of(parser: Any, option: str, given: str, known: Iterable[str]) -> list[str]:
    """Return the words of a list with commas; stop where one is unknown."""
    words = [word.strip() for word in given.split(",") if word.strip()]
    if unknown := [word for word in words if word not in known]:
        parser.error(f"--{option}: {', '.join(unknown)} is none of {', '.join(known)}")
    return words


def setting_of(
    parser: Any, options: argparse.Namespace, known: dict[str, Contestant] = contestants.PEERS
) -> tuple[Setting, Record]:
    """Return the setting, and what a run is made with, which is said where something is absent."""
    if options.rounds < 1 or not options.scale > 0:
        parser.error("give --rounds of 1 or more, and --scale above 0")
    here, absent = contestants.present(getattr(options, "peers", ""), known)
    for name, why in absent.items():
        progress(f"left out: {contestants.title_of(name)}, {why}")
    image, files, problems = pictures.read_all(options.image)
    for problem in problems:
        progress(f"left out: {problem}")
    if options.image and not files:
        progress("none of the photographs can be read: a picture made in code takes their place")
    versions = {"kmeans_fast": kf.__version__, "Python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in ("numpy", "numba", "pillow")}
    for each in here.values():  # of "Pillow, median cut" it is that of pillow
        if (title := each.title.split(",")[0]).lower() not in versions:
            versions[title] = each.version()
    run = {
        "machine": machine(),
        "versions": versions,
        "picture": files[0].name if files else "made in code",
        "rounds": options.rounds,
        "quick": options.quick,
        "scale": options.scale,
        "peers left out": {contestants.title_of(name): why for name, why in absent.items()},
    }
    numbers = (options.rounds, options.scale, options.quick)
    return Setting(here, image, *numbers, tuple(files)), run


def machine() -> Record:
    """Return what it is measured on."""
    memory = None
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        memory = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    cpu = platform.processor() or "unknown"
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": cpu,
        "cores": os.cpu_count(),
        "threads": default_threads(),
        "memory, GiB": memory,
        "system": f"{platform.system()} {platform.machine()}",
    }


# ---------------------------------------------------------------------------- figures


class RecordError(Exception):
    """A file of figures that cannot be used; the message says why, and what helps."""


def save(path: Path | None, record: Record) -> None:
    """Write a file of figures, if it is to be one; where that cannot be, stop and say so."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT} | record, indent=1) + "\n")
    except OSError as error:
        raise SystemExit(f"{path} cannot be written ({error}); give another --out") from None


def load(path: Path) -> Record:
    """Read a file of figures; raise `RecordError` if it cannot be, or is of another format."""
    again = "measure again, or name another file"
    try:
        record = json.loads(path.read_text())
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error}); {again}") from None
    except ValueError:
        raise RecordError(f"{path} is no JSON; {again}") from None
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise RecordError(f"{path} is of format {found}, not {FORMAT}; {again}")
    return record


def begin(path: Path | None, empty: Record) -> Record:
    """Return what a file holds that is measured into part by part; say now if it cannot be."""
    book = dict(empty)
    if path is not None and path.exists():
        try:
            book |= load(path)
        except RecordError as error:
            progress(f"{error}: it is written anew")
    save(path, book)
    return book


def about(run: Record) -> str:
    """Return in one line what a run was made with, and when."""
    parts = [run["machine"]["date"]]
    parts += [f"{name} {value}" for name, value in run["machine"].items() if name != "date"]
    parts += [f"{name} {value}" for name, value in run["versions"].items()]
    return "; ".join(parts)


def measured(command: str, *runs: Record) -> str:
    """Return what command measured something, where and when."""
    found = dict.fromkeys(map(about, runs))
    return f"Measured by `python -m bench {command}` ({'); ('.join(found)})."


def number(value: float) -> str:
    """Return three digits, or all the digits of a thousand and more.

    Examples
    --------
    >>> number(0.98765), number(12.0), number(81234.5)
    ('0.988', '12', '81,234')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def ms(seconds: list[float]) -> str:
    """Return the median in milliseconds, and the spread."""
    low, middle, high = (number(1e3 * x) for x in (min(seconds), median(seconds), max(seconds)))
    return f"{middle} ({low} to {high})"


def in_columns(head: list[str], rows: Iterable[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


# ----------------------------------------------------------------------------- timing


def timed(work: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    """Return the seconds that a call takes, and its answer."""
    start = time.perf_counter()
    answer = work(*args)
    return time.perf_counter() - start, answer


def race(
    setting: Setting,
    ours: dict[str, Work],
    others: dict[str, Work] | None = None,
    rounds: int = 0,
    keep: Callable[[Any], Any] = lambda _: None,
) -> tuple[Times, dict[str, list[Any]]]:
    """Time everything side by side; return seconds by round, and what to keep of the others.

    In each round what is ours runs five times in turn, the median standing for the round, then
    each of the others once.
    """
    others, rounds = others or {}, rounds or setting.rounds
    times: Times = {name: [] for name in (*ours, *others)}
    kept: dict[str, list[Any]] = {name: [] for name in others}
    for at in range(rounds):
        once: Times = {name: [] for name in ours}
        for _ in range(5):
            for name, work in ours.items():
                once[name].append(timed(work, at)[0])
            if setting.tired([sum(seconds) for seconds in once.values()]):
                break
        for name, seconds in once.items():
            times[name].append(median(seconds))
        for name, work in others.items():
            if setting.tired(times[name]):
                continue
            taken, answer = timed(work, at)
            times[name].append(taken)
            kept[name].append(keep(answer))
            del answer
            time.sleep(IDLE)
        progress(f"  round {at + 1}/{rounds}: " + in_ms({n: t[-1:] for n, t in times.items()}))
    return times, kept


def ratios(above: list[float], below: list[float]) -> list[float]:
    """Return the ratio of each round; what ran fewer rounds stands with its last."""
    return [
        above[min(at, len(above) - 1)] / below[min(at, len(below) - 1)]
        for at in range(max(len(above), len(below)))
    ]


def in_ms(times: Times) -> str:
    """Return medians to read."""
    return ", ".join(f"{name} {1e3 * median(seconds):,.1f} ms" for name, seconds in times.items())


def all_ms(times: Times) -> dict[str, list[float]]:
    """Return times to note."""
    return {f"{name}, ms": [round(1e3 * s, 3) for s in seconds] for name, seconds in times.items()}


def progress(text: str) -> None:
    """Say how far it is."""
    print(text, file=sys.stderr, flush=True)


def child(*arguments: str, cache: Path | None = None, pack: bool = True) -> tuple[float, str, str]:
    """Run Python; return the seconds it took, what it printed, and its errors.

    With a cache of compiled kernels of its own, and without the pack of ready ones, if so asked.
    """
    environment = dict(os.environ)
    environment |= {} if cache is None else {"NUMBA_CACHE_DIR": str(cache)}
    environment |= {} if pack else {"KMEANS_FAST_PACK": "0"}
    command = [sys.executable, *arguments]
    run = dict(cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    seconds, done = timed(lambda: subprocess.run(command, **run))
    return seconds, done.stdout, done.stderr


def in_status(key: str) -> int:
    """Return the bytes of a line of this process's status (Linux only)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(key))


def peak_bytes(work: Callable[[], Any]) -> int:
    """Return the greatest resident size while something runs, over that before (Linux only)."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")  # the peak starts from here
    before = in_status("VmRSS")
    answer = work()
    taken = in_status("VmHWM") - before
    del answer
    return taken


# ---------------------------------------------------------------- answers come first


def expect(true: bool, otherwise: str = "the fast answer is not that of brute force") -> None:
    """Raise if an answer is wrong: a wrong one has no time."""
    if not true:
        raise RuntimeError(otherwise)


def nearest(points: NDArray[Any], centroids: NDArray[Any]) -> NDArray[np.intp]:
    """Return the labels of `reference.assign`: the same float64 sums in the same order."""
    sq_dist = np.zeros((len(points), len(centroids)))
    for x, c in zip(points.T.astype(np.float64), centroids.T, strict=True):
        difference = x[:, None] - c
        sq_dist += difference * difference
    return sq_dist.argmin(axis=1)


def check_answer(
    fit: Callable[[int, float], kf.KMeansResult], data: NDArray[Any], max_iter: int, tol: float
) -> kf.KMeansResult:
    """Fit, and raise unless labels, counts, centroids and inertia are those of brute force."""
    result = fit(max_iter, tol)
    points, labels, k = data.reshape(-1, data.shape[-1]), result.labels.ravel(), len(result.counts)
    some = np.random.default_rng(0).integers(0, len(points), 1000)
    expect(np.array_equal(nearest(points[some], result.centroids), labels[some]), "wrong labels")
    expect(np.array_equal(np.bincount(labels, minlength=k), result.counts), "wrong counts")
    inertia = 0.0
    for first in range(0, len(points), 8192):
        block = slice(first, first + 8192)
        inertia += float(((points[block] - result.centroids[labels[block]]) ** 2).sum())
    expect(math.isclose(inertia, result.inertia, rel_tol=1e-9), "wrong inertia")
    if result.n_iter > 1:
        before = fit(result.n_iter - 1, 0.0)
        if before.counts.all():  # an empty cluster would take a point that changes two means
            sums = [np.bincount(before.labels.ravel(), column, k) for column in points.T]
            plain = np.stack(sums, axis=1) / before.counts[:, None]
            expect(np.allclose(plain, result.centroids, rtol=1e-9, atol=1e-9), "wrong means")
    return result


def inertia_of(data: NDArray[Any], centroids: NDArray[Any]) -> float:
    """Return the exact inertia of anybody's centroids."""
    return kf.fit(data, len(centroids), init=centroids, max_iter=1).history[0].inertia


def check_peers(
    setting: Setting, points: NDArray[Any], start: NDArray[Any], most: float
) -> dict[str, float]:
    """Return the peers' inertia over ours after two iterations, at most so far; warms them too."""
    some = np.ascontiguousarray(points[:: max(1, len(points) // 200_000)])
    ours = inertia_of(some, kf.fit(some, len(start), init=start, max_iter=2, tol=0).centroids)
    found = {}
    for name, peer in setting.peers.items():
        found[name] = inertia_of(some, peer.call(some, start, 2)[0]) / ours
        # float32, and empty clusters are filled each in its own way
        near = not peer.has_start or 1 / most < found[name] < most
        expect(near, f"{name}'s inertia is {found[name]} times ours")
    time.sleep(IDLE)
    return found

"""How the rows are measured: side by side, after the answers are checked."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import kmeans_fast as kf

from . import peers, pictures
from .pictures import Picture

ROOT = Path(__file__).resolve().parent.parent
Work = Callable[[int], Any]  # given the number of the round
Times = dict[str, list[float]]

# The peers' threads spin for a while after a call, and would take the cores from the next one.
IDLE = 0.3
LONG = 20.0  # seconds; with --quick what takes longer runs once


@dataclass
class Row:
    """One figure: its median over the rounds, the least and the greatest, and the floor."""

    work: str
    unit: str
    values: list[float]
    floor: float
    at_most: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)

    @property
    def reached(self) -> bool:
        """Whether the median is as good as the floor."""
        return self.value <= self.floor if self.at_most else self.value >= self.floor


@dataclass
class Setting:
    """What the rows are measured with."""

    peers: dict[str, peers.Peer]
    image: Picture | None = None  # a real photograph, or made in code
    rounds: int = 3
    quick: bool = False
    scale: float = 1.0  # of the number of pixels: less than 1 to try the script
    long: float = LONG

    def photograph(self, megapixels: float) -> Picture:
        """Return the photograph at a size."""
        if self.image is None:
            return pictures.photograph(megapixels * self.scale)
        return pictures.scaled(self.image, megapixels * self.scale)


def peers_of(names: str) -> tuple[dict[str, peers.Peer], dict[str, str]]:
    """Return the peers of a list that can run; say and return why others cannot."""
    here, absent = peers.present(names)
    for name, why in absent.items():
        progress(f"left out: {peers.NAMES.get(name, name)}, {why}")
    return here, absent


def picture_of(path: str | None) -> Picture | None:
    """Return the pixels of a file; none, and say why, where it cannot be read or none is given."""
    try:
        return pictures.load(path) if path else None
    except (OSError, ValueError) as error:
        progress(f"{error}; a picture made in code takes its place")
        return None


# ------------------------------------------------------------------------ timing


def timed(work: Callable[..., Any], *args: Any) -> tuple[float, Any]:
    """Return the seconds that a call takes, and its answer."""
    start = time.perf_counter()
    answer = work(*args)
    return time.perf_counter() - start, answer


def race(
    setting: Setting,
    ours: dict[str, Work],
    others: dict[str, Work],
    rounds: int,
    keep: Callable[[Any], Any],
) -> tuple[Times, dict[str, list[Any]]]:
    """Time everything side by side; return seconds by round, and what to keep of the others.

    In each round what is ours runs five times in turn, the median standing for the round, then
    each of the others once.
    """
    times: Times = {name: [] for name in (*ours, *others)}
    kept: dict[str, list[Any]] = {name: [] for name in others}
    for number in range(rounds):
        once: Times = {name: [] for name in ours}
        for _ in range(5):
            for name, work in ours.items():
                once[name].append(timed(work, number)[0])
            if setting.quick and sum(map(sum, once.values())) > setting.long:
                break
        for name, seconds in once.items():
            times[name].append(median(seconds))
        for name, work in others.items():
            if setting.quick and times[name] and times[name][0] > setting.long:
                continue
            taken, answer = timed(work, number)
            times[name].append(taken)
            kept[name].append(keep(answer))
            del answer
            time.sleep(IDLE)
        progress(f"  round {number + 1}/{rounds}: " + in_ms({n: t[-1:] for n, t in times.items()}))
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


def child(*arguments: str, cache: Path | None = None) -> tuple[float, str, str]:
    """Run Python; return the seconds it took, what it printed, and its errors."""
    environment = dict(os.environ)
    if cache is not None:
        environment["NUMBA_CACHE_DIR"] = str(cache)
    command = [sys.executable, *arguments]
    run = dict(cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    seconds, done = timed(lambda: subprocess.run(command, **run))
    return seconds, done.stdout, done.stderr


def peak_bytes(work: Callable[[], Any]) -> int:
    """Return the greatest resident size while something runs, over that before (Linux only)."""

    def kilobytes(key: str) -> int:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(key))

    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as reset:
        reset.write("5")  # the peak starts from here
    before = kilobytes("VmRSS")
    answer = work()
    taken = (kilobytes("VmHWM") - before) * 1024
    del answer
    return taken


# ---------------------------------------------------------------- answers come first


def start_of(pixels: Picture, k: int) -> np.ndarray:
    """Return `k` colours of the pixels, moved off whole numbers, exact in float32.

    From whole numbers many colours are exactly as near to two centroids. Ours has a rule for
    that; the peers' rounding decides, and their answers would differ from the first iteration.
    """
    rng = np.random.default_rng(k)
    colors = np.unique(pixels, axis=0)
    chosen = colors[rng.choice(len(colors), k, replace=False)] + rng.uniform(-0.4, 0.4, (k, 3))
    return chosen.astype(np.float32).astype(np.float64)


def check_ours(image: Picture, start: np.ndarray, iterations: int) -> kf.KMeansResult:
    """Fit, and raise unless labels, counts and centroids are those of brute force."""
    k = len(start)
    before = kf.fit(image, k, init=start, max_iter=iterations - 1, tol=0)
    result = kf.fit(image, k, init=start, max_iter=iterations, tol=0)
    labels, pixels = result.labels.reshape(-1), image.reshape(-1, 3)
    some = np.random.default_rng(0).integers(0, len(pixels), 1000)
    expect(np.array_equal(kf.reference.assign(pixels[some], result.centroids), labels[some]))
    expect(np.array_equal(np.bincount(labels, minlength=k), result.counts))
    if before.counts.all():  # sums of whole numbers below 2**53: exact
        sums = [np.bincount(before.labels.reshape(-1), pixels[:, j], k) for j in range(3)]
        expect(np.array_equal(np.stack(sums, 1) / before.counts[:, None], result.centroids))
    return result


def check_peers(setting: Setting, pixels: Picture, start: np.ndarray) -> dict[str, float]:
    """Return how far the peers' centroids are from ours after two iterations; warms them too."""
    ours = kf.fit(pixels, len(start), init=start, max_iter=2, tol=0).centroids
    apart = {}
    for name, peer in setting.peers.items():
        centroids, *_ = peer(pixels, start, 2)
        apart[name] = float(np.abs(centroids - ours).max())
        # float32, and most expand the square, so a few pixels near a border change sides
        expect(apart[name] < 1.0, f"{name} is {apart[name]} levels from ours")
    time.sleep(IDLE)
    return apart


def inertia_of(image: Picture, centroids: np.ndarray) -> float:
    """Return the exact inertia of anybody's centroids."""
    return kf.fit(image, len(centroids), init=centroids, max_iter=1).history[0].inertia


def expect(true: bool, otherwise: str = "the fast answer is not that of brute force") -> None:
    """Raise if an answer is wrong: a wrong one has no time."""
    if not true:
        raise RuntimeError(otherwise)

"""How the time of a fit grows, and where it goes: ``python -m bench profile``.

A fit here is k-means++, ten iterations, and labels, of a picture made in code or of a file. Parts:

sizes    the time against megapixels, K = 16, beside a copy of the picture and the memory's floor
ks       the time against K, from 2 to 1,024, at 24 megapixels
cores    the time against threads, from 1 to all in powers of two, at 24 megapixels
peers    ten iterations from one start against K beside the peers, at 1 megapixel
jpeg     decoding a JPEG of 24 megapixels, or the file, beside fitting it
starts   import, first fit with kernels in the cache, and first fit of all

Everything that is compared runs in turn, round by round; figures are medians over the rounds.
Writes ``profile.json``, ``profile.md``, a plot each as PNG, and all of it as one HTML page.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

import kmeans_fast as kf
from kmeans_fast.threads import Threads, default_threads

from . import model, pictures, plots, records
from .measure import (
    IDLE,
    LONG,
    Setting,
    child,
    expect,
    peers_of,
    picture_of,
    progress,
    start_of,
    timed,
)
from .pictures import Picture
from .stages import STAGES, timing

Point = dict[str, Any]  # a measured fit, as it stands in the JSON file

SIZES = (0.04, 0.1, 0.4, 1.5, 6, 12, 24, 50, 100)
KS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
K, MEGAPIXELS = 16, 24
PEERS_KS, PEERS_MEGAPIXELS = (2, 16, 64, 256, 1024), 1
ITERATIONS = 10
PEERS = ("sklearn", "sklearnex", "faiss")


def powers_of_two(n: int) -> list[int]:
    """Return 1, 2, 4, ... and `n`.

    Examples
    --------
    >>> powers_of_two(2), powers_of_two(6), powers_of_two(64)
    ([1, 2], [1, 2, 4, 6], [1, 2, 4, 8, 16, 32, 64])
    """
    return sorted({n} | {1 << bit for bit in range(n.bit_length()) if 1 << bit <= n})


# ----------------------------------------------------------------------- a measured fit


def fit(image: Picture, k: int, n_threads: int | None = None) -> kf.KMeansResult:
    """Fit as everything here does."""
    return kf.fit(image, k, max_iter=ITERATIONS, tol=0, n_threads=n_threads)


def new_point(part: str, image: Picture, k: int, n_threads: int) -> Point:
    """Return a point without times, after its answer is checked, which warms what it needs."""
    result = fit(image, k, n_threads)
    rng = np.random.default_rng(0)
    some = rng.integers(0, image.size // 3, 300)
    pixels, labels = image.reshape(-1, 3)[some], result.labels.reshape(-1)
    expect(np.array_equal(kf.reference.assign(pixels, result.centroids), labels[some]))
    expect(np.array_equal(np.bincount(labels, minlength=k), result.counts))
    return {
        "part": part,
        "megapixels": len(labels) / 1e6,
        "colors": pictures.n_colors(image),
        "k": k,
        "threads": n_threads,
        "iterations": result.n_iter,
        "seconds": [],
        "stages": {stage: [] for stage in STAGES},
        "copy": [],
        "floor": [],
    }


def measure(point: Point, image: Picture) -> None:
    """Add a round: of a few fits the fastest, its stages, the fastest copy, the memory's floor."""
    best, stages, copy = float("inf"), {}, float("inf")
    for _ in range(5 if point["megapixels"] < 2 else 2):
        copy = min(copy, timed(image.copy)[0])
        with timing() as found:
            seconds, _ = timed(fit, image, point["k"], point["threads"])
        if seconds < best:
            best, stages = seconds, found
    point["seconds"].append(best)
    for stage, taken in stages.items():
        point["stages"][stage].append(taken)
    point["copy"].append(copy)
    point["floor"].append(memory_floor(image, point["threads"]))


def memory_floor(image: Picture, n_threads: int) -> float:
    """Return the seconds to read the pixels once and to write labels once, on so many threads."""
    pixels = image.reshape(-1)
    n = pixels.size // 3
    labels = np.ones(n, np.uint8)  # touched: pages that the system must fetch are no floor
    edges = np.linspace(0, n, 4 * n_threads + 1).astype(int)

    def work(part: int) -> int:
        a, b = edges[part], edges[part + 1]
        whole = pixels[3 * a : 3 * b]
        words = (
            whole[: whole.size // 8 * 8].view(np.uint64) if whole.ctypes.data % 8 == 0 else whole
        )
        labels[a:b] = 0
        return int(np.bitwise_or.reduce(words)) if words.size else 0

    with Threads(n_threads) as threads:
        threads.map(work, range(len(edges) - 1))  # the threads are there
        return min(timed(threads.map, work, range(len(edges) - 1))[0] for _ in range(3))


def rounds_of(setting: Setting, points: list[tuple[Point, Picture]]) -> list[Point]:
    """Measure points in turn, round by round."""
    for number in range(setting.rounds):
        for point, image in points:
            measure(point, image)
        shown = ", ".join(f"{1e3 * point['seconds'][-1]:,.1f}" for point, _ in points)
        progress(f"  round {number + 1}/{setting.rounds}: {shown} ms")
    return [point for point, _ in points]


# ------------------------------------------------------------------------------- parts


def sizes(setting: Setting) -> dict[str, Any]:
    """Measure against the size."""
    points, n_threads = [], default_threads()
    for megapixels in SIZES:
        image = setting.photograph(megapixels)
        points.append((new_point("sizes", image, min(K, image.size // 3), n_threads), image))
    return {"points": rounds_of(setting, points)}


def ks(setting: Setting) -> dict[str, Any]:
    """Measure against K."""
    image = setting.photograph(MEGAPIXELS)
    few = [k for k in KS if k <= image.size // 3]
    points = [(new_point("ks", image, k, default_threads()), image) for k in few]
    return {"points": rounds_of(setting, points)}


def cores(setting: Setting) -> dict[str, Any]:
    """Measure against threads."""
    image = setting.photograph(MEGAPIXELS)
    all_of_them = powers_of_two(default_threads())
    points = [(new_point("cores", image, K, n), image) for n in all_of_them]
    return {"points": rounds_of(setting, points)}


def against_peers(setting: Setting) -> dict[str, Any]:
    """Measure against K beside the peers: the same start, ten iterations, labels."""
    image = setting.photograph(PEERS_MEGAPIXELS)
    pixels = image.reshape(-1, 3)
    curves = []
    tired: set[str] = set()  # too slow at a smaller K already
    for k in PEERS_KS:
        if k > len(pixels):
            continue
        start = start_of(pixels, k)
        kf.fit(image, k, init=start, max_iter=ITERATIONS, tol=0)
        works: dict[str, Callable[[], Any]] = {
            "kmeans_fast": lambda k=k, start=start: kf.fit(
                image, k, init=start, max_iter=ITERATIONS, tol=0
            )
        }
        for name, peer in setting.peers.items():
            if name not in tired:
                peer(pixels[:: max(1, len(pixels) // 5000)], start[: min(k, 100)], 1)  # loaded
                works[name] = lambda peer=peer, start=start: peer(pixels, start, ITERATIONS)
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(setting.rounds):
            for name, work in works.items():
                if not (setting.quick and sum(times[name]) > setting.long):
                    times[name].append(timed(work)[0])
                    time.sleep(IDLE if name != "kmeans_fast" else 0)
        tired |= {name for name, seconds in times.items() if median(seconds) > setting.long}
        progress(
            f"  K = {k}: " + ", ".join(f"{n} {1e3 * median(t):,.0f}" for n, t in times.items())
        )
        curves.append({"k": k, "megapixels": len(pixels) / 1e6, "seconds": times})
    return {"peers": curves}


def jpeg(setting: Setting) -> dict[str, Any]:
    """Measure decoding a JPEG beside fitting what it holds."""
    image = setting.photograph(MEGAPIXELS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "picture.jpg")
        Image.fromarray(image).save(path, quality=90)
        size = path.stat().st_size
        image = kf.open_image(path, max_pixels=None)
        kf.fit(image, K)
        times: dict[str, list[float]] = {"decode": [], "fit": [], "fit, to convergence": []}
        for _ in range(setting.rounds):
            times["decode"].append(timed(lambda: kf.open_image(path, max_pixels=None))[0])
            times["fit"].append(timed(fit, image, K)[0])
            times["fit, to convergence"].append(timed(kf.fit, image, K)[0])
    megapixels = image.size / 3e6
    progress("  " + ", ".join(f"{name} {1e3 * median(t):,.1f} ms" for name, t in times.items()))
    return {"jpeg": {"megapixels": megapixels, "k": K, "bytes": size, "seconds": times}}


FIRST_FIT = """
import sys, time
start = time.perf_counter()
import numpy as np
import kmeans_fast as kf
points = np.load(sys.argv[1])
imported = time.perf_counter()
kf.fit(points, 10)
fitted = time.perf_counter()
kf.fit(points, 10)
print(imported - start, fitted - imported, time.perf_counter() - fitted)
"""


def starts(setting: Setting) -> dict[str, Any]:
    """Measure new processes: import, the first fit, and what compiling adds to it."""
    rows: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        rows.setdefault(name, []).append(seconds)

    with tempfile.TemporaryDirectory() as folder:
        picture, points = Path(folder, "picture.npy"), Path(folder, "points.npy")
        np.save(picture, pictures.thumbnail(setting.photograph(1)))
        np.save(points, np.random.default_rng(0).normal(size=(40_000, 8)).astype(np.float32))
        for what, path in (("a 200 x 200 picture", picture), ("40,000 x 8 floats", points)):
            warm = Path(folder, f"warm-{path.stem}")
            for number in range(setting.rounds + 1):
                _, out, _ = child("-c", FIRST_FIT, str(path), cache=warm)
                imported, first, again = map(float, out.split())
                if number == 0:
                    note(f"first fit of {what}, never compiled before", first)
                else:
                    note("import kmeans_fast and numpy", imported)
                    note(f"first fit of {what} in a process, kernels in the cache", first)
                    note(f"the same fit of {what} again", again)
        for _ in range(setting.rounds):
            note("import numba alone, as a process", child("-c", "import numba")[0])
            note("Python alone, as a process", child("-c", "")[0])
    for name, seconds in rows.items():
        progress(f"  {name}: {median(seconds):.3f} s")
    return {"starts": rows}


PARTS: dict[str, Callable[[Setting], dict[str, Any]]] = {
    "sizes": sizes,
    "ks": ks,
    "cores": cores,
    "peers": against_peers,
    "jpeg": jpeg,
    "starts": starts,
}


# ------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench profile",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--image", help="a photograph to use instead of one made in code")
    parser.add_argument(
        "--out", type=Path, default=records.RESULTS, help="a folder (default: bench/results)"
    )
    parser.add_argument("--parts", default=",".join(PARTS), help="default: %(default)s")
    parser.add_argument("--peers", default=",".join(PEERS), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    parser.add_argument("--scale", type=float, default=1.0, help="of pixels: 0.01 to try it")
    options = parser.parse_args(arguments)
    parts = [part for part in options.parts.split(",") if part]
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--parts: {', '.join(sorted(unknown))} is none of {', '.join(PARTS)}")
    if options.rounds < 1:
        parser.error(f"--rounds {options.rounds}: give 1 or more")
    if options.scale != 1 and options.out == records.RESULTS:
        parser.error("--scale is for trying the script: give another --out as well")

    here, absent = peers_of(options.peers)
    image = picture_of(options.image)
    picture = None if image is None else options.image
    setting = Setting(here, image, options.rounds, True, options.scale, LONG)
    path = options.out / "profile.json"
    # Parts that are measured now take the place of older ones; the others keep their own run.
    profile: dict[str, Any] = {"runs": {}, "points": []}
    if path.exists():
        try:
            profile |= records.load(path)
        except records.RecordError as error:
            progress(f"{error}: it is written anew")
    records.save(path, profile)  # if it cannot be written, say so now
    for part in parts:
        progress(f"{part}: {(PARTS[part].__doc__ or '').splitlines()[0]}")
        found = PARTS[part](setting)
        kept = [point for point in profile["points"] if point["part"] != part]
        profile |= found | {"points": kept + found.get("points", [])}
        profile["runs"][part] = records.describe(setting, absent, picture)
        records.save(path, profile)  # a run that is stopped leaves what it has

    text = model.as_markdown(profile)
    (options.out / "profile.md").write_text(text)
    print(text)
    plots.write(profile, text, options.out)
    return 0

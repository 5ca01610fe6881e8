"""The rows of the table: each measures one line of what the library has to reach."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

import kmeans_fast as kf

from . import peers, pictures
from .measure import (
    IDLE,
    Row,
    Setting,
    Times,
    all_ms,
    check_ours,
    check_peers,
    child,
    expect,
    in_ms,
    inertia_of,
    progress,
    race,
    ratios,
    start_of,
    timed,
)
from .pictures import Picture
from .stages import timing_checks


def ten_iterations(
    setting: Setting, image: Picture, k: int, work: str, copies: float | None, floor: float
) -> list[Row]:
    """Measure ten iterations from one start against `image.copy()` and the fastest peer."""
    pixels = image.reshape(-1, 3)
    some = np.ascontiguousarray(pixels[:: max(1, len(pixels) // 200_000)])
    start = start_of(some, k)
    result = check_ours(image, start, 10)
    apart = check_peers(setting, some, start)
    times, kept = race(
        setting,
        {
            "kmeans_fast": lambda _: kf.fit(image, k, init=start, max_iter=10, tol=0),
            "image.copy()": lambda _: image.copy(),
        },
        {n: lambda _, peer=peer: peer(pixels, start, 10) for n, peer in setting.peers.items()},
        setting.rounds,
        keep=lambda answer: answer[0],
    )
    notes = all_ms(times) | {
        "pixels": len(pixels),
        "colors": pictures.n_colors(image),
        "iterations": result.n_iter,
        "peers' centroids after 2 iterations, levels from ours": apart,
        "peers' inertia over ours": {
            name: inertia_of(image, found[-1]) / result.inertia for name, found in kept.items()
        },
    }
    rows = []
    if copies is not None:
        over = ratios(times["kmeans_fast"], times["image.copy()"])
        rows.append(Row(work, "x image.copy()", over, copies, at_most=True, notes=notes))
    if setting.peers:
        fastest = min(setting.peers, key=lambda name: median(times[name]))
        unit = f"x as fast as {peers.NAMES[fastest]}, the fastest peer"
        speed = ratios(times[fastest], times["kmeans_fast"])
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
        with peers.quiet():
            return KMeans(k, random_state=seed).fit(pixels)  # n_init="auto": one k-means++ start

    kf.fit(image, k)
    KMeans(k).fit(pixels[:10_000])
    time.sleep(IDLE)
    times, kept = race(
        setting,
        {"kmeans_fast": lambda seed: kf.fit(image, k, random_state=seed)},
        {"scikit-learn": theirs},
        rounds,
        keep=lambda model: model.cluster_centers_,
    )
    found = kept["scikit-learn"]
    inertia = [
        kf.fit(image, k, random_state=seed).inertia / inertia_of(image, centroids)
        for seed, centroids in enumerate(found)
    ]
    return times, inertia


def defaults12(setting: Setting) -> list[Row]:
    """12 megapixels, defaults, K = 16, against KMeans(16)."""
    image = setting.photograph(12)
    times, inertia = _defaults(setting, image, 16, setting.rounds)
    work = "12-megapixel photograph, defaults (seeding, convergence), K = 16"
    speed = ratios(times["scikit-learn"], times["kmeans_fast"])
    return [
        Row(work, "x as fast as KMeans(16)", speed, 200, notes=all_ms(times)),
        Row(work, "x the inertia of KMeans(16)", inertia, 1.03, at_most=True),
    ]


def small(setting: Setting) -> list[Row]:
    """200 x 200, defaults, K = 10, against KMeans(10)."""
    image = pictures.thumbnail(setting.photograph(12))
    times, inertia = _defaults(setting, image, 10, max(9, setting.rounds))
    speed = ratios(times["scikit-learn"], times["kmeans_fast"])
    notes = all_ms(times) | {"inertia over theirs": inertia}
    work = "200 x 200 image, defaults, K = 10"
    return [Row(work, "x as fast as KMeans(10)", speed, 20, notes=notes)]


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
                whole, _ = timed(kf.fit, image, 10)
            expect(len(seconds) > 5, "the checks are not where they were")
            pairs.append((whole, sum(seconds)))
        for name, taken in zip(times, zip(*pairs, strict=True), strict=True):
            times[name].append(median(taken))
        shares.append(100 * median(checked / whole for whole, checked in pairs))
    progress("  " + in_ms(times))
    work = "200 x 200 image, defaults, K = 10: the checks at the door"
    return [Row(work, "% of the fit", shares, 5, at_most=True, notes=all_ms(times))]


def seeding(setting: Setting) -> list[Row]:
    """12 megapixels, K = 256: k-means++ against the iterations to convergence."""
    image = setting.photograph(12)
    histogram = kf.ColorHistogram()  # colours counted once: what is left is the seeding
    histogram.update(image)
    times: Times = {"seeding": [], "iterations": []}
    for _ in range(max(5, setting.rounds)):
        times["seeding"].append(timed(kf.kmeans_plusplus, histogram, 256)[0])
        result = kf.fit(histogram, 256)
        times["iterations"].append(sum(iteration.seconds for iteration in result.history))
    expect(result.converged, "the fit did not converge")
    progress("  " + in_ms(times))
    notes = all_ms(times) | {"iterations": result.n_iter, "colors": histogram.n_colors}
    work = "12-megapixel photograph, K = 256: seeding"
    over = ratios(times["seeding"], times["iterations"])
    return [Row(work, "x the iterations to convergence", over, 1.0, at_most=True, notes=notes)]


def tutorial(setting: Setting) -> list[Row]:
    """Against the plain loop of the tutorial: 200 x 200, K = 10, ten iterations."""
    side = max(20, round(200 * setting.scale**0.5))
    image = pictures.thumbnail(setting.photograph(12), side)
    start = start_of(image.reshape(-1, 3), 10)
    plain = kf.reference.k_means(start, image)
    for ours, theirs in zip(kf.k_means(start, image), plain, strict=True):
        expect(np.array_equal(ours, theirs))
    times, _ = race(
        setting,
        {"kmeans_fast": lambda _: kf.k_means(start, image)},
        {"reference": lambda _: kf.reference.k_means(start, image)},
        setting.rounds,
        keep=lambda _: None,
    )
    speed = ratios(times["reference"], times["kmeans_fast"])
    n_iter = kf.fit(image, 10, init=start, max_iter=10, tol=0).n_iter
    work = f"the tutorial's loop, {side} x {side}, K = 10, {n_iter} iterations"
    return [Row(work, "x as fast as kmeans_fast.reference", speed, 5000, notes=all_ms(times))]


# ------------------------------------------------------- rows measured in new processes

MEMORY = """
import sys
import numpy as np
import kmeans_fast as kf

def kilobytes(key):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(key))

image, k = np.load(sys.argv[1]), int(sys.argv[2])
kf.fit(np.ascontiguousarray(image[:400, :400]), k, max_iter=2)  # kernels are loaded
before = kilobytes("VmRSS")
result = kf.fit(image, k)
print((kilobytes("VmHWM") - before) * 1024)
"""
FIRST_FIT = """
import sys
import numpy as np
import kmeans_fast as kf
kf.fit(np.load(sys.argv[1]), 10)
"""


def memory(setting: Setting) -> list[Row]:
    """58 megapixels: the memory that a fit takes over the image, labels included.

    The greatest resident size after the fit, less the resident size before it, in a process of
    its own. It is read from Linux's VmHWM and not from `ru_maxrss`, which a child inherits from
    the process that started it.
    """
    if not Path("/proc/self/status").exists():
        progress("  left out: measured on Linux only")
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
                found.append(float(child("-c", MEMORY, str(path), str(k))[1]))
    worst = max(taken.values(), key=median)
    notes = {f"K = {k}, bytes": found for k, found in taken.items()} | {"pixels": n_pixels}
    work = "memory over the image itself, 58 megapixels, the worse of K = 16 and 256"
    return [
        Row(work, "bytes a pixel", [b / n_pixels for b in worst], 3, at_most=True, notes=notes),
        Row(work, "MB", [b / 1e6 for b in worst], 200, at_most=True),
    ]


def first_fit(setting: Setting) -> list[Row]:
    """Start a new process: import and first fit, with kernels in the cache and without."""
    times: Times = {"import numba": [], "import and fit": [], "never compiled": []}
    with tempfile.TemporaryDirectory() as folder:
        image = pictures.photograph(1)
        array, picture = Path(folder, "small.npy"), Path(folder, "photograph.png")
        np.save(array, pictures.thumbnail(image))
        Image.fromarray(image).save(picture)
        warm = Path(folder, "warm")
        child("-c", FIRST_FIT, str(array), cache=warm)
        for _ in range(max(7, setting.rounds)):
            times["import numba"].append(child("-c", "import numba", cache=warm)[0])
            times["import and fit"].append(child("-c", FIRST_FIT, str(array), cache=warm)[0])
        for number in range(1 if setting.quick else setting.rounds):
            cold = Path(folder, f"cold{number}")
            times["never compiled"].append(child("-c", FIRST_FIT, str(array), cache=cold)[0])
        command = ("-m", "kmeans_fast", "palette", str(picture), "-k", "16")
        says = [child(*command, cache=Path(folder, "cli")) for _ in range(2)]
    said = [errors.count("compil") for _, _, errors in says]
    expect(said == [1, 0], f"the command says that it compiles {said} times, not [1, 0]")
    progress("  " + in_ms(times))
    over = [b - a for a, b in zip(times["import numba"], times["import and fit"], strict=True)]
    notes = all_ms(times) | {
        "palette of a 1-megapixel picture by the command, first and again, s": [s for s, *_ in says]
    }
    return [
        Row(
            "new process, kernels in the cache: import and first fit of a 200 x 200 image",
            "s over import numba",
            over,
            0.6,
            at_most=True,
            notes=notes,
        ),
        Row("the same, never compiled before", "s in all", times["never compiled"], 20, True),
    ]


ROWS: dict[str, Callable[[Setting], list[Row]]] = {
    "photo16": photo16,
    "photo256": photo256,
    "defaults12": defaults12,
    "small": small,
    "checks": checks,
    "noise": noise,
    "memory": memory,
    "seeding": seeding,
    "tutorial": tutorial,
    "first_fit": first_fit,
}

"""How the time of a fit grows, and where it goes: ``python -m bench profile``.

A fit here is k-means++, ten iterations, and labels, of a picture made in code or of a file. Parts:

sizes    the time against megapixels, K = 16, beside a copy of the picture
ks       the time against K, from 2 to 1,024, at 24 megapixels
cores    the time against threads, from 1 to all in powers of two, at 24 megapixels: what each
         stage gains, the share that stays serial, and what Amdahl's law says for more cores;
         beside what a loop in registers and a memcpy gain. And each photograph that is named
         (``--image``): with the defaults, to convergence, on one thread and on all
jpeg     decoding a JPEG of 24 megapixels, or the file, beside fitting it
starts   import, first fit with kernels in the cache, and first fit of all

Everything that is compared runs in turn, round by round; figures are medians over the rounds.
Prints tables, writes ``profile.json``, and plots as PNG where Matplotlib is there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

import kmeans_fast as kf
from kmeans_fast.threads import default_threads

from . import amdahl, calibrate, lab, pictures, report
from .lab import RESULTS, Record, Setting
from .pictures import Picture
from .stages import ALL_STAGES, STAGES, points_of, stage_ms, timing

Point = Record  # a measured fit, as it stands in the JSON file

SIZES = (0.04, 0.1, 0.4, 1.5, 6, 12, 24, 50, 100)
KS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
K, MEGAPIXELS = 16, 24
ITERATIONS = 10
PHOTOGRAPHS = "photographs"  # of these fits are to convergence, with the defaults
PHOTOGRAPHS_KS = (16, 256)


def powers_of_two(n: int) -> list[int]:
    """Return 1, 2, 4, ... and `n`."""
    return sorted({n} | {1 << bit for bit in range(n.bit_length()) if 1 << bit <= n})


# ----------------------------------------------------------------------- a measured fit


def fit(image: Picture, k: int, n_threads: int | None = None, part: str = "") -> kf.KMeansResult:
    """Fit as everything here does, but for photographs."""
    limits: Record = {} if part == PHOTOGRAPHS else {"max_iter": ITERATIONS, "tol": 0}
    return kf.fit(image, k, n_threads=n_threads, **limits)


def new_point(part: str, image: Picture, k: int, n_threads: int) -> Point:
    """Return a point without times, after its answer is checked, which warms what it needs."""
    seeded = kf.kmeans_plusplus(image, k)

    def fit_from(max_iter: int, tol: float) -> kf.KMeansResult:
        return kf.fit(image, k, init=seeded, max_iter=max_iter, tol=tol, n_threads=n_threads)

    result = fit(image, k, n_threads, part)
    lab.check_answer(fit_from, image, result.n_iter, 0.0)
    return {
        "part": part,
        "megapixels": image.size / 3e6,
        "colors": pictures.n_colors(image),
        "k": k,
        "threads": n_threads,
        "iterations": result.n_iter,
        "seconds": [],
        "stages": {stage: [] for stage in STAGES},
        "copy": [],
    }


def measure(point: Point, image: Picture) -> None:
    """Add a round: of a few fits the fastest, its stages, the fastest copy."""
    best, stages, copy = float("inf"), {}, float("inf")
    for _ in range(5 if point["megapixels"] < 2 else 2):
        copy = min(copy, lab.timed(image.copy)[0])
        with timing() as found:
            seconds, _ = lab.timed(fit, image, point["k"], point["threads"], point["part"])
        if seconds < best:
            best, stages = seconds, found
    point["seconds"].append(best)
    for stage, taken in stages.items():
        point["stages"][stage].append(taken)
    point["copy"].append(copy)


def rounds_of(setting: Setting, points: list[tuple[Point, Picture]]) -> list[Point]:
    """Measure points in turn, round by round."""
    for number in range(setting.rounds):
        for point, image in points:
            measure(point, image)
        shown = ", ".join(f"{1e3 * point['seconds'][-1]:,.1f}" for point, _ in points)
        lab.progress(f"  round {number + 1}/{setting.rounds}: {shown} ms")
    return [point for point, _ in points]


# ------------------------------------------------------------------------------- parts


def sizes(setting: Setting) -> Record:
    """Measure against the size."""
    images = [setting.photograph(megapixels) for megapixels in SIZES]
    n = default_threads()
    points = [(new_point("sizes", image, min(K, image.size // 3), n), image) for image in images]
    return {"points": rounds_of(setting, points)}


def ks(setting: Setting) -> Record:
    """Measure against K."""
    image = setting.photograph(MEGAPIXELS)
    few = [k for k in KS if k <= image.size // 3]
    points = [(new_point("ks", image, k, default_threads()), image) for k in few]
    return {"points": rounds_of(setting, points)}


def cores(setting: Setting) -> Record:
    """Measure against threads, beside what the machine gives, and photographs on one and on all."""
    all_of_them = powers_of_two(default_threads())
    calibration = calibrate.measure(setting, all_of_them)
    image = setting.photograph(MEGAPIXELS)
    points = rounds_of(setting, [(new_point("cores", image, K, n), image) for n in all_of_them])
    found = []
    for path in sorted(setting.files, key=lambda path: path.name):
        lab.progress(f"  {path.name}")
        found += photographs(setting, path)
    return {"calibration": calibration, "points": points, PHOTOGRAPHS: found}


def photographs(setting: Setting, path: Path) -> list[Point]:
    """Measure one photograph, at its own size."""
    image = pictures.load(path)
    if setting.scale != 1:
        image = pictures.scaled(image, setting.scale * image.size / 3e6)
    n_colors, some = pictures.n_colors(image), sorted({1, default_threads()})
    points = [
        ({"name": path.name} | new_point(PHOTOGRAPHS, image, k, n), image)
        for k in PHOTOGRAPHS_KS
        if k <= n_colors
        for n in some
    ]
    return rounds_of(setting, points) if points else []


def jpeg(setting: Setting) -> Record:
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
            times["decode"].append(lab.timed(lambda: kf.open_image(path, max_pixels=None))[0])
            times["fit"].append(lab.timed(fit, image, K)[0])
            times["fit, to convergence"].append(lab.timed(kf.fit, image, K)[0])
    lab.progress("  " + lab.in_ms(times))
    return {"jpeg": {"megapixels": image.size / 3e6, "k": K, "bytes": size, "seconds": times}}


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


def starts(setting: Setting) -> Record:
    """Measure new processes on a machine that never compiled: import, and the first fit."""
    rows: dict[str, list[float]] = {}

    def note(name: str, seconds: float) -> None:
        rows.setdefault(name, []).append(seconds)

    with tempfile.TemporaryDirectory() as folder:
        picture, points = Path(folder, "picture.npy"), Path(folder, "points.npy")
        np.save(picture, pictures.thumbnail(setting.photograph(1)))
        np.save(points, np.random.default_rng(0).normal(size=(40_000, 8)).astype(np.float32))
        for what, path in (("a 200 x 200 picture", picture), ("40,000 x 8 floats", points)):
            cold = Path(folder, path.stem)
            for _ in range(setting.rounds):
                _, out, _ = lab.child("-c", FIRST_FIT, str(path), cache=cold)
                imported, first, again = map(float, out.split())
                note("import kmeans_fast and numpy", imported)
                note(f"first fit of {what} in a process", first)
                note(f"the same fit of {what} again", again)
            _, out, _ = lab.child("-c", FIRST_FIT, str(path), cache=cold, pack=False)
            note(f"first fit of {what} without the pack, never compiled", float(out.split()[1]))
        for _ in range(setting.rounds):
            note("import numba alone, as a process", lab.child("-c", "import numba")[0])
            note("Python alone, as a process", lab.child("-c", "")[0])
    lab.progress("  " + lab.in_ms(rows))
    return {"starts": rows}


PARTS: dict[str, Callable[[Setting], Record]] = {
    part.__name__: part for part in (sizes, ks, cores, jpeg, starts)
}


# ------------------------------------------------------------------------------ plots


def draw(profile: Record, folder: Path) -> None:
    """Write the plots of what was measured as PNG: against size, K and cores."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    for part, x in (("sizes", "megapixels"), ("ks", "k"), ("cores", "threads")):
        if not (points := points_of(profile, part)):
            continue
        figure, axes = pyplot.subplots(figsize=(8, 4.8), layout="constrained")
        at = [point[x] for point in points]
        axes.plot(at, [1e3 * median(p["seconds"]) for p in points], "o-k", lw=2, label="fit")
        for stage in ALL_STAGES:
            axes.plot(at, [stage_ms(p)[stage] for p in points], "-", label=stage)
        y = [1e3 * median(point["copy"]) for point in points]
        axes.plot(at, y, "--", color="#555", label="image.copy()")
        axes.set(xscale="log", yscale="log", xlabel=x, ylabel="milliseconds")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        figure.savefig(folder / f"profile-{part}.png", dpi=110)
        pyplot.close(figure)


# ------------------------------------------------------------------------- command line


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print."""
    parser = lab.parser_of("profile", __doc__, rounds=5)
    parser.add_argument("--parts", default=",".join(PARTS), help="default: %(default)s")
    options = parser.parse_args(arguments)
    parts = lab.words_of(parser, "parts", options.parts, PARTS)
    if options.scale != 1 and options.out is None:
        parser.error("with --scale give --out: the record is of the whole sizes")
    folder = options.out or RESULTS
    setting, run = lab.setting_of(parser, options)
    path = folder / "profile.json"
    # Parts that are measured now take the place of older ones; the others keep their own run.
    profile = lab.begin(path, {"runs": {}, "points": []})
    for part in parts:
        lab.progress(f"{part}: {(PARTS[part].__doc__ or '').splitlines()[0]}")
        found = PARTS[part](setting)
        kept = [point for point in profile["points"] if point["part"] != part]
        profile |= found | {"points": kept + found.get("points", [])}
        profile["runs"][part] = run
        lab.save(path, profile)  # a run that is stopped leaves what it has
    print(report.summary(profile), lab.measured("profile", *profile["runs"].values()), sep="\n\n")
    for part in ("ks", "cores"):
        print(f"\n{report.against(profile, part)}")
    print(f"\n{amdahl.as_markdown(profile)}")
    try:
        draw(profile, folder)
    except ImportError as error:
        lab.progress(f"no plots ({error}): pip install 'kmeans_fast[bench]' brings Matplotlib")
    return 0

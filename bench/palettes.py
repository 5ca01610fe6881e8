"""How near palettes come to the least error, and how they dither: ``python -m bench palettes``.

All pictures of the folders that are named, or three made in code, and each number of colours. The
error is that of the pixels shown, without dithering: the squared difference of 8-bit values, in the
mean of pixels and channels. What is shown *above the least* is by how many percent an error exceeds
the least of all that ran; with ``--best`` two long searches of ours run as well. Everybody runs in
turn, round by round; what took longer than a second runs once, and what took longer than
``--patience`` at some K, in the median of the pictures, does not run at greater ones. pngquant is a
program: its time is that of the process, from a PNG to a PNG.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

import kmeans_fast as kf

from . import lab, perceived, pictures
from .contestants import (
    COMMANDS,
    DITHERERS,
    MOST_COLORS,
    QUANTIZERS,
    SEARCHERS,
    Command,
    Contestant,
)
from .lab import RESULTS, Record, Setting
from .palette_tables import BEST, ENOUGH, LONG_SEARCH, as_markdown, values
from .pictures import Picture

Work = Callable[[Picture, int], Any]

KS, DITHERED_KS = (4, 16, 32, 64, 128, 256), (16, 64, 256)
MEGAPIXELS, SEEDS = 0.4, 3  # of the pictures made in code
PATIENCE = 3.0  # seconds
STARTS = (0, 1)  # the seeds of the long searches

OURS: dict[str, Work] = {
    "fit": kf.fit,
    "fit, refine=1": partial(kf.fit, refine=1),
    "fit, refine=4": partial(kf.fit, refine=4),
    "quantize": kf.quantize,
}
OUR_DITHERS: dict[str, Work] = {
    "quantize, dither=True": partial(kf.quantize, dither=True),
    "quantize, blue-noise": partial(kf.quantize, dither="blue-noise"),
}
KNOWN = QUANTIZERS | COMMANDS | SEARCHERS
SPINNING = ("sklearn-defaults", *SEARCHERS)  # their threads do, after a call: they are waited for
PEERS = ("imagequant", "pngquant", "pillow", *SPINNING)


# --------------------------------------------------------------------------- measuring


def shown(picture: Picture, answer: Any) -> Picture:
    """Return the pixels of any answer: a fit, an indexed picture, its file, or centroids."""
    if isinstance(answer, Path):
        with Image.open(answer) as image:
            return np.asarray(image.convert("RGB"))
    if isinstance(answer, Image.Image):
        return np.asarray(answer.convert("RGB"))
    if isinstance(answer, kf.KMeansResult):
        return answer.palette[answer.labels]
    return np.rint(answer).astype(np.uint8)[kf.assign(picture, np.asarray(answer, float))]


def error_of(picture: Picture, seen: Picture) -> float:
    """Return the mean squared error over pixels and channels."""
    return float(np.square(picture.astype(np.float64) - seen).mean())


def work_of(peer: Contestant, folder: Path) -> Work:
    """Return the call of a peer; a program takes the picture that lies in the folder."""
    if not isinstance(peer, Command):
        return peer.call
    source, out = folder / "picture.png", folder / "out.png"

    def run(picture: Picture, k: int) -> Path:
        subprocess.run(peer.call(source, out, k), check=True, capture_output=True)
        return out

    return run


def race(works: dict[str, Work], picture: Picture, k: int, rounds: int, folder: Path) -> Record:
    """Return everybody's error, and the median of the seconds it took; drop those that fail."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    errors: dict[str, float] = {}
    Image.fromarray(picture).save(folder / "picture.png")
    for _ in range(rounds):
        waits = False
        for name, work in list(works.items()):
            if sum(seconds[name]) > ENOUGH:
                continue
            try:
                taken, answer = lab.timed(work, picture, k)
            except Exception as error:  # a peer that fails must not take the others along
                if name in OURS:
                    raise
                lab.progress(f"  left out: {name} fails ({error})")
                del works[name], seconds[name]
                errors.pop(name, None)
                continue
            seconds[name].append(taken)
            waits |= name in SPINNING
            if name not in errors:
                errors[name] = round(error_of(picture, shown(picture, answer)), 5)
        time.sleep(lab.IDLE * waits)
    return {"errors": errors, "seconds": {n: round(median(s), 5) for n, s in seconds.items()}}


def seen_of(works: dict[str, Work], picture: Picture, k: int) -> dict[str, list[float]]:
    """Return what the eye sees of everybody's dithering, as `MEASURES` are named."""
    measures = (perceived.blurred_error, perceived.grain, perceived.dssim)
    pixels = [shown(picture, work(picture, k)) for work in works.values()]
    with ThreadPoolExecutor() as pool:
        found = pool.map(lambda seen: [round(f(picture, seen), 4) for f in measures], pixels)
    return dict(zip(works, found, strict=True))


def pictures_of(setting: Setting) -> dict[str, Picture]:
    """Return all the photographs by name, or pictures made in code."""
    if not setting.files:
        size = MEGAPIXELS * setting.scale
        return {f"made in code {n}": pictures.photograph(size, n) for n in range(SEEDS)}
    found = {path.name: pictures.load(path) for path in sorted(setting.files)}
    return {n: pictures.scaled(x, setting.scale * x.size / 3e6) for n, x in found.items()}


def measure(setting: Setting, ks: Iterable[int], patience: float, best: bool) -> Record:
    """Return what was measured of each picture at each K, undithered and dithered."""
    images, cases, dithered = pictures_of(setting), [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        works = OURS | {name: work_of(peer, folder) for name, peer in setting.peers.items()}
        mixers = {n: work_of(DITHERERS[n], folder) for n in setting.peers if n in DITHERERS}
        for k in ks:
            for title, picture in images.items():
                if pictures.n_colors(picture) <= k:
                    lab.progress(f"left out: {title} has no more than {k} colours")
                    continue
                if not cases:  # all is loaded
                    race(works, np.ascontiguousarray(picture[:40]), k, 1, folder)
                case = {"k": k, "picture": title} | race(works, picture, k, setting.rounds, folder)
                if best:
                    long = partial(kf.fit, picture, k, refine=LONG_SEARCH)
                    found = [shown(picture, long(random_state=seed)) for seed in STARTS]
                    case["errors"][BEST] = round(min(error_of(picture, x) for x in found), 5)
                cases.append(case)
                if k in DITHERED_KS:
                    seen = seen_of(OUR_DITHERS | mixers, picture, k)
                    dithered.append({"k": k, "picture": title, "seen": seen})
                times = {n: [s] for n, s in case["seconds"].items()}
                lab.progress(f"  K = {k}, {title}: {lab.in_ms(times)}")
            here = {"cases": [case for case in cases if case["k"] == k]}
            for name in [name for name in works if name not in OURS]:
                if here["cases"] and median(values(here, name, k, "seconds")) > patience:
                    lab.progress(f"  {name} took more than {patience:g} s: it has no larger K")
                    del works[name]
    return {"pictures": list(images), "patience": patience, "cases": cases, "dithered": dithered}


def main(arguments: list[str] | None = None) -> int:
    """Measure, write, print."""
    parser = lab.parser_of("palettes", __doc__, rounds=3, peers=PEERS)
    parser.add_argument("-k", default=",".join(map(str, KS)), help="default: %(default)s")
    help = "seconds of a picture, after which a peer has no larger K (default: %(default)s)"
    parser.add_argument("--patience", type=float, default=PATIENCE, help=help)
    parser.add_argument("--best", action="store_true", help="two long searches of ours as well")
    options = parser.parse_args(arguments)
    known = [str(k) for k in range(2, MOST_COLORS + 1)]
    ks = sorted({int(k) for k in lab.words_of(parser, "k", options.k, known)})
    if not ks or not options.patience > 0:
        parser.error("give -k of 2 or more, and --patience above 0")
    setting, record = lab.setting_of(parser, options, known=KNOWN)
    record |= measure(setting, ks, options.patience, options.best)
    lab.save(options.out or (RESULTS / "palettes.json" if options.scale == 1 else None), record)
    print(as_markdown(record))
    return 0

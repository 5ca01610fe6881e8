"""What people use today, behind one call.

`PEERS` are k-means: each takes uint8 pixels ``(n, 3)`` or any points ``(n, d)``, the starting
centroids ``(k, d)`` and the number of iterations; each uses every point, runs all the iterations
(unless given a tolerance), and gives centroids, labels and the iterations it made. Turning pixels
into the floats that it needs is part of its time, as it is for whoever uses it; float32 is taken as
it is. `OWN_STARTS` are called so too, but start where they like; `DEFAULTS` with any points, K and
a seed, as people do. `QUANTIZERS` cut a picture ``(h, w, 3)`` down to a palette, with a start and a
stop of their own, and are told not to dither, which moves errors but does not change the palette.
`COMMANDS` do so as a process, from a PNG to a PNG. `OURS` are the ways to call ours on each of
these terms. `SEARCHERS` look for less error than one run of k-means finds, as slowly as that takes.
`DITHERERS` mix the colours of a palette by dots.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]
Answer = tuple[Array, Array, int]  # centroids, labels, iterations
MOST_COLORS = 256  # of a palette


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what the peers warn of: that they stop as early as asked, or will change."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def lloyd_of(module: str) -> Callable[..., Answer]:
    """Return the Lloyd of an estimator such as scikit-learn's, in float32."""

    def fit(pixels: Array, start: Array, iterations: int, tol: float = 0.0) -> Answer:
        model = importlib.import_module(module).KMeans(
            len(start),
            init=start.astype(np.float32),
            n_init=1,
            max_iter=iterations,
            tol=tol,
            algorithm="lloyd",
        )
        with quiet():
            model.fit(pixels.astype(np.float32, copy=False))
        return model.cluster_centers_, model.labels_, model.n_iter_

    return fit


def faiss(pixels: Array, start: Array, iterations: int, tol: float = 0.0) -> Answer:
    """Run FAISS's clustering, told to sample nothing; it labels in a search of its own."""
    import faiss

    data = pixels.astype(np.float32, copy=False)
    n, d = data.shape
    model = faiss.Kmeans(
        d, len(start), niter=iterations, max_points_per_centroid=n, min_points_per_centroid=1
    )
    model.train(data, init_centroids=start.astype(np.float32))
    _, labels = model.index.search(data, 1)
    return model.centroids, labels[:, 0], iterations


def opencv(pixels: Array, start: Array, iterations: int, tol: float = 0.0) -> Answer:
    """Run OpenCV's kmeans from the labels of the start, for it cannot be given centroids.

    We label them for it: less than a hundredth of its time. The labels that it gives are of the
    centroids before the last means, so it makes two assignments fewer than the others, in its
    favour. It clamps the iterations to 2 or more.
    """
    import cv2

    from kmeans_fast import assign

    _, labels, centroids = cv2.kmeans(
        pixels.astype(np.float32, copy=False),
        len(start),
        assign(pixels, start).astype(np.int32)[:, None],
        (cv2.TERM_CRITERIA_MAX_ITER, iterations, 0.0),
        1,
        cv2.KMEANS_USE_INITIAL_LABELS,
    )
    return centroids, labels[:, 0], iterations


def scipy(pixels: Array, start: Array, iterations: int, tol: float = 0.0) -> Answer:
    """Run SciPy's kmeans2, in float32; its labels are of the centroids before the last means."""
    from scipy.cluster.vq import kmeans2

    data = pixels.astype(np.float32, copy=False)
    with quiet():
        centroids, labels = kmeans2(data, start.astype(np.float32), iter=iterations, minit="matrix")
    return centroids, labels, iterations


def mlpack(pixels: Array, start: Array, iterations: int, tol: float = 0.0) -> Answer:
    """Run mlpack's kmeans, in float64, by Hamerly's algorithm, the fastest that it has.

    It writes over the start that it is given, and its centroids may lie in that memory. On
    several threads it is off by a thousandth at times. It stops by itself at a fixed point.
    """
    from mlpack import kmeans

    data, first = pixels.astype(np.float64), start.astype(np.float64)
    found = kmeans(
        input_=data,
        clusters=len(first),
        initial_centroids=first,
        max_iterations=iterations,
        algorithm="hamerly",
        labels_only=True,
    )
    return found["centroid"].copy(), found["output"].ravel().astype(np.intp), iterations


def superkmeans(pixels: Array, start: Array, iterations: int, tol: float = 0.0) -> Answer:
    """Run SuperKMeans, told to sample nothing, from a start of its own: it takes none.

    It labels in a search of its own, by brute force.
    """
    from superkmeans import SuperKMeans

    data = np.ascontiguousarray(pixels, dtype=np.float32)
    n, d = data.shape
    model = SuperKMeans(
        len(start),
        d,
        hierarchical=False,
        iters=iterations,
        sampling_fraction=1.0,
        max_points_per_cluster=n,
        early_termination=False,
    )
    centroids = model.train(data)
    return centroids, model.assign(data, centroids), iterations


def defaults_of(module: str) -> Callable[..., Answer]:
    """Return an estimator such as scikit-learn's as people call it: of points, K and a seed."""

    def fit(points: Array, k: int, seed: int) -> Answer:
        with quiet():
            model = importlib.import_module(module).KMeans(k, random_state=seed).fit(points)
        return model.cluster_centers_, model.labels_, model.n_iter_

    return fit


def median_cut(picture: Array, k: int, kmeans: int = 0) -> Image.Image:
    """Run Pillow's default, and its k-means until no more than so many pixels change."""
    image = Image.fromarray(picture)
    return image.quantize(k, Image.Quantize.MEDIANCUT, kmeans=kmeans, dither=Image.Dither.NONE)


def median_cut_dithered(picture: Array, k: int) -> Image.Image:
    """Run Pillow's default, then its error diffusion, which it has for given palettes alone."""
    palette = median_cut(picture, k)
    return Image.fromarray(picture).quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)


def imagequant(picture: Array, k: int, dithering: float = 0.0) -> Image.Image:
    """Run libimagequant at its default quality."""
    import imagequant

    image = Image.fromarray(picture).convert("RGBA")
    with quiet():
        return imagequant.quantize_pil_image(image, dithering_level=dithering, max_colors=k)


def pngquant(source: Path, out: Path, k: int, *options: str) -> list[str]:
    """Return the words of the command."""
    return ["pngquant", *options, "-f", "-o", str(out), str(k), str(source)]


def sklearn_defaults(picture: Array, k: int) -> Array:
    """Run scikit-learn's KMeans as people call it; its centroids are rounded, to be colours."""
    from sklearn.cluster import KMeans

    with quiet():
        model = KMeans(k, random_state=0).fit(picture.reshape(-1, 3))
    return np.rint(model.cluster_centers_)


def breathing(picture: Array, k: int) -> Array:
    """Run breathing k-means (B. Fritzke 2020) on the pixels as people call it."""
    from bkmeans import BKMeans

    with quiet():
        model = BKMeans(n_clusters=k, random_state=0).fit(picture.reshape(-1, 3).astype(float))
    return np.rint(model.cluster_centers_)


def foresight(picture: Array, k: int) -> Array:
    """Run foresight local search (T. Conrads, L. Drexler and others 2024), as people call it."""
    from flspp import FLSpp

    model = FLSpp(k, random_state=0).fit(picture.reshape(-1, 3).astype(float))
    return np.rint(model.cluster_centers_)


def ours(pixels: Array, start: Array, iterations: int) -> Answer:
    """Run ours on the peers' terms."""
    from kmeans_fast import fit

    result = fit(pixels, len(start), init=start, max_iter=iterations, tol=0)
    return result.centroids, result.labels, result.n_iter


def our_defaults(picture: Array, k: int) -> Image.Image:
    """Run ours as people call it."""
    from kmeans_fast import quantize

    return quantize(picture, k)


def colors_of(answer: Any) -> Array:
    """Return the colours of any answer: those that occur in an indexed picture, or centroids."""
    if isinstance(answer, Path):
        with Image.open(answer) as image:
            return colors_of(image)
    if isinstance(answer, Image.Image):
        colors = np.array(answer.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
        return colors[np.unique(np.asarray(answer))]
    return answer[0] if isinstance(answer, tuple) else answer


@dataclass(frozen=True)
class Contestant:
    """Who stands beside ours: what is called, and on which terms."""

    title: str
    module: str  # to be imported
    packages: tuple[str, ...]  # any of which has the version
    call: Callable[..., Any]
    terms: str
    has_tol: bool = False  # or makes all the iterations that it is told to
    has_start: bool = True  # if it is given one
    exact_below: float = math.inf  # dimensions: from there on it may miss the nearest centroid

    def find(self) -> None:
        """Raise ImportError if it is not here."""
        importlib.import_module(self.module)

    def version(self) -> str:
        """Return its version."""
        for package in self.packages:
            with contextlib.suppress(metadata.PackageNotFoundError):
                return metadata.version(package)
        return "unknown"


@dataclass(frozen=True)
class Command(Contestant):
    """One that is a program: `module` is its name, `call` gives the words of the command."""

    def find(self) -> None:
        """Raise ImportError if it is not here."""
        if shutil.which(self.module) is None:
            raise ImportError(f"no {self.module!r} on the PATH")

    def version(self) -> str:
        """Return what it says of its version, the number alone."""
        said = subprocess.run([self.module, "--version"], capture_output=True, text=True)
        return next(iter(said.stdout.split()), "unknown")


SAME, OWN = "our start, ten iterations", "its own start and stop"
WHOLE = "a process, PNG to PNG"


def estimator(title: str, module: str) -> Contestant:
    """Return one whose Lloyd is an estimator's."""
    return Contestant(title, module, (title,), lloyd_of(module), SAME, has_tol=True)


PEERS = {
    "sklearn": estimator("scikit-learn", "sklearn.cluster"),
    "sklearnex": estimator("scikit-learn-intelex", "sklearnex.cluster"),
    "faiss": Contestant("FAISS", "faiss", ("faiss-cpu", "faiss"), faiss, SAME),
    "opencv": Contestant(
        "OpenCV",
        "cv2",
        ("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
        opencv,
        f"{SAME}, of which it labels eight",
    ),
    "scipy": Contestant("SciPy", "scipy.cluster", ("scipy",), scipy, SAME),
    "mlpack": Contestant("mlpack", "mlpack", ("mlpack",), mlpack, f"{SAME}, in float64"),
}
OWN_STARTS = {
    "superkmeans": Contestant(
        "SuperKMeans",
        "superkmeans",
        ("superkmeans",),
        superkmeans,
        "its own start, ten iterations",
        has_start=False,
        exact_below=128,
    )
}
DEFAULTS = {
    name: replace(PEERS[name], call=defaults_of(PEERS[name].module), terms="its defaults")
    for name in ("sklearn", "sklearnex")
}
QUANTIZERS = {
    "pillow": Contestant("Pillow, median cut", "PIL", ("pillow",), median_cut, "no k-means"),
    "pillow-kmeans": Contestant(
        "Pillow, kmeans=1", "PIL", ("pillow",), lambda picture, k: median_cut(picture, k, 1), OWN
    ),
    "imagequant": Contestant("imagequant", "imagequant", ("imagequant",), imagequant, OWN),
    "sklearn-defaults": Contestant(
        "scikit-learn, KMeans(k)",
        "sklearn.cluster",
        ("scikit-learn",),
        sklearn_defaults,
        "its defaults, centroids rounded",
    ),
}
COMMANDS = {
    "pngquant": Command(
        "pngquant",
        "pngquant",
        (),
        lambda source, out, k: pngquant(source, out, k, "--nofs"),
        WHOLE,
    )
}
SEARCHERS = {
    "bkmeans": Contestant("bkmeans", "bkmeans", ("bkmeans",), breathing, "its defaults, rounded"),
    "flspp": Contestant("flspp", "flspp", ("flspp",), foresight, "its defaults, rounded"),
}
DITHERERS = {
    "imagequant": Contestant(
        "imagequant", "imagequant", ("imagequant",), partial(imagequant, dithering=1.0), "1.0"
    ),
    "pngquant": Command("pngquant", "pngquant", (), pngquant, "its default"),
    "pillow": Contestant(
        "Pillow, median cut", "PIL", ("pillow",), median_cut_dithered, "Floyd-Steinberg"
    ),
}
OURS = {
    "kmeans_fast": Contestant("kmeans_fast", "kmeans_fast", ("kmeans_fast",), ours, SAME),
    "kmeans_fast-defaults": Contestant(
        "kmeans_fast.quantize",
        "kmeans_fast",
        ("kmeans_fast",),
        our_defaults,
        "k-means++, to convergence",
    ),
    "kmeans_fast-command": Command(
        "kmeans-fast quantize",
        sys.executable,
        ("kmeans_fast",),
        lambda source, out, k: (
            [sys.executable, "-m", "kmeans_fast", "quantize", str(source)]
            + ["-k", str(k), "-o", str(out), "--force"]
        ),
        WHOLE,
    ),
}
ALL = PEERS | QUANTIZERS | COMMANDS


def title_of(name: str) -> str:
    """Return the title of a name, or what was given for one."""
    return known[name].title if name in (known := ALL | OWN_STARTS) else name


def present(
    wanted: str, known: dict[str, Contestant] = PEERS
) -> tuple[dict[str, Contestant], dict[str, str]]:
    """Return who can be imported of a list with commas, and why others cannot run."""
    here, absent = {}, {}
    for name in dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()):
        if name not in known:
            absent[name] = f"unknown: none of {', '.join(known)}"
            continue
        try:
            known[name].find()
            here[name] = known[name]
        except ImportError as error:
            absent[name] = f"is not here ({error})"
    return here, absent

"""What people use today, behind one call.

Each takes uint8 pixels ``(n, 3)`` or any points ``(n, d)``, the starting centroids ``(k, d)`` and
the number of iterations; each uses every point, runs all the iterations (unless given a
tolerance), and gives centroids, labels and the iterations it made. Turning pixels into the floats
that it needs is part of its time, as it is for whoever uses it; float32 is taken as it is.
"""

from __future__ import annotations

import contextlib
import importlib
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Answer = tuple[Array, Array, int]  # centroids, labels, iterations
Peer = Callable[..., Answer]  # of pixels, start, iterations, and tol, which is 0 if not given


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence what the peers warn of: that they stop before convergence, as they are asked to."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def sklearn(pixels: Array, start: Array, iterations: int, tol: float = 0.0) -> Answer:
    """Run scikit-learn's Lloyd, in float32."""
    from sklearn.cluster import KMeans

    return _estimator(KMeans, pixels, start, iterations, tol)


def sklearnex(pixels: Array, start: Array, iterations: int, tol: float = 0.0) -> Answer:
    """Run scikit-learn-intelex's (oneDAL's) Lloyd, in float32."""
    from sklearnex.cluster import KMeans

    return _estimator(KMeans, pixels, start, iterations, tol)


def _estimator(cls: Any, pixels: Array, start: Array, iterations: int, tol: float) -> Answer:
    model = cls(
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


def faiss(pixels: Array, start: Array, iterations: int, tol: float = 0.0) -> Answer:
    """Run FAISS's clustering, told to sample nothing; it labels in a search of its own.

    It has no tolerance, so it makes all the iterations.
    """
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
    favour. It clamps the iterations to 2 or more. Its tolerance is another one, and is not used.
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
    """Run SciPy's kmeans2, in float32; its labels are of the centroids before the last means.

    It has no tolerance, so it makes all the iterations.
    """
    from scipy.cluster.vq import kmeans2

    data = pixels.astype(np.float32, copy=False)
    with quiet():
        centroids, labels = kmeans2(data, start.astype(np.float32), iter=iterations, minit="matrix")
    return centroids, labels, iterations


PEERS: dict[str, Peer] = {
    "sklearn": sklearn,
    "sklearnex": sklearnex,
    "faiss": faiss,
    "opencv": opencv,
    "scipy": scipy,
}
NO_TOLERANCE = ("faiss", "opencv", "scipy")  # make all the iterations that they are told to
NAMES = {
    "sklearn": "scikit-learn",
    "sklearnex": "scikit-learn-intelex",
    "faiss": "FAISS",
    "opencv": "OpenCV",
    "scipy": "SciPy",
}
_MODULES = {
    "sklearn": "sklearn",
    "sklearnex": "sklearnex",
    "faiss": "faiss",
    "opencv": "cv2",
    "scipy": "scipy.cluster",
}
_PACKAGES = {
    "sklearn": ("scikit-learn",),
    "sklearnex": ("scikit-learn-intelex",),
    "faiss": ("faiss-cpu", "faiss"),
    "opencv": ("opencv-python-headless", "opencv-python", "opencv-contrib-python"),
    "scipy": ("scipy",),
}


def present(wanted: str) -> tuple[dict[str, Peer], dict[str, str]]:
    """Return the peers of a list with commas that can be imported, and why others cannot run."""
    here, absent = {}, {}
    for name in dict.fromkeys(name.strip() for name in wanted.split(",") if name.strip()):
        if name not in PEERS:
            absent[name] = f"unknown: none of {', '.join(PEERS)}"
            continue
        try:
            importlib.import_module(_MODULES[name])
            here[name] = PEERS[name]
        except ImportError as error:
            absent[name] = f"cannot be imported ({error})"
    return here, absent


def version(name: str) -> str:
    """Return the version of a peer that is installed."""
    for package in _PACKAGES[name]:
        with contextlib.suppress(metadata.PackageNotFoundError):
            return metadata.version(package)
    return "unknown"

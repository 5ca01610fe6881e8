"""Twenty fits whose bits are promised: ``python -m tests.golden`` writes `golden.json` anew.

The file changes only together with a line in CHANGELOG.md that names its digest, so that nobody's
results change unseen (`test_golden`).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import kmeans_fast as kf

PATH = Path(__file__).parent / "golden.json"


def blobs(n: int, d: int, dtype: Any) -> np.ndarray:
    """Return points about a few places, from integers alone: the same on every machine."""
    rng = np.random.default_rng(n + d)
    places = rng.integers(-900, 900, (7, d))
    return ((places[rng.integers(7, size=n)] + rng.integers(-99, 99, (n, d))) / 64).astype(dtype)


def picture(h: int, w: int, c: int, dtype: Any = np.uint8) -> np.ndarray:
    """Return a picture with smooth parts and noise."""
    rng = np.random.default_rng(h * w * c)
    top = int(np.iinfo(dtype).max)
    y, x, channel = np.ogrid[:h, :w, :c]
    smooth = (x * (channel + 3) * top // (3 * w) + y * top // (2 * h)) % top
    return ((smooth + rng.integers(0, 12, (h, w, c))) % (top + 1)).astype(dtype)


def fits() -> dict[str, Callable[[], kf.KMeansResult]]:
    """Return the fits by name, to be run."""
    rgb, whole = picture(120, 160, 3), np.arange(120 * 160) % 5
    large, flat = picture(600, 700, 3), blobs(4000, 9, np.float32)
    low, plain = blobs(25_000, 3, np.float32), blobs(3000, 3, np.float64)
    tiles = kf.ColorHistogram.from_tiles([large[:250], large[250:]])
    return {
        "grey": lambda: kf.fit(picture(90, 80, 1), 5),
        "RGB": lambda: kf.fit(rgb, 16),
        "RGB, other seed": lambda: kf.fit(rgb, 16, random_state=7),
        "RGB, one cluster": lambda: kf.fit(rgb, 1),
        "RGB, 100 clusters": lambda: kf.fit(rgb, 100, tol=0),
        "RGB, random starts": lambda: kf.fit(rgb, 9, init="random", n_init=3),
        "RGB, start given": lambda: kf.fit(rgb, 4, init=rgb[0, :4], max_iter=5),
        "RGB, whole weights": lambda: kf.fit(rgb, 8, sample_weight=whole),
        "RGB, fractional weights": lambda: kf.fit(rgb, 8, sample_weight=whole / 3),
        "RGB, by table": lambda: kf.fit(large, 24),
        "RGB, in tiles": lambda: kf.fit(tiles, 24),
        "RGBA": lambda: kf.fit(picture(70, 90, 4), 12),
        "16 bits, grey": lambda: kf.fit(picture(90, 80, 1, np.uint16), 6),
        "16 bits, RGB": lambda: kf.fit(picture(90, 80, 3, np.uint16), 6),
        "floats, few dimensions": lambda: kf.fit(low, 150),
        "floats, few dimensions, random": lambda: kf.fit(low, 150, init="random", max_iter=4),
        "floats": lambda: kf.fit(flat, 30),
        "floats, whole weights": lambda: kf.fit(flat, 7, sample_weight=np.arange(4000) % 4),
        "floats, fractional weights": lambda: kf.fit(plain, 7, sample_weight=np.arange(3000) / 7),
        "floats, empty clusters": lambda: kf.fit(plain, 6, init=np.full((6, 3), 1e4) + plain[:6]),
    }


def digest(result: kf.KMeansResult) -> str:
    """Return the hash of all that a fit promises."""
    hashed = hashlib.sha256()
    for array in (result.centroids, result.labels, result.counts):
        hashed.update(str((array.shape, array.dtype.str)).encode())
        hashed.update(np.ascontiguousarray(array).tobytes())
    hashed.update(repr((result.inertia, result.n_iter, result.converged)).encode())
    return hashed.hexdigest()[:32]


def main(names: list[str]) -> None:
    """Print the digests of some fits, as JSON; or write the file, and say what is to be named."""
    all_fits = fits()
    found = {name: digest(all_fits[name]()) for name in names or all_fits}
    if names:
        print(json.dumps(found))
        return
    PATH.write_text(json.dumps(found, indent=1) + "\n")
    print(f"golden {digest_of_file()}: give it a line in CHANGELOG.md that says what changed, why")


def digest_of_file() -> str:
    """Return what CHANGELOG.md has to name."""
    return hashlib.sha256(PATH.read_bytes()).hexdigest()[:12]


if __name__ == "__main__":
    main(sys.argv[1:])

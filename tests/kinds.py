"""The kinds of arguments that kernels are ready for: ``python -m tests.kinds`` writes them anew.

What people do every day is done here, once with each type; the kinds that kernels are called with
meanwhile go to `kmeans_fast/kernels/kinds.txt`, of which the pack is built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import kmeans_fast as kf
from kmeans_fast.kernels import _jit
from kmeans_fast.kernels._kinds import name_kind

PATH = Path(_jit.__file__).parent / "kinds.txt"
HEAD = "# What the pack is built of (`_kinds` says how to read it): written by tests/kinds.py\n"

Do = Callable[[], Any]


def noise(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """Return a picture of as many colours as can be."""
    top = int(np.iinfo(dtype).max)
    return np.random.default_rng(0).integers(0, top, shape, dtype, endpoint=True)


def blobs(n: int, d: int, dtype: Any) -> np.ndarray:
    """Return points about many places."""
    rng = np.random.default_rng(0)
    places = rng.uniform(-1, 1, (400, d))
    return (places[rng.integers(400, size=n)] + rng.normal(0, 0.02, (n, d))).astype(dtype)


def pictures() -> Iterator[Do]:
    """Yield fits of pictures: few pixels are sorted, many are counted in a table."""
    for dtype, n_channels in product((np.uint8, np.uint16), (1, 2, 3, 4)):
        small, large = (noise((side, side, n_channels), dtype) for side in (40, 600))
        weights = np.arange(small.shape[0] * small.shape[1])
        for image in (small, large):
            yield lambda x=image: kf.fit(x, 3, max_iter=3)
            yield lambda x=image: kf.fit(x, 300, max_iter=3) if len(np.unique(x)) > 300 else None
        yield lambda x=small: kf.fit(x, 4, init=np.full((4, x.shape[2]), 1e6), max_iter=2)
        yield lambda x=small: kf.fit(x, 3, init="random", n_init=2, max_iter=3)
        yield lambda x=small, w=weights: kf.fit(x, 3, sample_weight=w % 5, max_iter=3)
        yield lambda x=small, w=weights: kf.fit(x, 3, sample_weight=w / 7, max_iter=3)
        yield lambda x=large: kf.assign(x, x[0, :3])
        if (dtype, n_channels) != (np.uint16, 4):  # whose colours are not counted
            yield lambda x=large: kf.fit(kf.ColorHistogram.from_tiles([x[:300], x[300:]]), 3)
            yield lambda x=small: kf.fit(x, 8, refine=2, max_iter=2)
        yield lambda x=small: kf.sweep(x, [2, 3], max_iter=2)
        yield lambda x=large: kf.means(x, np.zeros(x.shape[:2], int), 1)
    rgb = noise((600, 600, 3), np.uint8)
    yield lambda: kf.fit(rgb, 70_000, init="random", max_iter=1)
    smooth = (np.indices((300, 300)).sum(axis=0)[..., None] // [3, 4, 5]).astype(np.uint8)
    for x, k in product((rgb[:30, :30], rgb, smooth), (3, 120, 300)):
        yield lambda x=x, k=k: kf.fit(x, k, space="oklab", max_iter=5)
    yield lambda: kf.quantize(rgb, 300, max_iter=2)
    yield lambda: kf.quantize(rgb, 3, medoids=True, max_iter=2)
    for dither in ("floyd-steinberg", "blue-noise"):
        yield lambda name=dither: kf.quantize(rgb, 3, max_iter=2, dither=name)
    yield lambda: kf.palette(noise((40, 40, 3), np.uint16), 3, max_iter=2)


def arrays() -> Iterator[Do]:
    """Yield fits of floats: in one to four dimensions those of many points go into a tree."""
    for dtype, d in product((np.float32, np.float64), (1, 2, 3, 4, 8, 40)):
        few, many = blobs(900, d, dtype), blobs(30_000, d, dtype)
        weights = np.arange(900)
        wide = few * np.logspace(0, 9, 900)[:, None].astype(dtype)
        for x, k in product((few, many), (3, 120, 300)):
            yield lambda x=x, k=k: kf.fit(x, k, max_iter=4)
        yield lambda x=many: kf.fit(x, 40, init="random", n_init=2, max_iter=2)
        yield lambda x=many: kf.assign(x, x[:5])
        yield lambda x=many: kf.means(x, np.arange(30_000) % 3, 3)
        yield lambda x=few: kf.fit(np.repeat(x[:5], 50, axis=0), 5)
        yield lambda x=few: kf.fit(x, 4, init=np.full((4, x.shape[1]), 1e4) + x[:4], max_iter=3)
        for x in (few, wide):
            yield lambda x=x, w=weights: kf.fit(x, 20, sample_weight=w % 5, max_iter=4)
            yield lambda x=x, w=weights: kf.fit(x, 20, sample_weight=w / 7, max_iter=4)
            yield lambda x=x: kf.fit(x, 20, max_iter=4)
    for dtype in (np.int16, np.uint16):
        whole = (300 + 200 * blobs(30_000, 6, np.float32)).astype(dtype)
        for x, k in product((whole[:900], whole), (3, 120, 300)):
            yield lambda x=x, k=k: kf.fit(x, k, max_iter=4)
        yield lambda x=whole: kf.fit(x, 40, init="random", n_init=2, max_iter=2)
        yield lambda x=whole: kf.assign(x, x[:5])
        yield lambda x=whole: kf.means(x, np.arange(30_000) % 3, 3)
        yield lambda x=whole: kf.fit(np.repeat(x[:5], 50, axis=0), 5)
        yield lambda x=whole: kf.fit(x, 4, init=np.full((4, 6), 1e4) + x[:4], max_iter=3)


@contextmanager
def recording() -> Iterator[set[str]]:
    """Yield a set that the kinds of arguments go to that kernels are called with meanwhile."""
    kinds, call = set(), _jit.Kernel.__call__

    def note(kernel: _jit.Kernel, *arguments: Any) -> Any:
        kinds.add(name_kind(kernel.name, arguments))
        return call(kernel, *arguments)

    _jit.Kernel.__call__ = note  # type: ignore[method-assign]
    try:
        yield kinds
    finally:
        _jit.Kernel.__call__ = call  # type: ignore[method-assign]


def record() -> set[str]:
    """Do it all, and return the kinds of arguments that kernels were called with."""
    with recording() as kinds:
        for do in (*pictures(), *arrays()):
            do()
    return kinds


if __name__ == "__main__":
    PATH.write_text(HEAD + "".join(f"{kind}\n" for kind in sorted(record())), encoding="utf-8")

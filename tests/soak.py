"""Everything at random, for minutes: ``python -m tests.soak --minutes 3 --seed 0``.

Fits of many kinds, each checked against the reference or against itself on one thread, mixed with
faults: bad input, errors in callbacks, Ctrl-C, no memory, damaged files, many callers at once. One
line says in the end how much was done, and what memory was held at the start and at the end.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import gc
import io
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np

import kmeans_fast as kf
from kmeans_fast.points.colors import ColorPoints
from kmeans_fast.points.dense_part import DensePart

from . import naive

KINDS = [
    (np.uint8, 1), (np.uint8, 3), (np.uint8, 4), (np.uint16, 1), (np.uint16, 3), (np.int16, 5),
    (np.float32, 3), (np.float32, 9), (np.float64, 2), (np.float64, 9),
]  # fmt: skip
# Turns before memory is looked at: until then kernels of rare kinds are still being loaded.
WARM = 1000


def expect(true: bool, what: str) -> None:
    """Stop where an answer is wrong."""
    if not true:
        raise AssertionError(what)


class Soak:
    """The turns, each drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.done: collections.Counter[str] = collections.Counter()
        self.turns = [
            self.fit_beside_the_reference, self.fit_on_threads, self.assign_beside_brute_force,
            self.count_in_tiles, self.many_callers, self.bad_input, self.error_in_a_callback,
            self.ctrl_c, self.no_memory, self.files,
        ]  # fmt: skip

    def turn(self, work: Callable[[], None] | None = None) -> None:
        """Take one turn, this or any."""
        work = work or self.turns[self.rng.integers(len(self.turns))]
        work()
        self.done[work.__name__] += 1

    def points(self, n: int) -> np.ndarray:
        """Return points of some kind, with copies and ties among them."""
        dtype, d = KINDS[self.rng.integers(len(KINDS))]
        places = self.rng.integers(0, 100, (int(self.rng.integers(1, 20)), d))
        spread = self.rng.integers(0, 12, (n, d))
        return (places[self.rng.integers(len(places), size=n)] + spread).astype(dtype)

    def large(self) -> np.ndarray:
        """Return enough points for threads, tables and trees."""
        return self.points(int(self.rng.integers(25_000, 90_000)))

    def fit_beside_the_reference(self) -> None:
        """A few iterations, which the plain loop takes too."""
        n = int(self.rng.integers(1, 150))
        points = self.points(n)
        start = points[self.rng.integers(n, size=int(self.rng.integers(1, min(n, 8) + 1)))]
        expected = kf.reference.k_means(start.astype(float), points, 3)
        found = kf.k_means(start.astype(float), points, 3)
        expect(np.array_equal(found[0], expected[0]), "centroids are not the reference's")
        expect(np.array_equal(found[1], expected[1]), "labels are not the reference's")

    def fit_on_threads(self) -> None:
        """The same bits on one thread and on three."""
        points, k = self.large(), int(self.rng.integers(2, 150))
        seed = int(self.rng.integers(100))
        one, three = (kf.fit(points, k, max_iter=3, random_state=seed, n_threads=n) for n in (1, 3))
        expect(np.array_equal(one.centroids, three.centroids), "threads change centroids")
        expect(np.array_equal(one.labels, three.labels), "threads change labels")
        expect(one.inertia == three.inertia, "threads change the inertia")

    def assign_beside_brute_force(self) -> None:
        """Labels of points that have no centroid of their own."""
        points = self.points(int(self.rng.integers(1, 9000)))
        centroids = self.rng.uniform(-5, 110, (int(self.rng.integers(1, 40)), points.shape[1]))
        labels = kf.assign(points, centroids)
        expect(np.array_equal(labels, naive.assign(points, centroids)), "labels are not nearest")

    def count_in_tiles(self) -> None:
        """A histogram of tiles is that of the whole, also through a file."""
        picture = self.rng.integers(0, 60, (int(self.rng.integers(9, 900)), 300, 3), np.uint8)
        cuts = np.sort(self.rng.integers(1, len(picture), 3))
        whole, tiles = kf.ColorHistogram(picture), kf.ColorHistogram()
        for tile in np.split(picture, cuts):
            if len(tile):
                tiles.update(tile)
        with tempfile.TemporaryDirectory() as folder:
            tiles.save(Path(folder) / "colors.npz")
            expect(kf.ColorHistogram.load(Path(folder) / "colors.npz") == whole, "tiles differ")

    def many_callers(self) -> None:
        """Four threads of Python's at once."""
        works = [(self.large(), int(k)) for k in self.rng.integers(2, 40, 4)]
        alone = [kf.fit(points, k, max_iter=2).inertia for points, k in works]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(lambda one: kf.fit(*one, max_iter=2).inertia, works))
        expect(alone == together, "callers disturb each other")

    def bad_input(self) -> None:
        """What cannot be clustered is refused."""
        bad = self.points(50).astype(float)
        bad[7, 0] = np.nan
        for data, k in ((bad, 3), (bad[:0], 1), (bad[:7], 8), ("photo.jpg", 2), (bad * 1j, 2)):
            try:
                kf.fit(data, k)
            except (TypeError, ValueError):
                continue
            expect(False, "bad input was taken")

    def _interrupted(self, error: type[BaseException], fail: Callable[..., object]) -> None:
        points = self.large()
        try:
            kf.fit(points, 5, init=points[:5], callback=fail)
        except error:
            return
        expect(False, "an error was lost")

    def error_in_a_callback(self) -> None:
        """It comes out."""

        def fail(_: object) -> None:
            raise ZeroDivisionError

        self._interrupted(ZeroDivisionError, fail)

    def ctrl_c(self) -> None:
        """It comes out, amid a fit."""
        self._interrupted(KeyboardInterrupt, lambda _: signal.raise_signal(signal.SIGINT))

    def no_memory(self) -> None:
        """An allocation that fails within comes out."""
        with (
            mock.patch.object(DensePart, "_assign_to", side_effect=MemoryError),
            mock.patch.object(ColorPoints, "_build_tree", side_effect=MemoryError),
        ):
            self._interrupted(MemoryError, lambda _: None)

    def files(self) -> None:
        """A picture goes through a file; with a byte changed it is read, or refused."""
        picture = self.rng.integers(0, 250, (40, 50, 3), np.uint8)
        file = io.BytesIO()
        kf.quantize(picture, 7).save(file, ("PNG", "TIFF", "GIF")[self.rng.integers(3)])
        data = bytearray(file.getvalue())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "picture"
            path.write_bytes(data)
            colors = {tuple(color) for color in kf.open_image(path).reshape(-1, 3).tolist()}
            expect(len(colors) <= 7, "a picture came back with more colours")
            data[self.rng.integers(len(data))] ^= 1 << self.rng.integers(8)
            path.write_bytes(data[: self.rng.integers(1, len(data) + 1)])
            try:
                kf.open_image(path, max_pixels=10**6)
            except (OSError, ValueError):
                pass


def held() -> int:
    """Return the resident memory in bytes, without what is free already (Linux; elsewhere 0)."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # the C library keeps what was freed
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))


def main(arguments: list[str] | None = None) -> int:
    """Soak; return 1 where an answer was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    options = parser.parse_args(arguments)
    soak, n, before = Soak(options.seed), 0, 0
    first = soak.turns[::-1]
    end = time.monotonic() + 60 * options.minutes
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # Warnings are many: of few distinct points, and Pillow's of damaged files.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            while time.monotonic() < end or n <= WARM:
                if n == WARM:
                    before = held()
                soak.turn(first.pop() if first else None)
                n += 1
    except AssertionError as error:
        print(f"seed {options.seed}, turn {n}: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, handler)
    faults = ("bad_input", "error_in_a_callback", "ctrl_c", "no_memory", "files")
    after = held()
    print(
        f"{n} turns, all right; faults injected: {sum(soak.done[name] for name in faults)}; "
        f"memory {before / 1e6:.1f} MB at the start, {after / 1e6:.1f} MB at the end "
        f"({(after - before) / 1e6:+.1f} MB)"
    )
    for name, times in sorted(soak.done.items()):
        print(f"  {times:6} {name.replace('_', ' ')}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

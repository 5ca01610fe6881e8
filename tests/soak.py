"""Everything at random, for minutes: ``python -m tests.soak --minutes 3 --seed 0``.

Fits of many kinds, each checked against the reference or against itself on one thread, mixed with
faults: bad input, numbers at their ends, errors in callbacks, Ctrl-C, no memory, hostile files by
the command line, forked children, a damaged kernel cache, many callers at once. One line says in
the end how much was done, and what memory was held at the start and at the end.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import ctypes
import gc
import io
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np

import kmeans_fast as kf
from kmeans_fast.colors.points import ColorPoints
from kmeans_fast.dense.part import DensePart

from . import hostile, naive

KINDS = [
    (np.uint8, 1), (np.uint8, 3), (np.uint8, 4), (np.uint16, 1), (np.uint16, 3), (np.int16, 5),
    (np.float32, 3), (np.float32, 9), (np.float64, 2), (np.float64, 9),
]  # fmt: skip
# Turns before memory is looked at: until then kernels of rare kinds are still being loaded.
WARM = 1000
# Turns that start processes, and how often each is drawn where others are drawn once.
RARE = {"fork": 0.1, "damaged_cache": 0.02}
SMALL_FIT = """
import numpy as np
import kmeans_fast as kf
rows = np.arange(64, dtype=np.uint8).reshape(8, 8)
print(kf.fit(rows * rows, 3).inertia.hex())
"""


def expect(true: bool, what: str) -> None:
    """Stop where an answer is wrong."""
    if not true:
        raise AssertionError(what)


class Soak:
    """The turns, each drawn from one seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = np.random.default_rng(seed)
        self.folder = folder
        self.kinds = KINDS
        self.seeds = sorted(hostile.seeds().items())
        self.done: collections.Counter[str] = collections.Counter()
        self.turns = [
            self.fit_beside_the_reference, self.numbers_at_their_ends, self.fit_on_threads,
            self.assign_beside_brute_force, self.count_in_tiles, self.many_callers, self.bad_input,
            self.errors_amid_a_fit, self.hostile_file, self.fork, self.damaged_cache,
        ]  # fmt: skip
        odds = np.array([RARE.get(turn.__name__, 1.0) for turn in self.turns])
        self.odds = odds / odds.sum()

    def turn(self, work: Callable[[], None] | None = None) -> None:
        """Take one turn, this or any."""
        work = work or self.turns[self.rng.choice(len(self.turns), p=self.odds)]
        work()
        self.done[work.__name__] += 1

    def every_kind(self) -> Iterator[Callable[[], None]]:
        """Yield each turn with each kind of points."""
        for self.kinds in [[kind] for kind in KINDS]:
            yield from self.turns
        self.kinds = KINDS

    def points(self, n: int) -> np.ndarray:
        """Return points of some kind, with copies and ties among them."""
        dtype, d = self.kinds[self.rng.integers(len(self.kinds))]
        places = self.rng.integers(0, 100, (int(self.rng.integers(1, 20)), d))
        spread = self.rng.integers(0, 12, (n, d))
        return (places[self.rng.integers(len(places), size=n)] + spread).astype(dtype)

    def large(self) -> np.ndarray:
        """Return enough points for threads, tables and trees."""
        return self.points(int(self.rng.integers(25_000, 90_000)))

    def beside_the_reference(self, points: np.ndarray) -> None:
        """A few iterations, which the plain loop takes too."""
        n = len(points)
        start = points[self.rng.integers(n, size=int(self.rng.integers(1, min(n, 8) + 1)))]
        expected = kf.reference.k_means(start.astype(float), points, 3)
        found = kf.k_means(start.astype(float), points, 3)
        expect(np.array_equal(found[0], expected[0]), "centroids are not the reference's")
        expect(np.array_equal(found[1], expected[1]), "labels are not the reference's")

    def fit_beside_the_reference(self) -> None:
        """Of points of any kind."""
        self.beside_the_reference(self.points(int(self.rng.integers(1, 150))))

    def numbers_at_their_ends(self) -> None:
        """Great and tiny, far from zero, with zeros of both signs."""
        n, d = int(self.rng.integers(1, 80)), (2, 9)[self.rng.integers(2)]
        points = self.rng.integers(0, 12, (n, d)).astype(float)
        points *= 10.0 ** self.rng.integers(-160, 140)
        points += self.rng.choice([0.0, points.max() * 10.0 ** self.rng.integers(0, 10)])
        points[self.rng.random(points.shape) < 0.1] = -0.0
        self.beside_the_reference(points)

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
        """Eight threads of Python's at once, which fit, assign and count."""
        picture = self.rng.integers(0, 60, (200, 300, 3), np.uint8)
        histogram, points, few = kf.ColorHistogram(), self.large(), self.large()
        works: list[Callable[[], object]] = [
            lambda: kf.fit(points, 20, max_iter=2).inertia,
            lambda: kf.fit(picture, 5, max_iter=2).inertia,
            lambda: kf.assign(few, few[:9].astype(float)).tobytes(),
            lambda: histogram.update(picture) is histogram,
        ] * 2
        alone = [work() for work in works]
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(lambda work: work(), works))
        expect(alone == together, "callers disturb each other")
        expect(histogram.n_pixels == 4 * 200 * 300, "pixels were lost")

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

    def errors_amid_a_fit(self) -> None:
        """An error in a callback, Ctrl-C and an allocation that fails come out."""

        def fail(_: object) -> None:
            raise ZeroDivisionError

        points = self.large()
        no_memory = (
            mock.patch.object(DensePart, "_assign_to", side_effect=MemoryError),
            mock.patch.object(ColorPoints, "_build_tree", side_effect=MemoryError),
        )
        for error, callback, patches in (
            (ZeroDivisionError, fail, ()),
            (KeyboardInterrupt, lambda _: signal.raise_signal(signal.SIGINT), ()),
            (MemoryError, None, no_memory),
        ):
            with contextlib.ExitStack() as stack:
                for patch in patches:
                    stack.enter_context(patch)
                try:
                    kf.fit(points, 5, init=points[:5], callback=callback)
                except error:
                    continue
            expect(False, f"a {error.__name__} was lost")

    def hostile_file(self) -> None:
        """A file of any kind, damaged, through the command line."""
        kind, data = self.seeds[self.rng.integers(len(self.seeds))]
        command = hostile.COMMANDS[self.rng.integers(len(hostile.COMMANDS))]
        data = hostile.mutate(random.Random(int(self.rng.integers(2**32))), data)
        with tempfile.TemporaryDirectory() as folder:
            try:
                hostile.check(data, command, Path(folder))
            except Exception as error:
                raise AssertionError(f"{kind}, {command}: {error!r}") from error

    def fork(self) -> None:
        """A child fits what its parent has fitted."""
        if not hasattr(os, "fork"):
            return
        points = self.large()
        expected = kf.fit(points, 4, max_iter=2, n_threads=2).inertia
        child = os.fork()
        if not child:
            try:
                os._exit(kf.fit(points, 4, max_iter=2, n_threads=2).inertia != expected)
            finally:
                os._exit(2)
        expect(os.waitpid(child, 0)[1] == 0, "a child's fit is not its parent's")

    def damaged_cache(self) -> None:
        """A new process finds one of its kernels' files cut, emptied, overwritten or gone."""
        cache = self.folder / "cache"
        kept = [path for path in sorted(cache.rglob("*")) if path.suffix in (".nbi", ".nbc")]
        if kept:
            path = kept[self.rng.integers(len(kept))]
            data = path.read_bytes()
            damaged = (data[: len(data) // 2], b"", b"garbage", None)[self.rng.integers(4)]
            path.unlink() if damaged is None else path.write_bytes(damaged)
        here = {"NUMBA_CACHE_DIR": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", SMALL_FIT],
            env=os.environ | here, capture_output=True, text=True,
        )  # fmt: skip
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(SMALL_FIT, {})
        expect(done.stdout == said.getvalue(), f"a damaged cache: {done.stderr}")


def give_back_at_once() -> None:
    """Have the C library (glibc) give arrays back when they are freed.

    By itself it keeps what it thinks will be asked for again, in each thread's own store: up to
    ten megabytes more after some thousand fits, which would hide a leak of as much.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(-3, 2**16)  # M_MMAP_THRESHOLD


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
    n, before = 0, 0
    end = time.monotonic() + 60 * options.minutes
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # Warnings are many: of few distinct points, and Pillow's of damaged files.
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")
            soak = Soak(options.seed, Path(folder))
            first = soak.every_kind()
            while time.monotonic() < end or n <= WARM:
                if n == WARM:
                    before = held()
                soak.turn(next(first, None))
                n += 1
    except AssertionError as error:
        print(f"seed {options.seed}, turn {n}: {error}", file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGINT, handler)
    faults = ("bad_input", "errors_amid_a_fit", "hostile_file", "damaged_cache")
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
    give_back_at_once()
    sys.exit(main())

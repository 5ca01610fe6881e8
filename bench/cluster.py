"""What a fit costs with Dask, and what one on a large cluster would: ``python -m bench cluster``.

Three things are measured here: the rates of one worker with one thread, on chunks of 16.8
megapixels; what Dask adds to a fit of 100 megapixels, on the same cores; and an iteration over
floats in chunks. `plan` works out a trillion pixels from that, with the arithmetic shown.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

import kmeans_fast as kf
from kmeans_fast.threads import default_threads

from . import pictures, records
from .measure import Setting, expect, progress
from .records import Record, number

SIDE, K = 4096, 16
MEGAPIXELS, CHUNK = 100, 2500  # of the array, and the side of its chunks
POINTS, FEATURES, ITERATIONS = 8_000_000, 8, 10
MOST_OVERHEAD = 2.0
# The plan: pixels, workers, and what we take a worker's disk and network to do, bytes a second.
PIXELS, WORKERS, READING, NETWORK = 10**12, 100, 250e6, 1e9


def seconds(work: Callable[[], Any], rounds: int) -> float:
    """Return the median time."""
    taken = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


def tiled(side: int) -> pictures.Picture:
    """Return a square picture: a photograph's colours, in eight lights."""
    base = pictures.photograph(4)
    height, width = base.shape[:2]
    whole = np.empty((side, side, 3), np.uint8)
    light = 0
    for top in range(0, side, height):
        for left in range(0, side, width):
            part = whole[top : top + height, left : left + width]
            part[:] = np.maximum(base[: part.shape[0], : part.shape[1]], light % 8) - light % 8
            light += 1
    return whole


def measure_worker(side: int, rounds: int) -> Record:
    """Return the rates of one thread."""
    from kmeans_fast.data import dask as on_dask

    chunk = tiled(side)
    other = np.minimum(chunk, 254) + np.uint8(1)

    def count(pixels: pictures.Picture) -> on_dask.Counted:
        return on_dask._count(pixels, pixels.dtype, pixels.shape, None, 1.0, 1)

    one, two = count(chunk), count(other)
    histogram = kf.ColorHistogram(chunk)
    result = kf.fit(histogram, K)
    labels = np.empty(chunk.shape[:2], np.uint8)
    result.predict(chunk, out=labels, n_threads=1)
    return {
        "pixels": chunk.shape[0] * chunk.shape[1],
        "colors": int(one.keys.size),
        "bytes": int(one.keys.nbytes + one.limbs.nbytes),
        "merged": int(on_dask._merge_counted([one, two]).keys.size),
        "seconds": {
            "count": seconds(lambda: count(chunk), rounds),
            "merge": seconds(lambda: on_dask._merge_counted([one, two]), rounds),
            "fit": seconds(lambda: kf.fit(histogram, K), rounds),
            "label": seconds(lambda: result.predict(chunk, out=labels, n_threads=1), rounds),
        },
    }


def _nothing(number: int) -> int:
    return number


def measure_overhead(side: int, chunk: int, points: int, rounds: int) -> Record:
    """Return the times of fits, local and with Dask, in turn."""
    import dask
    import dask.array as da
    from distributed import Client, LocalCluster, wait

    image = tiled(side)
    rng = np.random.default_rng(0)
    floats = rng.normal(size=(points, FEATURES)).astype(np.float32)
    floats += 6 * rng.integers(0, 3, (points, 1)).astype(np.float32)
    start = floats[:K].astype(np.float64)
    out = np.empty(image.shape[:2], np.uint8)
    ten = {"init": start, "max_iter": ITERATIONS, "tol": 0.0}
    in_chunks = da.from_array(image, chunks=(chunk, chunk, 3))
    rows = da.from_array(floats, chunks=(-(-points // 8), FEATURES))
    times: dict[str, list[float]] = {}
    answers: dict[str, Any] = {}

    def run(name: str, work: Callable[[], Any]) -> None:
        begun = time.perf_counter()
        answers[name] = work()
        times.setdefault(name, []).append(time.perf_counter() - begun)

    def with_threads(work: Callable[[], Any]) -> Any:
        with dask.config.set(scheduler="threads", num_workers=default_threads()):
            return work()

    def fit_here() -> kf.KMeansResult:
        return kf.fit(image, K)

    def fit_in_chunks(data: Any) -> kf.KMeansResult:
        result = kf.fit(data, K)
        labels = result.labels.persist()
        wait(labels)
        return result

    def fit_by_threads() -> kf.KMeansResult:
        result = kf.fit(in_chunks, K)
        da.store(result.labels, out, lock=False)
        return result

    logging.getLogger("distributed").setLevel(logging.ERROR)
    with (
        warnings.catch_warnings(),
        LocalCluster(
            n_workers=default_threads(), threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        warnings.simplefilter("ignore")  # of a large graph: the data are sent once, to begin with
        on_workers, rows_on_workers = in_chunks.persist(), rows.persist()
        wait([on_workers, rows_on_workers])
        for _ in range(rounds + 1):
            run("local", fit_here)
            run("threads", lambda: with_threads(fit_by_threads))
            run("cluster", lambda: fit_in_chunks(on_workers))
            run("floats, local", lambda: kf.fit(floats, K, **ten))
            run("floats, threads", lambda: with_threads(lambda: kf.fit(rows, K, **ten)))
            run("floats, cluster", lambda: kf.fit(rows_on_workers, K, **ten))
        n_tasks = 2000
        begun = time.perf_counter()
        client.gather(client.map(_nothing, range(n_tasks), pure=False))
        task = (time.perf_counter() - begun) / n_tasks
    for kind in ("", "floats, "):
        for name in ("threads", "cluster"):
            same = np.array_equal(
                answers[f"{kind}{name}"].centroids, answers[f"{kind}local"].centroids
            )
            expect(same, f"{kind}{name} does not have the bits of the local fit")
    expect(np.array_equal(out, answers["local"].labels), "labels differ")
    return {
        "pixels": side * side,
        "chunks": in_chunks.npartitions,
        "points": points,
        "task": task,
        # The first of each compiles, or reads from the cache.
        "seconds": {name: statistics.median(each[1:]) for name, each in times.items()},
    }


def plan(worker: Record, overhead: Record) -> str:
    """Return the cost of a fit of PIXELS pixels on WORKERS workers, worked out."""
    each, took = worker["pixels"], worker["seconds"]
    chunks = -(-PIXELS // each)
    tasks = round(chunks * (2 + 1 / 7))  # to count, to label, and a merge for every seven
    held = worker["bytes"]
    rows = [
        (
            "read the pixels, twice",
            f"2 x {PIXELS * 3 / 1e12:.0f} TB / ({WORKERS} x {READING / 1e6:.0f} MB/s)",
            2 * PIXELS * 3 / WORKERS / READING,
        ),
        (
            "count chunks",
            f"{chunks:,} x {took['count'] * 1e3:.0f} ms / {WORKERS}",
            chunks * took["count"] / WORKERS,
        ),
        (
            "merge histograms",
            f"{chunks:,} x {took['merge'] * 1e3:.1f} ms / {WORKERS}",
            chunks * took["merge"] / WORKERS,
        ),
        (
            "send histograms between workers",
            f"{chunks:,} x 8/7 x {held / 1e6:.1f} MB / ({WORKERS} x {NETWORK / 1e9:.0f} GB/s)",
            chunks * 8 / 7 * held / WORKERS / NETWORK,
        ),
        (
            "schedule tasks, one after the other",
            f"{chunks:,} x (2 + 1/7) x {overhead['task'] * 1e3:.2f} ms",
            tasks * overhead["task"],
        ),
        ("fit the histogram, on the client", f"{took['fit'] * 1e3:.0f} ms", took["fit"]),
        (
            "label chunks",
            f"{chunks:,} x {took['label'] * 1e3:.0f} ms / {WORKERS}",
            chunks * took["label"] / WORKERS,
        ),
    ]
    lines = ["| what | arithmetic | seconds |", "|---|---|---|"]
    lines += [f"| {what} | {how} | {number(time_of)} |" for what, how, time_of in rows]
    total = sum(time_of for *_, time_of in rows)
    slowest = max(rows, key=lambda row: row[2])
    lines.append(f"| **one after the other** | | **{number(total)}** |")
    return "\n".join(lines) + (
        f"\n\nThe bottleneck: to {slowest[0]} ({slowest[2] / total:.0%}). What comes to the client "
        f"is one histogram: {held / 1e6:.1f} MB for the {worker['colors']:,} colours here, and "
        f"never more than {2**24 * 12 / 1e6:.0f} MB for 8-bit RGB, all of whose colours it then "
        f"holds. What goes out is K x 3 numbers."
    )


def as_markdown(record: Record) -> str:
    """Return the tables and the plan."""
    worker, overhead = record["worker"], record["overhead"]
    took, times = worker["seconds"], overhead["seconds"]
    pixels = worker["pixels"]
    lines = [
        "**One worker, one thread, a chunk of "
        f"{pixels / 1e6:.1f} megapixels with {worker['colors']:,} colours**",
        "",
        "| what | ms | megapixels a second |",
        "|---|---|---|",
        f"| count its colours | {number(took['count'] * 1e3)} "
        f"| {number(pixels / took['count'] / 1e6)} |",
        f"| merge two histograms ({worker['merged']:,} colours in the end) "
        f"| {number(took['merge'] * 1e3)} | |",
        f"| label | {number(took['label'] * 1e3)} | {number(pixels / took['label'] / 1e6)} |",
        "",
        f"**{overhead['pixels'] / 1e6:.0f} megapixels in {overhead['chunks']} chunks, K = {K}, "
        "k-means++ to convergence, and labels**",
        "",
        "| how | ms | times the local fit |",
        "|---|---|---|",
    ]
    for name, what in (
        ("local", "`kf.fit(array)`, all threads"),
        ("threads", "Dask's threads"),
        ("cluster", "`LocalCluster`: a process a core, one thread each"),
    ):
        ratio = times[name] / times["local"]
        held = "" if name == "local" else " (at most 2: reached)"
        if ratio > MOST_OVERHEAD:
            held = " (at most 2: MISSED)"
        lines.append(f"| {what} | {number(times[name] * 1e3)} | {number(ratio)}{held} |")
    lines += [
        "",
        f"**{overhead['points']:,} x {FEATURES} float32, K = {K}, {ITERATIONS} iterations from the "
        "same start**",
        "",
        "| how | ms | times the local fit |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {number(times[f'floats, {name}'] * 1e3)} "
        f"| {number(times[f'floats, {name}'] / times['floats, local'])} |"
        for name in ("local", "threads", "cluster")
    ]
    lines += [
        "",
        f"**{PIXELS:.0e} pixels of 8-bit RGB on {WORKERS} workers with one thread each**".replace(
            "1e+12", "10^12"
        ),
        "",
        plan(worker, overhead),
        "",
        f"Measured by `python -m bench cluster` ({records.about(record)}), {record['rounds']} "
        "rounds, medians; the worker's disk and network are assumptions, and stand in the table.",
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to try the script")
    parser.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--out", type=Path, help="default: bench/results/cluster.json")
    options = parser.parse_args(arguments)
    path = options.out or (None if options.quick else records.RESULTS / "cluster.json")
    record = records.describe(Setting({}, rounds=options.rounds), {}, None)
    record["versions"] |= {name: metadata.version(name) for name in ("dask", "distributed")}
    progress("the rates of a worker")
    record["worker"] = measure_worker(512 if options.quick else SIDE, options.rounds)
    progress("with and without Dask")
    side = 600 if options.quick else round((MEGAPIXELS * 1e6) ** 0.5)
    points = 20_000 if options.quick else POINTS
    record["overhead"] = measure_overhead(
        side, side // 4 if options.quick else CHUNK, points, options.rounds
    )
    if path:
        records.save(path, record)
    print(as_markdown(record))
    return 0

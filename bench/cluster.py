"""What a fit costs with Dask, and what one on a large cluster would: ``python -m bench cluster``.

Three things are measured here: the rates of one worker with one thread, on chunks of 16.8
megapixels; what Dask adds to a fit of 100 megapixels, on the same cores; and an iteration over
floats in chunks. `plan` works out a trillion pixels from that, with the arithmetic shown.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from importlib import metadata
from statistics import median
from typing import Any

import numpy as np

import kmeans_fast as kf
from kmeans_fast.threads import default_threads

from . import lab, pictures
from .lab import RESULTS, Record
from .stages import find

SIDE, K = 4096, 16
MEGAPIXELS, CHUNK = 100, 2500  # of the array, and the side of its chunks
POINTS, FEATURES, ITERATIONS = 8_000_000, 8, 10
MOST_OVERHEAD = 2.0
# The plan: pixels, workers, and what we take a worker's disk and network to do, bytes a second.
PIXELS, WORKERS, READING, NETWORK = 10**12, 100, 250e6, 1e9


def tiled(side: int) -> pictures.Picture:
    """Return a square picture: a photograph's colours, in eight lights."""
    base = pictures.photograph(4)
    times = [-(-side // length) for length in base.shape[:2]]
    whole = np.tile(base, (*times, 1))[:side, :side]
    dark = (np.arange(side) // 512 % 8).astype(np.uint8)[:, None, None]
    return np.maximum(whole, dark) - dark


def measure_worker(side: int, rounds: int) -> Record:
    """Return the rates of one thread."""
    (_, of_a_chunk), (_, merge) = find("data: _count"), find("data: _merge_counted")
    chunk = tiled(side)
    other = np.minimum(chunk, 254) + np.uint8(1)

    def count(pixels: pictures.Picture) -> Any:
        return of_a_chunk(pixels, pixels.dtype, pixels.shape, None, 1.0, 1)

    one, two = count(chunk), count(other)
    histogram = kf.ColorHistogram(chunk)
    result = kf.fit(histogram, K)
    labels = np.empty(chunk.shape[:2], np.uint8)
    works: dict[str, Callable[[], Any]] = {
        "count": lambda: count(chunk),
        "merge": lambda: merge([one, two]),
        "fit": lambda: kf.fit(histogram, K),
        "label": lambda: result.predict(chunk, out=labels, n_threads=1),
    }
    works["label"]()  # compiled, or loaded from the cache
    return {
        "pixels": chunk.shape[0] * chunk.shape[1],
        "colors": int(one.keys.size),
        "bytes": int(one.keys.nbytes + one.limbs.nbytes),
        "merged": int(merge([one, two]).keys.size),
        "seconds": {
            name: median(lab.timed(work)[0] for _ in range(rounds)) for name, work in works.items()
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
        taken, answers[name] = lab.timed(work)
        times.setdefault(name, []).append(taken)

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
            lab.expect(same, f"{kind}{name} does not have the bits of the local fit")
    lab.expect(np.array_equal(out, answers["local"].labels), "labels differ")
    return {
        "pixels": side * side,
        "chunks": in_chunks.npartitions,
        "points": points,
        "task": task,
        # The first of each compiles, or reads from the cache.
        "seconds": {name: median(each[1:]) for name, each in times.items()},
    }


def plan(worker: Record, overhead: Record) -> str:
    """Return the cost of a fit of PIXELS pixels on WORKERS workers, worked out."""
    each, took = worker["pixels"], worker["seconds"]
    chunks = -(-PIXELS // each)
    tasks = round(chunks * (2 + 1 / 7))  # to count, to label, and a merge for every seven
    held = worker["bytes"]
    read, sent = 2 * PIXELS * 3 / WORKERS / READING, chunks * 8 / 7 * held / WORKERS / NETWORK

    def by_chunk(what: str, digits: int = 0) -> tuple[str, float]:
        how = f"{chunks:,} x {took[what] * 1e3:.{digits}f} ms / {WORKERS}"
        return how, chunks * took[what] / WORKERS

    rows = {
        "read the pixels, twice": (
            f"2 x {PIXELS * 3 / 1e12:.0f} TB / ({WORKERS} x {READING / 1e6:.0f} MB/s)",
            read,
        ),
        "count chunks": by_chunk("count"),
        "merge histograms": by_chunk("merge", digits=1),
        "send histograms between workers": (
            f"{chunks:,} x 8/7 x {held / 1e6:.1f} MB / ({WORKERS} x {NETWORK / 1e9:.0f} GB/s)",
            sent,
        ),
        "schedule tasks, one after the other": (
            f"{chunks:,} x (2 + 1/7) x {overhead['task'] * 1e3:.2f} ms",
            tasks * overhead["task"],
        ),
        "fit the histogram, on the client": (f"{took['fit'] * 1e3:.0f} ms", took["fit"]),
        "label chunks": by_chunk("label"),
    }
    total = sum(seconds for _, seconds in rows.values())
    slowest = max(rows, key=lambda what: rows[what][1])
    shown = [[what, how, lab.number(seconds)] for what, (how, seconds) in rows.items()]
    shown.append(["**one after the other**", "", f"**{lab.number(total)}**"])
    return lab.in_columns(["what", "arithmetic", "seconds"], shown) + (
        f"\n\nThe bottleneck: to {slowest} ({rows[slowest][1] / total:.0%}). What comes to the "
        f"client is one histogram: {held / 1e6:.1f} MB for the {worker['colors']:,} colours here, "
        f"and never more than {2**24 * 12 / 1e6:.0f} MB for 8-bit RGB, all of whose colours it "
        f"then holds. What goes out is K x 3 numbers."
    )


def as_markdown(record: Record) -> str:
    """Return the tables and the plan."""
    worker, overhead = record["worker"], record["overhead"]
    took, times, pixels = worker["seconds"], overhead["seconds"], worker["pixels"]

    def a_second(what: str) -> list[str]:
        return [lab.number(took[what] * 1e3), lab.number(pixels / took[what] / 1e6)]

    def beside(name: str, local: str) -> list[str]:
        return [lab.number(times[name] * 1e3), lab.number(times[name] / times[local])]

    merged = f"merge two histograms ({worker['merged']:,} colours in the end)"
    of_worker = [
        ["count its colours", *a_second("count")],
        [merged, lab.number(took["merge"] * 1e3), ""],
        ["label", *a_second("label")],
    ]
    with_dask = [["`kf.fit(array)`, all threads", *beside("local", "local")]]
    for name, what in (
        ("threads", "Dask's threads"),
        ("cluster", "`LocalCluster`: a process a core, one thread each"),
    ):
        taken, ratio = beside(name, "local")
        met = "reached" if times[name] <= MOST_OVERHEAD * times["local"] else "MISSED"
        with_dask.append([what, taken, f"{ratio} (at most {MOST_OVERHEAD:g}: {met})"])
    of_floats = [
        [name, *beside(f"floats, {name}", "floats, local")]
        for name in ("local", "threads", "cluster")
    ]
    head = ["how", "ms", "times the local fit"]
    return "\n\n".join(
        [
            f"**One worker, one thread, a chunk of {pixels / 1e6:.1f} megapixels with "
            f"{worker['colors']:,} colours**",
            lab.in_columns(["what", "ms", "megapixels a second"], of_worker),
            f"**{overhead['pixels'] / 1e6:.0f} megapixels in {overhead['chunks']} chunks, K = {K}, "
            "k-means++ to convergence, and labels**",
            lab.in_columns(head, with_dask),
            f"**{overhead['points']:,} x {FEATURES} float32, K = {K}, {ITERATIONS} iterations from "
            "the same start**",
            lab.in_columns(head, of_floats),
            f"**10^{len(str(PIXELS)) - 1} pixels of 8-bit RGB on {WORKERS} workers with one thread "
            "each**",
            plan(worker, overhead),
            f"Medians of {record['rounds']} rounds; the worker's disk and network are assumptions, "
            f"and stand in the table. {lab.measured('cluster', record)}",
        ]
    ).replace("|  |", "| |")


def missed(record: Record) -> list[str]:
    """Return a line for each way over Dask that costs more than it is held to."""
    times = record["overhead"]["seconds"]
    return [
        f"Dask, {name}: {times[name] / times['local']:.3g} times the local fit (held to at most "
        f"{MOST_OVERHEAD:g})."
        for name in ("threads", "cluster")
        if times[name] > MOST_OVERHEAD * times["local"]
    ]


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = lab.parser_of("cluster", __doc__, rounds=3)
    options = parser.parse_args(arguments)
    path = options.out or (RESULTS / "cluster.json" if options.scale == 1 else None)
    _, record = lab.setting_of(parser, options)
    record["versions"] |= {name: metadata.version(name) for name in ("dask", "distributed")}
    lab.progress("the rates of a worker")
    root = options.scale**0.5  # of a side
    record["worker"] = measure_worker(round(SIDE * root), options.rounds)
    lab.progress("with and without Dask")
    side, points = round((MEGAPIXELS * 1e6) ** 0.5 * root), round(POINTS * options.scale)
    record["overhead"] = measure_overhead(side, round(CHUNK * root), points, options.rounds)
    lab.save(path, record)
    print(as_markdown(record))
    return 0

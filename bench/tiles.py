"""Pictures larger than memory, to a gigapixel: ``python -m bench tiles``.

A picture is made in code a tile at a time, counted, fitted (16 colours), made again and labelled,
each size in a new process. The time of making tiles stands apart, and the peak memory is all that
the process holds: Python, the tile, the colours and the tables. The labels of all tiles must add
up to the counts of the fit.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import kmeans_fast as kf
from kmeans_fast.threads import default_threads

from . import pictures, records
from .measure import Setting, child, expect, progress
from .pictures import Picture
from .records import Record, number

MEGAPIXELS = (100, 200, 500, 1000)
SIDE, K = 2048, 16
FLOORS = {"counting": 150, "labelling": 250}  # megapixels a second
MOST_MEMORY = 700  # MB


class Scene:
    """A picture that is made as it is read: one scene of a photograph, in eight lights in turn.

    It has all its colours before 100 megapixels, so that only what is read can need more memory.
    """

    def __init__(self, megapixels: float) -> None:
        self.side = SIDE if megapixels >= 20 else 256  # small ones try the script
        self.n_tiles = max(1, round(megapixels * 1e6 / self.side**2))
        photograph = pictures.photograph(1.6 * self.side**2 / 1e6)
        self.base = np.ascontiguousarray(photograph[: self.side, : self.side])

    def tiles(self) -> Iterator[tuple[float, Picture]]:
        """Yield the seconds to make each tile, and the tile."""
        rows = self.base.reshape(self.side, -1)  # a row's channels in one: quick to make
        for at in range(self.n_tiles):
            start = time.perf_counter()
            dark = np.tile(np.array([1, 2, 3], np.uint8) * np.uint8(at % 8), self.side)
            tile = np.maximum(rows, dark) - dark
            yield time.perf_counter() - start, tile.reshape(self.base.shape)


def peak_megabytes() -> float:
    """Return the greatest resident size of this process so far (Linux only)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) / 1e3 for line in status if line.startswith("VmHWM"))


def measure(megapixels: float) -> Record:
    """Count, fit and label one picture in this process."""
    scene = Scene(megapixels)
    taken = dict.fromkeys(("making", "counting", "fitting", "labelling"), 0.0)
    for _, tile in Scene(0).tiles():  # kernels from the cache
        kf.ColorHistogram.from_tiles([tile])
        kf.fit(tile, K, max_iter=2)
    peaks = {"before": peak_megabytes()}

    histogram = kf.ColorHistogram()
    for seconds, tile in scene.tiles():
        taken["making"] += seconds
        begun = time.perf_counter()
        histogram.update(tile)
        taken["counting"] += time.perf_counter() - begun
    begun = time.perf_counter()
    n_colors = histogram.n_colors  # which is when the table is read
    taken["counting"] += time.perf_counter() - begun
    peaks["counting"] = peak_megabytes()

    begun = time.perf_counter()
    result = kf.fit(histogram, K)
    taken["fitting"] = time.perf_counter() - begun

    labels = np.empty((scene.side, scene.side), np.uint8)
    counts = np.zeros(K, np.int64)
    for _, tile in scene.tiles():
        begun = time.perf_counter()
        result.predict(tile, out=labels)
        taken["labelling"] += time.perf_counter() - begun
        counts += np.bincount(labels.reshape(-1), minlength=K)
    expect(np.array_equal(counts, result.counts), "labels and counts do not agree")
    peaks["labelling"] = peak_megabytes()
    return {
        "megapixels": histogram.n_pixels / 1e6,
        "tiles": scene.n_tiles,
        "colors": n_colors,
        "iterations": result.n_iter,
        "seconds": taken,
        "peak, MB": peaks,
    }


def speed(point: Record, what: str) -> float:
    """Return megapixels a second."""
    return float(point["megapixels"] / point["seconds"][what])


def as_markdown(record: Record) -> str:
    """Return the table, and what it was measured on."""
    lines = [
        "| megapixels | tiles | colours | count, MP/s | with making | label, MP/s | with making "
        "| fit, s | peak memory, MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for point in record["points"]:
        seconds, made = point["seconds"], point["seconds"]["making"]
        whole = [point["megapixels"] / (seconds[what] + made) for what in FLOORS]
        lines.append(
            f"| {number(point['megapixels'])} | {point['tiles']} | {point['colors']:,} "
            f"| {number(speed(point, 'counting'))} | {number(whole[0])} "
            f"| {number(speed(point, 'labelling'))} | {number(whole[1])} "
            f"| {number(seconds['fitting'])} | {number(max(point['peak, MB'].values()))} |"
        )
    peaks = [max(point["peak, MB"].values()) for point in record["points"]]
    aims = [
        (f"at least {floor} megapixels a second {what}",
         all(speed(point, what) >= floor for point in record["points"]))
        for what, floor in FLOORS.items()
    ]  # fmt: skip
    aims.append((f"at most {MOST_MEMORY} MB", max(peaks) <= MOST_MEMORY))
    said = ", ".join(f"{aim} ({'reached' if reached else 'MISSED'})" for aim, reached in aims)
    return (
        "\n".join(lines) + f"\n\nTiles of {SIDE} x {SIDE} made in code, K = {K}, k-means++ to "
        "convergence, each size in a new process; *with making*: the tiles too; *peak memory*: "
        f"all of the process. Held to: {said}. Measured by `python -m bench tiles` "
        f"({records.about(record)})."
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure each size in a process of its own, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m bench tiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--megapixels",
        default=",".join(map(str, MEGAPIXELS)),
        help="sizes (default: %(default)s); below 20, small tiles",
    )
    parser.add_argument("--out", type=Path, help="default: bench/results/tiles.json")
    parser.add_argument("--alone", action="store_true", help="one size, here; prints JSON")
    options = parser.parse_args(arguments)
    try:
        sizes = [float(size) for size in options.megapixels.split(",")]
    except ValueError:
        parser.error(f"--megapixels {options.megapixels}: give numbers such as 100,1000")
    if options.alone:
        print(json.dumps(measure(sizes[0])))
        return 0
    path = options.out
    if path is None and options.megapixels == parser.get_default("megapixels"):
        path = records.RESULTS / "tiles.json"
    record = records.describe(Setting({}, rounds=1), {}, None) | {"points": []}
    measure(0.1)  # compiles what the others then find in the cache
    for size in sizes:
        progress(f"{number(size)} megapixels, {default_threads()} threads")
        _, printed, _ = child("-m", "bench", "tiles", "--alone", "--megapixels", str(size))
        record["points"].append(json.loads(printed))
        if path:
            records.save(path, record)
    print(as_markdown(record))
    return 0

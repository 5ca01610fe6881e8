"""Pictures larger than memory, to a gigapixel: ``python -m bench tiles``.

A picture is made in code a tile at a time, counted, fitted (16 colours), made again and labelled,
each size in a new process. The time of making tiles stands apart, and the peak memory is all that
the process holds: Python, the tile, the colours and the tables. The labels of all tiles must add
up to the counts of the fit.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import numpy as np

import kmeans_fast as kf
from kmeans_fast.threads import default_threads

from . import lab, pictures
from .lab import RESULTS, Record
from .pictures import Picture

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


def measure(megapixels: float) -> Record:
    """Count, fit and label one picture in this process."""
    scene = Scene(megapixels)
    taken = dict.fromkeys(("making", "counting", "fitting", "labelling"), 0.0)
    for _, tile in Scene(0).tiles():  # kernels from the cache
        kf.ColorHistogram.from_tiles([tile])
        kf.fit(tile, K, max_iter=2)
    peaks = {"before": lab.in_status("VmHWM") / 1e6}

    histogram = kf.ColorHistogram()
    for seconds, tile in scene.tiles():
        taken["making"] += seconds
        begun = time.perf_counter()
        histogram.update(tile)
        taken["counting"] += time.perf_counter() - begun
    begun = time.perf_counter()
    n_colors = histogram.n_colors  # which is when the table is read
    taken["counting"] += time.perf_counter() - begun
    peaks["counting"] = lab.in_status("VmHWM") / 1e6

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
    lab.expect(np.array_equal(counts, result.counts), "labels and counts do not agree")
    peaks["labelling"] = lab.in_status("VmHWM") / 1e6
    return {
        "megapixels": histogram.n_pixels / 1e6,
        "tiles": scene.n_tiles,
        "colors": n_colors,
        "iterations": result.n_iter,
        "seconds": taken,
        "peak, MB": peaks,
    }


def speed(point: Record, what: str, making: bool = False) -> float:
    """Return megapixels a second, the time of making the tiles among it or not."""
    seconds = point["seconds"]
    return float(point["megapixels"] / (seconds[what] + making * seconds["making"]))


def aims(record: Record) -> dict[str, bool]:
    """Return whether each figure is reached that all sizes are held to."""
    points = record["points"]
    found = {
        f"at least {floor} megapixels a second {what}": all(
            speed(point, what) >= floor for point in points
        )
        for what, floor in FLOORS.items()
    }
    return found | {f"at most {MOST_MEMORY} MB": max(map(peak, points)) <= MOST_MEMORY}


def missed(record: Record) -> list[str]:
    """Return a line for each of them that is not."""
    return [
        f"Pictures in tiles: {aim}, by all sizes." for aim, met in aims(record).items() if not met
    ]


def peak(point: Record) -> float:
    """Return the most megabytes that a process held."""
    return float(max(point["peak, MB"].values()))


def as_markdown(record: Record) -> str:
    """Return the table, and what it was measured on."""
    head = ["megapixels", "tiles", "colours", "count, MP/s", "with making", "label, MP/s"]
    head += ["with making", "fit, s", "peak memory, MB"]
    points = record["points"]
    rows = [
        [lab.number(point["megapixels"]), str(point["tiles"]), f"{point['colors']:,}"]
        + [lab.number(speed(point, what, making)) for what in FLOORS for making in (False, True)]
        + [lab.number(point["seconds"]["fitting"]), lab.number(peak(point))]
        for point in points
    ]
    said = ", ".join(
        f"{aim} ({'reached' if met else 'MISSED'})" for aim, met in aims(record).items()
    )
    return lab.in_columns(head, rows) + (
        f"\n\nTiles of {SIDE} x {SIDE} made in code, K = {K}, k-means++ to "
        "convergence, each size in a new process; *with making*: the tiles too; *peak memory*: "
        f"all of the process. Held to: {said}."
    )


def main(arguments: list[str] | None = None) -> int:
    """Measure each size in a process of its own, print, write."""
    parser = lab.parser_of("tiles", __doc__, rounds=1)
    parser.add_argument("--alone", type=float, help="one size, in this process; prints JSON")
    options = parser.parse_args(arguments)
    if options.alone is not None:
        print(json.dumps(measure(options.alone)))
        return 0
    path = options.out or (RESULTS / "tiles.json" if options.scale == 1 else None)
    _, record = lab.setting_of(parser, options)
    record["points"] = []
    measure(0.1)  # compiles what the others then find in the cache
    for size in MEGAPIXELS:
        lab.progress(f"{lab.number(size * options.scale)} megapixels, {default_threads()} threads")
        alone = lab.child("-m", "bench", "tiles", "--alone", str(size * options.scale))
        record["points"].append(json.loads(alone[1]))
        lab.save(path, record)
    print(as_markdown(record), lab.measured("tiles", record), sep="\n\n")
    return 0

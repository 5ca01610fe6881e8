"""A picture larger than memory: counted tile by tile, fitted once, labelled tile by tile.

python examples/satellite_tiles.py [-k 12] [--megapixels 16] [-o labels.npy]

The scene, land cover as a satellite might see it, is made in code one tile at a time, so nothing
here is ever larger than a tile and the histogram; the labels go to a memory-map. For a TIFF of
your own, `kf.open_tiles("scene.tif")` gives tiles, and `tiles.items()` their places too.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator
from time import perf_counter

import numpy as np

import kmeans_fast as kf

TILE = 1024
COVER = np.array(  # water, forest, grass, crops, soil, sand, town, snow
    [[18, 42, 74], [24, 58, 30], [86, 122, 56], [148, 140, 70], [110, 84, 58], [190, 170, 128],
     [122, 118, 120], [236, 240, 246]]
)  # fmt: skip

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("-k", "--clusters", type=int, default=12, help="default: %(default)s")
parser.add_argument("--megapixels", type=float, default=16, help="default: %(default)s")
parser.add_argument("-o", "--output", default="labels.npy", help="default: %(default)s")
options = parser.parse_args()
side = max(1, math.ceil(math.sqrt(options.megapixels * 1e6) / TILE))


def tile(row: int, column: int) -> np.ndarray:
    """Make a tile: smooth land of eight kinds, with the noise of a sensor."""
    y, x = np.mgrid[0:TILE, 0:TILE] / TILE
    y, x = y + row, x + column
    height = np.sin(1.7 * x + np.sin(1.3 * y)) + np.cos(2.1 * y - 0.6 * x) + 0.3 * np.sin(9 * x * y)
    kind = np.clip((height + 2.3) / 4.6 * len(COVER), 0, len(COVER) - 1).astype(int)
    rng = np.random.default_rng((row, column))
    noisy = COVER[kind] + rng.normal(0, 4, (TILE, TILE, 3)) + rng.normal(0, 6, (TILE, TILE, 1))
    return np.clip(noisy, 0, 255).astype(np.uint8)


def scene() -> Iterator[tuple[tuple[slice, slice], np.ndarray]]:
    """Yield the place of each tile, and the tile."""
    for row, column in np.ndindex(side, side):
        place = tuple(slice(TILE * at, TILE * (at + 1)) for at in (row, column))
        yield place, tile(row, column)


def say(progress: kf.TileProgress) -> None:
    """Show how far it is."""
    if sys.stderr.isatty():
        print(f"\r{progress.n_tiles} tiles, {progress.n_colors:,} colours", end="", file=sys.stderr)


start = perf_counter()
histogram = kf.ColorHistogram.from_tiles((pixels for _, pixels in scene()), callback=say)
counting, start = perf_counter() - start, perf_counter()
result = kf.fit(histogram, options.clusters)
fitting = perf_counter() - start
print(f"{histogram.n_pixels / 1e6:.0f} megapixels in {side**2} tiles, "
      f"{histogram.n_colors:,} colours")  # fmt: skip
print(f"made and counted in {counting:.1f} s; {result.n_iter} iterations in {fitting:.2f} s")

labels = np.lib.format.open_memmap(options.output, "w+", np.uint8, (side * TILE, side * TILE))
labelling = 0.0
for place, pixels in scene():
    start = perf_counter()
    result.predict(pixels, out=labels[place])
    labelling += perf_counter() - start
labels.flush()
shares = result.counts / result.counts.sum()
for cluster in np.argsort(-shares):
    print(f"  {shares[cluster]:6.1%}  {result.palette[cluster].tolist()}")
print(f"labelled in {labelling:.2f} s; wrote {options.output}")

"""A picture larger than memory: counted tile by tile, fitted once, labelled tile by tile.

python examples/satellite_tiles.py [-k 12] [--megapixels 16] [-o labels.npy]

The scene, land cover as a satellite might see it, is made in code one tile at a time, so nothing
here is ever larger than a tile and the histogram; the labels go to a memory-map.
"""

from __future__ import annotations

import argparse
import math
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


tiles = [(row, column) for row in range(side) for column in range(side)]
histogram, counting = kf.ColorHistogram(), 0.0
for at in tiles:
    pixels = tile(*at)
    start = perf_counter()
    histogram.update(pixels)
    counting += perf_counter() - start
start = perf_counter()
result = kf.fit(histogram, options.clusters)
fitting = perf_counter() - start
print(f"{histogram.n_pixels / 1e6:.0f} megapixels in {len(tiles)} tiles, "
      f"{histogram.n_colors:,} colours")  # fmt: skip
print(f"counted in {counting:.2f} s, fitted in {fitting:.2f} s, {result.n_iter} iterations")

labels = np.lib.format.open_memmap(options.output, "w+", np.uint8, (side * TILE, side * TILE))
labelling = 0.0
for row, column in tiles:
    pixels = tile(row, column)
    start = perf_counter()
    found = result.predict(pixels)
    labelling += perf_counter() - start
    labels[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE] = found
labels.flush()
shares = result.counts / result.counts.sum()
for cluster in np.argsort(-shares):
    print(f"  {shares[cluster]:6.1%}  {result.palette[cluster].tolist()}")
print(f"labelled in {labelling:.2f} s; wrote {options.output}")

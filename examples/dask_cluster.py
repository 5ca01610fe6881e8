"""A scene for one machine or for a hundred: the same script, with or without a scheduler's address.

python examples/dask_cluster.py [-k 16] [--megapixels 64] [-o FOLDER]
python examples/dask_cluster.py --scheduler tcp://10.0.0.1:8786 --megapixels 1000000

Each chunk of the scene is made, counted and labelled where a worker is. What comes here is one
histogram; labels stay there, or are written by the workers to a folder that they all see.
"""

from __future__ import annotations

import argparse
import math
from time import perf_counter

import dask.array as da
import numpy as np
from distributed import Client, LocalCluster

import kmeans_fast as kf

SIDE = 4096


def make_chunk(block_info: dict) -> np.ndarray:
    """Make a chunk of the scene: land and water, lit from one side, with a sensor's noise."""
    place = block_info[None]["array-location"]
    (top, bottom), (left, right) = place[:2]
    y, x = np.ogrid[top:bottom, left:right]
    height = np.sin(x / 911.0) * np.cos(y / 1373.0) + 0.5 * np.sin((x + y) / 307.0)
    shade = (128 + 60 * height).astype(np.uint8)
    noise = np.random.default_rng((top, left)).integers(0, 12, shade.shape, dtype=np.uint8)
    water = height < -0.4
    red = np.where(water, shade // 3, shade) + noise
    green = np.where(water, shade // 2, shade // 4 * 3 + 40) + noise
    blue = np.where(water, shade // 2 + 90, shade // 2) + noise // 2
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


def main() -> None:
    """Fit and label the scene."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--scheduler", metavar="ADDRESS", help="such as tcp://10.0.0.1:8786; default: this machine")
    add("-k", "--clusters", type=int, default=16, help="default: %(default)s")
    add("--megapixels", type=float, default=64, help="default: %(default)s")
    add("-o", "--output", metavar="FOLDER", help="for the labels, as a stack of .npy files")
    options = parser.parse_args()

    if options.scheduler is None:
        cluster = LocalCluster(threads_per_worker=1, dashboard_address=":0")
    else:
        cluster = options.scheduler
    with Client(cluster) as client:
        n_workers = len(client.ncores())
        side = max(1, math.ceil(math.sqrt(options.megapixels * 1e6)))
        scene = da.map_blocks(
            make_chunk,
            chunks=(*da.core.normalize_chunks((SIDE, SIDE), (side, side)), (3,)),
            dtype=np.uint8,
            meta=np.empty((0, 0, 0), np.uint8),
        )
        print(f"{side} x {side} pixels in {scene.npartitions} chunks, {n_workers} workers")

        start = perf_counter()
        result = kf.fit(scene, options.clusters)
        print(f"made, counted and fitted in {perf_counter() - start:.2f} s: "
              f"{options.clusters} colours, {result.n_iter} iterations")  # fmt: skip
        shares = result.counts / result.counts.sum()
        for cluster_number in np.argsort(-shares):
            print(f"  {shares[cluster_number]:6.1%}  {result.palette[cluster_number].tolist()}")

        start = perf_counter()
        if options.output:
            da.to_npy_stack(options.output, result.labels)
            print(f"labelled in {perf_counter() - start:.2f} s; wrote {options.output}")
        else:
            largest = (result.labels == int(np.argmax(shares))).mean().compute()
            print(f"labelled in {perf_counter() - start:.2f} s; {largest:.1%} in the largest")
    if options.scheduler is None:
        cluster.close()


if __name__ == "__main__":
    main()

"""A satellite scene, every pixel: made in code, classified whole, and compared with a 1 % sample.

python examples/scene.py [-k 12] [--side 4000] [--folder .]

The scene has ten bands of 16 bits, and a swath outside of which is nothing. It is made as a
GeoTIFF, scene.tif; the command line classifies it, in memory and in tiles; and the same is done as
it is often done, by a fit of 1 % of the pixels. scene.png shows bands, classes and spectra.
It needs rasterio and Matplotlib: pip install 'kmeans_fast[geo]' matplotlib
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import warnings
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import rasterio
from rasterio.windows import Window

import kmeans_fast as kf

BANDS = "blue green red edge1 edge2 edge3 nir nir2 swir1 swir2".split()
WAVES = [490, 560, 665, 705, 740, 783, 842, 865, 1610, 2190]  # nm
COVER = np.array(  # reflectance * 10,000, of Sentinel-2's ten bands of 10 and 20 m
    [[420, 380, 240, 210, 190, 180, 160, 150, 90, 60],  # deep water
     [820, 950, 780, 640, 470, 440, 400, 380, 210, 150],  # turbid water
     [210, 360, 230, 620, 1900, 2350, 2500, 2650, 1150, 500],  # conifers
     [260, 560, 310, 960, 2900, 3700, 3900, 4050, 1800, 820],  # broad leaves
     [420, 820, 520, 1350, 3300, 4100, 4400, 4600, 2300, 1200],  # meadow
     [720, 1100, 1300, 1750, 2300, 2550, 2750, 2900, 3300, 2500],  # stubble
     [900, 1250, 1650, 1900, 2050, 2150, 2300, 2400, 3000, 2600],  # soil
     [1900, 2400, 2900, 3100, 3200, 3300, 3500, 3500, 4300, 3900],  # sand
     [1400, 1500, 1600, 1700, 1800, 1850, 1950, 2000, 2100, 1950],  # town
     [6800, 6900, 7000, 6900, 6850, 6800, 6700, 6600, 900, 700]]  # snow
)  # fmt: skip

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("-k", "--classes", type=int, default=12, help="default: %(default)s")
parser.add_argument("--side", type=int, default=4000, help="pixels; default: %(default)s")
parser.add_argument("--folder", type=Path, default=Path(), help="default: this one")
parser.add_argument("--sample", action="store_true", help=argparse.SUPPRESS)
options = parser.parse_args()
scene, k = options.folder / "scene.tif", options.classes
warnings.filterwarnings("ignore", category=PendingDeprecationWarning)  # rasterio, of its matrices


def make(top: int, rows: int) -> np.ndarray:
    """Make some rows (10, rows, side): covers that mix at their borders, light, noise, no data."""
    rng = np.random.default_rng(top)
    shape = rows, options.side
    y, x = np.mgrid[top : top + rows, 0 : options.side].astype(np.float32) / 700
    height = np.sin(1.7 * x + np.sin(1.3 * y)) + np.cos(2.1 * y - 0.6 * x) + 0.3 * np.sin(4 * x * y)
    wet = np.sin(0.9 * x - 1.1 * y) + 0.5 * np.cos(3.1 * x + 0.4 * y)
    place = np.clip((height + 2.3) / 4.6 * 9 + 0.8 * wet + rng.normal(0, 0.15, shape), 0, 8.999)
    low = place.astype(int)
    mixed = np.clip((place - low - 0.35) / 0.3, 0, 1)[..., None]
    pixels = COVER[low] * (1 - mixed) + COVER[low + 1] * mixed
    pixels *= (1 + 0.12 * np.sin(9 * x) * np.cos(7 * y))[..., None]  # slopes in the sun
    pixels *= rng.normal(1, 0.03, (*shape, 1)).astype(np.float32)
    pixels += rng.normal(0, 35, (*shape, 10)).astype(np.float32)
    pixels = np.clip(pixels, 1, 10_000).astype(np.uint16)
    across = x * 700 - 0.2 * (options.side - y * 700)
    pixels[(across < 0) | (across > 0.88 * options.side)] = 0
    return pixels.transpose(2, 0, 1)


def write_scene() -> None:
    """Write the scene, deflated, in tiles of 512 x 512."""
    side = options.side
    profile = {
        "driver": "GTiff", "count": 10, "height": side, "width": side, "dtype": "uint16",
        "nodata": 0, "crs": "EPSG:32633", "tiled": True, "blockxsize": 512, "blockysize": 512,
        "transform": rasterio.Affine(10, 0, 500_000, 0, -10, 5_000_000), "compress": "deflate",
        "num_threads": "all_cpus",
    }  # fmt: skip
    with rasterio.open(scene, "w", **profile) as file:
        for band, name in enumerate(BANDS, 1):
            file.set_band_description(band, name)
        for top in range(0, side, 512):
            rows = min(512, side - top)
            file.write(make(top, rows), window=Window(0, top, side, rows))


def fit_sample() -> None:
    """Fit 1 % of the pixels, and label all of them with what that finds."""
    tiles = kf.open_tiles(scene, tile_pixels=1 << 20)
    rng = np.random.default_rng(0)
    some = []
    for tile in tiles:
        valid = (tile != 0).all(axis=2)
        some.append(tile[valid & (rng.random(valid.shape) < 0.01)])
    result = kf.fit(np.concatenate(some)[:, None], k)
    labels = np.lib.format.open_memmap(
        options.folder / "sampled.npy", "w+", np.uint8, tiles.shape[:2]
    )
    inertia = 0.0
    for place, tile in tiles.items():
        valid = (tile != 0).all(axis=2)
        labels[place] = np.where(valid, result.predict(tile), 255)
        far = tile[valid] - result.centroids[labels[place][valid]]
        inertia += float(np.einsum("nd,nd->", far, far))
    labels.flush()
    (options.folder / "sampled.json").write_text(json.dumps({"inertia": inertia}))


def run(*command: object) -> tuple[float, float]:
    """Run a command by itself; return its seconds, and the gigabytes that it had at the most."""
    start, memory = perf_counter(), 0
    process = subprocess.Popen([sys.executable, *map(str, command)])
    while process.poll() is None:
        with contextlib.suppress(OSError, ValueError, IndexError):  # not Linux, or it has ended
            status = Path(f"/proc/{process.pid}/status").read_text()
            memory = int(status.split("VmHWM:")[1].split()[0])
        sleep(0.02)
    if process.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed")
    return perf_counter() - start, memory / 1e6


def match(labels: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return for each of the other classes the one that shares the most pixels with it."""
    shared = np.bincount(labels.astype(int) * k + others, minlength=k * k).reshape(k, k)
    names = np.empty(k, int)
    for _ in range(k):  # the largest overlap first, each class once
        mine, other = np.unravel_index(shared.argmax(), shared.shape)
        names[other] = mine
        shared[mine], shared[:, other] = -1, -1
    return names


def draw(report: dict, classes: np.ndarray) -> None:
    """Draw bands, classes and spectra into scene.png."""
    import io

    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    step = max(1, options.side // 500)
    with rasterio.open(scene) as file:
        shown = file.read([7, 3, 2], out_shape=(3, options.side // step, options.side // step))
    shown = np.clip(shown.transpose(1, 2, 0) / (5000, 3500, 3000), 0, 1)
    colors = np.full((256, 3), 255, np.uint8)
    for each in report["classes"]:
        colors[each["class"]] = list(bytes.fromhex(each["color"][1:]))
    figure, axes = pyplot.subplots(1, 3, figsize=(12, 4.2), width_ratios=(1, 1, 1.25))
    axes[0].imshow(shown)
    axes[0].set_title("near infrared, red, green")
    axes[1].imshow(colors[classes[::step, ::step]])
    axes[1].set_title(f"{k} classes of all pixels")
    for each in report["classes"]:
        axes[2].plot(WAVES, list(each["centroid"].values()), "o-", color=each["color"], ms=3)
    axes[2].set_title("centroids: reflectance * 10,000 by nm")
    for axis in axes[:2]:
        axis.axis("off")
    figure.tight_layout()
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=100)
    kf.quantize(drawn, 64).save(options.folder / "scene.png", optimize=True)


if options.sample:
    fit_sample()
    raise SystemExit
write_scene()
folder, classified = options.folder, {}
for way, more in (("whole", []), ("tiled", ["--tiled"]), ("other start", ["--seed", 1])):
    name = way.replace(" ", "-")
    outputs = folder / f"{name}.tif", folder / f"{name}.json"
    command = ["-m", "kmeans_fast", "classify", scene, "-k", k, "-o", outputs[0], "--force"]
    seconds, memory = run(*command, "--report", outputs[1], *more)
    with rasterio.open(outputs[0]) as file:
        classified[way] = (seconds, memory, json.loads(outputs[1].read_text()), file.read(1))
_, _, report, classes = classified["whole"]
valid = classes != 255
here = ["--folder", folder, "-k", k, "--side", options.side, "--sample"]
seconds, memory = run(__file__, *here)
found = json.loads((folder / "sampled.json").read_text())
classified["1 % sample"] = seconds, memory, found, np.load(folder / "sampled.npy")

print(f"{valid.size / 1e6:.0f} megapixels of ten bands, {valid.sum() / 1e6:.1f} of them there; "
      f"{report['n_iter']} iterations, {report['seconds']}")  # fmt: skip
print(f"{'':12}{'seconds':>9}{'GB':>7}{'inertia':>13}{'in another class':>18}")
for way, (seconds, memory, found, labels) in classified.items():
    mine = classes[valid]
    other = (match(mine, labels[valid])[labels[valid]] != mine).mean()
    worse = found["inertia"] / report["inertia"]
    print(f"{way:12}{seconds:9.1f}{memory:7.2f}{worse:13.4f}{other:18.2%}")
draw(report, classes)
print(f"wrote scene.tif, whole.tif, whole.json and scene.png to {folder.resolve().name}")

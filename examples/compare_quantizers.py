"""Palettes side by side: this library, Pillow and imagequant; a contact sheet, errors and times.

python examples/compare_quantizers.py [PICTURE] [-k 16] [-o sheet.png]

The error is the sum of squared differences over pixels and channels, without dithering. imagequant
takes part where it is installed (``pip install imagequant``).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image, ImageDraw

import kmeans_fast as kf

ASTRONAUT = Path(__file__).parent.parent / "docs" / "astronaut.png"
WIDTH, CAPTION = 320, 28

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("picture", nargs="?", default=ASTRONAUT, help="default: the astronaut")
parser.add_argument("-k", "--colors", type=int, default=16, help="default: %(default)s")
parser.add_argument("-o", "--output", default="sheet.png", help="default: %(default)s")
options = parser.parse_args()
k = options.colors

pixels = np.ascontiguousarray(kf.open_image(options.picture)[..., :3])
image = Image.fromarray(pixels)
no_dither = Image.Dither.NONE
ways: dict[str, Callable[[], Image.Image]] = {
    "kmeans_fast": lambda: kf.quantize(image, k),
    "kmeans_fast, OKLab": lambda: kf.quantize(image, k, space="oklab"),
    "kmeans_fast, real colours": lambda: kf.quantize(image, k, medoids=True),
    "Pillow, median cut": lambda: image.quantize(k, dither=no_dither),
    "Pillow, kmeans=1": lambda: image.quantize(k, kmeans=1, dither=no_dither),
}
try:
    import imagequant

    ways["imagequant"] = lambda: imagequant.quantize_pil_image(
        image.convert("RGBA"), dithering_level=0.0, max_colors=k
    )
except ImportError:
    print("imagequant is not installed, and left out")

height = round(WIDTH * image.height / image.width)
sheet = Image.new("RGB", (WIDTH * (len(ways) + 1), height + CAPTION), "white")
pen = ImageDraw.Draw(sheet)


def put(place: int, panel: Image.Image, caption: str) -> None:
    """Put a picture on the sheet, with a line below it."""
    sheet.paste(panel.convert("RGB").resize((WIDTH, height)), (place * WIDTH, 0))
    pen.text((place * WIDTH + 6, height + 8), caption, fill="black")


put(0, image, f"original, {len(np.unique(pixels.reshape(-1, 3), axis=0)):,} colours")
print(f"{image.width} x {image.height} pixels, {k} colours")
least = None
for place, (name, run) in enumerate(ways.items(), start=1):
    run()  # compiled, loaded
    start = perf_counter()
    painted = run()
    seconds = perf_counter() - start
    found = np.asarray(painted.convert("RGB")).astype(int)
    error = int(((found - pixels) ** 2).sum())
    least = least or error
    print(f"  {name:26} {1e3 * seconds:8.1f} ms  error {error:14,}  {error / least:.3f} times ours")
    put(place, painted, f"{name}: {error / least:.3f}")
sheet.save(options.output)
print(f"wrote {options.output}")

"""Posterise a picture: the original beside 2, 4, 8 and 16 colours, each above its palette.

python examples/posterise.py [PICTURE] [-o OUT.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image

import kmeans_fast as kf

ASTRONAUT = Path(__file__).parent.parent / "docs" / "astronaut.png"
KS = (2, 4, 8, 16)
WIDTH, GAP, STRIP = 384, 12, 36  # of a panel, between panels, of a palette's height


def swatch(palette: np.ndarray) -> Image.Image:
    """Draw the colours side by side, the darkest first."""
    darkest_first = palette[np.argsort(palette @ [0.299, 0.587, 0.114])]
    return Image.fromarray(darkest_first[None]).resize((WIDTH, STRIP), Image.Resampling.NEAREST)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("picture", nargs="?", default=ASTRONAUT, help="default: the astronaut")
parser.add_argument("-o", "--output", default="posterised.png", help="default: %(default)s")
options = parser.parse_args()

image = kf.open_image(options.picture)[..., :3]
start = perf_counter()
results = kf.sweep(image, KS)  # counts the colours once, then fits each K
seconds = perf_counter() - start

height = round(WIDTH * image.shape[0] / image.shape[1])
size = (len(KS) * (WIDTH + GAP) + WIDTH, height + GAP + STRIP)
canvas = Image.new("RGBA", size)  # clear between the pictures, on any page
canvas.paste(Image.fromarray(image).resize((WIDTH, height)), (0, 0))
for panel, (k, result) in enumerate(zip(KS, results, strict=True), start=1):
    left = panel * (WIDTH + GAP)
    canvas.paste(Image.fromarray(result.recolor()).resize((WIDTH, height)), (left, 0))
    canvas.paste(swatch(result.palette), (left, height + GAP))
    iterating = 1e3 * sum(iteration.seconds for iteration in result.history)
    error = result.inertia / result.labels.size
    print(f"K = {k:2}: {result.n_iter:3} iterations in {iterating:5.1f} ms, error {error:7.1f}")
print(f"{image.shape[1]} x {image.shape[0]} pixels, all of it in {1e3 * seconds:.0f} ms")
print("(error: mean squared distance of a pixel to its colour, summed over R, G and B)")
canvas.save(options.output)
print(f"wrote {options.output}")

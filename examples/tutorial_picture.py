"""Make the notebook's picture: 200 x 200, many dark tones, strong red, very little green.

python examples/tutorial_picture.py [-o OUT.png]

A lantern in a dark street: what the notebook asks is about which colours get clusters, and when.
The picture is made in code, so it is under the project's own licence.
"""

from __future__ import annotations

import argparse

import numpy as np
from PIL import Image

SIDE = 200


def make_picture(noise: float = 1.0) -> np.ndarray:
    """Return the picture, uint8 (200, 200, 3), with so much of a camera's noise."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    dark = 0.05 + 0.10 * (1 - y) + 0.03 * np.sin(9 * x + 3 * np.sin(5 * y))
    scene = dark[..., None] * np.array([0.9, 0.9, 1.25])  # night, a little blue
    wall = (x > 0.62) & (y > 0.25)
    bricks = 0.16 + 0.05 * (np.floor(y * 24) % 2) + 0.03 * np.sin(40 * x)
    scene[wall] = (bricks[..., None] * np.array([1.15, 0.95, 0.85]))[wall]
    ground = y > 0.8
    scene[ground] = ((0.10 + 0.12 * (y - 0.8))[..., None] * np.array([1.0, 0.9, 0.8]))[ground]

    # The lantern: red paper with ribs, lit from within, and its light on all around.
    r = np.hypot((x - 0.36) / 0.17, (y - 0.42) / 0.22)
    glow = np.exp(-1.6 * np.maximum(r - 1, 0))
    scene += 0.33 * glow[..., None] * np.array([1.0, 0.22, 0.10])
    paper = r < 1
    ribs = 0.9 + 0.1 * np.cos(52 * (y - 0.42))
    light = (0.55 + 0.45 * (1 - r**2).clip(0)) * ribs
    red = light[..., None] * np.array([0.98, 0.16, 0.09])
    core = np.exp(-5 * r**2)[..., None] * np.array([0.0, 0.48, 0.22])
    scene[paper] = (red + core)[paper]
    for top in (0.19, 0.63):  # its caps
        cap = (abs(x - 0.36) < 0.07) & (abs(y - top) < 0.018)
        scene[cap] = [0.13, 0.09, 0.05]

    # Very little green: a sprout at the foot of the wall.
    for lean in (-0.5, 0.0, 0.45):
        leaf = (abs(x - 0.56 - lean * np.abs(0.80 - y) ** 1.2) < 0.008) & (y > 0.70) & (y < 0.80)
        scene[leaf] = [0.17, 0.46, 0.15]

    grain, tint = rng.normal(0, 2.2, (SIDE, SIDE, 1)), rng.normal(0, 1.0, scene.shape)
    return np.clip(np.rint(scene * 255 + noise * grain + noise * tint), 0, 255).astype(np.uint8)


def is_red(colors: np.ndarray) -> np.ndarray:
    """Return which colours are red: bright enough to be seen, and twice as much red as others."""
    r, g, b = np.moveaxis(np.asarray(colors, dtype=float), -1, 0)
    return (r > 2 * g) & (r > 2 * b) & (r > 60)


def is_green(colors: np.ndarray) -> np.ndarray:
    """Return which colours are green."""
    r, g, b = np.moveaxis(np.asarray(colors, dtype=float), -1, 0)
    return (g > 1.4 * r) & (g > 1.4 * b) & (g > 60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "-o", "--output", default="tutorial_picture.png", help="default: %(default)s"
    )
    options = parser.parse_args()
    Image.fromarray(make_picture()).save(options.output)
    print(f"wrote {options.output}")

"""The library in a minute: a palette, an indexed picture, and points of any kind.

python examples/quickstart.py [PICTURE] [-o OUT.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

import kmeans_fast as kf

ASTRONAUT = Path(__file__).parent.parent / "docs" / "astronaut.png"

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("picture", nargs="?", default=ASTRONAUT, help="default: the astronaut")
parser.add_argument("-o", "--output", default="quickstart.png", help="default: %(default)s")
options = parser.parse_args()

# A picture: every pixel counts, and the result is the same on any number of threads.
image = kf.open_image(options.picture)[..., :3]
result = kf.fit(image, 8)
print(f"{image.shape[1]} x {image.shape[0]} pixels, {result.n_iter} iterations")
order = np.argsort(-result.counts)
shares = result.counts[order] / result.labels.size
for (r, g, b), share in zip(result.palette[order], shares, strict=True):
    print(f"  #{r:02x}{g:02x}{b:02x} {share:6.1%}")

# As an indexed picture, in the space that is nearer to what the eye sees.
kf.quantize(image, 8, space="oklab", sort="luminance").save(options.output)
print(f"wrote {options.output}")

# Points of any kind: (n, d) floats.
rng = np.random.default_rng(0)
points = rng.normal(size=(100_000, 5)) + 8 * rng.integers(0, 2, (100_000, 1))
centroids, labels = kf.fit(points, 2)
print(
    f"two clusters of {np.bincount(labels).tolist()} points, at {centroids.mean(axis=1).round(2)}"
)

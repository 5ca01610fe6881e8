"""One palette for a folder of pictures, counted one by one, and each picture painted in it.

python examples/palette_of_many.py [FOLDER] [-k 16] [-o OUTPUT_FOLDER]

Without a folder, four pictures are made: pieces of the astronaut.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image

import kmeans_fast as kf

ASTRONAUT = Path(__file__).parent.parent / "docs" / "astronaut.png"
SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".bmp"}

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", nargs="?", type=Path, help="default: pieces of the astronaut")
parser.add_argument("-k", "--colors", type=int, default=16, help="default: %(default)s")
parser.add_argument("-o", "--output", type=Path, default=Path("painted"), help="a folder")
options = parser.parse_args()

with tempfile.TemporaryDirectory() as made:
    folder = options.folder
    if folder is None:
        folder = Path(made)
        with Image.open(ASTRONAUT) as astronaut:
            for number, (x, y) in enumerate(((0, 0), (256, 0), (0, 256), (256, 256))):
                astronaut.crop((x, y, x + 256, y + 256)).save(folder / f"piece-{number}.png")
    pictures = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)

    histogram = kf.ColorHistogram()  # grows with the colours, not with the pixels
    for path in pictures:
        histogram.update(kf.open_image(path)[..., :3])
    result = kf.fit(histogram, options.colors)
    print(
        f"{len(pictures)} pictures, {histogram.n_pixels:,} pixels, {histogram.n_colors:,} colours"
    )

    options.output.mkdir(parents=True, exist_ok=True)
    for path in pictures:
        image = kf.open_image(path)[..., :3]
        painted = kf.quantize(image, palette=result.palette)
        painted.save(options.output / f"{path.stem}.png")
        used = len(painted.getcolors())
        print(f"  {path.name}: {used} of the {options.colors} colours")
print(f"wrote {options.output}")

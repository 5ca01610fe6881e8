"""What people use to cut a picture down to a palette: Pillow, imagequant, and two commands.

Each takes an RGB picture ``(h, w, 3)`` and a number of colours, and gives the palette ``(k, 3)``.
None can be told where to start, and each has its own rule for when to stop. All are told not to
dither, which moves errors but does not change the palette.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
from PIL import Image

from .pictures import Picture

Palette = np.ndarray
MOST_COLORS = 256


@dataclass(frozen=True)
class Quantizer:
    """A way to a palette, and how its terms differ from a fit's."""

    title: str
    terms: str
    function: Callable[[Picture, int], Palette] | None = None
    package: str = ""  # to be imported
    words: tuple[str, ...] = ()  # a command, to be on the PATH, with {k}, {there} and {back}

    @property
    def command(self) -> str:
        """The name of the command, if it is one."""
        return self.words[0] if self.words else ""

    def filled(self, k: int, there: Path, back: Path) -> list[str]:
        """Return the command with its number of colours and its files."""
        return [word.format(k=k, there=there, back=back) for word in self.words]

    def palette(self, picture: Picture, k: int) -> Palette:
        """Return the palette; a command's time includes writing and reading PNG on both sides."""
        if self.function is not None:
            return self.function(picture, k)
        with tempfile.TemporaryDirectory() as folder:
            there, back = Path(folder, "in.png"), Path(folder, "out.png")
            Image.fromarray(picture).save(there, compress_level=1)
            subprocess.run(self.filled(k, there, back), check=True, capture_output=True)
            with Image.open(back) as found:
                return used_palette(found)

    def missing(self) -> str | None:
        """Return why it cannot be run here, if so."""
        if self.package:
            try:
                importlib.import_module(self.package)
            except ImportError as error:
                return f"cannot be imported ({error})"
        if self.command and self.version() is None:
            return f"no working {self.command!r} on the PATH"
        return None

    def version(self) -> str | None:
        """Return its version, or None if the command does not work."""
        if not self.command:
            return metadata.version(self.package or "pillow")
        if shutil.which(self.command) is None:
            return None
        run = subprocess.run([self.command, "--version"], capture_output=True, text=True)
        words = run.stdout.removeprefix("Version: ImageMagick").split()
        genuine = self.command == "pngquant" or run.stdout.startswith("Version: ImageMagick")
        return words[0] if run.returncode == 0 and words and genuine else None


def used_palette(indexed: Image.Image) -> Palette:
    """Return the colours of an indexed picture that occur in it."""
    colors = np.array(indexed.getpalette("RGB"), dtype=np.uint8).reshape(-1, 3)
    return colors[np.unique(np.asarray(indexed))]


def pillow_median_cut(picture: Picture, k: int) -> Palette:
    """Run Pillow's default."""
    image = Image.fromarray(picture)
    return used_palette(image.quantize(k, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))


def pillow_k_means(picture: Picture, k: int) -> Palette:
    """Run Pillow's default, refined by its k-means until its thresholds are met."""
    image = Image.fromarray(picture)
    return used_palette(
        image.quantize(k, Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE)
    )


def imagequant(picture: Picture, k: int) -> Palette:
    """Run libimagequant at its default quality."""
    import imagequant

    image = Image.fromarray(picture).convert("RGBA")
    return used_palette(imagequant.quantize_pil_image(image, dithering_level=0.0, max_colors=k))


def _magick() -> str:
    return "magick" if shutil.which("magick") else "convert"


OWN = "its own start and stop"
FILES = f"{OWN}; reads and writes PNG"
QUANTIZERS: dict[str, Quantizer] = {
    "pillow": Quantizer("Pillow, median cut", "no k-means", pillow_median_cut),
    "pillow-kmeans": Quantizer("Pillow, kmeans=1", OWN, pillow_k_means),
    "imagequant": Quantizer("imagequant", OWN, imagequant, package="imagequant"),
    "imagemagick": Quantizer(
        "ImageMagick",
        f"octree, no k-means; {FILES.split('; ')[1]}",
        words=(_magick(), "{there}", "+dither", "-colors", "{k}", "PNG8:{back}"),
    ),
    "pngquant": Quantizer(
        "pngquant",
        FILES,
        words=("pngquant", "--nofs", "--force", "--output", "{back}", "{k}", "{there}"),
    ),
}

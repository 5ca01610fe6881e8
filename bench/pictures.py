"""Pictures to measure on: made in code, or a real photograph brought to a size."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kmeans_fast import open_image

Picture = NDArray[np.uint8]

SCENE_PIXELS = 1_500_000  # the noiseless scene is painted at this size at most, then enlarged
BLOCK_ROWS = 256  # full-size rows in memory at once as floats


def photograph(megapixels: float, seed: int = 0) -> Picture:
    """Return a picture with the statistics of a photograph, 3 wide to 2 high.

    A shaded, textured scene of mostly dull and a few saturated surfaces, enlarged smoothly, then
    what a camera adds: noise that grows with the light, most of it in the brightness, that of
    the colour coarser. At 24 megapixels it has 355,000 distinct colours (photographs of that
    size: 30,000 to 700,000), and a pixel differs from the next by 2 levels (1 to 7).
    """
    return _shot(megapixels, seed, luma=1.0, chroma=0.5)


def sensor_noise(megapixels: float, seed: int = 0) -> Picture:
    """Return the scene of `photograph` as a raw high-ISO shot: millions of distinct colours.

    Every channel of every pixel has noise of its own, so that few pixels share a colour: at 12
    megapixels there are 3.8 million.
    """
    return _shot(megapixels, seed, luma=3.0, chroma=14.0)


def load(path: str | Path) -> Picture:
    """Return a picture file as RGB."""
    image = open_image(path, max_pixels=None)
    if image.dtype != np.uint8 or image.shape[2] < 3:
        raise ValueError(f"{path}: is {image.dtype} with {image.shape[2]} channels; give 8-bit RGB")
    return np.ascontiguousarray(image[..., :3])


def files_of(named: Iterable[str]) -> list[Path]:
    """Return the files that are named; of a folder all that are called as pictures are, by name."""
    known = Image.registered_extensions()
    found: list[Path] = []
    for path in map(Path, named):
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        found += [each for each in inside if each == path or each.suffix.lower() in known]
    return found


def read_all(named: Iterable[str]) -> tuple[Picture | None, list[Path], list[str]]:
    """Return the largest of the photographs, the files of all, its own first, and what failed."""
    largest: Picture | None = None
    files: list[Path] = []
    problems = []
    for path in files_of(named):
        try:
            image = load(path)
        except (OSError, ValueError) as error:
            problems.append(str(error))
            continue
        if largest is None or image.size > largest.size:
            largest = image
            files.insert(0, path)
        else:
            files.append(path)
    return largest, files, problems


def scaled(image: Picture, megapixels: float) -> Picture:
    """Return the picture with as many of its rows as make the size, from the top again if needed.

    Resampling would smooth the noise, or invent colours, and so change what is measured. Rows
    taken as they are keep the colours and the order in which pixels follow each other. A picture
    that is repeated has no more distinct colours than it had.
    """
    height, width = image.shape[:2]
    n_rows = max(1, round(megapixels * 1e6 / width))
    return np.take(image, np.arange(n_rows) % height, axis=0)


def thumbnail(image: Picture, side: int = 200) -> Picture:
    """Return `side` by `side` pixels of the picture, evenly spaced: real colours, no averages."""
    rows, columns = (np.linspace(0, size - 1, side).astype(int) for size in image.shape[:2])
    return np.ascontiguousarray(image[rows][:, columns])


def start_of(image: Picture, k: int) -> NDArray[np.float64]:
    """Return `k` colours of a picture, moved off whole numbers, exact in float32.

    From whole numbers many colours are exactly as near to two centroids. Ours has a rule for
    that; the peers' rounding decides, and their answers would differ from the first iteration.
    """
    rng = np.random.default_rng(k)
    colors = np.unique(image.reshape(-1, 3), axis=0)
    chosen = colors[rng.choice(len(colors), k, replace=False)] + rng.uniform(-0.4, 0.4, (k, 3))
    return chosen.astype(np.float32).astype(np.float64)


def n_colors(image: Picture) -> int:
    """Return the number of distinct colours."""
    seen = np.zeros(1 << 24, dtype=bool)
    for rows in np.array_split(image, max(1, image.size // 2**24)):
        r, g, b = (rows[..., channel].astype(np.uint32) for channel in range(3))
        seen[r << 16 | g << 8 | b] = True
    return int(seen.sum())


# --------------------------------------------------------------- how they are made


def _shape(megapixels: float) -> tuple[int, int]:
    """Return rows and columns, 2 to 3."""
    n_rows = max(2, round((megapixels * 1e6 * 2 / 3) ** 0.5))
    return n_rows, max(2, round(megapixels * 1e6 / n_rows))


def _scene(shape: tuple[int, int], rng: np.random.Generator) -> Picture:
    """Paint surfaces over each other, each of one colour, with a shape, light and texture."""
    rows, columns = shape
    y, x = np.mgrid[0 : 2 : rows * 1j, 0 : 3 : columns * 1j].astype(np.float32)
    ground = 0.35 + 0.1 * clouds(shape, 2, rng)[..., None]
    albedo = ground + np.array([0.08, 0.0, -0.1], dtype=np.float32) * (y[..., None] - 1)
    for size in np.geomspace(0.6, 0.05, 70):
        center_y, center_x = rng.uniform(0, 2), rng.uniform(0, 3)
        wide, high = size * rng.uniform(0.4, 1, 2)
        inside = ((x - center_x) / wide) ** 2 + ((y - center_y) / high) ** 2 < 1
        grey = rng.beta(1.5, 2.5)
        saturation = 0.9 if rng.random() < 0.2 else 0.25
        color = grey * (1 + saturation * rng.uniform(-1, 1, 3))
        slope = (x[inside] - center_x) / wide + (y[inside] - center_y) / high
        albedo[inside] = color.astype(np.float32) * (1 - 0.25 * slope[:, None])
    light = np.exp(0.5 * clouds(shape, 4, rng) - 0.6 + 0.08 * clouds(shape, 9, rng))
    linear = np.clip(albedo * light[..., None] * 1.3, 0.002, None)
    return (255 * (1 - np.exp(-2 * linear)) ** (1 / 1.6)).astype(np.uint8)


def clouds(shape: tuple[int, int], octaves: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return smooth noise of about unit variance, each octave finer and fainter."""
    rows, columns = shape
    total = np.zeros(shape, dtype=np.float32)
    for octave in range(octaves):
        lattice = rng.standard_normal((2 * 2**octave + 2, 3 * 2**octave + 2), dtype=np.float32)
        grown = Image.fromarray(lattice).resize((columns, rows), Image.Resampling.BICUBIC)
        total += np.asarray(grown) * 0.6**octave
    return total


def _shot(megapixels: float, seed: int, luma: float, chroma: float) -> Picture:
    """Enlarge the scene to the size, some rows at a time, and add noise to it."""
    rng = np.random.default_rng(seed)
    rows, columns = _shape(megapixels)
    image = np.empty((rows, columns, 3), dtype=np.uint8)
    source = Image.fromarray(_scene(_shape(min(megapixels, SCENE_PIXELS / 1e6)), rng))
    for first in range(0, rows, BLOCK_ROWS):
        n = min(BLOCK_ROWS, rows - first)
        top, bottom = (row * source.height / rows for row in (first, first + n))
        box = (0, top, source.width, bottom)
        grown = source.resize((columns, n), Image.Resampling.BICUBIC, box)
        block = np.asarray(grown, dtype=np.float32)
        noise = luma * rng.standard_normal((n, columns, 1), dtype=np.float32)
        noise = noise + chroma * _colored_noise(n, columns, chroma < luma, rng)
        noise *= 0.5 + 0.1 * np.sqrt(block[..., 1:2])  # shot noise: the root of the light
        np.clip(np.rint(block + noise), 0, 255, out=noise)
        image[first : first + n] = noise
    return image


def _colored_noise(rows: int, columns: int, coarse: bool, rng: np.random.Generator) -> Any:
    """Return noise of its own for each channel; coarse: 2 x 2 pixels share it, as in a JPEG."""
    if not coarse:
        return rng.standard_normal((rows, columns, 3), dtype=np.float32)
    half = rng.standard_normal(((rows + 1) // 2, (columns + 1) // 2, 3), dtype=np.float32)
    return half.repeat(2, axis=0)[:rows].repeat(2, axis=1)[:, :columns]

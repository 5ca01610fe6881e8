"""What the eye sees of a difference between two pictures: near, from afar, and in structure.

Two measures are mean distances in OKLab, times 100: one of about 2 can just be seen side by side.
*Grain* is that of the pixels as they are. The *blurred error* is that of both pictures blurred as
far eyes and fine screens do, in linear light, where dots of two colours mix to what they look like.
*DSSIM* is the structure that is lost, whether to dots or to bands: half of 1 - SSIM (Z. Wang, A. C.
Bovik, H. R. Sheikh, E. P. Simoncelli, Image quality assessment, 2004), times 100 as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kmeans_fast.spaces import to_oklab

SIGMA = 1.5  # pixels
REACH = 6  # pixels on each side, four sigmas
STEADY = (0.01 * 255) ** 2, (0.03 * 255) ** 2  # what keeps SSIM steady in dark, and in flat areas
LEVELS = np.arange(256) / 255
LINEAR = np.where(LEVELS <= 0.04045, LEVELS / 12.92, ((LEVELS + 0.055) / 1.055) ** 2.4)


def grain(image: NDArray[np.uint8], shown: NDArray[np.uint8]) -> float:
    """Return 100 times the mean distance in OKLab of two pictures, uint8 (h, w, 3)."""
    return _difference(image.reshape(-1, 3), shown.reshape(-1, 3))


def blurred_error(
    image: NDArray[np.uint8], shown: NDArray[np.uint8], sigma: float = SIGMA
) -> float:
    """Return the same of both pictures after a Gaussian blur in linear light."""
    return _difference(*(_encoded(_blurred(LINEAR[each], sigma)) for each in (image, shown)))


def dssim(image: NDArray[np.uint8], shown: NDArray[np.uint8]) -> float:
    """Return 50 times 1 - SSIM of two pictures, of windows of sigma 1.5; the mean of R, G, B."""
    one, other = image.astype(np.float64), shown.astype(np.float64)
    products = (one, other, one * one, other * other, one * other)
    a, b, aa, bb, ab = (_blurred(each, SIGMA) for each in products)
    light, contrast = STEADY
    alike = (2 * a * b + light) / (a * a + b * b + light)
    alike *= (2 * (ab - a * b) + contrast) / (aa - a * a + bb - b * b + contrast)
    return float(50 * (1 - alike.mean()))


def _difference(one: NDArray[np.generic], other: NDArray[np.generic]) -> float:
    gaps = to_oklab(one) - to_oklab(other)
    return float(100 * np.sqrt(np.square(gaps).sum(axis=1)).mean())


def _blurred(light: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Blur (h, w, c) along both axes; edges are repeated."""
    reach = int(np.ceil(REACH * sigma / SIGMA))
    weights = np.exp(-0.5 * np.square(np.arange(-reach, reach + 1) / sigma))
    weights /= weights.sum()
    for axis in (0, 1):
        sides = [(0, 0)] * 3
        sides[axis] = reach, reach
        padded = np.moveaxis(np.pad(light, sides, "edge"), axis, 0)
        n = light.shape[axis]
        moved = sum(weight * padded[at : at + n] for at, weight in enumerate(weights))
        light = np.moveaxis(moved, 0, axis)
    return light


def _encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sRGB, 0 to 255, of linear light, (n, 3)."""
    light = light.reshape(-1, 3)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return 255 * encoded

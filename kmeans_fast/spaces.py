"""Colour spaces that a fit of a picture can measure distances in."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

Space = Literal["rgb", "oklab"]
SPACES = get_args(Space)

# Linear sRGB to the cones' responses, and their cube roots to lightness and two opponents.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OPPONENTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
_FROM_CONES = np.linalg.inv(_CONES)
_FROM_OPPONENTS = np.linalg.inv(_OPPONENTS)


def _mix(colors: Floats, matrix: Floats) -> Floats:
    """Return ``colors @ matrix.T``, with the same bits wherever a colour stands."""
    x, y, z = colors.T
    return np.stack([a * x + b * y + c * z for a, b, c in matrix], axis=1)


def to_oklab(colors: ArrayLike, largest: float = 255.0) -> Floats:
    """Convert sRGB colours to OKLab, in which equal distances look about equally large.

    Parameters
    ----------
    colors : array_like, shape (m, 3)
        Gamma-encoded sRGB, 0 to `largest`; what lies outside is clipped.
    largest : float
        White: 255 for 8 bits, 65535 for 16.

    Returns
    -------
    ndarray of float64, shape (m, 3)
        Lightness, 0 to 1, and the green-red and blue-yellow opponents, about -0.4 to 0.4.

    References
    ----------
    .. [1] B. Ottosson, "A perceptual color space for image processing", 2020,
       https://bottosson.github.io/posts/oklab/

    Examples
    --------
    >>> to_oklab([[255, 255, 255], [255, 0, 0]]).round(3) + 0.0
    array([[1.   , 0.   , 0.   ],
           [0.628, 0.225, 0.126]])
    """
    encoded = np.clip(np.asarray(colors, dtype=np.float64) / largest, 0.0, 1.0)
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return _mix(np.cbrt(_mix(linear, _CONES)), _OPPONENTS)


def from_oklab(lab: ArrayLike, largest: float = 255.0) -> Floats:
    """Convert OKLab to sRGB, the inverse of `to_oklab`; what no screen shows is clipped.

    Examples
    --------
    >>> from_oklab(to_oklab([[12, 200, 99]])).round(6)
    array([[ 12., 200.,  99.]])
    """
    cones = _mix(np.asarray(lab, dtype=np.float64), _FROM_OPPONENTS) ** 3
    linear = np.clip(_mix(cones, _FROM_CONES), 0.0, 1.0)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    colors: Floats = np.clip(encoded * largest, 0.0, largest)
    return colors

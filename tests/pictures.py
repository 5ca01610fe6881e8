"""Pictures made in code."""

import numpy as np


def few_colors(shape=(30, 40, 3), levels=5, dtype=np.uint8, seed=0):
    """Return a picture of few colours with many exact ties between them."""
    steps = np.iinfo(dtype).max // levels
    return (np.random.default_rng(seed).integers(0, levels, shape) * steps).astype(dtype)


def photograph(height=120, width=160, channels=3, dtype=np.uint8, seed=0):
    """Return smooth shading with noise: many colours, close together."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = [
        0.5 + 0.3 * np.sin(3 * x + c) * np.cos(2 * y - c) + 0.1 * (x > 0.6) for c in range(channels)
    ]
    picture = np.stack(planes, axis=-1) + rng.normal(0, 0.02, (height, width, channels))
    largest = np.iinfo(dtype).max
    return np.clip(picture * largest, 0, largest).astype(dtype)


def noise(height, width, channels=3, dtype=np.uint8, seed=0):
    """Return pixels that have nothing to do with each other."""
    largest = np.iinfo(dtype).max
    shape = (height, width, channels)
    return np.random.default_rng(seed).integers(0, largest + 1, shape).astype(dtype)


def some_points(picture, k, seed=0):
    """Return `k` distinct pixels, float64, to start from."""
    colors = np.unique(picture.reshape(-1, picture.shape[-1]), axis=0)
    chosen = np.random.default_rng(seed).choice(len(colors), k, replace=False)
    return colors[chosen].astype(np.float64)

"""The mask of blue noise for ordered dithering: ``python -m tests.blue_noise`` writes it anew.

By void and cluster (R. Ulichney, "The void-and-cluster method for dither array generation", 1993),
on a torus, with energies in whole numbers: the mask is the same on every machine.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

import kmeans_fast

PATH = Path(kmeans_fast.__file__).parent / "blue_noise.npy"
SIDE = 64
SIGMA = 1.9  # pixels
FIRST = 10  # one of so many pixels is in the first pattern
LEVELS = 256


class Pattern:
    """Some pixels of a torus, and how crowded it is at each."""

    def __init__(self, side: int) -> None:
        gaps = np.minimum(np.arange(side), side - np.arange(side))
        bell = np.exp(-(gaps[:, None] ** 2 + gaps**2) / (2 * SIGMA**2))
        self._bells = np.tile(np.rint(2**24 * bell).astype(np.int64), (2, 2))
        self._side = side
        self.there = np.zeros(side * side, bool)
        self.crowd = np.zeros((side, side), np.int64)

    def change(self, pixel: int) -> None:
        """Add a pixel, or take it away."""
        row, column = (self._side - at for at in divmod(pixel, self._side))
        bell = self._bells[row : row + self._side, column : column + self._side]
        self.there[pixel] ^= True
        self.crowd += bell if self.there[pixel] else -bell

    def cluster(self) -> int:
        """Return the pixel where it is most crowded."""
        return int(np.where(self.there, self.crowd.reshape(-1), -1).argmax())

    def void(self) -> int:
        """Return the pixel that is missing most."""
        return int(np.where(self.there, np.iinfo(np.int64).max, self.crowd.reshape(-1)).argmin())


def rank_pixels(side: int) -> np.ndarray:
    """Return the order (side, side) in which pixels are added to be spread evenly at all times."""
    pattern = Pattern(side)
    n = side * side
    for pixel in np.argsort(np.random.PCG64(0).random_raw(n), kind="stable")[: n // FIRST]:
        pattern.change(int(pixel))
    while True:
        cluster = pattern.cluster()
        pattern.change(cluster)
        void = pattern.void()
        pattern.change(void)
        if void == cluster:
            break
    first = np.flatnonzero(pattern.there)
    ranks = np.empty(n, np.int64)
    for rank in range(len(first) - 1, -1, -1):
        cluster = pattern.cluster()
        ranks[cluster] = rank
        pattern.change(cluster)
    for pixel in first:
        pattern.change(int(pixel))
    for rank in range(len(first), n):
        void = pattern.void()
        ranks[void] = rank
        pattern.change(void)
    return ranks.reshape(side, side)


def make_mask() -> np.ndarray:
    """Return the mask: uint8 (64, 64), each level equally often."""
    return (rank_pixels(SIDE) * LEVELS // SIDE**2).astype(np.uint8)


if __name__ == "__main__":
    np.save(PATH, make_mask())

"""The squared distance of each point to the nearest centre so far, for seeding dense points."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..kernels import dense as kernels
from .quanta import Integers, bits_below, choose_quanta, join, log2

if TYPE_CHECKING:
    from .dense import DensePoints

# Up to here a draw keeps 30 bits below the largest value when points count as repeated.
MAX_REPEATS = 2**32

Floats = NDArray[np.float64]


class NearestSearch:
    """The squared distance of each point to the nearest of the centers so far: for k-means++.

    Add a center before the first draw.
    """

    def __init__(self, points: DensePoints) -> None:
        self._of = points
        self._repeats, self._weights = points._repeats, points._weights
        if self._weights is None and self._repeats is not None and points._n_copies > MAX_REPEATS:
            self._weights, self._repeats = self._repeats.astype(np.float64), None
        self._n_values = points._n_copies if self._weights is None else points._n
        self._closest = np.full(points._n, np.inf)
        self._largest = math.inf

    def add(self, center: Floats) -> None:
        """Take one more center into account."""
        center = np.ascontiguousarray(center, dtype=np.float64)
        largest = self._of._threads.map(
            lambda chunk: kernels.lower_sq_dists(
                self._of._points, *chunk, center, self._repeats, self._weights, self._closest
            ),
            self._of._chunks,
        )
        self._largest = max(largest)

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n points (n, d), drawn by weight times squared distance.

        Where all lie on centers, by weight alone.
        """
        quanta = choose_quanta(self._largest, self._n_values, 62 - log2(self._n_values))
        chunks = self._of._chunks

        def weigh(chunk: tuple[int, int], target: int = -1) -> tuple[int, int]:
            found: tuple[int, int] = kernels.weigh_points(
                *chunk, self._closest, self._repeats, self._weights, quanta, target
            )
            return found

        ends = np.cumsum([total for _, total in self._of._threads.map(weigh, chunks)])
        if ends[-1] == 0:
            return np.stack([self._of.draw(rng) for _ in range(n)])
        drawn = []
        for ticket in rng.integers(ends[-1], size=n):
            at = int(np.searchsorted(ends, ticket, side="right"))
            drawn.append(weigh(chunks[at], int(ticket - (ends[at - 1] if at else 0)))[0])
        return self._of.take(np.array(drawn))

    def potentials(self, candidates: Floats) -> Floats:
        """Return, for each candidate, the sum of weight times squared distance with it added."""
        candidates = np.ascontiguousarray(candidates, dtype=np.float64)
        quanta = choose_quanta(self._largest, self._n_values, bits_below(self._n_values))

        def add(start: int, stop: int, sums: Integers) -> None:
            kernels.add_potentials(
                self._of._points, start, stop, candidates, self._closest,
                self._repeats, self._weights, quanta, sums,
            )  # fmt: skip

        (sums,) = self._of._gather(add, (len(candidates), len(quanta)))
        unit = Fraction(quanta[-1])
        return np.array([float(n * unit) for n in join(sums, quanta)])

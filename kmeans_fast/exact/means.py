"""Means of sums in limbs, rounded once: what Python's integers give, in far less time.

512 x 512 of them take 0.5 ms, or 0.8 ms with two limbs; Python's integers take 60 ms.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import quotients as kernels
from ..threads import Threads
from .quanta import Integers, join

Floats = NDArray[np.float64]

# With fewer quotients (2 to 3 ns each) a second thread costs what it saves: 40 us to start.
WORTH_THREADS = 50_000


def divide_limbs(
    sums: Integers,
    units: tuple[float, ...],
    weights: Integers,
    weight_units: tuple[float, ...],
    previous: NDArray[Any],
    threads: Threads | None = None,
) -> Floats:
    """Return ``(units @ sums) / (weights @ weight_units)``, rounded once to float64.

    Parameters
    ----------
    sums : ndarray of int64, shape (k, limbs, d)
    units : tuple of float
        Powers of two, the largest first: what one of each limb stands for.
    weights : ndarray of int64, shape (k, weight_limbs)
        Not negative when joined, though a limb may be.
    weight_units : tuple of float
    previous : ndarray, shape (k, d)
        The rows to keep where the weight is zero.
    threads : Threads, optional
        They share the rows where there are many quotients.

    Raises
    ------
    OverflowError
        If a quotient is beyond float64.
    """
    means = np.array(previous, dtype=np.float64, order="C")
    doubtful = np.zeros(means.shape, np.bool_)
    if fit_kernel(units, weight_units):
        operands = (
            np.ascontiguousarray(sums), np.array(units),
            np.ascontiguousarray(weights), np.array(weight_units),
        )  # fmt: skip

        def divide(start: int, stop: int) -> None:
            kernels.divide(*operands, start, stop, means, doubtful)

        k = len(means)
        if threads is None or threads.n == 1 or means.size < WORTH_THREADS:
            divide(0, k)
        else:
            edges = np.linspace(0, k, 1 + min(k, threads.n)).astype(int)
            threads.map(lambda i: divide(edges[i], edges[i + 1]), range(edges.size - 1))
    else:
        doubtful[join(weights, weight_units) > 0] = True
    if doubtful.any():
        rows, columns = np.nonzero(doubtful)
        scale = Fraction(units[-1]) / Fraction(weight_units[-1])
        # Python's quotient of two integers, however long, is rounded once.
        tops = join(sums[rows, :, columns], units) * scale.numerator
        means[rows, columns] = tops / (join(weights[rows], weight_units) * scale.denominator)
    return means


@lru_cache(maxsize=64)
def fit_kernel(units: tuple[float, ...], weight_units: tuple[float, ...]) -> bool:
    """Return whether three float64 hold any sum and any weight, and one their units' quotient."""
    spans = [side[0] / side[-1] for side in (units, weight_units)]
    return max(spans) <= 2.0**80 and units[0] / weight_units[0] < math.inf

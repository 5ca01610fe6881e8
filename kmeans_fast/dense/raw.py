"""Some of the points of a dense point set as they were given, before all are known."""

from __future__ import annotations

import math
from threading import Lock
from typing import Any, NamedTuple

import numpy as np

from ..exact.quanta import Integers
from ..exact.weights import Summary, summarize
from ..exact.weights import merge as merge_summaries
from ..kernels import dense_data
from ..threads import Threads
from .questions import Alone, Array, Floats, concatenate, merged_by, widen

# Points, and numbers, in a unit of work that NumPy does, of several calls that wait for the GIL.
LEAST_MEASURED, MEASURED = 2**14, 2**20
# Whole numbers of 16 bits stay what they are with so many features; fewer become floats.
LEAST_WHOLE = 4


class WeightRule(NamedTuple):
    """What weights are: repeats, which count copies, or factors of the values."""

    are_repeats: bool
    are_factors: bool
    quanta: tuple[float, ...]  # of their totals
    lift: float = 1.0  # what factors are multiplied by, so that no product underflows

    @property
    def unweighted(self) -> bool:
        """Whether every point counts once."""
        return not (self.are_repeats or self.are_factors)

    def split(self, weights: Array | None) -> tuple[Integers | None, Floats | None]:
        """Return the weights as repeats or as factors."""
        if weights is None:
            return None, None
        if self.are_repeats:
            return np.ascontiguousarray(weights, dtype=np.int64), None
        return None, np.ascontiguousarray(weights, dtype=np.float64)


class Measured(NamedTuple):
    """What is found in one look at all points."""

    bad_row: int  # the first that holds NaN or infinity, or -1
    low: Floats  # the box of the points that have weight
    high: Floats
    largest: float  # magnitude
    least: float  # magnitude that is not zero, of the points that have weight
    largest_product: float  # of a factor and a magnitude
    n_copies: int  # points, each counted by its repeats
    most_repeats: int
    heaviest: float  # the largest factor

    @property
    def reach(self) -> float:
        """The largest magnitude of the points that have weight."""
        return max(-float(self.low.min()), float(self.high.max()))


def merge_measured(answers: list[Measured]) -> Measured:
    """Return what is found at all parts."""
    if len(answers) == 1:
        return answers[0]
    bad, low, high, largest, least, products, n_copies, repeats, heaviest = zip(
        *answers, strict=True
    )
    return Measured(
        min((row for row in bad if row >= 0), default=-1),
        *widen(list(zip(low, high, strict=True))),
        max(largest), min(least), max(products), sum(n_copies), max(repeats), max(heaviest),
    )  # fmt: skip


class RawPart(Alone):
    """Some points, to be checked and measured.

    Parameters
    ----------
    points : ndarray, shape (n, d)
        Real numbers, in any layout, with n and d at least 1. float32 and float64 in C order are
        used where they are, and so are int16 and uint16 of `LEAST_WHOLE` features or more; others
        are copied: 16 bits or fewer to float32 or int16, the rest to float64.
    weights : ndarray of float64 or int64, shape (n,), or None
        Not negative.
    threads : Threads
    start : int
        The number of its first point among those of all parts.
    number : int
        Its own number among the parts.
    """

    def __init__(
        self,
        points: Array,
        weights: Array | None,
        threads: Threads,
        start: int = 0,
        number: int = 0,
    ) -> None:
        self.points: Array = as_numbers(points)
        self.shape: tuple[int, int] = (self.points.shape[0], self.points.shape[1])
        self.dtype: np.dtype[Any] = points.dtype
        self.is_weighted: bool = weights is not None
        self.weights = weights
        self.threads = threads
        self.start = start
        self.number = number
        self.lock: Lock = Lock()  # of a worker's threads, as that of `DensePart`

    @merged_by(merge_summaries)
    def summarize_weights(self) -> Summary:
        """Return what the rule for all weights goes by."""
        assert self.weights is not None
        return summarize(self.weights)

    @merged_by(merge_measured)
    def measure(self, rule: WeightRule) -> Measured:
        """Check the points, and return their box, magnitudes and weights."""
        n, d = self.shape
        repeats, factors = rule.split(self.weights)

        flat = self.points.reshape(-1)

        def measure(start: int) -> Measured:
            low, high = np.full(d, np.inf), np.full(d, -np.inf)
            rows = start, min(start + size, n)
            bad_row, largest_product = -1, 0.0
            if rule.unweighted:
                is_float = flat.dtype.kind == "f"
                measure_all = dense_data.measure_all if is_float else dense_data.measure_whole
                least, largest = measure_all(flat, *rows, low, high)
                if not math.isfinite(largest):
                    are_finite = np.isfinite(self.points[slice(*rows)]).all(axis=1)
                    bad_row = start + int(are_finite.argmin())
            else:
                bad_row, largest, least, largest_product = dense_data.measure_points(
                    self.points, *rows, repeats, factors, low, high
                )
            bad_row = bad_row + self.start if bad_row >= 0 else -1
            return Measured(bad_row, low, high, largest, least, largest_product, 0, 1, 1.0)

        size = max(LEAST_MEASURED, MEASURED // d)
        return merge_measured(self.threads.map(measure, range(0, n, size)))._replace(
            n_copies=n if repeats is None else int(repeats.sum()),
            most_repeats=1 if repeats is None else int(repeats.max()),
            heaviest=1.0 if factors is None else float(factors.max()),
        )

    @merged_by(concatenate)
    def every(self, step: int) -> Array:
        """Return every so many-th point of all."""
        return self.points[-self.start % step :: step]

    def __sizeof__(self) -> int:
        """Return the memory of the data, by which Dask decides where to keep what."""
        return self.points.nbytes + (0 if self.weights is None else self.weights.nbytes)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what a copy on another machine is made from."""
        return _copied, (self.points, self.weights, self.threads.n, self.start, self.number)


def _copied(
    points: Array, weights: Array | None, n_threads: int, start: int, number: int
) -> RawPart:
    return RawPart(points, weights, Threads(n_threads), start, number)


def as_numbers(points: Array) -> Array:
    """Return the points as a read-only array in C order, in a type that kernels take, exactly."""
    if points.dtype.kind in "iu" and points.dtype.itemsize == 8:
        largest = max(int(points.max()), -int(points.min()))
        if largest > 2**53:
            raise ValueError(
                f"data holds integers up to {largest}, more than float64 holds exactly (2**53); "
                "subtract or divide by a constant, or convert the data to float64"
            )
    return frozen(np.ascontiguousarray(points, dtype=type_of_numbers(points)))


def type_of_numbers(points: Array) -> np.dtype[Any]:
    """Return the type that kernels take for the numbers of some points (..., d)."""
    kind, size = points.dtype.kind, points.dtype.itemsize
    if kind in "iu" and size <= 2 and points.shape[-1] >= LEAST_WHOLE:
        return np.dtype(np.uint16 if kind == "u" and size == 2 else np.int16)
    return np.dtype(np.float32 if size <= (4 if kind == "f" else 2) else np.float64)


def frozen(points: Array) -> Array:
    """Return a read-only view, as all points are: kernels are compiled for that."""
    view = points.view()
    view.flags.writeable = False
    return view

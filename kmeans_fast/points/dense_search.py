"""The squared distance of each point to the nearest centre so far, for seeding dense points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..kernels import dense_seeds as kernels
from .quanta import Integers, bits_below, choose_quanta, join, log2

if TYPE_CHECKING:
    from .dense import DensePoints

# Up to here a draw keeps 30 bits below the largest value when points count as repeated.
MAX_REPEATS = 2**32

# The points are sorted into cells where so many candidates a draw promise many draws (20
# clusters or more, see `seeding`), and there are points enough.
WORTH_SORTING = 5
FEW_POINTS = 4096

# Sorted points are copied in their new order (where features are few, a row a feature) while the
# copy has so many bytes at most. Larger data are gathered cell by cell: 2.7x slower at d = 128.
MOST_COPIED = 2**26

# Less work than this, in distances times features, is done before a second thread has started.
WORTH_THREADS = 1_000_000

Floats = NDArray[np.float64]


class NearestSearch:
    """The squared distance of each point to the nearest of the centers so far: for k-means++.

    Add a center before the first draw. A center is held back until the sums are asked for: how
    many candidates are drawn says whether it pays to sort the points first. Nothing that is
    returned depends on the cells, on threads or on chunks.
    """

    def __init__(self, points: DensePoints) -> None:
        self._of = points
        self._repeats, self._weights = points._repeats, points._weights
        if self._weights is None and self._repeats is not None and points._n_copies > MAX_REPEATS:
            self._weights, self._repeats = self._repeats.astype(np.float64), None
        self._n_values = points._n_copies if self._weights is None else points._n
        n, d = points._n, points.n_features
        # Chunks of the points, in their own order, whose sums a draw goes by.
        self._shift = max(8, log2(n) - 12)
        self._n_chunks = ((n - 1) >> self._shift) + 1
        # Estimates err by a part in 2**24 or 2**53 a step, twice that is allowed.
        epsilon = float(np.finfo(points._points.dtype).eps)
        self._slack = (d + 8) * epsilon
        self._margin = 1.0 + (d + 16) * 2.0**-49
        self._waiting: list[Floats] = []
        self._tried = np.empty((0, d))
        self._quanta: tuple[float, ...] = ()
        self._sorted: bool | None = None
        self._light = False
        self.n_tried = 0  # distances worked out for candidates

    _touched: Integers
    _totals: Integers

    def add(self, center: Floats) -> None:
        """Take one more center into account."""
        self._waiting.append(np.array(center, dtype=np.float64))

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n points (n, d), drawn by weight times squared distance.

        Where all lie on centers, by weight alone.
        """
        self._catch_up(n)
        ends = np.cumsum(self._chunk_totals)
        if ends[-1] == 0:
            return np.stack([self._of.draw(rng) for _ in range(n)])
        tickets = rng.integers(ends[-1], size=n)
        drawn = np.empty(n, np.int64)
        kernels.find_points(
            tickets, ends, self._shift, self._inverse, self._closest,
            self._repeats, self._weights, self._quanta[0], drawn,
        )  # fmt: skip
        return self._of.take(drawn)

    def potentials(self, candidates: Floats) -> Floats:
        """Return, for each candidate, the sum of weight times squared distance with it added."""
        self._catch_up(len(candidates))
        candidates = np.ascontiguousarray(candidates, dtype=np.float64)
        sums = np.concatenate(
            [self._try(candidates[i : i + 60]) for i in range(0, len(candidates), 60)]
        )
        unit = self._quanta[-1]  # a power of two, of which the sums are whole numbers
        return np.array([float(n) * unit for n in join(sums + self._total, self._quanta)])

    # ------------------------------------------------------------------------------ within

    def _catch_up(self, n_candidates: int) -> None:
        """Add the centers that wait."""
        if self._sorted is None:
            self._make_cells(n_candidates)
        for center in self._waiting:
            self._lower(center)
        self._waiting.clear()

    def _try(self, candidates: Floats) -> Integers:
        """Return the changes of the sum that each candidate would make, in limbs."""
        with np.errstate(over="ignore"):
            natives = candidates.astype(self._of._points.dtype)
        slack = self._slack if np.array_equal(natives, candidates) else math.inf

        def work(part: tuple[int, int]) -> tuple[Integers, int]:
            sums = np.zeros((len(candidates), len(self._quanta)), np.int64)
            n_tried = kernels.try_cells(
                self._seen, self._places, self._order, self._starts, self._columns, *part,
                self._middles, self._far, candidates, natives, slack, self._touched, self._closest,
                self._repeats, self._weights, self._quanta, self._totals, sums,
            )  # fmt: skip
            return sums, n_tried

        answers = [work(self._all)] if self._light else self._of._threads.map(work, self._parts)
        self._tried = candidates
        n_tried = sum(n for _, n in answers)
        self.n_tried += n_tried
        self._light = self._is_light(n_tried, len(candidates))
        total: Integers = np.sum([sums for sums, _ in answers], axis=0)
        return total

    def _is_light(self, n_tried: int, n_candidates: int) -> bool:
        """Say whether so much work is best done by one thread; the next draw's is much the same."""
        d = self._of.n_features
        n_tests = n_candidates * self._middles.shape[1]
        return bool(n_tried * (d + 8) + n_tests * d / 4 < WORTH_THREADS)

    def _lower(self, center: Floats) -> None:
        """Lower the distances to a center, and bring the sums up to date."""
        centers, fresh = center[None], not self._quanta
        same = np.flatnonzero((self._tried == center).all(axis=1))
        if same.size:
            bit = 1 << int(same[0])
        else:
            bit = 1
            if fresh:
                self._touched[:] = 1
            else:
                self._try(centers)

        def work(part: tuple[int, int]) -> tuple[Integers, Integers]:
            change = np.zeros(max(len(self._quanta), 1), np.int64)
            chunk_change = np.zeros(self._n_chunks, np.int64)
            kernels.lower_cells(
                self._seen, self._places, self._order, self._starts, self._columns, *part,
                centers, self._touched, bit, self._radii, self._margin, self._shift,
                self._sorted, fresh, self._closest,
                self._repeats, self._weights, self._quanta or (1.0, 1.0), self._far,
                self._heaviest, self._totals, change, chunk_change,
            )  # fmt: skip
            return change, chunk_change

        answers = [work(self._all)] if self._light else self._of._threads.map(work, self._parts)
        self._tried = self._tried[:0]
        n = self._n_values
        quanta = choose_quanta(float(self._heaviest.max()), n, bits_below(n))
        if quanta != self._quanta:
            self._quanta = quanta
            self._add_up()
        else:
            for change, chunk_change in answers:
                self._total += change
                self._chunk_totals += chunk_change

    def _add_up(self) -> None:
        """Add up everything, in other quanta."""
        n_limbs = len(self._quanta)
        self._totals = np.zeros((len(self._starts) - 1, n_limbs), np.int64)

        def work(part: tuple[int, int]) -> tuple[Integers, Integers]:
            change = np.zeros(n_limbs, np.int64)
            chunk_change = np.zeros(self._n_chunks, np.int64)
            kernels.total_cells(
                self._order, self._starts, *part, self._shift, self._sorted, self._closest,
                self._repeats, self._weights, self._quanta, self._totals, change, chunk_change,
            )  # fmt: skip
            return change, chunk_change

        totals, chunk_totals = zip(*self._of._threads.map(work, self._parts), strict=True)
        self._total = np.sum(totals, axis=0)
        self._chunk_totals = np.sum(chunk_totals, axis=0)

    # ------------------------------------------------------------------------------- cells

    def _make_cells(self, n_candidates: int) -> None:
        """Cut the points into cells: sorted, or as they come."""
        points, n, d = self._of._points, self._of._n, self._of.n_features
        index_type = np.int32 if n < 2**31 else np.int64
        by_threads = self._of._threads.map
        in_order: Integers = np.arange(n, dtype=index_type)
        self._sorted = sort = n_candidates >= WORTH_SORTING and n >= FEW_POINTS
        if sort:
            firsts = self._sort(in_order, n_candidates)
        else:
            firsts = np.append(np.arange(0, n, kernels.SIZE), n)
        lanes = 1 if d >= kernels.WIDE else kernels.LANES
        self._starts = np.append(0, np.cumsum(-(-np.diff(firsts) // lanes) * lanes))
        n_cells, n_slots = len(firsts) - 1, int(self._starts[-1])
        edges = np.linspace(0, n_cells, 1 + min(n_cells, self._n_parts())).astype(int).tolist()
        self._parts = list(zip(edges[:-1], edges[1:], strict=True))
        self._all = (0, n_cells)
        copied, wide = points.nbytes <= MOST_COPIED, d >= kernels.WIDE
        self._columns = np.empty(n_slots * d if copied and not wide else 0, points.dtype)
        self._radii = np.full(n_cells, np.inf)
        self._middles = np.empty((d, n_cells if sort else 0), points.dtype)
        self._order = np.empty(n_slots, index_type)
        self._inverse = np.empty(n, index_type)
        self._closest = np.empty(n_slots)

        def lay_out(part: tuple[int, int]) -> None:
            kernels.lay_out(
                points, in_order, firsts, self._starts, *part, self._repeats, self._weights,
                self._order, self._inverse, self._columns, self._closest,
            )  # fmt: skip
            if sort:
                kernels.measure_cells(
                    points, self._order, self._starts, *part, self._middles, self._radii
                )

        by_threads(lay_out, self._parts)
        self._seen, self._places = points, self._order
        if sort and copied and wide:
            self._seen, self._places = points[self._order], np.arange(n, dtype=index_type)
        self._far = np.full(n_cells, np.inf)
        self._heaviest = np.zeros(n_cells)
        self._totals = np.zeros((n_cells, 2), np.int64)
        self._touched = np.empty(n_cells, np.int64)
        self._light = self._is_light(n * n_candidates, n_candidates)

    def _n_parts(self) -> int:
        """Return in how many parts to hand out the work."""
        return 4 * self._of._threads.n if self._of._threads.n > 1 else 1

    def _sort(self, order: Integers, n_candidates: int) -> Integers:
        """Sort the order, so that near points come together; return where cells start.

        In two rounds: by the nearest of some of all points, then each group by the nearest of
        some of its own.
        """
        points, n = self._of._points, self._of._n
        by_threads = self._of._threads.map
        most = n / (48 if points.shape[1] >= kernels.WIDE else 96)
        n_cells = min(most, 16 * math.exp(n_candidates - 1.5))
        n_pivots = math.ceil(math.sqrt(n_cells))
        labels, least = np.zeros(n, np.int32), np.full(n, np.inf, points.dtype)
        pivots = points[np.arange(n_pivots) * n // n_pivots]
        nothing = np.empty(0, points.dtype)
        by_threads(
            lambda chunk: kernels.lower_estimates(
                points, order, *chunk, nothing, pivots, 0, labels, least
            ),
            self._of._chunks,
        )
        scratch = np.empty_like(order)
        sizes = np.empty(n_pivots, np.int64)
        kernels.sort_by_label(labels, order, 0, n, sizes, scratch)
        ends = np.cumsum(sizes)

        def split(group: int) -> Integers:
            counts = np.zeros(2 * math.ceil(sizes[group] / (n / n_cells)), np.int64)
            stop = int(ends[group])
            kernels.split_group(
                points, order, stop - int(sizes[group]), stop, labels, least, scratch, counts
            )
            return counts

        counts = np.concatenate(by_threads(split, np.flatnonzero(sizes).tolist()))
        counts = counts[counts > 0]
        # What is too large for a cell becomes several, about as large.
        pieces = -(-counts // kernels.SIZE)
        cell_sizes = np.repeat(counts // pieces, pieces)
        nth = np.arange(cell_sizes.size) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        cell_sizes += nth < np.repeat(counts % pieces, pieces)
        firsts: Integers = np.append(0, np.cumsum(cell_sizes))
        return firsts

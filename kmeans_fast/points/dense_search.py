"""The squared distance of each point to the nearest centre so far, for seeding dense points."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import dense_seeds as kernels
from .quanta import Integers, log2

if TYPE_CHECKING:
    from .dense import DensePoints

# Up to here a draw keeps 25 bits of the mean value when points count as repeated.
MAX_REPEATS = 2**26
# The sum of all squared distances is below 2**TOP; below 2**BOTTOM it counts as zero.
TOP, BOTTOM = 192, -960

# The points are labelled with cells where so many candidates a draw promise many draws (20
# clusters or more, see `seeding`), and there are points enough.
WORTH_CELLS = 5
FEW_POINTS = 4096
# Then 64 labels are compared with to find one, and distances to the middles stay in the cache.
MOST_CELLS = 4096

Floats = NDArray[np.float64]


class NearestSearch:
    """The squared distance of each point to the nearest of the centers so far: for k-means++.

    Add a center before the first draw. A center is held back until the sums are asked for: how
    many candidates are drawn says whether it pays to divide the points into cells. Nothing that is
    returned depends on the cells, on threads or on chunks.

    Of memory it takes 11 bytes a point: the distance, the cell and the distance to its middle, and
    which candidates would lower the distance.
    """

    def __init__(self, points: DensePoints) -> None:
        self._of = points
        self._data, self._exponent = self._scaled()
        n, d = points._n, points.n_features
        self._top = TOP
        # Chunks of the points, in their own order, whose sums a draw goes by.
        self._shift = max(8, log2(n) - 12)
        self._n_chunks = ((n - 1) >> self._shift) + 1
        # A squared distance errs by a part in 2**24 a step, and so does one to a middle.
        self._loose = np.float32(1.0 + (d + 16) * 2.0**-22)
        self._tight = np.float32(1.0 - (d + 16) * 2.0**-22)
        self._waiting: list[Floats] = []
        self._tried = np.empty((0, d))
        self._magic = 0.0
        self._is_ready = False
        self.n_tried = 0  # distances worked out for candidates

    def add(self, center: Floats) -> None:
        """Take one more center into account."""
        self._waiting.append(np.array(center, dtype=np.float64))

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n points (n, d), drawn by weight times squared distance.

        Where all lie on centers, by weight alone.
        """
        self._catch_up(n)
        if self._total == 0:
            return np.stack([self._of.draw(rng) for _ in range(n)])
        tickets = rng.integers(self._total, size=n)
        drawn = np.empty(n, np.int64)
        kernels.find_points(
            self._data, self._closest, self._shift, tickets, self._ends, self._magic, drawn
        )
        return self._of.take(drawn)

    def potentials(self, candidates: Floats) -> Floats:
        """Return, for each candidate, the sum of weight times squared distance with it added."""
        self._catch_up(len(candidates))
        candidates = np.ascontiguousarray(candidates, dtype=np.float64)
        gains = np.concatenate(
            [self._try(candidates[i : i + 60]) for i in range(0, len(candidates), 60)]
        )
        exponent = self._top - 51 + self._exponent
        return np.array([math.ldexp(float(left), exponent) for left in self._total - gains])

    # ------------------------------------------------------------------------------ within

    def _scaled(self) -> tuple[kernels.Data, int]:
        """Return the points, scales and weights, and the exponent that takes the scales back.

        Scaled distances are up to 2**62, so that squares do not overflow, and differences of a
        part in 2**125 of the largest do not underflow.
        """
        of, values = self._of, self._of._points
        if values.dtype == np.float32 and max(-of._low.min(), of._high.max()) > 2.0**120:
            values = values.astype(np.float64)  # differences may overflow
            values.flags.writeable = False  # as all points are: kernels are compiled for that
        most = 1000 if values.dtype == np.float64 else 120
        span = float((of._high - of._low).max())
        room = 62 - (log2(of.n_features) + 1) // 2
        exponent = max(-most, min(most, room - math.frexp(span)[1])) if span > 0.0 else 0
        if values.dtype == np.float32 and 0 <= exponent < 80:
            exponent = 0  # no need, and a tenth faster
        repeats, weights, down = of._repeats, of._weights, 0
        if weights is None and repeats is not None and of._n_copies > MAX_REPEATS:
            weights = repeats.astype(np.float64)
        if weights is not None:
            repeats, down = None, math.frexp(float(weights.max()))[1]
            weights = np.ldexp(weights, -down)
        scale = values.dtype.type(math.ldexp(1.0, exponent)) if exponent or most > 120 else None
        return kernels.Data(values, scale, repeats, weights), down - 2 * exponent

    def _in_type(self, centers: Floats) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            return centers.astype(self._data.values.dtype)

    def _catch_up(self, n_candidates: int) -> None:
        """Add the centers that wait."""
        if not self._is_ready:
            self._is_ready, self._cells = True, self._make_cells(n_candidates)
        if self._waiting:
            for center in self._waiting:
                self._lower(center)
            self._waiting.clear()
            self._ends = np.cumsum(self._chunk_totals)

    def _try(self, candidates: Floats) -> Integers:
        """Return by how much each candidate would lower the sum."""
        centers = self._in_type(candidates)
        n = len(centers)
        distances = np.empty((n + 1, self._cells.middles.shape[1]), np.float32)
        kernels.measure_reach(
            self._cells.middles, self._data.scale, centers, self._tight, distances
        )

        def work(part: tuple[int, int]) -> tuple[Integers, int]:
            gains = np.zeros(n, np.int64)
            n_seen = kernels.try_centers(
                self._data, self._cells, distances[n], self._loose, *part, centers,
                self._closest, self._magic, self._masks, gains,
            )  # fmt: skip
            return gains, n_seen

        gains, n_seen = zip(*self._of._threads.map(work, self._parts), strict=True)
        self._tried = candidates
        self.n_tried += n * sum(n_seen)
        total: Integers = np.sum(gains, axis=0)
        return total

    def _lower(self, center: Floats) -> None:
        """Lower the distances to a center, and bring the sums up to date."""
        at = 0
        same = np.flatnonzero((self._tried == center).all(axis=1))
        if same.size:
            at = int(same[0])
        elif self._magic != 0.0:
            self._try(center[None])
        centers = self._in_type(center[None])
        self._of._threads.map(
            lambda part: kernels.lower_to_center(
                self._data, *part, centers, np.uint8(1 << (at & 7)), self._closest, self._magic,
                self._masks, self._shift, self._chunk_totals,
            ),
            self._parts,
        )  # fmt: skip
        self._tried = self._tried[:0]
        if self._magic == 0.0:
            self._add_up(TOP)
        self._total = int(self._chunk_totals.sum())
        while (top := self._choose_top()) < self._top:
            self._add_up(top)

    def _choose_top(self) -> int:
        """Return the power of two that the sum of all is below.

        The quantum is 51 bits under it. Only every fourth is taken: adding up anew costs about as
        much as a draw. A sum of zero says that all is under the quantum.
        """
        if self._total == 0:
            return max(self._top - 48, BOTTOM)
        return -(-(self._total.bit_length() + self._top - 51) // 4) * 4

    def _add_up(self, top: int) -> None:
        """Add up anew, in quanta of ``2**(top - 51)``."""
        self._top, self._magic = top, math.ldexp(1.5, 52 + top - 51)
        self._of._threads.map(
            lambda part: kernels.add_chunks(
                self._data, self._closest, self._shift, part[0] >> self._shift,
                ((part[1] - 1) >> self._shift) + 1, self._magic, self._chunk_totals,
            ),
            self._parts,
        )  # fmt: skip
        self._total = int(self._chunk_totals.sum())

    # ------------------------------------------------------------------------------- cells

    def _make_cells(self, n_candidates: int) -> kernels.Cells:
        """Make ready, and label the points with cells where that pays."""
        values, n, d = self._data.values, self._of._n, self._of.n_features
        n_parts = 4 * self._of._threads.n if self._of._threads.n > 1 else 1
        edges = np.unique(np.linspace(0, self._n_chunks, 1 + n_parts).astype(int)) << self._shift
        edges[-1] = n
        self._parts = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
        self._chunk_totals = np.zeros(self._n_chunks, np.int64)
        self._masks = np.full(n, 255, np.uint8)  # what candidates would lower: the first, all
        n_cells = min(n // 64, int(16 * math.exp(n_candidates - 1.5)), MOST_CELLS)
        if n_candidates < WORTH_CELLS or n < FEW_POINTS:
            n_cells = 0
        cells = kernels.Cells(
            np.empty(n if n_cells else 0, np.uint16), np.empty(n if n_cells else 0, np.float32),
            np.empty((d, n_cells), values.dtype),
        )  # fmt: skip
        if n_cells:
            self._fill_cells(cells)
        self._closest = np.full(n, np.float32(np.inf))
        weights = self._data.repeats if self._data.weights is None else self._data.weights
        if weights is not None:
            self._closest[weights == 0] = 0.0
        return cells

    def _fill_cells(self, cells: kernels.Cells) -> None:
        """Label the points with the nearest of some of them, or one that is nearly so.

        Each is compared with some of those, the heads, and then with those of the nearest head.
        """
        values, n_cells = self._data.values, cells.middles.shape[1]
        by_threads = self._of._threads.map
        pivots = values[np.arange(n_cells) * self._of._n // n_cells]
        heads = np.ascontiguousarray(pivots[:: math.isqrt(n_cells)].T)
        n_heads = heads.shape[1]
        owners = np.empty(n_cells, np.uint16)
        kernels.label_points(
            pivots, 0, n_cells, np.ascontiguousarray(heads[:, :1]), heads, np.array([0, n_heads]),
            owners,
        )  # fmt: skip
        cells.middles[:] = pivots[np.argsort(owners, kind="stable")].T
        firsts = np.append(0, np.cumsum(np.bincount(owners, minlength=n_heads)))
        by_threads(
            lambda chunk: kernels.label_points(
                values, *chunk, heads, cells.middles, firsts, cells.labels
            ),
            self._of._chunks,
        )
        kernels.find_middles(values, cells.labels, cells.middles)
        by_threads(
            lambda chunk: kernels.measure_radii(
                values, self._data.scale, *chunk, cells.middles, cells.labels, cells.radii
            ),
            self._parts,
        )

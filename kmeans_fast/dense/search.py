"""The squared distance of each point to the nearest centre so far, for seeding dense points."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from ..exact.quanta import Integers, log2
from ..kernels import dense_regions
from ..kernels import dense_seeds as kernels
from ..kernels._nearest import N_ROWS
from ..kernels._tiles import ROW, ROWS
from ..threads import cached_property
from .assignment import aligned, size_of_block
from .facts import Facts
from .part import DensePart, find_mine
from .questions import Array, Floats, add, concatenate, concatenate_both, merged_by
from .raw import frozen
from .searching import SearchPart, SeedSearch, State

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
SAMPLED = 16  # points a cell, of which its middle is the mean


@dataclass(frozen=True)
class NearestState(State):
    """What a `NearestSearch` has come to."""

    top: int  # the sum of all squared distances is below this power of two
    n_candidates: int  # a draw


class NearestSearch(SeedSearch["NearestPart"]):
    """The squared distance of each point to the nearest of the centers so far: for k-means++.

    Add a center before the first draw. A center is held back until the sums are asked for: how
    many candidates are drawn says whether it pays to divide the points into cells. Nothing that is
    returned depends on the cells, on threads, on chunks or on parts.
    """

    _top = TOP
    _now: NearestState
    _totals: Integers  # of the parts
    _total = 0
    _n_candidates = 0  # a draw
    _waiting: tuple[Floats, ...] = ()

    def add(self, center: Floats) -> None:
        """Take one more center into account."""
        self._waiting += (np.array(center, dtype=np.float64),)

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return n points (n, d), drawn by weight times squared distance.

        Where all lie on centers, by weight alone.
        """
        self._catch_up(n)
        if self._total == 0:
            return np.stack([self._draw_any(rng) for _ in range(n)])
        tickets = rng.integers(self._total, size=n)
        which, points = self._ask(NearestPart.find, self._totals.cumsum(), tickets)
        drawn: Floats = points[which.argsort()]
        return drawn

    def potentials(self, candidates: Floats) -> Floats:
        """Return, for each candidate, the sum of weight times squared distance with it added."""
        self._catch_up(len(candidates))
        candidates = np.ascontiguousarray(candidates, dtype=np.float64)
        gains = self._ask(NearestPart.find_gains, candidates)
        exponent = self._top - 51 + self._scale[2]
        return np.array([math.ldexp(self._total - gain, exponent) for gain in gains.tolist()])

    # ------------------------------------------------------------------------------ within

    def _state(self) -> tuple[type[NearestPart], NearestState]:
        return NearestPart, self._now

    def _catch_up(self, n_candidates: int) -> None:
        """Add the centers that wait, one after the other."""
        self._n_candidates = n_candidates
        for center in self._waiting:
            if len(self._centers) == 0:
                self._pass_over(center)
            self._centers = np.concatenate([self._centers, center[None]])
            self._lower()
            while (top := self._choose_top()) < self._top:
                self._top = top
                self._lower()
        self._waiting = ()

    def _lower(self) -> None:
        """Have the parts catch up, and add up."""
        self._now = NearestState(self._number, self._centers, self._top, self._n_candidates)
        self._totals = self._ask(NearestPart.lower)
        self._total = int(self._totals.sum())

    def _pass_over(self, first: Floats) -> None:
        """Pass over quanta that all distances to the first center round to nothing in.

        `_choose_top` would, too, but adds up for each. Half of a quantum is more than twice the
        distance to the farthest corner of the box of the points.
        """
        found, (_, exponent, _) = self._facts.found, self._scale
        corner = np.maximum(np.abs(first - found.low), np.abs(first - found.high))
        most = 2.0 * float(np.square(np.ldexp(corner, exponent)).sum())
        while self._top > BOTTOM and most < math.ldexp(1.0, self._top - 52):
            self._top = max(self._top - 48, BOTTOM)

    @cached_property
    def _scale(self) -> tuple[bool, int, int]:
        return find_scale(self._facts)

    def _choose_top(self) -> int:
        """Return the power of two that the sum of all is below.

        The quantum is 51 bits under it. Only every fourth is taken: adding up anew costs about as
        much as a draw. A sum of zero says that all is under the quantum.
        """
        if self._total == 0:
            return max(self._top - 48, BOTTOM)
        return -(-(self._total.bit_length() + self._top - 51) // 4) * 4


def find_scale(facts: Facts) -> tuple[bool, int, int]:
    """Return whether float64 is needed, the exponent of the scale, and that which takes it back.

    Scaled distances are up to 2**62, so that squares do not overflow, and differences of a part
    in 2**125 of the largest do not underflow.
    """
    single = facts.middle.dtype == np.float32
    wide = single and facts.found.reach > 2.0**120  # differences overflow
    single = single and not wide
    most = 120 if single else 1000
    span = float((facts.found.high - facts.found.low).max())
    room = 62 - (log2(facts.middle.size) + 1) // 2
    exponent = max(-most, min(most, room - math.frexp(span)[1])) if span > 0.0 else 0
    if single and 0 <= exponent < 80:
        exponent = 0  # no need, and a tenth faster
    return wide, exponent, find_shift(facts) - 2 * exponent


def find_shift(facts: Facts) -> int:
    """Return the exponent of the largest of the weights that squared distances are times."""
    if facts.rule.are_factors:
        return math.frexp(facts.found.heaviest)[1]
    if facts.rule.are_repeats and facts.found.n_copies > MAX_REPEATS:
        return math.frexp(float(facts.found.most_repeats))[1]
    return 0


def scale_points(part: DensePart) -> kernels.Data:
    """Return the points, scales and weights (`find_scale`)."""
    facts, values, repeats, factors = part.facts, part.points, part.repeats, part.factors
    is_wide, exponent, _ = find_scale(facts)
    if is_wide:
        values = frozen(values.astype(np.float64))
    if factors is None and repeats is not None and facts.found.n_copies > MAX_REPEATS:
        factors = repeats.astype(np.float64)
    if factors is not None:
        repeats, factors = None, np.ldexp(factors, -find_shift(facts))
    dtype = np.dtype(np.float64) if is_wide else facts.middle.dtype  # of differences
    needed = exponent or dtype == np.float64
    scale = dtype.type(math.ldexp(1.0, exponent)) if needed else None
    return kernels.Data(values, scale, repeats, factors)


class NearestPart(SearchPart[NearestState]):
    """What a `NearestSearch` knows of the points of one part.

    Of memory it takes 11 bytes a point: the distance, the cell and the distance to its middle, and
    which candidates would lower the distance.
    """

    def __init__(self, part: DensePart, state: NearestState) -> None:
        super().__init__(part, state)
        self.n_tried: int = 0  # distances worked out for candidates
        self._points, self._part_number = part.points, part.number
        self._framed = part.framed
        self._data = data = scale_points(part)
        self._weights = data.repeats, data.weights
        wide = data.values.dtype == np.float64
        self._dtype = data.values.dtype if wide else part.facts.middle.dtype  # of differences
        n, d = part.n, part.n_features
        self._threads = part.threads.for_work(n * d * state.n_candidates)
        self._top: int | None = None  # until quanta are chosen
        self._anchor = 0.0
        # Chunks of the points, in their own order, whose sums a draw goes by.
        self._shift = max(8, log2(n) - 12)
        n_chunks = ((n - 1) >> self._shift) + 1
        self._chunk_totals = np.zeros(n_chunks, np.int64)
        n_units = min(4 * self._threads.n, n_chunks) if self._threads.n > 1 else 1
        edges = [n_chunks * i // n_units << self._shift for i in range(n_units)] + [n]
        self._units = list(itertools.pairwise(edges))
        # A squared distance errs by a part in 2**24 a step, and so does one to a middle.
        self._loose = np.float32(1.0 + (d + 16) * 2.0**-22)
        self._tight = np.float32(1.0 - (d + 16) * 2.0**-22)
        self._tried: list[bytes] = []  # the candidates of the last draw
        self._masks = np.full(n, 255, np.uint8)  # what candidates would lower: the first, all
        self._cells = self._make_cells(state.n_candidates, part.chunks)
        self._closest = np.full(n, np.float32(np.inf))
        weights = data.repeats if data.weights is None else data.weights
        if weights is not None:
            self._closest[weights == 0] = 0.0

    @merged_by(concatenate)
    def lower(self) -> Integers:
        """Return the sum of the squared distances, in quanta: (1,)."""
        total: Integers = self._chunk_totals.sum(keepdims=True)
        return total

    @merged_by(concatenate_both)
    def find(self, ends: Integers, tickets: Integers) -> tuple[Integers, Floats]:
        """Return which of the tickets are this part's, and the points that they are for."""
        mine, left = find_mine(self._part_number, ends, tickets)
        drawn = np.empty(mine.size, np.int64)
        passed = self._chunk_totals.cumsum()
        kernels.draw_points(
            *self._weights, self._closest, self._shift, left, passed, self._anchor, drawn
        )
        return mine, self._points[drawn].astype(np.float64)

    @merged_by(add)
    def find_gains(self, candidates: Floats) -> Integers:
        """Return by how much each candidate alone would lower the sum."""
        return np.concatenate(
            [self._try(candidates[i : i + 60]) for i in range(0, len(candidates), 60)]
        )

    # ------------------------------------------------------------------------------ within

    def catch_up(self, state: NearestState) -> None:
        """Add the centers that are new, and choose the quanta."""
        while self.n_centers < len(state.centers):
            self._lower(state.centers[self.n_centers])
            self.n_centers += 1
        if state.top != self._top:
            self._add_up(state.top)

    def _in_type(self, centers: Floats) -> Array:
        return centers.astype(self._dtype)

    def _try(self, candidates: Floats) -> Integers:
        """Return by how much each candidate would lower the sum."""
        centers = self._in_type(candidates)
        n = len(centers)
        distances = np.empty((n + 1, self._cells.middles.shape[1]), np.float32)
        if distances.size:
            dense_regions.measure_reach(
                self._cells.middles, self._data.scale, centers, self._tight, distances
            )

        def work(unit: tuple[int, int]) -> tuple[Integers, int]:
            gains = np.zeros(n, np.int64)
            n_seen = kernels.try_centers(
                self._data, self._cells, distances[n], self._loose, *unit, centers,
                self._closest, self._anchor, self._masks, gains,
            )  # fmt: skip
            return gains, n_seen

        gains, n_seen = zip(*self._threads.map(work, self._units), strict=True)
        self._tried = [each.tobytes() for each in candidates]
        self.n_tried += n * sum(n_seen)
        return sum(gains, start=np.zeros(n, np.int64))

    def _lower(self, center: Floats) -> None:
        """Lower the distances to a center, and bring the sums up to date."""
        at, wanted = 0, center.tobytes()
        if wanted in self._tried:
            at = self._tried.index(wanted)
        elif self._anchor != 0.0:
            self._try(center[None])
        centers = self._in_type(center[None])
        self._threads.map(
            lambda unit: kernels.lower_to_center(
                self._data, *unit, centers, np.uint8(1 << (at & 7)), self._closest, self._anchor,
                self._masks, self._shift, self._chunk_totals,
            ),
            self._units,
        )  # fmt: skip
        self._tried = []

    def _add_up(self, top: int) -> None:
        """Add up anew, in quanta of ``2**(top - 51)``."""
        self._top, self._anchor = top, math.ldexp(1.5, 52 + top - 51)
        self._threads.map(
            lambda unit: kernels.add_chunks(
                *self._weights, self._closest, self._shift, unit[0] >> self._shift,
                ((unit[1] - 1) >> self._shift) + 1, self._anchor, self._chunk_totals,
            ),
            self._units,
        )  # fmt: skip

    # ------------------------------------------------------------------------------- cells

    def _make_cells(
        self, n_candidates: int, chunks: list[tuple[int, int]]
    ) -> dense_regions.Regions:
        """Label the points with cells where that pays."""
        values = self._data.values
        n, d = values.shape
        n_cells = min(n // 64, int(16 * math.exp(n_candidates - 1.5)), MOST_CELLS)
        if n_candidates < WORTH_CELLS or n < FEW_POINTS:
            n_cells = 0
        cells = dense_regions.Regions(
            np.empty(n if n_cells else 0, np.uint16), np.empty(n if n_cells else 0, np.float32),
            np.empty((d, n_cells), self._dtype),
        )  # fmt: skip
        if n_cells:
            self._fill_cells(cells, chunks)
        return cells

    def _fill_cells(self, cells: dense_regions.Regions, chunks: list[tuple[int, int]]) -> None:
        """Label the points with the nearest of some of them, or one that is nearly so.

        Each is compared with some of those, the heads, and then with those of the nearest head.
        """
        values, n_cells = self._data.values, cells.middles.shape[1]
        by_threads = self._threads.map
        pivots = self._framed.values[np.arange(n_cells) * len(values) // n_cells]
        heads = pivots[:: math.isqrt(n_cells)]
        all_heads = self._frame(heads)
        owners = np.empty(n_cells, np.uint16)
        label = dense_regions.label_regions
        alone = np.array([0, len(heads)])  # all of them are one head's
        scratch = self._room_for_tiles
        framed = self._framed._replace(values=frozen(pivots))
        label(framed, 0, n_cells, self._frame(heads[:1]), all_heads, alone, *scratch(), owners)
        cells.middles[:] = pivots[np.argsort(owners, kind="stable")].T
        firsts = np.append(0, np.cumsum(np.bincount(owners, minlength=len(heads))))
        all_pivots = self._frame(cells.middles.T)
        by_threads(
            lambda chunk: label(
                self._framed, *chunk, all_heads, all_pivots, firsts, *scratch(), cells.labels
            ),
            chunks,
        )
        step = max(1, len(values) // (SAMPLED * n_cells))
        dense_regions.find_middles(values, step, cells.labels, cells.middles)
        by_threads(
            lambda chunk: dense_regions.measure_radii(
                values, self._data.scale, *chunk, cells.middles, cells.labels, cells.radii
            ),
            self._units,
        )

    def _frame(self, pivots: Array) -> dense_regions.Pivots:
        """Return some points as the kernels want them."""
        n, d = pivots.shape
        shifted = np.zeros((n + ROWS, d), np.float32)
        half_norms = np.full(n + ROWS, np.inf, np.float32)
        shifted[:n] = (pivots - self._framed.middle) * self._framed.scale
        half_norms[:n] = 0.5 * np.square(shifted[:n]).sum(axis=1)
        return dense_regions.Pivots(shifted, half_norms)

    def _room_for_tiles(self) -> tuple[Array, Array]:
        """Return room for a block of points, and what is found of them."""
        n = size_of_block(self._framed.values.shape[1])
        return aligned(n * self._framed.values.shape[1]), aligned(N_ROWS * ROW)

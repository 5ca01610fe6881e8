"""The searches that seed dense points, in a tree or not, held against ones that skip nothing."""

import math
from fractions import Fraction

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast.dense import part as dense_part
from kmeans_fast.dense import search as dense_search
from kmeans_fast.dense import tree as trees
from kmeans_fast.dense import tree_search
from kmeans_fast.dense.points import DensePoints
from kmeans_fast.kernels import _rows, dense_seeds
from kmeans_fast.threads import Threads
from tests.naive import KINDS, clusters, part_of


@pytest.fixture(autouse=True)
def sorted_from_the_start(monkeypatch):
    """Sort small data too."""
    monkeypatch.setattr(dense_search, "FEW_POINTS", 1)
    monkeypatch.setattr(dense_part, "CHUNK", 500)


class SlowSearch:
    """Every distance, in the order that is written down, and sums in Python's integers."""

    def __init__(self, point_set):
        data = dense_search.scale_points(part_of(point_set))
        self.exponent = dense_search.find_scale(point_set.facts)[2]
        self.point_set, self.values, self.scale = point_set, data.values, data.scale
        n = len(self.values)
        self.weights = np.ones(n) if data.weights is None else data.weights
        self.repeats = (np.ones(n, int) if data.repeats is None else data.repeats).astype(object)
        self.held = (self.weights > 0) & (self.repeats > 0)
        self.closest = np.where(self.held, np.float32(np.inf), np.float32(0))
        self.top = dense_search.TOP

    def sq_dists(self, center):
        center = center.astype(self.values.dtype)
        none = np.zeros(len(self.values), np.float32)
        return _rows.add_sq_dists(none, self.values, center, self.scale)

    def add(self, center):
        self.closest = np.minimum(self.closest, self.sq_dists(center))
        while self.total(self.closest) == 0 and self.top > dense_search.BOTTOM:
            self.top = max(self.top - 48, dense_search.BOTTOM)
        while True:
            bits = self.total(self.closest).bit_length()
            top = 4 * math.ceil((bits + self.top - 51) / 4)
            if bits == 0 or top >= self.top:
                break
            self.top = top

    def whole_numbers(self, sq_dists):
        """Values by weight, in whole numbers of the quantum."""
        whole = np.rint(np.ldexp(self.weights * sq_dists.astype(np.float64), 51 - self.top))
        return whole.astype(np.int64).astype(object) * self.repeats

    def total(self, sq_dists):
        return int(self.whole_numbers(sq_dists).sum())

    def draw(self, n, rng):
        ends = np.cumsum(self.whole_numbers(self.closest)).astype(np.int64)
        if ends[-1] == 0:  # what is left is under the least quantum
            return np.stack([self.point_set.draw(rng) for _ in range(n)])
        tickets = rng.integers(ends[-1], size=n)
        return self.point_set.take(np.searchsorted(ends, tickets, side="right"))

    def potentials(self, candidates):
        sums = [self.total(np.minimum(self.closest, self.sq_dists(c))) for c in candidates]
        return np.ldexp(np.array(sums, float), self.top - 51 + self.exponent)


class SlowTreeSearch:
    """Every distance, rounded as is written down, and sums in Python's integers."""

    def __init__(self, search, point_set):
        self.tree = tree = part_of(point_set).tree()
        self.points = tree.points[:, : tree.n]
        self.scale = tree_search.scale_of(point_set.facts)
        self.closest = np.full(tree.n, tree_search.INFINITE, np.uint16)
        self.search, self.point_set = search, point_set

    def codes(self, center):
        total = np.zeros(self.points.shape[1], np.float32)
        for x, c in zip(self.points, center.astype(self.points.dtype), strict=True):
            t = ((x - c) * self.scale).astype(np.float32)
            total = total + t * t
        return ((total.view(np.uint32) + np.uint32(1 << 14)) >> 15).astype(np.uint16)

    def add(self, center):
        self.closest = np.minimum(self.closest, self.codes(center))

    def whole_numbers(self, codes):
        numbers = (codes.astype(np.uint32) << 15).view(np.float32).astype(np.float64)
        return np.rint(np.ldexp(numbers, self.search._exponent)).astype(np.int64)

    def draw(self, n, rng):
        whole = self.whole_numbers(self.closest)
        cells, grids = self.tree.cells, self.tree.grids
        places = []
        for top in range(1, 1 + len(self.tree.children)):
            grid = cells.inner[top]
            first, n_cells = (top, 1) if grid < 0 else (grids.child[grid], grids.n_children[grid])
            places += [slice(cells.start[c], cells.stop[c]) for c in range(first, first + n_cells)]
        ends = np.cumsum([whole[some].sum() for some in places])
        if ends[-1] == 0:
            return np.stack([self.point_set.draw(rng) for _ in range(n)])
        drawn = []
        for ticket in rng.integers(ends[-1], size=n):
            at = np.searchsorted(ends, ticket, side="right")
            left = ticket - (ends[at - 1] if at else 0)
            points = self.points[:, places[at]].T.astype(np.float64)
            drawn.append(tree_search.find_in_cell(points, whole[places[at]], left))
        return np.array(drawn)

    def potentials(self, candidates):
        sums = [
            int(self.whole_numbers(np.minimum(self.closest, self.codes(c))).sum())
            for c in candidates
        ]
        unit = math.ldexp(1.0, -self.search._exponent) / float(self.scale) / float(self.scale)
        return np.array(sums) * unit


def blobs(n, d, n_blobs=20, seed=0, spread=0.1):
    rng = np.random.default_rng(seed)
    middles = rng.uniform(-10, 10, (n_blobs, d))
    return middles[rng.integers(n_blobs, size=n)] + spread * rng.normal(size=(n, d))


def assert_same_draws(point_set, search, slow, n_centers, n_trials):
    """Run greedy k-means++ with both searches, bit for bit."""
    rng, slow_rng = np.random.default_rng(3), np.random.default_rng(3)
    center = point_set.draw(np.random.default_rng(0))
    for _ in range(n_centers):
        search.add(center)
        slow.add(center)
        drawn = search.draw(n_trials, rng)
        np.testing.assert_array_equal(drawn, slow.draw(n_trials, slow_rng))
        potentials = search.potentials(drawn)
        np.testing.assert_array_equal(potentials, slow.potentials(drawn))
        np.testing.assert_array_equal(part_of(point_set).search._closest, slow.closest)
        center = drawn[potentials.argmin()]


def assert_seeds_are_brute_force(points, weights=None, n_centers=24, n_trials=6, threads=1):
    """Compare the searches; return the share of work done."""
    with Threads(threads) as pool:
        point_set = DensePoints(points, weights, pool)
        search = point_set.nearest_search()
        in_tree = isinstance(search, tree_search.TreeSearch)
        assert in_tree == (trees.LEAST_POINTS == 0)
        slow = SlowTreeSearch(search, point_set) if in_tree else SlowSearch(point_set)
        assert_same_draws(point_set, search, slow, n_centers, n_trials)
    n_tried = 0 if in_tree else part_of(point_set).search.n_tried
    return n_tried / (len(points) * n_trials * n_centers)


@pytest.mark.parametrize("d", [1, 3, 8, 33, 100])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_draws_and_potentials_are_those_of_brute_force(dtype, d):
    assert assert_seeds_are_brute_force(blobs(1500, d).astype(dtype)) < 0.5


@pytest.mark.parametrize("exponent", [-130, -72, -47, -24, -3, 0, 21, 45])
@pytest.mark.parametrize("offset", [0.0, 1e5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_quanta_that_are_passed_over_are_those_of_nothing(dtype, offset, exponent, monkeypatch):
    points = np.ldexp(blobs(300, 2) + offset, exponent).astype(dtype)
    assert_seeds_are_brute_force(points, n_centers=4, n_trials=3)
    asked = []
    lower = dense_search.NearestSearch._lower
    monkeypatch.setattr(
        dense_search.NearestSearch, "_lower", lambda search: (asked.append(0), lower(search))
    )
    assert_seeds_are_brute_force(points, n_centers=1, n_trials=3)
    assert len(asked) <= 3  # of the five and more that halve the quanta step by step


@pytest.mark.parametrize("d, dtype", KINDS)
@pytest.mark.parametrize("n", [300, 5000])
def test_draws_and_potentials_in_a_tree_are_those_of_brute_force(n, d, dtype, use):
    use("tree")
    assert_seeds_are_brute_force(clusters(n, d, 12, dtype), n_centers=30, threads=2)


@pytest.mark.parametrize(
    "engine, d, dtype",
    [("dense", d, dtype) for d in (3, 40) for dtype in (np.float32, np.float64)]
    + [("tree", 3, np.float32)],
)
@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_data_far_from_the_origin(engine, dtype, offset, d, use):
    use(engine)
    assert assert_seeds_are_brute_force((blobs(1200, d) + offset).astype(dtype)) < 0.7


@pytest.mark.parametrize(
    "engine, d, scale",
    [("dense", d, scale) for d in (2, 40) for scale in (1e-155, 1e-25, 1e17, 1e140)]
    + [("tree", 2, scale) for scale in (1e-300, 1e-30, 1e30)],
)
def test_squares_that_nearly_underflow_or_overflow(engine, scale, d, use):
    use(engine)
    points = blobs(800, d) * scale
    assert_seeds_are_brute_force(points)
    if 1e-30 < scale < 1e20 and engine == "dense":
        assert_seeds_are_brute_force(points.astype(np.float32))


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("step", [1.0, 0.1, 1 / 3])
def test_points_on_a_line_where_the_triangle_inequality_is_tight(step, d):
    rng = np.random.default_rng(0)
    points = (rng.integers(0, 3000, (2000, 1)) * step).repeat(d, axis=1)
    assert_seeds_are_brute_force(points, n_centers=60)


@pytest.mark.parametrize("engine, d", [("dense", 3), ("dense", 40), ("tree", 3)])
@pytest.mark.parametrize("n_distinct", [7, 30])
def test_copies_of_few_points(engine, n_distinct, d, use):
    use(engine)
    points = blobs(n_distinct, d, 30)[np.random.default_rng(0).integers(n_distinct, size=2000)]
    assert_seeds_are_brute_force(points.astype(np.float32), n_centers=20)


@pytest.mark.parametrize("d", [2, 50])
@pytest.mark.parametrize("whole", [True, False])
def test_weights(whole, d):
    rng = np.random.default_rng(0)
    weights = rng.integers(0, 50, 1500)
    if not whole:
        weights = weights * 0.37
        with Threads(1) as pool:
            held = part_of(DensePoints(np.zeros((1500, 1)), weights, pool))
        weights = held.factors  # as it rounds them
    assert assert_seeds_are_brute_force(blobs(1500, d), weights) < 0.6


@pytest.mark.parametrize("n", [1, 2, 127, 128, 129, 1000])
@pytest.mark.parametrize("n_trials", [2, 6])
def test_sizes_about_a_cell_sorted_or_not(n, n_trials):
    assert_seeds_are_brute_force(blobs(n, 3, 5), n_centers=5, n_trials=n_trials)


@pytest.mark.parametrize("d", [3, 33])
def test_threads_and_chunks_change_no_bit(d, monkeypatch):
    points = blobs(3000, d).astype(np.float32)
    for threads, chunk in [(1, 500), (2, 500), (3, 77), (2, 8192)]:
        monkeypatch.setattr(dense_part, "CHUNK", chunk)
        assert_seeds_are_brute_force(points, threads=threads, n_centers=6)


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_centers_that_are_no_points_and_more_candidates_than_bits(dtype, d):
    points = blobs(1000, d).astype(dtype)
    rng = np.random.default_rng(5)
    with Threads(1) as pool:
        point_set = DensePoints(points, None, pool)
        search = point_set.nearest_search()
        slow = SlowSearch(point_set)
        for _ in range(4):
            for center in rng.uniform(-10, 10, (2, d)):
                search.add(center)
                slow.add(center)
            candidates = np.concatenate(
                [rng.uniform(-10, 10, (50, d)), point_set.take(np.arange(90))]
            )
            potentials = search.potentials(candidates)
            assert np.array_equal(potentials, slow.potentials(candidates))
        assert np.array_equal(part_of(point_set).search._closest, slow.closest)


def test_a_center_need_not_be_the_best_candidate():
    points = blobs(2000, 3)
    with Threads(1) as pool:
        point_set = DensePoints(points, None, pool)
        search = point_set.nearest_search()
        slow = SlowSearch(point_set)
        for at in (5, 70, 300, 1200):
            search.add(points[at])
            slow.add(points[at])
            search.potentials(points[[at, at + 1, at + 2, 8, 9, 300, 1200]])
        search.add(points[1201])
        slow.add(points[1201])
        assert search.potentials(points[:1]) == slow.potentials(points[:1])
        assert np.array_equal(part_of(point_set).search._closest, slow.closest)


def test_squared_differences_that_overflow_in_float32():
    points = np.concatenate([blobs(500, 40) * 1e18, blobs(500, 40) * 1e30]).astype(np.float32)
    assert_seeds_are_brute_force(points, n_centers=10)
    points = np.array([[3e38], [-3e38], [2e38], [0.0]], np.float32).repeat(300, axis=0)
    assert_seeds_are_brute_force(points, n_centers=6)


@pytest.mark.parametrize("scale", [None, 0.5])
@pytest.mark.parametrize("d", [1, 7, 8, 9, 31, 64, 255, 256, 390])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_squared_distances_are_added_as_written_down(dtype, d, scale):
    scale = dtype(1.0 if scale is None else scale) if dtype == np.float64 or scale else None
    points = np.random.default_rng(0).normal(size=(80, d)).astype(dtype)
    points[:4] *= dtype(1e-20)
    table = dense_seeds.make_table(points[[0, 3, 5, 77, 78]])
    rows = np.arange(80)
    out = np.zeros((8, dense_seeds.SIZE), np.float32)
    columns = np.zeros(d * _rows.LANES, dtype)
    dense_seeds.fill_sq_dists(points, scale, rows, 80, table, columns, out)
    for t, center in enumerate(table[:5]):
        expected = np.zeros(80, np.float32)
        for j in range(d):
            gap = (points[:, j] - center[j]) * (1 if scale is None else scale)
            expected = _rows.add_square(expected, gap.astype(np.float32))
        assert np.array_equal(out[t, :80], expected)
        assert out[t, [0, 3, 5, 77, 78][t]] == 0


def test_a_square_is_added_with_one_rounding():
    rng = np.random.default_rng(0)
    for _ in range(3000):
        total, gap = (rng.random(2) * 2.0 ** rng.integers(-30, 30, 2)).astype(np.float32)
        exact = Fraction(float(total)) + Fraction(float(gap)) ** 2
        found = _rows.add_square(total, gap)
        others = np.nextafter(found, np.float32([0, np.inf]))
        error = abs(Fraction(float(found)) - exact)
        assert all(error <= abs(Fraction(float(other)) - exact) for other in others)


@pytest.mark.parametrize("d", [1, 33])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_center_nearer_by_a_rounding_is_seen(dtype, d):
    rng = np.random.default_rng(0)
    points = np.zeros((512, d), dtype)
    points[256:] = 100
    with Threads(1) as pool:
        point_set = DensePoints(points, None, pool)
        for _ in range(40):
            center = rng.uniform(0.5, 1, d).astype(dtype)
            candidates = np.repeat(-center[None], 6, axis=0)
            for row in range(6):  # nearer by so many steps of one number
                for _ in range(row):
                    candidates[row, 0] = np.nextafter(candidates[row, 0], dtype(0))
            candidates = rng.permuted(candidates, axis=1).astype(np.float64)
            search = point_set.nearest_search()
            slow = SlowSearch(point_set)
            search.add(center)
            slow.add(center)
            assert np.array_equal(search.potentials(candidates), slow.potentials(candidates))
            search.add(candidates[-1])
            slow.add(candidates[-1])
            assert np.array_equal(search.potentials(candidates), slow.potentials(candidates))
            search.potentials(candidates[:1])
            assert np.array_equal(part_of(point_set).search._closest, slow.closest)


# ------------------------------------------------------------------------------- in a tree


def test_values_whose_differences_overflow_in_float32_are_left_to_another_search(use):
    use("tree")
    with Threads(1) as pool:
        point_set = DensePoints(np.array([[-3e38], [3e38]], np.float32), None, pool)
        assert not isinstance(point_set.nearest_search(), tree_search.TreeSearch)


def test_an_outlier_takes_no_digits_from_the_rest(use):
    use("tree")
    points = np.concatenate([clusters(2000, 2, 12, np.float64), np.full((1, 2), 1e9)])
    assert_seeds_are_brute_force(points)
    rows = kf.kmeans_plusplus(points, 12)
    assert len(np.unique(rows, axis=0)) == 12


def test_draws_go_by_squared_distance(use):
    use("tree")
    # 900 points at distance 1 of the center, 100 at distance 3: as much in all.
    points = np.repeat(np.array([[0.0], [1.0], [3.0]], np.float32), [1000, 900, 100], axis=0)
    with Threads(1) as pool:
        search = DensePoints(points, None, pool).nearest_search()
        search.add(np.array([0.0]))
        drawn = search.draw(20_000, np.random.default_rng(0))[:, 0]
    assert set(drawn) == {1.0, 3.0}
    assert abs((drawn == 1.0).mean() - 0.5) < 0.015


def test_threads_change_no_bit_in_a_tree(monkeypatch):
    monkeypatch.setattr(trees, "ROOM", 500)  # some cells are sorted in place
    monkeypatch.setattr(tree_search, "WORTH_THREADS", 1)
    points = clusters(20_000, 3, 30, np.float32)
    one, *others = (kf.kmeans_plusplus(points, 60, n_threads=n) for n in (1, 2, 5))
    for other in others:
        np.testing.assert_array_equal(other, one)

"""Dense points in several parts, as on a cluster: the bits of the points in one."""

import gc
import pickle
import weakref

import numpy as np
import pytest

from kmeans_fast.dense import tree as trees
from kmeans_fast.dense.facts import find_facts
from kmeans_fast.dense.part import DensePart
from kmeans_fast.dense.points import DensePoints, PointsInParts
from kmeans_fast.dense.raw import RawPart
from kmeans_fast.fitting import METHODS
from kmeans_fast.lloyd import lloyd
from kmeans_fast.threads import Threads
from tests.naive import KINDS, clusters, part_of


class Many:
    """Parts in this process, of which some are lost between any two questions."""

    is_whole = False

    def __init__(self, parts, forgets):
        self.parts, self.forgets = parts, forgets
        self.n_asked = 0

    def ask(self, question, *asked, **named):
        self.n_asked += 1
        if self.forgets:
            lost = self.n_asked % len(self.parts)
            self.parts[lost] = pickle.loads(pickle.dumps(self.parts[lost]))
            question = pickle.loads(pickle.dumps(question))
        answers = [question(part, *asked, **named) for part in self.parts]
        middle = len(answers) // 2
        if middle == 0:
            return question.merge(answers)
        return question.merge([question.merge(answers[:middle]), question.merge(answers[middle:])])

    def give_labels(self, centroids):
        return self.ask(DensePart.give_labels, centroids)


class ManyRaw(Many):
    """The same parts, as they were given."""

    def __init__(self, points, weights, edges, threads, forgets):
        self.shape, self.dtype, self.is_weighted = points.shape, points.dtype, weights is not None
        edges = [0, *edges, len(points)]
        parts = [
            RawPart(points[a:b], None if weights is None else weights[a:b], threads, a, i)
            for i, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True))
        ]
        super().__init__(parts, forgets)

    def settle(self, facts):
        return Many([DensePart(part, facts) for part in self.parts], self.forgets)


def fit(points, weights, init, k, edges=None, forgets=False):
    """Return all that a fit goes by and ends with."""
    with Threads(2) as threads:
        if edges is None:
            point_set = DensePoints(points, weights, threads)
        else:
            parts = ManyRaw(points, weights, edges, threads, forgets)
            facts = find_facts(parts)
            point_set = PointsInParts(parts.settle(facts), facts, threads)
        start = init
        if isinstance(init, str):
            METHODS[init](point_set, k, np.random.default_rng(6))  # of an earlier run
            start = METHODS[init](point_set, k, np.random.default_rng(5))
        run = lloyd(point_set, start, 12, 1e-4)
        history = [(step.inertia, step.shift) for step in run.history]
        known = point_set.n_distinct(k + 3), point_set.total_weight, point_set.variance
        return start, run.centroids, *point_set.label(run.centroids), *known, history


def assert_parts_change_no_bit(points, weights, init, k, forgets=False):
    n = len(points)
    one = fit(points, weights, init, k)
    for edges in ([n // 3], [1, 2, n // 2, n - 1]):
        many = fit(points, weights, init, k, edges, forgets)
        for ours, expected in zip(many, one, strict=True):
            np.testing.assert_array_equal(ours, expected)


WEIGHTS = {
    "none": lambda n: None,
    "whole": lambda n: np.random.default_rng(1).integers(0, 5, n),
    "fractions": lambda n: np.random.default_rng(1).random(n) * (np.arange(n) % 7 > 0),
}


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("weights", WEIGHTS)
@pytest.mark.parametrize("d", [3, 9])
def test_a_fit_in_parts_has_the_bits_of_a_fit_in_one(d, weights, init, forgets):
    points = clusters(900, d, 8, np.float32)
    assert_parts_change_no_bit(points, WEIGHTS[weights](900), init, 8, forgets)


@pytest.mark.parametrize("forgets", [False, True])
@pytest.mark.parametrize("d, dtype", KINDS[:2])
def test_draws_from_trees_below_a_root_that_they_share(d, dtype, forgets, use, monkeypatch):
    use("tree")
    monkeypatch.setattr(trees, "SAMPLE", 100)
    points = clusters(4000, d, 12, dtype)
    points[:600] = np.round(points[:600], 1)  # copies, and ties along axes
    points[700:720] *= -0.0
    assert_parts_change_no_bit(points, None, "k-means++", 12, forgets)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_empty_clusters_take_the_farthest_point_of_all_parts(weights):
    points = np.random.default_rng(3).integers(-4, 5, (300, 2)).astype(np.float64)
    points[points == 0] *= np.random.default_rng(4).choice([1.0, -1.0], (points == 0).sum())
    start = np.concatenate([points[:3], np.full((9, 2), 50.0) + np.arange(9)[:, None]])
    assert_parts_change_no_bit(points, WEIGHTS[weights](300), start, 12)


def test_far_from_the_origin_the_inertia_comes_from_the_points():
    points = clusters(500, 3, 4, np.float64) * 1e-7 + 1e6
    assert_parts_change_no_bit(points, None, points[:4].copy(), 4)


def test_the_first_bad_row_of_all_parts_is_named():
    points = clusters(100, 3, 4, np.float32)
    points[[77, 90], 1] = np.nan
    with pytest.raises(ValueError, match="NaN or infinity at row 77"):
        fit(points, None, "random", 3, edges=[30, 80])


def test_memory_goes_with_the_point_set_not_with_the_garbage_collector(use):
    use("tree")
    gc.collect()
    gc.disable()
    try:
        for d in (3, 9):
            points = clusters(900, d, 8, np.float32)
            with Threads(1) as threads:
                point_set = DensePoints(points, None, threads)
                METHODS["k-means++"](point_set, 8, np.random.default_rng(0))
                kept = weakref.ref(part_of(point_set))
            del point_set
            assert kept() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("d", [3, 9])
def test_two_searches_at_a_time_do_not_mix(d, use):
    use("tree")
    points = clusters(500, d, 5, np.float32)

    def potentials(*all_centers):
        """Return those of one search for each of some centers, which take turns."""
        with Threads(1) as threads:
            point_set = DensePoints(points, None, threads)
            searches = [point_set.nearest_search() for _ in all_centers]
            for turn in range(3):
                for search, centers in zip(searches, all_centers, strict=True):
                    search.add(centers[turn])
                    last = search.potentials(points[:3])
        return last

    np.testing.assert_array_equal(potentials(points[:3], points[3:6]), potentials(points[3:6]))

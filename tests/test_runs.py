"""Runs side by side: the bits of runs one by one, and the caller's functions in order."""

import threading
import time
import warnings

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast import fitting, runs
from kmeans_fast.colors import points
from kmeans_fast.colors.keys import color_format
from kmeans_fast.colors.points import ColorPoints
from kmeans_fast.threads import Threads

from .pictures import few_colors, photograph

PICTURE = photograph(40, 50)


@pytest.fixture
def lanes(monkeypatch):
    """Return a function that has runs go side by side, or not; and how many lanes they had."""
    seen, true = [], runs.SideBySide.run

    def run(self, turns, threads):
        seen.append(len(self._lanes))
        return true(self, turns, threads)

    def use(side_by_side):
        monkeypatch.setattr(points, "WORTH_LANE", 1 if side_by_side else 10**9)
        return seen

    monkeypatch.setattr(runs.SideBySide, "run", run)
    return use


def assert_same(some, others):
    """Compare results, bit by bit."""
    assert len(some) == len(others)
    for one, other in zip(some, others, strict=True):
        np.testing.assert_array_equal(one.centroids, other.centroids)
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.counts, other.counts)
        np.testing.assert_array_equal(one.palette, other.palette)
        assert (one.inertia, one.converged) == (other.inertia, other.converged)
        assert [i[:2] for i in one.history] == [i[:2] for i in other.history]


def rarely_empty():
    """Return pixels of which 40 random ones leave a cluster empty, now and then."""
    return np.random.default_rng(1).exponential(20, (12, 12, 1)).clip(0, 255).astype(np.uint8)


def histogram():
    """Return the colours of the picture."""
    counted = kf.ColorHistogram()
    counted.update(PICTURE)
    return counted


CASES = {
    "starts": lambda **how: [kf.fit(PICTURE, 9, n_init=7, **how)],
    "starts, one iteration": lambda **how: [kf.fit(PICTURE, 9, n_init=7, max_iter=1, **how)],
    "starts at random": lambda **how: [kf.fit(PICTURE, 9, n_init=7, init="random", **how)],
    "weights": lambda **how: [
        kf.fit(PICTURE, 9, n_init=5, sample_weight=np.sqrt(np.arange(2000).reshape(40, 50)), **how)
    ],
    "empty clusters": lambda **how: [
        kf.fit(rarely_empty(), 40, n_init=8, init="random", tol=0, **how)
    ],
    "sweep": lambda **how: kf.sweep(PICTURE, [1, 6, 3, 6, 17], **how),
    "sweep, starts": lambda **how: kf.sweep(PICTURE, [5, 2, 9], n_init=3, random_state=4, **how),
    "histogram": lambda **how: kf.sweep(histogram(), range(1, 9), **how),
}


N_RUNS = dict(zip(CASES, [7, 7, 7, 5, 8, 5, 9, 8], strict=True))


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("case", CASES)
def test_bits_are_those_of_runs_one_by_one(case, threads, lanes, monkeypatch):
    filled = []

    def relocate(self, step, centroids, true=ColorPoints.relocate):
        moved = true(self, step, centroids)
        filled.append((moved.counts > 0).sum() - (step.counts > 0).sum())
        return moved

    monkeypatch.setattr(ColorPoints, "relocate", relocate)
    assert lanes(False) == []
    expected = CASES[case](n_threads=1)
    assert lanes(True) == []
    assert_same(CASES[case](n_threads=threads), expected)
    assert lanes(True) == ([] if threads == 1 else [min(threads, N_RUNS[case])])
    assert (sum(filled) > 0) == (case == "empty clusters")


@pytest.mark.parametrize("make", [np.random.default_rng, np.random.RandomState, np.random.PCG64])
def test_a_generator_goes_on_from_run_to_run_as_one_by_one(make, lanes):
    ends = []
    for side_by_side in (False, True):
        seen = lanes(side_by_side)
        rng = make(3)
        results = kf.sweep(PICTURE, [7, 2, 9], n_init=2, random_state=rng, n_threads=3)
        ends.append(
            (results, np.random.Generator(getattr(rng, "_bit_generator", rng)).integers(99))
        )
    assert seen == [3]
    assert_same(ends[0][0], ends[1][0])
    assert ends[0][1] == ends[1][1]


@pytest.mark.parametrize("last", [True, False])
def test_the_first_of_equal_runs_is_returned_whenever_it_ends(last, lanes, monkeypatch):
    picture = few_colors(levels=2)
    k = len(np.unique(picture.reshape(-1, 3), axis=0))  # the runs differ in their order alone
    expected = kf.fit(picture, k, n_init=6, n_threads=1)
    assert expected.inertia == 0
    true, begun, others = fitting.lloyd, [], threading.Semaphore(0)

    def lloyd(point_set, start, *rest):
        begun.append(np.array_equal(start, expected.centroids))
        if begun[-1] and last:
            for _ in range(5):
                assert others.acquire(timeout=60)
        run = true(point_set, start, *rest)
        others.release()
        return run

    monkeypatch.setattr(fitting, "lloyd", lloyd)
    seen = lanes(True)
    assert_same([kf.fit(picture, k, n_init=6, n_threads=2)], [expected])
    assert seen == [2] and sum(begun) == 1


def test_a_picture_of_more_threads_has_lanes_of_one(lanes, monkeypatch):
    expected = kf.fit(PICTURE, 9, n_init=4, n_threads=1)
    monkeypatch.setattr(points, "WORTH_THREADS", 0)
    seen = lanes(True)
    assert_same([kf.fit(PICTURE, 9, n_init=4, n_threads=3)], [expected])
    assert seen == [3]


def test_lanes_are_for_pictures_of_some_colours():
    def count(n_colors, n, ks, threads=None):
        keys = np.arange(n_colors, dtype=np.int32)
        weights, form = np.ones((1, n_colors), np.int64), color_format(3, 8)
        point_set = ColorPoints(keys, weights, form, threads or Threads(1))
        siblings = point_set.siblings(n, ks)
        assert (siblings[0] is point_set) == (len(siblings) == 1)
        return len(siblings)

    assert count(29_000, 8, [16]) == 1
    assert count(31_000, 8, [16]) == 2
    assert count(31_000, 8, [4, 36]) == 2
    assert count(240_000, 20, [16]) == 16
    assert count(240_000, 3, [16]) == 3
    assert count(240_000, 1, [16]) == 1
    with Threads(4) as threads:
        assert count(120_000, 4, [16], threads) == 4
        assert count(120_000, 3, [16], threads) == 1  # a run has four threads
        assert count(300_001, 4, [16], threads) == 1


def test_a_lane_knows_nothing_of_what_was_assigned_before(monkeypatch):
    monkeypatch.setattr(points, "WORTH_LANE", 1)
    starts = np.random.default_rng(0).integers(0, 256, (3, 5, 3)).astype(float)
    with Threads(1) as threads:
        point_set = histogram().as_points(threads)
        before = point_set.step(starts[0])
        one, other = point_set.siblings(2, [5])
        steps = [one.step(starts[1]), other.step(starts[2]), point_set.step(starts[0])]
        for start, step in zip([starts[1], starts[2], starts[0]], steps, strict=True):
            alone = histogram().as_points(threads).step(start)
            np.testing.assert_array_equal(step.sums, alone.sums)
        assert steps[2] is before
        for lane, start in [(one, starts[1]), (other, starts[2]), (point_set, starts[0])]:
            alone = histogram().as_points(threads).label(start)
            np.testing.assert_array_equal(lane.label(start)[0], alone[0])


def test_floats_and_oklab_run_one_by_one(lanes):
    seen = lanes(True)
    kf.fit(PICTURE.astype(np.float32), 3, n_init=3, n_threads=3)
    kf.fit(PICTURE, 3, n_init=3, n_threads=3, space="oklab")
    assert seen == []


@pytest.mark.parametrize("name", ["callback", "init"])
def test_functions_of_the_callers_are_called_in_order_and_by_its_thread(name, lanes):
    seen, calls = lanes(True), []

    def callback(progress):
        calls.append((threading.get_ident(), progress.run))

    def init(pixels, k, rng):
        calls.append((threading.get_ident(), len(calls)))
        return pixels.reshape(-1, 3)[rng.choice(2000, k)]

    given = {"callback": callback, "init": init}[name]
    kf.fit(PICTURE, 5, n_init=4, n_threads=3, **{name: given})
    assert {thread for thread, _ in calls} == {threading.get_ident()}
    numbers = [number for _, number in calls]
    assert numbers == sorted(numbers) and set(numbers) == {0, 1, 2, 3}
    assert seen == []


def test_warnings_are_those_of_runs_one_by_one(lanes):
    picture, told = few_colors(levels=2), []
    for side_by_side in (False, True):
        seen = lanes(side_by_side)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            kf.sweep(picture, [2, 9, 12], n_init=2, n_threads=2)
        assert {warning.filename for warning in caught} == {__file__}
        told.append([str(warning.message) for warning in caught])
    assert told[0] == told[1] and len(told[0]) == 2
    assert seen == [2]


def test_explore_shows_the_same(lanes):
    pytest.importorskip("plotly")
    shown = []
    for side_by_side in (False, True):
        seen = lanes(side_by_side)
        shown.append(kf.explore(PICTURE, range(1, 7), n_threads=2).to_json())
    assert shown[0] == shown[1]
    assert seen == [2]


# Runs that never end by themselves: who does not stop when it should makes thousands of iterations.
ENDLESS = {"n_init": 2, "tol": 0, "max_iter": 5000, "n_threads": 2}


@pytest.fixture
def means(monkeypatch):
    """Return what is called in each iteration, and the number of them."""
    calls, hooks = [], []

    def move(self, step, previous):
        calls.append(0)
        for hook in hooks:
            hook(len(calls))
        return previous + 1e-6

    monkeypatch.setattr(ColorPoints, "means", move)
    return calls, hooks


def test_ctrl_c_amid_a_run_ends_all_of_them_soon(lanes, means, ctrl_c):
    calls, hooks = means
    hooks.append(lambda n: ctrl_c() if n == 20 else None)
    lanes(True)
    with pytest.raises(KeyboardInterrupt):
        kf.fit(PICTURE, 5, **ENDLESS)
    assert len(calls) < 1000


def test_ctrl_c_as_the_caller_waits_for_its_turn_ends_all(lanes, means, ctrl_c, monkeypatch):
    main, drawing = threading.main_thread(), threading.Event()

    def draw(self, rng, true=ColorPoints.draw):
        if threading.current_thread() is not main:
            drawing.set()
            time.sleep(0.1)
            ctrl_c()
        return true(self, rng)

    def start(self, point_set, true=runs.Turns.start):
        if threading.current_thread() is main:
            assert drawing.wait(60)
        return true(self, point_set)

    monkeypatch.setattr(ColorPoints, "draw", draw)
    monkeypatch.setattr(runs.Turns, "start", start)
    lanes(True)
    with pytest.raises(KeyboardInterrupt):
        kf.fit(PICTURE, 5, **ENDLESS)
    assert len(means[0]) < 1000


def test_ctrl_c_as_the_caller_waits_for_others_ends_them(lanes, means, ctrl_c, monkeypatch):
    calls, hooks = means
    main, waiting, true = threading.main_thread(), threading.Event(), runs.SideBySide._work

    def work(self, point_set):
        if threading.current_thread() is main:
            assert begun.wait(60)
            self._todo.clear()
            waiting.set()
            return
        true(self, point_set)

    begun = threading.Event()

    def interrupt(n):
        begun.set()
        if n == 20:
            assert waiting.wait(60)
            time.sleep(0.1)
            ctrl_c()

    hooks.append(interrupt)
    monkeypatch.setattr(runs.SideBySide, "_work", work)
    lanes(True)
    with pytest.raises(KeyboardInterrupt):
        kf.fit(PICTURE, 5, **ENDLESS)
    assert len(calls) < 1000


def test_ctrl_c_before_the_callers_first_run_ends_those_that_began(lanes, means, monkeypatch):
    calls, hooks = means
    begun = threading.Event()
    hooks.append(lambda n: begun.set())

    def call(self, seats, n, true=Threads._call):
        true(self, seats, n)
        if n:  # not within a lane
            assert begun.wait(60)
            raise KeyboardInterrupt

    def run(self, turns, threads, true=runs.SideBySide.run):
        monkeypatch.setattr(Threads, "_call", call)
        return true(self, turns, threads)

    lanes(True)
    monkeypatch.setattr(runs.SideBySide, "run", run)
    with pytest.raises(KeyboardInterrupt):
        kf.fit(PICTURE, 5, **ENDLESS)
    assert len(calls) < 1000


def test_an_error_in_one_lane_ends_the_others(lanes, means):
    calls, hooks = means

    def fail(n):
        if threading.current_thread() is not threading.main_thread():
            raise MemoryError("lane")

    hooks.append(fail)
    lanes(True)
    with pytest.raises(MemoryError, match="lane"):
        kf.fit(PICTURE, 5, **ENDLESS)
    assert len(calls) < 1000

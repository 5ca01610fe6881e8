"""The threads of a call: order, errors, nothing left behind, callers side by side."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast.dense.part import DensePart
from kmeans_fast.threads import Threads, default_threads

from .pictures import photograph


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("items", [0, 1, 2, 50])
def test_answers_come_in_the_order_of_the_items(n, items):
    with Threads(n) as threads:
        for _ in range(3):
            assert threads.map(lambda x: x * x, range(items)) == [x * x for x in range(items)]


@pytest.mark.parametrize("n", [1, 2, 7])
def test_an_error_comes_through_and_ends_the_work(n):
    seen = []

    def work(item):
        seen.append(item)
        if item == 3:
            raise ValueError("item 3")

    with Threads(n) as threads:
        with pytest.raises(ValueError, match="item 3"):
            threads.map(work, range(100_000))
        assert len(seen) < 100_000
        assert threads.map(str, [1]) == ["1"]


@pytest.mark.parametrize("n_started", [0, 1, 2])
def test_where_no_more_threads_can_be_started_there_are_fewer(n_started, monkeypatch):
    started = []

    def start(thread, start=threading.Thread.start):
        if len(started) == n_started:
            raise RuntimeError("can't start new thread")
        start(thread)
        started.append(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    with Threads(5) as threads:
        for _ in range(3):
            assert threads.map(lambda x: x * x, range(50)) == [x * x for x in range(50)]
    assert len(started) == n_started


def test_all_threads_of_a_call_are_quiet_and_the_callers_own_until_it_is_over():
    first = threading.Barrier(3, timeout=60)

    def look(_):
        first.wait()  # each of the three takes one
        return set(np.geterr().values())

    with np.errstate(all="raise"):
        with Threads(3) as threads:
            assert threads.map(look, range(3)) == [{"ignore"}] * 3
        assert set(np.geterr().values()) == {"raise"}


def test_no_thread_outlives_a_call():
    before = threading.active_count()
    kf.fit(photograph(900, 700), 4, n_threads=4)
    assert threading.active_count() == before


def test_fits_do_not_wait_for_each_other(monkeypatch):
    points = photograph(90, 90).astype(np.float32).reshape(-1, 9)
    both = threading.Barrier(2, timeout=60)

    def add_moments(part, quanta, add_moments=DensePart.add_moments):
        both.wait()
        return add_moments(part, quanta)

    expected = kf.fit(points, 3).inertia
    monkeypatch.setattr(DensePart, "add_moments", add_moments)
    with ThreadPoolExecutor(2) as pool:
        assert [fit.inertia for fit in pool.map(kf.fit, [points] * 2, [3] * 2)] == [expected] * 2


def test_the_number_of_threads_is_numbas():
    code = "from kmeans_fast.threads import default_threads; print(default_threads())"
    env = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    output = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert output.stdout.strip() == "1"
    assert default_threads() >= 1

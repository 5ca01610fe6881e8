"""The threads of a call: order, errors, nothing left behind, callers side by side."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from _thread import _count as count_threads
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast import checks
from kmeans_fast import threads as module
from kmeans_fast.cores import read_quota, usable_cores
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

    def start(work, arguments, start=module.start_new_thread):
        if len(started) == n_started:
            raise RuntimeError("can't start new thread")
        started.append(start(work, arguments))

    monkeypatch.setattr(module, "start_new_thread", start)
    with Threads(5) as threads:
        for _ in range(3):
            assert threads.map(lambda x: x * x, range(50)) == [x * x for x in range(50)]
    assert len(started) == n_started


# In a process of its own: here Ctrl-C might come amid what others have called at any time, as when
# memory is looked through. It is sent again where Python drops it, as it does amid a `__del__`.
INTERRUPTED = """
import os, signal, threading, time
from kmeans_fast.threads import Threads

before = len(os.listdir("/proc/self/task"))  # with those of NumPy
signal.signal(signal.SIGINT, signal.default_int_handler)
interrupted = 0
for n in range(60):
    over = threading.Event()

    def send():
        over.wait(n / 30_000)
        while not over.is_set():
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            over.wait(2)

    sender = threading.Thread(target=send)
    try:
        sender.start()
        with Threads(4) as threads:
            while True:
                assert threads.map(lambda x: x * x, range(9)) == [x * x for x in range(9)]
    except KeyboardInterrupt:
        over.set()
        interrupted += 1
    sender.join()
for _ in range(200):  # threads end a little after they say so
    if len(os.listdir("/proc/self/task")) == before:
        break
    time.sleep(0.05)
print(interrupted, len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="threads as Linux counts them")
def test_ctrl_c_at_any_moment_leaves_no_thread_behind():
    command = [sys.executable, "-c", INTERRUPTED]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["60", "0"], done.stderr


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
    before = count_threads()
    kf.fit(photograph(900, 700), 4, n_threads=4)
    assert_ended(before)
    with pytest.raises(ZeroDivisionError), Threads(3) as threads:
        threads.map(lambda x: 1 / x, [1] * 50 + [0] * 3)
    assert_ended(before)


def test_threads_that_nobody_closes_end_when_they_are_forgotten():
    before = count_threads()
    for _ in range(3):
        Threads(4).map(str, range(9))
    gc.collect()
    assert_ended(before)


def assert_ended(before):
    """Check that there are no more threads than before, but for the last step of some."""
    over = time.monotonic() + 30
    while count_threads() > before and time.monotonic() < over:
        time.sleep(0.001)
    assert count_threads() <= before


def test_what_a_call_held_is_let_go():
    held = weakref.WeakSet()

    def work(_):
        held.add(answer := np.zeros(3).view(Watched))
        return answer

    with Threads(3) as threads:
        for _ in range(20):
            assert len(threads.map(work, range(9))) == 9
        over = time.monotonic() + 30
        while len(held) and time.monotonic() < over:  # the last helper lets go of its seat
            time.sleep(0.001)
        assert not len(held)


class Watched(np.ndarray):
    """An array that a set can hold weakly."""

    __hash__ = object.__hash__


def test_helpers_that_come_as_the_call_ends():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns amid every step
    try:
        with Threads(8) as threads:
            for n in range(2000):
                assert threads.map(str, range(n % 9)) == [str(x) for x in range(n % 9)]
    finally:
        sys.setswitchinterval(interval)


@pytest.mark.parametrize("n", [1, 3])
def test_helpers_assist_until_the_end(n):
    over, begun = threading.Event(), []

    def assist():
        begun.append(1)
        over.wait(30)
        assert over.is_set()

    with Threads(n) as pool:
        pool.together(lambda: time.sleep(0.05), assist, over.set, n - 1)
        assert len(begun) == n - 1
        with pytest.raises(ZeroDivisionError):
            pool.together(lambda: 1 // 0, assist, over.set, n - 1)
        if n > 1:
            with pytest.raises(ZeroDivisionError):
                pool.together(lambda: time.sleep(0.05), lambda: 1 // 0, over.set, n - 1)


def test_calls_within_calls():
    with Threads(3) as threads:
        for _ in range(20):
            found = threads.map(lambda n: threads.map(str, range(n)), range(9))
            assert found == [[str(x) for x in range(n)] for n in range(9)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_starts_helpers_of_its_own():
    with Threads(3) as threads:
        threads.map(str, range(50))
        both = threading.Barrier(2, timeout=20)
        child = os.fork()
        if child == 0:
            try:
                threads.map(lambda _: both.wait(), range(2))  # two at least are there
                threads.__exit__(None, None, None)
            finally:
                os._exit(len(threads._running) if both.n_waiting == 0 and not both.broken else 9)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert threads.map(str, range(3)) == ["0", "1", "2"]


def test_fits_do_not_wait_for_each_other(monkeypatch):
    points = photograph(90, 90).astype(np.float32).reshape(-1, 9)
    both = threading.Barrier(2, timeout=60)

    def add_moments(part, add_moments=DensePart.add_moments):
        both.wait()
        return add_moments(part)

    expected = kf.fit(points, 3).inertia
    monkeypatch.setattr(DensePart, "add_moments", add_moments)
    with ThreadPoolExecutor(2) as pool:
        assert [fit.inertia for fit in pool.map(kf.fit, [points] * 2, [3] * 2)] == [expected] * 2


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, np.inf),
        ({"cpu.max": "max 100000\n"}, np.inf),
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, np.inf),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu.max": "what\n"}, np.inf),
    ],
)
def test_the_quota_of_a_container_counts(files, cores, tmp_path, monkeypatch):
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert read_quota(tmp_path) == cores
    monkeypatch.setattr("kmeans_fast.cores.CGROUPS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.delenv("NUMBA_NUM_THREADS", raising=False)
    assert default_threads() == usable_cores() == min(8, np.ceil(cores))


def test_no_more_threads_than_cores(monkeypatch):
    """They would wait for each other: on two cores, a fit took three times as long with 64."""
    for cores, asked, used in ((2, 1, 1), (2, 64, 2), (8, 3, 3)):
        monkeypatch.setattr(checks, "usable_cores", lambda cores=cores: cores)
        assert checks.check_threads(asked) == used


def test_the_number_of_threads_is_numbas():
    code = "from kmeans_fast.threads import default_threads; print(default_threads())"
    env = {**os.environ, "NUMBA_NUM_THREADS": "1"}
    output = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert output.stdout.strip() == "1"
    assert default_threads() >= 1

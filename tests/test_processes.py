"""Many callers, in processes of each kind and beside Numba's threading layers."""

import json
import multiprocessing
import os
import subprocess
import sys
import sysconfig
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core.compiler_lock import global_compiler_lock

import kmeans_fast as kf
from kmeans_fast import threads
from kmeans_fast.data.labelling import Labeller
from kmeans_fast.kernels import _jit, _pack

from . import callers

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
ENV = dict(os.environ)  # as it was before any call
PATIENCE = 60  # seconds, after which a child counts as hung


@pytest.fixture(scope="module")
def alone():
    """Return the answers to one caller at a time."""
    return callers.run(1)


@pytest.mark.parametrize("layer", ["tbb", "omp", "workqueue"])
def test_eight_callers_beside_a_threading_layer_of_numbas(layer, alone):
    libraries = [sysconfig.get_path("data") + "/lib", ENV.get("LD_LIBRARY_PATH")]
    done = subprocess.run(
        [sys.executable, "-m", "tests.callers", layer],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True, timeout=10 * PATIENCE,
        env={
            **ENV,
            "NUMBA_THREADING_LAYER": layer,
            "NUMBA_NUM_THREADS": "4",
            "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries)),  # the first: pip's TBB
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])  # TBB says something of forks
    if "missing" in found:
        pytest.skip(f"{layer}: {found['missing']}")
    assert found["answers"] == alone
    assert [found["last"]] == alone["fit a picture"]


def test_spawned_processes_with_threads_within(alone):
    """They are the processes of pools on most systems and in newer Pythons."""
    pools = [
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(kind))
        for kind in multiprocessing.get_all_start_methods()
        if kind != "fork"
    ]
    try:
        for answer in [pool.submit(callers.run, 8) for pool in pools]:
            assert answer.result(10 * PATIENCE) == alone
    finally:
        for pool in pools:
            pool.shutdown()


def forked(work):
    """Return what `work` returns in a forked child."""
    context = multiprocessing.get_context("fork")
    mine, theirs = context.Pipe(duplex=False)
    child = context.Process(target=lambda: theirs.send(work()))
    child.start()
    theirs.close()
    try:
        assert mine.poll(PATIENCE), "the child hangs"
        return mine.recv()
    finally:
        child.kill()
        child.join()
        mine.close()


@FORKS
def test_a_child_that_is_forked_amid_fits_can_fit_and_finds_histograms_whole(alone):
    histogram, is_over, tile = kf.ColorHistogram(), threading.Event(), callers.TILES[0]
    works = [
        lambda: histogram.update(tile),
        lambda: histogram.update(tile, weight=1),
        lambda: kf.fit(tile, 3, n_threads=2),
        lambda: kf.fit(callers.FLOATS[:9000], 3, n_threads=2),
    ]

    def go_on(at):
        while not is_over.is_set():
            works[at % len(works)]()

    def look():
        histogram.update(tile)
        n_tiles, rest = divmod(int(histogram.counts.sum()), tile[..., 0].size)
        assert rest == 0 and histogram.n_pixels == histogram.counts.sum()
        assert kf.fit(histogram, 3).counts.sum() == histogram.n_pixels
        return n_tiles, callers.fit(callers.PICTURE, 6), callers.fit(callers.FLOATS, 6)

    with ThreadPoolExecutor(8) as pool:
        at_work = [pool.submit(go_on, at) for at in range(8)]
        try:
            found = [forked(look) for _ in range(3)]
        finally:
            is_over.set()
        for each in at_work:
            each.result()
    n_tiles, pictures, floats = zip(*found, strict=True)
    assert 0 < n_tiles[0] <= n_tiles[1] <= n_tiles[2]
    assert list(set(pictures)) == alone["fit a picture"]
    assert list(set(floats)) == alone["fit floats"]


@FORKS
def test_a_fork_waits_for_what_threads_share_and_for_the_compiler():
    shared = kf.ColorHistogram()._tally._lock, Labeller(np.zeros((1, 3)))._lock
    begun, done = threading.Barrier(4, timeout=PATIENCE), []

    def work(lock, seconds):
        with lock:
            begun.wait()
            time.sleep(seconds)
            done.append(seconds)

    def use():
        with shared[0], shared[1]:
            return done, numba.njit(lambda x: x + 1)(1)

    with ThreadPoolExecutor(3) as pool:
        locks = (*shared, global_compiler_lock)
        working = [pool.submit(work, *each) for each in zip(locks, (0.1, 0.2, 0.3), strict=True)]
        begun.wait()
        assert forked(use) == ([0.1, 0.2, 0.3], 2)
        for each in working:
            each.result()
        for lock in shared:
            assert pool.submit(lock.acquire, timeout=PATIENCE).result()


def test_a_fork_takes_the_locks_of_kernels_last():
    """Who counts, under a histogram's lock, may have to load a kernel meanwhile."""
    mine, held, forking = threads.shared_lock(), threading.Event(), threading.Event()
    loaded = []

    def count():
        with mine:
            held.set()
            forking.wait(10)
            loaded.append(_pack._lock.acquire(timeout=10) and _jit._lock.acquire(timeout=10))
            if loaded[0]:
                _jit._lock.release()
                _pack._lock.release()

    def fork():
        threads._hold()
        threads._let_go()

    workers = [threading.Thread(target=work) for work in (count, fork)]
    workers[0].start()
    held.wait(10)
    workers[1].start()
    time.sleep(0.2)  # it waits for `mine` by now
    forking.set()
    for worker in workers:
        worker.join(30)
    assert loaded == [True]

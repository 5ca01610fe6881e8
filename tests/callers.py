"""What many callers do at once, and the bits that they get: for processes of many kinds.

``python -m tests.callers LAYER`` does it under one of Numba's threading layers, which other code
of the process uses meanwhile.
"""

import hashlib
import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np

import kmeans_fast as kf

from .pictures import photograph

PICTURE = photograph(560, 500)  # pixels enough for the table of colours
TILES = [PICTURE[:200], PICTURE[200:210], PICTURE[210:, ::-1]]
TREE = PICTURE[:100, :400].astype(np.float32).reshape(-1, 3)
FLOATS = PICTURE[:300, :450].astype(np.float32).reshape(-1, 9)


def digest(*arrays):
    """Return the bits of arrays, in short."""
    parts = (f"{array.shape}{array.dtype}".encode() + array.tobytes() for array in arrays)
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def fit(data, k):
    result = kf.fit(data, k, max_iter=4, n_threads=2)
    return digest(result.centroids, result.labels, np.array(result.inertia))


def run(n_callers, call=lambda work: work()):
    """Return the different answers to each of many calls, made by so many threads at once."""
    histogram = kf.ColorHistogram()
    works = {
        "fit a picture": lambda: fit(PICTURE, 6),
        "fit floats": lambda: fit(FLOATS, 6),
        "fit floats in a tree": lambda: fit(TREE, 100),
        "assign a picture": lambda: digest(kf.assign(PICTURE, PICTURE[0, :9], n_threads=2)),
        "assign floats": lambda: digest(kf.assign(FLOATS, FLOATS[:9], n_threads=2)),
        "count": lambda: [histogram.update(tile) for tile in TILES],
    }
    with ThreadPoolExecutor(n_callers) as pool:
        answers = list(pool.map(lambda name: (name, call(works[name])), list(works) * 2))
    found = {name: [] for name in works}
    for name, answer in answers:
        if answer not in found[name]:
            found[name].append(answer)
    return {**found, "colors": digest(histogram.colors, histogram.counts)}


def with_own_threads(work):
    """Do some work, and see that Numba's number of threads stays: all of 4 at first, then 3."""
    before = numba.get_num_threads()
    answer = work()
    assert numba.get_num_threads() == before
    numba.set_num_threads(3)
    return answer


def fail(progress):
    raise ZeroDivisionError


def fit_and_fail():
    try:
        kf.fit(FLOATS, 6, n_threads=2, callback=fail)
    except ZeroDivisionError:
        return
    raise AssertionError("no error")


def settings():
    """Return what a call could leave changed for others."""
    config = {name: getattr(numba.config, name) for name in dir(numba.config) if name.isupper()}
    return dict(os.environ), config


@numba.njit(parallel=True, cache=True)
def fill(out):
    for i in numba.prange(out.size):
        out[i] = i


def main(layer):
    """Print the answers, or why there is no such layer."""

    out, is_over, n_fills = np.empty(10_000), threading.Event(), 0
    try:
        fill(out)
    except ValueError as error:
        print(json.dumps({"missing": str(error)}))
        return
    assert numba.threading_layer() == layer
    before = settings()

    def fill_meanwhile():  # in one thread: "workqueue" ends the process otherwise
        nonlocal n_fills
        while not is_over.is_set():
            out[:] = 0
            fill(out)
            assert out[-1] == out.size - 1
            n_fills += 1
            time.sleep(0.002)

    with ThreadPoolExecutor(1) as pool:
        filling = pool.submit(fill_meanwhile)
        try:
            found = run(8, with_own_threads)
            for _ in range(2):
                with_own_threads(fit_and_fail)
        finally:
            is_over.set()
        filling.result()
    assert n_fills > 0 and settings() == before
    if hasattr(os, "fork"):  # where a parallel kernel of "omp" ends the child
        child = os.fork()
        if child == 0:
            os._exit([fit(PICTURE, 6)] != found["fit a picture"])
        assert os.waitpid(child, 0)[1] == 0, "the child's answer is another"

    def end():
        threading.main_thread().join()
        threading.Event().wait(0.2)  # Python starts no threads for pools any more
        print(json.dumps({"answers": found, "last": fit(PICTURE, 6)}))

    threading.Thread(target=end).start()


if __name__ == "__main__":
    main(sys.argv[1])

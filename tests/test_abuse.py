"""Many callers at once, Ctrl-C, errors from within: right answers, or none, and no harm done."""

import pickle
import threading
from _thread import _count as count_threads
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast import memory
from kmeans_fast.colors import tally as module
from kmeans_fast.dense.part import DensePart

from .naive import clusters
from .pictures import photograph

PICTURE = photograph(300, 400)
POINTS = clusters(30_000, 9, 20, np.float32)
LOW = clusters(30_000, 3, 20, np.float32)


def test_threads_share_a_histogram_and_always_find_it_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 1000)  # so that most are counted in the table
    tiles = [PICTURE[at : at + 50] for at in range(0, 300, 50)] * 6
    size = tiles[0][..., 0].size
    histogram = kf.ColorHistogram()
    options = [{}, {}, {"n_threads": 2}, {"weight": 1}, {"mask": np.ones((50, 400), bool)}]

    def whole(other):
        assert other.counts.sum() == other.n_pixels and other.n_pixels % size == 0
        return other.n_pixels // size

    def fit():
        result = kf.fit(histogram, 1, max_iter=1)
        assert result.counts.sum() % size == 0
        return result.counts.sum() // size

    def save(at):
        path = tmp_path / str(at)
        histogram.save(path)
        return whole(kf.ColorHistogram.load(path))

    def work(at):
        if at % 2:
            histogram.update(tiles[at // 2], **options[at // 2 % len(options)])
            return histogram.nbytes > 0
        looks = [
            lambda: whole(histogram.copy()),
            lambda: whole(pickle.loads(pickle.dumps(histogram))),
            lambda: whole(kf.ColorHistogram() + histogram),
            lambda: histogram.counts.sum() % size == 0,
            lambda: save(at),
            fit,
        ]
        return looks[at // 2 % len(looks)]()

    histogram.update(tiles[0])  # nothing to fit before
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(2 * len(tiles))))
    assert whole(histogram) == 1 + len(tiles)
    assert histogram == kf.ColorHistogram(tiles[0]) + kf.ColorHistogram(np.concatenate(tiles))


def test_of_two_kinds_of_pictures_at_once_a_histogram_takes_one(monkeypatch):
    both = threading.Barrier(2, timeout=60)

    def count(*arguments, count=module.CountedPixels):
        both.wait()  # each has found the histogram empty
        return count(*arguments)

    monkeypatch.setattr(module, "CountedPixels", count)
    histogram, small = kf.ColorHistogram(), PICTURE[:9, :9]
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(histogram.update, each) for each in (small, small[..., :1])]
    (error,) = [call.exception() for call in calls if call.exception()]
    assert isinstance(error, ValueError) and "this histogram holds" in str(error)
    assert histogram.counts.sum() == histogram.n_pixels == 81


def test_a_fit_of_a_histogram_is_of_what_it_held_at_the_start(monkeypatch):
    histogram = kf.ColorHistogram(PICTURE[:50])
    expected = kf.fit(histogram, 5)

    def as_points(of, threads, as_points=kf.ColorHistogram.as_points):
        histogram.update(PICTURE)  # as another thread may
        return as_points(of, threads)

    monkeypatch.setattr(kf.ColorHistogram, "as_points", as_points)
    found = kf.fit(histogram, 5)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.centroids, expected.centroids)


@pytest.mark.parametrize("data", [PICTURE, POINTS, LOW], ids=["picture", "floats", "tree"])
def test_ctrl_c_ends_a_fit_within_an_iteration(data, ctrl_c):
    start = data.reshape(-1, data.shape[-1])[:20].astype(float)
    expected = kf.fit(data, 20, max_iter=4, init=start)
    n_threads, after, sent = count_threads(), [], threading.Event()

    def send():
        sent.set()
        ctrl_c()

    def watch(progress):
        if progress.iteration == 3:
            threading.Thread(target=send).start()
        if sent.is_set():
            after.append(progress.iteration)

    with pytest.raises(KeyboardInterrupt):
        kf.fit(data, 20, tol=0, init=start, callback=watch)
        sent.wait(10)
        threading.Event().wait(10)  # a fit that has ended before the signal came
    assert len(after) <= 2
    for _ in range(100):
        if count_threads() <= n_threads:  # those of other tests may end meanwhile
            break
        threading.Event().wait(0.02)
    assert count_threads() <= n_threads
    again = kf.fit(data, 20, max_iter=4, init=start)
    np.testing.assert_array_equal(again.labels, expected.labels)
    assert again.inertia == expected.inertia


@pytest.mark.parametrize("error", [ZeroDivisionError, MemoryError, KeyboardInterrupt])
def test_what_raises_within_leaves_the_library_usable(error, monkeypatch):
    expected = kf.fit(POINTS, 5)

    def fail(progress):
        raise error("from the callback")

    for data in (PICTURE, POINTS, LOW):
        with pytest.raises(error, match="from the callback"):
            kf.fit(data, 5, callback=fail)
    with monkeypatch.context() as patch:
        patch.setattr(DensePart, "_assign_to", lambda *_: fail(None))
        with pytest.raises(error):
            kf.fit(POINTS, 5)
    assert kf.fit(POINTS, 5).inertia == expected.inertia


# ------------------------------------------------------------------------------- too large to fit


@pytest.mark.parametrize(
    "data, need, remedy",
    [
        (PICTURE, "0.00012 GB", "ColorHistogram.from_tiles"),
        (PICTURE.astype(np.uint16), "0.0025 GB", "ColorHistogram.from_tiles"),
        (POINTS, "0.00048 GB", "Dask array"),
        (POINTS.astype(np.float16), "0.0016 GB", "Dask array"),
        (POINTS.T.copy().T, "0.0016 GB", "Dask array"),
    ],
    ids=["RGB", "48 bits", "float32", "float16", "by columns"],
)
def test_what_will_not_find_its_memory_is_refused_with_the_figure(data, need, remedy, monkeypatch):
    monkeypatch.setattr(memory, "LARGE", 0)
    monkeypatch.setattr(memory, "find_free", lambda: 1000)
    with pytest.raises(MemoryError, match=f"about {need} are needed beside.*1e-06 GB.*{remedy}"):
        kf.fit(data, 3, callback=lambda progress: pytest.fail("work was done"))
    monkeypatch.setattr(memory, "find_free", lambda: None)  # not known: no reason to refuse
    assert kf.fit(data, 3, max_iter=1).n_iter == 1


def groups_of(folder, monkeypatch, own, files):
    """Put a process into control groups, of which there are these files."""
    for name, content in files.items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n")
    (folder / "own").write_text(f"9:cpu,cpuacct:/else\n{own}\n")
    (folder / "machine").write_text("MemTotal: 99 kB\nMemAvailable: 20000 kB\nSwapFree: 480 kB\n")
    for name, path in {"_GROUPS": "groups", "_OWN_GROUPS": "own", "_MACHINE": "machine"}.items():
        monkeypatch.setattr(memory, name, folder / path)


def test_free_memory_is_that_of_the_machine(tmp_path, monkeypatch):
    free = memory.find_free()
    assert free is None or 2**20 < free < 2**60
    groups_of(tmp_path, monkeypatch, "0::/", {"memory.max": "max", "memory.current": 5})
    assert memory.find_free() == 20480 * 1024
    (tmp_path / "own").unlink()
    assert memory.find_free() == 20480 * 1024
    (tmp_path / "machine").unlink()  # on another system
    assert memory.find_free() is None


LIMIT, USED = 8_000_000, 7_950_000
HELD = {
    "1": "cache 7000000\ninactive_file 1\nactive_file 5\ntotal_inactive_file 6900000\nrss 9",
    "2": "anon 900000\nfile 7000000\ninactive_file 6500000\nslab_reclaimable 400000\nslab 500000",
}


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("own", ["/", "/docker/72d3", "/../elsewhere"])
def test_what_a_container_keeps_of_files_is_free_to_be_had(version, own, tmp_path, monkeypatch):
    place = {"1": "memory/memory.%s", "2": "memory.%s"}[version]
    limit, held = {"1": ("limit_in_bytes", "usage_in_bytes"), "2": ("max", "current")}[version]
    files = {place % limit: LIMIT, place % held: USED, place % "stat": HELD[version]}
    line = {"1": f"4:memory:{own}", "2": f"0::{own}"}[version]
    groups_of(tmp_path, monkeypatch, line, files)
    assert memory.find_free() == LIMIT - USED + 6_900_000
    (tmp_path / "groups" / (place % "stat")).unlink()
    assert memory.find_free() == LIMIT - USED
    (tmp_path / "own").unlink()
    assert memory.find_free() == LIMIT - USED


def test_the_tightest_of_the_groups_around_a_process_is_what_counts(tmp_path, monkeypatch):
    files = {
        "a/b/memory.max": "max", "a/b/memory.current": 1000,
        "a/memory.max": 5000, "a/memory.current": 4000, "a/memory.stat": "inactive_file 300",
        "memory.max": 9000, "memory.current": 4000,
        "other/memory.max": 2, "other/memory.current": 2,
    }  # fmt: skip
    groups_of(tmp_path, monkeypatch, "0::/a/b", files)
    assert memory.find_free() == 1300

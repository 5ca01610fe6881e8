"""Dask arrays: the bits of a local fit, whatever the chunks, the scheduler and what goes wrong."""

import os
import pickle
import signal
import subprocess
import sys
import time

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, LocalCluster

import kmeans_fast as kf
from kmeans_fast.data import dask as on_dask
from tests.naive import clusters

# What older Dask says where the client of another test is still there.
pytestmark = pytest.mark.filterwarnings("ignore:Running on a single-machine scheduler")

THREADS = {"scheduler": "threads", "num_workers": 2}


def picture(h=90, w=70, c=3, dtype=np.uint8, seed=0):
    """Return a picture with few enough colours that some occur in several chunks."""
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, np.iinfo(dtype).max, 12)
    return rng.choice(levels, (h, w, c)).astype(dtype)


def assert_same(ours, expected):
    """Compare all that a fit returns; the labels of ours are worked out here."""
    assert isinstance(ours.labels, da.Array)
    labels = ours.labels.compute()
    assert labels.dtype == expected.labels.dtype
    np.testing.assert_array_equal(labels, expected.labels)
    np.testing.assert_array_equal(ours.centroids, expected.centroids)
    np.testing.assert_array_equal(ours.counts, expected.counts)
    assert (ours.inertia, ours.n_iter, ours.converged) == (
        expected.inertia, expected.n_iter, expected.converged,
    )  # fmt: skip
    for one, other in zip(ours.history, expected.history, strict=True):
        assert one[:2] == other[:2]


@pytest.fixture
def threads():
    with dask.config.set(**THREADS):
        yield


# ------------------------------------------------------------------------- bits, chunks, schedulers


@pytest.mark.parametrize("chunks", [(90, 70, 3), (37, 70, 3), (20, 11, 3)])
@pytest.mark.parametrize("options", [{}, {"space": "oklab"}, {"init": "random", "n_init": 2}])
def test_a_picture_has_the_bits_of_a_local_fit_in_any_chunks(chunks, options, threads):
    image = picture()
    ours = kf.fit(da.from_array(image, chunks=chunks), 5, **options)
    assert ours.labels.chunks == da.empty(image.shape, chunks=chunks).chunks[:2]
    assert_same(ours, kf.fit(image, 5, **options))
    np.testing.assert_array_equal(ours.palette, kf.fit(image, 5, **options).palette)


@pytest.mark.parametrize("dtype, c", [(np.uint16, 1), (np.uint8, 4), (bool, 2)])
def test_other_integers(dtype, c, threads):
    image = picture(c=c, dtype=np.uint8 if dtype is bool else dtype)
    image = image > 99 if dtype is bool else image
    data = da.from_array(image, chunks=(40, 33, c))
    assert_same(kf.fit(data, 3), kf.fit(image, 3))


@pytest.mark.parametrize("kind", ["whole", "fractions"])
@pytest.mark.parametrize("data", ["picture", "floats"])
def test_weights(data, kind, threads):
    image = picture() if data == "picture" else np.random.default_rng(0).random((90, 70, 3))
    rng = np.random.default_rng(1)
    weights = rng.integers(0, 4, (90, 70)) if kind == "whole" else rng.random((90, 70))
    expected = kf.fit(image, 4, sample_weight=weights)
    chunked = da.from_array(image, chunks=(31, 40, 3))
    for given in (weights, weights.ravel(), da.from_array(weights, chunks=(90, 7))):
        assert_same(kf.fit(chunked, 4, sample_weight=given), expected)


@pytest.mark.parametrize("shape, chunks", [((200, 150, 3), (70, 40, 3)), ((3000, 9), (801, 9))])
@pytest.mark.parametrize("init", ["k-means++", "random"])
def test_floats_have_the_bits_of_a_local_fit(shape, chunks, init, threads):
    points = clusters(int(np.prod(shape[:-1])), shape[-1], 8, np.float32).reshape(shape)
    data = da.from_array(points, chunks=chunks)
    ours, expected = (kf.fit(each, 8, init=init) for each in (data, points))
    assert_same(ours, expected)
    assert ours.labels.chunks == data.chunks[:-1]


def test_what_else_takes_a_dask_array(threads):
    image = picture()
    data = da.from_array(image, chunks=(40, 40, 3))
    start = kf.kmeans_plusplus(data, 4)
    np.testing.assert_array_equal(start, kf.kmeans_plusplus(image, 4))
    for ours, expected in zip(kf.sweep(data, [2, 3]), kf.sweep(image, [2, 3]), strict=True):
        assert_same(ours, expected)
    labels = kf.assign(data, start)
    assert labels.chunks == data.chunks[:2]
    np.testing.assert_array_equal(labels.compute(), kf.assign(image, start))
    result = kf.fit(image, 4)
    np.testing.assert_array_equal(result.predict(data).compute(), result.labels)
    lazy = kf.fit(data, 4)
    painted = lazy.recolor()
    assert painted.chunks == data.chunks and painted.dtype == np.uint8
    np.testing.assert_array_equal(painted.compute(), result.recolor())
    np.testing.assert_array_equal(lazy.members(2), result.members(2))
    with pytest.raises(TypeError, match=r"Dask array.*use points\.compute\(\)"):
        kf.means(data, result.labels, 4)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_masked_chunks_of_what_says_that_it_has_none_are_refused_where_they_are(dtype, threads):
    image = picture().astype(dtype)
    data, hidden = da.from_array(image, chunks=(40, 40, 3)), image[80, 60, 0]
    masked = data.map_blocks(np.ma.masked_equal, hidden, meta=np.empty((0, 0, 0), dtype))
    message = "a chunk of data has .* masked values; leave those points out, or fill them in"
    for refused in (
        lambda: kf.fit(masked, 3),
        lambda: kf.fit(data, 3, init=image[0, :3]).predict(masked).compute(),
        lambda: kf.assign(masked, image[0, :3]).compute(),
    ):
        with pytest.raises(ValueError, match=message):
            refused()
    weights = masked[..., 0].astype(np.float64)
    with pytest.raises(ValueError, match="a chunk of sample_weight has .* masked values; fill"):
        kf.fit(data, 3, sample_weight=weights)


def test_labels_are_not_worked_out_before_they_are_asked_for(threads):
    seen = []

    def read(block):
        seen.append(block.shape)
        return block

    data = da.from_array(picture(), chunks=(45, 70, 3)).map_blocks(
        read, meta=np.empty((0, 0, 0), "u1")
    )
    result = kf.fit(data, 3)
    assert len(seen) == 2
    assert result.labels[:10].compute().shape == (10, 70)
    assert len(seen) == 3  # one chunk, once more


def test_processes():
    points = clusters(600, 9, 3, np.float32)  # that colours are counted so needs less of them
    options = {"init": "random", "max_iter": 3}
    with dask.config.set(scheduler="processes", num_workers=1):
        ours = kf.fit(da.from_array(points, chunks=(300, 9)), 3, **options)
    np.testing.assert_array_equal(ours.centroids, kf.fit(points, 3, **options).centroids)


def test_nothing_larger_than_the_sums_comes_to_the_client(threads, monkeypatch):
    points = clusters(30_000, 3, 8, np.float32)
    sizes = []

    def weighed(*arguments, compute=dask.compute, **options):
        answer = compute(*arguments, **options)
        sizes.append(len(pickle.dumps(answer)))
        return answer

    monkeypatch.setattr(on_dask.dask, "compute", weighed)
    for init in ("k-means++", "random"):
        kf.fit(da.from_array(points, chunks=(10_000, 3)), 8, init=init, max_iter=3)
    # The largest: 4096 points at most that the tree's first cut goes by, slots of candidates.
    assert max(sizes) < points.nbytes / 5
    assert np.median(sizes) < 10_000


# ----------------------------------------------------------------------------------- a real cluster


@pytest.fixture(scope="module")
def client():
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "10s"}),
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def n_kept(client):
    """Return how many results the cluster holds, once it has settled."""
    for _ in range(100):
        n = client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
        if n == 0:
            break
        time.sleep(0.05)
    return n


def test_a_cluster_of_processes_gives_the_bits_of_a_local_fit(client):
    image, points = picture(), clusters(3000, 9, 8, np.float32)
    assert_same(kf.fit(da.from_array(image, chunks=(30, 40, 3)), 5), kf.fit(image, 5))
    assert_same(kf.fit(da.from_array(points, chunks=(700, 9)), 8), kf.fit(points, 8))
    assert n_kept(client) == 0


@pytest.mark.parametrize("asked, used", [(None, 1), (3, 3)])
def test_kernels_in_tasks_take_one_thread_unless_told_otherwise(asked, used, threads, monkeypatch):
    seen = set()
    monkeypatch.setattr(
        on_dask, "Threads", lambda n, real=on_dask.Threads: (seen.add(n), real(n))[1]
    )
    points = clusters(500, 9, 3, np.float32)
    kf.fit(da.from_array(picture(), chunks=(45, 70, 3)), 3, n_threads=asked)
    kf.fit(da.from_array(points, chunks=(100, 9)), 3, n_threads=asked)
    assert seen == {used}


def test_a_worker_that_dies_costs_time_but_not_the_result(client):
    points = clusters(3000, 9, 8, np.float32)
    workers = client.run(os.getpid)
    killed = []

    def kill(progress):
        if not killed:
            killed.append(next(iter(workers.values())))
            os.kill(killed[0], signal.SIGKILL)

    ours = kf.fit(da.from_array(points, chunks=(400, 9)), 5, callback=kill)
    assert killed
    assert_same(ours, kf.fit(points, 5))
    client.wait_for_workers(2, timeout=30)


def test_a_fit_that_is_interrupted_leaves_nothing_on_the_workers(client):
    points = clusters(3000, 9, 8, np.float32)

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        kf.fit(da.from_array(points, chunks=(700, 9)), 8, callback=stop)
    assert n_kept(client) == 0
    assert caught.tb is not None  # though the traceback still holds the parts


def test_bad_values_on_a_worker_are_named_and_leave_nothing(client):
    points = clusters(900, 9, 8, np.float32)
    points[777, 3] = np.nan
    with pytest.raises(ValueError, match="data holds NaN or infinity at row 777; drop such rows"):
        kf.fit(da.from_array(points, chunks=(200, 9)), 8)
    assert n_kept(client) == 0


def test_the_example_finds_a_scheduler_by_its_address(client):
    path = os.path.join(os.path.dirname(__file__), "..", "examples", "dask_cluster.py")
    address = client.scheduler.address
    done = subprocess.run(
        [sys.executable, path, "--scheduler", address, "--megapixels", "1"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "16 colours" in done.stdout


def test_a_scheduler_that_goes_away_is_an_error_and_no_hang():
    points = clusters(3000, 9, 8, np.float32)
    data = da.from_array(points, chunks=(700, 9))
    quickly = {"distributed.comm.timeouts.connect": "1s", "distributed.comm.retry.count": 0}
    start = time.monotonic()
    with (
        dask.config.set(quickly),
        LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
        ) as cluster,
        Client(cluster),
        pytest.raises(ConnectionError, match="the Dask scheduler went away"),
    ):
        kf.fit(data, 8, callback=lambda progress: cluster.close())
    assert time.monotonic() - start < 60


# ---------------------------------------------------------------------------------------- bad input


def test_arrays_that_cannot_be_clustered_are_refused_before_any_work(threads):
    image = da.from_array(picture(), chunks=(30, 40, 3))
    unknown = image.reshape(-1, 3)
    unknown = unknown[unknown[:, 0] > 50]
    for data, error, message in [
        (image.rechunk({2: (2, 1)}), ValueError, r"\(2, 1\) along its last .*rechunk\(\{2: -1\}"),
        (unknown, ValueError, r"unknown length, shape \(\?, 3\).*data.compute_chunk_sizes\(\)"),
        (image[:, :, 0].reshape(-1), ValueError, r"data has shape \(6300,\); give points"),
        (da.zeros((9, 2), dtype=complex), TypeError, "data has dtype complex128; give real"),
        (da.zeros((0, 2)), ValueError, r"data has shape \(0, 2\): nothing to cluster"),
        (image[:1, :2], ValueError, "n_clusters=3 is more than the 2 points"),
    ]:
        with pytest.raises(error, match=message):
            kf.fit(data, 3)
    assert_same(kf.fit(unknown.compute_chunk_sizes(), 3), kf.fit(np.asarray(unknown), 3))
    for weights, error, message in [
        ([1, 2, 3], ValueError, r"has shape \(3,\); give one for each point, \(90, 70\)"),
        (da.ones((90, 7)), ValueError, r"has shape \(90, 7\); give one for each point"),
        (da.from_array(np.full((90, 70), "a")), TypeError, "is not an array of numbers .dtype <U1"),
        (-da.ones((90, 70)), ValueError, r"goes down to -1\.0"),
        (da.full((90, 70), np.nan), ValueError, "holds NaN or infinity"),
        (da.zeros((90, 70)), ValueError, "is all zero"),
        (da.full((90, 70), 2**53 + 1), ValueError, "reaches .*, and float64 holds integers"),
    ]:
        with pytest.raises(error, match=f"sample_weight {message}"):
            kf.fit(image, 3, sample_weight=weights)
    with pytest.raises(TypeError, match="out is given with a Dask array"):
        kf.fit(picture(), 3).predict(image, out=np.empty((90, 70), np.uint8))


def test_chunks_that_hold_nothing_are_left_out(threads):
    image, points = picture().reshape(-1, 3), clusters(900, 9, 4, np.float32)
    for array in (image, points):
        data = da.from_array(array, chunks=(100, array.shape[1]))
        held = da.from_array(np.arange(len(array)) % 700 > 250, chunks=100)
        some = data[held].compute_chunk_sizes()
        assert 0 in some.chunks[0]
        weights = np.arange(some.shape[0]) % 3
        for given in (None, weights):
            assert_same(
                kf.fit(some, 4, sample_weight=given), kf.fit(some.compute(), 4, sample_weight=given)
            )


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_chunks_that_are_not_what_the_array_says_are_refused(dtype, threads):
    image = picture().astype(dtype)
    data = da.from_array(image, chunks=(45, 70, 3))
    for lie in (lambda chunk: chunk[..., :2], lambda chunk: chunk[:-1]):
        with pytest.raises(ValueError, match=r"a chunk of data has shape .* says \(45, 70, 3\)"):
            kf.fit(data.map_blocks(lie, meta=image[:0]), 3)
    doubles = data.map_blocks(lambda chunk: chunk.astype(np.float64), dtype=dtype, meta=image[:0])
    with pytest.raises(TypeError, match=f"chunk of data has dtype float64, .* says {data.dtype}"):
        kf.fit(doubles, 3)


@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_neither_the_callers_errstate_nor_a_threads_is_for_the_librarys_arithmetic(scheduler):
    points = clusters(900, 3, 8, np.float64) * np.logspace(-300, 100, 900)[:, None]
    weights = np.arange(900) / 7
    expected = kf.fit(points, 8, sample_weight=weights)
    with dask.config.set(scheduler=scheduler, num_workers=2), np.errstate(all="raise"):
        chunks = da.from_array(points, chunks=(300, 3))
        assert_same(kf.fit(chunks, 8, sample_weight=da.from_array(weights)), expected)

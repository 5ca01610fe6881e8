"""What `fit` and its friends take and give back."""

import io
from time import process_time

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import api, info
from kmeans_fast.colors import counting
from kmeans_fast.data.opening import as_dataset
from kmeans_fast.threads import Threads

from .pictures import colors_of, few_colors, noise, photograph, some_points


def same(a, b):
    """Say whether two results are equal to the last bit."""
    return (
        np.array_equal(a.centroids, b.centroids)
        and np.array_equal(a.labels, b.labels)
        and a.inertia == b.inertia
        and a.n_iter == b.n_iter
    )


def test_the_result_has_every_field():
    picture = photograph()
    result = kf.fit(picture, 5)
    assert result.centroids.shape == (5, 3)
    assert result.centroids.dtype == np.float64
    assert result.labels.shape == picture.shape[:2]
    assert result.labels.dtype == np.uint8
    assert result.counts.sum() == picture.shape[0] * picture.shape[1]
    assert result.palette.shape == (5, 3)
    assert result.palette.dtype == np.uint8
    assert result.converged
    assert result.n_iter == len(result.history)
    assert all(i.seconds >= 0 for i in result.history)
    assert result.history[-1].shift < result.history[0].shift
    centroids, labels = result
    assert centroids is result.centroids
    assert labels is result.labels
    with pytest.raises(AttributeError):
        result.inertia = 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_recolor_paints_every_pixel_with_its_centroid(dtype):
    picture = photograph(dtype=np.uint8).astype(dtype)
    result = kf.fit(picture, 4)
    painted = result.recolor()
    assert painted.shape == picture.shape
    assert painted.dtype == dtype
    expected = result.centroids[result.labels]
    if dtype != np.float32:
        expected = np.rint(expected)
    assert np.array_equal(painted, expected.astype(dtype))


def test_members_are_the_positions_of_a_cluster():
    picture = photograph()
    result = kf.fit(picture, 4)
    for j in range(4):
        members = result.members(j)
        assert len(members) == result.counts[j]
        rows = picture.reshape(-1, 3)[members]
        assert np.array_equal(rows, picture[result.labels == j])
    with pytest.raises(ValueError, match="j=4 is not a cluster; there are 0 to 3"):
        result.members(4)


def test_predict_labels_the_same_pixels_alike():
    picture = photograph(200, 300)
    result = kf.fit(picture, 8)
    assert np.array_equal(result.predict(picture), result.labels)
    assert np.array_equal(result.predict(picture[20:50, 10:90]), result.labels[20:50, 10:90])
    with pytest.raises(ValueError, match=r"centroids has shape \(8, 3\); give \(k, 4\)"):
        result.predict(np.zeros((3, 3, 4), np.uint8))


def test_labels_have_the_smallest_type():
    picture = noise(40, 40)
    for k, dtype in ((256, np.uint8), (257, np.uint16)):
        assert kf.fit(picture, k, init="random", max_iter=1).labels.dtype == dtype
    many = noise(400, 300)
    assert kf.fit(many, 70_000, init="random", max_iter=1).labels.dtype == np.int32


def test_16_bit_images_have_an_8_bit_palette_and_points_have_none():
    picture = np.full((4, 4, 3), 65535, np.uint16)
    picture[:2] = 257
    result = kf.fit(picture, 2)
    assert sorted(result.palette[:, 0].tolist()) == [1, 255]
    assert kf.fit(picture.reshape(-1, 3), 2).palette is None
    assert kf.fit(picture.astype(np.float32), 2).palette is None


def test_lists_bools_and_pillow_images_are_taken():
    assert kf.fit([[0, 0], [0, 1], [9, 9]], 2).labels.tolist() in ([0, 0, 1], [1, 1, 0])
    assert sorted(kf.fit(np.eye(4, dtype=bool), 4).counts.tolist()) == [1, 1, 1, 1]
    picture = photograph()
    assert same(kf.fit(Image.fromarray(picture), 4), kf.fit(picture, 4))


# ---------------------------------------------------------------- stopping


def test_tol_zero_runs_to_a_fixed_point():
    picture = photograph()
    result = kf.fit(picture, 6, tol=0, max_iter=1000)
    assert result.converged
    assert result.history[-1].shift == 0
    again = kf.fit(picture, 6, init=result.centroids, tol=0)
    assert again.n_iter == 1
    assert np.array_equal(again.centroids, result.centroids)


def test_tol_has_scikit_learns_meaning():
    picture = photograph()
    variance = np.var(picture.reshape(-1, 3), axis=0).mean()
    result = kf.fit(picture, 12, tol=1e-3)
    shifts = [i.shift for i in result.history]
    assert shifts[-1] <= 1e-3 * variance
    assert min(shifts[:-1]) > 1e-3 * variance


def test_max_iter_ends_a_run_that_has_not_converged():
    result = kf.fit(noise(50, 50), 20, max_iter=2)
    assert result.n_iter == 2
    assert not result.converged


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_inertia_never_rises(dtype):
    history = kf.fit(noise(60, 60).astype(dtype), 30, tol=0).history
    inertias = [i.inertia for i in history]
    assert all(b <= a * (1 + 1e-12) for a, b in zip(inertias, inertias[1:], strict=False))


def test_a_callback_sees_every_iteration_and_can_stop_it():
    picture = noise(60, 60)
    seen = []
    full = kf.fit(picture, 10, callback=lambda progress: seen.append(progress))
    assert [p.iteration for p in seen] == list(range(1, full.n_iter + 1))
    assert [p[3:] for p in seen] == [tuple(i) for i in full.history]
    assert np.array_equal(seen[-1].centroids, full.centroids)
    with pytest.raises(ValueError, match="read-only"):
        seen[0].centroids[0, 0] = 1
    stopped = kf.fit(picture, 10, callback=lambda progress: progress.iteration == 3)
    assert not stopped.converged
    assert stopped.n_iter == 3
    assert np.array_equal(stopped.centroids, seen[2].centroids)
    assert np.array_equal(stopped.labels, kf.assign(picture, stopped.centroids))


# ------------------------------------------------------------------- starts


@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float64])
def test_a_seed_gives_the_same_bits_and_another_gives_others(init, dtype):
    picture = noise(50, 50, 3, np.uint8).astype(dtype)
    first = kf.fit(picture, 8, init=init, random_state=3, max_iter=3)
    assert same(first, kf.fit(picture, 8, init=init, random_state=3, max_iter=3))
    assert not same(first, kf.fit(picture, 8, init=init, random_state=4, max_iter=3))
    generator = np.random.default_rng(3)
    assert same(first, kf.fit(picture, 8, init=init, random_state=generator, max_iter=3))
    kf.fit(picture, 8, init=init, random_state=np.random.RandomState(1), max_iter=1)
    kf.fit(picture, 8, init=init, random_state=None, max_iter=1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_seeds_are_distinct_points_of_the_data(dtype):
    picture = few_colors((20, 20, 3), levels=3).astype(dtype)  # 27 colours at most
    colors = colors_of(picture)
    k = len(colors)
    starts = []
    kf.fit(picture, k, init="random", max_iter=1, callback=lambda p: starts.append(p.centroids))
    for start in (*starts, kf.kmeans_plusplus(picture, k)):
        assert colors_of(start) == colors


def test_seeds_follow_the_weights():
    colors = np.array([[0, 0, 0], [100, 100, 100], [255, 255, 255]], np.uint8)
    for data in (colors, colors.astype(np.float32)):
        drawn = [
            kf.kmeans_plusplus(data, 1, sample_weight=[8, 0, 2], random_state=seed)[0, 0]
            for seed in range(400)
        ]
        assert 100 not in drawn
        assert 280 < drawn.count(0) < 360


@pytest.mark.parametrize("dtype", [np.uint8, np.float64])
def test_seeding_draws_by_squared_distance(dtype):
    points = np.array([[0], [10], [30]]).astype(dtype)
    weights = np.array([10**6, 9, 1])  # potentials 900 and 900
    seconds = [
        kf.kmeans_plusplus(points, 2, sample_weight=weights, random_state=s)[1, 0]
        for s in range(300)
    ]
    # Of two draws the better is 10, which leaves 20**2 for 30 (900 the other way round).
    assert set(seconds) == {10, 30}
    assert 0.15 < seconds.count(30) / len(seconds) < 0.35


def test_arrays_and_callables_start_a_run():
    picture = photograph()
    start = some_points(picture, 5)
    asked = []

    def init(data, n_clusters, rng):
        asked.append((data.shape, n_clusters, type(rng)))
        return start.tolist()

    given = kf.fit(picture, 5, init=start)
    assert same(given, kf.fit(picture, 5, init=init))
    assert asked == [(picture.shape, 5, np.random.Generator)]


def test_n_init_returns_the_run_of_least_inertia():
    picture = noise(40, 40)
    runs = set()
    best = kf.fit(picture, 12, n_init=6, callback=lambda p: runs.add(p.run))
    assert runs == set(range(6))
    rng = np.random.default_rng(0)
    singles = [kf.fit(picture, 12, random_state=rng) for _ in range(6)]
    assert best.inertia == min(s.inertia for s in singles)


def test_an_array_makes_one_run_and_says_so():
    picture = photograph()
    with pytest.warns(RuntimeWarning, match="n_init=3 is ignored"):
        kf.fit(picture, 2, init=some_points(picture, 2), n_init=3)


# ------------------------------------------------------------ empty clusters


def test_many_empty_clusters_are_filled_in_the_time_of_a_few():
    picture, seconds = noise(300, 400), {}
    with Threads(1) as threads:
        points = as_dataset(picture, None, threads).points
        for k in (2, 200):
            start = np.full((k, 3), 999.0)
            start[0] = 128
            step = points.step(start)
            for _ in range(3):
                began = process_time()
                moved = points.relocate(step, start)
                seconds[k] = min(process_time() - began, seconds.get(k, 9e9))
            assert moved.counts.all()
    assert seconds[200] < 30 * seconds[2]


# -------------------------------------------------------------------- sweep


def test_a_sweep_gives_the_fit_of_each_k():
    picture = photograph()
    ks = [3, 1, 8, 300]
    for result, k in zip(kf.sweep(picture, ks, max_iter=5), ks, strict=True):
        assert same(result, kf.fit(picture, k, max_iter=5))
    floats = picture.astype(np.float32)
    assert same(kf.sweep(floats, range(2, 4))[1], kf.fit(floats, 3))


# ---------------------------------------------------------------- histogram


def test_one_color_counted_past_every_byte():
    """A table holds one byte a colour: what passes it is kept aside."""
    for n in (127, 128, 255, 256, 257, 383, 384, 400_000):
        picture = np.full((n, 1, 3), 7, np.uint8)
        more = np.concatenate([picture, noise(900, 600).reshape(-1, 1, 3)])
        histogram = kf.ColorHistogram(more)
        present = (more.reshape(-1, 3) == 7).all(axis=1).sum()
        at = np.flatnonzero((histogram.colors == 7).all(axis=1))
        assert histogram.counts[at] == present
        assert histogram.n_pixels == len(more)


# ------------------------------------------------------------------- others


def test_show_info_and_warmup(capsys):
    kf.warmup()
    kf.show_info()
    shown = capsys.readouterr().out
    for word in ("kmeans_fast", "numpy", "numba", "Pillow", "threads", "layer", "cache"):
        assert word in shown


def test_with_the_jit_off_nothing_is_compiled_and_that_is_said(monkeypatch, capsys):
    monkeypatch.setattr(info, "JIT_OFF", True)
    monkeypatch.setattr(api, "fit", None)
    kf.warmup()
    kf.show_info()
    assert "cache        none: the JIT is off" in capsys.readouterr().out


def test_results_survive_pickle():
    import pickle

    result = kf.fit(photograph(), 3)
    buffer = io.BytesIO(pickle.dumps(result))
    assert same(pickle.load(buffer), result)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_wide_pixels_are_sorted_together_or_in_chunks(n_threads, monkeypatch):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 60_000, (700, 900, 3), dtype=np.uint16)
    image[:200] = image[200:400]
    together = kf.fit(image, 5, max_iter=4, n_threads=n_threads)
    monkeypatch.setattr(counting, "_are_mostly_distinct", lambda chunks: False)
    in_chunks = kf.fit(image, 5, max_iter=4)
    assert np.array_equal(together.labels, in_chunks.labels)
    assert np.array_equal(together.centroids, in_chunks.centroids)
    assert np.array_equal(together.labels, kf.assign(image, together.centroids))

"""The search beyond a fit: what it counts, what it tries, and what it promises."""

import numpy as np
import pytest
from PIL import Image

import kmeans_fast as kf
from kmeans_fast import cli, refining
from kmeans_fast.colors import points as colors
from kmeans_fast.data.dataset import of_array
from kmeans_fast.kernels import moves
from kmeans_fast.lloyd import lloyd
from kmeans_fast.threads import Threads

from .naive import assign
from .pictures import few_colors, noise, photograph, some_points

ROWS = [(p, q) for p in range(4) for q in range(p, 4)]
SHAPES = [(1, np.uint8), (2, np.uint8), (3, np.uint8), (4, np.uint8), (3, np.uint16)]


def blobs(k=36, n=60, seed=0):
    """Return a picture of `k` spots of colour: k-means++ finds two in one, and one in two."""
    rng = np.random.default_rng(seed)
    places = np.stack(np.meshgrid([30, 120, 210], [20, 90, 160, 230], [40, 130, 220]), -1)
    spots = places.reshape(-1, 3)[:k]
    return (spots[:, None] + rng.normal(0, 6, (k, n, 3))).clip(0, 255).astype(np.uint8)


def naive_moments(pixels, weights, centroids):
    """Return the moments of clusters by Python's integers."""
    x = np.zeros((len(pixels), 4), object)
    x[:, : pixels.shape[1]] = pixels.astype(object)
    labels = assign(pixels, centroids)
    out = np.zeros((len(centroids), moves.MOMENTS))
    for k in range(len(centroids)):
        mine, w = x[labels == k], weights[labels == k].astype(object)
        sums = [(mine[:, p] * w).sum() for p in range(4)]
        products = [(mine[:, p] * mine[:, q] * w).sum() for p, q in ROWS]
        out[k] = [float(each) for each in (w.sum(), *sums, *products)]
    return out


@pytest.mark.parametrize(("n_channels", "dtype"), SHAPES)
@pytest.mark.parametrize("n_threads", [1, 3])
def test_moments_are_exact_and_follow_an_assignment(n_channels, dtype, n_threads, monkeypatch):
    monkeypatch.setattr(colors, "WORTH_THREADS", 0)
    picture = photograph(40, 50, n_channels, dtype)
    weights = np.random.default_rng(1).integers(0, 9, picture.shape[:2])
    with Threads(n_threads) as threads:
        points = of_array(picture, weights, threads).points
        pixels, w = picture.reshape(-1, n_channels), weights.ravel()
        for seed in range(3):  # each from the one before it
            centroids = some_points(picture, 7, seed)
            found = points.scattered(centroids).moments(centroids)
            np.testing.assert_array_equal(found, naive_moments(pixels, w, centroids))


def test_weights_too_large_for_their_products_are_made_smaller():
    picture = photograph(20, 30, 3, np.uint16)
    weights = np.full(picture.shape[:2], 2**40)
    centroids = some_points(picture, 5)
    with Threads(1) as threads:
        found, few = (
            of_array(picture, w, threads).points.scattered(centroids).moments(centroids)
            for w in (weights, None)
        )
    assert (found[:, 1:] > 0).any(axis=0)[[0, 1, 2, 4, 5, 6, 8, 9, 11]].all()
    np.testing.assert_allclose(found / found[:, :1], few / few[:, :1], rtol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_a_split_is_along_the_largest_eigenvector(d):
    rng = np.random.default_rng(d)
    x = np.zeros((500, 4))
    x[:, :d] = rng.normal(0, [9, 5, 3, 1][:d], (500, d)) @ np.linalg.qr(rng.normal(size=(d, d)))[0]
    x[:, :d] += 100
    row = [len(x), *x.sum(axis=0), *[(x[:, p] * x[:, q]).sum() for p, q in ROWS]]
    moments = np.array([row, np.zeros(15), [3, 6, 6, 6, 0, *[12, 12, 12, 0] * 2, 0, 0]])
    moments[2, 5:] = [3 * 4 if max(p, q) < 3 else 0 for p, q in ROWS]  # one colour, three times
    gains, offsets = np.full(3, np.nan), np.full((3, 4), np.nan)
    moves.find_splits(moments, gains, offsets)
    values, axes = np.linalg.eigh(np.cov(x[:, :d].T, bias=True).reshape(d, d) * len(x))
    assert gains[0] == pytest.approx(2 / np.pi * values[-1], rel=1e-6)
    along = offsets[0, :d] / np.linalg.norm(offsets[0, :d])
    assert abs(along @ axes[:, -1]) == pytest.approx(1, abs=1e-6)
    assert np.square(offsets[0]).sum() * len(x) == pytest.approx(gains[0])
    assert (gains[1:] == 0).all()
    assert (offsets[1:] == 0).all()


def ward(centroids, counts):
    """Return what each merger costs (k, k)."""
    gaps = np.square(centroids[:, None] - centroids[None]).sum(axis=-1)
    both = counts[:, None] + counts
    cost = gaps * (counts[:, None] * counts / np.maximum(both, 1))
    cost[np.diag_indices(len(counts))] = np.inf
    return cost


def test_mates_and_mergers_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    centroids, counts = rng.uniform(0, 255, (40, 3)), rng.integers(0, 9, 40).astype(float)
    costs, mates = np.empty(40), np.empty(40, np.int64)
    moves.find_mates(centroids, counts, costs, mates)
    expected = ward(centroids, counts)
    np.testing.assert_array_equal(mates, expected.argmin(axis=1))
    np.testing.assert_allclose(costs, expected.min(axis=1))
    left, weights = centroids.copy(), counts.copy()
    moves.merge_nearest(left, weights, costs, mates, 25)
    for _ in range(15):
        one, other = np.unravel_index(ward(centroids, counts).argmin(), (len(counts),) * 2)
        both = counts[one] + counts[other]
        share = counts[other] / both if both else 0
        centroids[one] += share * (centroids[other] - centroids[one])
        counts[one] = both
        centroids, counts = np.delete(centroids, other, 0), np.delete(counts, other)
    alive = mates >= 0
    assert alive.sum() == 25
    order, theirs = np.lexsort(left[alive].T), np.lexsort(centroids.T)
    np.testing.assert_allclose(left[alive][order], centroids[theirs])
    np.testing.assert_allclose(weights[alive][order], counts[theirs])


def test_a_batch_uses_each_cluster_once():
    centroids = np.arange(10.0)[:, None]
    gains = np.array([9.0, 1, 8, 1, 7, 1, 0, 0, 0, 0])
    costs = np.array([99.0, 2, 99, 3, 99, 4, 1, 1, 1, 90])
    mates = np.array([1, 0, 3, 2, 5, 4, 7, 6, 7, 8])
    facts = refining.Facts(gains, np.full((10, 1), 0.25), costs, mates)
    moved, n = refining.choose_moves(centroids, facts, 10)
    # 6 leaves its place to its mate, 7, which then stays, as does 8; 0 is split, so that 1 has no
    # mate; 3 leaves its place to 2; and no split is worth 90.
    assert n == 2
    assert np.flatnonzero(moved != centroids).tolist() == [0, 3, 4, 6]
    assert (moved[[6, 0]] == centroids[0] + [[0.25], [-0.25]]).all()
    assert (moved[[3, 4]] == centroids[4] + [[0.25], [-0.25]]).all()
    assert refining.choose_moves(centroids, facts, 1)[1] == 1
    skipped, _ = refining.choose_moves(centroids, facts, 1, 1)
    assert skipped[6] == centroids[2] + 0.25


def test_draws_are_by_weight_times_squared_distance(monkeypatch):
    monkeypatch.setattr(colors, "WORTH_THREADS", 0)
    picture = noise(150, 200)
    centroids = np.rint(some_points(picture, 9))
    pixels = np.unique(picture.reshape(-1, 3), axis=0)
    gaps = np.square(pixels - centroids[assign(pixels, centroids)]).sum(axis=1)
    drawn = []
    for n_threads in (1, 2, 3):
        with Threads(n_threads) as threads:
            points = of_array(picture, None, threads).points
            rng = np.random.default_rng(0)
            drawn.append(points.scattered(centroids).draw(centroids, 4000, rng))
    assert np.array_equal(drawn[0], drawn[1])
    assert np.array_equal(drawn[0], drawn[2])
    found = np.square(drawn[0] - centroids[assign(drawn[0], centroids)]).sum(axis=1)
    assert (found > 0).all()
    # By squared distance, the mean of it is that of the squares over that of the distances.
    expected = (gaps.astype(float) ** 2).sum() / gaps.sum()
    assert found.mean() == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("refine", [1, 3])
@pytest.mark.parametrize(
    "options", [{}, {"space": "oklab"}, {"sample_weight": True}], ids=["rgb", "oklab", "weights"]
)
def test_threads_change_no_bit(refine, options, monkeypatch):
    monkeypatch.setattr(colors, "WORTH_THREADS", 0)
    picture = photograph(150, 200)
    if "sample_weight" in options:
        options = {"sample_weight": np.random.default_rng(0).random(picture.shape[:2])}
    one, *others = (
        kf.fit(picture, 24, refine=refine, n_threads=n, **options) for n in (1, 2, 3, 8)
    )
    for other in others:
        assert np.array_equal(one.centroids, other.centroids)
        assert np.array_equal(one.labels, other.labels)
        assert one.inertia == other.inertia
        assert one.n_iter == other.n_iter


@pytest.mark.parametrize("units", [None, 7.0], ids=["counts", "fractions"])
def test_labels_are_those_of_brute_force_all_the_way(units, monkeypatch):
    monkeypatch.setattr(colors, "CHECK", True)  # each assignment, with and without more room
    picture = photograph()
    weights = None if units is None else np.arange(120 * 160).reshape(120, 160) / units
    result = kf.fit(picture, 20, refine=3, sample_weight=weights)
    assert np.array_equal(result.labels, kf.assign(picture, result.centroids))
    far = np.full((6, 3), 1e6) + np.arange(18).reshape(6, 3)  # no centroid is amid the colours
    kf.fit(picture, 6, init=far, refine=2, sample_weight=weights)


@pytest.mark.parametrize(("n_channels", "dtype"), SHAPES)
def test_every_kind_of_pixels_is_refined(n_channels, dtype):
    picture = photograph(80, 90, n_channels, dtype)
    for refine in (1, 2):
        result = kf.fit(picture, 12, refine=refine)
        assert result.converged
        assert result.inertia < 1.01 * kf.fit(picture, 12).inertia


def test_centroids_go_where_they_are_missed():
    picture = blobs()
    fits = [[kf.fit(picture, 36, refine=r, random_state=s) for s in range(8)] for r in (0, 1, 3)]
    plain, moved, recombined = ([one.inertia for one in each] for each in fits)
    best = min(recombined)
    assert max(recombined) < 1.001 * best
    assert max(moved) < 1.2 * best
    assert max(plain) > 1.5 * best


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("refine", [1, 2])
def test_it_never_ends_above_where_it_began(seed, refine):
    picture = photograph(seed=seed)
    with Threads(1) as threads:
        points = of_array(picture, None, threads).points
        start = some_points(picture, 30, seed)
        coarse = lloyd(points, start, refining.COARSE, 0.0)
        rng = np.random.default_rng(0)
        ended = refining.refined(points, start, refine, 300, 1e-4, rng)
    assert ended.inertia <= coarse.inertia
    assert ended.converged


def test_refine_0_is_the_plain_fit():
    picture = photograph()
    one, other = kf.fit(picture, 9), kf.fit(picture, 9, refine=0)
    assert np.array_equal(one.centroids, other.centroids)
    with Threads(1) as threads:
        points = of_array(picture, None, threads).points
        start = kf.kmeans_plusplus(picture, 9)
        assert np.array_equal(lloyd(points, start, 300, 1e-4).centroids, one.centroids)


def test_one_cluster_as_many_as_colors_and_more():
    picture = few_colors((6, 6, 3), levels=2)
    n = len(np.unique(picture.reshape(-1, 3), axis=0))
    for k in (1, n):
        for refine in (1, 3):
            result = kf.fit(picture, k, refine=refine)
            assert result.inertia == pytest.approx(kf.fit(picture, k).inertia, abs=1e-9)
    with pytest.warns(RuntimeWarning, match="distinct points"):
        result = kf.fit(picture, n + 3, refine=3)
    assert result.inertia == 0
    assert (result.counts == 0).sum() == 3


def test_beyond_some_number_of_clusters_it_has_no_effect(monkeypatch):
    picture = photograph()
    monkeypatch.setattr("kmeans_fast.fitting.MOST_CLUSTERS", 8)
    plain = kf.fit(picture, 9)
    assert np.array_equal(kf.fit(picture, 9, refine=1).centroids, plain.centroids)
    assert not np.array_equal(kf.fit(picture, 8, refine=1).centroids, kf.fit(picture, 8).centroids)


@pytest.mark.parametrize(
    ("refine", "error", "message"),
    [
        (-1, ValueError, "refine=-1 is less than 0; give 0 or more"),
        (1.5, TypeError, "refine=1.5 is not an integer"),
        (True, TypeError, "refine=True is not an integer"),
        ("1", TypeError, "refine='1' is not an integer"),
    ],
)
def test_bad_numbers_are_refused(refine, error, message):
    picture = photograph(9, 9)
    for call in (kf.fit, lambda x, k, **o: kf.sweep(x, [k], **o), kf.quantize):
        with pytest.raises(error, match=message):
            call(picture, 2, refine=refine)


@pytest.mark.parametrize(
    "points", [np.zeros((9, 3)), np.zeros((9, 5), np.uint8), np.zeros((4, 4, 4), np.uint16)]
)
def test_what_is_not_counted_is_refused(points):
    with pytest.raises(ValueError, match=r"refine=2 is for pixels of .* give refine=0"):
        kf.fit(points, 2, refine=2)


def test_callbacks_are_told_of_every_iteration_and_may_stop():
    picture, told = photograph(), []
    whole = kf.fit(picture, 20, refine=2, callback=told.append)
    assert [now.iteration for now in told] == list(range(1, whole.n_iter + 1))
    assert [now.inertia for now in told] == [one.inertia for one in whole.history]
    assert all(now.centroids.shape[1] == 3 for now in told)
    for last in (1, 5, 20, whole.n_iter - 1):
        seen = []
        stopped = kf.fit(
            picture, 20, refine=2, callback=lambda now, s=seen, n=last: s.append(now) or len(s) == n
        )
        assert stopped.n_iter == len(seen) == last
        assert not stopped.converged
        assert len(stopped.centroids) == 20
        if last > refining.COARSE:
            assert stopped.inertia <= seen[refining.COARSE - 1].inertia


def test_an_interrupt_leaves_the_points_as_they_were():
    picture, seen = photograph(), []

    def interrupt(now):
        seen.append(now)
        if len(now.centroids) > 15:  # amid a recombination
            raise KeyboardInterrupt

    with Threads(1) as threads:
        points = of_array(picture, None, threads).points
        start = some_points(picture, 15)
        rng = np.random.default_rng(0)
        with pytest.raises(KeyboardInterrupt):
            refining.refined(points, start, 3, 300, 0.0, rng, interrupt)
        after = lloyd(points, start, 300, 0.0)
        fresh = lloyd(of_array(picture, None, threads).points, start, 300, 0.0)
    assert len(seen) > refining.COARSE
    assert np.array_equal(after.centroids, fresh.centroids)
    assert after.inertia == fresh.inertia


def test_a_sweep_and_a_histogram_fit_the_same():
    picture = photograph()
    one = kf.fit(picture, 7, refine=2)
    swept = kf.sweep(picture, [3, 7], refine=2)[1]
    counted = kf.fit(kf.ColorHistogram.from_tiles([picture]), 7, refine=2)
    again = kf.fit(picture, 7, refine=2, n_init=3)
    assert np.array_equal(swept.centroids, one.centroids)
    assert np.array_equal(counted.centroids, one.centroids)
    assert again.inertia <= one.inertia


def test_palettes_are_refined(folder):
    picture = blobs()
    found = kf.fit(picture, 36, refine=1)
    assert not np.array_equal(found.palette, kf.fit(picture, 36).palette)
    as_rgb = found.palette[found.labels]
    assert np.array_equal(np.asarray(kf.quantize(picture, 36).convert("RGB")), as_rgb)
    plain = np.asarray(kf.quantize(picture, 36, refine=0).convert("RGB"))
    assert not np.array_equal(plain, as_rgb)
    Image.fromarray(picture).save("in.png")
    for options, expected in (([], as_rgb), (["--refine", "0"], plain)):
        assert cli.main(["quantize", "in.png", "-k", "36", "-o", "a.png", "--force", *options]) == 0
        assert np.array_equal(np.asarray(Image.open("a.png").convert("RGB")), expected)

"""Numbers at their extremes: the bits of the reference, or an error with a remedy.

This is the set, through the public functions. More of it is tested where it belongs: values of
every size from one assignment to the next (`test_assignment`), draws (`test_dense_search`) and
quotients (`test_quotients`); weights (`test_dense_points`); what is no data, no centroids, labels
or weights, and the errors of every other argument (`test_bad_input`).
"""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kmeans_fast as kf
from kmeans_fast import reference as ref
from kmeans_fast.colors import counting, keys

from .naive import reference_loop
from .pictures import few_colors, noise

COLORS = [(np.uint8, 1), (np.uint8, 3), (np.uint8, 4), (np.uint16, 1)]
# An engine, the type of its points, how many of them, and their features.
FLOATS = [
    ("tree", np.float32, 500, 3),
    ("tree", np.float64, 500, 2),
    ("dense", np.float32, 30, 9),
    ("dense", np.float64, 30, 9),
    ("dense", np.float64, 30, 2),
]
PICTURE = few_colors((6, 8, 3))
POINTS = np.random.default_rng(0).normal(size=(48, 2))
WIDER = np.longdouble(10.0) ** (4000 if np.finfo(np.longdouble).maxexp > 1024 else 0)
pytestmark = pytest.mark.filterwarnings("ignore:the data hold .* distinct points")
is_wider = pytest.mark.skipif(WIDER == 1, reason="long double has 64 bits here")


def same_bits(found, expected):
    """Say whether two arrays are equal, zeros and their signs too."""
    return found.dtype == expected.dtype and found.tobytes() == expected.tobytes()


def assert_inertia(found, points, labels, centroids, weights=None):
    exact = ref.inertia(points, labels, centroids, weights)
    assert found == pytest.approx(exact, rel=1e-11, abs=1e-300)


def check(points, start, iterations=2):
    """Hold every function against the reference."""
    start = np.asarray(start, np.float64)
    k = len(start)
    centroids, labels = ref.k_means(start, points, iterations)
    found = kf.k_means(start, points, iterations)
    assert same_bits(found[0], centroids)
    assert same_bits(found[1], labels)
    result = kf.fit(points, k, init=start, max_iter=iterations, tol=0)
    assert same_bits(result.centroids, centroids)
    assert same_bits(result.labels, labels)
    assert result.counts.tolist() == np.bincount(labels, minlength=k).tolist()
    assert_inertia(result.inertia, points, labels, centroids)
    assert same_bits(kf.assign(points, centroids), labels)
    assert same_bits(kf.means(points, labels, k), ref.means(points, labels, k))


def check_starts(points, k):
    """Starts are points of the data, and what comes of them has its own labels and inertia."""
    rows = {tuple(row) for row in (points.astype(np.float64) + 0.0).tolist()}
    assert {tuple(row) for row in (kf.kmeans_plusplus(points, k) + 0.0).tolist()} <= rows
    for init in ("k-means++", "random"):
        result = kf.fit(points, k, init=init, max_iter=2)
        assert same_bits(result.labels, ref.assign(points, result.centroids))
        assert_inertia(result.inertia, points, result.labels, result.centroids)


# ------------------------------------------------------------------------------ values


def sizes_of(dtype):
    """Return the least and the greatest sizes that points of a type may have."""
    return float(np.finfo(dtype).smallest_subnormal), 9e149 if dtype == np.float64 else 3e38


VALUES = {
    "denormals": lambda x, least, most: np.rint(5 * x) * least,
    "denormals among ones": lambda x, least, most: np.where(x > 0, 1.0, np.rint(5 * x) * least),
    "squares that underflow": lambda x, least, most: np.rint(5 * x) * max(1e-170, least),
    "as large as may be": lambda x, least, most: np.tanh(x) * most,
    "the two ends": lambda x, least, most: np.sign(x) * most,
    "squares of 1e72": lambda x, least, most: np.tanh(x) * min(most, 2e36),
    "zeros of both signs": lambda x, least, most: np.where(x > 0.5, 1.0, np.copysign(0.0, x)),
    "nothing but -0.0": lambda x, least, most: np.full(x.shape, -0.0),
    "far from the origin": lambda x, least, most: 1e15 + 1e-3 * x,
    "a few ulp apart": lambda x, least, most: 1.0 + np.rint(3 * x) * 2.0**-23,
    "whole numbers about 2**53": lambda x, least, most: 2.0**53 + np.rint(4 * x),
    "a constant feature": lambda x, least, most: np.where(np.arange(x.shape[1]) == 1, 7.5, x),
    "all of them constant": lambda x, least, most: np.full(x.shape, 0.1),
    "duplicates only": lambda x, least, most: x[np.arange(len(x)) % 4],
    "features of all sizes": lambda x, least, most: (
        x * np.array([1e-40, 1e30, 1e-3, 1.0, 1e10, 1e-20, 1e5, 1e20, 1e-30])[: x.shape[1]]
    ),
    "values of all sizes": lambda x, least, most: x * 10.0 ** np.rint(20 * x[::-1]).clip(-44, 30),
    "one far out": lambda x, least, most: np.where(np.arange(len(x))[:, None] == 3, 1e30, x),
}


@pytest.mark.parametrize(("dtype", "channels"), COLORS)
def test_colors_at_the_ends_of_their_range(dtype, channels):
    largest = np.iinfo(dtype).max
    rng = np.random.default_rng(channels)
    for levels in ([0, largest], [largest], [0], [0, 1, largest - 1, largest]):
        points = rng.choice(levels, (40, channels)).astype(dtype)
        for k in (1, 4, 40):
            start = points[rng.integers(0, 40, k)].astype(np.float64)
            for other in (1e150, -1e150, 5e-324, -0.0):
                start[1:2] = other
                check(points, start)
        check_starts(points, 3)
    check(points[:1], [[0.0] * channels])  # one point


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize(("engine", "dtype", "n", "d"), FLOATS)
def test_values_of_every_size_have_the_bits_of_the_reference(engine, dtype, n, d, name, use):
    use(engine)
    least, most = sizes_of(dtype)
    if engine == "tree" and dtype == np.float32:
        most = 6e35  # larger ones become float64: one kind of tree more to compile
    x = np.random.default_rng(d).normal(size=(n, d))
    points = VALUES[name](x, least, most).astype(dtype)
    for k in (1, 5) if n > 100 else (1, 5, n):
        start = points[np.random.default_rng(k).integers(0, n, k)].astype(np.float64)
        start[1:2] *= 1.0 + 1e-9
        check(points, start)
    check_starts(points, 4)


numbers = st.one_of(
    st.floats(-1e150, 1e150),
    st.floats(-1.0, 1.0).map(lambda x: 1e15 + x),
    st.sampled_from([0.0, -0.0, 5e-324, 2.2e-308, 1e-160, 1.0, 1.0 + 2.0**-52, 2.0**53, 1e150]),
)


@settings(max_examples=80, deadline=None, derandomize=True)
@given(st.data())
def test_no_counter_example_is_found(data):
    rows = st.lists(st.tuples(numbers, numbers, numbers.map(abs)), min_size=1, max_size=9)
    points, weights = np.split(np.array(data.draw(rows)), [2], axis=1)
    weights = weights.reshape(-1)
    weights[-1] = 0.1  # many copies need limbs by their number, each a kind to compile
    some = st.one_of(st.sampled_from(points.tolist()), st.tuples(numbers, numbers))
    start = np.array(data.draw(st.lists(some, min_size=1, max_size=len(points))))
    centroids, labels = ref.k_means(start, points, 3)
    found = kf.k_means(start, points, 3)
    assert same_bits(found[0], centroids)
    assert same_bits(found[1], labels)
    try:
        result = kf.fit(points, len(start), init=start, max_iter=3, tol=0, sample_weight=weights)
    except ValueError as error:
        assert any(word in str(error) for word in ("flow", "too small"))
        return
    centroids, labels = reference_loop(points, start, 3, weights)
    assert same_bits(result.centroids, centroids)
    assert same_bits(result.labels, labels)
    assert_inertia(result.inertia, points, labels, centroids, weights)


@pytest.mark.parametrize("far", [1e-80, 1e10, 1e150])
@pytest.mark.parametrize("size", [1e-290, 1e-310])
def test_centroids_that_are_immensely_farther_out_than_the_data_are_wide(size, far):
    points = POINTS * size
    check(points, [[far, 0.0], [0.0, 2 * far / 3]])
    check(points, [[far, 0.0], [0.0, 0.0], [far, far]])
    result = kf.fit(points, 2, init=[[far, 0.0], [far, 0.0]], max_iter=1)
    assert result.history[0].inertia == pytest.approx(48 * far * far)


def test_fewer_distinct_points_than_clusters():
    for dtype in (np.uint8, np.uint16, np.float32):
        points = np.array([[1, 1, 2], [5, 5, 2], [5, 5, 2], [9, 0, 2], [9, 0, 2]]).astype(dtype)
        with pytest.warns(RuntimeWarning, match="3 distinct points, fewer than .*=5; 2 of") as told:
            result = kf.fit(points, 5)
        assert told[0].filename == __file__
        assert (result.centroids.shape, result.inertia) == ((5, 3), 0.0)
        assert np.count_nonzero(result.counts) == 3
    zeros = np.array([[0.0, -0.0], [-0.0, 0.0], [0.0, 0.0], [-0.0, -0.0], [0.0, 0.0]])
    for points in (np.full((5, 3), 255, np.uint8), zeros, zeros + 1e-310, zeros + 1e150):
        with pytest.warns(RuntimeWarning, match="hold 1 distinct points, fewer than n_clusters=3"):
            result = kf.fit(points, 3)
        assert result.counts.tolist() == [5, 0, 0]
        centroids, labels = kf.k_means(points[[0, 0, 0]], points)
        assert same_bits(centroids, ref.k_means(points[[0, 0, 0]], points)[0])
        assert labels.tolist() == [0] * 5
    more = kf.k_means([[0.0], [1.0], [2.0], [9.0]], [[1.0], [9.0]])  # than there are points
    assert [each.tolist() for each in more] == [[[0.0], [1.0], [2.0], [9.0]], [1, 3]]


def test_squared_distances_that_underflow_are_ties_and_ties_go_to_the_lowest_label():
    points = np.array([[3e-170, 0.0], [-1e-170, 2e-170], [1.0, 0.0], [1.0, 1e-170]])
    centroids = np.array([[7e-170, 0.0], [3e-170, 0.0], [1.0, 1e-170], [1.0, 0.0]])
    assert kf.assign(points, centroids).tolist() == [0, 0, 2, 2]
    assert kf.fit(points, 4, init=centroids, max_iter=1).history[0].inertia == 0.0


# ---------------------------------------------------------------------------- types


@pytest.mark.parametrize(
    "dtype", [np.int8, np.int16, np.int32, np.uint32, np.float16, np.longdouble, np.bool_]
)
def test_types_at_the_ends_of_their_range(dtype):
    kind = np.dtype(dtype).kind
    if kind == "b":
        ends = [False, True]
    elif kind == "f":
        info = np.finfo(np.float16 if dtype == np.float16 else np.float64)
        most = min(float(info.max), 1e150)
        ends = [-most, most, float(info.smallest_subnormal), -0.0, 1.0]
    else:
        ends = [np.iinfo(dtype).min, np.iinfo(dtype).max, np.iinfo(dtype).max - 1, 1, 0]
    points = np.random.default_rng(0).choice(np.array(ends, dtype), (40, 9))
    check(points, points[:3].astype(np.float64) + 0.25)


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_integers_are_exact_or_refused(dtype):
    most = 2**53
    points = np.array([[most, 0], [most - 1, 1], [3, most], [most - 1, 2]], dtype)
    check(points, [[float(most), 0.0], [5.0, float(most)]])
    ends = [2**63 - 1, most + 1] if dtype == np.int64 else [2**64 - 1, 2**63, most + 1]
    for end in ends if dtype == np.uint64 else [*ends, -(2**63), -most - 1]:
        points[3, 1] = end
        shown = f"data holds integers up to {abs(end)}, more than float64 holds .*subtract or div"
        for call in calls_on(points):
            with pytest.raises(ValueError, match=shown):
                call()
        given = np.full((1, 2), end, dtype)
        with pytest.raises(ValueError, match=r"centroids holds integers up to .*\(2\*\*53\)"):
            kf.assign(POINTS, given)
        kf.assign(POINTS, given.astype(np.float64))


def calls_on(points, weights=None):
    """Return what can be done with points, each as a function of none."""
    start = np.zeros((1, points.shape[-1]))
    options = {} if weights is None else {"sample_weight": weights}
    labels = np.zeros(np.shape(points)[:-1], np.uint8)
    calls = [
        lambda: kf.fit(points, 1, **options),
        lambda: kf.fit(points, 1, init="random", **options),
        lambda: kf.fit(points, 1, init=start, **options),
        lambda: kf.sweep(points, [1], **options),
        lambda: kf.kmeans_plusplus(points, 1, **options),
        lambda: kf.means(points, labels, 1, **options),
    ]
    if weights is None:
        calls += [lambda: kf.assign(points, start), lambda: kf.k_means(start, points)]
    return calls


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("engine", "dtype", "n", "d"), FLOATS)
def test_nan_and_infinity_are_found_in_every_place(engine, dtype, n, d, bad, use):
    use(engine)
    clean = np.random.default_rng(0).normal(size=(n, d)).astype(dtype)
    for row in (0, 7, n - 1):
        for column in (0, d - 1):
            points = clean.copy()
            points[row, column] = bad
            for call in calls_on(points):
                with pytest.raises(ValueError, match=f"holds NaN or infinity at row {row}; drop"):
                    call()
    weights, centroids = np.ones(n), clean[:3].astype(np.float64)
    weights[-1] = centroids[-1, -1] = bad
    for call in calls_on(clean, weights=weights):
        with pytest.raises(ValueError, match="sample_weight holds NaN or infinity; give finite"):
            call()
    points = clean.copy()
    points[-1, -1], weights[-1] = bad, 0.0  # of no weight, but nowhere
    with pytest.raises(ValueError, match=f"holds NaN or infinity at row {n - 1}"):
        kf.fit(points, 1, sample_weight=weights)
    for name, call in [
        ("init", lambda: kf.fit(clean, 3, init=centroids)),
        ("init", lambda: kf.fit(clean, 3, init=lambda *_: centroids)),
        ("centroids", lambda: kf.assign(clean, centroids)),
        ("centroids", lambda: kf.k_means(centroids, clean)),
    ]:
        with pytest.raises(ValueError, match=f"{name} holds NaN or infinity; give finite numbers"):
            call()


@is_wider
def test_long_doubles_beyond_float64_are_refused():
    huge = np.full((48, 2), WIDER)
    for call in calls_on(huge):
        with pytest.raises(ValueError, match=r"holds values up to 1e\+4000, more than float64"):
            call()
    shown = r"sample_weight holds values up to 1e\+4000, more than float64 does; divide them"
    for points in (POINTS, PICTURE.reshape(-1, 3)):
        for call in calls_on(points, weights=huge[:, 0]):
            with pytest.raises(ValueError, match=shown):
                call()
        with pytest.raises(ValueError, match="sample_weight is all zero"):
            kf.fit(points, 1, sample_weight=1 / huge[:, 0])
    with pytest.raises(ValueError, match="centroids holds values up to"):
        kf.assign(POINTS, huge)
    with pytest.raises(ValueError, match="data holds NaN or infinity at row 2"):
        kf.fit(np.array([[1.0], [2.0], [np.inf], [0.0]], np.longdouble), 1)


def masked(array):
    """Return an array of which the last element is masked."""
    return np.ma.array(array, mask=np.arange(array.size).reshape(array.shape) == array.size - 1)


# --------------------------------------------------------------------------- weights


def test_products_with_weights_that_underflow_are_refused():
    weights = np.random.default_rng(0).random(48) * 1e-200
    shown = "sample_weight holds .*, whose products with the data underflow; multiply the weights"
    for call in calls_on(POINTS * 1e-200, weights=weights):
        with pytest.raises(ValueError, match=shown):
            call()
    kf.fit(np.zeros((48, 2)), 1, sample_weight=weights)  # 0 is 0
    assert kf.fit(POINTS, 1, sample_weight=weights).centroids == pytest.approx(
        np.average(POINTS, axis=0, weights=weights)[None], rel=1e-13
    )


WEIGHTS = {
    "whole and large": lambda rng, n: rng.integers(0, 2**40, n),
    "a denormal and zeros among ones": lambda rng, n: rng.choice([0.0, 5e-324, 1.0], n),
    "of all sizes": lambda rng, n: 10.0 ** rng.integers(-25, 25, n),
    "down to denormals": lambda rng, n: np.exp(-600 * rng.random(n)),
    "beside many of one": lambda rng, n: np.append(np.ones(n - 4), [1.6e-17] * 4),
    "huge": lambda rng, n: rng.random(n) * 1e200,
    "tiny": lambda rng, n: rng.random(n) * 1e-200,
    "float16": lambda rng, n: rng.random(n).astype(np.float16),
    "big-endian": lambda rng, n: rng.random(n).astype(">f8"),
    "true or false": lambda rng, n: rng.random(n) < 0.7,
    "of one point": lambda rng, n: np.arange(n) == n - 1,
}


@pytest.mark.parametrize("name", WEIGHTS)
@pytest.mark.parametrize(
    "points",
    [few_colors((40, 3)), noise(40, 1, 1, np.uint16)[:, 0], noise(40, 1, 4)[:, 0], POINTS],
    ids=["RGB", "16 bits", "RGBA", "floats"],
)
def test_weights_of_every_size_have_the_bits_of_the_reference(points, name):
    weights = WEIGHTS[name](np.random.default_rng(2), len(points))
    start = points[[0, 5, 5, 9]].astype(np.float64)
    result = kf.fit(points, 4, init=start, max_iter=2, tol=0, sample_weight=weights)
    plain = weights.astype(np.float64)
    centroids, labels = reference_loop(points, start, 2, plain)
    assert same_bits(result.centroids, centroids)
    assert same_bits(result.labels, labels)
    counts = [float(sum(map(Fraction, plain[labels == j].tolist()))) for j in range(4)]
    assert result.counts.tolist() == counts
    assert_inertia(result.inertia, points, labels, centroids, plain)
    found = kf.means(points, labels, 4, sample_weight=weights)
    assert np.array_equal(found, ref.means(points, labels, 4, plain), equal_nan=True)


def test_whole_weights_of_colors_are_exact_or_refused():
    points = noise(8, 8).reshape(-1, 3)
    weights = np.ones(64, np.int64)
    for first in (2**53 - 64, 2**53 - 63, 2**54 - 64, 2**61):
        weights[0] = first
        found = kf.means(points, np.zeros(64, int), 1, sample_weight=weights)
        assert same_bits(found, ref.means(points, [0] * 64, 1, weights))
    weights[0] = 2**53 + 1  # which float64 does not hold
    for call in calls_on(points, weights=weights):
        with pytest.raises(ValueError, match="reaches .*, and float64 holds integers"):
            call()


def test_counts_of_a_histogram_are_exact_or_refused():
    for dtype, channels, bits in [(np.uint8, 3, 54), (np.uint16, 1, 46)]:
        picture = noise(2, 2, channels, dtype)
        picture[0, 0] = np.iinfo(dtype).max
        histogram = kf.ColorHistogram()
        histogram.update(picture)
        histogram.update(picture[:1, :1], weight=2**bits - 5)
        result = kf.fit(histogram, 1)
        counts = histogram.counts.tolist()
        assert result.counts.tolist() == [2**bits - 1]
        for j, channel in enumerate(histogram.colors.T.tolist()):
            total = sum(n * x for n, x in zip(counts, channel, strict=True))
            assert result.centroids[0, j] == total / (2**bits - 1)
        histogram.update(picture[:1, 1:])
        shown = rf"data holds {2**bits} pixels; sums of \d+ bits are exact below 2\*\*{bits}"
        for call in (kf.fit, kf.kmeans_plusplus):
            with pytest.raises(ValueError, match=shown):
                call(histogram, 1)


def test_centroids_out_of_reach_of_colors_are_refused_where_the_inertia_overflows():
    weights, far = np.full(PICTURE.shape[:2], 2**40), np.full((1, 3), 1e150)
    with pytest.raises(ValueError, match=r"centroids hold values up to 1e\+150, whose squared"):
        kf.fit(PICTURE, 1, init=far, sample_weight=weights)
    with pytest.raises(ValueError, match=r"centroids hold values up to 1e\+50, whose squared"):
        kf.fit(PICTURE, 1, init=far / 1e100, sample_weight=weights * 1e200)
    near = np.concatenate([far, PICTURE[0, :1], -far])
    result = kf.fit(PICTURE, 3, init=near, sample_weight=weights, max_iter=1, tol=0)
    rows = PICTURE.reshape(-1, 3)
    expected = reference_loop(rows, near, 1, weights.reshape(-1))
    assert same_bits(result.centroids, expected[0])


def test_options_at_their_ends():
    expected = kf.fit(POINTS, 2)
    for options in (
        {"max_iter": 2**70}, {"n_threads": 10**9}, {"tol": 1e308, "max_iter": 2**70},
        {"tol": 5e-324}, {"random_state": 0, "sample_weight": np.ones(48, ">i2")},
    ):  # fmt: skip
        result = kf.fit(POINTS, np.uint64(2), **options)
        assert result.converged
        if "tol" not in options:
            assert same_bits(result.centroids, expected.centroids)
    for tol in (10**400, np.inf):
        with pytest.raises(ValueError, match="tol=inf must be finite"):
            kf.fit(POINTS, 2, tol=tol)
    with pytest.raises(ValueError, match="n_clusters=18446744073709551615 is more than the 48"):
        kf.fit(POINTS, np.uint64(2**64 - 1))
    kf.fit(POINTS, 2, random_state=2**200)


# --------------------------------------------------------------------------- layouts


class Subclass(np.ndarray):
    """What a package may make of an array."""


def laid_out(array, path):
    """Return the same values in other layouts."""
    flat = np.ascontiguousarray(array)
    raw = np.zeros(flat.nbytes + 3, np.uint8)
    raw[3:] = flat.reshape(-1).view(np.uint8)
    raw.tofile(path)
    fields = np.zeros(array.shape, [("before", np.uint8), ("it", array.dtype)])
    fields["it"] = array
    wide = np.zeros((3 * len(array), *array.shape[1:]), array.dtype)
    wide[1::3] = array
    stored = np.memmap(path.with_suffix(".wide"), array.dtype, "w+", shape=wide.shape)
    stored[...] = wide
    stored.flush()
    fixed = {"mode": "r", "dtype": array.dtype}
    return {
        "not native": array.astype(array.dtype.newbyteorder()),
        "negative strides": np.flip(np.flip(array).copy()),
        "channels reversed": array[..., ::-1].copy()[..., ::-1],
        "columns first": np.asfortranarray(array),
        "a field of records": fields["it"],
        "read-only memory-map, unaligned": np.memmap(path, offset=3, shape=array.shape, **fixed),
        "rows of a memory-map": np.memmap(stored.filename, shape=wide.shape, **fixed)[1::3],
        "a subclass": array.view(Subclass),
        "a mask of nothing": np.ma.array(array),
        "a memoryview": memoryview(flat),
    }


@pytest.mark.parametrize("as_if_large", [False, True])
@pytest.mark.parametrize(
    "data",
    [noise(6, 8), noise(6, 8, 1, np.uint16), POINTS, noise(6, 8).astype(np.float32)],
    ids=["uint8", "uint16", "float64", "float32"],
)
def test_any_layout_has_the_bits_of_a_plain_array(data, as_if_large, tmp_path, monkeypatch):
    if as_if_large:  # pixels are counted in tables, a few rows at a time
        monkeypatch.setattr(counting, "SMALL", 0)
        monkeypatch.setattr(keys, "CHUNK", 20)
    d, shape = data.shape[-1], data.shape[:-1]
    start = data.reshape(-1, d)[:3].astype(np.float64)
    weights = np.random.default_rng(0).random(shape)
    labels = kf.assign(data, start)
    assert same_bits(labels, ref.assign(data, start))

    def answers(data, start, weights, labels):
        yield from kf.fit(data, 3, init=start, max_iter=2, sample_weight=weights)
        yield from kf.k_means(start, data, 2)
        yield kf.assign(data, start)
        yield kf.means(data, labels, 3, sample_weight=weights)
        yield kf.kmeans_plusplus(data, 3, sample_weight=weights)
        yield kf.fit(data, 3, init="random", max_iter=1).predict(data)
        if np.asarray(data).dtype.itemsize <= 2:
            yield kf.ColorHistogram(data).counts

    expected = list(answers(data, start, weights, labels))
    each = [
        laid_out(array, tmp_path / str(i)) for i, array in enumerate((data, start, weights, labels))
    ]
    for name in each[0]:
        given = [layouts[name] for layouts in each]
        before = np.array(given[0])
        for found, plain in zip(answers(*given), expected, strict=True):
            if found.dtype == np.int8:  # labels, where some could be masked
                found = found.astype(plain.dtype)
            assert same_bits(found, plain), name
        assert np.array_equal(given[0], before)
    plain = kf.means(data, labels, 3)
    for kind in (np.int8, np.int64, np.uint64, np.dtype(np.uint16).newbyteorder()):
        assert same_bits(kf.means(data, labels.astype(kind), 3), plain)


@pytest.mark.parametrize("data", [noise(1, 3), POINTS[:1], POINTS[:1].astype(np.float32)])
def test_arrays_of_stride_0(data):
    whole = np.broadcast_to(data[0, :1], (20, data.shape[-1]))
    labels, weights = np.broadcast_to(np.uint8(0), 20), np.broadcast_to(0.5, 20)
    check(whole, whole[:1].astype(np.float64))
    expected = kf.means(whole.copy(), labels.copy(), 1, sample_weight=weights.copy())
    assert same_bits(kf.means(whole, labels, 1, sample_weight=weights), expected)
    assert same_bits(
        kf.assign(whole, np.broadcast_to(3.0, (4, data.shape[-1]))), np.zeros(20, np.uint8)
    )


# ------------------------------------------------------------------- scikit-learn's estimator


@pytest.mark.parametrize(
    ("dtype", "size"), [(np.float32, 1e36), (np.float32, 1e-36), (np.float64, 1e140)]
)
def test_the_estimator_at_the_ends_of_its_range(dtype, size):
    from kmeans_fast.sklearn import KMeans

    points = (POINTS * size).astype(dtype)
    model = KMeans(3, random_state=0).fit(points)
    labels = ref.assign(points, model.cluster_centers_)
    assert np.array_equal(model.labels_, labels)
    assert np.array_equal(model.predict(points), labels)
    assert_inertia(model.inertia_, points, labels, model.cluster_centers_)
    assert model.score(points) == -model.inertia_
    with pytest.raises(ValueError, match="X has 1 masked values"):
        KMeans(3).fit(points).transform(masked(points))
    with pytest.raises(ValueError, match="init has 1 masked values"):
        KMeans(3, init=masked(points[:3]), n_init=1).fit(points)
    with pytest.raises(ValueError, match="sample_weight has 1 masked values"):
        KMeans(3).fit(points, sample_weight=masked(np.ones(48)))
    with pytest.raises(ValueError, match="sample_weight holds values up to 1e-310, too small"):
        KMeans(3).fit(points, sample_weight=np.full(48, 1e-310))


# ------------------------------------------------------------------- the caller's numpy.errstate

NORMAL = np.random.default_rng(0).normal(size=(500, 3))
WIDE = NORMAL * np.logspace(-300, 100, 500)[:, None]
TINY, HUGE, SINGLE = NORMAL * 1e-310, NORMAL * 1e150, (NORMAL * 1e-40).astype(np.float32)
BLACK, LIGHT = np.zeros((4, 3)), np.arange(48).reshape(6, 8) * 1e-200
CALLS = {
    "fit": lambda: kf.fit(NORMAL, 100, max_iter=3),
    "tree": lambda: kf.fit(WIDE[:, :2], 100, max_iter=3),
    "denormals": lambda: kf.fit(TINY, 4),
    "huge values": lambda: kf.fit(HUGE, 100, max_iter=3),
    "values of every size": lambda: kf.fit(WIDE, 4, init="random", max_iter=3),
    "weights": lambda: kf.fit(WIDE, 4, sample_weight=np.arange(500) / 7, max_iter=3),
    "weights of pixels": lambda: kf.fit(PICTURE, 4, sample_weight=LIGHT),
    "empty clusters": lambda: kf.fit(WIDE, 4, init=BLACK, max_iter=3),
    "OKLab": lambda: kf.fit(PICTURE, 4, space="oklab", init=BLACK),
    "quantize": lambda: np.asarray(kf.quantize(noise(30, 40), 9, space="oklab", medoids=True)),
    "sweep": lambda: kf.sweep(WIDE, [2, 3], max_iter=3)[1],
    "assign": lambda: kf.assign(WIDE, WIDE[:4]),
    "means": lambda: kf.means(TINY, np.arange(500) % 5, 5),
    "k_means": lambda: kf.k_means(WIDE[:4], WIDE)[0],
    "kmeans_plusplus": lambda: kf.kmeans_plusplus(WIDE, 4),
    "predict": lambda: kf.fit(NORMAL, 4).predict(WIDE),
    "recolor": lambda: kf.fit(SINGLE, 4).recolor(),
    "palette": lambda: kf.fit(np.uint16(PICTURE), 2, init=np.full((2, 3), 5e-324)).palette,
}


def bits(answer):
    if isinstance(answer, kf.KMeansResult):
        return *map(bits, answer), bits(answer.counts), answer.inertia, answer.n_iter
    return answer.tobytes()


def raised(*_):
    raise AssertionError("the caller was called")


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("state", ["raise", "call"])
def test_the_callers_errstate_is_not_for_the_librarys_arithmetic(name, state, use):
    use("tree" if name == "tree" else "dense")
    expected = bits(CALLS[name]())
    with np.errstate(all=state, call=raised):
        before = np.geterr()
        assert bits(CALLS[name]()) == expected
        assert np.geterr() == before


def test_what_the_caller_gives_to_be_called_runs_in_the_callers_errstate():
    seen = []

    def look(*arguments):
        seen.append(np.geterr())
        return NORMAL[: arguments[1]] if len(arguments) > 1 else None

    def tiles():
        for _ in range(2):
            look(0)
            yield PICTURE

    for state in ("raise", "ignore"):
        with np.errstate(all=state):
            kf.fit(NORMAL, 4, init=look, callback=look, max_iter=2)
            kf.ColorHistogram.from_tiles(tiles(), callback=look)
            assert seen == [np.geterr()] * 7
            seen.clear()

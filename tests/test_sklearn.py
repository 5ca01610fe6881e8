"""`kmeans_fast.sklearn.KMeans` is scikit-learn's, but for where it says that it is not."""

import importlib
import inspect
import re
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from joblib.externals.loky import get_reusable_executor
from sklearn import cluster, config_context
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import shuffle
from sklearn.utils.estimator_checks import check_estimator

import kmeans_fast as kf
from kmeans_fast._estimated import distinct_rows
from kmeans_fast.sklearn import KMeans

from .pictures import few_colors, photograph

BOTH = pytest.mark.parametrize("Estimator", [KMeans, cluster.KMeans])
RNG = np.random.default_rng(0)
CENTERS = 6.0 * RNG.normal(size=(4, 2))
X = CENTERS[RNG.integers(4, size=200)] + RNG.normal(size=(200, 2))
START = X[:4]
WEIGHTS = RNG.integers(0, 5, size=200)
PIXELS = photograph(30, 40).reshape(-1, 3)


def given(Estimator=KMeans, start=START, **options):
    """Return an estimator that starts from given centres."""
    return Estimator(len(start), init=start, **options)


def assert_same(a, b):
    """Assert that two fitted estimators are equal to the last bit."""
    assert np.array_equal(a.cluster_centers_, b.cluster_centers_)
    assert np.array_equal(a.labels_, b.labels_)
    assert (a.inertia_, a.n_iter_) == (b.inertia_, b.n_iter_)


# ------------------------------------------------------------------------ the same estimator


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_it_passes_the_checks_of_scikit_learn_with_those_of_weights():
    check_estimator(KMeans(n_clusters=2))


def test_the_parameters_and_their_defaults_are_the_same():
    ours, theirs = (inspect.signature(E).parameters for E in (KMeans, cluster.KMeans))
    assert {name: each.default for name, each in ours.items()} == {
        **{name: each.default for name, each in theirs.items()},
        "refine": 0,
    }
    assert KMeans().get_params() == cluster.KMeans().get_params() | {"refine": 0}
    assert isinstance(KMeans(), cluster.KMeans)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["rows", "weights"])
@pytest.mark.parametrize("algorithm", ["lloyd", "elkan"])
def test_from_one_start_both_end_alike(algorithm, weights):
    start = X[WEIGHTS > 0][:4]
    ours, theirs = (
        given(E, start, algorithm=algorithm, tol=0).fit(X, sample_weight=weights)
        for E in (KMeans, cluster.KMeans)
    )
    assert np.array_equal(ours.labels_, theirs.labels_)
    assert ours.labels_.dtype == theirs.labels_.dtype == np.int32
    np.testing.assert_allclose(ours.cluster_centers_, theirs.cluster_centers_, rtol=1e-12)
    assert ours.inertia_ == pytest.approx(theirs.inertia_, rel=1e-12)
    assert type(ours.inertia_) is float
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.n_features_in_ == theirs.n_features_in_ == 2
    new = X[::-1] + 0.5
    assert np.array_equal(ours.predict(new), theirs.predict(new))
    assert ours.predict(new).dtype == np.int32
    np.testing.assert_allclose(ours.transform(new), theirs.transform(new), rtol=1e-9)
    assert ours.score(new) == pytest.approx(theirs.score(new), rel=1e-12)
    assert np.array_equal(ours.get_feature_names_out(), theirs.get_feature_names_out())


@pytest.mark.parametrize("data", [X, PIXELS], ids=["float64", "uint8"])
def test_from_one_start_it_is_kf_fit_to_the_last_bit(data):
    start = data[:4].astype(np.float64)
    estimator = given(start=start).fit(data)
    result = kf.fit(data, 4, init=start)
    assert np.array_equal(estimator.cluster_centers_, result.centroids)
    assert np.array_equal(estimator.labels_, result.labels)
    assert (estimator.inertia_, estimator.n_iter_) == (result.inertia, result.n_iter)


def test_pixels_with_an_integer_seed_have_the_palette_of_kf_fit():
    result = kf.fit(PIXELS, 5, random_state=3)
    assert np.array_equal(KMeans(5, random_state=3).fit(PIXELS).cluster_centers_, result.centroids)


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["rows", "weights"])
def test_labels_and_inertia_are_those_that_predict_and_score_find(weights):
    for options in ({}, {"max_iter": 1}):
        estimator = KMeans(4, random_state=0, **options).fit(X, sample_weight=weights)
        assert np.array_equal(estimator.labels_, estimator.predict(X))
        assert estimator.inertia_ == -estimator.score(X, sample_weight=weights)
        same = clone(estimator)
        assert np.array_equal(estimator.labels_, same.fit_predict(X, sample_weight=weights))
        assert np.array_equal(estimator.transform(X), same.fit_transform(X, sample_weight=weights))


# ---------------------------------------------------------------------------- types of data


def test_float32_data_have_float32_centres_and_the_labels_and_inertia_of_these():
    single = X.astype(np.float32)
    estimator = KMeans(4, random_state=0).fit(single)
    centers = estimator.cluster_centers_
    assert centers.dtype == estimator.transform(single).dtype == np.float32
    sq_dists = ((single[:, None].astype(np.float64) - centers) ** 2).sum(axis=2)
    assert np.array_equal(estimator.labels_, sq_dists.argmin(axis=1))
    assert np.array_equal(estimator.labels_, estimator.predict(single))
    assert estimator.inertia_ == pytest.approx(sq_dists.min(axis=1).sum(), rel=1e-14)
    unrounded = kf.fit(single, 4, init=centers, max_iter=1).inertia
    assert estimator.inertia_ == -estimator.score(single) != unrounded


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint32, object, bool, np.float16])
def test_other_types_become_float64(dtype):
    whole = np.abs(np.rint(X)).astype(dtype)
    estimator = KMeans(3, random_state=0).fit(whole)
    assert estimator.cluster_centers_.dtype == np.float64
    assert_same(estimator, KMeans(3, random_state=0).fit(whole.astype(np.float64)))
    assert np.array_equal(estimator.predict(whole.tolist()), estimator.labels_)


def test_uint8_of_more_columns_than_colours_have_becomes_float64():
    wide = few_colors((40, 5))
    assert_same(
        KMeans(3, random_state=0).fit(wide), KMeans(3, random_state=0).fit(wide.astype(float))
    )


def test_pixels_never_become_floats(monkeypatch):
    monkeypatch.setattr("kmeans_fast.data.dataset.DensePoints", None)
    monkeypatch.setattr("kmeans_fast.sklearn.DensePoints", None)
    for data in (PIXELS, np.asfortranarray(PIXELS), pd.DataFrame(PIXELS)):
        estimator = KMeans(4, random_state=0).fit(data)
        assert estimator.cluster_centers_.dtype == np.float64
        assert np.array_equal(estimator.predict(data), estimator.labels_)
        assert estimator.score(data) == -estimator.inertia_
        assert estimator.transform(data).dtype == np.float64


@pytest.mark.parametrize("method", ["fit", "fit_predict", "predict", "transform", "score"])
def test_sparse_data_are_refused_with_a_remedy(method):
    estimator = KMeans(4).fit(X)
    with pytest.raises(TypeError, match=r"dense data is required.*\.toarray\(\)"):
        getattr(estimator, method)(scipy.sparse.csr_array(X))


# ----------------------------------------------------------------------------------- starts


def draw(X, n_clusters, random_state):
    """Choose starting centres, as a callable of scikit-learn does."""
    return X[random_state.choice(len(X), n_clusters, replace=False)]


@BOTH
@pytest.mark.parametrize(
    ("options", "n_runs"),
    [
        ({"init": "k-means++"}, 1),
        ({"init": np.str_("k-means++")}, 1),
        ({"init": "random"}, 10),
        ({"init": draw}, 10),
        ({"init": START.tolist()}, 1),
        ({"n_init": 3}, 3),
        ({"init": draw, "n_init": 2}, 2),
        pytest.param(
            {"init": START, "n_init": 5}, 1, marks=pytest.mark.filterwarnings("ignore:Explicit")
        ),
    ],
)
def test_runs_are_counted_as_in_scikit_learn(Estimator, options, n_runs, capsys):
    Estimator(4, verbose=1, **options).fit(X)
    assert capsys.readouterr().out.count("Initialization complete") == n_runs


@pytest.mark.parametrize("data", [X, PIXELS], ids=["float64", "uint8"])
def test_a_callable_is_given_floats_that_are_not_centred(data):
    def init(X, n_clusters, random_state):
        seen.append((X, random_state.randint(1000)))
        return X[:n_clusters]

    seen = []
    KMeans(2, init=init, n_init=2, random_state=7).fit(data)
    state = np.random.RandomState(7)
    for floats, number in seen:
        assert floats.dtype == np.float64
        assert np.array_equal(floats, data)
        assert number == state.randint(1000)


def test_the_seed_decides():
    def centers(random_state):
        return KMeans(4, max_iter=1, random_state=random_state).fit(X).cluster_centers_

    assert np.array_equal(centers(1), centers(np.int64(1)))
    assert not np.array_equal(centers(1), centers(2))
    state = np.random.RandomState(0)
    first, second = centers(state), centers(state)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, centers(np.random.RandomState(0)))
    kept = np.random.get_state()  # noqa: NPY002 - what random_state=None stands for
    np.random.seed(0)  # noqa: NPY002
    assert np.array_equal(first, centers(None))
    np.random.set_state(kept)  # noqa: NPY002


@pytest.mark.parametrize("init", ["k-means++", "random"])
@pytest.mark.parametrize("data", [np.round(X), PIXELS[:200]], ids=["float64", "uint8"])
def test_a_weight_is_so_many_equal_rows_also_for_the_starts(data, init):
    for seed in range(5):
        estimator = KMeans(6, init=init, n_init=2, max_iter=2, random_state=seed)
        weighted = clone(estimator).fit(data, sample_weight=WEIGHTS)
        repeated = clone(estimator).fit(shuffle(np.repeat(data, WEIGHTS, axis=0), random_state=1))
        assert np.array_equal(weighted.cluster_centers_, repeated.cluster_centers_)
        assert weighted.inertia_ == repeated.inertia_
        assert weighted.n_iter_ == repeated.n_iter_


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("data", [X, np.round(X), X[:1]], ids=["all differ", "some equal", "one"])
def test_distinct_rows_are_sorted_by_the_last_column_first(data, weights):
    weights = None if weights is None else weights[: len(data)] + 1.0
    expected, totals = np.unique(data[:, ::-1], axis=0, return_counts=True)
    rows, found = distinct_rows(data, weights)
    np.testing.assert_array_equal(rows, expected[:, ::-1])
    if weights is not None:
        totals = [weights[(data == row).all(axis=1)].sum() for row in rows]
    if found is None:
        assert weights is None and len(rows) == len(data)
    else:
        np.testing.assert_array_equal(found, totals)


def test_a_cluster_of_rows_of_no_weight_is_not_empty():
    data = np.array([[0.0, 0.0], [1.0, 1.0], [9.0, 9.0]])
    estimator = given(start=data).fit(data, sample_weight=[1, 1, 0])
    assert estimator.labels_.tolist() == [0, 1, 2]


def test_rows_of_no_weight_have_labels_but_no_say():
    far = np.vstack([X, [[500.0, 500.0]]])
    weights = np.append(np.ones(len(X)), 0.0)
    estimator = KMeans(4, random_state=0).fit(far, sample_weight=weights)
    assert np.array_equal(
        estimator.cluster_centers_, KMeans(4, random_state=0).fit(X).cluster_centers_
    )
    assert np.array_equal(estimator.labels_, estimator.predict(far))


# --------------------------------------------------------------------------------- messages


def what_it_raises(Estimator, options, data, weights, new):
    with pytest.raises(Exception) as caught:
        estimator = Estimator(**options)
        if data is not None:
            estimator.fit(data, sample_weight=weights)
        estimator.predict(new)
    return caught.type, str(caught.value)


NAN = np.where(X == X[3, 1], np.nan, X)


@pytest.mark.parametrize(
    ("options", "data", "weights", "new", "message"),
    [
        ({"n_clusters": 5}, X[:3], None, X, "n_samples=3 should be >= n_clusters=5."),
        ({"n_clusters": 3, "init": START}, X, None, X, "initial centers (4, 2) does not match"),
        ({"n_clusters": 4, "init": X[:4, :1]}, X, None, X, "number of features of the data 2."),
        ({"init": lambda X, k, random_state: X[:2]}, X, None, X, "number of clusters 8."),
        ({"n_clusters": 0}, X, None, X, "n_clusters"),
        ({"n_clusters": 2.0}, X, None, X, "n_clusters"),
        ({"init": "kmeans"}, X, None, X, "init"),
        ({"n_init": 0}, X, None, X, "n_init"),
        ({"tol": -1}, X, None, X, "tol"),
        ({"max_iter": 0}, X, None, X, "max_iter"),
        ({"algorithm": "full"}, X, None, X, "algorithm"),
        ({"random_state": "0"}, X, None, X, "random_state"),
        ({"random_state": 2**32}, X, None, X, "random_state"),
        ({"random_state": -1}, X, None, X, "random_state"),
        ({}, NAN, None, X, "NaN"),
        ({}, X[:, 0], None, X, "2D array"),
        ({}, X[:0], None, X, "0 sample"),
        ({}, [["a", "b"]], None, X, "could not convert string"),
        ({}, X, np.ones(3), X, "sample_weight.shape == (3,), expected (200,)!"),
        ({}, X, np.ones((200, 2)), X, "Sample weights must be 1D array or scalar"),
        ({}, X, np.full(200, np.nan), X, "NaN"),
        ({}, X, None, X[:, :1], "X has 1 features, but KMeans is expecting 2"),
        ({}, X, None, NAN, "NaN"),
        ({}, None, None, X, "This KMeans instance is not fitted yet"),
    ],
)
def test_errors_are_those_of_scikit_learn(options, data, weights, new, message):
    ours, theirs = (
        what_it_raises(E, options, data, weights, new) for E in (KMeans, cluster.KMeans)
    )
    assert ours == theirs
    assert message in ours[1]


def test_negative_weights_are_refused():
    with pytest.raises(ValueError, match=r"sample_weight goes down to -1\.0"):
        KMeans(4).fit(X, sample_weight=np.append(np.ones(199), -1))


FEW = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]])


@pytest.mark.parametrize(
    ("options", "data", "message"),
    [
        ({"n_clusters": 4}, FEW, "Number of distinct clusters (3) found smaller than"),
        ({"n_clusters": 4, "init": START, "n_init": 5}, X, "performing only one init in KMeans"),
        ({"n_clusters": 1, "algorithm": "elkan"}, X, "doesn't make sense for a single cluster"),
    ],
)
def test_warnings_are_those_of_scikit_learn(options, data, message):
    told = []
    for Estimator in (KMeans, cluster.KMeans):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            Estimator(**options).fit(data)
        told.append([(w.category, str(w.message)) for w in caught])
        if Estimator is KMeans:
            assert caught[0].filename == __file__
    assert told[0] == told[1]
    assert message in told[0][0][1]


@pytest.mark.parametrize("tol", [0, 0.01])
def test_verbose_prints_what_scikit_learn_prints(tol, capsys):
    number = r"\d+\.?\d*(?:e-?\d+)?"
    printed = []
    for Estimator in (KMeans, cluster.KMeans):
        given(Estimator, X[:3], tol=tol, verbose=1).fit(X)
        printed.append(capsys.readouterr().out)
    ours, theirs = (re.sub(number, "*", text) for text in printed)
    assert ours == theirs
    assert ("strict convergence" if tol == 0 else "within tolerance") in ours
    ours, theirs = ([float(x) for x in re.findall(number, text)] for text in printed)
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


# ------------------------------------------------------------------- in scikit-learn's house


def test_a_grid_search_in_other_processes_is_the_one_in_this():
    """The processes are those of joblib's loky, which gives each its share of the threads."""
    searches = [
        GridSearchCV(KMeans(random_state=0), {"n_clusters": [2, 4]}, cv=3, n_jobs=n_jobs).fit(X)
        for n_jobs in (1, 2)
    ]
    get_reusable_executor().shutdown()
    one, two = (search.cv_results_["mean_test_score"] for search in searches)
    assert np.array_equal(one, two)
    assert searches[0].best_params_ == {"n_clusters": 4}


def test_names_of_columns_come_in_and_go_out():
    frame = pd.DataFrame(X, columns=["a", "b"], index=np.arange(200) * 2)
    estimator = KMeans(4, random_state=0).set_output(transform="pandas").fit(frame)
    assert list(estimator.feature_names_in_) == ["a", "b"]
    distances = estimator.transform(frame)
    assert list(distances.columns) == ["kmeans0", "kmeans1", "kmeans2", "kmeans3"]
    assert distances.index.equals(frame.index)
    with pytest.raises(ValueError, match="feature names should match"):
        estimator.predict(frame.rename(columns={"a": "c"}))


def test_weights_are_routed():
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=False)
        kmeans = KMeans(4, random_state=0).set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, kmeans).fit(X, sample_weight=WEIGHTS)
    scaled = StandardScaler().fit_transform(X)
    assert_same(pipeline[-1], KMeans(4, random_state=0).fit(scaled, sample_weight=WEIGHTS))


def test_without_scikit_learn_one_line_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "kmeans_fast.sklearn")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"pip install 'kmeans_fast\[sklearn\]'") as caught:
        importlib.import_module("kmeans_fast.sklearn")
    assert "\n" not in str(caught.value)


def test_the_callers_errstate_is_for_a_callable_init_alone():
    seen = []

    def init(X, n_clusters, random_state):
        seen.append(np.geterr())
        return X[:n_clusters]

    tiny = (X * 1e-40).astype(np.float32)
    expected = KMeans(4, init=init).fit(tiny)
    seen.clear()
    with np.errstate(all="raise"):
        state = np.geterr()
        assert_same(KMeans(4, init=init).fit(tiny), expected)
        assert expected.score(tiny) == -expected.inertia_
    assert seen == [state] * 10

"""`KMeans`, the estimator of scikit-learn, fitted by this library."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .api import assign
from .arrays import as_native, unmasked
from .checks import are_colors, check_refine
from .data.dataset import of_array
from .dense.points import DensePoints
from .fitting import Options, fit_dataset
from .lloyd import Progress
from .masking import Nodata
from .seeding import METHODS
from .threads import ALONE, Threads, as_caller

try:
    from sklearn import cluster
    from sklearn.base import _fit_context
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.utils import check_array, check_random_state
    from sklearn.utils._param_validation import Interval
    from sklearn.utils.validation import check_is_fitted
except ImportError as _missing:
    raise ImportError(
        "kmeans_fast.sklearn needs scikit-learn: pip install 'kmeans_fast[sklearn]'"
    ) from _missing

from ._estimated import checked_weights, distinct_rows, float_type, take_part

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # before scikit-learn 1.6

    def validate_data(estimator: Any, X: Any, **options: Any) -> Any:
        """Check `X` as scikit-learn's estimators do."""
        return estimator._validate_data(X, **options)


__all__ = ["KMeans"]

Array = NDArray[Any]
Method = TypeVar("Method", bound=Callable[..., Any])

# Data of up to so many numbers start from their distinct rows. To find these takes 0.1 ms there, or
# 0.35 where numbers repeat, of a fit's 2 to 4 (K = 8); 2 to 5 ms of 10 to 35 at ten times as many.
MOST_SORTED = 4096


def _checked(method: Method) -> Method:
    """Let scikit-learn check the parameters first."""
    checked: Method = _fit_context(prefer_skip_nested_validation=True)(method)
    return checked


if TYPE_CHECKING:
    from ._sklearn import Init, TheirKMeans
else:
    TheirKMeans = cluster.KMeans


class KMeans(TheirKMeans):
    """`sklearn.cluster.KMeans` for dense data: the same parameters, attributes and methods.

    Parameters
    ----------
    n_clusters : int, default=8
    init : {"k-means++", "random"}, callable or array-like of shape (k, d), default="k-means++"
        A callable is given ``(X, n_clusters, random_state=RandomState)``.
    n_init : "auto" or int, default="auto"
        Runs from new starts; "auto" makes 10 for "random" and for a callable, otherwise 1.
    max_iter : int, default=300
    tol : float, default=1e-4
        As in `kmeans_fast.fit`.
    verbose : int, default=0
    random_state : int, RandomState instance or None, default=None
        None draws from NumPy's global generator, so ``np.random.seed`` fixes the result.
    copy_x : bool, default=True
        Has no effect: `X` is never changed.
    algorithm : {"lloyd", "elkan"}, default="lloyd"
        Has no effect: there is one algorithm, and it is exact.
    refine : int, default=0
        Beyond scikit-learn's: search on from each start, as in `kmeans_fast.fit`. For colours.

    Attributes
    ----------
    cluster_centers_ : ndarray, shape (k, d)
        float32 where `X` was, otherwise float64.
    labels_ : ndarray of int32, shape (n,)
        Equal to ``predict(X)``.
    inertia_ : float
        Equal to ``-score(X)``.
    n_iter_ : int
    n_features_in_ : int
    feature_names_in_ : ndarray of str, shape (d,)
        Only where the columns of `X` have names.

    Raises
    ------
    TypeError
        For sparse data: convert them with ``.toarray()``.
    ValueError
        For what scikit-learn refuses, and for negative weights.

    Notes
    -----
    It differs from scikit-learn in this:

    - uint8 data of 1 to 4 columns, and uint16 of 1 to 3, are counted as the colours they may be,
      without becoming floats. So ``KMeans(k).fit(image.reshape(-1, 3))`` takes all pixels of a
      photograph, in the time of `kmeans_fast.fit` and with its result for the same integer seed.
    - The random numbers are others, and so are the starts: another local optimum, now and then.
    - Sums are exact, ties go to the lowest label, and threads change no bit.
    - A weight of `w` is the same as `w` equal rows also for the starts, of colours and of other
      data of up to 4,096 numbers. Larger data are drawn from row by row: there the order of rows,
      and repeating them, may lead to other starts.
    - `tol` is relative to the variance of the weighted data.
    - A callable `init` is given the data as they are, not centred.

    It takes as many threads as Numba would: all cores, or ``NUMBA_NUM_THREADS``, which joblib sets
    in its worker processes.

    Examples
    --------
    >>> import numpy as np
    >>> from kmeans_fast.sklearn import KMeans
    >>> X = np.array([[1, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> kmeans = KMeans(n_clusters=2, random_state=0).fit(X)
    >>> sorted(kmeans.cluster_centers_.tolist()), kmeans.inertia_
    ([[1.0, 2.0], [10.0, 2.0]], 16.0)
    >>> bool((kmeans.predict([[0, 0], [12, 3]]) == kmeans.labels_[[0, 3]]).all())
    True
    """

    cluster_centers_: NDArray[np.float32] | NDArray[np.float64]
    labels_: NDArray[np.int32]
    inertia_: float
    n_iter_: int
    refine: int

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **TheirKMeans._parameter_constraints,
        "refine": [Interval(Integral, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        init: Init = "k-means++",
        n_init: Literal["auto"] | int = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        verbose: int = 0,
        random_state: int | np.random.RandomState | None = None,
        copy_x: bool = True,
        algorithm: Literal["lloyd", "elkan"] = "lloyd",
        refine: int = 0,
    ) -> None:
        super().__init__(
            n_clusters, init=init, n_init=n_init, max_iter=max_iter, tol=tol, verbose=verbose,
            random_state=random_state, copy_x=copy_x, algorithm=algorithm,
        )  # fmt: skip
        self.refine = refine

    @_checked
    def fit(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        mask: ArrayLike | None = None,
        nodata: Nodata = None,
    ) -> KMeans:
        """Cluster the rows of `X`.

        Parameters
        ----------
        X : array-like, shape (n, d)
        y : ignored
        sample_weight : array-like, shape (n,), optional
            Weights, not negative.
        mask, nodata
            Beyond scikit-learn's: which rows take part, as in `kmeans_fast.fit`. The others have
            the label -1. So have rows with a masked value, of ``numpy.ma``.

        Returns
        -------
        KMeans
            The estimator itself.

        Warns
        -----
        ConvergenceWarning
            Where there are fewer distinct rows than clusters.
        """
        taken = take_part(X, mask, nodata)
        taken.check()
        X = self._check_data(taken.rows, reset=True)
        k = int(self.n_clusters)
        if len(X) < k:
            raise ValueError(f"n_samples={len(X)} should be >= n_clusters={k}.")
        n_init = self._count_runs()
        check_refine(self.refine, X)
        weights = checked_weights(taken.weights(sample_weight), X)
        # An integer seeds the same generator as in `kmeans_fast.fit`.
        seed = self.random_state
        seed = int(seed) if isinstance(seed, Integral) else check_random_state(seed)
        init = as_caller(self.init) if callable(self.init) else self.init
        with Threads() as threads:
            data = of_array(X, weights, threads)
            if X.dtype == np.float32:  # labels and inertia are those of the rounded centres
                data = replace(data, back=lambda c: c.astype(np.float32).astype(np.float64))
            options = Options(
                init=self._starter(init, X, weights, data.points),
                n_init=n_init,
                max_iter=self.max_iter,
                tol=self.tol,
                random_state=seed,
                callback=self._reporter(data.points) if self.verbose else None,
                refine=int(self.refine),
            )
            result = fit_dataset(data, k, options)
            self.cluster_centers_ = result.centroids.astype(float_type(X))
        self.labels_ = taken.spread(result.labels, k)
        self.inertia_ = result.inertia
        self.n_iter_ = result.n_iter
        self._n_features_out = k  # for get_feature_names_out
        if not result.counts.all():  # points of no weight have labels too
            n_found = np.unique(result.labels).size
            if n_found < k:
                warnings.warn(
                    f"Number of distinct clusters ({n_found}) found smaller than n_clusters "
                    f"({k}). Possibly due to duplicate points in X.",
                    ConvergenceWarning,
                    stacklevel=3,
                )
        return self

    def predict(
        self, X: Any, *, mask: ArrayLike | None = None, nodata: Nodata = None
    ) -> NDArray[np.int32]:
        """Label each row of `X` with its nearest centre, the lowest label on ties.

        Parameters
        ----------
        X : array-like, shape (n, d)
        mask, nodata
            As in `fit`.

        Returns
        -------
        ndarray of int32, shape (n,)
        """
        check_is_fitted(self)
        taken = take_part(X, mask, nodata)
        k = len(self.cluster_centers_)
        if taken.is_empty:
            return taken.spread(np.empty(0, np.uint8), k)
        return taken.spread(assign(self._check_test_data(taken.rows), self.cluster_centers_), k)

    def score(
        self,
        X: Any,
        y: Any = None,
        sample_weight: ArrayLike | None = None,
        *,
        mask: ArrayLike | None = None,
        nodata: Nodata = None,
    ) -> float:
        """Return minus the inertia of `X`: the weighted sum of squared distances to the centres.

        Parameters
        ----------
        X : array-like, shape (n, d)
        y : ignored
        sample_weight : array-like, shape (n,), optional
        mask, nodata
            As in `fit`.

        Returns
        -------
        float
        """
        check_is_fitted(self)
        taken = take_part(X, mask, nodata)
        taken.check()
        X = self._check_test_data(taken.rows)
        with Threads() as threads:
            weights = checked_weights(taken.weights(sample_weight), X)
            points = of_array(X, weights, threads).points
            _, _, inertia = points.label(self.cluster_centers_.astype(np.float64))
        return -inertia

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: as its own, but for sparse data."""
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = False
        return tags

    def _check_test_data(self, X: Any) -> Array:  # the inherited transform calls it too
        return self._check_data(X, reset=False)

    def _check_data(self, X: Any, reset: bool) -> Array:
        """Return colours as they are, and other data as floats."""
        X = unmasked("X", X, "leave those rows out, or fill them in")
        if isinstance(X, np.ndarray):
            X = as_native(X)
        accepted = [np.float64, np.float32, np.uint8, np.uint16]
        array: Array = validate_data(self, X, reset=reset, dtype=accepted)
        return array if are_colors(array) else array.astype(float_type(array), copy=False)

    def _count_runs(self) -> int:
        """Return the number of runs, and warn of parameters that cannot be followed."""
        given = not isinstance(self.init, str) and not callable(self.init)
        n_init = self.n_init
        if n_init == "auto":
            n_init = 1 if given or self.init == "k-means++" else 10
        if given and n_init != 1:
            warnings.warn(
                "Explicit initial center position passed: performing only one init in "
                f"{type(self).__name__} instead of n_init={n_init}.",
                RuntimeWarning,
                stacklevel=4,
            )
            n_init = 1
        if self.algorithm == "elkan" and self.n_clusters == 1:
            warnings.warn(
                "algorithm='elkan' doesn't make sense for a single cluster. Using 'lloyd' instead.",
                RuntimeWarning,
                stacklevel=4,
            )
        return int(n_init)

    def _check_centers(self, centers: Any, X: Array) -> Array:
        """Return starting centres, in the precision of the data."""
        centers = unmasked("init", centers, "fill them in")
        array: Array = check_array(centers, dtype=float_type(X))
        self._validate_center_shape(X, array)
        return array

    def _starter(
        self,
        init: Any,
        X: Array,
        weights: Array | None,
        points: Any,
    ) -> Callable[[Any, int, np.random.Generator], Array]:
        """Return what gives the centres that a run starts from."""
        if isinstance(init, str):
            if X.dtype.kind == "f" and X.size <= MOST_SORTED:
                rows, totals = distinct_rows(X, weights)
                known = points.facts if totals is None else None
                points = DensePoints(rows, totals, ALONE, known)
        elif callable(init):
            random = check_random_state(self.random_state)  # takes 0.1 ms
        else:
            init = self._check_centers(init, X)

        def start(source: Any, k: int, rng: np.random.Generator) -> Array:
            if isinstance(init, str):
                centers = METHODS[init](points, k, rng)
            elif callable(init):
                floats = X.astype(float_type(X), copy=False)  # differences of uint8 would wrap
                centers = self._check_centers(init(floats, k, random_state=random), X)
            else:
                centers = init
            if self.verbose:
                print("Initialization complete")
            return centers

        return start

    def _reporter(self, points: Any) -> Callable[[Progress], None]:
        """Return a callback that prints what scikit-learn prints."""

        def report(now: Progress) -> None:
            i = now.iteration - 1
            print(f"Iteration {i}, inertia {now.inertia}.")
            if now.shift == 0:
                print(f"Converged at iteration {i}: strict convergence.")
            elif now.shift <= (tolerance := self.tol * points.variance):
                print(
                    f"Converged at iteration {i}: center shift {now.shift} within tolerance "
                    f"{tolerance}."
                )

        return report

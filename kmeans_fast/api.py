"""The public functions: choose a point set, run the loop, hand back a result."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arrays import as_array, as_centroids, as_labels, as_weights
from .checks import (
    are_colors,
    check_integer,
    check_ks,
    check_n_clusters,
    check_rng,
    check_threads,
)
from .colors.counting import sum_members
from .colors.keys import PixelChunks
from .colors.points import exact_means
from .data.dataset import of_array
from .data.opening import as_dataset, check_labels, find_labels, open_data, size_of
from .dense.points import DensePoints
from .exact.weights import UNWEIGHTED, Units, in_limbs, summarize, units_of_pixels
from .fitting import Options, check_options, fit_each
from .layouts import Axis
from .lloyd import Callback, lloyd
from .masking import Asked, Nodata
from .point_set import Labels
from .result import KMeansResult
from .seeding import METHODS, Init, Method, Starter
from .spaces import Space
from .threads import Threads

Array = NDArray[Any]


def fit(
    data: Any,
    n_clusters: int,
    *,
    init: Init = "k-means++",
    n_init: int = 1,
    refine: int = 0,
    max_iter: int = 300,
    tol: float = 1e-4,
    space: Space = "rgb",
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    nodata: Nodata = None,
    fill: int | None = None,
    channel_axis: Axis = -1,
    random_state: int | np.random.Generator | np.random.RandomState | None = 0,
    n_threads: int | None = None,
    callback: Callback | None = None,
) -> KMeansResult:
    """Cluster the pixels of an image, or any points: exact Lloyd k-means.

    Parameters
    ----------
    data : array_like, PIL.Image.Image, ColorHistogram, Dask array or xarray.DataArray
        An image (h, w, c) or points (n, d) of real numbers. A two-dimensional array is always
        points: give a grey image as ``image[..., None]``. (`open_image` reads files.) uint8 data
        of 1 to 4 channels and uint16 of 1 to 3 are counted into distinct colours first, which
        changes nothing but the time. Never changed.
    n_clusters : int
        Number of clusters, 1 to the number of points.
    init : {"k-means++", "random"}, array_like of shape (k, d), or callable
        Where the centroids start: greedy k-means++, distinct points drawn at random, the rows of
        an array, or those that ``init(data, n_clusters, rng)`` returns.
    n_init : int
        Number of runs from new starts; the one of least inertia is returned.
    refine : int
        For pixels of the types that are counted: search on from each start for what iterations
        alone do not find. 1 moves centroids from where they do little to where they are missed;
        each more tries other sets of centroids, merged with the best so far. On photographs the
        inertia is 0.2 to 0.7 % above the best known with 1, and 0.1 to 0.5 % with 4; without,
        2 % on average and up to 20 %. Beyond 8,192 clusters it has no effect.
    max_iter : int
        The most iterations of a run; with `refine`, of its last part, beyond those of the search.
    tol : float
        A run has converged when the sum of the squared shifts of the centroids is at most `tol`
        times the mean variance of the features. 0 runs until no centroid moves.
    space : {"rgb", "oklab"}
        In which space distances are measured and means taken, for pixels of three channels of
        uint8 or uint16: "oklab" is nearer to what the eye sees. Centroids are sRGB all the same;
        inertia, shifts and what a callback sees are OKLab.
    sample_weight : array_like, shape (h, w) or (n,), optional
        Weights, not negative. A point of no weight has a label but no say.
    mask : array_like of bool, shape (h, w) or (n,), optional
        Which pixels take part: true, those that do. The fit is that of these pixels alone, to the
        same bits; the others do not count, and are labelled -1, or `fill`. So are the masked
        values of ``numpy.ma``: a pixel with any channel masked takes no part.
    nodata : float, or sequence of float, optional
        The value that says that there is none, NaN included, or one for each channel (None: that
        one has none). A pixel with any channel at its value takes no part. Of a DataArray by
        default its ``_FillValue``, or ``rio.nodata``. With `mask` a pixel takes part where both
        allow it.
    fill : int, optional
        The label of pixels that take no part, -1 by default; no number of a cluster. Labels are of
        the smallest type that holds it: int8 for up to 128 clusters and -1, uint8 for 255.
    channel_axis : int, str or None, default -1
        The axis of the channels: 0 for (bands, rows, columns), as rasterio gives them, which are
        read where they are; None for a grey image (h, w). For a DataArray the name of a dimension;
        -1 is there the one named "band", "channel" or "wavelength", if any is.
    random_state : int, Generator, RandomState or None
        The seed of the start. With an int the result is the same to the last bit every time, on
        any number of threads.
    n_threads : int, optional
        Threads to use, and no more than the process may use cores; by default all of these (or
        ``NUMBA_NUM_THREADS``).
    callback : callable, optional
        Called with a `Progress` after each iteration; the fit ends where it returns true, with
        the best result so far and ``converged=False``. With `refine` iterations are those of the
        search too, and their inertia rises where something is tried.

    Returns
    -------
    KMeansResult

    Raises
    ------
    TypeError, ValueError
        For an argument that does not fit, before any work.

    Warns
    -----
    RuntimeWarning
        Where the data hold fewer distinct points than `n_clusters`.
    UserWarning
        Where points (n, d) of uint8 or uint16 look like a grey image: 32 or more of both, and
        neither more than four times the other.

    Notes
    -----
    Ties go to the lowest label. An empty cluster takes the distinct point farthest from its own
    centroid. Sums are exact, so no order of addition changes the result.

    References
    ----------
    .. [1] Stuart P. Lloyd, "Least squares quantization in PCM", IEEE Trans. Inf. Theory 28(2),
       1982.
    .. [2] T. Kanungo et al., "An efficient k-means clustering algorithm: analysis and
       implementation", IEEE TPAMI 24(7), 2002.

    Examples
    --------
    >>> import numpy as np
    >>> import kmeans_fast as kf
    >>> image = np.zeros((4, 6, 3), np.uint8)
    >>> image[:, 3:] = [250, 100, 0]
    >>> image[0, 0] = 2
    >>> result = kf.fit(image, 2)
    >>> sorted(result.palette.tolist()), result.counts.tolist()
    ([[0, 0, 0], [250, 100, 0]], [12, 12])

    A scene of two bands, bands first, with a pixel of no data:

    >>> scene = np.array([[[10, 12, 0], [90, 91, 90]], [[50, 51, 0], [10, 11, 12]]], np.uint16)
    >>> kf.fit(scene, 2, nodata=0, channel_axis=0, init=[[11, 50], [90, 11]]).labels
    array([[ 0,  0, -1],
           [ 1,  1,  1]], dtype=int8)
    """
    opened = open_data(data, Asked(mask, nodata, fill, channel_axis), n_threads)
    n_points, n_features = size_of(opened)
    k = check_n_clusters(n_clusters, n_points)
    check_labels(opened, k)
    given = Options(init, n_init, max_iter, tol, random_state, callback, refine)
    options = check_options(given, (k, n_features))
    return fit_each(opened, [k], options, space, sample_weight, n_threads)[0]


def sweep(
    data: Any,
    ks: Sequence[int],
    *,
    init: Method | Starter = "k-means++",
    n_init: int = 1,
    refine: int = 0,
    max_iter: int = 300,
    tol: float = 1e-4,
    space: Space = "rgb",
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    nodata: Nodata = None,
    fill: int | None = None,
    channel_axis: Axis = -1,
    random_state: int | np.random.Generator | np.random.RandomState | None = 0,
    n_threads: int | None = None,
    callback: Callback | None = None,
) -> list[KMeansResult]:
    """Fit the same data for several numbers of clusters; the work on the data is done once.

    Parameters
    ----------
    data
        As in `fit`.
    ks : sequence of int
        The numbers of clusters.
    init, n_init, refine, max_iter, tol, space, sample_weight, mask, nodata, fill, channel_axis
        As in `fit`; `init` cannot be an array.
    random_state, n_threads, callback
        As in `fit`.

    Returns
    -------
    list of KMeansResult
        One for each of `ks`, in order: each the same as ``fit(data, k)``.

    Examples
    --------
    >>> import numpy as np
    >>> import kmeans_fast as kf
    >>> image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    >>> [round(result.inertia) for result in kf.sweep(image, [1, 2, 16])]
    [9180, 2268, 0]
    """
    opened = open_data(data, Asked(mask, nodata, fill, channel_axis), n_threads)
    checked = check_ks(ks, size_of(opened)[0])
    check_labels(opened, max(checked))
    given = Options(init, n_init, max_iter, tol, random_state, callback, refine)
    options = check_options(given)
    return fit_each(opened, checked, options, space, sample_weight, n_threads)


def assign(
    points: Any,
    centroids: ArrayLike,
    *,
    space: Space = "rgb",
    mask: ArrayLike | None = None,
    nodata: Nodata = None,
    fill: int | None = None,
    channel_axis: Axis = -1,
    n_threads: int | None = None,
) -> Labels:
    """Label every point with its nearest centroid, the lowest label on ties.

    Parameters
    ----------
    points : array_like or PIL.Image.Image, shape (h, w, d) or (n, d)
    centroids : array_like, shape (k, d)
    space : {"rgb", "oklab"}
        As in `fit`.
    mask, nodata, fill, channel_axis
        As in `fit`. Where no pixel takes part, all labels are `fill`.
    n_threads : int, optional
        Threads to use; all by default.

    Returns
    -------
    ndarray, shape (h, w) or (n,)
        In the smallest of uint8, uint16 and int32 that holds `k`; with `mask`, `nodata` or `fill`
        as in `fit`.

    Examples
    --------
    >>> import kmeans_fast as kf
    >>> kf.assign([[0.0, 0.0], [1.0, 1.0], [9.0, 8.0]], [[1.0, 1.0], [9.0, 9.0]])
    array([0, 0, 1], dtype=uint8)
    """
    asked = Asked(mask, nodata, fill, channel_axis)
    return find_labels(points, centroids, space, n_threads, asked)


def means(
    points: Any,
    labels: ArrayLike,
    n_clusters: int,
    *,
    sample_weight: ArrayLike | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Return the mean of the points of each label: exact sums, rounded once.

    Parameters
    ----------
    points : array_like or PIL.Image.Image, shape (h, w, d) or (n, d)
    labels : array_like of int, shape (h, w) or (n,)
        From 0 to ``n_clusters - 1``.
    n_clusters : int
    sample_weight : array_like, shape (h, w) or (n,), optional
    n_threads : int, optional
        Threads to use; all by default.

    Returns
    -------
    ndarray of float64, shape (n_clusters, d)
        NaN in the row of a label that no weight has.

    Examples
    --------
    >>> import kmeans_fast as kf
    >>> kf.means([[0.0, 1.0], [1.0, 2.0], [9.0, 8.0]], [0, 0, 1], 2)
    array([[0.5, 1.5],
           [9. , 8. ]])
    """
    array = as_array(points, "points")
    shape = array.shape[:-1]
    k = check_integer("n_clusters", n_clusters, 1)
    checked = as_labels(labels, shape, k)
    weights = None if sample_weight is None else as_weights(sample_weight, shape)
    nowhere = np.full((k, array.shape[-1]), np.nan)
    with Threads(check_threads(n_threads)) as threads:
        if are_colors(array):
            units: Units = UNWEIGHTED
            limbs: list[Any] = [None]
            if weights is not None:
                units = units_of_pixels(summarize(weights), int(np.iinfo(array.dtype).max))
                limbs = in_limbs(weights, units)
            chunks = PixelChunks(array)
            moments = [sum_members(chunks, checked, limb, k, threads) for limb in limbs]
            return exact_means(np.stack(moments, axis=1), nowhere, units)
        dense = DensePoints(array.reshape(-1, array.shape[-1]), weights, threads)
        return dense.means(dense.add_up(checked, k), nowhere)


def k_means(
    centroids: ArrayLike, dataset: Any, max_iterations: int = 10
) -> tuple[NDArray[np.float64], Labels]:
    """Run the loop of the tutorial: `kmeans_fast.reference.k_means`, fast, to the same bits.

    Parameters
    ----------
    centroids : array_like, shape (k, d)
        Where to start.
    dataset : array_like, shape (n, d) or (h, w, d)
    max_iterations : int
        The most iterations; it stops earlier when no centroid moves.

    Returns
    -------
    centroids : ndarray of float64, shape (k, d)
    indexes : ndarray, shape (n,) or (h, w)
        The cluster of each point.

    Examples
    --------
    >>> import kmeans_fast as kf
    >>> centroids, indexes = kf.k_means([[1.0], [9.0]], [[0.0], [2.0], [9.0]])
    >>> centroids.tolist(), indexes.tolist()
    ([[1.0], [9.0]], [0, 0, 1])
    """
    array = as_array(dataset, "dataset")
    start = as_centroids(centroids, array.shape[-1], "centroids")
    limit = check_integer("max_iterations", max_iterations, 1)
    with Threads() as threads:
        data = of_array(array, None, threads)
        run = lloyd(data.points, start, limit, tol=0.0)
        return run.centroids, data.label(run.centroids)[0]


def kmeans_plusplus(
    data: Any,
    n_clusters: int,
    *,
    sample_weight: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    nodata: Nodata = None,
    channel_axis: Axis = -1,
    random_state: int | np.random.Generator | np.random.RandomState | None = 0,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Choose starting centroids by greedy k-means++, as `fit` does.

    Parameters
    ----------
    data, n_clusters, sample_weight, mask, nodata, channel_axis, random_state, n_threads
        As in `fit`.

    Returns
    -------
    ndarray of float64, shape (k, d)
        Points of the data.

    Notes
    -----
    The draws go by squared distances that are exact for integer pixels, in float32 for other
    points, and to a part in 500 for those that are sorted into a tree (20,000 or more without
    weights, in up to four dimensions). What is less than a part in 2**125 of the data's span
    counts as no distance. Threads change none of them.

    Examples
    --------
    >>> import kmeans_fast as kf
    >>> sorted(kf.kmeans_plusplus([[0.0], [0.0], [5.0]], 2).tolist())
    [[0.0], [5.0]]
    """
    opened = open_data(data, Asked(mask, nodata, None, channel_axis), n_threads)
    k = check_n_clusters(n_clusters, size_of(opened)[0])
    rng = check_rng(random_state)
    n_threads = check_threads(n_threads)
    with (
        Threads(n_threads) as threads,
        closing(as_dataset(opened, sample_weight, threads, task_threads=n_threads)) as dataset,
    ):
        return METHODS["k-means++"](dataset.points, k, rng)

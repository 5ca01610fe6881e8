"""What a fit gives back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checks import is_dask
from .data.labelling import Labeller
from .data.opening import find_labels
from .layouts import Axis
from .lloyd import Iteration
from .masking import Asked, Nodata, Setting
from .point_set import Labels
from .spaces import Space
from .swatches import as_html
from .threads import cached_property, quiet

SHOWN = 256  # colours that a notebook draws


@dataclass(frozen=True, eq=False)
class KMeansResult:
    """Centroids, labels, and how they came about. Unpacks as ``centroids, labels = result``.

    Attributes
    ----------
    centroids : ndarray of float64, shape (k, d)
    labels : ndarray, shape (h, w) of an image or (n,) of points
        The number of the nearest centroid, in the smallest of uint8, uint16 and int32 that holds
        `k`. For a `ColorHistogram`, of its `colors`. For a Dask array, a Dask array of the same
        chunks, each worked out when it is asked for; so are `predict` and `recolor`. With `mask`
        or `nodata`, and for a masked array, -1 (or `fill`) where a pixel takes no part: in the
        smallest of int8, int16 and int32 that holds both. For a DataArray of xarray, one.
    counts : ndarray, shape (k,)
        The points of each cluster (int64), or their total weight.
    inertia : float
        Weighted sum of the squared distances of the points to their centroids.
    n_iter : int
        Iterations made.
    converged : bool
        Whether the loop ended by itself: at a fixed point or within `tol`.
    history : tuple of Iteration
        For each iteration its inertia (before it), shift and seconds.
    palette : ndarray of uint8, shape (k, c), or None
        The centroids as colours, for images of uint8 and uint16 (16 bits scaled down to 8).
    space : str
        The space of the fit, "rgb" or "oklab", in which `predict` measures too.
    """

    centroids: NDArray[np.float64]
    labels: Labels
    counts: NDArray[Any]
    inertia: float
    n_iter: int
    converged: bool
    history: tuple[Iteration, ...] = field(repr=False)
    palette: NDArray[np.uint8] | None = field(repr=False)
    dtype: np.dtype[Any] = field(repr=False)
    space: Space = field(default="rgb", repr=False)
    setting: Setting = field(default=Setting(), repr=False)

    def __iter__(self) -> Iterator[NDArray[Any]]:
        """Yield the centroids, then the labels."""
        yield self.centroids
        yield self.labels

    def _repr_html_(self) -> str:
        k, d = self.centroids.shape
        ended = "converged" if self.converged else "stopped"
        about = f"{k:,} clusters in {d:,} dimensions, inertia {self.inertia:,.6g}, "
        about = f"<p>{about}{ended} after {self.n_iter:,} iterations</p>"
        if self.palette is None or d == 2 or k > SHOWN:
            return about
        colors = np.repeat(self.palette, 3, axis=1) if d == 1 else self.palette
        titles = [f"cluster {j}, of {count:,.10g}" for j, count in enumerate(self.counts.tolist())]
        return about + as_html(colors, self.counts / max(1, self.counts.sum()), titles)

    def predict(
        self,
        x: Any,
        *,
        out: Labels | None = None,
        mask: ArrayLike | None = None,
        nodata: Nodata = None,
        fill: int | None = None,
        channel_axis: Axis = -1,
        n_threads: int | None = None,
    ) -> Labels:
        """Label other data with these centroids, such as the tiles of a picture, one by one.

        Once several megapixels of up to three channels of uint8 (or one of uint16) have been
        labelled, the labels of all colours are kept in a table (16 MB for RGB), by which a pixel
        takes about 2 ns. The labels are those of `assign`, with it and without.

        Parameters
        ----------
        x : array_like or PIL.Image.Image, shape (h, w, d) or (n, d)
        out : ndarray, shape (h, w) or (n,), optional
            Where to write the labels, such as a part of a memory-map, in the type of `labels`.
        mask, nodata, fill, channel_axis
            As in `fit`, for these data: nothing is known of those of the fit. Where no pixel takes
            part, as in a tile beyond the swath, all labels are `fill`.
        n_threads : int, optional
            Threads to use; all by default.

        Returns
        -------
        ndarray, shape (h, w) or (n,)
            `out`, if it is given.

        Examples
        --------
        >>> import numpy as np
        >>> import kmeans_fast as kf
        >>> result = kf.fit(np.array([[[0, 0, 0], [250, 100, 0]]], np.uint8), 2, init="random")
        >>> labels = np.zeros((4, 6), np.uint8)
        >>> tile = np.full((4, 3, 3), 200, np.uint8)
        >>> shown = result.predict(tile, out=labels[:, 3:])
        >>> bool((result.palette[labels[0, 3]] == [250, 100, 0]).all())
        True
        """
        asked = Asked(mask, nodata, fill, channel_axis)
        return find_labels(
            x, self.centroids, self.space, n_threads, asked, out, lambda: self._labeller
        )

    @cached_property
    def _labeller(self) -> Labeller:
        return Labeller(self.centroids, self.space)

    def recolor(self) -> NDArray[Any]:
        """Paint every point with its centroid.

        Returns
        -------
        ndarray, shape of the data
            In the data's type; rounded, where that is an integer type. Pixels that take no part
            hold the `nodata` of their band; where there is none NaN, and 0 in an integer type.
        """
        colors = centroids_as(self.dtype, self.centroids)
        setting, labels = self.setting, self._plain_labels
        painted: Any
        if is_dask(labels):
            chunks = (*labels.chunks, colors.shape[1:])
            painted = labels.map_blocks(
                lambda block: setting.paint(colors, block),
                new_axis=labels.ndim,
                chunks=chunks,
                meta=np.empty((0,) * len(chunks), colors.dtype),
            )
        else:
            painted = setting.paint(colors, labels)
        pixels: NDArray[Any] = setting.layout.pixels(painted)
        return pixels

    def members(self, j: int) -> NDArray[np.int64]:
        """Return the positions of the points of cluster `j`.

        Returns
        -------
        ndarray of int64, shape (m,)
            Sorted positions in the flattened labels: ``image.reshape(-1, c)[members]`` are the
            cluster's pixels.
        """
        if not 0 <= j < len(self.centroids):
            raise ValueError(f"j={j} is not a cluster; there are 0 to {len(self.centroids) - 1}")
        return np.flatnonzero(self._plain_labels.reshape(-1) == j)

    @property
    def _plain_labels(self) -> Any:
        """The labels, of NumPy or of Dask, whatever they are in."""
        labels: Any = self.labels
        return labels if self.setting.layout.frame is None else labels.data


def centroids_as(dtype: np.dtype[Any], centroids: NDArray[np.float64]) -> NDArray[Any]:
    """Return the centroids in the type of the data, rounded and kept in range for integers."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return np.clip(np.rint(centroids), limits.min, limits.max).astype(dtype)
    with quiet():
        return centroids.astype(dtype)


def as_palette(dtype: np.dtype[Any], centroids: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the centroids as 8-bit colours."""
    scale = 257.0 if dtype == np.uint16 else 1.0
    with quiet():
        return np.clip(np.rint(centroids / scale), 0, 255).astype(np.uint8)

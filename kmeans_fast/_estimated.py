"""The rows of an estimator: which take part, their weights, those that are distinct."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing
from sklearn.utils.validation import _check_sample_weight

from .arrays import unmasked
from .gathering import Part
from .masking import Asked, Nodata, open_pixels
from .point_set import Labels
from .threads import Threads

Array = NDArray[Any]


@dataclass(frozen=True)
class Taken:
    """The rows of `X` that take part, of which scikit-learn has checked nothing yet."""

    rows: Any
    part: Part | None  # None: all

    @property
    def is_empty(self) -> bool:
        """Whether no row takes part."""
        return self.part is not None and self.part.n == 0

    def check(self) -> None:
        """Raise where no row takes part."""
        if self.part is not None:
            self.part.check()

    def weights(self, sample_weight: Any) -> Any:
        """Return the weights of the rows that take part."""
        if self.part is None or sample_weight is None or np.ndim(sample_weight) == 0:
            return sample_weight
        with Threads() as threads:
            return self.part.gather_weights(sample_weight, threads)

    def spread(self, labels: Labels, k: int) -> NDArray[np.int32]:
        """Return a label for each row, -1 where it takes no part."""
        if self.part is not None:
            with Threads() as threads:
                labels = self.part.spread(labels, k, threads)
        return labels.astype(np.int32)


def take_part(X: Any, mask: Any, nodata: Nodata) -> Taken:
    """Return the rows that take part; those of a data frame in one."""
    if mask is None and nodata is None and not isinstance(X, np.ma.MaskedArray):
        return Taken(X, None)
    opened = open_pixels(X, Asked(mask, nodata), "X", lazily=False)
    assert opened.rule is not None
    with Threads() as threads:
        part = Part(opened.array, opened.rule, threads)
        if hasattr(X, "columns"):
            return Taken(_safe_indexing(X, part.positions()), part)
        return Taken(part.gather(opened.array, threads), part)


def float_type(X: Array) -> type[np.floating[Any]]:
    """Return the type of centres, and of what are no colours."""
    return np.float32 if X.dtype == np.float32 else np.float64


def checked_weights(sample_weight: ArrayLike | None, X: Array) -> Array | None:
    """Return weights as scikit-learn checks them."""
    if sample_weight is None:
        return None
    remedy = "fill them in, with 0 for no weight"
    sample_weight = unmasked("sample_weight", sample_weight, remedy)
    weights: Array = _check_sample_weight(sample_weight, X, dtype=np.float64)
    return weights


def distinct_rows(X: Array, weights: Array | None) -> tuple[Array, Array | None]:
    """Return the distinct rows that have weight, sorted, and the total weight of each.

    No weights, where none are given and no two rows are equal.
    """
    if weights is not None:
        X, weights = X[weights > 0], weights[weights > 0]
    order = np.argsort(X[:, -1])
    last = X[order, -1]
    if (last[1:] != last[:-1]).all():  # the only order, in a quarter of the time
        return X[order], None if weights is None else weights[order]
    order = np.lexsort(X.T)
    X = X[order]
    first = np.flatnonzero(np.append(True, (X[1:] != X[:-1]).any(axis=1)))
    if weights is None:
        if len(first) == len(X):
            return X, None
        weights = np.ones(len(X), np.int64)
    return X[first], np.add.reduceat(weights[order], first)

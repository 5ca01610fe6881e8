# What `sklearn.KMeans` has from scikit-learn, which has no types of its own.

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .seeding import HasArray, Method

Own = TypeVar("Own")
Init = Method | Callable[..., Any] | HasArray | Sequence[HasArray | Sequence[float]]

class TheirKMeans:
    _parameter_constraints: ClassVar[dict[str, Any]]
    n_clusters: int
    init: Init
    n_init: Literal["auto"] | int
    max_iter: int
    tol: float
    verbose: int
    random_state: int | np.random.RandomState | None
    copy_x: bool
    algorithm: Literal["lloyd", "elkan"]
    n_features_in_: int
    feature_names_in_: NDArray[Any]

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
    ) -> None: ...
    def fit_predict(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[np.int32]: ...
    def fit_transform(
        self, X: Any, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> Any: ...  # an array, or what `set_output` asks for
    def transform(self, X: Any) -> Any: ...
    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]: ...
    def get_metadata_routing(self) -> Any: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self: Own, **params: Any) -> Own: ...
    def set_output(self: Own, *, transform: str | None = None) -> Own: ...
    def set_fit_request(self: Own, *, sample_weight: bool | str | None = ...) -> Own: ...
    def set_score_request(self: Own, *, sample_weight: bool | str | None = ...) -> Own: ...
    def _validate_center_shape(self, X: NDArray[Any], centers: NDArray[Any]) -> None: ...
    def __sklearn_tags__(self) -> Any: ...

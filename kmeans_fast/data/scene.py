"""Pixels of which some take no part, or that lie in another order: as a point set, or labelled."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..checks import check_threads, is_dask
from ..gathering import Part
from ..masking import Opened, Rule, Setting, setting_of
from ..spaces import Space
from ..threads import Threads
from .dataset import Dataset, is_image, of_array

Array = NDArray[Any]


@dataclass(frozen=True)
class Scene:
    """Opened pixels for a fit: what takes part of them is known, but for a Dask array."""

    opened: Opened
    part: Part | None

    @property
    def array(self) -> Any:
        """The pixels, checked, with their channels last."""
        return self.opened.array

    @property
    def rule(self) -> Rule | None:
        """By what they take part."""
        return self.opened.rule

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the pixels."""
        dtype: np.dtype[Any] = self.array.dtype
        return dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the pixels, channels last."""
        shape: tuple[int, ...] = self.array.shape
        return shape

    @property
    def setting(self) -> Setting:
        """How labels go back."""
        return setting_of(self.opened)


def open_scene(opened: Opened, n_threads: int | None) -> Scene:
    """Return opened pixels with what takes part of them, which is something."""
    if is_dask(opened.array) or opened.rule is None:
        return Scene(opened, None)
    with Threads(check_threads(n_threads)) as threads:
        part = Part(opened.array, opened.rule, threads)
    part.check()
    return Scene(opened, part)


def of_scene(scene: Scene, sample_weight: Any, threads: Threads, space: Space) -> Dataset:
    """Return the pixels that take part as a point set, which labels all of them."""
    array, part = scene.array, scene.part
    if part is None:
        data = of_array(array, sample_weight, threads, space)
        return replace(data, setting=scene.setting)
    weights = None if sample_weight is None else part.gather_weights(sample_weight, threads)
    data = of_array(part.gather(array, threads), weights, threads, space)
    return replace(
        data,
        shape=array.shape[:-1],
        is_image=is_image(array),
        spread=lambda labels, centroids: part.spread(
            data.spread(labels, centroids), len(centroids), threads
        ),
        setting=scene.setting,
    )

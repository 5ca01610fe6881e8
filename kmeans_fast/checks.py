"""Checks of scalars and of kinds, once, before any work: no Pillow, no points."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence
from typing import IO, Any, TypeGuard

import numpy as np

from .cores import usable_cores
from .spaces import SPACES

Seed = int | np.random.Generator | np.random.RandomState | None

# Sums of integer data are int64; a bit is kept free for differences of two sums.
SUM_BITS = 62
# Whole numbers are exact in float64 up to here.
MOST_EXACT = 2**53
# A debug switch: check every label of every assignment by brute force.
CHECK = os.environ.get("KMEANS_FAST_CHECK", "0") not in ("", "0")


def check_integer(name: str, value: Any, least: int) -> int:
    """Return an integer argument of at least `least`."""
    try:
        number = operator.index(value)
        if isinstance(value, bool | np.bool_):
            raise TypeError
    except TypeError:
        raise TypeError(f"{name}={value!r} is not an integer; give {least} or more") from None
    if number < least:
        raise ValueError(f"{name}={number} is less than {least}; give {least} or more")
    return number


def check_threads(n_threads: int | None) -> int | None:
    """Return `n_threads`, None for all: no more than there are cores, which would be slower."""
    if n_threads is None:
        return None
    return min(check_integer("n_threads", n_threads, 1), usable_cores())


def check_tol(tol: float) -> float:
    """Return a tolerance."""
    try:
        number = float(tol)
    except (TypeError, ValueError):
        raise TypeError(f"tol={tol!r} is not a number; give 0 or more") from None
    except OverflowError:
        number = np.inf
    if not 0 <= number < np.inf:
        raise ValueError(f"tol={number} must be finite and not negative; give 0 or more")
    return number


def check_rng(random_state: Seed) -> np.random.Generator:
    """Return a generator for an int, a Generator, a RandomState, or None."""
    if isinstance(random_state, np.random.RandomState):
        return np.random.Generator(random_state._bit_generator)
    if isinstance(random_state, bool | float | str):
        raise TypeError(f"random_state={random_state!r} is not a seed; give an int or a Generator")
    try:
        return np.random.default_rng(random_state)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"random_state={random_state!r} is not a seed ({error}); give an int or a Generator"
        ) from None


def check_seed(random_state: Seed) -> None:
    """Raise unless a generator can be made of it, which takes 60 us and is done when it is due."""
    if not isinstance(random_state, int) or isinstance(random_state, bool) or random_state < 0:
        check_rng(random_state)


def is_file(data: Any) -> TypeGuard[str | os.PathLike[str] | IO[bytes]]:
    """Tell whether this is the path of a file, or a file."""
    is_open = hasattr(data, "read") and not hasattr(data, "__array__")
    return isinstance(data, str | os.PathLike) or is_open


def is_dask(data: Any) -> bool:
    """Tell whether the data are a Dask array, without importing Dask."""
    return type(data).__module__.startswith("dask.array") and hasattr(data, "chunks")


def are_colors(array: Any) -> bool:
    """Tell whether the colour engine takes these points."""
    limits = {np.dtype(np.uint8): 4, np.dtype(np.uint16): 3}
    return bool(array.shape[-1] <= limits.get(array.dtype.newbyteorder("="), 0))


def check_space(space: str, data: Any) -> None:
    """Raise unless the space is known, and the data are what it is for."""
    if space not in SPACES:
        raise ValueError(f"space={space!r} is unknown; give one of {', '.join(SPACES)}")
    if space == "rgb":
        return
    n_channels = getattr(data, "n_channels", None) or data.shape[-1]
    if data.dtype not in (np.uint8, np.uint16) or n_channels != 3:
        raise ValueError(
            f"space={space!r} is for pixels of 3 channels of uint8 or uint16; data has "
            f"{n_channels} of {data.dtype}"
        )


def check_refine(refine: int, data: Any) -> None:
    """Raise where a search is asked for, and the data are no colours."""
    n_channels = getattr(data, "n_channels", None)  # of a histogram
    if refine and n_channels is None and not are_colors(data):
        raise ValueError(
            f"refine={refine} is for pixels of 1 to 4 channels of uint8 or 1 to 3 of uint16; data "
            f"has {data.shape[-1]} of {data.dtype}: give refine=0, and n_init for more starts"
        )


def check_n_clusters(n_clusters: int, n_points: int, name: str = "n_clusters") -> int:
    """Return the number of clusters, at most the number of points."""
    k = check_integer(name, n_clusters, 1)
    if k > n_points:
        raise ValueError(
            f"{name}={k} is more than the {n_points} points; ask for {n_points} or fewer"
        )
    return k


def check_ks(ks: Sequence[int], n_points: int) -> list[int]:
    """Return the numbers of clusters of a sweep."""
    try:
        values = list(ks)
    except TypeError:
        raise TypeError(f"ks={ks!r} is not a sequence; give the numbers of clusters") from None
    if not values:
        raise ValueError("ks is empty; give one number of clusters or more")
    return [check_n_clusters(k, n_points, "ks") for k in values]

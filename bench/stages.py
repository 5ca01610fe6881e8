"""Where the time of a fit of a picture goes: the stages, timed where they happen."""

from __future__ import annotations

import contextlib
import inspect
import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from kmeans_fast import arrays, checks, fitting, memory
from kmeans_fast.colors import counting as pixels
from kmeans_fast.colors.points import ColorPoints
from kmeans_fast.seeding import METHODS

Seconds = dict[str, float]

# What each stage is, and the functions that are it, each in the place that it is called from. None
# calls another. What a fit does besides is the rest: checks, threads starting, the first touch of
# memory.
STAGES: dict[str, tuple[str, list[tuple[Any, str]]]] = {
    "count": (
        "the pixels, into a table of all colours",
        [
            (pixels.CountTable, "add"),
            (pixels, "_count_by_sorting"),
            (pixels.CountedPixels, "_sort_all"),
        ],
    ),
    "gather": (
        "the colours that occur, into a tree",
        [(pixels.CountTable, "gather"), (ColorPoints, "__init__")],
    ),
    "seed": ("k-means++", [(METHODS, "k-means++")]),
    "iterate": ("Lloyd's iterations", [(fitting, "lloyd")]),
    "label": (
        "the colours, then the pixels",
        [(ColorPoints, "label"), (pixels.CountedPixels, "paint")],
    ),
}


@contextlib.contextmanager
def timing() -> Iterator[Seconds]:
    """Time the stages of what runs within, by the functions of the library that they are."""
    seconds = dict.fromkeys(STAGES, 0.0)

    def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                seconds[stage] += time.perf_counter() - start

        return wrapper

    with contextlib.ExitStack() as patches:
        for stage, (_, functions) in STAGES.items():
            for owner, name in functions:
                if isinstance(owner, dict):
                    patch = mock.patch.dict(owner, {name: timed(stage, owner[name])})
                else:
                    patch = mock.patch.object(owner, name, timed(stage, getattr(owner, name)))
                patches.enter_context(patch)
        yield seconds


@contextlib.contextmanager
def timing_checks() -> Iterator[list[float]]:
    """Time what looks at arguments, and for memory: the seconds of each call from outside."""
    seconds: list[float] = []
    within = False

    def timed(check: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal within
            if within:  # one check that calls another
                return check(*args, **kwargs)
            within, start = True, time.perf_counter()
            try:
                return check(*args, **kwargs)
            finally:
                within = False
                seconds.append(time.perf_counter() - start)

        return wrapper

    with contextlib.ExitStack() as patches:
        for module in (arrays, checks, memory):
            for name, check in inspect.getmembers(module, inspect.isfunction):
                if check.__module__ == module.__name__:
                    patches.enter_context(mock.patch.object(module, name, timed(check)))
        yield seconds

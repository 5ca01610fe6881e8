"""Where the time of a fit of a picture goes: the stages, timed where they happen."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import pkgutil
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median
from types import ModuleType
from typing import Any
from unittest import mock

Seconds = dict[str, float]

# The functions that each stage is, with the room of the package that each is found in. The rest of
# a fit: checks, threads starting, the first touch of memory.
STAGES = {
    "count": [
        "colors: CountTable.add",
        "colors: _count_by_sorting",
        "colors: CountedPixels._sort_all",
    ],
    "gather": ["colors: CountTable.gather", "colors: ColorPoints.__init__"],
    "seed": ["seeding: kmeans_plusplus"],
    "iterate": ["lloyd: lloyd"],
    "label": ["colors: ColorPoints.label", "colors: CountedPixels.paint"],
}
ALL_STAGES = (*STAGES, "rest")
CHECKS = ("checks", "arrays", "memory")  # the rooms that look at arguments, and for memory


def modules_of(room: str) -> list[ModuleType]:
    """Return a module of the package, and those below it."""
    top = importlib.import_module(f"kmeans_fast.{room}")
    below = pkgutil.walk_packages(getattr(top, "__path__", []), f"{top.__name__}.")
    return [top, *(importlib.import_module(found.name) for found in below)]


def find(where: str) -> tuple[type | None, Callable[..., Any]]:
    """Return the function of a stage, and the class that it is in."""
    room, path = where.split(": ")
    owner, _, name = path.rpartition(".")
    found: list[tuple[type | None, Callable[..., Any]]] = []
    for module in modules_of(room):
        inside = vars(module).get(owner or name)
        if getattr(inside, "__module__", None) != module.__name__:
            continue  # it is not there, or stands elsewhere
        if not owner:
            found.append((None, inside))
        elif name in vars(inside):
            found.append((inside, vars(inside)[name]))
    if len(found) == 1:
        return found[0]
    raise LookupError(f"{where}: no one function is that; bench/stages.py has to follow")


def patches_of(old: Callable[..., Any], new: Callable[..., Any]) -> Iterator[Any]:
    """Yield what puts `new` in the place of a function wherever the library holds it by name."""
    ours = [module for name, module in sys.modules.items() if f"{name}.".startswith("kmeans_fast.")]
    for module in ours:
        for name, held in list(vars(module).items()):
            if held is old:
                yield mock.patch.object(module, name, new)
            elif isinstance(held, dict) and not name.startswith("__"):
                for key in [key for key, value in held.items() if value is old]:
                    yield mock.patch.dict(held, {key: new})


@contextlib.contextmanager
def _timing(
    functions: list[tuple[str, type | None, Callable[..., Any]]],
) -> Iterator[list[tuple[str, float]]]:
    """Time functions that bear a stage's name: each call from outside, not one within another."""
    calls: list[tuple[str, float]] = []
    within = False

    def timed(stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            nonlocal within
            if within:
                return function(*args, **kwargs)
            within, start = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                within = False
                calls.append((stage, time.perf_counter() - start))

        return wrapper

    with contextlib.ExitStack() as stack:
        for stage, owner, function in functions:
            new = timed(stage, function)
            if owner is not None:
                stack.enter_context(mock.patch.object(owner, function.__name__, new))
                continue
            for patch in patches_of(function, new):
                stack.enter_context(patch)
        yield calls


@contextlib.contextmanager
def timing() -> Iterator[Seconds]:
    """Time the stages of what runs within; the seconds are there at the end."""
    functions = [(stage, *find(where)) for stage, all_ in STAGES.items() for where in all_]
    seconds = dict.fromkeys(STAGES, 0.0)
    with _timing(functions) as calls:
        yield seconds
    for stage, taken in calls:
        seconds[stage] += taken


@contextlib.contextmanager
def timing_checks() -> Iterator[list[float]]:
    """Time what looks at arguments, and for memory; the seconds of each are there at the end."""
    functions = [
        ("check", None, check)
        for room in CHECKS
        for module in modules_of(room)
        for _, check in inspect.getmembers(module, inspect.isfunction)
        if check.__module__ == module.__name__
    ]
    seconds: list[float] = []
    with _timing(functions) as calls:
        yield seconds
    seconds += [taken for _, taken in calls]


# ------------------------------------------------------------------ what a profile says


def points_of(profile: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """Return the measured fits of a part."""
    return [point for point in profile["points"] if point["part"] == part]


def stage_ms(point: dict[str, Any]) -> dict[str, float]:
    """Return the median milliseconds of each stage, and of the rest."""
    found = {stage: 1e3 * median(taken) for stage, taken in point["stages"].items()}
    return found | {"rest": max(0.0, 1e3 * median(point["seconds"]) - sum(found.values()))}

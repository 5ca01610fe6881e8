"""The kinds of arguments that kernels are compiled for, as text.

``f4:2`` is an array of float32 with two dimensions, in C order (``f4:2!``: in any; ``f4:2r``: that
may not be written, which makes a difference to Numba alone), ``int``,
``float``, ``float32``, ``None`` and so on are numbers and nothing, ``(int, int)`` is a tuple, and
``Cells(i8:1, ...)`` a named one. ``dense.label_exactly(f4:2, int, int, f8:2, u1:1)`` is a kernel
of the file `dense`, for one kind of arguments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.resources import files
from typing import Any

import numpy as np


def name_kind(kernel: str, arguments: Iterable[Any]) -> str:
    """Return the kind of a kernel's arguments, as Numba tells them apart."""
    return f"{kernel}({', '.join(map(_name, arguments))})"


def _name(value: Any) -> str:
    if isinstance(value, np.ndarray):
        order = "" if value.flags.c_contiguous else "!"
        locked = "" if value.flags.writeable else "r"
        return f"{value.dtype.str.lstrip('<|=')}:{value.ndim}{order}{locked}"
    if isinstance(value, tuple):
        name = type(value).__name__ if hasattr(value, "_fields") else ""
        return f"{name}({', '.join(map(_name, value))})"
    if value is None:
        return "None"
    for each in (bool, int, float):  # np.float64 is a float
        if isinstance(value, each):
            return each.__name__
    return "int" if isinstance(value, np.int64) else type(value).__name__


def ready_kind(kind: str) -> str:
    """Return a kind as the pack tells them apart."""
    return re.sub(r"(:\d!?)r", r"\1", kind)


def split_kind(kind: str) -> tuple[str, list[Any]]:
    """Return the kernel of a kind, and its arguments: names, and pairs of a name and a list."""
    words = re.findall(r"[^(), ]*\(|\)|[^(), ]+", kind)
    kernel = words.pop(0)[:-1]

    def read() -> list[Any]:
        found: list[Any] = []
        while (word := words.pop(0)) != ")":
            found.append((word[:-1], read()) if word.endswith("(") else word)
        return found

    return kernel, read()


def read_kinds() -> list[str]:
    """Return the kinds that packs are built of."""
    text = files(__package__).joinpath("kinds.txt").read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line and not line.startswith("#")]

"""The decorators of kernels. A kernel is called like a function; what runs is machine code.

That of the pack (`_pack`), made when the package was built and read without Numba; or else
Numba's (`_compiled`), which is imported, and compiles, when a kernel is first called with
arguments that the pack has nothing for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from ctypes import ArgumentError
from functools import update_wrapper, wraps
from importlib import import_module
from typing import Any

import numpy as np

from ..threads import shared_lock
from . import _pack
from ._kinds import name_kind, ready_kind

# Kernels are the Python that they are written in, a hundred times slower.
JIT_OFF = os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0")
_lock = shared_lock(innermost=True)


class Kernel:
    """A function over arrays in C order and numbers, as machine code, without the GIL.

    Kernels are serial: threads are Python's (`kmeans_fast.threads`), which a kernel lets run
    because it holds no GIL. No Numba threading layer is started, so none can abort a process
    that forks or that calls from many threads, and nothing compiles twice for "parallel".

    Arguments are arrays, numbers, None, and tuples of these. Numbers are Python's: ready code is
    chosen by the arrays.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        update_wrapper(self, function)
        self.function = function
        self.options = options
        self.is_part_of_others = bool(options.get("forceinline"))
        self.compiled: Any = None  # Numba's dispatcher, once it is needed
        self.name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
        self._ready: Any = {}  # code by the form of the arguments; None: all is Numba's

    def __call__(self, *arguments: Any) -> Any:
        """Run it."""
        ready = self._ready  # which another thread may set to None meanwhile
        if ready is None:
            return self.dispatcher(*arguments)
        leaves: list[Any] = []
        lengths: list[int] = []
        for each in arguments:
            if isinstance(each, tuple):
                _flatten(each, leaves, lengths)
            else:
                leaves.append(each)
        form = (len(leaves), *lengths)
        for code in ready.get(form, ()):
            try:
                return code(leaves)
            except ArgumentError:  # of another kind
                continue
        return self._look_up(form, leaves, arguments)

    def _look_up(self, form: tuple[int, ...], leaves: list[Any], arguments: tuple[Any, ...]) -> Any:
        """Run it with arguments of a kind that is not at hand."""
        pack = _pack.current()
        if pack is None:
            self._ready = None
            return self.dispatcher(*arguments)
        code = pack.find(ready_kind(name_kind(self.name, arguments)))
        if code is not None:
            known = self._ready.get(form, ())
            self._ready[form] = (code, *(each for each in known if each is not code))
            try:
                return code([_as_plain(each) for each in leaves])
            except ArgumentError:
                pass  # Numba takes arrays that are not aligned
        return self.dispatcher(*arguments)

    @property
    def dispatcher(self) -> Any:
        """What Numba calls it, and calls from other kernels."""
        if self.compiled is None:
            with _lock:
                # By its name, as it is built on this file.
                compiler: Any = import_module("._compiled", __package__)
                if self.compiled is None:
                    self.compiled = compiler.compile_lazily(self)
        return self.compiled


def _flatten(several: tuple[Any, ...], leaves: list[Any], lengths: list[int]) -> None:
    """Take tuples apart; of their lengths, with what is in them, follows how they lay."""
    lengths.append(len(several))
    for each in several:
        if isinstance(each, tuple):
            _flatten(each, leaves, lengths)
        else:
            leaves.append(each)


def _as_plain(leaf: Any) -> Any:
    """Return an array without what a subclass adds: a mapped file's, say."""
    return leaf.view(np.ndarray) if isinstance(leaf, np.ndarray) else leaf


class Intrinsic:
    """A function that is written in LLVM's code, in `_llvm`, and beside that in NumPy.

    Only kernels call it. With the JIT off they call what is written in NumPy.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        update_wrapper(self, function)
        self.name = function.__name__
        self.function = function

    def __call__(self, *arguments: Any) -> Any:
        """Run what is written in NumPy."""
        return self.function(*arguments)


def jit(function: Callable[..., Any], **options: Any) -> Any:
    """Make a kernel of a function, which other kernels may call too.

    What is called with ``0``, or with what began as ``0``, is compiled for that very number, and
    again for others; ``np.int64(0)`` is any number.
    """
    return _without_warnings(function) if JIT_OFF else Kernel(function, **options)


def jit_inline(function: Callable[..., Any]) -> Any:
    """Compile a helper that is called for every point: a call that passes arrays costs 10 ns.

    It becomes part of its callers, and of what is kept of them on disk: nothing is kept of itself.
    """
    return jit(function, forceinline=True)


def intrinsic(function: Callable[..., Any]) -> Any:
    """Make an intrinsic of what it does, written in NumPy."""
    return function if JIT_OFF else Intrinsic(function)


def _without_warnings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let numbers wrap and overflow as quietly as they do in machine code."""

    @wraps(function)
    def run(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments)

    return run

"""The one decorator that every kernel wears."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def jit(function: Callable[..., Any], **options: Any) -> Any:
    """Compile lazily, without the GIL, and keep the machine code on disk.

    Kernels are serial: threads are Python's (`kmeans_fast.threads`), which a kernel lets run
    because it holds no GIL. No Numba threading layer is started, so none can abort a process
    that forks or that calls from many threads, and nothing compiles twice for "parallel".

    Where no cache folder can be written (a read-only install with no home), Numba raises at
    decoration; the kernel is then compiled in each process instead.
    """
    try:
        return njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:
        return njit(nogil=True, **options)(function)


def jit_contracted(function: Callable[..., Any]) -> Any:
    """Compile with products and sums fused: twice as fast, and rounded as the machine likes."""
    return jit(function, fastmath={"contract"})


def jit_inline(function: Callable[..., Any]) -> Any:
    """Compile a helper that is called for every point: a call that passes arrays costs 10 ns.

    It becomes part of its callers, and of what is kept of them on disk: nothing is kept of itself.
    """
    return njit(nogil=True, forceinline=True)(function)

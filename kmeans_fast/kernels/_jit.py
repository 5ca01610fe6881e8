"""The one decorator that every kernel wears."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable
from functools import wraps
from hashlib import sha256
from pathlib import Path
from typing import Any
from zlib import crc32

import numba
import numpy as np
from numba import njit
from numba.core.serialize import dumps


def _digest_helpers() -> bytes:
    """Return a digest of the files whose code becomes part of kernels in other files."""
    paths = sorted(Path(__file__).parent.glob("_*.py"))
    return sha256(b"".join(path.read_bytes() for path in paths)).digest()


JIT_OFF = bool(getattr(numba.config, "DISABLE_JIT", False))  # NUMBA_DISABLE_JIT=1
HELPERS = _digest_helpers()


def jit(function: Callable[..., Any], **options: Any) -> Any:
    """Compile lazily, without the GIL, and keep the machine code on disk.

    Kernels are serial: threads are Python's (`kmeans_fast.threads`), which a kernel lets run
    because it holds no GIL. No Numba threading layer is started, so none can abort a process
    that forks or that calls from many threads, and nothing compiles twice for "parallel".

    Where no cache folder can be written (a read-only install with no home), Numba raises at
    decoration; the kernel is then compiled in each process instead.

    What is called with ``0``, or with what began as ``0``, is compiled for that very number, and
    again for others; ``np.int64(0)`` is any number.

    With the JIT off (``NUMBA_DISABLE_JIT=1``) kernels are the Python that they are written in.
    """
    if JIT_OFF:
        return _without_warnings(function)
    try:
        kernel = njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:
        return njit(nogil=True, **options)(function)
    kernel._cache = _SoundCache(kernel._cache)
    return kernel


def jit_contracted(function: Callable[..., Any]) -> Any:
    """Compile with products and sums fused: twice as fast, and rounded as the machine likes."""
    return jit(function, fastmath={"contract"})


def jit_inline(function: Callable[..., Any]) -> Any:
    """Compile a helper that is called for every point: a call that passes arrays costs 10 ns.

    It becomes part of its callers, and of what is kept of them on disk: nothing is kept of itself.
    """
    return njit(nogil=True, forceinline=True)(function)


def _without_warnings(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let numbers wrap and overflow as quietly as they do in machine code."""

    @wraps(function)
    def run(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*arguments)

    return run


class _SoundFile:
    """A kernel's files on disk, whose machine code is taken only if it is whole and the right one.

    Numba asks the index alone, and that only whether the kernel's own file has changed. But a
    helper in another file may have; processes that write at once can leave an index that leads to
    the code of another type, or of an older version; and damaged machine code ends the process.
    """

    def __init__(self, file: Any) -> None:
        file._source_stamp = file._source_stamp, HELPERS
        self._numbas = file
        self._made_of = numba.__version__, file._source_stamp

    def load(self, key: Any) -> Any:
        """Return what is kept for a key, or None."""
        found = self._numbas.load(key)
        if found is None or crc32(found[1]) != found[0]:
            return None
        made_of, kept_for, data = pickle.loads(found[1])
        return data if (made_of, kept_for) == (self._made_of, key) else None

    def save(self, key: Any, data: Any) -> None:
        """Keep machine code for a key."""
        content = dumps((self._made_of, key, data))
        self._numbas.save(key, (crc32(content), content))

    def flush(self) -> None:
        """Begin the index anew."""
        self._numbas.flush()


class _SoundCache:
    """A kernel's cache on disk that never fails a call: what cannot be read is compiled.

    Numba lets errors of the disk and of damaged files out, amid a fit.
    """

    warned = False

    def __init__(self, cache: Any) -> None:
        self._numbas = cache
        if hasattr(getattr(cache, "_cache_file", None), "_source_stamp"):  # Numba's own affair
            cache._cache_file = _SoundFile(cache._cache_file)

    def __getattr__(self, name: str) -> Any:
        """Return what is Numba's."""
        return getattr(self._numbas, name)

    def load_overload(self, *arguments: Any) -> Any:
        """Return what is kept, or None; an index that cannot be read is begun anew."""
        try:
            return self._numbas.load_overload(*arguments)
        except Exception:
            try:
                self._numbas.flush()
            except Exception as error:
                self._warn(error)
            return None

    def save_overload(self, *arguments: Any) -> None:
        """Keep machine code, if that can be."""
        try:
            self._numbas.save_overload(*arguments)
        except Exception as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        if not _SoundCache.warned:  # once a process
            _SoundCache.warned = True
            warnings.warn(
                f"compiled kernels cannot be kept in {self._numbas.cache_path} ({error}); they "
                "are compiled in each process; make room there, or set NUMBA_CACHE_DIR",
                RuntimeWarning,
                stacklevel=2,
            )

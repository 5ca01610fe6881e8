"""Python threads that run kernels on chunks of the data."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from threading import RLock
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, overload
from weakref import WeakValueDictionary

import numpy as np

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")


class cached_property(Generic[Answer]):
    """A property that is worked out once.

    That of functools has a lock, before Python 3.12: one for all objects, which wait for each
    other, and a child that is forked meanwhile waits for ever.
    """

    def __init__(self, method: Callable[[Any], Answer]) -> None:
        self._method = method
        self.__doc__ = method.__doc__

    @overload
    def __get__(self, owner: None, kind: type[Any]) -> cached_property[Answer]: ...

    @overload
    def __get__(self, owner: object, kind: type[Any]) -> Answer: ...

    def __get__(self, owner: object, kind: type[Any]) -> Answer | cached_property[Answer]:
        """Work it out, and put it where it will be found first."""
        if owner is None:
            return self
        answer = owner.__dict__[self._method.__name__] = self._method(owner)
        return answer


def default_threads() -> int:
    """Return how many threads Numba would use: the usable cores, or ``NUMBA_NUM_THREADS``."""
    try:
        return max(1, int(os.environ["NUMBA_NUM_THREADS"]))
    except (KeyError, ValueError):
        pass
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quiet() -> np.errstate:
    """Return a context in which floats overflow and vanish without a word, as in machine code.

    All arithmetic of the library's own is done in it: what the caller's `numpy.errstate` says is
    for the caller's, and a new thread knows nothing of it.
    """
    return np.errstate(all="ignore")


def as_caller(function: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Return a function of the caller's, to be called in the `numpy.errstate` of now."""
    state = np.geterr()

    def call(*arguments: Arguments.args, **options: Arguments.kwargs) -> Answer:
        with np.errstate(**state):
            return function(*arguments, **options)

    return call


class Threads:
    """The threads of one call: the caller's own and ``n - 1`` helpers, started when needed.

    They are `quiet`, the caller's own until the call is over.

    Kernels release the GIL, so Python's threads run them side by side. They belong to the call:
    nothing is left running, and nothing is shared with a forked child or another caller. Chunks
    are handed out as threads come free, so callers must not let the answer depend on who took
    which.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self.n: int = default_threads() if n_threads is None else n_threads
        self._pool: ThreadPoolExecutor | None = None
        self._quiet = ExitStack()

    def __enter__(self) -> Threads:
        """Return itself."""
        self._quiet.enter_context(quiet())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the helpers."""
        self._quiet.close()
        if self._pool is not None:
            self._pool.shutdown()

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
        """Return ``[function(item) for item in items]``, worked out side by side."""
        work = list(items)
        n_helpers = min(self.n, len(work)) - 1
        if n_helpers < 1:
            return [function(item) for item in work]
        answers: list[Any] = [None] * len(work)
        todo = list(range(len(work) - 1, -1, -1))

        def help_out() -> None:
            with quiet():
                take()

        def take() -> None:
            while True:
                try:
                    at = todo.pop()  # one step in CPython, with a GIL or without
                except IndexError:
                    return
                try:
                    answers[at] = function(work[at])
                except BaseException:  # Ctrl-C too: all finish their chunk and stop
                    todo.clear()
                    raise

        helpers: list[Future[None]] = []
        try:
            self._start(help_out, n_helpers, helpers)
            take()
        finally:
            todo.clear()
            for helper in helpers:
                helper.cancel()
            errors = [helper.exception() for helper in helpers if not helper.cancelled()]
        for error in errors:
            if error is not None:
                raise error
        return answers

    def _start(self, work: Callable[[], None], n: int, helpers: list[Future[None]]) -> None:
        """Add `n` helpers; fewer where there are no more threads, or Python starts none any more.

        So it is once the main thread has ended, and others have not.
        """
        try:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.n - 1, thread_name_prefix="kmeans_fast")
            while len(helpers) < n:
                helpers.append(self._pool.submit(work))
        except RuntimeError:
            pass


# What threads share, and a forked child goes on with. Only the thread that forks lives on there: a
# lock that another one held would never be free again, and what it guards never whole.

_shared: WeakValueDictionary[int, Any] = WeakValueDictionary()
_innermost: list[Any] = []
_forking = RLock()
_held: list[list[Any]] = []


def shared_lock(*, innermost: bool = False) -> Any:
    """Return a lock (reentrant) that forks wait for.

    An innermost one is taken by who may hold another, or Numba's compiler: forks take it last.
    """
    lock = RLock()
    if innermost:
        _innermost.append(lock)
    else:
        _shared[id(lock)] = lock
    return lock


def _hold() -> None:
    _forking.acquire()
    held: list[Any] = []
    _held.append(held)
    locks = [lock for reference in _shared.valuerefs() if (lock := reference()) is not None]
    compiler = sys.modules.get("numba.core.compiler_lock")
    if compiler is not None:
        locks.append(compiler.global_compiler_lock)  # who counts may have to compile
    for lock in (*locks, *_innermost):
        lock.acquire()
        held.append(lock)


def _let_go() -> None:
    for lock in _held.pop():
        lock.release()
    _forking.release()


if hasattr(os, "register_at_fork"):
    # After that of concurrent.futures, so that it is run before: who counts may start threads.
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)

"""Python threads that run kernels on chunks of the data."""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from queue import SimpleQueue
from threading import Lock, RLock
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar, overload
from weakref import WeakValueDictionary

import numpy as np

from .cores import usable_cores

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Arguments = ParamSpec("Arguments")
Seats = list[partial[None]]

# Fewer products than this are done before a helper has come and both have handed on the GIL. That
# takes 0.15 ms a call of `Threads.map` on two cores of a virtual machine, where 2 to 8 million
# break even, and 5 us elsewhere.
WORTH_HELP = 2_000_000


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
        return usable_cores()


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

    Helpers wait at a queue, and nobody waits for one that has not come. A call of `map` whose items
    cost nothing takes 4 us on two threads and 6 on four, where it took 6 and 12 with futures; the
    first one, and the end of the helpers, 35 us and not 65. Locks and queues that are a single step
    can be interrupted anywhere.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self.n: int = default_threads() if n_threads is None else n_threads
        self._quiet = ExitStack()
        self._forget_helpers()

    def _forget_helpers(self) -> None:
        self._process = os.getpid()
        # Lists of seats at a call of `map`; None, which stays there, ends the helpers.
        self._calls: SimpleQueue[Seats | None] = SimpleQueue()
        self._running: list[Lock] = []  # one for each helper, which it lets go of in the end

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
        if self._process == os.getpid():
            self._calls.put(None)
            for running in self._running:
                running.acquire()
        self._forget_helpers()

    def __del__(self, process: Callable[[], int] = os.getpid) -> None:
        """End the helpers of threads that nobody closed."""
        if self._process == process():
            self._calls.put(None)

    def for_work(self, n_products: float) -> Threads:
        """Return itself, or the caller's thread alone for work that is not worth help."""
        return self if n_products >= WORTH_HELP else ALONE

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
        """Return ``[function(item) for item in items]``, worked out side by side."""
        if self.n == 1:
            return [function(item) for item in items]
        work = list(items)
        n_helpers = min(self.n, len(work)) - 1
        if n_helpers < 1:
            return [function(item) for item in work]
        answers: list[Any] = [None] * len(work)
        todo = list(range(len(work) - 1, -1, -1))

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

        self.together(take, take, todo.clear, n_helpers)
        return answers

    def together(
        self,
        lead: Callable[[], None],
        assist: Callable[[], None],
        end: Callable[[], None],
        n_helpers: int,
    ) -> None:
        """Run `lead`, and `assist` on helpers from when they come, if any does, until `end`.

        `end` is run after `lead`, however that went, and has each `assist` return.
        """
        errors: list[BaseException] = []

        def help_out(working: Lock) -> None:
            try:
                assist()
            except BaseException as error:
                errors.append(error)
            finally:
                working.release()

        # A helper that comes takes the last seat, and in the end the first ones are taken away:
        # nobody waits for a helper that has not come yet.
        working = [_taken_lock() for _ in range(n_helpers)]
        seats = [partial(help_out, each) for each in working]
        try:
            self._call(seats, n_helpers)
            lead()
        finally:
            end()
            n_free = 0
            while seats:
                try:
                    seats.pop(0)
                except IndexError:  # a helper came meanwhile
                    break
                n_free += 1
            for each in working[n_free:]:
                each.acquire()
        if errors:
            raise errors[0]

    def _call(self, seats: Seats, n: int) -> None:
        """Call `n` helpers; fewer where there are no more threads, or Python starts none any more.

        So it is once the main thread has ended, and others have not.
        """
        if self._process != os.getpid():  # a forked child has none
            self._forget_helpers()
        try:
            while len(self._running) < n:
                _start_helper(self._calls, self._running)
        except RuntimeError:
            pass
        for _ in range(min(n, len(self._running))):
            self._calls.put(seats)


ALONE = Threads(1)


def _taken_lock() -> Lock:
    lock = allocate_lock()
    lock.acquire()
    return lock


def _start_helper(calls: SimpleQueue[Seats | None], running: list[Lock]) -> None:
    mine = _taken_lock()

    def serve() -> None:
        try:
            with quiet():
                while True:
                    seats = calls.get()
                    if seats is None:
                        calls.put(None)  # for the others
                        return
                    try:
                        help_out = seats.pop()
                    except IndexError:  # the call is over
                        continue
                    del seats
                    help_out()
                    del help_out  # and what it holds
        finally:
            mine.release()

    start_new_thread(serve, ())
    running.append(mine)


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
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)

"""Python threads that run kernels on chunks of the data."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

from numba.core import config

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def default_threads() -> int:
    """Return how many threads Numba would use: the usable cores, or ``NUMBA_NUM_THREADS``."""
    # Numba sets the attributes of its config as it runs, so a type checker cannot see them.
    # numba.get_num_threads() would start the threading layer, which nothing here uses.
    return int(config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]


class Threads:
    """The threads of one call: the caller's own and ``n - 1`` helpers, started when needed.

    Kernels release the GIL, so Python's threads run them side by side. They belong to the call:
    nothing is left running, and nothing is shared with a forked child or another caller. Chunks
    are handed out as threads come free, so callers must not let the answer depend on who took
    which.
    """

    def __init__(self, n_threads: int | None = None) -> None:
        self.n = default_threads() if n_threads is None else n_threads
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Threads:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the helpers."""
        if self._pool is not None:
            self._pool.shutdown()

    def map(self, function: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
        """Return ``[function(item) for item in items]``, worked out side by side."""
        work = list(items)
        n_helpers = min(self.n, len(work)) - 1
        if n_helpers < 1:
            return [function(item) for item in work]
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.n - 1, thread_name_prefix="kmeans_fast")
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

        helpers: list[Future[None]] = [self._pool.submit(take) for _ in range(n_helpers)]
        try:
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

"""What the command line says on stderr: one line for each thing that somebody should know."""

from __future__ import annotations

import contextlib
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

PROG = "kmeans-fast"
FAILED = 2  # what the command line returns for bad input or usage
SKIPPED = 98  # where --skip-if-larger wrote nothing, as pngquant does


def say(line: str) -> None:
    """Say so on stderr; one that cannot be written to is no reason to fail."""
    with contextlib.suppress(OSError, ValueError):
        print(line, file=sys.stderr, flush=True)


def complain(error: Exception) -> None:
    """Say what is wrong, in one line."""
    message = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        message = f"{error.filename}: {error.strerror}"
    elif isinstance(error, MemoryError) and not str(error):
        message = "not enough memory for this picture"
    say(f"{PROG}: error: {message}")


@contextlib.contextmanager
def only_our_warnings() -> Iterator[None]:
    """Warn of what is lost or may shift, in one line, once, though a file may be read twice."""
    import warnings

    from ..pictures.profiles import ProfileWarning
    from ..pictures.reading import LeftOutWarning

    told: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in told:
            told.add(str(message))
            say(f"{PROG}: warning: {message}")

    with warnings.catch_warnings(), quiet_decoders():
        warnings.simplefilter("ignore")
        for category in (LeftOutWarning, ProfileWarning):
            warnings.filterwarnings("always", category=category)
        warnings.showwarning = show
        yield


@contextlib.contextmanager
def quiet_decoders() -> Iterator[None]:
    """Leave what is wrong with a file to one line of ours, not to Pillow's log or libtiff."""
    import logging

    from ..pictures.reading import quiet

    log, nowhere, token = logging.getLogger("PIL"), logging.NullHandler(), quiet.set(True)
    log.addHandler(nowhere)
    try:
        yield
    finally:
        log.removeHandler(nowhere)
        quiet.reset(token)


@contextlib.contextmanager
def saying_that_it_compiles() -> Iterator[None]:
    """Say what the library's log says: that kernels are compiled, before the wait."""
    import logging

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"{PROG}: {record.getMessage()}")

    log, handler = logging.getLogger("kmeans_fast"), Handler()
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)

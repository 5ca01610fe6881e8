"""The command line: ``kmeans-fast quantize``, ``palette``, ``explore``, ``classify``, ``info``."""

from __future__ import annotations

import contextlib
import os
import sys

from .messages import FAILED, PROG, complain, only_our_warnings, say
from .parser import parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import NoReturn

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, or 2 for bad input or usage, or 128 + n after a signal."""
    with _standard_streams():
        try:
            try:
                status = _run(argv)
            except SystemExit as stop:  # --help, --version or wrong usage; or a signal
                status = stop.code if isinstance(stop.code, int) else FAILED
            sys.stdout.flush()
            return status
        except KeyboardInterrupt:
            say(f"{PROG}: interrupted")
            return INTERRUPTED
        except BrokenPipeError:  # the reader (`| head`) has seen enough
            return 0
        except (OSError, ValueError, TypeError, ImportError, MemoryError) as error:
            complain(error)
            return FAILED


def _run(argv: Sequence[str] | None) -> int:
    options = parse(argv)
    # What takes long to import waits until there is work: --help and wrong usage answer at once.
    from .commands import COMMANDS

    with _stopped_by_signals(), only_our_warnings():
        return COMMANDS[options.command](options)


@contextlib.contextmanager
def _standard_streams() -> Iterator[None]:
    """Let there be streams, whatever the descriptors 0 to 2 are.

    A file that is opened later must not take the number of one that is closed: libtiff writes to 2.
    """
    while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    with open(nowhere, "w") as null, contextlib.ExitStack() as missing:
        if sys.stdout is None:
            missing.enter_context(contextlib.redirect_stdout(null))
        if sys.stderr is None:
            missing.enter_context(contextlib.redirect_stderr(null))
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    try:
                        stream.flush()
                    except OSError:  # what is still buffered would fail again when Python exits
                        os.dup2(nowhere, stream.fileno())


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End by SIGTERM or SIGHUP as by Ctrl-C: with nothing left behind. What is ignored stays so."""
    import signal

    def stop(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) == signal.SIG_DFL:
                before[number] = signal.signal(number, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

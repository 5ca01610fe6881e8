"""What several files of tests use."""

import signal
import threading

import pytest

from kmeans_fast import checks, threads
from kmeans_fast.dense import assignment, tree


@pytest.fixture(autouse=True)
def cores(monkeypatch):
    """Pretend that there are many cores: tests have as many threads as they ask for."""
    monkeypatch.setattr(checks, "usable_cores", lambda: 64)


@pytest.fixture(autouse=True)
def as_if_many(request, monkeypatch):
    """Have helpers and bounds for points as few as those of tests, but where that is tested."""
    if "few" not in request.fixturenames:
        monkeypatch.setattr(threads, "WORTH_HELP", 0)
        monkeypatch.setattr(assignment, "WORTH_BOUNDS", 0)


@pytest.fixture
def few():
    """Leave it at what few points are worth."""


@pytest.fixture
def ctrl_c():
    """Return a function that sends Ctrl-C, which is raised in the main thread, as in a terminal.

    Where the suite is started in the background, it would be ignored otherwise.
    """
    main = threading.main_thread()
    if not hasattr(signal, "pthread_kill"):
        pytest.skip("signals of POSIX")
    if threading.current_thread() is not main:
        pytest.skip("only the main thread may say what Ctrl-C does")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.pthread_kill(main.ident, signal.SIGINT)
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Work in an empty folder, and return it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def use(monkeypatch):
    """Return a function that has an engine, "tree" or "dense", take points of any number."""

    def use(engine):
        monkeypatch.setattr(tree, "LEAST_POINTS", 0 if engine == "tree" else 10**9)
        monkeypatch.setattr(tree, "LEAST_DISTANCES", 0)
        monkeypatch.setattr(tree, "LEAST_CLUSTERS", (1,) * tree.MOST_FEATURES)

    return use

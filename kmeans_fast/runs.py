"""Runs side by side, where one run cannot fill the cores."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .lloyd import Callback, Run
from .point_set import Floats, Labels, PointSet
from .threads import Threads

Draw = Callable[[PointSet, int, np.random.Generator], Floats]  # as those of `seeding.METHODS`


class Labelled(NamedTuple):
    """A run, its number, and what `PointSet.label` says of where it ended."""

    number: int
    run: Run
    labels: tuple[Labels, NDArray[Any], float]


class Turns:
    """The starts of runs that draw from one generator, one after another, in the order of the runs.

    Each of the `runs` is the number of the fit that it belongs to, and of clusters.
    """

    def __init__(
        self, runs: Sequence[tuple[int, int]], draw: Draw, rng: np.random.Generator
    ) -> None:
        self.n_runs: int = len(runs)
        self._left = iter(enumerate(runs))
        self._draw = draw
        self._rng = rng
        self._lock = Lock()

    def start(self, points: PointSet) -> tuple[int, int, Floats]:
        """Return number, fit and start of the next run; whoever comes meanwhile waits."""
        with self._lock:
            number, (fit, k) = next(self._left)
            return number, fit, self._draw(points, k, self._rng)


class SideBySide:
    """Runs of the loop on lanes: point sets of the same data, each for one thread.

    Who runs what is left to chance, and changes nothing: a start is what the draws before it make
    it, and where a run ends follows from its start.

    Parameters
    ----------
    lanes : sequence of PointSet
        As `PointSet.siblings` gives them.
    run : callable
        What makes a run on a point set, of a start and a callback.
    """

    def __init__(
        self, lanes: Sequence[PointSet], run: Callable[[PointSet, Floats, Callback], Run]
    ) -> None:
        self._lanes = list(lanes)
        self._run = run
        self._todo: list[Turns] = []
        self._best: dict[int, Labelled] = {}  # by fit
        self._lock = Lock()
        self._over = False

    def run(self, turns: Sequence[Turns], threads: Threads) -> list[Labelled]:
        """Return the best run of each fit, the first of the best; the first turns begin first."""
        self._todo = [each for each in reversed(turns) for _ in range(each.n_runs)]
        led = False

        def lead() -> None:
            nonlocal led
            self._work(first)
            led = True

        def end() -> None:
            if not led:
                self._stop()

        first, *others = self._lanes
        try:
            threads.together(lead, lambda: self._work(others.pop()), end, len(others))
        except BaseException:  # Ctrl-C as the caller waits for the others, too
            self._stop()
            raise
        return [self._best[fit] for fit in sorted(self._best)]

    def _work(self, points: PointSet) -> None:
        """Take runs until there are no more."""
        try:
            while True:
                try:
                    turns = self._todo.pop()  # one step in CPython, with a GIL or without
                except IndexError:
                    return
                number, fit, start = turns.start(points)
                run = self._run(points, start, lambda _: self._over)
                if not run.stopped:
                    self._keep(fit, Labelled(number, run, points.label(run.centroids)))
        except BaseException:
            self._stop()
            raise

    def _keep(self, fit: int, new: Labelled) -> None:
        """Keep a run if it is the best of its fit so far."""
        with self._lock:
            old = self._best.get(fit, new)
            if (new.run.inertia, new.number) <= (old.run.inertia, old.number):
                self._best[fit] = new

    def _stop(self) -> None:
        """Have all finish their iteration, and stop."""
        self._over = True
        self._todo.clear()

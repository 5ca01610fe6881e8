"""A search for what Lloyd's iterations do not find: centroids go where they are missed.

A *batch* takes centroids away where two do the work of one, and gives each to a cluster that is
split, all at once. A *recombination* adds a third more where the error is, and merges clusters
until there are as many as before. Iterations follow, and what is not better is dropped.

Split and merge: Fränti, Kaukoranta and Nevalainen, "On the splitting method for vector quantization
codebook generation", Optical Engineering 36(11), 1997; pairwise nearest neighbours: Equitz, "A new
vector quantization clustering algorithm", IEEE Trans. ASSP 37(10), 1989.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .kernels import moves
from .lloyd import Callback, Iteration, Progress, Run, lloyd
from .point_set import Array, Floats, Refinable

# Found on pictures of CQ100 and others, K = 16 to 256: with less errors are larger, and more takes
# time.
COARSE = 2  # iterations before anything is judged
SETTLED, SETTLED_TOL = 10, 1e-3  # the most after clusters were merged, and until when
TRIED = 5  # the most iterations that a batch is given
ROUNDS, FAILURES = 12, 4  # the most batches, and of those that fail
MORE_ROUNDS, MORE_FAILURES = 6, 3  # of a recombination
ENOUGH = 0.35  # of what a merger costs, what a split has to gain: both are rough
SHARE = 3  # a recombination adds a centroid for so many
SLOW = 2e-3  # of the inertia: an iteration that gains less is a batch's last
HOPELESS = 1.004  # times the best inertia: what batches do not make good after a recombination
# Each is held against each: at most so many. They take 0.1 s a batch.
MOST_CLUSTERS = 8192


class Facts(NamedTuple):
    """What is known of each cluster."""

    gains: Floats  # of a split
    offsets: Floats  # (k, d): where the halves are, from the mean
    costs: Floats  # of being made one with its best mate
    mates: Array  # which that is


def refined(
    points: Refinable,
    start: Floats,
    refine: int,
    max_iter: int,
    tol: float,
    rng: np.random.Generator | None,
    callback: Callback | None = None,
    run: int = 0,
    n_fixed: int = 0,
) -> Run:
    """Search from a start, then run `lloyd`; `refine` is 1 and one for each recombination.

    These draw; with 1 no generator is asked for. The history is that of all iterations, whose
    inertia rises where something is tried. Once a callback returns true, the best so far is what
    there is. The first `n_fixed` centroids stay, with 1.
    """
    trials = Trials(points, callback, run, n_fixed)
    k = len(start)
    points.make_room(k + -(-k // SHARE) if refine > 1 else 0)
    try:
        best = trials.move(trials.iterate(start, COARSE), ROUNDS, FAILURES)
        for _ in range(refine - 1):
            assert rng is not None
            best = trials.recombine(best, rng)
        if not trials.stopped:
            best = trials.iterate(best.centroids, max_iter, tol)
        return Run(
            best.centroids,
            best.inertia,
            best.converged and not trials.stopped,
            trials.stopped,
            tuple(trials.history),
        )
    finally:
        points.make_room(0)


class HopelessError(Exception):
    """What is tried will not be better than what there is."""


@dataclass
class Trials:
    """What is tried from one start."""

    points: Refinable
    callback: Callback | None
    run: int
    n_fixed: int = 0  # centroids that are neither split nor taken away
    history: list[Iteration] = field(default_factory=list)
    stopped: bool = False  # by the callback

    def iterate(
        self, centroids: Floats, most: int, tol: float = 0.0, rival: float | None = None
    ) -> Run:
        """Run `lloyd`; with a rival's inertia only while it helps, and may go below that."""
        inertia = np.inf

        def tell(now: Progress) -> bool:
            nonlocal inertia
            self.history.append(Iteration(now.inertia, now.shift, now.seconds))
            if self.callback is not None:
                self.stopped = bool(self.callback(now._replace(iteration=len(self.history))))
            gain, inertia = inertia - now.inertia, now.inertia
            if self.stopped or rival is None or gain == np.inf:
                return self.stopped
            if inertia - gain > rival:
                raise HopelessError
            return gain < SLOW * inertia

        try:
            return lloyd(self.points, centroids, most, tol, tell, self.run)
        except HopelessError:  # no assignment says where exactly it ended
            return Run(centroids, np.inf, False, False, ())

    def move(self, best: Run, most: int, most_failures: int) -> Run:
        """Try batches, each half as large after one that failed; return the best."""
        limit, n_failures, n_skipped = len(best.centroids), 0, 0
        facts: Facts | None = None
        for _ in range(most):
            if self.stopped or n_failures == most_failures:
                break
            facts = facts or self._find_facts(best.centroids)
            moved, n = choose_moves(best.centroids, facts, limit, n_skipped)
            if n == 0:
                break
            tried = self.iterate(moved, TRIED, rival=best.inertia)
            if tried.inertia < best.inertia:
                best, facts, n_skipped = tried, None, 0
            else:
                n_failures += 1
                n_skipped += n == 1
                limit = max(1, n // 2)
        return best

    def _find_facts(self, centroids: Floats) -> Facts:
        """Return what is known of the clusters about these centroids."""
        moments = self.points.scattered(centroids).moments(centroids)
        gains, offsets = np.empty(len(moments)), np.empty((len(moments), 4))
        moves.find_splits(moments, gains, offsets)
        costs, mates = _find_mates(centroids, moments[:, 0])
        gains[: self.n_fixed], costs[: self.n_fixed] = -np.inf, np.inf
        return Facts(gains, offsets[:, : centroids.shape[1]], costs, mates)

    def recombine(self, best: Run, rng: np.random.Generator) -> Run:
        """Try more centroids, merged to as many as before; return the better."""
        if self.stopped or best.inertia == 0.0:
            return best
        k = len(best.centroids)
        more = self.points.scattered(best.centroids).draw(best.centroids, -(-k // SHARE), rng)
        both = self.iterate(np.concatenate([best.centroids, more]), COARSE).centroids.copy()
        counts = self.points.scattered(both).moments(both)[:, 0].copy()
        costs, mates = _find_mates(both, counts)
        moves.merge_nearest(both, counts, costs, mates, k)
        # Who is left stays in place, so that what is known of cells holds.
        merged = both[:k]
        merged[mates[:k] < 0] = both[k:][mates[k:] >= 0]
        tried = self.iterate(merged, SETTLED, SETTLED_TOL)
        if tried.inertia < HOPELESS * best.inertia:
            tried = self.move(tried, MORE_ROUNDS, MORE_FAILURES)
        return tried if tried.inertia < best.inertia else best


def _find_mates(centroids: Floats, counts: Floats) -> tuple[Array, Array]:
    """Return what it costs to merge each cluster with its best mate, and which that is."""
    costs, mates = np.empty(len(counts)), np.empty(len(counts), np.int64)
    moves.find_mates(centroids, np.ascontiguousarray(counts), costs, mates)
    return costs, mates


def choose_moves(
    centroids: Floats,
    facts: Facts,
    limit: int,
    n_skipped: int = 0,
) -> tuple[Floats, int]:
    """Return centroids after a batch of moves, and how many.

    The least costs are paired with the largest gains, of which some are skipped, while a gain is
    above `ENOUGH` of the cost. Each cluster is split, taken away or a mate, once.
    """
    gains, offsets, costs, mates = facts
    moved = centroids.copy()
    free = [True] * len(gains)
    order = np.argsort(-gains, kind="stable")[n_skipped:].tolist()
    n = at = 0
    for gone in np.argsort(costs, kind="stable").tolist():
        mate = mates[gone]
        if n == limit or at == len(order):
            break
        if mate < 0 or not (free[gone] and free[mate]):
            continue
        free[gone] = free[mate] = False
        while at < len(order) and not free[order[at]]:
            at += 1
        if at == len(order) or not gains[order[at]] > ENOUGH * costs[gone]:
            break
        split = order[at]
        free[split] = False
        moved[gone] = centroids[split] + offsets[split]
        moved[split] = centroids[split] - offsets[split]
        n += 1
    return moved, n

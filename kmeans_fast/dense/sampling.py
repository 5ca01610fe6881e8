"""Distinct points of all parts: the first, some drawn by weight, and the farthest."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..exact.quanta import Integers
from ..kernels import dense_data, dense_sums
from .assignment import fewest_types
from .part import ClusterSums, DensePart
from .questions import Array, Floats, add, merged_by
from .raw import frozen


class Distinct:
    """What tells apart those points of a part that have weight."""

    def __init__(self, part: DensePart) -> None:
        # As unsigned integers, and the negative zero among these.
        size = part.points.itemsize
        self._bits = part.points.view(f"u{size}")
        negative_zero = 0 if part.facts.are_whole else 1 << (8 * size - 1)
        self._zero = self._bits.dtype.type(negative_zero)
        self._weights = part.weights

    def first(self, orders: Iterable[Integers], limit: int) -> Integers:
        """Return the first points in the orders given that have weight and differ."""
        table, out = _new_table(limit), np.empty(limit, np.int64)
        n = 0
        for order in orders:
            if self._weights is not None:
                order = order[self._weights[order] > 0]
            n = self._find(order, table, out, n)
            if n == limit:
                break
        return out[:n]

    def first_of(self, some: Integers, values: Floats, limit: int) -> tuple[Integers, Floats]:
        """Return the first of some points that have weight and differ, and the value of each."""
        distinct, order = self.first([some], limit), np.argsort(some, kind="stable")
        return distinct, values[order[np.searchsorted(some, distinct, sorter=order)]]

    def copy_finder(self, rows: Integers) -> Callable[[Integers], Array]:
        """Return what tells of other points which of some distinct ones they are equal to.

        Others are numbered one more than these, and those without weight two.
        """
        table, m = _new_table(rows.size), rows.size
        self._find(rows, table, np.empty(m, np.int64), 0)

        def find(others: Integers) -> Array:
            numbers = np.zeros(others.size, fewest_types(m + 2))
            if m:
                self._find(others, table, rows, m, numbers)
            if self._weights is not None:
                numbers[self._weights[others] <= 0] = m + 1
            return numbers

        return find

    def _find(
        self, order: Integers, table: Integers, out: Integers, n: int, numbers: Any = None
    ) -> int:
        found: int = dense_data.find_distinct(
            self._bits, self._zero, order, table, out, n, numbers
        )  # fmt: skip
        return found


def _new_table(n: int) -> Integers:
    """Return a hash table for `n` points (`kernels.dense_data.find_distinct`)."""
    return np.full(max(1024, 2 << (n + 1).bit_length()), -1)  # with few collisions


class Sample(NamedTuple):
    """Distinct points, at most so many: those of least keys, or of equal keys the first."""

    limit: int
    keys: Floats  # (m,) ascending
    rows: Array  # (m, d)


def merge_samples(answers: list[Sample]) -> Sample:
    """Return those of the least keys of all."""
    (limit, *_), keys, rows = zip(*answers, strict=True)
    all_keys, all_rows = np.concatenate(keys), np.concatenate(rows)
    order = np.argsort(all_keys, kind="stable")
    rows_as_they_compare = all_rows[order] + all_rows.dtype.type(0)  # no negative zeros
    _, first = np.unique(rows_as_they_compare, axis=0, return_index=True)
    order = order[np.sort(first)[:limit]]
    return Sample(limit, all_keys[order], all_rows[order])


@merged_by(merge_samples)
def find_distinct(part: DensePart, limit: int) -> Sample:
    """Return the first distinct points that have weight."""
    rows = part.points[Distinct(part).first((np.arange(*chunk) for chunk in part.chunks), limit)]
    return Sample(limit, np.zeros(len(rows)), rows)


@merged_by(merge_samples)
def sample_distinct(part: DensePart, n: int, seed: int) -> Sample:
    """Return up to `n` distinct points, those of the least keys.

    Each point has an exponential key over its weight: the same whatever part it is in.
    """
    few = 4 * n + 64
    keys, distinct = np.empty(0), np.empty(0, np.int64)

    def find(chunk: tuple[int, int]) -> tuple[Floats, Integers]:
        """Return the least keys of a chunk, and their points, but for copies of those found."""
        rows = np.arange(*chunk)
        rows = rows[copies(rows) == distinct.size]
        if rows.size == 0:
            return np.empty(0), rows
        rng = np.random.Generator(np.random.PCG64(seed).advance(part.start + chunk[0]))
        new_keys: Floats = -np.log1p(-rng.random(chunk[1] - chunk[0]))
        new_keys = new_keys[rows - chunk[0]]
        if part.weights is not None:
            new_keys /= part.weights[rows]
        return _take_least(new_keys, rows, few)

    while distinct.size < n:  # once, unless nearly all points are copies of a few
        copies = Distinct(part).copy_finder(distinct)
        found_keys, found = zip(*part.threads.map(find, part.chunks), strict=True)
        least_keys, least = _take_least(np.concatenate(found_keys), np.concatenate(found), few)
        if least.size == 0:
            break
        order = np.argsort(least_keys, kind="stable")
        some, keys = np.append(distinct, least[order]), np.append(keys, least_keys[order])
        distinct, keys = Distinct(part).first_of(some, keys, n)
    return Sample(n, keys, part.points[distinct])


def _take_least(keys: Floats, rows: Integers, n: int) -> tuple[Floats, Integers]:
    """Return the `n` least keys, in any order, and what they are of."""
    if keys.size <= n:
        return keys, rows
    least = np.argpartition(keys, n - 1)[:n]
    return keys[least], rows[least]


# ------------------------------------------------------------------------------- the farthest


class Candidates(NamedTuple):
    """Distinct points far from their own centroids, the farthest first: one a cluster, at most."""

    sq_dists: Floats  # (m,)
    rows: Array  # (m, d)
    clusters: Integers  # (m,)
    n_copies: Integers  # (m,) rows that are equal
    sums: ClusterSums  # of these
    n_members: Integers  # (k,) how many points with weight each cluster has


def merge_farthest(answers: list[Candidates]) -> Candidates:
    """Return the farthest of all, and the sums of their copies in all parts."""
    each = zip(*answers, strict=True)
    sq_dists, rows, clusters, n_copies = (np.concatenate(next(each)) for _ in range(4))
    values, totals = (np.concatenate(sums) for sums in zip(*next(each), strict=True))
    n_members = add(list(next(each)))
    order = np.lexsort((*rows.T[::-1], -sq_dists))
    is_new = np.ones(order.size, np.bool_)
    is_new[1:] = (rows[order][1:] != rows[order][:-1]).any(axis=1)
    starts = np.flatnonzero(is_new)
    first = order[starts][: n_members.size]

    def add_up(sums: Integers) -> Integers:
        together: Integers = np.add.reduceat(sums[order], starts, axis=0)[: first.size]
        return together

    return Candidates(
        sq_dists[first], rows[first], clusters[first], add_up(n_copies),
        ClusterSums(add_up(values), add_up(totals)), n_members,
    )  # fmt: skip


@merged_by(merge_farthest)
def find_farthest(part: DensePart, centroids: Floats) -> Candidates:
    """Return the distinct points farthest from their own centroids."""
    labels, k = part.labels(centroids), len(centroids)
    least = 0.0  # of `k` distinct points: what is nearer is not looked at any more
    kept: dict[int, NDArray[np.uint16]] = {}  # by chunk: what is as far as the farthest there

    def find(chunk: tuple[int, int]) -> tuple[Integers, Floats, Integers]:
        nonlocal least
        here = slice(*chunk)
        own, sq_dists = labels[here], np.empty(chunk[1] - chunk[0])
        dense_data.fill_own_sq_dists(part.points[here], 0, sq_dists.size, centroids, own, sq_dists)
        if part.weights is not None:
            held = part.weights[here] > 0
            sq_dists[~held] = -1.0  # out of the running
            own = own[held]
        some = np.flatnonzero(sq_dists >= least)
        far = _choose_farthest(part, some + chunk[0], sq_dists[some], k)
        if far[0].size == k:
            least = max(least, far[1][-1])  # threads may lower it again, which is no less true
            some = some[sq_dists[some] >= far[1][-1]]
        kept[chunk[0]] = some.astype(np.uint16)
        return *far, np.bincount(own, minlength=k)

    some, far_off, n_members = zip(*part.threads.map(find, part.chunks), strict=True)
    far, sq_dists = _choose_farthest(part, np.concatenate(some), np.concatenate(far_off), k)
    return Candidates(
        sq_dists, part.points[far], labels[far].astype(np.int64), *_add_copies(part, far, kept),
        add(list(n_members)),
    )  # fmt: skip


def _choose_farthest(
    part: DensePart, some: Integers, sq_dists: Floats, n: int
) -> tuple[Integers, Floats]:
    """Return the `n` farthest distinct points of some, the farthest first.

    Of points equally far the lexicographically smallest.
    """
    if some.size > 4 * n:  # a few are enough, unless they are copies of fewer
        near = sq_dists >= np.partition(sq_dists, -2 * n)[-2 * n]
        if 2 * n <= np.count_nonzero(near) <= 4 * n:
            distinct, far = Distinct(part).first_of(some[near], sq_dists[near], 4 * n)
            if distinct.size >= n:
                some, sq_dists = distinct, far
    distinct, sq_dists = Distinct(part).first_of(some, sq_dists, some.size)
    if distinct.size > n:
        near = np.partition(sq_dists, -n)[-n]
        distinct, sq_dists = distinct[sq_dists >= near], sq_dists[sq_dists >= near]
    order = np.lexsort((*part.points[distinct].T[::-1], -sq_dists))[:n]
    return distinct[order], sq_dists[order]


def _add_copies(
    part: DensePart, rows: Integers, kept: dict[int, NDArray[np.uint16]]
) -> tuple[Integers, ClusterSums]:
    """Return how many points with weight are equal to each of some, and their sums.

    All are among those `kept`, by the first of their chunk: copies are equally far.
    """
    m, number = rows.size, Distinct(part).copy_finder(rows)

    def add_chunk(start: int, stop: int, n_copies: Integers, *sums: Integers) -> None:
        here = start + kept[start].astype(np.int64)
        numbers = number(here)
        n_copies += np.bincount(numbers, minlength=m + 2)
        dense_sums.add_points(
            frozen(part.points[here]),
            None if part.repeats is None else part.repeats[here],
            None if part.factors is None else part.factors[here],
            0, numbers.size, numbers, part.facts.anchors, dense_sums.Limbs(*sums),
        )  # fmt: skip

    n_copies, *sums = part.gather(add_chunk, (m + 2,), *part.shapes_of_sums(m + 2))
    return n_copies[:m], ClusterSums(*(each[:m] for each in sums))

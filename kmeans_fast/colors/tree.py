"""The tree of the cells of colours, built on every core."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import cells
from ..threads import Threads
from .keys import ColorFormat

Array = NDArray[Any]

# Cells that there are before threads share out what is below them: 14,000 of 700,000 colours.
TOP = 64
ALL = 1 << 62


def build_tree(keys: Array, form: ColorFormat, threads: Threads) -> Array:
    """Return the links of the cells of sorted keys, as `kernels.cells` has them."""
    n_split, top = _split(keys, form, np.array([[0], [keys.size]]), TOP if threads.n > 1 else ALL)
    rest = top[:2, n_split:]
    if rest.shape[1] == 0:
        return np.ascontiguousarray(top)
    ends = np.cumsum(rest[1] - rest[0])
    edges = np.searchsorted(ends, edges_of(int(ends[-1]), 4 * threads.n)[1:-1])
    groups = [group for group in np.split(rest, edges, axis=1) if group.shape[1]]
    grown = threads.map(lambda group: _split(keys, form, group, ALL)[1], groups)
    n_below = [below.shape[1] - group.shape[1] for below, group in zip(grown, groups, strict=True)]
    links = np.empty((4, top.shape[1] + sum(n_below)), np.int64)
    links[:, :n_split] = top[:, :n_split]
    at, to = n_split, top.shape[1]
    for group, below, n in zip(groups, grown, n_below, strict=True):
        n_roots = group.shape[1]
        below[2] += to - n_roots
        links[:, at : at + n_roots] = below[:, :n_roots]
        links[:, to : to + n] = below[:, n_roots:]
        at, to = at + n_roots, to + n
    return links


def _split(keys: Array, form: ColorFormat, roots: Array, most: int) -> tuple[int, Array]:
    """Split cells, of which are known where they start and stop (2, n), and what is below them.

    Until there are so many. Returns how many of them are split, and their links.
    """
    n_roots = roots.shape[1]
    room = n_roots + int((roots[1] - roots[0]).sum()) // 4 + 64
    while True:
        links = np.empty((4, room), np.int64)
        links[:2, :n_roots] = roots
        n_split, n = cells.build_cells(form.axes, keys, links, 0, n_roots, most)
        if n_split >= 0:
            return n_split, links[:, :n]
        room *= 2


def edges_of(n: int, n_parts: int) -> list[int]:
    """Return where parts of ``range(n)``, about equal, begin and end."""
    edges: list[int] = np.linspace(0, n, 1 + n_parts).astype(int).tolist()
    return edges


def parts_of(n: int, threads: Threads) -> list[slice]:
    """Return parts of ``range(n)`` for threads to share out: one for one thread."""
    n_parts = 4 * threads.n if threads.n > 1 else 1
    return [slice(*edges) for edges in pairwise(edges_of(n, n_parts))]

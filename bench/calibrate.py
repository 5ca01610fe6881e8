"""What more threads give on this machine, whatever they do: a loop in registers, and a copy.

No stage of a fit can be expected to gain more. Two threads need not give two times as much: where
the two cores that a system shows are one physical core, they share what computes, and all cores
share the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from kmeans_fast.threads import Threads

from . import lab
from .lab import Record, Setting

STEPS = 20_000_000  # of the loop: 0.08 s on one thread
BYTES = 256_000_000  # of the copy: more than caches hold
TRIES = 3  # of which the fastest stands for a round


@cache
def spinner() -> Any:
    """Return the loop, compiled: eight chains of shifts, enough to keep all units of a core busy.

    A single chain would wait for itself, and two of them could share a core at no loss.
    """
    from numba import njit

    @njit(nogil=True)
    def spin(n: int) -> int:
        a, b, c, d, e, f, g, h = n, n + 1, n + 2, n + 3, n + 4, n + 5, n + 6, n + 7
        for _ in range(n):
            a, b, c, d = a ^ (a << 13), b ^ (b << 13), c ^ (c << 13), d ^ (d << 13)
            e, f, g, h = e ^ (e << 13), f ^ (f << 13), g ^ (g << 13), h ^ (h << 13)
            a, b, c, d = a ^ (a >> 7), b ^ (b >> 7), c ^ (c >> 7), d ^ (d >> 7)
            e, f, g, h = e ^ (e >> 7), f ^ (f >> 7), g ^ (g >> 7), h ^ (h >> 7)
            a, b, c, d = a ^ (a << 17), b ^ (b << 17), c ^ (c << 17), d ^ (d << 17)
            e, f, g, h = e ^ (e << 17), f ^ (f << 17), g ^ (g << 17), h ^ (h << 17)
        return a ^ b ^ c ^ d ^ e ^ f ^ g ^ h

    spin(1)  # compiles it
    return spin


def loop(scale: float) -> Callable[[Threads], None]:
    """Return what shares out the loop's steps."""
    spin, n_steps = spinner(), max(1, int(STEPS * scale))

    def work(threads: Threads) -> None:
        threads.map(spin, [n_steps // threads.n] * threads.n)

    return work


def copy(scale: float) -> Callable[[Threads], None]:
    """Return what shares out a copy, from and to memory that is there already."""
    source = np.ones(max(1, int(BYTES * scale)), np.uint8)
    target = source.copy()

    def work(threads: Threads) -> None:
        parts = zip(*(np.array_split(all_, threads.n) for all_ in (target, source)), strict=True)
        threads.map(lambda part: np.copyto(*part), parts)

    return work


WORKS = {"a loop in registers": loop, "memcpy": copy}


def measure(setting: Setting, numbers: Iterable[int]) -> list[Record]:
    """Return the seconds of each work on so many threads, in turn, round by round."""
    works = {name: new(setting.scale) for name, new in WORKS.items()}
    numbers = list(numbers)
    found: list[Record] = [
        {"what": what, "threads": n, "seconds": []} for what in works for n in numbers
    ]
    for _ in range(setting.rounds):
        for row in found:
            with Threads(row["threads"]) as threads:
                tries = [lab.timed(works[row["what"]], threads)[0] for _ in range(TRIES)]
            row["seconds"].append(min(tries))
    return found

"""The search behind k-means++ over colours: how far each is from the nearest centre so far."""

from __future__ import annotations

from threading import Lock
from time import sleep
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kernels import seeds as kernel
from ..kernels._jit import JIT_OFF
from ..threads import Threads
from .tree import parts_of

Array = NDArray[Any]

# How often a thread that waits for another looks, before it sleeps: 100 us. With 15 us it slept as
# the next pass began, and two threads gained nothing.
PATIENCE = 1 if JIT_OFF else 1 << 18
# It sleeps twice as long each time, in seconds, where it took part in few passes in a row: it may
# keep the other one from its core.
NAP, MOST_NAP, WELL = 1e-4, 5e-3, 10


def draw_color(colors: Array, weights: Array, rng: np.random.Generator) -> Array:
    """Draw one of the colours (c, m or more) by weight."""
    ends = np.cumsum(weights)
    return colors[:, np.searchsorted(ends, rng.integers(ends[-1]), side="right")].astype(np.float64)


class ColorSearch:
    """The exact squared distance of each colour to the nearest centre so far.

    Parameters
    ----------
    colors : ndarray of uint8 or uint16, shape (c, m + kernels.seeds.BLOCK or more)
        Sorted by key; what follows the colours are copies of the last.
    weights : ndarray of int64, shape (m,)
    total : int
        The sum of the weights.
    threads : Threads
    """

    def __init__(self, colors: Array, weights: Array, total: int, threads: Threads) -> None:
        self._axes = tuple(range(len(colors)))
        self._colors = colors
        self._exact_weights = weights
        self._threads = threads
        # Potentials are sums of weight times squared distance: made to fit 63 bits.
        largest = len(colors) * int(np.iinfo(colors.dtype).max) ** 2
        excess = max(0, (total * largest).bit_length() - 62)
        if excess:
            weights = np.maximum(weights >> excess, (weights > 0).astype(np.int64))
        narrow = colors.dtype == np.uint8
        # Products of int32 are one instruction.
        small = narrow and (total < 2**31 or weights.max() < 2**31)
        n_padded = weights.size + -weights.size % kernel.BLOCK
        self._weights = np.zeros(n_padded, np.int32 if small else np.int64)
        threads.map(
            lambda part: self._weights.__setitem__(part, weights[part]),
            parts_of(weights.size, threads),
        )
        number = np.int32 if narrow else np.int64  # holds a squared distance
        n_regions = -(-weights.size // kernel.REGION)
        n_parts = n_regions * (1 + kernel.FAN + kernel.FAN**2)
        self._closest = np.empty(n_regions * kernel.REGION, number)
        self._boxes = np.empty((2 * len(colors), n_parts), colors.dtype)
        self._far = np.empty(n_parts, number)
        self._potential = np.empty(n_parts, np.int64)
        self._left = np.empty(n_regions, np.int64)

    def spread(self, centroids: Array, n_trials: int, rng: np.random.Generator) -> None:
        """Write the centroids (k, c) after the first one: greedy k-means++."""
        n_threads = min(self._threads.n, self._left.size)
        most = -(-self._left.size // n_threads)
        centers = np.empty((1 + n_trials, len(self._axes)), self._far.dtype)
        gains = np.empty((n_threads, most, n_trials), np.int64)
        ages = np.zeros((n_threads, most), np.int64)
        control = np.zeros((1 + 2 * n_threads) * kernel.LINE, np.int64)
        first = self._axes, self._colors, self._weights
        rest = (
            centers, self._closest, self._boxes, self._far, self._potential, gains, ages,
            self._left, control,
        )  # fmt: skip
        nothing = np.empty(0, np.int64)
        helpers = list(range(1, n_threads))
        over = Lock()
        over.acquire()

        def choose(targets: Array) -> int:
            left = kernel.seed(*first, targets, *rest, 0, PATIENCE, 0)
            while left < 0:
                sleep(0)
                left = kernel.seed(*first, targets, *rest, 0, PATIENCE, 1)
            return int(left)

        def lead() -> None:
            centers[0] = centroids[0]
            left = choose(nothing)
            for j in range(1, len(centroids)):
                if left == 0:  # all colours are centres
                    centroids[j] = self._draw_anew(n_trials, rng)
                    continue
                left = choose(rng.integers(left, size=n_trials))
                centroids[j] = centers[0]

        def assist() -> None:
            me, nap = helpers.pop(), NAP
            while True:
                n_passes = kernel.seed(*first, nothing, *rest, me, PATIENCE, 0)
                if n_passes < 0:
                    return
                nap = NAP if n_passes >= WELL else min(2 * nap, MOST_NAP)
                if over.acquire(timeout=nap):
                    over.release()  # for the others
                    return

        def end() -> None:
            control[kernel.PASS] = -1
            over.release()

        self._threads.together(lead, assist, end, n_threads - 1)

    def _draw_anew(self, n: int, rng: np.random.Generator) -> Array:
        """Draw by weight; as many as else, of which none is better than the first."""
        return [draw_color(self._colors, self._exact_weights, rng) for _ in range(n)][0]

"""Points of any numbers on a Dask cluster: the parts of a dense point set, where the chunks are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any, Generic

import dask
import dask.multiprocessing
import numpy as np
from dask.base import get_scheduler

from ..dense.facts import Facts
from ..dense.part import DensePart
from ..dense.questions import Answer, Asked, Part, Question
from ..dense.raw import RawPart
from ..threads import Threads, default_threads, quiet
from .dask import (
    Array,
    Shape,
    Weights,
    _as_block,
    _merged,
    _share,
    _Shared,
    _with_weights,
    lazy_labels,
    scheduler_stays,
)


class _OnWorkers(Generic[Part]):
    """Parts, wherever Dask holds them, all on one scheduler."""

    def __init__(self, parts: list[Any], options: dict[str, Any]) -> None:
        self.parts: list[Any] = parts
        self.options: dict[str, Any] = options
        self._client = getattr(options["scheduler"], "__self__", None)  # it knows its cluster
        # Dask's own processes would bring what they keep here, so they make parts anew each time.
        if options["scheduler"] is not dask.multiprocessing.get:
            with scheduler_stays(self._client):
                self.parts = list(dask.persist(*parts, **options))

    def ask(
        self, question: Question[Part, Asked, Answer], *asked: Asked.args, **named: Asked.kwargs
    ) -> Answer:
        """Return the merged answers of all parts."""
        shared = _share(question, asked, named)
        answers = [dask.delayed(_ask)(part, shared) for part in self.parts]
        with scheduler_stays(self._client):
            answer: Answer = dask.compute(_merged(answers, question.merge), **self.options)[0]
        return answer


class SettledDaskParts(_OnWorkers[DensePart]):
    """The chunks of an array, each a `DensePart`; labels are not worked out yet."""

    is_whole = False

    def __init__(
        self, parts: list[Any], options: dict[str, Any], give_labels: Callable[[Array], Any]
    ) -> None:
        super().__init__(parts, options)
        self.give_labels = give_labels


class DaskParts(_OnWorkers[RawPart]):
    """The chunks of an array, each a `RawPart`.

    Parameters
    ----------
    data : dask.array.Array, shape (n, d) or (h, w, d)
    weights : Weights or None
    n_threads : int
        Of a task.
    """

    def __init__(self, data: Any, weights: Weights | None, n_threads: int) -> None:
        self.shape: tuple[int, int] = int(np.prod(data.shape[:-1])), data.shape[-1]
        self.dtype: np.dtype[Any] = data.dtype
        self.is_weighted: bool = weights is not None
        self._labels = partial(lazy_labels, data, space="rgb", n_threads=n_threads)
        pieces = None if weights is None else weights.array
        if data.ndim == 3:  # points of a part must follow each other in the order of the data
            data = by_rows(data)
            pieces = None if pieces is None else pieces.rechunk(data.chunks[:-1])
        per_row = int(np.prod(data.shape[1:-1]))
        blocks = _with_weights(data, pieces)
        starts = np.cumsum([0, *(shape[0] * per_row for (_, shape), _ in blocks)]).tolist()
        options = {"scheduler": get_scheduler(collections=[data])}
        if options["scheduler"] is dask.multiprocessing.get:  # processes are started once
            options["pool"] = dask.config.get("pool", None) or ProcessPoolExecutor(
                dask.config.get("num_workers", None) or default_threads(),
                mp_context=dask.multiprocessing.get_context(),
                initializer=dask.multiprocessing.initialize_worker_process,
            )
        parts = [
            dask.delayed(_make_part)(
                block, data.dtype, shape, some, n_threads, starts[number], number
            )
            for number, ((block, shape), some) in enumerate(blocks)
        ]
        super().__init__(parts, options)

    def settle(self, facts: Facts) -> SettledDaskParts:
        """Return the parts that know what is known of all of them, in the place of these."""
        shared = _share(facts)
        parts = [dask.delayed(_settle)(part, shared) for part in self.parts]
        settled = SettledDaskParts(parts, self.options, self._labels)
        self.parts: list[Any] = settled.parts
        return settled

    def close(self) -> None:
        """Leave nothing on the workers, whoever still holds these parts: a traceback, say."""
        distributed = sys.modules.get("distributed")
        if distributed is not None:
            for future in distributed.futures_of(self.parts):
                future.release()
        self.parts.clear()
        pool = self.options.pop("pool", None)
        if pool is not None and pool is not dask.config.get("pool", None):
            pool.shutdown(cancel_futures=True)


def by_rows(data: Any) -> Any:
    """Return an image in chunks of whole rows, about as large as those that it has."""
    return data.rechunk({0: "auto", 1: -1, 2: -1}, block_size_limit=_largest_chunk(data))


def _largest_chunk(data: Any) -> int:
    """Return the bytes of the largest chunk, or of one row if that is more."""
    largest = int(np.prod([max(sizes) for sizes in data.chunks]))
    row = int(np.prod(data.shape[1:]))
    return max(largest, row) * int(data.dtype.itemsize)


def _make_part(
    block: Any,
    dtype: np.dtype[Any],
    shape: Shape,
    weights: Any,
    n_threads: int,
    start: int,
    number: int,
) -> RawPart:
    points = _as_block(block, dtype, shape)
    points = points.reshape(-1, points.shape[-1])
    weights = None if weights is None else np.asarray(weights).reshape(-1)
    with quiet():
        return RawPart(points, weights, Threads(n_threads), start, number)


def _settle(part: RawPart, shared: _Shared) -> DensePart:
    with quiet():
        return DensePart(part, *shared.arguments)


def _ask(part: Any, shared: _Shared) -> Any:
    question, asked, named = shared.arguments
    with part.lock, quiet():
        return question(part, *asked, **named)

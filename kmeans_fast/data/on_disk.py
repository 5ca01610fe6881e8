"""Points in a file, more than memory holds: the parts of a dense point set, one after the other.

A part is asked as any other is. Then what it keeps for the next question (its points, its tree, its
bounds) goes to a file without a name, which is mapped where the arrays were, and the pages leave
memory until somebody looks there. So an iteration reads what it needs: of a tree, the cells that
several centroids share.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dense.facts import Facts
from ..dense.part import DensePart
from ..dense.questions import Answer, Asked, Question
from ..dense.raw import RawPart
from ..point_set import label_dtype
from ..threads import Threads

Array = NDArray[Any]
Floats = NDArray[np.float64]
Read = Callable[[int, int], Array]  # the points from one number to another, (m, d)

# Numbers in a part, ten to 15 bytes each while it is asked; and the most parts, each of which holds
# a few files open.
PART_SIZE, MOST_PARTS = 1 << 23, 100
# Smaller arrays stay in memory.
LARGE = 1 << 16


class PointsOnDisk:
    """Points as they were given: made anew for each of the few questions.

    Parameters
    ----------
    read : callable
        Returns the points from one number to another, of one type.
    shape : tuple of int
        (n, d)
    dtype : dtype
    threads : Threads
    folder : str
        Where what does not stay in memory is kept: a disk, not a part of the memory.
    """

    is_weighted = False

    def __init__(
        self, read: Read, shape: tuple[int, int], dtype: Any, threads: Threads, folder: str
    ) -> None:
        self.shape: tuple[int, int] = shape
        self.dtype: np.dtype[Any] = np.dtype(dtype)
        self._read, self._threads, self._folder = read, threads, folder
        size = max(1, PART_SIZE // shape[1], -(-shape[0] // MOST_PARTS))
        self._spans = [(at, min(at + size, shape[0])) for at in range(0, shape[0], size)]

    def _part(self, number: int) -> RawPart:
        start, stop = self._spans[number]
        return RawPart(self._read(start, stop), None, self._threads, start, number)

    def ask(
        self, question: Question[RawPart, Asked, Answer], *asked: Asked.args, **named: Asked.kwargs
    ) -> Answer:
        """Return the merged answers of all parts."""
        numbers = range(len(self._spans))
        return question.merge([_own(question(self._part(i), *asked, **named)) for i in numbers])

    def settle(self, facts: Facts) -> PartsOnDisk:
        """Return the parts that know what is known of all of them."""
        parts = []
        for number in range(len(self._spans)):
            part = _PartOnDisk(DensePart(self._part(number), facts), self._folder)
            part.set_aside()
            parts.append(part)
        return PartsOnDisk(parts, self.shape[0])


class PartsOnDisk:
    """The parts of a dense point set, of which one at a time is in memory."""

    is_whole = False

    def __init__(self, parts: list[_PartOnDisk], n: int) -> None:
        self._parts, self._n = parts, n

    def ask(
        self,
        question: Question[DensePart, Asked, Answer],
        *asked: Asked.args,
        **named: Asked.kwargs,
    ) -> Answer:
        """Return the merged answers of all parts."""
        return question.merge([part.ask(question, *asked, **named) for part in self._parts])

    def give_labels(self, centroids: Floats) -> Array:
        """Return the labels (n,) of an assignment: all of them, in memory."""
        labels = np.empty(self._n, label_dtype(len(centroids)))
        for part in self._parts:
            start = part.part.start
            labels[start : start + part.part.n] = part.ask(DensePart.give_labels, centroids)
        return labels

    def close(self) -> None:
        """Let go of all that is on disk."""
        self._parts = []


def _own(answer: Answer) -> Answer:
    """Return an answer that does not hold on to the points of its part."""
    if isinstance(answer, np.ndarray) and answer.base is not None:
        copied: Answer = answer.copy()
        return copied
    return answer


class _PartOnDisk:
    """A part whose large arrays are mapped from files that nobody else sees."""

    def __init__(self, part: DensePart, folder: str) -> None:
        self.part = part
        self._folder = folder

    def ask(self, question: Question[DensePart, Any, Answer], *asked: Any, **named: Any) -> Answer:
        """Return the answer, and set aside what the part keeps."""
        try:
            return _own(question(self.part, *asked, **named))
        finally:
            self.set_aside()

    def set_aside(self) -> None:
        """Move all large arrays to disk, and have the pages of those that are there leave."""
        moved = _Moved(self._folder)
        moved.look_into(self.part)
        moved.write()
        moved.replace()
        for mapped in moved.mapped.values() if hasattr(mmap, "MADV_DONTNEED") else ():
            mapped.madvise(mmap.MADV_DONTNEED)  # of a file that is shared: it keeps what they hold


class _Moved:
    """The large arrays that an object and all within it refers to, moved to one file."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._seen: dict[int, Any] = {}  # what was looked into, kept so that no id comes again
        self._owners: dict[int, Array] = {}  # arrays that have memory of their own
        self._places: dict[int, int] = {}  # in the file
        self._file: mmap.mmap | None = None
        self.mapped: dict[int, mmap.mmap] = {}  # the files that there are

    # ------------------------------------------------------------------------------ looking

    def look_into(self, value: Any) -> None:
        """Find the arrays within."""
        if isinstance(value, np.ndarray):
            owner = _owner_of(value)
            if isinstance(owner.base, mmap.mmap):
                self.mapped[id(owner.base)] = owner.base
            elif owner.base is None and owner.nbytes >= LARGE:
                self._owners[id(owner)] = owner
        elif id(value) not in self._seen and (inner := _inner_of(value)) is not None:
            self._seen[id(value)] = value
            for each in inner:
                self.look_into(each)

    # ------------------------------------------------------------------------------- moving

    def write(self) -> None:
        """Write the arrays to a file of their own."""
        if not self._owners:
            return
        size = 0
        for key, owner in self._owners.items():
            # Kernels count on how some begin: at a multiple of 64 bytes.
            begin = owner.ctypes.data % mmap.PAGESIZE
            self._places[key] = size + begin
            size += -(-(begin + owner.nbytes) // mmap.PAGESIZE) * mmap.PAGESIZE
        with tempfile.TemporaryFile(dir=self._folder, prefix=".kmeans-fast-") as file:
            try:  # a full disk is an error now, where the system can tell, and no signal later
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(file.fileno(), 0, size)
                else:
                    file.truncate(size)
            except OSError as error:
                raise OSError(f"{self._folder}: {error}; make room for {size} bytes") from error
            self._file = mmap.mmap(file.fileno(), size)
        self.mapped[id(self._file)] = self._file
        for key, owner in self._owners.items():
            np.copyto(self._at(key, owner, owner), owner)

    def _at(self, key: int, owner: Array, view: Array) -> Array:
        """Return the place of a view of an array in the file."""
        offset = view.ctypes.data - owner.ctypes.data + self._places[key]
        return np.ndarray(view.shape, view.dtype, self._file, offset, view.strides)

    def replace(self) -> None:
        """Let all that was looked into refer to the file."""
        for value in list(self._seen.values()):
            if isinstance(value, list):
                value[:] = [self._moved(each) for each in value]
            elif not isinstance(value, tuple):
                named = vars(value)
                for name, each in list(named.items()):
                    if (new := self._moved(each)) is not each:
                        named[name] = new

    def _moved(self, value: Any) -> Any:
        if isinstance(value, np.ndarray):
            owner = _owner_of(value)
            if id(owner) not in self._owners:
                return value
            new = self._at(id(owner), owner, value)
            new.flags.writeable = value.flags.writeable
            return new
        if isinstance(value, tuple) and id(value) in self._seen:
            moved = [self._moved(each) for each in value]
            if any(new is not each for new, each in zip(moved, value, strict=True)):
                kind: Any = type(value)
                return kind(*moved) if hasattr(kind, "_fields") else tuple(moved)
        return value


def _owner_of(array: Array) -> Array:
    """Return the array that has the memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _inner_of(value: Any) -> list[Any] | None:
    """Return what an object refers to; None where that is no array, nor has one."""
    if isinstance(value, list | tuple):
        some = value[0] if value else None
        plain = isinstance(some, tuple) and type(some) is tuple  # spans: there are many
        return None if plain or some is None else list(value)
    if isinstance(value, Threads | Facts) or not type(value).__module__.startswith("kmeans_fast."):
        return None
    with contextlib.suppress(TypeError):
        return list(vars(value).values())
    return None

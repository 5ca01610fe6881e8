"""Builds the packs of ready kernels: ``python -m kmeans_fast.kernels._build``.

The kinds in `kinds.txt` are lowered by Numba to LLVM's code, which says nothing of the processor
yet, once; then optimised and compiled for each level. Only kernels that choose the width of their
vectors themselves (`_target.has_wide_vectors`) are lowered for each level, in processes of its own.
"""

from __future__ import annotations

import gc
import os
import shutil
import sys
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from . import _pack, _target
from ._kinds import read_kinds, ready_kind
from ._pack import Ready

WIDE = {"dense", "dense_regions"}  # files of kernels whose vectors are as wide as the processor's


def build(folder: Path, kinds: list[str], levels: tuple[str, ...]) -> None:
    """Compile the kinds for each level, on all cores, and write the packs to a folder."""
    n_workers = max(1, (os.cpu_count() or 1) // len(levels))
    todo: list[Future[list[Ready]]] = []
    found: list[Ready] = []
    with ExitStack() as stack:
        pools = {
            level: stack.enter_context(
                ProcessPoolExecutor(n_workers, get_context("spawn"), _target.build_for, (level,))
            )
            for level in levels
        }
        wide = [kind for kind in kinds if kind.split(".")[0] in WIDE]
        todo += [pools[level].submit(compile_kinds, wide, (level,)) for level in levels]
        for n, kind in enumerate(each for each in kinds if each not in wide):
            todo.append(pools[levels[n % len(levels)]].submit(compile_kinds, [kind], levels))
        try:
            for future in as_completed(todo):
                found += future.result()
        finally:
            for future in todo:
                future.cancel()
    folder.mkdir(parents=True, exist_ok=True)
    for level in levels:
        some_ready = [each for each in found if each.level == level]
        _pack.write(folder / f"{level}.pack", level, some_ready)


def compile_kinds(kinds: list[str], levels: tuple[str, ...]) -> list[Ready]:
    """Compile kinds of arguments for some levels, in a process of its own."""
    compiler = _compiler()
    return [ready for kind in kinds for ready in compiler.compile(kind, levels)]


@cache
def _compiler() -> Any:
    from ._compiler import Compiler

    gc.set_threshold(100_000, 50, 100)  # Numba's trees are many, and go when all is done: a tenth
    return Compiler(_target.levels_to_build())


def main(arguments: list[str]) -> None:
    """Build the packs of this architecture, or copy those of an editable install.

    Nothing is done where they are there already, and of these kernels.
    """
    here = Path(__file__).parent / "ready"
    folder = Path(*arguments) if arguments else here
    kinds = sorted({ready_kind(kind) for kind in read_kinds()})
    levels = _target.levels_to_build()
    for source in (folder, here):
        if all(_pack.holds(source / f"{level}.pack", level, kinds) for level in levels):
            if source != folder:
                shutil.copytree(source, folder, dirs_exist_ok=True)
            return
    build(folder, kinds, levels)


if __name__ == "__main__":
    main(sys.argv[1:])

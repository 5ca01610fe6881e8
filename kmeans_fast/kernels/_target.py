"""The processor that machine code is for, by the levels that are common to many."""

from __future__ import annotations

import os
import platform
from functools import cache

BASE = "generic"  # what all of an architecture have
_V3 = {"avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe"}
_V4 = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
# The best first, and what each needs.
LEVELS: dict[str, set[str]] = {"x86-64-v4": _V3 | _V4, "x86-64-v3": _V3, BASE: set()}

_building_for: str | None = None


def build_for(name: str) -> None:
    """Go by another level than this processor's, in a process that runs no kernels."""
    global _building_for
    _building_for = name


def levels_to_build() -> tuple[str, ...]:
    """Return the levels that there are packs for, on this architecture."""
    on_x86 = platform.machine().lower() in ("x86_64", "amd64")
    return ("x86-64-v4", "x86-64-v3") if on_x86 else (BASE,)


def level() -> str:
    """Return the level to go by."""
    return _building_for or _level_here()


@cache
def _level_here() -> str:
    """Return the best level that this processor has, or the lower one that the environment names.

    ``KMEANS_FAST_PACK`` may name one, and so may ``NUMBA_CPU_NAME``, which is Numba's.
    """
    from llvmlite import binding

    try:
        features = binding.get_host_cpu_features()
    except RuntimeError:  # some systems do not tell
        features = {}
    has = {name for name, is_there in features.items() if is_there}
    here = [name for name, needs in LEVELS.items() if has.issuperset(needs)]
    wanted = (os.environ.get(name) for name in ("KMEANS_FAST_PACK", "NUMBA_CPU_NAME"))
    return next((name for name in wanted if name in here), here[0])


def has_wide_vectors() -> bool:
    """Say whether 64 bytes fit in a register."""
    return level() == "x86-64-v4"

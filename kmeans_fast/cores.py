"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Return how many cores this process may use, by its affinity and its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        n = len(os.sched_getaffinity(0))
    else:
        n = os.cpu_count() or 1
    return max(1, math.ceil(min(n, read_quota(CGROUPS))))


@cache
def read_quota(folder: Path) -> float:
    """Return how many cores' time a control group grants (Linux; versions 2 and 1), or infinity."""
    version1 = folder / "cpu"
    for files in (
        [folder / "cpu.max"],
        [version1 / "cpu.cfs_quota_us", version1 / "cpu.cfs_period_us"],
    ):
        try:
            quota, period = " ".join(each.read_text() for each in files).split()
            if float(quota) > 0:  # -1, and "max" of version 2: none
                return float(quota) / float(period)
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return math.inf

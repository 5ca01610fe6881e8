"""Whether a fit finds the memory that it needs, before it begins."""

from __future__ import annotations

from pathlib import Path

# Less than this is not looked for: it costs 50 us, and a fit of so much takes 100 ms.
LARGE = 2**28
_GROUPS = (  # of a container: its limit, and what it holds (control groups, version 2 and 1)
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
    ),
)


def find_free() -> int | None:
    """Return the bytes that can be had, swap included; None where that is not known (not Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if " kB" in line}
        free = sizes["MemAvailable"] + sizes.get("SwapFree", 0)
    except (OSError, ValueError, KeyError, IndexError):
        return None
    for limit, held in _GROUPS:
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(held).read_text()))
        except (OSError, ValueError):  # no such group, or no limit ("max")
            continue
    return free


def check(need: int, remedy: str) -> None:
    """Raise where a fit that needs so many bytes will not find them."""
    if need < LARGE:
        return
    free = find_free()
    if free is not None and need > free:
        raise MemoryError(
            f"about {need / 1e9:.2g} GB are needed beside the data, {max(free, 0) / 1e9:.2g} GB "
            f"are free; {remedy}"
        )

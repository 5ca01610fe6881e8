"""Whether a fit finds the memory that it needs, before it begins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

# Less than this is not looked for: it costs 50 us, and a fit of so much takes 100 ms.
LARGE = 2**28
_MACHINE = Path("/proc/meminfo")
_OWN_GROUPS = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
# Of a control group, by version: where they are, the files of its limit and of what it holds, and
# what of that the kernel gives back before it refuses anything (pages of files that nobody has
# touched of late, its own caches), as `memory.stat` calls it.
_VERSION_1 = ("memory", "memory.limit_in_bytes", "memory.usage_in_bytes", ("total_inactive_file",))
_VERSION_2 = ("", "memory.max", "memory.current", ("inactive_file", "slab_reclaimable"))


def find_free() -> int | None:
    """Return the bytes that can be had, swap included; None where that is not known (not Linux)."""
    try:
        lines = _MACHINE.read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if " kB" in line}
        free = sizes["MemAvailable"] + sizes.get("SwapFree", 0)
    except (OSError, ValueError, KeyError, IndexError):
        return None
    return min([free, *_free_in_groups()])


def _free_in_groups() -> Iterator[int]:
    """Yield what each of the groups that this process is in leaves it: containers, services."""
    for line in (_read(_OWN_GROUPS) or "0::/\n0:memory:/").splitlines():
        _, kinds, own = line.split(":", 2)
        if kinds not in ("", "memory"):  # version 2 has no kinds
            continue
        place, limit, held, spare = _VERSION_1 if kinds else _VERSION_2
        group = _GROUPS / place / own.lstrip("/")
        # A limit holds for all groups within. In a container the first may be its own, and the
        # path that of the machine, where nothing is.
        for folder in (group, *group.parents):
            if not folder.is_relative_to(_GROUPS / place):
                break
            try:
                most, used = int(_read(folder / limit)), int(_read(folder / held))
            except ValueError:  # no such group, or no limit ("max")
                continue
            stat = dict(line.split() for line in _read(folder / "memory.stat").splitlines())
            yield most - max(used - sum(int(stat.get(name, 0)) for name in spare), 0)


def _read(path: Path) -> str:
    """Return what the system says there, nothing where it says nothing."""
    try:
        return path.read_text()
    except OSError:
        return ""


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

"""Files of figures: what they were measured on, how they are written, and how they are read."""

from __future__ import annotations

import json
import os
import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from kmeans_fast import __version__
from kmeans_fast.threads import default_threads

from . import peers
from .measure import ROOT, Setting

# The record: what the README's tables are made from (`python -m bench report`).
RESULTS = ROOT / "bench" / "results"
FORMAT = 1  # of all files; another one is not read

Record = dict[str, Any]


def machine() -> dict[str, Any]:
    """Return what it is measured on."""
    memory = None
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        memory = round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "CPU": _cpu(),
        "cores": os.cpu_count(),
        "threads": default_threads(),
        "memory, GiB": memory,
        "system": f"{platform.system()} {platform.machine()}",
    }


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def versions(setting: Setting) -> dict[str, str]:
    """Return the version of everything that takes part."""
    found = {"kmeans_fast": __version__, "Python": platform.python_version()}
    found |= {name: metadata.version(name) for name in ("numpy", "numba", "pillow")}
    return found | {peers.NAMES[name]: peers.version(name) for name in setting.peers}


def describe(setting: Setting, absent: dict[str, str], picture: str | None) -> Record:
    """Return what a run was made with."""
    return {
        "machine": machine(),
        "versions": versions(setting),
        "picture": Path(picture).name if picture else "made in code",
        "rounds": setting.rounds,
        "quick": setting.quick,
        "scale": setting.scale,
        "peers left out": {peers.NAMES.get(name, name): why for name, why in absent.items()},
    }


def about(run: Record) -> str:
    """Return in one line what a run was made with, and when."""
    parts = [run["machine"]["date"]]
    parts += [f"{name} {value}" for name, value in run["machine"].items() if name != "date"]
    parts += [f"{name} {value}" for name, value in run["versions"].items()]
    return "; ".join(parts)


class RecordError(Exception):
    """A file of figures that cannot be used; the message says why, and what helps."""


def save(path: Path, record: Record) -> None:
    """Write a file of figures; where that cannot be, stop and say so."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT} | record, indent=1) + "\n")
    except OSError as error:
        raise SystemExit(f"{path} cannot be written ({error}); give another --out") from None


def load(path: Path) -> Record:
    """Read a file of figures; raise `RecordError` if it cannot be, or is of another format."""
    again = "measure again, or name another file"
    try:
        record = json.loads(path.read_text())
    except OSError as error:
        raise RecordError(f"{path} cannot be read ({error}); {again}") from None
    except ValueError:
        raise RecordError(f"{path} is no JSON; {again}") from None
    found = record.get("format") if isinstance(record, dict) else None
    if found != FORMAT:
        raise RecordError(f"{path} is of format {found}, not {FORMAT}; {again}")
    return record


def number(value: float) -> str:
    """Return three digits, or all the digits of a thousand and more.

    Examples
    --------
    >>> number(0.98765), number(12.0), number(81234.5)
    ('0.988', '12', '81,234')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"

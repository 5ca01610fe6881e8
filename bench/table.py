"""Measure every figure the library has to reach: ``python -m bench.table``.

Everything is timed side by side in one run: same pixels, same start, same iterations, labels
included; answers are checked before anything is timed. Prints a Markdown table and can write all
the figures as JSON. A full run, with peers that take a minute a fit, takes half an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from kmeans_fast import __version__
from kmeans_fast.threads import default_threads

from . import peers, pictures
from .measure import Row, Setting, progress
from .rows import ROWS


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


def as_markdown(rows: list[Row]) -> str:
    """Return the table."""
    lines = ["| work | measured | spread | floor | reached |", "|---|---|---|---|---|"]
    for row in rows:
        low, high = number(min(row.values)), number(max(row.values))
        floor = ("at most " if row.at_most else "at least ") + number(row.floor)
        lines.append(
            f"| {row.work} | {number(row.value)} {row.unit} | {low} to {high} "
            f"| {floor} | {'yes' if row.reached else 'NO'} |"
        )
    return "\n".join(lines)


def number(value: float) -> str:
    """Return three digits, or all the digits of a thousand and more.

    Examples
    --------
    >>> number(0.98765), number(12.0), number(81234.5)
    ('0.988', '12', '81,234')
    """
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def as_json(rows: list[Row], about: dict[str, Any]) -> str:
    """Return all that was measured."""
    table = [vars(row) | {"value": row.value, "reached": row.reached} for row in rows]
    return json.dumps(about | {"rows": table}, indent=2) + "\n"


def describe(options: argparse.Namespace, setting: Setting, absent: dict[str, str]) -> dict:
    """Return what a run was made with."""
    return {
        "machine": machine(),
        "versions": versions(setting),
        "picture": Path(options.image).name if options.image else "made in code",
        "rounds": options.rounds,
        "quick": options.quick,
        "scale": options.scale,
        "peers left out": {peers.NAMES[name]: why for name, why in absent.items()},
    }


def main() -> int:
    """Measure, print, write; return 1 if a floor is not reached."""
    parser = argparse.ArgumentParser(prog="python -m bench.table", description=__doc__)
    parser.add_argument("--image", help="a photograph to use instead of one made in code")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    parser.add_argument("--rows", default=",".join(ROWS), help="which rows (default: %(default)s)")
    parser.add_argument("--peers", default=",".join(peers.PEERS), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each row (default: 3)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="run once: peers over 20 s, and compiling",
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of all sizes: 0.01 to try the script"
    )
    options = parser.parse_args()
    wanted, chosen = options.rows.split(","), options.peers.split(",")
    for name, given, known in (("--rows", wanted, ROWS), ("--peers", chosen, peers.PEERS)):
        if unknown := set(given) - set(known) - {""}:
            parser.error(f"{name}: {', '.join(unknown)} is none of {', '.join(known)}")

    here, absent = peers.present(chosen)
    image = pictures.load(options.image) if options.image else None
    setting = Setting(here, image, options.rounds, options.quick, options.scale)
    about = describe(options, setting, absent)
    rows: list[Row] = []
    if options.out:
        options.out.write_text(as_json(rows, about))  # if it cannot be written, say so now
    for name in wanted:
        progress(f"{name}: {(ROWS[name].__doc__ or '').splitlines()[0]}")
        rows += ROWS[name](setting)
        if options.out:  # after each row, so that a long run that is stopped leaves what it has
            options.out.write_text(as_json(rows, about))

    if options.scale != 1:
        print(f"All sizes times {options.scale:g}: this is a trial of the script, not the table.")
    print(as_markdown(rows), end="\n\n")
    print("; ".join(f"{name} {value}" for name, value in about["machine"].items()))
    print("; ".join(f"{name} {value}" for name, value in about["versions"].items()))
    print(f"Picture: {about['picture']}. Peers run: {', '.join(map(peers.NAMES.get, here))}.")
    for name, why in about["peers left out"].items():
        print(f"Left out: {name}, {why}.")
    return 0 if all(row.reached for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())

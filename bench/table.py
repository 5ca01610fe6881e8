"""Measure every figure that a fit of a picture has to reach: ``python -m bench table``.

Everything is timed side by side in one run: same pixels, same start, same iterations, labels
included; answers are checked before anything is timed. Prints a Markdown table and writes all the
figures as JSON. A full run, with peers that take a minute a fit, takes half an hour.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from . import peers, records
from .measure import Row, Setting, peers_of, picture_of, progress
from .records import Record, number
from .rows import ROWS

PEERS = ("sklearn", "sklearnex", "faiss", "opencv")


def as_markdown(record: Record) -> str:
    """Return the table, and what it was measured on."""
    lines = ["| work | measured | spread | floor | reached |", "|---|---|---|---|---|"]
    for row in record["rows"]:
        low, high = number(min(row["values"])), number(max(row["values"]))
        floor = ("at most " if row["at_most"] else "at least ") + number(row["floor"])
        lines.append(
            f"| {row['work']} | {number(row['value'])} {row['unit']} | {low} to {high} "
            f"| {floor} | {'yes' if row['reached'] else 'NO'} |"
        )
    return (
        "\n".join(lines) + f"\n\nMeasured by `python -m bench table` ({records.about(record)}), "
        f"side by side in one run; picture: {record['picture']}. *Floor* is what we hold "
        "ourselves to; the rows that we miss stay in."
    )


def record_of(rows: list[Row], run: Record) -> Record:
    """Return all that was measured."""
    table = [vars(row) | {"value": row.value, "reached": row.reached} for row in rows]
    return run | {"rows": table}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write; return 1 if a floor is not reached."""
    parser = argparse.ArgumentParser(prog="python -m bench table", description=__doc__)
    parser.add_argument("--image", help="a photograph to use instead of one made in code")
    parser.add_argument("--out", type=Path, help="default: bench/results/table.json")
    parser.add_argument("--rows", default=",".join(ROWS), help="which rows (default: %(default)s)")
    parser.add_argument("--peers", default=",".join(PEERS), help="default: %(default)s")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of each row (default: 3)")
    parser.add_argument(
        "--quick",
        action="store_true",
        help="run once: peers over 20 s, and compiling",
    )
    parser.add_argument(
        "--scale", type=float, default=1.0, help="of all sizes: 0.01 to try the script"
    )
    options = parser.parse_args(arguments)
    wanted = [name for name in options.rows.split(",") if name]
    if unknown := set(wanted) - set(ROWS):
        parser.error(f"--rows: {', '.join(sorted(unknown))} is none of {', '.join(ROWS)}")
    path = options.out
    if path is None and options.scale == 1 and wanted == list(ROWS):
        path = records.RESULTS / "table.json"

    here, absent = peers_of(options.peers)
    image = picture_of(options.image)
    setting = Setting(here, image, options.rounds, options.quick, options.scale)
    run = records.describe(setting, absent, None if image is None else options.image)
    rows: list[Row] = []
    if path:
        records.save(path, record_of(rows, run))  # if it cannot be written, say so now
    for name in wanted:
        progress(f"{name}: {(ROWS[name].__doc__ or '').splitlines()[0]}")
        rows += ROWS[name](setting)
        if path:  # after each row, so that a long run that is stopped leaves what it has
            records.save(path, record_of(rows, run))

    if options.scale != 1:
        print(f"All sizes times {options.scale:g}: this is a trial of the script, not the table.")
    print(as_markdown(record_of(rows, run)))
    print(f"\nPeers run: {', '.join(peers.NAMES[name] for name in here)}.")
    for name, why in run["peers left out"].items():
        print(f"Left out: {name}, {why}.")
    return 0 if all(row.reached for row in rows) else 1

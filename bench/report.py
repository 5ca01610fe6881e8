"""Write the pages' tables from what was measured: ``python -m bench report``.

Each table stands between two markers, ``<!-- name -->`` and ``<!-- /name -->``, and comes from a
file in ``bench/results``. A file that cannot be used is named, and its table stays as it is.
With ``--megapixels`` or ``--cores`` it answers instead how long a fit of that size will take.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from kmeans_fast.threads import default_threads

from . import cluster, compare, grid, model, records, table, tiles
from .measure import ROOT, progress
from .records import Record, RecordError, number

Tables = dict[str, tuple[str, Callable[[Record], str]]]

# Marker: the file, and what makes its table.
TABLES: Tables = {
    "table": ("table.json", table.as_markdown),
    "dense": ("grid.json", grid.as_markdown),
    "profile": ("profile.json", model.summary),
    "peers": ("peers.json", compare.as_markdown),
    "tiles": ("tiles.json", tiles.as_markdown),
}
# The same for each page.
PAGES = {"README.md": TABLES, "docs/planning.md": {"plan": ("cluster.json", cluster.as_markdown)}}


def between(marker: str, text: str) -> tuple[str, str, str]:
    """Return what stands before, between and behind the markers."""
    opening, closing = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
    head, found, rest = text.partition(opening)
    inside, closed, tail = rest.partition(closing)
    if not found or not closed:
        raise RecordError(f"the page has no {opening.strip()} and {closing} to write between")
    return head + opening, inside, closing + tail


def outdated(page: str, folder: Path, tables: Tables = TABLES) -> tuple[str, list[str]]:
    """Return a page with its tables brought up to date, and what could not be."""
    problems = []
    for marker, (name, as_markdown) in tables.items():
        try:
            head, _, tail = between(marker, page)
            page = f"{head}{as_markdown(records.load(folder / name))}\n{tail}"
        except RecordError as error:
            problems.append(str(error))
    return page, problems


def answer(profile: Record, megapixels: float, n_cores: int) -> str:
    """Return how long a fit takes, and where the time goes."""
    found = model.predict(profile, megapixels, n_cores)
    if found is None:
        raise RecordError("too little was measured: run `python -m bench profile`")
    total = sum(found.values())
    lines = [
        f"{number(megapixels)} megapixels, K = 16, k-means++, ten iterations and labels, on "
        f"{n_cores} cores: {number(total)} ms"
    ]
    lines += [
        f"  {stage:8} {number(taken):>6} ms  {taken / total:4.0%}" for stage, taken in found.items()
    ]
    measured = max(point["threads"] for point in model.points_of(profile, "cores"))
    if n_cores > measured:
        lines.append(
            f"beyond the {measured} threads measured: the memory's speed, which cores share, is "
            "not in it"
        )
    lines.append(f"from what was measured on: {records.about(profile['runs']['sizes'])}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Write, or answer; return 1 if something could not be used."""
    parser = argparse.ArgumentParser(
        prog="python -m bench report",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=records.RESULTS, help="a folder of figures")
    parser.add_argument(
        "--megapixels", type=float, help="how long will a picture of this size take"
    )
    parser.add_argument("--cores", type=int, help="on so many cores (default: all here)")
    options = parser.parse_args(arguments)
    if options.megapixels is not None or options.cores is not None:
        size, cores = options.megapixels or 24.0, options.cores or default_threads()
        if size <= 0 or cores < 1:
            parser.error("give --megapixels above 0, and --cores of 1 or more")
        try:
            print(answer(records.load(options.results / "profile.json"), size, cores))
        except RecordError as error:
            print(error, file=sys.stderr)
            return 1
        return 0
    problems: list[str] = []
    for name, tables in PAGES.items():
        page = ROOT / name
        text, left = outdated(page.read_text(), options.results, tables)
        page.write_text(text)
        problems += left
        for marker, (file, _) in tables.items():
            progress(f"{name}, {marker}: {file}")
    for problem in problems:
        progress(f"left as it is: {problem}")
    try:
        print(model.aims(records.load(options.results / "profile.json")))
    except RecordError:
        pass  # said above
    return 1 if problems else 0

"""``python -m bench``: the commands that measure, and the one that writes the pages' tables."""

from __future__ import annotations

import importlib
import sys

# Name: the module, whose ``main(arguments)`` returns the exit code, and what it does.
COMMANDS = {
    "profile": "how the time of a fit grows with pixels, K and cores, and where it goes",
    "front": "the README's chart and table: a palette of a picture, as people make them",
    "peers": "speed, memory and palettes beside what people use today",
    "palettes": "how near palettes come to the least error, beside others; and how they dither",
    "table": "every figure that a fit of a picture has to reach",
    "grid": "the dense engine over dimensions and clusters, beside its peers",
    "tiles": "pictures larger than memory, counted and labelled tile by tile",
    "cluster": "what Dask costs, and the plan for a fit of 10^12 pixels",
    "report": "the pages' tables and the chart from what was measured; and answers from it",
}
USAGE = "\n".join(
    ["usage: python -m bench COMMAND [options]; COMMAND --help says more", ""]
    + [f"  {name:8} {what}" for name, what in COMMANDS.items()]
    + ["", "`pytest --benchmark-only` runs the short benchmarks. bench/README.md has it all."]
)


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if given[0] not in COMMANDS:
        print(f"{given[0]!r} is none of {', '.join(COMMANDS)}\n{USAGE}", file=sys.stderr)
        return 2
    try:
        return int(importlib.import_module(f"bench.{given[0]}").main(given[1:]))
    except KeyboardInterrupt:
        print("stopped; what was measured before is kept", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())

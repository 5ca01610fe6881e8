"""The rooms of the package: imports only run down, and never in a circle."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import kmeans_fast

PACKAGE = Path(kmeans_fast.__file__).parent
# From the ground up: what stands in a line imports what stands in a line above it, or, in one
# folder, each other without a circle.
ROOMS = """
_version reference cores memory spaces
swatches threads
kernels
checks
point_set
lloyd seeding exact
pinned
runs refining
pictures
arrays
layouts
masking
gathering
colors
dense
data
result
fitting
api
dithering visible scenes
choosing
painting
palettes page
still
_explored
exploring
_estimated
info sklearn
cli
""".strip().splitlines()
FLOORS = {room: floor for floor, rooms in enumerate(ROOMS) for room in rooms.split()}
MOST_LINES = 400


def module_of(path: Path) -> str:
    """Return the name of a file within the package: `dense.tree`."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
FACES = {"__init__", "__main__"}  # which hand names on


def imports_of(module: str) -> set[str]:
    """Return the files that one imports, late imports too, but not for type checkers."""
    path = FILES[module]
    tree = ast.parse(path.read_text())
    unseen = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    parts = path.relative_to(PACKAGE).parts[:-1]
    found = set()
    for node in ast.walk(tree):
        if id(node) in unseen or not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            names = [name.removeprefix("kmeans_fast.") for name in names if "kmeans_fast" in name]
        elif node.level or (node.module or "").split(".")[0] == "kmeans_fast":
            above = parts[: len(parts) - node.level + 1] if node.level else ()
            base = ".".join([*above, *(node.module or "").split(".")]).strip(".")
            base = base.removeprefix("kmeans_fast").strip(".")
            inner = [f"{base}.{alias.name}".strip(".") for alias in node.names]
            names = [name if name in FILES else base for name in inner]
        else:
            continue
        found |= {name or "__init__" for name in names if (name or "__init__") in FILES}
    return found - {module}


@pytest.mark.parametrize("module", sorted(FILES.keys() - FACES))
def test_imports_only_run_down(module):
    room = module.split(".")[0]
    for other in imports_of(module):
        below = other.split(".")[0]
        assert below not in FACES, f"{module} imports the package's face"
        if below != room and other != room:
            assert FLOORS[below] < FLOORS[room], f"{module} imports {other}, which stands above it"


def test_no_files_import_each_other_in_a_circle():
    above = {module: imports_of(module) for module in FILES.keys() - FACES}
    while free := [module for module, needs in above.items() if not needs & above.keys()]:
        for module in free:
            del above[module]
    assert not above, f"in or above a circle: {sorted(above)}"


@pytest.mark.parametrize("module", sorted(FILES))
def test_a_file_can_be_read_in_one_go(module):
    n_lines = len(FILES[module].read_text().splitlines())
    assert n_lines <= MOST_LINES, f"{module} has {n_lines} lines; has it one subject?"

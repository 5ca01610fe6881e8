"""The pages: their code runs and is ready, their commands work, their links lead somewhere."""

from __future__ import annotations

import io
import re
import shlex
import shutil
from contextlib import redirect_stdout
from pathlib import Path

import pytest
from PIL import Image

from kmeans_fast.cli import main
from kmeans_fast.kernels._kinds import read_kinds, ready_kind

from .kinds import recording
from .pictures import photograph

ROOT = Path(__file__).parent.parent
DOCS = sorted(ROOT.glob("docs/*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *DOCS]
FENCE = re.compile(r"^(`{3,})(\S*)[^\n]*\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
# What a block may be: code that runs here, what `sphinx` makes, or what is no code of ours.
RUN = {"python", "sh", "{code-cell}"}
NOT_RUN = {"", "console", "yaml", "text", "{toctree}", "{eval-rst}", "{include}", "{code-block}"}


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, kind: str) -> list[str]:
    """Return the blocks of a page of one kind."""
    return [text for _, name, text in FENCE.findall(page.read_text("utf-8")) if name == kind]


def cells(page: Path) -> list[str]:
    """Return the code that a page runs, without its tags."""
    return [re.sub(r"\A:.*\n", "", text) for text in blocks(page, "{code-cell}")]


@pytest.fixture
def site(folder):
    """Work where the pages' pictures are."""
    shutil.copy(ROOT / "docs" / "astronaut.png", folder)
    return folder


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_block_is_of_a_kind_that_is_tried(page):
    kinds = {name for _, name, _ in FENCE.findall(page.read_text("utf-8"))}
    assert kinds <= RUN | NOT_RUN
    for block in blocks(page, "python"):
        assert page.name == "README.md" and block.startswith(">>>"), "a doctest, or a code-cell"


@pytest.mark.parametrize("page", [page for page in DOCS if cells(page)], ids=name_of)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of what others import
def test_the_code_of_a_page_runs_and_its_kernels_are_ready(page, site):
    names: dict[str, object] = {"__name__": "__main__"}
    with recording() as kinds, redirect_stdout(io.StringIO()):
        for cell in cells(page):
            exec(compile(cell, name_of(page), "exec"), names)
    assert {ready_kind(kind) for kind in kinds} <= {ready_kind(kind) for kind in read_kinds()}


def commands() -> list[tuple[str, str]]:
    """Return each command line of ours that stands in a page, and where."""
    return [
        (name_of(page), line.partition("  #")[0])
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith("kmeans-fast ")
    ]


@pytest.mark.parametrize(("page", "line"), commands())
def test_a_command_of_a_page_does_what_it_says(page, line, folder, capsys):
    picture = photograph()[:64, :64]
    for name in ("photo.jpg", "other.jpg", "scan.tif", "scene.tif"):
        Image.fromarray(picture).save(name)
    for name in ("folder", "holidays"):
        Path(name).mkdir()
    arguments = []
    for word in shlex.split(line)[1:]:
        arguments += sorted(map(str, folder.glob(word))) if "*" in word else [word]
    assert main(arguments) == 0
    if "-o" in arguments:
        written = Path(arguments[arguments.index("-o") + 1])
        assert len(list(written.iterdir())) == 2 if written.is_dir() else written.stat().st_size
    if "palette" in arguments:
        assert "#" in capsys.readouterr().out


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_what_is_there(page):
    text = FENCE.sub("", page.read_text("utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(
        r'(?:src|srcset)="([^"]+)"', text
    ):
        assert not link.startswith("http"), f"{link}: is it kept, and by whom?"
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        # The notebook is copied to the pages from the examples.
        target = ROOT / "examples" / target.name if target.suffix == ".ipynb" else target
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.*)", target.read_text("utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
            assert anchor in slugs, link


def test_every_page_is_in_the_table_of_contents():
    listed = {
        line.strip().partition("<")[2].rstrip(">") or line.strip()
        for block in blocks(ROOT / "docs" / "index.md", "{toctree}")
        for line in block.splitlines()
        if line and not line.startswith(":")
    }
    assert listed == {page.stem for page in DOCS} - {"index"} | {"basic_kmeans"}

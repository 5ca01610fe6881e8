"""What is published with the code says what the code does, and pretends nothing."""

import ast
from pathlib import Path

import pytest

import kmeans_fast as kf

from .test_bounds import project  # noqa: F401

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "kmeans_fast").rglob("*.py"))


@pytest.fixture(scope="module")
def citation():
    yaml = pytest.importorskip("yaml")  # which Dask brings along
    return yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))


def test_the_citation_is_of_this_version(citation, project):  # noqa: F811
    assert str(citation["version"]) == kf.__version__
    assert citation["title"] == project["name"]
    assert citation["abstract"] == project["description"]
    for name in ("license", "authors", "keywords"):
        assert citation[name] == project[name]


def test_what_the_citation_refers_to_is_what_the_code_does(citation):
    code = "".join(" ".join(path.read_text("utf-8").split()) for path in FILES).lower()
    for reference in citation["references"]:
        assert reference["authors"][0]["family-names"].lower() in code
        assert " ".join(reference["title"].lower().split()[-3:]) in code.replace("*", "")


def test_addresses_are_true_or_lead_nowhere(project):  # noqa: F811
    """A release needs true ones, or none."""
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    if f"## {kf.__version__}, not released yet" not in changes:
        for url in project.get("urls", {}).values():
            assert ".invalid" not in url, "where is the project's home?"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_errors_name_the_remedy_and_no_address(path):
    """Whoever reads a message may have no network, and the address may have moved."""
    tree = ast.parse(path.read_text("utf-8"))
    notes = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}  # docstrings
    for each in ast.walk(tree):
        if isinstance(each, ast.Constant) and isinstance(each.value, str) and id(each) not in notes:
            assert "://" not in each.value and "www." not in each.value

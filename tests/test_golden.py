"""The bits of twenty fits: the same from one version to the next, unless CHANGELOG.md says so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from . import golden

EXPECTED = json.loads(golden.PATH.read_text())


@pytest.fixture(scope="module")
def fits():
    return golden.fits()


def test_there_are_twenty(fits):
    assert list(fits) == list(EXPECTED)
    assert len(EXPECTED) == 20


@pytest.mark.parametrize("name", EXPECTED)
def test_a_fit_has_the_bits_that_are_promised(name, fits):
    assert golden.digest(fits[name]) == EXPECTED[name], (
        "results have changed: if that is meant, run `python -m tests.golden`, and say so in "
        "CHANGELOG.md"
    )


def test_tiles_are_the_whole(fits):
    assert (fits["RGB, by table"].centroids == fits["RGB, in tiles"].centroids).all()


def test_the_change_log_names_the_digest_of_the_file():
    log = (Path(__file__).parent.parent / "CHANGELOG.md").read_text()
    assert f"golden {golden.digest_of_file()}" in log

"""The bits of twenty fits: the same from one version to the next, unless CHANGELOG.md says so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from . import golden

ROOT = Path(__file__).parent.parent
EXPECTED = json.loads(golden.PATH.read_text())


@pytest.fixture(scope="module")
def fits():
    return {name: fit() for name, fit in golden.fits().items()}


def test_there_are_twenty(fits):
    assert list(fits) == list(EXPECTED)
    assert len(EXPECTED) == 20


@pytest.mark.parametrize("name", EXPECTED)
def test_a_fit_has_the_bits_that_are_promised(name, fits):
    assert golden.digest(fits[name]) == EXPECTED[name], (
        "results have changed: if that is meant, run `python -m tests.golden`, and say so in "
        "CHANGELOG.md"
    )


# What takes the plain Python of kernels some seconds at most.
QUICK = ["grey", "RGB, one cluster", "RGB, start given", "RGB, whole weights", "16 bits, grey",
         "floats, fractional weights", "floats, empty clusters"]  # fmt: skip
# One for each engine: what they compile takes most of the time.
ENGINES = ["RGB, by table", "RGB, fractional weights", "16 bits, RGB", "floats",
           "floats, few dimensions", "floats, fractional weights"]  # fmt: skip
CODE = {
    "the pack for AVX2": ({"KMEANS_FAST_PACK": "x86-64-v3"}, list(EXPECTED)),
    "Numba's, for this processor": ({"KMEANS_FAST_PACK": "0"}, ["RGB, by table", "floats"]),
    "Numba's, for any processor": (
        {"KMEANS_FAST_PACK": "0", "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
        ENGINES,
    ),
    "none: the JIT is off": ({"NUMBA_DISABLE_JIT": "1"}, QUICK),
}


@pytest.mark.parametrize(
    "code",
    [pytest.param(code, marks=pytest.mark.compiles) if "Numba" in code else code for code in CODE],
)
def test_other_machine_code_gives_the_same_bits(code):
    env, names = CODE[code]
    if "JIT" in code and np.__version__.startswith("1."):
        pytest.skip("NumPy 2 has the scalars of machine code")
    done = subprocess.run(
        [sys.executable, "-m", "tests.golden", *names],
        env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == {name: EXPECTED[name] for name in names}


def test_tiles_are_the_whole(fits):
    assert (fits["RGB, by table"].centroids == fits["RGB, in tiles"].centroids).all()


def test_the_change_log_names_the_digest_of_the_file():
    log = (ROOT / "CHANGELOG.md").read_text()
    assert f"golden {golden.digest_of_file()}" in log

"""What pyproject.toml asks for: its lower bounds are the pins of CI, its Pythons the README's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

try:
    import tomllib
except ImportError:  # Python 3.10, where pytest brings it along
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def bounds(project) -> dict[str, Version]:
    """Return the lower bound of each dependency, which all that name it agree on."""
    extras = project["optional-dependencies"].values()
    found: dict[str, Version] = {}
    for line in sum(extras, project["dependencies"]):
        requirement = Requirement(line)
        name = canonicalize_name(requirement.name)
        if name == canonicalize_name(project["name"]):
            continue
        (bound,) = requirement.specifier
        assert bound.operator == ">=", f"{line}: a lower bound and nothing else"
        assert found.setdefault(name, Version(bound.version)) == Version(bound.version), line
    return found


@pytest.fixture(scope="module")
def pins() -> dict[str, tuple[Version, str]]:
    """Return the version and the reason of each line of oldest.txt."""
    found = {}
    for line in (ROOT / "tests" / "oldest.txt").read_text("utf-8").splitlines():
        pin, _, reason = line.partition("#")
        if pin:
            name, version = pin.split("==")
            name = canonicalize_name(name)
            assert name not in found, f"{name} is pinned twice"
            found[name] = Version(version.strip()), reason.strip()
    return found


def test_each_lower_bound_is_pinned(bounds, pins):
    assert {name: pins[name][0] for name in pins if name in bounds} == bounds


def test_what_else_is_pinned_has_a_reason(bounds, pins):
    assert [name for name in pins if name not in bounds and not pins[name][1]] == []


def test_all_is_every_extra(project):
    extras = project["optional-dependencies"]
    (everything,) = map(Requirement, extras["all"])
    assert everything.extras == set(extras) - {"all"}


def test_the_readme_names_the_pythons_of_the_classifiers(project):
    prefix = "Programming Language :: Python :: 3."
    classifiers = project["classifiers"]
    minors = [int(line[len(prefix) :]) for line in classifiers if line.startswith(prefix)]
    assert minors == list(range(minors[0], minors[-1] + 1))
    assert project["requires-python"] == f">=3.{minors[0]}"
    readme = (ROOT / "README.md").read_text("utf-8")
    named = re.findall(r"CPython 3\.(\d+) to 3\.(\d+)", readme)
    assert named and set(named) == {(str(minors[0]), str(minors[-1]))}

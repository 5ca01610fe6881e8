"""What `pytest` runs when it is given no paths."""

from importlib import import_module

import numba
import pytest

# All of it, now: what is first imported while a test patches something would keep the patch.
for module in ("kmeans_fast.cli.commands", "kmeans_fast.page"):
    import_module(module)

# Tests that are small enough for kernels in plain Python, a hundred times slower than compiled.
# That takes NumPy 2: before, NumPy made float64 of uint64 and int64.
WITHOUT_JIT = [
    "kmeans_fast",
    "tests/test_bad_input.py",
    "tests/test_color_seeds.py",
    "tests/test_dense_draws.py",
    "tests/test_interop.py",
    "tests/test_palettes.py",
    "tests/test_reference.py",
    "tests/test_small.py",
    "tests/test_tiles.py",
]


def pytest_configure(config: pytest.Config) -> None:
    """Choose the benchmarks for `--benchmark-only`, and small tests where the JIT is off."""
    if config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    if getattr(config.option, "benchmark_only", False):
        config.args = [str(config.rootpath / "bench")]
    elif numba.config.DISABLE_JIT:
        config.args = [str(config.rootpath / path) for path in WITHOUT_JIT]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a browser, so that it can be left out."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker("browser")

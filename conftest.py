"""`pytest --benchmark-only` runs the benchmarks in `bench`; plain `pytest`, the tests."""

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Look for benchmarks where they are, unless paths are given."""
    if not getattr(config.option, "benchmark_only", False):
        return
    if config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        config.args = [str(config.rootpath / "bench")]

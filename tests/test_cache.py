"""The kernels' cache on disk: damaged, full or forbidden, it costs time and never a result."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from numba.core import caching

from kmeans_fast.kernels import _jit

SOURCE = """
from kmeans_fast.kernels._jit import jit

@jit
def add(a, b):
    return a + b
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that imports a module with a kernel, as a new process would."""
    monkeypatch.setattr(_jit._SoundCache, "warned", False)
    path = tmp_path / "kernels_here.py"
    path.write_text(SOURCE)

    def load():
        spec = importlib.util.spec_from_file_location("kernels_here", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.add

    return load


def hits(kernel):
    return sum(kernel.stats.cache_hits.values())


def files(kernel, suffix):
    return list(Path(kernel.stats.cache_path).glob(f"kernels_here*.{suffix}"))


def test_a_kernel_is_compiled_once_and_then_read(load):
    first = load()
    assert (first(1, 2), hits(first)) == (3, 0)
    again = load()
    assert (again(1, 2), hits(again)) == (3, 1)


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04"])
def test_damaged_files_are_compiled_anew_and_replaced(load, suffix, content):
    kernel = load()
    kernel(1, 2)
    for path in files(kernel, suffix):
        path.write_bytes(content)
    damaged = load()
    assert (damaged(1, 2), hits(damaged)) == (3, 0)
    mended = load()
    assert (mended(1, 2), hits(mended)) == (3, 1)


def test_a_full_disk_is_a_warning_once(load, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(caching.IndexDataCacheFile, "_save_data", full)
    kernel = load()
    with pytest.warns(RuntimeWarning, match="cannot be kept in .*No space left.*NUMBA_CACHE_DIR"):
        assert kernel(1, 2) == 3
    assert kernel(1.0, 2) == 3.0  # another kind to compile; no second warning, which would raise


def test_where_no_folder_can_be_written_kernels_compile_in_each_process(load, monkeypatch):
    # As in a read-only install without a home: Numba finds no place, and raises at decoration.
    monkeypatch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
    kernel = load()
    assert (kernel(1, 2), kernel.stats.cache_path) == (3, None)

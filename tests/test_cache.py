"""What Numba compiles is kept on disk: damaged, full or forbidden, it costs time and no result."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from numba.core import caching, codegen

import kmeans_fast
from kmeans_fast.kernels import _compiled, _pack, _target

SOURCE = """
from kmeans_fast.kernels._jit import jit

@jit
def add(a, b):
    return a + b
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that imports a module with a kernel, as a new process would."""
    monkeypatch.setattr(_compiled._Cache, "warned", False)
    path = tmp_path / "kernels_here.py"
    path.write_text(SOURCE)

    def load():
        spec = importlib.util.spec_from_file_location("kernels_here", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "kernels_here", module)  # where what is kept looks for it
        spec.loader.exec_module(module)
        return module.add

    return load


def hits(kernel):
    return sum(kernel.dispatcher.stats.cache_hits.values())


def files(kernel):
    return sorted(Path(kernel.dispatcher.stats.cache_path).glob("kernels_here*.kernel"))


def test_a_kernel_is_compiled_once_and_then_read(load):
    first = load()
    assert (first(1, 2), hits(first)) == (3, 0)
    again = load()
    assert (again(1, 2), hits(again), len(files(again))) == (3, 1, 1)


def flip(place):
    def damage(content):
        at = int(place * len(content))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return damage


@pytest.mark.parametrize(
    "damage",
    [lambda _: b"", lambda _: b"\x80\x04"] + [flip(at) for at in (0.01, 0.3, 0.5, 0.7, 0.9)],
)
def test_damaged_files_are_compiled_anew_and_replaced(load, damage):
    """Machine code that has changed would end the process."""
    kernel = load()
    kernel(1, 2)
    (path,) = files(kernel)
    path.write_bytes(damage(path.read_bytes()))
    damaged = load()
    assert (damaged(1, 2), hits(damaged)) == (3, 0)
    mended = load()
    assert (mended(1, 2), hits(mended)) == (3, 1)


def test_a_full_disk_is_a_warning_once(load, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    kernel = load()
    with pytest.warns(RuntimeWarning, match="cannot be kept in .*No space left.*NUMBA_CACHE_DIR"):
        assert kernel(1, 2) == 3
    assert kernel(1.0, 2) == 3.0  # another kind to compile; no second warning, which would raise


def test_where_no_folder_can_be_written_kernels_compile_in_each_process(
    load, monkeypatch, tmp_path
):
    # As in a read-only install without a home: Numba finds no place, and raises at decoration.
    with monkeypatch.context() as patch:
        patch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
        kernel = load()
        assert (kernel(1, 2), kernel.dispatcher.stats.cache_path) == (3, None)
    (tmp_path / "file").touch()  # a folder that cannot be made is passed over
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    kernel = load()
    assert kernel(1, 2) == 3
    assert Path(kernel.dispatcher.stats.cache_path) == tmp_path / "__pycache__"


@pytest.mark.parametrize("of", ["older kernels", "another processor", "another level"])
def test_machine_code_of_something_else_is_not_read(load, of, monkeypatch):
    """Kernels become part of each other, so all sources count; homes are shared by machines."""
    with monkeypatch.context() as patch:
        if of == "older kernels":
            patch.setattr(_pack, "digest_sources", lambda: "another")
        elif of == "another processor":
            patch.setattr(codegen.CPUCodegen, "magic_tuple", lambda self: ("x", "another", "+simd"))
        else:
            patch.setattr(_target, "_building_for", "another")
        load()(1, 2)
    kernel = load()
    assert (kernel(1, 2), hits(kernel)) == (3, 0)
    assert len(files(kernel)) == (1 if of == "older kernels" else 2)  # what is older goes
    again = load()
    assert (again(1, 2), hits(again)) == (3, 1)


# -------------------------------------------------------------------------------- whole processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_processes_that_compile_at_once_are_right_and_leave_a_sound_cache(load):
    context = multiprocessing.get_context("fork")
    ready, answers = context.Barrier(2, timeout=60), context.SimpleQueue()
    kinds = [(1, 2), (1.5, 2.5)]

    def work(kinds):
        kernel = load()
        ready.wait()
        answers.put([kernel(*kind) for kind in kinds])

    processes = [context.Process(target=work, args=(each,)) for each in (kinds, kinds[::-1])]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0  # warnings are errors there too
    assert sorted([answers.get(), answers.get()]) == [[3, 4.0], [4.0, 3]]
    kernel = load()
    assert ([kernel(*kind) for kind in kinds], hits(kernel)) == ([3, 4.0], 2)


FIT = """
import numpy as np
import kmeans_fast as kf

picture = np.arange(600, dtype=np.uint8).reshape(20, 10, 3)
print(kf.fit(picture, 3, init=np.arange(9.0).reshape(3, 3)).centroids.tolist())
kf.show_info()
print(kf.__file__)
"""


@pytest.mark.skipif(os.name == "nt", reason="folders of POSIX")
@pytest.mark.parametrize("pack", ["0", ""])
def test_a_read_only_install_without_a_home_fits_and_warns_of_nothing(tmp_path, pack):
    # Folders that cannot be made stand for those that cannot be written, for the sake of root.
    package = Path(kmeans_fast.__file__).parent
    copy = tmp_path / "kmeans_fast"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (copy, *(path.parent for path in copy.glob("*/__init__.py"))):
        (folder / "__pycache__").touch()
    hidden = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {"HOME": "/dev/null", "PYTHONPATH": str(tmp_path)}
    env |= {"NUMBA_OPT": "0", "KMEANS_FAST_PACK": pack}  # compiled, and fast at that
    done = subprocess.run(
        [sys.executable, "-c", FIT], cwd=tmp_path, env=env, text=True, capture_output=True
    )
    assert done.returncode == 0
    if pack == "0":
        assert done.stderr.count("\n") == 1 and "compiling kernels" in done.stderr
    elif kmeans_fast.kernels._pack.current() is not None:
        assert done.stderr == ""
    picture = np.arange(600, dtype=np.uint8).reshape(20, 10, 3)
    expected = kmeans_fast.fit(picture, 3, init=np.arange(9.0).reshape(3, 3))
    assert done.stdout.splitlines()[0] == str(expected.centroids.tolist())
    assert "is compiled in each process" in done.stdout and str(copy) in done.stdout

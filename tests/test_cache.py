"""The kernels' cache on disk: damaged, full or forbidden, it costs time and never a result."""

from __future__ import annotations

import ast
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
from kmeans_fast.kernels import _jit

KERNELS = Path(_jit.__file__).parent
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

    def load(source=SOURCE):
        if path.read_text() != source:
            path.write_text(source)
        spec = importlib.util.spec_from_file_location("kernels_here", path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "kernels_here", module)  # where what is kept looks for it
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


def flip(place):
    def damage(content):
        at = int(place * len(content))
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]

    return damage


@pytest.mark.parametrize(
    ("suffix", "damage"),
    [(suffix, lambda _, new=new: new) for suffix in ("nbi", "nbc") for new in (b"", b"\x80\x04")]
    + [("nbc", flip(place)) for place in (0.1, 0.3, 0.5, 0.7, 0.9)],
)
def test_damaged_files_are_compiled_anew_and_replaced(load, suffix, damage):
    """Machine code that has changed would end the process."""
    kernel = load()
    kernel(1, 2)
    for path in files(kernel, suffix):
        path.write_bytes(damage(path.read_bytes()))
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


def test_where_no_folder_can_be_written_kernels_compile_in_each_process(
    load, monkeypatch, tmp_path
):
    # As in a read-only install without a home: Numba finds no place, and raises at decoration.
    with monkeypatch.context() as patch:
        patch.setattr(caching.CompileResultCacheImpl, "_locator_classes", [])
        kernel = load()
        assert (kernel(1, 2), kernel.stats.cache_path) == (3, None)
    (tmp_path / "file").touch()  # a folder that cannot be made is passed over
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "file"))
    kernel = load()
    assert (kernel(1, 2), Path(kernel.stats.cache_path)) == (3, tmp_path / "__pycache__")


# ------------------------------------------------------------------- code that is not the right one


@pytest.mark.parametrize(
    "of", ["an older source", "one that Numba kept", "another type", "another processor"]
)
def test_machine_code_of_something_else_is_compiled_anew_and_replaced(load, of, monkeypatch):
    """Processes that begin an index at once, and homes that machines share, mix files up."""
    older = SOURCE.replace("a + b", "a + b + 1000")  # the same bytecode: constants are apart
    with monkeypatch.context() as patch:
        if of == "one that Numba kept":
            patch.setattr(_jit, "_SoundCache", lambda cache: cache)
        if of == "another processor":
            patch.setattr(codegen.CPUCodegen, "magic_tuple", lambda self: ("x", "another", "+simd"))
        other = load(SOURCE if "another" in of else older)
        other(*(1.5, 2.5) if of == "another type" else (1, 2))
    (path,) = files(other, "nbc")
    content = path.read_bytes()
    for each in (path, *files(other, "nbi")):
        each.unlink()
    kernel = load(SOURCE.replace("a + b", "a + b + 2000"))
    assert (kernel(1, 2), hits(kernel), files(kernel, "nbc")) == (2003, 0, [path])
    path.write_bytes(content)
    for n_hits in (0, 1):
        kernel = load(SOURCE.replace("a + b", "a + b + 2000"))
        assert (kernel(1, 2), hits(kernel)) == (2003, n_hits)


HELPER = """
from ._jit import jit_inline

@jit_inline
def weigh(a):
    return 10 * a
"""

WITH_HELPER = """
from ._helper import weigh
from ._jit import jit

@jit
def add(a, b):
    return weigh(a) + b
"""


def test_a_kernel_whose_helper_has_changed_is_compiled_anew(tmp_path, monkeypatch):
    """As in an upgrade that changes one file and not the other."""
    package = tmp_path / "kernels_there"
    package.mkdir()
    shutil.copy(_jit.__file__, package)
    (package / "__init__.py").touch()
    (package / "kernels.py").write_text(WITH_HELPER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(helper):
        (package / "_helper.py").write_text(helper)
        importlib.invalidate_caches()
        for name in [name for name in sys.modules if name.startswith("kernels_there")]:
            del sys.modules[name]
        return importlib.import_module("kernels_there.kernels").add

    first = load(HELPER)
    assert (first(1, 2), hits(first)) == (12, 0)
    again = load(HELPER)
    assert (again(1, 2), hits(again)) == (12, 1)
    changed = load(HELPER.replace("10", "20"))
    assert (changed(1, 2), hits(changed)) == (22, 0)


def test_kernels_have_no_helpers_that_their_cache_does_not_watch():
    """It watches files whose names begin with _, and Numba the kernel's own."""
    for path in KERNELS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level > 0:
                watched = node.level == 1 and (node.module or "").startswith("_")
                assert watched, f"{path.name} imports from {node.module}, which may change unseen"
            elif isinstance(node, ast.ImportFrom):
                assert not node.module.startswith("kmeans_fast"), path.name
            elif isinstance(node, ast.Import):
                assert not any(each.name.startswith("kmeans_fast") for each in node.names), (
                    path.name
                )


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
    kernel = load()  # the last to write an index may not have known of all
    assert [kernel(*kind) for kind in kinds] == [3, 4.0]
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
def test_a_read_only_install_without_a_home_fits_and_warns_of_nothing(tmp_path):
    # Folders that cannot be made stand for those that cannot be written, for the sake of root.
    package = Path(kmeans_fast.__file__).parent
    copy = tmp_path / "kmeans_fast"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (copy, *(path.parent for path in copy.glob("*/__init__.py"))):
        (folder / "__pycache__").touch()
    hidden = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")
    env = {name: value for name, value in os.environ.items() if name not in hidden}
    env |= {"HOME": "/dev/null", "PYTHONPATH": str(tmp_path), "NUMBA_OPT": "0"}  # compiles faster
    done = subprocess.run(
        [sys.executable, "-c", FIT], cwd=tmp_path, env=env, text=True, capture_output=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    picture = np.arange(600, dtype=np.uint8).reshape(20, 10, 3)
    expected = kmeans_fast.fit(picture, 3, init=np.arange(9.0).reshape(3, 3))
    assert done.stdout.splitlines()[0] == str(expected.centroids.tolist())
    assert "kernels compile in each process" in done.stdout and str(copy) in done.stdout

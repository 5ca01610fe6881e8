"""The pack of ready kernels: what it holds, how it is called, and when it is left alone."""

from __future__ import annotations

import ctypes
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import kmeans_fast as kf
from kmeans_fast.kernels import _build, _jit, _kinds, _pack, _target, cells, pixels

from . import kinds

READY = sorted({_kinds.ready_kind(kind) for kind in _kinds.read_kinds()})


@pytest.fixture
def pack():
    """Return the pack in use, which a development install builds too."""
    _pack._read.cache_clear()
    found = _pack.current()
    if found is None:
        pytest.skip("no pack was built for these kernels and this machine")
    return found


# -------------------------------------------------------------------------------- what it holds


def test_what_people_do_every_day_is_ready(pack):
    """Also: nothing is built that nobody calls."""
    assert set(pack.kinds) == set(READY)
    assert kinds.record() == set(_kinds.read_kinds()), (
        "run `python -m tests.kinds`, and build the pack again"
    )


def test_kinds_are_told_apart_by_their_arrays():
    """Numbers are passed as C takes them, so that a float may stand for an integer."""
    plain = [re.sub(r"\b(int|float|u?int\d+|float32)\b", "number", kind) for kind in READY]
    assert len(set(plain)) == len(plain)


FIRST = """
import sys
import numpy as np
import kmeans_fast as kf

kf.fit(np.arange(2700, dtype=np.uint8).reshape(30, 30, 3), 5)
for d, dtype in ((3, np.float32), (8, np.float32), (64, np.float64)):
    kf.fit(np.random.default_rng(0).random((3000, d)).astype(dtype), 8)
too_much = {"numba", "plotly", "PIL", "dask", "sklearn"} & sys.modules.keys()
assert not too_much, too_much
"""


def test_a_first_fit_imports_no_numba(pack, tmp_path):
    env = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(Path(kf.__file__).parent.parent)}
    subprocess.run([sys.executable, "-c", FIRST], env=env, check=True)
    assert list(tmp_path.iterdir()) == []


def test_show_info_says_what_code_runs(pack, capsys):
    kf.show_info()
    out = capsys.readouterr().out
    assert f"pack         {pack.level}: {len(READY)} kinds" in out
    assert "compiled     " in out


def test_warmup_compiles_what_the_pack_lacks_and_says_how_far_it_is(pack, capsys, monkeypatch):
    kf.warmup()
    assert capsys.readouterr().err == ""
    kind = "cells.cut_cells(int, i8:2, i8:2)"
    monkeypatch.delitem(pack.kinds, kind)
    kf.warmup()
    assert "compiling 0 of 1 kernels" in capsys.readouterr().err
    assert [len(each) for each in cells.cut_cells.dispatcher.signatures] == [3]


# --------------------------------------------------------------------------------- how it is called


class Fallback:
    """What stands for Numba: it takes note of the arguments."""

    def __init__(self):
        self.calls = []

    def __call__(self, *arguments):
        self.calls.append(arguments)
        return "compiled"


@pytest.fixture
def weigh(pack):
    """Return a kernel of (labels u1 or u2, limbs i8, out i8), without what it has loaded."""
    kernel = _jit.Kernel(cells.weigh_levels.function)
    kernel.compiled = Fallback()
    return kernel


def test_a_ready_kernel_is_called_by_what_its_arguments_are(weigh):
    for _ in range(2):
        for dtype in (np.uint8, np.uint16):
            out = np.zeros(4, np.int64)
            assert weigh(np.arange(3, dtype=dtype), np.full(3, 5), out) is None
            assert out.any()
    assert weigh.compiled.calls == []


def odd_arrays():
    channel = np.arange(12, dtype=np.uint8)
    return {
        "another type": channel.astype(np.int32),
        "two dimensions": channel.reshape(3, 4),
        "every second": np.repeat(channel, 2)[::2],
        "not aligned": np.frombuffer(b"x" + channel.astype(np.uint16).tobytes(), np.uint8)[1:].view(
            np.uint16
        ),
        "the other order of bytes": channel.astype(np.uint16).astype(">u2"),
        "none": None,
        "a number": 3,
        "a list": [1, 2, 3],
    }


@pytest.mark.parametrize("odd", odd_arrays())
def test_what_no_ready_code_takes_goes_to_numba(weigh, odd):
    for dtype in (np.uint8, np.uint16):  # with what is loaded by now
        weigh(np.arange(12, dtype=dtype), np.ones(12, np.int64), np.zeros(16, np.int64))
    value = odd_arrays()[odd]
    assert weigh(value, np.ones(12, np.int64), np.zeros(16, np.int64)) == "compiled"
    assert len(weigh.compiled.calls) == 1


def test_a_mapped_file_is_an_array(weigh, tmp_path):
    (tmp_path / "x").write_bytes(bytes(range(5)))
    mapped = np.memmap(tmp_path / "x", np.uint8, "r")
    found, expected = np.zeros((2, 8), np.int64)
    for values, out in ((mapped, found), (np.array(mapped), expected)):
        weigh(values, np.ones(5, np.int64), out)
    assert (found == expected).all() and weigh.compiled.calls == []


def test_numbers_and_tuples_come_out_as_they_are():
    tables = np.zeros((1, 128), np.uint8)
    tables[0, [3, 70]] = 1
    found = pixels.find_blocks(tables, tables.view(np.uint64), 0, 2, np.empty(3, np.int64))
    assert found == (2, 2) and [type(each) for each in found] == [int, int]
    n = pixels.count_pixels(
        np.zeros(3, np.uint8), (np.arange(256, dtype=np.uint32),) * 3, np.zeros(1 << 24, np.uint8),
        np.empty(9, np.uint32), 0,
    )  # fmt: skip
    assert (n, type(n)) == (0, int)


def test_a_lack_of_memory_is_a_memory_error(pack, monkeypatch):
    code = pack.find("cells.cut_cells(int, i8:2, i8:2)")
    monkeypatch.setattr(code, "_entry", lambda *_: 1)
    with pytest.raises(MemoryError):
        code([1, np.zeros((4, 1), np.int64), np.zeros((1, 3), np.int64)])


# ------------------------------------------------------------------------- when it is left alone


@pytest.fixture
def packed(tmp_path):
    """Return the file of a small pack."""
    path = tmp_path / "some.pack"
    ready = [_pack.Ready(name, "some", "f", "O", "*q", 50 * name.encode()) for name in ("a", "b")]
    _pack.write(path, "some", ready)
    return path


def test_a_pack_is_read_as_it_was_written(packed):
    assert list(_pack.Pack(packed.read_bytes(), "some").kinds) == ["a", "b"]
    assert _pack.holds(packed, "some", ["b", "a"])
    assert not _pack.holds(packed, "some", ["a"])
    assert not _pack.holds(packed, "other", ["a", "b"])
    assert not _pack.holds(packed.with_name("none"), "some", ["a", "b"])


def damaged(content, how):
    if how == "empty":
        return b""
    if how == "cut":
        return content[:100]
    if how == "of a newer version":
        return content.replace(b"kmeans_fast pack 1", b"kmeans_fast pack 2")
    at = {"its head": 25, "its index": 200}[how]
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("how", ["empty", "cut", "of a newer version", "its head", "its index"])
def test_a_damaged_pack_is_refused(packed, how):
    with pytest.raises(ValueError, match="damaged"):
        _pack.Pack(damaged(packed.read_bytes(), how), "some")


@pytest.mark.parametrize("fact", ["level", "system", "machine", "kernels"])
def test_a_pack_of_something_else_is_refused(packed, monkeypatch, fact):
    facts = _pack.facts("some")
    monkeypatch.setattr(_pack, "facts", lambda level: {**facts, fact: "another"})
    with pytest.raises(ValueError, match=f"its {fact} is {facts[fact]}, not another"):
        _pack.Pack(packed.read_bytes(), "some")


def test_damaged_code_is_never_loaded(packed, monkeypatch):
    monkeypatch.setattr(_pack, "_told", set())
    content = packed.read_bytes()
    pack = _pack.Pack(content[:-1] + b"?", "some")
    with pytest.warns(RuntimeWarning, match="the code of b is damaged; Numba compiles instead"):
        assert pack.find("b") is None
    assert pack.find("b") is None  # one warning


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """Return the folder that packs are looked for in."""
    monkeypatch.setattr(_pack, "files", lambda _: tmp_path)
    monkeypatch.setattr(_pack, "_told", set())
    (tmp_path / "ready").mkdir()
    _pack._read.cache_clear()
    yield tmp_path / "ready"
    _pack._read.cache_clear()


def test_a_pack_that_is_wrong_is_one_warning(elsewhere):
    (elsewhere / f"{_target.level()}.pack").write_bytes(b"nonsense")
    with pytest.warns(RuntimeWarning, match="ready kernels .* damaged.*KMEANS_FAST_PACK=0"):
        assert _pack.current() is None
    assert _pack.current() is None


def test_there_may_be_none(elsewhere):
    assert _pack.current() is None


def test_it_can_be_turned_off(monkeypatch, pack):
    monkeypatch.setenv("KMEANS_FAST_PACK", "0")
    _pack._read.cache_clear()
    assert _pack.current() is None
    _pack._read.cache_clear()


def test_arrays_that_are_laid_out_otherwise_are_left_to_numba(monkeypatch, pack):
    monkeypatch.setattr(_pack, "_told", set())
    monkeypatch.setattr(_pack, "_is_layout_known", lambda: False)
    _pack._read.cache_clear()
    with pytest.warns(RuntimeWarning, match="laid out in another way"):
        assert _pack.current() is None
    _pack._read.cache_clear()


@pytest.mark.parametrize(
    ("features", "env", "level"),
    [
        ({"avx2"}, {}, "generic"),
        (_target.LEVELS["x86-64-v3"], {}, "x86-64-v3"),
        (_target.LEVELS["x86-64-v4"], {}, "x86-64-v4"),
        (_target.LEVELS["x86-64-v4"], {"KMEANS_FAST_PACK": "x86-64-v3"}, "x86-64-v3"),
        (_target.LEVELS["x86-64-v4"], {"NUMBA_CPU_NAME": "generic"}, "generic"),
        (_target.LEVELS["x86-64-v3"], {"KMEANS_FAST_PACK": "x86-64-v4"}, "x86-64-v3"),
        (_target.LEVELS["x86-64-v3"], {"KMEANS_FAST_PACK": "i386"}, "x86-64-v3"),
        (None, {}, "generic"),
    ],
)
def test_the_level_is_one_that_the_processor_has(monkeypatch, features, env, level):
    """Code for another would end the process."""
    from llvmlite import binding

    def tell():
        if features is None:
            raise RuntimeError("this system does not tell")
        return dict.fromkeys(features, True)

    monkeypatch.setattr(binding, "get_host_cpu_features", tell)
    for name in ("KMEANS_FAST_PACK", "NUMBA_CPU_NAME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert _target._level_here.__wrapped__() == level


# ------------------------------------------------------------------------------- how it is built


def test_a_kernel_is_built_for_a_level_and_called(tmp_path):
    """In a process of its own, as what compiles for others can run nothing."""
    code = """
import sys
from pathlib import Path
from kmeans_fast.kernels import _build, _target

if __name__ == "__main__":
    kinds = ["cells.cut_cells(int, i8:2, i8:2)", "quotients.tidy(float, float, float)"]
    _build.build(Path(sys.argv[1]), kinds, _target.levels_to_build())
"""
    (tmp_path / "build.py").write_text(code)
    env = {"PYTHONPATH": str(Path(kf.__file__).parent.parent)}
    subprocess.run([sys.executable, "build.py", "."], cwd=tmp_path, env=env, check=True)
    built = {level: (tmp_path / f"{level}.pack") for level in _target.levels_to_build()}
    for level, path in built.items():
        assert f'"level": "{level}"'.encode() in path.read_bytes()[:300]
    level = _target.level()
    if level not in built:
        pytest.skip("nothing is built for so old a processor")
    pack = _pack.Pack(built[level].read_bytes(), level)
    code = pack.find("cells.cut_cells(int, i8:2, i8:2)")
    links = np.array([[0], [9], [0], [0]])
    with pytest.raises(ctypes.ArgumentError):
        code([1, links.astype(np.int32), np.zeros((1, 3), np.int64)])
    expected, found = np.zeros((2, 4, 3), np.int64)
    assert code([1, links, found]) == cells.cut_cells.function(1, links, expected)
    assert (found == expected).all()


def test_kernels_whose_vectors_differ_by_level_are_lowered_for_each():
    """Another would be built, and be wrong, with the width of one level for all."""
    folder = Path(_jit.__file__).parent
    text = {path.stem: path.read_text() for path in folder.glob("*.py")}
    wide = {"_target"}
    for _ in text:  # what imports what is wide is wide itself
        wide |= {
            name
            for name, source in text.items()
            if any(
                re.search(rf"^from \.{each} import", source, re.M) for each in wide - {"_target"}
            )
            or "has_wide_vectors()" in source
        }
    assert {name for name in wide if not name.startswith("_")} == _build.WIDE

"""The pack: machine code of kernels that was made when the package was built.

A file for each level of processors lies in the folder `ready`: objects as a compiler leaves them,
and an index that says which is for which kind of arguments. They are loaded one by one as they are
called, by LLVM's loader alone (`llvmlite.binding`), with neither Numba nor a compiler.

A pack is used if it is whole, and was made of this package's kernels for this kind of machine.
What is wrong with it is one warning, and kernels are Numba's then.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import struct
import sys
import warnings
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..threads import shared_lock
from ._target import level as level_here

MAGIC = b"kmeans_fast pack 1\n"
HEAD = len(MAGIC) + 8 + 32  # then the length and the digest of the index
MALLOC, FREE = "kmeans_fast_malloc", "kmeans_fast_free"  # what ready code calls
MISMATCH = -1  # what it answers to arguments of another kind

_lock = shared_lock(innermost=True)  # which forks wait for


class Ready(NamedTuple):
    """The machine code of a kernel for a kind of arguments."""

    kind: str
    level: str
    symbol: str
    leaves: str  # how Python passes them (`_entry.name_leaf`)
    results: str  # what is returned (`_entry.name_results`)
    code: bytes  # a relocatable object


class Code:
    """Ready code for one kind of arguments."""

    def __init__(self, address: int, leaves: str, results: str) -> None:
        kinds: dict[str, Any] = {"O": ctypes.py_object, "q": ctypes.c_int64, "Q": ctypes.c_uint64}
        kinds |= {"d": ctypes.c_double, "f": ctypes.c_float}
        # CFUNCTYPE lets the GIL go.
        self._entry = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, *(kinds[leaf] for leaf in leaves)
        )(address)
        self._single = results.startswith("*")
        form = results.lstrip("*")
        self._unpack = struct.Struct(form).unpack if form else None
        self._room = ctypes.c_int64 * len(form)

    def __call__(self, leaves: list[Any]) -> Any:
        """Run it, with arguments whose tuples are taken apart; ArgumentError: of another kind."""
        results: Any = None if self._unpack is None else self._room()
        status = self._entry(_FACTS, results, *leaves)
        if status == MISMATCH:
            raise ctypes.ArgumentError
        if status != 0:
            raise MemoryError
        if self._unpack is None:
            return None
        found = self._unpack(results)
        return found[0] if self._single else found


class Pack:
    """The pack of one level, read from a file's content.

    Parameters
    ----------
    content : bytes
    level : str

    Raises
    ------
    ValueError
        If it is damaged, or of another machine or version.
    """

    def __init__(self, content: bytes, level: str) -> None:
        self.level = level
        (size,) = struct.unpack("<Q", content[len(MAGIC) : HEAD - 32].ljust(8, b"\0"))
        index = content[HEAD : HEAD + size]
        if content[: len(MAGIC)] != MAGIC:
            raise ValueError("it is damaged, or of another version")
        if hashlib.sha256(index).digest() != content[HEAD - 32 : HEAD]:
            raise ValueError("it is damaged")
        about = json.loads(index)
        for name, here in facts(level).items():
            if about[name] != here:
                raise ValueError(f"its {name} is {about[name]}, not {here}")
        self.kinds: dict[str, list[Any]] = about["kinds"]
        self._content = memoryview(content)[HEAD + size :]
        self._loaded: dict[str, Code] = {}

    def find(self, kind: str) -> Code | None:
        """Return the code for a kind of arguments, if there is any."""
        with _lock:
            if kind not in self.kinds:
                return None
            if kind not in self._loaded:
                symbol, leaves, results, start, size, digest = self.kinds[kind]
                code = bytes(self._content[start : start + size])
                if hashlib.sha256(code).hexdigest() != digest:
                    del self.kinds[kind]
                    _warn(f"{self.level}: the code of {kind} is damaged")
                    return None
                self._loaded[kind] = Code(_link(code, symbol), leaves, results)
        return self._loaded[kind]


_WRONG = (ValueError, KeyError, TypeError)  # of what is no pack, or another's


def facts(level: str) -> dict[str, str]:
    """Return what a pack is made for."""
    return {"level": level, "system": sys.platform, "machine": platform.machine(),
            "kernels": digest_sources()}  # fmt: skip


@cache
def digest_sources() -> str:
    """Return a digest of the kernels that the code is made of."""
    digest = hashlib.sha256()
    here = {each.name: each for each in files(__package__).iterdir() if each.name.endswith(".py")}
    for name in sorted(here):
        digest.update(name.encode() + here[name].read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:16]


def write(path: Path, level: str, ready: Iterable[Ready]) -> None:
    """Write the pack of a level, whole or not at all."""
    kinds, blocks, start = {}, [], 0
    for each in sorted(ready):
        digest = hashlib.sha256(each.code).hexdigest()
        kinds[each.kind] = [
            each.symbol, each.leaves, each.results, start, len(each.code), digest
        ]  # fmt: skip
        blocks.append(each.code)
        start += len(each.code)
    index = json.dumps({**facts(level), "kinds": kinds}).encode()
    head = MAGIC + struct.pack("<Q", len(index)) + hashlib.sha256(index).digest()
    new = path.with_suffix(".new")
    new.write_bytes(b"".join([head, index, *blocks]))
    os.replace(new, path)


def holds(path: Path, level: str, kinds: Iterable[str]) -> bool:
    """Say whether a file is the pack of these kinds, and whole."""
    try:
        return set(Pack(path.read_bytes(), level).kinds) == set(kinds)
    except (OSError, *_WRONG):
        return False


def current() -> Pack | None:
    """Return the pack in use, if there is one."""
    with _lock:
        pack, problem = _read()
    if problem:
        _warn(problem)
    return pack


@cache
def _read() -> tuple[Pack | None, str]:
    """Return the pack, and what is wrong with it."""
    if os.environ.get("KMEANS_FAST_PACK") == "0":
        return None, ""
    level = level_here()
    path = files(__package__).joinpath("ready", f"{level}.pack")
    try:
        content = path.read_bytes()
    except OSError:
        return None, ""  # none was built
    try:
        if not _is_layout_known():
            raise ValueError("arrays of this NumPy or Python are laid out in another way")
        return Pack(content, level), ""
    except _WRONG as error:
        return None, f"{level}: {error}"


_told: set[str] = set()


def _warn(problem: str) -> None:
    if problem in _told:
        return
    _told.add(problem)  # also where warnings are errors: Numba goes on next time
    warnings.warn(
        f"the pack of ready kernels for {problem}; Numba compiles instead, which takes seconds; "
        "install the package again, or set KMEANS_FAST_PACK=0",
        RuntimeWarning,
        stacklevel=2,
    )


# What an entry compares with: the type of arrays, and None.
_FACTS = (ctypes.c_int64 * 2)(id(np.ndarray), id(None))


def _is_layout_known() -> bool:
    """Say whether the fields of an array are where `_entry` reads them."""
    array = np.zeros((3, 5), np.float32)
    if object.__basicsize__ != 16 or ctypes.sizeof(ctypes.c_void_p) != 8:
        return False  # a debugging or free-threaded Python
    words = (ctypes.c_int64 * 9).from_address(id(array))
    about = (ctypes.c_int8 * 32).from_address(words[7])
    return bool(
        words[1] == id(np.ndarray)
        and words[2] == array.ctypes.data
        and words[3] & 0xFFFFFFFF == 2
        and list((ctypes.c_int64 * 2).from_address(words[4])) == [3, 5]
        and list((ctypes.c_int64 * 2).from_address(words[5])) == [20, 4]
        and words[7] == id(array.dtype)
        and words[8] & 0xFFFFFFFF == array.flags.num
        and (about[26], about[28]) == (ord("="), array.dtype.num)
    )


def _link(code: bytes, symbol: str) -> int:
    """Load an object, and return the address of its entry."""
    from llvmlite import binding

    engine = _engine()
    engine.add_object_file(binding.ObjectFileRef.from_data(code))
    engine.finalize_object()
    return int(engine.get_function_address(symbol))


@cache
def _engine() -> Any:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    for name, function in ((MALLOC, "PyMem_RawMalloc"), (FREE, "PyMem_RawFree")):
        address = ctypes.cast(getattr(ctypes.pythonapi, function), ctypes.c_void_p).value
        binding.add_symbol(name, address)
    target = binding.Target.from_triple(binding.get_process_triple())
    machine = target.create_target_machine()
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)

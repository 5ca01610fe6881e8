"""Kernels compiled by Numba: what there is no ready code for. Nothing else imports Numba.

What is compiled is kept on disk, where Numba would keep it (``NUMBA_CACHE_DIR``, or beside this
file, or in the user's cache folder): a file for each kind of arguments, named by all that its
machine code follows from, with a digest. So one that is damaged, of an older version or of another
processor is none, and processes that compile at once do not get in each other's way.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import warnings
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import numba
import numpy as np
from numba import from_dtype, njit, types
from numba.core import event
from numba.core.registry import cpu_target
from numba.core.serialize import dumps
from numba.core.typing.typeof import typeof_impl

from . import _llvm, _llvm_blocks, _pack, _target
from ._jit import Intrinsic, Kernel
from ._kinds import split_kind

SIZE = 32  # of a digest

log = logging.getLogger("kmeans_fast")


def compile_lazily(kernel: Kernel) -> Any:
    """Return Numba's dispatcher, which compiles a kind of arguments when it first meets it.

    Helpers that become part of their callers are not kept on disk by themselves. Where no folder
    can be written (a read-only install with no home), kernels are compiled in each process.
    """
    options = {"nogil": True, "error_model": "numpy", **kernel.options}
    if kernel.is_part_of_others:
        return njit(**options)(kernel.function)
    try:
        dispatcher = njit(cache=True, **options)(kernel.function)
    except RuntimeError:
        return njit(**options)(kernel.function)
    dispatcher._cache = _Cache(dispatcher._cache, kernel.name)
    return dispatcher


@typeof_impl.register(Kernel)
def _type_of_kernel(kernel: Kernel, context: Any) -> Any:
    return typeof_impl(kernel.dispatcher, context)


@typeof_impl.register(Intrinsic)
def _type_of_intrinsic(each: Intrinsic, context: Any) -> Any:
    code = vars(_llvm_blocks).get(each.name) or getattr(_llvm, each.name)
    return cpu_target.typing_context.resolve_value_type(code)


# ----------------------------------------------------------------------------- what is compiled

compiled_here: list[str] = []  # kernels that Numba had to compile in this process


class _Listener(event.Listener):  # type: ignore[misc]  # Numba has few types
    """Says so before the first wait; kernels found on disk raise no such event."""

    def on_start(self, event: Any) -> None:
        module, name = event.data["dispatcher"].__module__, event.data["dispatcher"].__name__
        if str(module).startswith(__package__):
            if not compiled_here:
                log.warning(
                    "compiling kernels that there is no ready code for: this takes seconds, "
                    "once on this machine"
                )
            compiled_here.append(f"{module.rsplit('.', 1)[-1]}.{name}")

    def on_end(self, event: Any) -> None:
        pass


event.register("numba:compile", _Listener())

# ------------------------------------------------------------------------------ what is kept


class _Cache:
    """A kernel's machine code on disk; what cannot be read is compiled.

    Parameters
    ----------
    numbas : numba.core.caching.FunctionCache
        Which knows where things are kept, and how.
    name : str
        The kernel's.
    """

    warned = False

    def __init__(self, numbas: Any, name: str) -> None:
        self.cache_path = numbas.cache_path
        self._impl = numbas._impl
        self._made_of = f"{name}-{_pack.digest_sources()}"

    def _find(self, signature: Any, context: Any) -> Path:
        """Return the file of a kind of arguments."""
        codegen = context.codegen()
        facts = numba.__version__, str(signature), codegen.magic_tuple(), _target.level()
        kind = hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
        return Path(self.cache_path) / f"{self._made_of}-{kind}.kernel"

    def load_overload(self, signature: Any, context: Any) -> Any:
        """Return what is kept, or None."""
        context.refresh()  # what the code calls has to be known
        try:
            content = self._find(signature, context).read_bytes()
            if hashlib.sha256(content[SIZE:]).digest() != content[:SIZE]:
                return None
            return self._impl.rebuild(context, pickle.loads(content[SIZE:]))
        except Exception:
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep machine code, if that can be, and drop that of older versions."""
        try:
            path = self._find(signature, compiled.target_context)
            path.parent.mkdir(parents=True, exist_ok=True)
            data = dumps(self._impl.reduce(compiled))
            new = path.with_suffix(f".{os.getpid()}")
            new.write_bytes(hashlib.sha256(data).digest() + data)
            os.replace(new, path)
            name = self._made_of.split("-")[0]
            for old in path.parent.glob(f"{name}-*.kernel"):
                if not old.name.startswith(self._made_of):
                    old.unlink(missing_ok=True)
        except Exception as error:
            if not _Cache.warned:  # once a process
                _Cache.warned = True
                warnings.warn(
                    f"compiled kernels cannot be kept in {self.cache_path} ({error}); they are "
                    "compiled in each process; make room there, or set NUMBA_CACHE_DIR",
                    RuntimeWarning,
                    stacklevel=2,
                )


# -------------------------------------------------------------------------------------- kinds


def find_kernel(kind: str) -> tuple[Kernel, tuple[Any, ...]]:
    """Return the kernel of a kind, and Numba's types of its arguments."""
    name, arguments = split_kind(kind)
    file, function = name.split(".")
    module = import_module(f".{file}", __package__)
    return getattr(module, function), tuple(_find_type(each) for each in arguments)


def _find_type(about: Any) -> Any:
    if isinstance(about, tuple):
        name, parts = about[0], [_find_type(each) for each in about[1]]
        same = len(set(parts)) == 1
        if not name:
            return types.UniTuple(parts[0], len(parts)) if same else types.Tuple(parts)
        several = _named_tuples()[name]
        if same:
            return types.NamedUniTuple(parts[0], len(parts), several)
        return types.NamedTuple(parts, several)
    if ":" in about:
        dtype, form = about.split(":")
        layout = "A" if "!" in form else "C"
        return types.Array(from_dtype(np.dtype(dtype)), int(form[0]), layout, readonly="r" in form)
    numbers = {"int": types.int64, "float": types.float64, "None": types.none}
    return numbers.get(about) or getattr(types, about)


@cache
def _named_tuples() -> dict[str, type[Any]]:
    """Return the named tuples that kernels take, by name."""
    found: dict[str, type[Any]] = {}
    for each in iter_modules([str(Path(__file__).parent)]):
        if not each.name.startswith("_"):
            module = import_module(f".{each.name}", __package__)
            found |= {
                name: value
                for name, value in vars(module).items()
                if isinstance(value, type) and issubclass(value, tuple)
            }
    return found

"""Numba and LLVM as a compiler for other processors than this one."""

from __future__ import annotations

import hashlib
from typing import Any

import llvmlite.binding as llvm
from numba import njit
from numba.core.codegen import AOTCodeLibrary, CPUCodegen
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from . import _compiled, _entry, _pack
from ._jit import Kernel
from ._pack import Ready
from ._target import BASE

# LLVM would make half vectors of the fourth level's: 6 % slower, fits as a whole 4 to 10 %.
FEATURES = {"x86-64-v4": "-prefer-256-bit"}


class _Library(AOTCodeLibrary):  # type: ignore[misc]  # Numba has few types
    """What is left as Numba lowers it: it is optimised as part of an entry."""

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def get_pointer_to_function(self, name: str) -> int:
        return 0  # none is run


class _Lowering(CPUCodegen):  # type: ignore[misc]  # Numba has few types
    """Numba without its compiler: what it says of the processor is that of any."""

    _library_class = _Library

    def _customize_tm_options(self, options: dict[str, Any]) -> None:
        pass

    def _customize_tm_features(self) -> str:
        return ""

    def _add_module(self, module: Any) -> None:
        pass

    def set_env(self, name: str, env: Any) -> None:
        pass


class Compiler:
    """What compiles kernels for some levels of processors, in a process that runs none."""

    def __init__(self, levels: tuple[str, ...]) -> None:
        _compiled.compile_lazily = _compile_bare
        _compiled.log.disabled = True
        self._context = cpu_target.target_context
        self._context._internal_codegen = _Lowering("kmeans_fast")
        target = llvm.Target.from_triple(llvm.get_process_triple())
        self._machines = {
            level: target.create_target_machine(
                cpu="" if level == BASE else level,
                features=FEATURES.get(level, ""),
                opt=3,
                reloc="pic",
                codemodel="default",
            )
            for level in (BASE, *levels)
        }

    @global_compiler_lock
    def compile(self, kind: str, levels: tuple[str, ...]) -> list[Ready]:
        """Compile a kind of arguments, for some of the levels."""
        kernel, signature = _compiled.find_kernel(kind)
        symbol = f"kmeans_fast_{hashlib.sha256(kind.encode()).hexdigest()[:16]}"
        kernel.dispatcher.compile(signature)
        compiled = kernel.dispatcher.overloads[signature]
        library = self._context.codegen().create_library(symbol)
        _entry.add_entry(self._context, library, symbol, compiled)
        library.finalize()
        module = library._final_module
        for each in (*module.functions, *module.global_variables):
            if not each.is_declaration and each.name != symbol:
                each.linkage = "internal"
        # Once for all levels, all is inlined, and what counts references goes.
        _optimize(module, self._machines[BASE], prune=True)
        bitcode = module.as_bitcode()
        leaves = [leaf for each in signature for leaf in _entry.flatten(each)]
        about = "".join(map(_entry.name_leaf, leaves))
        results = _entry.name_results(compiled.signature.return_type)
        return [
            Ready(kind, level, symbol, about, results, _emit(kind, bitcode, self._machines[level]))
            for level in levels
        ]


def _compile_bare(kernel: Kernel) -> Any:
    """Return a dispatcher of a kernel without what calls it from Python."""
    options = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True, **kernel.options}
    return njit(nogil=True, error_model="numpy", **options)(kernel.function)


def _emit(kind: str, bitcode: bytes, machine: Any) -> bytes:
    """Return the object of a kind for a processor."""
    module = llvm.parse_bitcode(bitcode)
    _optimize(module, machine)
    missing = {
        each.name
        for each in module.functions
        if each.is_declaration and not each.name.startswith("llvm.")
    } - {*_entry.SYSTEM, _pack.MALLOC, _pack.FREE}
    if missing:
        raise RuntimeError(f"{kind} needs {', '.join(sorted(missing))}, which no pack has")
    code: bytes = machine.emit_object(module)
    return code


def _optimize(module: Any, machine: Any, prune: bool = False) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=1 if prune else 3)
    options.loop_vectorization = not prune
    options.slp_vectorization = False
    options.loop_unrolling = not prune
    builder = llvm.create_pass_builder(machine, options)
    passes = builder.getModulePassManager()
    if prune:
        passes.add_refprune_pass()
    passes.run(module, builder)

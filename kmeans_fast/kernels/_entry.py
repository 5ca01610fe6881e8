"""The door of ready code: what takes a call from Python apart, without Python's or Numba's help.

An entry is a C function ``int entry(facts, results, leaves...)``. The leaves are the arguments,
tuples taken apart: an array or None is a Python object, a number a C one. An array says for itself
where it lies and what it is (`PyArrayObject`, whose layout NumPy promises to compiled extensions;
`_pack` looks whether it is so). The entry answers 0, `_jit.MISMATCH` where a leaf is not of its
kind, or more where memory is short. `facts` are the addresses of `numpy.ndarray` and of None;
`results` are eight bytes for each number that a kernel returns.

What kernels need of Numba's runtime, memory to write in, is here too.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.core import types as numba_types
from numba.np import numpy_support
from numba.np.arrayobj import make_array, populate_array

from ._pack import FREE, MALLOC, MISMATCH

types: Any = numba_types  # typed in part
I8, I32, I64, DOUBLE = ir.IntType(8), ir.IntType(32), ir.IntType(64), ir.DoubleType()
POINTER = I8.as_pointer()
# Of PyObject, PyArrayObject and PyArray_Descr: where the fields lie.
TYPE, DATA, N_DIMENSIONS, SHAPE, STRIDES, DTYPE, FLAGS = 8, 16, 24, 32, 40, 56, 64
BYTE_ORDER, NUMBER = 26, 28
IN_C_ORDER, ALIGNED = 0x1, 0x100
# What ready code may ask of the system.
SYSTEM = {"memcpy", "memset", "memmove", "bcmp", "memcmp"}


def flatten(kind: Any) -> list[Any]:
    """Return the types of the leaves of an argument's type."""
    if isinstance(kind, types.BaseTuple):
        return [leaf for each in kind for leaf in flatten(each)]
    return [kind]


def name_leaf(kind: Any) -> str:
    """Return how Python passes a leaf: an object ("O"), or a number, as `struct` names it."""
    if isinstance(kind, (types.Array, types.NoneType)):
        return "O"
    if isinstance(kind, types.Float):
        return "f" if kind.bitwidth == 32 else "d"
    if isinstance(kind, types.Integer):
        return "q" if kind.signed else "Q"
    raise TypeError(f"no kernel takes {kind}")


def add_entry(context: Any, library: Any, name: str, compiled: Any) -> None:
    """Add the entry of a compiled kernel to a library."""
    leaves = [leaf for each in compiled.signature.args for leaf in flatten(each)]
    of_c = {"O": POINTER, "q": I64, "Q": I64, "d": DOUBLE, "f": ir.FloatType()}
    module = library.create_ir_module(name)
    kinds = [POINTER, POINTER, *(of_c[name_leaf(leaf)] for leaf in leaves)]
    function = ir.Function(module, ir.FunctionType(I32, kinds), name)
    builder = ir.IRBuilder(function.append_basic_block())
    mismatch = function.append_basic_block()
    with builder.goto_block(mismatch):
        builder.ret(I32(MISMATCH))
    facts, results, *values = function.args
    reader = _Reader(context, builder, mismatch, facts)
    found = [reader.read(*each) for each in zip(leaves, values, strict=True)]
    arguments = [_join(context, builder, each, found) for each in compiled.signature.args]
    callee = context.declare_function(module, compiled.fndesc)
    status, result = context.call_conv.call_function(
        builder, callee, compiled.signature.return_type, compiled.signature.args, arguments
    )
    with builder.if_then(status.is_ok):
        kind = compiled.signature.return_type
        several = isinstance(kind, types.BaseTuple)
        parts = cgutils.unpack_tuple(builder, result) if several else [result]
        for n, part in enumerate(_list_results(kind)):
            value = _as_eight_bytes(builder, part, parts[n])
            address = _at(builder, results, 8 * n, value.type)
            builder.store(value, address)
    builder.ret(builder.select(status.is_ok, I32(0), I32(1)))
    _add_runtime(module)
    library.add_ir_module(module)
    library.add_linking_library(compiled.library)


def name_results(kind: Any) -> str:
    """Return what a kernel returns, as `struct` unpacks it; "*" before one that is no tuple."""
    single = "" if isinstance(kind, (types.BaseTuple, types.NoneType)) else "*"
    return single + "".join(
        "d" if isinstance(each, types.Float) else name_leaf(each) for each in _list_results(kind)
    )


def _list_results(kind: Any) -> list[Any]:
    return [] if isinstance(kind, types.NoneType) else flatten(kind)


class _Reader:
    """What reads leaves, and leaves the entry where one is of another kind."""

    def __init__(self, context: Any, builder: Any, mismatch: Any, facts: Any) -> None:
        self._context, self._builder, self._mismatch = context, builder, mismatch
        self._array_type, self._none = (_load(builder, facts, 8 * n, I64) for n in range(2))

    def read(self, kind: Any, value: Any) -> Any:
        """Return a leaf as Numba has it."""
        builder = self._builder
        if isinstance(kind, types.NoneType):
            self._need(builder.icmp_signed("==", builder.ptrtoint(value, I64), self._none))
            return self._context.get_dummy_value()
        if isinstance(kind, types.Array):
            return self._read_array(kind, value)
        wanted = self._context.get_value_type(kind)
        return value if wanted == value.type else builder.trunc(value, wanted)

    def _need(self, condition: Any) -> None:
        after = self._builder.append_basic_block()
        self._builder.cbranch(condition, after, self._mismatch)
        self._builder.position_at_end(after)

    def _read_array(self, kind: Any, value: Any) -> Any:
        builder = self._builder

        def is_number(place: Any, offset: int, *numbers: int) -> Any:
            number = _load(builder, place, offset, I32)
            same = [builder.icmp_signed("==", number, I32(each)) for each in numbers]
            return same[0] if len(same) == 1 else builder.or_(*same)

        self._need(builder.icmp_signed("==", _load(builder, value, TYPE, I64), self._array_type))
        flags = I32(ALIGNED | (IN_C_ORDER if kind.layout == "C" else 0))
        here = builder.and_(_load(builder, value, FLAGS, I32), flags)
        self._need(builder.icmp_signed("==", here, flags))
        self._need(is_number(value, N_DIMENSIONS, kind.ndim))
        dtype = numpy_support.as_dtype(kind.dtype)
        codes = np.typecodes["AllInteger"] + np.typecodes["Float"] + "?"
        numbers = sorted({np.dtype(code).num for code in codes if np.dtype(code) == dtype})
        about = _load(builder, value, DTYPE, POINTER)
        self._need(is_number(about, NUMBER, *numbers))
        swapped = I8(ord(">" if sys.byteorder == "little" else "<"))
        self._need(builder.icmp_signed("!=", _load(builder, about, BYTE_ORDER, I8), swapped))
        lengths = _load(builder, value, SHAPE, POINTER)
        shape = [_load(builder, lengths, 8 * n, I64) for n in range(kind.ndim)]
        if kind.layout == "C":
            strides = [I64(dtype.itemsize)]
            for length in shape[:0:-1]:
                strides.insert(0, builder.mul(strides[0], length))
        else:
            steps = _load(builder, value, STRIDES, POINTER)
            strides = [_load(builder, steps, 8 * n, I64) for n in range(kind.ndim)]
        array = make_array(kind)(self._context, builder)
        data = builder.bitcast(_load(builder, value, DATA, POINTER), array.data.type)
        size = self._context.get_constant(types.intp, dtype.itemsize)
        populate_array(array, data, shape, strides, size, meminfo=None, parent=None)
        return array._getvalue()


def _join(context: Any, builder: Any, kind: Any, leaves: list[Any]) -> Any:
    """Return an argument, of the first of the leaves."""
    if isinstance(kind, types.BaseTuple):
        parts = [_join(context, builder, each, leaves) for each in kind]
        return context.make_tuple(builder, kind, parts)
    return leaves.pop(0)


def _as_eight_bytes(builder: Any, kind: Any, value: Any) -> Any:
    if isinstance(kind, types.Float):
        return value if value.type == DOUBLE else builder.fpext(value, DOUBLE)
    if value.type == I64:
        return value
    return builder.sext(value, I64) if kind.signed else builder.zext(value, I64)


def _at(builder: Any, place: Any, offset: int, kind: Any) -> Any:
    address = builder.gep(place, [I64(offset)], source_etype=I8)
    return builder.bitcast(address, kind.as_pointer())


def _load(builder: Any, place: Any, offset: int, kind: Any) -> Any:
    return builder.load(_at(builder, place, offset, kind), typ=kind)


# Numba keeps an array that a kernel makes behind a MemInfo: references, destructor and its
# argument, data, size, allocator. `np.empty` fills in what is read again.
REFERENCES, DESTRUCTOR, HELD, INFO_SIZE = 0, 8, 24, 48


def _add_runtime(module: Any) -> None:
    """Define what arrays that are made within a kernel ask of Numba's runtime, by malloc alone."""
    malloc = ir.Function(module, ir.FunctionType(POINTER, [I64]), MALLOC)
    free = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), FREE)

    def define(name: str, result: Any, *kinds: Any) -> tuple[Any, Any]:
        function = ir.Function(module, ir.FunctionType(result, kinds), name)
        return function, ir.IRBuilder(function.append_basic_block())

    function, builder = define("NRT_MemInfo_alloc_aligned", POINTER, I64, I32)
    size, alignment = function.args
    alignment = builder.zext(alignment, I64)
    info = builder.call(malloc, [builder.add(builder.add(size, alignment), I64(INFO_SIZE))])
    there = builder.icmp_signed("!=", builder.ptrtoint(info, I64), I64(0))
    with builder.if_then(there):
        builder.store(I64(1), _at(builder, info, REFERENCES, I64))
        builder.store(I64(0), _at(builder, info, DESTRUCTOR, I64))
        end = builder.add(builder.ptrtoint(info, I64), builder.add(alignment, I64(INFO_SIZE - 1)))
        data = builder.and_(end, builder.neg(alignment))
        builder.store(data, _at(builder, info, HELD, I64))
    builder.ret(info)
    for name in ("NRT_MemInfo_call_dtor", "NRT_Free"):
        function, builder = define(name, ir.VoidType(), POINTER)
        builder.call(free, function.args)
        builder.ret_void()

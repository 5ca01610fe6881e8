"""Loads, stores and shuffles of vectors, for intrinsics that write their machine code themselves.

Each says what it loads: nothing is asked of the type of a pointer, for LLVM's point to anything.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.np.arrayobj import make_array

INT32 = ir.IntType(32)


class Place:
    """A place in memory, from which on there are numbers of one kind, in rows of so many."""

    def __init__(self, builder, pointer, number, columns=None):
        self.builder, self.pointer, self.number, self.columns = builder, pointer, number, columns

    def load(self, at, width=None, align=None):
        """Return the number at an index, or the vector of so many from there."""
        kind = self.number if width is None else ir.VectorType(self.number, width)
        return self.builder.load(self.find(at, kind), align=align, typ=kind)

    def store(self, value, at, align=None):
        """Store a number or a vector."""
        self.builder.store(value, self.find(at, value.type), align=align)

    def find(self, at, kind):
        """Return the address of an index."""
        address = self.builder.gep(self.pointer, [at], source_etype=self.number)
        if kind == self.number or getattr(address.type, "is_opaque", True):
            return address
        return self.builder.bitcast(address, ir.PointerType(kind))  # as long as Numba's are typed


class Variable:
    """A variable, which LLVM keeps in a register."""

    def __init__(self, builder, value):
        self.builder, self.kind = builder, value.type
        self.pointer = cgutils.alloca_once_value(builder, value)

    def load(self):
        """Return its value."""
        return self.builder.load(self.pointer, typ=self.kind)

    def store(self, value):
        """Give it a value."""
        self.builder.store(value, self.pointer)


def find_arrays(context, builder, kinds, arguments):
    """Return the arguments of an intrinsic; for arrays in C order, the places of their items."""
    found = list(arguments)
    for n, kind in enumerate(kinds):
        if isinstance(kind, types.Array):
            array = make_array(kind)(context, builder, arguments[n])
            columns = cgutils.unpack_tuple(builder, array.shape)[-1]
            found[n] = Place(builder, array.data, context.get_value_type(kind.dtype), columns)
    return found


def zeros(number, width):
    """Return a vector of zeros."""
    return ir.Constant(ir.VectorType(number, width), [0.0] * width)


def pick(builder, a, b, lanes):
    """Return some lanes of two vectors; those of the second follow those of the first."""
    mask = ir.Constant(ir.VectorType(INT32, len(lanes)), list(lanes))
    return builder.shuffle_vector(a, b, mask)


def splat(builder, number, width):
    """Return a vector of one number."""
    nothing = ir.Constant(ir.VectorType(number.type, width), ir.Undefined)
    one = builder.insert_element(nothing, number, INT32(0))
    return pick(builder, one, nothing, [0] * width)

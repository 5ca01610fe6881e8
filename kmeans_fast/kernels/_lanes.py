"""A sum of squares in vectors, with the same bits on every machine.

LLVM adds floats up in vectors only where it may choose the order, and it chooses by the machine.
Here the order is written down: sixteen sums side by side, folded in halves. Four times as fast as
one sum at 64 features; plain loops over sixteen sums were not, for LLVM keeps them in memory.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic
from numba.np.arrayobj import make_array

from ._jit import JIT_OFF, jit_inline

WIDTH = 8
LANES = 2 * WIDTH


@intrinsic
def add_squares(typing_context, values, i, centroids, k):
    """Return the sum of ``(values[i, j] - centroids[k, j]) ** 2`` over the first features.

    Over as many of them as are a multiple of LANES. `values` are float32 or float64 and
    `centroids` float64, both in C order.
    """

    def codegen(context, builder, signature, arguments):
        vector = ir.VectorType(ir.DoubleType(), WIDTH)
        zero = ir.Constant(vector, [0.0] * WIDTH)
        sums = [cgutils.alloca_once_value(builder, zero) for _ in range(2)]
        rows = []
        for array_type, array, row in (
            (signature.args[0], arguments[0], arguments[1]),
            (signature.args[2], arguments[2], arguments[3]),
        ):
            struct = make_array(array_type)(context, builder, array)
            column = ir.Constant(row.type, 0)
            pointer = cgutils.get_item_pointer(
                context, builder, array_type, struct, [row, column], wraparound=False
            )
            rows.append((pointer, array_type.dtype.bitwidth // 8))
            n_features = cgutils.unpack_tuple(builder, struct.shape)[1]

        def load(row, at):
            pointer, size = row
            item = pointer.type.pointee
            address = builder.bitcast(
                builder.gep(pointer, [at]), ir.VectorType(item, WIDTH).as_pointer()
            )
            loaded = builder.load(address, align=size)
            return loaded if size == 8 else builder.fpext(loaded, vector)

        n_steps = builder.udiv(n_features, ir.Constant(n_features.type, LANES))
        with cgutils.for_range(builder, n_steps) as loop:
            first = builder.mul(loop.index, ir.Constant(loop.index.type, LANES))
            for half, total in enumerate(sums):
                at = builder.add(first, ir.Constant(first.type, half * WIDTH))
                difference = builder.fsub(load(rows[0], at), load(rows[1], at))
                square = builder.fmul(difference, difference)
                builder.store(builder.fadd(builder.load(total), square), total)
        total = builder.fadd(*(builder.load(each) for each in sums))
        for width in (4, 2, 1):
            low, high = (
                builder.shuffle_vector(
                    total, total, ir.Constant(ir.VectorType(ir.IntType(32), width), list(lanes))
                )
                for lanes in (range(width), range(width, 2 * width))
            )
            total = builder.fadd(low, high)
        return builder.extract_element(total, ir.Constant(ir.IntType(32), 0))

    return types.float64(values, types.intp, centroids, types.intp), codegen


@jit_inline
def count_quanta(value, anchor):
    """Return a value, rounded to quanta, as a whole number of them: at most 2**51.

    The anchor is ``1.5 * 2**52`` quanta (`points.quanta.as_anchors`). What is added to it is
    rounded to quanta, and the last bits of the sum are their number. In vectors: machines without
    AVX-512 convert float64 to int64 one by one, at half the speed.
    """
    return np.float64(value + anchor).view(np.int64) - np.float64(anchor).view(np.int64)


@jit_inline
def without_quanta(value, anchor):
    """Return what rounding to quanta leaves of a value."""
    return value - ((value + anchor) - anchor)


@intrinsic
def fused(typing_context, a, b, c):
    """Return ``a * b + c``, rounded once: what a product loses is ``fused(a, b, -a * b)``."""

    def codegen(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), codegen


def add_squares_plainly(values, i, centroids, k):
    """Do the same in NumPy: to test against, and to run where the JIT is off."""
    n = values.shape[1] // LANES * LANES
    total = ((values[i, :n] - centroids[k, :n]) ** 2).reshape(-1, LANES).sum(axis=0)
    while total.size > 1:
        total = total[: total.size // 2] + total[total.size // 2 :]
    return total[0]


def fused_plainly(a, b, c):
    """Do the same in Python."""
    return float(Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c)))


if JIT_OFF:
    # Intrinsics cannot be called from Python; to a type checker they are no functions either.
    add_squares = add_squares_plainly  # type: ignore[assignment]
    fused = fused_plainly  # type: ignore[assignment]


@jit_inline
def find_sq_dist(values, i, centroids, k):
    """Return the squared distance of point `i` to centroid `k`, in float64."""
    d = np.uint64(values.shape[1])
    whole = d - d % np.uint64(LANES)
    total = add_squares(values, i, centroids, k) if whole > 0 else 0.0
    for j in range(whole, d):
        t = np.float64(values[i, j]) - centroids[k, j]
        total += t * t
    return total

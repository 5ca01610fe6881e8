"""Squared distances of one row to several, in float32 vectors: the same bits on every machine.

LLVM adds floats up in vectors only where it may choose the order, and it chooses by the machine.
Here the order is written down: eight sums side by side, folded in halves. Several rows at once
hide the time that an addition takes, and share the loads and the folding.

A square is added with one rounding, not two (`fma`). IEEE 754 says what that gives, so it is the
same where a machine has to work it out in software; where it has the instruction (all with AVX2
or 64-bit ARM), it makes these loops up to twice as fast.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic
from numba.np.arrayobj import make_array

from ._jit import JIT_OFF

LANES = 8


def _fma(builder, x, y, z):
    kind = x.type
    name = "llvm.fma.v8f32" if isinstance(kind, ir.VectorType) else "llvm.fma.f32"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind] * 3), name
    )
    return builder.call(function, [x, y, z])


@intrinsic
def add_square(typing_context, total, gap):
    """Return ``total + gap * gap``, rounded once; all float32."""

    def codegen(context, builder, signature, arguments):
        total, gap = arguments
        return _fma(builder, gap, gap, total)

    return types.float32(types.float32, types.float32), codegen


@intrinsic
def bits_of(typing_context, value):
    """Return the bits of a float64, as an integer: in a loop, one that LLVM makes vectors of."""

    def codegen(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@intrinsic
def prefetch(typing_context, values, i, j):
    """Bring the cache line of ``values[i, j]``, or of ``values[i]``, nearer."""

    def codegen(context, builder, signature, arguments):
        struct = make_array(values)(context, builder, arguments[0])
        pointer = cgutils.get_item_pointer(
            context, builder, values, struct, arguments[1:][: values.ndim], wraparound=False
        )
        flag, bytes_type = ir.IntType(32), ir.IntType(8).as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [bytes_type, flag, flag, flag]),
            "llvm.prefetch.p0i8",
        )
        read, keep, data = (ir.Constant(flag, number) for number in (0, 3, 1))
        builder.call(function, [builder.bitcast(pointer, bytes_type), read, keep, data])
        return context.get_dummy_value()

    return types.void(values, types.intp, types.intp), codegen


@intrinsic(prefer_literal=True)
def fill_row(typing_context, values, i, table, t, n_rows, scale, out, at):
    """Write to ``out[t + r, at]`` the sums of squares of ``values[i, j] - table[t + r, j]``.

    For r below `n_rows`, which is a literal 4 or 8. A difference is taken in the type of both
    arrays (float32 or float64, in C order), multiplied by `scale` unless that is None, and
    becomes a float32. The table is filled up with zeros to a multiple of LANES features.
    """
    rows = n_rows.literal_value
    bits = values.dtype.bitwidth

    def codegen(context, builder, signature, arguments):
        i, t, scale_value, at = arguments[1], arguments[3], arguments[5], arguments[7]
        wide = ir.VectorType(context.get_value_type(values.dtype), LANES)
        vector = ir.VectorType(ir.FloatType(), LANES)
        arrays = [
            (kind, make_array(kind)(context, builder, arguments[n]))
            for n, kind in ((0, values), (2, table), (6, out))
        ]
        point_array, other_array, out_array = arrays

        def number(n):
            return ir.Constant(i.type, n)

        def pointer(array, *indices):
            return cgutils.get_item_pointer(
                context, builder, *array, list(indices), wraparound=False
            )

        def address(start, column):
            return builder.bitcast(builder.gep(start, [column]), wide.as_pointer())

        def pick(a, b, lanes):
            mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes)
            return builder.shuffle_vector(a, b, mask)

        def fold(a, b, half):
            """Add the halves of each group of ``2 * half`` lanes; the groups of `b` follow."""
            low = [g + j for g in range(0, 2 * LANES, 2 * half) for j in range(half)]
            return builder.fadd(pick(a, b, low), pick(a, b, [j + half for j in low]))

        def broadcast(value):
            lane = ir.Constant(ir.IntType(32), 0)
            kind = ir.VectorType(value.type, LANES)
            one = builder.insert_element(ir.Constant(kind, ir.Undefined), value, lane)
            return pick(one, one, [0] * LANES)

        factor = None if isinstance(scale, types.NoneType) else broadcast(scale_value)
        point = pointer(point_array, i, number(0))
        others = [pointer(other_array, builder.add(t, number(r)), number(0)) for r in range(rows)]
        sums = [cgutils.alloca_once(builder, vector) for _ in range(rows)]
        for total in sums:
            builder.store(ir.Constant(vector, [0.0] * LANES), total)

        def add(x, column):
            for other, total in zip(others, sums, strict=True):
                gap = builder.fsub(x, builder.load(address(other, column), align=bits // 8))
                if factor is not None:
                    gap = builder.fmul(gap, factor)
                if bits == 64:
                    gap = builder.fptrunc(gap, vector)
                builder.store(_fma(builder, gap, gap, builder.load(total)), total)

        n_features = cgutils.unpack_tuple(builder, point_array[1].shape)[1]
        n_steps = builder.udiv(n_features, number(LANES))
        with cgutils.for_range(builder, n_steps) as loop:
            column = builder.mul(loop.index, number(LANES))
            add(builder.load(address(point, column), align=bits // 8), column)
        column = builder.mul(n_steps, number(LANES))
        left = builder.sub(n_features, column)
        with builder.if_then(builder.icmp_unsigned(">", left, number(0))):
            padded = cgutils.alloca_once(builder, wide)
            builder.store(ir.Constant(wide, [0.0] * LANES), padded)
            lane = builder.bitcast(padded, point.type)
            with cgutils.for_range(builder, left) as loop:
                x = builder.load(builder.gep(point, [builder.add(column, loop.index)]))
                builder.store(x, builder.gep(lane, [loop.index]))
            add(builder.load(padded), column)

        folded = [builder.load(total) for total in sums]
        half = LANES // 2
        while half:
            more = len(folded) > 1
            pairs = zip(folded[::2], folded[1::2], strict=True) if more else [(folded[0],) * 2]
            folded = [fold(a, b, half) for a, b in pairs]
            half //= 2
        for r in range(rows):
            found = builder.extract_element(folded[0], ir.Constant(ir.IntType(32), r))
            builder.store(found, pointer(out_array, builder.add(t, number(r)), at))
        return context.get_dummy_value()

    return types.void(
        values, types.intp, table, types.intp, n_rows, scale, out, types.intp
    ), codegen


def add_square_plainly(total, gap):
    """Do the same in NumPy: to test against, and to run where the JIT is off.

    The square is exact in float64. The sum is rounded to odd there, and then once to float32.
    """
    total, square = np.float64(total), np.square(np.float64(gap))
    near = total + square
    high = near - total
    error = (total - (near - high)) + (square - high)
    even = (near.view(np.int64) & 1) == 0
    odd = np.nextafter(near, np.copysign(np.inf, error))
    return np.where(even & (error != 0.0), odd, near).astype(np.float32)[()]


def sq_dists_plainly(values, center, scale):
    """Return the squared distances of rows to a center, as `fill_row` has them."""
    gaps = values - center if scale is None else (values - center) * scale
    gaps = np.pad(gaps.astype(np.float32), ((0, 0), (0, -values.shape[1] % LANES)))
    total = np.zeros((len(values), LANES), np.float32)
    for first in range(0, gaps.shape[1], LANES):
        total = add_square_plainly(total, gaps[:, first : first + LANES])
    while total.shape[1] > 1:
        half = total.shape[1] // 2
        total = total[:, :half] + total[:, half:]
    return total[:, 0]


if JIT_OFF:
    # Intrinsics cannot be called from Python, so the names are defined again, and to a type
    # checker they are no functions: neither can be said to it in another way.
    add_square = add_square_plainly  # type: ignore[assignment]

    def bits_of(value):  # type: ignore[misc]
        """Return the bits of a float64, as an integer."""
        return np.float64(value).view(np.int64)

    def prefetch(values, i, j):  # type: ignore[misc]
        """Do nothing."""

    def fill_row(values, i, table, t, n_rows, scale, out, at):  # type: ignore[misc]
        """Write the squared distances of one row to several."""
        rows = table[t : t + n_rows, : values.shape[1]]
        out[t : t + n_rows, at] = sq_dists_plainly(rows, values[i], scale)

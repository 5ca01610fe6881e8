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

from ._jit import JIT_OFF, jit_inline
from ._vectors import INT32, Place, Variable, find_arrays, pick, splat, zeros

LANES = 8


@intrinsic
def add_square(typing_context, total, gap):
    """Return ``total + gap * gap``, rounded once; all float32."""

    def codegen(context, builder, signature, arguments):
        total, gap = arguments
        return builder.fma(gap, gap, total)

    return types.float32(types.float32, types.float32), codegen


@intrinsic
def prefetch(typing_context, values, i, j):
    """Bring the cache line of ``values[i, j]``, or of ``values[i]``, nearer."""

    def codegen(context, builder, signature, arguments):
        place, i, j = find_arrays(context, builder, signature.args, arguments)
        at = i if values.ndim == 1 else builder.add(builder.mul(i, place.columns), j)
        pointer = place.find(at, place.number)
        kinds = [pointer.type, INT32, INT32, INT32]
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
        )
        read, keep, data = 0, 3, 1
        builder.call(function, [pointer, *(INT32(number) for number in (read, keep, data))])
        return context.get_dummy_value()

    return types.void(values, types.intp, types.intp), codegen


@intrinsic(prefer_literal=True)
def fill_row(typing_context, values, i, table, t, n_rows, scale, out, at):
    """Write to ``out[t + r, at]`` the sums of squares of ``values[i, j] - table[t + r, j]``.

    For r below `n_rows`, which is a literal 4 or 8. A difference is taken in the type of both
    arrays (float32 or float64, in C order), multiplied by `scale` unless that is None, and
    becomes a float32. The table is filled up with zeros to a multiple of LANES features.
    """
    align = values.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        points, i, others, t, _, factor, found, at = find_arrays(
            context, builder, signature.args, arguments
        )
        number, nothing, index = points.number, zeros(ir.FloatType(), LANES), i.type
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(nothing.type, [nothing.type] * 3), "llvm.fma.v8f32"
        )
        factor = None if isinstance(scale, types.NoneType) else splat(builder, factor, LANES)
        point = builder.mul(i, points.columns)
        rows = [builder.add(t, index(r)) for r in range(n_rows.literal_value)]
        firsts = [builder.mul(row, others.columns) for row in rows]
        sums = [Variable(builder, nothing) for _ in rows]

        def add(x, column):
            for first, total in zip(firsts, sums, strict=True):
                gap = builder.fsub(x, others.load(builder.add(first, column), LANES, align))
                if factor is not None:
                    gap = builder.fmul(gap, factor)
                if values.dtype == types.float64:
                    gap = builder.fptrunc(gap, nothing.type)
                total.store(builder.call(fma, [gap, gap, total.load()]))

        def fold(a, b, half):
            """Add the halves of each group of ``2 * half`` lanes; the groups of `b` follow."""
            low = [g + j for g in range(0, 2 * LANES, 2 * half) for j in range(half)]
            return builder.fadd(
                pick(builder, a, b, low), pick(builder, a, b, [j + half for j in low])
            )

        n_steps = builder.udiv(points.columns, index(LANES))
        with cgutils.for_range(builder, n_steps) as loop:
            column = builder.mul(loop.index, index(LANES))
            add(points.load(builder.add(point, column), LANES, align), column)
        column = builder.mul(n_steps, index(LANES))
        left = builder.sub(points.columns, column)
        with builder.if_then(builder.icmp_unsigned(">", left, index(0))):
            padded = Place(builder, cgutils.alloca_once(builder, number, size=LANES), number)
            padded.store(zeros(number, LANES), index(0), align)
            with cgutils.for_range(builder, left) as loop:
                at_last = builder.add(builder.add(point, column), loop.index)
                padded.store(points.load(at_last), loop.index)
            add(padded.load(index(0), LANES, align), column)

        folded = [total.load() for total in sums]
        half = LANES // 2
        while half:
            more = len(folded) > 1
            pairs = zip(folded[::2], folded[1::2], strict=True) if more else [(folded[0],) * 2]
            folded = [fold(a, b, half) for a, b in pairs]
            half //= 2
        for r, row in enumerate(rows):
            total = builder.extract_element(folded[0], INT32(r))
            found.store(total, builder.add(builder.mul(row, found.columns), at))
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

    def prefetch(values, i, j):  # type: ignore[misc]
        """Do nothing."""

    def fill_row(values, i, table, t, n_rows, scale, out, at):  # type: ignore[misc]
        """Write the squared distances of one row to several."""
        rows = table[t : t + n_rows, : values.shape[1]]
        out[t : t + n_rows, at] = sq_dists_plainly(rows, values[i], scale)


@jit_inline
def scaled(gap, scale):
    """Return a difference as it is squared. Only of arguments does Numba see that one is None."""
    if scale is not None:
        gap = gap * scale
    return np.float32(gap)

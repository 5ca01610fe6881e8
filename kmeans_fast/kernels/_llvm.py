"""The intrinsics of kernels: machine code that LLVM does not find by itself, written out for it.

Each is of the same name as what it does in NumPy, whose docstring says what that is.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._bits import BITS
from ._candidates import GREEN, NUMBER_BITS, RED
from ._candidates import LANES as COLORS
from ._lanes import LANES as SQUARES
from ._lanes import WIDTH as HALF
from ._rows import LANES, TURNED
from ._tiles import ROW, ROWS, TERMS, WIDTH
from ._vectors import INT32, Variable, find_arrays, pick, splat, zeros

INT = ir.IntType(64)
FUSED = ("contract",)
BYTES = 64  # which every tile begins at a multiple of


@intrinsic
def fused(typing_context, a, b, c):
    """Return ``a * b + c``, rounded once; all float64."""

    def codegen(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), codegen


@intrinsic
def add_squares(typing_context, values, i, centroids, k):
    """Return the sum of ``(values[i, j] - centroids[k, j]) ** 2`` over the first features.

    Over as many of them as are a multiple of SQUARES. `values` (n, d) are float32 or float64 and
    `centroids` (k, d) float64, both in C order.
    """

    def codegen(context, builder, signature, arguments):
        points, i, others, k = find_arrays(context, builder, signature.args, arguments)
        nothing = zeros(ir.DoubleType(), HALF)
        sums = [Variable(builder, nothing) for _ in range(2)]
        point, other = builder.mul(i, points.columns), builder.mul(k, others.columns)
        n_steps = builder.udiv(points.columns, i.type(SQUARES))
        with cgutils.for_range(builder, n_steps) as loop:
            first = builder.mul(loop.index, i.type(SQUARES))
            for half, total in enumerate(sums):
                at = builder.add(first, i.type(half * HALF))
                x = points.load(builder.add(point, at), HALF, align=values.dtype.bitwidth // 8)
                if not isinstance(values.dtype, types.Float):
                    as_floats = builder.sitofp if values.dtype.signed else builder.uitofp
                    x = as_floats(x, nothing.type)
                elif values.dtype == types.float32:
                    x = builder.fpext(x, nothing.type)
                difference = builder.fsub(x, others.load(builder.add(other, at), HALF, align=8))
                square = builder.fmul(difference, difference)
                total.store(builder.fadd(total.load(), square))
        total = builder.fadd(*(each.load() for each in sums))
        for width in (4, 2, 1):
            halves = (range(width), range(width, 2 * width))
            total = builder.fadd(*(pick(builder, total, total, lanes) for lanes in halves))
        return builder.extract_element(total, INT32(0))

    return types.float64(values, types.intp, centroids, types.intp), codegen


@intrinsic
def add_square(typing_context, total, gap):
    """Return ``total + gap * gap``, rounded once; all float32."""

    def codegen(context, builder, signature, arguments):
        total, gap = arguments
        return builder.fma(gap, gap, total)

    return types.float32(types.float32, types.float32), codegen


@intrinsic
def sqrt(typing_context, x):
    """See `_rows`."""

    def codegen(context, builder, signature, arguments):
        name = f"llvm.sqrt.f{x.bitwidth}"
        kind = arguments[0].type
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind]), name
        )
        return builder.call(function, arguments)

    return x(x), codegen


@intrinsic
def find_flags(typing_context, flags):
    """See `_bits`."""

    def codegen(context, builder, signature, arguments):
        (place,) = find_arrays(context, builder, signature.args, arguments)
        some = place.load(INT(0), BITS, 4)
        return builder.bitcast(builder.icmp_signed("!=", some, some.type([0] * BITS)), INT)

    return types.uint64(flags), codegen


@intrinsic
def lowest_bit(typing_context, bits):
    """See `_bits`."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(*arguments, ir.IntType(1)(0))

    return types.int64(types.uint64), codegen


@intrinsic
def find_nearest(typing_context, lists, first, last, red, green, blue):
    """See `_candidates`."""

    def codegen(context, builder, signature, arguments):
        place, first, last, *values = find_arrays(context, builder, signature.args, arguments)
        values = [splat(builder, builder.trunc(value, INT32), COLORS) for value in values]
        kind = values[0].type
        best = Variable(builder, kind([0x7FFFFFFF] * COLORS))
        with cgutils.for_range_slice(builder, first, last, INT(1), intp=INT) as (i, _):
            at = builder.mul(i, INT(4 * COLORS))
            rows = [builder.add(at, INT(row * COLORS)) for row in range(4)]
            *channels, number = (builder.sext(place.load(row, COLORS, 2), kind) for row in rows)
            key = number
            for value, channel, weight in zip(values, channels, (RED, GREEN, 1), strict=True):
                gap = builder.sub(value, channel)
                factor = kind([weight << NUMBER_BITS] * COLORS)
                key = builder.add(key, builder.mul(builder.mul(gap, gap), factor))
            nearer = builder.icmp_signed("<", key, best.load())
            best.store(builder.select(nearer, key, best.load()))
        least = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(INT32, [kind]), "llvm.vector.reduce.smin.v8i32"
        )
        key = builder.call(least, [best.load()])
        return builder.zext(builder.and_(key, INT32((1 << NUMBER_BITS) - 1)), INT)

    index = types.intp
    return types.intp(lists, index, index, index, index, index), codegen


@intrinsic
def prefetch(typing_context, values, i, j):
    """Bring the cache line of ``values[i, j]``, or of ``values[i]``, nearer."""

    def codegen(context, builder, signature, arguments):
        place, i, j = find_arrays(context, builder, signature.args, arguments)
        at = i if values.ndim == 1 else builder.add(builder.mul(i, place.columns), j)
        pointer = builder.bitcast(place.find(at, place.number), ir.IntType(8).as_pointer())
        kinds = [pointer.type, INT32, INT32, INT32]
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), kinds), "llvm.prefetch.p0"
        )
        read, keep, data = 0, 3, 1
        builder.call(function, [pointer, *(INT32(number) for number in (read, keep, data))])
        return context.get_dummy_value()

    return types.void(values, types.intp, types.intp), codegen


@intrinsic(prefer_literal=True)
def add_tile(typing_context, columns, first, last, table, t, n_rows, scale, out, at):
    """See `_rows`."""
    align = columns.dtype.bitwidth // 8

    def codegen(context, builder, signature, arguments):
        points, first, last, others, t, _, factor, found, at = find_arrays(
            context, builder, signature.args, arguments
        )
        nothing = zeros(ir.FloatType(), LANES)
        fma = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(nothing.type, [nothing.type] * 3), "llvm.fma.v16f32"
        )
        factor = None if isinstance(scale, types.NoneType) else splat(builder, factor, LANES)
        rows = [builder.add(t, INT(r)) for r in range(n_rows.literal_value)]
        centers = [builder.mul(row, others.columns) for row in rows]
        places = [builder.add(builder.mul(row, found.columns), at) for row in rows]
        begun = builder.icmp_signed(">", first, INT(0))
        sums = [
            Variable(builder, builder.select(begun, found.load(place, LANES, 4), nothing))
            for place in places
        ]
        with cgutils.for_range_slice(builder, first, last, INT(1), intp=INT) as (j, _):
            x = points.load(builder.mul(builder.sub(j, first), INT(LANES)), LANES, align)
            for center, total in zip(centers, sums, strict=True):
                gap = builder.fsub(x, splat(builder, others.load(builder.add(center, j)), LANES))
                if factor is not None:
                    gap = builder.fmul(gap, factor)
                if columns.dtype == types.float64:
                    gap = builder.fptrunc(gap, nothing.type)
                total.store(builder.call(fma, [gap, gap, total.load()]))
        for place, total in zip(places, sums, strict=True):
            found.store(total.load(), place, 4)
        return context.get_dummy_value()

    index = types.intp
    return types.void(columns, index, index, table, index, n_rows, scale, out, index), codegen


# Eight vectors of eight become their own transpose in three rounds, each of which mixes pairs: what
# goes to the first and to the second of a pair, by lane. No lane moves more than a processor of the
# third level does in one step.
_MIXES = (
    (1, (0, 8, 1, 9, 4, 12, 5, 13), (2, 10, 3, 11, 6, 14, 7, 15)),
    (2, (0, 1, 8, 9, 4, 5, 12, 13), (2, 3, 10, 11, 6, 7, 14, 15)),
    (4, (0, 1, 2, 3, 8, 9, 10, 11), (4, 5, 6, 7, 12, 13, 14, 15)),
)
_TURNED = (0, 2, 1, 3, 4, 6, 5, 7)  # where the mixes leave each column


def _transpose(builder, rows):
    """Return the columns of eight vectors of eight numbers."""
    for step, low, high in _MIXES:
        mixed = list(rows)
        for a in range(TURNED):
            if not a & step:
                pair = rows[a], rows[a + step]
                mixed[a] = pick(builder, *pair, low)
                mixed[a + step] = pick(builder, *pair, high)
        rows = mixed
    return [rows[at] for at in _TURNED]


@intrinsic
def turn_points(
    typing_context, values, chosen, first, last, begin, end, middle, scale, block, at, width,
    norms, to,
):  # fmt: skip
    """See `_rows`."""
    framed = not isinstance(middle, types.NoneType)

    def codegen(context, builder, signature, arguments):
        (
            points, chosen, first, last, begin, end, center, factor, block, at, width, found, to
        ) = find_arrays(context, builder, signature.args, arguments)  # fmt: skip
        align = values.dtype.bitwidth // 8
        starts = []
        for r in range(TURNED):
            i = builder.add(first, INT(r))
            i = builder.select(builder.icmp_signed("<", i, last), i, last)
            starts.append(builder.mul(chosen.load(i), points.columns))
        total = Variable(builder, zeros(block.number, TURNED))
        if framed:
            factor = splat(builder, factor, TURNED)

        def turn(j, n_known=None):
            """Write eight features from j on; the norms have those before `n_known`."""
            rows = [points.load(builder.add(start, j), TURNED, align) for start in starts]
            if not isinstance(values.dtype, types.Float):
                as_floats = builder.sitofp if values.dtype.signed else builder.uitofp
                rows = [as_floats(x, total.kind) for x in rows]
            if framed:
                middles = center.load(j, TURNED, align)
                rows = [builder.fmul(builder.fsub(x, middles), factor) for x in rows]
            if rows[0].type != total.kind:
                rows = [builder.fptrunc(x, total.kind) for x in rows]
            for column, x in enumerate(_transpose(builder, rows)):
                row = builder.mul(builder.add(builder.sub(j, begin), INT(column)), width)
                block.store(x, builder.add(at, row), align=4)
                if framed:
                    if n_known is not None:
                        new = builder.icmp_signed(">=", INT(column), n_known)
                        x = builder.select(new, x, total.kind([0.0] * TURNED))
                    square = builder.fmul(x, x, flags=FUSED)
                    total.store(builder.fadd(total.load(), square, flags=FUSED))

        eight, n = INT(TURNED), builder.sub(end, begin)
        with cgutils.for_range(builder, builder.udiv(n, eight)) as loop:
            turn(builder.add(begin, builder.mul(loop.index, eight)))
        left = builder.urem(n, eight)
        with builder.if_then(builder.icmp_unsigned(">", left, INT(0))):
            turn(builder.sub(end, eight), builder.sub(eight, left))
        if framed:
            found.store(total.load(), to, align=4)
        return context.get_dummy_value()

    index = types.intp
    kinds = values, chosen, index, index, index, index, middle, scale, block, index, index
    return types.void(*kinds, norms, index), codegen


def _add_scores(builder, block, at, d, centers, half_norms, indices):
    """Write what finds the scores of some centroids; return them, a vector each."""
    zero, terms, nothing = INT(0), INT(TERMS), zeros(ir.FloatType(), WIDTH)
    firsts = [builder.mul(k, d) for k in indices]
    totals = [Variable(builder, splat(builder, half_norms.load(k), WIDTH)) for k in indices]
    sums = [Variable(builder, nothing) for _ in indices]
    with cgutils.for_range_slice(builder, zero, d, terms, intp=INT) as (first, _):
        begin = builder.icmp_signed("==", first, zero)
        for part, total in zip(sums, totals, strict=True):
            part.store(builder.select(begin, total.load(), nothing))
        after = builder.add(first, terms)
        last = builder.select(builder.icmp_signed("<", after, d), after, d)
        with cgutils.for_range_slice(builder, first, last, INT(1), intp=INT) as (j, _):
            x = block.load(builder.add(at, builder.mul(j, INT(WIDTH))), WIDTH, BYTES)
            for row, part in zip(firsts, sums, strict=True):
                factor = splat(builder, centers.load(builder.add(row, j)), WIDTH)
                product = builder.fmul(factor, x, flags=FUSED)
                part.store(builder.fsub(part.load(), product, flags=FUSED))
        for part, total in zip(sums, totals, strict=True):
            summed = builder.fadd(total.load(), part.load())
            total.store(builder.select(begin, part.load(), summed))
    return [total.load() for total in totals]


@intrinsic
def scan_tile(
    typing_context, block, at, d, centers, half_norms, candidates, first, last, rows, to
):  # fmt: skip
    """Bring the least score of each point, the next, and the centroid of the least up to date.

    Looks at ``candidates[first:last]``, in fours. What was found so far is in ``rows[to:]``, from
    `ROW` on, and from ``2 * ROW`` on (the centroid, as a float).
    """

    def codegen(context, builder, signature, arguments):
        block, at, d, centers, half_norms, candidates, first, last, rows, to = find_arrays(
            context, builder, signature.args, arguments
        )
        places = [builder.add(to, INT(row * ROW)) for row in range(3)]
        kept = [Variable(builder, rows.load(place, WIDTH, BYTES)) for place in places]
        with cgutils.for_range_slice(builder, first, last, INT(ROWS), intp=INT) as (p, _):
            indices = [
                builder.sext(candidates.load(builder.add(p, INT(row))), INT) for row in range(ROWS)
            ]
            scores = _add_scores(builder, block, at, d, centers, half_norms, indices)
            least, others, nearest = (each.load() for each in kept)
            for k, score in zip(indices, scores, strict=True):
                lower = builder.fcmp_ordered("<", score, least)
                other = builder.select(builder.fcmp_ordered(">", least, score), least, score)
                others = builder.select(builder.fcmp_ordered("<", other, others), other, others)
                name = splat(builder, builder.sitofp(k, ir.FloatType()), WIDTH)
                nearest = builder.select(lower, name, nearest)
                least = builder.select(lower, score, least)
            for each, value in zip(kept, (least, others, nearest), strict=True):
                each.store(value)
        for each, place in zip(kept, places, strict=True):
            rows.store(each.load(), place, BYTES)
        return context.get_dummy_value()

    index = types.intp
    arguments = (
        block, index, index, centers, half_norms, candidates, index, index, rows, index
    )  # fmt: skip
    return types.void(*arguments), codegen


@intrinsic
def score_tile(typing_context, block, at, d, centers, half_norms, k, out, to):
    """Write the scores of centroids ``k:k + 4``, each a tile: ``out[to + row * WIDTH + i]``."""

    def codegen(context, builder, signature, arguments):
        block, at, d, centers, half_norms, k, out, to = find_arrays(
            context, builder, signature.args, arguments
        )
        indices = [builder.add(k, INT(row)) for row in range(ROWS)]
        scores = _add_scores(builder, block, at, d, centers, half_norms, indices)
        for row, score in enumerate(scores):
            out.store(score, builder.add(to, INT(row * WIDTH)), BYTES)
        return context.get_dummy_value()

    index = types.intp
    return types.void(block, index, index, centers, half_norms, index, out, index), codegen

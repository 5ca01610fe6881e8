"""The intrinsics of `_blocks`: a block is a vector of 32 lanes, cut by LLVM for a processor."""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic

from ._blocks import BLOCK, FAN
from ._vectors import find_arrays, splat

INT = ir.IntType(64)
INDEX = types.intp
PAIR = types.UniTuple(types.int64, 2)  # type: ignore[attr-defined]  # Numba has few types


def _align(number):
    return number.width // 8


def _load(place, at, width, number):
    """Return some numbers, or those of a narrower type that has no sign, as `number`."""
    some = place.load(at, width, _align(place.number))
    if place.number.width < number.width:
        some = place.builder.zext(some, ir.VectorType(number, width))
    return some


def _pick(builder, sign, a, b):
    """Return of each lane the greater (">") or the less ("<")."""
    return builder.select(builder.icmp_signed(sign, a, b), a, b)


def _reduce(builder, how, some):
    kind = some.type
    name = f"llvm.vector.reduce.{how}.v{kind.count}i{kind.element.width}"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind.element, [kind]), name
    )
    return builder.call(function, [some])


def _none(kind):
    return ir.Constant(kind, [0] * kind.count)


def _square_up(builder, gaps):
    total = None
    for gap in gaps:
        square = builder.mul(gap, gap)
        total = square if total is None else builder.add(total, square)
    return total


def _find_center(builder, axes, centers, row, width):
    """Return a center, a vector a channel."""
    first = builder.mul(row, INT(axes.count))
    at = (builder.add(first, INT(j)) for j in range(axes.count))
    return [splat(builder, centers.load(each), width) for each in at]


def _sq_dists(builder, axes, colors, first, centers, row):
    gaps = []
    for j, c in enumerate(_find_center(builder, axes, centers, row, BLOCK)):
        at = builder.add(builder.mul(INT(j), colors.columns), first)
        gaps.append(builder.sub(_load(colors, at, BLOCK, centers.number), c))
    return _square_up(builder, gaps)


def _weigh(builder, weights, first, values, width):
    """Return the sum of values by weight, in integers of so many bits."""
    kind = ir.VectorType(ir.IntType(width), BLOCK)

    def fit(some):
        if some.type.element.width > width:
            return builder.trunc(some, kind)
        return builder.sext(some, kind) if some.type.element.width < width else some

    some = weights.load(first, BLOCK, _align(weights.number))
    total = _reduce(builder, "add", builder.mul(fit(some), fit(values)))
    return builder.sext(total, INT) if width < 64 else total


@intrinsic
def find_near(typing_context, axes, boxes, far, first, centers, row):
    """Return which of the sixteen parts from `first` on a centre comes near, as bits."""

    def codegen(context, builder, signature, arguments):
        _, boxes, far, first, centers, row = find_arrays(
            context, builder, signature.args, arguments
        )
        number, gaps = far.number, []
        for j, c in enumerate(_find_center(builder, axes, centers, row, FAN)):
            low, high = (
                _load(boxes, builder.add(builder.mul(INT(side), boxes.columns), first), FAN, number)
                for side in (2 * j, 2 * j + 1)
            )
            gap = _pick(builder, ">", builder.sub(low, c), builder.sub(c, high))
            gaps.append(_pick(builder, ">", gap, _none(gap.type)))
        near = builder.icmp_signed(
            "<", _square_up(builder, gaps), far.load(first, FAN, _align(number))
        )
        return builder.zext(builder.bitcast(near, ir.IntType(FAN)), INT)

    return types.int64(axes, boxes, far, INDEX, centers, INDEX), codegen


def _gain(axes, colors, weights, closest, centers, width):
    def codegen(context, builder, signature, arguments):
        _, colors, weights, closest, first, centers, row = find_arrays(
            context, builder, signature.args, arguments
        )
        before = closest.load(first, BLOCK, _align(closest.number))
        less = builder.sub(before, _sq_dists(builder, axes, colors, first, centers, row))
        less = _pick(builder, ">", less, _none(less.type))
        return _weigh(builder, weights, first, less, width)

    return types.int64(axes, colors, weights, closest, INDEX, centers, INDEX), codegen


@intrinsic
def find_gain(typing_context, axes, colors, weights, closest, first, centers, row):
    """Return by how much a centre would lower the potential of the block that begins at `first`."""
    return _gain(axes, colors, weights, closest, centers, 64)


@intrinsic
def find_small_gain(typing_context, axes, colors, weights, closest, first, centers, row):
    """Return the same where the potential is below 2**31, in numbers of 32 bits."""
    return _gain(axes, colors, weights, closest, centers, 32)


@intrinsic
def lower_block(typing_context, axes, colors, weights, closest, first, centers, row):
    """Lower `closest` to a centre; return the greatest, and the sum by weight."""

    def codegen(context, builder, signature, arguments):
        _, colors, weights, closest, first, centers, row = find_arrays(
            context, builder, signature.args, arguments
        )
        align = _align(closest.number)
        before = closest.load(first, BLOCK, align)
        after = _sq_dists(builder, axes, colors, first, centers, row)
        after = _pick(builder, "<", before, after)
        closest.store(after, first, align)
        most = _reduce(builder, "smax", after)
        most = builder.sext(most, INT) if most.type.width < 64 else most
        return cgutils.pack_array(builder, [most, _weigh(builder, weights, first, after, 64)])

    return PAIR(axes, colors, weights, closest, INDEX, centers, INDEX), codegen


@intrinsic
def find_box(typing_context, axes, colors, first, boxes, part):
    """Write the box of the block that begins at `first`."""

    def codegen(context, builder, signature, arguments):
        _, colors, first, boxes, part = find_arrays(context, builder, signature.args, arguments)
        for j in range(axes.count):
            at = builder.add(builder.mul(INT(j), colors.columns), first)
            some = colors.load(at, BLOCK, _align(colors.number))
            for side, how in enumerate(("umin", "umax")):
                at = builder.add(builder.mul(INT(2 * j + side), boxes.columns), part)
                boxes.store(_reduce(builder, how, some), at)
        return context.get_dummy_value()

    return types.void(axes, colors, INDEX, boxes, INDEX), codegen


@intrinsic
def add_parts(typing_context, far, potential, first):
    """Return the greatest `far` of sixteen parts, and the sum of their `potential`."""

    def codegen(context, builder, signature, arguments):
        far, potential, first = find_arrays(context, builder, signature.args, arguments)
        most = _reduce(builder, "smax", far.load(first, FAN, _align(far.number)))
        most = builder.sext(most, INT) if most.type.width < 64 else most
        total = _reduce(builder, "add", potential.load(first, FAN, 8))
        return cgutils.pack_array(builder, [most, total])

    return PAIR(far, potential, INDEX), codegen


@intrinsic
def lowest_bit(typing_context, mask):
    """Return the number of the lowest bit that is set in an int64, which is not zero."""

    def codegen(context, builder, signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


@intrinsic
def load_shared(typing_context, numbers, i):
    """Return ``numbers[i]``, int64, as the last thread left it."""

    def codegen(context, builder, signature, arguments):
        place, at = find_arrays(context, builder, signature.args, arguments)
        return builder.load_atomic(place.find(at, INT), "acquire", 8, typ=INT)

    return types.int64(numbers, INDEX), codegen


@intrinsic
def store_shared(typing_context, numbers, i, value):
    """Set ``numbers[i]``."""

    def codegen(context, builder, signature, arguments):
        place, at, value = find_arrays(context, builder, signature.args, arguments)
        builder.store_atomic(value, place.find(at, INT), "release", 8)
        return context.get_dummy_value()

    return types.void(numbers, INDEX, types.int64), codegen


@intrinsic
def swap_shared(typing_context, numbers, i, before, after):
    """Set ``numbers[i]`` if it is as before, in one step, and tell whether it was."""

    def codegen(context, builder, signature, arguments):
        place, at, before, after = find_arrays(context, builder, signature.args, arguments)
        found = builder.cmpxchg(place.find(at, INT), before, after, "acq_rel", "acquire")
        return builder.extract_value(found, 1)

    return types.boolean(numbers, INDEX, types.int64, types.int64), codegen

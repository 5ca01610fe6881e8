"""The scores of a tile of points, in registers.

A tile is `WIDTH` points, feature by feature: ``block[at + j * WIDTH + i]`` is feature j of point
i, and ``at`` is 64 bytes aligned. A score is half the squared norm of a centroid less its product
with the point. `ROWS` centroids at a time keep eight sums in registers, all that a processor with
two multipliers needs to be busy: 93 GFLOP/s a core at 3.2 GHz (AVX2), where OpenBLAS makes 78 and
plain loops, whose sums go through memory, make 40 to 60. LLVM is told to use vectors, for it makes
none of a loop over centroids within one over features.

Products and sums are fused and rounded as the machine likes: scores only say who may be nearest.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.extending import intrinsic
from numba.np.arrayobj import make_array

from ._jit import JIT_OFF


def _has_wide_vectors() -> bool:
    """Say whether 64 bytes fit in a register; some systems do not tell."""
    try:
        return bool(llvm.get_host_cpu_features().get("avx512f"))
    except RuntimeError:
        return False


WIDTH = 32 if _has_wide_vectors() else 16
ROWS = 4
# Between what is kept of a block of points, a number each: 64 bytes aligned, but no multiple of
# 4 kB, where loads wait for stores that they do not depend on.
ROW = 528
# The features added up at a time: a score then errs by that and the number of such sums times
# the rounding of one, not by the number of features.
TERMS = 64

VECTOR = ir.VectorType(ir.FloatType(), WIDTH)
INT = ir.IntType(64)
FUSED = ("contract",)


class _Builder:
    """What both intrinsics are built from: loads, stores, and the scores of some centroids."""

    def __init__(self, context: Any, builder: Any, types_: Any, arguments: Any) -> None:
        self.builder = builder
        self.pointers = [
            make_array(kind)(context, builder, argument).data
            if isinstance(kind, types.Array)
            else argument
            for kind, argument in zip(types_, arguments, strict=True)
        ]

    def splat(self, number: Any) -> Any:
        """Return a vector of one number."""
        undefined = ir.Constant(VECTOR, ir.Undefined)
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        first = self.builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
        return self.builder.shuffle_vector(first, undefined, lanes)

    def address(self, pointer: Any, at: Any) -> Any:
        """Return where the vector at an index is."""
        return self.builder.bitcast(self.builder.gep(pointer, [at]), VECTOR.as_pointer())

    def load(self, pointer: Any, at: Any) -> Any:
        """Load a vector."""
        return self.builder.load(self.address(pointer, at), align=64)

    def store(self, vector: Any, pointer: Any, at: Any) -> None:
        """Store a vector."""
        self.builder.store(vector, self.address(pointer, at), align=64)

    def scores(
        self, block: Any, at: Any, d: Any, centers: Any, half_norms: Any, indices: list[Any]
    ) -> list[Any]:
        """Return the scores of the centroids, a vector each."""
        builder = self.builder
        zero, terms = ir.Constant(INT, 0), ir.Constant(INT, TERMS)
        nothing = ir.Constant(VECTOR, [0.0] * WIDTH)
        rows = [builder.gep(centers, [builder.mul(k, d)]) for k in indices]
        totals, sums = ([cgutils.alloca_once(builder, VECTOR) for _ in rows] for _ in range(2))
        for total, k in zip(totals, indices, strict=True):
            builder.store(self.splat(builder.load(builder.gep(half_norms, [k]))), total)
        one = ir.Constant(INT, 1)
        with cgutils.for_range_slice(builder, zero, d, terms, intp=INT) as (first, _):
            for part, total in zip(sums, totals, strict=True):
                begin = builder.icmp_signed("==", first, zero)
                builder.store(builder.select(begin, builder.load(total), nothing), part)
            after = builder.add(first, terms)
            last = builder.select(builder.icmp_signed("<", after, d), after, d)
            with cgutils.for_range_slice(builder, first, last, one, intp=INT) as (j, _):
                offset = builder.add(at, builder.mul(j, ir.Constant(INT, WIDTH)))
                x = self.load(block, offset)
                for row, part in zip(rows, sums, strict=True):
                    product = builder.fmul(
                        self.splat(builder.load(builder.gep(row, [j]))), x, flags=FUSED
                    )
                    builder.store(builder.fsub(builder.load(part), product, flags=FUSED), part)
            for part, total in zip(sums, totals, strict=True):
                begin = builder.icmp_signed("==", first, zero)
                summed = builder.fadd(builder.load(total), builder.load(part))
                builder.store(builder.select(begin, builder.load(part), summed), total)
        return [builder.load(total) for total in totals]


@intrinsic
def scan_tile(
    typing_context, block, at, d, centers, half_norms, candidates, first, last, rows, to
):  # fmt: skip
    """Bring the least score of each point, the next, and the centroid of the least up to date.

    Looks at ``candidates[first:last]``, in fours. What was found so far is in ``rows[to:]``, from
    `ROW` on, and from ``2 * ROW`` on (the centroid, as a float).
    """

    def codegen(context, builder, signature, arguments):
        make = _Builder(context, builder, signature.args, arguments)
        block, at, d, centers, half_norms, candidates, first, last, rows, to = make.pointers
        found = [builder.add(to, ir.Constant(INT, row * ROW)) for row in range(3)]
        kept = [cgutils.alloca_once(builder, VECTOR) for _ in found]
        for slot, place in zip(kept, found, strict=True):
            builder.store(make.load(rows, place), slot)
        step = ir.Constant(INT, ROWS)
        with cgutils.for_range_slice(builder, first, last, step, intp=INT) as (p, _):
            indices = [
                builder.sext(
                    builder.load(builder.gep(candidates, [builder.add(p, ir.Constant(INT, row))])),
                    INT,
                )
                for row in range(ROWS)
            ]
            scores = make.scores(block, at, d, centers, half_norms, indices)
            least, others, nearest = (builder.load(slot) for slot in kept)
            for k, score in zip(indices, scores, strict=True):
                lower = builder.fcmp_ordered("<", score, least)
                other = builder.select(builder.fcmp_ordered(">", least, score), least, score)
                others = builder.select(builder.fcmp_ordered("<", other, others), other, others)
                name = make.splat(builder.sitofp(k, ir.FloatType()))
                nearest = builder.select(lower, name, nearest)
                least = builder.select(lower, score, least)
            for slot, value in zip(kept, (least, others, nearest), strict=True):
                builder.store(value, slot)
        for slot, place in zip(kept, found, strict=True):
            make.store(builder.load(slot), rows, place)
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
        make = _Builder(context, builder, signature.args, arguments)
        block, at, d, centers, half_norms, k, out, to = make.pointers
        indices = [builder.add(k, ir.Constant(INT, row)) for row in range(ROWS)]
        for row, score in enumerate(make.scores(block, at, d, centers, half_norms, indices)):
            make.store(score, out, builder.add(to, ir.Constant(INT, row * WIDTH)))
        return context.get_dummy_value()

    index = types.intp
    return types.void(block, index, index, centers, half_norms, index, out, index), codegen


def _scores(block: Any, at: int, d: int, centers: Any, half_norms: Any, indices: Any) -> Any:
    tile = block[at : at + d * WIDTH].reshape(d, WIDTH)
    return half_norms[indices, None] - centers[indices] @ tile


def scan_tile_plainly(
    block: Any, at: int, d: int, centers: Any, half_norms: Any, candidates: Any, first: int,
    last: int, rows: Any, to: int,
) -> None:  # fmt: skip
    """Do the same in NumPy: to test against, and to run where the JIT is off."""
    least, others, nearest = (rows[row * ROW + to :][:WIDTH] for row in range(3))
    some = candidates[first:last]
    for k, score in zip(some, _scores(block, at, d, centers, half_norms, some), strict=True):
        lower = score < least
        others[:] = np.minimum(others, np.maximum(score, least))
        nearest[:] = np.where(lower, k, nearest)
        least[:] = np.where(lower, score, least)


def score_tile_plainly(
    block: Any, at: int, d: int, centers: Any, half_norms: Any, k: int, out: Any, to: int
) -> None:
    """Do the same in NumPy: to test against, and to run where the JIT is off."""
    scores = _scores(block, at, d, centers, half_norms, np.arange(k, k + ROWS))
    out[to : to + ROWS * WIDTH] = scores.reshape(-1)


if JIT_OFF:
    # Intrinsics cannot be called from Python; to a type checker they are no functions either.
    scan_tile = scan_tile_plainly  # type: ignore[assignment]
    score_tile = score_tile_plainly  # type: ignore[assignment]

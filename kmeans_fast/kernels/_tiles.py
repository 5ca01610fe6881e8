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

from ._jit import JIT_OFF
from ._vectors import Variable, find_arrays, splat, zeros


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

INT = ir.IntType(64)
FUSED = ("contract",)
BYTES = 64  # which every tile begins at a multiple of


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

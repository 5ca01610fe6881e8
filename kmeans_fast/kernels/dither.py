"""Dithering: each pixel takes a colour of the palette such that neighbours together look right.

Values are whole numbers, in quarters of a level, so that errors are the same on every machine.
`palette`, int32 (k, 3) with k at most 256, is in these units, `pixels`, uint8 (h, w, 3), in levels.

Distances are about as seen: squares of differences count twice in red and four times in green. With
palettes of 16, 64 and 256 colours the blurred error is 3, 4 and 8 % less by that, and the grain 3
to 4 % (six photographs, Floyd and Steinberg).

The nearest colour of a value is found exactly, among those of the value's cell, a cube of 8 levels:
its list has all colours that are nearest to some value in it. `lists` are int16 (m, 4, LANES), as
`find_nearest` takes them, each filled up by its last colour; `spans`, int32 (cells, 2), say where
that of a cell begins and ends. A slab of cells has an equal part of `lists`, room for all.
"""

from __future__ import annotations

import numpy as np

from ._candidates import GREEN, LANES, RED, find_nearest
from ._jit import jit
from ._rows import sqrt

UNIT_BITS = 2  # of a value, below a level: a square times 2 + 4 + 1 fits into 23 bits
CELL_BITS, COARSE_BITS = 3, 5  # of a cell's side in levels, and of that of a coarse one
SIDES, SLABS = 256 >> CELL_BITS, 256 >> COARSE_BITS  # such cells along an axis
FINE = SIDES // SLABS
SHIFT = CELL_BITS + UNIT_BITS
WEIGHT_BITS = 12


@jit
def keep_candidates(red, green, blue, side, palette, some, n_some, kept, n_kept):
    """Append to ``kept[:n_kept]`` those of ``some[:n_some]`` that are nearest somewhere in a cube.

    The values of the cube are ``red .. red + side`` and so on. What is left out is farther than one
    other, the nearest to the middle, even from the corner that lies farthest in its direction.
    Returns how many there are.
    """
    least = np.int64(1) << 40
    nearest = 0
    for i in range(n_some):
        k = np.int64(some[i])
        r = 2 * (red - palette[k, 0]) + side
        g = 2 * (green - palette[k, 1]) + side
        b = 2 * (blue - palette[k, 2]) + side
        sq_dist = RED * r * r + GREEN * g * g + b * b
        if sq_dist < least:
            least = sq_dist
            nearest = k
    nr, ng, nb = palette[nearest, 0], palette[nearest, 1], palette[nearest, 2]
    for i in range(n_some):
        k = np.int64(some[i])
        r, g, b = palette[k, 0] - nr, palette[k, 1] - ng, palette[k, 2] - nb
        far_r = 2 * (red + (side if r > 0 else 0) - nr) - r
        far_g = 2 * (green + (side if g > 0 else 0) - ng) - g
        far_b = 2 * (blue + (side if b > 0 else 0) - nb) - b
        if RED * r * far_r + GREEN * g * far_g + b * far_b >= 0:
            kept[n_kept] = k
            n_kept += 1
    return n_kept


@jit
def list_candidates(slab, palette, usable, spans, lists):
    """Fill the lists of the cells of a slab, one of `SLABS` along red.

    Of the colours `usable`, uint8 (n,), which are sorted.
    """
    n = len(usable)
    some, few = np.empty(n, np.uint8), np.empty(n, np.uint8)
    end = slab * (len(lists) // SLABS)
    coarse_shift = COARSE_BITS + UNIT_BITS
    for green in range(SLABS):
        for blue in range(SLABS):
            n_some = keep_candidates(
                slab << coarse_shift, green << coarse_shift, blue << coarse_shift,
                (1 << coarse_shift) - 1, palette, usable, n, some, 0,
            )  # fmt: skip
            for i in range(FINE * FINE * FINE):
                r = slab * FINE + i // (FINE * FINE)
                g = green * FINE + i // FINE % FINE
                b = blue * FINE + i % FINE
                cell = (r * SIDES + g) * SIDES + b
                spans[cell, 0] = end
                n_few = keep_candidates(
                    r << SHIFT, g << SHIFT, b << SHIFT, (1 << SHIFT) - 1, palette, some, n_some,
                    few, 0,
                )  # fmt: skip
                for first in range(0, n_few, LANES):
                    for j in range(LANES):
                        k = np.int64(few[min(first + j, n_few - 1)])
                        for channel in range(3):
                            lists[end, channel, j] = palette[k, channel]
                        lists[end, 3, j] = k
                    end += 1
                spans[cell, 1] = end


@jit
def diffuse_rows(first, start, stop, pixels, labels, palette, spans, lists, weights, out):
    """Dither the rows ``first:stop`` by error diffusion, and write those from `start` on.

    `labels` and `out` are uint8 (h, w). A pixel whose label's colour is its own keeps it, and what
    error comes to it ends there. `weights`, int32 (3, 5), are the shares of an error, in 4096ths,
    that go to this row and the next two, from two pixels back to two ahead.

    Even rows are gone through from left to right, odd ones from right to left.
    """
    width = pixels.shape[1]
    largest = 255 << UNIT_BITS
    errors = np.zeros((3, 3 * (width + 4)), np.int32)  # of this row and of two above, by turns
    handed = np.empty(3 * width, np.int32)  # what rows above hand to this one, in 4096ths
    one, two = np.int64(weights[0, 3]), np.int64(weights[0, 4])
    reaches_two_rows = weights[2].any()
    for y in range(first, stop):
        back = y & 1
        # By columns from left to right: the row above went the other way, the one before this way.
        left, right = (4, 0) if back else (0, 4)
        step = -1 if back else 1
        a0, a1, a2 = weights[1, left], weights[1, left + step], weights[1, 2]
        a3, a4 = weights[1, right - step], weights[1, right]
        b0, b1, b2 = weights[2, right], weights[2, right - step], weights[2, 2]
        b3, b4 = weights[2, left + step], weights[2, left]
        row = (y + 2) % 3
        for i in range(np.uint64(3 * width)):
            handed[i] = (
                (1 << (WEIGHT_BITS - 1))
                + a0 * errors[row, i]
                + a1 * errors[row, i + np.uint64(3)]
                + a2 * errors[row, i + np.uint64(6)]
                + a3 * errors[row, i + np.uint64(9)]
                + a4 * errors[row, i + np.uint64(12)]
            )
        if reaches_two_rows:
            row = (y + 1) % 3
            for i in range(np.uint64(3 * width)):
                handed[i] += (
                    b0 * errors[row, i]
                    + b1 * errors[row, i + np.uint64(3)]
                    + b2 * errors[row, i + np.uint64(6)]
                    + b3 * errors[row, i + np.uint64(9)]
                    + b4 * errors[row, i + np.uint64(12)]
                )
        row = y % 3
        r1 = g1 = c1 = r2 = g2 = c2 = np.int64(0)  # errors one and two pixels ago
        for at_x in range(width):
            x = np.uint64(width - 1 - at_x if back else at_x)
            at = np.uint64(3) * x
            r = np.int64(pixels[y, x, 0]) << UNIT_BITS
            g = np.int64(pixels[y, x, 1]) << UNIT_BITS
            b = np.int64(pixels[y, x, 2]) << UNIT_BITS
            k = np.int64(labels[y, x])
            er, eg, eb = r - palette[k, 0], g - palette[k, 1], b - palette[k, 2]
            if er != 0 or eg != 0 or eb != 0:
                r += (handed[at] + one * r1 + two * r2) >> WEIGHT_BITS
                g += (handed[at + np.uint64(1)] + one * g1 + two * g2) >> WEIGHT_BITS
                b += (handed[at + np.uint64(2)] + one * c1 + two * c2) >> WEIGHT_BITS
                r = min(max(r, 0), largest)
                g = min(max(g, 0), largest)
                b = min(max(b, 0), largest)
                cell = ((r >> SHIFT) * SIDES + (g >> SHIFT)) * SIDES + (b >> SHIFT)
                k = find_nearest(lists, spans[cell, 0], spans[cell, 1], r, g, b)
                er, eg, eb = r - palette[k, 0], g - palette[k, 1], b - palette[k, 2]
            errors[row, at + np.uint64(6)] = er
            errors[row, at + np.uint64(7)] = eg
            errors[row, at + np.uint64(8)] = eb
            r2, g2, c2 = r1, g1, c1
            r1, g1, c1 = er, eg, eb
            if y >= start:
                out[y, x] = k


@jit
def order_rows(
    start, stop, pixels, labels, palette, spans, lists, factors, reaches, out
):  # fmt: skip
    """Dither the rows ``start:stop`` by a pattern.

    What a pixel differs from its label's colour is taken `factors` times, float64 (m, m), repeated
    over the picture, or up to `reaches`, float64 (k,) in units of distance; and the pixel takes the
    colour that is nearest to where that leads. So a pixel between two colours takes each as often
    as it is nearer, and one whose colour is there keeps it.
    """
    last = len(factors) - 1  # a power of two less one
    largest = 255 << UNIT_BITS
    for y in range(start, stop):
        for x in range(np.uint64(pixels.shape[1])):
            k = np.int64(labels[y, x])
            r, g, b = palette[k, 0], palette[k, 1], palette[k, 2]
            er = (np.int64(pixels[y, x, 0]) << UNIT_BITS) - r
            eg = (np.int64(pixels[y, x, 1]) << UNIT_BITS) - g
            eb = (np.int64(pixels[y, x, 2]) << UNIT_BITS) - b
            if er != 0 or eg != 0 or eb != 0:
                distance = sqrt(np.float64(RED * er * er + GREEN * eg * eg + eb * eb))
                most = factors[y & last, x & np.uint64(last)]
                factor = max(1.0, min(most, reaches[k] / distance))
                r = min(max(r + np.int64(factor * er), 0), largest)
                g = min(max(g + np.int64(factor * eg), 0), largest)
                b = min(max(b + np.int64(factor * eb), 0), largest)
                cell = ((r >> SHIFT) * SIDES + (g >> SHIFT)) * SIDES + (b >> SHIFT)
                k = find_nearest(lists, spans[cell, 0], spans[cell, 1], r, g, b)
            out[y, x] = k

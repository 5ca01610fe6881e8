"""Greedy k-means++ over colours, in integers, by as many threads as come.

The sorted colours are cut into *blocks* of 32, two vectors or four; sixteen blocks are a *node*,
and sixteen nodes a *region*, which is what a thread takes at once. So one loop over sixteen lanes
says which of the boxes below a node or a region a centre comes near. Of regions, nodes and blocks,
one after the other in each array, are kept: the box, ``boxes[2 * j]`` low and ``boxes[2 * j + 1]``
high in channel j, in the colours' type, (2 * c, parts); `far`, no less than the squared distance
of any of their colours to the nearest centre so far; and `potential`, int64 (parts,), these
distances added up, each times its weight. A centre changes nothing in a box that is at least `far`
away from it. Blocks were chosen by what a centre has then to look at: of 708,000 colours, K = 256,
on average 1.1 times as many as in cells of at most 128 colours, which do not fill vectors. Seeding
takes 17 ms there, 10.6 on two threads, and took 33 in cells.

``closest[i]`` is the squared distance of colour `i`, exact: (m,), in int32 for 8-bit channels and
in int64 for 16, which are the type of `far` and of `centers` too. `weights` (m,), int64 or int32,
are filled up with zeros to a multiple of a block, `closest` has room for whole regions, and
`colors` (c, m) has a block more columns at least, copies of the last.

A pass of the threads brings each region up to date with the centre that was chosen last, and finds
what each candidate for the next would gain there. So what is left in the regions is known before
anybody has applied the choice, int64 (regions,), and the next tickets too: only where they fall is
it applied at once. `centers` (1 + n, c) are the chosen one, then the candidates.

Region ``k * threads + t`` is that of thread `t`, which another takes only when it has no more of
its own: what a core has changed takes 250 ns to another one. What is known of it stands at
``[t, k]``: the `gains`, int64 (threads, most regions, n), and the number of centres that it is up
to date with, `ages`, int64 (threads, most regions). In `control`, int64, are the number of the pass
(below zero: all is over), of the chosen candidate before it and of candidates in it; and for each
thread, how many regions of its own have been taken, and how many it has done of all.
"""

from __future__ import annotations

import numpy as np

from . import _blocks
from ._blocks import (
    add_parts,
    find_box,
    find_gain,
    find_near,
    find_small_gain,
    load_shared,
    lower_block,
    lowest_bit,
    store_shared,
    swap_shared,
)
from ._jit import jit, jit_inline

BLOCK, FAN = _blocks.BLOCK, _blocks.FAN
REGION = BLOCK * FAN * FAN
LINE = 16  # int64 from the numbers of one thread to those of another: two cache lines
PASS, CHOSEN, N_CANDIDATES, TAKEN, DONE = 0, 1, 2, LINE, 2 * LINE
SMALL = 2**31  # potentials below are added up in int32


@jit_inline
def is_near(axes, boxes, far, part, centers, row):
    """Tell whether a centre comes near to a part."""
    total = np.int64(0)
    for j in range(len(axes)):
        c = np.int64(centers[row, j])
        gap = max(np.int64(boxes[2 * j, part]) - c, c - np.int64(boxes[2 * j + 1, part]), 0)
        total += gap * gap
    return total < far[part]


@jit_inline
def list_near(axes, boxes, far, region, centers, row, near):
    """Write the blocks of a region that a centre comes near, int64 (FAN**2,); return how many."""
    if not is_near(axes, boxes, far, region, centers, row):
        return np.uint64(0)
    n_regions = far.size // (1 + FAN + FAN * FAN)
    n = np.uint64(0)
    nodes = find_near(axes, boxes, far, n_regions + region * FAN, centers, row)
    while nodes != 0:
        block = (region * FAN + lowest_bit(nodes)) * FAN
        nodes &= nodes - 1
        blocks = find_near(axes, boxes, far, n_regions * (1 + FAN) + block, centers, row)
        while blocks != 0:
            near[n] = block + lowest_bit(blocks)
            n += np.uint64(1)
            blocks &= blocks - 1
    return n


@jit
def begin_region(axes, colors, weights, region, centers, closest, boxes, far, potential):
    """Write all that is kept of a region, with its first centre."""
    n_regions = far.size // (1 + FAN + FAN * FAN)
    n_above = n_regions * (1 + FAN)
    n_blocks = weights.size // BLOCK
    for node in range(region * FAN, (region + 1) * FAN):
        for block in range(node * FAN, (node + 1) * FAN):
            part = n_above + block
            if block < n_blocks:
                first = block * BLOCK
                closest[first : first + BLOCK] = np.iinfo(closest.dtype).max
                far[part], potential[part] = lower_block(
                    axes, colors, weights, closest, first, centers, 0
                )
                find_box(axes, colors, first, boxes, part)
            else:  # past the last colour there is nothing to come near
                boxes[:, part] = 0
                far[part] = 0
                potential[part] = 0
        join_boxes(axes, n_above + node * FAN, n_blocks - node * FAN, n_regions + node, boxes)
        far[n_regions + node], potential[n_regions + node] = add_parts(
            far, potential, n_above + node * FAN
        )
    n_nodes = (n_blocks + FAN - 1) // FAN
    join_boxes(axes, n_regions + region * FAN, n_nodes - region * FAN, region, boxes)
    far[region], potential[region] = add_parts(far, potential, n_regions + region * FAN)


@jit
def join_boxes(axes, first, n, part, boxes):
    """Write the box around those of `n` parts, sixteen at most, or of one if there is none."""
    for j in range(len(axes)):
        low, high = boxes[2 * j, first], boxes[2 * j + 1, first]
        for below in range(first + 1, first + min(n, FAN)):
            low, high = min(low, boxes[2 * j, below]), max(high, boxes[2 * j + 1, below])
        boxes[2 * j, part], boxes[2 * j + 1, part] = low, high


@jit
def add_center(axes, colors, weights, region, centers, closest, boxes, far, potential, near):
    """Bring a region up to date with a new centre."""
    n_regions = far.size // (1 + FAN + FAN * FAN)
    n_above = n_regions * (1 + FAN)
    n = list_near(axes, boxes, far, region, centers, 0, near)
    for i in range(n):
        block = near[i]
        part = n_above + block
        far[part], potential[part] = lower_block(
            axes, colors, weights, closest, block * BLOCK, centers, 0
        )
        node = block // FAN
        if i + 1 == n or near[i + 1] // FAN != node:
            far[n_regions + node], potential[n_regions + node] = add_parts(
                far, potential, n_above + node * FAN
            )
    if n > 0:
        far[region], potential[region] = add_parts(far, potential, n_regions + region * FAN)


@jit
def bring_up(
    axes, colors, weights, t, k, n_centers, centers, closest, boxes, far, potential, gains, ages,
    control, near,
):  # fmt: skip
    """Bring a region up to date with so many centres, of which it may lack the last."""
    if ages[t, k] == n_centers:
        return
    ages[t, k] = n_centers
    region = k * ages.shape[0] + t
    if n_centers == 1:
        begin_region(axes, colors, weights, region, centers, closest, boxes, far, potential)
    elif gains[t, k, control[CHOSEN]] > 0:
        add_center(
            axes, colors, weights, region, centers, closest, boxes, far, potential, near
        )  # fmt: skip


@jit
def take_regions(
    axes, colors, weights, centers, closest, boxes, far, potential, gains, ages, control, me,
    n_pass,
):  # fmt: skip
    """Bring up regions, and find what candidates would gain there, as long as there are any."""
    n_threads = ages.shape[0]
    n_regions = far.size // (1 + FAN + FAN * FAN)
    n_above = n_regions * (1 + FAN)
    n_candidates = control[N_CANDIDATES]
    near = np.empty(FAN * FAN, np.int64)
    n_done = control[DONE + 2 * LINE * me]
    for other in range(n_threads):
        t = (me + other) % n_threads
        n_own = (n_regions - t + n_threads - 1) // n_threads
        while True:
            taken = load_shared(control, TAKEN + 2 * LINE * t)
            if taken >= n_pass * n_own:
                break
            if not swap_shared(control, TAKEN + 2 * LINE * t, taken, taken + 1):
                continue
            k = taken - (n_pass - 1) * n_own
            region = k * n_threads + t
            bring_up(
                axes, colors, weights, t, k, n_pass, centers, closest, boxes, far, potential, gains,
                ages, control, near,
            )  # fmt: skip
            for c in range(n_candidates):
                gain = np.int64(0)
                n = list_near(axes, boxes, far, region, centers, 1 + c, near)
                for block in near[:n]:
                    at = block * BLOCK
                    if potential[n_above + block] < SMALL:
                        gain += find_small_gain(axes, colors, weights, closest, at, centers, 1 + c)
                    else:
                        gain += find_gain(axes, colors, weights, closest, at, centers, 1 + c)
                gains[t, k, c] = gain
            n_done += 1
            store_shared(control, DONE + 2 * LINE * me, n_done)


@jit
def assist_seeds(
    axes, colors, weights, centers, closest, boxes, far, potential, gains, ages, control, me,
    patience,
):  # fmt: skip
    """See `seed`, of the other threads."""
    n_passes = 0
    before = np.int64(0)
    waited = 0
    while waited < patience:
        waited += 1
        n_pass = load_shared(control, PASS)
        if n_pass < 0:
            return -1
        if n_pass > before:
            take_regions(
                axes, colors, weights, centers, closest, boxes, far, potential, gains, ages,
                control, me, n_pass,
            )  # fmt: skip
            before = n_pass
            n_passes += 1
            waited = 0
    return n_passes


@jit
def find_seed(
    axes, colors, weights, target, n_centers, centers, closest, boxes, far, potential, gains, ages,
    left, control, near,
):  # fmt: skip
    """Return the colour at which the running total of the potential passes a target."""
    n_regions = left.size
    region = 0
    while target >= left[region]:
        target -= left[region]
        region += 1
    k, t = region // ages.shape[0], region % ages.shape[0]
    bring_up(
        axes, colors, weights, t, k, n_centers, centers, closest, boxes, far, potential, gains,
        ages, control, near,
    )  # fmt: skip
    part = n_regions + region * FAN
    while target >= potential[part]:
        target -= potential[part]
        part += 1
    part = n_regions * (1 + FAN) + (part - n_regions) * FAN
    while target >= potential[part]:
        target -= potential[part]
        part += 1
    i = (part - n_regions * (1 + FAN)) * BLOCK
    while target >= np.int64(weights[i]) * np.int64(closest[i]):
        target -= np.int64(weights[i]) * np.int64(closest[i])
        i += 1
    return i


@jit
def choose_seed(
    axes, colors, weights, targets, centers, closest, boxes, far, potential, gains, ages, left,
    control, patience, again,
):  # fmt: skip
    """See `seed`, of the first thread."""
    n = targets.size
    n_regions, n_threads = left.size, ages.shape[0]
    n_pass = control[PASS] if again else control[PASS] + 1
    if not again:
        near = np.empty(FAN * FAN, np.int64)
        for target in range(n):
            i = find_seed(
                axes, colors, weights, targets[target], n_pass, centers, closest, boxes, far,
                potential, gains, ages, left, control, near,
            )  # fmt: skip
            for j in range(len(axes)):
                centers[1 + target, j] = colors[j, i]
        control[N_CANDIDATES] = n
        store_shared(control, PASS, n_pass)
        take_regions(
            axes, colors, weights, centers, closest, boxes, far, potential, gains, ages, control, 0,
            n_pass,
        )  # fmt: skip
    for _ in range(patience):
        n_done = np.int64(0)
        for t in range(n_threads):
            n_done += load_shared(control, DONE + 2 * LINE * t)
        if n_done == n_pass * n_regions:
            break
    else:
        return np.int64(-1)
    best = 0
    most = np.int64(-1)
    for c in range(n):
        gain = np.int64(0)
        for region in range(n_regions):
            gain += gains[region % n_threads, region // n_threads, c]
        if gain > most:
            most = gain
            best = c
    total = np.int64(0)
    for region in range(n_regions):
        if n > 0:
            left[region] -= gains[region % n_threads, region // n_threads, best]
        else:
            left[region] = potential[region]
        total += left[region]
    control[CHOSEN] = best
    if n > 0:
        for j in range(len(axes)):
            centers[0, j] = centers[1 + best, j]
    return total


@jit
def seed(
    axes, colors, weights, targets, centers, closest, boxes, far, potential, gains, ages, left,
    control, me, patience, again,
):  # fmt: skip
    """Do the part of thread `me`.

    The first, 0, draws the candidates of the `targets`, int64 (n,), and chooses with the others,
    for one pass, the one that is then ``centers[0]``; returns the potential that this leaves. With
    no targets, all regions begin with the centre that is there. Returns -1 where another thread is
    at work for long, and is to be called `again`.

    Others take part in pass after pass, and return in how many after they looked in vain as often
    as their `patience` says, or -1 when all is over. Between two passes the first thread is in
    Python for some 5 us.

    One kernel, so that what all threads do is there once: a third of the code of both.
    """
    if me > 0:
        return np.int64(
            assist_seeds(
                axes, colors, weights, centers, closest, boxes, far, potential, gains, ages,
                control, me, patience,
            )
        )  # fmt: skip
    return choose_seed(
        axes, colors, weights, targets, centers, closest, boxes, far, potential, gains, ages, left,
        control, patience, again,
    )  # fmt: skip

"""Pixels to colours and back: Morton keys, counting, labelling.

A pixel is a few bytes in a flat `uint8` buffer (a 16-bit channel is two of them, low byte
first). Its *key* interleaves the bits of its channels, highest first: ``r7 g7 b7 r6 g6 b6 ...``
(Morton order), so that every cube of colour space is one contiguous run of keys.

`luts` is a tuple with one table for each byte of a pixel: the byte's share of the key. Numba
compiles one kernel for each length of the tuple, so loops over the bytes unroll.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit

# Keys are made a block at a time, in a loop that LLVM vectorises, then used one by one.
# 4096 keys stay in the first-level cache; 1024 was 1.2x slower for the calls it makes.
BLOCK = 4096


@jit
def fill_keys(pixels, luts, out):
    """Write the Morton key of each pixel to `out`."""
    n_bytes = len(luts)
    if n_bytes == 3:
        # RGB: spread the bits with shifts, 16 pixels at a time: 0.19 ns a pixel, 0.66 by table.
        for i in range(out.size):
            r = np.uint32(pixels[3 * i])
            g = np.uint32(pixels[3 * i + 1])
            b = np.uint32(pixels[3 * i + 2])
            r = (r | (r << np.uint32(8))) & np.uint32(0x00F00F)
            g = (g | (g << np.uint32(8))) & np.uint32(0x00F00F)
            b = (b | (b << np.uint32(8))) & np.uint32(0x00F00F)
            r = (r | (r << np.uint32(4))) & np.uint32(0x0C30C3)
            g = (g | (g << np.uint32(4))) & np.uint32(0x0C30C3)
            b = (b | (b << np.uint32(4))) & np.uint32(0x0C30C3)
            r = (r | (r << np.uint32(2))) & np.uint32(0x249249)
            g = (g | (g << np.uint32(2))) & np.uint32(0x249249)
            b = (b | (b << np.uint32(2))) & np.uint32(0x249249)
            out[i] = (r << np.uint32(2)) | (g << np.uint32(1)) | b
    else:
        for i in range(out.size):
            key = luts[0][pixels[i * n_bytes]]
            for j in range(1, n_bytes):
                key |= luts[j][pixels[i * n_bytes + j]]
            out[i] = key


@jit
def count_pixels(pixels, luts, table, overflow, n_overflow):
    """Add the pixels to a table of one byte a colour.

    A byte that would pass 255 goes back to 128 and its key is appended to `overflow`, worth 128
    each time. One byte a colour keeps more of the table in the caches: up to 1.5x the speed of
    32-bit counters (708,000 colours), none slower. Returns the new length of `overflow`.
    """
    n_bytes = len(luts)
    keys = np.empty(BLOCK, np.uint32)
    n = pixels.size // n_bytes
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        fill_keys(pixels[start * n_bytes : stop * n_bytes], luts, keys[: stop - start])
        for i in range(stop - start):
            count = np.uint8(table[keys[i]] + np.uint8(1))
            table[keys[i]] = count
            if count == 0:
                table[keys[i]] = 128
                overflow[n_overflow] = keys[i]
                n_overflow += 1
    return n_overflow


@jit
def find_blocks(words, start, stop, blocks):
    """Write the blocks of 64 keys in ``start:stop`` that hold a count; return how many.

    `words` holds the tables (one row each), seen as 64-bit words: eight of them are a block.
    """
    n = 0
    for block in range(start // 64, stop // 64):
        seen = np.uint64(0)
        for t in range(words.shape[0]):
            for w in range(8):
                seen |= words[t, 8 * block + w]
        blocks[n] = block
        n += seen != 0
    return n


@jit
def add_block(tables, block, counts):
    """Add up the counts of a block of 64 keys over the tables."""
    first = np.uint64(64 * block)
    for i in range(np.uint64(64)):
        counts[i] = tables[0, first + i]
    for t in range(1, tables.shape[0]):
        for i in range(np.uint64(64)):
            counts[i] += tables[t, first + i]


@jit
def count_occupied(tables, blocks):
    """Count the keys in `blocks` that occur."""
    counts = np.empty(64, np.uint32)
    n = 0
    for block in blocks:
        add_block(tables, block, counts)
        for i in range(64):
            n += counts[i] != 0
    return n


@jit
def gather_colors(tables, blocks, overflow, keys, counts):
    """Write the keys in `blocks` that occur, in order, and their counts.

    `overflow` is sorted and belongs to the blocks.
    """
    block_counts = np.empty(64, np.uint32)
    block_keys = np.empty(65, np.uint32)
    n = 0
    p = 0
    for block in blocks:
        add_block(tables, block, block_counts)
        # Every key is written, and the place moves on where it occurs: no branch to mispredict.
        m = 0
        for i in range(64):
            block_keys[m] = i
            m += block_counts[i] != 0
        for i in range(m):
            keys[n + i] = 64 * block + block_keys[i]
            counts[n + i] = block_counts[block_keys[i]]
        at = n
        while p < overflow.size and overflow[p] < 64 * block + 64:
            while keys[at] != overflow[p]:
                at += 1
            counts[at] += 128
            p += 1
        n += m


@jit
def label_pixels(pixels, luts, table, out):
    """Label each pixel by one lookup in a table indexed by key."""
    n_bytes = len(luts)
    keys = np.empty(BLOCK, np.uint32)
    for start in range(0, out.size, BLOCK):
        stop = min(start + BLOCK, out.size)
        fill_keys(pixels[start * n_bytes : stop * n_bytes], luts, keys[: stop - start])
        part = out[start:stop]
        for i in range(stop - start):
            part[i] = table[keys[i]]


@jit
def scatter_table(keys, color_labels, table):
    """Write the label of each colour to the table of labels."""
    for i in range(keys.size):
        table[keys[i]] = color_labels[i]


@jit
def find_colors(pixels, luts, starts, shift, keys, out):
    """Write each pixel's position in the sorted `keys` (every pixel must be there).

    For keys too wide for a table. ``starts[p]`` is the position of the first key whose top bits
    are `p`; a branch-free binary search finds the rest.
    """
    n_bytes = len(luts)
    block = np.empty(BLOCK, keys.dtype)
    for start in range(0, out.size, BLOCK):
        stop = min(start + BLOCK, out.size)
        fill_keys(pixels[start * n_bytes : stop * n_bytes], luts, block[: stop - start])
        for i in range(stop - start):
            key = block[i]
            top = np.int64(key >> shift)
            low = starts[top]
            length = starts[top + 1] - low
            while length > 1:
                half = length >> 1
                low += half if keys[low + half] <= key else 0
                length -= half
            out[start + i] = low


@jit
def count_runs(keys, counts):
    """Keep one of each run of equal keys, in place; count each run; return how many."""
    n = 0
    start = 0
    for i in range(1, keys.size + 1):
        if i == keys.size or keys[i] != keys[start]:
            keys[n] = keys[start]
            counts[n] = i - start
            n += 1
            start = i
    return n


@jit
def split_packed(packed, index_bits, keys, counts, order, ranks):
    """Take apart sorted ``key << index_bits | pixel`` words.

    Writes the distinct keys and how many pixels have each; then, in the order of the keys, the
    pixels and the place of each one's key. Returns the number of distinct keys.
    """
    mask = (np.uint64(1) << index_bits) - np.uint64(1)
    n = -1
    last = ~packed[0]
    for i in range(packed.size):
        key = packed[i] >> index_bits
        n += key != last
        last = key
        keys[n] = key
        counts[n] = i
        order[i] = packed[i] & mask
        ranks[i] = n
    # So far a count is the last place of its run.
    for i in range(n, 0, -1):
        counts[i] -= counts[i - 1]
    counts[0] += 1
    return n + 1


@jit
def scatter_labels(order, ranks, color_labels, out):
    """Give each pixel, in the order of the keys, its colour's label."""
    for i in range(order.size):
        out[order[i]] = color_labels[ranks[i]]


@jit
def gather_labels(positions, color_labels, out):
    """Label each pixel by its colour's position."""
    for i in range(out.size):
        out[i] = color_labels[positions[i]]


@jit
def add_weights(positions, weights, out):
    """Add each pixel's weight to its colour's."""
    for i in range(positions.size):
        out[positions[i]] += weights[i]


@jit
def sum_members(pixels, labels, weights, sums):
    """Add (weight, weight * channels) of each pixel (n, c) to the row of its label.

    `weights` of no size stand for ones.
    """
    for i in range(labels.size):
        weight = weights[i] if weights.size > 0 else np.int64(1)
        row = np.int64(labels[i])
        sums[row, 0] += weight
        for j in range(pixels.shape[1]):
            sums[row, 1 + j] += weight * np.int64(pixels[i, j])


@jit
def merge_counts(keys_a, counts_a, keys_b, counts_b, keys, counts):
    """Merge two sorted lists of colours; return the length of the merged one."""
    a = 0
    b = 0
    n = 0
    while a < keys_a.size or b < keys_b.size:
        take_a = b == keys_b.size or (a < keys_a.size and keys_a[a] <= keys_b[b])
        take_b = a == keys_a.size or (b < keys_b.size and keys_b[b] <= keys_a[a])
        count = np.int64(0)
        key = keys_a[a] if take_a else keys_b[b]
        if take_a:
            count += counts_a[a]
            a += 1
        if take_b:
            count += counts_b[b]
            b += 1
        keys[n] = key
        counts[n] = count
        n += 1
    return n


@jit
def split_keys(keys, tables, out):
    """Write the channels of each key to the rows of `out`.

    ``tables[p, v]`` holds what byte `p` of a key with value `v` gives to each channel, in four
    16-bit fields.
    """
    n_channels = out.shape[0]
    n_bytes = tables.shape[0]
    if n_channels == 3 and n_bytes == 3:
        # RGB: gather every third bit with shifts, 16 keys at a time: 18x the speed of tables.
        for j in range(3):
            for i in range(keys.size):
                x = (np.uint32(keys[i]) >> np.uint32(2 - j)) & np.uint32(0x249249)
                x = (x | (x >> np.uint32(2))) & np.uint32(0x0C30C3)
                x = (x | (x >> np.uint32(4))) & np.uint32(0x00F00F)
                x = (x | (x >> np.uint32(8))) & np.uint32(0x0000FF)
                out[j, i] = x
        return
    for i in range(keys.size):
        key = np.uint64(keys[i])
        fields = np.uint64(0)
        for p in range(n_bytes):
            fields |= tables[p, (key >> np.uint64(8 * p)) & np.uint64(255)]
        for j in range(n_channels):
            out[j, i] = (fields >> np.uint64(16 * j)) & np.uint64(0xFFFF)

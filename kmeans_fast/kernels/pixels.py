"""Pixels to colours and back: Morton keys, counting, labelling.

A pixel is a few bytes in a flat `uint8` buffer (a 16-bit channel is two of them, low byte
first). Its *key* interleaves the bits of its channels, highest first: ``r7 g7 b7 r6 g6 b6 ...``
(Morton order), so that every cube of colour space is one contiguous run of keys.

Every kernel that takes `pixels` (n * bytes of one,) takes `luts`, a tuple with one table (256,) for
each byte of a pixel: the byte's share of the key, in the keys' type, uint32 or uint64. Numba
compiles one kernel for each length of the tuple, so loops over the bytes unroll.
"""

from __future__ import annotations

import numpy as np

from ._jit import jit, jit_inline

# Keys are made a block at a time, in a loop that LLVM vectorises, then used one by one.
# 4096 keys stay in the first-level cache; 1024 was 1.2x slower for the calls it makes.
BLOCK = 4096
MOST_DIGIT = 12  # bits of a key that are sorted by at once: 4,096 counters stay in the caches


@jit_inline
def spread(byte):
    """Return the bits of a byte, two zeros between each and the next."""
    x = np.uint32(byte)
    x = (x | (x << np.uint32(8))) & np.uint32(0x00F00F)
    x = (x | (x << np.uint32(4))) & np.uint32(0x0C30C3)
    return (x | (x << np.uint32(2))) & np.uint32(0x249249)


@jit
def fill_keys(pixels, luts, out):
    """Write the Morton key of each pixel to `out` (n,)."""
    n_bytes = len(luts)
    if n_bytes == 3:
        # RGB: spread the bits with shifts, 16 pixels at a time: 0.19 ns a pixel, 0.66 by table.
        for i in range(out.size):
            r = spread(pixels[3 * i])
            g = spread(pixels[3 * i + 1])
            out[i] = (r << np.uint32(2)) | (g << np.uint32(1)) | spread(pixels[3 * i + 2])
    else:
        for i in range(out.size):
            key = luts[0][pixels[i * n_bytes]]
            for j in range(1, n_bytes):
                key |= luts[j][pixels[i * n_bytes + j]]
            out[i] = key


@jit
def count_pixels(pixels, luts, table, passed, n_passed):
    """Add the pixels to a `table` (colours,) of one byte each.

    A byte that would pass 255 goes back to 128 and its key is appended to `passed` (room,) uint32,
    worth 128 each time. One byte a colour keeps more of the table in the caches: up to 1.5x the
    speed of 32-bit counters (708,000 colours), none slower. Returns the new length of `passed`.
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
                passed[n_passed] = keys[i]
                n_passed += 1
    return n_passed


@jit
def add_block(tables, block, counts):
    """Write to `counts` (64,) uint32 those of a block of 64 keys, added up over the tables."""
    first = np.uint64(64 * block)
    for i in range(np.uint64(64)):
        counts[i] = tables[0, first + i]
    for t in range(1, tables.shape[0]):
        for i in range(np.uint64(64)):
            counts[i] += tables[t, first + i]


@jit
def find_blocks(tables, words, first, last, blocks):
    """Write the blocks ``first:last`` of 64 keys that hold a count: int64, room for one more.

    `words` are the `tables` (t, keys) of uint8, seen as uint64: eight of them are a block. Returns
    how many blocks there are, and how many keys of theirs occur.
    """
    n = 0
    for block in range(first, last):
        seen = np.uint64(0)
        for t in range(words.shape[0]):
            for w in range(8):
                seen |= words[t, 8 * block + w]
        blocks[n] = block
        n += seen != 0
    counts = np.empty(64, np.uint32)
    n_keys = 0
    for block in blocks[:n]:
        add_block(tables, block, counts)
        for i in range(64):
            n_keys += counts[i] != 0
    return n, n_keys


@jit
def gather_colors(tables, blocks, keys, counts):
    """Write the keys (n,) uint32 in `blocks` that occur, in order, and their counts (n,) int64."""
    block_counts = np.empty(64, np.uint32)
    block_keys = np.empty(65, np.uint32)
    n = 0
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
        n += m


@jit
def label_pixels(pixels, luts, table, out):
    """Write the label of each pixel to `out` (n,): one lookup in a `table` (colours,) of labels."""
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
    """Write the labels (m,) of the `keys` (m,) to a `table` (colours,) of their type."""
    for i in range(keys.size):
        table[keys[i]] = color_labels[i]


@jit
def find_colors(pixels, luts, starts, shift, keys, out):
    """Write each pixel's position, int64 (n,), in the sorted `keys` (m,), where every one must be.

    For keys too wide for a table. ``starts[p]``, int64 (tops + 1,), is the position of the first
    key whose bits above `shift` are `p`; a branch-free binary search finds the rest.
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
def sort_keys(keys, n_bits, order):
    """Sort keys (n,) of so many bits, and write to `order` (n,), int32, where each of them stood.

    Equal ones stay in their order. A radix sort, from the lowest digit on (Knuth, The Art of
    Computer Programming 3, 5.2.5): 0.2 ms for 40,000 keys of RGB, where `numpy.sort` takes 1.3.
    """
    n = np.uint64(keys.size)
    for i in range(n):
        order[i] = i
    # An even number of passes, so that the last one ends where the first began.
    n_passes = 2 * ((n_bits + 2 * MOST_DIGIT - 1) // (2 * MOST_DIGIT))
    digit = (n_bits + n_passes - 1) // n_passes
    ends = np.empty((1 << digit) + 1, np.int64)
    other_keys, other_order = np.empty(n, keys.dtype), np.empty(n, np.int32)
    for at in range(0, n_passes, 2):
        sort_digit(keys, order, at * digit, ends, other_keys, other_order)
        sort_digit(other_keys, other_order, (at + 1) * digit, ends, keys, order)


@jit_inline
def sort_digit(keys, order, shift, ends, to_keys, to_order):
    """Sort keys, and what goes with them, by one digit.

    `ends`, int64, has room for one more than the digit has values.
    """
    mask = np.uint64(ends.size - 2)
    low = np.uint64(shift)
    ends[:] = 0
    for i in range(np.uint64(keys.size)):
        ends[((np.uint64(keys[i]) >> low) & mask) + np.uint64(1)] += 1
    for value in range(1, ends.size):
        ends[value] += ends[value - 1]
    for i in range(np.uint64(keys.size)):
        value = (np.uint64(keys[i]) >> low) & mask
        to = np.uint64(ends[value])
        to_keys[to], to_order[to] = keys[i], order[i]
        ends[value] += 1


@jit
def find_runs(sorted_keys, keys, counts, ranks):
    """Write the distinct keys, how many of the sorted ones are each, and which each one is.

    `keys` and `counts`, int64, have room for as many as are sorted (n,); `ranks` (n,) are int32.
    Returns the number of distinct keys.
    """
    n = -1
    last = ~sorted_keys[0]
    for i in range(sorted_keys.size):
        key = sorted_keys[i]
        n += key != last
        last = key
        keys[n] = key
        counts[n] = i
        ranks[i] = n
    # So far a count is the last place of its run.
    for i in range(n, 0, -1):
        counts[i] -= counts[i - 1]
    counts[0] += 1
    return n + 1


@jit
def scatter_labels(order, ranks, color_labels, out):
    """Give each pixel its colour's label.

    `order` (n,) is that of `sort_keys`, and `ranks` (n,) are those of `find_runs`.
    """
    for i in range(order.size):
        out[order[i]] = color_labels[ranks[i]]


@jit
def merge_counts(keys_a, counts_a, keys_b, counts_b, keys, counts):
    """Merge two sorted lists of colours, adding the counts (int64) of those in both.

    Writes the keys, and adds to the counts: there is room for all of both. Returns how many keys
    there are.
    """
    a = 0
    b = 0
    n = 0
    while a < keys_a.size or b < keys_b.size:
        take_a = b == keys_b.size or (a < keys_a.size and keys_a[a] <= keys_b[b])
        take_b = a == keys_a.size or (b < keys_b.size and keys_b[b] <= keys_a[a])
        keys[n] = keys_a[a] if take_a else keys_b[b]
        if take_a:
            counts[n] += counts_a[a]
            a += 1
        if take_b:
            counts[n] += counts_b[b]
            b += 1
        n += 1
    return n


@jit
def split_keys(keys, depth, colors):
    """Write the channels (c, m), uint8 or uint16, of keys (m,), each of `depth` bits."""
    n_channels = colors.shape[0]
    if n_channels == 3 and depth == 8:
        # RGB: gather every third bit with shifts, 16 keys at a time: 18x the speed of the other.
        for j in range(3):
            for i in range(keys.size):
                x = (np.uint32(keys[i]) >> np.uint32(2 - j)) & np.uint32(0x249249)
                x = (x | (x >> np.uint32(2))) & np.uint32(0x0C30C3)
                x = (x | (x >> np.uint32(4))) & np.uint32(0x00F00F)
                x = (x | (x >> np.uint32(8))) & np.uint32(0x0000FF)
                colors[j, i] = x
        return
    for j in range(n_channels):
        for i in range(keys.size):
            x = np.uint64(keys[i]) >> np.uint64(n_channels - 1 - j)
            value = np.uint64(0)
            for bit in range(depth):
                value |= ((x >> np.uint64(bit * n_channels)) & np.uint64(1)) << np.uint64(bit)
            colors[j, i] = value

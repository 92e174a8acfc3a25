"""Currents of a strip of 32 columns, found by one of three paths, all exact.

look-up
    Four bits select one of sixteen sums of four rows of a tile: a small table. The current of a
    one-bit slice is the sum of rows / 4 table entries; a wider slice takes that for each bit. The
    tables pay for many input rows.
pairs
    int16 products of two rows at once, summed in int32 (one instruction on new processors). Cells of 32 bits
    are two limbs, the upper and the lower half: the sum of the upper ones counts 2**16 times. It may
    leave 32 bits on the way; the current itself does not, so that what is lost comes back.
    Where codes and the upper limbs of cells fit bytes, these are multiplied, which takes half the time: 16
    bits of their sum are enough.
    Where a current needs more than 32 bits, codes are two limbs instead: each limb's sum fits 32 bits, and float64
    adds up the two.
float
    float64 products, exact to 2**53: for operands that do not fit the other two.

Everything here is inlined into the kernels of `_read`.
"""

import numpy as np

from ._bytes import byte_products, pack_bytes
from ._jit import inline
from ._lanes import (
    LANES,
    cells8,
    cells16,
    cells32,
    item,
    load,
    muladd,
    pack,
    pair_product,
    prefetch,
    real64,
    store,
    upper,
    zeros,
)
from ._registers import registers

STRIP = 2 * LANES  # columns of a strip: two vectors share the codes that are read
WORD = 64  # rows, whose bits fit one integer
GROUP = 4  # rows of one look-up
ORIGIN = 128  # of codes as bytes: they are not negative
TABLE = STRIP << GROUP  # numbers in the table of a group


@inline
def cells(memory, itemsize, at):
    if itemsize == 1:
        return cells8(memory, at)
    if itemsize == 2:
        return cells16(memory, at)
    return cells32(memory, at)


@inline
def one_cell(memory, itemsize, at):
    # one element of `cells`
    value = np.int64(memory[at * itemsize + itemsize - 1])
    for byte in range(itemsize - 2, -1, -1):
        value = value << 8 | (np.int64(memory[at * itemsize + byte]) & 255)
    return np.int32(value)


@inline
def aligned(count):
    # int32 scratch that begins at a cache line, so that an entry of a table is one line
    scratch = np.empty(count + LANES, np.int32)
    skip = (-scratch.ctypes.data // 4) % LANES
    return scratch[skip : skip + count]


# -- a strip of the grid, prepared once for a tile, weight slice and block of rows ------------


@inline
def fetch_ahead(memory, itemsize, origin, width, used):
    # the rows of the next strip lie far apart: they are fetched one strip ahead
    for k in range(used):
        prefetch(memory, (origin + k * width) * itemsize)
        prefetch(memory, (origin + k * width + STRIP) * itemsize - 1)


@inline
def build_tables(memory, itemsize, origin, width, used, tables):
    # tables[group, entry, column of the strip]
    groups = (used + GROUP - 1) // GROUP
    for group in range(groups):
        for vector in range(2):
            at = group * TABLE + vector * LANES
            store(tables, at, zeros(np.int32(0)))
            for bit in range(GROUP):
                k = group * GROUP + bit
                if k < used:
                    cell = cells(memory, itemsize, origin + k * width + vector * LANES)
                    for entry in range(1 << bit):
                        store(tables, at + ((1 << bit) + entry) * STRIP, load(tables, at + entry * STRIP) + cell)


@inline
def pack_cells(memory, itemsize, origin, width, used, packed):
    # packed[h, column of the strip]: rows h and h + half, as the codes are paired; the upper limbs come first
    half = (used + 1) // 2
    lower = 0
    if itemsize == 4:
        lower = half * STRIP
    for h in range(half):
        for vector in range(2):
            at, place = origin + h * width + vector * LANES, h * STRIP + vector * LANES
            low, high = cells(memory, itemsize, at), zeros(np.int32(0))
            if half + h < used:
                high = cells(memory, itemsize, at + half * width)
            if itemsize == 4:
                store(packed, place, pack(upper(low), upper(high)))
            store(packed, lower + place, pack(low, high))


@inline
def pack_byte_cells(memory, itemsize, origin, width, used, packed):
    # as pack_cells, with the upper limbs as bytes: packed[(1 + h) * LANES + lane], and before them what they begin from
    half = (used + 1) // 2
    lower, less = (1 + half) * LANES, np.int32(-ORIGIN)
    left, right = zeros(np.int32(0)), zeros(np.int32(0))
    for h in range(half):
        at, place = origin + h * width, lower + h * STRIP
        a, b = cells(memory, itemsize, at), cells(memory, itemsize, at + LANES)
        c, d = zeros(np.int32(0)), zeros(np.int32(0))
        if half + h < used:
            at += half * width
            c, d = cells(memory, itemsize, at), cells(memory, itemsize, at + LANES)
        store(packed, place, pack(a, c))
        store(packed, place + LANES, pack(b, d))
        a, b, c, d = upper(a), upper(b), upper(c), upper(d)
        left, right = left + a + c, right + b + d
        store(packed, (1 + h) * LANES, pack(pack_bytes(a, c), pack_bytes(b, d)))
    store(packed, 0, pack(left * less, right * less))


@inline
def float_cells(memory, itemsize, origin, width, used, floats):
    for k in range(used):
        for vector in range(2):
            cell = cells(memory, itemsize, origin + k * width + vector * LANES)
            store(floats, k * STRIP + vector * LANES, real64(cell))


# -- currents of a few rows: currents[(row * slices + slice) * STRIP + column], as the ADC takes them


@inline
def _look_up(bits, at, step, words, tables, groups, sums):
    # Twice the sums so far, plus the table entries of the next bits of four rows. Eight independent
    # chains of additions keep the processor busy, and one place serves two loads.
    a, b, c, d, e, f, g, h = sums
    a, b, c, d, e, f, g, h = a + a, b + b, c + c, d + d, e + e, f + f, g + g, h + h
    for word in range(words):
        q, r = item(bits, at + word), item(bits, at + step + word)
        s, t = item(bits, at + 2 * step + word), item(bits, at + 3 * step + word)
        first = word * (WORD // GROUP)
        for group in range(first, min(first + WORD // GROUP, groups)):
            base = group * TABLE
            place = base + (q & 15) * STRIP
            a, b = a + load(tables, place), b + load(tables, place + LANES)
            place = base + (r & 15) * STRIP
            c, d = c + load(tables, place), d + load(tables, place + LANES)
            place = base + (s & 15) * STRIP
            e, f = e + load(tables, place), f + load(tables, place + LANES)
            place = base + (t & 15) * STRIP
            g, h = g + load(tables, place), h + load(tables, place + LANES)
            q, r, s, t = q >> GROUP, r >> GROUP, s >> GROUP, t >> GROUP
    return a, b, c, d, e, f, g, h


@inline
def look_up(bits, at, words, planes, chosen, widths, strides, tables, groups, count, slices, currents):
    # four rows at a time; rows beyond `count` are looked up and never used
    step, line = planes * words, slices * STRIP
    plane = 0
    for p in range(chosen.size):
        i = chosen[p]
        width, stride = widths[i], np.int32(strides[i])
        for row in range(0, count, 4):
            none = zeros(np.int32(0))
            sums = none, none, none, none, none, none, none, none
            place = at + row * step + plane * words
            for _ in range(width):
                sums = _look_up(bits, place, step, words, tables, groups, sums)
                place += words
            a, b, c, d, e, f, g, h = sums
            place = row * line + i * STRIP
            store(currents, place, a * stride)
            store(currents, place + LANES, b * stride)
            store(currents, place + line, c * stride)
            store(currents, place + line + LANES, d * stride)
            store(currents, place + 2 * line, e * stride)
            store(currents, place + 2 * line + LANES, f * stride)
            store(currents, place + 3 * line, g * stride)
            store(currents, place + 3 * line + LANES, h * stride)
        plane += width


@inline
def multiply_pairs(pairs, at, depth, half, packed, limbs, total, targets, currents):
    # `total` rows of packed codes, four at a time: eight sums in registers, six loads for eight products; two at a
    # time where eight sums would fill all registers
    up = np.int32(1 << 16)
    whole, whole2 = 0, total // 2 * 2
    if registers() == 32:
        whole = total // 4 * 4
    for q in range(0, whole, 4):
        a, b, c, d = zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0))
        e, f, g, h = zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0))
        place = at + q * depth
        for limb in range(limbs):
            if limb:
                a, b, c, d, e, f, g, h = a * up, b * up, c * up, d * up, e * up, f * up, g * up, h * up
            start = limb * half * STRIP
            for k in range(half):
                left, right = load(packed, start + k * STRIP), load(packed, start + k * STRIP + LANES)
                code = item(pairs, place + k)
                a, b = pair_product(a, left, code), pair_product(b, right, code)
                code = item(pairs, place + depth + k)
                c, d = pair_product(c, left, code), pair_product(d, right, code)
                code = item(pairs, place + 2 * depth + k)
                e, f = pair_product(e, left, code), pair_product(f, right, code)
                code = item(pairs, place + 3 * depth + k)
                g, h = pair_product(g, left, code), pair_product(h, right, code)
        store(currents, item(targets, q), a)
        store(currents, item(targets, q) + LANES, b)
        store(currents, item(targets, q + 1), c)
        store(currents, item(targets, q + 1) + LANES, d)
        store(currents, item(targets, q + 2), e)
        store(currents, item(targets, q + 2) + LANES, f)
        store(currents, item(targets, q + 3), g)
        store(currents, item(targets, q + 3) + LANES, h)
    for q in range(whole, whole2, 2):
        a, b, c, d = zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0))
        place = at + q * depth
        for limb in range(limbs):
            if limb:
                a, b, c, d = a * up, b * up, c * up, d * up
            start = limb * half * STRIP
            for k in range(half):
                left, right = load(packed, start + k * STRIP), load(packed, start + k * STRIP + LANES)
                code = item(pairs, place + k)
                a, b = pair_product(a, left, code), pair_product(b, right, code)
                code = item(pairs, place + depth + k)
                c, d = pair_product(c, left, code), pair_product(d, right, code)
        store(currents, item(targets, q), a)
        store(currents, item(targets, q) + LANES, b)
        store(currents, item(targets, q + 1), c)
        store(currents, item(targets, q + 1) + LANES, d)
    for q in range(whole2, total):
        a, b = zeros(np.int32(0)), zeros(np.int32(0))
        place = at + q * depth
        for limb in range(limbs):
            if limb:
                a, b = a * up, b * up
            start = limb * half * STRIP
            for k in range(half):
                code = item(pairs, place + k)
                a = pair_product(a, load(packed, start + k * STRIP), code)
                b = pair_product(b, load(packed, start + k * STRIP + LANES), code)
        store(currents, item(targets, q), a)
        store(currents, item(targets, q) + LANES, b)


@inline
def _apart(both):
    # the halves of lanes, times 2**16
    low = both * np.int32(1 << 16)
    return low, both + pack(both, zeros(np.int32(0))) * np.int32(-1)


@inline
def multiply_bytes(pairs, at, depth, half, packed, total, targets, currents):
    # `total` rows of codes, each as bytes and in pairs, meet cells of `pack_byte_cells`; as `multiply_pairs` does
    lower = (1 + half) * LANES
    whole = total // 2 * 2
    for q in range(0, whole, 2):
        place = at + 2 * q * depth
        s, t = load(packed, 0), load(packed, 0)
        for k in range(half):
            cell = load(packed, (1 + k) * LANES)
            s = byte_products(s, cell, item(pairs, place + k))
            t = byte_products(t, cell, item(pairs, place + 2 * depth + k))
        (a, b), (c, d) = _apart(s), _apart(t)
        place += depth
        for k in range(half):
            left, right = load(packed, lower + k * STRIP), load(packed, lower + k * STRIP + LANES)
            code = item(pairs, place + k)
            a, b = pair_product(a, left, code), pair_product(b, right, code)
            code = item(pairs, place + 2 * depth + k)
            c, d = pair_product(c, left, code), pair_product(d, right, code)
        store(currents, item(targets, q), a)
        store(currents, item(targets, q) + LANES, b)
        store(currents, item(targets, q + 1), c)
        store(currents, item(targets, q + 1) + LANES, d)
    for q in range(whole, total):
        place = at + 2 * q * depth
        s = load(packed, 0)
        for k in range(half):
            s = byte_products(s, load(packed, (1 + k) * LANES), item(pairs, place + k))
        a, b = _apart(s)
        place += depth
        for k in range(half):
            code = item(pairs, place + k)
            a = pair_product(a, load(packed, lower + k * STRIP), code)
            b = pair_product(b, load(packed, lower + k * STRIP + LANES), code)
        store(currents, item(targets, q), a)
        store(currents, item(targets, q) + LANES, b)


@inline
def multiply_limbs(pairs, at, depth, half, packed, total, targets, unit, currents):
    # `total` rows of codes of two limbs, the upper ones, in `unit`, first; as `multiply_pairs` does, two at a time
    whole = 0
    if registers() == 32:
        whole = total // 2 * 2
    for q in range(0, whole, 2):
        a, b, c, d = zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0))
        e, f, g, h = zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0))
        place = at + 2 * q * depth
        for k in range(half):
            left, right = load(packed, k * STRIP), load(packed, k * STRIP + LANES)
            code = item(pairs, place + k)
            a, b = pair_product(a, left, code), pair_product(b, right, code)
            code = item(pairs, place + depth + k)
            c, d = pair_product(c, left, code), pair_product(d, right, code)
            code = item(pairs, place + 2 * depth + k)
            e, f = pair_product(e, left, code), pair_product(f, right, code)
            code = item(pairs, place + 3 * depth + k)
            g, h = pair_product(g, left, code), pair_product(h, right, code)
        store(currents, item(targets, q), muladd(real64(a), unit, real64(c)))
        store(currents, item(targets, q) + LANES, muladd(real64(b), unit, real64(d)))
        store(currents, item(targets, q + 1), muladd(real64(e), unit, real64(g)))
        store(currents, item(targets, q + 1) + LANES, muladd(real64(f), unit, real64(h)))
    for q in range(whole, total):
        a, b, c, d = zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0))
        place = at + 2 * q * depth
        for k in range(half):
            left, right = load(packed, k * STRIP), load(packed, k * STRIP + LANES)
            code = item(pairs, place + k)
            a, b = pair_product(a, left, code), pair_product(b, right, code)
            code = item(pairs, place + depth + k)
            c, d = pair_product(c, left, code), pair_product(d, right, code)
        store(currents, item(targets, q), muladd(real64(a), unit, real64(c)))
        store(currents, item(targets, q) + LANES, muladd(real64(b), unit, real64(d)))


@inline
def multiply_floats(codes, at, rows, used, floats, total, currents):
    # products of integers below 2**53: a fused multiply-add gives the same
    whole = total // 2 * 2
    for q in range(0, whole, 2):
        a, b, c, d = zeros(0.0), zeros(0.0), zeros(0.0), zeros(0.0)
        place = at + q * rows
        for k in range(used):
            left, right = load(floats, k * STRIP), load(floats, k * STRIP + LANES)
            a, b = muladd(left, item(codes, place + k), a), muladd(right, item(codes, place + k), b)
            c, d = muladd(left, item(codes, place + rows + k), c), muladd(right, item(codes, place + rows + k), d)
        store(currents, q * STRIP, a)
        store(currents, q * STRIP + LANES, b)
        store(currents, (q + 1) * STRIP, c)
        store(currents, (q + 1) * STRIP + LANES, d)
    for q in range(whole, total):
        a, b = zeros(0.0), zeros(0.0)
        place = at + q * rows
        for k in range(used):
            a = muladd(load(floats, k * STRIP), item(codes, place + k), a)
            b = muladd(load(floats, k * STRIP + LANES), item(codes, place + k), b)
        store(currents, q * STRIP, a)
        store(currents, q * STRIP + LANES, b)

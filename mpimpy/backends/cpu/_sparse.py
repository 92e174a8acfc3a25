"""Currents of inputs among which many are zero: only pairs of rows that drive a bit line are multiplied.

Of an operand with a double exponent each plane holds some elements of a tile, and zeros in place of the others; so
does what a network's rectifier lets through. Four rows of a tile are a group. Cells of all six pairs of its rows are
packed, so that whichever rows of a group are driven, at most two pairs of them are multiplied, and one where only
two are driven. Each input row has a list of its pairs, with the codes of all slices on this path.

Everything here but `pack_driven` is inlined into the kernel of `_read`. The sums are those of the path "pairs".
"""

from typing import Any, NamedTuple

import numpy as np

from ._currents import STRIP, cells
from ._jit import inline, kernel
from ._lanes import LANES, item, load, pack, pair_product, put, store, zeros

# Numba's cache notices a change of this file alone, so the digest of the files inlined here is a part of it.
INLINED = "161ed92ecc2e33cf"

ROWS = 4  # of a group
PAIRS = 6  # of its rows; pair p and pair 5 - p are the whole group
_LOW, _HIGH = (0, 0, 0, 1, 1, 2), (1, 2, 3, 2, 3, 3)  # rows of each pair


def _first_pairs() -> tuple[int, ...]:
    # by the bits of the rows that are driven: a pair that holds them all, or any, if its other half comes too
    rows = [1 << low | 1 << high for low, high in zip(_LOW, _HIGH, strict=True)]
    return tuple(next((p for p in range(PAIRS) if not mask & ~rows[p]), 0) for mask in range(1 << ROWS))


LOW, HIGH = np.array(_LOW), np.array(_HIGH)
FIRST = np.array(_first_pairs())
COUNT = np.array([(mask.bit_count() + 1) // 2 for mask in range(1 << ROWS)])


class Driven(NamedTuple):
    """Lists of the pairs of rows that inputs drive, as the kernel takes them.

    Attributes
    ----------
    items : int32 array, flat
        For each tile and input row, as many times as there is room: the place of a pair's packed cells, then two
        codes of each slice in one integer, as those of the path "pairs".
    counts : int32 array
        Pairs of each tile and input row.
    """

    items: Any
    counts: Any


def list_size(rows: int, some: int) -> int:
    """Return the integers that the list of a tile and input row takes.

    Room for two pairs of each group and, as two are written at a time, for one more.
    """
    return (2 * ((rows + ROWS - 1) // ROWS) + 1) * (some + 1)


_line = inline(list_size)


@kernel
def pack_driven(first, last, digits, slices, strides, rows, out):
    """Write the lists of `Driven`; `slices` are those on this path."""
    height, depth = digits.shape[1:]
    items, counts, flat = out.items, out.counts, digits.reshape(-1)
    some = slices.size
    step, line, most = some + 1, _line(rows, some), (rows + ROWS - 1) // ROWS * ROWS
    codes, drives = np.empty(some * most, np.int32), np.empty(most, np.int32)
    for task in range(first, last):
        tile, m = task // height, task % height
        used = min(rows, depth - tile * rows)
        groups = (used + ROWS - 1) // ROWS
        drives[:] = 0
        for p in range(some):
            at, stride = (slices[p] * height + m) * depth + tile * rows, np.int32(strides[slices[p]])
            some_codes, some_digits = codes[p * most : (p + 1) * most], flat[at : at + used]
            for k in range(used):
                code = np.int32(some_digits[k]) * stride
                some_codes[k] = code
                drives[k] |= code
            some_codes[used:] = 0
        for k in range(used):
            drives[k] = np.int32(drives[k] != 0) << np.int32(k % ROWS)
        place = task * line
        for group in range(groups):
            at = group * ROWS
            driven = item(drives, at) | item(drives, at + 1) | item(drives, at + 2) | item(drives, at + 3)
            pair = item(FIRST, driven)
            for other in (place, place + step):
                put(items, other, (group * PAIRS + pair) * STRIP)
                low, high = at + item(LOW, pair), at + item(HIGH, pair)
                for p in range(some):
                    code, beside = item(codes, p * most + low), item(codes, p * most + high)
                    put(items, other + 1 + p, (code & np.int32(0xFFFF)) | (beside << np.int32(16)))
                pair = PAIRS - 1 - pair
            place += item(COUNT, driven) * step
        counts[task] = (place - task * line) // step


@inline
def pack_groups(memory, itemsize, origin, width, used, packed):
    # packed[group, pair, column of the strip]
    for group in range((used + ROWS - 1) // ROWS):
        for vector in range(2):
            at, place = origin + group * ROWS * width + vector * LANES, group * PAIRS * STRIP + vector * LANES
            left = used - group * ROWS
            a, b = cells(memory, itemsize, at), zeros(np.int32(0))
            c, d = zeros(np.int32(0)), zeros(np.int32(0))
            if left > 1:
                b = cells(memory, itemsize, at + width)
            if left > 2:
                c = cells(memory, itemsize, at + 2 * width)
            if left > 3:
                d = cells(memory, itemsize, at + 3 * width)
            store(packed, place, pack(a, b))
            store(packed, place + STRIP, pack(a, c))
            store(packed, place + 2 * STRIP, pack(a, d))
            store(packed, place + 3 * STRIP, pack(b, c))
            store(packed, place + 4 * STRIP, pack(b, d))
            store(packed, place + 5 * STRIP, pack(c, d))


@inline
def multiply_driven(driven, at, rows, packed, some, count, targets, currents):
    # the currents of `count` input rows, two slices at a time: four sums in registers, and the cells that they share
    items, counts, step = driven.items, driven.counts, some + 1
    line = _line(rows, some)
    for row in range(count):
        first, pairs = (at + row) * line, item(counts, at + row)
        for p in range(0, some - 1, 2):
            a, b, c, d = zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0))
            place = first
            for _ in range(pairs):
                cell = item(items, place)
                left, right = load(packed, cell), load(packed, cell + LANES)
                code = item(items, place + p + 1)
                a, b = pair_product(a, left, code), pair_product(b, right, code)
                code = item(items, place + p + 2)
                c, d = pair_product(c, left, code), pair_product(d, right, code)
                place += step
            target = item(targets, row * some + p)
            store(currents, target, a)
            store(currents, target + LANES, b)
            target = item(targets, row * some + p + 1)
            store(currents, target, c)
            store(currents, target + LANES, d)
        if some & 1:
            a, b = zeros(np.int32(0)), zeros(np.int32(0))
            place = first
            for _ in range(pairs):
                cell, code = item(items, place), item(items, place + some)
                a = pair_product(a, load(packed, cell), code)
                b = pair_product(b, load(packed, cell + LANES), code)
                place += step
            target = item(targets, row * some + some - 1)
            store(currents, target, a)
            store(currents, target + LANES, b)

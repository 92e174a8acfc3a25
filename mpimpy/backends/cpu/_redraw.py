"""Deviations of currents that every input row draws, inside the read kernel: a few rows of a strip's currents.

The variance of a current, ``V = codes**2 @ variance``, is found by one of three paths, all exact.

look-up
    Of a one-bit slice: sums of four rows' variances in tables, as for currents, once for each limb of the variances.
pairs
    int16 products of squared digits with limbs of the variances, summed in int32.
float
    float64 products, exact to 2**53: for operands that do not fit the other two.

All numbers are integers held in float64, and every product and sum stays below 2**53: the bits are those of the
integers of `mpimpy.backends.reference.redraw`. Everything here is inlined into kernels.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.core import types
from numba.extending import overload

from ._currents import GROUP, STRIP, TABLE, WORD, aligned, multiply_floats
from ._disturb import NORMALS, draw_normals
from ._jit import inline
from ._lanes import LANES, floor, item, load, muladd, pack, pair_product, real64, store, whole32, zeros
from ._roots import roots


class RowTerm(NamedTuple):
    """Variances of cells, as kernels take them; arrays of paths that are not taken are empty.

    Attributes
    ----------
    kind : array without elements
        Its dtype holds the currents of mean cells exactly: int32, or float64 where they are wide.
    variance : float64 array, flat
        By weight slice, row and column.
    squares : float64 array, flat
        Squared codes by slice, tile, input row and row of the tile: of the float path.
    pairs : int32 array, flat
        Squared digits by slice, tile, input row and pair of rows, as `multiply_pairs` takes them.
    places : int64 array
        Of each slice: the number of its plane of bits, where it is looked up; else, below 0, of its squares: -1 is the
        first.
    limbs : int64 array
        Bits of a limb and limbs of a variance, for pairs; the same for look-up. No limbs where nothing takes them.
    units : float64 array
        What a squared digit, or code, stands for.
    scale : float64 array
        Grid units of a normal number times a root, and what is added before rounding down.
    normals, address : arrays
        As of `mpimpy.backends.cpu._disturb.Disturbance`.
    shape : int64 array
        Tiles times input rows; words of bits of an input row; those of a plane; rows of a tile.
    beside : float64 array, flat
        Deviations of reference columns by tile, weight slice, input row, input slice and array; or empty.
    arrays : int64 array
        Numbers of an input slice in `beside`; arrays; columns of the first one before the first output; columns of one.
    """

    kind: Any
    variance: Any
    squares: Any
    pairs: Any
    places: Any
    limbs: Any
    units: Any
    scale: Any
    normals: Any
    address: Any
    shape: Any
    beside: Any
    arrays: Any


class Scratch(NamedTuple):
    """Memory of a kernel: a strip of variances as each path takes them, sums of a slice, and its normal numbers."""

    tables: Any
    packed: Any
    floats: Any
    sums: Any
    wholes: Any
    random: Any
    normals: Any
    shares: Any


def of_cells(errors, rows, seen):
    # scratch of the currents of the cells: that of the ADCs, if nothing comes in between
    if errors is None and rows is None:
        return seen
    return np.empty(seen.size, (rows if errors is None else errors).kind.dtype)


@overload(of_cells)
def _(errors, rows, seen):
    # these have different types, so a branch will not do
    if not isinstance(errors, types.NoneType):
        return lambda errors, rows, seen: np.empty(seen.size, errors.kind.dtype)
    if not isinstance(rows, types.NoneType):
        return lambda errors, rows, seen: np.empty(seen.size, rows.kind.dtype)
    return lambda errors, rows, seen: seen


def of_rows(errors, rows, currents, seen):
    # scratch of the currents as rows draw them: that of the cells, or of the ADCs, if it is the same
    if rows is None:
        return currents
    return seen if errors is None else np.empty(seen.size, np.float64)


@overload(of_rows)
def _(errors, rows, currents, seen):
    if isinstance(rows, types.NoneType):
        return lambda errors, rows, currents, seen: currents
    if isinstance(errors, types.NoneType):
        return lambda errors, rows, currents, seen: seen
    return lambda errors, rows, currents, seen: np.empty(seen.size, np.float64)


@inline
def new_scratch(rows, chunk):
    # for `chunk` rows at a time
    depth = rows.shape[3]
    half, groups = (depth + 1) // 2, (depth + GROUP - 1) // GROUP
    whole = rows.squares.size > 0
    return Scratch(
        aligned(rows.limbs[3] * groups * TABLE),
        aligned(rows.limbs[1] * half * STRIP),
        np.empty(depth * STRIP if whole else 0, np.float64),
        np.empty(0 if whole else max(rows.limbs[1], rows.limbs[3]) * chunk * STRIP, np.int32),
        np.empty(chunk * STRIP if whole else 0, np.float64),
        np.empty((2, chunk), np.uint64),
        np.empty(chunk * NORMALS, np.int32),
        np.empty(LANES, np.float64),
    )


# -- variances of a strip, prepared once for a tile, weight slice and block of rows ------------


@inline
def _limb(value, number, count, bits):
    # limb `number`, from the highest down, of variances in float64
    found = floor(value * (1.0 / np.float64(1 << (count - 1 - number) * bits)))
    if number:
        found = found + floor(found * (1.0 / np.float64(1 << bits))) * -np.float64(1 << bits)
    return whole32(found)


@inline
def _pack_limbs(variance, origin, width, used, bits, count, packed):
    # packed[limb, vector, h, column], rows as `pack_cells` pairs them
    half = (used + 1) // 2
    for h in range(half):
        for vector in range(2):
            at = origin + h * width + vector * LANES
            low, high = load(variance, at), zeros(0.0)
            if half + h < used:
                high = load(variance, at + half * width)
            for limb in range(count):
                place = ((limb * 2 + vector) * half + h) * LANES
                store(packed, place, pack(_limb(low, limb, count, bits), _limb(high, limb, count, bits)))


@inline
def _build_tables(variance, origin, width, used, bits, count, tables):
    # tables[limb, vector, group, entry, column], the sums that `build_tables` has: those of a vector fit a small cache
    groups = (used + GROUP - 1) // GROUP
    for limb in range(count):
        for group in range(groups):
            for vector in range(2):
                at = ((limb * 2 + vector) * groups + group) * (TABLE // 2)
                store(tables, at, zeros(np.int32(0)))
                for bit in range(GROUP):
                    k = group * GROUP + bit
                    if k < used:
                        cell = _limb(load(variance, origin + k * width + vector * LANES), limb, count, bits)
                        for entry in range(1 << bit):
                            store(tables, at + ((1 << bit) + entry) * LANES, load(tables, at + entry * LANES) + cell)


@inline
def prepare_rows(rows, origin, width, used, scratch):
    # the strip's variances begin at `origin`
    if rows.squares.size:
        for k in range(used):
            for vector in range(2):
                place = vector * LANES
                store(scratch.floats, k * STRIP + place, load(rows.variance, origin + k * width + place))
    if rows.limbs[1]:
        _pack_limbs(rows.variance, origin, width, used, rows.limbs[0], rows.limbs[1], scratch.packed)
    if rows.limbs[3]:
        _build_tables(rows.variance, origin, width, used, rows.limbs[2], rows.limbs[3], scratch.tables)


# -- variances and deviations of a few rows ----------------------------------------------------


@inline
def _look_up(bits, at, step, words, tables, groups, count, sums):
    # sixteen columns of four rows at a time; rows beyond `count` are looked up and never used
    for row in range(0, count, 4):
        a, b, c, d = zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0))
        for word in range(words):
            place = at + row * step + word
            q, r = item(bits, place), item(bits, place + step)
            s, t = item(bits, place + 2 * step), item(bits, place + 3 * step)
            first = word * (WORD // GROUP)
            for group in range(first, min(first + WORD // GROUP, groups)):
                base = group * (TABLE // 2)
                a, b = a + load(tables, base + (q & 15) * LANES), b + load(tables, base + (r & 15) * LANES)
                c, d = c + load(tables, base + (s & 15) * LANES), d + load(tables, base + (t & 15) * LANES)
                q, r, s, t = q >> GROUP, r >> GROUP, s >> GROUP, t >> GROUP
        place = row * STRIP
        store(sums, place, a)
        store(sums, place + STRIP, b)
        store(sums, place + 2 * STRIP, c)
        store(sums, place + 3 * STRIP, d)


@inline
def _multiply(pairs, at, step, half, packed, count, sums):
    # sixteen columns of four rows at a time: their sums and the cells stay in registers
    whole = count // 4 * 4
    for row in range(0, whole, 4):
        a, b, c, d = zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0)), zeros(np.int32(0))
        place = at + row * step
        for h in range(half):
            cell = load(packed, h * LANES)
            a = pair_product(a, cell, item(pairs, place + h))
            b = pair_product(b, cell, item(pairs, place + step + h))
            c = pair_product(c, cell, item(pairs, place + 2 * step + h))
            d = pair_product(d, cell, item(pairs, place + 3 * step + h))
        place = row * STRIP
        store(sums, place, a)
        store(sums, place + STRIP, b)
        store(sums, place + 2 * STRIP, c)
        store(sums, place + 3 * STRIP, d)
    for row in range(whole, count):
        a = zeros(np.int32(0))
        for h in range(half):
            a = pair_product(a, load(packed, h * LANES), item(pairs, at + row * step + h))
        store(sums, row * STRIP, a)


@inline
def add_up(rows, i, bits, at, used, count, scratch):
    # sums of squared digits of slice i times variances; `at` counts the input rows of all tiles
    lines, line, words, depth = rows.shape[0], rows.shape[1], rows.shape[2], rows.shape[3]
    half, step, groups = (used + 1) // 2, (depth + 1) // 2, (used + GROUP - 1) // GROUP
    size, place = len(scratch.normals) // NORMALS * STRIP, rows.places[i]
    if rows.squares.size:
        multiply_floats(rows.squares, (i * lines + at) * depth, depth, used, scratch.floats, count, scratch.wholes)
    elif place < 0:
        for limb in range(rows.limbs[1]):
            for vector in range(2):
                packed = scratch.packed[(limb * 2 + vector) * half * LANES :]
                sums = scratch.sums[limb * size + vector * LANES :]
                _multiply(rows.pairs, ((-1 - place) * lines + at) * step, step, half, packed, count, sums)
    else:
        for limb in range(rows.limbs[3]):
            for vector in range(2):
                tables = scratch.tables[(limb * 2 + vector) * groups * (TABLE // 2) :]
                sums = scratch.sums[limb * size + vector * LANES :]
                _look_up(bits, at * line + place * words, line, words, tables, groups, count, sums)


@inline
def deviation(rows, i, row, vector, lead, scratch):
    # of sixteen currents, whose variances and normal numbers are there
    at, kind = row * STRIP + vector * LANES, 0
    if rows.squares.size:
        value = load(scratch.wholes, at)
    else:
        if rows.places[i] >= 0:
            kind = 2
        base, size = np.float64(1 << rows.limbs[kind]), len(scratch.normals) // NORMALS * STRIP
        value = real64(load(scratch.sums, at))
        for limb in range(1, rows.limbs[kind + 1]):
            value = muladd(value, base, real64(load(scratch.sums, limb * size + at)))
    length = floor(roots(value * rows.units[i]))
    normal = real64(load(scratch.normals, row * NORMALS + lead + vector * LANES))
    return floor(muladd(normal * rows.scale[0], length, zeros(0.0) + rows.scale[1]))


@inline
def store_deviations(rows, i, count, lead, scratch, vectors, out, at, step):
    # of `count` rows: they begin `step` numbers apart
    for r in range(count):
        for vector in range(vectors):
            store(out, at + r * step + vector * LANES, deviation(rows, i, r, vector, lead, scratch))


@inline
def _share(rows, at, n, scratch):
    # what the reference columns of sixteen columns from n on take away; those of a row and slice begin at `at`
    last, lead, width = rows.arrays[1] - 1, rows.arrays[2], rows.arrays[3]
    first = min((n + lead) // width, last)
    if first == min((n + LANES - 1 + lead) // width, last):
        return zeros(0.0) + -rows.beside[at + first]
    for lane in range(LANES):
        # columns beyond the last are there to fill a strip
        scratch.shares[lane] = -rows.beside[at + min((n + lane + lead) // width, last)]
    return load(scratch.shares, 0)


@inline
def redraw(rows, j, arrays, tile, row, height, n, slices, bits, used, count, scratch, currents, drawn):
    # drawn[(row * slices + slice) * STRIP + column]: currents as input rows draw them
    lead = (rows.address[6] + n) % 8
    for i in range(slices):
        add_up(rows, i, bits, tile * height + row, used, count, scratch)
        draw_normals(rows, j * rows.address[4] + i, tile, row, n, count, scratch.random, scratch.normals)
        for r in range(count):
            beside = (((tile * arrays + j) * height + row + r) * slices + i) * rows.arrays[0]
            for vector in range(2):
                at = (r * slices + i) * STRIP + vector * LANES
                value = real64(load(currents, at)) + deviation(rows, i, r, vector, lead, scratch)
                if rows.beside.size:
                    value = value + _share(rows, beside, n + vector * LANES, scratch)
                store(drawn, at, value)

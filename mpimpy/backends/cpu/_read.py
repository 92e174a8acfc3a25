"""The read kernel: currents, ADC, shift-and-add, scale and reduce, and the packing of its inputs.

A task is a block of input rows times a block of columns, done in strips of 32 columns. In each
tile and weight slice of a strip, the currents of a few rows are found by one of the paths of
`_currents`, errors of the ADCs come in (`_disturb`), and the ADC reads them while they are in the first-level cache.
"""

import numpy as np

from ..reading import PANEL
from ._bits import bits64
from ._currents import (
    GROUP,
    STRIP,
    TABLE,
    WORD,
    aligned,
    build_tables,
    cells,
    fetch_ahead,
    float_cells,
    look_up,
    multiply_bytes,
    multiply_floats,
    multiply_limbs,
    multiply_pairs,
    one_cell,
    pack_byte_cells,
    pack_cells,
)
from ._disturb import NORMALS, disturb, prepare
from ._jit import inline, kernel
from ._lanes import LANES, clip, load, muladd, pack, real64, rint, store, whole32, zeros
from ._redraw import new_scratch, of_cells, of_rows, prepare_rows, redraw

# Numba's cache notices a change of this file alone, so the digest of the files inlined here is a part of it.
INLINED = "1afe704040b89f6d"


# -- digits of the inputs, packed once a product, per tile and row ----------------------------


@kernel
def pack_bits(first, last, digits, slices, widths, rows, out):
    """Write the bits of digits: ``out[tile, row, plane, word]`` holds those of 64 rows of a tile.

    `slices` are the slices to pack; the planes of one go from its highest bit down.
    """
    height, depth = digits.shape[1:]
    words = out.shape[3]
    flat = digits.reshape(-1)
    for task in range(first, last):
        tile, m = task // height, task % height
        used = min(rows, depth - tile * rows)
        plane = 0
        for i in slices:
            for bit in range(widths[i] - 1, -1, -1):
                for word in range(words):
                    start = word * WORD
                    at = (i * height + m) * depth + tile * rows + start
                    if start + WORD <= used:
                        out[tile, m, plane, word] = bits64(flat, at, bit)
                    else:
                        value = np.int64(0)
                        for k in range(used - start):
                            value |= ((np.int64(flat[at + k]) >> bit) & 1) << k
                        out[tile, m, plane, word] = value
                plane += 1


@kernel
def pack_pairs(first, last, memory, itemsize, depth, slices, strides, rows, out):
    """Write pairs of codes, two int16 in an int32: ``out[tile, row, slice, h]``.

    Pair h holds rows h and ``h + half`` of the tile, half being half of the rows in use. `memory` holds the digits.
    """
    height = out.shape[1]
    flat = out.reshape(-1)
    for task in range(first, last):
        tile, m = task // height, task % height
        start = tile * rows
        used = min(rows, depth - start)
        half = (used + 1) // 2
        for p in range(slices.size):
            i = slices[p]
            stride = np.int32(strides[i])
            at, place = (i * height + m) * depth + start, (task * slices.size + p) * out.shape[3]
            whole = (used - half) // LANES * LANES
            for h in range(0, whole, LANES):
                low = cells(memory, itemsize, at + h) * stride
                store(flat, place + h, pack(low, cells(memory, itemsize, at + half + h) * stride))
            for h in range(whole, half):
                low, high = one_cell(memory, itemsize, at + h) * stride, np.int32(0)
                if half + h < used:
                    high = one_cell(memory, itemsize, at + half + h) * stride
                out[tile, m, p, h] = (low & np.int32(0xFFFF)) | (high << np.int32(16))


@kernel
def pack_floats(first, last, digits, strides, rows, out):
    """Write codes as float64: ``out[tile, row, slice, k]``."""
    slices, height, depth = digits.shape
    for task in range(first, last):
        tile, m = task // height, task % height
        start = tile * rows
        for i in range(slices):
            for k in range(min(rows, depth - start)):
                out[tile, m, i, k] = np.float64(digits[i, m, start + k]) * strides[i]


# -- ADC and shift-and-add of a few rows -------------------------------------------------------


@inline
def _code(scaled, origins, i, low, top):
    if origins is not None:
        scaled = scaled + origins[i]
    return clip(rint(scaled), low, top)


@inline
def _convert(currents, count, slices, steps, origins, lows, tops, fresh, inner, outer, sums, at):
    # All weights are integers: float32 adds up the inner sums exactly, int32 the outer ones.
    for row in range(count):
        for vector in range(2):
            total = zeros(steps[0])
            for i in range(slices):
                current = load(currents, (row * slices + i) * STRIP + vector * LANES)
                total = muladd(_code(current * steps[i], origins, i, lows[i], tops[i]), inner[i], total)
            place = at + row * STRIP + vector * LANES
            value = whole32(total) * outer
            if not fresh:
                value = value + load(sums, place)
            store(sums, place, value)


@inline
def _convert_in_order(currents, count, slices, steps, origins, lows, tops, fresh, snap, units, weights, sums, at):
    # the float64 sum as the reference has it: a multiply and an add, never fused
    for row in range(count):
        for vector in range(2):
            place = at + row * STRIP + vector * LANES
            total = zeros(0.0)
            if not fresh:
                total = load(sums, place)
            for i in range(slices):
                current = load(currents, (row * slices + i) * STRIP + vector * LANES)
                code = real64(_code(current * steps[i], origins, i, lows[i], tops[i]))
                if snap:
                    if origins is not None:
                        code = code + -np.float64(origins[i])
                    code = rint(code * units[i])
                total = total + code * weights[i]
            store(sums, place, total)


@inline
def _reduce(sums, height, more, scales, row, tile, width_scale, at, fresh, totals):
    # add a tile's sums, and `more`, times the scales of its rows and columns, to a strip's totals
    for m in range(height):
        scale = scales[row + m, tile]
        for vector in range(2):
            place = m * STRIP + vector * LANES
            before = zeros(0.0)
            if not fresh:
                before = load(totals, at + place)
            value = real64(load(sums, place))
            if more is not None:
                value = value + more
            value = value * scale * load(width_scale, vector * LANES)
            store(totals, at + place, before + value)


@kernel
def read(
    first,
    last,
    bits,
    pairs,
    codes,
    looked_up,
    paired,
    widths,
    strides,
    x_scale,
    grid,
    itemsize,
    w_scale,
    depth,
    rows,
    steps,
    origins,
    more,
    lows,
    tops,
    upper,
    small,
    snap,
    simple,
    inner,
    outer,
    units,
    weights,
    blocks,
    single,
    double,
    errors,
    drawn_by_rows,
):
    """Read a matrix; the arrays of paths that are not taken are empty.

    Parameters: `bits`, `pairs`, `codes` as packed above, flat; `looked_up`, `paired` the slices of
    either path; `grid` the memory of the cells, of `itemsize` bytes each; `origins` and `more` what is
    added to scaled currents and to tiles' sums, or None, so that they cost nothing; `upper` the unit of the upper
    limbs of codes, or None where codes are one limb; `small` True where upper limbs of cells are bytes, else None;
    `simple` whether
    ``weights[j, i] = inner[j, i] * outer[j]`` with exact inner sums in float32; `blocks` the rows and
    columns of a task and the rows converted together; `single` or `double` the result; `errors` a
    `Disturbance`, and `drawn_by_rows` a `RowTerm`, or None: then Numba leaves out what would ask for one.
    """
    height, tiles = x_scale.shape
    width = w_scale.shape[1]
    slices = strides.size
    row_block, col_block, chunk = blocks
    across = (width + col_block - 1) // col_block
    planes = 0
    for i in looked_up:
        planes += widths[i]
    words, half_rows = (rows + WORD - 1) // WORD, (rows + 1) // 2
    groups = (rows + GROUP - 1) // GROUP
    strips = col_block // STRIP
    tables = aligned(groups * TABLE if looked_up.size else 0)
    limbs = 2 if itemsize == 4 else 1
    line = half_rows if upper is None and small is None else 2 * half_rows
    packed = aligned((limbs * half_rows + 1) * STRIP if paired.size else 0)
    floats = np.empty(rows * STRIP if codes.size else 0, np.float64)
    seen = np.empty(chunk * slices * STRIP, steps.dtype)  # what the ADCs see
    currents = of_cells(errors, drawn_by_rows, seen)
    drawn = of_rows(errors, drawn_by_rows, currents, seen)
    if drawn_by_rows is not None:
        scratch = new_scratch(drawn_by_rows, chunk)
    if errors is not None:
        slopes, shifts = np.empty(STRIP, np.float64), np.empty(slices * STRIP, np.float64)
        random, normals = np.empty((2, chunk), np.uint64), np.empty(chunk * NORMALS, np.int32)
    whole_sums = aligned(row_block * STRIP if simple else 0)
    sums = np.empty(0 if simple else row_block * STRIP, np.float64)
    totals = np.empty(strips * row_block * STRIP, np.float64)
    results = np.empty(totals.size if tiles > PANEL else 0, np.float64)
    targets = np.empty(chunk * max(1, paired.size), np.int64)
    for row in range(chunk):
        for p in range(paired.size):
            targets[row * paired.size + p] = (row * slices + paired[p]) * STRIP
    for task in range(first, last):
        m0, n0 = (task // across) * row_block, (task % across) * col_block
        ms = min(row_block, height - m0)
        ns = min(col_block, width - n0)
        strips = (ns + STRIP - 1) // STRIP
        for tile in range(tiles):
            start = tile * rows
            used = min(rows, depth - start)
            half, groups = (used + 1) // 2, (used + GROUP - 1) // GROUP
            row_at = tile * height + m0
            for strip in range(strips):
                # the last strip may overlap the one before: the same numbers twice
                n = n0 + min(strip * STRIP, ns - STRIP)
                for j in range(len(steps)):
                    origin = (j * depth + start) * width + n
                    if j + 1 < len(steps):
                        fetch_ahead(grid, itemsize, origin + depth * width, width, used)
                    elif strip + 1 < strips:
                        fetch_ahead(grid, itemsize, start * width + n + STRIP, width, used)
                    if looked_up.size:
                        build_tables(grid, itemsize, origin, width, used, tables)
                    if paired.size:
                        if small is None:
                            pack_cells(grid, itemsize, origin, width, used, packed)
                        else:
                            pack_byte_cells(grid, itemsize, origin, width, used, packed)
                    if codes.size:
                        float_cells(grid, itemsize, origin, width, used, floats)
                    if errors is not None:
                        prepare(errors, j, tile, tiles, width, n, slices, slopes, shifts)
                    if drawn_by_rows is not None:
                        prepare_rows(drawn_by_rows, origin, width, used, scratch)
                    for c in range(0, ms, chunk):
                        count = min(chunk, ms - c)
                        at = row_at + c
                        if looked_up.size:
                            look_up(
                                bits,
                                at * planes * words,
                                words,
                                planes,
                                looked_up,
                                widths,
                                strides,
                                tables,
                                groups,
                                count,
                                slices,
                                currents,
                            )
                        if paired.size:
                            place, total = at * paired.size * line, count * paired.size
                            if upper is not None:
                                multiply_limbs(pairs, place, half_rows, half, packed, total, targets, upper, currents)
                            elif small is not None:
                                multiply_bytes(pairs, place, half_rows, half, packed, total, targets, currents)
                            else:
                                multiply_pairs(pairs, place, half_rows, half, packed, limbs, total, targets, currents)
                        if codes.size:
                            multiply_floats(codes, at * slices * rows, rows, used, floats, count * slices, currents)
                        if drawn_by_rows is not None:
                            redraw(
                                drawn_by_rows,
                                j,
                                len(steps),
                                tile,
                                m0 + c,
                                height,
                                n,
                                slices,
                                bits,
                                used,
                                count,
                                scratch,
                                currents,
                                drawn,
                            )
                        if errors is not None:
                            disturb(
                                errors,
                                j,
                                tile,
                                m0 + c,
                                n,
                                drawn,
                                count,
                                slices,
                                errors.kind.itemsize == 8,
                                slopes,
                                shifts,
                                random,
                                normals,
                                seen,
                            )
                        step, low, top, at = steps[j], lows[j], tops[j], c * STRIP
                        origin = None
                        if origins is not None:
                            origin = origins[j]
                        if simple:
                            part, factor = inner[j], outer[j]
                            _convert(seen, count, slices, step, origin, low, top, j == 0, part, factor, whole_sums, at)
                        else:
                            unit, weight = units[j], weights[j]
                            _convert_in_order(
                                seen, count, slices, step, origin, low, top, j == 0, snap, unit, weight, sums, at
                            )
                column_scale, fresh, at = w_scale[tile, n:], tile % PANEL == 0, strip * row_block * STRIP
                if simple:
                    _reduce(whole_sums, ms, more, x_scale, m0, tile, column_scale, at, fresh, totals)
                else:
                    _reduce(sums, ms, more, x_scale, m0, tile, column_scale, at, fresh, totals)
                if tile % PANEL == PANEL - 1 or tile == tiles - 1:
                    for m in range(ms):
                        for vector in range(2):
                            at = (strip * row_block + m) * STRIP + vector * LANES
                            value = load(totals, at)
                            if tile >= PANEL:
                                value = value + load(results, at)
                            if tile < tiles - 1:
                                store(results, at, value)
                            elif double.size:
                                store(double, (m0 + m) * width + n + vector * LANES, value)
                            else:
                                store(single, (m0 + m) * width + n + vector * LANES, value)

"""Kernels of currents that every input row draws, beside the read kernel: squared codes, and reference columns."""

import numpy as np

from ._currents import STRIP, cells, one_cell
from ._disturb import draw_normals
from ._jit import kernel
from ._lanes import LANES, pack, store
from ._redraw import add_up, new_scratch, prepare_rows, store_deviations

# Numba's cache notices a change of this file alone, so the digest of the files inlined here is a part of it.
INLINED = "80d00e5d6b54c456"


@kernel
def pack_squares(first, last, memory, itemsize, depth, slices, rows, out):
    """Write pairs of squared digits, two int16 in an int32: ``out[slice, tile, row, h]``, as `pack_pairs` does."""
    tiles, height = out.shape[1:3]
    flat = out.reshape(-1)
    for task in range(first, last):
        tile, m = task // height, task % height
        start = tile * rows
        used = min(rows, depth - start)
        half = (used + 1) // 2
        for p in range(slices.size):
            at, place = (slices[p] * height + m) * depth + start, ((p * tiles + tile) * height + m) * out.shape[3]
            whole = (used - half) // LANES * LANES
            for h in range(0, whole, LANES):
                low, high = cells(memory, itemsize, at + h), cells(memory, itemsize, at + half + h)
                store(flat, place + h, pack(low * low, high * high))
            for h in range(whole, half):
                low, high = one_cell(memory, itemsize, at + h), np.int32(0)
                if half + h < used:
                    high = one_cell(memory, itemsize, at + half + h)
                flat[place + h] = (low * low & np.int32(0xFFFF)) | (high * high << np.int32(16))


@kernel
def square_codes(first, last, digits, strides, drop, rows, out):
    """Write squared codes as float64: ``out[slice, tile, row, k]``; codes lose `drop` bits before."""
    slices, height, depth = digits.shape
    for task in range(first, last):
        tile, m = task // height, task % height
        start = tile * rows
        for i in range(slices):
            for k in range(min(rows, depth - start)):
                code = np.float64(digits[i, m, start + k]) * strides[i]
                if drop:
                    code = np.floor(code * (1.0 / np.float64(1 << drop)) + 0.5)
                out[i, tile, m, k] = code * code


@kernel
def deviate(first, last, rows, bits, depth, width, arrays, row_block, chunk, out):
    """Write the deviations of reference columns, each of an array: ``out[tile, weight slice, row, slice, array]``.

    `rows` is a `RowTerm` whose variances have `width` columns, a multiple of a strip.
    """
    _, _, height, slices, wide = out.shape
    tall, flat = rows.shape[3], out.reshape(-1)
    down = (height + row_block - 1) // row_block
    scratch = new_scratch(rows, chunk)
    for task in range(first, last):
        tile, m0 = task // down, task % down * row_block
        ms = min(row_block, height - m0)
        start = tile * tall
        used = min(tall, depth - start)
        for j in range(arrays):
            for n in range(0, wide, STRIP):
                prepare_rows(rows, (j * depth + start) * width + n, width, used, scratch)
                lead, vectors = (rows.address[6] + n) % 8, min(2, (wide - n) // LANES)
                for c in range(m0, m0 + ms, chunk):
                    count = min(chunk, m0 + ms - c)
                    for i in range(slices):
                        add_up(rows, i, bits, tile * height + c, used, count, scratch)
                        number = j * rows.address[4] + i
                        draw_normals(rows, number, tile, c, n, count, scratch.random, scratch.normals)
                        at = (((tile * arrays + j) * height + c) * slices + i) * wide + n
                        store_deviations(rows, i, count, lead, scratch, vectors, flat, at, slices * wide)

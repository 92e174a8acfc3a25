"""The Numba kernels themselves: plain loops over arrays and numbers.

Helpers that are inlined live in this file, since Numba's cache does not notice a change in
another one. Inside ``prange`` nothing raises and every iteration writes its own outputs.
"""

import numpy as np
from numba import prange

from ..random import MULTIPLIERS, ROUNDS, STUCK_FINE, WEYL
from ._jit import inline, kernel
from .reference import PANEL

_M0, _M1 = MULTIPLIERS
_W0, _W1 = WEYL
_LOW = 0xFFFFFFFF


@kernel
def peaks(values, a, c, ceiling, out):
    batch, rows, cols = values.shape
    high, wide = out.shape[1], out.shape[2]
    for task in prange(batch * high):
        b, block_row = task // high, task % high
        for row in range(block_row * a, min((block_row + 1) * a, rows)):
            for block_col in range(wide):
                peak, top = out[b, block_row, block_col], ceiling[b, block_row, block_col]
                for col in range(block_col * c, min((block_col + 1) * c, cols)):
                    size = abs(np.float64(values[b, row, col]))
                    if size > peak and size <= top:
                        peak = size
                out[b, block_row, block_col] = peak


@kernel
def totals(values, a, c, scale_1, scale_2, out):
    batch, rows, cols = values.shape
    high, wide = out.shape[1], out.shape[2]
    for task in prange(batch * high):
        b, block_row = task // high, task % high
        for row in range(block_row * a, min((block_row + 1) * a, rows)):
            for block_col in range(wide):
                f1, f2 = scale_1[b, block_row, block_col], scale_2[b, block_row, block_col]
                total = out[b, block_row, block_col]
                for col in range(block_col * c, min((block_col + 1) * c, cols)):
                    total += np.int64(np.rint(abs(np.float64(values[b, row, col])) * f1 * f2))
                out[b, block_row, block_col] = total


@kernel
def digits(values, a, c, divisor, scale_1, scale_2, low, high, bits, strides, out):
    batch, rows, cols = values.shape
    slices, wide = bits.size, divisor.shape[2]
    top = 2.0 ** (bits.sum() - 1)
    for task in prange(batch * rows):
        b, row = task // rows, task % rows
        block_row = row // a
        codes = np.empty(c, np.int64)
        for block_col in range(wide):
            first, last = block_col * c, min((block_col + 1) * c, cols)
            d = divisor[b, block_row, block_col]
            f1, f2 = scale_1[b, block_row, block_col], scale_2[b, block_row, block_col]
            floor, ceiling = low[b, block_row, block_col], high[b, block_row, block_col]
            for k in range(last - first):
                v = np.float64(values[b, row, first + k])
                q = np.rint(v / d * f1 * f2)
                q = min(max(q, -top), top - 1.0)
                size = abs(v)
                codes[k] = np.int64(q) if size > floor and size <= ceiling else 0
            below = 0
            for s in range(slices):
                mask, stride = (1 << bits[s]) - 1, strides[s]
                for k in range(last - first):
                    out[s, b, row, first + k] = ((codes[k] >> below) & mask) * stride
                below += bits[s]


@inline
def _philox(c0, c1, c2, c3, k0, k1):
    m0, m1, low, half = np.uint64(_M0), np.uint64(_M1), np.uint64(_LOW), np.uint64(32)
    for _ in range(ROUNDS):
        p0, p1 = c0 * m0, c2 * m1
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ k0, p1 & low, (p0 >> half) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + np.uint64(_W0)) & low, (k1 + np.uint64(_W1)) & low
    return c0, c1, c2, c3


@inline
def _eight(address, purpose, index, row, group, out):
    # the eight 16-bit words of a group of columns; address is that of random.Address
    c3 = np.uint64(purpose << 28 | index << 20 | address[3])
    word = _philox(
        np.uint64(group), np.uint64(row), np.uint64(address[4]), c3, np.uint64(address[0]), np.uint64(address[1])
    )
    low, half = np.uint64(0xFFFF), np.uint64(16)
    out[0], out[1] = word[0] & low, word[0] >> half
    out[2], out[3] = word[1] & low, word[1] >> half
    out[4], out[5] = word[2] & low, word[2] >> half
    out[6], out[7] = word[3] & low, word[3] >> half


@kernel
def perturb(cells, table, address, up, reference, shift, bound, out):
    slices, rows, cols = cells.shape
    half = (1 << shift) >> 1
    for task in prange(slices * rows):
        index, row = task // rows, task % rows
        word = np.empty(8, np.int64)
        place = address[6]
        for group in range(place // 8, (place + cols + 7) // 8):
            _eight(address, address[2], index, address[5] + row, group, word)
            for lane in range(max(0, place - 8 * group), min(8, place + cols - 8 * group)):
                col = 8 * group + lane - place
                value = (np.int64(cells[index, row, col]) << up) + reference
                value = ((value * np.int64(table[word[lane]]) + half) >> shift) - reference
                out[index, row, col] = min(max(value, -bound), bound)


@kernel
def stick(address, high_share, low_share, high, out):
    slices, rows, cols = out.shape
    for task in prange(slices * rows):
        index, row = task // rows, task % rows
        coarse, fine = np.empty(8, np.int64), np.empty(8, np.int64)
        place = address[6]
        for group in range(place // 8, (place + cols + 7) // 8):
            _eight(address, address[2], index, address[5] + row, group, coarse)
            _eight(address, STUCK_FINE, index, address[5] + row, group, fine)
            for lane in range(max(0, place - 8 * group), min(8, place + cols - 8 * group)):
                col = 8 * group + lane - place
                draw = coarse[lane] << 16 | fine[lane]
                if draw < high_share:
                    out[index, row, col] = high
                elif draw < high_share + low_share:
                    out[index, row, col] = 0


@inline
def _block(arrays, kind, s, row, col, out):
    # out[:, :] = arrays[kind][s, row:, col:], for the integer widths that there are
    rows, cols = out.shape
    if kind == 0:
        for r in range(rows):
            for c in range(cols):
                out[r, c] = arrays[0][s, row + r, col + c]
    elif kind == 1:
        for r in range(rows):
            for c in range(cols):
                out[r, c] = arrays[1][s, row + r, col + c]
    elif kind == 2:
        for r in range(rows):
            for c in range(cols):
                out[r, c] = arrays[2][s, row + r, col + c]
    else:
        for r in range(rows):
            for c in range(cols):
                out[r, c] = arrays[3][s, row + r, col + c]


def _make_read(product, real):
    # One source for three precisions: `product` holds exact integer currents, `real` is the ADC's.
    # Integer widths and the width of the result are told at run time, by a tuple of arrays of which
    # one is filled: compiling for every combination would take minutes.
    @kernel
    def read(
        codes,
        code_kind,
        x_scale,
        grid,
        grid_kind,
        w_scale,
        rows,
        depth,
        steps,
        low,
        tops,
        units,
        snap,
        weights,
        blocks,
        out,
    ):
        height, tiles = x_scale.shape
        width = w_scale.shape[1]
        slices, inputs = weights.shape
        single, double = out
        row_block, col_block = blocks
        down, across = (height + row_block - 1) // row_block, (width + col_block - 1) // col_block
        for task in prange(down * across):
            m0, n0 = (task // across) * row_block, (task % across) * col_block
            ms, ns = min(row_block, height - m0), min(col_block, width - n0)
            # zeros: the last tile may have fewer rows, and a missing row carries no current
            drive, cells = np.zeros((inputs, ms, rows), product), np.zeros((rows, ns), product)
            current = np.empty((ms, ns), product)
            acc, total = np.empty((ms, ns), np.float64), np.empty((ms, ns), np.float64)
            y = np.zeros((ms, ns), np.float64)
            for panel in range(0, tiles, PANEL):
                total[:, :] = 0.0
                for tile in range(panel, min(panel + PANEL, tiles)):
                    first, used = tile * rows, min(rows, depth - tile * rows)
                    if used < rows:
                        drive[:, :, :] = 0
                        cells[:, :] = 0
                    for i in range(inputs):
                        _block(codes, code_kind, i, m0, first, drive[i, :, :used])
                    acc[:, :] = 0.0
                    for j in range(slices):
                        step, top = steps[j], tops[j]
                        _block(grid, grid_kind, j, first, n0, cells[:used, :])
                        for i in range(inputs):
                            np.dot(drive[i], cells, current)
                            weight, unit = weights[j, i], units[j, i]
                            for m in range(ms):
                                for n in range(ns):
                                    adc = min(max(np.rint(real(current[m, n]) * step), low), top)
                                    code = np.float64(adc)
                                    if snap:
                                        code = np.rint(code * unit)
                                    acc[m, n] += code * weight
                    for m in range(ms):
                        scale = x_scale[m0 + m, tile]
                        for n in range(ns):
                            total[m, n] += acc[m, n] * scale * w_scale[tile, n0 + n]
                y += total
            if double.size:
                double[m0 : m0 + ms, n0 : n0 + ns] = y
            else:
                single[m0 : m0 + ms, n0 : n0 + ns] = y

    return read


read_float32 = _make_read(np.float32, np.float32)
read_narrow = _make_read(np.float64, np.float32)
read_wide = _make_read(np.float64, np.float64)

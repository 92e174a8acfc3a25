"""Kernels that measure the blocks of an operand, and turn it into digits.

Blocks of one column, those of weights, are worked through along the rows, as wide ones are: vectors hold neighbours
in memory either way.
"""

import numpy as np

from ._jit import inline, kernel

PEAKS = 16  # largest magnitudes of a block found side by side


@kernel
def block_max(first, last, values, a, c, ceiling, out):
    rows, cols = values.shape[1:]
    high, wide = out.shape[1], out.shape[2]
    peaks = np.empty(PEAKS, np.float64)
    for task in range(first, last):
        b, block_row = task // high, task % high
        found, tops = out[b, block_row], ceiling[b, block_row]
        for row in range(block_row * a, min((block_row + 1) * a, rows)):
            given = values[b, row]
            if c == 1:
                for col in range(wide):
                    size, peak = abs(np.float64(given[col])), found[col]
                    found[col] = size if (size > peak) & (size <= tops[col]) else peak
                continue
            for block_col in range(wide):
                top, right = tops[block_col], min((block_col + 1) * c, cols)
                # several maxima at once, which whole vectors hold
                peaks[:] = found[block_col]
                for left in range(block_col * c, right - PEAKS + 1, PEAKS):
                    some = given[left : left + PEAKS]
                    for k in range(PEAKS):
                        size, peak = abs(np.float64(some[k])), peaks[k]
                        peaks[k] = size if (size > peak) & (size <= top) else peak
                peak = 0.0
                for k in range(PEAKS):
                    peak = max(peak, peaks[k])
                for col in range(right - (right - block_col * c) % PEAKS, right):
                    size = abs(np.float64(given[col]))
                    if size > peak and size <= top:
                        peak = size
                found[block_col] = peak


@kernel
def block_sums(first, last, values, a, c, scale_1, scale_2, out):
    rows, cols = values.shape[1:]
    high, wide = out.shape[1], out.shape[2]
    for task in range(first, last):
        b, block_row = task // high, task % high
        for row in range(block_row * a, min((block_row + 1) * a, rows)):
            for block_col in range(wide):
                f1, f2 = scale_1[b, block_row, block_col], scale_2[b, block_row, block_col]
                total = out[b, block_row, block_col]
                for col in range(block_col * c, min((block_col + 1) * c, cols)):
                    total += np.int64(np.rint(abs(np.float64(values[b, row, col])) * f1 * f2))
                out[b, block_row, block_col] = total


@inline
def _code(value, divided, d, f1, twice, f2, lowest, highest):
    q = np.float64(value)
    if divided:
        q = q / d
    q = q * f1
    if twice:
        q = q * f2
    return min(max(np.rint(q), lowest), highest)


@inline
def _inside(value, code, floor, ceiling):
    size = abs(np.float64(value))
    return code if (size > floor) & (size <= ceiling) else code * 0


@inline
def _digits(
    first,
    last,
    values,
    a,
    c,
    divisor,
    scale_1,
    scale_2,
    low,
    high,
    bits,
    strides,
    lowest,
    highest,
    offset,
    signed,
    codes,
    out,
):
    # `codes` is scratch for one row, int32 where these fit: vectors convert to no other integers everywhere
    rows, cols = values.shape[1:]
    slices, wide, kind = bits.size, scale_1.shape[2], codes.dtype.type
    divided, twice, bounded = divisor.size > 0, scale_2.size > 0, low.size > 0
    for task in range(first, last):
        b, row = task // rows, task % rows
        block_row, given = row // a, values[b, row]
        one = scale_1[b, block_row]
        by, two, floor, ceiling = one, one, one, one
        if divided:
            by = divisor[b, block_row]
        if twice:
            two = scale_2[b, block_row]
        if bounded:
            floor, ceiling = low[b, block_row], high[b, block_row]
        if c == 1:
            for k in range(cols):
                codes[k] = kind(_code(given[k], divided, by[k], one[k], twice, two[k], lowest, highest))
            if bounded:
                for k in range(cols):
                    codes[k] = _inside(given[k], codes[k], floor[k], ceiling[k])
        else:
            for block_col in range(wide):
                left, right = block_col * c, min((block_col + 1) * c, cols)
                some, found = given[left:right], codes[left:right]
                d, f1, f2 = by[block_col], one[block_col], two[block_col]
                for k in range(right - left):
                    found[k] = kind(_code(some[k], divided, d, f1, twice, f2, lowest, highest))
                if bounded:
                    bottom, top = floor[block_col], ceiling[block_col]
                    for k in range(right - left):
                        found[k] = _inside(some[k], found[k], bottom, top)
        below, more = kind(0), kind(offset)
        for s in range(slices):
            mask, stride, found = kind((1 << bits[s]) - 1), kind(strides[s]), out[s, b, row]
            if signed:
                for k in range(cols):
                    digit = kind(kind(kind(abs(codes[k])) >> below) & mask) * stride
                    found[k] = digit if codes[k] >= 0 else -digit
            else:
                for k in range(cols):
                    found[k] = kind(kind(kind(codes[k] + more) >> below) & mask) * stride
            below = kind(below + bits[s])


@kernel
def digits(
    first, last, values, a, c, divisor, scale_1, scale_2, low, high, bits, strides, lowest, highest, offset, signed, out
):
    # divisor, scale_2, low and high may be empty: 1, 1, and no limits
    size = values.shape[2]
    if highest + offset < 2.0**31 and lowest > -(2.0**31):
        _digits(
            first,
            last,
            values,
            a,
            c,
            divisor,
            scale_1,
            scale_2,
            low,
            high,
            bits,
            strides,
            lowest,
            highest,
            offset,
            signed,
            np.empty(size, np.int32),
            out,
        )
    else:
        _digits(
            first,
            last,
            values,
            a,
            c,
            divisor,
            scale_1,
            scale_2,
            low,
            high,
            bits,
            strides,
            lowest,
            highest,
            offset,
            signed,
            np.empty(size, np.int64),
            out,
        )

"""The Numba kernels themselves: plain loops over arrays and numbers.

Helpers that are inlined live in this file or in `_philox`. Nothing raises, and every task writes its
own outputs.
"""

import numpy as np

from ...noise import STUCK_FINE
from ._jit import inline, kernel
from ._philox import philox

# Numba's cache notices a change of this file alone, so the digest of the file inlined here is a part of it.
INLINED = "4421d4ebde22e1f0"

GROUPS = 16  # calls of the generator made together: 128 columns
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


@kernel
def fold(first, last, digits, weights, divisor, scales, rows, axis, out):
    # scales without elements: none
    slices, _, cols = digits.shape
    for row in range(first, last):
        total = np.empty(cols, np.float64)
        for col in range(cols):
            total[col] = np.float64(digits[0, row, col]) * weights[0]
        for s in range(1, slices):
            for col in range(cols):
                total[col] += np.float64(digits[s, row, col]) * weights[s]
        if not scales.size:
            for col in range(cols):
                out[row, col] = total[col] / divisor
        elif axis == 0:
            for col in range(cols):
                out[row, col] = total[col] / divisor * scales[row // rows, col]
        else:
            for left in range(0, cols, rows):
                scale = scales[row, left // rows]
                for col in range(left, min(left + rows, cols)):
                    out[row, col] = total[col] / divisor * scale


@kernel
def limbs(first, last, digits, weights, bits, out):
    slices, _, cols = digits.shape
    count = out.shape[0]
    bits, mask = np.int32(bits), np.int32((1 << bits) - 1)
    for row in range(first, last):
        total = np.zeros(cols, np.int32)
        for s in range(slices):
            weight = np.int32(weights[s])
            for col in range(cols):
                total[col] += np.int32(digits[s, row, col]) * weight
        for k in range(count - 1):
            for col in range(cols):
                out[k, row, col] = total[col] & mask
                total[col] >>= bits
        for col in range(cols):
            out[count - 1, row, col] = total[col]


@inline
def _draw(address, purpose, index, row, group, words):
    # words[i, g]: the 16-bit word of column 8 * (group + g) + i; address is that of random.Address.
    # The loop over groups is straight enough for LLVM to run it on whole vectors.
    k0, k1 = np.uint64(address[0]), np.uint64(address[1])
    c1, c2, c3 = np.uint64(row), np.uint64(address[4]), np.uint64(purpose << 28 | index << 20 | address[3])
    low, half = np.uint64(0xFFFF), np.uint64(16)
    for g in range(GROUPS):
        w0, w1, w2, w3 = philox(np.uint64(group + g), c1, c2, c3, k0, k1)
        words[0, g], words[1, g] = np.int32(w0 & low), np.int32(w0 >> half)
        words[2, g], words[3, g] = np.int32(w1 & low), np.int32(w1 >> half)
        words[4, g], words[5, g] = np.int32(w2 & low), np.int32(w2 >> half)
        words[6, g], words[7, g] = np.int32(w3 & low), np.int32(w3 >> half)


@inline
def _draw_down(address, purpose, index, row, group, words):
    # words[i, g]: the 16-bit word of column 8 * group + i in row + g
    k0, k1 = np.uint64(address[0]), np.uint64(address[1])
    c0, c2, c3 = np.uint64(group), np.uint64(address[4]), np.uint64(purpose << 28 | index << 20 | address[3])
    low, half = np.uint64(0xFFFF), np.uint64(16)
    for g in range(GROUPS):
        w0, w1, w2, w3 = philox(c0, np.uint64(row + g), c2, c3, k0, k1)
        words[0, g], words[1, g] = np.int32(w0 & low), np.int32(w0 >> half)
        words[2, g], words[3, g] = np.int32(w1 & low), np.int32(w1 >> half)
        words[4, g], words[5, g] = np.int32(w2 & low), np.int32(w2 >> half)
        words[6, g], words[7, g] = np.int32(w3 & low), np.int32(w3 >> half)


@inline
def _look_up(table, words, factors):
    for g in range(GROUPS):
        for i in range(8):
            factors[8 * g + i] = table[words[i, g]]


@kernel
def perturb(first, last, cells, skip, table, address, level_shift, reference, shift, bound, out):
    rows, cols = out.shape[1:]
    half, place = (1 << shift) >> 1, address[6]
    words, factors = np.empty((8, GROUPS), np.int32), np.empty(8 * GROUPS, np.int32)
    for task in range(first, last):
        index, row = task // rows, task % rows
        for group in range(place // 8, (place + cols + 7) // 8, GROUPS):
            _draw(address, address[2], index, address[5] + row, group, words)
            _look_up(table, words, factors)
            start = 8 * group - place
            for col in range(max(0, start), min(cols, start + 8 * GROUPS)):
                value = (np.int64(cells[index, row, skip + col]) << level_shift) + reference
                value = ((value * np.int64(factors[col - start]) + half) >> shift) - reference
                out[index, row, col] = min(max(value, -bound), bound)


@kernel
def perturb_narrow(first, last, cells, skip, excess, address, level_shift, reference, bound, out):
    """Perturb where everything fits 32 bits: the same numbers, from factors less one.

    ``(v * (2**16 + t) + half) >> 16`` is ``v + ((v * t + half) >> 16)``.
    """
    rows, cols = out.shape[1:]
    reference, half, low, high = np.int32(reference), np.int32(1 << 15), np.int32(-bound), np.int32(bound)
    level_shift, shift, place = np.int32(level_shift), np.int32(16), address[6]
    words, factors = np.empty((8, GROUPS), np.int32), np.empty(8 * GROUPS, np.int32)
    for task in range(first, last):
        index, row = task // rows, task % rows
        for group in range(place // 8, (place + cols + 7) // 8, GROUPS):
            _draw(address, address[2], index, address[5] + row, group, words)
            _look_up(excess, words, factors)
            start = 8 * group - place
            left, right = max(0, start), min(cols, start + 8 * GROUPS)
            given, found, more = (
                cells[index, row, skip + left : skip + right],
                out[index, row, left:right],
                factors[left - start :],
            )
            for col in range(right - left):
                value = np.int32((np.int32(given[col]) << level_shift) + reference)
                change = np.int32(np.int32(value * more[col] + half) >> shift)
                found[col] = min(max(np.int32(value + change - reference), low), high)


@kernel
def perturb_thin(first, last, cells, skip, excess, address, level_shift, reference, bound, out):
    """Perturb as `perturb_narrow` does, GROUPS rows at a time: few columns leave most of a row's draws unused."""
    rows, cols = out.shape[1:]
    reference, half, low, high = np.int32(reference), np.int32(1 << 15), np.int32(-bound), np.int32(bound)
    level_shift, shift, place = np.int32(level_shift), np.int32(16), address[6]
    words, strips = np.empty((8, GROUPS), np.int32), (rows + GROUPS - 1) // GROUPS
    for task in range(first, last):
        index, top = task // strips, task % strips * GROUPS
        for group in range(place // 8, (place + cols + 7) // 8):
            _draw_down(address, address[2], index, address[5] + top, group, words)
            start = 8 * group - place
            left, right = max(0, start), min(cols, start + 8)
            for row in range(min(GROUPS, rows - top)):
                for col in range(left, right):
                    value = np.int32((np.int32(cells[index, top + row, skip + col]) << level_shift) + reference)
                    change = np.int32(np.int32(value * excess[words[col - start, row]] + half) >> shift)
                    out[index, top + row, col] = min(max(np.int32(value + change - reference), low), high)


@kernel
def perturb_levels(
    first, last, cells, skip, which, table, address, level_shift, reference, after, shift, low, bound, additive, out
):
    """Perturb with a table for each of several levels, or with numbers that are added."""
    rows, cols = out.shape[1:]
    half, place = (1 << shift) >> 1, address[6]
    words, entries = np.empty((8, GROUPS), np.int32), np.empty(8 * GROUPS, np.int32)
    many = table.size > 65536
    for task in range(first, last):
        index, row = task // rows, task % rows
        for group in range(place // 8, (place + cols + 7) // 8, GROUPS):
            _draw(address, address[2], index, address[5] + row, group, words)
            start = 8 * group - place
            left, right = max(0, start), min(cols, start + 8 * GROUPS)
            if many:
                for col in range(left, right):
                    at = col - start
                    entries[at] = table[(np.int64(which[index, row, skip + col]) << 16) + words[at & 7, at >> 3]]
            else:
                _look_up(table, words, entries)
            if additive:
                for col in range(left, right):
                    value = (np.int64(cells[index, row, skip + col]) << level_shift) + np.int64(entries[col - start])
                    out[index, row, col] = min(max(value, low), bound)
            else:
                for col in range(left, right):
                    value = (np.int64(cells[index, row, skip + col]) << level_shift) + reference
                    value = ((value * np.int64(entries[col - start]) + half) >> shift) - after
                    out[index, row, col] = min(max(value, low), bound)


@kernel
def subtract(first, last, columns, lead, width, bound, grid):
    """Subtract in the integers of the grid: what would saturate is clipped before, so nothing passes them."""
    rows, cols = grid.shape[1:]
    narrow = grid.dtype.type
    for task in range(first, last):
        index, row = task // rows, task % rows
        left, right, array = 0, width - lead, 0
        while left < cols:
            value, right = np.int64(columns[index, row, array]), min(right, cols)
            less, low, high = narrow(value), narrow(max(value - bound, -bound)), narrow(min(value + bound, bound))
            some = grid[index, row, left:right]
            for col in range(right - left):
                some[col] = narrow(min(max(some[col], low), high) - less)
            left, right, array = right, right + width, array + 1


@kernel
def apply_stuck_cells(first, last, address, high_share, low_share, high, lowest, out):
    rows, cols = out.shape[1:]
    place = address[6]
    coarse, fine = np.empty((8, GROUPS), np.int32), np.empty((8, GROUPS), np.int32)
    for task in range(first, last):
        index, row = task // rows, task % rows
        for group in range(place // 8, (place + cols + 7) // 8, GROUPS):
            _draw(address, address[2], index, address[5] + row, group, coarse)
            _draw(address, STUCK_FINE, index, address[5] + row, group, fine)
            start = 8 * group - place
            for col in range(max(0, start), min(cols, start + 8 * GROUPS)):
                i, g = (col - start) % 8, (col - start) // 8
                draw = np.int64(coarse[i, g]) << 16 | np.int64(fine[i, g])
                if draw < high_share:
                    out[index, row, col] = high
                elif draw < high_share + low_share:
                    out[index, row, col] = lowest

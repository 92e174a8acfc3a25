"""The Numba kernels themselves: plain loops over arrays and numbers.

Helpers that are inlined live in this file, in `_lanes` or in `_philox`. Nothing raises, and every task writes its
own outputs.
"""

import numpy as np

from ...noise import STUCK_FINE
from ..reading import MEAN_BITS
from ._jit import inline, kernel
from ._lanes import item, put
from ._philox import look_up_eight, philox

# Numba's cache notices a change of this file alone, so the digest of the files inlined here is a part of it.
INLINED = "21aee3e331343146"

GROUPS = 16  # calls of the generator made together: 128 columns


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
    # words[g], words[GROUPS + g]: the eight 16-bit words of columns 8 * group to 8 * group + 7 in row + g
    k0, k1 = np.uint64(address[0]), np.uint64(address[1])
    c0, c2, c3 = np.uint64(group), np.uint64(address[4]), np.uint64(purpose << 28 | index << 20 | address[3])
    half = np.uint64(32)
    for g in range(GROUPS):
        w0, w1, w2, w3 = philox(c0, np.uint64(row + g), c2, c3, k0, k1)
        words[g], words[GROUPS + g] = w0 | w1 << half, w2 | w3 << half


@inline
def _look_up_down(table, words, count, left, right, at, factors):
    # factors[8 * GROUPS * row + at + i]: those of `count` rows, for columns left <= i < right of a group
    low = np.uint64(0xFFFF)
    if left <= 0 and right >= 8:
        for row in range(count):
            look_up_eight(table, item(words, row), item(words, GROUPS + row), factors, 8 * GROUPS * row + at)
        return
    for i in range(max(left, 0), min(right, 8)):
        part, shift = i // 4 * GROUPS, np.uint64(16 * (i % 4))
        for row in range(count):
            put(factors, 8 * GROUPS * row + at + i, item(table, item(words, part + row) >> shift & low))


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


@inline
def _perturb_narrow(first, last, cells, skip, excess, address, level_shift, reference, shift, bound, out):
    # (v * (2**16 + t) + half) >> shift is (v << 16 - shift) + ((v * t + half) >> shift)
    rows, cols = out.shape[1:]
    reference, half, low, high = np.int32(reference), np.int32((1 << shift) >> 1), np.int32(-bound), np.int32(bound)
    level_shift, up, place = np.int32(level_shift), np.int32(16 - shift), address[6]
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
                found[col] = min(max(np.int32(np.int32(value << up) + change - reference), low), high)


@kernel
def perturb_narrow(first, last, cells, skip, excess, address, level_shift, reference, bound, out):
    """Perturb where everything fits 32 bits: the same numbers, from factors less one."""
    # the compiler knows the shift
    _perturb_narrow(first, last, cells, skip, excess, address, level_shift, reference, np.int32(16), bound, out)


@kernel
def perturb_fine(first, last, cells, skip, excess, address, level_shift, reference, shift, bound, out):
    """Perturb likewise on a grid finer than the values: fewer bits are lost."""
    _perturb_narrow(first, last, cells, skip, excess, address, level_shift, reference, np.int32(shift), bound, out)


@kernel
def perturb_thin(first, last, cells, skip, excess, address, level_shift, reference, bound, out):
    """Perturb as `perturb_narrow` does, GROUPS rows at a time: few columns would leave most of a row's draws unused."""
    rows, cols = out.shape[1:]
    reference, half, low, high = np.int32(reference), np.int32(1 << 15), np.int32(-bound), np.int32(bound)
    level_shift, shift, place = np.int32(level_shift), np.int32(16), address[6]
    words, factors = np.empty(2 * GROUPS, np.uint64), np.empty(8 * GROUPS * GROUPS, np.int32)
    strips, end = (rows + GROUPS - 1) // GROUPS, (place + cols + 7) // 8
    for task in range(first, last):
        index, top = task // strips, task % strips * GROUPS
        count = min(GROUPS, rows - top)
        for group in range(place // 8, end, GROUPS):
            start = 8 * group - place
            left, right = max(0, start), min(cols, start + 8 * GROUPS)
            for g in range(min(GROUPS, end - group)):
                _draw_down(address, address[2], index, address[5] + top, group + g, words)
                _look_up_down(excess, words, count, left - start - 8 * g, right - start - 8 * g, 8 * g, factors)
            for row in range(count):
                at = 8 * GROUPS * row - start
                given, found, more = (
                    cells[index, top + row, skip + left : skip + right],
                    out[index, top + row, left:right],
                    factors[at + left : at + right],
                )
                for col in range(right - left):
                    value = np.int32((np.int32(given[col]) << level_shift) + reference)
                    change = np.int32(np.int32(value * more[col] + half) >> shift)
                    found[col] = min(max(np.int32(value + change - reference), low), high)


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
def moments(
    first, last, cells, which, means, variances, count, level_shift, reference, additive, low, bound, mean, variance
):
    """Write means and variances of cells; `which` may be empty: one table."""
    rows, cols = cells.shape[1:]
    half = np.int64(1 << (MEAN_BITS - 1))
    for task in range(first, last):
        index, row = task // rows, task % rows
        given, found, spread = cells[index, row], mean[index, row], variance[index, row]
        if count == 1 and not which.size and not additive:
            factor, unit = means[0], variances[0]
            for col in range(cols):
                value = (np.int64(given[col]) << level_shift) + reference
                real = np.float64(value)
                found[col] = min(max(((value * factor + half) >> MEAN_BITS) - reference, low), bound)
                spread[col] = np.rint(real * real * unit)
        else:
            for col in range(cols):
                value = (np.int64(given[col]) << level_shift) + reference
                at = min(max(value, 0), count - 1)
                if which.size:
                    at += np.int64(which[index, row, col]) * count
                if additive:
                    central, spread[col] = value + means[at], variances[at]
                else:
                    real = np.float64(value)
                    central, spread[col] = (value * means[at] + half) >> MEAN_BITS, np.rint(real * real * variances[at])
                found[col] = min(max(central - reference, low), bound)


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
def differences(first, last, grid, slices, bound, out):
    rows, cols = out.shape[1:]
    low, high = np.int32(-bound), np.int32(bound)
    for task in range(first, last):
        index, row = task // rows, task % rows
        cell = index + index // slices * slices
        plus, minus, some = grid[cell, row], grid[cell + slices, row], out[index, row]
        for col in range(cols):
            some[col] = min(max(np.int32(np.int32(plus[col]) - np.int32(minus[col])), low), high)


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

"""Kernels that measure the blocks of an operand, and turn it into digits.

They go along the rows, whatever the shape of the blocks, so that vectors hold neighbours in memory.
"""

import functools
from typing import Any

import numpy as np

from ..reading import Slicing
from ..reference import code_limits
from ._jit import inline, kernel
from ._lanes import LANES, store, zeros
from ._paths import integers

# Numba's cache notices a change of this file alone, so the digest of the file inlined here is a part of it.
INLINED = "a31b626e6b949c60"

PEAKS = 16  # largest magnitudes of a block found side by side
_NARROW, _WIDE = np.empty(0, np.int32), np.empty(0, np.int64)


@functools.lru_cache(maxsize=256)
def slicing_constants(slicing: Slicing) -> tuple[Any, ...]:
    """Return the arguments of `digits` from `bits` to `like`.

    Vectors of every processor turn floats into int32; few do into int64, which codes that int32 does not hold need.
    """
    lowest, highest = code_limits(slicing.bits, slicing.signed)
    narrow = highest + slicing.offset < 2.0**31
    numbers = integers(slicing.bits), integers(slicing.strides), lowest, highest, slicing.offset, slicing.signed
    return *numbers, _NARROW if narrow else _WIDE


@inline
def _spread(numbers, c, out):
    # the number of a block in each of its columns: whole vectors, whose ends the next block or nobody takes
    for block_col in range(numbers.size):
        for col in range(block_col * c, min((block_col + 1) * c, out.size - LANES), LANES):
            store(out, col, zeros(0.0) + numbers[block_col])


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


@kernel
def digits(
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
    like,
    out,
):
    # divisor, scale_2, low and high may be empty: 1, 1, and no limits; codes have the dtype of `like`
    rows, cols = values.shape[1:]
    kind = like.dtype.type
    divided, twice, bounded = divisor.size > 0, scale_2.size > 0, low.size > 0
    numbers = np.empty((5, cols + LANES), np.float64)
    by, one, two, floor, ceiling = numbers[0], numbers[1], numbers[2], numbers[3], numbers[4]
    codes = np.empty(cols, like.dtype)
    for task in range(first, last):
        b, row = task // rows, task % rows
        block_row, given = row // a, values[b, row]
        if task == first or row % a == 0:
            _spread(scale_1[b, block_row], c, one)
            if divided:
                _spread(divisor[b, block_row], c, by)
            if twice:
                _spread(scale_2[b, block_row], c, two)
            if bounded:
                _spread(low[b, block_row], c, floor)
                _spread(high[b, block_row], c, ceiling)
        for k in range(cols):
            q = np.float64(given[k])
            if divided:
                q = q / by[k]
            q = q * one[k]
            if twice:
                q = q * two[k]
            codes[k] = kind(min(max(np.rint(q), lowest), highest))
        if bounded:
            for k in range(cols):
                size = abs(np.float64(given[k]))
                codes[k] = codes[k] if (size > floor[k]) & (size <= ceiling[k]) else codes[k] * 0
        # a shift by less than the bits of a code stays in vectors of codes
        below, most = 0, 8 * like.itemsize - 1
        for k in range(cols):
            codes[k] += offset
        for s in range(bits.size):
            mask, stride, shift, found = (1 << bits[s]) - 1, strides[s], below & most, out[s, b, row]
            if signed:
                for k in range(cols):
                    found[k] = ((abs(codes[k]) >> shift) & mask) * (stride if codes[k] >= 0 else -stride)
            else:
                for k in range(cols):
                    found[k] = ((codes[k] >> shift) & mask) * stride
            below += bits[s]

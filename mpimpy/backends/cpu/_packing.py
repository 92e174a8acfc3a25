"""Inputs of the read kernel, packed once a product: codes of two limbs, and codes as bytes beside their pairs."""

import numpy as np

from ._currents import ORIGIN
from ._jit import kernel

# Numba's cache notices a change of this file alone, so the digest of the file inlined here is a part of it.
INLINED = "942ad092e118c75f"


@kernel
def pack_limbs(first, last, digits, strides, bits, rows, out):
    """Write pairs of codes as `_read.pack_pairs` does, each code in two limbs: ``out[tile, row, slice, limb, h]``.

    The lower limb takes `bits` bits and is signed; the upper one comes first.
    """
    slices, height, depth = digits.shape
    bits, least, half_unit = np.int32(bits), np.int32((1 << bits) - 1), np.int32(1 << bits >> 1)
    lower, up = np.int32(0xFFFF), np.int32(16)
    codes = np.zeros(2 * out.shape[4] + 1, np.int32)
    for task in range(first, last):
        tile, m = task // height, task % height
        start = tile * rows
        used = min(rows, depth - start)
        half = (used + 1) // 2
        codes[used] = 0  # beside the last of an odd number
        for i in range(slices):
            stride, given = np.int32(strides[i]), digits[i, m, start : start + used]
            for k in range(used):
                codes[k] = np.int32(given[k]) * stride
            high, low, more = out[tile, m, i, 0], out[tile, m, i, 1], codes[half:]
            for h in range(half):
                one, two = np.int32(codes[h] + half_unit), np.int32(more[h] + half_unit)
                high[h] = np.int32(np.int32(one >> bits) & lower) | np.int32(np.int32(two >> bits) << up)
                one, two = np.int32(np.int32(one & least) - half_unit), np.int32(np.int32(two & least) - half_unit)
                low[h] = np.int32(one & lower) | np.int32(two << up)


@kernel
def pack_bytes(first, last, digits, slices, strides, rows, out):
    """Write codes as bytes, and their pairs as `_read.pack_pairs` does: ``out[tile, row, slice, kind, h]``.

    The bytes of a pair, from the origin of codes, fill either half of an int32.
    """
    height, depth = digits.shape[1:]
    codes = np.zeros(2 * out.shape[4] + 1, np.int32)
    origin, lower, eight, up = np.int32(ORIGIN), np.int32(0xFFFF), np.int32(8), np.int32(16)
    for task in range(first, last):
        tile, m = task // height, task % height
        start = tile * rows
        used = min(rows, depth - start)
        half = (used + 1) // 2
        codes[used] = 0  # beside the last of an odd number
        for p in range(slices.size):
            stride, given = np.int32(strides[slices[p]]), digits[slices[p], m, start : start + used]
            for k in range(used):
                codes[k] = np.int32(given[k]) * stride
            both, pairs, more = out[tile, m, p, 0], out[tile, m, p, 1], codes[half:]
            for h in range(half):
                pairs[h] = np.int32(codes[h] & lower) | np.int32(more[h] << up)
                two = np.int32(codes[h] + origin) | np.int32(np.int32(more[h] + origin) << eight)
                both[h] = two | np.int32(two << up)

"""Errors of the ADCs inside the read kernel: gain, offset and noise of a few rows of currents.

All numbers are integers held in float64, and every product and sum stays below 2**53: the bits are
those of the integers of `mpimpy.backends.reference.disturb`, whether or not a multiply and an add
are fused. Everything here is inlined into the kernels of `_read`.
"""

from typing import Any, NamedTuple

import numpy as np

from ._currents import STRIP
from ._jit import inline
from ._lanes import LANES, floor, load, muladd, real64, store, zeros
from ._philox import look_up_eight, philox

NORMALS = STRIP + 8  # normal numbers of a row: groups of eight columns of the whole matrix cover its strip


class Disturbance(NamedTuple):
    """Errors of the ADCs, as the kernel takes them; arrays of what is off are empty.

    Attributes
    ----------
    kind : array without elements
        Its dtype holds the currents exactly: int32, or float64 where they are wide.
    gains, offsets : int32 arrays, flat
        Of each weight slice, tile and column: the gain factor, and the normal number of the offset,
        in units of ``2**-16``.
    offset, noise : float64 arrays, shape (2, weight slices, input slices)
        Amplitudes, in two parts: whole multiples of ``2**24``, and the rest in units of that.
    normals : int32 array
        The table of normal numbers, for noise.
    address : int64 array
        Of the noise: two words of the key; read; the counter's fourth word of the first pair; by how
        much the number of a pair grows from a weight slice to the next; row of the first input;
        column of the first output; first tile; bits of a row.
    """

    kind: Any
    gains: Any
    offsets: Any
    offset: Any
    normals: Any
    noise: Any
    address: Any


@inline
def _times(normal, high, low):
    # (normal * sigma + half) >> 24, sigma a number or a vector, in its two parts
    return muladd(normal, high, floor(muladd(normal, low, zeros(0.0) + 0.5)))


@inline
def prepare(errors, j, tile, tiles, width, n, slices, slopes, shifts):
    # gains and offsets of a strip's columns, once for all rows: slopes[column], shifts[slice * STRIP + column]
    for vector in range(2):
        at, place = (j * tiles + tile) * width + n + vector * LANES, vector * LANES
        if errors.gains.size:
            store(slopes, place, real64(load(errors.gains, at)) * 2.0**-16)
        if errors.offsets.size:
            normal = real64(load(errors.offsets, at))
            for i in range(slices):
                store(shifts, i * STRIP + place, _times(normal, errors.offset[0, j, i], errors.offset[1, j, i]))


@inline
def draw_normals(errors, pair, tile, row, n, count, words, normals):
    # one normal number a current: normals[row * NORMALS + column - first column of its group of eight]
    key, address = errors.normals, errors.address
    k0, k1 = np.uint64(address[0]), np.uint64(address[1])
    c2, c3 = np.uint64(address[2]), np.uint64(address[3] + (pair << 20))
    first = ((address[7] + tile) << address[8]) + address[5] + row
    group = (address[6] + n) // 8
    for g in range((address[6] + n + STRIP + 7) // 8 - group):
        c0 = np.uint64(group + g)
        for r in range(count):
            w0, w1, w2, w3 = philox(c0, np.uint64(first + r), c2, c3, k0, k1)
            words[0, r], words[1, r] = w0 | w1 << np.uint64(32), w2 | w3 << np.uint64(32)
        for r in range(count):
            look_up_eight(key, words[0, r], words[1, r], normals, r * NORMALS + 8 * g)


@inline
def disturb(errors, j, tile, row, n, currents, count, slices, wide, slopes, shifts, words, normals, seen):
    # currents[(row * slices + slice) * STRIP + column] as the ADCs see them
    gained, moved, noisy = errors.gains.size > 0, errors.offsets.size > 0, errors.normals.size > 0
    lead = (errors.address[6] + n) % 8
    half = zeros(0.0) + 0.5
    for i in range(slices):
        high, low = 0.0, 0.0
        if noisy:
            draw_normals(errors, j * errors.address[4] + i, tile, row, n, count, words, normals)
            high, low = errors.noise[0, j, i], errors.noise[1, j, i]
        for r in range(count):
            for vector in range(2):
                place, at = vector * LANES, (r * slices + i) * STRIP + vector * LANES
                value = real64(load(currents, at))
                if gained:
                    slope = load(slopes, place)
                    if wide:
                        # in two parts, so that no product passes 2**53
                        upper = floor(value * 2.0**-16) * 65536.0
                        value = muladd(upper, slope, floor(muladd(value + upper * -1.0, slope, half)))
                    else:
                        value = floor(muladd(value, slope, half))
                if moved:
                    value = value + load(shifts, i * STRIP + place)
                if noisy:
                    value = value + _times(real64(load(normals, r * NORMALS + lead + place)), high, low)
                store(seen, at, value)

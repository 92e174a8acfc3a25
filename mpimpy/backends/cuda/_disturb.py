"""Errors of the ADCs inside the Triton read kernel: the integers of `mpimpy.backends.reference.disturb`."""

import triton
import triton.language as tl

from ...noise import TABLE_BITS
from ..reading import AMPLITUDE_BITS

_GAIN, _GAIN_HALF = tl.constexpr(TABLE_BITS), tl.constexpr(1 << (TABLE_BITS - 1))
_LOSS, _HALF = tl.constexpr(TABLE_BITS + AMPLITUDE_BITS), tl.constexpr(1 << (TABLE_BITS + AMPLITUDE_BITS - 1))
_LOW = tl.constexpr((1 << (TABLE_BITS + AMPLITUDE_BITS)) - 1)


@triton.jit
def _times(normal, sigma):
    # (normal * sigma + half) >> bits, by parts of sigma: no product leaves the range of int64
    high, low = sigma >> _LOSS, sigma & _LOW
    return normal * high + ((normal * low + _HALF) >> _LOSS)


@triton.jit
def frozen(current, gains, offsets, offset, at, inside, pair, GAIN: tl.constexpr, OFFSET: tl.constexpr):
    """Return currents (int64) with the gains and offsets of their columns, which are at `at`."""
    value = current.to(tl.int64)
    if GAIN:
        factor = tl.load(gains + at, mask=inside, other=0).to(tl.int64)
        value = (value * factor[None, :] + _GAIN_HALF) >> _GAIN
    if OFFSET:
        normal = tl.load(offsets + at, mask=inside, other=0).to(tl.int64)
        value += _times(normal, tl.load(offset + pair))[None, :]
    return value


@triton.jit
def noisy(value, words, normals, sigma):
    """Return currents with the noise of their conversions; sigma is a number, or one for each current."""
    return value + _times(tl.load(normals + words).to(tl.int64), sigma)

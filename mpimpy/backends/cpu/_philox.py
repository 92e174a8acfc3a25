"""The generator Philox4x32-10 inside Numba kernels: the words of `mpimpy.noise.philox`."""

import numpy as np

from ...noise import MULTIPLIERS, ROUNDS, WEYL
from ._jit import inline
from ._lanes import item, put

_M0, _M1 = MULTIPLIERS
_W0, _W1 = WEYL
_LOW = 0xFFFFFFFF


@inline
def philox(c0, c1, c2, c3, k0, k1):
    # straight enough for LLVM to run a loop of calls on whole vectors
    m0, m1, low, half = np.uint64(_M0), np.uint64(_M1), np.uint64(_LOW), np.uint64(32)
    for _ in range(ROUNDS):
        p0, p1 = c0 * m0, c2 * m1
        c0, c1, c2, c3 = (p1 >> half) ^ c1 ^ k0, p1 & low, (p0 >> half) ^ c3 ^ k1, p0 & low
        k0, k1 = (k0 + np.uint64(_W0)) & low, (k1 + np.uint64(_W1)) & low
    return c0, c1, c2, c3


@inline
def look_up_eight(table, a, b, out, at):
    # out[at] to out[at + 7]: the entries of the eight 16-bit words of two words of 64 bits
    low = np.uint64(0xFFFF)
    put(out, at, item(table, a & low))
    put(out, at + 1, item(table, a >> np.uint64(16) & low))
    put(out, at + 2, item(table, a >> np.uint64(32) & low))
    put(out, at + 3, item(table, a >> np.uint64(48)))
    put(out, at + 4, item(table, b & low))
    put(out, at + 5, item(table, b >> np.uint64(16) & low))
    put(out, at + 6, item(table, b >> np.uint64(32) & low))
    put(out, at + 7, item(table, b >> np.uint64(48)))

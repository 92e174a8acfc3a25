"""The generator Philox4x32-10 inside Numba kernels: the words of `mpimpy.noise.philox`."""

import numpy as np

from ...noise import MULTIPLIERS, ROUNDS, WEYL
from ._jit import inline

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

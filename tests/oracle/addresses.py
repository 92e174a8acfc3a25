"""Random numbers by their addresses, and the factors that they pick."""

import hashlib
import struct
from statistics import NormalDist

from mpimpy import noise

MASK = 0xFFFFFFFF


def philox(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def word(seed, chip, read, purpose, index, row, col):
    """The 16-bit word of one cell."""
    counter = (col // 8, row, read, purpose << 28 | index << 20 | chip)
    return philox(counter, (seed & MASK, seed >> 32))[col % 8 // 2] >> (16 * (col % 2)) & 0xFFFF


def reference_key(seed):
    """The key of the random numbers of reference columns."""
    text = b"reference"
    data = seed.to_bytes(8, "little") + b"s" + len(text).to_bytes(8, "little") + text
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little")


def factor(kind, sigma, index):
    z = NormalDist().inv_cdf((index + 0.5) / 65536)
    table = noise.lognormal_table(sigma) if kind == "lognormal" else noise.gaussian_table(sigma)
    entry = struct.unpack_from("<i", table, 4 * index)[0]
    exact = 2.718281828459045 ** (sigma * z) if kind == "lognormal" else 1 + sigma * z
    assert abs(entry - exact * 65536) <= 0.5 + 1e-6 * abs(exact) * 65536
    return entry

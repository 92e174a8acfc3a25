"""Random numbers with addresses: Philox4x32-10, and distributions as quantile tables.

Every number has an address: the key is the seed, the counter is made of the cell's row and
column in the whole matrix, the slice, the purpose, the chip and the read number (see `counter`).
So noise does not depend on tile order, batch, partition, thread or device.

Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC'11. The published test vectors are among the tests.
"""

import array
import functools
import math
import secrets
import statistics
import sys
from typing import NamedTuple

__all__ = [
    "Address",
    "counter_word",
    "decay_table",
    "fraction_bits",
    "gaussian_table",
    "lognormal_table",
    "new_seed",
    "noise_table",
    "offset_table",
    "philox",
    "sample_table",
    "table_values",
    "words",
]

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10
MASK = 0xFFFFFFFF

TABLE_BITS = 16  # a table entry counts in units of 2**-16
TABLE_SIZE = 1 << 16
LARGEST = 2**31 - 1

# Purposes: what a draw is for. Numbers are part of the noise rule; never reuse one.
WRITE, READ, STUCK, STUCK_FINE, VOLTAGE, DRIFT = range(1, 7)

MAX_CHIP = (1 << 20) - 1
MAX_READ = MASK
MAX_ROW = 1 << 32
MAX_SEED = (1 << 64) - 1


class Address(NamedTuple):
    """Where a block of draws lives.

    Attributes
    ----------
    seed, chip, read : int
        The key, the chip's number and the read's number (0 for what is drawn at programming).
    purpose : int
        One of the purposes of this module.
    row, col : int
        Position of the block's first element in the whole matrix.
    """

    seed: int
    chip: int
    read: int
    purpose: int
    row: int = 0
    col: int = 0

    @property
    def key(self):
        """The two 32-bit words of the key."""
        return self.seed & MASK, self.seed >> 32


def new_seed():
    """Return a fresh seed, a Python int of 63 bits."""
    return secrets.randbits(63)


def counter_word(address, index):
    """Return the counter's fourth word: purpose (4 bits), slice (8 bits) and chip (20 bits).

    The other three words are the column divided by 8, the row, and the read number.
    """
    return address.purpose << 28 | index << 20 | address.chip


def _multiply(x, factor):
    # 32 x 32 -> 64 bits, split in halves so that no step leaves the range of int64
    low = (x & 0xFFFF) * factor
    high = (x >> 16) * factor + (low >> 16)
    return high >> 16, ((high & 0xFFFF) << 16) | (low & 0xFFFF)


def philox(counter, key):
    """Return the four output words of Philox4x32-10.

    Parameters
    ----------
    counter : four int64 arrays of one shape, holding 32-bit words
    key : two ints of 32 bits

    Returns
    -------
    list of four int64 arrays

    Examples
    --------
    >>> import numpy as np
    >>> zero = np.zeros(1, np.int64)
    >>> [hex(int(word[0])) for word in philox([zero] * 4, (0, 0))]
    ['0x6627e8d5', '0xe169c58d', '0xbc57ac4c', '0x9b00dbd8']
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        high0, low0 = _multiply(c0, MULTIPLIERS[0])
        high1, low1 = _multiply(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + WEYL[0]) & MASK, (k1 + WEYL[1]) & MASK
    return [c0, c1, c2, c3]


def words(xp, address, index, shape, device=None):
    """Return the 16-bit words of a block of one slice.

    Eight neighbouring columns of the whole matrix share one call of the generator: column
    ``8 g + i`` takes half ``i % 2`` (low half first) of output word ``i // 2`` of group ``g``.

    Parameters
    ----------
    xp : namespace
    address : Address
    index : int
        The slice, counted from the least significant one; a second plane counts on.
    shape : (int, int)
        Rows and columns of the block.
    device : device, optional

    Returns
    -------
    array of int64, shape `shape`, values 0 .. 65535
    """
    rows, cols = shape
    first = address.col // 8
    groups = (address.col + cols - 1) // 8 - first + 1
    column = xp.arange(first, first + groups, dtype=xp.int64, device=device)
    row = xp.arange(address.row, address.row + rows, dtype=xp.int64, device=device)
    zero = xp.zeros((rows, groups), dtype=xp.int64, device=device)
    counter = [zero + column[None, :], zero + row[:, None], zero + address.read, zero + counter_word(address, index)]
    halves = []
    for word in philox(counter, address.key):
        halves += [word & 0xFFFF, word >> 16]
    start = address.col - 8 * first
    return xp.reshape(xp.stack(halves, axis=-1), (rows, groups * 8))[:, start : start + cols]


@functools.cache
def _normal_quantiles():
    # (i + 1/2) / 65536, mirrored so that the table is exactly symmetric
    inverse = statistics.NormalDist().inv_cdf
    upper = [inverse((i + 0.5) / TABLE_SIZE) for i in range(TABLE_SIZE // 2, TABLE_SIZE)]
    return [-z for z in reversed(upper)] + upper


def _pack(values, scale=1 << TABLE_BITS):
    entries = array.array("i", (max(min(round(value * scale), LARGEST), -LARGEST) for value in values))
    if sys.byteorder == "big":
        entries.byteswap()
    return entries.tobytes()


@functools.lru_cache(maxsize=64)
def lognormal_table(sigma):
    """Return the table of the factor ``exp(N(0, sigma))``: 65,536 little-endian int32, as bytes.

    Entry ``w`` is the quantile at ``(w + 1/2) / 65536``, in units of ``2**-16``.

    Examples
    --------
    >>> len(lognormal_table(0.05))
    262144
    """
    return _pack(math.exp(sigma * z) for z in _normal_quantiles())


@functools.lru_cache(maxsize=64)
def gaussian_table(sigma):
    """Return the table of the factor ``1 + N(0, sigma)``, packed as in `lognormal_table`."""
    return _pack(1 + sigma * z for z in _normal_quantiles())


def offset_table(sigma):
    """Return the table of the whole number ``N(0, sigma)``: entries in units of 1, packed likewise."""
    return _pack((sigma * z for z in _normal_quantiles()), 1)


def sample_table(offsets):
    """Return the table that draws one of `offsets`, whole numbers in ascending order, all equally likely.

    Entry ``w`` is the inverse of their empirical distribution at ``(w + 1/2) / 65536``.

    Examples
    --------
    >>> set(table_values(sample_table([-3, 1, 1, 8])))
    {8, 1, -3}
    """
    count = len(offsets)
    return _pack((offsets[(2 * word + 1) * count // (2 * TABLE_SIZE)] for word in range(TABLE_SIZE)), 1)


def decay_table(nu, spread, log_time):
    """Return the table of the factor ``exp(-max(0, N(nu, spread)) * log_time)``, packed as in `lognormal_table`."""
    if spread == 0:
        return _pack([math.exp(-nu * log_time)]) * TABLE_SIZE
    return _pack(math.exp(-max(0.0, nu + spread * z) * log_time) for z in _normal_quantiles())


def noise_table(sigma):
    """Return the table of the factor ``max(0, 1 + N(0, sigma))``, packed as in `lognormal_table`."""
    return _pack(max(0.0, 1 + sigma * z) for z in _normal_quantiles())


def table_values(table):
    """Return the entries of a packed table, as a list of ints."""
    entries = array.array("i", table)
    if sys.byteorder == "big":
        entries.byteswap()
    return entries.tolist()


MAX_FRACTION = 16


def fraction_bits(spread):
    """Return how fine a grid a random spread needs: the smallest f with ``2**-f <= spread / 32``.

    Parameters
    ----------
    spread : float
        Standard deviation, in the unit that the grid divides; above 0.

    Returns
    -------
    int, 0 .. 16

    Examples
    --------
    >>> fraction_bits(0.05)
    10
    """
    fraction = 0
    while math.ldexp(1.0, -fraction) > spread / 32 and fraction < MAX_FRACTION:
        fraction += 1
    return fraction

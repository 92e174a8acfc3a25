"""The generator Philox4x32-10: random words from addresses.

Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as
1, 2, 3", SC'11. The published test vectors are among the tests.
"""

from collections.abc import Sequence
from typing import Any

from .streams import MASK, Address, counter_word

__all__ = ["MULTIPLIERS", "ROUNDS", "WEYL", "philox", "words"]

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10


def _multiply(x: Any, factor: int) -> tuple[Any, Any]:
    # 32 x 32 -> 64 bits, split in halves so that no step leaves the range of int64
    low = (x & 0xFFFF) * factor
    high = (x >> 16) * factor + (low >> 16)
    return high >> 16, ((high & 0xFFFF) << 16) | (low & 0xFFFF)


def philox(counter: Sequence[Any], key: tuple[int, int]) -> list[Any]:
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


def words(xp: Any, address: Address, index: int, shape: tuple[int, int], device: Any = None) -> Any:
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
    halves: list[Any] = []
    for word in philox(counter, address.key):
        halves += [word & 0xFFFF, word >> 16]
    start = address.col - 8 * first
    return xp.reshape(xp.stack(halves, axis=-1), (rows, groups * 8))[:, start : start + cols]

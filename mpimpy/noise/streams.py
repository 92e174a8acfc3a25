"""Addresses of random numbers: seed, chip, read, purpose and place.

The key is the seed; the counter is made of the cell's row and column in the whole matrix, the slice, the
purpose, the chip and the read number. So noise does not depend on tile order, batch, partition, thread or device.
"""

import hashlib
import secrets
from typing import NamedTuple

__all__ = [
    "ADC_GAIN",
    "ADC_NOISE",
    "ADC_OFFSET",
    "DRIFT",
    "MASK",
    "MAX_CHIP",
    "MAX_READ",
    "MAX_ROW",
    "MAX_SEED",
    "READ",
    "READ_ROW",
    "STUCK",
    "STUCK_FINE",
    "VOLTAGE",
    "WRITE",
    "Address",
    "counter_word",
    "derive",
    "new_seed",
]

MASK = 0xFFFFFFFF

# Purposes of draws. Their numbers are part of the noise rule: never reuse one.
WRITE, READ, STUCK, STUCK_FINE, VOLTAGE, DRIFT, ADC_GAIN, ADC_OFFSET, ADC_NOISE = range(1, 10)
READ_ROW = 11  # 10 is left to draws for each input slice
_OF_READS = frozenset((READ, VOLTAGE, ADC_NOISE, READ_ROW))  # what is drawn again in each read

MAX_CHIP = (1 << 20) - 1
MAX_READ = MASK
MAX_ROW = 1 << 32
MAX_SEED = (1 << 64) - 1


class Address(NamedTuple):
    """Address of a block of draws.

    Attributes
    ----------
    seed, chip, read : int
        The key, the chip's number and the read's number (0 for draws at programming).
    purpose : int
        One of the purposes of this module.
    row, col : int
        Position of the block's first element in the whole matrix.
    stream : int, optional
        Key of what a read draws, in a stream of its own; None: the seed. See `in_stream`.
    """

    seed: int
    chip: int
    read: int
    purpose: int
    row: int = 0
    col: int = 0
    stream: int | None = None

    @property
    def key(self) -> tuple[int, int]:
        """The two 32-bit words of the key: of the stream for what a read draws, else of the seed."""
        key = self.seed if self.stream is None or self.purpose not in _OF_READS else self.stream
        return key & MASK, key >> 32

    def in_stream(self, stream: str | None) -> "Address":
        """Return the address in a stream of reads: cells and ADCs keep their numbers, and reads draw others.

        Parameters
        ----------
        stream : str or None
            As `mpimpy.Engine.stream` shows it; None: the stream of the seed itself.
        """
        return self._replace(stream=None if stream is None else derive(self.seed, "stream", stream))


def new_seed() -> int:
    """Return a fresh seed, a Python int of 63 bits."""
    return secrets.randbits(63)


def counter_word(address: Address, index: int) -> int:
    """Return the counter's fourth word: purpose (4 bits), slice (8 bits) and chip (20 bits).

    The other three words are the column divided by 8, the row, and the read number.
    """
    return address.purpose << 28 | index << 20 | address.chip


def derive(seed: int, *labels: str | int) -> int:
    """Return the key of a named part, a new purpose, a step or a stream: a seed of its own for each label.

    The counter of an address is full, so whatever is new gets a key. It is the first eight bytes, least
    significant first, of the SHA-256 of the seed (eight bytes likewise) and of each label: ``s`` or ``i``, the
    length of its text in bytes (eight bytes likewise), and its text in UTF-8, an integer's in decimal digits.

    Parameters
    ----------
    seed : int
        0 to 2**64 - 1.
    *labels : str or int
        At least one. ``derive(seed, "a", "b")``, ``derive(seed, "ab")`` and ``derive(derive(seed, "a"), "b")`` differ.

    Returns
    -------
    int, 0 to 2**64 - 1

    Examples
    --------
    >>> derive(1, "layer1") == derive(1, "layer1"), derive(1, "layer1") == derive(1, "layer2")
    (True, False)
    """
    if not labels:
        msg = "derive needs at least one label: without any the key is the seed itself"
        raise TypeError(msg)
    data = seed.to_bytes(8, "little")
    for label in labels:
        text = str(label).encode()
        data += (b"s" if isinstance(label, str) else b"i") + len(text).to_bytes(8, "little") + text
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little")

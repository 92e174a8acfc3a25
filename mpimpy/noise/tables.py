"""Distributions as quantile tables: 65,536 integers, one for each 16-bit word of the generator.

Tables are built once, on the host, in float64, from the inverse of a cumulative distribution. So every
distribution is one mechanism for kernels, without exp, log or cos, and bits agree on every backend.
"""

import array
import functools
import math
import statistics
import sys
from collections.abc import Sequence
from typing import Any

from .. import arrays
from .._caches import bounded

__all__ = [
    "MAX_FRACTION",
    "TABLE_BITS",
    "TABLE_SIZE",
    "decay_table",
    "fraction_bits",
    "gaussian_table",
    "lognormal_table",
    "noise_table",
    "normal_table",
    "offset_table",
    "sample_table",
    "table_entries",
    "table_values",
]

TABLE_BITS = 16  # a table entry counts in units of 2**-16
TABLE_SIZE = 1 << 16
LARGEST = 2**31 - 1
MAX_FRACTION = 16


NEAR_TIE = 2.0**-48  # the relative error of any exponential is far below it
PIECE = 1 << 14  # entries computed at once: small arrays, whose memory is used again


@functools.cache
def _normal_quantiles() -> Any:
    # at (i + 1/2) / 65536, mirrored so that the table is exactly symmetric: a float64 array
    inverse = statistics.NormalDist().inv_cdf
    upper = [inverse((i + 0.5) / TABLE_SIZE) for i in range(TABLE_SIZE // 2, TABLE_SIZE)]
    return arrays.asarray([-z for z in reversed(upper)] + upper)


def _pack(values: Any) -> bytes:
    # float64 values, in units of the table
    xp = arrays.namespace(values)
    return _packed(xp.minimum(xp.maximum(xp.round(values), -float(LARGEST)), float(LARGEST)))


def _packed(integers: Any) -> bytes:
    xp = arrays.namespace(integers)
    entries = xp.astype(integers, xp.int32)
    if sys.byteorder == "big":
        entries = entries.byteswap()
    packed: bytes = entries.tobytes()
    return packed


def _pack_exponentials(powers: Any) -> bytes:
    # Of exp(power), as `math.exp` rounds it. Vectorised exponentials may differ in their last bits, which shows
    # only next to the middle of two integers.
    xp, pieces = arrays.namespace(powers), []
    for start in range(0, powers.shape[0], PIECE):
        some = powers[start : start + PIECE]
        values = xp.minimum(xp.exp(some) * (1 << TABLE_BITS), float(LARGEST))
        entries = xp.round(values)
        ties = xp.abs(values - entries) >= 0.5 - NEAR_TIE * float(xp.max(values))
        if bool(xp.any(ties)):
            for index in xp.nonzero(ties)[0].tolist():
                entries[index] = min(round(math.exp(float(some[index])) * (1 << TABLE_BITS)), LARGEST)
        pieces.append(_packed(entries))
    return b"".join(pieces)


def _table_bytes(table: bytes, *_: object) -> int:
    return len(table)


@bounded(64, _table_bytes)
def lognormal_table(sigma: float) -> bytes:
    """Return the table of the factor ``exp(N(0, sigma))``: 65,536 little-endian int32, as bytes.

    Entry ``w`` is the quantile at ``(w + 1/2) / 65536``, in units of ``2**-16``.

    Examples
    --------
    >>> len(lognormal_table(0.05))
    262144
    """
    return _pack_exponentials(sigma * _normal_quantiles())


@bounded(64, _table_bytes)
def gaussian_table(sigma: float) -> bytes:
    """Return the table of the factor ``1 + N(0, sigma)``, packed as in `lognormal_table`."""
    return _pack((1 + sigma * _normal_quantiles()) * (1 << TABLE_BITS))


def offset_table(sigma: float, mean: float = 0.0) -> bytes:
    """Return the table of the whole number ``N(mean, sigma)``: entries in units of 1, packed likewise."""
    return _pack(sigma * _normal_quantiles() + mean)


@functools.cache
def normal_table() -> bytes:
    """Return the table of ``N(0, 1)`` in units of ``2**-16``, packed as in `lognormal_table`."""
    return offset_table(float(1 << TABLE_BITS))


def sample_table(offsets: Sequence[int]) -> bytes:
    """Return the table that draws one of `offsets`, whole numbers in ascending order, all equally likely.

    Entry ``w`` is the inverse of their empirical distribution at ``(w + 1/2) / 65536``.

    Examples
    --------
    >>> set(table_values(sample_table([-3, 1, 1, 8])))
    {8, 1, -3}
    """
    xp = arrays.namespace(_normal_quantiles())
    if max(map(abs, offsets)) > LARGEST:
        offsets = [max(min(offset, LARGEST), -LARGEST) for offset in offsets]
    index = (2 * xp.arange(TABLE_SIZE, dtype=xp.int64) + 1) * len(offsets) // (2 * TABLE_SIZE)
    return _packed(xp.take(arrays.asarray(offsets), index, axis=0))


def decay_table(nu: float, spread: float, log_time: float) -> bytes:
    """Return the table of the factor ``exp(-max(0, N(nu, spread)) * log_time)``, packed as in `lognormal_table`."""
    if spread == 0:
        return _pack(arrays.asarray([math.exp(-nu * log_time) * (1 << TABLE_BITS)])) * TABLE_SIZE
    xp = arrays.namespace(_normal_quantiles())
    return _pack_exponentials(-xp.maximum(nu + spread * _normal_quantiles(), 0.0) * log_time)


def noise_table(sigma: float) -> bytes:
    """Return the table of the factor ``max(0, 1 + N(0, sigma))``, packed as in `lognormal_table`."""
    xp = arrays.namespace(_normal_quantiles())
    return _pack(xp.maximum(1 + sigma * _normal_quantiles(), 0.0) * (1 << TABLE_BITS))


def table_entries(table: bytes) -> Any:
    """Return the entries of packed tables, as a read-only NumPy array of int32 that shares their memory."""
    if sys.byteorder == "little":
        return arrays.asarray(memoryview(table).cast("i"))
    entries = array.array("i", table)
    entries.byteswap()
    return arrays.asarray(entries)


def table_values(table: bytes) -> list[int]:
    """Return the entries of a packed table, as a list of ints."""
    values: list[int] = table_entries(table).tolist()
    return values


def fraction_bits(spread: float) -> int:
    """Return the bits of fraction that a grid needs for a random spread: the smallest f with ``2**-f <= spread / 32``.

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

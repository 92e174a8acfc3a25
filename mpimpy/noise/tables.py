"""Distributions as quantile tables: 65,536 integers, one for each 16-bit word of the generator.

Tables are built once, on the host, in float64, from the inverse of a cumulative distribution. So every
distribution is one mechanism for kernels, without exp, log or cos, and bits agree on every backend.
"""

import array
import functools
import math
import statistics
import sys
from collections.abc import Iterable, Sequence

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
    "table_values",
]

TABLE_BITS = 16  # a table entry counts in units of 2**-16
TABLE_SIZE = 1 << 16
LARGEST = 2**31 - 1
MAX_FRACTION = 16


@functools.cache
def _normal_quantiles() -> list[float]:
    # (i + 1/2) / 65536, mirrored so that the table is exactly symmetric
    inverse = statistics.NormalDist().inv_cdf
    upper = [inverse((i + 0.5) / TABLE_SIZE) for i in range(TABLE_SIZE // 2, TABLE_SIZE)]
    return [-z for z in reversed(upper)] + upper


def _pack(values: Iterable[float], scale: int = 1 << TABLE_BITS) -> bytes:
    entries = array.array("i", (max(min(round(value * scale), LARGEST), -LARGEST) for value in values))
    if sys.byteorder == "big":
        entries.byteswap()
    return entries.tobytes()


@functools.lru_cache(maxsize=64)
def lognormal_table(sigma: float) -> bytes:
    """Return the table of the factor ``exp(N(0, sigma))``: 65,536 little-endian int32, as bytes.

    Entry ``w`` is the quantile at ``(w + 1/2) / 65536``, in units of ``2**-16``.

    Examples
    --------
    >>> len(lognormal_table(0.05))
    262144
    """
    return _pack(math.exp(sigma * z) for z in _normal_quantiles())


@functools.lru_cache(maxsize=64)
def gaussian_table(sigma: float) -> bytes:
    """Return the table of the factor ``1 + N(0, sigma)``, packed as in `lognormal_table`."""
    return _pack(1 + sigma * z for z in _normal_quantiles())


def offset_table(sigma: float) -> bytes:
    """Return the table of the whole number ``N(0, sigma)``: entries in units of 1, packed likewise."""
    return _pack((sigma * z for z in _normal_quantiles()), 1)


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
    count = len(offsets)
    return _pack((offsets[(2 * word + 1) * count // (2 * TABLE_SIZE)] for word in range(TABLE_SIZE)), 1)


def decay_table(nu: float, spread: float, log_time: float) -> bytes:
    """Return the table of the factor ``exp(-max(0, N(nu, spread)) * log_time)``, packed as in `lognormal_table`."""
    if spread == 0:
        return _pack([math.exp(-nu * log_time)]) * TABLE_SIZE
    return _pack(math.exp(-max(0.0, nu + spread * z) * log_time) for z in _normal_quantiles())


def noise_table(sigma: float) -> bytes:
    """Return the table of the factor ``max(0, 1 + N(0, sigma))``, packed as in `lognormal_table`."""
    return _pack(max(0.0, 1 + sigma * z) for z in _normal_quantiles())


def table_values(table: bytes) -> list[int]:
    """Return the entries of a packed table, as a list of ints."""
    entries = array.array("i", table)
    if sys.byteorder == "big":
        entries.byteswap()
    return entries.tolist()


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

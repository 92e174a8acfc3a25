"""Powers of two: exponents of float64 numbers, and scales whose products would leave its range."""

import functools
import math
from typing import Any

from ..arrays import device_of, is_numpy, namespace

__all__ = [
    "BAND",
    "HIGHEST",
    "LOWEST",
    "LOWEST_SHIFT",
    "exponent_of",
    "multiply_by_powers",
    "power",
    "power_in_halves",
    "shift_between",
    "shift_for",
    "split_powers",
]

LOWEST, HIGHEST = -1074, 1023  # exponents of the powers of two that float64 holds
BAND = 2.0**-340, 2.0**340  # scales of magnitudes in here have products that float64 holds, whatever they multiply
FEW = 64  # numbers that Python's own functions compare faster
_LARGEST_SHIFTED = 1000  # exponent up to which scales are shifted
LOWEST_SHIFT = -_LARGEST_SHIFTED  # of `shift_for`


@functools.lru_cache(maxsize=16)
def _powers(xp: Any, where: Any) -> Any:
    table = [math.ldexp(1.0, exponent) for exponent in range(LOWEST, HIGHEST + 1)]
    return xp.asarray(table, dtype=xp.float64, device=where)


def exponent_of(xp: Any, values: Any) -> Any:
    """Return floor(log2(values)), exact; for 0 one less than the lowest exponent of float64."""
    flat = xp.reshape(values, (-1,))
    index = xp.searchsorted(_powers(xp, device_of(values)), flat, side="right")
    return xp.reshape(xp.astype(index, xp.int64), values.shape) + (LOWEST - 1)


def power(xp: Any, exponent: Any) -> Any:
    """Return ``2.0**exponent`` of integers that float64 holds."""
    flat = xp.reshape(exponent - LOWEST, (-1,))
    return xp.reshape(xp.take(_powers(xp, device_of(exponent)), flat, axis=0), exponent.shape)


def power_in_halves(xp: Any, exponent: Any) -> tuple[Any, Any]:
    """Return two factors of ``2.0**exponent``, which may be beyond the range of float64 itself."""
    half = exponent >> 1
    return power(xp, half), power(xp, exponent - half)


def shift_for(xp: Any, peak: Any) -> int | None:
    """Return the exponent that is split off the scales of blocks, given their largest magnitudes; None in the band.

    Blocks of zeros do not count.
    """
    if is_numpy(peak) and peak.size <= FEW:
        few = peak.ravel().tolist()
        low, top = min(few), max(few)
    else:
        low, top = float(xp.min(peak)), float(xp.max(peak))
    if low < BAND[0]:
        low = float(xp.min(xp.where(peak > 0, peak, xp.ones_like(peak))))
    return shift_between(low, top)


def shift_between(low: float, top: float) -> int | None:
    """Return the exponent of `shift_for`, given the least magnitude above 0 and the largest one."""
    if BAND[0] <= low and top <= BAND[1]:
        return None
    # small scales move up, as far as the large ones let them: numbers below the normal ones have few bits
    return min(0, max(math.frexp(top)[1], 0) - _LARGEST_SHIFTED) if low < BAND[0] else 0


def split_powers(scales: Any, axes: tuple[int, int]) -> tuple[Any, Any]:
    """Return scales without the power of two of the largest one along some axes, and the exponents of these powers."""
    xp = namespace(scales)
    top = xp.max(scales, axis=axes, keepdims=True)
    power = xp.where(top > 0, xp.clip(exponent_of(xp, top), LOWEST, None), xp.zeros_like(exponent_of(xp, top)))
    return multiply_by_powers(scales, -power), power


def multiply_by_powers(values: Any, exponents: Any) -> Any:
    """Return ``values * 2**exponents``, rounded once unless `values` themselves are near the ends of the range."""
    xp = namespace(values)
    # infinite without a warning, as in kernels
    beyond = exponent_of(xp, xp.abs(values)) + exponents > HIGHEST
    within = xp.clip(exponents + xp.zeros_like(beyond, dtype=xp.int64), 2 * LOWEST, 2 * HIGHEST)
    first, second = power_in_halves(xp, xp.where(beyond, xp.zeros_like(within), within))
    infinite = xp.where(values < 0, xp.full_like(values, -math.inf), xp.full_like(values, math.inf))
    return xp.where(beyond, infinite, values * first * second)

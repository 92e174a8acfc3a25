"""Statistics of the blocks of an operand: what their scales follow from."""

import math
from dataclasses import dataclass
from typing import Any

from ..arrays import device_of, namespace
from ..config import Format
from .powers import LOWEST, exponent_of, power_in_halves

__all__ = ["BlockStatistics", "block_means", "block_totals", "fixed_point", "measure"]


@dataclass(frozen=True)
class BlockStatistics:
    """Statistics of each block, which determine its scales; see `measure`.

    Attributes
    ----------
    maximum : float64 array, shape (batch, nA, nC)
        Largest magnitude.
    mean : float64 array of that shape, or None
        Of a double exponent: the mean magnitude, which splits a block.
    below : float64 array of that shape, or None
        Of a double exponent: the largest magnitude that is not above the mean.
    span : (float, float), optional
        Least maximum above 0 and largest maximum of the blocks of the whole operand, if these are only some of them.
    """

    maximum: Any
    mean: Any = None
    below: Any = None
    span: tuple[float, float] | None = None


def fixed_point(xp: Any, maximum: Any, block: tuple[int, int]) -> tuple[Any, int]:
    """Return (exponents, places) of the fixed point in which the magnitudes of each block are summed."""
    return xp.clip(exponent_of(xp, maximum), LOWEST, None), min(53, 62 - math.ceil(math.log2(block[0] * block[1])))


def block_totals(backend: Any, values: Any, block: tuple[int, int], maximum: Any) -> tuple[Any, Any]:
    """Return (sums of magnitudes, numbers of elements) of each block: int64 arrays of shape (batch, nA, nC), (nA, nC).

    The sums are in fixed point, in a unit that follows from the block's maximum: exact, in any order. Those
    of parts of a block add up to those of the block, if its maximum is given.
    """
    xp, (_, rows, cols) = namespace(maximum), values.shape
    exponent, places = fixed_point(xp, maximum, block)
    sums = backend.block_sums(values, block, *power_in_halves(xp, places - 1 - exponent))
    where = device_of(maximum)

    def counts(size: int, length: int) -> Any:
        # made on the device: no list has to travel there
        left = size - xp.arange(0, size, length, dtype=xp.int64, device=where)
        return xp.clip(left, None, length)

    return sums, counts(rows, block[0])[:, None] * counts(cols, block[1])[None, :]


def block_means(maximum: Any, block: tuple[int, int], sums: Any, counts: Any) -> Any:
    """Return the mean magnitude of each block, from `block_totals`: no order of summation shows in it."""
    xp = namespace(maximum)
    exponent, places = fixed_point(xp, maximum, block)
    unit_1, unit_2 = power_in_halves(xp, exponent + 1 - places)
    # Rounded down to the fixed-point grid: elements that all equal their mean are not above it.
    return xp.astype(sums // counts, xp.float64) * unit_1 * unit_2


def measure(backend: Any, values: Any, fmt: Format, block: tuple[int, int]) -> BlockStatistics:
    """Return the `BlockStatistics` of an operand.

    An operand that is cut through its blocks is measured part by part, in three rounds: the maxima, of which
    the largest counts; the `block_totals` with the maximum of the whole, which add up to the mean; the maxima
    of the elements that are not above that mean. `encode` then gives each part the codes of the whole.

    Parameters
    ----------
    backend : module
        A backend.
    values : real floating array, shape (batch, A, C), finite, not empty
    fmt : Format
    block : (int, int)
    """
    maximum = backend.block_max(values, block)
    if not fmt.double:
        return BlockStatistics(maximum)
    mean = block_means(maximum, block, *block_totals(backend, values, block, maximum))
    return BlockStatistics(maximum, mean, backend.block_max(values, block, mean))

"""Input slices whose currents are added before one conversion.

Nothing tells the slices' currents apart, not their cells, not their wires: so their sum is the current of the sum of
their codes. These whole codes are what a read takes, in place of slices.
"""

import functools
from typing import Any, NamedTuple

from .._integers import ceil_div
from ..cells.cell_format import CellFormat
from ..config import Config
from ..converters import Conversions
from ..operands import encoding

__all__ = ["EXACT", "GAIN_BITS", "NARROW", "SINGLE_CODES", "Added", "add_slices", "added"]

NARROW = 2**31 - 1  # currents that fit 32 bits
EXACT = 2**53  # currents that fit a float64 exactly
GAIN_BITS = 10  # what a gain of up to 2**19 / 2**16 adds to a current, beyond the 64 bits it may take
SINGLE_CODES = 2**24  # ADC codes that float32 tells apart


class Added(NamedTuple):
    """Numbers of input slices that are added up.

    Attributes
    ----------
    factors : tuple of int
        Of the slices as they are driven, least significant first.
    drop : int
        Bits that the sum of noisy codes loses, rounded to nearest, ties towards plus infinity, so that currents are
        exact.
    stride : int
        Of their sum.
    code_bound : int
        Greatest magnitude of the sum, times the stride.
    dtype : str
        Integer dtype of the sum.
    wide : bool
        Currents of the sum take 64 bits.
    """

    factors: tuple[int, ...]
    drop: int
    stride: int
    code_bound: int
    dtype: str
    wide: bool


def added(config: Config, cells: CellFormat, inputs: Conversions) -> Added | None:
    """Return the numbers of input slices that are added up; None where each is converted on its own.

    Raises
    ------
    ValueError
        If the currents of the sum cannot be held exactly.
    """
    if inputs.factors is None:
        return None
    noisy, (stride,) = config.dac.noisy, inputs.strides
    # noisy codes are at their common multiple already
    largest = sum(map(abs, inputs.factors)) * cells.code_bound if noisy else max(map(abs, inputs.ends[0])) * stride
    most = cells.rows * largest * (2 * (config.device.g_level - 1) << cells.fraction)
    limit = EXACT >> GAIN_BITS if config.adc.errs else EXACT
    drop = max(0, (ceil_div(most, limit) - 1).bit_length())
    if drop > cells.voltage_fraction or largest > EXACT:
        msg = (
            f"currents of {cells.rows} rows, of whole codes of {config.inputs.bits} bits with rdac={config.dac.rdac} "
            f"and g_level={config.device.g_level}, pass the {limit.bit_length() - 1} bits in which they are exact: "
            "use fewer bits or rows, or per='slice'"
        )
        raise ValueError(msg)
    stride = 1 if noisy else stride
    dtype, wide = encoding.narrowest(largest // stride), cells.wide or most >> drop > NARROW
    return Added(inputs.factors, drop, stride, (largest >> drop) + (drop > 0), dtype, wide)


def add_slices(backend: Any, slices: Any, numbers: Added) -> Any:
    """Return the sum of the slices of one plane of inputs, as they are driven: integers, shape (1, R, K)."""
    total = backend.fold(slices, _floats(numbers.factors), 1.0, dtype=numbers.dtype)[None, :, :]
    return (total + (1 << numbers.drop >> 1)) >> numbers.drop if numbers.drop else total


@functools.lru_cache(maxsize=64)
def _floats(factors: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(map(float, factors))

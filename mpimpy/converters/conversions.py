"""Inputs as one conversion of an ADC sees them: the digits of one slice, or the whole codes of all."""

import math
from dataclasses import dataclass

from ..cells.memristors import strides
from ..config import Config, Format

__all__ = ["Conversions", "conversions", "digit_bounds", "whole_bounds"]


@dataclass(frozen=True)
class Conversions:
    """Inputs of the conversions that each weight slice takes: one for each input slice, or one for all.

    Attributes
    ----------
    ends : tuple of (int, int)
        Lowest and highest number that one conversion sees in an input.
    strides : tuple of int
        Code of the number 1.
    shifts : tuple of int
        Weight of a conversion in the shift-and-add.
    highest : int
        Code of all inputs at full scale.
    factors : tuple of int, or None
        Of the input slices, as they are driven, in the sum that is converted; None: each is converted on its own.
    """

    ends: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]
    shifts: tuple[int, ...]
    highest: int
    factors: tuple[int, ...] | None = None

    @property
    def count(self) -> int:
        """Conversions for each weight slice, input row, bit line and tile."""
        return len(self.shifts)


def digit_bounds(fmt: Format) -> list[tuple[int, int]]:
    """Return (lowest, highest) of every digit, least significant first, as currents count them."""
    found = [(1 - 2**b if fmt.signed else 0, 2**b - 1) for b in fmt.ascending]
    if fmt.offset:
        half = 2 ** (fmt.ascending[-1] - 1)
        found[-1] = (-half, half - 1)
    return found


def whole_bounds(fmt: Format) -> tuple[int, int]:
    """Return (lowest, highest) of the whole codes of inputs.

    Examples
    --------
    >>> from mpimpy import Format
    >>> whole_bounds(Format((1, 1, 2, 4))), whole_bounds(Format((1, 1, 2, 4), mapping="signed"))
    ((-128, 127), (-127, 127))
    """
    ends = [sorted((a * low, a * high)) for a, (low, high) in zip(fmt.shifts, digit_bounds(fmt), strict=True)]
    return sum(low for low, _ in ends), sum(high for _, high in ends)


def conversions(config: Config) -> Conversions:
    """Return the `Conversions` of a configuration.

    Currents of all slices are brought to the common multiple of the slices' strides before they are added.
    Where nothing needs so fine a unit, neither noisy voltages nor errors of the ADC, it is divided out again.
    """
    u = strides(config.inputs.ascending, config.dac.rdac)
    shifts = config.inputs.shifts
    if config.adc.per == "slice":
        return Conversions(tuple(digit_bounds(config.inputs)), u, shifts, config.dac.rdac - 1)
    common, ends = math.lcm(*u), whole_bounds(config.inputs)
    stride = common if config.dac.noisy or config.adc.errs else 1
    factors = tuple(a * (common // one) for a, one in zip(shifts, u, strict=True)) if config.dac.noisy else shifts
    return Conversions((ends,), (stride,), (1,), max(map(abs, ends)) * stride, factors)

"""Shift-and-add: weights of ADC codes in the digital sum."""

import math
import struct
from typing import NamedTuple

from ..config import Config
from .adc import AdcWindows
from .conversions import Conversions

__all__ = ["ShiftWeights", "shift_weights", "single"]

Table = tuple[tuple[float, ...], ...]  # a number for each weight slice and input slice


class ShiftWeights(NamedTuple):
    """Numbers of the shift-and-add.

    Attributes
    ----------
    digit_units : tuple of tuples of float, or None
        Digit products per code, for each weight slice and input slice, if codes snap.
    weights : tuple of tuples of float
        Weight of each pair of slices.
    sum_scale : float
        Unit of the sum, in products of the operands' integer codes.
    """

    digit_units: Table | None
    weights: Table
    sum_scale: float


def single(number: float) -> float:
    """Return the float32 nearest to `number`, as a Python float.

    Examples
    --------
    >>> single(0.1) == 0.1
    False
    """
    value: float = struct.unpack("f", struct.pack("f", number))[0]
    return value


def shift_weights(
    config: Config, windows: AdcWindows, unit: int, inputs: Conversions, w_strides: tuple[int, ...]
) -> ShiftWeights:
    """Return the `ShiftWeights` of a configuration.

    Every weight is an integer, and the sum exact, if all slices share the ADC's step, or their steps have
    ratios that are powers of two.

    Parameters
    ----------
    config : Config
    windows : AdcWindows
    unit : int
        Current of one level under one DAC code.
    inputs : Conversions
    w_strides : tuple of int
        Per weight slice, least significant first.
    """
    x_strides = inputs.strides
    table = [list(zip(row, x_strides, inputs.shifts, strict=True)) for row in windows.steps]
    rows = list(zip(table, w_strides, config.weights.shifts, strict=True))
    if config.adc.snap:
        units = tuple(tuple(float(1 / (step * unit * u * v)) for step, u, _ in row) for row, v, _ in rows)
        return ShiftWeights(units, tuple(tuple(float(a * b) for _, _, a in row) for row, _, b in rows), 1.0)
    common_x, common_w, finest = math.lcm(*x_strides), math.lcm(*w_strides), max(map(max, windows.steps))
    weights = tuple(
        tuple(float(a * (common_x // u) * b * (common_w // v) * finest / step) for step, u, a in row)
        for row, v, b in rows
    )
    return ShiftWeights(None, weights, float(1 / (finest * unit * common_x * common_w)))

"""Shift-and-add: the weights of ADC codes in the digital sum."""

import math
import struct

__all__ = ["single", "weights_of"]


def single(number):
    """Return the float32 nearest to `number`, as a Python float.

    Examples
    --------
    >>> single(0.1) == 0.1
    False
    """
    return struct.unpack("f", struct.pack("f", number))[0]


def weights_of(found, unit, x_strides, w_strides, x_shifts, w_shifts, *, snap):
    """Return the numbers of shift-and-add: (units, weights, factor).

    Exact while all slices share the ADC's step, or have steps whose ratios are powers of two:
    then every weight is an integer.

    Parameters
    ----------
    found : Codes
    unit : int
        Current of one level under one DAC code.
    x_strides, w_strides, x_shifts, w_shifts : tuples of int
        Per slice, least significant first.
    snap : bool

    Returns
    -------
    units : tuple of tuples of float, or None
        Digit products per code, for each weight slice and input slice, when snapping.
    weights : tuple of tuples of float
        Weight of each pair.
    factor : float
        What the sum is multiplied by, to be in units of the operands' integer codes.
    """
    table = [list(zip(row, x_strides, x_shifts, strict=True)) for row in found.steps]
    ways = list(zip(table, w_strides, w_shifts, strict=True))
    if snap:
        units = tuple(tuple(float(1 / (step * unit * u * v)) for step, u, _ in row) for row, v, _ in ways)
        return units, tuple(tuple(float(a * b) for _, _, a in row) for row, _, b in ways), 1.0
    common_x, common_w, finest = math.lcm(*x_strides), math.lcm(*w_strides), max(map(max, found.steps))
    weights = tuple(
        tuple(float(a * (common_x // u) * b * (common_w // v) * finest / step) for step, u, a in row)
        for row, v, b in ways
    )
    return None, weights, float(1 / (finest * unit * common_x * common_w))

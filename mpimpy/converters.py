"""DAC and ADC: codes and their noise; steps, range and the weights of shift-and-add."""

import math
import struct
from fractions import Fraction

from . import random
from .backends import namespace

__all__ = ["drive", "single", "steps_and_weights", "voltage_bits"]


def voltage_bits(dac):
    """Return how fine the grid of noisy DAC codes is: ``2**bits`` units a code, 0 without noise."""
    return random.fraction_bits(dac.vnoise) if dac.vnoise > 0 else 0


def drive(kernels, dac, plan, digits, widths, address):
    """Return what the DACs put on the word lines: (digits, strides, widths) of `reference.read`.

    Voltage noise moves codes to a grid of their own, where they are digits no more.

    Parameters
    ----------
    kernels : module
        A backend.
    dac : DAC
    plan : mpimpy.plans.Plan
    digits : integer array, shape (planes * slices, R, K)
    widths : tuple of int
        Bits per slice.
    address : mpimpy.random.Address
    """
    if dac.vnoise == 0:
        return digits, plan.x_strides, widths
    xp = namespace(digits)
    # slice by slice: an array of strides would have to travel to the device
    wide, slices = xp.astype(digits, getattr(xp, plan.code_dtype), copy=False), len(widths)
    codes = kernels.perturb(
        xp.stack([wide[s, :, :] * plan.x_strides[s % slices] for s in range(wide.shape[0])], axis=0),
        random.gaussian_table(dac.vnoise),
        address._replace(purpose=random.VOLTAGE),
        up=0,
        reference=0,
        shift=random.TABLE_BITS - plan.grid.voltage_fraction,
        bound=plan.grid.code_bound,
        dtype=plan.drive_dtype,
    )
    return codes, (1,) * slices, None


def single(number):
    """Return the float32 nearest to `number`, as a Python float.

    Examples
    --------
    >>> single(0.1) == 0.1
    False
    """
    return struct.unpack("f", struct.pack("f", number))[0]


def steps_and_weights(radc, full_scale, unit, x_strides, w_strides, x_shifts, w_shifts, *, snap):
    """Return the numbers of the ADC and of shift-and-add.

    Exact while all slices share the ADC's step, or have steps whose ratios are powers of two:
    then every weight is an integer.

    Parameters
    ----------
    radc : tuple of int
        ADC codes per weight slice, least significant first.
    full_scale : int
        Current of the highest code.
    unit : int
        Current of one digit product per unit of stride: the grids' units.
    x_strides, w_strides, x_shifts, w_shifts : tuples of int
        Per slice, least significant first.
    snap : bool

    Returns
    -------
    steps : tuple of float
        Codes per unit of current.
    units : tuple of tuples of float, or None
        Digit products per code, for each weight slice and input slice, when snapping.
    weights : tuple of tuples of float
        Weight of each pair.
    factor : float
        What the sum is multiplied by, to be in units of the operands' integer codes.
    """
    steps = tuple(float(Fraction(r - 1, full_scale)) for r in radc)
    if snap:
        units = tuple(
            tuple(float(Fraction(full_scale, (r - 1) * unit * u * v)) for u in x_strides)
            for r, v in zip(radc, w_strides, strict=True)
        )
        return steps, units, tuple(tuple(float(a * b) for a in x_shifts) for b in w_shifts), 1.0
    common_x, common_w, finest = math.lcm(*x_strides), math.lcm(*w_strides), max(radc)
    weights = tuple(
        tuple(
            float(Fraction(a * (common_x // u) * b * (common_w // v) * (finest - 1), r - 1))
            for a, u in zip(x_shifts, x_strides, strict=True)
        )
        for r, b, v in zip(radc, w_shifts, w_strides, strict=True)
    )
    return steps, None, weights, float(Fraction(full_scale, (finest - 1) * unit * common_x * common_w))

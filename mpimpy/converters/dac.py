"""DACs: codes on the word lines, and their voltage noise."""

from typing import Any

from .. import noise
from ..arrays import namespace
from ..backends import Draw

__all__ = ["drive", "voltage_bits"]


def voltage_bits(dac: Any) -> int:
    """Return how fine the grid of noisy DAC codes is: ``2**bits`` units a code, 0 without noise."""
    return noise.fraction_bits(dac.vnoise) if dac.vnoise > 0 else 0


def drive(backend: Any, dac: Any, plan: Any, digits: Any, address: noise.Address) -> Any:
    """Return what the DACs put on the word lines: the digits that ``plan.reading`` speaks of.

    Voltage noise moves codes to a grid of their own, where they are no digits any more.

    Parameters
    ----------
    backend : module
    dac : DAC
    plan : mpimpy.crossbar.plan.Plan
    digits : integer array, shape (planes * slices, R, K)
    address : mpimpy.noise.Address

    Returns
    -------
    integer array, shape (planes * slices, R, K)
    """
    if dac.vnoise == 0:
        return digits
    xp = namespace(digits)
    # slice by slice: an array of strides would have to travel to the device
    wide, slices = xp.astype(digits, getattr(xp, plan.code_dtype), copy=False), len(plan.x_strides)
    codes = xp.stack([wide[s, :, :] * plan.x_strides[s % slices] for s in range(wide.shape[0])], axis=0)
    draw = Draw(
        noise.gaussian_table(dac.vnoise),
        level_shift=0,
        reference=0,
        after=0,
        shift=noise.TABLE_BITS - plan.grid.voltage_fraction,
        bound=plan.grid.code_bound,
        dtype=plan.drive_dtype,
    )
    return backend.perturb(codes, draw, address._replace(purpose=noise.VOLTAGE))

"""DACs: codes on the word lines, and their voltage noise."""

from typing import Any

from .. import noise
from ..arrays import namespace
from ..backends import Draw
from ..config import DAC

__all__ = ["drive", "voltage_bits"]


def voltage_bits(dac: DAC) -> int:
    """Return the bits of fraction of noisy DAC codes: a code is ``2**bits`` units; 0 without noise."""
    return noise.fraction_bits(dac.vnoise) if dac.noisy else 0


def drive(backend: Any, dac: DAC, plan: Any, digits: Any, address: noise.Address) -> Any:
    """Return the voltages on the word lines, as the integers that ``plan.reading`` describes.

    Noisy codes lie on a finer grid, and are no digits any more; without noise the digits stay as they are.

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
    if not dac.noisy:
        return digits
    xp = namespace(digits)
    # Slice by slice: no array of strides has to travel to the device.
    wide, slices = xp.astype(digits, getattr(xp, plan.code_dtype), copy=False), len(plan.x_strides)
    codes = xp.stack([wide[s, :, :] * plan.x_strides[s % slices] for s in range(wide.shape[0])], axis=0)
    draw = Draw(
        noise.gaussian_table(dac.vnoise),
        level_shift=0,
        reference=0,
        after=0,
        shift=noise.TABLE_BITS - plan.cell_format.voltage_fraction,
        bound=plan.cell_format.code_bound,
        dtype=plan.drive_dtype,
    )
    return backend.perturb(codes, draw, address._replace(purpose=noise.VOLTAGE))

"""DACs: codes on the word lines, and their voltage noise."""

from .. import noise
from ..arrays import namespace

__all__ = ["drive", "voltage_bits"]


def voltage_bits(dac):
    """Return how fine the grid of noisy DAC codes is: ``2**bits`` units a code, 0 without noise."""
    return noise.fraction_bits(dac.vnoise) if dac.vnoise > 0 else 0


def drive(kernels, dac, plan, digits, widths, address):
    """Return what the DACs put on the word lines: (digits, strides, widths) of `reference.read`.

    Voltage noise moves codes to a grid of their own, where they are digits no more.

    Parameters
    ----------
    kernels : module
        A backend.
    dac : DAC
    plan : mpimpy.crossbar.plan.Plan
    digits : integer array, shape (planes * slices, R, K)
    widths : tuple of int
        Bits per slice.
    address : mpimpy.noise.Address
    """
    if dac.vnoise == 0:
        return digits, plan.x_strides, widths
    xp = namespace(digits)
    # slice by slice: an array of strides would have to travel to the device
    wide, slices = xp.astype(digits, getattr(xp, plan.code_dtype), copy=False), len(widths)
    codes = kernels.perturb(
        xp.stack([wide[s, :, :] * plan.x_strides[s % slices] for s in range(wide.shape[0])], axis=0),
        noise.gaussian_table(dac.vnoise),
        address._replace(purpose=noise.VOLTAGE),
        up=0,
        reference=0,
        shift=noise.TABLE_BITS - plan.grid.voltage_fraction,
        bound=plan.grid.code_bound,
        dtype=plan.drive_dtype,
    )
    return codes, (1,) * slices, None

"""Errors of ADCs: noise, offset and gain, from LSB to units of current, and their addresses."""

from .. import noise
from ..backends import AMPLITUDE_BITS, ROW_BITS, Errors
from ..config import Config
from .conversions import conversions

__all__ = ["MOST_TILES", "check_addresses", "errors"]

MOST_TILES = 1 << (32 - ROW_BITS)


def check_addresses(config: Config, first_row: int, height: int, tiles: int) -> None:
    """Raise ValueError if what is drawn for each conversion of a product has no address for every one."""
    if config.adc.noise_lsb == 0 and not config.device.draws_rows:
        return
    drawn = "ADC noise" if config.adc.noise_lsb else "redraw='row'"
    planes = config.inputs.planes * config.weights.planes
    slice_pairs = planes * conversions(config).count * len(config.weights.digits)
    for what, number, most in (
        ("input rows", first_row + height, 1 << ROW_BITS),
        ("tiles along the summed axis", tiles, MOST_TILES),
        ("pairs of slices", slice_pairs, 256),
    ):
        if number > most:
            msg = f"{number} {what} are more than {drawn} has addresses for, {most}: cut the product up"
            raise ValueError(msg)


def errors(
    config: Config, steps: tuple[tuple[float, ...], ...], address: noise.Address, first_row: int
) -> Errors | None:
    """Return the errors of the ADCs, as `mpimpy.backends.reference.read` takes them; None if there are none.

    Parameters
    ----------
    config : Config
    steps : tuple of tuples of float
        Codes per unit of current.
    address : mpimpy.noise.Address
        Row and column of the programmed block in the whole matrix.
    first_row : int
        Row of the first input.
    """
    adc = config.adc
    if not adc.errs:
        return None

    def in_units(lsb: float) -> tuple[tuple[int, ...], ...] | None:
        if lsb == 0:
            return None
        return tuple(tuple(round(lsb / step * 2**AMPLITUDE_BITS) for step in row) for row in steps)

    return Errors(
        address._replace(row=first_row),
        address.row // config.tile.rows,
        array=0,
        pair=0,
        pairs=len(steps[0]) * config.inputs.planes,
        gain=noise.gaussian_table(adc.gain_error) if adc.gain_error else None,
        offset=in_units(adc.offset_lsb),
        noise=in_units(adc.noise_lsb),
    )

"""Errors of ADCs: noise, offset and gain, from LSB to units of current, and their addresses."""

from typing import Any

from .. import noise
from ..backends import ROW_BITS, Errors

__all__ = ["MOST_TILES", "check_addresses", "errors"]

MOST_TILES = 1 << (32 - ROW_BITS)


def check_addresses(config: Any, first_row: int, height: int, tiles: int) -> None:
    """Raise ValueError if noise of the ADC has no address for every conversion of a product."""
    if config.adc.noise_lsb == 0:
        return
    planes = config.inputs.planes * config.weights.planes
    pairs = planes * len(config.inputs.digits) * len(config.weights.digits)
    for what, number, most in (
        ("input rows", first_row + height, 1 << ROW_BITS),
        ("tiles along the summed axis", tiles, MOST_TILES),
        ("pairs of slices", pairs, 256),
    ):
        if number > most:
            msg = f"{number} {what} are more than ADC noise has addresses for, {most}: cut the product up"
            raise ValueError(msg)


def errors(config: Any, steps: tuple[tuple[float, ...], ...], place: noise.Address, first_row: int) -> Errors | None:
    """Return the errors of the ADCs, as `mpimpy.backends.reference.read` takes them; None if there are none.

    Parameters
    ----------
    config : Config
    steps : tuple of tuples of float
        Codes per unit of current.
    place : mpimpy.noise.Address
        Row and column of the programmed block in the whole matrix.
    first_row : int
        Row of the first input.
    """
    adc = config.adc
    if not adc.errs:
        return None

    def spreads(lsb: float) -> tuple[tuple[int, ...], ...] | None:
        return None if lsb == 0 else tuple(tuple(round(lsb / step) for step in row) for row in steps)

    return Errors(
        place._replace(row=first_row),
        place.row // config.tile.rows,
        array=0,
        pair=0,
        pairs=len(config.inputs.digits) * config.inputs.planes,
        gain=noise.gaussian_table(adc.gain_error) if adc.gain_error else None,
        offset=spreads(adc.offset_lsb),
        noise=spreads(adc.noise_lsb),
    )

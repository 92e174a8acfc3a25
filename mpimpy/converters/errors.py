"""Errors of ADCs: noise, offset and gain, from LSB to units of current, and their addresses."""

from typing import NamedTuple

from .. import noise
from .._caches import bounded
from .._integers import ceil_div
from ..backends import AMPLITUDE_BITS, PANEL, ROW_BITS, Errors
from ..config import Config
from ..noise import Address
from .conversions import conversions

__all__ = ["TilePlace", "check_addresses", "check_tiles", "errors", "has_more_keys", "tile_place"]

TILES = 1 << (32 - ROW_BITS)  # along the summed axis, that one key has addresses for


class TilePlace(NamedTuple):
    """Place of a tile among those that share a key for what is drawn for each conversion.

    Attributes
    ----------
    address : mpimpy.noise.Address
        With that key.
    tile : int
        Number of the tile among them.
    before : int
        Tiles of the whole matrix before them.
    """

    address: Address
    tile: int
    before: int


@bounded(256, lambda *_: 256)
def _key(key: int, number: int) -> int:
    return noise.derive(key, "tiles", number)


def tile_place(config: Config, address: Address) -> TilePlace:
    """Return the place of the tile of an address: every 1,024 tiles along the summed axis have a key of their own.

    The first ones have that of the matrix. The keys are those of what reads draw, so that gains and offsets stay.
    """
    number, tile = divmod(address.row // config.tile.rows, TILES)
    if number:
        address = address._replace(stream=_key(address.seed if address.stream is None else address.stream, number))
    return TilePlace(address, tile, number * TILES)


def _drawn(config: Config) -> str | None:
    # what is drawn for each conversion
    return "ADC noise" if config.adc.noise_lsb else "redraw='row'" if config.device.draws_rows else None


def has_more_keys(config: Config, row: int, depth: int) -> bool:
    """Return whether the conversions of `depth` rows of a matrix from `row` on draw with more keys than one."""
    if _drawn(config) is None:
        return False
    first, last = row // config.tile.rows, ceil_div(row + depth, config.tile.rows) - 1
    return first // TILES != last // TILES


def check_addresses(config: Config, first_row: int, height: int) -> None:
    """Raise ValueError if what is drawn for each conversion of a product has no address for every one."""
    drawn = _drawn(config)
    if drawn is None:
        return
    planes = config.inputs.planes * config.weights.planes
    slice_pairs, rows = planes * conversions(config).count * len(config.weights.digits), first_row + height
    if rows > (most := 1 << ROW_BITS):
        msg = (
            f"{rows} input rows are more than {drawn} has addresses for in one read, {most}: give the rows beyond "
            "another number of a read, and count their first_row from 0"
        )
        raise ValueError(msg)
    if slice_pairs > 256:
        msg = (
            f"{slice_pairs} pairs of slices are more than {drawn} has addresses for, 256: use formats of fewer slices, "
            "or of one plane each (double=False)"
        )
        raise ValueError(msg)


def check_tiles(config: Config, row: int, depth: int) -> None:
    """Raise ValueError if what is drawn for each conversion would change its key inside a panel."""
    if row // config.tile.rows % PANEL and has_more_keys(config, row, depth):
        most = TILES * config.tile.rows
        msg = (
            f"this part of a matrix begins at row {row}, inside a panel of {PANEL} arrays, and goes on past row "
            f"{(row // most + 1) * most}, from where on {_drawn(config)} has another key: begin at a multiple of "
            f"{PANEL * config.tile.rows} rows, or cut the part there"
        )
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

    place = tile_place(config, address)
    return Errors(
        place.address._replace(row=first_row),
        place.tile,
        array=0,
        pair=0,
        pairs=len(steps[0]) * config.inputs.planes,
        gain=noise.gaussian_table(adc.gain_error) if adc.gain_error else None,
        offset=in_units(adc.offset_lsb),
        noise=in_units(adc.noise_lsb),
        before=place.before,
    )

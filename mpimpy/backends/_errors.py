"""What converters add of their own: offset, gain error and noise of the ADCs, in integers.

They come between a current and its code, so only the reference's `read` has a place for them; every
backend runs that where they are on, and draws the noise with its own `perturb`.
"""

from typing import NamedTuple

from array_api_compat import device

from .. import noise
from ._noise import entries

__all__ = ["Errors", "disturb"]

ROW_BITS = 22  # of an input row; the tile is above it


class Errors(NamedTuple):
    """What the ADCs do wrong.

    Attributes
    ----------
    address : mpimpy.noise.Address
        Row of the first input, column of the first output, in the whole product.
    tile : int
        Number of the first tile along the summed axis, in the whole matrix.
    array, pair, pairs : int
        Number of the first weight slice, of the first pair of slices, and what the number of a pair
        grows by from one weight slice to the next.
    gain : bytes or None
        Table of the factors by which currents are read, one for each column and array.
    offset : tuple of tuples of int, or None
        Spread of what is added to the currents of each column and array: per weight slice and input slice.
    noise : tuple of tuples of int, or None
        Spread of what is added to each current.
    """

    address: noise.Address
    tile: int
    array: int
    pair: int
    pairs: int
    gain: bytes | None
    offset: tuple | None
    noise: tuple | None


def _column_entries(xp, table, address, index, width, where):
    # one entry of a table for each column: int64, shape (1, width)
    word = noise.words(xp, address, index, (1, width), where)
    return xp.reshape(xp.take(entries(xp, where, table), xp.reshape(word, (-1,)), axis=0), (1, width))


def _times(normal, spread):
    return (normal * spread + (1 << 15)) >> 16


def disturb(xp, current, errors, tile, j, i, perturb):
    """Return currents as the ADCs of one array see them.

    ``I' = ((I * gain + half) >> 16) + ((z1 * offset + half) >> 16) + ((z2 * noise + half) >> 16)``: the
    gain, the normal numbers z1 of the column and z2 of the conversion in units of ``2**-16``, half 2**15.

    Parameters
    ----------
    xp : namespace
    current : float64 array, shape (R, N)
        Integers.
    errors : Errors
    tile, j, i : int
        Which tile, weight slice and input slice of this read.
    perturb : function
        A backend's.

    Returns
    -------
    float64 array, shape (R, N)
        Integers.
    """
    where, (_, width) = device(current), current.shape
    value, place = xp.astype(current, xp.int64), errors.address
    tile, frozen = errors.tile + tile, place._replace(read=0, row=errors.tile + tile)
    if errors.gain is not None:
        address = frozen._replace(purpose=noise.ADC_GAIN)
        factor = _column_entries(xp, errors.gain, address, errors.array + j, width, where)
        value = (value * factor + (1 << 15)) >> 16
    if errors.offset is not None:
        address = frozen._replace(purpose=noise.ADC_OFFSET)
        normal = _column_entries(xp, noise.normal_table(), address, errors.array + j, width, where)
        value = value + _times(normal, errors.offset[j][i])
    if errors.noise is not None:
        number = errors.pair + j * errors.pairs + i
        address = place._replace(
            purpose=noise.ADC_NOISE, row=(tile << ROW_BITS) + place.row, chip=number << 20 | place.chip
        )
        limits = {"up": 0, "reference": 1 << 30, "shift": 0, "bound": 1 << 30, "dtype": "int64"}
        none = xp.zeros_like(value)[None, :, :]
        normal = perturb(none, noise.normal_table(), address, additive=True, **limits)[0, :, :]
        value = value + _times(normal, errors.noise[j][i])
    return xp.astype(value, xp.float64)

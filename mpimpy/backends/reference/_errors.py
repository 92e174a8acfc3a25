"""Errors of the ADCs in plain array-API calls: a part of the reference.

They come between a current and its code, so only the `read` in plain array-API calls has a place for
them. Every backend runs that one where they are on, and draws the noise with its own `perturb`.
"""

import functools
from collections.abc import Callable
from typing import Any

from array_api_compat import device

from ... import noise
from ..reading import AMPLITUDE_BITS, ROW_BITS, Draw, Errors
from ._draws import entries

__all__ = ["disturb", "normal_draw"]


@functools.cache
def normal_draw() -> Draw:
    """Return the draw of normal numbers in units of ``2**-16``, as they are: added to cells of 0."""
    return Draw(
        noise.normal_table(),
        level_shift=0,
        reference=1 << 30,
        after=1 << 30,
        shift=0,
        bound=1 << 30,
        dtype="int64",
        additive=True,
    )


def _column_entries(xp: Any, table: bytes, address: noise.Address, index: int, width: int, where: Any) -> Any:
    # one entry of a table for each column: int64, shape (1, width)
    word = noise.words(xp, address, index, (1, width), where)
    return xp.astype(
        xp.reshape(xp.take(entries(xp, where, table), xp.reshape(word, (-1,)), axis=0), (1, width)), xp.int64
    )


def _times(normal: Any, sigma: int) -> Any:
    # (normal * sigma + half) >> shift, by parts of sigma: no product leaves the range of int64
    shift = noise.TABLE_BITS + AMPLITUDE_BITS
    high, low = divmod(sigma, 1 << shift)
    return normal * high + ((normal * low + (1 << (shift - 1))) >> shift)


def disturb(xp: Any, current: Any, errors: Errors, tile: int, j: int, i: int, perturb: Callable[..., Any]) -> Any:
    """Return currents as the ADCs of one array see them.

    ``I' = ((I * gain + half) >> 16) + ((z1 * offset + more) >> 24) + ((z2 * noise + more) >> 24)``: the
    gain, the normal number z1 of the column and z2 of the conversion in units of ``2**-16``, the amplitudes
    in units of ``2**-8`` of a current; half is 2**15 and more is 2**23.

    Parameters
    ----------
    xp : namespace
    current : float64 array, shape (R, N)
        Integers.
    errors : Errors
    tile, j, i : int
        Tile, weight slice and input slice of this read.
    perturb : function
        A backend's.

    Returns
    -------
    float64 array, shape (R, N)
        Integers.
    """
    where, (_, width) = device(current), current.shape
    value, first = xp.astype(current, xp.int64), errors.address
    tile, frozen = errors.tile + tile, first._replace(read=0, row=errors.before + errors.tile + tile)
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
        address = first._replace(
            purpose=noise.ADC_NOISE, row=(tile << ROW_BITS) + first.row, chip=number << 20 | first.chip
        )
        normal = perturb(xp.zeros_like(value)[None, :, :], normal_draw(), address)[0, :, :]
        value = value + _times(normal, errors.noise[j][i])
    return xp.astype(value, xp.float64)

"""Errors of the ADCs, made ready for the read kernel: what is frozen is drawn once a read."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from ... import noise
from ..frozen import column_entries
from ..reading import AMPLITUDE_BITS, ROW_BITS, Errors, Reading
from ._disturb import Disturbance

__all__ = ["disturbance", "from_row", "normal_table"]

_NONE = np.empty(0, np.int32)
_LOW = noise.TABLE_BITS + AMPLITUDE_BITS  # bits that a normal number times an amplitude loses
_ROW = 5  # of the first input, in `Disturbance.address`


@functools.lru_cache(maxsize=256)
def _parts(amplitudes: tuple[tuple[int, ...], ...]) -> Any:
    high = [[float(sigma >> _LOW) for sigma in row] for row in amplitudes]
    low = [[(sigma % (1 << _LOW)) / 2.0**_LOW for sigma in row] for row in amplitudes]
    return np.array([high, low], np.float64)


_NO_PARTS = _parts(((0,),))


def disturbance(errors: Errors, reading: Reading, shape: tuple[int, int], perturb: Callable[..., Any]) -> Disturbance:
    """Return errors of ADCs as the read kernel takes them.

    Parameters
    ----------
    errors : Errors
    reading : Reading
    shape : (int, int)
        Tiles and columns.
    perturb : function
        Of this backend.
    """

    def of_columns(table: bytes, purpose: int) -> Any:
        zeros = np.zeros((errors.array + len(reading.shift_weights), *shape), np.int8)
        return column_entries(zeros, table, purpose, errors, perturb)

    noisy = errors.address._replace(purpose=noise.ADC_NOISE)
    words = (
        *noisy.key,
        noisy.read,
        noise.counter_word(noisy, errors.pair),
        errors.pairs,
        noisy.row,
        noisy.col,
        errors.tile,
        ROW_BITS,
    )
    return Disturbance(
        kind=np.empty(0, np.float64 if reading.wide else np.int32),
        gains=_NONE if errors.gain is None else of_columns(errors.gain, noise.ADC_GAIN),
        offsets=_NONE if errors.offset is None else of_columns(noise.normal_table(), noise.ADC_OFFSET),
        offset=_NO_PARTS if errors.offset is None else _parts(errors.offset),
        normals=_NONE if errors.noise is None else normal_table(),
        noise=_NO_PARTS if errors.noise is None else _parts(errors.noise),
        address=np.array(words, np.int64),
    )


@functools.cache
def normal_table() -> Any:
    """Return the table of normal numbers, int32, in units of ``2**-16``."""
    return np.frombuffer(noise.normal_table(), "<i4").astype(np.int32)


def from_row(found: Disturbance, start: int) -> Disturbance:
    """Return the errors of the conversions from an input row on."""
    address = found.address.copy()
    address[_ROW] += start
    return found._replace(address=address)

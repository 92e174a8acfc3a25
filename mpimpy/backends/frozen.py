"""Frozen errors of ADCs, made ready for kernels: drawn once a read for all tiles."""

import functools
from collections.abc import Callable
from typing import Any

from .reading import Draw, Errors

__all__ = ["column_entries"]

_MOST = 1 << 30  # of what is drawn: no entry of these tables passes it


@functools.lru_cache(maxsize=32)
def _entries(table: bytes) -> Draw:
    # the entries of a table as they are: added to cells of 0
    return Draw(table, 0, _MOST, _MOST, 0, _MOST, "int32", additive=True)


def column_entries(zeros: Any, table: bytes, purpose: int, errors: Errors, perturb: Callable[..., Any]) -> Any:
    """Return one entry of a table for each weight slice, tile and column.

    Parameters
    ----------
    zeros : int8 array, shape (``errors.array`` + weight slices, tiles, columns)
    table : bytes
    purpose : int
        Of gains or offsets: they are frozen, so neither a read nor a stream is in their address.
    errors : Errors
    perturb : function
        A backend's.

    Returns
    -------
    int32 array, flat
    """
    address = errors.address._replace(read=0, row=errors.before + errors.tile, purpose=purpose)
    return perturb(zeros, _entries(table), address)[errors.array :, :, :].reshape(-1)

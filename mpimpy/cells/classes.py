"""Classes of cells by their conductance as programmed, for read noise that depends on it."""

from typing import Any

from array_api_compat import array_namespace
from array_api_compat import device as device_of

__all__ = ["dtype", "numbers"]


def numbers(bounds: tuple[int, ...], cells: Any, level_shift: int) -> Any:
    """Return the class of each cell: how many bounds its conductance has reached.

    Parameters
    ----------
    bounds : tuple of int
        Of a `mpimpy.cells.laws.Law`: ascending conductances above LGS, in grid units.
    cells : integer array
        As programmed.
    level_shift : int
        See `mpimpy.cells.memristors.Cells`.

    Returns
    -------
    integer array of the shape of `cells` and of `dtype`
    """
    xp = array_namespace(cells)
    ends = xp.asarray(bounds, dtype=xp.int64, device=device_of(cells))
    flat = xp.reshape(xp.astype(cells, xp.int64) << level_shift, (-1,))
    found = xp.searchsorted(ends, flat, side="right")
    return xp.reshape(xp.astype(found, getattr(xp, dtype(bounds))), cells.shape)


def dtype(bounds: tuple[int, ...]) -> str:
    """Return the name of the integer dtype of the classes' numbers.

    Examples
    --------
    >>> dtype((1, 2)), dtype(tuple(range(200)))
    ('int8', 'int16')
    """
    return "int8" if len(bounds) < 128 else "int16"

"""Classes of cells by their conductance as programmed, for read noise that depends on it."""

from typing import Any

from ..arrays import constant, device_of
from ..arrays import namespace as array_namespace

__all__ = ["dtype", "numbers"]

LOOK_UP = 1 << 22  # conductances, in grid units, of which a table is quicker than a search for each cell


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
    xp, where = array_namespace(cells), device_of(cells)
    ends = constant(xp, bounds, "int64", where)
    flat = xp.reshape(xp.astype(cells, xp.int64) << level_shift, (-1,))
    low, high = bounds[0] - 1, bounds[-1]  # what lies beyond has the classes of these
    if high - low < LOOK_UP:
        table = xp.searchsorted(ends, xp.arange(low, high + 1, dtype=xp.int64, device=where), side="right")
        found = xp.take(xp.astype(table, getattr(xp, dtype(bounds))), xp.clip(flat, low, high) - low, axis=0)
    else:
        found = xp.astype(xp.searchsorted(ends, flat, side="right"), getattr(xp, dtype(bounds)))
    return xp.reshape(found, cells.shape)


def dtype(bounds: tuple[int, ...]) -> str:
    """Return the name of the integer dtype of the classes' numbers.

    Examples
    --------
    >>> dtype((1, 2)), dtype(tuple(range(200)))
    ('int8', 'int16')
    """
    return "int8" if len(bounds) < 128 else "int16"

"""Signs of weights: cells conduct in one direction only, so a sign needs a mapping.

``"twos"``
    Two's complement. Digits are 0 .. 2**b - 1; the sign slice has an array of its own, with a negative
    weight. Every array has a reference column of LGS cells, so that level 0 counts as 0.
``"pair"``, or ``"signed"``
    A differential pair: two cells for each digit of the magnitude. The digit of a positive weight goes
    to the g+ cell, that of a negative weight to the g- cell; the other cell stays at level 0. Both cells
    vary on their own, and their difference counts. Currents have two signs, and no array holds the sign.
``"offset"``
    Half the range is added to every code, so no code is negative, and the sign bit joins the slice below.
    A unit column subtracts it again, as the reference column subtracts LGS: its cells hold a weight of 0.

For additive conductance noise and many levels the pair is 6.02 dB better than the offset (6.62 dB with 16 levels): each
of its cells has the whole range for one sign, the offset has half of it, and both subtract a cell as noisy. With ideal
columns (`Tile(reference="ideal")`), which `combine` subtracts, it is 3.01 dB; real ones are `mpimpy.cells.references`.
"""

from typing import Any

from ..arrays import namespace
from ..config import Format

__all__ = ["combine", "split"]


def split(fmt: Format, digits: Any) -> Any:
    """Return the levels of the cells for digits.

    Parameters
    ----------
    fmt : Format
    digits : integer array, shape (planes * slices, K, N)
        Times their stride.

    Returns
    -------
    array, shape (planes * cells per digit * slices, K, N)
        With pairs, all g+ cells of a plane come before its g- cells.
    """
    if not fmt.signed:
        return digits
    xp = namespace(digits)
    slices = len(fmt.ascending)
    zero = xp.zeros_like(digits[:1, :1, :1])
    parts = []
    for plane in range(digits.shape[0] // slices):
        part = digits[plane * slices : (plane + 1) * slices, :, :]
        parts += [xp.maximum(part, zero), xp.maximum(-part, zero)]
    return xp.concat(parts, axis=0)


def combine(backend: Any, fmt: Format, grid: Any, bound: int, unit: int) -> Any:
    """Return the grid of digits: g+ less g- of each pair, or the cells less the unit column.

    Parameters
    ----------
    backend : module
        A backend.
    fmt : Format
    grid : integer array, shape (planes * cells per digit * slices, K, N)
        Conductances above the reference.
    bound : int
        Largest magnitude of a result; larger ones saturate.
    unit : int
        Conductance of the cells of an ideal unit column, above the reference.

    Returns
    -------
    integer array, shape (planes * slices, K, N)
        Of the dtype of `grid`; `grid` itself where each digit is one cell and nothing is taken away.
    """
    if fmt.mapping == "twos":
        return grid
    slices = len(fmt.ascending)
    if fmt.signed:
        return backend.differences(grid, slices, bound)
    xp = namespace(grid)
    wide = xp.int64 if grid.dtype in (xp.int32, xp.int64) else xp.int32
    parts = []
    for start in range(0, grid.shape[0], slices):
        for j in range(start, start + slices):
            value = xp.astype(grid[j, :, :], wide)
            if j == start + slices - 1:
                value = xp.clip(value - unit, -bound, bound)
            parts.append(xp.astype(value, grid.dtype))
    return xp.stack(parts, axis=0)

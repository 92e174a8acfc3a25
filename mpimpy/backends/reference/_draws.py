"""The kernels that draw random numbers, in plain array-API calls: a part of the reference."""

from typing import Any

from array_api_compat import array_namespace, device

from ... import noise
from ..._caches import bounded
from ..reading import Draw

__all__ = ["apply_stuck_cells", "differences", "entries", "perturb", "subtract"]


@bounded(32, lambda _, xp, where, table: 2 * len(table))
def entries(xp: Any, where: Any, table: bytes) -> Any:
    """Return the entries of a packed table: int32, on a device."""
    return xp.asarray(noise.table_entries(table).copy(), dtype=xp.int32, device=where)


def perturb(
    cells: Any, draw: Draw, address: noise.Address, columns: tuple[int, int] | None = None, which: Any = None
) -> Any:
    """Multiply every cell by a random factor, or add a random number to it, in integers.

    Parameters
    ----------
    cells : integer array, shape (slices, A, C)
    draw : Draw
        The effect, and the formula.
    address : mpimpy.noise.Address
    columns : (int, int), optional
        The only columns to return, ``first .. last - 1``; by default all.
    which : integer array, shape (slices, A, C), optional
        The number of each cell's table; by default there is one table.

    Returns
    -------
    integer array of ``draw.dtype``, shape (slices, A, C)
    """
    xp = array_namespace(cells)
    where = device(cells)
    if columns is not None:
        cells, address = cells[:, :, slice(*columns)], address._replace(col=address.col + columns[0])
        which = which if which is None else which[:, :, slice(*columns)]
    slices, rows, cols = cells.shape
    values = entries(xp, where, draw.table)
    half = (1 << draw.shift) >> 1
    low = -min(draw.reference, draw.bound) if draw.additive else -draw.bound
    out = []
    for index in range(slices):
        word = noise.words(xp, address, index, (rows, cols), where)
        if which is not None:
            word = word + xp.astype(which[index, :, :], xp.int64) * noise.TABLE_SIZE
        entry = xp.take(values, xp.reshape(word, (-1,)), axis=0)
        entry = xp.reshape(xp.astype(entry, xp.int64), (rows, cols))
        v = xp.astype(cells[index, :, :], xp.int64) << draw.level_shift
        value = v + entry if draw.additive else (((v + draw.reference) * entry + half) >> draw.shift) - draw.after
        out.append(xp.astype(xp.clip(value, low, draw.bound), getattr(xp, draw.dtype)))
    return xp.stack(out, axis=0)


def apply_stuck_cells(
    cells: Any, address: noise.Address, *, high_share: int, low_share: int, high: int, low: int = 0
) -> Any:
    """Put the stuck cells at `high` or `low`; the other cells keep their values.

    Each cell has a 32-bit word, of two 16-bit draws. Below `high_share` the cell is stuck at the
    top; else, below ``high_share + low_share``, at the bottom.

    Parameters
    ----------
    cells : integer array, shape (slices, A, C)
    address : mpimpy.noise.Address
    high_share, low_share : int
        Shares of all cells, in units of ``2**-32``.
    high, low : int
        What a cell at the highest and at the lowest level holds.

    Returns
    -------
    array like `cells`
    """
    xp = array_namespace(cells)
    slices, rows, cols = cells.shape
    fine = address._replace(purpose=noise.STUCK_FINE)
    out = []
    for index in range(slices):
        draw = noise.words(xp, address, index, (rows, cols), device(cells)) << 16
        draw = draw | noise.words(xp, fine, index, (rows, cols), device(cells))
        cell = cells[index, :, :]
        cell = xp.where(draw < high_share + low_share, xp.full_like(cell, low), cell)
        out.append(xp.where(draw < high_share, xp.full_like(cell, high), cell))
    return xp.stack(out, axis=0)


def subtract(grid: Any, columns: Any, lead: int, width: int, bound: int) -> Any:
    """Take a number that the columns of an array share from every cell: ``clip(cell - number, -bound, bound)``.

    Parameters
    ----------
    grid : integer array, shape (slices, A, C)
        It may be overwritten.
    columns : integer array of that dtype, shape (slices, A, arrays)
        The number of each row of each array.
    lead : int
        Columns of the first array before the first cell.
    width : int
        Columns of an array.
    bound : int
        Greatest magnitude of the result, and of the numbers.

    Returns
    -------
    array like `grid`
    """
    xp = array_namespace(grid)
    wide = xp.int32 if bound < 2**30 else xp.int64
    array = (xp.arange(grid.shape[2], dtype=xp.int64, device=device(grid)) + lead) // width
    out = []
    for index in range(grid.shape[0]):
        less = xp.take(xp.astype(columns[index, :, :], wide), array, axis=1)
        out.append(xp.astype(xp.clip(xp.astype(grid[index, :, :], wide) - less, -bound, bound), grid.dtype))
    return xp.stack(out, axis=0)


def differences(grid: Any, slices: int, bound: int) -> Any:
    """Return the cells of differential pairs together: ``clip(g+ - g-, -bound, bound)``.

    Parameters
    ----------
    grid : integer array, shape (planes * 2 * slices, A, C)
        All g+ cells of a plane come before its g- cells.
    slices : int
        Of a plane.
    bound : int
        Greatest magnitude of the result.

    Returns
    -------
    integer array of that dtype, shape (planes * slices, A, C)
    """
    xp = array_namespace(grid)
    wide = xp.int32 if bound < 2**30 else xp.int64
    out = []
    for start in range(0, grid.shape[0], 2 * slices):
        for j in range(start, start + slices):
            value = xp.astype(grid[j, :, :], wide) - xp.astype(grid[j + slices, :, :], wide)
            out.append(xp.astype(xp.clip(value, -bound, bound), grid.dtype))
    return xp.stack(out, axis=0)

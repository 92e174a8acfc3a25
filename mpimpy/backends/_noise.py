"""The kernels that draw random numbers, in plain array-API calls: a part of `reference`."""

import functools

from array_api_compat import array_namespace, device

from .. import noise

__all__ = ["entries", "perturb", "stick"]


@functools.lru_cache(maxsize=32)
def entries(xp, where, table):
    """Return the entries of a packed table: int64, on a device."""
    return xp.asarray(noise.table_values(table), dtype=xp.int64, device=where)


def perturb(
    cells, table, address, *, up, reference, shift, bound, dtype, columns=None, which=None, additive=False, after=None
):
    """Multiply every cell by a random factor, or add a random number to it, in integers.

    A factor: ``out = clip(((((cell << up) + reference) * factor + half) >> shift) - after, +-bound)``
    with ``half = 2**(shift - 1)`` (0 if shift is 0) and an arithmetic shift: rounding to
    nearest, ties towards plus infinity. This line is where the rounding of noise is written down.

    A number: ``out = clip((cell << up) + number, -reference .. bound)``, and never below ``-bound``.

    Parameters
    ----------
    cells : integer array, shape (slices, A, C)
    table : bytes
        Packed quantile tables of `mpimpy.noise`, one after the other: factors in units of
        ``2**-16``, or numbers.
    address : mpimpy.noise.Address
    up, reference, shift, bound : int
    dtype : str
        Name of the integer dtype of the result.
    columns : (int, int), optional
        The only columns to return, ``first .. last - 1``; by default all.
    which : integer array, shape (slices, A, C), optional
        The number of each cell's table; by default there is one table.
    additive : bool
        The table holds numbers to add.
    after : int, optional
        What the result counts from; by default `reference`. Only with factors.

    Returns
    -------
    array, shape (slices, A, C)
    """
    xp = array_namespace(cells)
    where = device(cells)
    if columns is not None:
        cells, address = cells[:, :, slice(*columns)], address._replace(col=address.col + columns[0])
        which = which if which is None else which[:, :, slice(*columns)]
    slices, rows, cols = cells.shape
    values = entries(xp, where, table)
    half, after = (1 << shift) >> 1, reference if after is None else after
    low = -min(reference, bound) if additive else -bound
    out = []
    for index in range(slices):
        word = noise.words(xp, address, index, (rows, cols), where)
        if which is not None:
            word = word + xp.astype(which[index, :, :], xp.int64) * noise.TABLE_SIZE
        entry = xp.reshape(xp.take(values, xp.reshape(word, (-1,)), axis=0), (rows, cols))
        value = xp.astype(cells[index, :, :], xp.int64) << up
        value = value + entry if additive else (((value + reference) * entry + half) >> shift) - after
        out.append(xp.astype(xp.clip(value, low, bound), getattr(xp, dtype)))
    return xp.stack(out, axis=0)


def stick(cells, address, *, high_share, low_share, high, low=0):
    """Put the stuck cells at `high` or `low`, whatever they held.

    A cell's 32-bit word (two 16-bit draws) below `high_share` makes it stuck at the top, one
    below ``high_share + low_share`` at the bottom.

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

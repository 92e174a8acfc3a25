"""Means and variances of cells in a read, in plain array-API calls: a part of the reference."""

from typing import Any

from array_api_compat import array_namespace, device

from ...arrays import constant
from ..reading import MEAN_BITS, CellMoments

__all__ = ["moments"]


def moments(cells: Any, law: CellMoments, which: Any = None) -> tuple[Any, Any]:
    """Return the means and the variances of cells.

    Parameters
    ----------
    cells : integer array, shape (slices, A, C)
    law : CellMoments
        The formula.
    which : integer array, shape (slices, A, C), optional
        The number of each cell's table; by default there is one table.

    Returns
    -------
    integer array of ``law.dtype`` and float64 array of integers, shape (slices, A, C)
    """
    xp, where = array_namespace(cells), device(cells)
    mean_table = constant(xp, law.means, "int64", where)
    variance_table = constant(xp, law.variances, "float64", where)
    means, variances = [], []
    for index in range(cells.shape[0]):
        value = (xp.astype(cells[index, :, :], xp.int64) << law.level_shift) + law.reference
        at = xp.clip(value, 0, law.count - 1) if law.count > 1 else xp.zeros_like(value)
        if which is not None:
            at = at + xp.astype(which[index, :, :], xp.int64) * law.count
        at = xp.reshape(at, (-1,))
        mean = xp.reshape(xp.take(mean_table, at, axis=0), value.shape)
        variance = xp.reshape(xp.take(variance_table, at, axis=0), value.shape)
        if law.additive:
            mean = value + mean
        else:
            real = xp.astype(value, xp.float64)
            mean, variance = (value * mean + (1 << (MEAN_BITS - 1))) >> MEAN_BITS, xp.round(real * real * variance)
        mean = xp.clip(mean - law.reference, law.low, law.bound)
        means.append(xp.astype(mean, getattr(xp, law.dtype)))
        variances.append(variance)
    return xp.stack(means, axis=0), xp.stack(variances, axis=0)

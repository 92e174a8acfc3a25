"""Currents that every input row draws anew, in plain array-API calls: a part of the reference.

Other backends may do it inside their kernels. A current is drawn as a whole, with the mean and the variance of its
cells. As the errors of ADCs, this comes between a current and its code.
"""

from collections.abc import Callable
from typing import Any

from array_api_compat import device

from ... import noise
from ..reading import ROW_BITS, RowDraw
from ._errors import normal_draw

__all__ = ["redraw"]


def redraw(
    xp: Any,
    current: Any,
    codes: Any,
    draw: RowDraw,
    at: tuple[int, slice],
    pair: tuple[int, int],
    perturb: Callable[..., Any],
) -> Any:
    """Return the currents of one array as every input row draws them.

    ``I' = I + deviation(V) - deviation(V0)``, with the current I of mean cells, the variances
    ``V = codes**2 @ variance[j]`` of its cells, and V0 of the reference cells that all columns of an array share;
    ``deviation(V) = (z * isqrt(V) + half) >> shift``, with a normal number z in units of ``2**-16``, ``shift = 16 +
    bits - drop`` and ``half = 2**(shift - 1)``. A negative shift is one to the left. Codes that lose bits are
    ``floor(code / 2**drop + 1/2)`` here.

    Parameters
    ----------
    xp : namespace
    current : float64 array, shape (R, N)
        Integers.
    codes : float64 array, shape (R, rows)
        DAC codes, integers.
    draw : RowDraw
    at : (int, slice)
        Tile of this read, and its rows.
    pair : (int, int)
        Weight slice and input slice of this read.
    perturb : function
        A backend's.

    Returns
    -------
    float64 array, shape (R, N)
        Integers.
    """
    (tile, span), (j, i) = at, pair
    number, row = draw.pair + j * draw.pairs + i, (draw.tile + tile) << ROW_BITS
    squares = (codes if draw.drop == 0 else xp.floor(codes * 0.5**draw.drop + 0.5)) ** 2

    def deviation(variance: Any, first: noise.Address) -> Any:
        # sums of integers below 2**52: exact, and so is the floor of their root
        root = xp.astype(xp.floor(xp.sqrt(xp.matmul(squares, variance[j, span, :]))), xp.int64)
        address = first._replace(purpose=noise.READ_ROW, row=row + first.row, chip=number << 20 | first.chip)
        normal = perturb(xp.zeros_like(root)[None, :, :], normal_draw(), address)[0, :, :]
        shift = noise.TABLE_BITS + draw.bits - draw.drop
        return (normal * root + (1 << shift >> 1)) >> shift if shift > 0 else (normal * root) << -shift

    value = xp.astype(current, xp.int64) + deviation(draw.variance, draw.address)
    if (beside := draw.beside) is not None:
        array = (xp.arange(current.shape[1], dtype=xp.int64, device=device(current)) + beside.lead) // beside.width
        value = value - xp.take(deviation(beside.variance, beside.address), array, axis=1)
    return xp.astype(value, xp.float64)

"""Bit line currents, one pair of slices at a time: for calibration and pictures."""

from collections.abc import Iterator
from typing import Any

from .. import converters
from .._integers import ceil_div
from ..arrays import namespace
from ..operands import encoding
from ..operands.encoding import Encoded
from .added import add_slices
from .product import plan_for, read_grid
from .programmed import Programmed

__all__ = ["currents"]


def currents(
    backend: Any, programmed: Programmed, inputs: Encoded, read: int, only: tuple[int, int] | None = None
) -> Iterator[tuple[int, int, Any, int]]:
    """Yield the currents of every tile and pair of slices, as the ADC meets them.

    Parameters
    ----------
    backend, programmed, inputs, read
        As for `mpimpy.crossbar.product.product`.
    only : (int, int), optional
        The only pair of slices, (j, i), to yield; by default all.

    Yields
    ------
    j, i : int
        Weight slice and input slice, least significant first; i is 0 where all are converted together.
    current : float64 array, shape (batch * M, N)
        Integers.
    count : int
        How many such arrays each pair of slices has in all.
    """
    config, address = programmed.config, programmed.address._replace(read=read)
    plan, digits = plan_for(config, programmed.as_read), encoding.flat_slices(inputs.digits)
    xp, rows = namespace(digits), plan.cell_format.rows
    at_inputs = address._replace(row=0, col=address.row)
    digits = converters.drive(backend, config.dac, plan, digits, at_inputs)
    if (added := plan.added) is not None:
        each = len(plan.x_strides)
        planes = [digits[at : at + each, :, :] for at in range(0, digits.shape[0], each)]
        digits = xp.concat([add_slices(backend, plane, added) for plane in planes], axis=0)
    strides = plan.reading.strides
    grid = read_grid(backend, config, programmed.as_read, address)
    x_slices, w_slices = len(strides), len(plan.cell_format.strides)
    tiles = ceil_div(digits.shape[2], rows)
    count = tiles * (digits.shape[0] // x_slices) * (grid.shape[0] // w_slices)
    for tile in range(tiles):
        span = slice(tile * rows, min((tile + 1) * rows, digits.shape[2]))
        for w_index in range(grid.shape[0]):
            if only is not None and w_index % w_slices != only[0]:
                continue
            part = xp.astype(grid[w_index, span, :], xp.float64)
            for x_index in range(digits.shape[0]):
                if only is not None and x_index % x_slices != only[1]:
                    continue
                code = xp.astype(digits[x_index, :, span], xp.float64) * float(strides[x_index % x_slices])
                yield w_index % w_slices, x_index % x_slices, xp.matmul(code, part), count

"""Bit line currents, one pair of slices at a time: for calibration and pictures."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from .. import converters
from .._integers import ceil_div
from ..arrays import namespace
from ..backends import RowDraw
from ..backends.reference import redraw
from ..operands import encoding
from ..operands.encoding import Encoded
from .added import add_slices
from .plan import Plan
from .product import plan_for, read_grid
from .programmed import Programmed
from .rows import mean_grid
from .single import address_of

__all__ = ["Driven", "currents", "drive"]


class Driven(NamedTuple):
    """Codes that drive the arrays, and the cells that they meet.

    Attributes
    ----------
    plan : Plan
    digits : integer array, shape (planes * slices, M, K)
        A stride of the plan's reading makes a digit a code.
    grids : tuple of integer arrays, shape (planes * slices, K, N)
        One for all input slices, or one for each of them.
    rows : mpimpy.backends.RowDraw or None
        How far currents deviate from those of the grid, if every input row draws its own.
    """

    plan: Plan
    digits: Any
    grids: tuple[Any, ...]
    rows: RowDraw | None = None

    def grid(self, x_index: int) -> Any:
        """Return the grid that an input slice meets."""
        return self.grids[x_index % len(self.grids)]

    @property
    def slices(self) -> tuple[int, int]:
        """Numbers of input slices, as they are converted, and of weight slices."""
        return len(self.plan.reading.strides), len(self.plan.cell_format.strides)

    def rows_of(self, tile: int) -> slice:
        """Return where the inputs of a tile are."""
        rows = self.plan.cell_format.rows
        return slice(tile * rows, min((tile + 1) * rows, self.digits.shape[2]))


def drive(backend: Any, programmed: Programmed, inputs: Encoded, read: int) -> Driven:
    """Return what drives the arrays in one read, and what it meets: as for `mpimpy.crossbar.product.product`."""
    config, address = programmed.config, programmed.address._replace(read=read)
    plan, digits = plan_for(config, programmed.as_read), encoding.flat_slices(inputs.digits)
    at_inputs = address._replace(row=0, col=address.row)
    digits = converters.drive(backend, config.dac, plan, digits, at_inputs)
    if (added := plan.added) is not None:
        each = len(plan.x_strides)
        planes = [digits[at : at + each, :, :] for at in range(0, digits.shape[0], each)]
        digits = namespace(digits).concat([add_slices(backend, plane, added) for plane in planes], axis=0)
    cells = programmed.as_read
    if config.device.draws_rows:
        means, rows = mean_grid(backend, config, cells, address, 0)
        return Driven(plan, digits, (means,), rows)
    numbers = range(digits.shape[0]) if config.device.redraws else (None,)
    return Driven(
        plan, digits, tuple(read_grid(backend, config, cells, address_of(address, number)) for number in numbers)
    )


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
    driven = drive(backend, programmed, inputs, read)
    plan, digits, xp = driven.plan, driven.digits, namespace(driven.digits)
    arrays = driven.grid(0).shape[0]
    strides, x_slices, w_slices = plan.reading.strides, *driven.slices
    tiles = ceil_div(digits.shape[2], plan.cell_format.rows)
    count = tiles * (digits.shape[0] // x_slices) * (arrays // w_slices)
    for tile in range(tiles):
        span = driven.rows_of(tile)
        for w_index in range(arrays):
            if only is not None and w_index % w_slices != only[0]:
                continue
            for x_index in range(digits.shape[0]):
                if only is not None and x_index % x_slices != only[1]:
                    continue
                code = xp.astype(digits[x_index, :, span], xp.float64) * float(strides[x_index % x_slices])
                part = xp.astype(driven.grid(x_index)[w_index, span, :], xp.float64)
                current = xp.matmul(code, part)
                if driven.rows is not None:
                    pair = w_index, x_index
                    current = redraw(xp, current, code, driven.rows, (tile, span), pair, backend.perturb)
                yield w_index % w_slices, x_index % x_slices, current, count

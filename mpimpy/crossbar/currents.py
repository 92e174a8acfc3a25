"""Bit line currents, one pair of slices at a time: for calibration and pictures."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from array_api_compat import device as device_of

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

__all__ = ["currents", "currents_of"]


class _Driven(NamedTuple):
    # codes that drive the arrays, (planes * slices, M, K), and the grids that they meet, (planes * slices, K, N): one
    # for all, or one for each input slice; and how far currents deviate from theirs, if each row draws its own
    plan: Plan
    digits: Any
    grids: tuple[Any, ...]
    rows: RowDraw | None = None

    def grid(self, x_index: int) -> Any:
        return self.grids[x_index % len(self.grids)]

    @property
    def slices(self) -> tuple[int, int]:
        return len(self.plan.reading.strides), len(self.plan.cell_format.strides)

    def rows_of(self, tile: int) -> slice:
        rows = self.plan.cell_format.rows
        return slice(tile * rows, min((tile + 1) * rows, self.digits.shape[2]))


def _drive(backend: Any, programmed: Programmed, inputs: Encoded, read: int) -> _Driven:
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
        return _Driven(plan, digits, (means,), rows)
    numbers = range(digits.shape[0]) if config.device.redraws else (None,)
    return _Driven(
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
    driven = _drive(backend, programmed, inputs, read)
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


def currents_of(
    backend: Any,
    programmed: Programmed,
    inputs: Encoded,
    read: int,
    chosen: dict[tuple[int, int, int], tuple[list[int], list[int]]],
) -> Iterator[tuple[int, int, Any]]:
    """Yield currents of single outputs, for every pair of slices, as the ADC meets them.

    Parameters
    ----------
    backend, programmed, inputs, read
        As for `mpimpy.crossbar.product.product`.
    chosen : dict
        For (tile, plane of the weights, plane of the inputs): input rows, and as many columns, of the outputs.

    Yields
    ------
    j, i : int
        Weight slice and input slice, least significant first.
    current : float64 array, shape (outputs,)
        Integers; in the order of `chosen`.
    """
    driven = _drive(backend, programmed, inputs, read)
    digits, xp = driven.digits, namespace(driven.digits)
    x_slices, w_slices = driven.slices
    for (tile, w_plane, x_plane), indices in chosen.items():
        span = driven.rows_of(tile)
        rows, columns = (xp.asarray(part, dtype=xp.int64, device=device_of(digits)) for part in indices)
        codes = [
            xp.astype(xp.take(digits[x_plane * x_slices + i, :, span], rows, axis=0), xp.float64) * float(stride)
            for i, stride in enumerate(driven.plan.reading.strides)
        ]
        for j in range(w_slices):
            for i, code in enumerate(codes):
                if i == 0 or len(driven.grids) > 1:
                    grid = driven.grid(x_plane * x_slices + i)[w_plane * w_slices + j, span, :]
                    cells = xp.astype(xp.matrix_transpose(xp.take(grid, columns, axis=1)), xp.float64)
                yield j, i, xp.sum(code * cells, axis=1)

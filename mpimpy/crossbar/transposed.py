"""The transposed read: inputs drive the bit lines of programmed cells, and the word lines are read."""

import functools
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from array_api_compat import device as device_of

from .. import converters, noise
from .._integers import ceil_div
from ..arrays import namespace
from ..cells import memristors, references
from ..config import Config
from ..noise import Address
from ..operands import encoding
from ..operands.encoding import Encoded
from . import plan as plans
from .product import Scaled, add_planes, multiply_drawn, plan_for, read_grid
from .programmed import Programmed
from .single import address_of

__all__ = ["product_transposed", "refusal", "turned"]


@functools.lru_cache(maxsize=64)
def turned(config: Config) -> Config:
    """Return the configuration of a transposed read: arrays with as many rows as they have columns."""
    return config.replace(tile={"rows": config.tile.cols, "cols": config.tile.rows})


def refusal(config: Config, address: Address) -> str | None:
    """Return the reason why cells of a configuration at an address have no transposed read, or None."""
    if config.weights.offset:
        return "the unit column of an offset has no transposed twin, a unit row"
    if config.wires is not None:
        return "behind wires with resistance, the currents of word lines are not those of a transposed matrix"
    if references.held(config, plans.cell_format(config)):
        return (
            "reference columns of real cells have no transposed twin, a reference row "
            "(differential pairs, mapping='pair', and reference='ideal' need none)"
        )
    if config.device.draws_rows:
        return "redraw='row' draws currents of bit lines, and word lines share their cells: use redraw='product'"
    if address.col % config.tile.cols:
        return f"this part of a matrix begins at column {address.col}, inside a tile of {config.tile.cols} columns"
    return None


class _Inputs(NamedTuple):
    # Inputs that drive the bit lines of some planes of weights: their number, codes, and the scales of the weights,
    # (planes, tiles along N, rows of cells).
    planes: slice
    number: int
    encoded: Encoded
    scales: Any


def _shares_scales(programmed: Programmed) -> bool:
    # whether all columns of each tile have one scale
    cols, width = programmed.config.tile.cols, programmed.encoded.block[1]
    return width >= programmed.shape[1] or width % cols == 0


def _scaled(values: Any, scales: Any) -> tuple[Any, float]:
    # (inputs times the scales of their columns, the power of two that was taken out): nothing leaves float64's range
    xp = namespace(scales)
    power = math.ldexp(1.0, min(math.frexp(float(xp.max(scales)))[1], 1023))
    return xp.astype(values, xp.float64) * (scales / power), power


def _inputs(
    backend: Any, programmed: Programmed, values: Any, block: tuple[int, int]
) -> Iterator[tuple[slice, list[_Inputs]]]:
    # The inputs of each span of cells' rows: the same for all, unless the columns of a tile have scales of their own.
    config, (depth, width) = programmed.config, programmed.shape
    (rows, cols), planes, scales = (config.tile.rows, config.tile.cols), config.weights.planes, programmed.scales
    xp, where, tiles = namespace(scales), device_of(scales), ceil_div(width, config.tile.cols)
    if _shares_scales(programmed):
        first_columns = xp.arange(tiles, dtype=xp.int64, device=where) * cols
        of_row = xp.arange(depth, dtype=xp.int64, device=where) // rows
        spread = xp.take(xp.take(scales, first_columns, axis=2), of_row, axis=1)
        encoded = encoding.encode(backend, values, config.inputs, block)
        yield slice(0, depth), [_Inputs(slice(0, planes), 0, encoded, xp.permute_dims(spread, (0, 2, 1)))]
        return
    first_tile = programmed.address.row // rows
    for tile in range(ceil_div(depth, rows)):
        span, found = slice(tile * rows, min((tile + 1) * rows, depth)), []
        for plane in range(planes):
            scaled, power = _scaled(values, scales[plane, tile, :])
            encoded = encoding.encode(backend, scaled, config.inputs, block)
            unit = xp.full((1, tiles, span.stop - span.start), power, dtype=xp.float64, device=where)
            number = 1 + (first_tile + tile) * planes + plane
            found.append(_Inputs(slice(plane, plane + 1), number, encoded, unit))
        yield span, found


def product_transposed(backend: Any, programmed: Programmed, values: Any, read: int, first_row: int, dtype: str) -> Any:
    """Read a programmed matrix from its bit lines: ``x @ w.T``.

    Cells and read variation are those of a read of the same number from the word lines. DACs and ADCs stand at the
    other lines, so their noise is another. If the columns of a tile have scales of their own, these multiply the
    inputs, which are then quantised anew for every row of tiles.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
        Without a `refusal`.
    values : real floating array, shape (batch, M, N), finite, not empty
        The inputs, as the backend takes them.
    read : int
        Number of the read.
    first_row : int
        Row of the first input in the whole input matrix.
    dtype : str
        Name of the floating dtype of the result.

    Returns
    -------
    array, shape (batch * M, K)

    Raises
    ------
    ValueError
        If the arrays have so many columns that their currents cannot be held exactly, or if blocks of inputs cut
        through them.
    """
    config = turned(programmed.config)
    plan = plan_for(config, programmed.as_read, plans.cell_format(programmed.config).fraction)
    block = encoding.block_shape(config.inputs, values.shape[1:], config.tile.rows, weight=False)
    slices, part_dtype = len(config.weights.ascending), dtype if config.weights.planes == 1 else "float64"
    found = []
    for span, inputs in _inputs(backend, programmed, values, block):
        origin = programmed.address._replace(read=read, row=programmed.address.row + span.start)
        cells = memristors.select_rows(programmed.as_read, span)

        @functools.lru_cache(maxsize=1)
        def drawn(number: int | None, origin: Address = origin, cells: memristors.Cells = cells) -> Any:
            grid = read_grid(backend, programmed.config, cells, address_of(origin, number))
            return namespace(grid).permute_dims(grid, (0, 2, 1))

        products = []
        for part in inputs:
            first = part.planes.start * slices

            def met(number: int | None, part: _Inputs = part, drawn: Callable[[int | None], Any] = drawn) -> Scaled:
                grid = drawn(number)[part.planes.start * slices : part.planes.stop * slices, :, :]
                return Scaled(grid, part.scales, programmed.encoded.exponent)

            at = origin._replace(row=origin.col, col=origin.row)
            x = _drive(backend, config, plan, part, at, first_row)
            errors = None
            if config.adc.errs:
                at = _derived(at)
                errors = converters.errors(config, plan.reading.adc_gain, at, first_row)
                errors = None if errors is None else replace(errors, array=first)
            products += multiply_drawn(backend, config, plan, x, met, part_dtype, errors)
        found.append(add_planes(products, dtype))
    return found[0] if len(found) == 1 else namespace(found[0]).concat(found, axis=1)


def _derived(address: Address, *labels: int) -> Address:
    # the keys of converters at the other lines
    stream = None if address.stream is None else noise.derive(address.stream, "transposed", *labels)
    return address._replace(seed=noise.derive(address.seed, "transposed", *labels), stream=stream)


def _drive(backend: Any, config: Config, plan: plans.Plan, part: _Inputs, at: Address, first_row: int) -> Scaled:
    # the inputs as voltages on the bit lines; each row of tiles with inputs of its own has DACs of its own
    at = at._replace(row=first_row, col=at.row)
    if config.dac.noisy:
        at = _derived(at, part.number)
    digits = encoding.flat_slices(part.encoded.digits)
    voltages = converters.drive(backend, config.dac, plan, digits, at)
    return Scaled(voltages, encoding.input_scales(part.encoded, config.tile.rows), part.encoded.exponent)

"""The product: drive, read, convert, shift and add, scale and reduce, written once against the array API."""

import dataclasses
import functools
import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from .. import converters
from .._integers import ceil_div
from ..arrays import namespace
from ..backends import PANEL, Errors, RowDraw
from ..cells import memristors, references, wiring
from ..cells.memristors import Cells
from ..config import Config
from ..noise import Address
from ..operands import encoding, powers
from ..operands.encoding import Encoded
from . import plan as plans
from .added import add_slices
from .plan import Plan
from .programmed import Programmed
from .rows import mean_grid
from .single import address_of, pieces

__all__ = [
    "Scaled",
    "add_planes",
    "column_spans",
    "fold_operand",
    "met_together",
    "multiply",
    "multiply_drawn",
    "panels",
    "plan_for",
    "product",
    "read_grid",
    "reduce_panels",
]


def read_grid(
    backend: Any, config: Config, cells: Cells, address: Address, columns: tuple[int, int] | None = None
) -> Any:
    """Return what one read sees of the cells, each digit's together: integers, (planes * slices, K, N), in grid units.

    Of all columns, or of ``columns = (first, last)`` alone.
    """
    cell_format = plans.cell_format(config)
    found = memristors.read(backend, config.device, cell_format, cells, address, columns)
    beside = None
    if cells.columns is not None:
        beside = references.read(backend, config, cell_format, cells, address, columns)
    return met_together(backend, config, cells, (found, beside), address, columns)


def met_together(
    backend: Any,
    config: Config,
    cells: Cells,
    drawn: tuple[Any, Any],
    address: Address,
    columns: tuple[int, int] | None = None,
) -> Any:
    """Return what a read sees of cells and of reference cells as it has drawn them, in grid units; see `read_grid`."""
    cell_format, (found, beside) = plans.cell_format(config), drawn
    if (wires := config._wires_per_read) is not None:
        as_drawn = None if cells.columns is None else cells.columns._replace(cells=beside, level_shift=0)
        passed = cells._replace(cells=found, level_shift=0, columns=as_drawn)
        passed = wiring.pass_on(backend, config, wires, cell_format, passed)
        found, beside = passed.cells, None if passed.columns is None else passed.columns.cells
    if beside is not None:
        first = address.col if columns is None else address.col + columns[0]
        return references.subtract(backend, config, cell_format, found, beside, first)
    return references.together(backend, config, cell_format, found, cells)


def plan_for(config: Config, cells: Cells, fraction: int | None = None) -> Plan:
    """Return the plan of a configuration for its cells: a map of stuck cells is no part of a configuration.

    `fraction` is that of the grid that the cells are on, if another configuration chose it.
    """
    plan = plans.plan(config) if fraction is None else plans.plan(config, fraction)
    return dataclasses.replace(plan, lossless_fold=None) if cells.faulty else plan


class Scaled(NamedTuple):
    """An operand as it is read.

    Attributes
    ----------
    integers : integer array, shape (planes * slices, A, C)
        Of inputs or weights, least significant slice first.
    scales : float64 array
        By plane and tile: (planes, A, tiles) of inputs, (planes, tiles, C) of weights.
    exponent : int or None
        As of `mpimpy.operands.encoding.Encoded`.
    rows : mpimpy.backends.RowDraw or None
        Of weights whose currents every input row draws anew: `integers` are means.
    """

    integers: Any
    scales: Any
    exponent: int | None = None
    rows: RowDraw | None = None


def fold_operand(
    backend: Any, shifts: tuple[int, ...], strides: tuple[int, ...], operand: Scaled, unit: int, rows: int, axis: int
) -> Any:
    """Return the float64 operand that noisy slices stand for: digital weights applied before the product."""
    common, weights = encoding.digit_weights(shifts, strides)
    factors, slices, total = tuple(map(float, weights)), len(shifts), None
    for plane in range(operand.scales.shape[0]):
        part = operand.integers[plane * slices : (plane + 1) * slices, :, :]
        term = backend.fold(part, factors, float(common * unit), operand.scales[plane, :, :], rows=rows, axis=axis)
        total = term if total is None else total + term
    return total


def _codes(backend: Any, digits: Any, strides: tuple[int, ...], shifts: tuple[int, ...], bits: int) -> Any:
    # the integer codes, of `bits` bits, that undisturbed slices stand for, shape (1, A, C)
    common, weights = encoding.digit_weights(shifts, strides)
    if common << bits > plans.EXACT:
        # the sum in units of 1 / common would be rounded: digits first, whose own sum is exact
        xp, (common, weights) = namespace(digits), (1, shifts)
        digits = xp.stack([digits[s, :, :] // stride for s, stride in enumerate(strides)], axis=0)
    factors = tuple(map(float, weights))
    return backend.fold(digits, factors, float(common), dtype=encoding.narrowest(2 ** (bits - 1)))[None, :, :]


FEW_ROWS = 64  # input rows up to which it is the grid that costs


def column_spans(
    backend: Any, config: Config, plan: Plan, height: int, shape: tuple[int, ...]
) -> list[tuple[int, int] | None]:
    """Return the columns that are read together, as (first, last); None for all.

    A read of few inputs draws the noisy grid in blocks that stay in the cache. Columns may be cut anywhere.
    """
    slices, depth, width = shape
    if config._wires_per_read is not None:
        return [None]  # tiles are solved as a whole
    if config.device.draws_rows:
        return [None]  # no grid is drawn
    if config.device.var == 0 or backend.STREAM is None or height > FEW_ROWS or plan.by_blas:
        return [None]
    column = slices * depth * {"int8": 1, "int16": 2}.get(plan.cell_format.grid_dtype, 4)
    step = max(1, backend.STREAM // column // 128) * 128
    return [(first, min(first + step, width)) for first in range(0, width, step)] if step < width else [None]


def _input_part(backend: Any, config: Config, plan: Plan, digits: Any) -> Any:
    # one plane of the inputs, as `plan.read_as` reads it
    if plan.read_as is plan:
        return digits if plan.added is None else add_slices(backend, digits, plan.added)
    return _codes(backend, digits, (1,) * len(plan.x_strides), plan.input_shifts, config.inputs.bits)


def _weight_part(backend: Any, config: Config, plan: Plan, grid: Any) -> Any:
    # one plane of the weights, as `plan.read_as` reads it
    if plan.lossless_fold is not None:
        return _codes(backend, grid, plan.cell_format.strides, config.weights.shifts, config.weights.bits)
    if plan.limbs is not None:
        return backend.limbs(grid, plan.limbs.weights, plan.limbs.bits, plan.limbs.count)
    return grid


def _multiply_planes(
    backend: Any, config: Config, plan: Plan, x: Scaled, w: Scaled, dtype: str, errors: Errors | None
) -> list[Any]:
    # the product of each plane of the inputs with each of the weights, weights outermost
    read_as: Any = plan.read_as
    x_slices, w_slices = len(plan.x_strides), len(plan.cell_format.strides)
    x_planes, w_planes = x.scales.shape[0], w.scales.shape[0]
    read_dtype = dtype if x_planes * w_planes == 1 else "float64"
    products = []
    for j in range(w_planes):
        w_part = _weight_part(backend, config, plan, w.integers[j * w_slices : (j + 1) * w_slices, :, :])
        for i in range(x_planes):
            x_part = _input_part(backend, config, plan, x.integers[i * x_slices : (i + 1) * x_slices, :, :])
            x_scale = x.scales[i, :, :] * read_as.sum_scale
            wrong = errors
            if errors is not None:
                array = errors.array + j * w_slices
                pair = errors.pair + array * errors.pairs + i * len(plan.reading.strides)
                wrong = dataclasses.replace(errors, array=array, pair=pair)
            read = backend.read if w.rows is None else _row_reader(backend, w.rows, (j, w_slices), i * x_slices)
            products.append(read(x_part, x_scale, w_part, w.scales[j, :, :], read_as.reading, read_dtype, wrong))
    return products


def _row_reader(backend: Any, rows: RowDraw, plane: tuple[int, int], first: int) -> Any:
    # of one plane of the weights, given with its number of slices, and input slices from `first` on
    array = plane[0] * plane[1]
    some = rows.of(slice(array, array + plane[1]), array * rows.pairs + first)
    return backend.row_reader(some)


def multiply(
    backend: Any, config: Config, plan: Plan, x: Scaled, w: Scaled, dtype: str, errors: Errors | None
) -> list[Any]:
    """Return the product of each plane of the inputs with each of the weights, weights outermost.

    Parameters
    ----------
    backend : module
        A backend.
    config : Config
        Its tile has as many rows as the arrays have along the summed axis.
    plan : Plan
    x : Scaled
        Inputs as `mpimpy.converters.drive` returns them.
    w : Scaled
        Weights as `read_grid` returns them.
    dtype : str
        Name of the floating dtype of a product that is not added to another.
    errors : mpimpy.backends.Errors or None

    Returns
    -------
    list of arrays, shape (A of `x`, C of `w`)
        One array of all planes, where a float64 product of folded slices makes it.
    """
    if (x.exponent, w.exponent) != (None, None):
        # products of the scales may leave the range of float64: powers of two are split off first
        x_scales, of_rows = powers.split_powers(x.scales, (0, 2))
        w_scales, of_cols = powers.split_powers(w.scales, (0, 1))
        exponents = of_rows[0, :, :] + of_cols[0, :, :] + (x.exponent or 0) + (w.exponent or 0)
        x, w = Scaled(x.integers, x_scales), Scaled(w.integers, w_scales, None, w.rows)
        parts = multiply(backend, config, plan, x, w, "float64", errors)
        return [powers.multiply_by_powers(part, exponents) for part in parts]
    if not plan.by_blas:
        return _multiply_planes(backend, config, plan, x, w, dtype, errors)
    rows = config.tile.rows
    drive_unit, grid_unit = 2**plan.cell_format.voltage_fraction, 2**plan.cell_format.fraction
    # digits are not multiplied by their strides, noisy codes are
    x_strides = plan.x_strides if plan.reading.widths is None else (1,) * len(plan.x_strides)
    folded_x = fold_operand(backend, plan.input_shifts, x_strides, x, drive_unit, rows, 1)
    folded_w = fold_operand(backend, config.weights.shifts, plan.cell_format.strides, w, grid_unit, rows, 0)
    return [backend.multiply(folded_x, folded_w)]


def multiply_drawn(
    backend: Any,
    config: Config,
    plan: Plan,
    x: Scaled,
    w: Callable[[int | None], Scaled],
    dtype: str,
    errors: Errors | None,
) -> list[Any]:
    """Return products with cells as they are drawn: once for all input slices, or anew for each of them.

    Parameters
    ----------
    backend, config, plan, x, dtype, errors
        As for `multiply`.
    w : function
        From the number of an input slice to the weights that it meets, as `multiply` takes them; from None to those
        that all slices meet.

    Returns
    -------
    list of arrays
        As of `multiply`; of one input slice after the other, where each meets cells of its own.
    """
    if not config.device.redraws:
        return multiply(backend, config, plan, x, w(None), dtype, errors)
    found, slices, planes = [], len(plan.x_strides), x.scales.shape[0]
    for piece in pieces(plan, planes, errors):
        digits = x.integers[piece.number : piece.number + 1, :, :]
        part = Scaled(digits, x.scales[piece.plane : piece.plane + 1, :, :], x.exponent)
        kept = "float64" if slices * planes > 1 else dtype
        found += multiply(backend, config, piece.plan, part, w(piece.number), kept, piece.errors)
    return found


def _pair_products(
    backend: Any, programmed: Programmed, inputs: Encoded, read: int, first_row: int, dtype: str, tiles: Any = None
) -> list[Any]:
    # The product of each pair of planes, over all rows of tiles or a range of them.
    config, address = programmed.config, programmed.address._replace(read=read)
    rows, cells, scales = config.tile.rows, programmed.as_read, programmed.scales
    plan = plan_for(config, cells)
    digits, x_scales = encoding.flat_slices(inputs.digits), encoding.input_scales(inputs, rows)
    if tiles is not None:
        span, tiles = slice(tiles[0] * rows, min(tiles[1] * rows, programmed.shape[0])), slice(*tiles)
        digits, x_scales, scales = digits[:, :, span], x_scales[:, :, tiles], scales[:, tiles, :]
        cells = memristors.select_rows(cells, span)
        address = address._replace(row=address.row + span.start)
    at_inputs = address._replace(row=first_row, col=address.row)
    x = Scaled(converters.drive(backend, config.dac, plan, digits, at_inputs), x_scales, inputs.exponent)
    parts = []
    for columns in column_spans(backend, config, plan, digits.shape[1], cells.cells.shape):

        def drawn(number: int | None, columns: tuple[int, int] | None = columns) -> Scaled:
            if config.device.draws_rows:
                means, rows = mean_grid(backend, config, cells, address, first_row)
                return Scaled(means, scales, programmed.encoded.exponent, rows)
            some = scales if columns is None else scales[:, :, slice(*columns)]
            grid = read_grid(backend, config, cells, address_of(address, number), columns)
            return Scaled(grid, some, programmed.encoded.exponent)

        at = address if columns is None else address._replace(col=address.col + columns[0])
        errors = converters.errors(config, plan.reading.adc_gain, at, first_row)
        parts.append(multiply_drawn(backend, config, plan, x, drawn, dtype, errors))
    if len(parts) == 1:
        return parts[0]
    xp = namespace(digits)
    return [xp.concat(spans, axis=1) for spans in zip(*parts, strict=True)]


def product(backend: Any, programmed: Programmed, inputs: Encoded, read: int, first_row: int, dtype: str) -> Any:
    """Read a programmed matrix.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
    inputs : Encoded
        The inputs, shape (batch, M, K).
    read : int
        Number of the read, which addresses its noise.
    first_row : int
        Row of the first input in the whole input matrix.
    dtype : str
        Name of the floating dtype of the result.

    Returns
    -------
    array, shape (batch * M, N)
    """
    if converters.has_more_keys(programmed.config, programmed.address.row, programmed.shape[0]):
        return reduce_panels(panels(backend, programmed, inputs, read, first_row), dtype)
    products = _pair_products(backend, programmed, inputs, read, first_row, dtype)
    # they are nobody else's: the first one takes the others up
    return add_planes([functools.reduce(operator.iadd, products)], dtype)


def panels(
    backend: Any, programmed: Programmed, inputs: Encoded, read: int, first_row: int = 0
) -> Iterator[tuple[Any, ...]]:
    """Yield the sums of each panel of 16 rows of tiles, in ascending order: `reduce_panels` makes the product of them.

    A matrix that is cut along K where panels end gives the panels of the whole, part by part, if each
    part is programmed with its `origin`. So the parts may be read anywhere, and the product has the bits
    of the whole. (With an ideal ADC whose slices do not fold into exact parts, the last bits belong to the BLAS.)

    Parameters
    ----------
    backend, programmed, inputs, read, first_row
        As for `product`.

    Yields
    ------
    tuple of float64 arrays, shape (batch * M, N)
        One for each pair of planes, weights outermost.

    Raises
    ------
    ValueError
        If the matrix does not begin where a panel does.
    """
    rows = programmed.config.tile.rows
    tile, lost = divmod(programmed.address.row, rows)
    if lost or tile % PANEL:
        msg = (
            f"a part of a matrix that begins at row {programmed.address.row} has no panels of its own: cut at a "
            f"multiple of {PANEL * rows} rows, {PANEL} arrays of {rows} rows"
        )
        raise ValueError(msg)
    count = ceil_div(programmed.shape[0], rows)
    for first in range(0, count, PANEL):
        tiles = first, min(first + PANEL, count)
        yield tuple(_pair_products(backend, programmed, inputs, read, first_row, "float64", tiles))


def reduce_panels(sums: Iterable[tuple[Any, ...]], dtype: str) -> Any:
    """Return the product that panels make: added up in order, and rounded once.

    Parameters
    ----------
    sums : iterable of tuples of float64 arrays
        Of all panels, in ascending order; see `panels`.
    dtype : str
        Name of the floating dtype of the result.

    Returns
    -------
    array, shape (batch * M, N)
    """
    total = functools.reduce(lambda before, panel: tuple(map(operator.add, before, panel)), sums)
    return add_planes(total, dtype)


def add_planes(products: Sequence[Any], dtype: str) -> Any:
    """Return the sum of the products of all planes, rounded once."""
    total = functools.reduce(operator.add, products)
    xp = namespace(total)
    return xp.astype(total, getattr(xp, dtype), copy=False)

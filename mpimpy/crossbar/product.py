"""The product: drive, read, convert, shift and add, scale and reduce, written once against the array API."""

import dataclasses
import functools
import operator

from .. import converters
from ..arrays import namespace
from ..backends.reference import PANEL
from ..cells import memristors, signs, wiring
from ..operands import encoding
from . import plan as plans
from .plan import SINGLE_CODES

__all__ = ["explain", "panels", "plan_for", "product", "read_grid", "reduce_panels"]


def read_grid(backend, config, cells, address, columns=None):
    """Return what one read sees of the cells, each digit's together: integers, (planes * slices, K, N), in grid units.

    Of all columns, or of ``columns = (first, last)`` alone.
    """
    grid = plans.make_grid(config)
    found = memristors.read(backend, config.device, grid, cells, address, columns)
    if config.wires is not None and config.wires.exact_reads:
        found = wiring.pass_on(backend, config, grid, cells._replace(cells=found, level_shift=0))
    unit = wiring.unit_column(config, grid, cells) if config.weights.offset else 0
    return signs.combine(config.weights, found, grid.cell_bound, unit)


def plan_for(config, cells):
    """Return the plan of a configuration for its cells: a map of stuck cells is no part of a configuration."""
    plan = plans.plan(config)
    return dataclasses.replace(plan, exact=None) if cells.faulty else plan


def _fold(kernels, digits, strides, shifts, unit, scales, rows, axis):
    # the float64 operand that noisy slices stand for: digital weights applied before the product
    common, weights = encoding.shares(shifts, strides)
    weights, total = tuple(map(float, weights)), None
    for plane in range(scales.shape[0]):
        part = digits[plane * len(shifts) : (plane + 1) * len(shifts), :, :]
        term = kernels.fold(part, weights, float(common * unit), scales[plane, :, :], rows=rows, axis=axis)
        total = term if total is None else total + term
    return total


def _codes(kernels, digits, strides, fmt):
    # the integer codes that undisturbed slices stand for, shape (1, A, C)
    common, weights = encoding.shares(fmt.shifts, strides)
    weights = tuple(map(float, weights))
    return kernels.fold(digits, weights, float(common), dtype=encoding.narrowest(2 ** (fmt.bits - 1)))[None, :, :]


def _reading(numbers, strides, widths, signed):
    # what `reference.read` is told
    return {
        "strides": strides,
        "widths": widths,
        "signed": signed,
        "bound": numbers.bound,
        "wide": numbers.grid.wide,
        "steps": numbers.steps,
        "ends": numbers.ends,
        "units": numbers.units,
        "weights": numbers.weights,
    }


def _exact_reading(config, numbers):
    # the same of the one product that all slices fold into
    bound = numbers.grid.rows * 2 ** (config.inputs.bits + config.weights.bits - 2)
    return _ideal_reading(bound, (numbers.exact[0],))


def _ideal_reading(bound, weights):
    # whole codes, one weight slice for each of `weights`, and an ADC that reads currents as they are
    none = {"strides": (1,), "widths": None, "signed": True, "ends": None, "units": None}
    many = {"steps": ((1.0,),) * len(weights), "weights": tuple((weight,) for weight in weights)}
    return none | many | {"bound": bound, "wide": bound > SINGLE_CODES}


FEW_ROWS = 64  # input rows up to which it is the grid that costs


def _spans(kernels, config, numbers, height, written):
    # Columns that are read together: (first, last), or None for all. For few inputs the noisy grid
    # is drawn and read in blocks that stay in the cache; columns may be cut anywhere.
    slices, depth, width = written.cells.shape
    if config.wires is not None and config.wires.exact_reads:
        return [None]  # tiles are solved as a whole
    if config.device.var == 0 or kernels.STREAM is None or height > FEW_ROWS:
        return [None]
    column = slices * depth * {"int8": 1, "int16": 2}.get(numbers.grid.grid_dtype, 4)
    step = max(1, kernels.STREAM // column // 128) * 128
    return [(first, min(first + step, width)) for first in range(0, width, step)] if step < width else [None]


def _folding(kernels, config, numbers, strides, widths):
    # (how the slices of the weights fold, or None; what `reference.read` is told; factor)
    w_strides = numbers.grid.strides
    if numbers.exact is not None:
        how = _exact_reading(config, numbers)
        return lambda w: _codes(kernels, w, w_strides, config.weights), how, numbers.exact[1]
    if numbers.limbs is not None:
        bits, count = numbers.limbs
        common, weights = encoding.shares(config.weights.shifts, w_strides)
        bound = numbers.grid.rows * 2 ** (config.inputs.bits - 1 + bits)
        how = _ideal_reading(bound, tuple(2.0 ** (bits * k) for k in range(count)))
        return lambda w: kernels.limbs(w, weights, bits, count), how, 1.0 / (common << numbers.grid.fraction)
    return None, _reading(numbers, strides, widths, config.inputs.signed), numbers.factor


def _multiply_planes(kernels, config, numbers, inputs, digits, strides, widths, x_scales, errors, grid, scales, dtype):
    # the product of each plane of the inputs with each of the weights, weights outermost
    x_slices, w_slices = len(inputs.bits), len(config.weights.ascending)
    fold, how, factor = _folding(kernels, config, numbers, strides, widths)
    alone = x_scales.shape[0] * scales.shape[0] == 1
    products = []
    for j in range(scales.shape[0]):
        w_part = grid[j * w_slices : (j + 1) * w_slices, :, :]
        w_part = w_part if fold is None else fold(w_part)
        for i in range(x_scales.shape[0]):
            x_part = digits[i * x_slices : (i + 1) * x_slices, :, :]
            if fold is not None:
                x_part = _codes(kernels, x_part, (1,) * x_slices, config.inputs)
            if errors is not None:
                how["errors"] = errors._replace(array=j * w_slices, pair=j * w_slices * errors.pairs + i * x_slices)
            part = kernels.read(
                x_part,
                x_scales[i, :, :] * factor,
                w_part,
                scales[j, :, :],
                rows=numbers.grid.rows,
                dtype=dtype if alone else "float64",
                **how,
            )
            products.append(part)
    return products


def explain(kernels, programmed, height):
    """Return how a product would be read: (currents, slices, notes) of `mpimpy.backends.Explanation`.

    Parameters
    ----------
    kernels : module
        A backend.
    programmed : Programmed
    height : int
        Input rows.
    """
    config, cells = programmed.config, programmed.as_read.cells
    numbers, bits = plan_for(config, programmed.as_read), config.inputs.ascending
    grid, noisy = numbers.grid, config.dac.vnoise > 0
    grid_dtype, drive_dtype = grid.grid_dtype, numbers.drive_dtype
    if config.device.var == 0:
        grid_dtype = str(cells.dtype).rpartition(".")[2]
    notes = []
    if config.wires is not None:
        when = "again for each read" if config.wires.exact_reads else "when programmed"
        notes.append(f"tiles are solved with the resistance of their wires {when}")
    if numbers.ideal and numbers.exact is None and numbers.limbs is None:
        notes.append("an ideal ADC rounds nothing: the slices fold into one float64 product, by the BLAS at hand")
        return f"float64, cells {grid_dtype}", (), tuple(notes)
    strides = (1,) * len(bits) if noisy else numbers.x_strides
    fold, how, _ = _folding(kernels, config, numbers, strides, None if noisy else bits)
    if fold is not None:
        bits, drive_dtype = (None,), encoding.narrowest(2 ** (config.inputs.bits - 1))
    elif not noisy:
        drive_dtype = encoding.narrowest(2 ** max(bits) - 1)
    if numbers.exact is not None:
        grid_dtype = encoding.narrowest(2 ** (config.weights.bits - 1))
        notes.append("nothing is lost between codes and shift-and-add: the slices fold into one product of codes")
    elif fold is not None:
        grid_dtype = "int16"
        notes.append(f"an ideal ADC rounds nothing: whole codes meet folded weights in {numbers.limbs[1]} exact parts")
    names = {name: how[name] for name in ("strides", "widths", "signed", "bound")}
    found = kernels.ways(height, drive_dtype, grid_dtype, **names)
    if config.adc.errs:
        why = "errors of the ADC come in between: float64 products in plain array-API calls"
        found = (("float", why),) * len(found)
    if config.inputs.planes * config.weights.planes > 1:
        notes.append(f"{config.inputs.planes * config.weights.planes} such products, one for each pair of planes")
    spans = _spans(kernels, config, numbers, height, programmed.as_read)
    if len(spans) > 1:
        notes.append(f"read variation is drawn and read {spans[0][1]} columns at a time, within the cache")
    widths = bits if how["widths"] is not None else (None,) * len(found)
    slices = tuple((width, *way) for width, way in zip(widths, found, strict=True))
    currents = "64-bit currents, ADC in float64" if how["wide"] else "32-bit currents, ADC in float32"
    return f"{currents}, cells {grid_dtype}", slices[::-1], tuple(notes)


def _pair_products(backend, programmed, inputs, read, first_row, dtype, tiles=None):
    # The product of each pair of planes, over all rows of tiles or a range of them.
    config, address = programmed.config, programmed.address._replace(read=read)
    rows, cells, scales = config.tile.rows, programmed.as_read, programmed.scales
    plan = plan_for(config, cells)
    digits, x_scales = encoding.flat_slices(inputs.digits), encoding.input_scales(inputs, rows)
    if tiles is not None:
        span, tiles = slice(tiles[0] * rows, tiles[1] * rows), slice(*tiles)
        digits, x_scales, scales = digits[:, :, span], x_scales[:, :, tiles], scales[:, tiles, :]
        cells = memristors.select_rows(cells, span)
        address = address._replace(row=address.row + span.start)
    at_inputs = address._replace(row=first_row, col=address.row)
    digits, strides, widths = converters.drive(backend, config.dac, plan, digits, inputs.bits, at_inputs)
    if plan.ideal and plan.exact is None and plan.limbs is None:
        grid = read_grid(backend, config, cells, address)
        drive_unit, grid_unit = 2**plan.grid.voltage_fraction, 2**plan.grid.fraction
        x_strides = (1,) * len(strides) if widths else plan.x_strides
        x_shifts, w_shifts = config.inputs.shifts, config.weights.shifts
        x = _fold(backend, digits, x_strides, x_shifts, drive_unit, x_scales, rows, 1)
        w = _fold(backend, grid, plan.grid.strides, w_shifts, grid_unit, scales, rows, 0)
        return [backend.multiply(x, w)]
    parts = []
    for columns in _spans(backend, config, plan, digits.shape[1], cells):
        grid = read_grid(backend, config, cells, address, columns)
        part = scales if columns is None else scales[:, :, slice(*columns)]
        at = address if columns is None else address._replace(col=address.col + columns[0])
        errors = converters.errors(config, plan.steps, at, first_row)
        drive = inputs, digits, strides, widths, x_scales, errors
        parts.append(_multiply_planes(backend, config, plan, *drive, grid, part, dtype))
    if len(parts) == 1:
        return parts[0]
    xp = namespace(digits)
    return [xp.concat(spans, axis=1) for spans in zip(*parts, strict=True)]


def product(backend, programmed, inputs, read, first_row, dtype):
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
    return _add_pairs(_pair_products(backend, programmed, inputs, read, first_row, dtype), dtype)


def panels(backend, programmed, inputs, read, first_row=0):
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
    count = -(-programmed.shape[0] // rows)
    for first in range(0, count, PANEL):
        tiles = first, min(first + PANEL, count)
        yield tuple(_pair_products(backend, programmed, inputs, read, first_row, "float64", tiles))


def reduce_panels(sums, dtype):
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
    return _add_pairs(total, dtype)


def _add_pairs(products, dtype):
    # planes are added up digitally, and the sum is rounded once
    total = functools.reduce(operator.add, products)
    xp = namespace(total)
    return xp.astype(total, getattr(xp, dtype), copy=False)

"""The algorithm: program, read and reduce, written once against the array API."""

import dataclasses

from .. import converters
from .._integers import ceil_div
from ..arrays import namespace
from ..cells import laws, memristors, signs, wiring
from ..operands import encoding
from .plan import SINGLE_CODES, Grid, Plan, choose_grid, make_grid, plan

__all__ = [
    "Grid",
    "Plan",
    "age",
    "choose_grid",
    "current_unit",
    "currents",
    "explain",
    "make_grid",
    "plan",
    "product",
    "program",
    "targets",
    "wire",
]


def _flat(xp, digits):
    # (planes, slices, batch, A, C) -> (planes * slices, batch * A, C)
    planes, slices, batch, rows, cols = digits.shape
    return xp.reshape(digits, (planes * slices, batch * rows, cols))


def targets(config, weights):
    """Return the levels that encoded weights want, integers of shape (planes * cells per digit * slices, K, N)."""
    grid = make_grid(config)
    encoded = weights
    if weights.strides != grid.strides:
        encoded = encoding.restride(weights, grid.strides, grid.level_dtype)
    return signs.split(config.weights, _flat(namespace(encoded.digits), encoded.digits))


def _grid(kernels, config, written, place, columns=None):
    # what one read sees of the cells, each digit's together
    numbers = make_grid(config)
    found = memristors.read(kernels, config.device, numbers, written, place, columns)
    if config.wires is not None and config.wires.exact_reads:
        found = wiring.pass_on(kernels, config, numbers, written._replace(cells=found, up=0))
    unit = wiring.unit_column(config, numbers, written) if config.weights.offset else 0
    return signs.combine(config.weights, found, numbers.cell_bound, unit)


def wire(kernels, config, written):
    """Return cells as reads meet them: what the wires pass on, if they are solved once for all reads."""
    if config.wires is None or config.wires.exact_reads:
        return written
    return written._replace(cells=wiring.pass_on(kernels, config, make_grid(config), written), up=0)


def program(kernels, config, levels, address, faults=None):
    """Write levels into cells; see `mpimpy.cells.memristors.program`."""
    return memristors.program(kernels, config.device, make_grid(config), levels, address, faults)


def age(kernels, config, written, levels, address, time_s, faults=None):
    """Return (freshly written cells as they are at a time, ratio of their total conductance before to after).

    See `mpimpy.cells.memristors.age`; nothing happens, and the ratio is 1, where time changes nothing.
    """
    if laws.ages(config.device) is None:
        return written, 1.0
    aged = memristors.age(kernels, config.device, make_grid(config), written, levels, address, time_s, faults)
    before, after = memristors.total(written), memristors.total(aged)
    return aged, before / after if after else 1.0


def _plan(config, written):
    # cells that a map made stuck are not what the configuration says
    numbers = plan(config)
    return dataclasses.replace(numbers, exact=None) if written.faulty else numbers


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


def _spans(kernels, config, numbers, height, cells):
    # Columns that are read together: (first, last), or None for all. For few inputs the noisy grid
    # is drawn and read in blocks that stay in the cache; columns may be cut anywhere.
    slices, depth, width = cells.shape
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


def _sum_planes(kernels, config, numbers, inputs, digits, strides, widths, x_scales, errors, grid, scales, dtype):
    # the product of each plane of the inputs with each of the weights, added up digitally
    xp = namespace(digits)
    x_slices, w_slices = len(inputs.bits), len(config.weights.ascending)
    fold, how, factor = _folding(kernels, config, numbers, strides, widths)
    alone = x_scales.shape[0] * scales.shape[0] == 1
    y = None
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
            y = part if y is None else y + part
    return xp.astype(y, getattr(xp, dtype), copy=False)


def explain(kernels, config, height, written):
    """Return how a product would be read: (currents, slices, notes) of `mpimpy.backends.Explanation`.

    Parameters
    ----------
    kernels : module
        A backend.
    config : Config
    height : int
        Input rows.
    written : mpimpy.cells.memristors.Written
    """
    numbers, bits, cells = _plan(config, written), config.inputs.ascending, written.cells
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
    spans = _spans(kernels, config, numbers, height, cells)
    if len(spans) > 1:
        notes.append(f"read variation is drawn and read {spans[0][1]} columns at a time, within the cache")
    widths = bits if how["widths"] is not None else (None,) * len(found)
    slices = tuple((width, *way) for width, way in zip(widths, found, strict=True))
    currents = "64-bit currents, ADC in float64" if how["wide"] else "32-bit currents, ADC in float32"
    return f"{currents}, cells {grid_dtype}", slices[::-1], tuple(notes)


def currents(kernels, config, inputs, written, place, first_row=0, only=None):
    """Yield the currents of every tile and pair of slices, as the ADC meets them.

    Parameters
    ----------
    kernels, config, inputs, written, place, first_row
        As for `product`.
    only : (int, int), optional
        The only pair of slices, (j, i), to yield; by default all.

    Yields
    ------
    j, i : int
        Weight slice and input slice, least significant first.
    current : float64 array, shape (batch * M, N)
        Integers.
    count : int
        How many such arrays each pair of slices has in all.
    """
    numbers = _plan(config, written)
    digits = _flat(namespace(inputs.digits), inputs.digits)
    xp, rows = namespace(digits), numbers.grid.rows
    digits, strides, _ = converters.drive(
        kernels, config.dac, numbers, digits, inputs.bits, place._replace(row=first_row, col=place.row)
    )
    grid = _grid(kernels, config, written, place)
    x_slices, w_slices = len(strides), len(numbers.grid.strides)
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


def current_unit(config):
    """Return (current of one level under one DAC code, full scale), both in the grid's integer units."""
    grid = make_grid(config)
    unit = 1 << (grid.fraction + grid.voltage_fraction)
    return unit, converters.full_scale(config, unit)


def product(kernels, config, inputs, scales, written, place, first_row, dtype):
    """Read a programmed matrix.

    Parameters
    ----------
    kernels : module
        A backend.
    config : Config
    inputs : Encoded
        The inputs, shape (batch, M, K).
    scales : float64 array, shape (planes, tiles, N)
        Scales of the weights.
    written : mpimpy.cells.memristors.Written
        By `program` or `age`.
    place : mpimpy.noise.Address
        Seed, chip and read; row and col of the programmed block in the whole matrix.
    first_row : int
        Row of the first input in the whole input matrix.
    dtype : str
        Name of the floating dtype of the result.

    Returns
    -------
    array, shape (batch * M, N)
    """
    numbers = _plan(config, written)
    digits = _flat(namespace(inputs.digits), inputs.digits)
    xp = namespace(digits)
    digits, strides, widths = converters.drive(
        kernels, config.dac, numbers, digits, inputs.bits, place._replace(row=first_row, col=place.row)
    )
    x_scales = encoding.input_scales(inputs, numbers.grid.rows)
    if numbers.ideal and numbers.exact is None and numbers.limbs is None:
        grid = _grid(kernels, config, written, place)
        drive_unit, grid_unit = 2**numbers.grid.voltage_fraction, 2**numbers.grid.fraction
        x_strides = (1,) * len(strides) if widths else numbers.x_strides
        x_shifts, w_shifts = config.inputs.shifts, config.weights.shifts
        x = _fold(kernels, digits, x_strides, x_shifts, drive_unit, x_scales, numbers.grid.rows, 1)
        w = _fold(kernels, grid, numbers.grid.strides, w_shifts, grid_unit, scales, numbers.grid.rows, 0)
        return xp.astype(kernels.multiply(x, w), getattr(xp, dtype), copy=False)
    parts = []
    for columns in _spans(kernels, config, numbers, digits.shape[1], written.cells):
        grid = _grid(kernels, config, written, place, columns)
        part = scales if columns is None else scales[:, :, slice(*columns)]
        at = place if columns is None else place._replace(col=place.col + columns[0])
        errors = converters.errors(config, numbers.steps, at, first_row)
        drive = inputs, digits, strides, widths, x_scales, errors
        parts.append(_sum_planes(kernels, config, numbers, *drive, grid, part, dtype))
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)

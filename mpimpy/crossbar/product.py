"""The algorithm: program, read and reduce, written once against the array API."""

import dataclasses
from typing import Any, NamedTuple

from .. import backends, converters
from ..arrays import namespace
from ..backends import Errors
from ..cells import laws, memristors, signs, wiring
from ..config import Config, Format
from ..operands import encoding
from .plan import Grid, Plan, choose_grid, make_grid, plan

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
    return dataclasses.replace(numbers, lossless_fold=None) if written.faulty else numbers


def _fold(kernels, digits, strides, shifts, unit, scales, rows, axis):
    # the float64 operand that noisy slices stand for: digital weights applied before the product
    common, weights = encoding.shares(shifts, strides)
    weights, total = tuple(map(float, weights)), None
    for plane in range(scales.shape[0]):
        part = digits[plane * len(shifts) : (plane + 1) * len(shifts), :, :]
        term = kernels.fold(part, weights, float(common * unit), scales[plane, :, :], rows=rows, axis=axis)
        total = term if total is None else total + term
    return total


def _codes(backend: Any, digits: Any, strides: tuple[int, ...], fmt: Format) -> Any:
    # the integer codes that undisturbed slices stand for, shape (1, A, C)
    common, weights = encoding.shares(fmt.shifts, strides)
    weights = tuple(map(float, weights))
    return backend.fold(digits, weights, float(common), dtype=encoding.narrowest(2 ** (fmt.bits - 1)))[None, :, :]


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


def _input_part(backend: Any, config: Config, plan: Plan, digits: Any) -> Any:
    # one plane of the inputs, as `plan.read_as` reads it
    if plan.read_as is plan:
        return digits
    return _codes(backend, digits, (1,) * len(plan.x_strides), config.inputs)


def _weight_part(backend: Any, config: Config, plan: Plan, grid: Any) -> Any:
    # one plane of the weights, as `plan.read_as` reads it
    if plan.lossless_fold is not None:
        return _codes(backend, grid, plan.grid.strides, config.weights)
    if plan.limbs is not None:
        return backend.limbs(grid, plan.limbs.weights, plan.limbs.bits, plan.limbs.count)
    return grid


class _Scaled(NamedTuple):
    # integers of all planes and slices of an operand, and their scales by plane and tile
    integers: Any
    scales: Any


def _sum_planes(
    backend: Any, config: Config, plan: Plan, x: _Scaled, w: _Scaled, dtype: str, errors: Errors | None
) -> Any:
    # the product of each plane of the inputs with each of the weights, added up digitally
    xp, read_as = namespace(x.integers), plan.read_as
    x_slices, w_slices = len(plan.x_strides), len(plan.grid.strides)
    x_planes, w_planes = x.scales.shape[0], w.scales.shape[0]
    read_dtype, y = dtype if x_planes * w_planes == 1 else "float64", None
    for j in range(w_planes):
        w_part = _weight_part(backend, config, plan, w.integers[j * w_slices : (j + 1) * w_slices, :, :])
        for i in range(x_planes):
            x_part = _input_part(backend, config, plan, x.integers[i * x_slices : (i + 1) * x_slices, :, :])
            x_scale = x.scales[i, :, :] * read_as.sum_scale
            wrong = errors
            if errors is not None:
                pair = j * w_slices * errors.pairs + i * x_slices
                wrong = dataclasses.replace(errors, array=j * w_slices, pair=pair)
            part = backend.read(x_part, x_scale, w_part, w.scales[j, :, :], read_as.reading, read_dtype, wrong)
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
    plan, cells, errs = _plan(config, written), written.cells, bool(config.adc.errs)
    reading, grid_dtype, drive_dtype = plan.read_as.reading, plan.grid.grid_dtype, plan.drive_dtype
    if config.device.var == 0:
        grid_dtype = str(cells.dtype).rpartition(".")[2]
    notes = []
    if config.wires is not None:
        when = "again for each read" if config.wires.exact_reads else "when programmed"
        notes.append(f"tiles are solved with the resistance of their wires {when}")
    if plan.by_blas:
        notes.append("an ideal ADC rounds nothing: the slices fold into one float64 product, by the BLAS at hand")
        return f"float64, cells {grid_dtype}", (), tuple(notes)
    if plan.read_as is not plan:
        drive_dtype = encoding.narrowest(2 ** (config.inputs.bits - 1))
    elif reading.widths is not None:
        drive_dtype = encoding.narrowest(2 ** max(reading.widths) - 1)
    if plan.lossless_fold is not None:
        grid_dtype = encoding.narrowest(2 ** (config.weights.bits - 1))
        notes.append("nothing is lost between codes and shift-and-add: the slices fold into one product of codes")
    elif plan.limbs is not None:
        grid_dtype = "int16"
        notes.append(f"an ideal ADC rounds nothing: whole codes meet folded weights in {plan.limbs.count} exact parts")
    paths = backends.read_paths(kernels, height, drive_dtype, grid_dtype, reading, errs)
    if config.inputs.planes * config.weights.planes > 1:
        notes.append(f"{config.inputs.planes * config.weights.planes} such products, one for each pair of planes")
    spans = _spans(kernels, config, plan, height, cells)
    if len(spans) > 1:
        notes.append(f"read variation is drawn and read {spans[0][1]} columns at a time, within the cache")
    widths = reading.widths or (None,) * len(paths)
    slices = tuple((width, *path) for width, path in zip(widths, paths, strict=True))
    currents = "64-bit currents, ADC in float64" if reading.wide else "32-bit currents, ADC in float32"
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
    digits = converters.drive(kernels, config.dac, numbers, digits, place._replace(row=first_row, col=place.row))
    strides = numbers.reading.strides
    grid = _grid(kernels, config, written, place)
    x_slices, w_slices = len(strides), len(numbers.grid.strides)
    tiles = -(-digits.shape[2] // rows)
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
    digits = converters.drive(kernels, config.dac, numbers, digits, place._replace(row=first_row, col=place.row))
    x_scales = encoding.input_scales(inputs, numbers.grid.rows)
    if numbers.by_blas:
        grid = _grid(kernels, config, written, place)
        drive_unit, grid_unit = 2**numbers.grid.voltage_fraction, 2**numbers.grid.fraction
        # digits are not multiplied by their strides, noisy codes are
        x_strides = numbers.x_strides if numbers.reading.widths is None else (1,) * len(numbers.x_strides)
        x_shifts, w_shifts = config.inputs.shifts, config.weights.shifts
        x = _fold(kernels, digits, x_strides, x_shifts, drive_unit, x_scales, numbers.grid.rows, 1)
        w = _fold(kernels, grid, numbers.grid.strides, w_shifts, grid_unit, scales, numbers.grid.rows, 0)
        return xp.astype(kernels.multiply(x, w), getattr(xp, dtype), copy=False)
    parts = []
    for columns in _spans(kernels, config, numbers, digits.shape[1], written.cells):
        grid = _grid(kernels, config, written, place, columns)
        part = scales if columns is None else scales[:, :, slice(*columns)]
        at = place if columns is None else place._replace(col=place.col + columns[0])
        errors = converters.errors(config, numbers.reading.adc_gain, at, first_row)
        operands = _Scaled(digits, x_scales), _Scaled(grid, part)
        parts.append(_sum_planes(kernels, config, numbers, *operands, dtype, errors))
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=1)

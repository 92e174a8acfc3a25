"""The way that a read takes: arithmetic, ways to find currents, and why."""

from typing import Any

from .. import backends
from ..operands import encoding
from .product import column_spans, plan_for
from .programmed import Programmed
from .rows import row_draw

__all__ = ["explain"]


def _rows_in_kernel(backend: Any, programmed: Programmed, reading: Any) -> bool:
    config = programmed.config
    draw = row_draw(config, programmed.as_read, programmed.address, 0)
    found: bool = backend.takes_rows(reading, draw, config.adc.errs)
    return found


def explain(backend: Any, programmed: Programmed, height: int) -> tuple[str, tuple[Any, ...], tuple[str, ...]]:
    """Return how a product would be read: (currents, slices, notes) of `mpimpy.backends.Explanation`.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
    height : int
        Input rows.
    """
    config, cells = programmed.config, programmed.as_read
    plan = plan_for(config, cells)
    reading, grid_dtype, drive_dtype = plan.read_as.reading, plan.cell_format.grid_dtype, plan.drive_dtype
    if config.device.var == 0:
        grid_dtype = str(cells.cells.dtype).rpartition(".")[2]
    notes = []
    if config.wires is not None:
        when = "again for each read" if config._wires_per_read is not None else "when programmed"
        notes.append(f"tiles are solved with the resistance of their wires {when}")
    if programmed.as_programmed.columns is not None:
        count = config.tile.reference_columns
        columns = "column of real cells is" if count == 1 else f"{count} columns of real cells are averaged and"
        when = "once" if cells.columns is None else "again for each read, as it meets them"
        notes.append(f"the reference {columns} subtracted {when}")
    if config.device.redraws:
        count = len(plan.x_strides) * config.inputs.planes
        notes.append(f"read variation is drawn anew for each of {count} input slices, which is read by itself")
    if config.device.draws_rows:
        notes.append("every input row draws read variation anew: currents of mean cells, plus their deviations")
    if plan.by_blas:
        notes.append("an ideal ADC rounds nothing: the slices fold into one float64 product, by the BLAS at hand")
        return f"float64, cells {grid_dtype}", (), tuple(notes)
    if plan.read_as is not plan:
        drive_dtype = encoding.narrowest(2 ** (config.inputs.bits - 1))
    elif plan.added is not None:
        drive_dtype = plan.added.dtype
        notes.append("the currents of all input slices are added before one conversion: whole codes are read")
    elif reading.widths is not None:
        drive_dtype = encoding.narrowest(2 ** max(reading.widths) - 1)
    if plan.lossless_fold is not None:
        grid_dtype = encoding.narrowest(2 ** (config.weights.bits - 1))
        notes.append("nothing is lost between codes and shift-and-add: the slices fold into one product of codes")
    elif plan.limbs is not None:
        grid_dtype = "int16"
        notes.append(f"an ideal ADC rounds nothing: whole codes meet folded weights in {plan.limbs.count} exact parts")
    paths = backends.read_paths(backend, height, drive_dtype, grid_dtype, reading)
    if config.device.draws_rows and not _rows_in_kernel(backend, programmed, reading):
        paths = (("float", "rows draw their currents: float64 products in plain array-API calls"),) * len(paths)
    if config.adc.errs:
        drawn = ", a normal number for every conversion" if config.adc.noise_lsb else ""
        notes.append(f"errors of the ADCs come between currents and codes{drawn}")
    if config.inputs.planes * config.weights.planes > 1:
        notes.append(f"{config.inputs.planes * config.weights.planes} such products, one for each pair of planes")
    spans = column_spans(backend, config, plan, height, cells.cells.shape)
    if spans[0] is not None:
        notes.append(f"read variation is drawn and read {spans[0][1]} columns at a time, within the cache")
    widths = reading.widths or (None,) * len(paths)
    slices = tuple((width, *path) for width, path in zip(widths, paths, strict=True))
    currents = "64-bit currents, ADC in float64" if reading.wide else "32-bit currents, ADC in float32"
    return f"{currents}, cells {grid_dtype}", slices[::-1], tuple(notes)

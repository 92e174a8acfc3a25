"""The weights that cells hold, as numbers: written, stuck, aged, less their reference columns."""

from typing import Any

from ..arrays import namespace
from ..cells.memristors import Cells
from . import plan as plans
from .product import Scaled, fold_operand, met_together
from .programmed import Programmed

__all__ = ["held_weights"]


def held_weights(backend: Any, programmed: Programmed) -> Any:
    """Return the weights that a read without noise, through ideal converters, would multiply by.

    Write variation, stuck cells, age, wires and reference columns are in them; read variation is left out.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed

    Returns
    -------
    float64 array, shape (K, N)
    """
    config, cells = programmed.config, programmed.as_read
    cell_format = plans.cell_format(config)

    def on_grid(cells: Cells | None) -> Any:
        if cells is None:
            return None
        xp = namespace(cells.cells)
        return xp.astype(cells.cells, getattr(xp, cell_format.grid_dtype)) * 2**cells.level_shift

    grid = met_together(backend, config, cells, (on_grid(cells), on_grid(cells.columns)), programmed.address)
    scaled = Scaled(grid, programmed.scales)
    unit, exponent = 2**cell_format.fraction, programmed.encoded.exponent
    held = fold_operand(backend, config.weights.shifts, cell_format.strides, scaled, unit, config.tile.rows, 0)
    return held if exponent is None else held * 2.0**exponent

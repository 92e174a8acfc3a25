"""Read variation that every input row draws anew: mean cells, and how far currents deviate from theirs."""

from dataclasses import replace
from typing import Any

from array_api_compat import array_namespace

from .. import converters
from ..backends import BesideDraw, RowDraw
from ..cells import moments, references
from ..cells.memristors import Cells
from ..config import Config, Format
from ..noise import Address
from . import plan as plans

__all__ = ["mean_grid", "row_draw"]


def _together(fmt: Format, variances: Any) -> Any:
    # variances of digits: those of the cells of a pair add up
    if not fmt.signed:
        return variances
    xp, slices = array_namespace(variances), len(fmt.ascending)
    starts = range(0, variances.shape[0], 2 * slices)
    parts = [variances[at : at + slices, :, :] + variances[at + slices : at + 2 * slices, :, :] for at in starts]
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)


def row_draw(config: Config, cells: Cells, address: Address, first_row: int) -> RowDraw:
    """Return what currents deviate by, as `mean_grid` does, without the variances."""
    cell_format, cols = plans.cell_format(config), config.tile.cols
    pairs = config.inputs.planes * len(config.inputs.digits)
    drop, bits = moments.code_drop(cell_format), moments.variance_bits(config, cell_format, cells.time_s)
    place = converters.tile_place(config, address)
    address = place.address
    draw = RowDraw(address._replace(row=first_row), place.tile, 0, pairs, drop, bits, None)
    if cells.columns is None:
        return draw
    at = references.array_address(config, address)._replace(row=first_row)
    return replace(draw, beside=BesideDraw(at, None, address.col % cols, cols))


def mean_grid(backend: Any, config: Config, cells: Cells, address: Address, first_row: int) -> tuple[Any, RowDraw]:
    """Return the mean grid of a read, as `mpimpy.crossbar.product.read_grid` does, and what its currents deviate by.

    Parameters
    ----------
    backend : module
        A backend.
    config : Config
    cells : Cells
    address : Address
        Of the first cell, in this read.
    first_row : int
        Row of the first input.
    """
    cell_format, draw = plans.cell_format(config), row_draw(config, cells, address, first_row)
    found, variances = moments.of_cells(backend, config.device, cell_format, cells, draw.bits)
    draw = replace(draw, variance=_together(config.weights, variances))
    if cells.columns is None or draw.beside is None:
        return references.together(backend, config, cell_format, found, cells), draw
    columns, spread = moments.of_cells(backend, config.device, cell_format, cells.columns, draw.bits)
    found = references.subtract(backend, config, cell_format, found, columns, address.col)
    beside = replace(draw.beside, variance=references.mean_variance(config, spread))
    return found, replace(draw, beside=beside)

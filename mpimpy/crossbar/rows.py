"""Read variation that every input row draws anew: mean cells, and how far currents deviate from theirs."""

from dataclasses import replace
from typing import Any

from array_api_compat import array_namespace

from ..backends import BesideDraw, RowDraw
from ..cells import moments, references
from ..cells.memristors import Cells
from ..config import Config, Format
from ..noise import Address
from . import plan as plans

__all__ = ["mean_grid"]


def _together(fmt: Format, variances: Any) -> Any:
    # variances of digits: those of the cells of a pair add up
    if not fmt.signed:
        return variances
    xp, slices = array_namespace(variances), len(fmt.ascending)
    starts = range(0, variances.shape[0], 2 * slices)
    parts = [variances[at : at + slices, :, :] + variances[at + slices : at + 2 * slices, :, :] for at in starts]
    return parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)


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
    cell_format = plans.cell_format(config)
    bits = moments.variance_bits(config, cell_format, cells.time_s)
    found, variances = moments.of_cells(backend, config.device, cell_format, cells, bits)
    tile, first = address.row // config.tile.rows, address._replace(row=first_row)
    pairs = config.inputs.planes * len(config.inputs.digits)
    drop = moments.code_drop(cell_format)
    draw = RowDraw(first, tile, 0, pairs, drop, bits, _together(config.weights, variances))
    if cells.columns is not None:
        columns, spread = moments.of_cells(backend, config.device, cell_format, cells.columns, bits)
        found = references.subtract(backend, config, cell_format, found, columns, address.col)
        return found, _beside(config, draw, references.mean_variance(config, spread), address)
    return references.together(config, cell_format, found, cells), draw


def _beside(config: Config, draw: RowDraw, variance: Any, address: Address) -> RowDraw:
    cols = config.tile.cols
    at = references.array_address(config, address)._replace(row=draw.address.row)
    return replace(draw, beside=BesideDraw(at, variance, address.col % cols, cols))

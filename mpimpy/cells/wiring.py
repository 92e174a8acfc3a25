"""Tiles with wire resistance: what their cells pass on, in the grid that is read.

A tile is solved once, when it is programmed, reference column included; its transfer matrix takes the
place of its conductances, and reads are plain products as before. See `mpimpy.wires` for the circuit.
"""

from array_api_compat import device as device_of

from .._integers import ceil_div
from ..arrays import namespace
from . import memristors

__all__ = ["pass_on", "unit_column"]

CELLS = 1 << 22  # cells solved at once


def pass_on(kernels, config, grid, written):
    """Return what cells pass on through their wires: cells that would do the same without resistance.

    Whole arrays are solved: cells beyond the edges of the matrix are at LGS, with no voltage on their rows.
    The reference column, of LGS cells, is the one after the last; with an offset the highest
    slice has the unit column there. Cells of a pair lie in arrays of their own.

    Parameters
    ----------
    kernels : module
        A backend.
    config : Config
        With wires.
    grid : mpimpy.crossbar.plan.Grid
    written : mpimpy.cells.memristors.Cells
        Cells of shape (slices, K, N).

    Returns
    -------
    integer array, shape (slices, K, N)
        Grid units, above what the reference column passes on.
    """
    cells, up = written.cells, written.level_shift
    slices, depth, width = cells.shape
    unit = unit_column(config, grid, written)
    rows, cols = config.tile.rows, config.tile.cols
    down, across = ceil_div(depth, rows), ceil_div(width, cols)
    xp = namespace(cells)
    # tiles of a few rows of tiles at a time
    step = max(1, CELLS // (rows * across * (cols + 1)))
    bands = []
    for j in range(slices):
        extra = unit if j % len(config.weights.ascending) == len(config.weights.ascending) - 1 else 0
        parts = []
        for first in range(0, down, step):
            last = min(first + step, down)
            part = cells[j, first * rows : min(last * rows, depth), :]
            tiles = _tiles(xp, part, (last - first, rows, across, cols), extra >> up)
            siemens = memristors.conductance(config.device, grid, written._replace(cells=tiles))
            siemens = xp.clip(siemens, 0.0, None)  # a cell at 0 S may be half a grid unit below
            passed = kernels.transfer(siemens, config.wires.r_word, config.wires.r_bit)
            value = (passed[:, :, :-1] - passed[:, :, -1:]) * (1 / config.device.grid_unit_S(grid.fraction))
            value = xp.clip(xp.round(value) + float(extra), -grid.cell_bound, grid.cell_bound)
            value = xp.permute_dims(xp.reshape(value, (last - first, across, rows, cols)), (0, 2, 1, 3))
            value = xp.reshape(value, ((last - first) * rows, across * cols))[: part.shape[0], :width]
            parts.append(xp.astype(value, getattr(xp, grid.grid_dtype)))
        bands.append(parts[0] if len(parts) == 1 else xp.concat(parts, axis=0))
    return xp.stack(bands, axis=0)


def unit_column(config, grid, written):
    """Return the conductance of the unit column's cells above the reference, in grid units; 0 without an offset.

    They sit where the highest digit of a weight of 0 does, and drift with the mean exponent of that level.
    """
    fmt = config.weights
    if not fmt.offset:
        return 0
    return memristors.steady(config.device, grid, written, grid.strides[-1] << (fmt.ascending[-1] - 1))


def _tiles(xp, part, shape, extra):
    # (tiles, rows, cols + 1): padded with level 0, and with one column more
    down, rows, across, cols = shape
    where = device_of(part)
    high, wide = down * rows, across * cols

    def fill(number, *shape):
        return xp.full(shape, number, dtype=part.dtype, device=where)

    if wide > part.shape[1]:
        part = xp.concat([part, fill(0, part.shape[0], wide - part.shape[1])], axis=1)
    if high > part.shape[0]:
        part = xp.concat([part, fill(0, high - part.shape[0], wide)], axis=0)
    tiles = xp.permute_dims(xp.reshape(part, (down, rows, across, cols)), (0, 2, 1, 3))
    tiles = xp.reshape(tiles, (down * across, rows, cols))
    return xp.concat([tiles, fill(extra, down * across, rows, 1)], axis=2)

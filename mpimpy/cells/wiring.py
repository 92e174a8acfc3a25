"""Tiles with wire resistance, as cells without it.

The circuit of a tile, with its reference column, is solved once, when it is programmed. Its transfer matrix
replaces its conductances, and reads remain plain products. See `mpimpy.wires` for the circuit.
A matrix that leaves most of a large array unused costs what its own cells do: see `mpimpy.cells.uniform`.
"""

import functools
from typing import Any

from array_api_compat import device as device_of

from .._integers import ceil_div
from ..arrays import namespace
from ..config import Config, Wires
from . import memristors, uniform
from .cell_format import CellFormat
from .memristors import Cells

__all__ = ["array_conductances", "pass_on", "unit_column"]

CELLS = 1 << 22  # cells solved at once
LEAST_OHM = 1e-300  # segments of less are taken to have no resistance, or nearly
LARGE = 1 << 30  # steps from which on a tile is worth a solution of its own for the cells in use


def pass_on(backend: Any, config: Config, wires: Wires, cell_format: CellFormat, cells: Cells) -> Cells:
    """Return the cells that have, without wire resistance, the currents of cells with it.

    Whole arrays are solved: cells beyond the edges of the matrix are at LGS, with no voltage on their rows.
    The columns after the last are the reference columns, of LGS cells; with an offset, the highest slice has
    unit columns there. There is one, unless they have cells of their own (`Cells.columns`), which are solved as they
    are. The g+ and g- cells of differential pairs lie in arrays of their own.

    Parameters
    ----------
    backend : module
        A backend.
    config : Config
    wires : Wires
        Of `config`.
    cell_format : CellFormat
    cells : Cells
        Of shape (slices, K, N).

    Returns
    -------
    Cells
        On the grid. Where reference columns have cells of their own, all cells keep the current of their own above
        that of LGS without wires; else the reference column is subtracted.
    """
    slices, depth, width = cells.cells.shape
    beside, last_columns = None if cells.columns is None else cells.columns.cells, _columns(config, cells)
    rows, cols = config.tile.rows, config.tile.cols
    down, across = ceil_div(depth, rows), ceil_div(width, cols)
    xp = namespace(cells.cells)
    # a few rows of tiles at a time
    step = max(1, CELLS // (rows * across * (cols + last_columns)))
    bands: list[list[Any]] = [[], []]
    for j in range(slices):
        extra = _last_column(config, cell_format, cells, j)
        solve = _solver(wires, (rows, cols), (depth, width), extra, None if beside is None else last_columns)
        parts: list[list[Any]] = [[], []]
        for first in range(0, down, step):
            last = min(first + step, down)
            used = min(last * rows, depth) - first * rows
            wide, high = (across, cols) if solve is None else (1, width), (last - first, rows)
            siemens = array_conductances(config, cell_format, cells, j, (first, last), wide)
            if solve is None:
                passed = backend.transfer(siemens, wires.r_word, wires.r_bit)
            else:
                unused = memristors.conductance_of(config.device, cell_format, cells, (0, extra >> cells.level_shift))
                passed = solve(backend, siemens, max(unused[0], 0.0), unused[1])
            unit_S, zero = config.device.grid_unit_S(cell_format.fraction), 0.0
            if beside is None:
                found, zero = [(passed[:, :, :-1] - passed[:, :, -1:], width)], float(extra)
            else:
                lowest = memristors.conductance_of(config.device, cell_format, cells, (0,))[0]
                ends = passed[:, :, : wide[1]], passed[:, :, wide[1] :]
                found = [(end - lowest, size) for end, size in zip(ends, (width, beside.shape[2]), strict=True)]
            for kept, (end, size) in zip(parts, found, strict=False):
                value = xp.round(end * (1 / unit_S))
                value = xp.clip(value + zero if zero else value, -cell_format.cell_bound, cell_format.cell_bound)
                # the narrow integers are what is moved
                value = xp.astype(value, getattr(xp, cell_format.grid_dtype))
                value = xp.permute_dims(xp.reshape(value, (high[0], wide[0], rows, end.shape[2])), (0, 2, 1, 3))
                kept.append(xp.reshape(value, (high[0] * rows, wide[0] * end.shape[2]))[:used, :size])
        for band, some in zip(bands, parts, strict=True):
            band += [some[0] if len(some) == 1 else xp.concat(some, axis=0)] if some else []
    grids = [xp.stack(band, axis=0) for band in bands if band]
    columns = None if cells.columns is None else cells.columns._replace(cells=grids[1], level_shift=0)
    return cells._replace(cells=grids[0], level_shift=0, columns=columns)


def array_conductances(
    config: Config,
    cell_format: CellFormat,
    cells: Cells,
    index: int,
    tiles: tuple[int, int],
    wide: tuple[int, int] | None = None,
) -> Any:
    """Return the conductances of the arrays of one slice as the circuit has them, S: at least 0.

    Parameters
    ----------
    config, cell_format, cells
        As for `pass_on`.
    index : int
        The slice, of all slices of cells.
    tiles : (int, int)
        First row of tiles, and the one after the last.
    wide : (int, int), optional
        Arrays side by side, and columns of each; by default whole arrays, which hold all columns.

    Returns
    -------
    float64 array, shape (rows of tiles * arrays side by side, rows, columns + reference columns)
    """
    rows, xp, (_, depth, width) = config.tile.rows, namespace(cells.cells), cells.cells.shape
    span = slice(tiles[0] * rows, min(tiles[1] * rows, depth))
    wide = (ceil_div(width, config.tile.cols), config.tile.cols) if wide is None else wide
    extra = _last_column(config, cell_format, cells, index) >> cells.level_shift
    beside = None if cells.columns is None else cells.columns.cells[index, span, :]
    found = _tiles(xp, cells.cells[index, span, :], (tiles[1] - tiles[0], rows, *wide), extra, beside)
    siemens = memristors.conductance(config.device, cell_format, cells._replace(cells=found))
    return xp.clip(siemens, 0.0, None)  # a cell at 0 S may be half a grid unit below


def _last_column(config: Config, cell_format: CellFormat, cells: Cells, index: int) -> int:
    # conductance of the reference column of a slice above the reference, in grid units
    last = len(config.weights.ascending) - 1
    return unit_column(config, cell_format, cells) if index % (last + 1) == last else 0


def _columns(config: Config, cells: Cells) -> int:
    # reference columns of an array
    return 1 if cells.columns is None else config.tile.reference_columns


def _solver(wires: Wires, tile: tuple[int, int], used: tuple[int, int], extra: int, columns: int | None) -> Any:
    # The solution of large tiles that are filled in part, or None: the rule depends on shapes alone, and small
    # tiles are solved as a whole. It takes (backend, tiles with their reference column, siemens of an unused cell
    # and of one of the reference column), and returns transfer matrices of the tiles. With `columns` reference columns
    # of real cells, these are not all equal.
    (rows, cols), (depth, width) = tile, used
    whole = max(rows, cols + 1) * min(rows, cols + 1) ** 2 * (rows + cols) // 2
    if width > cols or whole < LARGE or min(wires.r_word, wires.r_bit) < LEAST_OHM:
        return None
    by_columns = width * rows**2 * (rows + width) // 2
    by_rows = depth * (cols + 1) ** 2 * (cols + depth + 2 * width) // 2
    segments = 1 / wires.r_word, 1 / wires.r_bit
    if (
        columns is None
        and width < cols
        and 2 * by_columns <= whole
        and (by_columns <= by_rows or extra or depth >= rows)
    ):
        return functools.partial(_by_columns, segments, cols)
    if columns in (None, 1) and depth < rows and 2 * by_rows <= whole and not extra:
        return functools.partial(_by_rows, segments, cols, depth)
    return None


def _by_columns(segments: tuple[float, float], cols: int, backend: Any, tiles: Any, low: float, last: float) -> Any:
    # Bit line by bit line, from the reference column on: unused ones come first.
    xp, (_, rows, width) = namespace(tiles), tiles.shape
    word, bit = segments
    start = uniform.summed_start(rows, cols - width + 1, last, low, bit, word)
    links = uniform.start_array(xp, device_of(tiles), start)
    turned = xp.flip(xp.matrix_transpose(tiles[:, :, :-1]), axis=(1, 2))
    found = backend.reduce_lines(turned, bit, word, links)
    return xp.flip(xp.matrix_transpose(found), axis=(1, 2))


def _by_rows(
    segments: tuple[float, float], cols: int, depth: int, backend: Any, tiles: Any, low: float, last: float
) -> Any:
    # Word line by word line, from the outputs on: unused ones come first.
    xp, (batch, rows, width) = namespace(tiles), tiles.shape
    word, bit = segments
    start = uniform.crossing_start(cols + 1, rows - depth, low, word, bit)
    links = uniform.start_array(xp, device_of(tiles), start, [*range(width - 1), cols])
    between = xp.full((batch, depth, cols + 1 - width), low, dtype=xp.float64, device=device_of(tiles))
    used = xp.concat([tiles[:, :depth, :-1], between, tiles[:, :depth, -1:]], axis=2)
    found = xp.flip(backend.reduce_lines(xp.flip(used, axis=1), word, bit, links, True), axis=1)
    rest = xp.zeros((batch, rows - depth, width), dtype=xp.float64, device=device_of(tiles))
    return xp.concat([found, rest], axis=1)


def unit_column(config: Config, cell_format: CellFormat, cells: Cells) -> int:
    """Return the conductance of the unit column's cells above the reference, in grid units; 0 without an offset.

    They hold the highest digit of a weight of 0, and drift with the mean exponent of that level.
    """
    fmt = config.weights
    if not fmt.offset:
        return 0
    return memristors.steady(config.device, cell_format, cells, cell_format.strides[-1] << (fmt.ascending[-1] - 1))


def _tiles(xp: Any, part: Any, shape: tuple[int, int, int, int], extra: int, beside: Any) -> Any:
    # (tiles, rows, cols + 1): padded with level 0, and with one column more, or with the reference cells `beside`
    down, rows, across, cols = shape
    where = device_of(part)
    high, wide = down * rows, across * cols

    def fill(number: int, *shape: int) -> Any:
        return xp.full(shape, number, dtype=part.dtype, device=where)

    if wide > part.shape[1]:
        part = xp.concat([part, fill(0, part.shape[0], wide - part.shape[1])], axis=1)
    if high > part.shape[0]:
        part = xp.concat([part, fill(0, high - part.shape[0], wide)], axis=0)
    tiles = xp.permute_dims(xp.reshape(part, (down, rows, across, cols)), (0, 2, 1, 3))
    tiles = xp.reshape(tiles, (down * across, rows, cols))
    if beside is None:
        return xp.concat([tiles, fill(extra, down * across, rows, 1)], axis=2)
    each = beside.shape[1] // across
    if high > beside.shape[0]:
        beside = xp.concat([beside, fill(extra, high - beside.shape[0], beside.shape[1])], axis=0)
    beside = xp.permute_dims(xp.reshape(beside, (down, rows, across, each)), (0, 2, 1, 3))
    return xp.concat([tiles, xp.reshape(beside, (down * across, rows, each))], axis=2)

"""Reference columns of real cells: written, read and aged like any cell, averaged, and subtracted.

Every array has some, behind its last column: LGS cells, whose current is taken from that of each bit line, so that
level 0 counts as 0. With an offset the highest slice has unit columns there, whose cells hold a weight of 0.
Their random numbers have a key of their own, ``derive(seed, "reference")``: the row is that of the whole matrix, the
slice that of the cells, and the column counts reference columns, all those of one array after those of the array
before. So a part of a matrix has the reference cells of the whole.
"""

from typing import Any

from .. import noise
from .._caches import bounded
from ..arrays import device_of
from ..arrays import namespace as array_namespace
from ..config import Config, Device, Flicker
from ..noise import Address
from . import laws, memristors, signs, wiring
from .cell_format import CellFormat
from .laws import Law
from .memristors import Cells, Targets

__all__ = [
    "age",
    "array_address",
    "bound",
    "columns_beside",
    "conductance",
    "held",
    "level_of",
    "mean_variance",
    "read",
    "steady_numbers",
    "subtract",
    "take_away",
    "together",
    "write",
]


@bounded(512, lambda _, config, *__: laws.device_bytes(config.device))
def held(config: Config, cell_format: CellFormat) -> bool:
    """Return whether reference columns hold cells of their own: real ones, which some effect moves.

    Real cells that nothing moves equal ideal ones, and cost nothing. Behind wires, several columns lie at several
    places, whatever moves them.
    """
    tile, fmt = config.tile, config.weights
    if tile.reference == "ideal" or fmt.signed:
        return False
    if config.wires is not None and tile.reference_columns > 1:
        return True
    return any(_moves(config.device, cell_format, level) for level in {0, level_of(config, cell_format, -1)})


def level_of(config: Config, cell_format: CellFormat, index: int) -> int:
    """Return the level of the reference cells of a weight slice: 0, or that of a weight of 0 in the unit columns."""
    fmt = config.weights
    if not fmt.offset or index % len(fmt.ascending) != len(fmt.ascending) - 1:
        return 0
    return cell_format.strides[-1] << (fmt.ascending[-1] - 1)


def _moves(device: Device, cell_format: CellFormat, level: int) -> bool:
    # whether any effect moves a cell that is written to a level
    fraction = cell_format.fraction
    positions = laws.grid_positions(device, fraction)
    value = cell_format.reference + (level << fraction if positions is None else positions[level])
    if device.stuck_HGS > 0 or (device.stuck_LGS > 0 and (level > 0 or laws.moves_in_time(device))):
        return True
    if device.relaxation is not None and any(_at(spread, level) > 0 for spread in device.relaxation.sigma_S):
        return True
    if device.drift is not None and value and _at(device.drift.nu_spread, level) > 0:
        return True
    if isinstance(device.var, Flicker):  # its strength depends on the time
        # a written cell may be of any class of conductances
        q = device.var.q
        if device.var.conductance_S is not None and isinstance(q, tuple):
            q = max(q)
        return (value > 0 and _at(q, level) > 0) or _changes(laws.write(device, fraction), level, value)
    return any(_changes(law, level, value) for law in (laws.write(device, fraction), laws.read(device, fraction, None)))


def _at(value: float | tuple[float, ...], level: int) -> float:
    return value[level] if isinstance(value, tuple) else value


def _changes(law: Law | None, level: int, value: int) -> bool:
    if law is None or (value == 0 and not law.additive):
        return False
    entries = noise.table_entries(law.table)
    if law.per_level:
        entries = entries[level * noise.TABLE_SIZE : (level + 1) * noise.TABLE_SIZE]
    return bool((entries != (0 if law.additive else 1 << noise.TABLE_BITS)).any())


@bounded(256, lambda *_: 256)
def _key(seed: int) -> int:
    return noise.derive(seed, "reference")


def _address(config: Config, address: Address) -> Address:
    # of the first reference column of the first array, from that of the first cell
    tile, stream = config.tile, address.stream
    return address._replace(
        seed=_key(address.seed),
        stream=None if stream is None else _key(stream),
        col=address.col // tile.cols * tile.reference_columns,
    )


def array_address(config: Config, address: Address) -> Address:
    """Return the address of what the reference columns of an array draw together: its column counts arrays."""
    return _address(config, address)._replace(col=address.col // config.tile.cols)


def mean_variance(config: Config, variances: Any) -> Any:
    """Return the variances of the mean reference cells of each array, float64 integers, from those of the cells.

    The mean of n has ``floor((2 * sum + n * n) / (2 * n * n))``.
    """
    count = config.tile.reference_columns
    if count == 1:
        return variances
    xp, (slices, depth, width) = array_namespace(variances), variances.shape
    total = xp.sum(xp.astype(xp.reshape(variances, (slices, depth, width // count, count)), xp.int64), axis=3)
    return xp.astype((2 * total + count**2) // (2 * count**2), xp.float64)


def columns_beside(config: Config, address: Address, width: int) -> int:
    """Return the number of reference columns of one slice beside `width` columns from an address on."""
    tile = config.tile
    return ((address.col + width - 1) // tile.cols - address.col // tile.cols + 1) * tile.reference_columns


def _targets(config: Config, cell_format: CellFormat, address: Address, levels: Any) -> Targets:
    # of the reference cells beside cells that are written to `levels`
    xp, (arrays, depth, width) = array_namespace(levels), levels.shape
    shape, where = (depth, columns_beside(config, address, width)), device_of(levels)
    numbers = [level_of(config, cell_format, j) for j in range(arrays)]
    if any(numbers):
        goals = xp.stack([xp.full(shape, level, dtype=levels.dtype, device=where) for level in numbers], axis=0)
    else:
        goals = xp.zeros((arrays, *shape), dtype=levels.dtype, device=where)
    return Targets(goals, _address(config, address))


def write(backend: Any, config: Config, cell_format: CellFormat, cells: Cells, targets: Targets) -> Cells:
    """Return freshly written cells with the reference columns of their arrays, where these are `held`.

    Parameters
    ----------
    backend : module
        A backend.
    config : Config
    cell_format : CellFormat
    cells : Cells
        By `memristors.program`, with the same arguments.
    targets : Targets
        Of the cells of the matrix. Its map of faults says nothing of reference cells.
    """
    if not held(config, cell_format):
        return cells
    goals = _targets(config, cell_format, targets.address, targets.levels)
    found = memristors.program(backend, config.device, cell_format, goals)
    return cells._replace(columns=found._replace(pulses=None))


def age(backend: Any, config: Config, cell_format: CellFormat, cells: Cells, targets: Targets, time_s: float) -> Cells:
    """Return freshly written cells, reference columns included, at a time after programming; see `memristors.age`."""
    found = memristors.age(backend, config.device, cell_format, cells, targets, time_s)
    if cells.columns is None:
        return found
    goals = _targets(config, cell_format, targets.address, targets.levels)
    return found._replace(columns=memristors.age(backend, config.device, cell_format, cells.columns, goals, time_s))


def conductance(config: Config, cell_format: CellFormat, cells: Cells, address: Address) -> Any:
    """Return the conductances of reference cells in siemens, float64, shape (slices, K, arrays * columns of each).

    Parameters
    ----------
    config, cell_format, address
        As for `write`.
    cells : Cells
        Of the matrix, as written or aged.
    """
    if cells.columns is not None:
        return memristors.conductance(config.device, cell_format, cells.columns)
    xp, (_, depth, width) = array_namespace(cells.cells), cells.cells.shape
    wide, where = columns_beside(config, address, width), device_of(cells.cells)
    numbers = tuple(steady_numbers(config, cell_format, cells))
    even = cells._replace(level_shift=0)  # these numbers are on the grid
    values = memristors.conductance_of(config.device, cell_format, even, numbers)
    return xp.stack([xp.full((depth, wide), g, dtype=xp.float64, device=where) for g in values], axis=0)


def steady_numbers(config: Config, cell_format: CellFormat, cells: Cells) -> list[int]:
    """Return what the reference cells of each slice hold if no effect moves them alone, in grid units.

    Parameters
    ----------
    config : Config
    cell_format : CellFormat
    cells : Cells
        Of the matrix, as written or aged.
    """
    levels = [level_of(config, cell_format, j) for j in range(cells.cells.shape[0])]
    return [memristors.steady(config.device, cell_format, cells, level) if level else 0 for level in levels]


def read(
    backend: Any,
    config: Config,
    cell_format: CellFormat,
    cells: Cells,
    address: Address,
    columns: tuple[int, int] | None = None,
) -> Any:
    """Return the reference cells as one read sees them, integers of shape (slices, K, arrays * columns of each).

    Parameters
    ----------
    backend, cell_format, cells, address
        As for `memristors.read`; the cells have `columns`.
    config : Config
    columns : (int, int), optional
        Columns of the matrix whose arrays are wanted; by default all.
    """
    kept: Any = cells.columns
    if columns is not None:
        tile = config.tile
        first, count = address.col // tile.cols, tile.reference_columns
        left, right = (address.col + columns[0]) // tile.cols, (address.col + columns[1] - 1) // tile.cols + 1
        columns = (left - first) * count, (right - first) * count
    return memristors.read(backend, config.device, cell_format, kept, _address(config, address), columns)


def subtract(
    backend: Any,
    config: Config,
    cell_format: CellFormat,
    grid: Any,
    found: Any,
    first: int,
) -> Any:
    """Return cells less the mean of their reference cells, saturated as cells are.

    Parameters
    ----------
    backend : module
        A backend.
    config : Config
    cell_format : CellFormat
    grid : integer array, shape (slices, K, N)
        Conductances of cells, in grid units; it may be overwritten.
    found : integer array, shape (slices, K, arrays * columns of each)
        Those of the reference cells, on the same origin.
    first : int
        Column of the first cell in the whole matrix.

    Returns
    -------
    integer array, shape (slices, K, N)
        Of the dtype of `grid`. The mean of n reference cells is ``floor((2 * sum + n) / (2 * n))``: rounded to the
        nearest integer, ties towards plus infinity.
    """
    count, cols = config.tile.reference_columns, config.tile.cols
    if count > 1:
        xp, (slices, depth, width) = array_namespace(found), found.shape
        total = xp.sum(xp.astype(xp.reshape(found, (slices, depth, width // count, count)), xp.int64), axis=3)
        found = xp.astype((2 * total + count) // (2 * count), grid.dtype)
    return backend.subtract(grid, found, first % cols, cols, bound(cell_format))


def bound(cell_format: CellFormat) -> int:
    """Return the largest magnitude of cells less their reference cells, in grid units."""
    # cells on whole levels are held in no wider integers than these
    return cell_format.cell_bound if cell_format.fraction else cell_format.cell_bound // 2


def take_away(backend: Any, config: Config, cell_format: CellFormat, cells: Cells, address: Address) -> Cells:
    """Return cells that no read changes, with their reference columns subtracted once for all reads."""
    xp = array_namespace(cells.cells)
    grid, columns = xp.asarray(cells.cells, copy=True), cells.columns
    assert columns is not None
    return cells._replace(cells=subtract(backend, config, cell_format, grid, columns.cells, address.col), columns=None)


def together(backend: Any, config: Config, cell_format: CellFormat, found: Any, cells: Cells) -> Any:
    """Return each digit's cells together, where no reference columns are left to subtract: (planes * slices, K, N).

    Parameters
    ----------
    backend : module
        A backend.
    config : Config
    cell_format : CellFormat
    found : integer array, shape (slices, K, N)
        Conductances above the reference, in grid units.
    cells : Cells
        What they were read from.
    """
    if config.weights.offset and held(config, cell_format):
        return found  # less its unit columns already
    unit = wiring.unit_column(config, cell_format, cells)
    return signs.combine(backend, config.weights, found, cell_format.cell_bound, unit)

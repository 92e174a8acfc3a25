"""The memristors: levels to a noisy grid of integer conductances."""

import math
from typing import Any, NamedTuple

from array_api_compat import array_namespace
from array_api_compat import device as device_of

from .. import noise
from ..backends import Draw
from . import laws

__all__ = [
    "Cells",
    "age",
    "conductance",
    "deviation",
    "grid_bits",
    "program",
    "read",
    "reference_units",
    "select_rows",
    "steady",
    "strides",
    "tolerance_units",
    "total",
]

SHARE_BITS = 32  # shares of stuck cells count in units of 2**-32


class Cells(NamedTuple):
    """The cells of a matrix, in grid units.

    Attributes
    ----------
    cells : integer array, shape (slices, K, N)
        The levels themselves when nothing disturbs them.
    level_shift : int
        A cell's conductance above the reference is ``cells << level_shift`` grid units: the cells hold
        levels while nothing moves them off.
    reference : int
        Conductance of the reference column's cells, in grid units.
    levels : integer array or None
        The level that each cell is at, where read variation depends on it.
    time_s : float or None
        Time since programming; None while not aged.
    pulses : int32 array or None
        Pulses that each cell took, where writing was verified.
    faulty : bool
        Cells were stuck by a map, of which a configuration knows nothing.
    """

    cells: Any
    level_shift: int
    reference: int
    levels: Any = None
    time_s: float | None = None
    pulses: Any = None
    faulty: bool = False


def strides(bits, levels):
    """Return the level (or DAC code) of digit 1 for every slice: ``floor((levels - 1) / (2**b - 1))``.

    Examples
    --------
    >>> strides((4, 2, 1, 1), 16)
    (1, 5, 15, 15)
    """
    return tuple((levels - 1) // (2**b - 1) for b in bits)


def grid_bits(device):
    """Return how fine the grid of a device must be: the f of ``2**f`` grid units a level.

    Fine enough for the smallest spread, in levels, that any variation gives a cell at level 1 or
    above; 0 when every cell sits exactly on an evenly spaced level.
    """
    return max((max(1, noise.fraction_bits(spread)) for spread in laws.spreads(device)), default=0)


def reference_units(device, fraction):
    """Return the conductance of the reference column's cells, LGS, in grid units."""
    return round(device.rho * 2**fraction)


def _share(rate):
    return 0 if rate == 0 else max(1, round(rate * 2**SHARE_BITS))


def _stick(kernels, device, cells, address, faults, high, low=0):
    # stuck cells, by rate and by map, put at what `high` and `low` say
    if device.stuck_HGS > 0 or device.stuck_LGS > 0:
        cells = kernels.apply_stuck_cells(
            cells,
            address._replace(purpose=noise.STUCK),
            high_share=_share(device.stuck_HGS),
            low_share=_share(device.stuck_LGS),
            high=high,
            low=low,
        )
    return _stick_mapped(cells, faults, high, low)


def _stick_mapped(cells, faults, high, low=0):
    if faults is None:
        return cells
    xp = array_namespace(cells)
    cells = xp.where(faults < 0, xp.full_like(cells, low), cells)
    return xp.where(faults > 0, xp.full_like(cells, high), cells)


def _draw(law: laws.Law, grid: Any, *, level_shift: int, reference: int, after: int | None = None) -> Draw:
    # what a law does to cells; the result counts from `after`, by default from `reference`
    return Draw(
        law.table,
        level_shift=level_shift,
        reference=reference,
        after=reference if after is None else after,
        shift=noise.TABLE_BITS,
        bound=grid.cell_bound,
        dtype=grid.grid_dtype,
        additive=law.additive,
    )


def _placed(device, grid, targets):
    # (cells, up) of cells that sit where their levels do
    xp, positions = array_namespace(targets), laws.grid_positions(device, grid.fraction)
    if positions is None:
        return targets, grid.fraction
    table = xp.asarray(positions, dtype=getattr(xp, grid.grid_dtype), device=device_of(targets))
    flat = xp.astype(xp.reshape(targets, (-1,)), xp.int64)
    return xp.reshape(xp.take(table, flat, axis=0), targets.shape), 0


def deviation(device, grid, cells, targets):
    """Return by how many grid units cells miss their levels: int32, or int64 where that is too narrow."""
    xp = array_namespace(cells)
    wide = xp.int32 if grid.cell_bound < 2**29 else xp.int64
    placed, up = _placed(device, grid, targets)
    return xp.astype(cells, wide) - (xp.astype(placed, wide) << up)


def tolerance_units(device, grid):
    """Return how far from its level a verified cell may be, in grid units."""
    return min(int(device.verify.tolerance_S / device.grid_unit_S(grid.fraction)), 2 * grid.cell_bound)


def _verified(kernels, device, grid, draw, targets, address, faults):
    # (cells, pulses): cells are drawn until they are near their levels
    xp, wanted = array_namespace(targets), tolerance_units(device, grid)
    high = (device.g_level - 1) << grid.fraction
    unstuck = xp.zeros(targets.shape, dtype=xp.int8, device=device_of(targets))
    stuck = _stick(kernels, device, unstuck, address, faults, 1, -1)

    cells = _stick_mapped(draw(0), stuck, high)
    pulses = xp.ones(cells.shape, dtype=xp.int32, device=device_of(cells))
    for pulse in range(1, device.verify.pulses):
        off = xp.abs(deviation(device, grid, cells, targets)) > wanted
        if not bool(xp.any(off)):
            break
        cells = xp.where(off, _stick_mapped(draw(pulse), stuck, high), cells)
        pulses = pulses + xp.astype(off, xp.int32)
    return cells, pulses


def program(kernels, device, grid, targets, address, faults=None):
    """Write target levels into cells.

    Parameters
    ----------
    kernels : module
        A backend.
    device : Device
    grid : mpimpy.crossbar.plan.Grid
    targets : integer array, shape (slices, K, N)
        Levels.
    address : mpimpy.noise.Address
    faults : int8 array, shape (slices, K, N), optional
        1 where a cell is stuck at HGS, -1 where at LGS, else 0.

    Returns
    -------
    Cells
    """
    law, reading, pulses = laws.write(device, grid.fraction), laws.read(device, grid.fraction), None
    cells, up = _placed(device, grid, targets)
    if law is not None:
        effect = _draw(law, grid, level_shift=up, reference=grid.reference)
        which = targets if law.per_level else None

        def draw(pulse: int) -> Any:
            return kernels.perturb(cells, effect, address._replace(purpose=noise.WRITE, read=pulse), which=which)

        if device.verify is not None:
            cells, pulses = _verified(kernels, device, grid, draw, targets, address, faults)
        else:
            cells = draw(0)
        up = 0
    elif up and reading is None:
        # nothing will move the cells onto the grid later
        xp = array_namespace(cells)
        cells, up = xp.astype(cells, getattr(xp, grid.grid_dtype)) << up, 0
    if pulses is None:
        high = (device.g_level - 1) << (grid.fraction - up)
        cells = _stick(kernels, device, cells, address, faults, high)
    levels = None
    if reading is not None and reading.per_level:
        levels = _stick(kernels, device, targets, address, faults, device.g_level - 1)
    return Cells(cells, up, grid.reference, levels, None, pulses, faults is not None)


def age(kernels, device, grid, written, targets, address, time_s, faults=None):
    """Return freshly written cells as they are at a time after programming; stuck cells stay where they are.

    Parameters
    ----------
    written : Cells
        By `program`, with the same arguments.
    time_s : float
        s, not before the drift's t0.
    kernels, device, grid, targets, address, faults
        As for `program`.

    Returns
    -------
    Cells
    """
    if device.drift is None:
        return written._replace(time_s=time_s)
    reference = round(device.rho * 2**grid.fraction * laws.mean_factor(device, time_s, 0))
    law, place = laws.drift(device, time_s), address._replace(purpose=noise.DRIFT, read=0)
    first = grid.reference
    effect = _draw(law, grid, level_shift=written.level_shift, reference=first, after=reference)
    cells = kernels.perturb(written.cells, effect, place, which=targets if law.per_level else None)
    high, low = ((level << grid.fraction) + first - reference for level in (device.g_level - 1, 0))
    high, low = min(high, grid.cell_bound), min(low, grid.cell_bound)
    cells = _stick(kernels, device, cells, address, faults, high, low)
    return written._replace(cells=cells, level_shift=0, reference=reference, time_s=time_s)


def steady(device, grid, written, level):
    """Return where a cell at `level` is that nothing but the mean drift has moved: grid units above the reference."""
    at = level if device.positions is None else device.positions[level]
    if device.drift is None or written.time_s is None:
        return round(at * 2**grid.fraction)
    factor = laws.mean_factor(device, written.time_s, level)
    return round((at + device.rho) * 2**grid.fraction * factor) - written.reference


def select_rows(cells, span):
    """Return the `Cells` of some rows, given as a slice, for a read."""
    levels = None if cells.levels is None else cells.levels[:, span, :]
    return cells._replace(cells=cells.cells[:, span, :], levels=levels)


def total(written):
    """Return the sum of all conductances, in grid units: an int."""
    xp = array_namespace(written.cells)
    above = int(xp.sum(xp.astype(written.cells, xp.int64), dtype=xp.int64)) << written.level_shift
    return above + written.reference * math.prod(written.cells.shape)


def read(kernels, device, grid, written, address, columns=None):
    """Return the grid that one read sees, integers of shape (slices, K, N): read variation applied.

    Of all columns, or of ``columns = (first, last)`` alone.
    """
    law = laws.read(device, grid.fraction, written.time_s)
    if law is None:
        return written.cells if columns is None else written.cells[:, :, slice(*columns)]
    effect = _draw(law, grid, level_shift=written.level_shift, reference=written.reference)
    which = written.levels if law.per_level else None
    return kernels.perturb(written.cells, effect, address._replace(purpose=noise.READ), columns, which)


def conductance(device, grid, written):
    """Return conductances in siemens, float64."""
    xp, unit = array_namespace(written.cells), device.grid_unit_S(grid.fraction)
    lowest = device.LGS + (written.reference - grid.reference) * unit
    return xp.astype(written.cells, xp.float64) * (unit * 2.0**written.level_shift) + lowest

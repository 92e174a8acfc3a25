"""The memristors: levels to a noisy grid of integer conductances."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

from .. import noise
from .._caches import bounded
from ..arrays import constant, device_of
from ..arrays import namespace as array_namespace
from ..backends import Draw
from ..config import Device, Drift, WriteVerify
from . import classes, laws
from .cell_format import CellFormat
from .laws import Law

__all__ = [
    "Cells",
    "Targets",
    "age",
    "conductance",
    "conductance_of",
    "deviation",
    "grid_bits",
    "program",
    "read",
    "read_draw",
    "reference_units",
    "select_rows",
    "steady",
    "strides",
    "tolerance_units",
    "total",
]

SHARE_BITS = 32  # shares of stuck cells count in units of 2**-32


class Targets(NamedTuple):
    """Levels to write, and the cells to write them into.

    Attributes
    ----------
    levels : integer array, shape (slices, K, N)
    address : mpimpy.noise.Address
        Of the first cell.
    faults : int8 array, shape (slices, K, N), or None
        1 where a cell is stuck at HGS, -1 where at LGS, else 0.
    """

    levels: Any
    address: noise.Address
    faults: Any = None


class Cells(NamedTuple):
    """The cells of a matrix, in grid units.

    Attributes
    ----------
    cells : integer array, shape (slices, K, N)
        Conductances above the reference; levels, if nothing moves them.
    level_shift : int
        A cell's conductance above the reference is ``cells << level_shift`` grid units. Cells that nothing
        moves off their levels hold the levels.
    reference : int
        Conductance of the reference column's cells, in grid units.
    levels : integer array or None
        Level of each cell, or the class of the conductance as programmed, if read variation depends on it.
    time_s : float or None
        Time since programming, s; None for a matrix as programmed.
    pulses : int32 array or None
        Pulses that each cell took, if writing was verified.
    faulty : bool
        A map of faults holds some cells: the configuration does not show it.
    columns : Cells or None
        Real cells of the reference columns, those of each array side by side: shape (slices, K, arrays * columns of
        each). None: ideal ones, or what they take away was taken away.
    """

    cells: Any
    level_shift: int
    reference: int
    levels: Any = None
    time_s: float | None = None
    pulses: Any = None
    faulty: bool = False
    columns: "Cells | None" = None


def strides(bits: tuple[int, ...], levels: int) -> tuple[int, ...]:
    """Return the level (or DAC code) of digit 1 for every slice: ``floor((levels - 1) / (2**b - 1))``.

    Examples
    --------
    >>> strides((4, 2, 1, 1), 16)
    (1, 5, 15, 15)
    """
    return tuple((levels - 1) // (2**b - 1) for b in bits)


def grid_bits(device: Device) -> int:
    """Return the bits of fraction of a device's grid: f, where a level is ``2**f`` grid units.

    The grid resolves the smallest spread, in levels, that any variation gives a cell at level 1 or
    above. It is 0 if every cell sits exactly on an evenly spaced level.
    """
    return max((max(1, noise.fraction_bits(spread)) for spread in laws.spreads(device)), default=0)


def reference_units(device: Device, fraction: int) -> int:
    """Return the conductance of the reference column's cells, LGS, in grid units."""
    return round(device.rho * (1 << fraction))


def _share(rate: float) -> int:
    return 0 if rate == 0 else max(1, round(rate * 2**SHARE_BITS))


def _apply_stuck_cells(backend: Any, device: Device, cells: Any, targets: Targets, high: int, low: int = 0) -> Any:
    # Cells stuck at HGS become `high`, at LGS `low`: by the device's rates, then by the map.
    if device.stuck_HGS > 0 or device.stuck_LGS > 0:
        cells = backend.apply_stuck_cells(
            cells,
            targets.address._replace(purpose=noise.STUCK),
            high_share=_share(device.stuck_HGS),
            low_share=_share(device.stuck_LGS),
            high=high,
            low=low,
        )
    return _apply_fault_map(cells, targets.faults, high, low)


def _apply_fault_map(cells: Any, faults: Any, high: int, low: int = 0) -> Any:
    if faults is None:
        return cells
    xp = array_namespace(cells)
    cells = xp.where(faults < 0, xp.full_like(cells, low), cells)
    return xp.where(faults > 0, xp.full_like(cells, high), cells)


def _draw(law: Law, cell_format: CellFormat, *, level_shift: int, reference: int, after: int | None = None) -> Draw:
    # The draw of a law; the result counts from `after`, by default from `reference`.
    return Draw(
        law.table,
        level_shift=level_shift,
        reference=reference,
        after=reference if after is None else after,
        shift=noise.TABLE_BITS,
        bound=cell_format.cell_bound,
        dtype=cell_format.grid_dtype,
        additive=law.additive,
    )


def _on_levels(device: Device, cell_format: CellFormat, levels: Any) -> tuple[Any, int]:
    # (cells, level_shift) of cells exactly on their levels
    xp, positions = array_namespace(levels), laws.grid_positions(device, cell_format.fraction)
    if positions is None:
        return levels, cell_format.fraction
    table = constant(xp, positions, cell_format.grid_dtype, device_of(levels))
    flat = xp.astype(xp.reshape(levels, (-1,)), xp.int64)
    return xp.reshape(xp.take(table, flat, axis=0), levels.shape), 0


def deviation(device: Device, cell_format: CellFormat, cells: Any, levels: Any) -> Any:
    """Return the distance of cells from their levels, in grid units: int32, or int64 where that is too narrow."""
    xp = array_namespace(cells)
    wide = xp.int32 if cell_format.cell_bound < 2**29 else xp.int64
    exact, level_shift = _on_levels(device, cell_format, levels)
    return xp.astype(cells, wide) - (xp.astype(exact, wide) << level_shift)


def tolerance_units(verify: WriteVerify, device: Device, cell_format: CellFormat) -> int:
    """Return the greatest distance of a verified cell from its level, in grid units.

    A cell that holds n units is between n - 1/2 and n + 1/2: rounding down is what puts the end of that nearest to the
    tolerance.
    """
    return min(int(verify.tolerance_S / device.grid_unit_S(cell_format.fraction)), 2 * cell_format.cell_bound)


def _write_and_verify(
    backend: Any,
    device: Device,
    verify: WriteVerify,
    cell_format: CellFormat,
    write: Callable[[int], Any],
    targets: Targets,
) -> tuple[Any, Any]:
    # (cells, pulses): `write(pulse)` draws all cells; those within the tolerance keep their conductance
    levels, tolerance = targets.levels, tolerance_units(verify, device, cell_format)
    xp, high = array_namespace(levels), (device.g_level - 1) << cell_format.fraction
    unstuck = xp.zeros(levels.shape, dtype=xp.int8, device=device_of(levels))
    stuck = _apply_stuck_cells(backend, device, unstuck, targets, 1, -1)

    cells = _apply_fault_map(write(0), stuck, high)
    pulses = xp.ones(cells.shape, dtype=xp.int32, device=device_of(cells))
    for pulse in range(1, verify.pulses):
        off = xp.abs(deviation(device, cell_format, cells, levels)) > tolerance
        if not bool(xp.any(off)):
            break
        cells = xp.where(off, _apply_fault_map(write(pulse), stuck, high), cells)
        pulses = pulses + xp.astype(off, xp.int32)
    return cells, pulses


def program(backend: Any, device: Device, cell_format: CellFormat, targets: Targets) -> Cells:
    """Write target levels into cells.

    Parameters
    ----------
    backend : module
        A backend.
    device : Device
    cell_format : CellFormat
    targets : Targets

    Returns
    -------
    Cells
    """
    write_law, read_law = laws.write(device, cell_format.fraction), laws.read(device, cell_format.fraction, None)
    cells, level_shift = _on_levels(device, cell_format, targets.levels)
    pulses = None
    if write_law is not None:
        effect = _draw(write_law, cell_format, level_shift=level_shift, reference=cell_format.reference)
        which = targets.levels if write_law.per_level else None
        exact, address = cells, targets.address._replace(purpose=noise.WRITE)

        def write(pulse: int) -> Any:
            return backend.perturb(exact, effect, address._replace(read=pulse), which=which)

        if device.verify is not None:
            cells, pulses = _write_and_verify(backend, device, device.verify, cell_format, write, targets)
        else:
            cells = write(0)
        level_shift = 0
    elif level_shift and read_law is None:
        # no read will move the cells onto the grid
        xp = array_namespace(cells)
        cells, level_shift = xp.astype(cells, getattr(xp, cell_format.grid_dtype)) << level_shift, 0
    if pulses is None:
        high = (device.g_level - 1) << (cell_format.fraction - level_shift)
        cells = _apply_stuck_cells(backend, device, cells, targets, high)
    levels = None
    if read_law is not None and read_law.bounds is not None:
        levels = classes.numbers(read_law.bounds, cells, level_shift)
    elif read_law is not None and read_law.per_level:
        levels = _apply_stuck_cells(backend, device, targets.levels, targets, device.g_level - 1)
    return Cells(cells, level_shift, cell_format.reference, levels, None, pulses, targets.faults is not None)


def _drift(
    backend: Any, device: Device, law: Drift, cell_format: CellFormat, cells: Cells, targets: Targets, time_s: float
) -> tuple[Any, int]:
    # (drifted cells, reference)
    after = laws.aged_reference(device, cell_format.fraction, time_s)
    decay = laws.drift(law, device.g_level, time_s)
    effect = _draw(decay, cell_format, level_shift=cells.level_shift, reference=cell_format.reference, after=after)
    address = targets.address._replace(purpose=noise.DRIFT, read=0)
    return backend.perturb(cells.cells, effect, address, which=targets.levels if decay.per_level else None), after


def _relax(
    backend: Any, device: Device, cell_format: CellFormat, cells: Cells, targets: Targets, time_s: float
) -> tuple[Any, int]:
    # (relaxed cells, reference): each cell's number has an address of its own, the same at all times
    law = laws.relaxation(device, cell_format.fraction, time_s)
    after = laws.aged_reference(device, cell_format.fraction, time_s)
    effect = _draw(law, cell_format, level_shift=cells.level_shift, reference=after)
    key = _relaxation_key(targets.address.seed)
    address = targets.address._replace(purpose=noise.DRIFT, read=0, seed=key)
    return backend.perturb(cells.cells, effect, address, which=targets.levels if law.per_level else None), after


@functools.lru_cache(256)
def _relaxation_key(seed: int) -> int:
    return noise.derive(seed, "relaxation")


def age(backend: Any, device: Device, cell_format: CellFormat, cells: Cells, targets: Targets, time_s: float) -> Cells:
    """Return freshly written cells at a time after programming; stuck cells keep their conductance.

    Parameters
    ----------
    backend, device, cell_format, targets
        As for `program`.
    cells : Cells
        By `program`, with the same arguments.
    time_s : float
        s, in the range of the device's laws.

    Returns
    -------
    Cells
    """
    if device.drift is None and device.relaxation is None:
        return cells._replace(time_s=time_s)
    if device.drift is None:
        moved, after = _relax(backend, device, cell_format, cells, targets, time_s)
    else:
        moved, after = _drift(backend, device, device.drift, cell_format, cells, targets, time_s)
    rise, bound = cell_format.reference - after, cell_format.cell_bound
    high, low = (min((level << cell_format.fraction) + rise, bound) for level in (device.g_level - 1, 0))
    moved = _apply_stuck_cells(backend, device, moved, targets, high, low)
    return cells._replace(cells=moved, level_shift=0, reference=after, time_s=time_s)


def steady(device: Device, cell_format: CellFormat, cells: Cells, level: int) -> int:
    """Return the conductance above the reference of a cell that ages as the mean of its level, in grid units."""
    at = level if device.positions is None else device.positions[level]
    if device.relaxation is not None and cells.time_s is not None:
        shift = laws.shift_units(device, cell_format.fraction, cells.time_s, level)
        relaxed = round(at * (1 << cell_format.fraction)) + cell_format.reference + shift
        return max(0, relaxed) - cells.reference
    if device.drift is None or cells.time_s is None:
        return round(at * (1 << cell_format.fraction))
    factor = laws.mean_factor(device.drift, cells.time_s, level)
    return round((at + device.rho) * (1 << cell_format.fraction) * factor) - cells.reference


def select_rows(cells: Cells, span: slice) -> Cells:
    """Return the `Cells` of some rows, given as a slice, for a read."""
    levels = None if cells.levels is None else cells.levels[:, span, :]
    columns = None if cells.columns is None else select_rows(cells.columns, span)
    return cells._replace(cells=cells.cells[:, span, :], levels=levels, columns=columns)


def total(cells: Cells) -> int:
    """Return the sum of all conductances, in grid units."""
    xp = array_namespace(cells.cells)
    above = int(xp.sum(xp.astype(cells.cells, xp.int64), dtype=xp.int64)) << cells.level_shift
    count: int = math.prod(cells.cells.shape)
    return above + cells.reference * count


def read(
    backend: Any,
    device: Device,
    cell_format: CellFormat,
    cells: Cells,
    address: noise.Address,
    columns: tuple[int, int] | None = None,
) -> Any:
    """Return the grid that one read sees, integers of shape (slices, K, N): read variation applied.

    Of all columns, or of ``columns = (first, last)`` alone.
    """
    effect, per_level = read_draw(device, cell_format, cells)
    if effect is None:
        return cells.cells if columns is None else cells.cells[:, :, slice(*columns)]
    which = cells.levels if per_level else None
    return backend.perturb(cells.cells, effect, address._replace(purpose=noise.READ), columns, which)


def read_draw(device: Device, cell_format: CellFormat, cells: Cells) -> tuple[Draw | None, bool]:
    """Return (draw, per_level) of read variation: None without any; whether `Cells.levels` choose its tables."""
    return _read_draw(device, cell_format, cells.time_s, cells.level_shift, cells.reference)


@bounded(64, lambda found, device, *_: laws.device_bytes(device) + (0 if found[0] is None else len(found[0].table)))
def _read_draw(
    device: Device, cell_format: CellFormat, time_s: float | None, level_shift: int, reference: int
) -> tuple[Draw | None, bool]:
    law = laws.read(device, cell_format.fraction, time_s)
    if law is None:
        return None, False
    return _draw(law, cell_format, level_shift=level_shift, reference=reference), law.per_level


def conductance(device: Device, cell_format: CellFormat, cells: Cells) -> Any:
    """Return conductances in siemens, float64."""
    unit, lowest = _siemens(device, cell_format, cells)
    xp = array_namespace(cells.cells)
    return xp.astype(cells.cells, xp.float64) * unit + lowest


def conductance_of(device: Device, cell_format: CellFormat, cells: Cells, numbers: tuple[int, ...]) -> list[float]:
    """Return the conductances, S, of cells that hold some numbers, as `conductance` does."""
    unit, lowest = _siemens(device, cell_format, cells)
    return [number * unit + lowest for number in numbers]


def _siemens(device: Device, cell_format: CellFormat, cells: Cells) -> tuple[float, float]:
    # (conductance of a unit of cells, of a cell that holds 0)
    unit = device.grid_unit_S(cell_format.fraction)
    lowest = device.LGS + (cells.reference - cell_format.reference) * unit
    return unit * 2.0**cells.level_shift, lowest

"""Mean and variance of cells under the law of a read: for currents that are drawn as a whole.

A current is a sum over rows, so its mean and variance follow from those of its cells, whatever their law. These are the
moments of the law's quantile table, the distribution that cells have when they are drawn one by one.
"""

import bisect
import math
from typing import Any, NamedTuple

from array_api_compat import array_namespace

from .. import noise
from .._caches import bounded
from .._integers import ceil_div
from ..backends import MEAN_BITS, CellMoments
from ..checks import fail
from ..config import Config, Device, Samples
from . import laws
from .cell_format import CellFormat
from .laws import Law
from .memristors import Cells

__all__ = ["SKEWNESS", "Moments", "check", "code_drop", "moments", "of_cells", "variance_bits"]

VARIANCE_BITS = 52  # of the variance of a current: floor(sqrt(float64)) is an exact integer square root below
LEAST_BITS = 16  # of them for the variance of a cell, at least
MOST_BITS = 40  # a unit of variance no finer than 4**-40 grid units squared
SKEWNESS = 0.15  # of a current, at most: its distribution is then within 0.015 of cell by cell draws
FEW_ROWS = 64  # below, a current of measured samples is no normal number
WIDEST = 1 << 23  # numbers to add, in grid units, whose squares add up exactly


class Moments(NamedTuple):
    """Moments of a law: arrays of NumPy, a row for each level, or class of conductances, that has a law of its own.

    Attributes
    ----------
    means : int64 array, shape (levels, n)
        Of factors in units of ``2**-24``, n = 1; of numbers to add in grid units, for a conductance of 0, 1, ..., n - 1
        grid units or more: what would make a conductance negative makes it 0.
    variances : float64 array, shape (levels, n)
        Of factors, relative; of numbers in squared grid units.
    thirds : tuple of float
        Third central moment of each level's law, in cubes of these units, negative conductances allowed.
    additive : bool
    per_level : bool
    """

    means: Any
    variances: Any
    thirds: tuple[float, ...]
    additive: bool
    per_level: bool


def _central(entries: list[int], power: int) -> float:
    # central moment of a table, in its unit: every term is rounded alike everywhere, and their sum once
    total = sum(entries)
    deviations = [float(entry * noise.TABLE_SIZE - total) / noise.TABLE_SIZE for entry in entries]
    return math.fsum(d * d if power == 2 else d * d * d for d in deviations) / noise.TABLE_SIZE


def _moments_bytes(found: Moments, law: Law) -> int:
    return len(law.table) + 16 * int(math.prod(found.means.shape))


@bounded(8, _moments_bytes)
def moments(law: Law) -> Moments:
    """Return the moments of a law's tables.

    Raises
    ------
    ValueError
        If a law adds numbers that are far wider than any cell.
    """
    entries = noise.table_entries(law.table)
    xp = array_namespace(entries)
    tables = xp.reshape(xp.astype(entries, xp.int64), (-1, noise.TABLE_SIZE))
    each = {table.tobytes(): table.tolist() for table in tables}
    seconds = {key: _central(values, 2) for key, values in each.items()}
    thirds = {key: _central(values, 3) for key, values in each.items()}
    keys = [table.tobytes() for table in tables]
    unit = 1.0 if law.additive else 2.0**-noise.TABLE_BITS
    found = tuple(thirds[key] * unit**3 for key in keys)
    if law.additive:
        return Moments(*_clipped(xp, tables), found, True, law.per_level)
    # of a sum of 2**16 entries in units of 2**-16
    drop = 2 * noise.TABLE_BITS - MEAN_BITS
    means = (xp.sum(tables, axis=1) + (1 << drop >> 1)) >> drop
    variances = xp.asarray([seconds[key] * unit**2 for key in keys], dtype=xp.float64)
    return Moments(means[:, None], variances[:, None], found, False, law.per_level)


def _clipped(xp: Any, tables: Any) -> tuple[Any, Any]:
    # means and variances of max(number, -g), for g = 0 .. n - 1; the numbers of a table ascend
    if max(-int(xp.min(tables)), int(xp.max(tables))) >= WIDEST:
        fail(ValueError, f"var adds numbers beyond {WIDEST} grid units, which redraw='row' cannot square: use 'slice'")
    count = max(0, -int(xp.min(tables))) + 1
    floors, zero = -xp.arange(count, dtype=xp.int64), xp.zeros((1,), dtype=xp.int64)
    means, variances = [], []
    for table in tables:
        below = xp.searchsorted(table, floors)
        sums = [xp.concat([zero, xp.cumulative_sum(table**power)]) for power in (1, 2)]
        first, second = (
            s[-1] - xp.take(s, below) + below * floors**power for s, power in zip(sums, (1, 2), strict=True)
        )
        means.append((2 * first + noise.TABLE_SIZE) // (2 * noise.TABLE_SIZE))
        mean = xp.astype(first, xp.float64) / noise.TABLE_SIZE
        variances.append(xp.astype(second, xp.float64) / noise.TABLE_SIZE - mean * mean)
    return xp.stack(means, axis=0), xp.stack(variances, axis=0)


def check(config: Config, fraction: int) -> None:
    """Raise ValueError where currents cannot be drawn as a whole: ``redraw="row"`` draws normal numbers.

    With means over the levels of the device, a current of half the rows of a tile has the skewness ``mean third
    central moment / mean variance**1.5 / sqrt(rows / 2)`` of a cell: it may be 0.15. Measured samples take at least 64
    rows.

    Parameters
    ----------
    config : Config
        Its read variation is drawn for each row.
    fraction : int
        Of the grid.
    """
    device, rows = config.device, config.tile.rows
    law = laws.read(device, fraction)
    assert law is not None
    mend = "use redraw='slice', which draws every cell"
    if isinstance(device.var, Samples) and rows < FEW_ROWS:
        msg = (
            f"redraw='row' takes a current of {rows} measured cells for a normal number: use {FEW_ROWS} rows, or {mend}"
        )
        fail(ValueError, msg)
    skewness = _skewness(device, fraction, law) / math.sqrt(rows / 2)
    if skewness > SKEWNESS:
        msg = (
            f"redraw='row' draws currents as normal numbers, and with this var those of {rows} rows have a skewness of "
            f"{skewness:.2g}, above {SKEWNESS}: use more rows, a smaller var, or {mend}"
        )
        fail(ValueError, msg)


def _skewness(device: Device, fraction: int, law: Law) -> float:
    # of a cell, with means over all levels
    found = moments(law)
    at = laws.grid_positions(device, fraction) or tuple(level << fraction for level in range(device.g_level))
    tables = list(range(len(at))) if law.per_level else [0] * len(at)
    if law.bounds is not None:
        tables = [bisect.bisect_right(law.bounds, position) for position in at]
    thirds = [found.thirds[table] for table in tables]
    seconds = [float(found.variances[table, -1]) for table in tables]
    if not law.additive:
        values = [position + device.rho * 2**fraction for position in at]
        thirds = [third * value**3 for third, value in zip(thirds, values, strict=True)]
        seconds = [second * value**2 for second, value in zip(seconds, values, strict=True)]
    variance = math.fsum(seconds) / len(at)
    return abs(math.fsum(thirds)) / len(at) / variance**1.5 if variance > 0 else 0.0


def code_drop(cell_format: CellFormat) -> int:
    """Return the bits that codes lose before they are squared, rounded to nearest, ties towards plus infinity.

    The fewest that keep the sum of their squares over the rows of a tile within 2**36, so that 16 bits of the 52 are
    left for the variance of a cell: 0 unless codes are noisy, or pass 15 bits.
    """
    squares = cell_format.rows * cell_format.code_bound**2
    return max(0, ceil_div((squares - 1).bit_length() - (VARIANCE_BITS - LEAST_BITS), 2))


def variance_bits(config: Config, cell_format: CellFormat, time_s: float | None) -> int:
    """Return the bits of fraction k of variances: their unit is ``4**-k`` squared grid units.

    The largest k, up to 40, that keeps the variance of any current of a tile below 2**52, in units of ``4**(code_drop -
    k)``; it may be negative.
    """
    law = laws.read(config.device, cell_format.fraction, time_s)
    assert law is not None
    found, drop = moments(law), code_drop(cell_format)
    cell = max(map(max, found.variances.tolist()))
    if not law.additive:
        cell *= float(cell_format.reference + cell_format.cell_bound) ** 2
    squares = cell_format.rows * ((cell_format.code_bound >> drop) + (drop > 0)) ** 2
    most = config.weights.cells_per_digit * cell * squares
    return min(MOST_BITS, (VARIANCE_BITS - 1 - math.frexp(most)[1]) // 2)


def of_cells(backend: Any, device: Device, cell_format: CellFormat, cells: Cells, bits: int) -> tuple[Any, Any]:
    """Return (means, variances) of the conductances of cells in a read.

    With factors of mean F, in units of ``2**-24``, and variance s**2, a cell of conductance g, the reference included,
    has the mean ``((g * F + 2**23) >> 24) - reference`` and the variance ``rint(g * g * (s**2 * 4**bits))``. With
    numbers to add, both come from the table of the law that is cut off at a conductance of 0.

    Parameters
    ----------
    backend : module
        A backend.
    device : Device
    cell_format : CellFormat
    cells : Cells
    bits : int
        Of fraction of variances; see `variance_bits`.

    Returns
    -------
    integer array and float64 array of integers, shape (slices, K, N)
        Grid units less the reference, and ``4**-bits`` squared grid units.
    """
    law = laws.read(device, cell_format.fraction, cells.time_s)
    assert law is not None
    found = moments(law)
    variances = (found.variances * math.ldexp(1.0, 2 * bits)).ravel().tolist()
    how = CellMoments(
        means=tuple(found.means.ravel().tolist()),
        variances=tuple(float(round(value)) for value in variances) if found.additive else tuple(variances),
        count=found.means.shape[1],
        level_shift=cells.level_shift,
        reference=cells.reference,
        low=-min(cells.reference, cell_format.cell_bound) if found.additive else -cell_format.cell_bound,
        bound=cell_format.cell_bound,
        dtype=cell_format.grid_dtype,
        additive=found.additive,
    )
    means, spread = backend.moments(cells.cells, how, cells.levels if found.per_level else None)
    return means, spread

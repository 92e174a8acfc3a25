"""Mean conductances of cells under their read variation: exact means of the law's quantile tables.

A cell of conductance g has the mean ``g * F`` under a law of factors of mean F, and that of ``max(0, g + number)``
under a law of numbers to add. Means are those of the law, not of the grid: a read rounds each cell to the grid, and
cells beyond its range saturate. Integers here count in ``2**-32`` grid units.
"""

import functools
import operator
from collections.abc import Iterator
from typing import Any, NamedTuple

from .. import noise
from .._caches import bounded
from ..arrays import device_of, namespace, to_numpy
from ..cells import laws, memristors
from ..cells.cell_format import CellFormat
from ..cells.laws import Law
from ..cells.memristors import Cells
from ..config import Config

__all__ = ["ONE", "host_list", "mean_cells", "row_sums"]

BITS = 2 * noise.TABLE_BITS
ONE = 1 << BITS  # a mean factor of 1, and a grid unit
LIMB = 16  # bits of a mean factor that a product with a cell holds
COLUMNS = 1 << 14  # whose products add up in 64 bits: 31 bits of a cell, or of a number, by 16 of a factor or a table
CHUNK = 1 << 18  # cells at once
MOST_UNITS = 1 << 33  # beyond all conductances in grid units


class _Shifts(NamedTuple):
    # of laws of numbers to add: what each class adds to cells of 0, 1, .. n - 1 grid units or more, in 2**-16 of these
    numbers: Any
    starts: tuple[int, ...]
    counts: tuple[int, ...]


def host_list(array: Any) -> Any:
    """Return the elements of an array of any library, wherever it lies, as lists of Python numbers."""
    return to_numpy(array.cpu() if hasattr(array, "cpu") else array).tolist()


def _tables(law: Law) -> Any:
    entries = noise.table_entries(law.table)
    xp = namespace(entries)
    return xp.reshape(xp.astype(entries, xp.int64), (-1, noise.TABLE_SIZE))


@bounded(8, lambda found, law: len(law.table) + 64 * len(found))
def _factors(law: Law) -> tuple[int, ...]:
    # mean factor of each class, of a law of factors
    tables = _tables(law)
    return tuple(namespace(tables).sum(tables, axis=1).tolist())


@bounded(8, lambda found, law, *_: len(law.table) + 8 * found.numbers.shape[0])
def _shifts(law: Law, most: int) -> _Shifts:
    # for conductances up to `most`; the numbers of a table ascend
    tables = _tables(law)
    xp, found = namespace(tables), []
    starts: list[int] = []
    counts: list[int] = []
    for table in tables:
        count = min(max(0, -int(table[0])), most) + 1
        g = xp.arange(count, dtype=xp.int64)
        below = xp.searchsorted(table, -g)  # numbers that would leave less than nothing
        sums = xp.concat([xp.zeros((1,), dtype=xp.int64), xp.cumulative_sum(table)])
        starts.append(sum(counts))
        counts.append(count)
        found.append(sums[-1] - xp.take(sums, below) - below * g)
    return _Shifts(xp.concat(found), tuple(starts), tuple(counts))


def _law(config: Config, cell_format: CellFormat, cells: Cells) -> Law | None:
    return laws.read(config.device, cell_format.fraction, cells.time_s)


class _Lookup:
    # the integers that cells of classes take from tables, on the device of the cells
    def __init__(self, law: Law, cell_format: CellFormat, cells: Cells) -> None:
        xp, where = namespace(cells.cells), device_of(cells.cells)

        def moved(numbers: Any) -> Any:
            return xp.asarray(numbers, dtype=xp.int64, device=where)

        self.xp, self.law, self.cells = xp, law, cells
        if law.additive:
            found = _shifts(law, cell_format.reference + cell_format.cell_bound)
            self.numbers, self.starts = moved(found.numbers), moved(found.starts)
            self.counts = moved(found.counts)
        else:
            self.numbers = moved(_factors(law))

    def _which(self, at: tuple[Any, ...]) -> Any:
        # class of each cell
        xp, levels = self.xp, self.cells.levels
        if not self.law.per_level:
            return xp.zeros_like(self.cells.cells[at], dtype=xp.int64)
        return xp.astype(levels[at], xp.int64)

    def _take(self, table: Any, index: Any) -> Any:
        xp = self.xp
        return xp.reshape(xp.take(table, xp.reshape(index, (-1,)), axis=0), index.shape)

    def values(self, at: tuple[Any, ...]) -> Any:
        """Conductances above the reference, grid units."""
        return self.xp.astype(self.cells.cells[at], self.xp.int64) << self.cells.level_shift

    def factors(self, at: tuple[Any, ...]) -> Any:
        """Mean factors, 2**-32."""
        return self._take(self.numbers, self._which(at))

    def shifts(self, at: tuple[Any, ...]) -> Any:
        """Mean numbers that are added, 2**-16 grid units."""
        which = self._which(at)
        g = self.xp.maximum(self.values(at) + self.cells.reference, self.xp.zeros_like(which))
        last = self._take(self.counts, which) - 1
        return self._take(self.numbers, self._take(self.starts, which) + self.xp.minimum(g, last))


def _blocks(shape: tuple[int, int, int]) -> Iterator[tuple[int, slice, slice]]:
    slices, depth, width = shape
    wide = min(width, COLUMNS)
    high = max(1, CHUNK // max(1, wide))
    for j in range(slices):
        for top in range(0, depth, high):
            for left in range(0, width, wide):
                yield j, slice(top, min(top + high, depth)), slice(left, min(left + wide, width))


def _add(totals: list[int], rows: slice, sums: Any, shift: int) -> None:
    for row, number in enumerate(host_list(sums), rows.start):
        totals[row] += number << shift


def row_sums(config: Config, cell_format: CellFormat, cells: Cells) -> tuple[list[int], list[int]]:
    """Return the mean conductances of the cells of each row, added up over columns and slices.

    Parameters
    ----------
    config : Config
    cell_format : CellFormat
    cells : Cells
        Their reference columns are left out.

    Returns
    -------
    above : list of int
        What cells hold above LGS, as aged, in ``2**-32`` grid units; a mean factor multiplies it.
    counts : list of int
        Sum of the mean factors, in units of ``2**-32``: how often LGS comes on top.
    """
    law, xp, (slices, depth, width) = _law(config, cell_format, cells), namespace(cells.cells), cells.cells.shape
    if law is None or not (law.per_level or law.additive):
        factor = ONE if law is None else _factors(law)[0]
        # slice by slice, in the narrowest integers that hold the sums: no sum passes 2**47
        most = (cell_format.cell_bound >> cells.level_shift) * width
        dtype = xp.int16 if most < 2**15 else xp.int32 if most < 2**31 else xp.int64
        sums = [xp.astype(xp.sum(cells.cells[j, :, :], axis=1, dtype=dtype), xp.int64) for j in range(slices)]
        plain = host_list(functools.reduce(operator.add, sums))
        return [(number << cells.level_shift) * factor for number in plain], [slices * width * factor] * depth
    lookup, above, counts = _Lookup(law, cell_format, cells), [0] * depth, [0] * depth
    for at in _blocks((slices, depth, width)):
        values = lookup.values(at)
        if law.additive:
            _add(above, at[1], xp.sum(values, axis=1), BITS)
            _add(above, at[1], xp.sum(lookup.shifts(at), axis=1), BITS - noise.TABLE_BITS)
            continue
        factors = lookup.factors(at)
        for shift in range(0, 3 * LIMB, LIMB):
            limb = (factors >> shift) & ((1 << LIMB) - 1)
            _add(above, at[1], xp.sum(values * limb, axis=1), shift)
            _add(counts, at[1], xp.sum(limb, axis=1), shift)
    return above, [slices * width * ONE] * depth if law.additive else counts


def mean_cells(config: Config, cell_format: CellFormat, cells: Cells) -> Cells:
    """Return cells that hold their mean conductances, reference columns included: float64, in grid units.

    Parameters
    ----------
    config, cell_format
        As for `row_sums`.
    cells : Cells
        They are returned as they are if no read changes them.
    """
    law = _law(config, cell_format, cells)
    if law is None:
        return cells
    found, xp = _Lookup(law, cell_format, cells), namespace(cells.cells)
    everywhere = (slice(None),) * 3
    values = xp.astype(found.values(everywhere), xp.float64)
    if law.additive:
        mean = values + xp.astype(found.shifts(everywhere), xp.float64) / (1 << noise.TABLE_BITS)
    else:
        lowest = memristors.conductance_of(config.device, cell_format, cells, (0,))[0]
        zero = lowest / config.device.grid_unit_S(cell_format.fraction)
        factors = xp.astype(found.factors(everywhere), xp.float64) / ONE
        mean = values * factors + zero * (factors - 1.0)
    columns = None if cells.columns is None else mean_cells(config, cell_format, cells.columns)
    return cells._replace(cells=mean, level_shift=0, columns=columns)

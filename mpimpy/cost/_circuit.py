"""Energy of arrays with resistive wires: from the links of each word line's driver to the others, and to the outputs.

Seen from its drivers, an array is a network of conductances between any two of them, and from each to 0 V, where bit
lines end. With the voltages V it dissipates the sum over all links of ``L_ij (V_i - V_j)**2``. This is V' Y V with the
driving-point matrix Y, and the sum of I**2 R over all cells and segments. No term is below 0, so nothing cancels. Links
to 0 V are the row sums of the transfer matrix.

The network is that which `mpimpy.cells.wiring.pass_on` solves: whole arrays with their reference columns, but that
arrays of differential pairs, which have none, have no column of LGS cells here. Cells have their mean conductances; the
mean over reads differs from it in second order of the read variation.
"""

import functools
import math
import operator
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

from .._integers import ceil_div
from ..arrays import namespace
from ..cells import memristors, wiring
from ..config import Wires
from ..crossbar import plan as plans
from ..crossbar.programmed import Programmed
from ..operands.encoding import Encoded
from ._driving import Codes, Driving, code_unit, codes, limbs
from ._means import host_list, mean_cells

__all__ = ["Links", "circuit_energy", "links"]

FINEST = 200  # links count in units of 2**-200 S: what is finer is nothing beside any cell
CODES = 1 << 18  # codes at once
PAIRS = 1 << 22  # pairs of codes at once
EXACT = 1 << 53
CURRENT_BITS = 60  # of the largest current that a driver can supply, in 64-bit integers
LOW_BITS = 25

Table = list[list[float]]


class _Arrays(NamedTuple):
    # float64 arrays of some arrays: links between the drivers of rows i and k at [:, i, k]; links to 0 V at [:, i]
    between: Any
    outward: Any


@dataclass(frozen=True, eq=False)
class Links:
    """Conductances between the drivers of arrays, and from these to 0 V, S; one item for each row of tiles.

    Attributes
    ----------
    between : tuple of tables
        ``between[t][i][k]``: of the drivers of rows i and k of the matrix in row t of tiles, over all arrays.
    outward : tuple of lists
        ``outward[t][i]``: to 0 V, where bit lines end and unused word lines are.
    each : tuple or None
        The same of each array, where they were asked for.
    """

    between: tuple[Table, ...]
    outward: tuple[list[float], ...]
    each: tuple[_Arrays, ...] | None


def _in_order(parts: Iterable[Any]) -> Any:
    # a float sum whose order is the same in every library
    return functools.reduce(operator.add, parts)


def _of_arrays(backend: Any, tiles: Any, wires: Wires, used: int) -> _Arrays:
    xp, (_, rows, cols) = namespace(tiles), tiles.shape
    below = backend.driver_links(tiles, wires.r_word, wires.r_bit)
    passed = backend.transfer(tiles, wires.r_word, wires.r_bit)
    ends = [passed[:, :used, j] for j in range(cols)]
    own = below[:, :used, :used]
    return _Arrays(own + xp.matrix_transpose(own), _in_order(ends + [below[:, k, :used] for k in range(used, rows)]))


def links(backend: Any, programmed: Programmed, each: bool = False) -> Links:
    """Return the `Links` of a matrix with wires.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
    each : bool
        Keep those of each array.
    """
    config, cells, depth = programmed.config, programmed.as_programmed, programmed.shape[0]
    cell_format, rows, wires, xp = plans.cell_format(config), config.tile.rows, config.wires, namespace(cells.cells)
    assert wires is not None
    between, outward, kept = [], [], []
    for t in range(ceil_div(depth, rows)):
        span = slice(t * rows, min(depth, (t + 1) * rows))
        some = mean_cells(config, cell_format, memristors.select_rows(cells, span))
        slices = range(cells.cells.shape[0])
        parts = [wiring.array_conductances(config, cell_format, some, j, (0, 1)) for j in slices]
        tiles = xp.concat(parts, axis=0)
        if config.weights.signed:
            tiles = tiles[:, :, : config.tile.cols]  # pairs have no reference columns
        found = _of_arrays(backend, tiles, wires, span.stop - span.start)
        arrays = range(found.outward.shape[0])
        between.append(host_list(_in_order(found.between[n, :, :] for n in arrays)))
        outward.append(host_list(_in_order(found.outward[n, :] for n in arrays)))
        kept.append(found)
    return Links(tuple(between), tuple(outward), tuple(kept) if each else None)


def _products(xp: Any, given: Codes, count: int) -> Iterator[tuple[Any, int]]:
    # (sums over inputs of the products of the codes of two rows, their shift)
    numbers = xp.astype(given.numbers, xp.int64)
    parts = limbs(xp, numbers, given.bound**2 * count >= EXACT)
    for part, shift in parts:
        for other, beside in parts:
            # sums below 2**53 are exact, whoever adds them
            left, right = xp.matrix_transpose(xp.astype(part, xp.float64)), xp.astype(other, xp.float64)
            yield xp.astype(xp.matmul(left, right), xp.int64), shift + beside


def _overlaps(xp: Any, given: Codes) -> Iterator[tuple[Any, int]]:
    # likewise, of the steps in which the pulses of two rows overlap, less those in which their signs differ
    numbers = xp.astype(given.numbers, xp.int64)
    size, sign = xp.abs(numbers), xp.sign(numbers)
    used = numbers.shape[1]
    step = max(1, PAIRS // used**2)
    for first in range(0, numbers.shape[0], step):
        rows = slice(first, min(first + step, numbers.shape[0]))
        both = xp.minimum(size[rows, :, None], size[rows, None, :]) * sign[rows, :, None] * sign[rows, None, :]
        yield xp.sum(both, axis=0), 0


def _moments(
    backend: Any, programmed: Programmed, inputs: Encoded, width: bool, read: int, first_row: int
) -> Iterator[list[list[int]]]:
    # of each row of tiles: `_products` or `_overlaps` of all inputs, codes
    rows, depth, height = programmed.config.tile.rows, programmed.shape[0], math.prod(inputs.digits.shape[:4])
    totals: dict[tuple[int, int, int], Any] = {}
    for given in codes(backend, programmed, inputs, read, first_row, CODES):
        xp = namespace(given.numbers)
        for t in range(ceil_div(depth, rows)):
            some = given._replace(numbers=given.numbers[:, t * rows : min((t + 1) * rows, depth)])
            for found, shift in _overlaps(xp, some) if width else _products(xp, some, height):
                key = t, shift, given.factor if width else given.factor**2
                totals[key] = totals[key] + found if key in totals else found
    for t in range(ceil_div(depth, rows)):
        used = min(rows, depth - t * rows)
        total = [[0] * used for _ in range(used)]
        for (tile, shift, factor), array in totals.items():
            if tile == t:
                found = host_list(array)
                total = [
                    [a + (b << shift) * factor for a, b in zip(*pair, strict=True)]
                    for pair in zip(total, found, strict=True)
                ]
        yield total


def _counted(link: float) -> int:
    return int(math.ldexp(link, FINEST))


def _dissipated(between: Table, outward: list[float], moments: list[list[int]]) -> int:
    # sum of the links times the squared differences of the codes at their ends
    total = sum(_counted(link) * moments[i][i] for i, link in enumerate(outward))
    for k, row in enumerate(between):
        for i, link in enumerate(row[:k]):
            total += _counted(link) * (moments[k][k] + moments[i][i] - moments[k][i] - moments[i][k])
    return total


def _supplied(
    backend: Any, programmed: Programmed, inputs: Encoded, found: Links, read: int, first_row: int
) -> Fraction:
    # sum of the currents that drivers take from their supply, codes times siemens: each rounded to a grid, so that no
    # order counts
    rows, depth = programmed.config.tile.rows, programmed.shape[0]
    assert found.each is not None
    # largest current of any driver, codes times siemens: a voltage differs from others by twice its highest at most
    sums = [
        2 * max(map(math.fsum, table)) + max(ends) for table, ends in zip(found.between, found.outward, strict=True)
    ]
    most = 2 * code_unit(programmed) * max(sums)  # noisy codes have a factor 2 of head room
    grid, total = CURRENT_BITS - math.frexp(most)[1], 0
    for given in codes(backend, programmed, inputs, read, first_row, CODES):
        xp = namespace(given.numbers)
        volts = xp.astype(given.numbers, xp.float64) * given.factor
        for t in range(ceil_div(depth, rows)):
            some = volts[:, t * rows : min((t + 1) * rows, depth)]
            sign = xp.sign(some)
            for n in range(found.each[t].outward.shape[0]):
                driven = some * found.each[t].outward[n, :]
                for k in range(some.shape[1]):
                    driven = driven + found.each[t].between[n, k, :] * (some - some[:, k : k + 1])
                taken = xp.round(xp.maximum(sign * driven, xp.zeros_like(driven)) * 2.0**grid)
                whole = xp.astype(taken, xp.int64)
                total += int(xp.sum(whole >> LOW_BITS)) << LOW_BITS
                total += int(xp.sum(whole & ((1 << LOW_BITS) - 1)))
    return Fraction(total) / Fraction(2) ** grid


def circuit_energy(
    backend: Any, programmed: Programmed, inputs: Encoded, how: Driving, found: Links, read: int, first_row: int
) -> Fraction:
    """Return the energy in cells and wires, J; exact, so that those of parts of the inputs add up.

    Regulated drivers: that of the current which drivers take from their supply. A driver that is at 0 V, or that takes
    current from others, takes none. With pulse-width coding no driver takes current from others, since all have one
    voltage.

    Parameters
    ----------
    backend, programmed, inputs, read, first_row
        As for `mpimpy.cost._driving.codes`.
    how : Driving
    found : Links
        Of the matrix; those of each array for regulated drivers of pulses of one length.

    Raises
    ------
    ValueError
        If a supply is too low.
    """
    dac, unit = programmed.config.dac, code_unit(programmed)
    how.check(dac)
    volts, read_s = Fraction(dac.vread), Fraction(how.read_s)
    if how.supply_V is not None and not how.width:
        taken = _supplied(backend, programmed, inputs, found, read, first_row)
        return read_s * Fraction(how.supply_V) * volts / unit * taken
    moments = _moments(backend, programmed, inputs, how.width, read, first_row)
    total = Fraction(sum(map(_dissipated, found.between, found.outward, moments)), 1 << FINEST)
    if how.width:
        across = volts if how.supply_V is None else Fraction(how.supply_V)
        return read_s * across * volts * Fraction(dac.rdac - 1, unit) * total
    return read_s * (volts / unit) ** 2 * total

"""Energy that a product dissipates in its cells, exact: from the codes that drive rows and the conductances on them.

A word line at V volts that meets conductances of G siemens takes ``V**2 * G`` watts. So the cells of a matrix take the
sum over its rows of the squared voltages of that row, of all inputs and slices, times the conductances on it, of all
columns and slices: both are sums of integers, which depend on no order. Wires make a circuit of an array:
`mpimpy.cost._circuit`.
"""

import operator
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..cells import memristors, references
from ..checks import fail
from ..config import Config
from ..crossbar import plan as plans
from ..crossbar.programmed import Programmed
from ..operands.encoding import Encoded
from ._circuit import Links, circuit_energy, links
from ._driving import Drives, Driving, drives
from ._means import ONE, row_sums

__all__ = ["Conductances", "cell_energy", "conductances", "energy", "load"]


@dataclass(frozen=True)
class Conductances:
    """Sums of the mean conductances on each row of a matrix, over all its arrays; exact.

    A row has ``(above * grid_S + cells * lowest_S) / 2**32`` siemens.

    Attributes
    ----------
    above : tuple of int
        What cells hold above LGS, in ``2**-32`` grid units.
    cells : tuple of int
        Number of cells, in units of ``2**-32``: each counts as its mean factor of read variation.
    grid_S, lowest_S : float
        A grid unit; LGS, as aged. S.
    """

    above: tuple[int, ...]
    cells: tuple[int, ...]
    grid_S: float
    lowest_S: float

    def weighted(self, weights: tuple[int, ...]) -> Fraction:
        """Return the sum over the rows of a weight times the conductance, S; exact."""
        if len(weights) != len(self.cells):
            fail(
                ValueError,
                f"inputs drive {len(weights)} word lines, and the matrix has {len(self.cells)}: "
                "take drives and conductances of one matrix",
            )
        above, cells = (sum(map(operator.mul, weights, numbers)) for numbers in (self.above, self.cells))
        return Fraction(above, ONE) * Fraction(self.grid_S) + Fraction(cells, ONE) * Fraction(self.lowest_S)


def _unused_columns(config: Config, first: int, width: int) -> int:
    # columns of the last array beyond the matrix; the cells before its first column are those of other parts
    return -(first + width) % config.tile.cols


def _raised(numbers: list[int], by: int) -> tuple[int, ...]:
    return tuple([number + by for number in numbers]) if by else tuple(numbers)


def conductances(programmed: Programmed, whole: bool | None = None) -> Conductances:
    """Return the `Conductances` of a matrix, with its reference and unit columns.

    Read variation enters by its mean, that of reference cells too. Ideal reference columns count as one column to an
    array, at LGS or at the unit, as `mpimpy.CrossbarMatrix.reference_conductance` shows them.

    Parameters
    ----------
    programmed : Programmed
        Aged or not; wires change nothing.
    whole : bool or None
        As of `Driving`.
    """
    config, cells, address = programmed.config, programmed.as_programmed, programmed.address
    cell_format, width = plans.cell_format(config), programmed.shape[1]
    above, counts = row_sums(config, cell_format, cells)
    beside = 0, 0  # of equal cells beside those of each row
    if cells.columns is not None:
        more, others = row_sums(config, cell_format, cells.columns)
        above, counts = list(map(operator.add, above, more)), list(map(operator.add, counts, others))
    elif not config.weights.signed:
        each = references.columns_beside(config, address, width)
        numbers = references.steady_numbers(config, cell_format, cells)
        beside = each * sum(numbers), each * len(numbers)
    unused = _unused_columns(config, address.col, width) * cells.cells.shape[0] if whole else 0
    return Conductances(
        above=_raised(above, beside[0] * ONE),
        cells=_raised(counts, (beside[1] + unused) * ONE),
        grid_S=config.device.grid_unit_S(cell_format.fraction),
        lowest_S=memristors.conductance_of(config.device, cell_format, cells, (0,))[0],
    )


def energy(how: Driving, programmed: Programmed, driven: Drives, loaded: Conductances) -> Fraction:
    """Return the energy in the cells of arrays without wires, J; exact, so that those of parts of the inputs add up.

    Parameters
    ----------
    how : Driving
    programmed : Programmed
    driven : Drives
        Of the inputs.
    loaded : Conductances
        Of the matrix.

    Raises
    ------
    ValueError
        If a supply is too low, or the two are not of one matrix.
    """
    dac = programmed.config.dac
    how.check(dac)
    volts, steps = Fraction(dac.vread), Fraction(dac.rdac - 1, driven.unit)  # one code, in steps
    if how.width:
        across = volts if how.supply_V is None else Fraction(how.supply_V)
        return Fraction(how.read_s) * across * volts * steps * loaded.weighted(driven.sums)
    code = volts / driven.unit
    if how.supply_V is None:
        return Fraction(how.read_s) * code**2 * loaded.weighted(driven.squares)
    return Fraction(how.read_s) * Fraction(how.supply_V) * code * loaded.weighted(driven.sums)


Load = Conductances | Links
_loads: weakref.WeakKeyDictionary[Programmed, dict[bool, Load]] = weakref.WeakKeyDictionary()


def load(backend: Any, programmed: Programmed, how: Driving) -> Load:
    """Return what the word lines of a matrix have to drive: it depends on no inputs, and is found once for a matrix.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
    how : Driving

    Raises
    ------
    ValueError
        If a supply is too low, or unused cells are left out that wires join to the others.
    """
    config = programmed.config
    how.check(config.dac)
    if config.wires is None:
        return _kept(programmed, bool(how.whole), lambda: conductances(programmed, how.whole))
    if how.whole is False and _unused_columns(config, 0, programmed.shape[1]):
        fail(
            ValueError,
            f"whole=False leaves out the unused cells beyond column {programmed.shape[1]}, which wires of arrays of "
            f"{config.tile.cols} columns join to the others: use whole=True, or None",
        )
    if how.supply_V is not None and not how.width:
        return links(backend, programmed, each=True)  # of every array: too many to keep
    return _kept(programmed, True, lambda: links(backend, programmed))


def _kept(programmed: Programmed, whole: bool, make: Callable[[], Load]) -> Load:
    # what a matrix is to its drivers, for as long as it lives
    found = _loads.setdefault(programmed, {})
    if whole not in found:
        found[whole] = make()
    return found[whole]


def cell_energy(
    backend: Any,
    programmed: Programmed,
    inputs: Encoded,
    how: Driving,
    read: int = 0,
    first_row: int = 0,
    driven: Drives | None = None,
) -> float:
    """Return the energy that a product dissipates in its cells, and in its wires if they resist, J.

    Of the drivers' supply, with regulated drivers. It is the same on every backend, to the last bit; those of parts of
    the inputs add up exactly before they are rounded: `energy`, and `mpimpy.cost._circuit.circuit_energy`.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
    inputs : Encoded
        Shape (batch, M, K).
    how : Driving
    read : int
        Number of the read: of its DACs' noise.
    first_row : int
        Row of the first input in the whole input matrix.
    driven : Drives, optional
        Those of the inputs, if they are at hand.

    Raises
    ------
    ValueError
        If a supply is too low, or unused cells are left out that wires join to the others.
    """
    loaded = load(backend, programmed, how)
    if isinstance(loaded, Links):
        return float(circuit_energy(backend, programmed, inputs, how, loaded, read, first_row))
    driven = drives(backend, programmed, inputs, read, first_row) if driven is None else driven
    return float(energy(how, programmed, driven, loaded))

"""Word lines as inputs drive them: how they are driven, and sums over codes, in integers."""

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import converters
from ..arrays import namespace
from ..checks import as_bool, as_float, fail, set_fields
from ..config import DAC
from ..crossbar import plan as plans
from ..crossbar.programmed import Programmed
from ..operands import encoding
from ..operands.encoding import Encoded
from ._means import host_list

__all__ = ["Codes", "Drives", "Driving", "code_unit", "codes", "drives", "limbs"]

CHUNK = 1 << 17  # codes at once: their squares stay in a cache
LIMB = 17  # bits of a part of a wide code; two hold any
MOST = 1 << 62
NARROW = 2**15 - 1
FEW = 32  # rows that are not worth a pass of their own


@dataclass(frozen=True)
class Driving:
    """How word lines are driven.

    Parameters
    ----------
    read_s : float
        Duration of a read pulse, s; of one time step, if `width`.
    width : bool
        Pulse-width coding: every pulse has the full read voltage, and lasts as many steps as its DAC code says.
    supply_V : float or None
        Regulated drivers take their current from a supply of this voltage, V. None: each line takes the energy of its
        own voltage and current.
    whole : bool or None
        Unused cells of the arrays at the edge, beyond the last column, at LGS. True: counted. False: left out. None: as
        simulated, which is left out without wires; with wires they are part of the circuit.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range.

    Examples
    --------
    >>> Driving(100e-9).read_s
    1e-07
    """

    read_s: float
    width: bool = False
    supply_V: float | None = None
    whole: bool | None = None

    def __post_init__(self) -> None:
        supply, whole = self.supply_V, self.whole
        set_fields(
            self,
            read_s=as_float("read_s", self.read_s, 0, above=True, unit=" s"),
            width=as_bool("width", self.width),
            supply_V=None if supply is None else as_float("supply_V", supply, 0, above=True, unit=" V"),
            whole=None if whole is None else as_bool("whole", whole),
        )

    def check(self, dac: DAC) -> None:
        """Raise ValueError if the supply is below the highest voltage of a word line."""
        if self.supply_V is not None and self.supply_V < dac.vread:
            fail(
                ValueError,
                f"supply_V={self.supply_V:g} V is below vread={dac.vread:g} V, to which it drives word lines: "
                f"use at least {dac.vread:g} V, or None for lines without a supply of their own",
            )


@dataclass(frozen=True)
class Drives:
    """Sums over the pulses on word lines, exact: those of parts of the inputs add up, ``a + b``.

    Attributes
    ----------
    squares : tuple of int
        For each row of the matrix, the sum of squared codes over input rows, slices and planes.
    sums : tuple of int
        Likewise, of the codes' magnitudes.
    nonzero : int
        Codes that are not 0, of all rows together.
    unit : int
        The code of the full read voltage.
    """

    squares: tuple[int, ...]
    sums: tuple[int, ...]
    nonzero: int
    unit: int

    def __add__(self, other: "Drives") -> "Drives":
        if not isinstance(other, Drives):
            return NotImplemented
        ours, theirs = (self.unit, len(self.sums)), (other.unit, len(other.sums))
        if ours != theirs:
            fail(
                ValueError,
                f"drives of {ours[1]} word lines with {ours[0]} codes and of {theirs[1]} with {theirs[0]} do not add "
                "up: add parts of the inputs of one matrix",
            )
        squares, sums = (
            tuple(map(operator.add, mine, yours))
            for mine, yours in ((self.squares, other.squares), (self.sums, other.sums))
        )
        return Drives(squares, sums, self.nonzero + other.nonzero, self.unit)


class Codes(NamedTuple):
    """Codes of some input rows and one slice, as they drive word lines.

    Attributes
    ----------
    numbers : integer array, shape (rows, K)
        Codes over `factor`.
    factor : int
    bound : int
        Largest magnitude of the numbers.
    """

    numbers: Any
    factor: int
    bound: int


def code_unit(programmed: Programmed) -> int:
    """Return the code of the full read voltage: noisy codes lie on a grid of their own."""
    fraction = plans.cell_format(programmed.config).voltage_fraction
    return (programmed.config.dac.rdac - 1) << fraction


def codes(
    backend: Any, programmed: Programmed, inputs: Encoded, read: int, first_row: int, chunk: int = CHUNK
) -> Iterator[Codes]:
    """Yield the codes of inputs, some rows of one slice at a time.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
    inputs : Encoded
        Shape (batch, M, K).
    read : int
        Number of the read, which addresses the noise of its DACs.
    first_row : int
        Row of the first input in the whole input matrix.
    chunk : int
        Codes of a slice at once, at least a row.
    """
    config, plan = programmed.config, plans.plan(programmed.config)
    digits = encoding.flat_slices(inputs.digits)
    count, height, depth = digits.shape
    address = programmed.address._replace(read=read, col=programmed.address.row)
    step = max(1, chunk // max(1, depth))
    for first in range(0, height, step):
        some = digits[:, first : min(first + step, height), :]
        if config.dac.noisy:
            some = converters.drive(backend, config.dac, plan, some, address._replace(row=first_row + first))
        for s in range(count):
            index = s % len(plan.x_strides)
            if config.dac.noisy:
                yield Codes(some[s, :, :], 1, plan.cell_format.code_bound)
            else:
                yield Codes(some[s, :, :], plan.x_strides[index], 2 ** config.inputs.ascending[index] - 1)


def limbs(xp: Any, numbers: Any, wide: bool) -> list[tuple[Any, int]]:
    """Return int64 numbers as parts and their shifts: ``numbers = sum of part << shift``; one part unless `wide`."""
    return [(numbers & ((1 << LIMB) - 1), 0), (numbers >> LIMB, LIMB)] if wide else [(numbers, 0)]


class _Sums:
    # sums over codes of each row, in int64 on the device: key -> sums; a key has a shift and a factor
    def __init__(self, whole: bool) -> None:
        self.found: dict[tuple[int, int], Any] = {}
        self.whole = whole  # int64 holds the total: all have one key

    def add(self, key: tuple[int, int], sums: Any) -> None:
        if self.whole:
            key, sums = (0, 1), (sums << key[0]) * key[1]
        self.found[key] = self.found[key] + sums if key in self.found else sums

    def total(self, depth: int) -> tuple[int, ...]:
        if self.whole and self.found:
            return tuple(host_list(self.found[0, 1]))
        total = [0] * depth
        for (shift, factor), sums in self.found.items():
            total = [a + (b << shift) * factor for a, b in zip(total, host_list(sums), strict=True)]
        return tuple(total)


def drives(backend: Any, programmed: Programmed, inputs: Encoded, read: int, first_row: int = 0) -> Drives:
    """Return the `Drives` of inputs.

    Parameters
    ----------
    backend, programmed, inputs, read, first_row
        As for `codes`.
    """
    planes, slices, batch, height, depth = inputs.digits.shape
    xp, count, config = namespace(inputs.digits), planes * slices * batch * height, programmed.config
    whole = (2 * code_unit(programmed)) ** 2 * count < MOST  # noisy codes have a factor 2 of head room
    squares, sums, nonzero = _Sums(whole), _Sums(whole), 0
    negative = config.inputs.signed or config.dac.noisy
    # as many rows at once as squares of digits fit 16 bits, if these are some
    rows = NARROW // (2 ** max(config.inputs.ascending) - 1) ** 2
    chunk = CHUNK if config.dac.noisy or rows < FEW else min(CHUNK, rows * depth)
    for numbers, factor, bound in codes(backend, programmed, inputs, read, first_row, chunk):
        wide = bound**2 * count >= MOST
        most = bound**2 * numbers.shape[0]
        dtype = xp.int16 if most <= NARROW else xp.int32 if most < 2**31 else xp.int64
        nonzero = nonzero + xp.count_nonzero(numbers)
        values = xp.astype(numbers, dtype)
        values = xp.abs(values) if negative else values
        plain = xp.astype(xp.sum(values, axis=0, dtype=dtype), xp.int64)
        sums.add((0, factor), plain)
        if bound == 1:  # a bit is its square
            squares.add((0, factor**2), plain)
            continue
        parts = limbs(xp, values, wide)
        for n, (part, shift) in enumerate(parts):
            for other, beside in parts[n:]:
                found = xp.astype(xp.sum(part * other, axis=0, dtype=dtype), xp.int64)
                squares.add((shift + beside + (part is not other), factor**2), found)
    return Drives(squares.total(depth), sums.total(depth), int(nonzero), code_unit(programmed))

"""A programmed matrix as one value: written, wired, aged; read and saved by the rooms above."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from ..arrays import device_of, namespace
from ..cells import laws, memristors, references, signs, wiring
from ..cells.memristors import Cells, Targets
from ..config import Config
from ..config._variation import UNITS
from ..noise import Address
from ..operands import encoding
from ..operands.encoding import Encoded
from . import plan as plans

__all__ = [
    "Age",
    "Programmed",
    "aged",
    "given_ratio",
    "program",
    "ratio_of",
    "settled",
    "target_levels",
    "totals",
    "wired",
    "written",
]


@dataclass(frozen=True)
class Age:
    """Time after programming at which an aged matrix is read.

    Attributes
    ----------
    time_s : float
        Time since programming, s.
    compensate : bool
        Whether products are multiplied by `ratio`.
    ratio : float
        Total conductance as programmed, over the total at that time: of the matrix, or of one that it is a part of.
    """

    time_s: float
    compensate: bool
    ratio: float

    def __str__(self) -> str:
        unit = next((unit for unit in ("y", "d", "h") if self.time_s >= UNITS[unit]), "s")
        how = f"outputs multiplied by {self.ratio:.6g}" if self.compensate else "not compensated"
        return f"{self.time_s / UNITS[unit]:.6g} {unit} after programming, {how}"


@dataclass(frozen=True, eq=False)
class Programmed:
    """A matrix in crossbars: everything that reads, reports, ageing and files need of it.

    Attributes
    ----------
    config : Config
    encoded : Encoded
        The weights as integers, batch of 1.
    scales : float64 array, shape (planes, tiles, N)
        Scale of every column in every tile, the compensation of an aged matrix included.
    as_programmed : Cells
        The cells as written, least significant slice first: shape (planes * cells per digit * slices, K, N).
    as_read : Cells
        The same as reads meet them: through the wires, if these have resistance, and less real reference columns, if
        no read changes these.
    faults : int8 array, shape (planes * cells per digit * slices, K, N), or None
        Map of stuck cells: 1 at HGS, -1 at LGS, 0 neither.
    address : Address
        Seed and chip of its random numbers; row and column of its first element in the whole matrix.
    age : Age or None
        None for a matrix as programmed.
    fresh : Programmed or None
        Of an aged matrix, the matrix as programmed.
    stored : bool
        The cells come from a file: programming might give others.
    """

    config: Config
    encoded: Encoded
    scales: Any
    as_programmed: Cells
    as_read: Cells
    faults: Any
    address: Address
    age: Age | None = None
    fresh: "Programmed | None" = None
    stored: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(K, N)."""
        depth, width = self.encoded.digits.shape[-2:]
        return depth, width

    @property
    def youngest(self) -> "Programmed":
        """The matrix as programmed: itself, if it is not aged."""
        return self if self.fresh is None else self.fresh


def target_levels(config: Config, encoded: Encoded) -> Any:
    """Return the levels that encoded weights ask for, integers of shape (planes * cells per digit * slices, K, N)."""
    cell_format = plans.cell_format(config)
    if encoded.strides != cell_format.strides:
        encoded = encoding.restride(encoded, cell_format.strides, cell_format.level_dtype)
    return signs.split(config.weights, encoding.flat_slices(encoded.digits))


def written(backend: Any, config: Config, encoded: Encoded, address: Address, faults: Any = None) -> Programmed:
    """Write encoded weights into cells, and leave the rest for `wired`; the parameters are those of `program`."""
    if faults is not None:
        faults = namespace(encoded.digits).asarray(faults, device=device_of(encoded.digits))
    levels, cell_format = target_levels(config, encoded), plans.cell_format(config)
    targets = Targets(levels, address, faults)
    cells = memristors.program(backend, config.device, cell_format, targets)
    cells = references.write(backend, config, cell_format, cells, targets)
    return Programmed(config, encoded, encoding.weight_scales(encoded, config.tile.rows), cells, cells, faults, address)


def wired(backend: Any, programmed: Programmed) -> Programmed:
    """Do once what reads share: solve wires that have resistance, subtract reference columns that no read changes."""
    config, cells, cell_format = programmed.config, programmed.as_programmed, plans.cell_format(programmed.config)
    if (wires := config._wires_once) is not None:
        cells = wiring.pass_on(backend, config, wires, cell_format, cells)
    return settled(backend, programmed, cells)


def settled(backend: Any, programmed: Programmed, cells: Cells) -> Programmed:
    """Return a matrix whose reads meet some cells, less the reference columns that no read changes."""
    config = programmed.config
    if cells.columns is not None and config.device.var == 0 and config._wires_per_read is None:
        cells = references.take_away(backend, config, plans.cell_format(config), cells, programmed.address)
    return programmed if cells is programmed.as_read else dataclasses.replace(programmed, as_read=cells)


def program(backend: Any, config: Config, encoded: Encoded, address: Address, faults: Any = None) -> Programmed:
    """Write encoded weights into cells, and solve their wires.

    Parameters
    ----------
    backend : module
        A backend.
    config : Config
    encoded : Encoded
        Weights, batch of 1, not empty.
    address : Address
        Seed and chip; row and column of the first element in the whole matrix.
    faults : int8 array, shape (planes * cells per digit * slices, K, N), optional
        Of any library; see `Programmed`.
    """
    return wired(backend, written(backend, config, encoded, address, faults))


def _cells_at(backend: Any, fresh: Programmed, time_s: float) -> Cells:
    # the cells of a matrix as programmed, at a time after it
    if laws.ages(fresh.config.device) is None:
        return fresh.as_programmed
    targets = Targets(target_levels(fresh.config, fresh.encoded), fresh.address, fresh.faults)
    cell_format = plans.cell_format(fresh.config)
    return references.age(backend, fresh.config, cell_format, fresh.as_programmed, targets, time_s)


def totals(backend: Any, programmed: Programmed, time_s: float) -> tuple[int, int]:
    """Return the total conductance of a matrix as programmed, and at a time after it, in grid units.

    Parameters
    ----------
    backend, programmed, time_s
        As for `aged`.
    """
    fresh = programmed.youngest
    return memristors.total(fresh.as_programmed), memristors.total(_cells_at(backend, fresh, time_s))


def ratio_of(before: int, after: int) -> float:
    """Return the ratio that compensates for drift, of the `totals` of a whole matrix; 1 if nothing is left."""
    return before / after if after else 1.0


def _own_ratio(fresh: Programmed, cells: Cells) -> float:
    return ratio_of(memristors.total(fresh.as_programmed), memristors.total(cells))


def given_ratio(programmed: Programmed) -> float | None:
    """Return the ratio by which an aged matrix is compensated, if it is not its own; see `mpimpy.CrossbarMatrix.at`."""
    age = programmed.age
    if age is None or not age.compensate or age.ratio == _own_ratio(programmed.youngest, programmed.as_programmed):
        return None
    return age.ratio


def aged(backend: Any, programmed: Programmed, time_s: float, compensate: bool | float) -> Programmed:
    """Return a matrix as it is at a time after programming; see `mpimpy.CrossbarMatrix.at`.

    Parameters
    ----------
    backend : module
        A backend.
    programmed : Programmed
        Of any age: ageing starts from the matrix as programmed.
    time_s : float
        s, not before the earliest time of the device's laws.
    compensate : bool or float
        Multiply the scales by the ratio of total conductances; by another ratio, if it is a float.
    """
    fresh = programmed.youngest
    cells = _cells_at(backend, fresh, time_s)
    ratio = compensate if isinstance(compensate, float) else _own_ratio(fresh, cells)
    found = dataclasses.replace(
        fresh,
        scales=fresh.scales * ratio if compensate else fresh.scales,
        as_programmed=cells,
        as_read=cells,
        age=Age(time_s, bool(compensate), ratio),
        fresh=fresh,
    )
    return wired(backend, found)

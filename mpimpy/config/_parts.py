"""The input converters', the array's and its wires' settings."""

from dataclasses import dataclass

from ..checks import as_bool, as_float, as_int, as_sigma, as_text, fail, set_fields
from ._device import MAX_LEVELS
from ._hints import hinted
from ._sense import OHM, VOLTS, tell
from ._shown import short_repr

__all__ = ["DAC", "Tile", "Wires"]

MAX_ROWS = 1 << 16
MOST_COLUMNS = 64  # that are averaged; 8 a column of the array are as many as addresses hold


def _odd_voltage(dac: "DAC") -> list[str]:
    return VOLTS.oddity("vread", dac.vread)


def _odd_wires(wires: "Wires") -> list[str]:
    name = "r_word" if wires.r_word >= wires.r_bit else "r_bit"
    return OHM.oddity(name, getattr(wires, name))


@hinted
@dataclass(frozen=True)
class DAC:
    """The input converters that drive the word lines.

    Parameters
    ----------
    rdac : int
        Number of output levels.
    vread : float
        Voltage of the highest level, V.
    vnoise : float
        Relative standard deviation of each voltage: conversions multiply it by ``1 + N(0, vnoise)``.

    Examples
    --------
    >>> DAC(rdac=256).rdac
    256
    """

    rdac: int = 16
    vread: float = 0.1
    vnoise: float = 0.0

    __repr__ = short_repr

    def __post_init__(self) -> None:
        set_fields(
            self,
            rdac=as_int("rdac", self.rdac, 2, MAX_LEVELS),
            vread=as_float("vread", self.vread, 0, above=True, unit=" V"),
            vnoise=as_sigma("vnoise", self.vnoise),
        )
        tell(self, _odd_voltage)

    @property
    def noisy(self) -> bool:
        """Whether voltages are noisy, so that DAC codes are no digits any more."""
        return self.vnoise > 0


@hinted
@dataclass(frozen=True)
class Tile:
    """One physical array.

    Parameters
    ----------
    rows, cols : int
        Cells along the bit line and along the word line, reference columns left out.
    reference : {"cells", "ideal"}
        Cells of the reference columns, LGS cells whose current is subtracted from that of each bit line, and of the
        unit columns of an offset. ``"cells"``: real ones, with the variation, stuck cells and drift of the device.
        ``"ideal"``: cells at exactly LGS, or at the unit, without any variation. Differential pairs have none.
    reference_columns : int
        Real reference columns of an array, whose mean current is subtracted.

    Examples
    --------
    >>> Tile(128, 128).rows
    128
    >>> Tile(reference_columns=4).reference
    'cells'
    """

    rows: int = 64
    cols: int = 64
    reference: str = "cells"
    reference_columns: int = 1

    __repr__ = short_repr

    def __post_init__(self) -> None:
        set_fields(
            self,
            rows=as_int("rows", self.rows, 1, MAX_ROWS),
            cols=as_int("cols", self.cols, 1, MAX_ROWS),
            reference=as_text(self.reference),
        )
        if self.reference not in ("cells", "ideal"):
            fail(ValueError, f"reference={self.reference!r} is unknown: use 'cells', or 'ideal'")
        most = min(MOST_COLUMNS, 8 * self.cols)
        set_fields(self, reference_columns=as_int("reference_columns", self.reference_columns, 1, most))
        if self.reference == "ideal" and self.reference_columns > 1:
            fail(
                ValueError,
                f"reference_columns={self.reference_columns} has no effect with reference='ideal', which one column "
                "is already: leave it out, or use reference='cells'",
            )


@hinted
@dataclass(frozen=True)
class Wires:
    """The resistance of an array's wires; see `mpimpy.wires` for the circuit.

    Parameters
    ----------
    r_word, r_bit : float
        Resistance of one segment of a word line, and of a bit line, Ohm; not both 0.
    exact_reads : bool
        Solve the circuit again for each read, with the conductances of that read. By default read variation
        scales the current of each cell as programmed, and a read costs as much as one without wires.

    Examples
    --------
    >>> Wires(2.93, 2.93).exact_reads
    False
    """

    r_word: float
    r_bit: float
    exact_reads: bool = False

    __repr__ = short_repr

    def __post_init__(self) -> None:
        set_fields(
            self,
            r_word=as_float("r_word", self.r_word, 0, unit=" Ohm"),
            r_bit=as_float("r_bit", self.r_bit, 0, unit=" Ohm"),
            exact_reads=as_bool("exact_reads", self.exact_reads),
        )
        if self.r_word == self.r_bit == 0:
            fail(ValueError, "Wires(0, 0) has no effect: use wires=None for wires without resistance")
        tell(self, _odd_wires)

"""The input converters', the array's and its wires' settings."""

from dataclasses import dataclass

from ..checks import fail, flag, real, set_fields, spread, whole
from ._device import MAX_LEVELS

__all__ = ["DAC", "Tile", "Wires"]

MAX_ROWS = 1 << 16


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
        Noise of each conversion, relative to its voltage: the factor is ``1 + N(0, vnoise)``.

    Examples
    --------
    >>> DAC(rdac=256).rdac
    256
    """

    rdac: int = 16
    vread: float = 0.1
    vnoise: float = 0.0

    def __post_init__(self):
        set_fields(
            self,
            rdac=whole("rdac", self.rdac, 2, MAX_LEVELS),
            vread=real("vread", self.vread, 0, above=True, unit=" V"),
            vnoise=spread("vnoise", self.vnoise),
        )


@dataclass(frozen=True)
class Tile:
    """One physical array.

    Parameters
    ----------
    rows, cols : int
        Cells along the bit line and along the word line.

    Examples
    --------
    >>> Tile(128, 128).rows
    128
    """

    rows: int = 64
    cols: int = 64

    def __post_init__(self):
        set_fields(self, rows=whole("rows", self.rows, 1, MAX_ROWS), cols=whole("cols", self.cols, 1, MAX_ROWS))


@dataclass(frozen=True)
class Wires:
    """The resistance of an array's wires; see `mpimpy.wires` for the circuit.

    Parameters
    ----------
    r_word, r_bit : float
        Resistance of one segment of a word line, and of a bit line, Ohm; not both 0.
    exact_reads : bool
        Solve the circuit again for each read, with that read's conductances. By default read variation
        scales what each cell, as programmed, passes on: one read then costs what it costs without wires.

    Examples
    --------
    >>> Wires(2.93, 2.93).exact_reads
    False
    """

    r_word: float
    r_bit: float
    exact_reads: bool = False

    def __post_init__(self):
        set_fields(
            self,
            r_word=real("r_word", self.r_word, 0, unit=" Ohm"),
            r_bit=real("r_bit", self.r_bit, 0, unit=" Ohm"),
            exact_reads=flag("exact_reads", self.exact_reads),
        )
        if self.r_word == self.r_bit == 0:
            fail(ValueError, "Wires(0, 0) has no effect: use wires=None for wires without resistance")

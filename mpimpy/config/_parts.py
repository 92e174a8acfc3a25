"""The converters' and the array's settings."""

from dataclasses import dataclass

from ..checks import fail, flag, real, set_fields, spread, whole
from ._device import MAX_LEVELS

__all__ = ["ADC", "DAC", "Tile"]

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
class ADC:
    """The output converters that read the bit lines.

    Parameters
    ----------
    radc : int, sequence of int, or None
        Number of codes; a sequence holds one number per weight slice, most significant first.
        None is the ideal converter, which does not round.
    snap : bool
        Round each reconstructed partial product of two digits to the nearest integer before
        shift-and-add: the digital side knows that it is one.
    saturate : bool
        Clip at the ends of the range, as a real converter does. False lets codes run past
        them, to tell the cost of saturation from that of rounding.

    Examples
    --------
    >>> ADC(radc=None).radc is None
    True
    """

    radc: int | tuple[int, ...] | None = 256
    snap: bool = False
    saturate: bool = True

    def __post_init__(self):
        radc = self.radc
        if radc is not None:
            many = hasattr(radc, "__iter__") and not isinstance(radc, str) and getattr(radc, "ndim", 1) > 0
            radc = tuple(whole("radc", r, 2, 1 << 53) for r in radc) if many else whole("radc", radc, 2, 1 << 53)
        if radc == ():
            fail(ValueError, "radc=() gives no resolution: give one number, one per weight slice, or None for ideal")
        set_fields(self, radc=radc, snap=flag("snap", self.snap), saturate=flag("saturate", self.saturate))
        for name in ("snap",) * self.snap + ("saturate",) * (not self.saturate):
            if radc is None:
                fail(ValueError, f"{name}={getattr(self, name)} has no effect with radc=None (ideal ADC): leave it out")


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

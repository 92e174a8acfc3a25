"""The integers in which cells are held."""

from dataclasses import dataclass

from .._caches import hashed_once

__all__ = ["CellFormat"]


@hashed_once
@dataclass(frozen=True)
class CellFormat:
    """The integers in which cells are held; it does not depend on the inputs' format.

    Attributes
    ----------
    rows : int
        Rows of a tile.
    strides : tuple of int
        Level of digit 1 per weight slice, least significant first.
    level_dtype, grid_dtype : str
        Integer dtypes of levels and of grid values.
    fraction, voltage_fraction : int
        A level is ``2**fraction`` grid units; a DAC code is ``2**voltage_fraction`` units.
    reference : int
        LGS in grid units.
    cell_bound, code_bound : int
        Cells and noisy DAC codes beyond saturate.
    wide : bool
        Currents take 64 bits and the ADC computes in float64.
    """

    rows: int
    strides: tuple[int, ...]
    level_dtype: str
    grid_dtype: str
    fraction: int
    voltage_fraction: int
    reference: int
    cell_bound: int
    code_bound: int
    wide: bool

    @property
    def current_unit(self) -> int:
        """Current of one level under one DAC code, in the integers that reads count currents in."""
        return 1 << (self.fraction + self.voltage_fraction)

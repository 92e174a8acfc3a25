"""Arrays, cells and conversions of a product, counted without a read."""

from dataclasses import dataclass

from .. import converters
from .._integers import ceil_div
from ..checks import as_bool, fail
from ..config import Config, Ranges

__all__ = ["Counts", "adc_codes", "counts"]


@dataclass(frozen=True)
class Counts:
    """Arrays, cells and operations of one product of an (M, K) matrix by a (K, N) one.

    Attributes
    ----------
    tiles : (int, int, int)
        Rows of tiles, columns of tiles, arrays per tile: one for each slice, two with a double exponent or
        a differential pair.
    cells : int
        Memristors that hold weights (the padding of ragged tiles left out).
    reference_cells : int
        Memristors in the reference columns, in all rows of every array, padding included; ideal ones counted as one
        column to an array; pairs need none.
    dac_conversions, adc_conversions : int
        For the whole product; every array has converters of its own, unless drivers are shared. With
        ``ADC(per="product")`` the ADCs convert once for all input slices.
    additions : int
        Additions of ADC codes: for each output, one less than its conversions.
    """

    tiles: tuple[int, int, int]
    cells: int
    reference_cells: int
    dac_conversions: int
    adc_conversions: int
    additions: int

    @property
    def arrays(self) -> int:
        """Number of arrays."""
        down, across, each = self.tiles
        return down * across * each


def counts(config: Config, M: int, K: int, N: int, *, share_dacs: bool = False) -> Counts:
    """Return the `Counts` of a product of ``M x K`` inputs by ``K x N`` weights.

    Parameters
    ----------
    config : Config
    M, K, N : int
        At least 0.
    share_dacs : bool
        Whether one DAC drives a row in all arrays that meet the same inputs: those of all slices and columns of tiles.

    Examples
    --------
    >>> from mpimpy import Config
    >>> found = counts(Config(), 100, 130, 90)
    >>> found.tiles, found.arrays, found.cells, found.adc_conversions
    ((3, 2, 4), 24, 46800, 432000)
    """
    tile, inputs, weights = config.tile, config.inputs, config.weights
    down, across = ceil_div(K, tile.rows), ceil_div(N, tile.cols)
    arrays = weights.arrays
    drives = M * len(inputs.digits) * inputs.planes
    converted = M * inputs.planes if config.adc.per == "product" else drives
    adc_conversions = converted * N * down * arrays // weights.cells_per_digit
    return Counts(
        tiles=(down, across, arrays),
        cells=K * N * arrays,
        reference_cells=0 if weights.signed else down * across * arrays * tile.rows * tile.reference_columns,
        dac_conversions=drives * K * (1 if as_bool("share_dacs", share_dacs) else across * arrays),
        adc_conversions=adc_conversions,
        additions=max(0, adc_conversions - M * N),
    )


def adc_codes(config: Config) -> list[list[int]]:
    """Return the numbers of codes of the ADCs, for each weight slice and conversion, least significant first.

    Where currents have two signs, these are the codes on both sides of zero. They are the codes that
    `mpimpy.converters.adc_windows` finds, without the steps, in a tenth of the time.

    Raises
    ------
    ValueError
        If the ADC is ideal.
    """
    if config.adc.radc is None:
        fail(ValueError, "an ideal ADC, radc=None, has no number of codes: give radc=, the codes of a real one")
    span, seen = config.adc.range, converters.conversions(config).ends
    windowed = isinstance(span, tuple | Ranges)  # zero may lie anywhere in them
    found = []
    for radc, ends in zip(converters.radc_ascending(config), converters.digit_bounds(config.weights), strict=True):
        row = []
        for inputs in seen:
            most = config.tile.rows * max(abs(x * w) for x in inputs for w in ends)
            top = most if span == "lossless" else radc - 1
            both = not windowed and (inputs[0] < 0 or ends[0] < 0)
            row.append(2 * top + 1 if both else top + 1)
        found.append(row)
    return found

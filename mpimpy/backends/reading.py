"""Instructions for kernels: how to read, how to draw, how to quantise. Frozen values, made once."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from .. import noise
from .._caches import hashed_once

__all__ = [
    "AMPLITUDE_BITS",
    "MEAN_BITS",
    "PANEL",
    "ROW_BITS",
    "BesideDraw",
    "BlockScales",
    "CellMoments",
    "Draw",
    "DrawnCells",
    "Errors",
    "Reading",
    "RowDraw",
    "Slicing",
    "SmallCells",
    "SmallRead",
]

PANEL = 16  # tiles per panel of the float sum
AMPLITUDE_BITS = 8  # of a unit of current, in which offsets and noise of ADCs are told
MEAN_BITS = 24  # of the mean of a factor
ROW_BITS = 22  # of an input row, in the addresses of ADC noise; the tile's number is above it

Table = tuple[tuple[float, ...], ...]  # a number for each weight slice and input slice, least significant first
Codes = tuple[tuple[int, ...], ...]  # the same, whole numbers


@hashed_once
@dataclass(frozen=True)
class Reading:
    """How a programmed matrix is read: all that `read` needs besides its arrays.

    Hashable: results that depend on it alone are cached by it.

    Attributes
    ----------
    strides : tuple of int
        DAC code of digit 1, per input slice, least significant first.
    widths : tuple of int, or None
        Bits per input slice: its digits are 0 .. ``2**bits - 1``. None: any integers, such as noisy
        codes. Kernels that look digits up use it; the result does not depend on it.
    signed : bool
        Digits may be negative, down to ``1 - 2**bits``.
    rows : int
        Rows of a tile.
    bound : int
        Upper bound of the magnitude of a current; at most ``2**53``. Kernels choose an exact
        arithmetic by it.
    wide : bool
        Currents need more than 32 bits: the ADC computes in float64 instead of float32.
    adc_gain : tuple of tuples of float
        ADC codes per unit of current, for each weight slice and input slice.
    code_range : (lows, tops), two tuples of tuples of int, or None
        Lowest and highest ADC code of each pair of slices; None: codes do not saturate.
    digit_units : tuple of tuples of float, or None
        Digit products per ADC code of each pair, to which codes snap; None: they do not snap.
    shift_weights : tuple of tuples of float
        Weight of each pair in the shift-and-add.
    adc_origin : tuple of tuples of float, or None
        Current that code 0 of each pair stands for, in steps, of the precision in which the ADC computes;
        None: 0 stands for 0.
    tile_sum : float
        Shift-and-add of `adc_origin`, which enters the sum of every tile; 0 where codes snap.
    code_bound : int
        Largest magnitude of a code, a factor of `bound` beside the rows; 0: unknown.
    """

    strides: tuple[int, ...]
    widths: tuple[int, ...] | None
    signed: bool
    rows: int
    bound: int
    wide: bool
    adc_gain: Table
    code_range: tuple[Codes, Codes] | None
    digit_units: Table | None
    shift_weights: Table
    adc_origin: Table | None = None
    tile_sum: float = 0.0
    code_bound: int = 0


@dataclass(frozen=True)
class Draw:
    """A random effect on every cell: all that `perturb` needs besides its arrays. Hashable.

    With factors a cell becomes ``clip(((((cell << level_shift) + reference) * factor + half) >> shift)
    - after, -bound, bound)``, where ``half = 2**(shift - 1)`` (0 if shift is 0) and the shift is
    arithmetic: rounding to nearest, ties towards plus infinity. The rounding of noise is defined by
    this line.

    With numbers to add it becomes ``clip((cell << level_shift) + number, -min(reference, bound), bound)``.

    Attributes
    ----------
    table : bytes
        Packed quantile tables of `mpimpy.noise`, one after the other: factors in units of
        ``2**-16``, or numbers.
    level_shift : int
        A cell holds multiples of ``2**level_shift`` units.
    reference : int
        Value of a cell that holds 0, in units.
    after : int
        Origin of the result, in units: `reference`, unless the reference column changes too. Only
        with factors.
    shift : int
        Bits that the product of a value and a factor loses. Only with factors.
    bound : int
        Greatest magnitude of the result.
    dtype : str
        Name of the integer dtype of the result.
    additive : bool
        The table holds numbers to add.
    """

    table: bytes
    level_shift: int
    reference: int
    after: int
    shift: int
    bound: int
    dtype: str
    additive: bool = False


@dataclass(frozen=True)
class CellMoments:
    """Mean and variance of cells in a read: all that `moments` needs besides its arrays. Hashable.

    A cell has the conductance ``g = (cell << level_shift) + reference``. With factors of mean F and variance s**2, it
    has the mean ``((g * F + 2**23) >> 24) - reference`` and the variance ``rint(g * g * s**2)``, ``g * g`` first. With
    numbers to add it has the mean ``g + means[g] - reference`` and the variance ``variances[g]``; a g beyond the ends
    of a table counts as its end. Means are cut off at `low` and `bound`.

    Attributes
    ----------
    means : tuple of int
        Tables one after the other: factors in units of ``2**-24``, or numbers in units of the result.
    variances : tuple of float
        Likewise, of factors times the unit of the result, or integers.
    count : int
        Entries of one table.
    level_shift, reference, low, bound : int
        As above, in units of the result.
    dtype : str
        Name of the integer dtype of the means.
    additive : bool
        The tables hold numbers to add.
    """

    means: tuple[int, ...]
    variances: tuple[float, ...]
    count: int
    level_shift: int
    reference: int
    low: int
    bound: int
    dtype: str
    additive: bool = False


@dataclass(frozen=True)
class Errors:
    """Errors of the ADCs: gain, offset and noise, in integers. Hashable.

    Attributes
    ----------
    address : mpimpy.noise.Address
        Row of the first input, column of the first output, in the whole product.
    tile : int
        Number of the first tile along the summed axis, among those that share the key of the noise.
    array, pair, pairs : int
        Number of the first weight slice; number of the first pair of slices; and by how much the
        number of a pair grows from one weight slice to the next.
    gain : bytes or None
        Table of gain factors, one drawn for each column and array.
    offset : tuple of tuples of int, or None
        Standard deviation of the offset of each column and array, in units of ``2**-8`` of a current,
        for each weight slice and input slice.
    noise : tuple of tuples of int, or None
        Standard deviation of the noise of each conversion, likewise.
    before : int
        Tiles of the whole matrix before those that `tile` counts from: gains and offsets count all of them.
    """

    address: noise.Address
    tile: int
    array: int
    pair: int
    pairs: int
    gain: bytes | None
    offset: Codes | None
    noise: Codes | None
    before: int = 0


@dataclass(frozen=True, eq=False)
class BesideDraw:
    """What reference columns of real cells add to a `RowDraw`: a number that all columns of an array share.

    Attributes
    ----------
    address : mpimpy.noise.Address
        Row of the first input, and number of the first array along the columns, in the whole product.
    variance : float64 array, shape (weight slices, K, arrays)
        Integers, as of `RowDraw`.
    lead, width : int
        Columns of the first array before the first output; columns of an array.
    """

    address: noise.Address
    variance: Any
    lead: int
    width: int


@dataclass(frozen=True, eq=False)
class RowDraw:
    """Read variation that every input row draws anew, as deviations of whole currents.

    Attributes
    ----------
    address : mpimpy.noise.Address
        Row of the first input, column of the first output, in the whole product.
    tile : int
        As of `Errors`.
    pair, pairs : int
        As of `Errors`.
    drop : int
        Bits that codes lose before they are squared.
    bits : int
        Variances of cells are in units of ``4**-bits`` squared grid units.
    variance : float64 array, shape (weight slices, K, N)
        Of the cells, integers. With squared codes they add up to less than 2**52 in a tile.
    beside : BesideDraw or None
        None: reference columns do not vary.
    """

    address: noise.Address
    tile: int
    pair: int
    pairs: int
    drop: int
    bits: int
    variance: Any
    beside: BesideDraw | None = None

    def of(self, arrays: slice, pair: int) -> "RowDraw":
        """Return the draw of some weight slices, whose first pair with the inputs at hand has a number."""
        beside = self.beside
        if beside is not None:
            beside = replace(beside, variance=beside.variance[arrays, :, :])
        return replace(self, pair=pair, variance=self.variance[arrays, :, :], beside=beside)


@dataclass(frozen=True)
class BlockScales:
    """From values to codes: divisors and factors of the elements of each block.

    Attributes
    ----------
    scale_1 : float64 array, shape (batch, nA, nC)
    divisor, scale_2 : float64 arrays of that shape, or None for 1
        Two scales, because their product may pass the range of float64.
    span : (low, high), float64 arrays of that shape, or None
        Elements outside ``low < |v| <= high`` have code 0; None: all elements count.
    """

    scale_1: Any
    divisor: Any = None
    scale_2: Any = None
    span: tuple[Any, Any] | None = None


@dataclass(frozen=True)
class Slicing:
    """From codes to digits. Hashable.

    Attributes
    ----------
    bits, strides : tuples of int
        Per slice, least significant first: its width, and the factor of its digits.
    dtype : str
        Name of the integer dtype of the digits.
    signed : bool
        Digits are those of the magnitude, each with the sign of the code.
    offset : int
        Added to every code before it is sliced: 0, or ``2**(sum(bits) - 1)``.
    """

    bits: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str
    signed: bool = False
    offset: int = 0


@dataclass(frozen=True, eq=False)
class DrawnCells:
    """Cells, and how a read draws them.

    Attributes
    ----------
    cells : integer array, shape (slices, K, N)
    draw : Draw
    address : mpimpy.noise.Address
        Of the first cell, in read 0.
    """

    cells: Any
    draw: Draw
    address: noise.Address


@hashed_once
@dataclass(frozen=True)
class SmallRead:
    """A read of few cells by few inputs in INT format, by ADCs without errors: its numbers. Hashable.

    Attributes
    ----------
    shape : (int, int, int)
        Of the inputs: (batch, M, K).
    dtype, result : str
        Of the inputs, ``"float32"`` or ``"float64"``, and of the product.
    block : (int, int)
        Of the inputs.
    top : float
        The largest code of a block.
    band : (float, float)
        Largest magnitudes of blocks of float64 inputs that are read so.
    slicing : Slicing
        Of the inputs.
    pairs : bool
        The first half of the cells that are drawn less the second half, saturated, is the grid.
    reading : Reading
    sum_scale : float
    """

    shape: tuple[int, int, int]
    dtype: str
    result: str
    block: tuple[int, int]
    top: float
    band: tuple[float, float]
    slicing: Slicing
    pairs: bool
    reading: Reading
    sum_scale: float


class SmallCells(NamedTuple):
    """What a `SmallRead` reads.

    Attributes
    ----------
    cells : DrawnCells, or integer array, shape (slices, K, N)
        Array: the grid of every read.
    beside : DrawnCells or None
        Reference columns, one for each array, which are subtracted.
    place : (int, int, int)
        Of `beside`: columns before the first cell in its array, columns of an array, bound; see `reference.subtract`.
    w_scale : float64 array, shape (tiles, N)
    """

    cells: Any
    beside: DrawnCells | None
    place: tuple[int, int, int]
    w_scale: Any

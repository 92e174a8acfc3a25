"""Currents that every input row draws, made ready for the read kernel: paths of their variances, reference columns."""

from typing import Any, NamedTuple

import numpy as np

from ... import noise
from ..._integers import ceil_div
from ..reading import ROW_BITS, BesideDraw, Reading, RowDraw
from . import _jit, _row_kernels
from ._currents import STRIP, WORD
from ._errors import normal_table
from ._lanes import LANES
from ._paths import Constants, floats, integers
from ._redraw import RowTerm

__all__ = ["row_bytes", "row_term", "takes_rows"]

_MOST_LIMBS = 3
_NO_FLOATS, _NO_PAIRS = np.empty(0, np.float64), np.empty(0, np.int32)
_NO_ARRAYS = np.zeros(4, np.int64)
ROWS = 64  # input rows of a task that draws for reference columns


def _largest(draw: RowDraw) -> float:
    # bound of a deviation, grid units: of a normal number below 2**19 and a root below 2**26
    return 2.0 ** (19 + 26 - _shift(draw)) * (1 if draw.beside is None else 2)


def _shift(draw: RowDraw) -> int:
    return noise.TABLE_BITS + draw.bits - draw.drop


def takes_rows(reading: Reading, draw: RowDraw, errs: bool) -> bool:
    """Return whether the kernel holds the currents that rows draw, and what the errors of ADCs make of them."""
    most = reading.bound + _largest(draw)
    return most <= (2**53 if not errs else 2**43 if reading.wide else 2**33)


class _Paths(NamedTuple):
    # as of `RowTerm`
    places: tuple[int, ...]
    limbs: tuple[int, int, int, int]


def _paths(known: Constants, reading: Reading, draw: RowDraw, bits: int) -> _Paths | None:
    # how the sums of squared digits times variances of `bits` bits are found; None: by float64 products
    if reading.widths is None or draw.drop:
        return None
    places, plane, paired, looked_up = [], 0, 0, False
    most = 1
    for i, width in enumerate(reading.widths):
        if i in known.looked_up and width == 1:
            places.append(plane)
            looked_up = True
        else:
            paired += 1
            places.append(-paired)
            most = max(most, (2**width - 1) ** 2)
        plane += width if i in known.looked_up else 0
    # sums of a tile fit 31 bits
    small = min(15, 31 - (reading.rows * most).bit_length())
    large = 31 - reading.rows.bit_length()
    if most >= 2**15 or min(small, large) < 1:
        return None
    limbs = ceil_div(bits, small) if paired else 0, ceil_div(bits, large) if looked_up else 0
    return _Paths(tuple(places), (small, limbs[0], large, limbs[1])) if max(limbs) <= _MOST_LIMBS else None


def _bits(variance: Any) -> int:
    # of the largest
    return max(1, int(variance.max()).bit_length()) if variance.size else 1


def row_bytes(draw: RowDraw, reading: Reading) -> float:
    """Return the bytes that a row of inputs takes, at most, for each of its elements."""
    each = 8.0 * len(reading.strides)
    if (beside := draw.beside) is not None:
        arrays = ceil_div(beside.variance.shape[2], LANES) * LANES
        each += 8.0 * len(reading.strides) * len(beside.variance) * arrays / reading.rows
    return each


def _address(draw: RowDraw, address: noise.Address, start: int) -> Any:
    # as of `Disturbance`, from an input row on
    first = address._replace(purpose=noise.READ_ROW)
    word = noise.counter_word(first, draw.pair)
    words = *first.key, first.read, word, draw.pairs, first.row + start, first.col, draw.tile, ROW_BITS
    return np.array(words, np.int64)


def _padded(variance: Any, width: int) -> Any:
    # flat, of at least that many columns
    if variance.shape[2] < width:
        variance = np.pad(variance, ((0, 0), (0, 0), (0, width - variance.shape[2])))
    return np.ascontiguousarray(variance).reshape(-1)


def row_term(
    draw: RowDraw, reading: Reading, known: Constants, digits: Any, bits: Any, width: int, start: int
) -> RowTerm:
    """Return the variances of a matrix as the read kernel takes them, for some input rows.

    Parameters
    ----------
    draw : RowDraw
    reading : Reading
    known : Constants
    digits : integer array, shape (input slices, R, K)
    bits : int64 array
        Digits that are looked up, packed.
    width : int
        Columns of the cells, with those that fill a strip.
    start : int
        Number of the first input row, of all rows of this read.
    """
    slices, height, depth = digits.shape
    rows, tiles = reading.rows, ceil_div(depth, reading.rows)
    beside = draw.beside
    most = _bits(draw.variance) if beside is None else max(_bits(draw.variance), _bits(beside.variance))
    paths = _paths(known, reading, draw, most)
    squares, pairs = _NO_FLOATS, _NO_PAIRS
    tasks, work = tiles * height, digits.size * 1e-3
    if paths is None:
        squares = np.empty((slices, tiles, height, rows), np.float64)
        _jit.launch(_row_kernels.square_codes, tasks, work, digits, floats(reading.strides), draw.drop, rows, squares)
    elif paths.limbs[1]:
        paired = integers(tuple(i for i, place in enumerate(paths.places) if place < 0))
        pairs = np.empty((paired.size, tiles, height, ceil_div(rows, 2)), np.int32)
        memory = digits.reshape(-1).view(np.int8), digits.itemsize
        _jit.launch(_row_kernels.pack_squares, tasks, work, *memory, depth, paired, rows, pairs)
    shift, words = _shift(draw), ceil_div(rows, WORD)
    planes = int(known.widths[known.looked_up].sum())
    term = RowTerm(
        kind=np.empty(0, np.float64 if reading.wide else np.int32),
        variance=_padded(draw.variance, width),
        squares=squares.reshape(-1),
        pairs=pairs.reshape(-1),
        places=integers((0,) * slices if paths is None else paths.places),
        limbs=integers((0,) * 4 if paths is None else paths.limbs),
        units=floats((1.0,) * slices if paths is None else tuple(float(stride) ** 2 for stride in reading.strides)),
        scale=floats((2.0**-shift, 0.5 if shift > 0 else 0.0)),
        normals=normal_table(),
        address=_address(draw, draw.address, start),
        shape=integers((tiles * height, planes * words, words, rows)),
        beside=_NO_FLOATS,
        arrays=_NO_ARRAYS,
    )
    return term if beside is None else _with_columns(term, draw, beside, digits.shape, bits, start)


def _with_columns(
    term: RowTerm, draw: RowDraw, beside: BesideDraw, shape: tuple[int, ...], bits: Any, start: int
) -> RowTerm:
    # with the deviations of reference columns, which all columns of an array share
    (slices, height, depth), rows = shape, int(term.shape[3])
    weights, _, arrays = beside.variance.shape
    tiles, wide, width = ceil_div(depth, rows), ceil_div(arrays, LANES) * LANES, ceil_div(arrays, STRIP) * STRIP
    own = term._replace(variance=_padded(beside.variance, width), address=_address(draw, beside.address, start))
    out = np.empty((tiles, weights, height, slices, wide), np.float64)
    tasks, work = tiles * ceil_div(height, ROWS), out.size * (5e-3 + 5e-5 * rows)
    _jit.launch(_row_kernels.deviate, tasks, work, own, bits, depth, width, weights, ROWS, 16, out)
    numbers = wide, arrays, beside.lead, beside.width
    return term._replace(beside=out.reshape(-1), arrays=np.array(numbers, np.int64))

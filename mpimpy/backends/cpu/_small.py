"""Small reads: the kernels of a read one after the other, with all that does not depend on the inputs made ready.

A small read spends its time between kernels. So buffers have known shapes here, constants are arguments already, and
work stays on one thread.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..._integers import ceil_div
from ..reading import DrawnCells, Reading, SmallCells, SmallRead
from . import _codes, _jit, _kernels, _read, numba_cpu
from ._jit import kernel
from ._paths import Constants, constants, too_wide

__all__ = ["make_ready"]

KEPT = 64  # kinds of reads for which the constants of kernels are kept
_frozen, _NONE = numba_cpu._frozen, numba_cpu._NONE


@kernel
def scales(peak, low, high, top, unit, a, tiles_a_block, height, divisor, x_scale):
    """Write the divisors of blocks, and the scale of every row in every tile; False if a block is beyond the band."""
    batch, down, across = peak.shape
    for b in range(batch):
        for m in range(down):
            for k in range(across):
                most = peak[b, m, k]
                if most > 0 and not (low <= most <= high):
                    return False
                divisor[b, m, k] = most if most > 0 else 1.0
    for row in range(x_scale.shape[0]):
        for tile in range(x_scale.shape[1]):
            x_scale[row, tile] = peak[row // height, row % height // a, tile // tiles_a_block] / top * unit
    return True


@kernel
def difference(drawn, bound, grid):
    """Write g+ less g- of each pair, saturated; columns of `grid` beyond those of the cells stay as they are."""
    slices, depth, low, high = drawn.shape[0] // 2, drawn.shape[1], np.int32(-bound), np.int32(bound)
    for j in range(slices):
        for row in range(depth):
            plus, minus, out = drawn[j, row], drawn[j + slices, row], grid[j, row]
            for col in range(drawn.shape[2]):
                out[col] = min(max(np.int32(np.int32(plus[col]) - np.int32(minus[col])), low), high)


def make_ready(form: SmallRead, some: SmallCells) -> Callable[[Any, int], Any] | None:
    """Return a function that reads inputs, given the number of the read; None where the usual way does as well.

    Parameters
    ----------
    form : SmallRead
    some : SmallCells

    Returns
    -------
    function or None
        ``read(values, number)``: the product, shape (batch * M, N); `values` as `to_backend` returns them. None
        instead of a product: the values are beyond the band.
    """
    cells = some.cells.cells if isinstance(some.cells, DrawnCells) else some.cells
    columns = cells.shape[2]
    width, arrays = max(columns, _read.STRIP), cells.shape[0] // (2 if form.pairs else 1)
    work = math.prod(form.shape) * width * len(form.slicing.bits) * arrays * numba_cpu.READ_COST
    if work > _jit.SHARED or too_wide(form.slicing.dtype):
        return None
    grid, grid_dtype = _grid(some, form.pairs, cells, (arrays, cells.shape[1], width))
    if grid is None or too_wide(grid_dtype):
        return None
    encode, multiply = _encoding(form), _multiplication(form, columns, grid_dtype)
    w_scale = _padded(some.w_scale, width)

    def read(values: Any, number: int) -> Any:
        found = encode(values)
        return None if found is None else multiply(*found, grid(number), w_scale)

    return read


def _padded(array: Any, width: int) -> Any:
    # the array with zeros as its last columns
    if array.shape[-1] == width:
        return _frozen(array)
    out = np.zeros((*array.shape[:-1], width), array.dtype)
    out[..., : array.shape[-1]] = array
    return _frozen(out)


@functools.lru_cache(maxsize=KEPT)
def _encoding(form: SmallRead) -> Callable[[Any], Any]:
    # from values to (digits, scales of rows in tiles); None beyond the band
    (batch, height, depth), (a, c), cut, rows = form.shape, form.block, form.slicing, form.reading.rows
    of_values, shape = form.shape, (batch, ceil_div(height, a), ceil_div(depth, c))
    total, tiles = batch * height, ceil_div(depth, rows)
    ceiling, tops = _frozen(np.full(shape, np.inf)), _frozen(np.full(shape, form.top))
    band = form.band if form.dtype == "float64" else (0.0, math.inf)  # magnitudes of float32 are within it
    blocks = *band, form.top, form.sum_scale, a, c // rows, height
    constant = _codes.slicing_constants(cut)
    dtype, sliced = np.dtype(cut.dtype), (len(cut.bits), batch, height, depth)

    def encode(values: Any) -> Any:
        values = values.reshape(of_values)
        peak, divisor, x_scale = np.zeros(shape), np.empty(shape), np.empty((total, tiles))
        digits = np.empty(sliced, dtype)
        _codes.block_max(0, batch * shape[1], values, a, c, ceiling, peak)
        if not scales(peak, *blocks, divisor, x_scale):
            return None
        divisor.setflags(write=False)
        x_scale.setflags(write=False)
        _codes.digits(0, total, values, a, c, divisor, tops, _NONE, _NONE, _NONE, *constant, digits)
        digits.setflags(write=False)
        return digits, x_scale

    return encode


def _grid(
    some: SmallCells, pairs: bool, cells: Any, shape: tuple[int, int, int]
) -> tuple[Callable[[int], Any] | None, Any]:
    # (from the number of a read to the memory of its grid, its dtype); None if it is another kernel's
    columns = cells.shape[2]
    if not isinstance(some.cells, DrawnCells):
        memory = numba_cpu._memory(_padded(cells, shape[2]))
        return lambda number: memory, cells.dtype
    drawn = _drawing(some.cells)
    beside = None if some.beside is None else _drawing(some.beside)
    if drawn is None or (some.beside is not None and beside is None):
        return None, None
    bound, dtype = some.cells.draw.bound, np.dtype(some.cells.draw.dtype)
    tasks, apart = cells.shape[0] * cells.shape[1], pairs or columns < shape[2]

    def grid(number: int) -> Any:
        found = drawn(number)
        if beside is not None:
            columns_beside = beside(number)
            columns_beside.setflags(write=False)
            _kernels.subtract(0, tasks, columns_beside, *some.place, found)
        if apart:
            own, found = found, np.zeros(shape, dtype)
            if pairs:
                difference(own, bound, found)
            else:
                found[:, :, :columns] = own
        found.setflags(write=False)
        return numba_cpu._memory(found)

    return grid, dtype


def _drawing(cells: DrawnCells) -> Callable[[int], Any] | None:
    # from the number of a read to the cells as it draws them; None if it is another kernel's, or other threads help
    draw, shape, dtype = cells.draw, cells.cells.shape, np.dtype(cells.draw.dtype)
    _, excess, most = numba_cpu._table(draw.table)
    if not numba_cpu._is_narrow(draw, most) or math.prod(shape) * numba_cpu.DRAW_COST > _jit.SHARED:
        return None
    words, numbers = numba_cpu._address_words(cells.address), (draw.level_shift, draw.reference, draw.bound)
    array, (perturb, tasks) = _frozen(cells.cells), numba_cpu._narrow_kernel(shape, cells.address.col % 8)

    def drawn(number: int) -> Any:
        out, address = np.empty(shape, dtype), words.copy()
        address[4] = number
        perturb(0, tasks, array, 0, excess, address, *numbers, out)
        return out

    return drawn


def _packing(known: Constants, reading: Reading, shape: tuple[int, int, int]) -> Callable[[Any], tuple[Any, ...]]:
    # `numba_cpu._packed` of digits of one shape
    if "float" in known.paths or known.code_limb or known.byte_cells:
        return lambda digits: numba_cpu._packed(digits, known, reading)
    (_, height, depth), rows = shape, reading.rows
    tiles, planes = ceil_div(depth, rows), sum(int(known.widths[i]) for i in known.looked_up)
    words, halves, paired = ceil_div(rows, _read.WORD), ceil_div(rows, 2), known.paired.size
    bits_shape, tasks = (tiles, height, planes, words), tiles * height
    # three rows more: four are looked up at a time
    count = tasks * planes * words
    size = count + 3 * planes * words

    def pack(digits: Any) -> tuple[Any, ...]:
        bits, pairs = numba_cpu._NO_BITS, numba_cpu._NO_PAIRS
        if planes:
            bits = np.empty(size, np.int64)
            _read.pack_bits(0, tasks, digits, known.looked_up, known.widths, rows, bits[:count].reshape(bits_shape))
        if paired:
            pairs = np.empty((tiles, height, paired, halves), np.int32)
            memory = numba_cpu._memory(digits)
            _read.pack_pairs(0, tasks, *memory, depth, known.paired, known.strides, rows, pairs)
            pairs = pairs.reshape(-1)
        return bits, pairs, numba_cpu._NO_CODES

    return pack


@functools.lru_cache(maxsize=KEPT)
def _multiplication(form: SmallRead, columns: int, grid_dtype: Any) -> Callable[[Any, Any, Any, Any], Any]:
    # from (digits, scales of rows in tiles, memory of the grid, scales of columns in tiles) to the product
    (batch, height, depth), reading, slices = form.shape, form.reading, len(form.slicing.bits)
    total, width = batch * height, max(columns, _read.STRIP)
    known = constants(total, np.dtype(form.slicing.dtype), grid_dtype, reading)
    blocks, tasks = numba_cpu._blocks(total, width, slices, numba_cpu.CHUNK)
    pack = _packing(known, reading, flat := (slices, total, depth))
    chosen = (known.looked_up, known.paired, known.widths, known.strides)
    after, dtype, double = (*known.adc, blocks), np.dtype(form.result), form.result == "float64"

    def multiply(digits: Any, x_scale: Any, memory: Any, w_scale: Any) -> Any:
        out = np.empty((total, width), dtype)
        ends = (numba_cpu._NO_SINGLE, out.reshape(-1)) if double else (out.reshape(-1), numba_cpu._NO_DOUBLE)
        packed = pack(digits.reshape(flat))
        _read.read(
            0, tasks, *packed, *chosen, x_scale, *memory, w_scale, depth, reading.rows, *after, *ends, None, None
        )
        return out if width == columns else out[:, :columns].copy()

    return multiply

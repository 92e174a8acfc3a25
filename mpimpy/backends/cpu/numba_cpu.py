"""The backend "numba": NumPy arrays, and torch CPU tensors and others that speak DLPack without a copy.

Each function has the signature, the meaning and the bits of its twin in `reference`, whose
docstrings are the specification.
"""

import math
import sys
from typing import Any

import numpy as np
from array_api_compat import device as device_of

from ... import arrays, noise
from ..._caches import bounded
from ..._integers import ceil_div
from ...arrays import namespace
from .. import reference
from ..fallback import with_fallback
from ..reading import BlockScales, CellMoments, Draw, Errors, Reading, RowDraw, Slicing
from . import _codes, _jit, _kernels, _packing, _read
from ._circuits import driver_links as driver_links
from ._circuits import frozen as _frozen
from ._circuits import node_voltages as node_voltages
from ._circuits import reduce_lines as reduce_lines
from ._circuits import transfer as transfer
from ._errors import disturbance, from_row
from ._paths import Constants, constants, floats, integers, too_wide
from ._paths import read_paths as read_paths
from ._rows import row_bytes, row_term
from ._rows import takes_rows as takes_rows

NAME = "numba"
STREAM = 2**23  # bytes of a noisy grid drawn at once for few inputs: they fit a cache
THIN = 256  # columns up to which a grid is drawn some rows at a time, if it has so many rows
DRAW_COST, READ_COST = 7e-4, 1.5e-5  # microseconds for each cell, and for each product of digits


def to_backend(array: Any) -> Any:
    """Return `array` as a read-only, C-contiguous NumPy array of float32 or float64.

    Integers, booleans and half precision widen exactly (integers up to 2**53); no copy is made
    where none is needed. Read-only, so that one compiled kernel serves every caller's array.
    """
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(array, torch.Tensor):
        array = array.detach()
        if array.dtype is torch.bfloat16:
            array = array.float()
        array = array.resolve_neg().numpy()
    array = arrays.to_numpy(array)
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    return _frozen(array)


def from_backend(array: Any, like: Any) -> Any:
    """Return the NumPy array `array` in the library of `like`, sharing its memory where that can."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(like, torch.Tensor):
        array = np.ascontiguousarray(array)
        # the stride of an axis of length 1 may still be negative, which torch does not take
        return torch.from_numpy(array if min(array.strides, default=0) >= 0 else array.copy())
    return array if arrays.is_numpy(like) else namespace(like).asarray(array, device=device_of(like))


_NONE, _NO_LEVELS = _frozen(np.empty((0, 0, 0), np.float64)), _frozen(np.empty((0, 0, 0), np.int8))


def _block_counts(values: Any, block: tuple[int, int]) -> tuple[int, int, int]:
    batch, rows, cols = values.shape
    return batch, ceil_div(rows, block[0]), ceil_div(cols, block[1])


def block_max(values: Any, block: tuple[int, int], ceiling: Any = None) -> Any:
    """See `reference.block_max`."""
    out = np.zeros(_block_counts(values, block), np.float64)
    ceiling = np.full_like(out, np.inf) if ceiling is None else ceiling
    tasks, work = out.shape[0] * out.shape[1], values.size * 1e-3
    _jit.launch(_codes.block_max, tasks, work, values, *block, _frozen(ceiling), out)
    return out


def block_sums(values: Any, block: tuple[int, int], scale_1: Any, scale_2: Any) -> Any:
    """See `reference.block_sums`."""
    out = np.zeros(_block_counts(values, block), np.int64)
    tasks, scales = out.shape[0] * out.shape[1], (_frozen(scale_1), _frozen(scale_2))
    _jit.launch(_codes.block_sums, tasks, values.size * 1e-3, values, *block, *scales, out)
    return out


def digits(values: Any, block: tuple[int, int], scales: BlockScales, slicing: Slicing) -> Any:
    """See `reference.digits`."""
    out = np.empty((len(slicing.bits), *values.shape), slicing.dtype)
    per_block = (scales.divisor, scales.scale_1, scales.scale_2, *(scales.span or (None, None)))
    arrays = [_NONE if array is None else _frozen(array) for array in per_block]
    tasks, work = values.shape[0] * values.shape[1], values.size * 1e-2
    _jit.launch(_codes.digits, tasks, work, values, *block, *arrays, *_codes.slicing_constants(slicing), out)
    return out


@bounded(64, lambda _, table: 3 * len(table))
def _table(table: bytes) -> tuple[Any, Any, int]:
    # (factors, factors less one, the largest magnitude of these)
    factors = np.frombuffer(table, "<i4").astype(np.int32)
    excess = factors - np.int32(65536)
    return factors, excess, max(abs(int(excess[0])), abs(int(excess[-1])))


def _is_narrow(draw: Draw, most: int) -> bool:
    # whether all of a draw of factors, less one at most `most`, fits 32 bits
    return draw.shift == 16 and (draw.bound + draw.reference) * most + 2**15 < 2**31


def _address_words(address: noise.Address) -> Any:
    # an Address as kernels take it: its key in two words
    return integers((*address.key, address.purpose, address.chip, address.read, address.row, address.col))


def perturb(
    cells: Any, draw: Draw, address: noise.Address, columns: tuple[int, int] | None = None, which: Any = None
) -> Any:
    """See `reference.perturb`."""
    first, last = columns or (0, cells.shape[2])
    out = np.empty((*cells.shape[:2], last - first), draw.dtype)
    words = _address_words(address._replace(col=address.col + first))
    tasks, cells = out.shape[0] * out.shape[1], _frozen(cells)
    if which is not None or draw.additive or draw.after != draw.reference:
        low = -min(draw.reference, draw.bound) if draw.additive else -draw.bound
        entries, which = np.frombuffer(draw.table, "<i4"), cells if which is None else _frozen(which)
        numbers = draw.level_shift, draw.reference, draw.after, draw.shift, low, draw.bound, draw.additive
        work = out.size * 3e-3
        _jit.launch(_kernels.perturb_levels, tasks, work, cells, first, which, entries, words, *numbers, out)
        return out
    factors, excess, most = _table(draw.table)
    narrow = _is_narrow(draw, most)
    fine = draw.shift < 16 and _fits(cells, draw, most)
    entries = excess if narrow or fine else factors
    arguments = out.size * DRAW_COST, cells, first, entries, words, draw.level_shift, draw.reference
    if narrow:
        kernel, tasks = _narrow_kernel(out.shape, words[6] % 8)
        _jit.launch(kernel, tasks, *arguments, draw.bound, out)
    else:
        kernel = _kernels.perturb_fine if fine else _kernels.perturb
        _jit.launch(kernel, tasks, *arguments, draw.shift, draw.bound, out)
    return out


def _narrow_kernel(shape: tuple[int, ...], lead: int) -> tuple[Any, int]:
    # (kernel, tasks) of a draw that fits 32 bits, of a grid `lead` columns after a group's first
    slices, rows, columns = shape
    if lead + columns <= (THIN if rows >= _kernels.GROUPS else 8 * _kernels.GROUPS):
        return _kernels.perturb_thin, slices * ceil_div(rows, _kernels.GROUPS)
    return _kernels.perturb_narrow, slices * rows


def _fits(cells: Any, draw: Draw, most: int) -> bool:
    # whether 32 bits hold what `_kernels.perturb_fine` makes of any cells of their dtype
    value = (1 << 8 * cells.itemsize - 1 + draw.level_shift) + draw.reference
    change = value * most + 2**15
    found = (value << 16 - draw.shift) + (change >> draw.shift) + draw.reference
    return max(change, found, draw.bound) < 2**31


def moments(cells: Any, law: CellMoments, which: Any = None) -> tuple[Any, Any]:
    """See `reference.moments`."""
    means, variances = np.empty(cells.shape, law.dtype), np.empty(cells.shape, np.float64)
    tables = np.array(law.means, np.int64), np.array(law.variances, np.float64)
    numbers = law.count, law.level_shift, law.reference, law.additive, law.low, law.bound
    tasks, cells = means.shape[0] * means.shape[1], _frozen(cells)
    which = _NO_LEVELS if which is None else _frozen(which)
    _jit.launch(_kernels.moments, tasks, means.size * 2e-3, cells, which, *tables, *numbers, means, variances)
    return means, variances


def subtract(grid: Any, columns: Any, lead: int, width: int, bound: int) -> Any:
    """See `reference.subtract`; it overwrites `grid`, where it may."""
    out = grid if grid.flags.writeable and grid.flags.c_contiguous else np.array(grid, order="C")
    tasks, work = out.shape[0] * out.shape[1], out.size * 1e-4
    _jit.launch(_kernels.subtract, tasks, work, _frozen(columns), lead, width, bound, out)
    return out


def differences(grid: Any, slices: int, bound: int) -> Any:
    """See `reference.differences`."""
    if bound >= 2**30:
        return reference.differences(grid, slices, bound)
    out = np.empty((grid.shape[0] // 2, *grid.shape[1:]), grid.dtype)
    _jit.launch(_kernels.differences, out.shape[0] * out.shape[1], out.size * 5e-4, _frozen(grid), slices, bound, out)
    return out


def apply_stuck_cells(
    cells: Any, address: noise.Address, *, high_share: int, low_share: int, high: int, low: int = 0
) -> Any:
    """See `reference.apply_stuck_cells`."""
    out = np.array(cells, order="C")
    tasks, work = cells.shape[0] * cells.shape[1], cells.size * 2e-3
    shares = high_share, low_share
    _jit.launch(_kernels.apply_stuck_cells, tasks, work, _address_words(address), *shares, high, low, out)
    return out


def fold(
    digits: Any,
    weights: tuple[float, ...],
    divisor: float,
    scales: Any = None,
    *,
    rows: int = 1,
    axis: int = 0,
    dtype: str = "float64",
) -> Any:
    """See `reference.fold`."""
    out = np.empty(digits.shape[1:], dtype)
    scales = _frozen(np.empty((0, 0), np.float64) if scales is None else scales)
    arguments = _frozen(digits), floats(weights), divisor, scales, rows, axis, out
    _jit.launch(_kernels.fold, len(out), digits.size * 5e-4, *arguments)
    return out


def limbs(digits: Any, weights: tuple[int, ...], bits: int, count: int) -> Any:
    """See `reference.limbs`."""
    out = np.empty((count, *digits.shape[1:]), np.int16)
    work = digits.size * 5e-4
    _jit.launch(_kernels.limbs, out.shape[1], work, _frozen(digits), integers(weights), bits, out)
    return out


def multiply(x: Any, w: Any) -> Any:
    """See `reference.multiply`; on as many threads as `mpimpy.set_num_threads` says."""
    with _jit.blas_threads():
        return np.matmul(x, w)


ROW_BLOCK, COL_BLOCK = 256, 256  # outputs of a task: their float64 totals stay in the second-level cache
CHUNK = 128  # currents of a strip converted together, while they are in the first-level cache
DISTURBED = 64
_NO_BITS, _NO_PAIRS, _NO_CODES = np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0, np.float64)
_NO_SINGLE, _NO_DOUBLE = np.empty(0, np.float32), np.empty(0, np.float64)
PACKED = 2**26  # bytes of packed inputs held at once


def _memory(array: Any) -> tuple[Any, int]:
    # (bytes, bytes an element) of integers, as kernels read them; they read no other dtype
    if array.dtype.kind != "i" or too_wide(array.dtype):
        msg = f"kernels read int8, int16 and int32, not {array.dtype}"
        raise TypeError(msg)
    return array.reshape(-1).view(np.int8), array.itemsize


def _packed(digits: Any, known: Constants, reading: Reading) -> tuple[Any, Any, Any]:
    # (bits, pairs, codes): the digits as each path takes them, flat
    slices, height, depth = digits.shape
    rows, tiles = reading.rows, ceil_div(depth, reading.rows)
    bits, pairs, codes = _NO_BITS, _NO_PAIRS, _NO_CODES
    tasks, work = tiles * height, digits.size * 1e-3
    if known.looked_up.size:
        planes = sum(reading.widths[i] for i in known.looked_up)
        shape = (tiles, height, planes, ceil_div(rows, _read.WORD))
        # three rows more: four are looked up at a time
        bits = np.zeros(math.prod(shape) + 3 * math.prod(shape[2:]), np.int64)
        packed = bits[: math.prod(shape)].reshape(shape)
        _jit.launch(_read.pack_bits, tasks, work, digits, known.looked_up, known.widths, rows, packed)
    if known.code_limb:
        pairs = np.empty((tiles, height, slices, 2, ceil_div(rows, 2)), np.int32)
        _jit.launch(_packing.pack_limbs, tasks, work, digits, known.strides, known.code_limb, rows, pairs)
    elif known.byte_cells:
        pairs = np.empty((tiles, height, known.paired.size, 2, ceil_div(rows, 2)), np.int32)
        _jit.launch(_packing.pack_bytes, tasks, work, digits, known.paired, known.strides, rows, pairs)
    elif known.paired.size:
        pairs = np.empty((tiles, height, known.paired.size, ceil_div(rows, 2)), np.int32)
        inputs = *_memory(digits), depth, known.paired, known.strides
        _jit.launch(_read.pack_pairs, tasks, work, *inputs, rows, pairs)
    if "float" in known.paths:
        codes = np.empty((tiles, height, slices, rows), np.float64)
        _jit.launch(_read.pack_floats, tasks, work, digits, floats(reading.strides), rows, codes)
    return bits.reshape(-1), pairs.reshape(-1), codes.reshape(-1)


def _read_cells(
    digits: Any, x_scale: Any, grid: Any, w_scale: Any, reading: Reading, dtype: str, errors: Errors | None
) -> Any:
    # `read` with a kernel
    return _read_passes((digits, x_scale), (grid, w_scale), reading, dtype, errors, None)


def _read_passes(
    inputs: tuple[Any, Any],
    weights: tuple[Any, Any],
    reading: Reading,
    dtype: str,
    errors: Errors | None,
    drawn: RowDraw | None,
) -> Any:
    # in passes over the input rows, so that packed inputs take little memory
    (digits, x_scale), (grid, w_scale) = inputs, weights
    (_, height, depth), width = digits.shape, grid.shape[2]
    if width < _read.STRIP:
        # a strip needs its columns
        more = ((0, 0), (0, _read.STRIP - width))
        grid, w_scale = np.pad(grid, ((0, 0), *more)), np.pad(w_scale, more)
    digits, grid, w_scale = _frozen(digits), _frozen(grid), _frozen(w_scale)
    out = np.empty((height, grid.shape[2]), dtype)
    known = constants(height, digits.dtype, grid.dtype, reading, errors is not None or drawn is not None)
    wrong = None if errors is None else disturbance(errors, reading, (len(w_scale), grid.shape[2]), perturb)
    bytes_each = known.row_bytes if drawn is None else known.row_bytes + row_bytes(drawn, reading)
    passes = max(1, min(height, round(height * depth * bytes_each / PACKED)))
    for turn in range(passes):
        rows = slice(height * turn // passes, height * (turn + 1) // passes)
        inputs = _frozen(digits[:, rows, :]), _frozen(x_scale[rows])
        more = wrong if wrong is None or not rows.start else from_row(wrong, rows.start)
        by_rows = None if drawn is None else (drawn, rows.start)
        _read_rows(inputs, (grid, w_scale), reading, known, out[rows], more, by_rows)
    return out if width == out.shape[1] else out[:, :width].copy()


def _read_rows(
    inputs: tuple[Any, Any],
    weights: tuple[Any, Any],
    reading: Reading,
    known: Constants,
    out: Any,
    errors: Any,
    drawn: tuple[RowDraw, int] | None,
) -> None:
    # one pass: (digits, scales) of some input rows meet (cells, scales) of all weights
    (digits, x_scale), (grid, w_scale) = inputs, weights
    slices, height, depth = digits.shape
    blocks, tasks = _blocks(height, out.shape[1], slices, CHUNK if errors is None or drawn is not None else DISTURBED)
    result, cost = out.reshape(-1), READ_COST
    if errors is not None:
        cost += (2e-3 if errors.normals.size else 3e-4) / reading.rows
    packed, term = _packed(digits, known, reading), None
    if drawn is not None:
        cost += 1e-4 + 5e-3 / reading.rows
        term = row_term(drawn[0], reading, known, digits, packed[0], out.shape[1], drawn[1])
    _jit.launch(
        _read.read,
        tasks,
        height * depth * out.shape[1] * slices * len(grid) * cost,
        *packed,
        known.looked_up,
        known.paired,
        known.widths,
        known.strides,
        x_scale,
        *_memory(grid),
        w_scale,
        depth,
        reading.rows,
        *known.adc,
        blocks,
        *((result, _NO_DOUBLE) if out.dtype == np.float32 else (_NO_SINGLE, result)),
        errors,
        term,
    )


def _takes(digits: Any, grid: Any, reading: Reading, errors: Errors | None) -> bool:
    return not too_wide(grid.dtype)


read = with_fallback(_read_cells, _takes, reference.reader(perturb))


def row_reader(draw: RowDraw) -> Any:
    """See `reference.row_reader`."""

    def takes(digits: Any, grid: Any, reading: Reading, errors: Errors | None) -> bool:
        return not too_wide(grid.dtype) and takes_rows(reading, draw, errors is not None)

    def read_rows(
        digits: Any, x_scale: Any, grid: Any, w_scale: Any, reading: Reading, dtype: str, errors: Errors | None
    ) -> Any:
        return _read_passes((digits, x_scale), (grid, w_scale), reading, dtype, errors, draw)

    return with_fallback(read_rows, takes, reference.reader(perturb, draw))


def _blocks(height: int, width: int, slices: int, together: int) -> tuple[tuple[int, int, int], int]:
    # ((rows and columns of a task, rows converted together), tasks)
    tall = 2 if slices == 1 else 1  # few sums beside much that is made ready for each block of rows
    down = ceil_div(height, ROW_BLOCK * tall)
    strips = ceil_div(width, _read.STRIP)
    across = min(strips, max(ceil_div(width, COL_BLOCK // tall), ceil_div(2 * _jit.get_num_threads(), down)))
    row_block, col_block = ceil_div(height, down), ceil_div(strips, across) * _read.STRIP
    chunk = min(ceil_div(row_block, 4) * 4, max(4, together // slices // 4 * 4))
    return (row_block, col_block, chunk), down * ceil_div(width, col_block)

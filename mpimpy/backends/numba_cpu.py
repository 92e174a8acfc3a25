"""Numba kernels for CPU: NumPy arrays, and torch CPU tensors without a copy.

Each function has the signature, the meaning and the bits of its twin in `reference`, whose
docstrings are the specification.
"""

import functools
import math
import operator
import sys

import numpy as np

from . import _kernels, _ladder, _ladder_numba, _read, reference
from ._jit import blas_threads, get_num_threads, launch
from .reference import code_range

NAME = "numba"
STREAM = 2**23  # bytes of a noisy grid drawn at once for few inputs: what a cache holds


def enter(array):
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
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32 if array.dtype == np.float16 else np.float64)
    return _frozen(array)


def leave(array, like):
    """Return the NumPy array `array` in the library of `like`, sharing its memory where torch can."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(like, torch.Tensor):
        array = np.ascontiguousarray(array)
        # the stride of an axis of length 1 may still be negative, which torch does not take
        return torch.from_numpy(array if min(array.strides, default=0) >= 0 else array.copy())
    return array


def _frozen(array):
    # one compiled kernel serves every caller's array
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


_NONE = _frozen(np.empty((0, 0, 0), np.float64))


def _block_counts(values, block):
    batch, rows, cols = values.shape
    return batch, -(-rows // block[0]), -(-cols // block[1])


def peaks(values, block, ceiling=None):
    """See `reference.peaks`."""
    out = np.zeros(_block_counts(values, block), np.float64)
    ceiling = np.full_like(out, np.inf) if ceiling is None else ceiling
    launch(_kernels.peaks, out.shape[0] * out.shape[1], values.size * 1e-3, values, *block, _frozen(ceiling), out)
    return out


def totals(values, block, scale_1, scale_2):
    """See `reference.totals`."""
    out = np.zeros(_block_counts(values, block), np.int64)
    tasks, scales = out.shape[0] * out.shape[1], (_frozen(scale_1), _frozen(scale_2))
    launch(_kernels.totals, tasks, values.size * 1e-3, values, *block, *scales, out)
    return out


def digits(values, block, divisor, scale_1, scale_2, span, bits, strides, dtype, *, signed=False, offset=0):
    """See `reference.digits`."""
    out = np.empty((len(bits), *values.shape), dtype)
    per_block = [_NONE if a is None else _frozen(a) for a in (divisor, scale_1, scale_2, *(span or (None, None)))]
    tasks, work = values.shape[0] * values.shape[1], values.size * 1e-2
    how = _integers(bits), _integers(strides), *code_range(bits, signed), offset, signed
    launch(_kernels.digits, tasks, work, values, *block, *per_block, *how, out)
    return out


@functools.lru_cache(maxsize=256)
def _integers(numbers):
    return np.array(numbers, np.int64)


@functools.lru_cache(maxsize=256)
def _floats(numbers):
    return np.array(numbers, np.float64)


@functools.lru_cache(maxsize=64)
def _table(table):
    # (factors, factors less one, the largest of these)
    factors = np.frombuffer(table, "<i4").astype(np.int32)
    excess = factors - np.int32(65536)
    return factors, excess, max(abs(int(excess[0])), abs(int(excess[-1])))


def _plain(address):
    # an Address as kernels take it: its key in two words
    return _integers((*address.key, address.purpose, address.chip, address.read, address.row, address.col))


def perturb(
    cells, table, address, *, up, reference, shift, bound, dtype, columns=None, which=None, additive=False, after=None
):
    """See `reference.perturb`."""
    first, last = columns or (0, cells.shape[2])
    out = np.empty((*cells.shape[:2], last - first), dtype)
    plain = _plain(address._replace(col=address.col + first))
    tasks, cells = out.shape[0] * out.shape[1], _frozen(cells)
    if which is not None or additive or after not in (None, reference):
        low = -min(reference, bound) if additive else -bound
        entries, which = np.frombuffer(table, "<i4"), cells if which is None else _frozen(which)
        numbers = up, reference, reference if after is None else after, shift, low, bound, additive
        work = out.size * 3e-3
        launch(_kernels.perturb_levels, tasks, work, cells, first, which, entries, plain, *numbers, out)
        return out
    factors, excess, most = _table(table)
    narrow = shift == 16 and (bound + reference) * most + 2**15 < 2**31
    arguments = tasks, out.size * 7e-4, cells, first, excess if narrow else factors, plain, up, reference
    if narrow:
        launch(_kernels.perturb_narrow, *arguments, bound, out)
    else:
        launch(_kernels.perturb, *arguments, shift, bound, out)
    return out


def stick(cells, address, *, high_share, low_share, high, low=0):
    """See `reference.stick`."""
    out = np.array(cells, order="C")
    tasks, work = cells.shape[0] * cells.shape[1], cells.size * 2e-3
    launch(_kernels.stick, tasks, work, _plain(address), high_share, low_share, high, low, out)
    return out


def fold(digits, weights, divisor, scales=None, *, rows=1, axis=0, dtype="float64"):
    """See `reference.fold`."""
    out = np.empty(digits.shape[1:], dtype)
    scales = np.empty((0, 0), np.float64) if scales is None else scales
    work = digits.size * 5e-4
    launch(_kernels.fold, len(out), work, _frozen(digits), _floats(weights), divisor, _frozen(scales), rows, axis, out)
    return out


def limbs(digits, weights, bits, count):
    """See `reference.limbs`."""
    out = np.empty((count, *digits.shape[1:]), np.int16)
    work = digits.size * 5e-4
    launch(_kernels.limbs, out.shape[1], work, _frozen(digits), _integers(weights), bits, out)
    return out


def multiply(x, w):
    """See `reference.multiply`; on as many threads as `mpimpy.set_num_threads` says."""
    with blas_threads():
        return np.matmul(x, w)


ROW_BLOCK, COL_BLOCK = 256, 256  # outputs of a task: their float64 totals stay in the second-level cache
CHUNK = 128  # currents of a strip converted together, while they are in the first-level cache
LOOK_UP_ROWS = 32  # input rows from which look-up tables are worth building
LOOK_UP_BITS = 4  # widest digits that are looked up where pairs cannot be had
_EMPTY = np.empty(0, np.float32), np.empty(0, np.float64), np.empty(0, np.int32), np.empty(0, np.int64)
PACKED = 2**26  # bytes of packed inputs held at once
_PACKED_BYTES = {"look-up": 1 / 8, "pairs": 2, "float": 8}  # of one digit


@functools.lru_cache(maxsize=256)
def ways(height, digits_dtype, grid_dtype, *, strides, widths, signed, bound):
    """Return how the currents of every input slice are found, and why; see `_currents`.

    Parameters
    ----------
    height : int
        Input rows.
    digits_dtype, grid_dtype : dtype or its name
    strides, widths, signed, bound
        See `reference.read`.

    Returns
    -------
    tuple of (str, str)
        Per slice "look-up", "pairs" or "float", and the reason.
    """
    slices, digits_dtype, grid_dtype = len(strides), np.dtype(digits_dtype), np.dtype(grid_dtype)
    if _too_wide(grid_dtype):
        return (("float", "cells take more than 32 bits: float64 products in plain array-API calls"),) * slices
    if bound >= 2**31:
        return (("float", "currents need more than 32 bits"),) * slices
    top = 2 ** (8 * digits_dtype.itemsize - 1) - 1 if widths is None else 2 ** max(widths) - 1
    pairs = grid_dtype.itemsize <= 2 and digits_dtype.itemsize <= 2 and max(strides) * top < 2**15
    bits = None if signed else widths  # what tables can be asked for
    few = f"{height} input rows do not pay for tables, {LOOK_UP_ROWS} would"
    if pairs:
        found = []
        for width in bits or (None,) * slices:
            if width == 1 and height >= LOOK_UP_ROWS:
                found.append(("look-up", f"one bit asks for table entries, and {height} input rows pay for the tables"))
            else:
                found.append(("pairs", "codes and cells fit 16 bits" + (f", and {few}" if width == 1 else "")))
        return tuple(found)
    reason = "cells take more than 16 bits" if grid_dtype.itemsize > 2 else "codes take more than 16 bits"
    if bits is not None and max(bits) <= LOOK_UP_BITS and height >= LOOK_UP_ROWS:
        return (("look-up", f"{reason}, digits at most {LOOK_UP_BITS}"),) * slices
    if signed:
        return (("float", f"{reason}, and signed digits ask no tables"),) * slices
    return (("float", reason + (f", and {few}" if height < LOOK_UP_ROWS else "")),) * slices


@functools.lru_cache(maxsize=256)
def _factors(weights, units, steps, ends, bound):
    # (inner, outer) with weights[j][i] = inner[j][i] * outer[j], if float32 adds up the inner sums
    # exactly and int32 the outer ones; None if not
    if units is not None or not all(weight.is_integer() for row in weights for weight in row):
        return None
    outer = [math.gcd(*map(int, row)) or 1 for row in weights]
    inner = [[int(weight) // common for weight in row] for row, common in zip(weights, outer, strict=True)]
    if ends is None:
        codes = [[math.ceil(bound * step) + 1 for step in row] for row in steps]
    else:
        lows, tops = ends
        codes = [list(map(max, map(abs, low), map(abs, top))) for low, top in zip(lows, tops, strict=True)]
    totals = [sum(c * abs(a) for c, a in zip(code, row, strict=True)) for code, row in zip(codes, inner, strict=True)]
    if max(totals) > 2**24 or sum(map(operator.mul, totals, outer)) >= 2**31:
        return None
    return np.array(inner, np.float32), np.array(outer, np.int32)


@functools.lru_cache(maxsize=256)
def _reals(numbers, wide):
    return np.array(numbers, np.float64 if wide else np.float32)


CELL_BYTES = (1, 2, 4)  # of the cells and codes that the kernels read as plain memory


def _too_wide(dtype):
    # cells that no kernel reads: the reference's float64 products hold them
    return np.dtype(dtype).itemsize not in CELL_BYTES


def _memory(array):
    # (bytes, bytes an element) of integers, as kernels read them; they cannot read any other
    if array.dtype.kind != "i" or _too_wide(array.dtype):
        msg = f"kernels read int8, int16 and int32, not {array.dtype}"
        raise TypeError(msg)
    return array.reshape(-1).view(np.int8), array.itemsize


def _packed(digits, found, strides, widths, rows):
    # (bits, pairs, codes): the digits as each way takes them, flat
    slices, height, depth = digits.shape
    tiles = -(-depth // rows)
    _, codes, pairs, bits = _EMPTY
    tasks, work = tiles * height, digits.size * 1e-3
    looked_up = _slices_of(found, "look-up")
    if looked_up.size:
        planes = sum(widths[i] for i in looked_up)
        shape = (tiles, height, planes, -(-rows // _read.WORD))
        # three rows more: four are looked up at a time
        bits = np.zeros(math.prod(shape) + 3 * math.prod(shape[2:]), np.int64)
        packed = bits[: math.prod(shape)].reshape(shape)
        launch(_read.pack_bits, tasks, work, digits, looked_up, _integers(widths), rows, packed)
    paired = _slices_of(found, "pairs")
    if paired.size:
        pairs = np.empty((tiles, height, paired.size, -(-rows // 2)), np.int32)
        launch(_read.pack_pairs, tasks, work, *_memory(digits), depth, paired, _integers(strides), rows, pairs)
    if "float" in found:
        codes = np.empty((tiles, height, slices, rows), np.float64)
        launch(_read.pack_floats, tasks, work, digits, _floats(strides), rows, codes)
    return bits.reshape(-1), pairs.reshape(-1), codes.reshape(-1)


def _slices_of(found, name):
    return _integers(tuple(i for i, other in enumerate(found) if other == name))


def read(
    digits,
    x_scale,
    grid,
    w_scale,
    *,
    strides,
    widths,
    signed,
    rows,
    bound,
    wide,
    steps,
    ends,
    units,
    weights,
    dtype,
    errors=None,
):
    """See `reference.read`."""
    if errors is not None or _too_wide(grid.dtype):
        how = {"strides": strides, "widths": widths, "signed": signed, "rows": rows, "bound": bound, "wide": wide}
        how |= {"steps": steps, "ends": ends, "units": units, "weights": weights, "dtype": dtype}
        return reference.read(digits, x_scale, grid, w_scale, **how, errors=errors, draw=perturb)
    slices, height, depth = digits.shape
    width = grid.shape[2]
    if width < _read.STRIP:
        # a strip needs its columns
        more = ((0, 0), (0, _read.STRIP - width))
        grid, w_scale = np.pad(grid, ((0, 0), *more)), np.pad(w_scale, more)
    digits, grid = _frozen(digits), _frozen(grid)
    out = np.empty((height, grid.shape[2]), dtype)
    how = {"strides": strides, "widths": widths, "signed": signed, "bound": bound}
    found = [name for name, _ in ways(height, digits.dtype, grid.dtype, **how)]
    factors = None if wide else _factors(weights, units, steps, ends, bound)
    inner, outer = factors or (_reals(((),), wide), _EMPTY[2])
    lows, tops = ends or [((end,) * slices,) * len(steps) for end in (-np.inf, np.inf)]
    row_bytes = depth * sum(_PACKED_BYTES[name] for name in found)
    passes = max(1, round(height * row_bytes / PACKED))
    for turn in range(passes):
        top, bottom = height * turn // passes, height * (turn + 1) // passes
        part, result = _frozen(digits[:, top:bottom, :]), out[top:bottom].reshape(-1)
        blocks, tasks = _blocks(bottom - top, grid.shape[2], slices)
        work = (bottom - top) * depth * out.shape[1] * slices * len(steps) * 1.5e-5
        launch(
            _read.read,
            tasks,
            work,
            *_packed(part, found, strides, widths, rows),
            _slices_of(found, "look-up"),
            _slices_of(found, "pairs"),
            _integers(widths or (0,) * slices),
            _integers(strides),
            _frozen(x_scale[top:bottom]),
            *_memory(grid),
            _frozen(w_scale),
            depth,
            rows,
            _reals(steps, wide),
            _reals(lows, wide),
            _reals(tops, wide),
            units is not None,
            factors is not None,
            inner,
            outer,
            _floats(units or weights),
            _floats(weights),
            blocks,
            *((result, _EMPTY[1]) if out.dtype == np.float32 else (_EMPTY[0], result)),
        )
    return out if width == out.shape[1] else out[:, :width].copy()


def _blocks(height, width, slices):
    # ((rows and columns of a task, rows converted together), tasks)
    down = -(-height // ROW_BLOCK)
    strips = -(-width // _read.STRIP)
    across = min(strips, max(-(-width // COL_BLOCK), -(-2 * get_num_threads() // down)))
    row_block, col_block = -(-height // down), -(-strips // across) * _read.STRIP
    chunk = min(-(-row_block // 4) * 4, max(4, CHUNK // slices // 4 * 4))
    return (row_block, col_block, chunk), down * -(-width // col_block)


def _two_sided(g, gw, gb):
    out = np.empty(g.shape, np.float64)
    batch, rows, cols = g.shape
    work = batch * rows * cols * (40 + cols * (cols + rows)) * 3e-5
    launch(_ladder_numba.two_sided, batch, work, _frozen(g), gw, gb, out)
    return out


def _plain_array(array):
    # no turned view, which torch would not take
    return np.array(array, order="C")


def transfer(conductance, r_word, r_bit):
    """See `reference.transfer`."""
    return _plain_array(_ladder.transfer(conductance, r_word, r_bit, _two_sided))


def node_voltages(conductance, voltages, r_word, r_bit):
    """See `reference.node_voltages`."""
    return tuple(map(_plain_array, _ladder.node_voltages(conductance, voltages, r_word, r_bit)))

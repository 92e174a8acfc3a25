"""Numba-parallel kernels for CPU: NumPy arrays, and torch CPU tensors without a copy.

Each function has the signature, the meaning and the bits of its twin in `reference`, whose
docstrings are the specification.
"""

import functools
import sys
import warnings

import numpy as np

from . import _kernels, reference
from ._jit import blas_on_one_thread, parallel_region, pool_is_lost

NAME = "numba"
_INTEGERS = [np.dtype(name) for name in ("int8", "int16", "int32", "int64")]
_FLOATS = [np.dtype(name) for name in ("float32", "float64")]
ROW_BLOCK, COL_BLOCK = 128, 64  # outputs of one task: its slices of a tile stay in the cache


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
    array = np.ascontiguousarray(array).view()
    array.flags.writeable = False
    return array


def leave(array, like):
    """Return the NumPy array `array` in the library of `like`, sharing its memory where torch can."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(like, torch.Tensor):
        return torch.from_numpy(np.ascontiguousarray(array))
    return array


def _or_reference(function):
    # The reference gives the same bits, slower, where the kernels' threads are gone.
    @functools.wraps(function)
    def run(*arguments, **options):
        if not pool_is_lost():
            return function(*arguments, **options)
        warnings.warn(
            "this process was forked after its parent had run kernels, whose OpenMP threads are not here: the slower "
            "reference runs instead. Start workers with the spawn method, or set NUMBA_THREADING_LAYER=workqueue",
            RuntimeWarning,
            stacklevel=2,
        )
        return getattr(reference, function.__name__)(*arguments, **options)

    return run


def _launch(kernel, *arguments):
    with parallel_region():
        kernel(*arguments)


def _frozen(array):
    array = np.ascontiguousarray(array).view()
    array.flags.writeable = False
    return array


def _block_counts(values, block):
    batch, rows, cols = values.shape
    return batch, -(-rows // block[0]), -(-cols // block[1])


@_or_reference
def peaks(values, block, ceiling=None):
    """See `reference.peaks`."""
    out = np.zeros(_block_counts(values, block), np.float64)
    ceiling = np.full_like(out, np.inf) if ceiling is None else ceiling
    _launch(_kernels.peaks, values, *block, _frozen(ceiling), out)
    return out


@_or_reference
def totals(values, block, scale_1, scale_2):
    """See `reference.totals`."""
    out = np.zeros(_block_counts(values, block), np.int64)
    _launch(_kernels.totals, values, *block, _frozen(scale_1), _frozen(scale_2), out)
    return out


@_or_reference
def digits(values, block, divisor, scale_1, scale_2, low, high, bits, strides, dtype):
    """See `reference.digits`."""
    out = np.empty((len(bits), *values.shape), dtype)
    per_block = [_frozen(a) for a in (divisor, scale_1, scale_2, low, high)]
    _launch(_kernels.digits, values, *block, *per_block, _integers(bits), _integers(strides), out)
    return out


@functools.lru_cache(maxsize=256)
def _integers(numbers):
    return np.array(numbers, np.int64)


@functools.lru_cache(maxsize=256)
def _floats(numbers):
    return np.array(numbers, np.float64)


@functools.lru_cache(maxsize=64)
def _table(table):
    return np.frombuffer(table, "<i4").astype(np.int32)


@_or_reference
def perturb(cells, table, address, *, up, reference, shift, bound, dtype):
    """See `reference.perturb`."""
    out = np.empty(cells.shape, dtype)
    plain = (*address.key, address.purpose, address.chip, address.read, address.row, address.col)
    _launch(_kernels.perturb, _frozen(cells), _table(table), _integers(plain), up, reference, shift, bound, out)
    return out


@_or_reference
def stick(cells, address, *, high_share, low_share, high):
    """See `reference.stick`."""
    out = np.array(cells, order="C")
    plain = (*address.key, address.purpose, address.chip, address.read, address.row, address.col)
    _launch(_kernels.stick, _integers(plain), high_share, low_share, high, out)
    return out


def _choice(array, dtypes):
    # (tuple of one array a dtype, all empty but one; which one)
    kind = dtypes.index(array.dtype)
    empty = [np.empty((0,) * array.ndim, dtype) for dtype in dtypes]
    return tuple(array if index == kind else other for index, other in enumerate(empty)), kind


@_or_reference
def read(digits, x_scale, grid, w_scale, *, strides, widths, rows, bound, wide, steps, tops, units, weights, dtype):
    """See `reference.read`."""
    codes = digits.astype(np.int32) * np.asarray(strides, np.int32)[:, None, None]
    out = np.empty((codes.shape[1], grid.shape[2]), dtype)
    if wide:
        kernel, real = _kernels.read_wide, np.float64
    else:
        kernel, real = (_kernels.read_float32 if bound <= 2**24 else _kernels.read_narrow), np.float32
    low, tops = (-np.inf, (np.inf,) * len(steps)) if tops is None else (0.0, tops)
    with blas_on_one_thread():
        _launch(
            kernel,
            *_choice(np.ascontiguousarray(codes), _INTEGERS),
            _frozen(x_scale),
            *_choice(np.ascontiguousarray(grid), _INTEGERS),
            _frozen(w_scale),
            rows,
            codes.shape[2],
            _floats(steps).astype(real),
            real(low),
            _floats(tops).astype(real),
            _floats(weights if units is None else units),
            units is not None,
            _floats(weights),
            (ROW_BLOCK, COL_BLOCK),
            _choice(out, _FLOATS)[0],
        )
    return out

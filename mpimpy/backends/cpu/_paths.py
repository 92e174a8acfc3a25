"""Decisions of a read on the CPU: the path of every input slice, and the constants of the kernel."""

import functools
import math
import operator
from typing import Any, NamedTuple

import numpy as np

from ..reading import Reading

__all__ = ["LOOK_UP_BITS", "LOOK_UP_ROWS", "Constants", "constants", "floats", "integers", "read_paths", "too_wide"]

LOOK_UP_ROWS = 32  # input rows from which look-up tables are worth building
LOOK_UP_BITS = 4  # widest digits that are looked up where a pair would be two limbs, or none
CELL_BYTES = (1, 2, 4)  # of the cells and codes that the kernels read as plain memory
_PACKED_BYTES = {"look-up": 1 / 8, "pairs": 2, "float": 8}  # of one digit


@functools.lru_cache(maxsize=256)
def integers(numbers: tuple[int, ...]) -> Any:
    """Return a tuple as an int64 array, always the same one."""
    return np.array(numbers, np.int64)


@functools.lru_cache(maxsize=256)
def floats(numbers: tuple[float, ...]) -> Any:
    """Return a tuple as a float64 array, always the same one."""
    return np.array(numbers, np.float64)


def too_wide(dtype: Any) -> bool:
    """Return whether no kernel reads cells of a dtype; the reference's float64 products hold them."""
    return np.dtype(dtype).itemsize not in CELL_BYTES


@functools.lru_cache(maxsize=256)
def read_paths(height: int, digits_dtype: Any, grid_dtype: Any, reading: Reading) -> tuple[tuple[str, str], ...]:
    """See `reference.read_paths`: "look-up", "pairs" or "float" of `_currents`."""
    slices, digits_dtype, grid_dtype = len(reading.strides), np.dtype(digits_dtype), np.dtype(grid_dtype)
    widths = reading.widths
    if too_wide(grid_dtype):
        return (("float", "cells take more than 32 bits: float64 products in plain array-API calls"),) * slices
    if reading.bound >= 2**31:
        if code_limb(digits_dtype, grid_dtype, reading):
            why = "currents need more than 32 bits: codes are two limbs of 16 bits, and cells fit 16 bits"
            return (("pairs", why),) * slices
        return (("float", "currents need more than 32 bits"),) * slices
    top = 2 ** (8 * digits_dtype.itemsize - 1) - 1 if widths is None else 2 ** max(widths) - 1
    bits = None if reading.signed else widths  # tables hold the sums of unsigned digits alone
    few = f"{height} input rows do not pay for tables, {LOOK_UP_ROWS} would"
    if digits_dtype.itemsize > 2 or max(reading.strides) * top >= 2**15:
        reason = "codes take more than 16 bits"
        if bits is not None and max(bits) <= LOOK_UP_BITS and height >= LOOK_UP_ROWS:
            return (("look-up", f"{reason}, digits at most {LOOK_UP_BITS}"),) * slices
        if reading.signed:
            return (("float", f"{reason}, and signed digits ask no tables"),) * slices
        return (("float", reason + (f", and {few}" if height < LOOK_UP_ROWS else "")),) * slices
    if grid_dtype.itemsize > 2:
        # a pair of two limbs costs twice as much
        looked_up, fit = LOOK_UP_BITS, "codes fit 16 bits, and cells are two limbs of 16 bits"
        why = f"cells take more than 16 bits, digits at most {LOOK_UP_BITS}"
    else:
        looked_up, fit = 1, "codes and cells fit 16 bits"
        why = f"one bit asks for table entries, and {height} input rows pay for the tables"
    found = []
    for width in bits or (None,) * slices:
        if width is None or width > looked_up:
            found.append(("pairs", fit))
        elif height >= LOOK_UP_ROWS:
            found.append(("look-up", why))
        else:
            found.append(("pairs", f"{fit}, and {few}"))
    return tuple(found)


def code_limb(digits_dtype: Any, grid_dtype: Any, reading: Reading) -> int:
    """Return the bits of the lower limb of codes whose currents need more than 32 bits; 0: two limbs do not do.

    The lower limb is signed. Each limb fits 16 bits, and its currents fit 32.
    """
    if reading.bound < 2**31 or not reading.code_bound or grid_dtype.itemsize > 2 or digits_dtype.itemsize > 4:
        return 0
    most = reading.rows * max(1, reading.bound // (reading.rows * reading.code_bound))
    for bits in range(16, 0, -1):
        half = 1 << (bits - 1)
        upper = (reading.code_bound + half) >> bits
        if most * half < 2**31 and most * upper < 2**31 and upper < 2**15:
            return bits
    return 0


def byte_cells(paths: tuple[str, ...], grid_dtype: Any, reading: Reading) -> bool:
    """Return whether paired codes, and the upper of two limbs of cells, fit bytes."""
    if "pairs" not in paths or grid_dtype.itemsize != 4 or not 0 < reading.code_bound <= 127:
        return False
    # two products of bytes stay within 16 bits: 2 * 255 * 64 does
    return reading.bound // (reading.rows * reading.code_bound) + 2**15 < 65 << 16


def _factors(reading: Reading, errs: bool) -> tuple[Any, Any] | None:
    # (inner, outer) with shift_weights[j][i] = inner[j][i] * outer[j], if float32 would add up the inner
    # sums exactly and int32 does the outer ones; None if not
    weights = reading.shift_weights
    if reading.digit_units is not None or (errs and reading.code_range is None):
        return None  # errors may carry codes beyond those of any current
    if not all(weight.is_integer() for row in weights for weight in row):
        return None
    outer = [math.gcd(*map(int, row)) or 1 for row in weights]
    inner = [[int(weight) // common for weight in row] for row, common in zip(weights, outer, strict=True)]
    if reading.code_range is None:
        more = 1 if reading.adc_origin is None else 2
        codes = [[math.ceil(reading.bound * gain) + more for gain in row] for row in reading.adc_gain]
    else:
        lows, tops = reading.code_range
        codes = [list(map(max, map(abs, low), map(abs, top))) for low, top in zip(lows, tops, strict=True)]
    sums = [sum(c * abs(a) for c, a in zip(code, row, strict=True)) for code, row in zip(codes, inner, strict=True)]
    if max(sums) > 2**24 or sum(map(operator.mul, sums, outer)) >= 2**31:
        return None
    return np.array(inner, np.float64 if reading.wide else np.float32), np.array(outer, np.int32)


class Constants(NamedTuple):
    """Constants of the read kernel.

    Attributes
    ----------
    paths : tuple of str
        Per input slice; see `read_paths`.
    looked_up, paired : int64 arrays
        Numbers of the slices on either path.
    widths, strides : int64 arrays
        Of the slices; widths are 0 where they are not known.
    code_limb : int
        Bits of the lower of two limbs of paired codes; 0 where codes are one limb.
    byte_cells : bool
        The upper limbs of cells are bytes.
    row_bytes : float
        Bytes of one packed input, of all slices.
    adc : tuple
        Arguments of the kernel on the ADC and the shift-and-add, from `steps` to `weights`.
    """

    paths: tuple[str, ...]
    looked_up: Any
    paired: Any
    widths: Any
    strides: Any
    code_limb: int
    byte_cells: bool
    row_bytes: float
    adc: tuple[Any, ...]


@functools.lru_cache(maxsize=256)
def constants(height: int, digits_dtype: Any, grid_dtype: Any, reading: Reading, errs: bool = False) -> Constants:
    """Return the constants of the kernel for a read of `height` input rows, by ADCs with or without errors."""
    paths = tuple(path for path, _ in read_paths(height, digits_dtype, grid_dtype, reading))
    limb = code_limb(np.dtype(digits_dtype), np.dtype(grid_dtype), reading)
    small = byte_cells(paths, np.dtype(grid_dtype), reading)
    looked_up, paired = (tuple(i for i, path in enumerate(paths) if path == name) for name in ("look-up", "pairs"))
    return Constants(
        paths,
        integers(looked_up),
        integers(paired),
        integers(reading.widths or (0,) * len(paths)),
        integers(reading.strides),
        limb,
        small,
        sum(_PACKED_BYTES[path] for path in paths) * (2 if limb or small else 1),
        _adc_constants(reading, errs, limb, small),
    )


def _adc_constants(reading: Reading, errs: bool, limb: int, small: bool) -> tuple[Any, ...]:
    real = np.float64 if reading.wide else np.float32
    gain = np.array(reading.adc_gain, real)
    lows, tops = reading.code_range or (np.full_like(gain, -np.inf), np.full_like(gain, np.inf))
    factors = _factors(reading, errs)
    inner, outer = factors or (np.empty((1, 0), real), np.empty(0, np.int32))
    units, weights = reading.digit_units, np.array(reading.shift_weights, np.float64)
    origins, more = None, None
    if reading.adc_origin is not None:
        origins, more = -np.array(reading.adc_origin, real), reading.tile_sum
    return (
        gain,
        origins,
        more,
        np.array(lows, real),
        np.array(tops, real),
        2.0**limb if limb else None,
        True if small else None,
        units is not None,
        factors is not None,
        inner,
        outer,
        weights if units is None else np.array(units, np.float64),
        weights,
    )

"""Operands to integers: INT, block floating point and double exponent; slices and their scales."""

import functools
import math
from dataclasses import dataclass, replace
from typing import Any

from .._integers import ceil_div
from ..arrays import constant, device_of, namespace
from ..backends import BlockScales, Slicing
from ..config import Format
from .powers import LOWEST, exponent_of, power, power_in_halves, shift_between, shift_for
from .statistics import BlockStatistics, measure

__all__ = [
    "Encoded",
    "beyond",
    "block_shape",
    "decode",
    "digit_weights",
    "encode",
    "flat_slices",
    "input_scales",
    "integers",
    "narrowest",
    "restride",
    "slicing",
    "top_code",
    "unsliced",
    "weight_scales",
]

WHOLE = 16  # bits of a code that one slice holds
_MIN_EXPONENT = -1022  # of a block: the lowest of float64's normal numbers


@dataclass(frozen=True)
class Encoded:
    """An operand as integers.

    Attributes
    ----------
    digits : integer array, shape (planes, slices, batch, A, C)
        Digits times their stride, least significant slice first.
    scales : float64 array, shape (planes, batch, nA, nC)
        Scale of each block's codes; 0 for a block whose elements are all zero.
    block : (int, int)
    bits, strides, shifts : tuples of int
        Per slice, least significant first: width, factor of the digits, weight in the code.
    offset : int
        Number that was added to the codes before they were sliced.
    exponent : int or None
        None in the ordinary case. Else the products of scales may leave the range of float64, and the scale of
        a block is ``scales * 2**exponent``.
    """

    digits: Any
    scales: Any
    block: tuple[int, int]
    bits: tuple[int, ...]
    strides: tuple[int, ...]
    shifts: tuple[int, ...]
    offset: int = 0
    exponent: int | None = None

    def transpose(self) -> "Encoded":
        """Return the encoding of the transposed operand."""
        xp = namespace(self.scales)
        return replace(
            self,
            digits=xp.permute_dims(self.digits, (0, 1, 2, 4, 3)),
            scales=xp.permute_dims(self.scales, (0, 1, 3, 2)),
            block=self.block[::-1],
        )


def narrowest(largest: int) -> str:
    """Return the name of the narrowest signed dtype that holds ``-largest .. largest``.

    Examples
    --------
    >>> narrowest(128)
    'int16'
    """
    return next(f"int{bits}" for bits in (8, 16, 32, 64) if largest < 2 ** (bits - 1))


def digit_weights(shifts: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, tuple[int, ...]]:
    """Return (common, weights): the weight of each slice, at its stride, in units of ``1 / common``.

    Examples
    --------
    >>> digit_weights((1, -16), (1, 15))
    (15, (15, -16))
    """
    common = math.lcm(*strides)
    return common, tuple(a * (common // u) for a, u in zip(shifts, strides, strict=True))


def block_shape(fmt: Format, shape: tuple[int, int], rows: int, *, weight: bool) -> tuple[int, int]:
    """Return the block of `fmt` for an operand, each block holding whole tiles along K.

    Parameters
    ----------
    fmt : Format
    shape : (int, int)
        (M, K) for inputs, (K, N) for weights.
    rows : int
        Rows of a tile.
    weight : bool

    Raises
    ------
    ValueError
        If blocks cut through a tile along the summed axis.
    """
    axis = 0 if weight else 1
    whole = [max(1, size) for size in shape]
    whole[axis] = ceil_div(whole[axis], rows) * rows
    name = fmt.granularity
    if name == "finest":
        return (rows, 1) if weight else (1, rows)
    if name == "per-matrix":
        return whole[0], whole[1]
    if name == "per-row" and not weight:
        return (1, whole[1])
    if name == "per-col" and weight:
        return (whole[0], 1)
    if isinstance(name, str):
        operand, good = ("weights", "per-col") if weight else ("inputs", "per-row")
        msg = (
            f"granularity {name!r} of the {operand} gives scales that change along the summed axis inside a tile "
            f"of {rows} rows, where currents are already added: use {good!r}, 'finest', 'per-matrix', or a block "
            f"of a multiple of {rows} along that axis"
        )
        raise ValueError(msg)
    if name[axis] % rows and name[axis] < shape[axis]:
        whole_tiles = list(name)
        whole_tiles[axis] = ceil_div(name[axis], rows) * rows
        msg = (
            f"granularity {name} of the {'weights' if weight else 'inputs'} cuts through tiles of {rows} rows, where "
            f"currents are already added: use a multiple of {rows} along that axis, such as {tuple(whole_tiles)}"
        )
        raise ValueError(msg)
    block = [min(size, full) for size, full in zip(name, whole, strict=True)]
    block[axis] = ceil_div(block[axis], rows) * rows
    return block[0], block[1]


@functools.lru_cache(maxsize=256)
def _slicing(fmt: Format, strides: tuple[int, ...] | None, dtype: str | None) -> Slicing:
    # as `encode` cuts codes
    bits = fmt.ascending
    strides = (1,) * len(bits) if strides is None else strides
    if dtype is None:
        dtype = narrowest(max((2**b - 1) * stride for b, stride in zip(bits, strides, strict=True)))
    return Slicing(bits, strides, dtype, fmt.signed, fmt.offset)


def slicing(fmt: Format) -> Slicing:
    """Return how `encode` cuts the codes of inputs into digits."""
    return _slicing(fmt, None, None)


def top_code(fmt: Format) -> float:
    """Return the code of the largest magnitude of a block, in INT format."""
    return float(2 ** (fmt.bits - 1) - 1)


@functools.lru_cache(maxsize=256)
def unsliced(fmt: Format) -> Format:
    """Return a format of the same values whose codes are one slice, if it is INT and not too wide; else itself."""
    if fmt.bw_e is not None or fmt.bits > WHOLE:
        return fmt
    return replace(fmt, slices=(1, fmt.bits - 1), mapping="signed")


@functools.lru_cache(maxsize=256)
def _shifts(fmt: Format) -> tuple[int, ...]:
    return fmt.shifts


def encode(
    backend: Any,
    values: Any,
    fmt: Format,
    block: tuple[int, int],
    strides: tuple[int, ...] | None = None,
    dtype: str | None = None,
    statistics: BlockStatistics | None = None,
) -> Encoded:
    """Quantise and slice an operand.

    Parameters
    ----------
    backend : module
        A backend.
    values : real floating array, shape (batch, A, C), finite, not empty
    fmt : Format
    block : (int, int)
    strides : tuple of int, optional
        Factor of the digits of each slice, least significant first; by default 1.
    dtype : str, optional
        Integer dtype of the digits; by default the narrowest.
    statistics : BlockStatistics, optional
        Of the whole operand, if `values` are a part that cuts through blocks; by default they are measured.

    Returns
    -------
    Encoded
    """
    cut = _slicing(fmt, strides, dtype)
    if statistics is None:
        statistics = measure(backend, values, fmt, block)
    peak = statistics.maximum
    xp = namespace(peak)
    # magnitudes of float32 and of narrower floats are in the band
    narrow = values.dtype == xp.float32 or getattr(values.dtype, "itemsize", 8) == 2
    exponent = None
    if not narrow:
        exponent = shift_for(xp, peak) if statistics.span is None else shift_between(*statistics.span)
    planes = []
    if fmt.bw_e is None:
        top = top_code(fmt)
        divisor = xp.where(peak > 0, peak, xp.ones_like(peak))
        tops = xp.full_like(peak, top)
        leading = peak if not exponent else peak * 2.0**-exponent
        # by an array: XLA would multiply by the reciprocal of a number
        planes.append((BlockScales(tops, divisor), leading / tops))
    else:
        zero = xp.zeros_like(peak)
        groups: list[tuple[Any, Any, tuple[Any, Any] | None]] = [(peak, peak, None)]
        if fmt.double:
            mean = statistics.mean
            above = xp.where(peak > mean, peak, zero)
            groups = [(above, peak, (mean, zero + math.inf)), (statistics.below, mean, (zero - 1.0, mean))]
        lowest = max(-(2 ** (fmt.bw_e - 1)), _MIN_EXPONENT)
        for size, leader, span in groups:
            shared = xp.clip(exponent_of(xp, leader), lowest, 2 ** (fmt.bw_e - 1) - 1)
            scale_1, scale_2 = power_in_halves(xp, fmt.bits - 2 - shared)
            unit = shared + 2 - fmt.bits
            if exponent is not None:
                unit = xp.clip(unit - exponent, LOWEST, None)
            scale = xp.where(size > 0, power(xp, unit), zero)
            planes.append((BlockScales(scale_1, None, scale_2, span), scale))
    digits = [backend.digits(values, block, factors, cut) for factors, _ in planes]
    scales = [scale for _, scale in planes]
    if len(planes) == 1:
        arrays = digits[0][None, ...], scales[0][None, ...]
    else:
        arrays = xp.stack(digits, axis=0), xp.stack(scales, axis=0)
    return Encoded(*arrays, block, cut.bits, cut.strides, _shifts(fmt), fmt.offset, exponent)


def flat_slices(digits: Any) -> Any:
    """Return digits of shape (planes, slices, batch, A, C) as backend take them: (planes * slices, batch * A, C)."""
    planes, slices, batch, rows, cols = digits.shape
    return namespace(digits).reshape(digits, (planes * slices, batch * rows, cols))


def restride(encoded: Encoded, strides: tuple[int, ...], dtype: str) -> Encoded:
    """Return `encoded`, of stride 1, with its digits multiplied by `strides`."""
    xp = namespace(encoded.digits)
    factor = constant(xp, strides, dtype, device_of(encoded.digits))
    digits = xp.astype(encoded.digits, getattr(xp, dtype)) * xp.reshape(factor, (1, -1, 1, 1, 1))
    return replace(encoded, digits=digits, strides=strides)


def integers(encoded: Encoded) -> Any:
    """Return the integer codes q of an operand, int64, shape (planes, batch, A, C)."""
    xp = namespace(encoded.digits)
    total: Any = None
    for index, (shift, stride) in enumerate(zip(encoded.shifts, encoded.strides, strict=True)):
        digits = encoded.digits[:, index, ...]
        # digits are multiples of their stride: the division is exact for both signs
        term = xp.astype(digits if stride == 1 else digits // stride, xp.int64)
        term = term if shift == 1 else term * shift
        total = term if total is None else total + term
    return total - encoded.offset if encoded.offset else total


def beyond(encoded: Encoded, values: Any) -> Any:
    """Return which values lie beyond the codes of their format, bool, shape (batch, A, C).

    Parameters
    ----------
    encoded : Encoded
    values : real floating array, shape (batch, A, C)
        As they were encoded.
    """
    xp, widths = namespace(values), zip(encoded.bits, encoded.shifts, strict=True)
    top = sum(max(shift, 0) * (2**bits - 1) for bits, shift in widths) - encoded.offset
    saturated = xp.any(xp.abs(integers(encoded)) >= top, axis=0)
    # scales are rounded: the largest value of a block may differ from its code by a few of the last bits
    lost = xp.abs(xp.astype(values, xp.float64)) - xp.abs(decode(encoded))
    return saturated & (lost > 2.0**-40 * xp.abs(xp.astype(values, xp.float64)))


def _expand_blocks(xp: Any, scales: Any, block: int, axis: int, size: int) -> Any:
    # the scale of each block, repeated for its elements along one axis
    if block == 1:
        return scales
    index = xp.arange(size, dtype=xp.int64, device=device_of(scales)) // block
    return xp.take(scales, index, axis=axis)


def decode(encoded: Encoded) -> Any:
    """Return the float64 values of an encoded operand, shape (batch, A, C)."""
    xp = namespace(encoded.digits)
    rows, cols = encoded.digits.shape[-2:]
    scales = encoded.scales
    for axis, block, size in ((2, encoded.block[0], rows), (3, encoded.block[1], cols)):
        if scales.shape[axis] > 1:
            scales = _expand_blocks(xp, scales, block, axis, size)
    values = xp.astype(integers(encoded), xp.float64) * scales
    values = values[0, ...] if values.shape[0] == 1 else xp.sum(values, axis=0)
    return values if not encoded.exponent else values * 2.0**encoded.exponent


def input_scales(encoded: Encoded, rows: int) -> Any:
    """Return the scale of every input row in every tile, shape (planes, batch * M, tiles)."""
    xp = namespace(encoded.scales)
    planes, _, batch, height, depth = encoded.digits.shape
    tiles = ceil_div(depth, rows)
    scales = _expand_blocks(xp, encoded.scales, encoded.block[0], 2, height)
    scales = _expand_blocks(xp, scales, encoded.block[1] // rows, 3, tiles)
    return xp.reshape(scales, (planes, batch * height, tiles))


def weight_scales(encoded: Encoded, rows: int) -> Any:
    """Return the scale of every weight column in every tile, shape (planes, tiles, N)."""
    xp = namespace(encoded.scales)
    planes, _, _, depth, width = encoded.digits.shape
    tiles = ceil_div(depth, rows)
    scales = _expand_blocks(xp, encoded.scales, encoded.block[0] // rows, 2, tiles)
    scales = _expand_blocks(xp, scales, encoded.block[1], 3, width)
    return xp.reshape(scales, (planes, tiles, width))

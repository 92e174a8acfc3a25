"""Operands to digits and back, in plain array-API calls: a part of the reference."""

import functools
from typing import Any

import array_api_extra as xpx
from array_api_compat import array_namespace, device

from ..._integers import ceil_div
from ..reading import BlockScales, Slicing

__all__ = ["block_max", "block_sums", "code_limits", "digits", "expand_blocks", "fold", "limbs", "multiply"]


def _blocks(xp: Any, values: Any, block: tuple[int, int]) -> Any:
    # (batch, nA, a, nC, c), zeros beyond the ragged edge
    batch, rows, cols = values.shape
    a, c = block
    high, wide = ceil_div(rows, a), ceil_div(cols, c)
    values = xpx.pad(values, ((0, 0), (0, high * a - rows), (0, wide * c - cols)))
    return xp.reshape(values, (batch, high, a, wide, c))


def expand_blocks(xp: Any, quantity: Any, block: tuple[int, int], shape: tuple[int, ...]) -> Any:
    """Return a per-block quantity repeated over the elements of its block: an array of `shape`."""
    _, rows, cols = shape
    full = xp.repeat(xp.repeat(quantity, block[0], axis=1), block[1], axis=2)
    return full[:, :rows, :cols]


def block_max(values: Any, block: tuple[int, int], ceiling: Any = None) -> Any:
    """Return max |v| over each block, of the elements with ``|v| <= ceiling`` (0 if none).

    Parameters
    ----------
    values : real floating array, shape (batch, A, C)
    block : (int, int)
    ceiling : float64 array, shape (batch, nA, nC), optional

    Returns
    -------
    float64 array, shape (batch, nA, nC)
    """
    xp = array_namespace(values)
    size = xp.abs(xp.astype(values, xp.float64))
    if ceiling is not None:
        size = xp.where(size <= expand_blocks(xp, ceiling, block, values.shape), size, xp.zeros_like(size))
    return xp.max(_blocks(xp, size, block), axis=(2, 4))


def block_sums(values: Any, block: tuple[int, int], scale_1: Any, scale_2: Any) -> Any:
    """Return, per block, the sum of ``rint(|v| * scale_1 * scale_2)``: exact, in any order.

    Parameters
    ----------
    values : real floating array, shape (batch, A, C)
    block : (int, int)
    scale_1, scale_2 : float64 arrays, shape (batch, nA, nC)
        Powers of two. Two of them, because their product may pass the range of float64.

    Returns
    -------
    int64 array, shape (batch, nA, nC)
    """
    xp = array_namespace(values)
    expand = functools.partial(expand_blocks, xp, block=block, shape=values.shape)
    fixed = xp.round(xp.abs(xp.astype(values, xp.float64)) * expand(scale_1) * expand(scale_2))
    return xp.sum(_blocks(xp, xp.astype(fixed, xp.int64), block), axis=(2, 4), dtype=xp.int64)


def code_limits(bits: tuple[int, ...], signed: bool) -> tuple[float, float]:
    """Return the lowest and the highest code of `sum(bits)` bits, as floats; a `signed` code has its sign besides."""
    top = 2.0 ** (sum(bits) if signed else sum(bits) - 1)
    return (1 - top if signed else -top), top - 1


def digits(values: Any, block: tuple[int, int], scales: BlockScales, slicing: Slicing) -> Any:
    """Quantise and slice: the digits of every element, times their stride.

    The code is ``q = rint(v / divisor * scale_1 * scale_2)``, clipped to the range of ``sum(bits)``
    bits; outside the span of the block's scales it is 0. The digits are those of q in two's
    complement; or, if signed, those of its magnitude, each with the sign of the code; or those of
    ``q + offset``, which is never negative.

    Parameters
    ----------
    values : real floating array, shape (batch, A, C)
    block : (int, int)
    scales : BlockScales
    slicing : Slicing

    Returns
    -------
    integer array, shape (slices, batch, A, C)
    """
    xp = array_namespace(values)
    expand = functools.partial(expand_blocks, xp, block=block, shape=values.shape)
    v = xp.astype(values, xp.float64)
    low, high = code_limits(slicing.bits, slicing.signed)
    q = v if scales.divisor is None else v / expand(scales.divisor)
    for scale in (scales.scale_1, scales.scale_2):
        q = q if scale is None else q * expand(scale)
    q = xp.clip(xp.round(q), low, high)
    if scales.span is not None:
        size = xp.abs(v)
        q = xp.where((size > expand(scales.span[0])) & (size <= expand(scales.span[1])), q, xp.zeros_like(q))
    q = xp.astype(q, xp.int64) + slicing.offset
    sign = xp.sign(q) if slicing.signed else 1
    q = xp.abs(q) if slicing.signed else q
    out, below = [], 0
    for width, stride in zip(slicing.bits, slicing.strides, strict=True):
        out.append(xp.astype(((q >> below) & (2**width - 1)) * (sign * stride), getattr(xp, slicing.dtype)))
        below += width
    return xp.stack(out, axis=0)


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
    """Return the operand that slices stand for: ``sum over s of digits[s] * weights[s] / divisor``.

    Parameters
    ----------
    digits : integer array, shape (slices, A, C)
    weights : tuple of float
    divisor : float
    scales : float64 array, optional
        Factor of the elements of each tile: shape (A, tiles) for axis 1, (tiles, C) for axis 0.
    rows : int
        Rows of a tile.
    axis : int
        The axis that is cut into tiles.
    dtype : str
        Name of the dtype of the result; an integer one if the sum is a whole number.

    Returns
    -------
    array, shape (A, C)
    """
    xp = array_namespace(digits)
    total = xp.astype(digits[0, :, :], xp.float64) * weights[0]
    for s in range(1, len(weights)):
        total = total + xp.astype(digits[s, :, :], xp.float64) * weights[s]
    total = total / xp.full_like(total, divisor)  # XLA would multiply by the reciprocal of a number
    if scales is not None:
        tile = xp.arange(digits.shape[axis + 1], dtype=xp.int64, device=device(digits)) // rows
        total = total * xp.take(scales, tile, axis=axis)
    return xp.astype(total, getattr(xp, dtype), copy=False)


def limbs(digits: Any, weights: tuple[int, ...], bits: int, count: int) -> Any:
    """Return the integers ``sum over s of digits[s] * weights[s]``, cut into limbs.

    Limb k holds ``bits`` bits, from bit ``k * bits`` on. The last limb holds the rest, with the sign.

    Parameters
    ----------
    digits : integer array, shape (slices, A, C)
    weights : tuple of int
        Every sum fits 32 bits.
    bits, count : int
        Bits of a limb, and number of limbs.

    Returns
    -------
    int16 array, shape (count, A, C), least significant first
    """
    xp = array_namespace(digits)
    total = xp.astype(digits[0, :, :], xp.int32) * weights[0]
    for s in range(1, len(weights)):
        total = total + xp.astype(digits[s, :, :], xp.int32) * weights[s]
    parts = [(total >> (bits * k)) & (2**bits - 1) for k in range(count - 1)]
    return xp.astype(xp.stack([*parts, total >> (bits * (count - 1))], axis=0), xp.int16)


def multiply(x: Any, w: Any) -> Any:
    """Return the product of two float64 matrices; its last bits belong to the library at hand."""
    return array_namespace(x, w).matmul(x, w)

"""The kernels in plain array-API calls: the specification that every other backend must match.

Operands are three-dimensional, ``(batch, A, C)``, and cut into blocks of ``block = (a, c)``
elements; a per-block quantity has shape ``(batch, nA, nC)``. Coded operands carry the slices in
front, ``(slices, A, C)``, least significant first. All arrays of a call share one namespace and
device. Input is clean: whoever calls has checked it.
"""

import functools

import array_api_extra as xpx
from array_api_compat import array_namespace, device

from .. import random
from . import _ladder

NAME = "reference"
STREAM = None  # bytes of a noisy grid drawn at once; None: all of it
PANEL = 16  # tiles per panel of the float sum


def enter(array):
    """Return `array` as this backend's kernels take it: any real dtype, any array library."""
    return array


def leave(array, like):
    """Return a kernel's result in the library of `like`: the same for this backend."""
    return array


def _blocks(xp, values, block):
    # (batch, nA, a, nC, c) with zeros beyond the ragged edge
    batch, rows, cols = values.shape
    a, c = block
    high, wide = -(-rows // a), -(-cols // c)
    values = xpx.pad(values, ((0, 0), (0, high * a - rows), (0, wide * c - cols)))
    return xp.reshape(values, (batch, high, a, wide, c))


def _spread(xp, quantity, block, shape):
    # a per-block quantity, repeated over the elements of its block
    _, rows, cols = shape
    full = xp.repeat(xp.repeat(quantity, block[0], axis=1), block[1], axis=2)
    return full[:, :rows, :cols]


def peaks(values, block, ceiling=None):
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
        size = xp.where(size <= _spread(xp, ceiling, block, values.shape), size, xp.zeros_like(size))
    return xp.max(_blocks(xp, size, block), axis=(2, 4))


def totals(values, block, scale_1, scale_2):
    """Return, per block, the sum of ``rint(|v| * scale_1 * scale_2)``: exact, in any order.

    Parameters
    ----------
    values : real floating array, shape (batch, A, C)
    block : (int, int)
    scale_1, scale_2 : float64 arrays, shape (batch, nA, nC)
        Powers of two; two, because their product may pass the range of float64.

    Returns
    -------
    int64 array, shape (batch, nA, nC)
    """
    xp = array_namespace(values)
    spread = functools.partial(_spread, xp, block=block, shape=values.shape)
    fixed = xp.round(xp.abs(xp.astype(values, xp.float64)) * spread(scale_1) * spread(scale_2))
    return xp.sum(_blocks(xp, xp.astype(fixed, xp.int64), block), axis=(2, 4), dtype=xp.int64)


def code_range(bits, signed):
    """Return the least and the greatest code of `sum(bits)` bits, as floats; a `signed` one has its sign besides."""
    top = 2.0 ** (sum(bits) if signed else sum(bits) - 1)
    return (1 - top if signed else -top), top - 1


def digits(values, block, divisor, scale_1, scale_2, span, bits, strides, dtype, *, signed=False, offset=0):
    """Quantise and slice: the digits of every element, times their stride.

    The code is ``q = rint(v / divisor * scale_1 * scale_2)``, clipped to the range of
    ``sum(bits)`` bits, where ``low < |v| <= high``, and 0 elsewhere. Its digits are those of two's
    complement; or, with `signed`, of its magnitude, each with the sign of the code; or those of
    ``q + offset``, which no code makes negative.

    Parameters
    ----------
    values : real floating array, shape (batch, A, C)
    block : (int, int)
    divisor, scale_1, scale_2 : float64 arrays, shape (batch, nA, nC), or None for 1
    span : (low, high), float64 arrays of that shape, or None for everything
    bits, strides : tuples of int
        Per slice, least significant first.
    dtype : str
        Name of the integer dtype of the result.
    signed : bool
    offset : int
        0, or ``2**(sum(bits) - 1)``.

    Returns
    -------
    array, shape (slices, batch, A, C)
    """
    xp = array_namespace(values)
    spread = functools.partial(_spread, xp, block=block, shape=values.shape)
    v = xp.astype(values, xp.float64)
    low, high = code_range(bits, signed)
    q = v if divisor is None else v / spread(divisor)
    for scale in (scale_1, scale_2):
        q = q if scale is None else q * spread(scale)
    q = xp.clip(xp.round(q), low, high)
    if span is not None:
        size = xp.abs(v)
        q = xp.where((size > spread(span[0])) & (size <= spread(span[1])), q, xp.zeros_like(q))
    q = xp.astype(q, xp.int64) + offset
    sign = xp.sign(q) if signed else 1
    q = xp.abs(q) if signed else q
    out, below = [], 0
    for width, stride in zip(bits, strides, strict=True):
        out.append(xp.astype(((q >> below) & (2**width - 1)) * (sign * stride), getattr(xp, dtype)))
        below += width
    return xp.stack(out, axis=0)


@functools.lru_cache(maxsize=32)
def _table(xp, where, table):
    return xp.asarray(random.table_values(table), dtype=xp.int64, device=where)


def perturb(
    cells, table, address, *, up, reference, shift, bound, dtype, columns=None, which=None, additive=False, after=None
):
    """Multiply every cell by a random factor, or add a random number to it, in integers.

    A factor: ``out = clip(((((cell << up) + reference) * factor + half) >> shift) - after, +-bound)``
    with ``half = 2**(shift - 1)`` (0 if shift is 0) and an arithmetic shift: rounding to
    nearest, ties towards plus infinity. This line is where the rounding of noise is written down.

    A number: ``out = clip((cell << up) + number, -reference .. bound)``, and never below ``-bound``.

    Parameters
    ----------
    cells : integer array, shape (slices, A, C)
    table : bytes
        Packed quantile tables of `mpimpy.random`, one after the other: factors in units of
        ``2**-16``, or numbers.
    address : mpimpy.random.Address
    up, reference, shift, bound : int
    dtype : str
        Name of the integer dtype of the result.
    columns : (int, int), optional
        The only columns to return, ``first .. last - 1``; by default all.
    which : integer array, shape (slices, A, C), optional
        The number of each cell's table; by default there is one table.
    additive : bool
        The table holds numbers to add.
    after : int, optional
        What the result counts from; by default `reference`. Only with factors.

    Returns
    -------
    array, shape (slices, A, C)
    """
    xp = array_namespace(cells)
    where = device(cells)
    if columns is not None:
        cells, address = cells[:, :, slice(*columns)], address._replace(col=address.col + columns[0])
        which = which if which is None else which[:, :, slice(*columns)]
    slices, rows, cols = cells.shape
    entries = _table(xp, where, table)
    half, after = (1 << shift) >> 1, reference if after is None else after
    low = -min(reference, bound) if additive else -bound
    out = []
    for index in range(slices):
        word = random.words(xp, address, index, (rows, cols), where)
        if which is not None:
            word = word + xp.astype(which[index, :, :], xp.int64) * random.TABLE_SIZE
        entry = xp.reshape(xp.take(entries, xp.reshape(word, (-1,)), axis=0), (rows, cols))
        value = xp.astype(cells[index, :, :], xp.int64) << up
        value = value + entry if additive else (((value + reference) * entry + half) >> shift) - after
        out.append(xp.astype(xp.clip(value, low, bound), getattr(xp, dtype)))
    return xp.stack(out, axis=0)


def stick(cells, address, *, high_share, low_share, high, low=0):
    """Put the stuck cells at `high` or `low`, whatever they held.

    A cell's 32-bit word (two 16-bit draws) below `high_share` makes it stuck at the top, one
    below ``high_share + low_share`` at the bottom.

    Parameters
    ----------
    cells : integer array, shape (slices, A, C)
    address : mpimpy.random.Address
    high_share, low_share : int
        Shares of all cells, in units of ``2**-32``.
    high, low : int
        What a cell at the highest and at the lowest level holds.

    Returns
    -------
    array like `cells`
    """
    xp = array_namespace(cells)
    slices, rows, cols = cells.shape
    fine = address._replace(purpose=random.STUCK_FINE)
    out = []
    for index in range(slices):
        draw = random.words(xp, address, index, (rows, cols), device(cells)) << 16
        draw = draw | random.words(xp, fine, index, (rows, cols), device(cells))
        cell = cells[index, :, :]
        cell = xp.where(draw < high_share + low_share, xp.full_like(cell, low), cell)
        out.append(xp.where(draw < high_share, xp.full_like(cell, high), cell))
    return xp.stack(out, axis=0)


def fold(digits, weights, divisor, scales=None, *, rows=1, axis=0, dtype="float64"):
    """Return the operand that slices stand for: ``sum over s of digits[s] * weights[s] / divisor``.

    Parameters
    ----------
    digits : integer array, shape (slices, A, C)
    weights : tuple of float
    divisor : float
    scales : float64 array, optional
        What the elements of each tile are multiplied by: shape (A, tiles) for axis 1, (tiles, C)
        for axis 0.
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
    total = total / divisor
    if scales is not None:
        tile = xp.arange(digits.shape[axis + 1], dtype=xp.int64, device=device(digits)) // rows
        total = total * xp.take(scales, tile, axis=axis)
    return xp.astype(total, getattr(xp, dtype), copy=False)


def limbs(digits, weights, bits, count):
    """Return the integers ``sum over s of digits[s] * weights[s]``, cut into limbs.

    Limb k holds ``bits`` bits from bit ``k * bits`` on; the last one the sign and all that is left.

    Parameters
    ----------
    digits : integer array, shape (slices, A, C)
    weights : tuple of int
        No sum may pass 32 bits.
    bits, count : int

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


def ways(height, digits_dtype, grid_dtype, *, strides, widths, signed, bound):
    """Return how the currents of every input slice are found, and why: (way, reason) per slice."""
    return (("float", "float64 products in plain array-API calls, exact to 2**53"),) * len(strides)


def multiply(x, w):
    """Return the product of two float64 matrices; its last bits belong to the library at hand."""
    return array_namespace(x, w).matmul(x, w)


def read(
    digits, x_scale, grid, w_scale, *, strides, widths, signed, rows, bound, wide, steps, ends, units, weights, dtype
):
    """Read a programmed matrix: currents, ADC, shift-and-add, scale and reduce.

    For every tile t and pair of slices (j, i):
    ``I = (digits[i] * strides[i]) @ grid[j]`` exactly; ``adc = rint(I * steps[j][i])``, clipped to
    the two `ends` of that pair; if `units` is given ``adc = rint(adc * units[j][i])``;
    ``acc += adc * weights[j][i]``, j outermost; then ``y += (acc * x_scale[:, t]) * w_scale[t]``,
    tiles in ascending order within panels of 16, then panels. All sums are float64, never fused.

    Parameters
    ----------
    digits : integer array, shape (input slices, R, K)
    x_scale : float64 array, shape (R, tiles)
    grid : integer array, shape (weight slices, K, N)
    w_scale : float64 array, shape (tiles, N)
    strides : tuple of int
        DAC code of digit 1, per input slice.
    widths : tuple of int, or None
        Bits per input slice: its digits are 0 .. ``2**bits - 1``. None: they are noisy, any integers.
        Of use to kernels that look digits up; the result does not depend on it.
    signed : bool
        Whether digits may be negative, down to ``1 - 2**bits``.
    rows : int
        Rows of a tile.
    bound : int
        No sum of products exceeds it in magnitude; at most ``2**53``. Kernels choose by it an
        arithmetic that is exact.
    wide : bool
        Currents need more than 32 bits: the ADC computes in float64 instead of float32.
    steps : tuple of tuples of float
        ADC codes per unit of current, per weight slice and input slice, as are all that follow.
    ends : (lows, tops), two tuples of tuples of int, or None
        The lowest and the highest ADC code; None for no saturation.
    units : tuple of tuples of float, or None
        Digit units per ADC code, for snapping.
    weights : tuple of tuples of float
        Weight of each pair in the shift-and-add.
    dtype : str
        Name of the floating dtype of the result.

    Returns
    -------
    array, shape (R, N)
    """
    xp = array_namespace(digits, grid)
    height, depth = digits.shape[1:]
    shape = (height, grid.shape[2])
    y = xp.zeros(shape, dtype=xp.float64, device=device(digits))
    tiles = -(-depth // rows)
    for panel in range(0, tiles, PANEL):
        total = xp.zeros_like(y)
        for tile in range(panel, min(panel + PANEL, tiles)):
            span = slice(tile * rows, min((tile + 1) * rows, depth))
            acc = xp.zeros_like(y)
            for j in range(len(steps)):
                cells = xp.astype(grid[j, span, :], xp.float64)
                for i, weight in enumerate(weights[j]):
                    # float64 products of these integers are exact: every sum stays below 2**53
                    codes = xp.astype(digits[i, :, span], xp.float64) * float(strides[i])
                    current = xp.matmul(codes, cells)
                    adc = xp.round((current if wide else xp.astype(current, xp.float32)) * steps[j][i])
                    if ends is not None:
                        adc = xp.clip(adc, float(ends[0][j][i]), float(ends[1][j][i]))
                    adc = xp.astype(adc, xp.float64)
                    if units is not None:
                        adc = xp.round(adc * units[j][i])
                    acc = acc + adc * weight
            total = total + acc * x_scale[:, tile][:, None] * w_scale[tile, :][None, :]
        y = y + total
    return xp.astype(y, getattr(xp, dtype))


def transfer(conductance, r_word, r_bit):
    """Return the matrices that tiles with wire resistance are: currents = voltages @ matrix.

    The circuit, and the order of every operation, stand in `_ladder`.

    Parameters
    ----------
    conductance : float64 array, shape (batch, rows, cols)
        Of the cells, at least 0.
    r_word, r_bit : float
        Resistance of a segment of word line, of bit line, at least 0.

    Returns
    -------
    float64 array, shape (batch, rows, cols)
    """
    return _ladder.transfer(conductance, r_word, r_bit)


def node_voltages(conductance, voltages, r_word, r_bit):
    """Return the voltages of all nodes: (word lines', bit lines').

    Parameters
    ----------
    conductance : float64 array, shape (batch, rows, cols)
    voltages : float64 array, shape (batch, rows, inputs)
    r_word, r_bit : float

    Returns
    -------
    (float64 array, float64 array), shape (batch, rows, cols, inputs)
    """
    return _ladder.node_voltages(conductance, voltages, r_word, r_bit)

"""The Triton kernels themselves; `torch_cuda` launches them where they are exact.

They run compiled on CUDA, or interpreted on CPU where ``TRITON_INTERPRET=1`` was set before Triton
was imported. Every launch turns floating-point fusion off: a multiply and an add stay two.
"""

import triton
import triton.language as tl

from ...noise import STUCK_FINE
from ..reading import PANEL, ROW_BITS
from ._disturb import frozen, noisy
from ._words import eight, word

_PANEL = tl.constexpr(PANEL)
_ROW_BITS = tl.constexpr(ROW_BITS)
_FINE = tl.constexpr(STUCK_FINE)
# x + 1.5 * 2**23 holds rint(x), half to even, in its low bits, for |x| <= 2**22; in float64, 2**51
_MAGIC_SINGLE = tl.constexpr(12582912.0)
MAGIC_BITS = 0x4B400000
_MAGIC_DOUBLE = tl.constexpr(6755399441055744.0)
# numbers that differ from call to call: Triton must not compile one more kernel for a 1, or a multiple of 16
_NOISE = ["lead", "first_group", "noise_row", "read_number", "tag", "pairs", "key_0", "key_1"]
_DRAW = ["rows", "cols", "first_row", "first_group", "lead", "read", "tag", "key_0", "key_1"]


@triton.jit(do_not_specialize=["key_0", "key_1"])
def philox(counter, key_0, key_1, out):
    """Write the four output words of one counter, to be checked against the published vectors."""
    seed = (word(key_1).to(tl.uint64) << 32) | word(key_0).to(tl.uint64)
    at = tl.arange(0, 1)
    c0, c1 = tl.load(counter + at), tl.load(counter + 1 + at)
    c2, c3 = tl.load(counter + 2 + at), tl.load(counter + 3 + at)
    w0, w1, w2, w3 = tl.philox(seed, c0, c1, c2, c3)
    tl.store(out + at, w0.to(tl.int32, bitcast=True))
    tl.store(out + 1 + at, w1.to(tl.int32, bitcast=True))
    tl.store(out + 2 + at, w2.to(tl.int32, bitcast=True))
    tl.store(out + 3 + at, w3.to(tl.int32, bitcast=True))


@triton.jit
def _place(rows, cols, first_row, first_group, lead, ROWS: tl.constexpr, GROUPS: tl.constexpr):
    # (slice, Philox rows, Philox groups, where in the array, which are in it) of a program's cells
    down = tl.cdiv(rows, ROWS)
    index = tl.program_id(0) // down
    row = (tl.program_id(0) % down) * ROWS + tl.arange(0, ROWS)
    start = tl.program_id(1) * GROUPS
    group = start + tl.arange(0, GROUPS)
    col = start * 8 + tl.arange(0, GROUPS * 8) - lead
    at = (index.to(tl.int64) * rows + row[:, None]) * cols + col[None, :]
    inside = (row[:, None] < rows) & (col[None, :] >= 0) & (col[None, :] < cols)
    row = word(first_row) + row.to(tl.uint32)
    group = word(first_group) + group.to(tl.uint32)
    return index, row, group, at, inside


@triton.jit(do_not_specialize=[*_DRAW, "level_shift", "reference", "shift", "bound"])
def perturb(
    cells,
    table,
    out,
    rows,
    cols,
    first_row,
    first_group,
    lead,
    read,
    tag,
    key_0,
    key_1,
    level_shift,
    reference,
    shift,
    bound,
    ROWS: tl.constexpr,
    GROUPS: tl.constexpr,
):
    """See `reference.perturb`; a program draws for ROWS rows of GROUPS groups of eight columns."""
    index, row, group, at, inside = _place(rows, cols, first_row, first_group, lead, ROWS, GROUPS)
    random = eight(group, row, read, word(tag) + (index.to(tl.uint32) << 20), key_0, key_1, ROWS, GROUPS)
    factor = tl.load(table + random).to(tl.int64)
    shift, bound = shift.to(tl.int64), bound.to(tl.int64)
    one = tl.full((), 1, tl.int64)
    half = (one << shift) >> 1
    value = tl.load(cells + at, mask=inside, other=0).to(tl.int64)
    value = (value << level_shift.to(tl.int64)) + reference.to(tl.int64)
    value = ((value * factor + half) >> shift) - reference.to(tl.int64)
    value = tl.minimum(tl.maximum(value, -bound), bound)
    tl.store(out + at, value.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=[*_DRAW, "level_shift", "reference", "after", "shift", "low", "bound"])
def perturb_levels(
    cells,
    which,
    table,
    out,
    rows,
    cols,
    first_row,
    first_group,
    lead,
    read,
    tag,
    key_0,
    key_1,
    level_shift,
    reference,
    after,
    shift,
    low,
    bound,
    MANY: tl.constexpr,
    ADDITIVE: tl.constexpr,
    ROWS: tl.constexpr,
    GROUPS: tl.constexpr,
):
    """See `reference.perturb`: with a table for each of several levels, or with numbers that are added."""
    index, row, group, at, inside = _place(rows, cols, first_row, first_group, lead, ROWS, GROUPS)
    random = eight(group, row, read, word(tag) + (index.to(tl.uint32) << 20), key_0, key_1, ROWS, GROUPS)
    if MANY:
        random += tl.load(which + at, mask=inside, other=0).to(tl.int64) << 16
    entry = tl.load(table + random).to(tl.int64)
    value = tl.load(cells + at, mask=inside, other=0).to(tl.int64) << level_shift.to(tl.int64)
    if ADDITIVE:
        value += entry
    else:
        shift = shift.to(tl.int64)
        half = (tl.full((), 1, tl.int64) << shift) >> 1
        value = (((value + reference.to(tl.int64)) * entry + half) >> shift) - after.to(tl.int64)
    value = tl.minimum(tl.maximum(value, low.to(tl.int64)), bound.to(tl.int64))
    tl.store(out + at, value.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=["cols", "lines", "arrays", "lead", "width", "bound"])
def subtract(grid, columns, out, cols, lines, arrays, lead, width, bound, LINES: tl.constexpr, COLS: tl.constexpr):
    """See `reference.subtract`; a program takes COLS columns of LINES rows, those of all slices in a row."""
    line = tl.program_id(0).to(tl.int64) * LINES + tl.arange(0, LINES)
    col = tl.program_id(1) * COLS + tl.arange(0, COLS)
    inside = (line[:, None] < lines) & (col[None, :] < cols)
    array = (col + lead) // width
    less = tl.load(columns + line[:, None] * arrays + array[None, :], mask=inside, other=0).to(tl.int64)
    at, bound = line[:, None] * cols + col[None, :], bound.to(tl.int64)
    value = tl.load(grid + at, mask=inside, other=0).to(tl.int64) - less
    value = tl.minimum(tl.maximum(value, -bound), bound)
    tl.store(out + at, value.to(out.dtype.element_ty), mask=inside)


@triton.jit(do_not_specialize=[*_DRAW, "fine_tag", "high_share", "low_share", "high", "low"])
def apply_stuck_cells(
    cells,
    out,
    rows,
    cols,
    first_row,
    first_group,
    lead,
    read,
    tag,
    fine_tag,
    key_0,
    key_1,
    high_share,
    low_share,
    high,
    low,
    ROWS: tl.constexpr,
    GROUPS: tl.constexpr,
):
    """See `reference.apply_stuck_cells`."""
    index, row, group, at, inside = _place(rows, cols, first_row, first_group, lead, ROWS, GROUPS)
    index = index.to(tl.uint32) << 20
    coarse = eight(group, row, read, word(tag) + index, key_0, key_1, ROWS, GROUPS)
    fine = eight(group, row, read, word(fine_tag) + index, key_0, key_1, ROWS, GROUPS)
    draw = (coarse << 16) | fine
    high_share, low_share = high_share.to(tl.int64), low_share.to(tl.int64)
    cell = tl.load(cells + at, mask=inside, other=0)
    cell = tl.where(draw < high_share + low_share, tl.zeros_like(cell) + low.to(cell.dtype), cell)
    cell = tl.where(draw < high_share, tl.zeros_like(cell) + high.to(cell.dtype), cell)
    tl.store(out + at, cell, mask=inside)


@triton.jit
def _limb(values, LIMB: tl.constexpr, LIMBS: tl.constexpr):
    # v = sum of 256**l * limb l, plus 128 * 256**l for all but the highest: bytes less 128 fit int8
    byte = values >> (8 * LIMB)
    return (byte if LIMB == LIMBS - 1 else byte ^ 0x80).to(tl.int8)


@triton.jit
def _products(codes, cells, X_LIMBS: tl.constexpr, G_LIMBS: tl.constexpr, WIDE: tl.constexpr):
    """Return ``codes @ cells``: int64, or int32 where the currents fit it; partial sums may wrap.

    Tensor cores older than Hopper saturate where a sum passes 32 bits. So each product starts from
    0 and stays within 2**21. Bytes times at most two limbs are added up in the tensor cores: their
    sums stay within 2**30.
    """
    CHAIN: tl.constexpr = (not WIDE) and X_LIMBS == 1 and G_LIMBS <= 2
    total = tl.zeros((codes.shape[0], cells.shape[1]), tl.int64 if WIDE else tl.int32)
    real: tl.constexpr = tl.int64 if WIDE else tl.int32
    x_centre: tl.constexpr = 128 * (256 ** (X_LIMBS - 1) - 1) // 255
    g_centre: tl.constexpr = 128 * (256 ** (G_LIMBS - 1) - 1) // 255
    # Horner's rule from the highest limbs down, so that one accumulator is alive
    for weight in tl.static_range(X_LIMBS + G_LIMBS - 2, -1, -1):
        if weight < X_LIMBS + G_LIMBS - 2:
            total = total << 8
        if weight == 0:
            # Give back the part that centring the bytes took. Rows beyond the tile are zeros, which are centred too.
            if G_LIMBS > 1:
                total += (tl.sum(codes.to(real), 1) * g_centre)[:, None]
            if X_LIMBS > 1:
                total += (tl.sum(cells.to(real) - g_centre, 0) * x_centre)[None, :]
        for a in tl.static_range(X_LIMBS):
            if weight - a >= 0 and weight - a < G_LIMBS:
                x, g = _limb(codes, a, X_LIMBS), _limb(cells, weight - a, G_LIMBS)
                if CHAIN:
                    total = tl.dot(x, g, acc=total, out_dtype=tl.int32)
                else:
                    total += tl.dot(x, g, out_dtype=tl.int32).to(real)
    return total


@triton.jit
def _digitise(
    current,
    step,
    origin,
    low,
    top,
    unit,
    WIDE: tl.constexpr,
    ORIGIN: tl.constexpr,
    SATURATE: tl.constexpr,
    SNAP: tl.constexpr,
    FAST: tl.constexpr,
):
    """Return the ADC's codes: float64, or from FAST the bits of float32 codes on top of MAGIC_BITS."""
    x = current.to(tl.float64 if WIDE else tl.float32) * step
    if ORIGIN:
        x = x - origin
    if FAST:
        if SATURATE:  # before rounding: the ends are integers, so the codes are the same
            x = tl.minimum(tl.maximum(x, low), top)
        adc = (x + _MAGIC_SINGLE).to(tl.int32, bitcast=True)
    else:
        adc = (x.to(tl.float64) + _MAGIC_DOUBLE) - _MAGIC_DOUBLE
        if SATURATE:
            adc = tl.minimum(tl.maximum(adc, low.to(tl.float64)), top.to(tl.float64))
        if SNAP:
            if ORIGIN:
                adc = adc + origin.to(tl.float64)
            adc = (adc * unit + _MAGIC_DOUBLE) - _MAGIC_DOUBLE
    return adc


@triton.jit(do_not_specialize=["height", "tiles", "panel", "inputs", "slices", *_NOISE])
def read(
    codes,
    x_scale,
    grid,
    w_scale,
    out,
    steps,
    origins,
    lows,
    tops,
    units,
    weights,
    strides,
    gains,
    offsets,
    offset,
    normals,
    sigmas,
    height,
    depth,
    width,
    rows,
    tiles,
    panel,
    inputs,
    slices,
    lead,
    first_group,
    noise_row,
    read_number,
    tag,
    pairs,
    key_0,
    key_1,
    X_LIMBS: tl.constexpr,
    G_LIMBS: tl.constexpr,
    WIDE: tl.constexpr,
    ORIGIN: tl.constexpr,
    SATURATE: tl.constexpr,
    SNAP: tl.constexpr,
    STRIDES: tl.constexpr,
    SUM: tl.constexpr,
    ADD: tl.constexpr,
    ONE_CHUNK: tl.constexpr,
    GAIN: tl.constexpr,
    OFFSET: tl.constexpr,
    NOISE: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
):
    """See `reference.read`: the sum over one panel of tiles, for BM x BN outputs.

    A program holds one current, one sum over slices and one sum over tiles. The cells of a weight
    slice are loaded and cut into limbs once for all input slices, where a tile has at most BK rows.
    SUM is the arithmetic of shift-and-add: int32 or int64 where that is exact, else float64.
    GAIN, OFFSET and NOISE are the errors of the ADCs; with noise, blocks begin where groups of eight columns do.
    """
    # neighbouring programs share their columns of the grid, the larger operand
    down = tl.cdiv(height, BM)
    first_row, first_col = (tl.program_id(0) % down) * BM, (tl.program_id(0) // down) * BN
    if NOISE:
        group = word(first_group) + (first_col // 8 + tl.arange(0, BN // 8)).to(tl.uint32)
        first_col -= lead
    panel += tl.program_id(1)
    m, n, k = first_row + tl.arange(0, BM), first_col + tl.arange(0, BN), tl.arange(0, BK)
    # only the start of a block needs 64 bits
    x_slice, g_slice = tl.cast(height, tl.int64) * depth, tl.cast(depth, tl.int64) * width
    x_from, g_from = codes + tl.cast(first_row, tl.int64) * depth, grid + first_col
    x_at = tl.arange(0, BM)[:, None] * depth + k[None, :]
    g_at = k[:, None] * width + tl.arange(0, BN)[None, :]
    across = (n >= 0) & (n < width) if NOISE else n < width
    high, wide = m[:, None] < height, across[None, :]
    total = tl.zeros((BM, BN), tl.float64)
    for tile in range(panel * _PANEL, tl.minimum(panel * _PANEL + _PANEL, tiles)):
        begin = tile * rows
        end = tl.minimum(begin + rows, depth)
        acc = tl.zeros((BM, BN), SUM)
        for j in range(slices):
            if ONE_CHUNK:
                here = (begin + k) < end
                g_here = g_from + (j * g_slice + tl.cast(begin, tl.int64) * width)
                cells = tl.load(g_here + g_at, mask=here[:, None] & wide, other=0)
            for i in range(inputs):
                if ONE_CHUNK:
                    code = tl.load(x_from + (i * x_slice + begin) + x_at, mask=high & here[None, :], other=0)
                    if X_LIMBS == 1:
                        code = code.to(tl.int8)
                    current = _products(code, cells, X_LIMBS, G_LIMBS, WIDE)
                else:
                    current = tl.zeros((BM, BN), tl.int64 if WIDE else tl.int32)
                    for chunk in range(begin, end, BK):
                        there = (chunk + k) < end
                        code = tl.load(x_from + (i * x_slice + chunk) + x_at, mask=high & there[None, :], other=0)
                        if X_LIMBS == 1:
                            code = code.to(tl.int8)
                        g_here = g_from + (j * g_slice + tl.cast(chunk, tl.int64) * width)
                        part = tl.load(g_here + g_at, mask=there[:, None] & wide, other=0)
                        current += _products(code, part, X_LIMBS, G_LIMBS, WIDE)
                if STRIDES:
                    current *= tl.load(strides + i)
                pair = j * inputs + i
                weight = tl.load(weights + pair)
                if GAIN or OFFSET:
                    column = (j * tiles + tile) * width + n
                    current = frozen(current, gains, offsets, offset, column, across, pair, GAIN, OFFSET)
                if NOISE:
                    row = word(noise_row) + (tl.cast(tile, tl.uint32) << _ROW_BITS) + m.to(tl.uint32)
                    number = word(tag) + ((j * pairs + i).to(tl.uint32) << 20)
                    random = eight(group, row, read_number, number, key_0, key_1, BM, BN // 8)
                    current = noisy(current.to(tl.int64), random, normals, tl.load(sigmas + pair))
                unit = tl.load(units + pair) if SNAP else weight
                step, low, top = tl.load(steps + pair), tl.load(lows + pair), tl.load(tops + pair)
                origin = tl.load(origins + pair) if ORIGIN else step
                adc = _digitise(current, step, origin, low, top, unit, WIDE, ORIGIN, SATURATE, SNAP, tl.float64 != SUM)
                if tl.int64 == SUM:
                    adc = (adc - 0x4B400000).to(tl.int64)
                acc += adc * weight
        if tl.int32 == SUM:  # take off the magic number's bits of every code, modulo 2**32
            acc -= tl.load(strides + inputs)
        columns = tl.load(w_scale + tile * width + n, mask=across, other=0.0)
        along = tl.load(x_scale + tl.cast(m, tl.int64) * tiles + tile, mask=m < height, other=0.0)
        tile_sum = acc.to(tl.float64)
        if ORIGIN:
            tile_sum += tl.load(units + slices * inputs)
        total += tile_sum * along[:, None] * columns[None, :]
    at = tl.cast(m, tl.int64)[:, None] * width + n[None, :]
    at += tl.cast(tl.program_id(1), tl.int64) * height * width
    inside = high & wide
    if ADD:
        total = tl.load(out + at, mask=inside, other=0.0) + total
    tl.store(out + at, total.to(out.dtype.element_ty), mask=inside)

"""The product of cells without random effects, in NumPy's int64, with Python's fractions where a float would round.

Independent of the package, of which it reads the settings alone. The oracle knows random effects besides, and takes
the elements one by one; this one takes arrays of numbers, and so thousands of products.
"""

from fractions import Fraction
from functools import lru_cache
from math import ceil, lcm
from typing import NamedTuple

import numpy as np
from oracle import (
    adc_codes,
    ends_of_digits,
    exponent,
    fraction_for,
    mean_of,
    most_codes,
    single,
    spreads_of,
    whole_codes,
    widths,
)

EXACT = 2**53


class Answer(NamedTuple):
    """Float64 results, and how far from them a result may be: None where every bit is promised.

    The last bits of numbers next to float64's smallest one are not this oracle's: `tiny` where such a number took part.
    """

    values: np.ndarray
    bound: np.ndarray | None = None
    tiny: bool = False

    def judge(self, found):
        """Return why `found` is wrong, or None; it may be a 16-bit or 32-bit float."""
        assert found.shape == self.values.shape, (found.shape, self.values.shape)
        with np.errstate(over="ignore"):
            right = self.values.astype(found.dtype)
        right_bits = (found == right) & (np.signbit(found) == np.signbit(right))
        room = np.full(right.shape, 1e-300 if self.tiny else 0.0)
        if self.bound is not None:
            most = np.finfo(found.dtype).max  # beyond it are infinities, which have no spacing
            room += self.bound + 2 * np.spacing(np.minimum(np.abs(right), most) / 2).astype(np.float64)
        wrong = ~(right_bits | (room > 0) & (np.abs(found.astype(np.float64) - self.values) <= room))
        if not wrong.any():
            return None
        at = tuple(map(int, np.argwhere(wrong)[0]))
        room = f"give or take {room[at]}" if room[at] else "bit by bit"
        return f"{wrong.sum()} of {wrong.size} are wrong: at {at} {found[at]!r} is not {right[at]!r}, {room}"


def is_tiny(x, w):
    """Whether numbers of (values, scales), or their products, lie next to float64's smallest one."""
    least_x, least_w = (
        min(float(np.min(part, where=part > 0, initial=1.0)) for part in map(np.abs, pair)) for pair in (x, w)
    )
    return min(least_x, least_w, least_x * least_w) < 1e-270


def round_up(size, step):
    return -(-size // step) * step


def block_of(fmt, shape, rows, weight):
    """Return the rows and columns that share a scale."""
    along = 0 if weight else 1
    whole = [max(1, size) for size in shape]
    whole[along] = round_up(whole[along], rows)
    block = {"per-matrix": list(whole), "finest": [1, 1], "per-row": [1, whole[1]], "per-col": [whole[0], 1]}.get(
        fmt.granularity, fmt.granularity
    )
    block = [min(pair) for pair in zip(block, whole, strict=True)]
    block[along] = round_up(block[along], rows)
    return tuple(block)


def _per_block(values, block, reduce):
    # reduce(part) of each block, repeated for its elements
    out = np.empty_like(values)
    for top in range(0, values.shape[0], block[0]):
        for left in range(0, values.shape[1], block[1]):
            part = np.s_[top : top + block[0], left : left + block[1]]
            out[part] = reduce(values[part])
    return out


def _split(part, block):
    # of magnitudes: (whether each is above their mean, the mean's exponent)
    if not part.any():
        return False, 0
    mean = float(mean_of(part.ravel().tolist(), block))
    return part > mean, exponent(mean)


def quantise(values, fmt, block):
    """Return (codes, scales): int64 and float64, shape (planes, A, C)."""
    bits, size = sum(fmt.slices), np.abs(values)
    peak = _per_block(size, block, np.max)
    if fmt.bw_e is None:
        most = float(2 ** (bits - 1) - 1)
        codes = np.rint(values / np.where(peak > 0, peak, 1.0) * most)
        return codes.astype(np.int64)[None], (peak / most)[None]
    lowest, highest = max(-(2 ** (fmt.bw_e - 1)), -1022), 2 ** (fmt.bw_e - 1) - 1
    leaders = _per_block(size, block, lambda part: exponent(float(part.max())))
    planes = [(np.ones(values.shape, bool), leaders)]
    if fmt.double:
        above, means = np.empty(values.shape), np.empty(values.shape)
        for top in range(0, values.shape[0], block[0]):
            for left in range(0, values.shape[1], block[1]):
                part = np.s_[top : top + block[0], left : left + block[1]]
                above[part], means[part] = _split(size[part], block)
        planes = [(above > 0, leaders), (above == 0, means)]
    codes, scales = [], []
    for members, e in planes:
        e = np.clip(e, lowest, highest).astype(np.int64)
        with np.errstate(over="ignore"):
            q = np.rint(np.ldexp(values, bits - 2 - e))
        q = np.clip(q, (fmt.mapping == "signed") - 2.0 ** (bits - 1), 2.0 ** (bits - 1) - 1)
        codes.append(np.where(members, q, 0).astype(np.int64))
        used = _per_block(np.where(members, size, 0.0), block, np.max) > 0
        scales.append(np.where(used, np.ldexp(1.0, e + 2 - bits), 0.0))
    return np.stack(codes), np.stack(scales)


def digits(codes, fmt):
    """Return the digits as the hardware holds them, shape (planes, slices, A, C), least significant first."""
    sign, bits = 1, sum(fmt.slices)
    if fmt.mapping == "signed":
        sign, codes = np.sign(codes), np.abs(codes)
    elif fmt.mapping == "offset":
        codes = codes + 2 ** (bits - 1)
    found, below = [], 0
    for width in widths(fmt):
        found.append(sign * ((codes >> below) & (2**width - 1)))
        below += width
    return np.stack(found, axis=1)


def grid(config, w_digits, strides, f, faults):
    """Return the cells of each digit together, in units of 2^-f levels; shape (planes, slices, K, N)."""
    device, fmt = config.device, config.weights
    top = device.g_level - 1
    step = (device.HGS - device.LGS) / top
    places = np.arange(top + 1) * 2**f
    if device.levels:
        places = np.array([round((g - device.LGS) / step * 2**f) for g in device.levels])
    bound, pair = 2 * top * 2**f, fmt.mapping == "signed"
    planes, slices = w_digits.shape[:2]
    if faults is None:
        faults = np.zeros((planes * (2 if pair else 1) * slices, *w_digits.shape[2:]), np.int64)
    stuck = faults.reshape(planes, -1, slices, *w_digits.shape[2:])
    levels = w_digits * np.array(strides)[:, None, None]

    def written(levels, stuck):
        return np.where(stuck > 0, top * 2**f, np.where(stuck < 0, 0, places[levels]))

    cells = written(np.maximum(levels, 0), stuck[:, 0])
    if pair:
        return np.clip(cells - written(np.maximum(-levels, 0), stuck[:, 1]), -bound, bound)
    if fmt.mapping == "offset":
        cells[:, -1] = np.clip(cells[:, -1] - places[2 ** (widths(fmt)[-1] - 1) * strides[-1]], -bound, bound)
    return cells


class Numbers(NamedTuple):
    """Of a configuration: strides u and v, weights a and b, grid bits f, whether currents take 64 bits, ADC codes.

    Input slices that are added before one conversion count as one slice.
    """

    u: list
    v: list
    a: list
    b: list
    f: int
    wide: bool
    steps: list
    ends: list
    origins: list | None


@lru_cache(maxsize=4)
def numbers(config, on_grid=None):
    """Return the `Numbers` of a configuration, on the grid that it chooses or on one of `on_grid` bits."""
    device, rows, codes, levels = config.device, config.tile.rows, config.dac.rdac - 1, config.device.g_level - 1
    step = (device.HGS - device.LGS) / levels
    at = [(g - device.LGS) / step for g in device.levels] if device.levels else list(range(levels + 1))
    spreads = spreads_of(device, at, step, device.LGS / step)
    f = max(1, fraction_for(spreads)) if spreads else 0
    f = f if on_grid is None else on_grid
    xb, wb = widths(config.inputs), widths(config.weights)
    u, v = [codes // (2**b - 1) for b in xb], [levels // (2**b - 1) for b in wb]
    x_twos, w_twos = config.inputs.mapping == "twos", config.weights.mapping == "twos"
    a = [(-1 if x_twos and i == len(xb) - 1 else 1) * 2 ** sum(xb[:i]) for i in range(len(xb))]
    b = [(-1 if w_twos and j == len(wb) - 1 else 1) * 2 ** sum(wb[:j]) for j in range(len(wb))]
    unit, most, steps, ends, origins, highest = rows * codes * 2 * levels, 0, None, None, None, None
    xe, we = ends_of_digits(config.inputs), ends_of_digits(config.weights)
    radc = config.adc.radc
    if radc is not None:
        each = radc[::-1] if isinstance(radc, tuple) else (radc,) * len(wb)
        most = most_codes(config, xe, we, max(each))
    wide = unit * 2**f > 2**31 - 1 or most > 2**24
    if wide and on_grid is None and most <= 2**24 and unit * 2**10 <= 2**31 - 1:
        wide = False
        while unit * 2**f > 2**31 - 1:
            f -= 1
    if config.adc.per == "product":
        xe, stride, highest = whole_codes(config, u, a, xe)
        u, a = [stride], [1]
        wide = wide or rows * highest * 2 * levels * 2**f > 2**31 - 1
        wide = wide or adc_codes(config, 1, u, v, xe, we, each, highest)[2] > 2**24
    if radc is not None:
        steps, ends, _, origins = adc_codes(config, 2**f, u, v, xe, we, each, highest)
    return Numbers(u, v, a, b, f, wide, steps, ends, origins)


def table(rows, make=float):
    return np.array([[make(item) for item in row] for row in rows])[:, :, None, None]


def product(x, w, config, x_block, w_block, faults=None):
    """Return the `Answer` for float64 matrices x (M, K) and w (K, N); `faults` are as the oracle takes them."""
    n, w_encoded = numbers(config), quantise(w, config.weights, w_block)
    held = grid(config, digits(w_encoded[0], config.weights), n.v, n.f, faults)
    x_encoded = quantise(x, config.inputs, x_block)
    answer = read(config, n, x_encoded, w_encoded, held, faults is None)
    return answer._replace(tiny=is_tiny((x, x_encoded[1]), (w, w_encoded[1])))


def transposed(x, w, config, x_block, w_block, faults=None):
    """Return the `Answer` of a read from the bit lines: x (M, N) by the transposed w (K, N).

    The columns of a tile share a scale, or their scales multiply the inputs, which every row of tiles then quantises
    anew.
    """
    fmt, (rows, cols) = config.weights, (config.tile.rows, config.tile.cols)
    codes, scales = quantise(w, fmt, w_block)
    n = numbers(config.replace(tile={"rows": cols, "cols": rows}), numbers(config).f)
    config = config.replace(tile={"rows": cols, "cols": rows})
    held = grid(config, digits(codes, fmt), n.v, n.f, faults)
    if w_block[1] >= w.shape[1] or w_block[1] % cols == 0:
        parts = [[(slice(0, fmt.planes), x, scales)] for _ in range(0, len(w), rows)]
    else:
        parts = []
        for top in range(0, len(w), rows):
            parts.append([])
            for plane in range(fmt.planes):
                own = scales[plane, top]
                power = 2.0 ** exponent(2 * float(own.max())) if own.any() else 1.0
                parts[-1].append((slice(plane, plane + 1), x * (own / power), np.full_like(scales, power)))
    found, tiny = [], is_tiny((x, x), (w, scales))
    for top, inputs in zip(range(0, len(w), rows), parts, strict=True):
        total, span = None, slice(top, top + rows)
        for planes, values, units in inputs:
            x_encoded = quantise(values, config.inputs, x_block)
            w_encoded = (part[planes, span].swapaxes(-1, -2) for part in (codes, units))
            cells = held[planes, :, span].swapaxes(-1, -2)
            # products of planes are added one after the other, whichever inputs they have
            total = read(config, n, x_encoded, tuple(w_encoded), cells, lossless=False, before=total)
            tiny = tiny or is_tiny((values, x_encoded[1]), (w, scales))
        found.append(total)
    values, bounds = (
        np.concatenate(parts, axis=1) if parts[0] is not None else None
        for parts in zip(*((a.values, a.bound) for a in found), strict=True)
    )
    return Answer(values, bounds, tiny)


def read(config, n, x, w, held, lossless, before=None):
    """Return the `Answer` for encoded operands, (codes, scales) each, whose weights are `held` by cells.

    `lossless` says whether whole codes are multiplied where an ideal ADC loses nothing; the products are added to the
    `Answer` of those `before`.
    """
    (xq, xs), (wq, ws) = x, w
    if config.adc.radc is None:
        return _ideal(config, n, x, w, held, lossless, before)
    depth, width = wq.shape[1:]
    whole = config.adc.per == "product"
    drive = (xq[:, None] if whole else digits(xq, config.inputs)) * np.array(n.u)[:, None, None]
    rows, adc = config.tile.rows, config.adc
    one, big_u, big_v = 2**n.f, lcm(*n.u), lcm(*n.v)
    step = table(n.steps) if n.wide else table(n.steps, lambda s: single(float(s))).astype(np.float32)
    origin = table(n.origins) if n.wide else table(n.origins, lambda o: single(float(o))).astype(np.float32)
    low, top = (table([[pair[end] for pair in row] for row in n.ends]) for end in (0, 1))
    pairs = [(j, i) for j in range(len(n.v)) for i in range(len(n.u))]
    if adc.snap:
        scale = 1.0
        weights = [[float(a * b) for a in n.a] for b in n.b]
        per = table(
            [[1 / (n.steps[j][i] * one * u * v) for i, u in enumerate(n.u)] for j, v in enumerate(n.v)],
        )
    else:
        finest = max(map(max, n.steps))
        scale = float(1 / (finest * one * big_u * big_v))
        weights = [
            [float(a * (big_u // u) * b * (big_v // v) * finest / s) for a, u, s in zip(n.a, n.u, row, strict=True)]
            for b, v, row in zip(n.b, n.v, n.steps, strict=True)
        ]
    off_zero = Fraction(0)
    for j, i in pairs:
        off_zero += 0 if adc.snap else Fraction(float(origin[j, i, 0, 0])) * Fraction(weights[j][i])
    off_zero = float(off_zero)

    def tile_sum(drive, cells):
        current = np.matmul(drive[None], cells[:, None])  # int64: (weight slices, input slices, M, N)
        code = np.rint(current.astype(step.dtype) * step - origin).astype(np.float64)
        code = np.clip(code, low, top) if adc.saturate else code
        code = np.rint((code + origin) * per) if adc.snap else code
        acc = np.zeros(current.shape[2:])
        for j, i in pairs:
            acc = acc + code[j, i] * weights[j][i]
        return acc + off_zero

    y = None if before is None else before.values
    for pw in range(len(wq)):
        for px in range(len(xq)):
            part = np.zeros((xq.shape[1], width))
            for panel in range(0, depth, 16 * rows):
                total = np.zeros((xq.shape[1], width))
                for start in range(panel, min(panel + 16 * rows, depth), rows):
                    span = slice(start, min(start + rows, depth))
                    acc = tile_sum(drive[px][:, :, span], held[pw][:, span])
                    total = total + acc * (xs[px][:, start, None] * scale) * ws[pw][None, start]
                part = part + total
            y = part if y is None else y + part
    return Answer(y)


def _ideal(config, n, x, w, held, lossless, before=None):
    # Nothing is rounded. Whole codes are exact where a tile's sum of their products is; elsewhere a float64 product
    # of folded slices takes over, whose error counts in its largest operands.
    (xq, xs), (wq, ws) = x, w
    rows, depth, bits = config.tile.rows, wq.shape[1], config.inputs.bits + config.weights.bits
    exact = lossless and n.f == 0 and rows * 2 ** (bits - 2) <= EXACT
    big_v = lcm(*n.v)
    factors = [b * (big_v // v) for b, v in zip(n.b, n.v, strict=True)]
    codes = wq.astype(object)
    if not exact:  # what the cells hold, in units of a code
        folded = sum(held[:, j].astype(object) * int(factor) for j, factor in enumerate(factors))
        codes = folded * Fraction(1, big_v * 2**n.f)
    y, bound = (None, None) if before is None else (before.values, before.bound)
    for pw in range(len(wq)):
        for px in range(len(xq)):
            part, room = np.zeros((xq.shape[1], wq.shape[2])), 0.0
            for panel in range(0, depth, 16 * rows):
                total = np.zeros_like(part)
                for start in range(panel, min(panel + 16 * rows, depth), rows):
                    span = slice(start, min(start + rows, depth))
                    acc = (xq[px][:, span].astype(object) @ codes[pw][span]).astype(np.float64)
                    scales = xs[px][:, start, None], ws[pw][None, start]
                    total = total + acc * scales[0] * scales[1]
                    room = room + scales[0] * scales[1] * (span.stop - span.start)
                part = part + total
            y, bound = (part, room) if y is None else (y + part, bound + room)
    # of a folded weight: the cells' levels, up to twice the highest digit
    return Answer(y, None if exact else bound * 2.0 ** (bits - 50 + ceil(len(xq) + len(wq))))

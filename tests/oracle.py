"""The arithmetic of one product, element by element, in Python's own integers and floats.

Independent of the package: it imports nothing of it but the quantile tables' entries.
"""

import struct
from fractions import Fraction
from math import frexp, lcm
from statistics import NormalDist

from mpimpy import random

MASK = 0xFFFFFFFF


def philox(counter, key):
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c0, 0xCD9E8D57 * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + 0x9E3779B9) & MASK, (k1 + 0xBB67AE85) & MASK
    return c0, c1, c2, c3


def word(seed, chip, read, purpose, index, row, col):
    """The 16-bit word of one cell."""
    counter = (col // 8, row, read, purpose << 28 | index << 20 | chip)
    return philox(counter, (seed & MASK, seed >> 32))[col % 8 // 2] >> (16 * (col % 2)) & 0xFFFF


def single(number):
    return struct.unpack("f", struct.pack("f", number))[0]


def exponent(value):
    return frexp(value)[1] - 1


def quantise(values, fmt, block):
    """Return (codes, scales): per plane, codes[row][col] and scales[row][col]."""
    rows, cols, bits = len(values), len(values[0]), sum(fmt.slices)
    planes = 2 if fmt.double else 1
    codes = [[[0] * cols for _ in range(rows)] for _ in range(planes)]
    scales = [[[0.0] * cols for _ in range(rows)] for _ in range(planes)]
    for top in range(0, rows, block[0]):
        for left in range(0, cols, block[1]):
            cells = [
                (r, c) for r in range(top, min(top + block[0], rows)) for c in range(left, min(left + block[1], cols))
            ]
            sizes = {cell: abs(values[cell[0]][cell[1]]) for cell in cells}
            peak = max(sizes.values())
            if peak == 0:
                continue
            groups = [(cells, peak)]
            if fmt.double:
                mean = sum(Fraction(size) for size in sizes.values()) / len(cells)
                big = [cell for cell in cells if Fraction(sizes[cell]) > mean]
                groups = [(big, peak), ([cell for cell in cells if cell not in big], float(mean))]
            signed = fmt.mapping == "signed"
            for plane, (members, leader) in enumerate(groups):
                if not members or max(sizes[cell] for cell in members) == 0:
                    continue
                for r, c in members:
                    v = values[r][c]
                    if fmt.bw_e is None:
                        most = 2 ** (bits - 1) - 1
                        codes[plane][r][c] = round(v / peak * most)
                        scale = peak / most
                    else:
                        e = min(max(exponent(leader), -(2 ** (fmt.bw_e - 1))), 2 ** (fmt.bw_e - 1) - 1)
                        q = round(Fraction(v) * Fraction(2) ** (bits - 2 - e))
                        codes[plane][r][c] = min(max(q, signed - 2 ** (bits - 1)), 2 ** (bits - 1) - 1)
                        scale = 2.0 ** (e + 2 - bits)
                    scales[plane][r][c] = scale
                for r, c in cells:
                    scales[plane][r][c] = scale
    return codes, scales


def widths(fmt):
    """Bits of the digits, least significant first."""
    slices = list(fmt.slices)
    if fmt.mapping != "twos":
        sign = slices.pop(0)
        slices[0] += sign if fmt.mapping == "offset" else 0
    return slices[::-1]


def digits(code, fmt):
    """Digits of a code as the hardware holds them, least significant first."""
    bits = sum(fmt.slices)
    sign = -1 if fmt.mapping == "signed" and code < 0 else 1
    code = {"twos": code % 2**bits, "signed": abs(code), "offset": code + 2 ** (bits - 1)}[fmt.mapping]
    out = []
    for width in widths(fmt):
        out.append(sign * (code % 2**width))
        code >>= width
    assert code == 0
    return out


def ends_of_digits(fmt):
    """(lowest, highest) of each digit as currents count it."""
    ends = [(1 - 2**b if fmt.mapping == "signed" else 0, 2**b - 1) for b in widths(fmt)]
    if fmt.mapping == "offset":
        half = 2 ** (widths(fmt)[-1] - 1)
        ends[-1] = (-half, half - 1)
    return ends


def fraction_for(spreads):
    need = [s for s in spreads if s > 0]
    return (
        next(f for f in range(17) if f == 16 or all(Fraction(1, 2**f) <= Fraction(s) / 32 for s in need)) if need else 0
    )


def factor(kind, sigma, index):
    z = NormalDist().inv_cdf((index + 0.5) / 65536)
    table = random.lognormal_table(sigma) if kind == "lognormal" else random.gaussian_table(sigma)
    entry = struct.unpack_from("<i", table, 4 * index)[0]
    exact = 2.718281828459045 ** (sigma * z) if kind == "lognormal" else 1 + sigma * z
    assert abs(entry - exact * 65536) <= 0.5 + 1e-6 * abs(exact) * 65536
    return entry


def adc_codes(config, one, u, v, x_ends, w_ends, radc):
    """(steps, ends, largest code): of each weight slice and input slice, in currents of `one` a level and code."""
    device, rows, adc = config.device, config.tile.rows, config.adc
    full = rows * (config.dac.rdac - 1) * (device.g_level - 1) * one
    amperes = float(rows * config.dac.vread * (device.HGS - device.LGS))
    steps, ends = [], []
    for j in range(len(v)):
        steps.append([])
        ends.append([])
        for i in range(len(u)):
            signed = x_ends[i][0] < 0 or w_ends[j][0] < 0
            span, top = full, radc[j] - 1
            low = None
            if adc.range == "lossless":
                top = rows * max(abs(p * q) for p in x_ends[i] for q in w_ends[j])
                span = top * one * u[i] * v[j]
            elif adc.range == "full":
                if config.weights.mapping == "offset" and j == len(v) - 1:
                    span = Fraction(full * -w_ends[j][0] * v[j], device.g_level - 1)
            elif isinstance(adc.range, float):
                span = full * Fraction(adc.range / amperes)
            else:
                if isinstance(adc.range, tuple):
                    bottom, span_A = adc.range[0], adc.range[1] - adc.range[0]
                else:
                    bottom, span_A = (table[::-1][j][::-1][i] for table in (adc.range.low, adc.range.span))
                span = full * Fraction(span_A / amperes)
                low = round(Fraction(bottom / amperes) * full * Fraction(radc[j] - 1) / span)
                top = low + radc[j] - 1
            steps[j].append(Fraction(top - (low or 0)) / span)
            ends[j].append((low if low is not None else -top if signed else 0, top))
    return steps, ends, max(max(map(abs, pair)) for row in ends for pair in row)


def product(x, w, config, x_block, w_block, seed, chip, read):
    """The product of nested lists x (M, K) and w (K, N), as nested lists of floats."""
    device, rows = config.device, config.tile.rows
    levels, codes = device.g_level - 1, config.dac.rdac - 1
    rho = device.LGS / ((device.HGS - device.LGS) / levels)
    f = fraction_for([device.var * (1 + rho), device.write_var * (1 + rho)])
    fx = fraction_for([config.dac.vnoise])
    noisy_code = codes * 2 ** (fx + 1) if config.dac.vnoise else codes
    unit = rows * noisy_code * 2 * levels
    xb, wb = widths(config.inputs), widths(config.weights)
    xe, we = ends_of_digits(config.inputs), ends_of_digits(config.weights)
    radc = config.adc.radc[::-1] if isinstance(config.adc.radc, tuple) else (config.adc.radc,) * len(wb)
    most = adc_codes(config, 1, [1] * len(xb), [1] * len(wb), xe, we, [max(radc)] * len(wb))[2]
    wide = unit * 2**f > 2**31 - 1 or most > 2**24
    if wide and most <= 2**24 and unit * 2**10 <= 2**31 - 1:
        wide = False
        while unit * 2**f > 2**31 - 1:
            f -= 1
    reference = round(rho * 2**f)
    bound = 2 * levels * 2**f

    xq, xs = quantise(x, config.inputs, x_block)
    wq, ws = quantise(w, config.weights, w_block)
    u, v = [codes // (2**b - 1) for b in xb], [levels // (2**b - 1) for b in wb]
    x_twos, w_twos = config.inputs.mapping == "twos", config.weights.mapping == "twos"
    a = [(-1 if x_twos and i == len(xb) - 1 else 1) * 2 ** sum(xb[:i]) for i in range(len(xb))]
    b = [(-1 if w_twos and j == len(wb) - 1 else 1) * 2 ** sum(wb[:j]) for j in range(len(wb))]
    one = 2 ** (f + fx)
    steps, ends, _ = adc_codes(config, one, u, v, xe, we, radc)
    finest = max(max(row) for row in steps)
    depth, width = len(w), len(w[0])

    def clip(value):
        return min(max(value, -bound), bound)

    pair = config.weights.mapping == "signed"

    def cell(plane, j, k, n):
        digit = digits(wq[plane][k][n], config.weights)[j]
        if pair:
            index = plane * 2 * len(wb) + j
            return clip(one_cell(index, max(digit, 0), j, k, n) - one_cell(index + len(wb), max(-digit, 0), j, k, n))
        value = one_cell(plane * len(wb) + j, digit, j, k, n)
        if config.weights.mapping == "offset" and j == len(wb) - 1:
            value = clip(value - 2 ** (wb[j] - 1) * v[j] * 2**f)
        return value

    def one_cell(index, digit, j, k, n):
        value = digit * v[j] * 2**f
        if device.write_var:
            t = factor("lognormal", device.write_var, word(seed, chip, 0, random.WRITE, index, k, n))
            value = clip(((value + reference) * t + 2**15 >> 16) - reference)
        draw = word(seed, chip, 0, random.STUCK, index, k, n) << 16 | word(
            seed, chip, 0, random.STUCK_FINE, index, k, n
        )
        if draw < round(device.stuck_HGS * 2**32):
            value = levels * 2**f
        elif draw < round(device.stuck_HGS * 2**32) + round(device.stuck_LGS * 2**32):
            value = 0
        if device.var:
            t = factor("lognormal", device.var, word(seed, chip, read, random.READ, index, k, n))
            value = clip(((value + reference) * t + 2**15 >> 16) - reference)
        return value

    def code(plane, i, m, k):
        value = digits(xq[plane][m][k], config.inputs)[i] * u[i]
        if config.dac.vnoise:
            t = factor("gaussian", config.dac.vnoise, word(seed, chip, read, random.VOLTAGE, plane * len(xb) + i, m, k))
            shift = 16 - fx
            value = value * t + (2**shift // 2) >> shift
            value = min(max(value, -noisy_code), noisy_code)
        return value

    def convert(current, j, i):
        step = float(steps[j][i])
        scaled = float(current) * step if wide else single(single(current) * single(step))
        code = round(scaled)
        return min(max(code, ends[j][i][0]), ends[j][i][1]) if config.adc.saturate else code

    grids = {
        (p, j, k, n): cell(p, j, k, n)
        for p in range(len(wq))
        for j in range(len(wb))
        for k in range(depth)
        for n in range(width)
    }
    drive = {
        (p, i, m, k): code(p, i, m, k)
        for p in range(len(xq))
        for i in range(len(xb))
        for m in range(len(x))
        for k in range(depth)
    }
    big_u, big_v = lcm(*u), lcm(*v)
    if config.adc.snap:
        scale = 1.0
    else:
        scale = float(1 / (finest * one * big_u * big_v))
    out = []
    for m in range(len(x)):
        line = []
        for n in range(width):
            y = None
            for pw in range(len(wq)):
                for px in range(len(xq)):
                    part = 0.0
                    for panel in range(0, depth, 16 * rows):
                        total = 0.0
                        for start in range(panel, min(panel + 16 * rows, depth), rows):
                            span = range(start, min(start + rows, depth))
                            acc = 0.0
                            for j in range(len(wb)):
                                for i in range(len(xb)):
                                    current = sum(drive[px, i, m, k] * grids[pw, j, k, n] for k in span)
                                    adc = convert(current, j, i)
                                    if config.adc.snap:
                                        per = 1 / (steps[j][i] * one * u[i] * v[j])
                                        acc += round(float(adc) * float(per)) * float(a[i] * b[j])
                                    else:
                                        weight = a[i] * (big_u // u[i]) * b[j] * (big_v // v[j])
                                        acc += float(adc) * float(weight * finest / steps[j][i])
                            total += acc * (xs[px][m][start] * scale) * ws[pw][start][n]
                        part += total
                    y = part if y is None else y + part
            line.append(y)
        out.append(line)
    return out

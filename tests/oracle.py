"""The arithmetic of one product, element by element, in Python's own integers and floats.

Independent of the package: it imports nothing of it but the quantile tables' entries.
"""

import hashlib
import struct
from fractions import Fraction
from math import ceil, exp, frexp, fsum, lcm, log
from statistics import NormalDist

from mpimpy import noise

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


def reference_key(seed):
    """The key of the random numbers of reference columns."""
    text = b"reference"
    data = seed.to_bytes(8, "little") + b"s" + len(text).to_bytes(8, "little") + text
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "little")


def single(number):
    return struct.unpack("f", struct.pack("f", number))[0]


def exponent(value):
    return frexp(value)[1] - 1


def mean_of(sizes, block):
    """The mean magnitude that splits a block: in fixed point, with 53 bits below the largest, or what 63 bits hold."""
    places = min(53, 62 - (block[0] * block[1] - 1).bit_length())
    unit = Fraction(2) ** (exponent(max(sizes)) + 1 - places)
    return sum(round(Fraction(size) / unit) for size in sizes) // len(sizes) * unit


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
                mean = mean_of(sizes.values(), block)
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
    table = noise.lognormal_table(sigma) if kind == "lognormal" else noise.gaussian_table(sigma)
    entry = struct.unpack_from("<i", table, 4 * index)[0]
    exact = 2.718281828459045 ** (sigma * z) if kind == "lognormal" else 1 + sigma * z
    assert abs(entry - exact * 65536) <= 0.5 + 1e-6 * abs(exact) * 65536
    return entry


def whole_codes(config, u, a, ends):
    """Input slices added before one conversion: (ends, stride, highest code) of their sum; noisy codes need strides."""
    low, high = (sum(pick(p * one, q * one) for one, (p, q) in zip(a, ends, strict=True)) for pick in (min, max))
    adc = config.adc
    fine = config.dac.vnoise or adc.noise_lsb or adc.offset_lsb or adc.gain_error
    stride = lcm(*u) if fine else 1
    return [(low, high)], stride, max(-low, high) * stride


def added_noise(config, u, a, code_bound, f):
    """(largest sum of noisy codes, bits that it loses): currents stay below 2^53, or 2^43 where ADCs err."""
    adc, levels = config.adc, config.device.g_level - 1
    largest = sum(abs(one) * (lcm(*u) // stride) for one, stride in zip(a, u, strict=True)) * code_bound
    limit = 2**43 if adc.noise_lsb or adc.offset_lsb or adc.gain_error else 2**53
    drop = 0
    while config.tile.rows * largest * 2 * levels * 2**f > limit * 2**drop:
        drop += 1
    return largest, drop


def adc_codes(config, one, u, v, x_ends, w_ends, radc, highest=None):
    """(steps, ends, largest code, origins) of each weight slice and input slice, in currents of `one` a level and code.

    Code k stands for (k + origin) / step.
    """
    device, rows, adc = config.device, config.tile.rows, config.adc
    highest = config.dac.rdac - 1 if highest is None else highest
    full = rows * highest * (device.g_level - 1) * one
    amperes = float(rows * config.dac.vread * (device.HGS - device.LGS))
    steps, ends, origins = [], [], []
    for j in range(len(v)):
        steps.append([])
        ends.append([])
        origins.append([])
        for i in range(len(u)):
            signed = x_ends[i][0] < 0 or w_ends[j][0] < 0
            span, top = full, radc[j] - 1
            low, origin = None, Fraction(0)
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
                at = Fraction(bottom / amperes) * full * Fraction(radc[j] - 1) / span
                low = round(at)
                if abs(at - low) > max(Fraction(2) ** -20, abs(at) * Fraction(2) ** -50):
                    origin = at - low
                top = low + radc[j] - 1
            steps[j].append(Fraction(top - (low or 0)) / span)
            origins[j].append(origin)
            ends[j].append((low if low is not None else -top if signed else 0, top))
    return steps, ends, max(max(map(abs, pair)) for row in ends for pair in row), origins


def most_codes(config, x_ends, w_ends, radc):
    """The largest code that a grid of cells is chosen by; a table for added input slices has one column."""
    if hasattr(config.adc.range, "low"):
        x_ends = x_ends[: len(config.adc.range.low[0])]
    slices = len(w_ends)
    return adc_codes(config, 1, [1] * len(x_ends), [1] * slices, x_ends, w_ends, [radc] * slices)[2]


def each(value, levels):
    return list(value) if isinstance(value, tuple) else [value] * levels


def spread(row):
    mean = sum(map(Fraction, row)) / len(row)
    return float(sum((Fraction(g) - mean) ** 2 for g in row) / len(row)) ** 0.5


def spreads_of(device, places, step, rho):
    """The smallest spread, in levels, of each law of a device."""
    count = device.g_level

    def factors(sigmas, places=places):
        if isinstance(sigmas, tuple):
            return [s * (max(1.0, at) + rho) for s, at in zip(sigmas, places, strict=True) if s]
        return [sigmas * (1 + rho)] if sigmas else []

    found = []
    for law in (device.var, device.write_var):
        kind = type(law).__name__
        if kind == "Gaussian":
            found.append(min(s for s in each(law.sigma_S, count) if s) / step)
        elif kind == "Samples":
            found += [min(spread(row) for row in law.conductance_S if spread(row)) / step]
        elif kind == "Flicker":
            at = [(g - device.LGS) / step for g in law.conductance_S] if law.conductance_S else places
            found.append(min(factors(tuple(flicker(q, law, law.t0_s) for q in each(law.q, len(at))), at)))
        else:
            found += sorted(factors(law))[:1]
    if device.drift is not None:
        found += (sorted(factors(device.drift.nu_spread)) or sorted(factors(device.drift.nu)))[:1]
    if device.relaxation is not None:
        for moves in (0, 1):
            most = [max(abs(relaxed(device, t, n)[moves]) for t in device.relaxation.times_s) for n in range(count)]
            if any(most):
                found.append(min(m for m in most if m) / step)
                break
    if device.verify is not None:
        found.append(device.verify.tolerance_S / step)
    if device.levels is not None and any(abs(at - n) > 1e-9 * (count - 1) for n, at in enumerate(places)):
        found.append((sum((at - n) ** 2 for n, at in enumerate(places)) / count) ** 0.5)
    return found


def relaxed(device, time_s, level):
    """Spread and shift of a level, S: linear in the logarithm of the time."""
    law = device.relaxation
    numbers = [
        [each(row, level + 1)[level] for row in rows] for rows in (law.sigma_S, law.shift_S or [0.0] * len(law.times_s))
    ]
    for n, (early, late) in enumerate(zip(law.times_s, law.times_s[1:], strict=False)):
        if early <= time_s <= late:
            part = log(time_s / early) / log(late / early)
            return [
                row[n] if part == 0 else row[n + 1] if part == 1 else row[n] + (row[n + 1] - row[n]) * part
                for row in numbers
            ]
    raise AssertionError


def flicker(q, law, time_s):
    return q * log((time_s + law.t_read_s) / (2 * law.t_read_s)) ** 0.5


def smallest_lsb(config):
    """In currents of one level under one code."""
    device, rows, span = config.device, config.tile.rows, config.adc.range
    full, radc = rows * (config.dac.rdac - 1) * (device.g_level - 1), config.adc.radc
    amperes = float(rows * config.dac.vread * (device.HGS - device.LGS))
    if span == "lossless":
        return 1.0
    if hasattr(span, "span"):
        shares = [width / amperes for row in span.span for width in row]
    else:
        width = span[1] - span[0] if isinstance(span, tuple) else amperes if span == "full" else span
        shares = [width / amperes if span != "full" else 1.0]
        if span == "full" and config.weights.mapping == "offset":
            widest, levels = widths(config.weights)[-1], device.g_level - 1
            # the range ends at the level of a weight of 0, which the unit column takes away
            shares = [digits(0, config.weights)[-1] * (levels // (2**widest - 1)) / levels]
    return full * min(shares) / (max(radc if isinstance(radc, tuple) else (radc,)) - 1)


def product(x, w, config, x_block, w_block, seed, chip, read, time_s=None, faults=None, compensate=False):
    """The product of nested lists x (M, K) and w (K, N), as nested lists of floats.

    time_s is the age of the matrix; faults[index][k][n] are the cells that a map makes stuck.
    """
    device, rows = config.device, config.tile.rows
    levels, codes = device.g_level - 1, config.dac.rdac - 1
    step = (device.HGS - device.LGS) / levels
    rho = device.LGS / step
    places = [(g - device.LGS) / step for g in device.levels] if device.levels else list(range(levels + 1))
    laws = spreads_of(device, places, step, rho)
    f = max(1, fraction_for(laws)) if laws else 0
    adc = config.adc
    if adc.noise_lsb or adc.offset_lsb or adc.gain_error:
        least = min(s for s in (1.0, adc.noise_lsb, adc.offset_lsb) if s)
        f = max(f, fraction_for([smallest_lsb(config) * least]))
    fx = fraction_for([config.dac.vnoise])
    noisy_code = codes * 2 ** (fx + 1) if config.dac.vnoise else codes
    unit = rows * noisy_code * 2 * levels
    xb, wb = widths(config.inputs), widths(config.weights)
    xe, we = ends_of_digits(config.inputs), ends_of_digits(config.weights)
    radc = config.adc.radc[::-1] if isinstance(config.adc.radc, tuple) else (config.adc.radc,) * len(wb)
    most = most_codes(config, xe, we, max(radc))
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
    drop, highest, cu, ca, count = 0, None, u, a, len(xb)  # of a conversion: strides, shift weights, how many
    if adc.per == "product":
        xe, stride, highest = whole_codes(config, u, a, xe)
        largest = highest
        if config.dac.vnoise:
            largest, drop = added_noise(config, u, a, noisy_code, f)
        cu, ca, count = [stride], [1], 1
        wide = wide or (rows * largest * 2 * levels * 2**f >> drop) > 2**31 - 1
        wide = wide or adc_codes(config, 1, cu, v, xe, we, radc, highest)[2] > 2**24
    one = 2 ** (f + fx - drop)
    steps, ends, _, origins = adc_codes(config, one, cu, v, xe, we, radc, highest)
    finest = max(max(row) for row in steps)
    depth, width = len(w), len(w[0])

    def clip(value):
        return min(max(value, -bound), bound)

    exact_places, places = places, [round(at * 2**f) for at in places]
    unit = step / 2**f

    def disturb(law, value, level, draw, base, centre, when):
        """What a word makes of a cell: `base` is what LGS is now."""
        z = NormalDist().inv_cdf((draw + 0.5) / 65536)
        kind = type(law).__name__
        if kind == "Gaussian":
            value += round(each(law.sigma_S, levels + 1)[level] / unit * z)
        elif kind == "Samples":
            row = law.conductance_S[level]
            about = law.about_S[level] if law.about_S else fsum(row) / len(row)
            g = row[(2 * draw + 1) * len(row) // 131072]
            if centre or law.about_S:
                value += round((g - about) / unit)
            else:
                value += round((g - device.LGS) / unit) - places[level]
        else:
            if kind == "Flicker":
                sigma = flicker(each(law.q, levels + 1)[level], law, law.t0_s if when is None else when)
                t = round(max(0.0, 1 + sigma * z) * 65536)
            else:
                t = factor("lognormal", each(law, levels + 1)[level], draw)
            return clip(((value + base) * t + 2**15 >> 16) - base)
        return min(max(value, -base, -bound), bound)

    # a cell: its key, slices counted over planes and pairs, row, column, and the level that it is written to
    def stuck(key, index, k, n, level):
        if key == seed and faults is not None and faults[index][k][n]:
            return faults[index][k][n]
        draw = word(key, chip, 0, noise.STUCK, index, k, n) << 16 | word(key, chip, 0, noise.STUCK_FINE, index, k, n)
        if draw < round(device.stuck_HGS * 2**32):
            return 1
        return -1 if draw < round(device.stuck_HGS * 2**32) + round(device.stuck_LGS * 2**32) else 0

    cells_of_digit = 2 if config.weights.mapping == "signed" else 1

    def index_of(plane, one, j):
        return (plane * cells_of_digit + one) * len(wb) + j

    def of_weight(plane, one, j, k, n):
        """One of the cells of a digit: the first, or the second of a pair (1)."""
        digit = digits(wq[plane][k][n], config.weights)[j]
        return seed, index_of(plane, one, j), k, n, max(0, -digit if one else digit) * v[j]

    def written(key, index, k, n, level):
        goal, pulses = places[level], 1 if device.verify is None else device.verify.pulses
        where = stuck(key, index, k, n, level)
        if where:
            return levels * 2**f if where > 0 else 0
        if device.write_var == 0:
            return goal
        for pulse in range(pulses):
            draw = word(key, chip, pulse, noise.WRITE, index, k, n)
            value = disturb(device.write_var, goal, level, draw, reference, False, None)
            if device.verify and abs(value - goal) <= int(device.verify.tolerance_S / step * 2**f):
                break
        return value

    now = reference
    if time_s is not None and device.drift is not None:
        log_time = log(time_s / device.drift.t0_s)
        now = round(rho * 2**f * exp(-each(device.drift.nu, 1)[0] * log_time))

    if time_s is not None and device.relaxation is not None:
        now = max(0, reference + round(relaxed(device, time_s, 0)[1] / unit))

    def aged(key, index, k, n, level):
        value = written(key, index, k, n, level)
        if time_s is not None and device.relaxation is not None:
            if stuck(key, index, k, n, level):
                return min(value + reference - now, bound)
            spread, shift = relaxed(device, time_s, level)
            draw = word(noise.derive(key, "relaxation"), chip, 0, noise.DRIFT, index, k, n)
            move = round(spread / unit * NormalDist().inv_cdf((draw + 0.5) / 65536) + shift / unit - (now - reference))
            return min(max(value + move, -now, -bound), bound)
        if now is reference and (time_s is None or device.drift is None):
            return value
        if stuck(key, index, k, n, level):
            return min(value + reference - now, bound)
        z = NormalDist().inv_cdf((word(key, chip, 0, noise.DRIFT, index, k, n) + 0.5) / 65536)
        nu, wide = (each(value, levels + 1)[level] for value in (device.drift.nu, device.drift.nu_spread))
        t = round(exp(-max(0.0, nu + wide * z) * log_time) * 65536)
        return clip(((value + reference) * t + 2**15 >> 16) - now)

    def cell(key, index, k, n, level):
        value = aged(key, index, k, n, level)
        if device.var == 0:
            return value
        stuck_at = {1: levels, -1: 0, 0: level}[stuck(key, index, k, n, level)]
        if getattr(device.var, "conductance_S", None) and type(device.var).__name__ == "Flicker":
            ends = [(a + b) / 2 for a, b in zip(device.var.conductance_S, device.var.conductance_S[1:], strict=False)]
            stuck_at = sum(written(key, index, k, n, level) >= ceil((end - device.LGS) / unit - 1e-6) for end in ends)
        level = stuck_at
        draw = word(key, chip, read, noise.READ, index, k, n)
        return disturb(device.var, value, level, draw, now, True, time_s)

    def together(plane, j, k, n):
        value = cell(*of_weight(plane, 0, j, k, n))
        if cells_of_digit == 2:
            return clip(value - cell(*of_weight(plane, 1, j, k, n)))
        if real:
            return clip(value - beside(index_of(plane, 0, j), j, k, n // config.tile.cols))
        if config.weights.mapping == "offset" and j == len(wb) - 1:
            return clip(value - unit_cell)
        return value

    def moves(level):
        """Whether anything moves a cell of a level."""

        def at(value):
            return each(value, levels + 1)[level]

        some, found = places[level] + reference > 0, [device.stuck_HGS > 0]
        found.append(device.stuck_LGS > 0 and (level > 0 or bool(device.drift or device.relaxation)))
        found.append(bool(device.relaxation) and any(each(s, levels + 1)[level] > 0 for s in device.relaxation.sigma_S))
        found.append(device.drift is not None and at(device.drift.nu_spread) > 0 and some)
        for law in (device.var, device.write_var):
            kind = type(law).__name__
            if kind == "Gaussian":
                found.append(round(at(law.sigma_S) / unit * 4) > 0)
            elif kind == "Samples":
                row, centre = law.conductance_S[level], law is device.var
                about = law.about_S[level] if law.about_S else fsum(row) / len(row)
                about = about if centre or law.about_S else device.LGS + places[level] * unit
                found.append(any(round((g - about) / unit) for g in row))
            else:
                classes = getattr(law, "conductance_S", None)
                found.append(some and (max(law.q) if classes else at(law.q if kind == "Flicker" else law)) > 0)
        return any(found)

    unit_level = 2 ** (wb[-1] - 1) * v[-1] if config.weights.mapping == "offset" else 0
    # ideal columns drift as the mean does; so do real ones that nothing else moves
    real = config.tile.reference == "cells" and cells_of_digit == 1 and any(map(moves, {0, unit_level}))
    drawn = {}

    def beside(index, j, k, array):
        """The mean of the reference cells of a row."""
        if (index, k, array) not in drawn:
            count, level = config.tile.reference_columns, unit_level if j == len(wb) - 1 else 0
            total = sum(cell(reference_key(seed), index, k, array * count + c, level) for c in range(count))
            drawn[index, k, array] = (2 * total + count) // (2 * count)
        return drawn[index, k, array]

    if config.weights.mapping == "offset":
        level = 2 ** (wb[-1] - 1) * v[-1]
        unit_cell = places[level]
        if time_s is not None and device.drift is not None:
            factor_now = exp(-each(device.drift.nu, levels + 1)[level] * log_time)
            unit_cell = round((exact_places[level] + rho) * 2**f * factor_now) - now
        if time_s is not None and device.relaxation is not None:
            shift = round(relaxed(device, time_s, level)[1] / unit)
            unit_cell = max(0, round(exact_places[level] * 2**f) + reference + shift) - now

    def code(plane, i, m, k):
        value = digits(xq[plane][m][k], config.inputs)[i] * u[i]
        if config.dac.vnoise:
            t = factor("gaussian", config.dac.vnoise, word(seed, chip, read, noise.VOLTAGE, plane * len(xb) + i, m, k))
            shift = 16 - fx
            value = value * t + (2**shift // 2) >> shift
            value = min(max(value, -noisy_code), noisy_code)
        return value

    def normal(draw):
        return round(65536 * NormalDist().inv_cdf((draw + 0.5) / 65536))

    def as_the_adc_sees(current, pw, px, j, i, m, n, tile):
        array = pw * len(wb) + j
        step = float(steps[j][i]) if wide else single(float(steps[j][i]))
        if adc.gain_error:
            draw = word(seed, chip, 0, noise.ADC_GAIN, array, tile, n)
            current = current * factor("gaussian", adc.gain_error, draw) + 2**15 >> 16
        if adc.offset_lsb:
            draw = word(seed, chip, 0, noise.ADC_OFFSET, array, tile, n)
            current += normal(draw) * round(adc.offset_lsb / step * 256) + 2**23 >> 24
        if adc.noise_lsb:
            pair = array * count * len(xq) + px * count + i
            draw = word(seed, chip, read, noise.ADC_NOISE, pair, tile * 2**22 + m, n)
            current += normal(draw) * round(adc.noise_lsb / step * 256) + 2**23 >> 24
        return current

    def origin_of(j, i):
        return float(origins[j][i]) if wide else single(float(origins[j][i]))

    def convert(current, j, i):
        step = float(steps[j][i])
        scaled = float(current) * step if wide else single(single(current) * single(step))
        if origins[j][i]:
            scaled = scaled - origin_of(j, i) if wide else single(scaled - origin_of(j, i))
        code = round(scaled)
        return min(max(code, ends[j][i][0]), ends[j][i][1]) if config.adc.saturate else code

    where = [(p, j, k, n) for p in range(len(wq)) for j in range(len(wb)) for k in range(depth) for n in range(width)]
    grids = {at: together(*at) for at in where}
    if compensate:
        all_cells = [(p, one, *rest) for p, *rest in where for one in range(cells_of_digit)]
        before, after = (
            sum(of(*of_weight(*at)) + base for at in all_cells) for of, base in ((written, reference), (aged, now))
        )
        ws = [[[scale * (before / after if after else 1.0) for scale in row] for row in plane] for plane in ws]
    drive = {
        (p, i, m, k): code(p, i, m, k)
        for p in range(len(xq))
        for i in range(len(xb))
        for m in range(len(x))
        for k in range(depth)
    }
    if adc.per == "product":
        for p, m, k in {(p, m, k) for p, _, m, k in drive}:
            if config.dac.vnoise:
                total = sum(one * (lcm(*u) // u[i]) * drive[p, i, m, k] for i, one in enumerate(a))
                drive[p, 0, m, k] = (total + (1 << drop >> 1)) >> drop
            else:
                drive[p, 0, m, k] = stride * xq[p][m][k]
    big_u, big_v = lcm(*cu), lcm(*v)

    def shift_weight(j, i):
        return float(ca[i] * (big_u // cu[i]) * b[j] * (big_v // v[j]) * finest / steps[j][i])

    scale, off_zero = 1.0 if adc.snap else float(1 / (finest * one * big_u * big_v)), 0.0
    if not adc.snap:
        pairs = [(j, i) for j in range(len(wb)) for i in range(count)]
        off_zero = float(sum(Fraction(origin_of(*at)) * Fraction(shift_weight(*at)) for at in pairs))
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
                                for i in range(count):
                                    current = sum(drive[px, i, m, k] * grids[pw, j, k, n] for k in span)
                                    current = as_the_adc_sees(current, pw, px, j, i, m, n, start // rows)
                                    code = convert(current, j, i)
                                    if config.adc.snap:
                                        per = 1 / (steps[j][i] * one * u[i] * v[j])
                                        value = float(code) + origin_of(j, i)
                                        acc += round(value * float(per)) * float(a[i] * b[j])
                                    else:
                                        acc += float(code) * shift_weight(j, i)
                            acc += off_zero
                            total += acc * (xs[px][m][start] * scale) * ws[pw][start][n]
                        part += total
                    y = part if y is None else y + part
            line.append(y)
        out.append(line)
    return out

"""The arithmetic of one product, element by element, in Python's own integers and floats.

Independent of the package: it imports nothing of it but the quantile tables' entries. Its parts: `formats`, floats as
integer codes; `addresses`, random numbers; `laws`, spreads and grids; `cells`, conductances; `converters`, ADCs.
"""

from fractions import Fraction
from math import lcm
from statistics import NormalDist

from mpimpy import noise

from .addresses import factor, philox, reference_key, word
from .cells import Cells
from .converters import (
    adc_codes,
    added_noise,
    most_codes,
    single,
    smallest_lsb,
    whole_codes,
)
from .formats import digits, ends_of_digits, exponent, mean_of, quantise, widths
from .laws import fraction_for, spreads_of

__all__ = [
    "adc_codes",
    "digits",
    "ends_of_digits",
    "exponent",
    "factor",
    "fraction_for",
    "mean_of",
    "most_codes",
    "philox",
    "product",
    "quantise",
    "reference_key",
    "single",
    "spreads_of",
    "whole_codes",
    "widths",
    "word",
]


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
    cells = Cells(config, wq, f, (seed, chip, read), time_s, faults)
    grids = {at: cells.together(*at) for at in where}
    if compensate:
        more = cells.compensation(where)
        ws = [[[scale * more for scale in row] for row in plane] for plane in ws]
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

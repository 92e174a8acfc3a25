"""ADCs: steps, ends and origins of their codes, and what input slices add up to before one conversion."""

import struct
from fractions import Fraction
from math import lcm

from .formats import digits, widths


def single(number):
    return struct.unpack("f", struct.pack("f", number))[0]


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

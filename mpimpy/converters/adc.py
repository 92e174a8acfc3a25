"""ADCs: full scale, ranges, and the steps of their codes."""

from dataclasses import dataclass
from fractions import Fraction

from ..cells.memristors import strides
from ..config import Ranges

__all__ = [
    "Codes",
    "codes",
    "column_share",
    "digit_bounds",
    "finest_step",
    "full_scale",
    "full_scale_amperes",
    "highest_current",
    "outermost_codes",
]


@dataclass(frozen=True)
class Codes:
    """What the ADCs make of currents: one number for each weight slice and input slice.

    Attributes
    ----------
    steps : tuple of tuples of Fraction
        Codes per unit of current.
    lows, tops : tuples of tuples of int
        The lowest and the highest code.
    """

    steps: tuple
    lows: tuple
    tops: tuple

    @property
    def most(self):
        """The largest magnitude of a code."""
        return max(max(map(abs, row)) for table in (self.lows, self.tops) for row in table)


def column_share(device, wires, rows):
    """Return what wires leave of the current of a column: 1 without resistance.

    Of one lone column with every cell at HGS, less the same at LGS, every input at its highest.

    Examples
    --------
    >>> from mpimpy import Device, Wires
    >>> round(float(column_share(Device(), Wires(2.93, 2.93), 64)), 3)
    0.961
    """
    if wires is None:
        return Fraction(1)

    def current(siemens):
        # from the top of the bit line: each row a source and its conductance, each segment in between
        cell = siemens / (1.0 + siemens * wires.r_word)
        total = behind = 0.0
        for _ in range(rows):
            total, behind = total + cell, behind + cell
            passed = 1.0 + behind * wires.r_bit
            total, behind = total / passed, behind / passed
        return total

    return Fraction((current(device.HGS) - current(device.LGS)) / (rows * (device.HGS - device.LGS)))


def full_scale(config, unit):
    """Return the highest current that the ADC covers at full range, in `unit` a level and code."""
    levels, codes = config.device.g_level - 1, config.dac.rdac - 1
    most = config.tile.rows * codes * levels * unit
    return max(1, round(most * column_share(config.device, config.wires, config.tile.rows)))


def full_scale_amperes(config):
    """Return the same in A."""
    device, rows = config.device, config.tile.rows
    return float(rows * config.dac.vread * (device.HGS - device.LGS) * column_share(device, config.wires, rows))


def highest_current(config):
    """Return the bit line current of the highest code of any pair of slices, A."""
    amperes = full_scale_amperes(config)
    if config.radc is None:
        return amperes
    x_strides = strides(config.inputs.ascending, config.dac.rdac)
    found = codes(config, 1, x_strides, strides(config.weights.ascending, config.device.g_level))
    rows = zip(found.tops, found.steps, strict=True)
    return (
        float(max(top / step for row in rows for top, step in zip(*row, strict=True)) / full_scale(config, 1)) * amperes
    )


def digit_bounds(fmt):
    """Return (lowest, highest) of every digit, least significant first, as currents count them."""
    found = [(1 - 2**b if fmt.signed else 0, 2**b - 1) for b in fmt.ascending]
    if fmt.offset:
        half = 2 ** (fmt.ascending[-1] - 1)
        found[-1] = (-half, half - 1)
    return found


def codes(config, unit, x_strides, w_strides):
    """Return the `Codes` of a configuration with an ADC.

    Parameters
    ----------
    config : Config
    unit : int
        Current of one level under one DAC code.
    x_strides, w_strides : tuples of int
        Per slice, least significant first.
    """
    adc, rows = config.adc, config.tile.rows
    full, amperes = full_scale(config, unit), full_scale_amperes(config)
    x_bounds, w_bounds = digit_bounds(config.inputs), digit_bounds(config.weights)
    steps, lows, tops = [], [], []
    for j, (r, v) in enumerate(zip(config.radc_ascending, w_strides, strict=True)):
        row = []
        for i, u in enumerate(x_strides):
            signed = x_bounds[i][0] < 0 or w_bounds[j][0] < 0
            if adc.range == "lossless":
                step = Fraction(1, unit * u * v)
                top = rows * max(abs(a * b) for a in x_bounds[i] for b in w_bounds[j])
                low = -top if signed else 0
            elif isinstance(adc.range, Ranges):
                # tables are most significant first
                low_A, span_A = (table[-1 - j][-1 - i] for table in (adc.range.low, adc.range.span))
                step, low, top = _window(r, full, low_A / amperes, span_A / amperes)
            elif isinstance(adc.range, tuple):
                step, low, top = _window(r, full, adc.range[0] / amperes, (adc.range[1] - adc.range[0]) / amperes)
            else:
                share = Fraction(1) if adc.range == "full" else Fraction(adc.range / amperes)
                if config.weights.offset and j == len(w_strides) - 1 and adc.range == "full":
                    # the unit column has taken half of the highest level away
                    share = Fraction(-w_bounds[j][0] * v, config.device.g_level - 1)
                step, top = (r - 1) / (full * share), r - 1
                low = -top if signed else 0
            row.append((step, low, top))
        for table, column in zip((steps, lows, tops), zip(*row, strict=True), strict=True):
            table.append(column)
    return Codes(tuple(steps), tuple(lows), tuple(tops))


def finest_step(config):
    """Return the smallest step of a code in the current of one level under one DAC code, whatever the formats."""
    amperes, full, span = full_scale_amperes(config), full_scale(config, 1), config.adc.range
    if span == "lossless":
        return 1.0
    shares, fmt, levels = [1.0], config.weights, config.device.g_level
    if fmt.offset and span == "full":
        # the unit column has taken half of the highest digit away
        shares = [2 ** (fmt.ascending[-1] - 1) * strides(fmt.ascending, levels)[-1] / (levels - 1)]
    if isinstance(span, Ranges):
        shares = [width / amperes for row in span.span for width in row]
    elif span != "full":
        shares = [((span[1] - span[0]) if isinstance(span, tuple) else span) / amperes]
    return full * min(shares) / (max(config.radc) - 1)


def _window(radc, full, low, span):
    # `radc` codes from `low` on, both in shares of full scale; zero is a code
    step = (radc - 1) / (full * Fraction(span))
    first = round(Fraction(low) * full * step)
    return step, first, first + radc - 1


def outermost_codes(config):
    """Return codes of which none of a range in A is beyond, whatever the formats."""
    radc, amperes, span = max(config.radc), full_scale_amperes(config), config.adc.range
    if isinstance(span, Ranges):
        flat = [zip(*rows, strict=True) for rows in zip(span.low, span.span, strict=True)]
        windows = [pair for row in flat for pair in row]
    elif isinstance(span, tuple):
        windows = [(span[0], span[1] - span[0])]
    else:
        return (radc - 1,)
    found = [_window(radc, 1, low / amperes, width / amperes) for low, width in windows]
    return tuple(end for _, *ends in found for end in ends)

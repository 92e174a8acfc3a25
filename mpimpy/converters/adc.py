"""ADCs: full scale, ranges, and the steps of their codes."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from ..cells.memristors import strides
from ..config import Config, Device, Format, Ranges, Wires
from ..config._adc import low_code
from .conversions import Conversions, conversions, digit_bounds

__all__ = [
    "AdcWindows",
    "adc_windows",
    "column_share",
    "finest_step",
    "full_scale",
    "full_scale_amperes",
    "highest_current",
    "highest_digit_share",
    "outermost_codes",
    "radc_ascending",
]

Window = tuple[Fraction, int, int, Fraction]  # codes per unit of current, lowest code, highest code, origin


@dataclass(frozen=True)
class AdcWindows:
    """Steps and ends of the ADC codes, for each weight slice and input slice.

    Code k stands for the current ``(k + origin) / step``.

    Attributes
    ----------
    steps : tuple of tuples of Fraction
        Codes per unit of current.
    lows, tops : tuples of tuples of int
        Lowest and highest code.
    origins : tuple of tuples of Fraction
        Current of code 0, in steps, -1/2 to 1/2; 0 where zero is a code, or would be.
    """

    steps: tuple[tuple[Fraction, ...], ...]
    lows: tuple[tuple[int, ...], ...]
    tops: tuple[tuple[int, ...], ...]
    origins: tuple[tuple[Fraction, ...], ...]

    @property
    def off_zero(self) -> bool:
        """Whether zero lies between two codes in any range."""
        return any(map(any, self.origins))

    @property
    def most(self) -> int:
        """Largest magnitude of a code."""
        return max(max(map(abs, row)) for table in (self.lows, self.tops) for row in table)


def column_share(device: Device, wires: Wires | None, rows: int) -> Fraction:
    """IR-drop factor: column current with wire resistance over the current without.

    Of a lone column, every input at its highest: all cells at HGS, less all cells at LGS.

    Examples
    --------
    >>> from mpimpy import Device, Wires
    >>> round(float(column_share(Device(), Wires(2.93, 2.93), 64)), 3)
    0.961
    """
    if wires is None:
        return Fraction(1)

    def current(siemens: float) -> float:
        # From the top of the bit line: each row adds a source and its conductance, each segment a resistance.
        cell = siemens / (1.0 + siemens * wires.r_word)
        total = behind = 0.0
        for _ in range(rows):
            total, behind = total + cell, behind + cell
            passed = 1.0 + behind * wires.r_bit
            total, behind = total / passed, behind / passed
        return total

    return Fraction((current(device.HGS) - current(device.LGS)) / (rows * (device.HGS - device.LGS)))


def full_scale(config: Config, unit: int) -> int:
    """Full-scale current of one conversion, where one level under code 1 is `unit`."""
    return _full_scale(config, conversions(config).highest, unit)


def _full_scale(config: Config, code: int, unit: int) -> int:
    most = config.tile.rows * code * (config.device.g_level - 1) * unit
    return max(1, round(most * column_share(config.device, config.wires, config.tile.rows)))


def full_scale_amperes(config: Config) -> float:
    """Full-scale bit line current, in A.

    Of input slices that are converted together it is the mean over their pulses, each counted with its weight:
    all whole codes at their highest count as `vread` throughout.
    """
    device, rows = config.device, config.tile.rows
    return float(rows * config.dac.vread * (device.HGS - device.LGS) * column_share(device, config.wires, rows))


def highest_current(config: Config) -> float:
    """Bit line current of the highest code of any pair of slices, in A."""
    amperes = full_scale_amperes(config)
    if config.radc is None:
        return amperes
    windows = adc_windows(config, 1, conversions(config), strides(config.weights.ascending, config.device.g_level))
    rows = zip(windows.tops, windows.origins, windows.steps, strict=True)
    highest = max((top + origin) / step for row in rows for top, origin, step in zip(*row, strict=True))
    return float(highest / full_scale(config, 1)) * amperes


def highest_digit_share(fmt: Format, stride: int, levels: int) -> Fraction:
    """Full scale of the highest digit of weights, as a share of the highest level.

    The unit column of an offset subtracts half of the digit's range; without an offset the share is 1.

    Parameters
    ----------
    fmt : Format
        Of the weights.
    stride : int
        Level of digit 1.
    levels : int
        Levels of a cell.

    Examples
    --------
    >>> from mpimpy import Format
    >>> highest_digit_share(Format((1, 1, 2, 4), mapping="offset"), 5, 16)
    Fraction(2, 3)
    """
    return Fraction(-digit_bounds(fmt)[-1][0] * stride, levels - 1) if fmt.offset else Fraction(1)


def adc_windows(config: Config, unit: int, inputs: Conversions, w_strides: tuple[int, ...]) -> AdcWindows:
    """Return the `AdcWindows` of a configuration with an ADC.

    Parameters
    ----------
    config : Config
        Its ADC is not ideal.
    unit : int
        Current of one level under one DAC code.
    inputs : Conversions
    w_strides : tuple of int
        Per weight slice, least significant first.
    """
    full, amperes = full_scale(config, unit), full_scale_amperes(config)
    seen = list(zip(inputs.strides, inputs.ends, strict=True))
    rows = [
        [_slice_pair_window(config, unit, full, amperes, (i, u, ends), (j, v)) for i, (u, ends) in enumerate(seen)]
        for j, v in enumerate(w_strides)
    ]
    return AdcWindows(
        steps=tuple(tuple(step for step, *_ in row) for row in rows),
        lows=tuple(tuple(low for _, low, *_ in row) for row in rows),
        tops=tuple(tuple(top for *_, top, _ in row) for row in rows),
        origins=tuple(tuple(origin for *_, origin in row) for row in rows),
    )


def _slice_pair_window(
    config: Config,
    unit: int,
    full: int,
    amperes: float,
    x_slice: tuple[int, int, tuple[int, int]],
    w_slice: tuple[int, int],
) -> Window:
    # a slice is (index, stride), least significant first, that of the inputs with its ends
    (i, u, x_ends), (j, v) = x_slice, w_slice
    w_ends = digit_bounds(config.weights)[j]
    signed, span = x_ends[0] < 0 or w_ends[0] < 0, config.adc.range
    if span == "lossless":
        top = config.tile.rows * max(abs(a * b) for a in x_ends for b in w_ends)
        return Fraction(1, unit * u * v), -top if signed else 0, top, Fraction(0)
    radc = radc_ascending(config)[j]
    if isinstance(span, Ranges):
        # tables are most significant first
        return _window(radc, full, span.low[-1 - j][-1 - i] / amperes, span.span[-1 - j][-1 - i] / amperes)
    if isinstance(span, tuple):
        return _window(radc, full, span[0] / amperes, (span[1] - span[0]) / amperes)
    highest = j == len(config.weights.ascending) - 1
    if not isinstance(span, str):
        share = Fraction(span / amperes)
    else:
        share = highest_digit_share(config.weights, v, config.device.g_level) if highest else Fraction(1)
    return (radc - 1) / (full * share), -(radc - 1) if signed else 0, radc - 1, Fraction(0)


def radc_ascending(config: Config) -> tuple[int, ...]:
    """Return the number of ADC codes per weight slice, least significant first, of ADCs that are not ideal."""
    radc = config._radc_ascending
    assert radc is not None
    return radc


def finest_step(config: Config) -> float:
    """Return the smallest step of a code in the current of one level under one DAC code, whatever the formats.

    Of input slices that are converted together it may be coarser: currents then count in a unit that is as fine.
    """
    amperes, full, span = full_scale_amperes(config), _full_scale(config, config.dac.rdac - 1, 1), config.adc.range
    if span == "lossless":
        return 1.0
    fmt, levels = config.weights, config.device.g_level
    shares: Iterable[float]
    if isinstance(span, Ranges):
        shares = [width / amperes for row in span.span for width in row]
    elif isinstance(span, tuple):
        shares = [(span[1] - span[0]) / amperes]
    elif isinstance(span, str):
        shares = [float(highest_digit_share(fmt, strides(fmt.ascending, levels)[-1], levels))]
    else:
        shares = [span / amperes]
    return full * min(shares) / (max(radc_ascending(config)) - 1)


def _window(radc: int, full: int, low: float, span: float) -> Window:
    # `radc` codes from `low` on, both in shares of full scale
    first, origin = low_code(radc, low, span)
    return (radc - 1) / (full * Fraction(span)), first, first + radc - 1, origin


def outermost_codes(config: Config) -> tuple[int, ...]:
    """Return codes that bound those of a range in A, whatever the formats."""
    radc, amperes, span = max(radc_ascending(config)), full_scale_amperes(config), config.adc.range
    if isinstance(span, Ranges):
        rows = [zip(*row, strict=True) for row in zip(span.low, span.span, strict=True)]
        windows = [low_and_span for row in rows for low_and_span in row]
    elif isinstance(span, tuple):
        windows = [(span[0], span[1] - span[0])]
    else:
        return (radc - 1,)
    found = [_window(radc, 1, low / amperes, width / amperes) for low, width in windows]
    return tuple(end for _, *ends, _ in found for end in ends)

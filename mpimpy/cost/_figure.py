"""Figures with a band and a source: the constants of a technology, and what costs are made of."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..checks import as_float, fail, set_fields

__all__ = ["Anchor", "Figure", "as_figure", "si", "together"]

BAND = 0.1  # of an anchor without a band of its own
REACH = 2  # bits over which an anchor is scaled
CODE = 0.1  # bits that some codes less than a power of two may lack: an ADC of 2 radc - 1 codes
_PREFIXES = {-18: "a", -15: "f", -12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
_SCALED = ("J", "s", "F", "V", "Hz", "J/bit", "J/MAC", "W", "S")  # units that take a prefix


def _checked_source(source: Any, what: str) -> str:
    if not isinstance(source, str) or not source.strip():
        fail(
            TypeError if not isinstance(source, str) else ValueError,
            f"source={source!r} of {what} must be text that says where the number comes from: a paper, a data sheet, "
            'or "user"',
        )
    return source


def _digits(value: float) -> str:
    # three significant digits, without an exponent where that is short
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text and 1 <= abs(value) < 1e6 else text


def si(value: float, unit: str) -> str:
    """Return a value in words, with three digits and a prefix of its unit.

    Examples
    --------
    >>> si(2.5e-12, "J"), si(0.0, "J"), si(28, "nm")
    ('2.5 pJ', '0 J', '28 nm')
    """
    factor, prefixed = _scale(value, unit)
    return f"{_digits(value / factor)} {prefixed}".strip()


def _scale(value: float, unit: str) -> tuple[float, str]:
    # a factor for a value of three digits, and the unit with its prefix
    if unit == "m2":
        return (1e-12, "um2") if value < 1e-8 else (1e-6, "mm2")
    if unit not in _SCALED or value == 0 or not math.isfinite(value):
        return 1.0, unit
    power = max(-18, min(12, 3 * math.floor(math.log10(abs(value) * (1 + 1e-12)) / 3)))
    if float(f"{value / 10.0**power:.3g}") >= 1000 and power < 12:
        power += 3
    return 10.0**power, f"{_PREFIXES[power]}{unit}"


@dataclass(frozen=True)
class Figure:
    """A number with its unit, its band and its source; prints as one line.

    Parameters
    ----------
    value : float
        The middle of the band: what is thought most likely.
    unit : str
    low, high : float
        Ends of the band; both equal `value` for what is exact, or chosen.
    source : str
        Where the number comes from. ``"user"`` is a source.

    Raises
    ------
    TypeError, ValueError
        If a number is not finite, the ends are not in order, or there is no source.

    Examples
    --------
    >>> print(Figure(2.1e-15, "F", 1.5e-15, 3e-15, "user"))
    2.1 fF (1.5 to 3)
    """

    value: float
    unit: str
    low: float
    high: float
    source: str

    def __post_init__(self) -> None:
        value, low, high = (as_float(name, getattr(self, name), -math.inf) for name in ("value", "low", "high"))
        if not isinstance(self.unit, str):
            fail(TypeError, f"unit={self.unit!r} of a figure must be text, such as 'J'; '' for a pure number")
        _checked_source(self.source, f"the figure {value:g} {self.unit}".strip())
        if not low <= value <= high:
            fail(ValueError, f"low={low:g}, value={value:g}, high={high:g} of a figure must ascend")
        set_fields(self, value=value, low=low, high=high)

    @classmethod
    def chosen(cls, value: float, unit: str, source: str = "user") -> "Figure":
        """Return a figure without a band: a choice, such as the length of a pulse, or a number that is exact.

        Examples
        --------
        >>> Figure.chosen(1e-7, "s").high
        1e-07
        """
        return cls(value, unit, value, value, source)

    def times(self, factor: float, unit: str | None = None, source: str | None = None) -> "Figure":
        """Return the figure and its band times an exact factor of at least 0.

        Examples
        --------
        >>> Figure(2.0, "J", 1.0, 4.0, "user").times(3).high
        12.0
        """
        return replace(
            self,
            value=self.value * factor,
            low=self.low * factor,
            high=self.high * factor,
            unit=self.unit if unit is None else unit,
            source=self.source if source is None else source,
        )

    def by(self, other: "Figure", unit: str, source: str | None = None) -> "Figure":
        """Return the product with another figure, neither below 0, both bands fully correlated."""
        source = "; ".join(dict.fromkeys((self.source, other.source))) if source is None else source
        return Figure(self.value * other.value, unit, self.low * other.low, self.high * other.high, source)

    @property
    def banded(self) -> bool:
        """Whether the figure has a band."""
        return self.low != self.high

    def __str__(self) -> str:
        # value and band in one unit
        factor, unit = _scale(self.value, self.unit)
        value, low, high = (_digits(number / factor) for number in (self.value, self.low, self.high))
        text = f"{value} {unit}".strip()
        return f"{text} ({low} to {high})" if self.banded else text


def together(figures: Iterable[Figure | None], unit: str, source: str = "sum") -> Figure:
    """Return the sum of figures, whose bands are taken as fully correlated: low with low, high with high.

    Nothing counts for None. One source of all of them stays.
    """
    known = [figure for figure in figures if figure is not None]
    value, low, high = (math.fsum(getattr(figure, name) for figure in known) for name in ("value", "low", "high"))
    sources = {figure.source for figure in known}
    return Figure(value, unit, min(low, value), max(high, value), sources.pop() if len(sources) == 1 else source)


@dataclass(frozen=True)
class Anchor:
    """A measured converter, cell, core or area, in place of a law.

    Parameters
    ----------
    value : float
        Of one conversion, of one cell in a read, of one array in a read: J; of an area, m2.
    bits : float, optional
        Of a converter: log2 of its codes. It is scaled to other numbers of codes within two bits.
    unit : str
        ``"J"`` or ``"m2"``.
    low, high : float, optional
        Ends of the band; by default 10 % below and above `value`, and the source says so.
    source : str
        The measurement.

    Raises
    ------
    TypeError, ValueError
        If a number is not above 0, the ends are not in order, or there is no source.

    Examples
    --------
    >>> kull = Anchor(2.55e-12, bits=8, source="Kull, ISSCC 2013")
    >>> print(kull)
    2.55 pJ (2.29 to 2.8) at 8 bits: Kull, ISSCC 2013; band of 10 % assumed
    """

    value: float
    bits: float | None = None
    unit: str = "J"
    low: float | None = None
    high: float | None = None
    source: str = ""

    def __post_init__(self) -> None:
        value = as_float("value", self.value, 0, above=True)
        source = _checked_source(self.source, f"the anchor {value:g} {self.unit}")
        if self.unit not in ("J", "m2"):
            fail(ValueError, f"unit={self.unit!r} of an anchor must be 'J', an energy, or 'm2', an area")
        bits = None if self.bits is None else as_float("bits", self.bits, 0, above=True)
        if self.low is None and self.high is None and not source.endswith(_ASSUMED):
            source += _ASSUMED
        low = value * (1 - BAND) if self.low is None else as_float("low", self.low, 0, above=True)
        high = value * (1 + BAND) if self.high is None else as_float("high", self.high, 0)
        if not low <= value <= high:
            fail(ValueError, f"low={low:g}, value={value:g}, high={high:g} of an anchor must ascend")
        set_fields(self, value=value, bits=bits, low=low, high=high, source=source)

    @property
    def figure(self) -> Figure:
        """The anchor as a `Figure`, as it was measured."""
        assert self.low is not None
        assert self.high is not None
        return Figure(self.value, self.unit, self.low, self.high, self.source)

    def at(self, bits: float, setting: str = "radc") -> Figure:
        """Return the figure of a converter of another number of bits.

        Energy and area grow with the bits somewhere between in proportion to them and in proportion to the codes: the
        value takes the codes, as the survey of converters does, and the band holds both.

        Parameters
        ----------
        bits : float
            log2 of the codes, at most two from those of the anchor.
        setting : str
            Setting of an engine that has the codes, for the message.

        Raises
        ------
        ValueError
            If the anchor has no bits, or they are too far away.
        """
        if self.bits is None:
            msg = f"the anchor of a converter needs bits=, log2 of its codes: Anchor({self.value:g}, bits=8, ...)"
            fail(ValueError, msg)
        if abs(bits - self.bits) > REACH + CODE:
            fewest, most = max(1, math.ceil(self.bits - REACH)), math.floor(self.bits + REACH)
            msg = (
                f"a converter of {bits:.3g} bits ({setting}) is more than {REACH} bits from its anchor"
                f"{_at_bits(self.bits)} ({self.source}): give an anchor of a converter nearer to it, or take one of "
                f"2**{fewest} to 2**{most} codes ({setting})"
            )
            fail(ValueError, msg)
        found, (codes, proportional) = self.figure, (2.0 ** (bits - self.bits), bits / self.bits)
        ends = found.low * min(codes, proportional), found.high * max(codes, proportional)
        scaled = "" if bits == self.bits else f", scaled to {bits:.3g} bits"
        return Figure(found.value * codes, self.unit, *ends, f"{self.source}{scaled}")

    def __str__(self) -> str:
        return f"{self.figure}{_at_bits(self.bits)}: {self.source}"


_ASSUMED = f"; band of {BAND:.0%} assumed".replace("%", " %")


def _at_bits(bits: float | None) -> str:
    return "" if bits is None else f" at {bits:g} bit{'s' if bits != 1 else ''}"


def as_figure(name: str, value: Any, unit: str, source: str | None, *, above: bool = True) -> Figure:
    """Return a setting of a technology as a figure, checked.

    Parameters
    ----------
    name : str
    value : Figure or float
    unit : str
        The unit that a figure must have; a number is taken in it.
    source : str or None
        Of a number.
    above : bool
        Whether 0 is refused.

    Raises
    ------
    TypeError, ValueError
        If a number has no source, or a figure another unit; if a value is below 0.
    """
    if not isinstance(value, Figure):
        number = as_float(name, value, 0, above=above, unit=f" {unit}")
        if source is None:
            msg = (
                f"{name}={number:g} has no source: give {name}=cost.Figure({number:g}, {unit!r}, low, high, source), "
                'or source="user" beside it'
            )
            fail(TypeError, msg)
        return Figure.chosen(number, unit, _checked_source(source, name))
    if value.unit != unit:
        fail(ValueError, f"{name} is in {value.unit or 'no unit'}, and must be in {unit}")
    as_float(name, value.low, 0, above=above, unit=f" {unit}")
    return value

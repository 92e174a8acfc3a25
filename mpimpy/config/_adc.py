"""The output converters' settings."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from ..checks import as_bool, as_float, as_int, as_items, as_sigma, as_text, fail, set_fields
from ._hints import hinted
from ._sense import AMPERES, tell
from ._shown import short_repr

__all__ = ["ADC", "Ranges", "low_code"]

MOST_LSB = 64  # noise and offset beyond would leave nothing to read
PLACES = 20  # bits of a step below which the end of a window counts as a whole number of steps
ROUNDED = 50  # bits of a window's end that its own rounding leaves


def _row(name: str, row: Any) -> tuple[Any, ...]:
    items = as_items(name, row)
    if items is None:
        fail(TypeError, f"{row!r} is no row of numbers")
    return items


def _table(name: str, value: Any) -> tuple[tuple[float, ...], ...]:
    given = as_items(name, value) or ()
    try:
        rows = tuple(tuple(as_float(name, item, -float("inf"), unit=" A") for item in _row(name, row)) for row in given)
    except TypeError as error:
        fail(TypeError, f"{name} must hold one number for each weight slice and input slice: {error}")
    if not rows or not rows[0] or len({len(row) for row in rows}) > 1:
        fail(ValueError, f"{name} must have a row for each weight slice, with one number for each input slice")
    return rows


def low_code(radc: int, low: float, span: float) -> tuple[int, Fraction]:
    """Lowest code of a window of `radc` codes, and its origin: the current of code 0, in steps.

    Parameters
    ----------
    radc : int
    low, span : float
        Lower end of the window and its width, in one unit.

    Returns
    -------
    (int, Fraction)
        The origin is 0 where the low end is a whole number of steps from zero, so that zero is a code, or would be.

    Examples
    --------
    >>> low_code(5, -1.0, 4.0), low_code(5, -1.5, 4.0)
    ((-1, Fraction(0, 1)), (-2, Fraction(1, 2)))
    """
    end = Fraction(low) * (radc - 1) / Fraction(span)
    first = round(end)
    whole = abs(end - first) <= max(Fraction(1, 2**PLACES), abs(end) / 2**ROUNDED)
    return first, Fraction(0) if whole else end - first


@hinted
@dataclass(frozen=True)
class Ranges:
    """One ADC range for each pair of slices; `mpimpy.Engine.calibrate` makes them.

    Parameters
    ----------
    low, span : sequence of sequences of float
        Lower end of the range and its width, bit line current in A: one row per weight slice, one
        number per input slice, most significant first.

    Examples
    --------
    >>> Ranges(low=[[0.0]], span=[[1e-5]]).span
    ((1e-05,),)
    """

    low: tuple[tuple[float, ...], ...]
    span: tuple[tuple[float, ...], ...]

    if TYPE_CHECKING:

        def __init__(self, low: Iterable[Iterable[float]], span: Iterable[Iterable[float]]) -> None: ...

    __repr__ = short_repr

    def __post_init__(self) -> None:
        low, span = _table("low", self.low), _table("span", self.span)
        if [len(row) for row in low] != [len(row) for row in span]:
            fail(ValueError, "low and span must have the same shape: one row per weight slice")
        for row in span:
            for item in row:
                as_float("span", item, 0, above=True, unit=" A")
        set_fields(self, low=low, span=span)


def _odd_range(adc: "ADC") -> list[str]:
    ends: Any = adc.range if isinstance(adc.range, tuple) else (adc.range,)
    return AMPERES.oddity("range", max(ends, key=abs))


@hinted
@dataclass(frozen=True)
class ADC:
    """The output converters that read the bit lines.

    Parameters
    ----------
    radc : int, sequence of int, or None
        Number of codes; a sequence holds one number per weight slice, most significant first.
        None is the ideal converter, which does not round. Where currents have two signs the
        converter has ``radc - 1`` codes on either side of zero.
    snap : bool
        Round each reconstructed partial product of two digits to the nearest integer before
        shift-and-add, since the product of two digits is an integer.
    saturate : bool
        Clip at the ends of the range, as a real converter does. False lets codes run past
        the ends, to separate the cost of saturation from that of rounding.
    range : str, float, (float, float) or Ranges
        Bit line currents that the codes cover, A. ``"full"``: up to the current of the highest inputs and
        cells. ``"lossless"``: a code for each product of two digits, as many as there are
        (`radc` is left out). A number: up to it, and down to its negative where currents have two
        signs. Two numbers: from the first to the second, in ``radc`` codes at equal distances; zero need
        not be one of them. `Ranges`: the same for each pair of slices.
    noise_lsb : float
        Noise of every conversion, Gaussian, rms, in steps of the code (LSB).
    offset_lsb, gain_error : float
        Standard deviations of the converters' offsets, LSB, and of their gains, relative, over the columns of
        each array: Gaussian, frozen on a chip.
    per : str
        ``"slice"``: the currents of each input slice are converted on their own. ``"product"``: those of all
        input slices are weighted and added before one conversion, as an integrator or a pulse width does it.

    Examples
    --------
    >>> ADC(radc=None).radc is None
    True
    """

    radc: int | tuple[int, ...] | None = 256
    snap: bool = False
    saturate: bool = True
    range: str | float | tuple[float, float] | Ranges = "full"
    noise_lsb: float = 0.0
    offset_lsb: float = 0.0
    gain_error: float = 0.0
    per: str = "slice"

    if TYPE_CHECKING:

        def __init__(
            self,
            radc: int | Iterable[int] | None = 256,
            snap: bool = False,
            saturate: bool = True,
            range: str | float | Iterable[float] | Ranges = "full",
            noise_lsb: float = 0.0,
            offset_lsb: float = 0.0,
            gain_error: float = 0.0,
            per: str = "slice",
        ) -> None: ...

    __repr__ = short_repr

    def __post_init__(self) -> None:
        radc: Any = self.radc
        if radc is not None:
            items = as_items("radc", radc)
            if items is None:
                radc = as_int("radc", radc, 2, 1 << 53)
            else:
                radc = tuple(as_int("radc", item, 2, 1 << 53) for item in items)
        if radc == ():
            fail(ValueError, "radc=() gives no resolution: give one number, one per weight slice, or None for ideal")
        set_fields(self, radc=radc, snap=as_bool("snap", self.snap), saturate=as_bool("saturate", self.saturate))
        set_fields(self, range=self._range())
        for name in ("noise_lsb", "offset_lsb"):
            set_fields(self, **{name: as_float(name, getattr(self, name), 0, MOST_LSB, unit=" LSB")})
        set_fields(self, gain_error=as_sigma("gain_error", self.gain_error))
        changed = {"snap": self.snap, "saturate": not self.saturate, "range": self.range != "full"}
        changed |= {name: getattr(self, name) > 0 for name in ("noise_lsb", "offset_lsb", "gain_error")}
        for name, on in changed.items():
            if on and radc is None:
                fail(ValueError, f"{name}={getattr(self, name)} has no effect with radc=None (ideal ADC): leave it out")
        if as_text(self.per) not in ("slice", "product"):
            fail(
                ValueError,
                f"per={self.per!r} is unknown: use 'slice', a conversion for each input slice, "
                "or 'product', one for all of them",
            )
        set_fields(self, per=as_text(self.per))
        if self.per == "product" and radc is None:
            fail(ValueError, "per='product' has no effect with radc=None (ideal ADC): leave it out")
        if self.per == "product" and self.snap:
            fail(
                ValueError,
                "snap=True rounds the product of two digits, and per='product' converts a sum of such products: "
                "leave one of them out",
            )
        if self.range == "lossless" and radc != ADC.radc:
            fail(ValueError, f"radc={radc} has no effect with range='lossless', which has every code: leave it out")
        if not isinstance(self.range, str | Ranges):
            tell(self, _odd_range)

    @property
    def errs(self) -> bool:
        """Whether the converters have noise, offsets or errors of their gain."""
        return self.noise_lsb > 0 or self.offset_lsb > 0 or self.gain_error > 0

    def _range(self) -> str | float | tuple[float, float] | Ranges:
        value: Any = self.range
        if isinstance(value, Ranges):
            return value
        text = as_text(value)
        if text is not None:
            if text not in ("full", "lossless"):
                fail(ValueError, f"range {text!r} is unknown: use 'full', 'lossless', or currents in A")
            return text
        items = as_items("range", value)
        if items is not None:
            ends = tuple(as_float("range", end, -float("inf"), unit=" A") for end in items)
            if len(ends) != 2 or ends[0] >= ends[1]:
                fail(ValueError, f"range={value!r} must be two currents in A, the lower one first")
            return ends[0], ends[1]
        return as_float("range", value, 0, above=True, unit=" A")

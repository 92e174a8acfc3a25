"""Sense of units: warnings about numbers that no machine has, such as a conductance of 10 S."""

import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TypeVar

from ..checks import MpimpyWarning

__all__ = ["AMPERES", "OHM", "SECONDS", "SIEMENS", "VOLTS", "tell", "times_told", "warn"]

Made = TypeVar("Made")
_POWERS = {"m": -3, "u": -6, "n": -9}


@dataclass(frozen=True)
class Quantity:
    """A physical quantity, and the range in which real machines have it.

    Attributes
    ----------
    unit : str
    low, high : float
        Ends of the range.
    limits : str
        The range in words.
    """

    unit: str
    low: float
    high: float
    limits: str

    def oddity(self, name: str, value: float) -> list[str]:
        """Return a sentence about a number beyond the range, or nothing.

        Examples
        --------
        >>> VOLTS.oddity("vread", 100.0)
        ['vread=100 V is odd: read voltages lie between 10 uV and 5 V: did you mean 100 mV: 100e-3?']
        """
        size = abs(value)
        if self.low <= size <= self.high:
            return []
        odd = f"{name}={value:g} {self.unit} is odd: {self.limits}"
        fits = [(p, e) for p, e in _POWERS.items() if self.low <= size * 10.0**e <= self.high]
        if self.unit == "S":  # laboratories write uS
            fits.sort(key=lambda fit: fit[0] != "u")
        meant = [f"{value:g} {prefix}{self.unit}: {_times(value, power)}" for prefix, power in fits[:1]]
        if self.unit == "S" and size >= 1e3 and 1 / size >= self.low:
            meant.append(f"{value:g} Ohm: 1/{value:g}")
        if not meant or size < self.low:
            return [f"{odd}: give it in {self.unit}"]
        return [f"{odd}: did you mean {', or '.join(meant)}?"]


def _times(value: float, power: int) -> str:
    text = f"{value:g}"
    return f"{value * 10.0**power:g}" if "e" in text else f"{text}e{power}"


SIEMENS = Quantity("S", 1e-9, 0.1, "memristors conduct between 1 nS and 100 mS")
VOLTS = Quantity("V", 1e-5, 5.0, "read voltages lie between 10 uV and 5 V")
OHM = Quantity("Ohm", 0.0, 1e4, "a segment of wire, from cell to cell, has a few Ohm, and at most 10 kOhm")
AMPERES = Quantity("A", 0.0, 1.0, "bit line currents lie below 1 A")
SECONDS = Quantity("s", 0.0, 1.0, "a read lasts less than 1 s")


_told = 0


def times_told() -> int:
    """Return how many settings were odd so far: what was built meanwhile without any may be used again."""
    return _told


def tell(made: Made, find: Callable[[Made], list[str]]) -> None:
    """Warn of what is odd in settings, where a user makes them.

    Nothing is said again of what was odd in the settings that these replace, nor of settings that a file or an
    analysis repeats.

    Parameters
    ----------
    made : a part of the settings
    find : function
        Of the settings: the sentences about them.
    """
    global _told
    found = find(made)
    if not found:
        return
    _told += 1
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_inside(frame):
        name = frame.f_globals.get("__name__", "")
        if name.startswith(("mpimpy.files", "mpimpy._load", "mpimpy.analysis")):
            return
        if name == "dataclasses":
            old = next((value for value in frame.f_locals.values() if type(value) is type(made)), None)
            if old is not None and old is not made:
                known = find(old)
                found = [sentence for sentence in found if sentence not in known]
        frame = frame.f_back
    for sentence in found:
        warn(sentence)


def warn(message: str) -> None:
    """Warn at the line of the user's program that called mpimpy."""
    depth, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_inside(frame):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(message, MpimpyWarning, stacklevel=depth)


def _is_inside(frame: FrameType) -> bool:
    # of mpimpy, or of what it builds settings with
    package = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    made_by_dataclass = frame.f_code.co_name == "__init__" and frame.f_code.co_filename == "<string>"
    return package in ("mpimpy", "dataclasses", "copy") or made_by_dataclass

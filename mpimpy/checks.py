"""Checks of single settings: each returns the value as a plain Python number, or raises an error that names it.

Every message begins with the name of the setting; `mpimpy.config.from_dict` finds by it which key is wrong.
"""

import difflib
import math
import operator
from collections.abc import Iterable
from typing import Any, NoReturn

__all__ = ["as_bool", "as_float", "as_int", "as_int_pair", "as_sigma", "check_names", "fail", "set_fields"]

SMALLEST_SIGMA = 0.0001


def fail(kind: type[Exception], message: str) -> NoReturn:
    """Raise `message`: it says what was given, what is allowed and how to mend it."""
    raise kind(message)


def set_fields(instance: object, **values: Any) -> None:
    """Set fields of a frozen dataclass, while it is being built."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def as_int(name: str, value: Any, low: float, high: int | None = None) -> int:
    """Return `value` as an int in ``low .. high``.

    Raises
    ------
    TypeError
        If it is no whole number.
    ValueError
        If it is out of range.
    """
    try:
        number = operator.index(value) if not isinstance(value, bool) else None
    except TypeError:
        number = None
    if number is None:
        fail(TypeError, f"{name}={value!r} must be a whole number")
    if number < low or (high is not None and number > high):
        wanted = f"at least {low}" if high is None else f"from {low} to {high}"
        fail(ValueError, f"{name}={number} is out of range: it must be {wanted}")
    return number


def as_float(
    name: str, value: Any, low: float, high: float = math.inf, *, above: bool = False, unit: str = ""
) -> float:
    """Return `value` as a finite float in ``low .. high``; with `above`, `low` itself is excluded.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is infinite or NaN, or out of range.
    """
    try:
        number = None if isinstance(value, bool | str) else float(value)
    except OverflowError:
        number = math.inf if value > 0 else -math.inf  # an integer beyond the range of float
    except (TypeError, ValueError):
        number = None
    if number is None:
        fail(TypeError, f"{name}={value!r} must be a number")
    if not math.isfinite(number):
        fail(ValueError, f"{name}={number} must be finite")
    if number < low or number > high or (above and number == low):
        wanted = f"above {low:g}" if above else f"at least {low:g}"
        wanted += "" if high == math.inf else f" and at most {high:g}"
        fail(ValueError, f"{name}={number:g}{unit} is out of range: it must be {wanted}{unit}")
    return number


def as_sigma(name: str, value: Any) -> float:
    """Return `value` as a relative standard deviation: 0, or 0.0001 to 2, which tables of random factors resolve.

    Raises
    ------
    TypeError
        If it is no number.
    ValueError
        If it is out of range, or above 0 and below 0.0001.
    """
    number = as_float(name, value, 0, 2)
    if 0 < number < SMALLEST_SIGMA:
        fail(ValueError, f"{name}={number:g} is finer than random factors are: use 0, or at least {SMALLEST_SIGMA}")
    return number


def as_bool(name: str, value: Any) -> bool:
    """Return `value`, which must be True or False.

    Raises
    ------
    TypeError
        If it is anything else, such as 1.
    """
    if not isinstance(value, bool):
        fail(TypeError, f"{name}={value!r} must be True or False")
    return value


def as_int_pair(name: str, value: Any, low: float = 1, high: int | None = None) -> tuple[int, int]:
    """Return `value` as a tuple of two ints in ``low .. high``.

    Raises
    ------
    TypeError
        If it is no pair of whole numbers.
    ValueError
        If one of them is out of range.
    """
    try:
        items = tuple(value)
    except TypeError:
        items = ()
    if len(items) != 2 or isinstance(value, str):
        fail(TypeError, f"{name}={value!r} must be two whole numbers, such as (64, 64)")
    return as_int(name, items[0], low, high), as_int(name, items[1], low, high)


def _spelling(name: str) -> str:
    # capitals, - for _ and the dashes of an option are no difference
    return name.lower().replace("-", "_").strip("_")


def check_names(given: Iterable[str], known: Iterable[str], what: str = "setting") -> None:
    """Raise TypeError for the first of `given` that is not among `known`, naming the nearest."""
    known = list(known)
    for name in given:
        if name not in known:
            spellings = {_spelling(other): other for other in known}
            near = difflib.get_close_matches(_spelling(name), spellings, n=1, cutoff=0.6)
            hint = f"did you mean {spellings[near[0]]!r}?" if near else f"known are {', '.join(sorted(known))}"
            fail(TypeError, f"unknown {what} {name!r}: {hint}")

"""Checks of single settings: each returns the value as a plain Python number, or raises an error that names it.

Every message begins with the name of the setting; `mpimpy.config.from_dict` finds by it which key is wrong.
"""

import difflib
import math
import operator
from collections.abc import Iterable, Mapping, Set
from typing import Any, NoReturn

__all__ = [
    "MpimpyWarning",
    "as_bool",
    "as_choice",
    "as_float",
    "as_int",
    "as_int_pair",
    "as_items",
    "as_sigma",
    "as_text",
    "check_names",
    "fail",
    "install",
    "set_fields",
]

SMALLEST_SIGMA = 0.0001
EXACT = 1 << 53  # a larger whole float may stand for its neighbour
LONGEST = 200  # characters of a value that a message shows


class MpimpyWarning(UserWarning):
    """A result that is probably not the intended one."""


def fail(kind: type[Exception], message: str) -> NoReturn:
    """Raise `message`: it says what was given, what is allowed and how to mend it."""
    raise kind(message)


def install(extra: str) -> str:
    """Return the command that installs an extra; the package index has another program under this name."""
    return f'pip install -e ".[{extra}]" in the checkout of mpimpy'


def set_fields(instance: object, **values: Any) -> None:
    """Set fields of a frozen dataclass, while it is being built."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def _scalar(value: Any) -> bool | int | float | None:
    # The plain number of any library's scalar or array without axes; None if it is no real number.
    if isinstance(value, str | bytes | bytearray | complex) or getattr(value, "ndim", 0) > 0:
        return None
    if hasattr(value, "dtype"):
        if (
            str(getattr(value.dtype, "kind", "f")) not in "biufVO"
        ):  # complex numbers, dates and text turn into floats too
            return None
        if getattr(value, "mask", False):
            return math.nan
    try:
        if hasattr(value, "dtype") and hasattr(value, "item"):
            value = value.item()
        if isinstance(value, bool | float):
            return value if isinstance(value, bool) else float(value)
        if isinstance(value, str | bytes | complex):
            return None
        return operator.index(value) if hasattr(value, "__index__") else float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError, RuntimeError, ArithmeticError):
        return None


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python writes no integer of more than 4300 digits
        text = f"({type(value).__name__} of too many digits to show)"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _no_number(name: str, value: Any, wanted: str) -> NoReturn:
    missing = type(value).__name__ in ("NAType", "NaTType") or isinstance(value, float)
    why = ": it is a missing value of a table, so leave it out" if missing else ""
    fail(TypeError, f"{name}={_shown(value)} must be {wanted}{why}")


def as_int(name: str, value: Any, low: float, high: int | None = None) -> int:
    """Return `value` as an int in ``low .. high``; a whole float, as tables have them, is one.

    Raises
    ------
    TypeError
        If it is no whole number.
    ValueError
        If it is out of range, or a float beyond 2**53.
    """
    number = value if type(value) is int else _scalar(value)
    if isinstance(number, float):
        if math.isnan(number):
            _no_number(name, number, "a whole number")
        if not number.is_integer():
            fail(TypeError, f"{name}={number} must be a whole number")
        if abs(number) > EXACT:
            fail(ValueError, f"{name}={number} is a float too large to be exact: give an int")
        number = int(number)
    if number is None or isinstance(number, bool):
        _no_number(name, value, "a whole number")
    if number < low or (high is not None and number > high):
        wanted = f"at least {low}" if high is None else f"from {low} to {high}"
        fail(ValueError, f"{name}={_shown(number)} is out of range: it must be {wanted}")
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
    number = value if type(value) is float else _scalar(value)
    if number is None or isinstance(number, bool):
        _no_number(name, value, "a number")
    try:
        number = float(number)
    except OverflowError:
        number = math.inf if number > 0 else -math.inf  # an integer beyond the range of float
    if not math.isfinite(number):
        why = ": NaN is a missing value of a table" if math.isnan(number) else ""
        fail(ValueError, f"{name}={number} must be finite{why}")
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
    """Return `value`, True or False of any library, as a bool.

    Raises
    ------
    TypeError
        If it is anything else, such as 1.
    """
    found = value if isinstance(value, bool) else _scalar(value)
    if not isinstance(found, bool):
        fail(TypeError, f"{name}={_shown(value)} must be True or False")
    return found


def as_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return `value`, one of some words.

    Raises
    ------
    ValueError
        If it is none of them.
    """
    if value not in choices:
        fail(ValueError, f"{name}={value!r} is unknown: use one of {', '.join(map(repr, choices))}")
    found: str = value
    return found


def as_text(value: Any) -> str | None:
    """Return the plain text of `value`, which may be an array without axes; None if it is no text."""
    if getattr(value, "ndim", 1) == 0 and hasattr(value, "item"):
        value = value.item()
    return str(value) if isinstance(value, str) else None


def as_items(name: str, value: Any) -> tuple[Any, ...] | None:
    """Return the items of a sequence, array or column of a table, in order; None if `value` is one item.

    Raises
    ------
    TypeError
        If items have no order, or names of their own: those of a set or a dict.
    """
    if isinstance(value, tuple | list):
        return tuple(value)
    if isinstance(value, str | bytes | bytearray | memoryview) or not hasattr(value, "__iter__"):
        return None
    if isinstance(value, Mapping | Set):
        fail(TypeError, f"{name}={_shown(value)} must be a list: the order of its items counts")
    if hasattr(value, "to_numpy"):  # a table would give the names of its columns
        value = value.to_numpy()
    return None if getattr(value, "ndim", 1) == 0 else tuple(value)


def as_int_pair(name: str, value: Any, low: float = 1, high: int | None = None) -> tuple[int, int]:
    """Return `value` as a tuple of two ints in ``low .. high``.

    Raises
    ------
    TypeError
        If it is no pair of whole numbers.
    ValueError
        If one of them is out of range.
    """
    items = as_items(name, value)
    if items is None or len(items) != 2:
        fail(TypeError, f"{name}={_shown(value)} must be two whole numbers, such as (64, 64)")
    return as_int(name, items[0], low, high), as_int(name, items[1], low, high)


def _spelling(name: str) -> str:
    # capitals, - for _ and the dashes of an option are no difference
    return name.lower().replace("-", "_").strip("_")


def check_names(given: Iterable[str], known: Iterable[str], what: str = "setting") -> None:
    """Raise TypeError for the first of `given` that is not among `known`, naming the nearest."""
    known = list(known)
    for name in given:
        if not isinstance(name, str):
            fail(TypeError, f"unknown {what} {_shown(name)}: the name of a {what} must be text")
        if name not in known:
            spellings = {_spelling(other): other for other in known}
            near = difflib.get_close_matches(_spelling(name[:LONGEST]), spellings, n=1, cutoff=0.6)
            hint = f"did you mean {spellings[near[0]]!r}?" if near else f"known are {', '.join(sorted(known))}"
            fail(TypeError, f"unknown {what} {_shown(name)}: {hint}")

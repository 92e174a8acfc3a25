"""Checks of single settings: each returns the value in its plain form, or says what is wrong with it."""

import difflib
import math
import operator

__all__ = ["check_names", "fail", "flag", "pair", "real", "set_fields", "spread", "whole"]

SMALLEST_SPREAD = 0.0001


def fail(kind, message):
    """Raise `message`, which says what was given, what is allowed and how to mend it."""
    raise kind(message)


def set_fields(instance, **values):
    """Set fields of a frozen dataclass, while it is being built."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)


def whole(name, value, low, high=None):
    """Return `value` as an int in ``low .. high``, or say what is wrong with it."""
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


def real(name, value, low, high=math.inf, *, above=False, unit=""):
    """Return `value` as a finite float in ``low .. high`` (``above``: low itself excluded)."""
    try:
        number = None if isinstance(value, bool | str) else float(value)
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


def spread(name, value):
    """Return `value` as a relative spread: 0, or 0.0001 to 2, what the tables of random factors resolve."""
    number = real(name, value, 0, 2)
    if 0 < number < SMALLEST_SPREAD:
        fail(ValueError, f"{name}={number:g} is finer than random factors are: use 0, or at least {SMALLEST_SPREAD}")
    return number


def flag(name, value):
    """Return `value` as a bool; only true booleans are taken."""
    if not isinstance(value, bool):
        fail(TypeError, f"{name}={value!r} must be True or False")
    return value


def pair(name, value, low=1, high=None):
    """Return `value` as a tuple of two ints."""
    try:
        items = tuple(value)
    except TypeError:
        items = ()
    if len(items) != 2 or isinstance(value, str):
        fail(TypeError, f"{name}={value!r} must be two whole numbers, such as (64, 64)")
    return tuple(whole(name, item, low, high) for item in items)


def _plain(name):
    return name.lower().replace("-", "_").strip("_")


def check_names(given, known, what="setting"):
    """Raise TypeError for the first of `given` that is not among `known`, naming the nearest."""
    for name in given:
        if name not in known:
            # capitals, - for _ and the dashes of an option are no difference
            plain = {_plain(other): other for other in known}
            near = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.6)
            hint = f"did you mean {plain[near[0]]!r}?" if near else f"known are {', '.join(sorted(known))}"
            fail(TypeError, f"unknown {what} {name!r}: {hint}")

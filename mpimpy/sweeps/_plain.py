"""Values of settings and of results as JSON holds them."""

import math
from typing import Any

from ..checks import fail
from ..config import to_dict

__all__ = ["decoded", "encoded", "plain", "shape_of", "shown"]

EXACT = 1 << 53  # a dataset holds float64, in which a larger integer may stand for its neighbour
_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def plain(name: str, value: Any) -> Any:
    """Return a value of a setting as JSON holds it: 64.0 is 64, tuples are lists, parts are dicts.

    Raises
    ------
    TypeError
        If it is no value of a setting.
    """
    if hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= EXACT else value
    if isinstance(value, tuple | list):
        return [plain(name, item) for item in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        return plain(name, value.tolist())
    try:
        return to_dict(value)
    except TypeError:
        fail(TypeError, f"{name}={value!r} is no value of a setting: give numbers, text, None, tuples or parts")


def shown(value: Any) -> str:
    """Return the text of a plain value, which stands for it in a dataset: "none" for None, "1,1,2,4" for a tuple."""
    if value is None:
        return "none"
    if isinstance(value, list):
        return ",".join(map(shown, value))
    if isinstance(value, dict):
        fields = ", ".join(f"{name}={shown(item)}" for name, item in value.items() if name != "kind")
        return f"{value.get('kind', '')}({fields})"
    return str(value)


def encoded(result: Any) -> Any:
    """Return a result of a workload as JSON holds it: numbers, lists of them, or a dict of these.

    Numbers that are not finite are text, "nan", "inf" and "-inf", since JSON has none. None in a dict, an unknown
    number, is NaN.

    Raises
    ------
    TypeError, ValueError
        If it is anything else, a list of lists of different lengths, or an integer beyond 2**53.
    """
    if isinstance(result, dict):
        for name in result:
            if not isinstance(name, str):
                fail(TypeError, f"the workload returned the name {name!r}: names of results must be text")
        return {name: "nan" if value is None else _array(value) for name, value in result.items()}
    return _array(result)


def _array(value: Any) -> Any:
    found = _number(value)
    if shape_of(found) is None:
        fail(ValueError, "the workload returned lists of different lengths within one list: return an array")
    return found


def shape_of(value: Any) -> tuple[int, ...] | None:
    """Return the shape of an encoded result; None for lists of different lengths."""
    if not isinstance(value, list):
        return ()
    inner = {shape_of(item) for item in value} if value and isinstance(value[0], list) else set()
    if not inner and not any(isinstance(item, list) for item in value):
        return (len(value),)
    [first, *others] = inner or {None}
    return None if others or first is None else (len(value), *first)


def _number(value: Any) -> Any:
    if hasattr(value, "detach"):
        value = value.detach()
    if hasattr(value, "dtype") and hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_number(item) for item in value]
    if isinstance(value, bool | int):
        if abs(value) > EXACT:
            fail(ValueError, f"the workload returned {value}, which float64 does not hold exactly: return a float")
        return int(value)
    if not isinstance(value, float):
        fail(TypeError, f"the workload returned a {type(value).__name__}: give a number, an array, or a dict of these")
    if math.isfinite(value):
        return float(value)
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"


def decoded(value: Any) -> Any:
    """Return an encoded number, or nested lists of them, as floats."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    return _NOT_FINITE[value] if isinstance(value, str) else float(value)

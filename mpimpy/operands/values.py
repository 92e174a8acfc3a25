"""Anything that holds numbers becomes an array here, by one table of rules: `RULES`.

docs/operands.md shows the table to users; a test holds the two together.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from .. import arrays
from ..arrays import device_of, namespace
from ..operators import RightOperand
from .dtypes import dtype_of, kind_of, number_dtype

__all__ = ["RULES", "Rule", "Taken", "first_index", "library", "like", "take"]


_PLAIN: set[type] = set()  # types of arrays that the rules have met: they need no look at the table


class Taken(NamedTuple):
    """An array of numbers, and the dtype that it counts as in the dtype of a product."""

    array: Any
    dtype: Any


@dataclass(frozen=True)
class Rule:
    """A row of the table: what is given, and what becomes of it.

    Attributes
    ----------
    given : str
        Name of the row.
    fits : function of a value
        Whether the row is the value's. The first row that fits holds.
    take : function of (name, value, like)
        Returns a `Taken`, or raises.
    """

    given: str
    fits: Callable[[Any], Any]
    take: Callable[[str, Any, Any], Taken]


def library(array: Any) -> str:
    """Return the name of the library that `array` belongs to."""
    name: str = namespace(array).__name__
    return name.removeprefix("array_api_compat.").partition(".")[0]


def like(*values: Any) -> Any:
    """Return the array that lists and numbers beside it are made for: the first with axes, no NumPy number; or None."""
    number = None
    for value in values:
        if type(value) in _PLAIN or (not arrays.traced(value) and arrays.is_array(value)):
            if value.ndim:
                return value
            if number is None and not arrays.is_numpy(value):
                number = value
    return number


def first_index(xp: Any, marked: Any) -> tuple[int, ...]:
    """Return the index of the first True of a bool array, a tuple of int."""
    first = int(xp.argmax(xp.astype(xp.reshape(marked, (-1,)), xp.int8)))
    index: list[int] = []
    for size in reversed(marked.shape):
        first, position = divmod(first, size)
        index.append(position)
    return tuple(reversed(index))


def _has(*names: str) -> Callable[[Any], bool]:
    # looked up on the type: a table may have a column of that name
    return lambda value: all(hasattr(type(value), name) for name in names)


def _refuse(words: str) -> Callable[[str, Any, Any], Taken]:
    def refuse(name: str, value: Any, like: Any) -> Taken:
        msg = f"{name} is {words.format(name=name, kind=type(value).__name__)}"
        raise TypeError(msg)

    return refuse


def _not_numeric(name: str, dtype: Any) -> TypeError:
    kind, reason = getattr(dtype, "kind", ""), f"{name} has dtype {dtype}, which is not numeric"
    if kind in ("m", "M"):
        return TypeError(f"{reason}: divide times by a unit first, such as {name} / np.timedelta64(1, 's')")
    if kind == "V" and getattr(dtype, "fields", None):
        return TypeError(f"{reason}: pass one of its fields, {name}[{next(iter(dtype.fields))!r}]")
    if kind in ("S", "U", "T"):
        return TypeError(f"{reason}: pass integers or floats, such as np.asarray({name}).astype(float)")
    return TypeError(f"{reason}: pass integers or floats, such as float32")


def _number(name: str, value: Any, index: tuple[int, ...]) -> Any:
    # an element of an object array, as a float or complex
    if value is None or isinstance(value, (str, bytes)) or not hasattr(type(value), "__float__"):
        if hasattr(type(value), "__complex__"):
            return complex(value)
        msg = (
            f"{name} has {value!r} at index {index}, which is no number: fill it, and pass {name}.astype(float), "
            f"or a table's {name}.to_numpy(float)"
        )
        raise TypeError(msg)
    try:
        number = complex(value) if isinstance(value, complex) else float(value)
    except OverflowError:
        number = float("inf")
    except (TypeError, ValueError) as error:
        msg = f"{name} has {type(value).__name__} at index {index}, which is no number: {error}"
        raise TypeError(msg) from None
    if (number in (float("inf"), float("-inf")) and value != number) or (number == 0 and value != 0):
        raise _out_of_range(name, value, index, "float64")
    return number


def _out_of_range(name: str, value: Any, index: tuple[int, ...], dtype: Any) -> ValueError:
    text = str(value)
    text = text if len(text) <= 40 else f"a number of {len(text)} digits"
    return ValueError(
        f"{name} has {text} at index {index}, which is finite but beyond the range of {dtype}: scale {name} first"
    )


def _numbers(name: str, array: Any) -> Any:
    # the float64 or complex128 array of an object array whose elements are numbers
    flat = [_number(name, value, tuple(map(int, index))) for index, value in _enumerate(array)]
    kind = "complex128" if any(isinstance(number, complex) for number in flat) else "float64"
    return arrays.asarray(flat).astype(kind).reshape(array.shape)


def _enumerate(array: Any) -> Any:
    import itertools

    return zip(itertools.product(*map(range, array.shape)), array.ravel(), strict=True)


def _plain(name: str, value: Any) -> Any:
    """Return anything that NumPy can read as a numeric NumPy array."""
    hint = f"{name} is a {type(value).__name__} that makes no array of numbers"
    try:
        if not hasattr(type(value), "__array__") and hasattr(type(value), "to_numpy"):
            array = arrays.asarray(value.to_numpy())
        else:
            array = arrays.asarray(value)
    except OverflowError:
        array = arrays.asarray(value, object)  # an integer beyond float64 among floats
    except (TypeError, ValueError, RuntimeError, AttributeError) as error:
        msg = f"{hint} ({error}): pass an array, or nested lists of one length"
        raise (ValueError if isinstance(error, ValueError) else TypeError)(msg) from error
    if array.dtype.kind == "O":
        if not array.ndim and not hasattr(type(value), "__float__"):
            msg = f"{hint}: pass numbers, nested lists or an array"
            raise TypeError(msg)
        return _numbers(name, array)
    return array


def _held(name: str, array: Any) -> Taken:
    # an array in a dtype that kernels take
    xp = namespace(array)
    rule = dtype_of(xp, array.dtype)
    if rule.kind is None:
        if getattr(array.dtype, "kind", "") == "O":
            return _held(name, _numbers(name, array))
        raise _not_numeric(name, array.dtype)
    if rule.held_as is None:
        return Taken(array, rule.counts_as)
    try:
        with arrays.quiet():  # the check of the range says more
            held = xp.astype(array, rule.held_as)
    except (TypeError, RuntimeError) as error:
        msg = f"{name} has dtype {array.dtype}, which does not convert to {rule.held_as} ({error}): convert it first"
        raise TypeError(msg) from error
    if getattr(array.dtype, "itemsize", 0) > 8 and rule.counts_as == array.dtype:
        _check_range(name, xp, array, held)
    return Taken(held, rule.counts_as)


def _check_range(name: str, xp: Any, array: Any, held: Any) -> None:
    # ValueError if an element of `array` has become infinite, zero or another integer in `held`
    if kind_of(xp, array.dtype) == "complex floating":
        for part in (xp.real, xp.imag):
            _check_range(name, xp, part(array), part(held))
        return
    lost = xp.isfinite(array) & ~xp.isfinite(held) | (array != 0) & (held == 0)
    if kind_of(xp, array.dtype) in ("bool", "integral"):
        lost = lost | (xp.astype(held, array.dtype) != array)
    if bool(xp.any(lost)):
        index = first_index(xp, lost)
        raise _out_of_range(name, array[index], index, held.dtype)


def _into(name: str, array: Any, like: Any) -> Any:
    # a NumPy array in the library and on the device of `like`; torch takes neither foreign bytes nor read-only memory
    array = array.astype(array.dtype.newbyteorder("="))
    with arrays.quiet():
        moved = namespace(like).asarray(array, device=device_of(like))
    if str(moved.dtype).rpartition(".")[2] != str(array.dtype):
        _check_range(name, namespace(array), array, arrays.to_numpy(moved))  # JAX without x64
    return moved


def _as_it_is(name: str, value: Any, like: Any) -> Taken:
    if reason := arrays.unusable(value):
        msg = f"{name} {reason}"
        raise TypeError(msg)
    if type(value) not in _PLAIN and arrays.is_numpy(value):
        value = arrays.asarray(value)  # np.matrix and other subclasses have rules of their own
    _PLAIN.add(type(value))
    if not value.ndim and like is not None and not arrays.is_numpy(like):
        if arrays.is_numpy(value):
            return _without_width(name, value, like)
        if getattr(value, "weak_type", False):  # JAX's own mark for numbers of Python
            return Taken(value, number_dtype(namespace(like), _counts(like), str(_kind(value)), device_of(like)))
    return _held(name, value)


def _counts(array: Any) -> Any:
    return dtype_of(namespace(array), array.dtype).counts_as


def _kind(array: Any) -> str | None:
    return kind_of(namespace(array), array.dtype)


def _without_width(name: str, value: Any, like: Any) -> Taken:
    held = _held(name, _plain(name, value))
    if like is None or arrays.is_numpy(like):
        return held
    kind = str(_kind(held.array))
    counts = number_dtype(namespace(like), _counts(like), kind, device_of(like))
    return Taken(_into(name, held.array, like), counts)


def _with_width(name: str, value: Any, like: Any) -> Taken:
    held = _held(name, _plain(name, value))
    if like is None or arrays.is_numpy(like):
        return held
    return _held(name, _into(name, held.array, like))


def _traced(name: str, value: Any, like: Any) -> Taken:
    msg = f"{name} {arrays.traced(value)}"
    raise TypeError(msg)


def _is_numbers(value: Any) -> bool:
    return isinstance(value, (list, tuple, range, int, float, complex)) or (
        hasattr(type(value), "__float__") and not hasattr(type(value), "__array__")
    )


def _is_table(value: Any) -> bool:
    if hasattr(type(value), "__array__") or hasattr(type(value), "to_numpy"):
        return True
    try:
        memoryview(value)
    except TypeError:
        return hasattr(value, "__array_interface__")
    return not isinstance(value, bytes)


RULES = (
    Rule("a value that JAX or torch.fx traces", arrays.traced, _traced),
    Rule(
        "a programmed matrix",
        lambda value: isinstance(value, RightOperand),
        _refuse("a programmed matrix, not an array: write x @ W, or W.report(x)"),
    ),
    Rule("a `SlicedData`", _has("slice_data_imp"), _refuse("a SlicedData, not an array: multiply with engine(x, w)")),
    Rule(
        "a masked array",
        _has("mask", "filled"),
        _refuse("a masked array, and a crossbar has no masked cells: pass {name}.filled(0)"),
    ),
    Rule(
        "a sparse matrix",
        _has("todense"),
        _refuse("a sparse {kind}, and a crossbar holds every element: pass {name}.toarray()"),
    ),
    Rule("an array of NumPy, torch, JAX or another library", arrays.is_array, _as_it_is),
    Rule("numbers, and lists of them", _is_numbers, _without_width),
    Rule("a table, a column or a buffer", _is_table, _with_width),
    Rule(
        "anything else",
        lambda value: True,
        _refuse("a {kind}, which is not numeric: pass numbers, nested lists or an array"),
    ),
)


def take(name: str, value: Any, like: Any = None) -> Taken:
    """Return the numbers of `value` as an array, by the table of rules.

    Parameters
    ----------
    name : str
        Its name in messages.
    value : anything
    like : array, optional
        The other operand, or an array of its kind: numbers, lists and tables become arrays of its library and device.

    Returns
    -------
    Taken

    Raises
    ------
    TypeError
        If `value` has no plain numbers.
    ValueError
        If a number is finite but beyond the range of the dtype that holds it.
    """
    if type(value) in _PLAIN:
        return _as_it_is(name, value, like)
    rule = next(rule for rule in RULES if rule.fits(value))
    return rule.take(name, value, like)

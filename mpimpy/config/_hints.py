"""Words for a call of a class that does not fit its settings, in place of Python's own."""

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from ..checks import check_names

__all__ = ["hinted", "hinted_call"]

Kind = TypeVar("Kind")
Call = TypeVar("Call", bound=Callable[..., Any])
_owners: dict[str, str] = {}  # the class of each field of the settings


def hinted(kind: type[Kind]) -> type[Kind]:
    """Let a class answer a wrong setting with the nearest known one.

    A call that fits costs nothing but the call: nothing is looked up before Python refuses. The class keeps its
    signature, for programs and for type checkers.

    Examples
    --------
    >>> from mpimpy import Tile
    >>> Tile(row=32)
    Traceback (most recent call last):
    ...
    TypeError: unknown setting 'row': did you mean 'rows'?
    """
    kind.__init__ = hinted_call(kind.__init__)  # type: ignore[method-assign]
    if dataclasses.is_dataclass(kind):
        _owners.update({field.name: kind.__name__ for field in dataclasses.fields(kind)})
    return kind


def hinted_call(function: Call) -> Call:
    """Let a method answer likewise; `hinted` does it for a class."""

    @functools.wraps(function)
    def hinting(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except TypeError as error:
            message = _misfit(function, given, named)
            if message is None:  # a value was refused, not the call
                raise
            raise type(error)(message) from None

    return cast(Call, hinting)


def _misfit(function: Callable[..., Any], given: Sequence[Any], named: Mapping[str, Any]) -> str | None:
    # how a call does not fit the signature; None if it fits
    signature = inspect.signature(function)
    try:
        signature.bind(*given, **named)
    except TypeError as error:
        python_words = str(error)
    else:
        return None
    kind = type(given[0]).__name__ if function.__name__ == "__init__" else function.__qualname__
    parameters = list(signature.parameters.values())[1:]
    ordered = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    names = ordered + [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    free = any(one.kind is one.VAR_KEYWORD for one in parameters)
    try:
        check_names([] if free else named, names)
    except TypeError as error:
        unknown = next(name for name in named if name not in names)
        owner = _owners.get(unknown)
        return str(error) if owner in (None, kind) else f"{error}; {unknown!r} is a setting of {owner}"
    if len(given) - 1 > len(ordered):
        return f"{kind} takes {len(ordered)} settings in a row, not {len(given) - 1}: known are {', '.join(ordered)}"
    twice = [name for name in ordered[: len(given) - 1] if name in named]
    if twice:
        return f"{kind}: {twice[0]} is given twice, by its place and by its name: give it once"
    missing = [name for name in ordered[len(given) - 1 :] if name not in named and _required(signature, name)]
    if missing:
        return f"{kind}: {', '.join(missing)} must be given: there is no default"
    return f"{kind}: {python_words}"


def _required(signature: inspect.Signature, name: str) -> bool:
    return signature.parameters[name].default is inspect.Parameter.empty

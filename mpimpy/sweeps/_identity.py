"""Identity of a workload, and its way to other processes."""

import functools
import hashlib
import importlib
import importlib.util
import pickle
import types
from typing import Any

from ..checks import as_text, fail
from ._content import Content, OpaqueError
from ._source import framed

__all__ = ["identify", "name_of", "pickled"]


def name_of(workload: Any) -> str:
    """Return module and qualified name of a workload: a function, a partial, or an object's class."""
    if isinstance(workload, functools.partial):
        return name_of(workload.func)
    named = workload if hasattr(workload, "__qualname__") else type(workload)
    return f"{named.__module__}.{named.__qualname__}"


def identify(workload: Any, version: Any = None) -> str:
    """Return the identity of a workload, by which its results are told from those of another.

    It is its name and a hash of its code and of the data that it holds: variables of an enclosing function, defaults,
    arguments of a partial, attributes of an object and of its classes, and the globals that its code names, with
    theirs. With a version, it is name and version alone. An object whose class has a method ``sweep_identity()`` says
    itself what it computes, and on which data.

    Raises
    ------
    TypeError
        If it cannot be called, or holds data that cannot be hashed.
    """
    if not callable(workload):
        fail(TypeError, f"workload={workload!r} must be a function of an engine, such as workloads.product(x, w)")
    name = name_of(workload)
    if version is not None:
        text = as_text(version) if not isinstance(version, int) else str(version)
        if text is None:
            fail(TypeError, f"version={version!r} must be a text or a whole number, such as version='2'")
        return f"{name} version {text}"
    kind = type(workload)
    if "sweep_identity" in vars(kind):
        own = str(workload.sweep_identity()).encode()
        return f"{name} {hashlib.sha256(framed([own])).hexdigest()[:16]}"
    content = Content(name)
    try:
        content.add(workload)
    except (OpaqueError, RecursionError) as error:
        part = str(error) if isinstance(error, OpaqueError) else "data that are nested too deeply"
        msg = (
            f"the workload {name} holds {part}, by which its results cannot be told from others: "
            "give a version, such as version='1', and raise it when the workload changes"
        )
        raise TypeError(msg) from error
    return f"{name} {content.digest().hex()[:16]}"


def _held(function: types.FunctionType) -> dict[str, Any]:
    # data of a function: variables of the functions around it, and defaults
    held = {}
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            held[variable] = cell.cell_contents
        except ValueError:
            continue  # not bound yet
    for index, value in enumerate(function.__defaults__ or ()):
        held[f"default {index}"] = value
    return held | (function.__kwdefaults__ or {})


def pickled(workload: Any) -> bytes:
    """Return the pickle of a workload, by cloudpickle if it is installed.

    Raises
    ------
    TypeError
        If it cannot be pickled: the message names the part of it that cannot.
    """
    dumps = pickle.dumps
    if importlib.util.find_spec("cloudpickle") is not None:
        dumps = importlib.import_module("cloudpickle").dumps
    try:
        return bytes(dumps(workload))
    except Exception as error:  # any object may refuse
        part, why = _unpicklable("", workload, dumps, 0) or ("", error)
        held = f"it holds {part}" if part else "it is a function inside another"
        msg = (
            f"the workload {name_of(workload)} cannot be sent to other processes: {held}, which cannot be pickled "
            f"({why}). Make it inside the workload, or leave client out to stay in this process"
        )
        raise TypeError(msg) from error


def _unpicklable(path: str, value: Any, dumps: Any, depth: int) -> tuple[str, Exception] | None:
    # the innermost part that cannot be pickled, and why
    try:
        dumps(value)
    except Exception as error:  # any object may refuse
        if depth < 6:
            for name, inner in _inside(value).items():
                found = _unpicklable(f"{path}.{name}".lstrip("."), inner, dumps, depth + 1)
                if found:
                    return found
        return (f"{path} (a {type(value).__name__})" if path else "", error)
    return None


def _inside(value: Any) -> dict[str, Any]:
    if isinstance(value, functools.partial):
        return {"func": value.func} | {f"args[{i}]": one for i, one in enumerate(value.args)} | value.keywords
    if isinstance(value, types.FunctionType):
        names = [name for name in value.__code__.co_names if name in value.__globals__]
        return _held(value) | {
            name: value.__globals__[name]
            for name in names
            if value.__module__ == "__main__" and not isinstance(value.__globals__[name], types.ModuleType)
        }
    if isinstance(value, types.MethodType):
        return {"self": value.__self__}
    if isinstance(value, dict):
        return {f"[{key!r}]": one for key, one in value.items()}
    if isinstance(value, list | tuple):
        return {f"[{index}]": one for index, one in enumerate(value)}
    found = getattr(value, "__dict__", {})
    return dict(found) if isinstance(found, dict) else {}

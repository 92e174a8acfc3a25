"""Sweeps that a TOML file describes."""

import functools
import importlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .. import workloads
from .._spec import Spec
from ..checks import as_int, as_items, check_names
from ..config._flat import ENGINE, SETTINGS
from ..files import tables
from ._space import Space
from ._store import Store
from ._sweep import Sweep

__all__ = ["array_of", "beside", "function_of", "sweep_of"]

KEYS = ("workload", "parameters", "settings", "space", "repeats", "seed", "version", "duplicates")


def sweep_of(spec: Spec, store: str | os.PathLike[str], resume: str | None = None, *, by_value: bool = False) -> Sweep:
    """Return the sweep that a file describes.

    Parameters
    ----------
    spec : Spec
        ``workload`` is ``"product"``, ``"accuracy"``, ``"solver_residual"`` or ``"module:function"``, with its
        ``[parameters]``; then ``[settings]``, ``[space]``, ``repeats``, ``seed``, ``version`` and ``duplicates``, as
        for `mpimpy.sweep`.
    store : path
    resume : str, optional
        The command that goes on.
    by_value : bool
        Whether the module of the workload travels to other machines, which need not have it.

    Raises
    ------
    TypeError, ValueError
        With the file and the line of what is wrong.
    """
    found = spec.table(known=KEYS)
    for key in ("workload", "space"):
        if key not in found:
            spec.fail(ValueError, f"{key} is missing: a sweep needs a workload and a [space]")
    names = [*SETTINGS, *ENGINE]
    axes, settings = (beside(spec, spec.table(key, known=names, what="setting")) for key in ("space", "settings"))
    try:
        space = Space.of(axes, settings, found.get("repeats", 1), found.get("seed", 0))
    except (TypeError, ValueError) as error:
        with spec.at(*_guilty(str(error), axes, settings)):
            raise
    with spec.at("duplicates"):
        results = Store(store, found.get("duplicates", "equal"))
    workload = _workload(spec, by_value=by_value)
    with spec.at("version" if "version" in found else "workload"):
        return Sweep(workload, space, results, found.get("version"), resume)


def beside(spec: Spec, given: dict[str, Any]) -> dict[str, Any]:
    """Return settings whose measured devices, ``device_file``, lie in the folder of the file."""
    folder = Path(spec.path).parent

    def path(value: Any) -> Any:
        return str(folder / value) if isinstance(value, str) else value

    value = given.get("device_file")
    if value is None:
        return given
    return given | {"device_file": [path(one) for one in value] if isinstance(value, list) else path(value)}


def _guilty(message: str, axes: dict[str, Any], settings: dict[str, Any]) -> tuple[str, ...]:
    # the key that a message is about, which names it
    words = re.findall(r"\w+", message)
    for word in words:
        for table, names in (("space", axes), ("settings", settings)):
            if word in names:
                return table, word
    return (words[0],) if words and words[0] in ("repeats", "seed") else ("space",)


def _workload(spec: Spec, *, by_value: bool) -> Callable[[Any], Any]:
    name = spec.table()["workload"]
    if name == "product":
        given = spec.table("parameters", known=("x", "w"))
        x, w = (array_of(spec, given, part) for part in ("x", "w"))
        with spec.at("parameters"):
            return workloads.product(x, w)
    if name == "accuracy":
        given = spec.table("parameters", known=("model", "data", "labels", "batch"))
        model = function_of(spec, given.get("model"), ("parameters", "model"), by_value=False)()
        data, labels = (array_of(spec, given, part) for part in ("data", "labels"))
        with spec.at("parameters"):
            return workloads.accuracy(model, data, labels, as_int("batch", given.get("batch", 256), 1))
    if name == "solver_residual":
        known = ("tolerance", "steps", "method", "rtol", "iterations")
        given = spec.table("parameters", known=("A", "b", *known))
        A, b = (array_of(spec, given, part) for part in ("A", "b"))
        with spec.at("parameters"):
            return workloads.solver_residual(A, b, **{key: given[key] for key in known if key in given})
    function = function_of(spec, name, ("workload",), by_value=by_value)
    parameters = spec.table("parameters")
    return functools.partial(function, **parameters) if parameters else function


def function_of(spec: Spec, name: Any, key: tuple[str, ...], *, by_value: bool) -> Any:
    """Return the function that a file names as "module:function"; `by_value`: a pickle of it takes its module along."""
    if not isinstance(name, str) or not re.fullmatch(r"[\w.]+:[\w.]+", name):
        known = "'product', 'accuracy', 'solver_residual' or " if key == ("workload",) else ""
        spec.fail(ValueError, f"{name!r} must be {known}a function, 'module:function'", *key)
    folder = str(Path(spec.path).resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)  # as for a script that lies there; new processes get it too
    module, _, path = name.partition(":")
    try:
        home = importlib.import_module(module)
        found: Any = home
        for part in path.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        spec.fail(ValueError, f"{name!r} cannot be imported: {error}", *key)
    if not callable(found):
        spec.fail(TypeError, f"{name!r} is {found!r}, and no function", *key)
    if by_value and str(getattr(home, "__file__", "")).startswith(folder + os.sep):
        importlib.import_module("cloudpickle").register_pickle_by_value(home)
    return found


def array_of(spec: Spec, given: dict[str, Any], name: str, key: tuple[str, ...] | None = None) -> Any:
    """Return a matrix in a file, or one of normal random numbers; by default it is one of the parameters."""
    value, key = given.get(name), ("parameters", name) if key is None else key
    if isinstance(value, str):
        ending, folder = re.search(r"(?i)\.npz(:.+)$", value), Path(spec.path).parent
        path = value[: ending.start(1)] if ending else value
        with spec.at(*key):
            return tables.load(str(folder / path) + (ending[1] if ending else ""))
    if not isinstance(value, dict):
        example = f'{name} = "{name}.npy", or {name} = {{shape = [64, 64], seed = 1}}'
        spec.fail(ValueError, f"{name} must be a matrix in a file, or a random one: {example}", *key)
    with spec.at(*key):
        check_names(value, ("shape", "seed"), "key")
        shape = as_items("shape", value.get("shape", [])) or ()
        sizes = [as_int("shape", size, 1) for size in shape]
        return np.random.default_rng(as_int("seed", value.get("seed", 0), 0)).standard_normal(sizes)

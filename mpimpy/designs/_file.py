"""Searches for designs that a TOML file describes."""

import re
from typing import Any

from .._spec import Spec
from ..config._flat import SETTINGS
from ..sweeps._file import array_of, beside, function_of
from .cheapest import design
from .costs import COSTS, Cost
from .result import DesignResult
from .space import as_space

__all__ = ["design_of"]

KEYS = ("x", "w", "settings", "space", "cost", "target", "seed", "chips")


def design_of(spec: Spec, target_dB: float | None = None) -> DesignResult:
    """Return the cheapest design of a file.

    Parameters
    ----------
    spec : Spec
        ``x`` and ``w``: matrices in files, or ``{shape = [M, K], seed = 0}`` of normal random numbers; ``[settings]``
        and ``[space]`` by flat names; ``cost``: a name of `COSTS`, or ``"module:function"``; ``target``, dB, ``seed``
        and ``chips`` as for `design`.
    target_dB : float, optional
        Instead of that of the file.

    Raises
    ------
    TypeError, ValueError
        With the file and the line of what is wrong.
    """
    found = spec.table(known=KEYS)
    for key in ("x", "w", "space", "cost"):
        if key not in found:
            spec.fail(ValueError, f"{key} is missing: a design needs x, w, a cost and a [space]")
    if target_dB is None and "target" not in found:
        spec.fail(ValueError, "target is missing: give it here, or by --target, dB")
    x, w = (_matrix(spec, found, name) for name in ("x", "w"))
    tables = (spec.table(key, known=SETTINGS, what="setting") for key in ("settings", "space"))
    fixed, varied = (beside(spec, table) for table in tables)
    for name in fixed:
        if name in varied:
            spec.fail(ValueError, f"{name} is in [settings] too: give it in one of them", "space", name)
    for name, values in varied.items():
        with spec.at("space", name):
            as_space({name: values})
    for name, value in fixed.items():
        with spec.at("settings", name):
            as_space({name: [value]})
    more = {name: found[name] for name in ("seed", "chips") if name in found}
    target: Any = found.get("target") if target_dB is None else target_dB
    cost = _cost(spec, found["cost"])
    space = {name: [value] for name, value in fixed.items()} | varied
    try:
        return design(x, w, space, target_dB=target, cost=cost, **more)
    except (TypeError, ValueError) as error:
        named = re.match(r"(\w+)", str(error))
        word = "target" if named is not None and named[1] == "target_dB" else named[1] if named else ""
        with spec.at(*([word] if word in found else [])):
            raise


def _matrix(spec: Spec, found: dict[str, Any], name: str) -> Any:
    return array_of(spec, found, name, (name,))


def _cost(spec: Spec, name: Any) -> Cost | str:
    if isinstance(name, str) and name in COSTS:
        return name
    known = f"one of {', '.join(COSTS)}, or "
    if not isinstance(name, str) or not re.fullmatch(r"[\w.]+:[\w.]+", name):
        spec.fail(ValueError, f"{name!r} must be {known}a function, 'module:function'", "cost")
    imported: Cost = function_of(spec, name, ("cost",), by_value=False)
    return imported

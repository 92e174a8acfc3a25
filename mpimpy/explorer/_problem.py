"""Settings of the explorer, checked and sorted by where they go."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..checks import as_bool, as_int, as_text, check_names, fail
from ..config import Device
from ..config._flat import ENGINE, SETTINGS
from ..config._variation import seconds
from ..cost import Technology
from ..devices import presets

__all__ = ["DEFAULTS", "SEED", "Problem", "as_problem"]

# settings of a page that no engine has
DEFAULTS: dict[str, Any] = {"M": 64, "K": 128, "N": 64, "preset": None, "age": None, "compensate": False}
DEFAULTS |= {"technology": None}
SEED = 1  # a change of settings shall not change the draw as well
MAX_SIZE = 4096

NAMES = (*DEFAULTS, *SETTINGS, *(name for name in ENGINE if name in ("seed", "chip", "backend")))
_OF_DEVICE = {item.name for item in fields(Device)} & set(SETTINGS)


@dataclass(frozen=True)
class Problem:
    """A product to compute.

    Attributes
    ----------
    shape : (int, int, int)
        M, K, N.
    flat : dict
        Settings of a `DPETensor`.
    preset : str or None
    cells : dict
        Settings of the preset's device.
    age : str or None
    compensate : bool
    technology : str or None
        Name of that of the cost.
    """

    shape: tuple[int, int, int]
    flat: dict[str, Any]
    preset: str | None
    cells: dict[str, Any]
    age: str | None
    compensate: bool
    technology: str | None


def as_problem(settings: Mapping[str, Any]) -> Problem:
    """Return the problem that settings describe.

    Raises
    ------
    TypeError, ValueError
        If a setting is unknown or out of range.
    """
    check_names(settings, NAMES)
    given = DEFAULTS | dict(settings)
    own = {name: given.pop(name) for name in DEFAULTS}
    shape = tuple(as_int(name, own[name], 1, MAX_SIZE) for name in "MKN")
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    given.setdefault("seed", SEED)
    if given["seed"] is None:
        fail(ValueError, "seed=None would draw anew at each change: give a number, or leave it out")
    cells: dict[str, Any] = {}
    if own["preset"] is not None:
        check_names([own["preset"]], presets.PRESETS, "preset")
        if "stuck_fault_ratio" in given or "stuck_fault_value" in given:
            fail(ValueError, "beside a preset, stuck cells are stuck_HGS and stuck_LGS: give one of them")
        if given.get("device_file") is not None:
            fail(ValueError, "a preset and device_file= are two devices: give one of them")
        cells = {name: given[name] for name in given if name in _OF_DEVICE}
        # slices are checked against the levels at once
        given = {name: value for name, value in given.items() if name not in cells or name == "g_level"}
    age = own["age"] if as_text(own["age"]) is None else str(own["age"])
    compensate = as_bool("compensate", own["compensate"])
    if compensate and age is None:
        fail(ValueError, "compensate=True has no effect without an age: give one, or leave it out")
    if age is not None:
        seconds("age", own["age"])
    technology = own["technology"]
    if technology is not None:
        if as_text(technology) is None or str(technology).lower().endswith((".toml", ".json")):
            msg = "the explorer takes the name of a technology, as mpimpy cost lists them"
            fail(ValueError, f"technology={technology!r}: {msg}")
        technology = Technology.named(technology).name
    assert len(shape) == 3
    return Problem(shape, given, own["preset"], cells, age, compensate, technology)

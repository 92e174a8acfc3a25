"""The points of a sweep: settings by name, their configurations and addresses."""

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .. import noise
from ..checks import as_int, as_items, check_names, fail
from ..compat.dpetensor import DPETensor
from ..config import ARITHMETIC, Config
from ..config._flat import ENGINE, SETTINGS, build
from ._canonical import canonical
from ._plain import plain, shown

__all__ = ["Case", "Point", "Space", "engine", "named"]

# settings of an engine that decide a result, and those that decide only where it is computed
_DECIDING, _PLACE = ("gradient", "input_size"), ("backend", "device")


class Case(NamedTuple):
    """One configuration of a space.

    `error` is the message that refuses it. `varied` are the values of the settings that the space varies, plain.
    """

    varied: dict[str, Any]
    config: Config | None
    further: dict[str, Any]
    error: str | None


class Point(NamedTuple):
    """One run of the workload: a configuration on one chip, and the address of its results."""

    address: str
    case: Case
    chip: int


@dataclass(frozen=True)
class Space:
    """Settings by name: some have one value, others a list of them.

    Attributes
    ----------
    axes : dict
        Values of each setting that varies.
    settings : dict
        Settings that do not vary.
    repeats : int
        Chips, numbered from 0.
    seed : int
    """

    axes: dict[str, tuple[Any, ...]]
    settings: dict[str, Any]
    repeats: int
    seed: int
    cases: list[Case] = field(default_factory=list)

    @classmethod
    def of(cls, space: Any, settings: Any, repeats: Any, seed: Any) -> "Space":
        """Return the checked space of the arguments of `mpimpy.sweep`.

        Raises
        ------
        TypeError, ValueError
            For unknown settings, values that are no lists, and a value that no combination allows.
        """
        axes = _axes(space)
        given = dict({} if settings is None else settings)
        _check(given, "settings")
        for name in given:
            if name in axes:
                fail(ValueError, f"{name} is in space and in settings: give it in one of them")
        number = as_int("seed", seed, 0, noise.MAX_SEED)
        found = cls(axes, given, as_int("repeats", repeats, 1, noise.MAX_CHIP + 1), number)
        found.cases.extend(found._cases())
        found._check_values()
        return found

    @property
    def plain_axes(self) -> dict[str, list[Any]]:
        """Values of each setting that varies, as JSON holds them."""
        return {name: [plain(name, value) for value in values] for name, values in self.axes.items()}

    @property
    def plain_settings(self) -> dict[str, Any]:
        """Settings that do not vary, as JSON holds them; where results are computed is not among them."""
        return {name: plain(name, value) for name, value in self.settings.items() if name not in _PLACE}

    def points(self, workload: str) -> list[Point]:
        """Return all points in order, chips innermost, with the addresses that a workload's identity gives them."""
        found = []
        for case in self.cases:
            digest = hashlib.sha256(_canonical(case, self.settings, workload, self.seed))
            for chip in range(self.repeats):
                one = digest.copy()
                one.update(b"%d" % chip)
                found.append(Point(one.hexdigest()[:32], case, chip))
        return found

    def _cases(self) -> Iterator[Case]:
        plains = self.plain_axes
        asked = [part for part, name in (("inputs", "x_slices"), ("weights", "w_slices")) if self._has(name, "format")]
        for indices in itertools.product(*(range(len(values)) for values in self.axes.values())):
            at = dict(zip(self.axes, indices, strict=True))
            given = self.settings | {name: self.axes[name][index] for name, index in at.items()}
            further = {name: given.pop(name) for name in ENGINE if name in given}
            config, error = None, None
            try:
                config = build(**given)
                engine(config, further | {"parts": asked}, seed=0, chip=0)
            except (TypeError, ValueError) as refused:
                config, error = None, f"{type(refused).__name__}: {refused}"
            varied = {name: plains[name][index] for name, index in at.items()}
            yield Case(varied, config, further | {"parts": asked}, error)

    def _has(self, *names: str) -> bool:
        return any(name in self.axes or name in self.settings for name in names)

    def _check_values(self) -> None:
        # a value that no combination allows is a mistake, and no point that fails
        refused = [case.error for case in self.cases if case.error is not None]
        if len(refused) == len(self.cases):
            fail(ValueError, f"no point of the space can be built: {refused[0]}" if refused else "space has no points")
        if not refused:
            return
        for name, values in self.plain_axes.items():
            for value in values:
                errors = [case.error for case in self.cases if case.varied[name] == value]
                if errors and None not in errors:
                    fail(ValueError, f"space has {name}={shown(value)}, which no point can have: {errors[0]}")


def _axes(space: Any) -> dict[str, tuple[Any, ...]]:
    if not isinstance(space, Mapping):
        fail(TypeError, f"space={space!r} must be a dict of lists, such as {{'radc': [64, 256]}}")
    _check(space, "space")
    axes = {}
    for name, values in space.items():
        items = None if isinstance(values, tuple) else as_items(name, values)
        if items is None:
            why = "a tuple is one value of a setting" if isinstance(values, tuple) else "one value belongs to settings="
            fail(TypeError, f"space has {name}={values!r}, which must be a list of values: {why}")
        if not items:
            fail(ValueError, f"space has {name}=[], and a sweep needs at least one value of each setting")
        texts = [shown(plain(name, item)) for item in items]
        twice = next((text for index, text in enumerate(texts) if text in texts[:index]), None)
        if twice is not None:
            fail(ValueError, f"space has {name}={twice} twice: give each value once")
        axes[name] = items
    return axes


def _check(given: Mapping[str, Any], where: str) -> None:
    check_names(given, [*SETTINGS, *ENGINE], "setting")
    for name, mend in (
        ("seed", "every point has a seed of its own, derived from sweep's seed: give sweep(..., seed=)"),
        ("chip", "chips are numbered by sweep: give sweep(..., repeats=)"),
    ):
        if name in given:
            fail(TypeError, f"{where} has {name}, and {mend}")
    for name in _PLACE:
        if where == "space" and name in given:
            fail(TypeError, f"space has {name}, which changes no result: give it in settings=")


def _canonical(case: Case, settings: Mapping[str, Any], workload: str, seed: int) -> bytes:
    # Of the whole configuration, not of the names that were given: radc=256 and the default are one point.
    if case.config is None:  # such a point has no configuration
        described: Any = {name: plain(name, value) for name, value in settings.items() if name not in _PLACE}
        described = {"refused": described | case.varied}
    else:
        further = {name: plain(name, case.further[name]) for name in _DECIDING if name in case.further}
        described = canonical(case.config) | {"gradient": "straight", "input_size": None} | further
    text = json.dumps([ARITHMETIC, workload, seed, described], sort_keys=True, separators=(",", ":"), default=str)
    return text.encode()


def named(varied: Mapping[str, Any], chip: int) -> str:
    """Return the name of a point in messages, such as "radc=64, var=0.05, chip 2"."""
    return ", ".join([*(f"{name}={shown(value)}" for name, value in varied.items()), f"chip {chip}"])


def engine(config: Config, further: Mapping[str, Any], *, seed: int, chip: int) -> DPETensor:
    """Return the engine of a point: `DPETensor` with its settings, which are checked already."""
    given = dict(further)
    made = DPETensor.__new__(DPETensor)
    device, size, parts = given.pop("device", None), given.pop("input_size", None), given.pop("parts")
    made._setup(config, seed=seed, chip=chip, backend=given.pop("backend", None), parts=parts, **given)
    made._operand_device = device
    made.input_size = None if size is None else (as_int("input_size", size[0], 1), as_int("input_size", size[1], 1))
    return made

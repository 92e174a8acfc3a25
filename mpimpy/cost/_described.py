"""Technologies as plain values, and as files."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .. import _spec
from ..checks import check_names, fail
from ..config._text import as_json, as_toml
from ..files.whole import write_whole
from ._figure import Anchor, Figure
from ._laws import AdcLaw
from ._settings import ANCHORS, FIGURES
from ._technology import Technology

__all__ = ["described", "from_dict", "from_file", "save"]

_FURTHER = ("base", "source")  # of a description that changes another technology
_NEEDED = ("name", "node_nm", "read_time", "adc", "adc_rate")
_HEAD = """\
# A technology of mpimpy, in SI units: cost.Technology.from_file reads it.
"""


def described(technology: Technology) -> dict[str, Any]:
    """Return a technology as plain values: figures, anchors and laws are dicts of their fields; None is left out."""
    found: dict[str, Any] = {}
    for item in dataclasses.fields(technology):
        value = getattr(technology, item.name)
        if isinstance(value, AdcLaw):
            found[item.name] = {"energy": dataclasses.asdict(value.energy), "node_nm": value.node_nm}
        elif isinstance(value, Anchor | Figure):
            found[item.name] = {name: part for name, part in dataclasses.asdict(value).items() if part is not None}
        elif isinstance(value, tuple):
            found[item.name] = list(value)
        elif value is not None:
            found[item.name] = value
    return found


def from_dict(values: Mapping[str, Any]) -> Technology:
    """Return the technology that plain values describe; see `Technology.from_dict`."""
    if not isinstance(values, Mapping):
        fail(TypeError, f"{values!r} must be a dict of the settings of a technology, such as {{'base': 'generic-28'}}")
    return _from_spec(_spec.Spec("", dict(values), {}))


def from_file(path: str | os.PathLike[str]) -> Technology:
    """Return the technology of a file; see `Technology.from_file`."""
    return _from_spec(_spec.read_settings(path))


def save(technology: Technology, path: str | os.PathLike[str]) -> None:
    """Write a technology into a file; see `Technology.save`."""
    ending, values = _spec.ending_of(path), described(technology)
    text = as_json(values) + "\n" if ending == ".json" else as_toml(values, _HEAD)
    write_whole({Path(path): lambda file: file.write(text.encode())})


def _from_spec(spec: _spec.Spec) -> Technology:
    fields, values = [item.name for item in dataclasses.fields(Technology)], spec.table()
    built = {}
    for name, value in values.items():
        with _at(spec, name):
            check_names([name], [*fields, *_FURTHER], "setting of a technology")
            if name not in _FURTHER:
                built[name] = _part(name, value)
    if "base" not in values:
        with _at(spec):
            _check_whole(values)
        with _at_setting(spec):
            return Technology(**{"adc": None, **built})
    base = values["base"]
    with _at(spec, "base"):
        if not isinstance(base, str):
            fail(TypeError, f"base={base!r} must be the name of a technology, such as 'generic-28'")
        tech = Technology.named(base)
    with _at_setting(spec):
        return tech.replace(source=values.get("source"), **built)


def _at(spec: _spec.Spec, *key: str) -> contextlib.AbstractContextManager[None]:
    # the place in a file before the message of an error
    return spec.at(*key) if spec.path else contextlib.nullcontext()


@contextlib.contextmanager
def _at_setting(spec: _spec.Spec) -> Iterator[None]:
    # likewise, of the setting whose name the message begins with
    try:
        yield
    except (TypeError, ValueError) as error:
        name = re.split(r"\W", str(error), maxsplit=1)[0]
        with _at(spec, *([name] if name in spec.values else [])):
            raise


def _check_whole(values: Mapping[str, Any]) -> None:
    if missing := [name for name in _NEEDED if name not in values and not (name == "adc" and "core" in values)]:
        msg = f"{', '.join(missing)} missing: add what a technology needs, or base = 'generic-28', which has all of it"
        fail(ValueError, msg)
    if "source" in values:
        fail(ValueError, "source has no effect without base, for each figure has its own: leave it out")


def _part(name: str, value: Any) -> Any:
    # a figure, an anchor or a law of a table; other values as they are
    if not isinstance(value, Mapping):
        return value
    kind = Anchor if name == "adc" or name in ANCHORS else Figure if name in FIGURES else None
    if kind is None:
        fail(TypeError, f"{name}={dict(value)!r} must be a value, and no table")
    if name == "adc" and "energy" in value:
        check_names(value, ("energy", "node_nm"), "entry of a law of converters")
        if "node_nm" not in value:
            fail(ValueError, f"{name} is a law of converters without node_nm=: add the node, nm")
        return AdcLaw(_made(Figure, "J", value["energy"]), value["node_nm"])
    return _made(kind, ANCHORS.get(name, "J") if kind is Anchor else FIGURES[name][0], value)


def _made(kind: type[Any], unit: str, value: Any) -> Any:
    if not isinstance(value, Mapping):
        fail(TypeError, f"{value!r} must be a table with a value and its source")
    check_names(value, [item.name for item in dataclasses.fields(kind)], "entry")
    given = {"unit": unit, **value}
    if kind is Figure:  # without a band: chosen, or exact
        given = {"low": value.get("value"), "high": value.get("value"), "source": "", **given}
    if "value" not in given:
        fail(ValueError, "an entry without value= has no number: add it")
    return kind(**given)

"""Settings as plain values, for JSON, TOML and sweeps: dicts, lists, numbers, text and None.

A part, such as a `Device` or a `Gaussian`, is a dict of its fields. Its ``kind`` names its class, and may be left
out where only one class fits. The types of the fields are the schema: no second list of them stands here.
"""

import dataclasses
import functools
import re
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from ..checks import as_int, check_names, fail
from ._adc import ADC, Ranges, low_code
from ._config import Config
from ._device import Device
from ._format import Format
from ._parts import DAC, Tile, Wires
from ._relaxation import Relaxation
from ._variation import Drift, Flicker, Gaussian, Samples, WriteVerify

__all__ = [
    "ARITHMETIC",
    "check_arithmetic",
    "check_upgraded",
    "from_dict",
    "from_plain",
    "guilty_key",
    "implied",
    "to_dict",
    "upgraded",
]

# Version of the arithmetic: any change that changes a bit of a result raises it.
ARITHMETIC: int = 2

_ADVICE = "use the mpimpy that made it, or leave arithmetic out to compute with this one"

Part = TypeVar("Part")

_CLASSES: tuple[type, ...] = (
    *(Config, Device, DAC, ADC, Tile, Format, Wires),
    *(Ranges, Gaussian, Samples, Flicker, Drift, Relaxation, WriteVerify),
)
_KINDS = {kind.__name__: kind for kind in _CLASSES}


@dataclasses.dataclass(frozen=True)
class _Field:
    # a field of a part: the classes of the parts that it may hold, and whether it may be None or a plain value
    kinds: tuple[type, ...]
    optional: bool
    plain: bool
    required: bool


@functools.cache
def _schema(kind: type) -> dict[str, _Field]:
    found, hints = {}, typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        either = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
        kinds = tuple(one for one in either if one in _CLASSES)
        found[field.name] = _Field(
            kinds,
            optional=types.NoneType in either or field.default is None,
            plain=len(kinds) + (types.NoneType in either) < len(either),
            required=field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING,
        )
    return found


def to_dict(value: Any) -> dict[str, Any]:
    """Return settings as plain values that JSON can hold.

    Parameters
    ----------
    value : Config or a part
        A part is any dataclass of `mpimpy.config`, such as `Device` or `Gaussian`.

    Returns
    -------
    dict
        The fields by name, parts within as dicts of their own, tuples as lists. ``kind`` is the name of the class.
        A `Config` also has ``arithmetic``, the version of the arithmetic that its results come from.

    Raises
    ------
    TypeError
        If `value` is neither.

    See Also
    --------
    from_dict : The way back, which is exact.

    Examples
    --------
    >>> from mpimpy import DAC
    >>> to_dict(DAC(32))
    {'kind': 'DAC', 'rdac': 32, 'vread': 0.1, 'vnoise': 0.0}
    """
    if type(value) not in _CLASSES:
        fail(TypeError, f"{value!r} is no settings: give a Config, or a part such as Device()")
    version = {"arithmetic": ARITHMETIC} if isinstance(value, Config) else {}
    fields = {field.name: _to_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    return {"kind": type(value).__name__} | version | fields


def _to_plain(value: Any) -> Any:
    if type(value) in _CLASSES:
        return to_dict(value)
    return [_to_plain(item) for item in value] if isinstance(value, tuple) else value


def from_dict(mapping: Mapping[str, Any]) -> Any:
    """Return the settings that plain values describe, such as those of a JSON or TOML file.

    Parameters
    ----------
    mapping : mapping
        Fields by name, as `to_dict` gives them. A field that is left out has its default. Parts are mappings,
        tuples may be lists, and the text ``"none"`` stands for None where None is allowed. ``kind`` names the
        class; without it, the class is the only one that fits, and `Config` outermost. ``arithmetic``, of a
        `Config`, is the version of the arithmetic; without it, that of this mpimpy. Arithmetic 1 knew ideal reference
        columns alone: such settings get ``reference="ideal"``, which gives its bits.

    Returns
    -------
    Config, or the part that ``kind`` names

    Raises
    ------
    TypeError, ValueError
        If an entry is unknown, missing, out of range, or of an arithmetic whose bits cannot be had. The message
        begins with the dotted key of the entry, such as ``device.write_var.sigma_S``.

    Examples
    --------
    >>> config = from_dict({"device": {"var": 0.02}, "weights": {"slices": [1, 3]}, "adc": {"radc": "none"}})
    >>> config.device.var, config.weights.slices, config.adc.radc
    (0.02, (1, 3), None)
    >>> from_dict({"kind": "DAC", "rdac": 32})
    DAC(rdac=32)
    """
    if not isinstance(mapping, Mapping):
        fail(TypeError, f"{mapping!r} is no settings: give a mapping, such as {{'device': {{'var': 0.02}}}}")
    return _build(_CLASSES, "", mapping, default=Config)


def from_plain(kind: type[Part], mapping: Mapping[str, Any]) -> Part:
    """Return the settings of the class `kind` that plain values describe; see `from_dict`."""
    if not isinstance(mapping, Mapping):
        fail(TypeError, f"{mapping!r} is no settings: give a mapping, such as {{'device': {{'var': 0.02}}}}")
    found: Part = _build((kind,), "", mapping, default=kind)
    return found


def implied(described: Mapping[str, Any], kind: type = Config) -> dict[str, Any]:
    """Return plain values of a part without the kinds that their places imply."""
    schema, found = _schema(kind), {}
    for name, value in described.items():
        if name == "kind":
            continue
        found[name] = value
        if isinstance(value, Mapping):
            kinds = schema[name].kinds
            own = implied(value, _KINDS[value["kind"]])
            found[name] = own if len(kinds) == 1 else {"kind": value["kind"]} | own
    return found


def check_arithmetic(version: Any, advice: str) -> int:
    """Return a version of the arithmetic.

    Raises
    ------
    ValueError
        If it is newer than this mpimpy.
    """
    number = as_int("arithmetic", version, 1)
    if number > ARITHMETIC:
        fail(ValueError, f"made with arithmetic {number}, and this mpimpy computes with {ARITHMETIC}: {advice}")
    return number


def upgraded(mapping: Mapping[str, Any], version: int) -> dict[str, Any]:
    """Return the plain values of a `Config` of a version of the arithmetic as those that give its bits today."""
    given = dict(mapping)
    tile = given.get("tile", {})
    if version == 1 and isinstance(tile, Mapping):
        given["tile"] = {"reference": "ideal"} | dict(tile)
    return given


def check_upgraded(config: Config, version: int, advice: str) -> None:
    """Raise ValueError if the bits that a version of the arithmetic gave a `Config` cannot be had any more."""
    if version != 1:
        return
    reasons = {
        "errors of ADCs (gain_error, offset_lsb, noise_lsb)": config.adc.errs,
        "1/f noise by conductance (Flicker with conductance_S)": (
            isinstance(config.device.var, Flicker) and config.device.var.conductance_S is not None
        ),
        "reference columns of real cells (reference='cells')": config.tile.reference != "ideal",
        "windows of ADCs off zero (range)": _off_zero(config),
    }
    for what, found in reasons.items():
        if found:
            fail(ValueError, f"arithmetic 1 had other {what} than arithmetic {ARITHMETIC}: {advice}")


def _off_zero(config: Config) -> bool:
    # whether zero lies between two codes of any window
    span, radc = config.adc.range, config.adc.radc
    if radc is None or isinstance(span, (str, float)):
        return False
    rows: Any = (
        zip(span.low, span.span, strict=True) if isinstance(span, Ranges) else [((span[0],), (span[1] - span[0],))]
    )
    codes = radc if isinstance(radc, tuple) else (radc,)
    return any(low_code(most, *window)[1] for row in rows for window in zip(*row, strict=True) for most in codes)


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _build(kinds: tuple[type, ...], where: str, mapping: Mapping[str, Any], default: type | None) -> Any:
    # the part that a mapping describes, at a dotted key
    given = dict(mapping)
    kind = _choose_kind(kinds, where, given.pop("kind", None), default)
    version = ARITHMETIC
    if kind is Config and "arithmetic" in given:
        version = _check_entry(_join(where, "arithmetic"), check_arithmetic, given.pop("arithmetic"), _ADVICE)
        given = upgraded(given, version)
    schema = _schema(kind)
    for name in given:
        if not isinstance(name, str):
            fail(TypeError, f"{_join(where, str(name))}: the name of a setting must be text")
        _check_entry(_join(where, name), check_names, [name], schema)
    for name, field in schema.items():
        if field.required and name not in given:
            fail(TypeError, f"{_join(where, name)}: is missing: {kind.__name__} has no default for it")
    values = {name: _build_value(schema[name], _join(where, name), value) for name, value in given.items()}
    try:
        found = kind(**values)
    except (TypeError, ValueError) as error:
        key = guilty_key(kind, str(error), where)
        msg = f"{key}: {error}" if key else str(error)
        raise type(error)(msg) from None
    if isinstance(found, Config):
        _check_entry(_join(where, "arithmetic"), check_upgraded, found, version, _ADVICE)
    return found


def _choose_kind(kinds: tuple[type, ...], where: str, name: Any, default: type | None) -> type:
    names = {kind.__name__: kind for kind in kinds}
    key = _join(where, "kind")
    if name is None:
        if default is None:
            fail(TypeError, f"{key}: is missing: use one of {', '.join(map(repr, names))}")
        return default
    if not isinstance(name, str):
        fail(TypeError, f"{key}: kind={name!r} must be text, such as {next(iter(names))!r}")
    _check_entry(key, check_names, [name], _KINDS, "kind of settings")
    if name not in names:
        fail(ValueError, f"{key}: {name!r} does not fit here: use {' or '.join(map(repr, names))}")
    return names[name]


def _build_value(field: _Field, where: str, value: Any) -> Any:
    if field.optional and isinstance(value, str) and value == "none":
        return None
    if not field.kinds or (value is None and field.optional):
        return value
    if isinstance(value, Mapping):
        return _build(field.kinds, where, value, default=field.kinds[0] if len(field.kinds) == 1 else None)
    if not field.plain:
        names = " or ".join(kind.__name__ for kind in field.kinds)
        fail(TypeError, f"{where}: {value!r} must be the settings of a {names}: give a mapping of them")
    return value


def _check_entry(key: str, check: Any, *given: Any) -> Any:
    # messages begin with the dotted key
    try:
        return check(*given)
    except (TypeError, ValueError) as error:
        msg = f"{key}: {error}"
        raise type(error)(msg) from None


def guilty_key(kind: type, message: str, where: str = "") -> str:
    """Return the dotted key of the setting of `kind`, at `where`, that a message is about, or `where`."""
    # Messages begin with the name of a setting: a field of the part, or of a part within it. A message without a name
    # is about the part as a whole.
    found = re.match(r"\w+", message)
    name = found[0] if found else ""
    if name in _schema(kind):
        return _join(where, name)
    for inner, field in _schema(kind).items():
        if len(field.kinds) == 1 and name in _schema(field.kinds[0]):
            return _join(_join(where, inner), name)
    return where

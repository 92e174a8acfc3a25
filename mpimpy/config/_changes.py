"""Changes of a configuration, by part and by flat name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from ..checks import as_bool, as_int_pair, check_names, fail
from . import ADC, DAC, Config, Device, Format, Tile, Wires
from ._config import Parts
from ._flat import SETTINGS, FlatSettings, _build_part, _stuck, _wires, measured, refuse_arguments

__all__ = ["HOMES", "Changes", "EngineChanges", "changed"]


class Changes(Parts, FlatSettings, total=False):
    """Types of what `Config.replace` takes: parts, and flat names."""


class EngineChanges(Changes, total=False):
    """Types of what `Engine.replace` takes."""

    seed: int | None
    chip: int
    backend: str | None
    gradient: str


_KINDS: dict[str, type[Any]] = {"device": Device, "dac": DAC, "adc": ADC, "tile": Tile}
_ALL: dict[str, type[Any]] = _KINDS | {"inputs": Format, "weights": Format, "wires": Wires}


def _fields(kind: type[Any]) -> list[str]:
    return [item.name for item in dataclasses.fields(kind)]


# Where each flat setting is in a configuration: dotted names of fields.
HOMES: dict[str, tuple[str, ...]] = {
    name: (f"{field}.{name}",) for field, kind in _KINDS.items() for name in _fields(kind) if name in SETTINGS
} | {
    "device_file": ("device.levels", "device.write_var"),
    "stuck_fault_ratio": ("device.stuck_LGS", "device.stuck_HGS"),
    "stuck_fault_value": ("device.stuck_LGS", "device.stuck_HGS"),
    "adc_range": ("adc.range",),
    "adc_per": ("adc.per",),
    "array_size": ("tile.rows", "tile.cols"),
    "wire_resistance": ("wires.r_word", "wires.r_bit"),
    "exact_reads": ("wires.exact_reads",),
    "x_slices": ("inputs.slices",),
    "w_slices": ("weights.slices",),
    "bw_e": ("inputs.bw_e", "weights.bw_e"),
    "dbfp_en": ("inputs.double", "weights.double"),
    "format": ("inputs.slices", "weights.slices"),
    "x_mapping": ("inputs.mapping",),
    "w_mapping": ("weights.mapping",),
    "x_quant_gran": ("inputs.granularity",),
    "w_quant_gran": ("weights.granularity",),
}


def changed(config: Config, given: Mapping[str, Any]) -> Config:
    """Return a configuration with parts and flat settings replaced; see `Config.replace`."""
    names = [part.name for part in dataclasses.fields(config)]
    parts = {name: value for name, value in given.items() if name in names}
    flat = {name: value for name, value in given.items() if name not in names}
    for name in flat:
        part = next((part for part, kind in _ALL.items() if name in _fields(kind)), None)
        if name not in SETTINGS and part is not None:
            fail(TypeError, f"{name} is no flat setting: change it in its part, {part}={{{name!r}: ...}}")
    refuse_arguments(flat)
    check_names(flat, [*names, *SETTINGS], "part or setting")
    if flat.get("device_file") is not None and "device" in parts:
        fail(TypeError, "device_file and device are two devices: give one, or device=Device.from_csv(path, ...)")
    for name in flat:
        both = [part for part in dict.fromkeys(home.partition(".")[0] for home in HOMES[name]) if part in parts]
        if both:
            field = HOMES[name][0].partition(".")[2]
            mend = f"give it there, {both[0]}={{{field!r}: ...}}, or leave {both[0]} out"
            fail(TypeError, f"{name} is a setting of {both[0]}, which is given as well: {mend}")
    return dataclasses.replace(config, **_whole(config, parts), **_from_flat(config, flat))


def _whole(config: Config, parts: dict[str, Any]) -> dict[str, Any]:
    # whole parts of whole ones, or of settings of them
    whole = dict(parts)
    for name, value in parts.items():
        old = getattr(config, name)
        if isinstance(value, dict):
            if old is None:
                fail(ValueError, f"{name} is None, so there is nothing to change in it: give {name}=Wires(...)")
            check_names(value, _fields(type(old)))
            whole[name] = dataclasses.replace(old, **value)
    return whole


def _from_flat(config: Config, flat: dict[str, Any]) -> dict[str, Any]:
    if "stuck_fault_value" in flat and "stuck_fault_ratio" not in flat:
        fail(ValueError, "stuck_fault_value says where the cells of stuck_fault_ratio sit: give both")
    if "stuck_fault_ratio" in flat:
        _stuck(flat)
        flat = {"stuck_HGS": 0.0, "stuck_LGS": 0.0} | flat
    made = _formats(config, flat)
    if {"wire_resistance", "exact_reads"} & set(flat):
        made["wires"] = _changed_wires(config.wires, flat)
    file = flat.get("device_file")
    for field in _KINDS:
        own = {
            home.partition(".")[2]: value
            for name, value in flat.items()
            if len(HOMES[name]) == 1 and (home := HOMES[name][0]).startswith(f"{field}.")
        }
        if field == "tile" and "array_size" in flat:
            own["rows"], own["cols"] = as_int_pair("array_size", flat["array_size"])
        if field == "device" and file is not None:
            made[field] = measured(file, own, config.device)
        elif own:
            made[field] = dataclasses.replace(getattr(config, field), **own)
    return made


def _formats(config: Config, flat: dict[str, Any]) -> dict[str, Any]:
    name = flat.get("format")
    made = {}
    for letter, field in (("x", "inputs"), ("w", "weights")):
        old: Format = getattr(config, field)
        own = {
            home.partition(".")[2]: flat[each]
            for each in (f"{letter}_slices", "bw_e", "dbfp_en", f"{letter}_mapping", f"{letter}_quant_gran")
            if each in flat
            for home in HOMES[each]
            if home.startswith(f"{field}.")
        }
        own = {key: getattr(Format(), key) if value is None else value for key, value in own.items()}
        if name is not None:
            if {"slices", "bw_e", "double"} & set(own):
                fail(
                    ValueError,
                    f"format={name!r} already says what slices, bw_e and dbfp_en are: give one or the other",
                )
            old = _build_part(field, Format.named, name, old.granularity, old.mapping)
        if own or name is not None:
            made[field] = _build_part(field, dataclasses.replace, old, **own)
    return made


def _changed_wires(old: Wires | None, flat: dict[str, Any]) -> Wires | None:
    if "wire_resistance" in flat:
        own = {"wire_resistance": flat["wire_resistance"], "exact_reads": flat.get("exact_reads", False)}
        found = _wires(own)
        if found is None or old is None or "exact_reads" in flat:
            return found
        return dataclasses.replace(found, exact_reads=old.exact_reads)
    if old is None:
        return _wires({"exact_reads": flat["exact_reads"]})
    return dataclasses.replace(old, exact_reads=as_bool("exact_reads", flat["exact_reads"]))

"""Settings in the one form from which the addresses of points follow."""

import dataclasses
import functools
from typing import Any

from ..config import ARITHMETIC, Config, to_dict
from ..config._plain import _KINDS, _to_plain

__all__ = ["canonical"]

# Fields that are always in the form. A field that is added later is in it only where it is not off, so that the points
# of earlier releases keep their addresses, and with them their random numbers: this table never grows.
FIRST = {
    "Config": "device dac adc tile inputs weights wires",
    "Device": "HGS LGS g_level var write_var stuck_HGS stuck_LGS levels verify drift redraw relaxation",
    "DAC": "rdac vread vnoise",
    "ADC": "radc snap saturate range noise_lsb offset_lsb gain_error per",
    "Tile": "rows cols reference reference_columns",
    "Format": "slices bw_e double granularity mapping",
    "Wires": "r_word r_bit exact_reads",
    "Ranges": "low span",
    "Gaussian": "sigma_S verified",
    "Samples": "conductance_S about_S",
    "Flicker": "q t_read_s t0_s conductance_S",
    "Drift": "nu nu_spread t0_s",
    "Relaxation": "times_s sigma_S shift_S",
    "WriteVerify": "tolerance_S pulses",
}


def canonical(config: Config) -> dict[str, Any]:
    """Return a configuration as plain values; fields that are not in `FIRST` are left out at their defaults."""
    parts = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    found = {name: None if part is None else _part(part) for name, part in parts.items()}
    off = _later("Config")
    kept = {name: part for name, part in found.items() if name not in off or part != off[name]}
    return {"kind": "Config", "arithmetic": ARITHMETIC} | kept


@functools.lru_cache(1024)  # most configurations of a sweep differ in one part
def _part(part: Any) -> Any:
    return _pruned(to_dict(part))


def _pruned(value: Any) -> Any:
    if isinstance(value, list):
        return [_pruned(item) for item in value] if value and isinstance(value[0], dict) else value
    if not isinstance(value, dict):
        return value
    off = _later(value["kind"])
    return {name: _pruned(item) for name, item in value.items() if name not in off or item != off[name]}


_kept: dict[str, dict[str, Any]] = {}


def _later(kind: str) -> dict[str, Any]:
    # defaults of the fields that a class got later
    if kind not in _kept:
        first = FIRST.get(kind, "").split()
        _kept[kind] = {
            field.name: _to_plain(_default(field))
            for field in dataclasses.fields(_KINDS[kind])
            if field.name not in first
        }
    return _kept[kind]


def _default(field: Any) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()

"""Sliders and choices of the page: their values, labels and meanings, and their HTML."""

import html
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..config._flat import ENGINE, SETTINGS
from ..cost._named import NAMES
from ..devices.presets import PRESETS
from ._problem import DEFAULTS, SEED

__all__ = ["CONTROLS", "Control", "form"]

_SWITCH = (False, True)


@dataclass(frozen=True)
class Control:
    """A control of the page.

    Attributes
    ----------
    name : str
        Of a setting of `explore`.
    label : str
    default
        Value that is not sent.
    values : sequence
        Those of a slider or a choice; none for a text or a number that is typed.
    kind : str
        "range", "select", "checkbox", "slices" or "number".
    unit, help : str
    """

    name: str
    label: str
    default: Any
    values: Sequence[Any]
    kind: str
    unit: str
    help: str


# None in words
_NONE = {
    "technology": "no cost",
    "preset": "none: as set below",
    "age": "as programmed",
    "radc": "ideal",
    "format": "slices, as set below",
    "bw_e": "none: integers",
}


def _text(control: Control, value: Any) -> str:
    if value is None:
        return _NONE[control.name]
    if isinstance(value, list):
        return " x ".join(map(str, value))
    if control.unit == "S":
        return f"{value * 1e6:g} µS"
    if control.unit in ("relative", "share"):
        return f"{100 * value:g} %"
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return f"{shown} {control.unit}" if control.unit in ("Ohm", "LSB") else shown


def _flat(
    name: str, label: str, values: Sequence[Any] = (), kind: str = "range", default: Any = ..., text: str = ""
) -> Control:
    known = (SETTINGS | ENGINE)[name]
    if default is ...:
        default = _value(known[0])
    return Control(name, label, default, values, kind, known[1], text or known[2])


def _value(text: str) -> Any:
    words = {"None": None, "False": False, "True": True}
    if text in words:
        return words[text]
    try:
        return json.loads(text.replace("(", "[").replace(")", "]"))
    except ValueError:
        return text


_SPREADS = (0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3)
_SHARES = (0, 1e-4, 1e-3, 0.003, 0.01, 0.03, 0.1)
_SIZES = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 384, 512)
_GRANULARITIES = ("finest", "per-row", "per-col", "per-matrix")
_AGES = (None, "1 min", "1 h", "1 d", "30 d", "1 y", "10 y")
_ARRAYS = ([16, 16], [32, 32], [64, 64], [128, 64], [128, 128], [256, 128], [256, 256], [512, 512])
_CODES = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384, 65536, None)
_WIRES = (0, 0.1, 0.3, 1, 2.93, 5, 10)
_NODES = tuple(f"generic-{node}" for node in (130, 65, 45, 28, 14))
_LSB = (0, 0.1, 0.2, 0.5, 1, 2)


def _own(name: str, label: str, values: Sequence[Any], kind: str, text: str) -> Control:
    return Control(name, label, DEFAULTS[name], values, kind, "", text)


CONTROLS: dict[str, tuple[Control, ...]] = {
    "Product": (
        _own("M", "Input rows M", _SIZES, "range", "rows of the inputs, M x K"),
        _own("K", "Depth K", _SIZES, "range", "columns of the inputs, rows of the weights"),
        _own("N", "Outputs N", _SIZES, "range", "columns of the weights, K x N"),
        _flat("seed", "Seed", kind="number", default=SEED, text="key of all random numbers"),
        _flat("chip", "Chip", kind="number"),
        _own("technology", "Technology", (None, *_NODES, *NAMES[1:]), "select", "energy and latency in it, below"),
    ),
    "Device": (
        _own(
            "preset", "Preset", (None, *(name for name in PRESETS if name != "generic")), "select", "published device"
        ),
        _flat("HGS", "HGS", (1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4)),
        _flat("LGS", "LGS", (0, 1e-9, 1e-8, 1e-7, 2e-7, 5e-7, 9e-7)),
        _flat("g_level", "Levels", (2, 4, 8, 16, 32, 64, 128, 256)),
        _flat("var", "Read variation", _SPREADS),
        _flat("write_var", "Write variation", _SPREADS),
        _flat("redraw", "Read variation lasts for", ("product", "slice", "row"), "select"),
        _flat("stuck_HGS", "Stuck at HGS", _SHARES),
        _flat("stuck_LGS", "Stuck at LGS", _SHARES),
        _own("age", "Age", _AGES, "select", "time since programming, of a preset that drifts or relaxes"),
        _own("compensate", "Compensate drift", _SWITCH, "checkbox", "rescale an aged matrix as a whole"),
    ),
    "DAC": (
        _flat("rdac", "DAC levels", (2, 4, 8, 16, 32, 64, 128, 256)),
        _flat("vnoise", "Voltage noise", (0, 0.005, 0.01, 0.02, 0.05, 0.1)),
    ),
    "ADC": (
        _flat("radc", "ADC codes", _CODES),
        _flat("adc_range", "Range", ("full", "lossless"), "select"),
        _flat("adc_per", "Conversion for each", ("slice", "product"), "select"),
        _flat("saturate", "Saturate", _SWITCH, "checkbox"),
        _flat("snap", "Snap", _SWITCH, "checkbox"),
        _flat("noise_lsb", "Noise", _LSB),
        _flat("offset_lsb", "Offsets", _LSB),
        _flat("gain_error", "Gain errors", (0, 0.001, 0.003, 0.01, 0.03, 0.1)),
    ),
    "Array": (
        _flat("array_size", "Array size", _ARRAYS),
        _flat("wire_resistance", "Wire segment", _WIRES),
        _flat("reference", "Reference columns", ("cells", "ideal"), "select"),
        _flat("reference_columns", "Number of them", (1, 2, 4, 8, 16)),
    ),
    "Slices and mapping": (
        _flat("format", "Format", (None, "int4", "int8", "bf16", "fp16", "fp32"), "select"),
        _flat("x_slices", "Input slices", kind="slices"),
        _flat("w_slices", "Weight slices", kind="slices"),
        _flat("bw_e", "Shared exponent", (None, 4, 5, 8), "select"),
        _flat("x_mapping", "Sign of inputs", ("twos", "signed"), "select"),
        _flat("w_mapping", "Sign of weights", ("twos", "pair", "offset"), "select"),
        _flat("x_quant_gran", "Input blocks", _GRANULARITIES, "select"),
        _flat("w_quant_gran", "Weight blocks", _GRANULARITIES, "select"),
    ),
}


def _attributes(**given: Any) -> str:
    return "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"' for name, value in given.items()
    )


def _field(control: Control) -> str:
    own = f"c-{control.name}"
    shared: dict[str, Any] = {
        "id": own,
        "name": control.name,
        "data_kind": control.kind,
        "data_default": json.dumps(control.default),
        "aria_describedby": f"h-{control.name}",
    }
    if control.kind == "select":
        options = "".join(
            f"<option{_attributes(value=json.dumps(value))}{' selected' if value == control.default else ''}>"
            f"{html.escape(_text(control, value))}</option>"
            for value in control.values
        )
        return f"<select{_attributes(**shared)}>{options}</select>"
    if control.kind == "range":
        texts = [_text(control, value) for value in control.values]
        start = list(control.values).index(control.default)
        shared |= {"data_values": json.dumps(control.values), "data_texts": json.dumps(texts)}
        return (
            f'<input type="range" min="0" max="{len(texts) - 1}" step="1" value="{start}" '
            f'aria-valuetext="{html.escape(texts[start])}"{_attributes(**shared)}>'
            f'<output for="{own}">{html.escape(texts[start])}</output>'
        )
    if control.kind == "checkbox":
        return f'<input type="checkbox"{" checked" if control.default else ""}{_attributes(**shared)}>'
    if control.kind == "number":
        return f'<input type="number" min="0" step="1" value="{control.default}"{_attributes(**shared)}>'
    shown = ", ".join(map(str, control.default))
    return f'<input type="text" inputmode="numeric" autocomplete="off" value="{shown}"{_attributes(**shared)}>'


def _rows() -> Iterator[str]:
    for title, controls in CONTROLS.items():
        yield f"<fieldset><legend>{title}</legend>"
        for control in controls:
            yield (
                f'<div class="control {control.kind}"><label for="c-{control.name}">{control.label}</label>'
                f'{_field(control)}<p id="h-{control.name}">{html.escape(control.help)}</p></div>'
            )
        yield "</fieldset>"


def form() -> str:
    """Return the HTML of all controls."""
    return "\n".join(_rows())

"""The flat settings that a configuration is made of: the way back from `_flat.build`."""

from typing import Any

from ._config import Config
from ._flat import build

__all__ = ["flat_settings"]

_SAME = {
    "device": ("HGS", "LGS", "g_level", "var", "write_var", "redraw", "stuck_HGS", "stuck_LGS"),
    "dac": ("rdac", "vread", "vnoise"),
    "adc": ("radc", "snap", "saturate", "noise_lsb", "offset_lsb", "gain_error"),
    "tile": ("reference", "reference_columns"),
}
_FORMATS = {"slices": "slices", "mapping": "mapping", "granularity": "quant_gran"}


def _every(config: Config) -> dict[str, Any]:
    # all flat settings of a configuration
    found = {name: getattr(getattr(config, part), name) for part, names in _SAME.items() for name in names}
    found |= {"adc_range": config.adc.range, "adc_per": config.adc.per}
    found |= {"array_size": (config.tile.rows, config.tile.cols)}
    wires = config.wires
    found["wire_resistance"] = 0 if wires is None else (wires.r_word, wires.r_bit)
    found["exact_reads"] = wires is not None and wires.exact_reads
    for letter, fmt in (("x", config.inputs), ("w", config.weights)):
        found |= {f"{letter}_{name}": getattr(fmt, field) for field, name in _FORMATS.items()}
    return found | {"bw_e": config.inputs.bw_e, "dbfp_en": config.inputs.double}


def flat_settings(config: Config) -> dict[str, Any] | None:
    """Return the flat settings that make a configuration, without the defaults; None if flat settings cannot say it.

    Examples
    --------
    >>> flat_settings(build(radc=1024, var=0, array_size=(32, 64)))
    {'var': 0.0, 'radc': 1024, 'array_size': (32, 64)}
    """
    usual = _every(Config())
    found = {name: value for name, value in _every(config).items() if value != usual[name]}
    if "w_mapping" in found and config.weights.signed:
        found["w_mapping"] = "pair"
    try:
        return found if build(**found) == config else None
    except (TypeError, ValueError):  # such as levels of its own
        return None

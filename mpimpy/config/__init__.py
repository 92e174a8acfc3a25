"""The settings of a simulated crossbar: frozen dataclasses, validated when built.

Units are SI: conductances in siemens, voltages in volts. ``var``, ``write_var`` and ``vnoise`` are relative
standard deviations, so 0.05 means 5 %, unless a law in siemens is given. ``None`` stands for an ideal part.
`to_dict` and `from_dict` turn settings into plain values and back.
"""

from ._adc import ADC, Ranges
from ._config import Config
from ._device import Device
from ._format import Format
from ._parts import DAC, Tile, Wires
from ._plain import ARITHMETIC, from_dict, to_dict
from ._relaxation import Relaxation
from ._variation import Drift, Flicker, Gaussian, Samples, WriteVerify

__all__ = [
    "ADC",
    "ARITHMETIC",
    "DAC",
    "Config",
    "Device",
    "Drift",
    "Flicker",
    "Format",
    "Gaussian",
    "Ranges",
    "Relaxation",
    "Samples",
    "Tile",
    "Wires",
    "WriteVerify",
    "from_dict",
    "to_dict",
]

"""The settings of a simulated crossbar: frozen dataclasses, validated when built.

Units are SI: conductances in siemens, voltages in volts. Spreads (``var``, ``write_var``,
``vnoise``) are relative, so 0.05 means 5 %, unless a law in siemens is given. ``None`` stands for an ideal part.
"""

from ._adc import ADC, Ranges
from ._config import Config
from ._device import Device
from ._format import Format
from ._parts import DAC, Tile, Wires
from ._variation import Drift, Flicker, Gaussian, Samples, WriteVerify

__all__ = [
    "ADC",
    "DAC",
    "Config",
    "Device",
    "Drift",
    "Flicker",
    "Format",
    "Gaussian",
    "Ranges",
    "Samples",
    "Tile",
    "Wires",
    "WriteVerify",
]

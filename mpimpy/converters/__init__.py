"""DAC and ADC: codes and their noise; steps, range and the weights of shift-and-add."""

from .adc import (
    Codes,
    codes,
    column_share,
    digit_bounds,
    finest_step,
    full_scale,
    full_scale_amperes,
    highest_current,
    outermost_codes,
)
from .dac import drive, voltage_bits
from .errors import MOST_TILES, check_addresses, errors
from .shift_add import single, weights_of

__all__ = [
    "MOST_TILES",
    "Codes",
    "check_addresses",
    "codes",
    "column_share",
    "digit_bounds",
    "drive",
    "errors",
    "finest_step",
    "full_scale",
    "full_scale_amperes",
    "highest_current",
    "outermost_codes",
    "single",
    "voltage_bits",
    "weights_of",
]

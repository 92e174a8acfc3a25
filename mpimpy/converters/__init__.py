"""Converters: DAC codes and their noise; ADC steps, ranges and errors; weights of shift-and-add."""

from .adc import (
    AdcWindows,
    adc_windows,
    column_share,
    finest_step,
    full_scale,
    full_scale_amperes,
    highest_current,
    highest_digit_share,
    outermost_codes,
    radc_ascending,
)
from .conversions import Conversions, conversions, digit_bounds
from .dac import drive, voltage_bits
from .errors import TilePlace, check_addresses, check_tiles, errors, has_more_keys, tile_place
from .shift_add import ShiftWeights, shift_weights, single

__all__ = [
    "AdcWindows",
    "Conversions",
    "ShiftWeights",
    "TilePlace",
    "adc_windows",
    "check_addresses",
    "check_tiles",
    "column_share",
    "conversions",
    "digit_bounds",
    "drive",
    "errors",
    "finest_step",
    "full_scale",
    "full_scale_amperes",
    "has_more_keys",
    "highest_current",
    "highest_digit_share",
    "outermost_codes",
    "radc_ascending",
    "shift_weights",
    "single",
    "tile_place",
    "voltage_bits",
]

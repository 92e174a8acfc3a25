"""Codes of ADCs, counted without their steps."""

import pytest
from hypothesis import given
from strategies import configs

from mpimpy import converters
from mpimpy.cost._counts import adc_codes
from mpimpy.crossbar import plan as plans


@given(configs())
def test_codes_are_those_of_the_windows(config):
    if config.adc.radc is None:
        with pytest.raises(ValueError, match="an ideal ADC"):
            adc_codes(config)
        return
    plan = plans.plan(config)
    found = converters.adc_windows(config, plan.current_unit, converters.conversions(config), plan.cell_format.strides)
    rows = zip(found.lows, found.tops, strict=True)
    assert adc_codes(config) == [[top - low + 1 for low, top in zip(*row, strict=True)] for row in rows]

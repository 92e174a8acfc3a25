"""Costs as results of sweeps."""

import numpy as np
import pytest

from mpimpy import DPETensor, plot, sweep
from mpimpy.cost import Technology

pytest.importorskip("xarray")

X, W = np.random.default_rng(0).standard_normal((2, 8, 8))
TECH = Technology.named("generic-28").replace(adcs_per_array=4)


def price(engine):
    return engine.program(W).cost(X, TECH).to_dict()


def test_a_cost_is_numbers_in_a_dataset(tmp_path):
    found = sweep(price, {"radc": [64, 256]}, settings={"var": 0}, store=tmp_path, progress=False)
    assert found.error.values.tolist() == [[""], [""]]
    for radc in (64, 256):
        cost = DPETensor(radc=radc, var=0).program(W).cost(X, TECH)
        at = found.sel(radc=radc, chip=0)
        assert float(at.energy_high_J) == cost.energy.high
        assert float(at.latency_s) == cost.latency.value
        assert float(at.adc_conversions) == cost.counts[0].adc_conversions
    assert found.area_m2.dtype == np.float64
    assert np.isnan(found.area_m2).all()
    assert next(iter(found.data_vars)) == "energy_J"  # what a picture of the sweep shows first
    pytest.importorskip("matplotlib")
    with pytest.raises(
        ValueError, match="area_m2 is unknown at all points: there is nothing to draw; of= takes another"
    ):
        plot.sweep(found, of="area_m2")
    assert "energy_J" in plot.sweep(found).get_ylabel()

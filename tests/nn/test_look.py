"""A model in numbers, and ADC ranges by its own activations."""

import numpy as np
import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import SNR, DPETensor
from mpimpy.analysis.counts import counts


def mlp(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(100, 70), torch.nn.GELU(), torch.nn.LayerNorm(70), torch.nn.Linear(70, 9)
    )


def inputs(*shape, seed=1):
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=torch.float32)


def test_inspection_is_what_conversion_does():
    model, engine = mlp(), DPETensor(seed=1, w_mapping="pair", x_mapping="signed", array_size=(32, 32))
    found = ann.inspect(model, engine)
    assert type(model[0]) is torch.nn.Linear
    done = ann.convert_(model, engine)
    assert list(found.matrices) == done.converted == ["0", "3"]
    assert found.skipped == done.skipped
    assert found.matrices["0"] == ("Linear", (100, 70), counts(engine.config, 0, 100, 70))
    assert found.cells == (100 * 70 + 70 * 9) * 6
    assert found.arrays == (4 * 3 + 3 * 1) * 6
    text = str(found).splitlines()
    assert text[1].split() == ["0", "Linear", "100", "x", "70", "4", "x", "3", "x", "6", "42,000"]
    assert text[-1] == "digital: 2: LayerNorm has no layer on crossbars"
    assert ann.inspect(torch.nn.ReLU()).cells == 0


def test_a_report_is_the_hardware_and_the_error_of_each_product():
    model, x, engine = mlp(), inputs(12, 100), DPETensor(seed=1)
    ann.convert_(model, engine)
    model.train()
    found = ann.report(model, [x[:5], (x[5:],)])
    assert model.training
    assert found.batches == 2
    first = found.layers["0"]
    assert (first.shape, first.rows) == ((100, 70), 12)
    assert first.counts == counts(engine.config, 12, 100, 70)
    with torch.no_grad():
        W = engine.program(model[0].weight.mT, name="0")
        y = torch.cat([W.read(x[:5], 0), W.read(x[5:], 1)])
    assert np.isclose(first.snr_dB, SNR(y.numpy(), (x @ model[0].weight.mT).detach().numpy()), atol=0.01)
    lines = str(found).splitlines()
    assert lines[0].split() == ["matrix", "K", "x", "N", "tiles", "cells", "rows", "conversions", "dB"]
    assert len(lines) == 4
    assert model[0]._cells[""].observer is None
    ideal = DPETensor(seed=1, var=0, radc=None)
    model[0].engine = ideal
    assert np.isnan(ann.report(model, torch.zeros(2, 100)).layers["0"].snr_dB)
    with pytest.raises(ValueError, match="data holds no batch"):
        ann.report(model, [])
    with pytest.raises(TypeError, match="data is a int: give a batch"):
        ann.report(model, 3)


def test_batches_are_taken_as_forward_takes_them():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(5, 2)

        def forward(self, a, b):
            return self.inner(a + b)

    model, x = Two(), inputs(3, 5)
    ann.convert_(model, DPETensor(seed=1))
    for data in ((x, x), {"a": x, "b": x}, [(x, x)], iter([{"a": x, "b": x}])):
        assert ann.report(model, data).layers["inner"].rows == 3


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_calibration_makes_every_layer_better_on_its_data(seed):
    model, x = mlp(seed), inputs(200, 100, seed=seed)
    ann.convert_(model, DPETensor(seed=1, var=0, radc=64))
    model.eval()
    digital = torch.nn.Sequential(model[0].to_digital(), *model[1:3], model[3].to_digital())(x)
    before, error = ann.report(model, x), (model(x) - digital).norm()
    found = ann.calibrate_(model, x)
    after = ann.report(model, x)
    assert list(found) == ["0", "3"]
    assert all(after.layers[name].snr_dB > before.layers[name].snr_dB + 3 for name in found)
    assert (model(x) - digital).norm() < error / 2
    # by activations of the digital model: the same whatever the crossbars are
    again = mlp(seed)
    ann.convert_(again, DPETensor(seed=1, var=0, radc=64))
    assert ann.calibrate_(again, x) == found


def test_calibration_keeps_the_rows_that_decide():
    model, x = torch.nn.Linear(40, 5), inputs(3000, 40)
    ann.convert_(model, DPETensor(seed=1, var=0))
    x[1234, 7] = 50.0
    recorder = ann.calibration._Recorder(64)
    with ann._data.watched(model, recorder):
        ann._data.run(model, list(x.split(500)))
    kept = recorder.sample("(root)")
    assert len(kept) <= 64
    assert kept.max() == 50.0
    with pytest.raises(ValueError, match=r"rows=1 is out of range"):
        ann.calibrate_(model, x, rows=1)
    model.engine = DPETensor(radc=None, seed=1)
    with pytest.raises(ValueError, match=r"calibrate chooses ranges for ADCs of finite resolution"):
        ann.calibrate_(model, x)


def test_layers_that_no_data_reaches_stay_as_they_are():
    model = torch.nn.ModuleList([torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)])
    model.forward = lambda x: model[0](x)
    ann.convert_(model, DPETensor(seed=1))
    assert list(ann.calibrate_(model, inputs(9, 4))) == ["0"]
    assert model[1].engine.config.adc.range == "full"
    assert ann.calibrate_(model, torch.zeros(9, 4)) == {}


def test_products_of_data_have_rows_of_their_own():
    torch.manual_seed(0)
    layer, engine = torch.nn.MultiheadAttention(8, 2, batch_first=True), DPETensor(seed=1)
    ann.convert_(layer, engine, attention="all")
    x = inputs(3, 5, 8)
    found = ann.report(layer, [(x, x, x), (x[:, :4], x[:, :4], x[:, :4])])
    scores, values = found.layers["(root)/scores"], found.layers["(root)/values"]
    assert list(found.layers)[3:5] == ["(root)/scores", "(root)/values"]
    # 2 heads of 3 samples, of 5 and of 4 queries and keys
    assert (scores.data, scores.shape, scores.rows) == (True, (4, 5), 6 * 5 + 6 * 4)
    assert (values.shape, values.rows) == ((5, 4), 54)
    several = [counts(engine.config, 30, 4, 5), counts(engine.config, 24, 4, 4)]
    assert scores.counts.adc_conversions == sum(each.adc_conversions for each in several)
    assert scores.counts.dac_conversions == sum(each.dac_conversions for each in several)
    assert (scores.counts.cells, scores.counts.reference_cells, scores.counts.arrays) == (0, 0, 0)
    assert 5 < scores.snr_dB < 60
    lines = str(found).splitlines()
    assert lines[4].split()[:6] == ["(root)/scores", "4", "x", "5", "data", "54"]
    cells = sum(each.counts.cells for each in found.layers.values())
    assert f"{cells:,}" in lines[-1]
    assert cells == 4 * 8 * 8 * 4
    assert all(each.observer is None for each in layer._every_cells())


def test_calibration_leaves_products_of_data_as_they_are():
    torch.manual_seed(0)
    layer = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    twin = torch.nn.MultiheadAttention(8, 2, batch_first=True)
    twin.load_state_dict(layer.state_dict())
    x = inputs(3, 5, 8)
    for each, attention in ((layer, "all"), (twin, "projections")):
        ann.convert_(each, DPETensor(seed=1, radc=64), attention=attention)
    found = ann.calibrate_(layer, (x, x, x))
    assert found == ann.calibrate_(twin, (x, x, x))  # both see digital activations
    assert layer._data["scores"].engine.config.adc.range == "full"

"""A model in numbers, and ADC ranges by its own activations."""

import functools
import json

import numpy as np
import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import SNR, DPETensor, MpimpyWarning
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


def test_inspection_of_layers_that_are_on_crossbars_already():
    model, engine = mlp(), DPETensor(seed=1, w_mapping="pair", array_size=(32, 32))
    model[0].weight.requires_grad_(False)
    ann.convert_(model, engine, engines={"3": None})
    torch.nn.utils.parametrizations.weight_norm(model[0])
    found = ann.inspect(model)
    assert found.matrices["0"] == ("Linear", (100, 70), counts(engine.config, 0, 100, 70))
    assert found.matrices["3"] == ("Linear", (70, 9), counts(DPETensor(seed=1).config, 0, 70, 9))
    assert found.converted == ["0"]
    assert [name for name, _ in found.skipped] == ["2"]
    assert "on crossbars already: 0" in str(found).splitlines()
    assert type(model[3]) is torch.nn.Linear


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


def test_a_report_is_data():
    model, x = mlp(), torch.zeros(3, 100)
    ann.convert_(model, DPETensor(seed=1))
    found = ann.report(model, x)
    values = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert values == found.to_dict()
    assert (values["batches"], values["layers"]["0"]["snr_dB"]) == (1, "nan")
    assert values["layers"]["3"]["counts"]["cells"] == found.layers["3"].counts.cells
    assert found._repr_html_().count("<tr>") == len(str(found).splitlines())
    exact = torch.nn.Sequential(torch.nn.Linear(8, 8, bias=False))
    torch.nn.init.eye_(exact[0].weight)
    ann.convert_(exact, DPETensor(var=0, radc=None, seed=1))
    exact = ann.report(exact, torch.eye(8))
    assert exact.layers["0"].snr_dB == float("inf")
    assert "exact" in str(exact)
    pytest.importorskip("pandas")
    frame = found.to_frame()
    assert list(frame.index) == ["0", "3"]
    assert frame.arrays["0"] == found.layers["0"].counts.arrays


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


class Keeps(torch.nn.Module):
    # what forward was given
    def __init__(self, forward):
        super().__init__()
        self.inner, self.given = torch.nn.Linear(5, 2), []
        self.forward = functools.partial(forward, self)

    def take(self, *args):
        self.given.append(args)
        return self.inner(args[0])


FORWARDS = {
    "one": lambda self, x: self.take(x),
    "optional": lambda self, x, mask=None: self.take(x, mask),
    "two": lambda self, x, y: self.take(x, y),
    "any": lambda self, *args: self.take(*args),
}


def test_lists_of_a_loader_are_arguments_as_far_as_forward_takes_them():
    x, labels = inputs(6, 5), torch.arange(6)

    def given(forward, *tensors):
        model = Keeps(FORWARDS[forward])
        ann.convert_(model, DPETensor(seed=1))
        loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*tensors), 3)
        assert ann.report(model, loader).layers["inner"].rows == 6
        return model.given[0]

    for forward, tensors, taken in (
        ("one", (x,), (x,)),
        ("one", (x, labels), (x,)),
        ("two", (x, labels), (x, labels)),
        ("two", (x, x, labels), (x, x)),
        ("any", (x,), (x,)),
    ):
        found = given(forward, *tensors)
        assert len(found) == len(taken)
        assert all(torch.equal(a, b[:3]) for a, b in zip(found, taken, strict=True))
    assert given("optional", x)[1] is None
    for forward, number in (("optional", 2), ("any", 2), ("two", 1)):
        model = Keeps(FORWARDS[forward])
        ann.convert_(model, DPETensor(seed=1))
        if number > 1:
            with pytest.raises(
                TypeError, match=r"batch 0 of data is a list of 2 elements, and forward takes \(.*tuples"
            ):
                ann.calibrate_(model, [[x, labels]])
        else:
            with pytest.raises(TypeError, match=r"missing 1 required positional argument"):
                ann.calibrate_(model, [[x]])


def test_a_packed_sequence_is_one_argument():
    layer = torch.nn.RNN(5, 2)
    ann.convert_(layer, DPETensor(seed=1))
    packed = torch.nn.utils.rnn.pack_sequence([inputs(4, 5), inputs(3, 5)])
    assert ann.report(layer, packed).layers["(root)/weight_ih_l0"].rows == 7


NO_BATCHES = {
    "an array": (np.ones((3, 5)), TypeError, "data is a NumPy ndarray: give a tensor, such as torch.from_numpy"),
    "arrays": ([np.ones((3, 5))], TypeError, "batch 0 of data is a NumPy ndarray"),
    "arrays in a tuple": ((np.ones((3, 5)),), TypeError, "an element of data is a NumPy ndarray"),
    "text": (
        "hello",
        TypeError,
        "data is a str: give a batch, or an iterable of batches. A batch is a tensor, a tuple",
    ),
    "texts": (["a"], TypeError, "batch 0 of data is a str"),
    "nothing": ([None], TypeError, "batch 0 of data is a NoneType"),
    "no rows": (torch.ones(0, 5), ValueError, r"data is empty \(\(0, 5\)\): give some typical inputs"),
    "no rows in a list": ([[torch.ones(0, 5)]], ValueError, r"batch 0 of data is empty"),
    "an empty list": ([[]], ValueError, r"batch 0 of data is empty \(no tensor\)"),
}


@pytest.mark.parametrize("look", [ann.report, ann.calibrate_])
@pytest.mark.parametrize("name", NO_BATCHES)
def test_what_is_no_batch_is_refused(name, look):
    data, error, message = NO_BATCHES[name]
    model = torch.nn.Sequential(torch.nn.Linear(5, 2))
    ann.convert_(model, DPETensor(seed=1))
    with pytest.raises(error, match=message):
        look(model, data)


@pytest.mark.parametrize("look", [ann.report, ann.calibrate_])
def test_a_look_leaves_the_numbers_of_reads(look):
    torch.manual_seed(0)
    layer, x = torch.nn.MultiheadAttention(8, 2, batch_first=True), inputs(3, 5, 8)
    ann.convert_(layer, DPETensor(seed=1), attention="all")
    layer(x, x, x)
    before = [cells.reads for cells in layer._every_cells()]
    look(layer, (x, x, x))
    with pytest.raises(ValueError, match="x has nan"):
        ann.report(layer, (x, x, x * np.nan))
    assert [cells.reads for cells in layer._every_cells()] == before


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
    with pytest.warns(MpimpyWarning, match=r"calibrate_: the data never reach '1': the ADC ranges there stay as they"):
        assert list(ann.calibrate_(model, inputs(9, 4))) == ["0"]
    assert model[1].engine.config.adc.range == "full"
    found = ann.report(model, inputs(9, 4))
    assert (found.layers["1"].rows, found.layers["1"].counts.cells) == (0, 64)
    assert str(found).splitlines()[2].split() == [
        "1",
        "4",
        "x",
        "4",
        "1",
        "x",
        "1",
        "x",
        "4",
        "64",
        "0",
        "0",
        "not",
        "reached",
    ]


def test_what_gives_no_currents_is_not_calibrated_in_silence():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    ann.convert_(model, DPETensor(seed=1))
    with torch.no_grad():
        model[0].weight.zero_()
    with pytest.warns(MpimpyWarning, match=r"calibrate_: inputs or weights are zero throughout in '0': the ADC ranges"):
        assert list(ann.calibrate_(model, inputs(9, 4))) == ["1"]
    with pytest.raises(ValueError, match=r"data are zero throughout, and give no currents: .* A batch is a tensor"):
        ann.calibrate_(model, [torch.zeros(9, 4)] * 2)


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

"""Ranges that layers learn or are calibrated to: in training, in state dicts, after conversion back."""

import copy
import io

import numpy as np
import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import DPETensor, MpimpyWarning, Ranges

ENGINE = DPETensor(seed=1, var=0)
LEARN = ann.Training(input_ranges=ann.InputRanges(from_data=3, decay=0.1))


def mlp(training=None, seed=0, engine=ENGINE):
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(20, 30), torch.nn.ReLU(), torch.nn.Linear(30, 4))
    ann.convert_(model, engine, training=training)
    return model


def inputs(*shape):
    return torch.tensor(np.random.default_rng(1).standard_normal(shape), dtype=torch.float32)


def test_a_range_follows_the_data_and_then_learns():
    model, x = mlp(LEARN), inputs(64, 20)
    layer = model[0]
    seen = []
    for k in range(3):
        model((k + 1) * x)
        seen.append(3 * float(((k + 1) * x).std(correction=0)))
        assert np.isclose(layer.input_range.item(), np.mean(seen))
    model(10 * x)
    assert np.isclose(layer.input_range.item(), np.mean(seen))
    assert layer.input_range_seen == 3
    model.eval()
    model(10 * x)
    assert np.isclose(layer.input_range.item(), np.mean(seen))


def test_what_is_clipped_widens_a_range_and_rest_shrinks_it():
    layer = torch.nn.Linear(4, 1, bias=False)
    ann.convert_(layer, DPETensor(seed=1, var=0, radc=None, format="fp32"), training=LEARN)
    with torch.no_grad():
        layer.weight.fill_(1.0)
        layer.input_range.fill_(2.0)
        layer.input_range_seen.fill_(3)
    x = torch.tensor([[1.0, -1.0, 3.0, -5.0]], requires_grad=True)
    y = layer(x)
    assert torch.isclose(y, torch.tensor(0.0), atol=1e-5)  # 1 - 1 + 2 - 2
    (y * 7).sum().backward()
    assert torch.allclose(x.grad, torch.tensor([[7.0, 7.0, 0.0, 0.0]]), atol=1e-4)
    assert torch.isclose(layer.input_range.grad, torch.tensor(0.0), atol=1e-4)  # 7 - 7: both ends clip
    layer.input_range.grad = None
    layer(torch.tensor([[3.0, 3.0, 0.0, 0.0]])).sum().backward()
    assert torch.isclose(layer.input_range.grad, torch.tensor(2.0), atol=1e-4)
    layer.input_range.grad = None
    layer(torch.tensor([[1.0, 1.0, 0.0, 0.0]])).sum().backward()
    assert torch.isclose(layer.input_range.grad, torch.tensor(0.2), atol=1e-4)  # decay * range


def test_ranges_are_clipped_in_inference_too():
    layer = torch.nn.Linear(4, 1, bias=False).eval()
    ann.convert_(layer, ENGINE, training=LEARN)
    with torch.no_grad():
        layer.input_range.fill_(2.0)
    x = torch.tensor([[1.0, -1.0, 3.0, -5.0]])
    assert torch.equal(layer(x), layer(x.clamp(-2, 2)))


def test_only_what_was_found_has_keys():
    plain, learned = mlp(), mlp(LEARN)
    keys = {"0.weight", "0.bias", "2.weight", "2.bias"}
    assert set(plain.state_dict()) == keys
    more = {f"{i}.{name}" for i in (0, 2) for name in ("input_range", "input_range_seen")}
    assert set(learned.state_dict()) == keys | more
    found = ann.calibrate_(plain, inputs(100, 20))
    assert set(plain.state_dict()) == keys | {f"{i}.adc_range{of}" for i in (0, 2) for of in ("", "_settings")}
    # none of them need be there
    learned.load_state_dict(mlp().state_dict())
    other = mlp()
    other.load_state_dict(plain.state_dict())
    assert {name: layer.engine.config.adc.range for name, layer in ann.layers(other)} == found
    x = inputs(3, 20)
    assert torch.equal(other.eval()(x), plain.eval()(x))
    other.load_state_dict(mlp().state_dict())
    assert {name: layer.engine.config.adc.range for name, layer in ann.layers(other)} == found
    state = plain.state_dict() | {"0.adc_range": torch.zeros(3)}
    with pytest.raises(RuntimeError, match=r"0.adc_range: it has shape \(3,\), where \(2, weight slices"):
        other.load_state_dict(state)


def test_full_range_is_a_finding_too():
    layer = torch.nn.Linear(4, 4)
    ann.convert_(layer, ENGINE)
    layer._cells[""].use_range("full")
    other = torch.nn.Linear(4, 4)
    ann.convert_(other, ENGINE.replace(adc={"range": Ranges([[0.0] * 4] * 4, [[1e-5] * 4] * 4)}))
    assert list(other.state_dict()) == ["weight", "bias"]
    other.load_state_dict(layer.state_dict())
    assert other.engine.config.adc.range == "full"


def test_ranges_outlive_a_conversion_back():
    model, x = mlp(LEARN), inputs(30, 20)
    model(x)
    found = ann.calibrate_(model, x)
    model.eval()
    y = model(x)
    bound = model[0].input_range.item()
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    kept = torch.load(stream, weights_only=False)
    assert torch.equal(kept(x), y)
    assert torch.equal(copy.deepcopy(model)(x), y)
    ann.revert_(model)
    assert list(model.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    ann.convert_(model, ENGINE, training=LEARN)
    assert model[0].input_range.item() == bound
    assert {name: layer.engine.config.adc.range for name, layer in ann.layers(model)} == found
    model[0].engine = model[0].engine.replace(device={"var": 0.1})  # the currents are the same on average
    assert "0.adc_range" in model.state_dict()
    with pytest.warns(MpimpyWarning, match=r"layer '0': its calibrated ADC range is dropped, which its new engine"):
        model[0].engine = ENGINE
    assert "0.adc_range" not in model.state_dict()
    with pytest.warns(
        MpimpyWarning, match=r"layer '2': its new engine has an ADC range .*\(the levels of the device\)"
    ):
        model[2].engine = model[2].engine.replace(device={"HGS": 2e-5})


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"inputs": {"slices": (1, 1, 2)}}, "the formats of the inputs"),
        ({"weights": {"slices": (1, 1, 2)}}, "the formats of the weights"),
        ({"adc": {"radc": 32}}, "adc"),
        ({"tile": {"rows": 32}}, "tile"),
        ({"adc": {"range": (0.0, 1e-5)}}, "adc.range"),
        ({"device": {"HGS": 2e-5}}, "the levels of the device"),
    ],
)
def test_ranges_of_other_settings_are_dropped_with_a_warning(changes, named):
    layer = torch.nn.Linear(20, 3).eval()
    ann.convert_(layer, ENGINE)
    found = ann.calibrate_(layer, inputs(30, 20))["(root)"]
    assert found != "full"
    ann.revert_(layer)
    with pytest.warns(
        MpimpyWarning, match=rf"layer '\(root\)': its ADC range is dropped.*\({named}\): run .*calibrate_"
    ):
        ann.convert_(layer, ENGINE.replace(**changes))
    assert layer.engine.config.adc.range == changes.get("adc", {}).get("range", "full")
    assert list(layer.state_dict()) == ["weight", "bias"]
    ann.calibrate_(layer, inputs(30, 20))
    ann.revert_(layer)
    ann.convert_(
        layer, ENGINE.replace(**changes).replace(device={"var": 0.0}, adc={"range": "full"})
    )  # moves no current on average
    assert list(layer.state_dict()) == ["weight", "bias", "adc_range", "adc_range_settings"]


def test_a_state_dict_with_ranges_of_other_settings_is_loaded_without_them():
    model, other = mlp(), mlp(engine=ENGINE.replace(dac={"vread": 0.2}))
    found = ann.calibrate_(model, inputs(100, 20))
    state = model.state_dict()
    with pytest.warns(MpimpyWarning) as warned:
        other.load_state_dict(state)
    assert [str(each.message) for each in warned] == [
        f"layer '{i}': its ADC range stays as it is; that of the state dict was found with other settings (dac): "
        "run mpimpy.nn.calibrate_(model, data) again"
        for i in (0, 2)
    ]
    assert other[0].engine.config.adc.range == "full"
    # one of an earlier version says nothing of its settings
    old = {name: value for name, value in state.items() if not name.endswith("_settings")}
    twin = mlp()
    twin.load_state_dict(old)
    assert {name: layer.engine.config.adc.range for name, layer in ann.layers(twin)} == found
    with pytest.raises(RuntimeError, match=r"0.adc_range: Expecting value"):
        twin.load_state_dict(state | {"0.adc_range_settings": torch.tensor([1], dtype=torch.uint8)})


def test_settings_are_checked():
    with pytest.raises(TypeError, match=r"input_ranges=3 must be InputRanges\(\), or None"):
        ann.Training(input_ranges=3)
    for name, value in (("sigmas", 0), ("from_data", 0), ("decay", -1), ("min_share", 2)):
        with pytest.raises(ValueError, match=f"{name}={value} is out of range"):
            ann.InputRanges(**{name: value})


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:<class 'torch.autograd:DeprecationWarning")  # of torch's own compiler
def test_ranges_learn_in_a_compiled_graph():
    model, x = mlp(LEARN).train(), inputs(16, 20)
    twin = copy.deepcopy(model)
    torch._dynamo.reset()
    compiled = torch.compile(twin, fullgraph=True, backend="aot_eager")
    for run, owner in ((model, model), (compiled, twin)):
        optimiser = torch.optim.SGD(owner.parameters(), 0.1)
        for k in range(6):
            optimiser.zero_grad()
            run((k + 1) * x).square().mean().backward()
            optimiser.step()
    assert model[0].input_range_seen == twin[0].input_range_seen == 3
    assert torch.allclose(model[0].input_range, twin[0].input_range)
    assert torch.allclose(model[2].weight, twin[2].weight, atol=1e-5)


def test_a_convolution_learns_as_a_linear_layer_of_its_patches():
    torch.manual_seed(0)
    training = ann.Training(noise="frozen", input_ranges=ann.InputRanges(sigmas=1.0))
    digital, flat = torch.nn.Conv2d(3, 4, 1, bias=False), torch.nn.Linear(3, 4, bias=False)
    with torch.no_grad():
        flat.weight.copy_(digital.weight[:, :, 0, 0])
    engine = DPETensor(seed=0)
    conv = ann.Conv2d.from_digital(digital, engine, "it", training).train()
    linear = ann.Linear.from_digital(flat, engine, "it", training).train()
    images = torch.randn(2, 3, 5, 5, requires_grad=True)
    rows = images.detach().movedim(1, -1).reshape(-1, 3).requires_grad_()
    conv(images).square().sum().backward()
    linear(rows).square().sum().backward()
    assert torch.allclose(conv.weight.grad[:, :, 0, 0], linear.weight.grad)
    assert torch.allclose(conv.input_range.grad, linear.input_range.grad)
    assert torch.allclose(images.grad.movedim(1, -1).reshape(-1, 3), rows.grad)

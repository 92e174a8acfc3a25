"""Bilinear layers on crossbars."""

import copy

import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import DPETensor

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
IDEAL = {"seed": 1, "var": 0, "write_var": 0, "radc": None, "format": "fp32", "rdac": 256, "g_level": 256}


def pair(engine, bias=True):
    torch.manual_seed(3)
    digital = torch.nn.Bilinear(7, 5, 4, bias=bias).eval()
    layer = copy.deepcopy(digital)
    assert ann.convert_(layer, engine).converted == ["(root)"]
    return digital, layer


@pytest.mark.parametrize("bias", [True, False])
def test_ideal_layers_and_gradients_are_those_of_torch(bias):
    digital, layer = pair(DPETensor(**IDEAL), bias)
    for lead in ((), (3,), (2, 0), (2, 3)):
        given = torch.randn(*lead, 7), torch.randn(*lead, 5)
        found = []
        for model in (digital, layer):
            leaves = [each.clone().requires_grad_() for each in given]
            y = model(*leaves)
            model.zero_grad()
            y.square().sum().backward()
            found.append([y, *(each.grad for each in (*leaves, *model.parameters()))])
        for a, b in zip(*found, strict=True):
            assert a.shape == b.shape
            assert torch.allclose(a, b, atol=1e-3)


def test_a_layer_is_the_product_of_its_second_input():
    engine = DPETensor(seed=2)
    digital, layer = pair(engine)
    x1, x2 = torch.randn(3, 7), torch.randn(3, 5)
    with torch.no_grad():
        W = engine.program(digital.weight.reshape(28, 5).mT, name="(root)")
        wanted = (W.read(x2, 0).reshape(3, 4, 7) * x1[:, None]).sum(-1) + digital.bias
        assert torch.equal(layer(x1, x2), wanted)
        torch._dynamo.reset()
        twin = copy.deepcopy(layer)
        assert torch.equal(torch.compile(twin, fullgraph=True, backend="aot_eager")(x1, x2), layer(x1, x2))
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(x1, x2).dtype == digital(x1, x2).dtype
    assert list(layer.state_dict()) == list(digital.state_dict())
    ann.revert_(layer)
    assert type(layer) is torch.nn.Bilinear
    assert torch.equal(layer(x1, x2), digital(x1, x2))


def test_clipped_weights():
    _, layer = pair(DPETensor(seed=1))
    ann.revert_(layer)
    ann.convert_(layer, DPETensor(seed=1), training=ann.Training(clip_weights=1.5))
    bound = 1.5 * layer.weight.std()
    layer.train()(torch.ones(7), torch.ones(5))
    assert torch.isclose(layer.weight.abs().max(), bound)


def test_what_a_layer_refuses():
    _, layer = pair(DPETensor(seed=1))
    with pytest.raises(RuntimeError, match=r"inputs have shapes \(3, 7\) and \(1, 5\): all but the last dimension"):
        layer(torch.ones(3, 7), torch.ones(1, 5))
    with pytest.raises(RuntimeError, match=r"inputs have shapes \(3, 5\) and \(3, 7\): this layer takes \(7, 5\)"):
        layer(torch.ones(3, 5), torch.ones(3, 7))
    with pytest.raises(RuntimeError, match=r"inputs have shapes \(\) and \(5,\): each needs a last dimension"):
        layer(torch.ones(()), torch.ones(5))

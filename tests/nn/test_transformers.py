"""Transformers of torch on crossbars: no layer inside is skipped."""

import copy
import pickle

import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import DPETensor

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors"),
]
IDEAL = {"seed": 1, "var": 0, "write_var": 0, "radc": None, "format": "fp32", "rdac": 256, "g_level": 256}
PADDED = torch.arange(4) >= torch.tensor([[4], [2], [3]])


def encoder(**more):
    torch.manual_seed(1)
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, **more)
    return torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=not more).eval()


def reads(model):
    return [cells.reads for _, layer in ann.layers(model) for cells in layer._cells.values()]


def fast(model):
    """Return whether torch takes its fast path: hooks of layers inside are not called, no layer is."""
    called = []
    layer = model.layers[0].linear1
    original, layer.forward = layer.forward, lambda x: called.append(x) or original(x)
    with torch.no_grad():
        model(torch.randn(3, 4, 8), src_key_padding_mask=PADDED)
    del layer.forward
    return not called


@pytest.mark.parametrize("more", [{}, {"norm_first": True}, {"activation": "gelu", "bias": False}])
def test_an_encoder_reads_its_crossbars(more):
    digital = encoder(**more)
    model, x = copy.deepcopy(digital), torch.randn(3, 4, 8)
    found = ann.convert_(model, DPETensor(**IDEAL))
    names = ("self_attn", "linear1", "linear2")
    assert found.converted == [f"layers.{k}.{name}" for k in range(2) for name in names]
    assert {name.split(".")[-1] for name, _ in found.skipped} == {"norm1", "norm2"}
    with torch.no_grad():
        assert torch.allclose(model(x), digital(x), atol=1e-5)
        assert reads(model) == [1] * 12
        given = {"src_key_padding_mask": PADDED}
        assert torch.allclose(model(x, **given)[~PADDED], digital(x, **given)[~PADDED], atol=1e-5)
        assert reads(model) == [2] * 12
        causal = torch.nn.Transformer.generate_square_subsequent_mask(4)
        assert torch.allclose(model(x, causal), digital(x, causal), atol=1e-5)
        assert reads(model) == [3] * 12


def test_the_fast_path_is_back_after_reverting():
    model = encoder()
    keys = [set(module.__dict__) for module in model.modules()]
    assert fast(model)
    ann.convert_(model, DPETensor(seed=1), engines={"layers.1.linear1": DPETensor(seed=2)})
    assert not fast(model)
    assert not fast(copy.deepcopy(model))
    assert not fast(pickle.loads(pickle.dumps(model)))
    ann.convert_(model, DPETensor(seed=1))  # nothing more to convert
    ann.revert_(model.layers[0])
    assert not model.use_nested_tensor
    assert model.layers[0].activation_relu_or_gelu == 1
    assert model.layers[1].activation_relu_or_gelu == 0
    ann.revert_(model)
    assert fast(model)
    assert [set(module.__dict__) for module in model.modules()] == keys
    # one layer in the second block alone
    ann.convert_(model, None, engines={"layers.1.linear1": DPETensor(seed=2)})
    with torch.no_grad():
        model(torch.randn(3, 4, 8), src_key_padding_mask=PADDED)
    assert reads(model) == [1]
    ann.revert_(model)
    # a part of a model: its encoder layer is out of sight
    ann.convert_(model.layers[0].self_attn, DPETensor(seed=1))
    with torch.no_grad():
        model(torch.randn(3, 4, 8))
    assert reads(model) == [1] * 4


def test_a_whole_transformer():
    torch.manual_seed(1)
    digital = torch.nn.Transformer(8, 2, 1, 1, 16, batch_first=True).eval()
    model, x, y = copy.deepcopy(digital), torch.randn(3, 4, 8), torch.randn(3, 5, 8)
    found = ann.convert_(model, DPETensor(**IDEAL), attention="all")
    assert len(found.converted) == 7
    assert "decoder.layers.0.multihead_attn" in found.converted
    assert all("norm" in name for name, _ in found.skipped)
    causal = torch.nn.Transformer.generate_square_subsequent_mask(5)
    given = {"tgt_mask": causal, "src_key_padding_mask": PADDED, "memory_key_padding_mask": PADDED}
    with torch.no_grad():
        assert torch.allclose(model(x, y, **given), digital(x, y, **given), atol=1e-5)
    assert reads(model) == [1] * 16
    assert [cells.reads for _, layer in ann.layers(model) for cells in getattr(layer, "_data", {}).values()] == [6] * 6
    model.train()
    model(x, y, **given).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    ann.revert_(model)
    model.eval()
    with torch.no_grad():
        assert torch.equal(model(x, y), digital(x, y))


@pytest.mark.parametrize("kind", ["TransformerEncoderLayer", "TransformerDecoderLayer"])
def test_layers_from_torch_s_have_the_cells_of_a_converted_model(kind):
    torch.manual_seed(1)
    digital = getattr(torch.nn, kind)(8, 2, 16, batch_first=True).eval()
    model = torch.nn.ModuleDict({"block": copy.deepcopy(digital)})
    ann.convert_(model, DPETensor(seed=3, write_var=0.1), attention="all")
    cls = getattr(ann, kind)
    layer = cls.from_digital(digital, DPETensor(seed=3, write_var=0.1), "block", attention="all")
    assert type(layer) is cls
    assert layer.state_dict().keys() == digital.state_dict().keys()
    assert layer.linear1.weight is digital.linear1.weight
    assert type(digital.linear1) is torch.nn.Linear
    given = (torch.randn(3, 4, 8),) * (1 + (kind == "TransformerDecoderLayer"))
    with torch.no_grad():
        assert torch.equal(layer(*given), model["block"](*given))
        plain = layer.to_digital()
        assert type(plain) is type(digital)
        assert torch.equal(plain(*given), digital(*given))
        assert plain.self_attn.in_proj_weight is digital.self_attn.in_proj_weight
        assert ann.revert_(layer)
        assert torch.equal(layer(*given), digital(*given))
    with pytest.raises(TypeError, match=f"block is a Linear, not a {kind}"):
        cls.from_digital(torch.nn.Linear(2, 2), DPETensor(seed=3), "block")
    with pytest.raises(TypeError, match="engine=None must be an Engine"):
        cls.from_digital(digital, None, "block")
    with pytest.raises(ValueError, match="attention='some'"):
        cls.from_digital(digital, DPETensor(seed=3), "block", attention="some")
    ann.convert_(digital.linear2, DPETensor(seed=3))
    with pytest.raises(ValueError, match="linear2 of block are on crossbars already: revert_ it first"):
        cls.from_digital(digital, DPETensor(seed=3), "block")


@pytest.mark.slow
def test_compiled_encoders_have_the_same_bits():
    model = encoder()
    for layer in model.layers:  # compilers round a norm differently
        layer.norm1, layer.norm2 = torch.nn.Identity(), torch.nn.Identity()
        layer.norm1.eps = layer.norm2.eps = 0.0
    ann.convert_(model, DPETensor(seed=1))
    twin = copy.deepcopy(model)
    torch._dynamo.reset()
    run = torch.compile(twin, fullgraph=True, backend="aot_eager")
    x = torch.randn(3, 4, 8)
    with torch.no_grad():
        for _ in range(2):
            assert torch.equal(run(x), model(x))

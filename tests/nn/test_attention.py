"""Attention on crossbars: torch's results, products by hand, and which products are read."""

import copy
import io
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import DPETensor

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask"),
]
IDEAL = {"seed": 1, "var": 0, "write_var": 0, "radc": None, "format": "fp32", "rdac": 256, "g_level": 256}
ATTENTIONS = ["projections", "all"]
OWN = [
    {},
    {"bias": False},
    {"kdim": 6, "vdim": 4},
    {"add_bias_kv": True},
    {"add_zero_attn": True},
    {"add_bias_kv": True, "add_zero_attn": True, "bias": False},
]


def pair(engine, attention="projections", training=None, **more):
    """Return torch's layer, and one on crossbars with the same weights."""
    torch.manual_seed(3)
    digital = torch.nn.MultiheadAttention(8, 2, **more).eval()
    layer = copy.deepcopy(digital)
    found = ann.convert_(layer, engine, attention=attention, training=training)
    assert (found.converted, found.skipped) == (["(root)"], [])
    return digital, layer


def same(found, wanted, atol=2e-5):
    for a, b in zip(found, wanted, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.shape == b.shape
            assert a.dtype == b.dtype
            assert torch.allclose(a, b, atol=atol)


@settings(max_examples=25)
@given(
    st.sampled_from(OWN),
    st.sampled_from(ATTENTIONS),
    st.sampled_from([None, "bool", "float", "heads"]),
    st.sampled_from([None, "bool", "float"]),
    st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans()),
)
def test_ideal_layers_are_those_of_torch(own, attention, mask, padding, flags):
    need, average, batch_first, batched = flags
    digital, layer = pair(DPETensor(**IDEAL), attention, batch_first=batch_first, **own)
    L, S, N = 4, 5, 3 if batched else 1
    x = [torch.randn(N, time, size) for time, size in ((L, 8), (S, digital.kdim), (S, digital.vdim))]
    if not batched:
        x = [each[0] for each in x]
    elif not batch_first:
        x = [each.transpose(0, 1) for each in x]
    masks = {"bool": torch.ones(L, S, dtype=torch.bool).triu(2), "float": torch.randn(L, S)}
    masks["heads"] = torch.randn(N * 2, L, S)
    hidden = torch.arange(S) >= torch.tensor([[3], [5], [4]])[:N]
    paddings = {"bool": hidden, "float": torch.randn(N, S)}
    pad = None if padding is None else paddings[padding][slice(None) if batched else 0]
    given = {"attn_mask": masks.get(mask), "key_padding_mask": pad}
    given |= {"need_weights": need, "average_attn_weights": average}
    same(layer(*x, **given), digital(*x, **given))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_a_causal_mask_and_queries_that_see_nothing(attention):
    digital, layer = pair(DPETensor(**IDEAL), attention)
    x = torch.randn(5, 2, 8)
    causal = torch.nn.Transformer.generate_square_subsequent_mask(5)
    for need in (True, False):
        given = {"attn_mask": causal, "is_causal": True, "need_weights": need}
        same(layer(x, x, x, **given), digital(x, x, x, **given))
    blind = torch.zeros(5, 5, dtype=torch.bool)
    blind[1] = True
    given = {"attn_mask": blind, "need_weights": False}
    same(layer(x, x, x, **given), digital(x, x, x, **given))
    with pytest.raises(ValueError, match=r"layer '\(root\)/(out_proj.weight|values)': x has nan"):
        layer(x, x, x, attn_mask=blind)


def test_a_layer_is_products_of_named_matrices():
    engine = DPETensor(seed=2)
    digital, layer = pair(engine, "all", batch_first=True)
    x = torch.randn(2, 3, 8)
    with torch.no_grad():
        torch.nn.init.normal_(digital.in_proj_bias)
        layer.load_state_dict(digital.state_dict())
        names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
        weights, biases = digital.in_proj_weight.chunk(3), digital.in_proj_bias.chunk(3)
        q, k, v = (
            engine.program(w.mT, name=f"(root)/{name}").read(x, 0) + bias
            for name, w, bias in zip(names, weights, biases, strict=True)
        )
        heads = torch.empty(2, 3, 8)
        read = 0
        for sample in range(2):
            for columns in (slice(0, 4), slice(4, 8)):
                K = engine.program(k[sample, :, columns].mT, name="(root)/scores")
                V = engine.program(v[sample, :, columns], name="(root)/values")
                shares = torch.softmax(K.read(q[sample, :, columns] * 0.5, read), -1)
                heads[sample, :, columns] = V.read(shares, read)
                read += 1
        W = engine.program(digital.out_proj.weight.mT, name="(root)/out_proj.weight")
        assert torch.equal(layer(x, x, x)[0], W.read(heads, 0) + digital.out_proj.bias)
    assert [cells.reads for cells in layer._cells.values()] == [1] * 4
    assert [cells.reads for cells in layer._data.values()] == [4] * 2


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("own", [{}, {"kdim": 6, "vdim": 4, "add_bias_kv": True}])
def test_gradients_are_those_of_torch(attention, own):
    digital, layer = pair(DPETensor(**IDEAL), attention, **own)
    x = [torch.randn(time, 2, size) for time, size in ((3, 8), (4, digital.kdim), (4, digital.vdim))]
    grads = []
    for model in (digital.train(), layer.train()):
        leaves = [each.clone().requires_grad_() for each in x]
        y, weights = model(*leaves)
        (y.square().sum() + weights.square().sum()).backward()
        grads.append([each.grad for each in (*leaves, *model.parameters())])
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-3)


def test_dropout_is_that_of_torch():
    frozen = ann.Training(noise="frozen")
    x = torch.randn(5, 2, 8)
    for attention in ATTENTIONS:
        digital, layer = pair(DPETensor(**IDEAL), attention, frozen, dropout=0.5)
        torch.manual_seed(0)
        wanted = digital.train()(x, x, x)
        torch.manual_seed(0)
        same(layer.train()(x, x, x), wanted)


def test_which_products_are_read():
    engine = DPETensor(seed=1, write_var=0.3, var=0, radc=None)
    _, layer = pair(engine, "all")
    x = torch.randn(3, 2, 8)
    assert layer.attention == "all"
    everything = layer(x, x, x)[0]
    assert torch.equal(layer(x, x, x)[0], everything)  # eval: the cells of the chip
    layer.attention = "projections"
    assert not torch.equal(layer(x, x, x)[0], everything)
    layer.attention = "all"
    assert torch.equal(layer(x, x, x)[0], everything)
    for cells in layer._cells.values():
        cells.chip = 5
    other = layer(x, x, x)[0]
    assert not torch.equal(other, everything)
    assert layer._data["scores"].chip == 5
    layer.engine = engine.replace(device={"write_var": 0.0})
    assert layer._data["scores"].engine is layer.engine
    layer.engine = engine
    layer.train()
    steps = []
    for cells in (*layer._cells.values(), *layer._data.values()):
        program = cells._program
        cells._program = lambda w, step, program=program: steps.append(step) or program(w, step)
    layer(x, x, x)
    assert len(steps) == 12  # four matrices, and two of data for each head of each sample
    assert steps[0] > 0
    assert len(set(steps)) == 1
    with pytest.raises(ValueError, match=r"attention='some' is unknown: use one of 'projections', 'all'"):
        layer.attention = "some"
    with pytest.raises(ValueError, match="attention='all' is for MultiheadAttention, and none is converted"):
        ann.convert_(torch.nn.Linear(2, 2), engine, attention="all")
    with pytest.raises(ValueError, match="attention=None is unknown"):
        ann.convert_(torch.nn.Linear(2, 2), engine, attention=None)


@pytest.mark.parametrize("attention", ATTENTIONS)
@pytest.mark.parametrize("own", [{}, {"kdim": 6}])
def test_the_way_back_and_copies(attention, own):
    digital, layer = pair(DPETensor(seed=1), attention, **own)
    x = torch.randn(3, 2, 8), torch.randn(3, 2, digital.kdim), torch.randn(3, 2, 8)
    assert list(layer.state_dict()) == list(digital.state_dict())
    stream = io.BytesIO()
    torch.save(layer, stream)
    stream.seek(0)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(stream, weights_only=False)]
    y = layer(*x)[0]
    for other in copies:
        assert torch.equal(other(*x)[0], y)
        assert other.attention == attention
    same(layer.to_digital()(*x), digital(*x), 0)
    digital.load_state_dict(layer.state_dict())
    layer.load_state_dict(digital.state_dict())
    ann.revert_(layer)
    assert type(layer) is torch.nn.MultiheadAttention
    assert set(layer.__dict__) == set(digital.__dict__)
    assert layer._qkv_same_embed_dim == digital._qkv_same_embed_dim
    same(layer(*x), digital(*x), 0)


def test_the_projection_of_outputs_belongs_to_the_layer():
    model = torch.nn.ModuleDict({"look": torch.nn.MultiheadAttention(8, 2), "out_proj": torch.nn.Linear(2, 2)})
    found = ann.convert_(model, DPETensor(seed=1))
    assert found.converted == ["look", "out_proj"]
    assert found.skipped == []
    assert [name for name, _ in ann.convert_(model, DPETensor(seed=1)).skipped] == ["look", "out_proj"]
    ann.revert_(model)
    found = ann.convert_(model, DPETensor(seed=1), engines={"look": None})
    assert found.skipped == [("look", "engines gives it None")]


def test_a_layer_is_inspected_calibrated_and_loaded_as_a_whole():
    engine = DPETensor(seed=1, w_mapping="pair", x_mapping="signed", radc=64)
    names = [f"look/{part}_proj{mark}weight" for part, mark in (("q", "_"), ("k", "_"), ("v", "_"), ("out", "."))]
    model = torch.nn.ModuleDict({"look": torch.nn.MultiheadAttention(8, 2)})
    found = ann.inspect(model, engine)
    assert (list(found.matrices), found.skipped) == (names, [])
    layer, x = model["look"], torch.randn(3, 2, 8)
    ann.convert_(model, engine, training=ann.Training(input_ranges=ann.InputRanges()))
    layer.train()(x, x, x)[0].sum().backward()
    ann.calibrate_(layer.eval(), (x, x, x))
    assert list(ann.report(layer, (x, x, x)).layers) == names
    state = layer.state_dict()
    assert {"adc_range_out_proj_weight", "input_range_out_proj_weight"} <= set(state)
    other = torch.nn.MultiheadAttention(8, 2)
    ann.convert_(torch.nn.ModuleDict({"look": other}), engine, training=layer.training_settings)
    other.eval().load_state_dict(state)
    for cells in (*layer._cells.values(), *other._cells.values()):
        cells.reads = 0
    assert torch.equal(other(x, x, x)[0], layer(x, x, x)[0])


def test_clipped_weights():
    _, layer = pair(DPETensor(seed=1), training=ann.Training(clip_weights=1.0))
    before = layer.in_proj_weight.detach().clone()
    x = torch.ones(3, 8)
    layer.train()(x, x, x)
    for part, old in zip(layer.in_proj_weight.chunk(3), before.chunk(3), strict=True):
        assert torch.isclose(part.abs().max(), old.std())


def test_autocast_gives_the_dtypes_of_torch():
    x = torch.randn(3, 2, 8)
    for attention in ATTENTIONS:
        digital, layer = pair(DPETensor(seed=1), attention)
        for need in (True, False):
            with torch.autocast("cpu", torch.bfloat16):
                found, wanted = (model(x, x, x, need_weights=need) for model in (layer, digital))
            assert [each is not None and each.dtype for each in found] == [
                each is not None and each.dtype for each in wanted
            ]


@pytest.mark.slow
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_compiled_layers_have_the_same_bits(attention):
    _, layer = pair(DPETensor(seed=1, write_var=0.1), attention, ann.Training(clip_weights=2.0))
    twin = copy.deepcopy(layer)
    torch._dynamo.reset()
    run = torch.compile(twin, fullgraph=True, backend="aot_eager")
    x = torch.randn(3, 2, 8)
    mask = torch.randn(3, 3)
    for train in (False, True):
        layer.train(train), twin.train(train)
        for _ in range(2):
            a, b = layer(x, x, x, attn_mask=mask)[0], run(x, x, x, attn_mask=mask)[0]
            assert torch.equal(a, b)


def test_what_a_layer_refuses():
    _, layer = pair(DPETensor(seed=1))
    x = torch.randn(3, 2, 8)
    with pytest.raises(RuntimeError, match="is_causal=True says of which kind attn_mask is: give attn_mask too"):
        layer(x, x, x, is_causal=True)
    with pytest.raises(ValueError, match=r"query, key and value have shapes \(3, 2, 8\), \(2, 8\), \(3, 2, 8\)"):
        layer(x, x[0], x)
    with pytest.raises(ValueError, match="key has 7 features: this layer takes 8"):
        layer(x, x[..., :7], x)
    with pytest.raises(ValueError, match=r"are \(2, 3\), \(2, 2\) and \(2, 3\) \(batch, time\): keys and values go in"):
        layer(x, x[:2], x)
    with pytest.raises(TypeError, match=r"attn_mask is torch\.int64: give bool, or floating numbers"):
        layer(x, x, x, attn_mask=torch.zeros(3, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"attn_mask has shape \(2, 3\): these inputs need \(3, 3\) or \(4, 3, 3\)"):
        layer(x, x, x, attn_mask=torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"key_padding_mask has shape \(3, 2\): these inputs need \(2, 3\)"):
        layer(x, x, x, key_padding_mask=torch.zeros(3, 2))
    nested = torch.nested.nested_tensor([torch.ones(2, 8), torch.ones(3, 8)], layout=torch.jagged)
    with pytest.raises(ValueError, match="crossbars take no nested tensor: give padded ones and key_padding_mask"):
        layer(nested, nested, nested)
    layer.attention = "all"
    with torch.no_grad():
        layer.in_proj_bias[8] = float("inf")
    with pytest.raises(ValueError, match=r"layer '\(root\)/scores': w has inf at index \(0, 0\)"):
        layer(x, x, x)

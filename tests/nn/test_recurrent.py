"""Recurrent layers on crossbars: torch's results, products by hand, and sequences of every form."""

import copy
import io
import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

from torch.nn.utils.rnn import PackedSequence, pack_sequence

import mpimpy.nn as ann
from mpimpy import DPETensor

pytestmark = [
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]
IDEAL = {"seed": 1, "var": 0, "write_var": 0, "radc": None, "format": "fp32", "rdac": 256, "g_level": 256}
KINDS = [("RNN", {}), ("RNN", {"nonlinearity": "relu"}), ("GRU", {}), ("LSTM", {}), ("LSTM", {"proj_size": 3})]
CELLS = [("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"}), ("GRUCell", {}), ("LSTMCell", {})]


def pair(kind, engine, *sizes, **more):
    """Return torch's layer, and one on crossbars with the same weights."""
    torch.manual_seed(3)
    digital = getattr(torch.nn, kind)(*sizes, **more).eval()
    model = copy.deepcopy(digital)
    assert ann.convert_(model, engine).converted == ["(root)"]
    return digital, model


def flat(found):
    """Return the tensors of a layer's result."""
    if isinstance(found, PackedSequence):
        return [found.data, found.batch_sizes]
    return [found] if isinstance(found, torch.Tensor) else [each for part in found for each in flat(part)]


def same(found, wanted, atol=3e-5):
    for a, b in zip(flat(found), flat(wanted), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        assert torch.allclose(a.double(), b.double(), atol=atol)


def state(kind, batch, layers=1, proj_size=0, hidden=5):
    """Return an initial state of a batch, or of one sequence if `batch` is None."""
    lead = (layers,) if batch is None else (layers, batch)
    h = torch.randn(*lead, proj_size or hidden)
    return (h, torch.randn(*lead, hidden)) if kind.startswith("LSTM") else h


@settings(max_examples=15)
@given(
    st.sampled_from(KINDS),
    st.integers(1, 2),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_ideal_layers_are_those_of_torch(kind, layers, both, batch_first, bias, lengths):
    kind, more = kind
    shape = {"num_layers": layers, "bidirectional": both, "batch_first": batch_first, "bias": bias}
    digital, layer = pair(kind, DPETensor(**IDEAL), 6, 5, **shape, **more)
    ways, projected = layers * (1 + both), more.get("proj_size", 0)
    x = torch.randn(lengths[0], len(lengths), 6)
    batch = lengths[0] if batch_first else len(lengths)
    packed = pack_sequence([torch.randn(length, 6) for length in lengths], enforce_sorted=False)
    cases = [(x, batch), (x[0], None), (packed, len(lengths))]
    for data, size in cases:
        same(layer(data), digital(data))
        start = state(kind, size, ways, projected)
        same(layer(data, start), digital(data, start))


def test_a_layer_is_products_of_named_matrices():
    engine = DPETensor(seed=2)
    _, layer = pair("GRU", engine, 6, 5)
    x, h = torch.randn(3, 2, 6), torch.randn(1, 2, 5)
    with torch.no_grad():
        W, V = (engine.program(getattr(layer, f"weight_{k}_l0").mT, name=f"(root)/weight_{k}_l0") for k in ("ih", "hh"))
        found, _ = layer(x, h)
        gates, hidden = W.read(x, 0) + layer.bias_ih_l0, h[0]
        for time in range(3):
            back = V.read(hidden, time) + layer.bias_hh_l0
            reset, update = (torch.sigmoid(gates[time, :, k : k + 5] + back[:, k : k + 5]) for k in (0, 5))
            new = torch.tanh(gates[time, :, 10:] + reset * back[:, 10:])
            hidden = new + update * (hidden - new)
            assert torch.equal(found[time], hidden)
    assert [cells.reads for cells in layer._cells.values()] == [1, 3]


def test_cells_of_two_products():
    engine = DPETensor(seed=2)
    _, cell = pair("LSTMCell", engine, 6, 5)
    x, h, c = torch.randn(2, 6), torch.randn(2, 5), torch.randn(2, 5)
    with torch.no_grad():
        W, V = (engine.program(getattr(cell, part).mT, name=f"(root)/{part}") for part in ("weight_ih", "weight_hh"))
        i, f, g, o = (W.read(x, 0) + cell.bias_ih + (V.read(h, 0) + cell.bias_hh)).chunk(4, -1)
        wanted = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        found, state = cell(x, (h, c))
        assert torch.equal(state, wanted)
        assert torch.equal(found, torch.sigmoid(o) * torch.tanh(wanted))


@pytest.mark.parametrize(("kind", "more"), CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_ideal_cells_are_those_of_torch(kind, more, bias):
    digital, cell = pair(kind, DPETensor(**IDEAL), 6, 5, bias=bias, **more)
    x = torch.randn(3, 6)
    start = state(kind, 3)
    start = tuple(each[0] for each in start) if isinstance(start, tuple) else start[0]
    alone = tuple(each[0] for each in start) if isinstance(start, tuple) else start[0]
    same(cell(x), digital(x))
    same(cell(x, start), digital(x, start))
    same(cell(x[0]), digital(x[0]))
    same(cell(x[0], alone), digital(x[0], alone))


@pytest.mark.parametrize(("kind", "more"), [*KINDS, *CELLS])
def test_gradients_are_those_of_torch(kind, more):
    digital, layer = pair(kind, DPETensor(**IDEAL), 6, 5, **more)
    x = torch.randn(4, 3, 6) if not kind.endswith("Cell") else torch.randn(3, 6)
    grads = []
    for model in (digital.train(), layer.eval()):
        leaf = x.clone().requires_grad_()
        sum(each.square().sum() for each in flat(model(leaf))).backward()
        grads.append([leaf.grad, *(parameter.grad for parameter in model.parameters())])
    for a, b in zip(*grads, strict=True):
        assert torch.allclose(a, b, atol=1e-3)


def test_all_times_of_a_step_read_the_same_cells():
    engine = DPETensor(seed=1, var=0, write_var=0.3, radc=None, gradient="written")
    _, layer = pair("RNN", engine, 6, 5, num_layers=2, bidirectional=True, bias=False)
    layer.train()
    x = torch.zeros(4, 1, 6)
    written = []
    for cells in layer._cells.values():
        program = cells._program
        cells._program = lambda w, step, name=cells.name, program=program: (
            written.append((name, step)) or program(w, step)
        )
    layer(x)
    assert len(written) == len(layer._cells) == 8
    assert {step for _, step in written} == {1}
    layer(x)
    assert len(written) == 16
    assert len({step for _, step in written}) == 2
    layer.eval()(x)
    assert {step for _, step in written[16:]} == {0}


def test_dropout_between_layers_is_that_of_torch():
    digital, layer = pair("LSTM", DPETensor(**IDEAL), 6, 5, num_layers=2, dropout=0.5)
    ann.revert_(layer)
    ann.convert_(layer, DPETensor(**IDEAL), training=ann.Training(noise="frozen"))
    x = torch.randn(3, 2, 6)
    torch.manual_seed(0)
    wanted = digital.train()(x)
    torch.manual_seed(0)
    same(layer.train()(x), wanted)


@pytest.mark.parametrize("kind", ["LSTM", "GRUCell"])
def test_the_way_back_and_copies(kind):
    digital, layer = pair(kind, DPETensor(seed=1, write_var=0.1), 6, 5)
    x = torch.randn(4, 6)
    keys = list(digital.state_dict())
    assert list(layer.state_dict()) == keys
    y = flat(layer(x))
    stream = io.BytesIO()
    torch.save(layer, stream)
    stream.seek(0)
    copies = [copy.deepcopy(layer), pickle.loads(pickle.dumps(layer)), torch.load(stream, weights_only=False)]
    again = flat(layer(x))
    for other in copies:
        assert all(torch.equal(a, b) for a, b in zip(flat(other(x)), again, strict=True))
    part = next(iter(layer._parts()))
    shared = layer.to_digital()
    assert type(shared) is type(digital)
    setattr(shared, part, torch.nn.Parameter(torch.zeros_like(getattr(shared, part))))  # of the copy alone
    if kind == "LSTM":
        assert layer._flat_weights[0] is layer.weight_ih_l0
    layer.double()
    assert flat(layer(x.double()))[0].dtype == torch.float64
    layer.float()
    layer.load_state_dict({key: value * 0.5 for key, value in digital.state_dict().items()})
    digital.load_state_dict(layer.state_dict())
    assert not torch.equal(flat(layer(x))[0], y[0])
    ann.revert_(layer)
    assert type(layer) is type(digital)
    assert set(layer.__dict__) == set(digital.__dict__)
    same(layer(x), digital(x), 0)
    if kind == "LSTM":
        assert all(a is getattr(layer, name) for a, name in zip(layer._flat_weights, keys, strict=True))


def test_clipped_weights():
    layer = torch.nn.LSTM(6, 5)
    with torch.no_grad():
        layer.weight_hh_l0[0, 0] = 9.0
    ann.convert_(layer, DPETensor(seed=1), training=ann.Training(clip_weights=1.5))
    bound = 1.5 * layer.weight_hh_l0.std()
    layer(torch.ones(1, 6))
    assert torch.isclose(layer.weight_hh_l0.abs().max(), bound)


def test_ranges_of_inputs_are_learned_over_all_times():
    layer = torch.nn.LSTM(6, 5)
    ann.convert_(layer, DPETensor(seed=1), training=ann.Training(input_ranges=ann.InputRanges()))
    layer(torch.randn(4, 2, 6))[0].sum().backward()
    assert layer.input_range_weight_ih_l0.grad is not None
    assert layer.input_range_weight_hh_l0.grad is not None
    assert 0 < layer.input_range_weight_hh_l0 < layer.input_range_weight_ih_l0


def test_autocast_gives_the_dtypes_of_torch():
    x = torch.randn(3, 2, 6)
    for kind, more in KINDS:
        if kind == "LSTM" and not more:  # torch needs a processor with bfloat16 there
            continue
        digital, layer = pair(kind, DPETensor(seed=1), 6, 5, **more)
        with torch.autocast("cpu", torch.bfloat16):
            for a, b in zip(flat(layer(x)), flat(digital(x)), strict=True):
                assert a.dtype == b.dtype
    for kind, more in CELLS:
        digital, cell = pair(kind, DPETensor(seed=1), 6, 5, **more)
        with torch.autocast("cpu", torch.bfloat16):
            assert [each.dtype for each in flat(cell(x[0]))] == [each.dtype for each in flat(digital(x[0]))]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM", "LSTMCell"])
def test_compiled_layers_have_the_same_bits(kind):
    _, layer = pair(kind, DPETensor(seed=1, write_var=0.1), 6, 5)
    twin = copy.deepcopy(layer)
    torch._dynamo.reset()
    run = torch.compile(twin, fullgraph=True, backend="aot_eager")
    x = torch.randn(3, 2, 6) if kind != "LSTMCell" else torch.randn(2, 6)
    for train in (False, True):
        layer.train(train), twin.train(train)
        for _ in range(3):
            with torch._dynamo.config.patch(allow_rnn=True):  # torch wants to be asked
                a, b = flat(layer(x)), flat(run(x))
            assert all(torch.equal(one, other) for one, other in zip(a, b, strict=True))
        a[0].sum().backward(), b[0].sum().backward()
        for one, other in zip(layer.parameters(), twin.parameters(), strict=True):
            assert torch.allclose(one.grad, other.grad, atol=1e-6)


def test_what_a_layer_refuses():
    _, lstm = pair("LSTM", DPETensor(seed=1), 6, 5)
    _, gru = pair("GRU", DPETensor(seed=1), 6, 5)
    _, cell = pair("LSTMCell", DPETensor(seed=1), 6, 5)
    x, h = torch.randn(3, 2, 6), torch.zeros(1, 2, 5)
    with pytest.raises(ValueError, match=r"input is 1-D: give \(time, size\), a batch of it, or a PackedSequence"):
        lstm(x[0, 0])
    with pytest.raises(RuntimeError, match="the input has no time steps"):
        lstm(x[:0])
    with pytest.raises(TypeError, match=r"hx is a Tensor: an LSTM takes two tensors, \(h_0, c_0\)"):
        lstm(x, h)
    with pytest.raises(RuntimeError, match="c_0 is 2-D: batched input needs a 3-D one"):
        lstm(x, (h, h[0]))
    with pytest.raises(RuntimeError, match="h_0 is 3-D: unbatched input needs a 2-D one"):
        gru(x[0], h)
    with pytest.raises(RuntimeError, match=r"h_0 is torch.float64 and the input torch.float32: give both one dtype"):
        gru(x, h.double())
    with pytest.raises(RuntimeError, match="Expected hidden size"):
        gru(x, torch.zeros(1, 3, 5))
    with pytest.raises(RuntimeError, match=r"input.size\(-1\) must be equal to input_size"):
        gru(x[..., :4])
    x[1, 0, 2] = float("nan")
    with pytest.raises(ValueError, match=r"layer '\(root\)/weight_ih_l0': x has nan at index \(1, 0, 2\)"):
        gru(x)
    with pytest.raises(ValueError, match=r"input is 3-D: a cell takes \(size,\) or \(batch, size\)"):
        cell(x)
    with pytest.raises(RuntimeError, match="input has 4 features: this cell takes 6"):
        cell(x[0, :, :4])
    with pytest.raises(RuntimeError, match=r"a state has shape \(1, 5\): the input needs \(2, 5\)"):
        cell(x[0], (h[0, :1], h[0]))
    with pytest.raises(TypeError, match=r"hx is a Tensor: an LSTMCell takes two tensors"):
        cell(x[0], h[0])
    _, plain = pair("RNNCell", DPETensor(seed=1), 6, 5)
    plain.nonlinearity = "sine"
    with pytest.raises(RuntimeError, match="nonlinearity='sine' is unknown: use one of 'tanh', 'relu'"):
        plain(x[0])

"""Parts of a batch that several processes read: together they are the whole batch, read by one."""

import contextlib
import copy
import io
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from libraries import torch
from strategies import examples

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

from torch._subclasses import FakeTensorMode

import mpimpy.nn as ann
from mpimpy import DPETensor

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
PAIR = {"w_mapping": "pair", "x_mapping": "signed"}
ALWAYS = {"var": 0.05, "write_var": 0.1, "stuck_HGS": 0.01, "offset_lsb": 0.3, "gain_error": 0.02, "seed": 5}
BY_ROW = {"vnoise": 0.02}, {"noise_lsb": 0.5}, {"redraw": "row"}, {"vnoise": 0.02, "noise_lsb": 0.5, "redraw": "row"}
nn = torch.nn


def encoder(batch_first):
    return nn.TransformerEncoderLayer(6, 2, 5, dropout=0.0, batch_first=batch_first)


# by name: (layer, shape of its inputs without the batch, axis of the batch in them)
KINDS = {
    "linear": (lambda: nn.Linear(7, 3), (7,), 0),
    "linear of sequences": (lambda: nn.Linear(7, 3), (4, 7), 0),
    "linear of images": (lambda: nn.Linear(7, 3), (2, 3, 7), 0),
    "bilinear": (lambda: Pair(nn.Bilinear(5, 5, 3)), (5,), 0),
    "conv1d": (lambda: nn.Conv1d(2, 4, 3, padding=1), (2, 6), 0),
    "conv2d in groups": (lambda: nn.Conv2d(4, 6, 3, stride=2, groups=2), (4, 6, 7), 0),
    "transposed": (lambda: nn.ConvTranspose2d(2, 3, 3, stride=2), (2, 3, 4), 0),
    "rnn": (lambda: First(nn.RNN(5, 4, bidirectional=True)), (4, 5), 1),
    "lstm": (lambda: First(nn.LSTM(5, 4, num_layers=2, proj_size=3, batch_first=True)), (3, 5), 0),
    "gru": (lambda: First(nn.GRU(5, 4)), (3, 5), 1),
    "gru cell": (lambda: nn.GRUCell(5, 4), (5,), 0),
    "lstm cell": (lambda: First(nn.LSTMCell(5, 4)), (5,), 0),
    "attention": (lambda: Self(nn.MultiheadAttention(6, 2, batch_first=True)), (3, 6), 0),
    "attention, time first": (lambda: Self(nn.MultiheadAttention(6, 2)), (3, 6), 1),
    "encoder": (lambda: encoder(True), (3, 6), 0),
    "encoder, time first": (lambda: encoder(False), (3, 6), 1),
}


class Around(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner


class First(Around):
    def forward(self, x):
        return self.inner(x)[0]


class Pair(Around):
    def forward(self, x):
        return self.inner(x, x)


class Self(Around):
    def forward(self, x):
        return self.inner(x, x, x)[0]


def on_crossbars(layer, *, training=None, attention="projections", **settings):
    torch.manual_seed(0)
    model = layer().eval()
    ann.convert_(model, DPETensor(**ALWAYS | settings), training=training, attention=attention)
    return model


def inputs(shape, batch, axis, seed=1):
    shape = (*shape[:axis], batch, *shape[axis:])
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=torch.float32)


def parts_of(model, x, world, axis, passes=1, **more):
    """The results of all processes after some passes, put together."""
    found = []
    for rank, part in enumerate(x.chunk(world, axis)):
        replica = copy.deepcopy(model)
        ann.shard_(replica, rank, world, **more)
        found.append([replica(part) for _ in range(passes)])
    return [torch.cat(each, axis) for each in zip(*found, strict=True)]


def wholes_of(model, x, passes=1):
    replica = copy.deepcopy(model)
    return [replica(x) for _ in range(passes)]


@contextlib.contextmanager
def rational_gates():
    """Without torch's own tanh and sigmoid, whose last bits depend on where in a tensor an element is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch, "tanh", lambda x: x / (1 + x.abs()))
        patch.setattr(torch, "sigmoid", lambda x: x.abs() / (1 + x.abs()))
        yield


def same(first, second):
    return len(first) == len(second) and all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=examples(24, by_day=8))
@given(
    settings=st.sampled_from(BY_ROW),
    mapping=st.sampled_from([{}, PAIR]),
    world=st.integers(2, 4),
    each=st.integers(1, 3),
)
def test_parts_of_a_batch_are_the_whole(kind, settings, mapping, world, each):
    layer, shape, axis = KINDS[kind]
    model, x = on_crossbars(layer, **settings, **mapping), inputs(shape, world * each, axis)
    with torch.no_grad(), rational_gates():
        assert same(parts_of(model, x, world, axis, passes=2), wholes_of(model, x, passes=2))


@pytest.mark.parametrize("kind", ["linear", "conv2d in groups", "gru", "attention"])
def test_the_rows_matter(kind):
    # or the test above would show nothing
    layer, shape, axis = KINDS[kind]
    x = inputs(shape, 4, axis)
    with torch.no_grad(), rational_gates():
        for settings in BY_ROW:
            model = on_crossbars(layer, **settings)
            found = torch.cat([copy.deepcopy(model)(part) for part in x.chunk(2, axis)], axis)
            assert not torch.equal(found, model(x))


@settings(max_examples=examples(24, by_day=12))
@given(world=st.integers(2, 3), each=st.integers(1, 2), noise=st.sampled_from(["step", "frozen"]))
def test_products_of_data_have_the_reads_of_the_whole_batch(world, each, noise):
    for kind in ("attention", "attention, time first"):
        layer, shape, axis = KINDS[kind]
        model = on_crossbars(layer, attention="all", training=ann.Training(noise=noise), **BY_ROW[-1]).train()
        x = inputs(shape, world * each, axis)
        with torch.no_grad():
            assert same(parts_of(model, x, world, axis, passes=2), wholes_of(model, x, passes=2))


def test_blocks_of_patches_begin_at_the_rows_of_their_part(monkeypatch):
    monkeypatch.setattr("mpimpy.nn._streamed.BLOCK", 80)
    layer, shape, axis = KINDS["conv2d in groups"]
    model, x = on_crossbars(layer, **BY_ROW[-1]), inputs(shape, 6, axis)
    with torch.no_grad():
        assert same(parts_of(model, x, 2, axis), wholes_of(model, x))


@pytest.mark.parametrize("kind", ["linear of sequences", "conv1d", "gru", "attention"])
def test_each_step_in_training_has_the_cells_of_one_process(kind):
    layer, shape, axis = KINDS[kind]
    model, x = (
        on_crossbars(layer, training=ann.Training(clip_weights=1.0), **BY_ROW[-1]).train(),
        inputs(shape, 4, axis),
    )
    gradients = []
    for world in (1, 2):
        replicas = [copy.deepcopy(model) for _ in range(world)]
        for rank, (replica, part) in enumerate(zip(replicas, x.chunk(world, axis), strict=True)):
            ann.shard_(replica, rank, world)
            for _ in range(2):
                replica(part).square().sum().backward()
        every = zip(*(replica.parameters() for replica in replicas), strict=True)
        gradients.append([sum(one.grad for one in each) for each in every])
    for first, second in zip(*gradients, strict=True):
        assert torch.allclose(first, second, rtol=1e-5, atol=1e-5)


def test_linear_layers_of_time_first_inputs_are_told_so():
    model, x = on_crossbars(lambda: nn.Linear(7, 3), **BY_ROW[-1]), inputs((2, 3, 7), 4, 2)
    with torch.no_grad():
        whole = wholes_of(model, x)
        assert same(parts_of(model, x, 2, 2, batch_axis=2), whole)
        assert not same(parts_of(model, x, 2, 2), whole)
        # fewer axes: the last one before the features
        flat = inputs((7,), 4, 0)
        assert same(parts_of(model, flat, 2, 0, batch_axis=2), wholes_of(model, flat))


def test_runs_are_read_one_by_one_only_where_rows_have_noise():
    model, x = on_crossbars(lambda: nn.Linear(7, 3)), inputs((5, 7), 4, 1)
    ann.shard_(model, 1, 2, batch_axis=1)
    seen = []

    class Observer:
        def before(self, cells, x, w):
            seen.append(tuple(x.shape))

        def after(self, cells, made):
            pass

    model._cells[""].observer = Observer()
    model(x[:, :2])
    model.engine = DPETensor(**ALWAYS, vnoise=0.1)
    model(x[:, :2])
    assert seen == [(5, 2, 7)] + [(2, 7)] * 5
    assert model._cells[""].reads == 2


def test_one_sample_alone_is_a_batch_of_one():
    with torch.no_grad(), rational_gates():
        for kind, axis in (("linear", 0), ("conv1d", 0), ("gru", 1), ("gru cell", 0), ("attention", 0)):
            layer, shape, _ = KINDS[kind]
            model, x = on_crossbars(layer, **BY_ROW[-1]), inputs(shape, 2, axis)
            found = []
            for rank in (0, 1):
                replica = copy.deepcopy(model)
                ann.shard_(replica, rank, 2)
                found.append(replica(x.select(axis, rank)))
            assert torch.equal(torch.stack(found, axis), model(x)), kind


def test_compiled_layers_have_the_same_bits():
    x = inputs((7,), 6, 0)
    model = on_crossbars(lambda: nn.Sequential(nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)), **BY_ROW[-1])
    ann.shard_(model, 1, 2)
    replica = copy.deepcopy(model)
    compiled = torch.compile(replica, backend="aot_eager", fullgraph=True)
    for _ in range(2):
        assert torch.equal(compiled(x[3:]), model(x[3:]))
    ann.shard_(replica, 0, 2)
    ann.shard_(model, 0, 2)
    assert torch.equal(compiled(x[:3]), model(x[:3]))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["conv2d in groups", "attention, time first", "encoder, time first"])
def test_every_layer_compiles(kind):
    layer, shape, axis = KINDS[kind]
    attention = "all" if "attention" in kind else "projections"
    model, x = on_crossbars(layer, attention=attention, **BY_ROW[-1]), inputs(shape, 4, axis)
    part = x.chunk(2, axis)[1]
    ann.shard_(model, 1, 2)
    compiled = torch.compile(copy.deepcopy(model), backend="aot_eager", fullgraph=True)
    for _ in range(2):
        assert torch.equal(compiled(part), model(part))


def test_a_shard_is_of_its_process():
    x = inputs((7,), 4, 0)
    model = on_crossbars(lambda: nn.Linear(7, 3), vnoise=0.1)
    keys = list(model.state_dict())
    with torch.no_grad():
        first, second = wholes_of(model, x[2:])[0], wholes_of(model, x)[0][2:]
        ann.shard_(model, 1, 2)
        assert list(model.state_dict()) == keys
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        for other in (pickle.loads(pickle.dumps(model)), torch.load(file, weights_only=False)):
            assert torch.equal(other(x[2:]), first)
        assert torch.equal(copy.deepcopy(model)(x[2:]), second)
        ann.shard_(model, 0, 1)
        assert torch.equal(copy.deepcopy(model)(x[2:]), first)
        ann.shard_(model, 1, 2)
        ann.revert_(model)
        ann.convert_(model, DPETensor(**ALWAYS, vnoise=0.1))
        assert torch.equal(model(x[2:]), first)


def test_shapes_alone_count_no_read():
    model = on_crossbars(KINDS["attention, time first"][0], attention="all", **BY_ROW[-1])
    ann.shard_(model, 1, 2)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert model(mode.from_tensor(torch.ones(3, 2, 6))).shape == (3, 2, 6)
    assert {cells.reads for cells in (*model.inner._cells.values(), *model.inner._data.values())} == {0}


# --- what is refused -------------------------------------------------------------------------------------------------


def test_wrong_arguments():
    model = on_crossbars(lambda: nn.Linear(7, 3))
    for given_wrong, error, message in (
        ((1,), TypeError, r"rank=1 and world=None: give both, or neither for those of torch.distributed"),
        ((None, 2), TypeError, r"rank=None and world=2: give both"),
        ((2, 2), ValueError, r"rank=2 is out of range: it must be from 0 to 1"),
        ((0, 0), ValueError, r"world=0 is out of range"),
        ((0, 2.5), TypeError, r"world=2.5"),
        ((), RuntimeError, r"torch.distributed is not initialised: call torch.distributed.init_process_group first"),
    ):
        with pytest.raises(error, match=message):
            ann.shard_(model, *given_wrong)
    with pytest.raises(ValueError, match="batch_axis=-1 is out of range"):
        ann.shard_(model, 0, 2, batch_axis=-1)
    with pytest.raises(ValueError, match="the model has no layer on crossbars: convert_ it first"):
        ann.shard_(nn.Linear(7, 3), 0, 2)
    assert model._cells[""].shard is None


@pytest.mark.parametrize("kind", ["linear", "conv1d", "gru", "gru cell", "bilinear"])
def test_scales_of_rows_of_other_processes_are_refused(kind):
    layer, shape, axis = KINDS[kind]
    x = inputs(shape, 2, axis)
    model = on_crossbars(layer, x_quant_gran="per-matrix")
    model(x)
    ann.shard_(model, 0, 2)
    wanted = r"granularity 'per-matrix' of the inputs gives one scale to all rows of a batch and no rank sees those of "
    with pytest.raises(ValueError, match=f"layer .*: {wanted}the others: set x_quant_gran='per-row' or 'finest'"):
        model(x)
    ann.shard_(model, 0, 1)
    model(x)


def test_blocks_of_rows_are_refused_where_they_span_ranks():
    model, x = on_crossbars(lambda: nn.Linear(7, 3), x_quant_gran=(4, 64)), inputs((7,), 16, 0)
    with torch.no_grad():
        assert same(parts_of(model, x, 4, 0), wholes_of(model, x))
        ann.shard_(model, 1, 8)
        wanted = (
            r"layer '\(root\)': granularity \(4, 64\) of the inputs gives one scale to 4 rows of a batch, but each rank "
            r"has 2, and no rank sees those of the others: set x_quant_gran='per-row' or 'finest', or a multiple of 4 rows"
        )
        with pytest.raises(ValueError, match=wanted):
            model(x[:2])


@pytest.mark.parametrize("kind", ["linear of sequences", "attention", "attention, time first"])
@pytest.mark.parametrize("block", ["per-matrix", (2, 64)])
def test_scales_of_the_rows_of_one_sample_are_its_own(kind, block):
    layer, shape, axis = KINDS[kind]
    model, x = on_crossbars(layer, x_quant_gran=block, **BY_ROW[-1]), inputs(shape, 6, axis)
    with torch.no_grad():
        assert same(parts_of(model, x, 2, axis), wholes_of(model, x))


def test_learned_ranges_are_refused_in_training():
    model = on_crossbars(lambda: nn.Linear(7, 3), training=ann.Training(input_ranges=ann.InputRanges()), vnoise=0.1)
    x = inputs((7,), 4, 0)
    model.train()(x)
    with torch.no_grad():
        assert same(parts_of(model.eval(), x, 2, 0), wholes_of(model, x))
    ann.shard_(model.train(), 0, 2)
    wanted = (
        "input_ranges follow the inputs of one process, and would differ on the ranks: learn them in one process, or"
    )
    with pytest.raises(ValueError, match=rf"layer '\(root\)': {wanted} train with Training\(input_ranges=None\)"):
        model(x)


def test_packed_sequences_are_refused_where_rows_count():
    pack = torch.nn.utils.rnn.pack_sequence
    x = pack([inputs((n,), 5, 0).mT for n in (4, 3)])
    refused = {"vnoise": 0.1}, {"noise_lsb": 0.1}, {"redraw": "row"}, {"x_quant_gran": (2, 64)}
    for setting, name in zip(refused, ("DAC noise", "ADC noise", "redraw='row'", "granularity"), strict=True):
        model = on_crossbars(lambda: nn.GRU(5, 4), **setting)
        ann.shard_(model, 0, 2)
        wanted = (
            "sequences of a PackedSequence are sorted by length, so their rows in the whole batch are not known, and"
        )
        with pytest.raises(ValueError, match=rf"layer .*: {wanted} {name}.* depends on them: give padded sequences"):
            model(x)
    model = on_crossbars(lambda: nn.GRU(5, 4))
    whole = wholes_of(model, x)[0][0].data
    ann.shard_(model, 0, 2)
    assert torch.equal(model(x)[0].data, whole)


def test_maps_are_refused_where_rows_count():
    model, x = on_crossbars(lambda: nn.Linear(7, 3), vnoise=0.1), inputs((7,), 4, 0)
    conv = on_crossbars(lambda: nn.Conv1d(7, 3, 1), vnoise=0.1)
    ann.shard_(model, 1, 2)
    ann.shard_(conv, 1, 2)
    wanted = r"layer '\(root\)': torch.vmap hides how many samples its inputs are, so .* DAC noise \(vnoise\) depends"
    with pytest.raises(ValueError, match=wanted):
        torch.vmap(model)(x)
    with pytest.raises(ValueError, match=wanted):
        torch.vmap(torch.func.grad(lambda each: model(each).sum()))(x)
    with pytest.raises(ValueError, match=wanted):
        torch.vmap(conv)(x[..., None])
    with pytest.raises(ValueError, match=r"torch.vmap hides how many"):
        torch.compile(torch.vmap(model), backend="eager")(x)
    torch.func.grad(lambda x: model(x).sum())(x)  # it hides nothing
    model.engine = DPETensor(**ALWAYS)
    assert torch.vmap(model)(x).shape == (4, 3)

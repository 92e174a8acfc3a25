"""Models on a card: the host never waits in a forward pass, and flags on the card tell of NaN."""

import copy

import card as pretended
import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)
if torch.cuda.is_available():
    pytest.skip("there is a real card, whose tensors must not be mixed with pretended ones", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import ADC, Device, DPETensor, Drift, Engine, Format

NAN = float("nan")
PLAIN = {"seed": 0, "backend": "torch"}
SHORT = PLAIN | {"inputs": Format((1, 2)), "weights": Format((1, 2))}
FEW = DPETensor(**PLAIN, var=0, radc=None)  # few operations on the card


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.look = torch.nn.Conv2d(2, 4, 3), torch.nn.MultiheadAttention(4, 2, batch_first=True)
        self.memory, self.head = torch.nn.GRU(4, 3), torch.nn.Linear(3, 2)

    def forward(self, x):
        x = torch.relu(self.conv(x)).flatten(2).mT
        x, _ = self.look(x, x, x, need_weights=False)
        return self.head(self.memory(x)[0])


def models(engine=None, training=None, attention="projections"):
    # a model on the CPU, the same on the card, and inputs of both
    torch.manual_seed(0)
    model = Net().train(training is not None)
    short = {"x_slices": (1, 2), "w_slices": (1, 2), "w_mapping": "pair", "x_mapping": "signed"}
    engine = DPETensor(**PLAIN, **short, write_var=0.1) if engine is None else engine
    ann.convert_(model, engine, training=training, attention=attention)
    x = torch.randn(2, 2, 5, 4)
    return model, pretended.to_card(copy.deepcopy(model)), x, pretended.to_card(x)


def small(engine=None, training=None):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 2))
    model.train(training is not None)
    ann.convert_(model, FEW if engine is None else engine, training=training)
    return model, torch.randn(3, 6)


def step(model, x):
    model(x).square().sum().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.sub_(parameter.grad, alpha=0.1)
                parameter.grad = None


def on_card(monkeypatch, function, times=1):
    # the first call makes tables, which stay on the card; the others never make the host wait
    with pretended.card(monkeypatch, tables=True):
        found = function()
    for _ in range(times):
        with pretended.card(monkeypatch):
            found = function()
    return found


@pytest.mark.parametrize("training", [None, ann.Training(noise="frozen")], ids=["inference", "step"])
def test_a_small_model_never_makes_the_host_wait(monkeypatch, training):
    model, x = small(DPETensor(**PLAIN, x_slices=(1, 1), w_slices=(1, 1), radc=16), training)
    carded, y = pretended.to_card(copy.deepcopy(model)), pretended.to_card(x)
    run = step if training else torch.no_grad()(lambda model, x: model(x))
    for _ in range(3):
        expected = run(model, x)
    found = on_card(monkeypatch, lambda: run(carded, y), 2)
    if training:
        expected, found = model[0].weight.detach(), carded[0].weight
    assert torch.equal(pretended.from_card(found), expected)


def test_steps_of_fused_optimisers_are_written_without_a_look_at_the_weights(monkeypatch):
    model, x = small(DPETensor(**PLAIN))
    model, x = pretended.to_card(model), pretended.to_card(x)
    with pretended.card(monkeypatch, tables=True), torch.no_grad():
        before = model(x)
        kept = model[0]._cells[""]._written
        # a step that torch does not count: not a word of it in the weights' version
        model[0].weight.held.mul_(-1)
        after = model(x)
        assert model[0]._cells[""]._written is kept
        optimiser = torch.optim.SGD([torch.nn.Parameter(torch.ones(1), False)])
        optimiser.step()
        assert model[0]._cells[""]._written is kept
        optimiser.param_groups[0]["fused"] = True
        optimiser.param_groups[0]["params"].clear()
        optimiser.step()
        written = model(x)
        assert model[0]._cells[""]._written is not kept
    assert pretended.from_card(before).shape == pretended.from_card(after).shape
    assert not torch.equal(pretended.from_card(written), pretended.from_card(before))


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["projections", "all"])
def test_inference_never_makes_the_host_wait(monkeypatch, attention):
    model, carded, x, y = models(attention=attention)
    with torch.no_grad():
        model(x)
        expected = model(x)
        found = on_card(monkeypatch, lambda: carded(y))
    assert found.device.type == "cuda"
    assert torch.equal(pretended.from_card(found), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "training",
    [ann.Training(), ann.Training(noise="frozen", clip_weights=2.0, input_ranges=ann.InputRanges(from_data=1))],
    ids=["step", "frozen"],
)
def test_training_never_makes_the_host_wait(monkeypatch, training):
    model, carded, x, y = models(training=training)
    for _ in range(3):
        step(model, x)
    on_card(monkeypatch, lambda: step(carded, y), 2)
    for one, other in zip(model.parameters(), carded.parameters(), strict=True):
        assert torch.equal(one, pretended.from_card(other))


@pytest.mark.slow
@pytest.mark.parametrize("gradient", ["clipped", "written"])
def test_other_gradients_never_make_the_host_wait(monkeypatch, gradient):
    model, x = small(DPETensor(**PLAIN, gradient=gradient, write_var=0.1, var=0, radc=None))
    carded, y = pretended.to_card(copy.deepcopy(model)), pretended.to_card(x)
    for _ in range(2):
        step(model, x)
    on_card(monkeypatch, lambda: step(carded, y))
    assert torch.equal(model[0].weight, pretended.from_card(carded[0].weight))


@pytest.mark.slow
@pytest.mark.parametrize(
    "engine",
    [
        DPETensor(**PLAIN, radc=None),
        DPETensor(**PLAIN, vnoise=0.05, x_slices=(1, 2), w_slices=(1, 2)),
        DPETensor(**PLAIN, format="bf16"),
        Engine(**SHORT).replace(adc={"noise_lsb": 0.5, "offset_lsb": 0.5, "gain_error": 0.01}),
        Engine(**SHORT).replace(device={"redraw": "slice"}),
        Engine(**SHORT).replace(device={"redraw": "row"}),
        Engine(Device(levels=[1e-7 * 1.4**k for k in range(16)], write_var=0.1, stuck_LGS=0.02), **SHORT),
    ],
    ids=["ideal ADC", "DAC noise", "bf16", "ADC errors", "redraw slice", "redraw row", "levels"],
)
def test_effects_never_make_the_host_wait(monkeypatch, engine):
    model, x = small(engine)
    with torch.no_grad():
        model(x)
        expected = model(x)
    carded, y = pretended.to_card(small(engine)[0].train()), pretended.to_card(x)
    on_card(monkeypatch, lambda: step(carded, y))  # writes cells too
    carded = pretended.to_card(small(engine)[0])
    with torch.no_grad():
        assert torch.equal(pretended.from_card(on_card(monkeypatch, lambda: carded(y))), expected)


def test_half_precision_never_makes_the_host_wait(monkeypatch):
    model, x = small()
    carded, y = pretended.to_card(model.to(torch.bfloat16)), pretended.to_card(x.to(torch.bfloat16))
    assert on_card(monkeypatch, lambda: carded(y)).dtype is torch.bfloat16


def test_the_pretended_card_sees_what_waits(monkeypatch):
    x = pretended.to_card(torch.ones(3))
    waits = [
        lambda: x.sum().item(),
        lambda: bool(x.any()),
        lambda: float(x[0]),
        lambda: x.tolist(),
        lambda: x.cpu(),
        lambda: x.numpy(),
        lambda: x[x > 0],
        lambda: x.nonzero(),
        lambda: torch.equal(x, x),
        lambda: torch.tensor([1.0], device=x.device),
        lambda: torch.ones(3).to(x.device),
        lambda: x.copy_(torch.zeros(3)),
    ]
    with pretended.card(monkeypatch):
        for wait in waits:
            with pytest.raises(pretended.Waited):
                wait()
        with pytest.raises(RuntimeError, match="two devices"):
            x + torch.ones(3)
        assert torch.arange(3, device=x.device).device == x.device


def spoilt(x, index=(0, 1), value=NAN):
    x = x.clone()
    x[index] = value
    return x


@pytest.mark.parametrize("value", [NAN, float("inf"), -float("inf")])
def test_a_flag_on_the_card_tells_of_inputs_that_are_not_finite(monkeypatch, value):
    model, x = small()
    carded = pretended.to_card(model)
    good, bad = pretended.to_card(x), pretended.to_card(spoilt(x, value=value))
    with torch.no_grad():
        before = on_card(monkeypatch, lambda: carded(good))
        ann.check(carded)
        with pretended.card(monkeypatch):
            y = carded(bad)
            carded(good)  # the flag stays up until somebody looks
    assert torch.isnan(pretended.from_card(y)).all()
    assert not torch.isnan(pretended.from_card(before)).any()
    with pytest.raises(
        ValueError, match=r"layers met a NaN or an infinity on the card: '0' \(inputs\), '2' \(inputs\)"
    ):
        ann.check(carded)
    ann.check(carded)  # it was lowered


def test_a_flag_on_the_card_tells_of_weights_and_of_data(monkeypatch):
    model, x = small()
    carded, y = pretended.to_card(model), pretended.to_card(x)
    with torch.no_grad():
        carded[2].weight[1, 2].fill_(NAN)
        assert torch.isnan(pretended.from_card(on_card(monkeypatch, lambda: carded(y)))).all()
    with pytest.raises(ValueError, match=r"on the card: '2' \(weights\)\. Every element must be finite"):
        ann.check(carded)
    with torch.no_grad(), pretended.card(monkeypatch):
        assert torch.isnan(pretended.from_card(carded(y))).all()  # the cells are still those
        carded[2].weight[1, 2].fill_(0.0)
        assert not torch.isnan(pretended.from_card(carded(y))).any()  # what is written to is seen, and nothing waits
    ann.check(carded)
    copied = copy.deepcopy(carded[0])
    assert copied._cells[""].flag is not carded[0]._cells[""].flag


def test_products_of_data_have_flags_of_their_own(monkeypatch):
    _, carded, _, _ = models(FEW, attention="all")
    with torch.no_grad(), pretended.card(monkeypatch, tables=True):
        x = carded.look.out_proj.weight.new_ones((1, 3, 4))
        keys = x * pretended.to_card(torch.tensor([[[1.0], [NAN], [1.0]]]))
        carded.look(x, keys, x)
    with pytest.raises(ValueError, match=r"'look/scores' \(weights\).*'look/values' \(inputs\)"):
        ann.check(carded)


def test_many_flags_are_not_all_named(monkeypatch):
    model = torch.nn.Sequential(*(torch.nn.Linear(2, 2) for _ in range(10))).eval()
    ann.convert_(model, FEW)
    carded = pretended.to_card(model)
    with torch.no_grad(), pretended.card(monkeypatch, tables=True):
        carded(pretended.to_card(torch.tensor([NAN, 1.0])))
    with pytest.raises(ValueError, match=r"'7' \(inputs\) and 2 more\. Every"):
        ann.check(carded)


def test_what_waits_anyway_looks_at_the_flags(monkeypatch, tmp_path):
    model, x = small(Engine(Device(var=0, drift=Drift(0.05)), adc=ADC(None), **PLAIN))
    carded, bad = pretended.to_card(model), pretended.to_card(spoilt(x))

    def spoil():
        with torch.no_grad(), pretended.card(monkeypatch, tables=True):
            carded(bad)

    looks = [
        lambda: ann.program_(carded),
        lambda: ann.at_(carded, None),
        lambda: ann.save_chips(carded, tmp_path),
    ]
    for look in looks:
        spoil()
        with pytest.raises(ValueError, match=r"on the card: '0' \(inputs\)"), pretended.card(monkeypatch, waits=True):
            look()
    assert not (tmp_path / "index.json").exists()
    with pytest.raises(ValueError, match="no layer on crossbars"):
        ann.check(torch.nn.Linear(2, 2))


def test_a_look_without_conversion_sees_flags_at_its_end(monkeypatch):
    layer, x = pretended.to_card(torch.nn.Linear(3, 2)), pretended.to_card(torch.tensor([NAN, 1.0, 1.0]))
    with torch.no_grad(), pretended.card(monkeypatch, waits=True):
        run = ann.crossbars(FEW)
        with pytest.raises(ValueError, match=r"on the card: 'parameter 0' \(inputs\)"), run:
            layer(x)
        assert run.products == 1


def test_on_the_cpu_a_product_raises_at_once_and_names_the_layer():
    model, x = small()
    with pytest.raises(ValueError, match=r"layer '0': x has nan at index \(0, 1\): every element must be finite"):
        model(spoilt(x))
    with torch.no_grad():
        model[2].weight[1, 3] = NAN
    with pytest.raises(ValueError, match=r"layer '2': w has nan at index \(3, 1\): every element must be finite"):
        model(x)
    with pytest.raises(ValueError, match=r"layer '2': w has nan"):
        ann.program_(model)
    model, x = small(DPETensor(seed=0))
    with pytest.raises(ValueError, match=r"layer '0': x has nan"):
        ann.calibrate_(model, spoilt(x))
    look = torch.nn.MultiheadAttention(4, 2)
    ann.convert_(look, DPETensor(seed=0), attention="all")
    x = torch.ones(3, 1, 4)
    with torch.no_grad():
        look.in_proj_bias[4] = NAN
    with pytest.raises(ValueError, match=r"layer '\(root\)/scores': w has nan"):
        look(x, x, x)

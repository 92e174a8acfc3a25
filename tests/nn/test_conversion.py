"""Models of torch on crossbars: which layers are converted, where their cells are, and the way back."""

import copy
import io
import pickle

import numpy as np
import pytest
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import mpimpy.nn as ann
from mpimpy import SNR, DPETensor

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
PAIR = {"w_mapping": "pair", "x_mapping": "signed"}


def mlp(seed=0):
    torch.manual_seed(seed)
    return torch.nn.Sequential(
        torch.nn.Linear(20, 30), torch.nn.ReLU(), torch.nn.LayerNorm(30), torch.nn.Linear(30, 4, bias=False)
    ).eval()


def inputs(*shape, seed=1):
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=torch.float32)


def test_a_layer_is_the_product_of_a_named_matrix():
    model, x, engine = mlp(), inputs(5, 20), DPETensor(seed=3)
    digital = model(x)
    ann.convert_(model, engine)
    with torch.no_grad():
        W, V = (engine.program(model[i].weight.mT, name=str(i)) for i in (0, 3))
        y = W.read(x, 0) + model[0].bias
        assert torch.equal(model[0](x), y)
        assert torch.equal(model(x), V.read(model[2](torch.relu(W.read(x, 1) + model[0].bias)), 0))
    assert SNR(model(x).detach().numpy(), digital.detach().numpy()) > 5
    assert engine.reads == 0  # layers count for themselves


def test_ideal_layers_are_the_quantised_digital_ones():
    model, x = mlp(), inputs(2, 7, 20)
    digital = model(x)
    ann.convert_(model, DPETensor(seed=1, var=0, radc=None, format="fp32", rdac=256, g_level=256))
    assert torch.allclose(model(x), digital, atol=1e-5)
    assert model(x[0, 0]).shape == (4,)


def test_what_is_converted_and_what_is_not():
    class Own(torch.nn.Linear):
        pass

    shared = torch.nn.Linear(3, 3)
    model = torch.nn.ModuleDict(
        {"a": shared, "b": shared, "own": Own(3, 3), "look": torch.nn.Embedding(2, 3), "norm": torch.nn.LayerNorm(3)}
    )
    found = ann.convert_(model, DPETensor(seed=1))
    assert found.converted == ["a"]
    assert found.shared == {"b": "a"}
    reasons = dict(found.skipped)
    assert reasons["own"].startswith("Own is a subclass of Linear")
    assert reasons["look"] == "Embedding looks rows up, and multiplies nothing"
    assert reasons["norm"] == "LayerNorm has no layer on crossbars"
    assert model["a"] is model["b"]
    assert type(model["b"]) is ann.Linear
    assert str(found).splitlines()[:2] == ["converted 1 layer: a", "b is the layer a"]
    again = ann.convert_(model, DPETensor(seed=1))
    assert again.converted == []
    assert "on crossbars already" in dict(again.skipped)["a"]


def test_what_convert_is_given_for_training_is_checked_before():
    model = mlp()
    with pytest.raises(TypeError, match=r"training=True must be a Training, such as Training\(noise='step'\), or None"):
        ann.convert_(model, DPETensor(seed=1), training=True)
    assert type(model[0]) is torch.nn.Linear
    with pytest.raises(TypeError, match="training='step' must be a Training"):
        ann.Linear.from_digital(model[0], DPETensor(seed=1), "0", "step")


def both(model):
    # what inspect and convert_ say of modules that stay digital
    found = ann.inspect(model).skipped
    done = ann.convert_(model, DPETensor(seed=1))
    assert done.skipped == found
    return done.converted, dict(found)


def test_layers_whose_forward_is_another_stay_digital():
    model = mlp()
    old = model[0].forward
    model[0].forward = lambda *given: old(*given)
    converted, reasons = both(model)
    assert converted == ["3"]
    assert reasons["0"].startswith("this Linear has a forward of its own, which a hook or a wrapper put there")


def test_layers_of_complex_numbers_stay_digital():
    model = torch.nn.Sequential(torch.nn.Linear(3, 3, dtype=torch.complex64), torch.nn.Linear(3, 3))
    converted, reasons = both(model)
    assert converted == ["1"]
    assert "Linear has complex weights, and cells of layers hold real ones" in reasons["0"]
    layer = ann.Linear.from_digital(torch.nn.Linear(3, 3), DPETensor(seed=0), "it")
    layer.weight = torch.nn.Parameter(layer.weight.detach() + 0j)
    with pytest.raises(
        TypeError, match=r"layer 'it': its weights have dtype torch.complex64, which is complex, and cells"
    ):
        layer(torch.ones(2, 3))


def test_products_that_no_layer_makes_are_named():
    class Head(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.w, self.scale = torch.nn.Parameter(torch.ones(64, 10)), torch.nn.Parameter(torch.ones(10))
            self.blocks = [torch.nn.Linear(3, 3), {"inner": (torch.nn.Sequential(torch.nn.LSTM(3, 3)),)}]
            self.registered = torch.nn.Linear(3, 3)
            self.again, self.free = [self.registered, torch.nn.ReLU()], {"a": 3}
            self.table = {"look": torch.nn.Linear(2, 2)}

    model = torch.nn.ModuleDict({"head": Head()})
    converted, reasons = both(model)
    assert converted == ["head.registered"]
    assert list(reasons) == ["head", "head.blocks[0]", "head.blocks[1]['inner'][0]", "head.table['look']"]
    assert "Head has no layer on crossbars; products with its own w (64 x 10) stay digital" in reasons["head"]
    assert reasons["head.blocks[0]"].startswith(
        "this Linear is in a plain list, where torch does not look: use torch.nn"
    )
    assert reasons["head.table['look']"].endswith("plain dict, where torch does not look: use torch.nn.ModuleDict")
    assert type(model["head"].blocks[0]) is torch.nn.Linear


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_quantised_layers_are_named():
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.ReLU())
    model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear})
    converted, reasons = both(model)
    assert converted == []
    assert list(reasons) == ["0"]
    assert reasons["0"].startswith("Linear multiplies packed, quantised weights: convert the model before torch")


def test_parametrized_layers_are_named():
    model = torch.nn.Sequential(torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 4)))
    converted, reasons = both(model)
    assert converted == []
    assert reasons == {"0": "Linear has parametrizations: convert the model first and register them then"}


@pytest.mark.parametrize("name", ["weight_norm", "spectral_norm"])
def test_parametrizations_outlive_a_conversion_back(name):
    model, x = mlp(), inputs(3, 20)
    twin = copy.deepcopy(model)
    ann.convert_(model, DPETensor(seed=1))
    for each in (model, twin):
        torch.manual_seed(0)
        getattr(torch.nn.utils.parametrizations, name)(each[0])
        each.eval()
    digital = twin(x)
    assert not torch.equal(model(x), digital)
    assert torch.equal(model[0].to_digital()(x), twin[0](x))
    copied = copy.deepcopy(model)
    assert ann.revert_(model) == ["0", "3"]
    assert isinstance(model[0], torch.nn.Linear)
    assert not isinstance(model[0], ann.Linear)
    assert torch.equal(model(x), digital)
    assert torch.equal(copy.deepcopy(model)(x), digital)
    torch.nn.utils.parametrize.remove_parametrizations(model[0], "weight")
    assert type(model[0]) is torch.nn.Linear
    assert torch.allclose(model(x), digital)
    torch.nn.utils.parametrize.remove_parametrizations(copied[0], "weight")
    assert type(copied[0]) is ann.Linear


def test_what_cannot_be_undone_is_refused_before_anything_changes():
    model = mlp()
    ann.convert_(model, DPETensor(seed=1))
    kind = type(model[3])
    model[3].__class__ = type("Sharded", (kind,), {})
    with pytest.raises(TypeError, match=r"layer '3' is a Sharded, which something made of it after conversion: undo"):
        ann.revert_(model)
    model[3].__class__, model[3].forward = kind, model[3].forward
    with pytest.raises(TypeError, match=r"layer '3' has a forward of its own, which a hook or a wrapper put there"):
        ann.revert_(model)
    assert type(model[0]) is ann.Linear
    del model[3].forward
    assert ann.revert_(model) == ["0", "3"]


def test_a_root_that_is_a_layer():
    layer = torch.nn.Linear(4, 2)
    assert ann.convert_(layer, DPETensor(seed=1)).converted == ["(root)"]
    assert type(layer) is ann.Linear
    assert layer(torch.ones(4)).shape == (2,)
    assert [name for name, _ in ann.layers(layer)] == [""]
    assert ann.revert_(layer) == [""]
    assert type(layer) is torch.nn.Linear


def test_names_come_before_patterns_before_classes_before_the_default():
    def engines(given, default=0):
        model = torch.nn.ModuleDict({name: torch.nn.Linear(2, 2) for name in ("in", "mid1", "mid2", "out")})
        made = [DPETensor(seed=k) for k in range(4)]
        chosen = {key: None if k is None else made[k] for key, k in given.items()}
        ann.convert_(model, None if default is None else made[default], engines=chosen)
        return [layer.engine.seed if isinstance(layer, ann.Linear) else None for layer in model.values()]

    assert engines({}) == [0, 0, 0, 0]
    assert engines({"in": 1, "re:mid.": 2, torch.nn.Linear: 3}) == [1, 2, 2, 3]
    assert engines({"mid1": None, "re:mid.*": 2}) == [0, None, 2, 0]
    assert engines({torch.nn.Linear: None}) == [None] * 4
    assert engines({"out": 1}, None) == [None, None, None, 1]
    with pytest.raises(ValueError, match=r"engines names 're:mid', which no layer of the model is"):
        engines({"re:mid": 1})
    with pytest.raises(TypeError, match=r"engines\['in'\] is 3: give an Engine, or None"):
        ann.convert_(torch.nn.Linear(2, 2), None, engines={"in": 3})
    with pytest.raises(TypeError, match=r"engines has the key 3: use a name, a pattern 're:...' or a class"):
        ann.convert_(torch.nn.Linear(2, 2), None, engines={3: None})
    with pytest.raises(TypeError, match=r"engine='x' must be an Engine"):
        ann.convert_(torch.nn.Linear(2, 2), "x")
    with pytest.raises(TypeError, match=r"model is a int: give a torch.nn.Module"):
        ann.convert_(3, None)


def test_a_filter_leaves_layers_out():
    model = mlp()
    found = ann.convert_(model, DPETensor(seed=1), lambda module, name: module.bias is not None)
    assert found.converted == ["0"]
    assert dict(found.skipped)["3"] == "filter_fn leaves it out"


def test_parameters_and_state_load_both_ways():
    model, engine = mlp(), DPETensor(seed=1)
    keys, before = list(model.state_dict()), [id(p) for p in model.parameters()]
    ann.convert_(model, engine)
    assert list(model.state_dict()) == keys
    assert [id(p) for p in model.parameters()] == before
    other = mlp(1)
    model.load_state_dict(other.state_dict())
    fresh = mlp(1)
    ann.convert_(fresh, engine)
    x = inputs(3, 20)
    assert torch.equal(model(x), fresh(x))
    other.load_state_dict(model.state_dict())
    digital = model[0].to_digital()
    assert type(digital) is torch.nn.Linear
    assert digital.weight is model[0].weight
    layer = ann.Linear.from_digital(digital, engine, "0")
    assert type(digital) is torch.nn.Linear
    assert torch.equal(layer(x), fresh[0].from_digital(fresh[0].to_digital(), engine, "0")(x))
    with pytest.raises(TypeError, match="head is a ReLU, not a Linear"):
        ann.Linear.from_digital(torch.nn.ReLU(), engine, "head")


def test_reverting_gives_the_digital_model_back():
    model, x = mlp(), inputs(3, 20)
    digital = model(x)
    keys = [set(module.__dict__) for module in model.modules()]
    ann.convert_(model, DPETensor(seed=1))
    assert not torch.equal(model(x), digital)
    assert ann.revert_(model) == ["0", "3"]
    assert torch.equal(model(x), digital)
    assert [set(module.__dict__) for module in model.modules()] == keys


def test_copies_read_the_same_cells():
    model, x = mlp(), inputs(3, 20)
    ann.convert_(model, DPETensor(seed=1, write_var=0.1))
    model(x)
    stream = io.BytesIO()
    torch.save(model, stream)
    stream.seek(0)
    copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(stream, weights_only=False)]
    y = model(x)
    for other in copies:
        assert torch.equal(other(x), y)
        assert other[0]._cells[""]._slot != model[0]._cells[""]._slot
    with torch.no_grad():
        copies[0][0].weight.mul_(2)
    assert not torch.equal(copies[0](x), copies[1](x))
    assert torch.equal(model(x), copies[2](x))


def test_dtypes_and_devices_follow_the_model():
    model, x = mlp(), inputs(3, 20)
    ann.convert_(model, DPETensor(seed=1))
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        assert model.to(dtype)(x.to(dtype)).dtype == dtype
    model.float()
    with torch.autocast("cpu", torch.bfloat16):
        assert model[0](x).dtype == torch.bfloat16


def test_weights_are_written_when_something_changed():
    engine, x = DPETensor(seed=1, write_var=0.2, var=0), inputs(3, 20)
    layer = torch.nn.Linear(20, 4)
    ann.convert_(layer, engine)
    layer.eval()
    y = layer(x)
    cells = layer._cells[""]
    matrix = cells._written.matrix
    assert torch.equal(layer(x), y)
    assert cells._written.matrix is matrix
    with torch.no_grad():
        layer.weight.copy_(layer.weight.clone())  # the same numbers: nothing to write
        assert torch.equal(layer(x), y)
        assert cells._written.matrix is matrix
        layer.weight[0, 0] += 1
        assert not torch.equal(layer(x), y)
        layer.weight[0, 0] -= 1
        layer.weight.data = layer.weight.data + 1  # torch does not count this change
        assert not torch.equal(layer(x), y)
        layer.weight.data = layer.weight.data - 1
        y = layer(x)
        layer.weight.data *= 2  # nor this one
        assert not torch.equal(layer(x), y)
        layer.weight.detach().numpy()[...] /= 2
        assert torch.equal(layer(x), y)
    z = layer(x)
    layer.engine = engine.replace(device={"write_var": 0.0})
    assert not torch.equal(layer(x), z)
    cells.chip = 3
    layer.engine = engine
    assert not torch.equal(layer(x), z)
    with pytest.raises(TypeError, match="engine='x' must be an Engine"):
        layer.engine = "x"
    with torch.inference_mode():
        inference = torch.nn.Linear(20, 4).eval()
        ann.convert_(inference, engine)
        first = inference(x)
        inference.weight.mul_(2)
        assert not torch.equal(inference(x), first)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_steps_of_fused_optimisers_are_written(kind):
    # torch does not count what they change
    model, x = torch.nn.Sequential(torch.nn.Linear(6, 3)), inputs(8, 6)
    ann.convert_(model, DPETensor(seed=1, var=0, radc=None, format="fp32"), training=ann.Training(noise="frozen"))
    optimiser = kind(model.parameters(), lr=0.1, fused=True)
    for _ in range(3):
        before = model[0].weight.detach().clone()
        model(x).square().sum().backward()
        optimiser.step()
        assert not torch.equal(model[0].weight, before)
        digital = torch.nn.functional.linear(x, model[0].weight, model[0].bias)
        torch.testing.assert_close(model(x), digital, rtol=1e-4, atol=1e-4)


def test_settings_of_an_engine_that_change_after_conversion_take_effect():
    engine = DPETensor(seed=1, write_var=0.2, var=0)
    layer, x = torch.nn.Linear(20, 4).eval(), inputs(3, 20)
    ann.convert_(layer, engine)
    with torch.no_grad():
        found = [layer(x)]
        for setting, value in (
            ("config", engine.config.replace(adc={"radc": 64})),
            ("seed", 5),
            ("chip", 3),
            ("config", engine.config.replace(inputs={"slices": (1, 1, 2)})),
        ):
            setattr(engine, setting, value)
            found.append(layer(x))
            assert not torch.equal(found[-1], found[-2]), setting
            W = engine.program(layer.weight.mT, name="(root)")
            assert torch.equal(found[-1], W.read(x, 0) + layer.bias), setting  # it reads the same cells: var=0
        engine.backend = "reference"
        assert torch.equal(layer(x), found[-1])
        assert layer._cells[""]._written.matrix._backend.NAME == "reference"
    engine.gradient = "written"
    given = x.clone().requires_grad_()
    layer(given).sum().backward()
    assert torch.allclose(given.grad[0], W.effective().to(x.dtype).sum(1))


def test_training_writes_fresh_cells_each_step():
    engine, x = DPETensor(seed=1, write_var=0.2, var=0), inputs(3, 20)
    model = torch.nn.Linear(20, 4)
    ann.convert_(model, engine)
    a, b = model(x), model(x)
    assert not torch.equal(a, b)
    model.eval()
    assert torch.equal(model(x), model(x))
    frozen = torch.nn.Linear(20, 4)
    frozen.load_state_dict(model.state_dict())
    ann.convert_(frozen, engine, training=ann.Training(noise="frozen"))
    assert torch.equal(frozen(x), model(x))
    with pytest.raises(ValueError, match=r"noise='never' is unknown: use one of 'step', 'frozen'"):
        ann.Training(noise="never")
    with pytest.raises(ValueError, match=r"clip_weights=0 is out of range"):
        ann.Training(clip_weights=0)


def test_the_gradient_through_written_weights_is_that_of_the_step():
    engine = DPETensor(seed=1, write_var=0.2, var=0, radc=None, gradient="written")
    layer, x = torch.nn.Linear(20, 4, bias=False), inputs(3, 20)
    ann.convert_(layer, engine)
    leaf = x.clone().requires_grad_()
    first, second = layer(leaf), layer(leaf)  # two steps before the gradients are asked for
    (grad,) = torch.autograd.grad(first.sum(), leaf)
    (other,) = torch.autograd.grad(second.sum(), leaf)
    assert not torch.equal(grad, other)
    cells = layer._cells[""]
    assert torch.equal(grad, torch.ones(3, 4) @ cells.matrix(layer.weight.mT, 1).effective().float().mT)
    assert torch.equal(other, torch.ones(3, 4) @ cells.matrix(layer.weight.mT, 2).effective().float().mT)


def test_clipped_weights():
    layer = torch.nn.Linear(50, 40)
    ann.convert_(layer, DPETensor(seed=1), training=ann.Training(clip_weights=1.5))
    bound = 1.5 * layer.weight.std()
    layer.eval()(inputs(1, 50))
    assert layer.weight.abs().max() > bound
    layer.train()(inputs(1, 50))
    assert torch.isclose(layer.weight.abs().max(), bound)


def test_weights_without_a_spread_are_not_clipped():
    layers = [torch.nn.Linear(1, 1), torch.nn.Linear(4, 4, dtype=torch.bfloat16), torch.nn.Linear(4, 4)]
    for layer, value in zip(layers, (0.3, 0.1, 0.1), strict=True):
        torch.nn.init.constant_(layer.weight, value)
        before = layer.weight.clone()
        ann.convert_(layer, DPETensor(seed=1), training=ann.Training(clip_weights=1.5))
        layer.train()(inputs(2, layer.in_features).to(layer.weight.dtype))
        assert torch.equal(layer.weight, before)


def test_a_training_step_moves_the_weights():
    model, x = mlp().train(), inputs(16, 20)
    ann.convert_(model, DPETensor(seed=1, **PAIR))
    target = torch.arange(16) % 4
    optimiser = torch.optim.SGD(model.parameters(), 0.5)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(model(x), target)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_an_error_names_the_layer():
    model = mlp()
    ann.convert_(model, DPETensor(seed=1))
    x = inputs(3, 20)
    x[1, 2] = float("nan")
    with pytest.raises(ValueError, match=r"layer '0': x has nan at index \(1, 2\): every element must be finite"):
        model(x)


@pytest.mark.slow
def test_compiled_models_train_in_one_graph():
    import torch._dynamo.testing

    model, x = mlp().train(), inputs(16, 20)
    del model[2]  # compilers round a norm differently
    ann.convert_(model, DPETensor(seed=1, write_var=0.1), training=ann.Training(clip_weights=2.5))
    twin = copy.deepcopy(model)
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    runs = [model, torch.compile(twin, fullgraph=True, backend=counter)]
    for _ in range(12):
        for run, parameters in zip(runs, (model.parameters(), twin.parameters()), strict=True):
            optimiser = torch.optim.SGD(parameters, 0.1)
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(run(x), torch.arange(16) % 4).backward()
            optimiser.step()
    assert counter.frame_count == 1
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        assert torch.equal(a, b)
    model.eval(), twin.eval()
    with torch.no_grad():
        assert torch.equal(model(x), runs[1](x))


def test_the_linear_layer_of_transformers():
    class Conv1D(torch.nn.Module):
        def __init__(self, nf, nx):
            super().__init__()
            self.weight, self.bias = torch.nn.Parameter(torch.randn(nx, nf)), torch.nn.Parameter(torch.zeros(nf))

    Conv1D.__module__ = "transformers.pytorch_utils"
    model = torch.nn.Sequential(Conv1D(4, 6)).eval()
    assert ann.convert_(model, DPETensor(seed=1)).converted == ["0"]
    x = inputs(2, 3, 6)
    W = DPETensor(seed=1).program(model[0].weight.detach(), name="0")
    assert torch.equal(model(x).detach(), W.read(x, 0) + model[0].bias.detach())
    ann.revert_(model)
    assert type(model[0]) is Conv1D


def test_weights_at_the_address_of_freed_ones_are_others():
    layer, x = torch.nn.Linear(64, 64, bias=False).eval(), inputs(2, 64)
    ann.convert_(layer, DPETensor(seed=1, var=0, radc=None))
    with torch.no_grad():
        weight = layer.weight.detach()
        for factor in range(1, 9):  # tensors that live for one call, as those of a parametrization
            y = torch.func.functional_call(layer, {"weight": weight * factor}, (x,))
            assert torch.allclose(y, x @ weight.mT * factor, atol=0.1 * factor)

"""Convolutions on crossbars against torch's own, and against products with the whole matrix of patches."""

import contextlib
import copy
import io
import itertools
import math
import pickle
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import thinned

torch = pytest.importorskip("torch")

import mpimpy  # noqa: E402
import mpimpy.nn as ann  # noqa: E402
from mpimpy.nn import _streamed  # noqa: E402
from mpimpy.nn._patches import blocks, images_at_a_time  # noqa: E402

# torch's own, of even kernels, once in a process
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same'")

CONVS = (torch.nn.Conv1d, torch.nn.Conv2d, torch.nn.Conv3d)
TRANSPOSED = (torch.nn.ConvTranspose1d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)
IDEAL = mpimpy.DPETensor(var=0, radc=None, format="fp32", seed=0)
NOISY = mpimpy.DPETensor(
    write_var=0.1, vnoise=0.02, noise_lsb=0.5, gain_error=0.02, array_size=(8, 8), w_mapping="pair", seed=3
)
PADS = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(_streamed, "BLOCK", 60)
    monkeypatch.setattr(_streamed, "_GRAPH_BLOCKS", 3)


def crossbar(module, engine, **given):
    return ann.conversion.crossbar_class(module).from_digital(module, engine, "layer", **given)


def example(kind, axes, seed=0, batch=2, size=5, **given):
    torch.manual_seed(seed)
    module = kind[axes - 1](4, 6, 3, **given)
    return module, torch.randn(batch, 4, *range(size, size + axes))


def patch_matrix(module, x):
    # row by row: the patch under the kernel at each position of each image
    before, after = ann.conv._Convolution._around(module)
    pads = [each for pair in zip(before[::-1], after[::-1], strict=True) for each in pair]
    x = torch.nn.functional.pad(x, pads, mode=PADS[module.padding_mode])
    spans = [gap * (size - 1) + 1 for size, gap in zip(module.kernel_size, module.dilation, strict=True)]
    starts = [
        range(0, size - span + 1, stride) for size, span, stride in zip(x.shape[2:], spans, module.stride, strict=True)
    ]
    rows = []
    for image, *at in itertools.product(range(len(x)), *starts):
        cut = [slice(low, low + span, gap) for low, span, gap in zip(at, spans, module.dilation, strict=True)]
        rows.append(x[(image, slice(None), *cut)])
    return torch.stack(rows), tuple(map(len, starts))


def by_hand(module, x, engine, read=0):
    rows, positions = patch_matrix(module, x)
    ys = []
    for group, (part, w) in enumerate(
        zip(rows.chunk(module.groups, 1), module.weight.chunk(module.groups), strict=True)
    ):
        name = "layer" if module.groups == 1 else f"layer/group {group}"
        ys.append(engine.program(w.detach().flatten(1).T, name=name).read(part.flatten(1), read=read))
    y = torch.cat(ys, 1)
    y = y if module.bias is None else y + module.bias.detach()
    return y.reshape(len(x), *positions, -1).movedim(-1, 1)


def by_hand_transposed(module, x, engine, sizes):
    rows = x.movedim(1, -1).flatten(0, -2)
    ys = []
    for group, (part, w) in enumerate(
        zip(rows.chunk(module.groups, 1), module.weight.chunk(module.groups), strict=True)
    ):
        name = "layer" if module.groups == 1 else f"layer/group {group}"
        y = engine.program(w.detach().flatten(1), name=name).read(part, read=0)
        ys.append(y.reshape(len(rows), -1, *module.kernel_size))
    values, out = torch.cat(ys, 1), torch.zeros(len(x), module.out_channels, *sizes)
    offsets = list(itertools.product(*map(range, module.kernel_size)))
    for row, (image, *at) in enumerate(itertools.product(range(len(x)), *map(range, x.shape[2:]))):
        for offset in offsets:
            to = [
                i * s - p + a * d
                for i, s, p, a, d in zip(at, module.stride, module.padding, offset, module.dilation, strict=True)
            ]
            if all(0 <= index < size for index, size in zip(to, sizes, strict=True)):
                out[(image, slice(None), *to)] += values[(row, slice(None), *offset)]
    return out if module.bias is None else out + module.bias.detach().reshape(-1, *[1] * len(sizes))


@st.composite
def geometries(draw, transposed=False):
    axes = draw(st.integers(1, 3))
    groups = draw(st.sampled_from([1, 2]))
    each = lambda low, high: st.tuples(*[st.integers(low, high)] * axes)  # noqa: E731
    found = {
        "in_channels": groups * draw(st.integers(1, 2)),
        "out_channels": groups * draw(st.integers(1, 3)),
        "kernel_size": draw(each(1, 3)),
        "stride": draw(each(1, 3)),
        "dilation": draw(each(1, 2)),
        "padding": draw(each(0, 2)),
        "groups": groups,
        "bias": draw(st.booleans()),
    }
    if transposed:
        found["output_padding"] = tuple(
            draw(st.integers(0, max(pair) - 1)) for pair in zip(found["stride"], found["dilation"], strict=True)
        )
    else:
        found["padding_mode"] = draw(st.sampled_from(list(PADS)))
        if draw(st.booleans()):
            found["padding"] = draw(st.sampled_from(["same", "valid"]))
            found["stride"] = (1,) * axes
    # reflected padding is narrower than the image
    sizes = draw(st.tuples(*[st.integers(3, (9, 5, 4)[axes - 1])] * axes))
    kind = (TRANSPOSED if transposed else CONVS)[axes - 1]
    kernel = [gap * (size - 1) + 1 for size, gap in zip(found["kernel_size"], found["dilation"], strict=True)]
    if transposed:  # not all of the output is cut off
        found["padding"] = tuple(min(p, (k - 1) // 2) for p, k in zip(found["padding"], kernel, strict=True))
    else:
        sizes = tuple(map(max, sizes, kernel))
    shape = (draw(st.integers(1, 3)), found["in_channels"], *sizes)
    torch.manual_seed(draw(st.integers(0, 3)))
    return kind(**found), torch.randn(shape), draw(st.sampled_from([1, 2, 3, 5, 8]))


def gradients(module, x, upstream):
    x = x.clone().requires_grad_()
    parameters = [x, *module.parameters()]
    return torch.autograd.grad(module(x), parameters, upstream)


@contextlib.contextmanager
def cut(module, x, number):
    # into about so many blocks, which are no smaller than the weights
    transposed = isinstance(module, TRANSPOSED)
    y = module(x).detach()
    rows = (x if transposed else y)[:, 0].numel()
    inputs, outputs = module.weight[0].numel(), module.out_channels
    if transposed:
        inputs, outputs = module.in_channels, module.out_channels * math.prod(module.kernel_size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_streamed, "BLOCK", -(-rows // number) * max(inputs, outputs))
        yield


def check_like_torch(module, x, number):
    module, x = module.double(), x.double()
    layer = crossbar(module, IDEAL)
    with cut(module, x, number):
        want, found = module(x), layer(x)
        upstream = torch.randn(want.shape, dtype=want.dtype)
        assert found.shape == want.shape
        assert found.is_contiguous()
        torch.testing.assert_close(found, want, rtol=1e-5, atol=1e-5)
        for got, right in zip(gradients(layer, x, upstream), gradients(module, x, upstream), strict=True):
            torch.testing.assert_close(got, right, rtol=1e-5, atol=1e-5)


def check_bits(module, x, number, want):
    with cut(module, x, number):
        recorded = crossbar(module, NOISY).eval()(x)
        with torch.no_grad():
            plain = crossbar(module, NOISY).eval()(x)
    assert torch.equal(recorded, want)
    assert torch.equal(plain, want)


@given(geometries())
def test_ideal_crossbars_give_torchs_convolution(drawn):
    check_like_torch(*drawn)


@given(geometries(transposed=True))
def test_ideal_crossbars_give_torchs_transposed_convolution(drawn):
    check_like_torch(*drawn)


@given(geometries())
def test_blocks_give_the_bits_of_the_whole(drawn):
    module, x, number = drawn
    check_bits(module, x, number, by_hand(module, x, NOISY))


@given(geometries(transposed=True))
def test_blocks_give_the_bits_of_the_whole_transposed(drawn):
    module, x, number = drawn
    check_bits(module, x, number, by_hand_transposed(module, x, NOISY, module(x).shape[2:]))


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4), st.integers(1, 40), st.integers(1, 8))
def test_blocks_follow_each_other(sizes, most, unit):
    total, at = math.prod(sizes), 0
    step = images_at_a_time(tuple(sizes), most, unit)
    for block in blocks(tuple(sizes), most, unit):
        rows = math.prod(stop - start for start, stop in block.ranges)
        assert block.first_row == at
        assert at % unit == 0
        assert rows <= most or unit > 1
        # the images of a block are in one chunk
        first, last = block.ranges[0]
        assert first // step == (last - 1) // step
        at += rows
    assert at == total


@pytest.mark.parametrize("granularity", ["per-matrix", "per-row", (4, 24), (7, 24), (60, 24)])
def test_scales_that_rows_share_are_not_cut(granularity, small_blocks):
    engine = mpimpy.DPETensor(x_quant_gran=granularity, array_size=(8, 8), seed=1)
    module, x = example(CONVS, 2, padding=1)
    assert torch.equal(crossbar(module, engine).eval()(x), by_hand(module, x, engine))


def test_reads_are_numbered_one_a_pass_and_group(small_blocks):
    module, x = example(CONVS, 1, groups=2)
    layer = crossbar(module, NOISY).eval()
    for read in range(3):
        assert torch.equal(layer(x), by_hand(module, x, NOISY, read=read))
    assert [cells.reads for cells in layer._cells.values()] == [3, 3]


def test_groups_have_cells_of_their_own():
    module, x = example(CONVS, 1, groups=2, bias=False)
    with torch.no_grad():
        module.weight[3:] = module.weight[:3]
        x[:, 2:] = x[:, :2]
    y = crossbar(module, mpimpy.DPETensor(write_var=0.2, seed=0)).eval()(x)
    assert not torch.equal(y[:, :3], y[:, 3:])


def test_a_step_writes_all_its_blocks_into_the_same_cells(small_blocks):
    engine = mpimpy.DPETensor(var=0, write_var=0.2, radc=None, seed=0)
    module, _ = example(CONVS, 1)
    layer = crossbar(module, engine).train()
    y = layer(torch.ones(3, 4, 20))
    assert torch.equal(y, y[:1, :, :1].expand_as(y))
    assert not torch.equal(layer(torch.ones(3, 4, 20)), y)


@pytest.mark.parametrize(
    ("kind", "gradient"), thinned(itertools.product([TRANSPOSED, CONVS], ["written", "clipped", "straight"]), every=2)
)
def test_gradients_do_not_depend_on_blocks(kind, gradient, monkeypatch):
    engine = mpimpy.DPETensor(write_var=0.1, bw_e=3, x_slices=[1, 2], w_slices=[1, 2], gradient=gradient, seed=0)
    module, x = example(kind, 2, groups=2)
    upstream, found = torch.randn(module(x).shape), []
    for block in (60, 1 << 19):
        monkeypatch.setattr(_streamed, "BLOCK", block)
        found.append(gradients(crossbar(module, engine), x, upstream))
    for cut, whole in zip(*found, strict=True):
        torch.testing.assert_close(cut, whole, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [CONVS, TRANSPOSED])
def test_second_gradients(kind, small_blocks):
    module, x = example(kind, 1, stride=2)
    layer = crossbar(module.double(), mpimpy.DPETensor(var=0, radc=None, format="fp32", seed=0))

    def penalty(each):
        given_ = x.double().requires_grad_()
        (slope,) = torch.autograd.grad((each(given_) ** 2).sum(), given_, create_graph=True)
        return torch.autograd.grad((slope**2).sum(), [given_, each.weight])

    for got, want in zip(penalty(layer), penalty(module), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("what", ["weights", "inputs"])
def test_changes_between_forward_and_backward_are_refused(what, small_blocks):
    module, x = example(CONVS, 1)
    layer = crossbar(module, IDEAL)
    y = layer(x)
    with torch.no_grad():
        (layer.weight if what == "weights" else x).mul_(2)
    with pytest.raises(RuntimeError, match=f"the {what} of a convolution were changed in place"):
        y.sum().backward()


def test_patches_are_not_kept_for_the_gradient(small_blocks):
    module, x = example(CONVS, 2, size=9)
    layer, sizes = crossbar(module, IDEAL), []

    def pack(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        layer(x)
    assert sum(sizes) <= x.numel()


@pytest.mark.parametrize("kind", [CONVS, pytest.param(TRANSPOSED, marks=pytest.mark.slow)])
def test_compiled_layers_give_the_same_bits(kind, small_blocks):
    module, x = example(kind, 1, stride=2, groups=2)
    layer, other = (crossbar(module, NOISY).eval() for _ in range(2))
    torch._dynamo.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    for _ in range(2):
        assert torch.equal(compiled(x), other(x))
    upstream = torch.randn(other(x).shape)
    crossbars = [crossbar(module, IDEAL) for _ in range(2)]
    found = gradients(torch.compile(crossbars[0], fullgraph=True, backend="aot_eager"), x, upstream)
    for got, want in zip(found, gradients(crossbars[1], x, upstream), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")  # torch's own, of forward mode
@pytest.mark.parametrize("kind", [CONVS, TRANSPOSED])
def test_transforms(kind, small_blocks):
    module, x = example(kind, 1, stride=2)
    layer, other = (crossbar(module, NOISY).eval() for _ in range(2))
    assert torch.equal(torch.vmap(layer)(x), other(x))
    ideal = crossbar(module, IDEAL)
    found = torch.func.grad(lambda each: (ideal(each) ** 2).sum())(x)
    torch.testing.assert_close(found, torch.func.grad(lambda each: (module(each) ** 2).sum())(x), rtol=1e-4, atol=1e-4)
    tangent = torch.randn_like(x)
    _, moved = torch.func.jvp(ideal, (x,), (tangent,))
    torch.testing.assert_close(moved, torch.func.jvp(module, (x,), (tangent,))[1], rtol=1e-4, atol=1e-4)
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(x, tangent)
        again = torch.autograd.forward_ad.unpack_dual(ideal(dual)).tangent
    torch.testing.assert_close(again, moved)


@pytest.mark.parametrize("kind", [CONVS, TRANSPOSED])
def test_autocast_gives_torchs_dtype(kind, small_blocks):
    module, x = example(kind, 2)
    layer = crossbar(module, IDEAL)
    with torch.autocast("cpu", torch.bfloat16):
        want, found = module(x), layer(x)
    assert found.dtype == want.dtype == torch.bfloat16
    torch.testing.assert_close(found, want, rtol=0.05, atol=0.05)
    found.sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    assert crossbar(module.double(), IDEAL)(x.double()).dtype == torch.float64


@pytest.mark.parametrize("kind", [CONVS, TRANSPOSED])
def test_one_image_and_none(kind, small_blocks):
    module, x = example(kind, 2)
    layer, other = (crossbar(module, NOISY).eval() for _ in range(2))
    assert torch.equal(layer(x[0]), other(x[:1])[0])
    empty = layer(x[:0])
    assert empty.shape == module(x[:0]).shape
    empty.sum().backward()


def test_sizes_of_the_output_may_be_given():
    module, x = example(TRANSPOSED, 2, stride=3)
    layer = crossbar(module, IDEAL)
    for size in ([15, 18], [17, 20], (2, 6, 16, 19)):
        torch.testing.assert_close(layer(x, output_size=size), module(x, output_size=size), rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="requested an output size"):
        layer(x, output_size=[30, 30])
    torch.testing.assert_close(layer(x[0], [16, 19]), module(x[0], [16, 19]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[0, 0], r"layer 'layer': input has shape \(5, 6\): give \(N, 4, H, W\), or one image without N"),
        (lambda x: x[:, :3], r"layer 'layer': input of shape \(2, 3, 5, 6\) has 3 channels, and the weights are for 4"),
        (lambda x: x[:, :, :2], r"smaller, with its padding, than the kernel \(3, 3\) at dilation \(1, 1\)"),
        (lambda x: x * math.nan, "layer 'layer': x"),
    ],
)
def test_wrong_inputs_are_refused(change, message):
    module, x = example(CONVS, 2)
    with pytest.raises(ValueError, match=message):
        crossbar(module, IDEAL)(change(x))


def test_impossible_outputs_are_refused():
    module, x = example(TRANSPOSED, 1, output_padding=1)
    with pytest.raises(
        ValueError, match=r"layer 'layer': output_padding=\(1,\) must be smaller than the stride \(1,\)"
    ):
        crossbar(module, IDEAL)(x)
    module, x = example(TRANSPOSED, 1, padding=9)
    with pytest.raises(ValueError, match=r"padding=\(9,\) gives an output of sizes \(-11,\): give larger images"):
        crossbar(module, IDEAL)(x)


def test_sums_of_narrow_floats_are_rounded_once():
    module = torch.nn.ConvTranspose1d(1, 1, 600, bias=False)
    torch.nn.init.ones_(module.weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert crossbar(module, IDEAL)(torch.ones(1, 1, 600)).max() == 600


def test_padding_that_is_wider_on_one_side():
    x = torch.randn(2, 2, 5, 6)
    check_like_torch(torch.nn.Conv2d(2, 3, (2, 4), padding="same"), x, 4)
    check_like_torch(torch.nn.Conv2d(2, 3, (2, 4), padding="same", padding_mode="circular"), x, 4)


def test_zeros_wider_than_the_kernel():
    check_like_torch(torch.nn.Conv1d(2, 3, 2, padding=5), torch.randn(2, 2, 3), 20)


def test_weights_in_another_order_are_seen_when_they_change():
    # their matrix is a fresh copy at every pass, which may lie where the last one lay
    module = torch.nn.Conv2d(3, 2, 3).to(memory_format=torch.channels_last)
    layer, x = crossbar(module, IDEAL).eval(), torch.randn(1, 3, 5, 5)
    with torch.no_grad():
        for _ in range(30):
            module.weight.copy_(torch.randn(2, 3, 3, 3))
            for _ in range(2):
                torch.testing.assert_close(layer(x), module(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", [CONVS, TRANSPOSED])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_conversion_copies_and_keys(kind, axes):
    module, x = example(kind, axes, groups=2)
    digital = copy.deepcopy(module)
    model = torch.nn.Sequential(module)
    assert ann.convert_(model, NOISY).converted == ["0"]
    model.eval()
    assert type(module) is getattr(ann, type(digital).__name__)
    assert list(module.state_dict()) == list(digital.state_dict())
    module.load_state_dict(digital.state_dict())
    digital.load_state_dict(module.state_dict())
    assert "kernel_size=(3" in repr(module)
    assert "name='0'" in repr(module)
    kept = io.BytesIO()
    torch.save(model, kept)
    kept.seek(0)
    others = [copy.deepcopy(model), pickle.loads(pickle.dumps(model)), torch.load(kept, weights_only=False)]
    want = model(x)
    assert all(torch.equal(other(x), want) for other in others)
    assert ann.revert_(model) == ["0"]
    assert type(module) is type(digital)
    assert torch.equal(model(x), digital(x))


def test_weights_are_clipped_group_by_group():
    module, x = example(CONVS, 1, groups=2)
    with torch.no_grad():
        module.weight[:3] *= 100
    want = [part * 1.0 for part in module.weight.detach().chunk(2)]
    layer = crossbar(module, IDEAL, training=ann.Training(clip_weights=1.0)).train()
    layer(x)
    for part, was in zip(layer.weight.detach().chunk(2), want, strict=True):
        assert torch.equal(part, was.clamp(-was.std(), was.std()))


def test_lazy_layers_are_named():
    found = ann.convert_(torch.nn.Sequential(torch.nn.LazyConv2d(4, 3)), IDEAL)
    assert found.converted == []
    assert "LazyConv2d is a subclass of Conv2d" in found.skipped[0][1]


GROUPED = [
    {},
    {"w_mapping": "pair", "x_mapping": "signed", "write_var": 0.1},
    {"w_mapping": "offset"},
    {"x_quant_gran": (4, 64), "g_level": 17, "snap": True},
    {"noise_lsb": 0.5},
]


@pytest.mark.parametrize("settings", GROUPED, ids=str)
@pytest.mark.parametrize("kind", [CONVS, TRANSPOSED], ids=["convolution", "transposed"])
def test_groups_that_share_an_array_have_the_bits_of_groups_read_alone(kind, settings, monkeypatch):
    torch.manual_seed(0)
    module, x = kind[1](9, 18, 2, groups=9), torch.randn(2, 9, 5, 5)
    layer, other = (crossbar(module, mpimpy.DPETensor(seed=3, **settings)).eval() for _ in range(2))
    together, found = _streamed.read_together, []
    monkeypatch.setattr(_streamed, "read_together", lambda *given: found.append(together(*given)) or found[-1])
    with torch.no_grad():
        ys = [layer(x), layer(x)]
    assert found
    assert all((y is None) == ("noise_lsb" in settings) for y in found)
    found.clear()
    assert [torch.equal(other(x), y) for y in ys] == [True, True]  # recorded, so group by group
    assert not found


def test_an_input_of_a_group_that_is_not_finite_names_its_layer():
    layer = crossbar(torch.nn.Conv2d(4, 4, 2, groups=4), mpimpy.DPETensor(seed=0)).eval()
    x = torch.ones(1, 4, 3, 3)
    x[0, 2, 0, 0] = torch.nan
    with torch.no_grad(), pytest.raises(ValueError, match="layer 'layer/group 2': x has nan at index"):
        layer(x)


MEMORY = """
import torch, mpimpy, mpimpy.nn
torch.set_num_threads(1)
layer = torch.nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
engine = mpimpy.DPETensor(w_mapping="pair", x_mapping="signed", seed=0)
mpimpy.warm(engine)  # what compiles kernels takes memory too
mpimpy.nn.convert_(layer, engine)
x = torch.randn(8, 3, 224, 224)

def look(of):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(of))

def run(images):
    y = layer.eval()(images)
    if {training}:
        y.sum().backward()

run(x[:1, :, :64, :64])
open("/proc/self/clear_refs", "w").write("5")
base = look("VmRSS")
with torch.set_grad_enabled({training}):
    run(x)
print((look("VmHWM") - base) * 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
@pytest.mark.parametrize(("training", "most"), [(False, 60e6), (True, 85e6)])
def test_the_first_layer_of_a_resnet_takes_no_matrix_of_patches(training, most):
    # the output is 26 MB, and so is its gradient; all patches would be 59 MB more, and their product 225
    # threads that share two cores with other tests hold some MB more than they would alone
    code = MEMORY.replace("{training}", str(training))
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 25e6 < int(found.stdout) < most

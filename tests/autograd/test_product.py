"""A product as one operation of torch: the same bits through every door, and its three kinds of gradient."""

import copy
import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import torch
from strategies import by_night

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import torch.autograd.forward_ad as forward
from torch._subclasses import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from mpimpy import DPETensor, MapReducedot
from mpimpy.autograd import product

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")

FORMATS = [{}, {"w_mapping": "pair", "x_mapping": "signed"}, {"bw_e": 8}, {"bw_e": 8, "dbfp_en": True}]


def operands(seed=0, shape=(5, 70, 9), dtype=torch.float32):
    rng = np.random.default_rng(seed)
    rows, depth, cols = shape
    return (torch.tensor(rng.standard_normal(size), dtype=dtype) for size in ((rows, depth), (depth, cols)))


@given(st.integers(0, 2**32), st.sampled_from(FORMATS), st.sampled_from([torch.float32, torch.float64]))
def test_a_recorded_product_has_the_bits_of_a_plain_one_and_the_gradient_of_its_quantised_operands(seed, more, dtype):
    rng = np.random.default_rng(seed)
    x, w = operands(seed, tuple(rng.integers(1, 90, 3)), dtype)
    engine = DPETensor(seed=seed % 7, **more)
    W = engine.program(w)
    plain = W.read(x, 3)
    leaf, weights = x.clone().requires_grad_(), w.clone().requires_grad_()
    V = engine.program(weights)
    y = V.read(leaf, 3)
    assert torch.equal(y, plain)
    g = torch.tensor(rng.standard_normal(tuple(y.shape)), dtype=dtype)
    y.backward(g)
    seen, _ = product._inputs(V, x)
    assert torch.equal(leaf.grad, g @ W.decoded().to(dtype).mT)
    assert torch.equal(weights.grad, seen.mT @ g)
    # decoded inputs give the same product: they are what the word lines meet
    assert torch.allclose(seen.double(), x.double(), atol=float(x.abs().max()) / 50)
    assert torch.equal(W.read(x, 3), plain)


def test_a_read_is_counted_once_whatever_the_door():
    x, w = operands()
    engine = DPETensor(seed=1)
    W = engine.program(w)
    assert engine.reads == 0
    first, second = x.requires_grad_() @ W, x.detach() @ W
    assert engine.reads == 2
    assert torch.equal(first, W.read(x.detach(), 0))
    assert torch.equal(second, W.read(x.detach(), 1))
    engine(x, w)
    MapReducedot(x, w, engine)
    assert engine.reads == 4


def test_plain_products_of_data_have_gradients_for_both():
    x, w = operands()
    a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
    y = MapReducedot(a, b, seed=3)
    assert torch.equal(y, MapReducedot(x, w, seed=3))
    y.sum().backward()  # the engine lives as long as the graph needs it
    W = DPETensor(seed=3).program(w)
    assert torch.equal(a.grad, torch.ones(5, 9) @ W.decoded().float().mT)
    assert b.grad.shape == w.shape
    c = w.clone().requires_grad_()
    gc.collect()
    DPETensor(seed=3)(x, c).sum().backward()
    assert torch.equal(c.grad, b.grad)
    # the rules of np.dot hold
    v = torch.ones(70, requires_grad=True)
    assert MapReducedot(v, v, seed=1).shape == ()
    assert MapReducedot(2.0, v, seed=1).requires_grad
    stack = torch.ones(2, 70, 3, requires_grad=True)
    assert MapReducedot(x, stack, seed=1).shape == (5, 2, 3)
    with pytest.raises(ValueError, match=r"shapes \(5, 70\) and \(9, 70\) do not fit"):
        MapReducedot(x, w.mT.requires_grad_(), seed=1)
    with pytest.raises(TypeError, match="a is a torch array and b a numpy one"):
        MapReducedot(a, np.ones((70, 2)))
    with pytest.raises(ValueError, match=r"w has shape \(70,\): weights are one matrix"):
        DPETensor(seed=1)(x, v)


def test_gradients_against_differences():
    x, w = operands(shape=(2, 5, 3), dtype=torch.float64)
    settings = {"format": "fp32", "var": 0, "radc": None}
    a, b = x.requires_grad_(), w.requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: MapReducedot(a, b, **settings), (a, b), eps=1e-2, atol=1e-4)
    assert torch.autograd.gradgradcheck(lambda a, b: MapReducedot(a, b, **settings), (a, b), eps=1e-2, atol=1e-4)


def test_the_gradient_through_written_weights():
    x, w = operands()
    settings = {"write_var": 0.3, "stuck_HGS": 0.02, "seed": 4}
    W = DPETensor(gradient="written", **settings).program(w)
    y = x.requires_grad_() @ W
    y.sum().backward()
    assert torch.equal(x.grad, torch.ones(5, 9) @ W.effective().float().mT)
    assert not torch.allclose(W.effective(), W.decoded(), atol=1e-3)
    z = x.detach().clone().requires_grad_()
    DPETensor(gradient="written", **settings)(z, w).sum().backward()
    assert torch.equal(z.grad, x.grad)


@given(st.integers(0, 2**32), st.sampled_from([*FORMATS, {"w_mapping": "offset"}]), st.sampled_from(["cells", "ideal"]))
def test_effective_weights_are_those_of_a_read_without_noise(seed, more, reference):
    rng = np.random.default_rng(seed)
    settings = {"write_var": 0.2, "stuck_LGS": 0.01, "reference": reference, "array_size": (16, 8), **more}
    w = rng.standard_normal((40, 11))
    noisy = DPETensor(var=0.1, seed=5, **settings).program(w)
    ideal = DPETensor(var=0, radc=None, seed=5, **settings).program(w)
    identity = np.eye(40)
    exact = ideal.read(identity)
    seen = ideal.effective()
    scale = np.abs(w).max()
    assert np.allclose(seen, exact, rtol=0, atol=scale * 1e-9)
    # another grid, that of read variation: the same weights but for its rounding
    assert np.allclose(noisy.effective(), seen, rtol=0, atol=scale * 2e-3)


def test_effective_weights_of_wires_and_age():
    from mpimpy import ADC, Device, Drift, Engine, Wires

    w = np.random.default_rng(1).standard_normal((30, 12))
    engine = Engine(Device(var=0, drift=Drift(0.05)), adc=ADC(None), wires=Wires(2.0, 2.0), seed=1)
    W = engine.program(w).at("30 d")
    assert np.allclose(W.effective(), W.read(np.eye(30)), rtol=0, atol=1e-9)
    assert engine.program(np.empty((0, 3))).effective().shape == (0, 3)


def test_the_clipped_gradient_stops_at_the_ends_of_the_codes():
    # a shared exponent of two bits ends at 2**1: larger elements saturate
    settings = {"bw_e": 2, "w_slices": (1, 1, 2), "x_slices": (1, 1, 2), "var": 0, "radc": None}
    x = torch.tensor([[0.5, -9.0, 1.0]])
    w = torch.tensor([[1.0, 20.0], [0.5, -1.0], [0.25, 1.0]])
    grads = {}
    for kind in ("straight", "clipped"):
        a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
        MapReducedot(a, b, gradient=kind, **settings).sum().backward()
        grads[kind] = a.grad, b.grad
    assert torch.equal(grads["clipped"][0] != 0, torch.tensor([[True, False, True]]))
    assert torch.equal(grads["clipped"][1] == 0, torch.tensor([[False, True], [False, False], [False, False]]))
    for straight, clipped in zip(grads["straight"], grads["clipped"], strict=True):
        assert torch.equal(torch.where(clipped == 0, 0, straight), clipped)
        assert (straight != 0).all()
    # nothing is beyond the codes of integers, whose scale is the largest element
    for seed in range(20):
        a, b = operands(seed)
        assert not product._inputs(DPETensor(gradient="clipped", seed=1), a)[1].any()
    with pytest.raises(ValueError, match="gradient='none' is unknown: use one of 'straight', 'clipped', 'written'"):
        DPETensor(gradient="none")
    assert DPETensor(gradient="written", seed=1).replace(device={"var": 0}).gradient == "written"


def test_transforms_of_torch_func():
    x, w = operands(dtype=torch.float64)
    W = DPETensor(seed=1).program(w)
    of_x = torch.ones(5, 9, dtype=torch.float64) @ W.decoded().mT
    assert torch.equal(torch.func.grad(lambda v: (v @ W).sum())(x), of_x)
    primal, tangent = torch.func.jvp(lambda v: W.read(v, 0), (x,), (x,))
    assert torch.equal(primal, W.read(x, 0))
    assert torch.allclose(tangent, x @ W.decoded())
    with forward.dual_level():
        dual = W.read(forward.make_dual(x, x), 0)
        assert torch.equal(forward.unpack_dual(dual).tangent, tangent)
    assert torch.equal(torch.func.jacrev(lambda v: W.read(v, 0))(x[0]), W.decoded().mT)
    assert torch.allclose(torch.func.jacfwd(lambda v: W.read(v, 0))(x[0]), W.decoded().mT)
    assert torch.equal(torch.func.hessian(lambda v: W.read(v, 0).sum())(x[0]), torch.zeros(70, 70, dtype=torch.float64))
    engine = DPETensor(seed=1)
    of_w = torch.func.grad(lambda v: MapReducedot(x, v, engine).sum())(w)
    assert torch.equal(of_w, product._inputs(W, x)[0].mT @ torch.ones(5, 9, dtype=torch.float64))
    both = torch.func.jvp(lambda a, b: engine(a, b), (x, w), (x, w))[1]
    assert torch.allclose(both, 2 * x @ w, atol=0.1 * float((x @ w).abs().max()))


@pytest.mark.parametrize("grain", ["finest", "per-matrix"])
def test_a_mapped_product_is_that_of_each_sample(grain):
    x, w = operands(dtype=torch.float64)
    W = DPETensor(seed=1, var=0, x_quant_gran=grain).program(w)
    each = torch.stack([W.read(row, 0) for row in x])
    assert torch.equal(torch.vmap(lambda v: W.read(v, 0))(x), each)
    assert torch.equal(torch.vmap(lambda v: W.read(v, 0), in_dims=1, out_dims=1)(x.mT.contiguous()), each.mT)
    stack = torch.stack([x, 2 * x, -x])
    assert torch.equal(torch.vmap(lambda v: W.read(v, 0))(stack), torch.stack([W.read(m, 0) for m in stack]))
    grads = torch.vmap(torch.func.grad(lambda v: W.read(v, 0).sum()))(x)
    assert torch.allclose(grads, W.decoded().sum(1).expand(5, -1))
    with pytest.raises(ValueError, match=r"torch.vmap over the weights would be a chip for each sample"):
        torch.vmap(lambda v: DPETensor(seed=1)(x, v))(torch.stack([w, w]))


def test_autocast_gives_the_dtype_of_torch():
    x, w = operands()
    W = DPETensor(seed=1).program(w)
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ W).dtype == (x @ w).dtype == torch.bfloat16
        assert (x.requires_grad_() @ W).dtype == torch.bfloat16
        assert (x.double() @ W).dtype == torch.float64
    assert (x @ W).dtype == torch.float32


def test_inputs_of_a_known_shape_are_no_way_past_torch():
    x, w = operands()
    W = DPETensor(seed=1).program(w)
    plain, kept = W.read(x, 0), W.read(x, 0)
    assert torch.equal(plain, kept)
    with torch.autocast("cpu", torch.bfloat16):
        assert W.read(x, 0).dtype == torch.bfloat16
    assert torch.equal(torch.vmap(lambda row: W.read(row, 0))(x), plain)
    assert torch.equal(torch.func.jvp(lambda v: W.read(v, 0), (x,), (x,))[0], plain)
    assert torch.equal(make_fx(lambda v: W.read(v, 0))(x)(x), plain)
    leaf = x.clone().requires_grad_()
    assert W.read(leaf, 0).requires_grad
    with torch.no_grad():
        assert not W.read(leaf, 0).requires_grad
    with FakeTensorMode() as mode:
        assert W.read(mode.from_tensor(x), 0).shape == (5, 9)
    with pytest.raises(ValueError, match="x has nan at index"):
        W.read(torch.full_like(x, torch.nan), 0)
    with pytest.raises(TypeError, match="is on the meta device, without values"):
        W.read(x.to("meta"), 0)
    with pytest.raises(TypeError, match="is on the meta device, without values"), torch.autocast("cpu", torch.bfloat16):
        W.read(x.to("meta").requires_grad_(), 0)


def compiled(function, backend="aot_eager"):
    torch._dynamo.reset()
    # plain C++ around the products: finding out which vectors it may use takes longer than all the rest
    options = {"cpp.vec_isa_ok": False} if backend == "inductor" else None
    return torch.compile(function, fullgraph=True, backend=backend, options=options)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_compiled_products_have_the_same_bits_and_read_on(backend):
    x, w = operands()
    engine = DPETensor(seed=1)
    W = engine.program(w)
    run = compiled(lambda v: torch.stack([v @ W, torch.matmul(v, W), W.read(v, 7)]), backend)
    for k in range(3):
        found = run(x)
        assert engine.reads == 2 * k + 2
        assert torch.equal(found, torch.stack([W.read(x, 2 * k), W.read(x, 2 * k + 1), W.read(x, 7)]))
    leaf, weights = x.clone().requires_grad_(), w.clone().requires_grad_()
    compiled(lambda a, b: MapReducedot(a, b, engine).sum(), backend)(leaf, weights).backward()
    a, b = x.clone().requires_grad_(), w.clone().requires_grad_()
    MapReducedot(a, b, engine).sum().backward()
    assert torch.equal(leaf.grad, a.grad)
    assert torch.equal(weights.grad, b.grad)
    if backend == "inductor" and not by_night():
        return  # it calls a compiler of C++ for each graph
    other = DPETensor(seed=2).program(w)
    twice = compiled(lambda v, matrix: v @ matrix, backend)
    assert torch.equal(twice(x, other), other.read(x, 0))
    number = engine.reads
    assert torch.equal(twice(x, W), W.read(x, number))


@pytest.mark.slow
def test_a_graph_can_be_exported_and_traced():
    x, w = operands()
    W = DPETensor(seed=1).program(w)

    class Model(torch.nn.Module):
        def forward(self, v):
            return v @ W

    exported = torch.export.export(Model(), (x,)).module()
    assert torch.equal(exported(x), W.read(x, 0))
    assert torch.equal(exported(x), W.read(x, 1))
    graph = make_fx(lambda v: W.read(v, 5))(x)
    assert torch.equal(graph(x), W.read(x, 5))
    with FakeTensorMode() as mode:
        y = mode.from_tensor(x).to(torch.bfloat16) @ W
        assert (y.shape, y.dtype) == ((5, 9), torch.float32)
    with pytest.raises(RuntimeError, match="the crossbars of slot 123456789 are gone"):
        torch.ops.mpimpy.count(torch.zeros((), dtype=torch.int64), 123456789)


@pytest.mark.slow
@pytest.mark.parametrize("gradient", ["straight", "clipped", "written"])
def test_the_operators_keep_the_rules_of_torch(gradient):
    x, w = operands()
    engine = DPETensor(seed=1, gradient=gradient)
    zero = torch.zeros((), dtype=torch.int64)
    given = (x.requires_grad_(), w.requires_grad_(), zero, zero, engine._slot, 9, 0, gradient)
    torch.library.opcheck(torch.ops.mpimpy.product.default, given)
    torch.library.opcheck(torch.ops.mpimpy.inputs_seen.default, (x, engine._slot))
    torch.library.opcheck(torch.ops.mpimpy.weights_seen.default, (w, zero, engine._slot, 70, 9))
    torch.library.opcheck(
        torch.ops.mpimpy.count.default, (zero.clone(), engine._slot), test_utils=("test_schema", "test_faketensor")
    )


def test_copies_have_slots_of_their_own():
    engine = DPETensor(seed=1)
    W = engine.program(torch.eye(3))
    others = [copy.copy(W), copy.deepcopy(W), W.in_stream("other"), copy.copy(engine), copy.deepcopy(engine)]
    assert len({factor._slot for factor in (engine, W, *others)}) == 7
    from mpimpy.autograd.slots import factor_in

    assert all(factor_in(factor._slot) is factor for factor in (engine, W, *others))
    weights = torch.eye(3, requires_grad=True)
    (torch.ones(3) @ engine.program(weights).in_stream("more")).sum().backward()
    assert torch.equal(weights.grad, torch.full((3, 3), float(weights.grad[0, 0])))


def test_no_element_of_pairs_lies_beyond_its_codes():
    # signed digits have no sign slice: all their bits are magnitude
    grads = {}
    for kind in ("straight", "clipped"):
        torch.manual_seed(1)
        x, w = (torch.randn(shape, requires_grad=True) for shape in ((5, 64), (64, 3)))
        DPETensor(gradient=kind, w_mapping="pair", x_mapping="signed", seed=1)(x, w).sum().backward()
        grads[kind] = x.grad, w.grad
    assert all(map(torch.equal, *grads.values()))

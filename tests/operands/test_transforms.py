"""Transforms of torch, inside which a product of values would be wrong without a word, are refused."""

import pytest
from libraries import torch

from mpimpy import Engine, MapReducedot

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import torch.autograd.forward_ad as forward
from torch.fx.experimental.proxy_tensor import make_fx

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning", "ignore::torch.jit.TracerWarning")
A, B = torch.ones(4, 3, dtype=torch.float64), torch.eye(3, dtype=torch.float64)
W = Engine(seed=1).program(B)


TRANSFORMS = {
    "trace": (lambda f: torch.jit.trace(f, (A,), check_trace=False), r"is traced by torch.jit.trace.* as a constant"),
    "functionalize": (lambda f: torch.func.functionalize(f)(A), r"is traced by torch.func.functionalize"),
}
PRODUCTS = {
    "a": lambda v: MapReducedot(v, B, seed=1),
    "b": lambda v: MapReducedot(2.0, v, seed=1),
    "x": lambda v: v @ W,
    "w": lambda v: Engine(seed=1)(v, B),
}


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_are_refused(transform, product):
    run, message = TRANSFORMS[transform]
    with pytest.raises(TypeError, match=rf"^[abxw] {message}"):
        run(PRODUCTS[product])


def test_an_engine_that_is_built_inside_a_graph_is_refused():
    for product in (PRODUCTS["a"], PRODUCTS["b"]):
        with pytest.raises(TypeError, match=r"a graph of torch outlives an engine that is built in it: give engine="):
            make_fx(product)(A)


def test_a_symbolic_trace_is_refused():
    with pytest.raises(TypeError, match=r"^b is traced by torch.fx and has no values"):
        torch.fx.symbolic_trace(lambda v: MapReducedot(A, v))
    with pytest.raises(TypeError, match=r"^a is traced by torch.fx"):
        torch.fx.symbolic_trace(lambda v: MapReducedot(v, B))


def test_beside_a_transform_plain_tensors_pass():
    with forward.dual_level():
        assert torch.equal(MapReducedot(A, B, seed=1), W.read(A, 0))
        assert torch.equal(W.read(forward.unpack_dual(forward.make_dual(A, A)).primal, 0), W.read(A, 0))
    scaled = torch.vmap(lambda v: v * MapReducedot(A[0], B, seed=1))(A)
    assert torch.equal(scaled, A * MapReducedot(A[0], B, seed=1))
    assert torch.equal(W.read(torch.nn.Parameter(A, requires_grad=False), 0), W.read(A, 0))


@pytest.mark.filterwarnings("ignore:The PyTorch API of (nested|MaskedTensors):UserWarning")
def test_tensors_that_are_no_one_block_of_numbers_are_refused():
    from torch.masked import masked_tensor

    for layout in (torch.strided, torch.jagged):
        ragged = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=layout)
        with pytest.raises(TypeError, match=r"a is a nested tensor.*to_padded_tensor"):
            MapReducedot(ragged, B)
    with pytest.raises(TypeError, match=r"a is a masked tensor.*to_tensor\(0\)"):
        MapReducedot(masked_tensor(torch.ones(3), torch.ones(3) > 0), B)

"""Any code of torch on crossbars, without conversion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import torch.nn.functional as F

import mpimpy.nn as ann
from mpimpy import DPETensor

IDEAL = DPETensor(seed=1, var=0, radc=None, format="fp32", rdac=256, g_level=256)


def tensor(*shape, seed=1):
    return torch.tensor(np.random.default_rng(seed).standard_normal(shape), dtype=torch.float32)


A, B, S, T, V = tensor(3, 4), tensor(4, 5), tensor(2, 3, 4), tensor(2, 4, 5), tensor(4)
OPERATIONS = {
    "@": lambda: A @ B,
    "@ vector": lambda: A @ V,
    "vector @": lambda: V @ B,
    "vector @ batch": lambda: V @ T,
    "dot": lambda: torch.dot(V, V),
    "mv": lambda: A.mv(V),
    "mm": lambda: A.mm(B),
    "matmul": lambda: torch.matmul(S, T),
    "broadcast": lambda: torch.matmul(A, T),
    "bmm": lambda: torch.bmm(S, T),
    "addmm": lambda: torch.addmm(torch.ones(5), A, B, beta=2, alpha=3),
    "baddbmm": lambda: torch.baddbmm(torch.ones(2, 3, 5), S, T),
    "addmv": lambda: torch.addmv(torch.ones(3), A, V),
    "inner": lambda: torch.inner(S, A),
    "tensordot": lambda: torch.tensordot(S, T, ([2, 0], [1, 0])),
    "tensordot of one": lambda: torch.tensordot(A, B, 1),
    "linear": lambda: F.linear(S, B.mT, torch.ones(5)),
    "einsum": lambda: torch.einsum("ij,jk->ki", A, B),
    "einsum of a batch": lambda: torch.einsum("bij,bjk->bik", S, T),
    "einsum without an arrow": lambda: torch.einsum("ij,jk", A, B),
    "einsum with dots": lambda: torch.einsum("...ij,...jk->...ik", S, T),
    "einsum of one": lambda: torch.einsum("ij->ji", A),
    "einsum of three": lambda: torch.einsum("ij,jk,kl->il", A, B, B.mT),
    "einsum with a sum": lambda: torch.einsum("bij,jk->ik", S, B),
    "einsum of nothing": lambda: torch.einsum("ij,kl->ijkl", A, B),
    "attention": lambda: F.scaled_dot_product_attention(S, S, S),
    "causal": lambda: F.scaled_dot_product_attention(S, S, S, is_causal=True, scale=0.3),
    "masked": lambda: F.scaled_dot_product_attention(S, S, S, attn_mask=torch.eye(3, dtype=torch.bool)),
    "biased": lambda: F.scaled_dot_product_attention(S, S, S, attn_mask=torch.eye(3)),
    "conv2d": lambda: F.conv2d(tensor(2, 3, 9, 8), tensor(4, 3, 3, 2), torch.ones(4), (2, 1), (1, 0), 2),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_product_is_that_of_torch_where_crossbars_are_ideal(name):
    exact = OPERATIONS[name]()
    with ann.crossbars(IDEAL) as run:
        y = OPERATIONS[name]()
    assert y.shape == exact.shape
    assert y.dtype == exact.dtype
    assert torch.allclose(y, exact, rtol=1e-4, atol=1e-4)
    assert (run.products > 0) == (name not in ("einsum of one", "einsum of nothing"))


@given(st.data())
def test_einsum_of_any_pair(data):
    letters = "abcde"
    sizes = dict(zip(letters, data.draw(st.lists(st.integers(1, 3), min_size=5, max_size=5)), strict=True))
    first, second = (data.draw(st.permutations(letters))[: data.draw(st.integers(1, 4))] for _ in range(2))
    every = [*dict.fromkeys((*first, *second))]
    out = data.draw(st.permutations(every))[: data.draw(st.integers(0, len(every)))]
    equation = f"{''.join(first)},{''.join(second)}->{''.join(out)}"
    a, b = (tensor(*(sizes[letter] for letter in term)) for term in (first, second))
    exact = torch.einsum(equation, a, b)
    with ann.crossbars(IDEAL):
        y = torch.einsum(equation, a, b)
    assert y.shape == exact.shape
    assert torch.allclose(y, exact, rtol=1e-4, atol=1e-4)


def test_noise_is_that_of_the_engine_and_parameters_keep_their_cells():
    engine = DPETensor(seed=1, write_var=0.2)
    layers = [torch.nn.Linear(4, 4, bias=False) for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    with ann.crossbars(engine), torch.no_grad():
        first, second = (layer(A) for layer in layers)
        again = layers[0](A)
        data = A @ B
    assert not torch.equal(first, second)  # cells of their own
    W = engine.program(layers[0].weight.detach().mT, name="parameter 0")
    assert torch.equal(first, W.read(A, 0))
    assert torch.equal(again, W.read(A, 1))
    assert torch.equal(data, engine.program(B).read(A, 0))


def test_gradients_flow():
    x, w = A.clone().requires_grad_(), B.clone().requires_grad_()
    with ann.crossbars(IDEAL):
        (x @ w).sum().backward()
    assert torch.allclose(w.grad, A.sum(0)[:, None].expand(4, 5), atol=1e-5)
    assert torch.allclose(x.grad, B.sum(1).expand(3, 4), atol=1e-5)


COMPOSITES = {
    "nn.MultiheadAttention": (lambda: torch.nn.MultiheadAttention(4, 2, batch_first=True), (S, S, S)),
    "nn.LSTM": (lambda: torch.nn.LSTM(4, 4), (S,)),
    "nn.GRU": (lambda: torch.nn.GRU(4, 4), (S,)),
    "nn.RNN": (lambda: torch.nn.RNN(4, 4), (S,)),
    "nn.LSTMCell": (lambda: torch.nn.LSTMCell(4, 4), (A,)),
    "nn.GRUCell": (lambda: torch.nn.GRUCell(4, 4), (A,)),
    "nn.RNNCell": (lambda: torch.nn.RNNCell(4, 4), (A,)),
    "nn.Bilinear": (lambda: torch.nn.Bilinear(4, 4, 2), (A, A)),
    "nn.Conv1d": (lambda: torch.nn.Conv1d(3, 2, 2), (S,)),
    "nn.ConvTranspose1d": (lambda: torch.nn.ConvTranspose1d(3, 2, 2), (S,)),
}


@pytest.mark.parametrize("name", COMPOSITES)
@pytest.mark.parametrize("training", [False, True])
def test_what_torch_computes_as_a_whole_is_refused(name, training):
    build, given = COMPOSITES[name]
    module = build().train(training)
    exact = module(*given)
    with (
        ann.crossbars(IDEAL) as run,
        pytest.raises(TypeError, match=rf"{name} is computed as a whole.*use mpimpy.nn.convert_"),
    ):
        module(*given)
    with ann.crossbars(IDEAL, composites="digital") as run:
        y = module(*given)
    assert run.passed == {name: 1}
    for a, b in zip(y if isinstance(y, tuple) else (y,), exact if isinstance(exact, tuple) else (exact,), strict=True):
        for one, other in zip(a if isinstance(a, tuple) else (a,), b if isinstance(b, tuple) else (b,), strict=True):
            assert torch.allclose(one, other, atol=1e-6)


def test_an_encoder_layer_is_not_half_seen():
    layer = torch.nn.TransformerEncoderLayer(4, 2, 8, batch_first=True).eval()
    with ann.crossbars(IDEAL), torch.no_grad(), pytest.raises(TypeError, match=r"nn.MultiheadAttention"):
        layer(S)


def test_refusals():
    with pytest.raises(TypeError, match="engine=3 must be an Engine"):
        ann.crossbars(3)
    with pytest.raises(ValueError, match="composites='skip' is unknown: use 'error' or 'digital'"):
        ann.crossbars(IDEAL, composites="skip")
    with ann.crossbars(IDEAL):
        with pytest.raises(TypeError, match=r"torch.matmul with out= is no product on crossbars"):
            torch.matmul(A, B, out=torch.empty(3, 5))
        with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
            torch.matmul(A, A)
        with pytest.raises(TypeError, match="diagonals are no products"):
            torch.einsum("ii,ij->j", A[:, :3], A)
        with pytest.raises(TypeError, match=r"of more than two tensors needs '->'"):
            torch.einsum("ij,jk,kl", A, B, B.mT)
        with pytest.raises(TypeError, match=r"torch.conv2d with groups.*use mpimpy.nn.convert_"):
            F.conv2d(tensor(1, 2, 4, 4), tensor(2, 1, 2, 2), groups=2)
        assert torch.equal(
            torch.ones(2, 2, dtype=torch.int64) @ torch.ones(2, 2, dtype=torch.int64), torch.full((2, 2), 2)
        )

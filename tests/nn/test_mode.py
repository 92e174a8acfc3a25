"""Any code of torch on crossbars, without conversion."""

import copy
import re
import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import torch

if torch is None:
    pytest.skip("the torch extra is not installed", allow_module_level=True)

import torch.nn.functional as F
from torch.nn.attention.bias import causal_lower_right
from torch.overrides import get_overridable_functions, resolve_name
from torch.utils.flop_counter import FlopCounterMode

import mpimpy.nn as ann
from mpimpy import DPETensor
from mpimpy.nn._mode_below import _name_of
from mpimpy.nn._mode_table import PRODUCTS, REFUSED

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
    "einsum that spreads an axis": lambda: torch.einsum("ij,jk->ik", A[:, :1], B),
    "einsum with dots and no arrow": lambda: torch.einsum("...ij,...jk", S, T),
    "einsum of dots that differ": lambda: torch.einsum("...ij,jk->...ik", S, B),
    "einsum of lists": lambda: torch.einsum("ij,jk->ik", [A, B]),
    "mm by names": lambda: torch.mm(input=A, mat2=B),
    "matmul by a name": lambda: torch.matmul(A, other=B),
    "linalg.matmul": lambda: torch.linalg.matmul(A, T),
    "vdot": lambda: torch.vdot(V, V),
    "vecdot": lambda: torch.linalg.vecdot(S, A),
    "vecdot of another axis": lambda: torch.linalg.vecdot(S, A, dim=1),
    "addbmm": lambda: torch.addbmm(torch.ones(3, 5), S, T, beta=0.5, alpha=2),
    "addmm without the first": lambda: torch.addmm(torch.full((5,), float("nan")), A, B, beta=0),
    "addmm_": lambda: torch.ones(3, 5).addmm_(A, B, alpha=2),
    "addmv_": lambda: torch.ones(3).addmv_(A, V),
    "baddbmm_": lambda: torch.ones(2, 3, 5).baddbmm_(S, T),
    "addbmm_": lambda: torch.ones(3, 5).addbmm_(S, T),
    "inner of vectors": lambda: torch.inner(V, V),
    "tensordot of an array of axes": lambda: torch.tensordot(S, T, torch.tensor([[2, 0], [1, 0]])),
    "outer": lambda: torch.outer(V, V),
    "tensordot of none": lambda: torch.tensordot(A, B, 0),
    "grouped queries": lambda: F.scaled_dot_product_attention(
        tensor(2, 4, 3, 8), tensor(2, 2, 5, 8), tensor(2, 2, 5, 8), enable_gqa=True
    ),
    "a query that sees nothing": lambda: F.scaled_dot_product_attention(
        S, S, S, attn_mask=torch.tensor([[True, False, True], [False, False, False], [True, True, True]])
    ),
    "causal, longer": lambda: F.scaled_dot_product_attention(S, T.mT, T.mT, is_causal=True),
    "conv2d": lambda: F.conv2d(tensor(2, 3, 9, 8), tensor(4, 3, 3, 2), torch.ones(4), (2, 1), (1, 0), 2),
    "conv2d in groups": lambda: F.conv2d(tensor(2, 4, 5, 5), tensor(6, 2, 3, 3), groups=2),
    "conv2d, same": lambda: F.conv2d(tensor(1, 2, 5, 4), tensor(3, 2, 2, 3), padding="same", dilation=2),
    "conv2d, valid": lambda: F.conv2d(tensor(1, 2, 5, 4), tensor(3, 2, 2, 3), padding="valid"),
    "conv2d of one image": lambda: F.conv2d(tensor(2, 5, 4), tensor(3, 2, 2, 2), bias=torch.ones(3)),
    "conv1d": lambda: F.conv1d(S, tensor(2, 3, 2), torch.ones(2), stride=2, padding=1),
    "conv3d": lambda: F.conv3d(tensor(1, 2, 3, 4, 3), tensor(2, 2, 2, 2, 2), padding=(0, 1, 0)),
    "conv_transpose1d": lambda: F.conv_transpose1d(S, tensor(3, 2, 2), torch.ones(2), 2, 1, 1, dilation=2),
    "conv_transpose2d": lambda: F.conv_transpose2d(tensor(2, 4, 3, 4), tensor(4, 3, 3, 2), stride=(2, 1), groups=2),
    "conv_transpose3d": lambda: F.conv_transpose3d(tensor(2, 2, 3, 2), tensor(2, 3, 2, 2, 2)),
    "bilinear": lambda: F.bilinear(S, S[..., :3], tensor(2, 4, 3), torch.ones(2)),
}
NOTHING_SUMMED = {  # and what passes for them
    "einsum of one": {},
    "einsum of nothing": {"torch.functional.einsum": 1},
    "outer": {"torch.outer": 1},
    "tensordot of none": {"torch.functional.tensordot": 1},
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_product_is_that_of_torch_where_crossbars_are_ideal(name):
    exact = OPERATIONS[name]()
    with ann.crossbars(IDEAL) as run:
        y = OPERATIONS[name]()
    assert y.shape == exact.shape
    assert y.dtype == exact.dtype
    assert torch.allclose(y, exact, rtol=1e-4, atol=1e-4)
    assert (run.products > 0) == (name not in NOTHING_SUMMED)
    assert run.passed == NOTHING_SUMMED.get(name, {})


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


@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_products_of_what_is_on_crossbars_already_are_left_alone(backend):
    # the reference multiplies by torch's own functions
    torch.manual_seed(0)
    x, engine = torch.randn(3, 6), DPETensor(seed=0, backend=backend)
    layer = torch.nn.Linear(6, 4)
    ann.convert_(layer, engine)
    W, wanted = engine.program(torch.ones(6, 4)), copy.deepcopy(layer)(x)
    with ann.crossbars(DPETensor(seed=1, var=0.3)) as run:
        assert torch.equal(layer(x), wanted)
        y = W.read(x, 0)
        layer(x.requires_grad_()).sum().backward()
    assert torch.equal(y, W.read(x.detach(), 0))
    assert (run.products, run.passed) == (0, {})


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
    with ann.crossbars(IDEAL) as run:
        with pytest.raises(TypeError, match=r"torch.matmul with out= is no product on crossbars"):
            torch.matmul(A, B, out=torch.empty(3, 5))
        with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
            torch.matmul(A, A)
        with pytest.raises(TypeError, match="diagonals are no products"):
            torch.einsum("ii,ij->j", A[:, :3], A)
        with pytest.raises(TypeError, match=r"of more than two tensors needs '->'"):
            torch.einsum("ij,jk,kl", A, B, B.mT)
        assert torch.equal(
            torch.ones(2, 2, dtype=torch.int64) @ torch.ones(2, 2, dtype=torch.int64), torch.full((2, 2), 2)
        )
    assert run.passed == {"torch.Tensor.matmul of torch.int64": 1}  # exact, and listed


SAME_REFUSALS = {  # torch's own errors, or ours in their place
    "mm of a batch": lambda: torch.mm(S, B),
    "bmm of other batches": lambda: torch.bmm(S[:1], T),
    "mv": lambda: torch.mv(A, B),
    "dot": lambda: torch.dot(A, A),
    "addbmm": lambda: torch.addbmm(torch.ones(3, 5), S[:1], T),
    "tensordot": lambda: torch.tensordot(A, B, ([0], [0])),
    "einsum of a wrong number": lambda: torch.einsum("ij,jk->ik", A, S),
    "einsum of sizes that differ": lambda: torch.einsum("ij,kj->ik", A, T[0]),
    "einsum of an unknown letter": lambda: torch.einsum("ij,jk->iz", A, B),
    "einsum of one term": lambda: torch.einsum("ij", A, B),
    "two masks": lambda: F.scaled_dot_product_attention(S, S, S, torch.eye(3), is_causal=True),
    "conv of other channels": lambda: F.conv2d(tensor(1, 3, 4, 4), tensor(2, 2, 2, 2)),
    "conv of other axes": lambda: F.conv2d(tensor(4, 4), tensor(2, 2, 2, 2)),
    "conv of a large kernel": lambda: F.conv2d(tensor(1, 2, 2, 2), tensor(2, 2, 3, 3)),
    "conv, same, with a stride": lambda: F.conv1d(S, tensor(2, 3, 2), padding="same", stride=2),
    "conv, unknown padding": lambda: F.conv1d(S, tensor(2, 3, 2), padding="much"),
    "conv_transpose of other channels": lambda: F.conv_transpose1d(S, tensor(2, 3, 2)),
    "conv_transpose, much more": lambda: F.conv_transpose1d(S, tensor(3, 2, 2), output_padding=1),
    "bilinear": lambda: F.bilinear(S, S, tensor(2, 4, 3)),
}


@pytest.mark.parametrize("name", SAME_REFUSALS)
def test_what_torch_refuses_is_refused(name):
    with pytest.raises((RuntimeError, ValueError, IndexError)):
        SAME_REFUSALS[name]()
    with ann.crossbars(IDEAL) as run, pytest.raises((RuntimeError, ValueError, IndexError)):
        SAME_REFUSALS[name]()
    assert run.products == 0


C, CAUSAL = torch.complex(A, A), causal_lower_right(3, 3)
REFUSALS = {
    "out": (lambda: torch.addmm(torch.ones(5), A, B, out=torch.empty(3, 5)), r"addmm with out= is no product"),
    "an option": (
        lambda: torch.mm(A, B, torch.float32),
        r"torch.mm on crossbars: too many positional arguments: leave",
    ),
    "complex": (lambda: C @ C.mT, r"torch.Tensor.matmul of complex numbers has no cells.*or composites='digital'"),
    "a bias that is no tensor": (
        lambda: F.scaled_dot_product_attention(S, S, S, attn_mask=CAUSAL),
        r"attn_mask is a CausalBias, which crossbars do not take",
    ),
    "multi_dot": (lambda: torch.linalg.multi_dot([A, B]), r"torch.linalg.multi_dot is computed as a whole"),
    "chain_matmul": (lambda: torch.chain_matmul(A, B), r"torch.chain_matmul is computed as a whole"),
    "cdist": (lambda: torch.cdist(A, A), r"torch.cdist is computed as a whole"),
    "matrix_power": (lambda: torch.eye(2).matrix_power(2), r"Tensor.matrix_power is computed as a whole"),
    "cov": (lambda: torch.cov(A), r"torch.cov is computed as a whole"),
    "conv_tbc": (lambda: torch.conv_tbc(S, tensor(2, 4, 2), V[:2]), r"torch.conv_tbc is computed as a whole"),
    "sparse": (lambda: torch.sparse.mm(A, B), r"torch.sparse.mm is computed as a whole"),
    "an affine grid": (lambda: F.affine_grid(tensor(1, 2, 3), [1, 1, 2, 2]), r"affine_grid is computed as a whole"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_crossbars_do_not_take_is_refused_by_name(name):
    function, message = REFUSALS[name]
    with ann.crossbars(IDEAL) as run, pytest.raises((TypeError, ValueError), match=message):
        function()
    assert (run.products, run.passed) == (0, {})


LIKE_PRODUCTS = r"mm_?$|matmul|dot$|mv_?$|conv(_transpose|_tbc|olution)?\d?d?$|bilinear$|\.linear$|einsum|attention|matrix_(power|exp)"
LIKE_PRODUCTS += (
    r"|lstm|gru|rnn_|cdist|cov$|corrcoef|inner$|linear_cross|affine_grid|miopen_(conv|depth|rnn)|fbgemm_linear_(fp|int)"
)


def test_every_function_that_multiplies_is_read_from_crossbars_or_refused():
    known = set(PRODUCTS) | set(REFUSED)
    functions = [each for listed in get_overridable_functions().values() for each in listed]
    found = [each for each in functions if re.search(LIKE_PRODUCTS, resolve_name(each) or "")]
    assert len(found) > 60
    assert not sorted(resolve_name(each) for each in found if each not in known)


def below():
    # products that no function of torch shows: from their name to the call
    linear = torch.nn.Linear(4, 4)
    rows, weights = torch.tensor([[0, 1]]), torch.tensor([[0.3, 0.4]])
    found = {
        "torch.ops.aten.mm": lambda: torch.ops.aten.mm(A, B),
        "torch.ops.aten.convolution": lambda: torch.ops.aten.conv1d(S, tensor(2, 3, 2)),
        "torch.ops.aten._scaled_dot_product_": lambda: torch.ops.aten.scaled_dot_product_attention(*[S[None]] * 3),
        "torch.nn.functional.embedding_bag with per_sample_weights": lambda: F.embedding_bag(
            rows, A, mode="sum", per_sample_weights=weights
        ),
    }
    if torch.backends.quantized.engine != "none":
        quantised = torch.ao.quantization.quantize_dynamic(torch.nn.Sequential(linear), {torch.nn.Linear})
        found["torch.ops.quantized.linear_dynamic"] = lambda: quantised(A)
    scripted, exported = torch.jit.script(linear), torch.export.export(linear, (A,)).module()
    return [
        *found.items(),
        ("torch.ops.aten.addmm", lambda: scripted(A)),
        ("torch.ops.aten.addmm", lambda: exported(A)),
    ]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_products_below_the_functions_of_torch_are_refused_or_listed():
    for name, function in below():
        exact = function()
        with (
            pytest.raises(TypeError, match=rf"{name}.* is an operator below .* or composites='digital' to let it pass"),
            ann.crossbars(IDEAL) as run,
        ):
            function()
        assert (run.products, run.passed) == (0, {}), name
        with ann.crossbars(IDEAL, "digital") as run:
            assert torch.equal(function(), exact), name
        assert [(each.startswith(name), number) for each, number in run.passed.items()] == [(True, 1)]
    # outside, nothing is left of the mode
    assert torch.equal(torch.ops.aten.mm(A, B), A @ B)


def test_what_is_no_sum_of_products_is_listed():
    whole = torch.ones(2, 2, dtype=torch.int64)
    square = tensor(3, 3) + 4 * torch.eye(3)
    with ann.crossbars(IDEAL) as run:
        torch.linalg.solve(square, A)
        torch.linalg.pinv(A)
        torch.inverse(square)
        torch.addr(torch.zeros(4, 4), V, V)
        torch.kron(A, A)
        V.ger(V)
        torch.tensordot(A[:, :1], B, ([1], [0]))  # torch spreads the axis
        torch.ops.aten.mm(whole, whole)
        F.embedding_bag(whole, A, mode="sum")
        F.interpolate(S, 5, mode="linear")
        torch.linalg.norm(A)
    assert run.products == 0
    assert run.passed == {
        "torch.linalg.solve": 1,
        "torch.linalg.pinv": 1,
        "torch.linalg.inv": 1,
        "torch.addr": 1,
        "torch.kron": 1,
        "torch.ger": 1,
        "torch.functional.tensordot": 1,
        "torch.ops.aten.mm of torch.int64": 1,
    }


def test_gradients_inside_are_digital_and_pass():
    w = B.clone().requires_grad_()
    with ann.crossbars(IDEAL) as run:
        (A @ w).sum().backward()
    assert (run.products, run.passed) == (1, {})


def test_every_operator_that_multiplies_is_known():
    names = [name for name in torch._C._dispatch_get_all_op_names() if name.startswith("aten::")]
    plain = {name.partition("::")[2].partition(".")[0] for name in names}
    likely = re.compile(r"(^|_)(mm|bmm|addmm|mv|addmv|dot|matmul|linear|einsum|conv\dd|convolution|attention)(_|$)")
    wanted = {
        name
        for name in plain
        if likely.search(name) and not re.search("backward|pack|reorder|quantize_weight|_out$", name)
    }
    found = {name for name in plain if _name_of(Named(f"aten::{name}"))}
    assert len(wanted) > 40
    assert wanted <= found
    others = {"add", "mul", "sum", "embedding", "upsample_linear1d", "_convert_indices_from_csr_to_coo", "softmax"}
    assert not found & others
    assert {"ormqr", "_linalg_solve_ex", "lstm", "_cdist_forward", "addr"} <= found
    assert _name_of(Named("aten::_linalg_solve_ex")) == ("torch.linalg.solve", False)
    assert _name_of(Named("aten::linalg_vector_norm")) is None
    assert _name_of(Named("quantized::conv2d_prepack")) is None


class Named:
    # an operator as far as its name goes
    def __init__(self, name):
        self._schema = types.SimpleNamespace(name=name)


def test_groups_of_a_parameter_have_cells_of_their_own():
    layer, x = torch.nn.Conv1d(4, 2, 2, groups=2, bias=False), tensor(2, 4, 5)
    with torch.no_grad():
        layer.weight[1] = layer.weight[0]
        x[:, 2:] = x[:, :2]
        with ann.crossbars(DPETensor(seed=1, write_var=0.2, var=0)) as run:
            y, again = layer(x), layer(x)
    assert run.products == 4
    assert torch.equal(y, again)
    assert not torch.equal(y[:, 0], y[:, 1])
    whole = torch.nn.Linear(4, 3, bias=False)
    with torch.no_grad(), ann.crossbars(DPETensor(seed=1, write_var=0.2, var=0)):
        assert not torch.equal(whole(A), A @ whole.weight.detach().clone().mT)


def test_dropout_of_attention_and_gradients_of_convolutions():
    with ann.crossbars(IDEAL):
        assert F.scaled_dot_product_attention(S, S, S, dropout_p=1.0).abs().max() == 0
        x, w = tensor(1, 2, 3, 3).requires_grad_(), tensor(2, 1, 2, 2).requires_grad_()
        F.conv_transpose2d(x, w).sum().backward()
    exact = [x.grad.clone(), w.grad.clone()]
    x.grad = w.grad = None
    F.conv_transpose2d(x, w).sum().backward()
    assert all(torch.allclose(a, b, atol=1e-4) for a, b in zip(exact, (x.grad, w.grad), strict=True))


def test_shapes_of_fake_tensors_are_those_of_torch():
    with torch._subclasses.FakeTensorMode() as fake:
        a, b = fake.from_tensor(A), fake.from_tensor(B)
        with ann.crossbars(IDEAL):
            assert (a @ b).shape == (3, 5)


def test_other_modes_of_torch_may_be_inside():
    with ann.crossbars(IDEAL, "digital") as run, FlopCounterMode(display=False):
        C @ C.mT
        y = A @ B
    assert torch.allclose(y, A @ B, rtol=1e-4, atol=1e-4)
    assert (run.products, run.passed) == (1, {"torch.Tensor.matmul of complex numbers": 1})

"""Functions of torch that make products: those that `mpimpy.nn.crossbars` reads from cells, and those it refuses."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from . import _mode_convolutions as convolutions
from . import _mode_products as products
from ._mode_einsum import einsum

__all__ = ["NOTED", "PRODUCTS", "REFUSED", "Handler"]


class Handler(NamedTuple):
    """Way to read the products of one function from crossbars.

    Attributes
    ----------
    call : function
        Of the mode and of what the function is given.
    names : tuple of str
        Names of the function's tensors, in order, by which they may be given.
    in_place : bool
        The result is written into the first tensor.
    factors : int or None
        Arguments among which tensors are numbers of the product; None: all.
    """

    call: Callable[..., Any]
    names: tuple[str, ...]
    in_place: bool = False
    factors: int | None = 3


def _both(name: str, call: Callable[..., Any], *names: str) -> dict[Any, Handler]:
    # a function of torch and the method of its name
    found = (getattr(torch, name, None), getattr(torch.Tensor, name, None))
    return {function: Handler(call, names) for function in found if function is not None}


def _added(name: str, call: Callable[..., Any], *names: str) -> dict[Any, Handler]:
    # the same, and the method that works in place
    names = ("input", *names)
    return _both(name, call, *names) | {getattr(torch.Tensor, f"{name}_"): Handler(call, names, True)}


def _reflected(mode: Any, b: Any, a: Any) -> Any:
    return products.matmul(mode, a, b)


PRODUCTS: dict[Any, Handler] = {
    F.linear: Handler(products.linear, ("input", "weight", "bias")),
    **_both("matmul", products.matmul, "input", "other"),
    torch.linalg.matmul: Handler(products.matmul, ("input", "other")),
    torch.Tensor.__matmul__: Handler(products.matmul, ("input", "other")),
    torch.Tensor.__rmatmul__: Handler(_reflected, ("input", "other")),
    **_both("mm", products.pair_of(torch.mm, (2, 2)), "input", "mat2"),
    **_both("bmm", products.pair_of(torch.bmm, (3, 3)), "input", "mat2"),
    **_both("mv", products.pair_of(torch.mv, (2, 1)), "input", "vec"),
    **_both("dot", products.dot, "input", "tensor"),
    **_both("vdot", products.dot, "input", "other"),
    torch.linalg.vecdot: Handler(products.vecdot, ("x", "y")),
    **_added("addmm", products.added, "mat1", "mat2"),
    **_added("addmv", products.added, "mat", "vec"),
    **_added("baddbmm", products.added, "batch1", "batch2"),
    **_added("addbmm", products.addbmm, "batch1", "batch2"),
    torch.functional.einsum: Handler(einsum, ("equation",), factors=None),
    torch.functional.tensordot: Handler(products.tensordot, ("a", "b"), factors=2),
    **_both("inner", products.inner, "input", "other"),
    F.scaled_dot_product_attention: Handler(products.attention, ("query", "key", "value")),
    F.bilinear: Handler(convolutions.bilinear, ("input1", "input2", "weight", "bias")),
    **{
        function: Handler(make(axes), ("input", "weight", "bias"))
        for make, functions in (
            (convolutions.convolution, (F.conv1d, F.conv2d, F.conv3d)),
            (convolutions.transposed, (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)),
        )
        for axes, function in enumerate(functions, 1)
    },
}

# functions that torch computes as a whole, so that the products inside cannot be seen, by the names that users know
_WHOLE: dict[str, tuple[str, ...]] = {
    "nn.MultiheadAttention": ("nn.functional.multi_head_attention_forward", "_native_multi_head_attention"),
    "nn.TransformerEncoderLayer": ("_transformer_encoder_layer_fwd",),
    "nn.LSTM": ("lstm",),
    "nn.GRU": ("gru",),
    "nn.RNN": ("rnn_tanh", "rnn_relu"),
    "nn.LSTMCell": ("lstm_cell", "quantized_lstm_cell"),
    "nn.GRUCell": ("gru_cell", "quantized_gru_cell"),
    "nn.RNNCell": ("rnn_tanh_cell", "rnn_relu_cell", "quantized_rnn_tanh_cell", "quantized_rnn_relu_cell"),
    "torch.cdist": ("functional.cdist", "cdist"),
    "torch.chain_matmul": ("functional.chain_matmul",),
}
# others go by their own names: those of one module of torch, if this torch has them
_OTHERS = (
    "_convolution",
    "_int_mm",
    "_scaled_mm",
    "_addmm_activation",
    "conv_tbc",
    "convolution",
    "corrcoef",
    "cov",
    "fbgemm_linear_fp16_weight",
    "fbgemm_linear_fp16_weight_fp32_activation",
    "fbgemm_linear_int8_weight",
    "fbgemm_linear_int8_weight_fp32_activation",
    "hspmm",
    "linalg.matrix_exp",
    "linalg.matrix_power",
    "linalg.multi_dot",
    "matrix_exp",
    "matrix_power",
    "miopen_convolution",
    "miopen_convolution_add_relu",
    "miopen_convolution_relu",
    "miopen_convolution_transpose",
    "miopen_depthwise_convolution",
    "miopen_rnn",
    "nn.functional.affine_grid",
    "affine_grid_generator",
    "nn.functional.grouped_mm",
    "nn.functional.linear_cross_entropy",
    "nn.functional.scaled_grouped_mm",
    "nn.functional.scaled_mm",
    "smm",
    "sparse.addmm",
    "sparse.mm",
    "sparse.sampled_addmm",
    "sspaddmm",
    "Tensor.corrcoef",
    "Tensor.cov",
    "Tensor.matrix_exp",
    "Tensor.matrix_power",
    "Tensor.smm",
    "Tensor.sspaddmm",
)


def _member(at: Any, name: str) -> Any:
    return getattr(at, name, None)


def _refused() -> dict[Any, str]:
    named = [(path, name) for name, paths in _WHOLE.items() for path in paths]
    named += [(path, f"torch.{path}") for path in _OTHERS]
    found = {}
    for path, name in named:
        function: Any = functools.reduce(_member, path.split("."), torch)
        if function is not None:
            found[function] = name
    return found


REFUSED: dict[Any, str] = _refused()

# outer products sum nothing, and are elementwise below: they are digital, by the names that users know
NOTED: dict[Any, str] = {
    function: f"torch.{name}"
    for name in ("outer", "ger", "kron")
    for function in (getattr(torch, name), getattr(torch.Tensor, name, None))
    if function is not None
}

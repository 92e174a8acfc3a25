"""A look at any code on crossbars, without conversion: every product of torch inside a ``with`` is read from cells."""

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode, resolve_name

from .._recorded import recorded_product
from ..checks import fail
from ..engine import Engine
from ._cells import LayerCells
from ._patches import Window

__all__ = ["crossbars"]

# functions that torch computes as a whole, so that the products inside cannot be seen
_COMPOSITES = {
    F.multi_head_attention_forward: "nn.MultiheadAttention",
    torch._native_multi_head_attention: "nn.MultiheadAttention",
    torch._transformer_encoder_layer_fwd: "nn.TransformerEncoderLayer",
    torch.lstm: "nn.LSTM",
    torch.gru: "nn.GRU",
    torch.rnn_tanh: "nn.RNN",
    torch.rnn_relu: "nn.RNN",
    torch.lstm_cell: "nn.LSTMCell",
    torch.gru_cell: "nn.GRUCell",
    torch.rnn_tanh_cell: "nn.RNNCell",
    torch.rnn_relu_cell: "nn.RNNCell",
    F.bilinear: "nn.Bilinear",
    F.conv_transpose1d: "nn.ConvTranspose1d",
    F.conv_transpose2d: "nn.ConvTranspose2d",
    F.conv_transpose3d: "nn.ConvTranspose3d",
    F.conv1d: "nn.Conv1d",
    F.conv3d: "nn.Conv3d",
    torch.conv_tbc: "torch.conv_tbc",
    torch.convolution: "torch.convolution",
    torch.linalg.multi_dot: "torch.linalg.multi_dot",
    torch.functional.chain_matmul: "torch.chain_matmul",
    torch.functional.cdist: "torch.cdist",
    torch.addbmm: "torch.addbmm",
}


class crossbars(TorchFunctionMode):
    """Context in which every product of two tensors is read from crossbars.

    ``linear``, ``matmul`` and ``@``, ``mm``, ``bmm``, ``mv``, ``dot``, ``addmm``, ``baddbmm``, ``einsum``,
    ``tensordot``, ``conv2d`` and ``scaled_dot_product_attention`` of any code are sent there. The right factor is
    programmed, the left one drives it: a parameter has cells of its own as long as the context lasts, data are
    written for each product. Models that are kept are converted instead, by `mpimpy.nn.convert_`.

    Parameters
    ----------
    engine : Engine
    composites : str
        ``"error"``: functions that torch computes as a whole, such as those of nn.LSTM and nn.MultiheadAttention,
        are refused, since their products cannot be seen. ``"digital"``: they are computed digitally, and
        listed in `passed`.

    Attributes
    ----------
    products : int
        Products that were read from crossbars.
    passed : dict
        From the name of a composite to how often it was computed digitally.

    Raises
    ------
    TypeError, ValueError
        If an argument is of another kind; inside, for composites, and for products with ``out=``.

    Examples
    --------
    >>> import mpimpy, mpimpy.nn as ann
    >>> a, b = torch.eye(4), torch.ones(4, 3)
    >>> with ann.crossbars(mpimpy.DPETensor(seed=0)) as run:
    ...     y = a @ b
    >>> run.products, bool((y != b).any())
    (1, True)
    """

    def __init__(self, engine: Engine, composites: str = "error") -> None:
        super().__init__()
        if not isinstance(engine, Engine):
            fail(TypeError, f"engine={engine!r} must be an Engine, such as DPETensor(var=0.05)")
        if composites not in ("error", "digital"):
            fail(ValueError, f"composites={composites!r} is unknown: use 'error' or 'digital'")
        self.engine, self.composites = engine, composites
        self.products = 0
        self.passed: dict[str, int] = {}
        self._cells: dict[int, tuple[Any, LayerCells]] = {}

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = {} if kwargs is None else dict(kwargs)
        handler = _PRODUCTS.get(function)
        if handler is not None:
            if options.pop("out", None) is not None:
                fail(TypeError, f"{resolve_name(function)} with out= is no product on crossbars: assign its result")
            return handler(self, *args, **options)
        if (name := _COMPOSITES.get(function)) is not None:
            if self.composites == "error":
                msg = f"{name} is computed as a whole, and the products inside it cannot be sent to crossbars: "
                fail(TypeError, msg + "use mpimpy.nn.convert_(model, engine), or composites='digital' to let it pass")
            self.passed[name] = self.passed.get(name, 0) + 1
        return function(*args, **options)

    def _factor(self, w: Any) -> Any:
        # a parameter has cells of its own; what is computed from data is written for each product
        source = w if w._base is None else w._base
        if not isinstance(source, torch.nn.Parameter):
            return self.engine
        found = self._cells.get(id(source))
        if found is None:
            name = f"parameter {len(self._cells)}"
            found = self._cells[id(source)] = (source, LayerCells(self.engine, name))
        return found[1]

    def _matrices(self, x: Any, w: Any, factor: Any = None) -> Any:
        # (..., K) by (K, N)
        self.products += 1
        return recorded_product(self._factor(w) if factor is None else factor, x, w)

    def matmul(self, a: Any, b: Any) -> Any:
        """Return ``torch.matmul(a, b)``, read from crossbars."""
        if not (a.is_floating_point() and b.is_floating_point()) or a.ndim == 0 or b.ndim == 0:
            return torch.matmul(a, b)
        if a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
            return torch.matmul(a, b)  # torch has the message
        if b.ndim == 1:
            return self._matrices(a, b[:, None])[..., 0]
        if b.ndim == 2:
            return self._matrices(a, b)
        left = a[None, :] if a.ndim == 1 else a
        batch: Any = torch.broadcast_shapes(left.shape[:-2], b.shape[:-2])  # type: ignore[no-untyped-call]
        xs = left.expand(*batch, *left.shape[-2:]).reshape(-1, *left.shape[-2:])
        ws = b.expand(*batch, *b.shape[-2:]).reshape(-1, *b.shape[-2:])
        parts = [self._matrices(x, w, self.engine) for x, w in zip(xs, ws, strict=True)]
        shape = (*batch, left.shape[-2], b.shape[-1])
        y = torch.stack(parts).reshape(shape) if parts else left.new_zeros(shape)
        return y[..., 0, :] if a.ndim == 1 else y

    def _linear(self, input: Any, weight: Any, bias: Any = None) -> Any:
        y = self.matmul(input, weight.mT if weight.ndim > 1 else weight)
        return y if bias is None else y + bias

    def _added(self, input: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
        y = self.matmul(a, b)
        y = y if alpha == 1 else alpha * y
        return y if beta == 0 else y + (input if beta == 1 else beta * input)

    def _tensordot(self, a: Any, b: Any, dims: Any = 2) -> Any:
        if isinstance(dims, torch.Tensor):
            dims = dims.tolist()
        if isinstance(dims, int):
            over_a, over_b = list(range(a.ndim - dims, a.ndim)), list(range(dims))
        else:
            over_a, over_b = ([axis % each.ndim for axis in axes] for each, axes in zip((a, b), dims, strict=True))
        free_a = [axis for axis in range(a.ndim) if axis not in over_a]
        free_b = [axis for axis in range(b.ndim) if axis not in over_b]
        depth = math.prod(b.shape[axis] for axis in over_b)
        x = a.permute([*free_a, *over_a]).reshape(-1, depth)
        w = b.permute([*over_b, *free_b]).reshape(depth, -1)
        return self.matmul(x, w).reshape([a.shape[i] for i in free_a] + [b.shape[i] for i in free_b])

    def _inner(self, a: Any, b: Any) -> Any:
        if a.ndim == 0 or b.ndim == 0:
            return torch.inner(a, b)
        return self._tensordot(a, b, ([a.ndim - 1], [b.ndim - 1]))

    def _einsum(self, equation: Any, *operands: Any) -> Any:
        if not isinstance(equation, str):
            fail(TypeError, "torch.einsum on crossbars takes an equation, such as 'ij,jk->ik'")
        tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
        if len(tensors) != 2:
            return torch.einsum(equation, *tensors) if len(tensors) == 1 else self._chain(equation, list(tensors))
        return self._pair(equation.replace(" ", ""), *tensors)

    def _chain(self, equation: str, tensors: list[Any]) -> Any:
        # from the left, two by two; every letter that is still needed is kept
        left, _, out = equation.replace(" ", "").partition("->")
        terms = left.split(",")
        if "->" not in equation or "." in equation:
            fail(TypeError, f"torch.einsum({equation!r}) of more than two tensors needs '->' and letters alone here")
        while len(tensors) > 1:
            rest = set(out).union(*terms[2:])
            kept = "".join(dict.fromkeys(letter for letter in terms[0] + terms[1] if letter in rest))
            result = out if len(tensors) == 2 else kept
            y = self._pair(f"{terms[0]},{terms[1]}->{result}", *tensors[:2])
            tensors, terms = [y, *tensors[2:]], [result, *terms[2:]]
        return tensors[0]

    def _pair(self, equation: str, a: Any, b: Any) -> Any:
        left, arrow, out = equation.partition("->")
        first, second = left.split(",")
        if "." in equation:
            dots = max(a.ndim - len(first.replace("...", "")), b.ndim - len(second.replace("...", "")))
            names = "".join(chr(0x3B1 + k) for k in range(dots))  # letters that no equation has

            def spelled(term: str, ndim: int | None = None) -> str:
                count = dots if ndim is None else ndim - len(term.replace("...", ""))
                return term.replace("...", names[dots - count :])

            first, second, out = spelled(first, a.ndim), spelled(second, b.ndim), spelled(out)
        if not arrow:
            every = first + second
            out = "".join(sorted(letter for letter in set(every) if every.count(letter) == 1))
        if len(set(first)) < len(first) or len(set(second)) < len(second):
            fail(TypeError, f"torch.einsum({equation!r}): diagonals are no products: take them before")
        a, first = _summed(a, first, set(second) | set(out))
        b, second = _summed(b, second, set(first) | set(out))
        batch = [letter for letter in first if letter in second and letter in out]
        inner = [letter for letter in first if letter in second and letter not in out]
        rows = [letter for letter in first if letter not in second]
        cols = [letter for letter in second if letter not in first]
        if not inner:
            return torch.einsum(f"{first},{second}->{out}", a, b)  # nothing is summed
        sizes = dict(zip(first + second, (*a.shape, *b.shape), strict=True))

        def size(letters: list[str]) -> int:
            return math.prod(sizes[letter] for letter in letters)

        x = a.permute([first.index(letter) for letter in batch + rows + inner])
        w = b.permute([second.index(letter) for letter in batch + inner + cols])
        lead = [sizes[letter] for letter in batch]
        y = self.matmul(x.reshape(*lead, size(rows), size(inner)), w.reshape(*lead, size(inner), size(cols)))
        found = batch + rows + cols
        return y.reshape([sizes[letter] for letter in found]).permute([found.index(letter) for letter in out])

    def _attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Any:
        if enable_gqa:
            key, value = (each.repeat_interleave(query.shape[-3] // each.shape[-3], -3) for each in (key, value))
        scores = self.matmul(query, key.mT) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
        if is_causal:
            seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
            scores = scores.masked_fill(~seen, -math.inf)
        if attn_mask is not None:
            masked = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -math.inf) if masked else scores + attn_mask
        return self.matmul(torch.dropout(torch.softmax(scores, -1), dropout_p, True), value)

    def _conv2d(
        self,
        input: Any,
        weight: Any,
        bias: Any = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> Any:
        if padding == "valid":
            padding = 0
        if groups != 1 or isinstance(padding, str) or input.ndim != 4:
            msg = (
                "torch.conv2d with groups, padding='same' or without a batch is sent to crossbars by a converted layer"
            )
            fail(TypeError, f"{msg} only: use mpimpy.nn.convert_(model, engine)")
        kernel, around = tuple(weight.shape[2:]), _two(padding)
        window = Window(kernel, _two(stride), _two(dilation), around, around)
        positions = window.positions(tuple(input.shape[2:]))
        patches = window.patches(input, tuple((0, size) for size in positions))
        x = patches.reshape(input.shape[0], math.prod(positions), -1)
        y = self._matrices(x, weight.reshape(weight.shape[0], -1).mT, self._factor(weight)).mT
        y = y.reshape(*y.shape[:2], *positions)
        return y if bias is None else y + bias[:, None, None]


def _two(value: Any) -> tuple[int, int]:
    found = (value, value) if isinstance(value, int) else tuple(value)
    return found if len(found) == 2 else (found[0], found[0])


def _summed(tensor: Any, letters: str, needed: set[str]) -> tuple[Any, str]:
    # letters of one operand alone that the result does not have are summed before
    axes = [axis for axis, letter in enumerate(letters) if letter not in needed]
    return (tensor.sum(axes) if axes else tensor), "".join(letter for letter in letters if letter in needed)


_Handler = Callable[..., Any]
_PRODUCTS: dict[Any, _Handler] = {
    F.linear: crossbars._linear,
    torch.matmul: crossbars.matmul,
    torch.linalg.matmul: crossbars.matmul,
    torch.Tensor.matmul: crossbars.matmul,
    torch.Tensor.__matmul__: crossbars.matmul,
    torch.Tensor.__rmatmul__: lambda self, b, a: self.matmul(a, b),
    **dict.fromkeys(
        (
            torch.mm,
            torch.Tensor.mm,
            torch.bmm,
            torch.Tensor.bmm,
            torch.mv,
            torch.Tensor.mv,
            torch.dot,
            torch.Tensor.dot,
        ),
        crossbars.matmul,
    ),
    **dict.fromkeys(
        (torch.addmm, torch.Tensor.addmm, torch.baddbmm, torch.Tensor.baddbmm, torch.addmv, torch.Tensor.addmv),
        crossbars._added,
    ),
    torch.functional.einsum: crossbars._einsum,
    torch.functional.tensordot: crossbars._tensordot,
    torch.inner: crossbars._inner,
    torch.Tensor.inner: crossbars._inner,
    F.scaled_dot_product_attention: crossbars._attention,
    F.conv2d: crossbars._conv2d,
}

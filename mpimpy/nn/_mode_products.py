"""Products of matrices and vectors of `mpimpy.nn.crossbars`, each as products (..., K) by (K, N)."""

import math
from typing import Any

import torch

from ..checks import fail

__all__ = ["addbmm", "added", "attention", "dot", "inner", "linear", "matmul", "pair_of", "tensordot", "vecdot"]


def matmul(mode: Any, a: Any, b: Any) -> Any:
    """Return ``torch.matmul(a, b)``."""
    if a.ndim == 0 or b.ndim == 0 or a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        return torch.matmul(a, b)  # torch has the message
    if b.ndim == 1:
        return mode.product(a, b[:, None])[..., 0]
    if b.ndim == 2:
        return mode.product(a, b)
    left = a[None, :] if a.ndim == 1 else a
    batch: Any = torch.broadcast_shapes(left.shape[:-2], b.shape[:-2])  # type: ignore[no-untyped-call]
    xs = left.expand(*batch, *left.shape[-2:]).reshape(-1, *left.shape[-2:])
    ws = b.expand(*batch, *b.shape[-2:]).reshape(-1, *b.shape[-2:])
    parts = [mode.product(x, w, mode.engine) for x, w in zip(xs, ws, strict=True)]
    shape = (*batch, left.shape[-2], b.shape[-1])
    y = torch.stack(parts).reshape(shape) if parts else left.new_zeros(shape)
    return y[..., 0, :] if a.ndim == 1 else y


def pair_of(function: Any, axes: tuple[int, int]) -> Any:
    """Return the handler of a function like ``torch.mm``, which takes two tensors with so many axes."""

    def handle(mode: Any, a: Any, b: Any) -> Any:
        if (a.ndim, b.ndim) != axes or (axes == (3, 3) and a.shape[0] != b.shape[0]):
            return function(a, b)  # torch has the message
        return matmul(mode, a, b)

    return handle


def linear(mode: Any, input: Any, weight: Any, bias: Any = None) -> Any:
    """Return ``torch.nn.functional.linear``."""
    y = matmul(mode, input, weight.mT if weight.ndim > 1 else weight)
    return y if bias is None else y + bias


def added(mode: Any, input: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """Return ``beta * input + alpha * (a @ b)``."""
    y = matmul(mode, a, b)
    y = y if alpha == 1 else alpha * y
    return y if beta == 0 else y + (input if beta == 1 else beta * input)


def addbmm(mode: Any, input: Any, a: Any, b: Any, *, beta: float = 1, alpha: float = 1) -> Any:
    """Return ``beta * input + alpha * sum(a[i] @ b[i])``: one product, whose inner axis has all samples."""
    if a.ndim != 3 or b.ndim != 3 or a.shape[0] != b.shape[0] or a.shape[2] != b.shape[1]:
        return torch.addbmm(input, a, b, beta=beta, alpha=alpha)  # torch has the message
    return added(mode, input, a.transpose(0, 1).flatten(1), b.flatten(0, 1), beta=beta, alpha=alpha)


def tensordot(mode: Any, a: Any, b: Any, dims: Any = 2) -> Any:
    """Return ``torch.tensordot``."""
    if isinstance(dims, torch.Tensor):
        dims = dims.tolist()
    if isinstance(dims, int):
        over_a, over_b = list(range(a.ndim - dims, a.ndim)), list(range(dims))
    else:
        over_a, over_b = ([axis % each.ndim for axis in axes] for each, axes in zip((a, b), dims, strict=True))
    if not over_a or [a.shape[i] for i in over_a] != [b.shape[i] for i in over_b]:
        return torch.tensordot(a, b, dims)  # nothing is summed, or torch broadcasts an axis or has the message
    free_a = [axis for axis in range(a.ndim) if axis not in over_a]
    free_b = [axis for axis in range(b.ndim) if axis not in over_b]
    depth = math.prod(b.shape[axis] for axis in over_b)
    x = a.permute([*free_a, *over_a]).reshape(-1, depth)
    w = b.permute([*over_b, *free_b]).reshape(depth, -1)
    return matmul(mode, x, w).reshape([a.shape[i] for i in free_a] + [b.shape[i] for i in free_b])


def inner(mode: Any, a: Any, b: Any) -> Any:
    """Return ``torch.inner``."""
    if a.ndim == 0 or b.ndim == 0:
        return torch.inner(a, b)
    return tensordot(mode, a, b, ([a.ndim - 1], [b.ndim - 1]))


def dot(mode: Any, a: Any, b: Any) -> Any:
    """Return ``torch.dot`` of real vectors, which is ``torch.vdot``."""
    return torch.dot(a, b) if (a.ndim, b.ndim) != (1, 1) else matmul(mode, a, b)


def vecdot(mode: Any, x: Any, y: Any, *, dim: int = -1) -> Any:
    """Return ``torch.linalg.vecdot`` of real tensors: a product for each vector."""
    x, y = torch.broadcast_tensors(x, y)  # type: ignore[no-untyped-call]
    x, y = (each.movedim(dim, -1) for each in (x, y))
    return matmul(mode, x.unsqueeze(-2), y.unsqueeze(-1))[..., 0, 0]


def attention(
    mode: Any,
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    """Return ``torch.nn.functional.scaled_dot_product_attention``: two products for each head of each sample."""
    if attn_mask is not None and type(attn_mask) not in (torch.Tensor, torch.nn.Parameter):
        kind = type(attn_mask).__name__
        fail(TypeError, f"attn_mask is a {kind}, which crossbars do not take: give a tensor of bool or of floats")
    if attn_mask is not None and is_causal:
        fail(RuntimeError, "attn_mask and is_causal=True are two masks: give one of them")
    if enable_gqa:
        key, value = (each.repeat_interleave(query.shape[-3] // each.shape[-3], -3) for each in (key, value))
    scores = matmul(mode, query, key.mT) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
    if is_causal:
        seen = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
        scores = scores.masked_fill(~seen, -math.inf)
    weights_of_none: Any = None
    if attn_mask is not None:
        masked = attn_mask.dtype == torch.bool
        scores = scores.masked_fill(~attn_mask, -math.inf) if masked else scores + attn_mask
        weights_of_none = (scores == -math.inf).all(-1, keepdim=True)
    weights = torch.softmax(scores, -1)
    if weights_of_none is not None:  # a query that may see nothing gets zeros, as torch gives
        weights = weights.masked_fill(weights_of_none, 0.0)
    return matmul(mode, torch.dropout(weights, dropout_p, True), value)

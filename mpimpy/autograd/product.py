"""The product as one operation of torch: recorded, differentiated, compiled, and mapped over batches.

The product itself is a call of plain values, which torch cannot see into. Three doors lead to it: a function with a
gradient for eager code, under the transforms of torch.func too, and operators for code that is compiled or exported.
A graph names the factor by its slot, and the read by a tensor, so that neither makes torch compile anew.
"""

from functools import partial
from typing import Any

import torch

from ..arrays import only_shapes, own_operations, traced_by_torch
from ..checks import fail
from .recall import number_of
from .slots import Asked, factor_in

__all__ = ["multiply", "next_read"]

_TICK = torch.zeros((), dtype=torch.int64)  # every count changes it, so a compiler keeps counts in their order


def _result(x: Any, w: Any) -> Any:
    dtype = torch.promote_types(x.dtype, w.dtype)
    return dtype if dtype.is_floating_point else torch.get_default_dtype()


def _values(tensor: Any) -> Any:
    # detached tensors keep a forward-mode tangent
    forward = torch.autograd.forward_ad
    return forward.unpack_dual(tensor).primal.detach() if forward._current_level >= 0 else tensor.detach()  # type: ignore[no-untyped-call]


def _product(factor: Any, x: Any, w: Any, asked: Asked) -> Any:
    with own_operations():
        return factor._multiply_values(_values(x), _values(w), asked).contiguous()


def _floating(tensor: Any, like: Any) -> Any:
    return tensor.to(like.dtype if like.dtype.is_floating_point else torch.get_default_dtype())


def _inputs(factor: Any, x: Any) -> tuple[Any, Any]:
    seen, beyond = factor._inputs_seen(_values(x))
    return _floating(seen, x).contiguous(), beyond.contiguous()


def _weights(factor: Any, w: Any, asked: Asked) -> tuple[Any, Any]:
    seen, beyond = factor._weights_seen(_values(w), asked)
    return _floating(seen, w).contiguous(), beyond.contiguous()


def _gradients(upstream: Any, operands: Any, needed: Any, clipped: bool, seen: Any) -> tuple[Any, Any]:
    # of the inputs and of the weights; `seen` are functions that give each as the product met it, and what lies beyond
    x, w = operands
    # each operand is quantised once, and only where it is asked for
    nothing: tuple[Any, Any] = (None, None)
    of_x, beyond_x = seen[0]() if needed[1] or clipped else nothing
    of_w, beyond_w = seen[1]() if needed[0] or clipped else nothing
    grad_x = grad_w = None
    if needed[0]:
        grad_x = (upstream @ of_w.to(upstream.dtype).mT).to(x.dtype)
        grad_x = grad_x.masked_fill(beyond_x, 0) if clipped else grad_x
    if needed[1]:
        flat = of_x.reshape(-1, of_x.shape[-1]).to(upstream.dtype)
        grad_w = (flat.mT @ upstream.reshape(-1, upstream.shape[-1])).to(w.dtype)
        grad_w = grad_w.masked_fill(beyond_w, 0) if clipped else grad_w
    return grad_x, grad_w


# --- operators, for graphs -------------------------------------------------------------------------------------------


@torch.library.custom_op("mpimpy::count", mutates_args=("tick",))
def _count_op(tick: torch.Tensor, slot: int) -> torch.Tensor:
    tick += 1
    return torch.tensor(factor_in(slot)._count(), dtype=torch.int64)


@_count_op.register_fake
def _(tick: Any, slot: int) -> Any:
    return torch.empty((), dtype=torch.int64)


@torch.library.custom_op("mpimpy::product", mutates_args=())
def _product_op(
    x: torch.Tensor,
    w: torch.Tensor,
    read: torch.Tensor,
    step: torch.Tensor,
    slot: int,
    columns: int,
    first_row: int,
    gradient: str,
) -> torch.Tensor:
    y: torch.Tensor = _product(factor_in(slot), x, w, Asked(int(read), int(step), first_row, True))
    return y


@_product_op.register_fake
def _(x: Any, w: Any, read: Any, step: Any, slot: int, columns: int, first_row: int, gradient: str) -> Any:
    return x.new_empty((*x.shape[:-1], columns), dtype=_result(x, w))


@torch.library.custom_op("mpimpy::inputs_seen", mutates_args=())
def _inputs_op(x: torch.Tensor, slot: int) -> tuple[torch.Tensor, torch.Tensor]:
    return _inputs(factor_in(slot), x)


@_inputs_op.register_fake
def _(x: Any, slot: int) -> Any:
    seen = _floating(torch.empty_like(x, memory_format=torch.contiguous_format), x)
    return seen, x.new_empty(x.shape, dtype=torch.bool)


@torch.library.custom_op("mpimpy::weights_seen", mutates_args=())
def _weights_op(
    w: torch.Tensor, step: torch.Tensor, slot: int, rows: int, columns: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return _weights(factor_in(slot), w, Asked(0, int(step), 0, True))


@_weights_op.register_fake
def _(w: Any, step: Any, slot: int, rows: int, columns: int) -> Any:
    seen = w.new_empty((rows, columns))
    return _floating(seen, w), seen.new_empty(seen.shape, dtype=torch.bool)


def _setup_seen(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.dtype = inputs[0].dtype
    ctx.mark_non_differentiable(output[1])


def _backward_seen(ctx: Any, upstream: Any, _: Any) -> Any:
    # rounding passes gradients on
    return upstream.to(ctx.dtype), *(None,) * (len(ctx.needs_input_grad) - 1)


_inputs_op.register_autograd(_backward_seen, setup_context=_setup_seen)
_weights_op.register_autograd(_backward_seen, setup_context=_setup_seen)


def _setup_product(ctx: Any, inputs: Any, output: Any) -> None:
    x, w, _, step, ctx.slot, ctx.columns, _, ctx.gradient = inputs
    ctx.save_for_backward(x, w, step)


def _backward_product(ctx: Any, upstream: Any) -> Any:
    x, w, step = ctx.saved_tensors

    def inputs() -> Any:
        return _inputs_op(x, ctx.slot)

    def weights() -> Any:
        return _weights_op(w, step, ctx.slot, x.shape[-1], ctx.columns)

    found = _gradients(upstream, (x, w), ctx.needs_input_grad[:2], ctx.gradient == "clipped", (inputs, weights))
    return *found, *(None,) * 6


_product_op.register_autograd(_backward_product, setup_context=_setup_product)


def _lead(x: Any, dim: Any) -> Any:
    # the batch in front, and vectors as matrices of one row, so that blocks of inputs stay those of one sample
    x = x.movedim(dim, 0)
    return x.unsqueeze(1) if x.ndim == 2 else x


def _refuse_batches_of_weights(dim: Any) -> None:
    if dim is not None:
        msg = "torch.vmap over the weights would be a chip for each sample: program them one by one, and vmap over x"
        fail(ValueError, msg)


@_product_op.register_vmap
def _(info: Any, in_dims: Any, x: Any, w: Any, *rest: Any) -> Any:
    _refuse_batches_of_weights(in_dims[1])
    y: Any = _product_op(_lead(x, in_dims[0]), w, *rest)
    return (y.squeeze(1) if x.ndim == 2 else y), 0


@_inputs_op.register_vmap
def _(info: Any, in_dims: Any, x: Any, slot: int) -> Any:
    seen, beyond = _inputs_op(_lead(x, in_dims[0]), slot)
    return (seen.reshape(x.movedim(in_dims[0], 0).shape), beyond.reshape(x.movedim(in_dims[0], 0).shape)), (0, 0)


# --- a function with a gradient, for eager code ----------------------------------------------------------------------


class _Handle:
    # a factor as torch's own functions take it: they would ask a matrix for its __torch_function__

    __slots__ = ("factor",)

    def __init__(self, factor: Any) -> None:
        self.factor = factor


def _transformed() -> bool:
    # a transform of torch.func is at work, or a forward-mode gradient
    transforms: bool = torch._C._are_functorch_transforms_active()
    return transforms or torch.autograd.forward_ad._current_level >= 0


def _apply(function: Any, *given: Any) -> Any:
    return function.apply(*given)


def _seen(operand: Any, factor: Any, asked: Asked | None) -> Any:
    # an operand as `_Seen` gives it; without a record where torch makes none
    if _transformed() or (torch.is_grad_enabled() and operand.requires_grad):
        return _apply(_Seen, operand, _Handle(factor), asked)
    return _inputs(factor, operand) if asked is None else _weights(factor, operand, asked)


def _recorded(factor: Any, x: Any, w: Any, asked: Asked) -> Any:
    # the product in eager code, by the cheapest way that torch can differentiate
    if _transformed():
        return _apply(_Product, x, w, _Handle(factor), asked)
    if torch.is_grad_enabled() and (x.requires_grad or w.requires_grad):
        return _apply(_Eager, x, w, _Handle(factor), asked)
    return _product(factor, x, w, asked)


class _Seen(torch.autograd.Function):
    # an operand as the digits or the cells hold it, with the gradient of the operand itself

    @staticmethod
    def forward(operand: Any, handle: _Handle, asked: Asked | None) -> Any:
        return _inputs(handle.factor, operand) if asked is None else _weights(handle.factor, operand, asked)

    @staticmethod
    def setup_context(context: Any, inputs: Any, output: Any) -> None:
        context.mark_non_differentiable(output[1])
        context.operand = inputs[0].dtype

    @staticmethod
    def backward(context: Any, upstream: Any, _: Any) -> Any:
        return upstream.to(context.operand), None, None

    @staticmethod
    def jvp(context: Any, tangent: Any, *_: Any) -> Any:
        return tangent.clone(), None

    @staticmethod
    def vmap(info: Any, in_dims: Any, operand: Any, handle: _Handle, asked: Asked | None) -> Any:
        if asked is not None:
            _refuse_batches_of_weights(in_dims[0])
        shape = operand.movedim(in_dims[0], 0).shape
        seen, beyond = _apply(_Seen, _lead(operand, in_dims[0]), handle, asked)
        return (seen.reshape(shape), beyond.reshape(shape)), (0, 0)


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(x: Any, w: Any, handle: _Handle, asked: Asked) -> Any:
        return _product(handle.factor, x, w, asked)

    @staticmethod
    def setup_context(context: Any, inputs: Any, output: Any) -> None:
        x, w, context.handle, context.asked = inputs
        context.save_for_backward(x, w)
        context.save_for_forward(x, w)

    @staticmethod
    def _seen(context: Any, x: Any, w: Any, which: int) -> Any:
        factor = context.handle.factor
        return _seen(x, factor, None) if which == 0 else _seen(w, factor, context.asked)

    @staticmethod
    def backward(context: Any, upstream: Any) -> Any:
        x, w = context.saved_tensors
        seen = [partial(_Product._seen, context, x, w, which) for which in (0, 1)]
        clipped = context.handle.factor.gradient == "clipped"
        return *_gradients(upstream, (x, w), context.needs_input_grad[:2], clipped, seen), *(None,) * 2

    @staticmethod
    def jvp(context: Any, of_x: Any, of_w: Any, *_: Any) -> Any:
        x, w = context.saved_tensors
        total = None
        for which, tangent in ((0, of_x), (1, of_w)):
            if tangent is None or (which == 1 and w.ndim != 2):  # a fixed matrix has no tangent
                continue
            other, _ = _Product._seen(context, x, w, 1 - which)
            if context.handle.factor.gradient == "clipped":
                tangent = tangent.masked_fill(_Product._seen(context, x, w, which)[1], 0)
            other = other.to(_result(x, w))
            term = tangent.to(other.dtype) @ other if which == 0 else other @ tangent.to(other.dtype)
            total = term if total is None else total + term
        return total

    @staticmethod
    def vmap(info: Any, in_dims: Any, x: Any, w: Any, *rest: Any) -> Any:
        _refuse_batches_of_weights(in_dims[1])
        y = _apply(_Product, _lead(x, in_dims[0]), w, *rest)
        return (y.squeeze(1) if x.ndim == 2 else y), 0


class _Eager(torch.autograd.Function):
    # the same outside of transforms: at each call of a function with `setup_context`, torch looks up its signature

    @staticmethod
    def forward(context: Any, x: Any, w: Any, handle: _Handle, asked: Asked) -> Any:
        context.handle, context.asked = handle, asked
        context.save_for_backward(x, w)
        return _product(handle.factor, x, w, asked)

    @staticmethod
    def backward(context: Any, upstream: Any) -> Any:
        return _Product.backward(context, upstream)


# --- the door --------------------------------------------------------------------------------------------------------


def _autocast(x: Any) -> Any:
    # dtype that torch.autocast gives a product, or None
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    if not x.is_floating_point() or x.dtype == torch.float64:
        return None
    return torch.get_autocast_dtype(kind)


def _unseen(x: Any) -> bool:
    # a plain tensor, and nothing of torch's at work that would see or change the product, but gradients
    if type(x) is not torch.Tensor or torch.compiler.is_compiling():
        return False
    return not (torch._C._len_torch_dispatch_stack() or torch._C._is_any_autocast_enabled())


def next_read(factor: Any, *tensors: Any) -> Any:
    """Return the code of a factor's next read, and count it: an int, or a tensor where torch traces `tensors`."""
    return _next(factor, tensors[0], traced_by_torch(*tensors))


def _next(factor: Any, x: Any, traced: bool) -> Any:
    return _count_op(_TICK, factor._slot) if traced else number_of(factor, x)


def multiply(factor: Any, x: Any, w: Any, read: Any = None, *, step: Any = False, first_row: int = 0) -> Any:
    """Return the product of inputs and the factor in a slot, with a gradient where torch records one.

    Parameters
    ----------
    factor : Factor
        Its `shape` is (K, N), or it has none and `w` has.
    x : tensor, shape (..., K)
    w : tensor, shape (K, N) or (0,)
        Weights, to program or to give a gradient to; or an empty tensor of the dtype that the factor's count as.
    read : int or int64 tensor, optional
        Code of the read; by default the factor's next one.
    step : bool, int or int64 tensor
        Number of the training step, from 1, for a factor that is written anew in each; True: the read is a step of
        its own; False: there are none.
    first_row : int

    Returns
    -------
    tensor, shape (..., N)
    """
    if _unseen(x):
        number = number_of(factor, x) if read is None else int(read)
        asked = Asked(number, int(number + 1 if step is True else step), first_row, False)
        return _recorded(factor, x, w, asked)
    dtype = _autocast(x)
    if dtype is not None:
        x = x.to(dtype)
    columns = w.shape[1] if w.ndim == 2 else factor.shape[1]
    if only_shapes(x):
        return x.new_empty((*x.shape[:-1], columns), dtype=_result(x, w) if dtype is None else dtype)
    traced = traced_by_torch(x, w)
    number = _next(factor, x, traced) if read is None else read
    at = number + 1 if step is True else step
    if traced:
        codes = (torch.as_tensor(code, dtype=torch.int64) for code in (number, at))
        y = _product_op(x, w, *codes, factor._slot, columns, first_row, factor.gradient)
    else:
        asked = Asked(int(number), int(at), first_row, False)
        y = _recorded(factor, x, w, asked)
    return y if dtype is None else y.to(dtype)

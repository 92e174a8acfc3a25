"""Input ranges that layers learn: inputs beyond them are clipped before they are quantised."""

from typing import Any

import torch

from ._training import InputRanges

__all__ = ["clip_inputs"]


class _Clip(torch.autograd.Function):
    # inputs inside a range; the range moves by what it clips, and shrinks while enough inputs are inside

    @staticmethod
    def forward(x: Any, bound: Any, decay: float, share: float) -> Any:
        return torch.minimum(torch.maximum(x, -bound.to(x.dtype)), bound.to(x.dtype))

    @staticmethod
    def setup_context(context: Any, inputs: Any, output: Any) -> None:
        x, bound, context.decay, context.share = inputs
        context.save_for_backward(x, bound)

    @staticmethod
    def backward(context: Any, upstream: Any) -> Any:
        x, bound = context.saved_tensors
        inside = x.abs() <= bound
        of_bound = torch.where(inside, 0, upstream * torch.sign(x)).sum().to(bound.dtype)
        enough = inside.to(bound.dtype).mean() >= context.share
        of_bound = of_bound + torch.where(enough, context.decay * bound, 0)
        return torch.where(inside, upstream, 0), of_bound.reshape(bound.shape), None, None


def clip_inputs(x: Any, bound: Any, seen: Any, settings: InputRanges, learning: bool) -> Any:
    """Return inputs clipped to a learned range, which learns.

    Parameters
    ----------
    x : tensor, shape (..., K)
    bound : Parameter, shape ()
        The range reaches from its negative to it.
    seen : int64 tensor, shape ()
        Forward passes that the range has followed the data.
    settings : InputRanges
    learning : bool
        Whether this is a forward pass in training.
    """
    if learning:
        with torch.no_grad():
            follows = seen < settings.from_data
            target = settings.sigmas * x.detach().std(correction=0).to(bound.dtype)
            mean = torch.where(seen == 0, target, bound + (target - bound) / (seen + 1))
            bound.copy_(torch.where(follows & (target > 0), mean, bound))
            seen += follows.to(seen.dtype)
    # a copy: another read of the same pass, such as that of a later time step, may move the range before the gradients
    clipped: Any = _Clip.apply(x, bound.clone(), settings.decay, settings.min_share)  # type: ignore[no-untyped-call]
    return clipped

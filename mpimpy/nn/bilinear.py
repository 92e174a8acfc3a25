"""Bilinear layers on crossbars."""

from typing import Any, ClassVar

import torch

from ..checks import fail
from ._layer import CrossbarLayer

__all__ = ["Bilinear"]


class Bilinear(CrossbarLayer, torch.nn.Bilinear):
    """``torch.nn.Bilinear`` whose products of `input2` are read from crossbars; those with `input1` are digital.

    The weight, (out, in1, in2), is written as one matrix with in2 rows and a column for each pair of output and
    element of `input1`. A read gives ``weight[o, i] @ input2`` for all of them; the sum over ``i`` of these times
    ``input1[i]`` is digital, out * in1 multiplications for a row of inputs.

    Notes
    -----
    The other mapping would apply the outer product of both inputs to in1 * in2 word lines. It takes as many cells and
    its results are as accurate, but in1 times as many conversions by DACs, and in1 * in2 digital products before these.
    Here word lines carry `input2` as the model has it. Arrays whose rows `input2` does not fill convert more columns.

    Examples
    --------
    >>> import mpimpy
    >>> layer = Bilinear.from_digital(torch.nn.Bilinear(8, 6, 4), mpimpy.DPETensor(seed=0), "pair")
    >>> layer(torch.ones(2, 8), torch.ones(2, 6)).shape
    torch.Size([2, 4])
    """

    digital: ClassVar[type] = torch.nn.Bilinear
    batch_axis: ClassVar[int | None] = None

    def _weights(self) -> dict[str, Any]:
        return {"": self.weight.flatten(0, 1).mT}

    def _clipped(self) -> list[Any]:
        return [self.weight]

    def forward(self, input1: Any, input2: Any) -> Any:
        """Return ``input1 @ weight[o] @ input2`` for each output, plus the bias, shape (..., out_features)."""
        shapes = tuple(input1.shape), tuple(input2.shape)
        if not all(shapes):
            fail(RuntimeError, f"inputs have shapes {shapes[0]} and {shapes[1]}: each needs a last dimension")
        if shapes[0][:-1] != shapes[1][:-1]:
            fail(
                RuntimeError, f"inputs have shapes {shapes[0]} and {shapes[1]}: all but the last dimension are the same"
            )
        wanted = self.in1_features, self.in2_features
        if (shapes[0][-1], shapes[1][-1]) != wanted:
            fail(RuntimeError, f"inputs have shapes {shapes[0]} and {shapes[1]}: this layer takes {wanted} features")
        self._begin()
        found = self._product(input2, self.weight.flatten(0, 1).mT)
        y = (found.unflatten(-1, (self.out_features, self.in1_features)) * input1.unsqueeze(-2)).sum(-1)
        return y if self.bias is None else y + self.bias.to(y.dtype)

"""Linear layers on crossbars."""

from typing import Any, ClassVar

import torch

from ._layer import CrossbarLayer

__all__ = ["Conv1D", "Linear"]


class Linear(CrossbarLayer, torch.nn.Linear):
    """``torch.nn.Linear`` whose product is read from crossbars; the bias is digital.

    Parameters, ``state_dict`` and arguments of `forward` are torch's. `convert_` makes it, or `from_digital`.

    Examples
    --------
    >>> import mpimpy
    >>> engine = mpimpy.DPETensor(seed=0)
    >>> layer = Linear.from_digital(torch.nn.Linear(8, 4), engine, "head")
    >>> layer(torch.ones(2, 8)).shape
    torch.Size([2, 4])
    """

    digital: ClassVar[type] = torch.nn.Linear
    batch_axis: ClassVar[int | None] = None

    def _weights(self) -> dict[str, Any]:
        return {"": self.weight.mT}

    def _clipped(self) -> list[Any]:
        return [self.weight]

    def forward(self, input: Any) -> Any:
        """Return ``input @ weight.T + bias``, shape (..., out_features)."""
        self._begin()
        y = self._product(input, self.weight.mT)
        return y if self.bias is None else y + self.bias.to(y.dtype)


class Conv1D(CrossbarLayer, torch.nn.Module):
    """The ``Conv1D`` of ``transformers``, a linear layer with a weight of shape (K, N), on crossbars.

    It is that package's class in all but the product, and the package need not be installed.

    Attributes
    ----------
    weight : Parameter, shape (K, N)
    bias : Parameter, shape (N,)

    Examples
    --------
    A class that stands for that of the package:

    >>> import mpimpy
    >>> kind = type("Conv1D", (torch.nn.Module,), {"__module__": "transformers.pytorch_utils"})
    >>> digital = kind()
    >>> digital.weight, digital.bias = (torch.nn.Parameter(torch.ones(*shape)) for shape in ((8, 4), (4,)))
    >>> layer = Conv1D.from_digital(digital, mpimpy.DPETensor(seed=0), "mlp.c_fc")
    >>> layer(torch.ones(2, 8)).shape
    torch.Size([2, 4])
    """

    digital: ClassVar[type] = torch.nn.Module
    batch_axis: ClassVar[int | None] = None
    weight: Any
    bias: Any

    @classmethod
    def _fits(cls, kind: type) -> bool:
        return kind.__name__ == "Conv1D" and kind.__module__.partition(".")[0] == "transformers"

    def _weights(self) -> dict[str, Any]:
        return {"": self.weight}

    def _clipped(self) -> list[Any]:
        return [self.weight]

    def forward(self, x: Any) -> Any:
        """Return ``x @ weight + bias``, shape (..., N)."""
        self._begin()
        y = self._product(x, self.weight)
        return y + self.bias.to(y.dtype)

    def extra_repr(self) -> str:
        """Return the shape of the weight, and the name and the seed."""
        return f"{tuple(self.weight.shape)}, name={self.name!r}, seed={self.engine.seed}"

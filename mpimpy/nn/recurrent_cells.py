"""Recurrent cells on crossbars: one time step."""

from typing import Any, ClassVar

import torch

from ..checks import fail
from ._gates import gru_gates, lstm_gates
from ._layer import CrossbarLayer
from ._step import one_step

__all__ = ["GRUCell", "LSTMCell", "RNNCell"]


class _Cell(CrossbarLayer):
    def _parts(self) -> tuple[str, ...]:
        return ("weight_ih", "weight_hh")

    def _weights(self) -> dict[str, Any]:
        return {part: getattr(self, part).mT for part in self._parts()}

    def _clipped(self) -> list[Any]:
        return [getattr(self, part) for part in self._parts()]

    def _checked(self, input: Any, states: tuple[Any, ...] | None) -> tuple[Any, tuple[Any, ...]]:
        # the input and the states, batched
        layer: Any = self
        if input.dim() not in (1, 2):
            fail(ValueError, f"input is {input.dim()}-D: a cell takes (size,) or (batch, size)")
        if input.shape[-1] != layer.input_size:
            fail(RuntimeError, f"input has {input.shape[-1]} features: this cell takes {layer.input_size}")
        wanted = (*input.shape[:-1], layer.hidden_size)
        if states is None:
            states = (input.new_zeros(wanted),) * (2 if isinstance(self, torch.nn.LSTMCell) else 1)
        for state in states:
            if tuple(state.shape) != wanted:
                fail(RuntimeError, f"a state has shape {tuple(state.shape)}: the input needs {wanted}")
        if input.dim() == 2:
            return input, states
        return input.unsqueeze(0), tuple(state.unsqueeze(0) for state in states)

    def _projected(self, input: Any, hidden: Any) -> tuple[Any, Any]:
        self._begin()
        step = one_step(self, input)
        found = []
        for x, part in ((input, "ih"), (hidden, "hh")):
            y = self._product(x, getattr(self, f"weight_{part}").mT, f"weight_{part}", step)
            bias = getattr(self, f"bias_{part}")
            found.append(y if bias is None else y + bias.to(y.dtype))
        return found[0], found[1]


class RNNCell(_Cell, torch.nn.RNNCell):
    """``torch.nn.RNNCell`` whose products are read from crossbars; biases and the nonlinearity are digital.

    In training with ``noise="step"`` each call writes fresh cells. Where calls are the time steps of one sequence,
    ``noise="frozen"`` or `RNN` keeps their cells the same.

    Examples
    --------
    >>> import mpimpy
    >>> cell = RNNCell.from_digital(torch.nn.RNNCell(8, 4), mpimpy.DPETensor(seed=0), "memory")
    >>> cell(torch.ones(2, 8)).shape
    torch.Size([2, 4])
    """

    digital: ClassVar[type] = torch.nn.RNNCell

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the hidden state after a time step, shape (batch, hidden_size) or (hidden_size,)."""
        if self.nonlinearity not in ("tanh", "relu"):
            fail(RuntimeError, f"nonlinearity={self.nonlinearity!r} is unknown: use one of 'tanh', 'relu'")
        x, states = self._checked(input, None if hx is None else (hx,))
        first, second = self._projected(x, states[0])
        y = torch.tanh(first + second) if self.nonlinearity == "tanh" else torch.relu(first + second)
        return y if input.dim() == 2 else y.squeeze(0)


class LSTMCell(_Cell, torch.nn.LSTMCell):
    """``torch.nn.LSTMCell`` whose products are read from crossbars; see `RNNCell` for training.

    Examples
    --------
    >>> import mpimpy
    >>> cell = LSTMCell.from_digital(torch.nn.LSTMCell(8, 4), mpimpy.DPETensor(seed=0), "memory")
    >>> [state.shape for state in cell(torch.ones(2, 8))]
    [torch.Size([2, 4]), torch.Size([2, 4])]
    """

    digital: ClassVar[type] = torch.nn.LSTMCell

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the hidden and the cell state after a time step, each (batch, hidden_size) or (hidden_size,)."""
        if hx is not None and not (isinstance(hx, (tuple, list)) and len(hx) == 2):
            fail(TypeError, f"hx is a {type(hx).__name__}: an LSTMCell takes two tensors, (h_0, c_0)")
        x, states = self._checked(input, None if hx is None else tuple(hx))
        first, second = self._projected(x, states[0])
        found = lstm_gates(first + second, states[1])
        return found if input.dim() == 2 else tuple(state.squeeze(0) for state in found)


class GRUCell(_Cell, torch.nn.GRUCell):
    """``torch.nn.GRUCell`` whose products are read from crossbars; see `RNNCell` for training.

    Examples
    --------
    >>> import mpimpy
    >>> cell = GRUCell.from_digital(torch.nn.GRUCell(8, 4), mpimpy.DPETensor(seed=0), "memory")
    >>> cell(torch.ones(8)).shape
    torch.Size([4])
    """

    digital: ClassVar[type] = torch.nn.GRUCell

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the hidden state after a time step, shape (batch, hidden_size) or (hidden_size,)."""
        x, states = self._checked(input, None if hx is None else (hx,))
        y = gru_gates(*self._projected(x, states[0]), states[0])
        return y if input.dim() == 2 else y.squeeze(0)

"""The digital part of gated recurrent layers."""

from typing import Any

import torch

__all__ = ["gru_gates", "lstm_gates"]


def lstm_gates(gates: Any, cell: Any) -> tuple[Any, Any]:
    """Return the hidden and the cell state of an LSTM after a time step.

    Parameters
    ----------
    gates : tensor, shape (batch, 4 * hidden_size)
        Projected input and hidden state, added: input gate, forget gate, cell, output gate.
    cell : tensor, shape (batch, hidden_size)
        State before.
    """
    into, kept, new, out = gates.chunk(4, -1)
    cell = torch.sigmoid(kept) * cell + torch.sigmoid(into) * torch.tanh(new)
    return torch.sigmoid(out) * torch.tanh(cell), cell


def gru_gates(inputs: Any, hidden: Any, state: Any) -> Any:
    """Return the state of a GRU after a time step.

    Parameters
    ----------
    inputs, hidden : tensor, shape (batch, 3 * hidden_size)
        Projected input, and projected hidden state: reset gate, update gate, new state.
    state : tensor, shape (batch, hidden_size)
        State before.
    """
    first, second = inputs.chunk(3, -1), hidden.chunk(3, -1)
    reset, update = (torch.sigmoid(first[k] + second[k]) for k in (0, 1))
    new = torch.tanh(first[2] + reset * second[2])
    return new + update * (state - new)

"""Gradients for torch tensors: that of `mpimpy.wires.transfer`, by the adjoint method.

``dT[m, n] / dg[i, j]`` is a product of two voltage drops over cell (i, j): with 1 V on word line m
alone, and with 1 V on the output of bit line n alone. So the gradient takes two solves with many
right-hand sides, in dense blocks of the bit lines' size, and records no steps. Its last bits belong
to torch's linear algebra.
"""

from collections.abc import Callable
from typing import Any

import torch

from .reference._ladder import turn

__all__ = ["transfer"]


def _drops(g: Any, voltages: Any, r_word: float, r_bit: float) -> Any:
    """Return the drops of voltage over the cells, shape (batch, rows, cols, inputs).

    `voltages` are those of the drivers, shape (batch, rows, inputs). Nothing cancels where wires
    conduct well, and resistances may be 0.
    """
    rows, cols = g.shape[1:]
    one = torch.eye(cols, dtype=g.dtype, device=g.device)
    # unit segments of a word line: the driver's, and those between cells
    line = 2 * one - torch.diag(one[0, 1:] * 0 + 1, 1) - torch.diag(one[0, 1:] * 0 + 1, -1)
    line[-1, -1] -= 1
    solved, passed, injected = [], [], []
    load = torch.zeros_like(one)  # of the rows above, as the bit lines of this one see them
    current = torch.zeros(len(g), cols, voltages.shape[2], dtype=g.dtype, device=g.device)
    for i in range(rows):
        cell = g[:, i, :, None]
        # volts on the word line per ampere times r_word, and per volt of its driver in the first column
        solved.append(torch.linalg.inv(line + r_word * (one * cell)))
        load = load + one * cell - r_word * (cell * solved[i] * cell.mT)
        current = current + cell * solved[i][:, :, :1] * voltages[:, i, None, :]
        passed.append(torch.linalg.inv(one + r_bit * load))
        injected.append(current)
        load, current = passed[i] @ load, passed[i] @ current
    bit, drops = torch.zeros_like(current), []
    for i in range(rows - 1, -1, -1):
        bit = passed[i] @ (r_bit * injected[i] + bit)
        cell = g[:, i, :, None]
        word = solved[i] @ (r_word * (cell * bit)) + solved[i][:, :, :1] * voltages[:, i, None, :]
        drops.append(word - bit)
    return torch.stack(drops[::-1], dim=1)


class _Transfer(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, conductance: Any, r_word: float, r_bit: float, function: Callable[[Any], Any]) -> Any:
        context.save_for_backward(conductance)
        context.resistances = r_word, r_bit
        return function(conductance)

    @staticmethod
    def backward(context: Any, upstream: Any) -> tuple[Any, None, None, None]:
        (g,) = context.saved_tensors
        r_word, r_bit = context.resistances
        inputs = torch.eye(g.shape[1], dtype=g.dtype, device=g.device).expand(len(g), -1, -1)
        there = _drops(g, inputs, r_word, r_bit)
        # the outputs drive, each with its upstream gradient; the inputs are the right-hand sides
        back = _drops(turn(g), upstream.mT.flip(1), r_bit, r_word)
        back = back.flip(1, 2).transpose(1, 2)
        return (there * back).sum(3), None, None, None


def transfer(conductance: Any, r_word: float, r_bit: float, function: Callable[[Any], Any]) -> Any:
    """Return ``function(conductance)``, the transfer matrices, with a gradient.

    Parameters
    ----------
    conductance : float64 tensor, shape (batch, rows, cols)
    r_word, r_bit : float
    function : function
        Computes the transfer matrices of a tensor.
    """
    return _Transfer.apply(conductance, r_word, r_bit, function)

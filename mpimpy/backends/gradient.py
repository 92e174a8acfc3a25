"""The gradient of `transfer` for torch tensors, by the adjoint method.

``dT[m, n] / dg[i, j]`` is the drop of voltage over cell (i, j) when word line m alone is driven
with 1 V, times the drop when bit line n alone is, from its output. So the gradient takes two
solves with many right-hand sides, in dense blocks of the bit lines' size, and unrolls nothing.
Its last bits belong to torch's linear algebra.
"""

import torch

from .reference._ladder import turn

__all__ = ["transfer"]


def _drops(g, voltages, r_word, r_bit):
    """Return the drops of voltage over the cells, shape (batch, rows, cols, inputs).

    `voltages` are those of the drivers, shape (batch, rows, inputs). Written so that nothing
    cancels where wires conduct well, and resistances of 0 are no exception.
    """
    rows, cols = g.shape[1:]
    one = torch.eye(cols, dtype=g.dtype, device=g.device)
    # unit segments of a word line: the driver's, and those between cells
    line = 2 * one - torch.diag(one[0, 1:] * 0 + 1, 1) - torch.diag(one[0, 1:] * 0 + 1, -1)
    line[-1, -1] -= 1
    solved, passed, injected = [], [], []
    load = torch.zeros_like(one)  # what the rows above are for the bit lines of this one
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
    def forward(context, conductance, r_word, r_bit, function):
        context.save_for_backward(conductance)
        context.resistances = r_word, r_bit
        return function(conductance)

    @staticmethod
    def backward(context, upstream):
        (g,) = context.saved_tensors
        r_word, r_bit = context.resistances
        inputs = torch.eye(g.shape[1], dtype=g.dtype, device=g.device).expand(len(g), -1, -1)
        there = _drops(g, inputs, r_word, r_bit)
        # the outputs drive, each by what the gradient asks of it; inputs are the right-hand sides
        back = _drops(turn(g), upstream.mT.flip(1), r_bit, r_word)
        back = back.flip(1, 2).transpose(1, 2)
        return (there * back).sum(3), None, None, None


def transfer(conductance, r_word, r_bit, function):
    """Return ``function(conductance)``, the transfer matrices, with a gradient.

    Parameters
    ----------
    conductance : float64 tensor, shape (batch, rows, cols)
    r_word, r_bit : float
    function : function
        What computes the transfer matrices of a tensor.
    """
    return _Transfer.apply(conductance, r_word, r_bit, function)

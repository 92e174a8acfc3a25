"""Recurrent layers on crossbars, over whole sequences."""

from typing import Any, ClassVar

import torch
from torch.nn.utils.rnn import PackedSequence

from ..checks import fail
from ._gates import gru_gates, lstm_gates
from ._layer import CrossbarLayer
from ._step import one_step

__all__ = ["GRU", "LSTM", "RNN"]


def _of_samples(state: tuple[Any, ...], first: int, end: int | None = None) -> tuple[Any, ...]:
    return tuple(each[first:end] for each in state)


def _joined(states: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return states[0] if len(states) == 1 else tuple(torch.cat(each) for each in zip(*states, strict=True))


class _Recurrent(CrossbarLayer):
    batch_axis: ClassVar[int | None] = 1  # time comes first
    # A state is a tuple of tensors, (batch, size), hidden first. Sequences are sorted by length, longest first, so
    # those that still run at a time are the first ones, as PackedSequence has them.

    def _parts(self) -> tuple[str, ...]:
        return tuple(name for name in self._flat_weights_names if name.startswith("weight"))  # type: ignore[attr-defined]

    def _weights(self) -> dict[str, Any]:
        return {part: getattr(self, part).mT for part in self._parts()}

    def _clipped(self) -> list[Any]:
        return [getattr(self, part) for part in self._parts()]

    def _affine(self, x: Any, part: str, suffix: str, step: Any) -> Any:
        # the product with weight_ih or weight_hh, and its bias
        y = self._product(x, getattr(self, f"weight_{part}_{suffix}").mT, f"weight_{part}_{suffix}", step)
        return y + getattr(self, f"bias_{part}_{suffix}").to(y.dtype) if self.bias else y  # type: ignore[attr-defined]

    def _next(self, gates: Any, state: tuple[Any, ...], suffix: str, step: Any) -> tuple[Any, ...]:
        """Return the state after a time step, of the projected inputs and the state before."""
        raise NotImplementedError

    def _onward(self, gates: list[Any], state: tuple[Any, ...], suffix: str, step: Any) -> tuple[list[Any], Any]:
        outputs, ended = [], []
        for at_time in gates:
            running = at_time.shape[0]
            if running < state[0].shape[0]:
                ended.append(_of_samples(state, running))
                state = _of_samples(state, 0, running)
            state = self._next(at_time, state, suffix, step)
            outputs.append(state[0])
        return outputs, _joined([state, *reversed(ended)])

    def _backward(self, gates: list[Any], start: tuple[Any, ...], suffix: str, step: Any) -> tuple[list[Any], Any]:
        outputs, state = [], _of_samples(start, 0, gates[-1].shape[0])
        for at_time in reversed(gates):
            before, running = state[0].shape[0], at_time.shape[0]
            if running > before:
                state = _joined([state, _of_samples(start, before, running)])
            state = self._next(at_time, state, suffix, step)
            outputs.append(state[0])
        return outputs[::-1], state

    def _layers(self, x: Any, sizes: list[int] | None, start: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        # x: (time, batch, size), or (elements, size) with the number of sequences at each time
        layer: Any = self
        step, ends = one_step(self, x), []
        for index in range(layer.num_layers):
            found = []
            for way, scan in ((0, self._onward), (1, self._backward))[: 1 + layer.bidirectional]:
                suffix, at = f"l{index}{'_reverse' * way}", index * (1 + layer.bidirectional) + way
                gates = self._affine(x, "ih", suffix, step)
                each = gates.unbind(0) if sizes is None else gates.split(sizes)
                outputs, end = scan(list(each), tuple(state[at] for state in start), suffix, step)
                found.append(torch.stack(outputs) if sizes is None else torch.cat(outputs))
                ends.append(end)
            x = torch.cat(found, -1)
            if index + 1 < layer.num_layers:
                x = torch.nn.functional.dropout(x, layer.dropout, layer.training)
        return x, tuple(torch.stack(each) for each in zip(*ends, strict=True))

    def _start(self, given: Any, data: Any, sizes: Any, batched: bool) -> tuple[Any, ...]:
        # the initial state, (layers and directions, batch, size), checked as torch does
        layer: Any = self
        pair = layer.mode == "LSTM"
        names = ("h_0", "c_0") if pair else ("h_0",)
        if given is None:
            shape = layer.get_expected_hidden_size(data, sizes)
            sides = (shape, layer.get_expected_cell_size(data, sizes)) if pair else (shape,)
            start = tuple(data.new_zeros(side) for side in sides)
        else:
            if pair and not (isinstance(given, (tuple, list)) and len(given) == 2):
                fail(TypeError, f"hx is a {type(given).__name__}: an LSTM takes two tensors, (h_0, c_0)")
            start = tuple(given) if pair else (given,)
            for name, state in zip(names, start, strict=True):
                wanted = 3 if batched else 2
                if state.dim() != wanted:
                    kind = "batched" if batched else "unbatched"
                    fail(RuntimeError, f"{name} is {state.dim()}-D: {kind} input needs a {wanted}-D one")
                if state.dtype != data.dtype and not torch.is_autocast_enabled(data.device.type):
                    fail(RuntimeError, f"{name} is {state.dtype} and the input {data.dtype}: give both one dtype")
            if not batched:
                start = tuple(state.unsqueeze(1) for state in start)
        layer.check_forward_args(data, start if pair else start[0], sizes)
        return start

    def _refuse_packed(self) -> None:
        # where processes share a batch: which sequences of the whole one are longer, none of them knows
        for cells in self._cells.values():
            if cells.shard is not None:
                what = "sequences of a PackedSequence are sorted by length"
                cells.shard.refuse_runs(cells, what, "give padded sequences, or leave it out")

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Return the outputs of all times and the final state, as torch's layer does.

        Parameters
        ----------
        input : tensor or PackedSequence
            Shape (time, batch, input_size), (batch, time, input_size) with ``batch_first``, or (time, input_size).
        hx : tensor, or two of them for an LSTM, optional
            Initial state ``h_0``, shape (layers * directions, batch, hidden_size or proj_size), and ``c_0`` of an LSTM,
            shape (layers * directions, batch, hidden_size); without the batch, if `input` has none. By default zeros.

        Returns
        -------
        output : tensor or PackedSequence
            As `input`, with hidden_size (or proj_size) * directions at the end.
        state : tensor, or two of them for an LSTM
            Shaped as `hx`.

        Raises
        ------
        TypeError, ValueError, RuntimeError
            If a shape, a dtype or a kind does not fit, or a product is refused.
        """
        layer: Any = self
        self._begin()
        packed = isinstance(input, PackedSequence)
        data, sizes = (input.data, input.batch_sizes) if packed else (input, None)
        if not packed and data.dim() not in (2, 3):
            fail(ValueError, f"input is {data.dim()}-D: give (time, size), a batch of it, or a PackedSequence")
        batched, across = packed or data.dim() == 3, 0 if layer.batch_first else 1
        if not batched:
            data = data.unsqueeze(across)
        if packed:
            self._refuse_packed()
        start = self._start(hx, data, sizes, batched)
        if packed and input.sorted_indices is not None:
            start = tuple(state.index_select(1, input.sorted_indices) for state in start)
        x = data.transpose(0, 1) if across == 0 and not packed else data
        if x.shape[0] == 0:
            fail(RuntimeError, "the input has no time steps: a recurrent layer needs one at least")
        y, end = self._layers(x, None if sizes is None else sizes.tolist(), start)
        if packed:
            y = PackedSequence(y, *input[1:])
            if input.unsorted_indices is not None:
                end = tuple(state.index_select(1, input.unsorted_indices) for state in end)
        else:
            y = y.transpose(0, 1) if across == 0 else y
            if not batched:
                y, end = y.squeeze(across), tuple(state.squeeze(1) for state in end)
        return y, (end if layer.mode == "LSTM" else end[0])


class RNN(_Recurrent, torch.nn.RNN):
    """``torch.nn.RNN`` whose products are read from crossbars; biases and nonlinearities are digital.

    Each weight matrix has cells of its own, named by its parameter. A layer projects all inputs of its sequence in one
    read, and the hidden state in a read for each time step. In training with ``noise="step"``, all time steps of one
    forward pass read the same cells. ``torch.compile`` takes recurrent layers, these as its own, into a graph if
    ``torch._dynamo.config.allow_rnn`` is set.

    Examples
    --------
    >>> import mpimpy
    >>> layer = RNN.from_digital(torch.nn.RNN(8, 4), mpimpy.DPETensor(seed=0), "memory")
    >>> y, h_n = layer(torch.ones(5, 2, 8))
    >>> y.shape, h_n.shape
    (torch.Size([5, 2, 4]), torch.Size([1, 2, 4]))
    """

    digital: ClassVar[type] = torch.nn.RNN

    def _next(self, gates: Any, state: tuple[Any, ...], suffix: str, step: Any) -> tuple[Any, ...]:
        total = gates + self._affine(state[0], "hh", suffix, step)
        return (torch.tanh(total) if self.mode == "RNN_TANH" else torch.relu(total),)


class LSTM(_Recurrent, torch.nn.LSTM):
    """``torch.nn.LSTM`` whose products are read from crossbars, that of ``proj_size`` too; see `RNN`.

    Examples
    --------
    >>> import mpimpy
    >>> layer = LSTM.from_digital(torch.nn.LSTM(8, 4, bidirectional=True), mpimpy.DPETensor(seed=0), "memory")
    >>> y, (h_n, c_n) = layer(torch.ones(5, 2, 8))
    >>> y.shape, c_n.shape
    (torch.Size([5, 2, 8]), torch.Size([2, 2, 4]))
    """

    digital: ClassVar[type] = torch.nn.LSTM

    def _next(self, gates: Any, state: tuple[Any, ...], suffix: str, step: Any) -> tuple[Any, ...]:
        hidden, cell = lstm_gates(gates + self._affine(state[0], "hh", suffix, step), state[1])
        if self.proj_size:
            hidden = self._product(hidden, getattr(self, f"weight_hr_{suffix}").mT, f"weight_hr_{suffix}", step)
        return hidden, cell


class GRU(_Recurrent, torch.nn.GRU):
    """``torch.nn.GRU`` whose products are read from crossbars; see `RNN`.

    Examples
    --------
    >>> import mpimpy
    >>> layer = GRU.from_digital(torch.nn.GRU(8, 4, num_layers=2), mpimpy.DPETensor(seed=0), "memory")
    >>> y, h_n = layer(torch.ones(5, 8))
    >>> y.shape, h_n.shape
    (torch.Size([5, 4]), torch.Size([2, 4]))
    """

    digital: ClassVar[type] = torch.nn.GRU

    def _next(self, gates: Any, state: tuple[Any, ...], suffix: str, step: Any) -> tuple[Any, ...]:
        return (gru_gates(gates, self._affine(state[0], "hh", suffix, step), state[0]),)

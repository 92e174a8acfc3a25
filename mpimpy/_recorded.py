"""A programmed matrix as a factor in what torch records."""

from abc import ABC, abstractmethod
from typing import Any, Self

from . import arrays, backends
from ._view import MatrixView
from .arrays import device_of, namespace
from .autograd.slots import COUNTED, Asked, Slotted, read_of
from .checks import as_int, fail
from .config import Config
from .crossbar.held import held_weights
from .noise import MAX_READ
from .operands import edge, encoding
from .operands.edge import Operand
from .reads import CountedReads, Read

__all__ = ["CountedFactor", "RecordedEngine", "RecordedMatrix", "quantised", "recorded_product"]


def recorded_product(factor: Any, x: Any, w: Any, read: Any = None, *, step: Any = False, first_row: int = 0) -> Any:
    """Return the product of tensors as torch records it; see `mpimpy.autograd.product.multiply`."""
    from .autograd import product  # it imports torch, which a tensor has imported already

    return product.multiply(factor, x, w, read, step=step, first_row=first_row)


def quantised(backend: Any, config: Config, operand: Operand, *, weight: bool) -> tuple[Any, Any]:
    """Return a real operand as its digits hold it, and which elements lie beyond the codes of its format.

    Parameters
    ----------
    backend : module
        A backend.
    config : Config
    operand : Operand, shape (..., M, K) or (K,), or (K, N) of weights
    weight : bool

    Returns
    -------
    values : float64 array
        Of the operand's library and shape.
    beyond : bool array
    """
    array, xp = operand.array, namespace(operand.array)
    if 0 in operand.dims:
        return xp.astype(array, xp.float64), xp.zeros(operand.shape, dtype=xp.bool, device=device_of(array))
    fmt = encoding.unsliced(config.weights if weight else config.inputs)
    block = encoding.block_shape(fmt, operand.dims[1:], config.tile.rows, weight=weight)
    values = backend.to_backend(xp.reshape(array, operand.dims))
    encoded = encoding.encode(backend, values, fmt, block)
    seen = xp.reshape(backend.from_backend(encoding.decode(encoded), array), operand.shape)
    if fmt.bw_e is None:  # the largest value of a block has the largest code
        return seen, xp.zeros(operand.shape, dtype=xp.bool, device=device_of(array))
    return seen, xp.reshape(backend.from_backend(encoding.beyond(encoded, values), array), operand.shape)


class CountedFactor(CountedReads, Slotted):
    """Factor whose reads an engine's counter numbers."""

    gradient: str

    def _count(self) -> int:
        return self._counter.next_read()[0] + COUNTED


class RecordedMatrix(MatrixView, CountedFactor):
    """Programmed matrix that torch's graphs multiply by; see `mpimpy.autograd.slots.Factor`."""

    gradient: str = "straight"
    _source: Any = None  # the tensor that it was programmed with, if that requires a gradient

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._take_slot()

    def effective(self) -> Any:
        """Return the weights that the cells hold, float64, shape (K, N).

        Write variation, stuck cells, age and the resistance of wires are in them. Read variation and converters are
        not: they belong to a read.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Device, Engine
        >>> W = Engine(Device(write_var=0.1), seed=1).program(np.eye(2))
        >>> W.effective().round(2).tolist() == W.decoded().round(2).tolist()
        False
        """
        if self.programmed is None:
            return self._empty(dtype=self._xp.float64)
        return self._public(held_weights(self._backend, self.programmed))

    def _read_values(self, x: Any, number: Read, first_row: int) -> Any:
        """Return the product of a tensor of real inputs: the face of a matrix does it."""
        raise NotImplementedError

    def _multiply_values(self, x: Any, w: Any, asked: Asked) -> Any:
        return self._read_values(x, read_of(asked.code, self), asked.first_row)

    def _inputs_seen(self, x: Any) -> tuple[Any, Any]:
        operand = edge.accept("x", x, like=self._operand, depth=self.shape[0])
        return quantised(self._backend, self.config, operand, weight=False)

    def _weights_seen(self, w: Any, asked: Asked) -> tuple[Any, Any]:
        values = self.effective() if self.gradient == "written" else self.decoded()
        beyond = self._xp.zeros(self.shape, dtype=self._xp.bool, device=self.device)
        if self.gradient == "clipped" and self._source is not None:
            beyond = quantised(self._backend, self.config, edge.accept("w", arrays.detach(w)), weight=True)[1]
        return values, beyond

    def in_stream(self, stream: str | None, reads: int = 0) -> Self:
        """Return the same with counted reads in a stream; see `mpimpy.Engine.in_stream`."""
        found = super().in_stream(stream, reads)
        found._source = self._source
        return found

    def _state(self) -> dict[str, Any]:
        return super()._state() | {"_source": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._take_slot()


class RecordedEngine(CountedFactor, ABC):
    """Engine whose products torch records: the weights are programmed for each of them."""

    config: Config
    backend: str | None

    @abstractmethod
    def program(self, w: Any) -> Any:
        """Write a matrix into crossbars: the engine does it."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._take_slot()

    def _recorded(self, x: Any, w: Any, read: int | None = None) -> Any:
        # the product of inputs and weights, (K, N), one of which is a tensor that torch records
        x, w = edge.as_tensors(x, w, "x", "w")
        if w.ndim != 2:
            fail(ValueError, f"w has shape {tuple(w.shape)}: weights are one matrix, (K, N)")
        edge.matrix_shape(x.shape, w.shape[0], "x", "w", w.shape)
        return recorded_product(self, x, w, None if read is None else as_int("read", read, 0, MAX_READ))

    def _multiply_values(self, x: Any, w: Any, asked: Asked) -> Any:
        return self.program(w)._multiply_values(x, w, asked)

    def _inputs_seen(self, x: Any) -> tuple[Any, Any]:
        operand = edge.accept("x", x)
        return quantised(backends.select(operand.array, self.backend), self.config, operand, weight=False)

    def _quantised_weights(self, w: Any) -> tuple[Any, Any]:
        operand = edge.accept("w", w)
        return quantised(backends.select(operand.array, self.backend), self.config, operand, weight=True)

    def _weights_seen(self, w: Any, asked: Asked) -> tuple[Any, Any]:
        values, beyond = self._quantised_weights(w)
        return self.program(w).effective() if self.gradient == "written" else values, beyond

"""The cells of one weight matrix of a layer: written when its weights change, read at every forward pass."""

import copy
import dataclasses
from typing import Any, NamedTuple, Protocol

import torch

from .. import noise
from ..arrays import on_card
from ..autograd.slots import COUNTED, Asked, Slotted
from ..checks import fail
from ..config import Ranges
from ..engine import Engine
from ..operands import edge
from ._changes import Kept, version_on_card
from ._flag import Flag, not_finite, spoilt
from ._shards import Shard

__all__ = ["LayerCells", "Made", "Observer", "operand_of"]


_OF_PROCESS = ("_written", "flag", "observer", "shard", "_slot")  # what no pickle has


class Made(NamedTuple):
    """A product that crossbars made.

    Attributes
    ----------
    x, w, y : tensor
        Inputs, shape (..., K), weights, shape (K, N), and their product.
    matrix : CrossbarMatrix
        The programmed weights.
    read : int
        Number of the read.
    first_row : int
        Row of the first input in a larger input matrix.
    """

    x: Any
    w: Any
    y: Any
    matrix: Any
    read: int
    first_row: int


class Observer(Protocol):
    """What looks at the products of some cells, while a report or a calibration is made."""

    def before(self, cells: "LayerCells", x: Any, w: Any) -> Any:
        """Return the product in the place of the crossbars', or None."""

    def after(self, cells: "LayerCells", made: Made) -> None:
        """See a product of the crossbars."""


@dataclasses.dataclass(frozen=True)
class _Written:
    # a matrix, and by what to see that it is still the right one
    matrix: Any
    weights: Kept
    settings: Any
    version: Any = None  # on a card: see `version_on_card`
    held: Any = None  # the weights' memory, so that no later tensor gets its address while the version is compared
    bad: Any = None  # on a card: whether they hold a NaN or an infinity


def operand_of(name: str, tensor: Any) -> Any:
    """Return a tensor as the edge takes it: on a card a flag tells of NaN, since a look would make the host wait."""
    return edge.unread(name, tensor, complex_too=name == "w") if on_card(tensor) else tensor


class LayerCells(Slotted):
    """Crossbars of one weight matrix, under a name of its own; a factor of products (`mpimpy.autograd.slots.Factor`).

    Its random numbers have the key that ``engine.program(w, name=name)`` gives, so layers never share cells or noise.

    Parameters
    ----------
    engine : Engine
        Its configuration, seed and chip hold until another one is put in its place.
    name : str

    Attributes
    ----------
    engine : Engine
    name : str
    chip : int or None
        Chip that the weights are on; None: the engine's.
    age : (float or str, bool) or None
        Time since programming and whether products are compensated, as `mpimpy.CrossbarMatrix.at` takes them.
    reads : int
        Reads made so far: the number of the next one.
    calibrated : Ranges, "full" or None
        Range of the ADCs that `mpimpy.nn.calibrate_` has found; None: it has not looked.
    observer : Observer or None
        Looks at products, and may take the place of the crossbars.
    flag : Flag
        Of operands on a card that are not finite.
    shard : Shard or None
        Part of the batch that this process has; None: all of it. A pickle has none: it may go to another process.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self.engine, self.name = engine, name
        self.chip: int | None = None
        self.age: tuple[float | str, bool] | None = None
        self.reads = 0
        self.calibrated: Ranges | str | None = None
        self.observer: Observer | None = None
        self.shard: Shard | None = None
        self._written: _Written | None = None
        self.flag = Flag()
        self._take_slot()

    @property
    def gradient(self) -> str:
        """Kind of gradient, the engine's."""
        return self.engine.gradient

    def _count(self) -> int:
        number = self.reads
        self.reads = (number + 1) % (noise.MAX_READ + 1)
        return number

    def use(self, engine: Engine) -> None:
        """Take another engine, with the range of its ADCs."""
        self.engine, self.calibrated = engine, None

    def use_range(self, found: Ranges | str) -> None:
        """Take a calibrated range of the ADCs."""
        self.engine, self.calibrated = self.engine.replace(adc={"range": found}), found

    def forget(self) -> None:
        """Write the weights anew at the next read."""
        self._written = None

    def matrix(self, w: Any, step: int = 0, traced: bool = True) -> Any:
        """Return the programmed matrix of weights: that of the last call, unless something changed.

        Parameters
        ----------
        w : tensor, shape (K, N)
        step : int
            Number of the training step whose cells are wanted, from 1; 0: those of the chip.
        traced : bool
            Whether to compare the weights themselves on a card too: a tensor of a graph has no version that tells of
            changes.

        Returns
        -------
        CrossbarMatrix
        """
        return self._matrix(w, step, traced)[0]

    def _matrix(self, w: Any, step: int, traced: bool) -> tuple[Any, Any]:
        # the matrix, and on a card whether its weights hold a NaN or an infinity
        settings, card, found = self._settings(w, step), on_card(w), self._written
        version = None if traced or not card else version_on_card(w)
        if found is not None and found.settings == settings:
            if version is not None and version == found.version:
                return found.matrix, found.bad
            # on a card, comparing makes the host wait: memory that was written to since counts as other weights
            changed = version is not None and version[0] == (found.version or (None,))[0]
            if not changed and found.weights.same(w):
                if card:
                    self._written = dataclasses.replace(found, version=version, held=w.detach())
                return found.matrix, found.bad
        matrix, bad = self._write(w, step, None if step else self.age)
        held = w.detach() if card else None
        self._written = _Written(matrix, Kept(w), settings, version, held, bad)
        return matrix, bad

    def _write(self, w: Any, step: int, age: Any = None) -> tuple[Any, Any]:
        if w.is_complex():
            held = "which is complex, and cells of layers hold real ones: give real and imaginary parts"
            fail(TypeError, f"layer {self.name!r}: its weights have dtype {w.dtype}, {held} layers of their own")
        try:
            matrix = self._program(w.detach(), step)
            matrix = matrix if age is None else matrix.at(*age)
        except (TypeError, ValueError) as error:
            fail(type(error), f"layer {self.name!r}: {error}")
        bad = not_finite(w) if on_card(w) else None
        self.flag.note("weights", bad)
        return matrix, bad

    def keep(self, matrix: Any, w: Any) -> None:
        """Take a matrix that was programmed elsewhere as that of weights, until something changes."""
        self._written = _Written(matrix, Kept(w), self._settings(w, 0))

    def _settings(self, w: Any, step: int) -> tuple[Any, ...]:
        # all but the weights that a written matrix depends on
        engine, age = self.engine, None if step else self.age
        return engine.config, engine.seed, engine.backend, self._on_chip, step, age, w.dtype, w.device

    @property
    def _on_chip(self) -> int:
        return self.engine.chip if self.chip is None else self.chip

    def _program(self, w: Any, step: int) -> Any:
        engine = self.engine
        address = engine._address(self.name, self._on_chip)
        if step:
            address = address._replace(seed=noise.derive(address.seed, "step", step))
        return engine._program(engine._weights(operand_of("w", w)), address)

    def _multiply_values(self, x: Any, w: Any, asked: Asked) -> Any:
        observer = self.observer
        if observer is not None and (found := observer.before(self, x, w)) is not None:
            return found
        matrix, bad_weights = self._matrix(w, asked.step, asked.traced)
        try:
            y = matrix._multiply_values(operand_of("x", x), w, asked)
        except (TypeError, ValueError) as error:
            fail(type(error), f"layer {self.name!r}: {error}")
        if on_card(x):
            bad = not_finite(x)
            self.flag.note("inputs", bad)
            y = spoilt(y, bad, bad_weights)
        if observer is not None:
            observer.after(self, Made(x, w, y, matrix, asked.code % COUNTED, asked.first_row))
        return y

    def _inputs_seen(self, x: Any) -> tuple[Any, Any]:
        return self.engine._inputs_seen(operand_of("x", x))

    def _weights_seen(self, w: Any, asked: Asked) -> tuple[Any, Any]:
        matrix = self.matrix(w, asked.step, asked.traced)
        values = matrix.effective() if self.gradient == "written" else matrix.decoded()
        if self.gradient != "clipped":
            return values, torch.zeros(values.shape, dtype=torch.bool, device=w.device)
        return values, self.engine._quantised_weights(operand_of("w", w))[1]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in _OF_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._written = self.observer = self.shard = None
        self.flag = Flag()
        self._take_slot()

    def __deepcopy__(self, memo: dict[int, Any]) -> "LayerCells":
        # a copy reads the same cells with the same numbers: copies of a model give the same results
        other = copy.copy(self)
        other.flag, other.shard = Flag(), self.shard
        memo[id(self)] = other
        return other

"""The work of one task: chunks come in, a part of a matrix is programmed and read into a running sum.

Each task is a frozen value that is called with the chunks: dask sends it, and calls it in a worker.
"""

import copy
import functools
import operator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._neighbours import Neighbours
from .._partial import Partial
from ..checks import fail
from ..operands import edge
from ..operands.edge import Operand

__all__ = ["Piece", "Program", "Read", "Recipe", "Survey", "merge"]


@dataclass(frozen=True)
class Piece:
    """A rectangle of an operand, out of the chunks that it touches.

    Attributes
    ----------
    name : str
        Of the operand, in messages.
    origin : (int, int)
        Row and column of its first element.
    size : (int, int)
        Its rows and columns.
    slices : (tuple of slice, tuple of slice)
        Of the chunks along each axis.
    dtype : str
        Of the chunks.
    counts_as : str or None
        Dtype that its numbers count as; None: the usual one.
    """

    name: str
    origin: tuple[int, int]
    size: tuple[int, int]
    slices: tuple[tuple[slice, ...], tuple[slice, ...]]
    dtype: str
    counts_as: str | None = None

    def gather(self, blocks: Any) -> Any:
        """Return the rectangle as one NumPy array, given the chunks as a list of rows of them.

        Raises
        ------
        TypeError
            If a chunk is no NumPy array, or not of the dtype that the dask array has.
        ValueError
            If a chunk has not the size that the dask array says.
        """
        rows = []
        for row, high in zip(blocks, self.slices[0], strict=True):
            for block in row:
                self._check(block)
            parts = [block[high, wide] for block, wide in zip(row, self.slices[1], strict=True)]
            rows.append(parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1))
        found = rows[0] if len(rows) == 1 else np.concatenate(rows, axis=0)
        if found.shape != self.size:
            msg = f"chunks of {self.name} at {self.origin} have {found.shape} elements where the array has {self.size}"
            fail(ValueError, f"{msg}: give dask the right chunks=, or meta=")
        return found

    def operand(self, blocks: Any) -> Operand:
        """Return the rectangle as an operand that has passed all checks.

        Raises
        ------
        TypeError, ValueError
            As `gather`; if an element is not finite.
        """
        array = self.gather(blocks)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            row, col = (int(each[0]) for each in np.nonzero(~np.isfinite(array)))
            at = row + self.origin[0], col + self.origin[1]
            fail(ValueError, f"{self.name} has {array[row, col]} at index {at}: every element must be finite")
        found = edge.accept(self.name, array)
        return found if self.counts_as is None else Operand(self.name, found.array, found.shape, self.counts_as)

    def _check(self, block: Any) -> None:
        if not isinstance(block, np.ndarray):
            fail(TypeError, f"a chunk of {self.name} is a {type(block).__name__}, not a NumPy array: map it to one")
        if str(block.dtype) != self.dtype:
            msg = f"a chunk of {self.name} has dtype {block.dtype}, and the dask array says {self.dtype}"
            fail(TypeError, f"{msg}: give dask the right dtype=, or meta=")


@dataclass(frozen=True, eq=False)
class Recipe:
    """A matrix that is programmed where it is read.

    Attributes
    ----------
    engine : Engine
    name, chip
        As for `mpimpy.Engine.program`.
    shape : (int, int)
        Of the whole matrix of real weights.
    time_s : float or None
        Its age, s; None: as programmed.
    """

    engine: Any
    name: str | None
    chip: int | None
    shape: tuple[int, int]
    time_s: float | None = None

    def own_engine(self) -> Any:
        """Return the engine, for one task: parts of one matrix are no neighbours of each other."""
        engine = copy.copy(self.engine)
        engine._neighbours = Neighbours()
        return engine


@dataclass(frozen=True)
class Survey:
    """Measures a piece of an operand, ``"weights"`` or ``"inputs"``, of some shape."""

    operand: str
    piece: Piece
    shape: tuple[int, int]

    def __call__(self, recipe: Recipe, blocks: Any, after: Any = None) -> Any:
        """Return the survey of the piece, in the round after that of `after`."""
        engine, part = recipe.engine, self.piece.operand(blocks)
        measure = engine.survey_weights if self.operand == "weights" else engine.survey_inputs
        return measure(part, shape=self.shape, origin=self.piece.origin, after=after)


def merge(parts: list[Any]) -> Any:
    """Return the survey of all parts."""
    return functools.reduce(operator.or_, parts)


@dataclass(frozen=True)
class Program:
    """Programs a piece of a matrix."""

    piece: Piece
    faults: Any = None

    def fresh(self, recipe: Recipe, blocks: Any, survey: Any) -> Any:
        """Return the piece as programmed."""
        w, place = self.piece.operand(blocks), {"origin": self.piece.origin, "shape": recipe.shape}
        return recipe.own_engine().program(
            w, name=recipe.name, chip=recipe.chip, survey=survey, faults=self.faults, **place
        )

    def __call__(self, recipe: Recipe, blocks: Any, survey: Any, totals: Any = None) -> Any:
        """Return the piece at its age; `totals` are those that compensate it."""
        matrix = self.fresh(recipe, blocks, survey)
        if recipe.time_s is None:
            return matrix
        return matrix.at(recipe.time_s, False if totals is None else totals)


@dataclass(frozen=True)
class Totals(Program):
    """Finds the total conductances of a piece, before and after drift."""

    def __call__(self, recipe: Recipe, blocks: Any, survey: Any, totals: Any = None) -> Any:
        """Return the totals of the piece."""
        return self.fresh(recipe, blocks, survey).totals(recipe.time_s)


@dataclass(frozen=True)
class Read:
    """Adds the product of a piece of the inputs and a part of a matrix to a running sum.

    Attributes
    ----------
    piece : Piece
    number : int
        Of the read.
    stack : int or None
        Rows of each matrix of inputs, if they are a stack of matrices.
    last : bool
        Whether no part comes after it: the product is returned.
    """

    piece: Piece
    number: int
    stack: int | None
    last: bool

    def __call__(self, before: Partial | None, blocks: Any, matrix: Any, survey: Any = None) -> Any:
        """Return the running sum, or the product."""
        x = self.piece.operand(blocks)
        if self.stack is not None:
            array = x.array.reshape(-1, self.stack, x.shape[-1])
            x = Operand(x.name, array, array.shape, x.dtype)
        # the sum before stays as it is: this task may be run once more
        into = Partial() if before is None else copy.copy(before)
        options = {} if survey is None else {"survey": survey}
        into = matrix.read(x, self.number, first_row=self.piece.origin[0], into=into, **options)
        if not self.last:
            return into
        y = into.result()
        return y.reshape(-1, y.shape[-1])

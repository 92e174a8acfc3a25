"""A matrix of complex weights: real and imaginary parts side by side on cells of their own."""

from typing import Any

from ._linear import LinearOperand, as_complex, assembled, parts_of, read_complex, read_together, refuse_into
from ._partial import Partial, add_part
from ._view import NAME
from .analysis.programming import Programming
from .analysis.report import Reads, Report, check_reads
from .arrays import lazy_of, namespace
from .checks import fail
from .config import Config
from .cost import Cost
from .cost._technology import AnyTechnology
from .crossbar.programmed import Age
from .matrix import CrossbarMatrix
from .operands import dtypes, edge
from .operands.edge import Operand
from .operands.place import check_complex
from .operands.survey import Survey

__all__ = ["ComplexMatrix", "side_by_side"]


def side_by_side(w: Operand) -> Operand:
    """Return the real and the imaginary parts of weights of shape (K, N) as a real operand of shape (K, 2 N)."""
    xp = namespace(w.array)
    parts = xp.concat(parts_of(xp, w.array), axis=1)
    return Operand(w.name, parts, tuple(parts.shape), dtypes.real_dtype(xp, w.counts_as))


class ComplexMatrix(LinearOperand):
    """Complex matrix in crossbars, written by `mpimpy.Engine.program`: a DFT, say, is written once.

    Its real parts and its imaginary parts lie side by side in one real matrix of shape (K, 2 N). The parts of
    complex inputs drive the arrays as rows of their own, and the partial products are added up digitally: the bits
    of `mpimpy.MapReducedot` for the same operands.

    Parameters
    ----------
    parts : CrossbarMatrix, shape (K, 2 N)
    prototype : complex array, shape (0,)
        An empty array of the weights' library, dtype and device.

    Attributes
    ----------
    parts : CrossbarMatrix, shape (K, 2 N)
        Columns of the real parts, then of the imaginary parts. Its views show the cells.
    shape : (int, int)
        (K, N).

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine
    >>> F = Engine(seed=1).program(np.exp(-2j * np.pi * np.outer(range(8), range(8)) / 8))
    >>> y = np.ones(8) @ F
    >>> y.dtype, y.shape
    (dtype('complex128'), (8,))
    """

    parts: CrossbarMatrix
    shape: tuple[int, int]

    def __init__(self, parts: CrossbarMatrix, prototype: Any) -> None:
        self.parts, self.shape = parts, (parts.shape[0], parts.shape[1] // 2)
        self._prototype, self._operand = prototype, Operand(NAME, prototype, self.shape)

    @property
    def T(self) -> LinearOperand:
        """The transposed matrix, without conjugation: ``x @ F.T`` reads the same cells from their bit lines."""
        return _TransposedComplex(self)

    @property
    def config(self) -> Config:
        """Settings that it was written with."""
        return self.parts.config

    @property
    def seed(self) -> int:
        """Key of its random numbers."""
        return self.parts.seed

    @property
    def chip(self) -> int:
        """Number of its chip, which names the physical cells."""
        return self.parts.chip

    @property
    def reads(self) -> int:
        """Reads made so far by the engine that programmed it: the number of the next one."""
        return self.parts.reads

    @property
    def stream(self) -> str | None:
        """Stream of the counted reads; see `mpimpy.Engine.in_stream`."""
        return self.parts.stream

    def in_stream(self, stream: str | None, reads: int = 0) -> "ComplexMatrix":
        """Return the same with counted reads in a stream; see `mpimpy.Engine.in_stream`."""
        return ComplexMatrix(self.parts.in_stream(stream, reads), self._prototype)

    @property
    def age(self) -> Age | None:
        """Age of a matrix that `at` returned; None as programmed."""
        return self.parts.age

    @property
    def device(self) -> Any:
        """Device of the weights and of the products."""
        return self.parts.device

    @property
    def tiles(self) -> tuple[int, int, int]:
        """Tiles along K, tiles along 2 N, and slices of the real matrix; see `CrossbarMatrix.tiles`."""
        return self.parts.tiles

    @property
    def programming(self) -> Programming | None:
        """Pulses and errors of verified writing, of the real matrix; see `CrossbarMatrix.programming`."""
        return self.parts.programming

    def conductance(self) -> Any:
        """Return the conductances as programmed, S, of the real matrix; see `CrossbarMatrix.conductance`.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(1j * np.eye(3)).conductance().shape
        (4, 3, 6)
        """
        return self.parts.conductance()

    def codes(self) -> Any:
        """Return the integer codes of the real and of the imaginary parts, side by side; see `CrossbarMatrix.codes`.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.array([[1 + 0.5j]])).codes().tolist()
        [[127, 127]]
        """
        return self.parts.codes()

    def decoded(self) -> Any:
        """Return the quantised weights, complex128, shape (K, N): those of ideal cells.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.array([[1 + 0.5j]])).decoded().tolist()
        [[(1+0.5j)]]
        """
        values, width = self.parts.decoded(), self.shape[1]
        return as_complex(values[:, :width], values[:, width:])

    def at(self, t: float | str, compensate: bool | float = False) -> "ComplexMatrix":
        """Return the matrix as it is at a time after programming; see `CrossbarMatrix.at`."""
        return ComplexMatrix(self.parts.at(t, compensate), self._prototype)

    def totals(self, t: float | str) -> tuple[int, int]:
        """Return the total conductances of the real matrix; see `CrossbarMatrix.totals`."""
        return self.parts.totals(t)

    def save(self, path: Any) -> None:
        """Write the matrix into a file; see `CrossbarMatrix.save`. `mpimpy.load` returns a `ComplexMatrix`."""
        self.parts._save(path, self.dtype)

    def cost(self, x: Any, technology: AnyTechnology, *, read: int = 0) -> Cost:
        """Return the energy, the latency and the area of ``x @ F``, by its real matrix; see `CrossbarMatrix.cost`."""
        return self.parts.cost(self._accept(x).array, technology, read=read)

    def report(
        self,
        x: Any = None,
        w: Any = None,
        *,
        read: int = 0,
        reads: int = 1,
        technology: AnyTechnology | None = None,
    ) -> Report:
        """Return the hardware and the error budget of the real matrix; see `CrossbarMatrix.report`.

        Parameters
        ----------
        x : array, shape (M, K), optional
            Inputs; complex ones are 2 M rows.
        w : array, shape (K, N), optional
            The weights before quantisation.
        read, reads : int
            Number of the read that is measured, and how many there are from it on.
        technology : mpimpy.cost.Technology, str, path or dict, optional
            Adds the cost of the product.
        """
        return self._report(x, w, check_reads(read, reads), technology)

    def _report(self, x: Any, w: Any, reads: Reads, technology: AnyTechnology | None = None) -> Report:
        xp = namespace(self._prototype)
        if x is not None:
            parts = parts_of(xp, self._accept(x).array)
            x = xp.concat([part[None, :] if part.ndim == 1 else part for part in parts], axis=-2)
        if w is not None:
            w = edge.accept("w", w, like=self._operand, complex_too=True)
            if w.shape != self.shape:
                fail(ValueError, f"w has shape {w.shape}, but {self.shape} was programmed")
            w = side_by_side(w).array
        return self.parts._report(x, w, reads, technology)

    def read(
        self,
        x: Any,
        read: int | None = None,
        *,
        first_row: int = 0,
        survey: Survey | None = None,
        into: Partial | None = None,
    ) -> Any:
        """Multiply inputs by the programmed matrix.

        Parameters
        ----------
        x : array, shape (..., K) or (K,)
            Inputs, real or complex; an array of the library and on the device of the weights.
        read, first_row, survey, into
            As for `CrossbarMatrix.read`.

        Returns
        -------
        complex array, shape (..., N)
            Or `into`.

        Raises
        ------
        TypeError, ValueError
            As `CrossbarMatrix.read`.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> F = Engine(seed=1).program(np.array([[1j]]))
        >>> F.read(np.array([1j])).round(1)
        array([-1.+0.j])
        """
        if (lazy := lazy_of(x)) is not None and lazy.read is not None:
            return lazy.read(self, x, read, {"first_row": first_row, "survey": survey, "into": into})
        if into is not None:
            return add_part(self, x, into, (read, first_row), survey)
        x = self._accept(x)
        if x.complex:
            check_complex(self.config, first_row, x.rows, survey)
        found = read_complex(lambda rows: self.parts.read(rows, read, first_row=first_row, survey=survey), x)
        return assembled(found, self.shape[1])

    def __repr__(self) -> str:
        return f"<ComplexMatrix {self.shape[0]} x {self.shape[1]} in {self.parts!r}>"


class _TransposedComplex(LinearOperand):
    # x @ F.T: real and imaginary parts of the inputs drive both halves of the bit lines at once

    def __init__(self, matrix: ComplexMatrix) -> None:
        self._matrix, self.shape, self.config = matrix, matrix.shape[::-1], matrix.config
        self._operand = Operand("the transposed programmed matrix", matrix._prototype, self.shape)

    @property
    def T(self) -> LinearOperand:
        return self._matrix

    def read(self, x: Any, read: int | None = None, *, first_row: int = 0, into: Any = None) -> Any:
        refuse_into(into, "the transposed face of a matrix")
        x = self._accept(x)
        xp = namespace(x.array)
        real, imaginary = (*parts_of(xp, x.array), xp.zeros_like(x.array))[:2]
        halves = [xp.concat(pair, axis=-1) for pair in ((real, -imaginary), (imaginary, real))]
        transposed = self._matrix.parts.T
        return as_complex(*read_together(lambda rows: transposed.read(rows, read, first_row=first_row), x, halves))

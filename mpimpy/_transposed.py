"""The transposed face of a programmed matrix: the same cells, read from their bit lines."""

from dataclasses import replace
from typing import Any, NoReturn

from . import arrays, converters, noise
from ._linear import LinearOperand, as_complex, read_complex, refuse_into
from ._view import MatrixView
from .arrays import namespace
from .checks import as_int, fail
from .crossbar.transposed import product_transposed, refusal, turned
from .operands import edge
from .operands.edge import Operand
from .operands.place import block_of_inputs, check_complex, check_rows
from .reads import Read

__all__ = ["TransposedMatrix", "transposed_refusal"]

NAME = "the transposed programmed matrix"


def transposed_refusal(matrix: MatrixView) -> str | None:
    """Return the reason why the cells of a programmed matrix have no transposed read, or None."""
    return refusal(matrix.config, matrix._address)


class TransposedMatrix(LinearOperand):
    """Transposed face of a programmed matrix, ``W.T``: its cells, driven on their bit lines.

    ``x @ W.T`` and ``W @ x`` read it. Cells, and read variation of a read's number, are those of ``x @ W``; the
    converters at the other lines have noise of their own. ``T`` is the matrix itself. Differential pairs have it, and
    two's complement with ideal reference columns: a column of real cells has no twin in the other direction.

    Parameters
    ----------
    matrix : CrossbarMatrix
        Of shape (K, N).

    Attributes
    ----------
    shape : (int, int)
        (N, K).
    config : Config
        Settings that the cells were written with.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine, Format
    >>> W = Engine(weights=Format(mapping="pair"), seed=1).program(np.ones((3, 2)))
    >>> (np.ones((5, 2)) @ W.T).shape
    (5, 3)
    """

    def __init__(self, matrix: Any) -> None:
        self.shape, self.config = matrix.shape[::-1], matrix.config
        self._matrix = matrix
        self._operand = Operand(NAME, matrix._prototype, self.shape)

    @property
    def T(self) -> LinearOperand:
        """The matrix whose transposed face this is."""
        found: LinearOperand = self._matrix
        return found

    @property
    def device(self) -> Any:
        """Device of the weights and of the products."""
        return self._matrix.device

    def decoded(self) -> Any:
        """Return the quantised weights, float64, shape (N, K)."""
        array = self._matrix.decoded()
        return namespace(array).matrix_transpose(array)

    def read(self, x: Any, read: int | None = None, *, first_row: int = 0, into: Any = None) -> Any:
        """Multiply inputs by the transposed matrix: they drive the bit lines.

        The columns of a tile mostly have scales of their own, which cannot be applied once their currents are added
        up on a word line. The inputs are then multiplied by them, and quantised anew for every row of tiles; blocks
        of weights that span whole tiles (granularity "per-matrix", or a multiple of the tile's columns) need no such
        thing.

        Parameters
        ----------
        x : array, shape (..., N) or (N,)
            Inputs; an array of the library and on the device of the weights. Complex ones drive the arrays with
            their imaginary parts as further rows.
        read : int, optional
            Number of this read, which addresses its noise; by default the engine's next one.
        first_row : int
            Row of the first input in a larger input matrix, for the addresses of DAC noise.
        into
            Refused: parts of a matrix have no running sum over its columns.

        Returns
        -------
        array, shape (..., K)

        Raises
        ------
        TypeError
            If the weights have an offset, wires have resistance, or reference columns hold real cells that vary:
            such cells have no transposed read. If `x` is not numeric, or of another library, or `into` is given.
        ValueError
            If its shape or device does not fit, or it holds a NaN or an infinity.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine, Format
        >>> W = Engine(weights=Format(mapping="pair"), seed=1).program(np.eye(3))
        >>> bool(np.all(W.T.read(np.ones(3), read=0) == W.T.read(np.ones(3), read=0)))
        True
        """
        refuse_into(into, "the transposed face of a matrix")
        if reason := transposed_refusal(self._matrix):
            msg = f"{reason}: program the transposed matrix, engine.program(w.T), or both, engine.operator(w)"
            raise TypeError(msg)
        x = self._accept(x)
        config = turned(self._matrix.config)
        block_of_inputs(config.inputs, config.tile.rows, x.dims, self._matrix._place.turned())
        number = self._matrix._read_number(read)
        first_row = as_int("first_row", first_row, 0, noise.MAX_ROW - 2 * x.rows)
        if first_row:
            check_rows(config.inputs, config.tile.rows, first_row, x.shape)
            if x.complex:
                check_complex(config, first_row, x.rows, None)
        parts = read_complex(lambda rows: self._multiply(rows, number, first_row), x)
        return parts[0] if len(parts) == 1 else as_complex(*parts)

    def cost(self, x: Any, technology: Any, *, read: int = 0) -> NoReturn:
        """Refused: no law with a source tells what driving bit lines takes.

        Raises
        ------
        TypeError
            Always.
        """
        fail(
            TypeError,
            "a read from the bit lines has no known cost, for the laws are those of word lines that are driven: "
            "engine.program(w.T).cost(x, technology) is that of the transposed matrix on cells of its own",
        )

    def _multiply(self, x: Operand, read: Read, first_row: int) -> Any:
        matrix, xp = self._matrix, namespace(x.array)
        dtype = edge.result_dtype(xp, x.counts_as, self._matrix._prototype.dtype, self.device)
        shape, config = (*x.shape[:-1], self.shape[1]), turned(matrix.config)
        if matrix.programmed is None or 0 in x.dims:
            return xp.zeros(shape, dtype=dtype, device=self.device)
        converters.check_addresses(config, first_row, x.rows)
        if converters.has_more_keys(config, 0, columns := matrix.origin[1] + self.shape[0]):
            msg = (
                f"the ADC noise of a transposed read has addresses for 1024 arrays side by side, and {columns} columns"
            )
            fail(ValueError, f"{msg} take more: program the transposed matrix, engine.program(w.T)")
        values = matrix._backend.to_backend(xp.reshape(x.array, x.dims))
        kernel_dtype = "float32" if dtype == xp.float32 else "float64"
        programmed, (number, stream) = matrix.programmed, read
        if stream is not None:
            programmed = replace(programmed, address=programmed.address.in_stream(stream))
        y = product_transposed(matrix._backend, programmed, values, number, first_row, kernel_dtype)
        return xp.reshape(arrays.rounded(matrix._public(y), dtype), shape)

    def __repr__(self) -> str:
        return f"<TransposedMatrix {self.shape[0]} x {self.shape[1]} of {self._matrix!r}>"

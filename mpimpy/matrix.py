"""A programmed matrix: written once, read many times."""

import dataclasses
from typing import Any

from . import arrays, backends, converters, noise
from ._costing import CostedMatrix
from ._linear import LinearOperand, as_complex, read_complex
from ._partial import Partial, add_part
from ._parts import read_surveyed
from ._recorded import recorded_product
from ._transposed import TransposedMatrix
from ._view import NAME, as_operand, backend_of
from .analysis.report import Reads, Report, check_reads, check_weights, measure
from .checks import as_int, fail
from .config import Format
from .cost._technology import AnyTechnology, as_technology
from .crossbar.explain import explain
from .crossbar.product import product
from .crossbar.programmed import Programmed
from .crossbar.small import SharedByReads
from .files import chips
from .operands import edge, encoding
from .operands.edge import Operand
from .operands.encoding import Encoded
from .operands.place import block_of_inputs, check_complex, check_rows
from .operands.survey import Survey
from .reads import Read

__all__ = ["CrossbarMatrix", "as_operand", "backend_of", "check_read", "encode_inputs", "read_codes"]


KINDS = 32  # entries of shapes and dtypes of inputs for which a matrix keeps what reads share


class CrossbarMatrix(CostedMatrix, LinearOperand):
    """Matrix in crossbars, written by `mpimpy.Engine.program`.

    ``x @ W``, ``np.matmul(x, W)``, ``np.dot(x, W)`` and ``torch.matmul(x, W)`` all read it. ``W @ x`` and
    ``x @ W.T`` read the same cells from their bit lines: those of differential pairs, or beside ideal reference
    columns.

    Attributes
    ----------
    config : Config
        Settings that it was written with.
    shape : (int, int)
        (K, N).

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine
    >>> W = Engine(seed=1).program(np.eye(3))
    >>> (np.ones(3) @ W).shape
    (3,)
    """

    _neighbours: Any = None  # asked at the first read, if this was written without a name

    @property
    def T(self) -> LinearOperand:
        """The transposed matrix: ``x @ W.T`` reads the same cells from their bit lines; see `TransposedMatrix.read`."""
        return TransposedMatrix(self)

    def _with(self, programmed: Programmed | None) -> "CrossbarMatrix":
        chip = chips.Chip(self.config, self._address, self.shape, programmed, self._whole)
        found = CrossbarMatrix(chip, self._prototype, self._backend, self._counter)
        found.gradient, found._source, found._statistics = self.gradient, self._source, self._statistics
        return found

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
            Inputs; an array of the library and on the device of the weights, or numbers, lists and tables. Complex
            ones drive the arrays with their imaginary parts as further rows.
        read : int, optional
            Number of this read, which addresses its noise; by default the engine's next one.
        first_row : int
            Row of the first input in a larger input matrix, for the addresses of DAC noise.
        survey : Survey, optional
            Scales of a larger input matrix, from `mpimpy.Engine.survey_inputs`, of which `x` is a part: the rows from
            `first_row` on, and the columns that this matrix meets by its `origin`.
        into : Partial, optional
            Running sum to add the product to, if the matrix is a part, some rows of a larger one. All parts need the
            same `read`.

        Returns
        -------
        array, shape (..., N)
            Or `into`, whose `result` is the product.

        Raises
        ------
        TypeError
            If `x` is not numeric, or of another library.
        ValueError
            If its shape or device does not fit, or it holds a NaN or an infinity; if it is a part that is known to
            share scales with others, without a `survey` of these; if `survey` is of other inputs; if the part does not
            come next in `into`, or does not belong to its product.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> W = Engine(seed=1).program(np.eye(3))
        >>> bool(np.all(W.read(np.ones(3), read=0) == W.read(np.ones(3), read=0)))
        True
        """
        if into is not None:
            return add_part(self, x, into, (read, first_row), survey)
        if survey is not None:
            return read_surveyed(self, x, read, first_row, survey)
        shared = self._known(x, arrays.plain_values(x, self._source))
        if shared is None:
            if (lazy := arrays.lazy_of(x)) is not None and lazy.read is not None:
                return lazy.read(self, x, read, {"first_row": first_row})
            if arrays.recorded(x, self._source) and not arrays.is_complex(x):
                return self._recorded(x, read, first_row)
            operand = self._accept(x)
            if operand.complex:
                check_complex(self.config, first_row, operand.rows, None)
                return as_complex(*read_complex(lambda rows: self.read(rows, read, first_row=first_row), operand))
            shared, x = self._share(x, operand), operand.array
        return self._read_shared(shared, x, self._read_number(read), first_row)

    def _recorded(self, x: Any, read: int | None, first_row: int) -> Any:
        x = x if arrays.is_torch(x) else self._accept(x).array
        w = self._prototype if self._source is None else self._source
        return recorded_product(self, x, w, None if read is None else check_read(read), first_row=first_row)

    def _read_values(self, x: Any, number: Read, first_row: int) -> Any:
        shared = self._known(x, arrays.shown(x))
        if shared is None:
            operand = edge.accept("x", x, like=self._operand, depth=self.shape[0])
            shared, x = self._share(operand.array, operand), operand.array
        return self._read_shared(shared, x, number, first_row)

    def _read_shared(self, shared: SharedByReads, x: Any, read: Read, first_row: int) -> Any:
        number, stream = read
        first_row = as_int("first_row", first_row, 0, noise.MAX_ROW - shared.dims[0] * shared.dims[1])
        programmed = self.programmed
        if programmed is None or shared.empty:
            return self._xp.zeros(shared.shape, dtype=shared.dtype, device=self.device)
        if first_row:
            check_rows(self.config.inputs, self.config.tile.rows, first_row, shared.shape)
        with arrays.own_operations():
            y = shared.small(self._backend, programmed, self._backend.to_backend(x), number, stream)
            if y is None:
                encoded = self._encode(x, shared.dims, shared.block)
                y = self._multiply(programmed, encoded, (number, stream), first_row, shared.counts_as)
                return self._xp.reshape(y, shared.shape)
        y = self._public(y)
        return y if y.dtype == shared.dtype else arrays.rounded(y, shared.dtype)

    def _known(self, x: Any, values: Any) -> SharedByReads | None:
        # what reads of such inputs share, if only their values, an array of NumPy, are to be checked, and are finite
        if not arrays.is_plain(values):
            return None
        shared = self._shared.get((x.shape, x.dtype))
        return shared if shared is not None and arrays.all_finite(values) else None

    def _share(self, x: Any, operand: Operand) -> SharedByReads:
        # what reads of inputs of one shape and dtype share; `_known` finds that of arrays that passed as they are
        kind: tuple[Any, ...] = operand.shape, operand.array.dtype, operand.counts_as
        shared = self._shared.get(kind)
        if shared is None:
            if self._neighbours is not None:
                self._neighbours = self._neighbours.meet(self)
            block = self._block(operand.dims)
            dtype = self._result_dtype(operand.counts_as)
            shape, kinds = (*operand.shape[:-1], self.shape[1]), (operand.counts_as, dtype, self._kernel_dtype(dtype))
            shared = SharedByReads(operand.dims, shape, block, *kinds)
            if len(self._shared) >= KINDS:
                self._shared.clear()
            self._shared[kind] = shared
        if operand.array is x and (arrays.is_plain(x) or (arrays.is_torch(x) and arrays.shown(x) is not None)):
            self._shared[kind[:2]] = shared
        return shared

    def _result_dtype(self, counts_as: Any) -> Any:
        return edge.result_dtype(self._xp, counts_as, self._prototype.dtype, self.device)

    def _kernel_dtype(self, dtype: Any) -> str:
        return "float32" if dtype == self._xp.float32 else "float64"

    def _block(self, dims: tuple[int, int, int]) -> tuple[int, int]:
        return block_of_inputs(self.config.inputs, self.config.tile.rows, dims, self._place)

    def _encode(self, x: Any, dims: tuple[int, int, int], block: tuple[int, int] | None = None) -> Encoded:
        block = self._block(dims) if block is None else block
        values = self._backend.to_backend(self._xp.reshape(x, dims))
        return encoding.encode(self._backend, values, self.config.inputs, block)

    def _read_number(self, read: int | None) -> Read:
        return self._counter.next_read() if read is None else (check_read(read), None)

    def _multiply(self, programmed: Programmed, encoded: Encoded, read: Read, first_row: int, dtype: Any) -> Any:
        number, stream = read
        if stream is not None:
            programmed = dataclasses.replace(programmed, address=programmed.address.in_stream(stream))
        height = encoded.digits.shape[2] * encoded.digits.shape[3]
        converters.check_addresses(programmed.config, first_row, height)
        converters.check_tiles(programmed.config, self.origin[0], self.shape[0])
        dtype = self._result_dtype(dtype)
        y = self._public(product(self._backend, programmed, encoded, number, first_row, self._kernel_dtype(dtype)))
        return y if y.dtype == dtype else arrays.rounded(y, dtype)

    def read_plan(self, x: Any) -> backends.Explanation:
        """Return the backend, the arithmetic and the path of each slice that ``x @ W`` takes, and why.

        Parameters
        ----------
        x : array, shape (..., K)
            Inputs; only their shape counts.

        Returns
        -------
        mpimpy.backends.Explanation
            Prints as a few lines of text.

        Raises
        ------
        ValueError
            If the shapes do not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.eye(3)).read_plan(np.ones((2, 3))).backend
        'numba'
        """
        x = x if hasattr(x, "shape") else self._accept(x)
        dims = edge.matrix_shape(x.shape, self.shape[0], "x", NAME, self.shape)
        if self.programmed is None or not dims[0] * dims[1]:
            return backends.Explanation(self._backend.NAME, "no products to compute", (), ())
        return backends.Explanation(self._backend.NAME, *explain(self._backend, self.programmed, dims[0] * dims[1]))

    def report(
        self,
        x: Any = None,
        w: Any = None,
        *,
        read: int = 0,
        reads: int = 1,
        technology: AnyTechnology | None = None,
    ) -> Report:
        """Return the hardware of the matrix and its conversions, and the error budget of its products.

        Parameters
        ----------
        x : array, shape (M, K), optional
            Inputs to measure the errors with; by default 64 rows of standard normal numbers.
        w : array, shape (K, N), optional
            The weights that were programmed, before quantisation. Without them the report has no row for weight
            quantisation, whose cost is then unknown.
        read : int
            Number of the read that is measured.
        reads : int
            Number of reads, from `read` on. Of several, each figure is that of all their errors together, with the
            lowest and the highest of the single reads.
        technology : mpimpy.cost.Technology, str, path or dict, optional
            Adds the cost of the product with these inputs; see `cost`.

        Returns
        -------
        mpimpy.Report
            It takes as long as 20 to 40 products, and for each further read 15 to 25 more.

        Raises
        ------
        TypeError, ValueError
            If `x` or `w` does not fit, or `w` has other codes than the matrix holds; if a number of reads is out of
            range; as `cost`, with a technology.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.eye(100)).report().cells
        40000
        """
        return self._report(x, w, check_reads(read, reads), technology)

    def _report(self, x: Any, w: Any, reads: Reads, technology: AnyTechnology | None = None) -> Report:
        tech = None if technology is None else as_technology(technology)
        if self.programmed is None:
            fail(ValueError, f"a matrix of shape {self.shape} has no cells to report on")
        if x is not None:
            operand = edge.accept("x", x, like=self._operand, depth=self.shape[0])
            if 0 in operand.dims:
                fail(ValueError, f"x has shape {operand.shape}: errors cannot be measured without inputs")
            x = self._backend.to_backend(self._xp.reshape(operand.array, (-1, self.shape[0])))
        if w is not None:
            operand = edge.accept("w", w, like=self._operand)
            if operand.shape != self.shape:
                fail(ValueError, f"w has shape {operand.shape}, but {self.shape} was programmed")
            self._check_weights(operand)
            w = self._backend.to_backend(operand.array)
        return measure(self._backend, self.programmed, x, w, reads, tech)

    def _check_weights(self, w: Operand) -> None:
        """Raise ValueError unless weights are those that were programmed."""
        if self.programmed is None:
            return
        values = self._backend.to_backend(self._xp.astype(w.array, self.dtype, copy=False))
        check_weights(self._backend, self.programmed, values, self._statistics)

    def __repr__(self) -> str:
        down, across, slices = self.tiles
        tile, age = self.config.tile, "" if self.age is None else f", {self.age}"
        stream = "" if self.stream is None else f", stream={self.stream!r}"
        return (
            f"<CrossbarMatrix {self.shape[0]} x {self.shape[1]}, {down} x {across} tiles of "
            f"{tile.rows} x {tile.cols}, {slices} slices, seed={self.seed}, chip={self.chip}{stream}{age}>"
        )


def check_read(read: Any) -> int:
    """Return the number of a read, checked.

    Raises
    ------
    TypeError, ValueError
        If it is no whole number, or out of range.
    """
    return as_int("read", read, 0, noise.MAX_READ)


def encode_inputs(matrix: CrossbarMatrix, x: Any) -> tuple[Programmed, Encoded]:
    """Return the cells of a programmed matrix, and inputs as the integers that drive its word lines.

    Parameters
    ----------
    matrix : CrossbarMatrix
    x : array, shape (..., K)

    Returns
    -------
    programmed : Programmed
    encoded : Encoded
        Shape (batch, M, K).

    Raises
    ------
    ValueError
        If `x` is empty, or the matrix has no cells.
    """
    x = edge.accept("x", x, like=matrix._operand, depth=matrix.shape[0])
    if matrix.programmed is None or 0 in x.shape:
        fail(ValueError, f"x of shape {x.shape} and weights of shape {matrix.shape} make no currents to look at")
    return matrix.programmed, matrix._encode(x.array, x.dims)


def read_codes(matrix: CrossbarMatrix, encoded: Encoded, fmt: Format, dtype: Any, read: int | None = None) -> Any:
    """Multiply encoded inputs by a programmed matrix; see `mpimpy.SlicedData`.

    Parameters
    ----------
    matrix : CrossbarMatrix
    encoded : mpimpy.operands.encoding.Encoded
        Shape (batch, M, K).
    fmt : Format
        Format of `encoded`.
    dtype : dtype
        Floating dtype that the inputs count as.
    read : int, optional
        Number of this read; by default the next one.

    Returns
    -------
    array, shape (batch * M, N)

    Raises
    ------
    ValueError
        If the matrix has no cells.
    """
    if matrix.programmed is None:
        fail(ValueError, f"a matrix of shape {matrix.shape} has no cells to read")
    programmed = dataclasses.replace(matrix.programmed, config=matrix.config.replace(inputs=fmt))
    return matrix._multiply(programmed, encoded, matrix._read_number(read), 0, dtype)

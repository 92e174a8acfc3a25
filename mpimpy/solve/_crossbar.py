"""The product A v on crossbars, numbered and counted, and the digital A beside it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse.linalg import LinearOperator

from .. import arrays
from .._linear import LinearOperand
from .._operator import CrossbarOperator
from .._transposed import TransposedMatrix
from ..analysis.counts import counts
from ..checks import as_int, fail
from ..crossbar.transposed import turned
from ..engine import Engine
from ..noise import MAX_READ
from ..operands import edge

__all__ = ["Products", "as_float64", "as_matrix", "as_symmetric", "on_crossbars", "rounding"]

LARGEST, NEARLY = 1e150, 1e-3


def as_float64(name: str, value: Any) -> Any:
    """Return finite numbers of any library as a NumPy array, float64 or complex128.

    Raises
    ------
    TypeError, ValueError
        If they are no numbers, or not finite.
    """
    array = edge.accept(name, value, complex_too=True).array
    found = arrays.to_numpy(array.cpu() if arrays.is_torch(array) else array)
    return found.astype(np.result_type(found, np.float64))


def as_matrix(name: str, value: Any) -> Any:
    """Return a square matrix as a NumPy array or, if it is sparse, as SciPy's CSR array, float64 or complex128.

    Raises
    ------
    TypeError, ValueError
        If it is no matrix of finite numbers, or not square.
    """
    if scipy.sparse.issparse(value):
        matrix = scipy.sparse.csr_array(value)
        matrix = matrix.astype(np.result_type(matrix.dtype, np.float64))
        entries = matrix.tocoo()
        for place in np.flatnonzero(~np.isfinite(entries.data))[:1]:
            index = int(entries.coords[0][place]), int(entries.coords[1][place])
            found = f"{name} has {entries.data[place]} at index {index}"
            fail(ValueError, f"{found}: every element must be finite")
    elif isinstance(value, LinearOperator | LinearOperand):
        kind = type(value).__name__
        fail(TypeError, f"{name} is a {kind}, and must hold its numbers: give the array, or a sparse matrix of SciPy")
    else:
        matrix = as_float64(name, value)
    if 0 in matrix.shape:
        fail(ValueError, f"{name} has shape {matrix.shape}, and is empty: it must have one row or more")
    if len(matrix.shape) != 2 or matrix.shape[0] != matrix.shape[1]:
        fail(ValueError, f"{name} has shape {matrix.shape}, and must be square, (n, n)")
    largest = float(abs(matrix).max())
    if largest and not 1 / LARGEST < largest < LARGEST:  # squares would leave the range of float64
        fail(ValueError, f"{name} has elements of up to {largest:.1g}: scale it, so that they are nearer to 1")
    return matrix


def rounding(value: Any) -> float:
    """Return the relative size of differences that the dtype of a matrix explains by rounding."""
    name = str(getattr(value, "dtype", "")).rpartition(".")[2]
    return {"float32": 1e-5, "complex64": 1e-5, "float16": 0.01, "bfloat16": 0.03}.get(name, 1e-10)


def as_symmetric(name: str, matrix: Any, why: str, allowed: float) -> None:
    """Raise ValueError unless a matrix is symmetric (if complex, Hermitian) up to an allowed share of its largest."""
    twin, largest = matrix.conj().T, float(abs(matrix).max())
    off = float(abs(matrix - twin).max()) / (largest or 1.0)
    if off > allowed:
        kind, twins = ("Hermitian", "A.conj().T") if np.iscomplexobj(matrix) else ("symmetric", "A.T")
        near = f"; its elements differ by {off:.2g} of the largest: if that is rounding, give (A + {twins}) / 2"
        fail(ValueError, f"{name} is not {kind}, and {why}{near if off < NEARLY else ''}")


@dataclass
class Products:
    """Products A v on crossbars: a function of v that numbers and counts its reads.

    Parameters
    ----------
    side : LinearOperand, shape (n, n)
        ``v @ side`` is A v.
    first : int or None
        Number of the first read; None: the engine's counter numbers them.
    weights_complex : bool

    Attributes
    ----------
    reads : int
        Reads made so far.
    dac_conversions, adc_conversions : int
        Of these reads.
    """

    side: Any
    first: int | None
    weights_complex: bool = False
    reads: int = 0
    dac_conversions: int = 0
    adc_conversions: int = 0

    def __call__(self, v: Any) -> Any:
        """Return A v for `v` of shape (n,)."""
        number = None if self.first is None else as_int("read", self.first + self.reads, 0, MAX_READ)
        n, transposed = self.side.shape[0], isinstance(self.side, TransposedMatrix)
        config = turned(self.side.config) if transposed else self.side.config
        wide = (1, 2) if self.weights_complex else (1, 1)
        each = counts(config, 1 + np.iscomplexobj(v), *(n * part for part in (wide[::-1] if transposed else wide)))
        self.reads += 1
        self.dac_conversions += each.dac_conversions
        self.adc_conversions += each.adc_conversions
        return np.asarray(self.side.read(v, number))

    @property
    def source(self) -> Any:
        """The programmed matrix that is read, which has a seed and a chip."""
        return self.side.T if isinstance(self.side, TransposedMatrix) else self.side

    def operator(self, dtype: Any) -> LinearOperator:
        """Return the products as SciPy's solvers take them; a FloatingPointError ends those that have broken down."""

        def product(v: Any) -> Any:
            if not np.isfinite(v).all():
                raise FloatingPointError
            return self(np.reshape(v, -1))

        return LinearOperator(self.side.shape, matvec=product, dtype=dtype)


def on_crossbars(matrix: Any, engine: Any, read: int | None) -> Products:
    """Return the products of a matrix, programmed now or programmed before.

    Parameters
    ----------
    matrix : NumPy array or CSR array, shape (n, n)
    engine : Engine, CrossbarMatrix, CrossbarOperator or None
        None: an engine of default settings and a fresh seed.
    read : int, optional
        Number of the first read.

    Raises
    ------
    TypeError, ValueError
        If `engine` is none of them, or has another shape.
    """
    first = None if read is None else as_int("read", read, 0, MAX_READ)
    engine = Engine() if engine is None else engine
    if isinstance(engine, Engine):
        dense = matrix.toarray() if scipy.sparse.issparse(matrix) else matrix
        # inputs drive the rows of an array, so A v is a read of the transposed matrix
        side: LinearOperand = engine.program(np.ascontiguousarray(dense.T))
        return Products(side, first, np.iscomplexobj(dense))
    if not isinstance(engine, LinearOperand):
        kind = type(engine).__name__
        fail(TypeError, f"engine is a {kind}, and must be an Engine, or A programmed: engine.operator(A)")
    if tuple(engine.shape) != tuple(matrix.shape):
        fail(ValueError, f"A has shape {matrix.shape}, and the programmed matrix {tuple(engine.shape)}")
    side = engine.T
    side = side.matrix if isinstance(side, CrossbarOperator) else side
    return Products(side, first, "complex" in str(engine.dtype))

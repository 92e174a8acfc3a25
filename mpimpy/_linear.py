"""A matrix as a linear operator: both sides of ``@``, complex inputs, and the names that SciPy's solvers call."""

from collections.abc import Callable
from typing import Any

from .arrays import namespace
from .checks import fail
from .config import Config
from .operands import dtypes, edge
from .operands.edge import Operand
from .operators import RightOperand

__all__ = ["LinearOperand", "as_complex", "assembled", "parts_of", "read_complex", "read_together", "refuse_into"]
__all__ += ["stacked", "unstacked"]


def _is_complex(array: Any) -> bool:
    return dtypes.kind_of(namespace(array), array.dtype) == "complex floating"


def parts_of(xp: Any, array: Any) -> list[Any]:
    """Return the real part of an array, and the imaginary part of a complex one."""
    return [xp.real(array), xp.imag(array)] if _is_complex(array) else [array]


def as_complex(real: Any, imaginary: Any) -> Any:
    """Return the complex array of two real ones."""
    return real + 1j * imaginary


def read_complex(read: Callable[[Operand], Any], x: Operand) -> list[Any]:
    """Return the products of the real and imaginary parts of inputs, which drive the arrays in one read.

    Parameters
    ----------
    read : function
        From an operand of real inputs to their products. The imaginary parts are further rows of it.
    x : Operand
        Real or complex, shape (..., M, K) or (K,).

    Returns
    -------
    list of arrays
        Of the shape that the product of `x` has: one if it is real, two if it is complex.
    """
    parts = parts_of(namespace(x.array), x.array)
    return [read(x)] if len(parts) == 1 else read_together(read, x, parts)


def read_together(read: Callable[[Operand], Any], x: Operand, parts: list[Any]) -> list[Any]:
    """Return the products of several real arrays made of inputs, as rows of one read.

    Parameters
    ----------
    read : function
        From an operand of real inputs to their products.
    x : Operand
        The inputs that they were made of, which name them and their dtype.
    parts : list of arrays, shape (..., M, K) or (K,)

    Returns
    -------
    list of arrays, shape (..., M, N) or (N,)
    """
    return unstacked(read(stacked(x, parts)), len(parts), len(x.shape) == 1)


def stacked(x: Operand, parts: list[Any]) -> Operand:
    """Return real arrays that were made of inputs as one operand, whose rows are those of all of them."""
    xp = namespace(x.array)
    rows = xp.concat([part[None, :] for part in parts] if len(x.shape) == 1 else parts, axis=-2)
    return Operand(x.name, rows, tuple(rows.shape), dtypes.real_dtype(xp, x.counts_as))


def unstacked(y: Any, count: int, vectors: bool) -> list[Any]:
    """Return the products of `count` arrays, vectors or matrices, that `stacked` put together."""
    if count == 1:
        return [y]
    height = y.shape[-2] // count
    found = [y[..., i * height : (i + 1) * height, :] for i in range(count)]
    return [part[0, :] for part in found] if vectors else found


def assembled(found: list[Any], width: int | None, join: Callable[[Any, Any], Any] = as_complex) -> Any:
    """Return a product from those of the real parts and, if there are any, the imaginary parts of inputs.

    Parameters
    ----------
    found : list of one or two real arrays, shape (..., N)
    width : int or None
        Columns of complex weights, whose real and imaginary parts lie side by side; None: weights are real.
    join : function
        From a real and an imaginary part to the complex array.
    """
    if width is None:
        return found[0] if len(found) == 1 else join(*found)
    real, imaginary = found[0][..., :width], found[0][..., width:]
    if len(found) == 2:
        real, imaginary = real - found[1][..., width:], imaginary + found[1][..., :width]
    return join(real, imaginary)


def refuse_into(into: Any, what: str) -> None:
    """Raise TypeError if a running sum is given to a face that has none."""
    if into is not None:
        fail(TypeError, f"{what} adds nothing to a running sum, into=: program it as a matrix of its own")


class LinearOperand(RightOperand):
    """Matrix of shape (K, N) that stands on both sides of ``@``, and in SciPy's ``aslinearoperator``.

    ``x @ W`` and ``rmatvec`` drive the word lines of its arrays, ``W @ x`` and ``matvec`` the bit lines, where cells
    have a transposed read.
    """

    shape: tuple[int, int]
    _operand: Operand

    def read(self, x: Any, read: int | None = None, *, first_row: int = 0, into: Any = None) -> Any:
        """Return ``x @ W``: a subclass does it."""
        raise NotImplementedError

    @property
    def T(self) -> "LinearOperand":
        """The transposed matrix: ``x @ W.T`` reads the same cells from their bit lines."""
        raise NotImplementedError

    @property
    def H(self) -> "LinearOperand":
        """The conjugate transpose: `T`, if the weights are real."""
        return self.T.conj()

    def conj(self) -> "LinearOperand":
        """Return the matrix with conjugate weights, on the same cells; itself, if they are real."""
        return _Conjugate(self) if _is_complex(self._operand.array) else self

    @property
    def ndim(self) -> int:
        """Number of axes: 2."""
        return 2

    @property
    def dtype(self) -> Any:
        """Floating or complex dtype that the weights count as; for integers, the default of their library."""
        return edge.float_dtype(namespace(self._operand.array), self._operand.array)

    def _accept(self, x: Any) -> Operand:
        # inputs of a product x @ self
        return edge.accept("x", x, like=self._operand, depth=self.shape[0], complex_too=True)

    def _read_transposed(self, x: Any) -> Any:
        # self @ x, for x of shape (N,) or (..., N, P)
        x = edge.accept("x", x, like=self._operand, complex_too=True)
        if len(x.shape) == 1:
            return self.T.read(x)
        if not x.shape or x.shape[-2] != self.shape[1]:
            found = f"the second-to-last axis of x ({x.shape[-2]})" if x.shape else "x, a number,"
            msg = f"shapes {self.shape} and {x.shape} do not fit: {found} must be as long as the matrix is wide"
            fail(ValueError, f"{msg} ({self.shape[1]})")
        xp = namespace(x.array)
        turned = xp.matrix_transpose(x.array)
        return xp.matrix_transpose(self.T.read(Operand(x.name, turned, tuple(turned.shape), x.dtype)))

    def matvec(self, x: Any) -> Any:
        """Return ``W @ x``, by the name that SciPy's solvers call.

        Parameters
        ----------
        x : array, shape (N,) or (N, P)

        Returns
        -------
        array, shape (K,) or (K, P)

        Raises
        ------
        TypeError
            If the cells have no transposed read; see `T`.
        ValueError
            If the shape does not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine, Tile
        >>> Engine(tile=Tile(reference="ideal")).program(np.ones((3, 2))).matvec(np.ones(2)).shape
        (3,)
        """
        return self._read_transposed(x)

    def rmatvec(self, x: Any) -> Any:
        """Return the product of the conjugate transpose and `x`: for real weights ``x @ W`` of a vector.

        Parameters
        ----------
        x : array, shape (K,) or (K, P)

        Returns
        -------
        array, shape (N,) or (N, P)

        Raises
        ------
        ValueError
            If the shape does not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(np.ones((3, 2))).rmatvec(np.ones(3)).shape
        (2,)
        """
        return self.H._read_transposed(x)

    def matmat(self, x: Any) -> Any:
        """Return ``W @ x`` for `x` of shape (N, P); see `matvec`."""
        return self.matvec(x)

    def rmatmat(self, x: Any) -> Any:
        """Return the product of the conjugate transpose and `x` of shape (K, P); see `rmatvec`."""
        return self.rmatvec(x)


class _Conjugate(LinearOperand):
    # x @ conj(A) = conj(conj(x) @ A)

    def __init__(self, operand: LinearOperand) -> None:
        self._conjugated, self.shape, self._operand = operand, operand.shape, operand._operand

    @property
    def config(self) -> Config:
        found: Config = self._conjugated.config
        return found

    @property
    def T(self) -> LinearOperand:
        return self._conjugated.T.conj()

    def conj(self) -> LinearOperand:
        return self._conjugated

    def read(self, x: Any, read: int | None = None, *, first_row: int = 0, into: Any = None) -> Any:
        refuse_into(into, "a conjugate matrix")
        x = self._accept(x)
        xp = namespace(x.array)
        if _is_complex(x.array):
            x = Operand(x.name, xp.conj(x.array), x.shape, x.dtype)
        return xp.conj(self._conjugated.read(x, read, first_row=first_row))

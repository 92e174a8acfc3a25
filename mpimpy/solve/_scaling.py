"""Powers of two that bring rows and columns of a matrix to one size, so that crossbars hold all of them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse import linalg

__all__ = ["Scaling", "balanced"]

SPREAD = 10.0  # as LAPACK's laqge: rows that differ by less stay as they are
ROUNDS, FARTHEST = 32, 200  # exponents halve in each round; larger ones would leave the range of squares


@dataclass(frozen=True, eq=False)
class Scaling:
    """Factors of rows and columns, powers of two: ``rows[:, None] * A * columns`` has the digits of A.

    Attributes
    ----------
    rows, columns : ndarray, shape (n,)
    """

    rows: Any
    columns: Any

    def of(self, matrix: Any) -> Any:
        """Return a matrix with its rows and columns scaled."""
        return _scaled(matrix, self.rows, self.columns)

    def inverse(self, approximate: Any) -> Any:
        """Return the scaled twin of an approximate inverse, as an operator."""
        if approximate is None:
            return None
        plain = linalg.aslinearoperator(approximate)

        def product(v: Any) -> Any:
            return plain.matvec(np.reshape(v, -1) / self.rows) / self.columns

        return linalg.LinearOperator(plain.shape, matvec=product, dtype=plain.dtype)


def balanced(matrix: Any, *, symmetric: bool) -> Scaling | None:
    """Return factors by which the largest element of each row and column is 0.5 to 2; None if they hardly differ.

    All rows and columns are divided by the roots of their largest elements, in turns (Ruiz, RAL-TR-2001-034).

    Parameters
    ----------
    matrix : NumPy array or CSR array, shape (n, n)
        Without rows or columns of zeros.
    symmetric : bool
        Rows and columns have the same factors.
    """
    size = abs(matrix)
    largest = [_largest(size, axis) for axis in (1, 0)]
    if all(each.max() < SPREAD * each.min() for each in largest):
        return None
    exponents = np.zeros((2, matrix.shape[0]), dtype=np.int64)
    for _ in range(ROUNDS):
        steps = -np.stack([np.frexp(_largest(size, axis))[1] // 2 for axis in (1, 0)])
        steps[1] = steps[0] if symmetric else steps[1]
        after = np.clip(exponents + steps, -FARTHEST, FARTHEST)
        if np.array_equal(after, exponents):
            break
        size = _scaled(size, *np.ldexp(1.0, after - exponents))
        exponents = after
    return Scaling(*np.ldexp(1.0, exponents))


def _largest(size: Any, axis: int) -> Any:
    found = size.max(axis=axis)
    return (found.toarray() if scipy.sparse.issparse(found) else found).reshape(-1)


def _scaled(matrix: Any, rows: Any, columns: Any) -> Any:
    if scipy.sparse.issparse(matrix):
        found = scipy.sparse.diags_array(rows) @ matrix @ scipy.sparse.diags_array(columns)
        return scipy.sparse.csr_array(found)
    return rows[:, None] * matrix * columns

"""A matrix on crossbars that is multiplied from both sides, whatever its cells."""

from typing import Any

from ._linear import LinearOperand
from .cost import Cost
from .cost._technology import AnyTechnology
from .operands.edge import Operand

__all__ = ["CrossbarOperator"]


class CrossbarOperator(LinearOperand):
    """Matrix A for products from both sides, ``x @ A`` and ``A @ x``; see `mpimpy.Engine.operator`.

    SciPy's solvers take it as it is: ``scipy.sparse.linalg.cg(A, b)``.

    Parameters
    ----------
    matrix : CrossbarMatrix or ComplexMatrix, shape (K, N)
    transposed : LinearOperand, shape (N, K)
        The same cells read from their bit lines, or A.T on cells of its own.

    Attributes
    ----------
    matrix, transposed
        As given.
    shape : (int, int)
        (K, N).
    config : Config
        Settings that the cells were written with.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine
    >>> A = Engine(seed=1).operator(np.ones((3, 2)))
    >>> (np.ones(3) @ A).shape, (A @ np.ones(2)).shape
    ((2,), (3,))
    """

    matrix: Any
    transposed: Any
    shape: tuple[int, int]
    config: Any

    def __init__(self, matrix: Any, transposed: Any) -> None:
        self.matrix, self.transposed, self.shape, self.config = matrix, transposed, matrix.shape, matrix.config
        self._operand: Operand = matrix._operand

    @property
    def T(self) -> "CrossbarOperator":
        """The transposed operator, on the same cells."""
        return CrossbarOperator(self.transposed, self.matrix)

    def read(self, x: Any, read: int | None = None, *, first_row: int = 0, into: Any = None) -> Any:
        """Return ``x @ A``; parameters as for `CrossbarMatrix.read`."""
        return self.matrix.read(x, read, first_row=first_row, into=into)

    def cost(self, x: Any, technology: AnyTechnology, *, read: int = 0) -> Cost:
        """Return the energy, the latency and the area of ``x @ A``; see `CrossbarMatrix.cost`.

        That of ``A @ x`` is ``A.T.cost(x, technology)``, where A.T has cells of its own.

        Examples
        --------
        >>> import numpy as np
        >>> from mpimpy import Engine
        >>> A = Engine(seed=1).operator(np.ones((3, 2)))
        >>> A.cost(np.ones(3), "generic-28").macs, A.T.cost(np.ones((5, 2)), "generic-28").macs
        (6, 30)
        """
        found: Cost = self.matrix.cost(x, technology, read=read)
        return found

    def __repr__(self) -> str:
        return f"<CrossbarOperator {self.shape[0]} x {self.shape[1]}: {self.matrix!r}, {self.transposed!r}>"

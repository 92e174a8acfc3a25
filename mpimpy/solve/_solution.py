"""How corrections are found, and the answer of a refinement."""

from dataclasses import dataclass
from typing import Any

from ..checks import as_choice, as_float, as_int, fail, set_fields
from ._crossbar import as_matrix

__all__ = ["Inner", "Solution"]

METHODS = ("gmres", "cg", "minres")


@dataclass(frozen=True, eq=False)
class Inner:
    """Iterations on the crossbars that find one correction: SciPy's, stopped early.

    Products of a crossbar have few digits, so a correction needs few too.

    Parameters
    ----------
    method : str
        ``"gmres"`` for any matrix; ``"cg"`` for symmetric positive definite ones, which makes fewer reads where cells
        are accurate and loses its way where they are not; ``"minres"`` for symmetric ones.
    rtol : float
        Residual, relative to the right-hand side, at which the iterations stop, above 0 and at most 0.99. Below the
        relative error of a product they only read on.
    iterations : int
        At most so many, 1 and up; of "gmres", the size of its basis.
    preconditioner : array, sparse matrix or LinearOperator, shape (n, n), optional
        Approximate inverse of A, applied digitally: the argument ``M`` of SciPy's solvers. Real if the system is.

    Raises
    ------
    TypeError, ValueError
        If a value is out of range, or the preconditioner holds no finite numbers or nothing but zeros.

    Examples
    --------
    >>> Inner("cg", rtol=0.1, iterations=50).iterations
    50
    """

    method: str = "gmres"
    rtol: float = 0.3
    iterations: int = 10
    preconditioner: Any = None

    def __post_init__(self) -> None:
        set_fields(
            self,
            method=as_choice("method", self.method, METHODS),
            rtol=as_float("rtol", self.rtol, 0, 0.99, above=True),
            iterations=as_int("iterations", self.iterations, 1),
            preconditioner=_as_inverse(self.preconditioner),
        )


def _as_inverse(given: Any) -> Any:
    # an array, or an operator as it is
    if given is None or (hasattr(given, "matvec") and hasattr(given, "dtype")):
        return given
    matrix = as_matrix("preconditioner", given)
    if not abs(matrix).max():
        fail(ValueError, "preconditioner holds nothing but zeros, and must be about the inverse of A")
    return matrix


@dataclass(frozen=True, eq=False, repr=False)
class Solution:
    """Answer of `mpimpy.solve.solve`, with its history.

    Attributes
    ----------
    x : ndarray, shape (n,) or (n, P)
        float64 or complex128.
    converged : bool
        Whether all columns have reached the tolerance.
    reason : str
        Why it stopped, in words; with the condition number of A where that is above 1e8, for up to 1000 unknowns.
    residuals : ndarray, shape (steps + 1,) or (steps + 1, P)
        ``|b - A x| / |b|`` in float64, before the first step and after each, the last by a product of its own; NaN
        after a column's last.
    inner : ndarray of int, shape (steps,) or (steps, P)
        Products on the crossbars in each step.
    reads : int
        Products on the crossbars in all, of one vector each; the first one measures `product_error`.
    dac_conversions, adc_conversions : int
        Of these reads, counted as by `mpimpy.cost.counts`.
    digital_products : int
        Products of A by a vector in float64: one in each step of a column, one or more to check its end, and one for
        `product_error`.
    product_error : float
        ``|W v - A v| / |A v|`` of the crossbars' product W v, measured on a normal random v, A with its rows and
        columns scaled if they were; NaN if b is 0.
    tolerance : float
        As asked for.
    seed, chip : int or None
        Of the crossbars; None where a programmed matrix does not tell. A matrix that an engine programmed has a seed
        of its own, derived from the engine's, which is no seed to build an engine with.
    """

    x: Any
    converged: bool
    reason: str
    residuals: Any
    inner: Any
    reads: int
    dac_conversions: int
    adc_conversions: int
    digital_products: int
    product_error: float
    tolerance: float
    seed: int | None
    chip: int | None

    @property
    def steps(self) -> int:
        """Outer steps, of the column that took most."""
        return int(self.residuals.shape[0]) - 1

    def plot(self, ax: Any = None, title: str | None = None) -> Any:
        """Draw the residuals; see `mpimpy.plot.convergence`."""
        from ..plot import convergence

        return convergence(self, ax, title)

    def __repr__(self) -> str:
        return f"<Solution of {self.x.shape[0]} unknowns: {self.reason}; {self.reads} reads, seed={self.seed}>"

"""Some eigenvalues of a symmetric matrix: SciPy's Lanczos on crossbars, Rayleigh quotients in float64."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import linalg

from ..checks import MpimpyWarning, as_choice, as_float, as_int, fail
from ._crossbar import as_matrix, as_symmetric, on_crossbars, rounding

__all__ = ["EigenPairs", "eigsh"]


@dataclass(frozen=True, eq=False, repr=False)
class EigenPairs:
    """Answer of `mpimpy.solve.eigsh`.

    Attributes
    ----------
    values : ndarray, shape (k,)
        Refined eigenvalues, ascending.
    vectors : ndarray, shape (n, k)
        Orthonormal columns.
    residuals : ndarray, shape (k,)
        ``|A v - value v|`` in float64. An eigenvalue of A lies within it of each value, for certain; the value itself
        is mostly far closer.
    unrefined : ndarray, shape (k,)
        The eigenvalues as the crossbars gave them, ascending.
    converged : bool
        Whether the largest residual is at most ``accepted`` times the largest magnitude of the values.
    reads : int
        Products on the crossbars.
    """

    values: Any
    vectors: Any
    residuals: Any
    unrefined: Any
    converged: bool
    reads: int

    def __repr__(self) -> str:
        worst = float(np.max(self.residuals))
        word = "converged" if self.converged else "not converged"
        return f"<EigenPairs {np.round(self.values, 6)}: {word}, residuals up to {worst:.2g}, {self.reads} reads>"


def eigsh(
    A: Any,
    k: int = 6,
    engine: Any = None,
    *,
    which: str = "LM",
    tolerance: float = 0.01,
    accepted: float = 0.1,
    read: int | None = None,
) -> EigenPairs:
    """Find some eigenvalues and eigenvectors of a symmetric matrix, with the crossbars for the bulk of the products.

    `scipy.sparse.linalg.eigsh` finds vectors by products on the crossbars, some more than asked for. Within the space
    of them, A itself is then diagonalised in float64 (Rayleigh and Ritz), which takes one product of A for each: the
    errors of the values are of second order in those of the vectors. The residuals tell how good they are.

    Parameters
    ----------
    A : array or sparse matrix of SciPy, shape (n, n)
        Symmetric; if complex, Hermitian.
    k : int
        Number of eigenvalues, 1 to n - 2.
    engine : Engine, CrossbarOperator or CrossbarMatrix, optional
        As for `mpimpy.solve.solve`.
    which : str
        ``"LM"``: those of largest magnitude; ``"LA"``: the largest; ``"SA"``: the smallest.
    tolerance : float
        Relative accuracy at which the iterations on the crossbars stop, above 0. Below the relative error of a
        product they only read on.
    accepted : float
        Residual, relative to the largest magnitude of the values, above which a warning is given.
    read : int, optional
        Number of the first read; by default the engine counts.

    Returns
    -------
    EigenPairs

    Warns
    -----
    MpimpyWarning
        If a residual is above `accepted`.

    Raises
    ------
    TypeError, ValueError
        If A is not square or not symmetric, or 0, or a setting is out of range; if products of the crossbars are 0.
    scipy.sparse.linalg.ArpackNoConvergence
        If the iterations do not come to rest: give a larger tolerance.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine
    >>> found = eigsh(np.diag([9.0, 7.0, 1.0, 0.5, 0.2, 0.1]), 2, Engine(seed=1))
    >>> found.values.round(1).tolist()
    [7.0, 9.0]
    """
    matrix = as_matrix("A", A)
    as_symmetric(
        "A", matrix, "eigsh needs that: for other matrices, power_iteration finds the largest eigenvalue", rounding(A)
    )
    which, n = as_choice("which", which, ("LM", "LA", "SA")), matrix.shape[0]
    if n < 3:
        fail(ValueError, f"A has shape {matrix.shape}, and eigsh iterates on 3 x 3 or more: use numpy.linalg.eigh")
    k, tolerance = as_int("k", k, 1, n - 2), as_float("tolerance", tolerance, 0, 0.9, above=True)
    accepted = as_float("accepted", accepted, 0)
    if not abs(matrix).max():
        fail(ValueError, "A holds nothing but zeros, and so are its eigenvalues: the crossbars cannot find vectors")
    products, more = on_crossbars(matrix, engine, read), min(n - 1, k + max(2, k // 2))
    start = np.random.default_rng(0).standard_normal(n).astype(matrix.dtype)
    operator = products.operator(matrix.dtype)
    try:
        unrefined, found = linalg.eigsh(operator, more, which=which, tol=tolerance, v0=start)
    except linalg.ArpackNoConvergence:
        raise
    except linalg.ArpackError as error:
        why = f"Lanczos iterations broke down after {products.reads} reads of the crossbars, which may be 0"
        fail(ValueError, f"{why} ({error}): take an ADC of more codes, or cells of less variation")
    basis, _ = np.linalg.qr(found)
    values, turned = np.linalg.eigh(basis.conj().T @ (matrix @ basis))
    vectors = basis @ turned
    kept, kept_unrefined = _outermost(values, k, which), _outermost(unrefined, k, which)
    values, vectors = values[kept], vectors[:, kept]
    residuals = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
    worst, largest = float(residuals.max()), float(np.abs(values).max())
    converged = worst <= accepted * largest
    if not converged:
        warnings.warn(
            f"not converged: |A v - value v| is up to {worst:.2g}, and the largest value {largest:.2g} (accepted "
            f"{accepted:g} of it): the crossbars are too inaccurate for these values, or they lie too close",
            MpimpyWarning,
            stacklevel=2,
        )
    unrefined = np.sort(unrefined[kept_unrefined])
    return EigenPairs(values, vectors, residuals, unrefined, converged, products.reads)


def _outermost(values: Any, k: int, which: str) -> Any:
    # places of the k values that are asked for, ascending
    order = {"LM": -np.abs(values), "LA": -values, "SA": values}[which]
    chosen = np.argsort(order, kind="stable")[:k]
    return chosen[np.argsort(values[chosen], kind="stable")]

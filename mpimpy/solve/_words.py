"""Why a refinement ended, in words and figures."""

from typing import Any

import numpy as np
import scipy.sparse
from scipy.linalg import get_lapack_funcs

__all__ = ["breakdown", "condition", "ill_conditioned", "stall"]

LARGEST = 1000  # unknowns up to which condition numbers are taken, which needs a dense LU or SVD
LARGE = 1e8  # condition numbers that are told with a converged answer
BLIND = 0.5  # products of larger relative error explain a breakdown
EPS = float(np.finfo(np.float64).eps)
BETTER = "take cells of less variation, an ADC of more codes"


def _dense(matrix: Any) -> Any:
    return matrix.toarray() if scipy.sparse.issparse(matrix) else matrix


def condition(matrix: Any) -> float:
    """Return LAPACK's estimate of the condition number in the 1-norm; NaN for more than 1000 unknowns."""
    if matrix.shape[0] > LARGEST:
        return float("nan")
    dense = _dense(matrix)
    factor, estimate = get_lapack_funcs(("getrf", "gecon"), (dense,))
    lu, _, singular = factor(dense)
    if singular:
        return float("inf")
    reciprocal, _ = estimate(lu, float(np.linalg.norm(dense, 1)), norm="1")
    return 1 / float(reciprocal) if reciprocal else float("inf")


def ill_conditioned(found: float, residual: float) -> tuple[str, float]:
    """Return words on a large condition number, else "", and the share of x that may be wrong.

    Parameters
    ----------
    found : float
        Condition number.
    residual : float
        Relative residual of the answer.
    """
    if not found > LARGE:
        return "", 0.0
    off = found * max(residual, EPS)
    share = f"{100 * off:.2g} %" if off < 1 else "100 % or more"
    return f"; A has a condition number of about {found:.0e}, so x may be off by {share} of its size", off


def breakdown(method: str, *, preconditioned: bool, product_error: float) -> str:
    """Return words on an inner solver that gave no direction."""
    if product_error > BLIND:
        return f"a product on these crossbars is off by {100 * product_error:.3g} %, too much for {method}: {BETTER}"
    ways = ["use Inner('gmres')"] * (method != "gmres") + ["try another preconditioner"] * preconditioned
    return f"{method} broke down on the crossbars: {' or '.join(ways or [BETTER])}"


def stall(matrix: Any, product_error: float, *, unscaled: bool) -> str:
    """Return words on a residual that no longer falls.

    Parameters
    ----------
    matrix : NumPy array or CSR array, shape (n, n)
        The matrix on the crossbars.
    product_error : float
        Relative error of a product on them.
    unscaled : bool
        Whether its rows or columns should have been scaled.
    """
    n, known, product = matrix.shape[0], "", "it"
    if n <= LARGEST:
        found = float(np.linalg.cond(_dense(matrix)))
        if not found < 1 / (n * EPS) and not unscaled:
            return f"A is singular to working precision (condition number {found:.1g})"
        known, product = f", and A has a condition number of {found:.2g}", "their product"
    way = f"{BETTER}, a preconditioner or more inner iterations"
    if unscaled:
        way = "rows or columns of A differ much in size: give an Engine, and solve scales them before it programs"
    error = f"a product on these crossbars is off by {100 * product_error:.2g} %{known}"
    return f"{error}; refinement stalls where {product} is too large: {way}"

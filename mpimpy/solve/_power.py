"""The eigenvector of the largest eigenvalue, by power iteration."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..checks import MpimpyWarning, as_float, as_int, fail
from ._averaging import averaged
from ._crossbar import as_float64, as_matrix, on_crossbars, rounding

__all__ = ["EigenPair", "power_iteration"]

LEFT = 30  # float64 products with A.T that look for the left eigenvector


@dataclass(frozen=True, eq=False, repr=False)
class EigenPair:
    """Answer of `mpimpy.solve.power_iteration`.

    Attributes
    ----------
    value : float
        Rayleigh quotient ``v.A v`` in float64.
    vector : ndarray, shape (n,)
        Of norm 1.
    residual : float
        ``|A v - value v| / |value|`` in float64: what programming, reads and converters left wrong.
    value_error : float
        Estimate of the relative error of `value`, to first order. If A is symmetric, an eigenvalue lies within
        `residual` for certain, and that is it. If not, it is the residual over ``|w.v|``, w the left eigenvector, of
        which 30 float64 products with A.T find an approximation, plus what that leaves (Saad, Numerical Methods for
        Large Eigenvalue Problems, 2nd ed., section 3.3). Infinite where there is none.
    error : float
        Standard error of the vector, norm, from the spread of the iterates: the share of read noise, which a longer
        average lowers. What is the same in all reads does not show in it.
    converged : bool
        Whether `residual` and `value_error` are within the tolerance.
    changes : ndarray, shape (steps,)
        Change of the iterate in each step, sum of magnitudes.
    transient : int or None
        Steps before the mean; None: the changes fell till the end.
    reads : int
        Products on the crossbars.
    """

    value: float
    vector: Any
    residual: float
    value_error: float
    error: float
    converged: bool
    changes: Any
    transient: int | None
    reads: int

    def __repr__(self) -> str:
        word = "converged" if self.converged else "not converged"
        return f"<EigenPair {self.value:.6g}: {word}, residual {self.residual:.2g}, {self.reads} reads>"


def power_iteration(
    A: Any,
    engine: Any = None,
    *,
    tolerance: float = 0.1,
    steps: int = 1000,
    average: int = 64,
    start: Any = None,
    read: int | None = None,
) -> EigenPair:
    """Find the eigenvalue of largest magnitude, and its eigenvector, by power iteration on crossbars.

    Iterates of a noisy product never settle: they are averaged once their changes no longer fall. The eigenvalue is
    the Rayleigh quotient in float64, whose error is of second order in that of the vector if A is symmetric. If A is
    not, a small residual can go with a wrong value: `EigenPair.value_error` tells. No residual tells whether another
    eigenvalue is larger, as one is if `start` has no share of its eigenvector.

    Parameters
    ----------
    A : array or sparse matrix of SciPy, shape (n, n)
        Real, its eigenvalue of largest magnitude single and real.
    engine : Engine, CrossbarOperator or CrossbarMatrix, optional
        As for `mpimpy.solve.solve`.
    tolerance : float
        Residual and value error up to which the answer counts as one: with 0.1 the value may be off by 10 %.
    steps : int
        Steps that the transient may last.
    average : int
        Iterates to average, at least 8.
    start : array, shape (n,), optional
        First vector; by default normal random numbers, always the same.
    read : int, optional
        Number of the first read; by default the engine counts.

    Returns
    -------
    EigenPair

    Warns
    -----
    MpimpyWarning
        If the residual or the value error is above the tolerance.

    Raises
    ------
    TypeError, ValueError
        If A is not real and square, or `start` does not fit; if a product of the crossbars is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine
    >>> found = power_iteration(np.diag([3.0, 1.0, -2.0]), Engine(seed=1))
    >>> round(found.value, 2)
    3.0
    """
    matrix = as_matrix("A", A)
    if np.iscomplexobj(matrix):
        fail(TypeError, "A is complex, and power_iteration takes real matrices: use numpy.linalg.eig")
    tolerance, steps = as_float("tolerance", tolerance, 0), as_int("steps", steps, 1)
    average, n = as_int("average", average, 8), matrix.shape[0]
    first = np.random.default_rng(0).standard_normal(n) if start is None else as_float64("start", start)
    if first.shape != (n,) or np.iscomplexobj(first) or not first.any():
        fail(ValueError, f"start has shape {first.shape}, and must hold {n} real numbers that are not all 0")
    first = first / np.abs(first).max()  # its squares are within range
    products = on_crossbars(matrix, engine, read)

    def step(v: Any) -> Any:
        found = products(v)
        size = np.linalg.norm(found)
        if not size:
            fail(ValueError, f"product {products.reads} of the crossbars is 0, and has no direction: try another start")
        return np.copysign(1.0, found @ v) * found / size  # a negative eigenvalue turns the vector each time

    found = averaged(step, first / np.linalg.norm(first), steps=steps, average=average, tolerance=1e-12)
    vector = found.mean / np.linalg.norm(found.mean)
    image = matrix @ vector
    value = float(vector @ image)
    residual = float(np.linalg.norm(image - value * vector)) / abs(value) if value else float("inf")
    twin, largest = matrix.T, float(abs(matrix).max())
    symmetric = float(abs(matrix - twin).max()) <= rounding(A) * largest
    off = residual if symmetric else _value_error(twin, vector, value, residual)
    noise = float(np.linalg.norm(found.error))
    if residual > tolerance:
        warnings.warn(
            f"not converged: |A v - value v| is {residual:.2g} of the value (tolerance {tolerance:g}), of which the "
            f"noise of reads explains {noise:.2g}: the crossbars are too inaccurate, or "
            "the eigenvalue of largest magnitude is not single and real, or more steps are needed",
            MpimpyWarning,
            stacklevel=2,
        )
    elif off > tolerance:
        share = f"{100 * off:.2g} %" if off < 1 else "100 % or more"
        warnings.warn(
            f"not converged: the value may be off by {share} (tolerance {100 * tolerance:.3g} %): |A v - value v| is "
            f"{residual:.2g} of it, but that bounds the error of symmetric matrices alone. Take more accurate "
            "crossbars, or scipy.sparse.linalg.eigs",
            MpimpyWarning,
            stacklevel=2,
        )
    converged = residual <= tolerance and off <= tolerance
    return EigenPair(value, vector, residual, off, noise, converged, found.changes, found.transient, products.reads)


def _value_error(twin: Any, v: Any, value: float, residual: float) -> float:
    # (value - exact) w.v = w.(value v - A v) for the left eigenvector w; its approximation has a residual too
    w = v
    for _ in range(LEFT):
        image = twin @ w
        size = float(np.linalg.norm(image))
        if not size:
            return float("inf")
        w = np.copysign(1.0, value) * image / size
    image = twin @ w
    left = float(np.linalg.norm(image - (w @ image) * w)) / abs(value) if value else float("inf")
    along = abs(float(w @ v))
    return (residual + left) / along if along else float("inf")

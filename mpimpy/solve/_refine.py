"""Linear systems: corrections from the crossbars, residuals in float64."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse import linalg

from ..checks import MpimpyWarning, as_float, as_int, fail
from ._crossbar import Products, as_float64, as_matrix, as_symmetric, on_crossbars
from ._solution import Inner, Solution

__all__ = ["solve"]

KEPT = 100  # directions that a new correction is made orthogonal to
WINDOW, SLOWEST = 20, 0.8  # it has stalled if so many steps leave more than this share of the residual
LARGEST = 1000  # unknowns up to which a failure is told with the condition number, which takes an SVD
SMALLEST = 1e-290
EPS = float(np.finfo(np.float64).eps)


def solve(
    A: Any,
    b: Any,
    engine: Any = None,
    *,
    tolerance: float = 1e-12,
    steps: int = 100,
    inner: Inner | None = None,
    read: int | None = None,
) -> Solution:
    """Solve ``A x = b`` to float64 accuracy, with the crossbars for the bulk of the products.

    Iterative refinement: each step finds a correction d of few digits, ``A d = b - A x``, by SciPy's iterations on the
    crossbars, and takes ``A d``, by which the residual changes, in float64. ``b - A x`` itself has the last word. Each
    correction is made orthogonal to the last 100, as A sees them, and gets the length that leaves the least residual,
    which so never grows (GCR: Eisenstat, Elman and Schultz, SIAM J. Numer. Anal. 20, 345, 1983; on crossbars: Le Gallo
    et al., Nat. Electron. 1, 246, 2018).

    Parameters
    ----------
    A : array or sparse matrix of SciPy, shape (n, n)
        Real or complex. Crossbars hold every element: a sparse matrix is programmed as a dense one, and used as it is
        for residuals.
    b : array, shape (n,) or (n, P)
        P right-hand sides are solved one after the other, on the same cells.
    engine : Engine, CrossbarOperator or CrossbarMatrix, optional
        An engine programs A.T, whose read is A v. A matrix that is programmed already is read as it is:
        ``engine.operator(A)``, or ``engine.program(A.T).T``. By default an engine of default settings.
    tolerance : float
        Relative residual ``|b - A x| / |b|`` to reach, 0 to 1.
    steps : int
        At most so many outer steps.
    inner : Inner, optional
        How corrections are found: GMRES, at most 10 iterations, by default.
    read : int, optional
        Number of the first read; the next reads have the next ones. By default the engine counts.

    Returns
    -------
    Solution
        ``converged`` tells whether it is one. If it is not, a warning told so with the figures.

    Warns
    -----
    MpimpyWarning
        If the residual stalls above the tolerance, or `steps` do not suffice.

    Raises
    ------
    TypeError, ValueError
        If A is not square, b does not fit, a number is not finite, or A is not symmetric where `inner` needs it.
    numpy.linalg.LinAlgError
        If A has a row or a column of zeros, or the residual stalls and A is singular to working precision. A singular
        A whose range holds b may have one of its solutions returned.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine
    >>> rng = np.random.default_rng(0)
    >>> A, b = np.eye(50) + 0.05 * rng.standard_normal((50, 50)), rng.standard_normal(50)
    >>> found = solve(A, b, Engine(seed=1))
    >>> found.converged, bool(np.allclose(found.x, np.linalg.solve(A, b), rtol=1e-9))
    (True, True)
    """
    matrix, rhs = as_matrix("A", A), as_float64("b", b)
    n, inner = matrix.shape[0], Inner() if inner is None else inner
    tolerance, steps = as_float("tolerance", tolerance, 0, 1), as_int("steps", steps, 1)
    if rhs.ndim not in (1, 2) or rhs.shape[0] != n or not rhs.size:
        fail(ValueError, f"b has shape {rhs.shape}, and A {matrix.shape}: b must be ({n},) or ({n}, P)")
    _check_inner(inner, matrix)
    _check_zeros(matrix)
    products = on_crossbars(matrix, engine, read)
    task = _Task(matrix, products, inner, tolerance, steps)
    product_error = task.product_error() if rhs.any() else float("nan")
    columns = [task.refine(column) for column in rhs.reshape(n, -1).T]
    reason, converged = _told(task, columns, product_error), all(column.converged for column in columns)
    if not converged:
        warnings.warn(f"not solved: {reason}", MpimpyWarning, stacklevel=2)
    shape = rhs.shape[1:]
    return Solution(
        x=np.stack([column.x for column in columns], axis=1).reshape(n, *shape),
        converged=converged,
        reason=reason,
        residuals=_table([column.residuals for column in columns], np.nan, shape),
        inner=_table([column.inner for column in columns], 0, shape),
        reads=products.reads,
        dac_conversions=products.dac_conversions,
        adc_conversions=products.adc_conversions,
        digital_products=sum(column.digital for column in columns) + bool(rhs.any()),
        product_error=product_error,
        tolerance=tolerance,
        seed=products.source.seed,
        chip=products.source.chip,
    )


def _check_inner(inner: Inner, matrix: Any) -> None:
    if not isinstance(inner, Inner):
        fail(TypeError, f"inner={inner!r} must be an Inner, such as Inner('cg', rtol=0.1, iterations=50)")
    if inner.method != "gmres":
        as_symmetric("A", matrix, f"{inner.method} needs that: use Inner('gmres')")
    shape = getattr(inner.preconditioner, "shape", matrix.shape)
    if inner.preconditioner is not None and tuple(shape) != tuple(matrix.shape):
        fail(ValueError, f"the preconditioner has shape {tuple(shape)}, and A {matrix.shape}: they must be the same")


def _check_zeros(matrix: Any) -> None:
    for axis, name in ((1, "row"), (0, "column")):
        empty = np.flatnonzero(np.asarray(abs(matrix).sum(axis=axis)) == 0)
        if empty.size:
            fail(np.linalg.LinAlgError, f"A is singular: {name} {empty[0]} holds nothing but zeros")


def _table(columns: list[list[Any]], missing: float, shape: tuple[int, ...]) -> Any:
    # lists of different lengths, side by side
    found = np.full((max(map(len, columns)), len(columns)), missing, dtype=np.asarray(missing).dtype)
    for place, column in enumerate(columns):
        found[: len(column), place] = column
    return found.reshape(-1, *shape)


@dataclass
class _Column:
    # the history of one right-hand side
    x: Any
    residuals: list[float] = field(default_factory=list)
    inner: list[int] = field(default_factory=list)
    ended: str = ""
    digital: int = 0

    @property
    def converged(self) -> bool:
        return self.ended == "converged"


@dataclass
class _Task:
    # one matrix on crossbars, and how far to go
    matrix: Any
    products: Products
    inner: Inner
    tolerance: float
    steps: int

    def product_error(self) -> float:
        v = np.random.default_rng(0).standard_normal(self.matrix.shape[0])
        exact = self.matrix @ v
        return float(np.linalg.norm(self.products(v) - exact) / np.linalg.norm(exact))

    def refine(self, b: Any) -> _Column:
        dtype = np.result_type(self.matrix.dtype, b.dtype)
        column, largest = _Column(np.zeros(b.size, dtype)), float(np.abs(b).max())
        power = 2.0 ** np.floor(np.log2(largest)) if largest else 1.0
        b = b / power  # squares of its elements are within range, and its bits stay
        residual, size = b.astype(dtype), float(np.linalg.norm(b))
        kept: list[tuple[Any, Any]] = []
        column.residuals.append(1.0 if size else 0.0)
        while not (ended := self._ended(column, size)):
            found = self._step(column, residual, kept)
            if found is None:
                column.residuals.append(column.residuals[-1])
                ended = "broken"
                break
            residual = found
            column.residuals.append(float(np.linalg.norm(residual)) / size)
            if self._ended(column, size):  # sums of rounded steps may have drifted from the truth
                residual = b - self.matrix @ column.x
                column.digital += 1
                column.residuals[-1] = float(np.linalg.norm(residual)) / size
        largest = float(np.abs(column.x).max())
        if largest and not SMALLEST < largest * power < 1 / SMALLEST:
            at = f"10**{np.log10(largest) + np.log10(power):.0f}"
            fail(ValueError, f"x has elements of about {at}, which float64 cannot hold to full accuracy: scale A or b")
        column.ended, column.x = ended, column.x * power
        return column

    def _step(self, column: _Column, residual: Any, kept: list[tuple[Any, Any]]) -> Any:
        # one correction and the residual that it leaves; None if the crossbars gave none
        before = self.products.reads
        d = self._correction(residual / float(np.linalg.norm(residual)))
        d, image = _orthogonal(d, self.matrix @ d, kept)
        column.digital += 1
        column.inner.append(self.products.reads - before)
        norm = float(np.linalg.norm(image))
        if not (norm > 0 and np.isfinite(norm)):
            return None
        kept[:] = [*kept, (d / norm, image / norm)][-KEPT:]
        length = np.vdot(image, residual) / norm**2
        column.x = column.x + length * d
        return residual - length * image

    def _ended(self, column: _Column, size: float) -> str:
        found = column.residuals
        if found[-1] <= self.tolerance:
            return "converged"
        if len(found) > WINDOW and found[-1] > SLOWEST * found[-1 - WINDOW]:
            floor = EPS * (self._size() * float(np.linalg.norm(column.x)) + size)
            return "rounding" if found[-1] * size < 10 * floor else "stalled"
        return "steps" if len(found) > self.steps else ""

    def _size(self) -> float:
        norm: Callable[[Any], Any] = linalg.norm if scipy.sparse.issparse(self.matrix) else np.linalg.norm
        return float(norm(self.matrix))

    def _correction(self, residual: Any) -> Any:
        try:
            with np.errstate(all="ignore"):  # what breaks down is told
                return self._inner_solution(residual)
        except FloatingPointError:
            return np.zeros_like(residual)

    def _inner_solution(self, residual: Any) -> Any:
        inner, operator = self.inner, self.products.operator(residual.dtype)
        options = {"rtol": inner.rtol, "M": inner.preconditioner}
        iterations = min(inner.iterations, residual.size)
        if inner.method == "gmres":
            found, _ = linalg.gmres(operator, residual, atol=0.0, restart=iterations, maxiter=1, **options)
        elif inner.method == "cg":
            found, _ = linalg.cg(operator, residual, atol=0.0, maxiter=iterations, **options)
        else:
            found, _ = linalg.minres(operator, residual, maxiter=iterations, **options)
        return found


def _orthogonal(d: Any, image: Any, kept: list[tuple[Any, Any]]) -> tuple[Any, Any]:
    # a correction less its parts along those that are kept, which have orthonormal images under A
    before, plain = float(np.linalg.norm(image)), (d, image)
    for direction, known in kept:
        part = np.vdot(known, image)
        d, image = d - part * direction, image - part * known
    if np.linalg.norm(image) > 1e-8 * before:
        return d, image
    kept.clear()  # what is left is rounding
    return plain


def _told(task: _Task, columns: list[_Column], product_error: float) -> str:
    # in words: the column that went worst
    worst = max(columns, key=lambda column: (not column.converged, column.residuals[-1]))
    steps, residual = len(worst.inner), worst.residuals[-1]
    at = f"the relative residual is {residual:.2g} after {steps} steps"
    if worst.converged:
        return f"converged, {at}"
    at += f" (tolerance {task.tolerance:g})"
    if worst.ended == "rounding":
        return f"{at}, where float64 rounds A x: no solution of this system in float64 has less"
    if worst.ended == "steps":
        pace = (worst.residuals[-1] / worst.residuals[-1 - min(WINDOW, steps)]) ** (1 / min(WINDOW, steps))
        return f"{at}, and each of the last steps left {pace:.2f} of it: allow more steps"
    if worst.ended == "broken":
        return f"{at}: {task.inner.method} broke down on the crossbars: use Inner('gmres'), or another preconditioner"
    dense, n = task.matrix, task.matrix.shape[0]
    condition, product = "", "it"
    if n <= LARGEST:
        found = float(np.linalg.cond(dense.toarray() if scipy.sparse.issparse(dense) else dense))
        if not found < 1 / (n * EPS):
            fail(np.linalg.LinAlgError, f"A is singular to working precision (condition number {found:.1g}): {at}")
        condition, product = f", and A has a condition number of {found:.2g}", "their product"
    error = f"a product on these crossbars is off by {100 * product_error:.2g} %{condition}"
    way = "take cells of less variation, an ADC of more codes, a preconditioner or more inner iterations"
    return f"{at} and no longer falls: {error}; refinement stalls where {product} is too large: {way}"

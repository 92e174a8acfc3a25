"""Linear systems: corrections from the crossbars, residuals in float64."""

import warnings
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.sparse import linalg

from ..checks import MpimpyWarning, as_float, as_int, fail
from ..engine import Engine
from ._crossbar import Products, as_float64, as_matrix, as_symmetric, on_crossbars, rounding
from ._scaling import Scaling, balanced
from ._solution import Inner, Solution
from ._words import breakdown, condition, ill_conditioned, stall

__all__ = ["solve"]

KEPT = 100  # directions that a new correction is made orthogonal to
WINDOW, SLOWEST = 30, 0.9  # it has stalled if so many steps leave more than this share of the residual
HARDLY = 0.5  # more steps are no advice if so many leave more than this share
WRONG = 1e-3  # a share of x that may be wrong, above which an answer that has converged is warned of
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
    """Solve ``A x = b`` to a relative residual of 1e-12, with the crossbars for the bulk of the products.

    Iterative refinement: each step finds a correction d of few digits, ``A d = b - A x``, by SciPy's iterations on the
    crossbars, and takes ``A d``, by which the residual changes, in float64. ``b - A x`` itself has the last word. Each
    correction is made orthogonal to the last 100, as A sees them, and gets the length that leaves the least residual,
    which so never grows (GCR: Eisenstat, Elman and Schultz, SIAM J. Numer. Anal. 20, 345, 1983; on crossbars: Le Gallo
    et al., Nat. Electron. 1, 246, 2018).

    The residual is not the error of x, which can be as large as the condition number of A times the residual, as with
    any solver. Up to 1000 unknowns, `Solution.reason` tells condition numbers above 1e8.

    Where the largest elements of rows, or of columns, differ by a factor of 10 or more, an engine programs A with rows
    and columns scaled by powers of two, and least means that of the scaled system. `Solution` speaks of A itself.

    Parameters
    ----------
    A : array or sparse matrix of SciPy, shape (n, n)
        Real or complex. Crossbars hold every element: a sparse matrix is programmed as a dense one, and used as it is
        for residuals.
    b : array, shape (n,) or (n, P)
        P right-hand sides are solved one after the other, on the same cells.
    engine : Engine, CrossbarOperator or CrossbarMatrix, optional
        An engine programs A.T, whose read is A v. A matrix that is programmed already is read as it is:
        ``engine.operator(A)``, or ``engine.program(A.T).T``; its rows and columns are not scaled. By default an
        engine of default settings.
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
        If the residual stalls above the tolerance, or `steps` do not suffice; if x of up to 1000 unknowns may be off
        by more than 0.1 % of its size though the residual is small.

    Raises
    ------
    TypeError, ValueError
        If A is not square, b does not fit, a number is not finite, or A is not symmetric, or the system complex, where
        `inner` needs it.
    numpy.linalg.LinAlgError
        If A has a row or a column of zeros. Of another singular A, `Solution.reason` tells that it is one, or one of
        the solutions is returned if b is in its range.

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
    _check_inner(inner, matrix, rhs, rounding(A))
    check_zeros(matrix)
    engine = Engine() if engine is None else engine
    scaling, programs = balanced(matrix, symmetric=inner.method != "gmres"), isinstance(engine, Engine)
    if scaling is not None and programs:
        matrix, inner = scaling.of(matrix), replace(inner, preconditioner=scaling.inverse(inner.preconditioner))
    products = on_crossbars(matrix, engine, read)
    task = _Task(matrix, products, inner, tolerance, steps, scaling, programs)
    product_error = task.product_error() if rhs.any() else float("nan")
    columns = [task.refine(column) for column in rhs.reshape(n, -1).T]
    reason, doubt = _told(task, columns, product_error)
    converged = all(column.converged for column in columns)
    if not converged or doubt:
        warnings.warn(f"{'ill-conditioned' if converged else 'not solved'}: {reason}", MpimpyWarning, stacklevel=2)
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


def _check_inner(inner: Inner, matrix: Any, rhs: Any, allowed: float) -> None:
    if not isinstance(inner, Inner):
        fail(TypeError, f"inner={inner!r} must be an Inner, such as Inner('cg', rtol=0.1, iterations=50)")
    is_complex, given = np.iscomplexobj(matrix) or np.iscomplexobj(rhs), inner.preconditioner
    if inner.method == "minres" and is_complex:
        fail(ValueError, "A or b is complex, and minres takes real systems alone: use Inner('gmres') or Inner('cg')")
    if inner.method != "gmres":
        as_symmetric("A", matrix, f"{inner.method} needs that: use Inner('gmres')", allowed)
    if given is None:
        return
    if tuple(given.shape) != tuple(matrix.shape):
        fail(ValueError, f"the preconditioner has shape {given.shape}, and A {matrix.shape}: they must be the same")
    if "complex" in str(given.dtype) and not is_complex:
        fail(TypeError, "the preconditioner is complex, and A and b are real: give a real one")


def check_zeros(matrix: Any) -> None:
    """Raise LinAlgError if a row or a column of a matrix holds nothing but zeros."""
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
    progress: list[float] = field(default_factory=list)  # residuals of the scaled system, which never grow
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
    scaling: Scaling | None  # what A needs
    scaled: bool  # whether it has got it

    def product_error(self) -> float:
        v = np.random.default_rng(0).standard_normal(self.matrix.shape[0])
        exact = self.matrix @ v
        return float(np.linalg.norm(self.products(v) - exact) / np.linalg.norm(exact))

    def refine(self, b: Any) -> _Column:
        dtype = np.result_type(self.matrix.dtype, b.dtype)
        column, largest = _Column(np.zeros(b.size, dtype)), float(np.abs(b).max())
        power = 2.0 ** np.floor(np.log2(largest)) if largest else 1.0
        b = b / power  # squares of its elements are within range, and its bits stay
        plain, scaling = float(np.linalg.norm(b)), self.scaling if self.scaled else None
        b = b if scaling is None else b * scaling.rows
        residual, size = b.astype(dtype), float(np.linalg.norm(b))
        kept: list[tuple[Any, Any]] = []

        def sizes() -> tuple[float, float]:
            # of the residual, of the scaled system and of the one that was given
            within = float(np.linalg.norm(residual)) / size
            return within, within if scaling is None else float(np.linalg.norm(residual / scaling.rows)) / plain

        column.progress.append(1.0 if size else 0.0)
        column.residuals.append(column.progress[0])
        while not (ended := self._ended(column, b)):
            found = self._step(column, residual, kept)
            if found is None:
                column.progress.append(column.progress[-1])
                column.residuals.append(column.residuals[-1])
                ended = "broken"
                break
            residual = found
            column.progress.append(0.0)
            column.residuals.append(0.0)
            column.progress[-1], column.residuals[-1] = sizes()
            if self._ended(column, b):  # sums of rounded steps may have drifted from the truth
                residual = b - self.matrix @ column.x
                column.digital += 1
                column.progress[-1], column.residuals[-1] = sizes()
        column.x = column.x if scaling is None else column.x * scaling.columns
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

    def _ended(self, column: _Column, b: Any) -> str:
        if column.residuals[-1] <= self.tolerance:
            return "converged"
        found = column.progress
        if len(found) > WINDOW and found[-1] > SLOWEST * found[-1 - WINDOW]:
            floor = EPS * float(np.linalg.norm(abs(self.matrix) @ np.abs(column.x) + np.abs(b)))
            return "rounding" if found[-1] * float(np.linalg.norm(b)) < 10 * floor else "stalled"
        return "steps" if len(found) > self.steps else ""

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


def _told(task: _Task, columns: list[_Column], product_error: float) -> tuple[str, bool]:
    # in words: the column that went worst; and whether x is in doubt though all have converged
    worst = max(columns, key=lambda column: (not column.converged, column.residuals[-1]))
    steps, residual = len(worst.inner), worst.residuals[-1]
    at = f"the relative residual is {residual:.2g} after {steps} steps"
    if worst.converged:
        within = max(column.progress[-1] for column in columns)
        words, off = ill_conditioned(condition(task.matrix) if steps else 0.0, within)
        return f"converged, {at}{words}", off > WRONG
    at += f" (tolerance {task.tolerance:g})"
    if worst.ended == "rounding":
        return f"{at}, where float64 rounds A x: more steps hardly lower it", False
    recent = min(WINDOW, steps)
    left = worst.progress[-1] / worst.progress[-1 - recent] if recent else 1.0
    if worst.ended == "steps" and left < HARDLY:
        pace = left ** (1 / recent)
        return f"{at}, and each of the last steps left {pace:.2f} of it: allow more steps", False
    if worst.ended == "broken":
        preconditioned = task.inner.preconditioner is not None
        why = breakdown(task.inner.method, preconditioned=preconditioned, product_error=product_error)
        return f"{at}: {why}", False
    unscaled = task.scaling is not None and not task.scaled
    return f"{at} and hardly falls any more: {stall(task.matrix, product_error, unscaled=unscaled)}", False

"""MapReducedot: np.dot's rules over any array library, on crossbars."""

import math
import sys
from typing import Any, Literal, Unpack, overload

from ._complex import ComplexMatrix
from ._linear import parts_of
from ._recorded import recorded_product
from .analysis.report import Reads, Report, check_reads
from .arrays import detach, device_of, is_complex, lazy_product, namespace, recorded, traced_by_torch
from .autograd.slots import COUNTED
from .checks import as_bool, fail
from .compat.dpetensor import DPETensor
from .config._flat import Settings
from .cost import Cost
from .cost._technology import AnyTechnology, as_technology
from .engine import Engine
from .operands import dtypes, edge

__all__ = ["MapReducedot", "cost_of", "explain"]


def _engine(engine: Any, settings: Settings, *operands: Any) -> Engine:
    if "input_size" in settings:
        msg = "input_size has no effect here: it is for SlicedData(input_en=True) and DPETensor"
        raise TypeError(msg)
    if engine is None:
        if traced_by_torch(*operands):
            msg = "a graph of torch outlives an engine that is built in it: give engine=, built outside, DPETensor(...)"
            raise TypeError(msg)
        return DPETensor(**settings)
    if not isinstance(engine, Engine):
        msg = f"engine={type(engine).__name__} must be an Engine; there is no out argument"
        raise TypeError(msg)
    if settings:
        msg = f"settings ({', '.join(sorted(settings))}) have no effect beside an engine: give them to the engine"
        raise TypeError(msg)
    return engine


def _multiply(
    xp: Any, engine: Engine, x: Any, w: Any, result: Any, told: bool, technology: AnyTechnology | None
) -> tuple[Any, Report | None]:
    # the product, and its report if that is to be told; the operands count as the dtype of the whole product
    real = dtypes.real_dtype(xp, result)

    def operand(name: str, array: Any) -> edge.Operand:
        counts_as = result if dtypes.kind_of(xp, array.dtype) == "complex floating" else real
        return edge.Operand(name, array, tuple(array.shape), counts_as)

    # no other matrix lives beside this one: it needs no look at what else is on its cells
    matrix = engine._program(operand("w", w), engine._address())
    if not told:
        return matrix.read(operand("x", x)), None
    number, stream = engine._counter.next_read()
    y = matrix.in_stream(stream, number).read(operand("x", x))
    if not isinstance(matrix, ComplexMatrix):
        x = xp.concat(parts_of(xp, x))
    return y, matrix._report(operand("x", x), operand("w", w), Reads(number, 1, stream), technology)


def _record(engine: Engine, x: Any, w: Any, told: bool, technology: AnyTechnology | None) -> tuple[Any, Report | None]:
    # the same where torch records the product
    if not told:
        return engine._recorded(x, w), None
    if traced_by_torch(x, w):
        msg = "return_report=True has no place in a graph of torch: call explain(a, b, engine) outside of it"
        raise TypeError(msg)
    number, stream = engine._counter.next_read()
    y = recorded_product(engine, x, w, number if stream is None else number + COUNTED)
    matrix = engine._program(engine._weights(detach(w)), engine._address())
    return y, matrix._report(detach(x), detach(w), Reads(number, 1, stream), technology)


def _operands(a: Any, b: Any, complex_too: bool = True) -> tuple[edge.Operand, edge.Operand]:
    like = edge.like(a, b)
    first = edge.accept("a", a, like, complex_too=complex_too)
    second = edge.accept("b", b, like, complex_too=complex_too)
    edge.check_together(first.array, second.array, "a", "b")
    return first, second


def _as_matrices(xp: Any, a: Any, b: Any) -> tuple[Any, Any, tuple[int, ...]]:
    # inputs and weights as matrices, and the shape of the product by np.dot's rules
    if a.ndim == 0 or b.ndim == 0:
        # the elements of the array drive one weight
        array, number = (a, b) if b.ndim == 0 else (b, a)
        return xp.reshape(array, (-1, 1)), xp.reshape(number, (1, 1)), tuple(array.shape)
    axis = max(b.ndim - 2, 0)
    if a.shape[-1] != b.shape[axis]:
        msg = (
            f"shapes {tuple(a.shape)} and {tuple(b.shape)} do not fit: the last axis of a ({a.shape[-1]}) must be "
            f"as long as {'the second-to-last' if b.ndim > 1 else 'the only'} axis of b ({b.shape[axis]})"
        )
        raise ValueError(msg)
    depth = a.shape[-1]
    # beside an empty axis, -1 would be ambiguous
    x = xp.reshape(a, (math.prod(a.shape[:-1]), depth))
    columns = math.prod(b.shape[:axis]) * math.prod(b.shape[axis + 1 :])
    w = xp.reshape(xp.moveaxis(b, axis, 0) if axis else b, (depth, columns))
    return x, w, (*a.shape[:-1], *b.shape[:axis], *b.shape[axis + 1 :])


@overload
def MapReducedot(
    a: Any, b: Any, engine: Engine | None = None, *, return_report: Literal[False] = False, **settings: Unpack[Settings]
) -> Any: ...


@overload
def MapReducedot(
    a: Any,
    b: Any,
    engine: Engine | None = None,
    *,
    return_report: Literal[True],
    technology: AnyTechnology | None = None,
    **settings: Unpack[Settings],
) -> tuple[Any, Report]: ...


def MapReducedot(
    a: Any,
    b: Any,
    engine: Engine | None = None,
    *,
    return_report: bool = False,
    technology: AnyTechnology | None = None,
    **settings: Unpack[Settings],
) -> Any:
    """Return ``np.dot(a, b)`` as memristor crossbars compute it.

    Parameters
    ----------
    a, b : array_like
        Arrays of one library and device: NumPy, torch, JAX, or any that follows the array API. Or numbers,
        lists and tables; docs/operands.md has the table of what is taken.
        Shapes follow np.dot: numbers multiply; 1-D with 1-D is an inner product; N-D with 1-D
        sums over the last axis; N-D with M-D over the last axis of `a` and the second-to-last of
        `b`. `b` is written into the arrays, `a` drives them.
    engine : Engine, optional
        By default, an engine with the settings.
    return_report : bool
        Whether to return the report of the product too: seed, sizes, conversions, and the cost of each effect in this
        read. The product has the same bits with it and without it. The report takes as long as 20 to 40 products. That
        of complex operands is of the real matrices that are multiplied.
    technology : mpimpy.cost.Technology or str, optional
        Adds energy, latency and area to the report; see `explain`.
    **settings
        Any of the settings table, such as ``radc=1024, var=0.02, seed=7``; see `DPETensor`.

    Returns
    -------
    array
        Of the library, dtype and device that the exact product would have; integers and
        booleans give floats. Tensors get a gradient; see `Engine.gradient`.
    mpimpy.Report
        Only with ``return_report=True``.

    Raises
    ------
    ValueError
        If shapes do not fit, devices differ, a number is not finite or a setting is out of range.
    TypeError
        If libraries are mixed, a dtype is not numeric, or a setting is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.eye(4), np.arange(8.0).reshape(4, 2)
    >>> MapReducedot(a, b, radc=None, var=0).shape
    (4, 2)
    >>> c, report = MapReducedot(a, b, return_report=True)
    >>> bool(np.all(MapReducedot(a, b, seed=report.seed) == c))
    True
    """
    told = as_bool("return_report", return_report)
    if technology is not None:
        if not told:
            fail(TypeError, "technology has no effect without a report: give return_report=True as well")
        technology = as_technology(technology)
    if (lazy := lazy_product(a, b)) is not None:
        if told:
            msg = "return_report=True measures operands that are in memory, and one of these is computed later"
            fail(TypeError, f"{msg}: call {_SOME_ROWS}")
        return lazy(a, b, engine, settings)
    engine = _engine(engine, settings, a, b)
    if recorded(a, b) and not (is_complex(a) or is_complex(b)):
        a, b = edge.as_tensors(a, b, "a", "b")
        x, w, shape = _as_matrices(sys.modules["torch"], a, b)
        y, report = _record(engine, x, w, told, technology)
        return (y.reshape(shape), report) if told else y.reshape(shape)
    first, second = _operands(a, b)
    a, b, xp = first.array, second.array, namespace(first.array)
    numbers = {"first_number": a.ndim == 0, "second_number": b.ndim == 0}
    result = dtypes.result_dtype(xp, first.counts_as, second.counts_as, device_of(a), **numbers)
    x, w, shape = _as_matrices(xp, a, b)
    y, report = _multiply(xp, engine, x, w, result, told, technology)
    y = xp.astype(xp.reshape(y, shape), result, copy=False)
    if y.ndim == 0 and edge.library(y) == "numpy":
        y = y[()]  # np.dot gives a NumPy number, not an array without axes
    return (y, report) if told else y


_SOME_ROWS = "explain(a[:64].compute(), b.compute()), or engine.program(b).report(a)"


def explain(
    a: Any,
    b: Any,
    engine: Engine | None = None,
    *,
    read: int = 0,
    reads: int = 1,
    technology: AnyTechnology | None = None,
    **settings: Unpack[Settings],
) -> Report:
    """Return the hardware and conversions of ``MapReducedot(a, b)``, and the cost of each effect, dB.

    Each effect is measured twice: as the only one, and as the only one switched off.

    Parameters
    ----------
    a : array_like, shape (..., K)
        Real inputs.
    b : array_like, shape (K, N) or (K,)
        Real weights.
    engine, **settings
        As for `MapReducedot`.
    read : int
        Number of the read that is measured.
    reads : int
        Number of reads, from `read` on. Of several, each figure is that of all their errors together, with the lowest
        and the highest of the single reads.

    technology : mpimpy.cost.Technology, str, path or dict, optional
        Adds energy, latency and area of the product, as `CrossbarMatrix.cost` has them: accuracy and cost of one run.

    Returns
    -------
    mpimpy.Report
        Prints as a table. It holds settings, seed, chip and read, from which the same bits come again:
        ``Engine.from_config(report.settings, seed=report.seed, chip=report.chip)`` with ``read=report.read``.

    Raises
    ------
    TypeError, ValueError
        As `MapReducedot`; also for complex operands.

    Examples
    --------
    >>> import numpy as np
    >>> report = explain(np.eye(64), np.eye(64), seed=0)
    >>> report.tiles
    (1, 1, 4)
    """
    engine, asked = _engine(engine, settings), check_reads(read, reads)
    technology = None if technology is None else as_technology(technology)
    if lazy_product(a, b) is not None:
        msg = "explain measures operands that are in memory, and one of these is computed later: give some rows"
        fail(TypeError, f"{msg}, {_SOME_ROWS}")
    first, second = _operands(a, b, complex_too=False)
    a, b = first.array, second.array
    if b.ndim == 1:
        b = namespace(b).reshape(b, (-1, 1))
    return engine.program(b)._report(a, b, asked, technology)


def cost_of(a: Any, b: Any, engine: Engine, technology: AnyTechnology) -> Cost:
    """Return the cost of ``MapReducedot(a, b, engine)``; see `mpimpy.CrossbarMatrix.cost`.

    Parameters
    ----------
    a, b : array_like
        As for `MapReducedot`.
    engine : Engine
    technology : mpimpy.cost.Technology, str, path or dict

    Raises
    ------
    TypeError, ValueError
        As `MapReducedot` and `mpimpy.CrossbarMatrix.cost`.
    """
    first, second = _operands(a, b)
    x, w, _ = _as_matrices(namespace(first.array), first.array, second.array)
    found: Cost = engine.program(w).cost(x, technology)
    return found

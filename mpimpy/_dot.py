"""MapReducedot: np.dot's rules over any array library, on crossbars."""

import math
import sys
from typing import Any, Unpack

from .analysis.report import Report
from .arrays import device_of, is_complex, lazy_product, namespace, recorded, traced_by_torch
from .compat.dpetensor import DPETensor
from .config._flat import Settings
from .engine import Engine
from .operands import dtypes, edge

__all__ = ["MapReducedot", "explain"]


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


def _multiply(xp: Any, engine: Engine, x: Any, w: Any, result: Any) -> Any:
    # the operands count as the dtype of the whole product
    real = dtypes.real_dtype(xp, result)

    def operand(name: str, array: Any) -> edge.Operand:
        counts_as = result if dtypes.kind_of(xp, array.dtype) == "complex floating" else real
        return edge.Operand(name, array, tuple(array.shape), counts_as)

    # no other matrix lives beside this one: it needs no look at what else is on its cells
    return engine._program(operand("w", w), engine._address()).read(operand("x", x))


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


def MapReducedot(a: Any, b: Any, engine: Engine | None = None, **settings: Unpack[Settings]) -> Any:
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
    **settings
        Any of the settings table, such as ``radc=1024, var=0.02, seed=7``; see `DPETensor`.

    Returns
    -------
    array
        Of the library, dtype and device that the exact product would have; integers and
        booleans give floats. Tensors get a gradient; see `Engine.gradient`.

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
    """
    if (lazy := lazy_product(a, b)) is not None:
        return lazy(a, b, engine, settings)
    engine = _engine(engine, settings, a, b)
    if recorded(a, b) and not (is_complex(a) or is_complex(b)):
        a, b = edge.as_tensors(a, b, "a", "b")
        x, w, shape = _as_matrices(sys.modules["torch"], a, b)
        return engine._recorded(x, w).reshape(shape)
    first, second = _operands(a, b)
    a, b, xp = first.array, second.array, namespace(first.array)
    numbers = {"first_number": a.ndim == 0, "second_number": b.ndim == 0}
    result = dtypes.result_dtype(xp, first.counts_as, second.counts_as, device_of(a), **numbers)
    x, w, shape = _as_matrices(xp, a, b)
    y = xp.astype(xp.reshape(_multiply(xp, engine, x, w, result), shape), result, copy=False)
    # np.dot gives a NumPy number, not an array without axes
    return y[()] if y.ndim == 0 and edge.library(y) == "numpy" else y


def explain(a: Any, b: Any, engine: Engine | None = None, **settings: Unpack[Settings]) -> Report:
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

    Returns
    -------
    mpimpy.Report
        Prints as a table.

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
    engine = _engine(engine, settings)
    if lazy_product(a, b) is not None:
        msg = (
            "explain measures operands that are in memory, and one of these is computed later: give some rows, "
            "explain(a[:64].compute(), b.compute()), or use engine.program(b).report(a)"
        )
        raise TypeError(msg)
    first, second = _operands(a, b, complex_too=False)
    a, b = first.array, second.array
    if b.ndim == 1:
        b = namespace(b).reshape(b, (-1, 1))
    return engine.program(b).report(a, b)

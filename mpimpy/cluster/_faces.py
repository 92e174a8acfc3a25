"""Where lazy arrays come in: the products and matrices of mpimpy, given dask arrays."""

import math
from typing import Any

import dask.array as da
import numpy as np

from .._dot import _as_matrices, _engine
from ..checks import as_int, fail
from ..engine import Engine
from ..noise import MAX_CHIP
from ..operands import dtypes, edge
from ._graph import Lazy, Weights
from ._matrix import ClusterMatrix, read_lazy
from ._operands import as_lazy, is_lazy, stacked_weights
from ._tasks import Recipe

__all__ = ["multiply", "product", "program", "read"]


def program(engine: Any, w: Any, options: dict[str, Any]) -> ClusterMatrix:
    """Return a lazy matrix; see `mpimpy.Engine.program`, whose other arguments are in `options`."""
    for part in ("shape", "survey"):
        if options.get(part) is not None:
            fail(TypeError, f"{part}= is for a part of a matrix, and a dask array is cut up by itself: leave it out")
    if tuple(options.get("origin", (0, 0))) != (0, 0):
        fail(ValueError, f"origin={options['origin']} is for a part of a matrix: program the whole dask array at once")
    chip, name = options.get("chip"), options.get("name")
    if name is not None:
        engine._key_of(name)
    chip = None if chip is None else as_int("chip", chip, 0, MAX_CHIP)
    return _matrix(engine, as_lazy("w", w), (name, chip), options.get("faults"))


def _matrix(engine: Any, w: Any, where: tuple[Any, Any], faults: Any = None, result: Any = None) -> ClusterMatrix:
    if engine.backend not in (None, "numba", "reference"):
        msg = f"backend={engine.backend!r} takes no NumPy arrays, as the chunks of dask are: use backend=None"
        fail(ValueError, msg)
    if w.ndim != 2:
        fail(ValueError, f"w has shape {w.shape}: weights are one matrix, (K, N)")
    real = stacked_weights(w)
    if faults is not None:
        faults = _faults(faults, real.shape, engine.config.weights)
    counts = None if result is None else str(dtypes.real_dtype(np, result))
    recipe = Recipe(engine, where[0], where[1], real.shape)
    dtype = edge.float_dtype(np, np.zeros((0,), w.dtype))
    return ClusterMatrix(Weights(recipe, Lazy("w", real, counts), faults), dtype, engine._counter)


def _faults(faults: Any, shape: tuple[int, int], fmt: Any) -> Any:
    # checked as a whole; tasks get their parts of it
    faults = np.asarray(faults.compute() if is_lazy(faults) else faults)
    edge.as_faults(faults, shape, fmt)
    return faults.astype(np.int8)


def multiply(engine: Any, x: Any, w: Any, read: int | None) -> Any:
    """Return the lazy product of an engine; see `mpimpy.Engine.MapReduceDot`."""
    like = x.dtype if is_lazy(x) else None
    return _matrix(engine, as_lazy("w", w, like), (None, None)).read(x, read)


def read(matrix: Any, x: Any, read: int | None, first_row: int = 0, survey: Any = None, into: Any = None) -> Any:
    """Return the lazy product of dask inputs and a matrix that is programmed already; see `CrossbarMatrix.read`."""
    if first_row or survey is not None or into is not None:
        msg = "first_row, survey and into are for parts, and dask arrays are cut up by themselves: leave them out"
        fail(TypeError, msg)
    cells = getattr(matrix, "parts", matrix)
    if edge.library(cells._prototype) != "numpy":
        fail(TypeError, f"x is a dask array, and W one of {edge.library(cells._prototype)}: program NumPy weights")
    if cells.programmed is None:
        return da.zeros((*x.shape[:-1], matrix.shape[1]), dtype=matrix.dtype)
    weights = Weights(Recipe(Engine.from_config(cells.config, seed=0), None, None, cells.shape), matrix=cells)
    return read_lazy(weights, x, (matrix.shape, np.dtype(matrix._prototype.dtype)), read, matrix._counter)


def product(a: Any, b: Any, engine: Any, settings: Any) -> Any:
    """Return the lazy product of `mpimpy.MapReducedot`, by np.dot's rules."""
    engine = _engine(engine, settings, a, b)
    like = next(each.dtype for each in (a, b) if is_lazy(each))
    a, b = as_lazy("a", a, like), as_lazy("b", b, like)
    counted = [edge.float_dtype(np, np.zeros((0,), each.dtype)) for each in (a, b)]
    result = dtypes.result_dtype(np, *counted, first_number=a.ndim == 0, second_number=b.ndim == 0)
    x, w, shape = _as_matrices(da, a, b)
    if not math.prod(shape):
        return da.zeros(shape, dtype=result)
    matrix = _matrix(engine, w, (None, None), result=result)
    face = (w.shape, w.dtype)
    y = read_lazy(matrix._weights, x, face, None, engine._counter, result)
    y = y.reshape(shape)
    return y if y.dtype == result else y.astype(result)

"""Operands of a lazy product: dask arrays, checked before any graph is made; arrays in memory become some."""

import math
import warnings
from typing import Any

import dask
import dask.array as da
import numpy as np

from ..checks import MpimpyWarning, fail
from ..operands import edge
from ._lost import current_client

__all__ = ["as_lazy", "is_lazy", "stacked_weights", "warn_of_chunks"]

SCATTERED = 1_000_000  # bytes from which an array in memory is sent to the workers on its own, not inside the graph


def is_lazy(value: Any) -> bool:
    """Return whether `value` is a dask array."""
    return isinstance(value, da.Array)


def as_lazy(name: str, value: Any, like: Any = None) -> Any:
    """Return an operand as a dask array of real or complex numbers, with known chunks.

    Parameters
    ----------
    name : str
        Its name in messages.
    value : dask array, or anything that holds numbers
    like : dtype, optional
        Of the other factor: numbers and lists count as it.

    Raises
    ------
    TypeError
        If its numbers are of no kind that crossbars take, or its chunks are no NumPy arrays.
    ValueError
        If sizes of chunks are unknown, or an array in memory holds a NaN or an infinity.
    """
    if not is_lazy(value):
        beside = None if like is None else np.zeros((0,), like)
        operand = edge.accept(name, value, beside, complex_too=True)
        array = operand.array
        if not isinstance(array, np.ndarray):
            msg = f"{name} is a {edge.library(array)} array beside a dask one: give it as a NumPy or a dask array"
            fail(TypeError, msg)
        return _from_memory(array.astype(operand.counts_as, copy=False))
    if any(math.isnan(size) for size in value.shape):
        msg = f"{name} has chunks of unknown size, {value.chunks}: call its compute_chunk_sizes() first"
        fail(ValueError, msg)
    if not isinstance(value._meta, np.ndarray):
        kind = f"{type(value._meta).__module__}.{type(value._meta).__name__}"
        fail(TypeError, f"{name} has chunks of {kind}: map them to NumPy arrays first, {name}.map_blocks(np.asarray)")
    # the usual checks of a dtype, on an array without elements
    edge.accept(name, np.zeros((0,), value.dtype), complex_too=True)
    return value


def _from_memory(array: Any) -> Any:
    # one chunk for every piece: only what a task needs travels to it
    chunks = da.core.normalize_chunks("auto", array.shape, limit="16 MiB", dtype=array.dtype)
    client = current_client()
    if client is None or array.nbytes < SCATTERED:
        return da.from_array(array, chunks, name=None) if array.nbytes < SCATTERED else _pieces(array, chunks, None)
    return _pieces(array, chunks, client)


def _pieces(array: Any, chunks: Any, client: Any) -> Any:
    name = f"mpimpy-operand-{dask.base.tokenize(array, chunks)}"
    spans = da.core.slices_from_chunks(chunks)
    keys = [(name, *index) for index in np.ndindex(*map(len, chunks))]
    pieces = [np.ascontiguousarray(array[span]) for span in spans]
    values = pieces if client is None else client.scatter(pieces, hash=False)
    return da.Array(dict(zip(keys, values, strict=True)), name, chunks, meta=array[:0])


def stacked_weights(w: Any) -> Any:
    """Return real weights: those of complex ones, (K, 2 N), real and imaginary parts side by side."""
    return da.concatenate([w.real, w.imag], axis=1) if w.dtype.kind == "c" else w


def warn_of_chunks(name: str, array: Any, memory: float) -> None:
    """Warn if a chunk of an operand is larger than a task should be."""
    most = math.prod(map(max, array.chunks)) * array.dtype.itemsize if array.size else 0
    if most > memory / 4:
        warnings.warn(
            f"{name} has chunks of {most / 1e6:.0f} MB, and a worker has {memory / 1e6:.0f} MB a task: smaller chunks, "
            f"{name}.rechunk(...), let it read a large product piece by piece",
            MpimpyWarning,
            stacklevel=edge._users_level(),
        )

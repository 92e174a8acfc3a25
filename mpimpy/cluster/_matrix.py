"""ClusterMatrix: a matrix of lazy weights, whose parts are programmed by the tasks that read them."""

import dataclasses
import functools
from typing import Any

import dask
import dask.array as da
import numpy as np

from .._ageing import time_of
from .._linear import as_complex, assembled
from ..analysis.counts import counts
from ..analysis.report import Report
from ..backends import PANEL
from ..checks import as_bool, as_int, fail
from ..matrix import CrossbarMatrix, check_read
from ..operands import dtypes, edge
from ..operators import RightOperand
from ._graph import Lazy, Weights, product_graph
from ._layout import Whole, choose, workers
from ._lost import connected, current_client
from ._operands import as_lazy, warn_of_chunks
from ._tasks import Piece, Program

__all__ = ["ClusterMatrix", "next_number", "read_lazy"]

SAMPLE = 256  # columns of the part that a report is of


class ClusterMatrix(RightOperand):
    """Matrix in crossbars that is larger than a machine: ``engine.program(w)`` of a dask array.

    Nothing is programmed until a product is computed. Then each task programs the part that it reads, from the
    weights, the settings and the seed: what travels is 4 bytes a float32 weight. Products are lazy dask arrays, with
    the bits that one process gives. Chunks of the operands may end anywhere; those of a product are chosen by the
    workers that are there when it is made.

    Attributes
    ----------
    config : Config
    shape : (int, int)
        (K, N).
    dtype : dtype
        Of the weights.

    Examples
    --------
    >>> import dask.array as da
    >>> from mpimpy import Engine
    >>> W = Engine(seed=1).program(da.eye(64, chunks=32))
    >>> y = da.ones((3, 64)) @ W
    >>> y.shape, float(y.compute().round().max())
    ((3, 64), 1.0)
    """

    def __init__(self, weights: Weights, dtype: Any, counter: Any) -> None:
        self._weights, self.dtype, self._counter = weights, dtype, counter
        self.config = weights.config
        depth, width = weights.recipe.shape
        self.shape = depth, width // 2 if self._complex else width

    @property
    def _complex(self) -> bool:
        return bool(self.dtype.kind == "c")

    @property
    def T(self) -> Any:
        """Refused: a lazy matrix has no transposed read.

        Raises
        ------
        TypeError
            Always.
        """
        fail(TypeError, "a ClusterMatrix has no transposed read: program the transposed weights, engine.program(w.T)")

    @property
    def tiles(self) -> tuple[int, int, int]:
        """Tiles along K, tiles along N, and slices; see `CrossbarMatrix.tiles`."""
        return counts(self.config, 0, *self._weights.recipe.shape).tiles

    @property
    def seed(self) -> int:
        """Key of the engine's random numbers."""
        return int(self._weights.recipe.engine.seed)

    @property
    def chip(self) -> int:
        """Number of the chip."""
        recipe = self._weights.recipe
        return int(recipe.engine.chip if recipe.chip is None else recipe.chip)

    @property
    def reads(self) -> int:
        """Reads made so far by the engine and its matrices together: the number of the next one."""
        return int(self._counter.reads)

    def read(self, x: Any, read: int | None = None) -> Any:
        """Return the lazy product of inputs and the matrix.

        Parameters
        ----------
        x : dask array, or anything that holds numbers, shape (..., K) or (K,)
        read : int, optional
            Number of this read, which addresses its noise; by default the engine's next one. It is counted now:
            computing the product again repeats the same read.

        Returns
        -------
        dask array, shape (..., N)

        Raises
        ------
        TypeError
            If `x` is not numeric, or its chunks are no NumPy arrays.
        ValueError
            If its shape does not fit, sizes of its chunks are unknown, or a worker has too little memory for a task;
            if a copy of the engine counts this read.

        Examples
        --------
        >>> import dask.array as da
        >>> from mpimpy import Engine
        >>> W = Engine(seed=1).program(da.eye(4))
        >>> W.read(da.ones((2, 4)), read=0).compute().shape
        (2, 4)
        """
        return read_lazy(self._weights, x, (self.shape, self.dtype), read, self._counter)

    def at(self, t: float | str, compensate: bool = False) -> "ClusterMatrix":
        """Return the matrix as it is at a time after programming; see `CrossbarMatrix.at`.

        Parameters
        ----------
        t : float or str
            Time since programming: seconds, or text such as "30 d".
        compensate : bool
            Multiply every product by one number, the ratio of the totals of the whole matrix: all of it is programmed
            once more, to find them.

        Returns
        -------
        ClusterMatrix

        Raises
        ------
        ValueError
            If `t` is no time, or time changes nothing.

        Examples
        --------
        >>> import dask.array as da
        >>> from mpimpy import Device, Drift, Engine
        >>> W = Engine(Device(var=0, drift=Drift(0.05)), seed=1).program(da.eye(64))
        >>> float(W.at("30 d").read(da.ones(64), read=0).compute().max().round(1))
        0.5
        """
        compensate = as_bool("compensate", compensate)
        recipe = dataclasses.replace(self._weights.recipe, time_s=time_of(self.config, t))
        weights = dataclasses.replace(self._weights, recipe=recipe, compensate=compensate)
        return ClusterMatrix(weights, self.dtype, self._counter)

    def persist(self) -> "ClusterMatrix":
        """Keep the weights in the memory of the workers, where many products are to read them.

        Returns
        -------
        ClusterMatrix

        Raises
        ------
        ConnectionError
            If the client has lost its scheduler.

        Examples
        --------
        >>> import dask.array as da
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(da.eye(4)).persist().shape
        (4, 4)
        """
        lazy = self._weights.lazy
        assert lazy is not None
        with connected(current_client()):
            (kept,) = dask.base.persist(lazy.array)
        weights = dataclasses.replace(self._weights, lazy=dataclasses.replace(lazy, array=kept))
        return ClusterMatrix(weights, self.dtype, self._counter)

    def report(self, x: Any = None, *, rows: int = 64) -> Report:
        """Return the hardware and the error budget of a part of the matrix, computed now.

        The part is a panel of 16 tiles in the middle of the matrix, 256 columns of it, on the cells that it has in the
        whole. So the sizes and conversions in it are those of the part; `tiles` is of the whole.

        Parameters
        ----------
        x : dask array or array, shape (M, K), optional
            Real inputs; `rows` of them, evenly spread, are used. By default standard normal numbers.
        rows : int
            Rows of the inputs, at least 1.

        Returns
        -------
        mpimpy.Report

        Raises
        ------
        ValueError
            If the weights have blocks that reach beyond the part, or there are none.

        Examples
        --------
        >>> import dask.array as da
        >>> from mpimpy import Engine
        >>> Engine(seed=1).program(da.eye(4)).report().cells
        64
        """
        rows, lazy, recipe = as_int("rows", rows, 1), self._weights.lazy, self._weights.recipe
        assert lazy is not None
        depth, width = recipe.shape
        panel = PANEL * self.config.tile.rows
        top = depth // 2 // panel * panel
        left = max(0, (width - SAMPLE) // 2) // self.config.tile.cols * self.config.tile.cols
        span = (top, min(depth, top + panel)), (left, min(width, left + SAMPLE))
        some = None
        if x is not None:
            x = as_lazy("x", x)
            if x.ndim != 2 or x.shape[1] != depth or not x.shape[0] or x.dtype.kind == "c":
                fail(ValueError, f"x has shape {x.shape} and dtype {x.dtype}: a report takes real inputs, (M, {depth})")
            some = x[:: max(1, x.shape[0] // rows), span[0][0] : span[0][1]][:rows]
        with connected(current_client()):
            part, some = dask.base.compute(lazy.array[slice(*span[0]), slice(*span[1])], some)
        faults = self._weights.faults
        faults = None if faults is None else faults[..., slice(*span[0]), slice(*span[1])]
        whole = slice(0, part.shape[0]), slice(0, part.shape[1])
        origin = span[0][0], span[1][0]
        piece = Piece("w", origin, part.shape, ((whole[0],), (whole[1],)), str(part.dtype), lazy.counts_as)
        matrix = Program(piece, faults)(recipe, [[part]], None)
        found: Report = matrix.report(some)
        return found

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and hasattr(CrossbarMatrix, name):
            msg = (
                f"a matrix of lazy weights has no {name}, which asks for cells in memory: program a part of them, "
                f"engine.program(w[:1024, :256].compute()).{name}"
            )
            raise AttributeError(msg)
        msg = f"{type(self).__name__!r} object has no attribute {name!r}"
        raise AttributeError(msg)

    def __repr__(self) -> str:
        down, across, slices = self.tiles
        tile, time_s = self.config.tile, self._weights.recipe.time_s
        age = "" if time_s is None else f", {time_s:g} s after programming"
        return (
            f"<ClusterMatrix {self.shape[0]} x {self.shape[1]}, {down} x {across} tiles of {tile.rows} x {tile.cols}, "
            f"{slices} slices, seed={self.seed}, chip={self.chip}{age}>"
        )


def next_number(counter: Any, read: int | None) -> int:
    """Return the number of a read: as given, or the next one, counted now.

    Raises
    ------
    ValueError
        If a copy counts it: tasks cannot repeat its stream.
    """
    if read is not None:
        return check_read(read)
    if counter.stream is not None:
        msg = f"this copy of an engine counts its reads in a stream of its own, {counter.stream!r}"
        fail(ValueError, f"{msg}, and lazy products are read by number: name it, read=0, or engine.in_stream(None)")
    number: int = counter.next_read()[0]
    return number


def read_lazy(
    weights: Weights, x: Any, face: tuple[tuple[int, int], Any], read: int | None, counter: Any, result: Any = None
) -> Any:
    """Return the lazy product of inputs and a matrix.

    Parameters
    ----------
    weights : Weights
    x : dask array, or anything that holds numbers, shape (..., K) or (K,)
    face : ((int, int), dtype)
        Shape and dtype of the matrix as the user sees it, which may be complex.
    read : int or None
    counter : ReadCounter
    result : dtype, optional
        That the operands count as, and the product has, real or complex.
    """
    (depth, width), w_dtype = face
    x = as_lazy("x", x, w_dtype)
    edge.matrix_shape(x.shape, depth, "x", "w", (depth, width))
    at = workers()
    warn_of_chunks("x", x, at.memory)
    if weights.lazy is not None:
        warn_of_chunks("w", weights.lazy.array, at.memory)
    counted = [edge.float_dtype(np, np.zeros((0,), dtype)) for dtype in (x.dtype, w_dtype)]
    number = next_number(counter, read)
    shape, imaginary = (*x.shape[:-1], width), x.dtype.kind == "c"
    if x.ndim > 2 and int(np.prod(x.shape[:-2])) == 1:
        x = x.reshape(x.shape[-2:])  # a stack of one matrix
    stack = None
    if x.ndim == 1:
        x = x[None, :]
    elif x.ndim > 2:
        x = x.reshape((-1, *x.shape[-2:])) if 0 not in x.shape else x
    if imaginary:
        x = da.concatenate([x.real, x.imag], axis=-2)
    height = x.shape[-2]
    if x.ndim > 2:
        stack = height
        x = x.rechunk({axis: -1 for axis in range(1, x.ndim - 1)}).reshape((-1, depth)) if x.size else x
    dtype = edge.result_dtype(np, *(dtypes.real_dtype(np, each) for each in counted))
    dtype = dtype if result is None else dtypes.real_dtype(np, result)
    if 0 in x.shape or 0 in shape:
        kind = np.result_type(dtype, np.complex64) if imaginary or w_dtype.kind == "c" else dtype
        return da.zeros(shape, dtype=kind)
    lazy = Lazy("x", x, None if result is None else str(dtype))
    columns = weights.recipe.shape[1]
    chunks = (x.chunks[0], x.chunks[1] if weights.lazy is None else weights.lazy.array.chunks[0])
    wide = (columns,) if weights.lazy is None else weights.lazy.array.chunks[1]
    size = x.shape[0], depth, columns
    itemsizes = x.dtype.itemsize, 4 if weights.lazy is None else weights.lazy.array.dtype.itemsize
    cuts = choose(weights.config, size, (*chunks, wide), Whole(itemsizes, stack, weights.matrix is not None), at)
    y = product_graph(lazy, weights, cuts, number, stack, dtype)
    return _assembled(y, shape, (height, imaginary), width if w_dtype.kind == "c" else None)


def _assembled(y: Any, shape: tuple[int, ...], inputs: tuple[int, bool], width: int | None) -> Any:
    # the product of real parts as the user's
    height, imaginary = inputs
    if imaginary:
        y = y.reshape((-1, height, y.shape[1]))
        half = height // 2
        found = [y[:, :half, :], y[:, half:, :]]
    else:
        found = [y]
    found = [each.reshape((*shape[:-1], each.shape[-1])) for each in found]
    return assembled(found, width, functools.partial(da.core.elemwise, as_complex))

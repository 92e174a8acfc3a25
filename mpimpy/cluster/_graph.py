"""The graph of a product: surveys where cuts go through blocks, then running sums along K, block by block."""

import itertools
import uuid
from dataclasses import dataclass
from typing import Any

import dask.array as da
import numpy as np
from dask.highlevelgraph import HighLevelGraph

from ..crossbar.programmed import ratio_of
from ..operands import encoding
from ._layout import Cuts, crossed
from ._tasks import Piece, Program, Read, Recipe, Survey, Totals, merge

__all__ = ["Lazy", "Weights", "parts_of_axis", "product_graph", "survey"]

FAN = 8  # surveys that one task puts together


@dataclass(frozen=True, eq=False)
class Lazy:
    """A lazy operand of real numbers.

    Attributes
    ----------
    name : str
        In messages.
    array : dask array, two axes
    counts_as : str or None
        Dtype that it counts as, if not the usual one.
    """

    name: str
    array: Any
    counts_as: str | None = None

    def piece(self, rows: tuple[int, int], cols: tuple[int, int]) -> tuple[Piece, list[list[Any]]]:
        """Return a rectangle, and the keys of the chunks that it touches."""
        spans = [parts_of_axis(chunks, *span) for chunks, span in zip(self.array.chunks, (rows, cols), strict=True)]
        slices = tuple(each[1] for each in spans[0]), tuple(each[1] for each in spans[1])
        size = rows[1] - rows[0], cols[1] - cols[0]
        piece = Piece(self.name, (rows[0], cols[0]), size, slices, str(self.array.dtype), self.counts_as)
        return piece, [[(self.array.name, i, j) for j, _ in spans[1]] for i, _ in spans[0]]


@dataclass(frozen=True, eq=False)
class Weights:
    """A matrix that is programmed in tasks, or that is programmed already.

    Attributes
    ----------
    recipe : Recipe
        The engine and the whole matrix.
    lazy : Lazy or None
        Weights; None if `matrix` is given.
    faults : NumPy array or None
        Map of stuck cells of the whole.
    compensate : bool
        Whether drift is compensated by the total of the whole.
    matrix : CrossbarMatrix or None
        Matrix in the memory of the client, of real weights.
    """

    recipe: Recipe
    lazy: Lazy | None = None
    faults: Any = None
    compensate: bool = False
    matrix: Any = None

    @property
    def config(self) -> Any:
        """Settings."""
        return self.recipe.engine.config


def parts_of_axis(chunks: tuple[int, ...], start: int, stop: int) -> list[tuple[int, slice]]:
    """Return (number of the chunk, slice inside it) of the chunks that hold ``start`` to ``stop - 1``.

    Examples
    --------
    >>> parts_of_axis((4, 4, 4), 3, 8)
    [(0, slice(3, 4, None)), (1, slice(0, 4, None))]
    """
    found, first = [], 0
    for number, size in enumerate(chunks):
        low, high = max(start - first, 0), min(stop - first, size)
        if low < high:
            found.append((number, slice(low, high)))
        first += size
    return found


def survey(graph: dict[Any, Any], name: str, matrix: tuple[Any, Weights], operand: str, lazy: Lazy) -> Any:
    """Add the survey of an operand to a graph, and return its key; one round after the other, each merged by a tree.

    Parameters
    ----------
    graph : dict
        Tasks by key.
    name : str
        Of its tasks.
    matrix : (str, Weights)
        Key of the recipe of the matrix, and the matrix itself.
    operand : str
        "weights" or "inputs".
    lazy : Lazy
        The operand.
    """
    (recipe, weights), shape, after = matrix, lazy.array.shape, None
    rounds = 3 if getattr(weights.config, operand).double else 1
    starts = [np.cumsum([0, *sizes]).tolist() for sizes in lazy.array.chunks]
    spans = [list(itertools.pairwise(each)) for each in starts]
    for number in range(rounds):
        level: list[Any] = []
        for i, j in np.ndindex(len(spans[0]), len(spans[1])):
            piece, keys = lazy.piece(spans[0][i], spans[1][j])
            if 0 in piece.size:
                continue
            key = (f"{name}-{number}", i, j)
            graph[key] = (Survey(operand, piece, shape), recipe, keys, after)
            level.append(key)
        height = 0
        while len(level) > 1:
            height += 1
            groups = [level[first : first + FAN] for first in range(0, len(level), FAN)]
            level = []
            for index, group in enumerate(groups):
                key = (f"{name}-{number}-merge", height, index)
                graph[key] = (merge, group)
                level.append(key)
        after = level[0]
    return after


def _matrix_tasks(graph: dict[Any, Any], token: str, weights: Weights, cuts: Cuts) -> Any:
    # (function from the number of a cut along K and along N to the task that makes the part)
    recipe_key, lazy, config = f"mpimpy-recipe-{token}", weights.lazy, weights.config
    graph[recipe_key] = weights.recipe
    if lazy is None:
        matrix_key = f"mpimpy-matrix-{token}"
        graph[matrix_key] = weights.matrix
        return recipe_key, lambda k, n: matrix_key
    block = encoding.block_shape(config.weights, weights.recipe.shape, config.tile.rows, weight=True)
    surveyed = None
    if crossed(cuts.k, block[0]) or crossed(cuts.n, block[1]):
        surveyed = survey(graph, f"mpimpy-survey-weights-{token}", (recipe_key, weights), "weights", lazy)
    spans = list(itertools.pairwise(cuts.k)), list(itertools.pairwise(cuts.n))
    totals = None

    def part(kind: Any, k: int, n: int) -> Any:
        rows, cols = spans[0][k], spans[1][n]
        piece, keys = lazy.piece(rows, cols)
        faults = None if weights.faults is None else weights.faults[..., slice(*rows), slice(*cols)]
        return (kind(piece, faults), recipe_key, keys, surveyed, totals)

    if weights.compensate:
        level = []
        for k, n in np.ndindex(len(spans[0]), len(spans[1])):
            graph[f"mpimpy-totals-{token}", k, n] = part(Totals, k, n)
            level.append((f"mpimpy-totals-{token}", k, n))
        totals = f"mpimpy-total-{token}"
        graph[totals] = (add_totals, level)
    return recipe_key, lambda k, n: part(Program, k, n)


def add_totals(parts: list[Any]) -> Any:
    """Return the ratio of the total conductances of all parts."""
    return ratio_of(*(sum(each) for each in zip(*parts, strict=True)))


def product_graph(x: Lazy, weights: Weights, cuts: Cuts, number: int, stack: int | None, dtype: Any) -> Any:
    """Return the product of real operands as a dask array, cut as `cuts` says.

    Parameters
    ----------
    x : Lazy, shape (M, K)
    weights : Weights
    cuts : Cuts
    number : int
        Of the read.
    stack : int or None
        Rows of each matrix, if `x` is a stack of matrices.
    dtype : dtype
        Of the product.
    """
    config = weights.config
    graph: dict[Any, Any] = {}
    token = uuid.uuid4().hex  # no two products share the names of tasks
    name = f"mpimpy-product-{token}"
    recipe_key, part = _matrix_tasks(graph, token, weights, cuts)
    size = stack or x.array.shape[0], x.array.shape[1]
    x_block = encoding.block_shape(config.inputs, size, config.tile.rows, weight=False)
    surveyed = None
    if crossed(cuts.k, x_block[1]) or (stack is None and crossed(cuts.m, x_block[0])):
        surveyed = survey(graph, f"mpimpy-survey-inputs-{token}", (recipe_key, weights), "inputs", x)
    m_spans, k_spans = list(itertools.pairwise(cuts.m)), list(itertools.pairwise(cuts.k))
    for i, rows in enumerate(m_spans):
        pieces = [x.piece(rows, span) for span in k_spans]
        for j in range(len(cuts.n) - 1):
            before: Any = None
            for k, (piece, keys) in enumerate(pieces):
                last = k == len(pieces) - 1
                key: Any = (name, i, j) if last else (f"mpimpy-sum-{token}", i, j, k)
                graph[key] = (Read(piece, number, stack, last), before, keys, part(k, j), surveyed)
                before = key
    sizes = tuple(tuple(b - a for a, b in itertools.pairwise(each)) for each in (cuts.m, cuts.n))
    dependencies = [x.array] if weights.lazy is None else [x.array, weights.lazy.array]
    layers = HighLevelGraph.from_collections(name, graph, dependencies=dependencies)
    return da.Array(layers, name, sizes, meta=np.empty((0, 0), dtype))

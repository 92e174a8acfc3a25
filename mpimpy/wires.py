"""Wire resistance: the transfer matrix and the node voltages of a tile.

The circuit: word line i is driven at column 0 through one segment of wire, with one segment
between neighbouring cells; bit line j is collected below the last row, through one segment, at
0 V, with one segment between neighbouring rows. Results are float64, of the array type and on the
device of the operands; `transfer` and `node_voltages` have the same bits on every backend.

>>> import numpy as np
>>> g = np.array([[1e-5, 2e-5], [5e-6, 1e-5]])
>>> T = transfer(g, r_word=2.0, r_bit=1.0)
>>> bool(np.all(T < g)), bool(np.allclose(T, g, rtol=1e-3))
(True, True)
"""

import math
from typing import Any

from . import arrays, backends
from .arrays import namespace
from .checks import as_float
from .config._sense import SIEMENS, warn
from .operands import edge
from .operands.edge import first_index

__all__ = ["node_voltages", "transfer"]


def _check_cells(conductance: Any, segment: float) -> Any:
    # `segment` is the resistance of the worse wire
    array = edge.accept("conductance", arrays.detach(conductance)).array
    shape = tuple(array.shape)
    if len(shape) < 2 or 0 in shape[-2:]:
        msg = (
            f"conductance has shape {shape}: a tile is (..., rows, cols), with at least one of each; "
            "a single row is conductance[None, :]"
        )
        raise ValueError(msg)
    xp = namespace(array)
    array = xp.astype(array, xp.float64, copy=False)
    if math.prod(shape) and bool(xp.any(array < 0)):
        index = first_index(xp, array < 0)
        msg = (
            f"conductance has {float(array[index]):g} S at index {index}: every cell must have at least 0 S, "
            "an open cell's; a pair of cells for a signed weight is two tiles"
        )
        raise ValueError(msg)
    if math.prod(shape) and segment > 0:
        highest = float(xp.max(array))
        # Any units do that fit together, such as mS and kOhm; then cells conduct far worse than wires.
        if highest > SIEMENS.high and highest * segment > 1:
            warn(SIEMENS.oddity("conductance", highest)[0])
    return array


def transfer(conductance: Any, r_word: float, r_bit: float) -> Any:
    """Return the transfer matrices of tiles with wire resistance: currents = voltages @ matrix.

    The algorithm subtracts nothing, so each element is as exact as rounding allows, for all resistances.
    A torch tensor of conductances that requires a gradient gets one, by the adjoint method. Resistances are
    numbers, and get none.

    Parameters
    ----------
    conductance : array, shape (..., rows, cols)
        Of the cells, S: finite, at least 0.
    r_word, r_bit : float
        Resistance of one segment of word line, of bit line, Ohm: finite, at least 0.

    Returns
    -------
    float64 array, shape (..., rows, cols)
        Current at the end of a bit line per volt at the start of a word line, S.

    Raises
    ------
    TypeError, ValueError
        If a value or a shape does not describe a circuit.

    Warns
    -----
    MpimpyWarning
        If cells conduct more than 0.1 S and better than a segment of wire: they are in another unit, or in Ohm.

    Examples
    --------
    A single cell is in series with two segments:

    >>> import numpy as np
    >>> round(float(transfer(np.array([[0.01]]), r_word=60.0, r_bit=40.0)[0, 0]), 12)
    0.005
    """
    r_word, r_bit = as_float("r_word", r_word, 0, unit=" Ohm"), as_float("r_bit", r_bit, 0, unit=" Ohm")
    array = _check_cells(conductance, max(r_word, r_bit))
    xp, shape = namespace(array), tuple(array.shape)
    backend = backends.select(array)

    def compute(tiles: Any) -> Any:
        return backend.from_backend(backend.transfer(backend.to_backend(tiles), r_word, r_bit), tiles)

    if arrays.wants_gradient(conductance):
        array = xp.astype(conductance, xp.float64, copy=False)
        function = backends.differentiable(compute, r_word, r_bit)
    else:
        function = compute
    return xp.reshape(function(xp.reshape(array, (-1, *shape[-2:]))), shape)


def node_voltages(conductance: Any, voltages: Any, r_word: float, r_bit: float) -> tuple[Any, Any]:
    """Return the voltages of all nodes of tiles with wire resistance.

    A reference, to look into a tile. It takes seconds where `transfer` takes milliseconds, and has no
    gradient.

    Parameters
    ----------
    conductance : array, shape (..., rows, cols)
        Of the cells, S: finite, at least 0.
    voltages : array, shape (..., rows)
        Of the drivers, V. Leading axes of the two broadcast.
    r_word, r_bit : float
        Resistance of one segment of word line, of bit line, Ohm: finite, at least 0.

    Returns
    -------
    word, bit : float64 arrays, shape (..., rows, cols)
        Voltage of the word line, of the bit line, at each cell, V.

    Raises
    ------
    TypeError, ValueError
        If a value or a shape does not describe a circuit.

    Examples
    --------
    >>> import numpy as np
    >>> word, bit = node_voltages(np.array([[0.01]]), np.array([1.0]), r_word=60.0, r_bit=40.0)
    >>> round(float(word[0, 0]), 12), round(float(bit[0, 0]), 12)
    (0.7, 0.2)
    """
    r_word, r_bit = as_float("r_word", r_word, 0, unit=" Ohm"), as_float("r_bit", r_bit, 0, unit=" Ohm")
    g = _check_cells(conductance, max(r_word, r_bit))
    v = edge.accept("voltages", arrays.detach(voltages), g).array
    edge.check_together(g, v, "conductance", "voltages")
    xp = namespace(g)
    v = xp.astype(v, xp.float64, copy=False)
    rows, cols = g.shape[-2:]
    if not v.ndim or v.shape[-1] != rows:
        msg = (
            f"voltages have shape {tuple(v.shape)} and conductance {tuple(g.shape)}: there must be one voltage a "
            f"word line, so the last axis of voltages must be {rows} long"
        )
        raise ValueError(msg)
    backend = backends.select(g)
    shape: tuple[int, ...]
    if g.ndim == 2:
        # one tile, all inputs together
        shape = (*v.shape[:-1], rows, cols)
        tiles, driven = g[None, :, :], xp.matrix_transpose(xp.reshape(v, (-1, rows)))[None, :, :]
    else:
        shape = _broadcast(g.shape, v.shape)
        tiles = xp.reshape(xp.broadcast_to(g, shape), (-1, rows, cols))
        driven = xp.reshape(xp.broadcast_to(v, shape[:-1]), (-1, rows, 1))

    def as_given(nodes: Any) -> Any:
        # from (batch, rows, cols, inputs), where batch or inputs is 1
        return xp.reshape(xp.permute_dims(backend.from_backend(nodes, g), (0, 3, 1, 2)), shape)

    word, bit = backend.node_voltages(backend.to_backend(tiles), backend.to_backend(driven), r_word, r_bit)
    return as_given(word), as_given(bit)


def _broadcast(cells: tuple[int, ...], voltages: tuple[int, ...]) -> tuple[int, ...]:
    # shape of all nodes
    a, b = tuple(cells[:-2]), tuple(voltages[:-1])
    count = max(len(a), len(b))
    axes = list(zip((1,) * (count - len(a)) + a, (1,) * (count - len(b)) + b, strict=True))
    if any(p != q and 1 not in (p, q) for p, q in axes):
        msg = (
            f"leading axes {a} of conductance and {b} of voltages do not fit: they must be equal, or 1, "
            "or left out, as in any sum of two arrays"
        )
        raise ValueError(msg)
    return (*(q if p == 1 else p for p, q in axes), *cells[-2:])

"""Arrays with resistive wires: each function has the signature, the meaning and the bits of its twin in `reference`."""

from typing import Any

import numpy as np

from .. import reference
from . import _jit, _ladder_numba

__all__ = ["driver_links", "frozen", "node_voltages", "reduce_lines", "transfer"]


def frozen(array: Any) -> Any:
    """Return a C-contiguous view or copy that is read-only: one compiled kernel serves every caller's array."""
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


_NO_START = frozen(np.empty((0, 0), np.float64))


def reduce_lines(g: Any, gw: float, gb: float, start: Any = None, finish: bool = False) -> Any:
    """See `reference.reduce_lines`."""
    batch, rows, cols = g.shape
    before = 0 if start is None else start.shape[1] - cols - 1
    out = np.empty((batch, rows, before) if finish else (batch, before + rows, cols), np.float64)
    work = batch * rows * cols * (40 + cols * (cols + before + rows)) * 3e-5
    links = _NO_START if start is None else frozen(start)
    _jit.launch(_ladder_numba.reduce_lines, batch, work, frozen(g), gw, gb, links, finish, out)
    return out


def _contiguous(array: Any) -> Any:
    # torch takes no flipped view
    return np.array(array, order="C")


def transfer(conductance: Any, r_word: float, r_bit: float) -> Any:
    """See `reference.transfer`."""
    return _contiguous(reference.transfer(conductance, r_word, r_bit, reduce_lines))


def driver_links(conductance: Any, r_word: float, r_bit: float) -> Any:
    """See `reference.driver_links`."""

    def join(g: Any, gw: float, gb: float) -> Any:
        batch, rows, cols = g.shape
        out, work = np.empty((batch, rows, rows), np.float64), batch * rows * cols * (40 + (cols + rows) ** 2) * 3e-5
        _jit.launch(_ladder_numba.join_drivers, batch, work, frozen(g), gw, gb, out)
        return out

    return reference.driver_links(conductance, r_word, r_bit, join)


def node_voltages(conductance: Any, voltages: Any, r_word: float, r_bit: float) -> tuple[Any, Any]:
    """See `reference.node_voltages`."""
    return tuple(map(_contiguous, reference.node_voltages(conductance, voltages, r_word, r_bit, _bit_nodes)))


def _bit_nodes(g: Any, voltages: Any, gw: float, gb: float) -> Any:
    batch, rows, cols = g.shape
    out = np.empty((batch, rows, cols, voltages.shape[2]), np.float64)
    work = batch * rows * cols * (40 + cols * (cols + voltages.shape[2])) * 3e-5
    _jit.launch(_ladder_numba.bit_nodes, batch, work, frozen(g), frozen(voltages), gw, gb, out)
    return out

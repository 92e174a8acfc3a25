"""The kernels in plain array-API calls: the specification that every other backend must match.

Operands are three-dimensional, ``(batch, A, C)``, and cut into blocks of ``block = (a, c)``
elements; a per-block quantity has shape ``(batch, nA, nC)``. Coded operands carry the slices in
front, ``(slices, A, C)``, least significant first. All arrays of a call share one namespace and
device. The caller has checked the input.
"""

from typing import Any

from ._draws import apply_stuck_cells, differences, perturb, subtract
from ._driver_links import driver_links
from ._encode import block_max, block_sums, code_limits, digits, expand_blocks, fold, limbs, multiply
from ._errors import disturb
from ._ladder import node_voltages, reduce_lines, transfer
from ._moments import moments
from ._read import read, read_paths, reader, row_reader, takes_rows
from ._rows import redraw

__all__ = [
    "NAME",
    "STREAM",
    "apply_stuck_cells",
    "block_max",
    "block_sums",
    "code_limits",
    "differences",
    "digits",
    "disturb",
    "driver_links",
    "expand_blocks",
    "fold",
    "from_backend",
    "limbs",
    "moments",
    "multiply",
    "node_voltages",
    "perturb",
    "read",
    "read_paths",
    "reader",
    "redraw",
    "reduce_lines",
    "row_reader",
    "subtract",
    "takes_rows",
    "to_backend",
    "transfer",
]

NAME = "reference"
STREAM = None  # bytes of a noisy grid drawn at once; None: all of it


def to_backend(array: Any) -> Any:
    """Return `array` as the kernels take it: any real dtype, any array library."""
    return array


def from_backend(array: Any, like: Any) -> Any:
    """Return a kernel's result in the library of `like`: unchanged, since it is there already."""
    return array

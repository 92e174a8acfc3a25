"""Kernels on plain arrays and numbers, and the choice among them.

``reference`` runs on any array-API library; ``numba`` on NumPy arrays and torch CPU tensors;
``torch`` on torch tensors, with Triton kernels on CUDA. All return the same bits.
"""

from .choice import (
    Backend,
    Explanation,
    available,
    check,
    differentiable,
    explain,
    get_num_threads,
    select,
    set_num_threads,
)
from .fallback import read_paths, small_reader, takes_small_reads
from .reading import (
    AMPLITUDE_BITS,
    MEAN_BITS,
    PANEL,
    ROW_BITS,
    BesideDraw,
    BlockScales,
    CellMoments,
    Draw,
    DrawnCells,
    Errors,
    Reading,
    RowDraw,
    Slicing,
    SmallCells,
    SmallRead,
)

__all__ = [
    "AMPLITUDE_BITS",
    "MEAN_BITS",
    "PANEL",
    "ROW_BITS",
    "Backend",
    "BesideDraw",
    "BlockScales",
    "CellMoments",
    "Draw",
    "DrawnCells",
    "Errors",
    "Explanation",
    "Reading",
    "RowDraw",
    "Slicing",
    "SmallCells",
    "SmallRead",
    "available",
    "check",
    "differentiable",
    "explain",
    "get_num_threads",
    "read_paths",
    "select",
    "set_num_threads",
    "small_reader",
    "takes_small_reads",
]

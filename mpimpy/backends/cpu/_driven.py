"""Whether enough inputs are zero for a read to leave them out, and the lists of those that are not."""

from typing import Any

import numpy as np

from ..._integers import ceil_div
from ..reading import Reading
from . import _jit
from ._paths import Constants
from ._sparse import Driven, list_size, pack_driven

__all__ = ["NONE_DRIVEN", "driven"]

WORK = 2**24  # products of an input slice by all cells from which it pays to look for zeros
SAMPLE = 16  # input rows that tell how many inputs are zero
MOST = 0.7  # share of inputs other than zero up to which lists pay
NONE_DRIVEN = Driven(np.empty(0, np.int32), np.empty(0, np.int64))


def driven(digits: Any, grid: Any, known: Constants, reading: Reading) -> Driven:
    """Return the lists of the inputs other than zero of the slices that are paired, empty where they do not pay.

    Parameters
    ----------
    digits : integer array, shape (slices, M, K)
    grid : integer array, shape (slices, K, N)
    known : Constants
    reading : Reading
    """
    _, height, depth = digits.shape
    some = known.paired
    if not some.size or grid.itemsize > 2 or reading.bound >= 2**31:
        return NONE_DRIVEN  # other paths, or cells or codes of two limbs
    if height < SAMPLE or height * grid.size < WORK:
        return NONE_DRIVEN
    if digits[some, :: ceil_div(height, SAMPLE)].any(axis=0).mean() > MOST:
        return NONE_DRIVEN
    tasks = ceil_div(depth, reading.rows) * height
    found = Driven(np.empty(tasks * list_size(reading.rows, some.size), np.int32), np.empty(tasks, np.int64))
    work = some.size * height * depth * 2e-3
    _jit.launch(pack_driven, tasks, work, digits, some, known.strides, reading.rows, found)
    return found

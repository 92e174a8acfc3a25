"""Programmed matrices from disk; `mpimpy.CrossbarMatrix.save` writes them."""

from typing import Any

from array_api_compat import device as device_of

from . import backends
from ._complex import ComplexMatrix
from .arrays import asarray, namespace
from .checks import fail
from .files import chips
from .matrix import CrossbarMatrix
from .operands.edge import library
from .reads import ReadCounter

__all__ = ["load"]


def load(path: Any, like: Any = None, backend: str | None = None) -> CrossbarMatrix | Any:
    """Return a programmed matrix from a file that `CrossbarMatrix.save` wrote.

    Its products have the same bits on every backend. Its counted reads go on from the number in the file, in the
    stream of the matrix that was saved: so they continue a run that ended with `save`. Two matrices loaded from one
    file, or one loaded beside the matrix that was saved, have the same counted reads: take ``W.in_stream("a name")``
    of one of them where their noise must differ.

    Parameters
    ----------
    path : str or path
    like : array, optional
        An array whose library and device products shall have; by default NumPy's.
    backend : str, optional
        As for `Engine`.

    Returns
    -------
    CrossbarMatrix
        Or `ComplexMatrix`, if that was saved.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no regular file, is damaged, has been altered, or comes from a newer mpimpy or one of another
        arithmetic. Every number is checked before it is used, so a file of a stranger does no harm.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from mpimpy import Engine
    >>> W = Engine(seed=1).program(np.eye(3))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     W.save(pathlib.Path(folder) / "chip.npz")
    ...     V = load(pathlib.Path(folder) / "chip.npz")
    >>> bool(np.all(V.read(np.ones(3), read=5) == W.read(np.ones(3), read=5)))
    True
    """
    from .files import reading  # it imports NumPy

    saved = reading.read_file(path)
    like = asarray(0.0) if like is None else like
    module, xp, device = backends.select(like, backend), namespace(like), device_of(like)
    dtype = saved.dtype
    if not hasattr(xp, dtype):
        fail(
            ValueError,
            f"{library(like)} has no dtype {dtype!r}, of which the weights were: load it with "
            "like=, an array of a library that has",
        )

    def to_backend(array: Any) -> Any:
        # Numba's kernels take NumPy arrays for every library of products
        return array if module.NAME == "numba" else xp.asarray(array, device=device)

    chip, counter = chips.unpack(saved.chip, to_backend), ReadCounter(saved.reads, saved.stream)
    prototype = xp.zeros((0,), dtype=getattr(xp, dtype), device=device)
    imaginary = xp.isdtype(prototype.dtype, "complex floating")
    matrix = CrossbarMatrix(chip, xp.real(prototype) if imaginary else prototype, module, counter)
    return ComplexMatrix(matrix, prototype) if imaginary else matrix

"""Reads that no kernel can do: plain array-API calls take over. When they do is decided here alone."""

import functools
from collections.abc import Callable
from typing import Any

from .reading import Errors, Reading, SmallCells, SmallRead

__all__ = ["read_paths", "small_reader", "takes_small_reads", "with_fallback"]


def with_fallback(
    kernel: Callable[..., Any], takes: Callable[[Any, Any, Reading, Errors | None], bool], plain: Callable[..., Any]
) -> Any:
    """Return a backend's `read`: its kernel where that can run, else plain array-API calls.

    Parameters
    ----------
    kernel : function
        ``kernel(digits, x_scale, grid, w_scale, reading, dtype, errors)``.
    takes : function
        ``takes(digits, grid, reading, errors)``: whether the kernel can read them.
    plain : function
        A `read` in plain array-API calls; see `mpimpy.backends.reference.reader`.
    """

    @functools.wraps(plain)
    def read(
        digits: Any, x_scale: Any, grid: Any, w_scale: Any, reading: Reading, dtype: str, errors: Errors | None = None
    ) -> Any:
        way = kernel if takes(digits, grid, reading, errors) else plain
        return way(digits, x_scale, grid, w_scale, reading, dtype, errors)

    read.__doc__ = "See `mpimpy.backends.reference.read`."
    return read


def read_paths(
    backend: Any, height: int, digits_dtype: Any, grid_dtype: Any, reading: Reading
) -> tuple[tuple[str, str], ...]:
    """Return how a backend finds the currents of every input slice, and why: (path, reason) per slice.

    Parameters
    ----------
    backend : module
    height : int
        Input rows.
    digits_dtype, grid_dtype : dtype or its name
    reading : Reading
    """
    found: tuple[tuple[str, str], ...] = backend.read_paths(height, digits_dtype, grid_dtype, reading)
    return found


def takes_small_reads(backend: Any) -> bool:
    """Return whether a backend may have a way of its own for small reads."""
    return bool(backend.NAME == "numba")


def small_reader(form: SmallRead, some: SmallCells) -> Callable[[Any, int], Any] | None:
    """Return a function that does a small read in few calls; None if the kernels have no such way for it.

    Parameters
    ----------
    form : SmallRead
    some : SmallCells
        Arrays of a backend that `takes_small_reads`.

    Returns
    -------
    function or None
        ``read(values, number)``: the product, shape (batch * M, N), or None if these values need the usual way.
    """
    from .cpu import _small

    return _small.make_ready(form, some)

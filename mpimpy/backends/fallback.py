"""Reads that no kernel can do: plain array-API calls take over. When they do is decided here alone."""

import functools
from collections.abc import Callable
from typing import Any

from .reading import Errors, Reading

__all__ = ["read_paths", "with_fallback"]


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

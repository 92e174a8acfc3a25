"""Results as plain values that JSON can hold, and as data frames."""

import importlib
import math
from collections.abc import Mapping
from typing import Any

from .checks import fail

__all__ = ["frame_of", "plain"]


def frame_of(rows: list[dict[str, Any]], name: str, index: list[str]) -> Any:
    """Return a `pandas.DataFrame` of rows by column, with a named index.

    Raises
    ------
    ImportError
        If pandas is not installed.
    """
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        fail(ImportError, "to_frame makes a table of pandas, which is not installed: pip install pandas")
    return pandas.DataFrame(rows, index=pandas.Index(index, name=name))


def plain(value: Any) -> Any:
    """Return a value as JSON holds it: tuples as lists, and infinite numbers and NaN as text.

    Examples
    --------
    >>> plain((1.5, math.inf, None))
    [1.5, 'inf', None]
    """
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value

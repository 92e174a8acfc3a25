"""Axes to draw on, and arrays of every library as NumPy's."""

from typing import Any

import numpy as np

from .. import arrays
from ..checks import install

__all__ = ["axes", "new_axes", "to_numpy"]

DPI = 160


def new_axes(rows: int = 1, cols: int = 1, size: tuple[float, float] = (5.0, 5.0)) -> Any:
    """Return the axes of a new figure, outside pyplot.

    Parameters
    ----------
    rows, cols : int
        Panels.
    size : (float, float)
        Width and height of a panel, inches.

    Returns
    -------
    ndarray of Axes, shape (rows, cols)
        Their ``figure`` can be saved as it is.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        msg = f"pictures need Matplotlib, which is not installed: {install('plot')}"
        raise ModuleNotFoundError(msg) from error

    figure = Figure(figsize=(cols * size[0], rows * size[1]), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure.subplots(rows, cols, squeeze=False)


def axes(ax: Any, size: tuple[float, float] = (5.0, 5.0)) -> Any:
    """Return `ax`, or the axes of a new figure if it is None; `size` in inches."""
    return new_axes(size=size)[0, 0] if ax is None else ax


def to_numpy(array: Any) -> Any:
    """Return an array of any library, on any device, as a NumPy array."""
    array = arrays.detach(array)
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)

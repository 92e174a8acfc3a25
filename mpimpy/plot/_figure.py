"""Axes to draw on, and arrays of every library as NumPy's."""

import numpy as np

from .. import arrays

__all__ = ["axes", "new_axes", "numbers"]

DPI = 160


def new_axes(rows=1, cols=1, size=(5.0, 5.0)):
    """Return the axes of a figure of its own, outside pyplot.

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
        msg = "pictures need Matplotlib, which is not installed: pip install 'mpimpy[plot]'"
        raise ModuleNotFoundError(msg) from error

    figure = Figure(figsize=(cols * size[0], rows * size[1]), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure.subplots(rows, cols, squeeze=False)


def axes(ax, size=(5.0, 5.0)):
    """Return `ax`, or axes of a new figure in its place."""
    return new_axes(size=size)[0, 0] if ax is None else ax


def numbers(array):
    """Return an array of any library, on any device, as a NumPy array."""
    array = arrays.detach(array)
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)

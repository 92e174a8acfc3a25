"""Axes to draw on, and arrays of every library as NumPy's."""

from typing import Any

import numpy as np

from .. import arrays
from ..checks import fail
from ._style import COLUMN, DPI, STYLE, Width, inches, matplotlib, ours

__all__ = ["axes", "new_axes", "to_numpy"]

SHAPE = 0.8  # height of a panel over its width


def new_axes(
    rows: int = 1,
    cols: int = 1,
    size: tuple[float, float] | None = None,
    *,
    width: Width | float | None = None,
    height: float | None = None,
    letters: bool | None = None,
) -> Any:
    """Return the axes of a new figure, outside pyplot, as journals print them.

    Letters are of 7 and 8 points, and there are 300 dots per inch.

    Parameters
    ----------
    rows, cols : int
        Panels.
    size : (float, float), optional
        Width and height of a panel, inches, instead of `width` and `height`.
    width : {"column", "page"} or float, optional
        Width of the figure: 3.5 or 7 inches, or a number of inches; by default a column for one panel a row, else a
        page.
    height : float, optional
        Height of the figure, inches; by default 0.8 of the width for square grids of panels.
    letters : bool, optional
        Whether panels have the letters a, b, c; by default if there are several.

    Returns
    -------
    ndarray of Axes, shape (rows, cols)
        Their ``figure`` can be saved as it is.

    Raises
    ------
    ModuleNotFoundError
        If Matplotlib is not installed.
    ValueError
        If `width` is unknown, or given together with `size`.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine, plot
    >>> W = Engine(seed=1).program(np.eye(64))
    >>> [[left, right]] = plot.new_axes(1, 2, width="page")  # doctest: +SKIP
    >>> plot.conductance(W, left), plot.levels(W, right)  # doctest: +SKIP
    >>> left.figure.savefig("chip.pdf")  # doctest: +SKIP
    """
    if size is not None and (width is not None or height is not None):
        fail(
            ValueError,
            "size= is that of a panel, and width= and height= are those of the figure: give one or the other",
        )
    library = matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    from ._panel import Panel

    if size is None:
        across = inches(("column" if cols == 1 else "page") if width is None else width)
        size = across / cols, SHAPE * across / cols if height is None else height / rows
    with library.rc_context(STYLE):
        figure = library.figure.Figure(figsize=(cols * size[0], rows * size[1]), dpi=DPI, layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(rows, cols, squeeze=False, subplot_kw={"axes_class": Panel})
        if rows * cols > 1 if letters is None else letters:
            for number, ax in enumerate(panels.flat):
                _letter(ax, number)
    ours.add(figure)
    return panels


def _letter(ax: Any, number: int) -> None:
    # above the ticks' labels, where nothing else stands
    text = chr(ord("a") + number) if number < 26 else str(number + 1)
    ax.annotate(
        text,
        (0, 1),
        xytext=(-20, 3),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="right",
        va="bottom",
        fontweight="bold",
        annotation_clip=False,
        gid="panel letter",
    )


def axes(ax: Any, size: tuple[float, float] = (COLUMN, SHAPE * COLUMN)) -> Any:
    """Return `ax`, or the axes of a new figure if it is None; `size` in inches."""
    return new_axes(size=size)[0, 0] if ax is None else ax


def to_numpy(array: Any) -> Any:
    """Return an array of any library, on any device, as a NumPy array."""
    array = arrays.detach(array)
    return np.asarray(array.cpu() if hasattr(array, "cpu") else array)

"""Pictures of a refinement: residuals over its steps."""

from typing import Any

import numpy as np

from ._figure import axes
from ._style import printed

__all__ = ["convergence"]

FEW = 5


@printed
def convergence(found: Any, ax: Any = None, title: str | None = None) -> Any:
    """Draw the relative residual of every step of a solution, a curve for each right-hand side.

    Up to 5 of several curves have their column of b in a legend. A column of b that is 0 has no curve.

    Parameters
    ----------
    found : mpimpy.solve.Solution
    ax : Axes, optional
    title : str, optional
        By default the number of steps and of reads.

    Returns
    -------
    Axes

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine, plot
    >>> from mpimpy.solve import solve
    >>> found = solve(np.diag([1.0, 2.0]), np.ones(2), Engine(seed=1))
    >>> plot.convergence(found).get_ylabel()  # doctest: +SKIP
    'relative residual'
    """
    ax = axes(ax)
    columns = found.residuals.reshape(len(found.residuals), -1)
    ax.set_yscale("log")
    for place, column in enumerate(columns.T):
        drawn = np.where(column > 0, column, np.nan)
        ax.plot(np.arange(column.size), drawn, marker="o", markersize=3, color=f"C{place % 10}", label=f"b[:, {place}]")
    if not np.any(columns > 0):
        ax.text(0.5, 0.5, "b = 0: x = 0", transform=ax.transAxes, ha="center")
    elif 1 < columns.shape[1] <= FEW:
        ax.legend()
    if found.tolerance > 0:
        ax.axhline(found.tolerance, color="black", linewidth=0.6, linestyle="--")
        ax.annotate("tolerance", (0, found.tolerance), xytext=(2, 2), textcoords="offset points")
    ax.set_xlabel("outer step")
    ax.set_ylabel("relative residual")
    ax.set_title(f"{found.steps} steps, {found.reads} reads" if title is None else title)
    return ax

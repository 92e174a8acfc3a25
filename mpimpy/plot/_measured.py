"""Pictures of measured cells."""

from statistics import NormalDist
from typing import Any

import numpy as np

from ._figure import axes

__all__ = ["measured"]


def measured(found: Any, ax: Any = None, title: str | None = None) -> Any:
    """Draw the measured distribution of every level, and the Gaussian of its mean and spread.

    Parameters
    ----------
    found : mpimpy.Measured
    ax : Axes, optional
    title : str, optional

    Returns
    -------
    Axes
        Share of a level's samples that lie below a conductance, in uS.
    """
    ax = axes(ax)
    for level, row in zip(found.levels, found.samples.conductance_S, strict=True):
        at, colour = np.asarray(row) * 1e6, f"C{level.level % 10}"
        ax.plot(np.repeat(at, 2), np.repeat(np.arange(at.size + 1) / at.size, 2)[1:-1], color=colour, linewidth=1.2)
        if level.spread_S > 0:
            fit = NormalDist(level.mean_S * 1e6, level.spread_S * 1e6)
            line = np.linspace(fit.mean - 3 * fit.stdev, fit.mean + 3 * fit.stdev, 61)
            ax.plot(line, [fit.cdf(g) for g in line], color="black", linewidth=0.6, linestyle="--")
    ax.plot([], [], color="C0", linewidth=1.2, label="measured, a colour per level")
    ax.plot([], [], color="black", linewidth=0.6, linestyle="--", label="Gaussian of same mean and spread")
    ax.set_xlabel("Conductance (uS)")
    ax.set_ylabel("Share of samples below")
    ax.set_title("" if title is None else title)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), fontsize="small", frameon=False)
    return ax

"""Pictures of measured cells."""

from statistics import NormalDist
from typing import Any

import numpy as np

from ._figure import axes
from ._style import label, legend_below, ordered, printed

__all__ = ["measured"]


@printed
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
        Share of a level's samples that lie below a conductance, in µS. Levels are dark to bright.
    """
    ax = axes(ax)
    colours = ordered(len(found.levels))
    for level, row, colour in zip(found.levels, found.samples.conductance_S, colours, strict=True):
        at = np.asarray(row) * 1e6
        ax.plot(np.repeat(at, 2), np.repeat(np.arange(at.size + 1) / at.size, 2)[1:-1], color=colour)
        if level.spread_S > 0:
            fit = NormalDist(level.mean_S * 1e6, level.spread_S * 1e6)
            line = np.linspace(fit.mean - 3 * fit.stdev, fit.mean + 3 * fit.stdev, 61)
            ax.plot(line, [fit.cdf(g) for g in line], color="black", linewidth=0.6, linestyle="--")
    ax.plot([], [], color=colours[0], label="measured, a colour per level")
    ax.plot([], [], color="black", linewidth=0.6, linestyle="--", label="Gaussian of same mean and spread")
    ax.set_xlabel(label("conductance", "uS"))
    ax.set_ylabel("share of samples below")
    ax.set_title("" if title is None else title)
    legend_below(ax)
    return ax

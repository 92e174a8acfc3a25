"""Pictures of error budgets."""

import math
from typing import Any

from ..analysis.report import Effect, Report
from ._figure import axes
from ._style import COLUMN, label, legend_below, printed, set_titles

__all__ = ["error_budget"]

BESIDE_NAMES = 0.8  # share of their first width that axes keep when names of effects stand beside them
NOTHING_dB = 200  # as in a printed report, the rounding of float64 is no effect


@printed
def error_budget(report: Report, ax: Any = None) -> Any:
    """Draw the error budget of a product: each effect alone, and everything but it. Long bars do harm.

    Bars are powers of errors, as shares of the error of the product as configured, at the dashed line: of the effect
    alone, and of what its removal saves. Beside them stand the SNR of the effect alone, and the SNR gained without it.
    An effect that takes some of another error away has a bar to the left. Of several reads, whiskers go from the
    lowest to the highest power of an effect alone in a single read.

    Parameters
    ----------
    report : mpimpy.Report
        From `mpimpy.explain`, or a programmed matrix's ``report``.
    ax : Axes, optional

    Returns
    -------
    Axes

    Raises
    ------
    TypeError
        If `report` is not a report.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import explain, plot
    >>> ax = plot.error_budget(explain(np.ones((2, 70)), np.ones((70, 3)), seed=1))  # doctest: +SKIP
    """
    if not hasattr(report, "effects"):
        msg = f"report must be a mpimpy.Report, from explain(x, w) or W.report(x), not a {type(report).__name__}"
        raise TypeError(msg)
    effects = report.effects
    ax = axes(ax, (COLUMN, 1.1 + 0.26 * len(effects)))
    total = _power(report.snr_dB) or max((_power(effect.alone_dB) for effect in effects), default=0.0) or 1.0
    alone = [(_power(effect.alone_dB), _alone(effect)) for effect in effects]
    saved = [_saved(effect, report.snr_dB) for effect in effects]
    for name, bars, colour, shift in (("alone", alone, "C0", -0.2), ("saved without it", saved, "C1", 0.2)):
        rows = [row + shift for row in range(len(effects))]
        ax.barh(rows, [100 * power / total for power, _ in bars], 0.38, color=colour, label=name)
    ends = _intervals(ax, effects, total)
    left, _ = ax.get_xlim()
    longest = 108.0 if _is_shown(report.snr_dB) else 0.0
    for row, both in enumerate(zip(alone, saved, strict=True)):
        words = ", ".join(words for _, words in both if words)
        end = max(0.0, ends.get(row, 0.0), *(100 * power / total for power, _ in both))
        share = _write(ax, row, end, words, "black" if end else "0.4")
        longest = max(longest, (end - share * left) / (1 - share))
    if _is_shown(report.snr_dB):
        ax.axvline(100, color="black", linestyle="--", linewidth=0.8, label=f"as configured: {report.snr_dB:.1f} dB")
    ax.set_yticks(range(len(effects)), [effect.name for effect in effects])
    ax.tick_params("y", length=0)
    ax.invert_yaxis()
    ax.set_xlim(left, longest)
    ax.set_xlabel(label("power of the error", "% of the product's"))
    set_titles(ax, "Error budget", _measured_on(report))
    handles, _ = ax.get_legend_handles_labels()
    legend_below(ax, "right", handles=[*handles[-2:], *handles[:-2]], ncols=2, columnspacing=1.0)
    return ax


def _write(ax: Any, row: float, at: float, words: str, colour: str) -> float:
    # right of the bars of an effect, and of zero; about the share of the axis that it takes
    size = ax.xaxis.get_ticklabels()[0].get_fontsize()
    text = ax.annotate(words, (at, row), (3, 0), textcoords="offset points", va="center", fontsize=size, color=colour)
    text.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # the line stops at the words
    width = 72 * ax.get_window_extent().width / ax.figure.dpi * BESIDE_NAMES
    return float(min(0.8, (0.57 * size * len(words) + 5) / width))


def _power(snr_dB: float) -> float:
    # of an error, over that of the signal; nothing of a product of zeros, whose error has no scale
    return 10 ** (-snr_dB / 10) if _is_shown(snr_dB) else 0.0


def _alone(effect: Effect) -> str:
    if _is_shown(effect.alone_dB):
        return f"{effect.alone_dB:.1f} dB".replace("-", "−")
    return "no cost" if effect.alone_dB > 0 else "all error"


def _saved(effect: Effect, snr_dB: float) -> tuple[float, str]:
    if not (_is_shown(effect.without_dB) and _is_shown(snr_dB)):
        return _power(snr_dB), "no error without it" if effect.without_dB > 0 else ""
    gain = effect.without_dB - snr_dB
    return _power(snr_dB) - _power(effect.without_dB), _signed(gain) if round(gain, 1) else ""


def _signed(gain: float) -> str:
    return f"{gain:+.1f} dB".replace("-", "−")


def _intervals(ax: Any, effects: tuple[Effect, ...], total: float) -> dict[int, float]:
    # whiskers of the powers alone, from the lowest to the highest of several reads; their right ends
    found = {}
    for row, effect in enumerate(effects):
        interval: Any = getattr(effect, "alone_range_dB", None)
        if interval is not None and all(map(_is_shown, interval)):
            ends = sorted(100 * _power(end) / total for end in interval)
            ax.plot(ends, [row - 0.2] * 2, color="black", linewidth=0.8, marker="|", markersize=4)
            found[row] = ends[1]
    return found


def _measured_on(report: Report) -> list[str]:
    # chip and seed, the number of reads, and the age
    known: Any = report
    names = [f"{name} {getattr(known, name)}" for name in ("chip", "seed") if hasattr(known, name)]
    several = f"{known.reads} reads, whiskers: single ones" if getattr(known, "reads", 1) > 1 else ""
    return [*filter(None, [", ".join(names), several, report.age.partition(",")[0]])]


def _is_shown(value: float) -> bool:
    return math.isfinite(value) and value <= NOTHING_dB

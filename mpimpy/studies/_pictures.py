"""Pictures of studies: one for each kind."""

from typing import TYPE_CHECKING, Any

import numpy as np

from ..plot import new_axes

if TYPE_CHECKING:
    from ._study import Study

__all__ = ["draw"]

SIZE_in = (3.5, 2.8)  # a column of a journal
SMALL, TEXT = 7.0, 8.0  # points, of letters in such a column
DAY_s = 86400.0
# times that people name, s
TICKS = {60.0: "1 min", 3600.0: "1 h", DAY_s: "1 d", 30 * DAY_s: "30 d", 365.25 * DAY_s: "1 y", 3652.5 * DAY_s: "10 y"}


def draw(study: "Study", ax: Any = None) -> Any:
    """Draw a study on `ax`, or on the axes of a new figure, and return the axes."""
    if ax is not None:
        return _on(study, ax)
    ax = new_axes(size=SIZE_in)[0, 0]
    from matplotlib import rc_context

    with rc_context({"font.size": TEXT, "legend.fontsize": SMALL, "lines.linewidth": 1.0}):
        _on(study, ax)
    ax.tick_params(labelsize=SMALL)
    for label in (ax.xaxis.label, ax.yaxis.label):
        label.set_size(TEXT)
    return ax


def _on(study: "Study", ax: Any) -> Any:
    {"chip_yield": _yield, "drift": _drift, "wires": _wires, "adc_bits": _adc_bits}[study.kind](study, ax)
    ax.grid(alpha=0.3)
    ax.legend(frameon=False, loc="lower left" if study.kind == "wires" else "best")
    chips = f"{len(study.chips)} chip{'s' if len(study.chips) > 1 else ''}"
    ax.set_title(f"{chips}, seed {study.seed}", fontsize="small", color="0.35")
    return ax


def _yield(study: "Study", ax: Any) -> None:
    # the share of chips that reach each figure, in its interval
    from ._chips import interval

    ((name, (figures,)),) = study.by_chip.items()
    found = np.sort([figure for figure in figures if np.isfinite(figure)])
    total = len(figures)
    reached = total - np.searchsorted(np.sort(figures), found, side="left")
    ends = 100 * np.array([interval(int(number), total) for number in reached]).reshape(-1, 2)
    (line,) = ax.step(found, 100 * reached / total, where="pre", label="share of chips")
    ax.fill_between(found, *ends.T, step="pre", alpha=0.2, color=line.get_color(), label="95 % interval", linewidth=0)
    for target, _, share, low, high in study.rows:
        text = f"{target:g} {study.units[0]}".rstrip()
        ax.axvline(target, color="black", linestyle="--", linewidth=0.8)
        ax.errorbar(
            [target], [share], [[share - low], [high - share]], color="black", marker="o", markersize=3, capsize=3,
            label=f"{text}: {share:.0f} % ({low:.0f} to {high:.0f} %)",
        )  # fmt: skip
    unit = f" ({study.units[0]})" if study.units[0] else ""
    ax.set_xlabel(f"Wanted {name}{unit}")
    ax.set_ylabel("Yield (%)")
    ax.set_ylim(-3, 103)


def _drift(study: "Study", ax: Any) -> None:
    times = np.array(study.column("time"))
    for name, before, marker in (("raw", "raw, ", "o"), ("compensated", "", "s")):
        _band(ax, times, [study.column(each) for each in (name, f"{before}worst", f"{before}best")], name, marker)
    ax.set_xscale("log")
    inside = {at: text for at, text in TICKS.items() if times[0] <= at <= times[-1]}
    if len(inside) > 1:
        ax.set_xticks(list(inside), list(inside.values()))
        ax.minorticks_off()
        ax.set_xlabel("Time since programming")
    else:
        ax.set_xlabel("Time since programming (s)")
    (written,) = study.facts.values()
    if np.isfinite(written):
        ax.axhline(written, color="black", linestyle="--", linewidth=0.8, label="as programmed")
    ax.set_ylabel("SNR (dB)")


def _wires(study: "Study", ax: Any) -> None:
    shapes = list(zip(study.column("rows"), study.column("columns"), strict=True))
    at = np.arange(len(shapes), dtype=float)
    _band(ax, at, [study.column(name) for name in ("with wires", "worst", "best")], "wires that resist", "o")
    ax.plot(at, _finite(study.column("without")), marker="s", markersize=3, color="black", ls="--", label="ideal wires")
    for place, figure, lost in zip(at, _finite(study.column("with wires")), study.column("lost, mean"), strict=True):
        if np.isfinite(figure):
            ax.annotate(
                f"{lost:.2g} %", (place, figure), (-4, -11), textcoords="offset points", ha="right", fontsize="small"
            )
    ax.set_xticks(at, [f"{rows} x {columns}" for rows, columns in shapes])
    ax.margins(x=0.2, y=0.16)
    word, bit = study.facts.values()
    segments = f"{word:g} Ω" if word == bit else f"{word:g} and {bit:g} Ω"
    ax.set_xlabel(f"Cells of an array, {segments} a segment\n%: mean current lost, all cells at HGS")
    ax.set_ylabel("SNR (dB)")


def _adc_bits(study: "Study", ax: Any) -> None:
    bits = np.array(study.column("bits"), dtype=float)
    for name, marker in (("full range", "o"), ("calibrated", "s")):
        chips = np.array(study.by_chip[name])
        _band(ax, bits, [study.column(name), chips.min(axis=1), chips.max(axis=1)], name, marker)
    (ideal,) = study.facts.values()
    if np.isfinite(ideal):
        ax.axhline(ideal, color="black", linestyle="--", linewidth=0.8, label="ideal ADC")
    ax.locator_params(axis="x", integer=True)
    ax.set_xlabel("ADC resolution (bits)")
    ax.set_ylabel("SNR (dB)")


def _finite(values: Any) -> Any:
    # an SNR without error has no place in a picture
    found = np.array(values, dtype=float)
    return np.where(np.isfinite(found), found, np.nan)


def _band(ax: Any, at: Any, figures: Any, name: str, marker: str) -> None:
    # a curve of means, in a band from the worst to the best chip
    mean, low, high = map(_finite, figures)
    (line,) = ax.plot(at, mean, marker=marker, markersize=3, label=name)
    if (high > low).any():
        ax.fill_between(at, low, high, alpha=0.2, color=line.get_color(), linewidth=0)

"""Pictures of studies: one for each kind."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..plot import new_axes
from ..plot._style import legend_below, printed

if TYPE_CHECKING:
    from ._study import Study

__all__ = ["draw"]

SIZE_in = (3.5, 2.8)  # a column of a journal
LEGEND = {"chip_yield": 2, "drift": 3, "wires": 2, "adc_bits": 3, "snr_energy": 3}  # columns
UPRIGHT = 8  # sizes of arrays whose names have room side by side in a column
FAR = 1.5  # targets this many widths of the data away from it would squeeze the curve
MARKERS, LINES = "osd^v", ("-", "--", ":", "-.")  # of sizes of arrays
DAY_s = 86400.0
# times that people name, s
TICKS = {60.0: "1 min", 3600.0: "1 h", DAY_s: "1 d", 30 * DAY_s: "30 d", 365.25 * DAY_s: "1 y", 3652.5 * DAY_s: "10 y"}


@printed
def draw(study: "Study", ax: Any = None) -> Any:
    """Draw a study on `ax`, or on the axes of a new figure, and return the axes."""
    ax = new_axes(size=SIZE_in)[0, 0] if ax is None else ax
    _DRAWN[study.kind](study, ax)
    ax.grid(alpha=0.3)
    if ax.figure.get_layout_engine() is None:  # nothing makes room for a legend below
        ax.legend()
    else:
        legend_below(ax, lines=_lines(study), ncols=LEGEND[study.kind], columnspacing=1.2)
    chips = f"{len(study.chips)} chip{'s' if len(study.chips) > 1 else ''}"
    ax.set_title(f"{chips}, seed {study.seed}", fontsize="small", color="0.35")
    return ax


def _lines(study: "Study") -> float:
    # height of the ticks and the label of the axis, in its letters
    if study.kind != "wires":
        return 3.4
    return 7.2 if len(study.rows) <= UPRIGHT else 11.0


def _yield(study: "Study", ax: Any) -> None:
    # the share of chips that reach each figure, in its interval
    from ._chips import interval

    ((name, (figures,)),) = study.by_chip.items()
    left, right = _view(figures, study.column("target"))
    at = np.array([left, *sorted({figure for figure in figures if np.isfinite(figure)}), right])
    total = len(figures)
    reached = total - np.searchsorted(np.sort(figures), at, side="left")
    ends = 100 * np.array([interval(int(number), total) for number in reached])
    (line,) = ax.step(at, 100 * reached / total, where="pre", label="share of chips")
    ax.fill_between(at, *ends.T, step="pre", alpha=0.2, color=line.get_color(), label="95 % interval", linewidth=0)
    for target, _, share, low, high in study.rows:
        text = f"{target:g} {study.units[0]}".rstrip()
        inside = left <= target <= right
        if inside:
            ax.axvline(target, color="black", linestyle="--", linewidth=0.8)
        # a target far away is an arrow at the end of the axis
        marker = "o" if inside else "<" if target < left else ">"
        edge = 0.02 * (right - left)
        ax.errorbar(
            [np.clip(target, left + edge, right - edge)], [share], [[share - low], [high - share]], color="black",
            marker=marker, markersize=3, capsize=3, label=f"{text}: {share:.0f} % ({low:.0f} to {high:.0f})",
        )  # fmt: skip
    unit = f" ({study.units[0]})" if study.units[0] else ""
    ax.set_xlabel(f"Wanted {name}{unit}")
    ax.set_ylabel("Yield (%)")
    ax.set_xlim(left, right)
    ax.set_ylim(-3, 103)


def _view(figures: Iterable[float], targets: Iterable[float]) -> tuple[float, float]:
    # the ends of the axis: the figures, and the targets that are not far from them
    found = [figure for figure in figures if np.isfinite(figure)]
    wanted = [target for target in targets if np.isfinite(target)]
    width = max(found) - min(found) if found else 0.0
    if found and width > 1e-9 * max(map(abs, found)):
        wanted = [one for one in wanted if min(found) - FAR * width <= one <= max(found) + FAR * width]
    shown = [*found, *wanted] or [0.0]
    margin = 0.08 * (max(shown) - min(shown)) or 0.05 * abs(shown[0]) or 1.0
    return min(shown) - margin, max(shown) + margin


def _drift(study: "Study", ax: Any) -> None:
    times = np.array(study.column("time"))
    for name, marker in (("raw", "o"), ("compensated", "s")):
        _band(ax, times, [study.column(f"{name}{which}") for which in ("", ", worst", ", best")], name, marker)
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
    # losses stand below the sizes: at the points they would cover curves
    ends = "\n" if len(shapes) <= UPRIGHT else " "
    names = [
        f"{rows}{ends}x {columns}{ends}{f'{lost:.0f}' if lost >= 9.95 else f'{lost:.2g}'} %"
        for (rows, columns), lost in zip(shapes, study.column("lost, mean"), strict=True)
    ]
    ax.set_xticks(at, names, rotation=0 if len(shapes) <= UPRIGHT else 90)
    word, bit = study.facts.values()
    segments = f"{word:g} Ω" if word == bit else f"{word:g} and {bit:g} Ω"
    ax.set_xlabel(f"Cells of an array, {segments} a segment\n%: mean current lost, all cells at HGS")
    ax.set_ylabel("SNR (dB)")


def _adc_bits(study: "Study", ax: Any) -> None:
    bits = np.array(study.column("bits"), dtype=float)
    for name, marker in (("full range", "o"), ("calibrated", "s")):
        chips = np.array(study.by_chip[name])
        _band(ax, bits, [study.column(name), chips.min(axis=1), chips.max(axis=1)], name, marker)
    (smooth,) = study.facts.values()
    if np.isfinite(smooth):
        ax.axhline(smooth, color="black", linestyle="--", linewidth=0.8, label="no ADC rounding")
    ax.locator_params(axis="x", integer=True)
    ax.set_xlabel("ADC resolution (bits)")
    ax.set_ylabel("SNR (dB)")


def _snr_energy(study: "Study", ax: Any) -> None:
    # a colour for each mapping, a marker for each size; points of more and more bits are joined
    keys = [row[:3] for row in study.rows]
    mappings, sizes = list(dict.fromkeys(key[0] for key in keys)), list(dict.fromkeys(key[1:] for key in keys))
    at = [study.columns.index(name) for name in ("energy", "low", "high", "SNR")]
    for mapping, size in dict.fromkeys((key[0], key[1:]) for key in keys):
        points = [row for row, key in zip(study.rows, keys, strict=True) if key == (mapping, *size)]
        energy, low, high, snr = (_finite([row[each] for row in points]) for each in at)
        name = mapping if len(sizes) == 1 else f"{mapping}, {size[0]} x {size[1]}"
        ax.errorbar(
            energy, snr, xerr=(energy - low, high - energy), label=name, color=f"C{mappings.index(mapping)}",
            marker=MARKERS[sizes.index(size) % len(MARKERS)], linestyle=LINES[sizes.index(size) % len(LINES)],
            markersize=3, linewidth=1.2, elinewidth=0.8, ecolor=(f"C{mappings.index(mapping)}", 0.35),
        )  # fmt: skip
    ax.set_xscale("log")
    technology = study.call["technology"]
    name = technology if isinstance(technology, str) else technology["name"]
    ax.set_xlabel(f"Energy (fJ/MAC), with its band, {name}")
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


_DRAWN = {"chip_yield": _yield, "drift": _drift, "wires": _wires, "adc_bits": _adc_bits, "snr_energy": _snr_energy}

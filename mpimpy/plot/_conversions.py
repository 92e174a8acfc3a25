"""Pictures of the currents that ADCs convert."""

from typing import Any

import numpy as np

from .. import converters
from .._integers import ceil_div
from ..checks import as_int
from ..config import Config
from ..crossbar import plan as plans
from ..crossbar.currents import currents as bit_line_currents
from ..matrix import CrossbarMatrix, backend_of, encode_inputs
from ..noise import MAX_READ
from ._arrays import cells_of, check_slice
from ._figure import axes, to_numpy
from ._style import COLUMN, chip_of, label, legend_below, printed, set_titles

__all__ = ["adc_codes", "currents"]

BINS = 128
FILLED = 0.6  # least share of the axis that conversions take, or the ends of the range stay outside


def currents(W: CrossbarMatrix, x: Any, slice: int, input_slice: int, read: int) -> Any:
    """Return the bit line currents of one pair of slices, as the integers that a read digitises.

    Parameters
    ----------
    W : CrossbarMatrix
    x : array, shape (..., K)
    slice, input_slice : int
        Most significant first.
    read : int
        Number of the read, for the addresses of its noise.

    Returns
    -------
    int64 array, shape (input planes, weight planes, tiles along K, inputs, N)
        In units of `unit_A`, less the current of the reference column.
    """
    config = W.config
    only = len(config.weights.digits) - 1 - slice, _ascending(config, input_slice)
    programmed, inputs = encode_inputs(W, x)
    parts = bit_line_currents(backend_of(W), programmed, inputs, read, only=only)
    found = np.stack([to_numpy(current) for _, _, current, _ in parts]).astype(np.int64)
    found = found.reshape(-1, config.weights.planes, config.inputs.planes, *found.shape[1:])
    return np.moveaxis(found, (2, 1), (0, 1))


def _ascending(config: Config, input_slice: int) -> int:
    # the conversion of an input slice, least significant first: all have the same one, if they are added before it
    return converters.conversions(config).count - 1 - input_slice


def unit_A(config: Config) -> float:
    """Return the unit of `currents`, A: one grid unit of conductance times one of voltage."""
    volts = config.dac.vread / converters.conversions(config).highest
    return volts * config.device.grid_unit_S(plans.plan(config).current_unit.bit_length() - 1)


@printed
def adc_codes(W: CrossbarMatrix, x: Any, ax: Any = None, *, slice: int = 0, input_slice: int = 0, read: int = 0) -> Any:
    """Draw a histogram of the currents that ADCs convert, and the ends of the ADCs' range.

    It counts the conversions of one input slice by one weight slice, of every input, bit line and tile,
    on a logarithmic scale. A bar covers one code, or several if there are many. Currents beyond the range
    stand where an ADC without saturation would put them. An end of the range that lies far from all currents is
    left out of the picture; the legend has its code.

    Parameters
    ----------
    W : CrossbarMatrix
    x : array, shape (..., K)
        Inputs; an array of the library and on the device of the weights.
    ax : Axes, optional
    slice, input_slice : int
        Slice of the weights, of the inputs, most significant first.
    read : int
        Number of the read, which addresses its noise. The engine does not count this read.

    Returns
    -------
    Axes
        Bit line current below, less that of the reference column (of pairs: g+ less g-); ADC code
        above, if the ADC is not ideal.

    Raises
    ------
    TypeError, ValueError
        If there is no such slice, or `x` does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from mpimpy import Engine, plot
    >>> W = Engine(seed=1).program(np.eye(100))
    >>> plot.adc_codes(W, np.ones((5, 100)), slice=3, input_slice=3).figure.savefig("codes.png")  # doctest: +SKIP
    """
    cells_of(W)
    config = W.config
    slice = check_slice("slice", slice, config.weights, "weights")
    whole = config.adc.per == "product"
    if whole and input_slice != 0:
        msg = f"input_slice={input_slice} names no conversion: with per='product' there is one for all, so leave it out"
        raise ValueError(msg)
    input_slice = check_slice("input_slice", input_slice, config.inputs, "inputs")
    found, unit = currents(W, x, slice, input_slice, as_int("read", read, 0, MAX_READ)), unit_A(config) * 1e6
    ax = axes(ax, (COLUMN, 3.2))
    if config.radc is None:
        counts, edges = np.histogram(found * unit, BINS)
        ax.stairs(counts, edges, fill=True, color="C0", label="conversions (ideal ADC: no range)")
    else:
        counts = _draw_codes(ax, config, found, unit, slice, input_slice)
    ax.set_yscale("log")
    ax.set_ylim(0.7, 2.0 * float(counts.max()))
    less = "g+ less g-" if config.weights.signed else "less the reference column's"
    ax.set_xlabel(label(f"bit line current, {less}", "uA"))
    ax.set_ylabel("number of conversions")
    weights, inputs = config.weights.digits[slice], config.inputs.digits[input_slice]
    by = "all input slices together" if whole else f"input slice {input_slice} ({inputs}-bit)"
    set_titles(ax, "Conversions", [f"weight slice {slice} ({weights}-bit) by {by}", *chip_of(W), f"read {read}"])
    legend_below(ax)
    return ax


def _draw_codes(ax: Any, config: Config, found: Any, unit: float, slice: int, input_slice: int) -> Any:
    # rounds currents as a read does; returns the heights of the bars
    plan = plans.plan(config.replace(adc={"saturate": True}))
    j, i = len(config.weights.digits) - 1 - slice, _ascending(config, input_slice)
    code_range: Any = plan.reading.code_range  # an ADC that is not ideal has one
    step, (low, top) = plan.reading.adc_gain[j][i], (table[j][i] for table in code_range)
    kind = np.float64 if plan.reading.wide else np.float32
    origin = 0.0 if plan.reading.adc_origin is None else plan.reading.adc_origin[j][i]
    codes = np.rint(found.astype(kind) * kind(step) - kind(origin)).astype(np.int64).ravel()
    beyond = (codes < low) | (codes > top)
    # bars cover whole codes; no bar crosses the lower end of the range
    width = ceil_div(int(codes.max() - codes.min() + 1), BINS)
    first = low + (int(codes.min()) - low) // width * width
    edges = np.arange(first, int(codes.max()) + width + 1, width) - 0.5
    amperes = unit / step
    saturated = "saturated" if config.adc.saturate else "beyond the range, not clipped"
    saturated += f": {100 * beyond.mean():.3g} %"
    parts = (("C0", "within the range", codes[~beyond]), ("C3", saturated, codes[beyond]))
    heights = []
    for colour, name, part in parts:
        heights.append(np.histogram(part, edges)[0])
        ax.stairs(heights[-1], (edges + origin) * amperes, fill=True, color=colour, label=name)
    for end, ends in ((low, f"ends of the range: codes {low} and {top}"), (top, None)):
        ax.axvline((end + origin) * amperes, color="black", linestyle="--", linewidth=0.8, label=ends)
    left, right = _limits(float(edges[0]), float(edges[-1]), (float(low), float(top)))
    ax.set_xlim((left + origin) * amperes, (right + origin) * amperes)
    scales = lambda current: current / amperes - origin, lambda code: (code + origin) * amperes
    above = ax.secondary_xaxis("top", functions=scales)
    above.set_xlabel("ADC code")
    return np.maximum(*heights)


def _limits(first: float, last: float, ends: tuple[float, float]) -> tuple[float, float]:
    # ends of the axis: of the bars, and of the range where it is near
    left, right = first, last
    for end in sorted(ends, key=lambda end: max(first - end, end - last)):
        near = min(left, end), max(right, end)
        if FILLED * (near[1] - near[0]) <= last - first:
            left, right = near
    margin = 0.03 * (right - left)
    return left - margin, right + margin

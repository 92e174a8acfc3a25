"""Pictures of what the ADCs convert."""

import numpy as np

from .._integers import ceil_div
from ..checks import as_int
from ..crossbar import plan as plans
from ..crossbar.currents import currents as bit_line_currents
from ..noise import MAX_READ
from ._arrays import CURVES, check_matrix, check_slice
from ._figure import axes, numbers

__all__ = ["adc_codes", "currents"]

BINS = 128


def currents(W, x, slice, input_slice, read):
    """Return the bit line currents of one pair of slices, as integers: exactly those that a read digitises.

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
    only = len(config.weights.digits) - 1 - slice, len(config.inputs.digits) - 1 - input_slice
    parts = bit_line_currents(W.backend, W.programmed, W.encoded_inputs(x), read, only=only)
    found = np.stack([numbers(current) for _, _, current, _ in parts]).astype(np.int64)
    found = found.reshape(-1, config.weights.planes, config.inputs.planes, *found.shape[1:])
    return np.moveaxis(found, (2, 1), (0, 1))


def unit_A(config):
    """Return the current, A, that 1 stands for in `currents`: one grid unit of conductance under one of voltage."""
    cell_format = plans.cell_format(config)
    volts = config.dac.vread / (config.dac.rdac - 1)
    return volts * config.device.grid_unit_S(cell_format.fraction + cell_format.voltage_fraction)


def adc_codes(W, x, ax=None, *, slice=0, input_slice=0, read=0):
    """Draw a histogram of what the ADCs convert, and where their range ends.

    All conversions of one slice of the inputs by one slice of the weights, on a logarithmic scale:
    every input, bit line and tile. A bar covers one code, or several where there are many. What lies
    beyond the range is drawn where it would be if the ADC did not saturate.

    Parameters
    ----------
    W : CrossbarMatrix
    x : array, shape (..., K)
        Inputs; an array of the library and on the device of the weights.
    ax : Axes, optional
    slice, input_slice : int
        Slice of the weights, of the inputs, most significant first.
    read : int
        Number of the read, which addresses its noise. The engine's count of reads does not move.

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
    check_matrix(W)
    config = W.config
    slice = check_slice("slice", slice, config.weights, "weights")
    input_slice = check_slice("input_slice", input_slice, config.inputs, "inputs")
    found, unit = currents(W, x, slice, input_slice, as_int("read", read, 0, MAX_READ)), unit_A(config) * 1e6
    ax = axes(ax, CURVES)
    if config.radc is None:
        counts, edges = np.histogram(found * unit, BINS)
        ax.stairs(counts, edges, fill=True, color="C0", label="conversions (ideal ADC: no range)")
    else:
        counts = _draw_codes(ax, config, found, unit, slice, input_slice)
    ax.set_yscale("log")
    # the top third is for the legend
    bottom, peak = 0.7, float(counts.max())
    ax.set_ylim(bottom, peak * (peak / bottom) ** 0.5)
    less = "g+ less g-" if config.weights.signed else "less the reference column's"
    ax.set_xlabel(f"bit line current, {less} (µA)")
    ax.set_ylabel("conversions (number)")
    weights, inputs = config.weights.digits[slice], config.inputs.digits[input_slice]
    ax.set_title(f"Conversions\nweight slice {slice} ({weights}-bit) by input slice {input_slice} ({inputs}-bit)")
    ax.legend(loc="upper right", fontsize="small", framealpha=0.9)
    return ax


def _draw_codes(ax, config, found, unit, slice, input_slice):
    # codes are found as a read finds them; returns the heights of the bars
    plan = plans.plan(config.replace(adc={"saturate": True}))
    j, i = len(config.weights.digits) - 1 - slice, len(config.inputs.digits) - 1 - input_slice
    step, (low, top) = plan.reading.adc_gain[j][i], (table[j][i] for table in plan.reading.code_range)
    kind = np.float64 if plan.cell_format.wide else np.float32
    codes = np.rint(found.astype(kind) * kind(step)).astype(np.int64).ravel()
    beyond = (codes < low) | (codes > top)
    # bars of whole codes, none of them on both sides of the range's lower end
    width = ceil_div(int(codes.max() - codes.min() + 1), BINS)
    first = low + (int(codes.min()) - low) // width * width
    edges = np.arange(first, int(codes.max()) + width + 1, width) - 0.5
    amperes = unit / step
    saturated = "saturated" if config.adc.saturate else "beyond the range, not clipped"
    saturated += f": {100 * beyond.mean():.3g} %"
    parts = (("C0", "within the range", codes[~beyond]), ("C3", saturated, codes[beyond]))
    heights = []
    for colour, label, part in parts:
        heights.append(np.histogram(part, edges)[0])
        ax.stairs(heights[-1], edges * amperes, fill=True, color=colour, label=label)
    for end in (low, top):
        label = f"ends of the range: codes {low} and {top}" if end == low else None
        ax.axvline(end * amperes, color="black", linestyle="--", linewidth=1, label=label)
    above = ax.secondary_xaxis("top", functions=(lambda current: current / amperes, lambda code: code * amperes))
    above.set_xlabel("ADC code (number)")
    return np.maximum(*heights)

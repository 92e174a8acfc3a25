"""ADC ranges from data: where the currents of each pair of slices really are.

At full range most codes are never used: the spread of a sum of many currents grows as the root of
their number, the full scale as the number. A narrower range rounds finer and clips the rare
currents beyond it; the best one makes the sum of both errors smallest. For a Gaussian current it ends 3.94
standard deviations from the mean at 8 bits, which gives 40.57 dB.
"""

import functools
import math

from .. import converters
from .._integers import ceil_div
from ..arrays import namespace
from ..checks import as_float, fail
from ..config import Ranges
from ..crossbar import plan as plans
from ..crossbar.currents import current_unit
from ..crossbar.currents import currents as bit_line_currents

__all__ = ["METHODS", "RATIOS", "best_window", "covering_window", "ranges", "samples"]

METHODS = ("error", "percentile")
RATIOS = ("powers", "free")
SAMPLES = 1 << 16  # currents of each pair of slices that are looked at
NARROWEST = 24  # halvings of the full range that are tried
FINE = 8  # free ranges in each octave, before the best one is refined
FITTING = 8  # multiples and parts of a quantum that are tried as a step
CLOSE = 1e-9  # a better error is better by more than rounding


def samples(backend, programmed, inputs, read):
    """Return currents of every pair of slices: float64 arrays, sorted, ``found[j][i]``, least significant first.

    Parameters
    ----------
    backend, programmed, inputs, read
        As for `mpimpy.crossbar.product.product`.
    """
    config = programmed.config
    found = [[[] for _ in config.inputs.digits] for _ in config.weights.digits]
    stride = None
    for j, i, current, count in bit_line_currents(backend, programmed, inputs, read):
        xp = namespace(current)
        flat = xp.reshape(current, (-1,))
        if stride is None:
            stride = max(1, ceil_div(count * flat.shape[0], SAMPLES))
            # a stride that shares a factor with the columns would look at some of them only
            while stride > 1 and (stride % 2 == 0 or current.shape[1] % stride == 0):
                stride += 1
        found[j][i].append(flat[::stride])
    return [[xp.sort(xp.concat(parts, axis=0)) for parts in row] for row in found]


def _squared_error(xp, values, step, first, codes):
    # mean square of what an ADC of `codes` codes from `first` on loses
    code = xp.clip(xp.round(values / step), float(first), float(first + codes - 1))
    return float(xp.mean((values - code * step) ** 2))


def _clipped(xp, values, low, high):
    return float(xp.sum((values - xp.clip(values, low, high)) ** 2))


def _place(xp, values, step, codes):
    # The first code of the window that clips least: the clipped energy is convex in it.
    least, most = float(values[0]), float(values[-1])
    low, high = round(least / step), round(most / step) - (codes - 1)
    if low >= high:
        # everything fits: from zero, or around it, if that covers it too, else in the middle
        first = 0 if least >= 0 else -(codes // 2)
        return first if first <= low and high <= first else (low + high) // 2
    while low < high:
        middle = (low + high) // 2
        here, there = (_clipped(xp, values, k * step, (k + codes - 1) * step) for k in (middle, middle + 1))
        low, high = (low, middle) if here <= there else (middle + 1, high)
    return low


def _least_error(values, codes, widths):
    # (error, first code, width) of the best of some widths, the widest first
    xp, best = namespace(values), None
    for width in widths:
        step = width / (codes - 1)
        first = _place(xp, values, step, codes)
        found = _squared_error(xp, values, step, first, codes), first, width
        if best is None or found[0] < best[0] * (1 - CLOSE):
            best = found
        elif found[0] > 100 * best[0] > 0:
            break  # clipping alone only grows
    return best


def best_window(values, codes, full, *, free=False, quantum=None):
    """Return the range that loses least of some currents: (first code, width).

    Parameters
    ----------
    values : float64 array, sorted
        Currents, in any unit.
    codes : int
        Codes of the ADC.
    full : float
        Full range, in the same unit.
    free : bool
        Whether the width may be any number; else it is `full` halved a number of times.
    quantum : float, optional
        What currents would be multiples of, without noise: steps that fit it lose least, if
        noise leaves something of that.

    Returns
    -------
    first : int
        The codes stand for ``first``, ``first + 1`` and so on, times ``width / (codes - 1)``.
    width : float

    Examples
    --------
    >>> import numpy as np
    >>> values = np.sort(np.random.default_rng(0).normal(size=60_000))
    >>> first, width = best_window(values, 256, 20.0, free=True)
    >>> 7.6 < width < 8.1  # 3.94 standard deviations on either side
    True
    """
    return _best(values, codes, full, free, quantum)[1:]


def _best(values, codes, full, free, quantum=None):
    parts = FINE if free else 1
    best = _least_error(values, codes, [full * 2.0 ** (-k / parts) for k in range(NARROWEST * parts + 1)])
    ratio = 2.0 ** (1 / parts)
    while free and ratio > 1.001:
        ratio **= 0.5
        near = _least_error(values, codes, (best[2] * ratio, best[2] / ratio))
        best = min(best, near, key=lambda found: found[0])
    if free and quantum is not None:
        steps = [quantum * k for k in range(FITTING, 1, -1)] + [quantum / k for k in range(1, FITTING + 1)]
        near = _least_error(values, codes, [step * (codes - 1) for step in steps])
        best = min(best, near, key=lambda found: found[0])
    return best


def covering_window(values, codes, full, percentile, *, free=False):
    """Return the range that covers a share of some currents: (first code, width).

    Parameters
    ----------
    values, codes, full, free
        As for `best_window`.
    percentile : float
        Share of the currents that it covers, %: as many are left out above as below.
    """
    xp, count = namespace(values), values.shape[0]
    left_out = (1 - percentile / 100) / 2
    edge = min(int(left_out * count), (count - 1) // 2)
    inner = values[edge : count - edge]
    width = (float(inner[-1]) - float(inner[0])) * (1 + 2 / codes)  # zero is a code, so ends lie where they can
    if width == 0 or width > full:
        width = full
    if not free:
        width = full * 2.0 ** math.ceil(max(math.log2(width / full), -NARROWEST))
    return _place(xp, inner, width / (codes - 1), codes), width


def ranges(config, currents, *, method="error", percentile=None, ratios="powers"):
    """Return the `mpimpy.Ranges` that fit currents.

    Parameters
    ----------
    config : Config
    currents : as returned by `samples`
    method : str
        ``"error"``: the least mean squared error. ``"percentile"``: covers that share of the currents.
    percentile : float, optional
        50 to 100, %; 99.9 by default.
    ratios : str
        ``"powers"``: widths have ratios that are powers of two, so that shift-and-add stays one of integers; the
        largest is chosen for the least error of the whole product, or is full scale. ``"free"``: any widths.
    """
    if method not in METHODS:
        fail(ValueError, f"method {method!r} is unknown: use one of {', '.join(map(repr, METHODS))}")
    if ratios not in RATIOS:
        fail(ValueError, f"ratios {ratios!r} are unknown: use one of {', '.join(map(repr, RATIOS))}")
    if percentile is not None and method != "percentile":
        fail(ValueError, f"percentile={percentile:g} has no effect with method={method!r}: leave it out")
    percentile = 99.9 if percentile is None else as_float("percentile", percentile, 50, 100, unit=" %")
    free = ratios == "free"
    unit, full = current_unit(config)
    ampere = converters.full_scale_amperes(config) / full
    radc, quanta = config.radc_ascending, _quanta(config, unit)

    def windows(base):
        rows = zip(radc, currents, quanta, strict=True)
        return [[_best(v, r, base, free, q) for v, q in zip(row, each, strict=True)] for r, row, each in rows]

    if method == "percentile":
        found = [
            [(0.0, *covering_window(values, r, float(full), percentile, free=free)) for values in row]
            for r, row in zip(radc, currents, strict=True)
        ]
    elif free:
        found = windows(float(full))
    else:
        bases = [full * 2.0 ** (-k / FINE) for k in range(FINE)]
        for quantum in sorted({quantum for row in quanta for quantum in row}):
            base = quantum * (max(radc) - 1)
            bases.append(base * 2.0 ** math.floor(math.log2(full / base)))
        found = min(map(windows, bases), key=functools.partial(_total_error, config))
    steps = [[width / (r - 1) for _, _, width in row] for r, row in zip(radc, found, strict=True)]
    low = [[f[1] * step * ampere for f, step in zip(*pair, strict=True)] for pair in zip(found, steps, strict=True)]
    span = [[width * ampere for _, _, width in row] for row in found]
    return Ranges(*[[row[::-1] for row in table[::-1]] for table in (low, span)])


def _quanta(config, unit):
    # the current of one product of digits, for each pair of slices
    numbers = plans.plan(config)
    return [[float(u * v * unit) for u in numbers.x_strides] for v in numbers.grid.strides]


def _total_error(config, windows):
    # what the errors of all pairs do to the product, in squares of digit products
    numbers = plans.plan(config)
    pairs = [
        zip(shifts, strides, strict=True)
        for shifts, strides in (
            (config.inputs.shifts, numbers.x_strides),
            (config.weights.shifts, numbers.grid.strides),
        )
    ]
    x, w = ([(shift / stride) ** 2 for shift, stride in pair] for pair in pairs)
    return sum(b * a * found[0] for b, row in zip(w, windows, strict=True) for a, found in zip(x, row, strict=True))

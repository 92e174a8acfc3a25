"""ADC ranges from data: windows around the currents of each pair of slices.

At full range most codes are never used: the spread of a sum of many currents grows as the root of
their number, the full scale as the number. A narrower range rounds finer and clips the rare
currents beyond it; the best range makes the sum of both errors smallest. For a Gaussian current it ends 3.94
standard deviations from the mean at 8 bits, which gives 40.57 dB.
"""

import functools
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from .. import converters
from .._integers import ceil_div
from ..arrays import namespace
from ..checks import as_float, fail
from ..config import Config, Ranges
from ..crossbar import plan as plans
from ..crossbar.currents import currents as bit_line_currents
from ..crossbar.plan import Plan
from ..crossbar.programmed import Programmed
from ..operands.encoding import Encoded

__all__ = ["METHODS", "RATIOS", "best_window", "covering_window", "ranges", "samples"]

METHODS = ("error", "percentile")
RATIOS = ("powers", "free")
SAMPLES = 1 << 16  # currents of each pair of slices that are used
NARROWEST = 24  # halvings of the full range that are tried
FINE = 8  # free ranges in each octave, before the best one is refined
FITTING = 8  # multiples and parts of a quantum that are tried as a step
CLOSE = 1e-9  # a better error is better by more than rounding


class _Window(NamedTuple):
    # mean squared error of the currents; first code; width of the range
    error: float
    first: int
    width: float


def samples(backend: Any, programmed: Programmed, inputs: Encoded, read: int) -> list[list[Any]]:
    """Return currents of every pair of slices: float64 arrays, sorted, ``found[j][i]``, least significant first.

    Parameters
    ----------
    backend, programmed, inputs, read
        As for `mpimpy.crossbar.product.product`.
    """
    config = programmed.config
    found: list[list[list[Any]]] = [[[] for _ in config.inputs.digits] for _ in config.weights.digits]
    xp, stride = namespace(inputs.digits), None
    for j, i, current, count in bit_line_currents(backend, programmed, inputs, read):
        flat = xp.reshape(current, (-1,))
        if stride is None:
            stride = max(1, ceil_div(count * flat.shape[0], SAMPLES))
            # a stride that shares a factor with the columns would use some of them only
            while stride > 1 and (stride % 2 == 0 or current.shape[1] % stride == 0):
                stride += 1
        found[j][i].append(flat[::stride])
    return [[xp.sort(xp.concat(parts, axis=0)) for parts in row] for row in found]


def _squared_error(xp: Any, values: Any, step: float, first: int, codes: int) -> float:
    # mean squared error of an ADC with `codes` codes from `first` on
    code = xp.clip(xp.round(values / step), float(first), float(first + codes - 1))
    return float(xp.mean((values - code * step) ** 2))


def _clipped_energy(xp: Any, values: Any, low: float, high: float) -> float:
    return float(xp.sum((values - xp.clip(values, low, high)) ** 2))


def _first_code(xp: Any, values: Any, step: float, codes: int) -> int:
    # First code of the window that clips least: the clipped energy is convex in it.
    least, most = float(values[0]), float(values[-1])
    low, high = round(least / step), round(most / step) - (codes - 1)
    if low >= high:
        # All values fit. Prefer a window from 0, else centred on 0, else on the data.
        first = 0 if least >= 0 else -(codes // 2)
        return first if first <= low and high <= first else (low + high) // 2
    while low < high:
        middle = (low + high) // 2
        here, there = (_clipped_energy(xp, values, k * step, (k + codes - 1) * step) for k in (middle, middle + 1))
        low, high = (low, middle) if here <= there else (middle + 1, high)
    return low


def _least_error(values: Any, codes: int, widths: Iterable[float]) -> _Window:
    # the best window of some widths, the widest first
    xp, best = namespace(values), None
    for width in widths:
        step = width / (codes - 1)
        first = _first_code(xp, values, step, codes)
        found = _Window(_squared_error(xp, values, step, first, codes), first, width)
        if best is None or found.error < best.error * (1 - CLOSE):
            best = found
        elif found.error > 100 * best.error > 0:
            break  # clipping dominates, and grows as the window narrows
    assert best is not None
    return best


def best_window(
    values: Any, codes: int, full: float, *, free: bool = False, quantum: float | None = None
) -> tuple[int, float]:
    """Return the range of least squared error for some currents: (first code, width).

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
        Unit of the currents without noise. Steps that fit it have the least error, unless noise hides it.

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
    found = _best(values, codes, full, free, quantum)
    return found.first, found.width


def _best(values: Any, codes: int, full: float, free: bool, quantum: float | None = None) -> _Window:
    parts = FINE if free else 1
    best = _least_error(values, codes, [full * 2.0 ** (-k / parts) for k in range(NARROWEST * parts + 1)])
    ratio = 2.0 ** (1 / parts)
    while free and ratio > 1.001:
        ratio **= 0.5
        near = _least_error(values, codes, (best.width * ratio, best.width / ratio))
        best = min(best, near, key=lambda found: found.error)
    if free and quantum is not None:
        steps = [quantum * k for k in range(FITTING, 1, -1)] + [quantum / k for k in range(1, FITTING + 1)]
        near = _least_error(values, codes, [step * (codes - 1) for step in steps])
        best = min(best, near, key=lambda found: found.error)
    return best


def covering_window(
    values: Any, codes: int, full: float, percentile: float, *, free: bool = False
) -> tuple[int, float]:
    """Return the range that covers a share of some currents: (first code, width).

    Parameters
    ----------
    values, codes, full, free
        As for `best_window`.
    percentile : float
        Share of the currents that it covers, %; it leaves out as many above as below.
    """
    xp, count = namespace(values), values.shape[0]
    left_out = (1 - percentile / 100) / 2
    edge = min(int(left_out * count), (count - 1) // 2)
    inner = values[edge : count - edge]
    width = (float(inner[-1]) - float(inner[0])) * (1 + 2 / codes)  # room for ends that are codes: zero is one
    if width == 0 or width > full:
        width = full
    if not free:
        width = full * 2.0 ** math.ceil(max(math.log2(width / full), -NARROWEST))
    return _first_code(xp, inner, width / (codes - 1), codes), width


def ranges(
    config: Config,
    currents: list[list[Any]],
    *,
    method: str = "error",
    percentile: float | None = None,
    ratios: str = "powers",
) -> Ranges:
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
        ``"powers"``: widths have ratios that are powers of two, so shift-and-add remains a sum of integers; the
        largest is chosen for the least error of the whole product, or is full scale. ``"free"``: any widths.
    """
    if method not in METHODS:
        fail(ValueError, f"method {method!r} is unknown: use one of {', '.join(map(repr, METHODS))}")
    if ratios not in RATIOS:
        fail(ValueError, f"ratios {ratios!r} are unknown: use one of {', '.join(map(repr, RATIOS))}")
    if percentile is not None and method != "percentile":
        fail(ValueError, f"percentile={percentile:g} has no effect with method={method!r}: leave it out")
    percentile = 99.9 if percentile is None else as_float("percentile", percentile, 50, 100, unit=" %")
    plan, free = plans.plan(config), ratios == "free"
    full, radc = plan.full_scale, converters.radc_ascending(config)
    ampere, quanta = converters.full_scale_amperes(config) / full, _quanta(plan)

    def windows(base: float) -> list[list[_Window]]:
        rows = zip(radc, currents, quanta, strict=True)
        return [[_best(v, r, base, free, q) for v, q in zip(row, each, strict=True)] for r, row, each in rows]

    if method == "percentile":
        found = [
            [_Window(0.0, *covering_window(values, r, float(full), percentile, free=free)) for values in row]
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
    low = [
        [window.first * (window.width / (r - 1)) * ampere for window in row] for r, row in zip(radc, found, strict=True)
    ]
    span = [[window.width * ampere for window in row] for row in found]
    return Ranges(*[[row[::-1] for row in table[::-1]] for table in (low, span)])


def _quanta(plan: Plan) -> list[list[float]]:
    # current of one product of digits, for each pair of slices
    unit = plan.cell_format.current_unit
    return [[float(u * v * unit) for u in plan.x_strides] for v in plan.cell_format.strides]


def _total_error(config: Config, windows: list[list[_Window]]) -> float:
    # squared error of the product, in digit-product units
    plan = plans.plan(config)
    x, w = (
        [(shift / stride) ** 2 for shift, stride in zip(fmt.shifts, strides, strict=True)]
        for fmt, strides in ((config.inputs, plan.x_strides), (config.weights, plan.cell_format.strides))
    )
    return sum(b * a * found.error for b, row in zip(w, windows, strict=True) for a, found in zip(x, row, strict=True))

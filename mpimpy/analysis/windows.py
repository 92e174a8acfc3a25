"""Windows of ADCs around currents: of least squared error, or covering a share of them.

At full range most codes are never used: the spread of a sum of many currents grows as the root of
their number, the full scale as the number. A narrower range rounds finer and clips the rare
currents beyond it; the best range makes the sum of both errors smallest. For a Gaussian current it ends 3.94
standard deviations from the mean at 8 bits, which gives 40.57 dB.
"""

import bisect
import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from ..arrays import namespace

__all__ = ["Currents", "Window", "best_window", "covering_window", "first_code", "quantise", "weighted", "window_of"]

NARROWEST = 24  # halvings of the full range that are tried
FINE = 8  # free ranges in each octave, before the best one is refined
AROUND = 32  # widths on either side of the best one that are tried, up to a quarter of an octave away
FITTING = 8  # multiples and parts of a quantum that are tried as a step
CLOSE = 1e-9  # a better error is better by more than rounding
DISTINCT = 1 << 14  # different currents that a search looks at; more are taken together in groups


class Window(NamedTuple):
    """Codes of an ADC: `first`, ``first + 1`` and so on, times ``width / (codes - 1)``.

    Attributes
    ----------
    error : float
        Weighted sum of squared errors of the currents.
    first : int
    width : float
        In the unit of the currents.
    """

    error: float
    first: int
    width: float


class Currents(NamedTuple):
    """Currents of one pair of slices, each different one once: float64 arrays.

    Attributes
    ----------
    values, weights : shape (n,)
        Sorted currents, and how much the square of each one's error counts.
    places : memoryview of float
        The values, for Python's `bisect`.
    below, above : memoryviews of float, shape (n + 1, 3)
        Sums of weights, weights times values and times their squares: of the first k currents, of those from k on.
    """

    values: Any
    weights: Any
    places: Any
    below: Any
    above: Any


def _sums(xp: Any, terms: Any) -> Any:
    zero = xp.zeros((1, 3), dtype=xp.float64)
    return xp.concat([zero, xp.cumulative_sum(terms, axis=0)], axis=0)


def weighted(values: Any, weights: Any) -> Currents:
    """Return `Currents` for a search.

    Parameters
    ----------
    values, weights : float64 arrays of NumPy, shape (n,)
    """
    xp = namespace(values)
    order = xp.argsort(values)
    values, weights = _distinct(xp, xp.take(values, order), xp.take(weights, order))
    if values.shape[0] > DISTINCT:
        values, weights = _distinct(xp, _grouped(xp, values), weights)
    terms = xp.stack([weights, weights * values, weights * values * values], axis=1)
    above = xp.asarray(xp.flip(_sums(xp, xp.flip(terms, axis=0)), axis=0), copy=True)
    # a number of a memoryview is a float at once; lists of as many would take longer to make than a search
    return Currents(values, weights, memoryview(values), memoryview(_sums(xp, terms)), memoryview(above))


def _distinct(xp: Any, values: Any, weights: Any) -> tuple[Any, Any]:
    # each of the sorted values once, with the sum of its weights
    ends = xp.nonzero(xp.concat([values[1:] != values[:-1], xp.ones((1,), dtype=xp.bool)]))[0]
    total = xp.concat([xp.zeros((1,), dtype=xp.float64), xp.take(xp.cumulative_sum(weights), ends)])
    return xp.take(values, ends), total[1:] - total[:-1]


def _grouped(xp: Any, values: Any) -> Any:
    # neighbours take the value in the middle of them; the outermost ones, which are clipped, stay as they are
    count, kept = values.shape[0], DISTINCT // 4
    step = -(-(count - 2 * kept) // (DISTINCT - 2 * kept))
    place = xp.arange(count - 2 * kept, dtype=xp.int64)
    middle = xp.clip(place // step * step + step // 2, None, count - 2 * kept - 1)
    return xp.concat([values[:kept], xp.take(values, kept + middle), values[count - kept :]])


def quantise(values: Any, codes: int, window: Window) -> Any:
    """Return currents as an ADC with `codes` codes in a window sees them."""
    # as xp.clip does, which asks more about its arguments
    xp, step = namespace(values), window.width / (codes - 1)
    found = xp.maximum(xp.round(values / step), float(window.first))
    return xp.minimum(found, float(window.first + codes - 1)) * step


def _clipped_energy(found: Currents, low: float, high: float) -> float:
    energy = 0.0
    for sums, k, end in (
        (found.below, bisect.bisect_left(found.places, low), low),
        (found.above, bisect.bisect_right(found.places, high), high),
    ):
        zeroth, first, second = sums[k, 0], sums[k, 1], sums[k, 2]
        energy += second - 2 * end * first + end * end * zeroth
    return energy


def first_code(found: Currents, step: float, codes: int) -> int:
    """Return the first code of the window that clips least: the clipped energy is convex in it."""
    least, most = float(found.places[0]), float(found.places[-1])
    low, high = round(least / step), round(most / step) - (codes - 1)
    if low >= high:
        # All values fit. Prefer a window from 0, else centred on 0, else on the data.
        first = 0 if least >= 0 else -(codes // 2)
        return first if first <= low and high <= first else (low + high) // 2
    while low < high:
        middle = (low + high) // 2
        here, there = (_clipped_energy(found, k * step, (k + codes - 1) * step) for k in (middle, middle + 1))
        low, high = (low, middle) if here <= there else (middle + 1, high)
    return low


def window_of(found: Currents, codes: int, width: float) -> Window:
    """Return the window of a width that clips least, with its error."""
    xp = namespace(found.values)
    window = Window(0.0, first_code(found, width / (codes - 1), codes), width)
    error = float(xp.sum(found.weights * (found.values - quantise(found.values, codes, window)) ** 2))
    return window._replace(error=error)


def _least_error(found: Currents, codes: int, widths: Iterable[float]) -> Window:
    # the best window of some widths, the widest first
    best = None
    for width in widths:
        window = window_of(found, codes, width)
        if best is None or window.error < best.error * (1 - CLOSE):
            best = window
        elif window.error > 100 * best.error > 0:
            break  # clipping dominates, and grows as the window narrows
    assert best is not None
    return best


def best_window(
    found: Currents, codes: int, full: float, *, free: bool = False, quantum: float | None = None
) -> Window:
    """Return the window of least squared error for some currents.

    Parameters
    ----------
    found : Currents
    codes : int
        Codes of the ADC.
    full : float
        Full range, in the unit of the currents.
    free : bool
        Whether the width may be any number; else it is `full` halved a number of times.
    quantum : float, optional
        Unit of the currents without noise. Steps that fit it have the least error, unless noise hides it.

    Examples
    --------
    >>> import numpy as np
    >>> values = np.random.default_rng(0).normal(size=60_000)
    >>> window = best_window(weighted(values, np.ones_like(values)), 256, 20.0, free=True)
    >>> 7.6 < window.width < 8.1  # 3.94 standard deviations on either side
    True
    """
    parts = FINE if free else 1
    best = _least_error(found, codes, [full * 2.0 ** (-k / parts) for k in range(NARROWEST * parts + 1)])
    if free:
        # the error has many minima where currents are whole numbers
        widths = [best.width * 2.0 ** (k / AROUND / 4) for k in range(-AROUND, AROUND + 1)]
        best = min(best, *(window_of(found, codes, width) for width in widths), key=lambda window: window.error)
    ratio = 2.0 ** (0.25 / AROUND)
    while free and ratio > 1.001:
        ratio **= 0.5
        near = _least_error(found, codes, (best.width * ratio, best.width / ratio))
        best = min(best, near, key=lambda window: window.error)
    if free and quantum is not None:
        steps = [quantum * k for k in range(FITTING, 1, -1)] + [quantum / k for k in range(1, FITTING + 1)]
        near = _least_error(found, codes, [step * (codes - 1) for step in steps])
        best = min(best, near, key=lambda window: window.error)
    return best


def covering_window(found: Currents, codes: int, full: float, percentile: float, *, free: bool = False) -> Window:
    """Return the window that covers a share of some currents.

    Parameters
    ----------
    found, codes, full, free
        As for `best_window`.
    percentile : float
        Share of the currents that it covers, %; it leaves out as many above as below.
    """
    left_out = (1 - percentile / 100) / 2 * found.below[-1, 0] * (1 + 1e-12)
    count = len(found.places)
    under = next(k for k in range(count) if found.below[k + 1, 0] > left_out or k == count - 1)
    over = next(k for k in range(count, 0, -1) if found.above[k - 1, 0] > left_out or k == 1)
    if over <= under:
        under, over = 0, count
    inner = weighted(found.values[under:over], found.weights[under:over])
    width = (inner.places[-1] - inner.places[0]) * (1 + 2 / codes)  # room for ends: zero is a code
    if width == 0 or width > full:
        width = full
    if not free:
        width = full * 2.0 ** math.ceil(max(math.log2(width / full), -NARROWEST))
    return window_of(inner, codes, width)

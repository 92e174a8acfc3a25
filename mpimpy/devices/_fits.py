"""Published fits of devices, as functions of the conductance, and what they make of a device with given levels.

Conductances are in uS here, as in the sources, but for the levels of a device and what comes out, which are in S.
"""

import bisect
import itertools
import math
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from ..config import Drift, Flicker, Gaussian, Relaxation
from ..config._variation import MAX_TABLES, UNITS

__all__ = ["cmo", "hermes", "pcm", "polynomial", "saturating", "sonos", "wan"]

Fit = Callable[[float], float]
# settings of a device, of its levels, S, and the spread, uS, of cells written to a conductance, uS; None: no such law
Extra = Callable[[Sequence[float], Fit | None], dict[str, Any]]
US = 1e-6  # S in a uS
DAY = UNITS["d"]


def polynomial(*coefficients: float, unit: float = 1.0) -> Fit:
    """Return a polynomial of ``G / unit``, lowest power first.

    Examples
    --------
    >>> polynomial(1.0, 2.0, unit=10.0)(5.0)
    2.0
    """

    def fit(conductance: float) -> float:
        return sum(c * (conductance / unit) ** power for power, c in enumerate(coefficients))

    return fit


def saturating(top: float, scale: float) -> Fit:
    """Return ``top (1 - exp(-G / scale))``."""
    return lambda conductance: -top * math.expm1(-conductance / scale)


def _clip(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _in_uS(levels_S: Sequence[float]) -> list[float]:
    return [g * 1e6 for g in levels_S]


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


# -- read noise by the conductance as programmed --------------------------------------------------

LOWEST = 0.008  # of HGS: what lies below has one strength
NEAR_0, BETWEEN = 1.5, 1.3  # ratios of neighbouring conductances, at most
MOST_LEVELS = 200  # that are conductances of the list themselves
CELLS = 4000  # quantiles of written cells, of all levels


def _conductances(levels: Sequence[float]) -> list[float]:
    # Where read noise is tabulated: at the levels, and between them where the ratio of two is large. Few tables: they
    # are what a read has to keep in its cache.
    top = levels[-1]
    some = levels if len(levels) <= MOST_LEVELS else [*levels[: -1 : len(levels) // 100], top]
    ends = [level for level in some if level > LOWEST * top]
    found, ratio = [], BETWEEN
    if levels[0] <= LOWEST * top:
        ends, ratio = [LOWEST * top, *ends], NEAR_0
    for low, high in itertools.pairwise(ends):
        parts = max(1, math.ceil(math.log(high / low) / math.log(ratio) - 1e-9))
        found += [low * (high / low) ** (part / parts) for part in range(parts)]
        ratio = BETWEEN
    return [*found, top][:MAX_TABLES]


def _flicker(levels: Sequence[float], spread: Fit | None, strength: Fit, times_s: tuple[float, float]) -> Flicker:
    # 1/f noise by classes of conductances. The strength of a class is that of its conductance, where cells are on their
    # levels; where they spread, the one with which its cells have the noise of their own strengths, root mean square:
    # so a few classes give the noise of a level within 1.5 % (see tests/devices/test_presets.py).
    places = _conductances(levels)
    noise, squares = ([0.0] * len(places) for _ in range(2))
    if spread is not None:
        bounds = [(low + high) / 2 for low, high in itertools.pairwise(places)]
        count = max(21, CELLS // len(levels))
        quantiles = [statistics.NormalDist().inv_cdf((n + 0.5) / count) for n in range(count)]
        for g in levels:
            width = spread(g)
            for z in quantiles:
                cell = max(0.0, g + width * z)
                place = bisect.bisect_right(bounds, cell)
                noise[place] += (cell * strength(cell)) ** 2 if cell else 0.0
                squares[place] += cell**2
    q = [math.sqrt(n / s) if s else strength(g) for g, n, s in zip(places, noise, squares, strict=True)]
    return Flicker(q, *times_s, conductance_S=[g * US for g in places])


# -- devices --------------------------------------------------------------------------------------


def pcm(levels_S: Sequence[float], spread: Fit | None) -> dict[str, Any]:
    """Drift and 1/f noise of phase-change memory by Nandakumar et al.; at G = 0, ends of the clipped ranges."""
    logs = [_log(g / 25e-6) for g in levels_S]
    nu = [_clip(-0.0155 * log + 0.0244, 0.049, 0.1) for log in logs]
    nu_spread = [_clip(-0.0125 * log - 0.0059, 0.008, 0.045) for log in logs]
    noise = _flicker(_in_uS(levels_S), spread, lambda g: min(0.0088 * (g / 25) ** -0.65, 0.2), (250e-9, 20.0))
    return {"drift": Drift(nu, nu_spread, t0_s=20.0), "var": noise}


def hermes(devices: int) -> Extra:
    """Drift and 1/f noise of the HERMES chip's cells, of one phase-change device or of two."""
    top, t0_s = (10.35, 200.0) if devices == 1 else (20.7, 300.0)

    def mean(g: float) -> float:
        low = _clip(-0.0387 * _log(g) - 0.0182, 0.0720, 0.13)
        return low if g < 0.0945 else polynomial(0.0736, -0.0126, -0.0436)(g)

    def nu_spread(g: float) -> float:
        if devices == 1:
            low, high = _clip(-0.0120 * _log(g) - 0.0023, 0.0124, 0.04), polynomial(0.0104, 0.0116, -0.0165)
            return low if g < 0.3039 else high(g)
        low, high = _clip(-0.0117 * _log(g) - 0.0057, 0.0091, 0.04), polynomial(0.0073, 0.0093, -0.0118)
        return low if g < 0.3055 else high(g)

    def strength(g: float) -> float:
        if devices == 1:
            low, high = _clip(-0.0078 * _log(g) + 0.0038, 0.0179, 0.04), polynomial(0.0088, 0.0768, -0.1352, 0.0664)
            return low if g < 0.1591 else high(g)
        low, high = _clip(-0.0117 * _log(g) - 0.0069, 0.015, 0.04), polynomial(0.0123, 0.0211, -0.0280, 0.0069)
        return low if g < 0.16 else high(g)

    def extra(levels_S: Sequence[float], spread: Fit | None) -> dict[str, Any]:
        levels = _in_uS(levels_S)
        drift = Drift([mean(g / top) for g in levels], [nu_spread(g / top) for g in levels], t0_s=t0_s)
        return {"drift": drift, "var": _flicker(levels, spread, lambda g: strength(g / top), (512e-9, t0_s))}

    return extra


def _relaxation(
    times_s: Sequence[float], sigma: Sequence[Sequence[float]], shift: Sequence[Sequence[float]] | None = None
) -> dict[str, Any]:
    # of spreads and shifts in uS, per time and level
    in_S = [[[number * US for number in row] for row in rows] for rows in (sigma, shift or ())]
    if not any(map(any, (*in_S[0], *in_S[1]))):
        return {}
    return {"relaxation": Relaxation(times_s, in_S[0], in_S[1] or 0.0)}


def _beside(late: float, early: float) -> float:
    # what is added, squared, to an early spread to make a late one
    return math.sqrt(max(0.0, late**2 - early**2))


def wan(early: Fit) -> Extra:
    """Relaxation of the NeuRRAM chip's cells: published spreads after 1 and 2 days, beside those after 1 s."""
    late = (
        polynomial(0.701, 22.086, -50.773, 47.095, -16.458, unit=40.0),
        polynomial(0.782, 20.274, -43.507, 37.062, -11.934, unit=40.0),
    )

    def extra(levels_S: Sequence[float], _: Fit | None) -> dict[str, Any]:
        levels = _in_uS(levels_S)
        spreads = [[_beside(fit(g), early(g)) for g in levels] for fit in late]
        return _relaxation((1.0, DAY, 2 * DAY), [[0.0] * len(levels), *spreads])

    return extra


def cmo(levels_S: Sequence[float], spread: Fit | None) -> dict[str, Any]:
    """Relaxation and 1/f noise of CMO/HfOx memory, by the logarithm of the time: two times hold the whole law."""
    levels, times, count = _in_uS(levels_S), (1.0, 10 * UNITS["y"]), len(levels_S)
    spreads = [[0.04201137 * math.log(t) + 0.41183342] * count for t in times]
    shifts = [[-0.08900206 * math.log(t)] * count for t in times]
    noise = _flicker(levels, spread, lambda g: 0.0277316483 * math.log10(g) / g, (1e-6, 1.0))
    return _relaxation(times, spreads, shifts) | {"var": noise}


# of a current in nA, which 0.1 V draws from 0.01 uS: shift of the mean after 1 to 5 days
_SONOS_SHIFTS = [
    list(map(float, row.split()))
    for row in (
        "6.83650e-1 6.51250e-3 -4.03163e-4 3.37944e-6 -1.87435e-8 5.88902e-11 -1.07685e-13 1.17751e-16 "
        "-7.60016e-20 2.67255e-23 -3.94954e-27",
        "6.60925e-1 8.60627e-3 -1.72936e-4 7.44096e-7 -5.94866e-9 2.36734e-11 -4.83740e-14 5.56072e-17 "
        "-3.65397e-20 1.28405e-23 -1.87450e-27",
        "1.15821 1.96116e-2 -4.70807e-4 3.67510e-6 -2.08786e-8 6.59752e-11 -1.19499e-13 1.28435e-16 "
        "-8.11574e-20 2.78802e-23 -4.02057e-27",
        "8.72216e-1 1.70926e-2 -2.23370e-4 1.57526e-6 -1.32779e-8 5.08256e-11 -1.01251e-13 1.14633e-16 "
        "-7.46124e-20 2.60559e-23 -3.78724e-27",
        "1.15294 1.03149e-2 -6.05199e-5 1.76086e-8 -6.46690e-9 3.39044e-11 -7.53872e-14 8.98185e-17 "
        "-6.00346e-20 2.12615e-23 -3.11099e-27",
    )
]
# of their spreads: A and B of A (1 - exp(-I / B)), nA, as programmed and after 1 to 5 days
_SONOS_SPREADS = (
    (19.88665, 176.3115),
    (25.59102, 186.85544),
    (28.72753, 193.56834),
    (31.04318, 198.90332),
    (33.76214, 204.77023),
    (34.57909, 207.34309),
)
PER_NA = 0.01  # uS


def sonos(levels_S: Sequence[float], _: Fit | None) -> dict[str, Any]:
    """Shift and spread of charge-trapping memory from 1 to 5 days, by the current that was written."""
    currents = [g / PER_NA for g in _in_uS(levels_S)]
    shifts = [[polynomial(*row)(current) for current in currents] for row in _SONOS_SHIFTS]
    written = saturating(*_SONOS_SPREADS[0])
    spreads = [
        [_beside(saturating(*pair)(current), written(current)) for current in currents] for pair in _SONOS_SPREADS[1:]
    ]
    noise = Gaussian([saturating(12.58037, 215.36557)(current) * PER_NA * US for current in currents])
    in_uS = [[[number * PER_NA for number in row] for row in rows] for rows in (spreads, shifts)]
    return _relaxation([day * DAY for day in range(1, 6)], *in_uS) | {"var": noise}

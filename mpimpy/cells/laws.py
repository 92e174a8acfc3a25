"""Laws of a device as quantile tables: the distribution of each random effect, for each level."""

import itertools
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .. import noise
from .._caches import bounded
from ..config import Device, Drift, Flicker, Gaussian, Relaxation, Samples

__all__ = [
    "Law",
    "aged_reference",
    "ages",
    "device_bytes",
    "drift",
    "grid_positions",
    "known_until",
    "mean_factor",
    "moves_in_time",
    "read",
    "relaxation",
    "shift_units",
    "spreads",
    "write",
]

PerLevel = float | tuple[float, ...]  # one number for all levels, or one per level
NUMBER_BYTES = 32  # a float in a tuple
Variation = PerLevel | Gaussian | Samples | Flicker


class Law(NamedTuple):
    """Distribution of a random effect on cells; see `mpimpy.backends.reference.perturb`.

    Attributes
    ----------
    table : bytes
        Packed quantile tables, one after the other.
    per_level : bool
        There is a table for every level, or for every class of conductances, instead of one for all.
    additive : bool
        The tables hold numbers to add, in grid units, instead of factors.
    bounds : tuple of int or None
        The lowest conductance of each class but the first, in grid units above LGS. None: tables are of levels.
    """

    table: bytes
    per_level: bool
    additive: bool
    bounds: tuple[int, ...] | None = None


def grid_positions(device: Device, fraction: int) -> tuple[int, ...] | None:
    """Return the distances of the levels from LGS, in grid units; None for evenly spaced levels.

    Examples
    --------
    >>> from mpimpy import Device
    >>> grid_positions(Device(levels=[1e-6, 2e-6, 5e-6]), 4)
    (0, 8, 32)
    """
    return None if device.positions is None else tuple(round(at * 2**fraction) for at in device.positions)


def _make_law(values: PerLevel, make_table: Callable[[float], bytes], *, additive: bool = False) -> Law:
    # a law from a number, or from a number per level
    if isinstance(values, tuple):
        tables = {value: make_table(value) for value in set(values)}
        return Law(b"".join(tables[value] for value in values), True, additive)
    return Law(make_table(values), False, additive)


def _offsets(samples: Samples, device: Device, fraction: int, centre: bool) -> list[list[int]]:
    # deviations of the samples of each level, in whole grid units
    unit = device.grid_unit_S(fraction)
    positions = grid_positions(device, fraction) or [level << fraction for level in range(device.g_level)]
    about = samples.about_S or (samples.means_S if centre else None)
    rows = []
    for level, row in enumerate(samples.conductance_S):
        if about is None:
            rows.append([round((g - device.LGS) / unit) - positions[level] for g in row])
        else:
            rows.append([round((g - about[level]) / unit) for g in row])
    return rows


def _bounds(flicker: Flicker, device: Device, fraction: int) -> tuple[int, ...]:
    # Half way between neighbours, which the upper one has. A millionth of a unit is rounding.
    places, unit = flicker.conductance_S or (), device.grid_unit_S(fraction)
    return tuple(math.ceil(((low + high) / 2 - device.LGS) / unit - 1e-6) for low, high in itertools.pairwise(places))


def _law(kind: Variation, device: Device, fraction: int, time_s: float | None, centre: bool) -> Law:
    if isinstance(kind, Gaussian):
        unit = device.grid_unit_S(fraction)
        return _make_law(kind.sigma_S, lambda sigma: noise.offset_table(sigma / unit), additive=True)
    if isinstance(kind, Samples):
        rows = _offsets(kind, device, fraction, centre)
        return Law(b"".join(map(noise.sample_table, rows)), True, True)
    if isinstance(kind, Flicker):
        flicker, at_s = kind, kind.t0_s if time_s is None else time_s
        law = _make_law(flicker.q, lambda q: noise.noise_table(flicker.sigma(q, at_s)))
        return law if flicker.conductance_S is None else law._replace(bounds=_bounds(flicker, device, fraction))
    return _make_law(kind, noise.lognormal_table)


def device_bytes(device: Device) -> int:
    """Return about the bytes that a device holds: of measured samples, for the most part."""
    kinds = [kind for kind in (device.var, device.write_var) if isinstance(kind, Samples)]
    return 1024 + sum(NUMBER_BYTES * sum(kind.counts) for kind in kinds)


def _law_bytes(law: Law | None, device: Device, *_: object) -> int:
    return device_bytes(device) + (0 if law is None else len(law.table))


@bounded(8, _law_bytes)
def write(device: Device, fraction: int) -> Law | None:
    """Return the law of the write variation on a grid of ``2**fraction`` units a level, or None."""
    return None if device.write_var == 0 else _law(device.write_var, device, fraction, None, False)


@bounded(8, _law_bytes)
def read(device: Device, fraction: int, time_s: float | None = None) -> Law | None:
    """Return the law of the read variation at a time after programming (None: not aged), or None."""
    if device.var == 0:
        return None
    if time_s is not None and not isinstance(device.var, Flicker):
        return read(device, fraction, None)  # the same at all times
    return _law(device.var, device, fraction, time_s, True)


def mean_factor(law: Drift, time_s: float, level: int) -> float:
    """Return the drift factor G(t) / G(t0) of a cell with the mean exponent of its level."""
    nu = law.nu[level] if isinstance(law.nu, tuple) else law.nu
    return math.exp(-nu * math.log(time_s / law.t0_s))


@bounded(4, lambda law, *_: len(law.table))
def drift(law: Drift, levels: int, time_s: float) -> Law:
    """Distribution of the drift factor G(t) / G(t0).

    Parameters
    ----------
    law : mpimpy.Drift
    levels : int
        Number of levels of the device.
    time_s : float
        Time since programming, s.
    """
    nu, spread, log_time = law.nu, law.nu_spread, math.log(time_s / law.t0_s)
    if not isinstance(nu, tuple) and not isinstance(spread, tuple):
        return Law(noise.decay_table(nu, spread, log_time), False, False)
    exponents = tuple(zip(_per_level(nu, levels), _per_level(spread, levels), strict=True))
    tables = {exponent: noise.decay_table(*exponent, log_time) for exponent in set(exponents)}
    return Law(b"".join(tables[exponent] for exponent in exponents), True, False)


def shift_units(device: Device, fraction: int, time_s: float, level: int) -> int:
    """Return how far the cells of a level have shifted by relaxation, on the average, in grid units."""
    if device.relaxation is None:
        return 0
    return round(device.relaxation.at(time_s, level)[1] / device.grid_unit_S(fraction))


def aged_reference(device: Device, fraction: int, time_s: float) -> int:
    """Return the mean conductance of the reference column's cells at a time after programming, in grid units."""
    if device.drift is not None:
        return round(device.rho * (1 << fraction) * mean_factor(device.drift, time_s, 0))
    return max(0, round(device.rho * (1 << fraction)) + shift_units(device, fraction, time_s, 0))


@bounded(4, lambda law, *_: len(law.table))
def relaxation(device: Device, fraction: int, time_s: float) -> Law:
    """Return the distribution of what relaxation adds to a cell, in grid units above the aged reference column.

    Parameters
    ----------
    device : Device
        One that relaxes.
    fraction : int
        A level is ``2**fraction`` grid units.
    time_s : float
        Time since programming, s, in the range of the device's relaxation.
    """
    law, unit = device.relaxation, device.grid_unit_S(fraction)
    assert law is not None
    base = aged_reference(device, fraction, time_s) - round(device.rho * (1 << fraction))
    levels = range(device.g_level if law.level_count is not None else 1)
    numbers = [law.at(time_s, level) for level in levels]
    tables = {one: noise.offset_table(one[0] / unit, one[1] / unit - base) for one in set(numbers)}
    return Law(b"".join(tables[one] for one in numbers), len(numbers) > 1, True)


def ages(device: Device) -> float | None:
    """Return the earliest time that a device may be aged to, s; None for a device that time does not change."""
    times = [device.drift.t0_s] if device.drift is not None else []
    times += [device.relaxation.times_s[0]] if device.relaxation is not None else []
    times += [device.var.t0_s] if isinstance(device.var, Flicker) else []
    return max(times, default=None)


def moves_in_time(device: Device) -> bool:
    """Return whether cells drift or relax."""
    return device.drift is not None or device.relaxation is not None


def known_until(device: Device) -> float:
    """Return the latest time that a device may be aged to, s."""
    return math.inf if device.relaxation is None else device.relaxation.times_s[-1]


def _per_level(value: PerLevel, levels: int) -> tuple[float, ...]:
    return value if isinstance(value, tuple) else (value,) * levels


def _smallest_factor_spread(sigmas: PerLevel, device: Device, places: Sequence[float] | None = None) -> list[float]:
    # In levels, of factors with relative spreads `sigmas`, by default of the levels; what is below level 1 counts as
    # level 1; empty for no spread.
    if not isinstance(sigmas, tuple):
        return [sigmas * (1 + device.rho)] if sigmas else []
    at = places or device.positions or range(device.g_level)
    found = [sigma * (max(1.0, level) + device.rho) for sigma, level in zip(sigmas, at, strict=True) if sigma]
    return [min(found)] if found else []


def _smallest_spread(kind: Variation, device: Device, centre: bool) -> list[float]:
    # in levels, of a kind of variation; empty for no spread
    if isinstance(kind, Gaussian):
        sigmas = kind.sigma_S if isinstance(kind.sigma_S, tuple) else (kind.sigma_S,)
        return [min(sigma for sigma in sigmas if sigma) / device.step_S]
    if isinstance(kind, Samples):
        spreads_S = [spread for spread in kind.spreads_S if spread > 0]
        if not spreads_S:  # every level misses by a number of its own
            rows = _offsets(kind, device, noise.MAX_FRACTION, centre)
            spreads_S = [abs(row[0]) * device.grid_unit_S(noise.MAX_FRACTION) for row in rows if row[0]]
        return [min(spreads_S) / device.step_S] if spreads_S else []
    if isinstance(kind, Flicker):
        sigmas = tuple(kind.sigma(q, kind.t0_s) for q in _per_level(kind.q, device.g_level))
        places = [(g - device.LGS) / device.step_S for g in kind.conductance_S or ()]
        return _smallest_factor_spread(sigmas, device, places)
    return _smallest_factor_spread(kind, device)


def _smallest_relaxation_S(law: Relaxation) -> list[float]:
    # the largest spread of all times, or shift, of the level where that is smallest but not 0
    for rows in (law.sigma_S, law.shifts_S):
        levels = range(law.level_count or 1)
        largest = [max(abs(row[level] if isinstance(row, tuple) else row) for row in rows) for level in levels]
        if any(largest):
            return [min(filter(None, largest))]
    return []


@bounded(256, lambda _, device: device_bytes(device))
def spreads(device: Device) -> tuple[float, ...]:
    """Return the smallest spread, in levels, that each law of a device gives a cell.

    Lognormal factors, drift and read noise: the spread at level 1 or above; for drift, that of the
    exponent, or the exponent itself if it has none. Additive laws: the smallest of any level.
    Relaxation: the largest of all times, of the level where that is smallest; without spreads, likewise the shift.
    Write-verify: its tolerance. Uneven levels: their deviation from even ones, root mean square.
    """
    found = [*_smallest_spread(device.var, device, True), *_smallest_spread(device.write_var, device, False)]
    if device.drift is not None:
        nu, nu_spread = device.drift.nu, device.drift.nu_spread
        found += _smallest_factor_spread(nu_spread, device) or _smallest_factor_spread(nu, device)
    if device.relaxation is not None:
        found += [number / device.step_S for number in _smallest_relaxation_S(device.relaxation)]
    if device.verify is not None:
        found.append(device.verify.tolerance_S / device.step_S)
    if device.positions is not None:
        squares = [(at - level) ** 2 for level, at in enumerate(device.positions)]
        found.append(math.sqrt(math.fsum(squares) / len(squares)))
    return tuple(found)

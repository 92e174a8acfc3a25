"""The laws of a device as quantile tables: what a word of the generator does to a cell of each level."""

import functools
import math
from typing import NamedTuple

from .. import noise
from ..config import Flicker, Gaussian, Samples

__all__ = ["Law", "ages", "drift", "grid_positions", "mean_factor", "read", "spreads", "write"]


class Law(NamedTuple):
    """What perturbs cells; see `mpimpy.backends.reference.perturb`.

    Attributes
    ----------
    table : bytes
        Packed quantile tables, one after the other.
    per_level : bool
        There is a table for every level, instead of one for all.
    additive : bool
        The tables hold numbers to add, in grid units, instead of factors.
    """

    table: bytes
    per_level: bool
    additive: bool


def grid_positions(device, fraction):
    """Return where the levels sit above LGS, in grid units, a tuple of int; None where evenly spaced.

    Examples
    --------
    >>> from mpimpy import Device
    >>> grid_positions(Device(levels=[1e-6, 2e-6, 5e-6]), 4)
    (0, 8, 32)
    """
    return None if device.positions is None else tuple(round(at * 2**fraction) for at in device.positions)


def _many(per_level, make):
    # a law from a number, or one from a number per level
    if isinstance(per_level, tuple):
        made = {value: make(value) for value in set(per_level)}
        return b"".join(made[value] for value in per_level), True
    return make(per_level), False


def _offsets(samples, device, fraction, centre):
    # whole numbers of grid units by which the samples of each level deviate
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


def _law(kind, device, fraction, time_s, centre):
    if isinstance(kind, Gaussian):
        unit = device.grid_unit_S(fraction)
        table, per_level = _many(kind.sigma_S, lambda sigma: noise.offset_table(sigma / unit))
        return Law(table, per_level, True)
    if isinstance(kind, Samples):
        rows = _offsets(kind, device, fraction, centre)
        return Law(b"".join(map(noise.sample_table, rows)), True, True)
    if isinstance(kind, Flicker):
        time_s = kind.t0_s if time_s is None else time_s
        return Law(*_many(kind.q, lambda q: noise.noise_table(kind.sigma(q, time_s))), False)
    return Law(*_many(kind, noise.lognormal_table), False)


@functools.lru_cache(maxsize=8)
def write(device, fraction):
    """Return the law of the write variation on a grid of ``2**fraction`` units a level, or None."""
    return None if device.write_var == 0 else _law(device.write_var, device, fraction, None, False)


@functools.lru_cache(maxsize=8)
def read(device, fraction, time_s=None):
    """Return the law of the read variation at a time after programming (None: not aged), or None."""
    return None if device.var == 0 else _law(device.var, device, fraction, time_s, True)


def mean_factor(device, time_s, level):
    """Return what a time leaves of a conductance that drifts with the mean exponent of its level."""
    nu = device.drift.nu
    nu = nu[level] if isinstance(nu, tuple) else nu
    return math.exp(-nu * math.log(time_s / device.drift.t0_s))


@functools.lru_cache(maxsize=4)
def drift(device, time_s):
    """Return the law of what a time leaves of a conductance."""
    nu, spread, log_time = device.drift.nu, device.drift.nu_spread, math.log(time_s / device.drift.t0_s)
    if isinstance(nu, tuple) or isinstance(spread, tuple):
        both = tuple(zip(_levels(nu, device), _levels(spread, device), strict=True))
        return Law(*_many(both, lambda pair: noise.decay_table(*pair, log_time)), False)
    return Law(noise.decay_table(nu, spread, log_time), False, False)


def ages(device):
    """Return the earliest time that a device may be aged to, s, or None where time changes nothing."""
    times = [device.drift.t0_s] if device.drift is not None else []
    times += [device.var.t0_s] if isinstance(device.var, Flicker) else []
    return max(times, default=None)


def _levels(value, device):
    return value if isinstance(value, tuple) else (value,) * device.g_level


def _relative(value, device):
    # the smallest spread, in levels, of factors with spread `value`; level 0 counts as level 1
    if not isinstance(value, tuple):
        return [value * (1 + device.rho)] if value else []
    at = device.positions or range(device.g_level)
    found = [sigma * (max(1.0, place) + device.rho) for sigma, place in zip(value, at, strict=True) if sigma]
    return [min(found)] if found else []


def _one(kind, device, centre):
    if isinstance(kind, Gaussian):
        sigmas = kind.sigma_S if isinstance(kind.sigma_S, tuple) else (kind.sigma_S,)
        return [min(sigma for sigma in sigmas if sigma) / device.step_S]
    if isinstance(kind, Samples):
        levels = [spread for spread in kind.spreads_S if spread > 0]
        if not levels:  # levels that always miss by the same
            rows = _offsets(kind, device, noise.MAX_FRACTION, centre)
            levels = [abs(row[0]) * device.grid_unit_S(noise.MAX_FRACTION) for row in rows if row[0]]
        return [min(levels) / device.step_S] if levels else []
    if isinstance(kind, Flicker):
        return _relative(tuple(kind.sigma(q, kind.t0_s) for q in _levels(kind.q, device)), device)
    return _relative(kind, device)


@functools.lru_cache(maxsize=256)
def spreads(device):
    """Return the smallest spread, in levels, that each law of a device gives a cell.

    Of lognormal factors, drift and read noise that is the spread at level 1 or above; of drift, the
    spread of its exponent (the exponent itself where that has none); of additive laws, the smallest
    of any level; of write-verify, its tolerance; of uneven levels, their deviation from even ones,
    root mean square.
    """
    found = [*_one(device.var, device, True), *_one(device.write_var, device, False)]
    if device.drift is not None:
        found += _relative(device.drift.nu_spread, device) or _relative(device.drift.nu, device)
    if device.verify is not None:
        found.append(device.verify.tolerance_S / device.step_S)
    if device.positions is not None:
        squares = [(at - level) ** 2 for level, at in enumerate(device.positions)]
        found.append(math.sqrt(math.fsum(squares) / len(squares)))
    return tuple(found)

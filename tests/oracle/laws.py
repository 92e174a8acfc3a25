"""The laws of a device: spreads of its cells in levels, and the grid that they need."""

from fractions import Fraction
from math import log


def each(value, levels):
    return list(value) if isinstance(value, tuple) else [value] * levels


def fraction_for(spreads):
    need = [s for s in spreads if s > 0]
    return (
        next(f for f in range(17) if f == 16 or all(Fraction(1, 2**f) <= Fraction(s) / 32 for s in need)) if need else 0
    )


def spread(row):
    mean = sum(map(Fraction, row)) / len(row)
    return float(sum((Fraction(g) - mean) ** 2 for g in row) / len(row)) ** 0.5


def spreads_of(device, places, step, rho):
    """The smallest spread, in levels, of each law of a device."""
    count = device.g_level

    def factors(sigmas, places=places):
        if isinstance(sigmas, tuple):
            return [s * (max(1.0, at) + rho) for s, at in zip(sigmas, places, strict=True) if s]
        return [sigmas * (1 + rho)] if sigmas else []

    found = []
    for law in (device.var, device.write_var):
        kind = type(law).__name__
        if kind == "Gaussian":
            found.append(min(s for s in each(law.sigma_S, count) if s) / step)
        elif kind == "Samples":
            found += [min(spread(row) for row in law.conductance_S if spread(row)) / step]
        elif kind == "Flicker":
            at = [(g - device.LGS) / step for g in law.conductance_S] if law.conductance_S else places
            found.append(min(factors(tuple(flicker(q, law, law.t0_s) for q in each(law.q, len(at))), at)))
        else:
            found += sorted(factors(law))[:1]
    if device.drift is not None:
        found += (sorted(factors(device.drift.nu_spread)) or sorted(factors(device.drift.nu)))[:1]
    if device.relaxation is not None:
        for moves in (0, 1):
            most = [max(abs(relaxed(device, t, n)[moves]) for t in device.relaxation.times_s) for n in range(count)]
            if any(most):
                found.append(min(m for m in most if m) / step)
                break
    if device.verify is not None:
        found.append(device.verify.tolerance_S / step)
    if device.levels is not None and any(abs(at - n) > 1e-9 * (count - 1) for n, at in enumerate(places)):
        found.append((sum((at - n) ** 2 for n, at in enumerate(places)) / count) ** 0.5)
    return found


def relaxed(device, time_s, level):
    """Spread and shift of a level, S: linear in the logarithm of the time."""
    law = device.relaxation
    numbers = [
        [each(row, level + 1)[level] for row in rows] for rows in (law.sigma_S, law.shift_S or [0.0] * len(law.times_s))
    ]
    for n, (early, late) in enumerate(zip(law.times_s, law.times_s[1:], strict=False)):
        if early <= time_s <= late:
            part = log(time_s / early) / log(late / early)
            return [
                row[n] if part == 0 else row[n + 1] if part == 1 else row[n] + (row[n + 1] - row[n]) * part
                for row in numbers
            ]
    raise AssertionError


def flicker(q, law, time_s):
    return q * log((time_s + law.t_read_s) / (2 * law.t_read_s)) ** 0.5

"""What cells hold: written, stuck, aged and read, cell by cell, and the reference columns beside them."""

from math import ceil, exp, fsum, log
from statistics import NormalDist

from mpimpy import noise

from .addresses import factor, reference_key, word
from .formats import digits, widths
from .laws import each, flicker, relaxed


def stride_of(config):
    """Levels of digit 1, by slice of the weights."""
    return [(config.device.g_level - 1) // (2**b - 1) for b in widths(config.weights)]


class Cells:
    """The cells of weights with `codes`, on a grid of `f` bits.

    A cell is (key, index, k, n, level): slices are counted over planes and pairs, and the level is the one that is
    written. All conductances are in grid units above those of LGS, as it is then.
    """

    def __init__(self, config, codes, f, address, time_s=None, faults=None):
        self.config, self.device, self.codes, self.f = config, config.device, codes, f
        (self.seed, self.chip, self.read), self.time_s, self.faults = address, time_s, faults
        device, levels = config.device, config.device.g_level - 1
        self.levels, self.step = levels, (device.HGS - device.LGS) / levels
        self.unit, self.rho = self.step / 2**f, device.LGS / self.step
        at = [(g - device.LGS) / self.step for g in device.levels] if device.levels else list(range(levels + 1))
        self.exact_places, self.places = at, [round(place * 2**f) for place in at]
        self.reference, self.bound = round(self.rho * 2**f), 2 * levels * 2**f
        self.slices, self.v = len(widths(config.weights)), stride_of(config)
        self.cells_of_digit = 2 if config.weights.mapping == "signed" else 1
        self.drifts = time_s is not None and device.drift is not None
        self.relaxes = time_s is not None and device.relaxation is not None
        self.now = self.reference
        if self.drifts:
            self.log_time = log(time_s / device.drift.t0_s)
            self.now = round(self.rho * 2**f * exp(-each(device.drift.nu, 1)[0] * self.log_time))
        if self.relaxes:
            self.now = max(0, self.reference + round(relaxed(device, time_s, 0)[1] / self.unit))
        offset = config.weights.mapping == "offset"
        self.unit_level = 2 ** (widths(config.weights)[-1] - 1) * self.v[-1] if offset else 0
        # ideal columns drift as the mean does; so do real ones that nothing else moves
        real = config.tile.reference == "cells" and self.cells_of_digit == 1
        self.real = real and any(map(self.moves, {0, self.unit_level}))
        self.unit_cell = self.ideal_unit() if offset else 0
        self.drawn = {}

    def each(self, value, level):
        return each(value, self.levels + 1)[level]

    def clip(self, value):
        return min(max(value, -self.bound), self.bound)

    # -- one cell ------------------------------------------------------------------------------

    def of_weight(self, plane, one, j, k, n):
        """One of the cells of a digit: the first, or the second of a pair (1)."""
        digit = digits(self.codes[plane][k][n], self.config.weights)[j]
        return self.seed, self.index_of(plane, one, j), k, n, max(0, -digit if one else digit) * self.v[j]

    def index_of(self, plane, one, j):
        return (plane * self.cells_of_digit + one) * self.slices + j

    def stuck(self, key, index, k, n, level):
        """1 at HGS, -1 at LGS, 0 for a sound cell."""
        device, chip = self.device, self.chip
        if key == self.seed and self.faults is not None and self.faults[index][k][n]:
            return self.faults[index][k][n]
        draw = word(key, chip, 0, noise.STUCK, index, k, n) << 16 | word(key, chip, 0, noise.STUCK_FINE, index, k, n)
        if draw < round(device.stuck_HGS * 2**32):
            return 1
        return -1 if draw < round(device.stuck_HGS * 2**32) + round(device.stuck_LGS * 2**32) else 0

    def disturb(self, law, value, level, draw, base, centre, when):
        """What a word makes of a cell: `base` is what LGS is now."""
        z = NormalDist().inv_cdf((draw + 0.5) / 65536)
        kind = type(law).__name__
        if kind == "Gaussian":
            value += round(self.each(law.sigma_S, level) / self.unit * z)
        elif kind == "Samples":
            row = law.conductance_S[level]
            about = law.about_S[level] if law.about_S else fsum(row) / len(row)
            g = row[(2 * draw + 1) * len(row) // 131072]
            if centre or law.about_S:
                value += round((g - about) / self.unit)
            else:
                value += round((g - self.device.LGS) / self.unit) - self.places[level]
        else:
            if kind == "Flicker":
                sigma = flicker(self.each(law.q, level), law, law.t0_s if when is None else when)
                t = round(max(0.0, 1 + sigma * z) * 65536)
            else:
                t = factor("lognormal", self.each(law, level), draw)
            return self.clip(((value + base) * t + 2**15 >> 16) - base)
        return min(max(value, -base, -self.bound), self.bound)

    def written(self, key, index, k, n, level):
        device, goal = self.device, self.places[level]
        where = self.stuck(key, index, k, n, level)
        if where:
            return self.levels * 2**self.f if where > 0 else 0
        if device.write_var == 0:
            return goal
        for pulse in range(1 if device.verify is None else device.verify.pulses):
            draw = word(key, self.chip, pulse, noise.WRITE, index, k, n)
            value = self.disturb(device.write_var, goal, level, draw, self.reference, False, None)
            if device.verify and abs(value - goal) <= int(device.verify.tolerance_S / self.step * 2**self.f):
                break
        return value

    def aged(self, key, index, k, n, level):
        value = self.written(key, index, k, n, level)
        if not self.relaxes and not self.drifts:
            return value
        rise = self.reference - self.now
        if self.stuck(key, index, k, n, level):
            return min(value + rise, self.bound)
        if self.relaxes:
            spread, shift = relaxed(self.device, self.time_s, level)
            draw = word(noise.derive(key, "relaxation"), self.chip, 0, noise.DRIFT, index, k, n)
            move = round(spread / self.unit * NormalDist().inv_cdf((draw + 0.5) / 65536) + shift / self.unit + rise)
            return min(max(value + move, -self.now, -self.bound), self.bound)
        z = NormalDist().inv_cdf((word(key, self.chip, 0, noise.DRIFT, index, k, n) + 0.5) / 65536)
        nu, wide = (self.each(value, level) for value in (self.device.drift.nu, self.device.drift.nu_spread))
        t = round(exp(-max(0.0, nu + wide * z) * self.log_time) * 65536)
        return self.clip(((value + self.reference) * t + 2**15 >> 16) - self.now)

    def cell(self, key, index, k, n, level):
        """As a read meets it."""
        law, value = self.device.var, self.aged(key, index, k, n, level)
        if law == 0:
            return value
        at = {1: self.levels, -1: 0, 0: level}[self.stuck(key, index, k, n, level)]
        if getattr(law, "conductance_S", None) and type(law).__name__ == "Flicker":
            ends = [(a + b) / 2 for a, b in zip(law.conductance_S, law.conductance_S[1:], strict=False)]
            bounds = [ceil((end - self.device.LGS) / self.unit - 1e-6) for end in ends]
            at = sum(self.written(key, index, k, n, level) >= bound for bound in bounds)
        draw = word(key, self.chip, self.read, noise.READ, index, k, n)
        return self.disturb(law, value, at, draw, self.now, True, self.time_s)

    # -- one digit -----------------------------------------------------------------------------

    def together(self, plane, j, k, n):
        """The cells of a digit, less what stands beside them."""
        value, last = self.cell(*self.of_weight(plane, 0, j, k, n)), j == self.slices - 1
        if self.cells_of_digit == 2:
            return self.clip(value - self.cell(*self.of_weight(plane, 1, j, k, n)))
        if self.real:
            return self.clip(value - self.beside(self.index_of(plane, 0, j), j, k, n // self.config.tile.cols))
        return self.clip(value - self.unit_cell) if last and self.config.weights.mapping == "offset" else value

    def moves(self, level):
        """Whether anything moves a cell of a level."""
        device, some = self.device, self.places[level] + self.reference > 0
        found = [device.stuck_HGS > 0]
        found.append(device.stuck_LGS > 0 and (level > 0 or bool(device.drift or device.relaxation)))
        found.append(bool(device.relaxation) and any(self.each(s, level) > 0 for s in device.relaxation.sigma_S))
        found.append(device.drift is not None and self.each(device.drift.nu_spread, level) > 0 and some)
        for law in (device.var, device.write_var):
            kind = type(law).__name__
            if kind == "Gaussian":
                found.append(round(self.each(law.sigma_S, level) / self.unit * 4) > 0)
            elif kind == "Samples":
                row, centre = law.conductance_S[level], law is device.var
                about = law.about_S[level] if law.about_S else fsum(row) / len(row)
                about = about if centre or law.about_S else device.LGS + self.places[level] * self.unit
                found.append(any(round((g - about) / self.unit) for g in row))
            elif getattr(law, "conductance_S", None):
                found.append(some and max(law.q) > 0)
            else:
                found.append(some and self.each(law.q if kind == "Flicker" else law, level) > 0)
        return any(found)

    def beside(self, index, j, k, array):
        """The mean of the reference cells of a row."""
        if (index, k, array) not in self.drawn:
            count, level = self.config.tile.reference_columns, self.unit_level if j == self.slices - 1 else 0
            key = reference_key(self.seed)
            total = sum(self.cell(key, index, k, array * count + c, level) for c in range(count))
            self.drawn[index, k, array] = (2 * total + count) // (2 * count)
        return self.drawn[index, k, array]

    def ideal_unit(self):
        """The cell of an ideal unit column, which ages as the mean of its level does."""
        level, at = self.unit_level, self.exact_places[self.unit_level]
        if self.relaxes:
            shift = round(relaxed(self.device, self.time_s, level)[1] / self.unit)
            return max(0, round(at * 2**self.f) + self.reference + shift) - self.now
        if self.drifts:
            factor_now = exp(-self.each(self.device.drift.nu, level) * self.log_time)
            return round((at + self.rho) * 2**self.f * factor_now) - self.now
        return self.places[level]

    def compensation(self, where):
        """What all cells held before they aged, over what they hold: of digits (plane, j, k, n)."""
        cells = [self.of_weight(p, one, *rest) for p, *rest in where for one in range(self.cells_of_digit)]
        before = sum(self.written(*cell) + self.reference for cell in cells)
        after = sum(self.aged(*cell) + self.now for cell in cells)
        return before / after if after else 1.0

"""What happened to a programmed matrix: the pulses that wrote it, and the time that went by."""

import copy
import math
from dataclasses import dataclass
from typing import Any

from ..arrays import namespace
from ..cells import laws, memristors
from ..checks import as_bool
from ..config._variation import UNITS, seconds
from ..crossbar import product as crossbar

__all__ = ["Age", "Programming", "aged", "programming"]


@dataclass(frozen=True)
class Programming:
    """What verified writing took, and what it achieved.

    Attributes
    ----------
    pulses : int32 array, shape (slices, K, N)
        Pulses that each cell took; most significant slice first, as `CrossbarMatrix.conductance`.
    failures : int
        Cells that are beyond the tolerance after the last pulse.
    error_S : float
        Root mean square of the cells' distances from their levels, S.
    """

    pulses: Any
    failures: int
    error_S: float

    def __str__(self):
        cells = math.prod(self.pulses.shape)
        xp = namespace(self.pulses)
        mean, most = float(xp.sum(self.pulses)) / cells, int(xp.max(self.pulses))
        return (
            f"{cells} cells, {mean:.3g} pulses each on average and at most {most}, "
            f"{self.failures} beyond the tolerance, error {self.error_S:.3g} S rms"
        )


@dataclass(frozen=True)
class Age:
    """When an aged matrix is read.

    Attributes
    ----------
    time_s : float
        Time since programming, s.
    compensate : bool
        Whether products are multiplied by `ratio`.
    ratio : float
        Total conductance as programmed, over what it is now.
    """

    time_s: float
    compensate: bool
    ratio: float

    def __str__(self):
        unit = next((unit for unit in ("y", "d", "h") if self.time_s >= UNITS[unit]), "s")
        how = f"outputs multiplied by {self.ratio:.6g}" if self.compensate else "not compensated"
        return f"{self.time_s / UNITS[unit]:.6g} {unit} after programming, {how}"


def programming(matrix):
    """Return the `Programming` of a matrix, None if writing was not verified; see `CrossbarMatrix.programming`."""
    written = (matrix.fresh or matrix).written
    if written is None or written.pulses is None:
        return None
    of, grid = matrix.config.device, crossbar.make_grid(matrix.config)
    miss = memristors.deviation(of, grid, written.cells, crossbar.targets(matrix.config, matrix.encoded))
    xp = namespace(miss)
    failures = int(xp.sum(xp.astype(xp.abs(miss) > memristors.tolerance_units(of, grid), xp.int64)))
    mean = float(xp.mean(xp.astype(miss, xp.float64) ** 2))
    return Programming(matrix.per_slice(written.pulses), failures, mean**0.5 * of.grid_unit_S(grid.fraction))


def aged(matrix, t, compensate):
    """Return a matrix as it is at a time after programming; see `CrossbarMatrix.at`."""
    time_s, compensate = seconds("t", t), as_bool("compensate", compensate)
    start = laws.ages(matrix.config.device)
    if start is None:
        msg = "time changes nothing: give the device a drift, such as Device(drift=Drift(nu=0.05))"
        raise ValueError(msg)
    if time_s < start:
        msg = f"t={time_s:g} s is before t0_s={start:g} s, from when on the device's drift is known: use a later time"
        raise ValueError(msg)
    fresh = matrix.fresh or matrix
    found, ratio = copy.copy(fresh), 1.0
    found.fresh = fresh
    if fresh.written is not None:
        levels = crossbar.targets(fresh.config, fresh.encoded)
        place, faults = fresh.address(0), fresh.faults
        found.written, ratio = crossbar.age(fresh.kernels, fresh.config, fresh.written, levels, place, time_s, faults)
        found.wired = crossbar.wire(fresh.kernels, fresh.config, found.written)
        found.scales = fresh.scales * ratio if compensate else fresh.scales
    found.age = Age(time_s, compensate, ratio)
    return found

"""Statistics of verified writing: pulses, failures and the error that is left."""

import math
from dataclasses import dataclass
from typing import Any

from ..arrays import namespace
from ..cells import memristors
from ..crossbar import plan as plans
from ..crossbar.programmed import Programmed, target_levels

__all__ = ["Programming", "write_statistics"]


@dataclass(frozen=True)
class Programming:
    """Pulses of verified writing, and the distance from the target levels that they left.

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

    def __str__(self) -> str:
        cells = math.prod(self.pulses.shape)
        xp = namespace(self.pulses)
        mean, most = float(xp.sum(self.pulses)) / cells, int(xp.max(self.pulses))
        return (
            f"{cells} cells, {mean:.3g} pulses each on average and at most {most}, "
            f"{self.failures} beyond the tolerance, error {self.error_S:.3g} S rms"
        )


def write_statistics(programmed: Programmed) -> Programming | None:
    """Return the statistics of verified writing; None if writing was not verified.

    Pulses are in the order of the cells: (planes * cells per digit * slices, K, N), least significant slice first.
    """
    fresh = programmed.youngest
    config, cells, cell_format = fresh.config, fresh.as_programmed, plans.cell_format(fresh.config)
    verify = config.device.verify
    if cells.pulses is None or verify is None:
        return None
    miss = memristors.deviation(config.device, cell_format, cells.cells, target_levels(config, fresh.encoded))
    xp = namespace(miss)
    tolerance = memristors.tolerance_units(verify, config.device, cell_format)
    failures = int(xp.sum(xp.astype(xp.abs(miss) > tolerance, xp.int64)))
    mean = float(xp.mean(xp.astype(miss, xp.float64) ** 2))
    return Programming(cells.pulses, failures, mean**0.5 * config.device.grid_unit_S(cell_format.fraction))

"""Provisional."""

from dataclasses import dataclass

import numpy as np

from ..cells import memristors, references
from ..crossbar import plan as plans
from ..crossbar.product import plan_for
from ..operands import encoding


@dataclass(frozen=True)
class Driving:
    read_s: float
    width: bool = False
    supply_V: float | None = None
    whole: bool | None = None


@dataclass(frozen=True)
class Drives:
    squares: object
    absolutes: object
    pulses: int
    full_code: int
    total_square: int
    total_absolute: int


def drives(backend, programmed, inputs, read, first_row=0):
    config = programmed.config
    plan = plan_for(config, programmed.as_read)
    digits = np.asarray(encoding.flat_slices(inputs.digits)).astype(np.int64)
    n = len(plan.x_strides)
    codes = digits * np.array([plan.x_strides[i % n] for i in range(digits.shape[0])])[:, None, None]
    sq = (codes**2).sum((0, 1))
    ab = abs(codes).sum((0, 1))
    return Drives(sq, ab, int((codes != 0).sum()), config.dac.rdac - 1, int(sq.sum()), int(ab.sum()))


def cell_energy(backend, programmed, inputs, how, read=0, first_row=0):
    config = programmed.config
    d = drives(backend, programmed, inputs, read, first_row)
    fmt = plans.cell_format(config)
    g = np.asarray(memristors.conductance(config.device, fmt, programmed.as_programmed)).sum((0, 2))
    if not config.weights.signed:
        g = g + np.asarray(references.conductance(config, fmt, programmed.as_programmed, programmed.address)).sum(
            (0, 2)
        )
    v = config.dac.vread
    if how.width:
        return float(how.read_s * (how.supply_V or v) * v * (d.absolutes * g).sum())
    if how.supply_V:
        return float(how.read_s * how.supply_V * v / d.full_code * (d.absolutes * g).sum())
    return float(how.read_s * v**2 / d.full_code**2 * (d.squares * g).sum())

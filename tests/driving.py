"""Codes that drive word lines, and the energy of cells that they meet."""

import numpy as np

from mpimpy.converters import drive
from mpimpy.cost._cells import cell_energy
from mpimpy.crossbar import plan as plans
from mpimpy.matrix import backend_of, encode_inputs


def energy_of(W, x, how, read=0, first_row=0):
    programmed, encoded = encode_inputs(W, x)
    return cell_energy(backend_of(W), programmed, encoded, how, read, first_row)


def codes_of(W, x, read=0, first_row=0):
    """Codes of all slices in steps of the DAC, float64 (planes * slices, rows, K)."""
    programmed, encoded = encode_inputs(W, x)
    dac, config = W.config.dac, W.config
    digits = np.asarray(encoded.digits)
    digits = digits.reshape(-1, digits.shape[2] * digits.shape[3], digits.shape[4])
    if dac.noisy:
        address = programmed.address._replace(read=read, row=first_row, col=programmed.address.row)
        found = drive(backend_of(W), dac, plans.plan(config), digits, address)
        return found / 2.0 ** plans.cell_format(config).voltage_fraction
    steps = [(dac.rdac - 1) // (2**bits - 1) for bits in config.inputs.ascending]
    return digits.astype(float) * np.resize(steps, digits.shape[0])[:, None, None]

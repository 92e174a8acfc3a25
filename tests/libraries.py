"""The array libraries that every algorithm is run on."""

import array_api_strict
import numpy as np

from mpimpy.analysis import sampling
from mpimpy.backends import Reading
from mpimpy.cells import memristors
from mpimpy.crossbar import plan as plans
from mpimpy.matrix import backend_of, encode_inputs
from mpimpy.noise import MAX_READ

try:
    import torch
except ImportError:  # the tests run without the extra; what needs torch is skipped by name
    torch = None


def same_bits(a, b):
    """Whether two arrays have the same dtype, shape and bits (0.0 and -0.0 apart)."""
    a, b = np.asarray(a), np.asarray(b)
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def to_strict(array):
    return array_api_strict.asarray(np.array(array))


def to_torch(array):
    return torch.asarray(np.array(array))


# name -> (array maker, backend to force)
RUNNERS = {
    "numpy reference": (np.asarray, "reference"),
    "numpy numba": (np.asarray, "numba"),
    "strict reference": (to_strict, "reference"),
}
if torch is not None:
    RUNNERS["torch numba"] = (to_torch, None)
    RUNNERS["torch reference"] = (to_torch, "reference")
    RUNNERS["torch plain"] = (to_torch, "torch")


def plain_reading(**changes):
    """A `Reading` of one slice of whole codes by an ADC that takes currents as they are, but for `changes`."""
    plain = {"strides": (1,), "widths": None, "signed": True, "rows": 1, "bound": 1, "wide": False}
    plain |= {"adc_gain": ((1.0,),), "code_range": None, "digit_units": None, "shift_weights": ((1.0,),)}
    return Reading(**plain | changes)


def read_levels(matrix, read):
    """What one read sees, in levels."""
    grid = plans.cell_format(matrix.config)
    place = matrix.programmed.address._replace(read=read)
    cells = memristors.read(backend_of(matrix), matrix.config.device, grid, matrix.programmed.as_programmed, place)
    return cells / 2.0**grid.fraction


def sampled(matrix, x):
    """Currents of every pair of slices of ``x @ matrix``, as calibration looks at them."""
    return sampling.samples(backend_of(matrix), *encode_inputs(matrix, x), MAX_READ).currents

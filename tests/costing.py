"""A small product whose costs can be counted by hand."""

import re

import numpy as np

from mpimpy import Engine
from mpimpy.cost import Anchor, Technology

GENERIC = Technology.generic(28)
X = np.array([[3.0, 1, 0, -2, 3], [0, 0, 0, 3, 0]])  # five pulses: squares 9 + 1 + 4 + 9 + 9 of 9, magnitudes 12 of 3
W = np.random.default_rng(0).standard_normal((5, 3))

AREAS = {
    "cell_area": Anchor(1e-14, unit="m2", source="a chip"),
    "adc_area": Anchor(1e-9, unit="m2", source="a chip"),
}


def engine(**changes):
    """One input slice of two bits, with signs; pairs of one bit; arrays of 4 x 2."""
    given = {"seed": 1, "x_slices": [1, 2], "x_mapping": "signed", "w_slices": [1, 1], "w_mapping": "pair"}
    given |= {"rdac": 4, "g_level": 2, "radc": 16, "array_size": (4, 2), "vread": 0.3, "var": 0}
    return Engine().replace(**given | changes)


def user(**changes):
    return GENERIC.replace(source="user", **changes)


def unfolded(text):
    """Return a printed cost with one line for each row."""
    return re.sub(r"\n {19,}", " ", str(text))

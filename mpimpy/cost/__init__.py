"""Energy, latency and area of products on crossbars, each constant with a band and a source.

>>> import numpy as np
>>> from mpimpy import Engine, cost
>>> tech = cost.Technology.named("generic-28")
>>> found = Engine(seed=1).program(np.eye(64)).cost(np.eye(64), tech)
>>> found.energy.low < found.energy.value < found.energy.high
True

docs/cost.md says what is exact, what is a law, and how far both can be trusted.
"""

from ._cost import Bits, Cost, Rate
from ._counts import Counts, counts
from ._figure import Anchor, Figure
from ._laws import AdcLaw
from ._sources import Sources
from ._technology import Technology

__all__ = ["AdcLaw", "Anchor", "Bits", "Cost", "Counts", "Figure", "Rate", "Sources", "Technology", "counts"]

"""mpimpy: matrix products on memristor crossbars, as easy as np.dot.

>>> import numpy as np
>>> from mpimpy import MapReducedot
>>> MapReducedot(np.eye(2), np.ones((2, 3)), seed=1).shape
(2, 3)
"""

from . import backends, presets, wires
from .backends import get_num_threads, set_num_threads
from .chips import load
from .config import ADC, DAC, Config, Device, Format, Ranges, Tile, Wires
from .dot import MapReducedot, explain
from .dpetensor import DPETensor
from .engine import Engine
from .legacy import bitslicedpe, diffpairdpe, fpmemdpe
from .matrix import CrossbarMatrix
from .measured import Measured
from .metrics import ABSE, RE, SNR
from .operands import MpimpyWarning
from .report import Effect, Report
from .sliced import SlicedData
from .variation import Drift, Flicker, Gaussian, Samples, WriteVerify

__version__ = "2.0.0"

__all__ = [
    "ABSE",
    "ADC",
    "DAC",
    "RE",
    "SNR",
    "Config",
    "CrossbarMatrix",
    "DPETensor",
    "Device",
    "Drift",
    "Effect",
    "Engine",
    "Flicker",
    "Format",
    "Gaussian",
    "MapReducedot",
    "Measured",
    "MpimpyWarning",
    "Ranges",
    "Report",
    "Samples",
    "SlicedData",
    "Tile",
    "Wires",
    "WriteVerify",
    "backends",
    "bitslicedpe",
    "diffpairdpe",
    "explain",
    "fpmemdpe",
    "get_num_threads",
    "load",
    "presets",
    "set_num_threads",
    "wires",
]

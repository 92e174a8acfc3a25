"""mpimpy: matrix products on memristor crossbars, as easy as np.dot.

>>> import numpy as np
>>> from mpimpy import MapReducedot
>>> MapReducedot(np.eye(2), np.ones((2, 3)), seed=1).shape
(2, 3)
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from . import _lazy, backends, cost, machines, wires  # noqa: F401
from ._complex import ComplexMatrix
from ._dot import MapReducedot, explain
from ._estimate import Estimate
from ._later import later
from ._load import load
from ._operator import CrossbarOperator
from ._partial import Partial
from ._warm import warm
from .analysis.metrics import ABSE, RE, SNR
from .analysis.report import Effect, Report
from .backends import get_num_threads, set_num_threads
from .compat.dpetensor import DPETensor
from .compat.engines import bitslicedpe, diffpairdpe, fpmemdpe
from .compat.sliced import SlicedData
from .config import (
    ADC,
    ARITHMETIC,
    DAC,
    Config,
    Device,
    Drift,
    Flicker,
    Format,
    Gaussian,
    Ranges,
    Relaxation,
    Samples,
    Tile,
    Wires,
    WriteVerify,
)
from .devices import presets
from .devices.measured import Measured
from .engine import Engine
from .matrix import CrossbarMatrix
from .operands.edge import MpimpyWarning
from .operands.survey import Survey

if TYPE_CHECKING:
    from . import nn as nn
    from . import plot, solve, studies, workloads
    from .designs import design, search
    from .explorer import explore
    from .sweeps import open_sweep, sweep

__version__ = "2.0.0"

__all__ = [
    "ABSE",
    "ADC",
    "ARITHMETIC",
    "DAC",
    "RE",
    "SNR",
    "ComplexMatrix",
    "Config",
    "CrossbarMatrix",
    "CrossbarOperator",
    "DPETensor",
    "Device",
    "Drift",
    "Effect",
    "Engine",
    "Estimate",
    "Flicker",
    "Format",
    "Gaussian",
    "MapReducedot",
    "Measured",
    "MpimpyWarning",
    "Partial",
    "Ranges",
    "Relaxation",
    "Report",
    "Samples",
    "SlicedData",
    "Survey",
    "Tile",
    "Wires",
    "WriteVerify",
    "backends",
    "bitslicedpe",
    "cost",
    "design",
    "diffpairdpe",
    "explain",
    "explore",
    "fpmemdpe",
    "get_num_threads",
    "load",
    "machines",
    "open_sweep",
    "plot",
    "presets",
    "search",
    "set_num_threads",
    "solve",
    "studies",
    "sweep",
    "warm",
    "wires",
    "workloads",
]

# names whose rooms are imported when they are asked for
_found: Callable[[str], Any] = later(
    __name__,
    {
        "design": "designs",
        "explore": "explorer",
        "nn": "nn",
        "open_sweep": "sweeps",
        "plot": "plot",
        "search": "designs",
        "solve": "solve",
        "studies": "studies",
        "sweep": "sweeps",
        "workloads": "workloads",
    },
    globals(),
    dict.fromkeys(("dot", "matmul"), "the product is mpimpy.MapReducedot(a, b), with np.dot's rules"),
)

if not TYPE_CHECKING:  # type checkers see the imports above, and know no other names
    __getattr__ = _found


def __dir__() -> list[str]:
    return sorted([*__all__, "__doc__", "__file__", "__name__", "__path__", "__version__"])

"""Pictures of crossbars and of what they compute.

Matplotlib is imported when something is drawn, and needs no screen. Every function draws on the axes
that it is given, or on a figure of its own, and returns the axes: ``conductance(W).figure.savefig("cells.png")``.
"""

from ._arrays import conductance, ir_drop, levels
from ._conversions import adc_codes
from ._figure import new_axes
from ._measured import measured
from ._products import compression, error, error_budget, grey, scatter

__all__ = [
    "adc_codes",
    "compression",
    "conductance",
    "error",
    "error_budget",
    "grey",
    "ir_drop",
    "levels",
    "measured",
    "new_axes",
    "scatter",
]

"""Pictures of crossbars and of their products.

Matplotlib is imported by the first drawing, and needs no screen. Every function draws on the given axes, or on
those of a new figure, and returns them: ``conductance(W).figure.savefig("cells.pdf")``. A new figure is one column of
a journal wide, 3.5 inches; `new_axes` makes others.
"""

from ._arrays import conductance, ir_drop, levels
from ._budget import error_budget
from ._convergence import convergence
from ._conversions import adc_codes
from ._figure import new_axes
from ._measured import measured
from ._products import compression, error, grey, scatter
from ._sweeps import sweep

__all__ = [
    "adc_codes",
    "compression",
    "conductance",
    "convergence",
    "error",
    "error_budget",
    "grey",
    "ir_drop",
    "levels",
    "measured",
    "new_axes",
    "scatter",
    "sweep",
]

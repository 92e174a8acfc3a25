"""
Error budget: where does the error come from?
=============================================

An error budget switches each effect on alone, and off alone. The effect with the longest bars is the
one to mend first.

``python examples/draw.py plot_error_budget`` saves its pictures.
"""

# %%
# Cells that vary, some of them stuck, wires that resist, and an ADC of 8 bits.

import numpy as np

from mpimpy import ADC, Device, Engine, Wires, plot

rng = np.random.default_rng(0)
x, w = rng.standard_normal((64, 128)), rng.standard_normal((128, 64))
engine = Engine(
    Device(write_var=0.03, var=0.02, stuck_LGS=0.002),
    adc=ADC(radc=256),
    wires=Wires(r_word=2.93, r_bit=2.93),
    seed=1,
)
report = engine.program(w).report(x, w)
print(report)

# %%
# Bars are powers of errors: those that do harm are long. The blue ones are of an effect alone, the orange ones
# what its removal saves.

budget = plot.error_budget(report)

# %%
# The ADC limits this design. Its range covers the currents of all rows at their highest, and most
# currents are far smaller: :meth:`~mpimpy.Engine.calibrate` fits the range to some typical inputs.

better = engine.calibrate(x, w)
after = plot.error_budget(better.program(w).report(x, w))

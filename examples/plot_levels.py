"""
Levels: which cells can be told apart?
======================================

A cell is programmed to one of several levels. Write variation spreads the conductances, and wide levels
overlap.
"""

# %%
# Three spreads, for 16 levels from 0.1 to 10 µS.

import numpy as np

from mpimpy import Device, Engine, plot

w = np.random.default_rng(0).standard_normal((256, 64))
panels = plot.new_axes(3, 1, width="column", height=6.4)[:, 0]
for ax, write_var in zip(panels, (0.01, 0.03, 0.1), strict=True):
    W = Engine(Device(write_var=write_var), seed=1).program(w)
    plot.levels(W, ax)
    ax.set_xlim(0, 14)
figure = panels[0].figure

# %%
# The spread is relative, so that the highest levels overlap first. The slices of a weight use few
# of the levels: those of one bit sit at the ends.

cells = plot.conductance(W, slice=3)

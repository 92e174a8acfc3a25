"""
Levels: which cells can be told apart?
======================================

A cell is programmed to one of several levels. Write variation spreads the conductances, and wide levels
overlap.

``python examples/draw.py plot_levels`` saves its pictures.
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
    ax.set_title(f"write variation {100 * write_var:g} %")
figure = panels[0].figure

# %%
# The spread is relative, so that the highest levels overlap first. A map shows the cells of one
# array: slice 3 holds four bits of each weight, and uses all levels.

cells = plot.conductance(W, slice=3)

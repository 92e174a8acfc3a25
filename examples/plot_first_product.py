"""
A first product: measured against exact
=======================================

A product on crossbars scatters about the exact one. How far depends on the cells and on the ADCs.

``python examples/draw.py plot_first_product`` saves its pictures.
"""

# %%
# The default settings: arrays of 64 x 64 cells, 5 % read variation, 8-bit ADCs.

import numpy as np

from mpimpy import SNR, DPETensor, plot

rng = np.random.default_rng(0)
x, w = rng.standard_normal((100, 128)), rng.standard_normal((128, 64))
settings = {"as delivered": {}, "better cells": {"var": 0.01}, "and 10-bit ADCs": {"var": 0.01, "radc": 1024}}

panels = plot.new_axes(1, 3, width="page", height=2.9)[0]
for ax, (name, changed) in zip(panels, settings.items(), strict=True):
    y = DPETensor(seed=1, **changed)(x, w)
    plot.scatter(y, x @ w, ax, f"{name}\nSNR {SNR(y, x @ w):.1f} dB")
figure = panels[0].figure

# %%
# Better cells alone do not help as much as both together. The error budget says so beforehand: see
# :ref:`where an error comes from <sphx_glr_gallery_plot_error_budget.py>`.

"""
Yield: how many chips are good enough?
======================================

Write variation and stuck cells are frozen on a chip, so chips differ. A yield is the share of
chips that reach a wanted figure. It is measured on a sample of chips, so it has a confidence
interval.

``python examples/draw.py plot_yield`` saves its pictures.
"""

# %%
# One call programs a product on 200 chips, and counts those that reach 20 and 24 dB. The numbers of
# the chips address their cells: the same seed gives the same 200 chips, everywhere.

import numpy as np

from mpimpy import ADC, Device, Engine, Tile, studies

device = Device(var=0.01, write_var=0.02, stuck_LGS=1e-4, stuck_HGS=1e-4)
engine = Engine(device, adc=ADC(1024), seed=1)
found = studies.chip_yield(engine, target=[20, 24], chips=200)
print(found)

# %%
# The curve gives the yield for every wanted SNR; the band is the 95 % interval of Wilson.

yield_figure = found.plot().figure

# %%
# A few chips are far below the others. A cell of their reference columns is stuck at HGS, and it is
# subtracted from every column of its array. With ideal reference columns there are none:

ideal = studies.chip_yield(engine.replace(tile=Tile(reference="ideal")), target=[20, 24], chips=200)
print(ideal)

# %%
# Any function of an engine can stand in the place of the SNR, if larger is better. Here it is the
# worst column of a matrix: a chip is good if all its columns are.

random = np.random.default_rng(0)
x, w = random.standard_normal((64, 128)), random.standard_normal((128, 64))


def worst_column(engine):
    """Return the SNR of the worst column, dB."""
    error = engine.program(w).read(x, read=0) - x @ w
    return float(10 * np.log10(((x @ w) ** 2).sum(axis=0) / (error**2).sum(axis=0)).min())


columns = studies.chip_yield(engine, target=20, figure=worst_column, chips=100)
print(columns)
columns_figure = columns.plot().figure

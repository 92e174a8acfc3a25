"""
Drift: how long does a chip last?
=================================

The conductance of phase-change memory falls with time, as a power law. A common exponent only
scales the result down, and one number mends that. Exponents differ from cell to cell, and that part
stays.

``python examples/draw.py plot_drift`` saves its pictures.
"""

# %%
# The preset "pcm-joshi" has the write variation, drift and 1/f noise of published cells. The raw
# product loses its scale; the compensated one is multiplied by the total conductance as programmed,
# over that at the time.

from mpimpy import Engine, Format, presets, studies

found = studies.drift(Engine(presets.device("pcm-joshi"), seed=1), chips=5)
print(found)
drift_figure = found.plot().figure

# %%
# Compensated weights in differential pairs keep 6 to 7 dB more.

pair = Engine(presets.device("pcm-joshi"), weights=Format(mapping="pair"), seed=1)
pairs = studies.drift(pair, chips=5)
print(pairs)
pair_figure = pairs.plot().figure

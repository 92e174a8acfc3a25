"""
SNR against energy: what does a better result cost?
===================================================

A mapping, an array size and a number of ADC codes give a product its error and its energy. One call
gives both from the same runs: cells are counted exactly, circuits beside them by published laws with
a band.

``python examples/draw.py plot_snr_energy`` saves its pictures.
"""

# %%
# Each curve is a mapping, each point a number of bits of the ADCs, and each bar the band of the
# energy. All constants err together, so the bands move all points alike, and comparisons are better
# than the bands are wide.

from mpimpy import Device, Engine, studies

found = studies.snr_energy(Engine(Device(var=0.02), seed=0), space={"bits": range(5, 13)})
print(found)
mappings_figure = found.plot().figure

# %%
# The energy of the cells alone, for the same matrices: a differential pair stores small weights in
# cells that are off, and signed inputs drive small voltages for small numbers.

for mapping in ("twos", "offset", "pair"):
    at = found.column("mapping").index(mapping)
    print(f"{mapping:<8}{found.column('cells')[at]:6.1f} fJ/MAC in the cells")

# %%
# Larger arrays share one conversion among more products, and their ADCs have coarser steps.

space = {"mapping": "pair", "array_size": [32, 128], "bits": range(5, 13)}
sizes = studies.snr_energy(found.engine(), space=space)
print(sizes)
sizes_figure = sizes.plot().figure

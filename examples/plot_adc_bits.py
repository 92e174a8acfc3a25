"""
ADC bits: which resolution is enough?
=====================================

Converters are often the most costly part of a design, and each bit makes them larger. The full
range covers the current of all rows at their highest, and most currents are far smaller. So a range
that fits the data saves bits.

``python examples/draw.py plot_adc_bits`` saves its pictures.
"""

# %%
# Without variation, only the ADC and the 8-bit operands limit the result. Calibration saves two to
# three bits.

from mpimpy import Device, Engine, studies

clean = studies.adc_bits(Engine(Device(var=0), seed=0))
print(clean)
clean_figure = clean.plot().figure

# %%
# With 5 % read variation, the cells limit the result: 9 bits at full range, or 8 bits calibrated,
# come within 0.7 dB of ADCs that do not round, the dashed line.

noisy = studies.adc_bits(Engine(Device(var=0.05), seed=0), chips=3)
print(noisy)
noisy_figure = noisy.plot().figure

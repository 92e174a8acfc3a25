"""
Wires against rows: how large may an array be?
==============================================

More rows share one ADC among more products. But the current of every cell flows through the wires,
and longer wires keep more of the voltage from the cells.

``python examples/draw.py plot_wires`` saves its pictures.
"""

# %%
# Here the wires have 2.93 Ohm a segment, and the highest conductance is 10 uS. Variation is off and
# ADCs are ideal, so the difference of the two curves is the cost of the wires. The numbers below the
# sizes are the share of their current that cells lose on average if all of them are at their
# highest conductance.

from mpimpy import ADC, Device, Engine, Wires, studies

device = Device(HGS=1e-5, var=0)
found = studies.wires(Engine(device, adc=ADC(None), wires=Wires(2.93, 2.93), seed=0))
print(found)
wires_figure = found.plot().figure

# %%
# Cells of a tenth of the conductance lose about a tenth of it: high resistances make large arrays.

high = Engine(Device(HGS=1e-6, LGS=1e-8, var=0), adc=ADC(None), wires=Wires(2.93, 2.93), seed=0)
resistive = studies.wires(high)
print(resistive)
resistive_figure = resistive.plot().figure

# %%
# Tall arrays with few columns have short word lines, and lose mostly on their bit lines.

tall = studies.wires(found.engine(), sizes=[(16, 16), (32, 16), (64, 16), (128, 16)])
print(tall)
tall_figure = tall.plot().figure

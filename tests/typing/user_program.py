"""A user's program: a checker must find no error in it, but for the lines that end with ``# error``."""

from typing import Any, assert_type

import numpy as np

import mpimpy
from mpimpy import (
    ADC,
    Config,
    Device,
    DPETensor,
    Engine,
    Format,
    Gaussian,
    MapReducedot,
    Report,
    Tile,
    Wires,
    explain,
    plot,
    presets,
)

rng = np.random.default_rng(0)
x, w = rng.standard_normal((4, 64)), rng.standard_normal((64, 32))

# one product, and where its error comes from
assert_type(MapReducedot(x, w), Any)
assert_type(MapReducedot(x, w, radc=1024, var=0.02, seed=7), Any)
MapReducedot(x, w, radc_=1024)  # error
MapReducedot(x, w, var="small")  # error
MapReducedot(x, w, return_report="yes")  # error
y, report = MapReducedot(x, w, w_mapping="pair", return_report=True)
assert_type(report, Report)
print(report.snr)  # error
assert_type(explain(x, w, reads=8, write_var=[0.1] * 16), Report)
explain(x, w, reeds=8)  # error
assert_type(report.snr_dB, float)
assert_type(report.effects[0].alone_range_dB, tuple[float, float] | None)
assert_type(report.settings, Config)
assert_type(report.to_dict(), dict[str, Any])
frame = report.to_frame()

# the same bits again
engine = Engine.from_config(report.settings, seed=report.seed, chip=report.chip)
assert_type(engine, Engine)
y = engine(x, w, read=report.read)
engine(x, w, raed=report.read)  # error

# parts
engine = Engine(Device(var=[0.05] * 16), adc=ADC(radc=[256] * 4), weights=Format([1, 1, 2, 4]), wires=Wires(1, 1))
Engine(Device(vra=0.05))  # error
Engine(weights=Format("1124"))  # error
Engine(presets.device("pcm-joshi"), tile=Tile(128, 128), seed=1, chip=3)
engine.replace(adc={"radc": 512}, device=Device(write_var=Gaussian(1e-7)))
engine.replace(acd={"radc": 512})  # error
engine.replace(radc=512, seed=2)
engine.replace(raddc=512)  # error
print(engine.to_dict(), Engine.named("isaac"), engine.estimate(100, 64, 32))
mpimpy.solve, mpimpy.studies, mpimpy.machines  # noqa: B018
print(engine.seeds)  # error
DPETensor(x_slices=[1, 3], w_slices=(1, 3), array_size=[32, 32], wire_resistance=2.93)
DPETensor(x_slice=[1, 3])  # error

# a matrix that is written once
W = engine.program(w, name="layer1")
seed: int = W.seed
print(W.read_plan(x), W.effective(), W.T, W.at("1 d"))
budget: Report = W.report(x, w, read=1, reads=4)
W.report(x, w, raeds=4)  # error
print(W.programed)  # error
y = x @ W

# pictures
figure = plot.error_budget(report).figure
plot.conductance(W)
plot.error_budgets(report)  # error
mpimpy.plot.conductance(W, axes=None)  # error
mpimpy.dot(x, w)  # error

"""Numbers in another unit: a warning where they are set, and never again."""

import copy
import dataclasses
import pickle
import warnings

import numpy as np
import pytest

from mpimpy import (
    ADC,
    DAC,
    Config,
    Device,
    DPETensor,
    Engine,
    Flicker,
    Format,
    Gaussian,
    MapReducedot,
    MpimpyWarning,
    Samples,
    SlicedData,
    Tile,
    Wires,
    WriteVerify,
    bitslicedpe,
    explain,
    load,
    presets,
)  # fmt: skip
from mpimpy.config import from_dict

x, w = np.eye(8), np.eye(8)


@pytest.fixture
def seen():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield seen


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Device(HGS=10), r"HGS=10 S is odd: memristors conduct between 1 nS and 100 mS: did you mean 10 uS: 10e-6\?"),
        (lambda: Device(HGS=20.0, LGS=0.1), r"HGS=20 S is odd: .* 20 uS: 20e-6\?"),
        (lambda: Device(HGS=1e5), r"HGS=100000 S is odd.*did you mean 100000 uS: 100000e-6, or 100000 Ohm: 1/100000\?"),
        (lambda: Device(HGS=2e7), r"HGS=2e\+07 S is odd: .*did you mean 2e\+07 nS: 0.02, or 2e\+07 Ohm: 1/2e\+07\?"),
        (lambda: Device(HGS=1e-11, LGS=0), r"HGS=1e-11 S is odd: .*: give it in S"),
        (lambda: Device(levels=[1, 2, 4, 9]), r"levels: HGS=9 S is odd: .* 9 uS: 9e-6\?"),
        (lambda: Device(write_var=Gaussian(0.05)), r"write_var: sigma_S=0.05 S is far beyond HGS=1e-05 S.*write_var=0.05"),
        (lambda: Device(var=Gaussian([0.2] * 16)), r"var: sigma_S=0.2 S is far beyond"),
        (lambda: Device(write_var=0.1, verify=WriteVerify(0.2)), r"verify: tolerance_S=0.2 S is far beyond HGS=1e-05 S"),
        (lambda: DAC(vread=100), r"vread=100 V is odd: read voltages lie between 10 uV and 5 V: did you mean 100 mV: 100e-3\?"),
        (lambda: DAC(vread=1e-7), r"vread=1e-07 V is odd: .*: give it in V"),
        (lambda: Wires(1e6, 1e6), r"r_word=1e\+06 Ohm is odd: a segment of wire, from cell to cell, has a few Ohm"),
        (lambda: Wires(0, 2e6), r"r_bit=2e\+06 Ohm is odd"),
        (lambda: ADC(range=20), r"range=20 A is odd: bit line currents lie below 1 A: did you mean 20 mA: 20e-3\?"),
        (lambda: ADC(range=(-20, 20)), r"range=-20 A is odd"),
        (lambda: Flicker(0.1, t_read_s=250, t0_s=1e4), r"t_read_s=250 s is odd: .*did you mean 250 ms: 250e-3\?"),
        (lambda: DPETensor(HGS=10, seed=1), r"HGS=10 S is odd"),
        (lambda: DPETensor(vread=100, seed=1), r"vread=100 V is odd"),
        (lambda: DPETensor(wire_resistance=1e6, seed=1), r"r_word=1e\+06 Ohm is odd"),
        (lambda: DPETensor(adc_range=20, seed=1), r"range=20 A is odd"),
        (lambda: MapReducedot(x, w, HGS=10, seed=1), r"HGS=10 S is odd"),
        (lambda: bitslicedpe(wire_resistance=1e6), r"r_word=1e\+06 Ohm is odd"),
        (lambda: Config().replace(device={"HGS": 10}), r"HGS=10 S is odd"),
        (lambda: Engine(seed=1).replace(dac={"vread": 100}), r"vread=100 V is odd"),
        (lambda: from_dict({"device": {"HGS": 10}}), r"HGS=10 S is odd"),
        (lambda: presets.device("generic", HGS=10), r"HGS=10 S is odd"),
        (lambda: dataclasses.replace(Device(), HGS=10.0), r"HGS=10 S is odd"),
    ],
)  # fmt: skip
def test_another_unit_is_told_once_where_it_is_set(build, message, seen):
    build()
    (warning,) = seen
    assert warning.category is MpimpyWarning
    assert warning.filename == __file__
    assert warning.lineno == build.__code__.co_firstlineno
    with pytest.warns(MpimpyWarning, match=f"^{message}"):
        build()


def test_nothing_is_said_again(tmp_path, seen):
    engine = Engine(Device(HGS=10, LGS=1e-3), DAC(vread=100), wires=Wires(1e6, 1e6, exact_reads=True), seed=1)
    old = bitslicedpe(wire_resistance=1e6, seed=1)
    assert len(seen) == 4
    W = engine.program(w)
    W.read(x)
    W.report(x, w)
    explain(x, w, engine)
    W.save(tmp_path / "chip.npz")
    load(tmp_path / "chip.npz").read(x)
    config = engine.replace(tile=Tile(8, 8)).config.replace(device={"var": 0.1})
    dataclasses.replace(config.device, stuck_HGS=0.1)
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config)
    old(x, w, wire_factor=True)
    old(x, w, wire_factor=True)
    device = Device(g_level=2, write_var=Samples([[1e-7], [1e-5, 1e-4]]))
    assert len(seen) == 5
    dataclasses.replace(device, var=0.1)
    Config(device).replace(device={"var": 0})
    assert len(seen) == 5
    dataclasses.replace(device, HGS=9e-6)  # another range holds other samples
    assert len(seen) == 6


def test_ordinary_settings_are_silent(seen):
    for preset in presets.listing():
        for levels in (2, 16, 256):
            presets.device(preset.name, levels)
    Device(HGS=0.1, LGS=0)
    Device(HGS=1e-9, LGS=0)
    DAC(vread=5)
    DAC(vread=1e-3)
    Wires(1e4, 0)
    ADC(range=(0, 1e-5))
    engine = Engine(seed=1)
    engine.calibrate(x, w)(x, w)
    SlicedData([1, 1, 2, 4], is_weight=True)
    assert seen == []


@pytest.mark.parametrize(
    ("settings", "rows", "message"),
    [
        # held: 0 S to LGS + 2 (HGS - LGS) = 19.9 uS
        ({"write_var": "rows"}, [[1e-7], [1e-5, 1.98e-5, 2e-5, 3e-5]], r"^write_var: samples are clipped: cells of this device hold 0 S to 1.99e-05 S.*: level 1: 2 of 4$"),
        ({"write_var": "rows"}, [[1e-7, 5e-5], [1e-5, 3e-5]], r"level 0: 1 of 2, level 1: 1 of 2$"),
        # a read adds the deviation from the level's mean: 10 uS + (30 - 16.7) uS
        ({"var": "rows"}, [[1e-7], [1e-5, 1e-5, 3e-5]], r"^var: samples are clipped: .*: level 1: 1 of 3$"),
        # and takes it away: 0.1 uS - 0.5 uS
        ({"var": "rows"}, [[0.0, 1e-6], [1e-5]], r"^var: samples are clipped: .*: level 0: 1 of 2$"),
        # 20 uS lie 10 uS above the range, which is 1 uS wide; 6 uS lie 3 uS below
        ({"write_var": "rows", "HGS": 1e-5, "LGS": 9e-6}, [[9e-6, 6e-6], [1e-5, 2e-5]], r"hold 7e-06 S to 1.1e-05 S.*: level 0: 1 of 2, level 1: 1 of 2$"),
    ],
)  # fmt: skip
def test_samples_that_the_cells_cannot_hold_are_counted(settings, rows, message):
    given = {name: Samples(rows) if value == "rows" else value for name, value in settings.items()}
    with pytest.warns(MpimpyWarning, match=message):
        device = Device(g_level=2, **{"var": 0} | given)
    if "write_var" in given and "LGS" not in given:  # cells end where the warning says
        W = Engine(device, tile=Tile(64, 64), seed=1, weights=Format((1, 1))).program(np.ones((64, 64)))
        assert W.conductance().max() == pytest.approx(1.99e-5, rel=1e-3)


def test_samples_that_fit_are_silent(seen):
    Device(g_level=2, var=0, write_var=Samples([[1e-7, 0], [1e-5, 1.99e-5]]))
    Device(g_level=2, var=Samples([[0, 2e-7], [1e-5, 1.2e-5]]))
    assert seen == []

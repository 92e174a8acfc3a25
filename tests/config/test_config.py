"""Every refusal of a setting, by its message, and what configurations promise."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from libraries import torch

from mpimpy import ADC, DAC, Config, Device, DPETensor, Engine, Format, MapReducedot, Ranges, Tile, Wires
from mpimpy._integers import ceil_div
from mpimpy.config import _flat as flat
from mpimpy.config._variation import seconds
from mpimpy.crossbar.programmed import Age

REFUSED = [
    (
        lambda: DPETensor(device=Device()),
        TypeError,
        r"device=Device\(...\) is the memristors, and device= here is where",
    ),
    (
        lambda: DPETensor(levels=(1, 2)),
        TypeError,
        r"levels is no flat setting: build the machine from parts, such as Eng",
    ),
    (lambda: DPETensor(wires=2), TypeError, r"wires is no flat setting.*or give wire_resistance=2.93"),
    (lambda: Device(HGS=0), ValueError, r"HGS=0 S is out of range: it must be above 0 S"),
    (lambda: Device(LGS=-1e-9), ValueError, r"LGS=-1e-09 S is out of range: it must be at least 0"),
    (lambda: Device(HGS=1e-7, LGS=1e-7), ValueError, r"LGS=1e-07 S must be below HGS=1e-07 S"),
    (lambda: Device(g_level=1), ValueError, r"g_level=1 is out of range: it must be from 2 to 65536"),
    (lambda: Device(g_level=16.5), TypeError, r"g_level=16.5 must be a whole number"),
    (lambda: Device(g_level=True), TypeError, r"g_level=True must be a whole number"),
    (lambda: Device(var=-0.1), ValueError, r"var=-0.1 is out of range: it must be at least 0"),
    (lambda: Device(var=5), ValueError, r"var=5 is out of range: it must be at least 0 and at most 2"),
    (lambda: Device(write_var=-1), ValueError, r"write_var=-1 is out of range"),
    (lambda: Device(var=float("nan")), ValueError, r"var=nan must be finite"),
    (lambda: Device(var=1e-6), ValueError, r"var=1e-06 is finer than random factors are: use 0, or at least 0.0001"),
    (lambda: Device(write_var=1e-6), ValueError, r"write_var=1e-06 is finer"),
    (lambda: DAC(vnoise=1e-6), ValueError, r"vnoise=1e-06 is finer"),
    (lambda: Device(HGS="1e-5"), TypeError, r"HGS='1e-5' must be a number"),
    (lambda: Device(HGS=True), TypeError, r"HGS=True must be a number"),
    (lambda: ADC(radc=()), ValueError, r"radc=\(\) gives no resolution"),
    (lambda: ADC(radc="256"), TypeError, r"radc='256' must be a whole number"),
    (lambda: DPETensor(x_slices=[2]), ValueError, r"inputs: slices=\[2\] must begin with 1"),
    (lambda: DPETensor(w_quant_gran="x"), ValueError, r"weights: granularity 'x' is unknown"),
    (lambda: DPETensor(array_size=(-1, 2)), ValueError, r"array_size: rows=-1 is out of range"),
    (lambda: DPETensor(hgs=1), TypeError, r"unknown setting 'hgs': did you mean 'HGS'\?"),
    (lambda: MapReducedot(np.eye(2), np.eye(2), input_size=(1, 2)), TypeError, r"input_size has no effect here"),
    (
        lambda: MapReducedot(np.eye(2), np.eye(2), np.eye(2)),
        TypeError,
        r"engine=ndarray must be an Engine; there is no out",
    ),
    (lambda: Device(var="much"), TypeError, r"var='much' must be a number"),
    (lambda: Device(stuck_HGS=1.5), ValueError, r"stuck_HGS=1.5 is out of range: it must be at least 0 and at most 1"),
    (
        lambda: Device(stuck_HGS=0.6, stuck_LGS=0.6),
        ValueError,
        r"stuck_HGS=0.6 and stuck_LGS=0.6 add up to more than 1",
    ),
    (lambda: DAC(rdac=1), ValueError, r"rdac=1 is out of range: it must be from 2 to 65536"),
    (lambda: DAC(vread=0), ValueError, r"vread=0 V is out of range: it must be above 0 V"),
    (lambda: DAC(vnoise=-0.1), ValueError, r"vnoise=-0.1 is out of range"),
    (lambda: ADC(radc=1), ValueError, r"radc=1 is out of range: it must be from 2"),
    (lambda: ADC(radc=(256, 1)), ValueError, r"radc=1 is out of range"),
    (lambda: ADC(radc=2.5), TypeError, r"radc=2.5 must be a whole number"),
    (lambda: ADC(None, snap=True), ValueError, r"snap=True has no effect with radc=None \(ideal ADC\)"),
    (lambda: ADC(None, saturate=False), ValueError, r"saturate=False has no effect with radc=None"),
    (lambda: ADC(snap=1), TypeError, r"snap=1 must be True or False"),
    (lambda: Tile(0, 64), ValueError, r"rows=0 is out of range: it must be from 1"),
    (lambda: Tile(64, 2.5), TypeError, r"cols=2.5 must be a whole number"),
    (lambda: Format([2, 2]), ValueError, r"slices=\[2, 2\] must begin with 1, the sign bit"),
    (lambda: Format([]), TypeError, r"slices=\[\] must list the bits per slice"),
    (lambda: Format("1124"), TypeError, r"slices='1124' must list the bits per slice"),
    (lambda: Format(8), TypeError, r"slices=8 must list the bits per slice"),
    (lambda: Format([1]), ValueError, r"slices=\[1\] have 1 bits in all: an operand has 2 to 53 bits"),
    (lambda: Format([1] * 54), ValueError, r"have 54 bits in all: an operand has 2 to 53"),
    (lambda: Format([1, 0]), ValueError, r"slices=0 is out of range: it must be from 1 to 16"),
    (lambda: Format(bw_e=0), ValueError, r"bw_e=0 is out of range: it must be from 1 to 11"),
    (lambda: Format(double=True), ValueError, r"a double exponent \(dbfp_en=True\) needs an exponent width: set bw_e"),
    (lambda: Format(granularity="per-rwo"), ValueError, r"granularity 'per-rwo' is unknown: use one of finest"),
    (lambda: Format(granularity=(0, 64)), ValueError, r"granularity=0 is out of range"),
    (lambda: Format(granularity=64), TypeError, r"granularity=64 must be two whole numbers"),
    (lambda: Format.named("fp8"), ValueError, r"format 'fp8' is unknown: use one of int4, int8, bf16, fp16, fp32"),
    (lambda: Config(device=DAC()), TypeError, r"device=DAC\(.* must be a Device"),
    (
        lambda: Config().replace(devcie=Device()),
        TypeError,
        r"unknown part or setting 'devcie': did you mean 'device'\?",
    ),
    (lambda: Config().replace(device={"vra": 1}), TypeError, r"unknown setting 'vra': did you mean 'var'\?"),
    (
        lambda: Engine(weights=Format([1, 5])),
        ValueError,
        r"weight slice of 5 bits needs 32 levels but g_level=16: use slices of at most 4 bits, or g_level=32",
    ),
    (
        lambda: Engine(inputs=Format([1, 5])),
        ValueError,
        r"input slice of 5 bits needs 32 levels but rdac=16: use slices of at most 4 bits, or rdac=32",
    ),
    (
        lambda: Engine(adc=ADC((256, 256))),
        ValueError,
        r"radc=\(256, 256\) gives 2 ADC resolutions for 4 weight slices: give one per slice",
    ),
    (lambda: Engine(seed=-1), ValueError, r"seed=-1 is out of range: it must be from 0 to 18446744073709551615"),
    (lambda: Engine(seed=1.5), TypeError, r"seed=1.5 must be a whole number"),
    (lambda: Engine(chip=2**20), ValueError, r"chip=1048576 is out of range: it must be from 0 to 1048575"),
    (
        lambda: Engine(backend="nmba"),
        ValueError,
        r"backend 'nmba' is unknown: use one of 'numba', 'torch', 'reference'",
    ),
    (
        lambda: DPETensor(wire_resistance=(1, 2, 3)),
        ValueError,
        r"wire_resistance=\(1, 2, 3\) must be one number, or two",
    ),
    (lambda: DPETensor(exact_reads=True), ValueError, r"exact_reads=True has no effect without wires: set wire_resist"),
    (lambda: Wires(0, 0), ValueError, r"Wires\(0, 0\) has no effect: use wires=None"),
    (lambda: Wires(1, -1), ValueError, r"r_bit=-1 Ohm is out of range: it must be at least 0 Ohm"),
    (
        lambda: Config(Device(var=0), wires=Wires(1, 1, True)),
        ValueError,
        r"exact_reads=True has no effect without read",
    ),
    (lambda: Config(wires=3), TypeError, r"wires=3 must be None or Wires, such as Wires\(r_word=2.93"),
    (lambda: Config().replace(wires={"r_bit": 2}), ValueError, r"wires is None, so there is nothing to change in it"),
    (lambda: Config(inputs=Format(mapping="offset")), ValueError, r"inputs cannot be mapped by an offset.*'signed'"),
    (lambda: Format(mapping="two"), ValueError, r"mapping 'two' is unknown: use 'twos', 'signed' \(for weights also"),
    (
        lambda: Engine(weights=Format([1, 4, 4], mapping="offset")),
        ValueError,
        r"weight slice of 5 bits needs 32 levels but g_level=16: an offset makes the slice of 4 bits after the sign's one "
        r"bit wider: use at most 3 bits there and 4 in the others, or g_level=32",
    ),
    (
        lambda: Engine(Device(g_level=2), weights=Format([1, 1], mapping="offset")),
        ValueError,
        r"needs 4 levels but g_level=2: an offset .* use another mapping, or g_level=4",
    ),
    (
        lambda: Engine(weights=Format([1, 2, 5], mapping="offset")),
        ValueError,
        r"weight slice of 5 bits needs 32 levels but g_level=16: use slices of at most 4 bits, or g_level=32",
    ),
    (lambda: ADC(range="wide"), ValueError, r"range 'wide' is unknown: use 'full', 'lossless', or currents in A"),
    (lambda: ADC(range=0), ValueError, r"range=0 A is out of range: it must be above 0 A"),
    (lambda: ADC(range=(2, 1)), ValueError, r"range=\(2, 1\) must be two currents in A, the lower one first"),
    (lambda: ADC(None, range=1e-5), ValueError, r"range=1e-05 has no effect with radc=None \(ideal ADC\): leave it"),
    (lambda: ADC(None, noise_lsb=1), ValueError, r"noise_lsb=1.0 has no effect with radc=None"),
    (
        lambda: ADC(offset_lsb=65),
        ValueError,
        r"offset_lsb=65 LSB is out of range: it must be at least 0 and at most 64",
    ),
    (lambda: ADC(gain_error=1e-6), ValueError, r"gain_error=1e-06 is finer than random factors are"),
    (lambda: ADC(12, range="lossless"), ValueError, r"radc=12 has no effect with range='lossless', which has every"),
    (lambda: Ranges([[0]], [[0]]), ValueError, r"span=0 A is out of range: it must be above 0 A"),
    (lambda: Ranges([0], [1]), TypeError, r"low must hold one number for each weight slice and input slice"),
    (lambda: Ranges([[0, 0]], [[1]]), ValueError, r"low and span must have the same shape"),
    (lambda: Ranges([[0, 0], [1]], [[1]]), ValueError, r"low must have a row for each weight slice, with one number"),
    (
        lambda: Engine(adc=ADC(range=Ranges([[0]], [[1]]))),
        ValueError,
        r"range=Ranges\(...\) is for 1 weight slices by 1 input slices, and there are 4 by 4: calibrate again",
    ),
    (lambda: DPETensor(wire_resistance=-1), ValueError, r"wire_resistance=-1 Ohm is out of range"),
    (
        lambda: DPETensor(stuck_fault_value=1),
        ValueError,
        r"stuck_fault_value=1 has no effect while stuck_fault_ratio is 0",
    ),
    (lambda: DPETensor(stuck_fault_value=2), ValueError, r"stuck_fault_value=2 must be 0 .* or 1"),
    (lambda: DPETensor(stuck_fault_ratio=0.1, stuck_LGS=0.1), ValueError, r"stuck_fault_ratio and stuck_LGS both give"),
    (lambda: DPETensor(stuck_fault_ratio=2), ValueError, r"stuck_fault_ratio=2 is out of range"),
    (lambda: DPETensor(array_size=64), TypeError, r"array_size=64 must be two whole numbers"),
    (lambda: DPETensor(format="int8", x_slices=[1, 1]), ValueError, r"format='int8' already says what slices"),
    (lambda: DPETensor(format="int8", bw_e=8), ValueError, r"format='int8' already says what slices, bw_e"),
    (lambda: DPETensor(rdca=16), TypeError, r"unknown setting 'rdca': did you mean 'rdac'\?"),
    (lambda: DPETensor(zzzz=1), TypeError, r"unknown setting 'zzzz': known are HGS, LGS"),
    (lambda: DPETensor(x_slices=[1, 5]), ValueError, r"input slice of 5 bits needs 32 levels but rdac=16"),
    (
        lambda: MapReducedot(np.eye(2), np.eye(2), g_level=4),
        ValueError,
        r"weight slice of 4 bits needs 16 levels but g_level=4",
    ),
    (lambda: MapReducedot(np.eye(2), np.eye(2), sede=1), TypeError, r"unknown setting 'sede': did you mean 'seed'\?"),
    (lambda: flat.build(seed=1), TypeError, r"unknown setting 'seed'"),
    (
        lambda: Engine(Device(LGS=1e-5 * (1 - 1e-12), g_level=2**16, var=0), tile=Tile(1, 1), seed=0).program(
            np.eye(2)
        ),
        ValueError,
        r"LGS=1e-05 S is .* levels, too many beside their variation",
    ),
]


@pytest.mark.parametrize(("build", "kind", "message"), REFUSED)
def test_refused(build, kind, message):
    with pytest.raises(kind, match=message):
        build()


def test_defaults():
    config = DPETensor(seed=0).config
    assert config == Config() == Engine(seed=0).config
    assert (config.device.HGS, config.device.LGS, config.device.g_level, config.device.var) == (1e-5, 1e-7, 16, 0.05)
    assert (config.dac.rdac, config.dac.vread, config.dac.vnoise, config.adc.radc) == (16, 0.1, 0.0, 256)
    assert (config.tile.rows, config.tile.cols) == (64, 64)
    for fmt in (config.inputs, config.weights):
        assert (fmt.slices, fmt.bw_e, fmt.double, fmt.granularity) == ((1, 1, 2, 4), None, False, "finest")


def test_the_settings_table_states_the_defaults():
    for name, (default, _, _) in (flat.SETTINGS | flat.ENGINE).items():
        if name not in (
            "x_quant_gran",
            "w_quant_gran",
            "adc_range",
            "adc_per",
            "gradient",
            "x_mapping",
            "w_mapping",
            "reference",
            "redraw",
        ):
            value = eval(default)
            engine = DPETensor(**{name: value} | ({"seed": 0} if name != "seed" else {}))
            assert engine.config == Config(), name


def test_every_flat_setting_reaches_the_configuration():
    values = {
        "HGS": 2e-5, "LGS": 2e-7, "g_level": 32, "var": 0.1, "write_var": 0.1, "stuck_fault_ratio": 0.1,
        "stuck_HGS": 0.1, "stuck_LGS": 0.1, "rdac": 32, "vread": 0.2, "vnoise": 0.1, "radc": 512, "snap": True,
        "saturate": False, "array_size": (32, 16), "x_slices": [1, 3], "w_slices": [1, 3], "bw_e": 8,
        "format": "fp16", "x_quant_gran": "per-row", "w_quant_gran": "per-col",
        "wire_resistance": 2.93, "adc_range": 1e-5, "noise_lsb": 0.5, "offset_lsb": 0.5, "gain_error": 0.01, "adc_per": "product", "x_mapping": "signed", "w_mapping": "pair",
        "reference": "ideal", "reference_columns": 2, "redraw": "slice",
    }  # fmt: skip
    seen = {Config()}
    for name, value in values.items():
        config = flat.build(**{name: value})
        assert config not in seen, name
        if name not in ("stuck_fault_ratio", "stuck_LGS"):
            seen.add(config)
    assert flat.build(stuck_fault_ratio=0.1) == flat.build(stuck_LGS=0.1)
    assert flat.build(stuck_fault_ratio=0.1, stuck_fault_value=1) == flat.build(stuck_HGS=0.1)
    assert flat.build(wire_resistance=2, exact_reads=True).wires == Wires(2.0, 2.0, exact_reads=True)
    assert flat.build(wire_resistance=(0, 3)).wires == Wires(0.0, 3.0)
    assert flat.build(bw_e=8, dbfp_en=True).inputs.double
    assert set(values) | {"stuck_fault_value", "dbfp_en", "exact_reads", "device_file"} == set(flat.SETTINGS)


def test_configurations_are_frozen_hashable_values():
    assert Config() == Config()
    assert hash(Config()) == hash(Config())
    assert Config() != Config(Device(var=0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().device.var = 1.0


def test_settings_take_the_numbers_of_any_library():
    assert Device(g_level=np.int64(32), var=np.float32(0.5)) == Device(g_level=32, var=0.5)
    assert Format(np.array([1, 1, 2])).slices == (1, 1, 2)
    assert ADC(np.array([256, 512])).radc == (256, 512)
    assert ADC(np.int64(256)).radc == 256
    if torch is not None:
        assert Format(torch.tensor([1, 1, 2])).slices == (1, 1, 2)
        assert flat.build(x_slices=torch.tensor([1, 3])).inputs.slices == (1, 3)
    assert all(type(bits) is int for bits in Format(np.array([1, 1, 2])).slices)


def test_physical_properties():
    d = Device()
    assert d.step_S == pytest.approx(6.6e-7)
    assert d.rho == pytest.approx(1e-7 / 6.6e-7)
    assert d.grid_unit_S(0) == d.step_S
    assert d.grid_unit_S(10) * 1024 == d.step_S


@pytest.mark.parametrize(
    ("fmt", "cells", "arrays"),
    [
        (Format(), 1, 4),
        (Format(mapping="pair"), 2, 6),
        (Format(mapping="offset"), 1, 3),
        (Format(bw_e=8, double=True), 1, 8),
        (Format(bw_e=8, double=True, mapping="pair"), 2, 12),
    ],
)
def test_arrays_of_a_format(fmt, cells, arrays):
    assert (fmt.cells_per_digit, fmt.arrays) == (cells, arrays)
    weights = Engine(weights=fmt, tile=Tile(8, 8), seed=1).program(np.eye(9))
    assert weights.tiles == (2, 2, arrays)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(10**400, "inf"), (-(10**400), "-inf"), (float("inf"), "inf"), (float("nan"), "nan")],
)
def test_numbers_are_finite(value, shown):
    with pytest.raises(ValueError, match=f"^vread={shown} must be finite"):
        DAC(vread=value)


@pytest.mark.parametrize(
    ("time_s", "text"),
    [(30, "30 s"), (3599, "3599 s"), (3600, "1 h"), (86400 * 2, "2 d"), (31557600 * 3, "3 y")],
)
def test_an_age_is_told_in_the_units_of_time(time_s, text):
    assert str(Age(time_s, False, 1.0)) == f"{text} after programming, not compensated"
    assert seconds("t", text) == time_s


@given(st.integers(-(10**20), 10**20), st.integers(1, 10**20))
def test_ceil_div_rounds_up(a, b):
    assert (ceil_div(a, b) - 1) * b < a <= ceil_div(a, b) * b

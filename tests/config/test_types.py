"""The types of settings, as a checker sees them in a user's program."""

import importlib.util
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from mpimpy.config import _flat as flat

ROOT = Path(__file__).parents[2]

# Every documented call, with lists and arrays. No line is an error.
GOOD = """
from typing import assert_type

import numpy as np

import mpimpy
from mpimpy import (
    ADC, DAC, Config, Device, DPETensor, Drift, Engine, Flicker, Format, Gaussian, MapReducedot, Measured, Ranges,
    Relaxation, Samples, Tile, Wires, WriteVerify, explain, presets,
)
from mpimpy.config import from_dict, to_dict

array = np.array([1e-6, 2e-6, 4e-6, 9e-6])

fmt = Format([1, 1, 2, 4])
Format((1, 1, 2, 4), bw_e=8, double=True, granularity=[64, 64], mapping="pair")
Format(np.array([1, 1, 2]), granularity=(64, 64))
Format.named("fp16", "per-row")
Device(HGS=2e-5, LGS=1e-7, g_level=32, var=0.03, write_var=0.05, stuck_HGS=1e-3)
Device(g_level=4, var=[0.0, 0.02, 0.02, 0.05], write_var=array)
Device(levels=[1e-6, 2e-6, 4e-6, 9e-6], var=0)
Device(levels=array, var=Gaussian([1e-7, 1e-7, 1e-7, 2e-7]))
Device(write_var=Samples([[1e-6, 2e-6], [8e-6]]), g_level=2)
Device(write_var=Samples(np.ones((2, 3)), about_S=array), var=Flicker([0.1, 0.2]), g_level=2)
Device(relaxation=Relaxation([1, "1 d"], [0, [1e-7] * 16], shift_S=[0, -1e-7]))
Device(write_var=Gaussian(1e-7, verified=True), var=Flicker([0.1, 0.2], conductance_S=[0, 1e-5]))
Device(write_var=0.05, verify=WriteVerify(1e-7, pulses=20), drift=Drift([0.05] * 16, 0.01, t0_s=20))
Gaussian(array)
ADC(radc=[4096, 1024], range=[0, 1e-5])
ADC(np.array([256, 512]), range=(0.0, 1e-5))
ADC(radc=None)
ADC(range=Ranges([[0.0]], [[1e-5]]))
Ranges(low=np.zeros((4, 4)), span=np.ones((4, 4)))
config = Config(Device(), DAC(rdac=256), ADC(), Tile(128, 128), fmt, fmt, Wires(2.93, 2.93))
Engine(Device(var=0.02), adc=ADC(radc=1024), weights=Format([1, 4, 5]), wires=Wires(2.93, 2.93), seed=7)
DPETensor(var=[0.05] * 16, radc=[256] * 4, array_size=[32, 32], x_slices=[1, 3], w_quant_gran="per-col", bw_e=None)
MapReducedot(np.eye(2), np.eye(2), radc=1024, var=0.02, seed=7, array_size=(32, 32), wire_resistance=2.93)
Config().replace(device={"var": 0.0}, adc=ADC(512), wires=None)
Engine(seed=1).replace(adc={"radc": 512}, tile=Tile(8, 8), wires=Wires(1, 1)).config
Engine(seed=1).replace(radc=1024, x_slices=[1, 3], device_file="cells.csv", chip=3, backend=None)
assert_type(Engine.from_file("machine.toml"), Engine)
assert_type(Engine.from_dict(Engine(seed=1).to_dict()), Engine)
assert_type(Engine.named("isaac", seed=1), Engine)
assert_type(DPETensor.from_file("machine.json"), DPETensor)
DPETensor(device_file="cells.csv").save_settings("machine.toml")
explain(np.eye(2), np.eye(2), w_slices=np.array([1, 3]), adc_range=[0, 1e-5], write_var=Gaussian(1e-7))

# the values have the exact types of what is stored
assert_type(fmt.slices, tuple[int, ...])
assert_type(config.weights.slices, tuple[int, ...])
assert_type(config.weights.granularity, str | tuple[int, int])
assert_type(config.weights.arrays, int)
assert_type(config.device.HGS, float)
assert_type(config.device.g_level, int)
assert_type(config.device.levels, tuple[float, ...] | None)
assert_type(config.device.var, float | tuple[float, ...] | Gaussian | Samples | Flicker)
assert_type(config.device.grid_unit_S(3), float)
assert_type(config.adc.radc, int | tuple[int, ...] | None)
assert_type(config.adc.range, str | float | tuple[float, float] | Ranges)
assert_type(config.wires, Wires | None)
assert_type(Gaussian([1.0]).sigma_S, float | tuple[float, ...])
assert_type(Samples([[1.0], [2.0]]).conductance_S, tuple[tuple[float, ...], ...])
assert_type(Ranges([[0.0]], [[1.0]]).span, tuple[tuple[float, ...], ...])
assert_type(Config.from_dict({"tile": {"rows": 32}}), Config)
assert_type(mpimpy.ARITHMETIC, int)
assert_type(Device.from_csv("cells.csv", "uS", level="state", missing="skip", outliers="drop", var=0.01), Device)
assert_type(Measured.from_csv("cells.csv", unit="uS").device(drift=Drift(0.05)), Device)
assert_type(presets.device("pcm-joshi", 16, HGS=2e-5, var=0, drift=None), Device)
assert_type(Engine.from_config(config, seed=1), Engine)
from_dict(to_dict(Tile(32, 8)))
"""

# Typos and wrong types. Every line is an error.
BAD = """
DPETensor(rdca=16)
DPETensor(write_vra=0.1)
DPETensor(x_slices=8)
MapReducedot(1, 2, raddc=16)
MapReducedot(1, 2, radc="many")
explain(1, 2, sede=1)
Format("1124")
Format([1.5])
Format(slcies=[1, 1])
Device(vra=0.05)
Device.from_csv("cells.csv", vra=0.05)
Device.from_csv("cells.csv", missing=True)
presets.device("generic", vra=0.05)
Measured.from_csv("cells.csv").device(vra=0.05)
Engine(devcie=Device())
Engine.from_config(Config(), sede=1)
Device(var="0.05")
Device(levels=3)
Device(write_var=Flicker(0.1))
Device(verify=0.1)
ADC(radc=2.5)
ADC(range=None)
Gaussian("wide")
Samples([1.0, 2.0])
Ranges([0.0], [1.0])
Config(device=DAC())
Config().replace(devcie=Device())
Engine().replace(adc=Tile(8, 8))
Engine().replace(raddc=8)
Engine().replace(device="cuda")
Engine.named("isaac", sede=1)
Config().weights.slices.append(1)
Config().device.var = 0.1
"""


LINES = (GOOD + BAD).split("\n")


USER = ROOT / "tests" / "typing"
# no public type is one of a library whose code takes long to read: `mypy` itself, in CI, reads it
CONFIG = """
[mypy]
python_version = 3.11
strict = true
[mypy-mpimpy.*]
ignore_errors = true
[mypy-torch.*,jax.*,jaxlib.*,dask.*,distributed.*,matplotlib.*,scipy.*,optuna.*]
follow_imports = skip
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What a checker says of the program of both, and of tests/typing/user_program.py: it takes a while to begin."""
    folder = tmp_path_factory.mktemp("types")
    path, config = folder / "program.py", folder / "mypy.ini"
    path.write_text("\n".join(LINES), "utf-8")
    config.write_text(CONFIG, "utf-8")
    cache = ROOT / ".mypy_cache" / "user"
    command = [sys.executable, "-m", "mypy", "--config-file", config, "--cache-dir", cache, path]
    command.append(USER / "user_program.py")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def errors(output):
    """Errors of the program of both, by line."""
    found = {}
    for line in output.splitlines():
        if ": error: " in line and "user_program.py:" not in line:
            place, _, message = line.partition(": error: ")
            assert Path(place.partition(".py:")[0]).name == "program", line
            found[int(place.split(":")[-1])] = message
    return found


needs_mypy = pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")


@needs_mypy
def test_every_documented_call_has_a_type(errors):
    assert {number: error for number, error in errors.items() if number < len(GOOD.split("\n"))} == {}


@needs_mypy
def test_typos_are_type_errors(errors):
    calls = {number: line for number, line in enumerate(LINES, 1) if number >= len(GOOD.split("\n")) and line}
    assert list(calls.values()) == BAD.strip().split("\n")
    assert {line for number, line in calls.items() if number not in errors} == set()


@needs_mypy
def test_a_users_program_has_the_errors_that_it_has(output):
    unexpected, missing = runpy.run_path(str(USER / "check.py"))["wrong"](output)
    assert (unexpected, missing) == ([], [])


def test_the_types_name_every_flat_setting():
    assert set(flat.Settings.__annotations__) | set(flat.FurtherSettings.__annotations__) == {
        *flat.SETTINGS,
        *flat.ENGINE,
    }

"""Calls that do not fit: each class answers with what it knows."""

import copy
import dataclasses
import inspect
import pickle

import pytest

import mpimpy
from mpimpy import (
    ADC,
    DAC,
    Config,
    Device,
    DPETensor,
    Drift,
    Engine,
    Flicker,
    Format,
    Gaussian,
    Measured,
    Ranges,
    Relaxation,
    Samples,
    Tile,
    Wires,
    WriteVerify,
    bitslicedpe,
    diffpairdpe,
    fpmemdpe,
    presets,
)  # fmt: skip

ALL = [
    *(
        ADC,
        DAC,
        Config,
        Device,
        Drift,
        Flicker,
        Format,
        Gaussian,
        Measured,
        Ranges,
        Relaxation,
        Samples,
        Tile,
        Wires,
        WriteVerify,
    ),
    *(Engine, DPETensor, bitslicedpe, diffpairdpe, fpmemdpe),
    *(Engine.from_config, Engine.named, Format.named, Measured.from_csv),
    *(Engine(seed=1).program, Engine(seed=1).operator, Engine(seed=1).calibrate),
]


@pytest.mark.parametrize("build", ALL, ids=lambda build: build.__qualname__)
def test_an_unknown_setting_is_answered_by_the_known_ones(build):
    with pytest.raises(TypeError, match=r"^unknown setting 'zzzz': known are \w+") as caught:
        build(zzzz=1)
    assert caught.value.__cause__ is None
    name = next(iter(inspect.signature(build).parameters))
    if len(name) > 1:
        with pytest.raises(TypeError, match=f"^unknown setting '{name}x': did you mean '{name}'") as caught:
            build(**{f"{name}x": 1})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Device(sigma=0.1), "unknown setting 'sigma': known are HGS, LGS, drift"),
        (lambda: Engine(var=0.1), "unknown setting 'var': known are .*; 'var' is a setting of Device"),
        (lambda: ADC(rdac=16), r"unknown setting 'rdac': did you mean 'radc'\?; 'rdac' is a setting of DAC"),
        (lambda: dataclasses.replace(Device(), vra=0.1), r"unknown setting 'vra': did you mean 'var'\?"),
        (lambda: presets.device("pcm-joshi", vra=0.1), r"unknown setting 'vra': did you mean 'var'\?"),
        (lambda: DAC(16, 0.1, 0, 4), "DAC takes 3 settings in a row, not 4: known are rdac, vread, vnoise"),
        (lambda: Engine(*[None] * 9), "Engine takes 7 settings in a row, not 9: known are device, dac"),
        (lambda: DPETensor(*[1] * 40), "DPETensor takes 18 settings in a row, not 40"),
        (lambda: DAC(16, rdac=16), "DAC: rdac is given twice, by its place and by its name: give it once"),
        (lambda: Wires(), "Wires: r_word, r_bit must be given: there is no default"),
        (lambda: Wires(1), "Wires: r_bit must be given"),
        (lambda: Engine.from_config(), r"Engine.from_config: config must be given"),
        (lambda: Engine(seed=1).program(), r"Engine.program: w must be given"),
        (lambda: Engine(seed=1).program([[1.0]], fault=1), r"unknown setting 'fault': did you mean 'faults'\?"),
        (
            lambda: Engine(seed=1).calibrate(1, 1, percentil=1),
            r"unknown setting 'percentil': did you mean 'percentile'",
        ),
    ],
)
def test_a_call_that_does_not_fit(build, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        build()


def test_a_refused_value_keeps_its_message():
    with pytest.raises(TypeError, match=r"^var='x' must be a number"):
        Device(var="x")
    with pytest.raises(TypeError, match=r"^device=DAC\(.*must be a Device"):
        Engine(DAC())


def test_the_classes_are_still_dataclasses():
    config = Config(Device(write_var=Samples([[1e-7], [1e-5]]), g_level=2), wires=Wires(1, 2))
    assert pickle.loads(pickle.dumps(config)) == config == copy.deepcopy(config)
    assert dataclasses.replace(config, wires=None).wires is None
    assert [field.name for field in dataclasses.fields(Tile)] == list(inspect.signature(Tile).parameters)
    assert str(inspect.signature(Tile)) == (
        "(rows: int = 64, cols: int = 64, reference: str = 'cells', reference_columns: int = 1) -> None"
    )
    assert "seed" in inspect.signature(mpimpy.Engine).parameters

    @dataclasses.dataclass(frozen=True)
    class Mine(Tile):
        name: str = ""

    assert Mine(2, 3, name="mine").rows == 2

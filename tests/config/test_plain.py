"""Settings as plain values: the way there and back, and every wrong entry by its dotted key."""

import json
import tomllib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import configs

import mpimpy
from mpimpy import (
    ADC,
    Config,
    Device,
    Drift,
    Flicker,
    Format,
    Gaussian,
    Ranges,
    Relaxation,
    Samples,
    Tile,
    Wires,
    WriteVerify,
)
from mpimpy.config import ARITHMETIC, from_dict, to_dict

PARTS = [
    Device(var=[0.0] + [0.02] * 15),
    Device(levels=[1e-6, 2e-6, 4e-6], var=Gaussian([0.0, 1e-7, 1e-7]), write_var=Samples([[1e-6, 2e-6]] * 3)),
    Device(var=Flicker(0.01), write_var=0.1, verify=WriteVerify(1e-7), drift=Drift([0.05] * 16, 0.01)),
    Device(write_var=Gaussian(2e-7, verified=True), relaxation=Relaxation([1, "1 d"], [0, [1e-7] * 16], [0, -1e-7])),
    Device(var=Flicker([0.1, 0.2], conductance_S=[0, 1e-5])),
    ADC((256, 1024), range=(-1e-6, 1e-5)),
    ADC(range=Ranges([[0.0, 1e-7]], [[1e-5, 1e-6]])),
    ADC(range="lossless"),
    ADC(None),
    Format([1, 3], bw_e=8, double=True, granularity=(64, 2), mapping="pair"),
    Samples([[1e-7, 2e-7], [1e-6]], about_S=[1e-7, 1e-6]),
    Tile(3, 4),
    Wires(2.93, 0),
]


def toml(mapping, where=()):
    """Write plain settings as TOML, which has no null."""
    tables = {name: value for name, value in mapping.items() if isinstance(value, dict)}
    plain = {name: "none" if value is None else value for name, value in mapping.items() if name not in tables}
    lines = [f"[{'.'.join(where)}]"] if where else []
    lines += [f"{name} = {json.dumps(value)}" for name, value in plain.items()]
    return "\n".join(lines + [toml(value, (*where, name)) for name, value in tables.items()])


@pytest.mark.filterwarnings("ignore::mpimpy.MpimpyWarning")
@given(st.one_of(configs(drift=True, wired=True), configs(noise=False)))
@settings(max_examples=60)
def test_every_configuration_survives_json_and_toml(config):
    described = config.to_dict()
    for again in (described, json.loads(json.dumps(described)), tomllib.loads(toml(described))):
        assert Config.from_dict(again) == from_dict(again) == config
        assert from_dict(again).device.positions == config.device.positions
        assert to_dict(from_dict(again)) == described


@pytest.mark.parametrize("part", PARTS)
def test_every_part_survives_json_and_toml(part):
    described = to_dict(part)
    assert described["kind"] == type(part).__name__
    assert "arithmetic" not in described
    assert from_dict(json.loads(json.dumps(described))) == from_dict(tomllib.loads(toml(described))) == part


def test_a_configuration_holds_the_version_of_the_arithmetic():
    described = Config().to_dict()
    assert described["arithmetic"] == mpimpy.ARITHMETIC == ARITHMETIC == 2
    del described["arithmetic"]  # as chips that were saved before there was a version
    assert Config.from_dict(described) == Config()


def test_settings_of_arithmetic_1_have_ideal_reference_columns():
    old = {"arithmetic": 1, "tile": {"rows": 32}}
    assert Config.from_dict(old) == Config(tile=Tile(32, reference="ideal"))
    assert Config.from_dict({"arithmetic": 1}) == Config(tile=Tile(reference="ideal"))
    assert Config.from_dict(Config().to_dict()) == Config()


def test_a_report_holds_the_version_of_the_arithmetic():
    assert mpimpy.explain(np.eye(2), np.eye(2), seed=1).arithmetic == ARITHMETIC


def test_what_is_left_out_has_its_default():
    assert from_dict({}) == Config.from_dict({}) == Config()
    given = {
        "device": {"var": {"kind": "Gaussian", "sigma_S": 2e-7}, "drift": {"nu": 0.05}},
        "adc": {"range": {"low": [[0]], "span": [[1e-5]]}},
        "weights": {"slices": [1, 3]},
        "wires": {"r_word": 1, "r_bit": 2},
    }
    assert from_dict(given) == Config(
        Device(var=Gaussian(2e-7), drift=Drift(0.05)),
        adc=ADC(range=Ranges([[0]], [[1e-5]])),
        weights=Format([1, 3]),
        wires=Wires(1, 2),
    )
    # what was given is as it was
    assert given["device"]["var"] == {"kind": "Gaussian", "sigma_S": 2e-7}


@pytest.mark.parametrize("none", [None, "none"])
def test_none_is_text_where_none_is_allowed(none):
    given = {
        "device": {"HGS": none, "LGS": none, "g_level": none, "levels": none, "verify": none, "drift": none},
        "adc": {"radc": none},
        "inputs": {"bw_e": none},
        "wires": none,
    }
    assert from_dict(given) == Config(adc=ADC(None))
    assert from_dict({"kind": "Samples", "conductance_S": [[1], [2]], "about_S": none}) == Samples([[1], [2]])


REFUSED = [
    ({"device": {"write_var": {"kind": "Gaussian", "sigma_S": -1}}}, ValueError, "device.write_var.sigma_S: sigma_S=-1 S is out of range: it must be at least 0 S"),
    ({"device": {"var": {"kind": "Gaussian", "sigma_S": [1e-7, -1]}}}, ValueError, "device.var.sigma_S: sigma_S[1]=-1 S is out of range"),
    ({"device": {"var": {"kind": "Gausian", "sigma_S": 1}}}, TypeError, "device.var.kind: unknown kind of settings 'Gausian': did you mean 'Gaussian'?"),
    ({"device": {"var": {"sigma_S": 1}}}, TypeError, "device.var.kind: is missing: use one of 'Gaussian', 'Samples', 'Flicker'"),
    ({"device": {"var": {"kind": 3}}}, TypeError, "device.var.kind: kind=3 must be text, such as 'Gaussian'"),
    ({"device": {"write_var": {"kind": "Flicker", "q": 0.1}}}, ValueError, "device.write_var.kind: 'Flicker' does not fit here: use 'Gaussian' or 'Samples'"),
    ({"device": {"kind": "Tile"}}, ValueError, "device.kind: 'Tile' does not fit here: use 'Device'"),
    ({"device": 3}, TypeError, "device: 3 must be the settings of a Device: give a mapping of them"),
    ({"device": None}, TypeError, "device: None must be the settings of a Device"),
    ({"device": "none"}, TypeError, "device: 'none' must be the settings of a Device"),
    ({"device": {"relaxation": {"times_s": [1, 2]}}}, TypeError, "device.relaxation.sigma_S: is missing: Relaxation has no default for it"),
    ({"device": {"drift": 0.05}}, TypeError, "device.drift: 0.05 must be the settings of a Drift"),
    ({"device": {"var": "much"}}, TypeError, "device.var: var='much' must be a number"),
    ({"device": {"var": "none"}}, TypeError, "device.var: var='none' must be a number"),
    ({"device": {"vra": 1}}, TypeError, "device.vra: unknown setting 'vra': did you mean 'var'?"),
    ({"devcie": {}}, TypeError, "devcie: unknown setting 'devcie': did you mean 'device'?"),
    ({"device": {3: 1}}, TypeError, "device.3: the name of a setting must be text"),
    ({"device": {"LGS": 1, "HGS": 1e-5}}, ValueError, "device.LGS: LGS=1 S must be below HGS"),
    ({"device": {"verify": {"tolerance_S": 1e-7}}}, ValueError, "device.verify: verify has no effect without write"),
    ({"device": {"verify": {}}}, TypeError, "device.verify.tolerance_S: is missing: WriteVerify has no default for it"),
    ({"device": {"drift": {"nu": [0.1]}}}, ValueError, "device.drift: drift: nu gives a law to each of 1 levels"),
    ({"weights": {"slices": [2]}}, ValueError, "weights.slices: slices=[2] must begin with 1, the sign bit"),
    ({"weights": {"slices": {"1": 1}}}, TypeError, "weights.slices: slices={'1': 1} must be a list"),
    ({"inputs": {"granularity": "per-rwo"}}, ValueError, "inputs.granularity: granularity 'per-rwo' is unknown"),
    ({"inputs": {"mapping": "offset"}}, ValueError, "inputs: inputs cannot be mapped by an offset"),
    ({"inputs": {"double": 1}}, TypeError, "inputs.double: double exponent (dbfp_en)=1 must be True or False"),
    ({"inputs": {"double": True}}, ValueError, "inputs: a double exponent (dbfp_en=True) needs"),
    ({"adc": {"range": "none"}}, ValueError, "adc.range: range 'none' is unknown"),
    ({"adc": {"range": {"low": [[0]], "span": [[0]]}}}, ValueError, "adc.range.span: span=0 A is out of range"),
    ({"adc": {"range": {"low": [[0]]}}}, TypeError, "adc.range.span: is missing: Ranges has no default for it"),
    ({"adc": {"radc": 2.5}}, TypeError, "adc.radc: radc=2.5 must be a whole number"),
    ({"tile": {"rows": {"kind": "Tile"}}}, TypeError, "tile.rows: rows={'kind': 'Tile'} must be a whole number"),
    ({"dac": {"vread": 10**400}}, ValueError, "dac.vread: vread=inf must be finite"),
    ({"wires": {"r_word": 0, "r_bit": 0}}, ValueError, "wires: Wires(0, 0) has no effect"),
    (
        {"wires": {"r_word": 1, "r_bit": 1, "exact_reads": True}, "device": {"var": 0}},
        ValueError,
        "wires.exact_reads: exact_reads=True has no effect without read variation",
    ),
    ({"arithmetic": 3}, ValueError, "arithmetic: made with arithmetic 3, and this mpimpy computes with 2: use the mpimpy"),
    (
        {"arithmetic": 1, "adc": {"gain_error": 0.1}},
        ValueError,
        "arithmetic: arithmetic 1 had other errors of ADCs (gain_error, offset_lsb, noise_lsb) than arithmetic 2: use the",
    ),
    (
        {"arithmetic": 1, "device": {"var": {"kind": "Flicker", "q": [0.1, 0.01], "conductance_S": [1e-6, 1e-5]}}},
        ValueError,
        "arithmetic: arithmetic 1 had other 1/f noise by conductance (Flicker with conductance_S) than arithmetic 2: use",
    ),
    (
        {"arithmetic": 1, "adc": {"radc": 32, "range": [1.1e-6, 3e-6]}},
        ValueError,
        "arithmetic: arithmetic 1 had other windows of ADCs off zero (range) than arithmetic 2: use the mpimpy",
    ),
    (
        {"arithmetic": 1, "adc": {"range": {"kind": "Ranges", "low": [[0, 1e-7]], "span": [[1e-6, 1e-6]]}}},
        ValueError,
        "arithmetic: arithmetic 1 had other windows of ADCs off zero (range) than arithmetic 2: use the mpimpy",
    ),
    (
        {"arithmetic": 1, "tile": {"reference": "cells"}},
        ValueError,
        "arithmetic: arithmetic 1 had other reference columns of real cells (reference='cells') than arithmetic 2",
    ),
    ({"tile": {"reference": "real"}}, ValueError, "tile.reference: reference='real' is unknown: use 'cells', or 'ideal'"),
    ({"tile": {"reference_columns": 65}}, ValueError, "tile.reference_columns: reference_columns=65 is out of range"),
    (
        {"tile": {"reference": "ideal", "reference_columns": 2}},
        ValueError,
        "tile.reference_columns: reference_columns=2 has no effect with reference='ideal'",
    ),
    (
        {"tile": {"reference_columns": 2}, "weights": {"mapping": "pair"}},
        ValueError,
        "tile.reference_columns: reference_columns=2 has no effect with differential pairs",
    ),
    ({"arithmetic": "1"}, TypeError, "arithmetic: arithmetic='1' must be a whole number"),
    ({"arithmetic": 0}, ValueError, "arithmetic: arithmetic=0 is out of range: it must be at least 1"),
    ({"kind": "Tile", "rows": 0}, ValueError, "rows: rows=0 is out of range"),
    ({"kind": "Tile", "arithmetic": 1}, TypeError, "arithmetic: unknown setting 'arithmetic'"),
    ({"kind": "Machine"}, TypeError, "kind: unknown kind of settings 'Machine'"),
    ([], TypeError, "[] is no settings: give a mapping, such as {'device': {'var': 0.02}}"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "kind", "message"), REFUSED)
def test_a_wrong_entry_is_told_by_its_key(given, kind, message):
    with pytest.raises(kind) as caught:
        from_dict(given)
    assert str(caught.value).startswith(message)


def test_a_configuration_is_no_other_part():
    with pytest.raises(ValueError, match="kind: 'Tile' does not fit here: use 'Config'"):
        Config.from_dict({"kind": "Tile"})
    with pytest.raises(TypeError, match="3 is no settings: give a mapping"):
        Config.from_dict(3)


@pytest.mark.parametrize("value", [3, np.ones(2), {}, Config])
def test_only_settings_become_plain(value):
    with pytest.raises(TypeError, match="is no settings: give a Config, or a part such as Device"):
        to_dict(value)


def test_noise_by_levels_is_upgraded():
    for q in (0.02, [0.1, 0.01]):
        given = {"arithmetic": 1, "device": {"g_level": 2, "var": {"kind": "Flicker", "q": q}}}
        given |= {kind: {"slices": [1, 1]} for kind in ("inputs", "weights")}
        assert Config.from_dict(given).device.var.conductance_S is None


def test_windows_from_zero_are_upgraded():
    nearly = [3e-6 * (1 + 2**-30), 1.5e-5]  # from one step of 3 uA on, but for rounding
    for span in ([0.0, 3e-6], [-1e-6, 3e-6], [3e-6, 7e-6], nearly, 1e-5, "full"):
        given = {"arithmetic": 1, "adc": {"radc": 5, "range": span}}
        assert Config.from_dict(given).tile.reference == "ideal"

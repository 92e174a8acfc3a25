"""The explorer's function: figures of one product as plain values, and the lines that repeat them."""

import json

import pytest

from mpimpy import DAC, Engine, Format, explore, presets
from mpimpy.config._flat import ENGINE, SETTINGS
from mpimpy.explorer import _explore
from mpimpy.explorer._controls import CONTROLS
from mpimpy.explorer._problem import NAMES

SMALL = {"M": 5, "K": 70, "N": 3}


def printed(code, capsys):
    exec(compile(code, "code", "exec"), {})
    return capsys.readouterr().out.rstrip("\n")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"radc": [256, 256, 512, 1024], "array_size": [32, 64], "seed": 7, "chip": 2, "w_slices": [1, 1, 2, 4]},
        {"preset": "pcm-joshi", "g_level": 32, "write_var": 0.02, "age": "30 d", "compensate": True, "rdac": 32},
        {"radc": None, "var": 0, "format": "int8"},
    ],
)
def test_the_code_prints_the_same_report(settings, capsys):
    found = explore(SMALL | settings, pictures=False)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert printed(found["code"], capsys) == found["text"]
    assert all(len(line) <= 88 for line in found["code"].splitlines())
    assert f"SNR                {found['snr_dB']:.2f} dB" in found["text"]
    assert found["settings"] == SMALL | settings
    assert found["counts"]["inputs"] == [5, 70]
    for effect in found["effects"]:
        assert effect["name"] in found["text"]
    silent = [effect["name"] for effect in found["effects"] if effect["alone_dB"] is None]
    assert "stuck cells" in silent


def test_the_numbers_are_those_of_an_engine():
    import numpy as np

    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((5, 70)), rng.standard_normal((70, 3))
    device, weights = presets.device("reram-wan", 8, var=0.01), Format((1, 2, 2, 2))
    engine = Engine(device, DAC(32), weights=weights, seed=1)
    report = engine.program(w).report(x, w)
    given = {"preset": "reram-wan", "g_level": 8, "var": 0.01, "rdac": 32, "w_slices": [1, 2, 2, 2]}
    assert explore(SMALL | given, pictures=False)["snr_dB"] == report.snr_dB


def test_warnings_are_notes():
    found = explore(SMALL | {"HGS": 10.0, "LGS": 0.1}, pictures=False)
    assert any("HGS" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radcs": 3}, "unknown setting 'radcs': did you mean 'radc'"),
        ({"device": "cuda"}, "unknown setting 'device'"),
        ({"M": 0}, "M=0"),
        ({"K": 5000}, "K=5000"),
        ({"preset": "pcm"}, "unknown preset 'pcm'"),
        ({"preset": "sonos", "stuck_fault_ratio": 0.1}, "beside a preset, stuck cells are stuck_HGS and stuck_LGS"),
        ({"age": "1 d"}, "age='1 d' changes nothing here: choose a preset that ages: .*pcm-joshi"),
        ({"age": "1 ms"}, "age='1 ms' is no time"),
        ({"preset": "pcm-joshi", "age": 1}, "age=1 s is before t0_s=20 s"),
        ({"compensate": True}, "compensate=True has no effect without an age"),
        ({"seed": None}, "seed=None would draw anew at each change"),
        ({"technology": "generic"}, "unknown technology 'generic'"),
        ({"technology": "mine.toml"}, "technology='mine.toml': the explorer takes the name of a technology"),
        ({"technology": {"base": "generic-28"}}, "the explorer takes the name of a technology"),
        ({"technology": "generic-28", "radc": None}, "an ideal ADC, radc=None, has no number of codes"),
        ({"w_slices": [1, 5]}, "weight slice of 5 bits needs 32 levels but g_level=16"),
        ([("M", 1)], "settings must be a mapping"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        explore(settings, pictures=False)


def test_a_technology_adds_energy_and_latency_with_their_bands():
    assert explore(SMALL, pictures=False)["cost"] is None
    found = explore(SMALL | {"technology": "generic-45"}, pictures=False)
    cost = found["cost"]
    assert cost["energy_low_J"] < cost["energy_J"] < cost["energy_high_J"]
    assert [name for name, _ in cost["figures"]] == ["energy", "energy per MAC", "efficiency", "latency"]
    assert "-bit inputs" in dict(cost["figures"])["efficiency"]
    assert 'print(W.report(x, w, technology="generic-45"))' in found["code"]
    assert json.loads(json.dumps(found)) == found


def test_work_ends_between_two_steps():
    class Ends(Exception):
        pass

    def check():
        raise Ends

    with pytest.raises(Ends):
        explore(SMALL, check=check)


@pytest.mark.slow
def test_pictures():
    pytest.importorskip("matplotlib")
    found = explore(SMALL | {"wire_resistance": 1})["pictures"]
    titles = ["Measured against expected", "Error budget", "Cells of the first array", "ADC codes", "IR drop"]
    assert [picture["title"] for picture in found] == titles
    assert all(picture["png"].startswith("data:image/png;base64,iVBOR") and picture["alt"] for picture in found)


def test_a_picture_that_cannot_be_drawn_says_why(monkeypatch):
    pytest.importorskip("matplotlib")
    from mpimpy import plot

    def refuses(*_, **__):
        msg = "no such\n  picture"
        raise ValueError(msg)

    for name in ("scatter", "error_budget", "conductance", "adc_codes"):
        monkeypatch.setattr(plot, name, refuses)
    found = explore(SMALL)["pictures"]
    assert [picture["note"] for picture in found] == ["no such picture"] * 4
    monkeypatch.setattr(_explore, "find_spec", lambda name: None)
    assert explore(SMALL)["pictures"] == []


def test_controls_are_settings_with_their_own_defaults():
    controls = [control for group in CONTROLS.values() for control in group]
    names = [control.name for control in controls]
    assert len(set(names)) == len(names)
    assert set(names) <= set(NAMES)
    # these are for the shell and Python
    others = {"vread", "stuck_fault_ratio", "stuck_fault_value", "exact_reads", "dbfp_en", "backend"}
    assert set(NAMES) - set(names) - {"device_file"} == others
    assert set(NAMES) <= {"M", "K", "N", "preset", "age", "compensate", "technology", *SETTINGS, *ENGINE}
    for control in controls:
        assert control.label
        assert control.help
        assert control.kind in ("number", "slices") or control.default in control.values
    sent = {control.name: control.default for control in controls}
    assert explore(sent | SMALL, pictures=False)["snr_dB"] == explore(SMALL, pictures=False)["snr_dB"]

"""Engines as data: dicts and files there and back, files with errors, machines by name, the shell's --config."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from strategies import examples, products

import mpimpy
from mpimpy import (
    ADC,
    Config,
    Device,
    DPETensor,
    Drift,
    Engine,
    Format,
    Gaussian,
    MpimpyWarning,
    Samples,
    Tile,
    WriteVerify,
    bitslicedpe,
    cli,
    machines,
    presets,
)
from mpimpy.config import _flat as flat
from mpimpy.config._changes import HOMES


def same(one, other):
    names = ("config", "seed", "chip", "backend", "gradient", "input_size", "_operand_device")
    return all(getattr(one, name) == getattr(other, name) for name in names)


@pytest.mark.filterwarnings("ignore::mpimpy.MpimpyWarning")
@given(products(drift=True, wired=True))
@settings(max_examples=examples(12))
def test_every_engine_survives_dicts_toml_and_json(tmp_path_factory, drawn):
    config, x, w = drawn
    folder = tmp_path_factory.mktemp("settings")
    engine = Engine.from_config(config, seed=2**64 - 1, chip=3, backend="reference", gradient="clipped")
    described = engine.to_dict()
    found = [Engine.from_dict(described), Engine.from_dict(json.loads(json.dumps(described)))]
    for name in ("machine.toml", "machine.json"):
        Engine.from_dict(described).save_settings(folder / name)
        found.append(Engine.from_file(folder / name))
    assert all(same(engine, each) and each.to_dict() == described for each in found)
    wanted = engine(x, w)
    assert all(np.array_equal(each(x, w), wanted, equal_nan=True) for each in found[-1:])


def test_measured_and_published_devices_are_saved_with_all_their_numbers(tmp_path):
    cells = np.random.default_rng(0).normal([[1e-6], [5e-6], [9e-6]], 2e-7, (3, 100))
    measured = Device(levels=[1e-6, 5e-6, 9e-6], write_var=Samples(cells), var=0.0)
    for device in (measured, *(presets.device(one.name) for one in presets.listing())):
        engine = Engine(device, weights=Format([1, 1, 1]), seed=1)
        for name in ("machine.toml", "machine.json"):
            engine.save_settings(tmp_path / name)
            text = (tmp_path / name).read_text()
            assert same(Engine.from_file(tmp_path / name), engine)
            assert max(map(len, text.splitlines())) < 120 or name.endswith("json")


def test_what_an_engine_has_beside_its_configuration(tmp_path):
    engine = DPETensor(seed=5, device="cpu", input_size=(2, 64))
    engine.save_settings(tmp_path / "a.toml")
    again = DPETensor.from_file(tmp_path / "a.toml")
    assert isinstance(again, DPETensor)
    assert same(engine, again)
    assert type(Engine.from_dict(engine.to_dict())) is Engine
    # formats that come with SlicedData need not fit the machine
    few = DPETensor(g_level=4, rdac=4, seed=1)
    assert few.to_dict()["sliced"] is True
    assert "sliced" not in engine.to_dict()
    assert same(Engine.from_dict(few.to_dict()), few)
    # a configuration is an engine with a fresh seed
    first, second = (Engine.from_dict(Config(tile=Tile(8, 8)).to_dict()) for _ in range(2))
    assert first.config == Config(tile=Tile(8, 8))
    assert first.seed != second.seed
    assert Engine.from_dict({"seed": "none", "backend": "none"}).backend is None
    # reads are no settings
    engine = Engine(seed=1)
    engine(np.eye(2), np.eye(2))
    assert Engine.from_dict(engine.to_dict()).reads == 0


def test_a_file_by_hand_holds_what_is_not_as_usual(tmp_path):
    path = tmp_path / "machine.toml"
    path.write_text(
        "seed = 7\n[device]\nvar = 0.02\nwrite_var = {kind = 'Gaussian', sigma_S = 1e-7}\n[adc]\nradc = 'none'\n"
    )
    assert same(Engine.from_file(path), Engine(Device(var=0.02, write_var=Gaussian(1e-7)), adc=ADC(None), seed=7))
    path.write_text("[device]\nHGS = 10.0\n")
    with pytest.warns(MpimpyWarning, match="HGS=10 S is odd"):
        Engine.from_file(path)


TOML = """seed = 1
chip = {chip}
arithmetic = {arithmetic}
[device]
g_level = {g_level}
[device.write_var]
kind = "Gaussian"
sigma_S = {sigma}
[adc]
radc = {radc}
{more}
"""
GOOD = {"chip": 0, "arithmetic": 2, "g_level": 16, "sigma": 1e-7, "radc": 256, "more": ""}
REFUSED = [
    ({"sigma": -1.0}, "line 8: device.write_var.sigma_S: sigma_S=-1 S is out of range"),
    ({"chip": -1}, "line 2: chip: chip=-1 is out of range"),
    ({"arithmetic": 3}, "line 3: arithmetic: made with arithmetic 3, and this mpimpy computes with 2"),
    ({"g_level": 8}, "line 4: weights.slices: weight slice of 4 bits needs 16 levels but g_level=8"),
    ({"radc": [256, 64]}, "line 10: adc.radc: radc=(256, 64) gives 2 ADC resolutions for 4 weight slices"),
    ({"more": "[tile]\nrow = 32"}, "line 12: tile.row: unknown setting 'row': did you mean 'rows'?"),
    ({"more": "[tiles]"}, "line 11: tiles: unknown setting 'tiles': did you mean 'tile'?"),
    ({"more": "[var]"}, "line 11: var: is a flat name, and files have parts: give device.var"),
    ({"more": "[adc_range]"}, "line 11: adc_range: is a flat name, and files have parts: give adc.range"),
    ({"more": "[seed]"}, "line 11: Cannot overwrite"),
    ({"more": "radc = 64"}, "line 11: Cannot overwrite"),
    ({"more": "[gradient]"}, "line 11: gradient: gradient={} is unknown"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_errors_name_the_line_and_the_dotted_key(tmp_path, change, message):
    path = tmp_path / "machine.toml"
    path.write_text(TOML.format(**GOOD | change))
    if "weights.slices" in message:  # the file has no such line: its own is the nearest
        message = message.replace("line 4: ", "")
    with pytest.raises((TypeError, ValueError)) as error:
        Engine.from_file(path)
    place, _, text = message.partition(": ") if message.startswith("line") else ("", "", message)
    assert str(error.value).startswith(f"{path}, {place}: {text}" if place else f"{path}: {text}")


def test_settings_of_arithmetic_1_are_told_and_upgraded(tmp_path):
    path = tmp_path / "machine.json"
    path.write_text('{"arithmetic": 1}')
    assert Engine.from_file(path).config == Config(tile=Tile(reference="ideal"))
    path.write_text('{\n"arithmetic": 1,\n"tile": {"reference": "cells"}}')
    with pytest.raises(ValueError, match=r"json, line 2: arithmetic: arithmetic 1 had other reference columns"):
        Engine.from_file(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"device": {\n"var": -1}}', "line 2: device.var: var=-1 is out of range"),
        ('{"a": [{"var": 1}],\n"device": {"levels": [1,\n2], "var": "x"}}', "line 1: a: unknown setting 'a'"),
        ('{"device": {"x": 1,\n"levels": [1,\n2]}}', "line 1: device.x: unknown setting 'x'"),
        ('{"seed": 1,\n"device": {"var": 0.1,\n"var": 0.2}}', "line 3: device.var is given twice"),
        ('{"seed": 1,\n"device": [{"var": 1}, {"var": 2}]}', "line 2: device: [{'var': 1}, {'var': 2}] must be"),
        ('{"seed": 1,\n\n}', "line 3: "),
        ("[]", "line 1: it must hold an object"),
        ("[" * 100000, " it is nested too deeply"),
        ('{"seed": "\\"}{", \n"chip": "[:,"}', "line 1: seed: "),
        ('{"kind": "Tile"}', "line 1: kind: 'Tile' does not fit here: use 'Engine'"),
        ('{"input_size": 3}', "line 1: input_size: input_size=3 must be two whole numbers"),
        ('{"operand_device": 3}', "line 1: operand_device: 3 must be text"),
        ('{"sliced": 1}', "line 1: sliced: sliced=1 must be True or False"),
        ('{"backend": "numb"}', "line 1: backend: backend 'numb' is unknown"),
    ],
)
def test_json_names_the_line_too(tmp_path, text, message):
    path = tmp_path / "machine.json"
    path.write_text(text)
    with pytest.raises((TypeError, ValueError)) as error:
        Engine.from_file(path)
    assert str(error.value).startswith(f"{path}{', ' if message.startswith('line') else ':'}{message}")


def test_refusals(tmp_path):
    for call in (Engine.from_file, Engine(seed=1).save_settings):
        with pytest.raises(ValueError, match=r"machine.yml: a file of settings has a name that ends in .toml or .json"):
            call("machine.yml")
        with pytest.raises(TypeError, match="path=3 must be the path of a file"):
            call(3)
    with pytest.raises(OSError, match=r"no.toml: cannot be read"):
        Engine.from_file(tmp_path / "no.toml")
    with pytest.raises(OSError, match="cannot be written"):
        Engine(seed=1).save_settings(tmp_path / "none" / "a.toml")
    with pytest.raises(TypeError, match=r"3 is no settings"):
        Engine.from_dict(3)
    for call in (bitslicedpe(seed=1).to_dict, lambda: bitslicedpe.from_dict({}), lambda: bitslicedpe.named("isaac")):
        with pytest.raises(TypeError, match="bitslicedpe has settings in the calls of its products"):
            call()


# -- changes by flat names -------------------------------------------------------------------------

FLAT = {
    "HGS": 2e-5,
    "LGS": 0.0,
    "g_level": 32,
    "var": 0.0,
    "write_var": Gaussian(1e-7),
    "redraw": "slice",
    "stuck_HGS": 0.1,
    "stuck_LGS": 0.1,
    "rdac": 32,
    "vread": 0.2,
    "vnoise": 0.1,
    "radc": (64, 64, 64, 256),
    "snap": True,
    "saturate": False,
    "adc_range": (0.0, 1e-5),
    "noise_lsb": 0.5,
    "offset_lsb": 0.5,
    "gain_error": 0.01,
    "adc_per": "product",
    "array_size": (32, 16),
    "reference": "ideal",
    "reference_columns": 2,
    "wire_resistance": (1.0, 2.0),
    "x_slices": (1, 3),
    "w_slices": (1, 1, 2),
    "bw_e": 8,
    "format": "fp16",
    "x_mapping": "signed",
    "w_mapping": "pair",
    "x_quant_gran": "per-matrix",
    "w_quant_gran": (64, 2),
}


def test_every_flat_setting_changes_a_machine_as_it_makes_one(tmp_path):
    cases = [{name: value} for name, value in FLAT.items()]
    cases += [{"dbfp_en": True, "bw_e": 8}, {"exact_reads": True, "wire_resistance": 1.0}]
    cases += [{"stuck_fault_ratio": 0.2}, {"stuck_fault_ratio": 0.2, "stuck_fault_value": 1}]
    cells = tmp_path / "cells.csv"
    cells.write_text("level,measured_uS\n" + "".join(f"{n},{1 + n + m / 100}\n" for n in range(16) for m in range(8)))
    cases += [{"device_file": cells, "stuck_HGS": 0.1, "var": 0.03}]
    assert {name for case in cases for name in case} == set(flat.SETTINGS) == set(HOMES)
    for case in cases:
        assert Config().replace(**case) == flat.build(**case), case
        assert Engine(seed=1, chip=2).replace(**case).config == flat.build(**case)


def test_a_change_keeps_the_rest():
    engine = DPETensor(
        **{**FLAT, "radc": 1024, "snap": False, "adc_per": "slice", "reference": "cells", "reference_columns": 1}
        | {"format": None, "bw_e": None, "redraw": "product", "var": 0.1, "exact_reads": True},
        seed=1,
    )
    for name, value in {
        "var": 0.2,
        "radc": 64,
        "x_slices": (1, 2),
        "wire_resistance": 3.0,
        "array_size": (8, 8),
    }.items():
        found = engine.replace(**{name: value}).config
        places = {place.partition(".")[0] for place in HOMES[name]}
        for part in ("device", "dac", "adc", "tile", "inputs", "weights", "wires"):
            assert (getattr(found, part) == getattr(engine.config, part)) == (part not in places), (name, part)
    assert engine.replace(wire_resistance=3.0).config.wires.exact_reads
    assert engine.replace(wire_resistance=0).config.wires is None
    assert not engine.replace(exact_reads=False).config.wires.exact_reads
    assert engine.replace(format="int4").config.inputs == Format([1, 1, 2], mapping="signed", granularity="per-matrix")
    assert engine.replace(stuck_fault_ratio=0.3).config.device.stuck_HGS == 0.0
    assert engine.replace(stuck_fault_ratio=0.3).config.device.stuck_LGS == 0.3
    assert engine.replace(x_slices=None, x_quant_gran=None).config.inputs == Format(mapping="signed")
    other = engine.replace(
        seed=2, chip=3, backend="reference", gradient="written", var=0.0, dac={"rdac": 64}, wires=None
    )
    assert (other.seed, other.chip, other.backend, other.gradient) == (2, 3, "reference", "written")
    assert (other.config.device.var, other.config.dac.rdac, other.config.dac.vread) == (0.0, 64, 0.2)
    assert engine.replace(seed=None).seed != 1
    assert engine.replace().config == engine.config


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"device": {"LGS": 0}, "var": 0.1}, TypeError, r"var is a setting of device, which is given as well: give it there, device=\{'var': ...\}, or leave device out"),
        ({"device": Device(), "device_file": "a.csv"}, TypeError, r"device_file and device are two devices: give one, or device=Device.from_csv\(path"),
        ({"weights": {"bw_e": 8}, "bw_e": 8}, TypeError, "bw_e is a setting of weights, which is given as well"),
        ({"adc": ADC(), "adc_range": 1e-5}, TypeError, r"adc_range is a setting of adc, .* adc=\{'range': ...\}"),
        ({"read": 3}, TypeError, "read is no setting: it is an argument of explain, and of products"),
        ({"rdac2": 1}, TypeError, "unknown part or setting 'rdac2': did you mean 'rdac'"),
        ({"drift": None}, TypeError, r"drift is no flat setting: change it in its part, device=\{'drift': ...\}"),
        ({"rows": 3}, TypeError, r"rows is no flat setting: change it in its part, tile=\{'rows': ...\}"),
        ({"device": "cuda"}, TypeError, "device='cuda' must be a Device"),
        ({"input_size": (1, 2)}, TypeError, "unknown part or setting 'input_size'"),
        ({"stuck_fault_value": 1}, ValueError, "stuck_fault_value says where the cells of stuck_fault_ratio sit"),
        ({"format": "int4", "bw_e": 8}, ValueError, "format='int4' already says"),
        ({"exact_reads": True}, ValueError, "exact_reads=True has no effect without wires"),
        ({"x_slices": [2]}, ValueError, "inputs: slices"),
        ({"chip": -1}, ValueError, "chip=-1 is out of range"),
        ({"device_file": ""}, ValueError, "device_file='' names no file: give a path"),
        ({"device_file": 3}, TypeError, "device_file=3 must be the path of a CSV file"),
        ({"device_file": Device()}, TypeError, "a Device is for Engine"),
        ({"device_file": "no.csv"}, OSError, "no.csv"),
    ],
)  # fmt: skip
def test_what_does_not_fit_a_change(given, kind, message):
    with pytest.raises(kind, match=message):
        Engine(seed=1).replace(**given)


# -- measured devices by flat name, machines, the shell -----------------------------------------------


@pytest.fixture
def cells(tmp_path):
    rng = np.random.default_rng(0)
    rows = [f"{n},{1 + n + rng.normal(0, 0.05):.4f}" for n in range(16) for _ in range(20)]
    path = tmp_path / "cells.csv"
    path.write_text("level,measured_uS\n" + "\n".join(rows))
    return path


def test_a_measured_device_keeps_what_its_file_does_not_say(cells, tmp_path):
    kept = {
        "var": [0.01] * 16,
        "stuck_HGS": 0.01,
        "stuck_LGS": 0.02,
        "redraw": "slice",
        "verify": WriteVerify(1e-7),
        "drift": Drift(0.05, 0.01),
    }
    engine = Engine(Device(2e-5, 1e-6, 16, write_var=0.1, **kept), seed=1)
    found = engine.replace(device_file=cells, stuck_HGS=0.03).config.device
    assert found == Device.from_csv(cells, **kept | {"stuck_HGS": 0.03})
    with pytest.raises(ValueError, match=r"var gives a law to each of 4 levels, but g_level=16"):
        Engine(Device(g_level=4, var=[0.1] * 4), weights=Format([1, 1]), seed=1).replace(device_file=cells)
    (tmp_path / "machine.toml").write_text(f"device_file = '{cells}'\n")
    with pytest.raises(
        TypeError, match=r"machine.toml, line 1: device_file: .* names no other file: give it to replace"
    ):
        Engine.from_file(tmp_path / "machine.toml")


def test_a_measured_device_by_flat_name(cells):
    device = Device.from_csv(cells)
    assert DPETensor(device_file=str(cells), seed=1).config.device == device
    assert DPETensor(device_file=cells, var=0.05, stuck_HGS=0.1).config.device == Device.from_csv(
        cells, var=0.05, stuck_HGS=0.1
    )
    assert DPETensor(2e-5, device_file=None).config.device.HGS == 2e-5
    # what was given counts, though it is the default
    with pytest.raises(ValueError, match=r"HGS=1e-05 contradicts levels, by which it is"):
        DPETensor(1e-5, device_file=cells)
    with pytest.raises(ValueError, match="g_level=8 contradicts levels"):
        DPETensor(device_file=cells, g_level=8)
    x, w = np.eye(16), np.ones((16, 3))
    product = mpimpy.MapReducedot(x, w, device_file=str(cells), seed=1)
    assert np.array_equal(product, Engine(device, seed=1)(x, w))
    cells.write_text(cells.read_text().replace("15,16", "15,17"))
    assert DPETensor(device_file=str(cells)).config.device != device  # the file is read again
    with pytest.raises(TypeError, match=r"device=Device\(...\) is the memristors.*device_file='cells.csv'"):
        DPETensor(device=device)


def test_machines_by_name():
    for machine in machines.listing():
        engine = Engine.named(machine.name, seed=4, chip=2)
        assert (engine.seed, engine.chip) == (4, 2)
        assert all((machine.published, machine.chosen, machine.source))
    assert DPETensor.named("prime").seed != DPETensor.named("prime").seed
    config = Engine.named("isaac").config
    assert config.weights.digits == (2,) * 8
    assert config.inputs.digits == (1,) * 16
    # 16-bit integers come out exactly
    rng = np.random.default_rng(0)
    x, w = rng.integers(-(2**15) + 1, 2**15, (4, 200)), rng.integers(-(2**15) + 1, 2**15, (200, 3))
    x[0, 0] = w[0, 0] = 2**15 - 1
    assert np.array_equal(np.rint(Engine.named("isaac")(x, w)), x @ w)
    assert Engine.named("neurram").config.device == presets.device("reram-wan", g_level=16)
    assert Engine.named("neurram").config.dac.vread == 0.5
    assert Engine.named("prime").config.weights.digits == (4, 4)
    with pytest.raises(TypeError, match=r"unknown machine 'isac': did you mean 'isaac'\?"):
        Engine.named("isac")


def test_the_shell_takes_a_file_a_name_and_a_measured_device(tmp_path, monkeypatch, capsys, cells):
    monkeypatch.chdir(tmp_path)
    x, w = np.eye(16), np.arange(48.0).reshape(16, 3)
    np.save("x.npy", x)
    np.save("w.npy", w)
    cells = cells.rename("cells,b.csv")
    engine = Engine(Device(var=0.02), seed=7, backend="reference")
    engine.save_settings("machine.toml")
    for options, wanted in (
        (["--config", "machine.toml"], engine),
        (["--config", "machine.toml", "--radc", "1024", "--chip", "2"], engine.replace(radc=1024, chip=2)),
        (["--config", "isaac", "--seed", "3"], Engine.named("isaac", seed=3)),
        (["--device_file", "cells,b.csv", "--seed", "3"], Engine(Device.from_csv(cells), seed=3)),
        (
            ["--config", "machine.toml", "--device_file", "cells,b.csv"],
            Engine(Device.from_csv(cells, var=0.02), seed=7),
        ),
        (["--config", "machine.toml", "--device_file", "none"], engine.replace()),
    ):
        assert cli.main(["dot", "x.npy", "w.npy", "--out", "y.npy", *options]) == 0
        assert np.array_equal(np.load("y.npy"), wanted(x, w)), options
        assert f"seed     {wanted.seed}, chip {wanted.chip}" in capsys.readouterr().out
    assert cli.main(["dot", "x.npy", "w.npy", "--config", "none.toml"]) == 2
    assert "none.toml: cannot be read" in capsys.readouterr().err
    assert cli.main(["dot", "x.npy", "w.npy", "--config", "isac"]) == 2
    assert "unknown machine 'isac': did you mean 'isaac'?" in capsys.readouterr().err
    assert cli.main(["demo", "matmul", "--config", "isaac"]) == 2
    assert "--config has no effect on the demo matmul" in capsys.readouterr().err

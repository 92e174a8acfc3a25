"""Technologies as plain values and as files: the way there and back, changes of others, every wrong entry by its line."""

import dataclasses
import json
import re
import tomllib

import numpy as np
import pytest
from costing import W, X, engine

from mpimpy import MpimpyWarning
from mpimpy.cost import AdcLaw, Anchor, Figure, Technology
from mpimpy.cost._technology import as_technology

GENERIC = Technology.generic(28)
ALL = GENERIC.replace(
    adc=Anchor(2e-12, bits=7.5, low=1e-12, high=3e-12, source='a "chip", d\'une'),
    adder=None,
    dac=Anchor(1e-13, bits=2, source="a chip"),
    read_cycle=Figure(2e-7, "s", 1.5e-7, 1 / 3e6, "a chip"),
    coding="width",
    line_voltage=Figure.chosen(1.3, "V"),
    adcs_per_array=8,
    whole_arrays=False,
    cell_area=Anchor(1e-14, unit="m2", source="a chip"),
    note="mine",
)
CORE = Technology.named("hermes-2022").replace(core_array=(64, 32))


@pytest.mark.parametrize(
    "tech", [GENERIC, *map(Technology.named, ("neurram-2022", "hermes-2022", "isaac-2016")), ALL, CORE], ids=repr
)
def test_there_and_back(tmp_path, tech):
    values = tech.to_dict()
    assert None not in values.values()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    for again in (Technology.from_dict(values), as_technology(values)):
        assert again == tech
        assert (again.name, again.note) == (tech.name, tech.note)
    for ending in ("toml", "json", "TOML"):
        path = tmp_path / f"mine.{ending}"
        tech.save(path)
        for found in (Technology.from_file(path), as_technology(path), as_technology(str(path))):
            assert found == tech
            assert found.sources() == tech.sources()
    text = (tmp_path / "mine.toml").read_text()
    assert text.startswith("# A technology of mpimpy, in SI units: cost.Technology.from_file reads it.\n")
    assert tomllib.loads(text) == values == json.loads((tmp_path / "mine.json").read_text())


def test_a_law_keeps_its_node():
    law = AdcLaw(Figure(1e-14, "J", 1e-15, 1e-13, "user"), 65)
    found = Technology.from_dict(GENERIC.replace(adc=law).to_dict())
    assert found.adc == law


def test_products_take_technologies_of_files_and_of_plain_values(tmp_path):
    ALL.replace(adc=GENERIC.adc).save(tmp_path / "mine.toml")
    W_ = engine().program(W)
    wanted = W_.cost(X, ALL.replace(adc=GENERIC.adc))
    for given in (tmp_path / "mine.toml", str(tmp_path / "mine.toml"), ALL.replace(adc=GENERIC.adc).to_dict()):
        assert W_.cost(X, given) == wanted
    assert W_.report(X, technology=tmp_path / "mine.toml").cost == wanted


def test_changes_of_another_technology(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(
        "base = 'Generic-45'\nsource = 'my design'\nadcs_per_array = 8\nread_time = 5e-8\nadder = 'none'\n"
        "[adc]\nvalue = 2.55e-12\nbits = 8\nsource = 'Kull, ISSCC 2013'\n"
        "[adc_rate]\nvalue = 1.2e9\nlow = 1.1e9\nhigh = 1.3e9\nsource = 'Kull'\n"
    )
    wanted = Technology.generic(45).replace(
        adcs_per_array=8,
        read_time=5e-8,
        adder=None,
        adc=Anchor(2.55e-12, bits=8, source="Kull, ISSCC 2013"),
        adc_rate=Figure(1.2e9, "Hz", 1.1e9, 1.3e9, "Kull"),
        source="my design",
    )
    found = Technology.from_file(path)
    assert found == wanted
    assert (found.name, found.read_time.source) == ("generic-45*", "my design")
    assert not found.read_time.banded
    assert Technology.from_dict({"base": "generic-28"}) == GENERIC
    assert Technology.from_dict({"base": "generic-28", "name": "mine", "adcs_per_array": 2}).name == "mine"
    chosen = Technology.from_dict({"base": "generic-28", "read_time": {"value": 1e-8, "source": "user"}})
    assert chosen.read_time == Figure.chosen(1e-8, "s")


def test_odd_numbers_of_a_file_are_told(tmp_path):
    (tmp_path / "odd.toml").write_text("base = 'generic-28'\nread_time = 100\nsource = 'user'\n")
    with pytest.warns(MpimpyWarning, match=r"^read_time=100 s is odd") as told:
        Technology.from_file(tmp_path / "odd.toml")
    assert len(told) == 1


WHOLE = "name = 'x'\nnode_nm = 14\n[read_time]\nvalue = 1e-8\nsource = 'u'\n[adc_rate]\nvalue = 1e8\nsource = 'u'\n"
WRONG = {
    "adcs_per_aray = 8": "line 2: adcs_per_aray: unknown setting of a technology 'adcs_per_aray': did you mean",
    "coding = 'pwm'": "line 2: coding: coding='pwm' is unknown: use one of",
    "adcs_per_array = 0": "line 2: adcs_per_array: adcs_per_array=0 is out of range",
    "node_nm = 14": "line 2: node_nm: node_nm cannot be replaced",
    "read_time = 1e-8": "line 2: read_time: read_time=1e-08 has no source: ",
    "source = 'user'": "line 2: source: source='user' has no effect",
    "\nsource = 'user'\nread_time = -1": "line 4: read_time: read_time=-1 s is out of range",
    "line_supply = 1.0\nsource = 'user'": "line 2: line_supply: line_supply has no effect without line_voltage=",
    "adc = 1e-12": "line 2: adc: adc=1e-12 must be a cost.Anchor in J",
    "[adc]\nvalue = 1e-12\nbits = 8": "line 2: adc: source='' of the anchor 1e-12 J must be text",
    "[adc]\nvalue = 1e-12\nbit = 8": "line 2: adc: unknown entry 'bit': did you mean 'bits'?",
    "[adc]\nbits = 8": "line 2: adc: an entry without value= has no number: add it",
    "[adc]\nnode_nm = 28\nenergy = 3": "line 2: adc: 3 must be a table with a value and its source",
    "[adc]\nenergy = {}\nnode = 3": "line 2: adc: unknown entry of a law of converters 'node': did you mean 'node_nm'?",
    "[adc]\nenergy = {value = 1e-14, source = 'u'}": "line 2: adc: adc is a law of converters without node_nm=: add",
    "[read_time]\nvalue = 1e-8": "line 2: read_time: source='' of the figure 1e-08 s must be text",
    "[read_time]\nvalue = 1e-8\nunit = 'V'\nsource = 'u'": "line 2: read_time: read_time is in V, and must be in s",
    "[read_time]\nvalue = 1e-8\nlow = 2e-8\nsource = 'u'": "line 2: read_time: low=2e-08, value=1e-08, high=1e-08 of a",
    "[coding]\nkind = 'pwm'": "line 2: coding: coding={'kind': 'pwm'} must be a value, and no table",
    "read_time": "line 2: Expected '=' after a key",
}


@pytest.mark.parametrize("text", WRONG)
def test_wrong_entries_are_told_with_their_line(tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(f"base = 'generic-28'\n{text}\n")
    with pytest.raises((TypeError, ValueError), match=f"^mine.toml, {re.escape(WRONG[text])}"):
        Technology.from_file("mine.toml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base = 'generic'", ", line 1: base: unknown technology 'generic': did you mean 'generic-28'?"),
        ("base = 'generic-2'", ", line 1: base: node_nm=2 is outside the data of the laws, 7 to 130 nm"),
        ("base = 28", ", line 1: base: base=28 must be the name of a technology"),
        ("", ": name, node_nm, read_time, adc, adc_rate missing: add what a technology needs, or base = 'generic-28'"),
        (WHOLE, ": adc missing: add"),
        (f"source = 'user'\n{WHOLE}[core]\nvalue = 1e-9\nsource = 'u'", ": source has no effect without base"),
        (
            f"core_rdac = 1\n{WHOLE}[core]\nvalue = 1e-9\nsource = 'u'",
            ", line 1: core_rdac: core_rdac=1 is out of range",
        ),
        ('{"base": "generic-28",\n"share_dacs": 0}', ", line 2: share_dacs: share_dacs=0 must be True or False"),
    ],
)
def test_wrong_files(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    name = "mine.json" if text.startswith("{") else "mine.toml"
    (tmp_path / name).write_text(text)
    with pytest.raises((TypeError, ValueError), match=f"^{name}{re.escape(message)}"):
        Technology.from_file(name)


def test_a_whole_description_with_a_core_needs_no_converter():
    values = tomllib.loads(f"{WHOLE}[core]\nvalue = 1e-9\nsource = 'u'")
    found = Technology.from_dict(values)
    assert found.adc is None
    assert found.adc_rate == Figure.chosen(1e8, "Hz", "u")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"base": "generic-28", "adcs_per_array": 0}, "adcs_per_array=0 is out of range"),
        ({"base": "generic-28", "adcs": 1}, "unknown setting of a technology 'adcs'"),
        ({}, "name, node_nm, read_time, adc, adc_rate missing"),
        ({**GENERIC.to_dict(), "adc": None}, "adc=None must be a cost.Anchor in J"),
    ],
)
def test_plain_values_have_no_lines(values, message):
    with pytest.raises((TypeError, ValueError), match=f"^{message}"):
        as_technology(values)


def test_what_is_no_file_is_refused(tmp_path):
    for call in (Technology.from_file, as_technology):
        with pytest.raises(OSError, match=r"none.toml: cannot be read: No such file or directory"):
            call(tmp_path / "none.toml")
        with pytest.raises(ValueError, match=r"a file of settings has a name that ends in .toml or .json$"):
            call(tmp_path / "generic-28")
    with pytest.raises(ValueError, match=r"^mine.txt: a file of settings has a name that ends in .toml or .json$"):
        GENERIC.save("mine.txt")
    with pytest.raises(TypeError, match=r"^path=3 must be the path of a file"):
        GENERIC.save(3)
    with pytest.raises(OSError, match=r"mine.toml: cannot be written: "):
        GENERIC.save(tmp_path / "none" / "mine.toml")
    for values in (3, None, "generic-28"):
        with pytest.raises(TypeError, match=r"^.* must be a dict of the settings of a technology, such as \{'base'"):
            Technology.from_dict(values)


def test_every_setting_is_in_the_description():
    kinds = {item.name for item in dataclasses.fields(Technology)}
    assert set(ALL.to_dict()) | set(CORE.to_dict()) | set(Technology.named("neurram-2022").to_dict()) | {
        "cell", "driver_supply", "buffer",
    } == kinds  # fmt: skip
    every = GENERIC.replace(
        driver_supply=Figure.chosen(1.0, "V"),
        cell=Anchor(1e-15, source="user"),
        line_voltage=np.float32(1.5),
        source="user",
    )
    assert Technology.from_dict(every.to_dict()) == every

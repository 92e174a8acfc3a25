"""Technologies: sources of every constant, names, changes, and every setting that is refused."""

import dataclasses
import re

import numpy as np
import pytest

from mpimpy import MpimpyWarning
from mpimpy.cost import AdcLaw, Anchor, Figure, Sources, Technology
from mpimpy.cost._technology import as_technology

NAMES = ["generic-7", "generic-28", "generic-130", "neurram-2022", "hermes-2022", "isaac-2016"]
GENERIC = Technology.generic(28)
FIGURES = {
    "read_time": "s",
    "read_cycle": "s",
    "driver_supply": "V",
    "line_voltage": "V",
    "line_supply": "V",
    "cell_capacitance": "F",
    "end_capacitance": "F",
    "adc_rate": "Hz",
    "adder": "J/bit",
    "buffer": "J/bit",
    "write_voltage": "V",
    "write_time": "s",
}
ANCHORS = {"dac": "J", "cell": "J", "core": "J", "cell_area": "m2", "adc_area": "m2", "core_area": "m2"}


def constants(tech):
    """Yield (name, figure) of every constant of a technology."""
    for item in dataclasses.fields(tech):
        value = getattr(tech, item.name)
        if isinstance(value, AdcLaw):
            yield item.name, value.energy
        elif isinstance(value, Anchor):
            yield item.name, value.figure
        elif isinstance(value, Figure):
            yield item.name, value


@pytest.mark.parametrize("name", NAMES)
def test_every_constant_has_a_band_and_a_source(name):
    tech = Technology.named(name)
    found = dict(constants(tech))
    assert len(found) >= 4
    for figure in found.values():
        assert figure.low <= figure.value <= figure.high
        assert len(figure.source) >= 6
        assert figure.banded or figure.source == "chosen"
    sources = tech.sources()
    assert isinstance(sources, Sources)
    operation = ["coding", "adcs_per_array", "sample_and_hold", "share_dacs"]
    operation += ["whole_arrays"] if tech.core is None else ["core_array", "core_rdac"]
    assert [row[0] for row in sources] == ["node", *operation, *found]
    text = str(sources)
    assert text == repr(sources)
    assert all(cell.strip() for row in sources for cell in row)
    for constant, figure in found.items():
        assert re.search(rf"^{constant} .*{re.escape(figure.source)}$", text, re.M)
    page = sources._repr_html_()
    assert all(f"{constant}" in page for constant in found)
    assert "<th" in page
    assert str(tech) == f"technology {name}\n{text}"
    assert repr(tech) == f"Technology.named({name!r})"
    assert repr(tech.replace(adcs_per_array=5)) == f"<Technology {name}*: {tech.node_nm:g} nm>"
    assert repr(tech.replace(adcs_per_array=5, name=name)).startswith("<")  # its name alone does not make it
    assert f"technology {name}" in tech._repr_html_()
    assert page.partition("<th")[2].rpartition("</table>")[0] in tech._repr_html_()


def test_sources_tell_the_operation():
    rows = {name: (value, source) for name, value, source in GENERIC.sources()}
    assert rows["coding"] == ("amplitude", "chosen")
    assert rows["adcs_per_array"] == ("one a column", "chosen")
    assert rows["sample_and_hold"][0] == "True"
    assert rows["share_dacs"][0] == "False"
    assert rows["whole_arrays"][0] == "as simulated"
    tech = GENERIC.replace(coding="width", adcs_per_array=8, sample_and_hold=False, share_dacs=True, whole_arrays=True)
    values = [value for _, value, _ in tech.sources()]
    assert values[1:6] == ["width", "8", "False", "True", "True"]
    core = {name: value for name, value, _ in Technology.named("hermes-2022").sources()}
    assert (core["core_array"], core["core_rdac"]) == ("256 x 256", "128")
    bare = GENERIC.replace(core=CORE)
    assert not {"core_array", "core_rdac", "whole_arrays"} & {name for name, _, _ in bare.sources()}


def test_every_kind_of_constant_is_in_the_tests():
    kinds = {item.name for item in dataclasses.fields(Technology)}
    assert set(FIGURES) | set(ANCHORS) < kinds
    others = {"name", "node_nm", "adc", "coding", "adcs_per_array", "sample_and_hold", "share_dacs", "whole_arrays"}
    assert kinds - set(FIGURES) - set(ANCHORS) == others | {"core_array", "core_rdac", "note"}


def test_laws_of_a_node_follow_the_node():
    fine, coarse = Technology.generic(14), Technology.generic(130)
    assert coarse.cell_capacitance.value == pytest.approx(2.1e-15)
    assert fine.cell_capacitance.value == pytest.approx(2.1e-15 * 14 / 130)
    assert fine.end_capacitance.value == pytest.approx(48e-15 * 14 / 130)
    assert (fine.adc.node_nm, coarse.adc.node_nm) == (14, 130)
    assert "times" not in coarse.cell_capacitance.source
    assert "scaled by pitch, times 0.108" in fine.cell_capacitance.source
    at_home = Technology.generic(40).adder
    assert at_home.value == 6.6e-15
    assert (at_home.low, at_home.high) == (3.3e-15, 13.2e-15)
    # at 45 nm the memory was taken at 0.9 V, and the node's own supply is 1.0 V
    assert Technology.generic(45).buffer.value == pytest.approx(10e-12 / 64 * 0.8612 / 0.6989, rel=1e-3)


@pytest.mark.parametrize(
    "name",
    ["generic-28", "generic-28nm", "generic-28.0", "Generic-28NM", np.str_("generic-28"), np.array("generic-28")],
)
def test_names_of_a_node(name):
    assert Technology.named(name) == as_technology(name) == Technology.generic(28) == GENERIC


def test_unknown_names_list_those_that_are_known():
    wanted = (
        "^unknown technology 'tsmc': known are 'generic-28', 'neurram-2022', 'hermes-2022', 'isaac-2016', and generic- "
        "with another node in nm$"
    )
    for name in ("tsmc",):
        for call in (Technology.named, as_technology):
            with pytest.raises(ValueError, match=wanted):
                call(name)
    assert Technology.named("NeuRRAM-2022") == Technology.named("neurram-2022")
    near = {"generic": "generic-28", "isaac": "isaac-2016", "HERMES": "hermes-2022", "neuram-2022": "neurram-2022"}
    for name, meant in near.items():
        with pytest.raises(
            ValueError, match=f"^unknown technology '{name.lower()}': did you mean '{meant}'. known are"
        ):
            Technology.named(name)
    for name in ("28", ""):
        with pytest.raises(ValueError, match=f"^unknown technology '{name}': known are"):
            Technology.named(name)
    for name in ("generic-", "generic--28", "generic-1e3", "generic-" + "9" * 400, "28", ""):
        with pytest.raises(ValueError, match=r"^unknown technology '"):
            Technology.named(name)
    with pytest.raises(ValueError, match=r"^node_nm=5 is outside the data of the laws, 7 to 130 nm"):
        Technology.named("generic-5")


@pytest.mark.parametrize("value", [28, None, b"generic-28"])
def test_what_is_no_name_is_refused(value):
    with pytest.raises(TypeError, match=r"^technology=.* must be the name of one, such as 'generic-28'$"):
        Technology.named(value)
    with pytest.raises(TypeError, match=r"^technology=.* must be a cost.Technology, its name, such as"):
        as_technology(value)


@pytest.mark.parametrize("node", ["28", None, True])
def test_what_is_no_node_is_refused(node):
    with pytest.raises(TypeError, match=r"^node_nm=.* must be a number"):
        Technology.generic(node)


def test_numbers_need_a_source():
    with pytest.raises(TypeError, match=r"^read_time=2e-08 has no source: give read_time=cost.Figure"):
        GENERIC.replace(read_time=2e-8)
    with pytest.raises(ValueError, match=r"^source='' of read_time must be text"):
        GENERIC.replace(read_time=2e-8, source="")
    changed = GENERIC.replace(read_time=2e-8, adc_rate=5e7, source="user")
    assert changed.read_time == Figure.chosen(2e-8, "s", "user")
    assert changed.adc_rate.source == "user"
    assert changed.name == "generic-28*"
    for same in ({}, {"adcs_per_array": None}, {"adc": GENERIC.adc, "coding": "amplitude"}):
        assert GENERIC.replace(**same).name == "generic-28"  # nothing changed
    assert repr(GENERIC.replace(read_time=1e-7, source="chosen")) == "Technology.named('generic-28')"
    assert changed.replace(adcs_per_array=8).name == "generic-28*"
    assert changed.replace(name="mine").name == "mine"
    assert GENERIC.name == "generic-28"  # it does not change
    given = Figure(2e-8, "s", 1e-8, 3e-8, "a chip")
    assert GENERIC.replace(read_time=given).read_time is given
    for changes in ({"adcs_per_array": 8}, {"read_time": given}, {"adder": None}, {}):
        with pytest.raises(
            TypeError, match=r"^source='user' has no effect, for no setting is given as a number: leave"
        ):
            GENERIC.replace(source="user", **changes)


def test_changes_keep_to_the_settings():
    with pytest.raises(TypeError, match=r"unknown setting of a technology 'read_tim'.*read_time"):
        GENERIC.replace(read_tim=1e-8, source="user")
    with pytest.raises(TypeError, match=r"^node_nm cannot be replaced.*: take Technology.generic\(node\)$"):
        GENERIC.replace(node_nm=14)


@pytest.mark.parametrize(("name", "unit"), FIGURES.items())
def test_figures_are_above_zero_and_in_their_unit(name, unit):
    value = {"adder": 2e-12, "buffer": 2e-12, "cell_capacitance": 2e-15, "end_capacitance": 2e-15}.get(name, 2e-3)
    value = 2e8 if name == "adc_rate" else value
    beside = {"line_voltage": 1.0} if name == "line_supply" else {}
    other = {"write_voltage": "write_time", "write_time": "write_voltage"}.get(name)
    beside |= {other: 0.5} if other else {}
    beside |= {"read_time": 1e-3} if name == "read_cycle" else {}
    good = GENERIC.replace(**{name: value}, **beside, source="user")
    assert getattr(good, name) == Figure.chosen(value, unit, "user")
    with pytest.raises(ValueError, match=rf"^{name}=-1 .* is out of range: it must be "):
        GENERIC.replace(**{name: -1}, **beside, source="user")
    with pytest.raises(ValueError, match=rf"^{name}=-1 .* is out of range: it must be "):
        GENERIC.replace(**{name: Figure(2.0, unit, -1.0, 3.0, "user")})
    with pytest.raises(ValueError, match=rf"^{name} is in K, and must be in {unit}$"):
        GENERIC.replace(**{name: Figure.chosen(2.0, "K")})
    with pytest.raises(TypeError, match=rf"^{name}='fast' must be a number"):
        GENERIC.replace(**{name: "fast"}, source="user")
    if name != "end_capacitance":
        with pytest.raises(ValueError, match=rf"^{name}=0 .* is out of range: it must be above 0 "):
            GENERIC.replace(
                **{name: Figure(2e-3, unit, 0.0, 3e-3, "user")}, **beside, source="user" if beside else None
            )
        with pytest.raises(ValueError, match=rf"^{name}=0 .* is out of range: it must be above 0 "):
            GENERIC.replace(**{name: 0}, **beside, source="user")
    with pytest.raises(TypeError, match=rf"^{name}=2 has no source"):  # not by the constructor either
        Technology(
            **{
                "name": "x",
                "node_nm": 28,
                "read_time": GENERIC.read_time,
                "adc": GENERIC.adc,
                "adc_rate": GENERIC.adc_rate,
                name: 2.0,
            }
        )


@pytest.mark.parametrize(("name", "unit"), ANCHORS.items())
def test_anchors_are_in_their_unit(name, unit):
    anchor = Anchor(1e-12, unit=unit, source="user")
    assert getattr(GENERIC.replace(**{name: anchor}), name) is anchor
    wrong = "J" if unit == "m2" else "m2"
    wanted = rf"^{name} is an anchor in {wrong}, and must be in {unit}: cost.Anchor\(\.\.\., unit='{unit}'\)$"
    with pytest.raises(ValueError, match=wanted):
        GENERIC.replace(**{name: Anchor(1e-12, unit=wrong, source="user")})
    # without a source too, which an anchor needs
    for source in (None, "user"):
        with pytest.raises(
            TypeError, match=rf"^{name}=1e-12 must be a cost.Anchor in {unit}, with its source; in a file, a table"
        ):
            GENERIC.replace(**{name: 1e-12}, source=source)
    bits = Anchor(1e-12, bits=4, unit=unit, source="user")
    if name in ("dac", "core", "adc_area"):
        assert getattr(GENERIC.replace(**{name: bits}), name) is bits
    else:
        with pytest.raises(
            ValueError, match=rf"^bits=4 of {name} has no effect, for it is no converter: leave it out$"
        ):
            GENERIC.replace(**{name: bits})


CORE = Anchor(1e-9, source="user")


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"name": ""}, TypeError, "name='' of a technology must be text"),
        ({"name": 3}, TypeError, "name=3 of a technology must be text"),
        ({"coding": "pwm"}, ValueError, "coding='pwm' is unknown: use one of 'amplitude', 'width'"),
        ({"read_time": None}, TypeError, "read_time=None must be a number"),
        ({"adc": None}, TypeError, "adc=None must be a cost.Anchor in J"),
        ({"adc": 1e-12}, TypeError, "adc=1e-12 must be a cost.Anchor in J"),
        ({"adc": Anchor(1.0, unit="m2", source="user")}, ValueError, "adc is an anchor in m2, and must be in J"),
        ({"adc": CORE}, ValueError, r"adc=1e-09 J needs the bits of that converter: cost.Anchor\(\.\.\., bits=8\)"),
        ({"adcs_per_array": 0}, ValueError, "adcs_per_array=0 is out of range"),
        ({"adcs_per_array": 2.5}, TypeError, "adcs_per_array=2.5 must be a whole number"),
        ({"sample_and_hold": 1}, TypeError, "sample_and_hold=1 must be True or False"),
        ({"share_dacs": "no"}, TypeError, "share_dacs='no' must be True or False"),
        ({"whole_arrays": 0}, TypeError, "whole_arrays=0 must be True or False"),
        ({"core": CORE, "core_array": (64,)}, TypeError, r"core_array=\(64,\) must be two whole numbers, such as"),
        ({"core_array": (64, 64)}, ValueError, "core_array has no effect without core=: leave it out"),
        ({"core_rdac": 16}, ValueError, "core_rdac has no effect without core=: leave it out"),
        ({"core": CORE, "core_rdac": 1}, ValueError, "core_rdac=1 is out of range: it must be at least 2"),
        ({"core": CORE, "core_rdac": 2.5}, TypeError, "core_rdac=2.5 must be a whole number"),
        ({"read_cycle": 9e-8, "source": "user"}, ValueError, "read_cycle=90 ns is shorter than read_time=100 ns, a"),
        ({"line_supply": 1.0, "source": "user"}, ValueError, "line_supply has no effect without line_voltage=: leave"),
        ({"cell_capacitance": None}, ValueError, "cell_capacitance and end_capacitance belong together: give both"),
        ({"write_time": 1e-6, "source": "user"}, ValueError, "write_voltage and write_time belong together: give"),
        ({"write_voltage": 1.0, "source": "user"}, ValueError, "write_voltage and write_time belong together: give"),
    ],
)
def test_what_is_no_technology_is_refused(changes, kind, message):
    with pytest.raises(kind, match=f"^{message}"):
        GENERIC.replace(**changes)


def test_what_can_be_left_out():
    tech = GENERIC.replace(adder=None, buffer=None, cell_capacitance=None, end_capacitance=None)
    left = [name for name, _, _ in tech.sources()]
    assert left[6:] == ["read_time", "adc", "adc_rate"]
    assert GENERIC.replace(core=CORE, adc=None, core_array=(64, 64)).core_array == (64, 64)
    assert GENERIC.replace(whole_arrays=True).whole_arrays


def test_a_core_leaves_out_the_sources_of_what_it_replaces():
    core = Technology.generic(28).replace(core=Anchor(1e-9, source="user"))
    names = {name for name, _, _ in core.sources()}
    assert {"core", "read_time", "adc_rate"} <= names
    assert not names & {"adc", "adder", "buffer", "cell_capacitance", "end_capacitance"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"read_time": 100},
            "read_time=100 s is odd: pulses last between 0.1 ps and 10 ms: did you mean 100 us: 100e-6?",
        ),
        ({"read_cycle": 100}, "read_cycle=100 s is odd: pulses last between"),
        ({"write_time": 1e3, "write_voltage": 1.0}, "write_time=1000 s is odd: programming pulses last between"),
        ({"write_time": 1e-6, "write_voltage": 900}, "write_voltage=900 V is odd: circuits of arrays have between"),
        ({"adc_rate": 0.1}, "adc_rate=0.1 Hz is odd: converters make between 100 and 2e11 conversions a second"),
        ({"driver_supply": 800}, "driver_supply=800 V is odd: circuits of arrays have between 0.1 mV and 20 V: did"),
        ({"line_voltage": 800}, "line_voltage=800 V is odd"),
        ({"adc": Anchor(2.55, bits=8, source="u")}, "adc=2.55 J is odd: a conversion takes between"),
        ({"dac": Anchor(3.0, source="u")}, "dac=3 J is odd"),
        ({"cell": Anchor(1.0, source="u")}, "cell=1 J is odd"),
        ({"core": Anchor(100.0, source="u")}, "core=100 J is odd"),
        ({"cell_area": Anchor(0.1, unit="m2", source="u")}, "cell_area=0.1 m2 is odd: a cell has between"),
        ({"adc_area": Anchor(1270, unit="m2", source="u")}, "adc_area=1270 m2 is odd"),
        ({"core_area": Anchor(5, unit="m2", source="u")}, "core_area=5 m2 is odd"),
        ({"line_voltage": 1.0, "line_supply": 800}, "line_supply=800 V is odd"),
        ({"cell_capacitance": 2.1}, "cell_capacitance=2.1 F is odd: a cell has less than 10 pF"),
        ({"end_capacitance": 48}, "end_capacitance=48 F is odd: the end of a line has less than 1 nF"),
        ({"adder": 6.6}, "adder=6.6 J/bit is odd: a bit takes less than 1 nJ"),
        ({"buffer": 10}, "buffer=10 J/bit is odd: a bit takes less than 1 nJ"),
    ],
)
def test_numbers_that_no_machine_has_are_told_once(changes, message):
    bare = {} if any(isinstance(value, Anchor) for value in changes.values()) else {"source": "user"}
    with pytest.warns(MpimpyWarning) as told:
        odd = GENERIC.replace(**changes, **bare)
    assert [str(each.message)[: len(message)] for each in told] == [message]
    assert told[0].filename == __file__
    odd.replace(adcs_per_array=8)  # not told again


def test_zero_at_the_end_of_a_line_is_not_odd():
    assert GENERIC.replace(end_capacitance=0, source="user").end_capacitance.value == 0

"""Laws: digital logic from node to node by the published example, converters by bits, rate and node."""

import math
import re

import pytest

from mpimpy.cost import AdcLaw, Figure
from mpimpy.cost._laws import _ENERGY, _energy, digital_factor, survey_law
from mpimpy.cost._named import generic


def test_logic_by_the_example_of_its_authors():
    # their corrigendum: 1 pJ at 65 nm and 1.3 V is 0.1755 pJ at 32 nm and 0.9 V
    assert _energy(65, 1.3) == pytest.approx(2.604, abs=5e-4)
    assert _energy(32, 0.9) == pytest.approx(0.4571, abs=5e-5)
    assert _energy(32, 0.9) / _energy(65, 1.3) == pytest.approx(0.1755, abs=1e-4)
    assert digital_factor(65, 32, 1.3) == _energy(32, 0.9) / _energy(65, 1.3)


def test_logic_takes_less_at_every_finer_node():
    nodes = sorted(_ENERGY)
    found = [digital_factor(45, node) for node in nodes]
    assert found == sorted(found)
    expected = {130: 6.01, 90: 3.73, 65: 1.95, 45: 1, 32: 0.531, 20: 0.233, 16: 0.161, 14: 0.112}
    expected |= {10: 0.082, 7: 0.0555}
    assert dict(zip(nodes, found, strict=True)) == pytest.approx(expected, rel=6e-3)


@pytest.mark.parametrize("node", [8, 12, 28, 40, 100, 129.5])
def test_between_two_nodes_logic_follows_a_power_of_the_node(node):
    nodes = sorted(_ENERGY)
    low = max(n for n in nodes if n < node)
    high = min(n for n in nodes if n > node)
    share = math.log(node / low) / math.log(high / low)
    assert _energy(low) < _energy(node) < _energy(high)
    assert _energy(node) == pytest.approx(_energy(low) ** (1 - share) * _energy(high) ** share)


@pytest.mark.parametrize("node", [6.9, 181, 0, -28, 1e9])
def test_nodes_outside_the_data_are_refused(node):
    wanted = r"^node_nm={} is outside the data of the laws, 7 to {} nm: take a node of that range"
    for most, call in {
        130: (lambda: digital_factor(node, 45), lambda: digital_factor(45, node), lambda: generic(node)),
        180: (lambda: survey_law(node),),
    }.items():
        for each in call:
            with pytest.raises(ValueError, match=wanted.format(re.escape(f"{node:g}"), most)):
                each()


def test_converters_have_data_where_logic_has_none():
    assert survey_law(180).at(8, 1e8).value == pytest.approx(8.1e-15 * 256 * 180 / 28)
    assert max(_ENERGY) == 130
    assert generic(130).adder.value == pytest.approx(6.6e-15 * digital_factor(40, 130))
    for call in (generic, lambda node: digital_factor(45, node)):
        with pytest.raises(ValueError, match=r"^node_nm=130.5 is outside the data of the laws, 7 to 130 nm"):
            call(130.5)


def test_a_converter_by_the_law():
    law = survey_law(28)
    assert law.at(8, 1e6).value == law.at(8, 1e8).value == pytest.approx(8.1e-15 * 256)
    assert law.at(8, 4e8).value == pytest.approx(2 * 8.1e-15 * 256)
    assert law.at(9, 1e8).value == pytest.approx(8.1e-15 * 512)
    assert survey_law(14).at(8, 1e8).value == pytest.approx(8.1e-15 * 128)
    found = law.at(6.5, 1e8)
    assert (found.low / found.value, found.high / found.value) == pytest.approx((0.44, 2.9))
    assert "Murmann" in found.source
    assert (law.at(3, 1).unit, law.at(13, 1).unit) == ("J", "J")


@pytest.mark.parametrize("bits", [2.99, 13.01, 20])
def test_bits_outside_the_survey_are_refused(bits):
    wanted = rf"^an ADC of {bits:.3g} bits \(log2 of its codes\) is outside the data of the law, 3 to 13 bits: use"
    with pytest.raises(ValueError, match=wanted):
        survey_law(28).at(bits, 1e8)


@pytest.mark.parametrize("rate", [0, -1e8])
def test_a_rate_is_above_zero(rate):
    with pytest.raises(
        ValueError, match=rf"^rate_Hz={re.escape(f'{rate:g}')} Hz is out of range: it must be above 0 Hz$"
    ):
        survey_law(28).at(8, rate)
    for wrong in ("fast", None):
        with pytest.raises(TypeError, match=rf"^rate_Hz={wrong!r} must be a number"):
            survey_law(28).at(8, wrong)


def test_what_is_no_law_is_refused():
    for energy in (8.1e-15, Figure.chosen(1, "s")):
        with pytest.raises(TypeError, match=r"^energy=.* of a law of converters must be a cost.Figure in J$"):
            AdcLaw(energy, 28)
    with pytest.raises(ValueError, match=r"^energy=0 J is out of range: it must be above 0 J$"):
        AdcLaw(Figure(1e-15, "J", 0.0, 2e-15, "user"), 28)
    with pytest.raises(TypeError, match=r"^node_nm='28' must be a number"):
        AdcLaw(Figure.chosen(1e-15, "J"), "28")

"""Figures and anchors: bands in order whatever is done to them, sources, reach, and every error."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import examples

from mpimpy.cost import Anchor, Figure
from mpimpy.cost._figure import as_figure, si, together

numbers = st.floats(0, 1e6, allow_subnormal=False)


@st.composite
def figures(draw, unit="J"):
    low, value, high = sorted(draw(st.lists(numbers, min_size=3, max_size=3)))
    return Figure(value, unit, low, high, "drawn")


def ordered(figure):
    return figure.low <= figure.value <= figure.high


@given(st.lists(figures(), max_size=6), figures("V"), numbers)
@settings(max_examples=examples(60))
def test_bands_stay_in_order(found, other, factor):
    total = together([*found, None], "J")
    assert ordered(total)
    assert (total.value, total.low, total.high) == pytest.approx(
        tuple(sum(getattr(figure, name) for figure in found) for name in ("value", "low", "high"))
    )
    product = total.by(other, "J V")
    assert ordered(product)
    assert product.low == total.low * other.low
    assert product.source == ("drawn" if found else "sum; drawn")
    scaled = product.times(factor, "X")
    assert ordered(scaled)
    assert (scaled.high, scaled.unit, scaled.source) == (product.high * factor, "X", product.source)
    assert total.by(other, "", "both").times(1.0, source="other").source == "other"


def test_a_band_prints_with_its_value():
    # both in the unit of the value
    assert str(Figure(1.0, "J", 0.5, 2.0, "user")) == "1 J (0.5 to 2)"
    assert str(Figure(520e-9, "J", 249e-9, 1.39e-6, "user")) == "520 nJ (249 to 1390)"
    assert str(Figure(3.15, "TOPS/W", 1.18, 6.59, "user")) == "3.15 TOPS/W (1.18 to 6.59)"
    assert str(Figure(1e-9, "m2", 0.5e-9, 1e-7, "user")) == "1000 um2 (500 to 100000)"
    assert str(Figure(2.0, "", 1.0, 3.0, "user")) == "2 (1 to 3)"
    assert str(Figure.chosen(3e-9, "s")) == "3 ns"
    assert not Figure.chosen(1, "s").banded
    assert Figure.chosen(1, "s").source == "user"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0, "J", "0 J"),
        (1.0, "", "1"),
        (999.4e-15, "J", "999 fJ"),
        (999.6e-15, "J", "1 pJ"),
        (1e-15, "J", "1 fJ"),
        (3e-22, "J", "0.0003 aJ"),
        (5e17, "Hz", "500000 THz"),
        (2.5, "TOPS/W", "2.5 TOPS/W"),
        (2453.1, "TOPS/W", "2450 TOPS/W"),
        (1.2e7, "TOPS", "1.2e+07 TOPS"),
        (1200e-12, "m2", "1200 um2"),
        (0.62e-6, "m2", "0.62 mm2"),
        (12345e-12, "m2", "0.0123 mm2"),
        (14, "nm", "14 nm"),
    ],
)
def test_values_have_three_digits_and_a_prefix(value, unit, text):
    assert si(value, unit) == text


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"value": "a"}, TypeError, "value='a' must be a number"),
        ({"value": True}, TypeError, "value=True must be a number"),
        ({"low": None}, TypeError, "low=None must be a number"),
        ({"high": math.inf}, ValueError, "high=inf must be finite"),
        ({"value": math.nan}, ValueError, "value=nan must be finite"),
        ({"unit": None}, TypeError, "unit=None of a figure must be text, such as 'J'; '' for a pure number"),
        ({"source": None}, TypeError, "source=None of the figure 2 J must be text that says where the number comes"),
        ({"source": " "}, ValueError, "source=' ' of the figure 2 J must be text .* or \"user\""),
        ({"low": 3}, ValueError, "low=3, value=2, high=4 of a figure must ascend"),
        ({"high": 1}, ValueError, "low=1, value=2, high=1 of a figure must ascend"),
    ],
)
def test_what_is_no_figure_is_refused(given, kind, message):
    parts = {"value": 2.0, "unit": "J", "low": 1.0, "high": 4.0, "source": "user"}
    with pytest.raises(kind, match=f"^{message}"):
        Figure(**parts | given)


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"value": 0}, ValueError, "value=0 is out of range: it must be above 0"),
        ({"value": -1}, ValueError, "value=-1 is out of range: it must be above 0"),
        ({"value": "a"}, TypeError, "value='a' must be a number"),
        ({"source": ""}, ValueError, "source='' of the anchor 2 J must be text"),
        ({"source": 3}, TypeError, "source=3 of the anchor 2 J must be text"),
        ({"unit": "W"}, ValueError, "unit='W' of an anchor must be 'J', an energy, or 'm2', an area"),
        ({"bits": 0}, ValueError, "bits=0 is out of range: it must be above 0"),
        ({"low": 0}, ValueError, "low=0 is out of range: it must be above 0"),
        ({"high": -1}, ValueError, "high=-1 is out of range: it must be at least 0"),
        ({"low": 3}, ValueError, "low=3, value=2, high=2.2 of an anchor must ascend"),
        ({"high": 1.9}, ValueError, "low=1.8, value=2, high=1.9 of an anchor must ascend"),
    ],
)
def test_what_is_no_anchor_is_refused(given, kind, message):
    with pytest.raises(kind, match=f"^{message}"):
        Anchor(**{"value": 2.0, "source": "user"} | given)


def test_an_anchor_without_a_source_is_refused():
    with pytest.raises(ValueError, match=r"^source='' of the anchor 2 J must be text"):
        Anchor(2.0)


def test_a_band_of_ten_percent_is_assumed_and_said():
    anchor = Anchor(2.0, source="a chip")
    assert (anchor.low, anchor.high) == pytest.approx((1.8, 2.2))
    assert anchor.source == anchor.figure.source == "a chip; band of 10 % assumed"
    assert Anchor(2.0, low=1.0, source="a chip").source == "a chip"
    again = Anchor(anchor.value, source=anchor.source)  # said once
    assert again.source == anchor.source
    assert str(Anchor(2e-12, bits=1, source="x", low=1e-12, high=3e-12)) == "2 pJ (1 to 3) at 1 bit: x"


@given(st.floats(3, 14), st.floats(-2, 2))
@settings(max_examples=examples(60))
def test_an_anchor_is_scaled_by_codes_and_its_band_holds_the_bits_too(bits, more):
    # to twice the codes: twice the energy, or in proportion to the bits
    anchor = Anchor(1e-12, bits=bits, source="a chip")
    found = anchor.at(bits + more)
    assert ordered(found)
    shift = bits + more - bits
    assert found.value == pytest.approx(1e-12 * 2**shift)
    ends = sorted((2**shift, (bits + more) / bits))
    assert (found.low, found.high) == pytest.approx((0.9e-12 * ends[0], 1.1e-12 * ends[1]))
    assert found.source.endswith("assumed" if shift == 0 else f", scaled to {bits + more:.3g} bits")


def test_an_anchor_at_its_own_bits_is_as_it_was_measured():
    anchor = Anchor(2.55e-12, bits=8, source="a chip")
    assert anchor.at(8) == anchor.figure


def test_one_source_of_all_figures_stays():
    a, b = Figure.chosen(1.0, "J", "a"), Figure.chosen(2.0, "J", "b")
    assert (together([a, a], "J").source, together([a, b], "J").source, together([], "J").source) == ("a", "sum", "sum")


@pytest.mark.parametrize("bits", [5.89, 10.11])
def test_an_anchor_is_not_scaled_beyond_two_bits(bits):
    anchor = Anchor(2.55e-12, bits=8, source="a chip")
    assert ordered(anchor.at(6))
    assert ordered(anchor.at(10))
    assert ordered(anchor.at(math.log2(63)))  # an ADC of 2 * 32 - 1 codes
    wanted = rf"^a converter of {bits:.3g} bits \(rdac\) is more than 2 bits from its anchor at 8 bits \(a chip; .*\): "
    wanted += r"give an anchor of a converter nearer to it, or take one of 2\*\*6 to 2\*\*10 codes \(rdac\)$"
    with pytest.raises(ValueError, match=wanted):
        anchor.at(bits, "rdac")


def test_an_anchor_without_bits_is_no_converter():
    with pytest.raises(ValueError, match=r"needs bits=, log2 of its codes: Anchor\(2, bits=8, \.\.\.\)$"):
        Anchor(2.0, source="a chip").at(8)


def test_settings_are_figures_of_their_unit_with_a_source():
    assert as_figure("read_time", 2e-8, "s", "user") == Figure.chosen(2e-8, "s", "user")
    given = Figure(2.0, "s", 1.0, 3.0, "a chip")
    assert as_figure("read_time", given, "s", None) is given
    assert as_figure("end_capacitance", 0, "F", "user", above=False).value == 0
    wanted = r"^read_time=2e-08 has no source: give read_time=cost.Figure\(2e-08, 's', low, high, source\), or source="
    with pytest.raises(TypeError, match=wanted):
        as_figure("read_time", 2e-8, "s", None)
    with pytest.raises(ValueError, match=r"^source='' of read_time must be text"):
        as_figure("read_time", 2e-8, "s", "")
    with pytest.raises(ValueError, match=r"^read_time is in V, and must be in s$"):
        as_figure("read_time", Figure.chosen(1, "V"), "s", None)
    with pytest.raises(ValueError, match=r"^read_time is in no unit, and must be in s$"):
        as_figure("read_time", Figure.chosen(1, ""), "s", None)
    for value in (-1e-9, 0, Figure(1.0, "s", 0.0, 2.0, "user")):
        with pytest.raises(ValueError, match=r"^read_time=.* s is out of range: it must be above 0 s$"):
            as_figure("read_time", value, "s", "user")
    with pytest.raises(TypeError, match=r"^read_time='fast' must be a number"):
        as_figure("read_time", "fast", "s", "user")

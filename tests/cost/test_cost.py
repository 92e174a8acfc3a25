"""Costs of products: area, writing, texts, and what is refused."""

import json
import math
import re

import numpy as np
import pytest
from costing import AREAS, GENERIC, W, X, engine, unfolded, user
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from libraries import to_strict, to_torch, torch
from strategies import examples, products

from mpimpy import Config, Device, Drift, Engine, MapReducedot, Tile, WriteVerify, cost, explain
from mpimpy.cost import Anchor, Cost, Figure, Rate, Technology, counts
from mpimpy.cost._cost import PARTS
from mpimpy.cost._counts import adc_codes


def ordered(figure):
    return figure is None or figure.low <= figure.value <= figure.high


figures = st.sampled_from([None, Figure(0.8, "V", 0.7, 1.1, "a chip"), Figure.chosen(2.0, "V")])


@st.composite
def technologies(draw):
    tech = Technology.generic(draw(st.sampled_from([7, 28, 130])))
    changes = {"coding": draw(st.sampled_from(["amplitude", "width"])), "driver_supply": draw(figures)}
    changes |= {"line_voltage": draw(figures), "adcs_per_array": draw(st.sampled_from([None, 1, 3]))}
    changes |= {name: draw(st.booleans()) for name in ("sample_and_hold", "share_dacs")}
    changes |= {"read_time": Figure(2e-8, "s", 1e-8, 5e-8, "a chip"), "adc_rate": Figure(1e8, "Hz", 1e7, 3e8, "a chip")}
    changes |= {"dac": draw(st.sampled_from([None, Anchor(1e-13, source="a chip")]))}
    return tech.replace(**changes)


@given(products(ideal=False), technologies())
@settings(max_examples=examples(40))
def test_whatever_is_drawn_has_bands_in_order(case, tech):
    config, x, w = case
    assume(all(8 <= codes <= 2**13 for row in adc_codes(config) for codes in row))
    found = Engine.from_config(config, seed=1).program(w).cost(x, tech)
    parts = [getattr(found, name) for name in PARTS]
    assert all(map(ordered, parts))
    assert found.energy.value == pytest.approx(sum(part.value for part in parts if part is not None))
    for name in ("energy", "energy_per_mac", "tops_per_watt", "latency", "throughput"):
        figure = getattr(found, name)
        assert figure.low <= figure.value <= figure.high
    height = math.prod(x.shape[:-1])
    assert found.macs == height * math.prod(w.shape)
    assert found.counts == (counts(config, height, *w.shape, share_dacs=tech.share_dacs),)
    values = found.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    assert re.search(
        r"^efficiency .* TOPS/W \(.*\), with .*-bit inputs, .*-bit weights, .*-bit ADCs$", unfolded(found), re.M
    )
    thrice = 3 * found
    for end in ("value", "low", "high"):
        assert getattr(thrice.energy, end) == pytest.approx(3 * getattr(found.energy, end))
        assert getattr(thrice.tops_per_watt, end) == pytest.approx(getattr(found.tops_per_watt, end))


# counts, area, writing


def test_shared_drivers_and_counts_are_those_of_the_report():
    W_ = engine(x_slices=[1, 1, 1], rdac=2).program(W)
    for share, dacs in ((False, 2 * 2 * 5 * 4), (True, 2 * 2 * 5)):
        tech = GENERIC.replace(share_dacs=share)
        report = W_.report(X, technology=tech)
        assert report.cost == W_.cost(X, tech)
        assert report.dac_conversions == report.cost.counts[0].dac_conversions == dacs
        assert counts(W_.config, 2, *W.shape, share_dacs=share) == report.cost.counts[0]
        assert report.to_dict()["cost"] == {"technology": tech.name} | report.cost.to_dict()
        assert str(report).endswith(str(report.cost))
        assert report.cost._repr_html_() in report._repr_html_()
    assert W_.report(X).cost is None
    assert W_.report(X).dac_conversions == 2 * 2 * 5 * 4
    with pytest.raises(TypeError, match=r"^share_dacs=1 must be True or False$"):
        counts(Config(), 2, 3, 4, share_dacs=1)


def test_conversions_for_each_pair_of_slices_or_for_the_product():
    each = engine(x_slices=[1, 1, 1], rdac=2).program(W).cost(X, GENERIC)
    once = engine(x_slices=[1, 1, 1], rdac=2, adc_per="product").program(W).cost(X, GENERIC)
    assert (each.counts[0].adc_conversions, once.counts[0].adc_conversions) == (24, 12)
    assert once.adcs.value == pytest.approx(each.adcs.value / 2)
    # slices of other codes: a mean over the slices, which have as many conversions each
    two = engine(w_mapping="twos", radc=(16, 64)).program(W).cost(X, GENERIC)
    assert two.adcs.value == pytest.approx(24 * (31 + 127) / 2 * 8.1e-15)
    assert two.bits[0].adc == (math.log2(31), math.log2(127))
    assert "4.95- to 6.99-bit ADCs" in str(two)


def test_adcs_per_array_change_time_and_area_and_no_energy():
    W_ = engine(array_size=(4, 8)).program(np.ones((5, 8)))
    all_, two = (
        W_.cost(X, GENERIC.replace(adcs_per_array=n, adc_rate=Figure.chosen(1e7, "Hz"), **AREAS)) for n in (8, 2)
    )
    assert two.energy == all_.energy
    assert (all_.latency.value, two.latency.value) == pytest.approx((2 * 100e-9, 2 * 400e-9))
    # two tiles of a pair of arrays of 4 x 8 cells; a pair shares its ADCs
    assert all_.area.value == pytest.approx(4 * 32 * 1e-14 + 2 * 8 * 1e-9)
    assert two.area.value == pytest.approx(4 * 32 * 1e-14 + 2 * 2 * 1e-9)
    assert two.area == W_.cost(X, GENERIC.replace(adcs_per_array=2, **AREAS)).area
    default = W_.cost(X, GENERIC.replace(**AREAS)).area
    assert default == all_.area


def test_area_by_anchors_alone():
    W_ = engine(w_mapping="twos", reference_columns=3).program(W)
    cell, adc = Anchor(1e-14, unit="m2", source="a chip"), Anchor(1e-9, bits=4, unit="m2", source="a chip")
    for changes in ({}, {"cell_area": cell}, {"adc_area": adc}):
        found = W_.cost(X, GENERIC.replace(**changes))
        assert found.area is None
        why = "no anchor; give cell_area= and adc_area=, or core_area= (cost.Anchor(..., unit='m2'))"
        assert ("area", why) in found.missing
        assert f"area               not known: {why}" in unfolded(found)
        assert found.to_dict()["area_m2"] is found.to_dict()["area_high_m2"] is None
    # 2 x 2 tiles of 2 slices: 8 arrays of 4 x 5 cells, two ADCs each, of 31 codes
    found = W_.cost(X, GENERIC.replace(cell_area=cell, adc_area=adc))
    assert found.area.value == pytest.approx(8 * 4 * 5 * 1e-14 + 16 * 31 / 16 * 1e-9)
    assert "area" not in dict(found.missing)
    core = W_.cost(X, GENERIC.replace(core_area=Anchor(1e-6, unit="m2", source="a chip")))
    assert core.area.value == pytest.approx(8e-6)
    pairs = engine().program(W).cost(X, GENERIC.replace(core_area=Anchor(1e-6, unit="m2", source="a chip")))
    assert pairs.area.value == pytest.approx(4e-6)  # a core holds both arrays of a pair


@pytest.mark.parametrize("flat", [{}, {"wire_resistance": 2.0}, {"w_mapping": "pair"}, {"bw_e": 8, "dbfp_en": True}])
def test_writing_by_brute_force(flat):
    device = Device(
        LGS=1e-6, var=0, write_var=0.2, stuck_HGS=0.05, verify=WriteVerify(2e-7, pulses=9), drift=Drift(0.05)
    )
    made = (
        Engine(device, tile=Tile(8, 4), seed=1)
        .replace(**flat)
        .program(np.random.default_rng(2).standard_normal((11, 6)))
    )
    tech = user(write_voltage=1.5, write_time=2e-6)
    found = made.cost(np.ones(11), tech)
    pulses = made.programming.pulses
    assert pulses.max() > 2
    expected = (pulses * made.conductance()).sum() * 1.5**2 * 2e-6
    assert found.writing.value == pytest.approx(expected, rel=1e-12)
    assert found.energy.value == pytest.approx(sum(getattr(found, n).value for n in PARTS if getattr(found, n)))
    aged = made.at("30 d").cost(np.ones(11), tech)
    assert aged.writing == found.writing
    assert "30 d after programming" in aged.note
    assert aged.cells.value < found.cells.value
    banded = tech.replace(write_voltage=Figure(1.5, "V", 1.0, 3.0, "a chip"))
    wide = made.cost(np.ones(11), banded).writing
    assert (wide.low, wide.high) == pytest.approx((found.writing.value / 2.25, found.writing.value * 4))


def test_writing_needs_counted_pulses_and_a_pulse():
    W_ = engine().program(W)
    assert dict(W_.cost(X, GENERIC).missing)["writing"] == "no pulse; give write_voltage= and write_time="
    found = W_.cost(X, user(write_voltage=1.5, write_time=2e-6))
    assert found.writing is None
    assert dict(found.missing)["writing"].startswith("pulses are counted where writing is verified, Device(verify=")


# texts, values


def test_values_for_sweeps():
    found = engine().program(W).cost(X, user(write_voltage=1.5, write_time=2e-6))
    values = found.to_dict()
    names = [f"{name}_energy" for name in PARTS] + ["energy", "energy_per_mac", "latency", "area", "writing"]
    units = {"latency": "s", "area": "m2"}
    expected = {f"{name}{end}_{units.get(name, 'J')}" for name in names for end in ("", "_low", "_high")}
    expected |= {f"tops_per_watt{end}" for end in ("", "_low", "_high")}
    expected |= {f"throughput{end}_TOPS" for end in ("", "_low", "_high")}
    expected |= {f"{name}_{end}_bits" for name in ("input", "weight", "adc") for end in ("low", "high")}
    expected |= {"macs", "cells", "arrays"}
    expected |= {"reference_cells", "dac_conversions", "adc_conversions", "additions"}
    assert set(values) == expected
    assert values["input_low_bits"] == values["input_high_bits"] == 3
    assert values["weight_low_bits"] == values["weight_high_bits"] == 2
    wider = engine(x_slices=[1, 2, 2], w_slices=[1, 1, 1], radc=32).program(W).cost(X, found.technology)
    both = (found + wider).to_dict()
    assert (both["input_low_bits"], both["input_high_bits"]) == (3, 5)
    assert (both["weight_low_bits"], both["weight_high_bits"]) == (2, 3)
    assert values["energy_low_J"] == found.energy.low
    assert values["adcs_energy_J"] == found.adcs.value
    assert values["tops_per_watt"] == pytest.approx(2e-12 * found.macs / found.energy.value)
    assert values["tops_per_watt_low"] == pytest.approx(2e-12 * found.macs / found.energy.high)


def test_no_figure_prints_without_its_band_and_no_efficiency_without_bits():
    found = engine(radc=64).program(W).cost(X, "neurram-2022")  # every constant has a band
    assert max(map(len, str(found).splitlines())) <= 88
    text = unfolded(found)
    number = re.compile(r"[\d.e+]+ (?:[afpnum]?(?:J|s)|[afpnum]?J/MAC|TOPS/W|TOPS|[um]m2)\b(?!.{0,40}\))")
    for line in [*text.splitlines(), repr(found)]:
        assert not number.search(line), line
    for line in text.splitlines():
        if re.match("(energy|  |per MAC|eff|latency|through|area)", line) and "not " not in line:
            assert re.search(r"[\d.e+-]+ \S+ \([\d.e+-]+ to [\d.e+-]+\)", line), line  # one unit
    (bits,) = found.bits
    assert str(bits) == "3-bit inputs, 2-bit weights, 6.99-bit ADCs"
    assert all(f"with {bits}" in line for line in text.splitlines() if "TOPS" in line)
    note = "(not counted: DACs, routers, leakage, control; bands are added as if all constants erred together)"
    assert " ".join(text.splitlines()[-2:]) == note
    assert re.search(r"^area .* \(.*\), cells and ADCs alone$", text, re.M)
    with_dacs = GENERIC.replace(dac=Anchor(1e-13, source="a chip"), adder=None)
    assert "(not counted: adders, routers, leakage, control; " in str(engine().program(W).cost(X, with_dacs))
    assert "mean" not in found.note
    assert "read variation of cells by its mean" in engine(var=0.05).program(W).cost(X, GENERIC).note
    page = found._repr_html_()
    assert page.startswith("<")
    for rate in (found.tops_per_watt, found.throughput):
        assert isinstance(rate, Rate)
        assert rate.bits == found.bits
        assert str(rate).endswith(f"), with {bits}")
    sums = engine(radc=128).program(W).cost(X, "neurram-2022") + found
    assert str(sums.throughput).endswith(f"with {sums.bits[0]}; {bits}")
    for line in ("neurram-2022", str(found.energy), str(found.tops_per_watt), str(found.latency), str(found.area)):
        assert line in page


def test_shares_of_the_parts_add_up():
    text = unfolded(engine().program(W).cost(X, GENERIC))
    shares = [float(share) for share in re.findall(r"([\d.]+) %$", text, re.M)]
    assert len(shares) == 5
    assert sum(shares) == pytest.approx(100, abs=0.3)
    assert "  DACs             not counted: no law with a source; give dac=cost.Anchor(...)" in text
    bare = GENERIC.replace(adder=None, buffer=None, cell_capacitance=None, end_capacitance=None)
    text = unfolded(engine().program(W).cost(X, bare))
    assert "  adders           not counted: no figure; give adder=" in text
    assert "  buffers          not counted: no figure; give buffer=" in text
    assert "  lines            not counted: no capacitance; give cell_capacitance= and end_capacitance=" in text


# other ways in


def test_explain_and_products_with_reports_tell_the_same_cost():
    made = engine()
    expected = made.program(W).cost(X, "generic-28")
    assert explain(X, W, made, technology="generic-28").cost == expected
    assert explain(X, W, made, technology=GENERIC).cost == expected
    assert explain(X, W, made).cost is None
    assert MapReducedot(X, W, made, return_report=True)[1].cost is None


def test_complex_operands_cost_their_real_products():
    W_ = engine().program(W)
    found = W_.cost(X + 1j * X[::-1], GENERIC)
    assert found.macs == 2 * 30
    assert found.counts == (counts(W_.config, 4, 5, 3),)
    assert found.cells.value == pytest.approx(W_.cost(np.vstack([X, X[::-1]]), GENERIC).cells.value)
    F = engine().program(W + 1j * W[::-1])
    for x in (X, X + 1j * X):
        assert F.cost(x, GENERIC) == F.parts.cost(F._accept(x).array, GENERIC)
        assert F.report(x, technology=GENERIC).cost == F.cost(x, GENERIC)
    assert F.cost(X + 1j * X, GENERIC).macs == 4 * 30  # four real products


def test_batches_and_vectors_are_rows():
    W_ = engine().program(W)
    rows = W_.cost(X, GENERIC)
    assert W_.cost(X[None], GENERIC) == rows
    assert W_.cost(X[0], GENERIC).macs == 15
    assert W_.cost(X[:, None], GENERIC).counts == rows.counts


def test_inputs_may_be_read_only_and_do_not_change():
    x = X.copy()
    x.flags.writeable = False
    assert engine().program(W).cost(x, GENERIC) == engine().program(W).cost(X, GENERIC)
    assert engine().program(W).cost(X.tolist(), GENERIC) == engine().program(W).cost(X, GENERIC)


MAKERS = {"strict": to_strict, "torch": to_torch, "jax": None}


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("flat", [{}, {"w_mapping": "twos", "var": 0.05}, {"bw_e": 8, "dbfp_en": True}])
def test_arrays_of_every_library_give_the_same_numbers(name, flat):
    if name == "torch" and torch is None:
        pytest.skip("the torch extra is not installed")
    maker = MAKERS[name] or pytest.importorskip("jax.numpy").asarray
    x, w = X.astype(np.float32), W.astype(np.float32)
    assert engine(**flat).program(maker(w)).cost(maker(x), GENERIC) == engine(**flat).program(w).cost(x, GENERIC)


# what is refused


@pytest.mark.parametrize(
    ("x", "kind", "message"),
    [
        (np.ones((0, 5)), ValueError, r"x has shape \(0, 5\): without inputs there is no product, and no cost"),
        (np.ones((2, 0, 5)), ValueError, r"x has shape \(2, 0, 5\): without inputs there is no product, and no cost"),
        (np.ones((2, 4)), ValueError, r"shapes \(2, 4\) and \(5, 3\) do not fit"),
        (np.full((2, 5), np.nan), ValueError, "x"),
        ("abc", TypeError, "x"),
    ],
)
def test_inputs_that_are_no_product_are_refused(x, kind, message):
    with pytest.raises(kind, match=f"^{message}"):
        engine().program(W).cost(x, GENERIC)


def test_what_has_no_cost_is_refused():
    for shape in ((0, 3), (5, 0)):
        with pytest.raises(
            ValueError, match=rf"^a matrix of shape \({shape[0]}, {shape[1]}\) has no cells, and no cost$"
        ):
            engine().program(np.ones(shape)).cost(np.ones((2, shape[0])), GENERIC)
    ideal = engine(radc=None).program(W)
    for call in (ideal.cost, lambda x, tech: ideal.report(x, technology=tech)):
        with pytest.raises(
            ValueError, match=r"^an ideal ADC, radc=None, has no number of codes: give radc=, the codes"
        ):
            call(X, GENERIC)
    for radc in (4, 2**13):
        with pytest.raises(
            ValueError, match=r"^an ADC of .* bits \(log2 of its codes\) is outside the data of the law"
        ):
            engine(radc=radc).program(W).cost(X, GENERIC)
    with pytest.raises(
        ValueError, match=r"^a converter of 4.95 bits \(radc\) is more than 2 bits from its anchor at 8"
    ):
        engine().program(W).cost(X, GENERIC.replace(adc=Anchor(1e-12, bits=8, source="a chip")))
    with pytest.raises(ValueError, match=r"^a converter of 2 bits \(rdac\) is more than 2 bits from its anchor at 8"):
        engine().program(W).cost(X, GENERIC.replace(dac=Anchor(1e-12, bits=8, source="a chip")))
    with pytest.raises(
        ValueError, match=r"^driver_supply=0.2 V of technology generic-28\* is below vread=0.3 V, to which"
    ):
        engine().program(W).cost(X, user(driver_supply=0.2))
    assert engine().program(W).cost(X, user(driver_supply=0.3)).cells.value > 0
    wired = engine(wire_resistance=2.0, array_size=(4, 2))
    with pytest.raises(
        ValueError, match=r"^whole_arrays=False leaves out the unused cells beyond column 3, which wires"
    ):
        wired.program(W).cost(X, GENERIC.replace(whole_arrays=False))
    full = wired.program(W[:, :2])
    assert full.cost(X, GENERIC.replace(whole_arrays=False)).energy == full.cost(X, GENERIC).energy
    with pytest.raises(ValueError, match=r"^unknown technology 'generic': did you mean 'generic-28'\?"):
        engine().program(W).cost(X, "generic")
    with pytest.raises(TypeError, match=r"^technology=28 must be a cost.Technology, its name"):
        explain(X, W, engine(), technology=28)
    with pytest.raises(ValueError, match=r"^read=-1 is out of range"):
        engine().program(W).cost(X, GENERIC, read=-1)


def test_public_names():
    assert {"AdcLaw", "Anchor", "Bits", "Cost", "Counts", "Figure", "Rate", "Technology", "counts"} < set(cost.__all__)
    assert isinstance(engine().program(W).cost(X, GENERIC), Cost)
